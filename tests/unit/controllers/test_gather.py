"""What gathering makes of stored objects: the stores hold what the API server would send, and nothing asks it."""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client import Configuration

from aiqms.api.values import API_VERSION, Json
from aiqms.cluster.caches import Caches, caches
from aiqms.cluster.client import Client
from aiqms.cluster.inputs import InputReader
from aiqms.controllers.gather import gather
from aiqms.gate.rules import DEFAULTS

NAMESPACE = "lending"
DIGEST = "sha256:" + "0" * 64
SPEC: Json = {
    "intendedPurpose": "Score applications",
    "riskClass": "High",
    "role": "Provider",
    "owner": {"name": "Lending", "contact": "lending@bank.example"},
    "model": {"name": "llm", "version": "1", "uri": "oci://registry.bank.example/llm", "digest": DIGEST},
    "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}],
}


def stored(kind: str, name: str, namespace: str = NAMESPACE, **more: Any) -> Json:
    """An object with the metadata that the API server gives it."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2027-01-01T00:00:00Z",
    }
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, **more}


def record(deployment: str, decision: str) -> Json:
    spec = {"deployment": deployment, "subject": DIGEST, "role": "model-owner", "decision": decision}
    return stored("ApprovalRecord", f"{deployment}-{decision.lower()}", spec=spec)


def known(*records: Json) -> Caches:
    found = caches(DEFAULTS, lambda _: None, lambda: None)
    namespace = stored("Namespace", NAMESPACE)
    found.namespaces.put(namespace | {"metadata": namespace["metadata"] | {"namespace": "", "labels": {"aiqms.dev/governed": "true"}}})
    for name in ("scoring", "fraud"):
        found.deployments.put(stored("AIModelDeployment", name, spec=SPEC))
    for each in records:
        found.records.put(each)
    return found


async def unreadable(of: Caches) -> dict[str, str]:
    client = Client(Configuration())
    try:
        facts = await gather(NAMESPACE, of, InputReader(client, of))
    finally:
        await client.close()
    assert facts
    return {name: given.unreadable for name, given in facts.registered.items()}


async def test_invariant_7_a_record_that_cannot_be_read_keeps_its_deployment_from_being_cleared_anew() -> None:
    found = await unreadable(known(record("scoring", "Frobnicate"), record("fraud", "Approve")))
    assert found["fraud"] == ""
    assert found["scoring"].startswith("apr/scoring-frobnicate could not be read: spec.decision: ")
