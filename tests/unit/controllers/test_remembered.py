"""A decision stands while neither facts nor time change it; others of its namespace are decided by themselves."""

from __future__ import annotations

from dataclasses import replace

from aiqms.controllers.remembered import Remembered
from aiqms.policy.decide import decide
from tests.unit.policy.given import approve, day, given, procedure

APPROVED = given(approve("alice"), procedures=[procedure(valid_for="90d")])


def test_on_the_same_facts_the_decision_made_last_stands() -> None:
    of = Remembered()
    first = of.decide("lending", "scoring", APPROVED, day(1))
    assert of.decide("lending", "scoring", replace(APPROVED), day(1.5)) is first


def test_other_facts_are_decided_anew_and_only_those() -> None:
    of = Remembered()
    first, _ = of.decide("lending", "scoring", APPROVED, day(1)), of.decide("lending", "fraud", given(), day(1))
    again = [of.decide("lending", name, APPROVED, day(1)) for name in ("scoring", "fraud")]
    assert (again[0] is first, again[1]) == (True, decide(APPROVED, day(1)))


def test_from_its_wake_up_on_it_is_decided_anew() -> None:
    of = Remembered()
    wake = of.decide("lending", "scoring", APPROVED, day(1)).wake
    assert wake
    assert of.decide("lending", "scoring", APPROVED, wake) == decide(APPROVED, wake)


def test_what_is_not_registered_any_more_is_forgotten() -> None:
    of = Remembered()
    of.decide("lending", "scoring", APPROVED, day(1))
    of.keep("lending", ())
    assert of.namespaces == {"lending": {}}


def test_of_too_many_deployments_those_of_the_namespaces_looked_at_longest_ago_are_forgotten() -> None:
    forgotten: list[str] = []
    of = Remembered(forgotten.append)
    for n in range(5):
        look(of, f"ns-{n}", 100)
    assert (list(of.namespaces), forgotten) == ([f"ns-{n}" for n in range(1, 5)], ["ns-0"])
    look(of, "ns-1", 100)
    look(of, "ns-5", 250)
    assert (list(of.namespaces), forgotten[1:]) == (["ns-4", "ns-1", "ns-5"], ["ns-2", "ns-3"])
    look(of, "large", 600)
    assert (list(of.namespaces), forgotten[3:]) == (["large"], ["ns-4", "ns-1", "ns-5"])


def look(of: Remembered, namespace: str, deployments: int) -> None:
    """At a namespace of so many."""
    names = {f"scoring-{n}" for n in range(deployments)}
    for name in names:
        of.decide(namespace, name, APPROVED, day(1))
    of.keep(namespace, names)
