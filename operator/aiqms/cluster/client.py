"""Plain requests to the API server: dicts in, dicts out. Configuration, TLS and tokens are `kubernetes.aio`'s."""

from __future__ import annotations

import contextlib
import copy
import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from pydantic_core import from_json

from aiqms.api.values import Json

MANAGER = "aiqms-operator"  # field manager of every write
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
_QUIET = aiohttp.ClientTimeout(sock_connect=10, sock_read=150)  # seconds; bookmarks come about once a minute, so a longer silence is a dead connection
_TOTAL = aiohttp.ClientTimeout(total=30)
PAGE = 250  # objects


class ApiError(Exception):
    """The API server's refusal. status: HTTP code; reason: of the Status object, such as NotFound or Conflict."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message

    @property
    def gone(self) -> bool:
        """404, or a 409 on a delete with preconditions: the object is no longer the one meant."""
        return self.status == 404


class NotLeading(Exception):
    """The Lease was not renewed in time, so another process may lead: this one writes no more."""


def path(group_version: str, plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a resource: `v1` is the core group."""
    root = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    return root + scope + f"/{plural}" + (f"/{quote(name)}" if name else "") + (f"/{subresource}" if subresource else "")


async def configuration() -> Configuration:
    """The pod's ServiceAccount, or KUBECONFIG where that is set. Raises kubernetes' ConfigException where there is neither."""
    found = Configuration()
    if os.environ.get("KUBECONFIG"):
        await config.load_kube_config(client_configuration=found)  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config(client_configuration=found)  # type: ignore[no-untyped-call]
    return found


class Client:
    """One connection pool to one API server. Every method raises ApiError for a refusal, aiohttp.ClientError or TimeoutError where there was no answer."""

    def __init__(self, settings: Configuration) -> None:
        settings.connection_pool_maxsize = 64
        self._settings, self._api = settings, ApiClient(configuration=settings)
        self._left: Callable[[], float] = lambda: float("inf")

    def fenced(self, left: Callable[[], float]) -> Client:
        """The same connections, for a leader: each write has to be over within the seconds that are left, and raises NotLeading where none are."""
        found = copy.copy(self)
        found._left = left
        return found

    async def close(self) -> None:
        """Ends all connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, at: str, **params: str) -> Json:
        """One object, or one page of a list."""
        return await self._json("GET", at, params)

    async def create(self, at: str, body: Json) -> Json:
        """POST to a collection."""
        return await self._json("POST", at, {"fieldManager": MANAGER}, body)

    async def replace(self, at: str, body: Json) -> Json:
        """PUT of one object; its resourceVersion makes it conditional."""
        return await self._json("PUT", at, {"fieldManager": MANAGER}, body)

    async def apply(self, at: str, body: Json) -> Json:
        """Server-side apply, forced; a resourceVersion in metadata makes it conditional."""
        return await self._json("PATCH", at, {"fieldManager": MANAGER, "force": "true"}, body, content="application/apply-patch+yaml")

    async def merge(self, at: str, body: Json, *, content: str = STRATEGIC_MERGE) -> Json:
        """Merge patch: strategic, or MERGE for a custom resource."""
        return await self._json("PATCH", at, {"fieldManager": MANAGER}, body, content=content)

    async def delete(self, at: str, *, uid: str) -> None:
        """Deletes exactly that object; one that is gone already, or another of its name, is no error."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        try:
            await self._json("DELETE", at, {}, body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def pages(self, at: str, *, accept: str = "application/json", **params: str) -> AsyncIterator[Json]:
        """A consistent list in pages: each with `items` and `metadata.resourceVersion` of the whole list."""
        more = ""
        while True:
            page = await self._json("GET", at, {"limit": str(PAGE)} | params | ({"continue": more} if more else {}), accept=accept)
            more = page["metadata"].get("continue", "")
            yield page
            if not more:
                return

    async def watch(self, at: str, *, accept: str = "application/json", **params: str) -> AsyncIterator[Json]:
        """Watch events as dicts, of any length. Ends when the server ends it; an ERROR event is raised as ApiError."""
        async with self._response("GET", at, params | {"watch": "true", "allowWatchBookmarks": "true"}, accept=accept, limit=_QUIET) as response:
            async for line in _lines(response):
                event: Json = from_json(line)
                if event["type"] == "ERROR":
                    raise _refusal(event["object"].get("code", 500), event["object"])
                yield event

    async def _json(
        self, method: str, at: str, params: dict[str, str], body: Any = None, *, content: str = "application/json", accept: str = "application/json"
    ) -> Json:
        limit = _TOTAL if method == "GET" else self._write_limit()
        async with self._response(method, at, params, body, content=content, accept=accept, limit=limit) as response:
            answer: Json = from_json(await response.read())
            return answer

    def _write_limit(self) -> aiohttp.ClientTimeout:
        if (left := self._left()) <= 0:
            raise NotLeading("the Lease was not renewed in time: another replica may lead by now")
        return aiohttp.ClientTimeout(total=min(left, _TOTAL.total or left))

    @contextlib.asynccontextmanager
    async def _response(
        self,
        method: str,
        at: str,
        params: dict[str, str],
        body: Any = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        limit: aiohttp.ClientTimeout = _TOTAL,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # Not compressed: in a cluster's own network that takes both sides longer than it saves.
        headers = {"Accept": accept, "Accept-Encoding": "identity", "Content-Type": content}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], at, method, body)
        url = self._settings.host + at + (f"?{urlencode(params)}" if params else "")
        answer = await self._api.call_api(method, url, header_params=headers, body=body, _request_timeout=limit)
        async with answer.response as response:
            if response.status >= 400:
                raise _refusal(response.status, await _status(response))
            yield response


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of a stream, however long: aiohttp's own line reader fails above its buffer."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            yield bytes(rest[:end])
            del rest[: end + 1]


async def _status(response: aiohttp.ClientResponse) -> Json:
    text = await response.text()
    try:
        status = json.loads(text)
    except json.JSONDecodeError:
        status = {"message": text[:500]}
    return status if isinstance(status, dict) else {"message": text[:500]}


def _refusal(code: int, status: Json) -> ApiError:
    return ApiError(code, status.get("reason") or "", status.get("message") or "")
