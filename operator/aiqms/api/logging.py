"""Where logs lie and how long they are kept: what a procedure asks of each stream, and the sink that a register entry names (AI Act Art. 12, 19(1), 26(6))."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aiqms.api.access import Unverified
from aiqms.api.supply import Pattern
from aiqms.api.values import Duration, Model, ObjectName, Obligations, Timestamp

StreamName = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
FieldName = Annotated[str, Field(pattern="^[A-Za-z_@][A-Za-z0-9_.@-]*$", min_length=1, max_length=63)]
Endpoint = Annotated[str, Field(pattern="^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?$", max_length=512)]  # no user, no query, no fragment
Query = Annotated[str, Field(min_length=1, max_length=512, pattern="^[ -~]+$")]


_SEGMENT = "[A-Za-z0-9!_*'()=-][A-Za-z0-9!_.*'()=-]*"  # of a prefix: none begins with a dot


class Protection(StrEnum):
    """Against deletion before the period is over. None asks nothing. Deletable: by the store's administrators alone, its deletion API being off.

    Immutable: by nobody, shown by a deletion that was refused.
    """

    NONE = "None"
    DELETABLE = "Deletable"
    IMMUTABLE = "Immutable"

    @property
    def strength(self) -> int:
        """0 for None up to 2 for Immutable."""
        return list(Protection).index(self)


class Canary(StrEnum):
    """Whether a line that is sent as a test has to be read back."""

    REQUIRED = "Required"
    OPTIONAL = "Optional"


class Stream(Model):
    """What is asked of one stream. maxCheckAge: how long the last good check counts while the store cannot be asked.

    requiredFields: names that each line of a recent sample has; values are neither kept nor shown.
    """

    name: StreamName
    retention: Duration
    protection: Protection = Protection.NONE
    canary: Canary = Canary.REQUIRED
    required_fields: Annotated[list[FieldName], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})] = []
    max_check_age: Duration = "24h"


class Canaries(Model):
    """every: how often each sink is asked, and a canary sent. within: how soon the canary has to be readable."""

    every: Duration = "1h"
    within: Duration = "60s"


class Logging(Model):
    """What a procedure asks of logs. endpoints: patterns of the servers that may be asked, in which * stands for any run of characters but a slash.

    unverified: what it means that a store can prove no period, such as a volume.
    """

    streams: Annotated[
        list[Stream], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    ]
    endpoints: Annotated[list[Pattern], Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"})] = []
    canary: Canaries = Canaries()
    unverified: Unverified = Unverified.REFUSED
    obligations: Obligations = []


class Credentials(Model):
    """A Secret of the deployment's own namespace; which keys it has is said of each sink."""

    secret_name: ObjectName


class Authority(Model):
    """A ConfigMap of the deployment's own namespace, and the key of it, with the certificates (PEM) that the server's is signed by."""

    config_map_name: ObjectName
    key: Annotated[str, Field(pattern="^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)] = "ca.crt"


class VictoriaLogs(Model):
    """A single-node VictoriaLogs. query: LogsQL that selects the stream's lines. The Secret has username and password, or token."""

    endpoint: Endpoint
    account_id: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    project_id: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    query: Query = "*"
    credentials: Credentials | None = None
    ca: Authority | None = None


class S3(Model):
    """A bucket of an S3 store with Object Lock. The Secret has accessKeyId and secretAccessKey.

    objectLock: who stamps objects with their lock. BucketDefault: the store, by the bucket's default. Writer: whoever writes them.
    """

    endpoint: Endpoint
    region: Annotated[str, Field(pattern="^[a-z0-9-]+$", min_length=1, max_length=63)] = "us-east-1"
    bucket: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$", min_length=3, max_length=63)]
    prefix: Annotated[str, Field(pattern=f"^({_SEGMENT}/)*({_SEGMENT})?$", max_length=512)] = ""
    object_lock: Literal["BucketDefault", "Writer"] = "BucketDefault"
    credentials: Credentials | None = None
    ca: Authority | None = None


class Loki(Model):
    """A Loki whose own API is reached. selector: LogQL that selects the stream's lines. The Secret has username and password, or token."""

    endpoint: Endpoint
    tenant: Annotated[str, Field(pattern="^[A-Za-z0-9!._*'()-]*$", max_length=150)] = ""
    selector: Annotated[str, Field(pattern="^[{][ -~]*[}]$", max_length=512)]
    credentials: Credentials | None = None
    ca: Authority | None = None


class VolumeClaim(Model):
    """A PersistentVolumeClaim of the deployment's own namespace that the logs are written to."""

    claim_name: ObjectName


class OtherSink(Model):
    """A backend that is installed with the operator under this name (docs/backends.md)."""

    backend: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$", min_length=1, max_length=63)]
    endpoint: Endpoint
    options: Annotated[dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=512)]], Field(max_length=16)] = {}
    credentials: Credentials | None = None
    ca: Authority | None = None


Kind = VictoriaLogs | S3 | Loki | VolumeClaim | OtherSink


class Sink(Model):
    """Where the lines of a stream lie: exactly one of these."""

    victoria_logs: VictoriaLogs | None = None
    s3: S3 | None = None
    loki: Loki | None = None
    persistent_volume_claim: VolumeClaim | None = None
    other: OtherSink | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self._given) != 1:
            raise ValueError("a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them")
        return self

    @property
    def _given(self) -> list[Kind]:
        return [s for s in (self.victoria_logs, self.s3, self.loki, self.persistent_volume_claim, self.other) if s is not None]

    @property
    def chosen(self) -> Kind:
        """The one that is given."""
        return self._given[0]

    @property
    def endpoint(self) -> str:
        """The server's; empty for a volume, which has none."""
        return "" if isinstance(self.chosen, VolumeClaim) else self.chosen.endpoint

    @property
    def private(self) -> bool:
        """Whether it names something of its own namespace, so that two namespaces never share it."""
        return isinstance(self.chosen, VolumeClaim) or bool(self.chosen.credentials or self.chosen.ca)


class RegisteredStream(Model):
    """collector: where canaries are posted instead of to the sink: the HTTP intake, for lines of JSON, of what collects the workload's own lines."""

    name: StreamName
    sink: Sink
    collector: Endpoint | None = None


class RegisteredLogging(Model):
    """Where the streams that the procedures ask for lie."""

    streams: Annotated[
        list[RegisteredStream], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    ] = []


class LogSeen(Model):
    """What was last seen of a stream's sink. asked: a digest of where, and of what. kept: how long it keeps lines. protection: that was shown.

    provenAt, deliveredAt: of the last good answer, and of the last canary that came back: written anew at half the time for which they count.
    """

    stream: StreamName
    asked: Annotated[str, Field(max_length=71)]
    backend: Annotated[str, Field(max_length=253)] = ""
    endpoint: Annotated[str, Field(max_length=512)] = ""
    kept: Annotated[str, Field(max_length=63)] = ""
    protection: Protection = Protection.NONE
    route: Annotated[str, Field(max_length=600)] = ""
    proven_at: Timestamp | None = None
    delivered_at: Timestamp | None = None
