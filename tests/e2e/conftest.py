"""One real cluster for all tests of this folder, with AIQMS installed where a test asks for it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.install import install
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

HERE = Path(__file__).parent
RBAC = "rbac.authorization.k8s.io"
# Who is what in a governed namespace: a group of people, and the ClusterRole that it is bound to there.
ROLES = {"model-owners": "aiqms-role-model-owner", "risk-managers": "aiqms-role-risk-manager", "lending-platform": "admin"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is in this folder needs a cluster."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of its own for the session, with GPU nodes and people."""
    with temporary() as made:
        if not made.provider.owned:
            pytest.skip("these tests need a cluster of their own: AIQMS_CLUSTER=embedded or kind")
        made.up()
        yield made


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Iterator[Operator]:
    """The chart is installed, and the operator runs: this is its first replica."""
    install(cluster)
    cluster.api().apply(cluster_binding("aiqms-auditors", "aiqms-auditor", "auditors"), manager="testbed")
    operator = Operator(cluster=cluster)
    operator.start()
    yield operator
    operator.stop()


@pytest.fixture
def operator(installed: Operator) -> Iterator[Operator]:
    """The running operator, for tests that stop or kill it: it runs again for the next test."""
    yield installed
    if not installed.running:
        installed.start()


@pytest.fixture
def admin(cluster: Cluster) -> Api:
    """The API server as the administrator sees it."""
    return cluster.api("admin")


@pytest.fixture
def namespace(cluster: Cluster, installed: Operator) -> Iterator[str]:
    """A fresh governed namespace in which people have their roles, removed afterwards."""
    admin = cluster.api("admin")
    name = govern(cluster, f"lending-{secrets.token_hex(3)}")
    yield name
    admin.delete("namespaces", name)


def govern(cluster: Cluster, name: str) -> str:
    """Make a governed namespace, give people their roles in it, and wait until it is ready to be used."""
    admin = cluster.api("admin")
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"aiqms.dev/governed": "true"}}})
    for group, role in ROLES.items():
        admin.create(binding(name, role, group))
    eventually(lambda: admin.find("serviceaccounts", "default", name), within=30, what=f"namespace {name} has its default service account")
    eventually(lambda: admin.find("clearances", "clearance", name), within=30, what=f"the operator makes the Clearance of {name}")
    # The chart's aiqms-tenant reaches ClusterRole admin by aggregation, which a controller does some time after the install.
    eventually(lambda: cluster.api("mallory").may("create", "aimodeldeployments", name, group="aiqms.dev"), within=30, what="namespace admins register")
    return name


def binding(namespace: str, role: str, group: str) -> Json:
    """The RoleBinding that gives a group a ClusterRole in one namespace."""
    return cluster_binding(role, role, group) | {"kind": "RoleBinding", "metadata": {"name": role, "namespace": namespace}}


def cluster_binding(name: str, role: str, group: str) -> Json:
    """The ClusterRoleBinding that gives a group a ClusterRole everywhere."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }
