"""What manifests leave to a cluster: its defaults by dry runs of the workloads, and the procedures, labels and inputs that were not given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from aiqms.api.crds import DEPLOYMENT, PROCEDURE
from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cli.connection import Connection, Refused
from aiqms.cli.doctor_reading import Cluster
from aiqms.cli.manifests import OfflineError
from aiqms.cli.offline import MALFORMED, RESOURCES, Manifests
from aiqms.cluster.inputs import SECRETS
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs
from aiqms.gate.rules import Rules
from aiqms.gate.workload import BY_KIND, pod_of

_API = {"configmaps": "/api/v1", "resourceclaims": "/apis/resource.k8s.io/v1", "resourceclaimtemplates": "/apis/resource.k8s.io/v1"}


def completed(manifests: Manifests, connection: Connection, rules: Rules) -> Manifests:
    """The manifests as the cluster would have them; nothing is stored. Of what is given and in the cluster, the given counts.

    Raises Refused and CannotAsk as the connection does, and OfflineError for a workload that the cluster would not take.
    """
    wanted = {(manifests.place(entry), *ref) for entry in manifests.of_kind(DEPLOYMENT.kind) for ref in _workloads(entry)}
    objects = [_tried(o, manifests, connection) if (manifests.place(o), o["kind"], o["metadata"].get("name")) in wanted else o for o in manifests.objects]
    given = replace(manifests, objects=[*_around(manifests, connection), *objects])
    found, absent = _inputs(given, [o for o in objects if (given.place(o), o["kind"], o["metadata"].get("name")) in wanted], connection, rules)
    return replace(given, objects=[*found, *given.objects], absent=absent)


def _workloads(entry: Json) -> Iterator[tuple[str, str]]:
    for ref in (entry.get("spec") or {}).get("workloads") or []:
        yield ref.get("kind", ""), ref.get("name", "")


def _tried(workload: Json, manifests: Manifests, connection: Connection) -> Json:
    """The workload with the cluster's defaults and whatever its admission changes."""
    kind = BY_KIND.get((str(workload.get("apiVersion")), workload["kind"]))
    if kind is None:
        return workload
    root = f"/apis/{kind.api_version}" if "/" in kind.api_version else f"/api/{kind.api_version}"
    path, cluster = f"{root}/namespaces/{manifests.place(workload)}/{kind.plural}", Cluster(connection)
    answer = cluster.send("POST", path, workload)
    if answer.code == 409:
        answer = cluster.send("PUT", f"{path}/{workload['metadata']['name']}", workload)
    if answer.code in (400, 422):
        raise OfflineError(f"{workload['kind']} {workload['metadata'].get('name')}: the cluster would not take it: {answer.message}")
    if answer.code >= 400:
        raise Refused(answer.code, f"{answer.message}; without --server-dry-run no cluster is asked")
    return answer.body | {"apiVersion": workload["apiVersion"], "kind": workload["kind"]}


def _around(manifests: Manifests, connection: Connection) -> list[Json]:
    """Procedures and Namespaces of the cluster that are not among the manifests."""
    given = {(o["kind"], o["metadata"].get("name")) for o in manifests.objects}
    procedures = [p | {"kind": PROCEDURE.kind} for p in connection.get(f"/apis/{GROUP}/{VERSION}/{PROCEDURE.plural}")["items"]]
    places = {manifests.place(entry) for entry in manifests.of_kind(DEPLOYMENT.kind)}
    namespaces = [connection.get(f"/api/v1/namespaces/{name}") | {"kind": "Namespace"} for name in places if ("Namespace", name) not in given]
    return [o for o in (*procedures, *namespaces) if (o["kind"], o["metadata"]["name"]) not in given]


def _inputs(manifests: Manifests, workloads: Iterable[Json], connection: Connection, rules: Rules) -> tuple[list[Json], frozenset[tuple[str, str, str]]]:
    """Of what the workloads read and the manifests lack: the cluster's objects, and what is not there either."""
    found, absent = [], set()
    for workload in workloads:
        namespace = manifests.place(workload)
        for resource, name in (reference.split("/", 1) for reference in _read_by(workload, rules)):
            kind = RESOURCES[resource]
            if manifests.find(kind, namespace, name) is not None:
                continue
            try:
                found.append(connection.get(f"{_API[resource]}/namespaces/{namespace}/{resource}/{name}") | {"kind": kind})
            except Refused as refusal:
                if refusal.code != 404:
                    raise
                absent.add((kind, namespace, name))
    return found, frozenset(absent)


def _read_by(workload: Json, rules: Rules) -> list[str]:
    try:
        return [r for r in inputs(pod_of(defaulted(workload)), rules) if not r.startswith(SECRETS)]
    except (ValueError, *MALFORMED):
        return []  # what is wrong with it is said when its subject is worked out
