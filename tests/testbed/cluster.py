"""A cluster for tests, demo, benchmarks and people: the control plane, its nodes, its people, and ways to look at it."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.testbed.api import Api, Json
from tests.testbed.build import say
from tests.testbed.nodes import add_gpu_nodes, wait_schedulable
from tests.testbed.people import admit_people
from tests.testbed.pki import add_logins, write_private
from tests.testbed.processes import Component, birth
from tests.testbed.providers import Provider, choose
from tests.testbed.waiting import eventually

SERVED = "default serviceaccount of namespace default"


class CommandFailed(RuntimeError):
    """kubectl or helm refused; `output` is what it said."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"{' '.join(map(str, command))} (exit code {code}):\n{output}")
        self.code, self.output = code, output


class Cluster:
    """One cluster of any provider. `admin` is who made it; other people are named by their kubeconfig context."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._apis: dict[tuple[str | None, str | None, tuple[str, ...]], Api] = {}

    @classmethod
    def at(cls, folder: Path) -> Cluster:
        """The cluster of this state folder, by the provider that AIQMS_CLUSTER names."""
        return cls(choose(folder))

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig with a context for each person."""
        return self.provider.kubeconfig

    def up(self) -> None:
        """Bring it up, with nodes and people; what runs already is used as it is."""
        with _alone(self.provider.folder):
            if not self.provider.is_up():
                self._start()

    def _start(self) -> None:
        if self.provider.owned:
            say(f"starting a cluster ({self.provider.name}) in {self.provider.folder}")
        self.provider.up()
        self._apis.clear()
        if self.provider.owned:
            self._furnish()

    def _furnish(self) -> None:
        admin = self.api()
        add_gpu_nodes(admin)
        write_private(self.kubeconfig, add_logins(self.kubeconfig.read_text(), admit_people(admin)))
        wait_schedulable(admin)
        eventually(lambda: admin.find("serviceaccounts", "default", "default"), within=60, what=f"the cluster makes the {SERVED}")

    def down(self) -> None:
        """Stop it and remove its state."""
        self.provider.down()
        self._apis.clear()

    def api(self, person: str | None = None, *, impersonate: str | None = None, groups: Sequence[str] = ()) -> Api:
        """The API server as this person (default: the current context's) or, acting for another user, with these groups."""
        key = (person, impersonate, tuple(groups))
        if key not in self._apis:
            self._apis[key] = Api(self.kubeconfig, person, impersonate=impersonate, groups=groups)
        return self._apis[key]

    def kubectl(self, *args: str, as_: str | None = None, stdin: str | None = None) -> str:
        """kubectl as this person; what it printed. Raises CommandFailed with what it said."""
        return self._run([self.provider.program("kubectl"), *(("--context", as_) if as_ else ()), *args], stdin)

    def helm(self, *args: str) -> str:
        """helm as admin; what it printed. Raises CommandFailed with what it said."""
        return self._run([self.provider.program("helm"), *args], None)

    def environment(self) -> dict[str, str]:
        """What a program needs to use this cluster."""
        return dict(os.environ) | {"KUBECONFIG": str(self.kubeconfig), "HELM_CACHE_HOME": str(self.provider.folder / "helm")}

    def _run(self, command: list[str], stdin: str | None) -> str:
        done = subprocess.run(command, env=self.environment(), input=stdin, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise CommandFailed(command, done.returncode, (done.stderr + done.stdout).strip())
        return done.stdout

    def component(self, name: str) -> Component:
        """A program of the control plane, to stop, kill and restart. Raises KeyError with the names that there are."""
        components = self.provider.components
        if name not in components:
            raise KeyError(f"no component {name} in a cluster of provider {self.provider.name}; there are: {', '.join(components) or 'none'}")
        return components[name]

    def audit(self, *, user: str | None = None, since: datetime.datetime | None = None) -> Iterator[Json]:
        """The API server's audit events in the order in which they ended, of one user, and of requests received since then."""
        for path in self.provider.audit_logs():
            with path.open() as lines:
                # The last line may be half written.
                events = (json.loads(line) for line in lines if line.endswith("\n"))
                yield from (event for event in events if _matches(event, user, since))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time for this folder: others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _matches(event: Json, user: str | None, since: datetime.datetime | None) -> bool:
    received = datetime.datetime.fromisoformat(event["requestReceivedTimestamp"])
    return (user is None or event["user"]["username"] == user) and (since is None or received >= since)


@contextlib.contextmanager
def temporary() -> Iterator[Cluster]:
    """A cluster of its own that is gone afterwards; those of former runs that crashed are cleaned up first."""
    root = Path(tempfile.gettempdir()) / f"aiqms-testbed-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    with _alone(root / "abandoned"):
        _clean_up_abandoned(root)
    folder = next(path for number in itertools.count() if not (path := root / f"{os.getpid()}-{number}").exists())
    folder.mkdir(mode=0o700)
    (folder / "owner").write_text(str(birth(os.getpid())))
    cluster = Cluster.at(folder / "cluster")
    try:
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(folder)


def _clean_up_abandoned(root: Path) -> None:
    for folder in root.iterdir():
        owner = folder / "owner"
        if owner.exists() and birth(int(folder.name.partition("-")[0])) != owner.read_text():
            Cluster.at(folder / "cluster").down()
            shutil.rmtree(folder)
