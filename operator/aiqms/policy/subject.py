"""The subject: what exactly is approved, by its fingerprint. Any change of a component is another subject (invariant 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiqms.api.deployment import Components, DeploymentSpec
from aiqms.api.procedure import Enforcement
from aiqms.api.values import Json
from aiqms.policy.digests import digest
from aiqms.policy.facts import Procedure, WorkloadFacts


@dataclass(frozen=True)
class Subject:
    """fingerprint: SHA-256 of the canonical JSON of the components, `sha256:` and 64 hex digits."""

    fingerprint: str
    components: Components


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
