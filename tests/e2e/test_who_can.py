"""Who can do what, against the API server's own answers on many random RBAC graphs; and editors, ServiceAccounts' rights and access reviews from end to end."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from kubernetes.client import Configuration
from kubernetes.config import new_client_from_config

from aiqms.api.record import Decision
from aiqms.cli import access
from aiqms.cli.connection import Connection
from aiqms.cli.who_can import answered, everything
from aiqms.policy.rbac import Ask, Rbac, Subject, groups_of, subjects_who
from aiqms.policy.reach import decides, direct
from tests.e2e.conftest import RBAC, binding, cluster_binding
from tests.e2e.given import NAME, UNSEEN, Place, placed, refused
from tests.e2e.test_cli_people import CANNOT_ASK, DONE, NO, qms
from tests.e2e.test_story_hands_off import now, what, written
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

SEED, GRAPHS, ASKS = 20261125, 200, 3
AT_ONCE = 8
WHOLE = 20  # graphs of which every question is asked
SUBJECTS = [
    Subject("User", "graph-ann"),
    Subject("User", "graph-ben"),
    Subject("Group", "graph-devs"),
    Subject("Group", "graph-ops"),
    Subject("Group", "system:serviceaccounts:graph-ci"),
    Subject("ServiceAccount", "bot", "graph-ci"),
    Subject("ServiceAccount", "bot", "graph-0"),
]
VERBS = ("get", "list", "create", "update", "patch", "delete", "impersonate", "escalate", "bind", "approve", "stop", "open", "*")
GROUPED = {
    "": ("pods", "pods/log", "pods/exec", "pods/*", "*/exec", "secrets", "nodes/proxy", "serviceaccounts/token", "serviceaccounts", "users", "*"),
    "apps": ("deployments", "deployments/scale", "*/scale", "*"),
    "aiqms.dev": ("aimodeldeployments", "approvalroles", "interactivesessions", "qmsprocedures", "*"),
    RBAC: ("roles", "clusterroles", "rolebindings"),
    "*": ("deployments", "pods", "*"),
}
NAMES = ("scoring", "model-owner", "graph-ann", "*")


class Graph:
    """One random RBAC graph in a namespace of its own, on top of ClusterRoles that all share."""

    def __init__(self, number: int, dice: random.Random) -> None:
        self.namespace, self.dice = f"graph-{number}", dice

    def objects(self) -> Iterator[Json]:
        roles = [f"r{n}" for n in range(self.dice.randint(1, 2))]
        yield from (self.role("Role", name) for name in roles)
        for n in range(self.dice.randint(1, 4)):
            kind, name = self.dice.choice([("Role", self.dice.choice(roles)), ("Role", "gone"), ("ClusterRole", f"graph-c{self.dice.randint(0, 9)}")])
            yield self.bound("RoleBinding", f"b{n}", kind, name)

    def shared(self) -> Iterator[Json]:
        """ClusterRoles of whom few are bound cluster-wide: else everybody could do everything."""
        yield from (self.role("ClusterRole", f"graph-c{n}") for n in range(10))
        yield from (self.bound("ClusterRoleBinding", f"graph-b{n}", "ClusterRole", f"graph-c{n}") for n in range(2))

    def role(self, kind: str, name: str) -> Json:
        rules = [self.rule() for _ in range(self.dice.randint(1, 3))]
        return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": self.metadata(kind, name), "rules": rules}

    def rule(self) -> Json:
        group = self.dice.choice(list(GROUPED))
        rule = {"verbs": self.some(VERBS, 2), "apiGroups": [group], "resources": self.some(GROUPED[group], 2)}
        return rule | ({"resourceNames": self.some(NAMES, 2)} if self.dice.random() < 0.3 else {})

    def bound(self, kind: str, name: str, role: str, of: str) -> Json:
        subjects = [_subject(s) for s in self.dice.sample(SUBJECTS, self.dice.randint(1, 2))]
        ref = {"apiGroup": RBAC, "kind": role, "name": of}
        return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": self.metadata(kind, name), "roleRef": ref, "subjects": subjects}

    def metadata(self, kind: str, name: str) -> Json:
        return {"name": name} | ({} if kind.startswith("Cluster") else {"namespace": self.namespace})

    def some(self, words: Iterable[str], most: int) -> list[str]:
        known = list(words)
        return self.dice.sample(known, self.dice.randint(1, most))

    def asks(self) -> Iterator[Ask]:
        """Questions as requests have them: of one name, or of none."""
        for _ in range(ASKS):
            group = self.dice.choice([g for g in GROUPED if g != "*"])
            resource, _, sub = self.dice.choice([r for r in GROUPED[group] if "*" not in r]).partition("/")
            yield Ask(self.dice.choice(VERBS[:-1]), group, resource, sub, self.dice.choice(("", *NAMES[:3])), self.dice.choice((".", ".", "")))


def _subject(of: Subject) -> Json:
    if of.kind == "ServiceAccount":
        return {"kind": of.kind, "name": of.name, "namespace": of.namespace}
    return {"apiGroup": RBAC, "kind": of.kind, "name": of.name}


def at_once(pool: ThreadPoolExecutor, admin: Api, objects: Iterable[Json]) -> None:
    list(pool.map(admin.create, objects))


@pytest.fixture(scope="class")
def graphs(cluster: Cluster, installed: Operator) -> Iterator[list[Graph]]:
    """All graphs at once, in force; removed afterwards."""
    admin, made = cluster.api("admin"), [Graph(n, random.Random(SEED + n)) for n in range(GRAPHS)]
    shared = list(Graph(GRAPHS, random.Random(SEED)).shared())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        at_once(pool, admin, [*shared, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": g.namespace}} for g in made)])
        at_once(pool, admin, [o for g in made for o in g.objects()])
        last = {"apiGroup": RBAC, "kind": "User", "name": "graph-last"}
        admin.create(binding(made[-1].namespace, "view", "") | {"subjects": [last]})
        wanted = access.review(Subject("User", "graph-last"), Ask("list", "", "pods", name=""), made[-1].namespace)
        eventually(lambda: admin.create(wanted)["status"]["allowed"], within=60, what="the last binding is in force")
        yield made
        list(pool.map(lambda g: admin.delete("namespaces", g.namespace), made))
        list(pool.map(lambda o: admin.delete(o["kind"], o["metadata"]["name"]), reversed(shared)))


@pytest.fixture(scope="module")
def asking(cluster: Cluster) -> Connection:
    """As the auditor: reads roles and bindings, and asks about others."""
    load: Any = new_client_from_config  # this part of the package has no types
    settings = Configuration()
    settings.no_proxy = "127.0.0.1,localhost"
    return Connection(load(str(cluster.kubeconfig), "auditor", persist_config=False, client_configuration=settings), "graph-0")


def _of(whole: Rbac, namespace: str) -> Rbac:
    return replace(whole, here=whole.others[namespace])


class TestGraphs:
    """What is bound cluster-wide for these is gone before the other tests."""

    def test_no_holder_is_missed_and_none_is_made_up(self, cluster: Cluster, graphs: list[Graph], asking: Connection) -> None:
        admin, whole = cluster.api("admin"), access.rbac(asking, whole=True)
        cases = [(g.namespace, who, ask) for g in graphs for ask in g.asks() for who in SUBJECTS]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda c: bool(admin.create(access.review(c[1], c[2], c[0]))["status"]["allowed"]), cases))
        wrong = []
        for (namespace, who, ask), allowed in zip(cases, answers, strict=True):
            found = {g.subject for g in subjects_who(_of(whole, namespace), [ask])}
            inside = {who, *(Subject("Group", g) for g in access.as_bound(who)[1])}
            if bool(found & inside) is not allowed:
                wrong.append((namespace, str(who), ask, allowed))
        assert wrong == []
        assert len(cases) == GRAPHS * ASKS * len(SUBJECTS)
        assert 100 < sum(answers) < len(cases) - 100  # else the graphs say nothing

    def test_a_role_is_held_by_whom_admission_would_let_decide(self, cluster: Cluster, graphs: list[Graph], asking: Connection) -> None:
        """By name, and by no wildcard: as policy aiqms-authentic asks."""
        admin, whole, people = cluster.api("admin"), access.rbac(asking, whole=True), [s for s in SUBJECTS if s.kind != "ServiceAccount"][:4]
        named = Ask("approve", "aiqms.dev", "approvalroles", name="model-owner")
        cases = [(g.namespace, who) for g in graphs for who in people]

        def decides_(case: tuple[str, Subject]) -> bool:
            by_name, wild = (admin.create(access.review(case[1], replace(named, name=name), case[0])) for name in ("model-owner", "aiqms-nobody-holds-this"))
            return bool(by_name["status"]["allowed"] and not wild["status"]["allowed"])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            expected = {case for case, holds in zip(cases, pool.map(decides_, cases), strict=True) if holds}
        held = [(ns, g.subject) for ns in (g.namespace for g in graphs) for g in direct(_of(whole, ns), decides(Decision.APPROVE, "model-owner"))]
        assert {case for case in held if case[1] in people} == expected
        assert expected

    def test_the_api_server_confirms_every_candidate_of_every_question(self, graphs: list[Graph], asking: Connection) -> None:
        """No false positive: a way's candidate holds the right that the way takes."""
        whole = access.rbac(asking, whole=True)
        for graph in graphs[:WHOLE]:
            here = _of(whole, graph.namespace)
            found = answered(replace(asking, namespace=graph.namespace), here, everything(here, {}))
            assert {a.question: a.denied for a in found if a.denied} == {}


# Commands


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def rows(said: str) -> set[tuple[str, str, str]]:
    """Subject, way and role of each row, without the group that may everything."""
    found = json.loads(said)
    return {(f"{r['kind']} {r['name']}", r["way"], r["role"]["name"]) for r in found if r["name"] != "system:masters" and not r["controlPlane"]}


def test_an_auditor_learns_who_can_do_what(place: Place) -> None:
    def ask(*words: str, code: int = DONE) -> str:
        return qms(place, "auditor", "who-can", *words, code=code)

    assert rows(ask("approve", "risk-manager", "-o", "json")) == {("Group risk-managers", "direct", "aiqms-role-risk-manager")}
    assert ("Group lending-platform", "direct", "admin") in rows(ask("edit-workload", "-o", "json"))
    assert ("Group lending-platform", "direct", "admin") in rows(ask("edit-register", "-o", "json"))  # by aggregation: the chart's aiqms-tenant
    assert ("Group lending-platform", "impersonate", "admin") in rows(ask("ways-round", "-o", "json"))
    assert "nobody has it; who can get it:" in ask("approve", "janitor", code=NO)  # the cluster's administrators can bind it
    everything_ = ask()
    for question in ("approve model-owner", "stop risk-manager", "disable-gate", "release-namespace", "ways-round"):
        assert f"{question}  (namespace {place.namespace})" in everything_


def test_who_may_not_read_bindings_is_told_which_rights_are_missing(place: Place) -> None:
    said = qms(place, "alice", "who-can", code=CANNOT_ASK)
    assert "you may not list clusterroles.rbac.authorization.k8s.io cluster-wide" in said
    assert "ClusterRole aiqms-auditor, bound cluster-wide, lets you" in said


@pytest.mark.parametrize("spec", [{"list": UNSEEN}, {"decision": "ReviewAccess"}], ids=["an approval that names a list", "a review that names none"])
def test_a_list_belongs_to_a_review_and_to_nothing_else(place: Place, spec: Json) -> None:
    with refused("list is the digest of the list that decision ReviewAccess confirms", code=422):
        place.decide("alice", **({"subject": UNSEEN} | spec))


# Controls

READS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def said(place: Place, control: str) -> tuple[str, str, str]:
    """Result, reason and message."""
    found: Json = next((c for c in place.status["controls"] if c["id"] == control), {})
    return found.get("result", ""), found.get("reason", ""), found.get("message", "")


def await_said(place: Place, control: str, result: str, reason: str, *, seconds: float = 10, naming: str = "") -> None:
    def so() -> bool:
        found = said(place, control)
        assert found[:2] == (result, reason), found
        assert naming in found[2], found
        return True

    eventually(so, within=seconds, what=f"{control} is {result} {reason}", ignoring=(KeyError,))


def eve(place: Place, role: str = "edit") -> Json:
    made = binding(place.namespace, role, "") | {"subjects": [{"apiGroup": RBAC, "kind": "User", "name": "eve"}]}
    return made | {"metadata": made["metadata"] | {"name": "eves"}}


def test_an_editor_too_many_is_found_wherever_the_right_comes_from(place: Place) -> None:
    place.govern(access={"editors": {"groups": ["lending-platform", "system:masters"]}})
    place.register()
    place.deploy()
    await_said(place, "access/editors", "Pass", "EditorsKnown", seconds=30)
    place.admin.create(eve(place))
    await_said(
        place, "access/editors", "Fail", "EditorUnexpected", seconds=2, naming=f"user eve, who may edit (RoleBinding {place.namespace}/eves (ClusterRole edit))"
    )
    marked = {r["name"]: r["notNamedBy"] for r in json.loads(qms(place, "auditor", "who-can", "edit-workload", "-o", "json"))}
    assert marked == {"lending-platform": [], "system:masters": [], "eve": [f"{place.namespace}-rule"]}
    place.decide("alice")
    place.await_pods(held=1)
    assert place.ready() == ("False", "EditorUnexpected")
    place.admin.delete("rolebindings", "eves", place.namespace)
    await_said(place, "access/editors", "Pass", "EditorsKnown", seconds=2)
    place.await_pods(running=1)
    name = f"{place.namespace}-far"
    place.admin.create(cluster_binding(name, "edit", "graph-strangers"))
    try:
        await_said(
            place,
            "access/editors",
            "Fail",
            "EditorUnexpected",
            seconds=2,
            naming=f"group graph-strangers, who may edit (ClusterRoleBinding {name} (ClusterRole edit))",
        )
    finally:
        place.admin.delete("clusterrolebindings", name)
    await_said(place, "access/editors", "Pass", "EditorsKnown", seconds=2)


def test_invariant_9_a_binding_that_changes_no_answer_is_looked_at_and_writes_nothing(place: Place, installed: Operator) -> None:
    """The one that changes an answer comes last, so that the others have been looked at."""
    place.govern(access={"editors": {"groups": ["lending-platform", "system:masters"]}, "rights": [READS]})
    place.register()
    place.deploy()
    await_said(place, "access/editors", "Pass", "EditorsKnown", seconds=30)
    place.await_pods(held=1)
    since = now()
    place.admin.create(eve(place, "view"))
    place.admin.delete("rolebindings", "eves", place.namespace)
    name = f"{place.namespace}-far"
    place.admin.create(cluster_binding(name, "view", "graph-strangers"))
    place.admin.delete("clusterrolebindings", name)
    place.admin.create(eve(place))
    await_said(place, "access/editors", "Fail", "EditorUnexpected", seconds=2)
    mine = [what(e) for e in written(installed, since) if e["objectRef"].get("namespace") == place.namespace and e["objectRef"]["resource"] != "events"]
    assert mine == [("patch", "aimodeldeployments", "status", place.namespace, NAME)]


def test_a_service_account_that_may_more_than_is_listed_is_found_with_its_binding(place: Place) -> None:
    place.govern(access={"rights": [READS]})
    place.register()
    place.deploy()
    await_said(place, "access/rights", "Pass", "RightsListed", seconds=30)
    account = {"kind": "ServiceAccount", "name": "default", "namespace": place.namespace}
    place.admin.create(eve(place, "view") | {"subjects": [account]})
    await_said(place, "access/rights", "Fail", "RightsBeyond", seconds=2, naming=f"(RoleBinding {place.namespace}/eves (ClusterRole view))")
    place.admin.delete("rolebindings", "eves", place.namespace)
    await_said(place, "access/rights", "Pass", "RightsListed", seconds=2)


def test_a_role_that_nobody_holds_is_said_before_it_blocks(place: Place) -> None:
    place.govern(roles=[{"role": "model-owner"}, {"role": "works-council"}])
    place.register()
    await_said(place, "access/separation", "Warn", "RoleUnheld", seconds=30, naming="nobody holds works-council (approve) by name")


@pytest.fixture
def reviewer(place: Place) -> Iterator[None]:
    """alice, who holds model-owner, also reads roles and bindings."""
    name = f"{place.namespace}-reviewer"
    place.admin.create(cluster_binding(name, "aiqms-auditor", "") | {"subjects": [{"apiGroup": RBAC, "kind": "User", "name": "alice"}]})
    eventually(lambda: place.by("alice").may("list", "clusterroles", group=RBAC), within=30, what="alice reads roles")
    yield
    place.admin.delete("clusterrolebindings", name)


@pytest.mark.usefixtures("reviewer")
def test_who_can_do_what_is_confirmed_by_a_person_and_a_change_since_is_said(place: Place) -> None:
    place.govern(access={"reviewEvery": "90d"})
    place.register()
    place.deploy()
    await_said(place, "access/review", "Fail", "AccessReviewDue", seconds=30)
    place.decide("alice")
    place.await_pods(held=1)
    looked = json.loads(qms(place, "alice", "review-access", NAME, "--dry-run", "-o", "json"))
    digest = looked["spec"]["list"]
    assert "who can do what is" in qms(place, "alice", "review-access", NAME, "--list", UNSEEN, "--yes", code=NO)
    assert "you (mallory)" in qms(place, "mallory", "review-access", NAME, "--role", "model-owner", "--list", digest, "--yes", code=NO)
    made = qms(place, "alice", "review-access", NAME, "--list", digest, "--yes", "--rationale", "as agreed")
    assert "alice confirmed who can do what, as model-owner" in made
    await_said(place, "access/review", "Pass", "AccessReviewed")
    place.await_pods(running=1)
    place.admin.create(eve(place))
    await_said(place, "access/review", "Warn", "AccessChanged", seconds=2)
    place.admin.delete("rolebindings", "eves", place.namespace)
    await_said(place, "access/review", "Pass", "AccessReviewed", seconds=2)


@pytest.mark.usefixtures("reviewer")
def test_a_review_is_due_again_in_time_and_a_list_that_never_was_confirms_nothing(place: Place) -> None:
    place.govern(access={"reviewEvery": "8s"})
    place.register()
    place.deploy()
    await_said(place, "access/review", "Fail", "AccessReviewDue", seconds=30)
    name = place.by("alice").create(_review(UNSEEN), namespace=place.namespace)["metadata"]["name"]
    place.awaited(lambda: place.verdict(name) == (False, "ListDiffers"), "a list that never was does not count")
    digest = json.loads(qms(place, "alice", "review-access", NAME, "--dry-run", "-o", "json"))["spec"]["list"]
    place.by("alice").create(_review(digest), namespace=place.namespace)
    await_said(place, "access/review", "Pass", "AccessReviewed")
    await_said(place, "access/review", "Fail", "AccessReviewDue", seconds=12, naming="which was to be done again by")


def _review(digest: str) -> Json:
    spec = {"deployment": NAME, "role": "model-owner", "decision": "ReviewAccess", "list": digest}
    return {"apiVersion": "aiqms.dev/v1alpha1", "kind": "ApprovalRecord", "metadata": {"generateName": f"{NAME}-"}, "spec": spec}


def test_a_service_accounts_groups_are_those_that_the_api_server_gives_it(cluster: Cluster) -> None:
    assert set(cluster.api("ci").whoami()["groups"]) == set(groups_of(Subject("ServiceAccount", "ci", "ci")))
