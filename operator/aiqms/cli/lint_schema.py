"""What the API server would refuse of a register entry or a procedure, in words that say what to write."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from aiqms.api.crds import DEPLOYMENT, PROCEDURE, crd
from aiqms.api.deployment import DeploymentSpec
from aiqms.api.procedure import LapseAction, ProcedureSpec
from aiqms.api.selectors import KEY, NEEDING, VALUED, LabelSelector
from aiqms.api.supply import Supply
from aiqms.api.values import Json
from aiqms.cli.manifests import Manifest, Step

Wrong = tuple[tuple[Step, ...], str]
MODELS: Final[dict[str, type[BaseModel]]] = {DEPLOYMENT.kind: DeploymentSpec, PROCEDURE.kind: ProcedureSpec}
FORMS: Final = (  # how a pattern of the API begins, and what it asks for
    ("^sha256:", "write sha256: and 64 hexadecimal digits in small letters"),
    ("^[1-9][0-9]{0,4}(d|h|m|s)", "write a whole number and d, h, m or s, such as 90d"),
    ("^[a-z][a-z0-9+.-]*:", "write a URI, such as https://qms.bank.example/SOP-017"),
    (KEY, "write a label's key: letters, digits, -, _ and ., with or without a domain and a slash before it"),
    ("^([A-Za-z0-9]([-A-Za-z0-9_.]", "write a label's value: letters, digits, -, _ and ."),
    ("^[a-z0-9]([-a-z0-9.]*", "write small letters, digits, - and ."),
    ("^[a-z0-9]([-a-z0-9]*", "write small letters, digits and -"),
)


def wrong(manifest: Manifest) -> tuple[Any, list[Wrong]]:
    """The spec as the models read it, None where they cannot, and everything that is wrong with it."""
    try:
        spec = MODELS[manifest.kind].model_validate(manifest.obj.get("spec") or {})
    except ValidationError as error:
        return None, [(("spec", *e["loc"]), f"{dotted(e['loc'])}: {said(e, manifest.kind)}") for e in error.errors(include_url=False)]
    return spec, list(crossed(manifest, spec))


def dotted(path: tuple[Step, ...]) -> str:
    return ".".join(map(str, ("spec", *path)))


def said(error: Any, kind: str) -> str:
    """Why, and what to write."""
    match error["type"]:
        case "missing":
            return "is missing: add it"
        case "extra_forbidden":
            return f"is unknown: remove it{nearest(error['loc'], kind)}"
        case "timezone_aware" | "datetime_from_date_parsing" | "datetime_parsing":
            return f"{error['input']!r} is no time: write one such as 2028-05-31T00:00:00Z"
        case "string_pattern_mismatch" | "string_too_long" | "string_too_short" if form := form_of(error["loc"], kind):
            return f"{error['input']!r:.80} is not of that form: {form}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]} (it is {error['input']!r:.60})"


def form_of(path: tuple[Step, ...], kind: str) -> str:
    """What the pattern of a field asks for, in words; empty where it has none of those."""
    pattern = str(schema(kind, names(path)).get("pattern", ""))
    return next((form for start, form in FORMS if pattern.startswith(start)), "")


def nearest(path: tuple[Step, ...], kind: str) -> str:
    """Of the fields that are there, the one that was probably meant."""
    known = tuple(schema(kind, names(path[:-1])).get("properties", {}))
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f", or write {close[0]}" if close else f" (there are {', '.join(known)})"


def names(path: tuple[Step, ...]) -> tuple[str, ...]:
    """Without the indices of lists."""
    return tuple(step for step in path if isinstance(step, str))


@cache
def schema(kind: str, path: tuple[str, ...]) -> Json:
    """The CRD's schema of a field of the spec; of a list, that of its items."""
    of = next(k for k in (DEPLOYMENT, PROCEDURE) if k.kind == kind)
    found: Json = crd(of)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for step in path:
        found = found.get("properties", {}).get(step, {})
        found = found.get("items", found)
    return found


def crossed(manifest: Manifest, spec: Any) -> Iterator[Wrong]:
    """The CRD's rules (CEL) over several fields, but for those that compare with the object stored before."""
    match spec:
        case ProcedureSpec():
            yield from _in_procedure(spec)
        case DeploymentSpec():
            yield from _in_deployment(manifest.name, spec)
    for path, selector in _selectors(spec):
        for i, each in enumerate(selector.match_expressions):
            if bool(each.values) != (each.operator in NEEDING):
                yield ("spec", *path, "matchExpressions", i), f"{dotted((*path, 'matchExpressions', i))}: {VALUED[1]} (operator {each.operator})"


def _selectors(spec: Any) -> Iterator[tuple[tuple[Step, ...], LabelSelector]]:
    """All label selectors of a spec, each with its path below it."""
    if isinstance(spec, ProcedureSpec):
        named = [(("access", "monitoring", i, "podSelector"), m.pod_selector) for i, m in enumerate(spec.access.monitoring if spec.access else [])]
        found: list[tuple[tuple[Step, ...], LabelSelector | None]] = [(("appliesTo", "namespaceSelector"), spec.applies_to.namespace_selector), *named]
    else:
        clients = [(("access", "clients", i, "podSelector"), c.pod_selector) for i, c in enumerate(spec.access.clients)]
        found = [*clients, *((("access", "egress", i, "podSelector"), e.pod_selector) for i, e in enumerate(spec.access.egress))]
    yield from ((path, selector) for path, selector in found if selector)


def _in_procedure(spec: ProcedureSpec) -> Iterator[Wrong]:
    if spec.since > spec.revision:
        yield ("spec", "approvals", "since"), "spec.approvals.since is above revision: name this revision or an older one"
    if spec.on_lapse.grace and spec.on_lapse.action is LapseAction.STOP:
        yield ("spec", "onLapse", "grace"), "spec.onLapse.grace belongs to action Hold: with Stop the pods stop at once, leave grace out"
    asked = spec.supply or Supply()
    for path, names in (
        (("approvals", "roles"), [r.role for r in spec.approvals.roles]),
        (("responsibilities",), [r.duty for r in spec.responsibilities]),
        (("stop", "roles"), spec.stop.roles if spec.stop else []),
        (("emergency", "roles"), spec.emergency.roles if spec.emergency else []),
        (("supply", "digestCheckers"), asked.digest_checkers or []),
        (("supply", "registries"), asked.registries or []),
        (("supply", "modelUris"), asked.model_uris or []),
        (("supply", "pullSecrets"), asked.pull_secrets or []),
    ):
        for i, name in enumerate(names):
            if name in names[:i]:
                yield ("spec", *path, i), f"{dotted(path)}: {name} stands there twice: leave one out"


def _in_deployment(name: str, spec: DeploymentSpec) -> Iterator[Wrong]:
    if len(name) > 63:
        yield ("metadata", "name"), "the name is the value of a pod label: at most 63 characters"
    yield from _in_egress(spec)
    for i, workload in enumerate(spec.workloads):
        version = {"Job": "batch/v1", "CronJob": "batch/v1", "Pod": "v1"}.get(workload.kind, "apps/v1")
        if workload.api_version != version:
            yield ("spec", "workloads", i, "apiVersion"), f"spec.workloads.{i}.apiVersion: a {workload.kind} is of {version}, not {workload.api_version}"
        if workload in spec.workloads[:i]:
            yield ("spec", "workloads", i), f"spec.workloads.{i}: {workload} stands there twice: leave one out"


def _in_egress(spec: DeploymentSpec) -> Iterator[Wrong]:
    for i, to in enumerate(spec.access.egress):
        at, said_of = ("spec", "access", "egress", i), f"spec.access.egress.{i}"
        if bool(to.namespace) == bool(to.cidr):
            yield at, f"{said_of}: a destination is pods by their namespace, or addresses by cidr: give one of the two"
        elif to.cidr and to.pod_selector:
            yield (*at, "podSelector"), f"{said_of}.podSelector chooses among the pods of a namespace: leave it out beside cidr"
        if to.cidr and not _is_cidr(to.cidr):
            yield (*at, "cidr"), f"{said_of}.cidr: {to.cidr} is no range of addresses: write one such as 10.20.0.0/16"


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
