"""Arithmetic of NetworkPolicies: which pods one selects, and whether one opens more than another allows. What cannot be proved contained is beyond."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiqms.api.values import Json

SPACE = "kubernetes.io/metadata.name"  # label of every Namespace, which the API server keeps equal to its name
_DIRECTIONS = (("Ingress", "ingress", "from"), ("Egress", "egress", "to"))
_EVERYWHERE: Json = {}


@dataclass(frozen=True)
class Requirement:
    """One part of a label selector; matchLabels are In with one value."""

    key: str
    operator: str
    values: frozenset[str]

    def met(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes; what this version does not know is taken as met."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "DoesNotExist":
                return value is None
            case "Exists":
                return value is not None
        return True

    def implies(self, other: Requirement) -> bool:
        """Whether labels that meet this one certainly meet the other one, which is about the same key."""
        match other.operator:
            case "In":
                return self.operator == "In" and self.values <= other.values
            case "NotIn":
                excluded = (self.operator == "In" and not self.values & other.values) or (self.operator == "NotIn" and self.values >= other.values)
                return excluded or self.operator == "DoesNotExist"
            case "Exists":
                return self.operator in ("In", "Exists")
            case "DoesNotExist":
                return self.operator == "DoesNotExist"
        return False


def requirements(selector: Json) -> list[Requirement]:
    """Of a label selector; an empty one has none, and selects everything."""
    exact = [Requirement(key, "In", frozenset((value,))) for key, value in (selector.get("matchLabels") or {}).items()]
    return exact + [Requirement(e["key"], e["operator"], frozenset(e.get("values") or ())) for e in selector.get("matchExpressions") or []]


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether pods with these labels are chosen."""
    return all(r.met(labels) for r in requirements(selector))


def narrower(one: Json, other: Json) -> bool:
    """Whether the other selector certainly chooses everything that the one does."""
    known = requirements(one)
    return all(any(k.key == wanted.key and k.implies(wanted) for k in known) for wanted in requirements(other))


def peer_within(peer: Json, allowed: Json, namespace: str) -> bool:
    """Whether a peer of a policy in this namespace is certainly part of an allowed one."""
    if set(peer) - {"podSelector", "namespaceSelector", "ipBlock"}:
        return False
    if "ipBlock" in peer or "ipBlock" in allowed:
        return "ipBlock" in peer and "ipBlock" in allowed and block_within(peer["ipBlock"], allowed["ipBlock"])
    if not narrower(_spaces(peer, namespace), _spaces(allowed, namespace)):
        return False
    return narrower(peer.get("podSelector") or _EVERYWHERE, allowed.get("podSelector") or _EVERYWHERE)


def _spaces(peer: Json, namespace: str) -> Json:
    """A peer without namespaceSelector is in the policy's own namespace."""
    found: Json | None = peer.get("namespaceSelector")
    return {"matchLabels": {SPACE: namespace}} if found is None else found


def block_within(block: Json, allowed: Json) -> bool:
    """Whether addresses are part of others; exceptions only narrow the first, and are not looked into in the second."""
    try:
        one, other = (ipaddress.ip_network(each["cidr"], strict=False) for each in (block, allowed))
    except ValueError:
        return False
    if allowed.get("except") or set(block) - {"cidr", "except"}:
        return False
    match one, other:
        case (ipaddress.IPv4Network(), ipaddress.IPv4Network()):
            return one.subnet_of(other)
        case (ipaddress.IPv6Network(), ipaddress.IPv6Network()):
            return one.subnet_of(other)
    return False


def port_within(port: Json | None, allowed: Sequence[Json]) -> bool:
    """Whether a port, or range, is certainly among the allowed ones; None: any port. A name is not: what it stands for, each pod says for itself."""
    if not allowed:
        return True
    if port is None or set(port) - {"protocol", "port", "endPort"} or not isinstance(port.get("port"), int):
        return False
    first, last = int(port["port"]), int(port.get("endPort") or port["port"])
    open_ = {(a.get("protocol", "TCP"), a["port"]) for a in allowed if isinstance(a.get("port"), int)}
    return all((port.get("protocol", "TCP"), n) in open_ for n in range(first, last + 1))


def beyond(spec: Json, allowed: Json, namespace: str) -> list[str]:
    """What a policy opens that the allowed one does not, in words. Both are specs of NetworkPolicies in this namespace."""
    types = spec.get("policyTypes") or [d[0] for d in _DIRECTIONS]
    return [said for kind, field, peers in _DIRECTIONS if kind in types for said in _beyond(spec, allowed, field, peers, namespace)]


def _beyond(spec: Json, allowed: Json, field: str, peers: str, namespace: str) -> Iterator[str]:
    mine: list[Json] = allowed.get(field) or []
    for rule in spec.get(field) or []:
        strange = sorted(set(rule) - {peers, "ports"})
        if strange:
            yield f"{field} by {', '.join(strange)}, which this version does not know"
        for peer in rule.get(peers) or [None]:
            for port in rule.get("ports") or [None]:
                if not any(_within(peer, port, each, peers, namespace) for each in mine):
                    yield f"{field} {peers} {described(peer)} at {_port(port)}"


def _within(peer: Json | None, port: Json | None, rule: Json, peers: str, namespace: str) -> bool:
    named: list[Json] = rule.get(peers) or []
    who = not named or (peer is not None and any(peer_within(peer, each, namespace) for each in named))
    return who and port_within(port, rule.get("ports") or [])


def described(peer: Json | None) -> str:
    """A peer in words."""
    if peer is None:
        return "anywhere"
    if "ipBlock" in peer:
        return str(peer["ipBlock"].get("cidr", "addresses"))
    pods = _chosen(peer.get("podSelector") or _EVERYWHERE)
    return f"{_where(peer.get('namespaceSelector'))}{f' ({pods})' if pods else ''}"


def _where(spaces: Json | None) -> str:
    if spaces is None:
        return "its own namespace"
    if set(spaces) == {"matchLabels"} and set(spaces["matchLabels"]) == {SPACE}:
        return f"namespace {spaces['matchLabels'][SPACE]}"
    said = _chosen(spaces)
    return f"namespaces with {said}" if said else "any namespace"


def _chosen(selector: Json) -> str:
    return ", ".join(_requirement(r) for r in requirements(selector))


def _requirement(of: Requirement) -> str:
    values = sorted(of.values)
    if of.operator == "In" and len(values) == 1:
        return f"{of.key}={values[0]}"
    return f"{of.key} {of.operator}" + (f" {', '.join(values)}" if values else "")


def _port(port: Json | None) -> str:
    if port is None:
        return "any port"
    number = port.get("port", "any port")
    end = f"-{port['endPort']}" if "endPort" in port else ""
    return f"{port.get('protocol', 'TCP')} {number}{end}"
