"""Objects that nobody may store, each with what the API server says: which field, what is wrong with it, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.bypass.attempt import edited
from tests.e2e.given import MODEL, UNSEEN, config_map, procedure, record, registered, template, workload
from tests.testbed.api import Json

CYRILLIC_O, FULL_WIDTH_9, ZERO_WIDTH, RIGHT_TO_LEFT = "\u043e", "\uff19", "\u200b", "\u202e"
MEBIBYTE = 2**20
Make = Callable[[str], Json]


@dataclass(frozen=True)
class Refused:
    """make: the object, in a namespace. says: words of the refusal, all of which have to be there. by: who tries."""

    make: Make
    says: tuple[str, ...]
    by: str = "admin"


def rule(*says: str, **changes: object) -> Refused:
    """A procedure with these values at dotted paths of its spec, two underscores standing for a dot."""
    return Refused(lambda place: edited(procedure("hostile", place), _spec(changes)), says)


def entry(*says: str, name: str = "hostile", by: str = "mallory", **changes: object) -> Refused:
    """A register entry."""
    return Refused(lambda place: edited(registered(place, name), _spec(changes)), says, by)


def decision(*says: str, by: str = "alice", metadata: Json | None = None, **changes: object) -> Refused:
    """A record of a decision."""

    def make(place: str) -> Json:
        made = record(UNSEEN, deployment="hostile")
        return edited(made | {"metadata": {"name": "hostile", "namespace": place} | (metadata or {})}, _spec(changes))

    return Refused(make, says, by)


def served(*says: str, **changes: object) -> Refused:
    """A Deployment, or its pods' template."""
    return Refused(lambda place: edited(workload(place, "hostile"), {path.replace("__", "."): value for path, value in changes.items()}), says, "mallory")


def pod(*says: str, labels: Json | None = None, annotations: Json | None = None, **spec: object) -> Refused:
    """A bare pod that asks for a GPU."""

    def make(place: str) -> Json:
        made = template("hostile", labelled=None)
        metadata = {"name": "hostile", "namespace": place, "labels": labels or {}, "annotations": annotations or {}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": made["spec"] | spec}

    return Refused(make, says, "mallory")


def _spec(changes: Json) -> Json:
    return {f"spec.{path.replace('__', '.')}" if path != "spec" else "spec": value for path, value in changes.items()}


def nested(depth: int) -> Json:
    """As deep as that."""
    found: Json = {}
    for _ in range(depth):
        found = {"a": found}
    return found


def sink(*says: str, **given: Json) -> Refused:
    """A log sink."""
    return entry(*says, logging={"streams": [{"name": "inference", "sink": given}]})


def role(name: str) -> list[Json]:
    return [{"role": name}]


DIGEST = "should match '^sha256:[0-9a-f]{64}$'"
DURATION = "should match '^[1-9][0-9]{0,4}(d|h|m|s)$'"
LABEL = "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"
NAME = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
ENDPOINT = "should match '^https?://"

PROCEDURES = {
    "a procedure that is a list": rule("spec", "must be of type object", spec=[]),
    "a procedure that is a word": rule("spec", "must be of type object", spec="everything"),
    "a procedure that is nothing": rule("spec: Required value", spec=None),
    "approvals that are a list": rule('unknown field "spec.approvals[0].role"', approvals=[{"role": "model-owner"}]),
    "approvals that are missing": rule("spec.approvals: Required value", approvals=None),
    "a revision in words": rule("spec.revision", "must be of type integer", revision="two"),
    "half a revision": rule("spec.revision", "must be of type integer", revision=1.5),
    "a revision beyond 64 bits": rule("spec.revision", revision=2**70),
    "a revision below all": rule("spec.revision", "should be greater than or equal to 1", revision=-1),
    "a count that is true": rule("spec.approvals.roles[0].count", "must be of type integer", approvals__roles__0__count=True),
    "a crowd of 17 owners": rule("spec.approvals.roles[0].count", "should be less than or equal to 16", approvals__roles__0__count=17),
    "nobody who approves": rule("spec.approvals.roles", "should have at least 1 items", approvals__roles=[]),
    "17 roles": rule("spec.approvals.roles: Too many: 17: must have at most 16 items", approvals__roles=[{"role": f"r{n}"} for n in range(17)]),
    "one role twice, once with nobody asked": rule(
        'spec.approvals.roles[1]: Duplicate value: {"role":"model-owner"}', approvals__roles=role("model-owner") * 2
    ),
    "a role that only looks like model-owner": rule("spec.approvals.roles[0].role", LABEL, approvals__roles=role(f"m{CYRILLIC_O}del-owner")),
    "a role with a space that nobody sees": rule("spec.approvals.roles[0].role", LABEL, approvals__roles=role(f"model-owner{ZERO_WIDTH}")),
    "a role with a line break": rule("spec.approvals.roles[0].role", LABEL, approvals__roles=role("model-owner\n")),
    "a role written backwards": rule("spec.approvals.roles[0].role", LABEL, approvals__roles=role(f"{RIGHT_TO_LEFT}renwo-ledom")),
    "every role": rule("spec.approvals.roles[0].role", LABEL, approvals__roles=role("*")),
    "no time at all": rule("spec.approvals.roles[0].validFor", DURATION, approvals__roles__0__validFor="0d"),
    "a time before now": rule("spec.approvals.roles[0].validFor", DURATION, approvals__roles__0__validFor="-1d"),
    "a hundred thousand days": rule("spec.approvals.roles[0].validFor", approvals__roles__0__validFor="100000d"),
    "digits that only look like 90": rule("spec.approvals.roles[0].validFor", DURATION, approvals__roles__0__validFor=f"{FULL_WIDTH_9}0d"),
    "a duration as ISO 8601 has it": rule("spec.onLapse.grace", DURATION, onLapse={"grace": "P90D"}),
    "a duration as a number": rule("spec.onChange.grace", "must be of type string", onChange={"grace": 90}),
    "infinite patience": rule("spec.onChange.grace", onChange={"grace": "Infinity"}),
    "grace beside Stop": rule("grace belongs to action Hold: with Stop the pods stop at once, leave grace out", onLapse={"action": "Stop", "grace": "1d"}),
    "a day that no February has": rule("spec.reviewBy", "2027-02-30", reviewBy="2027-02-30T00:00:00Z"),
    "the year 0": rule("spec.reviewBy", "0000-01-01", reviewBy="0000-01-01T00:00:00Z"),
    "the year 10000": rule("spec.reviewBy", "10000-01-01", reviewBy="10000-01-01T00:00:00Z"),
    "a leap second": rule("spec.reviewBy", "23:59:60", reviewBy="2026-12-31T23:59:60Z"),
    "a date as seconds since 1970": rule("spec.reviewBy", "must be of type date-time", reviewBy=1798761600),
    "approvals of a revision to come": rule("approvals.since is above revision: name this revision or an older one", approvals__since=2),
    "a selector of an operator that there is not": rule(
        "spec.appliesTo.namespaceSelector.matchExpressions[0].operator",
        "should match '^(In|NotIn|Exists|DoesNotExist)$'",
        appliesTo={"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Matches", "values": [".*"]}]}},
    ),
    "257 namespaces": rule("spec.appliesTo.namespaces: Too many: 257", appliesTo={"namespaces": [f"n{n}" for n in range(257)]}),
    "every namespace by a star": rule("spec.appliesTo.namespaces[0]", LABEL, appliesTo={"namespaces": ["*"]}),
    "a title of a mebibyte": rule("spec.title: Too long: may not be more than 253", title="x" * MEBIBYTE),
    "a title of four mebibytes": rule("Request entity too large: limit is 3145728", title="x" * 4 * MEBIBYTE),
    "a document whose digest is SHA-512": rule("spec.document.digest", document={"uri": "https://qms.example/1", "digest": f"sha512:{'0' * 128}"}),
    "a field that loosens, and is none": rule('unknown field "spec.approvals.optional"', approvals__optional=True),
    "a field 500 levels deep": rule('unknown field "spec.extra"', extra=nested(500)),
    "a pattern with a space that nobody sees": rule("spec.supply.registries[0]", supply={"registries": [f"registry.bank.example/*{ZERO_WIDTH}"]}),
    "65 patterns": rule("spec.supply.registries: Too many: 65", supply={"registries": [f"r{n}/*" for n in range(65)]}),
    "logs kept for nothing": rule("spec.logging.streams: Invalid value", "should have at least 1 items", logging={"streams": []}),
    "a name that only looks like Latin": Refused(lambda place: procedure(f"h{CYRILLIC_O}stile", place), ("metadata.name", NAME)),
    "a name of 254 letters": Refused(lambda place: procedure("x" * 254, place), ("metadata.name", "must be no more than 253")),
    "annotations of a mebibyte": Refused(
        lambda place: edited(procedure("hostile", place), {"metadata.annotations": {"note": "x" * MEBIBYTE}}),
        ("metadata.annotations: Too long: may not be more than 262144 bytes",),
    ),
}
ENTRIES = {
    "a register entry that is a list": entry("spec", "must be of type object", spec=[]),
    "a register entry of a name too long for a label": entry("the name is the value of a pod label: at most 63 characters", name="x" * 64),
    "a register entry that only looks like scoring": entry("metadata.name", NAME, name=f"sc{CYRILLIC_O}ring"),
    "a risk class of its own": entry('spec.riskClass: Unsupported value: "None"', '"Prohibited", "High", "Limited", "Minimal"', riskClass="None"),
    "a risk class that only looks like High": entry("spec.riskClass: Unsupported value", riskClass="Ηigh"),
    "no workload": entry("spec.workloads", "should have at least 1 items", workloads=[]),
    "nine workloads": entry("spec.workloads: Too many: 9", workloads=[{"apiVersion": "apps/v1", "kind": "Deployment", "name": f"w{n}"} for n in range(9)]),
    "one workload twice": entry("spec.workloads[1]: Duplicate value", workloads=[{"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}] * 2),
    "every workload by a star": entry("spec.workloads[0].name", workloads__0__name="*"),
    "a workload of another namespace": entry("spec.workloads[0].name", workloads__0__name="../other/scoring"),
    "a Job of apps/v1": entry("apiVersion does not fit kind: apps/v1 for Deployment", workloads__0__kind="Job"),
    "a workload of a kind that nobody knows": entry("spec.workloads[0].kind: Unsupported value", workloads__0__kind="Sandbox"),
    "a digest in capitals": entry("spec.model.digest", DIGEST, model__digest=MODEL.upper()),
    "a digest with a letter that only looks like a": entry("spec.model.digest", DIGEST, model__digest=f"sha256:{'а' * 64}"),
    "no digest but latest": entry("spec.model.digest", DIGEST, model__digest="latest"),
    "an address with a line break": entry("spec.model.uri", model__uri="oci://bank.example/a\nb"),
    "65 datasets": entry("spec.datasets: Too many: 65", datasets=[{"name": "d", "version": "1", "use": "Test", "classification": "x", "digest": MODEL}] * 65),
    "a purpose that is empty": entry("spec.intendedPurpose", "should be at least 1 chars long", intendedPurpose=""),
    "a purpose of a mebibyte": entry("spec.intendedPurpose: Too long", intendedPurpose="x" * MEBIBYTE),
    "port 0": entry("spec.access.ports[0]", "should be greater than or equal to 1", access={"ports": [0]}),
    "port 65536": entry("spec.access.ports[0]", "should be less than or equal to 65535", access={"ports": [65536]}),
    "a range of no addresses": entry("cidr is no range of addresses: write one such as 10.20.0.0/16", access={"egress": [{"cidr": "10.0.0.0/99"}]}),
    "pods and addresses at once": entry(
        "a destination is pods by their namespace, or addresses by cidr: give one of the two", access={"egress": [{"cidr": "10.0.0.0/8", "namespace": "a"}]}
    ),
    "a client of no namespace": entry("spec.access.clients[0].namespace: Required value", access={"clients": [{"podSelector": {}}]}),
    "a sink of none": sink("a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them"),
    "a sink of two": sink(
        "a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them",
        victoriaLogs={"endpoint": "https://a.example"},
        persistentVolumeClaim={"claimName": "b"},
    ),
    "a sink that is a file": sink("spec.logging.streams[0].sink.victoriaLogs.endpoint", ENDPOINT, victoriaLogs={"endpoint": "file:///etc/passwd"}),
    "a sink with a password in its address": sink(".victoriaLogs.endpoint", ENDPOINT, victoriaLogs={"endpoint": "https://root:pw@logs.bank.example"}),
    "a sink with a query in its address": sink(".victoriaLogs.endpoint", ENDPOINT, victoriaLogs={"endpoint": "https://logs.bank.example/?x=1"}),
    "a sink with a line break in its address": sink(".victoriaLogs.endpoint", ENDPOINT, victoriaLogs={"endpoint": "https://logs.bank.example\r\nHost: x"}),
    "a sink that only looks like the bank's": sink(".victoriaLogs.endpoint", ENDPOINT, victoriaLogs={"endpoint": f"https://l{CYRILLIC_O}gs.bank.example"}),
    "a tenant with a line break": sink(".loki.tenant", loki={"endpoint": "https://logs.bank.example", "selector": "{a=`b`}", "tenant": "a\nb"}),
    "an account beyond 32 bits": sink(".victoriaLogs.accountId", victoriaLogs={"endpoint": "https://logs.bank.example", "accountId": 2**32}),
    "a certificate from the file system": sink(
        ".ca.configMapName", victoriaLogs={"endpoint": "https://logs.bank.example", "ca": {"configMapName": "../../etc"}}
    ),
    "17 streams": entry(
        "spec.logging.streams: Too many: 17", logging={"streams": [{"name": f"s{n}", "sink": {"persistentVolumeClaim": {"claimName": "b"}}} for n in range(17)]}
    ),
}
DECISIONS = {
    "a record that is a list": decision("spec", "must be of type object", spec=[]),
    "a record that is a word": decision("spec", "must be of type object", spec="Approve"),
    "a record of a decision that is a list": decision("spec.decision", "must be of type string", decision=["Approve"]),
    "a role that is a number": decision("spec.role", "must be of type string", role=7),
    "a decision that only looks like Approve": decision("spec.decision: Unsupported value", decision="Αpprove"),
    "a decision in small letters": decision("spec.decision: Unsupported value", decision="approve"),
    "a record of a role that only looks like model-owner": decision("spec.role", LABEL, role=f"m{CYRILLIC_O}del-owner"),
    "a subject in capitals": decision("spec.subject", DIGEST, subject=UNSEEN.upper()),
    "a record of no subject": decision("subject is missing: name the fingerprint that you decide about (kubectl qms explain shows it)", subject=None),
    "a record that ended yesterday": decision("is not after now", "give a later time, or leave it out", expires="2020-01-01T00:00:00Z"),
    "a record that ended in the year 1000": decision("is not after now", expires="1000-01-01T00:00:00+23:59"),
    "an end of no such day": decision("spec.expires", "2027-04-31", expires="2027-04-31T00:00:00Z"),
    "an end after time": decision("spec.expires", expires="99999-01-01T00:00:00Z"),
    "an end that an offset leads beyond the last time": decision(
        "spec.expires may lie beyond 9999-12-31T23:59:59Z, the last time there is: give an earlier one, or leave it out",
        expires="9999-12-31T23:59:59.999999999-23:59",
    ),
    "an end without a zone": decision("spec.expires", expires="2099-01-01T00:00:00"),
    "an end of a zone that is none": decision("spec.expires", expires="2099-01-01T00:00:00+24:00"),
    "a withdrawal of nothing": decision("withdraws names the record that decision Withdraw takes back: give both or neither", decision="Withdraw"),
    "an approval that withdraws": decision("give both or neither", withdraws="another"),
    "a Stop that expires": decision("only Approve and Emergency expire: leave expires out", decision="Reject", expires="2099-01-01T00:00:00Z"),
    "a rationale of a mebibyte": decision("spec.rationale: Too long: may not be more than 4096", rationale="x" * MEBIBYTE),
    "an approval in a role of somebody else": decision(
        "you do not hold role risk-manager in namespace ", "ask for a RoleBinding to ClusterRole aiqms-role-risk-manager", role="risk-manager"
    ),
    "an approval by a service account": decision('User "system:serviceaccount:ci:ci" cannot create resource "approvalrecords"', by="ci"),
    "an approval by whoever holds everything": decision("you hold every role by a wildcard right, which makes nobody an approver", by="admin"),
    "a record with a mark of its own": decision(
        "label aiqms.dev/decision is set by admission, on a Stop: leave it out", metadata={"labels": {"aiqms.dev/decision": "Stop"}}
    ),
    "a record that something else deletes": decision(
        "a record has no owner and no finalizer, so that nothing deletes or keeps it: leave both out",
        metadata={"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]},
    ),
    "a record that nothing deletes": decision("a record has no owner and no finalizer", metadata={"finalizers": ["example.com/hold"]}),
    "a record of a name that only looks like one": decision("metadata.name", NAME, metadata={"name": f"h{CYRILLIC_O}stile"}),
}
WORKLOADS = {
    "a pod whose label only looks like ours": pod(
        "metadata.labels", "name part must consist of alphanumeric characters", labels={f"aiqms.dev/depl{CYRILLIC_O}yment": "hostile"}
    ),
    "a pod of a label too long": pod("metadata.labels", "must be no more than 63", labels={"aiqms.dev/deployment": "x" * 64}),
    "a pod of a label beside ours": pod("GPU pod must name its AIModelDeployment", labels={"aiqms.dev/Deployment": "hostile"}),
    "a pod that names its node": pod(
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared", nodeName="gpu-1", labels={"aiqms.dev/deployment": "hostile"}
    ),
    "a pod that brings its own subject": pod(
        "annotation aiqms.dev/subject is set by AIQMS alone", annotations={"aiqms.dev/subject": UNSEEN}, labels={"aiqms.dev/deployment": "hostile"}
    ),
    "a template with annotations of a mebibyte": served(
        "spec.template.annotations: Too long: may not be more than 262144 bytes", spec__template__metadata__annotations={"note": "x" * MEBIBYTE}
    ),
    "a template of four mebibytes": served("Request entity too large: limit is 3145728", spec__template__spec__containers__0__args=["x" * 4 * MEBIBYTE]),
    "a template 500 levels deep": served('unknown field "spec.template.spec.extra"', spec__template__spec__extra=nested(500)),
    "a template of a container that is a word": served("cannot unmarshal", spec__template__spec__containers=["serve"]),
    "half a GPU": served("must be an integer", spec__template__spec__containers__0__resources={"limits": {"nvidia.com/gpu": "0.5"}}),
    "fewer GPUs than none": served("must be greater than or equal to 0", spec__template__spec__containers__0__resources={"limits": {"nvidia.com/gpu": "-1"}}),
    "a key that hands out every GPU": Refused(
        lambda place: config_map(place, "hostile", NVIDIA_VISIBLE_DEVICES="all"),
        ("a key such as NVIDIA_VISIBLE_DEVICES would reach pods by envFrom unseen",),
        "mallory",
    ),
    "a Clearance by the namespace's administrator": Refused(
        lambda place: {"apiVersion": "aiqms.dev/v1alpha1", "kind": "Clearance", "metadata": {"name": "clearance", "namespace": place}, "spec": {}},
        ("only the AIQMS operator writes a Clearance: create ApprovalRecords instead",),
    ),
    "a namespace that is half governed": Refused(
        lambda _: {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "half", "labels": {"aiqms.dev/governed": "maybe"}}},
        ("label aiqms.dev/governed has one value, true: set it, or leave the label out",),
    ),
}
REFUSED: dict[str, dict[str, Refused]] = {"procedures": PROCEDURES, "register entries": ENTRIES, "decisions": DECISIONS, "workloads": WORKLOADS}
