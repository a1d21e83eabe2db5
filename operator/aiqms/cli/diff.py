"""`kubectl qms diff`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from aiqms.api.crds import DEPLOYMENT, PROCEDURE
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.values import Json
from aiqms.cli import change, manifests, register, revisions, screen
from aiqms.cli.arguments import KINDS
from aiqms.cli.change import Change
from aiqms.cli.connection import CannotAsk, Connection, Refused, connect
from aiqms.cli.manifests import OfflineError
from aiqms.cli.offline import Manifests
from aiqms.cli.reading import REGISTER, deployment_of
from aiqms.cli.revisions import Revision
from aiqms.cli.terminal import Context, Exit, Format, Namespace, NotDone, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line

HELP = """Shows what changed, down to the fields.

Of a deployment: what it wants to run now against what was approved before (or, with --since, another subject that still serves);
with -f, what manifests would make of it against what is cleared now.

Of a procedure (qmsp/NAME): two revisions side by side, and what the newer one means for approvals that were given. With one -f, the cluster's
against the file's; with two, the first file's against the second's, without a cluster.

Ends with 0 if nothing differs, 1 if something does or cannot be compared, 2 on wrong usage, 3 if the cluster could not be asked."""
PROCEDURES = ("qmsp", "qmsprocedure", "qmsprocedures", "qmsprocedure.aiqms.dev", "qmsprocedures.aiqms.dev")


def _what(value: str) -> str:
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in KINDS + PROCEDURES:
        raise typer.BadParameter(f"diff compares deployments and procedures: write aimd/{name} or qmsp/{name}, not {value}")
    return f"qmsp/{name}" if kind.lower() in PROCEDURES else name


What = Annotated[str, typer.Argument(metavar="[aimd/]NAME|qmsp/NAME", help="The deployment, or the procedure.", callback=_what)]
Since = Annotated[str, typer.Option("--since", metavar="sha256:…", help="The subject to compare with, by the start of its fingerprint.")]
Files = Annotated[list[Path] | None, typer.Option("--filename", "-f", help="A manifest, a folder of them, or - for standard input; repeatable.")]


def command(*, what: What, since: Since = "", files: Files = None, namespace: Namespace = None, context: Context = None, output: Format = Output.TEXT) -> None:
    given = files or []
    if what.startswith("qmsp/"):
        raise typer.Exit(_procedure(what.removeprefix("qmsp/"), given, context, output))
    connection = connect(context=context, namespace=namespace)
    found = _of_files(connection, what, given, since) if given else _of_cluster(connection, what, since)
    if output is Output.TEXT:
        print_lines(_lines(what, connection.namespace, found, width=terminal_width()))
    else:
        print_value({"namespace": connection.namespace, "name": what, **asdict(found)}, output)
    raise typer.Exit(Exit.NO if found.components or found.parts or found.unseen else Exit.YES)


def _lines(name: str, namespace: str, found: Change, *, width: int | None) -> Iterator[Line]:
    yield Line(f"{name} in namespace {namespace}", "bold")
    yield from screen.since(found, width=width)


def _of_cluster(connection: Connection, name: str, since: str) -> Change:
    deployment = deployment_of(connection, name)
    if deployment is None:
        raise NotDone(f"namespace {connection.namespace} has no AIModelDeployment {name}: see kubectl qms status -n {connection.namespace}")
    return change.read(connection, deployment, since=since)


def _of_files(connection: Connection, name: str, files: Sequence[Path], since: str) -> Change:
    """What the manifests would make of it."""
    given = Manifests(manifests.read(files, namespace=connection.namespace).objects, connection.namespace)
    deployment = given.find(DEPLOYMENT.kind, connection.namespace, name) or deployment_of(connection, name)
    if deployment is None:
        raise OfflineError(f"no {DEPLOYMENT.kind} {name} of namespace {connection.namespace} in these manifests, nor in the cluster: give its file too")
    return change.of_manifests(connection, given, deployment, since=since)


def _procedure(name: str, files: Sequence[Path], context: str | None, output: Output) -> Exit:
    """NO where they differ."""
    if len(files) not in (1, 2):
        raise typer.BadParameter("give the new procedure with -f, or the old and the new one with two")
    before, touched = (_of_file(name, files[0]), []) if len(files) == 2 else _stored(name, context)
    after = _of_file(name, files[-1])
    found = revisions.fields(before.spec, after.spec)
    if output is Output.TEXT:
        print_lines(revisions.lines(before, after, touched, width=terminal_width()))
    else:
        said = [asdict(f) | {"judged": f.judged} for f in found]
        print_value({"name": name, "fields": said, "consequences": list(revisions.consequences(before, after, found)), "judges": touched}, output)
    return Exit.NO if found else Exit.YES


def _of_file(name: str, file: Path) -> Revision:
    found = [m.obj for m in manifests.read([file]).of_kind(PROCEDURE.kind) if m.name == name]
    if not found:
        raise OfflineError(f"{file}: no {PROCEDURE.kind} {name}: give the file that has it")
    return Revision(str(file), name, _whole(str(file), found[-1]))


def _whole(where: str, procedure: Json) -> Json:
    """Its spec with the defaults that the API server adds. Raises OfflineError for one that it would refuse."""
    try:
        return ProcedureSpec.model_validate(procedure.get("spec") or {}).dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise OfflineError(f"{where}: spec.{'.'.join(map(str, first['loc']))}: {first['msg']} (kubectl qms lint says more)") from error


def _stored(name: str, context: str | None) -> tuple[Revision, list[str]]:
    """The cluster's, and the deployments that are judged by it, as far as they may be read."""
    connection = connect(context=context, namespace=None)
    try:
        stored = connection.get(f"{REGISTER}/qmsprocedures/{name}")
    except Refused as refusal:
        if refusal.code == 404:
            raise NotDone(f"the cluster has no QMSProcedure {name}: kubectl get qmsp lists them") from refusal
        raise Refused(refusal.code, f"{refusal}; a ClusterRoleBinding to ClusterRole aiqms-view lets you read procedures") from refusal
    return Revision("the cluster", name, _whole(f"QMSProcedure {name}", stored)), list(_touched(connection, name))


def _touched(connection: Connection, name: str) -> Iterator[str]:
    try:
        found = register.read(connection, []).deployments
    except CannotAsk:
        return  # who may not list them is told the rest all the same
    for one in found:
        if any(p["name"] == name for p in (one.get("status") or {}).get("procedures") or []):
            yield "/".join(register.identity(one))
