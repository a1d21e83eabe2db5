"""RBAC as the API server evaluates it (rbac.authorization.k8s.io): who may do something, and which binding gives it. Bindings only, no other authorizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce

from aiqms.api.values import GROUP, Json

ANY = "*"
HERE = "."  # of an Ask: the namespace that is looked at
CLUSTER = ""  # of an Ask: everywhere, as for resources without a namespace
MASTERS = "system:masters"
EVERYBODY = ("system:serviceaccounts", "system:authenticated")  # a RoleBinding to these is about its own namespace, whoever else is in them
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, order=True)
class Subject:
    """Whom a binding names. A User whose name is a ServiceAccount's is that ServiceAccount."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.lower()} {where}{self.name}"

    @property
    def user(self) -> str:
        """The user name by which the API server knows it; empty for a group."""
        return {"User": self.name, "ServiceAccount": f"{_ACCOUNT}{self.namespace}:{self.name}"}.get(self.kind, "")


def subject(kind: str, name: str, namespace: str = "") -> Subject:
    """As a binding has it."""
    if kind == "User" and name.startswith(_ACCOUNT) and name.count(":") == 3:
        return Subject("ServiceAccount", name.split(":")[3], name.split(":")[2])
    return Subject(kind, name, namespace if kind == "ServiceAccount" else "")


def groups_of(account: Subject) -> tuple[str, ...]:
    """The groups in which the API server puts a ServiceAccount; of others only that they are authenticated is known."""
    if account.kind == "ServiceAccount":
        return "system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated"
    return ("system:authenticated",)


@dataclass(frozen=True)
class Ask:
    """What somebody may do. name: None for any one object, empty for no named one (create, list). within: HERE, CLUSTER or a namespace."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str | None = None
    within: str = HERE

    @cached_property
    def _hash(self) -> int:
        return hash((self.verb, self.group, self.resource, self.subresource, self.name, self.within))

    def __hash__(self) -> int:
        """Worked out once: answers are kept by question."""
        return self._hash

    @cached_property
    def full(self) -> str:
        """resource/subresource."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Rule:
    """A PolicyRule. names: none for all; urls: paths that are no resources."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def allows(self, ask: Ask) -> bool:
        """As the API server matches: `*/scale` is any resource's scale, `pods/*` is no pattern, resourceNames know no wildcard."""
        return (
            (ANY in self.verbs or ask.verb in self.verbs)
            and (ANY in self.groups or ask.group in self.groups)
            and (ANY in self.resources or ask.full in self.resources or bool(ask.subresource and f"*/{ask.subresource}" in self.resources))
            and (not self.names or ask.name is None or ask.name in self.names)  # also for create: an apply of what is not there yet names it
        )


@dataclass(frozen=True)
class Role:
    """A Role, or a ClusterRole with what aggregation put into it. Each question is worked out once for each version."""

    kind: str
    namespace: str
    name: str
    rules: tuple[Rule, ...] = ()

    @cached_property
    def _known(self) -> dict[Ask, tuple[str, ...] | None]:
        return {}

    @cached_property
    def decided(self) -> frozenset[str]:
        """The approval roles that its rules name."""
        about = (r for r in self.rules if {GROUP, ANY} & set(r.groups) and {"approvalroles", ANY} & set(r.resources))
        return frozenset(name for rule in about for name in rule.names)

    def giving(self, ask: Ask) -> tuple[str, ...] | None:
        """The names that its rules together allow it for, none for all; None where no rule allows it."""
        if ask not in self._known:
            found = [r.names for r in self.rules if r.allows(ask)]
            self._known[ask] = reduce(_together, found) if found else None
        return self._known[ask]


@dataclass(frozen=True, order=True)
class Binding:
    """A RoleBinding, or a ClusterRoleBinding (of no namespace). role: kind and name."""

    kind: str
    namespace: str
    name: str
    role: tuple[str, str]
    subjects: tuple[Subject, ...] = ()

    def __hash__(self) -> int:
        """Without the subjects: with each of thousands of them as a key beside the binding, that would be thousands squared."""
        return hash((self.kind, self.namespace, self.name))

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name} ({self.role[0]} {self.role[1]})"


@dataclass(frozen=True)
class Given:
    """A right that somebody has. binding: None for system:masters, to whom the API server gives everything by itself. way: empty for the right itself."""

    subject: Subject
    ask: Ask
    binding: Binding | None
    names: tuple[str, ...] = ()
    way: str = ""

    @property
    def by(self) -> str:
        """What gives it, in words."""
        return str(self.binding) if self.binding else "the API server itself"


@dataclass(frozen=True)
class Clusterwide:
    """ClusterRoles by name, and their ClusterRoleBindings. Each question is worked out once for each version."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    bindings: tuple[Binding, ...] = ()

    @cached_property
    def _known(self) -> dict[Ask, tuple[Given, ...]]:
        return {}

    def who(self, ask: Ask) -> tuple[Given, ...]:
        """Those who may everywhere."""
        if ask not in self._known:
            masters = Given(Subject("Group", MASTERS), ask, None)
            bound = _given(ask, self.bound())
            self._known[ask] = tuple(bound) if any(g.subject == masters.subject for g in bound) else (*bound, masters)
        return self._known[ask]

    def bound(self) -> Iterator[tuple[Role, list[Binding]]]:
        """Each binding with its role. One that does not exist gives nothing."""
        yield from ((role, [b]) for b in self.bindings if (role := self.role(b)))

    def role(self, binding: Binding) -> Role | None:
        """What a ClusterRoleBinding gives; None where there is no such ClusterRole."""
        return self.roles.get(binding.role[1]) if binding.role[0] == "ClusterRole" else None


@dataclass(frozen=True)
class Local:
    """The Roles of a namespace by name, and its RoleBindings."""

    namespace: str
    roles: Mapping[str, Role] = field(default_factory=dict)
    bindings: tuple[Binding, ...] = ()

    @cached_property
    def _by_role(self) -> dict[tuple[str, str], list[Binding]]:
        found: dict[tuple[str, str], list[Binding]] = {}
        for binding in self.bindings:
            found.setdefault(binding.role, []).append(binding)
        return found

    def bound(self, everywhere: Clusterwide) -> Iterator[tuple[Role, list[Binding]]]:
        """Each role that is bound here, with its RoleBindings. One that does not exist gives nothing."""
        for (kind, name), bindings in self._by_role.items():
            if role := self.roles.get(name) if kind == "Role" else everywhere.roles.get(name):
                yield role, bindings


@dataclass(frozen=True)
class Rbac:
    """What RBAC says in one namespace, and in others as far as they are known. here: the namespace looked at.

    naming: of every namespace, the RoleBindings that name a ServiceAccount, or those of one namespace.
    common: what was worked out once of all namespaces, by a name, for whoever looks at one after the other.
    """

    everywhere: Clusterwide
    here: Local
    others: Mapping[str, Local] = field(default_factory=dict)
    naming: Mapping[Subject, Sequence[Binding]] = field(default_factory=dict)
    common: dict[str, tuple[Given, ...]] = field(default_factory=dict, compare=False)

    @cached_property
    def known(self) -> dict[str, tuple[Given, ...]]:
        """What was worked out of it once, by a name: every deployment of the namespace asks the same."""
        return {}

    def local(self, namespace: str) -> Local | None:
        """The part of one namespace; None where it is not known or has none, and of CLUSTER."""
        return self.here if namespace == self.here.namespace else self.others.get(namespace)

    def who(self, ask: Ask) -> list[Given]:
        """Each subject that may do it, with each binding that gives it."""
        local = self.local(self.here.namespace if ask.within == HERE else ask.within)
        return [*self.everywhere.who(ask), *(_given(ask, local.bound(self.everywhere)) if local else ())]


def role_of(raw: Json) -> Role:
    """Of a Role or a ClusterRole, whose aggregated rules the API server keeps in its rules."""
    metadata = raw["metadata"]
    rules = tuple(_rule(r) for r in raw.get("rules") or [])
    return Role(raw["kind"], metadata.get("namespace", ""), metadata["name"], rules)


def _rule(raw: Json) -> Rule:
    keys = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    return Rule(*(tuple(raw.get(key) or ()) for key in keys))


def binding_of(raw: Json) -> Binding:
    """Of a RoleBinding or a ClusterRoleBinding. A ServiceAccount without namespace is one of the binding's."""
    metadata, ref = raw["metadata"], raw["roleRef"]
    here = metadata.get("namespace", "")
    subjects = tuple(subject(s["kind"], s["name"], s.get("namespace") or here) for s in raw.get("subjects") or [])
    return Binding(raw["kind"], here, metadata["name"], (ref["kind"], ref["name"]), subjects)


def subjects_who(rbac: Rbac, asks: Iterable[Ask]) -> list[Given]:
    """Who may do any one of these: one answer for each subject and binding, with the names of all that they may. Its ask is one that the first name is for."""
    found: dict[tuple[Subject, Binding | None], Given] = {}
    for ask in asks:
        for given in rbac.who(ask):
            key = (given.subject, given.binding)
            before = found.get(key)
            if before is None:
                found[key] = given
            elif before.names:
                names = _together(before.names, given.names)
                found[key] = replace(before, names=names) if names else given
    return list(found.values())


def _together(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Names of objects; none stands for all."""
    return tuple(dict.fromkeys((*some, *more))) if some and more else ()


def _given(ask: Ask, bound: Iterable[tuple[Role, list[Binding]]]) -> list[Given]:
    return [Given(s, ask, b, names) for role, each in bound if (names := role.giving(ask)) is not None for b in each for s in b.subjects]
