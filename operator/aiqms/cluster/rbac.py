"""Roles and bindings as the operator keeps them, by namespace: what one change touches is compiled anew, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from aiqms.cluster.client import Client, path
from aiqms.cluster.reflector import Reflector
from aiqms.cluster.store import Key, Store
from aiqms.policy.rbac import Binding, Clusterwide, Given, Local, Rbac, Subject, binding_of, role_of

RBAC = "rbac.authorization.k8s.io/v1"
KINDS = {"Role": "roles", "RoleBinding": "rolebindings", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
_ACCOUNTS = "system:serviceaccounts:"


class Grants:
    """The four stores. changed: told each namespace that a change concerns; everything: told when it concerns all."""

    def __init__(self, changed: Callable[[str], None], everything: Callable[[], None]) -> None:
        self._changed, self._everything = changed, everything
        self._clusterwide: Clusterwide | None = None
        self._locals: dict[str, Local] = {}
        self._seen: dict[str, Rbac] = {}  # until anything changes, so that what was worked out of it is kept
        self._common: dict[str, tuple[Given, ...]] = {}  # likewise, whichever namespace is looked at
        self._stale: set[str] = set()  # namespaces whose part has to be compiled anew
        self._naming: dict[Subject, tuple[Binding, ...]] = {}  # RoleBindings by the ServiceAccounts, or those of one namespace, that they name
        self._bound: dict[Key, Binding] = {}
        self._lenders: dict[str, Counter[str]] = {}  # by namespace: which others have RoleBindings that name ServiceAccounts of it, and how many
        self._spread: frozenset[str] | None = None  # namespaces whose ServiceAccounts a ClusterRoleBinding names
        self.roles = Store(role_of, self._near)
        self.bindings = Store(binding_of, self._rebound)
        self.cluster_roles = Store(role_of, self._far)
        self.cluster_bindings = Store(binding_of, self._far)

    def seen(self, namespace: str) -> Rbac:
        """What RBAC says in one namespace, and in the others that have bindings."""
        if self._clusterwide is None:
            self._clusterwide = Clusterwide(dict(self.cluster_roles.within("")), _sorted(self.cluster_bindings, ""))
        for stale in self._stale:
            self._locals[stale] = Local(stale, dict(self.roles.within(stale)), _sorted(self.bindings, stale))
        self._stale.clear()
        if namespace not in self._seen:
            self._seen[namespace] = Rbac(self._clusterwide, self._locals.get(namespace) or Local(namespace), self._locals, self._naming, self._common)
        return self._seen[namespace]

    def _forget(self) -> None:
        self._seen.clear()
        self._common = {}

    def _far(self, *_: str) -> None:
        self._clusterwide = self._spread = None
        self._forget()
        self._everything()

    def _near(self, namespace: str, _: str) -> None:
        self._stale.add(namespace)
        self._forget()
        self._changed(namespace)
        self._tell(s for _, bound in self.bindings.within(namespace) for s in bound.subjects)
        self._tell_lenders(namespace)

    def _rebound(self, namespace: str, name: str) -> None:
        """A RoleBinding also concerns the namespaces whose ServiceAccounts it names, or named before. What it gives to everybody is its own namespace's."""
        self._stale.add(namespace)
        self._forget()
        before, now = self._bound.pop((namespace, name), None), self.bindings.get(namespace, name)
        if now:
            self._bound[(namespace, name)] = now
        named = {s for each in (before, now) if each for s in each.subjects}
        for who in filter(_account, named):
            kept = tuple(b for b in self._naming.get(who, ()) if (b.namespace, b.name) != (namespace, name))
            self._naming[who] = (*kept, now) if now and who in now.subjects else kept
            if not self._naming[who]:
                del self._naming[who]
        for each, more in ((before, -1), (now, 1)):
            for home in {_home(s) for s in each.subjects} - {""} if each else ():
                self._lenders.setdefault(home, Counter())[namespace] += more
        self._changed(namespace)
        self._tell(named)
        self._tell_lenders(namespace)

    def _tell(self, subjects: Iterable[Subject]) -> None:
        for home in {_home(who) for who in subjects} - {""}:
            self._changed(home)

    def _tell_lenders(self, namespace: str) -> None:
        """Who becomes a ServiceAccount of a namespace may be other people now, which concerns those who gave it something.

        Not what all ServiceAccounts together were given, which every cluster does (system:service-account-issuer-discovery): else each change concerned all.
        """
        if self._spread is None:
            self._spread = frozenset(_home(s) for _, bound in self.cluster_bindings.within("") for s in bound.subjects)
        if namespace in self._spread:
            self._everything()
        for lender, count in self._lenders.get(namespace, Counter()).items():
            if count:
                self._changed(lender)


def _account(who: Subject) -> bool:
    return bool(_home(who))


def _home(who: Subject) -> str:
    """The namespace of a ServiceAccount, or of the group of all of one namespace; empty for others."""
    return who.namespace if who.kind == "ServiceAccount" else who.name.removeprefix(_ACCOUNTS) if who.name.startswith(_ACCOUNTS) else ""


def _sorted(store: Store[Binding], namespace: str) -> tuple[Binding, ...]:
    """In the order of their names, so that what is said of them never changes with the order of events."""
    return tuple(b for _, b in sorted(store.within(namespace), key=lambda found: found[0]))


def reflectors(client: Client, of: Grants) -> list[Reflector]:
    """One for each of the four kinds."""
    stores: dict[str, Store[Any]] = {"Role": of.roles, "RoleBinding": of.bindings, "ClusterRole": of.cluster_roles, "ClusterRoleBinding": of.cluster_bindings}
    return [Reflector(client=client, store=store, at=path(RBAC, KINDS[kind]), api_version=RBAC, kind=kind) for kind, store in stores.items()]
