"""A namespace is governed late, taken out or deleted, and AIQMS is uninstalled: nothing of it is stuck, and what was held goes free."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.e2e.conftest import govern
from tests.e2e.given import Place, await_gone, held, placed, refused, registered, ungoverned, unique, workload
from tests.testbed.__main__ import PROJECT
from tests.testbed.api import Api
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.install import install, uninstall
from tests.testbed.operator_process import Operator

GOVERNED = "aiqms.dev/governed"
OF_CHART = (
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "clusterroles",
    "clusterrolebindings",
    "deployments.apps",
)
UNINSTALL = PROJECT / "docs" / "uninstall.md"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def two_deployments(place: Place) -> Place:
    """One that runs; and the one returned, which is held."""
    place.cleared()
    other = place.of("other")
    other.register()
    other.deploy()
    other.await_pods(held=1)
    return other


class TestTakenOut:
    def test_held_pods_go_free_and_nothing_of_ours_stays_but_the_register(self, place: Place, admin: Api) -> None:
        other = two_deployments(place)
        before = [pod["metadata"]["uid"] for pod in place.pods()]
        admin.patch("namespaces", place.namespace, {"metadata": {"labels": {GOVERNED: None}}})
        other.await_pods(running=1)
        place.awaited(lambda: admin.find("clearances", "clearance", place.namespace) is None, "the Clearance is gone")
        place.awaited(lambda: place.ready() == ("False", "NamespaceNotGoverned"), "the register says so")
        assert [pod["metadata"]["uid"] for pod in place.running()] == before
        assert "NamespaceNotGoverned" in {e["reason"] for e in admin.list("events.events.k8s.io", place.namespace)}
        assert len(admin.list("apr", place.namespace)) == 1

    def test_governed_again_its_pods_are_listed_and_taken_up_at_their_next_start(self, place: Place, admin: Api) -> None:
        other = two_deployments(place)
        admin.patch("namespaces", place.namespace, {"metadata": {"labels": {GOVERNED: None}}})
        other.await_pods(running=1)
        place.awaited(lambda: admin.find("clearances", "clearance", place.namespace) is None, "the Clearance is gone")

        # Times are whole seconds: a pod that was released in the very second of the new Clearance would count as younger.
        newest = max(pod["metadata"]["creationTimestamp"] for pod in place.admin.list("pods", place.namespace))
        place.awaited(lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") > newest, "the second in which the pods were made is over")
        admin.patch("namespaces", place.namespace, {"metadata": {"labels": {GOVERNED: "true"}}})
        other.await_phase("Held", "ApprovalMissing")
        place.await_phase("Running", "Approved")
        assert (other.status["pods"], place.status["pods"]) == ({"running": 1, "held": 0, "before": 1},) * 2
        other.await_pods(running=1)
        assert held(other.await_replacement(other.running()[0]))
        assert not held(place.await_replacement(place.running()[0]))


@pytest.mark.usefixtures("installed")
def test_pods_that_ran_before_their_namespace_was_governed_are_not_touched(cluster: Cluster, admin: Api) -> None:
    with ungoverned(cluster) as place:
        place.govern(onLapse={"action": "Stop"})
        for manifest in (registered(place.namespace), workload(place.namespace)):
            admin.apply(manifest)
        place.await_pods(running=1)
        (before,) = place.pods()

        admin.patch("namespaces", place.namespace, {"metadata": {"labels": {GOVERNED: "true"}}})
        place.await_phase("Held", "ApprovalMissing")
        assert (place.status["pods"], place.running()[0]["metadata"]["uid"]) == ({"running": 1, "held": 0, "before": 1}, before["metadata"]["uid"])


class TestDeletedNamespace:
    @pytest.mark.parametrize("alive", [True, False], ids=["with the operator", "without the operator"])
    def test_nothing_is_stuck(self, cluster: Cluster, operator: Operator, admin: Api, alive: bool) -> None:
        with placed(cluster, govern(cluster, unique("going"))) as place:
            two_deployments(place)
            if not alive:
                operator.kill()
            with refused('cannot delete resource "namespaces"'):
                place.by("mallory").delete("namespaces", place.namespace)
            admin.delete("namespaces", place.namespace)
            await_gone(admin, place.namespace)


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that AIQMS is taken off."""
    with temporary() as made:
        if not made.provider.owned:
            pytest.skip("AIQMS is taken off this cluster: AIQMS_CLUSTER=embedded or kind")
        made.up()
        yield made


def documented(cluster: Cluster, beginning: str) -> None:
    """Run the command of docs/uninstall.md that begins so, as an administrator."""
    (command,) = re.findall(rf"^{re.escape(beginning)}.*$", UNINSTALL.read_text(), re.MULTILINE)
    kubectl = cluster.provider.program("kubectl").rpartition("/")[0]
    environment = cluster.environment()
    environment["PATH"] = f"{kubectl}:{environment['PATH']}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr


class TestUninstalled:
    """In this order, on one cluster."""

    def test_what_was_held_when_the_chart_went_is_freed_by_the_documented_command(self, own: Cluster) -> None:
        operator = Operator(cluster=own)
        install(own)
        operator.start()
        place = Place(own, govern(own, "lending"))
        other = two_deployments(place)
        operator.stop()
        uninstall(own)
        other.await_pods(held=1)
        place.await_pods(running=1)

        documented(own, "kubectl get pods -A -l aiqms.dev/deployment")
        other.await_pods(running=1)
        assert len(own.api().list("apr", "lending")) == 1

    def test_installed_again_it_goes_on_where_it_was(self, own: Cluster) -> None:
        place, operator = Place(own, "lending"), Operator(cluster=own)
        install(own)
        operator.start()
        place.await_phase("Running", "Approved")
        assert not held(place.await_replacement(place.running()[0]))
        # What was freed by hand is covered by nothing.
        place.of("other").await_pods(held=1)

    def test_uninstalled_in_the_documented_order_nothing_is_held(self, own: Cluster) -> None:
        place, operator = Place(own, "lending"), Operator(cluster=own)
        documented(own, "kubectl label namespace --selector")
        place.of("other").await_pods(running=1)
        place.await_pods(running=1)
        place.awaited(lambda: own.api().find("clearances", "clearance", "lending") is None, "the Clearance is gone")
        operator.stop()
        uninstall(own)
        chart = [f"{kind}/{item['metadata']['name']}" for kind in OF_CHART for item in own.api().list(kind) if "aiqms" in item["metadata"]["name"]]
        assert chart == []

    def test_neither_a_namespace_nor_the_kinds_are_stuck_afterwards(self, own: Cluster) -> None:
        admin = own.api()
        admin.delete("namespaces", "lending")
        await_gone(admin, "lending")
        documented(own, "kubectl delete crd")
        assert [crd["metadata"]["name"] for crd in admin.list("customresourcedefinitions") if crd["metadata"]["name"].endswith("aiqms.dev")] == []
