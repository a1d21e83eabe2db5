"""Which log stores are asked, and what of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st

from aiqms.api.logging import Protection
from aiqms.policy.facts import Broken, Input
from aiqms.policy.logs import Ask, Delivery, Proof
from aiqms.policy.sinks import Wanted, allows, covers, falls_short, merged, wanted
from tests.unit.policy.given import change, procedure
from tests.unit.policy.sinks import STREAM, VL, WAYS, ask, asking, logged, proof, sample, sent_to

ALLOWED = [
    ("https://logs.bank.example:9428", "https://logs.bank.example:9428"),
    ("https://logs.bank.example:9428", "https://logs.bank.example:9428/"),
    ("https://logs.bank.example", "https://logs.bank.example:443"),
    ("https://*.bank.example", "https://logs.bank.example"),
    ("https://*.bank.example", "https://a.b.bank.example"),
    ("http://victoria-logs.logging.svc:9428", "http://victoria-logs.logging.svc:9428"),
    ("http://127.0.0.1:9428", "http://127.0.0.1:9428"),
    ("http://localhost:9428", "http://localhost:9428"),
    ("https://logs.bank.example/base", "https://logs.bank.example/base/"),
    ("https://logs.bank.example/*", "https://logs.bank.example/one"),
    ("https://logs.bank.example/*/logs", "https://logs.bank.example/one/logs"),
]
REFUSED = [
    ("https://logs.bank.example", "http://logs.bank.example"),
    ("https://logs.bank.example", "http://logs.bank.example:443"),
    ("https://logs.bank.example", "https://logs.bank.example:8443"),
    ("https://logs.bank.example", "https://logs.bank.example.evil.example"),
    ("https://logs.bank.example", "https://logs.bank.example/admin"),
    ("https://logs.bank.example/base", "https://logs.bank.example/based"),
    ("https://logs.bank.example/*", "https://logs.bank.example/one/two"),
    ("https://logs.bank.example/*", "https://logs.bank.example/.."),
    ("https://logs.bank.example/*/*/*", "https://logs.bank.example/tenants/../admin"),
    ("https://*.bank.example", "https://bank.example"),
    ("https://*.bank.example", "https://evil.example/x.bank.example"),
    ("https://*.bank.example/*", "https://evil.example/x.bank.example/y"),
    ("https://*", "https://169.254.169.254"),
    ("http://*:9428", "http://127.0.0.1:9428"),
    ("http://*:9428", "http://10.1.2.3:9428"),
    ("http://*:80", "http://2130706433"),
    ("http://*.*:80", "http://127.1"),
    ("http://*.*:80", "http://127.0x1"),
    ("http://*:9428", "http://localhost:9428"),
    ("http://*:9428", "http://a.localhost:9428"),
    ("http://*:9428", "http://localhost.:9428"),
    ("https://*.bank.example", "https://user@logs.bank.example"),
    ("*", "https://logs.bank.example"),
    ("logs.bank.example", "https://logs.bank.example"),
    ("", "https://logs.bank.example"),
    ("https://", "https://."),
    ("https://logs.bank.example:port", "https://logs.bank.example"),
    ("file:///*", "file:///etc/passwd"),
]


@pytest.mark.parametrize(("pattern", "endpoint"), ALLOWED)
def test_a_pattern_allows(pattern: str, endpoint: str) -> None:
    assert allows(pattern, endpoint)


@pytest.mark.parametrize(("pattern", "endpoint"), REFUSED)
def test_a_pattern_refuses(pattern: str, endpoint: str) -> None:
    assert not allows(pattern, endpoint)


@cases(st.from_regex(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*/?", fullmatch=True))
def test_law_no_host_but_a_name_below_the_patterns_is_allowed(endpoint: str) -> None:
    host = endpoint.split("/")[2].partition(":")[0].lower().rstrip(".")
    assert not allows("https://*.bank.example/*", endpoint) or host.endswith(".bank.example")


def wants(of: Input) -> list[Wanted]:
    return list(wanted(of))


def test_a_stream_that_a_procedure_asks_for_is_wanted() -> None:
    (found,) = wants(logged())
    assert (found.namespace, found.registered.name, found.ask, found.every) == ("lending", "inference", ask(), timedelta(hours=1))


NOTHING = {
    "no procedure asks for it": logged(asking(STREAM | {"name": "other"})),
    "its server is not allowed": logged(asking(endpoints=[])),
    "its collector is not allowed": logged(logging=sent_to(collector="https://evil.example")),
    "the collector of a volume is not allowed": logged(logging=sent_to({"persistentVolumeClaim": {"claimName": "logs"}}, collector="https://evil.example")),
    "the namespace is not governed": replace(logged(), governed=False),
    "the register entry cannot be read": replace(logged(), spec=Broken("no")),
}


@pytest.mark.parametrize("of", NOTHING.values(), ids=NOTHING.keys())
def test_nothing_is_asked_where(of: Input) -> None:
    assert wants(of) == []


def test_a_procedure_that_does_not_allow_the_server_keeps_no_other_from_having_it_asked() -> None:
    (found,) = wants(logged(asking(), asking(STREAM | {"retention": "365d"}, name="tried", audit=True, endpoints=[])))
    assert found.ask == ask()


def test_a_procedure_that_asks_nothing_of_logs_and_one_that_cannot_be_read_keep_nobody_from_asking() -> None:
    of = change(logged(), procedures=[asking(), procedure("other"), ("torn", Broken("spec.title: too long"))])
    assert wants(of) == wants(logged())


def test_it_is_asked_twice_before_an_answer_grows_too_old() -> None:
    (found,) = wants(logged(asking(STREAM | {"maxCheckAge": "1h"}, canary={"every": "24h"})))
    assert found.every == timedelta(minutes=30)


def test_of_several_procedures_the_most_is_asked_and_the_soonest() -> None:
    one = asking(STREAM | {"protection": "Deletable", "requiredFields": ["b"]}, canary={"every": "30m", "within": "5s"})
    two = asking(STREAM | {"retention": "365d", "requiredFields": ["a"]}, name="other", canary={"every": "6h", "within": "2m"})
    (found,) = wants(logged(one, two))
    assert found.ask == ask(retention=timedelta(days=365), protection=Protection.DELETABLE, within=timedelta(minutes=2), fields=("a", "b"))
    assert found.every == timedelta(minutes=30)


def test_what_is_merged_covers_each() -> None:
    one, two = ask(protection=Protection.IMMUTABLE), ask(retention=timedelta(days=365), fields=("a",))
    assert (covers(merged([one, two]), one), covers(merged([one, two]), two), covers(one, two), covers(two, one)) == (True, True, False, False)


FULL = ask(protection=Protection.IMMUTABLE, fields=("a", "b"))
LESS = {
    "period": replace(FULL, retention=timedelta(days=183)),
    "protection": replace(FULL, protection=Protection.DELETABLE),
    "fields": replace(FULL, fields=("a",)),
}


@pytest.mark.parametrize("less", LESS.values(), ids=LESS.keys())
def test_a_check_for_less_of_one_thing_does_not_tell_all(less: Ask) -> None:
    assert (covers(less, FULL), covers(FULL, less), covers(FULL, FULL)) == (False, True, True)


def shown(**changes: Any) -> Proof:
    """A proof that is good, also of protection, other than that."""
    return proof(**{"protection": Protection.DELETABLE} | changes)


SHORT: dict[str, tuple[Proof, bool]] = {
    "kept for longer, and a canary came back": (shown(), False),
    "kept for exactly the period": (shown(kept=timedelta(days=184)), False),
    "kept for less": (shown(kept=timedelta(days=183)), True),
    "no period is proven": (shown(kept=None), True),
    "an old line was dropped": (shown(delivery=Delivery("directly", 1.2, timedelta(days=183))), True),
    "a store that takes no old line": (shown(delivery=replace(WAYS, age=None, aged=False)), False),
    "no canary was sent": (shown(delivery=None), False),
    "a canary was lost": (shown(delivery=None, lost="it could not be read within 60 s"), True),
    "lines may end early": (shown(early="its disk may fill"), True),
    "protected better than asked": (shown(protection=Protection.IMMUTABLE), False),
    "not protected as asked": (shown(protection=Protection.NONE), True),
    "lines have their fields": (shown(sample=sample()), False),
    "a line lacks one": (shown(sample=sample(("r-17", ("subject",)))), True),
    "lines cannot be read": (shown(sample=sample(unreadable="it is no JSON")), True),
}


@pytest.mark.parametrize(("seen", "short"), SHORT.values(), ids=SHORT.keys())
def test_a_sink_that_falls_short_is_asked_again_soon(seen: Proof, short: bool) -> None:
    assert falls_short(seen, ask(protection=Protection.DELETABLE)) is short


class TestSharing:
    """One check serves all that name the same sink, unless that names something of its namespace."""

    def test_two_namespaces_share_a_sink(self) -> None:
        assert wants(logged())[0].key == wants(replace(logged(), namespace="fraud"))[0].key

    @pytest.mark.parametrize("more", [{"credentials": {"secretName": "reader"}}, {"ca": {"configMapName": "bank"}}])
    def test_but_not_one_with_a_secret_or_an_authority(self, more: dict[str, object]) -> None:
        of = logged(logging=sent_to({"victoriaLogs": VL["victoriaLogs"] | more}))
        assert wants(of)[0].key != wants(replace(of, namespace="fraud"))[0].key

    def test_nor_a_volume(self) -> None:
        of = logged(logging=sent_to({"persistentVolumeClaim": {"claimName": "logs"}}))
        assert wants(of)[0].key != wants(replace(of, namespace="fraud"))[0].key

    def test_another_collector_is_another_way(self) -> None:
        one, two = (wants(logged(logging=sent_to(collector=way)))[0].key for way in (None, "https://otel.bank.example:9428"))
        assert one != two

    def test_another_query_is_another_sink(self) -> None:
        one, two = (wants(logged(logging=sent_to({"victoriaLogs": VL["victoriaLogs"] | {"query": q}})))[0].key for q in ("a", "b"))
        assert one != two
