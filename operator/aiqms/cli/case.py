"""What a person decides about: one deployment, its records, and who asks. Reading, and pure questions to what was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli.connection import Connection
from aiqms.cli.reading import deployment_of, procedures_of, records_of
from aiqms.cli.rights import Rights, whoami
from aiqms.cli.times import end_in
from aiqms.gate.rules import EDITORS
from aiqms.policy.accountability import AUTHOR

ANNOUNCED = timedelta(days=14)  # how long before its end a permission is said to lapse


@dataclass(frozen=True)
class Place:
    """How far one role of one procedure has come."""

    role: str
    procedure: str
    required: int
    given: int
    by: tuple[str, ...]

    @property
    def short(self) -> bool:
        return self.given < self.required


@dataclass(frozen=True)
class Case:
    """me: the user name of who asks. deployment: None where nothing of that name is registered. records: of it alone. None: may not be read."""

    connection: Connection
    rights: Rights
    me: str
    name: str
    deployment: Json | None
    records: tuple[Json, ...] | None = ()
    procedures: Mapping[str, Json] | None = None  # spec of each, by name

    @property
    def namespace(self) -> str:
        return self.connection.namespace

    @property
    def status(self) -> Json:
        return (self.deployment or {}).get("status") or {}

    @property
    def fingerprint(self) -> str | None:
        """Of the current subject."""
        return (self.status.get("subject") or {}).get("fingerprint")

    @property
    def places(self) -> tuple[Place, ...]:
        found = self.status.get("approvals") or []
        return tuple(Place(p["role"], p["procedure"], p["required"], p["given"], tuple(p.get("by") or ())) for p in found)

    @property
    def behind(self) -> bool:
        """Whether the operator has not looked at the latest change yet."""
        return bool(self.deployment) and self.status.get("observedGeneration", 0) < (self.deployment or {})["metadata"].get("generation", 0)

    @property
    def editors(self) -> list[str]:
        """Who changed the register entry since it was last approved, as admission noted it."""
        return str(((self.deployment or {}).get("metadata", {}).get("annotations") or {}).get(EDITORS, "")).split("\n")

    @property
    def notice(self) -> str:
        """How near the end of what is cleared is, once that is announced: 14d, 7d or 1d."""
        return str((self.status.get("serving") or {}).get("notice") or "")

    def authority(self, part: str) -> list[str] | None:
        """The roles that the procedures name under `stop` or `emergency`; of every procedure where none applies. None: these may not be read."""
        applying = self.status.get("procedures") or []
        if applying and all(f"{part}Roles" in p for p in applying):
            return list(dict.fromkeys(r for p in applying for r in p[f"{part}Roles"]))
        if self.procedures is None:
            return None
        named = [p["name"] for p in applying] or list(self.procedures)
        return list(dict.fromkeys(r for name in named for r in ((self.procedures.get(name) or {}).get(part) or {}).get("roles") or []))


def read(connection: Connection, name: str) -> Case:
    """Everything that may be read about a deployment and who asks. Raises NotInstalled, Refused and CannotAsk."""
    deployment = deployment_of(connection, name)
    case = Case(connection=connection, rights=Rights(connection), me=whoami(connection), name=name, deployment=deployment)
    return replace(case, records=records_of(connection, name), procedures=procedures_of(connection))


def again(case: Case) -> Case:
    """The same case with the deployment as it is now."""
    return replace(case, deployment=deployment_of(case.connection, case.name))


def counts(record: Json) -> bool:
    """Whether the record counts, as far as the operator has judged it."""
    return bool((record.get("status") or {}).get("counts", True))


def who(record: Json) -> str:
    """Its author."""
    return str((record["spec"].get("approver") or {}).get("username", ""))


def of(records: Iterable[Json] | None, decision: Decision) -> list[Json]:
    """Those of one decision, newest first."""
    found = [r for r in records or () if r["spec"]["decision"] == decision]
    return sorted(found, key=lambda r: (r["metadata"]["creationTimestamp"], r["metadata"]["name"]), reverse=True)


def given(case: Case, *, subject: str, role: str) -> Json | None:
    """The person's own approval of the subject in the role that counts already."""
    mine = (r for r in of(case.records, Decision.APPROVE) if who(r) == case.me and counts(r) and not r["spec"].get("reviews"))
    return next((r for r in mine if (r["spec"].get("subject"), r["spec"]["role"]) == (subject, role)), None)


def stops(case: Case) -> list[Json]:
    """The Stops that stand, newest first."""
    return [r for r in of(case.records, Decision.STOP) if counts(r)]


def stopping(case: Case) -> list[str]:
    """The roles in which it was stopped, so that they are stop roles, whatever procedures say."""
    return list(dict.fromkeys(r["spec"]["role"] for r in stops(case)))


def resuming(case: Case) -> list[str] | None:
    """The roles that can lift its Stops: in which it was stopped, should their procedure apply no more, and those that procedures name. None: not known."""
    named = case.authority("stop")
    return None if named is None else list(dict.fromkeys([*stopping(case), *named]))


def unreviewed(case: Case) -> list[Json]:
    """Emergencies of the deployment that were allowed and that nobody reviewed, newest first."""
    return unreviewed_of(case.records)


def unreviewed_of(records: Iterable[Json] | None) -> list[Json]:
    """The same of any records."""
    known = list(records or ())
    reviewed = {r["spec"]["reviews"] for r in known if r["spec"].get("reviews") and counts(r)}
    made = of(known, Decision.EMERGENCY)
    return [r for r in made if r["metadata"]["name"] not in reviewed and (r.get("status") or {}).get("reason") not in ("EmergencyNotAllowed", "NotAuthorized")]


def ending(records: Iterable[Json] | None, status: Json) -> list[Json]:
    """The approvals of what is cleared now that end about when its clearance does; none before that is announced, or where it is not the current subject."""
    serving, subject = status.get("serving") or {}, (status.get("subject") or {}).get("fingerprint")
    if not serving.get("notice") or serving.get("fingerprint") != subject:
        return []
    soon = datetime.fromisoformat(serving["validUntil"]) + ANNOUNCED
    found = [r for r in of(records, Decision.APPROVE) if counts(r) and r["spec"].get("subject") == subject and not r["spec"].get("reviews")]
    return [r for r in found if (end := end_in((r.get("status") or {}).get("message", ""))) and end <= soon]


def barred(case: Case, role: str) -> bool:
    """Whether the person changed what is approved, and every procedure that names the role wants others to approve."""
    naming = {p.procedure for p in case.places if p.role == role}
    strict = {c.get("procedure") for c in case.status.get("controls") or [] if c["id"] == AUTHOR}
    return bool(naming) and case.me in case.editors and naming <= strict


def elsewhere(case: Case, role: str) -> str:
    """Another role of the same procedures in which the person counts already, so that a second approval adds nothing where people must differ."""
    naming = {p.procedure for p in case.places if p.role == role}
    alike = {name for name in naming if _separation(case, name) == "None"}
    return next((p.role for p in case.places if p.role != role and p.procedure in naming - alike and case.me in p.by), "")


def _separation(case: Case, procedure: str) -> str:
    return str((((case.procedures or {}).get(procedure) or {}).get("approvals") or {}).get("separationOfDuties", "DistinctPeople"))


def reviewing(case: Case, procedure: str) -> list[str]:
    """The roles that review who can do what under a procedure; none where it asks for no reviews, or may not be read."""
    spec = (case.procedures or {}).get(procedure) or {}
    asked = spec.get("access") or {}
    return [] if not asked.get("reviewEvery") else list(asked.get("reviewRoles") or [r["role"] for r in spec["approvals"]["roles"]])


def waiting(case: Case) -> list[str]:
    """The roles that are short of approvals."""
    return list(dict.fromkeys(p.role for p in case.places if p.short))


def helpful(case: Case, roles: Iterable[str]) -> list[str]:
    """Those roles in which an approval by this person would count."""
    free = [r for r in roles if not any(case.me in p.by for p in case.places if p.role == r)]
    return [r for r in case.rights.of(free, Decision.APPROVE) if not barred(case, r) and not elsewhere(case, r)]
