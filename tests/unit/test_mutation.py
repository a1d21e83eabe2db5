"""How a mutant of the decision core is tried: tests/mutation, on a module of a few lines."""

from __future__ import annotations

import ast
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.__main__ import SURVIVORS, Reach, main, modules, tried
from tests.mutation.collected import Case, with_cases
from tests.mutation.forked import forked
from tests.mutation.mutants import mutants
from tests.mutation.reach import FailsAsItIs, reached
from tests.mutation.survivors import known
from tests.mutation.swap import Swap, swap
from tests.mutation.trial import Fate, fate

FILE = Path("tiny.py")
TINY = """
from dataclasses import dataclass
from functools import cached_property

def larger(a, b, by=1):
    return a if a > b else b

def rises(of):
    def step(a):
        return a < of
    return step

def counts(n):
    while n != 0:
        n = n - 1
    return n

@dataclass
class Pair:
    one: int = 3
    def both(self):
        return self.one == 3
    @property
    def asked(self):
        return self.one == 4
    @cached_property
    def kept(self):
        return self.one == 5
"""
CHANGED: dict[str, tuple[str, Callable[[ModuleType], object], object]] = {
    "a function": ("larger: a if a > b else b -> a", lambda tiny: tiny.larger(1, 2), 1),
    "a function within one": ("rises.step: a < of -> a <= of", lambda tiny: tiny.rises(2)(2), True),
    "a method": ("Pair.both: self.one == 3 -> self.one != 3", lambda tiny: tiny.Pair().both(), False),
    "a property": ("Pair.asked: self.one == 4 -> self.one != 4", lambda tiny: tiny.Pair().asked, True),
    "a property that is kept": ("Pair.kept: self.one == 5 -> self.one != 5", lambda tiny: tiny.Pair().kept, True),
}


def killed() -> bool:
    signal.raise_signal(signal.SIGKILL)
    return True


BREAKS: list[Callable[[], bool]] = [killed, lambda: os._exit(0), lambda: 1 // 0 == 0]
DEFAULTS = {"of an argument": "larger: 1 -> 2", "of a field": "Pair: 3 -> 4"}


def loaded() -> ModuleType:
    tiny = ModuleType("tiny")
    exec(compile(TINY, str(FILE), "exec", dont_inherit=True), vars(tiny))
    return tiny


def swapped(tiny: ModuleType, named: str) -> Swap | None:
    (mutant,) = [m for m in mutants("tiny", TINY) if str(m) == f"tiny.{named}"]
    return swap(tiny, mutant.where, ast.unparse(ast.parse(TINY)), mutant.source())


def outcome(case: Case) -> str:
    return "passes" if case.passes() else "fails"


def case(name: str, passes: Callable[[], bool]) -> Case:
    return Case(name, Path("test_tiny.py"), passes)


@pytest.mark.parametrize("what", CHANGED)
def test_whoever_holds_a_function_runs_its_mutant(what: str) -> None:
    named, asked, answer = CHANGED[what]
    tiny = loaded()
    assert asked(tiny) != answer
    swap = swapped(tiny, named)
    assert swap is not None
    swap.make()
    assert asked(tiny) == answer


@pytest.mark.parametrize("what", DEFAULTS)
def test_a_default_is_not_put_in_place_for_it_is_worked_out_before(what: str) -> None:
    assert swapped(loaded(), DEFAULTS[what]) is None


@pytest.mark.parametrize(
    ("named", "came"),
    [
        ("larger: a if a > b else b -> a", Fate.FOUND),
        ("larger: a > b -> a >= b", Fate.SURVIVED),  # the larger of two equals is either
        ("counts: 1 -> 2", Fate.SLOW),
    ],
)
def test_a_mutant_is_found_where_a_test_fails(named: str, came: Fate) -> None:
    tiny = loaded()
    swap = swapped(tiny, named)
    assert swap is not None
    cases = [case("larger", lambda: tiny.larger(1, 2) == 2 == tiny.larger(2, 2)), case("counts", lambda: tiny.counts(1) == 0)]
    assert fate(swap, cases, 0.5) is came
    assert (tiny.larger(1, 2), tiny.counts(1)) == (2, 0)


def test_a_mutant_that_breaks_its_process_is_found() -> None:
    tiny = loaded()
    swap = swapped(tiny, "larger: a > b -> a >= b")
    assert swap is not None
    assert [fate(swap, [case("breaks", breaks)], 5) for breaks in BREAKS] == [Fate.FOUND] * len(BREAKS)


def test_what_a_copy_changes_is_gone_with_it() -> None:
    seen: list[str] = []

    def work() -> str:
        seen.append("here")
        return str(seen)

    assert (forked(work, 5), seen) == ("['here']", [])


def test_a_test_reaches_what_it_calls_however_far_down() -> None:
    tiny = loaded()
    found = reached([case("rises", lambda: tiny.rises(2)(1)), case("more", lambda: tiny.larger(1, tiny.counts(0)) == 1), case("none", lambda: True)], [FILE])
    assert {name: [c.name for c in cases] for name, cases in found.items()} == {
        "tiny.py:rises": ["rises"],
        "tiny.py:larger": ["more"],
        "tiny.py:counts": ["more"],
    }


def test_a_test_that_fails_with_nothing_changed_finds_nothing() -> None:
    with pytest.raises(FailsAsItIs, match=r"^fails$"):
        reached([case("passes", lambda: True), case("fails", lambda: False)], [FILE])


def test_a_test_that_fails_but_for_the_noting_is_no_failure() -> None:
    assert reached([case("fast", lambda: sys.getprofile() is None)], [FILE]) == {}


def test_what_no_test_calls_survives_unless_it_runs_as_its_module_is_loaded() -> None:
    path = modules()["gate.cel"]
    mutant = next(m for m in mutants("gate.cel", path.read_text()) if m.where == "literal")
    assert tried(mutant, path, Reach([], {})) == (Fate.SURVIVED, 0)
    assert tried(mutant, path, Reach([f"{path}:literal"], {})) == (Fate.NOT_TRIED, 0)


def test_the_tests_are_those_that_pytest_collects(tmp_path: Path) -> None:
    file = tmp_path / "test_two.py"
    file.write_text("def test_passes(): pass\ndef test_fails(): assert False\n")
    said: dict[str, str] = {}

    def work(cases: Sequence[Case]) -> int:
        said.update({case.name.rpartition("::")[2]: forked(partial(outcome, case), 5) for case in cases})
        return 7

    assert with_cases([str(file), "-p", "no:asyncio"], nullcontext(), work) == 7
    assert said == {"test_passes": "passes", "test_fails": "fails"}


def test_what_reads_alike_in_one_function_has_a_number() -> None:
    found = [str(m) for m in mutants("m", "def f(a):\n    return [a == 1, a == 1]\ndef g(a):\n    return a == 1")]
    assert [m for m in found if "==" in m and "!=" in m] == ["m.f: a == 1 -> a != 1", "m.f: a == 1 -> a != 1 (2)", "m.g: a == 1 -> a != 1"]


def test_what_is_listed_as_unnoticed_is_there_and_has_its_reason() -> None:
    listed = known(SURVIVORS)
    assert sorted(set(listed) - {str(m) for name, path in modules().items() for m in mutants(name, path.read_text())}) == []
    assert [mutant for mutant, why in listed.items() if not why] == []


def test_a_module_that_is_not_there_is_an_error_and_not_a_run_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["policy.none"])
    assert "no such module: policy.none" in capsys.readouterr().err
