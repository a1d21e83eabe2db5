"""Builds an Input in few words: day 0 is START, people are names, a template is a word, a record is about the current subject unless it names one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiqms.api.clearance import Entry, Orphan
from aiqms.api.deployment import Control, DeploymentSpec, DeploymentStatus, Workload
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.record import RecordSpec
from aiqms.api.values import Json
from aiqms.policy.clearing import is_live
from aiqms.policy.decide import decide
from aiqms.policy.digests import digest
from aiqms.policy.facts import Broken, Decision, Input, PodFacts, Procedure, Record, WorkloadFacts
from aiqms.policy.subject import subject

START = datetime(2027, 1, 1, tzinfo=UTC)
HEX = {letter: "sha256:" + letter * 64 for letter in "0123456789abcdef"}
CURRENT = HEX["c"]  # stands for the fingerprint of the current subject until given() knows it
MODEL = "aiqms.dev/model"


def day(number: float) -> datetime:
    """That many days after START."""
    return START + timedelta(days=number)


def spec(**changes: Any) -> DeploymentSpec:
    """A register entry, with fields (in snake case) other than usual."""
    usual: Json = {
        "intended_purpose": "score credit applications",
        "risk_class": "High",
        "role": "Provider",
        "owner": {"name": "Lending Models", "contact": "lending@bank.example"},
        "model": {"name": "credit-llm", "version": "4.2.0", "uri": "oci://bank.example/credit-llm", "digest": HEX["1"]},
        "datasets": [],
        "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit-scoring"}],
    }
    return DeploymentSpec.model_validate(usual | changes)


def procedure(
    name: str = "high-risk",
    roles: Mapping[str, int] | None = None,
    *,
    valid_for: str | None = None,
    lapse: str = "Hold",
    change: str | None = None,
    audit: bool = False,
    distinct: bool = True,
    **more: Any,
) -> Procedure:
    """A procedure. roles: name -> count; lapse: `Hold`, `Hold 7d` or `Stop`; change: onChange.grace."""
    action, _, grace = lapse.partition(" ")
    approvals = {
        "roles": [{"role": r, "count": n, "validFor": valid_for} for r, n in (roles or {"model-owner": 1}).items()],
        "since": more.pop("since", None),
        "separationOfDuties": "DistinctPeople" if distinct else "None",
        "obligations": more.pop("obligations", []),
    }
    usual: Json = {
        "title": "High-risk inference",
        "revision": 1,
        "owner": "Head of AI Quality",
        "enforcement": "Audit" if audit else "Enforce",
        "onLapse": {"action": action, "grace": grace or None},
        "onChange": {"grace": change},
        "approvals": approvals,
    }
    return Procedure(name, ProcedureSpec.model_validate(usual | more))


def record(decision: str, person: str, role: str, at: float, *, name: str = "", of: str = CURRENT, authorized: bool = True, **more: Any) -> Record:
    """An ApprovalRecord made on that day. name: else DECISION-PERSON."""
    said: Json = {
        "deployment": "credit-scoring",
        "subject": of,
        "role": role,
        "decision": decision,
        "approver": {"username": person, "authorized": authorized} if person else None,
    }
    return Record(name=name or f"{decision.lower()}-{person}", created=day(at), spec=RecordSpec.model_validate(said | more))


def approve(person: str, role: str = "model-owner", at: float = 0, **more: Any) -> Record:
    """An approval of the current subject."""
    return record("Approve", person, role, at, **more)


def reject(person: str, role: str = "model-owner", at: float = 0, **more: Any) -> Record:
    """A rejection of the current subject."""
    return record("Reject", person, role, at, **more)


def withdraw(person: str, taken: str, role: str = "model-owner", at: float = 0, **more: Any) -> Record:
    """Takes back the record of that name."""
    return record("Withdraw", person, role, at, withdraws=taken, **more)


def template(word: str, model: str | None = HEX["1"]) -> Json:
    """The normal form of a pod that differs from others by one word."""
    annotations = {MODEL: model} if model else {}
    pod = {"containers": [{"fields": {"name": "main", "image": f"bank.example/{word}"}}]}
    return {"pod": pod, "annotations": annotations, "labels": {}, "reads": {"annotations": [], "labels": []}, "stamp": False}


def workload(word: str | None = "v1", *, ref: str = "Deployment/credit-scoring", label: str | None = "credit-scoring", **more: Any) -> WorkloadFacts:
    """A workload of that template; word None: it does not exist. model: what its template declares."""
    kind, _, name = ref.partition("/")
    versions = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
    where = Workload.model_validate({"apiVersion": versions.get(kind, "apps/v1"), "kind": kind, "name": name})
    if word is None:
        return WorkloadFacts(where)
    form = template(word, more.pop("model", HEX["1"]))
    return WorkloadFacts(where, template=form, digest=digest(form), label=label, **more)


def pod(name: str, word: str = "v1", *, model: str | None = HEX["1"], **more: Any) -> PodFacts:
    """A pod of that template that runs; held=True: one that waits."""
    return PodFacts(name=name, uid=hashlib.sha256(name.encode()).hexdigest()[:8], template=template(word, model), held=more.pop("held", False), **more)


def fingerprint(of: Input) -> str:
    """Of the current subject."""
    if isinstance(of.spec, Broken):
        return CURRENT
    found = subject(of.spec, workloads=of.workloads, procedures=[p for p in of.procedures if isinstance(p, Procedure)])
    return found.fingerprint if found else CURRENT


def given(
    *records: Record,
    of: DeploymentSpec | Broken | None = None,
    procedures: Sequence[Procedure | tuple[str, Broken]] | None = None,
    workloads: Sequence[WorkloadFacts] | None = None,
    pods: Sequence[PodFacts] = (),
    entries: Sequence[Entry] = (),
    orphan: Orphan | None = None,
    **more: Any,
) -> Input:
    """Everything about deployment credit-scoring in namespace lending: by default one procedure that asks for a model-owner, and one workload."""
    bare = Input(
        namespace="lending",
        name="credit-scoring",
        spec=of or spec(),
        procedures=tuple(procedures if procedures is not None else [procedure()]),
        workloads=tuple(workloads if workloads is not None else [workload()]),
        pods=tuple(pods),
        entries=tuple(entries),
        orphan=orphan,
        **more,
    )
    return replace(bare, records=tuple(about(r, fingerprint(bare)) for r in records))


def about(of: Record, current: str) -> Record:
    """The record, about this subject where it is about the current one."""
    return replace(of, spec=of.spec.model_copy(update={"subject": current})) if of.spec.subject == CURRENT else of


def after(before: Input, at: datetime, *records: Record, **changes: Any) -> Input:
    """The Input that follows from deciding: what was decided is stored, then these records are added and these fields changed."""
    decision = decide(before, at)
    return change(fed(before, decision), *records, **changes)


def change(before: Input, *records: Record, **changes: Any) -> Input:
    """The Input with these records more and these fields (those of given()) other than before."""
    renamed: dict[str, Any] = {"spec" if name == "of" else name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    changed = replace(before, **renamed)
    return replace(changed, records=(*changed.records, *(about(r, fingerprint(changed)) for r in records)))


def fed(before: Input, decision: Decision) -> Input:
    """What was decided is stored: the Clearance's part and every status."""
    records = tuple(replace(r, before=decision.records.get(r.name)) for r in before.records)
    status = DeploymentStatus.model_validate_json(decision.status.model_dump_json(by_alias=True, exclude_none=True))
    entries = tuple(Entry.model_validate_json(e.model_dump_json(by_alias=True, exclude_none=True)) for e in decision.entries)
    return replace(before, records=records, before=status, entries=entries, orphan=decision.orphan)


def controls(of: Input, at: datetime) -> dict[str, tuple[str, str, str]]:
    """Result, reason and message of each control by its id, of those that are about approvals with their procedure."""
    return {_id(c): (c.result, c.reason, c.message) for c in decide(of, at).status.controls}


def _id(control: Control) -> str:
    return f"{control.procedure}/{control.id}" if control.procedure else control.id


def ready(decision: Decision) -> tuple[str, str, str]:
    """Status, reason and message of Ready."""
    (found,) = [c for c in decision.status.conditions if c.type == "Ready"]
    return found.status, found.reason, found.message


def cleared(decision: Decision, at: datetime) -> list[str]:
    """The words of the templates that admission lets through."""
    return ["audit" if e.audit else word(e) for e in decision.entries if is_live(e, at)]


def covered(decision: Decision) -> list[str]:
    """The words of the templates of every entry, also of those that admit nothing any more."""
    return ["audit" if e.audit else word(e) for e in decision.entries]


def word(entry: Entry) -> str:
    """The word that its template was made of."""
    assert entry.template
    image: str = entry.template["pod"]["containers"][0]["fields"]["image"]
    return image.rpartition("/")[2]
