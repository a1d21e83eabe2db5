"""What a decision may look at of the network: NetworkPolicies as they are stored, what became of the operator's own, and what a probe found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from aiqms.api.values import Json

MAX_AGE = timedelta(minutes=15)  # how long what a probe found counts
PATIENCE = timedelta(minutes=1)  # how long one of ours that cannot be put back is no lapse


def policy_name(deployment: str) -> str:
    """The NetworkPolicy that the operator keeps for a deployment."""
    return f"aiqms-{deployment}"


@dataclass(frozen=True)
class Stored:
    """A NetworkPolicy. ours: it bears a mark of the operator's; owners: uids; appliers: others who apply its spec; changer: who else changed it last.

    appliers and changer are names of field managers, which whoever writes chooses: they tell where to look, and prove nothing.
    """

    name: str
    spec: Json
    uid: str = ""
    version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    ours: bool = False
    appliers: tuple[str, ...] = ()
    changer: str = ""


@dataclass(frozen=True)
class Contest:
    """Somebody else writes the operator's NetworkPolicy. until: when it is tried again, None while that one is there. theirs: it never was the operator's."""

    manager: str
    until: datetime | None = None
    theirs: bool = False


@dataclass(frozen=True)
class Failing:
    """The operator's NetworkPolicy could not be written. since: from the first try on."""

    since: datetime
    why: str


class Outcome(Enum):
    """ENFORCED: what a policy shuts off was not reached, and the rest was. OPEN: it was reached. SILENT: nothing can be said."""

    ENFORCED = "enforced"
    OPEN = "open"
    SILENT = "silent"


@dataclass(frozen=True)
class Probe:
    """What the last probe found. why: of SILENT, in words that stay the same while the cause does."""

    outcome: Outcome
    at: datetime
    why: str = ""

    def counts(self, now: datetime) -> bool:
        """Whether it is young enough."""
        return now < self.at + MAX_AGE


def remembered(before: Probe | None, found: Probe) -> Probe:
    """What counts after another probe: an answer goes on counting through silence until its maximum age."""
    if before is None or found.outcome is not Outcome.SILENT or before.outcome is Outcome.SILENT or not before.counts(found.at):
        return found
    return before


@dataclass(frozen=True)
class Network:
    """Of one deployment. owner: uid of its register entry; policies: all of the namespace; labels: those of its pods, each set once.

    restored: what somebody did to the operator's own that was put right just now, in words for an event. probe: None where none is set up.
    pending: a new leader has not made its first one.
    """

    owner: str = ""
    policies: tuple[Stored, ...] = ()
    labels: tuple[Mapping[str, str], ...] = ()
    contest: Contest | None = None
    failing: Failing | None = None
    restored: str = ""
    probe: Probe | None = None
    pending: bool = False

    def named(self, name: str) -> Stored | None:
        """The policy of this name."""
        return next((p for p in self.policies if p.name == name), None)
