"""Who holds a role, read from bindings and rules."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.cli.holders import holders

RULE: Json = {"apiGroups": ["aiqms.dev"], "resources": ["approvalroles"], "resourceNames": ["risk-manager"], "verbs": ["approve", "reject"]}


def binding(*subjects: tuple[str, str], kind: str = "ClusterRole", name: str = "approver") -> Json:
    return {"roleRef": {"kind": kind, "name": name}, "subjects": [{"kind": k, "name": n} for k, n in subjects]}


def test_groups_and_users_are_named_once_however_many_bindings_there_are() -> None:
    bindings = [
        binding(("Group", "risk"), ("User", "dave")),
        binding(("Group", "risk"), name="other"),
        {"roleRef": {"kind": "ClusterRole", "name": "approver"}},
    ]
    rules = {("ClusterRole", "approver"): [RULE], ("ClusterRole", "other"): [RULE]}
    assert holders("risk-manager", bindings, rules) == ("group risk", "user dave")


def test_service_accounts_approve_nothing() -> None:
    assert holders("risk-manager", [binding(("ServiceAccount", "ci"))], {("ClusterRole", "approver"): [RULE]}) == ()


def test_a_role_and_a_clusterrole_of_one_name_are_two() -> None:
    assert holders("risk-manager", [binding(("User", "dave"), kind="Role")], {("ClusterRole", "approver"): [RULE]}) == ()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"resourceNames": ["model-owner"]}, id="another role"),
        pytest.param({"resourceNames": []}, id="all roles, by naming none"),
        pytest.param({"verbs": ["*"]}, id="every verb, by wildcard"),
        pytest.param({"apiGroups": ["*"]}, id="every group, by wildcard"),
        pytest.param({"resources": ["*"]}, id="every resource, by wildcard"),
        pytest.param({"verbs": ["reject"]}, id="another verb"),
        pytest.param({"resources": ["approvalrecords"]}, id="the records, not the role"),
    ],
)
def test_what_makes_nobody_an_approver_is_not_listed(change: dict[str, Any]) -> None:
    assert holders("risk-manager", [binding(("User", "root"))], {("ClusterRole", "approver"): [RULE | change]}) == ()
