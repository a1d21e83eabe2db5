"""access.endpoints and access.tls on a real API server: what leads to the pods is found, told, and mended by naming or deleting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import gateway_api
from tests.e2e.given import NAME, Place, held, placed
from tests.e2e.test_identity import await_said, said
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator

REGISTERED = {"endpoints": "Registered"}
REQUIRED = {"tls": "Required"}
ENDPOINTS, TLS = "access/endpoints", "access/tls"
NONE = "nothing seen leads to the pods"
HOST = "scoring.bank.example"
UNSEEN = "and nobody can see that it asks for TLS: have an Ingress or a route lead there"
MINUTE = 60  # within which a kind that the cluster lacked is seen


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def service(place: Place, name: str = NAME, **spec: Any) -> None:
    """The pipeline applies a Service that selects the pods."""
    spec = {"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8000}]} | spec
    place.by("mallory").apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": place.namespace}, "spec": spec})


def ingress(place: Place, name: str = NAME, *, tls: bool = False) -> None:
    """The pipeline applies an Ingress to that Service."""
    backend = {"service": {"name": NAME, "port": {"number": 80}}}
    spec: Json = {"rules": [{"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}
    spec |= {"tls": [{"hosts": [HOST], "secretName": "tls"}]} if tls else {}
    manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": place.namespace}, "spec": spec}
    place.by("mallory").apply(manifest)


def named(*endpoints: str) -> Json:
    """spec.access of a register entry that names these, each as KIND/NAME."""
    return {"endpoints": [dict(zip(("kind", "name"), e.split("/"), strict=True)) for e in endpoints]}


def unregistered(what: str) -> str:
    return f"{what} leads to the pods, and spec.access.endpoints does not name it: name it there, or delete it"


class TestRegistered:
    """access.endpoints: Registered."""

    def test_a_service_that_the_register_does_not_name_holds_the_deployment_until_it_does(self, place: Place) -> None:
        place.govern(access=REGISTERED)
        place.register()
        place.deploy()
        service(place)
        place.await_pods(held=1)
        place.decide("alice")
        await_said(place, ENDPOINTS, "Fail", unregistered(f"Service/{NAME}"))
        place.await_phase("Held", "EndpointUnregistered")
        place.register(access=named(f"Service/{NAME}"))
        place.await_pods(running=1)
        await_said(place, ENDPOINTS, "Pass", f"Service/{NAME} leads to the pods, as registered")
        listed = {"kind": "Service", "namespace": "", "name": NAME, "exposure": "Cluster", "at": ["80"], "registered": True}
        assert place.status["endpoints"] == [listed]

    def test_an_ingress_that_turns_up_ends_the_permission_until_it_is_gone(self, place: Place) -> None:
        place.cleared(access=REGISTERED)
        service(place)
        place.register(access=named(f"Service/{NAME}"))
        place.await_phase("Running", "Approved")
        ingress(place, "open")
        await_said(place, ENDPOINTS, "Fail", unregistered("Ingress/open"))
        place.await_phase("Held", "EndpointUnregistered")
        place.await_pods(running=1)
        assert held(place.await_replacement(place.running()[0]))
        place.by("mallory").delete("ingresses", "open", place.namespace)
        place.await_phase("Running", "Approved")
        place.await_pods(running=1)

    def test_where_a_lapse_stops_the_pods_go_at_once(self, place: Place) -> None:
        place.cleared(access=REGISTERED, onLapse={"action": "Stop"})
        assert said(place, ENDPOINTS) == ("Pass", NONE)
        service(place, "side-door")
        place.await_pods(held=1)
        place.await_phase("Stopped", "EndpointUnregistered")
        place.by("mallory").delete("services", "side-door", place.namespace)
        place.await_pods(running=1)

    def test_a_running_pod_that_is_labelled_for_another_service_is_reached_by_it(self, place: Place) -> None:
        place.cleared(access=REGISTERED)
        service(place, "open", selector={"open": "yes"})
        assert said(place, ENDPOINTS) == ("Pass", NONE)
        name = place.running()[0]["metadata"]["name"]
        place.by("mallory").patch("pods", name, {"metadata": {"labels": {"open": "yes"}}}, place.namespace)
        await_said(place, ENDPOINTS, "Fail", unregistered("Service/open"))

    def test_a_service_without_a_selector_is_found_by_the_address_that_somebody_wrote_for_it(self, place: Place) -> None:
        place.cleared(access=REGISTERED)
        service(place, "by-hand", selector=None)
        assert not place.by("mallory").may("create", "endpointslices", place.namespace, group="discovery.k8s.io")
        address = place.running()[0]["status"]["podIP"]
        metadata = {"name": "by-hand", "namespace": place.namespace, "labels": {"kubernetes.io/service-name": "by-hand"}}
        endpoints = {"addressType": "IPv4", "endpoints": [{"addresses": [address]}], "ports": [{"port": 8000}]}
        place.admin.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata} | endpoints)
        await_said(place, ENDPOINTS, "Fail", unregistered("Service/by-hand"))
        place.admin.delete("endpointslices", "by-hand", place.namespace)
        await_said(place, ENDPOINTS, "Pass", NONE)

    def test_a_port_of_the_node_cannot_be_registered(self, place: Place) -> None:
        place.govern(access=REGISTERED | REQUIRED)
        place.register()
        place.deploy(ports=[{"containerPort": 8000, "hostPort": 8000}])
        await_said(place, ENDPOINTS, "Fail", f"Deployment/{NAME} takes port 8000 of its node: have a Service lead there instead")
        told = f"Deployment/{NAME} is reached from outside the cluster at its node (8000), {UNSEEN}"
        await_said(place, TLS, "Fail", told)

    def test_under_audit_it_is_told_and_holds_nothing(self, place: Place) -> None:
        place.govern(access=REGISTERED, enforcement="Audit")
        place.register()
        place.deploy()
        service(place)
        await_said(place, ENDPOINTS, "Fail", unregistered(f"Service/{NAME}"))
        place.await_pods(running=1)

    def test_a_service_of_other_pods_concerns_nobody_here(self, place: Place) -> None:
        place.cleared(access=REGISTERED)
        service(place, "portal", selector={"app": "portal"})
        service(place, "manual", selector=None)
        service(place, "last")
        await_said(place, ENDPOINTS, "Fail", unregistered("Service/last"))


class TestTls:
    """access.tls: Required."""

    def test_an_ingress_asks_for_it_or_holds_the_deployment(self, place: Place) -> None:
        place.govern(access=REQUIRED)
        place.register()
        place.deploy()
        service(place)
        ingress(place)
        place.await_pods(held=1)
        place.decide("alice")
        await_said(place, TLS, "Fail", f"Ingress/{NAME} has no entry in spec.tls for {HOST}: add one")
        place.await_phase("Held", "TlsMissing")
        ingress(place, tls=True)
        await_said(place, TLS, "Pass", f"Ingress/{NAME} asks for TLS")
        place.await_pods(running=1)

    def test_a_node_port_cannot_be_seen_to_ask_for_it(self, place: Place) -> None:
        place.cleared(access=REQUIRED)
        service(place, type="NodePort")
        told = f"Service/{NAME} is reached from outside the cluster (Node), {UNSEEN}"
        await_said(place, TLS, "Fail", told)
        service(place, type="ClusterIP")
        await_said(place, TLS, "Pass", "nothing seen leads to the pods from outside the cluster")
        place.await_phase("Running", "Approved")


@pytest.fixture
def gateways(cluster: Cluster) -> Iterator[None]:
    """The cluster gets the Gateway API while the operator runs, and loses it again."""
    gateway_api.install(cluster.api("admin"))
    yield
    gateway_api.uninstall(cluster.api("admin"))


def route(place: Place, section: str) -> Json:
    """A route to the Service from a Gateway of the same namespace."""
    parents = [{"name": "public", "sectionName": section}]
    spec = {"hostnames": [HOST], "parentRefs": parents, "rules": [{"backendRefs": [{"name": NAME, "port": 80}]}]}
    return {"apiVersion": f"{gateway_api.GROUP}/v1", "kind": "HTTPRoute", "metadata": {"name": "api", "namespace": place.namespace}, "spec": spec}


def test_a_gateway_api_that_is_installed_later_is_looked_at_and_one_that_is_gone_no_more(place: Place, cluster: Cluster, gateways: None) -> None:
    place.cleared(access=REGISTERED | REQUIRED)
    service(place)
    place.register(access=named(f"Service/{NAME}"))
    place.await_phase("Running", "Approved")
    place.admin.apply(route(place, "http"))
    place.awaited(lambda: said(place, ENDPOINTS) == ("Fail", unregistered("HTTPRoute/api")), "the route is seen", seconds=MINUTE)
    place.register(access=named(f"Service/{NAME}", "HTTPRoute/api"))
    at = f"Gateway {place.namespace}/public"
    await_said(place, TLS, "Error", f"HTTPRoute/api hangs on {at}, which does not exist, so nobody knows whether it asks for TLS")
    listeners = [{"name": "https", "port": 443, "protocol": "HTTPS"}, {"name": "http", "port": 80, "protocol": "HTTP"}]
    gateway = {"apiVersion": f"{gateway_api.GROUP}/v1", "kind": "Gateway", "metadata": {"name": "public", "namespace": place.namespace}}
    place.admin.apply(gateway | {"spec": {"listeners": listeners}})
    plain = f"HTTPRoute/api hangs on listener http of {at}, which is HTTP: name one for HTTPS in sectionName"
    place.awaited(lambda: said(place, TLS) == ("Fail", plain), "the Gateway is seen", seconds=MINUTE)
    place.admin.apply(route(place, "https"))
    await_said(place, TLS, "Pass", "HTTPRoute/api asks for TLS")
    place.await_phase("Running", "Approved")
    gateway_api.uninstall(place.admin)
    place.awaited(lambda: [e["kind"] for e in place.status["endpoints"]] == ["Service"], "the route is gone with its kind", seconds=MINUTE)
    gateway_api.install(place.admin)


def test_at_rest_and_after_a_restart_nothing_is_written(place: Place, operator: Operator) -> None:
    """Invariant 9: a status with endpoints and reads is the same each time that it is worked out."""
    place.cleared(access=REGISTERED)
    service(place)
    place.register(access=named(f"Service/{NAME}"))
    await_said(place, ENDPOINTS, "Pass", f"Service/{NAME} leads to the pods, as registered")
    place.await_phase("Running", "Approved")
    before = place.entry["metadata"]["resourceVersion"]
    operator.stop()
    operator.start()
    other = place.of("other")
    other.register()
    other.awaited(lambda: other.status["controls"], "the namespace is judged anew")
    assert place.entry["metadata"]["resourceVersion"] == before
