"""What the API server takes for a Clearance of a hundred deployments: python -m bench.clearance.

As the operator writes it, as a whole (PUT), against server-side apply, by turns: of the latter the API server reads the body as YAML.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.admission import cleared, governed
from bench.report import Row, quantile, row, show, spread
from bench.world import installed
from tests.testbed.api import Api, Json

SIZE, ROUNDS = 100, 40
OPERATOR = "system:serviceaccount:aiqms-system:aiqms-operator"


def main(rounds: int = ROUNDS) -> list[Row]:
    """The ratio of the medians."""
    put, apply = list[float](), list[float]()
    with installed() as (cluster, _):
        cleared(cluster, governed(SIZE), SIZE)
        operator = cluster.api(impersonate=OPERATOR, groups=["system:masters", "system:authenticated"])
        for n in range(rounds):
            put.append(timed(operator, 2 * n, operator.replace))
            apply.append(timed(operator, 2 * n + 1, lambda body: operator.apply(body, manager="aiqms-operator", force=True)))
    detail = f"{spread(put)}; server-side apply {spread(apply)}"
    return [row(f"clearance: {SIZE} deployments, written as a whole : by server-side apply", quantile(put, 50) / quantile(apply, 50), "×", None, detail)]


def timed(operator: Api, epoch: int, write: Callable[[Json], Json]) -> float:
    """Seconds of one write that changes it."""
    stored = operator.get("clearances", "clearance", governed(SIZE))
    body = stored | {"metadata": {k: stored["metadata"][k] for k in ("name", "namespace", "resourceVersion")}, "spec": stored["spec"] | {"epoch": epoch}}
    began = time.perf_counter()
    write(body)
    return time.perf_counter() - began


if __name__ == "__main__":
    show(main())
