"""Which approvals count, whether they are enough, and until when (invariant 3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest

from aiqms.policy.facts import Procedure, Record
from tests.unit.policy.given import HEX, approve, controls, day, fingerprint, given, procedure, reject, withdraw

OWNER = "high-risk/approvals/model-owner"
RISK = "high-risk/approvals/risk-manager"
TWO_ROLES = procedure(roles={"model-owner": 1, "risk-manager": 1})
TWO_RISK = procedure(roles={"risk-manager": 2})
EXPIRING = procedure(valid_for="90d")
USUAL = day(10)


@dataclass(frozen=True)
class Case:
    """Records under a procedure on a day give this answer of one role. `{s}`: the current subject, shortened."""

    records: tuple[Record, ...]
    result: str
    reason: str
    message: str
    procedure: Procedure = EXPIRING
    row: str = OWNER
    at: datetime = USUAL


def passed(*records: Record, says: str, under: Procedure = EXPIRING, row: str = OWNER, at: datetime = USUAL) -> Case:
    return Case(records, "Pass", "Approved", says, under, row, at)


def failed(*records: Record, why: str, says: str, under: Procedure = EXPIRING, row: str = OWNER, at: datetime = USUAL) -> Case:
    return Case(records, "Fail", why, says, under, row, at)


DAVE_REJECTS = "dave rejected {s} (apr/reject-dave): change the deployment, or have the rejection withdrawn"
NOBODY = "0 of 1 model-owner approvals for {s}; none counts yet"

CASES = {
    "without a record the approval is missing": failed(why="ApprovalMissing", says=NOBODY),
    "one person of the role is enough for a count of one": passed(
        approve("alice"), says="1 of 1 model-owner approvals: alice until 2027-04-01 00:00:00 UTC"
    ),
    "without validFor and expires an approval never ends": passed(approve("alice"), under=procedure(), says="1 of 1 model-owner approvals: alice"),
    "an approval's own expires ends it before validFor does": passed(
        approve("alice", expires="2027-02-01T12:00:00+01:00"), says="1 of 1 model-owner approvals: alice until 2027-02-01 11:00:00 UTC"
    ),
    "validFor ends an approval before its own expires does": passed(
        approve("alice", expires="2029-01-01T00:00:00Z"), says="1 of 1 model-owner approvals: alice until 2027-04-01 00:00:00 UTC"
    ),
    "an approval counts up to the second at which it ends": passed(
        approve("alice"), at=day(90) - datetime.resolution, says="1 of 1 model-owner approvals: alice until 2027-04-01 00:00:00 UTC"
    ),
    "at the second at which it ends it counts no more": failed(
        approve("alice"), at=day(90), why="ApprovalExpired", says=f"{NOBODY}; that of alice ended at 2027-04-01 00:00:00 UTC"
    ),
    "of several that ended the last is named": failed(
        approve("bob"), approve("alice", at=5), approve("carol", at=2), at=day(100), why="ApprovalExpired",
        says=f"{NOBODY}; that of alice ended at 2027-04-06 00:00:00 UTC",
    ),
    "what was never authorized was never withdrawn": failed(
        approve("mallory", authorized=False), withdraw("mallory", "approve-mallory"), why="ApprovalMissing", says=NOBODY
    ),
    "an approval renewed in time goes on": passed(
        approve("alice"), approve("alice", at=80, name="again"), at=day(100), says="1 of 1 model-owner approvals: alice until 2027-06-20 00:00:00 UTC"
    ),
    "one of two is not enough, and the message names who gave it": failed(
        approve("bob", "risk-manager", 3), under=TWO_RISK, row=RISK, why="ApprovalMissing",
        says="1 of 2 risk-manager approvals for {s}; bob approved on 2027-01-04",
    ),
    "two people are two": passed(
        approve("bob", "risk-manager"), approve("carol", "risk-manager"), under=TWO_RISK, row=RISK, says="2 of 2 risk-manager approvals: bob, carol"
    ),
    "a second approval by the same person is not a second person": failed(
        approve("bob", "risk-manager"), approve("bob", "risk-manager", 1, name="again"), under=TWO_RISK, row=RISK, why="ApprovalMissing",
        says="1 of 2 risk-manager approvals for {s}; bob approved on 2027-01-02",
    ),
    "three of two hold until the second-last of them ends": passed(
        *(approve(who, "risk-manager", at) for who, at in (("bob", 0), ("carol", 5), ("dave", 8))),
        under=procedure(roles={"risk-manager": 2}, valid_for="90d"), row=RISK,
        says="2 of 2 risk-manager approvals: carol, dave until 2027-04-06 00:00:00 UTC",
    ),
    "three of three hold until the first of them ends": passed(
        *(approve(who, "risk-manager", at) for who, at in (("bob", 0), ("carol", 5), ("dave", 8))),
        under=procedure(roles={"risk-manager": 3}, valid_for="90d"), row=RISK,
        says="3 of 3 risk-manager approvals: bob, carol, dave until 2027-04-01 00:00:00 UTC",
    ),
    "one person fills one place of two roles where people must differ": failed(
        approve("alice", "model-owner"), approve("alice", "risk-manager", name="other-role"), under=TWO_ROLES, row=RISK, why="ApprovalMissing",
        says="0 of 1 risk-manager approvals for {s}; none counts yet",
    ),
    "one person fills a place of each role where they need not": passed(
        approve("alice", "model-owner"), approve("alice", "risk-manager", name="other-role"),
        under=procedure(roles={"model-owner": 1, "risk-manager": 1}, distinct=False), row=RISK, says="1 of 1 risk-manager approvals: alice",
    ),
    "who approved in two roles makes room for who approved in one": passed(
        approve("alice", "model-owner"), approve("alice", "risk-manager", 1, name="other-role"), approve("bob", "model-owner", 2),
        under=TWO_ROLES, row=RISK, says="1 of 1 risk-manager approvals: alice",
    ),
    "who approved in two roles makes room also when the records came the other way round": passed(
        approve("bob", "model-owner", 0), approve("alice", "risk-manager", 1, name="other-role"), approve("alice", "model-owner", 2),
        under=TWO_ROLES, row=RISK, says="1 of 1 risk-manager approvals: alice",
    ),
    "what a role has ends by its own approvals where another's have ended": passed(
        approve("alice", expires="2027-02-01T00:00:00Z"), approve("bob", "risk-manager", expires="2027-01-11T00:00:00Z"), under=TWO_ROLES,
        says="1 of 1 model-owner approvals: alice until 2027-02-01 00:00:00 UTC",
    ),
    "whoever did not hold the role by name does not approve": failed(approve("mallory", authorized=False), why="ApprovalMissing", says=NOBODY),
    "a record that admission stamped nobody into is nobody's": failed(approve(""), why="ApprovalMissing", says=NOBODY),
    "an approval of another subject does not count": failed(approve("alice", of=HEX["d"]), why="ApprovalMissing", says=NOBODY),
    "an approval in another role does not count": failed(approve("alice", "risk-manager"), why="ApprovalMissing", says=NOBODY),
    "the author takes an approval back": failed(
        approve("alice"), withdraw("alice", "approve-alice", at=1), why="ApprovalWithdrawn", says=f"{NOBODY}; that of alice was withdrawn"
    ),
    "the author takes it back also after losing the role": failed(
        approve("alice"), withdraw("alice", "approve-alice", at=1, authorized=False), why="ApprovalWithdrawn", says=f"{NOBODY}; that of alice was withdrawn"
    ),
    "another holder of the role takes it back": failed(
        approve("alice"), withdraw("dave", "approve-alice", at=1), why="ApprovalWithdrawn", says=f"{NOBODY}; that of alice was withdrawn"
    ),
    "somebody who does not hold the role does not take it back": passed(
        approve("alice"), withdraw("mallory", "approve-alice", authorized=False), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a holder of another role does not take it back": passed(
        approve("alice"), withdraw("bob", "approve-alice", "risk-manager"), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a record that admission stamped nobody into takes nothing back": passed(
        approve("alice"), withdraw("", "approve-alice"), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a withdrawal of something else changes nothing": passed(
        approve("alice"), withdraw("alice", "approve-bob"), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "only a withdrawal takes back, whatever else names a record": passed(
        approve("alice"), approve("dave", of=HEX["d"], withdraws="approve-alice"), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "after a withdrawal the person may approve anew": passed(
        approve("alice"), withdraw("alice", "approve-alice", at=1), approve("alice", at=2, name="again"), under=procedure(),
        says="1 of 1 model-owner approvals: alice",
    ),
    "a withdrawal made good by the same person is not what is missing": failed(
        approve("bob", "risk-manager"), withdraw("bob", "approve-bob", "risk-manager", 1), approve("bob", "risk-manager", 2, name="again"),
        under=TWO_RISK, row=RISK, why="ApprovalMissing", says="1 of 2 risk-manager approvals for {s}; bob approved on 2027-01-03",
    ),
    "a rejection blocks, whoever approved": failed(
        approve("alice"), reject("dave", at=1), why="Rejected", says=DAVE_REJECTS
    ),
    "the first rejection that stands is named": failed(
        reject("erin", at=2), reject("dave", at=1), why="Rejected", says=DAVE_REJECTS
    ),
    "a rejection that was taken back blocks nothing": passed(
        approve("alice"), reject("dave"), withdraw("dave", "reject-dave", at=1), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a rejection that was taken back is no approval taken back": failed(
        reject("dave"), withdraw("dave", "reject-dave", at=1), why="ApprovalMissing", says=NOBODY
    ),
    "a rejection by another holder's hand is taken back by any holder": passed(
        approve("alice"), reject("dave"), withdraw("alice", "reject-dave", at=1), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a rejection of another subject blocks nothing": passed(
        approve("alice"), reject("dave", of=HEX["d"]), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a rejection by whoever does not hold the role blocks nothing": passed(
        approve("alice"), reject("mallory", authorized=False), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
    "a rejection in a role that the procedure does not name blocks nothing": passed(
        approve("alice"), reject("bob", "risk-manager"), under=procedure(), says="1 of 1 model-owner approvals: alice"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_invariant_3_approvals(case: Case) -> None:
    of = given(*case.records, procedures=[case.procedure])
    says = case.message.replace("{s}", fingerprint(of)[:15])
    assert controls(of, case.at)[case.row] == (case.result, case.reason, says)
