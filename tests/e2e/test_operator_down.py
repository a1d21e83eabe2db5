"""Invariant 2, the gate does not need the operator: whoever is killed or replaced, what is not cleared stays held, and what is cleared runs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from urllib3.exceptions import HTTPError

from tests.e2e.given import Place, held, placed, refused, template
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

LEASE = 10  # seconds that a leader which says nothing more is waited for


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def pod(place: Place, **container: Any) -> Json:
    """A pod like those of the place's workload, for dry runs."""
    made = template(place.name, labelled=place.name, **container)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made["metadata"] | {"generateName": "probe-", "namespace": place.namespace}, "spec": made["spec"]}


def epoch(place: Place) -> int:
    """That of the leader which wrote the namespace's Clearance."""
    return int(place.admin.get("clearances", "clearance", place.namespace)["spec"].get("epoch", 0))


class TestKilled:
    def test_invariant_2_uncleared_pods_stay_held_and_cleared_ones_are_rescheduled(self, place: Place, operator: Operator) -> None:
        place.cleared(replicas=2)
        other = place.of("other")
        operator.kill()

        other.register()
        other.deploy()
        other.await_pods(held=1)
        place.deploy(replicas=2, args=["--max-model-len=16384"])
        place.await_pods(held=1, running=2)
        assert held(place.await_replacement(place.held()[0]))
        assert not held(place.await_replacement(place.running()[0]))
        place.await_pods(held=1, running=2)

        early = [where.decide("alice", subject=where.foreseen()) for where in (place, other)]
        assert ("status" in place.admin.get("apr", early[0], place.namespace), len(place.held()), len(other.held())) == (False, 1, 1)

        operator.start()
        place.await_pods(running=2)
        other.await_pods(running=1)
        for where, name in zip((place, other), early, strict=True):
            where.await_phase("Running", "Approved")
            where.await_verdict(name, True, "Counted")

    def test_invariant_2_an_approval_that_ends_meanwhile_stops_admitting_within_a_second(self, place: Place, operator: Operator) -> None:
        place.govern()
        place.register()
        place.deploy()
        end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=6)).replace(microsecond=0)
        name = place.decide("alice", expires=end.isoformat())
        place.await_pods(running=1)
        place.await_verdict(name, True, "Counted")
        operator.kill()

        probes = probed(place, until=end + datetime.timedelta(seconds=3))
        before = [probe.held for probe in probes if probe.answered < end]
        after = [probe.held for probe in probes if probe.asked >= end + datetime.timedelta(seconds=1)]
        assert (set(before), set(after)) == ({False}, {True}), probes

        assert held(place.await_replacement(place.running()[0]))
        operator.start()
        place.await_phase("Held", "ApprovalExpired")
        place.await_verdict(name, False, "Expired")
        place.await_pods(held=1)

    def test_what_had_to_be_stopped_meanwhile_is_stopped_after_the_restart(self, place: Place, operator: Operator) -> None:
        place.govern(onLapse={"action": "Hold", "grace": "1s"}, roles=[{"role": "model-owner", "validFor": "5s"}])
        place.register()
        place.deploy()
        name = place.decide("alice")
        place.await_pods(running=1)
        operator.kill()
        end = datetime.datetime.fromisoformat(place.entries()[0]["validUntil"])
        place.awaited(lambda: datetime.datetime.now(datetime.UTC) > end + datetime.timedelta(seconds=1), "the grace passes")
        assert len(place.running()) == 1

        operator.start()
        place.await_pods(held=1)
        place.await_phase("Stopped", "ApprovalExpired")
        place.await_verdict(name, False, "Expired")

    def test_invariant_2_a_stopped_operator_does_not_let_a_held_pod_go_by_anybodys_hand(self, place: Place, operator: Operator) -> None:
        place.govern()
        place.register()
        place.deploy()
        place.await_pods(held=1)
        operator.stop()
        with refused("see kubectl qms explain"):
            place.by("admin").patch("pods", place.held()[0]["metadata"]["name"], [{"op": "remove", "path": "/spec/schedulingGates"}], place.namespace)


@dataclass(frozen=True)
class Probe:
    """A dry run of a pod, and whether it would have been held."""

    asked: datetime.datetime
    answered: datetime.datetime
    held: bool


def turned_away(api: Api, made: Json) -> bool:
    """Whether a pod is held; or refused, where its clearance ends between the mutating and the validating policy."""
    try:
        return held(api.create(made, dry_run=True))
    except ApiError as error:
        if "has expired" in error.message:
            return True
        raise


def probed(place: Place, *, until: datetime.datetime) -> list[Probe]:
    """Dry runs one after the other, some in each second."""
    api, found, now = place.by("mallory"), list[Probe](), datetime.datetime.now(datetime.UTC)
    while now < until:
        made = turned_away(api, pod(place))
        answered = datetime.datetime.now(datetime.UTC)
        found.append(Probe(now, answered, made))
        now = answered
    return found


class TestApiServer:
    def test_invariant_2_across_a_crash_of_the_api_server(self, cluster: Cluster, place: Place, operator: Operator) -> None:
        """Nothing uncleared is admitted from its first moment; cleared pods are, at the latest when its discovery is renewed after 30 s (docs/gate.md)."""
        place.cleared()
        apiserver = cluster.component("kube-apiserver")
        apiserver.kill()
        apiserver.start()
        uncleared = list[bool]()

        def admitted() -> bool:
            uncleared.append(held(place.by("mallory").create(pod(place, image="registry.bank.example/vllm:v9"), dry_run=True)))
            return not held(place.by("mallory").create(pod(place), dry_run=True))

        eventually(admitted, within=90, what="a cleared pod is admitted", every=0.1, ignoring=(ApiError, HTTPError))
        assert set(uncleared) == {True}
        assert not held(place.await_replacement(place.running()[0]))

        place.deploy(image="registry.bank.example/vllm:v2")
        place.await_pods(held=1, running=1)
        # 503 while the API server does not know the kinds of its CRDs yet: kubectl says so, and a person tries again.
        eventually(lambda: place.decide("alice"), within=90, what="alice approves", every=0.2, ignoring=(ApiError,))
        place.await_pods(running=1)
        assert operator.running


class TestTwoReplicas:
    @pytest.fixture
    def second(self, cluster: Cluster, operator: Operator) -> Iterator[Operator]:
        """A replica that stands by; afterwards the first one leads again."""
        other = Operator(cluster=cluster, number=1)
        other.start()
        yield other
        other.stop()

    def test_the_other_takes_over_from_a_killed_leader_with_a_higher_epoch(self, place: Place, operator: Operator, second: Operator) -> None:
        place.cleared()
        before = epoch(place)
        assert (leads(operator), leads(second)) == (True, False)
        operator.kill()
        place.deploy(args=["--max-model-len=16384"])
        place.await_pods(held=1, running=1)
        place.decide("alice", subject=place.foreseen())
        place.await_pods(running=1, seconds=LEASE + 15)
        assert leads(second)
        assert epoch(place) == before + 1

        late = eventually(lambda: answer(second, clearance(place, before)), within=10, what="the Clearance is not written by others meanwhile")
        assert "written by a leader that has been replaced" in late

        operator.start()
        assert (leads(operator), leads(second)) == (False, True)

    def test_the_other_takes_over_at_once_from_one_that_says_goodbye_and_the_epoch_stays(self, place: Place, operator: Operator, second: Operator) -> None:
        place.cleared()
        before = epoch(place)
        operator.stop()
        place.awaited(lambda: leads(second), "the second replica leads", seconds=LEASE - 5)
        place.deploy(args=["--max-model-len=16384"])
        place.await_pods(held=1, running=1)
        place.decide("alice")
        place.await_pods(running=1)
        assert epoch(place) == before


def leads(operator: Operator) -> bool:
    """Whether it writes."""
    return "aiqms_leader 1.0" in operator.metrics()


def answer(operator: Operator, clearance: Json) -> str:
    """Why it may not write this; empty where something else was written meanwhile."""
    with pytest.raises(ApiError) as refusal:
        Api(operator.kubeconfig).replace(clearance)
    return "" if refusal.value.code == 409 else refusal.value.message


def clearance(place: Place, of_epoch: int) -> Json:
    """What a leader of that epoch would write."""
    stored = place.admin.get("clearances", "clearance", place.namespace)
    return stored | {"spec": {"epoch": of_epoch, "deployments": {}}}
