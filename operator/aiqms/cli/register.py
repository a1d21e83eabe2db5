"""The register as a person may read it: every AIModelDeployment of the namespaces that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from aiqms.api.values import API_VERSION, Json
from aiqms.cli.connection import Connection, Refused, in_namespace
from aiqms.cli.reading import NotInstalled

Namespaces = Annotated[list[str] | None, typer.Option("--namespace", "-n", help="One namespace, or several: repeat it. Default: all.")]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces, as by default.")]
PLURAL = "aimodeldeployments"


@dataclass(frozen=True)
class Register:
    """deployments: by namespace and name. version: of the list, to watch from; per path. note: what of it could not be read, and what to do."""

    deployments: tuple[Json, ...]
    versions: tuple[tuple[str, str], ...]
    note: str = ""


def read(connection: Connection, namespaces: Sequence[str]) -> Register:
    """All of the namespaces, or of the cluster where none is given; where that may not be read, of the connection's namespace, with a note.

    Raises NotInstalled, Refused and CannotAsk.
    """
    if namespaces:
        return _listed(connection, [path_of(n) for n in dict.fromkeys(namespaces)])
    try:
        return _listed(connection, [path_of(None)])
    except Refused as refusal:
        if refusal.code != 403:
            raise
    here = _listed(connection, [path_of(connection.namespace)], hint="name the namespaces where you may with -n, once for each; ")
    note = f"you may not list {PLURAL} in all namespaces, so this is namespace {connection.namespace} alone: name others with -n, once for each"
    return Register(here.deployments, here.versions, note)


def path_of(namespace: str | None) -> str:
    """Where the deployments of a namespace, or of all, are listed."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}" if namespace else f"/apis/{API_VERSION}/{PLURAL}"


def _listed(connection: Connection, paths: Sequence[str], *, hint: str = "") -> Register:
    found: list[Json] = []
    versions: list[tuple[str, str]] = []
    for path in paths:
        answer = _list(connection, path, hint)
        found += answer.get("items") or []
        versions.append((path, answer["metadata"].get("resourceVersion", "")))
    return Register(tuple(sorted(found, key=identity)), tuple(versions))


def _list(connection: Connection, path: str, hint: str) -> Json:
    try:
        return connection.get(path)
    except Refused as refusal:
        if refusal.code == 404:
            raise NotInstalled from refusal
        if refusal.code == 403:
            raise Refused(403, f"{refusal}; {hint}ClusterRole view, edit, admin or aiqms-view in the namespace lets you read it") from refusal
        raise


def identity(deployment: Json) -> tuple[str, str]:
    """Namespace and name."""
    return deployment["metadata"].get("namespace", ""), deployment["metadata"]["name"]


def by_namespace(connection: Connection, register: Register) -> list[tuple[Connection, list[Json]]]:
    """The deployments of each namespace, beside a connection to it."""
    names = dict.fromkeys(identity(d)[0] for d in register.deployments)
    return [(in_namespace(connection, n), [d for d in register.deployments if identity(d)[0] == n]) for n in names]
