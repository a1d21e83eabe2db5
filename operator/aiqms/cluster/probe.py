"""Dials the network probe: does the open server answer, and the one that a NetworkPolicy shuts off not?"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from aiqms.policy.networks import Outcome, Probe
from aiqms.probe import ANSWER, LATELY, said

_DEAD = "{} answers, but the server that a NetworkPolicy shuts off does not report there that it lives"
_FEW = 4  # servers: one, and those that it took the place of a moment ago. All are dialled, so that nobody hides the real one among others


@dataclass(frozen=True)
class Patience:
    """In seconds. answer: to connect and be answered; again: before what was reached is tried again, for a policy may be late; lately: the server's."""

    answer: float = 2.0
    again: tuple[float, ...] = (1.0, 4.0)
    lately: float = LATELY


def dial(address: str, patience: Patience = Patience()) -> Callable[[datetime], Awaitable[Probe]]:
    """A probe of the open server at host:port, which knows where the other one is. Found shut off is only one that reported before and afterwards."""

    async def once(now: datetime) -> Probe:
        try:
            return Probe(await _found(address, patience), now)
        except Unheard as unheard:
            return Probe(Outcome.SILENT, now, str(unheard))

    return once


class Unheard(Exception):
    """Nothing can be said, and why."""


async def _found(address: str, patience: Patience) -> Outcome:
    before = await _reporting(address, patience)
    if await _open(before, patience):
        return Outcome.OPEN
    await asyncio.sleep(patience.lately)
    if not set(before) & set(await _reporting(address, patience)):
        raise Unheard(_DEAD.format(address))
    return Outcome.ENFORCED


async def _reporting(address: str, patience: Patience) -> list[str]:
    """Where the servers are that must not be reached. Raises Unheard."""
    host, _, port = address.rpartition(":")
    word = secrets.token_hex(8)
    try:
        words = await said(host, int(port), f"ask {word}", patience.answer)
    except (OSError, ValueError) as error:
        raise Unheard(f"{address} does not answer") from error
    if words[:2] != [ANSWER, word]:
        raise Unheard(f"what answers at {address} is not the probe")
    if not words[2:]:
        raise Unheard(_DEAD.format(address))
    if len(words[2:]) > _FEW:
        raise Unheard(f"{address} hears of more servers than there are: something else reports there")
    return words[2:]


async def _open(addresses: list[str], patience: Patience) -> bool:
    """Whether one of them can be reached, now and after each pause."""
    for pause in (0.0, *patience.again):
        await asyncio.sleep(pause)
        if not any(await asyncio.gather(*(_reached(address, patience) for address in addresses))):
            return False
    return True


async def _reached(address: str, patience: Patience) -> bool:
    """Whether anything is answered: a connection alone may be with a proxy on the operator's side."""
    host, _, port = address.rpartition(":")
    try:
        return bool(await said(host, int(port), "ask whether", patience.answer))
    except (OSError, ValueError):
        return False
