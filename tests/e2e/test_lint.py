"""`kubectl qms lint` foresees what a real API server says of the same manifests."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from aiqms.api.values import Json
from aiqms.cli.lint_rules import Linted, findings
from aiqms.cli.manifests import read
from aiqms.gate.rules import DEFAULTS
from tests.e2e.given import NAME, config_map, placed, registered, workload
from tests.testbed.api import Api, ApiError
from tests.testbed.cluster import Cluster
from tests.unit.cli.test_lint import CASES, GOOD

CLI = Path(sys.executable).parent / "kubectl-qms"
CONTAINER: Json = {"name": "serve", "image": "registry.bank.example/vllm:v1"}
PLAIN = {"cpu": "1", "memory": "1Gi"}


def with_env(name: str, value: str = "all") -> Json:
    return {"env": [{"name": name, "value": value}]}


def with_prefix(prefix: str) -> Json:
    return {"envFrom": [{"prefix": prefix, "configMapRef": {"name": "settings"}}]}


def with_path(path: str) -> Json:
    return {"volumes": [{"name": "host", "hostPath": {"path": path}}]}


IN_CONTAINER: dict[str, Json] = {
    "nothing": {},
    "a GPU": {"resources": {"limits": {"nvidia.com/gpu": "1"}}},
    "a device of another vendor": {"resources": {"limits": {"amd.com/gpu": "1"}, "requests": {"amd.com/gpu": "1"}}},
    "plain resources": {"resources": {"limits": PLAIN | {"ephemeral-storage": "1Gi"}}},
    "huge pages": {"resources": {"limits": PLAIN | {"hugepages-2Mi": "4Mi"}}},
    "env that hands out all GPUs": with_env("NVIDIA_VISIBLE_DEVICES"),
    "env that hands out none": with_env("NVIDIA_VISIBLE_DEVICES", "none"),
    "env from a field": {"env": [{"name": "HABANA_VISIBLE_DEVICES", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    "a CUDA version": with_env("CUDA_VERSION", "12.4"),
    "an imex channel": with_env("NVIDIA_IMEX_CHANNELS", "0"),
    "harmless env": with_env("NVIDIA_DRIVER_CAPABILITIES", "compute"),
    "a prefix that ends in the middle": with_prefix("NVIDIA_VIS"),
    "a prefix of any vendor": with_prefix("HABANA_VISIBLE_"),
    "half a prefix": with_prefix("HABANA_VIS"),
    "a harmless prefix": with_prefix("APP_"),
    "privileged": {"securityContext": {"privileged": True}},
    "a strong capability": {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}},
    "a small capability": {"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}},
}
IN_SPEC: dict[str, Json] = {
    "an init container with a GPU": {"initContainers": [CONTAINER | {"name": "first", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
    "a node": {"nodeName": "gpu-0"},
    "the node's processes": {"hostPID": True},
    "the node's network": {"hostNetwork": True},
    "a claim": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]},
    "devices": with_path("/dev"),
    "the whole node": with_path("/"),
    "what is below a driver": with_path("/var/lib/kubelet/device-plugins"),
    "a path that is disguised": with_path("/data/./x"),
    "certificates of the node": with_path("/etc/ssl/certs"),
    "data of the node": with_path("/data"),
}
IN_METADATA: dict[str, Json] = {
    "a CDI device": {"annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=all"}},
    "an annotation of a runtime": {"annotations": {"io.kubernetes.cri-o.Devices": "/dev/nvidia0"}},
    "an AppArmor profile": {"annotations": {"container.apparmor.security.beta.kubernetes.io/serve": "runtime/default"}},
    "a harmless annotation": {"annotations": {"prometheus.io/scrape": "true"}},
}
PODS: dict[str, Json] = {
    **{name: {"spec": {"containers": [CONTAINER | more]}} for name, more in IN_CONTAINER.items()},
    **{name: {"spec": {"containers": [CONTAINER], **more}} for name, more in IN_SPEC.items()},
    **{name: {"metadata": more, "spec": {"containers": [CONTAINER]}} for name, more in IN_METADATA.items()},
}


def foreseen(folder: Path, manifest: Json, *rules: str) -> bool:
    """Whether lint finds something by one of these rules."""
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return any(f.rule in rules for f in findings(Linted(read([folder]), DEFAULTS, timedelta(days=1))))


def refused(admin: Api, manifest: Json, by: str) -> bool:
    """Whether the API server refuses it by this policy. Raises what it says otherwise, which would prove nothing."""
    try:
        admin.create(manifest, dry_run=True)
    except ApiError as error:
        if f"'{by}'" not in error.message:
            raise
        return True
    return False


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_that_is_refused_is_found(pod: Json, admin: Api, namespace: str, tmp_path: Path) -> None:
    metadata = {"name": "one", "namespace": namespace} | pod.get("metadata", {})
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}
    assert foreseen(tmp_path, manifest, "unlabelled-gpu") == refused(admin, manifest, "aiqms-registered")


def rollouts() -> Iterator[Json]:
    shares: list[Json] = [{}, {"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"maxUnavailable": 1, "maxSurge": 0}, {"maxUnavailable": 0, "maxSurge": 2}]
    for kind, field in (("Deployment", "strategy"), ("DaemonSet", "updateStrategy")):
        for share in shares:
            # With neither the API server refuses: nothing could ever be replaced.
            more = {"maxSurge": 1} if share.get("maxUnavailable") in (0, "0%") else {}
            yield {"kind": kind, field: {"type": "RollingUpdate", "rollingUpdate": more | share} if share else {}}
    yield {"kind": "Deployment", "strategy": {"type": "Recreate"}}
    yield from ({"kind": kind, "updateStrategy": {"type": "OnDelete"}} for kind in ("DaemonSet", "StatefulSet"))
    yield from ({"kind": "StatefulSet", **more} for more in ({}, {"updateStrategy": {"rollingUpdate": {"partition": 1}}}))


@pytest.mark.parametrize("rollout", list(rollouts()), ids=lambda r: " ".join(map(str, itertools.chain(*r.items()))))
def test_a_rollout_that_is_warned_of_is_found(rollout: Json, admin: Api, namespace: str, tmp_path: Path) -> None:
    template = {"metadata": {"labels": {"app": "one", "aiqms.dev/deployment": "one"}}, "spec": {"containers": [CONTAINER]}}
    spec = {"selector": {"matchLabels": {"app": "one"}}, "template": template} | {k: v for k, v in rollout.items() if k != "kind"}
    if rollout["kind"] == "StatefulSet":
        spec["serviceName"] = "one"
    manifest = {"apiVersion": "apps/v1", "kind": rollout["kind"], "metadata": {"name": "one", "namespace": namespace}, "spec": spec}
    admin.create(manifest, dry_run=True)
    assert foreseen(tmp_path, manifest, "rollout") == any("aiqms-advise" in warning for warning in admin.warnings)


SCHEMA = {
    sentence: (file, change)
    for sentence, (file, change, found) in CASES.items()
    if file in ("entry.yaml", "procedure.yaml") and any(rule == "schema" for rule, *_ in found)
}


@pytest.mark.parametrize("file", ["entry.yaml", "procedure.yaml"])
def test_what_lint_passes_the_api_server_takes(file: str, admin: Api, namespace: str) -> None:
    admin.create(as_kubectl_reads(GOOD[file], namespace), dry_run=True)


@pytest.mark.parametrize(("file", "change"), SCHEMA.values(), ids=SCHEMA)
def test_what_the_api_server_refuses_is_found(file: str, change: tuple[str, str], admin: Api, namespace: str) -> None:
    manifest = as_kubectl_reads(GOOD[file].replace(*change), namespace)
    with pytest.raises(ApiError) as error:
        admin.request("POST", path_of(manifest), manifest, query={"dryRun": "All", "fieldValidation": "Strict"})
    assert error.value.code in (400, 404, 422), error.value


def test_fingerprint_has_a_cluster_add_what_the_manifests_leave_open(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    with placed(cluster, namespace) as place:
        place.govern()
        place.admin.apply(config_map(namespace, "prompts-1", system="Be terse"))
        manifests = [
            registered(namespace),
            workload(namespace, envFrom=[{"configMapRef": {"name": "prompts-1"}}, {"configMapRef": {"name": "no", "optional": True}}]),
        ]
        (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(manifests))
        before, again = fingerprint(cluster, tmp_path), fingerprint(cluster, tmp_path)
        assert before == again
        assert place.admin.find("deployments.apps", NAME, namespace) is None
        for manifest in manifests:
            place.admin.apply(manifest)
        place.awaited(lambda: place.status["subject"]["fingerprint"] == before, "the operator finds the same fingerprint")
        assert fingerprint(cluster, tmp_path) == before


def fingerprint(cluster: Cluster, folder: Path) -> str:
    command = [str(CLI), "fingerprint", "--server-dry-run", "-f", str(folder), "-o", "json"]
    done = subprocess.run(command, env=cluster.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)[0]["fingerprint"])


def path_of(manifest: Json) -> str:
    place = f"namespaces/{manifest['metadata']['namespace']}/" if manifest["kind"] == "AIModelDeployment" else ""
    return f"/apis/aiqms.dev/v1alpha1/{place}{manifest['kind'].lower()}s"


def as_kubectl_reads(text: str, namespace: str) -> Json:
    """A date is a string."""
    manifest: Json = yaml.safe_load(text.replace("2028-05-31T00:00:00Z", '"2028-05-31T00:00:00Z"'))
    if manifest["kind"] == "AIModelDeployment":
        manifest["metadata"]["namespace"] = namespace
    return manifest
