"""Clearance: what admission reads, one a namespace. Internal: people read the status of their AIModelDeployment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from aiqms.api.deployment import RiskClass
from aiqms.api.procedure import OnChange, OnLapse, RequiredRole, SeparationOfDuties
from aiqms.api.values import DeploymentName, Digest, Model, ObjectName, Timestamp

NAME = "clearance"

InputName = Annotated[str, Field(max_length=300)]  # resource/name, such as configmaps/app-config


class Term(Model):
    """What one Enforce procedure demanded when the entry was made, so that the entry can be judged after the procedure changed or went away."""

    procedure: ObjectName
    roles: Annotated[list[RequiredRole], Field(max_length=16)]
    separation_of_duties: SeparationOfDuties
    on_lapse: OnLapse
    on_change: OnChange


class Entry(Model):
    """A template that admission lets through until validUntil, or `audit`: every pod of that deployment passes.

    editors: the people who changed what was cleared, as far as they are known.
    superseded: since when another subject is the current one. components, riskClass: of the subject, for what changed since.
    inputs: digest of each object that the template takes env, files or devices from, or `absent`; rotating: Secrets whose values may change.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["fingerprint", "validUntil", "template"]}, {"required": ["audit"]}]})

    audit: Annotated[Literal[True] | None, Field(json_schema_extra={"enum": [True]})] = None
    fingerprint: Digest | None = None
    valid_until: Timestamp | None = None
    superseded: Timestamp | None = None
    components: Annotated[dict[Annotated[str, Field(max_length=32)], Digest], Field(max_length=8)] | None = None
    risk_class: RiskClass | None = None
    terms: Annotated[list[Term], Field(max_length=32)] | None = None
    editors: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=1024)] | None = None
    inputs: Annotated[dict[InputName, Annotated[str, Field(max_length=80)]], Field(max_length=256)] | None = None
    rotating: Annotated[list[InputName], Field(max_length=256)] | None = None
    template: dict[str, Any] | None = None


class Orphan(Model):
    """A deployment whose register entry was deleted while pods of it ran. stopAt: when they are stopped; absent: never."""

    since: Timestamp
    stop_at: Timestamp | None = None


_INPUT_LIST = {"x-kubernetes-list-type": "atomic"}


class ClearanceSpec(Model):
    """epoch: of the leader that wrote it. orphans: deployments whose register entry was deleted, and when. deployments: newest entry first."""

    epoch: Annotated[int, Field(ge=0, le=2**53)] = 0
    orphans: Annotated[dict[DeploymentName, Orphan], Field(max_length=1024, json_schema_extra={"x-kubernetes-map-type": "atomic"})] = {}
    inputs: Annotated[list[InputName], Field(max_length=4096, json_schema_extra=_INPUT_LIST)] = []
    rotating: Annotated[list[InputName], Field(max_length=4096, json_schema_extra=_INPUT_LIST)] = []
    deployments: Annotated[
        dict[DeploymentName, Annotated[list[Entry], Field(max_length=32)]], Field(max_length=1024, json_schema_extra={"x-kubernetes-map-type": "atomic"})
    ] = {}
