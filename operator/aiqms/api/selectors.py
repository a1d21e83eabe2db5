"""Label selectors, as in Kubernetes, which refuses a NetworkPolicy with any other."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from aiqms.api.values import Model

_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
KEY: Final = f"^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?{_NAME}$"
_VALUE = f"^({_NAME})?$"
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=_VALUE)]
NEEDING: Final = ("In", "NotIn")  # operators that compare with values

# Rules of the CRDs, by CEL and message: at an expression, and at matchLabels, whose keys a structural schema cannot bound.
VALUED: Final = (
    f"self.operator in {list(NEEDING)} ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
    "In and NotIn need values, and Exists and DoesNotExist take none",
)
KEYED: Final = (
    f"self.all(key, size(key) <= 317 && key.matches('{KEY}'))",
    "the key of a label is a name of at most 63 letters, digits, -, _ and ., with or without a domain and a slash before it",
)


class LabelRequirement(Model):
    """One expression of a label selector, as in Kubernetes."""

    key: LabelKey
    operator: Annotated[str, Field(pattern="^(In|NotIn|Exists|DoesNotExist)$", max_length=12)]
    values: Annotated[list[LabelValue], Field(max_length=64)] = []


class LabelSelector(Model):
    """A label selector as in Kubernetes: all of matchLabels and matchExpressions must hold."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = {}
    match_expressions: Annotated[list[LabelRequirement], Field(max_length=32)] = []
