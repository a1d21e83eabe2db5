"""When an approval ends: onLapse and onChange by the second, and what a retired, prohibited or unruled deployment may still do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.given import NAME, Place, held, placed, refused
from tests.testbed.cluster import Cluster

GRACE = "4s"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def withdrawn(place: Place) -> None:
    """alice takes her approval back."""
    name = next(r["metadata"]["name"] for r in place.admin.list("apr", place.namespace) if r["spec"]["decision"] == "Approve")
    place.decide("alice", "model-owner", "Withdraw", withdraws=name)


def notes(place: Place, reason: str) -> set[str]:
    """What the namespace's events with this reason say."""
    return {e["note"] for e in place.admin.list("events.events.k8s.io", place.namespace) if e["reason"] == reason}


class TestOnLapse:
    """What a lapse does to the pods that run; new ones are held in any case."""

    def test_hold_lets_running_pods_go_on(self, place: Place) -> None:
        place.cleared(replicas=2)
        withdrawn(place)
        place.await_phase("Held", "ApprovalWithdrawn")
        place.await_pods(running=2)
        assert held(place.await_replacement(place.running()[0]))
        place.await_pods(held=1, running=1)

    def test_hold_stops_them_after_its_grace(self, place: Place) -> None:
        place.cleared(onLapse={"action": "Hold", "grace": GRACE})
        withdrawn(place)
        place.await_phase("Held", "ApprovalWithdrawn")
        assert "pods that run are stopped at" in place.condition()["message"]
        place.await_pods(running=1)
        place.await_pods(held=1)
        place.await_phase("Stopped", "ApprovalWithdrawn")

    def test_stop_stops_them_at_once(self, place: Place) -> None:
        place.cleared(replicas=2, onLapse={"action": "Stop"})
        withdrawn(place)
        place.await_pods(held=2)
        place.await_phase("Stopped", "ApprovalWithdrawn")
        said = "2 pods ended: its clearance has ended, and onLapse or onChange stops it"
        place.awaited(lambda: notes(place, "PodsStopped") == {said}, "an event says so")

    def test_a_new_approval_within_the_grace_keeps_them(self, place: Place) -> None:
        place.cleared(onLapse={"action": "Hold", "grace": GRACE})
        withdrawn(place)
        place.await_phase("Held", "ApprovalWithdrawn")
        before = [pod["metadata"]["uid"] for pod in place.pods()]
        place.decide("alice")
        place.await_phase("Running", "Approved")
        # Until after the grace, by the server's own word: the entry's time of lapse is gone.
        assert place.status["serving"]["fingerprint"] == place.subject
        assert [pod["metadata"]["uid"] for pod in place.running()] == before

    def test_an_approval_after_the_stop_brings_them_back(self, place: Place) -> None:
        place.cleared(onLapse={"action": "Stop"})
        withdrawn(place)
        place.await_pods(held=1)
        place.decide("alice")
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")


class TestOnChange:
    """How long the subject approved before is admitted while the new one waits."""

    def test_the_old_subject_ends_after_the_grace(self, place: Place) -> None:
        place.cleared(onChange={"grace": GRACE})
        place.deploy(args=["--max-model-len=16384"])
        place.await_phase("ChangePending", "ApprovalMissing")
        assert "pods that run are stopped at" in place.condition()["message"]
        place.await_pods(held=1, running=1)
        place.await_pods(held=2)
        place.await_phase("Held", "ApprovalMissing")
        assert "serving" not in place.status

    def test_the_old_subject_ends_with_its_approvals(self, place: Place) -> None:
        place.cleared()
        place.deploy(args=["--max-model-len=16384"])
        place.await_phase("ChangePending")
        withdrawn(place)
        place.await_phase("Held", "ApprovalMissing")
        place.await_pods(held=1, running=1)
        assert held(place.await_replacement(place.running()[0]))

    def test_a_change_of_purpose_alone_lets_the_old_subject_serve(self, place: Place) -> None:
        """Its template is equal: admission cannot tell old from new, so the entry approved before stays."""
        place.cleared()
        place.register(intendedPurpose="Decide applications without a human")
        place.await_phase("ChangePending", "ApprovalMissing")
        assert place.status["subject"]["changed"] == ["purpose"]
        assert not held(place.await_replacement(place.running()[0]))
        place.await_pods(running=1)


class TestLifecycle:
    """What is never cleared, or not any more."""

    def test_a_retired_deployment_is_stopped_and_holds(self, place: Place) -> None:
        place.cleared()
        place.register(lifecycle="Retired")
        place.await_phase("Retired", "Retired")
        place.await_pods(held=1)

        place.register()
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")

    def test_a_prohibited_practice_is_never_cleared(self, place: Place) -> None:
        place.govern()
        place.register(riskClass="Prohibited")
        place.deploy()
        place.await_pods(held=1)
        place.decide("alice")
        place.await_phase("Prohibited", "Prohibited")
        place.awaited(lambda: place.status["approvals"][0]["given"] == 1, "the approval is given, and changes nothing")
        place.await_pods(held=1)

    def test_a_deleted_register_entry_holds_new_pods_and_lets_running_ones_go_on(self, place: Place) -> None:
        place.cleared()
        place.by("mallory").delete("aimd", NAME, place.namespace)
        place.awaited(lambda: not place.entries(), "its entries go at once")
        place.await_pods(running=1)
        assert held(place.await_replacement(place.running()[0]))

    def test_running_pods_of_a_deleted_register_entry_are_stopped_as_its_last_procedures_say(self, place: Place) -> None:
        place.cleared(onLapse={"action": "Hold", "grace": GRACE})
        place.by("mallory").delete("aimd", NAME, place.namespace)
        place.awaited(lambda: not place.entries(), "its entries go at once")
        place.await_pods(running=1)
        assert "stopAt" in place.admin.get("clearances", "clearance", place.namespace)["spec"]["orphans"][NAME]
        place.await_pods(held=1)


def test_invariant_1_a_held_pod_cannot_be_let_go_by_hand(place: Place) -> None:
    place.govern()
    place.register()
    place.deploy()
    place.await_pods(held=1)
    (pod,) = place.held()
    for who in ("mallory", "admin"):
        with refused("see kubectl qms explain aimd/scoring"):
            place.by(who).patch("pods", pod["metadata"]["name"], [{"op": "remove", "path": "/spec/schedulingGates"}], place.namespace)
