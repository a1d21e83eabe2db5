"""kubectl-qms: what a person asks of the quality management system at a terminal (kubectl finds it on the PATH as `kubectl qms`)."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from aiqms.cli import explain, fingerprint
from aiqms.cli.connection import CannotAsk
from aiqms.cli.offline import OfflineError
from aiqms.cli.terminal import Exit

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


app.command(name="explain", help=explain.HELP)(explain.command)
app.command(name="fingerprint", help=fingerprint.HELP)(fingerprint.command)


def main() -> None:
    """The entry point. Errors are one line that says what to do, never a stack trace."""
    try:
        app()
    except OfflineError as error:
        _give_up(error, Exit.NO)
    except CannotAsk as error:
        _give_up(error, Exit.CANNOT_ASK)


def _give_up(error: Exception, code: Exit) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    sys.exit(code)
