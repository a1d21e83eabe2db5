"""What the tests of the story stand on: a namespace with one small deployment in it, its people, and what the API server says about both."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from aiqms.cli.offline import Manifests, one
from aiqms.gate.rules import DEFAULTS
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE
from tests.testbed.waiting import eventually

API = "aiqms.dev/v1alpha1"
NAME = "scoring"
LABEL = "aiqms.dev/deployment"
MODEL = f"sha256:{'4' * 64}"
NEXT_MODEL = f"sha256:{'5' * 64}"
UNSEEN = f"sha256:{'0' * 64}"
SECONDS = 30  # for what a cluster does by itself


def procedure(
    name: str, namespace: str, *, roles: Sequence[Json] = ({"role": "model-owner"},), revision: int = 1, approvals: Json | None = None, **spec: Any
) -> Json:
    """A procedure for one namespace alone, which one model-owner's approval satisfies."""
    spec = {"title": "Of a test", "revision": revision, "owner": "Quality", "appliesTo": {"namespaces": [namespace]}} | spec
    return {"apiVersion": API, "kind": "QMSProcedure", "metadata": {"name": name}, "spec": spec | {"approvals": {"roles": list(roles)} | (approvals or {})}}


def registered(namespace: str, name: str = NAME, *, kind: str = "Deployment", model: str = MODEL, **spec: Any) -> Json:
    """The register entry of a workload of the same name."""
    api_version = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}.get(kind, "apps/v1")
    spec = {
        "intendedPurpose": "Score applications for a human underwriter",
        "riskClass": "High",
        "role": "Provider",
        "owner": {"name": "Lending", "contact": "lending@bank.example"},
        "model": {"name": "credit-llm", "version": "1", "uri": "oci://registry.bank.example/models/credit-llm", "digest": model},
        "workloads": [{"apiVersion": api_version, "kind": kind, "name": name}],
    } | spec
    return {"apiVersion": API, "kind": "AIModelDeployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def template(name: str = NAME, *, labelled: str | None = NAME, model: str | None = MODEL, **container: Any) -> Json:
    """A pod template with one GPU."""
    labels = {"app": name} | ({LABEL: labelled} if labelled else {})
    made = {"name": "serve", "image": "registry.bank.example/vllm:v1", "args": ["--max-model-len=8192"], "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    annotations = {"aiqms.dev/model": model} if model else {}
    # A second to end in: a namespace controller waits for its pods' time before it looks again.
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [made | container], "terminationGracePeriodSeconds": 1}}


def workload(namespace: str, name: str = NAME, *, replicas: int = 1, **changed: Any) -> Json:
    """A Deployment whose old pods serve until new ones run."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template(name, labelled=changed.pop("labelled", name), **changed),
        },
    }


def record(subject: str, role: str = "model-owner", decision: str = "Approve", *, deployment: str = NAME, **spec: Any) -> Json:
    """A decision, as a person writes it."""
    spec = {"deployment": deployment, "subject": subject, "role": role, "decision": decision, "rationale": "Of a test"} | spec
    return {"apiVersion": API, "kind": "ApprovalRecord", "metadata": {"generateName": f"{deployment}-"}, "spec": spec}


def config_map(namespace: str, name: str, **data: str) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def within(seconds: float) -> str:
    """A time so many seconds from now, as the API writes it; the API server's clock is this machine's."""
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).isoformat()


def held(pod: Json) -> bool:
    """Whether it waits for a clearance."""
    return {"name": GATE} in pod["spec"].get("schedulingGates", [])


@dataclass(frozen=True)
class Place:
    """A governed namespace, and one deployment there that is looked at. Whatever people do, they do by their own credentials."""

    cluster: Cluster
    namespace: str
    name: str = NAME

    def by(self, person: str) -> Api:
        """The API server as this person."""
        return self.cluster.api(person)

    @property
    def admin(self) -> Api:
        """For looking, and for what a platform engineer does."""
        return self.cluster.api("admin")

    def of(self, name: str) -> Place:
        """Another deployment of the same namespace."""
        return replace(self, name=name)

    # what people do

    def govern(self, name: str = "", **spec: Any) -> str:
        """A platform engineer applies a procedure for this namespace; its name."""
        found = procedure(name or f"{self.namespace}-rule", self.namespace, **spec)
        return str(self.admin.apply(found, manager="platform")["metadata"]["name"])

    def register(self, **spec: Any) -> Json:
        """The pipeline applies the register entry."""
        return self.by("mallory").apply(registered(self.namespace, self.name, **spec))

    def deploy(self, **changed: Any) -> Json:
        """The pipeline applies the workload."""
        return self.by("mallory").apply(workload(self.namespace, self.name, **changed))

    def decide(self, person: str, role: str = "model-owner", decision: str = "Approve", *, subject: str = "", **spec: Any) -> str:
        """A person makes a record, about the current subject if no other is named; the record's name."""
        made = record(subject or self.subject, role, decision, deployment=self.name, **spec)
        return str(self.by(person).create(made, namespace=self.namespace)["metadata"]["name"])

    def cleared(self, *, replicas: int = 1, **rule: Any) -> str:
        """Governed by a procedure of one model-owner, registered, deployed, approved by alice, running; the fingerprint."""
        self.govern(**rule)
        self.register()
        self.deploy(replicas=replicas)
        self.await_pods(held=replicas)
        self.decide("alice")
        self.await_pods(running=replicas)
        return self.await_phase("Running")

    # what the API server says

    @property
    def entry(self) -> Json:
        """The register entry with its status."""
        return self.admin.get("aimd", self.name, self.namespace)

    @property
    def status(self) -> Json:
        """The status of the register entry, of its present generation."""
        found = self.entry
        status: Json = found.get("status", {})
        assert status.get("observedGeneration") == found["metadata"]["generation"], "the operator has not seen this generation"
        return status

    @property
    def subject(self) -> str:
        """The fingerprint of the current subject, once the status has that of what is stored now: worked out offline, by what every approver may read."""
        stored = self.foreseen()
        self.awaited(lambda: self.status["subject"]["fingerprint"] == stored, f"the subject is {stored}")
        return stored

    def foreseen(self) -> str:
        """The fingerprint of what is stored now, worked out offline."""
        entry = self.entry
        workloads = [self.admin.get(ref["kind"], ref["name"], self.namespace) for ref in entry["spec"]["workloads"]]
        around = [*self.admin.list("qmsp"), *self.admin.list("configmaps", self.namespace), self.admin.get("namespaces", self.namespace)]
        return one(Manifests([entry, *workloads, *around]), entry, DEFAULTS).fingerprint

    def condition(self, kind: str = "Ready") -> Json:
        """A condition: its status, reason and message."""
        return next((c for c in self.status["conditions"] if c["type"] == kind), {})

    def ready(self) -> tuple[str, str]:
        """Status and reason of condition Ready."""
        found = self.condition()
        return found["status"], found["reason"]

    def control(self, id_: str) -> tuple[str, str]:
        """Result and reason of a control."""
        return next(((c["result"], c["reason"]) for c in self.status["controls"] if c["id"] == id_), ("", ""))

    def verdict(self, name: str) -> tuple[bool, str]:
        """Whether a record counts, and why or why not."""
        status = self.admin.get("apr", name, self.namespace).get("status", {})
        return status.get("counts"), status.get("reason")

    def entries(self) -> list[Json]:
        """The deployment's part of the Clearance."""
        found: list[Json] = self.admin.get("clearances", "clearance", self.namespace)["spec"].get("deployments", {}).get(self.name, [])
        return found

    def pods(self) -> list[Json]:
        """The deployment's pods, less those that are going or have ended."""
        found = self.admin.list("pods", self.namespace, labels=f"{LABEL}={self.name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def held(self) -> list[Json]:
        """Those that wait."""
        return [pod for pod in self.pods() if held(pod)]

    def running(self) -> list[Json]:
        """Those that run."""
        return [pod for pod in self.pods() if pod["status"]["phase"] == "Running"]

    # waiting

    def awaited(self, condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
        """Wait until it is so."""
        eventually(condition, within=seconds, what=what, ignoring=(KeyError,))

    def await_pods(self, *, held: int = 0, running: int = 0, seconds: float = SECONDS) -> None:
        """Wait until just so many pods are held and running, and none is on its way."""

        def counted() -> bool:
            assert (len(self.held()), len(self.running()), len(self.pods())) == (held, running, held + running), [_line(pod) for pod in self.pods()]
            return True

        eventually(counted, within=seconds, what=f"{held} pods held and {running} running")

    def await_phase(self, phase: str, reason: str = "", seconds: float = SECONDS) -> str:
        """Wait until the register entry says so; the fingerprint of the current subject."""

        def said() -> bool:
            assert self.status["phase"] == phase, self.entry["status"]["conditions"]
            assert not reason or self.ready()[1] == reason, self.condition()
            return True

        eventually(said, within=seconds, what=f"phase {phase} {reason}", ignoring=(KeyError,))
        return str(self.status.get("subject", {}).get("fingerprint", ""))

    def await_verdict(self, name: str, counts: bool, reason: str, seconds: float = SECONDS) -> None:
        """Wait until a record's status says so."""

        def said() -> bool:
            assert self.verdict(name) == (counts, reason)
            return True

        eventually(said, within=seconds, what=f"apr/{name} says {reason}")

    def await_replacement(self, pod: Json) -> Json:
        """Delete a pod, as whoever runs the namespace may, and wait for its successor; it is held or not from its first moment."""
        before = {p["metadata"]["uid"] for p in self.pods()}
        self.by("mallory").delete("pods", pod["metadata"]["name"], self.namespace, now=True)

        def successor() -> Json | None:
            return next((p for p in self.pods() if p["metadata"]["uid"] not in before), None)

        found = eventually(successor, within=SECONDS, what=f"a successor of {pod['metadata']['name']}")
        assert found is not None
        return found


def _line(pod: Json) -> tuple[str, str, bool]:
    return pod["metadata"]["name"], pod["status"]["phase"], held(pod)


@contextmanager
def refused(*said: str, code: int = 403) -> Iterator[None]:
    """The API server refuses what is tried within, with these words."""
    with pytest.raises(ApiError) as error:
        yield
    assert (error.value.code, [words for words in said if words not in error.value.message]) == (code, []), error.value.message


@contextmanager
def ungoverned(cluster: Cluster) -> Iterator[Place]:
    """A place in a namespace that nobody governs."""
    admin, name = cluster.api("admin"), unique("ungoverned")
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        eventually(lambda: admin.find("serviceaccounts", "default", name), within=SECONDS, what="the default service account")
        with placed(cluster, name) as place:
            yield place
    finally:
        admin.delete("namespaces", name)


def await_gone(admin: Api, namespace: str) -> None:
    """Wait until nothing is left of a namespace of this name, so that it can be made anew."""
    eventually(lambda: admin.find("namespaces", namespace) is None, within=60, what=f"namespace {namespace} is gone")


def unique(what: str) -> str:
    """A name that no other test has."""
    return f"{what}-{secrets.token_hex(3)}"


@contextmanager
def placed(cluster: Cluster, namespace: str) -> Iterator[Place]:
    """A place in this namespace; its procedures are gone afterwards, for a procedure has no namespace to go with."""
    place = Place(cluster, namespace)
    yield place
    for found in place.admin.list("qmsp"):
        if found["spec"].get("appliesTo", {}).get("namespaces") == [namespace]:
            place.admin.delete("qmsp", found["metadata"]["name"])
