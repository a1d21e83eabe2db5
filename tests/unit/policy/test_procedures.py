"""Which deployments a procedure governs (spec.appliesTo), and in which roles it has people decide."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.procedure import AppliesTo
from aiqms.policy.procedures import applies, deciding, review_roles
from tests.unit.policy.given import procedure, spec

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


OWNER = ("Approve", "model-owner")
DECIDING: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "approvals alone": ({}, [OWNER]),
    "each role that approves": ({"roles": {"model-owner": 1, "risk": 2}}, [OWNER, ("Approve", "risk")]),
    "whoever may stop": ({"stop": {"roles": ["on-call", "risk"]}}, [OWNER, ("Stop", "on-call"), ("Stop", "risk")]),
    "whoever may break the glass": ({"emergency": {"roles": ["on-call"], "maxDuration": "4h", "reviewWithin": "1d"}}, [OWNER, ("Emergency", "on-call")]),
    "access without reviews": ({"access": {"serviceAccount": "Dedicated"}}, [OWNER]),
    "roles of reviews that nothing asks for": ({"access": {"reviewRoles": ["auditor"]}}, [OWNER]),
    "reviews by those who approve": ({"access": {"reviewEvery": "90d"}}, [OWNER, ("ReviewAccess", "model-owner")]),
    "reviews by others": ({"access": {"reviewEvery": "90d", "reviewRoles": ["auditor"]}}, [OWNER, ("ReviewAccess", "auditor")]),
}  # fmt: skip


@pytest.mark.parametrize(("asks", "decide"), DECIDING.values(), ids=DECIDING.keys())
def test_who_decides_what(asks: dict[str, Any], decide: list[tuple[str, str]]) -> None:
    of = procedure(**asks)
    assert list(deciding(of)) == decide
    assert review_roles(of) == [role for what, role in decide if what == "ReviewAccess"]
