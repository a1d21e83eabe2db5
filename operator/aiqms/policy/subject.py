"""The subject: what exactly is approved, by its fingerprint. Any change of a component is another subject (invariant 4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785

from aiqms.api.deployment import Components, DeploymentSpec
from aiqms.api.procedure import Enforcement
from aiqms.api.values import Json
from aiqms.policy.facts import Procedure, WorkloadFacts

_EXACT = 2**53 - 1  # RFC 8785 numbers are IEEE doubles; a larger integer is written as a map with a key that no field, label or annotation can have


@dataclass(frozen=True)
class Subject:
    """fingerprint: SHA-256 of the canonical JSON of the components, `sha256:` and 64 hex digits."""

    fingerprint: str
    components: Components


def digest(value: object) -> str:
    """SHA-256 of the RFC 8785 canonical JSON of plain values, as `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """RFC 8785, by the json module where that writes the same, for it is ten times as fast: all keys are ASCII, so that both sort them alike; no fractions."""
    if _plain(value):
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if text.isascii():
            return text.encode()
    return rfc8785.dumps(_exact(value))


def _plain(value: object) -> bool:
    """Whether it is made of what the json module and RFC 8785 write alike."""
    if isinstance(value, str) or value is None or value is True or value is False:
        return True
    if isinstance(value, dict):
        return all(isinstance(k, str) for k in value) and all(map(_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return type(value) is int and abs(value) <= _EXACT


def _exact(value: Any) -> Any:
    match value:
        case Mapping():
            return {k: _exact(v) for k, v in value.items()}
        case list() | tuple():
            return [_exact(v) for v in value]
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return {"~integer": str(value)}
    return value


def subject(spec: DeploymentSpec, *, workloads: Sequence[WorkloadFacts], procedures: Sequence[Procedure]) -> Subject | None:
    """The subject of a register entry with these workloads under these procedures; None while a workload does not exist.

    In the cluster and offline alike: what differs between the two is how the facts were read, never how they are added up.
    """
    if any(w.template is None for w in workloads):
        return None
    components = Components(
        model=digest(spec.model.dump()),
        data=digest(sorted((d.dump() for d in spec.datasets), key=lambda d: sorted(d.items()))),
        purpose=digest({"intendedPurpose": spec.intended_purpose, "riskClass": spec.risk_class, "role": spec.role}),
        workload=digest({f"{w.ref.api_version} {w.ref}": workload_part(w) for w in workloads}),
        procedures=digest({p.name: p.spec.since for p in procedures if p.spec.enforcement is Enforcement.ENFORCE}),
    )
    return Subject(fingerprint=digest(components.dump()), components=components)


def workload_part(workload: WorkloadFacts) -> Json:
    """What a workload adds to the subject: its normal pod template and the data that it reads."""
    return {"template": workload.digest, "inputs": dict(workload.inputs)}


def changed(now: Components, approved: Mapping[str, str] | None) -> list[str]:
    """Names of the components that differ from the subject last approved; none where nothing was approved yet."""
    if approved is None:
        return []
    return [name for name, value in now.dump().items() if approved.get(name) != value]
