"""Two revisions of a procedure side by side, and what the newer one means for approvals that were given. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from aiqms.api.procedure import JUDGED
from aiqms.api.values import Json
from aiqms.cli.text import Line, wrapped

_KEYS = ("duty", "role", "name", "id")  # what tells the items of a list apart
_STACKED = 100  # columns below which the two stand one under the other
_NONE = "–"


@dataclass(frozen=True)
class Field:
    """A field that differs; before and after: its values in words, `–` where it is not set."""

    path: str
    before: str
    after: str

    @property
    def judged(self) -> bool:
        """Whether it takes a higher revision."""
        return self.path.split(".")[0].split("[")[0] in JUDGED


@dataclass(frozen=True)
class Revision:
    """A procedure as it is stored or written. label: where it is from."""

    label: str
    name: str
    spec: Json

    @property
    def number(self) -> int:
        return int(self.spec.get("revision", 0))

    @property
    def since(self) -> int:
        """The oldest revision whose approvals count."""
        return int((self.spec.get("approvals") or {}).get("since") or self.number)


def fields(before: Json, after: Json) -> list[Field]:
    """Every field that differs, in the order of the older one; those that are new at the end."""
    old, new = dict(flat(before)), dict(flat(after))
    paths = [*old, *(p for p in new if p not in old)]
    return [Field(p, old.get(p, _NONE), new.get(p, _NONE)) for p in paths if old.get(p) != new.get(p)]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every leaf; the items of a list by what tells them apart."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and all(isinstance(i, dict) for i in value):
        for item in value:
            key = next((k for k in _KEYS if k in item), "")
            rest = {k: v for k, v in item.items() if k != key}
            yield from flat(rest, f"{path}[{item.get(key, '')}]") if rest else iter([(f"{path}[{item[key]}]", "yes")])
    elif isinstance(value, list):
        if value:
            yield path, ", ".join(map(str, value))
    else:
        yield path, str(value)


def consequences(before: Revision, after: Revision, found: Sequence[Field]) -> Iterator[str]:
    """What the newer one means, in words."""
    judged = [f.path for f in found if f.judged]
    if judged and after.number <= before.number:
        yield f"the API server refuses this: {judged[0]} changes only with a revision above {before.number}"
    if after.number < before.number:
        yield f"the API server refuses this: revision only rises, and {after.number} is below {before.number}"
    if after.since > before.since and after.spec.get("enforcement", "Enforce") == "Enforce":
        yield f"approvals given under revisions before {after.since} count no longer: what runs now is a changed subject, and has to be approved anew"
    elif found and after.number > before.number:
        yield f"approvals given since revision {after.since} go on counting (approvals.since)"


def lines(before: Revision, after: Revision, touched: Sequence[str], *, width: int | None) -> Iterator[Line]:
    """The fields that differ, and what follows. touched: the deployments that are judged by it now."""
    found = fields(before.spec, after.spec)
    yield Line(f"QMSProcedure {after.name}: {before.label} (revision {before.number}) → {after.label} (revision {after.number})", "bold")
    if not found:
        yield Line("  nothing differs", "green")
        return
    yield from _stacked(found, width) if width is not None and width < _STACKED else _side_by_side(before, after, found, width)
    yield Line("")
    for said in consequences(before, after, found):
        yield from wrapped(said, "  ! ", "    ", width, "yellow")
    if touched:
        yield from wrapped(f"judged by it now: {', '.join(touched)}", "  … ", "    ", width)


def _stacked(found: Sequence[Field], width: int | None) -> Iterator[Line]:
    for field in found:
        yield Line(f"  {field.path}", "bold" if field.judged else "")
        yield from wrapped(field.before, "    - ", "      ", width, "red")
        yield from wrapped(field.after, "    + ", "      ", width, "green")


def _side_by_side(before: Revision, after: Revision, found: Sequence[Field], width: int | None) -> Iterator[Line]:
    head = max(len("FIELD"), *(len(f.path) for f in found))
    titles = (f"REVISION {before.number}", f"REVISION {after.number}")
    widest = max(len(titles[0]), *(len(f.before) for f in found))
    column = widest if width is None else max(16, min(widest, (width - head - 6) // 2))
    last = None if width is None else max(16, width - head - column - 6)
    yield Line(f"  {'FIELD'.ljust(head)}  {titles[0].ljust(column)}  {titles[1]}", "bold")
    for field in found:
        path = [field.path]
        cells = zip_longest(path, _cell(field.before, column), _cell(field.after, last), fillvalue="")
        for one, old, new in cells:
            yield Line(f"  {one.ljust(head)}  {old.ljust(column)}  {new}".rstrip(), "yellow" if field.judged else "")


def _cell(text: str, width: int | None) -> list[str]:
    return [text] if width is None else textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False) or [""]
