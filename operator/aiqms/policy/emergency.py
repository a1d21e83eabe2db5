"""Emergency: one person clears one subject for a while; somebody else reviews that in time, or everything stops (break-glass).

A review that rejects ends it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.procedure import Emergency
from aiqms.api.record import Decision
from aiqms.api.values import FOREVER, later
from aiqms.policy.approvals import Records
from aiqms.policy.facts import Procedure, Record


@dataclass(frozen=True)
class BreakGlass:
    """An Emergency record under one procedure. until: its own end; due: when its review has to be there; review: the record that is, if any.

    reviewers: the roles that review it.
    """

    procedure: str
    record: Record
    until: datetime
    due: datetime
    review: Record | None
    reviewers: frozenset[str]

    def in_force(self, now: datetime) -> bool:
        """Whether it clears its subject now."""
        return now < self.until

    def overdue(self, now: datetime) -> bool:
        """Whether its review is missing past its time."""
        return self.review is None and self.due <= now


def emergencies(procedure: Procedure, records: Records) -> tuple[BreakGlass, ...]:
    """Every Emergency that the procedure allows, oldest first: one made while a review was overdue counts for nothing."""
    terms = procedure.spec.emergency
    found: list[BreakGlass] = []
    for record in records.authentic.get(Decision.EMERGENCY, ()):
        if terms and record.spec.role in terms.roles and not any(_unreviewed_at(e, record.created) for e in found):
            found.append(_of(procedure, terms, record, records))
    return tuple(found)


def counted_once(record: Record) -> bool:
    """Whether an Emergency was once found to be allowed: one that never was is told so first."""
    return record.before is not None and record.before.reason in (Reason.COUNTED, Reason.EXPIRED, Reason.SUBJECT_SUPERSEDED, Reason.WITHDRAWN)


def _unreviewed_at(earlier: BreakGlass, at: datetime) -> bool:
    """Records are dated to the second: of the same second as the review counts as before it, the safe side."""
    reviewed = earlier.review.created if earlier.review else FOREVER
    return earlier.due <= at <= reviewed


def _of(procedure: Procedure, terms: Emergency, record: Record, records: Records) -> BreakGlass:
    taken = records.withdrawn.get(record.name)
    reviewers = frozenset(r.role for r in procedure.spec.approvals.roles)
    reviews = reviews_of(record, records, reviewers)
    refused = next((r for r in reviews if r.spec.decision is Decision.REJECT), None)
    ends = [later(record.created, terms.max_duration), record.spec.expires, taken and taken.created, refused and refused.created]
    return BreakGlass(procedure.name, record, min(e for e in ends if e), later(record.created, terms.review_within), next(iter(reviews), None), reviewers)


def reviews_of(emergency: Record, records: Records, reviewers: Collection[str]) -> list[Record]:
    """The reviews by others who hold a role that approves, oldest first; one made before the emergency looked at nothing."""
    found = (r for r in records.reviews.get(emergency.name, ()) if r.created >= emergency.created)
    return [r for r in found if r.spec.role in reviewers and r.person != emergency.person]
