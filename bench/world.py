"""What the benchmarks stand on: a cluster with AIQMS, and namespaces with many deployments in them."""

from __future__ import annotations

import base64
import json
import os
import re
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.embedded import HOST, Embedded
from tests.testbed.install import GOVERNED, install
from tests.testbed.operator_process import Operator
from tests.testbed.processes import started_in
from tests.testbed.providers import NotOffered
from tests.testbed.waiting import eventually

API = "aiqms.dev/v1alpha1"
LABEL = "aiqms.dev/deployment"
MODEL = f"sha256:{'4' * 64}"
ROLES = ("model-owner", "risk-manager")
_AT_ONCE = 12
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What a namespace of the benchmarks consists of, as etcd has it.
_COPIED = (
    "configmaps",
    "serviceaccounts",
    "deployments",
    "replicasets",
    "rolebindings",
    "aiqms.dev/aimodeldeployments",
    "aiqms.dev/approvalrecords",
    "aiqms.dev/clearances",
)


def cpu(pid: int | None) -> float:
    """Seconds that a process ran, its own and the kernel's for it: they do not depend on what else the machine does."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at_rest(cluster: Cluster) -> None:
    """Waits until all programs together take less than half a processor: what `copy` put into etcd is worked off by controllers for a while."""
    seen = [(time.monotonic(), 0.0)]

    def rests() -> bool:
        (began, before), now = seen[-1], (time.monotonic(), sum(cpu(p.pid) for p in started_in(cluster.provider.folder / "run")))
        seen.append(now)
        return now[1] - before < (now[0] - began) / 2

    eventually(rests, within=480, every=2, what="the control plane is at rest")


@contextmanager
def installed() -> Iterator[tuple[Cluster, Operator]]:
    """A cluster with AIQMS whose operator does not run yet; ended with it."""
    with temporary() as cluster:
        if not isinstance(cluster.provider, Embedded):
            raise NotOffered("the benchmarks need the embedded cluster: set AIQMS_CLUSTER=embedded")
        cluster.provider.contents = False
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        try:
            yield cluster, operator
        finally:
            operator.stop()


def pod_spec(*, gpu: bool = True, config: str = "", argument: str = "") -> Json:
    """A server of a language model as people run it: five variables, three probes, three volumes. config: a ConfigMap that it takes prompts from."""
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    env = {"HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "INFO", "VLLM_USE_V1": "1", "OMP_NUM_THREADS": "8", "VLLM_NO_USAGE_STATS": "1"}
    cache: Json = {"emptyDir": {"sizeLimit": "10Gi"}}
    container = {
        "name": "vllm",
        "image": f"registry.bank.example/vllm/vllm-openai:v0.11.0@sha256:{'c' * 64}",
        "args": ["--model=/models/credit-llm", "--max-model-len=8192", "--gpu-memory-utilization=0.90", *([argument] if argument else [])],
        "env": [{"name": k, "value": v} for k, v in env.items()],
        "ports": [{"name": "http", "containerPort": 8000}],
        "startupProbe": probe | {"failureThreshold": 60},
        "readinessProbe": probe,
        "livenessProbe": probe | {"periodSeconds": 30},
        "resources": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "16Gi"} | ({"nvidia.com/gpu": "1"} if gpu else {})},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "model", "mountPath": "/models", "readOnly": True}, {"name": "shm", "mountPath": "/dev/shm"}, {"name": "prompts", "mountPath": "/prompts"}
        ],
    }  # fmt: skip
    volumes = [
        {"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        {"name": "prompts"} | ({"configMap": {"name": config}} if config else cache),
    ]
    return {"containers": [container], "volumes": volumes, "securityContext": {"runAsNonRoot": True, "runAsUser": 2000}, "terminationGracePeriodSeconds": 1}


def pod_metadata(name: str, *, labelled: bool = True) -> Json:
    """Three annotations, and the labels."""
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000", "aiqms.dev/model" if labelled else "bank.example/model": MODEL}
    return {"labels": {"app": name} | ({LABEL: name} if labelled else {}), "annotations": annotations}


def procedure(namespaces: Iterable[str] = ()) -> Json:
    """Two roles have to approve."""
    spec: Json = {"title": "Benchmark", "revision": 1, "owner": "Quality", "approvals": {"roles": [{"role": role} for role in ROLES]}}
    applies = {"appliesTo": {"namespaces": list(namespaces)}} if namespaces else {}
    return {"apiVersion": API, "kind": "QMSProcedure", "metadata": {"name": "bench"}, "spec": spec | applies}


def entry(namespace: str, name: str, kind: str = "Deployment") -> Json:
    """The register entry of a workload of the same name."""
    spec = {
        "intendedPurpose": "Score applications for a human underwriter",
        "riskClass": "High",
        "role": "Provider",
        "owner": {"name": "Lending", "contact": "lending@bank.example"},
        "model": {"name": "credit-llm", "version": "1", "uri": "oci://registry.bank.example/models/credit-llm", "digest": MODEL},
        "workloads": [{"apiVersion": "v1" if kind == "Pod" else "apps/v1", "kind": kind, "name": name}],
    }
    return {"apiVersion": API, "kind": "AIModelDeployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def workload(namespace: str, name: str, *, config: str = "") -> Json:
    """A Deployment scaled to zero: it shapes the subject, and has no pods."""
    template = {"metadata": pod_metadata(name), "spec": pod_spec(config=config, argument=f"--served-model-name={name}")}
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "strategy": strategy, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def record(namespace: str, name: str, subject: str, role: str) -> Json:
    """An approval."""
    spec = {"deployment": name, "subject": subject, "role": role, "decision": "Approve", "rationale": "Scores the holdout as specified"}
    return {"apiVersion": API, "kind": "ApprovalRecord", "metadata": {"generateName": f"{name}-", "namespace": namespace}, "spec": spec}


def govern(admin: Api, namespace: str) -> None:
    """A governed namespace in which alice owns models, and bob manages risks."""
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {GOVERNED: "true"}}})
    for person, role in zip(("alice", "bob"), ROLES, strict=True):
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"aiqms-role-{role}"}
        who = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}
        metadata = {"name": role, "namespace": namespace}
        admin.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": ref, "subjects": [who]})
    eventually(lambda: admin.find("serviceaccounts", "default", namespace), within=60, what=f"namespace {namespace} has its default service account")


def at_once(work: Callable[[Any], object], items: Iterable[Any]) -> None:
    """A few at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(work, items))


def populate(cluster: Cluster, namespace: str, names: Iterable[str], *, records: int = len(ROLES)) -> None:
    """Registered, deployed and cleared, by people and the operator, which has to run. records: of each, of which the last two count: the others came first."""
    admin, wanted = cluster.api(), list(names)
    if admin.find("namespaces", namespace) is None:
        govern(admin, namespace)
    eventually(lambda: admin.find("clearances", "clearance", namespace), within=60, what=f"the operator makes the Clearance of {namespace}")

    def one(name: str) -> None:
        admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"prompt": f"Be terse, {name}"}})
        admin.create(workload(namespace, name, config=name))
        admin.create(entry(namespace, name))

    at_once(one, wanted)
    subjects = eventually(lambda: _subjects(admin, namespace, wanted), within=240, every=0.5, what="each has its subject")
    decisions = [(name, n) for name in wanted for n in range(records)]

    def decide(decision: tuple[str, int]) -> None:
        name, n = decision
        said = record(namespace, name, subjects[name], ROLES[n % 2]) if n >= records - 2 else record(namespace, name, f"sha256:{n:064}", ROLES[n % 2])
        cluster.api(("alice", "bob")[n % 2]).create(said)

    at_once(decide, decisions)
    judged = f"{len(wanted)} deployments and their records in {namespace} are judged"
    eventually(lambda: _judged(admin, namespace, wanted), within=240, every=0.5, what=judged)


def _subjects(admin: Api, namespace: str, names: list[str]) -> dict[str, str]:
    """The fingerprint of each, once all have one that is made of its workload."""
    found = {i["metadata"]["name"]: i.get("status", {}) for i in admin.list("aimd", namespace)}
    ready = {n: found[n]["subject"]["fingerprint"] for n in names if "subject" in found.get(n, {}) and reason(found[n]) == "ApprovalMissing"}
    return ready if len(ready) == len(names) else {}


def _judged(admin: Api, namespace: str, names: list[str]) -> bool:
    statuses = [i.get("status", {}) for i in admin.list("aimd", namespace) if i["metadata"]["name"] in names]
    return all(reason(s) == "Approved" for s in statuses) and all(r.get("status") for r in admin.list("apr", namespace))


def reason(status: Json) -> str:
    """Of condition Ready."""
    return next((str(c["reason"]) for c in status.get("conditions", []) if c["type"] == "Ready"), "")


def copy(cluster: Cluster, namespace: str, copies: Iterable[str]) -> None:
    """The same again under other names, put straight into etcd with the verdicts that the operator wrote: through the API server that takes very long.

    Names of one length, so that what etcd keeps in protobuf stays well-formed. A copy that did not stand would make the operator write.
    """
    provider = cluster.provider
    assert isinstance(provider, Embedded)
    etcd = f"http://{HOST}:{provider.ports.etcd}/v3/kv"
    model = [pair for resource in _COPIED for pair in _range(etcd, f"/registry/{resource}/{namespace}/")]
    space = _range(etcd, f"/registry/namespaces/{namespace}")
    for name in copies:
        assert len(name) == len(namespace)
        # The Namespace last: what is in it is there when the operator hears of it.
        for puts in _parts([*(_renamed(pair, namespace, name) for pair in model), *(_renamed(pair, namespace, name) for pair in space)]):
            _post(f"{etcd}/txn", {"success": [{"requestPut": {"key": _text(key), "value": _text(value)}} for key, value in puts]})
        caught_up(cluster.api())


def caught_up(admin: Api) -> None:
    """Wait until the API server's own caches have what is in etcd; until then it refuses consistent lists."""
    for resource in ("configmaps", "deployments.apps", "replicasets.apps", "aimd", "apr", "clearances"):
        path = admin.resource(resource).path(None, None, None)

        def listed(path: str = path) -> Json:
            return admin.request("GET", path, query={"limit": "1"})

        eventually(listed, within=240, every=0.1, what=f"the API server lists {resource}", ignoring=(ApiError,))


Pair = tuple[bytes, bytes]


def _range(etcd: str, prefix: str) -> list[Pair]:
    """Keys and values below a prefix."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    found = _post(f"{etcd}/range", {"key": _text(prefix.encode()), "range_end": _text(end.encode())}).get("kvs", [])
    return [(base64.b64decode(pair["key"]), base64.b64decode(pair["value"])) for pair in found]


def _renamed(pair: Pair, before: str, after: str) -> Pair:
    key, value = (text.replace(before.encode(), after.encode()) for text in pair)
    return key, _UUID.sub(lambda found: str(uuid.uuid5(uuid.UUID(found[0].decode()), after)).encode(), value)


def _parts(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """As much as one transaction takes: 128 keys, 1.5 MiB."""
    rest = iter(pairs)
    while part := list(islice(rest, 60)):
        large = [pair for pair in part if len(pair[1]) > 100_000]
        yield [pair for pair in part if len(pair[1]) <= 100_000]
        yield from ([pair] for pair in large)


def _post(url: str, body: Json) -> Json:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        found: Json = json.loads(answer.read())
        return found


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def looked_at(operator: Operator, prefix: str) -> int:
    """How many namespaces whose name begins so it has judged since its start, by what it tells Prometheus of each; 0 while it has more to do.

    Nothing else is asked for: all that it tells of ten thousand deployments takes it a tenth of a second.
    """
    lines = operator.metrics("aiqms_queue_length", "aiqms_leader", "aiqms_deployments").splitlines()
    idle = "aiqms_queue_length 0.0" in lines and "aiqms_leader 1.0" in lines
    return sum(line.startswith(f'aiqms_deployments{{namespace="{prefix}') and 'phase="Held"' in line for line in lines) if idle else 0


def gone(admin: Api, resource: str, name: str, namespace: str) -> None:
    """Deleted at once, unless it is gone already."""
    try:
        admin.delete(resource, name, namespace, now=True)
    except ApiError as error:
        if error.code != 404:
            raise
