"""HTTP to a log store whose address a tenant chose: no redirect, no proxy, no refused address, no long answer, no endless wait, no secret in an error."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from aiqms.api.conditions import Reason
from aiqms.policy.logs import Trouble
from aiqms.retention.addresses import Resolver, check

LONGEST = 1024 * 1024  # bytes of an answer
PATIENCE = 10.0  # seconds for one request, from connecting to the last byte
_REALLY = "is this the log store that the sink says?"


@dataclass(frozen=True)
class Answer:
    """What came back. headers: by lower-case name, of those sent more than once the last."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what is none is replaced."""
        return self.body.decode(errors="replace")


@dataclass(frozen=True)
class Link:
    """endpoint: scheme, host, port and the path under which everything lies. credentials: the Secret's keys.

    authority: certificates (PEM) to trust, else the system's. longest: bytes of an answer; patience: seconds for one request.
    """

    endpoint: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    authority: str = ""
    longest: int = LONGEST
    patience: float = PATIENCE

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> Answer:
        """One request to a path below the endpoint, such as `/flags`. Raises Trouble where no whole answer came; any status but a redirect's is an answer."""
        url = self._url(path)
        try:
            async with asyncio.timeout(self.patience), self._session() as session:
                sent = session.request(method, url, params=params, headers=headers, data=data, allow_redirects=False)
                async with sent as response:
                    return await self._answer(response)
        except TimeoutError as error:
            raise self._unreachable(f"did not answer within {self.patience:g} s") from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            raise self._unreachable("names no server") from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise self._trouble(Reason.SINK_NOT_TRUSTED, f"{_certificate(error)}: name its authority in the sink's ca, or mend the certificate") from error
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(f"cannot be reached ({error.os_error.strerror or type(error).__name__})") from error
        except (aiohttp.ServerDisconnectedError, OSError) as error:
            raise self._unreachable("closed the connection") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise self._trouble(Reason.ANSWER_UNREADABLE, f"did not answer as HTTP asks ({type(error).__name__}): {_REALLY}") from error

    def _url(self, path: str) -> URL:
        """As it is written: `..` leads nowhere else."""
        try:
            urlsplit(self.endpoint).port  # noqa: B018 (raises for one that is none)
            return URL(self.endpoint.rstrip("/") + path, encoded=True)
        except ValueError as error:
            raise self._unreachable("names no server") from error

    @property
    def host(self) -> str:
        """The host that the endpoint names."""
        return urlsplit(self.endpoint).hostname or ""

    def _session(self) -> aiohttp.ClientSession:
        """A new one each time: a store is asked a few times an hour, and nothing is remembered of it."""
        with contextlib.suppress(ValueError):  # a name, which the resolver looks at
            check(self.host, [str(ipaddress.ip_address(self.host))], spelled=self.host)
        connector = aiohttp.TCPConnector(resolver=Resolver(self.host), ssl=self._trust(), force_close=True, use_dns_cache=False)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "aiqms"},
            trust_env=False,
        )

    def _trust(self) -> ssl.SSLContext | bool:
        if not self.endpoint.startswith("https:"):
            return True
        try:
            return ssl.create_default_context(cadata=self.authority or None)
        except ssl.SSLError as error:
            raise Trouble(Reason.CREDENTIALS_UNREADABLE, "the ConfigMap that the sink's ca names has no certificate in PEM under its key") from error

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        if 300 <= response.status < 400:
            raise self._trouble(
                Reason.ADDRESS_REFUSED, f"answered with a redirect ({response.status}), which is not followed: name the server itself as endpoint"
            )
        body = bytearray()
        while len(body) <= self.longest:
            chunk = await response.content.read(self.longest + 1 - len(body))
            if not chunk:
                return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, bytes(body))
            body += chunk
        raise self._trouble(Reason.ANSWER_UNREADABLE, f"answered with more than {self.longest} bytes: {_REALLY}")

    def _trouble(self, reason: Reason, what: str) -> Trouble:
        return Trouble(reason, f"{self.endpoint} {what}")

    def _unreachable(self, what: str) -> Trouble:
        return self._trouble(Reason.SINK_UNREACHABLE, f"{what}: correct the sink's endpoint, or let the operator reach it")

    def refusal(self, answer: Answer, what: str) -> Trouble:
        """What to raise for a status that is no good answer. what: was asked, in words such as `its retention (GET /flags)`."""
        if answer.status in (401, 403):
            return self._trouble(
                Reason.CREDENTIALS_REFUSED, f"does not let the operator ask for {what}: answer {answer.status}; correct the Secret that the sink names"
            )
        return self._trouble(Reason.ANSWER_UNREADABLE, f"answered {answer.status} when asked for {what}: {_REALLY}")

    def unreadable(self, what: str) -> Trouble:
        """What to raise for an answer in no known form. what: was asked."""
        return self._trouble(Reason.ANSWER_UNREADABLE, f"did not answer in a known form when asked for {what}: {_REALLY}")

    def parsed(self, answer: Answer, what: str) -> Any:
        """The JSON of an answer. Raises Trouble for another status than 2xx, and for what is no JSON. what: was asked."""
        if not 200 <= answer.status < 300:
            raise self.refusal(answer, what)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):  # RecursionError: JSON that is nested without end
            raise self.unreadable(what) from None

    def authorization(self) -> dict[str, str]:
        """The header of a Secret with token, or username and password; none without a Secret. Raises Trouble for one with neither."""
        if not self.credentials:
            return {}
        if token := self.credentials.get("token"):
            return {"Authorization": f"Bearer {_token(token)}"}
        if "username" in self.credentials and "password" in self.credentials:
            pair = f"{self.credentials['username']}:{self.credentials['password']}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        raise Trouble(Reason.CREDENTIALS_UNREADABLE, "the Secret that the sink names has neither token nor username and password")


def _token(token: str) -> str:
    """Without the end of line that files have."""
    if re.fullmatch("[!-~]+", token.strip()) is None:
        raise Trouble(Reason.CREDENTIALS_UNREADABLE, "the token of the Secret that the sink names has characters that no header may have")
    return token.strip()


def _certificate(error: Exception) -> str:
    """What is wrong with it, in OpenSSL's words, which name no secret."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return f"is not trusted ({getattr(cause, 'verify_message', '') or getattr(cause, 'reason', '') or type(cause).__name__})"
