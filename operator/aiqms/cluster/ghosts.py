"""What kopf cannot say: when its first list is complete, and which objects went away while its watch was broken. Both from slow lists of names."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from aiqms.cluster.client import METADATA_LIST, ApiError, Client
from aiqms.cluster.store import Key, Store

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between looks, where nothing gives a reason for one: the last object of a kind goes without a word
_SOON = 0.05  # seconds between looks at the store until all is there
_ANEW = 2.0  # seconds after which what is still missing is listed anew: the API server is not asked for thousands of names again and again
_REST = 1.0  # seconds from the first word of a new list to a look: the list comes object by object


@dataclass
class Census:
    """The names of one kind that a store must have, and no others. at: the collection's path."""

    client: Client
    store: Store[Any]
    at: str
    _listed_anew: asyncio.Event = field(default_factory=asyncio.Event)

    def listed_anew(self) -> None:
        """kopf lists the kind again: what went away before is not in it, so it is looked for now."""
        self._listed_anew.set()

    async def complete(self) -> None:
        """Waits until the store has everything that a list names; what a later list lacks is not waited for."""
        while not await self._came(await self._named()):
            pass

    async def run(self) -> None:
        """Forgets ghosts, for ever: objects of the store that no list names."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listed_anew.wait(), EVERY)
            await asyncio.sleep(_REST)
            self._listed_anew.clear()
            try:
                await self.sweep()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("no census", extra={"resource": self.at, "why": str(error)})
                self._listed_anew.set()

    async def sweep(self) -> None:
        """One look. The store is read before the list: what it learns meanwhile is no ghost."""
        before = self.store.uids()
        listed = await self._listed()
        for key, uid in before.items():
            if listed.get(key) != uid:
                log.warning("gone unseen", extra={"resource": self.at, "namespace": key[0], "object": key[1]})
                self.store.drop(key, uid=uid)

    async def _named(self) -> dict[Key, str]:
        """What a list names, once there is one."""
        while True:
            try:
                return await self._listed()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.info("not listed yet", extra={"resource": self.at, "why": str(error)})
                await asyncio.sleep(_SOON)

    async def _came(self, listed: dict[Key, str]) -> bool:
        """Whether all of it came into the store before it is time to list anew."""
        for _ in range(round(_ANEW / _SOON)):
            known = self.store.uids()
            if all(known.get(key) == uid for key, uid in listed.items()):
                return True
            await asyncio.sleep(_SOON)
        return False

    async def _listed(self) -> dict[Key, str]:
        pages = [page async for page in self.client.pages(self.at, accept=METADATA_LIST)]
        metadata = [item["metadata"] for page in pages for item in page.get("items") or []]
        return {(m.get("namespace", ""), m["name"]): m["uid"] for m in metadata}
