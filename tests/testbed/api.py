"""A small synchronous client of an API server: plain dicts in and out, as any user of the kubeconfig."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import Configuration
from kubernetes.config import new_client_from_config
from urllib3 import HTTPHeaderDict

Json = dict[str, Any]
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class ApiError(Exception):
    """The API server said no: HTTP code, reason and message of its Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(code, reason, message)
        self.code, self.reason, self.message = code, reason, message

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message}"


@dataclass(frozen=True)
class Resource:
    """One resource of the API, as discovery tells it."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool
    names: frozenset[str]

    def path(self, namespace: str | None, name: str | None, subresource: str | None) -> str:
        """The URL's path."""
        root = f"/apis/{self.group_version}" if "/" in self.group_version else f"/api/{self.group_version}"
        parts = [root, *(("namespaces", namespace) if self.namespaced and namespace else ()), self.plural, name, subresource]
        return "/".join(part for part in parts if part)


def _resources(answer: Json) -> Iterable[Resource]:
    for group in answer["items"]:
        for version in group["versions"]:
            for found in version["resources"]:
                yield _resource(group["metadata"].get("name", ""), version["version"], found)


def _resource(group: str, version: str, found: Json) -> Resource:
    plural, kind = found["resource"], found["responseKind"]["kind"]
    names = {plural, f"{plural}.{group}", kind.lower(), found.get("singularResource", ""), *found.get("shortNames", ())}
    return Resource(f"{group}/{version}" if group else version, plural, kind, found["scope"] == "Namespaced", frozenset(names))


class Api:
    """The API server as one user sees it. Safe in threads.

    Resources are named as for kubectl: `pods`, `deployments.apps`, `aimd`, `Deployment`. Every call raises ApiError when the server refuses.
    """

    def __init__(self, kubeconfig: Path, context: str | None = None, *, impersonate: str | None = None, groups: Sequence[str] = ()) -> None:
        """As the user of `context` (default: the current one), or as `impersonate`, whose groups are then `groups`."""
        load: Any = new_client_from_config
        self._client: Any = load(str(kubeconfig), context, persist_config=False, client_configuration=_configuration())
        self._pool: Any = self._client.rest_client.pool_manager
        self._identity = [("Impersonate-User", impersonate)] if impersonate else []
        self._identity += [("Impersonate-Group", group) for group in groups]
        self._known: list[Resource] = []
        self._answered = threading.local()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the last answer that this thread had."""
        return getattr(self._answered, "warnings", ())

    def request(self, method: str, path: str, body: object = None, *, query: Mapping[str, str] | None = None, content: str = "application/json") -> Json:
        """One request with its answer as JSON (anything else as {"text": …}); the answer's warnings are in `warnings`."""
        headers = self._headers({"Content-Type": content, "Accept": "application/json"})
        return self._sent(method, path + (f"?{urlencode(query)}" if query else ""), headers, json.dumps(body).encode() if body is not None else None)

    def _headers(self, fields: dict[str, str]) -> HTTPHeaderDict:
        headers = HTTPHeaderDict(fields)
        if token := self._client.configuration.get_api_key_with_prefix("authorization", alias="BearerToken"):
            headers["Authorization"] = token
        for name, value in self._identity:
            headers.add(name, value)
        return headers

    def _sent(self, method: str, url: str, headers: HTTPHeaderDict, body: bytes | None) -> Json:
        answer = self._pool.request(method, self._client.configuration.host + url, headers=headers, body=body, retries=False, timeout=40)
        self._answered.warnings = tuple(answer.headers.getlist("Warning"))
        text = answer.data.decode()
        if answer.status >= 400:
            raise _error(answer.status, text)
        return json.loads(text) if answer.headers.get("Content-Type", "").startswith("application/json") else {"text": text}

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of an answer that is streamed, such as a watch, as they come."""
        answer = self._pool.request("GET", self._client.configuration.host + path, headers=self._headers({}), preload_content=False, retries=False, timeout=40)
        rest = b""
        with answer:
            for chunk in answer.stream(amt=None):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole

    def resource(self, name: str) -> Resource:
        """The resource of this name, plural, kind or short name; ApiError 404 if the server has none."""
        wanted = name.lower()
        return self._find(lambda resource: wanted in resource.names, name)

    def _of(self, manifest: Json) -> Resource:
        wanted = manifest["apiVersion"], manifest["kind"]
        return self._find(lambda resource: (resource.group_version, resource.kind) == wanted, " ".join(wanted))

    def _find(self, matches: Callable[[Resource], bool], what: str) -> Resource:
        found = next(filter(matches, self._known), None)
        if found is None:
            # Asked again before saying no: a CRD may have come since.
            self._known = [resource for path in ("/api", "/apis") for resource in _resources(self._discovered(path))]
            found = next(filter(matches, self._known), None)
        if found is None:
            raise ApiError(404, "NotFound", f"the API server has no resource {what}")
        return found

    def _discovered(self, path: str) -> Json:
        return self._sent("GET", path, self._headers({"Accept": DISCOVERY}), None)

    def get(self, resource: str, name: str, namespace: str | None = None, *, subresource: str | None = None) -> Json:
        """One object."""
        return self.request("GET", self.resource(resource).path(namespace, name, subresource))

    def find(self, resource: str, name: str, namespace: str | None = None) -> Json | None:
        """One object, or None if it does not exist."""
        try:
            return self.get(resource, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Json]:
        """The objects of a namespace, or of all, chosen by selectors. Each has its kind and apiVersion, which a list leaves out."""
        found = self.resource(resource)
        query = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        items = self.request("GET", found.path(namespace, None, None), query=query)["items"]
        return [{"apiVersion": found.group_version, "kind": found.kind, **item} for item in items]

    def create(self, manifest: Json, *, namespace: str | None = None, dry_run: bool = False) -> Json:
        """Create an object."""
        path = self._of(manifest).path(namespace or manifest.get("metadata", {}).get("namespace"), None, None)
        return self.request("POST", path, manifest, query=_query(dry_run=dry_run))

    def post(self, resource: str, name: str, subresource: str, body: Json, namespace: str | None = None, *, dry_run: bool = False) -> Json:
        """Create at a subresource that takes another kind: `token` of a ServiceAccount, `eviction` and `binding` of a pod."""
        return self.request("POST", self.resource(resource).path(namespace, name, subresource), body, query=_query(dry_run=dry_run))

    def apply(
        self,
        manifest: Json,
        *,
        namespace: str | None = None,
        manager: str = "person",
        force: bool = False,
        dry_run: bool = False,
        subresource: str | None = None,
    ) -> Json:
        """Server-side apply under a field manager's name."""
        query = _query(dry_run=dry_run, fieldManager=manager, **({"force": "true"} if force else {}))
        return self.request("PATCH", self._path(manifest, namespace, subresource), manifest, query=query, content="application/apply-patch+yaml")

    def replace(self, manifest: Json, *, subresource: str | None = None, dry_run: bool = False) -> Json:
        """Put the whole object."""
        return self.request("PUT", self._path(manifest, None, subresource), manifest, query=_query(dry_run=dry_run))

    def patch(
        self, resource: str, name: str, patch: Json | Sequence[Json], namespace: str | None = None, *, subresource: str | None = None, dry_run: bool = False,
        strategic: bool = False,
    ) -> Json:  # fmt: skip
        """Patch an object: a list is a JSON patch, a dict a merge patch (or a strategic one)."""
        kind = ("strategic-merge" if strategic else "merge") if isinstance(patch, dict) else "json"
        path = self.resource(resource).path(namespace, name, subresource)
        return self.request("PATCH", path, patch, query=_query(dry_run=dry_run), content=f"application/{kind}-patch+json")

    def delete(
        self, resource: str, name: str, namespace: str | None = None, *, now: bool = False, dry_run: bool = False, propagation: str = "Background"
    ) -> Json:
        """Delete an object; `now`: without a grace period."""
        # An API server that is sent options in the body looks at none in the query.
        body: Json = {"propagationPolicy": propagation} | ({"gracePeriodSeconds": 0} if now else {}) | ({"dryRun": ["All"]} if dry_run else {})
        return self.request("DELETE", self.resource(resource).path(namespace, name, None), body)

    def delete_all(self, resource: str, namespace: str, *, labels: str = "") -> Json:
        """Delete a namespace's objects of one kind in one request (deletecollection)."""
        query = {"labelSelector": labels} if labels else {}
        return self.request("DELETE", self.resource(resource).path(namespace, None, None), query=query)

    def may(self, verb: str, resource: str, namespace: str | None = None, *, name: str = "", group: str = "") -> bool:
        """Whether this user may do it (SelfSubjectAccessReview); the resource may be a virtual one."""
        attributes = {"verb": verb, "resource": resource, "group": group, "name": name, "namespace": namespace or ""}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        return bool(self.create(review)["status"]["allowed"])

    def whoami(self) -> Json:
        """The user as the API server authenticated it: username, groups…"""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        info: Json = self.create(review)["status"]["userInfo"]
        return info

    def _path(self, manifest: Json, namespace: str | None, subresource: str | None) -> str:
        metadata = manifest["metadata"]
        return self._of(manifest).path(namespace or metadata.get("namespace"), metadata["name"], subresource)


def _configuration() -> Any:
    configuration = Configuration()
    # The test bed listens on this machine, which no proxy of the environment reaches.
    configuration.no_proxy = ",".join(filter(None, ("127.0.0.1,localhost", configuration.no_proxy)))
    return configuration


def _query(*, dry_run: bool, **more: str) -> dict[str, str]:
    return more | ({"dryRun": "All"} if dry_run else {})


def _error(code: int, text: str) -> ApiError:
    try:
        status = json.loads(text)
    except json.JSONDecodeError:
        return ApiError(code, "Unknown", text.strip())
    return ApiError(code, status.get("reason", "Unknown"), status.get("message", text))
