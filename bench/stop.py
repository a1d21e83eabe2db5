"""How long a Stop takes to end 500 pods, against the plain API deletion of 500 pods in the same run: python -m bench.stop [PODS] [ROUNDS].

Times are the API server's own, from its audit log: from the answer to the record (or from the first deletion, for the baseline) to the answer to each deletion.
"""

from __future__ import annotations

import datetime
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.install import GOVERNED, install
from tests.testbed.nodes import gpu_node
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually, never

PODS, ROUNDS = 500, 3
QUIET = 60  # seconds in which nothing comes back
AT_ONCE = 16  # deletions under way in the baseline, as the operator's
LABEL = "aiqms.dev/deployment"
ENDS = "testbed.aiqms.dev/ends"  # slowly: three seconds after the deletion, on KWOK's nodes
ROLE = "incident-commander"


@dataclass(frozen=True)
class Took:
    """Seconds from the start to each deletion."""

    seconds: list[float]

    def row(self, name: str) -> str:
        """p50, p99 and the last, in seconds."""
        p99 = statistics.quantiles(self.seconds, n=100, method="inclusive")[98]
        return f"{name:28} {len(self.seconds):5} pods   p50 {statistics.median(self.seconds):6.3f} s   p99 {p99:6.3f} s   last {max(self.seconds):6.3f} s"


def main(pods: int, rounds: int) -> None:
    """Prints a row for each round and way, and the ratio of the last deletions."""
    with temporary() as cluster:
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        operator.start()
        try:
            for round_ in range(1, rounds + 1):
                plain, stopped = baseline(cluster, f"plain-{round_}", pods), stop(cluster, f"governed-{round_}", pods)
                print(plain.row(f"round {round_}: plain deletion"))
                print(stopped.row(f"round {round_}: Stop"))
                print(f"ratio of the last deletions, Stop : plain deletion  {max(stopped.seconds) / max(plain.seconds):.2f}", flush=True)
            operator.kill()
            never(lambda: running(cluster.api(), f"governed-{rounds}"), seconds=QUIET, what="no pod comes back")
            print(f"none of the pods came back in {QUIET} s with the operator killed right after the last of them was deleted")
        finally:
            operator.stop()


def baseline(cluster: Cluster, namespace: str, pods: int) -> Took:
    """The pods of an ungoverned namespace, deleted by a person, a few at a time; the workload is gone before, so that nothing re-creates them."""
    admin = cluster.api()
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    run(admin, namespace, pods)
    admin.delete("deployments.apps", "many", namespace, propagation="Orphan")
    eventually(lambda: admin.find("deployments.apps", "many", namespace) is None, within=30, what="the Deployment is gone")
    for replicaset in admin.list("replicasets.apps", namespace):
        admin.delete("replicasets.apps", replicaset["metadata"]["name"], namespace, propagation="Orphan")
    names = running(admin, namespace)
    since = datetime.datetime.now(datetime.UTC)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: admin.delete("pods", name, namespace), names))
    deletions = deleted(cluster, "admin", namespace, since, len(names))
    return Took([(at - min(deletions.values())).total_seconds() for at in deletions.values()])


def stop(cluster: Cluster, namespace: str, pods: int) -> Took:
    """The pods of a governed deployment, ended by a Stop record."""
    admin = cluster.api()
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {GOVERNED: "true"}}})
    for manifest in governed(namespace):
        admin.apply(manifest)
    run(admin, namespace, pods)
    since = datetime.datetime.now(datetime.UTC)
    record = {"deployment": "many", "role": ROLE, "decision": "Stop", "rationale": "benchmark"}
    cluster.api("alice").create(
        {"apiVersion": "aiqms.dev/v1alpha1", "kind": "ApprovalRecord", "metadata": {"generateName": "stop-", "namespace": namespace}, "spec": record}
    )
    deletions = deleted(cluster, Operator(cluster=cluster).user, namespace, since, pods)
    made = min(answered(e) for e in cluster.audit(user="alice", since=since) if e["verb"] == "create" and resource(e) == "approvalrecords")
    return Took([(at - made).total_seconds() for at in deletions.values()])


def running(admin: Api, namespace: str) -> list[str]:
    """Pods that are neither held nor ending."""
    found = [p for p in admin.list("pods", namespace) if "deletionTimestamp" not in p["metadata"] and not p["spec"].get("schedulingGates")]
    return [p["metadata"]["name"] for p in found]


def deleted(cluster: Cluster, user: str, namespace: str, since: datetime.datetime, pods: int) -> dict[str, datetime.datetime]:
    """When the API server had answered each pod's first deletion, once it has for all."""

    def found() -> dict[str, datetime.datetime]:
        events = [e for e in cluster.audit(user=user, since=since) if e["verb"] == "delete" and resource(e) == "pods"]
        mine = [e for e in events if e["objectRef"].get("namespace") == namespace]
        return {e["objectRef"]["name"]: answered(e) for e in reversed(mine)}

    return eventually(lambda: times if len(times := found()) >= pods else {}, within=120, every=1, what=f"{pods} pods of {namespace} are deleted")


def resource(event: Json) -> str:
    """What the request was about."""
    return str(event.get("objectRef", {}).get("resource"))


def answered(event: Json) -> datetime.datetime:
    """When the API server had answered."""
    return datetime.datetime.fromisoformat(event["stageTimestamp"])


def run(admin: Api, namespace: str, pods: int) -> None:
    """A Deployment of that many pods, all of them running."""
    container = {"name": "main", "image": "registry.bank.example/idle:1", "resources": {"requests": {"cpu": "10m"}}}
    template = {"metadata": {"labels": {"app": "many", LABEL: "many", ENDS: "slowly"}}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 5}}
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": "many"}}, "template": template}
    eventually(lambda: admin.find("serviceaccounts", "default", namespace), within=30, what="the default ServiceAccount is there")
    admin.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many", "namespace": namespace}, "spec": spec})
    eventually(
        lambda: admin.get("deployments.apps", "many", namespace).get("status", {}).get("readyReplicas", 0) == pods,
        within=300,
        every=0.5,
        what=f"{pods} pods of {namespace} run",
    )


def governed(namespace: str) -> Iterable[Json]:
    """Enough nodes, a procedure in Audit (so that the pods run without approvals), the register entry, and alice who can stop it."""
    yield from (gpu_node(f"cpu-{n}") for n in range(4))
    procedure = {"title": "Benchmark", "revision": 1, "owner": "nobody", "enforcement": "Audit", "approvals": {"roles": [{"role": "model-owner"}]}}
    yield {"apiVersion": "aiqms.dev/v1alpha1", "kind": "QMSProcedure", "metadata": {"name": "bench"}, "spec": procedure | {"stop": {"roles": [ROLE]}}}
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": ROLE, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"aiqms-role-{ROLE}"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    }
    digest = "sha256:" + "0" * 64
    yield {
        "apiVersion": "aiqms.dev/v1alpha1",
        "kind": "AIModelDeployment",
        "metadata": {"name": "many", "namespace": namespace},
        "spec": {
            "intendedPurpose": "Benchmark",
            "riskClass": "Minimal",
            "role": "Provider",
            "owner": {"name": "nobody", "contact": "nobody@bank.example"},
            "model": {"name": "none", "version": "1", "uri": "oci://registry.bank.example/models/none", "digest": digest},
            "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "many"}],
        },
    }


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:3]]
    main(*given, *(PODS, ROUNDS)[len(given) :])
