"""What waits for a person: facts in, tasks and lines out."""

from __future__ import annotations

from datetime import datetime

import pytest

from aiqms.api.values import Json
from aiqms.cli.case import Case
from aiqms.cli.pending import Task, lines, order, tasks_of
from aiqms.cli.register import Register
from aiqms.policy.words import moment
from tests.unit.cli.given import NEW, OLD, PROCEDURE, case, control, place, record, status

STRICT = control("register/author", "Pass", "AuthorKnown", "changed by mallory since it was last approved")
ENDS = "2027-02-20T10:00:00Z"


def found(of: Case) -> list[tuple[str, str]]:
    return [(t.what, t.role) for t in tasks_of(of)]


def test_an_approval_that_is_missing_waits_for_who_could_give_it() -> None:
    assert list(tasks_of(case())) == [
        Task(
            namespace="lending",
            deployment="credit-scoring",
            what="Approve",
            role="risk-manager",
            why="sha256:9f2c41d0 (changed: model, workload): 1 of 2 risk-manager approvals; 1 pod held, 3 running",
            command="kubectl qms approve credit-scoring --role risk-manager -n lending",
            subject=NEW,
        )
    ]


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(case("eve", "clown"), id="somebody without the role"),
        pytest.param(case("root", wildcard=True), id="a wildcard holder"),
        pytest.param(case("bob"), id="who gave theirs"),
        pytest.param(case("alice", "risk-manager", "model-owner"), id="who counts in another role of the procedure"),
        pytest.param(case("mallory", state=status(controls=[STRICT])), id="who made the change, where others must approve"),
        pytest.param(case(state=status(subject=None)), id="anybody, while the subject is not known"),
        pytest.param(case(state=status(phase="Retired")), id="anybody, once it is retired"),
        pytest.param(case(state=status(controls=[control("approvals/risk-manager", "Fail", "Rejected", "by dave")])), id="anybody, once it is rejected"),
    ],
)
def test_it_waits_not_for(who: Case) -> None:
    assert found(who) == []


def test_it_waits_for_who_counts_elsewhere_where_one_person_may_do_both() -> None:
    alone: dict[str, Json] = {PROCEDURE: {"approvals": {"separationOfDuties": "None"}}}
    assert found(case("alice", "risk-manager", "model-owner", procedures=alone)) == [("Approve", "risk-manager")]


def test_it_waits_for_who_made_the_change_where_nobody_minds() -> None:
    assert found(case("mallory")) == [("Approve", "risk-manager")]


@pytest.mark.parametrize("reason", ["AccessReviewDue", "AccessChanged"])
def test_an_access_review_waits_for_who_holds_a_role_that_reviews(reason: str) -> None:
    due = control("access/review", "Fail", reason, "nobody confirmed yet who can do what here: kubectl qms review-access credit-scoring -n lending")
    reviewing: dict[str, Json] = {PROCEDURE: {"approvals": {"roles": [{"role": "model-owner"}]}, "access": {"reviewEvery": "90d", "reviewRoles": ["clown"]}}}
    state = status(controls=[due], approvals=[])
    (task,) = tasks_of(case("eve", "clown", state=state, procedures=reviewing))
    assert (task.what, task.role, task.why) == ("ReviewAccess", "clown", "nobody confirmed yet who can do what here")
    assert task.command == "kubectl qms review-access credit-scoring --role clown -n lending"
    assert found(case("alice", "model-owner", state=state, procedures=reviewing)) == []


def lapsing(**changes: object) -> Json:
    places = [place("model-owner", 1, 1, "alice", until=ENDS), place("risk-manager", 2, 2, "bob", "carol", until=ENDS)]
    serving = {"fingerprint": NEW, "validUntil": ENDS, "notice": "7d"}
    return status(**({"phase": "Running", "approvals": places, "serving": serving, "controls": []} | changes))


def approval(who: str, role: str, end: str = "", *, subject: str = NEW) -> Json:
    """As the operator judged it."""
    until = f" until {moment(datetime.fromisoformat(end))}" if end else ""
    return record(f"by-{who}", "Approve", who, role, message=f"{who} approves the current subject as {role}{until}", subject=subject)


GIVEN = [
    approval("alice", "model-owner", "2027-08-20T10:00:00Z"),
    approval("bob", "risk-manager", ENDS),
    approval("carol", "risk-manager", "2027-02-20T10:00:01Z"),
    approval("erin", "risk-manager"),
    approval("frank", "risk-manager", ENDS, subject=OLD),
]


@pytest.mark.parametrize("who", ["bob", "carol"])
def test_an_approval_that_ends_soon_waits_for_who_gave_it(who: str) -> None:
    (task,) = tasks_of(case(who, state=lapsing(), records=GIVEN))
    assert (task.what, task.due, task.command) == ("Renew", ENDS, "kubectl qms approve credit-scoring --role risk-manager --renew -n lending")
    assert task.why == "sha256:9f2c41d0 is cleared until 2027-02-20 10:00:00 UTC, in at most 7 days"


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(case("alice", "model-owner", state=lapsing(), records=GIVEN), id="whose approval lasts longer"),
        pytest.param(case("erin", state=lapsing(), records=GIVEN), id="whose approval never ends"),
        pytest.param(case("dave", state=lapsing(), records=GIVEN), id="who gave none"),
        pytest.param(case("frank", state=lapsing(), records=GIVEN), id="who approved another subject"),
        pytest.param(case("bob", "clown", state=lapsing(), records=GIVEN), id="who lost the role"),
        pytest.param(case("bob", state=lapsing(serving={"fingerprint": NEW, "validUntil": ENDS}), records=GIVEN), id="anybody, before it is announced"),
        pytest.param(
            case("bob", state=lapsing(serving={"fingerprint": OLD, "validUntil": ENDS, "notice": "7d"}), records=GIVEN),
            id="anybody, where another subject is current",
        ),
    ],
)
def test_it_is_not_renewed_by(who: Case) -> None:
    assert "Renew" not in [what for what, _ in found(who)]


BROKEN = record("glass-1", "Emergency", "carol", "incident-commander", message="carol broke the glass until later")
CALM = status(phase="Running", approvals=[place("model-owner", 1, 1, "alice"), place("risk-manager", 2, 2, "bob", "carol")])


def test_an_emergency_waits_for_another_person_who_approves() -> None:
    (task,) = tasks_of(case("bob", state=CALM, records=[BROKEN]))
    assert (task.what, task.role, task.command) == ("Review", "risk-manager", "kubectl qms review credit-scoring --record glass-1 -n lending")
    assert task.why == "emergency glass-1: carol broke the glass until later"


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(case("carol", state=CALM, records=[BROKEN]), id="who broke the glass"),
        pytest.param(case("eve", "clown", state=CALM, records=[BROKEN]), id="who does not approve"),
        pytest.param(case("bob", state=CALM, records=[BROKEN, record("r-1", "Approve", "alice", reviews="glass-1")]), id="anybody, once it is reviewed"),
        pytest.param(
            case("bob", state=CALM, records=[record("glass-1", "Emergency", "carol", counts=False, reason="EmergencyNotAllowed")]),
            id="anybody, where it was not allowed",
        ),
    ],
)
def test_it_is_not_reviewed_by(who: Case) -> None:
    assert found(who) == []


def test_an_emergency_that_ended_is_still_to_be_reviewed() -> None:
    over = record("glass-1", "Emergency", "carol", counts=False, reason="Expired")
    assert found(case("bob", state=CALM, records=[over])) == [("Review", "risk-manager")]


STOP = record("stop-1", "Stop", "carol", "incident-commander", message="to go on, a Resume is missing by incident-commander")


def test_a_stop_waits_for_who_could_lift_it() -> None:
    (task,) = tasks_of(case("dave", "incident-commander", state=CALM, records=[STOP]))
    assert (task.what, task.why) == ("Resume", "to go on, a Resume is missing by incident-commander")
    assert task.command == "kubectl qms resume credit-scoring --role incident-commander -n lending"


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(case("bob", state=CALM, records=[STOP]), id="who cannot stop"),
        pytest.param(
            case("dave", "incident-commander", state=CALM, records=[record("stop-1", "Stop", "carol", counts=False, reason="Resumed")]),
            id="anybody, once lifted",
        ),
        pytest.param(
            case("dave", "incident-commander", state=CALM, records=[STOP, record("r", "Resume", "dave", "incident-commander", at="2026-11-23T10:00:00Z")]),
            id="who did already",
        ),
    ],
)
def test_it_is_not_lifted_by(who: Case) -> None:
    assert found(who) == []


def test_a_stop_whose_procedures_may_not_be_read_waits_for_the_role_in_which_it_was_made() -> None:
    assert found(case("dave", "risk-manager", state=CALM, records=[STOP], procedures=None)) == []
    assert found(case("dave", "risk-manager", "incident-commander", state=CALM, records=[STOP], procedures=None)) == [("Resume", "incident-commander")]


def task(what: str, deployment: str, due: str = "") -> Task:
    return Task("lending", deployment, what, "risk-manager", "why it waits, in so many words", f"kubectl qms do {deployment}", due=due)


def test_what_is_due_comes_first_then_what_is_urgent() -> None:
    tasks = [task("Resume", "a"), task("Approve", "b"), task("Renew", "c", ENDS), task("Review", "d"), task("Renew", "e", "2027-01-01T00:00:00Z")]
    assert [t.deployment for t in sorted(tasks, key=order)] == ["e", "c", "d", "b", "a"]


def test_each_task_stands_with_its_command_which_is_never_wrapped() -> None:
    read = Register((), (), note="you may not list them all")
    assert [line.text for line in lines([task("Approve", "credit-scoring")], "carol", read, width=32)] == [
        "APPROVE  lending/credit-scoring as risk-manager",
        "         why it waits, in so",
        "         many words",
        "         kubectl qms do credit-scoring",
        "… you may not list them all",
    ]


def test_nothing_is_said_too() -> None:
    assert [line.text for line in lines([], "carol", Register((), ()), width=None)] == ["nothing waits for you (carol)"]
