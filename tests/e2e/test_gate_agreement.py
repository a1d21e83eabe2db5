"""The policies and the Python that foresees them say the same about the same pods, asked of a real API server.

The operator is stopped meanwhile: the Clearance is written here, as the operator.
"""

from __future__ import annotations

import copy
import datetime
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs, matches, template
from aiqms.gate.rules import CLEARANCE, GATE, GOVERNED, LABEL, OPERATOR, SUBJECT, TOKEN
from aiqms.gate.workload import KINDS, Kind, pod_of
from tests.e2e.conftest import binding
from tests.testbed.api import Api, ApiError
from tests.testbed.cluster import Cluster
from tests.testbed.install import install
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually
from tests.unit.gate.pods import INIT_AND_SIDECAR, PLAIN, PODS, VLLM, main, pod, workload
from tests.unit.gate.tampering import tampered

FINGERPRINT = "sha256:" + "a" * 64
FAR = "2099-01-01T00:00:00Z"
SERVER_ADDS = ("schedulingGates", "tolerations", "priority", "preemptionPolicy", "serviceAccount")
HOLD = "mutatingadmissionpolicybindings"


@pytest.fixture(scope="module")
def place(cluster: Cluster, installed: Operator) -> Iterator[str]:
    """A governed namespace of which the operator, which is stopped, knows nothing."""
    installed.stop()
    admin, name = cluster.api("admin"), f"agreement-{secrets.token_hex(3)}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {GOVERNED: "true"}}})
    eventually(lambda: admin.find("serviceaccounts", "default", name), within=30, what="the default service account")
    write_clearance(cluster, name, {}, [])
    yield name
    admin.delete("namespaces", name)
    installed.start()


@pytest.fixture(scope="module")
def templates(cluster: Cluster, place: str) -> dict[str, Json]:
    """What a Clearance stores of each pod, worked out from the held pod; all of them are cleared then."""
    admin = cluster.api("admin")
    held = {name: eventually(partial(create_held, admin, place, labelled(name)), within=30, what=f"{name} is held") for name in PODS}
    found = {name: template(one) for name, one in held.items()}
    entries = {name: [{"fingerprint": FINGERPRINT, "validUntil": FAR, "template": one}] for name, one in found.items()}
    write_clearance(cluster, place, entries, sorted({i for one in held.values() for i in inputs(one)}))
    return found


@pytest.fixture(scope="class", params=["hold and cleared", "cleared alone"])
def judge(request: pytest.FixtureRequest, cluster: Cluster, place: str, templates: dict[str, Json]) -> Iterator[str]:
    """Who judges: either line of defence is enough."""
    if request.param == "hold and cleared":
        yield request.param
        return
    admin = cluster.api("admin")
    binding = admin.get(HOLD, "aiqms-hold")
    odd = {**labelled("plain"), "spec": {"containers": [main(image="other:1")]}}
    admin.delete(HOLD, "aiqms-hold")
    eventually(lambda: refused(admin, place, odd), within=30, what="cleared refuses what hold no longer holds")
    yield request.param
    admin.create(
        {
            **binding,
            "metadata": {"name": "aiqms-hold", "labels": binding["metadata"].get("labels", {}), "annotations": binding["metadata"].get("annotations", {})},
        }
    )
    eventually(partial(create_held, admin, place, odd), within=30, what="hold is back", ignoring=(ApiError,))


def write_clearance(cluster: Cluster, namespace: str, deployments: Json, frozen: list[str]) -> None:
    body = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": CLEARANCE, "namespace": namespace}}
    writing = cluster.api("admin", impersonate=OPERATOR, groups=("system:masters", "system:authenticated"))
    writing.apply({**body, "spec": {"inputs": frozen, "deployments": deployments}}, manager="agreement", force=True)


def labelled(name: str) -> Json:
    """A pod of PODS as a manifest that names its AIModelDeployment."""
    one = copy.deepcopy(PODS[name])
    one["metadata"]["labels"] = {**one["metadata"].get("labels", {}), LABEL: name}
    one["metadata"].setdefault("name", name)
    return {"apiVersion": "v1", "kind": "Pod", **one}


def create(admin: Api, namespace: str, one: Json) -> Json:
    return admin.create(one, namespace=namespace, dry_run=True)


def create_held(admin: Api, namespace: str, one: Json) -> Json:
    got = create(admin, namespace, one)
    assert is_held(got)
    return got


def create_admitted(admin: Api, namespace: str, one: Json) -> Json:
    got = create(admin, namespace, one)
    assert not is_held(got)
    return got


def is_held(one: Json) -> bool:
    return {"name": GATE} in one["spec"].get("schedulingGates", [])


def refused(admin: Api, namespace: str, one: Json) -> bool:
    return outcome(admin, namespace, one) == "refused"


def outcome(admin: Api, namespace: str, one: Json, foreseen: Json | None = None) -> str:
    """held, admitted, refused by a policy, or invalid in any case. A held pod must not match what was foreseen."""
    try:
        got = create(admin, namespace, one)
    except ApiError as error:
        return "refused" if error.code == 403 and "aiqms-" in error.message else "invalid"
    if not is_held(got):
        return "admitted"
    return "held, though Python finds it equal" if foreseen and matches(foreseen, got) else "held"


def bare(admitted: Json) -> Json:
    """A pod as the API server returned it, less what it injected: so that fields which it defaulted are tampered with too."""
    spec = {k: v for k, v in copy.deepcopy(admitted["spec"]).items() if k not in SERVER_ADDS}
    tokens = {v["name"] for v in spec.get("volumes", []) if v.get("projected") == TOKEN}
    spec["volumes"] = [v for v in spec.get("volumes", []) if v["name"] not in tokens]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        container["volumeMounts"] = [m for m in container.get("volumeMounts", []) if m["name"] not in tokens]
    metadata = {k: v for k, v in admitted["metadata"].items() if k in ("name", "labels", "annotations", "ownerReferences")}
    metadata["annotations"] = {k: v for k, v in metadata.get("annotations", {}).items() if k != SUBJECT}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


FREE_CHANGES: dict[str, Json] = {
    "tolerations": {"spec": {"tolerations": [{"operator": "Exists"}]}},
    "node selector": {"spec": {"nodeSelector": {"gpu": "h100"}}},
    "affinity": {"spec": {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}}},
    "pull secrets": {"spec": {"imagePullSecrets": [{"name": "registry"}]}},
    "labels": {"metadata": {"labels": {"team": "lending"}}},
    "annotations": {"metadata": {"annotations": {"prometheus.io/scrape": "true"}}},
    "cpu and memory": {"spec": {"containers": [main(resources={"limits": {"nvidia.com/gpu": "1", "cpu": "16", "memory": "64Gi"}})]}},
}


class TestBothLinesOfDefence:
    """Either alone is safe. In a class, so that hold is away only for as long as it must."""

    @pytest.mark.parametrize("name", PODS)
    def test_a_cleared_pod_passes_and_every_changed_one_does_not(self, cluster: Cluster, place: str, templates: dict[str, Json], judge: str, name: str) -> None:
        admin, cleared = cluster.api("admin"), templates[name]
        if judge == "cleared alone" and cleared["stamp"]:
            got = {
                **labelled(name),
                "metadata": {**labelled(name)["metadata"], "annotations": {**labelled(name)["metadata"].get("annotations", {}), SUBJECT: FINGERPRINT}},
            }
            assert refused(admin, place, labelled(name)), "it reads its subject, which nobody stamps now"
            got = create(admin, place, got)
        else:
            got = eventually(partial(create_admitted, admin, place, labelled(name)), within=30, what="the cleared pod is admitted", ignoring=(ApiError,))
        assert got["metadata"].get("annotations", {}).get(SUBJECT) == (FINGERPRINT if cleared["stamp"] else None), (
            "stamped where the pod reads it, and nowhere else"
        )
        assert template(got) == cleared
        outcomes = {what: outcome(admin, place, changed, cleared) for what, changed in tampered(bare(got))}
        judged = {what: how for what, how in outcomes.items() if how != "invalid"}
        expected = ("held", "refused") if judge == "hold and cleared" else ("refused",)
        assert {what: how for what, how in judged.items() if how not in expected} == {}
        assert len(judged) > 30

    @pytest.mark.parametrize("change", FREE_CHANGES)
    def test_what_is_free_passes(self, cluster: Cluster, place: str, templates: dict[str, Json], judge: str, change: str) -> None:
        one, wanted = labelled("plain"), FREE_CHANGES[change]
        one["spec"] |= wanted.get("spec", {})
        for kind, more in wanted.get("metadata", {}).items():
            one["metadata"][kind] = {**one["metadata"].get(kind, {}), **more}
        got = create(cluster.api("admin"), place, one)
        assert (is_held(got), matches(templates["plain"], got)) == (False, True)


# Each workload is really made, and its controller makes the pods, which are all held.
MADE = {**PODS, "apparmor": pod({"containers": [main()]}, annotations={"container.apparmor.security.beta.kubernetes.io/main": "runtime/default"})}


@pytest.fixture(scope="module")
def workloads(cluster: Cluster, place: str) -> dict[tuple[str, str], Json]:
    """Workloads of every kind with every pod, as stored."""
    admin = cluster.api("admin")
    return {(kind.kind, name): admin.create(manifest(kind, name), namespace=place) for kind in KINDS for name in MADE}


def manifest(kind: Kind, name: str) -> Json:
    one = {
        **MADE[name],
        "metadata": {**MADE[name]["metadata"], "labels": {**MADE[name]["metadata"].get("labels", {}), LABEL: f"made-{name}", "kind": kind.kind}},
    }
    made = workload(kind, one, f"{kind.kind.lower()}-{name}")
    if kind.kind == "CronJob":
        made["spec"]["schedule"] = "* * * * *"
    return made


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_pods_that_a_controller_makes_are_those_foreseen(admin: Api, place: str, workloads: dict[tuple[str, str], Json], kind: Kind, name: str) -> None:
    stored = workloads[kind.kind, name]
    if kind.kind == "CronJob":
        run_now(admin, place, stored)
    real = eventually(lambda: admin.list("pods", place, labels=f"{LABEL}=made-{name},kind={kind.kind}"), within=60, what=f"{kind.kind} {name} makes a pod")[0]
    assert template(pod_of(stored)) == template(real)
    assert template(pod_of(defaulted(manifest(kind, name)))) == template(real)
    assert inputs(pod_of(stored)) == inputs(real)
    assert is_held(real)


def run_now(admin: Api, namespace: str, cronjob: Json) -> None:
    """As if its last run were three minutes ago: the controller makes up for the missed one at once."""
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=3)
    admin.patch("cronjobs", cronjob["metadata"]["name"], {"status": {"lastScheduleTime": f"{ago:%Y-%m-%dT%H:%M:%SZ}"}}, namespace, subresource="status")


def test_the_api_server_has_no_doubts_about_any_expression(admin: Api, installed: Operator) -> None:
    checked = eventually(lambda: type_checked(admin), within=30, what="all policies are type-checked")
    assert {name: warnings for name, warnings in checked.items() if warnings} == {}


def type_checked(admin: Api) -> dict[str, Any]:
    """What the API server finds doubtful, by policy; nothing before it has looked at all of them."""
    ours = [p for p in admin.list("validatingadmissionpolicies") if p["metadata"]["name"].startswith("aiqms-")]
    done = all(p.get("status", {}).get("observedGeneration") == p["metadata"]["generation"] for p in ours)
    return {p["metadata"]["name"]: p["status"]["typeChecking"].get("expressionWarnings") for p in ours} if done else {}


GPU, CPU = PLAIN, pod({"containers": [{"name": "main", "image": "a:1"}]})
ROLLING: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
PARTLY = "maxUnavailable above 0 takes old pods away while the new pods wait for approval (its default, 25%, does from 4 replicas on)"
ADVICE: dict[str, tuple[str, Json, Json, list[str]]] = {
    "no label": ("Deployment", GPU, {"strategy": ROLLING}, ["in spec.template, so its pods will be refused: GPU pod must name its AIModelDeployment"]),
    "no GPU and no label": ("Deployment", CPU, {}, []),
    "the default": ("Deployment", VLLM, {}, [PARTLY]),
    "none away": ("Deployment", VLLM, {"strategy": ROLLING}, []),
    "none away, in percent": ("Deployment", VLLM, {"strategy": {"rollingUpdate": {"maxUnavailable": "0%"}}}, []),
    "Recreate": ("Deployment", VLLM, {"strategy": {"type": "Recreate"}}, ["spec.strategy.type Recreate takes every old pod away"]),
    "no surge": ("Deployment", VLLM, {"strategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}, [PARTLY]),
    "StatefulSet": ("StatefulSet", VLLM, {}, ["a StatefulSet takes each old pod away before its new one"]),
    "StatefulSet by hand": ("StatefulSet", VLLM, {"updateStrategy": {"type": "OnDelete"}}, []),
    "DaemonSet": ("DaemonSet", VLLM, {}, ["a DaemonSet takes old pods away"]),
    "DaemonSet that surges": ("DaemonSet", VLLM, {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}, []),
    "CronJob without the label": ("CronJob", GPU, {}, ["in spec.template, so its pods will be refused: GPU pod must name"]),
    "Job": ("Job", INIT_AND_SIDECAR, {}, []),
}


@pytest.mark.parametrize("case", ADVICE)
def test_advice_comes_as_a_warning_before_pods_are_held(admin: Api, place: str, case: str) -> None:
    kind, one, more, told = ADVICE[case]
    label = {} if one in (GPU, CPU) else {LABEL: "credit"}
    made = workload(next(k for k in KINDS if k.kind == kind), {**one, "metadata": {"labels": label}}, "advice")
    made["spec"] |= more
    admin.create(made, namespace=place, dry_run=True)
    ours = [w for w in admin.warnings if "aiqms-" in w]
    assert len(ours) == len(told)
    assert all(text in warning for text, warning in zip(told, ours, strict=True)), ours


MACHINE = "system:serviceaccount:agreement:bot"
MACHINES = ("system:serviceaccounts", "system:authenticated")


@pytest.fixture(scope="module")
def deciding(cluster: Cluster, place: str) -> str:
    """A namespace in which model owners, risk managers and, by mistake, all service accounts hold their roles."""
    for role, group in (("aiqms-role-model-owner", "model-owners"), ("aiqms-role-risk-manager", "risk-managers")):
        cluster.api("admin").create(binding(place, role, group))
    mistake = binding(place, "aiqms-role-model-owner", MACHINES[0])
    cluster.api("admin").create({**mistake, "metadata": {"name": "mistake", "namespace": place}})
    return place


def record(**spec: Any) -> Json:
    body = {"deployment": "credit", "subject": FINGERPRINT, "role": "model-owner", "decision": "Approve", "rationale": "because", **spec}
    return {"apiVersion": "aiqms.dev/v1alpha1", "kind": "ApprovalRecord", "metadata": {"generateName": "credit-"}, "spec": body}


def withdrawal(role: str) -> Json:
    return record(role=role, decision="Withdraw", withdraws="credit-x7k2p")


def said(attempt: Callable[[], object]) -> str:
    """What the API server says against it; nothing where it agrees."""
    try:
        attempt()
    except ApiError as error:
        return error.message
    return ""


AUTHORS: dict[str, tuple[str, Json, bool]] = {
    "who holds the role": ("alice", record(), True),
    "under another's name": ("alice", record(approver={"username": "bob", "groups": ["risk-managers"], "authorized": True}), True),
    "with an end": ("alice", record(expires=FAR), True),
    "a rejection": ("bob", record(role="risk-manager", decision="Reject"), True),
    "a withdrawal with the role": ("bob", withdrawal("risk-manager"), True),
    "a withdrawal without the role": ("alice", withdrawal("risk-manager"), False),
    "a withdrawal by a wildcard": ("admin", withdrawal("risk-manager"), False),
}


@pytest.mark.parametrize("case", AUTHORS)
def test_a_record_bears_the_person_whom_the_api_server_knows(cluster: Cluster, deciding: str, case: str) -> None:
    person, manifest, authorized = AUTHORS[case]
    api = cluster.api(person)
    who = api.whoami()
    stamped = api.create(manifest, namespace=deciding, dry_run=True)["spec"]["approver"]
    assert stamped == {"username": who["username"], "uid": who.get("uid", ""), "groups": who["groups"], "authorized": authorized}


REFUSED: dict[str, tuple[str, Json, str]] = {
    "without the role": (
        "alice",
        record(role="risk-manager"),
        "you do not hold role risk-manager in namespace PLACE: it takes verb approve on approvalroles.aiqms.dev/risk-manager;"
        " ask for a RoleBinding to ClusterRole aiqms-role-risk-manager",
    ),
    "a wildcard holder": ("admin", record(), "you hold every role by a wildcard right, which makes nobody an approver"),
    "a machine": (MACHINE, record(), f"a decision is a person's: {MACHINE} is a service account or a part of the cluster; sign in as a person"),
    "late": ("alice", record(expires="2020-01-01T00:00:00Z"), "spec.expires 2020-01-01T00:00:00Z is not after now, 2"),
    "an owner": (
        "alice",
        {**record(), "metadata": {"name": "owned", "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]}},
        "a record has no owner and no finalizer",
    ),
    "a finalizer": ("alice", {**record(), "metadata": {"name": "kept", "finalizers": ["example.com/x"]}}, "a record has no owner and no finalizer"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_record_that_would_not_be_a_persons_own_is_refused_with_the_reason(cluster: Cluster, deciding: str, case: str) -> None:
    person, manifest, message = REFUSED[case]
    api = cluster.api("admin", impersonate=MACHINE, groups=MACHINES) if person == MACHINE else cluster.api(person)
    assert message.replace("PLACE", deciding) in said(lambda: api.create(manifest, namespace=deciding, dry_run=True))


def test_a_record_stays_as_it_was_made(cluster: Cluster, deciding: str, admin: Api) -> None:
    name = cluster.api("alice").create(record(), namespace=deciding)["metadata"]["name"]
    verdict = {"status": {"counts": True, "reason": "Counted", "message": "made up"}}
    for path, what in (("metadata", {"labels": {"a": "b"}}), ("metadata", {"annotations": {"a": "b"}}), ("spec", {"rationale": "another"})):
        assert "immutable" in said(partial(admin.patch, "apr", name, {path: what}, deciding))
    assert "a record stays as long as its namespace" in said(lambda: admin.delete("apr", name, deciding))
    assert "a record stays as long as its namespace" in said(lambda: admin.delete_all("apr", deciding))
    assert "the status of a record is written by the AIQMS operator alone" in said(lambda: admin.patch("apr", name, verdict, deciding, subresource="status"))
    cluster.api("admin", impersonate=OPERATOR).patch("apr", name, verdict, deciding, subresource="status")
    assert admin.get("apr", name, deciding)["status"] == verdict["status"]


SITE = {
    "plainResources": ["cpu", "memory", "ephemeral-storage", "example.com/tuning"],
    "deviceEnv": ["MY_GPU"],
    "plainRuntimes": ["mine"],
    "exemptNamespaces": ["lending-lab"],
    "elsewhere": "Deny",
    "peopleGroups": ["model-owners"],
}
BY_DEFAULT = dict.fromkeys(SITE, "") | {"plainResources": "GPU pod must name its AIModelDeployment"}
ON_SITE = {
    "plainResources": "",
    "deviceEnv": "env that hands out GPUs",
    "plainRuntimes": "runtimeClassName may give GPUs",
    "exemptNamespaces": "this namespace keeps the cluster or AIQMS itself running",
    "elsewhere": "in a namespace that is not governed",
    "peopleGroups": "bob is in none of the groups of people who may decide (chart value gate.peopleGroups)",
}


def attempts(cluster: Cluster, place: str) -> dict[str, Callable[[], object]]:
    """For each value one request on which it decides."""
    admin, bob = cluster.api("admin"), cluster.api("bob")

    def small(namespace: str, spec: Json, **container: Any) -> Callable[[], object]:
        whole = {"containers": [{"name": "main", "image": "a:1", **container}], **spec}
        return partial(create, admin, namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "small"}, "spec": whole})

    lab = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "lending-lab", "labels": {GOVERNED: "true"}}}
    return {
        "plainResources": small(place, {}, resources={"limits": {"example.com/tuning": "1"}}),
        "deviceEnv": small(place, {}, env=[{"name": "MY_GPU", "value": "all"}]),
        "plainRuntimes": small(place, {"runtimeClassName": "runc"}),
        "exemptNamespaces": partial(admin.create, lab, dry_run=True),
        "elsewhere": small("default", {}, resources={"limits": {"nvidia.com/gpu": "1"}}),
        "peopleGroups": partial(bob.create, record(role="risk-manager"), namespace=place, dry_run=True),
    }


def decided(cluster: Cluster, place: str, wanted: dict[str, str]) -> bool:
    told = {value: said(attempt) for value, attempt in attempts(cluster, place).items()}
    wrong = {value: text for value, text in told.items() if wanted[value] not in text or bool(text) != bool(wanted[value])}
    assert wrong == {}
    return True


def test_each_value_of_the_chart_has_its_effect(cluster: Cluster, deciding: str) -> None:
    cluster.api("admin").apply({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "runc"}, "handler": "runc"}, manager="agreement")
    for values, wanted in (({}, BY_DEFAULT), ({"gate": SITE}, ON_SITE), ({}, BY_DEFAULT)):
        install(cluster, values)
        eventually(partial(decided, cluster, deciding, wanted), within=30, what=f"the values are in force: {values}")
