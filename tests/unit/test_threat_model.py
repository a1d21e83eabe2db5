"""docs/threat-model.md names for each of its rows what shows it: every name is that of a test that is there, and every group of attacks has its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.e2e.bypass.gate import ATTACKS

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([^`]+)`")


def tables() -> tuple[list[str], list[str]]:
    """The last cell of each row: of what admission and the operator stop, and of what they do not."""
    stopped, _, rest = (ROOT / "docs/threat-model.md").read_text().partition("## What admission cannot stop")
    return _last(stopped), _last(rest.partition("## Availability")[0])


def _last(text: str) -> list[str]:
    rows = [line.strip("| ").rpartition(" | ")[2] for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


STOPPED, NOT_STOPPED = tables()


def groups(cell: str) -> list[str]:
    """The groups of attacks that a cell names: its words outside of backticks."""
    plain = NAMED.sub("", cell).removeprefix("bypass:")
    return [word.strip() for word in plain.split(",") if word.strip(" —")]


def exists(name: str) -> bool:
    """Whether there is a test of this name: a file below tests, with or without a class and a function in it."""
    path, *inner = name.split("::")
    body: list[ast.stmt] = ast.parse((ROOT / "tests" / path).read_text()).body if (ROOT / "tests" / path).is_file() else []
    for part in inner:
        body = next((n.body for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == part), [])
    return bool(body)


def test_there_are_rows() -> None:
    assert len(STOPPED) > 25
    assert len(NOT_STOPPED) > 15


def test_whatever_is_stopped_names_what_shows_it() -> None:
    assert [cell for cell in STOPPED if not groups(cell) and not NAMED.findall(cell)] == []


@pytest.mark.parametrize("name", sorted({name for cell in (*STOPPED, *NOT_STOPPED) for name in NAMED.findall(cell)}))
def test_a_test_that_is_named_is_there(name: str) -> None:
    assert exists(name)


def test_the_groups_named_are_those_that_are_tried() -> None:
    assert {g for cell in (*STOPPED, *NOT_STOPPED) for g in groups(cell)} == {a.group for a in ATTACKS}


@pytest.mark.parametrize("name", ["e2e/test_none.py", "e2e/test_people.py::TestNone", "e2e/test_people.py::TestRefused::test_none"])
def test_one_that_is_not_there_would_be_noticed(name: str) -> None:
    assert not exists(name)
