"""What each record says for itself: whether it counts now, and why or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.record import Decision, RecordStatus
from aiqms.policy.approvals import Quorum, authentic, may_withdraw, until, withdrawn
from aiqms.policy.facts import FOREVER, Broken, Record
from aiqms.policy.words import moment, short

_SEEN = (Reason.COUNTED, Reason.SUBJECT_SUPERSEDED, Reason.EXPIRED, Reason.SAME_PERSON_TWICE)


@dataclass(frozen=True)
class Standing:
    """What records are held against: the current subject, those still cleared beside it, and their quorums by fingerprint."""

    current: str | None
    quorums: Mapping[str, Sequence[Quorum]]
    now: datetime

    @property
    def roles(self) -> set[str]:
        return {r.role for quorums in self.quorums.values() for q in quorums for r in q.term.roles}


def verdicts(records: Sequence[Record], at: Standing) -> dict[str, RecordStatus]:
    """A verdict for each record, by name."""
    return {r.name: verdict(r, records, at) for r in records}


def verdict(record: Record, records: Sequence[Record], at: Standing) -> RecordStatus:
    """The first thing that keeps the record from counting; else that it counts."""
    if record.spec.decision is Decision.WITHDRAW:
        return _withdrawal(record, records)
    checks = (
        _not_authorized(record),
        _taken_back(record, records),
        _other_subject(record, at),
        _no_such_role(record, at),
        _over(record, at),
        _twice(record, at),
    )
    return next((v for v in checks if v), _counted(record, at))


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
    return RecordStatus(counts=False, reason=reason, message=message)


def _counted(record: Record, at: Standing) -> RecordStatus:
    what = "rejects" if record.spec.decision is Decision.REJECT else "approves"
    end = _end(record, at)
    tail = "" if record.spec.decision is Decision.REJECT or end is FOREVER else f" until {moment(end)}"
    which = "the current subject" if record.spec.subject == at.current else f"{short(record.spec.subject)}, which serves until the new subject is approved"
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} {what} {which} as {record.spec.role}{tail}")


def _withdrawal(record: Record, records: Sequence[Record]) -> RecordStatus:
    target = next((r for r in records if r.name == record.spec.withdraws and r.spec.decision is not Decision.WITHDRAW), None)
    if target is None:
        return _no(
            Reason.NOTHING_TO_WITHDRAW, f"no Approve or Reject named {record.spec.withdraws} for {record.spec.deployment} here: name it in spec.withdraws"
        )
    if not may_withdraw(record, target):
        return _no(
            Reason.MAY_NOT_WITHDRAW,
            f"{target.name} is by {target.person}: its author, or a holder of verb withdraw on role {target.spec.role}, may take it back",
        )
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} takes back apr/{target.name} of {target.person}")


def _not_authorized(record: Record) -> RecordStatus | None:
    if authentic(record):
        return None
    return _no(
        Reason.NOT_AUTHORIZED,
        f"{record.person or 'its author'} did not hold role {record.spec.role} when making it: hold the role by name, and make another record",
    )


def _taken_back(record: Record, records: Sequence[Record]) -> RecordStatus | None:
    by = withdrawn(records).get(record.name)
    return _no(Reason.WITHDRAWN, f"taken back by {by.person} (apr/{by.name})") if by else None


def _other_subject(record: Record, at: Standing) -> RecordStatus | None:
    if record.spec.subject in at.quorums:
        return None
    current = f"the current subject is {short(at.current)}" if at.current else "the current subject is not known yet"
    if record.before and record.before.reason in _SEEN:
        return _no(Reason.SUBJECT_SUPERSEDED, f"{current}; it counts again if {record.spec.deployment} goes back to {short(record.spec.subject)}")
    return _no(Reason.SUBJECT_UNKNOWN, f"{current}; it counts when {short(record.spec.subject)} appears")


def _no_such_role(record: Record, at: Standing) -> RecordStatus | None:
    if record.spec.role in at.roles:
        return None
    return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure that applies names role {record.spec.role}; they name: {', '.join(sorted(at.roles)) or 'none'}")


def _end(record: Record, at: Standing) -> datetime:
    """The latest end that any procedure gives the approval."""
    roles = [r for q in at.quorums.get(record.spec.subject, ()) for r in q.term.roles if r.role == record.spec.role]
    return max((until(record, r) for r in roles), default=record.spec.expires or FOREVER)


def _over(record: Record, at: Standing) -> RecordStatus | None:
    end = _end(record, at)
    return _no(Reason.EXPIRED, f"ended at {moment(end)}: approve anew") if record.spec.decision is Decision.APPROVE and end <= at.now else None


def _twice(record: Record, at: Standing) -> RecordStatus | None:
    """The person fills another place in every procedure that names the role, so that this record adds nothing."""
    if record.spec.decision is not Decision.APPROVE:
        return None
    quorums = [q for q in at.quorums.get(record.spec.subject, ()) if any(r.role == record.spec.role for r in q.term.roles)]
    others = [next((r for r in q.filled.values() if r.person == record.person and r.name != record.name), None) for q in quorums]
    used = any(r.name == record.name for q in quorums for r in q.filled.values())
    if used or not others or not all(others):
        return None
    other = next(r for r in others if r)
    return _no(Reason.SAME_PERSON_TWICE, f"{record.person} already counts as {other.spec.role} (apr/{other.name}): another person has to approve")
