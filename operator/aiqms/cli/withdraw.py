"""`kubectl qms withdraw`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from aiqms.api.record import Decision
from aiqms.api.values import API_VERSION, Json
from aiqms.cli import case as cases
from aiqms.cli import decision, screen
from aiqms.cli.arguments import KINDS, RECORDS, DryRun, Rationale, Yes
from aiqms.cli.case import Case
from aiqms.cli.connection import Connection, Refused, connect
from aiqms.cli.decision import How, Wish
from aiqms.cli.rights import binding
from aiqms.cli.terminal import Context, Format, Namespace, NotDone, Output, terminal_width
from aiqms.cli.text import Line, wrapped
from aiqms.cli.times import instant
from aiqms.policy.words import short

HELP = """Takes back an approval, a rejection or an emergency: give its record, or the deployment, where only one of yours counts.

The author may, and whoever holds the verb withdraw on the record's role (people leave). A Stop is lifted by resume. The record stays
as it is; another one says that it was taken back. Where it was an approval that is needed, new pods are held again, and what runs goes as the
procedure's onLapse says.

Ends with 0 if the record was made and counts, 1 if it was refused, was not made or does not count, 2 on wrong usage,
3 if the cluster could not be asked."""
WITHDRAWABLE = (Decision.APPROVE, Decision.REJECT, Decision.EMERGENCY)


def _what(value: str) -> str:
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in KINDS + RECORDS:
        raise typer.BadParameter(f"withdraw takes a record or a deployment: write apr/{name} or aimd/{name}, not {value}")
    return f"apr/{name}" if kind.lower() in RECORDS else name


What = Annotated[str, typer.Argument(metavar="apr/RECORD|NAME", help="The record, or the deployment.", callback=_what)]


def command(
    *,
    what: What,
    rationale: Rationale = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    namespace: Namespace = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    how = How(yes=yes, dry_run=dry_run, output=output, rationale=rationale)
    decision.require_terminal(how)
    connection = connect(context=context, namespace=namespace)
    case, record = _meant(connection, what)
    require_withdrawable(case, record)
    how.show(_shown(case, record, width=terminal_width()))
    why = decision.rationale(how, required=True)
    decision.confirm(how, f"Withdraw apr/{record['metadata']['name']}?")
    spec = record["spec"]
    wish = Wish(case.name, Decision.WITHDRAW, spec["role"], why, subject=spec.get("subject"), withdraws=record["metadata"]["name"])
    raise typer.Exit(decision.make(connection, wish, how))


def _meant(connection: Connection, what: str) -> tuple[Case, Json]:
    if not what.startswith("apr/"):
        case = cases.read(connection, what)
        return case, only_own(case)
    name = what.removeprefix("apr/")
    try:
        record = connection.get(f"/apis/{API_VERSION}/namespaces/{connection.namespace}/approvalrecords/{name}")
    except Refused as refusal:
        if refusal.code == 404:
            raise NotDone(f"namespace {connection.namespace} has no ApprovalRecord {name}: kubectl get apr -n {connection.namespace}") from refusal
        raise
    return cases.read(connection, record["spec"]["deployment"]), record


def taken_back(case: Case) -> set[str]:
    """Names of the records that were withdrawn already."""
    return {r["spec"]["withdraws"] for r in cases.of(case.records, Decision.WITHDRAW) if cases.counts(r)}


def only_own(case: Case) -> Json:
    """The one standing record of this person. Raises NotDone where there is none, BadParameter where there are several."""
    gone = taken_back(case)
    standing = [
        r for d in WITHDRAWABLE for r in cases.of(case.records, d) if r["metadata"]["name"] not in gone and cases.counts(r) and not r["spec"].get("reviews")
    ]
    mine = [r for r in standing if cases.who(r) == case.me]
    if len(mine) > 1:
        names = ", ".join(f"apr/{r['metadata']['name']} ({r['spec']['decision']} as {r['spec']['role']})" for r in mine)
        raise typer.BadParameter(f"several records of yours count: {names}: give the one")
    if not mine:
        others = ", ".join(f"apr/{r['metadata']['name']} of {cases.who(r)} ({r['spec']['decision']})" for r in standing)
        raise NotDone(f"no record of yours ({case.me}) about {case.name} counts{f'; of others do: {others}: name the record' if others else ''}")
    return mine[0]


def require_withdrawable(case: Case, record: Json) -> None:
    """Raises NotDone where this person could not take it back, or nobody could."""
    name, spec = record["metadata"]["name"], record["spec"]
    if spec["decision"] not in WITHDRAWABLE:
        instead = f": kubectl qms resume {case.name} -n {case.namespace}" if spec["decision"] == Decision.STOP else ""
        raise NotDone(f"apr/{name} is a {spec['decision']}, which is not taken back by a Withdraw{instead}")
    if name in taken_back(case):
        raise NotDone(f"apr/{name} was taken back already")
    if cases.who(record) != case.me and not case.rights.decides(spec["role"], Decision.WITHDRAW):
        raise NotDone(
            f"apr/{name} is by {cases.who(record)}: its author, or whoever holds verb withdraw on approvalroles.aiqms.dev/{spec['role']} by name, "
            f"may take it back, and you ({case.me}) are neither; {_binding(case, spec['role'])}"
        )
    if not case.rights.records():
        raise NotDone(f"you may not create ApprovalRecords in namespace {case.namespace}: {_binding(case, spec['role'])}")


def _binding(case: Case, role: str) -> str:
    return f"a RoleBinding gives it: {binding(role, f'user {case.me}', case.namespace)}"


def _shown(case: Case, record: Json, *, width: int | None) -> Iterator[Line]:
    spec, meta = record["spec"], record["metadata"]
    yield Line(f"{case.name} in namespace {case.namespace}: {screen.running(case)}", "bold")
    said = f"apr/{meta['name']}: {spec['decision']} by {cases.who(record)} as {spec['role']} on {instant(meta['creationTimestamp'])}"
    yield from wrapped(f"{said}, about {short(spec.get('subject'))}", "  ", "    ", width)
    if spec.get("rationale"):
        yield from wrapped(spec["rationale"], "  why then: ", "    ", width)
    if spec["decision"] == Decision.APPROVE and cases.counts(record) and spec.get("subject") == (case.status.get("serving") or {}).get("fingerprint"):
        yield from wrapped(
            "this subject serves now: without the approval new pods are held, and what runs goes as onLapse says", "  ! ", "    ", width, "yellow"
        )
