"""Invariants 8 and 9 over the whole story, from the audit log: each write of the operator has its purpose, and where nothing changes there is none."""

from __future__ import annotations

import datetime
import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import govern
from tests.e2e.given import Place, await_gone, procedure, record, registered, unique, workload
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.demo import NAMESPACE, Story
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

READS = ("get", "list", "watch")
IDLE = 60  # seconds in which nothing may be written
A_NAMESPACE = 100  # deployments of one
# All that the operator writes while the demo tells its story, and what for. Whatever is not here is a defect.
WRITES = {
    ("create", "events", ""): "to tell people what to do next",
    ("patch", "aimodeldeployments", "status"): "what was judged, and why",
    ("patch", "approvalrecords", "status"): "whether a record counts",
    ("create", "clearances", ""): "what admission compares pods with",
    ("update", "clearances", ""): "what admission compares pods with, when that is other than it was",
    ("patch", "networkpolicies", ""): "its own policy, made and put right",
    ("patch", "pods", ""): "a held pod is let go",
}
# Besides these in the operator's own namespace.
LEASE = {("update", "leases", ""): "who writes"}
RIGHTS = ("selfsubjectrulesreviews", "selfsubjectaccessreviews")  # questions that are asked by create


def written(operator: Operator, since: datetime.datetime) -> list[Json]:
    """The operator's writes since then, refused ones too."""
    events = [e for e in operator.cluster.audit(user=operator.user, since=since) if e["verb"] not in READS]
    return [e for e in events if e.get("objectRef", {}).get("resource") not in RIGHTS]


def what(event: Json) -> tuple[str, str, str]:
    ref = event["objectRef"]
    return event["verb"], ref["resource"], ref.get("subresource", "")


def besides_the_lease(events: Sequence[Json]) -> list[tuple[tuple[str, str, str], str, str]]:
    others = [e for e in events if what(e) not in LEASE]
    return [(what(e), e["objectRef"].get("namespace", ""), e["objectRef"].get("name", "")) for e in others]


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_every_write_of_the_story_is_on_the_list_and_each_on_the_list_is_written(cluster: Cluster, operator: Operator, admin: Api) -> None:
    await_gone(admin, NAMESPACE)
    since = now()
    try:
        Story(cluster=cluster, operator=operator, out=io.StringIO()).tell()
        events = written(operator, since)
    finally:
        admin.delete("namespaces", NAMESPACE)
        admin.delete("qmsp", "high-risk-inference")
    inside = [e for e in events if e["objectRef"].get("namespace") == NAMESPACE]
    assert sorted({what(e) for e in inside}) == sorted(WRITES)
    own = [e for e in events if e["objectRef"].get("namespace") == "aiqms-system"]
    assert {what(e) for e in own} == set(LEASE)
    # None that changes nothing: the answer to such a write keeps the version of the one before.
    versions = [(what(e), e["objectRef"]["name"], e["responseObject"]["metadata"]["resourceVersion"]) for e in inside if _applied(e)]
    assert len(versions) == len(set(versions))


def _applied(event: Json) -> bool:
    return event["verb"] in ("patch", "update") and event["responseStatus"]["code"] in (200, 201)


@pytest.fixture(params=[100, pytest.param(1000, marks=pytest.mark.full)], ids=lambda count: f"{count} deployments")
def many(request: pytest.FixtureRequest, cluster: Cluster, installed: Operator) -> Iterator[list[str]]:
    """Governed namespaces with so many deployments, each cleared by a record; nothing of them runs."""
    count, admin = int(request.param), cluster.api("admin")
    names = [unique("silence") for _ in range(count // A_NAMESPACE)]
    for name in names:
        govern(cluster, name)
    rule = procedure(names[0], names[0], appliesTo={"namespaces": names})
    admin.apply(rule, manager="platform")
    places = [Place(cluster, namespace, f"scoring-{n}") for namespace in names for n in range(A_NAMESPACE)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_register, places))
        list(pool.map(_approve, places))
    eventually(lambda: _all_approved(admin, names), within=600, every=0.5, what=f"{count} deployments are approved")
    yield names
    for name in names:
        admin.delete("namespaces", name)
    admin.delete("qmsp", names[0])


def _register(place: Place) -> None:
    place.admin.create(workload(place.namespace, place.name, replicas=0))
    place.admin.create(registered(place.namespace, place.name))


def _approve(place: Place) -> None:
    def subject() -> str:
        status = place.status
        return str(status["subject"]["fingerprint"]) if place.ready() == ("False", "ApprovalMissing") else ""

    found = eventually(subject, within=600, every=0.2, what=f"{place.name} waits for an approval", ignoring=(KeyError,))
    place.by("alice").create(record(found, deployment=place.name), namespace=place.namespace)


def _all_approved(admin: Api, namespaces: Sequence[str]) -> bool:
    statuses = [item.get("status", {}) for namespace in namespaces for item in admin.list("aimd", namespace)]
    return all(any((c["type"], c["reason"]) == ("Ready", "Approved") for c in s.get("conditions", [])) for s in statuses)


def looked_at(operator: Operator, namespaces: Sequence[str]) -> bool:
    """Whether it leads, has judged each of these namespaces since its start, and has nothing left to do."""
    lines = operator.metrics().splitlines()
    seen = {name for name in namespaces if any(line.startswith(f'aiqms_deployments{{namespace="{name}"') for line in lines)}
    return seen == set(namespaces) and {"aiqms_leader 1.0", "aiqms_queue_length 0.0"} <= set(lines)


def test_invariant_9_idle_and_a_restart_with_many_deployments_are_silent(cluster: Cluster, operator: Operator, admin: Api, many: list[str]) -> None:
    eventually(lambda: all(n["status"]["phase"] == "Active" for n in admin.list("namespaces")), within=90, every=0.5, what="no namespace is being deleted")
    quiet = datetime.timedelta(seconds=3)
    eventually(lambda: not besides_the_lease(written(operator, now() - quiet)), within=120, every=2, what="the operator has nothing more to write")
    since = now()
    time.sleep(IDLE)  # what does not happen cannot be awaited
    assert besides_the_lease(written(operator, since)) == []

    operator.restart()
    eventually(lambda: looked_at(operator, many), within=120, every=0.5, what="it has looked at all of them again")
    assert besides_the_lease(written(operator, since)) == []
    assert {what(e) for e in written(operator, since)} == set(LEASE)
