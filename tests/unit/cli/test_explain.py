"""What `kubectl qms explain` says, to the letter: facts in, lines out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from aiqms.api.deployment import DeploymentSpec
from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli.explanation import explain
from aiqms.cli.facts import Duty, Facts
from aiqms.cli.holders import WhoMay
from aiqms.cli.text import lines

NEW, OLD = "sha256:9f2c41d0" + "a" * 56, "sha256:51d0e7b3" + "b" * 56
APPROVE = "kubectl qms approve credit-scoring -n lending --role"
KNOWN = WhoMay(("group risk-managers", "user dave"), known=True, giver="aiqms-role-risk-manager")
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


def approvers(may: WhoMay, role: str = "risk-manager") -> dict[tuple[str, Decision], WhoMay]:
    return {(role, Decision.APPROVE): may}


def test_a_change_that_waits_says_who_may_approve_it_and_what_they_run() -> None:
    assert text(facts(who_may=approvers(KNOWN))) == (
        """\
credit-scoring  CHANGE PENDING: 1 of 2 controls fails          subject sha256:9f2c41d0 (changed since last approval: model, workload)
  ✓ approvals/model-owner   1 of 1 given: alice
  ✗ approvals/risk-manager  1 of 2 given: bob; one more person has to approve
      who may: group risk-managers, user dave
      they run: kubectl qms approve credit-scoring -n lending --role risk-manager
  … 3 pods of sha256:51d0e7b3 go on serving (cleared until 2027-02-20 10:00:00 UTC); 1 pod of sha256:9f2c41d0 is held
"""
    )


def test_a_narrow_terminal_wraps_what_is_read_and_leaves_whole_what_is_pasted() -> None:
    assert text(facts(who_may=approvers(KNOWN)), width=60) == (
        """\
credit-scoring  CHANGE PENDING: 1 of 2 controls fails
  subject sha256:9f2c41d0 (changed since last approval:
  model, workload)
  ✓ approvals/model-owner  1 of 1 given: alice
  ✗ approvals/risk-manager  1 of 2 given: bob; one more
      person has to approve
      who may: group risk-managers, user dave
      they run: kubectl qms approve credit-scoring -n lending --role risk-manager
  … 3 pods of sha256:51d0e7b3 go on serving (cleared until
    2027-02-20 10:00:00 UTC); 1 pod of sha256:9f2c41d0 is
    held
"""
    )


@pytest.mark.parametrize(
    ("may", "said"),
    [
        pytest.param(KNOWN, ["who may: group risk-managers, user dave", f"they run: {APPROVE} risk-manager"], id="all bindings were read"),
        pytest.param(replace(KNOWN, me=True), ["who may: you, group risk-managers, user dave", f"you run: {APPROVE} risk-manager"], id="the person who asks"),
        pytest.param(
            WhoMay((), known=True, giver="approver"),
            [
                "who may: nobody yet",
                "whoever may bind roles there runs: kubectl create rolebinding risk-managers --clusterrole approver --group risk-managers -n lending",
            ],
            id="nobody is bound",
        ),
        pytest.param(
            WhoMay((), known=True),
            ["who may: nobody, and no ClusterRole gives the role: whoever installs the chart adds it to its value roles"],
            id="nobody can be bound",
        ),
        pytest.param(
            WhoMay(("group risk-managers",), known=False),
            ["who may: group risk-managers, perhaps others (you may not read their bindings)", f"they run: {APPROVE} risk-manager"],
            id="some bindings may not be read",
        ),
        pytest.param(
            WhoMay((), known=False, me=True),
            ["who may: you, perhaps others (you may not read their bindings)", f"you run: {APPROVE} risk-manager"],
            id="an approver who may read none",
        ),
        pytest.param(
            WhoMay((), known=False),
            ["who may: not you; others (you may not read their bindings)", f"they run: {APPROVE} risk-manager"],
            id="somebody else who may read none",
        ),
    ],
)
def test_who_may_is_said_as_far_as_it_is_known_and_no_step_that_nobody_can_take(may: WhoMay, said: list[str]) -> None:
    assert [line.strip() for line in text(facts(who_may=approvers(may))).splitlines()[3:-1]] == said


def test_it_says_by_what_the_pods_are_reached_and_what_they_read() -> None:
    endpoints = [
        {"kind": "HTTPRoute", "namespace": "web", "name": "api", "exposure": "Route", "at": ["a.example", "b.example"]},
        {"kind": "Service", "name": "scoring", "exposure": "Cluster", "registered": True},
    ]
    volumes = [{"name": "data", "kind": "PersistentVolumeClaim", "claim": "model", "storageClass": "encrypted"}, {"name": "tmp", "kind": "EmptyDir"}]
    state = status(endpoints=endpoints, reads={"secrets": ["key", "pull"], "configMaps": ["mode"], "volumes": volumes, "omitted": 2})
    assert [line.strip() for line in text(facts(state)).splitlines() if "reached" in line or "reads" in line] == [
        "… reached by HTTPRoute/api of namespace web (Route at a.example, b.example, not registered); Service/scoring (Cluster)",
        "… reads Secrets key, pull; ConfigMaps mode; volume data (PersistentVolumeClaim model, StorageClass encrypted); volume tmp (EmptyDir); 2 more",
    ]


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


REJECTED = control("approvals/risk-manager", "Fail", "Rejected", "rejected by carol (apr/credit-scoring-x7k2p)")


def record(name: str, decision: str, who: str, role: str = "risk-manager", *, counts: bool = True, at: str = "2026-11-22T10:00:00Z", **spec: Any) -> Json:
    message = spec.pop("message", "so")
    spec = {"deployment": "credit-scoring", "decision": decision, "subject": NEW, "role": role, "approver": {"username": who}} | spec
    return {"metadata": {"name": name, "creationTimestamp": at}, "spec": spec, "status": {"counts": counts, "reason": "Counted", "message": message}}


def state_of(*controls: Json, reason: str = "Rejected") -> Json:
    return status(controls=list(controls), pods={}, conditions=[{"type": "Ready", "status": "False", "reason": reason, "message": "no"}])


@pytest.mark.parametrize(
    ("me", "who", "run"), [("dave", "user carol, group risk-managers", "they run"), ("carol", "you, user carol, group risk-managers", "you run")]
)
def test_a_rejection_names_its_author_and_the_record_to_take_back(me: str, who: str, run: str) -> None:
    may = {("risk-manager", Decision.WITHDRAW): WhoMay(("group risk-managers",), known=True)}
    against = record("credit-scoring-x7k2p", "Reject", "carol")
    assert text(facts(state_of(REJECTED), records=(against,), who_may=may, me=me)).splitlines()[2:] == [
        f"      who may: {who}",
        f"      {run}: kubectl qms withdraw apr/credit-scoring-x7k2p -n lending",
    ]


def test_a_stop_names_who_can_lift_it() -> None:
    stopped = control("stop", "Fail", "Stopped", "carol stopped it", procedure="")
    may = {("incident-commander", Decision.RESUME): WhoMay(("user carol",), known=True), ("cto", Decision.RESUME): WhoMay((), known=True)}
    said = text(facts(state_of(stopped, reason="Stopped"), who_may=may, stop_roles=("incident-commander", "cto")))
    assert said.splitlines()[2:] == ["      who may: user carol", "      they run: kubectl qms resume credit-scoring -n lending"]


def test_a_stop_whose_procedures_may_not_be_read_leaves_open_who_can_lift_it() -> None:
    stopped = control("stop", "Fail", "Stopped", "carol stopped it", procedure="")
    assert text(facts(state_of(stopped, reason="Stopped"))).splitlines()[2:] == [
        "      who may: not you; others (you may not read their bindings)",
        "      they run: kubectl qms resume credit-scoring -n lending",
    ]


GLASS = control("emergency", "Warn", "EmergencyInForce", "carol broke the glass on 2026-11-22 10:00:00 UTC (apr/credit-scoring-e1): late")


@pytest.mark.parametrize(
    ("people", "me", "said"),
    [
        (("user bob", "user carol"), "bob", ["who may: you, user bob", "you run: kubectl qms review credit-scoring -n lending --record credit-scoring-e1"]),
        (("user carol",), "carol", ["who may: nobody yet"]),
    ],
    ids=["somebody else", "nobody but who broke it"],
)
def test_an_emergency_is_reviewed_by_somebody_else(people: tuple[str, ...], me: str, said: list[str]) -> None:
    may = WhoMay(people, known=True, me=True, giver="aiqms-role-risk-manager")
    both = {("risk-manager", Decision.APPROVE): may, ("risk-manager", Decision.REJECT): may}
    broken = record("credit-scoring-e1", "Emergency", "carol", "incident-commander")
    found = text(facts(state_of(GLASS), records=(broken,), who_may=both, me=me)).splitlines()
    assert [line.strip() for line in found[2:4]][: len(said)] == said


def test_an_emergency_that_was_reviewed_asks_for_nothing() -> None:
    broken = record("credit-scoring-e1", "Emergency", "carol", "incident-commander")
    review = record("credit-scoring-r1", "Approve", "bob", reviews="credit-scoring-e1")
    assert "review" not in text(facts(state_of(GLASS), records=(broken, review), me="bob")).splitlines()[2:]


def test_approvals_that_end_soon_are_given_anew_by_those_who_gave_them() -> None:
    serving = {"fingerprint": NEW, "validUntil": "2027-02-20T10:00:00Z", "notice": "7d"}
    given = [
        record("apr-1", "Approve", "alice", "model-owner", message="alice approves the current subject as model-owner until 2027-08-20 10:00:00 UTC"),
        record("apr-2", "Approve", "bob", message="bob approves the current subject as risk-manager until 2027-02-20 10:00:00 UTC"),
    ]
    state = status(phase="Running", conditions=READY, controls=[OWNER], serving=serving, pods={"running": 3})
    assert text(facts(state, records=tuple(given), me="bob")).splitlines()[2:] == [
        "  … 3 pods run (cleared until 2027-02-20 10:00:00 UTC)",
        "  ! its approvals end soon",
        "      who may: you, user bob",
        "      you run: kubectl qms approve credit-scoring -n lending --renew",
    ]


def test_who_answers_for_what_is_shown_with_who_holds_it_now() -> None:
    duties = (
        Duty("RiskManagement", "risk-manager", "high-risk-inference", KNOWN),
        Duty("DataGovernance", "data-steward", "high-risk-inference", WhoMay((), known=True)),
        Duty("IncidentReporting", "incident-commander", "high-risk-inference", WhoMay((), known=False)),
    )
    state = status(phase="Running", conditions=READY, controls=[OWNER], pods={})
    assert text(facts(state, duties=duties)).splitlines()[2:] == [
        "",
        "Responsible (AI Act Art. 17(1)(m))",
        "    RiskManagement     risk-manager        group risk-managers, user dave",
        "  ✗ DataGovernance     data-steward        nobody: a finding",
        "    IncidentReporting  incident-commander  not known (you may not read the bindings)",
    ]


def test_the_revisions_that_judge_are_named() -> None:
    seen = [{"name": "high-risk-inference", "revision": 7, "enforcement": "Enforce"}, {"name": "trial", "revision": 1, "enforcement": "Audit"}]
    state = status(phase="Running", conditions=READY, controls=[OWNER], pods={}, procedures=seen)
    assert text(facts(state)).splitlines()[2:] == ["  … judged by high-risk-inference revision 7, trial revision 1 (Audit)"]


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


def test_what_is_printed_for_programs_is_plain_and_complete() -> None:
    dumped = json.loads(json.dumps(explain(facts(who_may=approvers(KNOWN))).dump()))
    way = {"role": "risk-manager", "who": ["group risk-managers", "user dave"], "known": True, "me": False, "command": f"{APPROVE} risk-manager", "bind": ""}
    assert dumped["controls"] == [OWNER | {"way": None, "mend": None}, MANAGER | {"way": way, "mend": None}]
    assert {k: dumped[k] for k in ("namespace", "name", "blocked", "phase", "subject", "changed")} == {
        "namespace": "lending",
        "name": "credit-scoring",
        "blocked": True,
        "phase": "ChangePending",
        "subject": NEW,
        "changed": ["model", "workload"],
    }


UNSET = "enforcement not verified: no probe is set up: the platform team sets networkProbe.enabled in the chart's values, or …"
NETWORK_WAYS = {
    "contested": ("NetworkPolicyContested", "argocd applies it too", "kubectl delete networkpolicy aiqms-credit-scoring -n lending"),
    "opened": ("NetworkPolicyOpensMore", "these pods are opened by NetworkPolicy open-all (ingress from anywhere at any port); …",
               "kubectl edit networkpolicy open-all -n lending"),
    "no probe": ("EnforcementNotVerified", UNSET, "helm upgrade aiqms charts/aiqms -n aiqms-system --reuse-values --set networkProbe.enabled=true"),
    "a silent probe": ("EnforcementNotVerified", "enforcement not verified: the network probe tells nothing: it does not answer",
                       "kubectl get pods -n aiqms-system -l 'app.kubernetes.io/component in (probe-open, probe-shut)'"),
    "a network that enforces nothing": ("EnforcementMissing", "install a network plugin that does", None),
    "a policy that is not there yet": ("NetworkPolicyMissing", "is not in place yet", None),
}  # fmt: skip


@pytest.mark.parametrize("case", NETWORK_WAYS.values(), ids=NETWORK_WAYS.keys())
def test_who_mends_the_network_and_how(case: tuple[str, str, str | None]) -> None:
    reason, message, command = case
    (row,) = explain(facts(status(controls=[control("access/network", "Fail", reason, message)]))).controls
    assert (row.way.command if row.way else None) == command


def test_who_reviews_who_can_do_what_and_the_command_for_it() -> None:
    due = control("access/review", "Fail", "AccessReviewDue", "nobody confirmed yet who can do what here", procedure="high-risk-inference")
    may = {("auditor", Decision.REVIEW_ACCESS): WhoMay(("group auditors",), known=True)}
    said = text(facts(state_of(due, reason="AccessReviewDue"), who_may=may, reviewers={"high-risk-inference": ("auditor",)})).splitlines()[2:4]
    assert [line.strip() for line in said] == ["who may: group auditors", "they run: kubectl qms review-access credit-scoring -n lending"]
