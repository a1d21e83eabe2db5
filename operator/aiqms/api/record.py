"""ApprovalRecord: one decision of one person. Immutable; correcting one means making another."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aiqms.api.values import DeploymentName, Digest, Message, Model, ObjectName, RoleName, Timestamp, Word


class Decision(StrEnum):
    """What the person decided about the subject."""

    APPROVE = "Approve"
    REJECT = "Reject"
    WITHDRAW = "Withdraw"
    STOP = "Stop"
    RESUME = "Resume"
    EMERGENCY = "Emergency"
    REVIEW_ACCESS = "ReviewAccess"


class Approver(Model):
    """The person whom the API server authenticated; stamped by admission, whatever the client wrote.

    authorized: whether the person held the decision's verb on the role, by name, when making the record.
    """

    username: Annotated[str, Field(min_length=1, max_length=1024)]
    uid: Annotated[str, Field(max_length=253)] = ""
    groups: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "atomic"})] = []
    authorized: bool = False


class RecordSpec(Model):
    """Who decides what about which subject, and why. reviews: the Emergency that an Approve or Reject looks at afterwards.

    list: the digest of the list of who can do what, which a ReviewAccess confirms.
    """

    deployment: DeploymentName
    subject: Digest | None = None
    role: RoleName
    decision: Decision
    rationale: Annotated[str, Field(max_length=4096)] = ""
    expires: Timestamp | None = None
    withdraws: ObjectName | None = None
    reviews: ObjectName | None = None
    list: Digest | None = None
    approver: Annotated[Approver | None, Field(json_schema_extra={"x-kubernetes-map-type": "atomic"})] = None


class RecordStatus(Model):
    """Whether the record counts now, and why or why not; written by the operator alone.

    confirmed: the list of a ReviewAccess, once the operator found that it was the list; kept whatever is said of the record later.
    """

    counts: bool
    reason: Word
    message: Message
    confirmed: Digest | None = None
