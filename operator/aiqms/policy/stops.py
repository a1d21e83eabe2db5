"""Stop and Resume: who stopped the deployment, and whether everybody who has to let it go on did (AI Act Art. 14(4)(e), invariant 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiqms.api.conditions import Reason
from aiqms.api.record import Decision
from aiqms.policy.approvals import Records
from aiqms.policy.facts import Record

# procedure -> the roles that can stop, none of one that cannot be read; also of one under which a Stop was made; of every procedure, where none applies
StopRoles = Mapping[str, Sequence[str]]


def standing_stops(records: Records, roles: StopRoles) -> list[Record]:
    """Stops that nobody lifted, oldest first: any one role of any procedure stops."""
    return [s for s in records.authentic.get(Decision.STOP, ()) if can_stop(s, roles) and not was_lifted(s) and not lifted_by(s, records, roles)]


def can_stop(stop: Record, roles: StopRoles) -> bool:
    """Whether a procedure lets the Stop's role stop. One that stood once stands whatever applies now: whoever edits register or procedures lifts no Stop.

    While a procedure cannot be read nobody knows its roles, so every Stop stands.
    """
    return stood(stop) or any(not each or stop.spec.role in each for each in roles.values())


def stood(stop: Record) -> bool:
    """Whether it was once found to stand."""
    return stop.before is not None and stop.before.reason in (Reason.COUNTED, Reason.RESUMED)


def was_lifted(stop: Record) -> bool:
    """Lifted once, lifted for good: a procedure that comes later brings no old Stop back."""
    return stop.before is not None and stop.before.reason == Reason.RESUMED


def lifted_by(stop: Record, records: Records, roles: StopRoles) -> list[Record]:
    """The Resumes that lift a Stop: later ones, by a stop role of every procedure that stops; none while one procedure's is missing."""
    found = [[r for r in _later(stop, records) if r.spec.role in each] for each in roles.values()]
    return [resumes[0] for resumes in found] if found and all(found) else []


def missing_to_resume(stop: Record, records: Records, roles: StopRoles) -> dict[str, Sequence[str]]:
    """Procedures whose stop role has not resumed yet, and their roles."""
    resumed = {r.spec.role for r in _later(stop, records)}
    return {name: each for name, each in roles.items() if not resumed & set(each)}


def _later(stop: Record, records: Records) -> list[Record]:
    """The API server dates records to the second, so a Resume of the same second lifts nothing: stopped is the safe side."""
    return [r for r in records.authentic.get(Decision.RESUME, ()) if r.created > stop.created]


def waits(missing: Mapping[str, Sequence[str]]) -> str:
    """Whose Resume is missing, for a message."""
    named = "; ".join(f"{' or '.join(roles) or 'whom it names, once it can be read'} ({name})" for name, roles in sorted(missing.items()))
    return named or "a stop role, which no procedure names now"
