"""What breaks: each fault says how it begins, and after how many steps and how it ends; 0 steps is at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.chaos.actions import World
from tests.chaos.proxy import FAIR, Partition, Weather
from tests.chaos.stage import Replica
from tests.testbed.processes import Component


@dataclass
class Fault:
    """One that goes on. what: for the story; until: the step in which it ends, but not before `least` on the monotonic clock."""

    what: str
    until: int
    least: float
    end: Callable[[], None] = field(repr=False)


# How long a fault lasts at least, in seconds; steps alone are over in no time. The longest ones outlast the Lease.
LEAST = {0: 6, 1: 4, 3: 3, 6: 1, 13: 1}
Begin = Callable[[World], Fault | None]  # None: it was over at once


def _one(world: World) -> Replica:
    return world.dice.choice(world.stage.replicas)


def _for(world: World, what: str, end: Callable[[], None], longest: int = 4) -> Fault:
    steps = world.dice.randint(1, longest)
    seconds = world.dice.choices(list(LEAST), weights=list(LEAST.values()))[0]
    world.tell(f"fault: {what}, for {steps} steps and at least {seconds} s")
    return Fault(what, world.step + steps, time.monotonic() + seconds, end)


def _component(world: World, name: str) -> Component:
    return world.stage.cluster.component(name)


# the operator


def operator_killed(world: World) -> Fault | None:
    """And started again at once, at any moment after the last action."""
    one = _one(world)
    time.sleep(delay := world.dice.uniform(0, 0.4))  # not a wait for anything: it is when the operator dies
    world.tell(f"fault: {one.operator.name} is killed after {delay:.2f} s, and started again")
    one.operator.kill()
    one.operator.revive()
    return None


def operator_down(world: World) -> Fault:
    one = _one(world)
    one.wanted = False
    one.operator.kill()

    def up() -> None:
        one.wanted = True
        one.operator.revive()

    return _for(world, f"{one.operator.name} is down", up)


def operator_paused(world: World) -> Fault:
    one = _one(world)
    one.operator.pause()
    return _for(world, f"{one.operator.name} is paused", one.operator.wake)


# the network between operator and API server


def _weather(world: World, what: str, weather: Weather) -> Fault:
    one = _one(world)
    one.proxy.change(weather, seed=world.dice.randrange(2**32))
    return _for(world, f"{what} ({one.operator.name})", lambda: one.proxy.change(FAIR))


def refusals(world: World) -> Fault:
    return _weather(world, "a third of all requests is refused with 409, 429, 500 or 503", Weather(refused=0.33))


def lost_answers(world: World) -> Fault:
    return _weather(world, "a fifth of all answers is lost", Weather(lost=0.2))


def slow(world: World) -> Fault:
    return _weather(world, "requests and watches are slow", Weather(slow=1.0))


def storm(world: World) -> Fault:
    return _weather(world, "requests are refused, lost and slow", Weather(refused=0.15, lost=0.1, slow=0.3))


def partition(world: World) -> Fault:
    kind = world.dice.choice([Partition.RESET, Partition.SILENT])
    return _weather(world, f"a partition ({kind.value})", Weather(partition=kind))


def compaction(world: World) -> Fault:
    """A partition after which no watch can go on where it was: what went away meanwhile is not told."""
    one = _one(world)
    one.proxy.change(Weather(partition=Partition.RESET))

    def end() -> None:
        one.proxy.compact()
        one.proxy.change(FAIR)

    return _for(world, f"a partition with a compaction ({one.operator.name})", end)


def watches_cut(world: World) -> Fault | None:
    world.tell("fault: every watch is cut")
    _one(world).proxy.cut()
    return None


def watches_expired(world: World) -> Fault | None:
    world.tell("fault: every watch is cut, and its version is gone (410)")
    one = _one(world)
    one.proxy.compact()
    one.proxy.cut()
    return None


# the control plane


def _crash(world: World, name: str) -> None:
    world.tell(f"fault: {name} is killed, and started again")
    component = _component(world, name)
    component.kill()
    component.start()
    if name == "kube-apiserver":
        world.stage.api_server_started()


def _freeze(world: World, name: str) -> None:
    seconds = world.dice.uniform(0.5, 3)
    world.tell(f"fault: {name} is paused for {seconds:.1f} s")
    component = _component(world, name)
    component.pause()
    time.sleep(seconds)  # not a wait for anything: it is how long the fault lasts
    component.wake()


def api_server_killed(world: World) -> Fault | None:
    _crash(world, "kube-apiserver")
    return None


def etcd_killed(world: World) -> Fault | None:
    _crash(world, "etcd")
    return None


def api_server_paused(world: World) -> Fault | None:
    _freeze(world, "kube-apiserver")
    return None


def etcd_paused(world: World) -> Fault | None:
    _freeze(world, "etcd")
    return None


def controllers_down(world: World) -> Fault:
    component = _component(world, "kube-controller-manager")
    component.kill()
    return _for(world, "the controller manager is down", component.start, longest=3)


def controllers_paused(world: World) -> Fault:
    component = _component(world, "kube-controller-manager")
    component.pause()
    return _for(world, "the controller manager is paused", component.wake, longest=3)


def scheduler_down(world: World) -> Fault:
    component = _component(world, "kube-scheduler")
    component.kill()
    return _for(world, "the scheduler is down", component.start, longest=3)


def scheduler_paused(world: World) -> Fault:
    component = _component(world, "kube-scheduler")
    component.pause()
    return _for(world, "the scheduler is paused", component.wake, longest=3)


# By what they break, of which one breaks at a time: what is paused cannot be killed and still go on later.
FAULTS: dict[str, dict[Begin, int]] = {
    "operator": {operator_killed: 12, operator_down: 6, operator_paused: 6},
    "network": {refusals: 5, lost_answers: 5, slow: 5, storm: 5, partition: 6, compaction: 4, watches_cut: 6, watches_expired: 6},
    "storage": {api_server_killed: 1, etcd_killed: 2, api_server_paused: 2, etcd_paused: 2},
    "controllers": {controllers_down: 1, controllers_paused: 2},
    "scheduler": {scheduler_down: 2, scheduler_paused: 2},
}


def begin(world: World, going_on: Collection[str]) -> tuple[str, Fault | None]:
    """Breaks something that is not broken yet: what, and the fault if it lasts."""
    found = {f: (weight, part) for part, each in FAULTS.items() if part not in going_on for f, weight in each.items()}
    chosen = world.dice.choices(list(found), weights=[weight for weight, _ in found.values()])[0]
    return found[chosen][1], chosen(world)
