"""Stop and Resume: who stops, who lets go on, and what is left of the deployment meanwhile (AI Act Art. 14(4)(e), invariant 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from aiqms.api.clearance import Entry, Orphan
from aiqms.api.deployment import Control, DeploymentStatus, Result
from aiqms.api.record import RecordStatus
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.elsewhere import Others, elsewhere
from aiqms.policy.facts import Broken, Elsewhere, Input, Procedure, Record, Told
from tests.unit.policy.given import (
    HEX,
    after,
    approve,
    change,
    cleared,
    covered,
    day,
    fingerprint,
    given,
    pod,
    procedure,
    ready,
    record,
    reject,
    spec,
    withdraw,
    workload,
)
from tests.unit.policy.people import asked, carried_out, moved, resume, stop, stop_roles, stops, under

STOPPED_AT = day(2)
PODS = [pod("a"), pod("older", before=True), pod("other", "v9"), pod("waits", held=True), pod("goes", going=True)]
RUNNING = ["a", "older", "other"]
SAID = "ida stopped it on 2027-01-03 00:00:00 UTC (apr/stop-ida): it answers nonsense"
COMMANDER = "incident-commander (high-risk)"
ONE_MORE = "; and 1 control more"
BOTH = [stops(), stops("privacy", "dpo", "counsel")]
LOW = spec(risk_class="Minimal")
OTHER = stops("other", "cto")
BROKEN = ("torn", Broken("spec.title: too long"))


def serving(*records: Record, procedures: list[Procedure] | None = None) -> Input:
    """Alice approved, and pods run."""
    return after(asked(approve("alice"), *records, procedures=procedures or [stops()], pods=PODS), day(1))


def missing(needed: str, said: str = SAID) -> str:
    return f"{said}; to go on, a Resume is missing by {needed}"


@dataclass(frozen=True)
class Stopped:
    """In this Input a Stop stands: everything ends, nothing is let through. more: controls that block beside it."""

    of: Input
    needed: str = COMMANDER
    said: str = SAID
    at: datetime = STOPPED_AT
    more: str = ""


STOPPED = {
    "the one role that the procedure names": Stopped(change(serving(), stop())),
    "the second role of the procedure": Stopped(
        change(serving(procedures=[stops("high-risk", "cto", "incident-commander")]), stop()), "cto or incident-commander (high-risk)"
    ),
    "a role of one of two procedures": Stopped(change(serving(procedures=BOTH), stop()), f"{COMMANDER}; dpo or counsel (privacy)"),
    "a role of a procedure in Audit beside one in Enforce": Stopped(
        change(serving(procedures=[procedure(), stops("watch", audit=True)]), stop()), "incident-commander (watch)"
    ),
    "a role of procedures that are all in Audit": Stopped(change(serving(procedures=[stops(audit=True)]), stop())),
    "without a rationale": Stopped(
        change(serving(), stop(rationale="")), said="ida stopped it on 2027-01-03 00:00:00 UTC (apr/stop-ida)"
    ),
    "a long rationale": Stopped(change(serving(), stop(rationale="x" * 300)), said=SAID.replace("it answers nonsense", "x" * 200)),
    "by who holds every role by a wildcard": Stopped(change(serving(), stop("admin", name="stop-ida")), said=SAID.replace("ida stopped", "admin stopped")),
    "before anything was approved": Stopped(asked(stop(), procedures=[stops()], pods=PODS), more=ONE_MORE),
    "after a rejection": Stopped(change(serving(), reject("alice", at=1.5), stop()), more=ONE_MORE),
    "while an input cannot be read": Stopped(change(serving(), stop(), unreadable="configmaps/a could not be read"), more=ONE_MORE),
    "while an input cannot be read, under a procedure in Audit": Stopped(
        change(serving(procedures=[stops(audit=True)]), stop(), unreadable="configmaps/a could not be read"), more=ONE_MORE
    ),
    "while a workload is missing": Stopped(change(serving(), stop(), workloads=[workload(None)]), more=ONE_MORE),
    "while a procedure cannot be read": Stopped(
        under(change(serving(), stop()), stops(), BROKEN), f"{COMMANDER}; whom it names, once it can be read (torn)", more=ONE_MORE
    ),
    "by a role that nobody can tell while its procedure cannot be read": Stopped(
        under(change(serving(), stop()), BROKEN), "whom it names, once it can be read (torn)", more=ONE_MORE
    ),
    "while no procedure applies, by a role of any": Stopped(replace(asked(stop(), procedures=[], pods=PODS), stop_roles=stop_roles(BOTH)),
        f"{COMMANDER}; dpo or counsel (privacy)", more=ONE_MORE),
    "though the procedure that named the role applies no more": Stopped(
        under(carried_out(change(serving(), stop()), STOPPED_AT), stops("other", "cto")), "cto (other)", at=day(3), more=ONE_MORE
    ),
    "though its procedure applies no more, and the one that does lets go on": Stopped(
        moved(change(carried_out(change(serving(), stop()), STOPPED_AT), resume("eve", "cto")), OTHER, left=[stops()], of=LOW), COMMANDER, at=day(4),
        more=ONE_MORE,
    ),
    "though nobody knows any more which procedure applied": Stopped(
        moved(replace(change(carried_out(change(serving(), stop()), STOPPED_AT), resume("eve", "cto")), entries=(), before=DeploymentStatus()), OTHER,
              of=LOW, left=[stops(), stops("far", appliesTo={"namespaces": ["fraud"]}), stops("third", "dpo")]), COMMANDER, at=day(4), more=ONE_MORE,
    ),
    "though only what was cleared tells which procedure applied": Stopped(
        moved(replace(change(carried_out(change(serving(), stop()), STOPPED_AT), resume("eve", "cto")), before=DeploymentStatus()), OTHER,
              of=LOW, left=[stops(), stops("third")]), COMMANDER, at=day(4), more=ONE_MORE,
    ),
    "though its procedure applied no more when it was seen first": Stopped(
        moved(change(serving(), stop()), OTHER, left=[stops()], of=LOW), f"{COMMANDER}; cto (other)", more=ONE_MORE
    ),
    "though no procedure names a stop role any more": Stopped(
        under(carried_out(change(serving(), stop()), STOPPED_AT), procedure()), "a stop role, which no procedure names now", at=day(3)
    ),
    "a Resume made before it": Stopped(change(serving(), resume(at=1.5), stop())),
    "a Resume of the same second": Stopped(change(serving(), resume(at=2), stop())),
    "a Resume in a role of one of two procedures": Stopped(change(serving(procedures=BOTH), stop(), resume(at=2.5)), "dpo or counsel (privacy)", at=day(3)),
    "a Resume by somebody who did not hold the role": Stopped(change(serving(), stop(), resume("mallory", authorized=False)), at=day(4)),
    "a Resume in a role that stops nothing": Stopped(change(serving(), stop(), resume("alice", "model-owner")), at=day(4)),
    "another Stop after the Resume": Stopped(
        change(serving(), stop(at=1.2, name="first", marked=False), resume(at=1.5), stop()),
    ),
    "a later Stop beside one that stands": Stopped(change(serving(), stop(), stop("eve", at=2.5)), at=day(3)),
    "a Withdraw, which takes back no Stop": Stopped(change(serving(), stop(), withdraw("ida", "stop-ida", "incident-commander", at=3)), at=day(4)),
}  # fmt: skip


@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED.keys())
def test_invariant_5_a_stop_ends_every_pod_and_lets_none_through(case: Stopped) -> None:
    decision = decide(case.of, case.at)
    said = missing(case.needed, case.said)
    running = [p.name for p in case.of.pods if not p.held and not p.going]
    person = case.said.partition(" ")[0]
    assert (decision.status.phase, ready(decision)) == ("Stopped", ("False", "Stopped", said + case.more))
    assert decision.status.controls[0] == Control(id="stop", result=Result.FAIL, reason="Stopped", message=said)
    assert [(r.pod, r.why) for r in decision.removals] == [(name, f"stopped by {person} (apr/stop-ida)") for name in running]
    assert (cleared(decision, case.at), decision.releases, decision.status.serving) == ([], (), None)
    assert decision.records["stop-ida"] == RecordStatus(
        counts=True, reason="Counted", message=f"{person} stopped credit-scoring; to go on, a Resume is missing by {case.needed}"
    )
    assert decision.marks == {}


@pytest.mark.parametrize("case", STOPPED.values(), ids=STOPPED.keys())
def test_a_stop_carried_out_comes_to_rest(case: Stopped) -> None:
    rest = carried_out(case.of, case.at)
    again = decide(rest, case.at)
    assert (again.removals, again.releases, again.marks, again.told) == ((), (), {}, ())
    assert again == decide(carried_out(rest, case.at), case.at)


GOES_ON = {
    "by the role that stopped": change(serving(), stop(), resume()),
    "by another role that can stop": change(
        serving(procedures=[stops("high-risk", "cto", "incident-commander")]), stop(), resume("eve", "cto", name="resume-ida")
    ),
    "by the same person in a role of each procedure": change(serving(procedures=BOTH), stop(), resume(), resume(role="dpo", name="second")),
    "by two people at different times": change(serving(procedures=BOTH), stop(), resume(at=2.1), resume("eve", "counsel", at=3)),
    "several Stops by one later Resume": change(serving(), stop("eve", at=1.5), stop(), resume()),
}


@pytest.mark.parametrize("of", GOES_ON.values(), ids=GOES_ON.keys())
def test_invariant_5_after_the_resume_the_records_count_again(of: Input) -> None:
    before = carried_out(replace(of, records=tuple(r for r in of.records if r.spec.decision != "Resume")), STOPPED_AT)
    kept = {r.name: r for r in before.records}
    now = replace(before, records=tuple(kept.get(r.name, r) for r in of.records))
    decision = decide(now, day(3))
    assert (decision.status.phase, ready(decision), cleared(decision, day(3))) == (
        "Running", ("True", "Approved", f"{fingerprint(now)[:15]} is cleared"), ["v1"],
    )  # fmt: skip
    assert [r.pod for r in decision.releases] == ["waits"]
    assert decision.removals == ()
    assert decision.marks == {r.name: False for r in now.records if r.spec.decision == "Stop"}
    assert not [c for c in decision.status.controls if c.id == "stop"]


class TestAfterTheResume:
    def test_what_lapsed_meanwhile_stays_held(self) -> None:
        of = after(asked(approve("alice"), procedures=[stops(valid_for="5d")], pods=PODS), day(1))
        of = carried_out(change(of, stop()), STOPPED_AT)
        decision = decide(change(of, resume(at=6)), day(6))
        assert (decision.status.phase, cleared(decision, day(6)), decision.releases) == ("Held", [], ())

    def test_what_was_approved_meanwhile_runs(self) -> None:
        of = carried_out(asked(stop(), procedures=[stops()], pods=PODS), STOPPED_AT)
        of = carried_out(change(of, approve("alice", at=2.5)), day(2.5))
        assert (of.entries, decide(of, day(2.7)).status.phase) == ((), "Stopped")
        assert cleared(decide(change(of, resume()), day(3)), day(3)) == ["v1"]

    def test_the_subject_that_served_while_a_new_one_waited_serves_again(self) -> None:
        changed = change(serving(), workloads=[workload("v2")])
        pending = carried_out(changed, day(1.5))
        assert decide(pending, day(1.6)).status.phase == "ChangePending"
        of = carried_out(change(pending, stop()), STOPPED_AT)
        assert covered(decide(of, day(2.5))) == ["v1"]
        decision = decide(change(of, resume()), day(3))
        assert (decision.status.phase, cleared(decision, day(3))) == ("ChangePending", ["v1"])

    def test_its_grace_went_on_meanwhile(self) -> None:
        changed = change(serving(procedures=[stops(change="2d")]), workloads=[workload("v2")])
        of = carried_out(change(carried_out(changed, day(1.5)), stop()), STOPPED_AT)
        before, past = (decide(change(of, resume(at=at)), day(at)) for at in (3, 4))
        assert (cleared(before, day(3)), cleared(past, day(4))) == (["v1"], [])

    def test_in_audit_everything_passes_again(self) -> None:
        of = carried_out(change(serving(procedures=[stops(audit=True)]), stop()), STOPPED_AT)
        assert covered(decide(of, day(2.5))) == []
        assert cleared(decide(change(of, resume()), day(3)), day(3)) == ["audit"]

    def test_a_procedure_that_comes_later_brings_no_lifted_stop_back(self) -> None:
        lifted = carried_out(change(carried_out(change(serving(), stop()), STOPPED_AT), resume()), day(3))
        now = decide(under(lifted, stops(), stops("privacy", "dpo", enforcement="Audit")), day(4))
        assert (now.status.phase, now.marks) == ("Running", {})
        assert now.records["stop-ida"] == RecordStatus(counts=False, reason="Resumed", message="lifted by ida (apr/resume-ida)")

    def test_another_stop_stops_again(self) -> None:
        lifted = carried_out(change(carried_out(change(serving(), stop()), STOPPED_AT), resume()), day(3))
        assert decide(change(lifted, stop("eve", at=4)), day(4)).status.phase == "Stopped"


def test_the_last_stop_says_what_is_missing_and_the_first_who_stopped() -> None:
    of = change(serving(procedures=BOTH), stop("eve", "dpo", at=1.5, rationale="personal data"), resume("eve", "counsel", at=1.7), stop())
    said = "eve stopped it on 2027-01-02 12:00:00 UTC (apr/stop-eve): personal data"
    assert ready(decide(of, day(3)))[2] == missing(f"{COMMANDER}; dpo or counsel (privacy)", said)


def test_an_event_says_so_once() -> None:
    of = change(serving(), stop())
    assert decide(of, STOPPED_AT).told == (Told("Warning", "Stopped", missing(COMMANDER) + " (kubectl qms explain aimd/credit-scoring -n lending)"),)
    assert decide(carried_out(of, STOPPED_AT), day(2.5)).told == ()


def test_the_row_of_a_stop_carries_the_obligations_that_it_serves() -> None:
    of = serving(procedures=[procedure(stop={"roles": ["incident-commander"], "obligations": [{"framework": "eu-ai-act", "id": "14(4)(e)"}]})])
    assert decide(change(of, stop()), STOPPED_AT).status.controls[0].obligations == ["eu-ai-act 14(4)(e)"]


@pytest.mark.parametrize("changes", [{"risk_class": "Prohibited"}, {"lifecycle": "Retired"}], ids=["prohibited", "retired"])
def test_invariant_5_a_stop_ends_what_never_runs_too(changes: dict[str, str]) -> None:
    decision = decide(change(serving(), stop(), of=spec(**changes)), STOPPED_AT)
    assert (decision.status.phase, [r.pod for r in decision.removals], decision.entries) == ("Stopped", RUNNING, ())


def test_invariant_5_a_stop_spares_no_pod_that_a_former_registration_had_given_time() -> None:
    of = change(serving(), stop(), orphan=Orphan(since=day(1)))
    assert [r.pod for r in decide(of, STOPPED_AT).removals] == RUNNING


class TestOfABrokenEntry:
    """A register entry that cannot be read."""

    of = replace(change(serving(procedures=BOTH), stop()), spec=Broken("spec.role: none of Provider, Deployer"))

    def test_invariant_5_it_is_stopped(self) -> None:
        decision = decide(self.of, STOPPED_AT)
        assert (decision.status.phase, ready(decision)) == ("Stopped", ("False", "Invalid", "spec.role: none of Provider, Deployer"))
        assert [(r.pod, r.why) for r in decision.removals] == [(name, "stopped by ida (apr/stop-ida)") for name in RUNNING]
        assert (cleared(decision, STOPPED_AT), decision.releases) == ([], ())

    def test_after_the_resume_nothing_new_is_cleared_until_it_can_be_read(self) -> None:
        stopped = carried_out(self.of, STOPPED_AT)
        resumed = change_records(stopped, resume(), resume("eve", "dpo"))
        assert cleared(decide(resumed, day(3)), day(3)) == []
        assert cleared(decide(replace(carried_out(resumed, day(3)), spec=spec()), day(4)), day(4)) == ["v1"]


def change_records(before: Input, *records: Record) -> Input:
    return replace(before, records=(*before.records, *records))


class TestOfANameThatIsNotRegistered:
    """The AIModelDeployment was deleted, or never was."""

    of = replace(change(serving(), stop()), spec=Broken("not registered"))

    def test_invariant_5_it_is_stopped(self) -> None:
        decision = deregistered(self.of, STOPPED_AT)
        assert [(r.pod, r.why) for r in decision.removals] == [(name, "stopped by ida (apr/stop-ida)") for name in RUNNING]
        assert decision.records["stop-ida"] == RecordStatus(
            counts=True, reason="Counted", message=f"ida stopped credit-scoring; to go on, a Resume is missing by {COMMANDER}"
        )
        assert (decision.entries, decision.marks) == ((), {})

    def test_a_resume_counts_too(self) -> None:
        decision = deregistered(change_records(self.of, resume()), day(3))
        assert (decision.records["stop-ida"].reason, decision.records["resume-ida"].reason) == ("Resumed", "Counted")
        assert (decision.removals, decision.marks) == ((), {"stop-ida": False})

    def test_by_a_role_that_no_procedure_names_it_goes_on_as_it_was(self) -> None:
        decision = deregistered(change_records(serving(), stop(role="intern")), STOPPED_AT)
        assert (decision.removals, decision.marks) == ((), {"stop-ida": False})

    def test_registered_again_under_a_procedure_that_others_stop_it_is_stopped_still(self) -> None:
        gone = deregistered(self.of, STOPPED_AT)
        stored = replace(self.of, records=tuple(replace(r, before=gone.records[r.name]) for r in self.of.records), entries=())
        again = under(replace(stored, spec=spec()), stops("lax", "cto"))
        assert (decide(again, day(3)).status.phase, ready(decide(again, day(3)))[2]) == ("Stopped", missing("cto (lax)") + ONE_MORE)


class TestUnderAProcedureThatAppliesNoMore:
    """Somebody edited the register so that another one applies."""

    stopped = carried_out(change(serving(), stop()), STOPPED_AT)

    def test_after_the_resume_of_both_it_goes_on(self) -> None:
        now = moved(change(self.stopped, resume(), resume("eve", "cto")), OTHER, left=[stops()], of=LOW)
        assert (decide(now, day(4)).status.phase, decide(now, day(4)).marks) == ("ChangePending", {"stop-ida": False})

    def test_a_stop_that_was_lifted_keeps_no_say(self) -> None:
        lifted = carried_out(change(self.stopped, resume()), day(3))
        assert moved(lifted, OTHER, left=[stops()], of=LOW).elsewhere == ()

    def test_a_new_stop_by_a_role_of_it_does_not_count(self) -> None:
        low = carried_out(moved(serving(), OTHER, left=[stops()], of=LOW), day(1.5))
        tried = moved(change(low, stop()), OTHER, left=[stops()], of=LOW)
        assert (tried.elsewhere, decide(tried, STOPPED_AT).records["stop-ida"].reason) == ((), "RoleNotRequired")
        assert moved(carried_out(tried, STOPPED_AT), OTHER, left=[stops()], of=LOW).elsewhere == ()


@dataclass(frozen=True)
class Said:
    """What a Stop or Resume says of itself."""

    of: Input
    record: str
    counts: bool
    reason: str
    message: str
    at: float = 4


BARE = serving()
SAYS = {
    "a Resume says what it does": Said(change(BARE, stop(), resume()), "resume-ida", True, "Counted", "ida lets credit-scoring go on as incident-commander"),
    "one of two Resumes counts already": Said(
        change(serving(procedures=BOTH), stop(), resume()), "resume-ida", True, "Counted", "ida lets credit-scoring go on as incident-commander"
    ),
    "a Stop that is lifted says by whom": Said(
        change(serving(procedures=BOTH), stop(), resume(), resume("eve", "dpo")), "stop-ida", False, "Resumed", "lifted by eve, ida (apr/resume-eve)"
    ),
    "a Stop by a role that no procedure names": Said(
        change(serving(procedures=BOTH), stop(role="intern")), "stop-ida", False, "RoleNotRequired",
        "no procedure names intern under stop.roles; they name: counsel, dpo, incident-commander",
    ),
    "a Stop where no procedure names anybody": Said(
        change(serving(procedures=[procedure()]), stop()), "stop-ida", False, "RoleNotRequired",
        "no procedure names incident-commander under stop.roles; they name: none",
    ),
    "a Stop without the right": Said(
        change(BARE, stop(authorized=False)), "stop-ida", False, "NotAuthorized",
        "ida did not hold role incident-commander when making it: hold the role by name, and make another record",
    ),
    "a Resume without the right": Said(
        change(BARE, stop(), resume(authorized=False)), "resume-ida", False, "NotAuthorized",
        "ida did not hold role incident-commander when making it: hold the role by name, and make another record",
    ),
    "a Resume by a role that no procedure names": Said(
        change(BARE, stop(), resume(role="model-owner")), "resume-ida", False, "RoleNotRequired",
        "no procedure names model-owner under stop.roles; they name: incident-commander",
    ),
    "a Resume of nothing": Said(
        change(BARE, resume()), "resume-ida", False, "NothingToResume", "there is no earlier Stop; one of the same second is not lifted: make another Resume"
    ),
    "a Resume of the same second as the Stop": Said(
        change(BARE, stop(), resume(at=2)), "resume-ida", False, "NothingToResume",
        "there is no earlier Stop; one of the same second is not lifted: make another Resume",
    ),
    "a Withdraw of a Stop": Said(
        change(BARE, stop(), withdraw("ida", "stop-ida", "incident-commander", at=3)), "withdraw-ida", False, "NothingToWithdraw",
        "no Approve, Reject or Emergency named stop-ida for credit-scoring here: name it in spec.withdraws",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAYS.values(), ids=SAYS.keys())
def test_stop_and_resume_say_whether_they_count(case: Said) -> None:
    assert decide(case.of, day(case.at)).records[case.record] == RecordStatus(counts=case.counts, reason=case.reason, message=case.message)


class TestMarks:
    """The label by which admission refuses new pods with no operator running."""

    @pytest.mark.parametrize(
        ("of", "marks"),
        [
            pytest.param(change(BARE, stop()), {}, id="a Stop that stands and has it keeps it"),
            pytest.param(change(BARE, stop(marked=False)), {"stop-ida": True}, id="one that stands without it gets it"),
            pytest.param(change(BARE, stop(), resume()), {"stop-ida": False}, id="one that is lifted loses it"),
            pytest.param(change(BARE, stop(marked=False), resume()), {}, id="one that is lifted without it stays so"),
            pytest.param(change(BARE, stop(role="intern")), {"stop-ida": False}, id="one by a role that nobody names loses it"),
            pytest.param(change(BARE, stop(authorized=False)), {"stop-ida": False}, id="one without the right loses it"),
            pytest.param(replace(change(BARE, stop()), governed=False), {"stop-ida": False}, id="where nothing is governed it goes"),
            pytest.param(replace(change(BARE, stop()), spec=Broken("not readable")), {}, id="of a broken entry it stays"),
            pytest.param(
                change(BARE, stop(), replace(record("Approve", "mallory", "model-owner", 2), marked=True)), {}, id="on anything but a Stop it means nothing"
            ),
        ],
    )
    def test_a_mark_says_whether_the_stop_stands(self, of: Input, marks: dict[str, bool]) -> None:
        assert decide(of, day(4)).marks == marks


@pytest.mark.parametrize("made", [stop(role="intern"), stop(authorized=False)], ids=["by a role that no procedure names", "without the right"])
def test_a_stop_that_did_not_count_does_not_count_at_the_second_look(made: Record) -> None:
    of = carried_out(change(BARE, made), STOPPED_AT)
    decision = decide(of, day(3))
    assert (decision.status.phase, decision.removals, decision.records) == ("Running", (), {r.name: r.before for r in of.records})


def test_where_nothing_is_governed_nothing_is_stopped() -> None:
    decision = decide(replace(change(BARE, stop()), governed=False), day(4))
    assert (decision.removals, ready(decision)[1]) == ((), "NamespaceNotGoverned")
    assert decision.records["stop-ida"].message.startswith("ida stopped credit-scoring as soon as the gate judges this namespace, which it does not now; ")


def test_a_stop_has_no_end_of_its_own_and_wakes_nobody() -> None:
    of = carried_out(change(BARE, stop()), STOPPED_AT)
    assert (decide(of, day(2.5)).wake, decide(of, STOPPED_AT + timedelta(days=3000)).status.phase) == (None, "Stopped")


def test_a_stop_is_about_the_deployment_whatever_its_subject() -> None:
    changed = change(BARE, stop(of=HEX["d"]), workloads=[workload("v2")])
    assert decide(changed, STOPPED_AT).status.phase == "Stopped"


def test_a_deployment_without_stops_has_no_row() -> None:
    assert [c.id for c in decide(given(), day(1)).status.controls if c.id == "stop"] == []


@pytest.mark.parametrize(("authorized", "stops"), [(True, ("stop-otto",)), (False, ())], ids=["in the role", "without it"])
def test_a_stop_under_a_procedure_that_applied_last_is_remembered_if_it_was_by_somebody_in_the_role(authorized: bool, stops: tuple[str, ...]) -> None:
    left = procedure("left", stop={"roles": ["on-call"]})
    before = decide(given(procedures=[left]), day(1)).status
    found = elsewhere(Others((left,), frozenset()), [record("Stop", "otto", "on-call", 1, authorized=authorized)], (Entry(audit=True),), before)
    assert [e.stops for e in found] == ([stops] if stops else [])


def test_those_stop_who_may_under_what_applies_and_under_what_a_stop_was_made_under() -> None:
    stopping, mute = procedure("left", stop={"roles": ["on-call"]}), procedure("mute")
    left = Elsewhere(stopping, stops=("stop-otto",)), Elsewhere(replace(stopping, name="glass"), emergencies=("broke",)), Elsewhere(mute, stops=("x",))
    assert given(stop_roles={"high-risk": ("risk",)}, elsewhere=left).stopping == {"high-risk": ("risk",), "left": ("on-call",)}
