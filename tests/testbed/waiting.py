"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NotInTime(AssertionError):
    """A condition did not come true before its deadline; the message says which, and what was last seen."""


def eventually(condition: Callable[[], T], *, within: float, what: str, every: float = 0.02, ignoring: tuple[type[Exception], ...] = ()) -> T:
    """The first true value of `condition`, asked every `every` seconds for at most `within` seconds.

    An AssertionError, or an exception of `ignoring`, counts as "not yet". Raises NotInTime with the last value or error.
    """
    deadline = time.monotonic() + within
    while True:
        value, seen = _look(condition, (AssertionError, *ignoring))
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {within:g} s: {what}; last seen: {seen}")
        time.sleep(every)


def never(condition: Callable[[], object], *, seconds: float, what: str) -> None:
    """Asked again and again for so long, the condition is never true. Raises AssertionError with what was seen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen = condition()
        assert not seen, f"not so: {what}; seen: {seen!r}"
        time.sleep(0.1)


def _look(condition: Callable[[], T], ignoring: tuple[type[Exception], ...]) -> tuple[T | None, str]:
    try:
        value = condition()
    except ignoring as error:
        return None, f"{type(error).__name__}: {error}"
    return value, repr(value)
