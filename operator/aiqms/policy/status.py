"""Status, and the events that say when it answers otherwise than before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from aiqms.api import conditions
from aiqms.api.conditions import Reason, Said, Status, Type
from aiqms.api.deployment import (
    Answerable,
    Control,
    DeploymentStatus,
    Lifecycle,
    Phase,
    PodCounts,
    ProcedureSeen,
    Result,
    RiskClass,
    RoleApprovals,
    Serving,
    SubjectStatus,
    Summary,
)
from aiqms.api.procedure import JUDGED, RequiredRole
from aiqms.api.record import Decision
from aiqms.api.values import FOREVER, duration
from aiqms.policy import retention
from aiqms.policy.accountability import AUTHOR
from aiqms.policy.approvals import Quorum
from aiqms.policy.checks import Facts, Row
from aiqms.policy.clearing import Kept, is_live
from aiqms.policy.endpoints import listed
from aiqms.policy.facts import Input, Procedure, Told
from aiqms.policy.networks import policy_name
from aiqms.policy.rights import SEPARATION
from aiqms.policy.storage import reads
from aiqms.policy.subject import changed
from aiqms.policy.words import moment, plural, short

LISTED = 512  # rows that a status can hold
NOTE = 1000  # bytes of an event's note, of which the API server takes 1024
NOTICES = ("1d", "7d", "14d")  # how long before its end a permission is announced to lapse
_WORST = (Reason.REVIEW_OVERDUE, Reason.EMERGENCY_IN_FORCE, Reason.REVIEW_PENDING)
_STALLED = {Reason.PROHIBITED, Reason.REJECTED, Reason.MODEL_MISMATCH, Reason.WORKLOAD_CLAIMED, Reason.INVALID, Reason.STOPPED, Reason.REVIEW_OVERDUE}
_STALLED |= {Reason.MODEL_DECLARED_ONLY, Reason.MODEL_DECLARED_NOWHERE, Reason.MODEL_URI_NOT_ALLOWED}
_STALLED |= {Reason.IMAGE_NOT_PINNED, Reason.REGISTRY_NOT_ALLOWED, Reason.PULL_SECRET_NOT_ALLOWED}
_STALLED |= {
    Reason.NETWORK_POLICY_CONTESTED,
    Reason.NETWORK_POLICY_OPENS_MORE,
    Reason.NETWORK_POLICY_NOT_COMPARED,
    Reason.HOST_NETWORK,
    Reason.ENFORCEMENT_MISSING,
}
_WORST_FIRST = (Result.FAIL, Result.ERROR, Result.SKIP, Result.WARN, Result.PASS)
_SAYS: dict[Result, Status] = {Result.FAIL: "False", Result.ERROR: "Unknown", Result.SKIP: "Unknown"}
_STALLED |= {Reason.IDENTITY_SHARED, Reason.TOKEN_MOUNTED, Reason.STORAGE_NOT_ALLOWED, Reason.ENDPOINT_UNREGISTERED, Reason.TLS_MISSING}
_STALLED |= {Reason.EDITOR_UNEXPECTED, Reason.RIGHTS_BEYOND, Reason.ENFORCEMENT_NOT_VERIFIED}
_STALLED |= {Reason.STREAM_UNREGISTERED, Reason.ENDPOINT_NOT_ALLOWED, Reason.RETENTION_TOO_SHORT, Reason.RETENTION_MAY_END_EARLY, Reason.NOT_PROTECTED}
_STALLED |= {Reason.FIELDS_MISSING, Reason.NOT_VERIFIABLE}
_UNSURE = {
    Reason.ENFORCEMENT_NOT_VERIFIED,
    Reason.NETWORK_POLICY_RESTORED,
    Reason.NOT_VERIFIABLE,
    Reason.CHECK_PENDING,
}  # warnings that leave open whether what is asked holds
_FAMILIES = ((Type.SUPPLY_VERIFIED, "supply/"), (Type.ACCESS_ENFORCED, "access/"), (Type.LOGS_RETAINED, retention.FAMILY))


def status(facts: Facts, rows: Sequence[Row], entries: Sequence[Kept]) -> DeploymentStatus:
    """What people read, from what was judged and what is cleared."""
    controls = [r.control for r in rows]
    phase = _phase(facts, entries)
    said = _conditions(facts, rows, _ready(facts, rows, entries, phase))
    return DeploymentStatus(
        observed_generation=facts.given.generation,
        phase=phase,
        model=f"{facts.spec.model.name}:{facts.spec.model.version}",
        subject=_subject_status(facts),
        serving=serving(entries, facts.now),
        approvals=[_role_approvals(q, r, facts) for q in facts.quorums for r in q.term.roles][:LISTED],
        procedures=[*_unread(facts.given), *(_seen(p) for p in facts.procedures)][:64],
        responsibilities=[Answerable(duty=r.duty, role=r.role, procedure=p.name) for p in facts.procedures for r in p.spec.responsibilities][:256],
        controls=controls[:LISTED],
        summary=_summary(controls),
        pods=pod_counts(facts.given),
        endpoints=listed(facts),
        reads=reads(facts),
        logs=retention.seen(facts),
        conditions=conditions.merged(said, before=facts.given.before.conditions, generation=facts.given.generation, now=facts.now),
    )


def serving(entries: Sequence[Kept], now: datetime) -> Serving | None:
    """The subject that admission clears now, the newest first."""
    for entry in (k.entry for k in entries):
        if entry.fingerprint and entry.valid_until and is_live(entry, now):
            return Serving(fingerprint=entry.fingerprint, valid_until=entry.valid_until, notice=notice(entry.valid_until, now))
    return None


def notice(end: datetime, now: datetime) -> str:
    """The shortest announced time that is left no longer: 14d, 7d, 1d, or none yet."""
    return next((n for n in NOTICES if end - now <= duration(n)), "")


def _unread(given: Input) -> list[ProcedureSeen]:
    """Of a procedure that cannot be read, what was last seen."""
    broken = {p[0] for p in given.procedures if not isinstance(p, Procedure)}
    return [p for p in given.before.procedures if p.name in broken]


def _seen(procedure: Procedure) -> ProcedureSeen:
    return ProcedureSeen(
        name=procedure.name,
        revision=procedure.spec.revision,
        enforcement=procedure.spec.enforcement,
        parts=dict(procedure.parts),
        stop_roles=procedure.spec.stop.roles if procedure.spec.stop else [],
        emergency_roles=procedure.spec.emergency.roles if procedure.spec.emergency else [],
    )


def _phase(facts: Facts, entries: Sequence[Kept]) -> Phase:
    if facts.stops or facts.unreviewed:
        return Phase.STOPPED
    if facts.spec.risk_class is RiskClass.PROHIBITED:
        return Phase.PROHIBITED
    if facts.spec.lifecycle is Lifecycle.RETIRED:
        return Phase.RETIRED
    return served(entries, facts.subject.fingerprint if facts.subject else None, facts.now)


def served(entries: Sequence[Kept], own: str | None, now: datetime) -> Phase:
    """The phase by what the entries let through and cover. own: the current subject's fingerprint."""
    live = [k.entry for k in entries if is_live(k.entry, now)]
    if any(e.audit or e.fingerprint == own for e in live):
        return Phase.RUNNING
    if live:
        return Phase.CHANGE_PENDING
    stopped = any(k.entry.fingerprint == own for k in entries) and all(k.over(now) for k in entries)
    return Phase.STOPPED if stopped else Phase.HELD


def _ready(facts: Facts, rows: Sequence[Row], entries: Sequence[Kept], phase: Phase) -> Said:
    """About the current subject: False while it waits."""
    if not facts.given.governed:
        how = f"kubectl label namespace {facts.given.namespace} aiqms.dev/governed=true"
        return Said(Type.READY, "False", Reason.NAMESPACE_NOT_GOVERNED, f"the gate does not judge namespace {facts.given.namespace}; to have it judged: {how}")
    failing = sorted((r for r in rows if r.blocks), key=lambda r: r.control.reason not in _STALLED)  # what waiting does not mend comes first
    glass = next((r.control for r in rows if r.control.id == "emergency" and r.control.reason == Reason.EMERGENCY_IN_FORCE), None)
    if phase is Phase.RUNNING and glass and not failing:
        return Said(Type.READY, "True", Reason.EMERGENCY_IN_FORCE, glass.message)
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


def _role_approvals(of: Quorum, role: RequiredRole, facts: Facts) -> RoleApprovals:
    given = of.of(role.role)
    holders = facts.given.reach.holders.get((Decision.APPROVE, role.role), ()) if facts.given.reach else ()
    return RoleApprovals(
        role=role.role,
        procedure=of.term.procedure,
        required=role.count,
        given=len(given),
        by=[r.person[:253] for r in given],
        may=[str(h)[:253] for h in holders[:16]],
        valid_until=of.lasts(role, facts.now),
    )


def _summary(controls: Sequence[Control]) -> Summary:
    return Summary(**{key: sum(c.result is result for c in controls) for key, result in zip(Summary.model_fields, Result, strict=True)})


def pod_counts(given: Input) -> PodCounts:
    """How many pods run, are held, and were there before the gate."""
    here = [p for p in given.pods if not p.going]
    return PodCounts(running=sum(not p.held for p in here), held=sum(p.held for p in here), before=sum(p.before for p in here))


def _conditions(facts: Facts, rows: Sequence[Row], ready_: Said) -> list[Said]:
    said = [ready_, _approved_condition(rows), *_families(facts, rows), *_emergency_condition(rows)]
    if ready_.status == "True" or facts.spec.lifecycle is Lifecycle.RETIRED:
        return said
    stalled = ready_.reason in _STALLED
    return [*said, Said(Type.STALLED if stalled else Type.RECONCILING, "True", ready_.reason, ready_.message)]


def _emergency_condition(rows: Sequence[Row]) -> list[Said]:
    """Present while an Emergency is in force or waits for its review; of several the worst."""
    broken = [r.control for r in rows if r.control.id == "emergency"]
    worst = min(broken, key=lambda c: _WORST.index(Reason(c.reason)), default=None)
    return [Said(Type.EMERGENCY, "True", Reason(worst.reason), worst.message)] if worst else []


def _families(facts: Facts, rows: Sequence[Row]) -> list[Said]:
    """Where nothing is judged, or watched alone, nothing is enforced, whatever the controls say."""
    said = family_conditions(rows)
    if facts.given.governed and not facts.audit:
        return said
    why = Reason.AUDIT if facts.given.governed else Reason.NAMESPACE_NOT_GOVERNED
    return [replace(s, status="Unknown", reason=why, message=f"nothing is enforced here; {s.message}") if s.type is Type.ACCESS_ENFORCED else s for s in said]


def family_conditions(rows: Sequence[Row]) -> list[Said]:
    """Each present while there is a control of its family. Who holds which role says nothing of who reaches the pods."""
    asked = [r.control for r in rows if r.control.id != SEPARATION]
    families = [(type_, [c for c in asked if c.id.startswith(prefix)]) for type_, prefix in _FAMILIES]
    return [_family_condition(type_, controls) for type_, controls in families if controls]


def _family_condition(type_: Type, controls: Sequence[Control]) -> Said:
    """What fails comes first, then what could not be looked at, for nobody knows whether that holds; what warns is named.

    Where nothing passes, or what warns leaves it open, nobody knows either.
    """
    worst = min(controls, key=lambda c: _WORST_FIRST.index(c.result))
    if worst.result in _SAYS:
        return Said(type_, _SAYS[worst.result], Reason(worst.reason), worst.message)
    warned = [c for c in controls if c.result is Result.WARN]
    held = f"{len(controls) - len(warned)} of {plural(len(controls), 'control')} {'holds' if len(controls) - len(warned) == 1 else 'hold'}"
    reason = Reason(worst.reason) if warned else Reason.CONTROLS_HOLD
    known = len(warned) < len(controls) and worst.reason not in _UNSURE
    return Said(type_, "True" if known else "Unknown", reason, "; ".join([held, *(f"{c.id} warns: {c.message}" for c in warned)]))


def _approved_condition(rows: Sequence[Row]) -> Said:
    asked = [r.control for r in rows if r.control.id.startswith("approvals/") or (r.control.id == AUTHOR and r.control.result is Result.FAIL)]
    missing = [c for c in asked if c.result is not Result.PASS]
    if not asked:
        return Said(Type.APPROVED, "False", Reason.NO_PROCEDURE, "no procedure that applies asks for approvals, so none can be complete")
    if missing:
        return Said(Type.APPROVED, "False", Reason(missing[0].reason), missing[0].message)
    return Said(Type.APPROVED, "True", Reason.APPROVED, f"all {plural(len(asked), 'role')} approved")


def told(given: Input, now: DeploymentStatus) -> tuple[Told, ...]:
    """Events, each when its answer changes: phase, subject or reason; an end that comes near; another revision of a procedure."""
    help_ = f" (kubectl qms explain aimd/{given.name} -n {given.namespace})"
    return tuple(
        Told(t.kind, t.reason, _within(t.note, NOTE - len(help_)) + (help_ if t.kind == "Warning" else ""))
        for t in (*_turn(given, now), *_ahead(given, now), *_revised(given, now), *_restored(given))
    )


def _within(text: str, octets: int) -> str:
    """The beginning of the text that fits, as UTF-8."""
    return text.encode()[:octets].decode(errors="ignore")


def _turn(given: Input, now: DeploymentStatus) -> list[Told]:
    ready_ = now.conditions[0]
    calm = ready_.status == "True" and ready_.reason != Reason.EMERGENCY_IN_FORCE
    return [] if _answer(given.before) == _answer(now) else [Told("Normal" if calm else "Warning", ready_.reason, ready_.message)]


def _answer(status_: DeploymentStatus) -> tuple[object, ...]:
    ready_ = next((c for c in status_.conditions if c.type == Type.READY), None)
    return status_.phase, status_.subject.fingerprint if status_.subject else None, ready_.reason if ready_ else None


def _ahead(given: Input, now: DeploymentStatus) -> list[Told]:
    serving = now.serving
    if serving is None or not serving.notice or given.before.serving == serving:
        return []
    current = now.subject is not None and now.subject.fingerprint == serving.fingerprint
    what = "have it approved anew" if current else "have the subject that waits approved"
    said = f"the permission of {short(serving.fingerprint)} ends at {moment(serving.valid_until)}, in at most {serving.notice}: {what}"
    return [Told("Warning", Reason.LAPSE_AHEAD, said)]


def _revised(given: Input, now: DeploymentStatus) -> list[Told]:
    """Once something was said of the deployment: which of its procedures changed, came, or went."""
    if given.before.phase is None:
        return []
    known, applying = {p.name: p for p in given.before.procedures}, {p.name for p in now.procedures}
    changed_ = [_revision(known[p.name], p) for p in now.procedures if p.name in known and known[p.name] != p]
    came = [f"QMSProcedure {p.name}, revision {p.revision}, applies from now on" for p in now.procedures if p.name not in known]
    gone = [f"QMSProcedure {name}, revision {p.revision}, applies no more" for name, p in known.items() if name not in applying]
    return [*changed_, *(Told("Warning", Reason.PROCEDURE_CHANGED, said) for said in (*came, *gone))]


def _restored(given: Input) -> list[Told]:
    done = given.network.restored
    return [Told("Warning", Reason.NETWORK_POLICY_RESTORED, f"NetworkPolicy {policy_name(given.name)} {done}, and was put right")] if done else []


def _revision(before: ProcedureSeen, now: ProcedureSeen) -> Told:
    parts = [name for name in JUDGED if before.parts.get(name) != now.parts.get(name)]
    what = ", ".join(parts + (["enforcement"] if before.enforcement != now.enforcement else [])) or "nothing that is judged"
    return Told("Warning", Reason.PROCEDURE_CHANGED, f"QMSProcedure {now.name} went from revision {before.revision} to {now.revision}: {what} changed")
