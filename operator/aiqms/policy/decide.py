"""decide: everything about one deployment, from an Input and the time. Pure and total; deciding twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from aiqms.api import conditions
from aiqms.api.clearance import Entry, Orphan
from aiqms.api.conditions import Reason, Said, Type
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus, Lifecycle, Phase, RiskClass
from aiqms.api.procedure import Enforcement, SecretInputs
from aiqms.api.record import Decision as What
from aiqms.api.values import duration
from aiqms.policy.approvals import Quorum, quorum
from aiqms.policy.chain import judged
from aiqms.policy.checks import Facts, Row, pods
from aiqms.policy.clearing import Current, evolved, grace_end, is_live, lapsed, orphan_stop, stop_at
from aiqms.policy.emergency import emergencies
from aiqms.policy.facts import FOREVER, Broken, Decision, Input, Procedure, Record, Removal
from aiqms.policy.pods import releases, removals, stopped
from aiqms.policy.procedures import term
from aiqms.policy.records import Standing, unregistered, verdicts
from aiqms.policy.status import NOTICES, status, told
from aiqms.policy.stops import standing_stops
from aiqms.policy.subject import subject


def decide(given: Input, now: datetime) -> Decision:
    """What follows from the facts at this time. now: aware."""
    if isinstance(given.spec, Broken):
        return _broken(given, given.spec, now)
    facts = ready(given, given.spec, now)
    rows = judged(facts)
    current = _current(facts, rows)
    entries = _entries(given, given.spec, current, now)
    marks = _marks(given, facts.stops)
    answer = status(facts, [*rows, *pods(facts)], entries)
    let = releases(given.pods, entries, now) if given.governed else ()
    ended = _ended(given, facts, entries, now) if given.governed else ()
    quorums = _quorums_by_subject(facts, entries)
    return Decision(
        status=answer,
        entries=entries,
        records=verdicts(given.records, _standing(facts, quorums)),
        marks=marks,
        releases=let,
        removals=ended,
        told=told(given, answer),
        orphan=_orphan(given, bool(ended), entries),
        wake=_wake(facts, entries),
    )


def deregistered(given: Input, now: datetime) -> Decision:
    """For a name that pods, records or the Clearance bear and the register does not: its entries go at once; pods that run are stopped as onLapse says."""
    since = given.orphan or Orphan(since=now.replace(microsecond=0), stop_at=orphan_stop(given.entries, now))
    running = any(not p.held and not p.before for p in given.pods)
    orphan = since if running and (given.entries or given.orphan) else None
    stops = standing_stops(given.records, given.stop_roles)
    ended = stopped(given.pods, _ordered(stops)) if stops else removals(given.pods, (), given.records, orphan, now)
    wake = orphan.stop_at if orphan and orphan.stop_at and now < orphan.stop_at else None
    return Decision(
        status=DeploymentStatus(),
        records={r.name: unregistered(r, given.records, given.stop_roles) for r in given.records},
        marks=_marks(given, stops),
        removals=ended,
        orphan=orphan,
        wake=wake,
    )


def ready(given: Input, spec: DeploymentSpec, now: datetime) -> Facts:
    """The subject and its quorums, worked out once for all checks."""
    applying = tuple(p for p in given.procedures if isinstance(p, Procedure))
    found = subject(spec, workloads=given.workloads, procedures=applying)
    fingerprint, by = found.fingerprint if found else "", _editors(given)
    return Facts(
        given=given,
        spec=spec,
        procedures=applying,
        subject=found,
        quorums=tuple(quorum(term(p), given.records, fingerprint=fingerprint, now=now, editors=by) for p in applying),
        approved=_approved(given.entries),
        now=now,
        stops=tuple(standing_stops(given.records, given.stop_roles)) if given.governed else (),
        glass={p.name: tuple(emergencies(p, given.records)) for p in applying},
    )


def _editors(given: Input) -> tuple[str, ...]:
    return (given.editor,) if given.editor else ()


def _marks(given: Input, stops: Sequence[Record]) -> dict[str, bool]:
    """Which Stop records have to gain or lose the mark by which admission refuses new pods, with no operator running."""
    standing = {s.name for s in stops}
    return {r.name: r.name in standing for r in given.records if r.spec.decision is What.STOP and r.marked != (r.name in standing)}


def _standing(facts: Facts, quorums: Mapping[str, Sequence[Quorum]]) -> Standing:
    return Standing(
        current=facts.subject.fingerprint if facts.subject else None,
        quorums=quorums,
        now=facts.now,
        stop_roles=facts.given.stop_roles,
        editors=_editors(facts.given),
        glass=tuple(g for each in facts.glass.values() for g in each),
    )


def _ended(given: Input, facts: Facts, entries: Sequence[Entry], now: datetime) -> tuple[Removal, ...]:
    if facts.stops:
        return stopped(given.pods, _ordered(facts.stops))
    if facts.unreviewed:
        return stopped(given.pods, "an emergency was not reviewed in time")
    return removals(given.pods, entries, given.records, given.orphan, now)


def _ordered(stops: Sequence[Record]) -> str:
    return f"stopped by {stops[0].person} (apr/{stops[0].name})"


def _approved(entries: Sequence[Entry]) -> Entry | None:
    """The entry last approved: the one not superseded, else the one superseded last."""
    made = [e for e in entries if not e.audit and e.components]
    return next((e for e in made if not e.superseded), None) or max(made, key=lambda e: e.superseded or FOREVER, default=None)


def _entries(given: Input, spec: DeploymentSpec, current: Current, now: datetime) -> tuple[Entry, ...]:
    """What cannot be read gives nothing and takes nothing: what was cleared stays until its time."""
    if not given.governed or _never(spec):
        return ()
    unknown = given.unreadable or any(not isinstance(p, Procedure) for p in given.procedures)
    return given.entries if unknown else evolved(given, current, now)


def _never(spec: DeploymentSpec) -> bool:
    return spec.risk_class is RiskClass.PROHIBITED or spec.lifecycle is Lifecycle.RETIRED


def _current(facts: Facts, rows: Sequence[Row]) -> Current:
    enforced = [(p, q) for p, q in zip(facts.procedures, facts.quorums, strict=True) if p.spec.enforcement is Enforcement.ENFORCE]
    ends = [_end(facts, p, q) for p, q in enforced]
    permitted = bool(ends) and all(e and facts.now < e for e in ends) and not any(r.blocks for r in rows)
    secrets = SecretInputs.FROZEN if any(p.spec.inputs.secrets is SecretInputs.FROZEN for p, _ in enforced) else SecretInputs.ROTATABLE
    return Current(
        subject=facts.subject,
        terms=tuple(q.term for _, q in enforced),
        until=min(e for e in ends if e) if permitted else None,
        secrets=secrets,
        risk_class=facts.spec.risk_class,
        audit=facts.audit,
        stopped=bool(facts.stops) or facts.unreviewed,
        editors=_editors(facts.given),
    )


def _end(facts: Facts, procedure: Procedure, of: Quorum) -> datetime | None:
    """When the procedure's permission ends: with its approvals, or with an Emergency that lasts longer."""
    glass = facts.emergency(procedure)
    return max((e for e in (of.until, glass.until if glass else None) if e), default=None)


def _quorums_by_subject(facts: Facts, entries: Sequence[Entry]) -> dict[str, list[Quorum]]:
    """The current subject under the procedures that apply; the others that stay cleared under the terms of their entries."""
    found = {
        e.fingerprint: [quorum(t, facts.given.records, fingerprint=e.fingerprint, now=facts.now) for t in e.terms or []]
        for e in entries
        if e.fingerprint and is_live(e, facts.now)
    }
    return found | ({facts.subject.fingerprint: list(facts.quorums)} if facts.subject else {})


def _orphan(given: Input, ended: bool, entries: Sequence[Entry]) -> Orphan | None:
    """A deployment that is registered again keeps its pods' time until what runs is covered, ended or gone."""
    running = any(not p.held and not p.before for p in given.pods)
    return None if ended or not running or any(not e.audit for e in entries) else given.orphan


def _wake(facts: Facts, entries: Sequence[Entry]) -> datetime | None:
    """When time alone changes something: an end and its notices, a grace, a review date, an approval."""
    records = facts.given.records
    ends = [e.valid_until for e in entries] + [grace_end(e) for e in entries] + [stop_at(e, records, facts.now) for e in entries]
    notices = [e.valid_until - duration(n) for e in entries if e.valid_until and e.valid_until < FOREVER for n in NOTICES]
    glass = [at for each in facts.glass.values() for g in each for at in (g.until, g.due)]
    reviews = [p.spec.review_by for p in facts.procedures]
    orphan = facts.given.orphan.stop_at if facts.given.orphan else None
    ahead = [at for at in (*ends, *notices, *glass, *_record_ends(facts), *reviews, orphan) if at and facts.now < at < FOREVER]
    return min(ahead, default=None)


def _record_ends(facts: Facts) -> list[datetime]:
    """When each approval ends by itself, under every procedure that names its role."""
    roles = [r for p in facts.procedures for r in p.spec.approvals.roles]
    approved = [r for r in facts.given.records if r.spec.decision is What.APPROVE]
    by_procedure = [r.created + duration(role.valid_for) for r in approved for role in roles if role.role == r.spec.role and role.valid_for]
    return by_procedure + [r.spec.expires for r in approved if r.spec.expires]


def _broken(given: Input, broken: Broken, now: datetime) -> Decision:
    """The register entry cannot be read: what was decided last goes on counting, the status says what is wrong, and a Stop stops all the same."""
    said = Said(Type.READY, "False", Reason.INVALID, broken.message)
    stalled = Said(Type.STALLED, "True", Reason.INVALID, broken.message)
    listed = conditions.merged([said, stalled], before=given.before.conditions, generation=given.generation, now=now)
    stops = standing_stops(given.records, given.stop_roles) if given.governed else []
    answer = given.before.model_copy(update={"conditions": listed, "observed_generation": given.generation} | ({"phase": Phase.STOPPED} if stops else {}))
    orders = [r for r in given.records if r.spec.decision in (What.STOP, What.RESUME)]
    return Decision(
        status=answer,
        entries=lapsed(given.entries, now) if stops else given.entries,
        records=verdicts(orders, Standing(current=None, quorums={}, now=now, stop_roles=given.stop_roles)),
        marks=_marks(given, stops),
        removals=stopped(given.pods, _ordered(stops)) if stops else (),
        told=told(given, answer),
        orphan=given.orphan,
    )
