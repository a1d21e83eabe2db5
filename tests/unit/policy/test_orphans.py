"""A register entry that was deleted: nothing new is admitted, pods that run go on as onLapse says, counted from the deletion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from aiqms.api.clearance import Orphan
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Decision, Input, PodFacts
from tests.unit.policy.given import after, approve, change, day, given, pod, procedure, spec, workload

GONE = "AIModelDeployment credit-scoring does not exist"
OLD = pod("old")


def cleared(*procedures: str, change_: str | None = None, pods: tuple[PodFacts, ...] = (OLD,)) -> Input:
    """Approved and cleared on day 1 under procedures with these onLapse."""
    each = [procedure(f"p{n}", lapse=lapse, change=change_) for n, lapse in enumerate(procedures)]
    return after(given(approve("alice"), procedures=each, pods=pods), day(1))


def deleted(before: Input, at: float) -> Decision:
    return deregistered(replace(before, spec=Broken("not registered")), day(at))


@dataclass(frozen=True)
class Case:
    """What was cleared, deleted on a day: the time that pods have, and the ones that go."""

    before: Input
    at: float
    stop: datetime | None
    removed: tuple[str, ...] = ()
    kept: bool = True


PENDING = after(change(cleared("Stop"), workloads=[workload("v2")]), day(2))
REPLACED = after(change(cleared("Stop"), approve("bob"), workloads=[workload("v2")], procedures=[procedure("p0")]), day(2))
LAPSED = after(given(approve("alice"), procedures=[procedure(lapse="Hold 7d", valid_for="30d")], pods=[OLD]), day(1))

CASES = {
    "Hold: pods that run go on for ever": Case(cleared("Hold"), 5, None),
    "Hold with grace: until then": Case(cleared("Hold 7d"), 5, day(12)),
    "Stop: they go at once": Case(cleared("Stop"), 5, day(5), ("old",)),
    "several procedures: the earliest": Case(cleared("Hold", "Hold 30d", "Hold 7d"), 5, day(12)),
    "only the subject before was cleared: its procedures count": Case(PENDING, 5, day(5), ("old",)),
    "what was superseded does not count beside what is cleared": Case(REPLACED, 5, None),
    "what had lapsed goes on counting from then": Case(after(LAPSED, day(31)), 33, day(37)),
    "onChange.grace goes on counting": Case(after(change(cleared("Hold", change_="14d"), workloads=[workload("v2")]), day(2)), 5, day(16)),
    "Audit: they go on for ever": Case(after(given(procedures=[procedure(audit=True)], pods=[OLD]), day(1)), 5, None),
    "Audit after Enforce: they go on for ever": Case(after(change(cleared("Stop"), procedures=[procedure(audit=True)]), day(2)), 5, None),
    "no pod runs: nothing is kept": Case(cleared("Hold", pods=()), 5, None, kept=False),
    "held pods wait, and keep nothing": Case(cleared("Hold", pods=(pod("new", "v2", held=True),)), 5, None, kept=False),
    "invariant 12: pods older than the Clearance are never touched": Case(cleared("Stop", pods=(pod("old", before=True),)), 5, None, kept=False),
    "never cleared: a pod that runs goes at once": Case(given(pods=[OLD]), 5, None, ("old",), kept=False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_orphans(case: Case) -> None:
    found = deleted(case.before, case.at)
    assert found.orphan == (Orphan(since=day(case.at), stop_at=case.stop) if case.kept else None)
    assert {r.pod: r.why for r in found.removals} == dict.fromkeys(case.removed, GONE)
    assert (found.entries, found.releases, found.told) == ((), (), ())
    assert found.wake == (case.stop if case.stop and case.stop > day(case.at) else None)


def test_the_time_counts_from_the_deletion_and_not_from_a_later_look() -> None:
    first = deleted(cleared("Hold 7d"), 5)
    stored = replace(cleared("Hold 7d"), entries=(), orphan=first.orphan)
    assert deleted(stored, 11).orphan == Orphan(since=day(5), stop_at=day(12))
    assert [r.pod for r in deleted(stored, 12).removals] == ["old"]


def test_it_is_forgotten_with_the_last_pod() -> None:
    first = deleted(cleared("Hold 7d"), 5)
    assert deleted(replace(cleared("Hold 7d", pods=()), entries=(), orphan=first.orphan), 6).orphan is None


def test_invariant_12_nothing_is_stopped_or_kept_in_an_ungoverned_namespace() -> None:
    found = deleted(replace(cleared("Stop"), governed=False), 5)
    assert (found.removals, found.halted, found.orphan, found.wake) == ((), False, None, None)


ORPHAN = Orphan(since=day(5), stop_at=day(12))


def registered_again(**changes: object) -> Input:
    return change(given(pods=[OLD], orphan=ORPHAN), **changes)


def test_registered_again_pods_keep_the_time_that_they_had() -> None:
    found = decide(registered_again(), day(6))
    assert (found.orphan, found.removals, found.entries, found.wake) == (ORPHAN, (), (), day(12))


def test_registered_again_the_time_passes_all_the_same() -> None:
    found = decide(registered_again(), day(12))
    assert (found.orphan, [(r.pod, r.why) for r in found.removals]) == (ORPHAN, [("old", "no clearance covers it")])


def test_registered_again_and_approved_it_is_forgotten() -> None:
    found = decide(change(registered_again(), approve("alice")), day(6))
    assert (found.orphan, found.removals, found.status.phase) == (None, (), "Running")


def test_registered_again_with_another_template_approved_the_pods_keep_their_time() -> None:
    found = decide(change(registered_again(workloads=[workload("v2")]), approve("alice")), day(6))
    assert (found.orphan, found.removals, found.status.phase) == (ORPHAN, (), "Running")


def test_registered_again_as_retired_nothing_is_spared() -> None:
    found = decide(registered_again(of=spec(lifecycle="Retired")), day(6))
    assert (found.orphan, [r.pod for r in found.removals]) == (None, ["old"])


def test_registered_again_in_an_ungoverned_namespace_it_is_forgotten() -> None:
    found = decide(registered_again(governed=False), day(6))
    assert (found.orphan, found.removals) == (None, ())
