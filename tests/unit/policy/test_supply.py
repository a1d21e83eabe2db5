"""Where model and images come from, and how the model is tied to what runs: each control by its row, to the letter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.gate.normal import template
from aiqms.gate.rules import DEFAULTS
from aiqms.policy.decide import decide
from aiqms.policy.digests import digest
from aiqms.policy.facts import Input, Origin, Procedure, PullSecrets, WorkloadFacts
from tests.unit.policy.given import HEX, MODEL, after, approve, change, cleared, controls, day, given, pod, procedure, ready, spec, workload

THIS, OTHER = HEX["1"], HEX["2"]
VLLM = "registry.bank.example/vllm"
CHECK = "registry.bank.example/check"
W = "Deployment/credit-scoring"
Row = tuple[str, str, str]


def asks(name: str = "high-risk", *, audit: bool = False, **supply: Any) -> Procedure:
    """A procedure with this supply."""
    return procedure(name, audit=audit, supply=supply)


def serving(
    image: str = VLLM,
    *,
    ref: str = W,
    model: str | None = THIS,
    mounts: Sequence[str] = ("models",),
    init: Sequence[Json] = (),
    volumes: Mapping[str, Json] | None = None,
) -> WorkloadFacts:
    """A workload of one container. volumes: name -> source."""
    container = {"name": "serve", "image": image, "volumeMounts": [{"name": m, "mountPath": f"/{m}", "readOnly": True} for m in mounts]}
    metadata = {"annotations": {MODEL: model} if model else {}}
    made = {"containers": [container], "initContainers": list(init), "volumes": [{"name": n} | v for n, v in (volumes or {}).items()]}
    form = template({"metadata": metadata, "spec": made}, DEFAULTS)
    return replace(workload(ref=ref), template=form, digest=digest(form))


def check(image: str = f"{CHECK}@{OTHER}", **fields: Any) -> Json:
    """An init container that compares the files of volume models."""
    return {"name": "check", "image": image, "env": TOLD, "volumeMounts": [{"name": "models", "mountPath": "/models"}]} | fields


TOLD = [{"name": "MODEL", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{MODEL}']"}}}]


def carried(at: str = THIS) -> dict[str, Json]:
    """An image volume of this digest."""
    return {"models": {"image": {"reference": f"registry.bank.example/models/credit-llm:4@{at}"}}}


def of(*workloads: WorkloadFacts, asking: Procedure, **more: Any) -> Input:
    return given(approve("alice"), procedures=[asking], workloads=workloads or [serving()], **more)


def passes(reason: str, message: str) -> Row:
    return "Pass", reason, message


def fails(reason: str, message: str) -> Row:
    return "Fail", reason, message


BOUND, DECLARED = asks(model="Bound"), asks(model="Declared")
CHECKED = asks(model="Bound", digestCheckers=[f"{CHECK}*", "registry.bank.example/sign"])
_WAYS = f"mount an image volume …@{THIS}, run an image of that digest, or have an init container compare the files"
NO_CHECKER = f"{_WAYS} (the procedure names none in supply.digestCheckers)"
WAYS = f"{_WAYS} ({CHECK}*; registry.bank.example/sign)"
LOOSE = f"{W} only declares its model"
AGREE = f"make annotation {MODEL} and the register agree"
UNTIED = f"nothing ties {W} to the model approved: set annotation {MODEL} in the pod template"


def bound(by: str) -> Row:
    return passes("ModelBound", f"{THIS} is what runs: {W} by {by}")


def loose(why: str) -> Row:
    return fails("ModelDeclaredOnly", f"{LOOSE}; {W}: init container check {why}: {WAYS}")


MODELS = {
    "Bound: an image volume": (of(serving(volumes=carried()), asking=BOUND), bound("image volume models")),
    "Bound: an image volume, and no annotation": (of(serving(volumes=carried(), model=None), asking=BOUND), bound("image volume models")),
    "Bound: an image volume that a sidecar mounts": (
        of(serving(volumes=carried(), mounts=(), init=[check("unpack:1", restartPolicy="Always")]), asking=BOUND), bound("image volume models")
    ),
    "Bound: the image itself": (of(serving(f"{VLLM}@{THIS}"), asking=BOUND), bound("container serve")),
    "Bound: the image of a sidecar": (
        of(serving(init=[{"name": "model", "image": f"llm@{THIS}", "restartPolicy": "Always"}]), asking=BOUND), bound("init container model")
    ),
    "Bound: an init container that checks": (of(serving(init=[check()]), asking=CHECKED), bound("init container check, which compares the files")),
    "Bound: one of several init containers": (
        of(serving(init=[check(f"{CHECK}:v1", name="check"), check(name="again")]), asking=CHECKED), bound("init container again, which compares the files")
    ),
    "Declared is not bound": (of(asking=BOUND), fails("ModelDeclaredOnly", f"{LOOSE}: {NO_CHECKER}")),
    "nor is an image volume of another digest": (of(serving(volumes=carried(OTHER)), asking=BOUND), fails("ModelDeclaredOnly", f"{LOOSE}: {NO_CHECKER}")),
    "nor one that nobody mounts": (
        of(serving(volumes=carried(), mounts=()), asking=BOUND),
        fails("ModelDeclaredOnly", f"{LOOSE}; {W}: image volume models is mounted by no container that goes on running: {NO_CHECKER}"),
    ),
    "nor the digest as a tag": (
        of(serving(f"{VLLM}:{THIS.removeprefix('sha256:')}"), asking=BOUND), fails("ModelDeclaredOnly", f"{LOOSE}: {NO_CHECKER}")
    ),
    "nor an init container that the procedure does not name": (
        of(serving(init=[check(f"other@{OTHER}")]), asking=CHECKED), fails("ModelDeclaredOnly", f"{LOOSE}: {WAYS}")
    ),
    "nor one that is named by a tag": (of(serving(init=[check(f"{CHECK}:v1")]), asking=CHECKED), loose("is not pinned by digest")),
    "nor one that runs something else": (of(serving(init=[check(command=["true"])]), asking=CHECKED), loose("has a command in place of its image's own")),
    "nor one that nobody waits for": (of(serving(init=[check(restartPolicy="Always")]), asking=CHECKED), loose("is a sidecar, for whose end nobody waits")),
    "nor one that sees no file": (
        of(serving(init=[check(volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])]), asking=CHECKED), loose("mounts no volume that a container serves from")
    ),
    "nor one that serves": (of(serving(f"{CHECK}@{OTHER}"), asking=CHECKED), fails("ModelDeclaredOnly", f"{LOOSE}: {WAYS}")),
    "a checker without an annotation has nothing to compare with": (
        of(serving(init=[check()], model=None), asking=CHECKED), fails("ModelNotDeclared", UNTIED)
    ),
    "Bound: another model declared, whatever is mounted": (
        of(serving(volumes=carried(), model=OTHER), asking=BOUND),
        fails("ModelMismatch", f"{W} declares {OTHER}, but spec.model.digest is {THIS}: {AGREE}"),
    ),
    "Bound: of two workloads one is not": (
        of(serving(volumes=carried()), serving(ref="Job/batch"), asking=BOUND),
        fails("ModelDeclaredOnly", f"Job/batch only declares its model: {NO_CHECKER}"),
    ),
    "Bound: of two workloads one does not exist": (
        of(serving(volumes=carried()), workload(None, ref="Job/batch"), asking=BOUND), ("Skip", "WorkloadMissing", "this is known once every workload exists")
    ),
    "Declared: declared": (of(asking=DECLARED), passes("ModelMatches", f"every pod template declares {THIS}")),
    "Declared: bound is more": (of(serving(volumes=carried(), model=None), asking=DECLARED), bound("image volume models")),
    "Declared: one declares, the other is bound": (
        of(serving(), serving(ref="Job/batch", volumes=carried(), model=None), asking=DECLARED),
        passes("ModelMatches", f"every pod template declares, or has by digest, {THIS}"),
    ),
    "Declared: missing": (of(serving(model=None), asking=DECLARED), fails("ModelNotDeclared", UNTIED)),
    "Declared: another model": (
        of(serving(model=OTHER), asking=DECLARED), fails("ModelMismatch", f"{W} declares {OTHER}, but spec.model.digest is {THIS}: {AGREE}")
    ),
    "Declared: no workload exists": (
        of(workload(None), asking=DECLARED), ("Skip", "WorkloadMissing", "this is known once every workload exists")
    ),
}  # fmt: skip

PINNED, FROM = asks(pinnedImages="Required"), asks(registries=["registry.bank.example/*", "docker.io/library/busybox"])
FREE = "not pinned, so another image may come under the same name: write NAME@sha256:… of the image that was tested"
COPY = "from none of registry.bank.example/*; docker.io/library/busybox: have the image copied there, and name it so"
MANY = [{"name": f"i{n}", "image": "busybox"} for n in range(4)]
MISSING = ("Skip", "WorkloadMissing", "this is known once every workload exists")
IMAGES = {
    "allowed as far as it is known": (of(serving(), workload(None, ref="Job/batch"), asking=FROM), "supply/registries", MISSING),
    "every image pinned": (
        of(serving(f"{VLLM}:v1@{THIS}", init=[check()], volumes=carried()), asking=PINNED), "supply/pinned-images",
        passes("ImagesPinned", "3 images are pinned by digest"),
    ),
    "one image pinned": (of(serving(f"{VLLM}@{THIS}"), asking=PINNED), "supply/pinned-images", passes("ImagesPinned", "1 image is pinned by digest")),
    "a tag": (
        of(serving(f"{VLLM}:v1"), asking=PINNED), "supply/pinned-images", fails("ImageNotPinned", f"{W}, container serve: {VLLM}:v1: {FREE}")
    ),
    "an init container and a volume": (
        of(serving(f"{VLLM}@{THIS}", init=[check("busybox")], volumes={"models": {"image": {"reference": "llm:4"}}}), asking=PINNED), "supply/pinned-images",
        fails("ImageNotPinned", f"{W}, init container check: busybox; {W}, image volume models: llm:4: {FREE}"),
    ),
    "a volume that names no image": (
        of(serving(f"{VLLM}@{THIS}", volumes={"models": {"image": {}}}), asking=PINNED), "supply/pinned-images",
        fails("ImageNotPinned", f"{W}, image volume models: no image: {FREE}"),
    ),
    "many": (
        of(serving(f"{VLLM}@{THIS}", init=MANY), asking=PINNED), "supply/pinned-images",
        fails("ImageNotPinned", f"{W}, init container i0: busybox; {W}, init container i1: busybox; {W}, init container i2: busybox; and 1 more: {FREE}"),
    ),
    "as many as are named": (
        of(serving(f"{VLLM}@{THIS}", init=MANY[:3]), asking=PINNED), "supply/pinned-images",
        fails("ImageNotPinned", f"{W}, init container i0: busybox; {W}, init container i1: busybox; {W}, init container i2: busybox: {FREE}"),
    ),
    "pinned as far as it is known": (of(serving(f"{VLLM}@{THIS}"), workload(None, ref="Job/batch"), asking=PINNED), "supply/pinned-images", MISSING),
    "not pinned, though not all is known": (
        of(workload(None, ref="Job/batch"), serving(), asking=PINNED), "supply/pinned-images", fails("ImageNotPinned", f"{W}, container serve: {VLLM}: {FREE}")
    ),
    "not asked": (of(asking=FROM), "supply/pinned-images", None),
    "from a registry": (
        of(serving(init=[{"name": "i", "image": "busybox:1"}]), asking=FROM), "supply/registries",
        passes("RegistriesAllowed", "2 images are from registry.bank.example/*; docker.io/library/busybox"),
    ),
    "from another": (
        of(serving("nvcr.io/triton:1"), asking=FROM), "supply/registries", fails("RegistryNotAllowed", f"{W}, container serve: nvcr.io/triton:1: {COPY}")
    ),
    "a short name is told in full": (
        of(serving("vllm:1"), asking=FROM), "supply/registries",
        fails("RegistryNotAllowed", f"{W}, container serve: vllm:1 (that is docker.io/library/vllm:1): {COPY}"),
    ),
    "an image volume too": (
        of(serving(volumes={"m": {"image": {"reference": "evil.example/llm"}}}), asking=FROM), "supply/registries",
        fails("RegistryNotAllowed", f"{W}, image volume m: evil.example/llm: {COPY}"),
    ),
    "a registry is not asked": (of(asking=PINNED), "supply/registries", None),
}  # fmt: skip

URIS = asks(modelUris=["oci://registry.bank.example/models/*", "s3://models/*"])
FROM_THERE = "take the model from there, and register where it comes from"


def at(uri: str) -> Input:
    model = {"name": "credit-llm", "version": "4.2.0", "uri": uri, "digest": THIS}
    return given(approve("alice"), of=spec(model=model), procedures=[URIS])


ELSEWHERE = "is not among oci://registry.bank.example/models/*; s3://models/*"
DOTS = "has dots for folders, so that nobody knows where it leads"
URI = "supply/model-uri"
MODEL_URIS = {
    "among them": (
        at("s3://models/llm"), URI, passes("ModelUriAllowed", "s3://models/llm is among oci://registry.bank.example/models/*; s3://models/*")
    ),
    "elsewhere": (
        at("hf://meta/llm"), URI, fails("ModelUriNotAllowed", f"spec.model.uri hf://meta/llm {ELSEWHERE}: {FROM_THERE}")
    ),
    "out of it by two dots": (
        at("s3://models/../other/llm"), URI, fails("ModelUriNotAllowed", f"spec.model.uri s3://models/../other/llm {DOTS}: {FROM_THERE}")
    ),
    "and disguised": (
        at("s3://models/a%2F.%2E/llm"), URI, fails("ModelUriNotAllowed", f"spec.model.uri s3://models/a%2F.%2E/llm {DOTS}: {FROM_THERE}")
    ),
    "one dot": (at("s3://models/./llm"), URI, fails("ModelUriNotAllowed", f"spec.model.uri s3://models/./llm {DOTS}: {FROM_THERE}")),
    "backslashes": (
        at("s3://models/\\..%5Cllm"), URI, fails("ModelUriNotAllowed", f"spec.model.uri s3://models/\\..%5Cllm {DOTS}: {FROM_THERE}")
    ),
    "and at the end": (at("s3://models/..#here"), URI, fails("ModelUriNotAllowed", f"spec.model.uri s3://models/..#here {DOTS}: {FROM_THERE}")),
    "dots in a name": (
        at("s3://models/..llm?a=/../b"), URI,
        passes("ModelUriAllowed", "s3://models/..llm?a=/../b is among oci://registry.bank.example/models/*; s3://models/*"),
    ),
    "not asked": (of(asking=PINNED), URI, None),
}  # fmt: skip

SECRETS, ONE, NONE = "supply/pull-secrets", asks(pullSecrets=["puller"]), asks(pullSecrets=[])
HELD, RUNS = pod("a", held=True), pod("a")


def bearing(asking: Procedure, *pods: Any, declared: Sequence[str] = (), added: Sequence[str] = (), b: Sequence[str] = ()) -> Input:
    """declared: by the workload; added: to pod a by its ServiceAccount; b: to pod b."""
    return of(asking=asking, pods=list(pods), pull_secrets=PullSecrets({W: tuple(declared)}, {"a": tuple(added), "b": tuple(b)}))


SAID, OUT = "image pull secrets that are not allowed", "take them out of imagePullSecrets in the pod template"
GIVEN = f"{SAID} come from the ServiceAccount: pod a: other (allowed: puller): take them out of its imagePullSecrets, and delete these pods"
PULLING = {
    "none borne": (bearing(NONE), SECRETS, passes("PullSecretsAllowed", "no image pull secrets but those allowed: none")),
    "those that are allowed": (
        bearing(ONE, HELD, declared=["puller"], added=["puller"]), SECRETS, passes("PullSecretsAllowed", "no image pull secrets but those allowed: puller")
    ),
    "one that is not": (
        bearing(ONE, declared=["puller", "other"]), SECRETS,
        fails("PullSecretNotAllowed", f"{SAID}: {W}: other (allowed: puller): {OUT}"),
    ),
    "any, where none is": (
        bearing(NONE, declared=["puller"]), SECRETS,
        fails("PullSecretNotAllowed", f"{SAID}: {W}: puller (allowed: none): {OUT}"),
    ),
    "given to a pod that waits": (bearing(ONE, HELD, added=["other"]), SECRETS, fails("PullSecretNotAllowed", GIVEN)),
    "given to a pod that runs, which has pulled already": (bearing(ONE, RUNS, added=["other"]), SECRETS, ("Warn", "PullSecretNotAllowed", GIVEN)),
    "given to one that waits and one that runs: the first counts": (
        bearing(ONE, replace(RUNS, name="b"), HELD, added=["other"], b=["third"]), SECRETS, fails("PullSecretNotAllowed", GIVEN)
    ),
    "given to a pod that ran before the gate": (
        bearing(ONE, pod("a", before=True), added=["other"]), SECRETS, passes("PullSecretsAllowed", "no image pull secrets but those allowed: puller")
    ),
    "none borne as far as it is known": (
        change(bearing(NONE), workloads=[serving(), workload(None, ref="Job/batch")]), SECRETS, MISSING
    ),
    "given to a pod of nobody's": (
        bearing(ONE, pod("a", held=True, origin=Origin.ELSEWHERE), added=["other"]), SECRETS,
        passes("PullSecretsAllowed", "no image pull secrets but those allowed: puller"),
    ),
    "given to a pod of nobody's that runs": (
        bearing(ONE, pod("a", origin=Origin.ELSEWHERE), added=["other"]), SECRETS, ("Warn", "PullSecretNotAllowed", GIVEN)
    ),
    "given to a pod that goes": (
        bearing(ONE, pod("a", held=True, going=True), added=["other"]), SECRETS, passes("PullSecretsAllowed", "no image pull secrets but those allowed: puller")
    ),
    "not asked": (bearing(PINNED, declared=["other"]), SECRETS, None),
}  # fmt: skip

ROWS = [*((f"model: {n}", (i, "supply/model", said)) for n, (i, said) in MODELS.items()), *IMAGES.items(), *MODEL_URIS.items(), *PULLING.items()]


@pytest.mark.parametrize(("given_", "id_", "says"), [case for _, case in ROWS], ids=[name for name, _ in ROWS])
def test_supply(given_: Input, id_: str, says: Row | None) -> None:
    assert controls(given_, day(1)).get(f"high-risk/{id_}") == says


def test_what_an_enforced_procedure_asks_takes_the_place_of_the_general_row() -> None:
    assert [id_ for id_ in controls(of(asking=BOUND), day(1)) if id_.endswith("supply/model")] == ["high-risk/supply/model"]


def test_one_that_asks_something_else_of_supply_leaves_the_general_row() -> None:
    assert [id_ for id_ in controls(of(asking=PINNED), day(1)) if id_.endswith("supply/model")] == ["supply/model"]


def test_what_a_procedure_in_audit_asks_blocks_nothing_and_leaves_another_model_blocked() -> None:
    tried = asks("trial", audit=True, model="Bound", pinnedImages="Required")
    fine = given(approve("alice"), procedures=[procedure(), tried], workloads=[serving()])
    assert {id_: said[0] for id_, said in controls(fine, day(1)).items() if "supply/" in id_} == {
        "supply/model": "Pass", "trial/supply/model": "Fail", "trial/supply/pinned-images": "Fail"
    }  # fmt: skip
    assert cleared_of(fine)
    assert not cleared_of(change(fine, workloads=[serving(model=OTHER)]))


def cleared_of(of_: Input) -> bool:
    return any(e.valid_until and day(1) < e.valid_until for e in decide(of_, day(1)).entries)


def test_a_control_that_fails_blocks_and_one_that_is_mended_clears() -> None:
    rule = [asks(pinnedImages="Required")]
    waiting = given(approve("alice"), procedures=rule, workloads=[serving(f"{VLLM}:v1")])
    assert ready(decide(waiting, day(1)))[:2] == ("False", "ImageNotPinned")
    assert not cleared_of(waiting)
    mended = given(approve("alice"), procedures=rule, workloads=[serving(f"{VLLM}:v1@{THIS}")])
    assert cleared_of(mended)


def test_what_ran_before_the_procedure_asked_goes_on_as_on_lapse_says() -> None:
    running = after(given(approve("alice"), pods=[pod("a")]), day(1))
    asked = change(running, procedures=[procedure(lapse="Stop", supply={"pinnedImages": "Required"})])
    assert (cleared(decide(running, day(2)), day(2)), cleared(decide(asked, day(2)), day(2))) == (["v1"], [])
    assert [r.pod for r in decide(asked, day(2)).removals] == ["a"]


def test_a_row_carries_the_obligations_of_supply() -> None:
    serving_duty = asks(registries=["*"], modelUris=["*"], obligations=[{"framework": "eu-ai-act", "id": "17(1)(l)"}])
    rows = decide(of(asking=serving_duty), day(1)).status.controls
    assert {c.id: c.obligations for c in rows if c.obligations} == {
        "supply/model-uri": ["eu-ai-act 17(1)(l)"], "supply/registries": ["eu-ai-act 17(1)(l)"]
    }  # fmt: skip


def test_a_message_ends_with_what_to_do_however_long_the_names_are() -> None:
    long = of(serving("x" * 10_000, init=[{"name": f"i{n}", "image": "y" * 5000} for n in range(9)]), asking=asks(pinnedImages="Required"))
    said = controls(long, day(1))["high-risk/supply/pinned-images"][2]
    assert said.endswith(FREE)
    assert len(said) < 1200
