"""Serving workloads as their projects publish them: registered, held, approved, run, and one fingerprint through everything that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import pytest

from tests.e2e.given import MODEL, Place, held, placed
from tests.e2e.published import PUBLISHED, Published
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster

NAME = "llm"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found.of(NAME)


@dataclass(frozen=True)
class Served:
    """A published workload of a place, approved and running under one fingerprint."""

    place: Place
    kind: str
    manifest: Json
    subject: str

    @property
    def plural(self) -> str:
        return f"{self.kind.lower()}s.apps"

    def same(self, running: int) -> None:
        """Nothing waits, and what runs is what was approved."""
        self.place.await_pods(running=running)
        assert self.place.subject == self.subject
        assert [pod for pod in self.place.pods() if held(pod)] == []


@pytest.fixture(params=list(PUBLISHED.values()), ids=list(PUBLISHED))
def served(request: pytest.FixtureRequest, place: Place) -> Served:
    published: Published = request.param
    for each in published.around(place.namespace):
        place.by("mallory").apply(each)
    manifest = published.manifest(place.namespace, NAME, MODEL)
    place.govern()
    place.register(kind=published.kind)
    place.by("mallory").apply(deepcopy(manifest))
    place.await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1)
    return Served(place, published.kind, manifest, place.await_phase("Running"))


def test_it_keeps_one_fingerprint_through_everything_that_changes_nothing(served: Served) -> None:
    tenant, place = served.place.by("mallory"), served.place

    tenant.apply(deepcopy(served.manifest))  # as a GitOps tool does every few minutes
    served.same(running=1)

    tenant.patch(served.plural, NAME, {"spec": {"replicas": 2}}, place.namespace)  # as an autoscaler does
    served.same(running=2)

    before = {pod["metadata"]["uid"] for pod in place.pods()}
    restart = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-27T12:00:00Z"}}}}}
    tenant.patch(served.plural, NAME, restart, place.namespace)  # kubectl rollout restart
    place.awaited(lambda: not before & {pod["metadata"]["uid"] for pod in place.pods()}, "every pod is another one")
    served.same(running=2)

    drained(place)
    served.same(running=2)


def drained(place: Place) -> None:
    """As kubectl drain does: each pod of one node is evicted."""
    node = place.running()[0]["spec"]["nodeName"]
    for pod in place.running():
        if pod["spec"]["nodeName"] == node:
            name = pod["metadata"]["name"]
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": place.namespace}}
            place.admin.post("pods", name, "eviction", body, place.namespace)
            uid = pod["metadata"]["uid"]
            place.awaited(lambda uid=uid: uid not in {p["metadata"]["uid"] for p in place.pods()}, f"{name} is gone")  # type: ignore[misc]


def test_pods_that_a_controller_of_another_kind_makes_wait_and_say_so(place: Place) -> None:
    """Ray's operator makes bare pods that belong to a RayCluster: no workload that a register entry can name yet."""
    place.govern()
    place.register()
    owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "llm", "uid": "9f2c41d0-0000-4000-8000-000000000001", "controller": True}
    container = {"name": "ray-head", "image": "rayproject/ray:2.46.0-gpu", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    metadata = {
        "name": "llm-head",
        "namespace": place.namespace,
        "labels": {"ray.io/node-type": "head", "aiqms.dev/deployment": NAME},
        "ownerReferences": [owner],
    }
    made = place.by("mallory").create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    assert held(made)
    place.awaited(lambda: place.control("pods") == ("Warn", "PodDiffers"), "the register says whose they are not")
