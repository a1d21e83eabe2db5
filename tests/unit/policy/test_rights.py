"""Editors, ServiceAccounts' rights, holders of roles, access reviews: result, reason and message of each case."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Input, Procedure, Reach, Record, WorkloadFacts
from aiqms.policy.rbac import Rbac
from aiqms.policy.reach import access_list, list_digest, reach
from tests.unit.policy.given import HEX, approve, change, cleared, controls, day, fed, given, procedure, ready, record, workload
from tests.unit.policy.grants import HERE, rbac

Said = tuple[str, str, str]
USUAL = rbac("@owners -> owner", "ann -> owner", "@devs -> edit")
ADMINS: Json = {"groups": ["system:masters"]}


def asks(*, roles: dict[str, int] | None = None, distinct: bool = True, audit: bool = False, **access: Any) -> Procedure:
    """A procedure that asks for this access."""
    return procedure(roles=roles, distinct=distinct, audit=audit, access={"obligations": [{"framework": "eu-ai-act", "id": "15(5)"}]} | access)


def under(of: Procedure, graph: Rbac | None, *records: Record, accounts: tuple[str, ...] = ("scoring",)) -> Input:
    """Everything as usual, with this RBAC; None: nobody looked."""
    return given(*records, procedures=[of], reach=reach(graph, [of], accounts) if graph else None)


def said(of: Input, control: str, at: float = 2) -> Said | None:
    return controls(of, day(at)).get(f"high-risk/{control}")


def editors(*groups: str, users: tuple[str, ...] = ()) -> Procedure:
    return asks(editors={"groups": list(groups), "users": list(users)})


TAKE = "take them off the binding, or name them with a higher revision"
MASTERS = "group system:masters may edit everything whatever RBAC says: name it under access.editors.groups once you know who has its certificates"
NOBODY_LOOKED = "nobody looked at roles and bindings yet, so who can do what is not known: the operator lists them (kubectl qms doctor)"
EDITORS: dict[str, tuple[Procedure, Rbac | None, Said | None]] = {
    "not asked for": (asks(), rbac("eve -> edit"), None),
    "nobody looked": (editors(), None, ("Error", "RbacUnknown", NOBODY_LOOKED)),
    "all are named": (
        editors("devs", "system:masters", users=("ann",)), rbac("@devs -> edit", "* ann -> register"),
        ("Pass", "EditorsKnown", "who may edit is named: group devs; group system:masters; user ann"),
    ),
    "all but the group that may everything": (editors("devs"), rbac("@devs -> edit"), ("Warn", "EditorUnexpected", MASTERS)),
    "one more by a binding": (
        editors("devs"), rbac("@devs eve -> edit"),
        ("Fail", "EditorUnexpected", f"access.editors does not name user eve, who may edit (RoleBinding {HERE}/b0 (ClusterRole edit)): {TAKE}"),
    ),
    "one more, cluster-wide": (
        editors("devs"), rbac("@devs -> edit", "* @ops -> cluster-admin"),
        ("Fail", "EditorUnexpected", f"access.editors does not name group ops, who may edit (ClusterRoleBinding c1 (ClusterRole cluster-admin)): {TAKE}"),
    ),
    "a service account that is not named": (
        editors("devs"), rbac("ci/bot -> register"),
        ("Fail", "EditorUnexpected", f"access.editors does not name serviceaccount ci/bot, "
         f"who may edit (RoleBinding {HERE}/b0 (ClusterRole register)): {TAKE}"),
    ),
    "a service account that is named by its user name": (
        editors("system:masters", users=("system:serviceaccount:ci:bot",)), rbac("ci/bot -> register"),
        ("Pass", "EditorsKnown", "who may edit is named: group system:masters; serviceaccount ci/bot"),
    ),
    "a user who has a group's name is not that group": (
        editors("devs"), rbac("devs -> edit"),
        ("Fail", "EditorUnexpected", f"access.editors does not name user devs, who may edit (RoleBinding {HERE}/b0 (ClusterRole edit)): {TAKE}"),
    ),
    "one who may act as one of them": (
        editors("devs"), rbac("@devs -> edit", "* eve -> i", cluster={"i": "impersonate groups"}),
        ("Fail", "EditorUnexpected",
         f"access.editors does not name user eve, who may edit by acting as somebody who may (ClusterRoleBinding c1 (ClusterRole i)): {TAKE}"),
    ),
    "one who has the token of one of a group that is named": (
        editors("system:serviceaccounts:ci"), rbac("@system:serviceaccounts:ci -> register", others={"ci": ["ci/bot eve -> t"]},
            cluster={"t": "create serviceaccounts/token"}),
        ("Fail", "EditorUnexpected",
         f"access.editors does not name user eve, who may edit by a ServiceAccount's token (RoleBinding ci/b0 (ClusterRole t)): {TAKE}"),
    ),
    "one more than a message holds": (
        editors(), rbac("a b c d -> register"),
        ("Fail", "EditorUnexpected",
         "access.editors does not name " + "; ".join(f"user {u}, who may edit (RoleBinding {HERE}/b0 (ClusterRole register))" for u in "abc")
         + f"; and 1 more (kubectl qms who-can edit-workload edit-register -n {HERE}): {TAKE}"),
    ),
    "more than a message holds": (
        editors(), rbac("a b c d e -> register"),
        ("Fail", "EditorUnexpected",
         "access.editors does not name " + "; ".join(f"user {u}, who may edit (RoleBinding {HERE}/b0 (ClusterRole register))" for u in "abc")
         + f"; and 2 more (kubectl qms who-can edit-workload edit-register -n {HERE}): {TAKE}"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "graph", "answer"), EDITORS.values(), ids=EDITORS.keys())
def test_editors(of: Procedure, graph: Rbac | None, answer: Said | None) -> None:
    assert said(under(of, graph), "access/editors") == answer


def test_an_editor_too_many_keeps_what_is_approved_from_being_cleared_and_in_audit_nothing() -> None:
    graph = rbac("eve -> edit", "@owners -> owner")
    strict, lax = (under(asks(editors={}, audit=audit), graph, approve("alice")) for audit in (False, True))
    assert (ready(decide(strict, day(2)))[:2], cleared(decide(strict, day(2)), day(2))) == (("False", "EditorUnexpected"), [])
    assert (ready(decide(lax, day(2)))[:2], cleared(decide(lax, day(2)), day(2))) == (("True", "Audit"), ["audit"])


READS: Json = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
NO_MORE = ("Pass", "RightsListed", "the pods' ServiceAccounts may do nothing beyond access.rights")


def beyond(what: str) -> Said:
    return "Fail", "RightsBeyond", f"beyond access.rights, serviceaccount scoring may {what}: take it off the binding, or list the rule with a higher revision"


def bound(words: str, *, everywhere: bool = False) -> Rbac:
    return rbac(f"{'* ' if everywhere else ''}{HERE}/scoring -> r", cluster={"r": words})


RIGHTS: dict[str, tuple[Procedure, Rbac | None, Said | None]] = {
    "not asked for": (asks(), bound("get secrets"), None),
    "nobody looked": (asks(serviceAccount="Dedicated"), None, ("Error", "RbacUnknown", NOBODY_LOOKED)),
    "none at all": (asks(serviceAccount="Dedicated"), rbac(), NO_MORE),
    "what is listed": (asks(rights=[READS]), bound("get pods"), NO_MORE),
    "one verb more": (
        asks(rights=[READS]), bound("get,watch pods"),
        beyond(f"get, watch pods in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "one resource more": (
        asks(serviceAccount="Dedicated", rights=[READS]), bound("get pods,secrets"),
        beyond(f"get pods, secrets in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "a subresource is another resource": (
        asks(rights=[READS]), bound("get pods/log"), beyond(f"get pods/log in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "what is listed, everywhere": (
        asks(rights=[READS]), bound("get pods", everywhere=True),
        beyond("get pods everywhere (ClusterRoleBinding c0 (ClusterRole r))"),
    ),
    "what another namespace's administrators gave": (
        asks(serviceAccount="Dedicated"), rbac(others={"shop": [f"{HERE}/scoring -> view"]}),
        ("Warn", "RightsBeyond",
         "beyond access.rights, serviceaccount scoring may get, list pods, deployments in namespace shop (RoleBinding shop/b0 (ClusterRole view))"
         ": the administrators of that namespace gave it, and nothing here asked for it: have them take it off the binding"),
    ),
    "that, beside something of one's own": (
        asks(serviceAccount="Dedicated"), rbac(f"{HERE}/scoring -> r", cluster={"r": "get secrets"}, others={"shop": [f"{HERE}/scoring -> view"]}),
        beyond(f"get secrets in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "what was given in the cluster's own namespace": (
        asks(serviceAccount="Dedicated"), rbac(others={"kube-system": [f"{HERE}/scoring -> r"]}, cluster={"r": "get secrets"}),
        beyond("get secrets in namespace kube-system (RoleBinding kube-system/b0 (ClusterRole r))"),
    ),
    "every verb": (asks(rights=[READS]), bound("* pods"), beyond(f"* pods in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))")),
    "every verb, where that is listed": (asks(rights=[READS | {"verbs": ["*"]}]), bound("* pods"), NO_MORE),
    "another group": (
        asks(rights=[READS]), bound("get pods.apps"),
        beyond(f"get pods.apps in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "a named object": (asks(rights=[]), rbac(), None),
    "to one object by name": (
        asks(serviceAccount="Dedicated"), bound("get secrets=key,seed"),
        beyond(f"get secrets named key, seed in namespace {HERE} (RoleBinding {HERE}/b0 (ClusterRole r))"),
    ),
    "another's rights are not its": (asks(serviceAccount="Dedicated"), rbac("ann -> edit"), NO_MORE),
    "what everybody may": (
        asks(serviceAccount="Dedicated"), rbac("* @system:authenticated -> me", cluster={"me": "create selfsubjectreviews.authentication.k8s.io"}),
        NO_MORE,
    ),
    "what everybody was given beyond that": (
        asks(serviceAccount="Dedicated"), rbac("* @system:authenticated -> cluster-admin"),
        beyond("* *.* everywhere (ClusterRoleBinding c0 (ClusterRole cluster-admin))"
            "; serviceaccount scoring may * /* everywhere (ClusterRoleBinding c0 (ClusterRole cluster-admin))"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "graph", "answer"), RIGHTS.values(), ids=RIGHTS.keys())
def test_rights(of: Procedure, graph: Rbac | None, answer: Said | None) -> None:
    assert said(under(of, graph), "access/rights") == answer


@pytest.mark.parametrize("there", [[], [workload()]], ids=["no workload yet", "one of two workloads"])
def test_rights_of_what_does_not_exist_were_not_looked_at(there: list[WorkloadFacts]) -> None:
    for graph in (rbac(), rbac(others={"shop": [f"{HERE}/scoring -> view"]})):
        of = change(under(asks(serviceAccount="Dedicated"), graph), workloads=[*there, workload(None, ref="Job/batch")])
        assert said(of, "access/rights") == ("Skip", "WorkloadMissing", "this is known once every workload exists")


BOTH = {"model-owner": 1, "risk-manager": 1}
UNHELD = f"nobody holds {{}} by name in namespace {HERE}: whoever may bind roles there binds somebody (kubectl qms who-can -n {HERE})"
SEPARATION: dict[str, tuple[Procedure, Rbac | None, Said | None]] = {
    "nobody looked": (procedure(), None, None),
    "somebody holds each": (procedure(roles=BOTH), rbac("@owners -> owner", "ben -> risk"), None),
    "nobody holds one": (procedure(roles=BOTH), rbac("ben -> risk"), ("Warn", "RoleUnheld", UNHELD.format("model-owner (approve)"))),
    "a wildcard alone holds it": (procedure(), rbac("* ben -> cluster-admin"), ("Warn", "RoleUnheld", UNHELD.format("model-owner (approve)"))),
    "nobody can stop": (
        procedure(stop={"roles": ["on-call"]}), rbac("@owners -> owner", cluster={"on": "emergency approvalroles.aiqms.dev=on-call"}), None,
    ),
    "nobody can break the glass": (
        procedure(emergency={"roles": ["on-call"], "maxDuration": "1h", "reviewWithin": "1d"}), USUAL,
        ("Warn", "RoleUnheld", UNHELD.format("on-call (emergency)")),
    ),
    "nobody can review": (asks(reviewEvery="90d", reviewRoles=["auditor"]), USUAL, ("Warn", "RoleUnheld", UNHELD.format("auditor (reviewaccess)"))),
    "one person holds both": (
        procedure(roles=BOTH), rbac("ann -> owner", "ann -> risk"),
        ("Warn", "RolesHeldByOne", "model-owner and risk-manager take 2 people, and only ann may: bind somebody else too"),
    ),
    "one person holds both, where one may do both": (procedure(roles=BOTH, distinct=False), rbac("ann -> owner", "ann -> risk"), None),
    "two people for two": (procedure(roles=BOTH), rbac("ann ben -> owner", "ann -> risk"), None),
    "a group is any number of people": (procedure(roles=BOTH), rbac("@owners -> owner", "@owners -> risk"), None),
    "a group beside a person too": (procedure(roles={"model-owner": 3}), rbac("ann @owners -> owner"), None),
    "one person for a role of two": (
        procedure(roles={"model-owner": 2}), rbac("ann -> owner"),
        ("Warn", "RolesHeldByOne", "model-owner takes 2 people, and only ann may: bind somebody else too"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "graph", "answer"), SEPARATION.values(), ids=SEPARATION.keys())
def test_separation(of: Procedure, graph: Rbac | None, answer: Said | None) -> None:
    assert said(under(of, graph), "access/separation") == answer


NOW = list_digest(access_list(USUAL))
QUARTERLY = asks(reviewEvery="90d")
HOW = f"kubectl qms review-access credit-scoring -n {HERE}"


def confirm(person: str = "ann", role: str = "model-owner", at: float = 1, *, digest: str = NOW, **more: Any) -> Record:
    return record("ReviewAccess", person, role, at, list=digest, **more)


def reviewed(*records: Record, of: Procedure = QUARTERLY, graph: Rbac | None = USUAL) -> Input:
    return under(of, graph, *records)


CHANGED = change(fed(reviewed(confirm()), decide(reviewed(confirm()), day(2))), reach=reach(rbac("eve -> edit", "ann -> owner"), [QUARTERLY], ()))
WHEN = "ann confirmed on 2027-01-02 00:00:00 UTC who can do what here (apr/reviewaccess-ann)"
IN_TIME = ("Pass", "AccessReviewed", f"{WHEN}; again by 2027-04-02 00:00:00 UTC")
NEVER = ("Fail", "AccessReviewDue", f"nobody confirmed yet who can do what here: {HOW}")
UNTRUE = reviewed(confirm(digest=HEX["9"]))
NAMELESS = reviewed(record("ReviewAccess", "ann", "model-owner", 1))
REVIEWS: dict[str, tuple[Input, float, Said | None]] = {
    "not asked for": (reviewed(of=asks()), 2, None),
    "nobody looked": (reviewed(graph=None), 2, ("Error", "RbacUnknown", NOBODY_LOOKED)),
    "never": (reviewed(), 2, NEVER),
    "in time": (reviewed(confirm()), 90.9, IN_TIME),
    "overdue": (reviewed(confirm()), 91, ("Fail", "AccessReviewDue", f"{WHEN}, which was to be done again by 2027-04-02 00:00:00 UTC: {HOW}")),
    "the last one counts": (
        reviewed(confirm("ben", at=0.5), confirm("ann", at=1, name="reviewaccess-ann")), 2, IN_TIME,
    ),
    "a list that never was": (UNTRUE, 2, NEVER),
    "a list that never was, at the second look": (fed(UNTRUE, decide(UNTRUE, day(2))), 2, NEVER),
    "no list, at the second look": (fed(NAMELESS, decide(NAMELESS, day(2))), 2, NEVER),
    "by a role that does not approve": (reviewed(confirm(role="janitor")), 2, NEVER),
    "by a role that reviews": (
        reviewed(confirm(role="janitor"), of=asks(reviewEvery="90d", reviewRoles=["janitor"])), 2, IN_TIME,
    ),
    "by a role that approves, where another reviews": (reviewed(confirm(), of=asks(reviewEvery="90d", reviewRoles=["janitor"])), 2, NEVER),
    "by somebody without the role": (reviewed(confirm(authorized=False)), 2, NEVER),
    "the list has changed since": (
        CHANGED, 3, ("Warn", "AccessChanged", f"{WHEN}, and that has changed since: have it looked at before 2027-04-02 00:00:00 UTC: {HOW}"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "at", "answer"), REVIEWS.values(), ids=REVIEWS.keys())
def test_review_every(of: Input, at: float, answer: Said | None) -> None:
    assert said(of, "access/review", at) == answer


VERDICTS: dict[str, tuple[Input, tuple[bool, str, str]]] = {
    "the list as it is": (reviewed(confirm()), (True, "Counted", "ann confirmed who can do what, as model-owner")),
    "the list as it was, once it has changed": (CHANGED, (True, "Counted", "ann confirmed who can do what, as model-owner")),
    "another list": (
        reviewed(confirm(digest=HEX["9"])),
        (False, "ListDiffers", f"the list of who can do what is {NOW[:15]}, not sha256:99999999: look again with kubectl qms review-access credit-scoring"),
    ),
    "a role that no procedure has review": (
        reviewed(confirm(role="janitor")),
        (False, "RoleNotRequired", "no procedure that applies has janitor review who can do what; they name: model-owner"),
    ),
    "no procedure asks": (
        reviewed(confirm(), of=asks()),
        (False, "RoleNotRequired", "no procedure that applies has model-owner review who can do what; none asks for access reviews (access.reviewEvery)"),
    ),
    "without the role": (
        reviewed(confirm(authorized=False)),
        (False, "NotAuthorized", "ann did not hold role model-owner when making it: hold the role by name, and make another record"),
    ),
}


@pytest.mark.parametrize(("of", "answer"), VERDICTS.values(), ids=VERDICTS.keys())
def test_what_a_review_says_of_itself(of: Input, answer: tuple[bool, str, str]) -> None:
    verdict = decide(of, day(3)).records["reviewaccess-ann"]
    assert (verdict.counts, verdict.reason, verdict.message) == answer


@pytest.mark.parametrize(
    ("made", "confirmed"),
    [(confirm(), NOW), (confirm(digest=HEX["9"]), None), (confirm(authorized=False), None)],
    ids=["the list as it is", "a list that never was", "without the role"],
)
def test_what_a_review_confirmed_is_remembered(made: Record, confirmed: str | None) -> None:
    assert decide(reviewed(made), day(3)).records["reviewaccess-ann"].confirmed == confirmed


@pytest.mark.parametrize("gap", [asks(), None], ids=["no procedure asks for a while", "the deployment is not registered for a while"])
def test_a_gap_loses_no_review(gap: Procedure | None) -> None:
    """The list has changed meanwhile, so that nobody could find out again whether it was the list."""
    away = CHANGED if gap is None else change(CHANGED, procedures=[gap])
    between = fed(away, deregistered(away, day(3)) if gap is None else decide(away, day(3)))
    assert [r.before and r.before.reason for r in between.records] == ["DeploymentUnknown" if gap is None else "RoleNotRequired"]
    back = change(between, procedures=[QUARTERLY])
    assert (said(back, "access/review", 4) or ())[:2] == ("Warn", "AccessChanged")
    assert decide(back, day(4)).records["reviewaccess-ann"].counts


def test_it_wakes_when_a_review_falls_due() -> None:
    assert decide(reviewed(confirm()), day(2)).wake == day(91)


def test_deciding_twice_changes_nothing_also_once_the_list_has_changed() -> None:
    again = fed(CHANGED, decide(CHANGED, day(3)))
    assert decide(fed(again, decide(again, day(3))), day(3)) == decide(again, day(3))


def test_controls_name_the_obligations_that_they_serve() -> None:
    (found,) = [c for c in decide(reviewed(confirm()), day(2)).status.controls if c.id == "access/review"]
    assert found.obligations == ["eu-ai-act 15(5)"]


def test_a_review_beside_a_procedure_that_cannot_be_read_is_judged() -> None:
    review = record("ReviewAccess", "alice", "model-owner", 1, list=HEX["1"])
    of = given(review, procedures=[procedure(access={"reviewEvery": "90d"}), ("torn", Broken("spec.title: too long"))], reach=Reach(list=HEX["1"]))
    decision = decide(of, day(2))
    assert (decision.records["reviewaccess-alice"].counts, decision.wake) == (True, day(91))
