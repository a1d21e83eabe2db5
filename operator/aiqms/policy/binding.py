"""How a pod template is tied to a model: bound to it by digest, declaring it, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiqms.api.conditions import Reason
from aiqms.api.values import Json
from aiqms.policy.images import Image, allowed, images

MODEL = "aiqms.dev/model"


@dataclass(frozen=True)
class Tie:
    """reason: MODEL_MISMATCH, MODEL_BOUND, MODEL_DECLARED_ONLY or MODEL_DECLARED_NOWHERE.

    detail: the model declared instead; by what it is bound; why an init container that should check it does not count.
    """

    reason: Literal[Reason.MODEL_MISMATCH, Reason.MODEL_BOUND, Reason.MODEL_DECLARED_ONLY, Reason.MODEL_DECLARED_NOWHERE]
    detail: str = ""


def tie(template: Json, digest: str, checkers: Sequence[str]) -> Tie:
    """Of a normal pod template to the model of this digest. checkers: patterns of the init containers' images that compare files and annotation.

    What a container does with the model it is given is not seen here: people approve the template, and this says what they may rely on.
    """
    declared = template["annotations"].get(MODEL)
    if declared and declared != digest:
        return Tie(Reason.MODEL_MISMATCH, declared)
    images_ = carriers(template, digest)
    if images_:
        return Tie(Reason.MODEL_BOUND, images_[0].where)
    if not declared:
        return Tie(Reason.MODEL_DECLARED_NOWHERE)
    asked = [(i, doubt(template, i)) for i in images(template) if i.place == "initContainers" and allowed(i, checkers)]
    sure = [i for i, why in asked if not why]
    if sure:
        return Tie(Reason.MODEL_BOUND, f"{sure[0].where}, which compares the files")
    return Tie(Reason.MODEL_DECLARED_ONLY, f"{asked[0][0].where} {asked[0][1]}" if asked else "")


def carriers(template: Json, digest: str) -> list[Image]:
    """The images of that digest that reach a container: its own, or an image volume that one mounts."""
    pod = template["pod"]
    mounted = {m["name"] for kind in ("containers", "initContainers") for c in pod.get(kind, []) for m in c.get("mounts", [])}
    return [i for i in images(template) if i.digest == digest and (i.place != "volumes" or i.name in mounted)]


def doubt(template: Json, image: Image) -> str:
    """Why an init container of a checker's image may not check what is served; empty where it does."""
    pod = template["pod"]
    container = next(c for c in pod["initContainers"] if c["fields"].get("name", "") == image.name)
    served = {m["name"] for c in pod["containers"] for m in c.get("mounts", [])}
    if not image.digest:
        return "is not pinned by digest"
    if container["fields"].get("command"):
        return "has a command in place of its image's own"
    if container["fields"].get("restartPolicy") == "Always":
        return "is a sidecar, for whose end nobody waits"
    if not served & {m["name"] for m in container.get("mounts", [])}:
        return "mounts no volume that a container serves from"
    return ""
