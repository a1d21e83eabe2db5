"""The network probe's servers: `python -m aiqms.probe`. One is open to the operator, one is shut off by a NetworkPolicy; the operator tries to reach both.

The one that is shut off reports to the open one that it lives, so that a dead server is not taken for a policy that is enforced. Standard library only.

A line in, a line out: `here PORT` says that the sender listens there; `ask WORD` is answered by WORD and the addresses of those that said so of late.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

ANSWER = "aiqms-probe"
LATELY = 3.0  # seconds
_REPORT_EVERY = 1.0
_PATIENCE = 5.0  # seconds for one line
_LINE = 256  # bytes
_MOST = 64  # addresses that are remembered


@dataclass
class Server:
    """heard: address -> when somebody last said from there that it lives, by the monotonic clock. lately: how long that counts, in seconds."""

    lately: float = LATELY
    heard: dict[str, float] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one line, one answer."""
        with contextlib.suppress(ConnectionError, TimeoutError, ValueError):
            async with asyncio.timeout(_PATIENCE):
                line = (await reader.readline())[:_LINE].decode(errors="replace")
                writer.write(f"{self.answer(line.split(), writer.get_extra_info('peername')[0], time.monotonic())}\n".encode())
                await writer.drain()
        writer.close()

    def answer(self, words: list[str], sender: str, now: float) -> str:
        """What is said to a line."""
        match words:
            case ["ask", word]:
                return " ".join([ANSWER, word, *sorted(a for a, at in self.heard.items() if now - at < self.lately)])
            case ["here", port] if port.isdigit():
                self._hear(f"{sender}:{port}", now)
                return f"{ANSWER} heard"
        return f"{ANSWER} what"

    def _hear(self, address: str, now: float) -> None:
        self.heard = {a: at for a, at in self.heard.items() if now - at < self.lately}
        if address in self.heard or len(self.heard) < _MOST:
            self.heard[address] = now


async def said(host: str, port: int, line: str, seconds: float = _PATIENCE) -> list[str]:
    """The words that a server answers to a line. Raises OSError (a timeout is one) where there is no connection."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"{line}\n".encode())
            await writer.drain()
            return (await reader.readline()).decode(errors="replace").split()
        finally:
            writer.close()


async def report(to: str, port: int) -> None:
    """Says for ever that this server lives."""
    host, _, at = to.rpartition(":")
    while True:
        with contextlib.suppress(OSError, ValueError):
            await said(host, int(at), f"here {port}")
        await asyncio.sleep(_REPORT_EVERY)


async def run(env: Mapping[str, str]) -> None:
    """Serves AIQMS_PROBE_PORT, and reports to AIQMS_PROBE_REPORT_TO (host:port) where that is set."""
    port = int(env.get("AIQMS_PROBE_PORT") or 8090)
    server = await asyncio.start_server(Server().serve, port=port, limit=_LINE)
    to = env.get("AIQMS_PROBE_REPORT_TO") or ""
    await asyncio.gather(server.serve_forever(), *([report(to, port)] if to else []))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(run(os.environ)))
