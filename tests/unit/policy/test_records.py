"""What each record says of itself (issue: `kubectl get apr` says why)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from aiqms.api.record import RecordStatus
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Input
from aiqms.policy.records import unreadable
from tests.unit.policy.given import HEX, after, approve, change, day, fed, fingerprint, given, procedure, reject, spec, withdraw, workload

TWO_RISK = procedure(roles={"risk-manager": 2})
BOTH = {"model-owner": 1, "risk-manager": 1}
D = HEX["d"][:15]
SUPERSEDED = approve("alice", of=HEX["d"], name="old")


def approved_then_changed() -> Input:
    """Alice approved what served; then the template changed."""
    return change(after(given(approve("alice"), procedures=[procedure(valid_for="90d")]), day(1)), workloads=[workload("v2")])


@dataclass(frozen=True)
class Case:
    """This record of the Input says this on a day. `{s}`: the current subject, shortened; `{was}`: that of the first record."""

    of: Input
    record: str
    reason: str
    message: str
    at: datetime


def says(of: Input, record: str, reason: str, message: str, at: float = 10) -> Case:
    return Case(of, record, reason, message, day(at))


CASES = {
    "an approval that fills a place counts": says(given(approve("alice")), "approve-alice", "Counted", "alice approves the current subject as model-owner"),
    "one that ends says until when": says(
        given(approve("alice", expires="2027-02-01T00:00:00Z")),
        "approve-alice", "Counted", "alice approves the current subject as model-owner until 2027-02-01 00:00:00 UTC",
    ),
    "the longest of several procedures is said": says(
        given(approve("alice"), procedures=[procedure(valid_for="30d"), procedure("other", valid_for="60d")]),
        "approve-alice", "Counted", "alice approves the current subject as model-owner until 2027-03-02 00:00:00 UTC",
    ),
    "one more than is needed counts too": says(
        given(*(approve(who, "risk-manager") for who in ("bob", "carol", "dave")), procedures=[TWO_RISK]),
        "approve-dave", "Counted", "dave approves the current subject as risk-manager",
    ),
    "a rejection has no end": says(
        given(reject("alice"), procedures=[procedure(valid_for="5d")]), "reject-alice", "Counted", "alice rejects the current subject as model-owner"
    ),
    "a rejection counts": says(given(reject("alice")), "reject-alice", "Counted", "alice rejects the current subject as model-owner"),
    "a withdrawal by the author counts": says(
        given(approve("alice"), withdraw("alice", "approve-alice")), "withdraw-alice", "Counted", "alice takes back apr/approve-alice of alice"
    ),
    "a withdrawal by another holder counts": says(
        given(approve("alice"), withdraw("dave", "approve-alice")), "withdraw-dave", "Counted", "dave takes back apr/approve-alice of alice"
    ),
    "a withdrawal by somebody else does not": says(
        given(approve("alice"), withdraw("mallory", "approve-alice", authorized=False)), "withdraw-mallory", "MayNotWithdraw",
        "approve-alice is by alice: its author, or a holder of verb withdraw on role model-owner, may take it back",
    ),
    "a withdrawal by nobody does not, also of what is nobody's": says(
        given(approve("", name="nobodys"), withdraw("", "nobodys", name="taken")), "taken", "MayNotWithdraw",
        "nobodys is by : its author, or a holder of verb withdraw on role model-owner, may take it back",
    ),
    "a withdrawal of nothing does not": says(
        given(withdraw("alice", "approve-bob")), "withdraw-alice", "NothingToWithdraw",
        "no Approve, Reject or Emergency named approve-bob for credit-scoring here: name it in spec.withdraws",
    ),
    "a withdrawal of a withdrawal does not": says(
        given(approve("alice"), withdraw("alice", "approve-alice"), withdraw("alice", "withdraw-alice", name="twice")), "twice", "NothingToWithdraw",
        "no Approve, Reject or Emergency named withdraw-alice for credit-scoring here: name it in spec.withdraws",
    ),
    "what was taken back says by whom": says(
        given(approve("alice"), withdraw("dave", "approve-alice", at=2), withdraw("alice", "approve-alice", at=1)),
        "approve-alice", "Withdrawn", "taken back by alice (apr/withdraw-alice)",
    ),
    "without the role it does not count": says(
        given(approve("mallory", authorized=False)), "approve-mallory", "NotAuthorized",
        "mallory did not hold role model-owner when making it: hold the role by name, and make another record",
    ),
    "without a person it does not count": says(
        given(approve("")), "approve-", "NotAuthorized",
        "its author did not hold role model-owner when making it: hold the role by name, and make another record",
    ),
    "a subject that nobody has seen yet": says(
        given(SUPERSEDED), "old", "SubjectUnknown", f"the current subject is {{s}}; it counts when {D} appears"
    ),
    "a subject that nobody has seen yet, at the second look": says(
        fed(given(SUPERSEDED), decide(given(SUPERSEDED), day(1))), "old", "SubjectUnknown", f"the current subject is {{s}}; it counts when {D} appears"
    ),
    "any subject while the current one is not known": says(
        given(SUPERSEDED, workloads=[workload(None)]), "old", "SubjectUnknown", f"the current subject is not known yet; it counts when {D} appears"
    ),
    "a subject approved before that still serves": says(
        approved_then_changed(), "approve-alice", "Counted",
        "alice approves {was}, which serves until the new subject is approved as model-owner until 2027-04-01 00:00:00 UTC",
    ),
    "a subject approved before whose approval has ended": says(
        approved_then_changed(), "approve-alice", "SubjectSuperseded", "the current subject is {s}; it counts again if credit-scoring goes back to {was}", at=95
    ),
    "a new record of a subject approved before": says(
        change(approved_then_changed(), approve("dave", "auditor", 94, of=fingerprint(given()))), "approve-dave", "SubjectSuperseded",
        "the current subject is {s}; it counts again if credit-scoring goes back to {was}", at=95,
    ),
    "a record that said something of its subject before": says(
        change(fed(given(approve("alice")), decide(given(approve("alice")), day(1))), workloads=[workload("v2")], entries=()),
        "approve-alice", "SubjectSuperseded", "the current subject is {s}; it counts again if credit-scoring goes back to {was}",
    ),
    "a role that nothing asks for": says(
        given(approve("erin", "auditor"), procedures=[procedure(roles={"model-owner": 1, "risk-manager": 1})]), "approve-erin", "RoleNotRequired",
        "no procedure that applies names role auditor; they name: model-owner, risk-manager",
    ),
    "a role that only the subject before asked for": says(
        change(
            after(given(approve("alice")), day(1)), approve("alice", name="new"), procedures=[procedure(roles={"risk-manager": 1})],
        ),
        "new", "RoleNotRequired", "no procedure that applies names role model-owner; they name: risk-manager",
    ),
    "no procedure at all": says(
        given(approve("alice"), procedures=[]), "approve-alice", "RoleNotRequired", "no procedure that applies names role model-owner; they name: none"
    ),
    "its time has passed": says(
        given(approve("alice", expires="2027-01-05T00:00:00Z")), "approve-alice", "Expired", "ended at 2027-01-05 00:00:00 UTC: approve anew"
    ),
    "its time passes at that very second": says(
        given(approve("alice", expires="2027-01-11T00:00:00Z")), "approve-alice", "Expired", "ended at 2027-01-11 00:00:00 UTC: approve anew"
    ),
    "its own role's validFor ends it, not another's": says(
        given(approve("alice"), procedures=[procedure(approvals={"roles": [{"role": "model-owner", "validFor": "5d"}, {"role": "other", "validFor": "90d"}]})]),
        "approve-alice", "Expired", "ended at 2027-01-06 00:00:00 UTC: approve anew",
    ),
    "more than one procedure needs, while the person fills another place of another": says(
        given(
            approve("alice"), approve("alice", "risk-manager", name="other"), approve("bob", "risk-manager"),
            procedures=[procedure("a", {"risk-manager": 1}), procedure("z", BOTH)],
        ),
        "other", "Counted", "alice approves the current subject as risk-manager",
    ),
    "more than one procedure needs, while somebody else fills its place in both": says(
        given(
            approve("alice"), approve("alice", "risk-manager", name="other"), approve("aaron", "risk-manager"),
            procedures=[procedure("a", {"risk-manager": 1}), procedure("z", BOTH)],
        ),
        "other", "Counted", "alice approves the current subject as risk-manager",
    ),
    "the same person twice in one role": says(
        given(approve("bob", "risk-manager"), approve("bob", "risk-manager", 1, name="again"), procedures=[TWO_RISK]), "approve-bob", "SamePersonTwice",
        "bob already counts as risk-manager (apr/again): another person has to approve",
    ),
    "the same person in another role, where people must differ": says(
        given(
            approve("alice"), approve("alice", "risk-manager", name="other"), procedures=[procedure(roles={"model-owner": 1, "risk-manager": 1})]
        ),
        "other", "SamePersonTwice", "alice already counts as model-owner (apr/approve-alice): another person has to approve",
    ),
    "the same person in another role counts where one procedure lets it": says(
        given(
            approve("alice"), approve("alice", "risk-manager", name="other"),
            procedures=[procedure(roles=BOTH), procedure("loose", roles=BOTH, distinct=False)],
        ),
        "other", "Counted", "alice approves the current subject as risk-manager",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_invariant_3_records(case: Case) -> None:
    message = case.message.replace("{s}", fingerprint(case.of)[:15]).replace("{was}", (case.of.records[0].spec.subject or "")[:15])
    assert decide(case.of, case.at).records[case.record] == RecordStatus(counts=case.reason == "Counted", reason=case.reason, message=message)


def test_a_record_of_a_deployment_that_is_not_registered_says_so() -> None:
    of = given(approve("alice", of=HEX["d"]), of=Broken("not registered"))
    message = f"no AIModelDeployment credit-scoring in this namespace: it counts when one with subject {D} appears"
    assert deregistered(of, day(1)).records == {"approve-alice": RecordStatus(counts=False, reason="DeploymentUnknown", message=message)}


def test_a_record_that_cannot_be_read_says_so() -> None:
    assert unreadable(Broken("spec.role: too long")) == RecordStatus(counts=False, reason="Invalid", message="spec.role: too long")


def test_a_record_made_before_its_subject_counts_when_it_appears() -> None:
    now, then = given(), given(of=spec(intended_purpose="score mortgages"))
    early = approve("alice", of=fingerprint(then))
    assert [decide(change(of, early), day(1)).records["approve-alice"].reason for of in (now, then)] == ["SubjectUnknown", "Counted"]
