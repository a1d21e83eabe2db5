"""What is known of a log sink after each check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from aiqms.api.conditions import Reason
from aiqms.policy.logs import Checked, Trouble
from tests.unit.policy.given import day
from tests.unit.policy.sinks import GOOD, WAYS, ask, proof, sample

TROUBLE = Trouble(Reason.SINK_UNREACHABLE, "it did not answer within 10 s")
MUTE = proof(delivery=None)
LATER = replace(WAYS, route="through collector https://otel.bank.example", seconds=3.0)
NEW = Checked(since=day(0))
KNOWN = Checked(GOOD, ask(), day(1), WAYS, day(1), since=day(0))
SAMPLED = replace(KNOWN, proof=proof(sample=sample()))

AFTER: dict[str, tuple[Callable[[], Checked], Checked]] = {
    "the first answer": (lambda: NEW.answered(GOOD, ask(), day(1)), KNOWN),
    "a later answer with a canary": (
        lambda: KNOWN.answered(proof(delivery=LATER), ask(), day(2)), Checked(proof(delivery=LATER), ask(), day(2), LATER, day(2), since=day(0)),
    ),
    "a later answer without one: the last that came back is remembered": (
        lambda: KNOWN.answered(MUTE, ask(), day(2)), Checked(MUTE, ask(), day(2), WAYS, day(1), since=day(0)),
    ),
    "a later answer without a sample": (lambda: SAMPLED.answered(GOOD, ask(), day(1)), KNOWN),
    "a check that could not be made: the last answer is remembered": (
        lambda: KNOWN.unanswered(TROUBLE), Checked(GOOD, ask(), day(1), WAYS, day(1), (TROUBLE.reason, TROUBLE.message), day(0)),
    ),
    "an answer after it: the trouble is over": (lambda: KNOWN.unanswered(TROUBLE).answered(GOOD, ask(), day(1)), KNOWN),
}  # fmt: skip


@pytest.mark.parametrize(("found", "known"), AFTER.values(), ids=AFTER.keys())
def test_what_is_known(found: Callable[[], Checked], known: Checked) -> None:
    assert found() == known


SAYS = {
    "the same at another time": (KNOWN.answered(GOOD, ask(), day(2)), True),
    "a canary that took longer": (KNOWN.answered(proof(delivery=replace(WAYS, seconds=9.0)), ask(), day(2)), True),
    "a canary that came another way": (KNOWN.answered(proof(delivery=LATER), ask(), day(2)), False),
    "no canary": (KNOWN.answered(MUTE, ask(), day(2)), False),
    "another answer": (KNOWN.answered(proof(kept=None), ask(), day(2)), False),
    "more that was asked": (KNOWN.answered(GOOD, ask(fields=("subject",)), day(2)), False),
    "a check that could not be made": (KNOWN.unanswered(TROUBLE), False),
    "nothing yet": (NEW, False),
}


@pytest.mark.parametrize(("found", "same"), SAYS.values(), ids=SAYS.keys())
def test_who_is_told_anew(found: Checked, same: bool) -> None:
    assert (found.says() == KNOWN.says()) is same
