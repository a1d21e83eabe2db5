"""What changed since the last approval, down to the fields of the pods: the Clearance's templates against the workloads' own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aiqms.api.clearance import NAME
from aiqms.api.values import API_VERSION, Json
from aiqms.cli.connection import Connection, Refused
from aiqms.cluster.inputs import SECRETS, content
from aiqms.gate.difference import differences
from aiqms.gate.normal import inputs, template
from aiqms.gate.rules import DEFAULTS, OPERATOR_NAMESPACE, Rules
from aiqms.gate.workload import BY_KIND, pod_of
from aiqms.policy.facts import ABSENT

_ALL = 1_000  # lines of a difference: whoever decides sees every one
_GATE = (("AIQMS_PLAIN_RESOURCES", "plain_resources"), ("AIQMS_PUBLISHED_CONFIGMAPS", "published_config_maps"))
_INPUTS = {"configmaps": "/api/v1", "resourceclaims": "/apis/resource.k8s.io/v1", "resourceclaimtemplates": "/apis/resource.k8s.io/v1"}


@dataclass(frozen=True)
class Wanted:
    """A workload as it is now. inputs: resource/name -> digest of the content; of what may not be read, none."""

    ref: str
    template: Json
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """One workload (or one input) and the lines that say how it changed."""

    what: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """From the subject approved before to the current one. since: fingerprint approved before, empty where nothing was.

    risk_class: of the subject approved before. unseen: why something could not be compared.
    """

    since: str = ""
    until: str = ""
    components: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    risk_class: str = ""
    unseen: tuple[str, ...] = ()


def read(connection: Connection, deployment: Json, *, since: str = "") -> Change:
    """What changed, as far as the person may read it. since: the start of a fingerprint that the Clearance still knows; default: the last approved."""
    status = deployment.get("status") or {}
    current = (status.get("subject") or {}).get("fingerprint", "")
    try:
        entries = _entries(connection, deployment["metadata"]["name"])
    except Refused as refusal:
        return _without(status, current, f"what changed within the pods cannot be shown: {refusal}; ClusterRole aiqms-view in this namespace lets you read it")
    before = approved_before(entries, current, since=since)
    if not before:
        return Change(unseen=_why_nothing(since))
    wanted, unseen = _wanted(connection, deployment, gate_rules(connection))
    return Change(
        since=before[0]["fingerprint"],
        until=before[0].get("validUntil", ""),
        components=_components(before[0], status),
        parts=tuple(parts(before, wanted)),
        risk_class=before[0].get("riskClass") or "",
        unseen=tuple(unseen),
    )


def _why_nothing(since: str) -> tuple[str, ...]:
    return (f"no subject {since} is among those cleared: only what still serves, and what was approved last, is kept",) if since else ()


def _without(status: Json, current: str, why: str) -> Change:
    """What the status alone says."""
    serving = status.get("serving") or {}
    other = serving.get("fingerprint", "") if serving.get("fingerprint") != current else ""
    changed = tuple((status.get("subject") or {}).get("changed") or ())
    return Change(since=other, until=serving.get("validUntil", "") if other else "", components=changed, unseen=(why,) if changed else ())


def _entries(connection: Connection, name: str) -> list[Json]:
    try:
        found = connection.get(f"/apis/{API_VERSION}/namespaces/{connection.namespace}/clearances/{NAME}")
    except Refused as refusal:
        if refusal.code == 404:
            return []
        raise
    return list((found["spec"].get("deployments") or {}).get(name) or [])


def approved_before(entries: Iterable[Json], current: str, *, since: str = "") -> list[Json]:
    """The entries of the subject that is compared with: the newest other than the current one, or the one whose fingerprint starts so."""
    others = [
        e for e in entries if e.get("template") and e.get("components") and (e["fingerprint"].startswith(since) if since else e["fingerprint"] != current)
    ]
    return [e for e in others if e["fingerprint"] == others[0]["fingerprint"]]


def _components(before: Json, status: Json) -> tuple[str, ...]:
    now = (status.get("subject") or {}).get("components") or {}
    return tuple(name for name, digest in now.items() if before["components"].get(name) != digest)


def gate_rules(connection: Connection) -> Rules:
    """What the gate compares: as the operator was told, where that may be read; else as the chart has it."""
    try:
        found = connection.get(f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments/aiqms-operator")
    except Refused:
        return DEFAULTS
    env = {e["name"]: e.get("value") for c in found["spec"]["template"]["spec"]["containers"] for e in c.get("env") or []}
    told = {field: tuple(json.loads(env[name])) for name, field in _GATE if env.get(name)}
    return replace(DEFAULTS, **told)  # type: ignore[arg-type]


def _wanted(connection: Connection, deployment: Json, rules: Rules) -> tuple[list[Wanted], list[str]]:
    found: list[Wanted] = []
    unseen: list[str] = []
    for ref in deployment["spec"].get("workloads") or []:
        try:
            found.append(_workload(connection, ref, rules))
        except (Refused, ValueError) as error:
            unseen.append(f"{ref['kind']}/{ref['name']} cannot be compared: {error}")
    return found, unseen


def _workload(connection: Connection, ref: Json, rules: Rules) -> Wanted:
    group, kind = ref["apiVersion"], BY_KIND[(ref["apiVersion"], ref["kind"])]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    stored = connection.get(f"{root}/namespaces/{connection.namespace}/{kind.plural}/{ref['name']}")
    pod = pod_of(stored | {"apiVersion": group, "kind": ref["kind"]})
    read_by = [r for r in inputs(pod, rules) if not r.startswith(SECRETS)]
    digests = {r: _input(connection, r) for r in read_by}
    return Wanted(f"{ref['kind']}/{ref['name']}", template(pod, rules), {r: d for r, d in digests.items() if d is not None})


def _input(connection: Connection, ref: str) -> str | None:
    resource, name = ref.split("/", 1)
    try:
        return content(connection.get(f"{_INPUTS[resource]}/namespaces/{connection.namespace}/{resource}/{name}"))
    except Refused as refusal:
        return ABSENT if refusal.code == 404 else None


def parts(before: Sequence[Json], wanted: Sequence[Wanted]) -> Iterator[Part]:
    """How each workload and input differs from what was approved. An entry names no workload: each is held against the approved template most like it."""
    left = [e["template"] for e in before if e["template"] not in [w.template for w in wanted]]
    for workload in wanted:
        if any(e["template"] == workload.template for e in before):
            continue
        if not left:
            yield Part(workload.ref, ("new: nothing like it was approved",))
            continue
        nearest = min(left, key=lambda t: len(differences(t, workload.template, at_most=_ALL)))
        left.remove(nearest)
        yield Part(workload.ref, tuple(differences(nearest, workload.template, at_most=_ALL)))
    yield from (Part("a workload approved before", ("no longer runs here",)) for _ in left)
    yield from _contents(before, wanted)


def _contents(before: Sequence[Json], wanted: Sequence[Wanted]) -> Iterator[Part]:
    approved = {name: digest for e in before for name, digest in (e.get("inputs") or {}).items()}
    for name, digest in sorted({n: d for w in wanted for n, d in w.inputs.items()}.items()):
        if approved.get(name, digest) != digest:
            yield Part(name, ("is gone" if digest == ABSENT else "its content changed",))
