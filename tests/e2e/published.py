"""Serving workloads shaped as their projects publish them, with what admission has to take: shell commands, tokens from Secrets, shared memory.

What each is made of is a fact of its project's own pages, named beside it; the words are this project's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.testbed.api import Json

GPU: Json = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "10m"}}
SHM: Json = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
TOKEN: Json = {"name": "HUGGING_FACE_HUB_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token", "optional": True}}}
MODEL_ANNOTATION = "aiqms.dev/model"


@dataclass(frozen=True)
class Published:
    """kind: of the workload that its pods come from. template: labels, annotations and spec of its pods. around: what it needs beside."""

    kind: str
    source: str
    labels: Json
    spec: Json
    annotations: Json = field(default_factory=dict)
    around: Callable[[str], list[Json]] = lambda _: []

    def manifest(self, namespace: str, name: str, model: str) -> Json:
        """As it is applied, with the two lines that its team adds: the label and the annotation."""
        labels = self.labels | {"app": name, "aiqms.dev/deployment": name}
        template = {"metadata": {"labels": labels, "annotations": self.annotations | {MODEL_ANNOTATION: model}}, "spec": self.spec}
        spec: Json = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        if self.kind == "Deployment":
            spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        else:
            spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        return {"apiVersion": "apps/v1", "kind": self.kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def probe(path: str, port: int) -> Json:
    return {"httpGet": {"path": path, "port": port}, "initialDelaySeconds": 5, "periodSeconds": 5}


def token(namespace: str) -> list[Json]:
    """A gated model's token."""
    return [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token", "namespace": namespace}, "stringData": {"token": "hf_none"}}]


def repository(namespace: str) -> list[Json]:
    """A ConfigMap that a server's configuration lies in."""
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config", "namespace": namespace}, "data": {"config.pbtxt": "max_batch_size: 8"}}]


def leader_env(rank: str) -> list[Json]:
    """What LeaderWorkerSet adds to each container of a group."""
    return [
        {"name": "LWS_LEADER_ADDRESS", "value": "llm-0.llm.default"},
        {"name": "LWS_GROUP_SIZE", "value": "2"},
        {"name": "LWS_WORKER_INDEX", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{rank}']"}}},
    ]


INDEX = "leaderworkerset.sigs.k8s.io/worker-index"

PUBLISHED: dict[str, Published] = {
    "vLLM": Published(
        "Deployment", "docs.vllm.ai, Using Kubernetes", {"app.kubernetes.io/name": "vllm"},
        {
            "containers": [{
                "name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "command": ["/bin/sh", "-c"],
                "args": ["vllm serve mistralai/Mistral-7B-Instruct-v0.3 --trust-remote-code --enable-chunked-prefill --max_num_batched_tokens 1024"],
                "env": [TOKEN], "ports": [{"containerPort": 8000}], "resources": GPU,
                "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "files", "mountPath": "/root/.cache/huggingface"}],
                "livenessProbe": probe("/health", 8000), "readinessProbe": probe("/health", 8000),
            }],
            "volumes": [SHM, {"name": "files", "emptyDir": {}}],
        },
        around=token,
    ),
    "Triton": Published(
        "Deployment", "docs.nvidia.com, Triton Inference Server: ports 8000, 8001, 8002 and /v2/health", {"app.kubernetes.io/name": "triton"},
        {
            "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
            "containers": [{
                "name": "triton", "image": "nvcr.io/nvidia/tritonserver:25.04-py3",
                "args": ["tritonserver", "--model-store=/models", "--model-control-mode=poll", "--repository-poll-secs=5"],
                "ports": [{"containerPort": port, "name": name} for name, port in (("http", 8000), ("grpc", 8001), ("metrics", 8002))],
                "resources": GPU, "volumeMounts": [{"name": "config", "mountPath": "/models/llm"}],
                "livenessProbe": probe("/v2/health/live", 8000), "readinessProbe": probe("/v2/health/ready", 8000),
            }],
            "volumes": [{"name": "config", "configMap": {"name": "config"}}],
        },
        {"prometheus.io/scrape": "true", "prometheus.io/port": "8002"}, around=repository,
    ),
    "TGI": Published(
        "Deployment", "huggingface.co, Text Generation Inference on Kubernetes: the launcher, /data, /dev/shm", {"run": "text-generation-inference"},
        {
            "containers": [{
                "name": "tgi", "image": "ghcr.io/huggingface/text-generation-inference:3.3.4",
                "args": ["--model-id=meta-llama/Meta-Llama-3-8B-Instruct", "--num-shard=1", "--quantize=eetq"],
                "env": [TOKEN, {"name": "PORT", "value": "8080"}, {"name": "MAX_INPUT_LENGTH", "value": "4096"}],
                "ports": [{"containerPort": 8080}], "resources": GPU,
                "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "data", "mountPath": "/data"}],
                "readinessProbe": probe("/health", 8080),
            }],
            "volumes": [SHM, {"name": "data", "emptyDir": {"sizeLimit": "30Gi"}}],
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        },
        around=token,
    ),
    "made by KServe": Published(
        "Deployment", "kserve.github.io: container kserve-container, init container storage-initializer",
        {"serving.kserve.io/inferenceservice": "llm", "component": "predictor"},
        {
            "initContainers": [{
                "name": "storage-initializer", "image": "kserve/storage-initializer:v0.16.0",
                "args": ["hf://meta-llama/meta-llama-3-8b-instruct", "/mnt/models"],
                "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}],
            }],
            "containers": [{
                "name": "kserve-container", "image": "kserve/huggingfaceserver:v0.16.0-gpu", "args": ["--model_name=llm", "--model_dir=/mnt/models"],
                "ports": [{"containerPort": 8080}], "resources": GPU,
                "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models", "readOnly": True}],
            }],
            "volumes": [{"name": "kserve-provision-location", "emptyDir": {}}],
        },
        {"internal.serving.kserve.io/storage-initializer-sourceuri": "hf://meta-llama/meta-llama-3-8b-instruct"},
    ),
    "a group's leader made by LeaderWorkerSet": Published(
        "StatefulSet", "docs.vllm.ai, LWS: shell command, LWS_* variables", {"leaderworkerset.sigs.k8s.io/name": "llm", INDEX: "0", "role": "leader"},
        {
            "containers": [{
                "name": "vllm-leader", "image": "vllm/vllm-openai:v0.11.0",
                "command": ["sh", "-c", "vllm serve meta-llama/Llama-3.1-405B --nnodes $(LWS_GROUP_SIZE)"],
                "env": leader_env(INDEX), "ports": [{"containerPort": 8080}], "resources": GPU, "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
                "readinessProbe": {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 15},
            }],
            "volumes": [SHM],
        },
    ),
}  # fmt: skip
