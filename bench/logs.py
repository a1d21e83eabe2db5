"""What log checks cost: python -m bench.logs [DEPLOYMENTS] [SINKS] [HANGING].

First many deployments that share a few sinks: requests a sink and check interval, counted by the store itself, and the operator's memory. Then, in the
same run and by turns, how soon a change of a register entry is judged with sinks that hang, and without.
"""

from __future__ import annotations

import re
import socket
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.testbed.api import Api, Json
from tests.testbed.cluster import temporary
from tests.testbed.install import GOVERNED, install
from tests.testbed.logstores import HOST, victorialogs
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

DEPLOYMENTS, SINKS, HANGING = 2000, 20, 50
NAMESPACES = 20
EVERY, INTERVALS = 30, 3  # seconds of a check interval, and how many are watched
ROUNDS, CHANGES = 4, 100
QUIET = "quiet"  # the namespace in which changes are timed


def main(deployments: int, sinks: int, hanging: int) -> None:
    """Prints what was counted and measured."""
    with temporary() as cluster:
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        operator.start()
        try:
            admin = cluster.api()
            with victorialogs("-retentionPeriod=200d") as store:
                shared(admin, operator, store, deployments, sinks)
                slowed(admin, store, hanging)
        finally:
            operator.stop()


def shared(admin: Api, operator: Operator, store: str, deployments: int, sinks: int) -> None:
    """Requests that the store itself counted, and the operator's resident memory."""
    admin.apply(procedure("shared", [f"many-{n}" for n in range(NAMESPACES)], [store], f"{EVERY}s"))
    for n in range(NAMESPACES):
        admin.create(namespace(f"many-{n}"))
    before = memory(operator)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: admin.create(entry(f"many-{n % NAMESPACES}", f"d-{n}", store, n % sinks)), range(deployments)))
    eventually(lambda: kept(admin) == deployments, within=600, every=2, what=f"{deployments} deployments have their logs")
    settled = memory(operator)
    requests, checks, began = counted(store), checked(operator), time.monotonic()
    time.sleep(EVERY * INTERVALS)  # what is measured: a load over a time
    made, done, seconds = counted(store) - requests - 1, checked(operator) - checks, time.monotonic() - began
    rate = made / sinks / (seconds / EVERY)
    print(f"{deployments} deployments, {sinks} sinks, one check each {EVERY} s, watched for {seconds:.0f} s: {made} requests at the store, {done:.0f} checks")
    print(f"requests a sink and interval  {rate:.2f}   requests a check  {made / max(done, 1):.2f}   without sharing  {deployments / sinks:.0f} times as many")
    print(f"operator's memory  {before:.0f} MiB before, {settled:.0f} MiB judged, {memory(operator):.0f} MiB after {INTERVALS} intervals", flush=True)


def slowed(admin: Api, store: str, hanging: int) -> None:
    """By turns without and with sinks that take connections and say nothing."""
    admin.apply(procedure("quiet", [QUIET], [store], f"{EVERY}s"))
    for name in (QUIET, "stuck"):
        admin.create(namespace(name))
    admin.create(entry(QUIET, "timed", store, 0))
    eventually(lambda: admin.get("aimd", "timed", QUIET).get("status"), within=300, every=0.5, what="the operator is through with all that the procedure woke")
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for round_ in range(ROUNDS):
        with stuck(admin, hanging if round_ % 2 else 0, f"{EVERY}s"):
            seconds[bool(round_ % 2)] += [change(admin) for _ in range(CHANGES)]
    for with_, found in seconds.items():
        p50, p99 = statistics.median(found), statistics.quantiles(found, n=100, method="inclusive")[98]
        print(f"a change is judged, {hanging if with_ else 0:3} hanging sinks   p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms   of {len(found)}")
    ratio = statistics.median(seconds[True]) / statistics.median(seconds[False])
    print(f"ratio of the medians, with : without  {ratio:.2f}", flush=True)


@contextmanager
def stuck(admin: Api, count: int, every: str) -> Iterator[None]:
    """Deployments whose sinks hang, each at a port of its own."""
    listeners = [socket.create_server((HOST, 0)) for _ in range(count)]
    endpoints = [f"http://{HOST}:{s.getsockname()[1]}" for s in listeners]
    admin.apply(procedure("stuck", ["stuck"], endpoints or [f"http://{HOST}:1"], every))
    for n, endpoint in enumerate(endpoints):
        admin.create(entry("stuck", f"stuck-{n}", endpoint, 0))
    try:
        yield
    finally:
        for n in range(count):
            admin.delete("aimd", f"stuck-{n}", "stuck")
        for listener in listeners:
            listener.close()


def change(admin: Api) -> float:
    """Seconds from a change of the register entry to its verdict."""
    began = time.monotonic()
    changed = admin.patch("aimd", "timed", {"spec": {"intendedPurpose": f"Benchmark {began}"}}, QUIET)

    def judged() -> bool:
        return bool(admin.get("aimd", "timed", QUIET).get("status", {}).get("observedGeneration", 0) >= changed["metadata"]["generation"])

    eventually(judged, within=30, every=0.002, what="it is judged")
    return time.monotonic() - began


def kept(admin: Api) -> int:
    """Deployments whose stream is kept as asked."""
    found = [item for n in range(NAMESPACES) for item in admin.list("aimd", f"many-{n}")]
    return sum(any(c["reason"] == "LogsKept" for c in item.get("status", {}).get("controls", [])) for item in found)


def counted(store: str) -> int:
    """HTTP requests of any path, by VictoriaLogs' own count."""
    with urllib.request.urlopen(f"{store}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return sum(int(float(n)) for n in re.findall(r"^vm_http_requests_all_total(?:\{[^}]*\})? (\S+)", text, re.MULTILINE))


def checked(operator: Operator) -> float:
    """Checks of any outcome, by the operator's own count."""
    return sum(map(float, re.findall(r"^aiqms_log_checks_total\{[^}]*\} (\S+)", operator.metrics(), re.MULTILINE)))


def memory(operator: Operator) -> float:
    """Resident MiB of the operator's process."""
    (size,) = re.findall(r"^process_resident_memory_bytes (\S+)", operator.metrics(), re.MULTILINE)
    return float(size) / 2**20


def namespace(name: str) -> Json:
    """A governed one."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {GOVERNED: "true"}}}


def procedure(name: str, namespaces: list[str], endpoints: list[str], every: str) -> Json:
    """In Audit, for its namespaces alone: asks for one stream."""
    stream = {"name": "inference", "retention": "184d", "protection": "Deletable"}
    logging = {"streams": [stream], "endpoints": endpoints, "canary": {"every": every, "within": "20s"}}
    spec = {"title": "Benchmark", "revision": revision(), "owner": "nobody", "enforcement": "Audit", "approvals": {"roles": [{"role": "model-owner"}]}}
    more = {"appliesTo": {"namespaces": namespaces}, "logging": logging}
    return {"apiVersion": "aiqms.dev/v1alpha1", "kind": "QMSProcedure", "metadata": {"name": name}, "spec": spec | more}


def revision() -> int:
    """Higher than any before."""
    return int(time.monotonic() * 10)


def entry(space: str, name: str, store: str, account: int) -> Json:
    """A register entry whose workload does not exist: its logs are asked about all the same."""
    spec = {
        "intendedPurpose": "Benchmark",
        "riskClass": "Minimal",
        "role": "Provider",
        "owner": {"name": "nobody", "contact": "nobody@bank.example"},
        "model": {"name": "none", "version": "1", "uri": "oci://registry.bank.example/models/none", "digest": "sha256:" + "0" * 64},
        "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name}],
        "logging": {"streams": [{"name": "inference", "sink": {"victoriaLogs": {"endpoint": store, "accountId": account}}}]},
    }
    return {"apiVersion": "aiqms.dev/v1alpha1", "kind": "AIModelDeployment", "metadata": {"name": name, "namespace": space}, "spec": spec}


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:4]]
    main(*given, *(DEPLOYMENTS, SINKS, HANGING)[len(given) :])
