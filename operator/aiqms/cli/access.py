"""Roles and bindings as the person at the terminal may read them, and what the API server answers about others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from aiqms.api.values import Json
from aiqms.cli.connection import CannotAsk, Connection, Refused
from aiqms.cli.doctor_rows import plainly
from aiqms.policy.rbac import CLUSTER, HERE, Ask, Binding, Clusterwide, Given, Local, Rbac, Role, Subject, binding_of, groups_of, role_of
from aiqms.policy.reach import NOBODYS_ROLE, ROLES

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_PAGE = "500"
_AT_ONCE = 8  # questions under way
_NEEDED = "ClusterRole aiqms-auditor, bound cluster-wide, lets you"
SOMEBODY = "aiqms:somebody"  # stands for a member of a group of whom nothing else is known


def rbac(connection: Connection, *, whole: bool) -> Rbac:
    """Everything that RBAC says about the connection's namespace; whole: about others too. Raises CannotAsk, naming each right that is missing."""
    scope = "" if whole else f"/namespaces/{connection.namespace}"
    found, missing = dict[str, list[Json]](), list[str]()
    for plural, at in (("clusterroles", ""), ("clusterrolebindings", ""), ("roles", scope), ("rolebindings", scope)):
        try:
            found[plural] = every(connection, f"{_RBAC}{at}/{plural}")
        except Refused as refusal:
            if refusal.code != 403:
                raise
            missing.append(plainly(str(refusal)).removeprefix("you may not "))
    if missing:
        raise CannotAsk(f"who can do what is not known to you: you may not {', '.join(missing)}; {_NEEDED}")
    return assembled(connection.namespace, found)


def assembled(namespace: str, found: Mapping[str, Sequence[Json]]) -> Rbac:
    """RBAC of listed objects. Pure."""
    roles = [role_of(r | {"kind": "Role"}) for r in found["roles"]]
    bindings = [binding_of(b | {"kind": "RoleBinding"}) for b in found["rolebindings"]]
    spaces = {b.namespace for b in bindings} | {r.namespace for r in roles} | {namespace}
    near: dict[str, dict[str, Role]] = {ns: {} for ns in spaces}
    bound: dict[str, list[Binding]] = {ns: [] for ns in spaces}
    for role in roles:
        near[role.namespace][role.name] = role
    for binding in bindings:
        bound[binding.namespace].append(binding)
    locals_ = {ns: Local(ns, near[ns], tuple(bound[ns])) for ns in spaces}
    far = {r["metadata"]["name"]: role_of(r | {"kind": "ClusterRole"}) for r in found["clusterroles"]}
    everywhere = Clusterwide(far, tuple(binding_of(b | {"kind": "ClusterRoleBinding"}) for b in found["clusterrolebindings"]))
    return Rbac(everywhere, locals_[namespace], locals_)


def every(connection: Connection, path: str) -> list[Json]:
    """All objects of a list, in pages. Raises as Connection.get does."""
    items, more = list[Json](), {"limit": _PAGE}
    while more:
        page = connection.get(path, more)
        items += page.get("items") or []
        goes_on = (page.get("metadata") or {}).get("continue")
        more = {"limit": _PAGE, "continue": goes_on} if goes_on else {}
    return items


def confirmed(connection: Connection, candidates: Iterable[Given]) -> list[Given]:
    """Those candidates whom the API server lets do it, by SubjectAccessReview: other authorizers, and what changed meanwhile, count too.

    Raises CannotAsk where this person may not ask about others.
    """
    each = list(candidates)
    reviews = {key: review for given in each for key, review in _reviews(given, connection.namespace)}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = dict(zip(reviews, pool.map(lambda review: _allowed(connection, review), reviews.values()), strict=True))
    return [g for g in each if all(answers[key] is expected for (key, _), expected in zip(_reviews(g, connection.namespace), (True, False), strict=False))]


def _reviews(given: Given, namespace: str) -> list[tuple[str, Json]]:
    """The question; of a decision also whether it is held by a wildcard, which decides nothing but Stop."""
    ask = given.ask if given.ask.name is not None else replace(given.ask, name=given.names[0] if given.names else "")
    wild = [replace(ask, name=NOBODYS_ROLE)] if ask.resource == ROLES and ask.verb != "stop" else []
    return [(str((given.subject, a)), review(given.subject, a, namespace)) for a in (ask, *wild)]


def review(subject: Subject, ask: Ask, namespace: str) -> Json:
    """The SubjectAccessReview that asks it. Pure."""
    user, groups = as_bound(subject)
    within = {HERE: namespace, CLUSTER: ""}.get(ask.within, ask.within)
    attributes = {"verb": ask.verb, "group": ask.group, "resource": ask.resource, "subresource": ask.subresource, "name": ask.name or "", "namespace": within}
    spec = {"user": user, "groups": list(groups), "resourceAttributes": {key: value for key, value in attributes.items() if value}}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def as_bound(subject: Subject) -> tuple[str, tuple[str, ...]]:
    """User name and groups to ask with: of a user the groups are not known, of a group the members are not."""
    if subject.kind != "Group":
        return subject.user, groups_of(subject)
    if subject.name == "system:unauthenticated":
        return "system:anonymous", (subject.name,)
    if subject.name.startswith("system:serviceaccounts"):
        member = Subject("ServiceAccount", "aiqms-somebody", subject.name.removeprefix("system:serviceaccounts").removeprefix(":") or "default")
        return member.user, groups_of(member)
    return SOMEBODY, (subject.name, "system:authenticated")


def _allowed(connection: Connection, body: Json) -> bool:
    try:
        return bool(connection.post(_REVIEWS, body)["status"]["allowed"])
    except Refused as refusal:
        if refusal.code == 403:
            raise CannotAsk(f"{plainly(str(refusal))}, so you cannot ask about others: {_NEEDED}") from refusal
        raise
