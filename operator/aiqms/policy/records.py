"""What each record says for itself: whether it counts now, and why or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.procedure import SeparationOfDuties
from aiqms.api.record import Decision, RecordStatus
from aiqms.policy.approvals import WITHDRAWABLE, Quorum, authentic, may_withdraw, until, withdrawn
from aiqms.policy.emergency import BreakGlass
from aiqms.policy.facts import FOREVER, Broken, Record
from aiqms.policy.stops import StopRoles, lifted_by, missing_to_resume
from aiqms.policy.words import moment, short

_SEEN = (Reason.COUNTED, Reason.SUBJECT_SUPERSEDED, Reason.EXPIRED, Reason.SAME_PERSON_TWICE)


@dataclass(frozen=True)
class Standing:
    """What records are held against: the current subject, those still cleared beside it, and their quorums by fingerprint.

    editors: who last changed the current subject. glass: the Emergencies that count, of every procedure.
    """

    current: str | None
    quorums: Mapping[str, Sequence[Quorum]]
    now: datetime
    stop_roles: StopRoles = field(default_factory=dict)
    editors: tuple[str, ...] = ()
    glass: tuple[BreakGlass, ...] = ()

    @property
    def roles(self) -> set[str]:
        return {r.role for quorums in self.quorums.values() for q in quorums for r in q.term.roles}


def verdicts(records: Sequence[Record], at: Standing) -> dict[str, RecordStatus]:
    """A verdict for each record, by name."""
    return {r.name: verdict(r, records, at) for r in records}


def verdict(record: Record, records: Sequence[Record], at: Standing) -> RecordStatus:
    """The first thing that keeps the record from counting; else that it counts."""
    match record.spec.decision:
        case Decision.WITHDRAW:
            return _withdrawal(record, records)
        case Decision.STOP:
            return stop_verdict(record, records, at.stop_roles)
        case Decision.RESUME:
            return resume_verdict(record, records, at.stop_roles)
        case Decision.EMERGENCY:
            return _emergency(record, records, at)
    if record.spec.reviews:
        return _review(record, records, at)
    checks = (
        _not_authorized(record),
        _taken_back(record, records),
        _other_subject(record, at),
        _no_such_role(record, at),
        _over(record, at),
        _editor(record, at),
        _twice(record, at),
    )
    return next((v for v in checks if v), _counted(record, at))


def unregistered(record: Record, records: Sequence[Record], stop_roles: StopRoles) -> RecordStatus:
    """For a record whose deployment is not in the register: Stop and Resume count all the same."""
    if record.spec.decision is Decision.STOP:
        return stop_verdict(record, records, stop_roles)
    if record.spec.decision is Decision.RESUME:
        return resume_verdict(record, records, stop_roles)
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


def stop_verdict(record: Record, records: Sequence[Record], roles: StopRoles) -> RecordStatus:
    """Whether a Stop stands, and what is missing to lift it."""
    if not authentic(record):
        return not_authorized(record)
    named = sorted({role for each in roles.values() for role in each})
    if record.spec.role not in named:
        return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure names {record.spec.role} under stop.roles; they name: {', '.join(named) or 'none'}")
    if by := lifted_by(record, records, roles):
        return _no(Reason.RESUMED, f"lifted by {', '.join(sorted({r.person for r in by}))} (apr/{by[-1].name})")
    waits = "; ".join(f"{' or '.join(each)} ({name})" for name, each in missing_to_resume(record, records, roles).items())
    return RecordStatus(
        counts=True, reason=Reason.COUNTED, message=f"{record.person} stopped {record.spec.deployment}; to lift it, a Resume is missing by {waits}"
    )


def resume_verdict(record: Record, records: Sequence[Record], roles: StopRoles) -> RecordStatus:
    """Whether a Resume lifts, or helps to lift, an earlier Stop."""
    if not authentic(record):
        return not_authorized(record)
    if not any(record.spec.role in each for each in roles.values()):
        return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure names {record.spec.role} under stop.roles")
    earlier = [r for r in records if r.spec.decision is Decision.STOP and r.created < record.created]
    if not earlier:
        return _no(Reason.NOTHING_TO_RESUME, "there is no earlier Stop; one of the same second is not lifted: make another Resume")
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} lets {record.spec.deployment} go on as {record.spec.role}")


def _emergency(record: Record, records: Sequence[Record], at: Standing) -> RecordStatus:
    if not authentic(record):
        return not_authorized(record)
    if taken := _taken_back(record, records):
        return taken
    glass = next((g for g in at.glass if g.record.name == record.name), None)
    if glass is None:
        return _no(
            Reason.EMERGENCY_NOT_ALLOWED, f"no procedure names {record.spec.role} under emergency.roles, or an earlier emergency had not been reviewed in time"
        )
    if glass.until <= at.now:
        return _no(Reason.EXPIRED, f"ended at {moment(glass.until)}; {_reviewed(glass)}")
    if record.spec.subject != at.current:
        return _no(
            Reason.SUBJECT_SUPERSEDED, f"it clears {short(record.spec.subject)} alone, and the current subject is {short(at.current)}; {_reviewed(glass)}"
        )
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} broke the glass until {moment(glass.until)}; {_reviewed(glass)}")


def _reviewed(glass: BreakGlass) -> str:
    return f"reviewed by {glass.review.person} (apr/{glass.review.name})" if glass.review else f"a review is due by {moment(glass.due)}"


def _review(record: Record, records: Sequence[Record], at: Standing) -> RecordStatus:
    if not authentic(record):
        return not_authorized(record)
    glass = next((g for g in at.glass if g.record.name == record.spec.reviews), None)
    if glass is None:
        return _no(Reason.NOTHING_TO_REVIEW, f"no Emergency named {record.spec.reviews} that counted: name it in spec.reviews")
    if record.person == glass.record.person:
        return _no(Reason.SAME_PERSON_TWICE, f"{record.person} broke the glass: another person has to review it")
    if glass.review is None or record.spec.role not in at.roles:
        return _no(Reason.ROLE_NOT_REQUIRED, f"a review is by a role that approves: {', '.join(sorted(at.roles))}")
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} reviewed the emergency of {glass.record.person} ({record.spec.decision})")


def _editor(record: Record, at: Standing) -> RecordStatus | None:
    """Under DistinctFromEditors who last changed what is approved approves nothing, where every procedure that names the role says so."""
    asking = [q for q in at.quorums[record.spec.subject or ""] if any(r.role == record.spec.role for r in q.term.roles)]
    barred = all(q.term.separation_of_duties is SeparationOfDuties.DISTINCT_FROM_EDITORS for q in asking)
    if record.spec.decision is not Decision.APPROVE or record.spec.subject != at.current or record.person not in at.editors or not barred:
        return None
    return _no(Reason.SUBMITTER_MAY_NOT_APPROVE, f"{record.person} last changed what is approved: another person has to approve")


def _withdrawal(record: Record, records: Sequence[Record]) -> RecordStatus:
    target = next((r for r in records if r.name == record.spec.withdraws and r.spec.decision in WITHDRAWABLE), None)
    if target is None:
        return _no(
            Reason.NOTHING_TO_WITHDRAW,
            f"no Approve, Reject or Emergency named {record.spec.withdraws} for {record.spec.deployment} here: name it in spec.withdraws",
        )
    if not may_withdraw(record, target):
        return _no(
            Reason.MAY_NOT_WITHDRAW,
            f"{target.name} is by {target.person}: its author, or a holder of verb withdraw on role {target.spec.role}, may take it back",
        )
    return RecordStatus(counts=True, reason=Reason.COUNTED, message=f"{record.person} takes back apr/{target.name} of {target.person}")


def _not_authorized(record: Record) -> RecordStatus | None:
    return None if authentic(record) else not_authorized(record)


def not_authorized(record: Record) -> RecordStatus:
    """Its author did not hold the role."""
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
    roles = [r for q in at.quorums.get(record.spec.subject or "", ()) for r in q.term.roles if r.role == record.spec.role]
    return max((until(record, r) for r in roles), default=record.spec.expires or FOREVER)


def _over(record: Record, at: Standing) -> RecordStatus | None:
    end = _end(record, at)
    return _no(Reason.EXPIRED, f"ended at {moment(end)}: approve anew") if record.spec.decision is Decision.APPROVE and end <= at.now else None


def _twice(record: Record, at: Standing) -> RecordStatus | None:
    """The person fills another place in every procedure that names the role, so that this record adds nothing."""
    if record.spec.decision is not Decision.APPROVE:
        return None
    quorums = [q for q in at.quorums.get(record.spec.subject or "", ()) if any(r.role == record.spec.role for r in q.term.roles)]
    others = [next((r for r in q.filled.values() if r.person == record.person and r.name != record.name), None) for q in quorums]
    used = any(r.name == record.name for q in quorums for r in q.filled.values())
    if used or not others or not all(others):
        return None
    other = next(r for r in others if r)
    return _no(Reason.SAME_PERSON_TWICE, f"{record.person} already counts as {other.spec.role} (apr/{other.name}): another person has to approve")
