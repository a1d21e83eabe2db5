"""When the operator goes on putting its NetworkPolicy right, and when it leaves it to whoever else writes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from aiqms.policy.contest import REPAIRS, WINDOW, Guard, contest, failed, looked, wrote
from aiqms.policy.networks import Contest, Failing, Stored
from tests.unit.policy.given import START

OURS = Stored("aiqms-credit-scoring", {}, uid="own", version="1", ours=True)


def second(number: float) -> datetime:
    """That many seconds after START."""
    return START + timedelta(seconds=number)


def changed(version: int, by: str = "kubectl-patch") -> Stored:
    """Ours, as somebody left it."""
    return replace(OURS, version=str(version), changer=by)


def fought(times: int, every: float = 1) -> Guard:
    """Somebody changed it so often, and each time it was put right."""
    guard = wrote(Guard(), OURS, {}, second(0), repair=False)
    for n in range(1, times + 1):
        guard = looked(guard, changed(2 * n), second(n * every), right=False)
        assert contest(guard, changed(2 * n)) is None
        guard = wrote(guard, replace(OURS, version=str(2 * n + 1)), {}, second(n * every), repair=True)
    return guard


def test_five_changes_in_a_minute_are_put_right_and_the_sixth_is_left() -> None:
    guard = looked(fought(REPAIRS), changed(100), second(6), right=False)
    assert contest(guard, changed(100)) == Contest("kubectl-patch", second(66))


def test_six_in_more_than_a_minute_are_put_right() -> None:
    assert contest(looked(fought(REPAIRS, every=12), changed(100), second(72), right=False), changed(100)) is None


def test_it_is_left_while_the_other_goes_on() -> None:
    guard = looked(fought(REPAIRS), changed(100), second(6), right=False)
    guard = looked(guard, changed(101), second(65), right=False)
    assert contest(guard, changed(101)) == Contest("kubectl-patch", second(125))


def test_it_is_taken_up_again_a_minute_after_the_last_change() -> None:
    guard = looked(fought(REPAIRS), changed(100), second(6), right=False)
    assert contest(looked(guard, changed(100), second(65.9), right=False), changed(100)) is not None
    assert contest(looked(guard, changed(100), second(66), right=False), changed(100)) is None


def test_after_a_trial_that_did_not_help_it_is_left_for_another_minute() -> None:
    guard = looked(looked(fought(REPAIRS), changed(100), second(6), right=False), changed(100), second(66), right=False)
    guard = wrote(guard, changed(101), {}, second(66), repair=True)
    assert contest(guard, changed(101)) == Contest("kubectl-patch", second(126))
    assert contest(looked(guard, changed(101), second(67), right=False), changed(101)) == Contest("kubectl-patch", second(126))


def test_after_a_trial_that_helped_it_counts_anew() -> None:
    guard = looked(looked(fought(REPAIRS), changed(100), second(6), right=False), changed(100), second(66), right=False)
    guard = looked(wrote(guard, changed(101), {}, second(66), repair=True), changed(101), second(67), right=True)
    assert contest(looked(guard, changed(102), second(68), right=False), changed(102)) is None


def test_the_contest_is_over_when_the_other_put_it_right() -> None:
    guard = looked(fought(REPAIRS), changed(100), second(6), right=False)
    guard = looked(guard, changed(101), second(7), right=True)
    assert contest(guard, changed(101)) is None
    assert contest(looked(guard, changed(102), second(8), right=False), changed(102)) is None


def test_that_it_is_right_between_two_changes_makes_them_no_fewer() -> None:
    guard = looked(fought(REPAIRS), OURS, second(5.5), right=True)
    assert contest(looked(guard, changed(100), second(6), right=False), changed(100)) == Contest("kubectl-patch", second(66))


def test_a_look_at_what_is_left_is_no_change_of_it() -> None:
    guard = looked(fought(REPAIRS), changed(100), second(6), right=False)
    guard = looked(guard, changed(100), second(30), right=False)
    assert contest(guard, changed(100)) == Contest("kubectl-patch", second(66))
    assert contest(looked(guard, changed(100), second(66), right=False), changed(100)) is None


def test_what_the_register_changes_is_no_repair() -> None:
    guard = Guard()
    for n in range(20):
        guard = wrote(looked(guard, replace(OURS, version=str(n)), second(n), right=False), replace(OURS, version=str(n + 1)), {}, second(n), repair=False)
    assert contest(guard, OURS) is None


def test_a_webhook_that_changes_what_is_written_as_it_is_stored_is_left_too() -> None:
    guard = wrote(Guard(), OURS, {}, second(0), repair=False)
    for n in range(1, REPAIRS + 1):
        stored = changed(n, by="")
        guard = wrote(looked(guard, replace(stored, version=guard.version), second(n), right=False), stored, {}, second(n), repair=True)
    assert contest(looked(guard, changed(REPAIRS, by=""), second(6), right=False), changed(REPAIRS, by="")) == Contest("somebody", second(66))


def test_one_that_is_deleted_again_and_again_is_left_too() -> None:
    guard = looked(fought(REPAIRS), None, second(6), right=False)
    assert contest(guard, None) == Contest("somebody", second(66))


def test_who_applies_it_too_is_named_at_once() -> None:
    assert contest(Guard(), replace(OURS, appliers=("argocd-controller",))) == Contest("argocd-controller")


def test_an_object_of_somebody_else_by_that_name_is_not_written() -> None:
    assert contest(Guard(), replace(OURS, ours=False, changer="kubectl-create")) == Contest("kubectl-create", theirs=True)


def test_where_nobody_noted_who_made_or_changed_it_that_is_somebody() -> None:
    guard = looked(fought(REPAIRS), changed(100, by=""), second(6), right=False)
    assert contest(guard, changed(100, by="")) == Contest("somebody", second(66))
    assert contest(Guard(), replace(OURS, ours=False)) == Contest("somebody", theirs=True)


def test_one_that_lost_every_mark_is_still_the_one_that_was_written() -> None:
    assert contest(wrote(Guard(), OURS, {}, second(0), repair=False), replace(OURS, ours=False, changer="kubectl-replace")) is None


def test_a_failure_counts_from_the_first_try_and_ends_with_a_write_or_a_look() -> None:
    guard = failed(failed(Guard(), "timed out", second(1)), "403", second(9))
    assert guard.failing == Failing(second(1), "403")
    assert wrote(guard, OURS, {}, second(10), repair=False).failing is None
    assert looked(guard, OURS, second(10), right=True).failing is None


@settings(deadline=None, max_examples=100, derandomize=True)
@for_all(st.lists(st.floats(0.01, 30), min_size=1, max_size=80))
def test_however_often_it_is_changed_no_minute_has_more_than_five_repairs(pauses: list[float]) -> None:
    guard, now, writes = wrote(Guard(), OURS, {}, second(0), repair=False), 0.0, list[datetime]()
    for n, pause in enumerate(pauses):
        now += pause
        guard = looked(guard, changed(2 * n + 2), second(now), right=False)
        if contest(guard, changed(2 * n + 2)) is None:
            guard = wrote(guard, replace(OURS, version=str(2 * n + 3)), {}, second(now), repair=True)
            writes.append(second(now))
    assert [at for at in writes if sum(at <= other < at + WINDOW for other in writes) > REPAIRS] == []
