"""Canary lines, and what a sample of a stream's own lines says by the names of its fields. No value of a line is kept but ids."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiqms.policy.logs import Sample

SAMPLE = 20  # lines of a stream that are looked at
MARGIN = timedelta(days=1)  # a line dated that much younger than the period that is asked has to be there still
_IDS = ("request_id", "_stream_id", "_time", "id")
_ID = 64  # characters of an id that are shown


@dataclass(frozen=True)
class Line:
    """A canary. id: unlike any other's; at: what it is dated."""

    id: str
    at: datetime

    def fields(self) -> dict[str, str]:
        """The line as JSON: small, and marked as what it is."""
        return {"_time": self.at.isoformat(), "_msg": "aiqms canary: a test line that proves nothing but its own arrival", "aiqms_canary": self.id}


def canary(now: datetime) -> Line:
    """A new one, dated now."""
    return Line(secrets.token_hex(16), now)


def aged(now: datetime, retention: timedelta) -> tuple[Line, timedelta] | None:
    """A line dated MARGIN short of the period ago, and its age; None for periods too short to tell."""
    age = retention - MARGIN
    return (Line(secrets.token_hex(16), now - age), age) if age > timedelta(0) else None


def sample(lines: Iterable[Mapping[str, object]], required: Sequence[str]) -> Sample:
    """Which of these lines lack which of the required fields. Canaries are no lines of the stream."""
    own = [line for line in lines if "aiqms_canary" not in line]
    lacking = [(_id(line, n), tuple(f for f in required if f not in line)) for n, line in enumerate(own, 1)]
    return Sample(lines=len(own), lacking=tuple((i, missing) for i, missing in lacking if missing))


def _id(line: Mapping[str, object], number: int) -> str:
    """By which its owner finds the line again; printable, and short."""
    found = next((str(line[name]) for name in _IDS if line.get(name)), f"line {number} of the sample")
    return "".join(c for c in found[:_ID] if c.isprintable())
