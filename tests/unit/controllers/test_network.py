"""The operator's own NetworkPolicies against a small server that stores what is applied: what is written, how often, and what is left alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from aiqms.api.values import Json
from aiqms.cluster.caches import Caches
from aiqms.cluster.client import MANAGER, Client
from aiqms.cluster.inputs import InputReader
from aiqms.controllers.gather import gather
from aiqms.controllers.network import Networks, NotWritten, Probing
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input
from aiqms.policy.networks import Contest, Outcome, Probe
from tests.unit.controllers.test_gather import NAMESPACE, SPEC, known, stored
from tests.unit.policy.given import START

OWN = "aiqms-scoring"
AT = "/apis/networking.k8s.io/v1/namespaces/lending/networkpolicies/{name}"
PROCEDURE: Json = {
    "title": "Inference",
    "revision": 1,
    "owner": "Quality",
    "approvals": {"roles": [{"role": "model-owner"}]},
    "access": {"network": "Clients", "networkUnverified": "Warned"},
}


@dataclass
class Place:
    """One namespace. writes: what reached the server; refusing: with this status; twisting: what a webhook there makes of every spec."""

    caches: Caches
    writes: list[str] = field(default_factory=list)
    refusing: int = 0
    twisting: Json = field(default_factory=dict)
    version: int = 100
    networks: Networks = field(init=False)

    async def apply(self, request: web.Request) -> web.Response:
        self.writes.append(f"apply {request.match_info['name']}")
        if self.refusing:
            return web.json_response({"reason": "InternalError", "message": "no webhook there"}, status=self.refusing)
        return web.json_response(self.as_stored(json.loads(await request.text())))

    async def delete(self, request: web.Request) -> web.Response:
        self.writes.append(f"delete {request.match_info['name']}")
        return web.json_response({})

    def as_stored(self, applied: Json) -> Json:
        self.version += 1
        metadata = {"uid": "uid-1", "resourceVersion": str(self.version), "managedFields": [entry(MANAGER, "Apply", self.version)]}
        return applied | {"metadata": applied["metadata"] | metadata, "spec": applied["spec"] | self.twisting}

    async def pass_(self, second: float = 0) -> Input:
        """One pass: what is known of deployment scoring afterwards."""
        self.failure = None
        facts = await gather(NAMESPACE, self.caches, InputReader(self.networks.client, self.caches))
        assert facts
        settled, self.failure = await self.networks.settle(NAMESPACE, facts, START + timedelta(seconds=second))
        return settled.registered["scoring"]

    def seen(self, name: str = OWN, manager: str = "kubectl-patch", operation: str = "Update", **changed: Any) -> None:
        """The watch says that somebody changed or made the policy of this name."""
        self.version += 1
        now = self.caches.network_policies.get(NAMESPACE, name)
        metadata: Json = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        managed = [entry(manager, operation, self.version)]
        if now:
            metadata |= {"uid": now.uid, "labels": dict(now.labels), "ownerReferences": [REFERENCE | {"uid": uid} for uid in now.owners]}
            managed.append(entry(MANAGER, "Apply", self.version - 1))
        spec = (dict(now.spec) if now else {"podSelector": {}}) | changed
        self.caches.network_policies.put({"metadata": metadata | {"managedFields": managed}, "spec": spec})

    def gone(self) -> None:
        """The watch says that somebody deleted it."""
        now = self.caches.network_policies.get(NAMESPACE, OWN)
        assert now
        self.caches.network_policies.drop((NAMESPACE, OWN), uid=now.uid)

    failure: Exception | None = None


REFERENCE: Json = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "AIModelDeployment", "name": "scoring"}


def entry(manager: str, operation: str, version: int) -> Json:
    return {"manager": manager, "operation": operation, "time": f"2027-01-01T{version:08}Z", "fieldsV1": {"f:spec": {}}}


def caches() -> Caches:
    found = known()
    fraud = stored("AIModelDeployment", "fraud", spec=SPEC)
    found.deployments.event("DELETED", fraud)
    found.procedures.put(cluster_wide("QMSProcedure", "rule", spec=PROCEDURE))
    return found


def cluster_wide(kind: str, name: str, **more: Any) -> Json:
    made = stored(kind, name, **more)
    return made | {"metadata": {k: v for k, v in made["metadata"].items() if k != "namespace"}}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    found = Place(caches())
    app = web.Application()
    app.add_routes([web.patch(AT, found.apply), web.delete(AT, found.delete)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = Client(configuration)
    probing = Probing(None, lambda: None)
    probing.begun.set()
    found.networks = Networks(client, found.caches, probing)
    yield found
    await client.close()
    await runner.cleanup()


async def test_it_is_made_once_and_idle_is_silent(place: Place) -> None:
    of = await place.pass_()
    for _ in range(5):
        await place.pass_()
    assert (place.writes, of.network.restored) == ([f"apply {OWN}"], "")
    row = next(c for c in decide(of, START).status.controls if c.id == "access/network")
    assert (row.result, row.reason) == ("Pass", "NetworkPolicyInForce")


async def test_a_change_is_put_right_in_the_same_pass_and_said(place: Place) -> None:
    await place.pass_()
    place.seen(ingress=[{}])
    of = await place.pass_(1)
    assert (place.writes, of.network.restored) == ([f"apply {OWN}"] * 2, "was changed by kubectl-patch")
    assert (await place.pass_(2)).network.restored == ""
    assert len(place.writes) == 2


async def test_so_is_a_deletion(place: Place) -> None:
    await place.pass_()
    place.gone()
    assert (await place.pass_(1)).network.restored == "was deleted"
    assert place.writes == [f"apply {OWN}"] * 2


async def test_what_the_register_changes_is_written_and_is_nobodys_doing(place: Place) -> None:
    await place.pass_()
    changed = stored("AIModelDeployment", "scoring", spec=SPEC | {"access": {"clients": [{"namespace": "a"}], "ports": [80]}})
    place.caches.deployments.put(changed | {"metadata": changed["metadata"] | {"resourceVersion": "2"}})
    of = await place.pass_(1)
    assert (place.writes, of.network.restored) == ([f"apply {OWN}"] * 2, "")


async def test_somebody_who_keeps_changing_it_is_not_fought(place: Place) -> None:
    await place.pass_()
    for n in range(40):
        place.seen(ingress=[{}])
        of = await place.pass_(1 + n)
    assert place.writes == [f"apply {OWN}"] * 6
    assert of.network.contest == Contest("kubectl-patch", START + timedelta(seconds=100))
    await place.pass_(99)
    assert len(place.writes) == 6
    assert (await place.pass_(100)).network.contest is None
    assert len(place.writes) == 7


async def test_nor_is_a_webhook_that_twists_every_write(place: Place) -> None:
    place.twisting = {"ingress": [{}]}
    for n in range(40):
        of = await place.pass_(n / 2)
    assert place.writes == [f"apply {OWN}"] * 6
    assert of.network.contest is not None
    for n in range(20 * 60):
        await place.pass_(20 + n)
    assert len(place.writes) == 6 + 20


async def test_who_applies_it_too_is_left_at_once_and_it_is_taken_up_again_when_it_is_gone(place: Place) -> None:
    await place.pass_()
    place.seen(manager="argocd-controller", operation="Apply", ingress=[{}])
    for n in range(5):
        assert (await place.pass_(n)).network.contest == Contest("argocd-controller")
    assert len(place.writes) == 1
    place.gone()
    of = await place.pass_(6)
    assert (len(place.writes), of.network.contest, of.network.restored) == (2, None, "was deleted")


async def test_somebody_elses_object_of_that_name_is_neither_written_nor_deleted(place: Place) -> None:
    place.seen(manager="kubectl-create")
    place.seen("aiqms-other", manager="kubectl-create")
    of = await place.pass_()
    assert (place.writes, of.network.contest) == ([], Contest("kubectl-create", theirs=True))


async def test_it_goes_when_no_procedure_asks_any_more(place: Place) -> None:
    await place.pass_()
    audit = cluster_wide("QMSProcedure", "rule", spec=PROCEDURE | {"enforcement": "Audit"})
    place.caches.procedures.put(audit | {"metadata": audit["metadata"] | {"resourceVersion": "2"}})
    for n in range(3):
        await place.pass_(n)
    assert place.writes == [f"apply {OWN}", f"delete {OWN}"]


async def test_it_goes_with_the_register_entry(place: Place) -> None:
    await place.pass_()
    place.caches.deployments.event("DELETED", stored("AIModelDeployment", "scoring", spec=SPEC))
    facts = await gather(NAMESPACE, place.caches, InputReader(place.networks.client, place.caches))
    assert facts
    await place.networks.settle(NAMESPACE, facts, START)
    assert (place.writes, place.networks.guards) == ([f"apply {OWN}", f"delete {OWN}"], {})


async def test_a_namespace_that_was_taken_out_is_looked_at_until_nothing_of_ours_is_there(place: Place) -> None:
    await place.pass_()
    place.caches.deployments.event("DELETED", stored("AIModelDeployment", "scoring", spec=SPEC))
    namespace = cluster_wide("Namespace", NAMESPACE)
    place.caches.namespaces.put(namespace | {"metadata": namespace["metadata"] | {"resourceVersion": "2", "labels": {}}})
    assert place.caches.concerned() == {NAMESPACE}
    facts = await gather(NAMESPACE, place.caches, InputReader(place.networks.client, place.caches))
    assert facts
    await place.networks.settle(NAMESPACE, facts, START)
    assert (place.writes[-1], place.caches.concerned()) == (f"delete {OWN}", set())


async def test_a_write_that_fails_is_said_and_tried_again(place: Place) -> None:
    place.refusing = 500
    of = await place.pass_()
    assert (of.network.failing and of.network.failing.why, str(place.failure)) == (
        "500 InternalError: no webhook there",
        f"NetworkPolicy {OWN}: 500 InternalError: no webhook there",
    )
    assert isinstance(place.failure, NotWritten)
    since = of.network.failing.since if of.network.failing else None
    later = (await place.pass_(30)).network.failing
    assert later
    assert later.since == since
    place.refusing = 0
    done = (await place.pass_(40)).network.failing
    assert [done, place.failure] == [None, None]


async def test_a_new_leader_tries_again_where_its_first_probe_says_nothing() -> None:
    asked: list[datetime] = []

    async def silent_then_enforced(now: datetime) -> Probe:
        asked.append(now)
        return Probe(Outcome.ENFORCED, now) if len(asked) > 1 else Probe(Outcome.SILENT, now, "no answer yet")

    told: list[Probe | None] = []
    probing = Probing(silent_then_enforced, lambda: told.append(probing.current))
    await probing.first()
    assert (len(asked), [p.outcome for p in told if p]) == (2, [Outcome.SILENT, Outcome.ENFORCED])


async def enforced(now: datetime) -> Probe:
    return Probe(Outcome.ENFORCED, now)


async def test_what_the_leader_before_found_counts_until_the_first_probe(place: Place) -> None:
    place.networks.probing.begun.clear()
    assert not (await place.pass_()).network.pending, "where no probe is set up, none is to come"
    place.networks.probing.dial = enforced
    assert (await place.pass_()).network.pending
    place.networks.probing.begun.set()
    assert not (await place.pass_()).network.pending


async def test_an_answer_that_changes_nothing_wakes_nobody() -> None:
    told: list[bool] = []
    probing = Probing(enforced, lambda: told.append(True))
    for _ in range(3):
        await probing.once()
    assert told == [True]
