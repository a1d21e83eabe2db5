"""What a decision may look at, and what it says. Values only: the gatherer fills them, nothing here reads a clock or a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property

from aiqms.api.clearance import Entry, Orphan
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus, Workload
from aiqms.api.procedure import JUDGED, ProcedureSpec
from aiqms.api.record import Decision as What
from aiqms.api.record import RecordSpec, RecordStatus
from aiqms.api.values import Json
from aiqms.policy.digests import digest
from aiqms.policy.logs import Checked
from aiqms.policy.networks import Network
from aiqms.policy.rbac import Given, Rule, Subject
from aiqms.policy.surroundings import Surroundings

ABSENT = "absent"  # the digest of an input that does not exist


@dataclass(frozen=True)
class Broken:
    """A stored object that this version cannot read: which field, and why."""

    message: str


@dataclass(frozen=True)
class Procedure:
    """A QMSProcedure by name."""

    name: str
    spec: ProcedureSpec

    @cached_property
    def parts(self) -> Mapping[str, str]:
        """A short digest of each judged field, for what a new revision changes: worked out once for all deployments."""
        spec = self.spec.dump()
        return {name: digest(spec[name]).removeprefix("sha256:")[:12] for name in JUDGED if name in spec}


@dataclass(frozen=True)
class Elsewhere:
    """A procedure that does not apply now. stops, emergencies: names of the records that were made under it."""

    procedure: Procedure
    stops: tuple[str, ...] = ()
    emergencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """An ApprovalRecord. created: the API server's creationTimestamp. before: its stored status. marked: it bears the label of a standing Stop."""

    name: str
    created: datetime
    spec: RecordSpec
    before: RecordStatus | None = None
    marked: bool = False

    @property
    def person(self) -> str:
        """The user whom admission stamped; empty where nobody was."""
        return self.spec.approver.username if self.spec.approver else ""


@dataclass(frozen=True)
class WorkloadFacts:
    """A workload as it is stored. template: the normal form of its pods, None when it does not exist. label: the deployment that its pods name.

    digest: of the template; size: of its JSON in bytes. inputs: resource/name -> digest of the data, or ABSENT.
    secrets: Secrets that its pods read, as secrets/name.
    """

    ref: Workload
    template: Json | None = None
    digest: str = ""
    size: int = 0
    label: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


class Origin(Enum):
    """Where a pod comes from: a workload that the deployment names, or anywhere else."""

    NAMED = "named"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class PodFacts:
    """A pod that bears the deployment's label and has not ended. template: its normal form. differs: how a held one differs from its controller's template.

    outdated: a StatefulSet's held pod of an old revision, which its controller does not replace. before: older than the namespace's Clearance.
    """

    name: str
    uid: str
    template: Json
    held: bool
    going: bool = False
    before: bool = False
    origin: Origin = Origin.NAMED
    differs: tuple[str, ...] = ()
    outdated: bool = False


@dataclass(frozen=True)
class PullSecrets:
    """Names of image pull secrets, which the gate compares with nothing. declared: workload, as kind/name -> those of its template.

    added: pod -> those that its ServiceAccount gave it, where its template declares none.
    """

    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class AccountRight:
    """A rule that a ServiceAccount of the pods has. within: a namespace, empty for everywhere. by: the binding, in words."""

    account: str
    rule: Rule
    within: str
    by: str


@dataclass(frozen=True)
class Reach:
    """Who can do what in the namespace, as far as the procedures ask. Less the cluster's own parts.

    editors: of workloads and register entries, directly or by a way. holders: of each decision and role. accounts: what the pods' ServiceAccounts may.
    list: the digest of the list that an access review confirms.
    """

    editors: tuple[Given, ...] = ()
    holders: Mapping[tuple[What, str], tuple[Subject, ...]] = field(default_factory=dict)
    accounts: tuple[AccountRight, ...] = ()
    list: str = ""


@dataclass(frozen=True)
class Input:
    """Everything that one decision about one deployment may look at. procedures: those that apply, by name. orphan: as of a former registration.

    unreadable: why something that its pods read, or a record, could not be read; empty where everything could.
    clearance_bytes: the namespace's Clearance as JSON.
    stop_roles: procedure -> roles that can stop it, none for one that cannot be read; of every procedure there is where none applies.
    elsewhere: procedures that do not apply now, and under which somebody stopped it or broke its glass.
    editors: who changed the register entry's spec since it was last approved, as admission noted it; an empty name for somebody unknown; none: no note.
    around: what the pods run as and read, and what leads to them.
    reach: None where nobody looked at RBAC. logs: by stream, what its sink was seen to do.
    """

    namespace: str
    name: str
    spec: DeploymentSpec | Broken
    generation: int = 0
    governed: bool = True
    procedures: tuple[Procedure | tuple[str, Broken], ...] = ()
    records: tuple[Record, ...] = ()
    workloads: tuple[WorkloadFacts, ...] = ()
    pods: tuple[PodFacts, ...] = ()
    entries: tuple[Entry, ...] = ()
    orphan: Orphan | None = None
    unreadable: str = ""
    clearance_bytes: int = 0
    stop_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: tuple[Elsewhere, ...] = ()
    editors: tuple[str, ...] = ()
    around: Surroundings = field(default_factory=Surroundings)
    pull_secrets: PullSecrets = field(default_factory=PullSecrets)
    network: Network = field(default_factory=Network)
    reach: Reach | None = None
    logs: Mapping[str, Checked] = field(default_factory=dict)
    before: DeploymentStatus = field(default_factory=DeploymentStatus)

    @property
    def stopping(self) -> Mapping[str, tuple[str, ...]]:
        """stop_roles, and those of the procedures under which a Stop was made that nobody lifted."""
        left = {e.procedure.name: tuple(e.procedure.spec.stop.roles) for e in self.elsewhere if e.stops and e.procedure.spec.stop}
        return {**self.stop_roles, **left}

    @property
    def people(self) -> tuple[str, ...]:
        """Those of the editors who are people."""
        return tuple(e for e in self.editors if e and not e.startswith("system:"))


@dataclass(frozen=True)
class Release:
    """A held pod to let go; fingerprint: the stamp that dates it, None in Audit."""

    pod: str
    uid: str
    fingerprint: str | None


@dataclass(frozen=True)
class Removal:
    """A pod to delete, and why, in words for an event."""

    pod: str
    uid: str
    why: str


@dataclass(frozen=True)
class Told:
    """An event: what a person should know or do now. kind: Normal or Warning."""

    kind: str
    reason: str
    note: str


@dataclass(frozen=True)
class Decision:
    """What follows from an Input. entries: the deployment's part of the Clearance. wake: when time alone changes something.

    marks: name of each Stop -> whether it stands. halted: a Stop stands or an Emergency went without its review, so that every pod ends.
    """

    status: DeploymentStatus
    entries: tuple[Entry, ...] = ()
    records: Mapping[str, RecordStatus] = field(default_factory=dict)
    releases: tuple[Release, ...] = ()
    removals: tuple[Removal, ...] = ()
    halted: bool = False
    marks: Mapping[str, bool] = field(default_factory=dict)
    told: tuple[Told, ...] = ()
    orphan: Orphan | None = None
    wake: datetime | None = None
