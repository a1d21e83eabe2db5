"""What may be known of a log sink: what is asked of it, what it was seen to do, and what kept anybody from seeing. Values only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aiqms.api.conditions import Reason
from aiqms.api.logging import Protection

FOREVER = timedelta.max  # of a store that deletes nothing by itself


@dataclass(frozen=True)
class Ask:
    """The most that any procedure asks of one sink. within: how soon a canary has to be readable. fields: names that each line has."""

    retention: timedelta
    protection: Protection = Protection.NONE
    within: timedelta = timedelta(seconds=60)
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delivery:
    """A canary that was read back. route: directly, or through which collector. seconds: from sending to reading.

    age: how old a line was said to be that was sent beside it, None where the store takes none; aged: whether that could be read back.
    """

    route: str
    seconds: float
    age: timedelta | None = None
    aged: bool = False


@dataclass(frozen=True)
class Sample:
    """Of the stream's own recent lines. lacking: the id of a line -> the required fields that it lacks. unreadable: why no names could be seen in it."""

    lines: int = 0
    lacking: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unreadable: str = ""

    def alike(self, other: Sample) -> bool:
        """Whether as many of as many lines lack the same fields, whichever lines these are."""
        ours, theirs = (sorted(missing for _, missing in sample.lacking) for sample in (self, other))
        return (self.lines, self.unreadable, ours) == (other.lines, other.unreadable, theirs)


@dataclass(frozen=True)
class Proof:
    """What a sink was seen to do. Nothing here has a secret, a value of a line, or an answer's own words beyond versions, names and numbers of settings.

    backend: product and version, as it said. kept: how long it keeps a line; None where it can prove no period.
    setting: what decides that, by its name in that product, with its value; remedy: how to set it, with `{}` for the period that is asked.
    early: what may end lines before their time, and what to change; empty where nothing does.
    protection: the strongest that was shown; shown: by what; unprotected: why it is no stronger, and what to change.
    delivery: the canary; lost: why it did not come back; both empty where it was not tried.
    """

    backend: str
    kept: timedelta | None
    setting: str
    remedy: str
    early: str = ""
    protection: Protection = Protection.NONE
    shown: str = ""
    unprotected: str = ""
    delivery: Delivery | None = None
    lost: str = ""
    sample: Sample | None = None


class Trouble(Exception):
    """A check that could not be made. reason: for status; the message says what was tried, what came of it, and what to change, without any secret."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Checked:
    """What is known of a sink now. ask: what the proof is of; since: from when on no check tells all that is asked of it.

    at: of the last proof; delivered: of the last canary that came back, and how; trouble: since the last proof.
    """

    proof: Proof | None = None
    ask: Ask | None = None
    at: datetime | None = None
    delivery: Delivery | None = None
    delivered: datetime | None = None
    trouble: tuple[Reason, str] | None = None
    since: datetime | None = None

    def answered(self, proof: Proof, ask: Ask, now: datetime) -> Checked:
        """After an answer. Of lines that lack the same as before the first ones stay named: else each sample of a stream would be another answer."""
        came = (proof.delivery, now) if proof.delivery else (self.delivery, self.delivered)
        before = self.proof.sample if self.proof else None
        steady = replace(proof, sample=before) if before and proof.sample and before.alike(proof.sample) else proof
        return Checked(steady, ask, now, *came, since=self.since)

    def unanswered(self, trouble: Trouble) -> Checked:
        """After a check that could not be made."""
        return replace(self, trouble=(trouble.reason, trouble.message))

    def says(self) -> object:
        """What of it a decision says: all but the times, and how long the canary took."""
        proof = self.proof and replace(self.proof, delivery=self.proof.delivery and replace(self.proof.delivery, seconds=0.0))
        return proof, self.ask, self.trouble
