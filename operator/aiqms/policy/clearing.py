"""The deployment's part of the Clearance: what admission lets through, until when, and what of it goes on covering pods that run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.clearance import Entry, Term
from aiqms.api.deployment import RiskClass
from aiqms.api.procedure import LapseAction, OnChange, SecretInputs
from aiqms.api.values import FOREVER, Json, later
from aiqms.policy.approvals import Records, rejections, valid_until
from aiqms.policy.digests import digest
from aiqms.policy.emergency import BreakGlass
from aiqms.policy.facts import Input, PodFacts, WorkloadFacts
from aiqms.policy.subject import Subject

Glass = Mapping[str, Sequence[BreakGlass]]  # the Emergencies that count, by procedure
_NONE: Glass = {}
LIMIT = 32  # entries of one deployment, as the CRD has it


@dataclass(frozen=True)
class Current:
    """The current subject, judged. until: the end of its permission, None while it has none. audit: only procedures in Audit apply.

    stopped: a Stop stands, or an Emergency went without its review: nothing is permitted. editors: who changed what is approved, where known.
    barred: a control fails that judges what surrounds all pods, also those of what was approved before; unfit: templates of that which fail one themselves.
    """

    subject: Subject | None
    terms: tuple[Term, ...]
    until: datetime | None
    risk_class: RiskClass
    secrets: SecretInputs = SecretInputs.ROTATABLE
    audit: bool = False
    stopped: bool = False
    editors: tuple[str, ...] = ()
    barred: bool = False
    unfit: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Kept:
    """An entry and when even the pods of it that run have to stop; None: never, or not known yet."""

    entry: Entry
    stop: datetime | None

    def over(self, now: datetime) -> bool:
        """Whether it covers no pod any more."""
        return self.stop is not None and self.stop <= now


def kept(entry: Entry, records: Records, now: datetime) -> Kept:
    """stop: by onLapse once its permission has ended, or by onChange."""
    return Kept(entry, min((at for at in (lapse_end(entry, records, now), grace_end(entry)) if at), default=None))


def evolved(given: Input, current: Current, records: Records, now: datetime) -> tuple[Entry, ...]:
    """The entries from now on: the current subject's, then those approved before, newest first; an audit entry before all."""
    fingerprint = current.subject.fingerprint if current.subject else None
    own = current_entries(given, current, [e for e in given.entries if not e.audit and e.fingerprint == fingerprint], now)
    before = [e for e in given.entries if not e.audit and e.fingerprint != fingerprint]
    covering = [e for e in own if not kept(e, records, now).over(now)]
    ended = after_audit(given, current, [*covering, *(e for e in before if not kept(e, records, now).over(now))], now)
    older = superseded_entries(given, current, [*before, *ended], records, now, own=covering)
    if current.stopped:
        return halted((*own, *older), now)[:LIMIT]
    audit = (Entry(audit=True),) if current.audit else ()
    return (*audit, *own, *older)[:LIMIT]


def halted(entries: Iterable[Entry], now: datetime) -> tuple[Entry, ...]:
    """The same entries, admitting nothing while a Stop stands; their records bring them back afterwards."""
    return tuple(_shortened(e, now) for e in entries if not e.audit)


def capped(entries: Iterable[Entry], end: datetime) -> tuple[Entry, ...]:
    """The same entries, admitting nothing from then on: an Emergency whose review is missing by then stops the deployment, operator or not."""
    return tuple(e if e.audit else _shortened(e, end) for e in entries)


def carried_on(given: Input, records: Records, now: datetime, glass: Glass) -> tuple[Entry, ...]:
    """While the register entry, a procedure or an input cannot be read: nothing new is given, and what ends or is taken back ends all the same."""
    return tuple(e if e.audit else _shortened(e, rejudged(e, given, records, now, glass).valid_until or now) for e in given.entries)


def _shortened(entry: Entry, at: datetime) -> Entry:
    return entry.model_copy(update={"valid_until": min(entry.valid_until or at, at)})


def current_entries(given: Input, current: Current, before: Sequence[Entry], now: datetime) -> list[Entry]:
    """Cleared anew while permitted; else what was cleared has lapsed, which admits nothing from now on."""
    if current.subject and current.until and not current.audit:
        return _cleared(given.workloads, current, current.subject, current.until)
    terms = list(current.terms)
    return [_shortened(e, now).model_copy(update={"superseded": None, "terms": terms or e.terms}) for e in before]


def _cleared(workloads: Sequence[WorkloadFacts], current: Current, subject: Subject, until: datetime) -> list[Entry]:
    entries: dict[str, Entry] = {}
    for workload in workloads:
        if workload.digest not in entries:
            frozen = workload.secrets if current.secrets is SecretInputs.FROZEN else ()
            entries[workload.digest] = Entry(
                fingerprint=subject.fingerprint,
                valid_until=until,
                components=subject.components.dump(),
                risk_class=current.risk_class,
                terms=list(current.terms),
                editors=list(current.editors) or None,
                inputs=dict(workload.inputs) | dict.fromkeys(frozen, ""),
                rotating=[] if frozen else list(workload.secrets),
                template=workload.template,
            )
    return list(entries.values())


def after_audit(given: Input, current: Current, covering: Sequence[Entry], now: datetime) -> list[Entry]:
    """When Audit ends, pods that it let through go on as after a lapse: an expired entry for each of their templates covers them.

    Its fingerprint stands for no subject.
    """
    if current.audit or not any(e.audit for e in given.entries):
        return []
    loose = distinct(p.template for p in running(given.pods) if not covers(covering, p.template))
    return [Entry(fingerprint=digest({"audit": t}), valid_until=now, superseded=now, terms=_lapse_terms(current), template=t) for t in loose]


def _lapse_terms(current: Current) -> list[Term]:
    """For what no procedure cleared: onLapse of those that apply now, and no onChange, for nothing of it was approved before."""
    return [t.model_copy(update={"on_change": OnChange()}) for t in current.terms]


def superseded_entries(given: Input, current: Current, before: Sequence[Entry], records: Records, now: datetime, *, own: Sequence[Entry]) -> list[Entry]:
    """Subjects approved before: admitted while their approvals (and onChange.grace) last, kept while they cover pods that run.

    The one approved last is kept while nothing newer is cleared: new pods of it may come, and people see what has changed since.
    """
    marked = [e.model_copy(update={"superseded": e.superseded or now, "terms": e.terms or _lapse_terms(current)}) for e in before]
    ordered = sorted(
        (rejudged(e, given, records, now, fit=not current.barred and e.template not in current.unfit) for e in marked),
        key=lambda e: e.superseded or now,
        reverse=True,
    )
    served = distinct(p.template for p in given.pods if not p.held and not covers(own, p.template))
    last = None if any(is_live(e, now) for e in own) else next((e.fingerprint for e in ordered if e.components), None)
    return [e for e in ordered if e.fingerprint == last or (e.template in served and not kept(e, records, now).over(now))]


def rejudged(entry: Entry, given: Input, records: Records, now: datetime, glass: Glass = _NONE, *, fit: bool = True) -> Entry:
    """A subject approved before, held against the terms that it was cleared under, its records and its inputs as they are now.

    fit: whether the controls that judge it too hold.
    glass: the Emergencies that count for it; none once it is superseded, for an Emergency clears the current subject alone.
    """
    end = None if not fit or inputs_changed(entry, given.workloads) else _permitted_until(entry, records, glass)
    if end is None or end <= now:
        return _shortened(entry, now)
    return entry.model_copy(update={"valid_until": min(end, grace_end(entry) or FOREVER)})


def _permitted_until(entry: Entry, records: Records, glass: Glass) -> datetime | None:
    """When the first of its terms lapses; None where one is not met, or nobody knows its terms."""
    ends = [None if _rejected(entry, t, records) else _term_or_glass_end(t, entry, records, glass) for t in entry.terms or []]
    known = [e for e in ends if e]
    return min(known) if known and len(known) == len(ends) else None


def term_end(term: Term, entry: Entry, records: Records) -> datetime | None:
    """When the entry's approvals stop being enough for one of its terms."""
    return valid_until(term, records, fingerprint=entry.fingerprint or "", editors=entry.editors or ())


def _term_or_glass_end(term: Term, entry: Entry, records: Records, glass: Glass) -> datetime | None:
    broken = [g.until for g in glass.get(term.procedure, ()) if g.record.spec.subject == entry.fingerprint]
    return max((end for end in (term_end(term, entry, records), *broken) if end), default=None)


def _rejected(entry: Entry, term: Term, records: Records) -> bool:
    return bool(rejections(records, fingerprint=entry.fingerprint or "", roles=[r.role for r in term.roles]))


def inputs_changed(entry: Entry, workloads: Sequence[WorkloadFacts]) -> bool:
    """Whether something that the cleared template reads is seen with other content: frozen forbids it, so nobody relies on that alone."""
    seen: dict[str, str] = {}
    for workload in workloads:
        seen |= workload.inputs
    return any(value and seen.get(name, value) != value for name, value in (entry.inputs or {}).items())


def is_live(entry: Entry, now: datetime) -> bool:
    """Whether admission lets pods of it through now."""
    return bool(entry.audit) or bool(entry.valid_until and now < entry.valid_until)


def grace_end(entry: Entry) -> datetime | None:
    """When a superseded subject ends for its successor's sake: the shortest onChange.grace, counted from superseded."""
    superseded = entry.superseded
    return min((later(superseded, t.on_change.grace) for t in entry.terms or [] if t.on_change.grace), default=None) if superseded else None


def lapse_end(entry: Entry, records: Records, now: datetime) -> datetime | None:
    """When the pods of a lapsed entry are stopped: by onLapse of each procedure that has lapsed, the earliest. None: never, or not lapsed.

    Where no approval was missing when the permission ended, something else lapsed, which every procedure forbids.
    """
    lapsed = entry.valid_until
    if entry.audit or lapsed is None or now < lapsed:
        return None
    ends = [(t, term_end(t, entry, records)) for t in entry.terms or []]
    first = [t for t, end in ends if end is None or end <= lapsed or _rejected(entry, t, records)] or [t for t, _ in ends]
    later_on = [lapse_stop(t, end) for t, end in ends if end and lapsed < end <= now]
    return min((at for at in (*(lapse_stop(t, lapsed) for t in first), *later_on) if at), default=None)


def lapse_stop(term: Term, lapsed: datetime) -> datetime | None:
    """onLapse of one procedure: Stop at once, Hold after its grace, Hold without grace never."""
    match term.on_lapse.action, term.on_lapse.grace:
        case LapseAction.STOP, _:
            return lapsed
        case _, None:
            return None
        case _, grace:
            return later(lapsed, grace)


def orphan_stop(entries: Sequence[Entry], deleted: datetime) -> datetime | None:
    """When the pods of a deployment whose register entry was deleted are stopped: by onLapse of its last procedures, the earliest.

    What had lapsed or been superseded before goes on counting from then. Audit stops nothing.
    """
    if any(e.audit for e in entries):
        return None
    last = [e for e in entries if not e.superseded] or entries
    stops = [lapse_stop(t, min(e.valid_until or deleted, deleted)) for e in last for t in e.terms or []]
    return min((at for at in (*stops, *(grace_end(e) for e in last)) if at), default=None)


def running(pods: Iterable[PodFacts]) -> list[PodFacts]:
    """Those that run, are not going, and are not older than the Clearance: the ones that the sweep looks at."""
    return [p for p in pods if not p.held and not p.going and not p.before]


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
