"""Attacks that name no AIModelDeployment: pods that would reach an accelerator, or its node, unseen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.e2e.bypass.attempt import Attempt, edited
from tests.e2e.bypass.stage import GPU, Stage, plain
from tests.testbed.api import Json

MAIN = "spec.containers.0"
SIDECAR: Json = {"name": "side", "image": "registry.example/tool:1"}
Edits = Json | Callable[[Stage], Json]


def host_path(path: str) -> Json:
    """A volume that mounts a path of the node."""
    return {"spec.volumes.+": {"name": "host", "hostPath": {"path": path}}, f"{MAIN}.volumeMounts.+": {"name": "host", "mountPath": "/host"}}


def env(name: str, value: str = "all") -> Json:
    return {f"{MAIN}.env.+": {"name": name, "value": value}}


def prefix(of: str) -> Json:
    return {f"{MAIN}.envFrom.+": {"prefix": of, "configMapRef": {"name": "unused"}}}


def annotation(key: str, value: str = "nvidia.com/gpu=all") -> Json:
    return {f"metadata.annotations[{key}]": value}


def capability(name: str) -> Json:
    return {f"{MAIN}.securityContext.capabilities.add.+": name}


def from_field(name: str, path: str) -> Json:
    return {f"{MAIN}.env.+": {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}}


PODS: dict[str, Edits] = {
    "a GPU limit": {f"{MAIN}.resources": GPU},
    "a GPU of another vendor": {f"{MAIN}.resources": {"limits": {"amd.com/gpu": "1"}}},
    "a slice of a GPU": {f"{MAIN}.resources": {"limits": {"nvidia.com/mig-1g.5gb": "1"}}},
    "a device that nobody listed": {f"{MAIN}.resources": {"limits": {"vendor.example/npu": "1"}}},
    "a GPU in a second container": {"spec.containers.+": SIDECAR | {"resources": GPU}},
    "a GPU in an init container": {"spec.initContainers.+": SIDECAR | {"resources": GPU}},
    "a GPU in a sidecar": {"spec.initContainers.+": SIDECAR | {"resources": GPU, "restartPolicy": "Always"}},
    "the label as an annotation only": {f"{MAIN}.resources": GPU, **annotation("aiqms.dev/deployment", "scoring")},
    "a claim from a template": {"spec.resourceClaims.+": {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}},
    "a claim by name": {"spec.resourceClaims.+": {"name": "gpu", "resourceClaimName": "mine"}},
    "a claim in a container": {"spec.resourceClaims.+": {"name": "gpu", "resourceClaimName": "mine"}, f"{MAIN}.resources": {"claims": [{"name": "gpu"}]}},
    "NVIDIA_VISIBLE_DEVICES=all": env("NVIDIA_VISIBLE_DEVICES"),
    "NVIDIA_VISIBLE_DEVICES=0": env("NVIDIA_VISIBLE_DEVICES", "0"),
    "NVIDIA_VISIBLE_DEVICES from a ConfigMap": {
        f"{MAIN}.env.+": {"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {"configMapKeyRef": {"name": "unused", "key": "mode"}}}
    },
    "NVIDIA_VISIBLE_DEVICES from an annotation": from_field("NVIDIA_VISIBLE_DEVICES", "metadata.annotations['example.com/x']"),
    "NVIDIA_VISIBLE_DEVICES put together from another variable": {
        f"{MAIN}.env": [{"name": "A", "value": "al"}, {"name": "NVIDIA_VISIBLE_DEVICES", "value": "$(A)l"}]
    },
    "NVIDIA_VISIBLE_DEVICES in an init container": {"spec.initContainers.+": SIDECAR | {"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]}},
    "NVIDIA_MIG_MONITOR_DEVICES": env("NVIDIA_MIG_MONITOR_DEVICES"),
    "AMD_VISIBLE_DEVICES": env("AMD_VISIBLE_DEVICES"),
    "HABANA_VISIBLE_DEVICES": env("HABANA_VISIBLE_DEVICES"),
    "CUDA_VERSION, as in an image of old": env("CUDA_VERSION", "8.0"),
    "envFrom with prefix NVIDIA_": prefix("NVIDIA_"),
    "envFrom with prefix NVIDIA_MIG_": prefix("NVIDIA_MIG_"),
    "envFrom with prefix N": prefix("N"),
    "envFrom with prefix CUDA_": prefix("CUDA_"),
    "envFrom with prefix AMD_VISIBLE_": prefix("AMD_VISIBLE_"),
    "envFrom with prefix AMD_VIS": prefix("AMD_VIS"),
    "envFrom with prefix AMD_VISIBLE_DEV": prefix("AMD_VISIBLE_DEV"),
    "envFrom with prefix ASCEND_V": prefix("ASCEND_V"),
    "an annotation of CDI": annotation("cdi.k8s.io/any"),
    "an annotation of NVIDIA's runtime": annotation("nvidia.cdi.k8s.io/container.main"),
    "an annotation of an NRI injector": annotation("devices.nri.io/container.main", "- path: /dev/nvidia0"),
    "an annotation of an NRI injector for all containers": annotation("devices.nri.io", "- path: /dev/nvidia0"),
    "an annotation of today's NRI injector": annotation("devices.noderesource.dev/pod", "- path: /dev/nvidia0"),
    "an annotation of today's NRI injector, for mounts": annotation("mounts.noderesource.dev", "- source: /dev"),
    "an annotation of GKE's injector": annotation("devices.gke.io/container.main", "- path: /dev/nvidia0"),
    "an annotation of CRI-O": annotation("io.kubernetes.cri-o.Devices", "/dev/nvidia0"),
    "an annotation of Kata": annotation("io.katacontainers.config.hypervisor.hot_plug_vfio", "root-port"),
    "an annotation of gVisor": annotation("dev.gvisor.flag.nvproxy", "true"),
    "an annotation of crun": annotation("run.oci.handler", "krun"),
    "a RuntimeClass": lambda stage: {"spec.runtimeClassName": stage.runtime},
    "a node by name": {"spec.nodeName": "gpu-0"},
    "a mirror pod": {"spec.nodeName": "gpu-0", **annotation("kubernetes.io/config.mirror", "1")},
    "privileged": {f"{MAIN}.securityContext": {"privileged": True}},
    "privileged, in an init container": {"spec.initContainers.+": SIDECAR | {"securityContext": {"privileged": True}}},
    "capability SYS_ADMIN": capability("SYS_ADMIN"),
    "capability CAP_SYS_ADMIN": capability("CAP_SYS_ADMIN"),
    "capability sys_rawio": capability("sys_rawio"),
    "capability ALL": capability("ALL"),
    "capability MKNOD": capability("MKNOD"),
    "the processes of the node": {"spec.hostPID": True},
    "host processes": {"spec.securityContext": {"windowsOptions": {"hostProcess": True}}, "spec.hostNetwork": True},
    "a host process": {f"{MAIN}.securityContext": {"windowsOptions": {"hostProcess": True}}, "spec.hostNetwork": True},
    "a GPU behind five hundred containers": {
        "spec.containers": [*({"name": f"c{n}", "image": "registry.example/tool:1"} for n in range(500)), SIDECAR | {"resources": GPU}]
    },
    "NVIDIA_VISIBLE_DEVICES behind two thousand variables": {
        f"{MAIN}.env": [*({"name": f"V{n}", "value": "x"} for n in range(2000)), {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
    },
}
NODE = (
    "/",
    "/dev",
    "/dev/",
    "/dev/nvidia0",
    "//dev",
    "/./dev",
    "/dev/.",
    "dev",
    "./dev",
    ".",
    "/proc",
    "/sys",
    "/run/containerd/containerd.sock",
    "/var/run",
    "/var",
    "/var/lib",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/pods",
    "/var/lib/containerd",
    "/var/lib/rancher",
    "/var/lib/etcd",
    "/var/snap/microk8s",
    "/etc",
    "/etc/kubernetes/manifests",
    "/etc/cdi",
    "/etc/cron.d",
    "/etc/ld.so.preload",
    "/etc/rancher/k3s",
    "/etc/nri",
    "/usr/local/nvidia",
    "/usr/sbin",
    "/usr/libexec/kubernetes",
    "/opt/nri/plugins",
    "/opt/containerd",
    "/root/.ssh",
    "/home",
    *(f"/home/{user}/.ssh" for user in ("core", "ubuntu")),
    "/var/spool/cron",
    "/sysroot",
)


def created(edits: Edits, stage: Stage) -> Json:
    """A CPU pod with these edits."""
    return stage.mallory.create(edited(plain(stage.place), edits if isinstance(edits, dict) else edits(stage)), dry_run=True)


def applied(stage: Stage) -> Json:
    return stage.mallory.apply(edited(plain(stage.place), {f"{MAIN}.resources": GPU}), dry_run=True)


def debugged(container: Json) -> Callable[[Stage], Json]:
    """An ephemeral container in the CPU pod that runs."""
    patch = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/tool:1"} | container]}}
    return lambda stage: stage.mallory.patch("pods", "plain", patch, stage.place, subresource="ephemeralcontainers", dry_run=True, strategic=True)


def annotated(key: str, subresource: str | None = None) -> Callable[[Stage], Json]:
    """An annotation on the CPU pod that runs: a runtime reads it when a container restarts."""
    patch = {"metadata": {"annotations": {key: "all"}}}
    return lambda stage: stage.mallory.patch("pods", "plain", patch, stage.place, subresource=subresource, dry_run=True)


def config(kind: str, **content: Json) -> Callable[[Stage], Json]:
    """A ConfigMap or Secret whose keys a pod would take as environment."""
    return lambda stage: stage.mallory.create(
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": "hidden", "namespace": stage.place}, **content}, dry_run=True
    )


def key_added(resource: str, patch: Json) -> Callable[[Stage], Json]:
    return lambda stage: stage.mallory.patch(resource, "unused", patch, stage.place, dry_run=True)


ATTACKS = (
    *(Attempt("unlabelled", name, partial(created, edits)) for name, edits in PODS.items()),
    *(Attempt("unlabelled", f"hostPath {path}", partial(created, host_path(path))) for path in NODE),
    Attempt("unlabelled", "a GPU limit by server-side apply", applied),
    Attempt("unlabelled afterwards", "a privileged debug container", debugged({"securityContext": {"privileged": True}})),
    Attempt("unlabelled afterwards", "a debug container with SYS_PTRACE", debugged({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}})),
    Attempt("unlabelled afterwards", "a debug container with NVIDIA_VISIBLE_DEVICES", debugged({"env": [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]})),
    Attempt(
        "unlabelled afterwards", "a debug container with envFrom and prefix", debugged({"envFrom": [{"prefix": "NVIDIA_", "configMapRef": {"name": "unused"}}]})
    ),
    Attempt("unlabelled afterwards", "an annotation of CDI", annotated("cdi.k8s.io/any")),
    Attempt("unlabelled afterwards", "an annotation of CDI, by the status", annotated("cdi.k8s.io/any", "status")),
    Attempt("unlabelled afterwards", "an annotation of CRI-O", annotated("io.kubernetes.cri-o.Devices")),
    Attempt("hidden in a key", "a ConfigMap", config("ConfigMap", data={"NVIDIA_VISIBLE_DEVICES": "all"})),
    Attempt("hidden in a key", "a ConfigMap's binary data", config("ConfigMap", binaryData={"AMD_VISIBLE_DEVICES": "YWxs"})),
    Attempt("hidden in a key", "a ConfigMap, by half a name", config("ConfigMap", data={"VISIBLE_DEVICES": "all"})),
    Attempt("hidden in a key", "a ConfigMap, with CUDA_VERSION", config("ConfigMap", data={"CUDA_VERSION": "8"})),
    Attempt("hidden in a key", "a Secret", config("Secret", stringData={"NVIDIA_VISIBLE_DEVICES": "all"})),
    Attempt("hidden in a key", "a Secret's encoded data", config("Secret", data={"NVIDIA_VISIBLE_DEVICES": "YWxs"})),
    Attempt("hidden in a key", "a ConfigMap that is there already", key_added("configmaps", {"data": {"NVIDIA_VISIBLE_DEVICES": "all"}})),
    Attempt("hidden in a key", "a Secret that is there already", key_added("secrets", {"stringData": {"NVIDIA_VISIBLE_DEVICES": "all"}})),
)
