"""NetworkPolicies and what is known of them in few words, on top of given.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiqms.api.deployment import DeploymentSpec
from aiqms.api.values import Json
from aiqms.policy.facts import Input, Procedure
from aiqms.policy.network import Wanted, wanted
from aiqms.policy.networks import Network, Outcome, Probe, Stored
from tests.unit.policy.given import approve, change, day, given, procedure, spec

OWN = "aiqms-credit-scoring"
LABELS = {"app": "credit", "aiqms.dev/deployment": "credit-scoring"}
PORTAL: Json = {"namespace": "loan-portal", "podSelector": {"matchLabels": {"app": "portal"}}}
FEATURES: Json = {"namespace": "features", "ports": [5432]}
REGISTERED: Json = {"clients": [PORTAL], "ports": [8000], "egress": [FEATURES]}


def clients(name: str = "high-risk", *, audit: bool = False, **access: Any) -> Procedure:
    """A procedure that asks for access.network: Clients, unverified enforcement being a warning unless said otherwise."""
    return procedure(name, audit=audit, access={"network": "Clients", "networkUnverified": "Warned"} | access)


def reached(**access: Any) -> DeploymentSpec:
    """A register entry of this access, on top of REGISTERED."""
    return spec(access=REGISTERED | access)


def stored(name: str, rules: Json, **more: Any) -> Stored:
    """A NetworkPolicy of the namespace that selects every pod there; rules: ingress, egress or both, policyTypes to match."""
    types = [kind for kind, field in (("Ingress", "ingress"), ("Egress", "egress")) if field in rules]
    return Stored(name, {"podSelector": {}, "policyTypes": types} | rules, uid=f"uid-{name}", version="1", **more)


def object_of(of: Input) -> Json:
    """What the operator keeps for it."""
    found = wanted(of)
    assert isinstance(found, Wanted)
    return found.object


def in_place(of: Input, *others: Stored, **more: Any) -> Input:
    """The same with the operator's own policy as it has to be, and others before it."""
    object_ = object_of(of)
    own = Stored(OWN, object_["spec"], uid="own", version="1", labels=object_["metadata"]["labels"], owners=(of.network.owner,), ours=True)
    return replace(of, network=replace(of.network, policies=(*others, own), **more))


def approved(*procedures: Procedure, of: DeploymentSpec | None = None) -> Input:
    """An approved deployment whose pods bear LABELS, and no policy yet."""
    base = given(approve("alice"), of=of or reached(), procedures=procedures or [clients()], network=Network(owner="uid", labels=(LABELS,)))
    return change(base, approve("alice", name="again"))


def probed(outcome: Outcome, at: float = 0, why: str = "") -> Probe:
    """A probe of that day."""
    return Probe(outcome, day(at), why)


def peers(*spaces: str) -> Sequence[Json]:
    """All pods of these namespaces, as a rule of a policy has them."""
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}} for space in spaces]
