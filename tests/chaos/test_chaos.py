"""Random faults against random acts: whatever the order, nothing runs that people did not approve, and in the end everything is as they decided."""

from __future__ import annotations

from tests.chaos.run import run
from tests.chaos.stage import Stage


def test_seed(stage: Stage, seed: int) -> None:
    """Invariants 1 to 9 and 12 after every step. A seed that fails tells its whole story."""
    run(stage, seed)
