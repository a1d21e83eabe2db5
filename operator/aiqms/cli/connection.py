"""The cluster as the person at the terminal sees it: kubectl's own configuration, plain JSON, errors in a person's words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import urllib3
from kubernetes import client
from kubernetes import config as untyped_config
from kubernetes.config.config_exception import ConfigException

from aiqms.api.values import Json

config: Any = untyped_config  # this part of the package has no types
_TIMEOUT = (5, 20)  # seconds to connect, seconds to answer
_WATCHING = (5, 300)  # bookmarks come every minute


class CannotAsk(Exception):
    """The cluster could not be asked, so nothing is known. The text says why and what to do."""


class Refused(CannotAsk):
    """The API server answered with an error. code: HTTP."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Connection:
    """An API server and a namespace, asked as the person whom the kubeconfig names."""

    api: client.ApiClient
    namespace: str

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """The object or list at a path such as /api/v1/namespaces/lending.

        Raises Refused when the API server answers with an error, CannotAsk when it does not answer.
        """
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        """Create an object at a path, and what the API server made of it; dry_run: everything but storing it. Raises as get does."""
        return self._ask("POST", path, query={"dryRun": "All"} if dry_run else None, body=body)

    def watch(self, path: str, version: str) -> Iterator[Json]:
        """The events of a list from a resourceVersion on, until the API server ends the watch. Raises Refused (410: list again) and CannotAsk."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        response = self._send("GET", path, query=query, timeout=_WATCHING)
        if response.status >= 400:
            answered(response.status, response.read())
        for event in _lines(response):
            if event["type"] == "ERROR":
                raise Refused(event["object"].get("code", 0), event["object"].get("message", "the watch ended"))
            yield event

    def allowed(self, attributes: Json) -> bool:
        """Whether the API server would let this person do something, by a SelfSubjectAccessReview, which everybody may ask and which changes nothing.

        Raises as get does.
        """
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        return bool(self.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)["status"]["allowed"])

    def _ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Json | None = None) -> Json:
        response = self._send(method, path, query=query, body=body)
        with self._answering():
            answer = response.read()
        return answered(response.status, answer)

    def _send(self, method: str, path: str, *, query: Mapping[str, str] | None, body: Json | None = None, timeout: tuple[int, int] = _TIMEOUT) -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        with self._answering():
            request = self.api.param_serialize(
                method, path, query_params=list((query or {}).items()), header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            return self.api.call_api(*request, _request_timeout=timeout)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (urllib3.exceptions.HTTPError, OSError) as error:
            what = f"the API server at {self.api.configuration.host} does not answer ({_cause(error)})"
            raise CannotAsk(f"{what}: check the context (kubectl config current-context) and the network") from error


def in_namespace(connection: Connection, namespace: str) -> Connection:
    """The same API server and person, in another namespace."""
    return replace(connection, namespace=namespace)


def connect(*, context: str | None, namespace: str | None) -> Connection:
    """As kubectl would: KUBECONFIG, else ~/.kube/config, else the pod's own service account; the context's namespace unless one is given.

    Raises CannotAsk when none of them can be used.
    """
    settings = client.Configuration()
    settings.retries = False
    try:
        return Connection(_from_kubeconfig(context, settings), namespace or _namespace_of(context))
    except ConfigException as error:
        if context is None and (inside := _from_pod(settings, namespace)):
            return inside
        raise CannotAsk(f"no usable kubeconfig ({error}): set KUBECONFIG, or choose a context with --context") from error


def _from_kubeconfig(context: str | None, settings: client.Configuration) -> client.ApiClient:
    config.load_kube_config(context=context, client_configuration=settings)
    return client.ApiClient(settings)


def _namespace_of(context: str | None) -> str:
    contexts, current = config.list_kube_config_contexts()
    chosen = next((c for c in contexts if c["name"] == context), None) if context else current
    return cast(str, ((chosen or {}).get("context") or {}).get("namespace") or "default")


def _from_pod(settings: client.Configuration, namespace: str | None) -> Connection | None:
    try:
        config.load_incluster_config(client_configuration=settings)
    except ConfigException:
        return None
    return Connection(client.ApiClient(settings), namespace or "default")


def _lines(response: Any) -> Iterator[Json]:
    """A watch is one JSON document a line. Silence, or a connection that broke, ends it: whoever watches lists again."""
    buffer = b""
    try:
        for piece in response.response.stream(65536):
            *whole, buffer = (buffer + piece).split(b"\n")
            yield from (json.loads(line) for line in whole if line)
    except (urllib3.exceptions.HTTPError, OSError):
        return


def answered(status: int, body: bytes) -> Json:
    """An API server's answer. Raises Refused for an error of its own, CannotAsk where something else answered."""
    try:
        answer: Any = json.loads(body)
    except ValueError as error:
        if status == 404:  # of an API group that is not served the API server answers in plain text
            raise Refused(status, "the API server does not serve this") from error
        raise CannotAsk(f"what answered (HTTP {status}) is no Kubernetes API server: check the server's address (kubectl cluster-info)") from error
    if status >= 400:
        raise Refused(status, answer.get("message") or f"the API server answered {status}")
    return cast(Json, answer)


def _cause(error: BaseException) -> str:
    """The last of a chain of wrapped errors says what happened: connection refused, certificate expired, name unknown."""
    reason = getattr(error, "reason", None)
    return _cause(reason) if isinstance(reason, BaseException) else str(error).rsplit(": ", 1)[-1]
