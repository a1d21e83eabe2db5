"""What the operator keeps of roles and bindings: which namespaces a change concerns, and that what is seen is what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.cluster.rbac import Grants
from aiqms.policy.rbac import Local, Subject, binding_of, role_of
from aiqms.policy.reach import account_rights, editors

HERE = "lending"
ALL = "*"


class World:
    """A Grants whose words are kept: a namespace, or ALL."""

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.grants = Grants(self.told.add, lambda: self.told.add(ALL))
        self.version = 0

    def stored(self, kind: str, name: str, namespace: str = "", **more: Any) -> Json:
        self.version += 1
        metadata = {"name": name, "uid": f"{kind}/{namespace}/{name}", "resourceVersion": str(self.version)} | ({"namespace": namespace} if namespace else {})
        return {"kind": kind, "metadata": metadata, **more}

    def role(self, name: str = "r", namespace: str = "", verb: str = "get") -> Json:
        rules = [{"verbs": [verb], "apiGroups": [""], "resources": ["pods"]}]
        return self.stored("Role" if namespace else "ClusterRole", name, namespace, rules=rules)

    def bound(self, *subjects: Json, name: str = "b", namespace: str = "", role: str = "r") -> Json:
        ref = {"kind": "ClusterRole", "name": role}
        return self.stored("RoleBinding" if namespace else "ClusterRoleBinding", name, namespace, roleRef=ref, subjects=list(subjects))

    def after(self, change: Callable[[Grants], None]) -> set[str]:
        """Whom the change concerns."""
        self.told.clear()
        change(self.grants)
        return set(self.told)


ANN: Json = {"kind": "User", "name": "ann"}
BEN: Json = {"kind": "User", "name": "ben"}
BOT: Json = {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}
EVERY: Json = {"kind": "Group", "name": "system:serviceaccounts"}
ANYBODY: Json = {"kind": "Group", "name": "system:authenticated"}
OF_CI: Json = {"kind": "Group", "name": "system:serviceaccounts:ci"}
CONCERNED: dict[str, tuple[Callable[[World], Callable[[Grants], None]], set[str]]] = {
    "a ClusterRole": (lambda w: lambda g: g.cluster_roles.put(w.role()), {ALL}),
    "a ClusterRoleBinding": (lambda w: lambda g: g.cluster_bindings.put(w.bound(ANN)), {ALL}),
    "a Role": (lambda w: lambda g: g.roles.put(w.role(namespace=HERE)), {HERE}),
    "a RoleBinding": (lambda w: lambda g: g.bindings.put(w.bound(ANN, namespace=HERE)), {HERE}),
    "a RoleBinding of another namespace's ServiceAccount": (lambda w: lambda g: g.bindings.put(w.bound(BOT, namespace=HERE)), {HERE, "ci"}),
    "one of a namespace's ServiceAccounts": (lambda w: lambda g: g.bindings.put(w.bound(OF_CI, namespace=HERE)), {HERE, "ci"}),
    "one of all ServiceAccounts, which gives them something there alone": (lambda w: lambda g: g.bindings.put(w.bound(EVERY, namespace=HERE)), {HERE}),
    "and one of everybody": (lambda w: lambda g: g.bindings.put(w.bound(ANYBODY, namespace=HERE)), {HERE}),
}


@pytest.mark.parametrize(("change", "concerned"), CONCERNED.values(), ids=CONCERNED.keys())
def test_a_change_concerns(change: Callable[[World], Callable[[Grants], None]], concerned: set[str]) -> None:
    world = World()
    assert world.after(change(world)) == concerned


def test_a_role_that_everybody_is_bound_to_concerns_its_own_namespace() -> None:
    world = World()
    world.grants.bindings.put(world.bound(ANYBODY, EVERY, namespace=HERE))
    assert world.after(lambda g: g.roles.put(world.role(namespace=HERE))) == {HERE}


def test_what_changes_nothing_concerns_nobody() -> None:
    world = World()
    world.grants.cluster_roles.put(world.role())
    assert world.after(lambda g: g.cluster_roles.put(world.role())) == set()


def test_whom_a_binding_named_before_is_concerned_when_it_goes_or_names_others() -> None:
    world = World()
    world.grants.bindings.put(world.bound(BOT, namespace=HERE))
    assert world.after(lambda g: g.bindings.put(world.bound(ANN, namespace=HERE))) == {HERE, "ci"}
    world.grants.bindings.put(world.bound(BOT, namespace=HERE))
    gone = world.bound(namespace=HERE)
    assert world.after(lambda g: g.bindings.event("DELETED", gone)) == {HERE, "ci"}
    assert world.grants.seen("ci").naming == {}


LENT: dict[str, tuple[Callable[[World], object], set[str]]] = {
    "nobody": (lambda w: w.grants.bindings.put(w.bound(ANN, namespace=HERE)), {"ci"}),
    "another namespace": (lambda w: w.grants.bindings.put(w.bound(BOT, ANN, namespace=HERE)), {"ci", HERE}),
    "another namespace, to all of it": (lambda w: w.grants.bindings.put(w.bound(OF_CI, namespace=HERE)), {"ci", HERE}),
    "itself": (lambda w: w.grants.bindings.put(w.bound(BOT, namespace="ci")), {"ci"}),
    "the cluster": (lambda w: w.grants.cluster_bindings.put(w.bound(BOT)), {"ci", ALL}),
    "the cluster, to all of it": (lambda w: w.grants.cluster_bindings.put(w.bound(OF_CI)), {"ci", ALL}),
    "the cluster, to every ServiceAccount there is": (lambda w: w.grants.cluster_bindings.put(w.bound(EVERY)), {"ci"}),
}


@pytest.mark.parametrize(("lend", "concerned"), LENT.values(), ids=LENT.keys())
def test_who_becomes_a_service_account_concerns_whoever_gave_it_something(lend: Callable[[World], object], concerned: set[str]) -> None:
    world = World()
    lend(world)
    assert world.after(lambda g: g.bindings.put(world.bound(BEN, name="tokens", namespace="ci"))) == concerned
    assert world.after(lambda g: g.roles.put(world.role(namespace="ci"))) == concerned


def test_and_no_longer_once_it_took_that_back() -> None:
    world = World()
    world.grants.bindings.put(world.bound(BOT, namespace=HERE))
    world.grants.bindings.event("DELETED", world.bound(namespace=HERE))
    assert world.after(lambda g: g.roles.put(world.role(namespace="ci"))) == {"ci"}


def test_what_a_service_account_may_is_said_in_the_same_order_whatever_came_first() -> None:
    def told(*names: str) -> list[str]:
        world = World()
        world.grants.cluster_roles.put(world.role())
        for name in names:
            world.grants.bindings.put(world.bound(BOT, name=name, namespace="ci"))
        return [r.by for r in account_rights(world.grants.seen("ci"), "bot")]

    assert told("a", "b", "c") == told("c", "a", "b")
    assert len(told("a", "b", "c")) == 3


def test_one_binding_compiles_its_own_namespace_anew_and_no_other() -> None:
    world = World()
    world.grants.cluster_roles.put(world.role())
    for namespace in (HERE, "fraud"):
        world.grants.bindings.put(world.bound(ANN, namespace=namespace))
    before, there = world.grants.seen(HERE), world.grants.seen("fraud")
    world.grants.bindings.put(world.bound(ANN, name="more", namespace=HERE))
    after = world.grants.seen(HERE)
    assert after.everywhere is before.everywhere
    assert world.grants.seen("fraud").here is there.here
    assert [b.name for b in after.here.bindings] == ["b", "more"]


SUBJECTS = st.lists(st.sampled_from([ANN, BOT, EVERY, OF_CI]), max_size=2)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["Role", "RoleBinding"]), st.sampled_from([HERE, "ci"]), st.sampled_from(["a", "b"]), st.booleans(), SUBJECTS), max_size=12
)


@given(EVENTS)
def test_after_any_events_what_is_seen_is_what_is_stored(events: list[tuple[str, str, str, bool, list[Json]]]) -> None:
    world, stored = World(), dict[tuple[str, str, str], Json]()
    for kind, namespace, name, gone, subjects in events:
        raw = world.role(name, namespace) if kind == "Role" else world.bound(*subjects, name=name, namespace=namespace)
        (world.grants.roles if kind == "Role" else world.grants.bindings).event("DELETED" if gone else "MODIFIED", raw)
        if gone:
            stored.pop((kind, namespace, name), None)
        else:
            stored[(kind, namespace, name)] = raw
        for each in (HERE, "ci"):
            assert world.grants.seen(each).here == _local(stored, each)
    seen = world.grants.seen(HERE).naming
    named = {(s, b) for s, each in seen.items() for b in each}
    bindings = [binding_of(raw) for (kind, _, _), raw in stored.items() if kind == "RoleBinding"]
    assert named == {(s, b) for b in bindings for s in b.subjects if s not in (Subject("User", "ann"), Subject("Group", "system:serviceaccounts"))}


def _local(stored: dict[tuple[str, str, str], Json], namespace: str) -> Local:
    found = {(kind, name): raw for (kind, ns, name), raw in sorted(stored.items(), key=lambda each: each[0]) if ns == namespace}
    roles = {name: role_of(raw) for (kind, name), raw in found.items() if kind == "Role"}
    return Local(namespace, roles, tuple(binding_of(raw) for (kind, _), raw in found.items() if kind == "RoleBinding"))


def test_who_becomes_any_service_account_is_looked_at_anew_after_a_change_in_any_namespace() -> None:
    world = World()
    world.grants.cluster_roles.put(world.role())
    world.grants.cluster_roles.put(world.stored("ClusterRole", "w", rules=[{"verbs": ["create"], "apiGroups": ["", "aiqms.dev"], "resources": ["*"]}]))
    world.grants.bindings.put(world.bound(EVERY, namespace=HERE, role="w"))

    def editing() -> set[str]:
        return {str(g.subject) for g in editors(world.grants.seen(HERE))} - {"group system:masters", "group system:serviceaccounts"}

    assert editing() == set()
    for namespace in ("ci", "fraud"):
        world.grants.bindings.put(world.bound(ANN if namespace == "ci" else BEN, namespace=namespace, role="w"))
        world.grants.seen(namespace)
    assert editing() == {"user ann", "user ben"}
    world.grants.bindings.event("DELETED", world.bound(namespace="ci"))
    assert editing() == {"user ben"}


def test_what_is_seen_stays_the_same_object_until_anything_changes() -> None:
    world = World()
    changes: list[Callable[[Grants], None]] = [
        lambda grants: grants.roles.put(world.role(namespace="ci")),
        lambda grants: grants.bindings.put(world.bound(ANN, namespace="ci")),
        lambda grants: grants.cluster_roles.put(world.role()),
        lambda grants: grants.cluster_bindings.put(world.bound(ANN)),
    ]
    for change in changes:
        before = world.grants.seen(HERE)
        assert world.grants.seen(HERE) is before
        change(world.grants)
        assert world.grants.seen(HERE) is not before
