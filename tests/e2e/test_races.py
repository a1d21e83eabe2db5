"""Two things at once, and an operator that is killed between any two steps: in the end things are as the records say."""

from __future__ import annotations

import datetime
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.given import NAME, UNSEEN, Place, held, placed
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually, never

STOP = {"roles": ["risk-manager"]}
MANY = 12
SEED = 7  # of the delays after which the operator is killed


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def at_once(*acts: Callable[[], str]) -> list[str]:
    """Each by a thread of its own."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [f.result() for f in [pool.submit(act) for act in acts]]


def version(number: int) -> list[str]:
    """The container's arguments in the n-th version of the workload."""
    return [f"--max-model-len={number}"]


def free(place: Place) -> list[Json]:
    """Pods that are not held."""
    return [pod for pod in place.pods() if not held(pod)]


def await_next_second(place: Place) -> None:
    """What lifts a Stop is dated to a later second."""
    last = max(datetime.datetime.fromisoformat(r["metadata"]["creationTimestamp"]) for r in place.admin.list("apr", place.namespace))
    place.awaited(lambda: datetime.datetime.now(datetime.UTC) >= last + datetime.timedelta(seconds=1), "the next second begins")


def await_nothing_runs(place: Place, reason: str) -> None:
    def so() -> bool:
        assert (place.ready()[1], [pod["metadata"]["name"] for pod in free(place)]) == (reason, [])
        return True

    place.awaited(so, f"nothing runs: {reason}")


class TestAtOnce:
    def test_two_approvals(self, place: Place) -> None:
        place.govern(roles=[{"role": "risk-manager", "count": 2}])
        place.register()
        for number in range(3):
            place.deploy(args=version(number))
            subject = place.subject
            names = at_once(*(partial(place.decide, person, "risk-manager", subject=subject) for person in ("bob", "carol")))
            place.await_phase("Running", "Approved")
            place.await_pods(running=1)
            for name in names:
                place.await_verdict(name, True, "Counted")

    def test_the_same_person_twice(self, place: Place) -> None:
        place.govern(roles=[{"role": "risk-manager", "count": 2}])
        place.register()
        place.deploy()
        subject = place.subject
        names = at_once(*[partial(place.decide, "bob", "risk-manager", subject=subject)] * 4)
        place.awaited(lambda: sorted(str(place.verdict(name)[1]) for name in names) == ["Counted", *["SamePersonTwice"] * 3], "one of four counts")
        place.await_phase("Held", "ApprovalMissing")
        place.await_pods(held=1)

    def test_an_approval_and_the_withdrawal_of_another(self, place: Place) -> None:
        """Two are needed. Whichever the operator sees first, carol's and alice's stay."""
        place.govern(roles=[{"role": "model-owner"}, {"role": "risk-manager"}])
        place.register()
        for number in range(3):
            place.deploy(args=version(number))
            subject = place.subject
            place.decide("alice", subject=subject)
            first = place.decide("bob", "risk-manager", subject=subject)
            place.await_phase("Running", "Approved")
            _, second = at_once(
                partial(place.decide, "bob", "risk-manager", "Withdraw", subject=subject, withdraws=first),
                partial(place.decide, "carol", "risk-manager", subject=subject),
            )
            place.await_verdict(first, False, "Withdrawn")
            place.await_verdict(second, True, "Counted")
            place.await_phase("Running", "Approved")
            place.await_pods(running=1)

    def test_the_last_approval_and_the_withdrawal_of_the_first(self, place: Place) -> None:
        """One stays of two that are needed: held, whichever came first, also where both counted for a moment."""
        place.govern(roles=[{"role": "model-owner"}, {"role": "risk-manager"}], onLapse={"action": "Stop"})
        place.register()
        for number in range(3):
            place.deploy(args=version(number))
            subject = place.subject
            first = place.decide("alice", subject=subject)
            place.await_verdict(first, True, "Counted")
            _, last = at_once(
                partial(place.decide, "alice", "model-owner", "Withdraw", subject=subject, withdraws=first),
                partial(place.decide, "bob", "risk-manager", subject=subject),
            )
            place.await_verdict(first, False, "Withdrawn")
            place.await_verdict(last, True, "Counted")
            await_nothing_runs(place, "ApprovalWithdrawn")

    def test_a_stop_and_the_last_approval(self, place: Place) -> None:
        place.govern(stop=STOP)
        place.register()
        for number in range(2):
            place.deploy(replicas=4, args=version(number))
            subject = place.subject
            at_once(partial(place.decide, "bob", "risk-manager", "Stop", subject=subject), partial(place.decide, "alice", subject=subject))
            place.await_phase("Stopped", "Stopped")
            place.awaited(lambda: not free(place), "nothing runs")
            await_next_second(place)
            place.decide("bob", "risk-manager", "Resume", subject=subject)
            place.await_phase("Running", "Approved")
            place.await_pods(running=4)


class TestDuring:
    def test_a_stop_during_a_rollout_ends_it_and_the_resume_goes_on_with_it(self, place: Place) -> None:
        place.cleared(replicas=MANY, stop=STOP)
        place.deploy(replicas=MANY, args=version(2))
        place.await_phase("ChangePending")
        old = {pod["metadata"]["uid"] for pod in place.running()}
        place.decide("alice")
        place.awaited(lambda: any(pod["metadata"]["uid"] not in old for pod in place.running()), "the rollout is under way")
        place.decide("bob", "risk-manager", "Stop")
        place.await_phase("Stopped", "Stopped")
        place.awaited(lambda: not free(place), "nothing runs")
        never(lambda: free(place), seconds=3, what="nothing comes back")

        await_next_second(place)
        place.decide("carol", "risk-manager", "Resume")
        place.await_pods(running=MANY, seconds=60)
        assert {tuple(pod["spec"]["containers"][0]["args"]) for pod in place.pods()} == {tuple(version(2))}

    def test_an_expiry_during_release_lets_nothing_go_afterwards(self, place: Place, cluster: Cluster, operator: Operator) -> None:
        """The approval ends within a second or two of its making, while pods are let go one after the other."""
        place.govern()
        place.register()
        place.deploy(replicas=MANY)
        subject = place.subject
        place.await_pods(held=MANY)
        end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)).replace(microsecond=0)
        since = datetime.datetime.now(datetime.UTC)
        name = place.decide("alice", subject=subject, expires=end.isoformat())
        place.await_verdict(name, False, "Expired")
        place.await_phase("Held", "ApprovalExpired")

        released = [e for e in cluster.audit(user=operator.user, since=since) if is_release(e, place.namespace)]
        late = [e["requestReceivedTimestamp"] for e in released if datetime.datetime.fromisoformat(e["requestReceivedTimestamp"]) >= end]
        assert late == []
        assert len(free(place)) == len(released)
        for pod in free(place)[:1]:
            assert held(place.await_replacement(pod))


def is_release(event: Json, namespace: str) -> bool:
    """A patch of a pod that the API server carried out."""
    at = event["objectRef"]
    return (event["verb"], at["resource"], at.get("namespace"), event["responseStatus"]["code"]) == ("patch", "pods", namespace, 200)


def cleared(place: Place) -> bool:
    """The Clearance lets the current subject through."""
    return any(entry.get("fingerprint") == place.foreseen() for entry in place.entries())


def let_go(place: Place) -> bool:
    return any(tuple(pod["spec"]["containers"][0]["args"]) == tuple(newest(place)) for pod in free(place))


def newest(place: Place) -> list[str]:
    found: list[str] = place.admin.get("deployments.apps", NAME, place.namespace)["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def judged(place: Place) -> bool:
    """Every record says something of itself."""
    return all("status" in r for r in place.admin.list("apr", place.namespace))


STEPS: dict[str, Callable[[Place], bool]] = {
    "once the record is made": lambda _: True,
    "once the Clearance is written": cleared,
    "once a pod is let go": let_go,
    "once the records say that they count": judged,
}


class TestKilled:
    """The operator is killed between two steps of approve, write, release, say; and started again."""

    @pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
    def test_between_two_steps_of_a_release(self, place: Place, operator: Operator, step: Callable[[Place], bool]) -> None:
        place.govern(stop=STOP)
        place.register()
        place.deploy(replicas=3, args=version(0))
        place.await_pods(held=3)
        name = place.decide("alice")
        eventually(lambda: step(place), within=10, what="the step is made", every=0.002)
        operator.kill()
        operator.start()
        place.await_pods(running=3)
        place.await_phase("Running", "Approved")
        place.await_verdict(name, True, "Counted")

    def test_between_two_steps_of_a_stop_and_a_resume(self, place: Place, operator: Operator) -> None:
        place.cleared(replicas=MANY, stop=STOP)
        stop = place.decide("bob", "risk-manager", "Stop")
        eventually(lambda: len(free(place)) < MANY, within=10, what="the first pod ends", every=0.002)
        operator.kill()
        remaining = {pod["metadata"]["uid"] for pod in free(place)}
        never(lambda: [p for p in free(place) if p["metadata"]["uid"] not in remaining], seconds=2, what="no new pod runs")
        operator.start()
        place.await_phase("Stopped", "Stopped")
        place.awaited(lambda: not free(place), "nothing runs")

        await_next_second(place)
        place.decide("bob", "risk-manager", "Resume")
        eventually(lambda: place.entries()[0]["validUntil"] > "9" or free(place), within=10, what="it is cleared again", every=0.002)
        operator.kill()
        operator.start()
        place.await_pods(running=MANY)
        place.await_phase("Running", "Approved")
        place.await_verdict(stop, False, "Resumed")

    def test_after_any_delay(self, place: Place, operator: Operator) -> None:
        """Approve, stop, resume and withdraw by turns, the operator killed some hundredths of a second after each; then everything is as the records say."""
        delays = random.Random(SEED)
        place.govern(stop=STOP, onLapse={"action": "Stop"})
        place.register()
        place.deploy(replicas=3, args=version(0))
        place.await_pods(held=3)
        approval = ""
        for decision in ("Approve", "Stop", "Resume", "Withdraw", "Approve", "Stop", "Resume"):
            await_next_second(place) if decision == "Resume" else None
            made = act(place, decision, approval)
            approval = made if decision == "Approve" else approval
            time.sleep(delays.uniform(0, 0.4))  # not a wait for anything: it is when the operator dies
            operator.kill()
            operator.start()
            await_as_recorded(place, decision)


def act(place: Place, decision: str, approval: str) -> str:
    match decision:
        case "Approve":
            return place.decide("alice")
        case "Withdraw":
            return place.decide("alice", "model-owner", "Withdraw", withdraws=approval)
    return place.decide("bob", "risk-manager", decision, subject=UNSEEN)


def await_as_recorded(place: Place, last: str) -> None:
    """What the last record says: three pods run, or none."""
    if last in ("Approve", "Resume"):
        place.await_phase("Running", "Approved")
        place.await_pods(running=3)
    else:
        place.await_phase("Stopped", "Stopped" if last == "Stop" else "ApprovalWithdrawn")
        place.awaited(lambda: not free(place), "nothing runs")
    place.awaited(lambda: judged(place), "every record says what it counts for")
