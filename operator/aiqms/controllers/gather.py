"""Gather: everything that the decisions about one namespace look at, from the caches and, where content counts, from the API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from aiqms.api.clearance import ClearanceSpec
from aiqms.api.deployment import DeploymentSpec, Workload
from aiqms.api.values import Json
from aiqms.cluster.caches import Caches
from aiqms.cluster.client import ApiError
from aiqms.cluster.inputs import SECRETS, InputReader
from aiqms.cluster.readers import ClearanceSeen, DeploymentSeen, PodSeen, RecordSeen, WorkloadSeen
from aiqms.controllers.surroundings import Around, around, surroundings
from aiqms.gate.difference import differences
from aiqms.policy.elsewhere import Others, elsewhere
from aiqms.policy.facts import Broken, Elsewhere, Input, Origin, PodFacts, Procedure, PullSecrets, Reach, Record, WorkloadFacts
from aiqms.policy.networks import Network
from aiqms.policy.procedures import applies, reaches
from aiqms.policy.reach import reach
from aiqms.policy.surroundings import Surroundings

_STEP = 64 * 1024  # bytes of a Clearance: a sixteenth of what it may have
_SHOWN = 3  # differences of a pod from its template that a message names


class Unreadable(Exception):
    """A Clearance that this version cannot read: nothing in its namespace may be decided on half of the facts."""


@dataclass(frozen=True)
class Gathered:
    """One namespace. registered: an Input for each AIModelDeployment; unregistered: for each other name that pods, records or the Clearance bear."""

    governed: bool
    clearance: ClearanceSeen | None = None
    registered: Mapping[str, Input] = field(default_factory=dict)
    unregistered: Mapping[str, Input] = field(default_factory=dict)
    broken_records: Mapping[str, Broken] = field(default_factory=dict)


async def gather(namespace: str, caches: Caches, reader: InputReader) -> Gathered | None:
    """None where there is no such namespace, or it is going. Raises Unreadable."""
    seen = caches.namespaces.get("", namespace)
    if seen is None or seen.going:
        return None
    clearance = caches.clearance(namespace)
    stored = _stored(clearance)
    records = _by_deployment(caches.records.within(namespace))
    pods = _pods(caches.pods.within(namespace))
    deployments = dict(caches.deployments.within(namespace))
    near = around(namespace, caches) if deployments else None
    view = _View(
        namespace,
        caches,
        clearance,
        stored,
        seen.labels,
        governed=seen.governed,
        records=records,
        pods=pods,
        everywhere=_everywhere(caches),
        around=near,
        broken=_broken_records(caches.records.within(namespace)),
    )
    if deployments:
        await _prepared(view, deployments.values(), reader)
    others = ({*pods, *records, *stored.deployments, *stored.orphans} - set(deployments)) if seen.governed else set(records) - set(deployments)
    return Gathered(
        governed=seen.governed,
        clearance=clearance,
        registered={name: await _registered(view, name, d, reader) for name, d in deployments.items()},
        unregistered={name: _unregistered(view, name) for name in sorted(others)},
        broken_records={name: r.record for name, r in caches.records.within(namespace) if isinstance(r.record, Broken)},
    )


@dataclass(frozen=True)
class _View:
    """What all deployments of the namespace share. everywhere: all procedures, by name.

    reached: by the names of the procedures that apply, and of the ServiceAccounts: worked out once for each.
    """

    namespace: str
    caches: Caches
    clearance: ClearanceSeen | None
    stored: ClearanceSpec
    labels: Mapping[str, str]
    governed: bool
    records: Mapping[str, list[Record]]
    pods: Mapping[str, list[tuple[str, PodSeen]]]
    everywhere: tuple[Procedure | tuple[str, Broken], ...] = ()
    around: Around | None = None
    reached: dict[tuple[frozenset[str], frozenset[str]], Reach] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)  # by deployment: which of its records cannot be read, and why


def _stored(clearance: ClearanceSeen | None) -> ClearanceSpec:
    if clearance is None:
        return ClearanceSpec()
    if isinstance(clearance.spec, Broken):
        raise Unreadable(f"the Clearance of this namespace: {clearance.spec.message}")
    return clearance.spec


def _by_deployment(records: Iterable[tuple[str, RecordSeen]]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for _, seen in records:
        if isinstance(seen.record, Record):
            found.setdefault(seen.deployment, []).append(seen.record)
    return found


def _pods(pods: Iterable[tuple[str, PodSeen]]) -> dict[str, list[tuple[str, PodSeen]]]:
    found: dict[str, list[tuple[str, PodSeen]]] = {}
    for name, seen in pods:
        if not seen.ended:
            found.setdefault(seen.shape.label or "", []).append((name, seen))
    return found


def _unregistered(view: _View, name: str) -> Input:
    return Input(
        namespace=view.namespace,
        name=name,
        spec=Broken("not registered"),
        governed=view.governed,
        records=tuple(view.records.get(name, ())),
        pods=tuple(_pod(view, n, p, ()) for n, p in view.pods.get(name, ())),
        entries=tuple(view.stored.deployments.get(name, ())),
        orphan=view.stored.orphans.get(name),
        stop_roles=_stop_roles(view.everywhere),
    )


async def _registered(view: _View, name: str, seen: DeploymentSeen, reader: InputReader) -> Input:
    await asyncio.sleep(0)  # the Lease has to be renewed meanwhile
    refs = () if isinstance(seen.spec, Broken) else tuple(seen.spec.workloads)
    found = {ref: _workload(view, ref) for ref in refs}
    applying = () if isinstance(seen.spec, Broken) else _applying(view, seen.spec)
    content, unread = await _contents(view, found.values(), reader)
    return Input(
        namespace=view.namespace,
        name=name,
        spec=seen.spec,
        generation=seen.generation,
        governed=view.governed,
        procedures=applying,
        records=tuple(view.records.get(name, ())),
        workloads=tuple(_facts(ref, w, content) for ref, w in found.items()),
        pods=tuple(_pod(view, n, p, refs) for n, p in view.pods.get(name, ())),
        entries=tuple(view.stored.deployments.get(name, ())),
        orphan=view.stored.orphans.get(name),
        unreadable="; ".join(filter(None, (unread, view.broken.get(name)))),
        stop_roles=_stop_roles(applying) or _stop_roles(view.everywhere),
        elsewhere=_elsewhere(view, name, seen, applying),
        editors=seen.editors,
        around=_around(view, name, found),
        pull_secrets=_pull_secrets(view, found, view.pods.get(name, ())),
        clearance_bytes=_rounded(view.clearance.size) if view.clearance else 0,
        network=_network(view, name, seen, found.values()),
        before=seen.status,
        reach=_reach(view, name, applying, found.values()),
    )


def _elsewhere(view: _View, name: str, seen: DeploymentSeen, applying: Sequence[Procedure | tuple[str, Broken]]) -> tuple[Elsewhere, ...]:
    """Of an entry that cannot be read nobody knows which procedures apply, and every Stop role counts."""
    if isinstance(seen.spec, Broken):
        return ()
    others = tuple(p for p in view.everywhere if isinstance(p, Procedure) and p not in applying)
    near = frozenset(p.name for p in others if reaches(p.spec.applies_to, namespace=view.namespace, labels=view.labels))
    return elsewhere(Others(others, near), view.records.get(name, ()), view.stored.deployments.get(name, ()), seen.status)


def _rounded(size: int) -> int:
    """Upwards, in steps, so that a few bytes more of one deployment are no other fact for all others."""
    return -(-size // _STEP) * _STEP


def _around(view: _View, name: str, found: Mapping[Workload, WorkloadSeen | PodSeen | None]) -> Surroundings:
    assert view.around
    return surroundings(view.around, name, {str(ref): w for ref, w in found.items() if w}, view.pods.get(name, ()))


def _network(view: _View, name: str, seen: DeploymentSeen, workloads: Iterable[WorkloadSeen | PodSeen | None]) -> Network:
    """Of its pods' labels those that its workloads give, and those that its pods bear, which controllers and people add to."""
    shapes = [*(w.shape for w in workloads if w), *(pod.shape for _, pod in view.pods.get(name, ()))]
    labels: dict[frozenset[tuple[str, str]], dict[str, str]] = {}
    for shape in shapes:
        if shape.label == name:
            borne = shape.pod["metadata"].get("labels") or {}
            labels[frozenset(borne.items())] = borne
    policies = tuple(p for _, p in sorted(view.caches.network_policies.within(view.namespace)))
    return Network(owner=seen.uid, policies=policies, labels=tuple(labels.values()))


def _reach(view: _View, name: str, applying: Sequence[Procedure | tuple[str, Broken]], workloads: Iterable[WorkloadSeen | PodSeen | None]) -> Reach:
    """Who can do what here, as far as the procedures ask; the ServiceAccounts are those of the workloads, and of pods that still run as another."""
    shapes = [*(w.shape for w in workloads if w), *(p.shape for _, p in view.pods.get(name, ()))]
    readable, accounts = [p for p in applying if isinstance(p, Procedure)], frozenset(_account(s.pod) for s in shapes)
    key = frozenset(p.name for p in readable), accounts
    if key not in view.reached:
        view.reached[key] = reach(view.caches.grants.seen(view.namespace), readable, accounts)
    return view.reached[key]


def _account(pod: Json) -> str:
    return str(pod["spec"].get("serviceAccountName") or pod["spec"].get("serviceAccount") or "default")


def _broken_records(records: Iterable[tuple[str, RecordSeen]]) -> dict[str, str]:
    """By deployment, why its records do not tell: one that this version cannot read may well be a Reject."""
    found: dict[str, list[str]] = {}
    for name, seen in sorted(((n, r) for n, r in records if isinstance(r.record, Broken)), key=lambda each: each[0]):
        assert isinstance(seen.record, Broken)
        found.setdefault(seen.deployment, []).append(f"apr/{name} could not be read: {seen.record.message}")
    return {deployment: "; ".join(said) for deployment, said in found.items()}


def _applying(view: _View, spec: DeploymentSpec) -> tuple[Procedure | tuple[str, Broken], ...]:
    """Those that apply, by name; of one that cannot be read nobody knows, so it is there too."""
    return tuple(
        p for p in view.everywhere if not isinstance(p, Procedure) or applies(p.spec.applies_to, spec=spec, namespace=view.namespace, labels=view.labels)
    )


def _everywhere(caches: Caches) -> tuple[Procedure | tuple[str, Broken], ...]:
    return tuple((name, p) if isinstance(p, Broken) else p for name, p in sorted(caches.procedures.within(""), key=lambda p: p[0]))


def _stop_roles(procedures: Sequence[Procedure | tuple[str, Broken]]) -> dict[str, tuple[str, ...]]:
    """Of one that cannot be read nobody knows them."""
    readable = {p.name: tuple(p.spec.stop.roles) for p in procedures if isinstance(p, Procedure) and p.spec.stop}
    return readable | {p[0]: () for p in procedures if not isinstance(p, Procedure)}


def _workload(view: _View, ref: Workload) -> WorkloadSeen | PodSeen | None:
    if ref.kind == "Pod":
        return view.caches.pods.get(view.namespace, ref.name)
    return view.caches.workloads[ref.kind].get(view.namespace, ref.name)


async def _prepared(view: _View, deployments: Iterable[DeploymentSeen], reader: InputReader) -> None:
    """What the pods of all read, asked for together. What cannot be had is said of each deployment that needs it."""
    refs = {ref for d in deployments if not isinstance(d.spec, Broken) for ref in d.spec.workloads}
    seen = (_workload(view, ref) for ref in refs)
    with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
        await reader.prepare(view.namespace, {name for w in seen if w for name in w.shape.reads})


async def _contents(view: _View, workloads: Iterable[WorkloadSeen | PodSeen | None], reader: InputReader) -> tuple[dict[str, str], str]:
    """The digest of everything that the pods read, and why one of them could not be had."""
    refs = sorted({ref for w in workloads if w for ref in w.shape.reads if not ref.startswith(SECRETS)})
    try:
        return {ref: await reader.digest(view.namespace, ref) for ref in refs}, ""
    except (ApiError, aiohttp.ClientError, TimeoutError) as error:
        return {}, f"{', '.join(refs)} could not be read: {error}"


def _facts(ref: Workload, seen: WorkloadSeen | PodSeen | None, content: Mapping[str, str]) -> WorkloadFacts:
    if seen is None:
        return WorkloadFacts(ref)
    return WorkloadFacts(
        ref=ref,
        template=seen.shape.template,
        digest=seen.shape.digest,
        size=seen.shape.size,
        label=seen.shape.label,
        inputs={name: content[name] for name in seen.shape.reads if name in content},
        secrets=tuple(name for name in seen.shape.reads if name.startswith(SECRETS)),
    )


def _pull_secrets(view: _View, workloads: Mapping[Workload, WorkloadSeen | PodSeen | None], pods: Iterable[tuple[str, PodSeen]]) -> PullSecrets:
    """The ServiceAccount plugin gives its account's to a pod that has none of its own (plugin/pkg/admission/serviceaccount)."""
    controllers = [(name, pod, next(view.caches.chain(view.namespace, pod), None)) for name, pod in pods]
    return PullSecrets(
        declared={str(ref): seen.shape.pull_secrets for ref, seen in workloads.items() if seen and seen.shape.pull_secrets},
        added={name: p.shape.pull_secrets for name, p, c in controllers if c and p.shape.pull_secrets and not c.shape.pull_secrets},
    )


def _pod(view: _View, name: str, seen: PodSeen, refs: Iterable[Workload]) -> PodFacts:
    chain = list(view.caches.chain(view.namespace, seen))
    bears = {("Pod", name)} if not chain else {(w.kind, w.name) for w in chain}
    outdated = bool(chain and chain[0].update and seen.revision and chain[0].update != seen.revision)
    return PodFacts(
        name=name,
        uid=seen.uid,
        template=seen.shape.template,
        held=seen.held,
        going=seen.going,
        before=_before(seen, view.clearance),
        origin=Origin.NAMED if any((r.kind, r.name) in bears for r in refs) else Origin.ELSEWHERE,
        differs=() if outdated or not seen.held or not chain else _differences(chain[0], seen),
        outdated=outdated and seen.held,
    )


def _before(pod: PodSeen, clearance: ClearanceSeen | None) -> bool:
    """Whether it ran before the gate. One that was held, and so is stamped, ran from when it got its node: it may have been held before the Clearance was made.

    Times are whole seconds: nothing is cleared in the second in which the Clearance is made (see reconcile).
    """
    if clearance is None:
        return not (pod.held or pod.stamped)
    began = pod.scheduled if pod.stamped else pod.created
    return not pod.held and began is not None and began <= clearance.created


def _differences(controller: WorkloadSeen, pod: PodSeen) -> tuple[str, ...]:
    if pod.shape.template == controller.shape.template:
        return ()
    return tuple(differences(controller.shape.template, pod.shape.template)[:_SHOWN])
