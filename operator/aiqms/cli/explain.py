"""`kubectl qms explain`."""

from __future__ import annotations

import typer

from aiqms.cli.arguments import Deployment
from aiqms.cli.connection import connect
from aiqms.cli.explanation import explain
from aiqms.cli.facts import gather
from aiqms.cli.terminal import Context, Exit, Format, Namespace, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import lines

HELP = """Says whether an AIModelDeployment may run, what stands in the way, who can lift it, and what they run.

A GPU pod in a governed namespace needs three things: the label aiqms.dev/deployment: NAME in its workload's pod template,
an AIModelDeployment NAME in its namespace that lists the workload, and the approvals that the procedures ask for.
Explain a name that is not registered yet, and the manifest to fill in is printed.

Ends with 0 if what is wanted now is cleared, 1 if not or if nothing of that name is registered, 2 on wrong usage,
3 if the cluster could not be asked."""


def command(name: Deployment, namespace: Namespace = None, context: Context = None, output: Format = Output.TEXT) -> None:
    explanation = explain(gather(connect(context=context, namespace=namespace), name))
    if output is Output.TEXT:
        print_lines(lines(explanation, width=terminal_width()))
    else:
        print_value(explanation.dump(), output)
    raise typer.Exit(Exit.NO if explanation.blocked else Exit.YES)
