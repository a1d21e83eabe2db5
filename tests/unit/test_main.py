"""The operator as a process, before it has a cluster."""

from __future__ import annotations

from typing import Any

import aiohttp
import kopf
import pytest

from aiqms.main import Operator, run, serve
from aiqms.settings import Settings
from tests.testbed.embedded import HOST, free_ports


async def test_kopf_is_told_who_the_operator_is_so_that_its_user_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chart's user 65532 has none in an image such as docs/platform.md makes."""
    given: dict[str, Any] = {}

    async def operator(**options: Any) -> None:
        given.update(options)

    monkeypatch.setattr(kopf, "operator", operator)
    assert await run(Settings(identity="aiqms-operator-7")) == 0
    assert given["identity"] == "aiqms-operator-7"


async def test_metrics_are_all_served_or_those_that_are_named() -> None:
    """All that there is to say of ten thousand deployments takes a tenth of a second."""
    (port,) = free_ports(1)
    runner = await serve(Operator(Settings(port=port)))
    try:
        async with aiohttp.ClientSession() as session:
            texts = [await (await session.get(f"http://{HOST}:{port}/metrics{query}")).text() for query in ("", "?name[]=aiqms_leader")]
    finally:
        await runner.cleanup()
    assert "\naiqms_queue_length " in texts[0]
    assert [line for line in texts[1].splitlines() if not line.startswith("#")] == ["aiqms_leader 0.0"]
