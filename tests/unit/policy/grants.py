"""RBAC in few words: roles by what they allow, bindings by whom they name. `ann` is a user, `@devs` a group, `ci/bot` a ServiceAccount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiqms.policy.rbac import Binding, Clusterwide, Local, Rbac, Role, Rule, Subject, subject

HERE = "lending"
Words = Mapping[str, str]  # role -> what it allows


def who(word: str) -> Subject:
    """`ann`, `@devs` or `ci/bot`."""
    if word.startswith("@"):
        return subject("Group", word[1:])
    namespace, _, name = word.rpartition("/")
    return subject("ServiceAccount", name, namespace) if namespace else subject("User", word)


def rule(words: str) -> Rule:
    """`get,list secrets`, `* deployments.apps`, `approve approvalroles.aiqms.dev=risk-manager`; `get /metrics`."""
    verbs, _, what = words.partition(" ")
    if what.startswith("/"):
        return Rule(tuple(verbs.split(",")), urls=tuple(what.split(",")))
    what, _, names = what.partition("=")
    each = [r.partition(".") for r in what.split(",")]
    groups = tuple(dict.fromkeys("*" if resource == "*" else group for resource, _, group in each))
    return Rule(tuple(verbs.split(",")), groups, tuple(resource for resource, _, _ in each), tuple(names.split(",")) if names else ())


def role(kind: str, name: str, words: str, namespace: str = "") -> Role:
    """Rules are parted by `;`."""
    return Role(kind, namespace, name, tuple(rule(w.strip()) for w in words.split(";") if w.strip()))


def rbac(
    *bound: str,
    cluster: Words | None = None,
    roles: Words | None = None,
    others: Mapping[str, Sequence[str]] | None = None,
    other_roles: Mapping[str, Words] | None = None,
) -> Rbac:
    """bound: `ann devs -> edit` in the namespace, `* ann -> view` everywhere, `Role:r` for a Role. others: the same in other namespaces."""
    shipped = {name: role("ClusterRole", name, words) for name, words in {**SHIPPED, **(cluster or {})}.items()}
    far = [_binding(n, w.removeprefix("* "), "") for n, w in enumerate(bound) if w.startswith("* ")]
    here = _local(HERE, [w for w in bound if not w.startswith("* ")], roles or {})
    more = {ns: _local(ns, words, (other_roles or {}).get(ns, {})) for ns, words in (others or {}).items()}
    naming: dict[Subject, list[Binding]] = {}
    for b in (*here.bindings, *(b for each in more.values() for b in each.bindings)):
        for s in b.subjects:
            naming.setdefault(s, []).append(b)
    return Rbac(Clusterwide(shipped, tuple(far)), here, more, naming)


def _local(namespace: str, bound: Sequence[str], roles: Words) -> Local:
    known = {name: role("Role", name, words, namespace) for name, words in roles.items()}
    return Local(namespace, known, tuple(_binding(n, words, namespace) for n, words in enumerate(bound)))


def _binding(number: int, words: str, namespace: str) -> Binding:
    people, _, ref = words.partition(" -> ")
    kind, _, name = ref.rpartition(":")
    called = f"b{number}" if namespace else f"c{number}"
    subjects = tuple(who(w) for w in people.split())
    return Binding("RoleBinding" if namespace else "ClusterRoleBinding", namespace, called, (kind or "ClusterRole", name), subjects)


SHIPPED: Words = {
    "cluster-admin": "* *; * /*",
    "edit": "create,update,patch,delete deployments.apps,statefulsets.apps; create,update,patch,delete pods,secrets; impersonate serviceaccounts",
    "view": "get,list pods,deployments",
    "register": "create,update aimodeldeployments.aiqms.dev",
    "owner": "approve,reject approvalroles.aiqms.dev=model-owner",
    "risk": "approve,reject approvalroles.aiqms.dev=risk-manager",
    "commander": "stop,resume approvalroles.aiqms.dev=incident-commander",
    "reviewer": "reviewaccess approvalroles.aiqms.dev=model-owner",
}
