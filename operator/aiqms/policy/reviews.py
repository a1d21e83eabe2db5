"""Access reviews: which ReviewAccess records count for a procedure, and when the next one is due (access.reviewEvery)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aiqms.api.record import Decision
from aiqms.api.values import later
from aiqms.policy.approvals import Records
from aiqms.policy.facts import Input, Procedure, Record
from aiqms.policy.procedures import review_roles


@dataclass(frozen=True)
class Confirmed:
    """What a ReviewAccess is held against. list: the digest of the list as it is now; roles: whose reviews the procedures ask for."""

    list: str = ""
    roles: tuple[str, ...] = ()


def confirmed(given: Input) -> Confirmed:
    """As the procedures that apply ask."""
    roles = {role for p in given.procedures if isinstance(p, Procedure) for role in review_roles(p)}
    return Confirmed(given.reach.list if given.reach else "", tuple(sorted(roles)))


def confirms(record: Record, now: str) -> bool:
    """Whether its list was the list: it is the one now, or was when the operator looked. One that never was confirms nothing."""
    return record.spec.list is not None and (record.spec.list == now or (record.before is not None and record.before.confirmed == record.spec.list))


def last(procedure: Procedure, records: Records, now: str) -> Record | None:
    """The last review that counts for the procedure. now: the digest of the list."""
    made = records.authentic.get(Decision.REVIEW_ACCESS, ())
    return next((r for r in reversed(made) if r.spec.role in review_roles(procedure) and confirms(r, now)), None)


def due(procedure: Procedure, record: Record) -> datetime:
    """When the review after this one is due; only asked for where the procedure asks for reviews."""
    access = procedure.spec.access
    assert access
    assert access.review_every
    return later(record.created, access.review_every)


def due_times(given: Input, records: Records) -> list[datetime]:
    """When time alone makes a review overdue."""
    now = confirmed(given).list
    found = ((p, last(p, records, now)) for p in given.procedures if isinstance(p, Procedure))
    return [due(p, record) for p, record in found if record]
