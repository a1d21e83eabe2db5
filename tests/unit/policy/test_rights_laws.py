"""Laws of editors and access reviews, for any Input under procedures that ask for them. A review is looked for here once more, by the letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from aiqms.api.access import Access
from aiqms.api.procedure import Enforcement
from aiqms.api.values import FOREVER, later
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input, Procedure, Reach, Record
from tests.unit.policy.given import HEX, approve, day, fed, fingerprint, given, record
from tests.unit.policy.inputs import DAYS, PEOPLE, ROLES, TIMES, inputs
from tests.unit.policy.test_laws import live, shuffled

law = settings(deadline=None, max_examples=100, derandomize=True)
ACCESS = st.fixed_dictionaries(
    {"reviewEvery": st.sampled_from([None, "5s", "40d", "90d"])},
    optional={"reviewRoles": st.sampled_from([[ROLES[0]], [ROLES[1]]]), "editors": st.sampled_from([{"groups": ["devs"]}, {}])},
)
LISTS = st.sampled_from([HEX["1"], HEX["1"], HEX["2"]])


@st.composite
def asked(draw: st.DrawFn) -> Input:
    """Any Input, every other one approved as it is, whose procedures ask for access, with some reviews, and RBAC looked at or not."""
    approved = draw(st.booleans())
    of = given(approve("alice")) if approved else draw(inputs())
    access = st.fixed_dictionaries({"reviewEvery": st.sampled_from(["5s", "40d"])}) if approved else ACCESS
    procedures = tuple(_asking(p, draw(access)) if isinstance(p, Procedure) else p for p in of.procedures)
    reviews = tuple(_review(draw, role, n) for role in (ROLES[0], ROLES[1]) for n in range(draw(st.integers(0, 2))))
    known = draw(st.integers(0, 5)) > 0
    return replace(of, procedures=procedures, records=(*of.records, *reviews), reach=Reach(list=draw(LISTS)) if known else None)


def _asking(procedure: Procedure, access: dict[str, Any]) -> Procedure:
    return replace(procedure, spec=procedure.spec.model_copy(update={"access": Access.model_validate(access)}))


def _review(draw: st.DrawFn, role: str, number: int) -> Record:
    lawful = draw(st.integers(0, 5)) > 0
    return record("ReviewAccess", draw(PEOPLE), role, draw(DAYS), name=f"v-{role[:5]}-{number}", list=draw(LISTS), authorized=lawful)


def confirmed(of: Input, procedure: Procedure, now: datetime) -> bool:
    """Somebody with the role confirmed a list that is, or was counted as, the list, and not too long ago."""
    access = procedure.spec.access
    if access is None or access.review_every is None:
        return True
    roles = access.review_roles or [r.role for r in procedure.spec.approvals.roles]
    return of.reach is not None and any(
        r.spec.decision == "ReviewAccess"
        and r.spec.role in roles
        and r.spec.approver
        and r.spec.approver.authorized
        and (r.spec.list == of.reach.list or (r.before and r.before.counts))
        and now < later(r.created, access.review_every)
        for r in of.records
    )


@law
@for_all(asked(), TIMES)
def test_the_current_subject_is_let_through_only_while_every_review_is_in_time(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    readable = not isinstance(of.spec, Broken) and not of.unreadable and all(isinstance(p, Procedure) for p in of.procedures)
    if readable and fingerprint(of) in {e.fingerprint for e in live(decision, now)}:
        enforced = [p for p in of.procedures if isinstance(p, Procedure) and p.spec.enforcement is Enforcement.ENFORCE]
        assert all(confirmed(of, p, now) for p in enforced)
        assert all(of.reach is not None for p in enforced if p.spec.access and p.spec.access.editors)


@law
@for_all(asked(), TIMES)
def test_deciding_twice_changes_nothing(of: Input, now: datetime) -> None:
    first = decide(of, now)
    again = decide(fed(of, first), now)
    assert again == replace(first, told=(), removals=again.removals)


@law
@for_all(asked(), TIMES, st.floats(0, 1))
def test_nothing_changes_before_the_wake_up(of: Input, now: datetime, share: float) -> None:
    stored = fed(of, decide(of, now))
    decision = decide(stored, now)
    end = min(decision.wake or FOREVER, day(200_000))
    then = min(now + share * (end - now), end - timedelta(microseconds=1))
    assert decide(stored, then) == decision


@law
@for_all(asked(), TIMES, st.randoms(use_true_random=False))
def test_no_order_of_records_matters(of: Input, now: datetime, random: Random) -> None:
    assert decide(replace(of, records=shuffled(of.records, random)), now) == decide(of, now)


@law
@for_all(asked(), TIMES)
def test_what_a_review_said_once_it_goes_on_saying_whatever_the_list_becomes(of: Input, now: datetime) -> None:
    first = decide(of, now)
    later_ = replace(fed(of, first), reach=Reach(list=HEX["3"]))
    counted = {name for name, verdict in first.records.items() if verdict.counts and name.startswith("v")}
    assert counted <= {name for name, verdict in decide(later_, now).records.items() if verdict.counts}
