"""decide: everything about one deployment, from an Input and the time. Pure and total; deciding twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from aiqms.api import conditions
from aiqms.api.clearance import Entry, Orphan
from aiqms.api.conditions import Reason, Said, Type
from aiqms.api.deployment import (
    Control,
    DeploymentSpec,
    DeploymentStatus,
    Lifecycle,
    Phase,
    PodCounts,
    Result,
    RiskClass,
    RoleApprovals,
    Serving,
    SubjectStatus,
    Summary,
)
from aiqms.api.procedure import Enforcement, RequiredRole, SecretInputs
from aiqms.api.values import FOREVER
from aiqms.policy.approvals import Quorum, Records, quorum, sifted, until
from aiqms.policy.checks import TERMS, Facts, Row, judged, shown
from aiqms.policy.clearing import Current, Kept, carried_on, covers, evolved, is_live, kept, orphan_stop, running
from aiqms.policy.facts import Broken, Decision, Input, PodFacts, Procedure, Told
from aiqms.policy.pods import releases, removals, uncovered
from aiqms.policy.procedures import term
from aiqms.policy.records import Standing, unregistered, verdicts
from aiqms.policy.subject import Subject, changed, subject
from aiqms.policy.words import moment, plural, short

LISTED = 512  # rows that a status can hold
NOTE = 1000  # bytes of an event's note, of which the API server takes 1024
_STALLED = {Reason.PROHIBITED, Reason.REJECTED, Reason.MODEL_MISMATCH, Reason.WORKLOAD_CLAIMED, Reason.INVALID}


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
    return _carried_out(given, _status(decided, [*rows, *shown(decided)], entries), entries, _standing(given, entries, records, own, now))


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
    live = {k.entry.fingerprint: k.entry.terms or [] for k in entries if k.entry.fingerprint and is_live(k.entry, now)}
    quorums = {
        fingerprint: [quorum(t, records, fingerprint=fingerprint, now=now) for t in terms] for fingerprint, terms in live.items() if fingerprint not in own
    }
    seen = {e.fingerprint for e in (*given.entries, *(k.entry for k in entries)) if e.fingerprint}
    return Standing(records, current=next(iter(own), None), quorums={**quorums, **own}, seen=seen, now=now)


def _carried_out(given: Input, status: DeploymentStatus, entries: Sequence[Kept], at: Standing) -> Decision:
    """What the entries and the records mean for pods and people."""
    plain = tuple(k.entry for k in entries)
    orphan = _orphan(given, entries, at.now)
    return Decision(
        status=status,
        entries=plain,
        records=verdicts(at),
        releases=releases(given.pods, plain, at.now) if given.governed else (),
        removals=removals(given.pods, entries, orphan, lambda p: _why(p, given, status), at.now) if given.governed else (),
        told=_told(given, status),
        orphan=orphan,
        wake=_wake(given, entries, orphan, at),
    )


def _why(pod: PodFacts, given: Input, status: DeploymentStatus) -> str:
    """Why a pod is stopped, in words for an event."""
    if status.phase in (Phase.RETIRED, Phase.PROHIBITED):
        return f"AIModelDeployment {given.name} is {status.phase}"
    return "its clearance has ended, and onLapse or onChange stops it" if covers(given.entries, pod.template) else "no clearance covers it"


def deregistered(given: Input, now: datetime) -> Decision:
    """For a name that pods, records or the Clearance bear and the register does not: its entries go at once; pods that run are stopped as onLapse says."""
    said = {r.name: unregistered(r) for r in given.records}
    if not given.governed:
        return Decision(status=DeploymentStatus(), records=said)
    since = given.orphan or Orphan(since=now.replace(microsecond=0), stop_at=orphan_stop(given.entries, now))
    orphan = since if running(given.pods) and (given.entries or given.orphan) else None
    wake = orphan.stop_at if orphan and orphan.stop_at and now < orphan.stop_at else None
    ended = removals(given.pods, (), orphan, lambda p: f"AIModelDeployment {given.name} does not exist", now)
    return Decision(status=DeploymentStatus(), records=said, removals=ended, orphan=orphan, wake=wake)


def ready(given: Input, spec: DeploymentSpec, records: Records, now: datetime) -> Facts:
    """The subject and its quorums, worked out once for all checks."""
    applying = tuple(p for p in given.procedures if isinstance(p, Procedure))
    found = _last_known(given) if _unreadable(given) else subject(spec, workloads=given.workloads, procedures=applying)
    quorums = tuple(quorum(term(p), records, fingerprint=found.fingerprint if found else "", now=now) for p in applying)
    return Facts(given=given, spec=spec, records=records, procedures=applying, subject=found, quorums=quorums, now=now)


def _unreadable(given: Input) -> bool:
    """Whether something is missing without which nobody can tell the subject."""
    return bool(given.unreadable) or any(not isinstance(p, Procedure) for p in given.procedures)


def _last_known(given: Input) -> Subject | None:
    """The last good result counts (invariant 7)."""
    before = given.before.subject
    return Subject(before.fingerprint, before.components) if before else None


def _approved(entries: Sequence[Entry]) -> Entry | None:
    """The entry last approved: the one not superseded, else the one superseded last."""
    made = [e for e in entries if not e.audit and e.components]
    return next((e for e in made if not e.superseded), None) or max(made, key=lambda e: e.superseded or FOREVER, default=None)


def _entries(facts: Facts, rows: Sequence[Row]) -> tuple[Entry, ...]:
    """Nothing for what is never cleared; what cannot be read gives nothing new."""
    given = facts.given
    if not given.governed or _never(given):
        return ()
    if _unreadable(given):
        return carried_on(given, facts.records, facts.now)
    return evolved(given, _current(facts, rows), facts.records, facts.now)


def _never(given: Input) -> bool:
    return isinstance(given.spec, DeploymentSpec) and (given.spec.risk_class is RiskClass.PROHIBITED or given.spec.lifecycle is Lifecycle.RETIRED)


def _current(facts: Facts, rows: Sequence[Row]) -> Current:
    enforced = [(p, q) for p, q in zip(facts.procedures, facts.quorums, strict=True) if p.spec.enforcement is Enforcement.ENFORCE]
    ends = [q.until for _, q in enforced]
    permitted = bool(ends) and all(q.enough(facts.now) for _, q in enforced) and not any(r.blocks for r in rows)
    frozen = any(p.spec.inputs.secrets is SecretInputs.FROZEN for p, _ in enforced)
    return Current(
        subject=facts.subject,
        terms=tuple(q.term for _, q in enforced) if len(enforced) <= TERMS else (),
        until=min(e for e in ends if e) if permitted else None,
        secrets=SecretInputs.FROZEN if frozen else SecretInputs.ROTATABLE,
        risk_class=facts.spec.risk_class,
        audit=facts.audit,
    )


def _status(facts: Facts, rows: Sequence[Row], entries: Sequence[Kept]) -> DeploymentStatus:
    controls = [r.control for r in rows]
    phase = _phase(facts, entries)
    said = _conditions(facts, rows, _ready(facts, rows, entries, phase))
    return DeploymentStatus(
        observed_generation=facts.given.generation,
        phase=phase,
        model=f"{facts.spec.model.name}:{facts.spec.model.version}",
        subject=_subject_status(facts),
        serving=_serving(entries, facts.now),
        approvals=[_role_approvals(q, r, facts.now) for q in facts.quorums for r in q.term.roles][:LISTED],
        controls=controls[:LISTED],
        summary=_summary(controls),
        pods=_pods(facts.given),
        conditions=conditions.merged(said, before=facts.given.before.conditions, generation=facts.given.generation, now=facts.now),
    )


def _phase(facts: Facts, entries: Sequence[Kept]) -> Phase:
    if facts.spec.risk_class is RiskClass.PROHIBITED:
        return Phase.PROHIBITED
    if facts.spec.lifecycle is Lifecycle.RETIRED:
        return Phase.RETIRED
    return _served(entries, facts.subject.fingerprint if facts.subject else None, facts.now)


def _served(entries: Sequence[Kept], own: str | None, now: datetime) -> Phase:
    """By what the entries let through and cover. own: the current subject's fingerprint."""
    live = [k.entry for k in entries if is_live(k.entry, now)]
    if any(e.audit or e.fingerprint == own for e in live):
        return Phase.RUNNING
    if live:
        return Phase.CHANGE_PENDING
    stopped = any(k.entry.fingerprint == own for k in entries) and all(k.over(now) for k in entries)
    return Phase.STOPPED if stopped else Phase.HELD


def _serving(entries: Sequence[Kept], now: datetime) -> Serving | None:
    live = (k.entry for k in entries if is_live(k.entry, now))
    return next((Serving(fingerprint=e.fingerprint, valid_until=e.valid_until) for e in live if e.fingerprint and e.valid_until), None)


def _ready(facts: Facts, rows: Sequence[Row], entries: Sequence[Kept], phase: Phase) -> Said:
    """About the current subject: False while it waits."""
    if not facts.given.governed:
        how = f"kubectl label namespace {facts.given.namespace} aiqms.dev/governed=true"
        return Said(Type.READY, "False", Reason.NAMESPACE_NOT_GOVERNED, f"the gate does not judge namespace {facts.given.namespace}; to have it judged: {how}")
    failing = [r for r in rows if r.blocks]
    if phase is Phase.RUNNING and facts.audit:
        return Said(Type.READY, "True", Reason.AUDIT, f"only procedures in Audit apply: nothing is held; {_count(rows)}")
    if failing:
        return Said(Type.READY, "False", Reason(failing[0].control.reason), _blocked(failing, facts, entries))
    until = next((k.entry.valid_until for k in entries if k.entry.valid_until and not k.entry.superseded), FOREVER)
    end = f" until {moment(until)}" if until < FOREVER else ""
    return Said(Type.READY, "True", Reason.APPROVED, f"{short(facts.subject.fingerprint if facts.subject else None)} is cleared{end}")


def _count(rows: Sequence[Row]) -> str:
    bad = [r for r in rows if r.control.result in (Result.FAIL, Result.ERROR)]
    return f"{plural(len(bad), 'control')} would block" if bad else "no control would block"


def _blocked(failing: Sequence[Row], facts: Facts, entries: Sequence[Kept]) -> str:
    """The first thing to mend, how many more there are, and what happens to the pods that run."""
    first, more = failing[0].control, len(failing) - 1
    name = f"{first.procedure}: " if first.procedure else ""
    tail = f"; and {plural(more, 'control')} more" if more else ""
    stops = [k.stop for k in entries if k.stop and k.stop > facts.now]
    end = f"; pods that run are stopped at {moment(min(stops))}" if stops else ""
    return f"{name}{first.message}{tail}{end}"


def _subject_status(facts: Facts) -> SubjectStatus | None:
    if facts.subject is None:
        return None
    before = facts.approved.components if facts.approved else None
    return SubjectStatus(fingerprint=facts.subject.fingerprint, components=facts.subject.components, changed=changed(facts.subject.components, before))


def _role_approvals(of: Quorum, role: RequiredRole, now: datetime) -> RoleApprovals:
    given = of.of(role.role)
    by = [r.person[:253] for r in given]
    return RoleApprovals(role=role.role, procedure=of.term.procedure, required=role.count, given=len(given), by=by, valid_until=of.lasts(role, now))


def _summary(controls: Sequence[Control]) -> Summary:
    return Summary(**{key: sum(c.result is result for c in controls) for key, result in zip(Summary.model_fields, Result, strict=True)})


def _pods(given: Input) -> PodCounts:
    here = [p for p in given.pods if not p.going]
    return PodCounts(running=sum(not p.held for p in here), held=sum(p.held for p in here), before=sum(p.before for p in here))


def _conditions(facts: Facts, rows: Sequence[Row], ready_: Said) -> list[Said]:
    said = [ready_, _approved_condition(rows)]
    if ready_.status == "True" or facts.spec.lifecycle is Lifecycle.RETIRED:
        return said
    stalled = ready_.reason in _STALLED
    return [*said, Said(Type.STALLED if stalled else Type.RECONCILING, "True", ready_.reason, ready_.message)]


def _approved_condition(rows: Sequence[Row]) -> Said:
    asked = [r.control for r in rows if r.control.id.startswith("approvals/")]
    missing = [c for c in asked if c.result is not Result.PASS]
    if not asked:
        return Said(Type.APPROVED, "False", Reason.NO_PROCEDURE, "no procedure that applies asks for approvals, so none can be complete")
    if missing:
        return Said(Type.APPROVED, "False", Reason(missing[0].reason), missing[0].message)
    return Said(Type.APPROVED, "True", Reason.APPROVED, f"all {plural(len(asked), 'role')} approved")


def _told(given: Input, status: DeploymentStatus) -> Told | None:
    """An event when the answer changes: another phase, subject or reason."""
    before, now = _answer(given.before), _answer(status)
    if before == now:
        return None
    ready_ = status.conditions[0]
    if ready_.status == "True":
        return Told("Normal", ready_.reason, _within(ready_.message, NOTE))
    help_ = f" (kubectl qms explain aimd/{given.name} -n {given.namespace})"
    return Told("Warning", ready_.reason, _within(ready_.message, NOTE - len(help_)) + help_)


def _within(text: str, octets: int) -> str:
    """The beginning of the text that fits, as UTF-8."""
    return text.encode()[:octets].decode(errors="ignore")


def _answer(status: DeploymentStatus) -> tuple[object, ...]:
    ready_ = next((c for c in status.conditions if c.type == Type.READY), None)
    return status.phase, status.subject.fingerprint if status.subject else None, ready_.reason if ready_ else None


def _orphan(given: Input, entries: Sequence[Kept], now: datetime) -> Orphan | None:
    """A deployment that is registered again keeps its pods' time until what runs is covered or gone; what is never cleared has none."""
    if not given.governed or _never(given):
        return None
    return given.orphan if uncovered(given.pods, entries, now) else None


def _wake(given: Input, entries: Sequence[Kept], orphan: Orphan | None, at: Standing) -> datetime | None:
    """When time alone changes something: an end, a grace, a review date, an approval."""
    ends = [end for k in entries for end in (k.entry.valid_until, k.stop)]
    reviews = [p.spec.review_by for p in given.procedures if isinstance(p, Procedure)]
    asked = [(fingerprint, q.term) for fingerprint, each in at.quorums.items() for q in each]
    asked += [(k.entry.fingerprint, t) for k in entries if k.entry.fingerprint not in at.quorums and k.entry.fingerprint for t in k.entry.terms or []]
    approvals = [until(r, role) for of, t in asked for r in at.records.approvals.get(of, ()) for role in t.roles if role.role == r.spec.role]
    stop = orphan.stop_at if orphan else None
    return min((end for end in (*ends, *reviews, *approvals, stop) if end and at.now < end < FOREVER), default=None)


def _broken(given: Input, broken: Broken, records: Records, now: datetime) -> Decision:
    """The register entry cannot be read: what was decided last goes on counting, and the status says what is wrong."""
    said = [Said(Type.READY, "False", Reason.INVALID, broken.message), Said(Type.STALLED, "True", Reason.INVALID, broken.message)]
    listed = conditions.merged(said, before=given.before.conditions, generation=given.generation, now=now)
    entries = _kept(carried_on(given, records, now) if given.governed else (), records, now)
    own = given.before.subject.fingerprint if given.before.subject else None
    status = given.before.model_copy(
        update={
            "observed_generation": given.generation,
            "phase": _served(entries, own, now),
            "serving": _serving(entries, now),
            "pods": _pods(given),
            "conditions": listed,
        }
    )
    return _carried_out(given, status, entries, replace(_standing(given, entries, records, {}, now), current=own))
