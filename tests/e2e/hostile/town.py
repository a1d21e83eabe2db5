"""Where hostile objects are tried: two governed namespaces, in each of them a healthy neighbour, and what has to be so after every try."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.e2e.conftest import govern
from tests.e2e.given import Place, placed, registered, unique
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator

PROMPT = 2.0  # seconds in which a neighbour is judged, whatever is tried beside it, on a machine that does nothing else
CROWD = [{"role": "model-owner", "count": 2}, {"role": "risk-manager", "count": 2}]  # only alice is a model-owner, so that nothing of it is ever cleared


@dataclass
class Town:
    """here: the neighbour in the namespace where things are tried; there: the one in another namespace.

    more: namespaces that go with it. slowest: how long a neighbour waited.
    """

    operator: Operator
    here: Place
    there: Place
    more: list[str] = field(default_factory=list)
    slowest: float = 0.0
    errors: float = 0.0

    def of(self, name: str) -> Place:
        """A deployment beside the neighbour."""
        return self.here.of(name)

    def assert_unharmed(self) -> None:
        """Neighbours are judged soon, the operator failed at nothing, and nothing is cleared that was not."""
        for neighbour in (self.here, self.there):
            self.slowest = max(self.slowest, self._judged(neighbour))
        assert failures(self.operator.metrics()) == self.errors, self.operator.log[-4000:]
        for place in (self.here, self.there):
            assert (place.namespace, _let_through(place)) == (place.namespace, {place.name})
            assert {p["metadata"]["labels"].get("aiqms.dev/deployment") for p in _running(place)} == {place.name}

    def _judged(self, neighbour: Place) -> float:
        """How long it takes until a change of the neighbour's entry is judged; it runs on."""
        began, contact = time.monotonic(), f"{secrets.token_hex(4)}@bank.example"
        neighbour.by("mallory").patch("aimd", neighbour.name, {"spec": {"owner": {"contact": contact}}}, neighbour.namespace)
        neighbour.awaited(lambda: neighbour.ready() == ("True", "Approved"), f"{neighbour.namespace} is judged", seconds=30)
        took = time.monotonic() - began
        assert took < PROMPT * busy(), f"a healthy neighbour in {neighbour.namespace} waited {took:.1f} s"
        return took


def busy() -> float:
    """How much longer anything takes here than on a machine that does nothing else."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def failures(metrics: str) -> float:
    """Passes of the operator that failed, of whatever kind."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith("aiqms_reconcile_errors_total"))


def measured(metrics: str, name: str) -> float:
    """The sum of a metric."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith((f"{name} ", f"{name}{{")))


def _let_through(place: Place) -> set[str]:
    entries = place.admin.get("clearances", "clearance", place.namespace)["spec"].get("deployments", {})
    return {name for name, each in entries.items() if each}


def _running(place: Place) -> list[Json]:
    return [p for p in place.admin.list("pods", place.namespace) if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]]


@contextmanager
def settled(cluster: Cluster, operator: Operator) -> Iterator[Town]:
    """The town, with both neighbours running; High is what neighbours are, Limited what hostile deployments are."""
    names = [govern(cluster, unique("town")) for _ in range(2)]
    with placed(cluster, names[0]) as here, placed(cluster, names[1]) as there:
        for place in (here, there):
            place.cleared(appliesTo={"namespaces": [place.namespace], "riskClasses": ["High"]})
        limited = {"namespaces": [here.namespace], "riskClasses": ["Limited"]}
        here.govern(f"{here.namespace}-crowd", roles=CROWD, stop={"roles": ["risk-manager"]}, appliesTo=limited)
        town = Town(operator, here, there, errors=failures(operator.metrics()))
        yield town
        names += town.more
    for name in names:
        cluster.api("admin").delete("namespaces", name)


def stranger(place: Place, **spec: Any) -> Json:
    """The register entry of a deployment that its approvers cannot clear."""
    return registered(place.namespace, place.name, **{"riskClass": "Limited"} | spec)


def beside(town: Town, name: str) -> Place:
    """Another deployment of the hostile namespace, registered, deployed and held."""
    place = replace(town.here, name=name)
    place.by("mallory").create(stranger(place))
    place.deploy()
    return place
