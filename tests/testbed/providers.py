"""Where a cluster comes from: embedded programs, kind, or the one that the user's kubeconfig names."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.testbed.build import program
from tests.testbed.embedded import Embedded, audit_policy, free_ports, kwok_component
from tests.testbed.processes import Component, kill_all

# Of the release notes of kind v0.33.0, which is therefore the release to use.
KIND_IMAGE = "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"


class NotOffered(RuntimeError):
    """This provider cannot do that; the message says which one can."""


class Provider(Protocol):
    """What a cluster needs from its provider. `owned`: nodes, people and AIQMS may be put there and taken away."""

    name: str
    owned: bool
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig whose current context is the administrator's."""

    @property
    def components(self) -> Mapping[str, Component]:
        """The programs that can be stopped by name."""

    def is_up(self) -> bool:
        """Whether it runs and answers."""

    def up(self) -> None:
        """Start it from nothing."""

    def down(self) -> None:
        """Stop it and remove its state."""

    def program(self, name: str) -> str:
        """The path of kubectl or helm."""

    def audit_logs(self) -> list[Path]:
        """The audit log's files, oldest first."""


def choose(folder: Path) -> Provider:
    """The provider that AIQMS_CLUSTER names; else kind where a Docker engine answers and kind is installed; else embedded."""
    match os.environ.get("AIQMS_CLUSTER", ""):
        case "embedded":
            return Embedded(folder)
        case "kind":
            return Kind(folder)
        case "current":
            return Current(folder)
        case "":
            return Kind(folder) if _kind_works() else Embedded(folder)
        case other:
            raise NotOffered(f"AIQMS_CLUSTER={other} is unknown: set it to embedded, kind or current, or unset it")


def _kind_works() -> bool:
    return bool(shutil.which("kind")) and _succeeds("docker", "info")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _answers(kubectl: str, kubeconfig: Path) -> bool:
    return _succeeds(kubectl, "--kubeconfig", str(kubeconfig), "get", "--raw", "/readyz")


def _on_path_or_built(name: str) -> str:
    # The user's own kubectl fits the user's own cluster, and nothing has to be built. Helm is always the pinned one: charts differ between 3 and 4.
    found = shutil.which(name) if name == "kubectl" else None
    return found or str(program(name))


class Kind:
    """A kind cluster in Docker. Written after kind's documentation; it needs a Docker engine to be tried."""

    name = "kind"
    owned = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        # kind's names are the machine's, not the folder's.
        self._cluster = f"aiqms-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def kubeconfig(self) -> Path:
        """The people's kubeconfig; context `admin` is current."""
        return self.folder / "kubeconfig"

    @property
    def components(self) -> Mapping[str, Component]:
        """KWOK, which plays the GPU nodes; the control plane is kind's own."""
        return {"kwok": kwok_component(self.folder / "run", self.kubeconfig, self._kwok_port())} if self.kubeconfig.exists() else {}

    def is_up(self) -> bool:
        """Whether its API server answers and KWOK runs."""
        return self.kubeconfig.exists() and self.components["kwok"].pid is not None and _answers(self.program("kubectl"), self.kubeconfig)

    def up(self) -> None:
        """Create the kind cluster, then start KWOK."""
        self.down()
        (self.folder / "run").mkdir(parents=True, mode=0o700)
        (self.folder / "run" / "kwok.port").write_text(str(free_ports(1)[0]))
        (self.folder / "audit-policy.yaml").write_text(audit_policy())
        config = self.folder / "kind.yaml"
        config.write_text(yaml.safe_dump(self._config()))
        self._kind("create", "cluster", "--image", KIND_IMAGE, "--kubeconfig", str(self.kubeconfig), "--config", str(config), "--wait", "3m")
        rename = [self.program("kubectl"), "--kubeconfig", str(self.kubeconfig), "config", "rename-context", f"kind-{self._cluster}", "admin"]
        subprocess.run(rename, check=True, stdout=subprocess.DEVNULL)
        kwok = self.components["kwok"]
        kwok.start()
        kwok.wait()

    def down(self) -> None:
        """Delete the kind cluster, and the folder."""
        if not self.folder.exists():
            return
        kill_all(self.folder / "run")
        self._kind("delete", "cluster")
        shutil.rmtree(self.folder)

    def program(self, name: str) -> str:
        """kubectl of the PATH, or built; helm built."""
        return _on_path_or_built(name)

    def audit_logs(self) -> list[Path]:
        """The API server's audit log, which kind's node shares with this folder."""
        run = self.folder / "run"
        return [*sorted(run.glob("audit-*.log")), run / "audit.log"]

    def _kwok_port(self) -> int:
        return int((self.folder / "run" / "kwok.port").read_text())

    def _kind(self, *args: str) -> None:
        subprocess.run(["kind", *args, "--name", self._cluster], check=True)

    def _config(self) -> dict[str, Any]:
        mounts = {"audit-policy.yaml": self.folder / "audit-policy.yaml", "audit": self.folder / "run"}
        arguments = {"audit-policy-file": "/aiqms/audit-policy.yaml", "audit-log-path": "/aiqms/audit/audit.log"}
        patch = {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "apiServer": {
                "extraArgs": [{"name": name, "value": value} for name, value in arguments.items()],
                "extraVolumes": [{"name": "aiqms", "hostPath": "/aiqms", "mountPath": "/aiqms", "pathType": "DirectoryOrCreate"}],
            },
        }
        node = {
            "role": "control-plane",
            "extraMounts": [{"hostPath": str(path), "containerPath": f"/aiqms/{name}"} for name, path in mounts.items()],
            "kubeadmConfigPatches": [yaml.safe_dump(patch)],
        }
        return {"apiVersion": "kind.x-k8s.io/v1alpha4", "kind": "Cluster", "nodes": [node]}


class Current:
    """The cluster of the user's own kubeconfig. Nothing is installed, started or removed: only the examples are applied there."""

    name = "current"
    owned = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def kubeconfig(self) -> Path:
        """KUBECONFIG (its first file), or the user's default one."""
        return Path(os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or Path.home() / ".kube" / "config")

    @property
    def components(self) -> Mapping[str, Component]:
        """None: its programs are not ours to stop."""
        return {}

    def is_up(self) -> bool:
        """Whether it answers."""
        return _answers(self.program("kubectl"), self.kubeconfig)

    def up(self) -> None:
        """Raises NotOffered: this provider starts nothing, and is asked only where the cluster does not answer."""
        raise NotOffered(
            f"the cluster of the current context in {self.kubeconfig} does not answer: "
            "choose another by `kubectl config use-context`, or set AIQMS_CLUSTER=embedded"
        )

    def down(self) -> None:
        """Nothing was started, so nothing is stopped."""

    def program(self, name: str) -> str:
        """kubectl of the PATH, or built; helm built."""
        return _on_path_or_built(name)

    def audit_logs(self) -> list[Path]:
        """Raises NotOffered: where another cluster keeps its audit log is not known here."""
        raise NotOffered("the audit log of the current cluster cannot be read from here: set AIQMS_CLUSTER=embedded")
