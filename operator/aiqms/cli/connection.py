"""The cluster as the person at the terminal sees it: kubectl's own configuration, plain JSON, errors in a person's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import urllib3
from kubernetes import client
from kubernetes import config as untyped_config
from kubernetes.config.config_exception import ConfigException

from aiqms.api.values import Json

config: Any = untyped_config  # this part of the package has no types
_TIMEOUT = (5, 20)  # seconds to connect, seconds to answer


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

    def allowed(self, attributes: Json) -> bool:
        """Whether the API server would let this person do something, by a SelfSubjectAccessReview, which everybody may ask and which changes nothing.

        Raises as get does.
        """
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        return bool(self._ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)["status"]["allowed"])

    def _ask(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Json | None = None) -> Json:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            request = self.api.param_serialize(
                method, path, query_params=list((query or {}).items()), header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response: Any = self.api.call_api(*request, _request_timeout=_TIMEOUT)
            answer = response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            what = f"the API server at {self.api.configuration.host} does not answer ({_cause(error)})"
            raise CannotAsk(f"{what}: check the context (kubectl config current-context) and the network") from error
        return answered(response.status, answer)


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
