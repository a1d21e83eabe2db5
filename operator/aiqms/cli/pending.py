"""`kubectl qms pending`: what waits for the person at the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import typer

from aiqms.api.record import Decision
from aiqms.api.values import API_VERSION, Json
from aiqms.cli import case as cases
from aiqms.cli import register
from aiqms.cli.case import Case
from aiqms.cli.connection import Connection, connect
from aiqms.cli.reading import procedures_of, readable_items
from aiqms.cli.register import AllNamespaces, Namespaces
from aiqms.cli.rights import Rights, whoami
from aiqms.cli.terminal import Context, Exit, Format, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant
from aiqms.policy.words import plural, short

HELP = """Lists what waits for you, in every namespace where you may look: approvals that are missing and that you could give, approvals of yours
that end within 14, 7 or 1 days, emergencies to review, stops to lift, access reviews that are due or that a change asks for.
Each with the command that does it.

What you may decide is what the API server answers when it is asked about you, role by role.

Ends with 0, whether something waits or not (-o json gives a list), 2 on wrong usage, 3 if the cluster could not be asked."""
URGENCY = ("Review", "Approve", "Renew", "Resume", "ReviewAccess")


@dataclass(frozen=True)
class Task:
    """Something that the person could do now. what: Review, Approve, Renew, Resume or ReviewAccess. command: does it."""

    namespace: str
    deployment: str
    what: str
    role: str
    why: str
    command: str
    subject: str = ""
    due: str = ""


def command(namespace: Namespaces = None, all_namespaces: AllNamespaces = False, context: Context = None, output: Format = Output.TEXT) -> None:
    connection = connect(context=context, namespace=None)
    read = register.read(connection, [] if all_namespaces else namespace or [])
    me = whoami(connection)
    tasks = sorted((t for c, found in register.by_namespace(connection, read) for t in tasks_in(c, me, found)), key=order)
    if output is Output.TEXT:
        print_lines(lines(tasks, me, read, width=terminal_width()))
    else:
        print_value([asdict(t) for t in tasks], output)
        if read.note:
            typer.echo(f"warning: {read.note}", err=True)
    raise typer.Exit(Exit.YES)


def order(task: Task) -> tuple[object, ...]:
    """What is due first, first; then what blocks."""
    return (task.due or "9999", URGENCY.index(task.what), task.namespace, task.deployment, task.role)


def tasks_in(connection: Connection, me: str, deployments: Iterable[Json]) -> list[Task]:
    """Of one namespace; nothing where the person may make no records there."""
    rights = Rights(connection)
    if not rights.records():
        return []
    records = readable_items(connection, f"/apis/{API_VERSION}/namespaces/{connection.namespace}/approvalrecords") or []
    specs = procedures_of(connection)
    found: list[Task] = []
    for one in deployments:
        name = one["metadata"]["name"]
        mine = tuple(r for r in records if r["spec"].get("deployment") == name)
        found += tasks_of(Case(connection=connection, rights=rights, me=me, name=name, deployment=one, records=mine, procedures=specs))
    return found


def tasks_of(case: Case) -> Iterator[Task]:
    """Of one deployment."""
    if case.status.get("phase") in ("Retired", "Prohibited"):
        return
    yield from approvals(case)
    yield from renewals(case)
    yield from reviews(case)
    yield from resumptions(case)
    yield from access_reviews(case)


def _task(case: Case, what: str, role: str, why: str, command_: str, *, subject: str = "", due: str = "") -> Task:
    return Task(
        namespace=case.namespace,
        deployment=case.name,
        what=what,
        role=role,
        why=why,
        command=f"kubectl qms {command_} -n {case.namespace}",
        subject=subject,
        due=due,
    )


def approvals(case: Case) -> Iterator[Task]:
    """Approvals that are missing and that this person could give: not where they count already, or changed what is approved."""
    blocked = {c["id"].removeprefix("approvals/") for c in case.status.get("controls") or [] if c["reason"] == "Rejected"}
    for role in cases.helpful(case, [r for r in cases.waiting(case) if r not in blocked]) if case.fingerprint else ():
        short_of = [p for p in case.places if p.role == role and p.short]
        changed = ", ".join((case.status.get("subject") or {}).get("changed") or ())
        what = f" (changed: {changed})" if changed else ""
        counted = "; ".join(f"{p.given} of {p.required} {role} approvals" for p in short_of)
        why = f"{short(case.fingerprint)}{what}: {counted}; {_waiting(case)}"
        yield _task(case, "Approve", role, why, f"approve {case.name} --role {role}", subject=str(case.fingerprint))


def _waiting(case: Case) -> str:
    pods = case.status.get("pods") or {}
    return f"{plural(pods.get('held', 0), 'pod')} held, {pods.get('running', 0)} running"


def renewals(case: Case) -> Iterator[Task]:
    """This person's approvals of what runs now that end soon."""
    mine = dict.fromkeys(r["spec"]["role"] for r in cases.ending(case.records, case.status) if cases.who(r) == case.me)
    for role in case.rights.of(mine, Decision.APPROVE):
        end = case.status["serving"]["validUntil"]
        why = f"{short(case.fingerprint)} is cleared until {instant(end)}, {_left(case.notice)}"
        yield _task(case, "Renew", role, why, f"approve {case.name} --role {role} --renew", subject=str(case.fingerprint), due=end)


def _left(notice: str) -> str:
    return f"in at most {plural(int(notice[:-1]), 'day')}"


def reviews(case: Case) -> Iterator[Task]:
    """Emergencies of others that nobody reviewed yet."""
    roles = case.rights.of([p.role for p in case.places], Decision.APPROVE)
    for record in cases.unreviewed(case) if roles else ():
        if cases.who(record) != case.me:
            name = record["metadata"]["name"]
            said = (record.get("status") or {}).get("message") or "the operator has not judged it yet"
            yield _task(case, "Review", roles[0], f"emergency {name}: {said}", f"review {case.name} --record {name}", subject=record["spec"].get("subject", ""))


def resumptions(case: Case) -> Iterator[Task]:
    """Stops that this person could help to lift."""
    for record in cases.stops(case)[:1]:
        roles = _resumers(case)
        if roles and not _resumed(case, record, roles):
            why = (record.get("status") or {}).get("message") or f"{cases.who(record)} stopped it"
            yield _task(case, "Resume", roles[0], why, f"resume {case.name} --role {roles[0]}")


def _resumers(case: Case) -> list[str]:
    """Where procedures may not be read, the roles in which it was stopped are known to be able to."""
    named = cases.resuming(case)
    return case.rights.of(named if named is not None else cases.stopping(case), Decision.RESUME)


def _resumed(case: Case, stop: Json, roles: list[str]) -> bool:
    """Whether a later Resume in one of these roles is there already."""
    later = (r for r in cases.of(case.records, Decision.RESUME) if r["metadata"]["creationTimestamp"] > stop["metadata"]["creationTimestamp"])
    return any(r["spec"]["role"] in roles for r in later)


def access_reviews(case: Case) -> Iterator[Task]:
    """Lists of who can do what that nobody confirmed in time, or that changed since, in a role that reviews them; once for each role."""
    waiting = {c["procedure"]: c["message"] for c in case.status.get("controls") or [] if c["reason"] in ("AccessReviewDue", "AccessChanged")}
    asked = {role: why for procedure, why in waiting.items() for role in cases.reviewing(case, procedure)}
    for role in case.rights.of(asked, Decision.REVIEW_ACCESS):
        yield _task(case, "ReviewAccess", role, asked[role].partition(": kubectl qms")[0], f"review-access {case.name} --role {role}")


def lines(tasks: list[Task], me: str, read: register.Register, *, width: int | None) -> Iterator[Line]:
    """Each task with the command that does it, which is never wrapped."""
    if not tasks:
        yield Line(f"nothing waits for you ({me})")
    for task in tasks:
        head = f"{task.what.upper().ljust(8)} {task.namespace}/{task.deployment} as {task.role}"
        yield Line(head, "bold red" if task.what == "Review" or task.due else "bold")
        yield from wrapped(task.why, "         ", "         ", width)
        yield Line(f"         {task.command}", "green")
    if read.note:
        yield from wrapped(read.note, "… ", "  ", width, "dim")
