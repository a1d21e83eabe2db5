"""Emergency: one person clears one subject for a while, and somebody else looks at that in time (break-glass)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from aiqms.api.clearance import Entry
from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import RecordStatus
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Input, Procedure, Record, Told
from tests.unit.policy.given import (
    HEX,
    after,
    approve,
    change,
    cleared,
    controls,
    day,
    fingerprint,
    given,
    pod,
    procedure,
    ready,
    reject,
    spec,
    template,
    withdraw,
    workload,
)
from tests.unit.policy.people import asked, breaks, carried_out, emergency, moved, resume, review, stop, stops

HOUR = 1 / 24
MADE = day(1)
END = day(1 + 4 * HOUR)
DUE = day(3)
WHO = "otto broke the glass on 2027-01-02 00:00:00 UTC (apr/emergency-otto): both owners are ill"
UNTIL = "until 2027-01-02 04:00:00 UTC"
REVIEW_BY = "to be reviewed by somebody else until 2027-01-04 00:00:00 UTC"
DUE_BY = "a review by somebody else is due by 2027-01-04 00:00:00 UTC"
OVERDUE = f"{WHO}; the review was due by 2027-01-04 00:00:00 UTC: somebody else who approves makes a record with reviews: emergency-otto"
NOBODY = "0 of 1 model-owner approvals for {s}; none counts yet"
EXPLAIN = " (kubectl qms explain aimd/credit-scoring -n lending)"
SHORT_REVIEW = breaks(glass={"reviewWithin": "1h"})


def broken(*records: Record, procedures: list[Procedure] | None = None, at: float = 1) -> Input:
    """Otto broke the glass, a pod runs on that and another waits."""
    of = asked(emergency(), *records, procedures=procedures or [breaks()], pods=[pod("a"), pod("waits", held=True)])
    return after(of, day(at))


@dataclass(frozen=True)
class Clears:
    """On that day, of this Input, this is let through until then; by nothing where until is None."""

    of: Input
    until: datetime | None = END
    at: datetime = MADE


TWO = [breaks(), breaks("privacy", glass={"maxDuration": "1h"})]
CLEARS = {
    "the one subject, for maxDuration": Clears(broken()),
    "to the last second": Clears(broken(), at=END - datetime.resolution),
    "and not beyond": Clears(broken(), None, END),
    "for as long as its own expires says": Clears(given(emergency(expires="2027-01-02T01:00:00Z"), procedures=[breaks()]), day(1 + HOUR)),
    "for maxDuration whatever its expires says": Clears(given(emergency(expires="2028-01-01T00:00:00Z"), procedures=[breaks()])),
    "until it is taken back": Clears(broken(withdraw("otto", "emergency-otto", "on-call", at=1.1)), None, day(1.1)),
    "until another holder takes it back": Clears(broken(withdraw("dave", "emergency-otto", "on-call", at=1.1)), None, day(1.1)),
    "though somebody without the right takes it back": Clears(broken(withdraw("mallory", "emergency-otto", "on-call", at=1.1, authorized=False)), at=day(1.1)),
    "as long as approvals last, where those are longer": Clears(
        given(approve("alice", at=1), emergency(), procedures=[breaks(valid_for="30d")]), DUE
    ),
    "as long as approvals last, once it is reviewed": Clears(
        given(approve("alice", at=1), emergency(), review(at=1.5), procedures=[breaks(valid_for="30d")]), day(31), day(1.6)
    ),
    "for as long as the longer of two": Clears(given(emergency(), emergency("eve", at=1.1), procedures=[breaks()]), day(1.1 + 4 * HOUR), day(1.1)),
    "for as long as the shorter of two procedures": Clears(given(emergency(), procedures=TWO), day(1 + HOUR)),
    "under two procedures, of which the other has its approvals": Clears(
        given(approve("alice", "dpo"), emergency(), procedures=[breaks(), procedure("privacy", {"dpo": 1}, valid_for="2d")]), END
    ),
    "not under two procedures, of which the other lets nobody break the glass": Clears(given(emergency(), procedures=[breaks(), procedure("privacy")]), None),
    "under an Audit procedure beside one in Enforce": Clears(given(emergency(), procedures=[breaks(), procedure("watch", audit=True)])),
    "not of another subject": Clears(given(emergency(of=HEX["d"]), procedures=[breaks()]), None),
    "not of the subject that comes after": Clears(change(broken(), workloads=[workload("v2")]), None, day(1.05)),
    "again of the subject gone back to": Clears(
        change(after(change(broken(), workloads=[workload("v2")]), day(1.05)), workloads=[workload()]), END, day(1.1)
    ),
    "not by a role that the procedure does not name": Clears(given(emergency(role="model-owner"), procedures=[breaks()]), None),
    "not where the procedure knows no emergency": Clears(given(emergency(), procedures=[procedure()]), None),
    "not by who did not hold the role, or all roles by a wildcard": Clears(given(emergency(authorized=False), procedures=[breaks()]), None),
    "not against a rejection": Clears(given(reject("alice", at=0.5), emergency(), procedures=[breaks()]), None),
    "not what is prohibited": Clears(given(emergency(), procedures=[breaks()], of=spec(risk_class="Prohibited")), None),
    "not what is retired": Clears(given(emergency(), procedures=[breaks()], of=spec(lifecycle="Retired")), None),
    "not another model than the register's": Clears(given(emergency(), procedures=[breaks()], workloads=[workload(model=HEX["2"])]), None),
    "not against a Stop": Clears(
        asked(emergency(), stop(at=0.5), procedures=[breaks(stop={"roles": ["incident-commander"]})]), None
    ),
    "after the Resume": Clears(
        asked(emergency(), stop(at=0.5), resume(at=1.05), procedures=[breaks(stop={"roles": ["incident-commander"]})]), END, day(1.1)
    ),
    "a review that is missing ends it before its own end": Clears(given(emergency(), procedures=[SHORT_REVIEW]), day(1 + HOUR)),
    "a review that is there does not": Clears(given(emergency(), review(at=1.01), procedures=[SHORT_REVIEW]), END, day(1.02)),
    "while an input cannot be read": Clears(change(broken(), unreadable="configmaps/a could not be read"), END, day(1.05)),
    "and while an input cannot be read, not beyond its end": Clears(change(broken(), unreadable="configmaps/a could not be read"), None, END),
    "not anew while an input cannot be read": Clears(given(emergency(), procedures=[breaks()], unreadable="configmaps/a could not be read"), None),
    "taken back while an input cannot be read": Clears(
        change(broken(), withdraw("otto", "emergency-otto", "on-call", at=1.1), unreadable="configmaps/a could not be read"), None, day(1.1)
    ),
    "while an input cannot be read, beyond an approval that has ended": Clears(
        change(
            after(given(approve("alice", expires="2027-01-02T00:30:00Z"), emergency(), procedures=[breaks()]), day(1.01)),
            unreadable="configmaps/a could not be read",
        ),
        END, day(1.05),
    ),
    "not of another subject, whose approval is taken back while an input cannot be read": Clears(
        change(
            after(given(approve("alice"), emergency(of=HEX["d"]), procedures=[breaks()]), MADE), withdraw("alice", "approve-alice", at=1.05),
            unreadable="configmaps/a could not be read",
        ),
        None, day(1.05),
    ),
    "not while the entry cannot be read": Clears(replace(broken(), spec=Broken("spec.role")), None, day(1.05)),
}  # fmt: skip


@pytest.mark.parametrize("case", CLEARS.values(), ids=CLEARS.keys())
def test_an_emergency_clears(case: Clears) -> None:
    decision = decide(case.of, case.at)
    live = [e for e in decision.entries if e.valid_until and case.at < e.valid_until]
    assert [(e.template, e.valid_until) for e in live] == ([(template("v1"), case.until)] if case.until else [])


@dataclass(frozen=True)
class Says:
    """The rows of the procedure about the emergency and the approvals, and Ready."""

    of: Input
    at: datetime
    emergency: tuple[str, str, str] | None
    approvals: tuple[str, str, str]
    phase: str
    ready: tuple[str, str, str]


MISSING = ("Fail", "ApprovalMissing", NOBODY)
SHOUT = f"{WHO}; {UNTIL}; {REVIEW_BY}"
INSTEAD = ("Warn", "EmergencyInForce", f"0 of 1 model-owner approvals; otto broke the glass {UNTIL}")
SAYS = {
    "in force": Says(broken(), MADE, ("Warn", "EmergencyInForce", SHOUT), INSTEAD, "Running", ("True", "EmergencyInForce", SHOUT)),
    "in force and reviewed": Says(
        broken(review(at=1.05)), day(1.1), ("Warn", "EmergencyInForce", f"{WHO}; {UNTIL}; reviewed by alice"), INSTEAD, "Running",
        ("True", "EmergencyInForce", f"{WHO}; {UNTIL}; reviewed by alice"),
    ),
    "in force and reviewed, beyond the time for its review": Says(
        broken(review(at=1.01), procedures=[SHORT_REVIEW]), day(1.1), ("Warn", "EmergencyInForce", f"{WHO}; {UNTIL}; reviewed by alice"), INSTEAD, "Running",
        ("True", "EmergencyInForce", f"{WHO}; {UNTIL}; reviewed by alice"),
    ),
    "in force, while something else blocks": Says(
        change(broken(), pods=[pod("b", "v9", held=True, differs=("image: a -> b",))]), day(1.1), ("Warn", "EmergencyInForce", SHOUT), INSTEAD, "Running",
        ("False", "PodDiffers", "1 held pod, such as b, changed on the way in: image: a -> b: "
         "have that declared in the workload's template, or kept from these pods"),
    ),
    "over and to be reviewed": Says(broken(), END, ("Warn", "ReviewPending", SHOUT), MISSING, "Held", ("False", "ApprovalMissing", f"high-risk: {NOBODY}")),
    "over and reviewed": Says(broken(review()), day(2.5), None, MISSING, "Held", ("False", "ApprovalMissing", f"high-risk: {NOBODY}")),
    "to the last second of the review": Says(
        broken(), DUE - datetime.resolution, ("Warn", "ReviewPending", SHOUT), MISSING, "Held", ("False", "ApprovalMissing", f"high-risk: {NOBODY}")
    ),
    "not reviewed in time": Says(
        broken(), DUE, ("Fail", "ReviewOverdue", OVERDUE), MISSING, "Stopped", ("False", "ReviewOverdue", f"high-risk: {OVERDUE}; and 1 control more")
    ),
    "reviewed late": Says(broken(review(at=3.5)), day(4), None, MISSING, "Held", ("False", "ApprovalMissing", f"high-risk: {NOBODY}")),
    "approved meanwhile": Says(
        broken(approve("alice", at=1.05)), day(1.1), ("Warn", "EmergencyInForce", SHOUT), ("Pass", "Approved", "1 of 1 model-owner approvals: alice"),
        "Running", ("True", "EmergencyInForce", SHOUT),
    ),
    "approved meanwhile and not reviewed in time": Says(
        broken(approve("alice", at=1.05)), DUE, ("Fail", "ReviewOverdue", OVERDUE), ("Pass", "Approved", "1 of 1 model-owner approvals: alice"), "Stopped",
        ("False", "ReviewOverdue", f"high-risk: {OVERDUE}"),
    ),
    "under a procedure in Audit, not reviewed in time": Says(
        broken(procedures=[breaks(audit=True)]), DUE, ("Fail", "ReviewOverdue", OVERDUE), MISSING, "Running",
        ("True", "Audit", "only procedures in Audit apply: nothing is held; 2 controls would block"),
    ),
    "without any": Says(given(procedures=[breaks()]), MADE, None, MISSING, "Held", ("False", "ApprovalMissing", f"high-risk: {NOBODY}")),
}  # fmt: skip


@pytest.mark.parametrize("case", SAYS.values(), ids=SAYS.keys())
def test_an_emergency_is_said_until_it_is_reviewed(case: Says) -> None:
    s = fingerprint(case.of)[:15]
    rows, decision = controls(case.of, case.at), decide(case.of, case.at)
    told = tuple(part.replace("{s}", s) for part in case.approvals), tuple(part.replace("{s}", s) for part in case.ready)
    assert (rows.get("high-risk/emergency"), rows["high-risk/approvals/model-owner"]) == (case.emergency, told[0])
    assert (decision.status.phase, ready(decision)) == (case.phase, told[1])
    shouted = [(c.status, c.reason, c.message) for c in decision.status.conditions if c.type == "Emergency"]
    assert shouted == ([("True", *case.emergency[1:])] if case.emergency else [])


class TestOverdue:
    """The review is missing past its time."""

    of = carried_out(broken(), DUE)

    def test_every_pod_ends_also_older_ones_and_what_serves_approved(self) -> None:
        of = replace(broken(approve("alice", at=1.05)), pods=(pod("a"), pod("older", before=True), pod("waits", held=True)))
        decision = decide(of, DUE)
        assert [(r.pod, r.why) for r in decision.removals] == [(name, "an emergency was not reviewed in time") for name in ("a", "older")]
        assert (cleared(decision, DUE), decision.releases) == ([], ())

    def test_where_nothing_is_governed_nothing_ends(self) -> None:
        decision = decide(replace(broken(), governed=False), DUE)
        assert (decision.removals, decision.halted) == ((), False)

    def test_a_procedure_in_audit_ends_nothing(self) -> None:
        assert decide(broken(approve("dan", "dpo"), procedures=[breaks(audit=True), procedure("other", {"dpo": 1})]), DUE).removals == ()

    def test_approvals_do_not_help_until_it_is_reviewed(self) -> None:
        approved = change(self.of, approve("alice", at=3.1))
        assert cleared(decide(approved, day(3.2)), day(3.2)) == []
        assert cleared(decide(change(approved, review("eve", at=3.3)), day(3.4)), day(3.4)) == ["v1"]

    def test_another_emergency_does_not_help(self) -> None:
        again = change(self.of, emergency("eve", at=3.1))
        decision = decide(again, day(3.1))
        assert (decision.status.phase, cleared(decision, day(3.1))) == ("Stopped", [])
        assert decision.records["emergency-eve"] == RecordStatus(
            counts=False, reason="EmergencyNotAllowed",
            message="no procedure that applies names on-call under emergency.roles, or an earlier emergency had not been reviewed in time",
        )  # fmt: skip

    def test_nor_does_it_after_the_review(self) -> None:
        of = change(self.of, emergency("eve", at=3.1), review(at=3.11))
        assert (cleared(decide(of, day(3.12)), day(3.12)), decide(of, day(3.12)).records["emergency-eve"].reason) == ([], "EmergencyNotAllowed")

    def test_nor_does_it_in_the_second_of_the_review(self) -> None:
        of = change(self.of, emergency("eve", at=3.1), review(at=3.1))
        assert (cleared(decide(of, day(3.12)), day(3.12)), decide(of, day(3.12)).records["emergency-eve"].reason) == ([], "EmergencyNotAllowed")

    def test_one_made_after_the_review_does(self) -> None:
        of = change(self.of, review(at=3.11), emergency("eve", at=3.12))
        assert (cleared(decide(of, day(3.13)), day(3.13)), decide(of, day(3.13)).records["emergency-eve"].reason) == (["v1"], "Counted")

    def test_one_made_before_it_was_due_does_until_then(self) -> None:
        of = broken(emergency("eve", at=2.9))
        assert (cleared(decide(of, day(2.95)), day(2.95)), cleared(decide(of, DUE), DUE)) == (["v1"], [])
        assert (decide(of, DUE - datetime.resolution).status.phase, decide(of, DUE).status.phase) == ("Running", "Stopped")

    def test_a_review_that_is_taken_back_is_none(self) -> None:
        of = broken(review(), withdraw("alice", "review-alice", at=2.5))
        assert (decide(of, day(2.9)).status.phase, decide(of, DUE).status.phase) == ("Held", "Stopped")

    def test_a_taken_back_emergency_is_reviewed_all_the_same(self) -> None:
        of = broken(withdraw("otto", "emergency-otto", "on-call", at=1.1))
        assert (decide(of, day(2)).status.phase, decide(of, DUE).status.phase) == ("Held", "Stopped")


class TestUnderAProcedureThatAppliesNoMore:
    """Somebody edited the register so that another one applies, which names nobody for emergencies."""

    OTHER = procedure("other", {"counsel": 1})

    def low(self, before: Input, *records: Record) -> Input:
        return moved(change(before, *records), self.OTHER, left=[breaks()], of=spec(risk_class="Minimal"))

    def test_it_has_to_be_reviewed_all_the_same(self) -> None:
        of = carried_out(self.low(broken()), day(2))
        assert controls(of, day(2))["high-risk/emergency"] == ("Warn", "ReviewPending", SHOUT)
        assert (decide(of, day(2)).status.phase, decide(of, day(2)).wake) == ("Held", DUE)
        over = decide(self.low(of), DUE)
        assert (over.status.phase, [r.pod for r in over.removals], ready(over)[1]) == ("Stopped", ["a"], "ReviewOverdue")

    def test_while_it_lasts_it_clears_nothing(self) -> None:
        of = self.low(broken())
        assert cleared(decide(of, day(1.1)), day(1.1)) == []
        assert decide(of, day(1.1)).records["emergency-otto"].reason == "SubjectSuperseded"
        assert controls(of, day(1.1))["high-risk/emergency"] == ("Warn", "ReviewPending", SHOUT)

    def test_and_nothing_new_runs_beyond_its_time(self) -> None:
        of = self.low(broken(), approve("cy", "counsel", at=2, of=fingerprint(self.low(broken()))))
        assert [e.valid_until for e in decide(of, day(2)).entries if e.valid_until and e.valid_until > day(2)] == [DUE]

    def test_it_dates_no_audit(self) -> None:
        of = moved(broken(), procedure("other", audit=True), left=[breaks()], of=spec(risk_class="Minimal"))
        assert decide(of, day(2)).entries[0] == Entry(audit=True)

    def test_the_review_is_by_its_own_roles(self) -> None:
        for who, role, counts in (("alice", "model-owner", True), ("cy", "counsel", False)):
            of = self.low(carried_out(self.low(broken()), day(2)), review(who, role, at=2.1))
            assert decide(of, DUE).status.phase == ("Held" if counts else "Stopped")
            assert ("high-risk/emergency" in controls(of, DUE)) is not counts
        of = self.low(carried_out(self.low(broken()), day(2)), review(at=2.1))
        assert decide(of, DUE).records["review-alice"] == RecordStatus(counts=True, reason="Counted", message="alice reviewed the emergency (Approve)")

    def test_nor_by_roles_of_one_under_which_it_was_only_stopped(self) -> None:
        stopped = stops("halts", roles={"dpo": 1})
        before = after(asked(emergency(), procedures=[breaks(), stopped], pods=[pod("a")]), MADE)
        of = carried_out(change(before, stop(at=1.1), review("dan", "dpo", at=1.2)), day(1.3))
        low = moved(of, self.OTHER, left=[breaks(), stopped], of=spec(risk_class="Minimal"))
        assert [(e.procedure.name, e.stops, e.emergencies) for e in low.elsewhere] == [("high-risk", (), ("emergency-otto",)), ("halts", ("stop-ida",), ())]
        assert decide(low, day(2)).records["review-dan"].reason == "RoleNotRequired"

    def test_taken_back_too(self) -> None:
        back = carried_out(broken(withdraw("otto", "emergency-otto", "on-call", at=1.1)), day(1.2))
        assert decide(self.low(back), DUE).status.phase == "Stopped"

    def test_registered_anew_too(self) -> None:
        gone = deregistered(broken(), day(1.5))
        assert gone.records["emergency-otto"].reason == "Counted"
        stored = replace(broken(), records=tuple(replace(r, before=gone.records[r.name]) for r in broken().records), entries=(), before=DeploymentStatus())
        assert decide(self.low(stored), DUE).status.phase == "Stopped"

    def test_registered_no_more_one_that_was_never_allowed_says_so_no_longer(self) -> None:
        gone = deregistered(after(given(emergency(), procedures=[procedure()]), MADE), day(1.5))
        assert gone.records["emergency-otto"].reason == "DeploymentUnknown"

    def test_one_that_was_never_allowed_has_not(self) -> None:
        low = carried_out(self.low(broken(review(at=1.01))), day(2))
        late = self.low(carried_out(self.low(low, emergency("eve", at=2.1)), day(2.2)))
        assert decide(late, day(2.3)).records["emergency-eve"].reason == "EmergencyNotAllowed"
        assert decide(late, day(9)).status.phase == "Held"


REVIEWS = {
    "by somebody who approves": (review(), True, "Counted", "alice reviewed the emergency (Approve)"),
    "made in the second of the emergency": (review(at=1), True, "Counted", "alice reviewed the emergency (Approve)"),
    "that condemns it": (review(decision="Reject"), True, "Counted", "alice reviewed the emergency (Reject)"),
    "in another role that approves": (review("dave", "risk-manager"), True, "Counted", "dave reviewed the emergency (Approve)"),
    "by who broke the glass": (review("otto"), False, "SamePersonTwice", "otto broke the glass: another person has to review it"),
    "in a role that approves nothing": (
        review("dave", "on-call"), False, "RoleNotRequired", "a review is by a role that approves: model-owner, risk-manager",
    ),
    "without the role": (
        review(authorized=False), False, "NotAuthorized", "alice did not hold role model-owner when making it: hold the role by name, and make another record",
    ),
    "of nothing": (review(of="x"), False, "NothingToReview", "no Emergency named x that counted: name it in spec.reviews"),
    "made before the emergency": (
        review(at=0.5), False, "NothingToReview", "it was made before apr/emergency-otto: look at the emergency afterwards, and make another record",
    ),
}  # fmt: skip
WITH_REVIEWERS = breaks(roles={"model-owner": 1, "risk-manager": 1})


@pytest.mark.parametrize(("made", "counts", "reason", "message"), REVIEWS.values(), ids=REVIEWS.keys())
def test_a_review(made: Record, counts: bool, reason: str, message: str) -> None:
    of = broken(made, procedures=[WITH_REVIEWERS])
    assert decide(of, day(2.5)).records[made.name] == RecordStatus(counts=counts, reason=reason, message=message)
    assert decide(of, DUE).status.phase == ("Held" if counts else "Stopped")


def test_a_review_counts_though_nobody_knows_the_subject_any_more() -> None:
    of = change(broken(review(at=1.5)), workloads=[workload(None)], pods=[], entries=[])
    assert decide(of, DUE).records["review-alice"] == RecordStatus(counts=True, reason="Counted", message="alice reviewed the emergency (Approve)")


def test_a_review_by_a_role_of_another_procedure_is_none() -> None:
    of = broken(review("dave", "counsel"), procedures=[breaks(), procedure("privacy", roles={"counsel": 1})])
    assert decide(of, day(2)).records["review-dave"] == RecordStatus(
        counts=False, reason="RoleNotRequired", message="a review is by a role that approves: model-owner"
    )
    assert decide(of, DUE).status.phase == "Stopped"


def test_a_review_approves_nothing_and_rejects_nothing() -> None:
    of = broken(review(at=1.5), review("eve", at=1.6, decision="Reject"))
    assert controls(of, day(2))["high-risk/approvals/model-owner"] == ("Fail", "ApprovalMissing", NOBODY.replace("{s}", fingerprint(of)[:15]))


def test_a_review_that_rejects_ends_it() -> None:
    """Whoever reviews first may have approved it: the first who rejects ends it, in that second."""
    of = broken(review(at=1.05), review("eve", at=1.1, decision="Reject"), procedures=[breaks(lapse="Stop")])
    before, then = decide(of, day(1.09)), decide(of, day(1.1))
    assert (cleared(before, day(1.09)), cleared(then, day(1.1)), [r.pod for r in then.removals]) == (["v1"], [], ["a"])
    assert then.records["emergency-otto"].message == "ended at 2027-01-02 02:24:00 UTC; reviewed by alice (apr/review-alice)"


RECORDS = {
    "in force": (broken(), MADE, True, "Counted", f"otto broke the glass {UNTIL}; {DUE_BY}"),
    "in force and reviewed": (broken(review(at=1.05)), day(1.1), True, "Counted", f"otto broke the glass {UNTIL}; reviewed by alice (apr/review-alice)"),
    "over": (broken(), END, False, "Expired", f"ended at 2027-01-02 04:00:00 UTC; {DUE_BY}"),
    "over and reviewed": (broken(review()), day(2.5), False, "Expired", "ended at 2027-01-02 04:00:00 UTC; reviewed by alice (apr/review-alice)"),
    "taken back": (
        broken(withdraw("otto", "emergency-otto", "on-call", at=1.1)), day(1.2), False, "Withdrawn", "taken back by otto (apr/withdraw-otto)",
    ),
    "without the role": (
        broken(procedures=[procedure()]), MADE, False, "EmergencyNotAllowed",
        "no procedure that applies names on-call under emergency.roles, or an earlier emergency had not been reviewed in time",
    ),
    "by a wildcard": (
        given(emergency(authorized=False), procedures=[breaks()]), MADE, False, "NotAuthorized",
        "otto did not hold role on-call when making it: hold the role by name, and make another record",
    ),
    "of another subject than the current one": (
        given(emergency(of=HEX["d"]), procedures=[breaks()]), MADE, False, "SubjectSuperseded",
        f"it clears {HEX['d'][:15]} alone, and the current subject is {{s}}; {DUE_BY}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "at", "counts", "reason", "message"), RECORDS.values(), ids=RECORDS.keys())
def test_what_an_emergency_says_of_itself(of: Input, at: datetime, counts: bool, reason: str, message: str) -> None:
    said = RecordStatus(counts=counts, reason=reason, message=message.replace("{s}", fingerprint(of)[:15]))
    assert decide(of, at).records["emergency-otto"] == said


class TestTelling:
    def test_an_event_and_the_lapse_ahead_once(self) -> None:
        of = given(emergency(), procedures=[breaks()])
        ahead = f"the permission of {fingerprint(of)[:15]} ends at 2027-01-02 04:00:00 UTC, in at most 1d: have it approved anew"
        assert decide(of, MADE).told == (Told("Warning", "EmergencyInForce", SHOUT + EXPLAIN), Told("Warning", "LapseAhead", ahead + EXPLAIN))
        assert decide(after(of, MADE), day(1.05)).told == ()

    def test_it_wakes_at_its_end_and_when_its_review_is_due(self) -> None:
        of = broken()
        assert (decide(of, MADE).wake, decide(of, END).wake, decide(of, DUE).wake) == (END, DUE, None)

    def test_its_row_carries_the_obligations_that_it_serves(self) -> None:
        of = broken(procedures=[breaks(glass={"obligations": [{"framework": "iso-27001", "id": "5.26"}]})])
        assert [c.obligations for c in decide(of, MADE).status.controls if c.id == "emergency"] == [["iso-27001 5.26"]]

    def test_its_row_has_the_beginning_of_a_long_rationale(self) -> None:
        of = given(emergency(rationale="x" * 300), procedures=[breaks()])
        assert controls(of, MADE)["high-risk/emergency"][2] == SHOUT.replace("both owners are ill", "x" * 200)

    def test_each_emergency_has_its_row(self) -> None:
        rows = decide(broken(emergency("eve", at=1.05)), day(1.1)).status.controls
        assert [c.message.partition(" ")[0] for c in rows if c.id == "emergency"] == ["otto", "eve"]


@pytest.mark.parametrize(
    ("lapse", "ended"),
    [
        pytest.param("Hold", [], id="held without grace they go on"),
        pytest.param("Hold 1h", [], id="held within the grace they go on"),
        pytest.param("Hold 10m", ["a"], id="held beyond the grace they end"),
        pytest.param("Stop", ["a"], id="stopped they end at once"),
    ],
)
def test_when_it_ends_pods_that_run_end_as_on_lapse_says(lapse: str, ended: list[str]) -> None:
    decision = decide(broken(procedures=[breaks(lapse=lapse)]), day(1 + 4.5 * HOUR))
    assert ([r.pod for r in decision.removals], decision.releases) == (ended, ())


def test_what_only_an_emergency_still_cleared_lapses_when_another_subject_comes() -> None:
    """Not when its approval had ended: the grace of what runs counts from when it was admitted no more."""
    of = after(given(approve("alice", expires="2027-01-02T00:30:00Z"), emergency(), procedures=[breaks()], pods=[pod("a")]), day(1.05))
    (before,) = decide(change(of, workloads=[workload("v2")]), day(1.1)).entries
    assert (before.template, before.valid_until) == (template("v1"), day(1.1))


def test_the_grace_of_what_an_emergency_kept_going_counts_from_its_end() -> None:
    of = given(approve("alice", expires="2027-01-02T00:30:00Z"), emergency(), procedures=[breaks(lapse="Hold 1h")], pods=[pod("a")])
    of = after(after(of, day(1.05)), END)
    assert [[r.pod for r in decide(of, day(1 + hours * HOUR)).removals] for hours in (4.9, 5)] == [[], ["a"]]


def test_a_stop_during_an_emergency_and_its_resume_leave_the_emergency_what_it_was() -> None:
    both = breaks(stop={"roles": ["incident-commander"]})
    of = asked(emergency(), procedures=[both], pods=[pod("a")])
    stopped = carried_out(change(after(of, MADE), stop(at=1.05)), day(1.05))
    assert decide(stopped, day(1.06)).status.phase == "Stopped"
    assert cleared(decide(change(stopped, resume(at=1.1)), day(1.1)), day(1.1)) == ["v1"]
    assert cleared(decide(change(stopped, resume(at=1.3)), day(1.3)), day(1.3)) == []


def test_one_made_in_the_second_in_which_a_review_was_due_counts_for_nothing() -> None:
    of = asked(emergency(at=1), emergency("zoe", at=3), procedures=[breaks()])
    said = decide(of, day(3)).records["emergency-zoe"]
    assert (said.counts, said.reason) == (False, "EmergencyNotAllowed")
