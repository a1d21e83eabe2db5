"""What is told ahead, and what is shown of procedures and duties."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from aiqms.api.deployment import Answerable
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input, Procedure, Told
from aiqms.policy.status import notice
from tests.unit.policy.given import after, approve, change, cleared, day, fed, fingerprint, given, procedure, ready, spec, workload
from tests.unit.policy.people import emergency

EXPLAIN = " (kubectl qms explain aimd/credit-scoring -n lending)"
END = day(30)
LAPSING = procedure(valid_for="30d")
SECOND = timedelta(seconds=1)
BASE = procedure(since=1)
TORN = ("high-risk", Broken("spec.title: too long"))


def serving(rule: Procedure = LAPSING) -> Input:
    """Approved on day 0, decided on day 1."""
    return after(given(approve("alice"), procedures=[rule]), day(1))


def ahead(of: Input, within: str, what: str = "have it approved anew", subject: str = "") -> Told:
    said = f"the permission of {(subject or fingerprint(of))[:15]} ends at 2027-01-31 00:00:00 UTC, in at most {within}: {what}"
    return Told("Warning", "LapseAhead", said + EXPLAIN)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=14) + SECOND, ""),
        (timedelta(days=14), "14d"),
        (timedelta(days=7) + SECOND, "14d"),
        (timedelta(days=7), "7d"),
        (timedelta(days=1) + SECOND, "7d"),
        (timedelta(days=1), "1d"),
        (SECOND, "1d"),
    ],
    ids=str,
)
def test_a_notice_begins_to_the_second(left: timedelta, said: str) -> None:
    assert notice(END, END - left) == said


class TestALapseAhead:
    """An approval ends on day 30."""

    def test_it_wakes_for_each_notice_and_for_the_end(self) -> None:
        of, times = serving(), []
        now: datetime | None = day(1)
        while now:
            decision = decide(of, now)
            of, now = fed(of, decision), decision.wake
            times += [now] if now else []
        assert times == [day(16), day(23), day(29), day(30)]

    def test_each_notice_is_told_once(self) -> None:
        of = serving()
        told: list[tuple[float, Told]] = []
        for at in (15, 16, 17, 22.9, 23, 24, 28.9, 29, 29.5):
            decision = decide(of, day(at))
            of, told = fed(of, decision), [*told, *((at, t) for t in decision.told)]
        assert told == [(16, ahead(of, "14d")), (23, ahead(of, "7d")), (29, ahead(of, "1d"))]

    def test_after_a_pause_the_nearest_notice_alone_is_told(self) -> None:
        of = serving()
        assert decide(of, day(25)).told == (ahead(of, "7d"),)

    def test_the_status_carries_it(self) -> None:
        answers = [decide(serving(), day(at)).status.serving for at in (15, 16, 23, 29)]
        assert [(s.valid_until, s.notice) for s in answers if s] == [(END, ""), (END, "14d"), (END, "7d"), (END, "1d")]

    def test_approved_anew_in_time_nothing_is_told_any_more(self) -> None:
        of = change(after(serving(), day(16)), approve("alice", at=17, name="anew"))
        decision = decide(of, day(17))
        assert (decision.told, decision.status.serving and decision.status.serving.notice, decision.wake) == ((), "", day(30))

    def test_of_what_serves_while_another_subject_waits(self) -> None:
        of = after(change(serving(), workloads=[workload("v2")]), day(2))
        old = str(of.entries[0].fingerprint)
        assert decide(of, day(16)).told == (ahead(of, "14d", "have the subject that waits approved", old),)

    def test_while_nobody_knows_the_subject(self) -> None:
        of = after(change(serving(), workloads=[workload(None)]), day(2))
        old = str(of.entries[0].fingerprint)
        assert decide(of, day(16)).told == (ahead(of, "14d", "have the subject that waits approved", old),)

    def test_at_its_end_the_answer_changes(self) -> None:
        of = after(serving(), day(29.5))
        said = f"high-risk: 0 of 1 model-owner approvals for {fingerprint(of)[:15]}; none counts yet; that of alice ended at 2027-01-31 00:00:00 UTC"
        assert decide(of, END).told == (Told("Warning", "ApprovalExpired", said + EXPLAIN),)

    def test_without_an_end_nothing_is_told(self) -> None:
        assert [decide(serving(BASE), day(at)).told for at in (2, 1000)] == [(), ()]


CHANGES = {
    "another role": (procedure(roles={"model-owner": 1, "dpo": 1}, revision=2, since=1), "went from revision 1 to 2: approvals changed"),
    "separation of duties": (procedure(distinct=False, revision=2, since=1), "went from revision 1 to 2: approvals changed"),
    "onLapse": (procedure(lapse="Hold 7d", revision=3, since=1), "went from revision 1 to 3: onLapse changed"),
    "onChange": (procedure(change="7d", revision=2, since=1), "went from revision 1 to 2: onChange changed"),
    "inputs": (procedure(inputs={"secrets": "Frozen"}, revision=2, since=1), "went from revision 1 to 2: inputs changed"),
    "stop": (procedure(stop={"roles": ["cto"]}, revision=2, since=1), "went from revision 1 to 2: stop changed"),
    "emergency": (
        procedure(emergency={"roles": ["cto"], "maxDuration": "1h", "reviewWithin": "1d"}, revision=2, since=1),
        "went from revision 1 to 2: emergency changed",
    ),
    "responsibilities": (
        procedure(responsibilities=[{"duty": "RiskManagement", "role": "cro"}], revision=2, since=1), "went from revision 1 to 2: responsibilities changed",
    ),
    "several": (
        procedure(change="7d", lapse="Stop", stop={"roles": ["cto"]}, revision=2, since=1), "went from revision 1 to 2: onLapse, onChange, stop changed",
    ),
    "enforcement": (procedure(audit=True, since=1), "went from revision 1 to 1: enforcement changed"),
    "the revision alone": (procedure(revision=2, since=1), "went from revision 1 to 2: nothing that is judged changed"),
}  # fmt: skip
UNSAID = {
    "its title": procedure(since=1, title="Another"),
    "its owner": procedure(since=1, owner="Somebody else"),
    "its document": procedure(since=1, document={"uri": "https://bank.example/SOP", "digest": "sha256:" + "a" * 64}),
    "its reach, while it applies": procedure(since=1, appliesTo={"riskClasses": ["High"]}),
}


def revisions(of: Input, at: datetime) -> list[Told]:
    return [t for t in decide(of, at).told if t.reason == "ProcedureChanged"]


class TestAProcedureThatChanges:
    @pytest.mark.parametrize(("rule", "said"), CHANGES.values(), ids=CHANGES.keys())
    def test_is_told_with_what_changed_once(self, rule: Procedure, said: str) -> None:
        of = change(serving(BASE), procedures=[rule])
        assert revisions(of, day(2)) == [Told("Warning", "ProcedureChanged", f"QMSProcedure high-risk {said}{EXPLAIN}")]
        assert revisions(after(of, day(2)), day(3)) == []

    @pytest.mark.parametrize("rule", UNSAID.values(), ids=UNSAID.keys())
    def test_in_what_nobody_judges_is_not_told(self, rule: Procedure) -> None:
        assert revisions(change(serving(BASE), procedures=[rule]), day(2)) == []

    def test_one_that_comes_and_one_that_goes(self) -> None:
        of = change(serving(BASE), procedures=[procedure("other", {"dpo": 1}, revision=4)])
        assert revisions(of, day(2)) == [
            Told("Warning", "ProcedureChanged", "QMSProcedure other, revision 4, applies from now on" + EXPLAIN),
            Told("Warning", "ProcedureChanged", "QMSProcedure high-risk, revision 1, applies no more" + EXPLAIN),
        ]

    def test_the_first_answer_of_all_tells_of_none(self) -> None:
        assert revisions(given(), day(1)) == []

    def test_one_that_cannot_be_read_for_a_while_is_remembered(self) -> None:
        torn = change(serving(BASE), procedures=[TORN])
        assert (revisions(torn, day(2)), revisions(after(torn, day(2)), day(3))) == ([], [])
        again = change(after(torn, day(2)), procedures=[procedure(change="7d", revision=2, since=1)])
        assert [t.note for t in revisions(again, day(3))] == [f"QMSProcedure high-risk went from revision 1 to 2: onChange changed{EXPLAIN}"]

    def test_the_status_shows_what_it_was_judged_by(self) -> None:
        (seen,) = decide(given(procedures=[procedure(audit=True, revision=4)]), day(1)).status.procedures
        assert (seen.name, seen.revision, seen.enforcement, sorted(seen.parts)) == (
            "high-risk", 4, "Audit", ["approvals", "inputs", "onChange", "onLapse", "responsibilities"],
        )  # fmt: skip

    def test_the_status_shows_whom_it_lets_stop_and_break_the_glass(self) -> None:
        glass = {"roles": ["on-call"], "maxDuration": "1h", "reviewWithin": "1d"}
        (bare, full) = decide(given(procedures=[procedure("a"), procedure("b", stop={"roles": ["cto", "cro"]}, emergency=glass)]), day(1)).status.procedures
        assert [(p.stop_roles, p.emergency_roles) for p in (bare, full)] == [([], []), (["cto", "cro"], ["on-call"])]

    def test_its_parts_are_those_of_stored_statuses(self) -> None:
        """Else every procedure would be told as changed when another version of the operator takes over."""
        (seen,) = decide(given(procedures=[procedure()]), day(1)).status.procedures
        assert seen.parts["onChange"] == "44136fa355b3"  # sha256 of {}

    def test_a_broken_entry_tells_nothing_of_procedures(self) -> None:
        of = replace(serving(BASE), spec=Broken("spec.role"), procedures=())
        assert (revisions(of, day(2)), decide(of, day(2)).status.procedures) == ([], serving(BASE).before.procedures)


def test_responsibilities_are_shown_with_their_procedure() -> None:
    one = procedure("a", responsibilities=[{"duty": "RiskManagement", "role": "cro"}, {"duty": "IncidentReporting", "role": "incident-commander"}])
    two = procedure("b", audit=True, responsibilities=[{"duty": "RiskManagement", "role": "dpo"}])
    assert decide(given(procedures=[two, one]), day(1)).status.responsibilities == [
        Answerable(duty="RiskManagement", role="cro", procedure="a"),
        Answerable(duty="IncidentReporting", role="incident-commander", procedure="a"),
        Answerable(duty="RiskManagement", role="dpo", procedure="b"),
    ]


def test_a_note_has_room_for_the_next_step_however_long_it_is() -> None:
    rejected = given(approve("\U0001f9d1" * 250), procedures=[procedure(roles={"r" * 63: 16})], of=spec(risk_class="Prohibited"))
    for told in decide(rejected, day(1)).told:
        assert len(told.note.encode()) <= 1000
        assert told.note.endswith(EXPLAIN)


def test_the_worst_of_several_emergencies_is_the_condition() -> None:
    glass = {"roles": ["on-call"], "maxDuration": "1h", "reviewWithin": "1d"}
    of = given(procedures=[procedure("a", audit=True, emergency=glass), procedure("b", audit=True, emergency=glass | {"reviewWithin": "10d"})])
    of = change(of, emergency(at=0))
    found = [(c.status, c.reason) for c in decide(of, day(2)).status.conditions if c.type == "Emergency"]
    assert found == [("True", "ReviewOverdue")]
    assert ready(decide(of, day(2)))[:2] == ("True", "Audit")
    assert cleared(decide(of, day(2)), day(2)) == ["audit"]
