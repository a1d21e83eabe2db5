"""Reasons are documented where they are declared, and said by something; conditions keep their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiqms.api.conditions import MEANING, Reason, Said, Type, merged
from aiqms.api.deployment import Condition
from tests.unit.policy.given import day

SOURCES = Path(__file__).parents[3] / "operator" / "aiqms"


def test_every_reason_is_documented() -> None:
    assert set(MEANING) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_by_something(reason: Reason) -> None:
    assert [f.name for f in SOURCES.rglob("*.py") if f.name != "conditions.py" and f"Reason.{reason.name}" in f.read_text()]


def test_a_condition_keeps_its_time_while_its_status_is_the_same() -> None:
    before = [Condition(type="Ready", status="False", reason="Rejected", message="", last_transition_time=day(1))]
    said = [Said(Type.READY, "False", Reason.APPROVAL_MISSING, "m" * 5000), Said(Type.RECONCILING, "True", Reason.APPROVAL_MISSING, "wait")]
    assert merged(said, before=before, generation=3, now=day(2).replace(microsecond=7)) == [
        Condition(type="Ready", status="False", reason="ApprovalMissing", message="m" * 4096, observed_generation=3, last_transition_time=day(1)),
        Condition(type="Reconciling", status="True", reason="ApprovalMissing", message="wait", observed_generation=3, last_transition_time=day(2)),
    ]


def test_a_condition_has_the_time_at_which_its_status_changed() -> None:
    before = [Condition(type="Ready", status="False", reason="Rejected", message="", last_transition_time=day(1))]
    (found,) = merged([Said(Type.READY, "True", Reason.APPROVED, "")], before=before, generation=0, now=day(2))
    assert found.last_transition_time == day(2)
