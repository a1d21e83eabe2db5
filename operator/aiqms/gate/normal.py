"""The normal form: what admission compares of a pod, in Python. aiqms.gate.cel says the same in CEL; a test asks the API server whether they agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from aiqms.api.values import Json
from aiqms.gate.rules import APART, CONTAINER_APART, DEFAULTS, FREE, GUARDED, OWN_CLAIM, PER_POD, PER_POD_VALUE, POD_DEFAULTS, SUBJECT, TOKEN, TOKEN_PATH, Rules

Noted = Literal["annotations", "labels"]

LEFT_OUT = frozenset((*FREE, *APART, "nodeName"))  # nodeName is the scheduler's; admission compares it, so none may be set by hand
CONTAINER_LEFT_OUT = frozenset(CONTAINER_APART)
IS_GUARDED = re.compile(GUARDED)
IS_PER_POD = re.compile(PER_POD_VALUE)


def template(pod: Json, rules: Rules = DEFAULTS) -> Json:
    """What a Clearance stores of a pod, given as the API server returned it (or as `workload.pod_of` foresees it).

    `pod` is compared by one equality. Labels and annotations count where they are guarded, or where the pod reads them through the downward API (`reads`;
    * is all of them). `stamp`: the pod reads its own subject, so admission writes it there. Shares values with the pod: copy before changing either.
    """
    spec, metadata = pod["spec"], pod["metadata"]
    paths = downward_paths(spec)
    reads: dict[Noted, list[str]] = {"annotations": read_keys("annotations", paths), "labels": read_keys("labels", paths)}
    return {
        "pod": normal_pod(spec, metadata, rules),
        "annotations": compared("annotations", metadata, reads["annotations"]),
        "labels": compared("labels", metadata, reads["labels"]),
        "reads": reads,
        "stamp": SUBJECT in reads["annotations"] or "*" in reads["annotations"],
    }


def matches(stored: Json, pod: Json, rules: Rules = DEFAULTS) -> bool:
    """Whether admission would find the pod equal to a stored template; the clock is not asked."""
    return template(pod, rules) == stored


def inputs(pod: Json, rules: Rules = DEFAULTS) -> list[str]:
    """Objects whose content is part of what the pod runs, sorted, as resource/name: configmaps, secrets, resourceclaims, resourceclaimtemplates."""
    spec = pod["spec"]
    published = {f"configmaps/{name}" for name in rules.published_config_maps}
    return sorted({*env_inputs(spec), *volume_inputs(spec), *claim_inputs(spec)} - published)


def normal_pod(spec: Json, metadata: Json, rules: Rules) -> Json:
    volumes = spec.get("volumes") or []
    automounted = spec.get("automountServiceAccountToken", True)  # else no token was injected, and a copy of one is somebody's own
    tokens = {v["name"] for v in volumes if automounted and v.get("projected") == TOKEN}
    host = bool(spec.get("hostNetwork"))
    return {
        "fields": POD_DEFAULTS | {k: v for k, v in spec.items() if k not in LEFT_OUT},
        "containers": [normal_container(c, tokens, rules, host=host) for c in spec["containers"]],
        "initContainers": [normal_container(c, tokens, rules, host=host) for c in spec.get("initContainers") or []],
        "volumes": {v["name"]: OWN_CLAIM if owned(v, metadata) else v for v in volumes if v["name"] not in tokens},
    }


def normal_container(container: Json, tokens: set[str], rules: Rules, *, host: bool) -> Json:
    fields, resources = {k: v for k, v in container.items() if k not in CONTAINER_LEFT_OUT}, container.get("resources") or {}
    if host and fields.get("ports"):
        fields["ports"] = [{"hostPort": p["containerPort"], **p} for p in fields["ports"]]  # as the API server defaults them in pods, yet not in templates
    return {
        "fields": fields,
        "mounts": [m for m in container.get("volumeMounts") or [] if not injected(m, tokens)],
        "devices": {k: v for k, v in (resources.get("limits") or {}).items() if is_device(k, rules)},
        "claims": resources.get("claims") or [],
    }


def injected(mount: Json, tokens: set[str]) -> bool:
    return mount["name"] in tokens and mount == {"name": mount["name"], "mountPath": TOKEN_PATH, "readOnly": True}


def owned(volume: Json, metadata: Json) -> bool:
    """A StatefulSet pod's own claim, which has another name for each pod."""
    claim = volume.get("persistentVolumeClaim")
    return claim == {"claimName": f"{volume['name']}-{metadata.get('name', '')}"} and stateful(metadata)


def stateful(metadata: Json) -> bool:
    return any(o["kind"] == "StatefulSet" and o.get("controller") for o in metadata.get("ownerReferences") or [])


def is_device(resource: str, rules: Rules = DEFAULTS) -> bool:
    """Whether a resource name stands for a device: every one but the plain ones and hugepages."""
    return not (resource in rules.plain_resources or resource.startswith("hugepages-"))


def read_keys(kind: Noted, paths: list[str]) -> list[str]:
    """Keys of labels or annotations that the pod reads back; * stands for all of them."""
    whole, part = f"metadata.{kind}", f"metadata.{kind}['"
    return sorted({"*" if path == whole else path[len(part) : -2] for path in paths if path == whole or path.startswith(part)})


def compared(kind: Noted, metadata: Json, reads: list[str]) -> Json:
    """Labels or annotations that count."""
    return {k: v for k, v in (metadata.get(kind) or {}).items() if (kind == "annotations" and IS_GUARDED.search(k)) or is_read(k, v, reads)}


def is_read(key: str, value: str, reads: list[str]) -> bool:
    return (key in reads or "*" in reads) and key != SUBJECT and not (key in PER_POD and IS_PER_POD.fullmatch(value))


def containers(spec: Json) -> list[Json]:
    return [*spec["containers"], *(spec.get("initContainers") or [])]


def downward_paths(spec: Json) -> list[str]:
    refs = (i.get("fieldRef") for i in (*env_sources(containers(spec)), *downward_items(spec)))
    return [ref["fieldPath"] for ref in refs if ref]


def downward_items(spec: Json) -> Iterator[Json]:
    for source in volume_sources(spec.get("volumes") or []):
        yield from (source.get("downwardAPI") or {}).get("items") or []


def env_sources(these: list[Json]) -> Iterator[Json]:
    for container in these:
        yield from (e["valueFrom"] for e in container.get("env") or [] if e.get("valueFrom"))


def volume_sources(volumes: list[Json]) -> Iterator[Json]:
    for volume in volumes:
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or []


def env_inputs(spec: Json) -> Iterator[str]:
    these = [*containers(spec), *(spec.get("ephemeralContainers") or [])]
    for source in (*env_sources(these), *(s for c in these for s in c.get("envFrom") or [])):
        if ref := source.get("configMapRef") or source.get("configMapKeyRef"):
            yield f"configmaps/{ref.get('name', '')}"
        if ref := source.get("secretRef") or source.get("secretKeyRef"):
            yield f"secrets/{ref.get('name', '')}"


def volume_inputs(spec: Json) -> Iterator[str]:
    for source in volume_sources([v for v in spec.get("volumes") or [] if v.get("projected") != TOKEN]):
        if ref := source.get("configMap"):
            yield f"configmaps/{ref.get('name', '')}"
        if ref := source.get("secret"):
            yield f"secrets/{ref.get('secretName') or ref.get('name', '')}"


def claim_inputs(spec: Json) -> Iterator[str]:
    for claim in spec.get("resourceClaims") or []:
        if name := claim.get("resourceClaimName"):
            yield f"resourceclaims/{name}"
        if name := claim.get("resourceClaimTemplateName"):
            yield f"resourceclaimtemplates/{name}"
