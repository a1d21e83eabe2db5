"""Approvals: which records count for a subject, whether they are enough, and until when (AI Act Art. 17(1)(m), invariant 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from aiqms.api.clearance import Term
from aiqms.api.procedure import RequiredRole, SeparationOfDuties
from aiqms.api.record import Decision
from aiqms.api.values import FOREVER, later
from aiqms.policy.facts import Record

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Records:
    """A deployment's records, sifted once, each list oldest first.

    targets: what can be taken back, by name. withdrawn: name of each that was -> the record that did. approvals, rejects: those that stand, by subject.
    authentic: all whose author held the role, by decision; reviews: Approves and Rejects that look at an Emergency afterwards, and approve nothing.
    """

    all: tuple[Record, ...] = ()
    targets: Mapping[str, Record] = field(default_factory=dict)
    withdrawn: Mapping[str, Record] = field(default_factory=dict)
    approvals: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    rejects: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    authentic: Mapping[Decision, Sequence[Record]] = field(default_factory=dict)
    reviews: Mapping[str, Sequence[Record]] = field(default_factory=dict)


WITHDRAWABLE = (Decision.APPROVE, Decision.REJECT, Decision.EMERGENCY)  # a Stop is lifted by Resume


def sifted(records: Iterable[Record]) -> Records:
    """Sorts records by what they say. One stands if it is authentic and nobody took it back, whatever its time."""
    ordered = tuple(sorted(records, key=lambda r: (r.created, r.name)))
    targets = {r.name: r for r in ordered if r.spec.decision in WITHDRAWABLE}
    gone = _withdrawn([r for r in ordered if r.spec.decision is Decision.WITHDRAW], targets)
    stand = [r for r in targets.values() if authentic(r) and r.name not in gone and r.spec.reviews is None]
    held = _grouped((r for r in ordered if authentic(r)), lambda r: r.spec.decision)
    reviews = _grouped((r for r in ordered if authentic(r) and r.spec.reviews and r.name not in gone), lambda r: r.spec.reviews or "")
    return Records(ordered, targets, gone, _by_subject(stand, Decision.APPROVE), _by_subject(stand, Decision.REJECT), held, reviews)


def _withdrawn(takers: Sequence[Record], targets: Mapping[str, Record]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for record in takers:
        target = targets.get(record.spec.withdraws or "")
        if target and may_withdraw(record, target):
            found.setdefault(target.name, record)
    return found


def _by_subject(records: Iterable[Record], decision: Decision) -> dict[str, list[Record]]:
    return _grouped((r for r in records if r.spec.decision is decision), lambda r: r.spec.subject or "")


def _grouped(records: Iterable[Record], key: Callable[[Record], K]) -> dict[K, list[Record]]:
    found: dict[K, list[Record]] = {}
    for record in records:
        found.setdefault(key(record), []).append(record)
    return found


def may_withdraw(record: Record, target: Record) -> bool:
    """The author may, and whoever held verb withdraw on the target's role by name (people leave)."""
    authorized = bool(record.spec.approver and record.spec.approver.authorized)
    return bool(record.person) and (record.person == target.person or (authorized and record.spec.role == target.spec.role))


def authentic(record: Record) -> bool:
    """The API server authenticated its author, who held the role by name when making it."""
    return bool(record.spec.approver and record.spec.approver.username and record.spec.approver.authorized)


def rejections(records: Records, *, fingerprint: str, roles: Collection[str]) -> list[Record]:
    """Rejects of the subject by these roles that stand, oldest first."""
    return [r for r in records.rejects.get(fingerprint, ()) if r.spec.role in roles]


def until(record: Record, role: RequiredRole) -> datetime:
    """When an approval ends: its own expires or the procedure's validFor from its creation, whichever is earlier."""
    by_procedure = later(record.created, role.valid_for) if role.valid_for else FOREVER
    return min(by_procedure, record.spec.expires or FOREVER)


@dataclass(frozen=True)
class Slot:
    """One place that one person fills."""

    role: str
    number: int


@dataclass(frozen=True)
class Quorum:
    """How far one term has come at one time. filled: slot -> record. until: when the approvals stop being enough, None if they never were."""

    term: Term
    filled: Mapping[Slot, Record] = field(default_factory=dict)
    until: datetime | None = None

    def of(self, role: str) -> list[Record]:
        """The records that fill the role's places, by person."""
        return sorted((r for slot, r in self.filled.items() if slot.role == role), key=lambda r: r.person)

    def enough(self, now: datetime) -> bool:
        """Whether every place is filled now."""
        return self.until is not None and now < self.until

    def lasts(self, role: RequiredRole, now: datetime) -> datetime | None:
        """When what the role has now ends: with the whole quorum where that is full, else with the first of its records. None: nothing, or never."""
        ends = [self.until] if self.enough(now) else [until(r, role) for r in self.of(role.role)]
        return min((e for e in ends if e and e < FOREVER), default=None)


def quorum(term: Term, records: Records, *, fingerprint: str, now: datetime, editors: Collection[str] = ()) -> Quorum:
    """The most places that can be filled now, by those who hold the longest where all can. editors: the people who changed the subject, where known."""
    lasting = _lasting(term, _counting(term, records, fingerprint, editors))
    end = _end(term, lasting)
    return Quorum(term=term, filled=_fill(term, lasting, at=_before(end) if end and now < end else now), until=end)


def valid_until(term: Term, records: Records, *, fingerprint: str, editors: Collection[str] = ()) -> datetime | None:
    """When the subject's approvals stop being enough for the term; None if they never were."""
    return _end(term, _lasting(term, _counting(term, records, fingerprint, editors)))


def _counting(term: Term, records: Records, fingerprint: str, editors: Collection[str]) -> Sequence[Record]:
    """Approvals that may fill a place: under DistinctFromEditors none by who changed what is approved."""
    found = records.approvals.get(fingerprint, ())
    barred = editors if term.separation_of_duties is SeparationOfDuties.DISTINCT_FROM_EDITORS else ()
    return [r for r in found if r.person not in barred]


Lasting = Mapping[tuple[str, str], tuple[datetime, Record]]  # (person, role) -> of the approvals by that person in that role the one that ends last


def _lasting(term: Term, approvals: Sequence[Record]) -> Lasting:
    roles = {r.role: r for r in term.roles}
    best: dict[tuple[str, str], tuple[datetime, Record]] = {}
    for approval in approvals:
        if role := roles.get(approval.spec.role):
            key, end = (approval.person, role.role), until(approval, role)
            if key not in best or best[key][0] <= end:
                best[key] = (end, approval)
    return best


def _end(term: Term, lasting: Lasting) -> datetime | None:
    """The latest end of an approval up to which every place can be filled. The earlier, the more approvals hold, so halving finds it."""
    ends = sorted({end for end, _ in lasting.values()})
    low, high = -1, len(ends) - 1  # ends[low] works (or low is -1), ends above high do not
    while low < high:
        middle = (low + high + 1) // 2
        if len(_fill(term, lasting, at=_before(ends[middle]))) == sum(r.count for r in term.roles):
            low = middle
        else:
            high = middle - 1
    return ends[low] if low >= 0 else None


def _before(end: datetime) -> datetime:
    return end - datetime.resolution


def _fill(term: Term, lasting: Lasting, *, at: datetime) -> dict[Slot, Record]:
    """As many places as can be filled at one time: one a person; where no duties are separated (None), one a person in each role."""
    live = {key: record for key, (end, record) in lasting.items() if at < end}
    if term.separation_of_duties is SeparationOfDuties.NONE:
        return {slot: record for role in term.roles for slot, record in _match([role], live).items()}
    return _match(term.roles, live)


def _match(roles: Sequence[RequiredRole], live: Mapping[tuple[str, str], Record]) -> dict[Slot, Record]:
    """A maximum matching of people to places by augmenting paths, so that the order of records never matters."""
    people = {r.role: sorted(person for person, role in live if role == r.role) for r in roles}
    taken: dict[str, Slot] = {}
    for slot in (Slot(r.role, n) for r in sorted(roles, key=lambda r: r.role) for n in range(r.count)):
        _seat(slot, people, taken, set())
    return {slot: live[(person, slot.role)] for person, slot in taken.items()}


def _seat(slot: Slot, people: Mapping[str, Sequence[str]], taken: dict[str, Slot], tried: set[str]) -> bool:
    """Whether somebody could be seated there, by moving others where need be."""
    for person in people[slot.role]:
        if person not in tried:
            tried.add(person)
            if person not in taken or _seat(taken[person], people, taken, tried):
                taken[person] = slot
                return True
    return False
