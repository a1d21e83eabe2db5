"""Who can do what about a namespace: the right itself, the ways to it, and the list that a review confirms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiqms.api.record import Decision
from aiqms.gate.rules import OPERATOR_NAMESPACE as GATES_NAMESPACE
from aiqms.gate.workload import KINDS
from aiqms.policy import reach
from aiqms.policy.facts import Procedure
from aiqms.policy.rbac import Binding, Clusterwide, Given, Local, Rbac, Subject
from aiqms.policy.reach import (
    FIXED,
    Question,
    access_list,
    account_rights,
    covers,
    decides,
    direct,
    editors,
    list_digest,
    own,
    reaching,
    release_namespace,
    round_the_gate,
)
from tests.unit.policy.given import procedure
from tests.unit.policy.grants import HERE, rbac, role, rule

QUESTIONS = {q.id: q for q in (*FIXED, release_namespace(HERE), *(decides(d, "model-owner") for d in Decision))}
MASTERS = ["group system:masters"]  # in every answer but those about roles: the API server lets them do everything


def test_the_workloads_and_the_operators_namespace_are_the_gates() -> None:
    assert reach.OPERATOR_NAMESPACE == GATES_NAMESPACE
    assert {(k.api_version.rpartition("/")[0], k.plural) for k in KINDS} == {(group, p) for group, plurals in reach.WORKLOADS.items() for p in plurals} - {
        ("", "replicationcontrollers")  # makes pods as well, and no deployment names one
    }


DIRECT: dict[str, tuple[str, Rbac, list[str]]] = {
    "who edits by a RoleBinding": ("edit-workload", rbac("ann @devs -> edit"), ["group devs", *MASTERS, "user ann"]),
    "who edits everywhere": ("edit-workload", rbac("* ann -> edit"), [*MASTERS, "user ann"]),
    "who may change one object by its name": ("edit-workload", rbac("ann -> one", cluster={"one": "patch deployments.apps=scoring"}), [*MASTERS, "user ann"]),
    "who registers": ("edit-register", rbac("ci/bot -> register"), [*MASTERS, "serviceaccount ci/bot"]),
    "who reads alone edits nothing": ("edit-workload", rbac("ann -> view"), MASTERS),
    "a ClusterRoleBinding gives no Role": ("edit-workload", rbac("* ann -> Role:edit", roles={"edit": "patch pods"}), MASTERS),
    "a binding to a role that does not exist gives nothing": ("edit-workload", rbac("ann -> gone", "ann -> Role:gone"), MASTERS),
    "a Role of the namespace": ("read-secrets", rbac("ann -> Role:r", roles={"r": "list secrets"}), [*MASTERS, "user ann"]),
    "one who reads a named Secret": ("read-secrets", rbac("ann -> Role:r", roles={"r": "get secrets=key"}), [*MASTERS, "user ann"]),
    "who reads logs": ("read-logs", rbac("ann -> l", cluster={"l": "get pods/log"}), [*MASTERS, "user ann"]),
    "who opens sessions": ("open-session", rbac("ann -> s", cluster={"s": "open interactivesessions.aiqms.dev"}), [*MASTERS, "user ann"]),
    "a procedure is changed cluster-wide": (
        "change-procedures", rbac("ann -> p", "* ben -> p",
            cluster={"p": "update qmsprocedures.aiqms.dev"}), [*MASTERS, "user ben"],
    ),
    "another namespace's release is not this one's": (
        "release-namespace", rbac("* ann -> a", "* ben -> b",
            cluster={"a": f"release governednamespaces.aiqms.dev={HERE}", "b": "release governednamespaces.aiqms.dev=fraud"}), [*MASTERS, "user ann"],
    ),
    "who edits the operator's Deployment": ("disable-gate", rbac("ann -> edit", others={"aiqms-system": ["ben -> edit"]}), [*MASTERS, "user ben"]),
    "who edits CRDs, or webhooks": (
        "disable-gate", rbac("* ann -> c", "* ben -> w",
            cluster={"c": "patch customresourcedefinitions.apiextensions.k8s.io",
                     "w": "create mutatingwebhookconfigurations.admissionregistration.k8s.io"}),
        [*MASTERS, "user ann", "user ben"],
    ),
    "who holds the role by name": ("approve model-owner", rbac("@owners -> owner", "ben -> risk"), ["group owners"]),
    "a wildcard makes nobody an approver": ("approve model-owner", rbac("* ann -> cluster-admin", "ann -> owner", "ben -> owner"), ["user ben"]),
    "a wildcard over roles makes nobody one either": (
        "approve model-owner", rbac("ann -> w", "ben -> owner",
            cluster={"w": "approve approvalroles.aiqms.dev"}), ["user ben"],
    ),
    "service accounts approve nothing": (
        "approve model-owner", rbac("ci/bot @system:serviceaccounts @system:nodes system:kube-scheduler ben -> owner"),
        ["user ben"],
    ),
    "everybody, where everybody is bound": ("approve model-owner", rbac("@system:authenticated -> owner"), ["group system:authenticated"]),
    "another decision is another right": ("stop model-owner", rbac("ann -> owner"), MASTERS),
    "a wildcard stops": ("stop model-owner", rbac("* ann -> cluster-admin"), [*MASTERS, "user ann"]),
}  # fmt: skip


@pytest.mark.parametrize(("question", "graph", "people"), DIRECT.values(), ids=DIRECT.keys())
def test_the_right_itself(question: str, graph: Rbac, people: list[str]) -> None:
    assert sorted({str(g.subject) for g in direct(graph, QUESTIONS[question])}) == people


def test_the_binding_that_gives_it_is_named() -> None:
    found = {str(g.subject): g.by for g in direct(rbac("ann -> edit"), QUESTIONS["edit-workload"])}
    assert found == {"user ann": f"RoleBinding {HERE}/b0 (ClusterRole edit)", "group system:masters": "the API server itself"}


WAYS: dict[str, tuple[str, Rbac, list[str]]] = {
    "acting as anybody": ("edit-workload", rbac("* ben -> i", cluster={"i": "impersonate users,groups"}), ["user ben: impersonate"]),
    "acting as one who may not leads nowhere": ("edit-workload", rbac("ann -> edit", "* ben -> i", cluster={"i": "impersonate users=carol"}), []),
    "acting as one who may": ("edit-workload", rbac("ann -> edit", "* ben -> i", cluster={"i": "impersonate users=ann"}), ["user ben: impersonate"]),
    "acting as a group that may": ("edit-workload", rbac("@devs -> edit", "* ben -> i", cluster={"i": "impersonate groups=devs"}), ["user ben: impersonate"]),
    "acting as others needs a right of the whole cluster": ("edit-workload", rbac("ann -> edit", "ben -> i", cluster={"i": "impersonate users"}), []),
    "acting as users leads nowhere where only groups may": ("edit-workload", rbac("@devs -> edit", "* ben -> i", cluster={"i": "impersonate users"}), []),
    "acting as a group of a user's name leads nowhere": ("edit-workload", rbac("ann -> edit", "* ben -> i", cluster={"i": "impersonate groups=ann"}), []),
    "acting as ServiceAccounts leads nowhere where none may": (
        "edit-workload", rbac("ann @devs -> edit", "* ben -> i", cluster={"i": "impersonate serviceaccounts"}), [],
    ),
    "acting as one of several": (
        "edit-workload", rbac("ann -> edit", "* ben -> i",
            cluster={"i": "impersonate users=carol; impersonate users=ann"}), ["user ben: impersonate"],
    ),
    "acting as one by the old verb, and as another by the new": (
        "edit-workload", rbac("ann -> edit", "* ben -> i",
            cluster={"i": "impersonate users=carol; impersonate:user-info users.authentication.k8s.io=ann"}), ["user ben: impersonate"],
    ),
    "acting as a ServiceAccount of the namespace": (
        "edit-register", rbac(f"{HERE}/bot -> register", "ben -> i", cluster={"i": "impersonate serviceaccounts"}), ["user ben: impersonate"],
    ),
    "acting as a ServiceAccount of another namespace takes a right there": (
        "edit-register", rbac("ci/bot -> register", "ben -> i", cluster={"i": "impersonate serviceaccounts"}), [],
    ),
    "acting as one with a right there": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> i"]}, cluster={"i": "impersonate serviceaccounts"}), ["user ben: impersonate"],
    ),
    "acting as a ServiceAccount there that has the name of one that may elsewhere leads nowhere": (
        "edit-register", rbac("ci/bot qa/cat -> register", others={"ci": ["ben -> i"]}, cluster={"i": "impersonate serviceaccounts=cat"}), [],
    ),
    "acting as a ServiceAccount by its user name": (
        "edit-register", rbac("ci/bot -> register", "* ben -> i", cluster={"i": "impersonate users=system:serviceaccount:ci:bot"}), ["user ben: impersonate"],
    ),
    "acting as others by the constrained verbs of 1.36": (
        "edit-workload", rbac("ann -> edit", "* ben -> i", cluster={"i": "impersonate:user-info users.authentication.k8s.io"}), ["user ben: impersonate"],
    ),
    "acting as a ServiceAccount by the constrained verb of 1.36": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> i"]},
            cluster={"i": "impersonate:serviceaccount serviceaccounts.authentication.k8s.io"}), ["user ben: impersonate"],
    ),
    "raising a role": ("edit-workload", rbac("ben -> e", cluster={"e": "escalate roles.rbac.authorization.k8s.io"}), ["user ben: escalate"]),
    "binding any role": ("edit-workload", rbac("ben -> b", cluster={"b": "bind clusterroles.rbac.authorization.k8s.io"}), ["user ben: bind"]),
    "binding the role that gives it": (
        "edit-workload", rbac("ann -> edit", "ben -> b",
            cluster={"b": "bind clusterroles.rbac.authorization.k8s.io=edit"}), ["user ben: bind"],
    ),
    "binding a role that gives it and that nobody has": (
        "edit-workload", rbac("ben -> b", cluster={"b": "bind clusterroles.rbac.authorization.k8s.io=edit"}), ["user ben: bind"],
    ),
    "binding one of several": (
        "edit-workload", rbac("ben -> b", cluster={"b": "bind clusterroles.rbac.authorization.k8s.io=view; bind clusterroles.rbac.authorization.k8s.io=edit"}),
        ["user ben: bind"],
    ),
    "binding one Role, and every ClusterRole": (
        "edit-workload", rbac("ben -> b", cluster={"b": "bind roles.rbac.authorization.k8s.io=view; bind clusterroles.rbac.authorization.k8s.io"}),
        ["user ben: bind"],
    ),
    "binding another role leads nowhere": (
        "edit-workload", rbac("ann -> edit", "ben -> b",
            cluster={"b": "bind clusterroles.rbac.authorization.k8s.io=view"}), [],
    ),
    "approving certificates for clients": (
        "approve model-owner", rbac("* ben -> c",
            cluster={"c": "approve signers.certificates.k8s.io=kubernetes.io/kube-apiserver-client"}), ["user ben: certificates"],
    ),
    "approving those of all of Kubernetes' signers": (
        "approve model-owner", rbac("* ben -> c", cluster={"c": "approve signers.certificates.k8s.io=kubernetes.io/*"}), ["user ben: certificates"],
    ),
    "approving kubelets' certificates leads nowhere": (
        "approve model-owner", rbac("* ben -> c", cluster={"c": "approve signers.certificates.k8s.io=kubernetes.io/kubelet-serving"}), [],
    ),
    "a token of a ServiceAccount that may": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token=bot"}), ["user ben: tokens"],
    ),
    "a token, by a right everywhere, where the ServiceAccount's namespace binds nobody": (
        "edit-register", rbac("ci/bot -> register", "* ben -> t", cluster={"t": "create serviceaccounts/token"}), ["user ben: tokens"],
    ),
    "a token of another one leads nowhere": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token=other"}), [],
    ),
    "pods that run as a ServiceAccount that may": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> m"]}, cluster={"m": "create jobs.batch"}), ["user ben: pods"],
    ),
    "deleting pods there leads nowhere": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> d"]}, cluster={"d": "delete,deletecollection pods"}), [],
    ),
    "pods of a ReplicationController": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> m"]}, cluster={"m": "patch replicationcontrollers"}), ["user ben: pods"],
    ),
    "a Secret with the token of a ServiceAccount that may": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> s"]}, cluster={"s": "list secrets"}), ["user ben: secrets"],
    ),
    "a Secret that is made to hold one": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> s"]}, cluster={"s": "create secrets"}), ["user ben: secrets"],
    ),
    "a Secret of the namespace, everywhere": (
        "edit-register", rbac(f"{HERE}/bot -> register", "* ben -> s", cluster={"s": "get secrets"}), ["user ben: secrets"],
    ),
    "a Secret by its name, of which nobody knows what it is, leads nowhere": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> s"]}, cluster={"s": "get secrets=key"}), [],
    ),
    "a Secret by its name, and others that are made": (
        "edit-register", rbac("ci/bot -> register", others={"ci": ["ben -> s"]}, cluster={"s": "get secrets=key; create secrets"}), ["user ben: secrets"],
    ),
    "a Secret where no ServiceAccount may leads nowhere": (
        "edit-register", rbac("ci/bot -> register", others={"qa": ["ben -> s"]}, cluster={"s": "get secrets"}), [],
    ),
    "of several ServiceAccounts the token of one": (
        "edit-register", rbac("ci/bot ci/cat -> register", others={"ci": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token=cat"}),
        ["user ben: tokens"],
    ),
    "a token of a ServiceAccount of the namespace, where all of these may": (
        "edit-register", rbac(f"@system:serviceaccounts:{HERE} -> register", "ben -> t", cluster={"t": "create serviceaccounts/token"}), ["user ben: tokens"],
    ),
    "where all of a namespace may, a token of any of them, also of one that is not there": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", others={"ci": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token=other"}),
        ["user ben: tokens"],
    ),
    "where all of a namespace may, which binds nobody": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", "* ben -> t", cluster={"t": "create serviceaccounts/token"}), ["user ben: tokens"],
    ),
    "where all of a namespace may, everywhere": (
        "edit-register", rbac("* @system:serviceaccounts:ci -> register", others={"ci": ["ben -> m"]}, cluster={"m": "create pods"}), ["user ben: pods"],
    ),
    "where all of a namespace may, a Secret there": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", others={"ci": ["ben -> s"]}, cluster={"s": "list secrets"}), ["user ben: secrets"],
    ),
    "where all of a namespace may, acting as any of them": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", others={"ci": ["ben -> i"]}, cluster={"i": "impersonate serviceaccounts=other"}),
        ["user ben: impersonate"],
    ),
    "where all of a namespace may, acting as any of them by its user name": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", "* ben -> i", cluster={"i": "impersonate users=system:serviceaccount:ci:other"}),
        ["user ben: impersonate"],
    ),
    "where all of a namespace may, acting as one of another by its user name leads nowhere": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", "* ben -> i", cluster={"i": "impersonate users=system:serviceaccount:qa:bot,bot"}), [],
    ),
    "where all of a namespace may, what one has in another leads nowhere": (
        "edit-register", rbac("@system:serviceaccounts:ci -> register", "ben -> a", others={"qa": ["ben -> a"]},
            cluster={"a": "create pods,serviceaccounts/token,secrets; impersonate serviceaccounts"}), [],
    ),
    "a user or a ServiceAccount that is called like the group is none": (
        "edit-register", rbac("system:serviceaccounts:ci system:serviceaccounts ci/system:serviceaccounts:qa -> register", others={"qa": ["ben -> m"]},
            cluster={"m": "create pods"}), [],
    ),
    "where all of every namespace may": (
        "edit-register", rbac("@system:serviceaccounts -> register", "ben -> m", "* eve -> t", others={"ci": ["carol -> s", "dan -> i"]},
            cluster={"t": "create serviceaccounts/token=other", "m": "create pods", "s": "list secrets", "i": "impersonate serviceaccounts=other"}),
        ["user ben: pods", "user carol: secrets", "user dan: impersonate", "user eve: tokens"],
    ),
    "where all of every namespace may, acting as any of them by its user name": (
        "edit-register", rbac("@system:serviceaccounts -> register", "* ben -> i", others={"ci": []},
            cluster={"i": "impersonate users=system:serviceaccount:ci:other"}), ["user ben: impersonate"],
    ),
    "where all may, no way is said of one of them": (
        "edit-register", rbac("@system:serviceaccounts -> register", others={"ci": ["ci/bot ben -> m"]}, cluster={"m": "create pods"}), ["user ben: pods"],
    ),
    "where all of the cluster's own or of the operator's may, ways to these are ways round": (
        "edit-register", rbac("@system:serviceaccounts:kube-system @system:serviceaccounts:aiqms-system @system:serviceaccounts -> register",
            others={"kube-system": ["ben -> a"], "aiqms-system": ["ben -> a"]},
            cluster={"a": "create pods,serviceaccounts/token,secrets; impersonate serviceaccounts"}), [],
    ),
    "where everybody may, a ServiceAccount's token gives nothing more": (
        "edit-register", rbac("@system:authenticated -> register", others={"ci": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token"}), [],
    ),
    "a ServiceAccount approves nothing, so its token leads nowhere": (
        "approve model-owner", rbac("ci/bot -> owner", others={"ci": ["ben -> edit"]}), [],
    ),
    "a node's kubelet changes no workload": ("edit-workload", rbac("* ben -> n", cluster={"n": "get nodes/proxy"}), []),
    "a node's kubelet reads what its pods read": ("read-secrets", rbac("* ben -> n", cluster={"n": "get nodes/proxy"}), ["user ben: nodes"]),
}  # fmt: skip


@pytest.mark.parametrize(("question", "graph", "found"), WAYS.values(), ids=WAYS.keys())
def test_the_ways_to_a_right_that_one_lacks(question: str, graph: Rbac, found: list[str]) -> None:
    assert sorted(f"{g.subject}: {g.way}" for g in reaching(graph, QUESTIONS[question]) if g.way and str(g.subject) not in MASTERS) == found


def test_a_way_is_said_of_those_alone_who_lack_the_right() -> None:
    graph = rbac("ann -> edit", "* ann ben -> i", cluster={"i": "impersonate users"})
    assert sorted((str(g.subject), g.way) for g in reaching(graph, QUESTIONS["edit-workload"])) == [
        ("group system:masters", ""),
        ("user ann", ""),
        ("user ben", "impersonate"),
    ]


IN_GROUPS = ("@system:serviceaccounts", "@system:serviceaccounts:ci", "@system:authenticated")


@pytest.mark.parametrize("group", IN_GROUPS)
def test_no_way_is_said_of_a_service_account_whose_group_has_the_right(group: str) -> None:
    graph = rbac(f"{group} -> register", "* ci/bot ben -> i", cluster={"i": "impersonate groups"})
    assert [str(g.subject) for g in reaching(graph, QUESTIONS["edit-register"]) if g.way] == ["user ben"]


ROUND = {
    "impersonate": "impersonate uids.authentication.k8s.io,users",
    "escalate": "escalate clusterroles.rbac.authorization.k8s.io",
    "bind": "bind roles.rbac.authorization.k8s.io=anything",
    "certificates": "sign signers.certificates.k8s.io",
    "nodes": "create nodes/proxy",
    "debug": "patch pods/ephemeralcontainers",
}


@pytest.mark.parametrize("way", ROUND)
def test_ways_round_the_gate(way: str) -> None:
    found = {g.way for g in round_the_gate(rbac("* ben -> r", cluster={"r": ROUND[way]})) if str(g.subject) == "user ben"}
    assert found == {way}


@pytest.mark.parametrize(
    ("namespace", "words", "way"),
    [
        ("kube-system", "create pods", "host"),
        ("kube-system", "create serviceaccounts/token", "host"),
        ("kube-system", "get secrets", "host"),
        ("kube-system", "get secrets=key", None),
        ("kube-system", "create replicationcontrollers", "host"),
        ("aiqms-system", "create secrets", "operator"),
        ("aiqms-system", "patch deployments.apps", "operator"),
        ("aiqms-system", "create serviceaccounts/token=aiqms-operator", "operator"),
        ("ci", "create pods", None),
    ],
)
def test_ways_round_the_gate_through_another_namespace(namespace: str, words: str, way: str | None) -> None:
    found = round_the_gate(rbac(others={namespace: ["ben -> r"]}, cluster={"r": words}))
    assert [g.way for g in found if str(g.subject) == "user ben"] == ([way] if way else [])


def test_the_list_has_people_and_ways_and_leaves_out_the_control_plane() -> None:
    graph = rbac("@devs -> edit", "@owners -> owner", "* ben -> i", cluster={"i": "impersonate users"})
    said = [(line.question, line.subject, line.way) for line in access_list(graph) if line.subject not in MASTERS]
    assert said == [
        ("approve model-owner", "group owners", ""),
        ("edit-workload", "group devs", ""),
        ("ways-round", "group devs", "impersonate"),  # of the namespace's ServiceAccounts
        ("ways-round", "user ben", "impersonate"),
    ]


def test_no_name_but_a_roles_is_asked_about() -> None:
    """Who may everything may stop, and would be listed as one who stops in a role of that name."""
    words = {"g": f"release governednamespaces.aiqms.dev={HERE}", "o": "approve approvalroles.example.com=cfo", "r": "approve approvalroles.aiqms.dev=owner"}
    graph = rbac("* ann -> cluster-admin", "ben -> g", "ben -> o", "ben -> r", cluster=words)
    assert {line.question for line in access_list(graph) if line.question.startswith("stop ")} == {"stop owner"}


def test_the_token_of_the_control_planes_own_is_a_way_round_and_no_way_to_what_it_may() -> None:
    controller = Subject("ServiceAccount", "deployment-controller", "kube-system")
    graph = rbac(others={"kube-system": ["ben -> t"]}, cluster={"t": "create serviceaccounts/token"})
    bound = Binding("ClusterRoleBinding", "", "system:controller:deployment-controller", ("ClusterRole", "edit"), (controller,))
    graph = replace(graph, everywhere=Clusterwide(graph.everywhere.roles, (bound,)))
    assert [g.way for g in reaching(graph, QUESTIONS["edit-workload"]) if str(g.subject) == "user ben"] == []
    assert [g.way for g in round_the_gate(graph) if str(g.subject) == "user ben"] == ["host"]


def test_what_leads_to_all_service_accounts_is_worked_out_once_for_all_namespaces() -> None:
    lending = rbac(
        "@system:serviceaccounts -> register", "ben -> m", others={"ci": ["carol -> m", "@system:serviceaccounts -> register"]}, cluster={"m": "create pods"}
    )
    ci = replace(lending, here=lending.others["ci"], others={HERE: lending.here})

    def found(graph: Rbac) -> list[Given]:
        return sorted((g for g in reaching(graph, QUESTIONS["edit-register"]) if g.way), key=lambda g: g.subject)

    assert [str(g.subject) for g in found(lending)] == ["user ben", "user carol"]
    assert all(a is b for a, b in zip(found(lending), found(ci), strict=True))


SAME = rbac("@devs -> edit", "ann -> owner")
CHANGES = {
    "nothing": (SAME, True),
    "another name of the binding, and another order": (rbac("ann -> owner", "@devs -> edit"), True),
    "another role that gives the same": (
        rbac("@devs -> e2", "ann -> owner",
            cluster={"e2": "create,update,patch,delete pods; impersonate serviceaccounts"}), True,
    ),
    "a right that is not on the list": (rbac("@devs -> edit", "ann -> owner", "eve -> view"), True),
    "a subject more": (rbac("@devs eve -> edit", "ann -> owner"), False),
    "a subject less": (rbac("@devs -> edit"), False),
    "a way more": (rbac("@devs -> edit", "ann -> owner", "* eve -> i", cluster={"i": "impersonate users"}), False),
    "a wildcard that takes the role away": (rbac("@devs -> edit", "ann -> owner", "* ann -> cluster-admin"), False),
}  # fmt: skip


@pytest.mark.parametrize(("graph", "same"), CHANGES.values(), ids=CHANGES.keys())
def test_the_digest_changes_with_who_can_do_what_alone(graph: Rbac, same: bool) -> None:
    assert (list_digest(access_list(graph)) == list_digest(access_list(SAME))) is same


def test_the_control_planes_own_are_told_by_the_binding_that_ships_with_them() -> None:
    controller = Subject("ServiceAccount", "deployment-controller", "kube-system")
    operator = Subject("ServiceAccount", "aiqms-operator", "aiqms-system")
    writes = {"w": role("ClusterRole", "w", "update deployments.apps")}

    def listed(name: str, of: Subject, within: str = "") -> list[str]:
        bound = Binding("RoleBinding" if within else "ClusterRoleBinding", within, name, ("ClusterRole", "w"), (of,))
        graph = replace(rbac(), everywhere=Clusterwide(writes, () if within else (bound,)), here=Local(within or HERE, {}, (bound,) if within else ()))
        found = [line.subject for line in access_list(graph) if line.question == "edit-workload" and line.subject not in MASTERS]
        assert [str(g.subject) for g in editors(graph) if str(g.subject) not in MASTERS] == found
        return found

    assert listed("system:controller:deployment-controller", controller) == []
    assert listed("another-binding", controller) == ["serviceaccount kube-system/deployment-controller"]
    assert listed("system:controller:flux", Subject("ServiceAccount", "helm-controller", "kube-system")) == ["serviceaccount kube-system/helm-controller"]
    assert listed("system:controller:bot", Subject("ServiceAccount", "bot", "ci")) == ["serviceaccount ci/bot"]
    assert listed("anything", Subject("User", "system:kube-controller-manager")) == []
    assert listed("anything", Subject("Group", "system:kube-controller-manager")) == ["group system:kube-controller-manager"]
    assert listed("system:controller:deployment-controller", controller, "kube-system") == []
    assert listed("system:controller:deployment-controller", controller, HERE) == ["serviceaccount kube-system/deployment-controller"]
    assert listed("anything", Subject("User", "system:kube-scheduler"), HERE) == ["user system:kube-scheduler"]
    assert listed("aiqms-operator", operator) == []
    assert listed("another-binding", operator) == ["serviceaccount aiqms-system/aiqms-operator"]
    assert listed("aiqms-operator", Subject("ServiceAccount", "probe", "aiqms-system")) == ["serviceaccount aiqms-system/probe"]
    assert listed("aiqms-operator", operator, HERE) == ["serviceaccount aiqms-system/aiqms-operator"]


def test_what_no_binding_gives_is_nobodys_own() -> None:
    assert [own(g) for g in direct(rbac(), QUESTIONS["edit-workload"])] == [False]  # system:masters


def test_a_service_accounts_rights_are_those_of_all_its_groups_everywhere() -> None:
    graph = rbac(
        f"{HERE}/scoring -> view", f"* @system:serviceaccounts:{HERE} ann -> n",
        "* @system:serviceaccounts -> s", "* @system:authenticated -> me", "* ann -> edit",
        others={"vault": [f"system:serviceaccount:{HERE}:scoring -> Role:r"]}, other_roles={"vault": {"r": "get secrets=key"}},
        cluster={"n": "get nodes", "s": "get /openid/v1/jwks; get /metrics", "me": "create selfsubjectaccessreviews.authorization.k8s.io"},
    )  # fmt: skip
    assert [(r.rule.resources or r.rule.urls, r.within, r.by) for r in account_rights(graph, "scoring")] == [
        (("nodes",), "", "ClusterRoleBinding c1 (ClusterRole n)"),
        (("/metrics",), "", "ClusterRoleBinding c2 (ClusterRole s)"),
        (("pods", "deployments"), HERE, f"RoleBinding {HERE}/b0 (ClusterRole view)"),
        (("secrets",), "vault", "RoleBinding vault/b0 (Role r)"),
    ]


def test_what_another_namespace_gives_to_everybody_is_not_a_service_accounts_own() -> None:
    groups = "@system:authenticated @system:serviceaccounts -> Role:r"
    graph = rbac(groups, others={"shop": [groups]}, roles={"r": "get pods"}, other_roles={"shop": {"r": "get secrets"}})
    assert [(r.rule.resources, r.within) for r in account_rights(graph, "scoring")] == [(("pods",), HERE), (("pods",), HERE)]


def test_a_binding_to_a_role_that_does_not_exist_gives_a_service_account_nothing() -> None:
    bot, scoring = f"{HERE}/scoring", Subject("ServiceAccount", "scoring", HERE)
    graph = rbac(f"* {bot} -> gone", f"{bot} -> gone", f"{bot} -> Role:gone", others={"vault": [f"{bot} -> Role:gone"]})
    unknown = Binding("RoleBinding", "unknown", "b", ("Role", "gone"), (scoring,))
    assert list(account_rights(replace(graph, naming={scoring: [*graph.naming[scoring], unknown]}), "scoring")) == []


URLS = (  # what Kubernetes 1.36 lets everybody read (bootstrappolicy), and anybody may be given once more
    "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/"
    ",/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/"
)
EVERYBODYS = {
    "paths that everybody reads": (f"* {HERE}/scoring -> r", f"get {URLS}", True),
    "one of them": (f"* {HERE}/scoring -> r", "get /version", True),
    "to write to one of them": (f"* {HERE}/scoring -> r", "post /version", False),
    "every verb of one of them": (f"* {HERE}/scoring -> r", "* /version", False),
    "another path": (f"* {HERE}/scoring -> r", "get /version,/metrics", False),
    "another path by a RoleBinding, which gives no paths": (f"{HERE}/scoring -> r", "get /metrics", True),
    "what it may ask of itself": (f"* {HERE}/scoring -> r", "create selfsubjectrulesreviews.authorization.k8s.io", True),
    "to write what everybody reads": (f"* {HERE}/scoring -> r", "get,update clustertrustbundles.certificates.k8s.io", False),
}


@pytest.mark.parametrize(("bound", "words", "everybodys"), EVERYBODYS.values(), ids=EVERYBODYS.keys())
def test_what_everybody_may_is_no_right_of_a_service_account(bound: str, words: str, everybodys: bool) -> None:
    assert (list(account_rights(rbac(bound, cluster={"r": words}), "scoring")) == []) is everybodys


COVERS = {
    "itself": ("get pods", "get pods", True),
    "another verb": ("get pods", "list pods", False),
    "every verb": ("* pods", "get pods", True),
    "every verb, by one": ("get pods", "* pods", False),
    "another group": ("get pods", "get pods.apps", False),
    "every group": ("get pods.*", "get pods.apps", True),
    "another resource": ("get pods", "get pods,secrets", False),
    "every resource": ("get *", "get pods,secrets/x", True),
    "a subresource": ("get pods/log", "get pods/log", True),
    "a subresource, by its resource": ("get pods", "get pods/log", False),
    "the subresource of every resource": ("get */log", "get pods/log", True),
    "the subresource of every resource, and another one": ("get */log", "get pods/exec", False),
    "a resource, by the subresource of nothing": ("get */", "get pods", False),
    "one object": ("get pods", "get pods=a", True),
    "paths, which are no resources": ("get *", "get /metrics", False),
}


@pytest.mark.parametrize(("wide", "words", "covered"), COVERS.values(), ids=COVERS.keys())
def test_a_rule_covers(wide: str, words: str, covered: bool) -> None:
    assert covers(rule(wide).groups, rule(wide).resources, rule(wide).verbs, rule(words)) is covered


ASKED = {
    "nothing": ([procedure()], []),
    "another thing of access": ([procedure(access={"network": "Clients"})], []),
    "editors, by one of two": ([procedure(access={"network": "Clients"}), procedure(access={"editors": {}})], ["editors"]),
    "a ServiceAccount of its own, by one of two": ([procedure(access={"network": "Clients"}), procedure(access={"serviceAccount": "Dedicated"})], ["accounts"]),
    "rights": ([procedure(access={"rights": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})], ["accounts"]),
    "a review, by one of two": ([procedure(access={"network": "Clients"}), procedure(access={"reviewEvery": "90d"})], ["list"]),
}


@pytest.mark.parametrize(("procedures", "found"), ASKED.values(), ids=ASKED.keys())
def test_no_more_is_looked_at_than_procedures_ask_for(procedures: list[Procedure], found: list[str]) -> None:
    looked = reach.reach(rbac("@devs -> edit", f"{HERE}/scoring -> view"), procedures, ["scoring"])
    assert [name for name in ("editors", "accounts", "list") if getattr(looked, name)] == found


def test_every_question_has_an_id_of_its_own() -> None:
    assert len({q.id for q in FIXED}) == len(FIXED)
    assert isinstance(QUESTIONS["approve model-owner"], Question)
