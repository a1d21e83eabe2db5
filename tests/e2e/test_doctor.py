"""`kubectl qms doctor` on a live cluster: green where all is well, and each sabotage found, by name."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiqms.api.crds import DEPLOYMENT, PROCEDURE, crd
from aiqms.gate.rules import GATE, GOVERNED
from tests.e2e.conftest import binding, cluster_binding, govern
from tests.e2e.given import LABEL, Place, config_map, placed, template
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.install import install
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

PROJECT = Path(__file__).parents[2]
CLI = Path(sys.executable).parent / "kubectl-qms"
VALIDATING, MUTATING = "validatingadmissionpolicies", "mutatingadmissionpolicies"
VALIDATING_BINDING, MUTATING_BINDING = "validatingadmissionpolicybindings", "mutatingadmissionpolicybindings"
NAMESPACE = "lending"
SYSTEM = "aiqms-system"
Found = set[tuple[str, str]]  # check and what it is about


@dataclass
class Patient:
    """A cluster of its own, with everything in it that a probe can be tried on."""

    cluster: Cluster
    operator: Operator
    place: Place

    @property
    def admin(self) -> Api:
        return self.cluster.api("admin")

    def examined(self, *options: str, by: str = "admin") -> tuple[int, list[Json]]:
        """How the command ended, and what its checks said."""
        done = subprocess.run(
            [CLI, "doctor", "-o", "json", "--context", by, *options],
            env=os.environ | {"KUBECONFIG": str(self.cluster.kubeconfig)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["checks"]

    def found(self, *options: str) -> Found:
        """What is wrong; the command has to end accordingly."""
        code, rows = self.examined(*options)
        wrong = [row for row in rows if row["result"] == "Found"]
        assert code == (1 if wrong else 3 if any(row["result"] == "Unknown" for row in rows) else 0)
        assert all(row["do"] for row in wrong)
        return {(row["check"], row["about"]) for row in wrong}

    def await_healthy(self) -> None:
        """Wait until nothing is wrong; a change of a CRD takes the policies up to a minute."""

        def healthy() -> bool:
            code, rows = self.examined()
            assert code == 0, [f"{row['check']} {row['about']}: {row['message']}" for row in rows if row["result"] != "Ok"]
            return True

        eventually(healthy, within=90, what="doctor is green again", every=0.5)


@pytest.fixture(scope="module")
def patient() -> Iterator[Patient]:
    with temporary() as cluster, ExitStack() as stack:
        if not cluster.provider.owned:
            pytest.skip("these tests sabotage a cluster of their own: AIQMS_CLUSTER=embedded or kind")
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        operator.start()
        stack.callback(operator.stop)
        govern(cluster, NAMESPACE)
        cluster.api("admin").create(binding(NAMESPACE, "aiqms-role-incident-commander", "model-owners"))
        place = stack.enter_context(placed(cluster, NAMESPACE))
        furnish(place)
        yield Patient(cluster, operator, place)


def furnish(place: Place) -> None:
    """One deployment that runs and reads a ConfigMap, one that waits, one that is stopped."""
    place.govern(stop={"roles": ["incident-commander"]})
    place.admin.apply(config_map(NAMESPACE, "prompts-1", system="Be terse"))
    for name in ("scoring", "waiting", "halted"):
        place.of(name).register()
        place.of(name).deploy(envFrom=[{"configMapRef": {"name": "prompts-1"}}])
        place.of(name).await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1)
    place.await_phase("Running")
    place.of("halted").decide("alice", "incident-commander", "Stop")
    place.of("halted").await_phase("Stopped")


def test_a_healthy_cluster_is_green_and_every_probe_that_an_administrator_can_try_was_tried(patient: Patient) -> None:
    patient.await_healthy()
    _, rows = patient.examined()
    assert {row["check"] for row in rows} == {
        "kubernetes", "versions", "crds", "policies", "values", "probes", "operator", "lease", "operator-rights", "powers", "clearances", "status", "pods",
        "namespaces",
    }  # fmt: skip
    # The two that are left are about rights that an administrator has; `advise` warns alone.
    assert {row["about"] for row in rows if row["check"] == "probes"} == {
        "registered", "registered-env", "hold", "cleared", "stopped", "label", "binding", "frozen", "clearances", "governed", "authentic", "records", "edited",
        "elsewhere",
    }  # fmt: skip


def test_doctor_stores_nothing(patient: Patient) -> None:
    def stored() -> set[tuple[str, ...]]:
        going = {o["metadata"]["name"] for o in patient.admin.list("namespaces") if "deletionTimestamp" in o["metadata"]}
        assert not going, "what other tests made is still going"
        kinds = ("pods", "configmaps", "aimd", "apr", "clearances", "namespaces")
        return {(kind, o["metadata"]["uid"], o["metadata"]["resourceVersion"]) for kind in kinds for o in patient.admin.list(kind)}

    before = eventually(stored, within=60, what="nothing is going")
    patient.examined()
    assert stored() == before


def test_an_auditor_is_told_what_could_not_be_checked_and_nothing_of_it_is_passed(patient: Patient) -> None:
    with made(patient, cluster_binding("auditors", "aiqms-auditor", "auditors")):
        code, rows = patient.examined(by="auditor")
    assert code == 3
    by_result: dict[str, set[str]] = {}
    for row in rows:
        by_result.setdefault(row["result"], set()).add(row["check"])
    assert by_result == {
        "Ok": {
            "kubernetes",
            "versions",
            "crds",
            "policies",
            "values",
            "operator",
            "operator-rights",
            "powers",
            "clearances",
            "status",
            "pods",
            "namespaces",
            "lease",
        },
        "Unknown": {"probes"},
    }
    (pod, *_) = [row for row in rows if row["about"] == "registered"]
    assert pod["message"] == f"a GPU pod without the label: you may not create pods in {NAMESPACE} (in {NAMESPACE})"
    assert pod["do"].startswith("run doctor with an account that may")


def test_whoever_lacks_a_right_tries_whether_it_is_refused(patient: Patient) -> None:
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["patch"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "namespace-labeller"}, "rules": [rule]}
    with (
        made(patient, role),
        made(patient, cluster_binding("namespace-labellers", "namespace-labeller", "lending-platform")),
        made(patient, cluster_binding("reading-platform", "aiqms-auditor", "lending-platform")),
    ):
        _, rows = patient.examined(by="mallory")
    tried = {row["message"]: row["result"] for row in rows if row["check"] == "probes"}
    assert tried[f"a session into a governed namespace without the right is refused (in {NAMESPACE})"] == "Ok"
    assert tried[f"taking a namespace out without the right is refused (in {NAMESPACE})"] == "Ok"


def test_nobody_s_rights_end_with_3_and_name_them(patient: Patient) -> None:
    code, rows = patient.examined(by="bob")
    assert code == 3
    assert {row["result"] for row in rows if row["check"] != "kubernetes"} == {"Unknown"}
    assert all("you may not" in row["message"] for row in rows if row["result"] == "Unknown"), rows


# What a saboteur does, and takes back


def bare(obj: Json) -> Json:
    """As it could be created again."""
    kept = {k: v for k, v in obj["metadata"].items() if k in ("name", "namespace", "labels", "annotations")}
    return {k: v for k, v in obj.items() if k not in ("metadata", "status")} | {"metadata": kept}


@contextmanager
def made(patient: Patient, obj: Json) -> Iterator[None]:
    patient.admin.create(obj)
    yield
    patient.admin.delete(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace"))


@contextmanager
def gone(patient: Patient, resource: str, name: str) -> Iterator[None]:
    before = patient.admin.get(resource, name)
    patient.admin.delete(resource, name)
    yield
    patient.admin.create(bare(before))


@contextmanager
def changed(patient: Patient, resource: str, name: str, change: Callable[[Json], object], namespace: str | None = None) -> Iterator[None]:
    before = patient.admin.get(resource, name, namespace)
    after = copy.deepcopy(before)
    change(after)
    patient.admin.replace(after)
    yield
    now = patient.admin.get(resource, name, namespace)
    patient.admin.replace(bare(before) | {"metadata": now["metadata"]})


@contextmanager
def values(patient: Patient, **gate: Any) -> Iterator[None]:
    install_quietly(patient, {"gate": gate})
    yield
    install_quietly(patient, {})


def install_quietly(patient: Patient, given: Json) -> None:
    """As `install`, which waits for policies that a sabotage keeps from coming."""
    path = patient.cluster.provider.folder / "values.yaml"
    path.write_text(json.dumps({"replicas": 0} | given))
    patient.cluster.helm("upgrade", "aiqms", str(PROJECT / "charts" / "aiqms"), "--namespace", SYSTEM, "--values", str(path), "--force-conflicts")


@contextmanager
def stopped(patient: Patient, *, killed: bool = False) -> Iterator[None]:
    if killed:
        patient.operator.kill()
    else:
        patient.operator.stop()
    yield
    patient.operator.start()


@contextmanager
def without_a_clearance(patient: Patient) -> Iterator[None]:
    """The policy that guards it is off, and the operator cannot make it anew."""
    with stopped(patient), gone(patient, VALIDATING_BINDING, "aiqms-clearances"):
        eventually(lambda: patient.admin.delete("clearances", "clearance", NAMESPACE), within=30, what="the policy is off", ignoring=(Exception,), every=0.5)
        yield


@contextmanager
def taken_out(patient: Patient) -> Iterator[None]:
    """A namespace with a GPU pod loses its label, by somebody who may."""
    govern(patient.cluster, "pilot")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "pilot", "labels": {LABEL: "pilot"}}, "spec": template()["spec"]}
    patient.admin.create(pod)
    patient.admin.patch("namespaces", "pilot", {"metadata": {"labels": {GOVERNED: None}}})
    yield
    patient.admin.patch("namespaces", "pilot", {"metadata": {"labels": {GOVERNED: "true"}}})
    patient.admin.delete("namespaces", "pilot")


@contextmanager
def let_in(patient: Patient) -> Iterator[None]:
    """While the gate is open somebody makes a GPU pod; the gate is closed again, and the pod runs on."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "free", "namespace": NAMESPACE}, "spec": template()["spec"]}
    with gone(patient, VALIDATING_BINDING, "aiqms-registered"):
        eventually(lambda: patient.admin.create(pod), within=30, what="the gate is open", ignoring=(Exception,), every=0.5)
    yield
    patient.admin.delete("pods", "free", NAMESPACE, now=True)


@contextmanager
def not_released(patient: Patient) -> Iterator[None]:
    """With the operator stopped, a pod that is cleared and brings its own gate stays held."""
    with stopped(patient):
        pod = template(envFrom=[{"configMapRef": {"name": "prompts-1"}}])
        pod["metadata"] |= {"name": "late", "namespace": NAMESPACE}
        pod["spec"]["schedulingGates"] = [{"name": GATE}]
        patient.admin.create({"apiVersion": "v1", "kind": "Pod"} | pod)
        yield
    patient.admin.delete("pods", "late", NAMESPACE, now=True)


@contextmanager
def unseen_change(patient: Patient) -> Iterator[None]:
    """The operator is stopped, and somebody changes a register entry."""
    with stopped(patient):
        patient.admin.patch("aimd", "waiting", {"spec": {"intendedPurpose": "Something else"}}, NAMESPACE)
        yield


def actions(*named: str) -> Callable[[Json], object]:
    return lambda obj: obj["spec"].update(validationActions=list(named))


def ignore(obj: Json) -> None:
    obj["spec"]["failurePolicy"] = "Ignore"


def narrow(obj: Json) -> None:
    obj["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"].append(
        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [NAMESPACE]}
    )


def hollow(obj: Json) -> None:
    """Everything passes, and nothing else looks different."""
    obj["spec"]["matchConditions"][0]["expression"] = "false"


def exclude(obj: Json) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    obj["spec"]["matchConstraints"]["excludeResourceRules"] = [rule]


def more_rights(obj: Json) -> None:
    obj["rules"].append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]})


def wildcard_rights(obj: Json) -> None:
    obj["rules"].append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})


def fewer_rights(obj: Json) -> None:
    obj["rules"] = [rule for rule in obj["rules"] if rule["resources"] != ["events"]]


def old_image(obj: Json) -> None:
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "aiqms-operator:0.0.9"


def schema(obj: Json) -> Json:
    found: Json = obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def prune(obj: Json) -> None:
    del schema(obj)["properties"]["document"]


def unvalidated(obj: Json) -> None:
    del schema(obj)["properties"]["workloads"]["items"]["x-kubernetes-validations"]


def preserving(obj: Json) -> None:
    schema(obj)["x-kubernetes-preserve-unknown-fields"] = True


@dataclass(frozen=True)
class Sabotage:
    """what: done and undone; wanted: what doctor has to find, whatever else it finds; options: of the command."""

    what: Callable[[Patient], AbstractContextManager[None]]
    wanted: Found
    options: tuple[str, ...] = field(default=())


def policy(name: str) -> tuple[str, str]:
    return "policies", f"ValidatingAdmissionPolicy/aiqms-{name}"


def its_binding(name: str) -> tuple[str, str]:
    return "policies", f"ValidatingAdmissionPolicyBinding/aiqms-{name}"


def probe(name: str) -> tuple[str, str]:
    return "probes", name


HOLD, EDITED = ("policies", "MutatingAdmissionPolicy/aiqms-hold"), ("policies", "MutatingAdmissionPolicyBinding/aiqms-edited")
RIGHTS = ("operator-rights", "ClusterRole/aiqms-operator")
AS_OPERATOR = {"subjects": [{"kind": "ServiceAccount", "name": "aiqms-operator", "namespace": SYSTEM}]}
PROCEDURES, ENTRIES = crd(PROCEDURE)["metadata"]["name"], crd(DEPLOYMENT)["metadata"]["name"]
PLAIN = ["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]
SOON = ("--patience", "2s")
LEASE = ("lease", "")
SABOTAGES: dict[str, Sabotage] = {
    "a policy is deleted": Sabotage(lambda p: gone(p, VALIDATING, "aiqms-registered"), {policy("registered"), probe("registered")}),
    "the mutating policy is deleted": Sabotage(lambda p: gone(p, MUTATING, "aiqms-hold"), {HOLD, probe("hold")}),
    "a binding is deleted": Sabotage(lambda p: gone(p, VALIDATING_BINDING, "aiqms-cleared"), {its_binding("cleared"), probe("cleared")}),
    "a binding only audits": Sabotage(
        lambda p: changed(p, VALIDATING_BINDING, "aiqms-registered", actions("Audit")), {its_binding("registered"), probe("registered")}
    ),
    "records can be deleted": Sabotage(lambda p: changed(p, VALIDATING_BINDING, "aiqms-records", actions("Warn")), {its_binding("records"), probe("records")}),
    "a policy fails open": Sabotage(lambda p: changed(p, VALIDATING, "aiqms-cleared", ignore), {policy("cleared")}),
    "a namespace is left out of a selector": Sabotage(lambda p: changed(p, MUTATING, "aiqms-hold", narrow), {HOLD, probe("hold")}),
    "an expression is hollowed out": Sabotage(lambda p: changed(p, VALIDATING, "aiqms-governed", hollow), {policy("governed"), probe("governed")}),
    "who changed an entry is no longer written": Sabotage(lambda p: gone(p, MUTATING_BINDING, "aiqms-edited"), {EDITED}),
    "a namespace with GPU pods loses its label": Sabotage(taken_out, {("namespaces", "pilot")}),
    "a governed namespace is exempt": Sabotage(lambda p: values(p, exemptNamespaces=[NAMESPACE]), {("namespaces", NAMESPACE)}),
    "GPUs are taken for harmless": Sabotage(lambda p: values(p, plainResources=PLAIN), {("values", "gate.plainResources"), probe("registered")}),
    "a GPU pod was let in while the gate was open": Sabotage(let_in, {("pods", f"{NAMESPACE}/free")}, SOON),
    "the Clearance is deleted": Sabotage(
        without_a_clearance, {("clearances", NAMESPACE), probe("hold"), its_binding("clearances"), probe("clearances"), LEASE}
    ),
    "the operator is stopped": Sabotage(stopped, {LEASE}),
    "the operator is killed": Sabotage(lambda p: stopped(p, killed=True), {LEASE}),
    "the operator does not look at a change": Sabotage(unseen_change, {("status", f"{NAMESPACE}/waiting"), LEASE}, SOON),
    "the operator does not release a cleared pod": Sabotage(not_released, {("pods", f"{NAMESPACE}/late"), LEASE}, SOON),
    "the operator is of another version": Sabotage(lambda p: changed(p, "deployments.apps", "aiqms-operator", old_image, SYSTEM), {("versions", "image")}),
    "the operator may read Secrets": Sabotage(lambda p: changed(p, "clusterroles", "aiqms-operator", more_rights), {RIGHTS}),
    "the operator may do everything": Sabotage(lambda p: changed(p, "clusterroles", "aiqms-operator", wildcard_rights), {RIGHTS}),
    "the operator may do too little": Sabotage(lambda p: changed(p, "clusterroles", "aiqms-operator", fewer_rights), {RIGHTS}),
    "the operator is made an administrator": Sabotage(
        lambda p: made(p, cluster_binding("convenient", "cluster-admin", "") | AS_OPERATOR), {("operator-rights", "ClusterRoleBinding/convenient")}
    ),
    "a group is made administrators": Sabotage(lambda p: made(p, cluster_binding("all", "cluster-admin", "developers")), {("powers", "Group/developers")}),
    "a group may edit the operator's namespace": Sabotage(lambda p: made(p, binding(SYSTEM, "edit", "developers")), {("powers", "Group/developers")}),
    "a field of a CRD is pruned": Sabotage(lambda p: changed(p, "crds", PROCEDURES, prune), {("crds", PROCEDURES)}),
    "a CRD no longer validates": Sabotage(lambda p: changed(p, "crds", ENTRIES, unvalidated), {("crds", ENTRIES)}),
    "a CRD takes any field": Sabotage(lambda p: changed(p, "crds", PROCEDURES, preserving), {("crds", PROCEDURES)}),
}


@pytest.mark.parametrize("sabotage", SABOTAGES.values(), ids=SABOTAGES)
def test_doctor_finds_it_and_is_green_once_it_is_undone(sabotage: Sabotage, patient: Patient) -> None:
    with sabotage.what(patient):

        def seen() -> bool:
            assert sabotage.wanted - patient.found(*sabotage.options) == set()
            return True

        eventually(seen, within=60, what=f"doctor finds {sorted(sabotage.wanted)}", every=0.5)
    patient.await_healthy()


def test_what_it_says_to_do_mends_it(patient: Patient) -> None:
    admin = patient.admin
    admin.delete(VALIDATING, "aiqms-registered")
    for resource, name, change in (
        (VALIDATING_BINDING, "aiqms-cleared", actions("Audit")),
        (VALIDATING, "aiqms-cleared", exclude),
        ("clusterroles", "aiqms-operator", more_rights),
        ("deployments.apps", "aiqms-operator", old_image),
        ("crds", PROCEDURES, prune),
    ):
        obj = admin.get(resource, name, SYSTEM if resource == "deployments.apps" else None)
        change(obj)
        admin.replace(obj)
    rows = [row for row in patient.examined()[1] if row["result"] == "Found" and row["check"] != "probes"]
    assert {row["check"] for row in rows} == {"policies", "versions", "operator-rights", "crds"}
    for command in sorted({row["do"].partition(": ")[2] for row in rows}):
        program, *arguments = command.split()
        subprocess.run([patient.cluster.provider.program(program), *arguments], cwd=PROJECT, env=patient.cluster.environment(), check=True, timeout=120)
    patient.await_healthy()


def test_what_is_meant_is_accepted_by_name_and_shown(patient: Patient) -> None:
    with made(patient, cluster_binding("platform", "cluster-admin", "platform-engineers")):
        assert patient.found() == {("powers", "Group/platform-engineers")}
        code, rows = patient.examined("--accept", "powers/Group/platform-*")
    assert (code, [row["about"] for row in rows if row["result"] == "Accepted"]) == (0, ["Group/platform-engineers"])


def test_a_cluster_without_aiqms_is_found_out(patient: Patient) -> None:
    with temporary() as empty:
        empty.up()
        code, rows = Patient(empty, patient.operator, Place(empty, "default")).examined()
    assert code == 1
    results = {row["check"]: row["result"] for row in rows}
    assert (results["kubernetes"], results["policies"], results["crds"], results["operator"], results["lease"]) == ("Ok", "Found", "Found", "Found", "Found")
