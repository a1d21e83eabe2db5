"""RBAC as the API server evaluates it: against a slow evaluator on any graph, and case by case."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiqms.policy.rbac import Ask, Binding, Clusterwide, Local, Rbac, Role, Rule, Subject, binding_of, role_of, subject, subjects_who
from tests.unit.policy.grants import rbac
from tests.unit.policy.rbac_naive import may

HERE, THERE = "lending", "ci"
SUBJECTS = [
    Subject("User", "ann"),
    Subject("User", "ben"),
    Subject("Group", "devs"),
    Subject("Group", "system:authenticated"),
    Subject("Group", "system:masters"),
    Subject("Group", f"system:serviceaccounts:{HERE}"),
    Subject("Group", "system:serviceaccounts"),
    Subject("ServiceAccount", "bot", HERE),
    Subject("ServiceAccount", "bot", THERE),
]
WORDS = st.sampled_from(["get", "create", "escalate", "*"])
GROUPS = st.sampled_from(["", "apps", "*"])
RESOURCES = st.sampled_from(["pods", "pods/exec", "pods/*", "*/exec", "*", "nodes"])
NAMES = st.sampled_from(["a", "b", "*"])
RULES = st.builds(
    Rule,
    st.lists(WORDS, min_size=1, max_size=2).map(tuple),
    st.lists(GROUPS, min_size=1, max_size=2).map(tuple),
    st.lists(RESOURCES, min_size=1, max_size=2).map(tuple),
    st.lists(NAMES, max_size=2).map(tuple),
)
ASKS = st.builds(
    Ask,
    st.sampled_from(["get", "create", "escalate"]),
    st.sampled_from(["", "apps"]),
    st.sampled_from(["pods", "nodes"]),
    st.sampled_from(["", "exec"]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([".", "", THERE]),
)


def role(kind: str, name: str, namespace: str = "") -> st.SearchStrategy[Role]:
    return st.builds(Role, st.just(kind), st.just(namespace), st.just(name), st.lists(RULES, max_size=2).map(tuple))


def bindings(namespace: str) -> st.SearchStrategy[tuple[Binding, ...]]:
    refs = [("ClusterRole", "r"), ("ClusterRole", "none")] + ([("Role", "r")] if namespace else [])
    kind, bound = "RoleBinding" if namespace else "ClusterRoleBinding", st.lists(st.sampled_from(SUBJECTS), max_size=3, unique=True).map(tuple)
    one = st.builds(Binding, st.just(kind), st.just(namespace), st.just(""), st.sampled_from(refs), bound)
    return st.lists(one, max_size=3).map(lambda each: tuple(Binding(b.kind, b.namespace, f"b{n}", b.role, b.subjects) for n, b in enumerate(each)))


def local(namespace: str) -> st.SearchStrategy[Local]:
    return st.builds(Local, st.just(namespace), role("Role", "r", namespace).map(lambda r: {"r": r}), bindings(namespace))


GRAPHS = st.builds(
    Rbac, st.builds(Clusterwide, role("ClusterRole", "r").map(lambda r: {"r": r}), bindings("")), local(HERE), local(THERE).map(lambda there: {THERE: there})
)


@settings(max_examples=400)
@given(GRAPHS, ASKS)
def test_whoever_may_as_bound_is_found_and_nobody_else(graph: Rbac, ask: Ask) -> None:
    """As bound: a user of whom no group is known, a member of a group, a ServiceAccount with its groups. Who is in a found group may too."""
    found = {g.subject for g in subjects_who(graph, [ask])}
    for who in SUBJECTS:
        inside = {who, Subject("Group", "system:authenticated")}
        if who.kind == "ServiceAccount":
            inside |= {Subject("Group", "system:serviceaccounts"), Subject("Group", f"system:serviceaccounts:{who.namespace}")}
        assert bool(inside & found) == may(graph, who, ask, ask.name or ""), who


@given(GRAPHS, ASKS, st.permutations(range(3)))
def test_asking_twice_or_in_another_order_changes_nothing(graph: Rbac, ask: Ask, order: list[int]) -> None:
    asks = [ask, Ask("get", "", "pods"), Ask("create", "", "pods", "exec")]
    first = subjects_who(graph, asks)
    again = subjects_who(graph, [asks[n] for n in order])
    assert {(g.subject, g.binding) for g in again} == {(g.subject, g.binding) for g in first}
    assert subjects_who(graph, asks) == first


PODS = Ask("get", "", "pods", name="a")
EXEC = Ask("create", "", "pods", "exec", name="a")
MATCHES = {
    "a rule of just that": (Rule(("get",), ("",), ("pods",)), PODS, True),
    "another verb": (Rule(("list",), ("",), ("pods",)), PODS, False),
    "another group": (Rule(("get",), ("apps",), ("pods",)), PODS, False),
    "every verb": (Rule(("*",), ("",), ("pods",)), PODS, True),
    "every group": (Rule(("get",), ("*",), ("pods",)), PODS, True),
    "every resource, subresources included": (Rule(("create",), ("",), ("*",)), EXEC, True),
    "the subresource of every resource": (Rule(("create",), ("",), ("*/exec",)), EXEC, True),
    "the resource without its subresource": (Rule(("create",), ("",), ("pods",)), EXEC, False),
    "the subresource of nothing": (Rule(("get",), ("",), ("*/",)), PODS, False),
    "pods/*, which is no pattern to the API server": (Rule(("create",), ("",), ("pods/*",)), EXEC, False),
    "the name": (Rule(("get",), ("",), ("pods",), ("a",)), PODS, True),
    "another name": (Rule(("get",), ("",), ("pods",), ("b",)), PODS, False),
    "a star for a name, which is a name like others": (Rule(("get",), ("",), ("pods",), ("*",)), PODS, False),
    "a name, where any one object is asked for": (Rule(("get",), ("",), ("pods",), ("b",)), Ask("get", "", "pods"), True),
    "a name, where all objects are asked for": (Rule(("get",), ("",), ("pods",), ("b",)), Ask("get", "", "pods", name=""), False),
    "a name, to create: an apply names what is not there yet": (Rule(("create",), ("",), ("pods",), ("b",)), Ask("create", "", "pods"), True),
}


@pytest.mark.parametrize(("rule", "ask", "allowed"), MATCHES.values(), ids=MATCHES.keys())
def test_a_rule_allows(rule: Rule, ask: Ask, allowed: bool) -> None:
    assert rule.allows(ask) is allowed


def test_a_user_with_a_service_accounts_name_is_that_service_account() -> None:
    assert subject("User", "system:serviceaccount:ci:bot") == Subject("ServiceAccount", "bot", "ci")
    assert subject("User", "bot") == Subject("User", "bot")


@pytest.mark.parametrize("name", ["system:serviceaccount:ci", "system:serviceaccount:ci:bot:2", "oidc:bank:ci:bot"])
def test_a_users_name_that_only_looks_like_a_service_accounts_is_a_users(name: str) -> None:
    assert subject("User", name) == Subject("User", name)


def test_a_group_with_a_service_accounts_name_is_a_group() -> None:
    assert subject("Group", "system:serviceaccount:ci:bot") == Subject("Group", "system:serviceaccount:ci:bot")


def test_a_role_as_it_is_stored() -> None:
    rules = [
        {"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods"], "resourceNames": ["a"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    ]
    kept = (Rule(("get", "list"), ("", "apps"), ("pods",), ("a",)), Rule(("get",), urls=("/metrics",)))
    assert role_of({"kind": "Role", "metadata": {"name": "r", "namespace": HERE}, "rules": rules}) == Role("Role", HERE, "r", kept)
    assert role_of({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": rules}) == Role("ClusterRole", "", "r", kept)


def test_a_cluster_role_into_which_nothing_was_aggregated_yet_has_no_rules() -> None:
    assert role_of({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": None}) == Role("ClusterRole", "", "r")


def test_a_binding_as_it_is_stored() -> None:
    named = [
        {"kind": "User", "name": "ann"},
        {"kind": "Group", "name": "devs"},
        {"kind": "ServiceAccount", "name": "bot"},
        {"kind": "ServiceAccount", "name": "bot", "namespace": THERE},
    ]
    raw = {"kind": "RoleBinding", "metadata": {"name": "b", "namespace": HERE}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": named}
    known = (Subject("User", "ann"), Subject("Group", "devs"), Subject("ServiceAccount", "bot", HERE), Subject("ServiceAccount", "bot", THERE))
    assert binding_of(raw) == Binding("RoleBinding", HERE, "b", ("Role", "r"), known)


def test_a_binding_of_nobody() -> None:
    raw = {"kind": "ClusterRoleBinding", "metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"}}
    assert binding_of(raw) == Binding("ClusterRoleBinding", "", "b", ("ClusterRole", "r"))


def test_system_masters_may_everything_without_any_binding() -> None:
    (found,) = subjects_who(Rbac(Clusterwide(), Local(HERE)), [PODS])
    assert (str(found.subject), found.by) == ("group system:masters", "the API server itself")


def test_system_masters_that_a_binding_names_are_told_by_it_alone() -> None:
    (found,) = subjects_who(rbac("* @system:masters -> cluster-admin"), [PODS])
    assert (str(found.subject), found.by) == ("group system:masters", "ClusterRoleBinding c0 (ClusterRole cluster-admin)")


ANY_POD = Ask("get", "", "pods")
NAMED: dict[str, tuple[str, list[Ask], tuple[str, ...]]] = {
    "one object": ("get pods=a", [ANY_POD], ("a",)),
    "objects of several rules": ("get pods=a,b; get pods=b,c", [ANY_POD], ("a", "b", "c")),
    "one, and by another rule all": ("get pods=a; get pods", [ANY_POD], ()),
    "all, and by another rule one": ("get pods; get pods=a", [ANY_POD], ()),
    "one in either way": ("get pods=a; patch pods=b", [ANY_POD, Ask("patch", "", "pods")], ("a", "b")),
    "one, and in another way all": ("get pods=a; patch pods", [ANY_POD, Ask("patch", "", "pods")], ()),
    "all, and in another way one": ("get pods; patch pods=a", [ANY_POD, Ask("patch", "", "pods")], ()),
}


@pytest.mark.parametrize(("words", "asks", "names"), NAMED.values(), ids=NAMED.keys())
def test_the_objects_that_somebody_may_are_those_of_all_rules_together(words: str, asks: list[Ask], names: tuple[str, ...]) -> None:
    found = subjects_who(rbac("ann -> r", cluster={"r": words}), asks)
    assert [g.names for g in found if str(g.subject) == "user ann"] == [names]


def test_the_ask_that_is_told_is_one_that_the_names_are_about() -> None:
    """`kubectl qms who-can` asks the API server about it once more."""
    patch = Ask("patch", "", "pods")
    graph = rbac("ann -> r", "ben -> s", cluster={"r": "get pods=a; patch pods", "s": "get pods=a; patch pods=b"})
    assert [(str(g.subject), g.ask, g.names) for g in subjects_who(graph, [ANY_POD, patch]) if g.binding] == [
        ("user ann", patch, ()),
        ("user ben", ANY_POD, ("a", "b")),
    ]


def test_a_rolebinding_gives_a_clusterroles_rules_in_its_namespace_alone() -> None:
    reads = Role("ClusterRole", "", "r", (Rule(("get",), ("",), ("pods", "nodes")),))
    bound = Binding("RoleBinding", HERE, "b", ("ClusterRole", "r"), (Subject("User", "ann"),))
    graph = Rbac(Clusterwide({"r": reads}), Local(HERE, {}, (bound,)))
    nodes = Ask("get", "", "nodes", within="")
    assert [str(g.subject) for g in subjects_who(graph, [PODS])] == ["group system:masters", "user ann"]
    assert [str(g.subject) for g in subjects_who(graph, [nodes])] == ["group system:masters"]


def test_a_binding_of_thousands_is_a_key_as_cheap_as_one_of_nobody_and_another_one_all_the_same() -> None:
    few, many = (Binding("RoleBinding", "lending", "b", ("ClusterRole", "edit"), tuple(Subject("User", f"u{n}") for n in range(count))) for count in (1, 5000))
    assert hash(few) == hash(many)
    assert few != many
