"""Gathers what surrounds the pods of one namespace: indexed once for all its deployments, so that a namespace of many is not looked through for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiqms.cluster.caches import Caches
from aiqms.cluster.readers import PodSeen, WorkloadSeen
from aiqms.gate.rules import LABEL
from aiqms.policy.endpoints import Network, leading, network
from aiqms.policy.surroundings import DEFAULT, FROM_TEMPLATE, Leading, Surroundings, Uses, numbered

Account = tuple[str, str]  # a deployment, empty for none, and who of it uses a ServiceAccount


@dataclass(frozen=True)
class Around:
    """Of one namespace. accounts: each ServiceAccount -> who uses it. claims: by name; by_stem: those that end with a number, by what stands before it."""

    namespace: str
    network: Network
    accounts: Mapping[str, list[Account]]
    claims: Mapping[str, str]
    by_stem: Mapping[str, list[str]]


def around(namespace: str, caches: Caches) -> Around:
    """What all deployments of the namespace share."""
    seen = caches.around
    claims = dict(seen.claims.within(namespace))
    by_stem: dict[str, list[str]] = {}
    for claim in claims:
        by_stem.setdefault(numbered(claim), []).append(claim)
    roads = network(
        namespace,
        services=(s for _, s in seen.services.within(namespace)),
        slices=(s for _, s in seen.slices.within(namespace)),
        ingresses=(i for _, i in seen.ingresses.within(namespace)),
        routes=seen.every_route(),
        grants=(g for _, g in seen.grants.within(namespace)),
        gateways=seen.every_gateway(),
    )
    return Around(namespace, roads, _accounts(namespace, caches), claims, by_stem)


def surroundings(of: Around, name: str, workloads: Mapping[str, WorkloadSeen | PodSeen], pods: Iterable[tuple[str, PodSeen]]) -> Surroundings:
    """Of one deployment. workloads: those that its register entry names and that exist; pods: that bear its label and have not ended."""
    labelled = dict(pods)
    declared, running = {ref: w.uses for ref, w in workloads.items()}, {n: p.uses for n, p in labelled.items()}
    every = [*declared.values(), *running.values()]
    return Surroundings(
        workloads=declared,
        pods=running,
        accounts={u.account: _others(of, u.account, name, declared) for u in every if u.account != DEFAULT},  # that one is nobody's own
        claims={c: of.claims[c] for c in _claims(of, every) if c in of.claims},
        endpoints=_leading(of, every, labelled.values()),
        reaching=_leading(of, [p.uses for p in labelled.values() if not p.held], [p for p in labelled.values() if not p.held]),
    )


def _leading(of: Around, every: Iterable[Uses], pods: Iterable[PodSeen]) -> tuple[Leading, ...]:
    return leading(of.namespace, _distinct(every), of.network, addresses=(a for p in pods for a in p.addresses))


def _claims(of: Around, every: Iterable[Uses]) -> set[str]:
    volumes = [v for u in every for v in u.volumes if v.claim]
    return {c for v in volumes for c in (of.by_stem.get(v.claim, ()) if v.kind == FROM_TEMPLATE else (v.claim,))}


def _distinct(every: Iterable[Uses]) -> list[Mapping[str, str]]:
    return [dict(pairs) for pairs in {tuple(sorted(u.labels.items())) for u in every}]


def _others(of: Around, account: str, name: str, own: Mapping[str, Uses]) -> tuple[str, ...]:
    return tuple(sorted({who for label, who in of.accounts.get(account, ()) if label != name and who not in own}))


def _accounts(namespace: str, caches: Caches) -> dict[str, list[Account]]:
    """By the templates of all workloads of the kinds that are watched, less those that another one made, and by labelled pods that none of them made.

    Not seen: pods without the deployment label that no such workload made.
    """
    found: dict[str, list[Account]] = {}
    for store in caches.workloads.values():
        for name, seen in store.within(namespace):
            if not _made(namespace, caches, seen):
                found.setdefault(seen.uses.account, []).append((seen.uses.labels.get(LABEL, ""), f"{seen.kind}/{name}"))
    for name, pod in caches.pods.within(namespace):
        if not pod.ended and not any(caches.chain(namespace, pod)):
            found.setdefault(pod.uses.account, []).append((pod.uses.labels.get(LABEL, ""), f"Pod/{name}"))
    return found


def _made(namespace: str, caches: Caches, seen: WorkloadSeen) -> bool:
    """By a workload of a watched kind, whose template says the same or, for a ReplicaSet of an old revision, says it no more."""
    owner = seen.owner
    found = caches.workloads[owner.kind].get(namespace, owner.name) if owner and owner.kind in caches.workloads else None
    return found is not None and owner is not None and found.uid == owner.uid
