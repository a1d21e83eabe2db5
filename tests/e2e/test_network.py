"""access.network on a real API server: the operator's own NetworkPolicy, drift and deletion, contests, what others open, and enforcement that nobody verified.

No network plugin runs here: what is shown is what the API server stores and what the operator makes of it. The probe's servers are real, and on this machine.
"""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from aiqms.probe import said
from tests.e2e.given import NAME, Place, placed, refused
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.embedded import HOST, free_ports
from tests.testbed.install import NAMESPACE, install
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

OWN = f"aiqms-{NAME}"
WARNED: Json = {"network": "Clients", "networkUnverified": "Warned"}
REGISTERED: Json = {"clients": [{"namespace": "loan-portal", "podSelector": {"matchLabels": {"app": "portal"}}}], "ports": [8000]}
KUBE_DNS: Json = {
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
}
SPEC: Json = {
    "podSelector": {"matchLabels": {"aiqms.dev/deployment": NAME}},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [
        {
            "from": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "loan-portal"}}, "podSelector": {"matchLabels": {"app": "portal"}}},
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 8000}],
        }
    ],
    "egress": [KUBE_DNS],
}
UNANSWERED = "enforcement not verified: the network probe tells nothing: aiqms-probe-open.aiqms-system.svc:8090 does not answer"
WRITES = ("create", "update", "patch", "delete")
SECOND = 1.0


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def runs(place: Place, *, registered: Json | None = None, **access: object) -> None:
    """Governed by a procedure that says access.network: Clients, registered, deployed, approved, running."""
    place.govern(access=WARNED | {"monitoring": [{"namespace": "monitoring"}]} | access)
    place.register(access=REGISTERED if registered is None else registered)
    place.deploy()
    place.await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1)
    place.await_phase("Running")


def own(place: Place) -> Json | None:
    """The operator's policy for the deployment."""
    return place.admin.find("networkpolicies", OWN, place.namespace)


def right(place: Place, spec: Json = SPEC) -> bool:
    """Whether it is as it has to be."""
    found = own(place)
    if found is None or found["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "aiqms-operator":
        return False
    return [o["uid"] for o in found["metadata"].get("ownerReferences", [])] == [place.entry["metadata"]["uid"]] and found["spec"] == spec


def row(place: Place, id_: str = "access/network") -> tuple[str, str, str]:
    """Result, reason and message of a control."""
    return next(((c["result"], c["reason"], c["message"]) for c in place.status["controls"] if c["id"] == id_), ("", "", ""))


def await_row(place: Place, reason: str, id_: str = "access/network", seconds: float = 30) -> str:
    """Wait until the control says so; its message."""

    def said() -> bool:
        assert row(place, id_)[1] == reason, row(place, id_)
        return True

    eventually(said, within=seconds, what=f"{id_} says {reason}", ignoring=(KeyError,))
    return row(place, id_)[2]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def written(place: Place, operator: Operator, since: datetime.datetime) -> list[str]:
    """The verbs of the operator's writes of NetworkPolicies there."""
    events = [e for e in place.cluster.audit(user=operator.user, since=since) if e["verb"] in WRITES and e["objectRef"]["resource"] == "networkpolicies"]
    return [e["verb"] for e in events if e["objectRef"].get("namespace") == place.namespace]


def opening(place: Place, name: str = "open-all") -> Json:
    """A NetworkPolicy that lets everybody in."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": place.namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
    }


class TestMade:
    def test_as_the_register_and_the_procedure_say_and_owned_by_the_register_entry(self, place: Place, operator: Operator) -> None:
        began = now()
        runs(place)
        found = own(place)
        assert found
        assert found["spec"] == SPEC
        owner = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "AIModelDeployment", "name": NAME, "uid": place.entry["metadata"]["uid"]}
        assert found["metadata"]["ownerReferences"] == [owner | {"blockOwnerDeletion": False}]
        assert [(m["manager"], m["operation"]) for m in found["metadata"]["managedFields"]] == [("aiqms-operator", "Apply")]
        assert row(place) == (
            "Pass",
            "NetworkPolicyInForce",
            f"NetworkPolicy {OWN}: it lets namespace loan-portal (app=portal), namespace monitoring in at 8000; and the pods out to DNS",
        )
        assert written(place, operator, began) == ["patch"]

    def test_before_anything_is_cleared(self, place: Place, operator: Operator) -> None:
        runs(place)
        events = [e for e in place.cluster.audit(user=operator.user) if e["verb"] in WRITES and e["objectRef"].get("namespace") == place.namespace]
        order = [e["objectRef"]["resource"] for e in events if e["objectRef"]["resource"] == "networkpolicies" or cleared(e)]
        assert order[:2] == ["networkpolicies", "clearances"]

    def test_whatever_the_register_may_name_is_stored_as_it_is_wanted_so_that_idle_is_silent(self, place: Place, operator: Operator) -> None:
        expressions = [{"key": "tier", "operator": "In", "values": ["web", "api"]}, {"key": "canary", "operator": "DoesNotExist"}]
        registered = {
            "clients": [{"namespace": "a", "podSelector": {"matchExpressions": expressions}}, {"namespace": "b", "podSelector": {}}],
            "ports": [9000, 8000],
            "egress": [{"cidr": "10.1.0.0/16", "ports": [443]}, {"cidr": "fd00::/8"}, {"namespace": "features", "ports": [5432]}],
        }
        began = now()
        runs(place, registered=registered)
        await_row(place, "NetworkPolicyInForce")
        time.sleep(3)  # what does not happen cannot be awaited
        operator.restart()
        place.awaited(lambda: "aiqms_leader 1.0" in operator.metrics() and "aiqms_queue_length 0.0" in operator.metrics(), "it leads")
        time.sleep(1)
        assert written(place, operator, began) == ["patch"]

    def test_the_register_changes_it_and_nobody_is_told_that_somebody_did(self, place: Place) -> None:
        runs(place)
        place.register(access=REGISTERED | {"ports": []})
        closed = {k: v for k, v in SPEC.items() if k != "ingress"}
        place.awaited(lambda: right(place, closed), "nobody is let in")
        assert "NetworkPolicyRestored" not in told(place)

    def test_what_the_api_server_refuses_is_said(self, place: Place) -> None:
        quota = {"hard": {"count/networkpolicies.networking.k8s.io": "0"}}
        metadata = {"name": "none", "namespace": place.namespace}
        place.admin.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": quota})
        place.govern(access=WARNED)
        place.register(access=REGISTERED)
        message = await_row(place, "NetworkPolicyMissing")
        assert message.startswith(f"NetworkPolicy {OWN} could not be written: 403 Forbidden: ")
        assert "quota" in message

    @pytest.mark.parametrize(
        ("destination", "words"),
        [
            ({"ports": [443]}, "give one of the two"),
            ({"namespace": "a", "cidr": "10.0.0.0/8"}, "give one of the two"),
            ({"cidr": "10.0.0.0/8", "podSelector": {}}, "leave it out beside cidr"),
            ({"cidr": "1.2.3.4/99"}, "write one such as 10.20.0.0/16"),
        ],
    )
    def test_a_destination_that_is_none_is_refused(self, place: Place, destination: Json, words: str) -> None:
        with refused(words, code=422):
            place.register(access={"egress": [destination]})

    def test_in_audit_none_is_made_and_what_would_be_is_said(self, place: Place) -> None:
        place.govern(access=WARNED, enforcement="Audit")
        place.register(access=REGISTERED)
        assert await_row(place, "Audit").startswith(f"in Enforce the operator would keep NetworkPolicy {OWN}: it lets namespace loan-portal")
        assert own(place) is None


def cleared(event: Json) -> bool:
    """Whether it is a write of a Clearance that has an entry."""
    return event["objectRef"]["resource"] == "clearances" and bool(event.get("requestObject", {}).get("spec", {}).get("deployments"))


def told(place: Place) -> dict[str, str]:
    """Notes of the operator's events by reason."""
    events = place.admin.list("events.events.k8s.io", place.namespace)
    return {e["reason"]: e["note"] for e in events if e.get("reportingController") == "aiqms.dev/operator"}


def deleted(place: Place) -> None:
    place.by("mallory").delete("networkpolicies", OWN, place.namespace)


def opened(place: Place) -> None:
    place.by("mallory").patch("networkpolicies", OWN, {"spec": {"ingress": [{}]}}, place.namespace)


def aimed_elsewhere(place: Place) -> None:
    place.by("mallory").patch("networkpolicies", OWN, {"spec": {"podSelector": {"matchLabels": {"app": "other"}}}}, place.namespace)


def unlabelled(place: Place) -> None:
    place.by("mallory").patch("networkpolicies", OWN, {"metadata": {"labels": None}}, place.namespace)


def disowned(place: Place) -> None:
    place.by("mallory").patch("networkpolicies", OWN, {"metadata": {"ownerReferences": None}}, place.namespace)


def replaced(place: Place) -> None:
    """Nothing of the operator's is left in it, not even its entry among the field managers."""
    found = own(place)
    assert found
    version = {"resourceVersion": found["metadata"]["resourceVersion"]}
    other = opening(place, OWN)
    place.by("mallory").replace(other | {"metadata": other["metadata"] | version | {"managedFields": [{}]}})


DRIFT: dict[str, Callable[[Place], None]] = {
    "deleted": deleted,
    "opened": opened,
    "aimed at other pods": aimed_elsewhere,
    "its label taken off": unlabelled,
    "its owner taken off": disowned,
    "replaced by something else": replaced,
}


class TestDrift:
    @pytest.mark.parametrize("change", DRIFT.values(), ids=DRIFT.keys())
    def test_it_is_put_right_within_a_second_and_lapses_nothing(self, place: Place, operator: Operator, change: Callable[[Place], None]) -> None:
        runs(place)
        pods, entries, began = [p["metadata"]["uid"] for p in place.pods()], place.entries(), now()
        change(place)
        since = time.monotonic()
        eventually(lambda: right(place), within=SECOND, what="it is as it was", every=0.01)
        print(f"put right after {time.monotonic() - since:.3f} s")
        place.awaited(lambda: "NetworkPolicyRestored" in told(place), "it is told")
        assert written(place, operator, began) == ["patch"]
        await_row(place, "NetworkPolicyInForce")
        assert ([p["metadata"]["uid"] for p in place.pods()], place.entries()) == (pods, entries)
        assert "aiqms_network_policies_restored_total" in operator.metrics()

    def test_nor_can_somebody_fill_what_is_empty(self, place: Place) -> None:
        runs(place, registered={})
        closed = {k: v for k, v in SPEC.items() if k != "ingress"}
        assert right(place, closed)
        opened(place)
        eventually(lambda: right(place, closed), within=SECOND, what="nobody is let in", every=0.01)

    def test_the_event_says_who_did_it(self, place: Place) -> None:
        runs(place)
        opened(place)
        place.awaited(lambda: "NetworkPolicyRestored" in told(place), "it is told")
        assert f"NetworkPolicy {OWN} was changed by " in told(place)["NetworkPolicyRestored"]

    @pytest.mark.parametrize("change", [deleted, opened], ids=["deleted", "opened"])
    def test_what_happens_while_the_operator_is_down_is_put_right_when_it_is_back(
        self, place: Place, operator: Operator, change: Callable[[Place], None]
    ) -> None:
        runs(place)
        pods, entries = [p["metadata"]["uid"] for p in place.pods()], place.entries()
        operator.stop()
        change(place)
        time.sleep(1)
        assert not right(place)
        operator.start()
        place.awaited(lambda: right(place), "it is as it was", seconds=5)
        place.awaited(lambda: "NetworkPolicyRestored" in told(place), "it is told")
        assert ([p["metadata"]["uid"] for p in place.pods()], place.entries()) == (pods, entries)


class TestContested:
    def test_by_who_applies_it_too_it_is_left_alone_and_taken_up_again_afterwards(self, place: Place, operator: Operator) -> None:
        runs(place)
        began = now()
        theirs = opening(place, OWN)
        for n in range(12):
            theirs["spec"]["ingress"] = [{"ports": [{"protocol": "TCP", "port": 1000 + n}]}]
            place.by("mallory").apply(theirs, manager="argocd-controller", force=True)
            time.sleep(0.2)
        message = await_row(place, "NetworkPolicyContested")
        assert message.startswith(
            f"NetworkPolicy {OWN} is not as it has to be; argocd-controller applies it too, so it is left alone: take that name out of what"
        )
        assert (written(place, operator, began), place.ready()) == ([], ("False", "NetworkPolicyContested"))
        deleted(place)
        eventually(lambda: right(place), within=SECOND, what="it is made anew", every=0.01)
        place.await_phase("Running", "Approved")
        assert written(place, operator, began) == ["patch"]

    def test_by_who_keeps_changing_it(self, place: Place, operator: Operator) -> None:
        runs(place)
        began = now()
        for n in range(40):
            place.by("mallory").patch("networkpolicies", OWN, {"spec": {"ingress": [{"ports": [{"port": 1000 + n}]}]}}, place.namespace)
            time.sleep(0.25)
        message = await_row(place, "NetworkPolicyContested")
        assert "changed it more than 5 times in a minute" in message
        assert written(place, operator, began) == ["patch"] * 5
        place.awaited(lambda: right(place), "it is tried again after a quiet minute", seconds=75)
        place.await_phase("Running", "Approved")
        assert written(place, operator, began) == ["patch"] * 6

    def test_somebody_elses_object_of_that_name_is_not_touched(self, place: Place, operator: Operator) -> None:
        began = now()
        theirs = place.by("mallory").create(opening(place, OWN))
        place.govern(access=WARNED)
        place.register(access=REGISTERED)
        await_row(place, "NetworkPolicyContested")
        found = own(place)
        assert found
        assert (found["metadata"]["resourceVersion"], written(place, operator, began)) == (theirs["metadata"]["resourceVersion"], [])


class TestOthers:
    def test_one_that_opens_more_fails_the_control_and_is_named(self, place: Place) -> None:
        runs(place)
        place.by("mallory").create(opening(place))
        message = await_row(place, "NetworkPolicyOpensMore")
        assert message == (
            f"beside {OWN}, these pods are opened by NetworkPolicy open-all (ingress from anywhere at any port); "
            "policies add up: narrow or delete what opens more, or name it in spec.access"
        )
        assert place.ready() == ("False", "NetworkPolicyOpensMore")
        place.await_pods(running=1)
        place.by("mallory").delete("networkpolicies", "open-all", place.namespace)
        place.await_phase("Running", "Approved")

    def test_by_the_label_that_only_pods_bear(self, place: Place) -> None:
        runs(place)
        (pod,) = place.pods()
        spec = {
            "podSelector": {"matchLabels": {"pod-template-hash": pod["metadata"]["labels"]["pod-template-hash"]}},
            "egress": [{}],
            "policyTypes": ["Egress"],
        }
        place.by("mallory").create(opening(place) | {"spec": spec})
        assert "open-all (egress to anywhere at any port)" in await_row(place, "NetworkPolicyOpensMore")

    def test_one_that_opens_what_the_register_names_is_no_finding(self, place: Place) -> None:
        runs(place)
        place.by("mallory").create(opening(place, "deny-all") | {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}})
        place.by("mallory").create(opening(place, "same") | {"spec": SPEC | {"podSelector": {}}})
        place.by("mallory").create(opening(place, "others") | {"spec": opening(place)["spec"] | {"podSelector": {"matchLabels": {"app": "shop"}}}})
        place.by("mallory").create(opening(place))
        await_row(place, "NetworkPolicyOpensMore")
        place.by("mallory").delete("networkpolicies", "open-all", place.namespace)
        await_row(place, "NetworkPolicyInForce")


class TestGone:
    def test_with_the_register_entry(self, place: Place) -> None:
        runs(place)
        place.by("mallory").delete("aimd", NAME, place.namespace)
        place.awaited(lambda: own(place) is None, "it is gone")

    def test_with_the_label_of_the_namespace(self, place: Place) -> None:
        runs(place)
        place.admin.patch("namespaces", place.namespace, {"metadata": {"labels": {"aiqms.dev/governed": None}}})
        place.awaited(lambda: own(place) is None, "it is gone")
        place.await_pods(running=1)

    def test_with_the_procedure_that_asked(self, place: Place) -> None:
        runs(place)
        place.govern(f"{place.namespace}-other")
        place.admin.delete("qmsp", f"{place.namespace}-rule")
        place.awaited(lambda: own(place) is None, "it is gone")


class TestEnforcement:
    def test_not_verified_holds_and_says_what_to_do(self, place: Place) -> None:
        place.govern(access={"network": "Clients"})
        place.register(access=REGISTERED)
        place.deploy()
        place.await_pods(held=1)
        place.decide("alice")
        message = await_row(place, "EnforcementNotVerified", "access/network-enforced")
        assert message.startswith("enforcement not verified: no probe is set up: the platform team sets networkProbe.enabled")
        place.await_phase("Held", "EnforcementNotVerified")
        assert row(place)[:2] == ("Pass", "NetworkPolicyInForce")
        place.await_pods(held=1)
        place.govern(access=WARNED, revision=2, approvals={"since": 1})
        place.await_pods(running=1)
        assert row(place, "access/network-enforced")[:2] == ("Warn", "EnforcementNotVerified")

    def test_a_real_probe_decides(self, place: Place, operator: Operator) -> None:
        place.govern(access={"network": "Clients"})
        place.register(access=REGISTERED)
        place.deploy()
        place.await_pods(held=1)
        place.decide("alice")
        place.await_phase("Held", "EnforcementNotVerified")
        operator.stop()
        with probed(place.cluster, shut=True):
            place.await_pods(running=1)
            assert row(place, "access/network-enforced")[:2] == ("Pass", "EnforcementVerified")
        with probed(place.cluster, shut=False):
            await_row(place, "EnforcementMissing", "access/network-enforced")
            place.await_phase("Held", "EnforcementMissing")
            place.await_pods(running=1)

    def test_the_charts_probe_verifies_nothing_where_pods_only_seem_to_run(self, place: Place, operator: Operator) -> None:
        """As KWOK shows them: Running, and nobody listens."""
        operator.stop()
        install(place.cluster, {"networkProbe": {"enabled": True}})
        try:
            servers = "app.kubernetes.io/component in (probe-open, probe-shut)"
            place.awaited(lambda: [p["status"]["phase"] for p in place.admin.list("pods", NAMESPACE, labels=servers)] == ["Running"] * 2, "they seem to run")
            operator.start()
            place.govern(access={"network": "Clients"})
            place.register(access=REGISTERED)
            place.awaited(lambda: row(place, "access/network-enforced") == ("Error", "EnforcementNotVerified", UNANSWERED), "it is not verified")
        finally:
            operator.stop()
            install(place.cluster)
            operator.start()

    def test_a_probe_that_does_not_answer_verifies_nothing(self, place: Place, operator: Operator) -> None:
        """As where pods only seem to run: nobody listens."""
        place.govern(access={"network": "Clients"})
        place.register(access=REGISTERED)
        operator.stop()
        port = free_ports(1)[0]
        with other_operator(place.cluster, port):
            message = await_row(place, "EnforcementNotVerified", "access/network-enforced")
            place.awaited(lambda: row(place, "access/network-enforced")[2].endswith(f"{HOST}:{port} does not answer"), message)


@dataclass
class Server:
    """The probe's program on this machine."""

    port: int
    report_to: str = ""

    @contextmanager
    def running(self) -> Iterator[None]:
        env = {"AIQMS_PROBE_PORT": str(self.port), "AIQMS_PROBE_REPORT_TO": self.report_to, "PYTHONPATH": "operator"}
        process = subprocess.Popen([sys.executable, "-m", "aiqms.probe"], env=env)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def probed(cluster: Cluster, *, shut: bool) -> Iterator[None]:
    """An operator with its probe. shut: a server reports an address at which nothing answers, as behind a policy; else one at which it does."""
    port, other, dead = free_ports(3)
    with ExitStack() as stack:
        stack.enter_context(Server(port).running())
        if shut:
            stack.enter_context(reporting(port, dead))
        else:
            stack.enter_context(Server(other, f"{HOST}:{port}").running())
        eventually(lambda: len(asyncio.run(said(HOST, port, "ask who"))) == 3, within=20, what="one has reported to the other", ignoring=(OSError,))
        stack.enter_context(other_operator(cluster, port))
        yield


@contextmanager
def reporting(port: int, dead: int) -> Iterator[None]:
    """Says that a server lives where none is."""
    program = f"import asyncio; from aiqms.probe import report; asyncio.run(report('{HOST}:{port}', {dead}))"
    process = subprocess.Popen([sys.executable, "-c", program], env={"PYTHONPATH": "operator"})
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def other_operator(cluster: Cluster, port: int) -> Iterator[Operator]:
    """A replica that is told of a probe at this port."""
    made = Operator(cluster=cluster, number=7, env={"AIQMS_NETWORK_PROBE": f"{HOST}:{port}"})
    made.start()
    try:
        yield made
    finally:
        made.stop()
