"""From the last approval to the pod that is let go: python -m bench.release [--quick].

Timed by one client, from sending the record to the watch event of the pod without its gate. The timed deployments are among as many others as the row says, a
hundred in a namespace, all of them cleared. Each is approved anew many times: its pod comes back with another argument, so with another subject.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.connection import Connection
from bench.report import Row, quantile, row, show, spread
from bench.world import ROLES, at_once, at_rest, copy, entry, gone, govern, installed, looked_at, pod_metadata, pod_spec, populate, procedure, reason, record
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import GATE
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

SIZES, SAMPLES = (10, 1000, 5000), 50
GOAL = 250.0  # ms, of p99
READING = 3  # rounds in which each pod reads a ConfigMap that nothing read before
TIMED = [f"timed-{n}" for n in range(10)]
OTHERS = 90  # deployments of a namespace beside them
WATCHED = "/api/v1/pods?watch=true&labelSelector=aiqms.dev/deployment&timeoutSeconds=1800"


@dataclass
class Watch:
    """When each pod, by uid, was first seen without its gate."""

    connection: Connection
    released: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Until the process ends."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.connection.lines(WATCHED):
            pod = json.loads(line)["object"]
            if pod["kind"] == "Pod" and not held(pod):
                self.released.setdefault(pod["metadata"]["uid"], time.monotonic())


@dataclass
class Timing:
    """Deployments of one namespace that are approved again and again."""

    cluster: Cluster
    watch: Watch
    namespace: str

    @property
    def admin(self) -> Api:
        """For everything but approvals."""
        return self.cluster.api()

    def prepare(self) -> None:
        """Registered, in a namespace that is governed."""
        if self.admin.find("namespaces", self.namespace) is None:
            govern(self.admin, self.namespace)
        eventually(lambda: self.admin.find("clearances", "clearance", self.namespace), within=60, what="the operator makes the Clearance")
        for name in TIMED:
            self.admin.apply(entry(self.namespace, name, "Pod"))

    def round(self, argument: str, *, reading: bool = False) -> list[float]:
        """Seconds of each: all are made and approved by the one role, then one after the other by the last."""
        at_once(lambda name: self._renew(name, argument, reading=reading), TIMED)
        return [self._released(name) for name in TIMED]

    def _renew(self, name: str, argument: str, *, reading: bool) -> None:
        """Held, with one of two approvals."""
        before = self._status(name).get("subject", {}).get("fingerprint")
        gone(self.admin, "pods", name, self.namespace)
        eventually(lambda: self.admin.find("pods", name, self.namespace) is None, within=60, what=f"{name} is gone")
        config = f"{name}-{argument}" if reading else ""
        if reading:
            metadata = {"name": config, "namespace": self.namespace}
            self.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"prompt": "Be terse"}})
        metadata = pod_metadata(name) | {"name": name, "namespace": self.namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(argument=f"--seed={argument}", config=config)}
        assert held(self.admin.create(pod))
        eventually(lambda: self._status(name).get("subject", {}).get("fingerprint") not in (None, before), within=60, every=0.05, what=f"{name} has a subject")
        eventually(lambda: reason(self._status(name)) == "ApprovalMissing", within=60, every=0.05, what=f"{name} waits for approvals")
        self._approve(name, 0)
        eventually(lambda: self._given(name) == 1, within=60, every=0.05, what=f"one approval of {name} counts")

    def _released(self, name: str) -> float:
        uid = self.admin.get("pods", name, self.namespace)["metadata"]["uid"]
        subject = self._subject(name)
        began = time.monotonic()
        self._approve(name, 1, subject)
        released = eventually(lambda: self.watch.released.get(uid), within=60, every=0.001, what=f"{name} is released")
        eventually(lambda: reason(self._status(name)) == "Approved", within=60, every=0.02, what=f"the status of {name} says so")
        return released - began if released else 0.0

    def _approve(self, name: str, which: int, subject: str = "") -> None:
        made = record(self.namespace, name, subject or self._subject(name), ROLES[which])
        self.cluster.api(("alice", "bob")[which]).create(made)

    def _status(self, name: str) -> Json:
        found: Json = self.admin.get("aimd", name, self.namespace).get("status", {})
        return found

    def _subject(self, name: str) -> str:
        return str(self._status(name)["subject"]["fingerprint"])

    def _given(self, name: str) -> int:
        return sum(role["given"] for role in self._status(name).get("approvals", []))


def held(pod: Json) -> bool:
    """Whether it has the gate."""
    return {"name": GATE} in pod["spec"].get("schedulingGates", [])


def main(sizes: Sequence[int] = SIZES, samples: int = SAMPLES) -> list[Row]:
    """p99 for each number of deployments; and what a ConfigMap that is new adds."""
    rows = []
    with installed() as (cluster, operator):
        cluster.api().apply(procedure())
        operator.start()
        watch = Watch(Connection(cluster.kubeconfig))
        watch.start()
        for size in sizes:
            timing = Timing(cluster, watch, "few-000" if size <= len(TIMED) else "many-000")
            grown(cluster, operator, size)
            timing.prepare()
            at_rest(cluster)
            rows.append(measured(timing, size, samples // len(TIMED)))
        reading = [s for n in range(READING) for s in timing.round(f"reading-{n}", reading=True)]
        detail = (
            f"{spread(reading, unit='ms')}; 250 ms of it are a pause by design: every API server must know that the ConfigMap is frozen before it is read again"
        )
        rows.append(row(f"release: p99, {sizes[-1]:,} deployments, a new ConfigMap is read", quantile(reading, 99) * 1000, "ms", None, detail))
    return rows


def measured(timing: Timing, size: int, rounds: int) -> Row:
    """One row."""
    took = [s for n in range(rounds) for s in timing.round(f"{size}-{n}")]
    return row(f"release: p99, {size:,} deployments", quantile(took, 99) * 1000, "ms", GOAL, spread(took))


def grown(cluster: Cluster, operator: Operator, size: int) -> None:
    """So many deployments, in namespaces of OTHERS; those of a smaller size stay."""
    wanted = round((size - len(TIMED)) / OTHERS)
    if not wanted:
        return
    if cluster.api().find("namespaces", "many-000") is None:
        populate(cluster, "many-000", [f"other-{n}" for n in range(OTHERS)])
    there = {n["metadata"]["name"] for n in cluster.api().list("namespaces")}
    copy(cluster, "many-000", [f"many-{n:03}" for n in range(1, wanted) if f"many-{n:03}" not in there])
    eventually(lambda: looked_at(operator, "many-") >= wanted, within=240, every=1, what=f"the operator has looked at {wanted} namespaces")


def quick() -> list[Row]:
    """Two namespaces at most."""
    return main((10, 190), 20)


if __name__ == "__main__":
    show(quick() if "--quick" in sys.argv else main())
