"""The test bed itself: what later tests stand on."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError

from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster, CommandFailed, temporary
from tests.testbed.nodes import NODES, is_schedulable
from tests.testbed.operator_process import Operator, environment
from tests.testbed.people import PEOPLE, Person
from tests.testbed.processes import Component, ComponentFailed, birth
from tests.testbed.waiting import NotInTime, eventually

GATE = "aiqms.dev/clearance"


@pytest.fixture
def place(admin: Api) -> Iterator[str]:
    """An ungoverned namespace."""
    name = f"testbed-{secrets.token_hex(3)}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    eventually(lambda: admin.find("serviceaccounts", "default", name), within=30, what="the default service account")
    yield name
    admin.delete("namespaces", name)


def pod(namespace: str, name: str = "one", *, gates: tuple[str, ...] = ()) -> Json:
    container = {"name": "serve", "image": "registry.bank.example/vllm:v0.11.0", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"containers": [container], "schedulingGates": [{"name": gate} for gate in gates]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def condition(found: Json, kind: str) -> tuple[str, str]:
    conditions = {each["type"]: each for each in found["status"].get("conditions", [])}
    return conditions.get(kind, {}).get("status", ""), conditions.get(kind, {}).get("reason", "")


def runs(admin: Api, namespace: str, name: str = "one") -> bool:
    return bool(admin.get("pods", name, namespace)["status"]["phase"] == "Running")


def of(event: Json, field: str) -> str:
    """A field of the object that an audit event is about; a request for discovery is about none."""
    return str(event.get("objectRef", {}).get(field, ""))


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_the_api_server_knows_each_person_by_the_own_certificate(cluster: Cluster, person: Person) -> None:
    who = cluster.api(person.name).whoami()
    assert (who["username"], who["groups"]) == (person.name, [*person.groups, "system:authenticated"])


def test_the_ci_is_a_service_account(cluster: Cluster) -> None:
    assert cluster.api("ci").whoami()["username"] == "system:serviceaccount:ci:ci"


def test_people_have_no_rights_of_their_own(cluster: Cluster) -> None:
    with pytest.raises(ApiError) as refused:
        cluster.api("alice").list("pods", "default")
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")


def test_an_administrator_acts_for_another_user(cluster: Cluster) -> None:
    who = cluster.api(impersonate="dave", groups=["risk-managers"]).whoami()
    assert (who["username"], who["groups"]) == ("dave", ["risk-managers", "system:authenticated"])


def test_kubectl_speaks_as_each_person(cluster: Cluster) -> None:
    shown = json.loads(cluster.kubectl("auth", "whoami", "-o", "json", as_="bob"))
    assert shown["status"]["userInfo"]["username"] == "bob"
    with pytest.raises(CommandFailed, match="Forbidden"):
        cluster.kubectl("get", "nodes", as_="bob")


def test_the_api_server_is_the_released_one(cluster: Cluster) -> None:
    versions = json.loads(cluster.kubectl("version", "-o", "json"))
    assert versions["serverVersion"]["gitVersion"].startswith("v1.36.")


@pytest.mark.parametrize("name", NODES)
def test_each_gpu_node_is_ready_and_has_eight(admin: Api, name: str) -> None:
    node = admin.get("nodes", name)
    assert is_schedulable(node)
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def test_a_gated_pod_is_not_scheduled_and_runs_once_its_gate_is_gone(admin: Api, place: str) -> None:
    admin.create(pod(place, gates=(GATE,)))
    eventually(lambda: condition(admin.get("pods", "one", place), "PodScheduled") == ("False", "SchedulingGated"), within=10, what="the pod is held")
    assert "nodeName" not in admin.get("pods", "one", place)["spec"]

    admin.patch("pods", "one", [{"op": "remove", "path": "/spec/schedulingGates"}], place)
    eventually(lambda: runs(admin, place), within=10, what="the pod runs")
    assert admin.get("pods", "one", place)["spec"]["nodeName"] in NODES


def test_the_audit_log_says_who_asked_for_what(cluster: Cluster, place: str) -> None:
    before = datetime.datetime.now(datetime.UTC)
    with pytest.raises(ApiError, match="cannot get resource"):
        cluster.api("carol").get("configmaps", "sought", place)
    events = [event for event in cluster.audit(user="carol", since=before) if of(event, "name") == "sought"]
    assert [(event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"]) for event in events] == [("get", "configmaps", 403)]


class TestComponents:
    """Each is killed without a word; what it does stops, and goes on after its start."""

    @pytest.fixture
    def killed(self, cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Component]:
        """The component of the test's name, killed; it runs again afterwards."""
        if not (found := cluster.provider.components).get(name := request.param):
            pytest.skip(f"provider {cluster.provider.name} has no {name}, but {', '.join(found)}")
        component = cluster.component(name)
        component.kill()
        yield component
        component.start()
        component.wait()

    @pytest.mark.parametrize("killed", ["kube-scheduler"], indirect=True)
    def test_without_the_scheduler_no_pod_gets_a_node(self, admin: Api, place: str, killed: Component) -> None:
        admin.create(pod(place))
        assert not condition(admin.get("pods", "one", place), "PodScheduled")[0]
        killed.start()
        eventually(lambda: runs(admin, place), within=30, what="the pod runs")

    @pytest.mark.parametrize("killed", ["kwok"], indirect=True)
    def test_without_kwok_a_pod_gets_a_node_and_does_not_run(self, admin: Api, place: str, killed: Component) -> None:
        admin.create(pod(place))
        eventually(lambda: condition(admin.get("pods", "one", place), "PodScheduled")[0] == "True", within=30, what="the pod is scheduled")
        assert not runs(admin, place)
        killed.start()
        eventually(lambda: runs(admin, place), within=30, what="the pod runs")

    @pytest.mark.parametrize("killed", ["kube-controller-manager"], indirect=True)
    def test_without_the_controllers_a_deployment_makes_no_pods(self, admin: Api, place: str, killed: Component) -> None:
        labels = {"app": "serve"}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod(place)["spec"]}}
        admin.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "serve", "namespace": place}, "spec": spec})
        assert "observedGeneration" not in admin.get("deployments", "serve", place)["status"]
        killed.start()
        eventually(lambda: admin.list("pods", place, labels="app=serve"), within=30, what="the Deployment has a pod")

    @pytest.mark.parametrize("killed", ["kube-apiserver", "etcd"], indirect=True)
    def test_what_was_stored_is_there_after_a_crash(self, cluster: Cluster, admin: Api, place: str, killed: Component) -> None:
        killed.start()
        killed.wait()
        cluster.component("kube-apiserver").wait()
        assert admin.get("namespaces", place)["status"]["phase"] == "Active"
        admin.create(pod(place))
        eventually(lambda: runs(admin, place), within=60, what="the pod runs", ignoring=(ApiError, HTTPError))

    def test_a_component_that_does_not_exist_is_an_error_that_names_those_that_do(self, cluster: Cluster) -> None:
        with pytest.raises(KeyError, match="kwok"):
            cluster.component("kubelet")


def test_two_clusters_know_nothing_of_each_other_and_a_crashed_one_starts_anew(cluster: Cluster, place: str) -> None:
    with temporary() as other:
        other.up()
        assert other.api().find("namespaces", place) is None
        other.api().create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "left-over"}})
        left = {name: component.pid for name, component in other.provider.components.items()}
        other.component("etcd").kill()

        again = Cluster.at(other.provider.folder)
        again.up()
        assert again.api().find("namespaces", "left-over") is None
        assert [birth(pid) for name, pid in left.items() if pid is not None] == [None] * len(left)
        assert cluster.provider.is_up()
    assert not other.provider.folder.exists()


CRASHING_OWNER = """
import os, signal
from tests.testbed.cluster import temporary
with temporary() as cluster:
    cluster.provider.up()
    print(cluster.provider.folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_cluster_whose_owner_crashed_is_cleaned_up_by_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", CRASHING_OWNER], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    folder = Path(done.stdout.strip())
    abandoned = Cluster.at(folder)
    assert abandoned.provider.is_up()
    with temporary():
        assert not folder.exists()
    assert abandoned.provider.components == {}


class TestProcesses:
    """A pid file is believed only for the process that it was written for."""

    @staticmethod
    def component(folder: Path, *argv: str) -> Component:
        return Component(name="one", argv=argv, folder=folder, ready=lambda: True)

    def test_another_python_finds_and_ends_it(self, tmp_path: Path) -> None:
        started = self.component(tmp_path, "sleep", "600")
        started.start()
        found = self.component(tmp_path)
        assert found.pid == started.pid
        found.stop()
        assert (started.pid, started.kill()) == (None, -15)

    def test_a_recycled_pid_is_not_killed(self, tmp_path: Path) -> None:
        with subprocess.Popen(["sleep", "600"]) as innocent:
            (tmp_path / "one.pid").write_text(json.dumps({"pid": innocent.pid, "birth": "of another"}))
            self.component(tmp_path).kill()
            alive = innocent.poll() is None
            innocent.kill()
        assert alive

    def test_one_that_ends_at_once_says_why(self, tmp_path: Path) -> None:
        started = self.component(tmp_path, "sh", "-c", "echo no such flag; exit 3")
        started.start()
        started.ready = lambda: False
        with pytest.raises(ComponentFailed, match="no such flag"):
            started.wait()

    def test_one_that_had_ended_before_it_was_noted_does_not_run(self, tmp_path: Path) -> None:
        ended = self.component(tmp_path, "true")
        ended.start()
        eventually(lambda: ended.pid is None, within=10, what="it has ended")
        noted = tmp_path / f"{ended.name}.pid"
        noted.write_text(json.dumps(json.loads(noted.read_text()) | {"birth": None}))
        assert ended.pid is None

    def test_one_that_does_not_get_ready_says_so(self, tmp_path: Path) -> None:
        started = self.component(tmp_path, "sleep", "600")
        started.ready = lambda: False
        started.start()
        with pytest.raises(ComponentFailed, match=r"did not become ready within 0.2 s"):
            started.wait(within=0.2)
        started.kill()


def test_waiting_fails_with_what_was_last_seen() -> None:
    with pytest.raises(NotInTime, match=r"not within 0.1 s: the answer is 43; last seen: False"):
        eventually(lambda: os.getpid() < 0, within=0.1, what="the answer is 43")


class TestOperatorProcess:
    """The operator runs as the Deployment says, with no more rights than the chart gives it."""

    def test_it_is_the_charts_service_account_and_no_administrator(self, cluster: Cluster, operator: Operator) -> None:
        api = Api(operator.kubeconfig)
        assert api.whoami()["username"] == operator.user
        assert (api.may("list", "pods"), api.may("create", "pods", "default"), api.may("*", "*")) == (True, False, False)

    def test_what_it_writes_is_in_the_audit_log_with_its_content(self, cluster: Cluster, operator: Operator, namespace: str) -> None:
        def written() -> list[Json]:
            wanted = ("clearances", namespace)
            return [event for event in cluster.audit(user=operator.user) if (of(event, "resource"), of(event, "namespace")) == wanted]

        events = eventually(lambda: [event for event in written() if event["verb"] == "create"], within=10, what="the Clearance's creation")
        assert events[0]["requestObject"]["kind"] == "Clearance"

    def test_it_ends_well_and_starts_again(self, operator: Operator) -> None:
        operator.stop()
        assert not operator.running
        operator.start()
        assert "aiqms_" in operator.metrics()

    def test_it_is_killed_without_a_word_and_starts_again(self, operator: Operator) -> None:
        operator.kill()
        assert not operator.running
        operator.start()
        assert operator.running

    def test_a_second_replica_runs_beside_it(self, cluster: Cluster, operator: Operator) -> None:
        second = Operator(cluster=cluster, number=1)
        second.start()
        assert (second.url != operator.url, second.running, operator.running) == (True, True, True)
        second.stop()

    def test_a_deployment_that_a_process_cannot_follow_is_an_error(self) -> None:
        entry = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "one"}}}
        with pytest.raises(ComponentFailed, match=r"cannot give the operator KEY from .*secretKeyRef"):
            environment({"env": [{"name": "AIQMS_HTTP_PORT", "value": "8080"}, entry]}, "aiqms-operator-0")
        with pytest.raises(ComponentFailed, match=r"must set AIQMS_HTTP_PORT"):
            environment({"env": []}, "aiqms-operator-0")
