"""How long it takes to look again at who can do what in many namespaces after one change: python -m bench.who_can [NAMESPACES] [BINDINGS].

In memory: the operator's own caches and policy, no API server. Times are of this process alone,
for machines are shared. The baseline, in the same run, compiles everything anew for each namespace.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from aiqms.api.procedure import ProcedureSpec
from aiqms.api.values import Json
from aiqms.cluster.rbac import Grants
from aiqms.policy.facts import Procedure, Reach
from aiqms.policy.rbac import Rbac
from aiqms.policy.reach import reach
from bench.report import Row, row

NAMESPACES, BINDINGS = 500, 20
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
GROUPS = {
    "": ["pods", "services", "secrets", "configmaps"],
    "apps": ["deployments", "statefulsets", "daemonsets", "replicasets"],
    "batch": ["jobs", "cronjobs"],
}
ROLES = ("model-owner", "risk-manager", "incident-commander")
ACCESS: Json = {"editors": {"groups": ["platform"]}, "serviceAccount": "Dedicated", "reviewEvery": "90d"}
APPROVALS: Json = {"roles": [{"role": r} for r in ROLES]}


class World:
    """The operator's caches, and the namespaces that changes concern."""

    def __init__(self) -> None:
        self.dirty: set[str] = set()
        self.namespaces: list[str] = []
        self.grants = Grants(self.dirty.add, lambda: self.dirty.update(self.namespaces))
        self.version = 0

    def stored(self, kind: str, name: str, namespace: str = "", **more: Any) -> Json:
        """An object as the API server sends it."""
        self.version += 1
        metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "resourceVersion": str(self.version)}
        return {"kind": kind, "metadata": metadata, **more}

    def role(self, name: str, *rules: Json) -> Json:
        """A ClusterRole."""
        return self.stored("ClusterRole", name, rules=list(rules))

    def binding(self, name: str, role: str, subjects: list[Json], namespace: str = "") -> Json:
        """A RoleBinding, or a ClusterRoleBinding."""
        ref = {"kind": "ClusterRole", "name": role}
        return self.stored("RoleBinding" if namespace else "ClusterRoleBinding", name, namespace, roleRef=ref, subjects=subjects)


def rule(verbs: list[str], group: str, resources: list[str], names: Iterable[str] = ()) -> Json:
    """A PolicyRule."""
    return {"verbs": verbs, "apiGroups": [group], "resources": resources, "resourceNames": list(names)}


def made(namespaces: int, bindings: int) -> World:
    """As a cluster with 70 controllers, the usual ClusterRoles and that many RoleBindings in each namespace."""
    world = World()
    world.namespaces = [f"ns-{n}" for n in range(namespaces)]
    g = world.grants
    for n in range(70):
        g.cluster_roles.put(world.role(f"system:controller:c{n}", rule(VERBS[3:5], "apps", GROUPS["apps"]), rule(["update"], "", ["pods/status"])))
        account = [{"kind": "ServiceAccount", "namespace": "kube-system", "name": f"c{n}"}]
        g.cluster_bindings.put(world.binding(f"system:controller:c{n}", f"system:controller:c{n}", account))
    g.cluster_roles.put(world.role("cluster-admin", rule(["*"], "*", ["*"])))
    g.cluster_bindings.put(world.binding("cluster-admin", "cluster-admin", [{"kind": "Group", "name": "system:masters"}]))
    g.cluster_roles.put(world.role("edit", *(rule(VERBS, group, resources) for group, resources in GROUPS.items())))
    g.cluster_roles.put(world.role("view", *(rule(VERBS[3:5], group, resources) for group, resources in GROUPS.items())))
    for role in ROLES:
        g.cluster_roles.put(world.role(f"aiqms-role-{role}", rule(["approve", "stop"], "aiqms.dev", ["approvalroles"], [role])))
    for namespace in world.namespaces:
        for n in range(bindings):
            role = ("edit", "view", *(f"aiqms-role-{r}" for r in ROLES))[n % 5]
            g.bindings.put(world.binding(f"b{n}", role, [{"kind": "Group", "name": f"team-{namespace}-{n}"}, {"kind": "User", "name": f"user-{n}"}], namespace))
    return world


PROCEDURE = Procedure("bench", ProcedureSpec.model_validate({"title": "Benchmark", "revision": 1, "owner": "nobody", "approvals": APPROVALS, "access": ACCESS}))


def look(world: World) -> dict[str, Reach]:
    """At every namespace that a change concerns."""
    found = {ns: reach(world.grants.seen(ns), [PROCEDURE], ["scoring"]) for ns in sorted(world.dirty) if ns in world.namespaces}
    world.dirty.clear()
    return found


def anew(world: World) -> dict[str, Reach]:
    """The baseline: each namespace from a compilation of its own, of which nothing is kept. Of ten namespaces, for it is slow."""
    return {ns: reach(_fresh(world, ns), [PROCEDURE], ["scoring"]) for ns in world.namespaces[:10]}


def _fresh(world: World, namespace: str) -> Rbac:
    seen = world.grants.seen(namespace)
    roles = {name: replace(role) for name, role in seen.everywhere.roles.items()}
    return replace(seen, everywhere=replace(seen.everywhere, roles=roles))


def timed(what: str, work: Callable[[], dict[str, Reach]], *, rounds: int = 3, times: float = 1) -> float:
    """Prints the median of some rounds. times: what a part has to be multiplied with."""
    took, count = [], 0
    for _ in range(rounds):
        since = time.process_time()
        count = len(work())
        took.append((time.process_time() - since) * times)
    print(f"{what:58} {count * times:6.0f} namespaces  {statistics.median(took):8.3f} s of CPU", flush=True)
    return statistics.median(took)


def rows() -> list[Row]:
    """What one change of a ClusterRoleBinding costs, for the table of all benchmarks; printed in full by main."""
    slow, fast = main(NAMESPACES, BINDINGS)
    return [
        row(
            f"who can: after a change of one ClusterRoleBinding, {NAMESPACES} namespaces", fast, "s", None, f"of CPU; baseline, all compiled anew: {slow:.2f} s"
        )
    ]


def main(namespaces: int, bindings: int) -> tuple[float, float]:
    """Prints a row for each kind of change; the seconds of the baseline, and after a change of one ClusterRoleBinding."""
    since = time.process_time()
    world = made(namespaces, bindings)
    took, far_ones = time.process_time() - since, len(world.grants.cluster_bindings)
    print(f"{namespaces} namespaces with {bindings} RoleBindings each, {far_ones} ClusterRoleBindings: read in {took:.3f} s of CPU")
    timed("at start: all of them", lambda: look(world), rounds=1)

    def near() -> dict[str, Reach]:
        world.grants.bindings.put(world.binding("b0", "edit", [{"kind": "User", "name": f"user-{world.version}"}], world.namespaces[0]))
        return look(world)

    def far() -> dict[str, Reach]:
        world.grants.cluster_bindings.put(world.binding("more", "edit", [{"kind": "User", "name": f"user-{world.version}"}]))
        return look(world)

    def same() -> dict[str, Reach]:
        world.grants.cluster_bindings.put(world.binding("more", "edit", [{"kind": "User", "name": "one"}]))
        return look(world)

    timed("after a change of one RoleBinding", near, rounds=9)
    all_of_them = timed("after a change of one ClusterRoleBinding", far)
    same()
    timed("idle: an update that changes nothing", same)
    slow = timed("baseline: everything compiled anew for each (10 measured)", lambda: anew(world), times=namespaces / 10)
    print(f"ratio, baseline : a change of one ClusterRoleBinding  {slow / all_of_them:.1f}")
    return slow, all_of_them


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:3]]
    main(*given, *(NAMESPACES, BINDINGS)[len(given) :])
