"""One run: a seed, a stream of actions and faults that it alone determines, and the checks after each."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.actions import ACTIONS, World, approve_wholly, deploy, register, rule
from tests.chaos.checks import Audit, Checks, Watch
from tests.chaos.faults import Fault, begin
from tests.chaos.model import Deployment, Model
from tests.chaos.stage import Stage, Story, insist
from tests.e2e.conftest import govern
from tests.e2e.given import placed
from tests.testbed.api import ApiError

STEPS = 24
SCENE = (register, deploy, register, deploy, approve_wholly, approve_wholly)
SOON, LATE = 45.0, 120.0  # seconds in which all has to be as it should: usually, and after an API server was started


class SeedFailed(AssertionError):
    """A run went wrong; the message is its whole story."""


@dataclass
class Run:
    """One seed on one stage."""

    world: World
    checks: Checks
    faults: dict[str, Fault] = field(default_factory=dict)

    def go(self, steps: int) -> None:
        """All steps, then fair weather, then silence."""
        for step in range(1, steps + 1):
            self.world.step = step
            self._end_faults(due=step)
            self._step()
            self.checks.never()
            if not self.faults and self.world.dice.random() < 0.6:
                self._settle()
        self._end_faults(due=steps + 10)
        self._settle()
        self.checks.idle()

    def _step(self) -> None:
        """Something breaks, or somebody does something; the first steps set the scene."""
        if self.world.step <= len(SCENE):
            SCENE[self.world.step - 1](self.world)
        elif self.world.dice.random() < 0.4:
            self._break()
        else:
            self._act()

    def _act(self) -> None:
        while not self.world.dice.choices(list(ACTIONS), weights=list(ACTIONS.values()))[0](self.world):
            pass

    def _break(self) -> None:
        if len(self.faults) < 2:
            part, fault = begin(self.world, self.faults)
            self.faults |= {part: fault} if fault else {}

    def _end_faults(self, due: int) -> None:
        for part, fault in [(p, f) for p, f in self.faults.items() if f.until <= due]:
            del self.faults[part]
            time.sleep(max(0.0, fault.least - time.monotonic()))  # not a wait for anything: it is how long the fault lasts
            self.world.tell(f"ended: {fault.what}")
            fault.end()

    def _settle(self) -> None:
        self.checks.settle(LATE if self.world.stage.warming else SOON)

    def clear_up(self) -> None:
        """Whatever is still broken is mended for the next run."""
        self._end_faults(due=10**6)


def run(stage: Stage, seed: int, steps: int = STEPS) -> Story:
    """The story of a seed. Raises SeedFailed with it."""
    story = Story(seed)
    try:
        with _running(stage, seed, story) as one:
            one.go(steps)
            story.tell(f"passed; the slowest settling took {one.checks.slowest:.1f} s")
    except (AssertionError, ApiError) as error:
        story.tell(f"FAILED: {error}")
        raise SeedFailed(str(story)) from error
    return story


@contextmanager
def _running(stage: Stage, seed: int, story: Story) -> Iterator[Run]:
    admin = stage.cluster.api("admin")
    stage.keep()
    namespace = insist(stage, lambda: govern(stage.cluster, f"chaos-{seed}-{secrets.token_hex(2)}"))
    outside = f"{namespace}-free"
    insist(stage, lambda: admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": outside}}))
    with placed(stage.cluster, namespace) as place:
        place.admin.apply(rule(namespace, 1, 1), manager="platform")
        model = Model({name: Deployment(name) for name in ("scoring", "ranking")})
        world = World(stage, place, outside, model, random.Random(seed), story)
        watch = Watch(stage.cluster.api("auditor"), namespace)
        one = Run(world, Checks(world, watch, Audit(stage.cluster.provider.audit_logs()[-1], stage.replicas[0].operator.user)))
        try:
            yield one
        finally:
            one.clear_up()
            watch.end()
            for name in (namespace, outside):
                insist(stage, lambda name=name: admin.delete("namespaces", name))  # type: ignore[misc]
