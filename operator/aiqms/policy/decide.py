"""decide: everything about one deployment, from an Input and the time. Pure and total; deciding twice changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
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
from aiqms.api.procedure import Enforcement, SecretInputs
from aiqms.api.record import Decision as What
from aiqms.api.values import duration
from aiqms.policy.approvals import Quorum, quorum
from aiqms.policy.checks import Facts, Row, judged, pods
from aiqms.policy.clearing import Current, evolved, grace_end, is_live, is_over, orphan_stop, stop_at
from aiqms.policy.facts import FOREVER, Broken, Decision, Input, Procedure, Told
from aiqms.policy.pods import releases, removals
from aiqms.policy.procedures import term
from aiqms.policy.records import Standing, unregistered, verdicts
from aiqms.policy.subject import changed, subject
from aiqms.policy.words import moment, plural, short

_STALLED = {Reason.PROHIBITED, Reason.REJECTED, Reason.MODEL_MISMATCH, Reason.WORKLOAD_CLAIMED, Reason.INVALID}


def decide(given: Input, now: datetime) -> Decision:
    """What follows from the facts at this time. now: aware."""
    if isinstance(given.spec, Broken):
        return _broken(given, given.spec, now)
    facts = ready(given, given.spec, now)
    rows = judged(facts)
    current = _current(facts, rows)
    entries = _entries(given, given.spec, current, now)
    status = _status(facts, [*rows, *pods(facts)], entries)
    let = releases(given.pods, entries, now) if given.governed else ()
    ended = removals(given.pods, entries, given.records, given.orphan, now) if given.governed else ()
    quorums = _quorums_by_subject(facts, entries)
    return Decision(
        status=status,
        entries=entries,
        records=verdicts(given.records, Standing(current=facts.subject.fingerprint if facts.subject else None, quorums=quorums, now=now)),
        releases=let,
        removals=ended,
        told=_told(given, status),
        orphan=_orphan(given, bool(ended), entries),
        wake=_wake(facts, entries),
    )


def deregistered(given: Input, now: datetime) -> Decision:
    """For a name that pods, records or the Clearance bear and the register does not: its entries go at once; pods that run are stopped as onLapse says."""
    since = given.orphan or Orphan(since=now.replace(microsecond=0), stop_at=orphan_stop(given.entries, now))
    running = any(not p.held and not p.before for p in given.pods)
    orphan = since if running and (given.entries or given.orphan) else None
    ended = removals(given.pods, (), given.records, orphan, now)
    wake = orphan.stop_at if orphan and orphan.stop_at and now < orphan.stop_at else None
    return Decision(status=DeploymentStatus(), records={r.name: unregistered(r) for r in given.records}, removals=ended, orphan=orphan, wake=wake)


def ready(given: Input, spec: DeploymentSpec, now: datetime) -> Facts:
    """The subject and its quorums, worked out once for all checks."""
    applying = tuple(p for p in given.procedures if isinstance(p, Procedure))
    found = subject(spec, workloads=given.workloads, procedures=applying)
    quorums = tuple(quorum(term(p), given.records, fingerprint=found.fingerprint if found else "", now=now) for p in applying)
    return Facts(given=given, spec=spec, procedures=applying, subject=found, quorums=quorums, approved=_approved(given.entries), now=now)


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
    ends = [q.until for _, q in enforced]
    permitted = bool(ends) and all(q.enough(facts.now) for _, q in enforced) and not any(r.blocks for r in rows)
    secrets = SecretInputs.FROZEN if any(p.spec.inputs.secrets is SecretInputs.FROZEN for p, _ in enforced) else SecretInputs.ROTATABLE
    return Current(
        subject=facts.subject,
        terms=tuple(q.term for _, q in enforced),
        until=min(e for e in ends if e) if permitted else None,
        secrets=secrets,
        risk_class=facts.spec.risk_class,
        audit=facts.audit,
    )


def _quorums_by_subject(facts: Facts, entries: Sequence[Entry]) -> dict[str, list[Quorum]]:
    """The current subject under the procedures that apply; the others that stay cleared under the terms of their entries."""
    found = {
        e.fingerprint: [quorum(t, facts.given.records, fingerprint=e.fingerprint, now=facts.now) for t in e.terms or []]
        for e in entries
        if e.fingerprint and is_live(e, facts.now)
    }
    return found | ({facts.subject.fingerprint: list(facts.quorums)} if facts.subject else {})


def _status(facts: Facts, rows: Sequence[Row], entries: Sequence[Entry]) -> DeploymentStatus:
    live = [e for e in entries if is_live(e, facts.now)]
    own = facts.subject.fingerprint if facts.subject else None
    phase = _phase(facts, entries, own=own)
    ready_ = _ready(facts, rows, entries, phase)
    serving = next((e for e in live if e.fingerprint and e.valid_until), None)
    return DeploymentStatus(
        observed_generation=facts.given.generation,
        phase=phase,
        model=f"{facts.spec.model.name}:{facts.spec.model.version}",
        subject=_subject_status(facts),
        serving=Serving(fingerprint=serving.fingerprint, valid_until=serving.valid_until) if serving and serving.fingerprint and serving.valid_until else None,
        approvals=[_role_approvals(q, r.role, r.count) for q in facts.quorums for r in q.term.roles],
        controls=[r.control for r in rows],
        summary=_summary([r.control for r in rows]),
        pods=_pods(facts.given),
        conditions=conditions.merged(_conditions(facts, rows, ready_), before=facts.given.before.conditions, generation=facts.given.generation, now=facts.now),
    )


def _phase(facts: Facts, entries: Sequence[Entry], *, own: str | None) -> Phase:
    if facts.spec.risk_class is RiskClass.PROHIBITED:
        return Phase.PROHIBITED
    if facts.spec.lifecycle is Lifecycle.RETIRED:
        return Phase.RETIRED
    live = [e for e in entries if is_live(e, facts.now)]
    if any(e.audit or e.fingerprint == own for e in live):
        return Phase.RUNNING
    if live:
        return Phase.CHANGE_PENDING
    return Phase.STOPPED if any(is_over(e, facts.given.records, facts.now) for e in entries) else Phase.HELD


def _ready(facts: Facts, rows: Sequence[Row], entries: Sequence[Entry], phase: Phase) -> Said:
    """About the current subject: False while it waits."""
    if not facts.given.governed:
        how = f"kubectl label namespace {facts.given.namespace} aiqms.dev/governed=true"
        return Said(Type.READY, "False", Reason.NAMESPACE_NOT_GOVERNED, f"the gate does not judge namespace {facts.given.namespace}; to have it judged: {how}")
    failing = [r for r in rows if r.blocks]
    if phase is Phase.RUNNING and facts.audit:
        return Said(Type.READY, "True", Reason.AUDIT, f"only procedures in Audit apply: nothing is held; {_count(rows)}")
    if failing:
        return Said(Type.READY, "False", Reason(failing[0].control.reason), _blocked(failing, facts, entries))
    until = next((e.valid_until for e in entries if e.valid_until and not e.superseded), FOREVER)
    end = f" until {moment(until)}" if until < FOREVER else ""
    return Said(Type.READY, "True", Reason.APPROVED, f"{short(facts.subject.fingerprint if facts.subject else None)} is cleared{end}")


def _count(rows: Sequence[Row]) -> str:
    bad = [r for r in rows if r.control.result in (Result.FAIL, Result.ERROR)]
    return f"{plural(len(bad), 'control')} would block" if bad else "no control would block"


def _blocked(failing: Sequence[Row], facts: Facts, entries: Sequence[Entry]) -> str:
    """The first thing to mend, how many more there are, and what happens to the pods that run."""
    first, more = failing[0].control, len(failing) - 1
    name = f"{first.procedure}: " if first.procedure else ""
    tail = f"; and {plural(more, 'control')} more" if more else ""
    stops = [at for e in entries for at in (stop_at(e, facts.given.records, facts.now), grace_end(e)) if at and at > facts.now]
    end = f"; pods that run are stopped at {moment(min(stops))}" if stops else ""
    return f"{name}{first.message}{tail}{end}"


def _subject_status(facts: Facts) -> SubjectStatus | None:
    if facts.subject is None:
        return None
    before = facts.approved.components if facts.approved else None
    return SubjectStatus(fingerprint=facts.subject.fingerprint, components=facts.subject.components, changed=changed(facts.subject.components, before))


def _role_approvals(of: Quorum, role: str, required: int) -> RoleApprovals:
    given = of.of(role)
    until = of.until if of.until and of.until < FOREVER else None
    return RoleApprovals(role=role, procedure=of.term.procedure, required=required, given=len(given), by=[r.person[:253] for r in given], valid_until=until)


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
    kind = "Normal" if ready_.status == "True" else "Warning"
    help_ = "" if ready_.status == "True" else f" (kubectl qms explain aimd/{given.name} -n {given.namespace})"
    return Told(kind, ready_.reason, f"{ready_.message[: 1000 - len(help_)]}{help_}")


def _answer(status: DeploymentStatus) -> tuple[object, ...]:
    ready_ = next((c for c in status.conditions if c.type == Type.READY), None)
    return status.phase, status.subject.fingerprint if status.subject else None, ready_.reason if ready_ else None


def _orphan(given: Input, ended: bool, entries: Sequence[Entry]) -> Orphan | None:
    """A deployment that is registered again keeps its pods' time until what runs is covered, ended or gone."""
    running = any(not p.held and not p.before for p in given.pods)
    return None if ended or not running or any(not e.audit for e in entries) else given.orphan


def _wake(facts: Facts, entries: Sequence[Entry]) -> datetime | None:
    """When time alone changes something: an end, a grace, a review date, an approval."""
    records = facts.given.records
    ends = [e.valid_until for e in entries] + [grace_end(e) for e in entries] + [stop_at(e, records, facts.now) for e in entries]
    stop = facts.given.orphan.stop_at if facts.given.orphan else None
    ahead = [at for at in (*ends, *_record_ends(facts), *(p.spec.review_by for p in facts.procedures), stop) if at and facts.now < at < FOREVER]
    return min(ahead, default=None)


def _record_ends(facts: Facts) -> list[datetime]:
    """When each approval ends by itself, under every procedure that names its role."""
    roles = [r for p in facts.procedures for r in p.spec.approvals.roles]
    approved = [r for r in facts.given.records if r.spec.decision is What.APPROVE]
    by_procedure = [r.created + duration(role.valid_for) for r in approved for role in roles if role.role == r.spec.role and role.valid_for]
    return by_procedure + [r.spec.expires for r in approved if r.spec.expires]


def _broken(given: Input, broken: Broken, now: datetime) -> Decision:
    """The register entry cannot be read: what was decided last goes on counting, and the status says what is wrong."""
    said = Said(Type.READY, "False", Reason.INVALID, broken.message)
    stalled = Said(Type.STALLED, "True", Reason.INVALID, broken.message)
    listed = conditions.merged([said, stalled], before=given.before.conditions, generation=given.generation, now=now)
    status = given.before.model_copy(update={"conditions": listed, "observed_generation": given.generation})
    return Decision(status=status, entries=given.entries, told=_told(given, status), orphan=given.orphan)
