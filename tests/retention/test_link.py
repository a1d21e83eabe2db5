"""What a log store may answer, and what the operator then does and says."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import time
from collections.abc import Callable

import pytest

from aiqms.api.conditions import Reason
from aiqms.policy.logs import Trouble
from aiqms.retention.faults import HOST, Reply, answering, certificate, closed, talking
from aiqms.retention.link import Answer, Link

SECRET = "a-secret-that-nobody-may-see"
WORDS = "words-that-nobody-may-see"
CREDENTIALS = {"username": "aiqms", "password": SECRET}
HEAD = b"HTTP/1.1 200 OK\r\n"


async def told(endpoint: str, *, authority: str = "", patience: float = 3) -> Trouble:
    """The trouble of a request with credentials; its message has none of them, nor any word of the answer."""
    link = Link(endpoint, CREDENTIALS, authority, longest=64 * 1024, patience=patience)
    with pytest.raises(Trouble) as caught:
        await link.request("GET", "/flags", headers=link.authorization())
    message = caught.value.message
    assert not [word for word in (SECRET, WORDS, link.authorization()["Authorization"].split()[1]) if word in message], message
    assert SECRET not in repr(link)
    return caught.value


async def test_an_answer_is_what_came_back_whatever_its_status() -> None:
    with answering(lambda _, __: Reply(418, b"no", {"X-Word": "a"})) as server:
        answer = await Link(f"{server.endpoint}/logs/").request("POST", "/flags", params={"a": "b c"}, data=b"{}")
    assert (answer.status, answer.text, answer.headers["x-word"], server.asked) == (418, "no", "a", ["POST /logs/flags?a=b+c"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_told_and_not_followed(status: int) -> None:
    with answering(lambda _, __: Reply(200)) as aim, answering(lambda _, __: Reply(status, b"", {"Location": f"{aim.endpoint}/{WORDS}"})) as server:
        trouble = await told(server.endpoint)
        assert not aim.asked
    message = f"{server.endpoint} answered with a redirect ({status}), which is not followed: name the server itself as endpoint"
    assert (trouble.reason, trouble.message) == (Reason.ADDRESS_REFUSED, message)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, closed())
    with answering(lambda _, __: Reply(200, b"yes")) as server:
        assert (await Link(server.endpoint).request("GET", "/")).body == b"yes"


def endless(first: bytes, more: bytes, sent: list[int]) -> Callable[[socket.socket], None]:
    """Talks without end, and notes how many bytes the other side, and what lies between, took."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(more)
            sent.append(len(more))

    return talk


CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
LONG = {
    "chunks without end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK),
    "ten gigabytes": (HEAD + b"Content-Length: 10000000000\r\n\r\n", CHUNK),
    "no length": (HEAD + b"\r\n", CHUNK),
}


@pytest.mark.parametrize(("first", "more"), LONG.values(), ids=LONG.keys())
async def test_of_a_long_answer_no_more_is_read_than_the_limit(first: bytes, more: bytes) -> None:
    sent: list[int] = []
    with talking(endless(first, more, sent)) as endpoint:
        trouble = await told(endpoint)
    assert trouble.reason is Reason.ANSWER_UNREADABLE
    assert trouble.message == f"{endpoint} answered with more than 65536 bytes: is this the log store that the sink says?"
    assert sum(sent) < 16 * 1024 * 1024  # what the kernel's buffers take


async def test_headers_without_end_are_not_read_without_end() -> None:
    sent: list[int] = []
    with talking(endless(HEAD, b"".join(b"X-%d: %s\r\n" % (n, WORDS.encode()) for n in range(1000)), sent)) as endpoint:
        assert (await told(endpoint)).reason is Reason.ANSWER_UNREADABLE
    assert sum(sent) < 32 * 1024 * 1024


async def test_what_is_compressed_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with answering(lambda _, __: Reply(200, bomb, {"Content-Encoding": "gzip"})) as server:
        answer = await Link(server.endpoint).request("GET", "/flags")
        with pytest.raises(Trouble) as caught:
            Link(server.endpoint).parsed(answer, "its settings")
    assert (answer.body, caught.value.reason) == (bomb, Reason.ANSWER_UNREADABLE)


def drip(first: bytes, more: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            time.sleep(0.02)  # slower than any patience, and never silent
            connection.sendall(more)

    return talk


DRIPS = {"body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"), "headers": (HEAD, b"X: y\r\n"), "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")}


@pytest.mark.parametrize(("first", "more"), DRIPS.values(), ids=DRIPS.keys())
async def test_a_slow_drip_is_as_good_as_silence(first: bytes, more: bytes) -> None:
    with talking(drip(first, more)) as endpoint:
        trouble = await told(endpoint, patience=0.3)
    message = f"{endpoint} did not answer within 0.3 s: correct the sink's endpoint, or let the operator reach it"
    assert (trouble.reason, trouble.message) == (Reason.SINK_UNREACHABLE, message)


NO_HTTP = {
    "a greeting": f"220 {WORDS} ESMTP\r\n\r\n".encode(),
    "a status that is none": f"HTTP/1.1 {WORDS}\r\n\r\n".encode(),
    "a length that is none": HEAD + f"Content-Length: {WORDS}\r\n\r\n".encode(),
    "a chunk that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + f"{WORDS}\r\n".encode(),
    "less than its length": HEAD + b"Content-Length: 100\r\n\r\n" + WORDS.encode(),
    "a header of 100 kB": HEAD + b"X: " + WORDS.encode() * 4000 + b"\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
}


@pytest.mark.parametrize("said", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_is_unreadable(said: bytes) -> None:
    with talking(lambda connection: connection.sendall(said)) as endpoint:
        trouble = await told(endpoint)
    assert trouble.reason is Reason.ANSWER_UNREADABLE
    assert trouble.message.startswith(f"{endpoint} did not answer as HTTP asks (")


async def test_a_connection_that_is_closed_is_unreachable() -> None:
    with talking(lambda _: None) as endpoint:
        trouble = await told(endpoint)
    message = f"{endpoint} closed the connection: correct the sink's endpoint, or let the operator reach it"
    assert (trouble.reason, trouble.message) == (Reason.SINK_UNREACHABLE, message)


async def test_a_closed_port_is_unreachable() -> None:
    endpoint = closed()
    trouble = await told(endpoint)
    assert trouble.reason is Reason.SINK_UNREACHABLE
    assert trouble.message.startswith(f"{endpoint} cannot be reached (")


@pytest.mark.parametrize(
    "endpoint", ["http://no-such-host.invalid", "http://a..b", f"http://{'a' * 64}.example", "http://logs.invalid:70000", "http://127.0.0.1:0"]
)
async def test_an_endpoint_that_names_no_server_is_unreachable(endpoint: str) -> None:
    assert (await told(endpoint)).reason is Reason.SINK_UNREACHABLE


async def test_a_certificate_that_the_sink_vouches_for_is_trusted() -> None:
    shown = certificate(HOST)
    with answering(lambda _, __: Reply(200, b"yes"), trust=shown.context) as server:
        assert (await Link(server.endpoint, authority=shown.pem).request("GET", "/")).body == b"yes"


async def test_a_certificate_is_for_the_name_that_is_asked() -> None:
    shown = certificate("other.example")
    with answering(lambda _, __: Reply(200), trust=shown.context) as server:
        trouble = await told(server.endpoint, authority=shown.pem)
        assert not server.asked
    assert trouble.reason is Reason.SINK_NOT_TRUSTED
    assert "certificate is not valid for '127.0.0.1'" in trouble.message


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    shown = certificate(HOST)
    with answering(lambda _, __: Reply(200), trust=shown.context) as server:
        own, systems = await asyncio.gather(told(server.endpoint, authority=certificate(HOST).pem), told(server.endpoint))
        assert not server.asked
    assert (own.reason, systems.reason) == (Reason.SINK_NOT_TRUSTED, Reason.SINK_NOT_TRUSTED)
    assert systems.message.endswith("name its authority in the sink's ca, or mend the certificate")


@pytest.mark.parametrize("pem", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], ids=["a blank", "words", "no DER"])
async def test_an_authority_that_is_no_certificate_is_told(pem: str) -> None:
    trouble = await told("https://127.0.0.1:1", authority=pem or " ")
    assert (trouble.reason, trouble.message) == (
        Reason.CREDENTIALS_UNREADABLE,
        "the ConfigMap that the sink's ca names has no certificate in PEM under its key",
    )


HEADERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "none": ({}, {}),
    "a token": ({"token": " t0 \n"}, {"Authorization": "Bearer t0"}),
    "a password": ({"username": "a", "password": "pä:ss"}, {"Authorization": "Basic YTpww6Q6c3M="}),
    "a token before a password": ({"token": "t0", "username": "a", "password": "b"}, {"Authorization": "Bearer t0"}),
}


@pytest.mark.parametrize(("credentials", "header"), HEADERS.values(), ids=HEADERS.keys())
def test_what_is_sent_of_a_secret(credentials: dict[str, str], header: dict[str, str]) -> None:
    assert Link("http://logs", credentials).authorization() == header


NO_CREDENTIALS: dict[str, tuple[dict[str, str], str]] = {
    "other keys": ({"pass": SECRET}, "the Secret that the sink names has neither token nor username and password"),
    "no password": ({"username": SECRET}, "the Secret that the sink names has neither token nor username and password"),
    "a header in a token": ({"token": f"{SECRET}\r\nX-Other: a"}, "the token of the Secret that the sink names has characters that no header may have"),
    "a word in a token": ({"token": f"{SECRET} b"}, "the token of the Secret that the sink names has characters that no header may have"),
    "a blank token": ({"token": " \n"}, "the token of the Secret that the sink names has characters that no header may have"),
}


@pytest.mark.parametrize(("credentials", "message"), NO_CREDENTIALS.values(), ids=NO_CREDENTIALS.keys())
def test_a_secret_that_cannot_be_sent_is_told_without_it(credentials: dict[str, str], message: str) -> None:
    with pytest.raises(Trouble) as caught:
        Link("http://logs", credentials).authorization()
    assert (caught.value.reason, caught.value.message) == (Reason.CREDENTIALS_UNREADABLE, message)


ANSWERS: dict[str, tuple[Answer, Reason]] = {
    "401": (Answer(401, {}, WORDS.encode()), Reason.CREDENTIALS_REFUSED),
    "403": (Answer(403, {}, b"{}"), Reason.CREDENTIALS_REFUSED),
    "404": (Answer(404, {}, b"{}"), Reason.ANSWER_UNREADABLE),
    "503": (Answer(503, {}, b"{}"), Reason.ANSWER_UNREADABLE),
    "nothing": (Answer(200, {}, b""), Reason.ANSWER_UNREADABLE),
    "no JSON": (Answer(200, {}, WORDS.encode()), Reason.ANSWER_UNREADABLE),
    "no UTF-8": (Answer(200, {}, b"\xff\xfe\x00"), Reason.ANSWER_UNREADABLE),
    "JSON without end": (Answer(200, {}, b"[" * 200_000), Reason.ANSWER_UNREADABLE),
    "a number of 5000 digits": (Answer(200, {}, b"1" * 5000), Reason.ANSWER_UNREADABLE),
}


@pytest.mark.parametrize(("answer", "reason"), ANSWERS.values(), ids=ANSWERS.keys())
def test_json_that_cannot_be_read_is_told(answer: Answer, reason: Reason) -> None:
    with pytest.raises(Trouble) as caught:
        Link("http://logs").parsed(answer, "its limits (GET /limits)")
    assert (caught.value.reason, WORDS in caught.value.message) == (reason, False)
    assert "its limits (GET /limits)" in caught.value.message


async def test_who_stops_waiting_leaves_nothing_open() -> None:
    """As at the end of the operator: a request that is cancelled ends at once, and as cancelled."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def silent(_: str, __: str) -> None:
        loop.call_soon_threadsafe(asked.set)

    with answering(silent) as server:
        task = asyncio.create_task(Link(server.endpoint).request("GET", "/"))
        await asked.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()
