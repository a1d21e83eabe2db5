"""decide: everything about one deployment, from an Input and the time. Pure and total; deciding twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aiqms.api import conditions
from aiqms.api.clearance import Entry, Orphan
from aiqms.api.conditions import Reason, Said, Type
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus, Lifecycle, Phase, RiskClass
from aiqms.api.procedure import Enforcement, SecretInputs
from aiqms.api.record import Decision as What
from aiqms.api.values import FOREVER, duration
from aiqms.policy import retention
from aiqms.policy.approvals import Quorum, Records, quorum, sifted, until
from aiqms.policy.chain import judged, shown
from aiqms.policy.checks import TERMS, Facts, Row
from aiqms.policy.clearing import Current, Kept, capped, carried_on, covers, evolved, halted, is_live, kept, orphan_stop, running
from aiqms.policy.emergency import BreakGlass, emergencies
from aiqms.policy.facts import Broken, Decision, Input, PodFacts, Procedure, Record, Removal
from aiqms.policy.network import turns
from aiqms.policy.older import barred, unfit
from aiqms.policy.pods import releases, removals, stopped, uncovered
from aiqms.policy.procedures import term
from aiqms.policy.records import Standing, remembering, unregistered, verdicts
from aiqms.policy.reviews import confirmed, due_times
from aiqms.policy.status import NOTICES, pod_counts, served, serving, status, told
from aiqms.policy.stops import standing_stops
from aiqms.policy.subject import Subject, subject


def decide(given: Input, now: datetime) -> Decision:
    """What follows from the facts at this time. now: aware."""
    given, records = _ordered(given), sifted(given.records)
    if isinstance(given.spec, Broken):
        return _broken(given, given.spec, records, now)
    facts = ready(given, given.spec, records, now)
    rows = judged(facts)
    entries = _kept(_entries(facts, rows), records, now)
    decided = replace(facts, approved=_approved([k.entry for k in entries]))
    own = {facts.subject.fingerprint: facts.quorums} if facts.subject else {}
    at = replace(_standing(given, entries, records, own, now), glass=_every_glass(facts))
    return _carried_out(given, status(decided, [*rows, *shown(decided)], entries), entries, at, halt=_halt(facts))


def _every_glass(facts: Facts) -> list[BreakGlass]:
    """The first that a record's verdict finds is of a procedure that applies."""
    return [g for each in (*facts.glass.values(), *facts.left.values()) for g in each]


def _halt(facts: Facts) -> str:
    """Why every pod has to end; empty where none has to for that."""
    return _order(facts.stops) or ("an emergency was not reviewed in time" if facts.unreviewed and facts.given.governed else "")


def _order(stops: Sequence[Record]) -> str:
    return f"stopped by {stops[0].person} (apr/{stops[0].name})" if stops else ""


def _stops(given: Input, records: Records) -> list[Record]:
    """In a namespace that the gate does not judge nothing is stopped: its controllers would make pods anew for ever."""
    return standing_stops(records, given.stopping) if given.governed else []


def _editors(given: Input, fingerprint: str) -> tuple[str, ...]:
    """Who made a subject what it is: those noted now, and those known of it when it was cleared, should the deployment have gone back to it."""
    return tuple(sorted({*given.people, *(name for e in given.entries if e.fingerprint == fingerprint for name in e.editors or ())}))


def _ordered(given: Input) -> Input:
    """Caches list in any order: no order of facts may change an answer, or a message that names one of many."""
    return replace(
        given,
        procedures=tuple(sorted(given.procedures, key=lambda p: p.name if isinstance(p, Procedure) else p[0])),
        workloads=tuple(sorted(given.workloads, key=lambda w: (w.ref.api_version, str(w.ref)))),
        pods=tuple(sorted(given.pods, key=lambda p: p.name)),
    )


def _kept(entries: Sequence[Entry], records: Records, now: datetime) -> tuple[Kept, ...]:
    return tuple(kept(e, records, now) for e in entries)


def _standing(given: Input, entries: Sequence[Kept], records: Records, own: Mapping[str, Sequence[Quorum]], now: datetime) -> Standing:
    """own: the quorums of the current subject. The others that stay cleared have theirs under the terms of their entries."""
    live = {k.entry.fingerprint: k.entry for k in entries if k.entry.fingerprint and is_live(k.entry, now)}
    quorums = {
        fingerprint: [quorum(t, records, fingerprint=fingerprint, now=now, editors=e.editors or ()) for t in e.terms or []]
        for fingerprint, e in live.items()
        if fingerprint not in own
    }
    editors = {fingerprint: e.editors or [] for fingerprint, e in live.items()} | {of: _editors(given, of) for of in own}
    seen = {e.fingerprint for e in (*given.entries, *(k.entry for k in entries)) if e.fingerprint}
    current = next(iter(own), None)
    return Standing(
        records,
        current,
        quorums={**quorums, **own},
        seen=seen,
        now=now,
        stop_roles=given.stopping,
        editors=editors,
        governed=given.governed,
        confirmed=confirmed(given),
    )


def _carried_out(given: Input, answer: DeploymentStatus, entries: Sequence[Kept], at: Standing, *, halt: str) -> Decision:
    """What the entries and the records mean for pods and people. halt: why every pod has to end, if so."""
    plain = tuple(k.entry for k in entries)
    orphan = _orphan(given, entries, at.now)
    return Decision(
        status=answer,
        entries=plain,
        records=verdicts(at),
        releases=releases(given.pods, plain, at.now),
        removals=_ended(given, entries, orphan, lambda p: _why(p, given, answer), at.now, halt=halt) if given.governed else (),
        halted=bool(halt),
        marks=_marks(given, at.records),
        told=told(given, answer),
        orphan=orphan,
        wake=_wake(given, entries, orphan, at),
    )


def _ended(given: Input, entries: Sequence[Kept], orphan: Orphan | None, why: Callable[[PodFacts], str], now: datetime, *, halt: str) -> tuple[Removal, ...]:
    return stopped(given.pods, halt) if halt else removals(given.pods, entries, orphan, why, now)


def _marks(given: Input, records: Records) -> dict[str, bool]:
    """Which Stop records have to gain or lose the mark by which admission refuses new pods, with no operator running."""
    standing = {s.name for s in _stops(given, records)}
    return {r.name: r.name in standing for r in given.records if r.spec.decision is What.STOP and r.marked != (r.name in standing)}


def _why(pod: PodFacts, given: Input, answer: DeploymentStatus) -> str:
    """Why a pod is stopped, in words for an event."""
    if answer.phase in (Phase.RETIRED, Phase.PROHIBITED):
        return f"AIModelDeployment {given.name} is {answer.phase}"
    return "its clearance has ended, and onLapse or onChange stops it" if covers(given.entries, pod.template) else "no clearance covers it"


def deregistered(given: Input, now: datetime) -> Decision:
    """For a name that pods, records or the Clearance bear and the register does not: its entries go at once; pods that run are stopped as onLapse says."""
    records = sifted(given.records)
    said = {r.name: remembering(r, unregistered(r, records, given.stopping, governed=given.governed)) for r in given.records}
    halt = _order(_stops(given, records))
    if not given.governed:
        return Decision(status=DeploymentStatus(), records=said, marks=_marks(given, records))
    since = given.orphan or Orphan(since=now.replace(microsecond=0), stop_at=orphan_stop(given.entries, now))
    orphan = since if running(given.pods) and (given.entries or given.orphan) else None
    wake = orphan.stop_at if orphan and orphan.stop_at and now < orphan.stop_at else None
    ended = _ended(given, (), orphan, lambda p: f"AIModelDeployment {given.name} does not exist", now, halt=halt)
    return Decision(DeploymentStatus(), records=said, removals=ended, halted=bool(halt), marks=_marks(given, records), orphan=orphan, wake=wake)


def ready(given: Input, spec: DeploymentSpec, records: Records, now: datetime) -> Facts:
    """The subject and its quorums, worked out once for all checks."""
    applying = tuple(p for p in given.procedures if isinstance(p, Procedure))
    found = _last_known(given) if _unreadable(given) else subject(spec, workloads=given.workloads, procedures=applying)
    fingerprint = found.fingerprint if found else ""
    by = _editors(given, fingerprint)
    return Facts(
        given=given,
        spec=spec,
        records=records,
        procedures=applying,
        subject=found,
        quorums=tuple(quorum(term(p), records, fingerprint=fingerprint, now=now, editors=by) for p in applying),
        now=now,
        stops=tuple(_stops(given, records)),
        glass={p.name: emergencies(p, records) for p in applying},
        left={e.procedure.name: tuple(g for g in emergencies(e.procedure, records) if g.record.name in e.emergencies) for e in given.elsewhere},
    )


def _unreadable(given: Input) -> bool:
    """Whether something is missing without which nobody can tell the subject."""
    return bool(given.unreadable) or any(not isinstance(p, Procedure) for p in given.procedures)


def _last_known(given: Input) -> Subject | None:
    """The last good result counts (invariant 7)."""
    before = given.before.subject
    return Subject(before.fingerprint, before.components) if before else None


def _approved(entries: Sequence[Entry]) -> Entry | None:
    """The entry last approved: the one not superseded, else the one superseded last."""
    return max((e for e in entries if e.components), key=lambda e: e.superseded or FOREVER, default=None)


def _entries(facts: Facts, rows: Sequence[Row]) -> tuple[Entry, ...]:
    """Nothing for what is never cleared; what cannot be read gives nothing new."""
    given = facts.given
    if not given.governed or _never(given):
        return ()
    if _unreadable(given):
        entries = carried_on(given, facts.records, facts.now, facts.glass)
        entries = halted(entries, facts.now) if _halt(facts) else entries
    else:
        entries = evolved(given, _current(facts, rows), facts.records, facts.now)
    return capped(entries, facts.review_due) if facts.review_due else entries


def _never(given: Input) -> bool:
    return isinstance(given.spec, DeploymentSpec) and (given.spec.risk_class is RiskClass.PROHIBITED or given.spec.lifecycle is Lifecycle.RETIRED)


def _current(facts: Facts, rows: Sequence[Row]) -> Current:
    enforced = [(p, q) for p, q in zip(facts.procedures, facts.quorums, strict=True) if p.spec.enforcement is Enforcement.ENFORCE]
    ends = [_end(facts, p, q) for p, q in enforced]
    permitted = bool(ends) and all(e and facts.now < e for e in ends) and not any(r.blocks for r in rows)
    frozen = any(p.spec.inputs.secrets is SecretInputs.FROZEN for p, _ in enforced)
    return Current(
        subject=facts.subject,
        terms=tuple(q.term for _, q in enforced) if len(enforced) <= TERMS else (),
        until=min(e for e in ends if e) if permitted else None,
        secrets=SecretInputs.FROZEN if frozen else SecretInputs.ROTATABLE,
        risk_class=facts.spec.risk_class,
        audit=facts.audit,
        stopped=bool(_halt(facts)),
        editors=_editors(facts.given, facts.subject.fingerprint) if facts.subject else (),
        barred=barred(facts, rows),
        unfit=tuple(e.template for e in facts.given.entries if e.template is not None and unfit(facts, e)),
    )


def _end(facts: Facts, procedure: Procedure, of: Quorum) -> datetime | None:
    """When the procedure's permission ends: with its approvals, or with an Emergency that lasts longer."""
    glass = facts.emergency(procedure)
    return max((e for e in (of.until, glass.until if glass else None) if e), default=None)


def _orphan(given: Input, entries: Sequence[Kept], now: datetime) -> Orphan | None:
    """A deployment that is registered again keeps its pods' time until what runs is covered or gone; what is never cleared has none."""
    if not given.governed or _never(given):
        return None
    return given.orphan if uncovered(given.pods, entries, now) else None


def _wake(given: Input, entries: Sequence[Kept], orphan: Orphan | None, at: Standing) -> datetime | None:
    """When time alone changes something: an end and its notices, a grace, a review date, an approval, an emergency."""
    ends = [end for k in entries for end in (k.entry.valid_until, k.stop, *_notices(k.entry.valid_until))]
    ends += [end for g in at.glass for end in (g.until, g.due)]
    ends += turns(given)
    ends += retention.turns(given)
    ends += due_times(given, at.records)
    reviews = [p.spec.review_by for p in given.procedures if isinstance(p, Procedure)]
    asked = [(fingerprint, q.term) for fingerprint, each in at.quorums.items() for q in each]
    asked += [(k.entry.fingerprint, t) for k in entries if k.entry.fingerprint for t in k.entry.terms or []]
    approvals = [until(r, role) for of, t in asked for r in at.records.approvals.get(of, ()) for role in t.roles if role.role == r.spec.role]
    stop = orphan.stop_at if orphan else None
    return min((end for end in (*ends, *reviews, *approvals, stop) if end and at.now < end < FOREVER), default=None)


def _notices(end: datetime | None) -> list[datetime]:
    return [end - duration(n) for n in NOTICES] if end and end < FOREVER else []


def _broken(given: Input, broken: Broken, records: Records, now: datetime) -> Decision:
    """The register entry cannot be read: what was decided last goes on counting, the status says what is wrong, and a Stop stops all the same."""
    said = [Said(Type.READY, "False", Reason.INVALID, broken.message), Said(Type.STALLED, "True", Reason.INVALID, broken.message)]
    listed = conditions.merged(said, before=given.before.conditions, generation=given.generation, now=now)
    halt = _order(_stops(given, records))
    entries = _kept(_unjudged(given, records, now, halt=halt), records, now)
    own = given.before.subject.fingerprint if given.before.subject else None
    answer = given.before.model_copy(
        update={
            "observed_generation": given.generation,
            "phase": Phase.STOPPED if halt else served(entries, own, now),
            "serving": serving(entries, now),
            "pods": pod_counts(given),
            "conditions": listed,
        }
    )
    return _carried_out(given, answer, entries, replace(_standing(given, entries, records, {}, now), current=own), halt=halt)


def _unjudged(given: Input, records: Records, now: datetime, *, halt: str) -> tuple[Entry, ...]:
    """Which procedures apply is not known, so an Emergency goes on no longer."""
    entries = carried_on(given, records, now, {}) if given.governed else ()
    return halted(entries, now) if halt else entries
