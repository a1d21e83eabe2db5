"""Replay seeds: python -m tests.chaos SEED [SEED…], or FIRST-LAST."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable

from tests.chaos.run import SeedFailed, run
from tests.chaos.stage import staged


def seeds(words: Iterable[str]) -> list[int]:
    """The seeds that the words name."""
    return [n for word in words for first, _, last in [word.partition("-")] for n in range(int(first), int(last or first) + 1)]


def main(words: list[str]) -> int:
    """Run them one after the other on one cluster; the number of those that failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever ends it wants the cluster gone too
    failed = 0
    with staged() as stage:
        for seed in seeds(words):
            try:
                story = run(stage, seed)
                print(story if len(words) == 1 and "-" not in words[0] else f"seed {seed} {story.lines[-1].strip()}", flush=True)
            except SeedFailed as error:
                failed += 1
                print(error, flush=True)
    print(f"{failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 100))
