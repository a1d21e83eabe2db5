"""A reflector: list a kind, then watch it, for ever; any error lists anew. Its store is the operator's only view of that kind."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from aiqms.api.values import Json
from aiqms.cluster.client import METADATA, METADATA_LIST, PAGE, ApiError, Client
from aiqms.cluster.store import Key, Store, key_of

log = logging.getLogger(__name__)

_WATCH_SECONDS = (240, 480)  # spread, so that watches do not all end at once
_BACKOFF_SECONDS = (0.1, 5.0)  # the longest is for how long the operator may be blind after an outage, however long that was
_ABSENT_SECONDS = 30.0  # between looks for a kind that the API server does not have


@dataclass
class Reflector:
    """at: the collection's path; params: server-side selectors; api_version and kind: filled in, for list items lack them; partial: metadata only.

    page: objects listed at once.

    synced: there was a list; current: and no error since.
    optional: where the API server does not know the kind (404), there is nothing of it, until it does: looked for again within a minute.
    """

    client: Client
    store: Store[Any]
    at: str
    api_version: str
    kind: str
    params: dict[str, str] = field(default_factory=dict)
    partial: bool = False
    page: int = PAGE
    optional: bool = False
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    current: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until cancelled."""
        pause = _BACKOFF_SECONDS[0]
        while True:
            try:
                version = await self._list()
                pause = _BACKOFF_SECONDS[0]
                await self._watch(version)
            except (ApiError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                self.current.clear()
                absent = self.optional and isinstance(error, ApiError) and error.gone
                if absent:
                    self.store.keep_only(set())
                    self._complete()
                log.log(logging.DEBUG if absent else logging.INFO, "listing anew", extra={"resource": self.at, "why": str(error)})
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, _ABSENT_SECONDS if absent else _BACKOFF_SECONDS[1])

    async def _list(self) -> str:
        """Page by page, so that no more than one lies in memory as the API server sent it."""
        listed: set[Key] = set()
        version = ""
        accept = METADATA_LIST if self.partial else "application/json"
        async for page in self.client.pages(self.at, accept=accept, limit=str(self.page), **self.params):
            for item in page.get("items") or []:
                self.store.put(self._named(item))
                listed.add(key_of(item))
            version = page["metadata"]["resourceVersion"]
            page.clear()  # before the next one comes
        self.store.keep_only(listed)
        self._complete()
        return version

    def _complete(self) -> None:
        self.synced.set()
        self.current.set()

    async def _watch(self, version: str) -> None:
        """Watches on from each bookmark until an error; a watch that simply ends goes on where it was."""
        while True:
            seconds = str(random.randint(*_WATCH_SECONDS))
            accept = METADATA if self.partial else "application/json"
            async for event in self.client.watch(self.at, accept=accept, resourceVersion=version, timeoutSeconds=seconds, **self.params):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self.store.event(event["type"], self._named(event["object"]))

    def _named(self, raw: Json) -> Json:
        return raw | {"apiVersion": self.api_version, "kind": self.kind}
