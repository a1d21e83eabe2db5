"""A cold start among many: python -m bench.start [--quick].

A hundred deployments in a namespace, each with a workload, a ConfigMap that it reads, a clearance and five records. The operator is ended as
a rollout would, and started: timed until it has looked at every namespace. Its memory is the most that it ever had; its requests and writes
are counted in the audit log of the API server.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.report import Row, row, show
from bench.world import at_rest, copy, cpu, installed, looked_at, populate, procedure
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.processes import started_in
from tests.testbed.waiting import eventually

SIZES, RECORDS = (1000, 10_000), 5
GOALS = {"seconds": 30.0, "MiB": 400.0, "writes": 0.0}
A_NAMESPACE = 100  # deployments of one
WRITES = ("create", "update", "patch", "delete", "deletecollection")


def main(sizes: Sequence[int] = SIZES) -> list[Row]:
    """Time, memory, requests and writes for each number of deployments."""
    rows: list[Row] = []
    with installed() as (cluster, operator):
        cluster.api().apply(procedure())
        operator.start()
        populate(cluster, "many-000", [f"scoring-{n}" for n in range(A_NAMESPACE)], records=RECORDS)
        for size in sizes:
            operator.stop()
            grown(cluster, size)
            at_rest(cluster)
            rows += measured(cluster, operator, size)
    return rows


def grown(cluster: Cluster, size: int) -> None:
    """So many deployments, while the operator does not run."""
    there = {n["metadata"]["name"] for n in cluster.api().list("namespaces")}
    copy(cluster, "many-000", [name for n in range(1, size // A_NAMESPACE) if (name := f"many-{n:03}") not in there])


def measured(cluster: Cluster, operator: Operator, size: int) -> list[Row]:
    """One start."""
    since, began, namespaces = datetime.now(UTC), time.monotonic(), size // A_NAMESPACE
    operator.start(within=480)
    synced = time.monotonic() - began
    eventually(lambda: looked_at(operator, "many-") >= namespaces, within=480, every=0.5, what=f"{namespaces} namespaces are judged")
    took = time.monotonic() - began
    process = next(p for p in started_in(cluster.provider.folder / "run") if p.name == operator.name)
    peak, busy, done = memory(process.pid), cpu(process.pid), requests(cluster, operator, since)
    reads, writes = sum(n for verb, n in done.items() if verb not in WRITES), sum(n for verb, n in done.items() if verb in WRITES)
    what = f"start: {size:,} deployments, {size * RECORDS:,} records"
    made = ", ".join(f"{n:,} {verb}" for verb, n in sorted(done.items()))
    return [
        row(f"{what}: until all are judged", took, "s", GOALS["seconds"], f"{synced:.1f} s of it until all is read; {busy:.1f} s of CPU"),
        row(f"{what}: memory", peak, "MiB", GOALS["MiB"], "resident, at most"),
        row(f"{what}: requests", reads, "", None, made),
        row(f"{what}: writes", writes, "", GOALS["writes"], "besides the Lease"),
    ]


def memory(pid: int | None) -> float:
    """The most MiB that were resident."""
    (size,) = re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(size) / 1024


def requests(cluster: Cluster, operator: Operator, since: datetime) -> Counter[str]:
    """By verb; the Lease left out. Those that are answered: a watch is one when it ends."""
    found = (e for e in cluster.audit(user=operator.user, since=since) if e.get("objectRef", {}).get("resource") != "leases")
    return Counter(e["verb"] for e in found)


def quick() -> list[Row]:
    """Two namespaces."""
    return main((200,))


if __name__ == "__main__":
    show(quick() if "--quick" in sys.argv else main())
