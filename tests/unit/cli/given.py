"""What the tests of deciding commands stand on: a deployment that waits, its records, and a person whose rights are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubernetes.client import ApiClient, Configuration

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli.case import Case
from aiqms.cli.connection import Connection
from aiqms.cli.rights import NOBODYS_ROLE, Rights, verb_of

NEW, OLD = "sha256:9f2c41d0" + "a" * 56, "sha256:51d0e7b3" + "b" * 56
PROCEDURE = "high-risk-inference"
RULES: dict[str, Json] = {PROCEDURE: {"stop": {"roles": ["incident-commander"]}, "emergency": {"roles": ["incident-commander"]}}}


def place(role: str, given: int, required: int, *by: str, until: str | None = None, procedure: str = PROCEDURE) -> Json:
    return {"role": role, "procedure": procedure, "required": required, "given": given, "by": list(by)} | ({"validUntil": until} if until else {})


def control(id_: str, result: str, reason: str, message: str, procedure: str = PROCEDURE) -> Json:
    return {"id": id_, "procedure": procedure, "result": result, "reason": reason, "message": message}


def status(**changes: Any) -> Json:
    """Of a deployment whose new model waits for its second risk-manager."""
    return {
        "observedGeneration": 3,
        "phase": "ChangePending",
        "model": "credit-llm:4.2.0",
        "subject": {"fingerprint": NEW, "components": {}, "changed": ["model", "workload"]},
        "serving": {"fingerprint": OLD, "validUntil": "2027-02-20T10:00:00Z"},
        "approvals": [place("model-owner", 1, 1, "alice"), place("risk-manager", 1, 2, "bob")],
        "procedures": [{"name": PROCEDURE, "revision": 7, "enforcement": "Enforce"}],
        "controls": [
            control("approvals/model-owner", "Pass", "Approved", "1 of 1 given: alice"),
            control("approvals/risk-manager", "Fail", "ApprovalMissing", "1 of 2 given: bob"),
        ],
        "pods": {"running": 3, "held": 1, "before": 0},
        "conditions": [{"type": "Ready", "status": "False", "reason": "ApprovalMissing", "message": "approvals are missing"}],
    } | changes


SPEC: Json = {
    "intendedPurpose": "Score applications for a human underwriter",
    "riskClass": "High",
    "role": "Provider",
    "model": {"name": "credit-llm", "version": "4.2.0", "uri": "oci://registry.bank.example/credit-llm", "digest": "sha256:" + "4" * 64},
    "datasets": [{"name": "applications", "version": "2025-12", "use": "Training", "classification": "Confidential", "digest": "sha256:" + "5" * 64}],
    "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit-scoring"}],
}


def deployment(state: Json | None = None, *, editor: str = "mallory", name: str = "credit-scoring", namespace: str = "lending") -> Json:
    metadata = {"name": name, "namespace": namespace, "generation": 3, "annotations": {"aiqms.dev/edited-by": editor}}
    return {"metadata": metadata, "spec": SPEC, "status": status() if state is None else state}


def record(name: str, decision: str, who: str, role: str = "risk-manager", *, counts: bool = True, at: str = "2026-11-22T10:00:00Z", **spec: Any) -> Json:
    told = spec.pop("reason", "Counted"), spec.pop("message", "so")
    spec = {"deployment": "credit-scoring", "decision": decision, "subject": NEW, "role": role, "approver": {"username": who}} | spec
    stated = {"counts": counts, "reason": told[0], "message": told[1]}
    return {"metadata": {"name": name, "namespace": "lending", "creationTimestamp": at}, "spec": spec, "status": stated}


def connection() -> Connection:
    """To nowhere: what is tested asks nothing that is not known."""
    return Connection(ApiClient(Configuration()), "lending")


def rights(*roles: str, wildcard: bool = False, known: Iterable[str] = ("model-owner", "risk-manager", "incident-commander", "clown")) -> Rights:
    """Of a person who holds these roles by name; or all of them by a wildcard."""
    answers: dict[tuple[str, str], bool] = {}
    for verb in map(verb_of, Decision):
        answers |= {(role, verb): wildcard or role in roles for role in known} | {(NOBODYS_ROLE, verb): wildcard}
    return Rights(connection(), answers, makes_records=True)


def case(
    me: str = "carol", *roles: str, state: Json | None = None, records: Iterable[Json] = (), procedures: dict[str, Json] | None = RULES, **more: Any
) -> Case:
    """A person who looks at the deployment; carol is a risk-manager if nothing else is said."""
    held = rights(*(roles or ("risk-manager",)), wildcard=more.pop("wildcard", False))
    found = deployment(state, editor=more.pop("editor", "mallory"))
    return Case(connection(), held, me, "credit-scoring", more.pop("found", found), tuple(records), procedures)
