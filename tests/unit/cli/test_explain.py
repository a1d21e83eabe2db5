"""What `kubectl qms explain` says, to the letter: facts in, lines out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from aiqms.api.deployment import DeploymentSpec
from aiqms.api.record import Decision, RecordSpec
from aiqms.api.values import Json
from aiqms.cli.explanation import explain
from aiqms.cli.reading import Facts, WhoMay
from aiqms.cli.text import lines

NEW, OLD = "sha256:9f2c41d0" + "a" * 56, "sha256:51d0e7b3" + "b" * 56
KNOWN = WhoMay(("group risk-managers", "user dave"), known=True)
READY = [{"type": "Ready", "status": "True", "reason": "Approved", "message": "approved"}]


def control(id_: str, result: str, reason: str, message: str, procedure: str = "high-risk-inference") -> Json:
    return {"id": id_, "procedure": procedure, "result": result, "reason": reason, "message": message}


OWNER = control("approvals/model-owner", "Pass", "Approved", "1 of 1 given: alice")
MANAGER = control("approvals/risk-manager", "Fail", "ApprovalMissing", "1 of 2 given: bob; one more person has to approve")


def status(**changes: Any) -> Json:
    """Of a deployment whose new model waits for its second risk-manager."""
    return {
        "observedGeneration": 3,
        "phase": "ChangePending",
        "model": "credit-llm:4.2.0",
        "subject": {"fingerprint": NEW, "components": {}, "changed": ["model", "workload"]},
        "serving": {"fingerprint": OLD, "validUntil": "2027-02-20T10:00:00.970390Z"},
        "approvals": [
            {"role": "model-owner", "procedure": "high-risk-inference", "required": 1, "given": 1, "by": ["alice"]},
            {"role": "risk-manager", "procedure": "high-risk-inference", "required": 2, "given": 1, "by": ["bob"]},
        ],
        "controls": [OWNER, MANAGER],
        "pods": {"running": 3, "held": 1, "before": 0},
        "conditions": [{"type": "Ready", "status": "False", "reason": "ApprovalMissing", "message": "approvals are missing"}],
    } | changes


def facts(state: Json | None = None, **changes: Any) -> Facts:
    deployment = {"metadata": {"generation": 3}, "spec": {}, "status": status() if state is None else state}
    return replace(Facts(namespace="lending", name="credit-scoring", deployment=deployment, governed=True), **changes)


def text(facts: Facts, width: int | None = None) -> str:
    return "\n".join(line.text for line in lines(explain(facts), width=width)) + "\n"


APPROVE = f"""
To approve as risk-manager:
kubectl create -f - <<'EOF'
apiVersion: aiqms.dev/v1alpha1
kind: ApprovalRecord
metadata:
  generateName: credit-scoring-
  namespace: lending
spec:
  deployment: credit-scoring
  subject: {NEW}
  role: risk-manager
  decision: Approve
  rationale: why you decide so
EOF
"""


def test_a_change_that_waits_says_who_may_approve_it_and_what_they_run() -> None:
    assert text(facts(who_may=(("risk-manager", KNOWN),))) == (
        """\
credit-scoring  CHANGE PENDING: 1 of 2 controls fails          subject sha256:9f2c41d0 (changed since last approval: model, workload)
  ✓ approvals/model-owner   1 of 1 given: alice
  ✗ approvals/risk-manager  1 of 2 given: bob; one more person has to approve
      who may: group risk-managers, user dave
  … 3 pods of sha256:51d0e7b3 go on serving (cleared until 2027-02-20 10:00:00 UTC); 1 pod of sha256:9f2c41d0 is held
"""
        + APPROVE
    )


def test_a_narrow_terminal_wraps_what_is_read_and_leaves_whole_what_is_pasted() -> None:
    assert text(facts(who_may=(("risk-manager", KNOWN),)), width=60) == (
        """\
credit-scoring  CHANGE PENDING: 1 of 2 controls fails
  subject sha256:9f2c41d0 (changed since last approval:
  model, workload)
  ✓ approvals/model-owner   1 of 1 given: alice
  ✗ approvals/risk-manager  1 of 2 given: bob; one more
      person has to approve
      who may: group risk-managers, user dave
  … 3 pods of sha256:51d0e7b3 go on serving (cleared until
    2027-02-20 10:00:00 UTC); 1 pod of sha256:9f2c41d0 is
    held
"""
        + APPROVE
    )


@pytest.mark.parametrize(
    ("may", "said"),
    [
        pytest.param(KNOWN, "group risk-managers, user dave", id="all bindings were read"),
        pytest.param(replace(KNOWN, me=True), "you, group risk-managers, user dave", id="the person who asks"),
        pytest.param(
            WhoMay((), known=True),
            "nobody yet; bind somebody: kubectl create rolebinding risk-managers --clusterrole aiqms-role-risk-manager --group risk-managers -n lending",
            id="nobody is bound",
        ),
        pytest.param(
            WhoMay(("group risk-managers",), known=False),
            "group risk-managers, perhaps others (you may not read their bindings)",
            id="some bindings may not be read",
        ),
        pytest.param(WhoMay((), known=False, me=True), "you, perhaps others (you may not read their bindings)", id="an approver who may read none"),
        pytest.param(WhoMay((), known=False), "not you; others (you may not read their bindings)", id="somebody else who may read none"),
    ],
)
def test_who_may_is_said_as_far_as_it_is_known(may: WhoMay, said: str) -> None:
    assert text(facts(who_may=(("risk-manager", may),))).splitlines()[3] == f"      who may: {said}"


def test_whoever_holds_one_of_the_roles_is_shown_the_record_of_that_one_alone() -> None:
    missing = control("approvals/model-owner", "Fail", "ApprovalMissing", "0 of 1 given")
    who = (("model-owner", WhoMay((), known=False, me=True)), ("risk-manager", WhoMay((), known=False)))
    assert [s.what for s in explain(facts(status(controls=[missing, MANAGER]), who_may=who)).steps] == ["To approve as model-owner"]


def test_whoever_holds_none_of_the_roles_is_shown_the_records_of_all() -> None:
    missing = control("approvals/model-owner", "Fail", "ApprovalMissing", "0 of 1 given")
    assert [s.what for s in explain(facts(status(controls=[missing, MANAGER]))).steps] == ["To approve as model-owner", "To approve as risk-manager"]


def test_what_holds_is_short() -> None:
    passed = control("approvals/risk-manager", "Pass", "Approved", "2 of 2 given: bob, carol")
    state = status(
        phase="Running",
        conditions=READY,
        controls=[OWNER, passed],
        pods={"running": 3},
        subject={"fingerprint": NEW},
        serving={"fingerprint": NEW, "validUntil": "9999-12-31T23:59:59Z"},
    )
    assert text(facts(state)) == (
        """\
credit-scoring  RUNNING: all 2 controls hold          subject sha256:9f2c41d0
  ✓ approvals/model-owner   1 of 1 given: alice
  ✓ approvals/risk-manager  2 of 2 given: bob, carol
  … 3 pods run (cleared until withdrawn)
"""
    )
    assert not explain(facts(state)).blocked


def test_two_procedures_are_told_apart() -> None:
    other = control("approvals/model-owner", "Pass", "Approved", "1 of 1 given: alice", procedure="gpu-use")
    assert text(facts(status(controls=[OWNER, other]))).splitlines()[1:3] == [
        "  ✓ approvals/model-owner (high-risk-inference)  1 of 1 given: alice",
        "  ✓ approvals/model-owner (gpu-use)              1 of 1 given: alice",
    ]


def test_a_rejection_shows_the_record_that_takes_it_back() -> None:
    rejected = control("approvals/risk-manager", "Fail", "Rejected", "rejected by carol (apr/credit-scoring-x7k2p)")
    record = {
        "metadata": {"name": "credit-scoring-x7k2p"},
        "spec": {"subject": NEW, "role": "risk-manager", "rationale": "drift", "approver": {"username": "carol"}},
    }
    state = status(controls=[rejected], conditions=[{"type": "Ready", "status": "False", "reason": "Rejected", "message": "rejected"}])
    assert text(facts(state, rejections=(record,))) == (
        f"""\
credit-scoring  CHANGE PENDING: 1 of 1 controls fails          subject sha256:9f2c41d0 (changed since last approval: model, workload)
  ✗ approvals/risk-manager  rejected by carol (apr/credit-scoring-x7k2p)
  … 3 pods of sha256:51d0e7b3 go on serving (cleared until 2027-02-20 10:00:00 UTC); 1 pod of sha256:9f2c41d0 is held

To take back the rejection by carol (drift):
kubectl create -f - <<'EOF'
apiVersion: aiqms.dev/v1alpha1
kind: ApprovalRecord
metadata:
  generateName: credit-scoring-
  namespace: lending
spec:
  deployment: credit-scoring
  subject: {NEW}
  role: risk-manager
  decision: Withdraw
  withdraws: credit-scoring-x7k2p
  rationale: why you decide so
EOF
"""
    )


def test_a_condition_is_told_where_no_control_says_the_same() -> None:
    state = status(
        phase="Held", controls=[], pods={}, conditions=[{"type": "Ready", "status": "False", "reason": "NamespaceNotGoverned", "message": "not judged"}]
    )
    assert text(facts(state, governed=False)).splitlines()[1:] == ["  … NamespaceNotGoverned: not judged"]


def test_when_pods_will_be_stopped_is_told_in_any_case() -> None:
    ends = "1 of 2 given; pods that run are stopped at 2027-02-20 10:00:00 UTC"
    state = status(pods={}, conditions=[{"type": "Ready", "status": "False", "reason": "ApprovalMissing", "message": ends}])
    assert "  … pods that run are stopped at 2027-02-20 10:00:00 UTC" in text(facts(state)).splitlines()


@pytest.mark.parametrize(("type_", "value", "told"), [("Ready", "True", False), ("Reconciling", "True", True), ("Stalled", "True", True)])
def test_conditions_that_are_as_they_should_be_are_not_told(type_: str, value: str, told: bool) -> None:
    state = status(controls=[OWNER], pods={}, conditions=[{"type": type_, "status": value, "reason": "Clearing", "message": "being written"}])
    assert ("  … Clearing: being written" in text(facts(state)).splitlines()) == told


def test_an_audit_procedure_says_that_nothing_is_held() -> None:
    state = status(phase="Running", controls=[MANAGER], conditions=[{"type": "Ready", "status": "True", "reason": "Audit", "message": "audit"}])
    assert text(facts(state)).startswith("credit-scoring  RUNNING: 1 of 1 controls fails (Audit: nothing is held)  ")
    assert not explain(facts(state)).blocked


def test_a_change_that_the_operator_has_not_seen_is_said() -> None:
    assert (
        "  … the operator has not looked at the latest change yet (generation 3, seen 2); the gate holds meanwhile: "
        "kubectl get deployment aiqms-operator -n aiqms-system\n"
    ) in text(facts(status(observedGeneration=2)))


def test_no_status_at_all_asks_whether_the_operator_runs() -> None:
    assert text(facts({}, governed=False)) == (
        "credit-scoring  NO STATUS YET\n"
        "  … the operator has not looked at it yet; is it running? kubectl get deployment aiqms-operator -n aiqms-system\n"
        "  … namespace lending is not governed, so the gate judges nothing there; "
        "whoever may edit it runs: kubectl label namespace lending aiqms.dev/governed=true\n"
    )


def test_pods_from_before_the_namespace_was_governed_are_named() -> None:
    assert ("  … 2 pods of sha256:9f2c41d0 are held; 1 pod ran before the namespace was governed and is left alone until the next start\n") in text(
        facts(status(pods={"running": 0, "held": 2, "before": 1}))
    )


def test_an_unregistered_name_shows_the_entry_to_fill_in() -> None:
    said = text(Facts(namespace="lending", name="fraud", deployment=None, governed=True, registered=("credit-scoring",), pods=2))
    head, manifest = said.split("<<'EOF'\n")
    assert head == (
        """\
fraud  NOT REGISTERED: namespace lending has no AIModelDeployment of this name
  … registered here: credit-scoring
  … 2 pods bearing label aiqms.dev/deployment: fraud, and held until it is registered and approved

To register it, somebody who may edit the namespace fills in and applies:
kubectl apply -f - """
    )
    entry = yaml.safe_load(manifest.removesuffix("EOF\n"))
    assert (entry["kind"], entry["metadata"]) == ("AIModelDeployment", {"name": "fraud", "namespace": "lending"})


def test_the_entry_to_fill_in_fits_the_schema() -> None:
    (step,) = explain(Facts(namespace="lending", name="fraud", deployment=None)).steps
    assert DeploymentSpec.model_validate(step.manifest["spec"]).workloads[0].name == "fraud"


def test_the_record_to_create_fits_the_schema() -> None:
    (step,) = explain(facts(who_may=(("risk-manager", KNOWN),))).steps
    spec = RecordSpec.model_validate(step.manifest["spec"])
    assert (spec.subject, spec.role, spec.decision) == (NEW, "risk-manager", Decision.APPROVE)


def test_what_is_printed_for_programs_is_plain_and_complete() -> None:
    dumped = json.loads(json.dumps(explain(facts(who_may=(("risk-manager", KNOWN),))).dump()))
    assert dumped["controls"][1] == MANAGER | {"role": "risk-manager", "who": ["group risk-managers", "user dave"], "known": True, "me": False}
    assert {k: dumped[k] for k in ("namespace", "name", "blocked", "phase", "subject", "changed")} == {
        "namespace": "lending",
        "name": "credit-scoring",
        "blocked": True,
        "phase": "ChangePending",
        "subject": NEW,
        "changed": ["model", "workload"],
    }
