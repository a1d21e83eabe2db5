"""DistinctFromEditors: approvers differ from each other and from who changed what they approve, who has to be known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import RecordStatus
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, Procedure
from tests.unit.policy.given import after, approve, change, cleared, controls, covered, day, given, procedure, reject, spec, withdraw, workload
from tests.unit.policy.given import record as made

USUAL = day(10)
AUTHOR, OWNER, RISK = "high-risk/register/author", "high-risk/approvals/model-owner", "high-risk/approvals/risk-manager"
KNOWN = ("Pass", "AuthorKnown", "changed by mallory since it was last approved")
SERVICE = "a service account changed the register entry since it was last approved, so nobody knows whose that was"
UNKNOWN = ("Warn", "AuthorUnknown", f"{SERVICE}: approvers ask who proposed it")
REFUSED = ("Fail", "AuthorUnknown", f"{SERVICE}: have a person register it, or go back to what was approved and have a person change it")

UNNOTED = "nobody noted who registered it: the entry is older than the policy that notes it"


def distinct(name: str = "high-risk", roles: dict[str, int] | None = None, *, unknown: str = "Warned", **more: object) -> Procedure:
    """A procedure whose approvers differ from the editors."""
    found = procedure(name, roles, **more)  # type: ignore[arg-type]
    approvals = found.spec.approvals.dump() | {"separationOfDuties": "DistinctFromEditors", "unknownAuthors": unknown}
    return Procedure(name, found.spec.model_validate(found.spec.dump() | {"approvals": approvals}))


STRICT, TWO = distinct(unknown="Refused"), distinct(roles={"model-owner": 1, "risk-manager": 1})
BARRED = "mallory changed what is approved: another person has to approve"
PLAIN = procedure("plain")


@dataclass(frozen=True)
class Case:
    """Whether it is cleared, and what the rows say."""

    of: Input
    cleared: bool
    rows: dict[str, tuple[str, str] | None]


def case(of: Input, cleared_: bool, **rows: tuple[str, str, str] | tuple[str, str] | None) -> Case:
    names = {"author": AUTHOR, "owner": OWNER, "risk": RISK, "plain": "plain/approvals/model-owner", "plain_author": "plain/register/author"}
    return Case(of, cleared_, {names[k]: v and (v[0], v[1]) for k, v in rows.items()})


PASS, MISSING = ("Pass", "Approved"), ("Fail", "ApprovalMissing")
CASES = {
    "somebody else's approval counts": case(given(approve("alice"), procedures=[distinct()], editors=("mallory",)), True, author=KNOWN, owner=PASS),
    "the editor's own does not": case(given(approve("mallory"), procedures=[distinct()], editors=("mallory",)), False, author=KNOWN, owner=MISSING),
    "the editor's own does where people need only be distinct": case(
        given(approve("mallory"), procedures=[procedure()], editors=("mallory",)), True, author=None, owner=PASS
    ),
    "the editor's own fills no place beside others": case(
        given(approve("mallory"), approve("alice"), procedures=[distinct(roles={"model-owner": 2})], editors=("mallory",)), False, author=KNOWN, owner=MISSING
    ),
    "the editor's rejection counts": case(
        given(approve("alice"), reject("mallory"), procedures=[distinct()], editors=("mallory",)), False, author=KNOWN, owner=("Fail", "Rejected")
    ),
    "one person fills no two places either": case(
        given(approve("alice"), approve("alice", "risk-manager", name="second"), procedures=[TWO], editors=("mallory",)), False, owner=PASS, risk=MISSING
    ),
    "two people fill two places": case(
        given(approve("alice"), approve("bob", "risk-manager"), procedures=[TWO], editors=("mallory",)), True, owner=PASS, risk=PASS
    ),
    "an editor who is not known is warned of": case(given(approve("alice"), procedures=[distinct()]), True, author=UNKNOWN, owner=PASS),
    "or refused": case(given(approve("alice"), procedures=[STRICT]), False, author=REFUSED, owner=PASS),
    "and warned of alone in Audit": case(given(approve("alice"), procedures=[distinct(unknown="Refused", audit=True)]), True, author=REFUSED, owner=PASS),
    "one who is known is not refused": case(given(approve("alice"), procedures=[STRICT], editors=("mallory",)), True, author=KNOWN, owner=PASS),
    "of two procedures each asks for itself": case(
        given(approve("mallory"), procedures=[distinct(), PLAIN], editors=("mallory",)), False, author=KNOWN, owner=MISSING, plain=PASS, plain_author=None
    ),
    "all who edited are barred": case(
        given(approve("alice"), approve("mallory"), procedures=[distinct()], editors=("mallory", "alice")), False,
        author=("Pass", "AuthorKnown"), owner=MISSING,
    ),
    "a person beside a service account is barred too": case(
        given(approve("alice"), procedures=[distinct()], editors=("system:serviceaccount:ci:ci", "alice")), False, author=UNKNOWN[:2], owner=MISSING
    ),
    "somebody unknown beside a person leaves the author unknown": case(
        given(approve("alice"), procedures=[STRICT], editors=("", "bob")), False, author=REFUSED[:2], owner=PASS
    ),
    "nothing is asked while nothing is edited by anybody": case(given(approve("alice")), True, author=None, owner=PASS),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_approvers_differ_from_editors(case: Case) -> None:
    rows = controls(case.of, USUAL)
    assert {name: rows[name][:2] if name in rows else None for name in case.rows} == case.rows
    assert bool(cleared(decide(case.of, USUAL), USUAL)) == case.cleared


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(given(procedures=[distinct()], editors=("mallory",)), KNOWN, id="known"),
        pytest.param(given(procedures=[distinct()], editors=("",)), UNKNOWN, id="warned"),
        pytest.param(given(procedures=[STRICT], editors=("",)), REFUSED, id="refused"),
        pytest.param(given(procedures=[distinct()]), ("Warn", "AuthorUnknown", f"{UNNOTED}: approvers ask who proposed it"), id="without a note, warned"),
        pytest.param(given(procedures=[STRICT]), ("Fail", "AuthorUnknown", f"{UNNOTED}: have a person register it anew"), id="without a note, refused"),
        pytest.param(
            given(procedures=[distinct()], editors=("alice", "bob")),
            ("Pass", "AuthorKnown", "changed by alice and bob since it was last approved"),
            id="several",
        ),
        pytest.param(
            given(procedures=[distinct()], editors=("system:serviceaccount:ci:ci", "bob")),
            ("Warn", "AuthorUnknown", f"{SERVICE.replace('account', 'account (beside bob)', 1)}: approvers ask who proposed it"),
            id="a service account beside a person",
        ),
    ],
)
def test_the_author_has_a_row(of: Input, said: tuple[str, str, str]) -> None:
    assert controls(of, USUAL)[AUTHOR] == said


RECORDS = {
    "the editor's": (given(approve("mallory"), procedures=[distinct()], editors=("mallory",)), "approve-mallory", False, "SubmitterMayNotApprove", BARRED),
    "another's": (
        given(approve("alice"), procedures=[distinct()], editors=("mallory",)), "approve-alice", True, "Counted",
        "alice approves the current subject as model-owner",
    ),
    "the editor's, where one procedure lets them": (
        given(approve("mallory"), procedures=[distinct(), PLAIN], editors=("mallory",)), "approve-mallory", True, "Counted",
        "mallory approves the current subject as model-owner",
    ),
    "the editor's rejection": (
        given(reject("mallory"), procedures=[distinct()], editors=("mallory",)), "reject-mallory", True, "Counted",
        "mallory rejects the current subject as model-owner",
    ),
    "of what comes next by who edited what serves": (
        change(
            after(given(approve("alice"), procedures=[distinct()], editors=("mallory",)), day(1)), made("Approve", "mallory", "model-owner", 2, name="late"),
            workloads=[workload("v2")], editors=("bob",),
        ),
        "late", True, "Counted", "mallory approves the current subject as model-owner",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "name", "counts", "reason", "message"), RECORDS.values(), ids=RECORDS.keys())
def test_the_record_says_so(of: Input, name: str, counts: bool, reason: str, message: str) -> None:
    assert decide(of, USUAL).records[name] == RecordStatus(counts=counts, reason=reason, message=message)


class TestOverTime:
    def test_who_edits_the_register_after_approving_it_has_approved_nothing(self) -> None:
        of = after(given(approve("alice"), procedures=[distinct()], editors=("mallory",)), day(1))
        assert cleared(decide(of, day(2)), day(2)) == ["v1"]
        assert cleared(decide(change(of, editors=("alice",)), day(2)), day(2)) == []

    def test_who_made_a_subject_stays_barred_from_it_when_the_deployment_goes_back(self) -> None:
        served = after(given(approve("alice"), procedures=[distinct()], editors=("mallory",)), day(1))
        there = after(change(served, of=spec(intended_purpose="score mortgages"), editors=("bob",)), day(2))
        back = change(replace(there, spec=served.spec), approve("mallory", name="again"), editors=("bob",))
        said = decide(back, day(3)).records
        assert (said["again"].reason, said["approve-alice"].counts) == ("SubmitterMayNotApprove", True)

    def test_what_served_is_held_against_those_who_edited_it_then(self) -> None:
        """Bob changes what he approved: what serves was not edited by him, so his edit takes nothing from it."""
        served = after(given(approve("bob"), procedures=[distinct()], editors=("mallory",)), day(1))
        changed = change(served, of=spec(intended_purpose="score mortgages"), editors=("bob",))
        decision = decide(changed, day(2))
        assert (decision.status.phase, cleared(decision, day(2)), [e.editors for e in decision.entries]) == ("ChangePending", ["v1"], [["mallory"]])
        assert decision.records["approve-bob"].counts

    def test_what_served_goes_on_by_nobody_who_edited_it(self) -> None:
        served = after(given(approve("alice"), approve("mallory"), procedures=[distinct()], editors=("mallory",)), day(1))
        changed = change(served, withdraw("alice", "approve-alice", at=1.5), of=spec(intended_purpose="score mortgages"), editors=("bob",))
        assert (cleared(decide(changed, day(2)), day(2)), covered(decide(changed, day(2)))) == ([], ["v1"])

    def test_what_served_goes_on_also_where_nobody_knows_who_edited_it(self) -> None:
        served = after(given(approve("alice"), procedures=[distinct()]), day(1))
        decision = decide(change(served, of=spec(intended_purpose="score mortgages")), day(2))
        assert (cleared(decision, day(2)), [e.editors for e in decision.entries]) == (["v1"], [None])

    def test_an_approval_of_what_serves_by_its_editor_says_that_it_does_not_count(self) -> None:
        served = after(given(approve("bob"), approve("mallory"), procedures=[distinct()], editors=("mallory",)), day(1))
        changed = change(served, of=spec(intended_purpose="score mortgages"), editors=("bob",))
        assert decide(changed, day(2)).records["approve-mallory"] == RecordStatus(counts=False, reason="SubmitterMayNotApprove", message=BARRED)

    def test_an_approval_of_what_serves_takes_no_place_that_its_editor_leaves_to_others(self) -> None:
        both = [approve("bob"), approve("bob", "risk-manager", name="as-risk")]
        served = after(given(approve("adam"), *both, approve("carl", "risk-manager"), procedures=[TWO], editors=("adam",)), day(1))
        said = decide(change(served, of=spec(intended_purpose="score mortgages"), editors=("dora",)), day(2)).records
        assert {name: r.reason for name, r in said.items()} == {
            "approve-adam": "SubmitterMayNotApprove", "approve-bob": "Counted", "as-risk": "SamePersonTwice", "approve-carl": "Counted"
        }  # fmt: skip

    def test_what_served_by_the_editors_own_approval_before_the_procedure_asked_goes_once_it_asks(self) -> None:
        of = after(given(approve("mallory"), procedures=[procedure()], editors=("mallory",)), day(1))
        decision = decide(change(of, procedures=[distinct(since=1, revision=2)]), day(2))
        assert (cleared(decision, day(2)), covered(decision)) == ([], ["v1"])

    def test_an_editor_who_becomes_unknown_is_refused_from_then_on(self) -> None:
        of = after(given(approve("alice"), procedures=[STRICT], editors=("mallory",)), day(1))
        assert cleared(decide(replace(of, editors=()), day(2)), day(2)) == []


@pytest.mark.parametrize(
    ("of", "said"),
    [
        pytest.param(given(approve("alice"), procedures=[distinct()]), ("True", "Approved", "all 1 role approved"), id="a warning leaves it approved"),
        pytest.param(given(approve("alice"), procedures=[STRICT], editors=("",)), ("False", *REFUSED[1:]), id="a refusal does not"),
        pytest.param(given(approve("alice"), procedures=[STRICT], editors=("mallory",)), ("True", "Approved", "all 1 role approved"), id="a known author does"),
        pytest.param(
            given(approve("alice", "author"), procedures=[distinct(roles={"author": 1})]), ("True", "Approved", "all 1 role approved"), id="a role of that name"
        ),
    ],
)
def test_the_condition_approved(of: Input, said: tuple[str, str, str]) -> None:
    status: DeploymentStatus = decide(of, USUAL).status
    assert [(c.status, c.reason, c.message) for c in status.conditions if c.type == "Approved"] == [said]
