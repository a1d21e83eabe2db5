"""The tests, collected once: copies of the process that has them run those that they need."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Case:
    """One test. path: its file; passes: runs it."""

    name: str
    path: Path
    passes: Callable[[], bool]


def with_cases(arguments: Sequence[str], loading: AbstractContextManager[object], work: Callable[[Sequence[Case]], int]) -> int:
    """Do the work in place of running the tests that pytest collects, and return what it does. loading: entered while pytest collects.

    Where some cannot be collected, nothing is done: pytest says why, and its code is returned.
    """
    instead = _Instead(loading, work)
    # Without its capture, for that would bring back the output of a copy that has to be quiet.
    code = int(pytest.main([*arguments, "-qq", "--capture=no", "--disable-warnings", "-p", "no:cacheprovider"], plugins=[instead]))
    return code if instead.said is None else instead.said


class _Instead:
    """Takes the place of pytest's loop over its tests."""

    def __init__(self, loading: AbstractContextManager[object], work: Callable[[Sequence[Case]], int]) -> None:
        self._loading, self._work = loading, work
        self.said: int | None = None

    def pytest_collection(self) -> None:
        self._loading.__enter__()

    def pytest_collection_finish(self) -> None:
        self._loading.__exit__(None, None, None)

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None  # some cannot be collected: pytest says which
        gc.freeze()  # so that no copy goes through what is here already, and pays for pages of its own
        self.said = self._work([Case(item.nodeid, item.path, _passes(item)) for item in session.items])
        return True


def _passes(item: pytest.Item) -> Callable[[], bool]:
    def passes() -> bool:
        before = item.session.testsfailed
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return item.session.testsfailed == before

    return passes
