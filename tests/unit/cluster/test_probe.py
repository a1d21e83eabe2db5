"""The network probe on real sockets of this machine: what the operator finds when servers answer, do not answer, or are something else."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import pytest

from aiqms.cluster.probe import Patience, dial
from aiqms.policy.networks import Outcome, Probe
from aiqms.probe import ANSWER, Server, report, said
from tests.unit.policy.given import START

HOST = "127.0.0.1"
QUICK = Patience(answer=0.5, again=(0.05, 0.05), lately=0.2)


@contextlib.asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    """The server at a port of this machine."""
    async with await asyncio.start_server(server.serve, HOST, 0) as made:
        yield made.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def shut_off() -> AsyncIterator[int]:
    """A port at which nothing answers, as behind a policy: the connection is taken and nothing is said."""
    silent = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(mute, HOST, 0) as made:
        yield made.sockets[0].getsockname()[1]
        silent.set()


@contextlib.asynccontextmanager
async def living(open_port: int, port: int, times: int = 100) -> AsyncIterator[None]:
    """The server of that port says that it lives, so many times."""

    async def told() -> None:
        for _ in range(times):
            await said(HOST, open_port, f"here {port}")
            await asyncio.sleep(0.05)

    task = asyncio.create_task(told())
    await asyncio.sleep(0.1)
    yield
    task.cancel()


async def probed(port: int) -> Probe:
    return await dial(f"{HOST}:{port}", QUICK)(START)


async def test_the_open_one_answers_and_the_other_does_not_verified() -> None:
    async with serving(Server(lately=0.2)) as port, shut_off() as other, living(port, other):
        assert await probed(port) == Probe(Outcome.ENFORCED, START)


async def test_a_port_that_refuses_is_shut_off_too() -> None:
    async with serving(Server(lately=0.2)) as port, living(port, 9):
        assert await probed(port) == Probe(Outcome.ENFORCED, START)


async def test_both_answer_not_enforced() -> None:
    async with serving(Server(lately=0.2)) as port, serving(Server()) as other, living(port, other):
        assert await probed(port) == Probe(Outcome.OPEN, START)


async def test_a_policy_that_comes_a_moment_late_is_enforced() -> None:
    async with serving(Server(lately=0.2)) as port:
        other = await asyncio.start_server(Server().serve, HOST, 0)
        number = other.sockets[0].getsockname()[1]
        async with living(port, number):
            asyncio.get_running_loop().call_later(0.03, other.close)
            assert await probed(port) == Probe(Outcome.ENFORCED, START)


async def test_one_of_several_that_answers_is_enough() -> None:
    async with serving(Server(lately=0.2)) as port, serving(Server()) as other, living(port, 9), living(port, other):
        assert await probed(port) == Probe(Outcome.OPEN, START)


async def test_the_open_one_does_not_answer_not_verified() -> None:
    async with shut_off() as port:
        assert await probed(port) == Probe(Outcome.SILENT, START, f"{HOST}:{port} does not answer")


async def test_a_name_that_nobody_knows_not_verified() -> None:
    assert await dial("aiqms-probe.invalid:8090", QUICK)(START) == Probe(Outcome.SILENT, START, "aiqms-probe.invalid:8090 does not answer")


async def test_a_dead_server_is_no_policy() -> None:
    async with serving(Server(lately=0.2)) as port:
        why = f"{HOST}:{port} answers, but the server that a NetworkPolicy shuts off does not report there that it lives"
        assert await probed(port) == Probe(Outcome.SILENT, START, why)


async def test_nor_is_one_that_died_while_it_was_dialled() -> None:
    async with serving(Server(lately=0.2)) as port, living(port, 9, times=1):
        why = f"{HOST}:{port} answers, but the server that a NetworkPolicy shuts off does not report there that it lives"
        assert await probed(port) == Probe(Outcome.SILENT, START, why)


async def test_something_else_at_that_address_not_verified() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_server(echo, HOST, 0) as made:
        port = made.sockets[0].getsockname()[1]
        assert await probed(port) == Probe(Outcome.SILENT, START, f"what answers at {HOST}:{port} is not the probe")


async def test_nobody_hides_the_real_one_among_many() -> None:
    server = Server(lately=5)
    async with serving(server) as port:
        for n in range(1, 6):
            await said(HOST, port, f"here {n}")
        assert await probed(port) == Probe(Outcome.SILENT, START, f"{HOST}:{port} hears of more servers than there are: something else reports there")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        pytest.param("ask 1234", [ANSWER, "1234"], id="a word comes back"),
        pytest.param("here 8090", [ANSWER, "heard"], id="a report"),
        pytest.param("here there", [ANSWER, "what"], id="a report without a port"),
        pytest.param("", [ANSWER, "what"], id="nothing"),
        pytest.param("GET / HTTP/1.1", [ANSWER, "what"], id="a browser"),
        pytest.param("x" * 5000, [], id="more than a line"),
    ],
)
async def test_what_the_server_answers(line: str, answer: list[str]) -> None:
    server = Server()
    async with await asyncio.start_server(server.serve, HOST, 0, limit=256) as made:
        try:
            found = await said(HOST, made.sockets[0].getsockname()[1], line)
        except ConnectionError:
            found = []
        assert found == answer


async def test_the_address_is_that_of_the_sender_who_cannot_name_another() -> None:
    server = Server()
    async with serving(server) as port:
        await said(HOST, port, "here 8090")
        assert await said(HOST, port, "ask x") == [ANSWER, "x", f"{HOST}:8090"]


async def test_the_server_that_is_shut_off_reports_by_itself() -> None:
    server = Server()
    async with serving(server) as port:
        task = asyncio.create_task(report(f"{HOST}:{port}", 8091))
        async with asyncio.timeout(5):
            while not server.heard:  # noqa: ASYNC110 -- it is another task's to say
                await asyncio.sleep(0.01)
        task.cancel()
        assert list(server.heard) == [f"{HOST}:8091"]


async def test_it_runs_as_a_program_of_the_image() -> None:
    async with serving(Server()) as free:
        pass
    env = {"AIQMS_PROBE_PORT": str(free), "PYTHONPATH": "operator"}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "aiqms.probe", env=env)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    assert await said(HOST, free, "ask x") == [ANSWER, "x"]
                    break
                await asyncio.sleep(0.05)
    finally:
        process.terminate()
        await process.wait()
