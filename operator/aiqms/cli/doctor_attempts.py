"""What `kubectl qms doctor` tries: requests that store nothing, and that the gate has to refuse, hold or stamp."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiqms.api.crds import DEPLOYMENT, RECORD
from aiqms.api.values import API_VERSION, GROUP
from aiqms.cli.connection import Refused
from aiqms.cli.doctor_reading import OURS, Cluster, deployment_of, held, labels
from aiqms.gate.rules import CLEARANCE, DECISION, EDITORS, GOVERNED, LABEL, SUBJECT

DIGEST = f"sha256:{'0' * 64}"
MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
GPU = "nvidia.com/gpu"
FORGED = "somebody-else"


@dataclass(frozen=True)
class Attempt:
    """A request that stores nothing. content: of a patch; query: where a dry run is impossible and the object does not exist."""

    method: str
    path: str
    body: Any
    content: str = "application/json"
    query: tuple[tuple[str, str], ...] = (("dryRun", "All"),)


def pod(namespace: str, *, label: str = "", gpu: bool = True, **more: Any) -> Attempt:
    """A pod that Pod Security and quotas let through, so that our policies alone have something to say."""
    sizes = {"cpu": "1m", "memory": "1Mi"}
    container = {
        "name": "doctor",
        "image": "doctor",
        "resources": {"requests": sizes, "limits": sizes | ({GPU: "1"} if gpu else {})},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    safe = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": safe, "automountServiceAccountToken": False, "restartPolicy": "Never"}
    metadata = {"name": nobody(), "labels": {LABEL: label} if label else {}, "annotations": more.pop("annotations", {})}
    path = f"/api/v1/namespaces/{namespace}/pods"
    return Attempt("POST", path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec | more})


def nobody() -> str:
    """A name that nothing has."""
    return f"aiqms-doctor-{secrets.token_hex(4)}"


def everywhere(make: Callable[[str], Attempt]) -> Callable[[Cluster], Iterator[tuple[str, Attempt]]]:
    """In each governed namespace: a selector may have been narrowed for one."""
    return lambda cluster: ((namespace, make(namespace)) for namespace in cluster.governed)


def once(make: Callable[[str], Attempt]) -> Callable[[Cluster], Iterator[tuple[str, Attempt]]]:
    """In one governed namespace."""
    return lambda cluster: ((namespace, make(namespace)) for namespace in cluster.governed[:1])


def record(namespace: str) -> Attempt:
    spec = {"deployment": "aiqms-doctor", "subject": DIGEST, "role": "aiqms-doctor-role", "decision": "Approve", "rationale": "kubectl qms doctor: a dry run"}
    body = {"apiVersion": API_VERSION, "kind": RECORD.kind, "metadata": {"name": nobody()}, "spec": spec}
    return Attempt("POST", f"{OURS}/namespaces/{namespace}/approvalrecords", body)


def clearance(namespace: str) -> Attempt:
    body = {"apiVersion": API_VERSION, "kind": "Clearance", "metadata": {"name": CLEARANCE}, "spec": {}}
    return Attempt("POST", f"{OURS}/namespaces/{namespace}/clearances", body)


def entry(namespace: str) -> Attempt:
    spec = {
        "intendedPurpose": "kubectl qms doctor: a dry run",
        "riskClass": "Minimal",
        "role": "Deployer",
        "owner": {"name": "doctor", "contact": "doctor"},
        "model": {"name": "doctor", "version": "1", "uri": "oci://doctor/doctor", "digest": DIGEST},
        "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "doctor"}],
    }
    body = {"apiVersion": API_VERSION, "kind": DEPLOYMENT.kind, "metadata": {"name": nobody(), "annotations": {EDITORS: FORGED}}, "spec": spec}
    return Attempt("POST", f"{OURS}/namespaces/{namespace}/aimodeldeployments", body)


def device_env(namespace: str) -> Attempt:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": nobody()}, "data": {"NVIDIA_VISIBLE_DEVICES": "all"}}
    return Attempt("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)


def binding(namespace: str) -> Attempt:
    name = nobody()
    metadata = {"name": name, "annotations": {SUBJECT: DIGEST}}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": {"kind": "Node", "name": "aiqms-doctor"}}
    return Attempt("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/binding", body)


def relabelled(namespace: str) -> Attempt:
    return Attempt("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {GOVERNED: "no"}}}, MERGE)


def taken_out(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    """Only by those who may not: whoever holds release may."""
    for namespace in cluster.governed[:1]:
        if not cluster.connection.allowed({"group": GROUP, "resource": "governednamespaces", "name": namespace, "verb": "release"}):
            yield namespace, Attempt("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {GOVERNED: None}}}, MERGE)


def session(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    """Only by those who may not. A session has no dry run, so it is asked for into a pod that does not exist: admission answers before the pod is looked up."""
    for namespace in cluster.governed[:1]:
        if not cluster.connection.allowed({"group": GROUP, "resource": "interactivesessions", "namespace": namespace, "verb": "open"}):
            yield namespace, Attempt("POST", f"/api/v1/namespaces/{namespace}/pods/{nobody()}/exec", None, query=(("command", "true"),))


def ungoverned_pod(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    """Where the chart leaves the policy out there is nothing to try."""
    plain = [n["metadata"]["name"] for n in cluster.namespaces if GOVERNED not in labels(n) and n["metadata"]["name"] not in cluster.exempt]
    if cluster.gate.site.get("gate.elsewhere"):
        yield from ((namespace, pod(namespace)) for namespace in sorted(plain, key=lambda name: name != "default")[:1])


def pods_of(cluster: Cluster, *, gated: bool) -> Iterator[tuple[str, str]]:
    """Namespace and name of the first labelled pod that is held, or that is not."""
    these = (p["metadata"] for p in cluster.pods if deployment_of(p) and held(p) is gated and p["metadata"]["namespace"] in cluster.governed)
    yield from ((m["namespace"], m["name"]) for m in list(these)[:1])


def other_label(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    for namespace, name in (*pods_of(cluster, gated=True), *pods_of(cluster, gated=False)):
        yield namespace, Attempt("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}", {"metadata": {"labels": {LABEL: "aiqms-doctor"}}}, MERGE)


def release(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    for namespace, name in pods_of(cluster, gated=True):
        yield namespace, Attempt("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}", [{"op": "remove", "path": "/spec/schedulingGates"}], JSON_PATCH)


def frozen_input(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    for namespace, one in cluster.clearances().items():
        for name in [i.removeprefix("configmaps/") for i in one["spec"].get("inputs") or [] if i.startswith("configmaps/")][:1]:
            path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
            try:
                cluster.get(path)
            except Refused:
                continue
            yield namespace, Attempt("PATCH", path, {"data": {"aiqms-doctor": "changed"}}, MERGE)
            return


def kept_record(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    for made in cluster.every(f"{OURS}/approvalrecords")[:1]:
        metadata = made["metadata"]
        yield metadata["namespace"], Attempt("DELETE", f"{OURS}/namespaces/{metadata['namespace']}/approvalrecords/{metadata['name']}", None)


def stopped_pod(cluster: Cluster) -> Iterator[tuple[str, Attempt]]:
    """Where a Stop stands: what it stops is not covered either, so a pod of it comes back held."""
    for made in [r for r in cluster.every(f"{OURS}/approvalrecords") if labels(r).get(DECISION) == "Stop"][:1]:
        yield made["metadata"]["namespace"], pod(made["metadata"]["namespace"], label=made["spec"]["deployment"])


def unlabelled(namespace: str) -> Attempt:
    return pod(namespace)


def labelled(namespace: str) -> Attempt:
    return pod(namespace, label="aiqms-doctor")


def with_subject(namespace: str) -> Attempt:
    return pod(namespace, label="aiqms-doctor", annotations={SUBJECT: DIGEST})


def with_node(namespace: str) -> Attempt:
    return pod(namespace, label="aiqms-doctor", nodeName="aiqms-doctor")
