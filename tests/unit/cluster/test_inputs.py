"""What pods read is read once for each version, and many of it by one list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from aiqms.api.values import Json
from aiqms.cluster.caches import Caches, caches
from aiqms.cluster.client import Client
from aiqms.cluster.inputs import InputReader, content
from aiqms.gate.rules import DEFAULTS
from aiqms.policy.facts import ABSENT

NAMESPACE = "lending"
AT = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def config_map(name: str, version: str = "1") -> Json:
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": version}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"says": f"{name} {version}"}}


@dataclass
class Place:
    """stored: what the API server has; the watch has seen it as it is there, if not told otherwise."""

    stored: dict[str, Json] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    known: Caches = field(default_factory=lambda: caches(DEFAULTS, lambda _: None, lambda: None))
    reader: InputReader = field(init=False)

    def has(self, *names: str, version: str = "1") -> list[str]:
        for name in names:
            self.stored[name] = config_map(name, version)
            self.known.inputs["configmaps"].put(self.stored[name])
        return [f"configmaps/{name}" for name in names]

    async def listed(self, request: web.Request) -> web.Response:
        self.asked.append(f"list {request.query['limit']}")
        return web.json_response({"metadata": {"resourceVersion": "9"}, "items": list(self.stored.values())})

    async def get(self, request: web.Request) -> web.Response:
        self.asked.append(f"get {request.match_info['name']}")
        return web.json_response(self.stored[request.match_info["name"]])

    async def read(self, refs: list[str]) -> dict[str, str]:
        await self.reader.prepare(NAMESPACE, refs)
        return {ref: await self.reader.digest(NAMESPACE, ref) for ref in refs}

    def right(self, refs: list[str]) -> dict[str, str]:
        return {ref: content(self.stored[ref.split("/")[1]]) for ref in refs}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    found = Place()
    app = web.Application()
    app.add_routes([web.get(AT, found.listed), web.get(AT + "/{name}", found.get)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = Client(configuration)
    found.reader = InputReader(client, found.known)
    yield found
    await client.close()
    await runner.cleanup()


MANY = [f"map-{n}" for n in range(8)]


async def test_many_are_read_by_one_list_in_small_pages(place: Place) -> None:
    refs = place.has(*MANY)
    assert (await place.read(refs), place.asked) == (place.right(refs), ["list 50"])


async def test_few_are_read_each_by_itself(place: Place) -> None:
    refs = place.has(*MANY[:2])
    assert (await place.read(refs), place.asked) == (place.right(refs), ["get map-0", "get map-1"])


async def test_many_are_read_each_by_itself_where_most_of_the_namespace_is_not_asked_for(place: Place) -> None:
    place.has(*(f"other-{n}" for n in range(9)))
    refs = place.has(*MANY)
    assert (await place.read(refs), place.asked) == (place.right(refs), [f"get {name}" for name in MANY])


async def test_what_is_known_is_not_read_again_and_one_that_changed_is(place: Place) -> None:
    refs = place.has(*MANY)
    await place.read(refs)
    place.asked.clear()
    place.has("map-3", version="2")
    assert (await place.read(refs), place.asked) == (place.right(refs), ["get map-3"])


async def test_one_that_the_list_has_in_another_version_than_the_watch_is_read_by_itself(place: Place) -> None:
    refs = place.has(*MANY)
    place.stored["map-3"] = config_map("map-3", "2")
    assert (await place.read(refs), place.asked) == (place.right(refs), ["list 50", "get map-3"])


async def test_one_that_is_absent_is_not_asked_for(place: Place) -> None:
    assert (await place.read(["configmaps/none"]), place.asked) == ({"configmaps/none": ABSENT}, [])
