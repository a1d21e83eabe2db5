"""Deciding about the deployments of one namespace: one that cannot be decided keeps no other from its answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aiqms.controllers.deciding import Decided, Undecided, decided
from aiqms.controllers.gather import Gathered
from aiqms.controllers.remembered import Remembered
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Decision, Input
from tests.unit.policy.given import after, approve, change, day, given, pod, procedure, template, workload

GOOD = replace(given(approve("alice"), procedures=[procedure(valid_for="9d")], pods=[pod("a")]), name="good")
SERVED = replace(after(given(approve("alice"), pods=[pod("a")]), day(1)), name="bad")
BAD = change(SERVED, workloads=[replace(workload(), template={"annotations": {}})])  # no normal form: the gate makes none like it
GONE = replace(GOOD, name="gone", spec=Broken("not registered"))


def found(*registered: Input) -> Decided:
    facts = Gathered(governed=True, registered={g.name: g for g in registered}, unregistered={"gone": GONE})
    return asyncio.run(decided("lending", facts, day(2), Remembered()))


def test_the_bad_one_raises() -> None:
    with pytest.raises(KeyError):
        decide(BAD, day(2))


def test_the_others_are_decided() -> None:
    of = found(BAD, GOOD)
    assert (of.decisions["good"], of.decisions["gone"]) == (decide(GOOD, day(2)), deregistered(GONE, day(2)))
    assert of.wake == decide(GOOD, day(2)).wake
    assert set(of.facts.registered) == {"good"}


def test_it_keeps_what_it_has_and_nothing_is_cleared_or_ended_for_it() -> None:
    assert BAD.entries
    assert found(BAD, GOOD).decisions["bad"] == Decision(status=BAD.before, entries=BAD.entries)


def large(name: str) -> Input:
    """An approved deployment whose template has 200 KiB."""
    form = template("v1") | {"pod": {"containers": [{"fields": {"name": "main", "image": "bank.example/v1", "args": ["x" * 200 * 1024]}}]}}
    return replace(given(approve("alice"), workloads=[replace(workload(label=name), template=form, size=200 * 1024)]), name=name)


def test_approvals_at_once_have_no_more_room_in_the_clearance_than_one_after_another() -> None:
    decisions = found(*(large(f"d{n}") for n in range(9))).decisions
    reasons = [next(c.reason for c in decisions[f"d{n}"].status.conditions if c.type == "Ready") for n in range(9)]
    assert reasons == ["Approved"] * 5 + ["ClearanceTooLarge"] * 4
    assert [len(decisions[f"d{n}"].entries) for n in range(9)] == [1] * 5 + [0] * 4


def test_the_pass_is_tried_again() -> None:
    with pytest.raises(Undecided, match="AIModelDeployment bad: KeyError"):
        found(BAD, GOOD).check()
    found(GOOD).check()
