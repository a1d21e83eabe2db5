"""Controllers as vehicles: they make pods with rights of their own, for whoever may create their objects."""

from __future__ import annotations

from functools import partial

from tests.e2e.bypass.attempt import is_held
from tests.e2e.bypass.stage import GPU, LABEL, Stage
from tests.testbed.api import Json
from tests.testbed.waiting import eventually

VEHICLE = "example.com/vehicle"
SET = {"replicas": 1}
KINDS: dict[str, tuple[str, Json]] = {
    "ReplicaSet": ("apps/v1", SET),
    "Deployment": ("apps/v1", SET),
    "StatefulSet": ("apps/v1", SET | {"serviceName": "none"}),
    "DaemonSet": ("apps/v1", {}),
    "Job": ("batch/v1", {}),
    "ReplicationController": ("v1", SET),
}
TEMPLATES: dict[str, Json] = {"unlabelled": {}, "waiting": {LABEL: "waiting"}, "tampered": {LABEL: "scoring"}}


def sent(kind: str, template: str, stage: Stage) -> str:
    """Make an object whose pods ask for a GPU, here and where nothing is governed; the name by which they are found."""
    name = f"{kind.lower()}-{template}"
    for namespace in (stage.place, stage.other):
        stage.mallory.create(_vehicle(kind, template, name) | {"metadata": {"name": name, "namespace": namespace}})
    return name


def _vehicle(kind: str, template: str, name: str) -> Json:
    api_version, fields = KINDS[kind]
    labels = {VEHICLE: name} | TEMPLATES[template]
    spec = {"restartPolicy": "Never" if kind == "Job" else "Always", "containers": [{"name": "main", "image": "registry.example/evil:1", "resources": GPU}]}
    selector: Json = {VEHICLE: name} if kind == "ReplicationController" else {"matchLabels": {VEHICLE: name}}
    chosen = {} if kind == "Job" else {"selector": selector}
    content = fields | chosen | {"template": {"metadata": {"labels": labels}, "spec": spec}}
    return {"apiVersion": api_version, "kind": kind, "spec": content}


def pods(name: str, namespace: str, stage: Stage) -> list[Json]:
    """Those that the vehicle brought."""
    return stage.admin.list("pods", namespace, labels=f"{VEHICLE}={name}")


def arrived(name: str, namespace: str, stage: Stage) -> bool:
    """Whether a pod is there that nothing holds."""
    return any(not is_held(pod) for pod in pods(name, namespace, stage))


def said(name: str, stage: Stage) -> list[str]:
    """What the controller was told when it tried."""
    events = stage.admin.list("events", stage.place, fields="reason=FailedCreate")
    return [event["message"] for event in events if event["involvedObject"]["name"].startswith(name)]


def fate(template: str, name: str, stage: Stage) -> str:
    """What becomes of the vehicle's pods in the governed namespace, once its controller has tried."""
    tried = partial(_refusals if template == "unlabelled" else pods_there, name, stage)
    eventually(tried, within=30, what=f"the controller of {name} has tried")
    made = pods(name, stage.place, stage)
    return "held" if made and all(map(is_held, made)) else "refused" if not made else "arrived"


def _refusals(name: str, stage: Stage) -> list[str]:
    return [message for message in said(name, stage) if "'aiqms-registered'" in message]


def pods_there(name: str, stage: Stage) -> list[Json]:
    return pods(name, stage.place, stage)
