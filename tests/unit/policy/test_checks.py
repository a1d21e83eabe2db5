"""The chain of checks on a deployment, apart from approvals: each says its result, reason and message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input, Origin
from tests.unit.policy.given import HEX, MODEL, after, approve, change, controls, day, fingerprint, given, pod, procedure, spec, withdraw, workload

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Case:
    """The rows with this id say this on a day; None: there is no such row."""

    of: Input
    row: str
    says: Row | None
    at: datetime = day(1)  # noqa: RUF009


def warn(reason: str, message: str) -> Row:
    return "Warn", reason, message


def fail(reason: str, message: str) -> Row:
    return "Fail", reason, message


def passes(reason: str, message: str) -> Row:
    return "Pass", reason, message


W, ROOM = "workload/Deployment/credit-scoring", "clearance/size"
REVIEWED = procedure(reviewBy="2027-05-31T00:00:00Z")
LIMITED = spec(risk_class="Limited")
FULL = "the Clearance of namespace lending is near the size that the API server can store: spread its deployments over more namespaces"
TAKEN = given(approve("alice"), withdraw("alice", "approve-alice"))
STRAY = [pod("x", held=True, origin=Origin.ELSEWHERE)]
OTHER, HERE = HEX["2"], HEX["1"]

CASES = {
    "Prohibited is never cleared": Case(
        given(of=spec(risk_class="Prohibited")), "register/risk-class",
        fail("Prohibited", "risk class Prohibited is never cleared: AI Act Art. 5 forbids the practice")
    ),
    "High may be": Case(given(), "register/risk-class", None),
    "Retired admits nothing": Case(
        given(of=spec(lifecycle="Retired")), "register/lifecycle", fail("Retired", "lifecycle is Retired: set spec.lifecycle to Active to have it judged again")
    ),
    "Active may be cleared": Case(given(), "register/lifecycle", None),
    "no procedure applies": Case(
        given(procedures=[]), "procedures",
        fail("NoProcedure", "no QMSProcedure applies to risk class High, role Provider, namespace lending: "
             "the platform team creates one, or widens spec.appliesTo of one"),
    ),
    "one procedure is enough": Case(given(), "procedures", None),
    "a procedure that cannot be read": Case(
        given(procedures=[("broken", Broken("spec.revision: below 1")), procedure()]), "procedures",
        ("Error", "Invalid", "QMSProcedure broken cannot be read, so nobody knows whether it applies: spec.revision: below 1"),
    ),
    "none but a procedure that cannot be read, which may apply": Case(
        given(procedures=[("broken", Broken("spec.revision: below 1"))]), "procedures",
        ("Error", "Invalid", "QMSProcedure broken cannot be read, so nobody knows whether it applies: spec.revision: below 1"),
    ),
    "a message is no longer than the status can hold": Case(
        given(procedures=[("broken", Broken("x" * 5000))]), "procedures",
        ("Error", "Invalid", "QMSProcedure broken cannot be read, so nobody knows whether it applies: ".ljust(4096, "x")),
    ),
    "32 procedures can be kept": Case(given(procedures=[procedure(f"p{n}") for n in range(32)]), "procedures", None),
    "33 cannot": Case(
        given(procedures=[procedure(f"p{n}") for n in range(33)]), "procedures",
        fail("TooManyProcedures", "33 procedures apply in Enforce, and at most 32 can be kept with a clearance: merge some, or narrow their spec.appliesTo"),
    ),
    "those in Audit are not kept": Case(given(procedures=[procedure(f"p{n}", audit=n > 0) for n in range(40)]), "procedures", None),
    "a procedure without reviewBy says nothing of it": Case(given(), "high-risk/procedure/review", None),
    "a review that lies ahead": Case(
        given(procedures=[REVIEWED]), "high-risk/procedure/review", passes("ReviewInTime", "Head of AI Quality reviews it by 2027-05-31 00:00:00 UTC")
    ),
    "a review that is due": Case(
        given(procedures=[REVIEWED]), "high-risk/procedure/review",
        warn("ReviewDue", "its review was due by 2027-05-31 00:00:00 UTC: Head of AI Quality has to review it"), datetime.fromisoformat("2027-05-31T00:00:00Z"),
    ),
    "a workload whose pods name this deployment": Case(given(), W, passes("WorkloadFound", "Deployment/credit-scoring names this deployment")),
    "a workload that does not exist": Case(
        given(workloads=[workload(None)]), W,
        fail("WorkloadMissing", "Deployment/credit-scoring does not exist in this namespace: create it, or correct spec.workloads"),
    ),
    "a workload without the label": Case(
        given(workloads=[workload(label=None)]), W,
        fail("WorkloadUnlabelled", "the pods of Deployment/credit-scoring name no deployment: "
             "set aiqms.dev/deployment: credit-scoring in its spec.template.metadata.labels"),
    ),
    "a workload of another deployment": Case(
        given(workloads=[workload(label="fraud-watch")]), W,
        fail("WorkloadClaimed", "the pods of Deployment/credit-scoring name fraud-watch, which decides: "
             "take it out of spec.workloads, or change spec.template.metadata.labels"),
    ),
    "256 objects that pods read can be frozen": Case(
        given(workloads=[workload(inputs={f"configmaps/c{n}": HEX["5"] for n in range(200)}, secrets=tuple(f"secrets/s{n}" for n in range(56)))]), W,
        passes("WorkloadFound", "Deployment/credit-scoring names this deployment"),
    ),
    "257 cannot": Case(
        given(workloads=[workload(inputs={f"configmaps/c{n}": HEX["5"] for n in range(257)})]), W,
        fail("TooManyInputs", "the pods of Deployment/credit-scoring read 257 ConfigMaps, Secrets and claims, "
             "and at most 256 can be frozen: join some of them"),
    ),
    "what the pods read has a name that a clearance can keep": Case(
        given(workloads=[workload(secrets=("secrets/" + "s" * 292,))]), W, passes("WorkloadFound", "Deployment/credit-scoring names this deployment")
    ),
    "what the pods read has a name that no object can have": Case(
        given(approve("alice"), workloads=[workload(secrets=("secrets/" + "s" * 293,))]), W,
        fail("InputUnreadable", f"the pods of Deployment/credit-scoring read secrets/{'s' * 292}…, "
             "and no object can have so long a name: correct spec.template"),
    ),
    "what the pods read can be read": Case(given(), "inputs", None),
    "what the pods read cannot be read": Case(
        given(unreadable="configmaps/prompts could not be read: timed out"), "inputs",
        ("Error", "InputUnreadable", "configmaps/prompts could not be read: timed out: what was cleared stays until its time, nothing new is cleared"),
    ),
    "the model that the template declares": Case(given(), "supply/model", passes("ModelMatches", f"every pod template declares {HERE}")),
    "another model than the register's": Case(
        given(workloads=[workload(model=OTHER)]), "supply/model",
        fail("ModelMismatch", f"Deployment/credit-scoring declares {OTHER}, but spec.model.digest is {HERE}: make annotation {MODEL} and the register agree"),
    ),
    "a model that only looks like the register's": Case(
        given(workloads=[workload(model=f"{HERE}\u200b")]), "supply/model",
        fail(
            "ModelMismatch",
            rf"Deployment/credit-scoring declares {HERE}\u200b, but spec.model.digest is {HERE}: make annotation {MODEL} and the register agree",
        ),
    ),
    "a model of many letters": Case(
        given(workloads=[workload(model="x" * 200_000)]), "supply/model",
        fail(
            "ModelMismatch",
            f"Deployment/credit-scoring declares {'x' * 128}…, but spec.model.digest is {HERE}: make annotation {MODEL} and the register agree",
        ),
    ),
    "one of two workloads declares no model": Case(
        given(workloads=[workload(), workload(ref="Job/batch", model=None)]), "supply/model",
        warn("ModelNotDeclared", f"nothing ties Job/batch to the model approved: set annotation {MODEL} in the pod template"),
    ),
    "one declares none and one another": Case(
        given(workloads=[workload(model=OTHER), workload(ref="Job/batch", model=None)]), "supply/model",
        fail("ModelMismatch", f"Deployment/credit-scoring declares {OTHER}, but spec.model.digest is {HERE}: make annotation {MODEL} and the register agree"),
    ),
    "no workload that could declare one": Case(
        given(workloads=[workload(None)]), "supply/model", ("Skip", "WorkloadMissing", "this is known once every workload exists")
    ),
    "one of two workloads that could declare one": Case(
        given(workloads=[workload(), workload(None, ref="Job/batch")]), "supply/model",
        ("Skip", "WorkloadMissing", "this is known once every workload exists"),
    ),
    "a Clearance with room": Case(given(clearance_bytes=768 * 1024 - 1), ROOM, None),
    "a Clearance that fills up": Case(given(clearance_bytes=768 * 1024), ROOM, warn("ClearanceTooLarge", FULL)),
    "a Clearance that is full": Case(given(clearance_bytes=1024 * 1024 - 10, workloads=[workload(size=10)]), ROOM, fail("ClearanceTooLarge", FULL)),
    "a full Clearance ends nothing that is cleared": Case(
        after(given(approve("alice")), day(1), clearance_bytes=2_000_000), ROOM, warn("ClearanceTooLarge", FULL)
    ),
    "a full Clearance takes nothing new beside what is cleared": Case(
        after(given(approve("alice")), day(1), workloads=[workload("v2")], clearance_bytes=2_000_000), ROOM, fail("ClearanceTooLarge", FULL)
    ),
    "nor what nobody knows yet": Case(
        after(given(approve("alice")), day(1), workloads=[workload(None)], clearance_bytes=2_000_000), ROOM, fail("ClearanceTooLarge", FULL)
    ),
    "a risk class lower than approved": Case(
        after(given(approve("alice")), day(1), of=LIMITED), "change/risk-class",
        warn("ClassLowered", "risk class was High in the subject last approved and is Limited now"),
    ),
    "and as long as that waits": Case(
        change(after(after(given(approve("alice")), day(1), of=LIMITED), day(2))), "change/risk-class",
        warn("ClassLowered", "risk class was High in the subject last approved and is Limited now"),
    ),
    "and after the one approved before was stopped": Case(
        change(after(given(approve("alice"), procedures=[procedure(change="3d")]), day(1), of=LIMITED)), "change/risk-class",
        warn("ClassLowered", "risk class was High in the subject last approved and is Limited now"), day(9),
    ),
    "a risk class lower than was never approved": Case(after(given(), day(1), of=LIMITED), "change/risk-class", None),
    "a risk class raised": Case(after(given(approve("alice"), of=LIMITED), day(1), of=spec()), "change/risk-class", None),
    "a lower risk class that has been approved": Case(
        after(after(given(approve("alice")), day(1), approve("alice", name="new"), of=LIMITED), day(2)), "change/risk-class", None
    ),
    "held pods that equal their template": Case(given(pods=[pod("x", held=True)]), "pods", None),
    "held pods that were changed on their way in": Case(
        given(pods=[pod("b", held=True, differs=("containers[proxy]: none -> envoy",)), pod("a", held=True, differs=("image: a -> b", "args[0]: none -> -v"))]),
        "pods", fail("PodDiffers", "2 held pods, such as a, changed on the way in: image: a -> b; args[0]: none -> -v: "
                     "have that declared in the workload's template, or kept from these pods"),
    ),
    "a held pod that goes is nobody's business": Case(given(pods=[pod("a", held=True, going=True, differs=("image: a -> b",))]), "pods", None),
    "held pods of another workload": Case(
        given(pods=STRAY), "pods", warn("PodDiffers", "1 held pod, such as x, of no workload in spec.workloads: name its workload there, or delete it")
    ),
    "a pod of another workload that runs": Case(given(pods=[pod("x", origin=Origin.ELSEWHERE)]), "pods", None),
    "an approval that was withdrawn": Case(
        TAKEN, "high-risk/approvals/model-owner",
        fail("ApprovalWithdrawn", f"0 of 1 model-owner approvals for {fingerprint(TAKEN)[:15]}; none counts yet; that of alice was withdrawn"),
    ),
    "one of another subject that was withdrawn": Case(
        given(approve("alice", of=HEX["d"]), withdraw("alice", "approve-alice")), "high-risk/approvals/model-owner",
        fail("ApprovalMissing", f"0 of 1 model-owner approvals for {fingerprint(TAKEN)[:15]}; none counts yet"),
    ),
    "one in another role that was withdrawn": Case(
        given(approve("alice", "risk"), withdraw("alice", "approve-alice", "risk"), procedures=[procedure(roles={"model-owner": 1, "risk": 1})]),
        "high-risk/approvals/model-owner", fail("ApprovalMissing", f"0 of 1 model-owner approvals for {fingerprint(TAKEN)[:15]}; none counts yet"),
    ),
    "what approvals are for while a workload is missing": Case(
        given(workloads=[workload(None)]), "high-risk/approvals/model-owner",
        ("Skip", "WorkloadMissing", "what is to be approved is known once every workload exists"),
    ),
    "what approvals are for while one of two workloads is missing": Case(
        given(workloads=[workload(), workload(None, ref="Job/batch")]), "high-risk/approvals/model-owner",
        ("Skip", "WorkloadMissing", "what is to be approved is known once every workload exists"),
    ),
    "what approvals are for while an input cannot be read": Case(
        given(unreadable="configmaps/a could not be read"), "high-risk/approvals/model-owner",
        ("Skip", "InputUnreadable", "what is to be approved is known once everything that makes it up can be read"),
    ),
    "what was last known stays what approvals are for": Case(
        after(given(approve("alice")), day(1), unreadable="configmaps/a could not be read"), "high-risk/approvals/model-owner",
        passes("Approved", "1 of 1 model-owner approvals: alice"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_checks(case: Case) -> None:
    assert controls(case.of, case.at).get(case.row) == case.says


def test_the_rows_come_in_the_order_of_the_chain() -> None:
    of = given(of=spec(risk_class="Prohibited", lifecycle="Retired"), procedures=[REVIEWED], pods=STRAY, clearance_bytes=10**7, unreadable="gone")
    assert [*controls(of, day(1))] == [
        "register/risk-class", "register/lifecycle", "high-risk/procedure/review", W, "inputs", "supply/model", ROOM, "high-risk/approvals/model-owner", "pods",
    ]  # fmt: skip


def test_a_row_carries_the_obligations_that_it_serves() -> None:
    serving = procedure(obligations=[{"framework": "eu-ai-act", "id": "17(1)(m)"}, {"framework": "iso-42001", "id": "A.3.2"}])
    rows = decide(given(procedures=[serving]), day(1)).status.controls
    assert {c.id: c.obligations for c in rows if c.obligations} == {"approvals/model-owner": ["eu-ai-act 17(1)(m)", "iso-42001 A.3.2"]}
