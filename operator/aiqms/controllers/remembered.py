"""What was decided last, for as long as it would be decided again: in a namespace of many deployments an event concerns one, and looks at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.policy.decide import decide
from aiqms.policy.facts import Decision, Input

_NAMESPACES = 8  # of which decisions are kept: those in which people and controllers are at work

Decided = tuple[Input, Decision]


@dataclass
class Remembered:
    """By namespace, the one looked at last at the end."""

    namespaces: dict[str, dict[str, Decided]] = field(default_factory=dict)

    def decide(self, namespace: str, registered: Mapping[str, Input], now: datetime) -> dict[str, Decision]:
        """A decision for each. decide is pure, and time alone changes none before its wake-up: the laws of tests/unit/policy."""
        before = self.namespaces.pop(namespace, {})
        found = {name: _standing(before.get(name), given, now) or (given, decide(given, now)) for name, given in registered.items()}
        self.namespaces[namespace] = found
        if len(self.namespaces) > _NAMESPACES:
            del self.namespaces[next(iter(self.namespaces))]
        return {name: decision for name, (_, decision) in found.items()}


def _standing(known: Decided | None, given: Input, now: datetime) -> Decided | None:
    """What was decided, if it was on these facts, and its time has not come."""
    return known if known and (known[1].wake is None or now < known[1].wake) and known[0] == given else None
