"""The operator as a process, before it has a cluster."""

from __future__ import annotations

from typing import Any

import kopf
import pytest

from aiqms.main import run
from aiqms.settings import Settings


async def test_kopf_is_told_who_the_operator_is_so_that_its_user_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart's user 65532 has none in an image such as docs/platform.md makes."""
    given: dict[str, Any] = {}

    async def operator(**options: Any) -> None:
        given.update(options)

    monkeypatch.setattr(kopf, "operator", operator)
    assert await run(Settings(identity="aiqms-operator-7")) == 0
    assert given["identity"] == "aiqms-operator-7"
