"""`kubectl qms fingerprint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiqms.api.crds import PROCEDURE
from aiqms.cli import manifests, offline
from aiqms.cli.terminal import Format, Output, print_value

HELP = """Prints the fingerprint of the subject that manifests make, without a cluster: what an approval of them has to name.

Give the AIModelDeployment, the workloads that it lists, the ConfigMaps that their pods read and the procedures that apply
(and the Namespace, where a procedure selects namespaces by label). Where the chart's gate values were changed, give them too.

Ends with 0, or with 1 if the manifests do not tell, and says what is missing."""


def command(
    files: Annotated[list[Path], typer.Option("--filename", "-f", help="A manifest, or a folder of them; may be repeated.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of objects that name none.")] = "default",
    values: Annotated[Path | None, typer.Option("--values", help="The values that the chart is installed with, where they change gate.")] = None,
    output: Format = Output.TEXT,
) -> None:
    given = offline.Manifests(manifests.read(files, namespace=namespace).objects, namespace)
    found = offline.subjects(given, offline.rules(values))
    if not given.of_kind(PROCEDURE.kind):
        typer.echo("warning: no QMSProcedure among these manifests; where one applies in the cluster, the fingerprint there is another", err=True)
    rows = [{"namespace": where, "name": name, "fingerprint": s.fingerprint, "components": s.components.dump()} for (where, name), s in found.items()]
    if output is not Output.TEXT:
        print_value(rows, output)
        return
    for row in rows:
        typer.echo(f"{row['namespace']}/{row['name']}  {row['fingerprint']}")
