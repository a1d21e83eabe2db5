"""Laws of Stop, Resume, Emergency and editors, for any Input. What counts is worked out here once more, by the letter of the design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import assume, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api.clearance import Entry
from aiqms.api.procedure import Enforcement
from aiqms.api.values import FOREVER, later
from aiqms.policy.clearing import is_live
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Decision, Input, Procedure, Record
from tests.unit.policy.given import HEX, approve, change, day, fed, fingerprint, given, pod, procedure, record, spec, workload
from tests.unit.policy.people import carried_out, emergency, moved, resume, stop, stop_roles

law = settings(deadline=None, max_examples=120, derandomize=True)
PEOPLE = st.sampled_from(["alice", "bob", "otto"])
ROLES = st.sampled_from(["model-owner", "on-call", "cto"])
WORDS = st.sampled_from(["v1", "v2"])
DAYS = st.integers(0, 20).map(lambda n: n / 2)
TIMES = st.floats(0, 12, allow_nan=False).map(day)
EDITORS = st.sampled_from([(), ("",), ("alice",), ("mallory",), ("alice", "mallory"), ("system:serviceaccount:ci:ci", "alice")])
NAMES = [f"r{n}" for n in range(8)]


@st.composite
def procedures(draw: st.DrawFn, name: str) -> Procedure:
    """A procedure of this name that may be stopped and broken."""
    glass = {"roles": draw(st.lists(ROLES, min_size=1, max_size=2, unique=True)), "maxDuration": draw(st.sampled_from(["12h", "3d"]))}
    found = procedure(
        name,
        draw(st.sampled_from([{"model-owner": 1}, {"model-owner": 1, "on-call": 1}, {"on-call": 2}])),
        valid_for=draw(st.sampled_from([None, "3d"])),
        lapse=draw(st.sampled_from(["Hold", "Hold 1d", "Stop"])),
        change=draw(st.sampled_from([None, "2d"])),
        audit=draw(st.sampled_from([False, False, True])),
        revision=draw(st.integers(1, 2)),
        since=1,
        stop=draw(st.sampled_from([None, {"roles": ["cto"]}, {"roles": ["cto", "on-call"]}])),
        emergency=draw(st.sampled_from([None, glass | {"reviewWithin": draw(st.sampled_from(["6h", "2d"]))}])),
    )
    separation = draw(st.sampled_from(["None", "DistinctPeople", "DistinctFromEditors"]))
    approvals = found.spec.approvals.dump() | {"separationOfDuties": separation, "unknownAuthors": draw(st.sampled_from(["Warned", "Refused"]))}
    return Procedure(name, found.spec.model_validate(found.spec.dump() | {"approvals": approvals}))


@st.composite
def records(draw: st.DrawFn, name: str, subjects: Sequence[str]) -> Record:
    """A record of this name, of any decision."""
    decision = draw(st.sampled_from(["Approve", "Approve", "Approve", "Reject", "Withdraw", "Stop", "Resume", "Emergency", "Emergency", "Review"]))
    more: dict[str, Any] = {"rationale": "of a test"}
    more |= {"withdraws": draw(st.sampled_from(NAMES))} if decision == "Withdraw" else {}
    more |= {"reviews": draw(st.sampled_from(NAMES))} if decision == "Review" else {}
    made = record(
        "Approve" if decision == "Review" else decision, draw(PEOPLE), draw(ROLES), draw(DAYS), name=name, of=draw(st.sampled_from(subjects)),
        authorized=draw(st.sampled_from([True] * 5 + [False])), **more,
    )  # fmt: skip
    return replace(made, marked=decision == "Stop" and draw(st.booleans()))


@st.composite
def inputs(draw: st.DrawFn) -> Input:
    """An Input with a past: decided under other templates, procedures and editors, and stored."""
    rules = [draw(procedures(name)) for name in draw(st.lists(st.sampled_from(["p", "q"]), min_size=1, max_size=2, unique=True))]
    bare = given(
        of=spec(risk_class=draw(st.sampled_from(["High"] * 12 + ["Prohibited"]))),
        procedures=[*rules, *draw(st.sampled_from([[]] * 12 + [[("torn", Broken("spec.title: too long"))]]))],
        workloads=[draw(st.one_of(*[WORDS.map(workload)] * 8, st.just(workload(None))))],
        pods=[
            pod(name, draw(WORDS), held=draw(st.booleans()), before=draw(st.booleans()), going=draw(st.sampled_from([False, False, True])))
            for name in draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True))
        ],
        governed=draw(st.sampled_from([True] * 7 + [False])),
        unreadable=draw(st.sampled_from([""] * 10 + ["configmaps/a could not be read"])),
        editors=draw(EDITORS),
    )
    bare = replace(bare, stop_roles=stop_roles(bare.procedures))
    subjects = [fingerprint(change(bare, workloads=[workload(word)])) for word in ("v1", "v2")] + [HEX["d"]]
    made = [draw(records(name, subjects)) for name in NAMES[: draw(st.integers(0, 8))]]
    enough = [
        approve(who, role, of=of) for of in subjects[: draw(st.integers(0, 2))] for who, role in (("zoe", "model-owner"), ("yan", "on-call"), ("xi", "on-call"))
    ]
    found = replace(bare, records=(*made, *(replace(r, name=f"enough-{n}") for n, r in enumerate(enough))))
    for word, at in zip(draw(st.lists(WORDS, max_size=2)), (1, 3), strict=False):
        past = replace(change(found, workloads=[workload(word)]), editors=draw(EDITORS), unreadable="")
        past = replace(past, records=tuple(r for r in past.records if r.created <= day(at)))
        said = decide(past, day(at)).records
        stored = fed(past, decide(past, day(at)))
        records_ = tuple(replace(r, before=said.get(r.name, r.before)) for r in found.records)
        found = replace(found, records=records_, entries=stored.entries, before=stored.before)
    return replace(found, spec=Broken("spec.role")) if draw(st.sampled_from([False] * 8 + [True])) else found


def live(decision: Decision, at: datetime) -> list[Entry]:
    """What admission lets through."""
    return [e for e in decision.entries if is_live(e, at)]


def authentic(of: Input, decision: str) -> list[Record]:
    return [r for r in of.records if r.spec.decision == decision and r.spec.approver and r.spec.approver.authorized]


def standing(of: Input) -> set[str]:
    """Names of the Stops that nobody lifted, by DESIGN §8 and what was said of them before."""
    return {s.name for s in authentic(of, "Stop") if stands(of, s)}


def stands(of: Input, made: Record) -> bool:
    said = made.before.reason if made.before else ""
    if said == "Resumed":
        return False
    named = any(made.spec.role in roles or not roles for roles in of.stop_roles.values())
    later_ = {r.spec.role for r in authentic(of, "Resume") if r.created > made.created}
    resumed = bool(of.stop_roles) and all(later_ & set(roles) for roles in of.stop_roles.values())
    return (named or said == "Counted") and not resumed


@law
@for_all(inputs(), TIMES, ROLES, DAYS)
def test_invariant_5_while_a_stop_stands_nothing_runs_and_nothing_is_let_through(of: Input, now: datetime, role: str, at: float) -> None:
    of = replace(of, records=(*of.records, stop("ida", role, at)))
    assume(standing(of))
    for decision in (decide(of, now), deregistered(of, now)):
        ended = {r.pod for r in decision.removals}
        assert live(decision, now) == []
        assert decision.releases == ()
        assert ended == ({p.name for p in of.pods if not p.held and not p.going} if of.governed else set())
    assert not of.governed or decide(of, now).status.phase == "Stopped"


@law
@for_all(inputs(), TIMES, procedures("other"), st.booleans())
def test_invariant_5_whoever_has_another_procedure_apply_sheds_no_stop(of: Input, now: datetime, other: Procedure, early: bool) -> None:
    """early: before anybody had judged the Stop."""
    rules = [p for p in of.procedures if isinstance(p, Procedure) and p.spec.stop and "cto" in p.spec.stop.roles]
    assume(rules and isinstance(of.spec, type(spec())))
    known = carried_out(replace(of, records=tuple(r for r in of.records if r.spec.decision not in ("Stop", "Resume"))), now)
    stopped = replace(known, records=(*known.records, stop("ida", "cto", 0)))
    roles = other.spec.stop.roles if other.spec.stop else []
    resumed = [resume("eve", role, 13, name=f"resume-{role}") for role in roles if not any(role in p.spec.stop.roles for p in rules if p.spec.stop)]
    now_ = moved(stopped if early else carried_out(stopped, now), other, left=rules)
    decision = decide(replace(now_, records=(*now_.records, *resumed)), day(14))
    assert live(decision, day(14)) == []
    assert not of.governed or decision.status.phase == "Stopped"


@law
@for_all(inputs(), TIMES)
def test_a_stop_bears_its_mark_as_long_as_it_stands(of: Input, now: datetime) -> None:
    wanted = standing(of) if of.governed else set()
    for decision in (decide(of, now), deregistered(of, now)):
        marked = {r.name: decision.marks.get(r.name, r.marked) for r in of.records if r.spec.decision == "Stop"}
        assert {name for name, mark in marked.items() if mark} == wanted
        assert all(decision.marks[r.name] != r.marked for r in of.records if r.name in decision.marks)


@law
@for_all(inputs(), TIMES, ROLES, DAYS)
def test_a_stop_more_lets_nothing_through_that_was_not(of: Input, now: datetime, role: str, at: float) -> None:
    never_longer(of, replace(of, records=(*of.records, stop("ida", role, at))), now)


@law
@for_all(inputs(), TIMES, ROLES, DAYS, ROLES)
def test_an_emergency_taken_back_clears_nothing(of: Input, now: datetime, role: str, at: float, taken: str) -> None:
    of = change(of, emergency("ida", role, at)) if isinstance(of.spec, type(spec())) else of
    taker = record("Withdraw", "dave", taken, 0, name="w", withdraws="emergency-ida")
    never_longer(of, replace(of, records=(*of.records, taker)), now)


def never_longer(of: Input, more: Input, now: datetime) -> None:
    """Whatever of the current subject is live with the record more was live without it, and at least as long."""
    assume(isinstance(of.spec, type(spec())))
    current = fingerprint(of)
    without, with_ = ({str(e.template): e.valid_until or FOREVER for e in live(decide(x, now), now) if e.fingerprint == current} for x in (of, more))
    assert {w: end for w, end in with_.items() if w not in without or end > without[w]} == {}


@law
@for_all(inputs(), TIMES)
def test_without_a_stop_a_resume_means_nothing(of: Input, now: datetime) -> None:
    bare = replace(of, records=tuple(r for r in of.records if r.spec.decision not in ("Stop", "Resume")))
    more = replace(bare, records=(*bare.records, resume("ida", "cto", 1)))
    one, other = decide(bare, now), decide(more, now)
    assert replace(other, records={k: v for k, v in other.records.items() if k != "resume-ida"}) == one


@law
@for_all(inputs(), TIMES)
def test_after_the_resume_everything_is_as_if_nobody_had_stopped_it(of: Input, now: datetime) -> None:
    """What is let through then, Stop and Resume left aside: the pods of what served before may have gone meanwhile, and so may their entries."""
    assume(isinstance(of.spec, type(spec())) and not of.unreadable and of.stop_roles and all(of.stop_roles.values()))
    bare = replace(of, records=tuple(r for r in of.records if r.spec.decision not in ("Stop", "Resume")))
    people = [resume("ida", roles[0], 12.6, name=f"resume-{n}") for n, roles in enumerate(of.stop_roles.values())]
    stopped = carried_out(replace(bare, records=(*bare.records, stop("ida", next(iter(of.stop_roles.values()))[0], 0))), now)
    resumed = decide(replace(stopped, records=(*stopped.records, *people)), day(13))
    untouched = decide(carried_out(bare, now), day(13))
    current = fingerprint(of)
    assert own(resumed, current) == own(untouched, current)


def own(decision: Decision, current: str) -> list[tuple[str, datetime | None]]:
    return [(str(e.template), e.valid_until) for e in live(decision, day(13)) if e.audit or e.fingerprint == current]


@law
@for_all(inputs(), TIMES)
def test_what_is_live_has_its_approvals_or_an_emergency_of_exactly_this_subject(of: Input, now: datetime) -> None:
    """Without the Emergencies, and without the approvals of the subject, the current one is not live."""
    assume(isinstance(of.spec, type(spec())) and not of.unreadable)
    current = fingerprint(of)
    bare = replace(of, records=tuple(r for r in of.records if r.spec.subject != current or r.spec.decision not in ("Approve", "Emergency")))
    assert [e for e in live(decide(bare, now), now) if e.fingerprint == current] == []


@law
@for_all(inputs(), TIMES)
def test_an_emergency_clears_no_longer_than_the_procedure_lets_it(of: Input, now: datetime) -> None:
    assume(isinstance(of.spec, type(spec())))
    current = fingerprint(of)
    bare = replace(of, records=tuple(r for r in of.records if r.spec.decision != "Approve" or r.spec.reviews))
    enforced = [p for p in bare.procedures if isinstance(p, Procedure) and p.spec.enforcement is Enforcement.ENFORCE]
    made = [r for r in authentic(bare, "Emergency") if r.spec.subject == current]
    for entry in (e for e in live(decide(bare, now), now) if e.fingerprint == current):
        assert enforced
        for rule in enforced:
            glass = rule.spec.emergency
            assert glass
            ends = [later(r.created, glass.max_duration) for r in made if r.spec.role in glass.roles]
            assert (entry.valid_until or FOREVER) <= max(ends)


@law
@for_all(inputs(), TIMES)
def test_the_editor_approves_nothing_that_asks_for_others(of: Input, now: datetime) -> None:
    strict = tuple(
        Procedure(p.name, p.spec.model_validate(p.spec.dump() | {"approvals": p.spec.approvals.dump() | {"separationOfDuties": "DistinctFromEditors"}}))
        for p in of.procedures
        if isinstance(p, Procedure)
    )
    assume(strict and isinstance(of.spec, type(spec())))
    of = replace(of, procedures=strict, editors=("alice",))
    without = replace(of, records=tuple(r for r in of.records if r.spec.decision != "Approve" or r.spec.reviews or r.person != "alice"))
    current = fingerprint(of)
    assert [e for e in live(decide(of, now), now) if e.fingerprint == current] == [e for e in live(decide(without, now), now) if e.fingerprint == current]


@law
@for_all(inputs(), TIMES)
def test_deciding_twice_changes_nothing(of: Input, now: datetime) -> None:
    first = decide(of, now)
    again = decide(fed(of, first), now)
    assert [r.pod for r in again.removals] == [r.pod for r in first.removals]  # why is told once, of what was there before
    assert again == replace(first, told=(), removals=again.removals)


@law
@for_all(inputs(), TIMES, st.floats(0, 1))
def test_nothing_changes_before_the_wake_up(of: Input, now: datetime, share: float) -> None:
    stored = fed(of, decide(of, now))
    decision = decide(stored, now)
    end = min(decision.wake or FOREVER, day(200_000))
    assert decide(stored, min(now + share * (end - now), end - timedelta(microseconds=1))) == decision


@law
@for_all(inputs(), TIMES, st.randoms(use_true_random=False))
def test_no_order_of_records_matters(of: Input, now: datetime, random: Random) -> None:
    other = replace(of, records=tuple(random.sample(of.records, len(of.records))), procedures=tuple(random.sample(of.procedures, len(of.procedures))))
    assert decide(other, now) == decide(of, now)


@law
@for_all(inputs(), TIMES)
def test_carrying_out_comes_to_rest(of: Input, now: datetime) -> None:
    for _ in range(4):
        decision = decide(of, now)
        let = {r.pod for r in decision.releases}
        of = carried_out(replace(of, pods=tuple(replace(p, held=p.held and p.name not in let) for p in of.pods)), now)
    rest = decide(of, now)
    assert (rest.releases, rest.removals, rest.marks, rest.told) == ((), (), {}, ())


@law
@for_all(inputs(), TIMES)
def test_what_is_decided_can_be_stored(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    assert fed(of, decision).entries == decision.entries
    assert fed(of, decision).before == decision.status
    assert all(len(t.note.encode()) <= 1024 for t in decision.told)
