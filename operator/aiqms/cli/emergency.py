"""`kubectl qms emergency` and `kubectl qms review`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli import change, decision, screen
from aiqms.cli.approve import current, unchanged
from aiqms.cli.arguments import Deployment, DryRun, Rationale, Record, Role, Subject, Yes
from aiqms.cli.authority import role_for
from aiqms.cli.case import Case
from aiqms.cli.connection import connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant
from aiqms.policy.words import short

EMERGENCY = """Breaks the glass: clears exactly one subject of an AIModelDeployment without its approvals, for a while.

It takes a role that a procedure names under emergency.roles, and a rationale: why nobody could approve in time. Everybody is told. It ends by itself,
at the latest after the procedure's emergency.maxDuration, and somebody else has to review it within emergency.reviewWithin: without that
the deployment is stopped, and its glass cannot be broken again. It lifts no Stop and no rejection.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
REVIEW = """Reviews an emergency afterwards, as somebody else than who broke the glass, in a role that approves.

With --reject the review says that it should not have been, which ends it. Either is the review that the procedure demands.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
Until = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="How long, such as 30m or 4h; default: as long as the procedure allows.")]
Rejecting = Annotated[bool, typer.Option("--reject", help="It should not have been.")]


def emergency(
    *,
    name: Deployment,
    subject: Subject = None,
    role: Role = None,
    rationale: Rationale = None,
    lasts: Until = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how, subject=subject)
    until = decision.expiry(lasts, datetime.now(UTC))
    case = cases.read(connect(context=context, namespace=namespace), name)
    about = subject or current(case)
    chosen = role or role_for(case, Decision.EMERGENCY)
    decision.require_right(case.rights, case.me, chosen, Decision.EMERGENCY)
    _breakable(case)
    width = terminal_width()
    seen = change.read(case.connection, case.deployment) if case.deployment and about == case.fingerprint else change.Change()
    how.show(screen.subject(case, seen, about, width=width))
    how.show(_terms(case, width=width))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"Break the glass for {short(about)} as {chosen}?")
    unchanged(case, about)
    raise typer.Exit(decision.make(case.connection, Wish(name, Decision.EMERGENCY, chosen, why, subject=about, expires=until), how))


def review(
    *,
    name: Deployment,
    record: Record = None,
    role: Role = None,
    rationale: Rationale = None,
    reject: Rejecting = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how)
    decided = Decision.REJECT if reject else Decision.APPROVE
    case = cases.read(connect(context=context, namespace=namespace), name)
    broken = to_review(case, record)
    chosen = role or role_for(case, decided)
    decision.require_right(case.rights, case.me, chosen, decided)
    how.show(_broken(case, broken, width=terminal_width()))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"Record your review as {chosen}{', that it should not have been' if reject else ''}?")
    reviews = broken["metadata"]["name"]
    raise typer.Exit(decision.make(case.connection, Wish(name, decided, chosen, why, subject=broken["spec"]["subject"], reviews=reviews), how))


def _breakable(case: Case) -> None:
    """Raises NotDone where an Emergency could not count, or would change nothing."""
    overdue = next((c for c in case.status.get("controls") or [] if c["reason"] == "ReviewOverdue"), None)
    if overdue:
        raise NotDone(f"an earlier emergency was not reviewed in time, so the glass cannot be broken again: {overdue['message']}")
    if cases.stops(case):
        raise NotDone(f"{case.name} is stopped by a person, which an emergency does not lift: kubectl qms resume {case.name} -n {case.namespace}")
    if case.status.get("phase") in ("Prohibited", "Retired"):
        raise NotDone(f"{case.name} is {case.status['phase']}, which an emergency does not change")


def _terms(case: Case, *, width: int | None) -> Iterator[Line]:
    yield Line("")
    yield from wrapped("nobody's approval is asked: this subject runs until the end, and everybody is told", "  ! ", "    ", width, "red")
    for name, spec in (case.procedures or {}).items():
        if terms := spec.get("emergency"):
            limits = f"at most {terms['maxDuration']}, and somebody else reviews it within {terms['reviewWithin']} or everything stops"
            yield from wrapped(f"{name}: {limits}", "  ! ", "    ", width, "red")


def to_review(case: Case, name: str | None) -> Json:
    """The Emergency that is meant. Raises NotDone where there is none that this person could review, BadParameter where there are several."""
    if case.records is None:
        raise NotDone(f"you may not read ApprovalRecords in namespace {case.namespace}: ClusterRole aiqms-view there lets you")
    waiting = cases.unreviewed(case)
    if name:
        waiting = [r for r in waiting if r["metadata"]["name"] == name]
    others = [r for r in waiting if cases.who(r) != case.me]
    if waiting and not others:
        raise NotDone(f"you broke the glass yourself (apr/{waiting[0]['metadata']['name']}): another person has to review it")
    if not others:
        raise NotDone(f"no emergency{f' {name}' if name else ''} of {case.name} waits for a review")
    if len(others) > 1:
        names = ", ".join(f"apr/{r['metadata']['name']} of {cases.who(r)}" for r in others)
        raise typer.BadParameter(f"several wait for a review: {names}: choose with --record", param_hint="--record")
    return others[0]


def _broken(case: Case, record: Json, *, width: int | None) -> Iterator[Line]:
    spec, meta = record["spec"], record["metadata"]
    yield Line(f"{case.name} in namespace {case.namespace}", "bold")
    said = f"{cases.who(record)} broke the glass as {spec['role']} on {instant(meta['creationTimestamp'])} (apr/{meta['name']})"
    yield from wrapped(f"{said}, for {short(spec.get('subject'))}: {spec.get('rationale', '')}", "  ", "    ", width)
    if message := (record.get("status") or {}).get("message"):
        yield from wrapped(message, "  ", "    ", width)
    yield Line(f"  now: {screen.running(case)}")
