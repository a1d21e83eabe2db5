"""Which deployments a procedure governs (spec.appliesTo)."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.procedure import AppliesTo
from aiqms.policy.procedures import applies
from tests.unit.policy.given import spec

LABELS = {"team": "lending", "stage": "prod"}


def selector(*expressions: tuple[str, str, list[str]], **labels: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": labels, "matchExpressions": [{"key": k, "operator": o, "values": v} for k, o, v in expressions]}}


CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "without conditions it governs all": ({}, True),
    "the risk class is among those named": ({"riskClasses": ["Limited", "High"]}, True),
    "the risk class is not": ({"riskClasses": ["Limited"]}, False),
    "the role is among those named": ({"roles": ["Provider"]}, True),
    "the role is not": ({"roles": ["Deployer"]}, False),
    "the namespace is among those named": ({"namespaces": ["lending", "fraud"]}, True),
    "the namespace is not": ({"namespaces": ["fraud"]}, False),
    "every condition must hold": ({"riskClasses": ["High"], "roles": ["Deployer"]}, False),
    "an empty selector selects every namespace": ({"namespaceSelector": {}}, True),
    "the namespace has the label": (selector(team="lending"), True),
    "it has another value": (selector(team="fraud"), False),
    "it lacks the label": (selector(tier="1"), False),
    "In: one of the values": (selector(("stage", "In", ["prod", "test"])), True),
    "In: none of them": (selector(("stage", "In", ["test"])), False),
    "In: no such label": (selector(("tier", "In", ["1"])), False),
    "NotIn: none of the values": (selector(("stage", "NotIn", ["test"])), True),
    "NotIn: one of them": (selector(("stage", "NotIn", ["prod"])), False),
    "NotIn: no such label": (selector(("tier", "NotIn", ["1"])), True),
    "Exists: it does": (selector(("stage", "Exists", [])), True),
    "Exists: it does not": (selector(("tier", "Exists", [])), False),
    "DoesNotExist: it does": (selector(("stage", "DoesNotExist", [])), False),
    "DoesNotExist: it does not": (selector(("tier", "DoesNotExist", [])), True),
    "labels and expressions must both hold": (selector(("stage", "In", ["test"]), team="lending"), False),
}


@pytest.mark.parametrize(("to", "governs"), CASES.values(), ids=CASES.keys())
def test_applies_to(to: dict[str, Any], governs: bool) -> None:
    assert applies(AppliesTo.model_validate(to), spec=spec(), namespace="lending", labels=LABELS) is governs
