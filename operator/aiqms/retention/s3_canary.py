"""A canary in S3: put, read back by its version, and told to be deleted, which a store that honours its lock refuses."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from aiqms.api.logging import S3, Protection
from aiqms.policy.logs import Ask
from aiqms.retention import lines
from aiqms.retention.link import Answer
from aiqms.retention.s3_wire import COMPLIANCE, NONE, Lock, Wire, by_its_clock, code, lock, said, speaks_of_locks

_MARGIN = timedelta(minutes=1)  # that a canary is locked for longer than is asked
_READ = "a canary (s3:GetObject and s3:GetObjectVersion)"
_REFUSED = {(403, "AccessDenied"), (400, "InvalidRequest")}  # AWS and most; MinIO
_NO_LOCKS = {"InvalidRequest", "InvalidArgument", "NotImplemented", "ObjectLockConfigurationNotFoundError"}  # to a PUT with one


@dataclass(frozen=True)
class Canary:
    """What became of one. version: by which it is asked for, empty where none is kept; unlocked: what the store answered to a lock that it did not take.

    seconds: until it was read back; lost: why it was not. deletion: the answer to deleting that version, empty where that was not tried.
    refused: the answer was that the lock forbids it; held: so it was, and the version was read back after.
    """

    line: bytes
    at: datetime
    began: float
    server: str = ""
    version: str = ""
    stamped: bool = False
    unlocked: str = ""
    lock: Lock = NONE
    seconds: float | None = None
    lost: str = ""
    deletion: str = ""
    refused: bool = False

    @property
    def held(self) -> bool:
        """Whether the store was seen to protect it."""
        return self.refused and not self.lost and self.lock.mode == COMPLIANCE


@dataclass
class Canaries:
    """Those of one sink. held: whether the last one was.

    plain: the last one's lock was told by GET too, so that HEAD is not needed; AWS does so, versitygw does not. known: its lock, where HEAD has just told it.
    """

    sink: S3
    held: bool = False
    plain: bool = False
    known: Lock = NONE
    # One key for as long as this lives: each canary is a version of it, and where there are no versions the only one.
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def prefix(self) -> str:
        """Under which all canaries of a sink lie, whoever sends them."""
        return f"{self.sink.prefix}.aiqms-canary/"

    @property
    def key(self) -> str:
        """Of these."""
        return self.prefix + self.name

    async def send(self, wire: Wire, ask: Ask, now: datetime) -> Canary:
        """Two to four requests; three at every second check at least, while locks hold. Raises Trouble."""
        canary = await self._put(wire, ask, now)
        if ask.protection is not Protection.IMMUTABLE or not canary.version or canary.unlocked:
            canary = await self._read(wire, canary)
        else:
            canary = await self._tried(wire, canary, ask.retention)
        self.held = canary.held
        return canary

    async def _tried(self, wire: Wire, canary: Canary, retention: timedelta) -> Canary:
        """To be deleted only if it is locked, and read after: only a version that is still there was protected."""
        known, self.known = self.known, NONE
        if self.held and (self.plain or known.span >= retention):
            # The lock is the last one's until GET tells this one's: a request less.
            return await self._read(wire, await self._delete(wire, replace(canary, lock=known)))
        canary = await (self._read if self.plain else self._head)(wire, canary)
        self.known = canary.lock
        if canary.lock.mode == COMPLIANCE:
            canary = await self._delete(wire, canary)
        return await self._read(wire, canary) if canary.refused or canary.seconds is None else canary

    async def _put(self, wire: Wire, ask: Ask, now: datetime) -> Canary:
        """With a lock of its own where writers stamp theirs; without, where the store does not take that."""
        what = "the write of a canary (s3:PutObject, and s3:PutObjectRetention where objectLock is Writer)"
        canary = Canary(json.dumps(lines.canary(now).fields()).encode(), now, time.monotonic())
        stamped = self.sink.object_lock == "Writer" and ask.protection is Protection.IMMUTABLE
        answer = await self._sent(wire, canary, _stamp(now + ask.retention + _MARGIN) if stamped else {})
        unlocked = said(answer) if stamped and answer.status in (400, 404, 501) and code(answer) in _NO_LOCKS else ""
        if unlocked:
            answer = await self._sent(wire, canary, {})
        if answer.status != 200:
            raise wire.refusal(answer, what)
        if not answer.headers.get("etag"):  # which every S3 gives; a web server may answer 200 to anything
            raise wire.link.unreadable(what)
        return replace(canary, server=_server(answer), version=_version(answer), stamped=stamped and not unlocked, unlocked=unlocked)

    async def _sent(self, wire: Wire, canary: Canary, stamp: dict[str, str]) -> Answer:
        return await wire.ask("PUT", self.key, headers={"Content-Type": "application/json"} | stamp, data=canary.line)

    async def _head(self, wire: Wire, canary: Canary) -> Canary:
        answer = await wire.ask("HEAD", self.key, params=_of(canary))
        if answer.status not in (200, 404):
            raise wire.refusal(answer, _READ)
        return replace(canary, lock=_lock(answer, canary))

    async def _read(self, wire: Wire, canary: Canary) -> Canary:
        answer = await wire.ask("GET", self.key, params=_of(canary))
        if answer.status == 404:
            return replace(canary, lost=f"a canary was taken, and not given back: answer {said(answer)}")
        if answer.status != 200:
            raise wire.refusal(answer, _READ)
        if answer.body != canary.line:
            return replace(canary, lost="a canary was taken, and something else given back")
        found = _lock(answer, canary)
        self.plain = bool(found.mode)
        return replace(canary, lock=found if found.mode else canary.lock, seconds=canary.seconds or round(time.monotonic() - canary.began, 3))

    async def _delete(self, wire: Wire, canary: Canary) -> Canary:
        """A refusal that does not speak of the lock may as well be for a lack of rights."""
        answer = await wire.ask("DELETE", self.key, params=_of(canary))
        refused = (answer.status, code(answer)) in _REFUSED and speaks_of_locks(answer)
        return replace(canary, deletion=said(answer), refused=refused)


def _lock(answer: Answer, canary: Canary) -> Lock:
    """Its own stamp is by our clock, the bucket's default by the store's."""
    return lock(answer, canary.at if canary.stamped else by_its_clock(answer, canary.at))


def _of(canary: Canary) -> dict[str, str]:
    return {"versionId": canary.version} if canary.version else {}


def _stamp(until: datetime) -> dict[str, str]:
    date = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"x-amz-object-lock-mode": COMPLIANCE, "x-amz-object-lock-retain-until-date": date}


def _version(answer: Answer) -> str:
    """`null` is what a bucket writes whose versioning is suspended: the next write takes its place."""
    found = answer.headers.get("x-amz-version-id", "")
    return found if found != "null" else ""


def _server(answer: Answer) -> str:
    """The product, as it says."""
    found = answer.headers.get("server", "")
    return found if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,62}", found) else ""
