"""VictoriaLogs: the suite on real servers, and what is its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import Protection, VictoriaLogs
from aiqms.policy.logs import Ask, Proof, Sample, Trouble
from aiqms.retention.backend import Means
from aiqms.retention.conformance import COMPLETE_LINES, FIELDS, LACKING_LINES, PERIOD, VALUE, Case, Conformance, Fault, Given
from aiqms.retention.faults import Reply, answering
from aiqms.retention.link import Link
from aiqms.retention.victorialogs import Checker, duration
from tests.testbed.logstores import free_port, post, victorialogs

FLAGS: dict[Case, tuple[str, ...]] = {
    Case.TOO_SHORT: ("-retentionPeriod=183d",),
    Case.EXACT: ("-retentionPeriod=184d",),
    Case.LIMITED: ("-retentionPeriod=400d", "-retention.maxDiskSpaceUsageBytes=10GB"),
    Case.DELETABLE: ("-retentionPeriod=400d", "-delete.enable"),
}
LINES: dict[Case, Sequence[Mapping[str, str]]] = {Case.LACKING: LACKING_LINES, Case.COMPLETE: COMPLETE_LINES}
DAY = timedelta(days=1)


def write(endpoint: str, lines: Sequence[Mapping[str, str]], *, account: int = 0) -> None:
    """As a collector would; after a flush they can be read."""
    now = datetime.now(UTC).isoformat()
    body = b"".join(json.dumps({"_time": now, "_msg": VALUE, "app": "answers", **line}).encode() + b"\n" for line in lines)
    post(f"{endpoint}/insert/jsonline?_stream_fields=app", body, {"AccountID": str(account), "Content-Type": "application/stream+json"})
    post(f"{endpoint}/internal/force_flush", b"")


class TestVictoriaLogs(Conformance):
    product = "VictoriaLogs"
    cannot: ClassVar[Mapping[Case | Fault, str]] = {
        Case.UNLIMITED: "its -retentionPeriod is 100 years at most, and is told as such",
        Case.DISABLED: "it always deletes what is older than -retentionPeriod, 7d without one",
        Case.OVERRIDDEN: "it has one -retentionPeriod for all streams and tenants",
    }

    def sink(self, endpoint: str) -> VictoriaLogs:
        return VictoriaLogs(endpoint=endpoint, query='{app="answers"}')

    @contextlib.contextmanager
    def serve(self, case: Case) -> Iterator[Given]:
        with victorialogs(*FLAGS.get(case, ("-retentionPeriod=400d",))) as endpoint:
            write(endpoint, LINES.get(case, ()))
            yield Given(self.sink(endpoint), self.means(endpoint))


async def checked(endpoint: str, *, ask: Ask | None = None, means: Means | None = None, credentials: dict[str, str] | None = None, **sink: Any) -> Proof:
    chosen = VictoriaLogs(endpoint=endpoint, **sink)
    wanted = ask or Ask(PERIOD, within=timedelta(seconds=15))
    return await Checker(chosen, means or Means(Link(endpoint, credentials or {}))).check(wanted, datetime.now(UTC))


async def test_what_a_good_store_proves() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint:
        proof = await checked(endpoint)
    delivery = proof.delivery
    assert delivery is not None
    assert 0 < delivery.seconds < 10
    assert (delivery.route, delivery.age, delivery.aged) == ("directly", PERIOD - DAY, True)
    assert proof == Proof(
        backend="VictoriaLogs v1.51.0",
        kept=timedelta(days=400),
        setting="-retentionPeriod=400d",
        remedy="start VictoriaLogs with -retentionPeriod={}",
        protection=Protection.DELETABLE,
        shown="-delete.enable=false",
        unprotected="VictoriaLogs has no lock: its administrators can remove days (/internal/partition) and files; S3 with Object Lock is immutable",
        delivery=delivery,
    )


async def test_a_store_without_flags_keeps_seven_days() -> None:
    with victorialogs() as endpoint:
        proof = await checked(endpoint)
    assert (proof.kept, proof.setting) == (timedelta(days=7), "-retentionPeriod=7d")
    assert proof.delivery is not None
    assert (proof.delivery.age, proof.delivery.aged) == (PERIOD - DAY, False)


DURATIONS: dict[str, timedelta | None] = {
    "1": timedelta(days=31), "6M": timedelta(days=186), "0.5": timedelta(days=15.5), "7d": timedelta(days=7), "4416h": PERIOD, "26w": timedelta(days=182),
    "1y": timedelta(days=365), "1Y": timedelta(days=365), "100y": timedelta(days=36500), "1y2w3d": timedelta(days=382), "1.5d": timedelta(days=1.5),
    "3600s": DAY, "6m": None, "": None, "forever": None, "-5d": None, "1e300y": None, "9" * 400: None, "9" * 400 + "y": None,
}  # fmt: skip


@pytest.mark.parametrize(("value", "kept"), DURATIONS.items(), ids=[name[:12] or "empty" for name in DURATIONS])
def test_a_period_is_read_as_the_server_reads_it(value: str, kept: timedelta | None) -> None:
    assert duration(value) == kept


async def test_the_server_keeps_as_long_as_is_read() -> None:
    """A month is 31 days, a year 365: a line a day younger than what is read can be read back, and one a day older cannot."""
    values = ("1", "6M", "0.5", "26w", "1y2w3d", "1.5y")
    seen = await asyncio.gather(*(inside_and_outside(value) for value in values))
    assert dict(zip(values, seen, strict=True)) == dict.fromkeys(values, (True, False))


async def inside_and_outside(value: str) -> tuple[bool, ...]:
    kept = duration(value)
    assert kept is not None
    with victorialogs(f"-retentionPeriod={value}") as endpoint:
        asks = [Ask(retention, within=timedelta(seconds=15)) for retention in (kept, kept + 2 * DAY)]
        proofs = await asyncio.gather(*(checked(endpoint, ask=ask) for ask in asks))
    assert [proof.kept for proof in proofs] == [kept, kept]
    return tuple(proof.delivery is not None and proof.delivery.aged for proof in proofs)


async def test_the_longest_period_is_a_hundred_years() -> None:
    with victorialogs("-retentionPeriod=100y") as endpoint:
        assert (await checked(endpoint)).kept == timedelta(days=36500)


async def test_a_percentage_of_the_disk_ends_lines_early_too() -> None:
    with victorialogs("-retentionPeriod=400d", "-retention.maxDiskUsagePercent=80") as endpoint:
        early = (await checked(endpoint)).early
    assert early == "-retention.maxDiskUsagePercent drops the oldest days when the disk fills: leave it out, and give the disk the room that the period needs"


async def test_deletion_that_is_enabled_is_named() -> None:
    with victorialogs("-retentionPeriod=400d", "-delete.enable", "-internaldelete.enable") as endpoint:
        proof = await checked(endpoint)
    assert (proof.protection, proof.shown) == (Protection.NONE, "")
    assert proof.unprotected == "-delete.enable and -internaldelete.enable lets whoever may ask delete lines: start VictoriaLogs without"


async def test_a_store_that_takes_no_old_lines_says_nothing_of_age() -> None:
    with victorialogs("-retentionPeriod=400d", "-maxBackfillAge=2d") as endpoint:
        proof = await checked(endpoint)
    assert proof.delivery is not None
    assert (proof.delivery.age, proof.delivery.aged) == (None, False)


async def test_a_front_of_a_cluster_proves_no_period() -> None:
    with victorialogs("-retentionPeriod=400d") as node, victorialogs("-retentionPeriod=900d", f"-storageNode={node.removeprefix('http://')}") as endpoint:
        proof = await checked(endpoint)
    assert proof.kept is None
    assert proof.setting.startswith("-storageNode is set")
    assert proof.delivery is not None


async def test_a_tenant_reads_its_own_lines_alone() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint:
        write(endpoint, LACKING_LINES, account=7)
        own, other = await asyncio.gather(*(checked(endpoint, ask=Ask(PERIOD, fields=FIELDS), account_id=account) for account in (7, 0)))
    assert own.sample == Sample(4, (("request-without-model", ("model",)),))
    assert other.sample == Sample(0)


PIPES = ['* | format "x" as model', '*) | format "x" as model | filter (*', "app:answers | copy request_id as model", "((("]


async def test_a_query_cannot_add_fields_that_no_line_has() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint:
        write(endpoint, LACKING_LINES)
        proofs = await asyncio.gather(*(checked(endpoint, ask=Ask(PERIOD, fields=FIELDS), query=query) for query in PIPES))
    told = Sample(unreadable="sink.victoriaLogs.query is no LogsQL filter (answer 400): correct it; pipes are not allowed in it")
    assert dict(zip(PIPES, [proof.sample for proof in proofs], strict=True)) == dict.fromkeys(PIPES, told)


async def test_long_lines_are_no_reason_to_see_nothing() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint:
        write(endpoint, [{"request_id": f"r{n}", "model": "m", "prompt": "x" * 200_000} for n in range(15)])
        proof = await checked(endpoint, ask=Ask(PERIOD, fields=FIELDS))
    assert proof.sample == Sample(15)


async def test_a_canary_goes_through_the_collector() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint:
        collector = f"{endpoint}/insert/jsonline"
        proof = await checked(endpoint, means=Means(Link(endpoint), Link(collector)))
    assert proof.delivery is not None
    assert (proof.delivery.route, proof.delivery.aged) == (f"through {collector}", True)


async def test_a_collector_that_loses_lines_is_told() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint, answering(lambda _, __: Reply(204)) as collector:
        proof = await checked(
            endpoint, ask=Ask(PERIOD, within=timedelta(seconds=1)), means=Means(Link(endpoint, {"token": "a-secret"}), Link(f"{collector.endpoint}/logs"))
        )
        assert collector.asked == ["POST /logs"]
    assert proof.delivery is None
    assert proof.lost == (
        f"a line that was sent through {collector.endpoint}/logs could not be read back within 1 s: see whether it arrives, and under this account and project"
    )


async def test_a_collector_that_refuses_and_one_that_is_not_there_lose_the_canary_and_nothing_else() -> None:
    with victorialogs("-retentionPeriod=400d") as endpoint, answering(lambda _, __: Reply(404)) as collector:
        refused = await checked(endpoint, means=Means(Link(endpoint), Link(collector.endpoint)))
        nowhere = f"http://127.0.0.1:{free_port()}"
        absent = await checked(endpoint, means=Means(Link(endpoint), Link(nowhere)))
    assert refused.lost == f"the test line that was sent through {collector.endpoint} was refused (404): name the collector's intake for lines of JSON"
    assert absent.lost.startswith(f"the test line could not be sent: {nowhere} cannot be reached")
    assert refused.kept == absent.kept == timedelta(days=400)


async def test_who_may_not_write_loses_the_canary_and_nothing_else() -> None:
    with victorialogs("-retentionPeriod=400d", "-insert.disable") as endpoint:
        proof = await checked(endpoint)
    assert proof.kept == timedelta(days=400)
    assert proof.lost == "the test line that was sent directly was refused (400): let whom the sink's Secret names write test lines, or name a collector"


async def test_a_password_is_asked_for_and_used() -> None:
    with victorialogs("-retentionPeriod=400d", "-httpAuth.username=aiqms", "-httpAuth.password=right") as endpoint:
        assert (await checked(endpoint, credentials={"username": "aiqms", "password": "right"})).delivery is not None
        with pytest.raises(Trouble) as caught:
            await checked(endpoint, credentials={"username": "aiqms", "password": "wrong"})
    assert (caught.value.reason, "wrong" in caught.value.message) == (Reason.CREDENTIALS_REFUSED, False)
