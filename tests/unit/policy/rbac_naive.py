"""RBAC evaluated the slow way, one user and one request at a time, as plugin/pkg/auth/authorizer/rbac of Kubernetes does: what the fast way is held against."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aiqms.policy.rbac import Ask, Rbac, Role, Rule, Subject, groups_of

ANONYMOUS = "somebody"  # a member of a group of whom nothing else is known


def member(of: Subject) -> tuple[str, set[str]]:
    """The user name and groups of a subject as it is bound."""
    return of.user or ANONYMOUS, {*groups_of(of), *([of.name] if of.kind == "Group" else [])}


def may(rbac: Rbac, who: Subject, ask: Ask, name: str) -> bool:
    """Whether the API server would let it."""
    user, groups = member(who)
    if "system:masters" in groups:
        return True
    namespace = rbac.here.namespace if ask.within == "." else ask.within
    return any(visit(rule, ask, name) for rule in rules(rbac, user, groups, namespace))


def rules(rbac: Rbac, user: str, groups: Collection[str], namespace: str) -> Iterator[Rule]:
    for binding in rbac.everywhere.bindings:
        if any(applies(s, user, groups) for s in binding.subjects):
            yield from of(rbac.everywhere.roles.get(binding.role[1]))
    local = rbac.local(namespace) if namespace else None
    for binding in local.bindings if local else ():
        if any(applies(s, user, groups) for s in binding.subjects):
            kind, name = binding.role
            yield from of((local.roles if kind == "Role" and local else rbac.everywhere.roles).get(name))


def of(role: Role | None) -> tuple[Rule, ...]:
    return role.rules if role else ()


def applies(subject: Subject, user: str, groups: Collection[str]) -> bool:
    if subject.kind == "Group":
        return subject.name in groups
    if subject.kind == "ServiceAccount":
        return user == f"system:serviceaccount:{subject.namespace}:{subject.name}"
    return user == subject.name


def visit(rule: Rule, ask: Ask, name: str) -> bool:
    verb = "*" in rule.verbs or ask.verb in rule.verbs
    group = "*" in rule.groups or ask.group in rule.groups
    combined = f"{ask.resource}/{ask.subresource}" if ask.subresource else ask.resource
    return verb and group and any(resource(r, combined, ask.subresource) for r in rule.resources) and (not rule.names or name in rule.names)


def resource(of_rule: str, combined: str, sub: str) -> bool:
    if of_rule in ("*", combined):
        return True
    return bool(sub) and len(of_rule) == len(sub) + 2 and of_rule.startswith("*/") and of_rule.endswith(sub)
