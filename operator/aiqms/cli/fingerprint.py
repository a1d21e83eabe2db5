"""`kubectl qms fingerprint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiqms.api.crds import PROCEDURE
from aiqms.api.values import Json
from aiqms.cli import manifests, offline
from aiqms.cli.connection import connect
from aiqms.cli.fingerprint_cluster import completed
from aiqms.cli.offline import Manifests
from aiqms.cli.terminal import Context, Format, Output, print_value

HELP = """Prints the fingerprint of the subject that manifests make, without a cluster: what an approval of them has to name.

Give the AIModelDeployment, the workloads that it lists, the ConfigMaps that their pods read and the procedures that apply
(and the Namespace, where a procedure selects namespaces by label). Where the chart's gate values were changed, give them too.
With --server-dry-run a cluster adds what was not given, and its own defaults; nothing is stored.

Ends with 0, with 1 if the manifests do not tell, and says what is missing, with 3 if the cluster could not be asked."""
FROM_CLUSTER = "Let the cluster fill in defaults by dry runs, and read there what was not given."


def command(
    *,
    files: Annotated[list[Path], typer.Option("--filename", "-f", help="A manifest, a folder of them, or - for standard input; repeatable.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of objects that name none.")] = "default",
    values: Annotated[Path | None, typer.Option("--values", help="The values that the chart is installed with, where they change gate.")] = None,
    server_dry_run: Annotated[bool, typer.Option("--server-dry-run", help=FROM_CLUSTER)] = False,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    given, rules = Manifests(manifests.read(files, namespace=namespace).objects, namespace), offline.rules(values)
    if server_dry_run:
        given = completed(given, connect(context=context, namespace=namespace), rules)
    found = offline.subjects(given, rules)
    if not given.of_kind(PROCEDURE.kind):
        typer.echo("warning: no QMSProcedure among these manifests; where one applies in the cluster, the fingerprint there is another", err=True)
    rows = [{"namespace": where, "name": name, "fingerprint": s.fingerprint, "components": s.components.dump()} for (where, name), s in found.items()]
    if output is Output.TEXT:
        _print_text(rows)
    else:
        print_value(rows, output)


def _print_text(rows: list[Json]) -> None:
    for row in rows:
        typer.echo(f"{row['namespace']}/{row['name']}  {row['fingerprint']}")
        for name, digest in row["components"].items():
            typer.echo(f"  {name.ljust(10)}  {digest}")
