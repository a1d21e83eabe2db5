"""Where images and models come from, on a real cluster: each control keeps the pods waiting and says why, and lets them run once that is mended."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.given import LABEL, MODEL, NEXT_MODEL, Place, placed, procedure, refused, registered, workload
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster

CLI = Path(sys.executable).parent / "kubectl-qms"
HEX = "8" * 64
REGISTRY = "registry.bank.example"
VLLM, CHECK = f"{REGISTRY}/vllm:v1@sha256:{HEX}", f"{REGISTRY}/check@sha256:{HEX}"
MOUNT, READ = [{"name": "model", "mountPath": "/models"}], [{"name": "model", "mountPath": "/models", "readOnly": True}]
TOLD = [{"name": "MODEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['aiqms.dev/model']"}}}]
URI = "oci://registry.bank.example/models/credit-llm"
W = "Deployment/scoring"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


@dataclass(frozen=True)
class Pods:
    """What a workload's pods are made of. entry: of the register, other than usual."""

    image: str = VLLM
    model: str | None = MODEL
    init: list[Json] = field(default_factory=list)
    volume: Json | None = None
    pulls: list[str] = field(default_factory=list)
    entry: Json = field(default_factory=dict)

    def apply(self, place: Place) -> None:
        """As the pipeline does, register entry first."""
        made = workload(place.namespace, place.name, image=self.image, model=self.model, volumeMounts=READ if self.volume else [])
        spec = made["spec"]["template"]["spec"]
        spec |= {"initContainers": self.init, "imagePullSecrets": [{"name": n} for n in self.pulls]}
        spec |= {"volumes": [{"name": "model"} | self.volume] if self.volume else []}
        entry = registered(place.namespace, place.name)
        for each in (entry | {"spec": entry["spec"] | self.entry}, made):
            place.by("mallory").apply(each)


def checker(image: str = CHECK, **more: object) -> Json:
    return {"name": "check", "image": image, "env": TOLD, "volumeMounts": MOUNT} | more


def carrying(digest: str) -> Json:
    return {"image": {"reference": f"{REGISTRY}/models/credit-llm@{digest}"}}


def coming_from(uri: str) -> Json:
    return {"model": {"name": "credit-llm", "version": "1", "uri": uri, "digest": MODEL}}


@dataclass(frozen=True)
class Case:
    """Under this supply, these pods are held by this control with this answer, and those run. anew: people have to approve them."""

    supply: Json
    refused: Pods
    id: str
    reason: str
    message: str
    mended: Pods
    anew: bool = True


EMPTY: Json = {"emptyDir": {}}
LOOSE = f"{W} only declares its model"
_WAYS = f"mount an image volume …@{MODEL}, run an image of that digest, or have an init container compare the files"
NO_CHECKER = f"{_WAYS} (the procedure names none in supply.digestCheckers)"
BOUND = {"model": "Bound"}
CHECKED = BOUND | {"digestCheckers": [f"{REGISTRY}/check"]}
CASES = {
    "a model that is only declared, then an image volume of it": Case(
        BOUND, Pods(), "model", "ModelDeclaredOnly", f"{LOOSE}: {NO_CHECKER}", Pods(volume=carrying(MODEL))
    ),
    "an image volume of another model": Case(
        BOUND, Pods(volume=carrying(NEXT_MODEL)), "model", "ModelDeclaredOnly", f"{LOOSE}: {NO_CHECKER}", Pods(image=f"{REGISTRY}/llm@{MODEL}")
    ),
    "a checker that checks nothing, then one that does": Case(
        CHECKED, Pods(volume=EMPTY, init=[checker(command=["true"])]), "model", "ModelDeclaredOnly",
        f"{LOOSE}; {W}: init container check has a command in place of its image's own: {_WAYS} ({REGISTRY}/check)",
        Pods(volume=EMPTY, init=[checker()]),
    ),
    "a model that is not even declared": Case(
        {"model": "Declared"}, Pods(model=None), "model", "ModelNotDeclared",
        f"nothing ties {W} to the model approved: set annotation aiqms.dev/model in the pod template", Pods(),
    ),
    "an image with a tag alone": Case(
        {"pinnedImages": "Required"}, Pods(image=f"{REGISTRY}/vllm:v1", init=[checker("busybox")], volume=EMPTY), "pinned-images", "ImageNotPinned",
        f"{W}, container serve: {REGISTRY}/vllm:v1; {W}, init container check: busybox:"
        " not pinned, so another image may come under the same name: write NAME@sha256:… of the image that was tested",
        Pods(init=[checker()], volume=EMPTY),
    ),
    "an image from elsewhere": Case(
        {"registries": [f"{REGISTRY}/*"]}, Pods(image="vllm:v1"), "registries", "RegistryNotAllowed",
        f"{W}, container serve: vllm:v1 (that is docker.io/library/vllm:v1): from none of {REGISTRY}/*: have the image copied there, and name it so", Pods(),
    ),
    "an image volume from elsewhere": Case(
        {"registries": [f"{REGISTRY}/*"]}, Pods(volume={"image": {"reference": f"evil.example/llm@{MODEL}"}}), "registries", "RegistryNotAllowed",
        f"{W}, image volume model: evil.example/llm@{MODEL}: from none of {REGISTRY}/*: have the image copied there, and name it so",
        Pods(volume=carrying(MODEL)),
    ),
    "a model from elsewhere": Case(
        {"modelUris": ["oci://registry.bank.example/models/*"]}, Pods(entry=coming_from("https://hub.example/llm")), "model-uri", "ModelUriNotAllowed",
        "spec.model.uri https://hub.example/llm is not among oci://registry.bank.example/models/*: take the model from there, and register where it comes from",
        Pods(),
    ),
    "an image pull secret that is not allowed": Case(
        {"pullSecrets": ["puller"]}, Pods(pulls=["other"]), "pull-secrets", "PullSecretNotAllowed",
        f"image pull secrets that are not allowed: {W}: other (allowed: puller): take them out of imagePullSecrets in the pod template", Pods(pulls=["puller"]),
        anew=False,
    ),
}  # fmt: skip


def said(place: Place, id_: str) -> tuple[str, str, str]:
    """Result, reason and message of a control of the procedure."""
    found = [c for c in place.status["controls"] if c["id"] == f"supply/{id_}" and c.get("procedure")]
    return (found[0]["result"], found[0]["reason"], found[0]["message"]) if found else ("", "", "")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_not_as_the_procedure_asks_is_held_and_runs_once_it_is(place: Place, case: Case) -> None:
    name = place.govern(supply=case.supply)
    case.refused.apply(place)
    place.await_pods(held=1)
    place.decide("alice")
    place.awaited(lambda: place.status["approvals"][0]["given"] == 1, "the approval is given, and is not enough")
    place.await_phase("Held", case.reason)
    assert said(place, case.id) == ("Fail", case.reason, case.message)
    assert place.condition()["message"] == f"{name}: {case.message}"
    verified = place.condition("SupplyVerified")
    assert (verified["status"], verified["reason"], verified["message"]) == ("False", case.reason, case.message)
    assert place.condition("Stalled")["reason"] == case.reason
    place.await_pods(held=1)

    case.mended.apply(place)
    if case.anew:
        place.decide("alice")
    place.await_pods(running=1)
    place.await_phase("Running", "Approved")
    assert said(place, case.id)[0] == "Pass"
    assert (place.condition("SupplyVerified")["status"], place.condition("SupplyVerified")["reason"]) == ("True", "ControlsHold")


def test_a_pull_secret_of_the_service_account_is_seen_in_the_pods_that_wait(place: Place) -> None:
    account = {"imagePullSecrets": [{"name": "other"}]}
    place.admin.patch("serviceaccounts", "default", account, place.namespace)
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try", "namespace": place.namespace}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    place.awaited(lambda: place.admin.create(bare, dry_run=True)["spec"].get("imagePullSecrets"), "the API server gives the secret to pods")
    place.govern(supply={"pullSecrets": []})
    Pods().apply(place)
    place.await_pods(held=1)
    (waiting,) = place.pods()
    place.decide("alice")
    place.await_phase("Held", "PullSecretNotAllowed")
    who = f"come from the ServiceAccount: pod {waiting['metadata']['name']}: other (allowed: none)"
    assert said(place, "pull-secrets")[2] == f"image pull secrets that are not allowed {who}: take them out of its imagePullSecrets, and delete these pods"

    place.admin.patch("serviceaccounts", "default", {"imagePullSecrets": None}, place.namespace)
    place.awaited(lambda: not place.admin.create(bare, dry_run=True)["spec"].get("imagePullSecrets"), "the API server gives none any more")
    place.by("mallory").delete_all("pods", place.namespace, labels=f"{LABEL}={place.name}")
    place.await_pods(running=1)
    place.await_phase("Running", "Approved")


def test_a_procedure_in_audit_says_it_and_holds_nothing(place: Place) -> None:
    place.govern(f"{place.namespace}-one")
    place.govern(f"{place.namespace}-tried", enforcement="Audit", supply={"pinnedImages": "Required", "model": "Bound"})
    Pods(image=f"{REGISTRY}/vllm:v1").apply(place)
    place.await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1)
    place.await_phase("Running", "Approved")
    assert (said(place, "pinned-images")[:2], said(place, "model")[:2]) == (("Fail", "ImageNotPinned"), ("Fail", "ModelDeclaredOnly"))
    assert place.condition("SupplyVerified")["status"] == "False"


def test_a_procedure_that_asks_more_takes_effect_on_what_runs_as_on_lapse_says(place: Place) -> None:
    name = place.govern(onLapse={"action": "Stop"}, approvals={"since": 1})
    Pods(image=f"{REGISTRY}/vllm:v1").apply(place)
    place.await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1)
    # Times are whole seconds: a successor made in the very second of the Clearance, while it is still admitted, would count as older than the gate.
    governed = place.admin.get("clearances", "clearance", place.namespace)["metadata"]["creationTimestamp"]
    place.awaited(lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") > governed, "the second in which the namespace was governed is over")
    place.govern(name, onLapse={"action": "Stop"}, approvals={"since": 1}, revision=2, supply={"pinnedImages": "Required"})
    place.await_phase("Stopped", "ImageNotPinned")
    place.await_pods(held=1)


@pytest.mark.parametrize(
    ("supply", "said"),
    [
        pytest.param(
            {"pinnedImages": "Always"}, 'spec.supply.pinnedImages: Unsupported value: "Always": supported values: "Required"', id="none of the choices"
        ),
        pytest.param({"registries": ["a/*", "a/*"]}, "spec.supply.registries[1]: Duplicate value", id="twice the same"),
        pytest.param({"modelUris": []}, "spec.supply.modelUris: Invalid value", id="an empty list, which would allow nothing"),
        pytest.param({"registries": ["a b"]}, "spec.supply.registries[0]: Invalid value", id="a pattern that nothing matches"),
    ],
)
def test_what_a_procedure_cannot_mean_is_refused(place: Place, supply: Json, said: str) -> None:
    with refused(said, code=422):
        place.admin.create(procedure(f"{place.namespace}-rule", place.namespace, supply=supply), dry_run=True)


def test_explain_says_what_to_change(place: Place, cluster: Cluster) -> None:
    place.govern(supply={"pinnedImages": "Required"})
    Pods(image=f"{REGISTRY}/vllm:v1").apply(place)
    place.await_phase("Held", "ImageNotPinned")
    ended = subprocess.run(
        [CLI, "explain", place.name, "-n", place.namespace, "--context", "mallory"],
        env=cluster.environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert re.search(rf"✗ supply/pinned-images +{W}, container serve: {REGISTRY}/vllm:v1: not pinned", ended.stdout), ended.stdout
    assert "to mend: write the digest of the image that was tested behind its name" in ended.stdout
