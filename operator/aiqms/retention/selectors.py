"""Loki's stream selectors, as far as can be told without running anybody's regular expression: whether a rule's could, or must, select what a sink's does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

_STRING = r'"(?:[^"\\]|\\["\\])*"|`[^`]*`'
_MATCHER = re.compile(rf"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*({_STRING})\s*")
_WORDS = re.compile(r"[A-Za-z0-9_/: -]*(\|[A-Za-z0-9_/: -]*)*")  # a regular expression that means what it says


class Fit(IntEnum):
    """Whether a rule applies to the streams that a sink selects."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


@dataclass(frozen=True)
class Matcher:
    """One condition of a selector. A label that a stream lacks has the empty value."""

    label: str
    operator: str
    value: str

    @property
    def text(self) -> str:
        """As LogQL has it."""
        return f"{self.label}{self.operator}{json.dumps(self.value)}"

    def takes(self, value: str) -> Fit:
        """Whether a label of that value fulfils it."""
        found = value == self.value if self.operator in ("=", "!=") else _matches(self.value, value)
        if found is None:
            return Fit.MAYBE
        return Fit.ALWAYS if found == self.operator.startswith("=") else Fit.NEVER


Selector = tuple[Matcher, ...]


def parse(text: str) -> Selector | None:
    """A plain selector such as `{app="x", team=~"a|b"}`; None for anything else, a pipeline among it."""
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        return None
    found, at, inner = [], 0, inner[1:-1].strip()
    while at < len(inner):
        one = _MATCHER.match(inner, at)
        if one is None or inner[one.end() : one.end() + 1] not in ("", ","):
            return None
        found.append(Matcher(one[1], one[2], _unquoted(one[3])))
        at = one.end() + 1
    return tuple(found) or None


def shown(selector: Iterable[Matcher]) -> str:
    """As LogQL has it."""
    return "{" + ", ".join(matcher.text for matcher in selector) + "}"


def equal(selector: Selector) -> dict[str, str]:
    """The labels whose values the selector names."""
    return {m.label: m.value for m in selector if m.operator == "="}


def fits(rule: Selector | None, selector: Selector | None) -> Fit:
    """Whether a rule applies to the streams of a selector; what cannot be read may be anything."""
    if rule is None or selector is None:
        return Fit.MAYBE
    known = equal(selector)
    return min((m.takes(known[m.label]) if m.label in known else Fit.MAYBE for m in rule), default=Fit.ALWAYS)


def _unquoted(quoted: str) -> str:
    return quoted[1:-1] if quoted.startswith("`") else re.sub(r"\\(.)", r"\1", quoted[1:-1])


def _matches(expression: str, value: str) -> bool | None:
    if expression in (".*", ".+"):
        return expression == ".*" or value != ""
    return value in expression.split("|") if _WORDS.fullmatch(expression) else None
