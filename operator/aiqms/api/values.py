"""The value types that the resources are made of: digests, durations, dates and names, each with the bounds that the CRDs carry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Json = dict[str, Any]

GROUP = "aiqms.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

# Every bound is in both places, pydantic and CRD, because the CRD is generated from here: what the API server stores, the operator can read.
_RFC3339 = (
    r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"

FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # the last instant that a CEL timestamp can hold


def _utc(at: datetime) -> datetime:
    """The same instant in UTC; where an offset leads past the last instant, that one."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return FOREVER


Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
Duration = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}(d|h|m|s)$", max_length=6)]
Timestamp = Annotated[AwareDatetime, AfterValidator(_utc), Field(json_schema_extra={"maxLength": 40, "pattern": _RFC3339})]
RoleName = Annotated[str, StringConstraints(pattern=_DNS_LABEL, min_length=1, max_length=63)]
DeploymentName = Annotated[str, StringConstraints(pattern=_DNS_NAME, min_length=1, max_length=63)]  # at most a label's value
ObjectName = Annotated[str, StringConstraints(pattern=_DNS_NAME, min_length=1, max_length=253)]
Namespace = Annotated[str, StringConstraints(pattern=_DNS_LABEL, min_length=1, max_length=63)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Message = Annotated[str, StringConstraints(max_length=4096)]
Uri = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*:[!-~]+$", max_length=2048)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]*$", max_length=63)]

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class Model(BaseModel):
    """An immutable value with camelCase names outside; an unknown field is an error, for nothing may be accepted and ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    def dump(self) -> Json:
        """Plain JSON values as the API server stores them; what is not set is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Obligation(Model):
    """A requirement that a control serves, by framework and identifier, such as eu-ai-act 17(1)(m)."""

    framework: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$", max_length=63)]
    id: Annotated[str, Field(min_length=1, max_length=63)]


Obligations = Annotated[list[Obligation], Field(max_length=32)]
RoleSet = Annotated[list[RoleName], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})]


@lru_cache(maxsize=4096)
def duration(text: str) -> timedelta:
    """`90d`, `12h`, `30m` or `45s` as a timedelta. A day is 24 hours.

    Raises ValueError for any other form.
    """
    unit = _UNITS.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        raise ValueError(f"{text!r} is not a duration: write a whole number and d, h, m or s, such as 90d")
    return timedelta(**{unit: int(text[:-1])})


def later(at: datetime, text: str) -> datetime:
    """The instant that much later, FOREVER at most. Raises ValueError as duration does."""
    try:
        return min(at + duration(text), FOREVER)
    except OverflowError:
        return FOREVER
