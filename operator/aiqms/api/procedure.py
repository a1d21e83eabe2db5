"""QMSProcedure: a procedure of the quality management system, as the cluster enforces it (AI Act Art. 17(1))."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aiqms.api.access import Access
from aiqms.api.deployment import RiskClass, Role
from aiqms.api.logging import Logging
from aiqms.api.selectors import LabelSelector
from aiqms.api.supply import Supply
from aiqms.api.values import Digest, Duration, Line, Model, Namespace, Obligations, RoleName, RoleSet, Timestamp, Uri

JUDGED = ("approvals", "onLapse", "onChange", "inputs", "stop", "emergency", "responsibilities", "supply", "access", "logging")  # change only with the revision


class Enforcement(StrEnum):
    """Audit: everything is judged and shown, nothing is blocked."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class LapseAction(StrEnum):
    """What a lapse does to the pods that run; new ones are held in any case."""

    HOLD = "Hold"
    STOP = "Stop"


class SecretInputs(StrEnum):
    """Rotatable: keys fixed, values may change. Frozen: neither changes while cleared."""

    ROTATABLE = "Rotatable"
    FROZEN = "Frozen"


class SeparationOfDuties(StrEnum):
    """DistinctPeople: nobody fills two places of one procedure. DistinctFromEditors: nor does who changed what is approved since it was last approved."""

    NONE = "None"
    DISTINCT_PEOPLE = "DistinctPeople"
    DISTINCT_FROM_EDITORS = "DistinctFromEditors"


class UnknownAuthors(StrEnum):
    """What it means that a service account changed the register entry since it was last approved, so that nobody knows whose change that was."""

    WARNED = "Warned"
    REFUSED = "Refused"


class Document(Model):
    """The written procedure that these rules carry out (AI Act Art. 17(1)(e))."""

    uri: Uri
    digest: Digest


class AppliesTo(Model):
    """Which deployments the procedure governs: those that every given condition matches; without conditions, all."""

    risk_classes: Annotated[list[RiskClass], Field(max_length=4)] = []
    roles: Annotated[list[Role], Field(max_length=2)] = []
    namespaces: Annotated[list[Namespace], Field(max_length=256)] = []
    namespace_selector: LabelSelector | None = None


class OnLapse(Model):
    """What happens when a control that held no longer does. Hold without grace: pods that run go on for ever."""

    action: LapseAction = LapseAction.HOLD
    grace: Duration | None = None


class OnChange(Model):
    """How long the subject approved before is admitted while the new one waits; default: while its approvals last."""

    grace: Duration | None = None


class Inputs(Model):
    """What may change in the Secrets that cleared pods read. ConfigMaps are always frozen while cleared."""

    secrets: SecretInputs = SecretInputs.ROTATABLE


class RequiredRole(Model):
    """How many people of a role must approve, and how long each approval counts from its creation."""

    role: RoleName
    count: Annotated[int, Field(ge=1, le=16)] = 1
    valid_for: Duration | None = None


class Approvals(Model):
    """Who must approve (AI Act Art. 17(1)(m)). since: the oldest revision whose approvals still count; default: this one."""

    since: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    roles: Annotated[
        list[RequiredRole], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["role"]})
    ]
    separation_of_duties: SeparationOfDuties = SeparationOfDuties.DISTINCT_PEOPLE
    unknown_authors: UnknownAuthors = UnknownAuthors.WARNED
    obligations: Obligations = []


class StopAuthority(Model):
    """Who can stop what runs (AI Act Art. 14(4)(e)): any one of these roles."""

    roles: RoleSet
    obligations: Obligations = []


class Emergency(Model):
    """Break-glass: who may clear one subject without approvals, for how long, and how soon somebody else has to review that.

    maxDuration counts from the record; reviewWithin too: without a review by then the deployment is stopped.
    """

    roles: RoleSet
    max_duration: Duration
    review_within: Duration
    obligations: Obligations = []


class Duty(StrEnum):
    """What somebody has to answer for (AI Act Art. 17(1)(m))."""

    RISK_MANAGEMENT = "RiskManagement"
    DATA_GOVERNANCE = "DataGovernance"
    MODEL_APPROVAL = "ModelApproval"
    DEPLOYMENT_AUTHORISATION = "DeploymentAuthorisation"
    POST_DEPLOYMENT_MONITORING = "PostDeploymentMonitoring"
    INCIDENT_REPORTING = "IncidentReporting"


class Responsibility(Model):
    """A duty and the role that answers for it."""

    duty: Duty
    role: RoleName


class ProcedureSpec(Model):
    """What the procedure demands, and of whom."""

    title: Line
    revision: Annotated[int, Field(ge=1, le=1_000_000_000)]
    owner: Line
    document: Document | None = None
    review_by: Timestamp | None = None
    enforcement: Enforcement = Enforcement.ENFORCE
    applies_to: AppliesTo = AppliesTo()
    on_lapse: OnLapse = OnLapse()
    on_change: OnChange = OnChange()
    inputs: Inputs = Inputs()
    approvals: Approvals
    stop: StopAuthority | None = None
    emergency: Emergency | None = None
    supply: Supply | None = None
    access: Access | None = None
    logging: Logging | None = None
    responsibilities: Annotated[
        list[Responsibility], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["duty"]})
    ] = []

    @property
    def since(self) -> int:
        """The oldest revision whose approvals still count."""
        return self.approvals.since or self.revision
