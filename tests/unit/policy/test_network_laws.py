"""The laws of test_laws.py, for any network: deciding twice changes nothing, nothing changes before the wake-up, and no order matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from aiqms.api.access import Access
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, Procedure
from aiqms.policy.network import Wanted, wanted
from aiqms.policy.networks import Contest, Failing, Network, Outcome, Probe, Stored
from tests.unit.policy import test_laws
from tests.unit.policy.given import day, fed
from tests.unit.policy.inputs import TIMES, inputs
from tests.unit.policy.networks import LABELS, OWN, stored

law = settings(deadline=None, max_examples=100, derandomize=True)
MOMENTS = st.integers(0, 60).map(day)


@st.composite
def procedures(draw: st.DrawFn, of: Procedure) -> Procedure:
    """The same, asking for the network or not."""
    access = draw(st.sampled_from([None, Access(network="Clients"), Access.model_validate({"network": "Clients", "networkUnverified": "Warned"})]))
    return replace(of, spec=of.spec.model_copy(update={"access": access}))


@st.composite
def networks(draw: st.DrawFn, own: Stored | None) -> Network:
    """Anything that may be known of it."""
    others = [stored("open", {"ingress": [{}]}), stored("deny", {"ingress": []}), Stored(OWN, {"podSelector": {}}, ours=True)]
    policies = draw(st.lists(st.sampled_from([*others, *([own] if own else [])]), max_size=3, unique_by=lambda p: p.name))
    return Network(
        owner="uid",
        policies=tuple(policies),
        labels=draw(st.sampled_from([(), (LABELS,)])),
        contest=draw(st.sampled_from([None, None, Contest("x")]) | MOMENTS.map(lambda at: Contest("x", at))),
        failing=draw(st.none() | MOMENTS.map(lambda at: Failing(at, "500"))),
        restored=draw(st.sampled_from(["", "was deleted"])),
        probe=draw(st.none() | st.builds(Probe, st.sampled_from(Outcome), MOMENTS | TIMES, st.just("no answer"))),
        pending=draw(st.integers(0, 5)) == 5,
    )


@st.composite
def networked(draw: st.DrawFn) -> Input:
    """Any Input with any network, the operator's own policy often as it has to be."""
    of = draw(inputs())
    made = replace(of, procedures=tuple(draw(procedures(p)) if isinstance(p, Procedure) else p for p in of.procedures), network=Network(owner="uid"))
    plan = wanted(made)
    own = Stored(OWN, plan.object["spec"], labels=plan.object["metadata"]["labels"], owners=("uid",), ours=True) if isinstance(plan, Wanted) else None
    return replace(made, network=draw(networks(own)))


def inner(of: Any) -> Callable[..., None]:
    """A law as it is written, to be held against other Inputs."""
    found: Callable[..., None] = of.hypothesis.inner_test
    return found


@law
@for_all(networked(), TIMES)
def test_deciding_twice_changes_nothing(of: Input, now: datetime) -> None:
    """From the first decision on: one that takes away what was cleared makes another word of an object that is missing."""
    told = replace(of, network=replace(of.network, restored=""))
    inner(test_laws.test_deciding_twice_changes_nothing)(fed(told, decide(told, now)), now)


@law
@for_all(networked(), TIMES, st.floats(0, 1))
def test_nothing_changes_before_the_wake_up(of: Input, now: datetime, share: float) -> None:
    inner(test_laws.test_nothing_changes_before_the_wake_up)(of, now, share)


@law
@for_all(networked(), TIMES, st.randoms(use_true_random=False))
def test_no_order_of_policies_matters(of: Input, now: datetime, random: Random) -> None:
    other = replace(of, network=replace(of.network, policies=test_laws.shuffled(of.network.policies, random)))
    assert decide(other, now) == decide(of, now)


@law
@for_all(networked(), TIMES)
def test_a_fresh_silent_probe_never_passes_and_never_clears_what_no_probe_does_not(of: Input, now: datetime) -> None:
    silent = replace(of, network=replace(of.network, probe=Probe(Outcome.SILENT, now - timedelta(seconds=1), "no answer"), pending=False))
    none = replace(of, network=replace(of.network, probe=None, pending=False))
    assert decide(silent, now).entries == decide(none, now).entries
    assert [c for c in decide(silent, now).status.controls if c.id == "access/network-enforced" and c.result == "Pass"] == []
