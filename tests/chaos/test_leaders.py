"""Two replicas: whatever becomes of the leader, the other one takes over within 15 s, no wake-up is lost, and the deposed one writes no more."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.chaos.checks import Audit, what
from tests.chaos.proxy import FAIR, Partition, Weather
from tests.chaos.stage import Replica, Stage, now, replica
from tests.e2e.conftest import govern
from tests.e2e.given import UNSEEN, Place, placed, within
from tests.testbed.api import Json
from tests.testbed.waiting import eventually

TAKEOVER = 15  # seconds


@pytest.fixture(scope="module")
def pair(stage: Stage) -> Iterator[tuple[Replica, Replica]]:
    """The stage's replica, and one more; the first one is alone again afterwards."""
    first, second = stage.replicas[0], replica(stage.cluster, 1)
    second.operator.start()
    yield first, second
    second.operator.kill()
    second.proxy.stop()
    eventually(lambda: first.leads, within=30, what="the first replica leads alone")


@pytest.fixture
def place(stage: Stage) -> Iterator[Place]:
    namespace = govern(stage.cluster, f"leaders-{secrets.token_hex(3)}")
    with placed(stage.cluster, namespace) as found:
        yield found
    stage.cluster.api("admin").delete("namespaces", namespace)


@dataclass
class Gap:
    """From the fault until the other one leads. before: the epoch of the Clearance, audit: the operator's writes since the fault."""

    place: Place
    leader: Replica
    other: Replica
    audit: Audit
    before: int
    began: datetime.datetime
    writes: list[Json]

    def taken_over(self) -> datetime.datetime:
        """Wait until the other one leads and has stamped this Clearance; when it took the Lease. Fails where that takes too long."""
        eventually(lambda: epoch(self.place) == self.before + 1, within=TAKEOVER + 5, what="the Clearance has the next epoch")
        stamped = eventually(lambda: self._done(("update", "clearances")), within=10, what="the audit log has it")[0]
        seconds = (received(stamped) - self.began).total_seconds()
        assert seconds < TAKEOVER
        print(f"taken over after {seconds:.1f} s")
        return received(self._done(("update", "leases"))[0])

    def _done(self, wanted: tuple[str, str]) -> list[Json]:
        """What the other one has done since the fault."""
        return [e for e in self._seen() if by(e, self.other) and what(e) == wanted and e["responseStatus"]["code"] == 200]

    def _seen(self) -> list[Json]:
        self.writes += self.audit.attempts()
        return self.writes

    def deposed_wrote(self, since: datetime.datetime) -> list[tuple[str, str]]:
        """What the leader of before tried to write since then, in vain or not."""
        return [what(e) for e in self._seen() if by(e, self.leader) and received(e) > since]


def by(event: Json, one: Replica) -> bool:
    return bool(event["userAgent"] == one.proxy.agent)


def received(event: Json) -> datetime.datetime:
    return datetime.datetime.fromisoformat(event["requestReceivedTimestamp"])


def epoch(place: Place) -> int:
    return int(place.admin.get("clearances", "clearance", place.namespace)["spec"].get("epoch", 0))


Opened = Callable[[], Gap]


@pytest.fixture
def gap(stage: Stage, place: Place, pair: tuple[Replica, Replica]) -> Iterator[Opened]:
    """To be opened at the fault. Afterwards both run, and the network is fair."""

    def opened() -> Gap:
        leader, other = pair if pair[0].leads else pair[::-1]
        eventually(lambda: leader.leads and not other.leads, within=30, what="one of two leads")
        return Gap(place, leader, other, Audit(stage.cluster.provider.audit_logs()[-1], leader.operator.user), epoch(place), now(), [])

    yield opened
    for each in pair:
        each.proxy.change(FAIR)
        each.operator.wake()

    def both() -> bool:
        for each in pair:
            each.keep()
        return all(each.operator.ready for each in pair) and [each.leads for each in pair].count(True) == 1

    eventually(both, within=60, what="both replicas are ready, and one leads")


def killed(leader: Replica) -> None:
    leader.operator.kill()


def paused(leader: Replica) -> None:
    leader.operator.pause()


def cut_off(leader: Replica) -> None:
    leader.proxy.change(Weather(partition=Partition.RESET))


def silenced(leader: Replica) -> None:
    leader.proxy.change(Weather(partition=Partition.SILENT))


def mended(leader: Replica) -> None:
    """Whatever it was."""
    leader.proxy.change(FAIR)
    leader.operator.wake()


WAYS = {"killed": killed, "paused and woken": paused, "cut off": cut_off, "cut off in silence": silenced}


@pytest.mark.parametrize("fault", WAYS.values(), ids=WAYS)
class TestTakeover:
    def test_of_what_people_decided_meanwhile(self, place: Place, gap: Opened, fault: Callable[[Replica], None]) -> None:
        """A Stop and an approval that fall into the gap are carried out by the other one; the deposed one, back again, writes nothing."""
        place.cleared(replicas=3, stop={"roles": ["risk-manager"]})
        ranking = place.of("ranking")
        ranking.register()
        ranking.deploy()
        ranking.await_pods(held=1)
        approved = ranking.foreseen()
        one = gap()
        fault(one.leader)

        place.decide("bob", "risk-manager", "Stop", subject=UNSEEN)
        name = ranking.decide("alice", subject=approved)
        taken = one.taken_over()
        place.awaited(lambda: not place.running(), "nothing runs of what was stopped")
        ranking.await_pods(running=1)
        ranking.await_verdict(name, True, "Counted")

        place.awaited(lambda: one.other.leads, "the other one says that it leads")
        mended(one.leader)
        eventually(lambda: not one.leader.leads, within=10, what="the deposed one leads no more", every=0.01)
        ranking.deploy(args=["--max-model-len=1"])
        ranking.await_pods(held=1, running=1)
        ranking.decide("alice")
        ranking.await_pods(running=1)
        assert one.deposed_wrote(since=taken) == []

    @pytest.mark.full
    def test_in_the_middle_of_its_work(self, place: Place, gap: Opened, fault: Callable[[Replica], None]) -> None:
        """A dozen pods end when it happens: what is left to do is the other one's, and the first one, back again, does not go on where it was."""
        place.cleared(replicas=12, stop={"roles": ["risk-manager"]})
        one = gap()
        place.decide("bob", "risk-manager", "Stop", subject=UNSEEN)
        eventually(lambda: len(place.running()) < 12, within=10, what="the first pod ends", every=0.002)
        fault(one.leader)
        taken = one.taken_over()
        place.awaited(lambda: not place.running(), "nothing runs")
        place.await_phase("Stopped", "Stopped")
        mended(one.leader)
        eventually(lambda: not one.leader.leads, within=10, what="the deposed one leads no more", every=0.01)
        assert one.deposed_wrote(since=taken) == []

    @pytest.mark.full
    def test_of_an_approval_that_ends_meanwhile(self, place: Place, gap: Opened, fault: Callable[[Replica], None]) -> None:
        """The wake-up was the deposed one's; the other one has its own."""
        place.govern(onLapse={"action": "Stop"})
        place.register()
        place.deploy()
        place.await_pods(held=1)
        name = place.decide("alice", expires=within(6))
        place.await_pods(running=1)
        one = gap()
        fault(one.leader)
        one.taken_over()
        place.await_pods(held=1)
        place.await_phase("Stopped", "ApprovalExpired")
        place.await_verdict(name, False, "Expired")
