"""The chain of checks: what is asked of a deployment, in the order in which a person reads the answers. The list is the documentation."""

from __future__ import annotations

from aiqms.policy import accountability, checks
from aiqms.policy.checks import Check, Facts, Row

CHAIN: list[Check] = [
    accountability.stop,
    checks.risk_class,
    checks.lifecycle,
    checks.procedures,
    checks.review,
    checks.workloads,
    checks.inputs,
    checks.model,
    checks.room,
    checks.class_lowered,
    accountability.emergency,
    accountability.editors,
    checks.approvals,
]


def judged(facts: Facts) -> list[Row]:
    """Every row of every check, in the chain's order."""
    return [row for check in CHAIN for row in check(facts)]
