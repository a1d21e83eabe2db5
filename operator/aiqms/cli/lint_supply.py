"""What the procedures' supply forbids of a pod template and of a register entry, judged as the operator will, with the place of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiqms.api.conditions import Reason
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.supply import ModelBinding, Supply
from aiqms.api.values import Json
from aiqms.cli.lint_reach import mapping, mappings
from aiqms.cli.manifests import Step
from aiqms.policy import supply
from aiqms.policy.binding import tie
from aiqms.policy.images import Image, allowed, images

Place = tuple[tuple[Step, ...], str]  # where below the pod template or the register entry, and what is wrong


@dataclass(frozen=True)
class Asked:
    """What one procedure asks of a pod template. raw: as it was written; normal: its normal form; digest: the register's model."""

    procedure: str
    supply: Supply
    raw: Json
    normal: Json
    digest: str

    def said(self, path: tuple[Step, ...], message: str) -> Place:
        """A finding at a field of the template."""
        return path, f"{message} (QMSProcedure {self.procedure})"

    def at(self, image: Image) -> tuple[Step, ...]:
        """Where an image stands in the template as it was written."""
        found = next((i for i, item in mappings(mapping(self.raw.get("spec")).get(image.place)) if item.get("name") == image.name), 0)
        return ("spec", image.place, found, "image")


def asking(procedures: Sequence[tuple[str, ProcedureSpec]]) -> list[tuple[str, Supply]]:
    """Those that ask anything of supply."""
    return [(name, spec.supply) for name, spec in procedures if spec.supply]


def unpinned(asked: Asked) -> Iterator[Place]:
    """supply.pinnedImages."""
    if asked.supply.pinned_images:
        yield from (asked.said(asked.at(i), f"{supply.named(i)}: {supply.UNPINNED}") for i in images(asked.normal) if not i.digest)


def elsewhere(asked: Asked) -> Iterator[Place]:
    """supply.registries."""
    patterns = asked.supply.registries or []
    for image in images(asked.normal) if patterns else []:
        if not allowed(image, patterns):
            yield asked.said(asked.at(image), f"{supply.named_whole(image)}: {supply.elsewhere(patterns)}")


def unbound(asked: Asked) -> Iterator[Place]:
    """supply.model Bound: what is only declared. What is not even that, rule `model` finds."""
    found = tie(asked.normal, asked.digest, asked.supply.digest_checkers or ())
    if asked.supply.model is ModelBinding.BOUND and found.reason is Reason.MODEL_DECLARED_ONLY:
        yield asked.said(("spec",), supply.unbound({"the pod template": found}, asked.digest, asked.supply))


def strange_secrets(asked: Asked) -> Iterator[Place]:
    """supply.pullSecrets."""
    names = asked.supply.pull_secrets
    for i, item in mappings(mapping(asked.raw.get("spec")).get("imagePullSecrets")) if names is not None else []:
        if item.get("name") not in (names or ()):
            said = f"image pull secret {item.get('name')} is not allowed ({supply.only(names or ())}): take it out, and pull with one that is"
            yield asked.said(("spec", "imagePullSecrets", i), said)
