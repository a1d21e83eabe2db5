"""The manifests of examples/: every kind of workload from held to running, and the same fingerprint offline as in the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from aiqms.cli.manifests import read
from aiqms.cli.offline import Manifests, subjects
from aiqms.gate.rules import DEFAULTS
from tests.e2e.conftest import govern
from tests.e2e.given import Place, await_gone, held
from tests.testbed.__main__ import PROJECT
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator

EXAMPLES = PROJECT / "examples"
KINDS = EXAMPLES / "kinds"
BASE = ("namespace.yaml", "people.yaml", "procedure.yaml")
# How many pods each makes on the two nodes of the test bed.
PODS = {"cronjob": 1, "daemonset": 2, "job": 2, "pod": 1, "replicaset": 1, "statefulset": 1}
# Each register entry of examples/, and the files that make its subject.
LENDING = ("namespace.yaml", "people.yaml", "procedure.yaml", "deployment.yaml", "workload.yaml")
TRIAL = ("namespace.yaml", "procedure.yaml", "deployment.yaml", "workload.yaml")
CHANGED = ("namespace.yaml", "procedure.yaml", "workload.yaml", "model-4.2.0/deployment.yaml", "model-4.2.0/workload.yaml")


def manifests(*files: Path) -> list[Json]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def applied(api: Api, *files: Path) -> None:
    """As `kubectl apply -f` does."""
    for manifest in manifests(*files):
        api.apply(deepcopy(manifest))


def removed(admin: Api, namespace: str, *files: Path) -> None:
    """The namespace, and what has none."""
    admin.delete("namespaces", namespace)
    for manifest in manifests(*files):
        if manifest["kind"] == "QMSProcedure":
            admin.delete("qmsp", manifest["metadata"]["name"])


def ran(place: Place, count: int) -> bool:
    """So many pods are let go and run, or have run: KWOK completes what belongs to a Job."""
    found = place.admin.list("pods", place.namespace, labels=f"aiqms.dev/deployment={place.name}")
    assert [pod["status"]["phase"] for pod in found if held(pod) or pod["status"]["phase"] not in ("Running", "Succeeded")] == []
    return len(found) == count


def test_every_kind_of_the_examples_is_tested() -> None:
    assert {file.stem for file in KINDS.glob("*.yaml")} == {*PODS, *(Path(name).stem for name in BASE)}


@pytest.fixture(scope="module")
def kinds(cluster: Cluster, installed: Operator) -> Iterator[str]:
    """Namespace kinds with its people and its procedure."""
    admin = cluster.api("admin")
    await_gone(admin, "kinds")
    govern(cluster, "kinds")
    applied(admin, *(KINDS / name for name in BASE))
    yield "kinds"
    removed(admin, "kinds", KINDS / "procedure.yaml")


class TestKinds:
    @pytest.mark.parametrize("kind", PODS)
    def test_each_kind_is_held_approved_and_runs_and_the_next_pod_is_not_held(self, cluster: Cluster, kinds: str, kind: str) -> None:
        place = Place(cluster, kinds, f"tickets-{kind}")
        applied(place.by("mallory"), KINDS / f"{kind}.yaml")
        if kind == "cronjob":
            tonight(place, "tonight")
        place.await_pods(held=PODS[kind])
        assert place.subject == offline(KINDS, *BASE, f"{kind}.yaml")[kinds, place.name]

        place.decide("alice")
        place.awaited(lambda: ran(place, PODS[kind]), "its pods run")
        place.await_phase("Running", "Approved")
        again(place, kind)

    def test_while_a_change_waits_a_statefulset_has_its_ordinal_down_and_moves_on_to_the_next_change(self, cluster: Cluster, kinds: str) -> None:
        """A held pod of an old revision is not replaced by the controller: the operator deletes it."""
        place = Place(cluster, kinds, "tickets-statefulset")
        place.await_pods(running=1)
        self.changed(place, "statefulset", "--first-change")
        place.await_pods(held=1)
        self.changed(place, "statefulset", "--second-change")
        place.awaited(
            lambda: [pod["spec"]["containers"][0]["args"] for pod in place.held()] == [["--second-change"]], "the pod of the first change is replaced"
        )
        place.decide("alice")
        place.await_pods(running=1)
        assert place.running()[0]["spec"]["containers"][0]["args"] == ["--second-change"]

    def test_while_a_change_waits_a_daemonset_with_surge_serves(self, cluster: Cluster, kinds: str) -> None:
        """maxSurge 1: one new pod waits at a time."""
        place = Place(cluster, kinds, "tickets-daemonset")
        place.await_pods(running=2)
        self.changed(place, "daemonset", "--changed")
        place.await_pods(held=1, running=2)
        place.decide("alice")
        place.awaited(lambda: [pod["spec"]["containers"][0]["args"] for pod in place.running()] == [["--changed"]] * 2, "both nodes run the new pod")

    @staticmethod
    def changed(place: Place, kind: str, argument: str) -> None:
        found = deepcopy(manifests(KINDS / f"{kind}.yaml")[1])
        found["spec"]["template"]["spec"]["containers"][0]["args"] = [argument]
        place.by("mallory").apply(found)


def tonight(place: Place, name: str) -> None:
    """`kubectl create job --from=cronjob/…`: a run without waiting for the night."""
    cron = place.admin.get("cronjobs", place.name, place.namespace)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": place.name, "uid": cron["metadata"]["uid"], "controller": True}
    metadata = {"name": name, "namespace": place.namespace, "ownerReferences": [owner]}
    place.by("mallory").create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": cron["spec"]["jobTemplate"]["spec"]})


def again(place: Place, kind: str) -> None:
    """The next pod of what is approved is not held from its first moment."""
    match kind:
        case "cronjob":
            tonight(place, "tomorrow")
            place.awaited(lambda: ran(place, 2), "the next run runs")
        case "pod":
            place.by("mallory").delete("pods", place.name, place.namespace, now=True)
            place.awaited(lambda: not place.pods(), "the pod is gone")
            assert not held(place.by("mallory").create(deepcopy(manifests(KINDS / "pod.yaml")[1])))
        case "job":
            place.by("mallory").delete("jobs", place.name, place.namespace)
            place.awaited(lambda: not place.admin.list("pods", place.namespace, labels=f"app={place.name}"), "the Job's pods are gone")
            place.by("mallory").create(deepcopy(manifests(KINDS / "job.yaml")[1]))
            place.awaited(lambda: ran(place, PODS[kind]), "the Job runs again")
        case _:
            assert not held(place.await_replacement(place.running()[0]))


def offline(folder: Path, *files: str) -> dict[tuple[str, str], str]:
    """The fingerprints that the files make, without a cluster."""
    found = subjects(Manifests(read([folder / name for name in files]).objects), DEFAULTS)
    return {key: subject.fingerprint for key, subject in found.items()}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("namespace", "example", "states"), [("lending", "lending", (LENDING, CHANGED)), ("trial", "audit", (TRIAL,))])
def test_the_fingerprint_worked_out_from_files_is_that_of_the_cluster(
    cluster: Cluster, namespace: str, example: str, states: tuple[tuple[str, ...], ...]
) -> None:
    """After the API server's own defaulting. Those of examples/kinds are compared above."""
    admin, folder = cluster.api("admin"), EXAMPLES / example
    await_gone(admin, namespace)
    try:
        for files in states:
            applied(admin, *(folder / name for name in files))
            ((_, name), foreseen), *rest = offline(folder, *files).items()
            assert rest == []
            await_subject(Place(cluster, namespace, name), foreseen)
    finally:
        removed(admin, namespace, folder / "procedure.yaml")


def await_subject(place: Place, fingerprint: str) -> None:
    place.awaited(lambda: place.status["subject"]["fingerprint"] == fingerprint, f"the current subject is {fingerprint}")
