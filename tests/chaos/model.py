"""What may run, by the rules of the design alone: nothing of `aiqms` is asked. Times are the API server's whole seconds.

All is under one procedure of the namespace: a model-owner and a risk-manager approve, a risk-manager stops, and what lapses is stopped at once.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

Time = datetime.datetime
ROLE_OF = {"alice": "model-owner", "bob": "risk-manager", "carol": "risk-manager"}
LAG = datetime.timedelta(seconds=2)  # dates are whole seconds, and an API server's view of a parameter is a little older than the object


@dataclass(frozen=True, order=True)
class Subject:
    """What is approved: the template's version, the model, and the revision of the procedure since which approvals count."""

    version: int
    model: int
    since: int


@dataclass
class Decision:
    """An Approve, a Reject or an Emergency (glass). end: from then on it does not count; withdrawn: from then on, where it was taken back."""

    name: str
    person: str
    subject: Subject
    made: Time
    approves: bool = True
    glass: bool = False
    end: Time | None = None
    withdrawn: Time | None = None

    def stands(self, now: Time) -> bool:
        """Whether it counts now."""
        return self.withdrawn is None and not self.ended(now)

    def ended(self, now: Time) -> bool:
        """Whether its time is over."""
        return self.end is not None and self.end <= now


@dataclass
class Stop:
    """One decision to stop, and the one that lets things go on, if any."""

    made: Time
    lifted: Time | None = None


@dataclass
class Deployment:
    """One register entry, its workload, and everything that people decided about it."""

    name: str
    registered: bool = False
    deployed: bool = False
    version: int = 0
    model: int = 0
    replicas: int = 1
    decisions: list[Decision] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether a Stop stands."""
        return any(s.lifted is None for s in self.stops)

    def approved(self, subject: Subject, now: Time) -> bool:
        """A model-owner's and a risk-manager's approvals stand, and nobody's rejection."""
        mine = self._standing(subject, now)
        return _enough(d for d in mine if not d.glass) and all(d.approves for d in mine)

    def broken_glass(self, subject: Subject, now: Time) -> bool:
        """An Emergency stands for the subject; it clears the current one alone."""
        return any(d.glass for d in self._standing(subject, now))

    def rejected(self, subject: Subject, now: Time) -> bool:
        """Somebody's rejection stands."""
        return not all(d.approves for d in self._standing(subject, now))

    def _standing(self, subject: Subject, now: Time) -> list[Decision]:
        return [d for d in self.decisions if d.subject == subject and d.stands(now)]

    def admitted(self, version: int, at: Time) -> bool:
        """Whether a pod that was made then may have been let through from its first moment, with or without an operator.

        A withdrawal or a rejection needs the operator to take effect; a Stop and an end do not.
        """
        if any(s.made + LAG < at and (s.lifted is None or at < s.lifted) for s in self.stops):
            return False
        enough = [d for d in self.decisions if d.approves and d.subject.version == version and d.made <= at + LAG and not d.ended(at - LAG)]
        return any(_enough(d for d in enough if d.subject == s) for s in {d.subject for d in enough})

    def ever_approved(self, version: int) -> bool:
        """Whether any subject with this version of the template ever was."""
        return any(self.ever_cleared(s) for s in {d.subject for d in self.decisions if d.subject.version == version})

    def ever_cleared(self, subject: Subject) -> bool:
        """Whether this subject ever was approved, or cleared in an emergency."""
        return _enough(d for d in self.decisions if d.approves and d.subject == subject)


def _enough(found: Iterable[Decision]) -> bool:
    """One of each role; or an Emergency, which one person alone decides."""
    given = list(found)
    return {ROLE_OF[d.person] for d in given if not d.glass} == set(ROLE_OF.values()) or any(d.glass for d in given)


@dataclass(frozen=True)
class Demand:
    """What has to come about. may: versions of which pods may run; must: the version that runs with all its replicas and alone, None where none has to."""

    may: frozenset[int]
    must: int | None
    replicas: int


@dataclass
class Model:
    """One namespace."""

    deployments: dict[str, Deployment]
    revision: int = 1
    since: int = 1

    def current(self, of: Deployment) -> Subject:
        """The subject of what is stored now."""
        return Subject(of.version, of.model, self.since)

    def demand(self, of: Deployment, now: Time) -> Demand:
        """What has to be so, once everything has been carried out."""
        if of.stopped or not of.registered:
            return Demand(frozenset(), None, 0)
        current = self.current(of)
        approved, glass = of.approved(current, now), of.broken_glass(current, now)
        may = {d.subject.version for d in of.decisions if of.approved(d.subject, now)} | ({of.version} if glass else set())
        must = of.version if of.deployed and (approved or (glass and not of.rejected(current, now))) else None
        return Demand(frozenset(may), must, of.replicas)
