"""Who writes: one holder of a Lease (coordination.k8s.io).

Times are compared on this machine's clock alone, as client-go does: a holder is gone when its Lease has not changed for its duration.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from time import monotonic

import aiohttp

from aiqms.api.values import Json
from aiqms.cluster.client import ApiError, Client, path

log = logging.getLogger(__name__)

# Another one leads at the latest DURATION and two looks after the holder's last word: before 15 s are over.
DURATION = 10.0  # seconds that a silent holder keeps the Lease
DEADLINE = 7.0  # seconds after the last success at which the holder itself stops writing
EVERY = 2.0  # seconds between renewals, and between two looks of another one


class Succession(Enum):
    """How the leader before ended: it said goodbye, or it may still believe that it leads."""

    CLEAN = "clean"
    UNCLEAN = "unclean"


@dataclass
class Lease:
    """A Lease of one name. identity: of this process; one that finds its own identity there succeeds a crash of itself."""

    client: Client
    namespace: str
    name: str
    identity: str
    _seen: tuple[str, float] = field(default=("", 0.0))
    _renewed: float = field(default=float("-inf"))  # when the last renewal that succeeded was asked for

    def left(self) -> float:
        """Seconds for which this process may still write: none after a pause, however long it takes to notice that the Lease is lost."""
        return self._renewed + DEADLINE - monotonic()

    async def acquire(self) -> Succession:
        """Waits until this process holds the Lease."""
        while True:
            try:
                if (succession := await self._attempt()) is not None:
                    return succession
            except (ApiError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                log.info("lease not to be had yet", extra={"why": str(error)})
            await asyncio.sleep(EVERY / 2)

    async def keep(self) -> None:
        """Renews until that fails for DEADLINE seconds or somebody else holds the Lease; then returns, and nothing may be written any more."""
        while self.left() > 0:
            await asyncio.sleep(EVERY)
            try:
                # A request without an answer must not outlast the deadline: somebody else leads by then.
                async with asyncio.timeout(self.left()):
                    held = await self._read()
                    if held is None or _holder(held) != self.identity:
                        log.error("lease lost", extra={"holder": _holder(held) if held else ""})
                        return
                    await self._write(held, self.identity)
            except (ApiError, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                log.warning("lease not renewed", extra={"why": str(error)})

    async def release(self) -> None:
        """Says goodbye, so that the next leader need not fear a second writer."""
        held = await self._read()
        if held and _holder(held) == self.identity:
            await self._write(held, "")
            self._renewed = float("-inf")

    async def _attempt(self) -> Succession | None:
        held = await self._read()
        if held is None:
            asked = monotonic()
            await self.client.create(path("coordination.k8s.io/v1", "leases", self.namespace), self._body({}, self.identity, transitions=0))
            self._renewed = asked
            return Succession.CLEAN
        if _holder(held) not in ("", self.identity) and not self._silent(held):
            return None
        clean = _holder(held) == ""
        await self._write(held, self.identity)
        return Succession.CLEAN if clean else Succession.UNCLEAN

    def _silent(self, held: Json) -> bool:
        version = held["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, monotonic())
        return monotonic() - self._seen[1] > float(held["spec"].get("leaseDurationSeconds") or DURATION)

    async def _read(self) -> Json | None:
        try:
            return await self.client.get(self._path)
        except ApiError as error:
            if error.gone:
                return None
            raise

    async def _write(self, held: Json, identity: str) -> None:
        """Conditional on the resourceVersion that was read: of two who try, one fails."""
        changed = int(_holder(held) != identity)
        transitions = int(held["spec"].get("leaseTransitions") or 0) + changed
        asked = monotonic()
        await self.client.replace(self._path, self._body(held, identity, transitions=transitions))
        self._renewed = asked

    def _body(self, held: Json, identity: str, *, transitions: int) -> Json:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata = {"name": self.name, "namespace": self.namespace} | ({"resourceVersion": held["metadata"]["resourceVersion"]} if held else {})
        acquired = held["spec"].get("acquireTime") if held and _holder(held) == identity else now
        spec = {"holderIdentity": identity, "leaseDurationSeconds": int(DURATION), "renewTime": now, "acquireTime": acquired, "leaseTransitions": transitions}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    @property
    def _path(self) -> str:
        return path("coordination.k8s.io/v1", "leases", self.namespace, self.name)


def _holder(held: Json) -> str:
    return held["spec"].get("holderIdentity") or ""
