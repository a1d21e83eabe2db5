"""Invariants 8 and 9: what the operator writes, and that it writes nothing while nothing changes. Read from the API server's own audit log."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import pytest

from aiqms.cluster.client import MANAGER
from tests.e2e.given import NAME, Place, placed, template
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE
from tests.testbed.operator_process import Operator

IDLE = 20  # seconds in which nothing may be written
WRITES = ("create", "update", "patch", "delete", "deletecollection")
SUBJECT = "aiqms.dev/subject"
# What it owns, the status of what it judges, and events; pods are looked at one by one.
ALLOWED = {
    ("update", "clearances", ""),
    ("patch", "aimodeldeployments", "status"),
    ("patch", "approvalrecords", "status"),
    ("create", "events", ""),
    ("patch", "pods", ""),
    ("delete", "pods", ""),
}
STATUS_APPLIED = {"apiVersion", "kind", "metadata", "status"}


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def written(operator: Operator, since: datetime.datetime) -> list[Json]:
    """The operator's writes since then, its Lease left out."""
    events = [e for e in operator.cluster.audit(user=operator.user, since=since) if e["verb"] in WRITES]
    return [e for e in events if e["objectRef"]["resource"] != "leases"]


def what(event: Json) -> tuple[str, str, str, str, str]:
    ref = event["objectRef"]
    return event["verb"], ref["resource"], ref.get("subresource", ""), ref.get("namespace", ""), ref.get("name", "")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def everything_happens(place: Place) -> None:
    """Held, approved, changed, rejected, withdrawn, lapsed and stopped; a StatefulSet's pod of an old revision replaced."""
    place.cleared(onLapse={"action": "Stop"})
    place.deploy(args=["--max-model-len=16384"])
    place.await_pods(held=1, running=1)
    rejection = place.decide("alice", decision="Reject")
    place.await_phase("ChangePending", "Rejected")
    place.decide("alice", decision="Withdraw", withdraws=rejection)
    last = place.decide("alice")
    place.await_pods(running=1)
    place.decide("alice", decision="Withdraw", withdraws=last)
    place.await_pods(held=1)
    ordinal(place, "--first")
    place.of("store").register(workloads=[{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "store"}])
    place.of("store").await_pods(held=1)
    ordinal(place, "--second")
    place.of("store").awaited(lambda: [pod["spec"]["containers"][0]["args"] for pod in place.of("store").held()] == [["--second"]], "the pod is replaced")


def ordinal(place: Place, argument: str) -> None:
    spec = {
        "serviceName": "store",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "store"}},
        "template": template("store", labelled="store", args=[argument]),
    }
    place.by("mallory").apply({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "store", "namespace": place.namespace}, "spec": spec})


class TestInvariant8:
    """Hands off: never a spec, label or annotation of somebody else's object, and no finalizer on it."""

    def test_invariant_8_the_operator_writes_what_is_its_own_and_nothing_else(self, place: Place, operator: Operator) -> None:
        began = now()
        everything_happens(place)
        events = [e for e in written(operator, began) if e["objectRef"].get("namespace") == place.namespace]
        assert {what(e)[:3] for e in events} == ALLOWED

        subjects = {r["spec"]["subject"] for r in place.admin.list("apr", place.namespace)}
        released = [e["requestObject"] for e in events if what(e)[:3] == ("patch", "pods", "")]
        gate = {"schedulingGates": [{"$patch": "delete", "name": GATE}]}
        assert released != []
        assert [r for r in released if r["spec"] != gate or set(r["metadata"]) != {"uid", "annotations"}] == []
        assert {key: value for r in released for key, value in r["metadata"]["annotations"].items() if key != SUBJECT or value not in subjects} == {}
        assert [e["requestObject"] for e in events if what(e)[1:3] == ("aimodeldeployments", "status") and set(e["requestObject"]) - STATUS_APPLIED] == []

    def test_invariant_8_no_field_of_others_objects_is_managed_by_the_operator(self, place: Place, operator: Operator) -> None:
        everything_happens(place)
        admin, found = place.admin, dict[str, object]()
        for resource in (
            "deployments.apps",
            "statefulsets.apps",
            "replicasets.apps",
            "configmaps",
            "secrets",
            "serviceaccounts",
            "rolebindings",
            "pods",
            "aimd",
            "apr",
        ):
            for item in admin.list(resource, place.namespace):
                found |= {f"{item['kind']}/{item['metadata']['name']}": managed(item)}
                assert (item["metadata"].get("finalizers", []), operator.running) == ([], True), item["metadata"]["name"]
        found |= {f"Namespace/{place.namespace}": managed(admin.get("namespaces", place.namespace))}
        found |= {f"QMSProcedure/{p['metadata']['name']}": managed(p) for p in admin.list("qmsp")}
        ours = {key: fields for key, fields in found.items() if fields}
        assert {key.partition("/")[0] for key in ours} <= {"Pod", "AIModelDeployment", "ApprovalRecord"}
        for key, fields in ours.items():
            assert fields in (["status:f:status"], [f":{SUBJECT}"]), key


def managed(item: Json) -> list[str]:
    """Which fields the operator manages: `subresource:field`, an annotation by its name."""
    entries = [entry for entry in item["metadata"].get("managedFields", []) if entry["manager"] == MANAGER]
    return [f"{entry.get('subresource', '')}:{name}" for entry in entries for name in _names(entry["fieldsV1"])]


def _names(fields: Json) -> list[str]:
    annotations = [name.removeprefix("f:") for name in fields.get("f:metadata", {}).get("f:annotations", {}) if name != "."]
    others = [name for name in fields.get("f:metadata", {}) if name != "f:annotations"]
    return [*annotations, *others, *(name for name in fields if name != "f:metadata")]


class TestInvariant9:
    """Idle is silent."""

    def test_invariant_9_no_writes_while_nothing_changes_nor_by_a_clean_restart(self, place: Place, operator: Operator, admin: Api) -> None:
        self.settled(place, operator, admin)
        since = now()
        time.sleep(IDLE)  # what does not happen cannot be awaited
        assert [what(e) for e in written(operator, since)] == []

        operator.restart()
        self.looked_at_all(place, operator, admin)
        assert [what(e) for e in written(operator, since)] == []

    def test_invariant_9_a_takeover_from_a_leader_that_died_stamps_each_clearance_once(self, place: Place, operator: Operator, admin: Api) -> None:
        self.settled(place, operator, admin)
        since = now()
        operator.kill()
        operator.start()
        governed = self.governed(admin)
        self.looked_at_all(place, operator, admin)
        assert sorted(what(e) for e in written(operator, since)) == [("update", "clearances", "", name, "clearance") for name in governed]

    def settled(self, place: Place, operator: Operator, admin: Api) -> None:
        """Deployments in several phases; no namespace is going, and the last write is a while ago."""
        everything_happens(place)
        place.of("cleared").register()
        place.of("cleared").deploy()
        place.of("cleared").decide("alice")
        place.of("cleared").await_pods(running=1)
        place.awaited(lambda: all(n["status"]["phase"] == "Active" for n in admin.list("namespaces")), "no namespace is being deleted", seconds=90)
        place.awaited(lambda: not written(operator, now() - datetime.timedelta(seconds=3)), "the operator has nothing more to write")

    def looked_at_all(self, place: Place, operator: Operator, admin: Api) -> None:
        """Wait until it leads and has been through every governed namespace."""
        place.awaited(lambda: "aiqms_leader 1.0" in operator.metrics(), "it leads")
        place.awaited(lambda: passes(operator) >= len(self.governed(admin)) and "aiqms_queue_length 0.0" in operator.metrics(), "it has looked at all")

    def governed(self, admin: Api) -> list[str]:
        return sorted(n["metadata"]["name"] for n in admin.list("namespaces", labels="aiqms.dev/governed"))


def passes(operator: Operator) -> float:
    """How many namespaces it has been through since its start."""
    return next(float(line.split()[1]) for line in operator.metrics().splitlines() if line.startswith("aiqms_reconcile_seconds_count"))


def test_events_name_what_to_do_next(place: Place) -> None:
    place.cleared()
    told = [e for e in place.admin.list("events.events.k8s.io", place.namespace) if e.get("reportingController") == "aiqms.dev/operator"]
    notes = {e["reason"]: e["note"] for e in told if e["regarding"]["name"] == NAME}
    # The operator may or may not have looked between the entry and its workload.
    assert set(notes) | {"WorkloadMissing"} == {"WorkloadMissing", "ApprovalMissing", "Approved"}
    assert notes["ApprovalMissing"].endswith(f"(kubectl qms explain aimd/{NAME} -n {place.namespace})")
    assert len(told) == len(notes)
