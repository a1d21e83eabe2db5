"""Conditions and every reason that status, events and listings give. A reason's text here is its documentation (docs/reference is made from it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from aiqms.api.deployment import Condition

Status = Literal["True", "False", "Unknown"]


class Type(StrEnum):
    """READY is about the current subject; kstatus reads RECONCILING and STALLED, which are present only while true.

    SUPPLY_VERIFIED, ACCESS_ENFORCED and LOGS_RETAINED sum up the controls of their family, while there is one: Unknown where one could not be looked at.
    """

    READY = "Ready"
    APPROVED = "Approved"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    EMERGENCY = "Emergency"
    SUPPLY_VERIFIED = "SupplyVerified"
    ACCESS_ENFORCED = "AccessEnforced"
    LOGS_RETAINED = "LogsRetained"


class Reason(StrEnum):
    """Why something is as it is. The value is what people see, the docstring-like text in MEANING what it means."""

    APPROVED = "Approved"
    APPROVAL_MISSING = "ApprovalMissing"
    APPROVAL_EXPIRED = "ApprovalExpired"
    APPROVAL_WITHDRAWN = "ApprovalWithdrawn"
    REJECTED = "Rejected"
    NO_PROCEDURE = "NoProcedure"
    NAMESPACE_NOT_GOVERNED = "NamespaceNotGoverned"
    PROHIBITED = "Prohibited"
    RETIRED = "Retired"
    INVALID = "Invalid"
    WORKLOAD_FOUND = "WorkloadFound"
    WORKLOAD_MISSING = "WorkloadMissing"
    WORKLOAD_CLAIMED = "WorkloadClaimed"
    WORKLOAD_UNLABELLED = "WorkloadUnlabelled"
    INPUT_UNREADABLE = "InputUnreadable"
    TOO_MANY_INPUTS = "TooManyInputs"
    TOO_MANY_PROCEDURES = "TooManyProcedures"
    MODEL_MATCHES = "ModelMatches"
    MODEL_MISMATCH = "ModelMismatch"
    MODEL_DECLARED_NOWHERE = "ModelNotDeclared"
    MODEL_BOUND = "ModelBound"
    MODEL_DECLARED_ONLY = "ModelDeclaredOnly"
    MODEL_URI_ALLOWED = "ModelUriAllowed"
    MODEL_URI_NOT_ALLOWED = "ModelUriNotAllowed"
    IMAGES_PINNED = "ImagesPinned"
    IMAGE_NOT_PINNED = "ImageNotPinned"
    REGISTRIES_ALLOWED = "RegistriesAllowed"
    REGISTRY_NOT_ALLOWED = "RegistryNotAllowed"
    PULL_SECRETS_ALLOWED = "PullSecretsAllowed"
    PULL_SECRET_NOT_ALLOWED = "PullSecretNotAllowed"
    CONTROLS_HOLD = "ControlsHold"
    CLASS_LOWERED = "ClassLowered"
    APPROVED_BEFORE_UNFIT = "ApprovedBeforeUnfit"
    REVIEW_DUE = "ReviewDue"
    REVIEW_IN_TIME = "ReviewInTime"
    POD_DIFFERS = "PodDiffers"
    AUDIT = "Audit"
    STOPPED = "Stopped"
    EMERGENCY_IN_FORCE = "EmergencyInForce"
    REVIEW_PENDING = "ReviewPending"
    REVIEW_OVERDUE = "ReviewOverdue"
    AUTHOR_KNOWN = "AuthorKnown"
    AUTHOR_UNKNOWN = "AuthorUnknown"
    PROCEDURE_CHANGED = "ProcedureChanged"
    LAPSE_AHEAD = "LapseAhead"
    EDITORS_KNOWN = "EditorsKnown"
    EDITOR_UNEXPECTED = "EditorUnexpected"
    RIGHTS_LISTED = "RightsListed"
    RIGHTS_BEYOND = "RightsBeyond"
    ROLE_UNHELD = "RoleUnheld"
    ROLES_HELD_BY_ONE = "RolesHeldByOne"
    ACCESS_REVIEWED = "AccessReviewed"
    ACCESS_CHANGED = "AccessChanged"
    ACCESS_REVIEW_DUE = "AccessReviewDue"
    RBAC_UNKNOWN = "RbacUnknown"
    CLEARANCE_TOO_LARGE = "ClearanceTooLarge"
    IDENTITY_DEDICATED = "IdentityDedicated"
    IDENTITY_SHARED = "IdentityShared"
    TOKEN_MOUNTED = "TokenMounted"
    STORAGE_ALLOWED = "StorageAllowed"
    STORAGE_NOT_ALLOWED = "StorageNotAllowed"
    STORAGE_UNKNOWN = "StorageUnknown"
    ENDPOINTS_REGISTERED = "EndpointsRegistered"
    ENDPOINT_UNREGISTERED = "EndpointUnregistered"
    TLS_REQUIRED = "TlsRequired"
    TLS_MISSING = "TlsMissing"
    TLS_UNKNOWN = "TlsUnknown"
    # of the network
    NETWORK_POLICY_IN_FORCE = "NetworkPolicyInForce"
    NETWORK_POLICY_MISSING = "NetworkPolicyMissing"
    NETWORK_POLICY_RESTORED = "NetworkPolicyRestored"
    NETWORK_POLICY_CONTESTED = "NetworkPolicyContested"
    NETWORK_POLICY_OPENS_MORE = "NetworkPolicyOpensMore"
    NETWORK_POLICY_NOT_COMPARED = "NetworkPolicyNotCompared"
    HOST_NETWORK = "HostNetwork"
    ENFORCEMENT_VERIFIED = "EnforcementVerified"
    ENFORCEMENT_NOT_VERIFIED = "EnforcementNotVerified"
    ENFORCEMENT_MISSING = "EnforcementMissing"
    # of logs
    LOGS_KEPT = "LogsKept"
    STREAM_UNREGISTERED = "StreamUnregistered"
    ENDPOINT_NOT_ALLOWED = "EndpointNotAllowed"
    RETENTION_TOO_SHORT = "RetentionTooShort"
    RETENTION_MAY_END_EARLY = "RetentionMayEndEarly"
    NOT_PROTECTED = "NotProtected"
    CANARY_LOST = "CanaryLost"
    FIELDS_MISSING = "FieldsMissing"
    CHECK_PENDING = "CheckPending"
    CHECK_TOO_OLD = "CheckTooOld"
    NOT_VERIFIABLE = "NotVerifiable"
    SINK_UNREACHABLE = "SinkUnreachable"
    SINK_NOT_TRUSTED = "SinkNotTrusted"
    ADDRESS_REFUSED = "AddressRefused"
    CREDENTIALS_UNREADABLE = "CredentialsUnreadable"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    ANSWER_UNREADABLE = "AnswerUnreadable"
    BACKEND_UNKNOWN = "BackendUnknown"
    # of a record
    LIST_DIFFERS = "ListDiffers"
    COUNTED = "Counted"
    SUBJECT_UNKNOWN = "SubjectUnknown"
    SUBJECT_SUPERSEDED = "SubjectSuperseded"
    DEPLOYMENT_UNKNOWN = "DeploymentUnknown"
    EXPIRED = "Expired"
    WITHDRAWN = "Withdrawn"
    SAME_PERSON_TWICE = "SamePersonTwice"
    ROLE_NOT_REQUIRED = "RoleNotRequired"
    NOT_AUTHORIZED = "NotAuthorized"
    MAY_NOT_WITHDRAW = "MayNotWithdraw"
    NOTHING_TO_WITHDRAW = "NothingToWithdraw"
    RESUMED = "Resumed"
    NOTHING_TO_RESUME = "NothingToResume"
    EMERGENCY_NOT_ALLOWED = "EmergencyNotAllowed"
    NOTHING_TO_REVIEW = "NothingToReview"
    SUBMITTER_MAY_NOT_APPROVE = "SubmitterMayNotApprove"


MEANING: dict[Reason, str] = {
    Reason.APPROVED: "Every approval that the procedures ask for is given, in time, by distinct people, for exactly this subject.",
    Reason.APPROVAL_MISSING: "Approvals are missing: the message says how many of which role.",
    Reason.APPROVAL_EXPIRED: "Enough approvals were given and their time has passed: have the subject approved anew.",
    Reason.APPROVAL_WITHDRAWN: "Enough approvals were given and one was taken back.",
    Reason.REJECTED: "Somebody rejected this subject: change it, or have the rejection withdrawn.",
    Reason.NO_PROCEDURE: "No QMSProcedure applies to this deployment, so nothing can clear it.",
    Reason.NAMESPACE_NOT_GOVERNED: "The namespace lacks the label aiqms.dev/governed, so the gate does not judge it.",
    Reason.PROHIBITED: "The deployment is registered with risk class Prohibited (AI Act Art. 5): it is never cleared.",
    Reason.RETIRED: "The deployment's lifecycle is Retired: no pod is admitted any more.",
    Reason.INVALID: "The stored object cannot be read by this version of the operator: the message names the field.",
    Reason.WORKLOAD_FOUND: "The workload exists and names this deployment in its pod template.",
    Reason.WORKLOAD_MISSING: "A workload that spec.workloads names does not exist.",
    Reason.WORKLOAD_CLAIMED: "The workload's pods bear the label of another deployment, which therefore decides.",
    Reason.WORKLOAD_UNLABELLED: "The workload's pod template lacks the label aiqms.dev/deployment, so its pods are not this deployment's.",
    Reason.INPUT_UNREADABLE: "A ConfigMap or claim that the pods use, or a record, could not be read: what was cleared stays until its time.",
    Reason.TOO_MANY_INPUTS: "The workload's pods read more ConfigMaps, Secrets and claims than a clearance can freeze.",
    Reason.TOO_MANY_PROCEDURES: "More procedures apply in Enforce than a clearance can keep.",
    Reason.MODEL_MATCHES: "Each pod template declares the digest of spec.model in the annotation aiqms.dev/model.",
    Reason.MODEL_MISMATCH: "A pod template declares another model than spec.model.digest: held until they agree.",
    Reason.MODEL_DECLARED_NOWHERE: "A pod template lacks the annotation aiqms.dev/model, so nothing ties what runs to the model approved.",
    Reason.MODEL_BOUND: "The pods get the model by its digest: as an image volume, as an image, or checked by an init container that the procedure names.",
    Reason.MODEL_DECLARED_ONLY: "A pod template says which model it serves, and nothing makes that true, which the procedure asks for (supply.model: Bound).",
    Reason.MODEL_URI_ALLOWED: "The register's model comes from where the procedure allows it to.",
    Reason.MODEL_URI_NOT_ALLOWED: "The register's model comes from elsewhere than the procedure allows.",
    Reason.IMAGES_PINNED: "Every image is pinned by digest.",
    Reason.IMAGE_NOT_PINNED: "An image is named by a tag alone, under which another one may come tomorrow.",
    Reason.REGISTRIES_ALLOWED: "Every image comes from a registry that the procedure allows.",
    Reason.REGISTRY_NOT_ALLOWED: "An image comes from a registry that the procedure does not allow.",
    Reason.PULL_SECRETS_ALLOWED: "The pods bear no image pull secret but those that the procedure allows.",
    Reason.PULL_SECRET_NOT_ALLOWED: "Pods bear an image pull secret that the procedure does not allow.",
    Reason.CONTROLS_HOLD: "Each control of this family passes.",
    Reason.CLASS_LOWERED: "The risk class is lower than in the subject last approved.",
    Reason.APPROVED_BEFORE_UNFIT: "What was approved before is admitted no more: a control that a procedure asks for now does not hold for it.",
    Reason.REVIEW_DUE: "The procedure's reviewBy has passed: its owner has to review it.",
    Reason.REVIEW_IN_TIME: "The procedure's next review lies ahead.",
    Reason.POD_DIFFERS: "A held pod differs from its workload's template: something changed it on its way in.",
    Reason.AUDIT: "Only procedures in Audit apply: everything is judged, nothing is blocked.",
    Reason.STOPPED: "Somebody with stop authority stopped the deployment: no pod runs until a Resume by a stop role of every procedure.",
    Reason.EMERGENCY_IN_FORCE: "Somebody broke the glass: the subject is cleared without approvals for a while, and a review is due.",
    Reason.REVIEW_PENDING: "An emergency ended; its review is due at the time given.",
    Reason.REVIEW_OVERDUE: "An emergency was not reviewed in time: the deployment is stopped until it is.",
    Reason.AUTHOR_KNOWN: "Everybody who changed the deployment since it was last approved is a known person.",
    Reason.AUTHOR_UNKNOWN: "A service account changed the deployment since it was last approved, or nobody noted who registered it: its author is not known.",
    Reason.PROCEDURE_CHANGED: "A procedure that applies changed, or another one applies: the message says what changed.",
    Reason.LAPSE_AHEAD: "The permission ends in at most 14, 7 or 1 days: have the subject approved anew.",
    Reason.RESUMED: "The Stop was lifted.",
    Reason.NOTHING_TO_RESUME: "There is no earlier Stop that it could lift.",
    Reason.EMERGENCY_NOT_ALLOWED: "No procedure lets this role break the glass, or an earlier emergency was not reviewed in time.",
    Reason.NOTHING_TO_REVIEW: "No Emergency of this name that counted.",
    Reason.SUBMITTER_MAY_NOT_APPROVE: "Its author changed what is approved, and the procedure wants others to approve.",
    Reason.IDENTITY_DEDICATED: "Each workload has a ServiceAccount that nothing else seen in the namespace uses, and no token of it unless those are allowed.",
    Reason.IDENTITY_SHARED: "A workload runs as ServiceAccount default, or as one that something else in the namespace uses too.",
    Reason.TOKEN_MOUNTED: "A ServiceAccount token is mounted, or the pod template does not say that none is to be.",
    Reason.STORAGE_ALLOWED: "Every volume that keeps data is of a StorageClass that the procedure allows.",
    Reason.STORAGE_NOT_ALLOWED: "A volume that keeps data is of another StorageClass than the procedure allows, or of none.",
    Reason.STORAGE_UNKNOWN: "The StorageClass of a volume is not known, because its claim does not exist.",
    Reason.ENDPOINTS_REGISTERED: "Every object seen to lead to the pods is named in spec.access.endpoints.",
    Reason.ENDPOINT_UNREGISTERED: "An object leads to the pods that spec.access.endpoints does not name, or a port of their node does.",
    Reason.TLS_REQUIRED: "Every endpoint that is reached from outside the cluster asks for TLS.",
    Reason.TLS_MISSING: "An endpoint that is reached from outside the cluster does not ask for TLS, or cannot be seen to.",
    Reason.TLS_UNKNOWN: "Whether a route asks for TLS is not known, because its Gateway is not.",
    Reason.EDITORS_KNOWN: "Everybody who may edit workloads or register entries in the namespace is named in access.editors.",
    Reason.EDITOR_UNEXPECTED: "Somebody whom access.editors does not name may edit workloads or register entries: the message names the binding.",
    Reason.RIGHTS_LISTED: "The pods' ServiceAccounts may do nothing beyond access.rights.",
    Reason.RIGHTS_BEYOND: "A ServiceAccount of the pods may do more than access.rights lists: the message names the binding.",
    Reason.ROLE_UNHELD: "Nobody holds a role that a procedure needs, so what it decides will wait: bind somebody.",
    Reason.ROLES_HELD_BY_ONE: "Fewer people hold the roles than have to differ, so an approval will wait: bind somebody else too.",
    Reason.ACCESS_REVIEWED: "Somebody confirmed in time who can do what in the namespace.",
    Reason.ACCESS_CHANGED: "Who can do what has changed since it was confirmed.",
    Reason.ACCESS_REVIEW_DUE: "Nobody confirmed in time who can do what in the namespace: kubectl qms review-access.",
    Reason.RBAC_UNKNOWN: "Roles and bindings were not read, so who can do what is not known.",
    Reason.LIST_DIFFERS: "The list that it confirms was not the list of who can do what when it was made.",
    Reason.CLEARANCE_TOO_LARGE: "The namespace's Clearance is near its size limit: spread deployments over more namespaces.",
    Reason.NETWORK_POLICY_IN_FORCE: "The operator's NetworkPolicy is as the register and the procedures say, and no other opens more.",
    Reason.NETWORK_POLICY_MISSING: "The operator's NetworkPolicy is not in place yet, or cannot be written: nothing is cleared on its strength.",
    Reason.NETWORK_POLICY_RESTORED: "Somebody changed or deleted the operator's NetworkPolicy: it was, or is being, put right.",
    Reason.NETWORK_POLICY_CONTESTED: "Something else writes the operator's NetworkPolicy too, so the operator stopped: keep the name out of what that applies.",
    Reason.NETWORK_POLICY_NOT_COMPARED: "Other NetworkPolicies are too large to be compared with what the register names, so they may open more.",
    Reason.NETWORK_POLICY_OPENS_MORE: "Another NetworkPolicy lets these pods be reached, or reach, beyond what the register names: policies add up.",
    Reason.HOST_NETWORK: "The pods use their node's network, to which no NetworkPolicy applies.",
    Reason.ENFORCEMENT_VERIFIED: "A probe found that the cluster's network enforces NetworkPolicies.",
    Reason.ENFORCEMENT_NOT_VERIFIED: "Nobody could find out whether the cluster's network enforces NetworkPolicies; that is never assumed.",
    Reason.ENFORCEMENT_MISSING: "A probe reached what a NetworkPolicy shuts off: the cluster's network does not enforce NetworkPolicies.",
    Reason.LOGS_KEPT: "The log store was asked, and keeps the stream as the procedure asks.",
    Reason.STREAM_UNREGISTERED: "A procedure asks for a stream whose sink spec.logging.streams does not name.",
    Reason.ENDPOINT_NOT_ALLOWED: "The sink's server is none that the procedure lets the operator ask (logging.endpoints).",
    Reason.RETENTION_TOO_SHORT: "The log store keeps lines for a shorter time than the procedure asks.",
    Reason.RETENTION_MAY_END_EARLY: "Something other than the period may end lines before their time: the message names the setting.",
    Reason.NOT_PROTECTED: "Lines can be deleted before their time in a way that the procedure rules out.",
    Reason.CANARY_LOST: "A line that was sent as a test could not be read back in time.",
    Reason.FIELDS_MISSING: "Recent lines lack fields that the procedure requires.",
    Reason.CHECK_PENDING: "The log store is being asked for the first time.",
    Reason.CHECK_TOO_OLD: "The log store could not be asked for longer than the last good check counts (maxCheckAge).",
    Reason.NOT_VERIFIABLE: "This kind of log store cannot prove what the procedure asks.",
    Reason.SINK_UNREACHABLE: "The log store did not answer, or not in time.",
    Reason.SINK_NOT_TRUSTED: "The log store's certificate is not one that the sink's ca, or the system, vouches for, or is another server's.",
    Reason.ADDRESS_REFUSED: "The sink's name leads to an address that the operator never connects to, or its answer leads elsewhere.",
    Reason.CREDENTIALS_UNREADABLE: "The Secret or ConfigMap that the sink names cannot be read, or lacks a key.",
    Reason.CREDENTIALS_REFUSED: "The log store did not accept the credentials, or they do not allow what has to be asked.",
    Reason.ANSWER_UNREADABLE: "What answered is not the log store that the sink says, or not in a form that can be read.",
    Reason.BACKEND_UNKNOWN: "No backend of this name is installed with the operator.",
    Reason.COUNTED: "The record counts.",
    Reason.SUBJECT_UNKNOWN: "No subject with this fingerprint has been seen; the record counts when it appears.",
    Reason.SUBJECT_SUPERSEDED: "Another subject is the current one.",
    Reason.DEPLOYMENT_UNKNOWN: "No AIModelDeployment of this name is in the namespace; the record counts when it appears.",
    Reason.EXPIRED: "Its time has passed.",
    Reason.WITHDRAWN: "It was taken back by a record of decision Withdraw.",
    Reason.SAME_PERSON_TWICE: "The person already counts in another place: the same role, or another one where people must differ.",
    Reason.ROLE_NOT_REQUIRED: "No procedure that applies names this role.",
    Reason.NOT_AUTHORIZED: "Its author did not hold the role when making it.",
    Reason.MAY_NOT_WITHDRAW: "Only the author, or a holder of verb withdraw on the role, takes a record back.",
    Reason.NOTHING_TO_WITHDRAW: "No Approve or Reject of this name for this deployment is in the namespace.",
}


@dataclass(frozen=True)
class Said:
    """A condition before it has a time."""

    type: Type
    status: Status
    reason: Reason
    message: str


def merged(said: Sequence[Said], *, before: Sequence[Condition], generation: int, now: datetime) -> list[Condition]:
    """The conditions to store: the transition time stays unless the status changes. now: aware."""
    times = {(c.type, c.status): c.last_transition_time for c in before}
    at = now.replace(microsecond=0)
    return [
        Condition(
            type=s.type,
            status=s.status,
            reason=s.reason,
            message=s.message[:4096],
            observed_generation=generation,
            last_transition_time=times.get((s.type, s.status), at),
        )
        for s in said
    ]
