"""Streams, sinks and what they were seen to do, in few words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiqms.api.logging import Protection
from aiqms.api.values import Json, duration
from aiqms.policy import sinks
from aiqms.policy.facts import Input, Procedure
from aiqms.policy.logs import Ask, Checked, Delivery, Proof, Sample
from tests.unit.policy.given import approve, day, given, procedure, spec

SERVER = "https://logs.bank.example:9428"
DUTY = {"framework": "eu-ai-act", "id": "19(1)"}
STREAM: Json = {"name": "inference", "retention": "184d"}
VL: Json = {"victoriaLogs": {"endpoint": SERVER}}
WAYS = Delivery("directly", 1.2, timedelta(days=183), aged=True)
GOOD = Proof(
    backend="VictoriaLogs v1.51.1", kept=timedelta(days=200), setting="-retentionPeriod=200d", remedy="start it with -retentionPeriod={} or more", delivery=WAYS
)


def asking(*streams: Json, name: str = "high-risk", lapse: str = "Hold", revision: int = 1, audit: bool = False, **more: Any) -> Procedure:
    """A procedure that asks for these streams, the usual one without any."""
    usual: Json = {"streams": list(streams) or [STREAM], "endpoints": ["https://*.bank.example:9428"]}
    return procedure(name, lapse=lapse, revision=revision, audit=audit, since=1, logging=usual | more)


def sent_to(sink: Json | None = None, **more: Any) -> Json:
    """A register entry's logging with one stream."""
    return {"streams": [{"name": "inference", "sink": sink or VL, **more}]}


def ask(**changes: Any) -> Ask:
    """As STREAM asks."""
    return replace(Ask(duration("184d")), **changes)


def checked(proof: Proof | None = GOOD, at: float = 1, *, came: float | None = 1, of: Ask | None = None, **more: Any) -> Checked:
    """A sink that was asked on that day. came: when its last canary came back."""
    return Checked(
        proof=proof,
        ask=(of or ask()) if proof else None,
        at=day(at) if proof else None,
        delivery=WAYS if came is not None else None,
        delivered=day(came) if came is not None else None,
        **more,
    )


def logged(*procedures: Procedure, seen: Checked | None = None, logging: Json | None = None, **more: Any) -> Input:
    """An approved deployment whose stream's sink was seen to do that."""
    of = spec(logging=sent_to() if logging is None else logging)
    base = given(approve("alice"), of=of, procedures=list(procedures) or [asking()], **more)
    return replace(base, logs={"inference": checked() if seen is None else seen})


def proof(**changes: Any) -> Proof:
    """GOOD, other than that."""
    return replace(GOOD, **changes)


def sample(*lacking: tuple[str, tuple[str, ...]], lines: int = 20, unreadable: str = "") -> Sample:
    """Of a stream's lines."""
    return Sample(lines, lacking, unreadable)


__all__ = ["DUTY", "GOOD", "SERVER", "STREAM", "VL", "WAYS", "Protection", "ask", "asking", "checked", "logged", "proof", "sample", "sent_to", "sinks"]
