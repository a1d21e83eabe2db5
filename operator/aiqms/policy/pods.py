"""Which pods to let go, and which to end. Level-triggered: what the Clearance says is carried out on whatever runs (DESIGN §2, the operator sweeps)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aiqms.api.clearance import Entry, Orphan
from aiqms.policy.clearing import covers, is_live, is_over
from aiqms.policy.facts import PodFacts, Record, Release, Removal


def releases(pods: Sequence[PodFacts], entries: Sequence[Entry], now: datetime) -> tuple[Release, ...]:
    """Held pods that a live entry covers, with the fingerprint to stamp; in Audit every held pod, without one."""
    live = [e for e in entries if is_live(e, now)]
    if any(e.audit for e in live):
        return tuple(Release(p.name, p.uid, None) for p in pods if p.held and not p.going)
    found = [(p, next((e for e in live if e.template == p.template), None)) for p in pods if p.held and not p.going]
    return tuple(Release(p.name, p.uid, e.fingerprint) for p, e in found if e)


def stopped(pods: Sequence[PodFacts], why: str) -> tuple[Removal, ...]:
    """Stop means zero: every pod that is not held goes, also those older than the gate; each keeps its own termination grace (DESIGN invariant 5)."""
    return tuple(Removal(p.name, p.uid, why) for p in pods if not p.held and not p.going)


def removals(pods: Sequence[PodFacts], entries: Sequence[Entry], records: Sequence[Record], orphan: Orphan | None, now: datetime) -> tuple[Removal, ...]:
    """Un-held pods that nothing covers, and a StatefulSet's held pods of an old revision. Pods older than the Clearance are never touched."""
    let = [p for p in pods if not p.held and not p.going and not p.before]
    covering = [e for e in entries if e.audit or not is_over(e, records, now)]
    spared = orphan is not None and (orphan.stop_at is None or now < orphan.stop_at)
    swept = [] if spared else [Removal(p.name, p.uid, _why(p, entries)) for p in let if not covers(covering, p.template)]
    waiting = [p for p in pods if p.held and not p.going and p.outdated and not covers([e for e in entries if is_live(e, now)], p.template)]
    return (*swept, *(Removal(p.name, p.uid, "a held pod of an old revision, which its StatefulSet does not replace") for p in waiting))


def _why(pod: PodFacts, entries: Sequence[Entry]) -> str:
    known = any(e.template == pod.template for e in entries if not e.audit)
    return "its clearance has lapsed, and onLapse or onChange stops it" if known else "no clearance covers it"
