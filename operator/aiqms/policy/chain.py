"""The chain of checks: what is asked of a deployment, in the order in which a person reads the answers. The list is the documentation."""

from __future__ import annotations

from aiqms.policy import accountability, checks, endpoints, identity, network, older, retention, rights, storage, supply
from aiqms.policy.checks import Check, Facts, Row

CHAIN: list[Check] = [
    accountability.stop,
    checks.risk_class,
    checks.lifecycle,
    checks.procedures,
    checks.review,
    checks.workloads,
    checks.inputs,
    supply.model,
    supply.model_uri,
    supply.pinned_images,
    supply.registries,
    supply.pull_secrets,
    checks.room,
    network.network,
    network.network_unverified,
    identity.identity,
    storage.storage,
    endpoints.endpoints,
    endpoints.tls,
    retention.streams,
    accountability.emergency,
    accountability.editors,
    rights.editors,
    rights.rights,
    rights.separation,
    rights.review_every,
    checks.approvals,
]
SHOWN: list[Check] = [checks.class_lowered, older.approved_before, checks.pods]  # looked at once it is decided what is cleared, which they do not change


def judged(facts: Facts) -> list[Row]:
    """The rows that decide what is cleared, in the chain's order."""
    return [row for check in CHAIN for row in check(facts)]


def shown(facts: Facts) -> list[Row]:
    """The rows that are shown beside them."""
    return [row for check in SHOWN for row in check(facts)]
