"""Canary lines, and what a sample of a stream's own lines says by the names of its fields. No value of a line is kept but ids."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiqms.policy.logs import Delivery, Sample

SAMPLE = 20  # lines of a stream that are looked at
RECENT = timedelta(days=7)  # of which they are the last
MARGIN = timedelta(days=1)  # a line dated that much younger than the period that is asked has to be there still
# Seconds before the first look for a canary, for stores make lines readable about once a second; between two looks, each twice the one before; and at most.
FIRST, POLLS = 1.2, (0.6, 5.0)
GRACE = timedelta(seconds=5)  # an older line that is to be there may become readable that much later than the fresh one
_SKEW = timedelta(seconds=1)  # what a store may round a line's date by
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


def jsonlines(*lines: Line) -> bytes:
    """As collectors and stores take them: a JSON object a line."""
    return b"".join(json.dumps(line.fields()).encode() + b"\n" for line in lines)


@dataclass(frozen=True)
class Sent:
    """Canaries that a store, or a collector, accepted. old: one that is dated back, and its age, where the store takes such."""

    route: str
    fresh: Line
    old: tuple[Line, timedelta] | None = None


Find = Callable[[], Awaitable[Mapping[str, datetime]]]


async def read_back(sent: Sent, find: Find, within: timedelta, grace: timedelta = GRACE) -> Delivery | None:
    """Looks again and again until both canaries are there. None where the fresh one is not in time.

    find: the ids that the store has -> how it dates them. grace: how much longer than for the fresh one to look for the old one.
    """
    clock = asyncio.get_running_loop().time
    began, pause, seconds = clock(), POLLS[0], -1.0
    await asyncio.sleep(min(FIRST, within.total_seconds() / 2))
    while True:
        found = await find()
        passed = clock() - began
        seconds = passed if seconds < 0 and sent.fresh.id in found else seconds
        until = within.total_seconds() if seconds < 0 else seconds + grace.total_seconds()
        if seconds >= 0 and (sent.old is None or sent.old[0].id in found or passed >= until):
            return _delivery(sent, round(seconds, 3), found)
        if passed >= until:
            return None
        await asyncio.sleep(min(pause, until - passed))
        pause = min(2 * pause, POLLS[1])


def _delivery(sent: Sent, seconds: float, found: Mapping[str, datetime]) -> Delivery:
    """A line that arrived under another date than it was sent with tells nothing of age."""
    if sent.old is None:
        return Delivery(sent.route, seconds)
    line, age = sent.old
    if line.id in found and abs(found[line.id] - line.at) > _SKEW:
        return Delivery(sent.route, seconds)
    return Delivery(sent.route, seconds, age, line.id in found)


def sample(lines: Iterable[Mapping[str, object]], required: Sequence[str]) -> Sample:
    """Which of these lines lack which of the required fields. Canaries are no lines of the stream."""
    own = [line for line in lines if "aiqms_canary" not in line]
    lacking = [(_id(line, n), tuple(f for f in required if f not in line)) for n, line in enumerate(own, 1)]
    return Sample(lines=len(own), lacking=tuple((i, missing) for i, missing in lacking if missing))


def _id(line: Mapping[str, object], number: int) -> str:
    """By which its owner finds the line again; printable, and short."""
    found = next((str(line[name]) for name in _IDS if line.get(name)), f"line {number} of the sample")
    return "".join(c for c in found[:_ID] if c.isprintable())
