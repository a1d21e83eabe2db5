"""Decides about each deployment of a namespace on its own, so that one about which nothing can be decided keeps no other from its answer."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from aiqms import metrics
from aiqms.api.clearance import Entry
from aiqms.controllers.gather import Gathered
from aiqms.controllers.remembered import Remembered
from aiqms.policy.decide import deregistered
from aiqms.policy.facts import Decision, Input

log = logging.getLogger(__name__)


class Undecided(Exception):
    """About some deployments nothing could be decided, which is a fault of this version: the pass is tried again."""


@dataclass(frozen=True)
class Decided:
    """What was decided, by name. facts: less the deployments of which nothing is said. failures: what kept each of these from being decided."""

    facts: Gathered
    decisions: dict[str, Decision] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)

    @property
    def wake(self) -> datetime | None:
        """When time alone changes something."""
        return min((d.wake for d in self.decisions.values() if d.wake), default=None)

    def check(self) -> None:
        """Raises Undecided where something could not be decided."""
        for name, error in sorted(self.failures.items()):
            raise Undecided(f"AIModelDeployment {name}: {error!r}") from error


async def decided(namespace: str, facts: Gathered, now: datetime, remembered: Remembered) -> Decided:
    """Every deployment, registered or not, by itself; of the room in the Clearance each has what those before it left."""
    found, taken = Decided(facts), 0
    for name, alone in facts.registered.items():
        await asyncio.sleep(0)  # the Lease has to be renewed meanwhile
        given = replace(alone, clearance_bytes=alone.clearance_bytes + taken)
        _decide(found, namespace, name, given, partial(remembered.decide, namespace, name, given, now))
        taken += _growth(given, found.decisions[name])
    remembered.keep(namespace, facts.registered)
    for name, given in facts.unregistered.items():
        _decide(found, namespace, name, given, partial(deregistered, given, now))
    said = {name: given for name, given in facts.registered.items() if name not in found.failures}
    return replace(found, facts=replace(facts, registered=said))


def _growth(given: Input, decision: Decision) -> int:
    """By how many bytes the Clearance grows with it. What gets smaller counts for nothing, until it is written."""
    return 0 if decision.entries == given.entries else max(0, _bytes(decision.entries) - _bytes(given.entries))


def _bytes(entries: Sequence[Entry]) -> int:
    return sum(len(json.dumps(e.dump())) for e in entries)


def _decide(found: Decided, namespace: str, name: str, given: Input, judge: Callable[[], Decision]) -> None:
    """The edge: whatever goes wrong with one is a log line and a metric. It is left as it is: nothing is cleared, stopped or said."""
    try:
        found.decisions[name] = judge()
    except Exception as error:
        metrics.RECONCILE_ERRORS.labels(type(error).__name__).inc()
        log.exception("not decided", extra={"namespace": namespace, "deployment": name})
        found.failures[name] = error
        found.decisions[name] = Decision(status=given.before, entries=given.entries, orphan=given.orphan)
