"""Pods as people write them: one for each thing that the comparison of pods must get right."""

from __future__ import annotations

import copy
from typing import Any

from aiqms.api.values import Json
from aiqms.gate.rules import SUBJECT
from aiqms.gate.workload import Kind

IMAGE = "registry.bank.example/vllm:v0.11.0"


def gpu(count: int = 1) -> Json:
    return {"limits": {"nvidia.com/gpu": str(count), "cpu": "8", "memory": "32Gi"}, "requests": {"cpu": "4", "memory": "16Gi"}}


def main(**fields: Any) -> Json:
    return {"name": "main", "image": IMAGE, "resources": gpu(), **fields}


def pod(spec: Json, **metadata: Any) -> Json:
    return {"metadata": metadata, "spec": spec}


def owner(kind: str, name: str, version: str) -> list[Json]:
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": "11111111-1111-1111-1111-111111111111", "controller": True, "blockOwnerDeletion": True}]


def http(path: str) -> Json:
    return {"httpGet": {"path": path, "port": 8000}, "periodSeconds": 5}


def field(path: str) -> Json:
    return {"fieldRef": {"fieldPath": path}}


SHM = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}
INDEX = "batch.kubernetes.io/job-completion-index"

PLAIN = pod({"containers": [main()]})
VLLM = pod(
    {
        "containers": [
            main(
                command=["python3", "-m", "vllm.entrypoints.openai.api_server"],
                args=["--model=/models/llm", "--tensor-parallel-size=2", "--port=8000"],
                env=[
                    {"name": "HF_HOME", "value": "/cache"},
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}},
                    {"name": "IP", "valueFrom": field("status.podIP")},
                ],
                ports=[{"containerPort": 8000, "name": "http"}],
                readinessProbe=http("/health"),
                livenessProbe=http("/health"),
                startupProbe={**http("/health"), "failureThreshold": 60},
                volumeMounts=[{"name": "shm", "mountPath": "/dev/shm"}, {"name": "models", "mountPath": "/models", "readOnly": True}],
            )
        ],
        "volumes": [SHM, {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}],
        "terminationGracePeriodSeconds": 90,
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "priorityClassName": "",
    }
)
TRITON = pod(
    {
        "containers": [
            main(
                name="triton",
                image="nvcr.io/nvidia/tritonserver:25.10-py3",
                args=["tritonserver", "--model-repository=/repo"],
                ports=[{"containerPort": port} for port in (8000, 8001, 8002)],
                securityContext={
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "capabilities": {"drop": ["ALL"]},
                    "allowPrivilegeEscalation": False,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            ),
            {"name": "metrics", "image": "exporter:1", "resources": {"requests": {"cpu": "100m"}}},
        ],
        "securityContext": {"fsGroup": 1000, "supplementalGroups": [44]},
        "serviceAccountName": "default",
        "automountServiceAccountToken": False,
    }
)
INIT_AND_SIDECAR = pod(
    {
        "initContainers": [
            {
                "name": "fetch",
                "image": "fetch:1",
                "command": ["fetch", "oci://registry.bank.example/models/credit-llm"],
                "volumeMounts": [{"name": "w", "mountPath": "/w"}],
            },
            {"name": "proxy", "image": "envoy:1", "restartPolicy": "Always", "ports": [{"containerPort": 15001}], "startupProbe": http("/ready")},
        ],
        "containers": [main(volumeMounts=[{"name": "w", "mountPath": "/w", "subPath": "x"}])],
        "volumes": [{"name": "w", "emptyDir": {}}],
        "shareProcessNamespace": True,
    }
)
STATEFUL = pod(
    {
        "containers": [main(volumeMounts=[{"name": "data", "mountPath": "/d"}])],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}],
        "hostname": "web-0",
        "subdomain": "web",
    },
    name="web-0",
    ownerReferences=owner("StatefulSet", "web", "apps/v1"),
    labels={"statefulset.kubernetes.io/pod-name": "web-0", "apps.kubernetes.io/pod-index": "0"},
)
INDEXED_JOB = pod(
    {
        "restartPolicy": "Never",
        "hostname": "train-0",
        "containers": [
            main(
                command=["train"],
                env=[{"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}}],
            )
        ],
    },
    ownerReferences=owner("Job", "train", "batch/v1"),
    labels={INDEX: "0"},
    annotations={INDEX: "0"},
)
DRA = pod(
    {
        "containers": [{"name": "main", "image": "vllm", "resources": {"claims": [{"name": "gpu"}, {"name": "mig", "request": "slice"}]}}],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}, {"name": "mig", "resourceClaimName": "shared-mig"}],
    }
)
HOST_NETWORK = pod(
    {
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "containers": [main(ports=[{"containerPort": 29500, "hostPort": 29500}, {"containerPort": 8000}])],
    }
)
ENV_FROM = pod(
    {
        "containers": [
            main(
                envFrom=[{"configMapRef": {"name": "app"}}, {"prefix": "S_", "secretRef": {"name": "key", "optional": True}}],
                env=[
                    {"name": "B", "value": "$(A)"},
                    {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                ],
            )
        ]
    }
)
PROJECTED = pod(
    {
        "containers": [main(volumeMounts=[{"name": "all", "mountPath": "/etc/all"}, {"name": "csi", "mountPath": "/csi"}])],
        "volumes": [
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "a", "items": [{"key": "k", "path": "k"}]}},
                        {"secret": {"name": "s"}},
                        {"serviceAccountToken": {"path": "t", "audience": "vault", "expirationSeconds": 600}},
                        {"downwardAPI": {"items": [{"path": "l", **field("metadata.labels['tier']")}]}},
                    ]
                },
            },
            {"name": "csi", "csi": {"driver": "secrets.example", "volumeAttributes": {"class": "x"}}},
        ],
    },
    labels={"tier": "gold"},
)
DOWNWARD = pod(
    {
        "containers": [
            main(
                env=[
                    {"name": "MODEL", "valueFrom": field("metadata.annotations['model']")},
                    {"name": "SUBJECT", "valueFrom": field(f"metadata.annotations['{SUBJECT}']")},
                ],
                volumeMounts=[{"name": "i", "mountPath": "/i"}],
            )
        ],
        "volumes": [{"name": "i", "downwardAPI": {"items": [{"path": "labels", **field("metadata.labels")}]}}],
    },
    annotations={"model": "credit", "free": "x"},
    labels={"app": "x", "pod-template-hash": "abc"},
)
HOOKS = pod(
    {
        "containers": [
            main(
                lifecycle={"postStart": {"exec": {"command": ["warm"]}}, "preStop": {"httpGet": {"path": "/drain", "port": 8000}}},
                readinessProbe={"grpc": {"port": 9000}},
                livenessProbe={"exec": {"command": ["check"]}},
                workingDir="/srv",
                stdin=True,
                tty=True,
                terminationMessagePath="/tmp/m",
                imagePullPolicy="Always",
            )
        ],
        "restartPolicy": "OnFailure",
        "runtimeClassName": None,
        "schedulerName": "default-scheduler",
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["a.example"]}],
    }
)
GUARDED = pod(
    {
        "containers": [main(volumeMounts=[{"name": "gen", "mountPath": "/g"}])],
        "volumes": [
            {"name": "gen", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}},
            {"name": "nfs", "nfs": {"server": "10.0.0.1", "path": "/x"}},
            {"name": "model", "image": {"reference": "registry.bank.example/models/x:1", "pullPolicy": "IfNotPresent"}},
        ],
    },
    annotations={"cdi.k8s.io/gpu": "nvidia.com/gpu=0", "io.kubernetes.cri-o.ShmSize": "8Gi"},
)

PODS: dict[str, Json] = {
    "plain": PLAIN,
    "vllm": VLLM,
    "triton": TRITON,
    "init-and-sidecar": INIT_AND_SIDECAR,
    "stateful": STATEFUL,
    "indexed-job": INDEXED_JOB,
    "dra": DRA,
    "host-network": HOST_NETWORK,
    "env-from": ENV_FROM,
    "projected": PROJECTED,
    "downward": DOWNWARD,
    "hooks": HOOKS,
    "guarded": GUARDED,
}


def workload(kind: Kind, pod: Json, name: str = "agreement") -> Json:
    """A workload of this kind with the pod's labels, annotations and spec in its template."""
    selected = {"agreement": f"{kind.kind}-{name}"}
    labels, annotations = {**selected, **pod["metadata"].get("labels", {})}, pod["metadata"].get("annotations", {})
    made: Json = {"metadata": {"labels": labels, "annotations": annotations}, "spec": copy.deepcopy(pod["spec"])}
    if kind.template:
        made["spec"]["restartPolicy"] = "Never" if kind.api_version == "batch/v1" else "Always"
        made = {"metadata": {}, "spec": around(kind, made, selected)}
    return {"apiVersion": kind.api_version, "kind": kind.kind, **made, "metadata": {**made["metadata"], "name": name}}


def around(kind: Kind, made: Json, selected: Json) -> Json:
    match kind.kind:
        case "Job":
            return {"template": made, "completionMode": "Indexed", "completions": 2}
        case "CronJob":
            return {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": made}}}
        case "StatefulSet":
            claim = {"metadata": {"name": "own"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
            return {"template": made, "selector": {"matchLabels": selected}, "serviceName": "agreement", "volumeClaimTemplates": [claim]}
        case _:
            return {"template": made, "selector": {"matchLabels": selected}}
