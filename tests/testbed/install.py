"""AIQMS put on a cluster by its own chart, and taken off again; both wait until it is really so."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import yaml

from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.providers import NotOffered
from tests.testbed.waiting import eventually

CHART = Path(__file__).parents[2] / "charts" / "aiqms"
RELEASE = "aiqms"
NAMESPACE = "aiqms-system"
GATE = "aiqms.dev/clearance"
GOVERNED = "aiqms.dev/governed"
DIGEST = f"sha256:{'0' * 64}"


def install(cluster: Cluster, values: Mapping[str, object] | None = None) -> None:
    """Install the chart, or upgrade what is installed, and wait until its policies judge.

    The operator runs as a process of this machine (operator_process.py), so the Deployment has no replicas: KWOK would show pods as running that never ran.
    """
    if not cluster.provider.owned:
        raise NotOffered("AIQMS is not installed on the current cluster by the test bed: use helm yourself, or set AIQMS_CLUSTER=embedded")
    path = cluster.provider.folder / "values.yaml"
    path.write_text(yaml.safe_dump({"replicas": 0} | dict(values or {})))
    cluster.helm("upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace", "--values", str(path))
    wait_in_force(cluster.api())


def uninstall(cluster: Cluster) -> None:
    """Uninstall the chart, and wait until no policy judges any more. The CRDs stay, and with them all records."""
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE)
    admin = cluster.api()
    eventually(lambda: not any(probe(admin) for probe in EVERYWHERE), within=30, what="the policies are out of force")


def wait_in_force(admin: Api, within: float = 60) -> None:
    """Wait until the API server judges by the policies, about a second after they were made: dry runs are refused and held, some in a namespace made for it."""
    namespace = f"aiqms-probe-{secrets.token_hex(3)}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {GOVERNED: "true"}}})
    try:
        # Without it the API server refuses each pod before any policy is asked.
        eventually(lambda: admin.find("serviceaccounts", "default", namespace), within=within, what=f"namespace {namespace} has its default service account")
        for probe in EVERYWHERE:
            eventually(partial(probe, admin), within=within, what=f"the policies are in force: {probe.__doc__}")
        for judged in GOVERNED_ONLY:
            eventually(partial(judged, admin, namespace), within=within, what=f"the policies are in force: {judged.__doc__}")
    finally:
        admin.delete("namespaces", namespace)


def label_is_guarded(admin: Api) -> bool:
    """kube-system cannot be governed"""
    return _refused(lambda: admin.patch("namespaces", "kube-system", {"metadata": {"labels": {GOVERNED: "true"}}}, dry_run=True))


def clearances_are_guarded(admin: Api) -> bool:
    """an administrator cannot write a Clearance"""
    clearance = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": "clearance", "namespace": "default"}, "spec": {}}
    return _refused(lambda: admin.create(clearance, dry_run=True))


def wildcard_holders_decide_nothing(admin: Api) -> bool:
    """an administrator cannot approve"""
    spec = {"deployment": "probe", "subject": DIGEST, "role": "model-owner", "decision": "Approve", "rationale": "Whether the policies judge"}
    record = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "ApprovalRecord", "metadata": {"name": "probe", "namespace": "default"}, "spec": spec}
    return _refused(lambda: admin.create(record, dry_run=True))


def gpu_pods_must_be_registered(admin: Api, namespace: str) -> bool:
    """a GPU pod without the label is refused"""
    return _refused(lambda: admin.create(_pod(namespace, {}), dry_run=True))


def labelled_pods_are_held(admin: Api, namespace: str) -> bool:
    """a labelled pod is held, or refused while there is no Clearance"""
    held: list[Json] = []
    refused = _refused(lambda: held.append(admin.create(_pod(namespace, {"aiqms.dev/deployment": "probe"}), dry_run=True)))
    return refused or {"name": GATE} in held[0]["spec"].get("schedulingGates", [])


EVERYWHERE = (label_is_guarded, clearances_are_guarded, wildcard_holders_decide_nothing)
GOVERNED_ONLY = (gpu_pods_must_be_registered, labelled_pods_are_held)


def _pod(namespace: str, labels: Mapping[str, str]) -> Json:
    container = {"name": "probe", "image": "probe", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    metadata = {"name": "probe", "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ApiError as error:
        # Any other refusal (a wrong field, a missing CRD) says nothing about the policies.
        return "AdmissionPolicy 'aiqms-" in error.message or "policy 'aiqms-" in error.message
    return False
