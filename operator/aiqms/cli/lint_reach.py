"""What lets a pod without the label reach an accelerator or a node, as policy `registered` judges it, with the place of each and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aiqms.api.values import Json
from aiqms.cli.manifests import Step
from aiqms.gate.normal import is_device
from aiqms.gate.policies.unregistered import HALVES, REMEDY
from aiqms.gate.rules import GUARDED, HARMLESS_GUARDED, HOST_PATHS, NO_DEVICE, PLAIN_HOST_PATHS, STRONG_CAPABILITIES, Rules

Reach = tuple[tuple[Step, ...], str]  # where below the pod template, and what is wrong
KINDS = ("containers", "initContainers", "ephemeralContainers")
MIRROR = "kubernetes.io/config.mirror"


def mapping(value: Any) -> Json:
    """The value if it is a map, else none: manifests may be anything."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[tuple[int, Json]]:
    """The maps of a list, each with its index."""
    return [(i, item) for i, item in enumerate(value) if isinstance(item, dict)] if isinstance(value, list) else []


def reaches(template: Json, rules: Rules) -> Iterator[Reach]:
    """Everything that an unlabelled pod of this template may not have in a governed namespace."""
    spec = mapping(template.get("spec"))
    for kind in KINDS:
        for i, container in mappings(spec.get(kind)):
            for path, message in in_container(container, rules):
                yield ("spec", kind, i, *path), f"container {container.get('name')} {message}"
    for path, message in in_spec(spec, rules):
        yield ("spec", *path), message
    for key in mapping(mapping(template.get("metadata")).get("annotations")):
        if key == MIRROR or (re.search(GUARDED, key) and not re.search(HARMLESS_GUARDED, key)):
            yield ("metadata", "annotations", key), f"annotation {key} makes a container runtime or kubelet inject what it says: leave it out, or {REMEDY}"


def in_container(container: Json, rules: Rules) -> Iterator[Reach]:
    yield from asks(container, rules)
    for i, env in mappings(container.get("env")):
        if gives_device(env, rules):
            yield ("env", i), f"has env {env['name']}, which hands out devices: {REMEDY}"
    for i, source in mappings(container.get("envFrom")):
        if builds_name(str(source.get("prefix") or "")):
            yield ("envFrom", i), f"takes env with prefix {source['prefix']}, which can build NVIDIA_VISIBLE_DEVICES: use another prefix, or {REMEDY}"
    yield from strong(mapping(container.get("securityContext")))


def asks(container: Json, rules: Rules) -> Iterator[Reach]:
    resources = mapping(container.get("resources"))
    asked = {str(name): kind for kind in ("requests", "limits") for name in mapping(resources.get(kind)) if is_device(str(name), rules)}
    for name, kind in asked.items():
        yield ("resources", kind, name), f"asks for {name}: {REMEDY}"
    if resources.get("claims"):
        yield ("resources", "claims"), f"has resource claims: {REMEDY}"


def gives_device(env: Json, rules: Rules) -> bool:
    given = "valueFrom" in env or env.get("value", "") not in NO_DEVICE
    return given and re.fullmatch("|".join(f"(?:{pattern})" for pattern in rules.device_env), str(env.get("name"))) is not None


def builds_name(prefix: str) -> bool:
    whole = any(name.startswith(prefix) for name in ("NVIDIA_VISIBLE_DEVICES", "CUDA_VERSION"))
    return prefix != "" and (whole or prefix.startswith("NVIDIA_") or prefix.endswith(tuple(HALVES)))


def strong(context: Json) -> Iterator[Reach]:
    if context.get("privileged") or mapping(context.get("windowsOptions")).get("hostProcess"):
        yield ("securityContext",), f"is privileged, which reaches every device: drop it, or {REMEDY}"
    for added in mapping(context.get("capabilities")).get("add") or []:
        if str(added).upper().replace("CAP_", "") in STRONG_CAPABILITIES:
            yield ("securityContext", "capabilities", "add"), f"adds capability {added}, which reaches every device: drop it, or {REMEDY}"


def in_spec(spec: Json, rules: Rules) -> Iterator[Reach]:
    for path, message in asks(spec, rules):
        yield path, f"the pod {message}"
    if "resourceClaims" in spec:
        yield ("resourceClaims",), f"the pod has resource claims: {REMEDY}"
    runtime = spec.get("runtimeClassName")
    if runtime is not None and runtime not in rules.plain_runtimes:
        yield ("runtimeClassName",), f"runtimeClassName {runtime} may give GPUs: leave it out, or {REMEDY}"
    for i, volume in mappings(spec.get("volumes")):
        host_path = mapping(volume.get("hostPath")).get("path")
        if host_path is not None and not is_plain_path(str(host_path)):
            what = "devices, drivers, the container runtime or what the node executes"
            yield ("volumes", i, "hostPath"), f"hostPath {host_path} reaches {what}: mount another path, or {REMEDY}"
    if spec.get("hostPID"):
        yield ("hostPID",), f"hostPID reaches the files and processes of cleared pods on its node: leave it out, or {REMEDY}"
    if mapping(mapping(spec.get("securityContext")).get("windowsOptions")).get("hostProcess"):
        yield ("securityContext",), f"host processes reach every device: drop them, or {REMEDY}"
    if spec.get("nodeName"):
        yield ("nodeName",), "nodeName set by hand goes round the scheduler: use nodeSelector or affinity"


def is_plain_path(path: str) -> bool:
    """Neither below one of the node's own places nor above it, and not disguised."""
    path = path if path.endswith("/") else path + "/"
    plain = any(path.startswith(s + "/") for s in PLAIN_HOST_PATHS)
    apart = all(not path.startswith(s + "/") and not (s + "/").startswith(path) for s in HOST_PATHS)
    return not re.search(r"^[^/]|//|/[.]/", path) and (plain or apart)
