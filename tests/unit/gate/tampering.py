"""A pod with one thing changed: every leaf of every compared field, and fields that it did not have."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from aiqms.api.values import Json
from aiqms.gate.rules import CONTAINER_FREE, FREE

Path = tuple[Any, ...]

OPTIONS = {  # values that the API server would refuse if they were any others
    "restartPolicy": ["Never", "OnFailure"],
    "dnsPolicy": ["Default", "ClusterFirstWithHostNet"],
    "imagePullPolicy": ["Always", "Never"],
    "protocol": ["UDP", "SCTP"],
    "terminationMessagePolicy": ["FallbackToLogsOnError", "File"],
    "medium": ["", "Memory"],
    "scheme": ["HTTPS", "HTTP"],
    "fieldPath": ["metadata.uid", "metadata.name"],
}
COMMAND = {"exec": {"command": ["sh", "-c", "evil"]}}
IN_SPEC: dict[str, Json] = {
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
    "shareProcessNamespace": {"shareProcessNamespace": True},
    "hostAliases": {"hostAliases": [{"ip": "10.0.0.9", "hostnames": ["evil"]}]},
    "dnsConfig": {"dnsConfig": {"nameservers": ["10.9.9.9"]}},
    "serviceAccountName": {"serviceAccountName": "other"},
    "automountServiceAccountToken": {"automountServiceAccountToken": False},
}
IN_CONTAINER: dict[str, Json] = {
    "command": {"command": ["sh"]},
    "args": {"args": ["--other"]},
    "env": {"env": [{"name": "ANEW", "value": "1"}]},
    "envFrom": {"envFrom": [{"configMapRef": {"name": "evil"}}]},
    "lifecycle": {"lifecycle": {"postStart": COMMAND}},
    "startupProbe": {"startupProbe": COMMAND},
    "workingDir": {"workingDir": "/evil"},
    "stdin": {"stdin": True},
    "tty": {"tty": True},
    "privileged": {"securityContext": {"privileged": True}},
    "more devices": {"resources": {"limits": {"amd.com/gpu": "1"}}},
}
IN_ANNOTATIONS = {"cdi": ("cdi.k8s.io/x", "nvidia.com/gpu=all"), "apparmor": ("container.apparmor.security.beta.kubernetes.io/main", "unconfined")}


def tampered(pod: Json) -> Iterator[tuple[str, Json]]:
    """What was changed, and the changed pod. `pod` is as the API server returned it, less what admission injected."""
    for path, value in leaves(pod["spec"]):
        if is_compared(path):
            yield f"change {'.'.join(map(str, path))}", put(pod, path, other(path, value))
    yield from extended(pod)


def extended(pod: Json) -> Iterator[tuple[str, Json]]:
    for what, fields in IN_SPEC.items():
        yield from different(pod, f"add {what}", {**pod, "spec": {**pod["spec"], **fields}})
    for what, fields in IN_CONTAINER.items():
        first, *others = pod["spec"]["containers"]
        yield from different(pod, f"add {what}", {**pod, "spec": {**pod["spec"], "containers": [{**first, **fields}, *others]}})
    for what, (key, value) in IN_ANNOTATIONS.items():
        annotations = {**(pod["metadata"].get("annotations") or {}), key: value}
        yield from different(pod, f"add {what}", {**pod, "metadata": {**pod["metadata"], "annotations": annotations}})
    yield "add a container", {**pod, "spec": {**pod["spec"], "containers": [*pod["spec"]["containers"], {"name": "another", "image": "evil"}]}}


def different(pod: Json, what: str, changed: Json) -> Iterator[tuple[str, Json]]:
    if changed != pod:
        yield what, changed


def is_compared(path: Path) -> bool:
    """Whether a leaf of a spec is compared. A volume's own name is not told apart: changed alone, the pod is invalid."""
    in_free_part = len(path) > 2 and path[2] in CONTAINER_FREE and not ("claims" in path or ("limits" in path and "/" in str(path[-1])))
    return not (path[0] in FREE or in_free_part or (path[0] == "volumes" and path[2:] == ("name",)))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every leaf of a JSON value with its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
        return
    for key, item in items:
        yield from leaves(item, (*path, key))


def other(path: Path, value: Any) -> Any:
    """Another value of that field."""
    if options := OPTIONS.get(str(path[-1])):
        return next(o for o in options if o != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if "/" in str(path[-1]):
        return "7"
    text = str(value)
    return re.sub(r"(?i)[a-z]$", lambda m: "b" if m[0] != "b" else "c", text) if re.search(r"[a-zA-Z]$", text) else f"{text}9"


def put(pod: Json, path: Path, value: Any) -> Json:
    """The pod with another value at a path of its spec; requests of a device follow its limits."""
    changed = copy.deepcopy(pod)
    at = changed["spec"]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    if "limits" in path:
        changed["spec"][path[0]][path[1]]["resources"].setdefault("requests", {})[path[-1]] = value
    return changed
