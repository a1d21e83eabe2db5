"""A cluster with a node on which pods really run, and with a network that enforces NetworkPolicies.

containerd, runc, the CNI plugins, iptables, ipset and dnsmasq are the distribution's; kubelet, kube-proxy and kube-router are built from Go modules.
It needs root, and network, process and mount namespaces of its own, which `make test-node` makes: nothing of it is seen outside, and it ends with them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from tests.testbed.api import Json
from tests.testbed.build import program
from tests.testbed.cluster import Cluster
from tests.testbed.embedded import HOST, Embedded, answers
from tests.testbed.image import IMAGE, write_image
from tests.testbed.nodes import NODES, is_schedulable
from tests.testbed.processes import Component, kill_all
from tests.testbed.waiting import eventually

NAME = "real"
ADDRESS = "10.88.0.1"
PODS = "10.88.1.0/24"
SERVICES = "10.0.0.0/24"
DOMAIN = "cluster.local"
HEALTH = 10248
FOLDER = Path("/run/aiqms")
CGROUP = "aiqms-node"
CHAINS = ("KUBE-ROUTER", "KUBE-POD-FW", "KUBE-NWPLCY")  # how the names of kube-router's begin
PLUGINS = Path("/usr/lib/cni")
PACKAGES = {
    "containerd": "containerd", "ctr": "containerd", "runc": "runc", "iptables": "iptables", "ipset": "ipset",
    "conntrack": "conntrack", "dnsmasq": "dnsmasq-base", "ip": "iproute2", "mount": "mount",
}  # fmt: skip
# What a kubelet sets on the whole machine, where it does not find it set already: below it reads these instead.
TUNABLES = {
    "vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000,
}  # fmt: skip


class NotSecluded(RuntimeError):
    """The machine lacks something, or this process is not in namespaces of its own; the message says what to do."""


@dataclass(frozen=True)
class RealNode:
    """The node's programs, and names that pods resolve."""

    cluster: Cluster
    folder: Path = FOLDER / "node"

    @property
    def kube_router(self) -> Component:
        """What enforces NetworkPolicies."""
        flags = {
            "kubeconfig": self.cluster.kubeconfig, "hostname-override": NAME, "service-cluster-ip-range": SERVICES, "enable-cni": "false",
            "run-firewall": "true", "run-router": "false", "run-service-proxy": "false", "health-port": 20244,
        }  # fmt: skip
        return self._component("kube-router", program("kube-router"), flags, ready=partial(answers, f"http://{HOST}:20244/healthz"))

    def enforce_nothing(self) -> None:
        """Stop kube-router, and take its rules away."""
        self.kube_router.stop()
        rules = [line for line in _run("iptables-save", "--table", "filter").splitlines() if not any(chain in line for chain in CHAINS)]
        _run("iptables-restore", "--table", "filter", stdin="".join(f"{line}\n" for line in rules))

    def resolve(self, name: str, address: str) -> None:
        """Let pods resolve a Service's name."""
        (self.folder / "hosts" / name).write_text(f"{address} {name}.{DOMAIN}\n")

    def up(self) -> None:
        """Start the programs, and wait until pods may go there. Raises ComponentFailed."""
        for part in ("hosts", "cni", "etc"):
            (self.folder / part).mkdir(parents=True)
        self._write_settings()
        self._start_containerd()
        for component in (self._dnsmasq(), self._kube_proxy(), self._kubelet()):
            component.start()
            component.wait()
        admin = self.cluster.api()
        eventually(lambda: (node := admin.find("nodes", NAME)) and is_schedulable(node), within=60, what="the real node is ready")
        self.kube_router.start()
        self.kube_router.wait()

    def _start_containerd(self) -> None:
        containerd = self._containerd()
        containerd.start()
        containerd.wait()
        image = self.folder / "image.tar"
        write_image(image)
        _run("ctr", "--address", self._socket, "--namespace", "k8s.io", "images", "import", str(image))
        image.unlink()

    @property
    def _socket(self) -> str:
        return str(self.folder / "containerd.sock")

    def _component(self, name: str, path: Path | str, flags: Mapping[str, object], *, ready: partial[bool]) -> Component:
        argv = (str(path), *(f"--{flag}={value}" for flag, value in flags.items()))
        return Component(name=name, argv=argv, folder=self.folder / "run", ready=ready, env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})

    def _containerd(self) -> Component:
        return self._component("containerd", "containerd", {"config": self.folder / "etc" / "containerd.toml"}, ready=partial(_served, self._socket))

    def _dnsmasq(self) -> Component:
        flags = {"conf-file": "/dev/null", "listen-address": ADDRESS, "local": f"/{DOMAIN}/", "hostsdir": self.folder / "hosts", "user": "root"}
        found = self._component("dnsmasq", "dnsmasq", flags, ready=partial(bool, True))
        found.argv += ("--keep-in-foreground", "--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file")
        return found

    def _kube_proxy(self) -> Component:
        # The limits of the connection table are the machine's, not this network's.
        limits = {f"conntrack-{name}": 0 for name in ("max-per-core", "min", "tcp-timeout-established", "tcp-timeout-close-wait")}
        flags = {"kubeconfig": self.cluster.kubeconfig, "hostname-override": NAME, "proxy-mode": "iptables", "cluster-cidr": PODS}
        return self._component("kube-proxy", program("kube-proxy"), flags | limits, ready=partial(answers, f"http://{HOST}:10256/livez"))

    def _kubelet(self) -> Component:
        flags = {
            "kubeconfig": self.cluster.kubeconfig, "hostname-override": NAME, "node-ip": ADDRESS,
            "config": self.folder / "etc" / "kubelet.yaml", "root-dir": self.folder / "kubelet",
        }  # fmt: skip
        return self._component("kubelet", program("kubelet"), flags, ready=partial(answers, f"http://{HOST}:{HEALTH}/healthz"))

    def _write_settings(self) -> None:
        etc = self.folder / "etc"
        (etc / "containerd.toml").write_text(self._containerd_settings())
        (etc / "kubelet.yaml").write_text(yaml.safe_dump(self._kubelet_settings()))
        ipam = {"type": "host-local", "dataDir": str(self.folder / "ipam"), "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
        # Each pod has a link of its own to the node, so that all traffic between pods is routed, and seen by iptables without br_netfilter.
        network = {"cniVersion": "1.0.0", "name": "aiqms", "plugins": [{"type": "ptp", "ipam": ipam}]}
        (self.folder / "cni" / "aiqms.conflist").write_text(json.dumps(network))

    def _containerd_settings(self) -> str:
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        return f"""
version = 2
root = "{self.folder}/containerd"
state = "{self.folder}/containerd-state"
[grpc]
address = "{self._socket}"
[{cri}]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
[{cri}.cni]
bin_dir = "{PLUGINS}"
conf_dir = "{self.folder}/cni"
"""

    def _kubelet_settings(self) -> Json:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}",
            "clusterDNS": [ADDRESS],
            "clusterDomain": DOMAIN,
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "evictionHard": {"memory.available": "50Mi"},
            "failCgroupV1": False,
            "failSwapOn": False,
            "healthzPort": HEALTH,
            "podLogsDir": str(self.folder / "pods"),
            "resolvConf": "/dev/null",
            "volumePluginDir": str(self.folder / "plugins"),
        }


@contextlib.contextmanager
def real_cluster() -> Iterator[RealNode]:
    """A cluster whose only node is real, for as long as the context lasts. Raises NotSecluded."""
    _seclude()
    cluster = Cluster(Embedded(FOLDER / "cluster", address=ADDRESS))
    node = RealNode(cluster)
    try:
        cluster.up()
        for name in NODES:
            cluster.api().delete("nodes", name)
        node.up()
        yield node
    finally:
        kill_all(node.folder / "run")
        cluster.down()
        eventually(_emptied, within=30, what="the node's control groups are gone")


def _seclude() -> None:
    if os.geteuid() or os.getpid() != 1 or len(Path("/proc/net/route").read_text().splitlines()) > 1:
        raise NotSecluded("this needs root and namespaces of its own: run it by `make test-node`")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := {package for name, package in PACKAGES.items() if not shutil.which(name)} | (set() if PLUGINS.exists() else {"containernetworking-plugins"}):
        raise NotSecluded(f"install the packages {' '.join(sorted(missing))} (their names in Debian) first")
    _run("mount", "-t", "tmpfs", "tmpfs", "/var")
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    Path("/var/run").symlink_to("/run")
    Path("/var/log").mkdir()
    _hide_tunables()
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    if not _emptied():
        raise NotSecluded("another `make test-node` runs on this machine: wait for its end")
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir()


def _hide_tunables() -> None:
    for name, value in TUNABLES.items():
        shown = Path("/run/tunables") / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{name}")


def _hierarchies() -> list[Path]:
    """Where control groups are made: of version 1 a folder for each controller, of version 2 one for all."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(where) for _, where, kind, *_ in lines if kind in ("cgroup", "cgroup2")]


def _emptied() -> bool:
    """End what the node left running, in its pods, and remove its control groups, or those of a run that crashed; whether they are gone."""
    left = [Path(folder) for hierarchy in _hierarchies() for folder, _, _ in os.walk(hierarchy / CGROUP, topdown=False)]
    for folder in left:
        with contextlib.suppress(OSError):
            # One of another process namespace is shown as 0, which kill would take for this process's own group.
            for pid in {int(line) for line in (folder / "cgroup.procs").read_text().split()} - {0}:
                os.kill(pid, signal.SIGKILL)
            folder.rmdir()
    return not any(folder.exists() for folder in left)


def _served(socket: str) -> bool:
    return subprocess.run(["ctr", "--address", socket, "version"], capture_output=True, check=False, timeout=20).returncode == 0


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise NotSecluded(f"{' '.join(command)} (exit code {done.returncode}): {done.stderr.strip()}")
    return done.stdout
