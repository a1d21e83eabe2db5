"""Gathers what an explanation may look at. Reads alone; what the person may not read is left unknown, never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cli.connection import Connection, Refused
from aiqms.gate.rules import GOVERNED, LABEL

_REGISTER = f"/apis/{GROUP}/{VERSION}"
NOBODYS_ROLE = "aiqms-nobody-holds-this"  # policy authentic asks for it too
_RBAC = "/apis/rbac.authorization.k8s.io/v1"

Rules = dict[tuple[str, str], list[Json]]  # of each role, by its kind and name


@dataclass(frozen=True)
class WhoMay:
    """Who holds a role. known: all bindings that could give it were read; without it there may be others. me: the person at the terminal does."""

    people: tuple[str, ...]
    known: bool
    me: bool = False


@dataclass(frozen=True)
class Facts:
    """All that an explanation may look at. None means: may not be read."""

    namespace: str
    name: str
    deployment: Json | None  # None: not registered
    governed: bool | None = None
    registered: tuple[str, ...] = ()  # what else is, where this one is not
    pods: int | None = None  # that bear the label, where no deployment of this name is registered
    who_may: tuple[tuple[str, WhoMay], ...] = ()  # for each role that is short of approvals
    rejections: tuple[Json, ...] = ()  # records that reject the current subject


class NotInstalled(Refused):
    """The cluster has no AIModelDeployments at all."""

    def __init__(self) -> None:
        install = "helm upgrade --install aiqms charts/aiqms -n aiqms-system --create-namespace"
        super().__init__(404, f"this cluster has no AIModelDeployments: AIQMS is not installed ({install}), or this is another cluster")


def gather(connection: Connection, name: str) -> Facts:
    """The deployment, its namespace, its rejections, and who holds the roles that it waits for.

    Raises NotInstalled, Refused when the deployment itself may not be read, and CannotAsk.
    """
    facts = Facts(namespace=connection.namespace, name=name, deployment=_deployment(connection, name), governed=_governed(connection))
    if facts.deployment is None:
        return replace(facts, registered=_registered(connection), pods=_labelled(connection, name))
    status = facts.deployment.get("status") or {}
    return replace(facts, who_may=_who_may(connection, _short_of(status)), rejections=_rejections(connection, name, status))


def _deployment(connection: Connection, name: str) -> Json | None:
    try:
        return connection.get(f"{_REGISTER}/namespaces/{connection.namespace}/aimodeldeployments/{name}")
    except Refused as refusal:
        if refusal.code == 403:
            raise Refused(403, f"{refusal}; ClusterRole view, edit, admin or aiqms-view in namespace {connection.namespace} lets you read it") from refusal
        if refusal.code != 404:
            raise
    try:
        connection.get(_REGISTER)
    except Refused as refusal:
        if refusal.code == 404:
            raise NotInstalled from refusal
        raise
    return None


def _readable(connection: Connection, path: str, query: dict[str, str] | None = None) -> Json | None:
    try:
        return connection.get(path, query)
    except Refused as refusal:
        if refusal.code in (403, 404):
            return None
        raise


def _items(connection: Connection, path: str, query: dict[str, str] | None = None) -> list[Json] | None:
    found = _readable(connection, path, query)
    return None if found is None else found.get("items") or []


def _governed(connection: Connection) -> bool | None:
    found = _readable(connection, f"/api/v1/namespaces/{connection.namespace}")
    return None if found is None else GOVERNED in (found["metadata"].get("labels") or {})


def _registered(connection: Connection) -> tuple[str, ...]:
    found = _items(connection, f"{_REGISTER}/namespaces/{connection.namespace}/aimodeldeployments")
    return tuple(sorted(item["metadata"]["name"] for item in found or []))


def _labelled(connection: Connection, name: str) -> int | None:
    found = _items(connection, f"/api/v1/namespaces/{connection.namespace}/pods", {"labelSelector": f"{LABEL}={name}"})
    return None if found is None else len(found)


def _rejections(connection: Connection, name: str, status: Json) -> tuple[Json, ...]:
    subject = (status.get("subject") or {}).get("fingerprint")
    found = _items(connection, f"{_REGISTER}/namespaces/{connection.namespace}/approvalrecords") or []
    return tuple(r for r in found if _rejects(r["spec"], name, subject) and (r.get("status") or {}).get("counts", True))


def _rejects(spec: Json, name: str, subject: str | None) -> bool:
    return (spec["deployment"], spec["decision"], spec["subject"]) == (name, "Reject", subject)


def _short_of(status: Json) -> list[str]:
    return sorted({row["role"] for row in status.get("approvals") or [] if row["given"] < row["required"]})


def _who_may(connection: Connection, roles: list[str]) -> tuple[tuple[str, WhoMay], ...]:
    if not roles:
        return ()
    here = f"{_RBAC}/namespaces/{connection.namespace}"
    bindings = [_items(connection, path) for path in (f"{here}/rolebindings", f"{_RBAC}/clusterrolebindings")]
    near, far = _items(connection, f"{here}/roles"), _items(connection, f"{_RBAC}/clusterroles")
    rules = _by_name("Role", near or []) | (_by_the_charts_names(roles) if far is None else _by_name("ClusterRole", far))
    readable, known = [b for found in bindings for b in found or []], None not in (*bindings, near, far)
    return tuple((role, WhoMay(holders(role, readable, rules), known, me=_mine(connection, role))) for role in roles)


def _mine(connection: Connection, role: str) -> bool:
    """As admission asks: the right to this role, by its name; whoever also has it to a role that nobody has, holds a wildcard."""
    asked = {"group": GROUP, "resource": "approvalroles", "verb": "approve", "namespace": connection.namespace}
    return connection.allowed(asked | {"name": role}) and not connection.allowed(asked | {"name": NOBODYS_ROLE})


def _by_name(kind: str, roles: Iterable[Json]) -> Rules:
    return {(kind, role["metadata"]["name"]): role.get("rules") or [] for role in roles}


def _by_the_charts_names(roles: Iterable[str]) -> Rules:
    """Whoever may not read ClusterRoles still sees what a binding points at, and the chart's names say what that gives."""
    return {("ClusterRole", f"aiqms-role-{role}"): [{key: [value] for key, value in _right(role).items()}] for role in roles}


def holders(role: str, bindings: Iterable[Json], rules: Rules) -> tuple[str, ...]:
    """The users and groups to whom a binding gives the right to approve as the role, each once, as `group risk-managers` or `user alice`.

    A right by wildcard, or without names, makes nobody an approver, and service accounts approve nothing: neither is listed.
    """
    giving = [b for b in bindings if any(_gives(rule, role) for rule in rules.get((b["roleRef"]["kind"], b["roleRef"]["name"]), []))]
    people = (f"{s['kind'].lower()} {s['name']}" for b in giving for s in b.get("subjects") or [] if s["kind"] in ("User", "Group"))
    return tuple(dict.fromkeys(people))


def _gives(rule: Json, role: str) -> bool:
    return all(value in (rule.get(key) or []) for key, value in _right(role).items())


def _right(role: str) -> dict[str, str]:
    return {"apiGroups": GROUP, "resources": "approvalroles", "verbs": "approve", "resourceNames": role}
