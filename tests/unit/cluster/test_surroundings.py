"""What is kept of the kinds that surround pods; and a kind that a cluster may lack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aiqms.api.deployment import Exposure
from aiqms.api.values import Json
from aiqms.cluster import reflector as reflecting
from aiqms.cluster.client import ApiError
from aiqms.cluster.reflector import Reflector
from aiqms.cluster.store import Store
from aiqms.cluster.surroundings import claim, endpoint_slice, gateway, grant, ingress, route, service
from aiqms.policy.endpoints import Grant, Ingress, Listener, Parent, Route, Service, Slice


def raw(spec: Json, kind: str = "HTTPRoute") -> Json:
    return {"kind": kind, "metadata": {"name": "web", "namespace": "lending"}, "spec": spec}


PORT = {"port": 80, "nodePort": 30080}
APP = {"app": "scoring"}
OTHERS = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "other"}
BACKEND = {"service": {"name": "scoring", "port": {"number": 80}}}

KEPT: dict[str, tuple[Callable[[Json], object], Json, object]] = {
    "the class of a claim": (claim, {"storageClassName": "encrypted"}, "encrypted"),
    "a claim without a class": (claim, {}, ""),
    "a Service": (service, {"selector": APP, "ports": [{"port": 80}], "type": "ClusterIP"}, Service("web", APP, Exposure.CLUSTER, ("80",))),
    "a headless Service": (service, {"selector": APP, "clusterIP": "None"}, Service("web", APP, Exposure.CLUSTER)),
    "a NodePort": (service, {"selector": APP, "ports": [PORT], "type": "NodePort"}, Service("web", APP, Exposure.NODE, ("80:30080",))),
    "a load balancer": (service, {"selector": APP, "ports": [PORT], "type": "LoadBalancer"}, Service("web", APP, Exposure.LOAD_BALANCER, ("80:30080",))),
    "an external address": (service, {"selector": APP, "externalIPs": ["192.0.2.1"]}, Service("web", APP, Exposure.EXTERNAL_IP, ("192.0.2.1",))),
    "a name in DNS selects nothing": (service, {"selector": APP, "type": "ExternalName", "externalName": "a.example"}, Service("web", {}, Exposure.CLUSTER)),
    "a Service without a selector": (service, {"ports": [{"port": 80}]}, Service("web", {}, Exposure.CLUSTER, ("80",))),
    "an Ingress": (
        ingress,
        {
            "defaultBackend": BACKEND,
            "rules": [{"host": "a", "http": {"paths": [{"backend": BACKEND}, {"backend": {"resource": {"kind": "Bucket", "name": "b"}}}]}}, {"host": "b"}],
            "tls": [{"hosts": ["a"], "secretName": "t"}, {"secretName": "u"}],
        },
        Ingress("web", (("", "scoring"), ("a", "scoring")), (("a",), ())),
    ),
    "a route, where it sends requests, and copies": (
        route,
        {
            "hostnames": ["a"],
            "parentRefs": [
                {"name": "g"},
                {"name": "h", "namespace": "infra", "sectionName": "https", "port": 443},
                {"kind": "Service", "group": "", "name": "s"},
            ],
            "rules": [
                {
                    "backendRefs": [
                        {"name": "one", "filters": [{"requestMirror": {"backendRef": {"name": "four"}}}]},
                        {"name": "two", "namespace": "other"},
                        {"name": "b", "group": "x", "kind": "Y"},
                    ],
                    "filters": [{"requestMirror": {"backendRef": {"name": "three"}}}, {"requestRedirect": {}}],
                }
            ],
        },
        Route(
            "HTTPRoute", "lending", "web", ("a",), (("lending", "four"), ("lending", "one"), ("lending", "three"), ("other", "two")),
            (Parent("Gateway", "lending", "g"), Parent("Gateway", "infra", "h", "https", 443), Parent("Service", "lending", "s")),
        ),
    ),
    "a route of which nothing is said": (route, {}, Route("HTTPRoute", "lending", "web")),
    "a grant for all Services": (
        grant,
        {"from": [OTHERS], "to": [{"group": "", "kind": "Service"}]},
        Grant((("HTTPRoute", "other"),)),
    ),
    "a grant for one": (
        grant,
        {"from": [OTHERS], "to": [{"group": "", "kind": "Service", "name": "s"}]},
        Grant((("HTTPRoute", "other"),), ("s",)),
    ),
    "a grant for Secrets": (
        grant,
        {"from": [OTHERS], "to": [{"group": "", "kind": "Secret"}]},
        Grant(),
    ),
    "a grant to another group": (grant, {"from": [OTHERS | {"group": "x"}], "to": [{"group": "", "kind": "Service"}]}, Grant()),
    "a Gateway": (gateway, {"listeners": [{"name": "https", "port": 443, "protocol": "HTTPS"}]}, (Listener("https", 443, "HTTPS"),)),
}  # fmt: skip


def test_what_is_kept_of_addresses_that_somebody_wrote() -> None:
    metadata = {"name": "x", "namespace": "lending", "labels": {"kubernetes.io/service-name": "web"}}
    assert endpoint_slice({"metadata": metadata, "endpoints": [{"addresses": ["b"]}, {"addresses": ["a", "b"]}, {}]}) == Slice("web", ("a", "b"))
    assert endpoint_slice({"metadata": {"name": "x", "namespace": "lending"}}) == Slice("")


@pytest.mark.parametrize("case", KEPT.values(), ids=KEPT.keys())
def test_what_is_kept(case: tuple[Callable[[Json], object], Json, object]) -> None:
    read, spec, kept = case
    assert read(raw(spec)) == kept


class Answers:
    """An API server that answers lists one by one, and then says no more."""

    def __init__(self, *lists: list[str] | ApiError) -> None:
        self.lists, self.over = list(lists), asyncio.Event()

    async def pages(self, *_: Any, **__: Any) -> AsyncIterator[Json]:
        if not self.lists:
            self.over.set()
            await asyncio.Event().wait()
        found = self.lists.pop(0)
        if isinstance(found, ApiError):
            raise found
        items = [{"metadata": {"name": name, "namespace": "lending", "uid": name, "resourceVersion": "1"}} for name in found]
        yield {"items": items, "metadata": {"resourceVersion": "1"}}

    async def watch(self, *_: Any, **__: Any) -> AsyncIterator[Json]:
        raise ConnectionError("the watch ended")
        yield {}


async def seen(server: Answers, monkeypatch: pytest.MonkeyPatch, *, optional: bool) -> tuple[bool, list[str], list[str]]:
    """Whether it counts as known, what is known in the end, and what changed on the way."""
    monkeypatch.setattr(reflecting, "_BACKOFF_SECONDS", (0.0, 0.0))
    changes: list[str] = []
    store: Store[str] = Store(lambda r: str(r["metadata"]["name"]), lambda _, name: changes.append(name))
    of = Reflector(client=server, store=store, at="/apis/x/v1/routes", api_version="x/v1", kind="Route", optional=optional)  # type: ignore[arg-type]
    running = asyncio.create_task(of.run())
    await asyncio.wait_for(server.over.wait(), 5)
    running.cancel()
    return of.synced.is_set(), [name for name, _ in store.within("lending")], changes


MISSING = ApiError(404, "NotFound", "the server could not find the requested resource")


async def test_a_kind_that_the_cluster_lacks_is_known_to_have_no_objects_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await seen(Answers(MISSING), monkeypatch, optional=True) == (True, [], [])
    assert await seen(Answers(MISSING, ["a"]), monkeypatch, optional=True) == (True, ["a"], ["a"])
    assert await seen(Answers(["a"], MISSING), monkeypatch, optional=True) == (True, [], ["a", "a"])


async def test_a_kind_that_may_not_be_read_is_not_known_nor_is_one_that_every_cluster_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await seen(Answers(ApiError(403, "Forbidden", "no")), monkeypatch, optional=True) == (False, [], [])
    assert await seen(Answers(MISSING), monkeypatch, optional=False) == (False, [], [])
    assert await seen(Answers(["a"], ApiError(403, "Forbidden", "no")), monkeypatch, optional=True) == (True, ["a"], ["a"])


async def test_what_was_known_before_an_error_is_not_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby that takes over after an outage waits for this, and decides on nothing older."""
    monkeypatch.setattr(reflecting, "_BACKOFF_SECONDS", (0.0, 0.0))
    server, store = Answers(["a"]), Store[str](lambda r: str(r["metadata"]["name"]), lambda *_: None)
    of = Reflector(client=server, store=store, at="/api/v1/routes", api_version="v1", kind="Route")  # type: ignore[arg-type]
    running = asyncio.create_task(of.run())
    await asyncio.wait_for(server.over.wait(), 5)  # its watch ended, and the next list waits
    running.cancel()
    assert (of.synced.is_set(), of.current.is_set()) == (True, False)
