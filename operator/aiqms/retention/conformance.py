"""What every log backend has to stand, run by a pytest module that subclasses Conformance. docs/backends.md says how; needs the extra `conformance`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import Kind, Protection
from aiqms.policy.logs import FOREVER, Ask, Proof, Trouble
from aiqms.retention.backend import Checker, Means, opened
from aiqms.retention.faults import HOST, Answering, Reply, answering, certificate, closed, talking
from aiqms.retention.link import Answer, Link

PERIOD = timedelta(days=184)  # is asked: six months are never shorter
FIELDS = ("request_id", "model")
SECRET = "a-secret-that-nobody-may-see"
VALUE = "a-value-that-nobody-may-see"
WORDS = "words-that-nobody-may-see"  # in every answer that is no good

# What the stream's own lines are: those of COMPLETE_LINES alone, or these and one of LACKING_LINES.
COMPLETE_LINES: tuple[Mapping[str, str], ...] = tuple({"request_id": f"request-{n}", "model": VALUE} for n in range(3))
LACKING_LINES: tuple[Mapping[str, str], ...] = (*COMPLETE_LINES, {"request_id": "request-without-model", "_msg": VALUE})


class Case(StrEnum):
    """The states that a store can be in; `serve` brings about each, or `cannot` says why that product has no such state. Asked is PERIOD.

    All but the last three may have lines in them or not.
    """

    ENOUGH = "keeps lines longer than asked, as it would in production"
    TOO_SHORT = "keeps lines for less than PERIOD, by a day at least"
    EXACT = "keeps lines for exactly PERIOD"
    UNLIMITED = "deletes nothing by itself"
    DISABLED = "what keeps lines to a period, or protects them, is turned off"
    OVERRIDDEN = "keeps lines longer than asked, but this stream's for less"
    LIMITED = "keeps lines longer than asked, unless something else, such as a full disk, ends them before"
    DELETABLE = "keeps lines longer than asked, and lets whoever writes or asks delete them"
    LACKING = "its lines of the stream are LACKING_LINES"
    COMPLETE = "its lines of the stream are COMPLETE_LINES"
    EMPTY = "has no line of the stream yet"


class Fault(StrEnum):
    """What the suite itself serves in the store's place."""

    CLOSED = "nothing listens"
    SLOW = "it never answers"
    UNAUTHORIZED = "401 for everything"
    FORBIDDEN = "403 for everything"
    SELF_SIGNED = "a certificate that nobody vouches for"
    OTHER_NAME = "a certificate of another name"
    GARBAGE = "answers in no form"
    OTHER_PRODUCT = "answers of another product"
    REDIRECT = "a redirect for everything"


@dataclass(frozen=True)
class Given:
    """A sink, and what its checker gets to ask it."""

    sink: Kind
    means: Means


@dataclass(frozen=True)
class Counted(Link):
    """A link that notes what it was asked for: method, path and query."""

    asked: list[str] = field(default_factory=list)

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> Answer:
        """As a Link's."""
        self.asked.append(f"{method} {path} {sorted((params or {}).items())}")
        return await super().request(method, path, params=params, headers=headers, data=data)


def _deep(opening: bytes, closing: bytes, times: int = 100_000) -> bytes:
    return opening * times + WORDS.encode() + closing * times


# Of XML: each entity is ten of the one before, so that a careless parser makes gigabytes of it.
_ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
_XML_BOMB = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "{WORDS}">{_ENTITIES}]><a>&e11;</a>'.encode()
# The same in YAML, as lists of the list before.
_YAML_BOMB = "\n".join([f"e0: &e0 [{WORDS}]", *(f"e{n}: &e{n} [{', '.join([f'*e{n - 1}'] * 10)}]" for n in range(1, 12))]).encode()

GARBAGE: Mapping[str, bytes] = {
    "nothing": b"",
    "random bytes": random.Random(1).randbytes(4096),
    "truncated JSON": json.dumps({"status": "success", "data": {WORDS: [1, 2, 3]}}).encode()[:-3],
    "JSON of no known form": json.dumps([WORDS, None, {"a": [[[1.5]]]}]).encode(),
    "a JSON number": b"1" * 5000,
    "HTML": f"<!doctype html><html><body><h1>{WORDS}</h1></body></html>".encode(),
    "XML of no known form": f"<Answer><Words>{WORDS}</Words></Answer>".encode(),
    "10 MB": WORDS.encode() * (10 * 1024 * 1024 // len(WORDS)),
    "deep JSON": _deep(b"[", b"]"),
    "deep XML": _deep(b"<a>", b"</a>"),
    "an XML bomb": _XML_BOMB,
    "a YAML bomb": _YAML_BOMB,
    "a YAML bomb for a period": _YAML_BOMB + b"\nretention_period: *e11",
    "a YAML bomb of rules": _YAML_BOMB + b"\nretention_period: 200d\nretention_stream: *e5",
}


def _json(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _text(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


# By the start of a path what products answer that are near enough to be taken for another; the longest start that fits counts.
OTHERS: Mapping[str, Mapping[str, Reply]] = {
    "VictoriaLogs": {
        "/": _text(f"unsupported path {WORDS}", 400),
        "/flags": _text('-retentionPeriod="400d"\n-delete.enable="false"\n'),
        "/metrics": _text('vm_app_version{version="victoria-logs-20260624", short_version="v1.51.0"} 1\nflag{name="retentionPeriod", value="400d"} 1\n'),
        "/insert": _text(""),
        "/select": _text(""),
    },
    "VictoriaMetrics": {
        "/": _text(f"unsupported path {WORDS}", 400),
        "/flags": _text('-retentionPeriod="400d"\n-storageDataPath="/data"\n'),
        "/metrics": _text('vm_app_version{version="victoria-metrics-20260624", short_version="v1.148.0"} 1\nflag{name="retentionPeriod", value="400d"} 1\n'),
        "/insert": _text(""),
    },
    "VictoriaTraces": {
        "/": _text(f"unsupported path {WORDS}", 400),
        "/flags": _text('-retentionPeriod="400d"\n'),
        "/metrics": _text(
            'vm_app_version{version="victoria-traces-20260624", short_version="v0.9.0"} 1\n'
            'flag{name="retention.maxDiskSpaceUsageBytes", value="0"} 1\nflag{name="retentionPeriod", value="400d"} 1\n'
        ),
        "/insert": _text(""),
        "/select": _text(""),
    },
    "Loki": {
        "/": _text("404 page not found", 404),
        "/config": _text("compactor:\n  retention_enabled: true\nlimits_config:\n  retention_period: 400d\n"),
        "/config/tenant/v1/limits": _json({"retention_period": "400d", "deletion_mode": "disabled"}),
        "/loki/api/v1/push": _text("", 204),
        "/loki/api/v1/query_range": _json({"status": "success", "data": {"resultType": "streams", "result": []}}),
        "/loki/api/v1/status/buildinfo": _json({"version": "3.7.8"}),
        "/metrics": _text('loki_build_info{version="3.7.8"} 1\n'),
    },
    "OpenSearch": {"/": _json({"name": WORDS, "cluster_name": WORDS, "version": {"distribution": "opensearch", "number": "3.2.0"}, "tagline": WORDS})},
    "a web server": {"/": Reply(200, f"<!doctype html><title>Welcome</title>{WORDS}".encode(), {"Content-Type": "text/html"})},
    "an API gateway": {"/": Reply(404, json.dumps({"message": f"no Route matched {WORDS}"}).encode(), {"Content-Type": "application/json"})},
    "a store that accepts everything": {"/": Reply(200, b"{}", {"Content-Type": "application/json"})},
}

_TRUSTED = "the certificate's own"


@pytest.mark.asyncio
class Conformance:
    """Subclass it in a pytest module, as `class TestMyStore(Conformance)`.

    cannot: why the product cannot be in a state, or be served with a fault. product: its key in OTHERS, if it is one of them.
    credentials: as its Secret has them, with SECRET in one. requests: how many a check may make beside the one that it repeats until the canary is there.
    within: how soon a canary has to be readable at the real server.
    """

    cannot: ClassVar[Mapping[Case | Fault, str]] = {}
    product: ClassVar[str] = ""
    credentials: ClassVar[Mapping[str, str]] = {"username": "aiqms", "password": SECRET}
    requests: ClassVar[int] = 4
    within: ClassVar[timedelta] = timedelta(seconds=30)
    patience: ClassVar[float] = 10.0

    def sink(self, endpoint: str) -> Kind:
        """A sink of this backend at that endpoint."""
        raise NotImplementedError

    def serve(self, case: Case) -> AbstractContextManager[Given]:
        """A real server in that state; its means are best made by `means`."""
        raise NotImplementedError

    def checker(self, sink: Kind, means: Means) -> Checker:
        """What is tested; another backend's own where no entry point names it yet."""
        return opened(sink, means)

    def means(self, endpoint: str, *, authority: str = "", patience: float | None = None) -> Means:
        """To ask a server with the credentials of this class."""
        return Means(Link(endpoint, self.credentials, authority, patience=self.patience if patience is None else patience))

    # What a store proves.

    async def test_enough_is_proven_with_a_canary_that_came_back(self) -> None:
        proof = await self._proof(Case.ENOUGH)
        assert proof.kept is not None
        assert proof.kept >= PERIOD
        assert not proof.early
        _delivered(proof)
        assert proof.delivery is not None
        assert proof.delivery.aged or proof.delivery.age is None, "a line that is younger than the period was not read back"

    async def test_too_short_a_period_is_told_as_what_it_is(self) -> None:
        proof = await self._proof(Case.TOO_SHORT)
        assert proof.kept is not None
        assert timedelta(0) < proof.kept < PERIOD

    async def test_exactly_the_period_is_enough(self) -> None:
        proof = await self._proof(Case.EXACT)
        assert proof.kept == PERIOD
        _delivered(proof)

    async def test_a_store_that_deletes_nothing_keeps_lines_forever(self) -> None:
        proof = await self._proof(Case.UNLIMITED)
        assert proof.kept == FOREVER
        assert not proof.early

    async def test_a_period_that_nothing_carries_out_is_no_period(self) -> None:
        proof = await self._proof(Case.DISABLED)
        assert proof.kept is None or proof.kept < PERIOD or proof.kept == FOREVER
        assert proof.protection is not Protection.IMMUTABLE

    async def test_what_is_set_for_this_stream_counts_and_not_what_is_set_for_all(self) -> None:
        proof = await self._proof(Case.OVERRIDDEN)
        assert proof.kept is not None
        assert proof.kept < PERIOD

    async def test_what_ends_lines_before_their_time_is_named(self) -> None:
        proof = await self._proof(Case.LIMITED)
        assert proof.early

    async def test_lines_that_may_be_deleted_are_not_protected(self) -> None:
        proof = await self._proof(Case.DELETABLE)
        assert proof.protection is Protection.NONE
        assert proof.unprotected

    async def test_lines_that_lack_a_field_are_named_by_their_id(self) -> None:
        proof = await self._proof(Case.LACKING, fields=FIELDS)
        assert proof.sample is not None
        assert not proof.sample.unreadable
        assert proof.sample.lines == len(LACKING_LINES)
        assert [missing for _, missing in proof.sample.lacking] == [("model",)]

    async def test_lines_that_have_every_field_lack_none(self) -> None:
        proof = await self._proof(Case.COMPLETE, fields=FIELDS)
        assert proof.sample is not None
        assert not proof.sample.unreadable
        assert (proof.sample.lines, proof.sample.lacking) == (len(COMPLETE_LINES), ())

    async def test_a_stream_without_lines_yet_is_an_empty_sample_and_no_error(self) -> None:
        proof = await self._proof(Case.EMPTY, fields=FIELDS)
        assert proof.sample is not None
        assert (proof.sample.lines, proof.sample.lacking) == (0, ())
        _delivered(proof)

    async def test_a_sample_is_taken_only_where_fields_are_asked_for(self) -> None:
        assert (await self._proof(Case.ENOUGH)).sample is None

    async def test_a_check_makes_few_requests(self) -> None:
        with self._served(Case.ENOUGH) as given:
            link = Counted(**{name: getattr(given.means.link, name) for name in ("endpoint", "credentials", "authority", "longest", "patience")})
            await self._check(given.sink, replace(given.means, link=link), FIELDS)
        assert len(set(link.asked)) <= self.requests + 1, link.asked

    # What keeps anybody from seeing.

    async def test_a_closed_port_is_unreachable(self) -> None:
        endpoint = self._endpoint(Fault.CLOSED, closed())
        _told(await self._trouble(endpoint), Reason.SINK_UNREACHABLE, endpoint, "correct the sink's endpoint")

    async def test_a_server_that_never_answers_is_unreachable(self) -> None:
        self._must(Fault.SLOW)
        with answering(lambda _, __: None) as server:
            _told(await self._trouble(server.endpoint, patience=0.3), Reason.SINK_UNREACHABLE, server.endpoint, "within 0.3 s")

    @pytest.mark.parametrize(("fault", "status"), [(Fault.UNAUTHORIZED, 401), (Fault.FORBIDDEN, 403)], ids=["401", "403"])
    async def test_refused_credentials_are_told(self, fault: Fault, status: int) -> None:
        self._must(fault)
        with answering(_always(Reply(status, WORDS.encode()))) as server:
            _told(await self._trouble(server.endpoint), Reason.CREDENTIALS_REFUSED, server.endpoint, "Secret")

    async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(self) -> None:
        self._must(Fault.SELF_SIGNED)
        shown, trusted = certificate(HOST), certificate(HOST)
        with answering(_always(Reply()), trust=shown.context) as server:
            _told(await self._trouble(server.endpoint, authority=trusted.pem), Reason.SINK_NOT_TRUSTED, server.endpoint, "ca")
            assert not server.asked

    async def test_a_certificate_of_another_name_is_not_trusted(self) -> None:
        self._must(Fault.OTHER_NAME)
        shown = certificate("other.example")
        with answering(_always(Reply()), trust=shown.context) as server:
            _told(await self._trouble(server.endpoint, authority=shown.pem), Reason.SINK_NOT_TRUSTED, server.endpoint, "certificate")
            assert not server.asked

    @pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
    async def test_an_answer_in_no_form_is_unreadable(self, garbage: bytes) -> None:
        self._must(Fault.GARBAGE)
        with answering(_always(Reply(200, garbage))) as server:
            _told(await self._trouble(server.endpoint), Reason.ANSWER_UNREADABLE, server.endpoint, "log store")

    async def test_what_does_not_speak_http_is_unreadable(self) -> None:
        self._must(Fault.GARBAGE)
        with talking(lambda connection: connection.sendall(f"220 {WORDS} ESMTP\r\n\r\n".encode())) as endpoint:
            _told(await self._trouble(endpoint), Reason.ANSWER_UNREADABLE, endpoint, "log store")

    @pytest.mark.parametrize("name", OTHERS)
    async def test_another_product_is_not_taken_for_the_store(self, name: str) -> None:
        self._must(Fault.OTHER_PRODUCT)
        if name == self.product:
            pytest.skip("that is the product itself")
        with answering(_other(OTHERS[name])) as server:
            _told(await self._trouble(server.endpoint), Reason.ANSWER_UNREADABLE, server.endpoint, "log store")

    async def test_a_redirect_is_not_followed(self) -> None:
        self._must(Fault.REDIRECT)
        with answering(_always(_text(""))) as aim:
            reply = Reply(307, WORDS.encode(), {"Location": f"{aim.endpoint}/{WORDS}"})
            with answering(_always(reply)) as server:
                _told(await self._trouble(server.endpoint), Reason.ADDRESS_REFUSED, server.endpoint, "redirect")
            assert not aim.asked

    # How it is done.

    async def _proof(self, case: Case, fields: tuple[str, ...] = ()) -> Proof:
        with self._served(case) as given:
            proof = await self._check(given.sink, given.means, fields)
        _well_told(proof)
        return proof

    async def _check(self, sink: Kind, means: Means, fields: tuple[str, ...] = (), within: timedelta | None = None) -> Proof:
        ask = Ask(PERIOD, within=self.within if within is None else within, fields=fields)
        async with asyncio.timeout(ask.within.total_seconds() + 60):
            return await self.checker(sink, means).check(ask, datetime.now(UTC))

    async def _trouble(self, endpoint: str, **means: Any) -> Trouble:
        with pytest.raises(Trouble) as caught:
            await self._check(self.sink(endpoint), self.means(endpoint, **means), FIELDS, timedelta(seconds=1))
        return caught.value

    @contextlib.contextmanager
    def _served(self, case: Case) -> Iterator[Given]:
        self._must(case)
        with self.serve(case) as given:
            yield given

    def _endpoint(self, fault: Fault, endpoint: str) -> str:
        self._must(fault)
        return endpoint

    def _must(self, state: Case | Fault) -> None:
        """Skips what cannot be, for the reason that is given."""
        if state in self.cannot:
            assert self.cannot[state].strip(), f"say in `cannot` why the product cannot be in the state {state.name}"
            pytest.skip(f"{state.name}: {self.cannot[state]}")


def _always(reply: Reply) -> Answering:
    return lambda _, __: reply


def _other(product: Mapping[str, Reply]) -> Answering:
    return lambda _, path: product[max((start for start in product if path.startswith(start)), key=len)]


def _delivered(proof: Proof) -> None:
    assert proof.delivery is not None, proof.lost
    assert not proof.lost
    assert proof.delivery.route
    assert proof.delivery.seconds >= 0


def _well_told(proof: Proof) -> None:
    """What holds of every proof: it says what decides, how to change that, and nothing that is nobody's business."""
    assert proof.backend
    assert proof.setting
    assert "{}" in proof.remedy, "remedy has a place for the period that is asked"
    assert (proof.protection is Protection.NONE) or proof.shown, "shown says by what the protection was seen"
    assert (proof.protection is Protection.IMMUTABLE) or proof.unprotected, "unprotected says what keeps it from being stronger"
    _silent(repr(proof))


def _told(trouble: Trouble, reason: Reason, *words: str) -> None:
    assert (trouble.reason, [word for word in words if word not in trouble.message]) == (reason, []), trouble.message
    _silent(trouble.message)


def _silent(text: str, secrets: Iterable[str] = (SECRET, VALUE, WORDS)) -> None:
    assert not [word for word in secrets if word in text], "a secret, a value of a line, or an answer's own words are told"
    assert text.isprintable(), "what is told is one line of printable characters"
