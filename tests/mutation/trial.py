"""One mutant tried: a process in which the module is another one runs the tests, and ends at the first that fails."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

FAILED = 1


class Fate(Enum):
    """What became of a mutant. SLOW: nobody knows, for its tests did not end in time."""

    FOUND = "found"
    SURVIVED = "survived"
    SLOW = "took too long"


class _Other(importlib.abc.Loader):
    """Loads the mutant's source."""

    def __init__(self, source: str, path: str) -> None:
        self._source, self._path = source, path

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, self._path, "exec"), module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the mutant in place of the module."""

    def __init__(self, name: str, source: str, path: Path) -> None:
        self._name, self._loader, self._path = name, _Other(source, str(path)), path

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self._loader, origin=str(self._path))


def fate(name: str, source: str, path: Path, arguments: Sequence[str], seconds: float) -> Fate:
    """What the tests say of the mutant. path: of the module that it stands in for."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _run(name, source, path, arguments)
    return _fate(child, time.monotonic() + seconds)


def _run(name: str, source: str, path: Path, arguments: Sequence[str]) -> None:
    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
        sys.meta_path.insert(0, _Finder(name, source, path))
        try:
            code = int(pytest.main([*arguments, "-q", "-x", "-p", "no:cacheprovider", "--no-header"]))
        except BaseException:  # noqa: BLE001 - whatever a mutant does, it is found
            code = FAILED
    os._exit(code)


def _fate(child: int, deadline: float) -> Fate:
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return Fate.FOUND if os.waitstatus_to_exitcode(status) else Fate.SURVIVED
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return Fate.SLOW
