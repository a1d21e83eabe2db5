"""access.endpoints and access.tls: which objects lead to the pods, whether the register names them, and whether they ask for TLS (AI Act Art. 15(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiqms.api.access import Access
from aiqms.api.conditions import Reason
from aiqms.api.deployment import EndpointSeen, Exposure, Result
from aiqms.policy.checks import Facts, Row, row, unless_missing
from aiqms.policy.facts import Procedure
from aiqms.policy.identity import asking, serves
from aiqms.policy.surroundings import Leading, Surroundings
from aiqms.policy.words import some

ENDPOINTS, TLS = "access/endpoints", "access/tls"
GATEWAYS = "gateway.networking.k8s.io"
_LISTED, _PLACES = 64, 32  # endpoints that the status lists, and ports or hosts of each
_ENCRYPTED = ("HTTPS", "TLS")  # protocols of a Gateway's listener
_FROM_OUTSIDE = "reached from outside the cluster"


@dataclass(frozen=True)
class Service:
    """selector: of pods, empty where the Service selects none. at: its ports, each with the node's if it has one, and its external addresses."""

    name: str
    selector: Mapping[str, str]
    exposure: Exposure
    at: tuple[str, ...] = ()


@dataclass(frozen=True)
class Slice:
    """An EndpointSlice that somebody wrote, for a Service without a selector or beside its own ones."""

    service: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ingress:
    """backends: pairs of a host, empty for any, and a Service. tls: hosts of each of its entries; an entry without hosts is for any."""

    name: str
    backends: tuple[tuple[str, str], ...] = ()
    tls: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Parent:
    """What a route hangs on. section and port: which of a Gateway's listeners, empty and None for any."""

    kind: str
    namespace: str
    name: str
    section: str = ""
    port: int | None = None


@dataclass(frozen=True)
class Route:
    """An HTTPRoute or GRPCRoute. backends: namespace and name of the Services that it sends requests, or copies of them, to."""

    kind: str
    namespace: str
    name: str
    hosts: tuple[str, ...] = ()
    backends: tuple[tuple[str, str], ...] = ()
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True)
class Listener:
    """Of a Gateway."""

    name: str
    port: int
    protocol: str


@dataclass(frozen=True)
class Grant:
    """A ReferenceGrant. sources: kind and namespace of the routes that it lets refer to Services here; services: to which, empty for all."""

    sources: tuple[tuple[str, str], ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """What leads to the Services of one namespace, found once for all deployments there. services: by one pair of their selector each.

    addressed: Services by the addresses that somebody wrote for them.
    """

    services: Mapping[tuple[str, str], list[Service]] = field(default_factory=dict)
    addressed: Mapping[str, list[Service]] = field(default_factory=dict)
    ingresses: Mapping[str, list[Ingress]] = field(default_factory=dict)
    routes: Mapping[str, list[Route]] = field(default_factory=dict)
    gateways: Mapping[tuple[str, str], tuple[Listener, ...]] = field(default_factory=dict)


def network(
    namespace: str,
    *,
    services: Iterable[Service],
    slices: Iterable[Slice] = (),
    ingresses: Iterable[Ingress] = (),
    routes: Iterable[Route] = (),
    grants: Iterable[Grant] = (),
    gateways: Mapping[tuple[str, str], tuple[Listener, ...]] | None = None,
) -> Network:
    """services, slices, ingresses and grants: of the namespace; routes: of all namespaces, for a grant lets those of others in."""
    granted = list(grants)
    known = {s.name: s for s in services}
    selecting: dict[tuple[str, str], list[Service]] = {}
    for service in known.values():
        if service.selector:
            selecting.setdefault(min(service.selector.items()), []).append(service)
    addressed: dict[str, list[Service]] = {}
    for each in slices:
        for address in each.addresses if each.service in known else ():
            addressed.setdefault(address, []).append(known[each.service])
    entering: dict[str, list[Ingress]] = {}
    for ingress in ingresses:
        for name in {name for _, name in ingress.backends}:
            entering.setdefault(name, []).append(ingress)
    routed: dict[str, list[Route]] = {}
    for route in routes:
        for name in {name for where, name in route.backends if where == namespace}:
            if route.namespace == namespace or any(_grants(g, route, name) for g in granted):
                routed.setdefault(name, []).append(route)
    return Network(selecting, addressed, entering, routed, gateways or {})


def _grants(grant: Grant, route: Route, service: str) -> bool:
    return (route.kind, route.namespace) in grant.sources and (not grant.services or service in grant.services)


def leading(namespace: str, labels: Iterable[Mapping[str, str]], of: Network, *, addresses: Iterable[str] = ()) -> tuple[Leading, ...]:
    """What leads to pods with any of these label sets or addresses: the Services that select or name them, and what leads to those."""
    found = {s.name: s for address in addresses for s in of.addressed.get(address, ())}
    found |= {s.name: s for each in labels for pair in each.items() for s in of.services.get(pair, ()) if s.selector.items() <= each.items()}
    ingresses = {i.name: i for name in found for i in of.ingresses.get(name, ())}
    routes = {(r.kind, r.namespace, r.name): r for name in found for r in of.routes.get(name, ())}
    return (
        *(_service(namespace, s) for _, s in sorted(found.items())),
        *(_ingress(namespace, i, found) for _, i in sorted(ingresses.items())),
        *(_route(r, of) for _, r in sorted(routes.items())),
    )


def _service(namespace: str, service: Service) -> Leading:
    outside = service.exposure is not Exposure.CLUSTER
    plain = (
        (f"Service/{service.name} is {_FROM_OUTSIDE} ({service.exposure}), and nobody can see that it asks for TLS: have an Ingress or a route lead there",)
        if outside
        else ()
    )
    return Leading("Service", namespace, service.name, service.exposure, service.at, plain=plain)


def _ingress(namespace: str, ingress: Ingress, services: Iterable[str]) -> Leading:
    leads = set(services)
    hosts = sorted({host for host, service in ingress.backends if service in leads})
    plain = tuple(f"Ingress/{ingress.name} has no entry in spec.tls for {host or 'any host'}: add one" for host in hosts if not _covered(host, ingress))
    return Leading("Ingress", namespace, ingress.name, Exposure.INGRESS, tuple(host or "*" for host in hosts), plain=plain)


def _covered(host: str, ingress: Ingress) -> bool:
    """By its name, or by a wildcard for its first part; what is for any host, by an entry that is."""
    wildcard = f"*.{host.partition('.')[2]}"
    return any(host in entry or wildcard in entry if host else not entry for entry in ingress.tls)


def _route(route: Route, of: Network) -> Leading:
    """A Service as a parent is a mesh, inside the cluster."""
    outside = [p for p in route.parents if p.kind != "Service"]
    said = [said for parent in outside for said in _parent(route, parent, of)]
    plain, unknown = (tuple(text for sure, text in said if sure is which) for which in (True, False))
    exposure = Exposure.ROUTE if outside else Exposure.CLUSTER
    return Leading(route.kind, route.namespace, route.name, exposure, route.hosts or ("*",), plain=plain, unknown=unknown)


def _parent(route: Route, parent: Parent, of: Network) -> Iterator[tuple[bool, str]]:
    """Why the route is not known to ask for TLS there: True where it is known not to."""
    where, what = f"{parent.kind} {parent.namespace}/{parent.name}", f"{route.kind}/{route.name}"
    if parent.kind != "Gateway":
        yield False, f"{what} hangs on {where}, which is not looked at"
        return
    listeners = of.gateways.get((parent.namespace, parent.name))
    if listeners is None:
        yield False, f"{what} hangs on {where}, which does not exist"
        return
    on = [li for li in listeners if parent.section in ("", li.name) and parent.port in (None, li.port)]
    if not on:
        yield False, f"{what} names no listener that {where} has"
    for listener in on:
        if listener.protocol not in _ENCRYPTED:
            yield True, f"{what} hangs on listener {listener.name} of {where}, which is {listener.protocol}: name one for HTTPS in sectionName"


def on_nodes(around: Surroundings, namespace: str) -> list[Leading]:
    """Ports of the node that a pod template takes: nothing but the pod itself leads there."""
    found = [(ref, used) for ref, used in sorted(around.workloads.items()) if used.host or used.ports]
    return [_on_node(namespace, ref, ("host network",) if used.host else tuple(map(str, used.ports))) for ref, used in found]


def _on_node(namespace: str, ref: str, at: tuple[str, ...]) -> Leading:
    kind, _, name = ref.partition("/")
    plain = (f"{ref} is {_FROM_OUTSIDE} at its node ({some(at)}), and nobody can see that it asks for TLS: have an Ingress or a route lead there",)
    return Leading(kind, namespace, name, Exposure.HOST_PORT, at, plain=plain)


def endpoints(facts: Facts) -> list[Row]:
    """endpoints Registered: only objects that the register names lead to the pods, and no port of a node does."""
    return [_endpoints(facts, procedure, access) for procedure, access in asking(facts, lambda a: a.endpoints)]


def _endpoints(facts: Facts, procedure: Procedure, access: Access) -> Row:
    found = facts.given.around.endpoints
    extra = [_named(e, facts) for e in found if not registered(e, facts)]
    wrong = [*_unregistered(extra), *_open(facts.given.around)]
    if wrong:
        return row(ENDPOINTS, Result.FAIL, Reason.ENDPOINT_UNREGISTERED, "; ".join(wrong), procedure=procedure, serves=serves(access))
    said = f"{some(_named(e, facts) for e in found)} {_verb(found, 'lead')} to the pods, as registered" if found else "nothing seen leads to the pods"
    passed = unless_missing(facts, (Result.PASS, Reason.ENDPOINTS_REGISTERED, said))
    return row(ENDPOINTS, *passed, procedure=procedure, serves=serves(access))


def _unregistered(extra: Sequence[str]) -> Iterator[str]:
    if extra:
        them = "it" if len(extra) == 1 else "them"
        yield f"{some(extra)} {_verb(extra, 'lead')} to the pods, and spec.access.endpoints does not name {them}: name {them} there, or delete {them}"


def _open(around: Surroundings) -> Iterator[str]:
    """A port of a node has no object that could be registered."""
    for ref, used in sorted(around.workloads.items()):
        if used.host or used.ports:
            yield f"{ref} takes {'the network' if used.host else f'port {some(map(str, used.ports))}'} of its node: have a Service lead there instead"


def _verb(of: Sequence[object], many: str) -> str:
    return f"{many}s" if len(of) == 1 else many


def _named(endpoint: Leading, facts: Facts) -> str:
    own = endpoint.namespace == facts.given.namespace
    return str(endpoint) if own else f"{endpoint} of namespace {endpoint.namespace}"


def registered(endpoint: Leading, facts: Facts) -> bool:
    """Whether spec.access.endpoints names it."""
    names = facts.spec.access.endpoints
    return any((e.kind, e.name, e.namespace or facts.given.namespace) == (endpoint.kind, endpoint.name, endpoint.namespace) for e in names)


def tls(facts: Facts) -> list[Row]:
    """tls Required: what is reached from outside the cluster asks for TLS, as far as the object itself says so."""
    return [_tls(facts, procedure, access) for procedure, access in asking(facts, lambda a: a.tls)]


def _tls(facts: Facts, procedure: Procedure, access: Access) -> Row:
    found = every(facts)
    plain, unknown = [said for e in found for said in e.plain], [said for e in found for said in e.unknown]
    if plain:
        return row(TLS, Result.FAIL, Reason.TLS_MISSING, some(plain, "; "), procedure=procedure, serves=serves(access))
    if unknown:
        said = f"{some(unknown, '; ')}, so nobody knows whether it asks for TLS"
        return row(TLS, Result.ERROR, Reason.TLS_UNKNOWN, said, procedure=procedure, serves=serves(access))
    outside = [str(e) for e in found if e.exposure is not Exposure.CLUSTER]
    said = f"{some(outside)} {_verb(outside, 'ask')} for TLS" if outside else "nothing seen leads to the pods from outside the cluster"
    passed = unless_missing(facts, (Result.PASS, Reason.TLS_REQUIRED, said))
    return row(TLS, *passed, procedure=procedure, serves=serves(access))


def every(facts: Facts) -> list[Leading]:
    """Objects, and ports of nodes."""
    return [*facts.given.around.endpoints, *on_nodes(facts.given.around, facts.given.namespace)]


def listed(facts: Facts) -> list[EndpointSeen]:
    """For the status; those that the register does not name first, should there be too many."""
    here = facts.given.namespace
    found = [
        EndpointSeen(
            kind=e.kind,
            namespace="" if e.namespace == here else e.namespace,
            name=e.name,
            exposure=e.exposure,
            at=[place[:253] for place in e.at][:_PLACES],
            registered=registered(e, facts),
        )
        for e in every(facts)
    ]
    return sorted(found, key=lambda e: (e.registered, e.kind, e.namespace, e.name))[:_LISTED]
