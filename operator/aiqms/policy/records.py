"""What each record says for itself: whether it counts now, and why or why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.record import Decision, RecordStatus
from aiqms.api.values import FOREVER
from aiqms.policy.approvals import Quorum, Records, authentic, may_withdraw, until
from aiqms.policy.facts import Broken, Record
from aiqms.policy.words import moment, short

_SEEN = (Reason.COUNTED, Reason.SUBJECT_SUPERSEDED, Reason.EXPIRED, Reason.SAME_PERSON_TWICE, Reason.ROLE_NOT_REQUIRED)  # said of a subject once judged


@dataclass(frozen=True)
class Standing:
    """What records are held against: the current subject, and the quorums of it and of what is cleared beside it, by fingerprint.

    seen: the fingerprints of other subjects that were cleared before.
    """

    records: Records
    current: str | None
    quorums: Mapping[str, Sequence[Quorum]]
    seen: Collection[str]
    now: datetime

    def naming(self, record: Record) -> list[Quorum]:
        """The quorums of the record's subject that name its role."""
        return [q for q in self.quorums.get(record.spec.subject, ()) if any(r.role == record.spec.role for r in q.term.roles)]


def verdicts(at: Standing) -> dict[str, RecordStatus]:
    """A verdict for each record, by name."""
    return {r.name: verdict(r, at) for r in at.records.all}


def verdict(record: Record, at: Standing) -> RecordStatus:
    """The first thing that keeps the record from counting; else that it counts."""
    if record.spec.decision is Decision.WITHDRAW:
        return _withdrawal(record, at)
    return next((no for check in _CHAIN if (no := check(record, at))), None) or _counted(record, at)


def unregistered(record: Record) -> RecordStatus:
    """For a record whose deployment is not in the register."""
    return _no(
        Reason.DEPLOYMENT_UNKNOWN,
        f"no AIModelDeployment {record.spec.deployment} in this namespace: it counts when one with subject {short(record.spec.subject)} appears",
    )


def unreadable(record: Broken) -> RecordStatus:
    """For a record that this version cannot read."""
    return _no(Reason.INVALID, record.message)


def _no(reason: Reason, message: str) -> RecordStatus:
    return RecordStatus(counts=False, reason=reason, message=message[:4096])


def _yes(message: str) -> RecordStatus:
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=message[:4096])


def _counted(record: Record, at: Standing) -> RecordStatus:
    what, end = ("rejects", FOREVER) if record.spec.decision is Decision.REJECT else ("approves", _end(record, at))
    tail = f" until {moment(end)}" if end < FOREVER else ""
    which = "the current subject" if record.spec.subject == at.current else f"{short(record.spec.subject)}, which serves until the new subject is approved"
    return _yes(f"{record.person} {what} {which} as {record.spec.role}{tail}")


def _withdrawal(record: Record, at: Standing) -> RecordStatus:
    target = at.records.targets.get(record.spec.withdraws or "")
    if target is None:
        return _no(
            Reason.NOTHING_TO_WITHDRAW, f"no Approve or Reject named {record.spec.withdraws} for {record.spec.deployment} here: name it in spec.withdraws"
        )
    if not may_withdraw(record, target):
        return _no(
            Reason.MAY_NOT_WITHDRAW,
            f"{target.name} is by {target.person}: its author, or a holder of verb withdraw on role {target.spec.role}, may take it back",
        )
    return _yes(f"{record.person} takes back apr/{target.name} of {target.person}")


def _not_authorized(record: Record, at: Standing) -> RecordStatus | None:
    if authentic(record):
        return None
    return _no(
        Reason.NOT_AUTHORIZED,
        f"{record.person or 'its author'} did not hold role {record.spec.role} when making it: hold the role by name, and make another record",
    )


def _taken_back(record: Record, at: Standing) -> RecordStatus | None:
    by = at.records.withdrawn.get(record.name)
    return _no(Reason.WITHDRAWN, f"taken back by {by.person} (apr/{by.name})") if by else None


def _other_subject(record: Record, at: Standing) -> RecordStatus | None:
    if record.spec.subject in at.quorums:
        return None
    current = f"the current subject is {short(at.current)}" if at.current else "the current subject is not known yet"
    if record.spec.subject in at.seen or (record.before and record.before.reason in _SEEN):
        return _no(Reason.SUBJECT_SUPERSEDED, f"{current}; it counts again if {record.spec.deployment} goes back to {short(record.spec.subject)}")
    return _no(Reason.SUBJECT_UNKNOWN, f"{current}; it counts when {short(record.spec.subject)} appears")


def _no_such_role(record: Record, at: Standing) -> RecordStatus | None:
    if at.naming(record):
        return None
    named = sorted({r.role for q in at.quorums[record.spec.subject] for r in q.term.roles})
    return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure that applies names role {record.spec.role}; they name: {', '.join(named) or 'none'}")


def _end(record: Record, at: Standing) -> datetime:
    """The latest end that any procedure gives the approval."""
    return max(until(record, r) for q in at.naming(record) for r in q.term.roles if r.role == record.spec.role)


def _over(record: Record, at: Standing) -> RecordStatus | None:
    if record.spec.decision is Decision.REJECT or at.now < _end(record, at):
        return None
    return _no(Reason.EXPIRED, f"ended at {moment(_end(record, at))}: approve anew")


def _twice(record: Record, at: Standing) -> RecordStatus | None:
    """The person fills another place in every procedure that names the role, so that this record adds nothing."""
    if record.spec.decision is Decision.REJECT:
        return None
    filled = [list(q.filled.values()) for q in at.naming(record)]
    others = [next((r for r in records if r.person == record.person), None) for records in filled]
    other = next((r for r in others if r), None)
    if other is None or not all(others) or any(r.name == record.name for records in filled for r in records):
        return None
    return _no(Reason.SAME_PERSON_TWICE, f"{record.person} already counts as {other.spec.role} (apr/{other.name}): another person has to approve")


_CHAIN: list[Callable[[Record, Standing], RecordStatus | None]] = [_not_authorized, _taken_back, _other_subject, _no_such_role, _over, _twice]
