"""How names, numbers, and what others wrote are put into messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from aiqms.policy.words import plural, some, visible

MANY = [f"n{n}" for n in range(1, 10)]
SOME: dict[str, tuple[Sequence[str], dict[str, Any], str]] = {
    "none": ([], {}, ""),
    "one": (["a"], {}, "a"),
    "two": (["a", "b"], {}, "a and b"),
    "three": (["a", "b", "c"], {}, "a, b and c"),
    "any of two": (["a", "b"], {"or_": True}, "a or b"),
    "as many as are named": (MANY[:8], {}, "n1, n2, n3, n4, n5, n6, n7 and n8"),
    "one too many": (MANY, {}, "n1, n2, n3, n4, n5, n6, n7, n8 and 1 more"),
    "where fewer are named": (MANY, {"most": 1}, "n1 and 8 more"),
    "sentences": (["a", "b"], {"between": "; "}, "a; b"),
    "too many sentences": (["a", "b", "c"], {"between": "; ", "most": 2}, "a; b; 1 more"),
}


@pytest.mark.parametrize(("names", "how", "said"), SOME.values(), ids=SOME.keys())
def test_a_message_names_some(names: Sequence[str], how: dict[str, Any], said: str) -> None:
    assert some(names, **how) == said


VISIBLE: dict[str, tuple[str, str]] = {
    "plain letters": ("sha256:1", "sha256:1"),
    "letters that look like others, and those that nobody sees": ("sha256:\u0430\u200b", r"sha256:\u0430\u200b"),
    "lines": ("a\nb", r"a\nb"),
    "as long as is shown": ("x" * 128, "x" * 128),
    "longer": ("x" * 129, "x" * 128 + "…"),
}


@pytest.mark.parametrize(("text", "said"), VISIBLE.values(), ids=VISIBLE.keys())
def test_what_others_wrote_is_taken_for_nothing_else(text: str, said: str) -> None:
    assert visible(text) == said


def test_things_are_counted() -> None:
    assert [plural(n, "pod") for n in (0, 1, 3)] == ["0 pods", "1 pod", "3 pods"]
    assert [plural(n, "entry", "entries") for n in (0, 1, 3)] == ["0 entries", "1 entry", "3 entries"]
