"""The table of `kubectl qms status`: what stands in a line, and what is left out where a terminal is narrow."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.cli.status import notes, row, summary, table
from tests.unit.cli.given import NEW, OLD, control, deployment, status

READY = [{"type": "Ready", "status": "True", "reason": "EmergencyInForce", "message": "m"}]
GLASS = control("emergency", "Warn", "EmergencyInForce", "carol broke the glass")
SERVING = {"fingerprint": NEW, "validUntil": "2027-02-20T10:00:00Z", "notice": "7d"}
RUNNING = status(phase="Running", conditions=READY, controls=[GLASS], serving=SERVING, summary={"warn": 3}, pods={"running": 12, "held": 0})


def shown(*of: Json, note: str = "", width: int | None = None) -> list[str]:
    return [line.text for line in table([row(d) for d in of], note, width=width)]


def test_every_deployment_is_one_line() -> None:
    assert shown(deployment(), deployment(RUNNING, name="fraud", namespace="payments")) == [
        "NAMESPACE  NAME            RISK  MODEL             PHASE          READY  REASON            HELD  RUNNING  NOTE",
        "lending    credit-scoring  High  credit-llm:4.2.0  ChangePending  False  ApprovalMissing   1     3",
        "payments   fraud           High  credit-llm:4.2.0  Running        True   EmergencyInForce  0     12       "
        "EMERGENCY; ends 2027-02-20 10:00:00 UTC; 2 warnings",
    ]


def test_a_narrow_terminal_leaves_out_what_matters_least_and_cuts_the_rest() -> None:
    lines = shown(deployment(), deployment(RUNNING, name="fraud", namespace="payments"), width=80)
    assert lines == [
        "NAMESPACE  NAME            PHASE          HELD  RUNNING  NOTE",
        "lending    credit-scoring  ChangePending  1     3",
        "payments   fraud           Running        0     12       EMERGENCY; ends 2027-0…",
    ]
    assert max(map(len, lines)) <= 80


def test_a_wide_terminal_leaves_out_nothing() -> None:
    assert shown(deployment(RUNNING), width=160) == shown(deployment(RUNNING))


def test_nothing_registered_says_how_one_is() -> None:
    assert shown(note="only here") == ["no AIModelDeployment is registered here (kubectl qms explain --help says how one is)", "… only here"]


def test_a_deployment_without_a_status_is_a_line_too() -> None:
    found = deployment({})
    assert shown(found)[1] == "lending    credit-scoring  High         (no status)  False          0     0        the operator is behind"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (status(controls=[control("emergency", "Warn", "ReviewPending", "")]), ["emergency to be reviewed"]),
        (status(controls=[control("emergency", "Fail", "ReviewOverdue", "")]), ["EMERGENCY NOT REVIEWED"]),
        (status(observedGeneration=2), ["the operator is behind"]),
        (status(controls=[GLASS], summary={"warn": 1}), ["EMERGENCY"]),
        (status(summary={"warn": 1}), ["1 warning"]),
        (status(), []),
    ],
)
def test_notes_are_what_to_know_at_a_glance(state: Json, said: list[str]) -> None:
    assert notes(deployment(state)) == said


def test_programs_get_the_same_as_values() -> None:
    expected: dict[str, Any] = {
        "namespace": "lending",
        "name": "credit-scoring",
        "riskClass": "High",
        "model": "credit-llm:4.2.0",
        "phase": "ChangePending",
        "ready": False,
        "reason": "ApprovalMissing",
        "subject": NEW,
        "serving": {"fingerprint": OLD, "validUntil": "2027-02-20T10:00:00Z"},
        "pods": {"running": 3, "held": 1, "before": 0},
        "notes": [],
    }
    assert summary(deployment()) == expected
