"""The deployment's part of the Clearance: what admission lets through, until when, and what of it goes on covering pods that run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.clearance import Entry, Term
from aiqms.api.procedure import LapseAction, OnChange, SecretInputs
from aiqms.api.values import Json, duration
from aiqms.policy.approvals import counting, rejections, valid_until
from aiqms.policy.facts import Input, Record, WorkloadFacts
from aiqms.policy.subject import Subject, digest

LIMIT = 32  # entries of one deployment, as the CRD has it


@dataclass(frozen=True)
class Current:
    """The current subject, judged. until: the end of its permission, None while it has none. audit: only procedures in Audit apply.

    stopped: a Stop stands, or an Emergency went without its review: nothing is permitted. editors: who last changed what is approved, where known.
    """

    subject: Subject | None
    terms: tuple[Term, ...]
    until: datetime | None
    secrets: SecretInputs = SecretInputs.ROTATABLE
    risk_class: str = ""
    audit: bool = False
    stopped: bool = False
    editors: tuple[str, ...] = ()


def evolved(given: Input, current: Current, now: datetime) -> tuple[Entry, ...]:
    """The entries from now on: the current subject's, then those approved before, newest first; an audit entry before all."""
    fingerprint = current.subject.fingerprint if current.subject else None
    templates = _templates(given)
    own = current_entries(given, current, [e for e in templates if e.fingerprint == fingerprint], now)
    before = [e for e in templates if e.fingerprint != fingerprint] + after_audit(given, current, own, now)
    older = superseded_entries(given, current, before, now, own=own)
    if current.stopped:
        return lapsed((*own, *older), now)[:LIMIT]
    audit = (Entry(audit=True),) if current.audit else ()
    return (*audit, *own, *older)[:LIMIT]


def lapsed(entries: Iterable[Entry], now: datetime) -> tuple[Entry, ...]:
    """The same entries, admitting nothing any more; what their records say may bring them back."""
    return tuple(e.model_copy(update={"valid_until": _no_later(e, now)}) for e in entries if not e.audit)


def current_entries(given: Input, current: Current, before: Sequence[Entry], now: datetime) -> list[Entry]:
    """Cleared anew while permitted; else what was cleared has lapsed, which admits nothing from now on."""
    if current.subject and current.until and not current.audit:
        return _cleared(given.workloads, current, current.subject, current.until)
    terms = list(current.terms)
    return [e.model_copy(update={"valid_until": _no_later(e, now), "superseded": None, "terms": terms or e.terms}) for e in before]


def _cleared(workloads: Sequence[WorkloadFacts], current: Current, subject: Subject, until: datetime) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for workload in workloads:
        if workload.digest not in entries:
            entries[workload.digest] = Entry(
                fingerprint=subject.fingerprint,
                valid_until=until,
                components=subject.components.dump(),
                risk_class=current.risk_class,
                terms=list(current.terms),
                editors=list(current.editors),
                inputs=dict(workload.inputs) | (dict.fromkeys(workload.secrets, "") if current.secrets is SecretInputs.FROZEN else {}),
                rotating=[] if current.secrets is SecretInputs.FROZEN else list(workload.secrets),
                template=workload.template,
            )
    return list(entries.values())


def after_audit(given: Input, current: Current, own: Sequence[Entry], now: datetime) -> list[Entry]:
    """When Audit ends, pods that it let through go on as after a lapse: an expired entry for each of their templates covers them.

    Its fingerprint stands for no subject.
    """
    if current.audit or not any(e.audit for e in given.entries):
        return []
    running = distinct(p.template for p in given.pods if not p.held and not p.before and not covers((*own, *_templates(given)), p.template))
    terms = [t.model_copy(update={"on_change": OnChange()}) for t in current.terms]
    return [Entry(fingerprint=digest({"audit": t}), valid_until=now, superseded=now, terms=terms, template=t) for t in running]


def _templates(given: Input) -> list[Entry]:
    return [e for e in given.entries if not e.audit]


def superseded_entries(given: Input, current: Current, before: Sequence[Entry], now: datetime, *, own: Sequence[Entry]) -> list[Entry]:
    """Subjects approved before: admitted while their approvals (and onChange.grace) last, kept while pods of them run or nothing newer is cleared."""
    marked = [rejudged(e.model_copy(update={"superseded": e.superseded or now}), given, now) for e in before]
    ordered = sorted(marked, key=lambda e: e.superseded or now, reverse=True)
    served = distinct(p.template for p in given.pods if not p.held and not covers(own, p.template))
    last = None if any(is_live(e, now) for e in own) or not ordered else ordered[0].fingerprint
    kept = [e for e in ordered if not is_over(e, given.records, now)]
    return [e for e in kept if e.fingerprint == last or e.template in served]


def rejudged(entry: Entry, given: Input, now: datetime) -> Entry:
    """A subject approved before, held against the terms that it was cleared under, its records and its inputs as they are now."""
    ends = [end for _, end in term_ends(entry, given.records)]
    roles = [r.role for t in entry.terms or [] for r in t.roles]
    bad = inputs_changed(entry, given.workloads) or rejections(given.records, fingerprint=entry.fingerprint or "", roles=roles)
    if not ends and not bad:
        return entry
    end = min((e for e in ends if e), default=None)
    if bad or end is None or None in ends or end <= now:
        return entry.model_copy(update={"valid_until": _no_later(entry, min(end, now) if end and None not in ends and not bad else now)})
    return entry.model_copy(update={"valid_until": end})


def term_ends(entry: Entry, records: Sequence[Record]) -> list[tuple[Term, datetime | None]]:
    """Each term of the entry, and when its approvals end (or ended)."""
    fingerprint, editors = entry.fingerprint or "", entry.editors or ()
    return [(t, valid_until(t, counting(t, records, fingerprint=fingerprint, editors=editors))) for t in entry.terms or []]


def _no_later(entry: Entry, at: datetime) -> datetime:
    return min(entry.valid_until or at, at)


def inputs_changed(entry: Entry, workloads: Sequence[WorkloadFacts]) -> bool:
    """Whether something that the cleared template reads is seen with other content: frozen forbids it, so nobody relies on that alone."""
    seen: dict[str, str] = {}
    for workload in workloads:
        seen |= workload.inputs
    return any(value and seen.get(name, value) != value for name, value in (entry.inputs or {}).items())


def is_live(entry: Entry, now: datetime) -> bool:
    """Whether admission lets pods of it through now."""
    return bool(entry.audit) or bool(entry.valid_until and now < entry.valid_until)


def is_over(entry: Entry, records: Sequence[Record], now: datetime) -> bool:
    """Whether even the pods of it that run have to stop: onLapse's grace, or onChange's, has passed."""
    return any(at <= now for at in (stop_at(entry, records, now), grace_end(entry)) if at)


def grace_end(entry: Entry) -> datetime | None:
    """When a superseded subject ends for its successor's sake: the shortest onChange.grace, counted from superseded."""
    graces = [duration(t.on_change.grace) for t in entry.terms or [] if t.on_change.grace]
    return entry.superseded + min(graces) if entry.superseded and graces else None


def stop_at(entry: Entry, records: Sequence[Record], now: datetime) -> datetime | None:
    """When the pods of a lapsed entry are stopped: by onLapse of the procedures that lapsed, the earliest. None: never, or not lapsed."""
    if entry.audit or entry.valid_until is None or now < entry.valid_until:
        return None
    ends = term_ends(entry, records)
    ended = [(t, end) for t, end in ends if end is None or end <= now] or ends  # all hold: something else than approvals lapsed
    stops = [lapse_stop(t, max(end, entry.valid_until) if end and end <= now else entry.valid_until) for t, end in ended]
    return min((s for s in stops if s), default=None)


def lapse_stop(term: Term, lapsed: datetime) -> datetime | None:
    """onLapse of one procedure: Stop at once, Hold after its grace, Hold without grace never."""
    match term.on_lapse.action, term.on_lapse.grace:
        case LapseAction.STOP, _:
            return lapsed
        case _, None:
            return None
        case _, grace:
            return lapsed + duration(grace)


def orphan_stop(entries: Sequence[Entry], deleted: datetime) -> datetime | None:
    """When the pods of a deployment whose register entry was deleted are stopped: by onLapse of its last procedures, the earliest."""
    stops = [lapse_stop(t, deleted) for e in entries if not e.superseded for t in e.terms or []]
    return min((s for s in stops if s), default=None)


def covers(entries: Iterable[Entry], template: Json) -> bool:
    """Whether any of the entries has this template."""
    return any(e.audit or e.template == template for e in entries)


def distinct(templates: Iterable[Json]) -> list[Json]:
    """Each template once, in order."""
    found: list[Json] = []
    for template in templates:
        if template not in found:
            found.append(template)
    return found


def inputs_of(entries: Mapping[str, Sequence[Entry]], now: datetime) -> tuple[list[str], list[str]]:
    """What admission freezes for the namespace: inputs (content) and rotating (keys), of the live entries only; frozen wins."""
    live = [e for each in entries.values() for e in each if is_live(e, now)]
    frozen = {name for e in live for name in e.inputs or {}}
    return sorted(frozen), sorted({name for e in live for name in e.rotating or []} - frozen)
