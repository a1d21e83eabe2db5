"""Loki: the suite on real servers, and what is its own. Of the full lane, since Loki takes long to build."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import Loki, Protection
from aiqms.policy.logs import FOREVER, Ask, Proof, Sample, Trouble
from aiqms.retention.backend import Means
from aiqms.retention.conformance import COMPLETE_LINES, FIELDS, LACKING_LINES, PERIOD, SECRET, VALUE, Case, Conformance, Fault, Given
from aiqms.retention.faults import Reply, answering
from aiqms.retention.link import Link
from aiqms.retention.loki import Checker
from tests.testbed.logstores import loki, post

pytestmark = pytest.mark.full

TENANT = "lending"
SELECTOR = '{app="answers"}'
LONG = {"retention_period": "400d"}
SHORTER = {"selector": '{app=~"answers|questions"}', "priority": 1, "period": "30d"}
LIMITS: dict[Case, Mapping[str, Any]] = {
    Case.TOO_SHORT: {"retention_period": "183d"},
    Case.EXACT: {"retention_period": "184d"},
    Case.UNLIMITED: {"retention_period": "0s"},
    Case.OVERRIDDEN: {**LONG, "retention_stream": [SHORTER]},
    Case.LIMITED: {**LONG, "max_query_lookback": "30d"},
    Case.DELETABLE: {**LONG, "deletion_mode": "filter-and-delete"},
}
LINES: dict[Case, Sequence[Mapping[str, str]]] = {Case.LACKING: LACKING_LINES, Case.COMPLETE: COMPLETE_LINES}


def write(endpoint: str, texts: Sequence[str], *, app: str = "answers", metadata: Mapping[str, str] | None = None) -> None:
    """As a collector would; Loki shows lines at once."""
    values = [[str(time.time_ns()), text, *([dict(metadata)] if metadata else [])] for text in texts]
    body = json.dumps({"streams": [{"stream": {"app": app, "pod": "answers-0"}, "values": values}]}).encode()
    post(f"{endpoint}/loki/api/v1/push", body, {"X-Scope-OrgID": TENANT, "Content-Type": "application/json"})


class TestLoki(Conformance):
    product = "Loki"
    cannot: ClassVar[Mapping[Case | Fault, str]] = {}

    def sink(self, endpoint: str) -> Loki:
        return Loki(endpoint=endpoint, tenant=TENANT, selector=SELECTOR)

    @contextlib.contextmanager
    def serve(self, case: Case) -> Iterator[Given]:
        compactor = {"retention_enabled": False} if case is Case.DISABLED else {}
        with loki(LIMITS.get(case, LONG), compactor=compactor) as endpoint:
            if case in LINES:
                write(endpoint, [json.dumps({"msg": VALUE, **line}) for line in LINES[case]])
            yield Given(self.sink(endpoint), self.means(endpoint))


async def checked(endpoint: str, *, ask: Ask | None = None, means: Means | None = None, tenant: str = TENANT, selector: str = SELECTOR) -> Proof:
    wanted = ask or Ask(PERIOD, within=timedelta(seconds=15))
    sink = Loki(endpoint=endpoint, tenant=tenant, selector=selector)
    return await Checker(sink, means or Means(Link(endpoint))).check(wanted, datetime.now(UTC))


async def test_what_a_good_store_proves() -> None:
    with loki(LONG) as endpoint:
        proof = await checked(endpoint)
    assert proof.delivery is not None
    assert (proof.delivery.route, proof.delivery.age, proof.delivery.aged) == ("directly", None, False)
    assert proof == Proof(
        backend="Loki",
        kept=timedelta(days=400),
        setting="retention_period=9600h of the tenant's limits",
        remedy="set retention_period={} in limits_config, or in the tenant's overrides",
        protection=Protection.DELETABLE,
        shown="the deletion API is off for the tenant (deletion_mode=disabled)",
        unprotected="Loki has no lock: its administrators, and those of its object store, can remove chunks; S3 with Object Lock is immutable",
        delivery=proof.delivery,
    )


async def test_a_compactor_that_ends_nothing_keeps_lines_forever_and_has_no_deletion_api() -> None:
    with loki(LONG, compactor={"retention_enabled": False}) as endpoint:
        proof = await checked(endpoint)
    assert (proof.kept, proof.setting) == (FOREVER, "compactor.retention_enabled=false, so that Loki deletes nothing by itself")
    assert (proof.protection, proof.shown) == (Protection.DELETABLE, "there is no deletion API (compactor.retention_enabled=false)")


async def test_a_tenants_own_limits_count() -> None:
    overrides = {"lending": {"retention_period": "10d", "deletion_mode": "filter-and-delete"}, "other": {"retention_period": "200d"}}
    with loki(LONG, overrides=overrides) as endpoint:
        proofs = await asyncio.gather(*(checked(endpoint, tenant=tenant) for tenant in ("lending", "other", "third")))
    assert [proof.kept for proof in proofs] == [timedelta(days=10), timedelta(days=200), timedelta(days=400)]
    assert [proof.protection for proof in proofs] == [Protection.NONE, Protection.DELETABLE, Protection.DELETABLE]


async def test_the_rule_that_the_server_applies_is_the_one_that_is_found() -> None:
    """The server's own word on it is the label retention_hours of what it counts of lines as they come."""
    rules = [
        {"selector": '{app="answers"}', "priority": 1, "period": "20d"},
        {"selector": '{app="answers"}', "priority": 5, "period": "300d"},
        {"selector": '{app=~"ans.*", other="x"}', "priority": 1, "period": "2d"},
        {"selector": '{app!="answers", pod=~".+"}', "priority": 9, "period": "1d"},
    ]
    with loki({"retention_period": "30d", "retention_stream": rules}) as endpoint:
        proof = await checked(endpoint)
        counted = (await Link(endpoint).request("GET", "/metrics")).text
    assert (proof.kept, proof.setting) == (timedelta(days=300), "retention_stream[1].period=7200h of the tenant's limits")
    assert [line for line in counted.splitlines() if line.startswith("loki_distributor_bytes_received_total") and 'retention_hours="7200"' in line]


async def test_a_rule_that_may_apply_counts_where_it_is_the_shorter() -> None:
    rules = [{"selector": '{pod=~"answers-.*"}', "priority": 1, "period": "3d"}, {"selector": '{team="other"}', "priority": 1, "period": "500d"}]
    with loki({**LONG, "retention_stream": rules}) as endpoint:
        proof = await checked(endpoint)
    assert (proof.kept, proof.setting) == (timedelta(days=3), "retention_stream[0].period=72h of the tenant's limits")


async def test_fields_are_found_in_json_labels_and_metadata() -> None:
    line = json.dumps({"request_id": "r1", "trace": {"id": "t"}, "span.id": "s", "@at": 1, "no": None})
    with loki(LONG) as endpoint:
        write(endpoint, [line], metadata={"gen_ai_model": "m"})
        found = await checked(endpoint, ask=Ask(PERIOD, fields=("request_id", "trace.id", "span.id", "@at", "pod", "gen_ai.model")))
        lacking = await checked(endpoint, ask=Ask(PERIOD, fields=("no", "nowhere", "pod")))
    assert found.sample == Sample(1)
    assert lacking.sample == Sample(1, (("r1", ("no", "nowhere")),))


async def test_lines_that_are_no_json_cannot_be_seen_into() -> None:
    with loki(LONG) as endpoint:
        write(endpoint, [f"level=info msg={VALUE}", VALUE])
        proof = await checked(endpoint, ask=Ask(PERIOD, fields=FIELDS))
    assert proof.sample == Sample(2, unreadable="the lines are no JSON objects: log JSON, or put the fields into labels or structured metadata")


async def test_canaries_are_no_lines_of_the_stream() -> None:
    with loki(LONG) as endpoint:
        for _ in range(2):
            proof = await checked(endpoint, ask=Ask(PERIOD, fields=FIELDS))
    assert proof.sample == Sample(0)


async def test_a_collector_that_loses_lines_is_told() -> None:
    with loki(LONG) as endpoint, answering(lambda _, __: Reply(204)) as collector:
        means = Means(Link(endpoint), Link(f"{collector.endpoint}/logs"))
        proof = await checked(endpoint, ask=Ask(PERIOD, within=timedelta(seconds=1)), means=means)
        assert collector.asked == ["POST /logs"]
    assert proof.delivery is None
    assert proof.lost == (
        f"a line that was sent through {collector.endpoint}/logs could not be read back within 1 s: "
        "see whether it arrives, for this tenant and with the labels of sink.loki.selector"
    )


@pytest.mark.parametrize("selector", ['{app="answers"} | label_format model="x" # }', '{app="answers"} # }', "{}", "{app}"])
async def test_a_selector_cannot_have_a_pipeline(selector: str) -> None:
    with loki(LONG) as endpoint:
        proof = await checked(endpoint, ask=Ask(PERIOD, fields=FIELDS), selector=selector)
    told = 'sink.loki.selector is no plain stream selector, such as {app="x"}: correct it; pipelines are not allowed in it'
    assert (proof.sample, proof.lost) == (Sample(unreadable=told), f"no test line was sent: {told}")


async def test_a_tenant_that_is_not_named_is_refused_by_the_server() -> None:
    with loki(LONG) as endpoint, pytest.raises(Trouble) as caught:
        await checked(endpoint, tenant="", means=Means(Link(endpoint, {"token": SECRET})))
    assert (caught.value.reason, SECRET in caught.value.message) == (Reason.CREDENTIALS_REFUSED, False)
