"""Stops, Resumes, Emergencies and their reviews in few words, on top of given.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aiqms.api.values import Json
from aiqms.policy.decide import decide
from aiqms.policy.elsewhere import Others, elsewhere
from aiqms.policy.facts import Broken, Input, Procedure, Record
from tests.unit.policy.given import CURRENT, change, fed, given, procedure, record

GLASS: Json = {"roles": ["on-call"], "maxDuration": "4h", "reviewWithin": "2d"}


def stops(name: str = "high-risk", *roles: str, **more: Any) -> Procedure:
    """A procedure that these roles (else incident-commander) can stop."""
    return procedure(name, stop={"roles": list(roles or ["incident-commander"])}, **more)


def breaks(name: str = "high-risk", *, glass: Json | None = None, **more: Any) -> Procedure:
    """A procedure that on-call may clear in an emergency, for four hours, to be reviewed within two days."""
    return procedure(name, emergency=GLASS | (glass or {}), **more)


def stop(person: str = "ida", role: str = "incident-commander", at: float = 2, *, marked: bool = True, **more: Any) -> Record:
    """A Stop, marked by admission."""
    return replace(record("Stop", person, role, at, **{"rationale": "it answers nonsense"} | more), marked=marked)


def resume(person: str = "ida", role: str = "incident-commander", at: float = 3, **more: Any) -> Record:
    """A Resume."""
    return record("Resume", person, role, at, **more)


def emergency(person: str = "otto", role: str = "on-call", at: float = 1, *, of: str = CURRENT, **more: Any) -> Record:
    """An Emergency for the current subject."""
    return record("Emergency", person, role, at, of=of, **{"rationale": "both owners are ill"} | more)


def review(person: str = "alice", role: str = "model-owner", at: float = 2, *, of: str = "emergency-otto", decision: str = "Approve", **more: Any) -> Record:
    """A look at an Emergency afterwards."""
    return record(decision, person, role, at, **{"name": f"review-{person}"} | more, reviews=of)


def asked(*records: Record, procedures: Sequence[Procedure | tuple[str, Broken]], **more: Any) -> Input:
    """As given(), with the stop roles of the procedures."""
    return given(*records, procedures=procedures, **{"stop_roles": stop_roles(procedures)} | more)


def stop_roles(procedures: Sequence[Procedure | tuple[str, Broken]]) -> dict[str, tuple[str, ...]]:
    """As the gatherer finds them where procedures apply."""
    readable = {p.name: tuple(p.spec.stop.roles) for p in procedures if isinstance(p, Procedure) and p.spec.stop}
    return readable | {p[0]: () for p in procedures if not isinstance(p, Procedure)}


def under(before: Input, *procedures: Procedure | tuple[str, Broken], **changes: Any) -> Input:
    """The Input once these procedures apply instead."""
    return change(before, procedures=list(procedures), stop_roles=stop_roles(procedures), **changes)


def moved(before: Input, *procedures: Procedure | tuple[str, Broken], left: Sequence[Procedure], **changes: Any) -> Input:
    """As under(), where those that are left still exist: the register changed, so that they apply no more."""
    found = under(before, *procedures, **changes)
    others = Others(tuple(left), frozenset(p.name for p in left if not p.spec.applies_to.namespaces))
    return replace(found, elsewhere=elsewhere(others, found.records, found.entries, found.before))


def carried_out(before: Input, at: datetime) -> Input:
    """What was decided is stored and carried out: marks are set, and the pods that end are gone."""
    decision = decide(before, at)
    ended = {r.pod for r in decision.removals}
    stored = fed(before, decision)
    marked = tuple(replace(r, marked=decision.marks.get(r.name, r.marked)) for r in stored.records)
    return replace(stored, records=marked, pods=tuple(p for p in stored.pods if p.name not in ended))
