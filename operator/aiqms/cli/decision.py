"""Making a record: what it says, what is asked before, what the API server and the operator answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import typer

from aiqms.api.record import Decision
from aiqms.api.values import API_VERSION, Json, duration
from aiqms.cli.connection import Connection, Refused
from aiqms.cli.rights import Rights, binding, verb_of
from aiqms.cli.terminal import Declined, Exit, NotDone, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line, wrapped

_JUDGED_WITHIN, _EVERY = 10.0, 0.1  # seconds for the operator to say whether a record counts, and between two looks
_LONGEST = 4096  # characters of a rationale
_DENIED = "denied request: "  # what an admission policy says stands behind it
T = TypeVar("T")
PAST = {
    Decision.APPROVE: "approved",
    Decision.REJECT: "rejected",
    Decision.WITHDRAW: "withdrawn",
    Decision.STOP: "stopped",
    Decision.RESUME: "resumed",
    Decision.EMERGENCY: "glass broken",
    Decision.REVIEW_ACCESS: "confirmed",
}


@dataclass(frozen=True)
class Wish:
    """A record to be made, in the person's name."""

    deployment: str
    decision: Decision
    role: str
    rationale: str = ""
    subject: str | None = None
    expires: str | None = None
    withdraws: str | None = None
    reviews: str | None = None
    list: str | None = None

    def because(self, why: str) -> Wish:
        """The same with its rationale."""
        return replace(self, rationale=why)

    def record(self, namespace: str) -> Json:
        """The ApprovalRecord as it is sent."""
        more = {key: value for key, value in (("subject", self.subject), ("expires", self.expires)) if value}
        more |= {
            key: value for key, value in (("withdraws", self.withdraws), ("reviews", self.reviews), ("list", self.list), ("rationale", self.rationale)) if value
        }
        spec = {"deployment": self.deployment, "role": self.role, "decision": str(self.decision)} | more
        return {"apiVersion": API_VERSION, "kind": "ApprovalRecord", "metadata": {"generateName": f"{self.deployment}-", "namespace": namespace}, "spec": spec}


@dataclass(frozen=True)
class How:
    """How a person wants to be asked, and answered. yes: not at all. dry_run: everything but storing the record."""

    yes: bool
    dry_run: bool
    output: Output
    rationale: str | None = None

    @property
    def asks(self) -> bool:
        return not self.yes and sys.stdin.isatty()

    def show(self, lines: Iterator[Line]) -> None:
        """What is decided about: for people, before they are asked; programs get the record alone."""
        if self.output is Output.TEXT or self.asks:
            print_lines(lines, err=self.output is not Output.TEXT)


def require_terminal(how: How, *, subject: str | None = "") -> None:
    """A program says everything beforehand. Raises UsageError where something is missing and nobody can be asked."""
    if how.asks:
        return
    said = (("--yes", how.yes or how.dry_run), ("--subject", subject is not None), ("--rationale", how.rationale is not None))
    missing = [option for option, given in said if not given]
    if missing:
        raise typer.BadParameter(f"nobody is at a terminal to be asked (or --yes was given): give {' and '.join(missing)} too")


def rationale(how: How, *, required: bool) -> str:
    """What the person gives as reason, asked for at a terminal. Raises NotDone for one that the API would refuse."""
    text = how.rationale
    if text is None and how.asks:
        hint = "why" if required else "why (Enter for none)"
        text = _asked(lambda: typer.prompt(f"\n{hint}", default=None if required else "", show_default=False, err=True))
    text = (text or "").strip()
    if required and not text:
        raise NotDone("a rationale is missing: say why with --rationale, for those who read the record later")
    if len(text) > _LONGEST:
        raise NotDone(f"the rationale has {len(text)} characters, and a record holds {_LONGEST}: shorten it, or name a document")
    return text


def confirm(how: How, question: str) -> None:
    """Raises Declined where the person says no."""
    if how.asks and not how.dry_run and not _asked(lambda: typer.confirm(question, default=False, err=True)):
        raise Declined("nothing was recorded")


def _asked(question: Callable[[], T]) -> T:
    """Ctrl-C and Ctrl-D are a no."""
    try:
        return question()
    except typer.Abort as abort:
        raise Declined("\nnothing was recorded") from abort


def require_right(rights: Rights, me: str, role: str, decision: Decision) -> None:
    """Raises NotDone, with the RBAC rule that is missing and what gives it, where admission would refuse the record."""
    namespace = rights.connection.namespace
    if me.startswith("system:"):
        raise NotDone(f"a decision is a person's, and {me} is a part of the cluster: sign in as a person (--context)")
    if rights.decides(role, decision):
        if rights.records():
            return
        raise NotDone(f"you may not create ApprovalRecords in namespace {namespace}: {_given_by(role, me, namespace)}")
    verb = verb_of(decision)
    if rights.holding(role, decision).value == "wildcard":
        raise NotDone(f"you hold every role by a wildcard right, which makes nobody {_an(role)}: decide with an account that holds {role} by name")
    raise NotDone(
        f"you ({me}) do not hold role {role} in namespace {namespace}: "
        f"it takes verb {verb} on approvalroles.aiqms.dev, resourceNames: [{role}]; {_given_by(role, me, namespace)}"
    )


def _an(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"


def _given_by(role: str, me: str, namespace: str) -> str:
    return f"a RoleBinding gives it, by whoever may bind roles there: {binding(role, f'user {me}', namespace)}"


def create(connection: Connection, wish: Wish, *, dry_run: bool) -> Json:
    """The record as it was stored. Raises NotDone with the API server's reason where it refuses, CannotAsk where it does not answer."""
    path = f"/apis/{API_VERSION}/namespaces/{connection.namespace}/approvalrecords"
    try:
        return connection.post(path, wish.record(connection.namespace), dry_run=dry_run)
    except Refused as refusal:
        raise NotDone(f"the API server refused the record: {str(refusal).rpartition(_DENIED)[2]}") from refusal


def judged(connection: Connection, record: Json, *, within: float = _JUDGED_WITHIN) -> Json:
    """The record once the operator said whether it counts; as it is where that takes longer than `within` seconds."""
    deadline = time.monotonic() + within
    path = f"/apis/{API_VERSION}/namespaces/{connection.namespace}/approvalrecords/{record['metadata']['name']}"
    while not record.get("status") and time.monotonic() < deadline:
        time.sleep(_EVERY)
        try:
            record = connection.get(path)
        except Refused:
            break  # it is made all the same; who may not read it is told where to look
    return record


def make(connection: Connection, wish: Wish, how: How) -> Exit:
    """Create the record, wait for the verdict, and say both. NO: it does not count."""
    record = create(connection, wish, dry_run=how.dry_run)
    if not how.dry_run:
        record = judged(connection, record)
    if how.output is Output.TEXT:
        print_lines(outcome(record, dry_run=how.dry_run, width=terminal_width()))
    else:
        print_value(for_programs(record), how.output)
    return Exit.YES if how.dry_run or waits(record) or (record.get("status") or {}).get("counts", True) else Exit.NO


def for_programs(record: Json) -> Json:
    """The record without what only the API server cares for, as kubectl prints it."""
    return record | {"metadata": {k: v for k, v in record["metadata"].items() if k != "managedFields"}}


def waits(record: Json) -> bool:
    """Whether it was made beforehand: it counts when its subject, or its deployment, appears."""
    return (record.get("status") or {}).get("reason") in ("SubjectUnknown", "DeploymentUnknown")


def outcome(record: Json, *, dry_run: bool, width: int | None) -> Iterator[Line]:
    """What came of it. Pure."""
    spec, name, namespace = record["spec"], record["metadata"]["name"], record["metadata"].get("namespace", "")
    done = "reviewed" if spec.get("reviews") else PAST[Decision(spec["decision"])]
    if dry_run:
        yield Line(f"would be {done}: the API server would take this record (nothing was stored)", "green")
        return
    status = record.get("status")
    where = f"apr/{name}"
    if not status:
        look = f"kubectl get apr {name} -n {namespace}"
        yield from wrapped(f"{done}: {where}; the operator has not said yet whether it counts: {look}", "", "  ", width, "yellow")
    elif status["counts"]:
        yield from wrapped(f"{done}: {where} counts: {status['message']}", "", "  ", width, "green")
    elif waits(record):
        yield from wrapped(f"{done} beforehand: {where}: {status['message']}", "", "  ", width, "yellow")
    else:
        yield from wrapped(f"recorded, but it does not count: {where}: {status['reason']}: {status['message']}", "", "  ", width, "red")


def expiry(text: str | None, now: datetime) -> str | None:
    """An RFC 3339 time from `2027-01-31`, `2027-01-31T12:00:00Z` or a duration such as 30d from now. Raises BadParameter."""
    if text is None:
        return None
    try:
        end = now + duration(text) if text[-1:] in "dhms" else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time: write 2027-01-31, 2027-01-31T12:00:00Z, or 30d from now") from error
    at = (end if end.tzinfo else end.replace(tzinfo=UTC)).astimezone(UTC)
    if at <= now + timedelta(seconds=1):
        raise typer.BadParameter(f"{text!r} is not after now: give a later time")
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
