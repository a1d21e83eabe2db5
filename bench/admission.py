"""What admission costs a pod: python -m bench.admission [--quick].

Server-side dry runs of one pod over one kept connection, by turns in an exempt namespace and in governed ones with few and with many
cleared deployments: a GPU pod that is cleared, and a CPU pod without the label. The operator does not run, for admission does not need it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiqms.gate.normal import template
from aiqms.gate.rules import DEFAULTS
from bench.connection import Connection
from bench.report import Row, quantile, row, show, spread
from bench.world import API, govern, installed, pod_metadata, pod_spec
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE
from tests.testbed.waiting import eventually

SIZES, ROUNDS = (10, 300), 600
GOALS = {"GPU": 1.25, "CPU": 1.12}
START = {"GPU": 1.44, "CPU": 1.15}  # of the policies as they were first proved; the ratio repeats within 0.03
EXEMPT = "kube-system"
NAME = "timed"


@dataclass(frozen=True)
class Attempt:
    """A dry run of a create. what: GPU or CPU; where: a namespace."""

    what: str
    where: str

    @property
    def path(self) -> str:
        """Of the request."""
        return f"/api/v1/namespaces/{self.where}/pods?dryRun=All"

    @property
    def body(self) -> bytes:
        """The pod."""
        gpu = self.what == "GPU"
        return json.dumps(
            {"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata(NAME, labelled=gpu) | {"name": NAME}, "spec": pod_spec(gpu=gpu)}
        ).encode()


def main(sizes: Sequence[int] = SIZES, rounds: int = ROUNDS) -> list[Row]:
    """A row for each kind of pod and number of deployments: the ratio of the medians."""
    with installed() as (cluster, _):
        for size in sizes:
            cleared(cluster, governed(size), size)
        base = {what: Attempt(what, EXEMPT) for what in GOALS}
        judged = {(what, size): Attempt(what, governed(size)) for what in GOALS for size in sizes}
        took = by_turns(cluster, [*base.values(), *judged.values(), Attempt("CPU", "default")], rounds)
    rows = [compared(took[base[what]], took[attempt], f"admission: {what} pod, {size} deployments", what) for (what, size), attempt in judged.items()]
    return [*rows, compared(took[base["CPU"]], took[Attempt("CPU", "default")], "admission: CPU pod, namespace that is not governed", "")]


def governed(size: int) -> str:
    """The namespace of so many deployments."""
    return f"governed-{size}"


def compared(base: Sequence[float], found: Sequence[float], name: str, what: str) -> Row:
    """The ratio of the medians, and what it was before."""
    before = f"; at the proved start {START[what]} ×" if what else ""
    quiet = f"of the fastest tenths {quantile(found, 10) / quantile(base, 10):.2f} ×"  # what else the machine does lengthens these least
    return row(name, quantile(found, 50) / quantile(base, 50), "×", GOALS.get(what), f"{spread(found)}; exempt {spread(base)}; {quiet}{before}")


def by_turns(cluster: Cluster, attempts: Sequence[Attempt], rounds: int) -> dict[Attempt, list[float]]:
    """Seconds of each; one after the other in each round, so that all have the same share of what else the machine does."""
    connection, bodies = Connection(cluster.kubeconfig), {a: a.body for a in attempts}
    took: dict[Attempt, list[float]] = {a: [] for a in attempts}
    for round_ in range(rounds + rounds // 10):
        for attempt in attempts:
            seconds = connection.post(attempt.path, bodies[attempt])
            if round_ >= rounds // 10:  # the first warm up
                took[attempt].append(seconds)
    return took


def cleared(cluster: Cluster, namespace: str, size: int) -> None:
    """A Clearance with that many deployments, written as the operator writes it; the timed one is the last of them."""
    admin = cluster.api()
    operator = cluster.api(impersonate="system:serviceaccount:aiqms-system:aiqms-operator", groups=["system:masters", "system:authenticated"])
    govern(admin, namespace)
    write(operator, namespace, {})
    held = eventually(lambda: dry_run(admin, namespace), within=60, what=f"the policies judge by the Clearance of {namespace}", ignoring=(ApiError,))
    form = template(held | {"spec": {k: v for k, v in held["spec"].items() if k != "schedulingGates"}}, DEFAULTS)
    others = {f"other-{n:04}": [entry(other(form, n), n)] for n in range(size - 1)}
    write(operator, namespace, others | {NAME: [entry(form, size)]})
    eventually(lambda: not gated(dry_run(admin, namespace)), within=60, what=f"{namespace} clears the pod that is timed", ignoring=(ApiError,))


def dry_run(admin: Api, namespace: str) -> Json:
    """The GPU pod as it would be stored."""
    return admin.create(json.loads(Attempt("GPU", namespace).body), namespace=namespace, dry_run=True)


def gated(pod: Json) -> bool:
    """Whether it would be held."""
    return {"name": GATE} in pod["spec"].get("schedulingGates", [])


def write(operator: Api, namespace: str, deployments: Json) -> None:
    """The Clearance."""
    spec = {"epoch": 0, "deployments": deployments}
    operator.apply({"apiVersion": API, "kind": "Clearance", "metadata": {"name": "clearance", "namespace": namespace}, "spec": spec}, force=True)


def entry(form: Json, n: int) -> Json:
    """One template, cleared for a month."""
    until = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"fingerprint": f"sha256:{n:064}", "validUntil": until, "template": form}


def other(form: Json, n: int) -> Json:
    """The template of another deployment, as large."""
    copied: Json = json.loads(json.dumps(form))
    copied["pod"]["containers"][0]["fields"]["args"][0] = f"--model=/models/other-{n:04}"
    return copied


def quick() -> list[Row]:
    """A hundred of each."""
    return main(rounds=100)


if __name__ == "__main__":
    show(quick() if "--quick" in sys.argv else main())
