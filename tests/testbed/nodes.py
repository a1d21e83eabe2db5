"""GPU nodes that KWOK plays: the scheduler and the controllers see ordinary nodes, and pods on them run at once."""

from __future__ import annotations

from tests.testbed.api import Api, Json
from tests.testbed.waiting import eventually

NODES = ("gpu-0", "gpu-1")
CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "250", "nvidia.com/gpu": "8"}


def gpu_node(name: str) -> Json:
    """A node with 8 GPUs that KWOK keeps ready."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "nvidia.com/gpu.present": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": CAPACITY, "allocatable": CAPACITY},
    }


def add_gpu_nodes(api: Api) -> None:
    """Make the GPU nodes; `wait_schedulable` says when pods may go there."""
    for name in NODES:
        api.create(gpu_node(name))


def wait_schedulable(api: Api, within: float = 60) -> None:
    """Wait until each node is Ready and carries no taint."""
    eventually(lambda: all(is_schedulable(api.get("nodes", name)) for name in NODES), within=within, what=f"the nodes {', '.join(NODES)} are ready")


def is_schedulable(node: Json) -> bool:
    """Whether a pod without tolerations may be put on this node."""
    conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
