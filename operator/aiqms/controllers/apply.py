"""Apply: write what was decided. What restricts acts first; the Clearance is written before anything is released on its strength; then what people read."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from aiqms import metrics
from aiqms.api.clearance import NAME, ClearanceSpec, Entry
from aiqms.api.crds import CLEARANCE, DEPLOYMENT, RECORD
from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import RecordStatus
from aiqms.api.values import API_VERSION, Json
from aiqms.cluster.caches import Caches
from aiqms.cluster.client import MERGE, ApiError, Client, path
from aiqms.cluster.inputs import SECRETS, InputReader
from aiqms.controllers.gather import Gathered
from aiqms.gate.rules import DECISION, GATE, SUBJECT
from aiqms.policy.clearing import inputs_of, is_live
from aiqms.policy.facts import Decision, Release, Removal, Told
from aiqms.policy.records import unreadable
from aiqms.policy.words import plural

log = logging.getLogger(__name__)
T = TypeVar("T")

STALE = 0.25  # seconds after which every API server judges by a parameter just written: ten times the longest lag measured (docs/gate.md)
_RELEASE_AGAIN = (0.02, 0.04, 0.1, 0.2, 0.4)  # seconds: admission may not have the Clearance yet that the release stands on
_AT_ONCE = 16  # writes under way for one namespace
_VERDICTS = 200  # records that are told their verdict in one pass: more wait for the next, so that thousands keep no deployment beside them waiting
REPORTER = "aiqms.dev/operator"


class Changed(Exception):
    """An input changed between the decision and its freezing: decide again."""


class Deposed(Exception):
    """Another leader has stamped this Clearance: this process may write no more."""


@dataclass
class Applier:
    """Writes for one leader. epoch: stamped into every Clearance; instance: this process, in events."""

    client: Client
    caches: Caches
    reader: InputReader
    epoch: int
    instance: str

    async def apply(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision], now: datetime) -> bool:
        """Everything that was decided about one namespace; whether verdicts are left for another pass. Raises what kept a write from being made, in the end.

        What is stopped ends first, for a policy of its own keeps it from coming back; what lapsed ends once the Clearance admits no more of it.
        Without the Clearance nothing is released and nothing said; a pod that somebody's webhook will not let go keeps nothing else from being written.
        """
        halted, lapsed = ([(name, r) for name, d in decisions.items() if d.halted is first for r in d.removals] for first in (True, False))
        ended, ends = await self._end(namespace, halted)
        marks = await _tried(self._mark(namespace, name, standing=standing) for d in decisions.values() for name, standing in d.marks.items())
        cleared = await _tried([self._permit(namespace, facts, decisions, now)])
        _raise_first(failure for failure in cleared if isinstance(failure, Deposed))
        also, more = await self._end(namespace, lapsed)
        _raise_first([*cleared])
        ended, ends = [*ended, *also], [*ends, *more]
        releases = await _tried(self._release(namespace, r) for d in decisions.values() for r in d.releases)
        events = self._events(namespace, facts, decisions, ended)
        told = self._untold(namespace, facts, decisions)
        verdicts = [self._status(RECORD.plural, RECORD.kind, namespace, name, verdict) for name, verdict in told[:_VERDICTS]]
        said = await _tried([*self._statuses(namespace, facts, decisions), *events, *verdicts])
        _raise_first([*ends, *marks, *releases, *said])
        return len(told) > _VERDICTS

    async def _end(self, namespace: str, removals: Sequence[tuple[str, Removal]]) -> tuple[list[tuple[str, Removal]], list[BaseException | None]]:
        """The pods that are gone, and what kept each from going, if anything did."""
        failures = await _tried(self._remove(namespace, r) for _, r in removals)
        return [removal for removal, failure in zip(removals, failures, strict=True) if failure is None], failures

    # the Clearance

    async def _permit(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision], now: datetime) -> None:
        if facts.governed:
            await self._clear(namespace, facts, decisions, now)
        elif facts.clearance:
            await self._let_out(namespace, facts)

    async def open(self, namespace: str) -> None:
        """Makes the Clearance of a namespace that is governed from now on; it clears nothing."""
        await self._write(namespace, ClearanceSpec(epoch=self.epoch))

    async def _clear(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision], now: datetime) -> None:
        """Writes the Clearance where it differs. What is newly frozen is frozen first, and read again, before anything is permitted on its strength."""
        assert facts.clearance
        assert isinstance(facts.clearance.spec, ClearanceSpec)
        before, wanted = facts.clearance.spec, self._wanted(decisions, now)
        if before == wanted:
            return
        fresh = {*wanted.inputs, *wanted.rotating} - {*before.inputs, *before.rotating}
        if fresh:
            await self._write(namespace, wanted.model_copy(update={"deployments": restricted(wanted.deployments, before.deployments, now)}))
            await asyncio.sleep(STALE)
            await self._reread(namespace, fresh, wanted)
        await self._write(namespace, wanted)

    def _wanted(self, decisions: Mapping[str, Decision], now: datetime) -> ClearanceSpec:
        entries = {name: list(d.entries) for name, d in sorted(decisions.items()) if d.entries}
        inputs, rotating = inputs_of(entries, now)
        orphans = {name: d.orphan for name, d in sorted(decisions.items()) if d.orphan}
        return ClearanceSpec(epoch=self.epoch, orphans=orphans, inputs=inputs, rotating=rotating, deployments=entries)

    async def _reread(self, namespace: str, fresh: Iterable[str], wanted: ClearanceSpec) -> None:
        relied = {name: value for entries in wanted.deployments.values() for e in entries for name, value in (e.inputs or {}).items() if value}
        for name in sorted(n for n in fresh if n in relied and not n.startswith(SECRETS)):
            if await self.reader.fresh(namespace, name) != relied[name]:
                raise Changed(f"{name} changed while it was being frozen")

    async def _write(self, namespace: str, spec: ClearanceSpec) -> None:
        """As a whole, for nobody else writes it: of server-side apply half the time goes into reading hundreds of kilobytes as YAML (bench.clearance)."""
        seen = self.caches.clearance(namespace)
        body = _object(CLEARANCE.kind, namespace, NAME) | {"spec": spec.dump()}
        if seen:
            body["metadata"] |= {"uid": seen.uid, "resourceVersion": seen.version}
            write = self.client.replace(path(API_VERSION, CLEARANCE.plural, namespace, NAME), body)
        else:
            write = self.client.create(path(API_VERSION, CLEARANCE.plural, namespace), body)
        try:
            answer = await self._counted("clearances", write)
        except ApiError as error:
            if "replaced" in error.message and error.status == 422:
                raise Deposed(error.message) from error
            raise
        self.caches.clearances.put(answer)
        if stored := self.caches.clearance(namespace):
            metrics.CLEARANCE_BYTES.labels(namespace).set(stored.size)

    async def _let_out(self, namespace: str, facts: Gathered) -> None:
        """The namespace was taken out: its held pods go free, and the Clearance goes."""
        held = [(name, p) for name, p in self.caches.pods.within(namespace) if p.held and not p.going]
        _raise_first(await _tried(self._release(namespace, Release(name, p.uid, None)) for name, p in held))
        assert facts.clearance
        await self._counted("clearances", self.client.delete(path(API_VERSION, CLEARANCE.plural, namespace, NAME), uid=facts.clearance.uid))

    # pods

    async def _release(self, namespace: str, release: Release) -> None:
        """Takes the gate off and stamps the subject, in one patch; the API server judges it once more."""
        stamp = {"annotations": {SUBJECT: release.fingerprint}} if release.fingerprint else {}
        body = {"metadata": {"uid": release.uid, **stamp}, "spec": {"schedulingGates": [{"$patch": "delete", "name": GATE}]}}
        for pause in (*_RELEASE_AGAIN, None):
            try:
                answer = await self._counted("pods", self.client.merge(path("v1", "pods", namespace, release.pod), body))
            except ApiError as error:
                if error.status in (404, 409):
                    return
                if error.status != 403 or pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                self.caches.pods.wrote(answer)
                metrics.RELEASED.inc()
                log.info("released", extra={"namespace": namespace, "pod": release.pod, "fingerprint": release.fingerprint})
                return

    async def _remove(self, namespace: str, removal: Removal) -> None:
        await self._counted("pods", self.client.delete(path("v1", "pods", namespace, removal.pod), uid=removal.uid))
        metrics.REMOVED.inc()
        log.info("removed", extra={"namespace": namespace, "pod": removal.pod, "why": removal.why})

    async def _mark(self, namespace: str, name: str, *, standing: bool) -> None:
        """The label by which admission takes a Stop for standing, with no operator running."""
        body = {"metadata": {"labels": {DECISION: "Stop" if standing else None}}}
        answer = await self._counted("approvalrecords", self.client.merge(path(API_VERSION, RECORD.plural, namespace, name), body, content=MERGE))
        self.caches.records.wrote(answer)

    # what people read

    def _statuses(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision]) -> list[Awaitable[None]]:
        found = [(name, self.caches.deployments.get(namespace, name), decisions[name].status) for name in facts.registered]
        return [self._status(DEPLOYMENT.plural, DEPLOYMENT.kind, namespace, name, status) for name, seen, status in found if seen and seen.stored != status]

    def _untold(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision]) -> list[tuple[str, RecordStatus]]:
        """Records that say another verdict than this."""
        verdicts = {name: v for d in decisions.values() for name, v in d.records.items()}
        verdicts |= {name: unreadable(b) for name, b in facts.broken_records.items()}
        found = [(name, self.caches.records.get(namespace, name), status) for name, status in verdicts.items()]
        return [(name, status) for name, seen, status in found if seen and seen.stored != status]

    async def _status(self, plural: str, kind: str, namespace: str, name: str, status: DeploymentStatus | RecordStatus) -> None:
        try:
            answer = await self._counted(
                plural, self.client.apply(path(API_VERSION, plural, namespace, name, "status"), _object(kind, namespace, name) | {"status": status.dump()})
            )
        except ApiError as error:
            if not error.gone:
                raise
            return
        (self.caches.deployments if plural == DEPLOYMENT.plural else self.caches.records).wrote(answer)

    def _events(self, namespace: str, facts: Gathered, decisions: Mapping[str, Decision], ended: Sequence[tuple[str, Removal]]) -> list[Awaitable[None]]:
        said = {name: (*decisions[name].told, *_ended(r for of, r in ended if of == name)) for name in facts.registered}
        told = [(name, self.caches.deployments.get(namespace, name), each) for name, each in said.items()]
        return [
            self._tell(namespace, {"apiVersion": API_VERSION, "kind": DEPLOYMENT.kind, "namespace": namespace, "name": name, "uid": seen.uid}, say)
            for name, seen, each in told
            if seen
            for say in each
        ]

    async def _tell(self, namespace: str, regarding: Json, told: Told) -> None:
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{regarding['name'][:200]}-", "namespace": namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": REPORTER,
            "reportingInstance": self.instance[:128],
            "action": "Judge",
            "type": told.kind,
            "reason": told.reason,
            "note": told.note[:1000],
            "regarding": regarding,
        }
        await self._counted("events", self.client.create(path("events.k8s.io/v1", "events", namespace), body))

    async def _counted(self, resource: str, write: Awaitable[T]) -> T:
        metrics.WRITES.labels(resource).inc()
        return await write


def _ended(removals: Iterable[Removal]) -> list[Told]:
    """One event for all the pods that ended for the same reason."""
    reasons = Counter(r.why for r in removals)
    return [Told("Warning", "PodsStopped", f"{plural(count, 'pod')} ended: {why}") for why, count in reasons.items()]


def restricted(wanted: Mapping[str, list[Entry]], before: Mapping[str, list[Entry]], now: datetime) -> dict[str, list[Entry]]:
    """As wanted, less everything that permits more than before: what restricts may be written at once, what permits waits for its inputs to be frozen."""
    narrowed = {name: [_narrowed(e, before.get(name, []), now) for e in entries] for name, entries in wanted.items()}
    return {name: kept for name, entries in narrowed.items() if (kept := [e for e in entries if e])}


def _narrowed(entry: Entry, before: Iterable[Entry], now: datetime) -> Entry | None:
    old = next((e for e in before if e.fingerprint == entry.fingerprint and e.template == entry.template and e.audit == entry.audit), None)
    if old is None:
        return None if is_live(entry, now) and not entry.audit else entry
    ends = [e for e in (old.valid_until, entry.valid_until) if e]
    return entry.model_copy(update={"valid_until": min(ends)}) if ends else entry


def _object(kind: str, namespace: str, name: str) -> Json:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"namespace": namespace, "name": name}}


async def _tried(writes: Iterable[Awaitable[None]]) -> list[BaseException | None]:
    """All of them, a few at once; what kept each from being made, if anything did."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(write: Awaitable[None]) -> None:
        async with limit:
            await write

    return await asyncio.gather(*(one(w) for w in writes), return_exceptions=True)


def _raise_first(failures: Iterable[BaseException | None]) -> None:
    for failure in failures:
        if failure is not None:
            raise failure
