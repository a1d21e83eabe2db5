"""In which role a person approves, and what is refused before the API server is asked: facts in, a role or a reason out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import typer

from aiqms.api.record import Decision
from aiqms.cli import approve, authority
from aiqms.cli.case import Case
from aiqms.cli.terminal import NotDone
from tests.unit.cli.given import NEW, OLD, PROCEDURE, RULES, case, control, deployment, place, record, status

STRICT = control("register/author", "Pass", "AuthorKnown", "changed by mallory since it was last approved")


def refusal(decided: Callable[[], object]) -> str:
    with pytest.raises(NotDone) as refused:
        decided()
    return str(refused.value)


class TestRole:
    """The one that is missing and that the person holds."""

    def test_is_the_only_one_that_fits(self) -> None:
        assert approve.role_to_approve(case("carol", "risk-manager", "model-owner"), NEW, renew=False) == "risk-manager"

    def test_of_several_is_chosen_by_the_person(self) -> None:
        both = status(approvals=[place("model-owner", 0, 1), place("risk-manager", 0, 2)])
        with pytest.raises(typer.BadParameter, match="you hold model-owner and risk-manager: choose with --role"):
            approve.role_to_approve(case("carol", "risk-manager", "model-owner", state=both), NEW, renew=False)

    def test_prefers_one_in_which_the_person_does_not_count_twice(self) -> None:
        places = [place("model-owner", 1, 2, "carol"), place("risk-manager", 0, 1), place("model-owner", 0, 1, procedure="other")]
        found = case("carol", "risk-manager", "model-owner", state=status(approvals=places))
        assert approve.role_to_approve(found, NEW, renew=False) == "model-owner"

    def test_that_nobody_misses_says_so(self) -> None:
        full = status(approvals=[place("model-owner", 1, 1, "alice"), place("risk-manager", 2, 2, "bob", "dave")])
        assert refusal(lambda: approve.role_to_approve(case(state=full), NEW, renew=False)) == (
            "nothing is missing: every approval that the procedures ask for is given (sha256:9f2c41d0)"
        )
        assert refusal(lambda: approve.role_to_approve(case("bob", state=full), NEW, renew=False)).endswith("; to approve again before that ends, add --renew")

    def test_that_the_person_lacks_is_named_with_what_gives_it(self) -> None:
        assert refusal(lambda: approve.role_to_approve(case("eve", "clown"), NEW, renew=False)) == (
            "you (eve) do not hold role risk-manager in namespace lending: it takes verb approve on approvalroles.aiqms.dev, resourceNames: [risk-manager]; "
            "a RoleBinding gives it, by whoever may bind roles there: "
            "kubectl create rolebinding risk-manager-eve --clusterrole aiqms-role-risk-manager --user eve -n lending"
        )

    def test_where_several_are_missing_all_are_named(self) -> None:
        both = status(approvals=[place("model-owner", 0, 1), place("risk-manager", 0, 2)])
        assert refusal(lambda: approve.role_to_approve(case("eve", "clown", state=both), NEW, renew=False)) == (
            "it takes model-owner or risk-manager, and you (eve) hold none of them by name in namespace lending: verb approve on approvalroles.aiqms.dev "
            "under that name; a RoleBinding gives it: kubectl create rolebinding model-owner-eve --clusterrole aiqms-role-model-owner --user eve -n lending"
        )

    def test_of_a_person_who_approved_in_another_is_of_other_people(self) -> None:
        mine = record("apr-1", "Approve", "alice", "model-owner", message="alice approves the current subject")
        assert refusal(lambda: approve.role_to_approve(case("alice", "model-owner", records=[mine]), NEW, renew=False)) == (
            "you approved it already (apr/apr-1: alice approves the current subject); what is missing is by risk-manager, by other people"
        )

    def test_to_renew_is_one_that_the_person_gave(self) -> None:
        full = status(approvals=[place("model-owner", 1, 1, "alice"), place("risk-manager", 2, 2, "bob", "carol")])
        found = case("carol", "risk-manager", "model-owner", state=full, records=[record("apr-1", "Approve", "carol")])
        assert approve.role_to_approve(found, NEW, renew=True) == "risk-manager"

    def test_for_a_subject_that_is_not_the_current_one_has_to_be_named(self) -> None:
        with pytest.raises(typer.BadParameter, match="choose with --role"):
            approve.role_to_approve(case(), OLD, renew=False)


class TestRefusedEarly:
    """What the API server would refuse, or what would not count."""

    def test_not_what_it_would_take(self) -> None:
        approve.refuse_early(case(), NEW, "risk-manager", renew=False)

    @pytest.mark.parametrize(
        ("who", "role", "said"),
        [
            pytest.param(
                case("root", wildcard=True),
                "risk-manager",
                "you hold every role by a wildcard right, which makes nobody a risk-manager: decide with an account that holds risk-manager by name",
                id="a wildcard",
            ),
            pytest.param(
                case("system:serviceaccount:ci:ci"),
                "risk-manager",
                "a decision is a person's, and system:serviceaccount:ci:ci is a part of the cluster: sign in as a person (--context)",
                id="a program",
            ),
            pytest.param(
                case(),
                "clown",
                "no procedure that applies to credit-scoring names role clown; they name: model-owner, risk-manager",
                id="a role that no procedure names",
            ),
            pytest.param(
                case(records=[record("apr-1", "Approve", "carol", message="carol approves the current subject")]),
                "risk-manager",
                "you approved it already (apr/apr-1: carol approves the current subject); to approve again before that ends, add --renew",
                id="a second approval",
            ),
            pytest.param(
                case("mallory", state=status(controls=[STRICT])),
                "risk-manager",
                "you changed credit-scoring, and the procedure wants others to approve it: another risk-manager has to",
                id="one's own change",
            ),
        ],
    )
    def test_is(self, who: Case, role: str, said: str) -> None:
        assert refusal(lambda: approve.refuse_early(who, NEW, role, renew=False)) == said

    def test_not_a_renewal(self) -> None:
        approve.refuse_early(case(records=[record("apr-1", "Approve", "carol")]), NEW, "risk-manager", renew=True)

    @pytest.mark.parametrize(
        "one",
        [
            record("apr-1", "Approve", "carol", counts=False, reason="Expired"),
            record("apr-1", "Approve", "carol", subject=OLD),
            record("apr-1", "Approve", "bob"),
            record("apr-1", "Approve", "carol", reviews="emergency-1"),
            record("apr-1", "Reject", "carol"),
        ],
        ids=["expired", "of another subject", "by somebody else", "a review", "a rejection"],
    )
    def test_not_for_a_record_that_is_no_approval_of_it(self, one: dict[str, object]) -> None:
        approve.refuse_early(case(records=[one]), NEW, "risk-manager", renew=False)

    def test_not_one_s_own_change_where_the_procedure_does_not_mind(self) -> None:
        approve.refuse_early(case("mallory"), NEW, "risk-manager", renew=False)

    def test_not_a_role_unknown_now_for_a_subject_to_come(self) -> None:
        approve.refuse_early(case("carol", "clown"), OLD, "clown", renew=False)


class TestCurrentSubject:
    def test_is_the_status_own(self) -> None:
        assert approve.current(case()) == NEW

    def test_of_what_is_not_registered_cannot_be_told(self) -> None:
        assert refusal(lambda: approve.current(case(found=None))).startswith(
            "namespace lending has no AIModelDeployment credit-scoring: see kubectl qms status"
        )

    @pytest.mark.parametrize("state", [status(subject=None), status(observedGeneration=2)], ids=["none yet", "of the change before"])
    def test_that_is_not_known_yet_is_not_guessed(self, state: dict[str, object]) -> None:
        assert refusal(lambda: approve.current(case(state=state))).startswith("what credit-scoring is now is not known yet")


class TestAuthority:
    """In which role one stops, resumes, breaks the glass, reviews."""

    def test_is_known_from_the_status_where_procedures_may_not_be_read(self) -> None:
        seen = [{"name": PROCEDURE, "revision": 7, "enforcement": "Enforce", "stopRoles": ["incident-commander"], "emergencyRoles": []}]
        of = case("carol", "incident-commander", "risk-manager", state=status(procedures=seen), procedures=None)
        assert (authority.role_for(of, Decision.STOP), of.authority("emergency")) == ("incident-commander", [])

    @pytest.mark.parametrize("decided", [Decision.STOP, Decision.RESUME, Decision.EMERGENCY])
    def test_is_a_role_that_the_procedures_name(self, decided: Decision) -> None:
        assert authority.role_for(case("carol", "risk-manager", "incident-commander"), decided) == "incident-commander"

    def test_to_review_is_any_role_that_approves(self) -> None:
        assert authority.role_for(case("alice", "model-owner", "risk-manager"), Decision.APPROVE) == "model-owner"

    def test_to_stop_is_given_by_a_wildcard_too(self) -> None:
        assert authority.role_for(case("root", wildcard=True), Decision.STOP) == "incident-commander"

    def test_to_resume_is_not(self) -> None:
        with pytest.raises(NotDone, match="you hold every role by a wildcard right, which makes nobody an incident-commander"):
            authority.role_for(case("root", wildcard=True), Decision.RESUME)

    def test_that_the_person_lacks_is_named(self) -> None:
        with pytest.raises(NotDone, match=re.escape("you (carol) do not hold role incident-commander in namespace lending: it takes verb stop")):
            authority.role_for(case("carol"), Decision.STOP)

    def test_that_no_procedure_gives_is_said(self) -> None:
        assert refusal(lambda: authority.role_for(case(procedures={PROCEDURE: {}}), Decision.STOP)) == (
            "no procedure names a role under stop.roles, so nobody can stop credit-scoring: the platform team adds one (spec.stop.roles)"
        )

    def test_is_that_of_every_procedure_where_none_applies(self) -> None:
        found = case("carol", "incident-commander", state=status(procedures=[]), procedures=RULES)
        assert authority.role_for(found, Decision.STOP) == "incident-commander"

    def test_to_resume_is_also_that_in_which_it_was_stopped_should_its_procedure_apply_no_more(self) -> None:
        stop = record("s1", "Stop", "dave", "clown")
        assert authority.role_for(case("carol", "clown", records=[stop]), Decision.RESUME) == "clown"
        with pytest.raises(NotDone, match="it takes clown or incident-commander, and you"):
            authority.role_for(case("carol", "risk-manager", records=[stop]), Decision.RESUME)

    def test_of_a_procedure_that_does_not_apply_is_none(self) -> None:
        other = {PROCEDURE: {}, "other": {"stop": {"roles": ["incident-commander"]}}}
        with pytest.raises(NotDone, match="no procedure names a role under stop"):
            authority.role_for(case("carol", "incident-commander", procedures=other), Decision.STOP)


def test_what_changed_meanwhile_is_not_looked_for_where_another_subject_was_named() -> None:
    approve.unchanged(case(found=deployment()), OLD)
