"""How the mutants of the gate's policies are found: tests/mutation/cel.py and clauses.py."""

from __future__ import annotations

import pytest

from aiqms.gate.policy import Policy, rule
from tests.mutation.cel import operands, without
from tests.mutation.clauses import MAKERS, SURVIVORS, mutants, mutants_of
from tests.mutation.survivors import known

OPERANDS = {
    "a": [],
    "a && b": ["a -> true", "b -> true"],
    "a || b": ["a -> false", "b -> false"],
    "!a && b == c": ["!a -> true", "b == c -> true"],
    "a || b && c": ["a -> false", "b && c -> false", "b -> true", "c -> true"],
    "(a || b) && c": ["a -> false", "b -> false", "(a || b) -> true", "c -> true"],
    "a && b ? c || d : e && f": ["a -> true", "b -> true", "c -> false", "d -> false", "e -> true", "f -> true"],
    "a ? b : c ? d && e : f": ["d -> true", "e -> true"],
    "x.all(k, a(k) && b(k), c)": ["a(k) -> true", "b(k) -> true"],
    "{'k': a || b}": ["a -> false", "b -> false"],
    "o.?a[?'b'].orValue('') == 'c' && d": ["o.?a[?'b'].orValue('') == 'c' -> true", "d -> true"],
    "[?a && b]": ["a -> true", "b -> true"],
    "a == '(' && b == ' || '": ["a == '(' -> true", "b == ' || ' -> true"],
    r"a == '\'(' && b": [r"a == '\'(' -> true", "b -> true"],
    r"a.matches(r'[\') && b": [r"a.matches(r'[\') -> true", "b -> true"],
    "a == '''it's (''' && b": ["a == '''it's (''' -> true", "b -> true"],
    'a == """say "(" """ && b': ['a == """say "(" """ -> true', "b -> true"],
    "a in {{ toJson .Values.gate.plainResources }} || b": ["a in {{ toJson .Values.gate.plainResources }} -> false", "b -> false"],
}


@pytest.mark.parametrize("expression", OPERANDS)
def test_each_operand_of_and_and_or_is_found_with_what_it_is_without(expression: str) -> None:
    assert [f"{expression[o.start : o.end].strip()} -> {o.neutral}" for o in operands(expression)] == OPERANDS[expression]


def test_an_operand_gives_its_place_to_what_changes_nothing() -> None:
    expression = "a && (b || c)"
    assert [" ".join(without(expression, operand).split()) for operand in operands(expression)] == [
        "a && ( false || c)",
        "a && (b || false )",
        "true && (b || c)",
        "a && true",
    ]


def test_a_policy_has_a_mutant_for_each_thing_that_it_asks() -> None:
    policy = Policy(
        name="x", rules=[rule(["pods", "pods/*"], ["UPDATE"])], selector={"matchLabels": {"a": "b"}}, acts="b", refuse=[("a && b", "no")], when="c || d"
    )
    assert [mutant.what for mutant in mutants_of("x", policy)] == [
        "rules[0].resources: pods dropped",
        "rules[0].resources: pods/* dropped",
        "rules[0].operations: UPDATE dropped",
        "selector dropped",
        "refuse[0] dropped",
        "refuse[0]: a -> true",
        "refuse[0]: b -> true",
        "when: c -> false",
        "when: d -> false",
    ]


def test_what_a_policy_says_twice_is_also_dropped_in_both_places() -> None:
    policy = Policy(name="x", rules=[], variables={"v": "z"}, acts="a && v", refuse=[("a && variables.v && c", "no")])
    found = {mutant.what: mutant.everywhere for mutant in mutants_of("x", policy)}
    everywhere = found["acts: v -> true"]
    assert everywhere is not None
    dropped = everywhere()
    assert (dropped.acts.split(), dropped.refuse[0][0].split()) == (["a", "&&", "true"], ["a", "&&", "true", "&&", "c"])
    assert found["refuse[0]: c -> true"] is None


def test_each_mutant_of_the_gate_has_a_name_of_its_own_and_is_another_policy() -> None:
    found = [mutant for of in MAKERS for mutant in mutants(of)]
    assert len({str(mutant) for mutant in found}) == len(found)
    wholes = {of: make() for of, make in MAKERS.items()}
    assert [str(mutant) for mutant in found if mutant.policy == wholes[mutant.of]] == []


def test_what_is_listed_as_unnoticed_is_there_and_has_its_reason() -> None:
    listed = known(SURVIVORS)
    assert sorted(set(listed) - {str(mutant) for of in MAKERS for mutant in mutants(of)}) == []
    assert [mutant for mutant, why in listed.items() if not why] == []
