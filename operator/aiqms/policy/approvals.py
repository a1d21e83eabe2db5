"""Approvals: which records count for a subject, whether they are enough, and until when (AI Act Art. 17(1)(m), DESIGN invariant 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.api.clearance import Term
from aiqms.api.procedure import RequiredRole, SeparationOfDuties
from aiqms.api.record import Decision
from aiqms.api.values import duration
from aiqms.policy.facts import FOREVER, Record

WITHDRAWABLE = (Decision.APPROVE, Decision.REJECT, Decision.EMERGENCY)  # a Stop is lifted by Resume


@dataclass(frozen=True)
class Slot:
    """One place that one person fills."""

    role: str
    number: int


@dataclass(frozen=True)
class Quorum:
    """How far one term has come at one time. filled: slot -> record. until: the last instant at which enough approvals hold, None if there never were."""

    term: Term
    filled: Mapping[Slot, Record] = field(default_factory=dict)
    until: datetime | None = None

    def of(self, role: str) -> list[Record]:
        """The records that fill the role's places, by person."""
        return sorted((r for slot, r in self.filled.items() if slot.role == role), key=lambda r: r.person)

    def enough(self, now: datetime) -> bool:
        """Whether every place is filled now."""
        return self.until is not None and now < self.until


def withdrawn(records: Sequence[Record]) -> dict[str, Record]:
    """Name of each record that was taken back, and the record that did."""
    targets = {r.name: r for r in records if r.spec.decision in WITHDRAWABLE}
    takers = [r for r in by_age(records) if r.spec.decision is Decision.WITHDRAW and r.spec.withdraws in targets]
    return {str(r.spec.withdraws): r for r in reversed(takers) if may_withdraw(r, targets[str(r.spec.withdraws)])}


def may_withdraw(record: Record, target: Record) -> bool:
    """The author may, and whoever held verb withdraw on the target's role by name (people leave)."""
    authorized = bool(record.spec.approver and record.spec.approver.authorized)
    return bool(record.person) and (record.person == target.person or (authorized and record.spec.role == target.spec.role))


def authentic(record: Record) -> bool:
    """The API server authenticated its author, who held the role by name when making it."""
    return bool(record.spec.approver and record.spec.approver.username and record.spec.approver.authorized)


def rejections(records: Sequence[Record], *, fingerprint: str, roles: Iterable[str]) -> list[Record]:
    """Rejects of the subject that stand, oldest first."""
    return [r for r in by_age(standing(records, fingerprint, Decision.REJECT)) if r.spec.role in set(roles)]


def standing(records: Sequence[Record], fingerprint: str, decision: Decision) -> list[Record]:
    """Authentic records of this decision about this subject that nobody took back, whatever their time; reviews of an Emergency are none."""
    gone = withdrawn(records)
    found = [r for r in records if r.spec.decision is decision and r.spec.subject == fingerprint and r.spec.reviews is None]
    return [r for r in found if authentic(r) and r.name not in gone]


def counting(term: Term, records: Sequence[Record], *, fingerprint: str, editors: Iterable[str] = ()) -> list[Record]:
    """Approvals that may fill a place: under DistinctFromEditors none by who last changed what is approved."""
    barred = set(editors) if term.separation_of_duties is SeparationOfDuties.DISTINCT_FROM_EDITORS else set()
    return [r for r in standing(records, fingerprint, Decision.APPROVE) if r.person not in barred]


def until(record: Record, role: RequiredRole) -> datetime:
    """When an approval ends: its own expires or the procedure's validFor from its creation, whichever is earlier."""
    by_procedure = record.created + duration(role.valid_for) if role.valid_for else FOREVER
    return min(by_procedure, record.spec.expires or FOREVER)


def quorum(term: Term, records: Sequence[Record], *, fingerprint: str, now: datetime, editors: Iterable[str] = ()) -> Quorum:
    """The most places that can be filled now, and the last instant at which all of them are."""
    approvals = counting(term, records, fingerprint=fingerprint, editors=editors)
    return Quorum(term=term, filled=fill(term, approvals, at=now), until=valid_until(term, approvals))


def valid_until(term: Term, approvals: Sequence[Record]) -> datetime | None:
    """The latest end of an approval up to which a full matching exists. More approvals hold earlier, so halving finds it."""
    roles = {r.role: r for r in term.roles}
    ends = sorted({until(a, roles[a.spec.role]) for a in approvals if a.spec.role in roles})
    low, high = -1, len(ends) - 1  # ends[low] works (or low is -1), ends above high do not
    while low < high:
        middle = (low + high + 1) // 2
        if len(fill(term, approvals, at=_before(ends[middle]))) == sum(r.count for r in term.roles):
            low = middle
        else:
            high = middle - 1
    return ends[low] if low >= 0 else None


def _before(end: datetime) -> datetime:
    return end - datetime.resolution


def fill(term: Term, approvals: Sequence[Record], *, at: datetime) -> dict[Slot, Record]:
    """A maximum matching of people to places at one time, so that the order of records never matters.

    DistinctPeople: a person fills one place of the procedure; None: one of each role.
    """
    best = _latest(term, approvals, at=at)
    if term.separation_of_duties is SeparationOfDuties.NONE:
        return {slot: record for role in term.roles for slot, record in _match([role], {k: v for k, v in best.items() if k[1] == role.role}).items()}
    return _match(term.roles, best)


def _latest(term: Term, approvals: Sequence[Record], *, at: datetime) -> dict[tuple[str, str], Record]:
    """For each person and role the approval that holds longest."""
    roles = {r.role: r for r in term.roles}
    live = [a for a in approvals if a.spec.role in roles and at < until(a, roles[a.spec.role])]
    ordered = sorted(live, key=lambda a: (until(a, roles[a.spec.role]), a.name))
    return {(a.person, a.spec.role): a for a in ordered}


def _match(roles: Sequence[RequiredRole], best: Mapping[tuple[str, str], Record]) -> dict[Slot, Record]:
    """Augmenting paths over places and people (bipartite maximum matching)."""
    taken: dict[str, Slot] = {}
    people = sorted({person for person, _ in best})

    def seat(slot: Slot, tried: set[str]) -> bool:
        for person in people:
            if (person, slot.role) in best and person not in tried:
                tried.add(person)
                if person not in taken or seat(taken[person], tried):
                    taken[person] = slot
                    return True
        return False

    for slot in (Slot(r.role, n) for r in sorted(roles, key=lambda r: r.role) for n in range(r.count)):
        seat(slot, set())
    return {slot: best[(person, slot.role)] for person, slot in taken.items()}


def by_age(records: Iterable[Record]) -> list[Record]:
    return sorted(records, key=lambda r: (r.created, r.name))
