"""Label selectors, as in Kubernetes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from aiqms.api.values import Model


class LabelRequirement(Model):
    """One expression of a label selector, as in Kubernetes."""

    key: Annotated[str, Field(min_length=1, max_length=317)]
    operator: Annotated[str, Field(pattern="^(In|NotIn|Exists|DoesNotExist)$", max_length=12)]
    values: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=64)] = []


class LabelSelector(Model):
    """A label selector as in Kubernetes: all of matchLabels and matchExpressions must hold."""

    match_labels: Annotated[dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]], Field(max_length=32)] = {}
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=32)] = []
