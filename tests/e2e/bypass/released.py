"""Held pods that differ from what is cleared, or only where they may: the operator's identity would release them. Their maker held them: none was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from tests.e2e.bypass.afterwards import operator, patched, stamped, subject_of
from tests.e2e.bypass.attempt import Attempt, edited, is_held
from tests.e2e.bypass.stage import SUBJECT, Stage
from tests.e2e.bypass.tampering import BATCH, SCORING, STORE, Edits
from tests.testbed.api import Json
from tests.testbed.install import GATE

TABLES = {"scoring": SCORING, "store": STORE, "batch": BATCH}
# Of each way to differ one: the comparison is the same as where a pod is made.
TAMPERED = {
    "scoring": (
        "another image",
        "two GPUs",
        "another model",
        "another value of an annotation that it reads",
        "another value of a label that it reads",
        "words where kubectl sets a time",
        "the injected token at another path",
        "like the injected token, longer",
        "another volume in the token's place",
        "a part of the injected token in its place",
        "the injected token in its place, where it can be written",
        "a part of the injected token in its place, where it can be written",
        "the injected token in its place, for another audience",
        "a part of the injected token in its place of the init container, where it can be written",
        "another volume in the token's place of the init container",
        "a part of the injected token in its place of the init container",
        "the injected token in its place of the init container, where it can be written",
        "the injected token at another path of the init container",
    ),
    "store": (
        "the claim of another pod",
        "its claim, without being a StatefulSet's",
        "its claim, a StatefulSet's that controls nothing",
        "its claim, a ReplicaSet's",
        "another volume of the name",
    ),
    "batch": ("the injected token where none is injected", "a label more, where it reads them all", "an annotation more, where it reads them all"),
}
MAY_DIFFER = (
    "another pod of a cleared Deployment",
    "another pod of a cleared StatefulSet, with a claim of its own",
    "another pod of a cleared Job",
    "huge pages",
    "more memory and huge pages for the init container",
    "labels and annotations that nothing reads",
    "restarted by kubectl",
)


def pods(free: Mapping[str, tuple[str, Edits]]) -> Iterator[tuple[str, str, Edits]]:
    """Each pod: what is said of it, the deployment, and how it differs."""
    yield from ((f"like {of}, {name}", of, TABLES[of][name]) for of, names in TAMPERED.items() for name in names)
    yield from ((name, *free[name]) for name in MAY_DIFFER)


def parked(said: str, of: str, edits: Edits, stage: Stage) -> None:
    """A held pod that no controller takes for its own, or for one too many: its owner is nobody known here, and the label that owners look for is off."""
    pod, name = stage.like(of), f"parked-{len(stage.pods)}"
    pod["metadata"]["name"] = name
    if of == "store":
        pod["spec"]["volumes"] = [v | {"persistentVolumeClaim": {"claimName": f"data-{name}"}} if v["name"] == "data" else v for v in pod["spec"]["volumes"]]
    pod = edited(pod, edits if isinstance(edits, dict) else edits(stage))
    if of == "scoring":
        pod["metadata"]["labels"].pop("app")
    if of == "batch":
        pod["metadata"]["labels"] = {key: value for key, value in pod["metadata"]["labels"].items() if "controller-uid" not in key}
    owners = [owner | {"apiVersion": "example.com/v1", "uid": "another"} for owner in pod["metadata"].pop("ownerReferences", [])]
    if of == "store":
        pod["metadata"]["ownerReferences"] = owners
    stage.pods[said] = stage.mallory.create(edited(pod, {"spec.schedulingGates.+": {"name": GATE}}))


def released(said: str, of: str, stage: Stage) -> Json:
    """As the operator does it: with the subject, and the annotations that there are."""
    pod = stage.pods[said]["metadata"].get("annotations", {})
    patch = stamped(subject_of(of))(stage)
    assert isinstance(patch, list)
    patch[0]["value"] |= pod
    return patched(said, patch, stage, who=operator)


def by_hand(of: str, edits: Edits, stage: Stage) -> Json:
    """A pod that says of itself that it was cleared, as one that reads its subject does where it was."""
    pod = edited(stage.like(of), edits if isinstance(edits, dict) else edits(stage))
    return stage.mallory.create(edited(pod, {f"metadata.annotations[{SUBJECT}]": stage.fingerprints[of]}), dry_run=True)


def is_free(pod: Json) -> bool:
    return not is_held(pod)


DIFFERENT = [(of, name) for of, names in TAMPERED.items() for name in names]
ATTACKS = (
    *(
        Attempt("release", f"by the operator's identity, like {of}, {name}", partial(released, f"like {of}, {name}", of), through=is_free)
        for of, name in DIFFERENT
    ),
    *(Attempt(f"like {of}", f"{name}, with its subject by hand", partial(by_hand, of, TABLES[of][name])) for of, name in DIFFERENT),
)


def legitimate(free: Mapping[str, tuple[str, Edits]]) -> Iterator[Attempt]:
    yield from (Attempt("release", f"by the operator, of {name}", partial(released, name, free[name][0]), through=is_free) for name in MAY_DIFFER)
    yield from (Attempt("cleared", f"{name}, with its subject by hand", partial(by_hand, *free[name])) for name in MAY_DIFFER)
