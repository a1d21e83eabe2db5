"""A proxy between one replica of the operator and the API server: plain HTTP on one side, TLS on the other, and weather in between."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import ssl
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from tests.testbed.embedded import HOST, free_ports

HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "user-agent"}
# What an API server answers when it is busy, broken, or of another opinion; a write may also conflict.
READS, WRITES = (429, 500, 503), (409, 429, 500, 503)
REASONS = {409: "Conflict", 410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


class Partition(Enum):
    """How a broken network shows itself: not at all, by resets, or by silence until it is whole again (packets are sent anew then)."""

    NONE = "none"
    RESET = "reset"
    SILENT = "silent"


@dataclass(frozen=True)
class Weather:
    """What happens to requests. refused: share answered with an error; lost: share whose answer is lost after it was carried out; slow: seconds at most."""

    refused: float = 0.0
    lost: float = 0.0
    slow: float = 0.0
    partition: Partition = Partition.NONE


FAIR = Weather()


class Proxy:
    """Runs in a thread of its own. agent: what the audit log names it by, for all replicas are the same user."""

    def __init__(self, kubeconfig: Path, agent: str) -> None:
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        self.server, self.agent, self.port = cluster["server"], agent, free_ports(1)[0]
        self._tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self._weather, self._dice = FAIR, random.Random(0)
        self._known: set[str] | None = None  # paths that were watched since the last compaction; None: there was none
        self._streams: set[asyncio.Task[object]] = set()
        self._loop = asyncio.new_event_loop()
        self._fair = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy of {agent}", daemon=True)

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(30)

    def stop(self) -> None:
        """End all connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def kubeconfig(self, direct: Path) -> str:
        """The same login, by way of this proxy."""
        document = yaml.safe_load(direct.read_text())
        for entry in document["clusters"]:
            entry["cluster"] = {"server": f"http://{HOST}:{self.port}"}
        return str(yaml.safe_dump(document, sort_keys=False))

    def change(self, weather: Weather, seed: int = 0) -> None:
        """From now on."""
        self._loop.call_soon_threadsafe(self._changed, weather, seed)

    def cut(self) -> None:
        """Break every watch."""
        self._loop.call_soon_threadsafe(self._cut)

    def compact(self) -> None:
        """The next try of each watch is answered with 410, so that everything is listed anew."""
        self._loop.call_soon_threadsafe(self._compact)

    def _changed(self, weather: Weather, seed: int) -> None:
        self._weather, self._dice = weather, random.Random(seed)
        (self._fair.clear if weather.partition is Partition.SILENT else self._fair.set)()
        if weather.partition is Partition.RESET:
            self._cut()

    def _compact(self) -> None:
        self._known = set()

    def _cut(self) -> None:
        for stream in self._streams:
            stream.cancel()

    async def _serve(self) -> None:
        self._fair.set()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls, limit=0), auto_decompress=False)
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()

    async def _end(self) -> None:
        self._cut()
        await self._session.close()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._weather.partition is Partition.RESET:
            return _reset(request)
        await self._fair.wait()
        await asyncio.sleep(self._dice.uniform(0, self._weather.slow))
        if self._dice.random() < self._weather.refused:
            return _refused(self._dice.choice(READS if request.method == "GET" else WRITES))
        try:
            return await (self._watch(request) if "watch" in request.query else self._forward(request))
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            return _reset(request)

    def _asked(self, request: web.Request, body: bytes) -> aiohttp.client._BaseRequestContextManager[aiohttp.ClientResponse]:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP} | {"User-Agent": self.agent}
        # No limit of its own: how long to wait is the operator's to know.
        url, limit = URL(self.server + request.raw_path, encoded=True), aiohttp.ClientTimeout(total=None)
        return self._session.request(request.method, url, headers=headers, data=body or None, timeout=limit)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        async with self._asked(request, await request.read()) as answer:
            body = await answer.read()
            await self._fair.wait()
            if self._weather.partition is Partition.RESET or self._dice.random() < self._weather.lost:
                return _reset(request)
            return web.Response(status=answer.status, body=body, headers=_passed(answer))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task
        self._streams.add(task)
        try:
            if self._known is not None and request.path not in self._known:
                self._known.add(request.path)
                return _expired()
            return await self._stream(request)
        except asyncio.CancelledError:
            return _reset(request)
        finally:
            self._streams.discard(task)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        async with self._asked(request, b"") as answer:
            stream = web.StreamResponse(status=answer.status, headers=_passed(answer))
            await stream.prepare(request)
            async for chunk in answer.content.iter_any():
                await self._fair.wait()
                await asyncio.sleep(self._dice.uniform(0, self._weather.slow))
                await stream.write(chunk)
            return stream


def _passed(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in HOP}


def _reset(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _status(code: int) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": REASONS[code], "message": "by the proxy of a test"}


def _refused(code: int) -> web.Response:
    return web.json_response(_status(code), status=code, headers={"Retry-After": "1"} if code == 429 else {})


def _expired() -> web.Response:
    """As an API server says it: in the stream, not by the answer's code."""
    return web.Response(text=json.dumps({"type": "ERROR", "object": _status(410)}) + "\n", content_type="application/json")
