"""What a procedure asks of what runs: where model and images come from, and how the model is tied to the pods (AI Act Art. 17(1)(l))."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from aiqms.api.values import Model, ObjectName, Obligations

Pattern = Annotated[str, Field(min_length=1, max_length=512, pattern="^[!-~]+$")]  # of which `*` stands for what: policy/patterns.py
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"})]


class ModelBinding(StrEnum):
    """How the digest in the register has to be tied to what runs. Bound: by an image or volume of that digest, or a checker. Declared: by annotation."""

    BOUND = "Bound"
    DECLARED = "Declared"


class Supply(Model):
    """Each field that is left out asks nothing. In patterns * stands for any run of characters, before the path for part of a host's name alone.

    digestCheckers: images of init containers that refuse to end while the model's files have another digest than annotation aiqms.dev/model.
    pullSecrets: names of the image pull secrets that pods may bear, none where it is empty; nobody here reads what is in them.
    """

    model: ModelBinding | None = None
    digest_checkers: Patterns | None = None
    pinned_images: Literal["Required"] | None = None
    registries: Patterns | None = None
    model_uris: Patterns | None = None
    pull_secrets: Annotated[list[ObjectName], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})] | None = None
    obligations: Obligations = []
