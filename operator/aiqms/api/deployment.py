"""AIModelDeployment: the register entry of one AI system in one namespace, and the status that everybody reads."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from aiqms.api.access import RegisteredAccess
from aiqms.api.logging import LogSeen, RegisteredLogging
from aiqms.api.values import Digest, Line, Message, Model, ObjectName, RoleName, Text, Timestamp, Uri, Word


class RiskClass(StrEnum):
    """A person's determination (AI Act Art. 5, 6, 50); Prohibited is never cleared."""

    PROHIBITED = "Prohibited"
    HIGH = "High"
    LIMITED = "Limited"
    MINIMAL = "Minimal"

    @property
    def severity(self) -> int:
        """3 for Prohibited down to 0 for Minimal."""
        return list(reversed(RiskClass)).index(self)


class Role(StrEnum):
    """Art. 17 of the AI Act binds providers, Art. 26 deployers."""

    PROVIDER = "Provider"
    DEPLOYER = "Deployer"


class Lifecycle(StrEnum):
    """Retired: no pod is admitted any more, and running ones are stopped."""

    ACTIVE = "Active"
    RETIRED = "Retired"


class Phase(StrEnum):
    """One word for where the deployment stands."""

    RUNNING = "Running"
    CHANGE_PENDING = "ChangePending"
    HELD = "Held"
    STOPPED = "Stopped"
    RETIRED = "Retired"
    PROHIBITED = "Prohibited"


class Result(StrEnum):
    """Fail and Error (the check could not be made) block alike; Warn is shown and never blocks."""

    PASS = "Pass"
    FAIL = "Fail"
    WARN = "Warn"
    ERROR = "Error"
    SKIP = "Skip"


class Owner(Model):
    """Who answers for the deployment."""

    name: Line
    contact: Line


class ModelIdentity(Model):
    """The model that is served, down to its digest."""

    name: Line
    version: Annotated[str, Field(min_length=1, max_length=63)]
    uri: Uri
    digest: Digest


class Dataset(Model):
    """Data that the system was made or is run with (AI Act Art. 10, 17(1)(f))."""

    name: Line
    version: Annotated[str, Field(min_length=1, max_length=63)]
    use: Literal["Training", "FineTuning", "Validation", "Test", "Retrieval"]
    classification: Annotated[str, Field(min_length=1, max_length=63)]
    digest: Digest


class Workload(Model):
    """An object of the same namespace whose pod template is what runs."""

    api_version: Literal["apps/v1", "batch/v1", "v1"]
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"]
    name: ObjectName

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class DeploymentSpec(Model):
    """What the system is, what it is for, and which workloads run it."""

    intended_purpose: Text
    risk_class: RiskClass
    role: Role
    owner: Owner
    model: ModelIdentity
    datasets: Annotated[list[Dataset], Field(max_length=64)] = []
    workloads: Annotated[
        list[Workload],
        Field(min_length=1, max_length=8, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["apiVersion", "kind", "name"]}),
    ]
    access: RegisteredAccess = RegisteredAccess()
    logging: RegisteredLogging = RegisteredLogging()
    lifecycle: Lifecycle = Lifecycle.ACTIVE


class Components(Model):
    """A digest for each part of the subject."""

    model: Digest
    data: Digest
    purpose: Digest
    workload: Digest
    procedures: Digest


class SubjectStatus(Model):
    """What exactly awaits or has approval. changed: the components that differ from the subject last approved."""

    fingerprint: Digest
    components: Components
    changed: Annotated[list[Word], Field(max_length=8)] = []


class Serving(Model):
    """The subject that admission clears now. notice: how near its end is, once that is announced."""

    fingerprint: Digest
    valid_until: Timestamp
    notice: Annotated[str, Field(pattern="^(|14d|7d|1d)$", max_length=3)] = ""


class ProcedureSeen(Model):
    """A procedure that applies, as it was last judged by. parts: a short digest of each judged field, for what a new revision changes.

    stopRoles, emergencyRoles: who may stop and break the glass, for those who may not read procedures.
    """

    name: ObjectName
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    enforcement: Word
    parts: Annotated[dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=32)]], Field(max_length=16)] = {}
    stop_roles: Annotated[list[RoleName], Field(max_length=16)] = []
    emergency_roles: Annotated[list[RoleName], Field(max_length=16)] = []


class Answerable(Model):
    """A duty, the role that answers for it, and the procedure that says so."""

    duty: Word
    role: RoleName
    procedure: ObjectName


class RoleApprovals(Model):
    """How far one role of one procedure has come. validUntil: the last instant at which the given ones are still enough.

    may: the users and groups that hold the role by name now, for those who may not read bindings; at most 16.
    """

    role: RoleName
    procedure: ObjectName
    required: Annotated[int, Field(ge=1, le=16)]
    given: Annotated[int, Field(ge=0, le=100_000)]
    by: Annotated[list[Line], Field(max_length=64)] = []
    may: Annotated[list[Line], Field(max_length=16)] = []
    valid_until: Timestamp | None = None


class Control(Model):
    """One requirement and how it stands. obligations: framework and identifier, such as `eu-ai-act 17(1)(m)`."""

    id: Annotated[str, Field(min_length=1, max_length=317)]
    procedure: Annotated[str, Field(max_length=253)] = ""
    result: Result
    reason: Word
    message: Message
    obligations: Annotated[list[Annotated[str, Field(max_length=127)]], Field(max_length=32)] = []


class Summary(Model):
    """How many controls have which result."""

    passed: Annotated[int, Field(alias="pass", ge=0, le=10_000)] = 0
    fail: Annotated[int, Field(ge=0, le=10_000)] = 0
    warn: Annotated[int, Field(ge=0, le=10_000)] = 0
    error: Annotated[int, Field(ge=0, le=10_000)] = 0
    skip: Annotated[int, Field(ge=0, le=10_000)] = 0


class PodCounts(Model):
    """Pods that bear the deployment's label. before: started before the namespace was governed, never touched."""

    running: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    held: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    before: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Condition(Model):
    """A condition as in the Kubernetes API conventions."""

    type: Word
    status: Literal["True", "False", "Unknown"]
    reason: Word
    message: Message
    last_transition_time: Timestamp
    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0


class Exposure(StrEnum):
    """From where an endpoint is reached. Cluster: from inside alone; Node: at a port of the nodes; HostPort: at a port of the pod's own node."""

    CLUSTER = "Cluster"
    NODE = "Node"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_IP = "ExternalIP"
    INGRESS = "Ingress"
    ROUTE = "Route"
    HOST_PORT = "HostPort"


class EndpointSeen(Model):
    """An object that leads to the deployment's pods. namespace: where it is not the deployment's own. at: ports or host names."""

    kind: Word
    namespace: Annotated[str, Field(max_length=63)] = ""
    name: Annotated[str, Field(max_length=253)]
    exposure: Exposure
    at: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=32)] = []
    registered: bool = False


class VolumeSeen(Model):
    """A volume of the deployment's pods. kind: as the pod's field; claim: the PersistentVolumeClaim; storageClass: that the claim names."""

    name: Annotated[str, Field(max_length=63)]
    kind: Word
    claim: Annotated[str, Field(max_length=253)] = ""
    storage_class: Annotated[str, Field(max_length=253)] = ""


class Reads(Model):
    """What the deployment's pods read beside their images. omitted: how many more there are than are listed."""

    secrets: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=256)] = []
    config_maps: Annotated[list[Annotated[str, Field(max_length=253)]], Field(max_length=256)] = []
    volumes: Annotated[list[VolumeSeen], Field(max_length=64)] = []
    omitted: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class DeploymentStatus(Model):
    """Written by the operator alone."""

    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0
    phase: Phase | None = None
    model: Annotated[str, Field(max_length=320)] = ""
    subject: SubjectStatus | None = None
    serving: Serving | None = None
    approvals: Annotated[list[RoleApprovals], Field(max_length=512)] = []
    procedures: Annotated[list[ProcedureSeen], Field(max_length=64)] = []
    responsibilities: Annotated[list[Answerable], Field(max_length=256)] = []
    controls: Annotated[list[Control], Field(max_length=512)] = []
    summary: Summary = Summary()
    pods: PodCounts = PodCounts()
    endpoints: Annotated[list[EndpointSeen], Field(max_length=64)] = []
    reads: Reads = Reads()
    logs: Annotated[list[LogSeen], Field(max_length=16)] = []
    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
    ] = []
