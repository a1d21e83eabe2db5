"""Arithmetic of NetworkPolicies: which pods one selects, and whether one opens more than another allows. What cannot be proved contained is beyond."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiqms.api.values import Json
from aiqms.policy.words import visible

SPACE = "kubernetes.io/metadata.name"  # label of every Namespace, which the API server keeps equal to its name
_DIRECTIONS = (("Ingress", "ingress", "from"), ("Egress", "egress", "to"))
_EVERYWHERE: Json = {}
PAIRS, STEPS = 512, 65_536  # what is compared for one deployment: pairs of selectors, and all of them together, peers and ports; some 50 ms


class TooMuch(Exception):
    """More than is compared, so that nobody can tell."""


@dataclass
class Effort:
    """What may still be compared: whoever writes a NetworkPolicy must not keep the operator busy. Raises TooMuch where nothing is left."""

    pairs: int = PAIRS
    steps: int = STEPS

    def pair(self) -> None:
        """Two selectors are compared."""
        self.pairs -= 1
        self.step()

    def step(self, count: int = 1) -> None:
        """So many requirements, peers or ports are looked at."""
        self.steps -= count
        if self.steps < 0 or self.pairs < 0:
            raise TooMuch


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


def selects(selector: Json, labels: Iterable[Mapping[str, str]], effort: Effort) -> bool:
    """Whether pods with one of these sets of labels are chosen."""
    asked = requirements(selector)
    return any(_meets(asked, each, effort) for each in labels)


def _meets(asked: Sequence[Requirement], labels: Mapping[str, str], effort: Effort) -> bool:
    effort.step(1 + len(asked))
    return all(r.met(labels) for r in asked)


def narrower(one: Json, other: Json, effort: Effort | None = None) -> bool:
    """Whether the other selector certainly chooses everything that the one does. effort: none for selectors whose size a schema bounds."""
    known: dict[str, list[Requirement]] = {}
    for each in requirements(one):
        known.setdefault(each.key, []).append(each)
        if effort:
            effort.step(1 + len(each.values))
    return all(any(_implies(k, wanted, effort) for k in known.get(wanted.key, ())) for wanted in requirements(other))


def _implies(one: Requirement, other: Requirement, effort: Effort | None) -> bool:
    if effort:
        effort.step(1 + len(one.values) + len(other.values))
    return one.implies(other)


def peer_within(peer: Json, allowed: Json, namespace: str, effort: Effort | None = None) -> bool:
    """Whether a peer of a policy in this namespace is certainly part of an allowed one."""
    if set(peer) - {"podSelector", "namespaceSelector", "ipBlock"}:
        return False
    if "ipBlock" in peer or "ipBlock" in allowed:
        return "ipBlock" in peer and "ipBlock" in allowed and block_within(peer["ipBlock"], allowed["ipBlock"])
    mine, theirs = _spaces(peer, namespace), _spaces(allowed, namespace)
    if _single(mine) and _single(theirs) and mine != theirs:
        return False
    if effort:
        effort.pair()
    return narrower(mine, theirs, effort) and narrower(peer.get("podSelector") or _EVERYWHERE, allowed.get("podSelector") or _EVERYWHERE, effort)


def _single(spaces: Json) -> bool:
    """Whether it is one namespace by its name: two such need no further look."""
    return set(spaces) == {"matchLabels"} and set(spaces["matchLabels"]) == {SPACE}


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


_SAID = 300  # letters of a peer's selectors: what to do about it has to have room behind them
Ports = Collection[tuple[str, int]]  # protocol and number


def port_within(port: Json | None, allowed: Ports | None) -> bool:
    """Whether a port, or range, is certainly among the allowed ones; None: any port. A name is not: what it stands for, each pod says for itself."""
    if allowed is None:
        return True
    if port is None or set(port) - {"protocol", "port", "endPort"} or not isinstance(port.get("port"), int):
        return False
    first, last = int(port["port"]), int(port.get("endPort") or port["port"])
    return all((port.get("protocol", "TCP"), n) in allowed for n in range(first, last + 1))


def _open(ports: Sequence[Json] | None) -> Ports | None:
    """None: any."""
    return {(p.get("protocol", "TCP"), p["port"]) for p in ports if isinstance(p.get("port"), int)} if ports else None


def beyond(spec: Json, allowed: Json, namespace: str, effort: Effort) -> list[str]:
    """What a policy opens that the allowed one does not, in words. Both are specs of NetworkPolicies in this namespace. Raises TooMuch."""
    types = spec.get("policyTypes") or [d[0] for d in _DIRECTIONS]
    return [said for kind, *where in _DIRECTIONS if kind in types for said in _beyond(spec, allowed, (where[0], where[1]), namespace, effort)]


def _beyond(spec: Json, allowed: Json, where: tuple[str, str], namespace: str, effort: Effort) -> Iterator[str]:
    field, peers = where
    mine = [(each.get(peers) or [], _open(each.get("ports"))) for each in allowed.get(field) or []]
    for rule in spec.get(field) or []:
        strange = sorted(set(rule) - {peers, "ports"})
        if strange:
            yield f"{field} by {', '.join(strange)}, which this version does not know"
        for peer in rule.get(peers) or [None]:
            effort.step()
            open_ = [ports for named, ports in mine if _among(peer, named, namespace, effort)]
            said = ""
            for port in rule.get("ports") or [None]:
                effort.step(1 + len(open_))
                if not any(port_within(port, each) for each in open_):
                    said = said or described(peer)
                    yield f"{field} {peers} {said} at {_port(port)}"


def _among(peer: Json | None, named: Sequence[Json], namespace: str, effort: Effort) -> bool:
    effort.step(1 + len(named))
    return not named or (peer is not None and (peer in named or any(peer_within(peer, each, namespace, effort) for each in named)))


def described(peer: Json | None) -> str:
    """A peer in words."""
    if peer is None:
        return "anywhere"
    if "ipBlock" in peer:
        return str(peer["ipBlock"].get("cidr", "addresses"))
    pods = _chosen(peer.get("podSelector") or _EVERYWHERE)
    return visible(f"{_where(peer.get('namespaceSelector'))}{f' ({pods})' if pods else ''}", _SAID)


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
