"""What is decided about, as lines for the person who decides. Pure: the facts and the width are given."""

from __future__ import annotations

from collections.abc import Iterator

from aiqms.api.values import Json
from aiqms.cli.case import Case
from aiqms.cli.change import Change
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant
from aiqms.policy.words import plural, short

_COLUMN = 14  # of the component's values


def subject(case: Case, change: Change, fingerprint: str, *, width: int | None) -> Iterator[Line]:
    """The whole: what it is, what changed, and who approved so far."""
    yield Line(f"{case.name} in namespace {case.namespace}", "bold")
    yield Line(f"  {fingerprint}")
    if fingerprint == case.fingerprint:
        yield from components(case, change, width=width)
        yield from since(change, width=width)
        yield from warnings(case, width=width)
        yield from so_far(case, width=width)
    else:
        yield from wrapped(_beforehand(case), "  ! ", "    ", width, "yellow")


def _head(name: str) -> str:
    return f"  {name}".ljust(_COLUMN)


def _beforehand(case: Case) -> str:
    if case.deployment is None:
        return f"no AIModelDeployment {case.name} is registered here yet: the record counts when one with this subject appears; be sure where you have it from"
    if case.fingerprint is None:
        return "the current subject is not known yet: the record counts when this one appears"
    return f"this is not the current subject ({short(case.fingerprint)}): the record counts when it appears; be sure where you have it from"


def components(case: Case, change: Change, *, width: int | None) -> Iterator[Line]:
    """Each component in words, marked where it changed."""
    for name, text in _described(case):
        changed = name in change.components
        yield from wrapped(text + ("  (changed)" if changed else ""), _head(name), " " * _COLUMN, width, "yellow" if changed else "")


def _described(case: Case) -> Iterator[tuple[str, str]]:
    spec = (case.deployment or {}).get("spec") or {}
    model = spec.get("model") or {}
    yield "model", f"{model.get('name')} {model.get('version')}, {model.get('uri')}, {short(model.get('digest'))}"
    data = (f"{d['name']} {d['version']} ({d['use']}, {d['classification']}, {short(d['digest'])})" for d in spec.get("datasets") or [])
    yield "data", "; ".join(data) or "none declared"
    yield "purpose", f"{spec.get('intendedPurpose')} (risk class {spec.get('riskClass')}, {spec.get('role')})"
    yield "workload", ", ".join(f"{w['kind']}/{w['name']}" for w in spec.get("workloads") or [])
    seen = (f"{p['name']} revision {p['revision']}{' (Audit)' if p.get('enforcement') == 'Audit' else ''}" for p in case.status.get("procedures") or [])
    yield "procedures", ", ".join(seen) or "none applies"


def since(change: Change, *, width: int | None) -> Iterator[Line]:
    """What changed since the last approval, line by line."""
    if change.since:
        until = f", cleared until {instant(change.until)}" if change.until else ""
        yield Line("")
        yield from wrapped(f"Changed since {short(change.since)}{until}: {', '.join(change.components) or 'nothing'}", "  ", "    ", width, "bold")
    elif not change.unseen:
        yield Line("")
        yield Line("  This subject itself was approved last." if change.cleared else "  Nothing of it was approved before.", "bold")
    for part in change.parts:
        yield Line(f"    {part.what}")
        for line in part.lines:
            yield from _difference(line, width)
    for why in change.unseen:
        yield from wrapped(why, "    ? ", "      ", width, "red")


def _difference(line: str, width: int | None) -> Iterator[Line]:
    """On one line where it fits; else what was and what is, one under the other."""
    path, _, values = line.partition(": ")
    before, arrow, after = values.partition(" -> ")
    if width is None or len(line) + 6 <= width or not arrow:
        yield from wrapped(line, "      ", "        ", width, "yellow")
        return
    yield Line(f"      {path}:", "yellow")
    yield Line(f"        - {before}", "red")
    yield Line(f"        + {after}", "green")


def warnings(case: Case, *, width: int | None) -> Iterator[Line]:
    """What a person should know before deciding: every control that warns, and what blocks whatever is approved."""
    told = [c for c in case.status.get("controls") or [] if c["result"] in ("Warn", "Error", "Fail") and not _counted_below(c)]
    if case.behind:
        yield from wrapped("the operator has not looked at the latest change yet: what you see here may be the one before", "  ! ", "    ", width, "red")
    if told:
        yield Line("")
    for control in told:
        mark, style = ("!", "yellow") if control["result"] == "Warn" else ("✗", "red")
        yield from wrapped(f"{control['id']}  {control['message']}", f"  {mark} ", "    ", width, style)


def _counted_below(control: Json) -> bool:
    """Approvals that are missing are counted in their own list."""
    return bool(control["id"].startswith("approvals/") and control["reason"] not in ("Rejected", "AuthorUnknown"))


def so_far(case: Case, *, width: int | None) -> Iterator[Line]:
    """Who approved, role by role."""
    yield Line("")
    yield Line("  Approved so far", "bold")
    labels = _labels(case)
    for label, place in zip(labels, case.places, strict=True):
        people = f": {', '.join(place.by)}" if place.by else ""
        mark, style = ("✗", "red") if place.short else ("✓", "green")
        yield from wrapped(f"{place.given} of {place.required}{people}", f"    {mark} {label.ljust(max(map(len, labels)))}  ", "      ", width, style)
    if not case.places:
        yield Line("    no procedure that applies asks for approvals", "red")


def note(text: str, *, width: int | None) -> Iterator[Line]:
    """Something to know before deciding."""
    yield from wrapped(text, "  ! ", "    ", width, "yellow")


def _labels(case: Case) -> list[str]:
    """The procedure is named only where there are several."""
    several = len({p.procedure for p in case.places}) > 1
    return [f"{p.role} ({p.procedure})" if several else p.role for p in case.places]


def running(case: Case) -> str:
    """How many pods run and wait, in words."""
    pods = case.status.get("pods") or {}
    return f"{plural(pods.get('running', 0), 'pod')} running, {pods.get('held', 0)} held"
