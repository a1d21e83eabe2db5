"""Reads from the API server as the person at the terminal. What the person may not read is left unknown, never guessed."""

from __future__ import annotations

from aiqms.api.values import GROUP, VERSION, Json
from aiqms.cli.connection import Connection, Refused
from aiqms.gate.rules import GOVERNED, LABEL

REGISTER = f"/apis/{GROUP}/{VERSION}"
INSTALL = "helm upgrade --install aiqms charts/aiqms -n aiqms-system --create-namespace"


class NotInstalled(Refused):
    """The cluster has no AIModelDeployments at all."""

    def __init__(self) -> None:
        super().__init__(404, f"this cluster has no AIModelDeployments: AIQMS is not installed ({INSTALL}), or this is another cluster")


def deployment_of(connection: Connection, name: str) -> Json | None:
    """The AIModelDeployment, None where nothing of that name is registered. Raises NotInstalled, Refused and CannotAsk."""
    try:
        return connection.get(f"{REGISTER}/namespaces/{connection.namespace}/aimodeldeployments/{name}")
    except Refused as refusal:
        if refusal.code == 403:
            raise Refused(403, f"{refusal}; ClusterRole view, edit, admin or aiqms-view in namespace {connection.namespace} lets you read it") from refusal
        if refusal.code != 404:
            raise
    try:
        connection.get(REGISTER)
    except Refused as refusal:
        if refusal.code == 404:
            raise NotInstalled from refusal
        raise
    return None


def readable(connection: Connection, path: str, query: dict[str, str] | None = None) -> Json | None:
    """The object or list; None where it is not there or this person may not read it."""
    try:
        return connection.get(path, query)
    except Refused as refusal:
        if refusal.code in (403, 404):
            return None
        raise


def readable_items(connection: Connection, path: str, query: dict[str, str] | None = None) -> list[Json] | None:
    """The objects of a list; None where this person may not read it."""
    found = readable(connection, path, query)
    return None if found is None else found.get("items") or []


def governed(connection: Connection) -> bool | None:
    """Whether the gate judges the namespace; None where the namespace may not be read."""
    found = readable(connection, f"/api/v1/namespaces/{connection.namespace}")
    return None if found is None else GOVERNED in (found["metadata"].get("labels") or {})


def registered(connection: Connection) -> tuple[str, ...]:
    """The names of the deployments in the namespace."""
    found = readable_items(connection, f"{REGISTER}/namespaces/{connection.namespace}/aimodeldeployments")
    return tuple(sorted(item["metadata"]["name"] for item in found or []))


def labelled(connection: Connection, name: str) -> int | None:
    """How many pods of the namespace name this deployment."""
    found = readable_items(connection, f"/api/v1/namespaces/{connection.namespace}/pods", {"labelSelector": f"{LABEL}={name}"})
    return None if found is None else len(found)


def records_of(connection: Connection, name: str) -> tuple[Json, ...] | None:
    """The records about one deployment; None where this person may not read them."""
    found = readable_items(connection, f"{REGISTER}/namespaces/{connection.namespace}/approvalrecords")
    return None if found is None else tuple(r for r in found if r["spec"].get("deployment") == name)


def procedures_of(connection: Connection) -> dict[str, Json] | None:
    """The spec of each procedure, by name; None where this person may not read them."""
    found = readable_items(connection, f"{REGISTER}/qmsprocedures")
    return None if found is None else {p["metadata"]["name"]: p.get("spec") or {} for p in found}
