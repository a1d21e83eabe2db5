"""What is asked of the register entry, its workloads and its approvals.

Each check looks at the same Facts and says its rows; an enforced Fail or Error blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiqms.api.clearance import Entry
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Control, DeploymentSpec, Lifecycle, Result, RiskClass
from aiqms.api.procedure import Enforcement, RequiredRole
from aiqms.api.record import Decision
from aiqms.policy.approvals import Quorum, Records, authentic, rejections, until
from aiqms.policy.emergency import BreakGlass
from aiqms.policy.facts import Input, Origin, PodFacts, Procedure, Record, WorkloadFacts
from aiqms.policy.procedures import obligations
from aiqms.policy.subject import Subject
from aiqms.policy.words import moment, plural, short

TERMS, INPUTS, INPUT = 32, 256, 300  # what an entry of the Clearance can hold of procedures, of objects that its pods read, and of the name of one
ROOMY, FULL = 768 * 1024, 1024 * 1024  # bytes of a Clearance: from when it is said, and from when nothing more is cleared; etcd refuses 1.5 MiB


@dataclass(frozen=True)
class Facts:
    """An Input made ready for checking. quorums: of the current subject, for each procedure that applies.

    subject: None while a workload is missing, or something else that makes it up cannot be read and never could.
    stops: that stand. glass: the Emergencies that count, by procedure; left: those under procedures that do not apply now, which clear nothing.
    approved: the entry last approved, known once it is decided what is cleared.
    """

    given: Input
    spec: DeploymentSpec
    records: Records
    procedures: tuple[Procedure, ...]
    subject: Subject | None
    quorums: tuple[Quorum, ...]
    now: datetime
    approved: Entry | None = None
    stops: tuple[Record, ...] = ()
    glass: Mapping[str, tuple[BreakGlass, ...]] = field(default_factory=dict)
    left: Mapping[str, tuple[BreakGlass, ...]] = field(default_factory=dict)

    def emergency(self, procedure: Procedure) -> BreakGlass | None:
        """The Emergency that clears the current subject now in place of the procedure's approvals: the one that lasts longest."""
        mine = [g for g in self.glass.get(procedure.name, ()) if self.subject and g.record.spec.subject == self.subject.fingerprint and g.in_force(self.now)]
        return max(mine, key=lambda g: g.until, default=None)

    @property
    def review_due(self) -> datetime | None:
        """By when the first Emergency of an enforced procedure has to be reviewed that is not yet."""
        every = (*self.procedures, *(e.procedure for e in self.given.elsewhere))
        enforced = {p.name for p in every if p.spec.enforcement is Enforcement.ENFORCE}
        glass = (g for name, each in (*self.glass.items(), *self.left.items()) if name in enforced for g in each)
        return min((g.due for g in glass if g.review is None), default=None)

    @property
    def unreviewed(self) -> bool:
        """Whether one went without its review in time, which stops the deployment."""
        return self.review_due is not None and self.review_due <= self.now

    @property
    def audit(self) -> bool:
        """Whether procedures apply, all of them in Audit."""
        return bool(self.given.procedures) and all(isinstance(p, Procedure) and p.spec.enforcement is Enforcement.AUDIT for p in self.given.procedures)


@dataclass(frozen=True)
class Row:
    """A control and whether it may block: those of a procedure in Audit are shown only."""

    control: Control
    enforced: bool = True

    @property
    def blocks(self) -> bool:
        """Fail and Error block alike (invariant 7)."""
        return self.enforced and self.control.result in (Result.FAIL, Result.ERROR)


Check = Callable[[Facts], list[Row]]
Judged = tuple[Result, Reason, str]


def row(id_: str, result: Result, reason: Reason, message: str, *, procedure: Procedure | None = None, serves: Sequence[str] = ()) -> Row:
    """A control's row; one of a procedure in Audit blocks nothing."""
    control = Control(
        id=id_, procedure=procedure.name if procedure else "", result=result, reason=reason, message=message[:4096], obligations=list(serves)[:32]
    )
    return Row(control, procedure is None or procedure.spec.enforcement is Enforcement.ENFORCE)


def unless_missing(facts: Facts, passed: Judged) -> Judged:
    """What passes of all workloads that exist is skipped while one does not: what does not exist yet was not looked at."""
    if all(w.template is not None for w in facts.given.workloads):
        return passed
    return Result.SKIP, Reason.WORKLOAD_MISSING, "this is known once every workload exists"


def risk_class(facts: Facts) -> list[Row]:
    """riskClass Prohibited is never cleared (AI Act Art. 5)."""
    if facts.spec.risk_class is not RiskClass.PROHIBITED:
        return []
    return [row("register/risk-class", Result.FAIL, Reason.PROHIBITED, "risk class Prohibited is never cleared: AI Act Art. 5 forbids the practice")]


def lifecycle(facts: Facts) -> list[Row]:
    """lifecycle Retired admits nothing any more."""
    if facts.spec.lifecycle is Lifecycle.ACTIVE:
        return []
    return [row("register/lifecycle", Result.FAIL, Reason.RETIRED, "lifecycle is Retired: set spec.lifecycle to Active to have it judged again")]


def procedures(facts: Facts) -> list[Row]:
    """At least one procedure applies, not more than an entry can keep, and each can be read."""
    broken = [p for p in facts.given.procedures if not isinstance(p, Procedure)]
    rows = [
        row("procedures", Result.ERROR, Reason.INVALID, f"QMSProcedure {name} cannot be read, so nobody knows whether it applies: {b.message}")
        for name, b in broken
    ]
    enforced = sum(p.spec.enforcement is Enforcement.ENFORCE for p in facts.procedures)
    if enforced > TERMS:
        said = f"{enforced} procedures apply in Enforce, and at most {TERMS} can be kept with a clearance: merge some, or narrow their spec.appliesTo"
        return [*rows, row("procedures", Result.FAIL, Reason.TOO_MANY_PROCEDURES, said)]
    if facts.procedures or broken:
        return rows
    what = f"risk class {facts.spec.risk_class}, role {facts.spec.role}, namespace {facts.given.namespace}"
    return [
        row(
            "procedures", Result.FAIL, Reason.NO_PROCEDURE, f"no QMSProcedure applies to {what}: the platform team creates one, or widens spec.appliesTo of one"
        )
    ]


def review(facts: Facts) -> list[Row]:
    """A procedure past its reviewBy is a warning in every listing."""
    return [_reviewed(p, facts.now) for p in facts.procedures if p.spec.review_by]


def _reviewed(procedure: Procedure, now: datetime) -> Row:
    by = procedure.spec.review_by
    assert by is not None
    if now < by:
        return row("procedure/review", Result.PASS, Reason.REVIEW_IN_TIME, f"{procedure.spec.owner} reviews it by {moment(by)}", procedure=procedure)
    return row(
        "procedure/review", Result.WARN, Reason.REVIEW_DUE, f"its review was due by {moment(by)}: {procedure.spec.owner} has to review it", procedure=procedure
    )


def workloads(facts: Facts) -> list[Row]:
    """Each workload exists and its pods name this deployment."""
    return [_workload(w, facts.given.name) for w in facts.given.workloads]


def _workload(workload: WorkloadFacts, name: str) -> Row:
    id_, where = f"workload/{workload.ref}", "spec.template.metadata.labels"
    if workload.template is None:
        return row(id_, Result.FAIL, Reason.WORKLOAD_MISSING, f"{workload.ref} does not exist in this namespace: create it, or correct spec.workloads")
    if workload.label is None:
        return row(
            id_, Result.FAIL, Reason.WORKLOAD_UNLABELLED, f"the pods of {workload.ref} name no deployment: set aiqms.dev/deployment: {name} in its {where}"
        )
    if workload.label != name:
        said = f"the pods of {workload.ref} name {workload.label}, which decides"
        return row(id_, Result.FAIL, Reason.WORKLOAD_CLAIMED, f"{said}: take it out of spec.workloads, or change {where}")
    long = [name for name in (*workload.inputs, *workload.secrets) if len(name) > INPUT]
    if long:
        said = f"the pods of {workload.ref} read {long[0][:INPUT]}…, and no object can have so long a name"
        return row(id_, Result.FAIL, Reason.INPUT_UNREADABLE, f"{said}: correct {where.removesuffix('.metadata.labels')}")
    if len(workload.inputs) + len(workload.secrets) > INPUTS:
        said = f"the pods of {workload.ref} read {len(workload.inputs) + len(workload.secrets)} ConfigMaps, Secrets and claims"
        return row(id_, Result.FAIL, Reason.TOO_MANY_INPUTS, f"{said}, and at most {INPUTS} can be frozen: join some of them")
    return row(id_, Result.PASS, Reason.WORKLOAD_FOUND, f"{workload.ref} names this deployment")


def inputs(facts: Facts) -> list[Row]:
    """The ConfigMaps and claims that the pods read can be read here too, for they are part of the subject; and so can every record."""
    if not facts.given.unreadable:
        return []
    return [row("inputs", Result.ERROR, Reason.INPUT_UNREADABLE, f"{facts.given.unreadable}: what was cleared stays until its time, nothing new is cleared")]


def room(facts: Facts) -> list[Row]:
    """The namespace's Clearance has room for this deployment: said long before the API server would refuse to store it."""
    needed = facts.given.clearance_bytes + sum(w.size for w in facts.given.workloads)
    cleared = any(facts.subject and e.fingerprint == facts.subject.fingerprint for e in facts.given.entries)
    if needed < ROOMY:
        return []
    said = f"the Clearance of namespace {facts.given.namespace} is near the size that the API server can store: spread its deployments over more namespaces"
    return [row("clearance/size", Result.FAIL if needed >= FULL and not cleared else Result.WARN, Reason.CLEARANCE_TOO_LARGE, said)]


def class_lowered(facts: Facts) -> list[Row]:
    """A risk class below the one last approved is said to everybody who is asked to approve."""
    before = facts.approved.risk_class if facts.approved else None
    if before is None or facts.spec.risk_class.severity >= before.severity:
        return []
    said = f"risk class was {before} in the subject last approved and is {facts.spec.risk_class} now"
    return [row("change/risk-class", Result.WARN, Reason.CLASS_LOWERED, said)]


def approvals(facts: Facts) -> list[Row]:
    """Each role of each procedure: enough people, in time, and nobody of them rejects."""
    return [_role(facts, p, q, role) for p, q in zip(facts.procedures, facts.quorums, strict=True) for role in p.spec.approvals.roles]


def _role(facts: Facts, procedure: Procedure, quorum: Quorum, role: RequiredRole) -> Row:
    result, reason, message = _standing(facts, quorum, role, quorum.of(role.role), facts.emergency(procedure))
    return row(f"approvals/{role.role}", result, reason, message, procedure=procedure, serves=obligations(procedure))


def _standing(facts: Facts, quorum: Quorum, role: RequiredRole, given: Sequence[Record], glass: BreakGlass | None) -> tuple[Result, Reason, str]:
    if facts.subject is None:
        return Result.SKIP, *_unknown(facts)
    against = rejections(facts.records, fingerprint=facts.subject.fingerprint, roles=[role.role])
    if against:
        what = f"{against[0].person} rejected {short(facts.subject.fingerprint)} (apr/{against[0].name})"
        return Result.FAIL, Reason.REJECTED, f"{what}: change the deployment, or have the rejection withdrawn"
    if len(given) < role.count and glass:
        said = f"{len(given)} of {role.count} {role.role} approvals; {glass.record.person} broke the glass until {moment(glass.until)}"
        return Result.WARN, Reason.EMERGENCY_IN_FORCE, said
    if len(given) < role.count:
        return _missing(facts, facts.subject, role, given)
    end = quorum.lasts(role, facts.now)
    tail = f" until {moment(end)}" if end else ""
    return Result.PASS, Reason.APPROVED, f"{len(given)} of {role.count} {role.role} approvals: {', '.join(r.person for r in given)}{tail}"


def _unknown(facts: Facts) -> tuple[Reason, str]:
    if any(w.template is None for w in facts.given.workloads):
        return Reason.WORKLOAD_MISSING, "what is to be approved is known once every workload exists"
    return Reason.INPUT_UNREADABLE, "what is to be approved is known once everything that makes it up can be read"


def _missing(facts: Facts, subject: Subject, role: RequiredRole, given: Sequence[Record]) -> tuple[Result, Reason, str]:
    so_far = "; ".join(f"{r.person} approved on {r.created.date()}" for r in given) or "none counts yet"
    message = f"{len(given)} of {role.count} {role.role} approvals for {short(subject.fingerprint)}; {so_far}"
    others = [r for r in _ever_approved(facts, subject, role) if r.person not in {g.person for g in given}]
    taken = [r for r in others if r.name in facts.records.withdrawn]
    if taken:
        return Result.FAIL, Reason.APPROVAL_WITHDRAWN, f"{message}; that of {taken[-1].person} was withdrawn"
    over = [(end, r.person) for r in others if (end := until(r, role)) <= facts.now]
    if over:
        end, person = max(over)
        return Result.FAIL, Reason.APPROVAL_EXPIRED, f"{message}; that of {person} ended at {moment(end)}"
    return Result.FAIL, Reason.APPROVAL_MISSING, message


def _ever_approved(facts: Facts, subject: Subject, role: RequiredRole) -> list[Record]:
    """Authentic approvals of the subject in the role, oldest first, whatever became of them."""
    taken = (facts.records.targets[name] for name in facts.records.withdrawn)
    of_subject = [*facts.records.approvals.get(subject.fingerprint, ()), *taken]
    found = [r for r in of_subject if r.spec.decision is Decision.APPROVE and r.spec.subject == subject.fingerprint and r.spec.role == role.role]
    return sorted((r for r in found if authentic(r)), key=lambda r: (r.created, r.name))


def pods(facts: Facts) -> list[Row]:
    """A held pod equals what its controller declares; where it does not, nobody can release it."""
    waiting = [p for p in facts.given.pods if p.held and not p.going]
    odd = [p for p in waiting if p.differs]
    if odd:
        said = f"{_such(odd)}, changed on the way in: {'; '.join(odd[0].differs)}"
        return [row("pods", Result.FAIL, Reason.POD_DIFFERS, f"{said}: have that declared in the workload's template, or kept from these pods")]
    stray = [p for p in waiting if p.origin is Origin.ELSEWHERE]
    if stray:
        said = f"{_such(stray)}, of no workload in spec.workloads"
        return [row("pods", Result.WARN, Reason.POD_DIFFERS, f"{said}: name its workload there, or delete it")]
    return []


def _such(found: Sequence[PodFacts]) -> str:
    return f"{plural(len(found), 'held pod')}, such as {found[0].name}"
