"""Advice, never a refusal: who is told what when a workload is made or changed, and who is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from tests.e2e.bypass.attempt import Attempt, edited
from tests.e2e.bypass.stage import GPU, LABEL, Stage, plain
from tests.e2e.bypass.unlabelled import MAIN, PODS, Edits, annotation, env, host_path, prefix
from tests.testbed.api import Json

Act = Callable[[Stage], Json]
REFUSED = "its pods will be refused"
KINDS = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1"}


def warned(warning: str, make: Act, stage: Stage) -> Json:
    """What is made, if its maker is told."""
    answer = make(stage)
    return answer if any(warning in text for text in stage.mallory.warnings) else {}


def unwarned(make: Act, stage: Stage) -> Json:
    """What is made, if its maker is told nothing by the gate."""
    answer = make(stage)
    return {} if any("'aiqms-" in text for text in stage.mallory.warnings) else answer


def made(kind: str, edits: Edits, spec: Json, stage: Stage) -> Json:
    """A workload whose pods are CPU pods with these edits."""
    pod = edited(plain(stage.place), {"metadata.labels.app": "new"} | (edits if isinstance(edits, dict) else edits(stage)))
    if KINDS[kind] == "batch/v1":
        pod["spec"]["restartPolicy"] = "Never"
    template: Json = {"template": {"metadata": {key: pod["metadata"][key] for key in ("labels", "annotations") if key in pod["metadata"]}, "spec": pod["spec"]}}
    content = template | spec | ({} if KINDS[kind] == "batch/v1" else {"selector": {"matchLabels": {"app": "new"}}})
    if kind == "CronJob":
        content = {"schedule": "0 3 * * *", "jobTemplate": {"spec": template}}
    return stage.mallory.create({"apiVersion": KINDS[kind], "kind": kind, "metadata": {"name": "new", "namespace": stage.place}, "spec": content}, dry_run=True)


# What a pod of no deployment may not have, in a template, less what is of a pod alone, or large.
TEMPLATES: dict[str, Edits] = {name: edits for name, edits in PODS.items() if name not in ("a node by name", "a mirror pod") and "behind" not in name}
TEMPLATES |= {f"hostPath {path}": host_path(path) for path in ("/", "/dev/nvidia0", "/var", "dev", "//dev")}
LABELLED: Json = {f"metadata.labels[{LABEL}]": "scoring"}
EVERYTHING: Json = {
    **LABELLED,
    **host_path("/dev"),
    **annotation("cdi.k8s.io/any"),
    **env("NVIDIA_VISIBLE_DEVICES"),
    **prefix("NVIDIA_"),
    f"{MAIN}.resources": GPU,
    f"{MAIN}.securityContext": {"privileged": True, "windowsOptions": {"hostProcess": True}},
    "spec.resourceClaims.+": {"name": "gpu", "resourceClaimTemplateName": "one-gpu"},
    "spec.runtimeClassName": "nvidia",
    "spec.hostPID": True,
    "spec.hostNetwork": True,
    "spec.securityContext": {"windowsOptions": {"hostProcess": True}},
}
DELETED: Json = {"updateStrategy": {"type": "OnDelete"}}


def rolling(field: str, unavailable: object, surge: object) -> Json:
    return {field: {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}}}


ROLLOUTS: dict[str, tuple[str, Json, str]] = {
    "a Deployment that recreates": ("Deployment", {"strategy": {"type": "Recreate"}}, "Recreate takes every old pod away"),
    "a Deployment as it comes": ("Deployment", {}, "maxUnavailable above 0"),
    "a Deployment that takes one pod away": ("Deployment", rolling("strategy", 1, 1), "maxUnavailable above 0"),
    "a StatefulSet as it comes": ("StatefulSet", {}, "a StatefulSet takes each old pod away"),
    "a DaemonSet as it comes": ("DaemonSet", {}, "a DaemonSet takes old pods away"),
}
CALM: dict[str, tuple[str, Json]] = {
    "a Deployment that takes none away": ("Deployment", rolling("strategy", 0, 1)),
    "a Deployment that takes 0% away": ("Deployment", rolling("strategy", "0%", 1)),
    "a StatefulSet that waits for deletion": ("StatefulSet", DELETED),
    "a DaemonSet that waits for deletion": ("DaemonSet", DELETED),
    "a DaemonSet that takes none away": ("DaemonSet", rolling("updateStrategy", 0, 1)),
    "a ReplicaSet": ("ReplicaSet", {}),
    "a Job": ("Job", {}),
    "a CronJob": ("CronJob", {}),
}
GPU_CRON: Json = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "main", "resources": GPU}]}}}}}}


def cron_patched(stage: Stage) -> Json:
    return stage.mallory.patch("cronjobs", "nightly", GPU_CRON, stage.place, dry_run=True, strategic=True)


def told() -> Iterator[tuple[str, Act]]:
    """Each is a warning that has to be given, or none."""
    yield from ((f"a template with {name}", partial(warned, REFUSED, partial(made, "Deployment", edits, {}))) for name, edits in TEMPLATES.items())
    yield from ((f"{kind} with a GPU and no label", partial(warned, REFUSED, partial(made, kind, {f"{MAIN}.resources": GPU}, {}))) for kind in KINDS)
    yield "a CronJob that comes to ask for a GPU", partial(warned, REFUSED, cron_patched)
    yield from ((name, partial(warned, words, partial(made, kind, LABELLED, spec))) for name, (kind, spec, words) in ROLLOUTS.items())


def untold(plain_pods: Mapping[str, Json]) -> Iterator[tuple[str, Act]]:
    """Pods: those that are not refused."""
    yield from ((f"a template of {name}", partial(unwarned, partial(made, "Deployment", edits, {}))) for name, edits in plain_pods.items())
    yield from ((f"{name}, of pods without the label", partial(unwarned, partial(made, kind, {}, spec))) for name, (kind, spec, _) in ROLLOUTS.items())
    yield from ((f"{name}, of labelled pods", partial(unwarned, partial(made, kind, LABELLED, spec))) for name, (kind, spec) in CALM.items())
    yield "a labelled template with everything that others may not have", partial(unwarned, partial(made, "ReplicaSet", EVERYTHING, {}))


def advice(plain_pods: Mapping[str, Json]) -> Iterator[Attempt]:
    yield from (Attempt("told", name, act, through=bool) for name, act in told())
    yield from (Attempt("not told", name, act, through=bool) for name, act in untold(plain_pods))
