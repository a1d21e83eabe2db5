"""What gathering finds around the pods of a deployment, from stored objects."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from aiqms.api.values import Json
from aiqms.cluster.caches import Caches
from aiqms.cluster.client import Client
from aiqms.cluster.inputs import InputReader
from aiqms.controllers.gather import gather
from aiqms.gate.rules import GATE
from aiqms.policy.surroundings import Surroundings
from tests.unit.controllers.test_gather import NAMESPACE, SPEC, known, stored

LABEL = "aiqms.dev/deployment"


def metadata(name: str, *, owner: tuple[str, str] | None = None, namespace: str = NAMESPACE, **labels: str) -> Json:
    owners = [{"kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}] if owner else []
    usual: Json = stored("", name, namespace)["metadata"]
    return usual | {"labels": labels, "ownerReferences": owners}


def template(account: str, *, label: str = "", volumes: Any = ()) -> Json:
    labels = {"app": "x"} | ({LABEL: label} if label else {})
    spec = {"containers": [{"name": "main", "image": "i"}], "serviceAccountName": account, "volumes": list(volumes)}
    return {"metadata": {"labels": labels}, "spec": spec}


def workload(kind: str, name: str, account: str, *, label: str = "", owner: tuple[str, str] | None = None, **more: Any) -> Json:
    volumes = more.pop("volumes", ())
    spec = {"template": template(account, label=label, volumes=volumes), **more}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata(name, owner=owner), "spec": spec}


def pod(name: str, account: str, label: str, *, owner: tuple[str, str] | None = None, **status: str) -> Json:
    labels = {LABEL: label} if label else {}
    return {"kind": "Pod", "metadata": metadata(name, owner=owner, **labels), "spec": template(account)["spec"], "status": status}


SCORING = workload("Deployment", "scoring", "scoring", label="scoring")


async def around(caches: Caches, *, workloads: tuple[Json, ...] = (SCORING,), pods: tuple[Json, ...] = ()) -> Surroundings:
    """Of deployment scoring."""
    for each in workloads:
        caches.workloads[each["kind"]].put(each)
    for each in pods:
        caches.pods.put(each)
    client = Client(Configuration())
    try:
        facts = await gather(NAMESPACE, caches, InputReader(client, caches))
    finally:
        await client.close()
    assert facts
    return facts.registered["scoring"].around


MADE = workload("ReplicaSet", "portal-1", "scoring", owner=("Deployment", "portal"))
USERS: dict[str, tuple[tuple[Json, ...], tuple[Json, ...], tuple[str, ...]]] = {
    "nothing else": ((SCORING,), (), ()),
    "its own pods, and its ReplicaSets": (
        (SCORING, workload("ReplicaSet", "scoring-1", "scoring", label="scoring", owner=("Deployment", "scoring"))),
        (pod("scoring-1-a", "scoring", "scoring", owner=("ReplicaSet", "scoring-1")),), (),
    ),
    "a workload without a label": ((SCORING, workload("Deployment", "portal", "scoring")), (), ("Deployment/portal",)),
    "a workload of another deployment": ((SCORING, workload("StatefulSet", "fraud", "scoring", label="fraud")), (), ("StatefulSet/fraud",)),
    "a workload of another account": ((SCORING, workload("Deployment", "portal", "portal")), (), ()),
    "a ReplicaSet of an old revision of a workload that has another account now": ((SCORING, MADE, workload("Deployment", "portal", "portal")), (), ()),
    "a ReplicaSet whose maker is gone": ((SCORING, MADE), (), ("ReplicaSet/portal-1",)),
    "a ReplicaSet whose maker was made anew": (
        (SCORING, MADE, workload("Deployment", "portal", "portal") | {"metadata": metadata("portal") | {"uid": "another"}}), (), ("ReplicaSet/portal-1",)
    ),
    "its own workload under another deployment's label": ((workload("Deployment", "scoring", "scoring", label="fraud"),), (), ()),
    "a pod of another deployment that no workload made": ((SCORING,), (pod("debug", "scoring", "fraud"),), ("Pod/debug",)),
    "one that has ended": ((SCORING,), (pod("debug", "scoring", "fraud", phase="Succeeded"),), ()),
}  # fmt: skip


@pytest.mark.parametrize("case", USERS.values(), ids=USERS.keys())
async def test_what_else_uses_its_service_account(case: tuple[tuple[Json, ...], tuple[Json, ...], tuple[str, ...]]) -> None:
    workloads, pods, others = case
    assert (await around(known(), workloads=workloads, pods=pods)).accounts == {"scoring": others}


async def test_what_else_uses_the_service_account_of_a_pod_of_an_earlier_template() -> None:
    found = await around(known(), workloads=(SCORING, workload("Deployment", "portal", "old")), pods=(pod("scoring-old", "old", "scoring"),))
    assert found.accounts == {"scoring": (), "old": ("Deployment/portal",)}


async def test_what_leads_to_pods_that_run_is_told_apart() -> None:
    caches = known()
    for name, track in (("front", "stable"), ("new", "next")):
        caches.around.services.put({"kind": "Service", "metadata": metadata(name), "spec": {"selector": {"track": track}, "ports": []}})
    made = [pod("a", "scoring", "scoring"), pod("b", "scoring", "scoring")]
    made[0]["metadata"]["labels"]["track"], made[1]["metadata"]["labels"]["track"] = "stable", "next"
    made[1]["spec"]["schedulingGates"] = [{"name": GATE}]
    found = await around(caches, pods=tuple(made))
    assert ([e.name for e in found.endpoints], [e.name for e in found.reaching]) == (["front", "new"], ["front"])


async def test_only_the_claims_that_its_pods_use() -> None:
    caches = known()
    caches.deployments.put(stored("AIModelDeployment", "scoring", spec=spec("StatefulSet")) | {"metadata": metadata("scoring") | {"resourceVersion": "2"}})
    for name, class_ in (("data-scoring-0", "encrypted"), ("data-scoring-11", "standard"), ("data-fraud-0", "x"), ("model", ""), ("other", "x")):
        more = {"storageClassName": class_} if class_ else {}
        caches.around.claims.put({"kind": "PersistentVolumeClaim", "metadata": metadata(name), "spec": more})
    volumes = [{"name": "model", "persistentVolumeClaim": {"claimName": "model"}}, {"name": "gone", "persistentVolumeClaim": {"claimName": "gone"}}]
    templates = [{"metadata": {"name": "data"}, "spec": {}}]
    sets = workload("StatefulSet", "scoring", "scoring", label="scoring", volumes=volumes, volumeClaimTemplates=templates)
    found = await around(caches, workloads=(sets,))
    assert found.claims == {"data-scoring-0": "encrypted", "data-scoring-11": "standard", "model": ""}


def spec(kind: str) -> Json:
    return SPEC | {"workloads": [{"apiVersion": "apps/v1", "kind": kind, "name": "scoring"}]}


async def test_a_service_to_which_somebody_wrote_a_pods_address_unless_it_is_its_nodes() -> None:
    caches = known()
    own, host = pod("own", "scoring", "scoring"), pod("host", "scoring", "scoring")
    own["status"], host["status"] = {"podIPs": [{"ip": "10.0.0.7"}]}, {"podIPs": [{"ip": "10.0.0.8"}]}
    host["spec"]["hostNetwork"] = True
    for name, address in (("by-hand", "10.0.0.7"), ("node", "10.0.0.8")):
        caches.around.services.put({"kind": "Service", "metadata": metadata(name), "spec": {}})
        labelled = metadata(name) | {"labels": {"kubernetes.io/service-name": name}}
        caches.around.slices.put({"metadata": labelled, "endpoints": [{"addresses": [address]}]})
    assert [str(e) for e in (await around(caches, pods=(own, host))).endpoints] == ["Service/by-hand"]


async def test_services_of_its_namespace_and_routes_of_all() -> None:
    caches = known()
    for namespace in (NAMESPACE, "other"):
        meta = metadata("web", namespace=namespace)
        caches.around.services.put({"kind": "Service", "metadata": meta, "spec": {"selector": {"app": "x"}}})
        route = {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "web", "namespace": NAMESPACE}]}]}
        caches.around.routes["HTTPRoute"].put({"kind": "HTTPRoute", "metadata": meta, "spec": route})
    sources = [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "other"}]
    caches.around.grants.put({"kind": "ReferenceGrant", "metadata": metadata("in"), "spec": {"from": sources, "to": [{"group": "", "kind": "Service"}]}})
    listeners = [{"name": "https", "port": 443, "protocol": "HTTPS"}]
    caches.around.gateways.put({"kind": "Gateway", "metadata": metadata("g"), "spec": {"listeners": listeners}})
    found = (await around(caches)).endpoints
    assert [(e.kind, e.namespace, e.unknown) for e in found] == [
        ("Service", NAMESPACE, ()),
        ("HTTPRoute", NAMESPACE, ()),
        ("HTTPRoute", "other", ("HTTPRoute/web hangs on Gateway other/g, which does not exist",)),
    ]
