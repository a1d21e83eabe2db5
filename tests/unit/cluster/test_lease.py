"""A leader whose Lease may be another one's by now writes nothing, and does not wait for an answer that never comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import pytest
from kubernetes.aio.client import Configuration

from aiqms.cluster import lease
from aiqms.cluster.client import Client, NotLeading
from aiqms.cluster.lease import Lease


@pytest.fixture
async def asked() -> AsyncIterator[tuple[Client, list[bytes]]]:
    """A client of a server that takes requests and never answers, and what it was asked."""
    heard: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        await reader.read()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    client = Client(Configuration(host=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    yield client, heard
    await client.close()
    server.close()


WRITES: dict[str, Callable[[Client], Awaitable[object]]] = {
    "create": lambda c: c.create("/events", {}),
    "replace": lambda c: c.replace("/one", {}),
    "apply": lambda c: c.apply("/one", {}),
    "merge": lambda c: c.merge("/one", {}),
    "delete": lambda c: c.delete("/one", uid="1"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_no_write_is_sent_after_the_deadline(asked: tuple[Client, list[bytes]], write: Callable[[Client], Awaitable[object]]) -> None:
    client, heard = asked
    with pytest.raises(NotLeading):
        await write(client.fenced(lambda: 0.0))
    assert heard == []


async def test_a_write_that_is_under_way_is_given_up_at_the_deadline(asked: tuple[Client, list[bytes]]) -> None:
    client, heard = asked
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.fenced(lambda: 0.1).apply("/one", {}), timeout=10)
    assert [line.split()[0] for line in heard] == [b"PATCH"]


async def test_whoever_never_held_the_lease_may_not_write(asked: tuple[Client, list[bytes]]) -> None:
    assert Lease(asked[0], "aiqms-system", "aiqms-operator", "one").left() < 0


async def test_renewing_ends_at_the_deadline_where_no_answer_comes(asked: tuple[Client, list[bytes]]) -> None:
    """A request may wait for its answer for 30 s, and another one leads after 10."""
    client, heard = asked
    held = Lease(client, "aiqms-system", "aiqms-operator", "one", _renewed=monotonic() - lease.DEADLINE + lease.EVERY + 0.2)
    await asyncio.wait_for(held.keep(), timeout=lease.EVERY + 5)
    assert [line.split()[0] for line in heard] == [b"GET"]
    assert held.left() <= 0


def test_the_other_leads_before_15_seconds_are_over_and_after_the_first_has_ended() -> None:
    assert lease.DEADLINE < lease.DURATION
    assert lease.DURATION + 2 * lease.EVERY < 15
