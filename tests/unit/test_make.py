"""CONTRIBUTING.md lists what `make` can do, in the words of `make help`."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_target_is_in_the_table() -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^\| `make ([a-z0-9-]+)` \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert listed == [(name, does.replace("$$", "$")) for name, does in targets]
