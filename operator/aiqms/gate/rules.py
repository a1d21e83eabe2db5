"""What the gate is made of: its names, the lists of what is free and what is guarded, and the settings that a site may change.

The admission policies (aiqms.gate.policies) and the same comparison in Python (aiqms.gate.normal) read these lists, so that neither can drift from the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiqms.api.values import Json

GOVERNED = "aiqms.dev/governed"  # label of a Namespace: the gate judges it
LABEL = "aiqms.dev/deployment"  # label of a pod: the AIModelDeployment that it belongs to
MODEL = "aiqms.dev/model"  # annotation of a pod template: the digest of the model that it serves
SUBJECT = "aiqms.dev/subject"  # annotation of a pod, set by admission or release alone: the fingerprint that admitted it
EDITORS = "aiqms.dev/edited-by"  # annotation of an AIModelDeployment, set by admission alone: who changed its spec since it was last approved, one a line
DECISION = "aiqms.dev/decision"  # label of an ApprovalRecord whose Stop stands
GATE = "aiqms.dev/clearance"  # scheduling gate of a held pod
CLEARANCE = "clearance"  # the one Clearance of a namespace
OPERATOR_NAMESPACE = "aiqms-system"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:aiqms-operator"
ALWAYS_EXEMPT = ("kube-system", OPERATOR_NAMESPACE)  # a gate on these would keep the cluster, or AIQMS itself, from starting

# Pod-level keys that are not compared; every other key is, also one that a later Kubernetes adds.
FREE = (
    "activeDeadlineSeconds",
    "affinity",
    "hostname",
    "imagePullSecrets",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "resources",
    "schedulingGates",
    "schedulingGroup",
    "serviceAccount",
    "subdomain",
    "tolerations",
    "topologySpreadConstraints",
)
APART = ("containers", "initContainers", "volumes")  # compared on their own
CONTAINER_FREE = ("resizePolicy", "resources")  # devices and claims among the resources are compared apart
CONTAINER_APART = (*CONTAINER_FREE, "volumeMounts")
POD_DEFAULTS: Json = {"serviceAccountName": "default", "enableServiceLinks": True}  # set on every pod, yet not on the template that a workload stores

# Annotations that a container runtime or a device injector acts on, and the model's digest: compared.
GUARDED = (
    r"^aiqms\.dev/model$|"
    r"^([^/]*\.)?(cdi\.k8s\.io|nri\.io|noderesource\.dev|devices\.gke\.io|containerd\.io|cri-o\.io|crio\.io|katacontainers\.io)(/|$)"
    r"|^(io\.kubernetes\.cri|io\.containerd\.|io\.katacontainers\.|io\.podman\.|run\.oci\.|dev\.gvisor\.|org\.systemd\.property\.|module\.wasm\.)"
    r"|^(container\.(apparmor|seccomp)\.security|(apparmor|seccomp)\.security)\.(alpha|beta)\.kubernetes\.io/"
)
HARMLESS_GUARDED = r"^aiqms\.dev/model$|^(container\.)?(apparmor|seccomp)\.security\."  # guarded, yet no way to a device: free on unlabelled pods

# Labels and annotations that controllers, the scheduler and the API server set, another value for each pod or rollout.
PER_POD = (
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-index-failure-count",
    "batch.kubernetes.io/job-index-ignored-failure-count",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "kubectl.kubernetes.io/restartedAt",
    "pod-template-generation",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
    "topology.kubernetes.io/region",  # copied from the node when the pod is bound (admission plugin PodTopologyLabels, on from 1.35)
    "topology.kubernetes.io/zone",
)
PER_POD_VALUE = r"^[0-9A-Za-z:.+_-]*$"  # nothing that a shell or an argument list would take for more than one word; + is in times with a zone

NO_DEVICE = ("", "none", "void", "-1")  # values of NVIDIA_VISIBLE_DEVICES and its like that give none
STRONG_CAPABILITIES = ("ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_RAWIO", "SYS_MODULE", "MKNOD", "DAC_READ_SEARCH", "BPF", "PERFMON")
HOST_PATHS = (  # devices, drivers, container runtimes, kubelets, keys to the node and what it executes
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix",
    "/opt/bin",
    "/opt/cni",
    "/opt/containerd",
    "/opt/kata",
    "/opt/nri",
    "/opt/nvidia",
    "/ostree",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/snap",
    "/sys",
    "/sysroot",
    "/usr",
    "/var/home",
    "/var/lib/cdi",
    "/var/lib/cloud",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/crio",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/k0s",
    "/var/lib/kubelet",
    "/var/lib/minikube",
    "/var/lib/nvidia",
    "/var/lib/rancher",
    "/var/lib/snapd",
    "/var/roothome",
    "/var/run",
    "/var/snap",
    "/var/spool/cron",
    "/var/usrlocal",
)
# Files below those that are harmless
PLAIN_HOST_PATHS = ("/etc/localtime", "/etc/machine-id", "/etc/os-release", "/etc/ssl/certs", "/etc/timezone", "/usr/share/zoneinfo")

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN: Json = {  # what the ServiceAccount admission plugin injects, and nothing else
    "defaultMode": 420,
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
        {"downwardAPI": {"items": [{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}]}},
    ],
}
OWN_CLAIM: Json = {"statefulSetClaim": True}  # a StatefulSet pod's own claim; a key that no pod can have (the API server lets a pod name a claim "*")

Elsewhere = Literal["Off", "Warn", "Deny"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site may change, by the chart's `gate` values; `Rules()` are the chart's defaults.

    The operator needs `plain_resources` and `published_config_maps` as admission has them, else it stores templates that admission finds unequal.
    """

    plain_resources: tuple[str, ...] = ("cpu", "memory", "ephemeral-storage")
    """Resources that are no devices; hugepages-* never are. A pod may ask for these without naming its AIModelDeployment."""
    device_env: tuple[str, ...] = (".*VISIBLE_DEVICES", "NVIDIA_(MIG|IMEX|GDS|MOFED|GDRCOPY|NVSWITCH).*", "CUDA_VERSION")
    """Regular expressions (RE2, whole names) of environment variables that hand out devices; CUDA_VERSION alone makes NVIDIA's toolkit hand out every GPU."""
    plain_runtimes: tuple[str, ...] = ("runc", "crun", "youki", "gvisor", "runsc", "kata", "kata-qemu", "kata-clh", "kata-fc")
    """RuntimeClasses that give no device."""
    exempt_namespaces: tuple[str, ...] = ()
    """Namespaces that can never be governed, besides kube-system and the operator's own."""
    elsewhere: Elsewhere = "Warn"
    """What happens to a pod that openly asks for a device in a namespace that is not governed."""
    published_config_maps: tuple[str, ...] = ("kube-root-ca.crt", "istio-ca-root-cert")
    """ConfigMaps that controllers publish in every namespace and renew: never frozen."""
    people_groups: tuple[str, ...] = ("system:authenticated",)
    """A person who decides is in at least one of these groups."""


DEFAULTS = Rules()
