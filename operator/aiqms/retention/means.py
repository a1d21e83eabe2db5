"""What a sink's checker is given: links to its servers, with the Secret and the authority that the sink names in its namespace, read for each check."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import aiohttp

from aiqms.api.conditions import Reason
from aiqms.api.logging import Authority, Credentials, RegisteredStream, VolumeClaim
from aiqms.api.values import Json
from aiqms.cluster.client import ApiError, path
from aiqms.policy.logs import Ask, Proof, Trouble
from aiqms.retention.backend import Checker, Means, opened
from aiqms.retention.link import Link

OPERATOR = ("aiqms-system", "aiqms-operator")  # namespace and ServiceAccount, as the chart has them by default


class Objects(Protocol):
    """What reads one object of the cluster by its path. Raises ApiError, aiohttp.ClientError and TimeoutError, as aiqms.cluster.client.Client does."""

    async def get(self, at: str) -> Json:
        """The object."""


@dataclass
class Sink:
    """One sink, for as long as somebody names it. who: reads its Secret, as namespace and ServiceAccount; None for a person."""

    objects: Objects
    namespace: str
    registered: RegisteredStream
    who: tuple[str, str] | None = OPERATOR
    _opened: tuple[Means, Checker] | None = field(default=None, repr=False)

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """Reads what it needs, and asks. Raises Trouble."""
        checker = await self._checker()
        return await checker.check(ask, now)

    async def _checker(self) -> Checker:
        """The one before, which may remember things, unless a Secret or a ConfigMap changed."""
        means = await self._means()
        if self._opened is None or not _same(self._opened[0], means):
            self._opened = (means, opened(self.registered.sink.chosen, means))
        return self._opened[1]

    async def _means(self) -> Means:
        chosen = self.registered.sink.chosen
        if isinstance(chosen, VolumeClaim):
            return Means(Link(""), claim=lambda: self._claim(chosen))
        credentials, authority = await self._secret(chosen.credentials), await self._authority(chosen.ca)
        collector = Link(self.registered.collector, authority=authority) if self.registered.collector else None
        return Means(Link(chosen.endpoint, credentials, authority), collector)

    async def _secret(self, of: Credentials | None) -> dict[str, str]:
        if of is None:
            return {}
        raw = await self._read("secrets", of.secret_name, f"Secret {of.secret_name}")
        try:
            return {k: base64.b64decode(v).decode() for k, v in (raw.get("data") or {}).items()}
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Trouble(Reason.CREDENTIALS_UNREADABLE, f"Secret {of.secret_name} has a value that is no text") from error

    async def _authority(self, of: Authority | None) -> str:
        if of is None:
            return ""
        raw = await self._read("configmaps", of.config_map_name, f"ConfigMap {of.config_map_name}")
        found = (raw.get("data") or {}).get(of.key)
        if not found:
            raise Trouble(Reason.CREDENTIALS_UNREADABLE, f"ConfigMap {of.config_map_name} has no key {of.key}, which the sink's ca names")
        return str(found)

    async def _read(self, plural: str, name: str, what: str) -> Json:
        try:
            return await self.objects.get(path("v1", plural, self.namespace, name))
        except ApiError as error:
            raise Trouble(Reason.CREDENTIALS_UNREADABLE, self._why(error, plural, name, what)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Trouble(Reason.CREDENTIALS_UNREADABLE, f"{what} could not be read: {type(error).__name__}") from error

    def _why(self, error: ApiError, plural: str, name: str, what: str) -> str:
        if error.gone:
            return f"{what} does not exist in namespace {self.namespace}: create it, or correct the sink"
        if error.status != 403:
            return f"{what} could not be read: answer {error.status}"
        if self.who is None:
            return f"you may not read {what} in namespace {self.namespace}"
        space, account = self.who
        role = f"kubectl create role aiqms-reads-{name} -n {self.namespace} --verb=get --resource={plural} --resource-name={name}"
        binding = f"kubectl create rolebinding aiqms-reads-{name} -n {self.namespace} --role=aiqms-reads-{name} --serviceaccount={space}:{account}"
        return f"the operator may not read {what} in namespace {self.namespace}; let it: {role} && {binding}"

    async def _claim(self, of: VolumeClaim) -> tuple[Json | None, Json | None]:
        what = f"PersistentVolumeClaim {of.claim_name}"
        try:
            claim = await self._object(path("v1", "persistentvolumeclaims", self.namespace, of.claim_name))
            volume = (claim or {}).get("spec", {}).get("volumeName")
            return claim, await self._object(path("v1", "persistentvolumes", name=volume)) if volume else None
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            raise Trouble(Reason.SINK_UNREACHABLE, f"{what} could not be read: {error}") from error

    async def _object(self, at: str) -> Json | None:
        try:
            return await self.objects.get(at)
        except ApiError as error:
            if error.gone:
                return None
            raise


def _same(one: Means, other: Means) -> bool:
    """Functions aside, which are made anew each time."""
    return (one.link, one.collector) == (other.link, other.collector)
