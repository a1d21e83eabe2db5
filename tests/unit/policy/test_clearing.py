"""What is cleared, what goes on covering pods that run, and what is let go or ended: stories, decided step by step and stored between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aiqms.api.clearance import Entry
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Decision, Input, Origin, Record
from tests.unit.policy.given import HEX, after, approve, change, cleared, covered, day, fingerprint, given, pod, procedure, reject, spec, withdraw, workload

OLD, NEW = pod("old", "v1"), pod("new", "v2", held=True)
V2: dict[str, Any] = {"workloads": [workload("v2")], "pods": [OLD, NEW]}
FIRST = HEX["f"]  # stands for the subject that the story begins with
ENDED = "its clearance has ended, and onLapse or onChange stops it"
RETIRED = "AIModelDeployment credit-scoring is Retired"
PROHIBITED = "AIModelDeployment credit-scoring is Prohibited"
NEVER = "no clearance covers it"
REVISION = "a held pod of an old revision, which its StatefulSet does not replace"
UNREADABLE: dict[str, Any] = {"unreadable": "configmaps/a could not be read"}
BROKEN = ("broken", Broken("spec.title: too long"))


@dataclass(frozen=True)
class Step:
    """On a day these records come and these fields change; what is decided then is stored."""

    at: float
    records: tuple[Record, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """After the steps, on the last one's day, this is so. cleared, covered: templates; released, removed: pods (with the reason)."""

    begin: Input
    steps: Sequence[Step]
    phase: str
    reason: str
    cleared: Sequence[str] = ()
    covered: Sequence[str] = ()  # those that are cleared, where nothing else is said
    released: Sequence[str] = ()
    removed: Mapping[str, str] = field(default_factory=dict)


def on(at: float, *records: Record, **changes: Any) -> Step:
    return Step(at, records, changes)


def played(case: Case) -> tuple[Decision, float]:
    """The decision of the last step, and its day."""
    of, first = case.begin, fingerprint(case.begin)
    *steps, last = case.steps
    for step in steps:
        of = after(change(of, *_about(step.records, first), **step.changes), day(step.at))
    return decide(change(of, *_about(last.records, first), **last.changes), day(last.at)), last.at


def _about(records: Sequence[Record], first: str) -> list[Record]:
    return [replace(r, spec=r.spec.model_copy(update={"subject": first})) if r.spec.subject == FIRST else r for r in records]


def approved(lapse: str = "Hold", **more: Any) -> Input:
    """Alice approves v1, which runs in pod old."""
    return given(approve("alice"), procedures=[procedure(lapse=lapse, **more)], pods=[OLD])


def audited(**more: Any) -> Input:
    """Only a procedure in Audit applies; v1 runs."""
    return given(procedures=[procedure(audit=True)], pods=[OLD], **more)


def enforced(lapse: str = "Hold", **more: Any) -> dict[str, Any]:
    return {"procedures": [procedure(lapse=lapse, **more)]}


CASES = {
    # the current subject
    "nothing approved: held": Case(given(pods=[NEW]), [on(1)], "Held", "ApprovalMissing"),
    "approved: cleared, and what waits is let go": Case(
        given(approve("alice"), pods=[pod("a", held=True)]), [on(1)], "Running", "Approved", ["v1"], released=["a"]
    ),
    "a held pod of another template waits on": Case(approved(), [on(1, pods=[OLD, NEW])], "Running", "Approved", ["v1"]),
    "a held pod that goes is left alone": Case(approved(), [on(1, pods=[pod("a", held=True, going=True)])], "Running", "Approved", ["v1"]),
    "a held pod that differs from its template is not let go": Case(
        approved(), [on(1, pods=[pod("a", "v1-injected", held=True, differs=("containers[proxy]: none -> envoy",))])], "Running", "PodDiffers", ["v1"]
    ),
    "a pod of an approved template is let go wherever it comes from": Case(
        approved(), [on(1, pods=[pod("a", held=True, origin=Origin.ELSEWHERE)])], "Running", "Approved", ["v1"], released=["a"]
    ),
    "two workloads: a template each": Case(
        given(approve("alice"), workloads=[workload("v1"), workload("job", ref="Job/batch")]), [on(1)], "Running", "Approved", ["v1", "job"]
    ),
    "two workloads of one template: once": Case(
        given(approve("alice"), workloads=[workload("v1"), workload("v1", ref="Job/batch")]), [on(1)], "Running", "Approved", ["v1"]
    ),
    "one workload is another deployment's: nothing is cleared": Case(
        given(approve("alice"), workloads=[workload(label="other")]), [on(1)], "Held", "WorkloadClaimed"
    ),
    "the template declares another model: nothing is cleared": Case(
        given(approve("alice"), workloads=[workload(model=HEX["2"])]), [on(1)], "Held", "ModelMismatch"
    ),
    # a change
    "invariant 4: a changed template waits, the one before serves": Case(approved(), [on(1), on(2, **V2)], "ChangePending", "ApprovalMissing", ["v1"]),
    "invariant 4: pods of the one before are let go meanwhile": Case(
        approved(), [on(1), on(2, workloads=[workload("v2")], pods=[pod("again", "v1", held=True), NEW])], "ChangePending", "ApprovalMissing", ["v1"],
        released=["again"],
    ),
    "invariant 4: the one before is kept while nothing newer is cleared, also without pods": Case(
        approved(), [on(1), on(2, workloads=[workload("v2")], pods=[]), on(3)], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "the new one approved: both serve while pods of the old run": Case(
        approved(), [on(1), on(2, **V2), on(3, approve("bob"))], "Running", "Approved", ["v2", "v1"], released=["new"]
    ),
    "the new one approved: the old goes with its last pod": Case(
        approved(), [on(1), on(2, **V2), on(3, approve("bob")), on(4, pods=[pod("new", "v2")])], "Running", "Approved", ["v2"]
    ),
    "the new one approved: the old goes though a pod of it waits": Case(
        approved(), [on(1), on(2, **V2), on(3, approve("bob")), on(4, pods=[pod("new", "v2"), pod("late", "v1", held=True)])], "Running", "Approved", ["v2"]
    ),
    "invariant 4: going back needs nothing": Case(
        approved(), [on(1), on(2, **V2), on(3, workloads=[workload("v1")], pods=[pod("back", "v1", held=True)])], "Running", "Approved", ["v1"],
        released=["back"],
    ),
    "invariant 4: going back needs nothing after the new one was cleared": Case(
        approved(),
        [on(1), on(2, approve("bob"), **V2), on(3, pods=[pod("new", "v2")]), on(4, workloads=[workload("v1")])], "Running", "Approved", ["v1", "v2"],
    ),
    "a third change: what was approved last is kept": Case(
        approved(), [on(1), on(2, **V2), on(3, workloads=[workload("v3")])], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "onChange.grace: the one before is admitted until then": Case(
        approved(change="14d"), [on(1), on(2, **V2), on(15.9)], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "onChange.grace: then it goes, and its pods": Case(
        approved(change="14d"), [on(1), on(2, **V2), on(16)], "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED}
    ),
    "onChange.grace counts from the change, not from a later look": Case(
        approved(change="14d"), [on(1), on(2, **V2), on(9), on(16)], "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED}
    ),
    "onChange.grace: the shortest of several procedures": Case(
        given(approve("alice"), procedures=[procedure(change="14d"), procedure("other", change="3d")], pods=[OLD]),
        [on(1), on(2, **V2), on(5)], "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED},
    ),
    "onChange.grace counts anew after going back": Case(
        approved(change="14d"), [on(1), on(2, **V2), on(10, workloads=[workload("v1")]), on(12, **V2), on(20)], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "without onChange.grace the one before lasts as long as its approvals": Case(
        approved(valid_for="90d"), [on(1), on(2, **V2), on(89)], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "and then goes on covering what runs": Case(
        approved(valid_for="90d"), [on(1), on(2, **V2), on(90)], "Held", "ApprovalMissing", covered=["v1"]
    ),
    "approved again, the one before lasts longer": Case(
        approved(valid_for="90d"), [on(1), on(2, **V2), on(80, approve("dave", at=80, of=FIRST)), on(100)], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "a purpose changed with an equal template: the one before stays": Case(
        approved(), [on(1), on(2, of=spec(intended_purpose="score mortgages"))], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "a purpose changed with an equal template: for onChange.grace": Case(
        approved(change="14d"), [on(1), on(2, of=spec(intended_purpose="score mortgages")), on(16)], "Held", "ApprovalMissing",
        covered=["v1"], removed={"old": ENDED}
    ),
    "a purpose changed and approved: the same template, cleared anew": Case(
        approved(), [on(1), on(2, of=spec(intended_purpose="score mortgages")), on(3, approve("bob"))], "Running", "Approved", ["v1"]
    ),
    "another input read by the same template: the one before has lapsed": Case(
        given(approve("alice"), workloads=[workload(inputs={"configmaps/a": HEX["5"]})], pods=[OLD]),
        [on(1), on(2, workloads=[workload(inputs={"configmaps/a": HEX["6"]})])], "Held", "ApprovalMissing", covered=["v1"],
    ),
    "an input that is as it was in the moment in which the approval ends: the one before has lapsed since it was not": Case(
        given(
            approve("alice", expires="2027-01-06T00:00:00Z"), procedures=[procedure(lapse="Hold 3d")], workloads=[workload(inputs={"configmaps/a": HEX["5"]})],
            pods=[OLD],
        ),
        [on(1), *(on(at, workloads=[workload("v2", inputs={"configmaps/a": HEX[content]})]) for at, content in ((2, "5"), (3, "6"), (5, "5"), (6, "5")))],
        "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED},
    ),
    "the same input read by another template: the one before serves": Case(
        given(approve("alice"), workloads=[workload(inputs={"configmaps/a": HEX["5"]})], pods=[OLD]),
        [on(1), on(2, workloads=[workload("v2", inputs={"configmaps/a": HEX["5"]})])], "ChangePending", "ApprovalMissing", ["v1"],
    ),
    "a frozen Secret has no content to compare": Case(
        given(approve("alice"), procedures=[procedure(inputs={"secrets": "Frozen"})], workloads=[workload(secrets=("secrets/key",))], pods=[OLD]),
        [on(1), on(2, workloads=[workload("v2", inputs={"secrets/key": HEX["5"]})])], "ChangePending", "ApprovalMissing", ["v1"],
    ),
    "a missing workload: what was approved stays": Case(
        approved(), [on(1), on(2, workloads=[workload(None)])], "ChangePending", "WorkloadMissing", ["v1"]
    ),
    "a missing workload that comes back: as if nothing had been": Case(
        approved(), [on(1), on(2, workloads=[workload(None)]), on(3, workloads=[workload()])], "Running", "Approved", ["v1"]
    ),
    # a lapse
    "Hold: pods that run go on for ever, new ones are held": Case(
        approved(valid_for="90d"), [on(1), on(90), on(5000, pods=[OLD, pod("more", held=True)])], "Held", "ApprovalExpired", covered=["v1"]
    ),
    "Hold with grace: they go on until then": Case(
        approved("Hold 7d", valid_for="90d"), [on(1), on(90), on(96.9)], "Held", "ApprovalExpired", covered=["v1"]
    ),
    "Hold with grace: after it they are stopped": Case(
        approved("Hold 7d", valid_for="90d"), [on(1), on(90), on(97)], "Stopped", "ApprovalExpired", covered=["v1"], removed={"old": ENDED}
    ),
    "Hold with grace counts from the lapse, with the operator away": Case(
        approved("Hold 7d", valid_for="90d"), [on(1), on(97)], "Stopped", "ApprovalExpired", covered=["v1"], removed={"old": ENDED}
    ),
    "Stop: at once": Case(approved("Stop", valid_for="90d"), [on(1), on(90)], "Stopped", "ApprovalExpired", covered=["v1"], removed={"old": ENDED}),
    "approved in time, nothing lapses": Case(
        approved("Stop", valid_for="90d"), [on(1), on(50, approve("dave", at=50)), on(120)], "Running", "Approved", ["v1"]
    ),
    "approved after the lapse: cleared again": Case(
        approved(valid_for="90d"), [on(1), on(90), on(91, approve("dave", at=91))], "Running", "Approved", ["v1"]
    ),
    "an approval withdrawn: lapsed": Case(
        approved("Hold 7d"), [on(1), on(2, withdraw("alice", "approve-alice", at=2)), on(3)], "Held", "ApprovalWithdrawn", covered=["v1"]
    ),
    "an approval withdrawn: stopped after grace": Case(
        approved("Hold 7d"), [on(1), on(2, withdraw("alice", "approve-alice", at=2)), on(9)], "Stopped", "ApprovalWithdrawn", covered=["v1"],
        removed={"old": ENDED},
    ),
    "rejected: lapsed": Case(approved("Stop"), [on(1), on(2, reject("dave"))], "Stopped", "Rejected", covered=["v1"], removed={"old": ENDED}),
    "rejected, and taken back: cleared": Case(
        approved("Hold"), [on(1), on(2, reject("dave")), on(3, withdraw("dave", "reject-dave"))], "Running", "Approved", ["v1"]
    ),
    "the one before rejected: it lapses too": Case(
        approved("Stop"), [on(1), on(2, **V2), on(3, reject("dave", of=FIRST))], "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED}
    ),
    "the one before withdrawn: it lapses too": Case(
        approved(), [on(1), on(2, **V2), on(3, withdraw("alice", "approve-alice", of=FIRST))], "Held", "ApprovalMissing", covered=["v1"]
    ),
    "a change does not buy time: the lapse goes on counting": Case(
        approved("Hold 7d", valid_for="90d"), [on(1), on(90), on(92, **V2), on(97)], "Held", "ApprovalMissing", covered=["v1"], removed={"old": ENDED}
    ),
    "what no approval is about lapses for every procedure": Case(
        given(approve("alice"), procedures=[procedure(), procedure("strict", lapse="Stop")], pods=[OLD]),
        [on(1), on(2, workloads=[workload(label="other")])], "Stopped", "WorkloadClaimed", covered=["v1"], removed={"old": ENDED},
    ),
    # several procedures
    "several procedures: one record of a role counts for each that names it": Case(
        given(approve("alice"), procedures=[procedure(), procedure("other")]), [on(1)], "Running", "Approved", ["v1"]
    ),
    "several procedures: all must hold": Case(
        given(approve("alice"), procedures=[procedure(), procedure("other", roles={"risk-manager": 1})]), [on(1)], "Held", "ApprovalMissing"
    ),
    "several procedures: the first to end ends it": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("other", valid_for="90d")]), [on(1), on(30)], "Held", "ApprovalExpired",
        covered=["v1"],
    ),
    "several procedures: onLapse of the one that lapsed, not of the other": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("strict", valid_for="90d", lapse="Stop")], pods=[OLD]),
        [on(1), on(30), on(89)], "Held", "ApprovalExpired", covered=["v1"],
    ),
    "several procedures: the second lapses by its own rule": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("strict", valid_for="90d", lapse="Stop")], pods=[OLD]),
        [on(1), on(30), on(90)], "Stopped", "ApprovalExpired", covered=["v1"], removed={"old": ENDED},
    ),
    "several procedures: what began to count goes on when another lapses": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("strict", lapse="Hold 7d")], pods=[OLD]),
        [on(1), on(25, workloads=[workload(label="other")]), on(30, workloads=[workload()]), on(32)], "Stopped", "ApprovalExpired", covered=["v1"],
        removed={"old": ENDED},
    ),
    "several procedures: a rejection lapses the one whose role it is": Case(
        given(approve("alice"), approve("bob", "risk-manager"), procedures=[procedure(lapse="Stop"), procedure("other", {"risk-manager": 1})], pods=[OLD]),
        [on(1), on(2, reject("carol", "risk-manager"))], "Held", "Rejected", covered=["v1"],
    ),
    "several procedures that lapse together: the earliest stop": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d", lapse="Hold 9d"), procedure("other", valid_for="30d", lapse="Hold 7d")], pods=[OLD]),
        [on(1), on(30), on(37)], "Stopped", "ApprovalExpired", covered=["v1"], removed={"old": ENDED},
    ),
    "a lapse's grace that ends before the change's": Case(
        approved("Hold 2d", change="14d", valid_for="10d"), [on(1), on(2, **V2), on(10), on(12)], "Held", "ApprovalMissing", covered=["v1"],
        removed={"old": ENDED},
    ),
    "a change's grace that ends before the lapse's": Case(
        approved("Hold 9d", change="14d", valid_for="10d"), [on(1), on(2, **V2), on(10), on(16)], "Held", "ApprovalMissing", covered=["v1"],
        removed={"old": ENDED},
    ),
    "several procedures: the one before ends with the first of them": Case(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("other", valid_for="90d")], pods=[OLD]),
        [on(1), on(2, **V2), on(30)], "Held", "ApprovalMissing", covered=["v1"],
    ),
    "several procedures: the one before ends when one of them is not met any more": Case(
        given(approve("alice"), approve("bob", "risk-manager"), procedures=[procedure(), procedure("other", roles={"risk-manager": 1})], pods=[OLD]),
        [on(1), on(2, **V2), on(3, withdraw("bob", "approve-bob", "risk-manager"))], "Held", "ApprovalMissing", covered=["v1"],
    ),
    "a procedure edited, approvals kept: the same subject under its new rules": Case(
        approved("Stop"), [on(1), on(2, **enforced(roles={"model-owner": 2}, revision=2, since=1))], "Held", "ApprovalMissing", covered=["v1"]
    ),
    "a procedure edited, approvals not kept: a new subject": Case(
        approved("Stop"), [on(1), on(2, **enforced(roles={"model-owner": 2}, revision=2))], "ChangePending", "ApprovalMissing", ["v1"]
    ),
    "the last procedure deleted: what was approved stays, nothing new is": Case(
        approved(), [on(1), on(2, procedures=[])], "ChangePending", "NoProcedure", ["v1"]
    ),
    # Audit
    "Audit: everything passes": Case(audited(), [on(1, pods=[OLD, NEW])], "Running", "Audit", ["audit"], released=["new"]),
    "Audit beside Enforce loosens nothing": Case(
        given(procedures=[procedure(audit=True), procedure("strict")], pods=[NEW]), [on(1)], "Held", "ApprovalMissing"
    ),
    "Audit beside a procedure that cannot be read gives nothing new": Case(
        given(procedures=[BROKEN, procedure(audit=True)], pods=[NEW]), [on(1)], "Held", "Invalid"
    ),
    "a rejection under Audit blocks nothing": Case(audited(), [on(1, reject("alice"))], "Running", "Audit", ["audit"]),
    "Audit never clears what is Prohibited": Case(audited(of=spec(risk_class="Prohibited")), [on(1)], "Prohibited", "Prohibited", removed={"old": PROHIBITED}),
    "what Enforce had cleared is kept in Audit, and admits nothing of its own": Case(
        approved(), [on(1), on(2, procedures=[procedure(audit=True)])], "Running", "Audit", ["audit", "v1"]
    ),
    "Audit ends: pods that ran go on, new ones are held": Case(
        audited(), [on(1), on(2, pods=[OLD, NEW], **enforced())], "Held", "ApprovalMissing", covered=["v1"]
    ),
    "Audit ends: pods of every template go on": Case(
        audited(), [on(1), on(2, pods=[OLD, pod("more", "v0")], **enforced())], "Held", "ApprovalMissing", covered=["v0", "v1"]
    ),
    "Audit ends: after grace they are stopped": Case(
        audited(), [on(1), on(2, **enforced("Hold 7d")), on(9)], "Held", "ApprovalMissing", removed={"old": ENDED}
    ),
    "Audit ends: onLapse Stop stops them at once": Case(audited(), [on(1), on(2, **enforced("Stop"))], "Held", "ApprovalMissing", removed={"old": ENDED}),
    "Audit ends with a workload missing: pods that ran go on": Case(
        audited(), [on(1), on(2, workloads=[workload(None)], **enforced())], "Held", "WorkloadMissing", covered=["v1"]
    ),
    "Audit ends with the subject approved: other pods that ran go on all the same": Case(
        audited(), [on(1), on(2, approve("alice"), pods=[OLD, pod("more", "v0")], **enforced())], "Running", "Approved", ["v1"], covered=["v1", "v0"]
    ),
    "Audit ends: what the one before covers is covered once": Case(
        approved(), [on(1), on(2, procedures=[procedure(audit=True)]), on(3, workloads=[workload("v2")], **enforced())], "ChangePending", "ApprovalMissing",
        ["v1"],
    ),
    "Audit ends: a grace that had run out before begins anew": Case(
        approved("Hold 7d", valid_for="30d"),
        [on(1), on(20, procedures=[procedure(audit=True)]), on(60), on(61, **enforced("Hold 7d", valid_for="30d")), on(67)],
        "Held", "ApprovalExpired", covered=["v1", "v1"],
    ),
    "Audit ends: pods of a subject whose time had passed go on too": Case(
        approved(change="14d"), [on(1), on(2, **V2), on(10, procedures=[procedure(audit=True)]), on(60), on(61, **enforced(change="14d")), on(62)],
        "Held", "ApprovalMissing", covered=["v1", "v1"],
    ),
    "Audit ends, and no procedure applies: what one demands later counts": Case(
        audited(), [on(1), on(2, procedures=[]), on(3, **enforced("Stop"))], "Held", "ApprovalMissing", removed={"old": ENDED}
    ),
    # what is never cleared, or cannot be read
    "Retired: no pod is admitted, and running ones are stopped": Case(
        approved(), [on(1), on(2, of=spec(lifecycle="Retired"))], "Retired", "Retired", removed={"old": RETIRED}
    ),
    "Retired, and active again": Case(approved(), [on(1), on(2, of=spec(lifecycle="Retired")), on(3, of=spec())], "Running", "Approved", ["v1"]),
    "Prohibited: nothing is cleared, whoever approves": Case(
        given(approve("alice"), of=spec(risk_class="Prohibited"), pods=[OLD]), [on(1)], "Prohibited", "Prohibited", removed={"old": PROHIBITED}
    ),
    "a procedure that cannot be read: what was cleared stays": Case(
        approved(), [on(1), on(2, procedures=[BROKEN, procedure()], pods=[OLD, pod("more", held=True)])], "Running", "Invalid", ["v1"], released=["more"]
    ),
    "a procedure that cannot be read: nothing new is cleared": Case(
        approved(), [on(1), on(2, procedures=[BROKEN, procedure()], **V2), on(3, approve("bob"))], "Running", "Invalid", ["v1"]
    ),
    "a procedure that cannot be read: what is withdrawn is withdrawn": Case(
        approved("Stop"), [on(1), on(2, withdraw("alice", "approve-alice", of=FIRST), procedures=[BROKEN, procedure()])], "Stopped", "Invalid",
        covered=["v1"], removed={"old": ENDED},
    ),
    "an input that cannot be read: what was cleared stays": Case(approved(), [on(1), on(2, **UNREADABLE)], "Running", "InputUnreadable", ["v1"]),
    "an input that cannot be read: what ends, ends": Case(
        approved("Stop", valid_for="30d"), [on(1), on(2, **UNREADABLE), on(30)], "Stopped", "InputUnreadable", covered=["v1"], removed={"old": ENDED}
    ),
    "an input that cannot be read gives no more time": Case(
        approved(valid_for="30d"), [on(1), on(2, approve("dave", at=2), **UNREADABLE), on(31)], "Held", "InputUnreadable", covered=["v1"]
    ),
    "an input that can be read again: as if nothing had been": Case(
        approved(), [on(1), on(2, **UNREADABLE), on(3, unreadable="")], "Running", "Approved", ["v1"]
    ),
    "a register entry that cannot be read: what was cleared stays": Case(
        approved(), [on(1), on(2, of=Broken("spec.role: none of Provider, Deployer"), pods=[OLD, pod("more", held=True)])], "Running", "Invalid", ["v1"],
        released=["more"],
    ),
    "a register entry that cannot be read: what is rejected is rejected": Case(
        approved("Stop"), [on(1), on(2, reject("dave", of=FIRST), of=Broken("spec.role: bad"))], "Stopped", "Invalid", covered=["v1"], removed={"old": ENDED}
    ),
    "an ungoverned namespace: nobody is held or stopped": Case(
        approved(), [on(1), on(2, governed=False, pods=[OLD, NEW])], "Held", "NamespaceNotGoverned"
    ),
    "a register entry that cannot be read, in an ungoverned namespace": Case(
        approved(), [on(1), on(2, governed=False, of=Broken("spec.role: bad"))], "Held", "Invalid"
    ),
    # the sweep
    "a pod that runs and that nothing covers is ended": Case(
        approved(), [on(1, pods=[OLD, pod("x", "v9")])], "Running", "Approved", ["v1"], removed={"x": NEVER}
    ),
    "one that goes already is left alone": Case(approved(), [on(1, pods=[OLD, pod("x", "v9", going=True)])], "Running", "Approved", ["v1"]),
    "invariant 12: pods older than the Clearance are never touched": Case(given(pods=[pod("x", "v9", before=True)]), [on(1)], "Held", "ApprovalMissing"),
    "a StatefulSet's held pod of an old revision goes": Case(
        approved(), [on(1, pods=[pod("x", "v9", held=True, outdated=True)])], "Running", "Approved", ["v1"], removed={"x": REVISION}
    ),
    "also where its clearance has lapsed": Case(
        approved(valid_for="30d"), [on(1), on(30, pods=[OLD, pod("x", held=True, outdated=True)])], "Held", "ApprovalExpired", covered=["v1"],
        removed={"x": REVISION},
    ),
    "unless its template is cleared": Case(approved(), [on(1, pods=[pod("x", held=True, outdated=True)])], "Running", "Approved", ["v1"], released=["x"]),
    "or it is older than the Clearance": Case(approved(), [on(1, pods=[pod("x", "v9", held=True, outdated=True, before=True)])], "Running", "Approved", ["v1"]),
    "or it goes already": Case(approved(), [on(1, pods=[pod("x", "v9", held=True, outdated=True, going=True)])], "Running", "Approved", ["v1"]),
    "a pod of an old revision that runs has the time that its lapse gives": Case(
        approved(valid_for="30d"), [on(1), on(30, pods=[pod("old", outdated=True)])], "Held", "ApprovalExpired", covered=["v1"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_clearing(case: Case) -> None:
    decision, at = played(case)
    found = {
        "phase": decision.status.phase,
        "reason": decision.status.conditions[0].reason,
        "cleared": sorted(cleared(decision, day(at))),
        "covered": sorted(covered(decision)),
        "released": [r.pod for r in decision.releases],
        "removed": {r.pod: r.why for r in decision.removals},
    }
    assert found == {
        "phase": case.phase,
        "reason": case.reason,
        "cleared": sorted(case.cleared),
        "covered": sorted(case.covered or case.cleared),
        "released": list(case.released),
        "removed": dict(case.removed),
    }


def test_audit_has_no_end_while_an_input_cannot_be_read() -> None:
    assert decide(change(after(audited(), day(1)), **UNREADABLE), day(2)).entries == (Entry(audit=True),)


def test_the_one_approved_last_is_kept_in_whatever_order_they_are_stored() -> None:
    both = after(change(after(approved(), day(1)), approve("bob"), **V2), day(2))
    of = change(after(change(both, workloads=[workload("v3")]), day(3)), pods=[])
    assert len(of.entries) == 2
    assert [covered(decide(replace(of, entries=entries), day(4))) for entries in (of.entries, of.entries[::-1])] == [["v2"], ["v2"]]


def test_an_entry_whose_terms_nobody_knows_is_not_carried_on() -> None:
    of = after(approved(), day(1))
    unknown = replace(of, entries=tuple(e.model_copy(update={"terms": None}) for e in of.entries))
    assert [(cleared(d, day(2)), covered(d), d.removals) for d in (decide(change(unknown, **more), day(2)) for more in (UNREADABLE, V2))] == [
        ([], ["v1"], ()), (["v1"], ["v1"], ()),
    ]  # fmt: skip
