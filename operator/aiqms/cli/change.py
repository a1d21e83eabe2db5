"""What changed since the last approval, down to the fields of the pods: the Clearance's templates against the workloads' own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from aiqms.api.clearance import NAME
from aiqms.api.deployment import DeploymentSpec
from aiqms.api.values import API_VERSION, Json
from aiqms.cli.connection import Connection, Refused
from aiqms.cli.manifests import OfflineError
from aiqms.cli.offline import RESOURCES, Manifests
from aiqms.cluster.inputs import SECRETS, content
from aiqms.gate.defaults import defaulted
from aiqms.gate.difference import differences
from aiqms.gate.normal import inputs, template
from aiqms.gate.rules import DEFAULTS, OPERATOR_NAMESPACE, Rules
from aiqms.gate.workload import BY_KIND, pod_of
from aiqms.policy.digests import digest
from aiqms.policy.facts import ABSENT, WorkloadFacts
from aiqms.policy.subject import subject

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

    risk_class: of the subject approved before. cleared: the current one was approved itself. unseen: why something could not be compared.
    """

    since: str = ""
    until: str = ""
    components: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    risk_class: str = ""
    cleared: bool = False
    unseen: tuple[str, ...] = ()


def read(connection: Connection, deployment: Json, *, since: str = "") -> Change:
    """What changed, as far as the person may read it. since: the start of a fingerprint that the Clearance still knows; default: the last approved."""
    status = deployment.get("status") or {}
    current = (status.get("subject") or {}).get("fingerprint", "")
    try:
        entries = _entries(connection, deployment["metadata"]["name"])
    except Refused as refusal:
        return _without(status, current, f"what changed within the pods cannot be shown: {refusal}; ClusterRole aiqms-view in this namespace lets you read it")
    before, cleared = approved_before(entries, current, since=since), any(e.get("fingerprint") == current for e in entries)
    if not before:
        return Change(cleared=cleared, unseen=_why_nothing(since))
    wanted, unseen = _wanted(connection, deployment, gate_rules(connection))
    now = (status.get("subject") or {}).get("components") or {}
    return replace(_compared(before, wanted, now, unseen), cleared=cleared)


def of_manifests(connection: Connection, given: Manifests, deployment: Json, *, since: str = "") -> Change:
    """What manifests would make of a deployment, against what is cleared now (or since). What they leave out is as in the cluster.

    Raises Refused where the Clearance may not be read, OfflineError for a manifest that is none.
    """
    before = approved_before(_entries(connection, deployment["metadata"]["name"]), "", since=since)
    if not before:
        return Change(unseen=_why_nothing(since))
    rules = gate_rules(connection)
    wanted, unseen = _wanted(connection, deployment, rules, given)
    return _compared(before, wanted, _foreseen(deployment, wanted), unseen)


def _foreseen(deployment: Json, wanted: Sequence[Wanted]) -> dict[str, str]:
    """The components that manifests make; which procedures apply is left to the cluster."""
    spec = _spec(deployment)
    found = {w.ref: WorkloadFacts(ref, w.template, digest(w.template), inputs=w.inputs) for ref in spec.workloads for w in wanted if w.ref == str(ref)}
    made = subject(spec, workloads=[found.get(str(ref), WorkloadFacts(ref)) for ref in spec.workloads], procedures=())
    return {name: value for name, value in made.components.dump().items() if name != "procedures"} if made else {}


def _spec(deployment: Json) -> DeploymentSpec:
    try:
        return DeploymentSpec.model_validate(deployment.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise OfflineError(f"AIModelDeployment {deployment['metadata']['name']}: spec.{where}: {first['msg']} (kubectl qms lint says more)") from error


def _compared(before: Sequence[Json], wanted: Sequence[Wanted], components: Mapping[str, str], unseen: Sequence[str]) -> Change:
    first = before[0]
    return Change(
        since=first["fingerprint"],
        until=first.get("validUntil", ""),
        components=tuple(name for name, value in components.items() if first["components"].get(name) != value),
        parts=(*parts(before, wanted), *(() if unseen else gone(before, wanted))),
        unseen=tuple(unseen),
        risk_class=first.get("riskClass") or "",
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


def gate_rules(connection: Connection) -> Rules:
    """What the gate compares: as the operator was told, where that may be read; else as the chart has it."""
    try:
        found = connection.get(f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments/aiqms-operator")
    except Refused:
        return DEFAULTS
    env = {e["name"]: e.get("value") for c in found["spec"]["template"]["spec"]["containers"] for e in c.get("env") or []}
    told = {field: tuple(json.loads(env[name])) for name, field in _GATE if env.get(name)}
    return replace(DEFAULTS, **told)  # type: ignore[arg-type]


def _wanted(connection: Connection, deployment: Json, rules: Rules, given: Manifests | None = None) -> tuple[list[Wanted], list[str]]:
    """Each workload, from the manifests where it is among them; and why one could not be had."""
    found: list[Wanted] = []
    unseen: list[str] = []
    for ref in deployment["spec"].get("workloads") or []:
        try:
            found.append(_workload(connection, ref, rules, given or Manifests(())))
        except (Refused, ValueError) as error:
            how = "; ClusterRole view in this namespace lets you read it" if isinstance(error, Refused) and error.code == 403 else ""
            unseen.append(f"{ref['kind']}/{ref['name']} cannot be compared: {error}{how}")
    return found, unseen


def _workload(connection: Connection, ref: Json, rules: Rules, given: Manifests) -> Wanted:
    written = given.find(ref["kind"], connection.namespace, ref["name"])
    pod = pod_of(defaulted(written) if written else _stored(connection, ref))
    read_by = [r for r in inputs(pod, rules) if not r.startswith(SECRETS)]
    digests = {r: _input(connection, r, given) for r in read_by}
    return Wanted(f"{ref['kind']}/{ref['name']}", template(pod, rules), {r: d for r, d in digests.items() if d is not None})


def _stored(connection: Connection, ref: Json) -> Json:
    group, kind = ref["apiVersion"], BY_KIND[(ref["apiVersion"], ref["kind"])]
    root = f"/apis/{group}" if "/" in group else f"/api/{group}"
    found = connection.get(f"{root}/namespaces/{connection.namespace}/{kind.plural}/{ref['name']}")
    return found | {"apiVersion": group, "kind": ref["kind"]}


def _input(connection: Connection, ref: str, given: Manifests) -> str | None:
    resource, name = ref.split("/", 1)
    written = given.find(RESOURCES[resource], connection.namespace, name)
    try:
        return content(written or connection.get(f"{_INPUTS[resource]}/namespaces/{connection.namespace}/{resource}/{name}"))
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
    yield from _contents(before, wanted)


def gone(before: Sequence[Json], wanted: Sequence[Wanted]) -> Iterator[Part]:
    """More was approved than runs now: known only where every workload was read."""
    if len(before) > len({json.dumps(w.template, sort_keys=True) for w in wanted}):
        yield Part("a workload that was approved", ("is none of this deployment any more",))


def _contents(before: Sequence[Json], wanted: Sequence[Wanted]) -> Iterator[Part]:
    approved = {name: value for e in before for name, value in (e.get("inputs") or {}).items()}
    for name, value in sorted({n: d for w in wanted for n, d in w.inputs.items()}.items()):
        if approved.get(name, value) != value:
            yield Part(name, ("is gone" if value == ABSENT else "its content changed",))
