"""`kubectl qms stop` and `kubectl qms resume`."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli import decision, screen
from aiqms.cli.approve import only
from aiqms.cli.arguments import Deployment, DryRun, Rationale, Role, Yes
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.rights import Holding, binding, verb_of
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.cli.text import Line, wrapped

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
    chosen = role or stop_role(case, Decision.STOP)
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
    chosen = role or stop_role(case, Decision.RESUME)
    decision.require_right(case.rights, case.me, chosen, Decision.RESUME)
    how.show(_to_resume(case, width=terminal_width()))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"Let {name} go on, as {chosen}?")
    raise typer.Exit(decision.make(case.connection, Wish(name, Decision.RESUME, chosen, rationale=why), how))


def stop_role(case: Case, decided: Decision) -> str:
    """A role that can stop and that the person holds: any one does. Raises NotDone where there is none, BadParameter where nobody can tell which."""
    named = case.authority("stop")
    if named is None:
        return only(case, _held_or_none(case, decided), decided)
    held = case.rights.of(named, decided)
    if held:
        return held[0]
    if not named:
        raise NotDone(f"no procedure names a role under stop.roles, so nobody can stop {case.name}: the platform team adds one (QMSProcedure spec.stop.roles)")
    if case.rights.holding(named[0], decided) is Holding.WILDCARD:
        decision.require_right(case.rights, case.me, named[0], decided)
    gives = binding(named[0], f"user {case.me}", case.namespace)
    raise NotDone(
        f"{' or '.join(named)} can {decided.lower()} {case.name}, and you ({case.me}) hold none of them in namespace {case.namespace}: "
        f"it takes verb {verb_of(decided)} on approvalroles.aiqms.dev under that name; a RoleBinding gives it: {gives}"
    )


def _held_or_none(case: Case, decided: Decision) -> list[str]:
    """Where procedures may not be read, the roles that the person's own rights name."""
    held = case.rights.named(decided)
    if not held:
        raise NotDone(
            f"you ({case.me}) hold no role by name that can {decided.lower()} in namespace {case.namespace}, and may not read procedures to see which do: "
            f"it takes verb {verb_of(decided)} on approvalroles.aiqms.dev; name a role with --role to see what gives it"
        )
    return held


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
    since = screen.moment_of(record["metadata"]["creationTimestamp"])
    yield from wrapped(f"stopped by {cases.who(record)} on {since}{why}", "  ✗ ", "    ", width, "red")
    if message := (record.get("status") or {}).get("message"):
        yield from wrapped(message, "    ", "    ", width)
