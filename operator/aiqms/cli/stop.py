"""`kubectl qms stop` and `kubectl qms resume`."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli import decision, screen
from aiqms.cli.arguments import Deployment, DryRun, Rationale, Role, Yes
from aiqms.cli.authority import role_for
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant

STOP = """Stops an AIModelDeployment (AI Act Art. 14(4)(e)): its pods end, each with its own termination grace, and no new one runs
until a Resume by a stop role of every procedure that stops.

Works whatever state the deployment is in, also where it is not registered or no procedure applies any more, and holds with the operator down.
It takes a role that a procedure names under stop.roles. In a hurry: kubectl qms stop NAME -n NAMESPACE --yes

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
RESUME = """Lets a stopped AIModelDeployment go on, as one of the roles that can stop it. Where several procedures name stop roles,
one of each has to resume. Approvals that lapsed meanwhile are still to be given anew.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""


def stop(
    *,
    name: Deployment,
    role: Role = None,
    rationale: Rationale = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale if rationale is not None or not yes else "")
    decision.require_terminal(how)
    case = cases.read(connect(context=context, namespace=namespace), name)
    chosen = role or role_for(case, Decision.STOP)
    decision.require_right(case.rights, case.me, chosen, Decision.STOP)
    how.show(_to_stop(case, width=terminal_width()))
    why = decision.rationale(how, required=False)
    decision.confirm(how, f"Stop {name} as {chosen}?")
    raise typer.Exit(decision.make(case.connection, Wish(name, Decision.STOP, chosen, rationale=why), how))


def resume(
    *,
    name: Deployment,
    role: Role = None,
    rationale: Rationale = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how)
    case = cases.read(connect(context=context, namespace=namespace), name)
    if case.records is not None and not cases.stops(case):
        raise NotDone(f"{name} is not stopped by anybody: there is nothing to resume; see kubectl qms explain {name} -n {case.namespace}")
    chosen = role or role_for(case, Decision.RESUME)
    decision.require_right(case.rights, case.me, chosen, Decision.RESUME)
    how.show(_to_resume(case, width=terminal_width()))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"Let {name} go on, as {chosen}?")
    raise typer.Exit(decision.make(case.connection, Wish(name, Decision.RESUME, chosen, rationale=why), how))


def _to_stop(case: Case, *, width: int | None) -> Iterator[Line]:
    yield Line(f"{case.name} in namespace {case.namespace}: {screen.running(case)}", "bold")
    if case.deployment is None:
        yield from screen.note("nothing of this name is registered here; pods that bear its label are stopped all the same", width=width)
    yield from wrapped(
        "its pods end, each with its own termination grace, and no new one runs until those who can stop it let it go on", "  ! ", "    ", width, "red"
    )
    for record in cases.stops(case):
        yield from _standing(record, width)


def _to_resume(case: Case, *, width: int | None) -> Iterator[Line]:
    yield Line(f"{case.name} in namespace {case.namespace}: {screen.running(case)}", "bold")
    for record in cases.stops(case):
        yield from _standing(record, width)


def _standing(record: Json, width: int | None) -> Iterator[Line]:
    why = f": {record['spec']['rationale']}" if record["spec"].get("rationale") else ""
    since = instant(record["metadata"]["creationTimestamp"])
    yield from wrapped(f"stopped by {cases.who(record)} on {since}{why}", "  ✗ ", "    ", width, "red")
    if message := (record.get("status") or {}).get("message"):
        yield from wrapped(message, "    ", "    ", width)
