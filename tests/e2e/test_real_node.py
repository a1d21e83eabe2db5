"""access.network where pods really run and kube-router enforces NetworkPolicies: `make test-node`, which needs root and Debian's packages (docs/access.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.given import NAME, Place, placed, unique
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster, CommandFailed
from tests.testbed.image import IMAGE, REPOSITORY, TAG
from tests.testbed.install import NAMESPACE, install
from tests.testbed.real_node import RealNode, real_cluster
from tests.testbed.waiting import eventually

pytestmark = pytest.mark.node

PORT = 8000
HELLO = ["aiqms-probe", "hello"]
ENFORCED = "access/network-enforced"
VALUES: Json = {"image": {"repository": REPOSITORY, "tag": TAG}, "networkProbe": {"enabled": True}}
SERVER: Json = {"image": IMAGE, "command": ["python", "-m", "aiqms.probe"], "env": [{"name": "AIQMS_PROBE_PORT", "value": str(PORT)}]}
SECONDS = 120  # a pod of a real node that has never started one
ASK = "import asyncio, sys; from aiqms.probe import said; print(*asyncio.run(said(sys.argv[1], int(sys.argv[2]), 'ask ' + sys.argv[3], 2)))"


@dataclass(frozen=True)
class Clients:
    """Two pods of one namespace; the register names the first."""

    namespace: str
    named: Json
    unnamed: Json


@pytest.fixture(scope="module")
def node() -> Iterator[RealNode]:
    """A cluster with a real node."""
    with real_cluster() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(node: RealNode) -> Cluster:
    """In place of the one without."""
    return node.cluster


@pytest.fixture(scope="module")
def installed(node: RealNode) -> None:
    """The chart as a user installs it, its probe first: the operator asks when it starts, and then every three minutes."""
    install(node.cluster, VALUES | {"replicas": 0})
    admin = node.cluster.api()
    service = "aiqms-probe-open"
    node.resolve(f"{service}.{NAMESPACE}.svc", admin.get("services", service, NAMESPACE)["spec"]["clusterIP"])
    shut, opened = (await_ready(admin, NAMESPACE, f"app.kubernetes.io/component=probe-{name}") for name in ("shut", "open"))
    # The node itself reaches its pods whatever policies say, as kubelets have to.
    heard = eventually(lambda: asked(node.cluster, opened, "127.0.0.1", 8090)[2:], within=SECONDS, what="the shut server reports", ignoring=(CommandFailed,))
    assert heard == [f"{shut['status']['podIP']}:8090"]
    install(node.cluster, VALUES | {"replicas": 1})
    await_ready(admin, NAMESPACE, "app.kubernetes.io/component=operator")


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


@pytest.fixture
def clients(cluster: Cluster, installed: None) -> Iterator[Clients]:
    """A namespace with two pods, both servers too, of which the register names the one that is called portal."""
    admin, name = cluster.api(), unique("loan-portal")
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    eventually(lambda: admin.find("serviceaccounts", "default", name), within=SECONDS, what=f"namespace {name} has its default service account")
    for app in ("portal", "stranger"):
        spec = {"containers": [{"name": "serve"} | SERVER], "terminationGracePeriodSeconds": 0}
        admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": app, "namespace": name, "labels": {"app": app}}, "spec": spec})
    yield Clients(name, *(await_ready(admin, name, f"app={app}") for app in ("portal", "stranger")))
    admin.delete("namespaces", name)


def await_ready(admin: Api, namespace: str, labels: str) -> Json:
    """Wait until there is just one such pod, and it is ready; the pod."""

    def ready() -> Json | None:
        pods = admin.list("pods", namespace, labels=labels)
        conditions = {(c["type"], c["status"]) for pod in pods for c in pod["status"].get("conditions", [])}
        assert (len(pods), ("Ready", "True") in conditions) == (1, True), json.dumps([pod["status"] for pod in pods])
        found: Json = pods[0]
        return found

    found = eventually(ready, within=SECONDS, what=f"one pod {labels} is ready in {namespace}", every=0.2)
    assert found is not None
    return found


def asked(cluster: Cluster, pod: Json, address: str, port: int = PORT) -> list[str]:
    """What a server answers to a pod. Raises CommandFailed where it does not."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    return cluster.kubectl("exec", "-n", namespace, name, "--", "python", "-c", ASK, address, str(port), "hello").split()


def unanswered(cluster: Cluster, pod: Json, address: str) -> bool:
    """Whether the pod's program gets no connection; anything else that fails is raised."""
    try:
        asked(cluster, pod, address)
    except CommandFailed as error:
        if "ConnectionRefusedError" in error.output or "TimeoutError" in error.output:
            return True
        raise
    return False


def served(place: Place, clients: Clients) -> Json:
    """A governed deployment runs, with a register that names one client, and nothing that it may reach; its pod."""
    place.govern(access={"network": "Clients"})
    place.register(access={"clients": [{"namespace": clients.namespace, "podSelector": {"matchLabels": {"app": "portal"}}}], "ports": [PORT]})
    place.deploy(**SERVER, args=[], resources={})
    place.await_pods(held=1)
    place.decide("alice")
    place.await_pods(running=1, seconds=SECONDS)
    return await_ready(place.admin, place.namespace, f"aiqms.dev/deployment={NAME}")


def address(pod: Json) -> str:
    """Where other pods find it."""
    return str(pod["status"]["podIP"])


def test_a_named_client_reaches_the_model_and_nobody_else_does(place: Place, clients: Clients) -> None:
    model = served(place, clients)
    assert asked(place.cluster, clients.named, address(model)) == HELLO
    assert unanswered(place.cluster, clients.unnamed, address(model))
    assert place.control("access/network") == ("Pass", "NetworkPolicyInForce")
    assert place.control(ENFORCED) == ("Pass", "EnforcementVerified")


def test_the_model_does_not_reach_what_the_register_does_not_name(place: Place, clients: Clients) -> None:
    model = served(place, clients)
    assert asked(place.cluster, clients.unnamed, address(clients.named)) == HELLO
    assert unanswered(place.cluster, model, address(clients.named))


def test_where_the_network_enforces_nothing_the_control_says_so(place: Place, clients: Clients, node: RealNode) -> None:
    model = served(place, clients)
    node.enforce_nothing()
    try:
        assert asked(place.cluster, clients.unnamed, address(model)) == HELLO
        new_operator(place.admin)
        place.awaited(lambda: place.control(ENFORCED) == ("Fail", "EnforcementMissing"), "the probe finds it out", SECONDS)
        place.await_phase("Held", "EnforcementMissing")
    finally:
        node.kube_router.start()
        node.kube_router.wait()
    eventually(lambda: unanswered(place.cluster, clients.unnamed, address(model)), within=SECONDS, what="it is enforced again")
    new_operator(place.admin)
    place.awaited(lambda: place.control(ENFORCED) == ("Pass", "EnforcementVerified"), "the probe finds that out too", SECONDS)


def new_operator(admin: Api) -> None:
    """A new pod, which probes at once."""
    labels = "app.kubernetes.io/component=operator"
    admin.delete("pods", await_ready(admin, NAMESPACE, labels)["metadata"]["name"], NAMESPACE)
    await_ready(admin, NAMESPACE, labels)
