"""Which addresses the operator connects to on a tenant's word: never those by which a machine or a cloud answers as the operator itself."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from aiqms.api.conditions import Reason
from aiqms.policy.logs import Trouble

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds tell a machine its secrets, outside the link-local range: Azure's wire server, Alibaba, Oracle, and by IPv6 AWS (the range of all its services
# on a machine, that of pods' identities among them), Google, Oracle and Scaleway (each cloud's own pages).
_METADATA = ("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128")
_METADATA_NETWORKS = [ipaddress.ip_network(n) for n in _METADATA]
# An IPv4 address in the last 32 bits: RFC 6052, RFC 8215 (as /96), and the form that RFC 4291 deprecates.
_CARRIERS = [ipaddress.IPv6Network(n) for n in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")]


def refused(address: str, *, spelled: str) -> str:
    """Why this address is never connected to; empty where it may be. spelled: the host as the endpoint has it, which alone may be this machine."""
    found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_link_local or any(found in network for network in _METADATA_NETWORKS):
        return "a link-local address, where clouds tell a machine its secrets"
    if found.is_multicast or found.is_unspecified:
        return "no address of one server"
    if found.is_loopback and not _is_loopback(spelled):
        return "this machine itself"
    return ""


def _plain(address: Address) -> Address:
    """What an IPv6 address stands for that carries an IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if int(address) > 1 and any(address in network for network in _CARRIERS):  # 0 and 1 are IPv6's own
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_loopback(host: str) -> bool:
    """Whether the name itself says so; a pattern's star never stands for such a name (policy/retention.py)."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Resolver(AbstractResolver):
    """Asks the system, and hands on no answer with an address in it that is refused: what is checked is what is connected to."""

    def __init__(self, spelled: str) -> None:
        self.spelled = spelled

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Raises OSError where the name is unknown, Trouble where an address is refused."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        addresses = [(str(to[0]), kind) for kind, _, _, _, to in found]
        check(host, [a for a, _ in addresses], spelled=self.spelled)
        return [
            ResolveResult(hostname=host, host=a, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV) for a, kind in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def check(host: str, addresses: list[str], *, spelled: str) -> None:
    """Raises Trouble where one of them is refused."""
    for address in addresses:
        if why := refused(address, spelled=spelled):
            raise Trouble(Reason.ADDRESS_REFUSED, f"{host} is at {address}, {why}: the operator does not connect there; name the log store's own address")
