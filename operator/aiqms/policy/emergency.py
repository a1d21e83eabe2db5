"""Emergency: one person clears one subject for a while; somebody else reviews that in time, or everything stops (break-glass)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.procedure import Emergency
from aiqms.api.record import Decision
from aiqms.api.values import duration
from aiqms.policy.approvals import authentic, by_age, withdrawn
from aiqms.policy.facts import FOREVER, Procedure, Record


@dataclass(frozen=True)
class BreakGlass:
    """An Emergency record under one procedure. until: its own end; due: when its review has to be there; review: the record that is, if any."""

    procedure: str
    record: Record
    until: datetime
    due: datetime
    review: Record | None

    def in_force(self, now: datetime) -> bool:
        """Whether it clears its subject now."""
        return now < self.until

    def overdue(self, now: datetime) -> bool:
        """Whether its review is missing past its time."""
        return self.review is None and self.due <= now


def emergencies(procedure: Procedure, records: Sequence[Record]) -> list[BreakGlass]:
    """Every Emergency that the procedure allows, oldest first: one made while a review was overdue counts for nothing."""
    terms = procedure.spec.emergency
    if terms is None:
        return []
    reviewers = {r.role for r in procedure.spec.approvals.roles}
    made = [r for r in by_age(records) if r.spec.decision is Decision.EMERGENCY and authentic(r) and r.spec.role in terms.roles]
    found: list[BreakGlass] = []
    for record in made:
        if not any(_unreviewed_at(e, record.created) for e in found):
            found.append(_of(procedure.name, terms, record, records, reviewers))
    return found


def _unreviewed_at(earlier: BreakGlass, at: datetime) -> bool:
    reviewed = earlier.review.created if earlier.review else FOREVER
    return earlier.due <= at < reviewed


def _of(procedure: str, terms: Emergency, record: Record, records: Sequence[Record], reviewers: set[str]) -> BreakGlass:
    taken = withdrawn(records).get(record.name)
    longest = record.created + duration(terms.max_duration)
    until = min(longest, record.spec.expires or FOREVER, taken.created if taken else FOREVER)
    return BreakGlass(procedure, record, until, record.created + duration(terms.review_within), review_of(record, records, reviewers))


def review_of(emergency: Record, records: Sequence[Record], reviewers: set[str]) -> Record | None:
    """The first review by somebody else who holds a role that approves."""
    found = [r for r in by_age(records) if r.spec.reviews == emergency.name and authentic(r) and r.spec.role in reviewers and r.person != emergency.person]
    return found[0] if found else None
