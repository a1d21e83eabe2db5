"""Stop and Resume: who stopped the deployment, and whether everybody who has to let it go on did (AI Act Art. 14(4)(e), DESIGN invariant 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiqms.api.record import Decision
from aiqms.policy.approvals import authentic, by_age
from aiqms.policy.facts import Record

StopRoles = Mapping[str, Sequence[str]]  # procedure -> the roles that can stop; of every procedure there is, where none applies


def standing_stops(records: Sequence[Record], roles: StopRoles) -> list[Record]:
    """Stops that nobody lifted, oldest first: any one role of any procedure stops."""
    known = {role for each in roles.values() for role in each}
    stops = [r for r in by_age(records) if r.spec.decision is Decision.STOP and authentic(r) and r.spec.role in known]
    return [s for s in stops if not lifted_by(s, records, roles)]


def lifted_by(stop: Record, records: Sequence[Record], roles: StopRoles) -> list[Record]:
    """The Resumes that lift a Stop: later ones, by a stop role of every procedure that stops; none while one procedure's is missing.

    The API server dates records to the second, so one of the same second lifts nothing: stopped is the safe side.
    """
    resumes = [r for r in by_age(records) if r.spec.decision is Decision.RESUME and authentic(r) and r.created > stop.created]
    by_procedure = [[r for r in resumes if r.spec.role in each] for each in roles.values() if each]
    return [found[0] for found in by_procedure] if by_procedure and all(by_procedure) else []


def missing_to_resume(stop: Record, records: Sequence[Record], roles: StopRoles) -> dict[str, Sequence[str]]:
    """Procedures whose stop role has not resumed yet, and their roles."""
    resumes = {r.spec.role for r in records if r.spec.decision is Decision.RESUME and authentic(r) and r.created > stop.created}
    return {name: each for name, each in roles.items() if each and not resumes & set(each)}
