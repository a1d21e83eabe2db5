"""A queue of keys: one that is added while it is worked on is worked on again, and never by two workers at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

_BACKOFF = (0.05, 60.0)  # seconds: the first and the longest pause after failures
_LONGEST = 24 * 3600.0  # seconds: a later wake-up is asked for again then


class Queue:
    """Keys that wait, keys that are worked on, wake-ups, and other tries after failures, which put no wake-up off. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}  # in order
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._wakes: dict[str, asyncio.TimerHandle] = {}
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._failures: Counter[str] = Counter()
        self._something = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str) -> None:
        """Has the key worked on as soon as may be."""
        if key in self._working:
            self._again.add(key)
        else:
            self._waiting[key] = None
            self._something.set()

    async def get(self) -> str:
        """The next key; `done` has to follow."""
        while not self._waiting:
            self._something.clear()
            await self._something.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """The key was worked on, for better or worse."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def succeeded(self, key: str) -> None:
        """Forgets earlier failures."""
        self._failures.pop(key, None)
        _cancel(self._retries, key)

    def failed(self, key: str) -> float:
        """Has the key worked on again after a pause that doubles with each failure, and when it was to be woken; returns the pause in seconds."""
        self._failures[key] += 1
        pause: float = min(_BACKOFF[0] * 2.0 ** (self._failures[key] - 1), _BACKOFF[1])
        self._at(self._retries, key, pause)
        return pause

    def wake(self, key: str, at: datetime | None) -> None:
        """Has the key worked on at that time, in place of the wake-up asked for before. at: aware, None for never."""
        if at is None:
            _cancel(self._wakes, key)
        else:
            self._at(self._wakes, key, max(0.0, (at - datetime.now(UTC)).total_seconds()))

    def close(self) -> None:
        """Cancels all wake-ups and other tries."""
        for timers in (self._wakes, self._retries):
            for key in list(timers):
                _cancel(timers, key)

    def _at(self, timers: dict[str, asyncio.TimerHandle], key: str, seconds: float) -> None:
        _cancel(timers, key)
        timers[key] = asyncio.get_running_loop().call_later(min(seconds, _LONGEST), self.add, key)


def _cancel(timers: dict[str, asyncio.TimerHandle], key: str) -> None:
    if timer := timers.pop(key, None):
        timer.cancel()
