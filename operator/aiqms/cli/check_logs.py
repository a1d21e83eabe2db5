"""`kubectl qms check-logs`: ask the log stores now, as the operator does, from wherever the person is."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from aiqms.api.crds import DEPLOYMENT, PROCEDURE
from aiqms.api.deployment import Control, DeploymentSpec, Result
from aiqms.api.values import Json
from aiqms.cli import manifests, offline
from aiqms.cli.arguments import deployment_name
from aiqms.cli.connection import CannotAsk, Connection, Refused, connect
from aiqms.cli.manifests import OfflineError
from aiqms.cli.offline import Manifests
from aiqms.cli.reading import REGISTER, deployment_of
from aiqms.cli.terminal import Context, Exit, Format, Namespace, NotDone, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import MARKS, STYLES, Line, wrapped
from aiqms.cluster.client import ApiError, path
from aiqms.policy import retention
from aiqms.policy.approvals import sifted
from aiqms.policy.decide import ready
from aiqms.policy.facts import Input
from aiqms.policy.logs import Checked, Trouble
from aiqms.policy.sinks import Wanted, merged, wanted
from aiqms.policy.words import plural
from aiqms.retention.means import Sink

HELP = """Asks the log stores of AIModelDeployments what they keep, sends a canary and reads it back, tries to delete it where protection is asked,
and says what the operator will say of that: which setting of which product to change.

Without NAME every deployment of the namespace. With -f nothing has to be registered yet: give the register entry, and the procedures, Namespace,
Secrets and ConfigMaps that are not in the cluster. Secrets are read as you. A store is reached from where you are, which may be another network
than the operator's.

Ends with 0 if every stream is kept as asked, 1 if not or if nothing asks for logs, 2 on wrong usage, 3 if the cluster could not be asked."""
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The deployment; default: all.", callback=lambda v: v and deployment_name(v))]
Files = Annotated[list[Path] | None, typer.Option("--filename", "-f", help="A manifest, a folder of them, or - for standard input; repeatable.")]
_AT_ONCE = 4
_PLURALS = {"Secret": "secrets", "ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims", "PersistentVolume": "persistentvolumes"}


@dataclass(frozen=True)
class Said:
    """A row of one deployment."""

    namespace: str
    deployment: str
    control: Control

    def dump(self) -> Json:
        """For programs."""
        return {"namespace": self.namespace, "deployment": self.deployment} | self.control.dump()


@dataclass(frozen=True)
class Objects:
    """What the sinks name: from the manifests, by path, else from the cluster, where there is one."""

    given: Mapping[str, Json]
    connection: Connection | None

    async def get(self, at: str) -> Json:
        """Raises ApiError."""
        if at in self.given:
            return self.given[at]
        if self.connection is None:
            raise ApiError(404, "NotFound", "not in the manifests, and no cluster is asked")
        try:
            return await asyncio.to_thread(self.connection.get, at)
        except Refused as refusal:
            raise ApiError(refusal.code, "", str(refusal)) from refusal
        except CannotAsk as error:
            raise ApiError(503, "", str(error)) from error


def command(*, name: Name = None, files: Files = None, namespace: Namespace = None, context: Context = None, output: Format = Output.TEXT) -> None:
    read, connection = _read(name, files or [], context, namespace)
    inputs = list(_inputs(read, name))
    if not inputs:
        raise NotDone(_nothing(name, read.namespace, files))
    known = asyncio.run(checked([w for i in inputs for w in wanted(i)], Objects(_by_path(read), connection)))
    said = [row for given in inputs for row in judged(given, known)]
    if not said:
        raise NotDone("no procedure that applies asks for logs: the platform team sets logging.streams in one")
    if output is Output.TEXT:
        print_lines(lines(said, width=terminal_width()))
    else:
        print_value([s.dump() for s in said], output)
    raise typer.Exit(Exit.NO if any(s.control.result in (Result.FAIL, Result.ERROR) for s in said) else Exit.YES)


def _nothing(name: str | None, namespace: str, files: Sequence[Path] | None) -> str:
    where = "in these manifests" if files else f"in namespace {namespace}"
    return f"no AIModelDeployment {name or ''} {where}: see kubectl qms status".replace("  ", " ")


def _read(name: str | None, files: Sequence[Path], context: str | None, namespace: str | None) -> tuple[Manifests, Connection | None]:
    """Everything that was given, and what of the register and the procedures lies in the cluster. Raises OfflineError, CannotAsk."""
    try:
        connection = connect(context=context, namespace=namespace)
    except CannotAsk:
        if not files:
            raise
        connection = None
    where = namespace or (connection.namespace if connection else "default")
    found = manifests.read(files, namespace=where).applied().objects
    if not files:
        assert connection
        found = [*_register(connection, name), connection.get(f"/api/v1/namespaces/{connection.namespace}")]
    return Manifests([*found, *_procedures(found, connection)], where), connection


def _register(connection: Connection, name: str | None) -> list[Json]:
    if name:
        one = deployment_of(connection, name)
        return [one | {"kind": DEPLOYMENT.kind}] if one else []
    items = connection.get(f"{REGISTER}/namespaces/{connection.namespace}/{DEPLOYMENT.plural}").get("items") or []
    return [item | {"kind": DEPLOYMENT.kind} for item in items]


def _procedures(found: Sequence[Json], connection: Connection | None) -> list[Json]:
    """Those of the cluster, unless some were given."""
    if any(o["kind"] == PROCEDURE.kind for o in found):
        return []
    if connection is None:
        raise OfflineError(f"no {PROCEDURE.kind} in these manifests, and no cluster is asked: give the files of the procedures too")
    items = connection.get(f"{REGISTER}/{PROCEDURE.plural}").get("items") or []
    return [item | {"kind": PROCEDURE.kind} for item in items]


def _inputs(read: Manifests, name: str | None) -> Iterator[Input]:
    """A deployment that is not in a governed namespace yet is asked about all the same: somebody wants to know beforehand."""
    for deployment in read.of_kind(DEPLOYMENT.kind):
        if name in (None, deployment["metadata"]["name"]):
            spec, procedures = offline.registered(read, deployment)
            yield Input(namespace=read.place(deployment), name=deployment["metadata"]["name"], spec=spec, procedures=tuple(procedures))


def _by_path(read: Manifests) -> dict[str, Json]:
    found = [(o, _PLURALS[o["kind"]]) for o in read.objects if o["kind"] in _PLURALS]
    return {path("v1", plural, "" if plural == "persistentvolumes" else read.place(o), o["metadata"]["name"]): _encoded(o) for o, plural in found}


def _encoded(obj: Json) -> Json:
    """A Secret as the API server stores it."""
    more = {k: base64.b64encode(str(v).encode()).decode() for k, v in (obj.get("stringData") or {}).items()}
    return obj | {"data": {**(obj.get("data") or {}), **more}} if obj["kind"] == "Secret" else obj


async def checked(wants: Sequence[Wanted], objects: Objects) -> dict[str, Checked]:
    """Each sink once, by key, a few at once, with a bar on a terminal that says how many have answered."""
    by_key: dict[str, list[Wanted]] = {}
    for want in wants:
        by_key.setdefault(want.key, []).append(want)
    limit = asyncio.Semaphore(_AT_ONCE)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(f"asking {plural(len(by_key), 'log store')}", total=len(by_key))

        async def one(key: str, same: Sequence[Wanted]) -> tuple[str, Checked]:
            async with limit:
                found = await _checked(same, objects)
            bar.advance(task)
            return key, found

        return dict(await asyncio.gather(*(one(key, same) for key, same in by_key.items())))


async def _checked(same: Sequence[Wanted], objects: Objects) -> Checked:
    ask = merged(w.ask for w in same)
    try:
        now = datetime.now(UTC).replace(microsecond=0)
        return Checked().answered(await Sink(objects, same[0].namespace, same[0].registered, who=None).check(ask, now), ask, now)
    except Trouble as trouble:
        return Checked().unanswered(trouble)


def judged(given: Input, known: Mapping[str, Checked]) -> list[Said]:
    """As the operator would judge this deployment's streams by what was just seen. Pure, but for the time."""
    seen = replace(given, logs={w.registered.name: known[w.key] for w in wanted(given)})
    assert isinstance(seen.spec, DeploymentSpec)  # one that cannot be read was refused with the manifests
    facts = ready(seen, seen.spec, sifted(()), datetime.now(UTC))
    return [Said(given.namespace, given.name, row.control) for row in retention.streams(facts)]


def lines(said: Sequence[Said], *, width: int | None) -> Iterator[Line]:
    """By deployment. Pure."""
    before = ""
    for one in said:
        head = f"{one.deployment} in namespace {one.namespace}"
        if head != before:
            yield Line(head, "bold")
        before = head
        control, several = one.control, len({s.control.procedure for s in said}) > 1
        label = f"{control.id} ({control.procedure})" if several else control.id
        yield from wrapped(control.message, f"  {MARKS[control.result]} {label}  ", " " * 6, width, STYLES[control.result])
