"""Whether an object of the cluster is the one that this version ships: pure comparison of plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiqms.api.values import Json
from aiqms.policy.words import plural

SITE_VALUE = re.compile(r"\{\{[^}]*\}\}")
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Difference:
    """A field that is another one. wanted, is_: None where it is not there."""

    path: str
    wanted: Any
    is_: Any

    def __str__(self) -> str:
        if self.is_ is None:
            return f"{self.path} is missing (it was {_shown(self.wanted)})"
        if self.wanted is None:
            return f"{self.path} was added ({_shown(self.is_)})"
        if isinstance(self.wanted, list) and isinstance(self.is_, list) and len(self.wanted) != len(self.is_):
            return f"{self.path} has {plural(len(self.is_), 'item')}, not {len(self.wanted)}"
        if _shown(self.wanted) == _shown(self.is_):
            return f"{self.path} is another one"
        return f"{self.path} is {_shown(self.is_)}, not {_shown(self.wanted)}"


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@dataclass(frozen=True)
class Comparison:
    """How to compare. added: fields that the API server adds, with what it puts there; ignored: fields that mean nothing.

    site: takes what a site's chart values put where the shipped object has a Helm expression.
    """

    added: Mapping[str, Sequence[Any]]
    ignored: frozenset[str] = frozenset()
    site: dict[str, list[Any]] | None = None

    def differences(self, wanted: Any, is_: Any, path: str = "spec") -> Iterator[Difference]:
        """Every field that differs, deepest first."""
        match wanted, is_:
            case dict(), dict():
                yield from self._maps(wanted, is_, path)
            case list(), list() if len(wanted) == len(is_):
                for i, (w, v) in enumerate(zip(wanted, is_, strict=True)):
                    yield from self.differences(w, v, f"{path}.{i}")
            case str(), _ if self.site is not None and SITE_VALUE.search(wanted):
                if not self._take(wanted, is_):
                    yield Difference(path, wanted, is_)
            case _ if wanted != is_:
                yield Difference(path, wanted, is_)

    def _maps(self, wanted: Json, is_: Json, path: str) -> Iterator[Difference]:
        for key in sorted(wanted.keys() - self.ignored):
            yield from self.differences(wanted[key], is_.get(key), f"{path}.{key}")
        for key in sorted(is_.keys() - wanted.keys() - self.ignored):
            if is_[key] not in self.added.get(key, ()):
                yield Difference(f"{path}.{key}", None, is_[key])

    def _take(self, wanted: str, is_: Any) -> bool:
        """Whether the live value is the shipped one with some values of a site in it, which are kept."""
        assert self.site is not None
        if SITE_VALUE.fullmatch(wanted):
            self.site.setdefault(wanted, []).append(is_)
            return True
        expressions = SITE_VALUE.findall(wanted)
        pattern = "".join(f"({_form(part)})" if SITE_VALUE.fullmatch(part) else re.escape(part) for part in _parts(wanted))
        matched = re.fullmatch(pattern, is_, re.DOTALL) if isinstance(is_, str) else None
        if matched is None:
            return False
        for expression, value in zip(expressions, matched.groups(), strict=True):
            self.site.setdefault(expression, []).append(value)
        return True


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"(\{\{[^}]*\}\})", text) if part]


def _form(expression: str) -> str:
    """Of what a site's value may consist: a list in JSON, or words within quotes."""
    return r"[^']*" if "join" in expression else r"\[[^\[\]]*\]"
