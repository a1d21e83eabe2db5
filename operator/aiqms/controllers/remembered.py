"""What was decided last, for as long as it would be decided again: in a namespace of many deployments an event concerns one, and looks at all.

Of the namespaces looked at last; of others neither that nor what was read of their objects is kept, for of ten thousand deployments nearly all are idle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.policy.decide import decide
from aiqms.policy.facts import Decision, Input

_DEPLOYMENTS = 500  # of the namespaces in which people and controllers are at work; each takes about 90 KiB. A namespace by itself counts as one

Decided = tuple[Input, Decision]


@dataclass
class Remembered:
    """By namespace, the one looked at last at the end. forgotten: told each that is looked at no more."""

    forgotten: Callable[[str], None] = lambda _: None
    namespaces: dict[str, dict[str, Decided]] = field(default_factory=dict)

    def decide(self, namespace: str, name: str, given: Input, now: datetime) -> Decision:
        """What was decided before, where it would be again: decide is pure, and time alone changes nothing before its wake-up (laws in tests/unit/policy)."""
        known = self.namespaces.setdefault(namespace, {})
        found = known[name] = _standing(known.get(name), given, now) or (given, decide(given, now))
        return found[1]

    def keep(self, namespace: str, names: Collection[str]) -> None:
        """No others of the namespace are there any more; and it was looked at just now."""
        known = self.namespaces.pop(namespace, {})
        self.namespaces[namespace] = {name: one for name, one in known.items() if name in names}
        kept = sum(1 + len(known) for known in self.namespaces.values())
        for longest_ago in [*self.namespaces][:-1]:
            if kept <= _DEPLOYMENTS:
                break
            kept -= 1 + len(self.namespaces.pop(longest_ago))
            self.forgotten(longest_ago)


def _standing(known: Decided | None, given: Input, now: datetime) -> Decided | None:
    """What was decided, if it was on these facts, and its time has not come."""
    return known if known and (known[1].wake is None or now < known[1].wake) and known[0] == given else None
