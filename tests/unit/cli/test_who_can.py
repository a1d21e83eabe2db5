"""Who can do what: words to questions, objects to RBAC, subjects to questions for the API server, and answers to lines."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import access, review_access
from aiqms.cli.decision import How, Wish
from aiqms.cli.terminal import NotDone, Output
from aiqms.cli.who_can import Answers, check, chosen, compared, everything, limited, lines, rows, shown
from aiqms.policy.rbac import Ask, Subject
from aiqms.policy.reach import EDIT_WORKLOAD, access_list, decides, direct, list_digest, reaching
from tests.unit.cli.given import NEW, case, record, status
from tests.unit.policy.grants import HERE, rbac

PROCEDURES: dict[str, Json] = {
    "high-risk": {
        "approvals": {"roles": [{"role": "model-owner"}]},
        "stop": {"roles": ["incident-commander"]},
        "access": {"reviewEvery": "90d", "reviewRoles": ["auditor"]},
    }
}
GRAPH = rbac("@devs -> edit", "ann -> risk", "* eve -> i", cluster={"i": "impersonate users,groups; escalate clusterroles.rbac.authorization.k8s.io"})
FIXED = [
    "edit-workload", "edit-register", "read-secrets", "read-logs", "open-session", "change-procedures", "disable-gate", "write-clearances",
    "release-namespace", "ways-round",
]  # fmt: skip
NAMED = {
    "nothing: everything that procedures and rules name": (
        [],
        ["approve model-owner", "approve risk-manager", "reject model-owner", "withdraw model-owner", "stop incident-commander", "stop risk-manager",
         "resume incident-commander",          "resume risk-manager", "emergency risk-manager", "reviewaccess auditor", "reviewaccess risk-manager", *FIXED],
    ),
    "a question": (["read-logs"], ["read-logs"]),
    "two": (["edit-workload", "ways-round"], ["edit-workload", "ways-round"]),
    "a decision in every role": (["approve"], ["approve model-owner", "approve risk-manager"]),
    "a decision in a role": (["approve", "risk-manager"], ["approve risk-manager"]),
    "a decision in a role that nobody names": (["approve", "janitor"], ["approve janitor"]),
    "a decision and a question": (["stop", "read-logs"], ["stop incident-commander", "stop risk-manager", "read-logs"]),
    "a decision of which no role is known": (["withdraw", "read-logs"], ["withdraw model-owner", "read-logs"]),
    "two decisions": (["approve", "janitor", "emergency"], ["approve janitor", "emergency risk-manager"]),
}  # fmt: skip


@pytest.mark.parametrize(("words", "ids"), NAMED.values(), ids=NAMED.keys())
def test_the_questions_that_words_name(words: list[str], ids: list[str]) -> None:
    check(words)
    assert [q.id for q in chosen(words, everything(GRAPH, PROCEDURES))] == ids


@pytest.mark.parametrize("words", [["anything"], ["risk-manager"], ["read-logs", "risk-manager"]])
def test_a_word_that_is_no_question_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match=f"{words[-1]!r} is no question: name one of edit-workload, "):
        check(words)


AS_BOUND = {
    "a user, whose groups are not known": (Subject("User", "ann"), ("ann", ("system:authenticated",))),
    "a group, as a member of whom nothing is known": (Subject("Group", "devs"), ("aiqms:somebody", ("devs", "system:authenticated"))),
    "everybody without credentials": (Subject("Group", "system:unauthenticated"), ("system:anonymous", ("system:unauthenticated",))),
    "a service account": (
        Subject("ServiceAccount", "bot", "ci"),
        ("system:serviceaccount:ci:bot", ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated")),
    ),
    "the service accounts of a namespace": (
        Subject("Group", "system:serviceaccounts:ci"),
        ("system:serviceaccount:ci:aiqms-somebody", ("system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated")),
    ),
    "all service accounts": (
        Subject("Group", "system:serviceaccounts"),
        ("system:serviceaccount:default:aiqms-somebody", ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")),
    ),
}


@pytest.mark.parametrize(("subject", "asked"), AS_BOUND.values(), ids=AS_BOUND.keys())
def test_a_subject_is_asked_for_as_it_is_bound(subject: Subject, asked: tuple[str, tuple[str, ...]]) -> None:
    assert access.as_bound(subject) == asked


@pytest.mark.parametrize(("within", "namespace"), [(".", HERE), ("", None), ("kube-system", "kube-system")])
def test_a_question_to_the_api_server(within: str, namespace: str | None) -> None:
    spec = access.review(Subject("User", "ann"), Ask("create", "apps", "deployments", "scale", "a", within), HERE)["spec"]
    attributes = {"verb": "create", "group": "apps", "resource": "deployments", "subresource": "scale", "name": "a"}
    assert spec == {"user": "ann", "groups": ["system:authenticated"], "resourceAttributes": attributes | ({"namespace": namespace} if namespace else {})}


def test_objects_as_they_are_listed_become_rbac() -> None:
    rule = {"verbs": ["update"], "apiGroups": ["apps"], "resources": ["deployments"]}
    found: dict[str, list[Json]] = {
        "clusterroles": [{"metadata": {"name": "edit"}, "rules": [rule]}, {"metadata": {"name": "empty"}, "rules": None}],
        "clusterrolebindings": [{"metadata": {"name": "all"}, "roleRef": {"kind": "ClusterRole", "name": "edit"}}],
        "roles": [{"metadata": {"name": "r", "namespace": HERE}, "rules": [rule]}],
        "rolebindings": [
            _bound("near", HERE, ("Role", "r"), {"kind": "ServiceAccount", "name": "bot"}, {"kind": "User", "name": "ann"}),
            _bound("far", "ci", ("ClusterRole", "edit"), {"kind": "User", "name": "ben"}),
        ],
    }
    graph = access.assembled(HERE, found)
    assert [(str(g.subject), g.by) for g in direct(graph, EDIT_WORKLOAD)] == [
        ("group system:masters", "the API server itself"),
        (f"serviceaccount {HERE}/bot", f"RoleBinding {HERE}/near (Role r)"),
        ("user ann", f"RoleBinding {HERE}/near (Role r)"),
    ]
    assert set(graph.others) == {HERE, "ci"}


def _bound(name: str, namespace: str, role: tuple[str, str], *subjects: Json) -> Json:
    return {"metadata": {"name": name, "namespace": namespace}, "roleRef": {"kind": role[0], "name": role[1]}, "subjects": list(subjects)}


EDITS = shown(Answers("edit-workload", tuple(reaching(GRAPH, EDIT_WORKLOAD)), denied=1), all_=False)


def test_answers_as_lines() -> None:
    unheld = Answers("approve janitor", tuple(g for g in EDITS.givens if g.way))
    assert [line.text for line in lines([EDITS, Answers("approve janitor", ()), unheld], HERE, width=None)] == [
        "edit-workload  (namespace lending)",
        "  group devs                                   RoleBinding lending/b0 (ClusterRole edit)",
        "  group system:masters                         the API server itself",
        "  user eve              escalate, impersonate  ClusterRoleBinding c2 (ClusterRole i)",
        "  … 1 candidate more, whom the API server does not let",
        "approve janitor  (namespace lending)",
        "  nobody",
        "approve janitor  (namespace lending)",
        "  nobody has it; who can get it:",
        "  user eve              escalate, impersonate  ClusterRoleBinding c2 (ClusterRole i)",
        "… a user is asked without groups, a group as a member of whom nothing else is known",
    ]


def test_answers_for_programs() -> None:
    devs, masters, *_, eve = rows(EDITS)
    assert devs == {
        "question": "edit-workload", "kind": "Group", "name": "devs", "namespace": "", "way": "direct", "controlPlane": False, "notNamedBy": [],
        "binding": {"kind": "RoleBinding", "namespace": HERE, "name": "b0"}, "role": {"kind": "ClusterRole", "name": "edit"},
    }  # fmt: skip
    assert (masters["name"], masters["binding"], masters["role"]) == ("system:masters", None, None)
    assert (eve["name"], eve["way"]) == ("eve", "impersonate")


def test_editors_whom_a_procedure_does_not_name_are_marked_with_it() -> None:
    registered: list[Json] = [{"status": {"procedures": [{"name": "strict"}, {"name": "lax"}]}}, {}]
    procedures: dict[str, Json] = {
        "strict": {"access": {"editors": {"groups": ["system:masters"], "users": ["eve"]}}},
        "lax": {"access": {"editors": {"groups": ["devs", "system:masters"], "users": ["eve"]}}},
        "silent": {"access": {"editors": {}}},  # applies to nothing here
    }
    limits = limited(registered, procedures)
    assert list(limits) == ["lax", "strict"]
    found = compared(EDITS, limits)
    assert {row["name"]: row["notNamedBy"] for row in rows(found)} == {"devs": ["strict"], "system:masters": [], "eve": []}
    assert [line.text.split()[-4:] for line in lines([found], HERE, width=None)][1] == ["in", "access.editors", "of", "strict"]
    assert compared(Answers("read-secrets", EDITS.givens), limits).extra == {}
    assert compared(EDITS, limited([], procedures)).extra == {}


# review-access

REVIEWING = {"high-risk-inference": PROCEDURES["high-risk"]}


def test_the_roles_that_review_are_those_of_the_procedures_that_apply() -> None:
    by_default = {"high-risk-inference": PROCEDURES["high-risk"] | {"access": {"reviewEvery": "90d"}}}
    assert review_access.roles(case(procedures=REVIEWING)) == ["auditor"]
    assert review_access.roles(case(procedures=by_default)) == ["model-owner"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing is registered": ({"found": None}, "namespace lending has no AIModelDeployment credit-scoring: see kubectl qms status -n lending"),
    "procedures may not be read": ({"procedures": None}, "you may not read procedures to see which roles review who can do what: name one with --role"),
    "no procedure asks": (
        {"procedures": {"high-risk-inference": {"approvals": {"roles": []}}}},
        "no procedure that applies to credit-scoring asks for access reviews: the platform team sets access.reviewEvery in one",
    ),
    "another procedure asks": (
        {"procedures": REVIEWING, "state": status(procedures=[])},
        "no procedure that applies to credit-scoring asks for access reviews: the platform team sets access.reviewEvery in one",
    ),
}


@pytest.mark.parametrize(("facts", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_there_is_nothing_to_review(facts: dict[str, Any], why: str) -> None:
    with pytest.raises(NotDone) as refused:
        review_access.roles(case(**facts))
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("how", "named", "lets"),
    [
        (How(yes=True, dry_run=False, output=Output.TEXT), NEW, True),
        (How(yes=True, dry_run=False, output=Output.TEXT), None, False),
        (How(yes=False, dry_run=False, output=Output.TEXT), NEW, False),
        (How(yes=False, dry_run=True, output=Output.JSON), None, True),
    ],
    ids=["a program that names the list", "one that does not", "one that does not say yes", "one that only looks"],
)
def test_a_program_confirms_a_list_that_it_names(how: How, named: str | None, lets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    if lets:
        review_access.require_list(how, named)
    else:
        with pytest.raises(typer.BadParameter, match="give --yes and --list too"):
            review_access.require_list(how, named)


def test_the_list_is_shown_with_what_gives_each_right_and_when_it_was_confirmed_last() -> None:
    graph = rbac("@owners -> owner")
    listed, digest = access_list(graph), list_digest(access_list(graph))
    by_masters = [line for line in listed if line.subject != "group system:masters"]
    before = [
        ("nobody confirmed it yet", []),
        (
            "dan confirmed on 2026-11-22 10:00:00 UTC the same list (apr/r)",
            [record("r", "ReviewAccess", "dan", list=digest), record("q", "ReviewAccess", "eve", at="2026-11-21T10:00:00Z", list=NEW)],
        ),
        ("dan confirmed on 2026-11-22 10:00:00 UTC another list: something was given or taken since (apr/r)", [record("r", "ReviewAccess", "dan", list=NEW)]),
        ("nobody confirmed it yet", [record("r", "ReviewAccess", "dan", list=NEW, counts=False)]),
    ]
    for last, records in before:
        assert [line.text for line in review_access.lines(case(records=records), by_masters, digest, width=None)] == [
            "Who can do what in namespace lending",
            f"  {digest}",
            "  approve model-owner",
            "    group owners  RoleBinding lending/b0 (ClusterRole owner)",
            "",
            f"  {last}",
        ]


def test_the_record_names_the_list_and_no_subject() -> None:
    assert Wish("credit-scoring", Decision.REVIEW_ACCESS, "auditor", list=NEW).record(HERE)["spec"] == {
        "deployment": "credit-scoring",
        "role": "auditor",
        "decision": "ReviewAccess",
        "list": NEW,
    }


def test_nobody_is_a_candidate_for_a_role_by_a_wildcard() -> None:
    assert direct(rbac("* ann -> cluster-admin"), decides(Decision.APPROVE, "model-owner")) == []
