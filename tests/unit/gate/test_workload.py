"""From a workload to the pod that its controller will make."""

from __future__ import annotations

import copy

import pytest

from aiqms.api.values import Json
from aiqms.gate.normal import template
from aiqms.gate.rules import OWN_CLAIM
from aiqms.gate.workload import APPARMOR, COMPLETION_INDEX, KINDS, kind_of, pod_of, template_of
from tests.unit.gate.pods import main, owner, pod

SPEC: Json = {"containers": [main()], "initContainers": [{"name": "init", "image": "fetch:1"}]}
TEMPLATE: Json = {"metadata": {"labels": {"aiqms.dev/deployment": "credit"}, "annotations": {"a": "b"}, "name": "no pod has it"}, "spec": SPEC}


def workload(kind: str, spec: Json, version: str = "apps/v1") -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web", "labels": {"not": "the pod's"}}, "spec": spec}


WORKLOADS = {
    "Deployment": workload("Deployment", {"template": TEMPLATE}),
    "StatefulSet": workload("StatefulSet", {"template": TEMPLATE}),
    "DaemonSet": workload("DaemonSet", {"template": TEMPLATE}),
    "ReplicaSet": workload("ReplicaSet", {"template": TEMPLATE}),
    "Job": workload("Job", {"template": TEMPLATE}, "batch/v1"),
    "CronJob": workload("CronJob", {"jobTemplate": {"spec": {"template": TEMPLATE}}}, "batch/v1"),
    "Pod": {"apiVersion": "v1", "kind": "Pod", **TEMPLATE},
}


def env(container: Json) -> list[Json]:
    return list(container["fields"].get("env", []))


@pytest.mark.parametrize("kind", WORKLOADS)
def test_each_kind_gives_the_pod_of_its_template(kind: str) -> None:
    before = copy.deepcopy(WORKLOADS[kind])
    got = pod_of(WORKLOADS[kind])
    assert (template(got), got["metadata"]["labels"], got["metadata"]["annotations"]) == (template(pod(SPEC)), {"aiqms.dev/deployment": "credit"}, {"a": "b"})
    assert WORKLOADS[kind] == before


def test_a_template_that_says_whose_it_is_is_not_believed() -> None:
    """No pod gets name or owner from its template: a claim is not a StatefulSet's own because somebody wrote so."""
    spec = {**SPEC, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}]}
    metadata = {"name": "web-0", "ownerReferences": owner("StatefulSet", "web", "apps/v1")}
    assert template(pod_of(workload("Deployment", {"template": {"metadata": metadata, "spec": spec}}))) == template(pod(spec))


def test_all_kinds_are_there() -> None:
    assert {k.kind for k in KINDS} == set(WORKLOADS)
    assert [kind_of(WORKLOADS[k.kind]) for k in KINDS] == list(KINDS)


def test_a_statefulset_gives_each_claim_template_a_volume_in_place_of_one_of_that_name() -> None:
    spec = {**SPEC, "volumes": [{"name": "data", "emptyDir": {}}, {"name": "shm", "emptyDir": {}}]}
    made = pod_of(workload("StatefulSet", {"template": {"metadata": {}, "spec": spec}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}))
    real = pod(
        {**SPEC, "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-3"}}, {"name": "shm", "emptyDir": {}}]},
        name="web-3",
        ownerReferences=owner("StatefulSet", "web", "apps/v1"),
    )
    assert template(made) == template(real)
    assert template(made)["pod"]["volumes"]["data"] == OWN_CLAIM


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
@pytest.mark.parametrize(("mode", "index"), [("Indexed", [COMPLETION_INDEX]), ("NonIndexed", []), (None, [])])
def test_an_indexed_job_tells_every_container_its_index(kind: str, mode: str | None, index: list[Json]) -> None:
    job = {"template": TEMPLATE} | ({"completionMode": mode} if mode else {})
    made = template(pod_of(workload(kind, job if kind == "Job" else {"jobTemplate": {"spec": job}}, "batch/v1")))["pod"]
    assert (env(made["containers"][0]), env(made["initContainers"][0])) == (index, index)


def test_an_index_that_the_template_has_stays() -> None:
    own = {"name": "JOB_COMPLETION_INDEX", "value": "7"}
    made = pod_of(workload("Job", {"completionMode": "Indexed", "template": {"spec": {"containers": [main(env=[own])]}}}, "batch/v1"))
    assert made["spec"]["containers"][0]["env"] == [own]


@pytest.mark.parametrize(
    ("annotation", "context", "of_pod", "profile"),
    [
        ("unconfined", None, None, {"type": "Unconfined"}),
        ("runtime/default", {"runAsUser": 1}, None, {"type": "RuntimeDefault"}),
        ("localhost/mine", None, None, {"type": "Localhost", "localhostProfile": "mine"}),
        ("localhost/", None, None, None),
        ("nonsense", None, None, None),
        ("unconfined", {"appArmorProfile": {"type": "RuntimeDefault"}}, None, {"type": "RuntimeDefault"}),
        ("runtime/default", None, {"type": "RuntimeDefault"}, None),
    ],
)
def test_the_api_server_copies_an_apparmor_annotation_to_the_pods_field(
    annotation: str, context: Json | None, of_pod: Json | None, profile: Json | None
) -> None:
    container = main() | ({"securityContext": context} if context else {})
    spec = {"containers": [container], "securityContext": {"appArmorProfile": of_pod} if of_pod else {}}
    metadata = {"annotations": {"container.apparmor.security.beta.kubernetes.io/main": annotation}}
    made = pod_of(workload("Deployment", {"template": {"metadata": metadata, "spec": spec}}))
    assert made["spec"]["containers"][0].get("securityContext", {}).get("appArmorProfile") == profile


PROFILED: Json = {"annotations": {f"{APPARMOR}main": "unconfined"}}
PROFILES = {
    "without a security context of the pod": (PROFILED, {}, {"appArmorProfile": {"type": "Unconfined"}}),
    "on Windows there is none": (PROFILED, {"os": {"name": "windows"}}, None),
    "on Linux there is": (PROFILED, {"os": {"name": "linux"}}, {"appArmorProfile": {"type": "Unconfined"}}),
    "what means nothing changes nothing": (
        {"annotations": {f"{APPARMOR}main": "nonsense"}}, {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}, None,
    ),
    "an annotation that is named as a container": ({"annotations": {"main": "unconfined", f"{APPARMOR}other": "unconfined"}}, {}, None),
}  # fmt: skip


@pytest.mark.parametrize(("metadata", "fields", "context"), PROFILES.values(), ids=PROFILES)
def test_where_the_annotation_counts(metadata: Json, fields: Json, context: Json | None) -> None:
    made = pod_of({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [main()], **fields}})
    assert made["spec"]["containers"][0].get("securityContext") == context


def test_a_pod_without_metadata_is_a_pod() -> None:
    assert pod_of({"apiVersion": "v1", "kind": "Pod", "spec": SPEC}) == {"metadata": {}, "spec": SPEC}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"},
            "kind: serving.kserve.io/v1beta1 InferenceService has no pod template that AIQMS knows",
        ),
        (workload("Deployment", {}), "Deployment web: spec.template.spec is missing: a workload needs a pod template"),
        (workload("CronJob", {"jobTemplate": None}, "batch/v1"), "CronJob web: spec.jobTemplate.spec.template.spec is missing"),
        ({"apiVersion": "v1", "kind": "Pod"}, "Pod : spec is missing"),
    ],
)
def test_what_has_no_template_is_said(manifest: Json, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        template_of(manifest)
