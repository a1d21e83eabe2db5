"""`kubectl qms status`: every deployment in one line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
import yaml

from aiqms.api.values import Json
from aiqms.cli import register
from aiqms.cli.connection import CannotAsk, Connection, Refused, connect
from aiqms.cli.register import AllNamespaces, Namespaces, Register
from aiqms.cli.terminal import Context, Exit, Format, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line
from aiqms.cli.times import instant
from aiqms.policy.words import plural

HELP = """Lists the AIModelDeployments of all namespaces, or of some, one line each: the phase, why it is not ready, how many pods run and are held,
and what to know: an emergency, an end that comes near, a warning.

With --watch it goes on, with a line for every change, until Ctrl-C.

Ends with 0, whatever it lists (kubectl qms explain NAME tells by its exit code whether a deployment may run), 2 on wrong usage,
3 if the cluster could not be asked."""
HEADERS = ("NAMESPACE", "NAME", "RISK", "MODEL", "PHASE", "READY", "REASON", "HELD", "RUNNING", "NOTE")
SPARE = ("MODEL", "RISK", "READY", "REASON")  # left out in this order where a terminal is narrow
NOTED = 24  # columns of a note that are worth more than a spare column
STYLES = {"Running": "green", "ChangePending": "yellow", "Held": "yellow", "Stopped": "red", "Prohibited": "red", "Retired": "dim"}
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on with a line for every change.")]


@dataclass(frozen=True)
class Row:
    """One deployment in words."""

    cells: Mapping[str, str]
    style: str


def command(
    namespace: Namespaces = None, all_namespaces: AllNamespaces = False, watch: Watch = False, context: Context = None, output: Format = Output.TEXT
) -> None:
    connection = connect(context=context, namespace=None)
    asked = [] if all_namespaces else namespace or []
    read = register.read(connection, asked)
    if output is Output.TEXT:
        print_lines(table([row(d) for d in read.deployments], read.note, width=terminal_width()))
    elif not watch:
        print_value([summary(d) for d in read.deployments], output)
    if watch:
        follow(connection, asked, read, output)
    raise typer.Exit(Exit.YES)


def summary(deployment: Json) -> Json:
    """The same for programs."""
    status = deployment.get("status") or {}
    namespace, name = register.identity(deployment)
    return {
        "namespace": namespace,
        "name": name,
        "riskClass": (deployment.get("spec") or {}).get("riskClass", ""),
        "model": status.get("model", ""),
        "phase": status.get("phase", ""),
        "ready": _ready(status).get("status") == "True",
        "reason": _ready(status).get("reason", ""),
        "subject": (status.get("subject") or {}).get("fingerprint", ""),
        "serving": status.get("serving") or {},
        "pods": status.get("pods") or {},
        "notes": notes(deployment),
    }


def _ready(status: Json) -> Json:
    return next((c for c in status.get("conditions") or [] if c["type"] == "Ready"), {})


def row(deployment: Json) -> Row:
    """One line of the table."""
    found = summary(deployment)
    told = [found["namespace"], found["name"], found["riskClass"], found["model"], found["phase"] or "(no status)", str(found["ready"])]
    pods = [str(found["pods"].get("held", 0)), str(found["pods"].get("running", 0))]
    cells = dict(zip(HEADERS, [*told, found["reason"], *pods, "; ".join(found["notes"])], strict=True))
    return Row(cells, STYLES.get(found["phase"], ""))


def notes(deployment: Json) -> list[str]:
    """What a person should know at a glance."""
    status = deployment.get("status") or {}
    serving, generation = status.get("serving") or {}, deployment["metadata"].get("generation", 0)
    told = [_said(c) for c in status.get("controls") or [] if c["id"] == "emergency"]
    told += [f"ends {instant(serving['validUntil'])}"] if serving.get("notice") else []
    told += ["the operator is behind"] if status.get("observedGeneration", 0) < generation else []
    warn = (status.get("summary") or {}).get("warn", 0) - sum(c["id"] == "emergency" and c["result"] == "Warn" for c in status.get("controls") or [])
    return told + ([plural(warn, "warning")] if warn > 0 else [])


def _said(control: Json) -> str:
    return {"EmergencyInForce": "EMERGENCY", "ReviewPending": "emergency to be reviewed", "ReviewOverdue": "EMERGENCY NOT REVIEWED"}.get(control["reason"], "")


def table(rows: Sequence[Row], note: str, *, width: int | None) -> Iterator[Line]:
    """All in columns; on a narrow terminal the less important ones are left out, and the last one is cut."""
    if not rows:
        yield Line("no AIModelDeployment is registered here (kubectl qms explain --help says how one is)")
    else:
        shown = columns([r.cells for r in rows], width)
        yield Line(formatted(dict(zip(HEADERS, HEADERS, strict=True)), shown, width), "bold")
        yield from (Line(formatted(r.cells, shown, width), r.style) for r in rows)
    if note:
        yield Line(f"… {note}", "dim")


def columns(cells: Iterable[Mapping[str, str]], width: int | None) -> dict[str, int]:
    """The columns that fit, and their widths."""
    rows = list(cells)
    widths = {h: max([len(h), *(len(r[h]) for r in rows)]) for h in HEADERS if h != "NOTE" or any(r[h] for r in rows)}
    for spare in SPARE:
        if width is None or sum(widths.values()) + 2 * (len(widths) - 1) - max(0, widths.get("NOTE", 0) - NOTED) <= width:
            break
        widths.pop(spare, None)
    return widths


def formatted(cells: Mapping[str, str], shown: Mapping[str, int], width: int | None) -> str:
    """One line, cut at the terminal's end."""
    line = "  ".join(cells[h].ljust(size) for h, size in shown.items()).rstrip()
    return line if width is None or len(line) <= width else line[: width - 1] + "…"


@dataclass
class Following:
    """What was shown last of each deployment, so that only changes are shown. shown: the columns of the table, in which further lines stand."""

    output: Output
    shown: Mapping[str, int]
    known: dict[tuple[str, str], Json]

    def show(self, deployment: Json, *, deleted: bool = False) -> None:
        """A line, where it says something else than the last one."""
        found = summary(deployment) | ({"phase": "(deleted)"} if deleted else {})
        if self.known.get(register.identity(deployment)) == found:
            return
        self.known[register.identity(deployment)] = found
        if self.output is Output.TEXT:
            now = row(deployment)
            cells = {**now.cells, "PHASE": found["phase"] or now.cells["PHASE"]}
            print_lines([Line(formatted(cells, self.shown, terminal_width()), now.style)])
        else:
            typer.echo(json.dumps(found) if self.output is Output.JSON else yaml.safe_dump(found, sort_keys=False, explicit_start=True).rstrip())


def follow(connection: Connection, asked: Sequence[str], read: Register, output: Output) -> None:
    """A line for every change, until Ctrl-C. A watch that is too old, or broke, begins anew with what changed meanwhile."""
    if len(asked) > 1:
        raise typer.BadParameter("--watch follows one namespace, or all: give one -n at most")
    shown = columns([row(d).cells for d in read.deployments] or [dict.fromkeys(HEADERS, " " * 12)], terminal_width())
    following = Following(output, shown, {register.identity(d): summary(d) for d in read.deployments} if output is Output.TEXT else {})
    while True:
        for deployment in read.deployments:
            following.show(deployment)
        changes(connection, read, following)
        read = _again(connection, asked)


def changes(connection: Connection, read: Register, following: Following) -> None:
    """Every change from the list on, until the watch ends."""
    ((path, version),) = read.versions
    try:
        for event in connection.watch(path, version):
            if event["type"] != "BOOKMARK":
                following.show(event["object"], deleted=event["type"] == "DELETED")
    except Refused as refusal:
        if refusal.code != 410:  # too old: list again
            raise


def _again(connection: Connection, asked: Sequence[str]) -> Register:
    """The list, as soon as the API server answers again."""
    told = False
    while True:
        try:
            return register.read(connection, asked)
        except Refused:
            raise
        except CannotAsk as error:
            if not told:
                typer.echo(f"warning: {error}; going on as soon as it answers", err=True)
            told = True
            time.sleep(1)
