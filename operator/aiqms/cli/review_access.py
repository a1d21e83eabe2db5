"""`kubectl qms review-access`: confirm who can do what in a governed namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.cli import access, decision
from aiqms.cli import case as cases
from aiqms.cli.arguments import Deployment, DryRun, Rationale, Role, Yes, fingerprint
from aiqms.cli.authority import only
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant
from aiqms.policy import reach
from aiqms.policy.words import short

HELP = """Confirms, as you, who can do what in the namespace of an AIModelDeployment: who edits, approves, stops, opens sessions, reads secrets,
and who could go round. It takes a role that a procedure names under access.reviewRoles (default: its roles that approve).

Shows the list with the binding that gives each right, then asks whether it is as it should be. The record keeps the digest of who can do what;
a right that is taken or given later shows in the control access/review, and access.reviewEvery says when somebody has to look again.
Where something is not as it should be, take it off its binding first. Reading roles and bindings takes ClusterRole aiqms-auditor.

A script names the list that somebody has looked at: --list sha256:… --yes; -o json with --dry-run prints the record with its digest.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
List = Annotated[
    str | None, typer.Option("--list", metavar="sha256:…", help="Exactly which list is confirmed; default: the one that is shown.", callback=fingerprint)
]


def command(
    *,
    name: Deployment,
    role: Role = None,
    list_: List = None,
    rationale: Rationale = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    require_list(how, list_)
    case = cases.read(connect(context=context, namespace=namespace), name)
    chosen = role or only(case, roles(case), Decision.REVIEW_ACCESS)
    decision.require_right(case.rights, case.me, chosen, Decision.REVIEW_ACCESS)
    listed = current(case)
    digest = reach.list_digest(listed)
    if list_ and list_ != digest:
        raise NotDone(f"who can do what is {short(digest)} now, not {short(list_)}: look at it, and name the list that you looked at")
    how.show(lines(case, listed, digest, width=terminal_width()))
    why = decision.rationale(how, required=False)
    decision.confirm(how, f"Is this who should be able to do it, as {chosen}?")
    if reach.list_digest(current(case)) != digest:
        raise NotDone("who can do what changed while you looked at it: nothing was recorded, look again")
    raise typer.Exit(decision.make(case.connection, Wish(name, Decision.REVIEW_ACCESS, chosen, why, list=digest), how))


def require_list(how: How, list_: str | None) -> None:
    """A program names the list. Raises BadParameter where nobody can be asked and it does not."""
    if not how.asks and not how.dry_run and not (how.yes and list_):
        raise typer.BadParameter("nobody is at a terminal to be asked (or --yes was given): give --yes and --list too")


def current(case: Case) -> tuple[reach.Line, ...]:
    """The list as it is now, of the same roles and bindings as the operator's. Raises CannotAsk where they may not be read."""
    return reach.access_list(access.rbac(case.connection, whole=False))


def roles(case: Case) -> list[str]:
    """Those in which somebody reviews, by the procedures that apply. Raises NotDone where none asks for reviews, or nobody can know."""
    if case.deployment is None:
        raise NotDone(f"namespace {case.namespace} has no AIModelDeployment {case.name}: see kubectl qms status -n {case.namespace}")
    if case.procedures is None:
        raise NotDone("you may not read procedures to see which roles review who can do what: name one with --role")
    found = [role for p in case.status.get("procedures") or [] for role in cases.reviewing(case, p["name"])]
    if not found:
        raise NotDone(f"no procedure that applies to {case.name} asks for access reviews: the platform team sets access.reviewEvery in one")
    return list(dict.fromkeys(found))


def lines(case: Case, listed: Sequence[reach.Line], digest: str, *, width: int | None) -> Iterator[Line]:
    """The list by question, and when it was confirmed last. Pure."""
    yield Line(f"Who can do what in namespace {case.namespace}", "bold")
    yield Line(f"  {digest}")
    subject = max((len(line.subject) for line in listed), default=0)
    way = max((len(line.way) for line in listed), default=0)
    before = ""
    for line in listed:
        if line.question != before:
            yield Line(f"  {line.question}", "bold")
        before = line.question
        head = f"    {line.subject.ljust(subject)}  " + (f"{line.way.ljust(way)}  " if way else "")
        yield from wrapped(line.by, head, " " * len(head), width, "yellow" if line.way else "")
    yield Line("")
    yield from wrapped(_last(case, digest), "  ", "    ", width)


def _last(case: Case, digest: str) -> str:
    made = [r for r in cases.of(case.records, Decision.REVIEW_ACCESS) if cases.counts(r)]
    if not made:
        return "nobody confirmed it yet"
    same = "the same list" if made[0]["spec"].get("list") == digest else "another list: something was given or taken since"
    return f"{cases.who(made[0])} confirmed on {instant(made[0]['metadata']['creationTimestamp'])} {same} (apr/{made[0]['metadata']['name']})"
