"""The star of a pattern: tables for people, and laws against the plain definition."""

from __future__ import annotations

import time

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.policy.patterns import any_matches, matches

CASES = {
    "the same text": ("registry.bank.example/vllm", "registry.bank.example/vllm", True),
    "a dot is a dot": ("registry.bank.example/vllm", "registryXbank.example/vllm", False),
    "nothing else is special": ("a?[b]+", "a?[b]+", True),
    "a question mark is no wildcard": ("a?", "ab", False),
    "the whole text counts, from its start": ("bank.example/*", "evil.bank.example/vllm", False),
    "and to its end": ("*/vllm", "bank.example/vllm-evil", False),
    "a star is also slashes": ("bank.example/*", "bank.example/team/a/vllm", True),
    "a star is also nothing": ("bank.example/*", "bank.example/", True),
    "a star does not swallow what comes before it": ("bank.example/*", "bank.example", False),
    "two stars in a row are one": ("a**b", "ab", True),
    "what is before and behind a star does not overlap": ("aba*ba", "aba", False),
    "parts stand in order": ("*x*y*", "yx", False),
    "what two parts match does not overlap": ("*a*a*", "a", False),
    "an inner part does not reach into the last": ("*ab*b", "ab", False),
    "a star alone is everything": ("*", "", True),
}


@pytest.mark.parametrize(("pattern", "text", "is_so"), CASES.values(), ids=CASES)
def test_a_text_is_of_a_form(pattern: str, text: str, is_so: bool) -> None:
    assert matches(pattern, text) is is_so


def test_one_of_several_is_enough() -> None:
    assert [any_matches(patterns, "b") for patterns in (["a", "b"], ["a"], [])] == [True, False, False]


def defined(pattern: str, text: str) -> bool:
    """What a pattern means, as it is defined: a star is nothing, or a character and the same star."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return defined(pattern[1:], text) or (bool(text) and defined(pattern, text[1:]))
    return bool(text) and text[0] == pattern[0] and defined(pattern[1:], text[1:])


@for_all(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_it_is_what_is_defined(pattern: str, text: str) -> None:
    assert matches(pattern, text) == defined(pattern, text)


@for_all(st.lists(st.text("ab/.:@*"), min_size=1), st.text("ab/.:@"), st.data())
def test_whatever_stands_for_the_stars_matches(parts: list[str], between: str, data: st.DataObject) -> None:
    fixed = [p.replace("*", "") for p in parts]
    text = fixed[0] + "".join(data.draw(st.sampled_from(["", between])) + p for p in fixed[1:])
    assert matches("*".join(fixed), text)


def test_no_pattern_takes_long() -> None:
    """A regular expression of so many stars would not end in a lifetime: patterns as long as the schema takes, and a megabyte without one of their parts."""
    began = time.process_time()
    assert not matches("*a" * 254 + "*c*b", "a" * 1_000_000 + "b")
    assert not matches("*" + "a" * 509 + "b*", "a" * 1_000_000)
    assert time.process_time() - began < 2
