"""What to change where a control waits for nobody's decision: for each reason what is done, and what is pasted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.values import Json
from aiqms.cli.facts import Facts
from aiqms.policy.binding import MODEL

_ANEW = "the pods change by that, so people approve them anew"


@dataclass(frozen=True)
class Mend:
    """what: in words; paste: a command, or the lines of a manifest."""

    what: str
    paste: str = ""


def mend(control: Json, facts: Facts) -> Mend | None:
    """None for a control that passes, or that something else lifts."""
    how = MENDS.get(control["reason"]) if control["result"] in (Result.FAIL, Result.ERROR, Result.WARN) else None
    return how(facts) if how else None


def _annotation(facts: Facts) -> Mend:
    return Mend(f"annotate the pod template with the model that it serves; {_ANEW}", f'annotations: {{{MODEL}: "{_model(facts).get("digest")}"}}')


def _agreement(facts: Facts) -> Mend:
    digest = _model(facts).get("digest")
    return Mend("serve the model of the register, or register the one that is served; people approve that anew", f'annotations: {{{MODEL}: "{digest}"}}')


def _volume(facts: Facts) -> Mend:
    """The register says from where, if the model is an OCI artifact."""
    found, artifact = _model(facts), str(_model(facts).get("uri", "")).removeprefix("oci://")
    name = artifact if artifact != found.get("uri") else "REPOSITORY"
    what = f"mount the model itself, by its digest, in the container that serves; {_ANEW}"
    return Mend(what, f'volumes: [{{name: model, image: {{reference: "{name}@{found.get("digest")}"}}}}]')


def _digest(_: Facts) -> Mend:
    return Mend(
        f"write the digest of the image that was tested behind its name; {_ANEW}",
        "crane digest IMAGE    # or: skopeo inspect --format {{.Digest}} docker://IMAGE",
    )


def _copy(_: Facts) -> Mend:
    return Mend(f"copy the image to a registry that is allowed, and name it there; {_ANEW}", "crane copy IMAGE ALLOWED/IMAGE    # or: skopeo copy --all")


def _uri(_: Facts) -> Mend:
    return Mend("copy the model to where the procedure allows it, serve it from there, and register that in spec.model.uri; people approve that anew")


def _pulls(facts: Facts) -> Mend:
    """Held pods are pending, and bear what they were made with."""
    what = "take the Secret out of imagePullSecrets of pod template or ServiceAccount, and let pods that wait be made anew; nobody has to approve that"
    return Mend(what, f"kubectl delete pods -n {facts.namespace} -l aiqms.dev/deployment={facts.name} --field-selector status.phase=Pending")


def _model(facts: Facts) -> Json:
    found: Json = ((facts.deployment or {}).get("spec") or {}).get("model") or {}
    return found


MENDS: Mapping[str, Callable[[Facts], Mend]] = {
    Reason.MODEL_DECLARED_NOWHERE: _annotation,
    Reason.MODEL_MISMATCH: _agreement,
    Reason.MODEL_DECLARED_ONLY: _volume,
    Reason.MODEL_URI_NOT_ALLOWED: _uri,
    Reason.IMAGE_NOT_PINNED: _digest,
    Reason.REGISTRY_NOT_ALLOWED: _copy,
    Reason.PULL_SECRET_NOT_ALLOWED: _pulls,
}
