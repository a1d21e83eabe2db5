"""The bypass table: no attack with the rights of a namespace's administrator gets through, what is legitimate goes on, and each binding is needed for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from tests.e2e.bypass.allowed import CONTROLS
from tests.e2e.bypass.attempt import Attempt, Outcome, Result, all_tried, of
from tests.e2e.bypass.gate import ATTACKS, BY_NAME, WITNESSES, bindings, denied_elsewhere, without
from tests.e2e.bypass.ready import ready
from tests.e2e.bypass.stage import Stage
from tests.e2e.bypass.vehicles import KINDS, TEMPLATES, arrived, fate, sent
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

Say = Callable[[str], None]
NO = (Outcome.HELD, Outcome.REFUSED, Outcome.FAILED)


@pytest.fixture(scope="module")
def stage(cluster: Cluster, installed: Operator) -> Iterator[Stage]:
    """A namespace with cleared, stopped and held workloads. The operator is stopped while the table is tried: the gate does not need it."""
    with ready(cluster, installed) as made:
        yield made


@pytest.fixture(scope="module")
def answers(stage: Stage) -> list[Result]:
    """What the gate as it is answers to each attack."""
    return all_tried(ATTACKS, stage)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print to the terminal."""

    def printed(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return printed


def counted(results: Sequence[Result]) -> str:
    found = Counter(result.outcome for result in results)
    return ", ".join(f"{found[outcome]} {outcome.value}" for outcome in Outcome if found[outcome])


def by_group(results: Sequence[Result]) -> Iterator[str]:
    """A line for each group of attacks, with what came of how many of them."""
    came = (Outcome.HELD, Outcome.REFUSED, Outcome.FAILED, Outcome.THROUGH)
    yield f"{'attacks':28}" + "".join(f"{word:>20}" for word in ("tried", *(outcome.value for outcome in came)))
    for group in dict.fromkeys(result.attempt.group for result in results):
        found = Counter(result.outcome for result in results if result.attempt.group == group)
        yield f"{group:28}" + "".join(f"{number:20}" for number in (found.total(), *(found[outcome] for outcome in came)))


def test_no_attack_gets_through(answers: list[Result], say: Say) -> None:
    say("\n  ".join(by_group(answers)))
    say(f"{len(answers)} attacks in {len({a.group for a in ATTACKS})} groups: {counted(answers)}")
    assert of(answers, Outcome.THROUGH, Outcome.FAILED) == []


def test_what_is_legitimate_goes_on(stage: Stage, say: Say) -> None:
    results = all_tried(CONTROLS, stage)
    say(f"{len(results)} legitimate actions: {counted(results)}")
    assert of(results, *NO) == []


def test_no_controller_is_a_vehicle(stage: Stage) -> None:
    """These are real: each controller makes its pods, in the governed namespace and, to show that it would, in one that is not."""
    vehicles = [(template, sent(kind, template, stage)) for kind in KINDS for template in TEMPLATES]
    for _, name in vehicles:
        eventually(partial(arrived, name, stage.other, stage), within=30, what=f"a pod of {name} arrives where nothing is governed")
    fates = {(template, name): fate(template, name, stage) for template, name in vehicles}
    assert fates == {(template, name): "refused" if template == "unlabelled" else "held" for template, name in vehicles}


def test_each_attack_succeeds_with_the_gate_away(stage: Stage, say: Say) -> None:
    """Else it would prove nothing: an attack that RBAC or validation refuses in any case does not count."""
    with without(stage, list(WITNESSES)):
        results = all_tried(ATTACKS, stage)
    say(f"with the gate away, {len(results)} attacks: {counted(results)}")
    assert of(results, *NO) == []


def test_the_table_knows_every_binding_of_the_chart(stage: Stage) -> None:
    assert sorted(bindings(stage.admin)) == sorted(WITNESSES)


def refused_by(binding: str, answers: Sequence[Result]) -> list[Attempt]:
    """The attacks that may get through without it: of those that another policy refuses too nobody knows whose answer comes first, and they stay refused."""
    return [result.attempt for result in answers if f"'{binding.removeprefix('validating ')}'" in result.said]


@pytest.mark.parametrize("binding", WITNESSES)
def test_without_one_binding_an_attack_gets_through_or_something_legitimate_fails(stage: Stage, answers: list[Result], say: Say, binding: str) -> None:
    """One that refuses keeps no attack out but those that it refuses, and helps nothing that is legitimate; one that changes or tells does."""
    refuses = BY_NAME[WITNESSES[binding]] in ATTACKS
    with without(stage, [binding]):
        through = of(all_tried(refused_by(binding, answers) if refuses else ATTACKS, stage), Outcome.THROUGH)
        broken = [] if refuses else of(all_tried(CONTROLS, stage), *NO)
    say(f"without {binding}: {len(through)} attacks get through, {len(broken)} legitimate actions fail")
    assert through or broken


def test_an_open_ask_elsewhere_is_refused_where_the_platform_says_so_and_nothing_else_is(stage: Stage) -> None:
    with denied_elsewhere(stage):
        results = all_tried([control for control in CONTROLS if control.group == "not governed"], stage)
    assert of(results, *NO) == []
