"""What a person holds, as the API server answers; and the commands that give it."""

from __future__ import annotations

import pytest

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli.holders import Bindings
from aiqms.cli.rights import Holding, binding, roles_in
from tests.unit.cli.given import rights

RULE: Json = {"apiGroups": ["aiqms.dev"], "resources": ["approvalroles"], "resourceNames": ["risk-manager"], "verbs": ["approve", "stop"]}


@pytest.mark.parametrize(
    ("rules", "roles"),
    [
        ([RULE, RULE | {"resourceNames": ["model-owner", "risk-manager"]}], ["model-owner", "risk-manager"]),
        ([RULE | {"verbs": ["*"]}], ["risk-manager"]),
        ([RULE | {"verbs": ["reject"]}], []),
        ([RULE | {"apiGroups": [""]}], []),
        ([RULE | {"resources": ["approvalrecords"]}], []),
        ([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], []),
    ],
    ids=["several rules", "every verb", "another verb", "another group", "another resource", "a wildcard names no role"],
)
def test_the_roles_that_rules_name(rules: list[Json], roles: list[str]) -> None:
    assert roles_in(rules, "approve") == roles


@pytest.mark.parametrize(
    ("who", "holding", "approves", "stops"),
    [
        (rights("risk-manager"), Holding.NAMED, True, True),
        (rights(wildcard=True), Holding.WILDCARD, False, True),
        (rights("clown"), Holding.NONE, False, False),
    ],
    ids=["by name", "by a wildcard", "not"],
)
def test_a_wildcard_decides_nothing_but_stop(who: object, holding: Holding, approves: bool, stops: bool) -> None:
    assert isinstance(who, type(rights()))
    assert who.holding("risk-manager", Decision.APPROVE) is holding
    assert (who.decides("risk-manager", Decision.APPROVE), who.decides("risk-manager", Decision.STOP)) == (approves, stops)


@pytest.mark.parametrize(
    ("who", "command"),
    [
        ("user alice", "kubectl create rolebinding risk-manager-alice --clusterrole aiqms-role-risk-manager --user alice -n lending"),
        (
            "user https://id.example#O'Neil",
            """kubectl create rolebinding risk-manager-https---id.example-O-Neil --clusterrole aiqms-role-risk-manager """
            """--user 'https://id.example#O'"'"'Neil' -n lending""",
        ),
        ("group risk managers", "kubectl create rolebinding risk-managers --clusterrole aiqms-role-risk-manager --group 'risk managers' -n lending"),
    ],
)
def test_the_command_that_binds_can_be_pasted(who: str, command: str) -> None:
    assert binding("risk-manager", who, "lending") == command


def bindings(*, cluster_roles: dict[tuple[str, str], list[Json]] | None) -> Bindings:
    bound = {"roleRef": {"kind": "ClusterRole", "name": "aiqms-role-risk-manager"}, "subjects": [{"kind": "User", "name": "dave"}]}
    return Bindings((bound,), {}, cluster_roles, known=cluster_roles is not None)


def test_who_may_stop_is_asked_apart_from_who_may_approve() -> None:
    only_stop = bindings(cluster_roles={("ClusterRole", "aiqms-role-risk-manager"): [RULE | {"verbs": ["stop"]}]})
    assert only_stop.may("risk-manager", Decision.STOP).people == ("user dave",)
    assert only_stop.may("risk-manager").people == ()
    assert only_stop.holding("risk-manager").people == ("user dave",)


def test_where_clusterroles_may_not_be_read_the_charts_names_stand_in() -> None:
    found = bindings(cluster_roles=None).may("risk-manager")
    assert (found.people, found.known, found.giver) == (("user dave",), False, "aiqms-role-risk-manager")
