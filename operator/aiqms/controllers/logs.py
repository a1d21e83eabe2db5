"""Checks of log sinks, beside the reconciler and never in it: one task a sink however many deployments share it, a few checks at once, back-off and jitter.

A decision reads what is known; when that changes, the namespaces that care are looked at again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from aiqms import metrics
from aiqms.api.conditions import Reason
from aiqms.controllers.gather import Gathered
from aiqms.policy.logs import Ask, Checked, Proof, Trouble
from aiqms.policy.sinks import Wanted, covers, falls_short, merged, wanted
from aiqms.retention.means import Objects, Sink

log = logging.getLogger(__name__)

_AT_ONCE, _SLOW = 8, 4  # checks under way: of sinks that did what is asked last, and of those that did not
_EACH = 2  # of them for one namespace, so that none keeps the others waiting
_LIMIT = 60.0  # seconds that a check may take beyond what its canary may
_FIRST = 5.0  # seconds until a sink that could not be asked, or does not do what is asked, is asked again; each time twice as long
_EAGER = 60.0  # seconds, at most, while it does not do what is asked: somebody mends it, and waits
Who = tuple[str, str, str]  # namespace, deployment, stream


@dataclass
class Watch:
    """One sink. wants: who needs it, and what of it."""

    sink: Sink
    wants: dict[Who, Wanted] = field(default_factory=dict)
    checked: Checked = field(default_factory=Checked)
    failures: int = 0  # in a row, to be asked; and below: to do what is asked
    shortfalls: int = 0
    stronger: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def ask(self) -> Ask:
        """The most that anybody asks."""
        return merged(w.ask for w in self.wants.values())

    @property
    def pause(self) -> float:
        """Seconds until the next check, a tenth more or less, so that many sinks are not asked in one moment."""
        usual = min(w.every for w in self.wants.values()).total_seconds()
        tries = max(self.failures, self.shortfalls)
        most = min(usual, _EAGER) if self.shortfalls else usual
        return (min(most, _FIRST * 2.0 ** min(tries - 1, 20)) if tries else usual) * random.uniform(0.9, 1.1)

    def answered(self, proof: Proof, ask: Ask) -> None:
        """It could be asked."""
        self.checked = self.checked.answered(proof, ask, _now())
        self.failures, self.shortfalls = 0, self.shortfalls + 1 if falls_short(proof, ask) else 0

    def unanswered(self, trouble: Trouble) -> None:
        """It could not."""
        self.checked = self.checked.unanswered(trouble)
        self.failures += 1


@dataclass
class Logs:
    """The checks of one leader. who: the operator itself, in what people have to allow; changed: told which namespace to look at again."""

    client: Objects
    who: tuple[str, str]
    changed: Callable[[str], None]
    watches: dict[str, Watch] = field(default_factory=dict)
    _of: dict[str, set[str]] = field(default_factory=dict)  # namespace -> keys
    _pending: dict[Who, datetime] = field(default_factory=dict)  # since when no check tells all that is asked, whichever sink is named meanwhile
    _measured: set[Who] = field(default_factory=set)
    _shares: dict[str, asyncio.Semaphore] = field(default_factory=dict)  # by namespace
    _healthy: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _ailing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SLOW))

    def settle(self, namespace: str, facts: Gathered) -> Gathered:
        """The facts with what is known of each stream's sink; from now on these sinks are asked, and no others for this namespace."""
        found: dict[str, dict[Who, Wanted]] = {}
        for name, given in facts.registered.items():
            for each in wanted(given):
                found.setdefault(each.key, {})[(namespace, name, each.registered.name)] = each
        self._want(namespace, found)
        known: dict[str, dict[str, Checked]] = {}
        for key, wants in found.items():
            for who, want in wants.items():
                known.setdefault(who[1], {})[who[2]] = self._known(who, want, self.watches[key].checked)
        registered = {name: replace(given, logs=known.get(name, {})) for name, given in facts.registered.items()}
        return replace(facts, registered=registered)

    def forget(self, namespace: str) -> None:
        """There is no such namespace any more."""
        self._want(namespace, {})

    def tasks(self) -> list[asyncio.Task[None]]:
        """To be cancelled at the end."""
        return [w.task for w in self.watches.values() if w.task]

    def _known(self, who: Who, want: Wanted, checked: Checked) -> Checked:
        """A stream whose sink is changed again and again is patiently waited for once, not each time."""
        if checked.ask and covers(checked.ask, want.ask):
            self._pending.pop(who, None)
            return replace(checked, since=None)
        return replace(checked, since=self._pending.setdefault(who, _now()))

    def _want(self, namespace: str, found: Mapping[str, dict[Who, Wanted]]) -> None:
        for key in self._of.pop(namespace, set()) - set(found):
            self._unwanted(key, namespace)
        if found:
            self._of[namespace] = set(found)
        else:
            self._shares.pop(namespace, None)
        for key, wants in found.items():
            self._wanted(key, namespace, wants)
        self._forgotten(namespace, {who for wants in found.values() for who in wants})

    def _forgotten(self, namespace: str, there: Collection[Who]) -> None:
        """Streams that nobody has any more leave no metrics."""
        gone = {who for who in self._measured if who[0] == namespace} - set(there)
        for who in gone:
            for gauge in (metrics.LOG_CHECKED, metrics.LOG_DELIVERED, metrics.LOG_CANARY_SECONDS):
                with contextlib.suppress(KeyError):
                    gauge.remove(*who)
        self._measured -= gone
        for who in [w for w in self._pending if w[0] == namespace and w not in there]:
            del self._pending[who]

    def _unwanted(self, key: str, namespace: str) -> None:
        watch = self.watches[key]
        watch.wants = {who: w for who, w in watch.wants.items() if who[0] != namespace}
        if not watch.wants:
            if watch.task:
                watch.task.cancel()
            del self.watches[key]

    def _wanted(self, key: str, namespace: str, wants: dict[Who, Wanted]) -> None:
        watch = self.watches.get(key)
        if watch is None:
            first = next(iter(wants.values()))
            watch = self.watches[key] = Watch(Sink(self.client, first.namespace, first.registered, self.who))
        watch.wants = {who: w for who, w in watch.wants.items() if who[0] != namespace} | wants
        if watch.checked.ask and not covers(watch.checked.ask, watch.ask):
            watch.stronger.set()
        if watch.task is None:
            watch.task = asyncio.create_task(self._watched(watch))

    async def _watched(self, watch: Watch) -> None:
        """Until cancelled."""
        while True:
            await self._once(watch)
            try:
                async with asyncio.timeout(watch.pause):
                    await watch.stronger.wait()
            except TimeoutError:
                pass
            watch.stronger.clear()

    async def _once(self, watch: Watch) -> None:
        share = self._shares.setdefault(min(watch.wants)[0], asyncio.Semaphore(_EACH))
        async with share, self._ailing if watch.failures or watch.shortfalls else self._healthy:
            before, ask = watch.checked, watch.ask
            try:
                async with asyncio.timeout(ask.within.total_seconds() + _LIMIT):
                    watch.answered(await watch.sink.check(ask, _now()), ask)
            except (Trouble, TimeoutError) as error:
                watch.unanswered(error if isinstance(error, Trouble) else Trouble(Reason.SINK_UNREACHABLE, _hung(watch, ask)))
            except Exception as error:  # a backend that somebody else wrote may fail in any way, and must not end the checks
                log.exception("log check failed", extra={"sink": watch.sink.registered.sink.endpoint})
                said = f"the backend failed ({type(error).__name__}): look at the operator's log"
                watch.unanswered(Trouble(Reason.ANSWER_UNREADABLE, said))
        self._told(watch, changed=watch.checked.says() != before.says())

    def _told(self, watch: Watch, *, changed: bool) -> None:
        """Metrics of every check; a look at each namespace when its answer is another one."""
        checked = watch.checked
        kind = type(watch.sink.registered.sink.chosen).__name__
        metrics.LOG_CHECKS.labels(kind, checked.trouble[0].value if checked.trouble else "Answered").inc()
        for who in watch.wants:
            self._measured.add(who)
            if checked.at:
                metrics.LOG_CHECKED.labels(*who).set(checked.at.timestamp())
            if checked.delivery and checked.delivered:
                metrics.LOG_DELIVERED.labels(*who).set(checked.delivered.timestamp())
                metrics.LOG_CANARY_SECONDS.labels(*who).set(checked.delivery.seconds)
        if changed:
            log.info("log sink checked", extra={"sink": watch.sink.registered.sink.endpoint or "volume", "why": checked.trouble[1] if checked.trouble else ""})
            for namespace in sorted({who[0] for who in watch.wants}):
                self.changed(namespace)


def _hung(watch: Watch, ask: Ask) -> str:
    return f"{watch.sink.registered.sink.endpoint or 'the volume'} did not answer everything within {ask.within.total_seconds() + _LIMIT:g} s"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
