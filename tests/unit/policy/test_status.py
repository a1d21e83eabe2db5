"""What status and events say, and when time alone will change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.deployment import Condition, PodCounts, Result, RoleApprovals, Serving, Summary
from aiqms.api.procedure import Duty
from aiqms.api.record import Decision
from aiqms.api.values import FOREVER
from aiqms.policy.checks import row
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input, Reach, Told
from aiqms.policy.rbac import Subject
from aiqms.policy.status import family_conditions
from tests.unit.policy.given import HEX, after, approve, change, day, fed, fingerprint, given, pod, procedure, ready, reject, spec, workload

APPROVED = given(approve("alice"), procedures=[procedure(valid_for="90d")], pods=[pod("old")], generation=7)
RUNNING = after(APPROVED, day(1))
PENDING = change(RUNNING, workloads=[workload("v2")], pods=[pod("old"), pod("new", "v2", held=True), pod("older", "v0", before=True), pod("bye", going=True)])
TWO = procedure(roles={"model-owner": 1, "risk-manager": 2})
MISSING = "high-risk: 0 of 1 model-owner approvals for {s}; none counts yet"
DIFFERS = "1 held pod, such as a, changed on the way in: image: a -> b: have that declared in the workload's template, or kept from these pods"

READY: dict[str, tuple[Input, tuple[str, str, str]]] = {
    "cleared, for ever": (given(approve("alice")), ("True", "Approved", "{s} is cleared")),
    "cleared, until": (APPROVED, ("True", "Approved", "{s} is cleared until 2027-04-01 00:00:00 UTC")),
    "one control fails": (given(), ("False", "ApprovalMissing", MISSING)),
    "and more": (
        given(procedures=[procedure(), procedure("other", roles={"a": 1, "b": 1})]), ("False", "ApprovalMissing", f"{MISSING}; and 2 controls more")
    ),
    "and pods that run are stopped at a time": (
        change(after(change(APPROVED, procedures=[procedure(change="14d")]), day(1)), workloads=[workload("v2")]),
        ("False", "ApprovalMissing", f"{MISSING}; pods that run are stopped at 2027-01-18 00:00:00 UTC"),
    ),
    "at the first of several times": (
        change(
            after(
                change(after(change(APPROVED, procedures=[procedure(change="14d")]), day(1)), approve("bob"), workloads=[workload("v2")]), day(2)
            ),
            workloads=[workload("v3")],
        ),
        ("False", "ApprovalMissing", f"{MISSING}; pods that run are stopped at 2027-01-17 00:00:00 UTC"),
    ),
    "and at none while what was cleared before has not lapsed": (
        change(after(given(approve("alice"), procedures=[procedure(lapse="Stop", valid_for="90d")]), day(1)), workloads=[workload("v2")]),
        ("False", "ApprovalMissing", MISSING),
    ),
    "at once: at no time to come": (
        after(given(approve("alice"), procedures=[procedure(lapse="Stop", valid_for="3d")]), day(1)),
        ("False", "ApprovalExpired", f"{MISSING}; that of alice ended at 2027-01-04 00:00:00 UTC"),
    ),
    "no procedure names itself": (
        given(procedures=[]),
        ("False", "NoProcedure", "no QMSProcedure applies to risk class High, role Provider, namespace lending: "
         "the platform team creates one, or widens spec.appliesTo of one"),
    ),
    "only Audit, and nothing would block": (
        given(approve("alice"), procedures=[procedure(audit=True)]),
        ("True", "Audit", "only procedures in Audit apply: nothing is held; no control would block")
    ),
    "only Audit, and controls would block": (
        given(workloads=[workload(label="other")], procedures=[procedure(audit=True)]),
        ("True", "Audit", "only procedures in Audit apply: nothing is held; 2 controls would block"),
    ),
    "a pod that differs, though the subject is cleared": (
        given(approve("alice"), pods=[pod("a", "v9", held=True, differs=("image: a -> b",))]),
        ("False", "PodDiffers", DIFFERS),
    ),
    "an ungoverned namespace": (
        replace(APPROVED, governed=False),
        ("False", "NamespaceNotGoverned", "the gate does not judge namespace lending; "
         "to have it judged: kubectl label namespace lending aiqms.dev/governed=true"),
    ),
    "a register entry that cannot be read": (given(of=Broken("spec.role: none of these")), ("False", "Invalid", "spec.role: none of these")),
}  # fmt: skip


@pytest.mark.parametrize(("of", "says"), READY.values(), ids=READY.keys())
def test_ready_says_what_to_mend_first(of: Input, says: tuple[str, str, str]) -> None:
    status, reason, message = says
    assert ready(decide(of, day(3))) == (status, reason, message.replace("{s}", fingerprint(of)[:15]))


CONDITIONS: dict[str, tuple[Input, dict[str, tuple[str, str]]]] = {  # SupplyVerified where it is not True
    "cleared": (APPROVED, {"Ready": ("True", "Approved"), "Approved": ("True", "Approved")}),
    "waiting is in progress": (
        given(), {"Ready": ("False", "ApprovalMissing"), "Approved": ("False", "ApprovalMissing"), "Reconciling": ("True", "ApprovalMissing")}
    ),
    "rejected is stalled": (
        given(reject("alice")), {"Ready": ("False", "Rejected"), "Approved": ("False", "Rejected"), "Stalled": ("True", "Rejected")}
    ),
    "another model is stalled, though approved": (
        given(approve("alice"), workloads=[workload(model=HEX["2"])]),
        {"Ready": ("False", "ModelMismatch"), "Approved": ("True", "Approved"), "Stalled": ("True", "ModelMismatch"),
         "SupplyVerified": ("False", "ModelMismatch")},
    ),
    "retired is at rest": (
        given(approve("alice"), of=spec(lifecycle="Retired")), {"Ready": ("False", "Retired"), "Approved": ("True", "Approved")}
    ),
    "Prohibited is stalled": (
        given(of=spec(risk_class="Prohibited")),
        {"Ready": ("False", "Prohibited"), "Approved": ("False", "ApprovalMissing"), "Stalled": ("True", "Prohibited")},
    ),
    "no procedure asks for approvals": (
        given(procedures=[]), {"Ready": ("False", "NoProcedure"), "Approved": ("False", "NoProcedure"), "Reconciling": ("True", "NoProcedure")}
    ),
    "an entry that cannot be read is stalled": (given(of=Broken("why")), {"Ready": ("False", "Invalid"), "Stalled": ("True", "Invalid")}),
}  # fmt: skip


@pytest.mark.parametrize(("of", "says"), CONDITIONS.values(), ids=CONDITIONS.keys())
def test_conditions(of: Input, says: dict[str, tuple[str, str]]) -> None:
    judged = {} if isinstance(of.spec, Broken) else {"SupplyVerified": ("True", "ControlsHold")}
    assert {c.type: (c.status, c.reason) for c in decide(of, day(3)).status.conditions} == judged | says


FAMILIES: dict[str, tuple[list[tuple[str, str, Reason]], list[tuple[str, str, str, str]]]] = {
    "none of either": ([("workload/Job/a", "Fail", Reason.WORKLOAD_MISSING)], []),
    "all pass": (
        [("supply/model", "Pass", Reason.MODEL_BOUND), ("supply/registries", "Pass", Reason.REGISTRIES_ALLOWED)],
        [("SupplyVerified", "True", "ControlsHold", "2 of 2 controls hold")],
    ),
    "one warns": (
        [("supply/model", "Warn", Reason.MODEL_DECLARED_NOWHERE), ("supply/registries", "Pass", Reason.REGISTRIES_ALLOWED)],
        [("SupplyVerified", "True", "ModelNotDeclared", "1 of 2 controls holds; supply/model warns: said of supply/model")],
    ),
    "the first that fails is named, whatever else could not be looked at": (
        [("access/a", "Error", Reason.INPUT_UNREADABLE), ("access/b", "Fail", Reason.REVIEW_DUE), ("access/c", "Fail", Reason.REVIEW_OVERDUE)],
        [("AccessEnforced", "False", "ReviewDue", "said of access/b")],
    ),
    "what could not be looked at is not known": (
        [("access/a", "Pass", Reason.REVIEW_IN_TIME), ("access/b", "Warn", Reason.REVIEW_DUE), ("access/c", "Error", Reason.INPUT_UNREADABLE)],
        [("AccessEnforced", "Unknown", "InputUnreadable", "said of access/c")],
    ),
    "nor what warns of everything": (
        [("supply/model", "Warn", Reason.MODEL_DECLARED_NOWHERE)],
        [("SupplyVerified", "Unknown", "ModelNotDeclared", "0 of 1 control hold; supply/model warns: said of supply/model")],
    ),
    "nor what nobody verified, though the procedure says warned": (
        [("access/network", "Pass", Reason.NETWORK_POLICY_IN_FORCE), ("access/network-enforced", "Warn", Reason.ENFORCEMENT_NOT_VERIFIED)],
        [("AccessEnforced", "Unknown", "EnforcementNotVerified", "1 of 2 controls holds; access/network-enforced warns: said of access/network-enforced")],
    ),
    "who holds a role says nothing of access": ([("access/separation", "Warn", Reason.ROLE_UNHELD)], []),
    "nor is what was left out": (
        [("supply/model", "Skip", Reason.WORKLOAD_MISSING), ("access/a", "Pass", Reason.REVIEW_IN_TIME)],
        [("SupplyVerified", "Unknown", "WorkloadMissing", "said of supply/model"), ("AccessEnforced", "True", "ControlsHold", "1 of 1 control holds")],
    ),
}


@pytest.mark.parametrize(("rows", "says"), FAMILIES.values(), ids=FAMILIES.keys())
def test_a_family_of_controls_has_a_condition_while_there_is_one(rows: list[tuple[str, str, Reason]], says: list[tuple[str, str, str, str]]) -> None:
    made = [row(id_, Result(result), reason, f"said of {id_}") for id_, result, reason in rows]
    assert [(s.type, s.status, s.reason, s.message) for s in family_conditions(made)] == says


@pytest.mark.parametrize(("governed", "audit", "reason"), [(False, False, "NamespaceNotGoverned"), (True, True, "Audit")])
def test_nothing_is_enforced_where_nothing_is_judged_or_all_is_watched(governed: bool, audit: bool, reason: str) -> None:
    of = replace(given(approve("alice"), procedures=[procedure(audit=audit, access={"endpoints": "Registered"})]), governed=governed)
    found = {c.type: (c.status, c.reason, c.message.startswith("nothing is enforced here; ")) for c in decide(of, day(2)).status.conditions}
    assert (found["AccessEnforced"], found["SupplyVerified"]) == (("Unknown", reason, True), ("True", "ControlsHold", False))


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    waiting = after(given(generation=1), day(1).replace(microsecond=5))
    later = decide(change(waiting, reject("alice"), generation=2), day(2)).status.conditions[0]
    assert later == Condition(type="Ready", status="False", reason="Rejected", message=later.message, observed_generation=2, last_transition_time=day(1))
    assert decide(change(waiting, approve("alice")), day(2)).status.conditions[0].last_transition_time == day(2)


def test_a_pending_change_shows_what_serves_what_waits_and_what_is_missing() -> None:
    status = decide(PENDING, day(2)).status
    assert (status.observed_generation, status.phase, status.model) == (7, "ChangePending", "credit-llm:4.2.0")
    assert status.serving == Serving(fingerprint=fingerprint(APPROVED), valid_until=day(90))
    assert status.subject
    assert (status.subject.fingerprint, status.subject.changed) == (fingerprint(PENDING), ["workload"])
    assert status.pods == PodCounts(running=2, held=1, before=1)
    assert status.summary == Summary(passed=2, fail=1, warn=0, error=0, skip=0)
    assert status.approvals == [RoleApprovals(role="model-owner", procedure="high-risk", required=1, given=0)]


@pytest.mark.parametrize("unreadable", ["", "configmaps/a could not be read"])
def test_a_change_is_told_from_the_subject_approved_last_in_whatever_order_they_are_stored(unreadable: str) -> None:
    both = change(
        after(given(approve("alice"), pods=[pod("one"), pod("two", "v2")]), day(1)), approve("bob"), of=spec(role="Deployer"), workloads=[workload("v2")]
    )
    of = change(after(change(after(both, day(2)), workloads=[workload("v3")]), day(3)), unreadable=unreadable)
    assert len(of.entries) == 2
    found = [decide(replace(of, entries=entries), day(4)).status.subject for entries in (of.entries, of.entries[::-1])]
    assert [s and s.changed for s in found] == [["workload"], ["workload"]]


def test_the_holders_of_a_role_are_listed_up_to_16() -> None:
    holders = tuple(Subject("User", f"u{n:02}") for n in range(20))
    of = given(reach=Reach(holders={(Decision.APPROVE, "model-owner"): (Subject("Group", "owners"), *holders)}))
    assert decide(of, day(2)).status.approvals[0].may == ["group owners", *(f"user u{n:02}" for n in range(15))]
    long = given(reach=Reach(holders={(Decision.APPROVE, "model-owner"): (Subject("User", "x" * 300),)}))
    assert decide(long, day(2)).status.approvals[0].may == ["user " + "x" * 248]


def test_a_status_has_no_more_than_it_can_hold() -> None:
    duties = [{"duty": duty, "role": "cro"} for duty in Duty][:5]
    roles = {f"role-{n:02}": 1 for n in range(9)}
    status = decide(given(procedures=[procedure(f"p{n:02}", roles, responsibilities=duties) for n in range(65)]), day(1)).status
    assert (len(status.procedures), len(status.approvals), len(status.responsibilities), len(status.controls)) == (64, 512, 256, 512)


APPROVALS: dict[str, tuple[Input, list[tuple[str, int, int, list[str], datetime | None]]]] = {
    "some of a role: until the first of them ends": (
        given(approve("bob", "risk-manager", expires="2027-02-01T00:00:00Z"), procedures=[TWO]),
        [("model-owner", 1, 0, [], None), ("risk-manager", 2, 1, ["bob"], day(31))],
    ),
    "more of a role, not yet all: until the first of them ends": (
        given(
            approve("bob", "risk-manager", expires="2027-02-01T00:00:00Z"),
            approve("carol", "risk-manager", expires="2027-01-20T00:00:00Z"),
            procedures=[procedure(roles={"risk-manager": 3})],
        ),
        [("risk-manager", 3, 2, ["bob", "carol"], day(19))],
    ),
    "all: until the whole quorum ends": (
        given(approve("alice", expires="2027-02-01T00:00:00Z"), approve("bob", "risk-manager"), approve("carol", "risk-manager"), procedures=[TWO]),
        [("model-owner", 1, 1, ["alice"], day(31)), ("risk-manager", 2, 2, ["bob", "carol"], day(31))],
    ),
    "for ever is no time": (given(approve("alice")), [("model-owner", 1, 1, ["alice"], None)]),
    "also under Audit": (given(approve("alice"), procedures=[procedure(audit=True)]), [("model-owner", 1, 1, ["alice"], None)]),
    "a long name, as long as can be listed": (given(approve("x" * 1024)), [("model-owner", 1, 1, ["x" * 253], None)]),
}


@pytest.mark.parametrize(("of", "rows"), APPROVALS.values(), ids=APPROVALS.keys())
def test_approvals_by_role(of: Input, rows: list[tuple[str, int, int, list[str], datetime | None]]) -> None:
    assert [(a.role, a.required, a.given, a.by, a.valid_until) for a in decide(of, day(3)).status.approvals] == rows


def test_the_order_of_stored_conditions_is_no_answer() -> None:
    before = RUNNING.before.model_copy(update={"conditions": RUNNING.before.conditions[::-1]})
    assert decide(replace(RUNNING, before=before), day(2)).told == ()


HELP = " (kubectl qms explain aimd/credit-scoring -n lending)"
TOLD: dict[str, tuple[Input, Told | None]] = {
    "the first answer": (given(), Told("Warning", "ApprovalMissing", f"{MISSING}{HELP}")),
    "the same answer again": (after(given(), day(1)), None),
    "the same answer, more of it given": (after(given(procedures=[TWO]), day(1), approve("bob", "risk-manager")), None),
    "another reason": (
        after(given(), day(1), reject("alice")),
        Told("Warning", "Rejected", f"high-risk: alice rejected {{s}} (apr/reject-alice): change the deployment, or have the rejection withdrawn{HELP}"),
    ),
    "another reason, though it is approved": (
        after(given(approve("alice")), day(1), pods=[pod("a", "v9", held=True, differs=("image: a -> b",))]),
        Told("Warning", "PodDiffers", f"{DIFFERS}{HELP}"),
    ),
    "another subject": (after(given(), day(1), workloads=[workload("v2")]), Told("Warning", "ApprovalMissing", f"{MISSING}{HELP}")),
    "cleared": (after(given(), day(1), approve("alice")), Told("Normal", "Approved", "{s} is cleared")),
    "stopped": (
        after(given(approve("alice"), procedures=[procedure(lapse="Hold 1d", valid_for="1d")]), day(0.5)),
        Told("Warning", "ApprovalExpired", f"{MISSING}; that of alice ended at 2027-01-02 00:00:00 UTC{HELP}"),
    ),
}


@pytest.mark.parametrize(("of", "told"), TOLD.values(), ids=TOLD.keys())
def test_an_event_comes_when_the_answer_changes(of: Input, told: Told | None) -> None:
    expected = (replace(told, note=told.note.replace("{s}", fingerprint(of)[:15])),) if told else ()
    assert decide(of, day(3)).told == expected


def test_an_event_has_room_for_the_help_however_long_the_message_and_its_letters() -> None:
    (told,) = decide(given(reject("\U0001f9d1" * 1000)), day(1)).told
    assert (len(told.note.encode()) <= 1000, told.note.endswith(f"\U0001f9d1{HELP}")) == (True, True)


LAPSED = after(
    given(
        approve("alice"),
        approve("bob", "dpo"),
        procedures=[procedure(valid_for="2d"), procedure("stops", roles={"dpo": 1}, valid_for="9d", lapse="Stop")],
        pods=[pod("old")],
    ),
    day(1),
)
WAKE: dict[str, tuple[Input, datetime | None]] = {
    "nothing will change by itself": (given(approve("alice")), None),
    "a permission ends within 14 days": (RUNNING, day(76)),
    "a permission ends": (after(given(approve("alice", expires="2027-01-04T12:00:00Z")), day(1)), day(3.5)),
    "an approval ends before its quorum is full": (given(approve("bob", "risk-manager", expires="2027-02-01T00:00:00Z"), procedures=[TWO]), day(31)),
    "one approval of more than enough ends": (given(approve("alice", expires="2027-01-20T00:00:00Z"), approve("dave")), day(19)),
    "an approval of another subject concerns nobody": (given(approve("alice", of=HEX["d"], expires="2027-01-20T00:00:00Z")), None),
    "an approval in another role concerns nobody": (given(approve("alice", "auditor", expires="2027-01-20T00:00:00Z")), None),
    "the grace after a lapse": (after(change(APPROVED, procedures=[procedure(lapse="Hold 7d", valid_for="2d")]), day(1)), day(9)),
    "the grace after a change": (change(after(change(APPROVED, procedures=[procedure(change="12h")]), day(1)), workloads=[workload("v2")]), day(3.5)),
    "an approval ends of a lapsed permission's other procedure, which cannot be read now": (
        after(change(LAPSED, procedures=[LAPSED.procedures[0], ("stops", Broken("spec.title: too long"))]), day(2.5)),
        day(9),
    ),
    "a review is due": (given(procedures=[procedure(reviewBy="2027-01-15T00:00:00Z")]), day(14)),
    "the subject before ends within 14 days": (PENDING, day(76)),
    "the last instant is none": (given(approve("alice", expires=FOREVER.isoformat())), None),
}


@pytest.mark.parametrize(("of", "at"), WAKE.values(), ids=WAKE.keys())
def test_the_wake_up_is_the_next_instant_at_which_something_changes(of: Input, at: datetime | None) -> None:
    assert decide(of, day(3)).wake == at


@pytest.mark.parametrize(("of", "at"), [(of, at) for of, at in WAKE.values() if at], ids=[name for name, (_, at) in WAKE.items() if at])
def test_and_then_it_does(of: Input, at: datetime) -> None:
    stored = fed(of, decide(of, day(3)))
    assert decide(stored, at) != decide(stored, at - datetime.resolution)
