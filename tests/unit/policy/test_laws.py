"""Laws that hold for any Input. The quorum is worked out here once more, by trying, so that the core is not its own witness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from hypothesis import assume, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api.clearance import Entry, Term
from aiqms.api.procedure import Enforcement, SeparationOfDuties
from aiqms.api.values import FOREVER, duration
from aiqms.policy.clearing import is_live
from aiqms.policy.decide import decide, deregistered
from aiqms.policy.facts import Broken, Decision, Input, PodFacts, Procedure, Record
from aiqms.policy.procedures import term
from tests.unit.policy.given import change, day, fed, record, reject
from tests.unit.policy.inputs import PEOPLE, ROLES, TIMES, inputs

T = TypeVar("T")
law = settings(deadline=None, max_examples=100, derandomize=True)


def live(decision: Decision, at: datetime) -> list[Entry]:
    """What admission lets through, Audit aside."""
    return [e for e in decision.entries if not e.audit and is_live(e, at)]


def counting(of: Input, subject: str, now: datetime, term_: Term) -> list[Record]:
    """By the letter of invariant 3: authenticated, holding the role, for this subject, in time, not taken back."""
    roles = {r.role: r for r in term_.roles}
    return [
        r
        for r in of.records
        if r.spec.decision == "Approve"
        and r.spec.subject == subject
        and r.spec.role in roles
        and r.spec.approver
        and r.spec.approver.authorized
        and (r.spec.expires is None or now < r.spec.expires)
        and ((valid_for := roles[r.spec.role].valid_for) is None or now - r.created < duration(valid_for))
        and not taken_back(r, of.records)
    ]


def taken_back(target: Record, records: Iterable[Record]) -> bool:
    """By its author, or by whoever held the right on its role."""
    takers = [r for r in records if r.spec.decision == "Withdraw" and r.spec.withdraws == target.name and r.spec.approver]
    return any(t.person == target.person or (t.spec.approver and t.spec.approver.authorized and t.spec.role == target.spec.role) for t in takers)


def rejected(of: Input, subject: str, term_: Term) -> bool:
    """Whether a rejection by one of the term's roles stands."""
    against = [r for r in of.records if r.spec.decision == "Reject" and r.spec.subject == subject and r.spec.role in {x.role for x in term_.roles}]
    return any(r.spec.approver and r.spec.approver.authorized and not taken_back(r, of.records) for r in against)


def full(term_: Term, approvals: Sequence[Record]) -> bool:
    """Whether people can be found for every place, by trying one place after the other."""
    by_role = {r.role: {a.person for a in approvals if a.spec.role == r.role} for r in term_.roles}
    if term_.separation_of_duties is SeparationOfDuties.NONE:
        return all(len(by_role[r.role]) >= r.count for r in term_.roles)
    return seated([r.role for r in term_.roles for _ in range(r.count)], by_role, frozenset())


def seated(places: Sequence[str], by_role: dict[str, set[str]], sitting: frozenset[str]) -> bool:
    if not places:
        return True
    if len(places) > len(set().union(*by_role.values()) - sitting):
        return False
    return any(seated(places[1:], by_role, sitting | {person}) for person in by_role[places[0]] - sitting)


@law
@for_all(inputs(), TIMES)
def test_invariant_3_what_is_live_has_its_full_quorum_now(of: Input, now: datetime) -> None:
    for entry in live(decide(of, now), now):
        assert entry.terms
        for each in entry.terms:
            assert full(each, counting(of, entry.fingerprint or "", now, each))
            assert not rejected(of, entry.fingerprint or "", each)


@law
@for_all(inputs(), TIMES)
def test_invariant_3_what_is_live_stays_full_to_the_end_of_its_permission(of: Input, now: datetime) -> None:
    for entry in live(decide(of, now), now):
        assert entry.valid_until
        last = entry.valid_until - timedelta(microseconds=1)
        assert all(full(each, counting(of, entry.fingerprint or "", last, each)) for each in entry.terms or [])


@law
@for_all(inputs(), TIMES)
def test_the_current_subject_is_live_only_under_every_procedure_in_force(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    own = decision.status.subject.fingerprint if decision.status.subject else ""
    readable = not of.unreadable and not isinstance(of.spec, Broken) and all(isinstance(p, Procedure) for p in of.procedures)
    enforced = [term(p) for p in of.procedures if isinstance(p, Procedure) and p.spec.enforcement is Enforcement.ENFORCE]
    if readable and own in {e.fingerprint for e in live(decision, now)}:
        assert enforced
        assert all(full(t, counting(of, own, now, t)) for t in enforced)


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
    then = min(now + share * (end - now), end - timedelta(microseconds=1))
    assert decide(stored, then) == decision


@law
@for_all(inputs(), TIMES, st.randoms(use_true_random=False))
def test_no_order_of_facts_matters(of: Input, now: datetime, random: Random) -> None:
    other = replace(
        of,
        records=shuffled(of.records, random),
        workloads=shuffled(of.workloads, random),
        procedures=shuffled(of.procedures, random),
        pods=shuffled(of.pods, random),
    )
    assert decide(other, now) == decide(of, now)


def shuffled(each: Sequence[T], random: Random) -> tuple[T, ...]:
    return tuple(random.sample(each, len(each)))


@law
@for_all(inputs(), TIMES, st.integers(0, 7), PEOPLE, st.sampled_from(ROLES))
def test_withdrawing_an_approval_never_clears(of: Input, now: datetime, number: int, person: str, role: str) -> None:
    targets = [r for r in of.records if r.spec.decision == "Approve"]
    assume(targets)
    target = targets[number % len(targets)]
    more = replace(of, records=(*of.records, record("Withdraw", person, role, 0, name="w", of=target.spec.subject or "", withdraws=target.name)))
    never_longer(of, more, target.spec.subject or "", now)


@law
@for_all(inputs(), TIMES, st.integers(0, 7), PEOPLE, st.sampled_from(ROLES))
def test_rejecting_never_clears(of: Input, now: datetime, number: int, person: str, role: str) -> None:
    subjects = sorted({r.spec.subject or "" for r in of.records} | {e.fingerprint for e in of.entries if e.fingerprint})
    assume(subjects)
    about = subjects[number % len(subjects)]
    never_longer(of, replace(of, records=(*of.records, reject(person, role, name="no", of=about))), about, now)


def never_longer(of: Input, more: Input, subject: str, now: datetime) -> None:
    """Whatever of the subject is live with the record more was live without it, and at least as long."""
    without, with_ = ({word(e): e.valid_until or FOREVER for e in live(decide(x, now), now) if e.fingerprint == subject} for x in (of, more))
    assert {w: end for w, end in with_.items() if w not in without or end > without[w]} == {}


def word(entry: Entry) -> str:
    return str(entry.template)


@law
@for_all(inputs(), TIMES)
def test_invariant_3_an_approval_counts_for_exactly_its_subject(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    own = decision.status.subject.fingerprint if decision.status.subject else None
    only = replace(of, records=tuple(r for r in of.records if r.spec.decision == "Withdraw" or r.spec.subject == own))
    assert [e for e in live(decide(only, now), now) if e.fingerprint == own] == [e for e in live(decision, now) if e.fingerprint == own]


@law
@for_all(inputs(), TIMES)
def test_only_pods_that_run_or_are_stuck_are_ended(of: Input, now: datetime) -> None:
    pods = {p.name: p for p in of.pods}
    for decision in (decide(of, now), deregistered(of, now)):
        ended = [pods[r.pod] for r in decision.removals]
        assert [p.name for p in ended if p.before or p.going or (p.held and not p.outdated)] == []
        assert not (ended and not of.governed)


@law
@for_all(inputs(), TIMES)
def test_invariant_1_only_equal_pods_are_let_go(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    let = {p.name: p for p in of.pods if p.name in {r.pod for r in decision.releases}}
    audit = any(e.audit for e in decision.entries)
    assert all(p.held and not p.going for p in let.values())
    assert [
        r for r in decision.releases if not audit and (let[r.pod].template, r.fingerprint) not in [(e.template, e.fingerprint) for e in live(decision, now)]
    ] == []
    assert not (decision.entries and not of.governed)


@law
@for_all(inputs(), TIMES)
def test_invariant_1_what_runs_uncovered_is_ended_or_has_time(of: Input, now: datetime) -> None:
    """No restriction is lost: a pod that runs, younger than the Clearance, is covered by an entry, ended, or spared as of a former registration."""
    decision = decide(of, now)
    known = [e.template for e in decision.entries if not e.audit]
    audit = any(e.audit for e in decision.entries)
    loose = [p.name for p in of.pods if not (p.held or p.going or p.before) and p.template not in known]
    spared = audit or decision.orphan is not None or not of.governed
    assert spared or {r.pod for r in decision.removals} >= set(loose)


@law
@for_all(inputs(), TIMES)
def test_carrying_out_comes_to_rest(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    for _ in range(4):
        stored = replace(fed(of, decision), pods=tuple(carried_out(of.pods, decision)))
        of, decision = stored, decide(stored, now)
    assert (decision.releases, decision.removals, decision.told) == ((), (), ())
    assert decide(fed(of, decision), now) == decision


def carried_out(pods: Iterable[PodFacts], decision: Decision) -> list[PodFacts]:
    """The pods as they are once those let go run and those ended are gone."""
    let, ended = {r.pod for r in decision.releases}, {r.pod for r in decision.removals}
    return [replace(p, held=False, outdated=False, differs=()) if p.name in let else p for p in pods if p.name not in ended]


@law
@for_all(inputs(), TIMES)
def test_a_deleted_entry_decided_twice_changes_nothing(of: Input, now: datetime) -> None:
    first = deregistered(of, now)
    stored = change(fed(of, first), entries=())
    assert deregistered(stored, now) == replace(first, orphan=first.orphan)


@law
@for_all(inputs(), TIMES)
def test_what_is_decided_can_be_stored(of: Input, now: datetime) -> None:
    """Every bound of the schemas is kept: model_copy does not ask."""
    decision = decide(of, now)
    assert fed(of, decision).entries == decision.entries
    assert fed(of, decision).before == decision.status
    assert all(len(t.note.encode()) <= 1024 for t in decision.told)


@law
@for_all(inputs(), TIMES, TIMES)
def test_time_alone_never_spares_what_it_stopped_nor_clears(of: Input, one: datetime, other: datetime) -> None:
    now, then = sorted((one, other))
    first = decide(of, now)
    second = decide(fed(of, first), then)
    assert {r.pod for r in first.removals} <= {r.pod for r in second.removals}
    assert {(e.fingerprint, word(e)) for e in live(second, then)} <= {(e.fingerprint, word(e)) for e in live(first, now)}


@law
@for_all(inputs(), TIMES)
def test_ready_means_that_the_current_subject_is_let_through(of: Input, now: datetime) -> None:
    decision = decide(of, now)
    own = decision.status.subject.fingerprint if decision.status.subject else None
    (said,) = [c for c in decision.status.conditions if c.type == "Ready"]
    passing = any(e.audit for e in decision.entries) or own in {e.fingerprint for e in live(decision, now)}
    assert said.status == "False" or (decision.status.phase == "Running" and passing)
    assert (decision.status.phase == "Running") == passing or decision.status.phase in ("Retired", "Prohibited")
