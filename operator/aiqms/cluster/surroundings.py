"""What surrounds pods, as the operator watches it: volume claims, Services, Ingresses and, where the cluster has it, the Gateway API. No content of any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiqms.api.deployment import Exposure
from aiqms.api.values import Json
from aiqms.cluster.client import Client, path
from aiqms.cluster.reflector import Reflector
from aiqms.cluster.store import Store
from aiqms.policy.endpoints import GATEWAYS, Grant, Ingress, Listener, Parent, Route, Service, Slice

# EndpointSlices that the cluster's own controller made of a Service's selector say nothing new, and are the many.
BY_HAND = "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io"
# Versions that each release of the Gateway API serves from 1.1 on; ReferenceGrant v1 came with 1.5, beside v1beta1.
ROUTES = (("httproutes", "HTTPRoute"), ("grpcroutes", "GRPCRoute"))


@dataclass(frozen=True)
class Stores:
    """claims: the StorageClass of each, empty for none. routes: by kind."""

    claims: Store[str]
    services: Store[Service]
    slices: Store[Slice]
    ingresses: Store[Ingress]
    routes: dict[str, Store[Route]]
    grants: Store[Grant]
    gateways: Store[tuple[Listener, ...]]

    def every_route(self) -> Iterator[Route]:
        """Of all namespaces."""
        return (r for store in self.routes.values() for namespace in store.namespaces() for _, r in store.within(namespace))

    def every_gateway(self) -> dict[tuple[str, str], tuple[Listener, ...]]:
        """By namespace and name."""
        return {(namespace, name): seen for namespace in self.gateways.namespaces() for name, seen in self.gateways.within(namespace)}


def stores(within: Callable[[str, str], None], everything: Callable[[str, str], None]) -> Stores:
    """Empty ones. within: told namespace and name; everything: told of what may concern other namespaces."""
    return Stores(
        claims=Store(claim, within),
        services=Store(service, within),
        slices=Store(endpoint_slice, within),
        ingresses=Store(ingress, within),
        routes={kind: Store(route, everything) for _, kind in ROUTES},
        grants=Store(grant, within),
        gateways=Store(gateway, everything),
    )


def reflectors(client: Client, of: Stores) -> list[Reflector]:
    """One a kind. A cluster without the Gateway API has none of its kinds: nothing leads to pods that way, until it is installed."""

    def all_of(store: Store[Any], api_version: str, plural: str, kind: str, **more: Any) -> Reflector:
        return Reflector(client=client, store=store, at=path(api_version, plural), api_version=api_version, kind=kind, **more)

    return [
        all_of(of.claims, "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        all_of(of.services, "v1", "services", "Service"),
        all_of(of.slices, "discovery.k8s.io/v1", "endpointslices", "EndpointSlice", params={"labelSelector": BY_HAND}),
        all_of(of.ingresses, "networking.k8s.io/v1", "ingresses", "Ingress"),
        *(all_of(of.routes[kind], f"{GATEWAYS}/v1", plural, kind, optional=True) for plural, kind in ROUTES),
        all_of(of.grants, f"{GATEWAYS}/v1beta1", "referencegrants", "ReferenceGrant", optional=True),
        all_of(of.gateways, f"{GATEWAYS}/v1", "gateways", "Gateway", optional=True),
    ]


def claim(raw: Json) -> str:
    """Of a PersistentVolumeClaim: its StorageClass, into which the API server writes the cluster's default."""
    return raw["spec"].get("storageClassName") or ""


def service(raw: Json) -> Service:
    """Of a core/v1 Service. One of type ExternalName is a name in DNS, and selects nothing."""
    spec = raw["spec"]
    kind, addresses = spec.get("type", "ClusterIP"), spec.get("externalIPs") or []
    ports = [f"{p['port']}:{p['nodePort']}" if p.get("nodePort") else str(p["port"]) for p in spec.get("ports") or []]
    exposure = {"NodePort": Exposure.NODE, "LoadBalancer": Exposure.LOAD_BALANCER}.get(kind, Exposure.EXTERNAL_IP if addresses else Exposure.CLUSTER)
    selector = {} if kind == "ExternalName" else spec.get("selector") or {}
    return Service(raw["metadata"]["name"], selector, exposure, (*ports, *addresses))


def endpoint_slice(raw: Json) -> Slice:
    """Of a discovery.k8s.io/v1 EndpointSlice."""
    addresses = {a for e in raw.get("endpoints") or [] for a in e.get("addresses") or []}
    return Slice((raw["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""), tuple(sorted(addresses)))


def ingress(raw: Json) -> Ingress:
    """Of a networking.k8s.io/v1 Ingress."""
    spec = raw["spec"]
    paths = [(rule.get("host", ""), p["backend"]) for rule in spec.get("rules") or [] for p in (rule.get("http") or {}).get("paths") or []]
    if spec.get("defaultBackend"):
        paths.append(("", spec["defaultBackend"]))
    backends = tuple(sorted({(host, b["service"]["name"]) for host, b in paths if b.get("service")}))
    return Ingress(raw["metadata"]["name"], backends, tuple(tuple(t.get("hosts") or []) for t in spec.get("tls") or []))


def route(raw: Json) -> Route:
    """Of an HTTPRoute or GRPCRoute. Of a kind that others define nothing is taken for granted that its schema might not ask for."""
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    refs = {
        (b.get("namespace") or metadata["namespace"], b.get("name") or "")
        for b in _backends(spec)
        if (b.get("group") or "", b.get("kind") or "Service") == ("", "Service")
    }
    parents = tuple(
        Parent(p.get("kind") or "Gateway", p.get("namespace") or metadata["namespace"], p.get("name") or "", p.get("sectionName") or "", p.get("port"))
        for p in spec.get("parentRefs") or []
    )
    return Route(raw["kind"], metadata["namespace"], metadata["name"], tuple(spec.get("hostnames") or []), tuple(sorted(refs)), parents)


def _backends(spec: Json) -> Iterator[Json]:
    """Where requests go, and where copies of them do."""
    for rule in spec.get("rules") or []:
        refs = rule.get("backendRefs") or []
        yield from refs
        for each in (rule, *refs):
            yield from (f["requestMirror"].get("backendRef") or {} for f in each.get("filters") or [] if f.get("requestMirror"))


def grant(raw: Json) -> Grant:
    """Of a ReferenceGrant, what it says of routes and Services; one that names no Service, and none for all, grants nothing here."""
    spec = raw.get("spec") or {}
    to = [t.get("name") or "" for t in spec.get("to") or [] if (t.get("group") or "", t.get("kind")) == ("", "Service")]
    sources = tuple((f.get("kind") or "", f.get("namespace") or "") for f in spec.get("from") or [] if f.get("group") == GATEWAYS)
    return Grant(sources if to else (), () if "" in to else tuple(sorted(to)))


def gateway(raw: Json) -> tuple[Listener, ...]:
    """Of a Gateway, its listeners."""
    return tuple(Listener(li.get("name") or "", li.get("port") or 0, li.get("protocol") or "") for li in (raw.get("spec") or {}).get("listeners") or [])
