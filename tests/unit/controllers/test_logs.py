"""The checks beside the reconciler: one a sink, for as long as somebody names it. The stores are sockets of this machine."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.values import Json
from aiqms.cluster.client import ApiError
from aiqms.controllers.gather import Gathered
from aiqms.controllers.logs import Logs, Watch
from aiqms.policy.facts import Input
from aiqms.policy.sinks import wanted
from aiqms.retention.means import Sink
from tests.unit.policy.sinks import STREAM, asking, logged, proof, sent_to
from tests.unit.policy.sinks import ask as asked


class Nothing:
    """A cluster in which nothing that a sink names is there."""

    async def get(self, at: str) -> Json:
        raise ApiError(404, "NotFound", at)


@pytest.fixture
def silent() -> Iterator[str]:
    """A store that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """Where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def at(endpoint: str, namespace: str = "lending", **stream: object) -> Input:
    """A deployment whose stream lies there."""
    rule = asking(STREAM | stream, endpoints=[endpoint], canary={"every": "1h", "within": "1s"})
    return replace(logged(rule, logging=sent_to({"victoriaLogs": {"endpoint": endpoint}})), namespace=namespace)


def gathered(*inputs: Input) -> Gathered:
    return Gathered(governed=True, registered={f"d-{n}": i for n, i in enumerate(inputs)})


class Told:
    """The checks, and which namespaces they had looked at again."""

    def __init__(self) -> None:
        self.namespaces: asyncio.Queue[str] = asyncio.Queue()
        self.logs = Logs(Nothing(), ("aiqms-system", "aiqms-operator"), self.namespaces.put_nowait)

    async def next(self) -> str:
        return await asyncio.wait_for(self.namespaces.get(), 5)

    async def end(self) -> None:
        tasks = self.logs.tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_check_serves_every_deployment_and_namespace_and_each_is_told(closed: str) -> None:
    told = Told()
    told.logs.settle("lending", gathered(at(closed), at(closed)))
    told.logs.settle("fraud", gathered(at(closed, "fraud")))
    assert len(told.logs.watches) == 1
    assert {await told.next(), await told.next()} == {"lending", "fraud"}
    facts = told.logs.settle("fraud", gathered(at(closed, "fraud")))
    trouble = facts.registered["d-0"].logs["inference"].trouble
    assert trouble
    assert trouble[0] is Reason.SINK_UNREACHABLE
    await told.end()


async def test_patience_begins_when_more_is_asked_and_not_anew_with_each_sink(closed: str, silent: str) -> None:
    """A tenant that names another sink every few seconds waits once."""
    told = Told()
    first = told.logs.settle("lending", gathered(at(closed))).registered["d-0"].logs["inference"].since
    assert first
    (watch,) = told.logs.watches.values()
    watch.checked = watch.checked.answered(proof(), watch.ask, first)
    assert told.logs.settle("lending", gathered(at(closed))).registered["d-0"].logs["inference"].since is None
    more = told.logs.settle("lending", gathered(at(closed, retention="365d"))).registered["d-0"].logs["inference"].since
    assert more
    assert more >= first
    assert told.logs.settle("lending", gathered(at(silent, retention="365d"))).registered["d-0"].logs["inference"].since == more
    await told.end()


async def test_a_sink_is_asked_until_the_last_one_names_it_no_more(closed: str) -> None:
    told = Told()
    told.logs.settle("lending", gathered(at(closed)))
    told.logs.settle("fraud", gathered(at(closed, "fraud")))
    (task,) = told.logs.tasks()
    told.logs.settle("lending", gathered())
    assert len(told.logs.watches) == 1
    told.logs.forget("fraud")
    await asyncio.gather(task, return_exceptions=True)
    assert (told.logs.watches, task.cancelled()) == ({}, True)


async def test_nothing_is_asked_that_the_procedure_does_not_allow(closed: str) -> None:
    told = Told()
    told.logs.settle("lending", gathered(replace(at(closed), procedures=(asking(endpoints=["https://other.example"]),))))
    assert told.logs.watches == {}


async def test_a_secret_that_is_not_there_is_said_and_no_request_made(closed: str) -> None:
    of = at(closed)
    entry = logged(logging=sent_to({"victoriaLogs": {"endpoint": closed, "credentials": {"secretName": "reader"}}}))
    told = Told()
    told.logs.settle("lending", gathered(replace(of, spec=entry.spec)))
    await told.next()
    (watch,) = told.logs.watches.values()
    assert watch.checked.trouble == (Reason.CREDENTIALS_UNREADABLE, "Secret reader does not exist in namespace lending: create it, or correct the sink")
    await told.end()


async def test_more_that_hang_than_may_be_asked_at_once_keep_no_other_waiting_once_they_have_failed(silent: str, closed: str) -> None:
    """Those that failed last have lanes of their own."""
    told = Told()
    hanging = [logged(asking(endpoints=[silent]), logging=sent_to({"victoriaLogs": {"endpoint": silent, "accountId": n}})) for n in range(1, 20)]
    told.logs.settle("stuck", gathered(*hanging))
    for watch in told.logs.watches.values():
        watch.failures = 1
    began = time.monotonic()
    told.logs.settle("lending", gathered(at(closed)))
    assert await told.next() == "lending"
    assert time.monotonic() - began < 5
    await told.end()


def watch() -> Watch:
    """A sink that one stream needs every hour."""
    (want,) = wanted(logged())
    return Watch(Sink(Nothing(), "lending", want.registered), wants={("lending", "scoring", "inference"): want})


def test_failures_back_off_up_to_the_usual_interval() -> None:
    of, pauses = watch(), []
    for failures in (0, 1, 2, 3, 30):
        of.failures = failures
        pauses.append(of.pause)
    assert [p / usual for p, usual in zip(pauses[1:4], (5, 10, 20), strict=True)] == pytest.approx([1, 1, 1], abs=0.1)
    assert all(3240 <= p <= 3960 for p in (pauses[0], pauses[4]))


def test_one_that_does_not_do_what_is_asked_is_asked_again_within_a_minute_or_so() -> None:
    of = watch()
    for _ in range(30):
        of.answered(proof(early="-retention.maxDiskSpaceUsageBytes=1GB: set it to 0"), asked())
    assert 54 <= of.pause <= 66
    of.answered(proof(), asked())
    assert of.pause >= 3240
