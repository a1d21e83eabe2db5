"""Whether the operator does its work: versions, its Deployment and Lease, and whether what it should have done by now is done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version

from aiqms.api.values import Json
from aiqms.cli.doctor_policies import UPGRADE
from aiqms.cli.doctor_reading import OPERATOR, OURS, Cluster, deployment_of, held, labels
from aiqms.cli.doctor_rows import Row, found, ok
from aiqms.gate.normal import matches
from aiqms.gate.rules import OPERATOR_NAMESPACE
from aiqms.policy.words import plural

OLDEST = (1, 36)  # the first Kubernetes with MutatingAdmissionPolicy on by default
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/{OPERATOR}"
LOOK = f"kubectl get deployment,pods,lease -n {OPERATOR_NAMESPACE}; kubectl logs deployment/{OPERATOR} -n {OPERATOR_NAMESPACE}"


def deployment(cluster: Cluster) -> Json:
    """The operator's Deployment. Raises Refused."""
    return cluster.get(f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments/{OPERATOR}")


def kubernetes(cluster: Cluster) -> Iterator[Row]:
    """Check `kubernetes`."""
    said = cluster.get("/version")["gitVersion"]
    numbers = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    if numbers < OLDEST:
        yield found(f"{said} is older than {'.'.join(map(str, OLDEST))}: mutating admission policies are not on there", "upgrade Kubernetes")
    else:
        yield ok(f"{said} has mutating admission policies")


def versions(cluster: Cluster) -> Iterator[Row]:
    """Check `versions`: chart, operator and this command are of one release."""
    own, object_ = version("aiqms"), deployment(cluster)
    chart = labels(object_).get("app.kubernetes.io/version", "")
    (container, *_) = object_["spec"]["template"]["spec"]["containers"]
    tag = re.search(r":([0-9]+\.[0-9]+\.[0-9]+[^@/:]*)$", container["image"])
    rows = []
    if chart != own:
        rows.append(found(f"the chart is of {chart or 'no version'}, this command of {own}", UPGRADE, "chart"))
    if tag and tag[1] != chart:
        rows.append(found(f"the operator's image is {container['image']}, the chart of {chart}", UPGRADE, "image"))
    yield from rows or [ok(f"chart, operator and command are of {own}")]


def operator(cluster: Cluster) -> Iterator[Row]:
    """Check `operator`: its Deployment is ready, as its own account."""
    object_ = deployment(cluster)
    wanted, ready = object_["spec"].get("replicas", 1), (object_.get("status") or {}).get("readyReplicas", 0)
    account = object_["spec"]["template"]["spec"].get("serviceAccountName")
    if account != OPERATOR:
        yield found(f"it runs as service account {account}: the policies know it as {OPERATOR} alone", UPGRADE)
    elif ready < wanted:
        yield found(f"{ready} of {wanted} replicas are ready", LOOK)
    else:
        yield ok(f"{ready} of {wanted} replicas are ready")


def lease(cluster: Cluster) -> Iterator[Row]:
    """Check `lease`: somebody holds it, and has renewed it in time."""
    spec = cluster.get(LEASE)["spec"]
    holder, allowed = spec.get("holderIdentity") or "", spec.get("leaseDurationSeconds") or 15
    silent = cluster.age(spec["renewTime"]) if spec.get("renewTime") else float("inf")
    if not holder:
        yield found("no operator holds it: nothing new is cleared or released; what is cleared goes on, and the rest stays held", LOOK)
    elif silent > allowed:
        yield found(f"{holder} has not renewed it for {silent:.0f} s (it may take {allowed}): nothing new is cleared or released", LOOK)
    else:
        yield ok(f"{holder} holds it, renewed {max(silent, 0):.0f} s ago")


def status(cluster: Cluster) -> Iterator[Row]:
    """Check `status`: the operator has looked at the latest change of each register entry."""
    entries = cluster.every(f"{OURS}/aimodeldeployments")
    rows = [row for entry in entries if (row := _stale(entry, cluster)) is not None]
    yield from rows or [ok(f"the operator has seen the latest change of {plural(len(entries), 'register entry', 'register entries')}")]


def _stale(entry: Json, cluster: Cluster) -> Row | None:
    metadata, seen = entry["metadata"], (entry.get("status") or {}).get("observedGeneration", 0)
    age = cluster.age(_last_written(metadata))
    if seen >= metadata["generation"] or age < cluster.patience:
        return None
    what = f"generation {metadata['generation']} was written {age:.0f} s ago, and the operator has seen {seen or 'none'}"
    return found(what, LOOK, f"{metadata['namespace']}/{metadata['name']}")


def _last_written(metadata: Json) -> str:
    """When anything but the status was last written."""
    times = [m["time"] for m in metadata.get("managedFields") or [] if m.get("time") and m.get("subresource") != "status"]
    return str(max([metadata["creationTimestamp"], *times], key=datetime.fromisoformat))


def epochs(cluster: Cluster) -> Iterator[Row]:
    """Check `clearances`: each governed namespace has one, of the epoch of the leader that writes now, and no other namespace has."""
    clearances, rows = cluster.clearances(), list[Row]()
    for namespace in cluster.governed:
        if namespace not in clearances:
            rows.append(found("has no Clearance, so that labelled pods are refused there", LOOK, namespace))
    highest = max((c["spec"].get("epoch", 0) for c in clearances.values()), default=0)
    for namespace, one in clearances.items():
        epoch = one["spec"].get("epoch", 0)
        if epoch < highest:
            rows.append(found(f"its Clearance is of epoch {epoch}, the newest of {highest}: a leader that was replaced could still write it", LOOK, namespace))
        if namespace not in cluster.governed:
            rows.append(found("has a Clearance and is not governed: nothing there is judged by it", "kubectl get namespaces -L aiqms.dev/governed", namespace))
    yield from rows or [ok(f"{plural(len(cluster.governed), 'governed namespace')}, each with its Clearance, epoch {highest}")]


def pods(cluster: Cluster) -> Iterator[Row]:
    """Check `pods`: what is cleared is not held, and what is not cleared does not run."""
    clearances, rows = cluster.clearances(), list[Row]()
    for pod in cluster.pods:
        namespace = pod["metadata"]["namespace"]
        old_enough = cluster.age(pod["metadata"]["creationTimestamp"]) > cluster.patience
        if namespace in cluster.governed and namespace in clearances and old_enough:
            rows += _of_pod(pod, clearances[namespace], cluster)
    yield from rows or [ok("no pod is held that is cleared, and none runs that is not")]


def _of_pod(pod: Json, clearance: Json, cluster: Cluster) -> Iterator[Row]:
    metadata, name = pod["metadata"], deployment_of(pod)
    about, look = f"{metadata['namespace']}/{metadata['name']}", f"kubectl qms explain aimd/{name} -n {metadata['namespace']}"
    entries = (clearance["spec"].get("deployments") or {}).get(name) or []
    before = metadata["creationTimestamp"] < clearance["metadata"]["creationTimestamp"]
    if held(pod) and any(_live(e, cluster) and _covers(e, pod, cluster) for e in entries):
        yield found("is held, and its clearance is live: the operator does not release it", LOOK, about)
    elif name and not held(pod) and not before and not any(_covers(e, pod, cluster) for e in entries):
        yield found("runs, and no clearance covers it: the operator does not stop it", look, about)
    elif not name and not before and cluster.asks_for_device(pod):
        yield found("has a GPU and names no AIModelDeployment: it was let in while the gate was open", f"kubectl delete pod {metadata['name']}", about)


def _covers(entry: Json, pod: Json, cluster: Cluster) -> bool:
    return bool(entry.get("audit")) or ("template" in entry and matches(entry["template"], pod, cluster.rules))


def _live(entry: Json, cluster: Cluster) -> bool:
    return "validUntil" in entry and datetime.fromisoformat(entry["validUntil"]) > cluster.now
