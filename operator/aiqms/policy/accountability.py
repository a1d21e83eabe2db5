"""Checks on people beside their approvals: a Stop that stands, an Emergency and its review, and who made the changes."""

from __future__ import annotations

from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.procedure import SeparationOfDuties, UnknownAuthors
from aiqms.policy.checks import Facts, Row, row
from aiqms.policy.emergency import BreakGlass
from aiqms.policy.facts import Procedure
from aiqms.policy.stops import missing_to_resume, waits
from aiqms.policy.words import moment

AUTHOR = "register/author"


def stop(facts: Facts) -> list[Row]:
    """A Stop that nobody lifted blocks everything (AI Act Art. 14(4)(e)), also where the procedure that names its role is in Audit: it is a person's order."""
    if not facts.stops:
        return []
    first = facts.stops[0]
    needed = waits(missing_to_resume(facts.stops[-1], facts.records, facts.given.stopping))
    said = f"{first.person} stopped it on {moment(first.created)} (apr/{first.name}){': ' + first.spec.rationale[:200] if first.spec.rationale else ''}"
    serves = [f"{o.framework} {o.id}" for p in facts.procedures if p.spec.stop for o in p.spec.stop.obligations]
    return [row("stop", Result.FAIL, Reason.STOPPED, f"{said}; to go on, a Resume is missing by {needed}", serves=serves)]


def emergency(facts: Facts) -> list[Row]:
    """Each Emergency is said until it is reviewed; one that nobody reviewed in time blocks everything."""
    here = [_glass(facts, p, g) for p in facts.procedures for g in facts.glass.get(p.name, ()) if g.in_force(facts.now) or g.review is None]
    return here + [_glass(facts, e.procedure, g, left=True) for e in facts.given.elsewhere for g in facts.left.get(e.procedure.name, ()) if g.review is None]


def _glass(facts: Facts, procedure: Procedure, glass: BreakGlass, *, left: bool = False) -> Row:
    """left: the procedure does not apply now, so that the Emergency clears nothing, and is reviewed all the same."""
    terms = procedure.spec.emergency
    serves = [f"{o.framework} {o.id}" for o in terms.obligations] if terms else []
    who = f"{glass.record.person} broke the glass on {moment(glass.record.created)} (apr/{glass.record.name}): {glass.record.spec.rationale[:200]}"
    if glass.overdue(facts.now):
        said = f"{who}; the review was due by {moment(glass.due)}: somebody else who approves makes a record with reviews: {glass.record.name}"
        return row("emergency", Result.FAIL, Reason.REVIEW_OVERDUE, said, procedure=procedure, serves=serves)
    review = f"reviewed by {glass.review.person}" if glass.review else f"to be reviewed by somebody else until {moment(glass.due)}"
    reason = Reason.EMERGENCY_IN_FORCE if glass.in_force(facts.now) and not left else Reason.REVIEW_PENDING
    return row("emergency", Result.WARN, reason, f"{who}; until {moment(glass.until)}; {review}", procedure=procedure, serves=serves)


def editors(facts: Facts) -> list[Row]:
    """Where approvers have to differ from those who changed what they approve, these have to be known."""
    asking = [p for p in facts.procedures if p.spec.approvals.separation_of_duties is SeparationOfDuties.DISTINCT_FROM_EDITORS]
    return [_author(facts, p) for p in asking]


def _author(facts: Facts, procedure: Procedure) -> Row:
    people = " and ".join(facts.given.people)
    refused = procedure.spec.approvals.unknown_authors is UnknownAuthors.REFUSED
    if not facts.given.editors:
        said, mend = "nobody noted who registered it: the entry is older than the policy that notes it", "have a person register it anew"
    elif facts.given.people == facts.given.editors:
        return row(AUTHOR, Result.PASS, Reason.AUTHOR_KNOWN, f"changed by {people} since it was last approved", procedure=procedure)
    else:
        beside = f" (beside {people})" if people else ""
        said = f"a service account{beside} changed the register entry since it was last approved, so nobody knows whose that was"
        mend = "have a person register it, or go back to what was approved and have a person change it"
    result = Result.FAIL if refused else Result.WARN
    return row(AUTHOR, result, Reason.AUTHOR_UNKNOWN, f"{said}: {mend if refused else 'approvers ask who proposed it'}", procedure=procedure)
