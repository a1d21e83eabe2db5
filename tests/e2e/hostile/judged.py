"""Objects that the API server stores, each with the exact words in which the operator judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.e2e.given import MODEL, NEXT_MODEL, UNSEEN, Place, template, workload
from tests.testbed.api import Json

DYNAMITE = "\U0001f9e8"
SHORT = UNSEEN[:15]


@dataclass(frozen=True)
class Entry:
    """A register entry with its workload, if any. says: reason and message of Ready, in which {name} and {place} stand for its own."""

    says: tuple[str, str]
    spec: Callable[[Place], Json] = lambda _: {}
    workload: Callable[[Place], Json | None] = lambda place: workload(place.namespace, place.name)


def _claims(kind: str, name: str) -> Callable[[Place], Json]:
    return lambda _: {"workloads": [{"apiVersion": "v1" if kind == "Pod" else "apps/v1", "kind": kind, "name": name}]}


def _missing(number: int) -> Callable[[Place], Json]:
    return lambda place: {"workloads": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": f"{place.name}-{n}"} for n in range(number)]}


def _reads(count: int) -> Callable[[Place], Json]:
    """A workload that reads so many ConfigMaps, none of which exists."""
    refs = [{"configMapRef": {"name": f"c{n}", "optional": True}} for n in range(count)]
    return lambda place: workload(place.namespace, place.name, envFrom=refs)


def _noted(place: Place) -> Json:
    found = workload(place.namespace, place.name)
    found["spec"]["template"]["metadata"]["annotations"]["note"] = "x" * 250_000
    return found


def _unlabelled(place: Place) -> Json:
    found = workload(place.namespace, place.name)
    found["spec"]["template"] = template(place.name, labelled=None)
    return found


MISSING = "does not exist in this namespace: create it, or correct spec.workloads"
MORE = "; and 2 controls more"  # the approvals that nobody gives
WAITS = "{place}-crowd: 0 of 2 model-owner approvals for {subject}; none counts yet; and 1 control more"


def mismatch(declared: str) -> tuple[str, str]:
    """Of pods that declare this."""
    said = f"Deployment/{{name}} declares {declared}, but spec.model.digest is {MODEL}: make annotation aiqms.dev/model and the register agree"
    return "ModelMismatch", said + MORE


ENTRIES = {
    "of a workload that does not exist": Entry(("WorkloadMissing", f"Deployment/{{name}} {MISSING}"), workload=lambda _: None),
    "of eight workloads that do not exist": Entry(("WorkloadMissing", f"StatefulSet/{{name}}-0 {MISSING}; and 7 controls more"), _missing(8), lambda _: None),
    "of a pod that does not exist": Entry(("WorkloadMissing", f"Pod/kube-apiserver {MISSING}"), _claims("Pod", "kube-apiserver"), lambda _: None),
    "whose pods name nobody": Entry(
        (
            "WorkloadUnlabelled",
            "the pods of Deployment/{name} name no deployment: set aiqms.dev/deployment: {name} in its spec.template.metadata.labels" + MORE,
        ),
        workload=_unlabelled,
    ),
    "that claims its neighbour's workload": Entry(
        (
            "WorkloadClaimed",
            "the pods of Deployment/scoring name scoring, which decides: take it out of spec.workloads, or change spec.template.metadata.labels" + MORE,
        ),
        _claims("Deployment", "scoring"),
        lambda _: None,
    ),
    "whose pods declare another model": Entry(mismatch(NEXT_MODEL), workload=lambda place: workload(place.namespace, place.name, model=NEXT_MODEL)),
    "whose pods declare the model in capitals": Entry(
        mismatch(MODEL.upper()), workload=lambda place: workload(place.namespace, place.name, model=MODEL.upper())
    ),
    "whose pods declare the model with a space that nobody sees": Entry(
        mismatch(rf"{MODEL}\u200b"), workload=lambda place: workload(place.namespace, place.name, model=f"{MODEL}\u200b")
    ),
    "whose pods declare 200,000 letters": Entry(mismatch("x" * 128 + "…"), workload=lambda place: workload(place.namespace, place.name, model="x" * 200_000)),
    "that the AI Act forbids": Entry(
        ("Prohibited", "risk class Prohibited is never cleared: AI Act Art. 5 forbids the practice; and 1 control more"), lambda _: {"riskClass": "Prohibited"}
    ),
    "that is retired": Entry(
        ("Retired", "lifecycle is Retired: set spec.lifecycle to Active to have it judged again" + MORE), lambda _: {"lifecycle": "Retired"}
    ),
    "of a class that no procedure governs": Entry(
        (
            "NoProcedure",
            "no QMSProcedure applies to risk class Minimal, role Provider, namespace {place}: the platform team creates one, or widens spec.appliesTo of one",
        ),
        lambda _: {"riskClass": "Minimal"},
    ),
    "that reads 300 ConfigMaps": Entry(
        ("TooManyInputs", "the pods of Deployment/{name} read 300 ConfigMaps, Secrets and claims, and at most 256 can be frozen: join some of them" + MORE),
        workload=_reads(300),
    ),
    "that says what it is for in 4096 sticks of dynamite": Entry(("ApprovalMissing", WAITS), lambda _: {"intendedPurpose": DYNAMITE * 4096}),
    "whose owner is written backwards": Entry(("ApprovalMissing", WAITS), lambda _: {"owner": {"name": "\u202egnidneL", "contact": "\u0000\u0007\x1b[2J"}}),
    "whose pods bear a note of 250,000 letters": Entry(("ApprovalMissing", WAITS), workload=_noted),
    "whose command has 20,000 words": Entry(
        ("ApprovalMissing", WAITS), workload=lambda place: workload(place.namespace, place.name, args=[f"--a={n}" for n in range(20_000)])
    ),
}


@dataclass(frozen=True)
class Said:
    """A record of this name. says: whether it counts, why, and in which words; {current} stands for the subject of its deployment."""

    name: str
    by: str
    role: str
    decision: str
    says: tuple[bool, str, str]
    spec: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)


def nothing(name: str) -> tuple[bool, str, str]:
    return False, "NothingToWithdraw", f"no Approve, Reject or Emergency named {name} for strange here: name it in spec.withdraws"


NO_REVIEW = "no Emergency named {} that counted: name it in spec.reviews"
RECORDS = {
    "an approval of a subject that nobody has seen": Said(
        "unseen", "bob", "risk-manager", "Approve", (False, "SubjectUnknown", f"the current subject is {{current}}; it counts when {SHORT} appears"),
        {"subject": UNSEEN},
    ),
    "an approval of a deployment that nobody has seen": Said(
        "nowhere", "bob", "risk-manager", "Approve",
        (False, "DeploymentUnknown", "no AIModelDeployment nobody in this namespace: it counts when one with subject {current} appears"),
        {"deployment": "nobody"},
    ),
    "an approval in somebody else's name": Said(
        "forged", "carol", "risk-manager", "Approve", (True, "Counted", "carol approves the current subject as risk-manager"),
        {"approver": {"username": "alice", "groups": ["model-owners"], "authorized": True}},
    ),
    "an approval that ends after time itself": Said(
        "endless", "alice", "model-owner", "Approve", (True, "Counted", "alice approves the current subject as model-owner until 9999-12-31 00:00:59 UTC"),
        {"expires": "9999-12-31T23:59:59.999999999+23:59"},
    ),
    "another one by the same person": Said(
        "again", "alice", "model-owner", "Approve",
        (False, "SamePersonTwice", "alice already counts as model-owner (apr/endless): another person has to approve"), {"expires": "2099-01-01T00:00:00Z"},
    ),
    "an approval in a role that nobody asks for": Said(
        "unasked", "bob", "incident-commander", "Approve",
        (False, "RoleNotRequired", "no procedure that applies names role incident-commander; they name: model-owner, risk-manager"),
    ),
    "a withdrawal of itself": Said("ouroboros", "bob", "risk-manager", "Withdraw", nothing("ouroboros"), {"withdraws": "ouroboros"}),
    "a withdrawal of the withdrawal that withdraws it": Said("hen", "bob", "risk-manager", "Withdraw", nothing("egg"), {"withdraws": "egg"}),
    "a withdrawal that closes the circle": Said("egg", "bob", "risk-manager", "Withdraw", nothing("hen"), {"withdraws": "hen"}),
    "a withdrawal of what never was": Said("ghost", "bob", "risk-manager", "Withdraw", nothing("x" * 253), {"withdraws": "x" * 253}),
    "a withdrawal of somebody else's approval": Said(
        "thief", "bob", "risk-manager", "Withdraw",
        (False, "MayNotWithdraw", "endless is by alice: its author, or a holder of verb withdraw on role model-owner, may take it back"),
        {"withdraws": "endless"},
    ),
    "a Stop by a role that stops nothing": Said(
        "shout", "alice", "model-owner", "Stop", (False, "RoleNotRequired", "no procedure names model-owner under stop.roles; they name: risk-manager")
    ),
    "a withdrawal of a Stop": Said("hush", "alice", "model-owner", "Withdraw", nothing("shout"), {"withdraws": "shout"}),
    "a Resume of what nobody stopped": Said(
        "onwards", "carol", "risk-manager", "Resume",
        (False, "NothingToResume", "there is no earlier Stop; one of the same second is not lifted: make another Resume"),
    ),
    "an Emergency that no procedure knows": Said(
        "alarm", "alice", "model-owner", "Emergency",
        (
            False, "EmergencyNotAllowed",
            "no procedure that applies names model-owner under emergency.roles, or an earlier emergency had not been reviewed in time",
        ),
    ),
    "a review of that Emergency": Said("calm", "carol", "risk-manager", "Approve", (False, "NothingToReview", NO_REVIEW.format("alarm")), {"reviews": "alarm"}),
    "a review of itself": Said("mirror", "bob", "risk-manager", "Approve", (False, "NothingToReview", NO_REVIEW.format("mirror")), {"reviews": "mirror"}),
    "a review of access that nobody asks for": Said(
        "list", "bob", "risk-manager", "ReviewAccess",
        (
            False, "RoleNotRequired",
            "no procedure that applies has risk-manager review who can do what; none asks for access reviews (access.reviewEvery)",
        ),
        {"list": UNSEEN, "subject": None},
    ),
    "an approval with 250,000 letters of notes and 100 labels": Said(
        "noted", "bob", "risk-manager", "Approve", (True, "Counted", "bob approves the current subject as risk-manager"),
        {"rationale": DYNAMITE * 4096}, {"annotations": {"note": "x" * 250_000}, "labels": {f"l{n}": "x" * 63 for n in range(100)}},
    ),
}  # fmt: skip


ALLOWED = ["https://*.bank.example"]
SERVER = "https://logs.bank.example"
NOT_ALLOWED = "is no server that logging.endpoints of {rule} allows, so it is not asked: name one that it allows, or have the platform team add it there"


@dataclass(frozen=True)
class Sink:
    """A log sink. says: result, reason and message of the stream's row; {rule} stands for the procedure, {place} for the namespace."""

    says: tuple[str, str, str]
    streams: list[Json]


def _at(says: tuple[str, str, str], endpoint: str = SERVER, **more: object) -> Sink:
    return Sink(says, [{"name": "inference", "sink": {"victoriaLogs": {"endpoint": endpoint} | more}}])


def _refused(endpoint: str) -> Sink:
    return _at(("Fail", "EndpointNotAllowed", f"{endpoint} {NOT_ALLOWED}"), endpoint)


UNKNOWN_STREAM = ("Fail", "StreamUnregistered", "nobody knows where stream inference lies: name its sink in spec.logging.streams")
NOT_READ = (
    "the operator may not read Secret nobody in namespace {place}; let it:"
    " kubectl create role aiqms-reads-nobody -n {place} --verb=get --resource=secrets --resource-name=nobody"
    " && kubectl create rolebinding aiqms-reads-nobody -n {place} --role=aiqms-reads-nobody --serviceaccount=aiqms-system:aiqms-operator"
)
SINKS = {
    "nowhere": Sink(UNKNOWN_STREAM, []),
    "of another stream alone": Sink(UNKNOWN_STREAM, [{"name": "training", "sink": {"persistentVolumeClaim": {"claimName": "logs"}}}]),
    "at the cloud's metadata": _refused("http://169.254.169.254/latest/meta-data"),
    "at an address in one number": _refused("https://2852039166"),
    "at the API server": _refused("https://kubernetes.default.svc"),
    "at a name that begins as the bank's": _refused("https://logs.bank.example.evil.example"),
    "at a name that ends nearly as the bank's": _refused("https://evilbank.example"),
    "at another port": _refused(f"{SERVER}:22"),
    "at a port that is none": _refused(f"{SERVER}:99999"),
    "at a folder above": _refused(f"{SERVER}/../admin"),
    "without encryption": _refused("http://logs.bank.example"),
    "that is allowed, by a collector that is not": Sink(
        ("Fail", "EndpointNotAllowed", f"http://10.0.0.1:8080 {NOT_ALLOWED}"),
        [{"name": "inference", "sink": {"victoriaLogs": {"endpoint": SERVER}}, "collector": "http://10.0.0.1:8080"}],
    ),
    "of a backend that nobody installed": Sink(
        (
            "Error", "BackendUnknown",
            "no log backend nobody is installed with the operator: install the package that brings it, or correct sink.other.backend",
        ),
        [{"name": "inference", "sink": {"other": {"backend": "nobody", "endpoint": SERVER, "options": {"\u202e": "\x00"}}}}],
    ),
    "with a Secret that is not there": _at(("Error", "CredentialsUnreadable", NOT_READ), credentials={"secretName": "nobody"}),
    "with an authority that is not there": _at(
        ("Error", "CredentialsUnreadable", "ConfigMap nobody does not exist in namespace {place}: create it, or correct the sink"),
        ca={"configMapName": "nobody", "key": "..data"},
    ),
    "on a volume that is not there": Sink(
        ("Error", "SinkUnreachable", "there is no PersistentVolumeClaim nobody in the namespace: create it, or correct the sink's claimName"),
        [{"name": "inference", "sink": {"persistentVolumeClaim": {"claimName": "nobody"}}}],
    ),
}  # fmt: skip
