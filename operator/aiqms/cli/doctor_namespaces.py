"""Where the gate does not look: namespaces without the label that hold GPU pods, and exemptions that shadow a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aiqms.cli.doctor_reading import Cluster, deployment_of, labels
from aiqms.cli.doctor_rows import Row, found, ok
from aiqms.gate.rules import ALWAYS_EXEMPT, GOVERNED
from aiqms.policy.words import plural


def namespaces(cluster: Cluster) -> Iterator[Row]:
    """Check `namespaces`."""
    rows = [*_shadowed(cluster), *_open(cluster)]
    yield from rows or [ok(f"{plural(len(cluster.governed), 'namespace')} governed, and no GPU pod anywhere else")]


def _shadowed(cluster: Cluster) -> Iterator[Row]:
    for namespace in cluster.namespaces:
        name = namespace["metadata"]["name"]
        if GOVERNED in labels(namespace) and name in cluster.exempt:
            yield found(f"bears label {GOVERNED} and is exempt, so that nothing in it is judged", _lift(name), name)


def _open(cluster: Cluster) -> Iterator[Row]:
    """Pods that ask for a device openly, or name an AIModelDeployment, where no policy looks at them."""
    looked_at = set(cluster.governed)
    counted = Counter(p["metadata"]["namespace"] for p in cluster.pods if _concerns(p, cluster) and p["metadata"]["namespace"] not in looked_at)
    for name, count in sorted(counted.items()):
        if name in cluster.exempt:
            yield found(f"{plural(count, 'GPU pod')} in an exempt namespace, which nothing judges", _lift(name), name)
        else:
            do = f"kubectl label namespace {name} {GOVERNED}=true; if it is the platform's own, say so with --accept namespaces/{name}"
            yield found(f"{plural(count, 'GPU pod')} in a namespace that is not governed", do, name)


def _concerns(pod: dict[str, object], cluster: Cluster) -> bool:
    return cluster.asks_for_device(pod) or bool(deployment_of(pod))


def _lift(name: str) -> str:
    return "run GPU pods elsewhere" if name in ALWAYS_EXEMPT else f"take {name} off the chart value gate.exemptNamespaces"
