"""A Kubernetes control plane of released programs on this machine: no root, no containers, everything in one folder."""

from __future__ import annotations

import json
import random
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import yaml

from tests.testbed.build import program, stages
from tests.testbed.pki import Authority, Login, kubeconfig, token_keys, write_private
from tests.testbed.processes import Component, kill_all

HOST = "127.0.0.1"
OPERATOR = "system:serviceaccount:aiqms-system:aiqms-operator"
# Below the range from which systems take ports for outgoing connections: a component that restarts finds its port free.
PORTS = range(20000, 32000)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The port of each program."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on now."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def answers(url: str, authority: Path | None = None) -> bool:
    """Whether a GET of this address on this machine is answered with 200. Without an authority the certificate is not checked (the programs make their own)."""
    context = ssl.create_default_context(cafile=authority) if authority else ssl._create_unverified_context()
    # No proxy: the address is this machine's own, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def audit_policy(*, contents: bool = True) -> str:
    """All requests with their metadata. contents: what the operator writes, too, as a whole; what it reads would fill the log with lists."""
    writes = {"level": "RequestResponse", "users": [OPERATOR], "verbs": ["create", "update", "patch", "delete", "deletecollection"]}
    rules = [writes, {"level": "Metadata"}] if contents else [{"level": "Metadata"}]
    return yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}, sort_keys=False)


class Embedded:
    """The control plane in one folder. Several may run at once; the same folder holds one."""

    name = "embedded"
    owned = True

    def __init__(self, folder: Path, *, durable: bool = False, address: str = HOST) -> None:
        """`durable`: etcd waits for the disk at each write, as crash tests of etcd itself need. `address`: where pods of a real node find the API server."""
        self.folder = folder.absolute()
        self.durable = durable
        self.address = address
        self.contents = True
        """Whether the audit log has what the operator writes as a whole, from the first start on: a benchmark would pay for it."""

    @property
    def kubeconfig(self) -> Path:
        """The people's kubeconfig; context `admin` is current."""
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        """The folder of logs and pid files."""
        return self.folder / "run"

    def program(self, name: str) -> str:
        """The path of kubectl or helm, built first where the cache lacks it."""
        return str(program(name))

    @property
    def ports(self) -> Ports:
        """The ports of this run. Raises FileNotFoundError before the first start."""
        return Ports(**json.loads((self.folder / "ports.json").read_text()))

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{HOST}:{self.ports.apiserver}"

    @property
    def components(self) -> Mapping[str, Component]:
        """The programs by name, in the order in which they start; empty before the first start."""
        if not (self.folder / "ports.json").exists():
            return {}
        found = (self._etcd(), self._apiserver(), self._controller_manager(), self._scheduler(), self._kwok())
        return {component.name: component for component in found}

    def is_up(self) -> bool:
        """Whether every program runs and the API server is ready."""
        components = self.components
        return bool(components) and all(component.pid and component.ready() for component in components.values())

    def up(self) -> None:
        """Start from nothing: what a former run left in the folder is stopped and removed. Raises ComponentFailed."""
        self.down()
        self._prepare()
        components = self.components
        # The API server waits for etcd by itself, and the controllers for the API server; KWOK does not.
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
            components[name].start()
        components["kube-apiserver"].wait()
        components["kwok"].start()
        for component in components.values():
            component.wait()

    def down(self) -> None:
        """Stop what runs from this folder, and remove the folder."""
        kill_all(self.logs)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def audit_logs(self) -> list[Path]:
        """The API server's audit log, oldest file first."""
        return [*sorted(self.logs.glob("audit-*.log")), self.logs / "audit.log"]

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, mode=0o700)
        self.logs.mkdir()
        etcd, peer, apiserver, controllers, scheduler, kwok = free_ports(6)
        ports = Ports(etcd=etcd, etcd_peer=peer, apiserver=apiserver, controller_manager=controllers, scheduler=scheduler, kwok=kwok)
        self._write_certificates(Authority(), f"https://{HOST}:{apiserver}")
        (self.folder / "audit-policy.yaml").write_text(audit_policy(contents=self.contents))
        # Last: it is by this file that a folder counts as one that holds a cluster.
        (self.folder / "ports.json").write_text(json.dumps(asdict(ports)))

    def _write_certificates(self, authority: Authority, server: str) -> None:
        pki = self.folder / "pki"
        pki.mkdir()
        authority.pair.write(pki, "ca")
        authority.server().write(pki, "apiserver")
        token_keys().write(pki, "tokens")
        # KWOK stands for the kubelets of all its nodes, hence no single node's name.
        users = {"admin": ("admin", ["system:masters"]), "kwok": ("kwok", ["system:masters"])}
        users |= {name: (f"system:{name}", []) for name in ("kube-controller-manager", "kube-scheduler")}
        for name, (user, groups) in users.items():
            login = Login.by_certificate(authority.client(user, groups))
            path = self.kubeconfig if name == "admin" else pki / f"{name}.kubeconfig"
            write_private(path, kubeconfig(server, authority.pair.public, {name: login}))

    def _etcd(self) -> Component:
        client, peer = f"http://{HOST}:{self.ports.etcd}", f"http://{HOST}:{self.ports.etcd_peer}"
        flags: dict[str, object] = {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": str(not self.durable).lower(),
            "log-level": "warn",
        }
        return Component(name="etcd", argv=_command("server", flags), folder=self.logs, ready=partial(answers, f"{client}/readyz"))

    def _apiserver(self) -> Component:
        pki = self.folder / "pki"
        flags: dict[str, object] = {
            "etcd-servers": f"http://{HOST}:{self.ports.etcd}",
            "bind-address": HOST if self.address == HOST else "0.0.0.0",
            "advertise-address": self.address,
            "secure-port": self.ports.apiserver,
            "tls-cert-file": pki / "apiserver.crt",
            "tls-private-key-file": pki / "apiserver.key",
            "client-ca-file": pki / "ca.crt",
            "service-cluster-ip-range": "10.0.0.0/24",
            "authorization-mode": "Node,RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": pki / "tokens.crt",
            "service-account-signing-key-file": pki / "tokens.key",
            # An address of the machine itself may be no Service's endpoint.
            "endpoint-reconciler-type": "none" if self.address == HOST else "lease",
            # Nobody resolves the names of nodes.
            "kubelet-preferred-address-types": "InternalIP",
            # Without it every attack with a privileged pod would fail for a reason that is not ours.
            "allow-privileged": "true",
            "audit-policy-file": self.folder / "audit-policy.yaml",
            "audit-log-path": self.logs / "audit.log",
            "audit-log-maxsize": 50,
            "audit-log-maxbackup": 2,
            "profiling": "false",
        }
        return Component(
            name="kube-apiserver", argv=_command("kube-apiserver", flags), folder=self.logs, ready=lambda: answers(f"{self.server}/readyz", pki / "ca.crt")
        )

    def _controller_manager(self) -> Component:
        pki = self.folder / "pki"
        flags: dict[str, object] = {
            "kubeconfig": pki / "kube-controller-manager.kubeconfig",
            "bind-address": HOST,
            "secure-port": self.ports.controller_manager,
            "service-account-private-key-file": pki / "tokens.key",
            "root-ca-file": pki / "ca.crt",
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            # People's certificates come from the CertificateSigningRequest API, as in any cluster.
            "cluster-signing-cert-file": pki / "ca.crt",
            "cluster-signing-key-file": pki / "ca.key",
            "profiling": "false",
        }
        ready = partial(answers, f"https://{HOST}:{self.ports.controller_manager}/healthz")
        return Component(name="kube-controller-manager", argv=_command("kube-controller-manager", flags), folder=self.logs, ready=ready)

    def _scheduler(self) -> Component:
        flags: dict[str, object] = {
            "kubeconfig": self.folder / "pki" / "kube-scheduler.kubeconfig",
            "bind-address": HOST,
            "secure-port": self.ports.scheduler,
            "leader-elect": "false",
            "profiling": "false",
        }
        ready = partial(answers, f"https://{HOST}:{self.ports.scheduler}/readyz")
        return Component(name="kube-scheduler", argv=_command("kube-scheduler", flags), folder=self.logs, ready=ready)

    def _kwok(self) -> Component:
        return kwok_component(self.logs, self.folder / "pki" / "kwok.kubeconfig", self.ports.kwok)


def kwok_component(folder: Path, kubeconfig: Path, port: int) -> Component:
    """KWOK as the kubelets of all nodes that ask for it by annotation."""
    flags: dict[str, object] = {
        "kubeconfig": kubeconfig,
        "manage-all-nodes": "false",
        "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
        # Its name is a new one at each start: after a kill it waits so long for the lease of the one before to run out.
        "node-lease-duration-seconds": 10,
        "server-address": f"{HOST}:{port}",
    }
    argv = (*_command("kwok", flags), *(f"--config={stage}" for stage in stages()))
    return Component(name="kwok", argv=argv, folder=folder, ready=partial(answers, f"http://{HOST}:{port}/healthz"))


def _command(name: str, flags: Mapping[str, object]) -> tuple[str, ...]:
    return (str(program(name)), *(f"--{flag}={value}" for flag, value in flags.items()))
