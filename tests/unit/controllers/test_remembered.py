"""A decision stands while neither facts nor time change it; others of its namespace are decided by themselves."""

from __future__ import annotations

from dataclasses import replace

from aiqms.controllers.remembered import Remembered
from aiqms.policy.decide import decide
from tests.unit.policy.given import approve, day, given, procedure

APPROVED = given(approve("alice"), procedures=[procedure(valid_for="90d")])


def test_on_the_same_facts_the_decision_made_last_stands() -> None:
    of = Remembered()
    first = of.decide("lending", {"scoring": APPROVED}, day(1))
    again = of.decide("lending", {"scoring": replace(APPROVED)}, day(1.5))
    assert again["scoring"] is first["scoring"]


def test_other_facts_are_decided_anew_and_only_those() -> None:
    of = Remembered()
    first = of.decide("lending", {"scoring": APPROVED, "fraud": given()}, day(1))
    again = of.decide("lending", {"scoring": APPROVED, "fraud": APPROVED}, day(1))
    assert (again["scoring"] is first["scoring"], again["fraud"]) == (True, decide(APPROVED, day(1)))


def test_from_its_wake_up_on_it_is_decided_anew() -> None:
    of = Remembered()
    wake = of.decide("lending", {"scoring": APPROVED}, day(1))["scoring"].wake
    assert wake
    assert of.decide("lending", {"scoring": APPROVED}, wake)["scoring"] == decide(APPROVED, wake)


def test_what_is_not_registered_any_more_is_forgotten_and_so_is_the_namespace_looked_at_longest_ago() -> None:
    of = Remembered()
    for n in range(9):
        of.decide(f"ns-{n}", {"scoring": APPROVED}, day(1))
    of.decide("ns-8", {}, day(1))
    assert (list(of.namespaces), of.namespaces["ns-8"]) == ([f"ns-{n}" for n in range(1, 9)], {})
