"""The operator as a process: kopf for start, signals and end; two replicas watch, the holder of the Lease writes."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import kopf
from aiohttp import web
from prometheus_client import REGISTRY, generate_latest

from aiqms import logs, metrics, settings
from aiqms.api.crds import PROCEDURE
from aiqms.api.values import API_VERSION
from aiqms.cluster.caches import Caches, caches, reflectors
from aiqms.cluster.client import Client, configuration, path
from aiqms.cluster.ghosts import Census
from aiqms.cluster.inputs import InputReader
from aiqms.cluster.lease import Lease, Succession
from aiqms.cluster.probe import dial
from aiqms.cluster.store import Store
from aiqms.controllers import handlers
from aiqms.controllers.apply import Applier
from aiqms.controllers.logs import Logs
from aiqms.controllers.network import Networks, Probing
from aiqms.controllers.queue import Queue
from aiqms.controllers.reconcile import Reconciler

log = logging.getLogger("aiqms")
_PATIENCE = (1, 1, 2, 3, *[5] * 100)  # seconds between kopf's tries of one request; after the last it gives up, and the process with it
_THRESHOLDS = (200_000, 10, 10)  # objects more than before at which cycles are looked for: one namespace of many deployments makes more than the usual 700
LEASE = ACCOUNT = "aiqms-operator"


@dataclass
class Operator:
    """Everything of one process. synced: the caches are complete; stop: set to end the process, failed: with an error."""

    settings: settings.Settings
    queue: Queue = field(default_factory=Queue)
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False
    leading: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.caches: Caches = caches(self.settings.rules, self.queue.add, self._everything)

    def _everything(self) -> None:
        for namespace in self.caches.concerned():
            self.queue.add(namespace)

    def listed(self, store: Store[Any]) -> None:
        """kopf lists a kind, at the start or anew."""
        for census in self.censuses:
            if census.store is store:
                census.listed_anew()

    async def start(self) -> None:
        """Begins to watch, to serve its endpoints and to stand for leader."""
        self.client = Client(await configuration())
        self.lease = Lease(self.client, self.settings.namespace, LEASE, self.settings.identity)
        self.watching = reflectors(self.client, self.caches)
        self.censuses = [
            Census(self.client, self.caches.procedures, path(API_VERSION, PROCEDURE.plural)),
            Census(self.client, self.caches.namespaces, path("v1", "namespaces")),
        ]
        self.runner = await serve(self)
        self._task(self._lead())
        for work in (*(r.run() for r in self.watching), *(c.run() for c in self.censuses)):
            self._task(work)

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self.tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """No task of these ends by itself: if one does, the process starts anew rather than going on without it."""
        if task.cancelled() or self.stop.is_set():
            return
        log.error("a task ended, so the operator stops", exc_info=task.exception())
        self.failed = True
        self.stop.set()

    async def _lead(self) -> None:
        gc.disable()  # what is read first is there to stay and has no cycles: looking for some in it again and again takes longer than reading it
        for reflector in self.watching:
            await reflector.synced.wait()
        for census in self.censuses:
            await census.complete()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()
        self.synced.set()
        log.info("caches complete", extra={"namespaces": len(self.caches.concerned())})
        succession = await self.lease.acquire()
        # One that stood by through an outage has the Lease before all of its watches are back, and must not decide on what it knew before.
        for reflector in self.watching:
            await reflector.current.wait()
        self.leading = True
        metrics.LEADING.set(1)
        epoch = self._epoch(succession)
        log.info("leading", extra={"succession": succession.value, "epoch": epoch, "identity": self.settings.identity})
        await self._work(epoch)

    def _epoch(self, succession: Succession) -> int:
        """The highest seen; one more where the leader before may still be writing, which its writes then cannot any more."""
        seen = [c.epoch for ns in self.caches.clearances.namespaces() for _, c in self.caches.clearances.within(ns)]
        return max(seen, default=0) + (succession is Succession.UNCLEAN)

    async def _work(self, epoch: int) -> None:
        """Returns when the Lease is lost, raises when a worker does; either ends the process."""
        reader = InputReader(self.client, self.caches)
        writing = self.client.fenced(self.lease.left)
        applier = Applier(writing, self.caches, reader, epoch, self.settings.identity)
        probing = Probing(dial(self.settings.network_probe) if self.settings.network_probe else None, self._everything)
        logs = Logs(self.client, (self.settings.namespace, ACCOUNT), self.queue.add)
        reconciler = Reconciler(self.caches, self.queue, reader, applier, Networks(writing, self.caches, probing), logs)
        self._everything()
        workers = [asyncio.create_task(w) for w in (self.lease.keep(), probing.run(), *(reconciler.work() for _ in range(self.settings.workers)))]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            await _cancelled([*workers, *logs.tasks()])
        for worker in workers:
            if not worker.cancelled() and (error := worker.exception()):
                raise error

    async def end(self) -> None:
        """A clean goodbye: no work under way, the Lease given back."""
        self.stop.set()
        led = self.leading
        await _cancelled(self.tasks)
        self.queue.close()
        if led and not self.failed:
            await self.lease.release()
        await self.runner.cleanup()
        await self.client.close()
        log.info("ended")


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def serve(operator: Operator) -> web.AppRunner:
    """/healthz while the event loop turns, /readyz when the caches are complete, /metrics: all, or those that each ?name[]= names."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if not operator.synced.is_set():
            waiting = [r.at for r in operator.watching if not r.synced.is_set()] or ["kopf's kinds"]
            return web.Response(status=503, text=f"waiting for the first list of {', '.join(waiting)}")
        return web.Response(text="leading" if operator.leading else "standing by")

    async def scrape(request: web.Request) -> web.Response:
        names = request.query.getall("name[]", [])
        shown = generate_latest(REGISTRY.restricted_registry(names) if names else REGISTRY)
        return web.Response(body=shown, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=operator.settings.port).start()
    return runner


def registry(operator: Operator) -> kopf.OperatorRegistry:
    """kopf's handlers: start, end, and the few kinds."""
    made = kopf.OperatorRegistry()

    @kopf.on.startup(registry=made)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False  # our own events alone
        settings.scanning.disabled = True  # the kinds are known: no watch on CRDs
        settings.networking.error_backoffs = _PATIENCE
        await operator.start()

    @kopf.on.cleanup(registry=made)
    async def end(**_: Any) -> None:
        await operator.end()

    @kopf.on.login(registry=made)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_via_client(**kwargs)

    handlers.register(made, operator.caches, operator.listed)
    return made


async def run(made: settings.Settings) -> int:
    """Until a signal or a failure; the exit code."""
    operator = Operator(made)
    # Without one kopf asks for its user's name, and ends where the image has none for the number that it runs as.
    identity: Any = made.identity
    await kopf.operator(registry=registry(operator), identity=identity, clusterwide=True, standalone=True, stop_flag=operator.stop)
    return 1 if operator.failed else 0


def main() -> None:
    """The command `aiqms-operator`."""
    try:
        made = settings.read()
    except ValueError as error:
        sys.exit(f"aiqms-operator: {error}")
    logs.configure(made.log_level, as_json=made.log_json)
    sys.exit(asyncio.run(run(made)))
