"""access.endpoints and access.tls: what leads to the pods, whether it is registered, and whether it asks for TLS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from aiqms.api.deployment import EndpointSeen, Exposure
from aiqms.policy.decide import decide
from aiqms.policy.endpoints import Grant, Ingress, Listener, Parent, Route, Service, Slice, leading, network
from aiqms.policy.facts import Input, WorkloadFacts
from aiqms.policy.surroundings import Leading, Surroundings, Uses
from tests.unit.policy.given import approve, cleared, controls, day, given, procedure, spec, workload

REF = "Deployment/credit-scoring"
REGISTERED, TLS = "high-risk/access/endpoints", "high-risk/access/tls"
RULE = procedure(access={"endpoints": "Registered", "tls": "Required"})
APP = {"app": "scoring", "tier": "model"}
HERE = "lending"
UNSEEN = "and nobody can see that it asks for TLS: have an Ingress or a route lead there"
Says = tuple[str, str, str]

INSIDE = Service("scoring", {"app": "scoring"}, Exposure.CLUSTER, ("8000",))
HTTPS, HTTP = Listener("https", 443, "HTTPS"), Listener("http", 80, "HTTP")
PARENT = Parent("Gateway", "infra", "public")
WEB = Ingress("web", (("a.example", "scoring"),), (("a.example",),))
ROUTE = Route("HTTPRoute", HERE, "api", ("api.example",), ((HERE, "scoring"),), (PARENT,))


def found(*these: Any, labels: Sequence[dict[str, str]] = (APP,), gateways: Any = None, grants: Sequence[Grant] = ()) -> tuple[Leading, ...]:
    """What leads to pods of these labels."""
    of = network(
        HERE,
        services=[t for t in these if isinstance(t, Service)],
        slices=[t for t in these if isinstance(t, Slice)],
        ingresses=[t for t in these if isinstance(t, Ingress)],
        routes=[t for t in these if isinstance(t, Route)],
        grants=grants,
        gateways=gateways,
    )
    return leading(HERE, labels, of, addresses=["10.0.0.7", "fd00::7"])


def reached(*these: Any, named: Sequence[str] = (), used: Uses | None = None, of: Any = RULE, **more: Any) -> Input:
    """An approved deployment to which these lead, of which the register names some, as KIND/NAME or KIND/NAMESPACE/NAME."""
    parts = [n.split("/") for n in named]
    entries = [{"kind": p[0], "name": p[-1]} | ({"namespace": p[1]} if len(p) > 2 else {}) for p in parts]
    around = Surroundings(workloads={REF: used or Uses(labels=APP)}, endpoints=found(*these, **more))
    return given(approve("alice"), procedures=[of], of=spec(access={"endpoints": entries}), around=around)


def names(of: Sequence[Leading]) -> list[str]:
    return [str(e) for e in of]


SELECTED: dict[str, tuple[Sequence[Any], list[str]]] = {
    "a Service that selects the pods": ([INSIDE], ["Service/scoring"]),
    "by more than one label": ([replace(INSIDE, selector=APP)], ["Service/scoring"]),
    "by a label that they lack": ([replace(INSIDE, selector=APP | {"z": "1"})], []),
    "by another value": ([replace(INSIDE, selector={"app": "portal"})], []),
    "without a selector": ([replace(INSIDE, selector={})], []),
    "without a selector, with a pod's address written for it": (
        [replace(INSIDE, selector={}), Slice("scoring", ("10.0.0.6", "fd00::7")), WEB], ["Service/scoring", "Ingress/web"]
    ),
    "with a selector of others, and a pod's address written beside": (
        [replace(INSIDE, selector={"app": "portal"}), Slice("scoring", ("10.0.0.7",))], ["Service/scoring"]
    ),
    "with somebody else's address": ([replace(INSIDE, selector={}), Slice("scoring", ("10.0.0.6",))], []),
    "addresses for a Service that is not there": ([Slice("scoring", ("10.0.0.7",))], []),
    "an Ingress to it": ([INSIDE, Ingress("web", (("a", "scoring"),))], ["Service/scoring", "Ingress/web"]),
    "an Ingress to another": ([INSIDE, Ingress("web", (("a", "portal"),))], ["Service/scoring"]),
    "an Ingress to a Service that does not select them": ([replace(INSIDE, selector={"app": "portal"}), Ingress("web", (("a", "scoring"),))], []),
    "a route to it": ([INSIDE, ROUTE], ["Service/scoring", "HTTPRoute/api"]),
    "a route to a Service of that name elsewhere": ([INSIDE, replace(ROUTE, backends=(("other", "scoring"),))], ["Service/scoring"]),
    "a route of another namespace that nobody let in": ([INSIDE, replace(ROUTE, namespace="other")], ["Service/scoring"]),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECTED.values(), ids=SELECTED.keys())
def test_what_leads_to_the_pods(case: tuple[Sequence[Any], list[str]]) -> None:
    assert names(found(*case[0])) == case[1]


def test_a_pod_that_was_given_another_label_is_reached_by_it() -> None:
    assert names(found(replace(INSIDE, selector={"open": "yes"}), labels=[APP, APP | {"open": "yes"}])) == ["Service/scoring"]


PAIRS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given_(st.lists(PAIRS, max_size=6), st.lists(PAIRS, max_size=4))
def test_a_service_leads_to_pods_as_kubernetes_selects(selectors: list[dict[str, str]], labels: list[dict[str, str]]) -> None:
    services = [Service(f"s{n}", selector, Exposure.CLUSTER) for n, selector in enumerate(selectors)]
    wanted = [f"Service/{s.name}" for s in services if s.selector and any(s.selector.items() <= each.items() for each in labels)]
    assert names(found(*services, labels=labels)) == wanted


@pytest.mark.parametrize(
    ("grant", "leads"),
    [
        pytest.param(Grant((("HTTPRoute", "other"),)), True, id="all Services"),
        pytest.param(Grant((("HTTPRoute", "other"),), ("scoring",)), True, id="this Service"),
        pytest.param(Grant((("HTTPRoute", "other"),), ("portal",)), False, id="another Service"),
        pytest.param(Grant((("GRPCRoute", "other"),)), False, id="another kind"),
        pytest.param(Grant((("HTTPRoute", "third"),)), False, id="another namespace"),
    ],
)
def test_a_route_of_another_namespace_leads_here_as_far_as_a_grant_lets_it(grant: Grant, leads: bool) -> None:
    of = found(INSIDE, replace(ROUTE, namespace="other"), grants=[grant])
    assert [(e.kind, e.namespace) for e in of] == [("Service", HERE)] + [("HTTPRoute", "other")] * leads


# Made within the test, so that what leads there is found by it and not as the module is loaded.
ENDPOINTS: dict[str, tuple[Callable[[], Input], Says | None]] = {
    "nothing is asked": (lambda: reached(INSIDE, of=procedure()), None),
    "nothing leads there": (reached, ("Pass", "EndpointsRegistered", "nothing seen leads to the pods")),
    "a Service that is named": (
        lambda: reached(INSIDE, named=["Service/scoring"]), ("Pass", "EndpointsRegistered", "Service/scoring leads to the pods, as registered")
    ),
    "a Service that is not": (
        lambda: reached(INSIDE),
        ("Fail", "EndpointUnregistered",
         "Service/scoring leads to the pods, and spec.access.endpoints does not name it: name it there, or delete it"),
    ),
    "an Ingress and a route to one that is": (
        lambda: reached(INSIDE, WEB, ROUTE, named=["Service/scoring"]),
        ("Fail", "EndpointUnregistered",
         "Ingress/web and HTTPRoute/api lead to the pods, and spec.access.endpoints does not name them: name them there, or delete them"),
    ),
    "another kind of that name": (
        lambda: reached(INSIDE, named=["Ingress/scoring"]),
        ("Fail", "EndpointUnregistered",
         "Service/scoring leads to the pods, and spec.access.endpoints does not name it: name it there, or delete it"),
    ),
    "a route of another namespace": (
        lambda: reached(INSIDE, replace(ROUTE, namespace="other"), named=["Service/scoring", "HTTPRoute/api"], grants=[Grant((("HTTPRoute", "other"),))]),
        ("Fail", "EndpointUnregistered",
         "HTTPRoute/api of namespace other leads to the pods, and spec.access.endpoints does not name it: name it there, or delete it"),
    ),
    "a route of another namespace that is named": (
        lambda: reached(INSIDE, replace(ROUTE, namespace="other"), named=["Service/scoring", "HTTPRoute/other/api"], grants=[Grant((("HTTPRoute", "other"),))]),
        ("Pass", "EndpointsRegistered", "Service/scoring and HTTPRoute/api of namespace other lead to the pods, as registered"),
    ),
    "a port of the node": (
        lambda: reached(used=Uses(ports=(8000, 9000))),
        ("Fail", "EndpointUnregistered", f"{REF} takes port 8000 and 9000 of its node: have a Service lead there instead"),
    ),
    "the node's network": (
        lambda: reached(used=Uses(host=True)), ("Fail", "EndpointUnregistered", f"{REF} takes the network of its node: have a Service lead there instead")
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_the_control_of_what_is_registered(case: tuple[Callable[[], Input], Says | None]) -> None:
    of, says = case
    assert controls(of(), day(1)).get(REGISTERED) == says


def unseen(service: str, how: str) -> Says:
    return ("Fail", "TlsMissing", f"Service/{service} is reached from outside the cluster ({how}), {UNSEEN}")


def listens(*listeners: Listener) -> Any:
    return {("infra", "public"): listeners}


PLAIN = "HTTPRoute/api hangs on listener http of Gateway infra/public, which is HTTP: name one for HTTPS in sectionName"
ENCRYPTED: dict[str, tuple[Callable[[], Input], Says | None]] = {
    "nothing is asked": (lambda: reached(INSIDE, of=procedure()), None),
    "from inside alone": (lambda: reached(INSIDE), ("Pass", "TlsRequired", "nothing seen leads to the pods from outside the cluster")),
    "a NodePort": (lambda: reached(replace(INSIDE, exposure=Exposure.NODE)), unseen("scoring", "Node")),
    "a load balancer": (lambda: reached(replace(INSIDE, exposure=Exposure.LOAD_BALANCER)), unseen("scoring", "LoadBalancer")),
    "an external address": (lambda: reached(replace(INSIDE, exposure=Exposure.EXTERNAL_IP)), unseen("scoring", "ExternalIP")),
    "a port of the node": (
        lambda: reached(used=Uses(ports=(8000,))),
        ("Fail", "TlsMissing", f"{REF} is reached from outside the cluster at its node (8000), {UNSEEN}"),
    ),
    "an Ingress with TLS": (lambda: reached(INSIDE, WEB), ("Pass", "TlsRequired", "Ingress/web asks for TLS")),
    "an Ingress with TLS by a wildcard": (lambda: reached(INSIDE, replace(WEB, tls=(("*.example",),))), ("Pass", "TlsRequired", "Ingress/web asks for TLS")),
    "an Ingress with TLS by one of several entries": (
        lambda: reached(INSIDE, replace(WEB, tls=(("b.example",), ("a.example",)))), ("Pass", "TlsRequired", "Ingress/web asks for TLS")
    ),
    "an Ingress with TLS for another host": (
        lambda: reached(INSIDE, replace(WEB, tls=(("b.example",),))), ("Fail", "TlsMissing", "Ingress/web has no entry in spec.tls for a.example: add one")
    ),
    "an Ingress with TLS for any host, which leaves open for which": (
        lambda: reached(INSIDE, replace(WEB, tls=((),))), ("Fail", "TlsMissing", "Ingress/web has no entry in spec.tls for a.example: add one")
    ),
    "an Ingress without a host": (
        lambda: reached(INSIDE, Ingress("web", (("", "scoring"),), (("a.example",),))),
        ("Fail", "TlsMissing", "Ingress/web has no entry in spec.tls for any host: add one")
    ),
    "an Ingress without a host and TLS for any": (
        lambda: reached(INSIDE, Ingress("web", (("", "scoring"),), ((),))), ("Pass", "TlsRequired", "Ingress/web asks for TLS")
    ),
    "an Ingress whose plain host leads elsewhere": (
        lambda: reached(INSIDE, replace(WEB, backends=(("a.example", "scoring"), ("b.example", "portal")))), ("Pass", "TlsRequired", "Ingress/web asks for TLS")
    ),
    "a route with HTTPS": (lambda: reached(INSIDE, ROUTE, gateways=listens(HTTPS)), ("Pass", "TlsRequired", "HTTPRoute/api asks for TLS")),
    "a route that hangs on every listener": (lambda: reached(INSIDE, ROUTE, gateways=listens(HTTPS, HTTP)), ("Fail", "TlsMissing", PLAIN)),
    "a route that names the one for HTTPS": (
        lambda: reached(INSIDE, replace(ROUTE, parents=(replace(PARENT, section="https"),)), gateways=listens(HTTPS, HTTP)),
        ("Pass", "TlsRequired", "HTTPRoute/api asks for TLS"),
    ),
    "a route that names its port": (
        lambda: reached(INSIDE, replace(ROUTE, parents=(replace(PARENT, port=443),)), gateways=listens(HTTPS, HTTP)),
        ("Pass", "TlsRequired", "HTTPRoute/api asks for TLS"),
    ),
    "a route on a Gateway that is not there": (
        lambda: reached(INSIDE, ROUTE),
        ("Error", "TlsUnknown", "HTTPRoute/api hangs on Gateway infra/public, which does not exist, so nobody knows whether it asks for TLS"),
    ),
    "a route on something else": (
        lambda: reached(INSIDE, replace(ROUTE, parents=(replace(PARENT, kind="ListenerSet"),))),
        ("Error", "TlsUnknown", "HTTPRoute/api hangs on ListenerSet infra/public, which is not looked at, so nobody knows whether it asks for TLS"),
    ),
    "a route of a mesh": (
        lambda: reached(INSIDE, replace(ROUTE, parents=(replace(PARENT, kind="Service"),))),
        ("Pass", "TlsRequired", "nothing seen leads to the pods from outside the cluster"),
    ),
    "a route on a listener that is not there": (
        lambda: reached(INSIDE, replace(ROUTE, parents=(replace(PARENT, section="other"),)), gateways=listens(HTTPS)),
        ("Error", "TlsUnknown", "HTTPRoute/api names no listener that Gateway infra/public has, so nobody knows whether it asks for TLS"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ENCRYPTED.values(), ids=ENCRYPTED.keys())
def test_the_control_of_tls(case: tuple[Callable[[], Input], Says | None]) -> None:
    of, says = case
    assert controls(of(), day(1)).get(TLS) == says


@pytest.mark.parametrize("there", [[], [workload()]], ids=["no workload yet", "one of two workloads"])
def test_what_does_not_exist_was_not_looked_at(there: list[WorkloadFacts]) -> None:
    rows = controls(replace(reached(), workloads=(*there, workload(None, ref="Job/batch"))), day(1))
    missing = ("Skip", "WorkloadMissing", "this is known once every workload exists")
    assert (rows[REGISTERED], rows[TLS]) == (missing, missing)


def test_an_ingress_that_nobody_registered_ends_the_permission_until_it_is_gone() -> None:
    of = reached(INSIDE, named=["Service/scoring"])
    assert cleared(decide(of, day(1)), day(1)) == ["v1"]
    assert cleared(decide(reached(INSIDE, WEB, named=["Service/scoring"]), day(1)), day(1)) == []


def test_the_status_lists_them_those_that_nobody_registered_first() -> None:
    of = reached(INSIDE, WEB, replace(ROUTE, namespace="other"), named=["Service/scoring"], grants=[Grant((("HTTPRoute", "other"),))], used=Uses(ports=(80,)))
    assert decide(of, day(1)).status.endpoints == [
        EndpointSeen(kind="Deployment", name="credit-scoring", exposure=Exposure.HOST_PORT, at=["80"]),
        EndpointSeen(kind="HTTPRoute", namespace="other", name="api", exposure=Exposure.ROUTE, at=["api.example"]),
        EndpointSeen(kind="Ingress", name="web", exposure=Exposure.INGRESS, at=["a.example"]),
        EndpointSeen(kind="Service", name="scoring", exposure=Exposure.CLUSTER, at=["8000"], registered=True),
    ]


def test_an_ingress_for_any_host_is_listed_as_such() -> None:
    assert [e.at for e in found(INSIDE, Ingress("web", (("", "scoring"), ("a.example", "scoring"))))] == [("8000",), ("*", "a.example")]


def test_a_route_for_any_host_is_listed_as_such() -> None:
    assert [e.at for e in found(INSIDE, replace(ROUTE, hosts=()))] == [("8000",), ("*",)]


def test_the_network_of_a_node_is_listed() -> None:
    assert decide(reached(used=Uses(host=True)), day(1)).status.endpoints == [
        EndpointSeen(kind="Deployment", name="credit-scoring", exposure=Exposure.HOST_PORT, at=["host network"])
    ]


def test_the_list_is_bounded() -> None:
    services = [replace(INSIDE, name=f"s{n}", at=tuple(map(str, range(40)))) for n in range(70)]
    listed = decide(reached(*services), day(1)).status.endpoints
    assert (len(listed), len(listed[0].at)) == (64, 32)
