"""Who holds a role: read from bindings and rules, as far as the person at the terminal may read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiqms.api.record import Decision
from aiqms.api.values import GROUP, Json
from aiqms.cli.connection import Connection
from aiqms.cli.reading import readable_items
from aiqms.cli.rights import RESOURCE, verb_of

_RBAC = "/apis/rbac.authorization.k8s.io/v1"

Rules = dict[tuple[str, str], list[Json]]  # of each role, by its kind and name


@dataclass(frozen=True)
class WhoMay:
    """Who holds a role. known: all bindings that could give it were read; without it there may be others. me: the person at the terminal does.

    giver: the ClusterRole that gives it; empty where all were read and none does.
    """

    people: tuple[str, ...]
    known: bool
    me: bool = False
    giver: str = ""


@dataclass(frozen=True)
class Bindings:
    """What RBAC says in one namespace, as far as it may be read. rules of ClusterRoles are None where they may not: the chart's names stand in."""

    bindings: tuple[Json, ...]
    roles: Rules
    cluster_roles: Rules | None
    known: bool

    def may(self, role: str, decision: Decision = Decision.APPROVE, *, me: bool = False) -> WhoMay:
        """Who may decide so in the role."""
        verb = verb_of(decision)
        clusterwide = by_the_charts_names([role], verb) if self.cluster_roles is None else self.cluster_roles
        giver = next((name for (_, name), rules in sorted(clusterwide.items()) if any(_gives(rule, role, verb) for rule in rules)), "")
        return WhoMay(holders(role, self.bindings, self.roles | clusterwide, verb=verb), self.known, me=me, giver=giver)

    def holding(self, role: str) -> WhoMay:
        """Who may decide anything at all in the role."""
        each = [self.may(role, decision) for decision in Decision]
        people = dict.fromkeys(p for may in each for p in may.people)
        return WhoMay(tuple(people), self.known, giver=next((may.giver for may in each if may.giver), ""))


def bindings_in(connection: Connection) -> Bindings:
    """The bindings that reach the connection's namespace, and the rules that they bind."""
    here = f"{_RBAC}/namespaces/{connection.namespace}"
    bound = [readable_items(connection, path) for path in (f"{here}/rolebindings", f"{_RBAC}/clusterrolebindings")]
    near, far = readable_items(connection, f"{here}/roles"), readable_items(connection, f"{_RBAC}/clusterroles")
    return Bindings(
        bindings=tuple(b for found in bound for b in found or []),
        roles=_by_name("Role", near or []),
        cluster_roles=None if far is None else _by_name("ClusterRole", far),
        known=None not in (*bound, near, far),
    )


def _by_name(kind: str, roles: Iterable[Json]) -> Rules:
    return {(kind, role["metadata"]["name"]): role.get("rules") or [] for role in roles}


def by_the_charts_names(roles: Iterable[str], verb: str) -> Rules:
    """Whoever may not read ClusterRoles still sees what a binding points at, and the chart's names say what that gives."""
    return {("ClusterRole", f"aiqms-role-{role}"): [{key: [value] for key, value in _right(role, verb).items()}] for role in roles}


def holders(role: str, bindings: Iterable[Json], rules: Rules, *, verb: str = "approve") -> tuple[str, ...]:
    """The users and groups to whom a binding gives the role's verb, each once, as `group risk-managers` or `user alice`.

    A right by wildcard, or without names, makes nobody an approver, and service accounts approve nothing: neither is listed.
    """
    giving = [b for b in bindings if any(_gives(rule, role, verb) for rule in rules.get((b["roleRef"]["kind"], b["roleRef"]["name"]), []))]
    people = (f"{s['kind'].lower()} {s['name']}" for b in giving for s in b.get("subjects") or [] if s["kind"] in ("User", "Group"))
    return tuple(dict.fromkeys(people))


def _gives(rule: Json, role: str, verb: str) -> bool:
    return all(value in (rule.get(key) or []) for key, value in _right(role, verb).items())


def _right(role: str, verb: str) -> dict[str, str]:
    return {"apiGroups": GROUP, "resources": RESOURCE, "verbs": verb, "resourceNames": role}
