"""Procedures that do not apply now, and under which somebody stopped the deployment or broke its glass: whoever edits the register sheds neither.

A tenant may change riskClass or role, so that another procedure applies. A Stop stands until a stop role of its own procedure resumes, and an Emergency
has to be reviewed as its own procedure says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiqms.api.clearance import Entry
from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import Decision
from aiqms.policy.approvals import authentic
from aiqms.policy.emergency import counted_once
from aiqms.policy.facts import Elsewhere, Procedure, Record
from aiqms.policy.stops import stood, was_lifted


@dataclass(frozen=True)
class Others:
    """The procedures that do not apply, by name. near: the names of those that would to another register entry of the namespace."""

    procedures: tuple[Procedure, ...]
    near: frozenset[str]


def elsewhere(others: Others, records: Sequence[Record], entries: Iterable[Entry], before: DeploymentStatus) -> tuple[Elsewhere, ...]:
    """As far as anybody remembers which procedures applied: by the last status, and by what is still cleared under their terms."""
    known = others.procedures
    applied = {p.name for p in before.procedures}
    remembered = applied | {c.procedure for c in before.controls} | {t.procedure for e in entries for t in e.terms or []}
    found = {name: (list[str](), list[str]()) for name in (p.name for p in known)}
    for record in (r for r in records if r.spec.decision in (Decision.STOP, Decision.EMERGENCY) and authentic(r)):
        for procedure in _of(record, others, applied, remembered):
            found[procedure.name][record.spec.decision is Decision.EMERGENCY].append(record.name)
    return tuple(Elsewhere(p, tuple(found[p.name][0]), tuple(found[p.name][1])) for p in known if any(found[p.name]))


def _of(record: Record, others: Others, applied: Collection[str], remembered: Collection[str]) -> Iterator[Procedure]:
    """Those under which it was made: that name its role, and are remembered or, where none is, near. What was never judged is of those that applied last."""
    naming = [p for p in others.procedures if record.spec.role in _roles(p, record)]
    if record.before is None:
        yield from (p for p in naming if p.name in applied)
    elif _counted(record):
        yield from [p for p in naming if p.name in remembered] or [p for p in naming if p.name in others.near]


def _roles(procedure: Procedure, record: Record) -> Sequence[str]:
    terms = {Decision.STOP: procedure.spec.stop, Decision.EMERGENCY: procedure.spec.emergency}.get(record.spec.decision)
    return terms.roles if terms else ()


def _counted(record: Record) -> bool:
    return stood(record) and not was_lifted(record) if record.spec.decision is Decision.STOP else counted_once(record)
