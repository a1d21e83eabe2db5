"""Where a run happens: the cluster, the operator's replicas behind their proxies, and the story so far."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from urllib3.exceptions import HTTPError

from tests.chaos.proxy import Proxy
from tests.e2e.conftest import cluster_binding
from tests.testbed.api import ApiError
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.embedded import Embedded
from tests.testbed.install import NAMESPACE, install
from tests.testbed.operator_process import NAME, Operator
from tests.testbed.people import service_account_token
from tests.testbed.pki import Login, with_login, write_private

T = TypeVar("T")
WARM = 60.0  # seconds after the start of an API server in which it may refuse what it does not know yet (docs/gate.md)
EXISTS = "AlreadyExists"


class Broken(AssertionError):
    """Something happened that never may."""


@dataclass
class Replica:
    """One process of the operator, and the proxy by which it reaches the API server. wanted: whether a kubelet would start it again."""

    operator: Operator
    proxy: Proxy
    wanted: bool = True

    @property
    def leads(self) -> bool:
        """Whether it writes, by its own word; False while it does not answer."""
        try:
            return "aiqms_leader 1.0" in self.operator.metrics()
        except OSError:
            return False

    def keep(self) -> None:
        """Start it again if it ended, as a kubelet does."""
        if self.wanted and not self.operator.running:
            self.operator.revive()


def replica(cluster: Cluster, number: int) -> Replica:
    """A replica that is not started yet, and its proxy, which listens."""
    folder = cluster.provider.folder
    login = Login.by_token(service_account_token(cluster.api("admin"), NAMESPACE, NAME))
    direct = write_private(folder / f"direct-{number}.kubeconfig", with_login(cluster.kubeconfig.read_text(), NAME, login))
    proxy = Proxy(direct, f"{NAME}-{number}")
    proxy.start()
    by_proxy = write_private(folder / f"proxied-{number}.kubeconfig", proxy.kubeconfig(direct))
    return Replica(Operator(cluster=cluster, number=number, env={"KUBECONFIG": str(by_proxy)}), proxy)


@dataclass
class Stage:
    """A cluster with AIQMS for many runs, one after the other."""

    cluster: Cluster
    replicas: list[Replica]
    warm_at: float = 0.0  # on the monotonic clock: from then on the API server knows everything

    @property
    def warming(self) -> bool:
        """Whether the API server started a short while ago."""
        return time.monotonic() < self.warm_at

    def keep(self) -> None:
        """Start again what ended, as kubelets do: an operator whose Lease is over while the API server is away ends by itself."""
        for each in self.replicas:
            each.keep()

    def api_server_started(self) -> None:
        """It will refuse some things for a while, for want of knowledge."""
        self.warm_at = time.monotonic() + WARM


@contextmanager
def staged(replicas: int = 1) -> Iterator[Stage]:
    """A cluster of its own whose etcd waits for the disk, since it is killed; with AIQMS, and this many replicas of the operator."""
    with temporary() as cluster:
        if not isinstance(cluster.provider, Embedded):
            raise RuntimeError("programs of the control plane are killed here: set AIQMS_CLUSTER=embedded")
        cluster.provider.durable = True
        cluster.up()
        install(cluster)
        cluster.api().apply(cluster_binding("aiqms-auditors", "aiqms-auditor", "auditors"), manager="testbed")
        stage = Stage(cluster, [replica(cluster, n) for n in range(replicas)])
        try:
            for each in stage.replicas:
                each.operator.start()
            yield stage
        finally:
            for each in stage.replicas:
                each.operator.kill()
                each.proxy.stop()


@dataclass
class Story:
    """What happened, line by line, with the seconds since the beginning: it is printed when a seed fails."""

    seed: int
    began: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """One thing more."""
        self.lines.append(f"{time.monotonic() - self.began:7.2f}  {line}")

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}", *self.lines, f"to see it again: python -m tests.chaos {self.seed}"])


def now() -> datetime.datetime:
    """The clock of this machine, which is the API server's."""
    return datetime.datetime.now(datetime.UTC)


def insist(stage: Stage, act: Callable[[], T], *, within: float = 90) -> T:
    """What a person does who tries again while the control plane is not there. Raises ApiError for a refusal that would not pass."""
    until = time.monotonic() + within
    while True:
        try:
            return act()
        except HTTPError:
            if time.monotonic() > until:
                raise
        except ApiError as error:
            if error.reason == EXISTS or time.monotonic() > until or not passing(stage, error):
                raise
        time.sleep(0.1)


def passing(stage: Stage, error: ApiError) -> bool:
    """Whether the refusal is one of a server that is busy, or knows too little yet."""
    return error.code in (409, 429, 500, 502, 503, 504) or (stage.warming and error.code in (403, 404))
