"""Invariant 10 for what access says of the network: pairs of Inputs that differ in one field, under the operator's own policy as the first of them wants it."""

from __future__ import annotations

from typing import Any

from aiqms.api.values import Json
from aiqms.policy.facts import Input
from tests.unit.policy.given import change
from tests.unit.policy.networks import approved, clients, in_place, reached

Case = tuple[Input, Input, float]
DUTY: Json = {"framework": "eu-ai-act", "id": "15(5)"}


def _of_procedure(one: Json, other: Json) -> Case:
    base = in_place(approved(clients(**one)))
    return base, change(base, procedures=[clients(**other)]), 1


def _of_deployment(field: str, one: Any, other: Any) -> Case:
    base = in_place(approved(of=reached(**{field: one})))
    return base, change(base, of=reached(**{field: other})), 1


def _expression(key: str = "app", operator: str = "In", *values: str) -> Json:
    return {"podSelector": {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}}


# What differs of a peer, by the field's path below it.
PEERS: dict[str, tuple[Json, Json]] = {
    "namespace": ({"namespace": "a"}, {"namespace": "b"}),
    "podSelector.matchLabels": ({"podSelector": {"matchLabels": {"app": "a"}}}, {"podSelector": {"matchLabels": {"app": "b"}}}),
    "podSelector.matchExpressions[].key": (_expression("app", "In", "a"), _expression("tier", "In", "a")),
    "podSelector.matchExpressions[].operator": (_expression("app", "In", "a"), _expression("app", "NotIn", "a")),
    "podSelector.matchExpressions[].values": (_expression("app", "In", "a"), _expression("app", "In", "b")),
}
NAMED: Json = {"namespace": "a"}

PROCEDURE: dict[str, Case] = {
    "access.network": _of_procedure({}, {"network": None}),
    "access.networkUnverified": _of_procedure({}, {"networkUnverified": "Refused"}),
    "access.obligations[].framework": _of_procedure({"obligations": [DUTY]}, {"obligations": [DUTY | {"framework": "iso-42001"}]}),
    "access.obligations[].id": _of_procedure({"obligations": [DUTY]}, {"obligations": [DUTY | {"id": "15(4)"}]}),
    **{
        f"access.monitoring[].{path}": _of_procedure({"monitoring": [NAMED | one]}, {"monitoring": [NAMED | other]})
        for path, (one, other) in PEERS.items()
    },
}  # fmt: skip
DEPLOYMENT: dict[str, Case] = {
    "access.ports": _of_deployment("ports", [8000], [8001]),
    **{f"access.clients[].{path}": _of_deployment("clients", [NAMED | one], [NAMED | other]) for path, (one, other) in PEERS.items()},
    **{f"access.egress[].{path}": _of_deployment("egress", [NAMED | one], [NAMED | other]) for path, (one, other) in PEERS.items()},
    "access.egress[].cidr": _of_deployment("egress", [{"cidr": "10.0.0.0/8"}], [{"cidr": "10.0.0.0/16"}]),
    "access.egress[].ports": _of_deployment("egress", [NAMED | {"ports": [1]}], [NAMED | {"ports": [2]}]),
}
