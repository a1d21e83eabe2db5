"""The cluster as `kubectl qms doctor` looks at it: what is read is read once, what is tried is tried as a dry run, and nothing is ever stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import urllib3

from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cli.connection import CannotAsk, Connection, Refused
from aiqms.cli.doctor_policies import Gate, compared
from aiqms.cli.doctor_rows import plainly
from aiqms.gate.normal import is_device
from aiqms.gate.rules import GATE, GOVERNED, LABEL, OPERATOR_NAMESPACE, Rules

OURS = f"/apis/{GROUP}/{VERSION}"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
POLICY_KINDS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
OPERATOR = "aiqms-operator"
_PAGE = "500"
_TIMEOUT = (5, 20)  # seconds to connect, seconds to answer


@dataclass(frozen=True)
class Answer:
    """What the API server answered to a dry run. warnings: as kubectl would print them."""

    code: int
    body: Json
    warnings: tuple[str, ...]

    @property
    def message(self) -> str:
        """Why it refused."""
        return plainly(str(self.body.get("message") or f"the API server answered {self.code}"))


@dataclass(frozen=True)
class Cluster:
    """Everything that checks look at. Reading raises Refused where this person may not, CannotAsk where nobody answers.

    patience: seconds in which the operator has looked at everything, and has let go of what is cleared.
    """

    connection: Connection
    patience: float = 60
    _lists: dict[str, list[Json]] = field(default_factory=dict)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        """One object, or a page of a list."""
        answer = self.send("GET", path, None, query=query or {})
        if answer.code >= 400:
            raise Refused(answer.code, answer.message if "page not found" not in answer.message else f"the API server does not serve {path}")
        return answer.body

    def every(self, path: str) -> list[Json]:
        """All objects of a list, asked for once, in pages."""
        if path not in self._lists:
            items, more = list[Json](), {"limit": _PAGE}
            while more:
                page = self.get(path, more)
                items += page.get("items") or []
                goes_on = (page.get("metadata") or {}).get("continue")
                more = {"limit": _PAGE, "continue": goes_on} if goes_on else {}
            self._lists[path] = items
        return self._lists[path]

    def send(self, method: str, path: str, body: Any, *, content: str = "application/json", query: Mapping[str, str] | None = None) -> Answer:
        """A request that stores nothing: a dry run, unless the query says otherwise."""
        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            asked = list(({"dryRun": "All"} if query is None else query).items())
            request = self.connection.api.param_serialize(method, path, query_params=asked, header_params=headers, body=body, auth_settings=["BearerToken"])
            response: Any = self.connection.api.call_api(*request, _request_timeout=_TIMEOUT)
            text = response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise CannotAsk(f"the API server no longer answers ({error}): check the network, and try again") from error
        return Answer(response.status, _json(text), tuple(response.response.headers.getlist("Warning")))

    @cached_property
    def now(self) -> datetime:
        """By the API server's clock, as it answers requests: this machine's may be wrong."""
        request = self.connection.api.param_serialize("GET", "/version", auth_settings=["BearerToken"])
        response: Any = self.connection.api.call_api(*request, _request_timeout=_TIMEOUT)
        response.read()
        stated = response.response.headers.get("Date")
        return parsedate_to_datetime(stated) if stated else datetime.now(UTC)

    @cached_property
    def gate(self) -> Gate:
        """The policies and bindings, compared with the shipped ones."""
        live = {(kind, o["metadata"]["name"]): o for kind in POLICY_KINDS for o in self.every(f"{POLICIES}/{_plural(kind)}")}
        return compared(live)

    @property
    def rules(self) -> Rules:
        """What the policies take for harmless; the chart's defaults where this person may not read them."""
        try:
            return self.gate.rules
        except Refused:
            return Rules()

    @cached_property
    def exempt(self) -> tuple[str, ...]:
        """Namespaces that no policy looks at, whatever their labels."""
        return self.rules.exempt_namespaces or ("kube-system", OPERATOR_NAMESPACE)

    @property
    def namespaces(self) -> list[Json]:
        """Those that are not going."""
        return [n for n in self.every("/api/v1/namespaces") if not n["metadata"].get("deletionTimestamp")]

    @cached_property
    def governed(self) -> list[str]:
        """Names of the namespaces that the gate judges."""
        return [n["metadata"]["name"] for n in self.namespaces if GOVERNED in labels(n) and n["metadata"]["name"] not in self.exempt]

    @property
    def pods(self) -> list[Json]:
        """All pods that are neither over nor going."""
        over = ("Succeeded", "Failed")
        return [p for p in self.every("/api/v1/pods") if (p.get("status") or {}).get("phase") not in over and not p["metadata"].get("deletionTimestamp")]

    def clearances(self) -> dict[str, Json]:
        """By namespace."""
        return {c["metadata"]["namespace"]: c for c in self.every(f"{OURS}/clearances")}

    def asks_for_device(self, pod: Json) -> bool:
        """Whether a container, or the pod, openly asks for a device."""
        spec = pod["spec"]
        parts = [spec, *spec["containers"], *(spec.get("initContainers") or [])]
        asked = {name for part in parts for kind in ("limits", "requests") for name in (part.get("resources") or {}).get(kind) or {}}
        return any(is_device(name, self.rules) for name in asked) or bool(spec.get("resourceClaims"))

    def age(self, stamp: str) -> float:
        """Seconds since a time as the API server writes it."""
        return (self.now - datetime.fromisoformat(stamp)).total_seconds()


def labels(obj: Json) -> dict[str, str]:
    """An object's labels."""
    return obj["metadata"].get("labels") or {}


def deployment_of(pod: Json) -> str:
    """The AIModelDeployment that a pod names; empty for none."""
    return labels(pod).get(LABEL, "")


def held(pod: Json) -> bool:
    """Whether the gate holds it."""
    return any(g["name"] == GATE for g in pod["spec"].get("schedulingGates") or [])


def _plural(kind: str) -> str:
    return f"{kind.lower().removesuffix('y')}ies" if kind.endswith("y") else f"{kind.lower()}s"


def _json(text: bytes) -> Json:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")[:300]}
    return value if isinstance(value, dict) else {}
