"""kubectl-qms: what a person asks of the quality management system at a terminal (kubectl finds it on the PATH as `kubectl qms`)."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from aiqms.cli import (
    approve,
    check_logs,
    completion,
    diff,
    doctor,
    emergency,
    explain,
    fingerprint,
    lint,
    pending,
    review_access,
    status,
    stop,
    who_can,
    withdraw,
)
from aiqms.cli.connection import CannotAsk
from aiqms.cli.manifests import OfflineError
from aiqms.cli.terminal import Declined, Exit, NotDone, plain

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


app.command(name="status", short_help="Every deployment in one line.", help=status.HELP)(status.command)
app.command(name="pending", short_help="What waits for you.", help=pending.HELP)(pending.command)
app.command(name="explain", short_help="Why one may not run, who can lift that, and what they run.", help=explain.HELP)(explain.command)
app.command(name="diff", short_help="What changed, down to the fields.", help=diff.HELP)(diff.command)
app.command(name="approve", short_help="Approve what wants to run.", help=approve.APPROVE)(approve.approve)
app.command(name="reject", short_help="Reject what wants to run.", help=approve.REJECT)(approve.reject)
app.command(name="withdraw", short_help="Take back a decision.", help=withdraw.HELP)(withdraw.command)
app.command(name="stop", short_help="Stop a deployment, at once.", help=stop.STOP)(stop.stop)
app.command(name="resume", short_help="Let a stopped deployment go on.", help=stop.RESUME)(stop.resume)
app.command(name="emergency", short_help="Break the glass: run without approvals, for a while.", help=emergency.EMERGENCY)(emergency.emergency)
app.command(name="review", short_help="Review an emergency afterwards.", help=emergency.REVIEW)(emergency.review)
app.command(name="fingerprint", short_help="What manifests will be approved as, offline.", help=fingerprint.HELP)(fingerprint.command)
app.command(name="lint", short_help="What the gate will make of manifests, offline.", help=lint.HELP)(lint.command)
app.command(name="review-access", short_help="Confirm who can do what.", help=review_access.HELP)(review_access.command)
app.command(name="who-can", short_help="Who can do what, and which binding gives it.", help=who_can.HELP)(who_can.command)
app.command(name="check-logs", short_help="Ask the log stores now.", help=check_logs.HELP)(check_logs.command)
app.command(name="doctor", short_help="Is the gate really on?", help=doctor.HELP)(doctor.command)
app.command(name="completion", short_help="Print the program that completes these commands at Tab.", help=completion.HELP)(completion.command)


@app.command(name="__complete", hidden=True, context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []})
def _complete(context: typer.Context) -> None:
    """What could come next, line by line."""
    for line in completion.answer(typer.main.get_command(app), context.args):
        typer.echo(line)


def main() -> None:
    """The entry point. Errors are one line that says what to do, never a stack trace."""
    try:
        app()
    except Declined as said:
        typer.echo(said, err=True)
        sys.exit(Exit.NO)
    except (OfflineError, NotDone) as error:
        _give_up(error, Exit.NO)
    except CannotAsk as error:
        _give_up(error, Exit.CANNOT_ASK)
    except Exception as error:  # nobody is shown a stack trace but whoever asks for one
        if os.environ.get("AIQMS_DEBUG"):
            raise
        _give_up(f"this should not happen ({type(error).__name__}: {error}); AIQMS_DEBUG=1 shows where: please report that", Exit.CANNOT_ASK)


def complete() -> None:
    """The program that kubectl runs at the Tab key, with the words so far."""
    sys.argv.insert(1, "__complete")
    main()


def _give_up(error: Exception | str, code: Exit) -> NoReturn:
    typer.echo(f"error: {plain(str(error))}", err=True)
    sys.exit(code)
