"""The resources' schemas on a real API server: each rule refuses with its message, what is wrong is named, and models and schemas agree."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from aiqms.api import crds
from aiqms.api.procedure import JUDGED as JUDGED_FIELDS
from aiqms.api.selectors import KEYED, VALUED
from aiqms.api.values import Json
from tests.e2e.crd_samples import DIGEST, Sample, distinct, schema_of
from tests.testbed.api import Api, ApiError
from tests.testbed.cluster import Cluster
from tests.testbed.embedded import OPERATOR
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

LARGE = 2**21  # bytes, well below the 3 MiB that a request may have
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}
PROCEDURE: Json = {"title": "SOP", "revision": 2, "owner": "Quality", "approvals": {"since": 1, "roles": [{"role": "model-owner", "validFor": "90d"}]}}
DEPLOYMENT: Json = {
    "intendedPurpose": "Score applications",
    "riskClass": "High",
    "role": "Provider",
    "owner": {"name": "Lending", "contact": "lending@bank.example"},
    "model": {"name": "credit", "version": "1", "uri": "oci://registry.example/credit", "digest": DIGEST},
    "datasets": [{"name": "applications", "version": "2025", "use": "Training", "classification": "Confidential", "digest": DIGEST}],
    "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}],
}
EMERGENCY: Json = {"roles": ["risk-manager"], "maxDuration": "4h", "reviewWithin": "1d"}
RECORD: Json = {"deployment": "scoring", "subject": DIGEST, "role": "model-owner", "decision": "Approve", "expires": "2100-01-01T00:00:00Z"}
ENTRY: Json = {"fingerprint": DIGEST, "validUntil": "2100-01-01T00:00:00Z", "template": {"pod": {}}}
CLEARANCE: Json = {"epoch": 3, "deployments": {"scoring": [ENTRY]}}
SPECS = {"QMSProcedure": PROCEDURE, "AIModelDeployment": DEPLOYMENT, "ApprovalRecord": RECORD, "Clearance": CLEARANCE}
KINDS = {kind.kind: kind for kind in crds.KINDS}


@pytest.fixture(scope="module")
def place(cluster: Cluster, installed: Operator) -> Iterator[str]:
    """A namespace that nobody governs: nothing but the schemas matters there."""
    admin, name = cluster.api("admin"), f"crds-{secrets.token_hex(3)}"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    admin.delete("namespaces", name)


def manifest(kind: str, spec: Json, place: str, name: str = "clearance") -> Json:
    scope = {"namespace": place} if KINDS[kind].scope == "Namespaced" else {}
    return {"apiVersion": "aiqms.dev/v1alpha1", "kind": kind, "metadata": {"name": name} | scope, "spec": spec}


def client(cluster: Cluster, kind: str) -> Api:
    return cluster.api("admin", impersonate=OPERATOR, groups=("system:masters", "system:authenticated")) if kind == "Clearance" else cluster.api("admin")


def refusal(ask: Callable[[], object]) -> str:
    """What the API server's schema has against it; empty where nothing. A policy is asked after the schema, so its refusal is none of the schema."""
    try:
        ask()
    except ApiError as error:
        if error.code == 403 and "denied request: " in error.message:
            return ""
        if error.code not in (400, 422):
            raise
        return error.message
    return ""


def sent(cluster: Cluster, object_: Json) -> str:
    """What is against creating it, strictly."""
    api, kind = client(cluster, object_["kind"]), KINDS[object_["kind"]]
    path = api.resource(f"{kind.plural}.aiqms.dev").path(object_["metadata"].get("namespace"), None, None)
    return refusal(lambda: api.request("POST", path, object_, query=STRICT))


@pytest.fixture(scope="module")
def stored(cluster: Cluster, place: str) -> Iterator[dict[str, Json]]:
    """One of each kind, as the API server has it. The record is a person's."""
    admin, procedure = cluster.api("admin"), f"crds-{secrets.token_hex(3)}"
    admin.create(grant(place))
    alice = cluster.api("alice")
    eventually(lambda: alice.may("create", "approvalrecords", place, group="aiqms.dev"), within=10, what="alice's role is in force")
    record = alice.create(manifest("ApprovalRecord", RECORD, place, "one"))
    made = [
        admin.create(manifest("QMSProcedure", PROCEDURE | {"appliesTo": {"namespaces": [place]}}, place, procedure)),
        admin.create(manifest("AIModelDeployment", DEPLOYMENT, place, "one")),
        record,
    ]
    yield {found["kind"]: found for found in made}
    admin.delete("qmsprocedures", procedure)


def grant(place: str) -> Json:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aiqms-role-model-owner"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
    meta = {"name": "alice", "namespace": place}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]}


def changed(spec: Json, changes: Json) -> Json:
    """A spec with other values at dotted paths; None takes away."""
    copy: Json = {key: changed(value, {}) if isinstance(value, dict) else [*value] if isinstance(value, list) else value for key, value in spec.items()}
    for path, value in changes.items():
        *above, last = path.split(".")
        at: Any = copy
        for step in above:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value is None:
            del at[last]
        elif isinstance(at, list):
            at[int(last)] = value
        else:
            at[last] = value
    return copy


# Each rule of the CRDs by its message: what breaks it. The first are about what is created, the second about a change of what is stored.
CREATED: dict[str, tuple[str, Json, str]] = {
    "approvals.since is above revision: name this revision or an older one": ("QMSProcedure", {"approvals.since": 3}, "one"),
    "grace belongs to action Hold: with Stop the pods stop at once, leave grace out": ("QMSProcedure", {"onLapse": {"action": "Stop", "grace": "1d"}}, "one"),
    "the name is the value of a pod label: at most 63 characters": ("AIModelDeployment", {}, "x" * 64),
    "apiVersion does not fit kind: apps/v1 for Deployment, StatefulSet, DaemonSet and ReplicaSet, batch/v1 for Job and CronJob, v1 for Pod": (
        "AIModelDeployment",
        {"workloads": [{"apiVersion": "apps/v1", "kind": "Job", "name": "scoring"}]},
        "one",
    ),
    "a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them": (
        "AIModelDeployment",
        {"logging": {"streams": [{"name": "inference", "sink": {}}]}},
        "one",
    ),
    "a destination is pods by their namespace, or addresses by cidr: give one of the two": (
        "AIModelDeployment",
        {"access": {"egress": [{"namespace": "a", "cidr": "10.0.0.0/8"}]}},
        "one",
    ),
    "podSelector chooses among the pods of a namespace: leave it out beside cidr": (
        "AIModelDeployment",
        {"access": {"egress": [{"cidr": "10.0.0.0/8", "podSelector": {}}]}},
        "one",
    ),
    "cidr is no range of addresses: write one such as 10.20.0.0/16": ("AIModelDeployment", {"access": {"egress": [{"cidr": "1.2.3.4/99"}]}}, "one"),
    VALUED[1]: (
        "AIModelDeployment",
        {"access": {"clients": [{"namespace": "a", "podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}},
        "one",
    ),
    KEYED[1]: ("QMSProcedure", {"appliesTo": {"namespaceSelector": {"matchLabels": {"-a": "b"}}}}, "one"),
    "withdraws names the record that decision Withdraw takes back: give both or neither": ("ApprovalRecord", {"withdraws": "another"}, "two"),
    "only Approve and Emergency expire: leave expires out": ("ApprovalRecord", {"decision": "Reject"}, "two"),
    "subject is missing: name the fingerprint that you decide about (kubectl qms explain shows it)": ("ApprovalRecord", {"subject": None}, "two"),
    "an Emergency is reviewed by decision Approve or Reject: leave reviews out": ("ApprovalRecord", {"decision": "Emergency", "reviews": "another"}, "two"),
    "an Emergency needs a rationale: say why nobody could approve in time": ("ApprovalRecord", {"decision": "Emergency"}, "two"),
    "list is the digest of the list that decision ReviewAccess confirms (kubectl qms review-access): give both or neither": (
        "ApprovalRecord",
        {"list": DIGEST},
        "two",
    ),
    "the one Clearance of a namespace is named clearance": ("Clearance", {}, "another"),
}
UPDATED: dict[str, tuple[str, Json]] = {
    "revision only rises: use a higher number than the stored one": ("QMSProcedure", {"revision": 1}),
    f"{', '.join(JUDGED_FIELDS[:-1])} and {JUDGED_FIELDS[-1]} change only with a higher revision (see approvals.since)": (
        "QMSProcedure",
        {"approvals.roles": [{"role": "model-owner", "validFor": "900d"}]},
    ),
    "a record is immutable: make another one, or take this one back with decision Withdraw": ("ApprovalRecord", {"rationale": "on second thoughts"}),
}
SELECTORS: dict[str, tuple[Json, str]] = {
    "a value that Exists does not take": ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, VALUED[1]),
    "no value for NotIn": ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}, VALUED[1]),
    "a key that is none, of an expression": ({"matchExpressions": [{"key": "a b", "operator": "Exists"}]}, "matchExpressions[0].key"),
    "a value that is none, of an expression": ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["a b"]}]}, "matchExpressions[0].values[0]"),
    "a value that is none": ({"matchLabels": {"a": "-b"}}, "matchLabels.a"),
    "a key with a domain that is none": ({"matchLabels": {"A.example/b": "c"}}, KEYED[1]),
}
WHERE: dict[str, tuple[str, Json]] = {
    "appliesTo": ("QMSProcedure", {"appliesTo": {"namespaceSelector": {}}}),
    "monitoring": ("QMSProcedure", {"access": {"monitoring": [{"namespace": "a", "podSelector": {}}]}}),
    "clients": ("AIModelDeployment", {"access": {"clients": [{"namespace": "a", "podSelector": {}}]}}),
    "egress": ("AIModelDeployment", {"access": {"egress": [{"namespace": "a", "podSelector": {}}]}}),
}
DEPOSED = "written by a leader that has been replaced"  # test_an_epoch_never_goes_back


@pytest.mark.parametrize("message", CREATED)
def test_a_rule_about_what_is_created_refuses_with_its_message(cluster: Cluster, place: str, message: str) -> None:
    kind, changes, name = CREATED[message]
    assert message in sent(cluster, manifest(kind, changed(SPECS[kind], changes), place, name))


@pytest.mark.parametrize("message", UPDATED)
def test_a_rule_about_a_change_refuses_with_its_message(cluster: Cluster, stored: dict[str, Json], message: str) -> None:
    kind, changes = UPDATED[message]
    assert message in put(cluster, stored[kind], changes)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("what", SELECTORS)
def test_a_label_selector_that_kubernetes_would_refuse_is_refused(cluster: Cluster, place: str, where: str, what: str) -> None:
    (kind, spec), (selector, message) = WHERE[where], SELECTORS[what]
    assert message in sent(cluster, manifest(kind, changed(SPECS[kind], _selecting(spec, selector)), place, "selecting"))
    assert sent(cluster, manifest(kind, changed(SPECS[kind], _selecting(spec, {"matchLabels": {"aiqms.dev/a": "B-1_2.c"}})), place, "selecting")) == ""


def _selecting(at: Json, selector: Json) -> Json:
    """The same with this selector."""
    return {
        key: selector if key.endswith("Selector") else _selecting(value, selector) if isinstance(value, dict)
        else [_selecting(each, selector) for each in value] if isinstance(value, list) else value
        for key, value in at.items()
    }  # fmt: skip


# What the rules about records let a decision leave out, or bring along.
DECISIONS: dict[str, Json] = {
    "an approval that reviews": {"reviews": "another"},
    "a rejection that reviews": {"decision": "Reject", "expires": None, "reviews": "another"},
    "an Emergency that expires": {"decision": "Emergency", "rationale": "the old one fails"},
    "a Stop of whatever runs": {"decision": "Stop", "expires": None, "subject": None},
    "a Resume of whatever runs": {"decision": "Resume", "expires": None, "subject": None},
    "a Stop of one subject": {"decision": "Stop", "expires": None},
    "a review of who can do what": {"decision": "ReviewAccess", "expires": None, "subject": None, "list": DIGEST},
}
OTHERS: dict[str, tuple[Json, str]] = {
    "an empty rationale for an Emergency": ({"decision": "Emergency", "rationale": ""}, "an Emergency needs a rationale"),
    "a Stop that expires": ({"decision": "Stop"}, "only Approve and Emergency expire"),
    "a Resume that expires": ({"decision": "Resume"}, "only Approve and Emergency expire"),
    "a Stop that reviews": ({"decision": "Stop", "expires": None, "reviews": "another"}, "leave reviews out"),
    "a withdrawal that reviews": ({"decision": "Withdraw", "expires": None, "withdraws": "one", "reviews": "another"}, "leave reviews out"),
    "a Stop that withdraws": ({"decision": "Stop", "expires": None, "withdraws": "one"}, "give both or neither"),
    "a review of no list": ({"decision": "ReviewAccess", "expires": None, "subject": None}, "give both or neither"),
    "a review that expires": ({"decision": "ReviewAccess", "list": DIGEST}, "only Approve and Emergency expire"),
    "an Emergency of whatever runs": ({"decision": "Emergency", "subject": None, "rationale": "the old one fails"}, "subject is missing"),
}


@pytest.mark.parametrize("what", DECISIONS)
def test_a_decision_brings_what_belongs_to_it(cluster: Cluster, place: str, what: str) -> None:
    assert sent(cluster, manifest("ApprovalRecord", changed(RECORD, DECISIONS[what]), place, "two")) == ""


@pytest.mark.parametrize("what", OTHERS)
def test_a_decision_brings_nothing_of_another(cluster: Cluster, place: str, what: str) -> None:
    changes, message = OTHERS[what]
    assert message in sent(cluster, manifest("ApprovalRecord", changed(RECORD, changes), place, "two"))


def put(cluster: Cluster, before: Json, changes: Json) -> str:
    """What is against a change of what is stored."""
    api = cluster.api("admin")
    now = api.get(before["kind"], before["metadata"]["name"], before["metadata"].get("namespace"))
    return refusal(lambda: api.replace(now | {"spec": changed(now["spec"], changes)}, dry_run=True))


JUDGED: dict[str, Json] = {
    "a role more": {"approvals.roles": [{"role": "model-owner", "validFor": "90d"}, {"role": "risk-manager"}]},
    "another count": {"approvals.roles": [{"role": "model-owner", "validFor": "90d", "count": 2}]},
    "people who need not differ": {"approvals.separationOfDuties": "None"},
    "another since": {"approvals.since": 2},
    "what a lapse does": {"onLapse": {"action": "Stop"}},
    "how long pods go on after a lapse": {"onLapse": {"grace": "9d"}},
    "how long what was approved before goes on": {"onChange": {"grace": "9d"}},
    "whether Secrets may change": {"inputs": {"secrets": "Frozen"}},
    "people who are not the editors": {"approvals.separationOfDuties": "DistinctFromEditors"},
    "changes of nobody known": {"approvals.unknownAuthors": "Refused"},
    "who stops": {"stop": {"roles": ["risk-manager"]}},
    "who breaks the glass": {"emergency": EMERGENCY},
    "who answers for what": {"responsibilities": [{"duty": "ModelApproval", "role": "model-owner"}]},
    "where images come from": {"supply": {"registries": ["registry.bank.example/*"]}},
    "who reaches the pods": {"access": {"network": "Clients"}},
    "how long logs are kept": {"logging": {"streams": [{"name": "inference", "retention": "184d"}]}},
}
FREE: dict[str, Json] = {
    "its title": {"title": "SOP-2"},
    "its owner": {"owner": "Risk"},
    "its document": {"document": {"uri": "https://qms.example/SOP-2", "digest": DIGEST}},
    "its review": {"reviewBy": "2030-01-01T00:00:00Z"},
    "whether it is enforced": {"enforcement": "Audit"},
    "what it applies to": {"appliesTo": {"riskClasses": ["Limited"]}},
    "its revision alone": {"revision": 3},
}


@pytest.mark.parametrize("what", JUDGED)
def test_what_is_judged_changes_only_with_a_higher_revision(cluster: Cluster, stored: dict[str, Json], what: str) -> None:
    without, with_ = put(cluster, stored["QMSProcedure"], JUDGED[what]), put(cluster, stored["QMSProcedure"], JUDGED[what] | {"revision": 3})
    assert ("change only with a higher revision" in without, with_) == (True, "")


@pytest.mark.parametrize("what", FREE)
def test_the_rest_of_a_procedure_changes_alone(cluster: Cluster, stored: dict[str, Json], what: str) -> None:
    assert put(cluster, stored["QMSProcedure"], FREE[what]) == ""


def test_an_epoch_never_goes_back(cluster: Cluster, place: str, operator: Operator) -> None:
    """The operator itself is stopped meanwhile: it would take the Clearance of a namespace away that nobody governs."""
    operator.stop()
    acting = client(cluster, "Clearance")
    acting.create(manifest("Clearance", CLEARANCE, place))
    said = [refusal(lambda epoch=epoch: acting.apply(manifest("Clearance", {"epoch": epoch}, place), force=True, dry_run=True)) for epoch in (2, 3, 4)]  # type: ignore[misc]
    without = refusal(lambda: acting.patch("clearances", "clearance", [{"op": "remove", "path": "/spec/epoch"}], place, dry_run=True))
    acting.delete("clearances", "clearance", place)
    assert ([DEPOSED in text for text in said], DEPOSED in without) == ([True, False, False], True)


def test_every_rule_of_the_crds_is_broken_by_a_test() -> None:
    messages = {rule["message"] for kind in crds.KINDS for rule in rules(crds.crd(kind))}
    assert messages == {*CREATED, *UPDATED, DEPOSED}


def rules(at: Any) -> Iterator[Json]:
    """All rules below here."""
    if isinstance(at, dict):
        yield from at.get("x-kubernetes-validations", ())
    for below in at.values() if isinstance(at, dict) else at if isinstance(at, list) else ():
        yield from rules(below)


@pytest.mark.parametrize("kind", SPECS)
def test_what_the_other_tests_change_is_right_itself(cluster: Cluster, place: str, kind: str) -> None:
    assert sent(cluster, manifest(kind, SPECS[kind], place)) == ""


# The field's path, as the API server names it, and values that it must not have.
WRONG: dict[tuple[str, str], tuple[object, ...]] = {
    ("QMSProcedure", "spec.approvals.roles[0].validFor"): ("90", "0d", "-1d", "1.5h", "1w", "100000d", "90 days", ""),
    ("QMSProcedure", "spec.onLapse.grace"): ("1y", "d"),
    ("QMSProcedure", "spec.reviewBy"): ("2027-01-31", "2027-13-01T00:00:00Z", "2027-02-30T00:00:00Z", "2027-01-31T00:00:00", "next year"),
    ("QMSProcedure", "spec.document.digest"): ("sha256:abc", f"sha512:{'0' * 64}", DIGEST.upper(), DIGEST[7:]),
    ("QMSProcedure", "spec.document.uri"): ("qms.example/SOP", "https://qms.example/a b"),
    ("QMSProcedure", "spec.revision"): (0, -1, 2**40, "two"),
    ("QMSProcedure", "spec.enforcement"): ("enforce", "Off"),
    ("QMSProcedure", "spec.approvals.roles[0].role"): ("Model Owner", "model_owner", "x" * 64),
    ("QMSProcedure", "spec.approvals.roles[0].count"): (0, 17),
    ("QMSProcedure", "spec.approvals.roles"): ([],),
    ("QMSProcedure", "spec.approvals.separationOfDuties"): ("Distinct", "none"),
    ("QMSProcedure", "spec.approvals.unknownAuthors"): ("Allowed",),
    ("QMSProcedure", "spec.stop.roles"): ([], ["Risk Manager"], ["risk-manager"] * 2),
    ("QMSProcedure", "spec.emergency.roles"): ([],),
    ("QMSProcedure", "spec.emergency.maxDuration"): ("4", "0h"),
    ("QMSProcedure", "spec.emergency.reviewWithin"): ("1w",),
    ("QMSProcedure", "spec.responsibilities"): ([{"duty": "Coffee", "role": "risk-manager"}], [{"duty": "ModelApproval", "role": "risk-manager"}] * 2),
    ("AIModelDeployment", "spec.model.digest"): ("latest", DIGEST + "0"),
    ("AIModelDeployment", "spec.model.uri"): ("registry.example/credit",),
    ("AIModelDeployment", "spec.datasets[0].digest"): ("sha256:",),
    ("AIModelDeployment", "spec.datasets[0].use"): ("training",),
    ("AIModelDeployment", "spec.riskClass"): ("Unacceptable", "high"),
    ("AIModelDeployment", "spec.role"): ("Importer",),
    ("AIModelDeployment", "spec.lifecycle"): ("Gone",),
    ("AIModelDeployment", "spec.workloads"): ([], [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}] * 9),
    ("AIModelDeployment", "spec.workloads[0].kind"): ("InferenceService",),
    ("AIModelDeployment", "spec.intendedPurpose"): ("", "x" * 4097),
    ("ApprovalRecord", "spec.subject"): ("9f2c", f"sha256:{'g' * 64}"),
    ("ApprovalRecord", "spec.expires"): ("tomorrow", "2027-01-01"),
    ("ApprovalRecord", "spec.decision"): ("approve", "stop", "Halt", ["Approve"], 7),
    ("ApprovalRecord", "spec.role"): (7, ["model-owner"], None),
    ("ApprovalRecord", "spec.deployment"): ("Scoring", "x" * 64),
    ("Clearance", "spec.deployments.scoring[0].validUntil"): ("forever",),
    ("Clearance", "spec.deployments.scoring[0].audit"): (False,),
}


FULL: Json = {"document": {"uri": "https://qms.example/SOP", "digest": DIGEST}, "onLapse": {"action": "Hold"}, "emergency": EMERGENCY}


@pytest.mark.parametrize(("kind", "path"), WRONG, ids=str)
def test_a_wrong_value_is_refused_and_its_field_named(cluster: Cluster, place: str, kind: str, path: str) -> None:
    steps = path.removeprefix("spec.").replace("[", ".").replace("]", "")
    base = PROCEDURE | FULL if kind == "QMSProcedure" else SPECS[kind]
    said = {str(value): sent(cluster, manifest(kind, changed(base, {steps: value}), place)) for value in WRONG[kind, path]}
    assert {value: path in message for value, message in said.items()} == dict.fromkeys(said, True), said


REQUIRED = [(kind, key) for kind, spec in SPECS.items() for key in spec if key in schema_of(KINDS[kind], "spec").get("required", ())]


@pytest.mark.parametrize(("kind", "key"), REQUIRED, ids=str)
def test_a_missing_field_is_refused_and_named(cluster: Cluster, place: str, kind: str, key: str) -> None:
    assert f"spec.{key}: Required value" in sent(cluster, manifest(kind, changed(SPECS[kind], {key: None}), place))


# What comes with later issues is no field yet: nothing is accepted and ignored.
UNKNOWN = [
    *(("QMSProcedure", f"{key}") for key in ("evidence", "changes", "access.mesh", "supply.sbom", "logging.sink", "resources", "approvals.roles.0.people")),
    *(("AIModelDeployment", key) for key in ("access.peers", "logging.endpoint", "replicas", "model.sha", "workloads.0.namespace")),
    *(("ApprovalRecord", key) for key in ("approved", "reviewer")),
]


@pytest.mark.parametrize(("kind", "path"), UNKNOWN, ids=str)
def test_an_unknown_field_is_refused_by_strict_validation(cluster: Cluster, place: str, kind: str, path: str) -> None:
    said = sent(cluster, manifest(kind, changed(SPECS[kind], {path: "x"}), place))
    assert f'unknown field "spec.{path.replace(".0.", "[0].")}"' in said


class TestModelsAndSchemasAgree:
    """Of random resources, right ones and wrong ones: what the API server stores the operator can read, and what the models allow the API server takes."""

    SAMPLES = 400

    @pytest.mark.parametrize("kind", SPECS)
    def test_on_the_spec(self, cluster: Cluster, place: str, kind: str) -> None:
        model, schema = KINDS[kind].spec, schema_of(KINDS[kind], "spec")
        verdicts = [self.verdict(model, spec, sent(cluster, manifest(kind, spec, place))) for spec in map(partial(ruled, kind), self.samples(schema))]
        self.check(verdicts)

    @pytest.mark.parametrize("kind", ["AIModelDeployment", "ApprovalRecord"])
    def test_on_the_status(self, cluster: Cluster, stored: dict[str, Json], kind: str) -> None:
        model, schema = KINDS[kind].status, schema_of(KINDS[kind], "status")
        assert model is not None
        verdicts = [self.verdict(model, status, self.sent_status(cluster, stored[kind], status)) for status in self.samples(schema)]
        self.check(verdicts)

    def samples(self, schema: Json) -> Iterator[Json]:
        """A third of them without anything wrong; none that the API server would refuse for its size alone."""
        for seed in range(self.SAMPLES):
            found = Sample(seed, wrong=(0.0, 0.02, 0.1)[seed % 3]).of(schema)
            if isinstance(found, dict) and len(json.dumps(found, ensure_ascii=False).encode()) < LARGE:
                yield found

    @staticmethod
    def sent_status(cluster: Cluster, before: Json, status: Json) -> str:
        api = cluster.api("admin")
        path = api.resource(before["kind"]).path(before["metadata"].get("namespace"), before["metadata"]["name"], "status")
        now = api.get(before["kind"], before["metadata"]["name"], before["metadata"].get("namespace"))
        return refusal(lambda: api.request("PUT", path, now | {"status": status}, query=STRICT))

    @staticmethod
    def verdict(model: type[BaseModel], value: Json, server: str) -> tuple[bool, bool, str]:
        """Whether the model allows it, whether the server does, and what either said."""
        try:
            model.model_validate(value)
        except ValidationError as error:
            return False, not server, f"{error} / {server} / {value}"
        return True, not server, f"{server} / {value}"

    def check(self, verdicts: list[tuple[bool, bool, str]]) -> None:
        assert [said for by_model, by_server, said in verdicts if by_model != by_server] == []
        assert sum(by_server for _, by_server, _ in verdicts) > self.SAMPLES // 4
        assert sum(not by_server for _, by_server, _ in verdicts) > self.SAMPLES // 8


def ruled(kind: str, spec: Json) -> Json:
    """Such that no CEL rule speaks against it: the models know none of them, and the tests above know all."""
    _without_rules_about_selectors(spec)
    match kind:
        case "QMSProcedure":
            _without_rules_about_procedures(spec)
        case "AIModelDeployment" if isinstance(spec.get("workloads"), list):
            for workload in spec["workloads"]:
                if isinstance(workload, dict) and {"apiVersion", "kind"} <= workload.keys():
                    workload["apiVersion"] = {"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1"}.get(str(workload["kind"]), "apps/v1")
            spec["workloads"] = distinct(spec["workloads"], ["apiVersion", "kind", "name"])
            _without_rules_about_destinations(spec)
        case "ApprovalRecord":
            spec.pop("approver", None)  # admission writes over it
            _without_rules_about_records(spec, spec.get("decision"))
        case "Clearance" if isinstance(spec.get("deployments"), dict):
            for entry in (e for entries in spec["deployments"].values() if isinstance(entries, list) for e in entries if isinstance(e, dict)):
                entry.update({} if "audit" in entry else ENTRY | entry)
                entry.pop("template" if "audit" in entry else "", None)
    return spec


def _without_rules_about_procedures(spec: Json) -> None:
    if isinstance(approvals := spec.get("approvals"), dict):
        approvals.pop("since", None)
    if isinstance(lapse := spec.get("onLapse"), dict) and lapse.get("action") != "Hold":
        lapse.pop("grace", None)


def _without_rules_about_selectors(at: Any) -> None:
    for below in at.values() if isinstance(at, dict) else at if isinstance(at, list) else ():
        _without_rules_about_selectors(below)
    if isinstance(at, dict) and {"key", "operator"} <= at.keys():
        if at["operator"] not in ("In", "NotIn"):
            at.pop("values", None)
        elif not at.get("values"):
            at["values"] = ["a"]


def _without_rules_about_destinations(spec: Json) -> None:
    access = spec.get("access")
    for to in access.get("egress", []) if isinstance(access, dict) and isinstance(access.get("egress", []), list) else []:
        if isinstance(to, dict):
            to.setdefault("namespace", "a")
            to.pop("cidr", None)


def _without_rules_about_records(spec: Json, decision: object) -> None:
    belongs = {"expires": ("Approve", "Emergency"), "reviews": ("Approve", "Reject"), "withdraws": ("Withdraw",), "list": ("ReviewAccess",)}
    for key in (key for key, decisions in belongs.items() if decision not in decisions):
        spec.pop(key, None)
    spec |= {"withdraws": "another"} if decision == "Withdraw" else {}
    spec |= {"rationale": spec.get("rationale") or "nobody could"} if decision == "Emergency" else {}
    spec |= {"list": spec.get("list", DIGEST)} if decision == "ReviewAccess" else {}
    spec |= {"subject": spec.get("subject", DIGEST)} if decision not in ("Stop", "Resume", "ReviewAccess") else {}
