"""`kubectl qms doctor`: is the gate really on? Nothing is assumed: objects are compared with what this version ships, and dry runs are tried."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from aiqms.api.values import duration
from aiqms.cli import doctor_crds, doctor_namespaces, doctor_operator, doctor_policies, doctor_probes, doctor_rights
from aiqms.cli.connection import Refused, connect
from aiqms.cli.doctor_reading import Cluster
from aiqms.cli.doctor_rows import Result, Row, found, plainly, unknown
from aiqms.cli.manifests import duration_text
from aiqms.cli.terminal import Context, Exit, Format, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line
from aiqms.policy.words import plural

HELP = """Says whether the gate is really on, with the rights of whoever asks.

It compares policies, bindings, CRDs and the operator's rights with what this version ships, and tries dry runs that have to be refused,
held or stamped. Nothing is stored. A check that could not be made is never passed: it says which right it takes (ClusterRole aiqms-auditor
gives those that read).

Ends with 0 if all is well, 1 if something was found, 3 if nothing was found but a check could not be made, or the cluster could not be asked."""
MARKS = {Result.OK: "✓", Result.FOUND: "✗", Result.UNKNOWN: "?", Result.ACCEPTED: "–"}
STYLES = {Result.OK: "green", Result.FOUND: "red", Result.UNKNOWN: "yellow", Result.ACCEPTED: "dim"}
READ_IT = "have it granted (ClusterRole aiqms-auditor gives all of this), or run doctor with an account that may"


@dataclass(frozen=True)
class Check:
    """A check's name, and how it is made."""

    name: str
    look: Callable[[Cluster], Iterator[Row]]


def _crds(cluster: Cluster) -> Iterator[Row]:
    return doctor_crds.crds({c["metadata"]["name"]: c for c in cluster.every("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")})


def _policies(cluster: Cluster) -> Iterator[Row]:
    return doctor_policies.policies(cluster.gate)


def _values(cluster: Cluster) -> Iterator[Row]:
    return doctor_policies.values(cluster.gate, doctor_operator.deployment(cluster))


CHECKS: tuple[Check, ...] = (
    Check("kubernetes", doctor_operator.kubernetes),
    Check("versions", doctor_operator.versions),
    Check("crds", _crds),
    Check("policies", _policies),
    Check("values", _values),
    Check("probes", doctor_probes.probes),
    Check("operator", doctor_operator.operator),
    Check("lease", doctor_operator.lease),
    Check("operator-rights", doctor_rights.operators),
    Check("powers", doctor_rights.powers),
    Check("clearances", doctor_operator.epochs),
    Check("status", doctor_operator.status),
    Check("pods", doctor_operator.pods),
    Check("namespaces", doctor_namespaces.namespaces),
)


def examined(cluster: Cluster, accept: list[str]) -> list[Row]:
    """What all checks say."""
    return [row.accepted(accept) for check in CHECKS for row in _made(check, cluster)]


def _made(check: Check, cluster: Cluster) -> list[Row]:
    try:
        rows = list(check.look(cluster))
    except Refused as refusal:
        rows = [_not_made(refusal)]
    return [replace(row, check=check.name) for row in rows]


def _not_made(refusal: Refused) -> Row:
    if refusal.code == 404:
        return found(f"{refusal}", f"AIQMS is not installed, or not whole: {doctor_policies.UPGRADE}")
    return unknown(plainly(f"{refusal}"), READ_IT)


def command(
    *,
    accept: Annotated[list[str] | None, typer.Option("--accept", help="What is found and meant, as powers/Group/platform or namespaces/*; repeatable.")] = None,
    patience: Annotated[str, typer.Option("--patience", help="How long the operator may take to see a change.", callback=duration_text)] = "60s",
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    rows = examined(Cluster(connect(context=context, namespace=None), duration(patience).total_seconds()), accept or [])
    if output is Output.TEXT:
        print_lines(lines(rows, terminal_width()))
    else:
        print_value({"healthy": ended(rows) is Exit.YES, "checks": [row.dump() for row in rows]}, output)
    raise typer.Exit(ended(rows))


def ended(rows: list[Row]) -> Exit:
    """What is found outweighs what could not be checked."""
    results = {row.result for row in rows}
    return Exit.NO if Result.FOUND in results else Exit.CANNOT_ASK if Result.UNKNOWN in results else Exit.YES


def lines(rows: list[Row], width: int | None) -> Iterator[Line]:
    """One row each, with what to do below it."""
    column = max(len(check.name) for check in CHECKS)
    for row, after in zip(rows, (*rows[1:], None), strict=True):
        # What several rows in a row ask for is said once, below the last of them.
        yield from _row(row if after is None or after.do != row.do else replace(row, do=""), column, width)
    yield _last(rows)


def _row(row: Row, column: int, width: int | None) -> Iterator[Line]:
    text = f"{row.about}: {row.message}" if row.about else row.message
    indent = " " * (column + 6)
    for line in _wrapped(text, f"  {MARKS[row.result]} {row.check.ljust(column)}  ", indent, width):
        yield Line(line, STYLES[row.result])
    if row.do and row.result is not Result.ACCEPTED:
        yield from map(Line, _wrapped(row.do, f"{indent}→ ", f"{indent}  ", width))


def _wrapped(text: str, first: str, rest: str, width: int | None) -> list[str]:
    if width is None:
        return [first + text]
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def _last(rows: list[Row]) -> Line:
    wrong, open_ = (sum(row.result is result for row in rows) for result in (Result.FOUND, Result.UNKNOWN))
    if not wrong and not open_:
        return Line("the gate is on", "bold green")
    told = [f"{plural(wrong, 'thing')} found"] * bool(wrong) + [f"{plural(open_, 'check')} could not be made"] * bool(open_)
    return Line(", ".join(told), "bold red" if wrong else "bold yellow")
