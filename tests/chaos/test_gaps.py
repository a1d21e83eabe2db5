"""What goes away while nobody watches: after a 410 everything is listed anew, and a list does not say what it lacks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import FAIR, Partition, Weather
from tests.chaos.stage import Stage
from tests.e2e.conftest import govern
from tests.e2e.given import Place, placed

SOON = 30  # seconds; the slow look for ghosts comes once a minute


@pytest.fixture
def place(stage: Stage) -> Iterator[Place]:
    namespace = govern(stage.cluster, f"gaps-{secrets.token_hex(3)}")
    with placed(stage.cluster, namespace) as found:
        yield found
    stage.cluster.api("admin").delete("namespaces", namespace)


@pytest.fixture
def blind(stage: Stage, place: Place) -> Iterator[Place]:
    """Three pods of one deployment run, another deployment is registered too, and the operator sees nothing; afterwards no watch can go on where it was."""
    place.cleared(replicas=3, onLapse={"action": "Stop"})
    place.of("other").register()
    proxy = stage.replicas[0].proxy
    proxy.change(Weather(partition=Partition.RESET))
    yield place
    proxy.change(FAIR)


def sees_again(stage: Stage) -> None:
    proxy = stage.replicas[0].proxy
    proxy.compact()
    proxy.change(FAIR)


def test_a_register_entry_that_was_deleted(stage: Stage, blind: Place) -> None:
    blind.by("mallory").delete("aimd", blind.name, blind.namespace)
    sees_again(stage)
    blind.await_pods(held=3, seconds=SOON)
    assert blind.entries() == []


def test_a_procedure_that_was_deleted(stage: Stage, blind: Place) -> None:
    """Another one stays, which is listed."""
    blind.govern("other", appliesTo={"namespaces": ["elsewhere"]})
    blind.admin.delete("qmsp", f"{blind.namespace}-rule")
    sees_again(stage)
    blind.awaited(lambda: blind.ready()[1] == "NoProcedure", "no procedure applies any more", seconds=SOON)
    blind.admin.delete("qmsp", "other")


def test_a_pod_and_a_workload_that_were_deleted(stage: Stage, blind: Place) -> None:
    blind.by("mallory").delete("deployments.apps", blind.name, blind.namespace)
    blind.awaited(lambda: not blind.pods(), "the pods are gone")
    sees_again(stage)
    blind.awaited(lambda: blind.status.get("pods", {}).get("running", 0) == 0, "the status has no pods any more", seconds=SOON)
