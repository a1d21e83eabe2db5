"""From what was read to what a person should know and do next. Pure: the same facts give the same explanation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.values import API_VERSION, Json
from aiqms.cli.facts import Facts
from aiqms.cli.mending import Mend, mend
from aiqms.cli.remedies import Way, remedy, renewal
from aiqms.cli.times import instant
from aiqms.gate.rules import GOVERNED, LABEL, OPERATOR_NAMESPACE
from aiqms.policy.words import plural, short

_LOOK = f"kubectl get deployment aiqms-operator -n {OPERATOR_NAMESPACE}"
BLOCKS = (Result.FAIL, Result.ERROR)
_END = "pods that run are stopped at"  # in a condition's message
# Conditions that are good while True; all others are there only while something is wrong.
_GOOD = ("Ready", "Approved", "SupplyVerified", "AccessEnforced", "LogsRetained")


@dataclass(frozen=True)
class Row:
    """A control. way: who can lift it and how, where it waits for a person; mend: what to change, where it waits for none."""

    id: str
    procedure: str
    result: Result
    reason: str
    message: str
    way: Way | None = None
    mend: Mend | None = None


@dataclass(frozen=True)
class Answers:
    """A duty, and who holds its role now. known: whether these are all."""

    duty: str
    role: str
    procedure: str
    who: tuple[str, ...]
    known: bool

    @property
    def nobody(self) -> bool:
        """A finding: nobody answers for it."""
        return self.known and not self.who


@dataclass(frozen=True)
class Step:
    """Something to create. what: who does it, and what for; manifest: the object."""

    what: str
    manifest: Json


@dataclass(frozen=True)
class Explanation:
    """What `explain` says. blocked: the current subject may not run (the command then ends with 1)."""

    namespace: str
    name: str
    blocked: bool
    headline: str
    phase: str = ""
    subject: str = ""
    changed: tuple[str, ...] = ()
    controls: tuple[Row, ...] = ()
    responsibilities: tuple[Answers, ...] = ()
    endpoints: tuple[Json, ...] = ()
    reads: Json = field(default_factory=dict)
    renewal: Way | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    def dump(self) -> Json:
        """Plain values for -o json and -o yaml."""
        return asdict(self)


def explain(facts: Facts) -> Explanation:
    """What stands in the way of a deployment, who can lift it, and how."""
    if facts.deployment is None:
        return _unregistered(facts)
    status = facts.deployment.get("status") or {}
    if not status:
        return _unseen(facts)
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    ready = conditions.get("Ready") or {}
    rows = tuple(_row(control, facts) for control in status.get("controls") or [])
    subject = status.get("subject") or {}
    return Explanation(
        namespace=facts.namespace,
        name=facts.name,
        blocked=ready.get("status") != "True",
        headline=_headline(status, ready, rows),
        phase=status.get("phase", ""),
        subject=subject.get("fingerprint", ""),
        changed=tuple(subject.get("changed") or []),
        controls=rows,
        responsibilities=tuple(Answers(d.duty, d.role, d.procedure, d.may.people, d.may.known) for d in facts.duties),
        endpoints=tuple(status.get("endpoints") or ()),
        reads=status.get("reads") or {},
        renewal=renewal(facts),
        notes=(
            *_conditions(conditions.values(), rows),
            *_behind(facts.deployment),
            *_ungoverned(facts, ready),
            *_judged_by(status),
            *_reached(status.get("endpoints") or []),
            *_reads(status.get("reads") or {}),
            *_logged(status.get("logs") or []),
            *_pods(status),
        ),
    )


def _headline(status: Json, ready: Json, rows: tuple[Row, ...]) -> str:
    failing, judged = sum(r.result in BLOCKS for r in rows), sum(r.result is not Result.SKIP for r in rows)
    phase = _spaced(status.get("phase") or "Held").upper()
    if failing:
        held = " (Audit: nothing is held)" if ready.get("reason") == Reason.AUDIT else ""
        return f"{phase}: {failing} of {judged} controls {'fails' if failing == 1 else 'fail'}{held}"
    if ready.get("reason") == Reason.EMERGENCY_IN_FORCE:
        return f"{phase} BY EMERGENCY: cleared for a while without its approvals"
    if ready.get("status") != "True":
        return f"{phase}: {ready.get('reason') or 'no verdict yet'}"
    return f"{phase}: all {judged} controls hold" if judged > 1 else phase


def _spaced(word: str) -> str:
    return "".join(f" {letter}" if letter.isupper() else letter for letter in word).strip()


def _row(control: Json, facts: Facts) -> Row:
    said = (control["id"], control.get("procedure", ""), Result(control["result"]), control["reason"], control["message"])
    return Row(*said, way=remedy(control, facts), mend=mend(control, facts))


def _conditions(conditions: Iterable[Json], rows: tuple[Row, ...]) -> list[str]:
    """What conditions say beyond the controls: each reason once."""
    told = {r.reason for r in rows if r.result is not Result.PASS}
    bad = {c["reason"]: c["message"] for c in conditions if (c["status"] == "True") != (c["type"] in _GOOD)}
    new = [f"{reason}: {message}" for reason, message in bad.items() if reason not in told]
    ends = [message[message.index(_END) :] for reason, message in bad.items() if reason in told and _END in message]
    return [*new, *ends]


def _behind(deployment: Json) -> list[str]:
    now, seen = deployment["metadata"].get("generation", 0), deployment["status"].get("observedGeneration", 0)
    if seen >= now:
        return []
    return [f"the operator has not looked at the latest change yet (generation {now}, seen {seen}); the gate holds meanwhile: {_LOOK}"]


def _ungoverned(facts: Facts, ready: Json) -> list[str]:
    if facts.governed is not False or ready.get("reason") == Reason.NAMESPACE_NOT_GOVERNED:
        return []
    how = f"kubectl label namespace {facts.namespace} {GOVERNED}=true"
    return [f"namespace {facts.namespace} is not governed, so the gate judges nothing there; whoever may edit it runs: {how}"]


def _pods(status: Json) -> list[str]:
    pods, serving, subject = status.get("pods") or {}, status.get("serving") or {}, status.get("subject") or {}
    running, held, before = pods.get("running", 0), pods.get("held", 0), pods.get("before", 0)
    parts = [_running(running, serving, subject)] * bool(running) + [_held(held, subject)] * bool(held) + [_before(before)] * bool(before)
    return ["; ".join(parts)] if parts else []


def _running(count: int, serving: Json, subject: Json) -> str:
    cleared, current = serving.get("fingerprint"), subject.get("fingerprint")
    until = f" (cleared until {instant(serving['validUntil'])})" if serving.get("validUntil") else ""
    if cleared and current and cleared != current:
        return f"{plural(count, 'pod')} of {short(cleared)} {_verb(count, 'goes', 'go')} on serving{until}"
    return f"{plural(count, 'pod')} {_verb(count, 'runs', 'run')}{until}"


def _held(count: int, subject: Json) -> str:
    of = f" of {short(subject['fingerprint'])}" if subject.get("fingerprint") else ""
    return f"{plural(count, 'pod')}{of} {_verb(count, 'is', 'are')} held"


def _before(count: int) -> str:
    return f"{plural(count, 'pod')} ran before the namespace was governed and {_verb(count, 'is', 'are')} left alone until the next start"


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _judged_by(status: Json) -> list[str]:
    """By which revisions, so that a changed procedure is seen on every deployment that it touches."""
    seen = [f"{p['name']} revision {p['revision']}{' (Audit)' if p.get('enforcement') == 'Audit' else ''}" for p in status.get("procedures") or []]
    return [f"judged by {', '.join(seen)}"] if seen else []


def _reached(endpoints: Iterable[Json]) -> list[str]:
    """By what the pods are reached, those first that the register does not name."""
    said = [_endpoint(e) for e in endpoints]
    return [f"reached by {'; '.join(said)}"] if said else []


def _endpoint(endpoint: Json) -> str:
    where = f" of namespace {endpoint['namespace']}" if endpoint.get("namespace") else ""
    at = f" at {', '.join(endpoint['at'])}" if endpoint.get("at") else ""
    return f"{endpoint['kind']}/{endpoint['name']}{where} ({endpoint['exposure']}{at}{'' if endpoint.get('registered') else ', not registered'})"


def _reads(reads: Json) -> list[str]:
    """What the pods read beside their images, by name."""
    parts = [f"{what} {', '.join(names)}" for what, names in (("Secrets", reads.get("secrets")), ("ConfigMaps", reads.get("configMaps"))) if names]
    parts += [f"volume {v['name']} ({_kept(v)})" for v in reads.get("volumes") or []]
    more = [f"{reads['omitted']} more"] if reads.get("omitted") else []
    return [f"reads {'; '.join([*parts, *more])}"] if parts else []


def _kept(volume: Json) -> str:
    named = f"{volume['kind']} {volume.get('claim', '')}".strip()
    return f"{named}, StorageClass {volume['storageClass']}" if volume.get("storageClass") else named


def _logged(logs: Iterable[Json]) -> list[str]:
    """Which store was asked about which stream, what it answered, and when at the latest."""
    return [f"log stream {log['stream']}: {_store(log)}" for log in logs]


def _store(log: Json) -> str:
    where = f"{log.get('backend') or 'a store'} at {log['endpoint']}" if log.get("endpoint") else log.get("backend") or "a store"
    kept = [f"keeps it for {log['kept']}"] if log.get("kept") else ["proves no period"]
    shown = [f"protection {log['protection']}"] if log.get("protection", "None") != "None" else []
    came = [f"a canary came back on {instant(log['deliveredAt'])} or later, sent {log['route']}"] if log.get("deliveredAt") else []
    asked = [f"answered on {instant(log['provenAt'])} or later"] if log.get("provenAt") else []
    return f"{where} {', '.join([*kept, *shown, *asked, *came])}"


def _unseen(facts: Facts) -> Explanation:
    note = f"the operator has not looked at it yet; is it running? {_LOOK}"
    return Explanation(namespace=facts.namespace, name=facts.name, blocked=True, headline="NO STATUS YET", notes=(note, *_ungoverned(facts, {})))


def _unregistered(facts: Facts) -> Explanation:
    what = "and not judged" if facts.governed is False else "and held until it is registered and approved"
    pods = [f"{plural(facts.pods, 'pod')} bearing label {LABEL}: {facts.name}, {what}"] if facts.pods else []
    others = [f"registered here: {', '.join(facts.registered)}"] if facts.registered else []
    step = Step(what="To register it, somebody who may edit the namespace fills in and applies", manifest=_register(facts))
    return Explanation(
        namespace=facts.namespace,
        name=facts.name,
        blocked=True,
        headline=f"NOT REGISTERED: namespace {facts.namespace} has no AIModelDeployment of this name",
        notes=(*others, *pods, *_ungoverned(facts, {})),
        steps=(step,),
    )


def _register(facts: Facts) -> Json:
    spec = {
        "intendedPurpose": "what it is for",
        "riskClass": "High",
        "role": "Provider",
        "owner": {"name": "who answers for it", "contact": "where to reach them"},
        "model": {"name": "model", "version": "1", "uri": "oci://registry.example/model", "digest": "sha256:" + "0" * 64},
        "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": facts.name}],
    }
    return {"apiVersion": API_VERSION, "kind": "AIModelDeployment", "metadata": {"name": facts.name, "namespace": facts.namespace}, "spec": spec}
