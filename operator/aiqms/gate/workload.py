"""From a workload to its pods: the kinds that shape a subject, and what their controllers make of the pod template that they store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiqms.api.values import Json

COMPLETION_INDEX: Json = {  # the Job controller adds it to every container of an Indexed Job that has no variable of this name
    "name": "JOB_COMPLETION_INDEX",
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}},
}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/"  # annotation that the API server copies to a pod's fields, but not to a template's
APPARMOR_TYPES: Final = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of workload. `template` is the path from the object to its pod template; empty for a Pod, which is its own."""

    api_version: str
    kind: str
    plural: str
    template: tuple[str, ...]


TEMPLATE = ("spec", "template")
KINDS: Final = (
    Kind("apps/v1", "Deployment", "deployments", TEMPLATE),
    Kind("apps/v1", "StatefulSet", "statefulsets", TEMPLATE),
    Kind("apps/v1", "DaemonSet", "daemonsets", TEMPLATE),
    Kind("apps/v1", "ReplicaSet", "replicasets", TEMPLATE),
    Kind("batch/v1", "Job", "jobs", TEMPLATE),
    Kind("batch/v1", "CronJob", "cronjobs", ("spec", "jobTemplate", *TEMPLATE)),
    Kind("v1", "Pod", "pods", ()),
)
BY_KIND: Final = {(k.api_version, k.kind): k for k in KINDS}


def kind_of(workload: Json) -> Kind:
    """The kind of a workload. Raises ValueError where it is not one of KINDS."""
    found = BY_KIND.get((workload.get("apiVersion", ""), workload.get("kind", "")))
    if found is None:
        known = ", ".join(f"{k.api_version} {k.kind}" for k in KINDS)
        raise ValueError(f"kind: {workload.get('apiVersion')} {workload.get('kind')} has no pod template that AIQMS knows; it knows {known}")
    return found


def template_of(workload: Json) -> Json:
    """The pod template where the workload keeps it. Raises ValueError, naming the field, where there is none."""
    at: Any = workload
    path = kind_of(workload).template
    for step in path:
        at = at.get(step) if isinstance(at, dict) else None
    if not isinstance(at, dict) or not isinstance(at.get("spec"), dict):
        name = (workload.get("metadata") or {}).get("name", "")
        raise ValueError(f"{workload['kind']} {name}: {'.'.join((*path, 'spec'))} is missing: a workload needs a pod template")
    return at


def pod_of(workload: Json) -> Json:
    """The pod that a workload's controller will make, as far as the normal form looks at it: {metadata, spec}.

    `workload` is a plain dict as the API server stores it (or `defaults.defaulted` foresees it) and stays as it is.
    Raises ValueError for an unknown kind or a missing pod template.
    """
    stored = template_of(workload)
    metadata = {k: v for k, v in (stored.get("metadata") or {}).items() if k in ("labels", "annotations") and v}
    match workload["kind"]:
        case "Pod":
            return as_pod(workload.get("metadata") or {}, stored["spec"])
        case "StatefulSet":
            return as_pod(metadata | first_of(workload), with_claims(workload, stored["spec"]))
        case "Job":
            return as_pod(metadata, with_index(workload["spec"], stored["spec"]))
        case "CronJob":
            return as_pod(metadata, with_index(workload["spec"]["jobTemplate"]["spec"], stored["spec"]))
        case _:
            return as_pod(metadata, stored["spec"])


def as_pod(metadata: Json, spec: Json) -> Json:
    """What the API server does to a pod and not to a template (registry/core/pod, applyAppArmorVersionSkew)."""
    profiles = {key.removeprefix(APPARMOR): value for key, value in (metadata.get("annotations") or {}).items() if key.startswith(APPARMOR)}
    if profiles and (spec.get("os") or {}).get("name") != "windows":
        pod_profile = (spec.get("securityContext") or {}).get("appArmorProfile")
        part = {kind: [with_profile(c, profiles, pod_profile) for c in spec[kind]] for kind in ("containers", "initContainers") if spec.get(kind)}
        spec = {**spec, **part}
    return {"metadata": metadata, "spec": spec}


def with_profile(container: Json, profiles: dict[str, str], pod_profile: Json | None) -> Json:
    context = container.get("securityContext") or {}
    profile = apparmor(profiles.get(container.get("name", ""), ""))
    if profile is None or profile == pod_profile or context.get("appArmorProfile"):
        return container
    return {**container, "securityContext": {**context, "appArmorProfile": profile}}


def apparmor(annotation: str) -> Json | None:
    if annotation in APPARMOR_TYPES:
        return {"type": APPARMOR_TYPES[annotation]}
    local = annotation.removeprefix("localhost/")
    return {"type": "Localhost", "localhostProfile": local} if local and local != annotation else None


def first_of(statefulset: Json) -> Json:
    """What tells the normal form that a pod's claims are its own: name and controller of a StatefulSet's first pod."""
    name = statefulset["metadata"]["name"]
    return {"name": f"{name}-0", "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "controller": True}]}


def with_claims(statefulset: Json, spec: Json) -> Json:
    """The controller gives a volume to each volumeClaimTemplate, in place of one of that name in the template."""
    claims = [c["metadata"]["name"] for c in statefulset["spec"].get("volumeClaimTemplates") or []]
    own = [{"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{statefulset['metadata']['name']}-0"}} for claim in claims]
    others = [v for v in spec.get("volumes") or [] if v["name"] not in claims]
    return {**spec, "volumes": own + others} if own else spec


def with_index(job: Json, spec: Json) -> Json:
    if job.get("completionMode") != "Indexed":
        return spec
    return {**spec, **{kind: [indexed(c) for c in spec[kind]] for kind in ("containers", "initContainers") if spec.get(kind)}}


def indexed(container: Json) -> Json:
    env = container.get("env") or []
    return container if any(e["name"] == COMPLETION_INDEX["name"] for e in env) else {**container, "env": [*env, COMPLETION_INDEX]}
