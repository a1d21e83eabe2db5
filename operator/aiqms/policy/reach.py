"""Who can do what about a governed namespace: the questions, the ways in which one who lacks a right gets it, and the list that an access review confirms.

Each way is a function. Sources: Kubernetes "RBAC good practices", privilege escalation risks; the impersonation filter of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aiqms.api.record import Decision
from aiqms.api.values import GROUP
from aiqms.policy.digests import digest
from aiqms.policy.facts import AccountRight, Procedure, Reach
from aiqms.policy.procedures import deciding
from aiqms.policy.rbac import ANY, CLUSTER, EVERYBODY, HERE, MASTERS, Ask, Binding, Given, Rbac, Role, Rule, Subject, groups_of, subject, subjects_who

OPERATOR_NAMESPACE = "aiqms-system"  # these two as the gate has them; a test compares
WORKLOADS = {"apps": ("deployments", "statefulsets", "daemonsets", "replicasets"), "batch": ("jobs", "cronjobs"), "": ("pods", "replicationcontrollers")}
WRITE = ("create", "update", "patch", "delete", "deletecollection")
READ = ("get", "list", "watch")
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")  # where Kubernetes binds its own parts, beside the whole cluster
_OWN = {"kube-system", OPERATOR_NAMESPACE}  # whoever gets at a ServiceAccount of these is a way round: `host`, `operator`
_ACCOUNTS = "system:serviceaccounts"  # the group of all; those of one namespace have another one, with its name behind a colon
ROLES = "approvalroles"
NOBODYS_ROLE = "aiqms-nobody-holds-this"  # policy authentic asks for it too: whoever holds it holds a wildcard
_RBAC = "rbac.authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"
_CERTIFICATES = "certificates.k8s.io"
_POLICIES = tuple(f"{kind}admissionpolic{end}" for kind in ("validating", "mutating") for end in ("ies", "ybindings"))
_SIGNERS = ("kubernetes.io/kube-apiserver-client", "kubernetes.io/*")  # who approves for these makes anybody's credentials


@dataclass(frozen=True)
class Question:
    """id: as `kubectl qms who-can` names it. asks: any one of them is a yes. role: of a decision, which takes the right by name."""

    id: str
    asks: tuple[Ask, ...]
    role: str = ""

    @property
    def decision(self) -> bool:
        """Whether it is about an approval role, which service accounts do not hold."""
        return bool(self.role)


def _asks(verbs: Iterable[str], group: str, *resources: str, within: str = HERE, name: str | None = None) -> tuple[Ask, ...]:
    each = [(verb, *resource.partition("/")[::2]) for resource in resources for verb in verbs]
    return tuple(Ask(verb, group, resource, subresource, name, within) for verb, resource, subresource in each)


EDIT_WORKLOAD = Question("edit-workload", tuple(a for group, plurals in WORKLOADS.items() for a in _asks(WRITE, group, *plurals)))
EDIT_REGISTER = Question("edit-register", _asks(WRITE, GROUP, "aimodeldeployments"))
READ_SECRETS = Question("read-secrets", _asks(READ, "", "secrets"))
READ_LOGS = Question("read-logs", _asks(("get",), "", "pods/log"))
OPEN_SESSION = Question("open-session", _asks(("open",), GROUP, "interactivesessions", name=""))
CHANGE_PROCEDURES = Question("change-procedures", _asks(WRITE, GROUP, "qmsprocedures", within=CLUSTER))
WRITE_CLEARANCES = Question("write-clearances", _asks(WRITE, GROUP, "clearances"))
DISABLE_GATE = Question(
    "disable-gate",
    (
        *_asks(WRITE, "admissionregistration.k8s.io", *_POLICIES, "mutatingwebhookconfigurations", "validatingwebhookconfigurations", within=CLUSTER),
        *_asks(WRITE, "apiextensions.k8s.io", "customresourcedefinitions", within=CLUSTER),
        *_asks(WRITE, "apps", "deployments", within=OPERATOR_NAMESPACE),
    ),
)
FIXED = (
    EDIT_WORKLOAD, EDIT_REGISTER, READ_SECRETS, READ_LOGS, OPEN_SESSION, CHANGE_PROCEDURES, DISABLE_GATE, WRITE_CLEARANCES,
)  # fmt: skip
DECIDED = (Decision.APPROVE, Decision.STOP, Decision.RESUME, Decision.EMERGENCY, Decision.REVIEW_ACCESS)


def release_namespace(namespace: str) -> Question:
    """Who takes this namespace out of the gate, or deletes it with its records."""
    return Question("release-namespace", (Ask("release", GROUP, "governednamespaces", name=namespace, within=CLUSTER),))


def decides(decision: Decision, role: str) -> Question:
    """Who decides so in a role: the decision in small letters is the verb."""
    verb = decision.lower()
    return Question(f"{verb} {role}", (Ask(verb, GROUP, ROLES, name=role),), role)


# Direct answers


def direct(rbac: Rbac, question: Question) -> list[Given]:
    """Who holds the right itself. A role is held by name: by a wildcard one may stop, and decides nothing else (invariant 3)."""
    found = subjects_who(rbac, question.asks)
    if not question.decision:
        return found
    (ask,) = question.asks
    everything = set() if ask.verb == "stop" else {g.subject for g in rbac.who(replace(ask, name=NOBODYS_ROLE))}
    return [g for g in found if _person(g.subject) and g.subject not in everything]


def _person(subject: Subject) -> bool:
    """Service accounts and parts of the cluster do not decide; a group may be one of people."""
    account = subject.kind == "ServiceAccount" or (subject.kind == "User" and subject.name.startswith("system:"))
    return not account and subject.name != "system:nodes" and not subject.name.startswith("system:serviceaccounts")


# Ways in which one who lacks a right gets it

Way = Callable[[Rbac, Question, Sequence[Given]], Iterator[Given]]  # a right and its holders -> others who can get it


def impersonate(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Acts as one of the holders. With resourceNames it is one of those that are named; a ServiceAccount is reached by a right in its own namespace."""
    known = _standing(holders)
    users = {s.user for s in known if s.kind != "Group"}
    groups = {s.name for s in known if s.kind == "Group"}
    yield from _named(subjects_who(rbac, _impersonating("users")), users)
    yield from _named(subjects_who(rbac, _impersonating("groups")), groups)
    for namespace in sorted({s.namespace for s in known if s.kind == "ServiceAccount"}):
        accounts = {s.name for s in known if s.namespace == namespace}
        yield from _named(subjects_who(rbac, _impersonating("serviceaccounts", namespace)), accounts)


def _impersonating(resource: str, within: str = CLUSTER) -> tuple[Ask, ...]:
    """The old verb, and the constrained ones (beta and on in Kubernetes 1.36), which a holder needs beside others: taken for enough here."""
    verb = "impersonate:serviceaccount" if resource == "serviceaccounts" else "impersonate:user-info"
    return Ask("impersonate", "", resource, within=within), Ask(verb, _AUTHENTICATION, resource, within=within)


def _named(found: Iterable[Given], names: set[str]) -> Iterator[Given]:
    """Those who may as for one of the names, or for any ServiceAccount of a namespace where one stands for all."""
    yield from (g for g in found if (any(name in names or _unnamed(name) in names for name in g.names) if g.names else names))


def _unnamed(name: str) -> str:
    """The name, or user name, of the one that stands for all, where this is the name or user name of a ServiceAccount."""
    return replace(subject("User", name), name="").user


def escalate(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Writes into a role more than they hold themselves."""
    yield from subjects_who(rbac, (Ask("escalate", _RBAC, "roles"), Ask("escalate", _RBAC, "clusterroles", within=CLUSTER)))


def bind(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Binds a role that they do not hold to themselves; with resourceNames only one of those."""
    found = subjects_who(rbac, (Ask("bind", _RBAC, "roles"), Ask("bind", _RBAC, "clusterroles")))
    yield from (g for g in found if not g.names or any(role.giving(ask) is not None for role in _roles(rbac, g.names) for ask in question.asks))


def _roles(rbac: Rbac, names: Iterable[str]) -> Iterator[Role]:
    """Those of the names that exist, as ClusterRole or as Role of the namespace."""
    for name in names:
        yield from (role for role in (rbac.everywhere.roles.get(name), rbac.here.roles.get(name)) if role)


def certificates(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Approves, or signs, a certificate request for anybody's credentials: it takes the request's subresource and the signer."""
    signers = [Ask(verb, _CERTIFICATES, "signers", name=name, within=CLUSTER) for verb in ("approve", "sign") for name in _SIGNERS]
    yield from subjects_who(rbac, signers)


def tokens(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Asks for the token of a ServiceAccount that holds it."""
    for namespace, names in _accounts(rbac, holders).items():
        yield from _named(subjects_who(rbac, (Ask("create", "", "serviceaccounts", "token", within=namespace),)), names)


def secrets(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Reads the Secret with the token of a ServiceAccount that holds it, or makes one: Kubernetes writes a token into each Secret of that type.

    What a Secret is that somebody reads by its name alone is not known here.
    """
    for namespace in _accounts(rbac, holders):
        yield from (g for g in subjects_who(rbac, _holding(namespace)) if not g.names)


def _holding(namespace: str) -> tuple[Ask, ...]:
    """What leads to tokens in Secrets; an update answers with the whole of it."""
    return _asks((*READ, "create", "update", "patch"), "", "secrets", within=namespace)


def pods(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Makes pods that run as a ServiceAccount that holds it."""
    for namespace in _accounts(rbac, holders):
        yield from subjects_who(rbac, [replace(a, within=namespace) for a in _making()])


def _accounts(rbac: Rbac, holders: Sequence[Given]) -> dict[str, set[str]]:
    """ServiceAccounts' names by namespace, so that a namespace of many is asked about once. No others have a namespace.

    Less the cluster's own: `host` is about these.
    """
    found: dict[str, set[str]] = {}
    for who in sorted(_standing(h for h in holders if not own(h))):
        if who.namespace:
            found.setdefault(who.namespace, set()).add(who.name)
    return found


def _standing(holders: Iterable[Given]) -> set[Subject]:
    """The holders; and for a group of a namespace's ServiceAccounts one without a name, which stands for all, also for those that do not exist yet."""
    known = {h.subject for h in holders}
    spaces = {s.name.removeprefix(f"{_ACCOUNTS}:") for s in known if s.kind == "Group" and s.name.startswith(f"{_ACCOUNTS}:")}
    return known | {_all_of(namespace) for namespace in spaces - _OWN}


def _all_of(namespace: str) -> Subject:
    return Subject("ServiceAccount", "", namespace)


def nodes(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Speaks to a node's kubelet past the API server: runs commands in any container there, and reads its logs and secrets."""
    yield from subjects_who(rbac, _asks(("get", "create"), "", "nodes/proxy", within=CLUSTER))


def debug(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Puts a container into a running pod (kubectl debug); into one that is cleared the gate lets none."""
    yield from subjects_who(rbac, _asks(("update", "patch"), "", "pods/ephemeralcontainers"))


def operator(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Is the operator: by its token, or by pods in its namespace."""
    yield from _being(rbac, OPERATOR_NAMESPACE)


def _making() -> tuple[Ask, ...]:
    """What leads to new pods."""
    return tuple(a for a in EDIT_WORKLOAD.asks if not a.verb.startswith("delete"))


def host(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Makes pods in kube-system, which the gate exempts: on the host, and as its service accounts; or has the token of one."""
    yield from _being(rbac, "kube-system")


def _being(rbac: Rbac, namespace: str) -> Iterator[Given]:
    """Runs as some ServiceAccount of the namespace, or has its token."""
    token = Ask("create", "", "serviceaccounts", "token", within=namespace)
    yield from subjects_who(rbac, (token, *(replace(a, within=namespace) for a in _making())))
    yield from (g for g in subjects_who(rbac, _holding(namespace)) if not g.names)


ANYBODY: Mapping[str, Way] = {"impersonate": impersonate, "escalate": escalate, "bind": bind, "certificates": certificates}  # lead to any right
THROUGH: Mapping[str, Way] = {"tokens": tokens, "pods": pods, "secrets": secrets}  # lead to a service account's
ROUND: Mapping[str, Way] = {"nodes": nodes, "debug": debug, "host": host, "operator": operator}  # lead past the API server, or past the gate
_SESSIONS = ("open-session", "read-logs", "read-secrets")


def ways(question: Question) -> dict[str, Way]:
    """The ways that lead to this right."""
    return {**ANYBODY, **THROUGH} | ({"nodes": nodes} if question.id in _SESSIONS else {})


def reaching(rbac: Rbac, question: Question) -> list[Given]:
    """Who holds the right, then who gets it by which way; each subject once for each way and binding."""
    holders = direct(rbac, question)
    held = {h.subject for h in holders}
    found = {(h.subject, "", h.binding): h for h in holders}
    for name, way in ways(question).items():
        for given in way(rbac, question, holders):
            if held.isdisjoint(_with_groups(given.subject)):
                found.setdefault((given.subject, name, given.binding), replace(given, way=name))
    if Subject("Group", _ACCOUNTS) in held:
        found = {(g.subject, g.way, g.binding): g for g in _as_any_account(rbac) if held.isdisjoint(_with_groups(g.subject))} | found
    return list(found.values())


def _as_any_account(rbac: Rbac) -> tuple[Given, ...]:
    """Who gets what all ServiceAccounts may, by one of whichever namespace. Worked out once: they may be many, and are the same wherever one looks."""
    if _ACCOUNTS not in rbac.common:
        here, others = rbac.here.namespace, rbac.others.keys() - {rbac.here.namespace, *_OWN}
        bound = replace(rbac, everywhere=replace(rbac.everywhere, bindings=()))  # whoever has a right everywhere is found by it here
        led = [*_as_all_of(rbac, {"impersonate": impersonate}, {here, *others}), *_as_all_of(rbac, THROUGH, {here}), *_as_all_of(bound, THROUGH, others)]
        found = {(g.subject, g.way, g.binding): g for g in led if g.binding}
        rbac.common[_ACCOUNTS] = tuple(sorted(found.values(), key=lambda g: (g.subject, g.way, g.by)))
    return rbac.common[_ACCOUNTS]


def _as_all_of(rbac: Rbac, ways_: Mapping[str, Way], namespaces: Iterable[str]) -> Iterator[Given]:
    """Who becomes a ServiceAccount of one of the namespaces, whatever its name."""
    every = [Given(_all_of(namespace), Ask("", "", ""), None) for namespace in namespaces]
    yield from (replace(g, way=name) for name, way in ways_.items() for g in way(rbac, Question(_ACCOUNTS, ()), every))


def _with_groups(who: Subject) -> tuple[Subject, ...]:
    """Itself, and the groups that a ServiceAccount is in."""
    return (who, *(Subject("Group", name) for name in groups_of(who))) if who.kind == "ServiceAccount" else (who,)


def round_the_gate(rbac: Rbac) -> list[Given]:
    """Question ways-round: who could act as others, raise rights, or go past the API server or the gate."""
    every = [Given(Subject(kind, ANY), Ask("", "", ""), None) for kind in ("User", "Group", "ServiceAccount")]
    led = {"impersonate": _anybody, "escalate": escalate, "bind": _binds, "certificates": certificates, **ROUND}
    found = {(g.subject, name, g.binding): replace(g, way=name) for name, way in led.items() for g in way(rbac, Question("ways-round", ()), every)}
    return list(found.values())


def _anybody(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Whoever impersonates at all, whomever."""
    yield from subjects_who(rbac, (*_impersonating("users"), *_impersonating("groups"), *_impersonating("serviceaccounts", HERE)))


def _binds(rbac: Rbac, question: Question, holders: Sequence[Given]) -> Iterator[Given]:
    """Whoever binds at all, whatever."""
    yield from subjects_who(rbac, (Ask("bind", _RBAC, "roles"), Ask("bind", _RBAC, "clusterroles")))


# The cluster's own parts

_COMPONENTS = ("system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy", "system:apiserver")


def own(given: Given) -> bool:
    """A part of the control plane, by the binding that Kubernetes ships for it, or the operator. Others in kube-system are not.

    Such a binding is of the whole cluster, or lies in a namespace of the cluster's: one that a tenant makes, of any name, is none.

    Nobody reviews these: they carry out what others order, and whoever makes pods in kube-system, to be one of them, is found (host).
    """
    subject, binding = given.subject, given.binding
    if binding is None or binding.namespace not in ("", *SYSTEM, OPERATOR_NAMESPACE):
        return False
    if subject.kind == "ServiceAccount":
        shipped = subject.namespace == "kube-system" and binding.name == f"system:controller:{subject.name}"
        return shipped or (subject == Subject("ServiceAccount", "aiqms-operator", OPERATOR_NAMESPACE) and binding.name == "aiqms-operator")
    return subject.kind == "User" and subject.name in _COMPONENTS


# The list that a review confirms


@dataclass(frozen=True, order=True)
class Line:
    """One line of the list: somebody can do something, directly or by a way. by: what gives it, which may change without changing the list."""

    question: str
    subject: str
    way: str = ""
    by: str = ""


def access_list(rbac: Rbac) -> tuple[Line, ...]:
    """Who may edit, approve, stop, open sessions and read secrets in the namespace, and who could go round. Of its bindings and the cluster's alone."""
    near = replace(rbac, others={}, common={})
    asked = [(q.id, direct(near, q)) for q in (EDIT_WORKLOAD, EDIT_REGISTER, READ_SECRETS, OPEN_SESSION, *decisions(near))]
    found = {(question, str(g.subject), g.way): g.by for question, each in [*asked, ("ways-round", round_the_gate(near))] for g in each if not own(g)}
    return tuple(Line(*key, by) for key, by in sorted(found.items()))


def list_digest(lines: Iterable[Line]) -> str:
    """Of who can do what by which way: the same here and at a reviewer's terminal."""
    return digest([[line.question, line.subject, line.way] for line in sorted(lines)])


def decisions(rbac: Rbac) -> list[Question]:
    """A question for each decision and each role that a rule names here."""
    bound = [*rbac.everywhere.bound(), *rbac.here.bound(rbac.everywhere)]
    named = {name for role, _ in bound for name in role.decided}
    return [decides(decision, name) for name in sorted(named) for decision in DECIDED]


def masters(subject: Subject) -> bool:
    """The group that may everything whatever RBAC says: nothing gives it and nothing takes it, but a client certificate."""
    return subject == Subject("Group", MASTERS)


# What a decision looks at


def reach(rbac: Rbac, procedures: Iterable[Procedure], accounts: Iterable[str]) -> Reach:
    """As far as the procedures that apply ask for it. accounts: the names of the ServiceAccounts that the pods run as."""
    asked = list(procedures)
    access = [p.spec.access for p in asked if p.spec.access]
    return Reach(
        editors=_editors(rbac) if any(a.editors for a in access) else (),
        holders={
            (d, role): tuple(sorted({g.subject for g in direct(rbac, decides(d, role))})) for d, role in sorted({each for p in asked for each in deciding(p)})
        },
        accounts=tuple(r for name in sorted(set(accounts)) for r in account_rights(rbac, name)) if any(a.service_account or a.rights for a in access) else (),
        list=list_digest(access_list(rbac)) if any(a.review_every for a in access) else "",
    )


def _editors(rbac: Rbac) -> tuple[Given, ...]:
    if "editors" not in rbac.known:
        rbac.known["editors"] = tuple(editors(rbac))
    return rbac.known["editors"]


def editors(rbac: Rbac) -> list[Given]:
    """Who edits workloads or register entries in the namespace, by RBAC alone or by a way that leads to it; each subject once, by its shortest way."""
    found: dict[Subject, Given] = {}
    for given in sorted((g for q in (EDIT_WORKLOAD, EDIT_REGISTER) for g in reaching(rbac, q) if not own(g)), key=lambda g: (g.subject, g.way)):
        found.setdefault(given.subject, given)
    return list(found.values())


def account_rights(rbac: Rbac, name: str) -> Iterator[AccountRight]:
    """Every rule that a ServiceAccount of the namespace has anywhere, also as one of a group, less what every ServiceAccount of a new cluster may.

    What another namespace gives to everybody is left out: whoever administers that one answers for it, and could fail everybody's control by it.
    """
    account = Subject("ServiceAccount", name, rbac.here.namespace)
    known = _with_groups(account)
    far = ((b, rbac.everywhere.role(b)) for b in rbac.everywhere.bindings if any(s in known for s in b.subjects))
    near = ((b, _role_of(rbac, b)) for s in known for b in sorted(_near(rbac, s)))
    for binding, role in (*far, *near):
        for rule in role.rules if role else ():
            if not everybodys(rule, binding.namespace):
                yield AccountRight(name, rule, binding.namespace, str(binding))


def _near(rbac: Rbac, subject: Subject) -> Iterable[Binding]:
    return (b for b in rbac.here.bindings if subject in b.subjects) if subject.name in EVERYBODY else rbac.naming.get(subject, ())


def _role_of(rbac: Rbac, binding: Binding) -> Role | None:
    local = rbac.local(binding.namespace)
    kind, name = binding.role
    return rbac.everywhere.roles.get(name) if kind == "ClusterRole" else local.roles.get(name) if local else None


_EVERYBODYS = (  # system:basic-user, and what every ServiceAccount reads: bootstrappolicy of Kubernetes 1.36
    Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
    Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",)),
    Rule(("get", "list", "watch"), (_CERTIFICATES,), ("clustertrustbundles",)),
)
_PUBLIC = (  # system:discovery, system:public-info-viewer, system:service-account-issuer-discovery
    "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/",
    "/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/",
)  # fmt: skip


def everybodys(rule: Rule, within: str) -> bool:
    """Whether every authenticated user, or every ServiceAccount, may it in a new cluster. By what the rule says: a role's name says nothing."""
    if not rule.resources:
        return bool(within) or (set(rule.verbs) <= {"get"} and set(rule.urls) <= set(_PUBLIC))  # a RoleBinding gives no paths
    return any(covers(known.groups, known.resources, known.verbs, rule) for known in _EVERYBODYS)


def covers(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str], rule: Rule) -> bool:
    """Whether a rule of these groups, resources and verbs, for all names, gives everything that the other one gives."""
    wide = ANY in resources
    return (
        (ANY in groups or set(rule.groups) <= set(groups))
        and all(wide or r in resources or ("/" in r and f"*/{r.partition('/')[2]}" in resources) for r in rule.resources)
        and (ANY in verbs or set(rule.verbs) <= set(verbs))
        and not rule.urls
    )
