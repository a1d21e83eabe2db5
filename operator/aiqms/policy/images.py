"""The images of a pod, where they come from, and whether they are pinned: read from the normal form that admission compares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiqms.api.values import Json
from aiqms.policy.patterns import image_matches, is_reference

Place = Literal["containers", "initContainers", "volumes"]
_WHERE: dict[Place, str] = {"containers": "container", "initContainers": "init container", "volumes": "image volume"}
_PINNED = re.compile("@(sha256:[0-9a-f]{64})")
_TAG = re.compile(":[^/:]*$")
_HUB, _OFFICIAL = "docker.io", "library/"


@dataclass(frozen=True)
class Image:
    """An image that a pod uses. name: of the container or volume; reference: as the pod has it, empty where it names none."""

    place: Place
    name: str
    reference: str

    @property
    def where(self) -> str:
        """`init container fetch`."""
        return f"{_WHERE[self.place]} {self.name}"

    @property
    def digest(self) -> str:
        """The digest that it is pinned at; empty where it is pinned at none, or not by SHA-256."""
        name, at, digest = self.reference.partition("@")
        return digest if name and _PINNED.fullmatch(at + digest) else ""


def images(template: Json) -> list[Image]:
    """Every image of a normal pod template: of containers, init containers and image volumes. Ephemeral containers are in no template."""
    pod = template["pod"]
    kinds: tuple[Place, Place] = ("containers", "initContainers")
    found = [Image(kind, c["fields"].get("name", ""), c["fields"].get("image", "")) for kind in kinds for c in pod.get(kind, [])]
    volumes = sorted((name, v["image"]) for name, v in pod.get("volumes", {}).items() if "image" in v)
    return found + [Image("volumes", name, image.get("reference", "")) for name, image in volumes]


def written_out(reference: str) -> str:
    """The reference with its registry: `nginx` is docker.io/library/nginx. Empty for what comes from no registry.

    As containerd and Docker read it (github.com/distribution/reference, splitDockerDomain): what stands before the first slash is a registry if it has a
    dot, a colon or a capital letter, or is localhost. A digest without a name is an image that lies on the node, whatever its origin (containerd, CRI).
    """
    if not reference or reference.startswith("sha256:"):
        return ""
    first, slash, rest = reference.partition("/")
    host = slash and (any(c in first for c in ".:") or first == "localhost" or first != first.lower())
    registry, path = (first, rest) if host else (_HUB, reference)
    registry = _HUB if registry == "index.docker.io" else registry
    return f"{registry}/{_OFFICIAL if registry == _HUB and '/' not in path else ''}{path}"


def repository(reference: str) -> str:
    """What stands before tag and digest; a port is no tag."""
    return _TAG.sub("", reference.partition("@")[0])


def allowed(image: Image, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns matches the image, its registry written out: as it stands, or less its digest, or less its tag and digest."""
    whole = written_out(image.reference)
    forms = (whole, whole.partition("@")[0], repository(whole))
    return is_reference(whole) and any(image_matches(p, form) for p in patterns for form in forms)
