"""Gathers what an explanation may look at. Reads alone; what the person may not read is left unknown, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli import reading
from aiqms.cli.case import Case
from aiqms.cli.connection import Connection
from aiqms.cli.holders import Bindings, WhoMay, bindings_in

LISTED = 16  # holders of a role that a status lists at most
Asked = tuple[str, Decision]  # a role and what is decided in it


@dataclass(frozen=True)
class Duty:
    """What somebody answers for, and who holds the role now."""

    duty: str
    role: str
    procedure: str
    may: WhoMay


@dataclass(frozen=True)
class Facts:
    """All that an explanation may look at. None means: may not be read.

    registered: what else is, where this one is not. pods: that bear the label, where no deployment of this name is registered.
    who_may: for everything that somebody is waited for. stop_roles: that could lift a Stop. records: about this deployment.
    reviewers: the roles that review who can do what, by procedure.
    """

    namespace: str
    name: str
    deployment: Json | None
    governed: bool | None = None
    registered: tuple[str, ...] = ()
    pods: int | None = None
    me: str = ""
    who_may: Mapping[Asked, WhoMay] = field(default_factory=dict)
    stop_roles: tuple[str, ...] | None = None
    duties: tuple[Duty, ...] = ()
    records: tuple[Json, ...] | None = ()
    reviewers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def gather(connection: Connection, name: str) -> Facts:
    """The deployment, its namespace, its records, and who may do what it waits for.

    Raises NotInstalled, Refused when the deployment itself may not be read, and CannotAsk.
    """
    case, governed = cases.read(connection, name), reading.governed(connection)
    if case.deployment is None:
        pods = reading.labelled(connection, name)
        return Facts(connection.namespace, name, None, governed, registered=reading.registered(connection), pods=pods, me=case.me, records=case.records)
    stop_roles = cases.resuming(case)
    bindings = bindings_in(connection)
    return Facts(
        namespace=connection.namespace,
        name=name,
        deployment=case.deployment,
        governed=governed,
        me=case.me,
        who_may={(role, decision): _who_may(case, bindings, role, decision) for role, decision in asked(case)},
        stop_roles=None if stop_roles is None else tuple(stop_roles),
        duties=tuple(_duties(case, bindings)),
        records=case.records,
        reviewers=_reviewers(case),
    )


def _who_may(case: Case, bindings: Bindings, role: str, decision: Decision) -> WhoMay:
    """Whoever may not read all bindings is told of approvers what the operator found."""
    found = bindings.may(role, decision, me=_me(case, role, decision))
    listed = _listed(case, role) if decision is Decision.APPROVE and not found.known else None
    return found if listed is None else replace(found, people=listed, known=len(listed) < LISTED)


def _listed(case: Case, role: str) -> tuple[str, ...] | None:
    """Who holds the role as the status lists them; None where an operator of an older version wrote it."""
    return next((tuple(a["may"]) for a in case.status.get("approvals") or [] if a["role"] == role and "may" in a), None)


def asked(case: Case) -> Iterator[Asked]:
    """Everything that the deployment may wait for, by role."""
    roles = list(dict.fromkeys(p.role for p in case.places))
    reasons = {c["reason"] for c in case.status.get("controls") or []}
    yield from ((r, Decision.APPROVE) for r in roles)
    if any(c["id"] == "emergency" for c in case.status.get("controls") or []):
        yield from ((r, Decision.REJECT) for r in roles)  # a review says either; whoever approved may review too
    if "Rejected" in reasons:
        yield from ((r, Decision.WITHDRAW) for r in roles)
    if "Stopped" in reasons:
        yield from ((r, Decision.RESUME) for r in cases.resuming(case) or [])
    if reasons & {"AccessReviewDue", "AccessChanged"}:
        yield from ((r, Decision.REVIEW_ACCESS) for roles in _reviewers(case).values() for r in roles)


def _reviewers(case: Case) -> dict[str, tuple[str, ...]]:
    """None of a procedure that may not be read."""
    return {p["name"]: tuple(cases.reviewing(case, p["name"])) for p in case.status.get("procedures") or []}


def _me(case: Case, role: str, decision: Decision) -> bool:
    """Whether it would help if the person who asks decided so."""
    if decision is Decision.APPROVE and not cases.helpful(case, [role]):
        return False
    return case.rights.decides(role, decision)


def _duties(case: Case, bindings: Bindings) -> Iterator[Duty]:
    """Whoever may decide anything in the role holds it."""
    for found in case.status.get("responsibilities") or []:
        yield Duty(found["duty"], found["role"], found["procedure"], bindings.holding(found["role"]))
