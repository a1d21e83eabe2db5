"""The operator's own NetworkPolicies: made, put right and taken away before anything is decided, so that decisions rest on what is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp

from aiqms import metrics
from aiqms.api.deployment import Result
from aiqms.api.values import Json
from aiqms.cluster.caches import NETWORKING, Caches
from aiqms.cluster.client import ApiError, Client, path
from aiqms.controllers.gather import Gathered
from aiqms.policy.contest import Guard, contest, failed, looked, wrote
from aiqms.policy.facts import Input
from aiqms.policy.network import NETWORK, Kept, Unwanted, Wanted, as_wanted, wanted
from aiqms.policy.networks import Network, Outcome, Probe, Stored, policy_name, remembered

log = logging.getLogger(__name__)

PROBE_EVERY = 180.0  # seconds
_AT_START = (1.0, 2.0)  # seconds between the first tries: a leader that takes over does not hold what runs for one lost packet
Key = tuple[str, str]  # namespace and name of a NetworkPolicy


@dataclass
class Probing:
    """The network probe of the leader. dial: None where none is set up; changed: told when another answer counts."""

    dial: Callable[[datetime], Awaitable[Probe]] | None
    changed: Callable[[], None]
    current: Probe | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # until then what the leader before found counts

    @property
    def pending(self) -> bool:
        """Whether the first one is still to come."""
        return self.dial is not None and not self.begun.is_set()

    async def run(self) -> None:
        """Until cancelled."""
        await self.first()
        self.begun.set()
        if self.dial:
            self.changed()
        while True:
            await asyncio.sleep(PROBE_EVERY)
            await self.once()

    async def first(self) -> None:
        """Until something can be said, a few times."""
        await self.once()
        for pause in _AT_START:
            if self.current is None or self.current.outcome is not Outcome.SILENT:
                return
            await asyncio.sleep(pause)
            await self.once()

    async def once(self) -> None:
        """One probe, and a word to whoever cares where it changes what counts."""
        if self.dial is None:
            return
        before, found = self.current, await self.dial(datetime.now(UTC))
        self.current = remembered(before, found)
        metrics.NETWORK_PROBES.labels(found.outcome.value).inc()
        if before is None or (before.outcome, before.why) != (self.current.outcome, self.current.why):
            log.info("network probed", extra={"outcome": found.outcome.value, "why": found.why})
            self.changed()


@dataclass
class Networks:
    """Writes for one leader. guards: what it remembers of each object of its own."""

    client: Client
    caches: Caches
    probing: Probing
    guards: dict[Key, Guard] = field(default_factory=dict)

    async def settle(self, namespace: str, facts: Gathered, now: datetime) -> tuple[Gathered, Exception | None]:
        """The facts with the network as it is now, and what kept a write from being made, which is to be raised once all else is done."""
        for key in [k for k in self.guards if k[0] == namespace and k[1] not in map(policy_name, facts.registered)]:
            del self.guards[key]
        settled = {name: await self._settled(given, now) for name, given in facts.registered.items()}
        failures = [await self._left_over(namespace, settled), *(self._failure(namespace, name) for name in settled)]
        probed = {name: replace(given, network=self._probed(given.network)) for name, given in settled.items()}
        return replace(facts, registered=probed), next((f for f in failures if f), None)

    def _probed(self, network: Network) -> Network:
        return replace(network, probe=self.probing.current, pending=self.probing.pending)

    def _failure(self, namespace: str, name: str) -> Exception | None:
        guard = self.guards.get((namespace, policy_name(name)))
        return NotWritten(f"NetworkPolicy {policy_name(name)}: {guard.failing.why}") if guard and guard.failing else None

    async def _settled(self, given: Input, now: datetime) -> Input:
        match wanted(given):
            case Wanted(object_):
                return replace(given, network=await self._kept_right(given, object_, now))
            case Kept():
                return given
            case Unwanted():
                self.guards.pop((given.namespace, policy_name(given.name)), None)
                return given

    async def _kept_right(self, given: Input, object_: Json, now: datetime) -> Network:
        name, network = policy_name(given.name), given.network
        own = network.named(name)
        right = as_wanted(own, object_)
        guard = looked(self.guards.get((given.namespace, name), Guard()), own, now, right=right)
        rival = None if right else contest(guard, own)
        self.guards[(given.namespace, name)] = guard
        if right or rival:
            return replace(network, contest=rival)
        harm = harmed(given, own, guard, object_)
        try:
            answer = await self._written(given.namespace, name, object_)
        except (ApiError, aiohttp.ClientError, TimeoutError) as error:
            guard = failed(guard, str(error) or type(error).__name__, now)
            self.guards[(given.namespace, name)] = guard
            return replace(network, failing=guard.failing)
        self.guards[(given.namespace, name)] = wrote(guard, answer, object_, now, repair=bool(harm))
        if harm:
            metrics.NETWORK_POLICIES_RESTORED.inc()
            log.warning("network policy put right", extra={"namespace": given.namespace, "networkpolicy": name, "why": harm})
        others = tuple(p for p in network.policies if p.name != name)
        return replace(network, policies=(*others, answer), restored=harm)

    async def _written(self, namespace: str, name: str, object_: Json) -> Stored:
        metrics.WRITES.labels("networkpolicies").inc()
        answer = await self.client.apply(path(NETWORKING, "networkpolicies", namespace, name), object_)
        self.caches.network_policies.put(answer)
        stored = self.caches.network_policies.get(namespace, name)
        assert stored
        return stored

    async def _left_over(self, namespace: str, settled: Mapping[str, Input]) -> Exception | None:
        """Takes away those of its own that are wanted no more. Only what bears the operator's mark is its own."""
        names = {policy_name(name) for name, given in settled.items() if not isinstance(wanted(given), Unwanted)}
        found = [(name, p) for name, p in self.caches.network_policies.within(namespace) if p.ours and name.startswith(policy_name("")) and name not in names]
        for name, stored in found:
            try:
                metrics.WRITES.labels("networkpolicies").inc()
                await self.client.delete(path(NETWORKING, "networkpolicies", namespace, name), uid=stored.uid)
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                return error
            self.caches.network_policies.drop((namespace, name), uid=stored.uid)
        return None


class NotWritten(Exception):
    """A NetworkPolicy that could not be written: the pass is tried again."""


def harmed(given: Input, own: Stored | None, guard: Guard, object_: Json) -> str:
    """What somebody did to the operator's own policy, in words; empty where it is only made, or made anew because the register or a procedure changed."""
    if own is None:
        return "was deleted" if guard.written or _had(given) else ""
    if own.changer:
        return f"was changed by {own.changer}"
    return "was changed" if guard.written == object_ else ""


def _had(given: Input) -> bool:
    """Whether it was there when the deployment was last judged, maybe by another leader."""
    return any(c.id == NETWORK and c.result in (Result.PASS, Result.WARN) for c in given.before.controls)
