"""Where the table is tried: a governed namespace in which every kind of workload is really cleared, one waits, and mallory is the administrator."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from tests.e2e.conftest import RBAC, binding, cluster_binding, govern
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.embedded import OPERATOR
from tests.testbed.install import GATE
from tests.testbed.people import Person, admitted
from tests.testbed.pki import with_login, write_private
from tests.testbed.waiting import eventually

LABEL = "aiqms.dev/deployment"
SUBJECT = "aiqms.dev/subject"
DECISION = "aiqms.dev/decision"
EDITOR = "aiqms.dev/edited-by"
SANDBOX = "kata-clh"  # a RuntimeClass that gives no device
FORGED = "example.com/forged"  # label of a deployment in whose note a webhook of somebody else writes this name
MODEL = f"sha256:{'4' * 64}"
GPU: Json = {"limits": {"nvidia.com/gpu": "1"}}
API = "aiqms.dev/v1alpha1"
# Each registered deployment: its workload's kind, and the risk class by which its procedure finds it.
REGISTERED = {
    "scoring": ("apps/v1", "Deployment", "High"),
    "store": ("apps/v1", "StatefulSet", "High"),
    "batch": ("batch/v1", "Job", "High"),
    "claims": ("apps/v1", "Deployment", "Limited"),
    "halted": ("apps/v1", "Deployment", "High"),
    "waiting": ("apps/v1", "Deployment", "High"),
    "watched": ("v1", "Pod", "Minimal"),
}
STOPPED = "halted"  # cleared, and then stopped, with no operator running that would take the clearance back
CLEARED = ("scoring", "store", "batch", "claims", STOPPED)
PROCEDURES: dict[str, Json] = {"High": {}, "Limited": {"inputs": {"secrets": "Frozen"}}, "Minimal": {"enforcement": "Audit"}}
READ = ["get", "list", "watch"]
WRITE = ["create", "update", "patch", "delete", "deletecollection"]
# What ClusterRole admin lacks and somebody may have been given beside it: so that nothing but the gate says no.
MORE = (
    {"apiGroups": [""], "resources": ["pods/status", "pods/binding", "pods/resize", "pods/ephemeralcontainers", "bindings"], "verbs": WRITE},
    {
        "apiGroups": ["aiqms.dev"],
        "resources": ["approvalrecords", "approvalrecords/status", "clearances", "aimodeldeployments/status"],
        "verbs": [*WRITE, *READ],
    },
)


@dataclass(frozen=True)
class Stage:
    """place: the governed namespace; other: one that is not governed; pods: those that run or wait, by deployment; fingerprints: what was approved.

    strangers: people who are there for the table alone.
    """

    cluster: Cluster
    tag: str
    pods: dict[str, Json] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    strangers: dict[str, Api] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"bypass-{self.tag}"

    @property
    def other(self) -> str:
        return f"ungoverned-{self.tag}"

    @property
    def going(self) -> str:
        """A governed namespace that is being deleted, and does not come to its end."""
        return f"going-{self.tag}"

    @property
    def late(self) -> str:
        """One that was governed late: pods were there before."""
        return f"late-{self.tag}"

    @property
    def left(self) -> str:
        """One that was taken out of the gate, and has its Clearance still."""
        return f"left-{self.tag}"

    @property
    def runtime(self) -> str:
        """A RuntimeClass that gives GPUs."""
        return f"nvidia-{self.tag}"

    def as_(self, person: str) -> Api:
        """The API server as this person, by credentials of their own."""
        return self.cluster.api(person)

    @property
    def mallory(self) -> Api:
        """The namespace's administrator."""
        return self.as_("mallory")

    @property
    def admin(self) -> Api:
        """The cluster's administrator."""
        return self.as_("admin")

    def acting(self, user: str, *groups: str) -> Api:
        """The API server as a user of no person."""
        return self.cluster.api("admin", impersonate=user, groups=(*groups, "system:authenticated"))

    @property
    def operator(self) -> Api:
        """Whoever has the operator's identity."""
        return self.acting(OPERATOR, "system:serviceaccounts", "system:serviceaccounts:aiqms-system")

    @property
    def scheduler(self) -> Api:
        return self.acting("system:kube-scheduler")

    @property
    def kubelet(self) -> Api:
        """The node that pod `of` runs on."""
        return self.acting(f"system:node:{self.pods['scoring']['spec']['nodeName']}", "system:nodes")

    @property
    def robot(self) -> Api:
        """A ServiceAccount of the namespace that holds the role risk-manager."""
        return self.acting(f"system:serviceaccount:{self.place}:robot", "system:serviceaccounts", f"system:serviceaccounts:{self.place}")

    def name(self, of: str) -> str:
        """The name of the pod of a deployment."""
        return str(self.pods[of]["metadata"]["name"])

    def like(self, of: str) -> Json:
        """A pod just as a controller would make another one of a deployment."""
        pod = deepcopy(self.pods[of])
        kept = {key: pod["metadata"][key] for key in ("labels", "annotations", "ownerReferences", "namespace") if key in pod["metadata"]}
        kept.get("annotations", {}).pop(SUBJECT, None)
        spec = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "schedulingGates", "hostname")}
        if of == "store":  # its claim goes by its name
            spec["volumes"] = [v | {"persistentVolumeClaim": {"claimName": "data-store-7"}} if v["name"] == "data" else v for v in spec["volumes"]]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": kept | {"name": f"{of}-7"}, "spec": spec}


def plain(namespace: str) -> Json:
    """A pod that reaches nothing: no device, no label."""
    container = {"name": "main", "image": "registry.example/tool:1", "resources": {"requests": {"cpu": "10m"}}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "another", "namespace": namespace}, "spec": {"containers": [container]}}


def record(stage: Stage, deployment: str, role: str, decision: str = "Approve", **spec: object) -> Json:
    """An ApprovalRecord about what is the subject of a deployment, not yet created."""
    said = {"deployment": deployment, "subject": stage.fingerprints[deployment], "role": role, "decision": decision, "rationale": "reviewed"}
    return {"apiVersion": API, "kind": "ApprovalRecord", "metadata": {"generateName": f"{deployment}-", "namespace": stage.place}, "spec": said | spec}


@contextmanager
def staged(cluster: Cluster) -> Iterator[Stage]:
    """A stage. The operator has to run while it is made; what was made is gone afterwards."""
    stage = Stage(cluster, secrets.token_hex(3))
    shared = [*_cluster_wide(stage), *_procedures(stage)]
    try:
        for manifest in shared:
            stage.admin.create(manifest)
        govern(cluster, stage.place)
        govern(cluster, stage.going)
        for manifest in (*_rights(stage), *_objects(stage), *_registered(stage)):
            stage.admin.create(manifest)
        for name in CLEARED:
            _approve(stage, name)
        _find_pods(stage)
        _admit_two_lines(stage)
        yield stage
    finally:
        for namespace in (stage.place, stage.going):
            stage.admin.delete("namespaces", namespace)
        for manifest in reversed(shared):
            stage.admin.delete(manifest["kind"], manifest["metadata"]["name"])


def _cluster_wide(stage: Stage) -> Iterator[Json]:
    for name in (stage.other, stage.left, stage.late):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": stage.runtime}, "handler": "nvidia"}
    yield {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": SANDBOX}, "handler": "kata"}
    own = {
        "apiGroups": [""],
        "resources": ["namespaces", "namespaces/status", "namespaces/finalize"],
        "resourceNames": [stage.place, stage.other],
        "verbs": WRITE,
    }
    new = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create"]}
    yield _role("ClusterRole", stage, [own, new]) | {"metadata": {"name": stage.place}}
    yield cluster_binding(stage.place, stage.place, "lending-platform")


def _rights(stage: Stage) -> Iterator[Json]:
    for namespace in (stage.place, stage.other, stage.left, stage.going):
        yield {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "more", "namespace": namespace}, "rules": list(MORE)}
        yield _bound(namespace, "more", "Role", {"apiGroup": RBAC, "kind": "Group", "name": "lending-platform"})
    yield from (binding(namespace, "admin", "lending-platform") for namespace in (stage.other, stage.left))
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": stage.place}
    yield _bound(stage.place, "aiqms-role-risk-manager", "ClusterRole", robot) | {"metadata": {"name": "robot", "namespace": stage.place}}
    session = [
        {"apiGroups": ["aiqms.dev"], "resources": ["interactivesessions"], "verbs": ["open"]},
        {"apiGroups": [""], "resources": ["pods/exec", "pods/portforward", "pods/attach", "pods/proxy"], "verbs": ["create", "get"]},
    ]
    yield {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "sessions", "namespace": stage.place}, "rules": session}
    yield _bound(stage.place, "sessions", "Role", {"apiGroup": RBAC, "kind": "User", "name": "carol"})


def stopped(stage: Stage) -> None:
    """bob stops a cleared deployment; then admission knows it. The operator must not run: it would take the clearance back."""
    stop = record(stage, STOPPED, "risk-manager", "Stop")
    stage.records["stop"] = stage.as_("bob").create(stop)["metadata"]["name"]
    eventually(lambda: _says(stage, stage.like(STOPPED), "stopped by bob"), within=30, what="admission knows of the Stop")


def _admit_two_lines(stage: Stage) -> None:
    """Somebody who holds a role and whose name would be two in a note."""
    person = Person(f"two-lines-{stage.tag}", ("risk-managers",), "eve\nalice")
    login = admitted(stage.admin, [person])[person.name]
    path = stage.cluster.provider.folder / person.name
    write_private(path, with_login(stage.cluster.kubeconfig.read_text(), person.name, login))
    stage.strangers["two lines"] = Api(path)


def _says(stage: Stage, manifest: Json, refusal: str) -> bool:
    try:
        stage.mallory.create(manifest, dry_run=True)
    except ApiError as error:
        return refusal in error.message
    return False


def _role(kind: str, stage: Stage, rules: list[Json]) -> Json:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": stage.place}, "rules": rules}


def _bound(namespace: str, role: str, kind: str, subject: Json) -> Json:
    metadata = {"name": role, "namespace": namespace}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [subject],
    }


def _procedures(stage: Stage) -> Iterator[Json]:
    roles = [{"role": "model-owner", "validFor": "90d"}, {"role": "risk-manager", "validFor": "90d"}]
    for risk, spec in PROCEDURES.items():
        said = {"title": f"Bypass, {risk}", "revision": 1, "owner": "Quality", "approvals": {"roles": roles}}
        where = {"appliesTo": {"namespaces": [stage.place], "riskClasses": [risk]}}
        yield {"apiVersion": API, "kind": "QMSProcedure", "metadata": {"name": f"{stage.place}-{risk.lower()}"}, "spec": said | where | spec}


def _objects(stage: Stage) -> Iterator[Json]:
    for manifest in yaml.safe_load_all((Path(__file__).parent / "stage.yaml").read_text()):
        yield manifest | {"metadata": manifest["metadata"] | {"namespace": stage.place}}


def _registered(stage: Stage) -> Iterator[Json]:
    model = {"name": "credit", "version": "1", "uri": "oci://registry.example/models/credit", "digest": MODEL}
    for name, (api_version, kind, risk) in REGISTERED.items():
        workload = {"apiVersion": api_version, "kind": kind, "name": name}
        said = {"intendedPurpose": "Score applications", "riskClass": risk, "role": "Provider", "owner": {"name": "Lending", "contact": "lending@bank.example"}}
        spec = said | {"model": model, "workloads": [workload]}
        yield {"apiVersion": API, "kind": "AIModelDeployment", "metadata": {"name": name, "namespace": stage.place}, "spec": spec}


def _approve(stage: Stage, name: str) -> None:
    """alice and bob approve; then the operator clears."""
    eventually(partial(_cleared, stage, name), within=30, what=f"{name} is cleared")


def _cleared(stage: Stage, name: str) -> bool:
    """Whether what is the subject now serves. What the subject is may be seen late: whoever approves looks again."""
    subject = _subject(stage, name)
    if subject and subject != stage.fingerprints.get(name):
        stage.fingerprints[name] = subject
        for person, role in (("alice", "model-owner"), ("bob", "risk-manager")):
            stage.records[f"{person}/{name}"] = stage.as_(person).create(record(stage, name, role))["metadata"]["name"]
    status = _status(stage, name)
    assert status.get("serving", {}).get("fingerprint") == subject != "", status
    return True


def _status(stage: Stage, name: str) -> Json:
    found: Json = stage.admin.get("aimd", name, stage.place).get("status", {})
    return found


def _subject(stage: Stage, name: str) -> str:
    return str(_status(stage, name).get("subject", {}).get("fingerprint", ""))


def _find_pods(stage: Stage) -> None:
    """Those of the deployments, and those of no deployment, as they stand when nothing moves any more."""
    stage.fingerprints["waiting"] = eventually(partial(_subject, stage, "waiting"), within=30, what="the subject of waiting is known")
    for name in (*REGISTERED, "plain", "unplaced"):
        labels = f"{LABEL}={name}" if name in REGISTERED else f"app={name}"
        settled = partial(_settled, stage, name, labels)
        stage.pods[name] = eventually(settled, within=60, what=f"the pod of {name} runs, waits or has ended")[0]


def _settled(stage: Stage, name: str, labels: str) -> list[Json]:
    """Held where nobody approved, on a node where something may run there, else un-held."""
    pods = stage.admin.list("pods", stage.place, labels=labels)
    waits = {"waiting": _is_held, "store": _is_free, "claims": _is_free, "unplaced": _is_free}.get(name, _has_run)
    return [pod for pod in pods if waits(pod)]


def _is_held(pod: Json) -> bool:
    return {"name": GATE} in pod["spec"].get("schedulingGates", [])


def _is_free(pod: Json) -> bool:
    return not pod["spec"].get("schedulingGates")


def _has_run(pod: Json) -> bool:
    return pod["status"]["phase"] in ("Running", "Succeeded")
