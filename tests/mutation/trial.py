"""One mutant tried: a copy of this process, in which a function is another one, runs the tests that reach it, and ends at the first that fails."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from tests.mutation.collected import Case
from tests.mutation.forked import TooLong, forked
from tests.mutation.swap import Swap


class Fate(Enum):
    """What became of a mutant. SLOW: nobody knows, for its tests did not end in time. NOT_TRIED: it changes a default, or what runs at no other time."""

    FOUND = "found"
    SURVIVED = "survived"
    SLOW = "took too long"
    KNOWN = "known to change nothing"
    NOT_TRIED = "not tried, for they run as their module is loaded"


def fate(swap: Swap, cases: Sequence[Case], seconds: float) -> Fate:
    """What the tests say of the mutant, in this order. seconds: of the processor."""
    try:
        return Fate.SURVIVED if forked(lambda: _all_pass(swap, cases), seconds) == Fate.SURVIVED.value else Fate.FOUND
    except TooLong:
        return Fate.SLOW


def _all_pass(swap: Swap, cases: Sequence[Case]) -> str:
    swap.make()
    return Fate.SURVIVED.value if all(case.passes() for case in cases) else Fate.FOUND.value
