"""Invariant 11, least privilege shown: what the chart lets the operator do is what it does in a whole life of a deployment, and nothing else."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e import gateway_api
from tests.e2e.conftest import govern
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE, GOVERNED, NAMESPACE
from tests.testbed.operator_process import NAME, Operator
from tests.testbed.waiting import eventually

API = "aiqms.dev/v1alpha1"
MODEL: Json = {"name": "credit", "version": "1", "uri": "oci://registry.example/credit", "digest": f"sha256:{'4' * 64}"}
MARK = "aiqms.dev/decision"
RIGHTS_OF_ALL = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")  # the API server gives them to everybody
Right = tuple[str, str]  # what, as RESOURCE.GROUP (and the name it is limited to), and the verb


@dataclass(frozen=True)
class Life:
    """One deployment's namespace, and what is needed to move it on."""

    cluster: Cluster
    place: str

    @property
    def admin(self) -> Api:
        return self.cluster.api("admin")

    def status(self) -> Json:
        found: Json = self.admin.get("aimd", "scoring", self.place).get("status", {})
        return found

    def subject(self) -> str:
        return str(self.status().get("subject", {}).get("fingerprint", ""))

    def record(self, person: str, decision: str, **spec: object) -> str:
        said = {"deployment": "scoring", "subject": self.subject(), "role": "model-owner", "decision": decision, "rationale": "reviewed"} | spec
        manifest = {"apiVersion": API, "kind": "ApprovalRecord", "metadata": {"generateName": "one-", "namespace": self.place}, "spec": said}
        return str(self.cluster.api(person).create(manifest)["metadata"]["name"])

    def pods(self, *, held: bool) -> list[Json]:
        found = [pod for pod in self.admin.list("pods", self.place) if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in found if ({"name": GATE} in pod["spec"].get("schedulingGates", [])) == held]

    def until_pods(self, *, held: int, free: int) -> None:
        def counts() -> bool:
            assert (len(self.pods(held=True)), len(self.pods(held=False))) == (held, free), self.status().get("conditions")
            return True

        eventually(counts, within=40, what=f"{held} pods are held and {free} are not")


def objects(place: str) -> Iterator[Json]:
    """A workload that reads each kind of input that the operator has to look at, and its registration."""
    meta = {"name": "scoring", "namespace": place}
    devices: Json = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example"}}]}}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"mode": "careful"}}
    yield {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": meta, "spec": devices}
    yield {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": meta, "spec": {"spec": devices}}
    container = {"name": "server", "image": "registry.example/server:1", "envFrom": [{"configMapRef": {"name": "scoring"}}]}
    claims = [{"name": "own", "resourceClaimTemplateName": "scoring"}, {"name": "shared", "resourceClaimName": "scoring"}]
    labels = {"app": "scoring", "aiqms.dev/deployment": "scoring"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "resourceClaims": claims}}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"selector": {"matchLabels": {"app": "scoring"}}, "template": template}}
    said = {"intendedPurpose": "Score applications", "riskClass": "High", "role": "Provider", "owner": {"name": "Lending", "contact": "lending@bank.example"}}
    workloads = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}]
    size = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = size | {"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/none"}, "persistentVolumeReclaimPolicy": "Retain"}
    yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": place}, "spec": volume}
    claim = size | {"resources": {"requests": {"storage": "1Gi"}}, "volumeName": place}
    yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim}
    logging = {"streams": [{"name": "inference", "sink": {"persistentVolumeClaim": {"claimName": "scoring"}}}]}
    spec = said | {"model": MODEL, "workloads": workloads, "logging": logging}
    yield {"apiVersion": API, "kind": "AIModelDeployment", "metadata": meta, "spec": spec}


def procedure(place: str) -> Json:
    """One approval; a lapse stops at once; who approves may stop too."""
    approvals = {"roles": [{"role": "model-owner", "validFor": "90d"}]}
    spec = {"title": "Rights", "revision": 1, "owner": "Quality", "appliesTo": {"namespaces": [place]}, "approvals": approvals}
    spec |= {"onLapse": {"action": "Stop"}, "stop": {"roles": ["model-owner"]}, "access": {"network": "Clients", "networkUnverified": "Warned"}}
    spec |= {"logging": {"streams": [{"name": "inference", "retention": "184d"}], "unverified": "Warned"}}
    return {"apiVersion": API, "kind": "QMSProcedure", "metadata": {"name": place}, "spec": spec}


def lived(life: Life) -> None:
    """Registered, held, approved, released, changed, approved anew, stopped and resumed, withdrawn, taken out."""
    for manifest in objects(life.place):
        life.admin.create(manifest)
    life.until_pods(held=1, free=0)
    eventually(life.subject, within=30, what="the subject is known")
    approvals = [life.record("alice", "Approve")]
    life.until_pods(held=0, free=1)
    before = life.subject()
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/server:2"}]
    life.admin.patch("deployments.apps", "scoring", image, life.place)
    life.until_pods(held=1, free=1)
    eventually(lambda: life.subject() != before, within=30, what="the change is a new subject")
    approvals.append(life.record("alice", "Approve"))
    eventually(lambda: life.status()["serving"]["fingerprint"] == life.subject(), within=30, what="the change is cleared")
    stopped_and_resumed(life)
    for approval in approvals:
        life.record("alice", "Withdraw", withdraws=approval)
    eventually(lambda: life.pods(held=True) and not life.pods(held=False), within=40, what="what was withdrawn is stopped, and what would follow is held")
    life.admin.patch("namespaces", life.place, {"metadata": {"labels": {GOVERNED: None}}})
    eventually(lambda: life.admin.find("clearances", "clearance", life.place) is None, within=30, what="the Clearance of the namespace taken out is gone")
    eventually(lambda: not life.pods(held=True), within=30, what="what was held there is free")


def stopped_and_resumed(life: Life) -> None:
    """A Stop takes the pods away; a Resume takes off its mark, which is all that the operator ever changes of a record, and lets new pods run."""
    stop = life.record("alice", "Stop")
    life.until_pods(held=2, free=0)  # of both revisions: no node has the device, so that the rollout never ends
    made = life.admin.get("approvalrecords", stop, life.place)["metadata"]["creationTimestamp"]
    eventually(lambda: second() > made, within=5, what="a second has passed: a Resume of the Stop's own second lifts nothing")
    life.record("alice", "Resume")
    eventually(lambda: MARK not in life.admin.get("approvalrecords", stop, life.place)["metadata"].get("labels", {}), within=30, what="the Stop's mark is off")
    life.until_pods(held=1, free=1)  # what was approved before the change stays held


def second() -> str:
    """Now, as the API server dates what is made."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def acted(cluster: Cluster, installed: Operator) -> Iterator[list[Json]]:
    """What the API server noted of the operator, from its first start in a cluster to its good-bye."""
    admin, name = cluster.api("admin"), f"rights-{secrets.token_hex(3)}"
    installed.stop()
    admin.delete("leases", NAME, NAMESPACE)
    gateway_api.install(admin)
    since = datetime.datetime.now(datetime.UTC)
    installed.start()
    admin.create(procedure(name))
    lived(Life(cluster, govern(cluster, name)))
    installed.stop()
    yield list(cluster.audit(user=installed.user, since=since))
    installed.start()
    admin.delete("namespaces", name)
    admin.delete("qmsprocedures", name)
    admin.delete("persistentvolumes", name)
    gateway_api.uninstall(admin)


def rights(rules: Iterable[Json]) -> set[Right]:
    """What rules give, one by one."""
    return {
        (f"{resource}.{group}".rstrip(".") + (f" {name}" if name else ""), verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


@pytest.fixture
def granted(admin: Api, acted: list[Json]) -> set[Right]:
    """By the chart's ClusterRole and Role, the only ones that the operator is bound to."""
    return rights([*admin.get("clusterroles", NAME)["rules"], *admin.get("roles", NAME, NAMESPACE)["rules"]])


@pytest.fixture
def used(acted: list[Json], granted: set[Right]) -> set[Right]:
    """By the audit log."""
    asked = [event for event in acted if event.get("objectRef", {}).get("resource", "") not in ("", *RIGHTS_OF_ALL)]
    found = {_right(event["objectRef"], verb) for event in asked for verb in _verbs(event)}
    # A right that is limited to a name is used by that name.
    return {(f"{what} {NAME}", verb) if (f"{what} {NAME}", verb) in granted else (what, verb) for what, verb in found}


def _verbs(event: Json) -> tuple[str, ...]:
    """A server-side apply that makes the object needs create beside patch."""
    makes = event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201
    return ("patch", "create") if makes else (event["verb"],)


def _right(ref: Json, verb: str) -> Right:
    resource = ref["resource"] + (f"/{ref['subresource']}" if "subresource" in ref else "")
    return f"{resource}.{ref.get('apiGroup', '')}".rstrip("."), verb


def test_nothing_is_granted_that_is_not_used(granted: set[Right], used: set[Right]) -> None:
    assert sorted(granted - used) == []


def test_nothing_is_used_that_is_not_granted(granted: set[Right], used: set[Right]) -> None:
    assert sorted(used - granted) == []


def test_nothing_is_denied_but_a_release_that_came_too_early(acted: list[Json]) -> None:
    """A release is asked again while admission has not seen the Clearance yet; admission denies it, never RBAC."""
    denied = [event for event in acted if event.get("responseStatus", {}).get("code") in (401, 403)]
    others = [event for event in denied if _right(event["objectRef"], event["verb"]) != ("pods", "patch")]
    by_rbac = [event for event in denied if event.get("annotations", {}).get("authorization.k8s.io/decision") != "allow"]
    assert (others, by_rbac) == ([], [])


def test_no_right_is_a_wildcard_or_raises_rights(granted: set[Right]) -> None:
    assert [right for right in granted if "*" in right[0] or right[1] in ("*", "escalate", "bind", "impersonate")] == []
    assert [right for right in granted if right[0].startswith(("secrets", "pods/exec", "serviceaccounts"))] == []
    assert ("pods", "create") not in granted


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("create", "pods", ""),
        ("update", "pods", ""),
        ("get", "secrets", ""),
        ("list", "secrets", ""),
        ("create", "pods/exec", ""),
        ("create", "serviceaccounts/token", ""),
        ("update", "namespaces", ""),
        ("patch", "deployments", "apps"),
        ("create", "approvalrecords", "aiqms.dev"),
        ("update", "approvalrecords", "aiqms.dev"),
        ("delete", "approvalrecords", "aiqms.dev"),
        ("update", "aimodeldeployments", "aiqms.dev"),
        ("approve", "approvalroles", "aiqms.dev"),
        ("stop", "approvalroles", "aiqms.dev"),
        ("resume", "approvalroles", "aiqms.dev"),
        ("emergency", "approvalroles", "aiqms.dev"),
        ("release", "governednamespaces", "aiqms.dev"),
        ("open", "interactivesessions", "aiqms.dev"),
        ("impersonate", "users", ""),
        ("bind", "clusterroles", "rbac.authorization.k8s.io"),
        ("escalate", "clusterroles", "rbac.authorization.k8s.io"),
        ("delete", "validatingadmissionpolicybindings", "admissionregistration.k8s.io"),
        ("*", "*", "*"),
    ],
)
def test_the_api_server_says_no(installed: Operator, verb: str, resource: str, group: str) -> None:
    assert not Api(installed.kubeconfig).may(verb, resource, "default", group=group)
