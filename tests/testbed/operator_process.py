"""The operator as a process of this machine, with the arguments, environment and ServiceAccount of the installed Deployment: never as an administrator."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.embedded import HOST, answers, free_ports
from tests.testbed.people import service_account_token
from tests.testbed.pki import Login, with_login, write_private
from tests.testbed.processes import Component, ComponentFailed
from tests.testbed.providers import NotOffered

NAMESPACE = "aiqms-system"
NAME = "aiqms-operator"
PORT = "AIQMS_HTTP_PORT"


@dataclass(kw_only=True)
class Operator:
    """One replica, to start, stop, kill and restart. Several may run at once, by number."""

    cluster: Cluster
    number: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    _component: Component | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """What its pod would be called."""
        return f"{NAME}-{self.number}"

    @property
    def user(self) -> str:
        """Who it is to the API server, as audit events name it."""
        return f"system:serviceaccount:{NAMESPACE}:{NAME}"

    @property
    def url(self) -> str:
        """Where /healthz, /readyz and /metrics are. Raises FileNotFoundError before the first start."""
        return f"http://{HOST}:{self._port_file.read_text()}"

    @property
    def running(self) -> bool:
        """Whether its process exists."""
        return self._process().pid is not None

    @property
    def ready(self) -> bool:
        """Whether it says that its caches are complete."""
        return answers(f"{self.url}/readyz")

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._process().log.read_text()

    def metrics(self, *names: str) -> str:
        """What Prometheus would scrape: all, or these."""
        with urllib.request.urlopen(f"{self.url}/metrics?{urlencode([('name[]', n) for n in names])}", timeout=10) as answer:
            return str(answer.read().decode())

    def start(self, within: float = 60) -> None:
        """Start it as the Deployment says now, and wait until it is ready. Raises ComponentFailed with the end of its log."""
        if not self.cluster.provider.owned:
            raise NotOffered("the operator of the current cluster is not the test bed's to start: set AIQMS_CLUSTER=embedded")
        if not self._port_file.exists():
            self._port_file.write_text(str(free_ports(1)[0]))
        self._component = self._of_deployment()
        self._component.start()
        self._component.wait(within)

    def stop(self) -> None:
        """End it as a rollout would (SIGTERM), if it runs. Raises ComponentFailed if it does not end well."""
        process = self._process()
        if process.pid is None:
            return
        if (code := process.stop()) not in (0, None):
            raise ComponentFailed(f"{self.name} ended with exit code {code} after SIGTERM. The end of {process.log}:\n{process.tail()}")

    def kill(self) -> None:
        """End it without a word (SIGKILL)."""
        self._process().kill()

    def revive(self) -> None:
        """Start it as it was started last, if it does not run: nothing is asked of the API server, nothing waited for. A kubelet would do so."""
        self._process().start()

    def pause(self) -> None:
        """Let it do nothing until `wake` (SIGSTOP)."""
        self._process().pause()

    def wake(self) -> None:
        """Let a paused one go on (SIGCONT)."""
        self._process().wake()

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    @property
    def kubeconfig(self) -> Path:
        """What it authenticates with: a token of its ServiceAccount."""
        return self._folder / f"{self.name}.kubeconfig"

    @property
    def _folder(self) -> Path:
        return self.cluster.provider.folder / "run"

    @property
    def _port_file(self) -> Path:
        return self._folder / f"{self.name}.port"

    def _process(self) -> Component:
        # The pid file is enough to find and end what another Python started.
        return self._component or Component(name=self.name, argv=(), folder=self._folder, ready=lambda: True)

    def _of_deployment(self) -> Component:
        admin = self.cluster.api()
        pod = admin.get("deployments.apps", NAME, NAMESPACE)["spec"]["template"]
        container = pod["spec"]["containers"][0]
        login = Login.by_token(service_account_token(admin, NAMESPACE, pod["spec"]["serviceAccountName"]))
        write_private(self.kubeconfig, with_login(self.cluster.kubeconfig.read_text(), NAME, login))
        env = environment(container, self.name) | {PORT: self._port_file.read_text(), "KUBECONFIG": str(self.kubeconfig)} | dict(self.env)
        ready = partial(answers, f"{self.url}/readyz")
        return Component(name=self.name, argv=command(container), folder=self._folder, ready=ready, env=env)


def command(container: Json) -> tuple[str, ...]:
    """The container's command line, its program being the one of this Python's environment."""
    line: list[str] = [*container.get("command", [NAME]), *container.get("args", [])]
    return (str(Path(sys.executable).parent / line[0]), *line[1:])


def environment(container: Json, pod: str) -> dict[str, str]:
    """The container's environment. Raises ComponentFailed for what a process cannot be given, or where the port is not set."""
    found = {entry["name"]: _value(entry, pod) for entry in container.get("env", [])}
    if "envFrom" in container or PORT not in found:
        raise ComponentFailed(
            f"the Deployment {NAME} must set {PORT} and use no envFrom, for the test bed runs it as a process; its container has: {container}"
        )
    return found


def _value(entry: Json, pod: str) -> str:
    if "value" in entry or "valueFrom" not in entry:
        return str(entry.get("value", ""))
    fields = {"metadata.name": pod, "metadata.namespace": NAMESPACE, "spec.serviceAccountName": NAME, "status.podIP": HOST}
    path = entry["valueFrom"].get("fieldRef", {}).get("fieldPath")
    if path not in fields:
        raise ComponentFailed(f"the test bed cannot give the operator {entry['name']} from {entry['valueFrom']}: it knows the fields {', '.join(fields)}")
    return fields[path]
