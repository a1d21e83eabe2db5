"""How the mutants of the decision core are named: tests/mutation/mutants.py."""

from __future__ import annotations

from tests.mutation.__main__ import SURVIVORS, modules
from tests.mutation.mutants import mutants
from tests.mutation.survivors import known


def test_what_reads_alike_in_one_function_has_a_number() -> None:
    found = [str(m) for m in mutants("m", "def f(a):\n    return [a == 1, a == 1]\ndef g(a):\n    return a == 1")]
    assert [m for m in found if "==" in m and "!=" in m] == ["m.f: a == 1 -> a != 1", "m.f: a == 1 -> a != 1 (2)", "m.g: a == 1 -> a != 1"]


def test_what_is_listed_as_unnoticed_is_there_and_has_its_reason() -> None:
    listed = known(SURVIVORS)
    assert sorted(set(listed) - {str(m) for name, path in modules().items() for m in mutants(name, path.read_text())}) == []
    assert [mutant for mutant, why in listed.items() if not why] == []
