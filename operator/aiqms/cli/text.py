"""An explanation as lines for a terminal. Pure: the width is given, and colour is a style beside the text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import yaml

from aiqms.api.deployment import Result
from aiqms.cli.explanation import Answers, Explanation, Row, Step
from aiqms.cli.remedies import Way
from aiqms.policy.words import short

MARKS = {Result.PASS: "✓", Result.FAIL: "✗", Result.WARN: "!", Result.ERROR: "?", Result.SKIP: "–"}
STYLES = {Result.PASS: "green", Result.FAIL: "red", Result.WARN: "yellow", Result.ERROR: "red", Result.SKIP: "dim"}
_GAP = 10  # columns between headline and subject
_NARROW = 100  # columns below which messages stand in no column of their own


class Line(NamedTuple):
    """A line and its style in rich's words; empty: plain."""

    text: str
    style: str = ""


def lines(explanation: Explanation, *, width: int | None) -> Iterator[Line]:
    """The whole text. width: columns to wrap at, None for never. What is to be pasted is never wrapped."""
    yield from _headline(explanation, width)
    narrow = width is not None and width < _NARROW
    column = 0 if narrow else max((len(_label(row, explanation)) for row in explanation.controls), default=0)
    for row in explanation.controls:
        yield from _row(row, _label(row, explanation).ljust(column), width)
    for note in explanation.notes:
        yield from wrapped(note, "  … ", "    ", width)
    if explanation.renewal:
        yield from wrapped("its approvals end soon", "  ! ", "    ", width, "yellow")
        yield from _way(explanation.renewal, width)
    yield from _responsible(explanation.responsibilities, width)
    for step in explanation.steps:
        yield from _step(step)


def _headline(explanation: Explanation, width: int | None) -> Iterator[Line]:
    head, style = f"{explanation.name}  {explanation.headline}", "bold red" if explanation.blocked else "bold green"
    subject = _subject(explanation)
    if not subject:
        yield Line(head, style)
    elif width is None or len(head) + _GAP + len(subject) <= width:
        yield Line(head + " " * _GAP + subject, style)
    else:
        yield Line(head, style)
        yield from wrapped(subject, "  ", "  ", width)


def _subject(explanation: Explanation) -> str:
    changed = f" (changed since last approval: {', '.join(explanation.changed)})" if explanation.changed else ""
    return f"subject {short(explanation.subject)}{changed}" if explanation.subject else ""


def _label(row: Row, explanation: Explanation) -> str:
    """The procedure is named only where there are several."""
    several = len({r.procedure for r in explanation.controls if r.procedure}) > 1
    return f"{row.id} ({row.procedure})" if several and row.procedure else row.id


def _row(row: Row, label: str, width: int | None) -> Iterator[Line]:
    for line in wrapped(row.message, f"  {MARKS[row.result]} {label}  ", " " * 6, width):
        yield Line(line.text, STYLES[row.result])
    if row.way:
        yield from _way(row.way, width)
    if row.mend:
        yield from wrapped(f"to mend: {row.mend.what}", " " * 6, " " * 8, width)
        yield from ([Line(f"      {row.mend.paste}")] if row.mend.paste else [])


def _way(way: Way, width: int | None) -> Iterator[Line]:
    """Who may, and what they run: never wrapped, for it is to be pasted."""
    yield from wrapped(f"who may: {_who(way)}", " " * 6, " " * 8, width)
    if way.command:
        yield Line(f"      {'you run' if way.me else 'they run'}: {way.command}", "bold" if way.me else "")
    if way.bind:
        yield Line(f"      whoever may bind roles there runs: {way.bind}")


def _who(way: Way) -> str:
    names = [*(["you"] if way.me else []), *way.who]
    if names:
        return ", ".join(names) + ("" if way.known else ", perhaps others (you may not read their bindings)")
    if not way.known:
        return "not you; others (you may not read their bindings)"
    return "nobody yet" if way.bind else "nobody, and no ClusterRole gives the role: whoever installs the chart adds it to its value roles"


def _responsible(answers: Sequence[Answers], width: int | None) -> Iterator[Line]:
    """Duties, their roles and who holds these now; a duty that nobody holds stands out."""
    if answers:
        yield Line("")
        yield Line("Responsible (AI Act Art. 17(1)(m))", "bold")
    duty, role = (max((len(getattr(a, part)) for a in answers), default=0) for part in ("duty", "role"))
    for one in answers:
        who = ", ".join(one.who) or ("nobody: a finding" if one.nobody else "not known (you may not read the bindings)")
        head = f"  {'✗' if one.nobody else ' '} {one.duty.ljust(duty)}  {one.role.ljust(role)}  "
        yield from wrapped(who, head, " " * len(head), width, "red" if one.nobody else "")


def wrapped(text: str, first: str, rest: str, width: int | None, style: str = "") -> Iterator[Line]:
    """Text behind `first`, its further lines behind `rest`; one line where width is None. Words are never broken."""
    if width is None:
        yield Line(first + text.replace("\n", " "), style)
        return
    for line in textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False):
        yield Line(line, style)


def _step(step: Step) -> Iterator[Line]:
    """Flush left, so that it can be pasted: a shell wants the closing word at the start of its line."""
    yield Line("")
    yield Line(f"{step.what}:", "bold")
    manifest = yaml.safe_dump(step.manifest, sort_keys=False, width=10_000, allow_unicode=True).splitlines()
    yield from map(Line, ("kubectl apply -f - <<'EOF'", *manifest, "EOF"))
