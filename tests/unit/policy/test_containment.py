"""Whether a NetworkPolicy opens more than another allows: a table, and a law held against what Kubernetes would let through."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import event, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.policy.containment import PAIRS, SPACE, STEPS, Effort, TooMuch, beyond, narrower, selects

PORTAL: Json = {"namespaceSelector": {"matchLabels": {SPACE: "loan-portal"}}, "podSelector": {"matchLabels": {"app": "portal"}}}
HERE: Json = {"namespaceSelector": {"matchLabels": {SPACE: "lending"}}}
ALLOWED: Json = {
    "ingress": [{"from": [PORTAL, HERE], "ports": [{"protocol": "TCP", "port": 8000}, {"protocol": "TCP", "port": 8001}]}],
    "egress": [{"to": [PORTAL], "ports": [{"protocol": "UDP", "port": 53}]}, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "fd00::/8"}}]}],
}


def ingress(peer: Json | None = PORTAL, port: Json | None = None) -> Json:
    """One rule; port None: TCP 8000."""
    who = {} if peer is None else {"from": [peer]}
    return {"policyTypes": ["Ingress"], "ingress": [who | {"ports": [{"port": 8000} if port is None else port]}]}


def egress(peer: Json, *ports: Json) -> Json:
    return {"policyTypes": ["Egress"], "egress": [{"to": [peer]} | ({"ports": list(ports)} if ports else {})]}


def pods(selector: Json) -> Json:
    return PORTAL | {"podSelector": selector}


def expression(key: str, operator: str, *values: str) -> Json:
    return {"matchExpressions": [{"key": key, "operator": operator} | ({"values": list(values)} if values else {})]}


WITHIN = {
    "the same": ingress(),
    "nothing": {"policyTypes": ["Ingress", "Egress"]},
    "rules of a direction that it is not about": {"policyTypes": ["Ingress"], "egress": [{}]},
    "fewer pods": ingress(pods({"matchLabels": {"app": "portal", "tier": "web"}})),
    "the same pods by an expression": ingress(pods(expression("app", "In", "portal"))),
    "the same namespace by an expression": ingress(PORTAL | {"namespaceSelector": expression(SPACE, "In", "loan-portal")}),
    "the namespace, and another label of it": ingress(PORTAL | {"namespaceSelector": {"matchLabels": {SPACE: "loan-portal", "env": "prod"}}}),
    "its own namespace, unnamed": ingress({"podSelector": {}}),
    "one of the ports": ingress(port={"protocol": "TCP", "port": 8001}),
    "a range of the ports": ingress(port={"port": 8000, "endPort": 8001}),
    "some of the addresses": egress({"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.1.1.0/24"]}}),
    "some of the addresses of the other family": egress({"ipBlock": {"cidr": "fd00:1::/32"}}),
    "some of the addresses, written as one of them": egress({"ipBlock": {"cidr": "10.1.2.3/16"}}),
    "some of the addresses, at a port": egress({"ipBlock": {"cidr": "10.1.0.0/16"}}, {"protocol": "SCTP", "port": 9}),
}


@pytest.mark.parametrize("spec", WITHIN.values(), ids=WITHIN.keys())
def test_this_opens_nothing_more(spec: Json) -> None:
    assert beyond(spec, ALLOWED, "lending", Effort()) == []


BEYOND = {
    "anybody": (ingress(None), "ingress from anywhere at TCP 8000"),
    "a rule of nothing": ({"policyTypes": ["Ingress"], "ingress": [{}]}, "ingress from anywhere at any port"),
    "no policyTypes: both directions count": ({"egress": [{}]}, "egress to anywhere at any port"),
    "all pods of the namespace": (ingress(pods({})), "ingress from namespace loan-portal at TCP 8000"),
    "other pods": (ingress(pods({"matchLabels": {"app": "shop"}})), "ingress from namespace loan-portal (app=shop) at TCP 8000"),
    "those pods and others": (
        ingress(pods(expression("app", "In", "shop", "portal"))), "ingress from namespace loan-portal (app In portal, shop) at TCP 8000",
    ),
    "pods that have the label at all": (ingress(pods(expression("app", "Exists"))), "ingress from namespace loan-portal (app Exists) at TCP 8000"),
    "pods that have another one": (ingress(pods(expression("app", "NotIn", "shop"))), "ingress from namespace loan-portal (app NotIn shop) at TCP 8000"),
    "all namespaces": (ingress({"namespaceSelector": {}}), "ingress from any namespace at TCP 8000"),
    "namespaces by another label": (
        ingress(PORTAL | {"namespaceSelector": {"matchLabels": {"env": "prod"}}}), "ingress from namespaces with env=prod (app=portal) at TCP 8000",
    ),
    "another namespace": (ingress({"namespaceSelector": {"matchLabels": {SPACE: "dev"}}}), "ingress from namespace dev at TCP 8000"),
    "addresses": (ingress({"ipBlock": {"cidr": "10.0.0.1/32"}}), "ingress from 10.0.0.1/32 at TCP 8000"),
    "a peer of a kind that this version does not know": (ingress(HERE | {"serviceAccounts": {}}), "ingress from namespace lending at TCP 8000"),
    "a rule of a kind that this version does not know": (
        {"policyTypes": ["Ingress"], "ingress": [{"from": [HERE], "ports": [{"port": 8000}], "when": {}}]}, "ingress by when, which this version does not know",
    ),
    "another port": (ingress(port={"port": 9000}), "ingress from namespace loan-portal (app=portal) at TCP 9000"),
    "another protocol": (ingress(port={"protocol": "UDP", "port": 8000}), "ingress from namespace loan-portal (app=portal) at UDP 8000"),
    "a port by what this version does not know": (ingress(port={"port": 8000, "via": "a"}), "ingress from namespace loan-portal (app=portal) at TCP 8000"),
    "a range that is longer": (ingress(port={"port": 8000, "endPort": 8002}), "ingress from namespace loan-portal (app=portal) at TCP 8000-8002"),
    "all ports of a protocol": (ingress(port={"protocol": "TCP"}), "ingress from namespace loan-portal (app=portal) at TCP any port"),
    "a port by name, which each pod gives another number": (ingress(port={"port": "http"}), "ingress from namespace loan-portal (app=portal) at TCP http"),
    "no ports": (
        {"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL]}]}, "ingress from namespace loan-portal (app=portal) at any port",
    ),
    "a peer of one rule at a port of another": (egress(PORTAL, {"port": 8000}), "egress to namespace loan-portal (app=portal) at TCP 8000"),
    "more addresses": (egress({"ipBlock": {"cidr": "10.0.0.0/7"}}), "egress to 10.0.0.0/7 at any port"),
    "its own pods, where addresses are allowed": (egress({"podSelector": {}}), "egress to its own namespace at any port"),
    "addresses of a kind that this version does not know": (egress({"ipBlock": {"cidr": "10.1.0.0/16", "via": "a"}}), "egress to 10.1.0.0/16 at any port"),
    "addresses of the other family": (egress({"ipBlock": {"cidr": "::/0"}}), "egress to ::/0 at any port"),
    "what is no address": (egress({"ipBlock": {"cidr": "everywhere"}}), "egress to everywhere at any port"),
}  # fmt: skip


@pytest.mark.parametrize("case", BEYOND.values(), ids=BEYOND.keys())
def test_this_opens_more(case: tuple[Json, str]) -> None:
    assert beyond(case[0], ALLOWED, "lending", Effort()) == [case[1]]


def test_nothing_lies_within_addresses_with_exceptions() -> None:
    allowed = {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]}
    assert beyond(egress({"ipBlock": {"cidr": "10.1.0.0/24"}}), allowed, "lending", Effort()) == ["egress to 10.1.0.0/24 at any port"]


ONE: Json = {"matchLabels": {"a": "1"}}
NARROWER = {
    "the same value": (ONE, ONE, True),
    "the same value by an expression": (ONE, expression("a", "In", "1"), True),
    "one of the values": (ONE, expression("a", "In", "1", "2"), True),
    "more values": (expression("a", "In", "1", "2"), ONE, False),
    "a value, where another is excluded": (ONE, expression("a", "NotIn", "2"), True),
    "a value that is excluded": (ONE, expression("a", "NotIn", "1"), False),
    "values of which one is excluded": (expression("a", "In", "1", "2"), expression("a", "NotIn", "2", "3"), False),
    "more that is excluded": (expression("a", "NotIn", "1", "2"), expression("a", "NotIn", "1"), True),
    "the same that is excluded": (expression("a", "NotIn", "1"), expression("a", "NotIn", "1"), True),
    "less that is excluded": (expression("a", "NotIn", "1"), expression("a", "NotIn", "1", "2"), False),
    "no label, where a value is excluded": (expression("a", "DoesNotExist"), expression("a", "NotIn", "1"), True),
    "any label, where a value is excluded": (expression("a", "Exists"), expression("a", "NotIn", "1"), False),
    "a value, where any will do": (ONE, expression("a", "Exists"), True),
    "any label": (expression("a", "Exists"), expression("a", "Exists"), True),
    "an excluded value, which no label has either": (expression("a", "NotIn", "1"), expression("a", "Exists"), False),
    "no label, where one has to be": (expression("a", "DoesNotExist"), expression("a", "Exists"), False),
    "no label": (expression("a", "DoesNotExist"), expression("a", "DoesNotExist"), True),
    "a value, where no label may be": (ONE, expression("a", "DoesNotExist"), False),
    "an excluded value, where no label may be": (expression("a", "NotIn", "1"), expression("a", "DoesNotExist"), False),
    "an operator that this version does not know": (expression("a", "Gt", "1"), expression("a", "Gt", "1"), False),
    "a value of another label": ({"matchLabels": {"b": "1"}}, ONE, False),
    "a label more": ({"matchLabels": {"a": "1", "b": "1"}}, ONE, True),
    "a label less": (ONE, {"matchLabels": {"a": "1", "b": "1"}}, False),
    "a label, where none is asked for": (ONE, {}, True),
    "everything": ({}, ONE, False),
}


@pytest.mark.parametrize(("one", "other", "is_narrower"), NARROWER.values(), ids=NARROWER.keys())
def test_a_selector_is_narrower_than_another(one: Json, other: Json, is_narrower: bool) -> None:
    assert narrower(one, other) is narrower(one, other, Effort()) is is_narrower


CHOSEN = {
    "a value": (ONE, ["1"]),
    "values": (expression("a", "In", "1", "2"), ["1", "2"]),
    "another value, or no label": (expression("a", "NotIn", "1"), ["2", "3", None]),
    "a label": (expression("a", "Exists"), ["1", "2", "3"]),
    "no label": (expression("a", "DoesNotExist"), [None]),
    "what this version does not know, which is taken for all": (expression("a", "Gt", "1"), ["1", "2", "3", None]),
    "everything": ({}, ["1", "2", "3", None]),
}


@pytest.mark.parametrize(("selector", "chosen"), CHOSEN.values(), ids=CHOSEN.keys())
def test_a_selector_chooses(selector: Json, chosen: list[str | None]) -> None:
    assert [value for value in ("1", "2", "3", None) if selects(selector, [{"a": value} if value else {}], Effort())] == chosen


# The law: what is found to open nothing more lets nothing through that the allowed one does not, by Kubernetes' own rules, worked out here once more.


@dataclass(frozen=True)
class Packet:
    """Between the pods of namespace lending and somebody else: a pod by its labels and those of its namespace, and its address."""

    direction: str
    spaces: Mapping[str, str]
    labels: Mapping[str, str]
    address: str
    protocol: str
    port: int


SPACES = ("lending", "loan-portal", "dev")
PACKETS = [
    Packet(direction, {SPACE: space} | env, {k: v for k, v in (("app", app), ("tier", tier)) if v}, address, protocol, port)
    for direction in ("ingress", "egress")
    for space, env, address in (("lending", {}, "10.0.0.1"), ("loan-portal", {"env": "prod"}, "10.1.0.1"), ("dev", {"env": "dev"}, "fd00::1"))
    for app in ("portal", "shop", "")
    for tier in ("web", "")
    for protocol in ("TCP", "UDP")
    for port in (79, 80, 81)
]


def passes(spec: Json, packet: Packet) -> bool:
    """As the documentation of NetworkPolicy says."""
    if packet.direction.capitalize() not in spec["policyTypes"]:
        return False
    field = "from" if packet.direction == "ingress" else "to"
    return any(_rule(rule, field, packet) for rule in spec.get(packet.direction, []))


def _rule(rule: Json, field: str, packet: Packet) -> bool:
    peers, ports = rule.get(field, []), rule.get("ports", [])
    return (not peers or any(_peer(p, packet) for p in peers)) and (not ports or any(_port(p, packet) for p in ports))


def _peer(peer: Json, packet: Packet) -> bool:
    if "ipBlock" in peer:
        inside = [ipaddress.ip_address(packet.address) in ipaddress.ip_network(c) for c in (peer["ipBlock"]["cidr"], *peer["ipBlock"].get("except", []))]
        return inside[0] and not any(inside[1:])
    space = selects(peer["namespaceSelector"], [packet.spaces], Effort()) if "namespaceSelector" in peer else packet.spaces[SPACE] == "lending"
    return space and selects(peer.get("podSelector", {}), [packet.labels], Effort())


def _port(port: Json, packet: Packet) -> bool:
    if port.get("protocol", "TCP") != packet.protocol:
        return False
    return "port" not in port or packet.port in range(port["port"], int(port.get("endPort") or port["port"]) + 1)


def selectors(values: Mapping[str, tuple[str, ...]]) -> st.SearchStrategy[Json]:
    """A selector over these labels."""
    keys = st.sampled_from(sorted(values))
    some = keys.flatmap(lambda k: st.tuples(st.just(k), st.lists(st.sampled_from(values[k]), min_size=1, max_size=2, unique=True)))
    valued = st.tuples(some, st.sampled_from(["In", "NotIn"])).map(lambda t: {"key": t[0][0], "operator": t[1], "values": t[0][1]})
    bare = st.tuples(keys, st.sampled_from(["Exists", "DoesNotExist"])).map(lambda t: {"key": t[0], "operator": t[1]})
    exact = keys.flatmap(lambda k: st.sampled_from(values[k]).map(lambda v: {"matchLabels": {k: v}}))
    return exact | st.lists(valued | bare, max_size=2).map(lambda e: {"matchExpressions": e} if e else {})


PODS = selectors({"app": ("portal", "shop"), "tier": ("web",)})
NAMED = st.sampled_from(SPACES).map(lambda s: {"matchLabels": {SPACE: s}})
ANY_SPACES = NAMED | selectors({SPACE: SPACES, "env": ("prod", "dev")})
CIDRS = st.sampled_from(["10.0.0.0/8", "10.0.0.0/16", "0.0.0.0/0", "fd00::/8"])
PORTS = st.lists(
    st.fixed_dictionaries({"port": st.integers(79, 81)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])})
    | st.just({"port": 79, "endPort": 81}) | st.just({"port": 80, "endPort": 81}) | st.just({"protocol": "UDP"}),
    max_size=2,
)  # fmt: skip


def policies(peers: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    """A policy whose peers are these."""

    def rules(field: str) -> st.SearchStrategy[Any]:
        made = st.fixed_dictionaries({}, optional={field: st.lists(peers, max_size=2), "ports": PORTS})
        return st.lists(made, max_size=2)

    return st.fixed_dictionaries({"policyTypes": st.just(["Ingress", "Egress"]), "ingress": rules("from"), "egress": rules("to")})


BLOCKS = CIDRS.map(lambda c: {"ipBlock": {"cidr": c}}) | st.just({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}})
OTHERS = BLOCKS | st.fixed_dictionaries({}, optional={"namespaceSelector": ANY_SPACES, "podSelector": PODS}).filter(bool)
NAMED_ONES = BLOCKS | st.fixed_dictionaries({"namespaceSelector": NAMED}, optional={"podSelector": PODS})


@settings(deadline=None, max_examples=600, derandomize=True)
@for_all(policies(OTHERS), policies(NAMED_ONES))
def test_what_opens_nothing_more_lets_nothing_more_through(spec: Json, allowed: Json) -> None:
    contained = not beyond(spec, allowed, "lending", Effort())
    event(f"contained: {contained}, opens something: {any(passes(spec, p) for p in PACKETS)}")
    if contained:
        assert [p for p in PACKETS if passes(spec, p) and not passes(allowed, p)] == []


LETTERS = selectors({"a": ("1", "2", "3")})
LABELS = [{}, *({"a": value} for value in ("1", "2", "3", "4"))]


@settings(deadline=None, max_examples=600, derandomize=True)
@for_all(LETTERS, LETTERS)
def test_what_a_narrower_selector_chooses_the_other_one_chooses_too(one: Json, other: Json) -> None:
    event(f"narrower: {narrower(one, other)}")
    if narrower(one, other):
        assert [labels for labels in LABELS if selects(one, [labels], Effort()) and not selects(other, [labels], Effort())] == []


@settings(deadline=None, max_examples=200, derandomize=True)
@for_all(policies(NAMED_ONES.filter(lambda peer: "except" not in peer.get("ipBlock", {}))))
def test_a_policy_with_ports_by_number_opens_nothing_more_than_itself(spec: Json) -> None:
    numbered = {d: [r | {"ports": [p for p in r.get("ports", []) if "port" in p and "endPort" not in p]} for r in spec[d]] for d in ("ingress", "egress")}
    assert beyond(spec | numbered, spec | numbered, "lending", Effort()) == []


MANY = 5000
EXPRESSIONS: Json = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [f"v{n}"]} for n in range(MANY)]}
ANYWHERE: Json = {"namespaceSelector": {}, "podSelector": EXPRESSIONS}
TESTERS = [{"namespaceSelector": {"matchLabels": {SPACE: "a", "env": "x"}}, "podSelector": {"matchLabels": {f"app{n}": "x"}}} for n in range(64)]
HOSTILE = {
    "many peers": {"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL | {"podSelector": {"matchLabels": {"n": f"{n}"}}} for n in range(MANY)]}]},
    "many expressions": ingress(PORTAL | {"podSelector": EXPRESSIONS}),
    "many peers of many expressions": {"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL | {"podSelector": EXPRESSIONS}] * 50}] * 50},
    "many values": ingress(PORTAL | {"podSelector": expression("app", "In", *(f"v{n}" for n in range(STEPS)))}),
    "many ports": {"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL], "ports": [{"port": n} for n in range(1, MANY)]}] * 20},
    "many peers, none of which needs a look": {"policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}] * STEPS}]},
}  # fmt: skip


@pytest.mark.parametrize("spec", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_policy_is_never_told_to_open_nothing_and_takes_no_time(spec: Json) -> None:
    began = time.process_time()
    for allowed in (ALLOWED, {"ingress": [{"from": TESTERS, "ports": [{"port": 8000}]}]}):
        assert told(spec, allowed) != []
    assert time.process_time() - began < 1


def told(spec: Json, allowed: Json) -> list[str] | None:
    """None: too much to tell."""
    try:
        return beyond(spec, allowed, "lending", Effort())
    except TooMuch:
        return None


FEWER = pods({"matchLabels": {"app": "portal", "tier": "web"}})
COSTS: dict[str, tuple[Json, tuple[int, int]]] = {
    "nothing": ({"policyTypes": ["Ingress"]}, (0, 0)),
    "a peer that is named as it is": (ingress(), (0, 6)),
    "another port": ({"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL], "ports": [{"port": 8000}, {"port": 8001}]}]}, (0, 8)),
    "a peer that has to be compared": (ingress(FEWER), (1, 19)),
    "a value more": (ingress(pods(expression("app", "In", "portal", "shop"))), (1, 18)),
}


@pytest.mark.parametrize(("spec", "cost"), COSTS.values(), ids=COSTS.keys())
def test_peers_ports_requirements_and_their_values_are_steps(spec: Json, cost: tuple[int, int]) -> None:
    effort = Effort()
    beyond(spec, ALLOWED, "lending", effort)
    assert (PAIRS - effort.pairs, STEPS - effort.steps) == cost


def test_a_pod_and_each_requirement_that_is_held_against_it_are_steps() -> None:
    effort = Effort()
    selects(FEWER["podSelector"], [{"app": "shop"}, {"app": "portal"}], effort)
    assert (PAIRS - effort.pairs, STEPS - effort.steps) == (0, 6)


def test_the_last_step_is_taken_and_no_more() -> None:
    effort = Effort(pairs=1, steps=3)
    effort.step(2)
    effort.pair()
    with pytest.raises(TooMuch):
        effort.step()


def test_the_last_pair_is_compared_and_no_more() -> None:
    effort = Effort(pairs=1)
    effort.pair()
    with pytest.raises(TooMuch):
        effort.pair()


def test_beyond_so_many_pairs_of_selectors_nobody_can_tell() -> None:
    peers = [PORTAL | {"podSelector": {"matchLabels": {"app": "portal", "n": f"{n}"}}} for n in range(PAIRS + 1)]
    assert told({"policyTypes": ["Ingress"], "ingress": [{"from": peers[:PAIRS], "ports": [{"port": 8000}]}]}, ALLOWED) == []
    assert told({"policyTypes": ["Ingress"], "ingress": [{"from": peers, "ports": [{"port": 8000}]}]}, ALLOWED) is None


def test_labels_of_many_pods_take_no_time_either() -> None:
    last = EXPRESSIONS["matchExpressions"] + [{"key": "app", "operator": "In", "values": ["x"]}]
    with pytest.raises(TooMuch):
        selects({"matchExpressions": last}, ({"pod": f"{n}"} for n in range(MANY)), Effort())


def test_a_range_of_all_ports_is_one_look() -> None:
    spec = {"policyTypes": ["Ingress"], "ingress": [{"from": [PORTAL], "ports": [{"port": 1, "endPort": 65535}] * 100}]}
    assert len(beyond(spec, ALLOWED, "lending", Effort(steps=500))) == 100


def test_as_many_pairs_of_selectors_are_compared_as_anybody_needs() -> None:
    allowed = {"ingress": [{"from": [PORTAL | {"podSelector": {"matchLabels": {"app": f"a{n}"}}} for n in range(64)]}]}
    named = [{"namespaceSelector": {"matchLabels": {SPACE: f"n{n}"}}} for n in range(64)]
    assert beyond({"policyTypes": ["Ingress"], "ingress": [*allowed["ingress"]] * 8}, allowed, "lending", Effort()) == []
    assert len(beyond({"policyTypes": ["Ingress"], "ingress": [{"from": named * 8}]}, allowed, "lending", Effort(pairs=0))) == 512


def test_a_peer_of_endless_selectors_is_described_in_few_words() -> None:
    endless = {"matchExpressions": [{"key": f"k{n}", "operator": "NotIn", "values": [f"v{m}" for m in range(40)]} for n in range(20)]}
    (said,) = beyond(ingress({"namespaceSelector": {}, "podSelector": endless}), ALLOWED, "lending", Effort())
    assert said.startswith("ingress from any namespace (k0 NotIn v0, v1, v10, ")
    assert said.endswith("… at TCP 8000")
    assert len(said) < 400
