"""Everything that the operator watches, in one place: the stores, the reflectors that fill them, and which namespace a change concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiqms.api.clearance import NAME
from aiqms.api.crds import CLEARANCE, DEPLOYMENT, RECORD
from aiqms.api.values import API_VERSION
from aiqms.cluster import rbac, readers, surroundings
from aiqms.cluster.client import Client, path
from aiqms.cluster.rbac import Grants
from aiqms.cluster.readers import ClearanceSeen, DeploymentSeen, NamespaceSeen, PodSeen, RecordSeen, WorkloadSeen
from aiqms.cluster.reflector import Reflector
from aiqms.cluster.store import Store
from aiqms.gate.rules import LABEL, Rules
from aiqms.gate.workload import KINDS
from aiqms.policy.facts import Broken, Procedure
from aiqms.policy.networks import Stored

NETWORKING = "networking.k8s.io/v1"
INPUTS = (
    ("v1", "configmaps", "ConfigMap"),
    ("resource.k8s.io/v1", "resourceclaims", "ResourceClaim"),
    ("resource.k8s.io/v1", "resourceclaimtemplates", "ResourceClaimTemplate"),
)
CLEARANCES = 10  # in a page, of 1 MiB each at most


@dataclass(frozen=True)
class Caches:
    """The stores. workloads: by kind; inputs: by resource, the resourceVersion of each object of which only metadata is watched; grants: roles and bindings."""

    namespaces: Store[NamespaceSeen]
    deployments: Store[DeploymentSeen]
    procedures: Store[Procedure | Broken]
    records: Store[RecordSeen]
    clearances: Store[ClearanceSeen]
    pods: Store[PodSeen]
    workloads: dict[str, Store[WorkloadSeen]]
    inputs: dict[str, Store[str]]
    around: surroundings.Stores
    network_policies: Store[Stored]
    grants: Grants

    def clearance(self, namespace: str) -> ClearanceSeen | None:
        """The one of a namespace."""
        return self.clearances.get(namespace, NAME)

    def concerned(self) -> set[str]:
        """Namespaces about which there is anything to decide: governed, registered in, or with a Clearance."""
        governed = {name for name, seen in self.namespaces.within("") if seen.governed}
        ours = {ns for ns in self.network_policies.namespaces() if any(p.ours for _, p in self.network_policies.within(ns))}
        return governed | ours | set(self.deployments.namespaces()) | set(self.clearances.namespaces()) | set(self.records.namespaces())

    def shed(self, namespace: str) -> None:
        """What was read of the texts of a namespace's objects goes, until it is asked for again."""
        stores: list[Store[Any]] = [self.deployments, self.records, self.clearances, self.pods, *self.workloads.values()]
        for store in stores:
            store.shed(namespace)

    def chain(self, namespace: str, pod: PodSeen) -> Iterator[WorkloadSeen]:
        """The pod's controllers from the nearest up, followed by uid as far as they are of a known kind."""
        owner = pod.owner
        while owner is not None:
            seen = self.workloads[owner.kind].get(namespace, owner.name) if owner.kind in self.workloads else None
            if seen is None or seen.uid != owner.uid:
                return
            yield seen
            owner = seen.owner


def caches(rules: Rules, changed: Callable[[str], None], everything: Callable[[], None]) -> Caches:
    """Empty stores. changed: told a namespace; everything: told when a change concerns all of them."""

    def within(namespace: str, _: str) -> None:
        changed(namespace)

    return Caches(
        namespaces=Store(readers.namespace, lambda _, name: changed(name)),
        deployments=Store(readers.deployment, within),
        procedures=Store(readers.procedure, lambda *_: everything()),
        records=Store(readers.record, within),
        clearances=Store(readers.clearance, within),
        pods=Store(partial(readers.pod, rules=rules), within),
        workloads={k.kind: Store(partial(readers.workload, rules=rules), within) for k in KINDS if k.kind != "Pod"},
        inputs={plural: Store(readers.version, within) for _, plural, _ in INPUTS},
        around=surroundings.stores(within, lambda *_: everything()),
        network_policies=Store(readers.network_policy, within),
        grants=Grants(changed, everything),
    )


def reflectors(client: Client, of: Caches) -> list[Reflector]:
    """One for each of the many kinds; the few (procedures, namespaces) come by kopf, which lists a kind in one answer and makes a task of each object."""

    def all_of(store: Store[Any], api_version: str, plural: str, kind: str, **more: Any) -> Reflector:
        return Reflector(client=client, store=store, at=path(api_version, plural), api_version=api_version, kind=kind, **more)

    return [
        all_of(of.deployments, API_VERSION, DEPLOYMENT.plural, DEPLOYMENT.kind),
        all_of(of.records, API_VERSION, RECORD.plural, RECORD.kind),
        all_of(of.clearances, API_VERSION, CLEARANCE.plural, CLEARANCE.kind, page=CLEARANCES),
        all_of(of.pods, "v1", "pods", "Pod", params={"labelSelector": LABEL}),
        *(all_of(of.workloads[k.kind], k.api_version, k.plural, k.kind) for k in KINDS if k.kind != "Pod"),
        all_of(of.network_policies, NETWORKING, "networkpolicies", "NetworkPolicy"),
        *(all_of(of.inputs[plural], api_version, plural, kind, partial=True) for api_version, plural, kind in INPUTS),
        *surroundings.reflectors(client, of.around),
        *rbac.reflectors(client, of.grants),
    ]
