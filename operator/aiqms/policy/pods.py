"""Which pods to let go, and which to end. Level-triggered: what the Clearance says is carried out on whatever runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from aiqms.api.clearance import Entry, Orphan
from aiqms.policy.clearing import Kept, covers, is_live, running
from aiqms.policy.facts import PodFacts, Release, Removal


def releases(pods: Sequence[PodFacts], entries: Sequence[Entry], now: datetime) -> tuple[Release, ...]:
    """Held pods that a live entry covers, with the fingerprint to stamp; in Audit every held pod, without one."""
    live = [e for e in entries if is_live(e, now)]
    waiting = [p for p in pods if p.held and not p.going]
    if any(e.audit for e in live):
        return tuple(Release(p.name, p.uid, None) for p in waiting)
    found = [(p, next((e for e in live if e.template == p.template), None)) for p in waiting]
    return tuple(Release(p.name, p.uid, e.fingerprint) for p, e in found if e)


def stopped(pods: Sequence[PodFacts], why: str) -> tuple[Removal, ...]:
    """Stop means zero: every pod that is not held goes, also those older than the gate; each keeps its own termination grace (invariant 5)."""
    return tuple(Removal(p.name, p.uid, why) for p in pods if not p.held and not p.going)


def uncovered(pods: Sequence[PodFacts], kept: Sequence[Kept], now: datetime) -> list[PodFacts]:
    """Pods that run and that nothing covers. Those older than the Clearance are never touched."""
    covering = [k.entry for k in kept if not k.over(now)]
    return [p for p in running(pods) if not covers(covering, p.template)]


def removals(pods: Sequence[PodFacts], kept: Sequence[Kept], orphan: Orphan | None, why: Callable[[PodFacts], str], now: datetime) -> tuple[Removal, ...]:
    """Uncovered pods, unless a former registration gives them time, and a StatefulSet's held pods of an old revision."""
    spared = orphan is not None and (orphan.stop_at is None or now < orphan.stop_at)
    swept = [] if spared else [Removal(p.name, p.uid, why(p)) for p in uncovered(pods, kept, now)]
    live = [k.entry for k in kept if is_live(k.entry, now)]
    waiting = [p for p in pods if p.held and p.outdated and not p.going and not p.before and not covers(live, p.template)]
    return (*swept, *(Removal(p.name, p.uid, "a held pod of an old revision, which its StatefulSet does not replace") for p in waiting))
