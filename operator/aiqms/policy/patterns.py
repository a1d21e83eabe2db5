"""Patterns of a procedure, in which `*` stands for any run of characters, also of slashes and of none."""

from __future__ import annotations

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is of that form. Every other character stands for itself.

    Each part between two stars is looked for once, at the earliest place behind the part before it, which never spoils a later one: so the time grows
    with the length of the text alone, where a regular expression with as many `.*` would try every way to divide it.
    """
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *inner, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in inner:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def any_matches(patterns: Iterable[str], text: str) -> bool:
    """Whether the text is of one of these forms."""
    return any(matches(p, text) for p in patterns)
