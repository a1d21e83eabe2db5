"""What is kept of each kind that the operator watches: small values.

Of the many kinds most is kept as JSON, for as objects it takes five times the memory, and read when it is asked for. What was read lies in the value until
its store sheds it (`Store.shed`). Two texts are compared to tell whether anything changed: the API server writes the keys of a value in one order always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from aiqms.api.clearance import ClearanceSpec
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.record import RecordSpec, RecordStatus
from aiqms.api.values import GROUP, Json
from aiqms.cluster.client import MANAGER
from aiqms.gate.normal import inputs, template
from aiqms.gate.rules import DECISION, EDITORS, GATE, GOVERNED, LABEL, SUBJECT, Rules
from aiqms.gate.workload import pod_of
from aiqms.policy.digests import canonical, hashed
from aiqms.policy.facts import Broken, Procedure, Record
from aiqms.policy.network import MANAGED
from aiqms.policy.networks import Stored
from aiqms.policy.surroundings import Uses, uses

M = TypeVar("M", bound=BaseModel)
ENDED = ("Succeeded", "Failed")
REVISION = "controller-revision-hash"


@dataclass(frozen=True)
class Owner:
    """A controller's reference, as a child bears it."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class NamespaceSeen:
    """A Namespace. going: it is being deleted."""

    labels: Mapping[str, str]
    going: bool

    @property
    def governed(self) -> bool:
        """It bears the label, whatever its value: admission selects by presence."""
        return GOVERNED in self.labels


@dataclass(frozen=True)
class DeploymentSeen:
    """An AIModelDeployment. asked, said: its spec and its status, as JSON.

    editors: who changed its spec since it was approved, as admission noted; none where it noted nothing.
    """

    uid: str
    generation: int
    asked: bytes
    said: bytes
    editors: tuple[str, ...] = ()

    @cached_property
    def spec(self) -> DeploymentSpec | Broken:
        """What its owner asks for."""
        return parsed(DeploymentSpec, self.asked, "spec")

    @cached_property
    def stored(self) -> DeploymentStatus | Broken:
        """Its status as it lies in the API server."""
        return parsed(DeploymentStatus, self.said, "status")

    @property
    def status(self) -> DeploymentStatus:
        """The stored status, or an empty one where it cannot be read: it is only ever compared with."""
        return DeploymentStatus() if isinstance(self.stored, Broken) else self.stored


@dataclass(frozen=True)
class RecordSeen:
    """An ApprovalRecord. asked, said: its spec and its status, as JSON. marked: it bears the label of a standing Stop."""

    name: str
    deployment: str
    created: str
    marked: bool
    asked: bytes
    said: bytes

    @cached_property
    def record(self) -> Record | Broken:
        """Broken where it cannot be read, which counts for nothing and says so."""
        spec = parsed(RecordSpec, self.asked, "spec")
        before = None if isinstance(self.stored, Broken) else self.stored
        return spec if isinstance(spec, Broken) else Record(self.name, moment(self.created), spec, before, self.marked)

    @cached_property
    def stored(self) -> RecordStatus | Broken:
        """Its status as it lies in the API server, which has none until the operator has looked at it."""
        return parsed(RecordStatus, self.said, "status")


@dataclass(frozen=True)
class ClearanceSeen:
    """A Clearance. version: its resourceVersion; created: younger pods are swept; epoch: of the leader that wrote it; text: its spec, as JSON."""

    uid: str
    version: str
    created: datetime
    epoch: int
    text: bytes

    @cached_property
    def spec(self) -> ClearanceSpec | Broken:
        """What admission reads."""
        return parsed(ClearanceSpec, self.text, "spec")

    @property
    def size(self) -> int:
        """As JSON, in bytes."""
        return len(self.text)


@dataclass(frozen=True)
class Shape:
    """What runs in a pod, worked out once for each version of the object that says so."""

    pod: Json
    rules: Rules

    @cached_property
    def template(self) -> Json:
        """The pod's normal form."""
        return template(self.pod, self.rules)

    @property
    def digest(self) -> str:
        """Of the normal form."""
        return self._written[0]

    @property
    def size(self) -> int:
        """Of the normal form as JSON, in bytes."""
        return self._written[1]

    @cached_property
    def _written(self) -> tuple[str, int]:
        """Digest and size."""
        text = canonical(self.template)
        return hashed(text), len(text)

    @cached_property
    def reads(self) -> list[str]:
        """What the pod takes env, files or devices from, as resource/name."""
        return inputs(self.pod, self.rules)

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Names of the image pull secrets that the pod bears; they are in no normal form."""
        return tuple(s.get("name", "") for s in self.pod["spec"].get("imagePullSecrets") or [])

    @property
    def label(self) -> str | None:
        """The deployment that the pod names."""
        found: str | None = (self.pod["metadata"].get("labels") or {}).get(LABEL)
        return found


@dataclass(frozen=True)
class WorkloadSeen:
    """A workload. text: what shapes its pods, as JSON, for which most ReplicaSets are never asked; update: a StatefulSet's updateRevision."""

    kind: str
    name: str
    text: bytes
    uid: str
    owner: Owner | None
    update: str
    rules: Rules

    @property
    def raw(self) -> Json:
        """As stored, but for what does not shape its pods."""
        found: Json = from_json(self.text)
        return found

    @cached_property
    def shape(self) -> Shape:
        """Of the pods that its controller makes."""
        return Shape(pod_of(self.raw), self.rules)

    @cached_property
    def uses(self) -> Uses:
        """Of the pods that its controller makes."""
        return uses(self.shape.pod, self.raw["spec"].get("volumeClaimTemplates") or [] if self.kind == "StatefulSet" else [])


@dataclass(frozen=True)
class PodSeen:
    """A pod that bears the deployment label. held: it has the gate; stamped: with a subject, by admission or a release; ended: it will not run again.

    scheduled: when it got its node, None while it has none. text: what it is, as JSON.
    addresses: its own in the cluster's network, none where it has its node's.
    """

    uid: str
    created: datetime
    held: bool
    stamped: bool
    going: bool
    ended: bool
    scheduled: datetime | None
    owner: Owner | None
    revision: str
    text: bytes
    rules: Rules
    addresses: tuple[str, ...] = ()

    @cached_property
    def shape(self) -> Shape:
        """Of this pod."""
        return Shape(from_json(self.text), self.rules)

    @cached_property
    def uses(self) -> Uses:
        """Of this pod."""
        return uses(self.shape.pod)


def parsed(model: type[M], text: bytes, where: str) -> M | Broken:
    """A stored value, as JSON, as a model, or which field cannot be read and why."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        at = ".".join([where, *map(str, first["loc"])])
        return Broken(f"{at}: {first['msg']}: this version of AIQMS cannot read it; correct the field, or update the operator together with its CRDs")


def namespace(raw: Json) -> NamespaceSeen:
    """Of a core/v1 Namespace."""
    return NamespaceSeen(raw["metadata"].get("labels") or {}, bool(raw["metadata"].get("deletionTimestamp")))


def deployment(raw: Json) -> DeploymentSeen:
    """Of an AIModelDeployment."""
    metadata = raw["metadata"]
    noted: str | None = (metadata.get("annotations") or {}).get(EDITORS)
    editors = () if noted is None else tuple(noted.split("\n"))
    return DeploymentSeen(metadata["uid"], metadata["generation"], to_json(raw["spec"]), to_json(raw.get("status") or {}), editors)


def procedure(raw: Json) -> Procedure | Broken:
    """Of a QMSProcedure."""
    spec = parsed(ProcedureSpec, to_json(raw["spec"]), "spec")
    return spec if isinstance(spec, Broken) else Procedure(raw["metadata"]["name"], spec)


def record(raw: Json) -> RecordSeen:
    """Of an ApprovalRecord."""
    metadata, spec = raw["metadata"], raw["spec"]
    return RecordSeen(
        name=metadata["name"],
        deployment=str(spec.get("deployment", "")),
        created=metadata["creationTimestamp"],
        marked=DECISION in (metadata.get("labels") or {}),
        asked=to_json(spec),
        said=to_json(raw.get("status") or {}),
    )


def clearance(raw: Json) -> ClearanceSeen:
    """Of a Clearance."""
    metadata, spec = raw["metadata"], raw["spec"]
    return ClearanceSeen(metadata["uid"], metadata["resourceVersion"], moment(metadata["creationTimestamp"]), spec.get("epoch") or 0, to_json(spec))


def workload(raw: Json, rules: Rules) -> WorkloadSeen:
    """Of any of the gate's kinds; keeps what shapes its pods."""
    metadata = raw["metadata"]
    kept = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": {"name": metadata["name"]}, "spec": _shaping(raw)}
    return WorkloadSeen(
        raw["kind"], metadata["name"], to_json(kept), metadata["uid"], _owner(metadata), (raw.get("status") or {}).get("updateRevision", ""), rules
    )


def _shaping(raw: Json) -> Json:
    """The spec less what changes without shaping a pod, so that scaling wakes nobody."""
    return {k: v for k, v in raw["spec"].items() if k in ("template", "jobTemplate", "volumeClaimTemplates", "completionMode")}


def pod(raw: Json, rules: Rules) -> PodSeen:
    """Of a core/v1 Pod."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    scheduled = [c for c in status.get("conditions") or [] if c["type"] == "PodScheduled" and c["status"] == "True"]
    labels = metadata.get("labels") or {}
    return PodSeen(
        uid=metadata["uid"],
        created=moment(metadata["creationTimestamp"]),
        held=any(g["name"] == GATE for g in spec.get("schedulingGates") or []),
        stamped=SUBJECT in (metadata.get("annotations") or {}),
        going=bool(metadata.get("deletionTimestamp")),
        ended=status.get("phase") in ENDED,
        scheduled=next((moment(c["lastTransitionTime"]) for c in scheduled if c.get("lastTransitionTime")), None),
        owner=_owner(metadata),
        revision=labels.get(REVISION, ""),
        text=to_json({"metadata": {k: metadata[k] for k in ("name", "labels", "annotations", "ownerReferences") if k in metadata}, "spec": spec}),
        rules=rules,
        addresses=() if spec.get("hostNetwork") else tuple(a["ip"] for a in (raw.get("status") or {}).get("podIPs") or []),
    )


def network_policy(raw: Json) -> Stored:
    """Of a NetworkPolicy. The operator's mark is its entry among the field managers, or a reference to a register entry as its owner."""
    metadata = raw["metadata"]
    managed: list[Json] = metadata.get("managedFields") or []
    owners: list[Json] = metadata.get("ownerReferences") or []
    own = [m for m in managed if m.get("manager") == MANAGER and m.get("operation") == "Apply"]
    others = [m for m in managed if m.get("manager") != MANAGER]
    since = max((m.get("time", "") for m in own), default="")
    changes = sorted((m for m in others if m.get("time", "") >= since and _touches(m)), key=lambda m: m.get("time", ""))
    return Stored(
        name=metadata["name"],
        spec=raw.get("spec") or {},
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        labels=metadata.get("labels") or {},
        owners=tuple(o["uid"] for o in owners),
        ours=bool(own) or any(o["kind"] == "AIModelDeployment" and o["apiVersion"].startswith(f"{GROUP}/") for o in owners),
        appliers=tuple(m.get("manager", "") for m in others if m.get("operation") == "Apply" and "f:spec" in (m.get("fieldsV1") or {})),
        changer=changes[-1].get("manager", "") if changes else "",
    )


def _touches(entry: Json) -> bool:
    """Whether a field manager has any part of what the operator looks at."""
    fields = entry.get("fieldsV1") or {}
    metadata = fields.get("f:metadata") or {}
    return "f:spec" in fields or "f:ownerReferences" in metadata or any(f"f:{label}" in (metadata.get("f:labels") or {}) for label in MANAGED)


def version(raw: Json) -> str:
    """Of an object of which only the metadata is watched."""
    found: str = raw["metadata"]["resourceVersion"]
    return found


def _owner(metadata: Json) -> Owner | None:
    found = next((o for o in metadata.get("ownerReferences") or [] if o.get("controller")), None)
    return Owner(found["kind"], found["name"], found["uid"]) if found else None


def moment(text: str) -> datetime:
    """An RFC 3339 time of the API server."""
    return datetime.fromisoformat(text)
