"""Procedures that do not apply now, and under which somebody stopped the deployment or broke its glass: whoever edits the register sheds neither.

A tenant may change riskClass or role, so that another procedure applies. A Stop stands until a stop role of its own procedure resumes, and an Emergency
has to be reviewed as its own procedure says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from aiqms.api.clearance import Entry
from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import Decision
from aiqms.policy.approvals import authentic
from aiqms.policy.emergency import counted_once
from aiqms.policy.facts import Elsewhere, Procedure, Record
from aiqms.policy.stops import stood, was_lifted


def elsewhere(others: Iterable[Procedure], records: Sequence[Record], entries: Iterable[Entry], before: DeploymentStatus) -> tuple[Elsewhere, ...]:
    """others: the procedures that do not apply, by name."""
    known = list(others)
    applied = {p.name for p in before.procedures}
    remembered = applied | {c.procedure for c in before.controls} | {t.procedure for e in entries for t in e.terms or []}
    found = {name: (list[str](), list[str]()) for name in (p.name for p in known)}
    for record in (r for r in records if r.spec.decision in (Decision.STOP, Decision.EMERGENCY) and authentic(r)):
        for procedure in _of(record, known, applied, remembered):
            found[procedure.name][record.spec.decision is Decision.EMERGENCY].append(record.name)
    return tuple(Elsewhere(p, tuple(found[p.name][0]), tuple(found[p.name][1])) for p in known if any(found[p.name]))


def _of(record: Record, others: Iterable[Procedure], applied: Collection[str], remembered: Collection[str]) -> Iterator[Procedure]:
    """Those under which it was made: that name its role, and applied as far as anybody remembers. What was never judged is of those that applied last."""
    naming = [p for p in others if record.spec.role in _roles(p, record)]
    if record.before is None:
        yield from (p for p in naming if p.name in applied)
    elif _counted(record):
        yield from [p for p in naming if p.name in remembered] or naming


def _roles(procedure: Procedure, record: Record) -> Sequence[str]:
    terms = {Decision.STOP: procedure.spec.stop, Decision.EMERGENCY: procedure.spec.emergency}.get(record.spec.decision)
    return terms.roles if terms else ()


def _counted(record: Record) -> bool:
    return stood(record) and not was_lifted(record) if record.spec.decision is Decision.STOP else counted_once(record)
