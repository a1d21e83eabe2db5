"""kopf's part: the few kinds that it watches, each event put into its store.

No timers, no daemons, no indexes: they would write into other people's objects, or be slow.
"""

from __future__ import annotations

from typing import Any

import kopf

from aiqms.api.crds import PROCEDURE
from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cluster.caches import Caches


def register(registry: kopf.OperatorRegistry, caches: Caches) -> None:
    """Hands every event on the few kinds to their stores."""

    @kopf.on.event(GROUP, VERSION, PROCEDURE.plural, registry=registry)  # type: ignore[arg-type]
    async def procedure(event: Json, **_: Any) -> None:
        caches.procedures.event(event["type"] or "", event["object"])

    @kopf.on.event("v1", "namespaces", registry=registry)  # type: ignore[arg-type]
    async def namespace(event: Json, **_: Any) -> None:
        caches.namespaces.event(event["type"] or "", event["object"])
