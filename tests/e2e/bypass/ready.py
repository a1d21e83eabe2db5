"""The stage as the table needs it: with the operator stopped, since the gate does not need it, and with what comes about only then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from tests.e2e.bypass.allowed import FREE
from tests.e2e.bypass.attempt import deleted, edited
from tests.e2e.bypass.forger import forging
from tests.e2e.bypass.released import parked, pods
from tests.e2e.bypass.stage import API, LABEL, SUBJECT, Stage, record, staged, stopped
from tests.testbed.api import ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE, GOVERNED
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

ADMISSION = "admissionregistration.k8s.io/v1"
PAST = "2020-01-01T00:00:00Z"
CLEANER = "system:serviceaccount:kube-system:namespace-controller"


@contextmanager
def ready(cluster: Cluster, operator: Operator) -> Iterator[Stage]:
    """A namespace with cleared, stopped and held workloads. The operator has to run before, and runs again afterwards."""
    with staged(cluster) as stage, forging(stage):
        operator.stop()
        stopped(stage)
        with kept(stage):
            _cleared_more(stage)
            _parked(stage)
            stage.operator.create({"apiVersion": API, "kind": "Clearance", "metadata": {"name": "clearance", "namespace": stage.left}, "spec": {}})
            _change_unseen(stage)
            _governed_late(stage)
            _going(stage)
            yield stage
    operator.start()


def refused(act: Callable[[], Json], words: str) -> bool:
    """Whether it is refused, in these words."""
    try:
        act()
    except ApiError as error:
        return words in error.message
    return False


def _cleared_more(stage: Stage) -> None:
    """What the operator would write, were it asked: a clearance that has ended, and inputs of a kind that no workload here has."""
    stored = stage.admin.get("clearances", "clearance", stage.place)
    entries = stored["spec"]
    more = {
        "lapsed": [entry | {"validUntil": PAST} for entry in entries["deployments"]["claims"]],
        "approved-in-audit": [{"audit": True, "fingerprint": stage.fingerprints["claims"]}],
    }
    inputs = [*entries["inputs"], "resourceclaims/mine", "resourceclaimtemplates/absent"]
    stage.operator.replace(stored | {"spec": entries | {"deployments": entries["deployments"] | more, "inputs": inputs}})
    stage.fingerprints["lapsed"] = stage.fingerprints["claims"]
    absent = stage.admin.get("resourceclaimtemplates", "one-gpu", stage.place)
    absent = {key: absent[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "absent", "namespace": stage.place}}
    eventually(lambda: refused(partial(stage.mallory.create, absent, dry_run=True), "frozen"), within=30, what="admission knows of the inputs")


# Held pods that nobody controls, for their maker held them: like the pod of which deployment, and as a pod of which.
PARKED = {"parked": ("claims", "claims"), "parked-lapsed": ("claims", "lapsed"), "parked-watched": ("watched", "watched")}


def _parked(stage: Stage) -> None:
    for name, (like, deployment) in PARKED.items():
        metadata = {"name": name, "namespace": stage.place, "labels": {LABEL: deployment}}
        stage.pods[name] = stage.mallory.create(edited(stage.like(like) | {"metadata": metadata}, {"spec.schedulingGates.+": {"name": GATE}}))
    for said, of, edits in pods(FREE):
        parked(said, of, edits, stage)


# What would be refused now: it may go on, and change in all else.
OLDER: tuple[Json, ...] = (
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "older"}, "data": {"NVIDIA_VISIBLE_DEVICES": "all"}},
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "older-plain", "annotations": {"cdi.k8s.io/any": "nvidia.com/gpu=all"}},
        "spec": {"hostPID": True, "containers": [{"name": "main", "image": "registry.example/tool:1"}]},
    },
)


def _governed_late(stage: Stage) -> None:
    """A held pod with a subject of its own choice was there before, in whose name it is cleared now."""
    eventually(lambda: stage.admin.find("serviceaccounts", "default", stage.late), within=30, what=f"namespace {stage.late} has its default service account")
    notes = {"labels": {LABEL: "claims"}, "annotations": {SUBJECT: stage.fingerprints["claims"]}}
    pod = stage.like("claims") | {"metadata": {"name": "older", "namespace": stage.late} | notes}
    stage.admin.create(edited(pod, {"spec.schedulingGates.+": {"name": GATE}}))
    for manifest in OLDER:
        stage.admin.create(manifest, namespace=stage.late)
    spec = stage.admin.get("clearances", "clearance", stage.place)["spec"]
    made = {"apiVersion": API, "kind": "Clearance", "metadata": {"name": "clearance", "namespace": stage.late}, "spec": spec}
    stage.operator.create(made)
    stage.admin.patch("namespaces", stage.late, {"metadata": {"labels": {GOVERNED: "true"}}})


def _change_unseen(stage: Stage) -> None:
    """A deployment that was approved, and changed since: the operator has not seen it."""
    stage.admin.patch("aimd", "batch", {"spec": {"owner": {"contact": "batch@bank.example"}}}, stage.place)


def _going(stage: Stage) -> None:
    """A namespace with an input of each kind and a record is deleted."""
    for manifest in (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "scoring"}, "data": {"mode": "careful"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "scoring-key"}, "stringData": {"key": "first"}},
    ):
        stage.admin.create(manifest, namespace=stage.going)
    approval = record(stage, "scoring", "model-owner")
    approval["metadata"]["namespace"] = stage.going
    stage.records["going"] = stage.as_("alice").create(approval)["metadata"]["name"]
    spec = {"inputs": ["configmaps/scoring"], "rotating": ["secrets/scoring-key"]}
    stored = stage.admin.get("clearances", "clearance", stage.going)
    stage.operator.replace(stored | {"spec": stored["spec"] | spec})
    frozen = partial(stage.mallory.patch, "configmaps", "scoring", {"data": {"mode": "reckless"}}, stage.going, dry_run=True)
    eventually(lambda: refused(frozen, "frozen"), within=30, what="admission knows of the inputs of the namespace that will go")
    stage.admin.delete("namespaces", stage.going)
    cleared_up = partial(deleted, stage.admin, "configmaps", "scoring", stage.going)
    eventually(lambda: not refused(cleared_up, "frozen"), within=30, what="admission knows that the namespace goes")


@contextmanager
def kept(stage: Stage) -> Iterator[None]:
    """Nothing of the namespace that goes is cleared up meanwhile: a policy of the stage's own refuses that to the controller that would."""
    name = f"kept-{stage.tag}"
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["*"]}
    check = {"expression": f"request.userInfo.username != '{CLEANER}'", "message": "stays on the stage"}
    policy = {"matchConstraints": {"resourceRules": [rule]}, "validations": [check]}
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.going}}}
    binding = {"policyName": name, "matchResources": there, "validationActions": ["Deny"]}
    for suffix, spec in (("", policy), ("Binding", binding)):
        stage.admin.create({"apiVersion": ADMISSION, "kind": f"ValidatingAdmissionPolicy{suffix}", "metadata": {"name": name}, "spec": spec})
    try:
        cleaner = stage.acting(CLEANER, "system:serviceaccounts", "system:serviceaccounts:kube-system")
        cleared_up = partial(deleted, cleaner, "configmaps", "kube-root-ca.crt", stage.going)
        eventually(lambda: refused(cleared_up, "stays on the stage"), within=30, what="what goes is kept")
        yield
    finally:
        for suffix in ("Binding", ""):
            stage.admin.delete(f"ValidatingAdmissionPolicy{suffix}", name)
