"""Invariant 10, no dead field: each field of each spec changes a decision, or a listing names it; one that nobody listed here fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from aiqms.api.crds import KINDS
from aiqms.api.deployment import Exposure
from aiqms.api.values import Json
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, Procedure, PullSecrets
from aiqms.policy.procedures import applies
from aiqms.policy.rbac import Rbac
from aiqms.policy.reach import access_list, list_digest, reach
from aiqms.policy.sinks import wanted
from aiqms.policy.surroundings import Leading, Surroundings, Uses, Volume
from tests.unit.api import logging_cases, network_cases
from tests.unit.api.test_crds import schema, walked
from tests.unit.policy.given import HEX, after, approve, change, day, given, pod, procedure, record, reject, spec, withdraw, workload
from tests.unit.policy.grants import rbac
from tests.unit.policy.people import GLASS, breaks, emergency, review, stop, under
from tests.unit.policy.test_editors import distinct
from tests.unit.policy.test_supply import CHECK, check, serving

BY_NAME = {k.kind: k for k in KINDS}


def spec_of(kind: str) -> Json:
    """The schema of its spec."""
    found: Json = schema(BY_NAME[kind])["properties"]["spec"]
    return found


def leaves(of: Json) -> set[str]:
    """The paths of all fields of a schema that hold a value."""
    paths = [path for path, _ in walked(of) if path]
    inner = {path for path in paths if any(other.startswith((f"{path}.", f"{path}[", f"{path}{{")) and not other.endswith(("[]", "{}")) for other in paths)}
    return {path for path in paths if path not in inner and not path.endswith(("[]", "{}"))}


# A case: two Inputs that differ in the field alone, and the day on which their decisions differ.
Case = tuple[Input, Input, float]


def of_procedure(more: Input | None = None, at: float = 2, **fields: tuple[Any, Any]) -> Case:
    """The same facts under a procedure that differs in one field of the builder."""
    one, two = ({name: values[n] for name, values in fields.items()} for n in (0, 1))
    base = more or given(approve("alice"), pods=[pod("a"), pod("b", held=True)])
    return change(base, procedures=[procedure(**one)]), change(base, procedures=[procedure(**two)]), at


def of_stop(**other: Any) -> Case:
    """A Stop under authorities that differ in one field; who may stop reaches the decision as the gatherer finds it in the procedures."""
    one, two = (under(STOPPED, procedure(stop=each)) for each in (STOP | {"obligations": [DUTY]}, STOP | {"obligations": [DUTY]} | other))
    return one, two, 2


def of_supply(usual: Json, field: str, one: Any, two: Any) -> Case:
    """The same facts under supplies that differ in one field."""
    return of_procedure(PULLING, supply=(usual | {field: one}, usual | {field: two}))


def of_glass(**other: Any) -> Case:
    """An Emergency under terms that differ in one field."""
    terms = GLASS | {"obligations": [DUTY]}
    return of_procedure(BROKEN, 1.1, emergency=(terms, terms | other))


def of_reach(graph: Rbac, at: float = 2, record: Any = None, **fields: tuple[Any, Any]) -> Case:
    """The same facts, RBAC among them, under a procedure whose access differs in one field."""
    ones = [procedure(access={name: values[n] for name, values in fields.items()}) for n in (0, 1)]
    one, two = (given(*([record] if record else []), procedures=[p], reach=reach(graph, [p], ["scoring"])) for p in ones)
    return one, two, at


def of_deployment(at: float = 2, **fields: tuple[Any, Any]) -> Case:
    """The same facts for a register entry that differs in one field."""
    one, two = ({name: values[n] for name, values in fields.items()} for n in (0, 1))
    base = given(approve("alice"))
    return replace(base, spec=spec(**one)), replace(base, spec=spec(**two)), at


def of_access(one: Json, two: Json) -> Case:
    """Pods that something leads to, with a volume of class standard and a token, under rules that differ in one field."""
    return of_procedure(SURROUNDED, access=(one, two))


def of_endpoint(**other: str) -> Case:
    """A register entry that names the Service, and one that names something else."""
    one, two = (spec(access={"endpoints": [{"kind": "Service", "name": "web", "namespace": "lending"} | more]}) for more in ({}, other))
    base = change(SURROUNDED, procedures=[procedure(access={"endpoints": "Registered"})])
    return replace(base, spec=one), replace(base, spec=two), 2


def of_record(one: Any, two: Any, base: Input | None = None, at: float = 2) -> Case:
    """The same facts with a record that differs in one field."""
    base = base or given(workloads=[workload()])
    return change(base, one), change(base, two), at


MODEL = {"name": "credit-llm", "version": "4.2.0", "uri": "oci://bank.example/credit-llm", "digest": HEX["1"]}
DATA = {"name": "applications", "version": "2026", "use": "Training", "classification": "Confidential", "digest": HEX["3"]}
TWO = given(approve("alice"), approve("alice", "risk-manager", name="other"))
BOTH = {"model-owner": 1, "risk-manager": 1}
SECRETIVE = given(approve("alice"), workloads=[workload(secrets=("secrets/key",))])
LAPSED = after(given(approve("alice"), procedures=[procedure(valid_for="30d")], pods=[pod("a")]), day(1))
CHANGED = change(after(given(approve("alice")), day(1)), pods=[pod("a")])
DUTY = {"framework": "eu-ai-act", "id": "17(1)(m)"}
OTHERS = {"framework": [DUTY | {"framework": "iso-42001"}], "id": [DUTY | {"id": "17(1)(a)"}]}  # what differs from DUTY in this field
STOP = {"roles": ["incident-commander"]}
STOPPED = given(approve("alice"), stop(at=1), stop_roles={"high-risk": ("incident-commander",)})
BROKEN = given(emergency())
USED = Uses(account="own", volumes=(Volume("data", "PersistentVolumeClaim", "data"),))
WEB = Leading("Service", "lending", "web", Exposure.CLUSTER)
SURROUNDED = given(approve("alice"), around=Surroundings(workloads={"Deployment/credit-scoring": USED}, claims={"data": "standard"}, endpoints=(WEB,)))
LOOSE = {"model": "Declared"}
PULLING = given(approve("alice"), workloads=[serving(init=[check()])], pull_secrets=PullSecrets({"Deployment/credit-scoring": ("puller",)}))
ANSWERS = {"duty": "RiskManagement", "role": "risk-manager"}


RUNS = rbac("lending/scoring -> view", cluster={"view": "get pods"})
READS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
REVIEWED = procedure(access={"reviewEvery": "90d"})
LISTS = [record("ReviewAccess", "ann", "model-owner", 1, list=of) for of in (list_digest(access_list(RUNS)), HEX["9"])]
CONFIRMED = LISTS[0]


def of_model(**other: str) -> Case:
    return of_deployment(model=(MODEL, MODEL | other))


def of_data(**other: str) -> Case:
    return of_deployment(datasets=([DATA], [DATA | other]))


def of_workload(one: str, two: str) -> Case:
    base = given(approve("alice"))
    return change(base, workloads=[workload(ref=one)]), change(base, workloads=[workload(ref=two)]), 2


def approver(**other: Any) -> Any:
    return approve("alice", approver={"username": "alice", "authorized": True} | other)


DECIDED: Mapping[str, Mapping[str, Case]] = {
    "QMSProcedure": {
        "owner": of_procedure(owner=("Ann", "Ben"), reviewBy=("2027-05-31T00:00:00Z",) * 2),
        "revision": of_procedure(revision=(1, 2)),
        "reviewBy": of_procedure(reviewBy=("2027-01-02T00:00:00Z", "2027-05-31T00:00:00Z")),
        "enforcement": of_procedure(audit=(False, True)),
        "onLapse.action": of_procedure(LAPSED, 40, lapse=("Hold", "Stop"), valid_for=("30d",) * 2),
        "onLapse.grace": of_procedure(LAPSED, 40, lapse=("Hold", "Hold 5d"), valid_for=("30d",) * 2),
        "onChange.grace": (
            change(after(change(CHANGED, procedures=[procedure(change=None)]), day(1)), workloads=[workload("v2")]),
            change(after(change(CHANGED, procedures=[procedure(change="9d")]), day(1)), workloads=[workload("v2")]), 2,
        ),
        "inputs.secrets": of_procedure(SECRETIVE, inputs=({"secrets": "Rotatable"}, {"secrets": "Frozen"})),
        "approvals.since": of_procedure(revision=(2, 2), since=(1, 2)),
        "approvals.roles[].role": of_procedure(roles=({"model-owner": 1}, {"risk-manager": 1})),
        "approvals.roles[].count": of_procedure(roles=({"model-owner": 1}, {"model-owner": 2})),
        "approvals.roles[].validFor": of_procedure(valid_for=("9d", "90d")),
        "approvals.separationOfDuties": of_procedure(TWO, roles=(BOTH, BOTH), distinct=(True, False)),
        "approvals.unknownAuthors": (given(procedures=[distinct()]), given(procedures=[distinct(unknown="Refused")]), 2),
        "approvals.obligations[].framework": of_procedure(obligations=([DUTY], OTHERS["framework"])),
        "approvals.obligations[].id": of_procedure(obligations=([DUTY], OTHERS["id"])),
        "stop.roles": of_stop(roles=["cto"]),
        "stop.obligations[].framework": of_stop(obligations=OTHERS["framework"]),
        "stop.obligations[].id": of_stop(obligations=OTHERS["id"]),
        "emergency.roles": of_glass(roles=["cto"]),
        "emergency.maxDuration": of_glass(maxDuration="8h"),
        "emergency.reviewWithin": of_glass(reviewWithin="3d"),
        "emergency.obligations[].framework": of_glass(obligations=OTHERS["framework"]),
        "emergency.obligations[].id": of_glass(obligations=OTHERS["id"]),
        "access.serviceAccount": of_access({}, {"serviceAccount": "Dedicated"}),
        "access.token": of_access({"serviceAccount": "Dedicated"}, {"serviceAccount": "Dedicated", "token": "Allowed"}),
        "access.storage.classes": of_access({"storage": {"classes": ["encrypted"]}}, {"storage": {"classes": ["standard"]}}),
        "access.endpoints": of_access({}, {"endpoints": "Registered"}),
        "access.tls": of_access({}, {"tls": "Required"}),
        "access.obligations[].framework": of_access({"tls": "Required", "obligations": [DUTY]}, {"tls": "Required", "obligations": OTHERS["framework"]}),
        "access.obligations[].id": of_access({"tls": "Required", "obligations": [DUTY]}, {"tls": "Required", "obligations": OTHERS["id"]}),
        "supply.model": of_supply(LOOSE, "model", "Declared", "Bound"),
        "supply.digestCheckers": of_supply(LOOSE | {"model": "Bound"}, "digestCheckers", [CHECK], ["bank.example/other"]),
        "supply.pinnedImages": of_supply(LOOSE, "pinnedImages", None, "Required"),
        "supply.registries": of_supply({}, "registries", ["registry.bank.example/*"], ["other.example/*"]),
        "supply.modelUris": of_supply({}, "modelUris", ["oci://bank.example/*"], ["oci://other.example/*"]),
        "supply.pullSecrets": of_supply({}, "pullSecrets", [], ["puller"]),
        "supply.obligations[].framework": of_supply(LOOSE, "obligations", [DUTY], OTHERS["framework"]),
        "supply.obligations[].id": of_supply(LOOSE, "obligations", [DUTY], OTHERS["id"]),
        "access.editors.groups": of_reach(rbac("@devs -> edit"), editors=({"groups": ["devs"]}, {"groups": ["ops"]})),
        "access.editors.users": of_reach(rbac("ann -> edit"), editors=({"users": ["ann"]}, {"users": ["ben"]})),
        "access.rights[].apiGroups": of_reach(RUNS, rights=([READS], [READS | {"apiGroups": ["apps"]}])),
        "access.rights[].resources": of_reach(RUNS, rights=([READS], [READS | {"resources": ["secrets"]}])),
        "access.rights[].verbs": of_reach(RUNS, rights=([READS], [READS | {"verbs": ["list"]}])),
        "access.reviewEvery": of_reach(RUNS, 40, CONFIRMED, reviewEvery=("30d", "90d")),
        "access.reviewRoles": of_reach(RUNS, 2, CONFIRMED, reviewEvery=("90d", "90d"), reviewRoles=(["model-owner"], ["auditor"])),
        "responsibilities[].duty": of_procedure(responsibilities=([ANSWERS], [ANSWERS | {"duty": "DataGovernance"}])),
        "responsibilities[].role": of_procedure(responsibilities=([ANSWERS], [ANSWERS | {"role": "model-owner"}])),
        **network_cases.PROCEDURE,
        **logging_cases.PROCEDURE,
    },
    "AIModelDeployment": {
        "intendedPurpose": of_deployment(intended_purpose=("score credit", "score mortgages")),
        "riskClass": of_deployment(risk_class=("High", "Prohibited")),
        "role": of_deployment(role=("Provider", "Deployer")),
        "model.name": of_model(name="other"),
        "model.version": of_model(version="4.2.1"),
        "model.uri": of_model(uri="oci://bank.example/other"),
        "model.digest": of_model(digest=HEX["2"]),
        "datasets[].name": of_data(name="other"),
        "datasets[].version": of_data(version="2027"),
        "datasets[].use": of_data(use="Test"),
        "datasets[].classification": of_data(classification="Public"),
        "datasets[].digest": of_data(digest=HEX["4"]),
        "workloads[].apiVersion": of_workload("Job/a", "Pod/a"),  # belongs to the kind: the schema lets none differ alone
        "workloads[].kind": of_workload("Deployment/a", "StatefulSet/a"),
        "workloads[].name": of_workload("Deployment/a", "Deployment/b"),
        "access.endpoints[].kind": of_endpoint(kind="Ingress"),
        "access.endpoints[].name": of_endpoint(name="other"),
        "access.endpoints[].namespace": of_endpoint(namespace="other"),
        "lifecycle": of_deployment(lifecycle=("Active", "Retired")),
        **network_cases.DEPLOYMENT,
        **logging_cases.DEPLOYMENT,
    },
    "ApprovalRecord": {
        "deployment": of_record(withdraw("alice", "no-such"), record("Withdraw", "alice", "model-owner", 0, withdraws="no-such", deployment="other")),
        "subject": of_record(approve("alice"), approve("alice", of=HEX["d"])),
        "role": of_record(approve("alice"), approve("alice", "risk-manager")),
        "decision": of_record(approve("alice", name="r"), reject("alice", name="r")),
        "expires": of_record(approve("alice"), approve("alice", expires="2027-01-02T00:00:00Z")),
        "reviews": of_record(review(), review(of="no-such"), base=given(emergency(), procedures=[breaks()])),
        "list": of_record(LISTS[0], LISTS[1], base=given(procedures=[REVIEWED], reach=reach(RUNS, [REVIEWED], []))),
        "withdraws": of_record(withdraw("alice", "approve-alice"), withdraw("alice", "no-such"), base=given(approve("alice"))),
        "approver.username": of_record(approve("alice"), approver(username="bob")),
        "approver.authorized": of_record(approve("alice"), approver(authorized=False)),
    },
}  # fmt: skip

# Which procedures govern a deployment is asked before a decision: (spec.appliesTo, whether it governs).
APPLYING: Mapping[str, tuple[Json, Json]] = {
    "appliesTo.riskClasses": ({"riskClasses": ["High"]}, {"riskClasses": ["Limited"]}),
    "appliesTo.roles": ({"roles": ["Provider"]}, {"roles": ["Deployer"]}),
    "appliesTo.namespaces": ({"namespaces": ["lending"]}, {"namespaces": ["fraud"]}),
    "appliesTo.namespaceSelector.matchLabels": ({"namespaceSelector": {"matchLabels": {"a": "1"}}}, {"namespaceSelector": {"matchLabels": {"a": "2"}}}),
    "appliesTo.namespaceSelector.matchExpressions[].key": (
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "b", "operator": "Exists"}]}},
    ),
    "appliesTo.namespaceSelector.matchExpressions[].operator": (
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}},
    ),
    "appliesTo.namespaceSelector.matchExpressions[].values": (
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}},
        {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["2"]}]}},
    ),
}

# What only people read: a printer column names it.
LISTED: Mapping[str, set[str]] = {
    "QMSProcedure": {"title", "document.uri", "document.digest"},
    "AIModelDeployment": {"owner.name", "owner.contact"},
    "ApprovalRecord": {"rationale", "approver.uid", "approver.groups"},
}

CASES = {f"{kind}.{field}": case for kind, cases in DECIDED.items() for field, case in cases.items()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_invariant_10_the_field_changes_the_decision(case: Case) -> None:
    one, two, at = case
    assert decide(one, day(at)) != decide(two, day(at))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_invariant_10_the_two_differ_in_nothing_else(case: Case) -> None:
    """The register entry, procedures and records differ in one leaf at most; a workload's reference lies in the facts about it."""
    assert len(set(differing(case[0], case[1]))) <= 1


def differing(one: Input, two: Input) -> Iterator[str]:
    for a, b in zip(values(one), values(two), strict=True):
        yield from _differing(a, b, "")


def values(of: Input) -> list[Json]:
    specs: list[BaseModel] = [p.spec for p in of.procedures if isinstance(p, Procedure)] + [r.spec for r in of.records]
    assert isinstance(of.spec, BaseModel)
    return [s.dump() for s in [of.spec, *specs]]  # type: ignore[attr-defined]


def _differing(one: Any, two: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            yield from _differing(one.get(key), two.get(key), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for a, b in zip(one, two, strict=True):
            yield from _differing(a, b, f"{path}[]")
    elif one != two:
        yield path


@pytest.mark.parametrize("field", APPLYING)
def test_invariant_10_the_field_changes_which_procedures_apply(field: str) -> None:
    to = [procedure(appliesTo=each).spec.applies_to for each in APPLYING[field]]
    assert [applies(each, spec=spec(), namespace="lending", labels={"a": "1"}) for each in to] == [True, False]


@pytest.mark.parametrize("field", logging_cases.ASKING)
def test_invariant_10_the_field_changes_what_log_stores_are_asked(field: str) -> None:
    one, two = logging_cases.ASKING[field]
    assert list(wanted(one)) != list(wanted(two))


@pytest.mark.parametrize("kind", LISTED)
def test_invariant_10_what_changes_nothing_is_listed(kind: str) -> None:
    columns = {path for _, _, path, _ in BY_NAME[kind].columns}
    assert {f".spec.{field}" for field in LISTED[kind]} - columns == set()


@pytest.mark.parametrize("kind", LISTED)
def test_invariant_10_every_field_is_accounted_for(kind: str) -> None:
    applying = {*APPLYING, *logging_cases.ASKING} if kind == "QMSProcedure" else set()
    assert leaves(spec_of(kind)) == {*DECIDED[kind], *LISTED[kind], *applying}


def test_invariant_10_a_field_that_nobody_listed_is_found() -> None:
    before = spec_of("QMSProcedure")
    more = {"maxGpus": {"type": "integer"}, "resources": {"type": "object", "properties": {"gpus": {"type": "array", "items": {"type": "string"}}}}}
    assert leaves(before | {"properties": before["properties"] | more}) - leaves(before) == {"maxGpus", "resources.gpus"}
