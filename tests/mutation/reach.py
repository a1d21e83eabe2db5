"""Which functions each test calls, noted once while nothing is changed: the other tests need not run for a mutant of a function."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Self

from tests.mutation.collected import Case
from tests.mutation.forked import forked

SECONDS = 3600.0  # for all of them: more than there ever are


class FailsAsItIs(Exception):
    """A test that fails with nothing changed would find every mutant."""


class Calls:
    """Which functions of the files are called while it is entered, as `path:qualified.name`."""

    def __init__(self, files: Collection[Path]) -> None:
        self._files = {str(path) for path in files}
        self._seen: dict[int, CodeType] = {}  # by identity, for the hash of code looks at all of it

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, arg: object) -> None:
        self._seen.setdefault(id(frame.f_code), frame.f_code)

    def functions(self) -> list[str]:
        return sorted({function(code) for code in self._seen.values() if code.co_filename in self._files})


def function(code: CodeType) -> str:
    """The one that the code is of, or within."""
    return f"{code.co_filename}:{code.co_qualname.partition('.<')[0]}"


def reached(cases: Sequence[Case], files: Collection[Path]) -> Mapping[str, list[Case]]:
    """Function -> the tests that call it, the quickest first. They run in a copy, so that nothing they leave in a cache answers in place of a mutant."""
    notes = json.loads(forked(lambda: json.dumps([_noted(case, files) for case in cases]), SECONDS))
    if failed := [case.name for case, (_, passed, _) in zip(cases, notes, strict=True) if not passed]:
        raise FailsAsItIs(", ".join(failed))
    found: dict[str, list[Case]] = defaultdict(list)
    for case, (_, _, called) in sorted(zip(cases, notes, strict=True), key=lambda pair: pair[1][0]):
        for name in called:
            found[name].append(case)
    return found


def _noted(case: Case, files: Collection[Path]) -> tuple[float, bool, list[str]]:
    """How long it takes, whether it passes, and what it calls."""
    before = time.process_time()
    with Calls(files) as calls:
        passed = case.passes()
    taken = time.process_time() - before
    return taken, passed or case.passes(), calls.functions()  # again, for some have little time, and noting takes some of it
