"""reconcile: event → gather → decide → apply, for one namespace at a time. Level-triggered: what changed is never asked, only what is."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp

from aiqms import metrics
from aiqms.api.conditions import Type
from aiqms.api.deployment import Phase
from aiqms.cluster.caches import Caches
from aiqms.cluster.client import ApiError, NotLeading
from aiqms.cluster.inputs import InputReader
from aiqms.controllers.apply import Applier, Changed, Deposed
from aiqms.controllers.deciding import Undecided, decided
from aiqms.controllers.gather import Gathered, gather
from aiqms.controllers.logs import Logs
from aiqms.controllers.network import Networks, NotWritten
from aiqms.controllers.queue import Queue
from aiqms.controllers.remembered import Remembered
from aiqms.policy.facts import Decision
from aiqms.policy.status import NOTICES

log = logging.getLogger(__name__)


@dataclass
class Reconciler:
    """Works off the queue while this process leads."""

    caches: Caches
    queue: Queue
    reader: InputReader
    applier: Applier
    networks: Networks
    logs: Logs
    remembered: Remembered = field(init=False)

    def __post_init__(self) -> None:
        self.remembered = Remembered(self.caches.shed)

    async def work(self) -> None:
        """One worker: until cancelled, or until another leader has taken over, or may have (raises Deposed, NotLeading)."""
        while True:
            namespace = await self.queue.get()
            metrics.QUEUE.set(len(self.queue))
            try:
                await self._guarded(namespace)
            finally:
                self.queue.done(namespace)

    async def _guarded(self, namespace: str) -> None:
        """The edge: what went wrong becomes a log line, a metric and another try."""
        try:
            with metrics.RECONCILE_SECONDS.time():
                await self.reconcile(namespace)
        except (Deposed, NotLeading, asyncio.CancelledError):
            raise
        except Exception as error:
            metrics.RECONCILE_ERRORS.labels(type(error).__name__).inc()
            pause = self.queue.failed(namespace)
            expected = isinstance(error, (ApiError, Changed, NotWritten, Undecided, aiohttp.ClientError, TimeoutError))
            log.warning("tried again later", exc_info=None if expected else error, extra={"namespace": namespace, "why": str(error), "seconds": pause})
        else:
            self.queue.succeeded(namespace)

    async def reconcile(self, namespace: str) -> None:
        """Makes the namespace what its facts say, and asks to be woken when time alone changes something, also where a write then fails."""
        facts = await gather(namespace, self.caches, self.reader)
        if facts is None:
            self.logs.forget(namespace)
            self.queue.wake(namespace, None)
            return
        now = datetime.now(UTC).replace(microsecond=0)  # the API server's times are whole seconds
        if facts.governed and (facts.clearance is None or now <= facts.clearance.created):
            await self._opened(namespace, facts, now)
            return
        facts, unwritten = await self.networks.settle(namespace, facts, now)
        facts = self.logs.settle(namespace, facts)
        found = await decided(namespace, facts, now, self.remembered)
        self.queue.wake(namespace, found.wake)
        if await self.applier.apply(namespace, found.facts, found.decisions, now):
            self.queue.add(namespace)
        _measure(namespace, facts, found.decisions)
        found.check()
        if unwritten:
            raise unwritten

    async def _opened(self, namespace: str, facts: Gathered, now: datetime) -> None:
        """The Clearance is made, and judged by from the next second on: so what runs since its second, with no trace of the gate, is older than the gate."""
        if facts.clearance is None:
            await self.applier.open(namespace)
        self.queue.wake(namespace, now + timedelta(seconds=1))


def _measure(namespace: str, facts: Gathered, decisions: dict[str, Decision]) -> None:
    phases = [decisions[name].status.phase for name in facts.registered]
    for phase in Phase:
        metrics.DEPLOYMENTS.labels(namespace, phase).set(phases.count(phase))
    metrics.PODS_HELD.labels(namespace).set(sum(p.held for given in (*facts.registered.values(), *facts.unregistered.values()) for p in given.pods))
    statuses = [decisions[name].status for name in facts.registered]
    metrics.EMERGENCIES.labels(namespace).set(sum(any(c.type == Type.EMERGENCY for c in s.conditions) for s in statuses))
    for notice in NOTICES:
        near = sum(s.serving is not None and s.serving.notice == notice for s in statuses)
        metrics.LAPSE.labels(namespace, notice.removesuffix("d")).set(near)
    for name in facts.registered:
        serving = decisions[name].status.serving
        metrics.VALID_UNTIL.labels(namespace, name).set(serving.valid_until.timestamp() if serving else 0)
