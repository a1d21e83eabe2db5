"""Where the operator never connects, however it is spelled and whatever a name resolves to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from aiqms.api.conditions import Reason
from aiqms.api.logging import VictoriaLogs
from aiqms.policy.logs import Trouble
from aiqms.retention.addresses import refused
from aiqms.retention.faults import Reply, answering
from aiqms.retention.link import Link

SECRETS = "a link-local address, where clouds tell a machine its secrets"
ITSELF = "this machine itself"
NOBODY = "no address of one server"
REFUSED: dict[str, str] = {
    "169.254.169.254": SECRETS, "169.254.170.2": SECRETS, "169.254.0.23": SECRETS, "fe80::1": SECRETS, "fe80::1%eth0": SECRETS, "168.63.129.16": SECRETS,
    "100.100.100.200": SECRETS, "192.0.0.192": SECRETS, "fd00:ec2::254": SECRETS, "fd00:ec2::23": SECRETS, "fd20:ce::254": SECRETS,
    "fd00:c1::a9fe:a9fe": SECRETS, "fd00:42::42": SECRETS,
    "::ffff:169.254.169.254": SECRETS, "::169.254.169.254": SECRETS, "64:ff9b::a9fe:a9fe": SECRETS, "64:ff9b:1::a9fe:a9fe": SECRETS,
    "2002:a9fe:a9fe::1": SECRETS,
    "127.0.0.1": ITSELF, "127.255.0.9": ITSELF, "::1": ITSELF, "::ffff:127.0.0.1": ITSELF, "::127.0.0.1": ITSELF, "64:ff9b::7f00:1": ITSELF,
    "0.0.0.0": NOBODY, "::": NOBODY, "224.0.0.1": NOBODY, "ff02::1": NOBODY, "::ffff:0.0.0.0": NOBODY,
}  # fmt: skip
TAKEN = ("10.0.0.7", "172.16.3.4", "192.168.1.1", "100.64.0.1", "203.0.113.9", "fd00::7", "2001:db8::1", "::ffff:10.0.0.7", "64:ff9b::a00:7")


@pytest.mark.parametrize(("address", "why"), REFUSED.items(), ids=REFUSED.keys())
def test_an_address_is_refused_in_every_form(address: str, why: str) -> None:
    assert refused(address, spelled="logs.example") == why


@pytest.mark.parametrize("address", TAKEN)
def test_a_cluster_s_and_the_world_s_addresses_are_not(address: str) -> None:
    assert refused(address, spelled="logs.example") == ""


@pytest.mark.parametrize("spelled", ["localhost", "127.0.0.1", "127.9.9.9"])
def test_this_machine_is_asked_only_where_the_endpoint_itself_says_so(spelled: str) -> None:
    assert refused("127.0.0.1", spelled=spelled) == ""
    assert refused("169.254.169.254", spelled=spelled) == SECRETS


Resolving = Callable[..., list[str]]


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Sets what names resolve to, in order of asking; the list that is returned fills with the names that are asked for."""

    def answers(*addresses: tuple[str, ...]) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
            asked.append(host)
            return [_found(address, port) for address in addresses[min(len(asked), len(addresses)) - 1]]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answers


def _found(address: str, port: int) -> tuple[object, ...]:
    new = ipaddress.ip_address(address.partition("%")[0]).version == 6
    to = (address, port, 0, 0) if new else (address, port)
    return (socket.AF_INET6 if new else socket.AF_INET, socket.SOCK_STREAM, 6, "", to)


async def told(endpoint: str) -> Trouble:
    with pytest.raises(Trouble) as caught:
        await Link(endpoint, {"token": "a-secret"}, patience=3).request("GET", "/flags")
    return caught.value


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_that_resolves_to_one_is_not_connected_to(address: str, resolving: Resolving) -> None:
    resolving((address,))
    trouble = await told("http://logs.example:1")
    message = f"logs.example is at {address}, {REFUSED[address]}: the operator does not connect there; name the log store's own address"
    assert (trouble.reason, trouble.message) == (Reason.ADDRESS_REFUSED, message)


async def test_one_bad_address_among_good_ones_is_enough(resolving: Resolving) -> None:
    resolving(("203.0.113.9", "169.254.169.254"))
    assert (await told("http://logs.example:1")).reason is Reason.ADDRESS_REFUSED


async def test_a_name_is_resolved_once_so_that_what_is_checked_is_connected_to(resolving: Resolving) -> None:
    with answering(lambda _, __: Reply(200, b"yes")) as server:
        asked = resolving(("127.0.0.1",), ("169.254.169.254",))
        answer = await Link(server.endpoint.replace("127.0.0.1", "localhost")).request("GET", "/")
    assert (answer.body, asked) == (b"yes", ["localhost"])


# The system itself would read each as an address that is refused; some are no host at all to the HTTP client.
SPELLED = ("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "127.1", "0x7f.1", "2130706433", "017700000001", "0")


@pytest.mark.parametrize("host", SPELLED)
async def test_an_address_is_refused_however_the_endpoint_spells_it(host: str) -> None:
    endpoint = VictoriaLogs(endpoint=f"http://{host}:9428").endpoint  # its form alone is no reason
    trouble = await told(endpoint)
    assert trouble.reason is Reason.ADDRESS_REFUSED or "names no server" in trouble.message


BAD = (
    "http://user:password@logs", "http://user@logs", "http://logs/?a=b", "http://logs/#a", "http://[::1]:9428", "ftp://logs", "file:///etc/passwd", "logs:9428",
    "http://logs:123456", "http://", "http://logs\n", "http://logs/a b", "http://logs/%2e%2e", "http://lögs", "http://logs\\@other",
)  # fmt: skip


@pytest.mark.parametrize("endpoint", BAD)
def test_an_endpoint_has_a_host_a_port_and_a_plain_path_alone(endpoint: str) -> None:
    with pytest.raises(ValidationError):
        VictoriaLogs(endpoint=endpoint)
