"""kubectl-qms: what a person asks of the quality management system at a terminal (kubectl finds it on the PATH as `kubectl qms`)."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import yaml
from rich.console import Console
from rich.text import Text

from aiqms.api.crds import PROCEDURE
from aiqms.api.values import Json
from aiqms.cli import offline
from aiqms.cli.connection import CannotAsk, connect
from aiqms.cli.explanation import Explanation, explain
from aiqms.cli.reading import gather
from aiqms.cli.text import lines

KINDS = ("aimd", "aimodeldeployment", "aimodeldeployments", "aimodeldeployment.aiqms.dev", "aimodeldeployments.aiqms.dev")


class Exit(IntEnum):
    """How a command ends. USAGE is typer's own."""

    YES = 0
    NO = 1  # explain: what is wanted now is not cleared; fingerprint: the manifests do not tell
    USAGE = 2
    CANNOT_ASK = 3  # the cluster does not answer, or does not let this person read


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


app = typer.Typer(
    name="kubectl-qms",
    help="The AI quality management system of a cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _commands() -> None:
    """So that one command alone is still a command."""


def _deployment_name(value: str) -> str:
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in KINDS:
        raise typer.BadParameter(f"explain knows AIModelDeployments: write aimd/{name}, not {value}")
    return name


HELP = """Says whether an AIModelDeployment may run, what stands in the way, who can lift it, and what they run.

A GPU pod in a governed namespace needs three things: the label aiqms.dev/deployment: NAME in its workload's pod template,
an AIModelDeployment NAME in its namespace that lists the workload, and the approvals that the procedures ask for.
Explain a name that is not registered yet, and the manifest to fill in is printed.

Ends with 0 if what is wanted now is cleared, 1 if not or if nothing of that name is registered, 2 on wrong usage,
3 if the cluster could not be asked."""


@app.command(name="explain", help=HELP)
def explain_command(
    name: Annotated[str, typer.Argument(metavar="[aimd/]NAME", help="The deployment.", callback=_deployment_name)],
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Its namespace; default: the context's.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="The kubeconfig context; default: the current one.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    explanation = explain(gather(connect(context=context, namespace=namespace), name))
    if output in FOR_PROGRAMS:
        FOR_PROGRAMS[output](explanation.dump())
    else:
        _print_text(explanation)
    raise typer.Exit(Exit.NO if explanation.blocked else Exit.YES)


def _print_text(explanation: Explanation) -> None:
    console = Console(highlight=False)
    width = shutil.get_terminal_size().columns if console.is_terminal else None
    for line in lines(explanation, width=width):
        console.print(Text(line.text, line.style), soft_wrap=True)


def _print_json(value: Json | list[Json]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_yaml(value: Json | list[Json]) -> None:
    plain = json.loads(json.dumps(value))  # enums and tuples as YAML knows them
    typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)


FOR_PROGRAMS: dict[Output, Callable[[Json | list[Json]], None]] = {Output.JSON: _print_json, Output.YAML: _print_yaml}

FINGERPRINT_HELP = """Prints the fingerprint of the subject that manifests make, without a cluster: what an approval of them has to name.

Give the AIModelDeployment, the workloads that it lists, the ConfigMaps that their pods read and the procedures that apply
(and the Namespace, where a procedure selects namespaces by label). Where the chart's gate values were changed, give them too.

Ends with 0, or with 1 if the manifests do not tell, and says what is missing."""


@app.command(name="fingerprint", help=FINGERPRINT_HELP)
def fingerprint_command(
    files: Annotated[list[Path], typer.Option("--filename", "-f", help="A manifest, or a folder of them; may be repeated.")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of objects that name none.")] = "default",
    values: Annotated[Path | None, typer.Option("--values", help="The values that the chart is installed with, where they change gate.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TEXT,
) -> None:
    manifests = offline.read(files, namespace=namespace)
    found = offline.subjects(manifests, offline.rules(values))
    if not manifests.of_kind(PROCEDURE.kind):
        typer.echo("warning: no QMSProcedure among these manifests; where one applies in the cluster, the fingerprint there is another", err=True)
    rows = [{"namespace": where, "name": name, "fingerprint": s.fingerprint, "components": s.components.dump()} for (where, name), s in found.items()]
    if output in FOR_PROGRAMS:
        FOR_PROGRAMS[output](rows)
        return
    for row in rows:
        typer.echo(f"{row['namespace']}/{row['name']}  {row['fingerprint']}")


def main() -> None:
    """The entry point. Errors are one line that says what to do, never a stack trace."""
    try:
        app()
    except offline.OfflineError as error:
        _give_up(error, Exit.NO)
    except CannotAsk as error:
        _give_up(error, Exit.CANNOT_ASK)


def _give_up(error: Exception, code: Exit) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    sys.exit(code)
