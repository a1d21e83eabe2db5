"""What each record says for itself: whether it counts now, and why or why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.procedure import SeparationOfDuties
from aiqms.api.record import Decision, RecordStatus
from aiqms.api.values import FOREVER
from aiqms.policy.approvals import Quorum, Records, authentic, may_withdraw, until
from aiqms.policy.emergency import BreakGlass, counted_once
from aiqms.policy.facts import Broken, Record
from aiqms.policy.reviews import Confirmed, confirms
from aiqms.policy.stops import StopRoles, can_stop, lifted_by, missing_to_resume, waits, was_lifted
from aiqms.policy.words import moment, short

_SEEN = (Reason.COUNTED, Reason.SUBJECT_SUPERSEDED, Reason.EXPIRED, Reason.SAME_PERSON_TWICE, Reason.ROLE_NOT_REQUIRED)  # said of a subject once judged


@dataclass(frozen=True)
class Standing:
    """What records are held against: the current subject, and the quorums of it and of what is cleared beside it, by fingerprint.

    seen: the fingerprints of other subjects that were cleared before. editors: who changed each. glass: the Emergencies that count.
    confirmed: what an access review is held against.
    """

    records: Records
    current: str | None
    quorums: Mapping[str, Sequence[Quorum]]
    seen: Collection[str]
    now: datetime
    stop_roles: StopRoles = field(default_factory=dict)
    editors: Mapping[str, Collection[str]] = field(default_factory=dict)
    glass: Sequence[BreakGlass] = ()
    governed: bool = True
    confirmed: Confirmed = field(default_factory=Confirmed)

    def naming(self, record: Record) -> list[Quorum]:
        """The quorums of the record's subject that name its role."""
        return [q for q in self.quorums.get(record.spec.subject or "", ()) if any(r.role == record.spec.role for r in q.term.roles)]


def verdicts(at: Standing) -> dict[str, RecordStatus]:
    """A verdict for each record, by name."""
    return {r.name: remembering(r, verdict(r, at), at.confirmed.list) for r in at.records.all}


def remembering(record: Record, said: RecordStatus, now: str = "") -> RecordStatus:
    """The verdict, with what an access review was once found to confirm. now: the digest of the list."""
    found = record.spec.decision is Decision.REVIEW_ACCESS and authentic(record) and confirms(record, now)
    return said.model_copy(update={"confirmed": record.spec.list}) if found else said


def verdict(record: Record, at: Standing) -> RecordStatus:
    """The first thing that keeps the record from counting; else that it counts."""
    match record.spec.decision:
        case Decision.WITHDRAW:
            return _withdrawal(record, at)
        case Decision.STOP | Decision.RESUME:
            return order(record, at.records, at.stop_roles, governed=at.governed)
        case Decision.EMERGENCY:
            return next((no for check in _EMERGENCY if (no := check(record, at))), None) or _broke(record, at)
        case Decision.REVIEW_ACCESS:
            return next((no for check in _ACCESS if (no := check(record, at))), None) or _yes(
                f"{record.person} confirmed who can do what, as {record.spec.role}"
            )
    if record.spec.reviews:
        return next((no for check in _REVIEW if (no := check(record, at))), None) or _yes(f"{record.person} reviewed the emergency ({record.spec.decision})")
    return next((no for check in _CHAIN if (no := check(record, at))), None) or _counted(record, at)


def unregistered(record: Record, records: Records, roles: StopRoles, *, governed: bool) -> RecordStatus:
    """For a record whose deployment is not in the register: Stop and Resume count all the same, and an Emergency goes on having to be reviewed."""
    if record.spec.decision in (Decision.STOP, Decision.RESUME):
        return order(record, records, roles, governed=governed)
    if record.spec.decision is Decision.EMERGENCY and record.before and counted_once(record):
        return record.before
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


def order(record: Record, records: Records, roles: StopRoles, *, governed: bool) -> RecordStatus:
    """A Stop or a Resume, which are about the deployment whatever its subject."""
    if not authentic(record):
        return _without_role(record)
    return _stop(record, records, roles, governed=governed) if record.spec.decision is Decision.STOP else _resume(record, records, roles)


def _not_named(record: Record, roles: StopRoles) -> RecordStatus:
    named = sorted({role for each in roles.values() for role in each})
    return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure names {record.spec.role} under stop.roles; they name: {', '.join(named) or 'none'}")


def _stop(record: Record, records: Records, roles: StopRoles, *, governed: bool) -> RecordStatus:
    if was_lifted(record) and record.before:
        return record.before
    if not can_stop(record, roles):
        return _not_named(record, roles)
    if by := lifted_by(record, records, roles):
        return _no(Reason.RESUMED, f"lifted by {', '.join(sorted({r.person for r in by}))} (apr/{by[-1].name})")
    needed = waits(missing_to_resume(record, records, roles))
    when = "" if governed else " as soon as the gate judges this namespace, which it does not now"
    return _yes(f"{record.person} stopped {record.spec.deployment}{when}; to go on, a Resume is missing by {needed}")


def _resume(record: Record, records: Records, roles: StopRoles) -> RecordStatus:
    if not any(record.spec.role in each for each in roles.values()):
        return _not_named(record, roles)
    if not any(s.created < record.created for s in records.authentic.get(Decision.STOP, ())):
        return _no(Reason.NOTHING_TO_RESUME, "there is no earlier Stop; one of the same second is not lifted: make another Resume")
    return _yes(f"{record.person} lets {record.spec.deployment} go on as {record.spec.role}")


def _glass(name: str | None, at: Standing) -> BreakGlass | None:
    return next((g for g in at.glass if g.record.name == name), None)


def _reviewed(glass: BreakGlass) -> str:
    return f"reviewed by {glass.review.person} (apr/{glass.review.name})" if glass.review else f"a review by somebody else is due by {moment(glass.due)}"


def _broke(record: Record, at: Standing) -> RecordStatus:
    glass = _glass(record.name, at)
    return _yes(f"{record.person} broke the glass until {moment(glass.until)}; {_reviewed(glass)}") if glass else _not_allowed(record, at) or _yes("")


def _not_allowed(record: Record, at: Standing) -> RecordStatus | None:
    if _glass(record.name, at):
        return None
    said = f"no procedure that applies names {record.spec.role} under emergency.roles, or an earlier emergency had not been reviewed in time"
    return _no(Reason.EMERGENCY_NOT_ALLOWED, said)


def _glass_over(record: Record, at: Standing) -> RecordStatus | None:
    glass = _glass(record.name, at)
    return _no(Reason.EXPIRED, f"ended at {moment(glass.until)}; {_reviewed(glass)}") if glass and not glass.in_force(at.now) else None


def _glass_elsewhere(record: Record, at: Standing) -> RecordStatus | None:
    glass = _glass(record.name, at)
    if glass is None or record.spec.subject == at.current:
        return None
    said = f"it clears {short(record.spec.subject)} alone, and the current subject is {short(at.current)}; {_reviewed(glass)}"
    return _no(Reason.SUBJECT_SUPERSEDED, said)


def _nothing_to_review(record: Record, at: Standing) -> RecordStatus | None:
    if _glass(record.spec.reviews, at):
        return None
    return _no(Reason.NOTHING_TO_REVIEW, f"no Emergency named {record.spec.reviews} that counted: name it in spec.reviews")


def _too_early(record: Record, at: Standing) -> RecordStatus | None:
    glass = _glass(record.spec.reviews, at)
    if glass is None or record.created >= glass.record.created:
        return None
    return _no(Reason.NOTHING_TO_REVIEW, f"it was made before apr/{glass.record.name}: look at the emergency afterwards, and make another record")


def _own_emergency(record: Record, at: Standing) -> RecordStatus | None:
    glass = _glass(record.spec.reviews, at)
    if glass is None or record.person != glass.record.person:
        return None
    return _no(Reason.SAME_PERSON_TWICE, f"{record.person} broke the glass: another person has to review it")


def _reviewer(record: Record, at: Standing) -> RecordStatus | None:
    """By its role, of a procedure under which the glass was broken."""
    roles = sorted({role for g in at.glass if g.record.name == record.spec.reviews for role in g.reviewers})
    return None if record.spec.role in roles else _no(Reason.ROLE_NOT_REQUIRED, f"a review is by a role that approves: {', '.join(roles)}")


def _editor(record: Record, at: Standing) -> RecordStatus | None:
    """Under DistinctFromEditors who changed what is approved approves nothing of it, where every procedure that names the role says so."""
    barred = all(q.term.separation_of_duties is SeparationOfDuties.DISTINCT_FROM_EDITORS for q in at.naming(record))
    if record.spec.decision is not Decision.APPROVE or record.person not in at.editors.get(record.spec.subject or "", ()) or not barred:
        return None
    return _no(Reason.SUBMITTER_MAY_NOT_APPROVE, f"{record.person} changed what is approved: another person has to approve")


def _no_access_review(record: Record, at: Standing) -> RecordStatus | None:
    if record.spec.role in at.confirmed.roles:
        return None
    asked = f"they name: {', '.join(at.confirmed.roles)}" if at.confirmed.roles else "none asks for access reviews (access.reviewEvery)"
    return _no(Reason.ROLE_NOT_REQUIRED, f"no procedure that applies has {record.spec.role} review who can do what; {asked}")


def _other_list(record: Record, at: Standing) -> RecordStatus | None:
    if confirms(record, at.confirmed.list):
        return None
    said = f"the list of who can do what is {short(at.confirmed.list)}, not {short(record.spec.list)}"
    return _no(Reason.LIST_DIFFERS, f"{said}: look again with kubectl qms review-access {record.spec.deployment}")


def _withdrawal(record: Record, at: Standing) -> RecordStatus:
    target = at.records.targets.get(record.spec.withdraws or "")
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
    return _yes(f"{record.person} takes back apr/{target.name} of {target.person}")


def _not_authorized(record: Record, at: Standing) -> RecordStatus | None:
    return None if authentic(record) else _without_role(record)


def _without_role(record: Record) -> RecordStatus:
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
    named = sorted({r.role for q in at.quorums[record.spec.subject or ""] for r in q.term.roles})
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


Check = Callable[[Record, Standing], RecordStatus | None]
_CHAIN: list[Check] = [_not_authorized, _taken_back, _other_subject, _no_such_role, _over, _editor, _twice]
_EMERGENCY: list[Check] = [_not_authorized, _not_allowed, _taken_back, _glass_over, _glass_elsewhere]  # emergency.counted_once relies on this order
_ACCESS: list[Check] = [_not_authorized, _no_access_review, _other_list]
_REVIEW: list[Check] = [_not_authorized, _taken_back, _nothing_to_review, _too_early, _own_emergency, _reviewer]
