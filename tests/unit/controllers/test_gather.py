"""What gathering makes of stored objects: the stores hold what the API server would send, and nothing asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes.aio.client import Configuration

from aiqms.api.record import Decision
from aiqms.api.values import API_VERSION, Json
from aiqms.cluster.caches import Caches, caches
from aiqms.cluster.client import Client
from aiqms.cluster.inputs import InputReader
from aiqms.controllers.gather import gather
from aiqms.gate.rules import DEFAULTS, GATE, LABEL, SUBJECT
from aiqms.policy.facts import Input, Procedure, PullSecrets

NAMESPACE = "lending"
DIGEST = "sha256:" + "0" * 64
SPEC: Json = {
    "intendedPurpose": "Score applications",
    "riskClass": "High",
    "role": "Provider",
    "owner": {"name": "Lending", "contact": "lending@bank.example"},
    "model": {"name": "llm", "version": "1", "uri": "oci://registry.bank.example/llm", "digest": DIGEST},
    "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}],
}


def stored(kind: str, name: str, namespace: str = NAMESPACE, **more: Any) -> Json:
    """An object with the metadata that the API server gives it."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2027-01-01T00:00:00Z",
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, **more}


def record(deployment: str, decision: str) -> Json:
    spec = {"deployment": deployment, "subject": DIGEST, "role": "model-owner", "decision": decision}
    return stored("ApprovalRecord", f"{deployment}-{decision.lower()}", spec=spec)


def known(*records: Json) -> Caches:
    found = caches(DEFAULTS, lambda _: None, lambda: None)
    namespace = stored("Namespace", NAMESPACE)
    found.namespaces.put(namespace | {"metadata": namespace["metadata"] | {"namespace": "", "labels": {"aiqms.dev/governed": "true"}}})
    for name in ("scoring", "fraud"):
        found.deployments.put(stored("AIModelDeployment", name, spec=SPEC))
    for each in records:
        found.records.put(each)
    return found


async def gathered(of: Caches) -> Mapping[str, Input]:
    client = Client(Configuration())
    try:
        facts = await gather(NAMESPACE, of, InputReader(client, of))
    finally:
        await client.close()
    assert facts
    return facts.registered


async def test_invariant_7_a_record_that_cannot_be_read_keeps_its_deployment_from_being_cleared_anew() -> None:
    found = await gathered(known(record("scoring", "Frobnicate"), record("fraud", "Approve")))
    assert found["fraud"].unreadable == ""
    assert found["scoring"].unreadable.startswith("apr/scoring-frobnicate could not be read: spec.decision: ")


def pod(created: str, *, gated: bool = False, stamp: str = "", scheduled: str = "") -> Json:
    found = stored("Pod", "scoring-1", spec={"containers": [{"name": "main", "image": "llm"}], "schedulingGates": [{"name": GATE}] if gated else []})
    found["metadata"] |= {"labels": {LABEL: "scoring"}, "creationTimestamp": created, "annotations": {SUBJECT: stamp} if stamp else {}}
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": scheduled}] if scheduled else []
    return found | {"status": {"phase": "Pending", "conditions": conditions}}


BEFORE, SAME, AFTER = (f"2027-01-01T00:00:0{second}Z" for second in (0, 1, 2))


@pytest.mark.parametrize(
    ("of", "cleared", "older"),
    [
        pytest.param(pod(BEFORE), True, True, id="made a second before the Clearance"),
        pytest.param(pod(SAME), True, True, id="made in its second, in which nothing is cleared"),
        pytest.param(pod(AFTER), True, False, id="made after it"),
        pytest.param(pod(BEFORE, gated=True), True, False, id="held before the Clearance was made"),
        pytest.param(pod(BEFORE, stamp=DIGEST), True, False, id="held before the Clearance was made, released, and without a node yet"),
        pytest.param(pod(BEFORE, stamp=DIGEST, scheduled=AFTER), True, False, id="held before the Clearance was made, and released"),
        pytest.param(pod(BEFORE, stamp=DIGEST, scheduled=BEFORE), True, True, id="released before, while the namespace was governed the last time"),
        pytest.param(pod(AFTER), False, True, id="before there is a Clearance"),
        pytest.param(pod(AFTER, gated=True), False, False, id="held while there is no Clearance"),
    ],
)
async def test_a_pod_is_older_than_the_gate_that_ran_before_it(of: Json, cleared: bool, older: bool) -> None:
    found = known()
    found.pods.put(of)
    if cleared:
        clearance = stored("Clearance", "clearance", spec={})
        found.clearances.put(clearance | {"metadata": clearance["metadata"] | {"creationTimestamp": SAME}})
    assert [p.before for p in (await gathered(found))["scoring"].pods] == [older]


def controller(kind: str, name: str, owner: Json | None = None, *secrets: str) -> Json:
    """A workload whose template bears these image pull secrets."""
    spec = {"containers": [], "imagePullSecrets": [{"name": s} for s in secrets]}
    made = stored(kind, name, spec={"template": {"metadata": {}, "spec": spec}}) | {"apiVersion": "apps/v1"}
    return made | {"metadata": made["metadata"] | {"ownerReferences": [owned_by(owner)] if owner else []}}


def owned_by(owner: Json) -> Json:
    return {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}


def pulling(name: str, owner: Json, *secrets: str) -> Json:
    """A pod of scoring that bears these image pull secrets."""
    made = stored("Pod", name, spec={"containers": [], "imagePullSecrets": [{"name": s} for s in secrets]})
    return made | {"metadata": made["metadata"] | {"labels": {"aiqms.dev/deployment": "scoring"}, "ownerReferences": [owned_by(owner)]}}


async def test_image_pull_secrets_are_told_by_whether_the_template_or_the_service_account_gives_them() -> None:
    of = known()
    deployment = controller("Deployment", "scoring")
    before, now = controller("ReplicaSet", "before", deployment, "written"), controller("ReplicaSet", "now", deployment)
    of.workloads["Deployment"].put(deployment)
    for each in (before, now):
        of.workloads["ReplicaSet"].put(each)
    for each in (pulling("old", before, "written"), pulling("new", now, "given"), pulling("plain", now)):
        of.pods.put(each)
    assert (await gathered(of))["scoring"].pull_secrets == PullSecrets(declared={}, added={"new": ("given",)})
    of.workloads["Deployment"].put(newer(controller("Deployment", "scoring", None, "written", "second")))
    assert (await gathered(of))["scoring"].pull_secrets.declared == {"Deployment/scoring": ("written", "second")}


def newer(of: Json) -> Json:
    return of | {"metadata": of["metadata"] | {"resourceVersion": "2"}}


PROCEDURE: Json = {
    "title": "High risk", "revision": 1, "owner": "Quality", "approvals": {"roles": [{"role": "model-owner"}]},
    "access": {"editors": {}, "serviceAccount": "Dedicated", "reviewEvery": "90d"},
}  # fmt: skip


def workload(name: str, account: str | None) -> Json:
    spec = {"containers": [{"name": "serve", "image": "registry.bank.example/vllm:1"}]} | ({"serviceAccountName": account} if account else {})
    template = {"metadata": {"labels": {"aiqms.dev/deployment": name}}, "spec": spec}
    return stored("Deployment", name, spec={"template": template}) | {"apiVersion": "apps/v1"}


def running_as(name: str, account: str) -> Json:
    raw = stored("Pod", name, spec={"containers": [], "serviceAccountName": account}) | {"apiVersion": "v1"}
    return raw | {"metadata": raw["metadata"] | {"labels": {"aiqms.dev/deployment": "scoring"}}}


def with_rbac(found: Caches, account: str | None, *more: str) -> Caches:
    """eve edits; the ServiceAccounts default, own and old may read pods here."""
    found.workloads["Deployment"].put(workload("scoring", account))
    for name in more:
        found.pods.put(running_as(f"pod-{name}", name))
    procedure = stored("QMSProcedure", "high-risk", spec=PROCEDURE)
    found.procedures.put(procedure | {"metadata": procedure["metadata"] | {"namespace": ""}})
    for name, subject in (("edit", {"kind": "User", "name": "eve"}), *((a, {"kind": "ServiceAccount", "name": a}) for a in ("default", "own", "old"))):
        resource, group, verb = ("deployments", "apps", "patch") if name == "edit" else ("pods", "", "get")
        rules = [{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]
        found.grants.roles.put(stored("Role", name, rules=rules))
        found.grants.bindings.put(stored("RoleBinding", name, roleRef={"kind": "Role", "name": name}, subjects=[subject]))
    return found


@pytest.mark.parametrize(
    ("account", "pods", "accounts"),
    [
        pytest.param("own", (), ["own"], id="the one that the workload names"),
        pytest.param(None, (), ["default"], id="default, where it names none"),
        pytest.param("own", ("old",), ["old", "own"], id="also that of a pod that still runs as another"),
    ],
)
async def test_the_service_accounts_looked_at_are_those_that_pods_run_as(account: str | None, pods: tuple[str, ...], accounts: list[str]) -> None:
    found = (await gathered(with_rbac(known(), account, *pods)))["scoring"].reach
    assert found is not None
    assert [r.account for r in found.accounts] == accounts
    assert [str(g.subject) for g in found.editors] == ["group system:masters", "user eve"]
    assert found.list.startswith("sha256:")
    assert found.holders[(Decision.APPROVE, "model-owner")] == ()


async def test_what_no_procedure_asks_for_is_not_worked_out() -> None:
    found = (await gathered(known()))["scoring"].reach
    assert found is not None
    assert (found.editors, found.accounts, found.list, dict(found.holders)) == ((), (), "", {})


RULE: Json = {
    "title": "Rule", "revision": 1, "owner": "Quality", "enforcement": "Enforce", "onLapse": {"action": "Hold"},
    "approvals": {"roles": [{"role": "model-owner", "count": 1}]},
}  # fmt: skip


async def test_a_procedure_that_applies_no_more_keeps_its_say_where_somebody_stopped_under_it() -> None:
    made = {decision: record("scoring", decision) for decision in ("Stop", "Emergency")}
    for each in made.values():
        each["spec"] |= {"role": "on-call", "approver": {"username": "ida", "authorized": True}, "rationale": "it answers nonsense"}
    found = known(*made.values())
    for name, risk, more in (("low", "Minimal", {}), ("high", "High", {"stop": {"roles": ["on-call"]}}), ("other", "Limited", {"stop": {"roles": ["dpo"]}})):
        rule = stored("QMSProcedure", name, spec=RULE | more | {"appliesTo": {"riskClasses": [risk]}})
        found.procedures.put(rule | {"metadata": rule["metadata"] | {"namespace": ""}})
    moved = stored("AIModelDeployment", "scoring", spec=SPEC | {"riskClass": "Minimal"})
    seen = [{"name": "high", "revision": 1, "enforcement": "Enforce"}]
    found.deployments.put(moved | {"metadata": moved["metadata"] | {"resourceVersion": "2"}, "status": {"procedures": seen}})
    now = (await gathered(found))["scoring"]
    assert [p.name for p in now.procedures if isinstance(p, Procedure)] == ["low"]
    assert [(e.procedure.name, e.stops, e.emergencies) for e in now.elsewhere] == [("high", ("scoring-stop",), ())]
    assert now.stopping["high"] == ("on-call",)


async def test_who_can_do_what_is_worked_out_once_for_deployments_that_are_alike() -> None:
    found = with_rbac(known(), "own")
    alike = await gathered(found)
    found.workloads["Deployment"].put(workload("fraud", "other"))
    spec = SPEC | {"workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}]}
    found.deployments.put(stored("AIModelDeployment", "fraud", spec=spec) | {"metadata": stored("", "fraud")["metadata"] | {"resourceVersion": "2"}})
    different = await gathered(found)
    assert alike["scoring"].reach is alike["fraud"].reach
    assert different["scoring"].reach is not different["fraud"].reach
    assert [r.account for each in different.values() if each.reach for r in each.reach.accounts] == ["own"]
