"""Mutants that no test notices, each with the reason, as they are listed: MUTANT  # REASON, one a line."""

from __future__ import annotations

from pathlib import Path


def known(path: Path) -> dict[str, str]:
    """Mutant -> why nothing notices it."""
    pairs = [line.partition("  # ") for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {mutant: why for mutant, _, why in pairs}
