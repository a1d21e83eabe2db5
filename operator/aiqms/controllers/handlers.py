"""kopf's part: the few kinds that it watches, each event put into its store.

No timers, no daemons, no indexes: they would write into other people's objects, or be slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from aiqms.api.crds import PROCEDURE
from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cluster.caches import Caches
from aiqms.cluster.store import Store


def register(registry: kopf.OperatorRegistry, caches: Caches, listed: Callable[[Store[Any]], None]) -> None:
    """Hands every event on the few kinds to their stores. listed: told of a store whose kind is listed, at the start or anew."""

    def taken(store: Store[Any], event: Json) -> None:
        store.event(event["type"] or "", event["object"])
        if event["type"] is None:
            listed(store)

    @kopf.on.event(GROUP, VERSION, PROCEDURE.plural, registry=registry)  # type: ignore[arg-type]
    async def procedure(event: Json, **_: Any) -> None:
        taken(caches.procedures, event)

    @kopf.on.event("v1", "namespaces", registry=registry)  # type: ignore[arg-type]
    async def namespace(event: Json, **_: Any) -> None:
        taken(caches.namespaces, event)
