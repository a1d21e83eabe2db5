"""What a log backend is: a module with a function that opens a sink, and a checker that asks it. docs/backends.md says how to add one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from typing import Any, Protocol

from aiqms.api.conditions import Reason
from aiqms.api.logging import S3, Kind, Loki, OtherSink, VictoriaLogs, VolumeClaim
from aiqms.api.values import Json
from aiqms.policy.logs import Ask, Proof, Trouble
from aiqms.retention.link import Link

GROUP = "aiqms.log_backends"  # of entry points


class Checker(Protocol):
    """One sink, for as long as somebody names it."""

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """Asks the store, sends a canary and reads it back: at most four requests, but while it waits for the canary. Raises Trouble."""


@dataclass(frozen=True)
class Means:
    """What a checker may use. link: to the sink's own server; collector: to what canaries are posted to instead, where there is one.

    claim: the PersistentVolumeClaim and its PersistentVolume as the API server has them, None where there is none; raises Trouble.
    """

    link: Link
    collector: Link | None = None
    claim: Callable[[], Awaitable[tuple[Json | None, Json | None]]] | None = None


Open = Callable[[Any, Means], Checker]


def opened(sink: Kind, means: Means) -> Checker:
    """The checker of a sink. Raises Trouble for a backend that is not installed."""
    match sink:  # each backend is imported where one is asked alone
        case VictoriaLogs():
            from aiqms.retention import victorialogs

            return victorialogs.Checker(sink, means)
        case S3():
            from aiqms.retention import s3

            return s3.Checker(sink, means)
        case Loki():
            from aiqms.retention import loki

            return loki.Checker(sink, means)
        case VolumeClaim():
            from aiqms.retention import volume

            return volume.Checker(sink, means)
        case OtherSink():
            return _other(sink.backend)(sink, means)


def _other(name: str) -> Open:
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise Trouble(
            Reason.BACKEND_UNKNOWN, f"no log backend {name} is installed with the operator: install the package that brings it, or correct sink.other.backend"
        )
    made: Open = found.load()
    return made
