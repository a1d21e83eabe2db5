"""`kubectl qms lint`: what the gate will make of manifests, before they are applied."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from aiqms.api.values import duration
from aiqms.cli import manifests, offline
from aiqms.cli.lint_rules import RULES, Finding, Linted, findings
from aiqms.cli.terminal import Exit, Format, Output, print_lines, print_value, terminal_width
from aiqms.cli.text import Line
from aiqms.policy.words import plural

HELP = """Says what the gate will make of manifests before they are applied, without a cluster: each finding with file, line and what to do.

Give files, folders, and - for what Helm or Kustomize prints. The more is given, the more is seen: a workload alone cannot be missed
in a register that was not given. Ends with 0 if nothing was found, with 1 if something was, or if the manifests cannot be read."""
NAMES = [rule.name for rule in RULES]


def _known(names: list[str] | None) -> list[str]:
    for name in names or []:
        if name not in NAMES:
            raise typer.BadParameter(f"there is no rule {name}: there are {', '.join(NAMES)}")
    return names or []


def command(
    *,
    files: Annotated[list[Path] | None, typer.Option("--filename", "-f", help="A manifest, a folder of them, or - for standard input; repeatable.")] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Of objects that name none.")] = "default",
    values: Annotated[Path | None, typer.Option("--values", help="The values that the chart is installed with, where they change gate.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="A rule to leave out; repeatable.", callback=_known)] = None,
    approvals_take: Annotated[str, typer.Option("--approvals-take", help="How long people take, for rule deadline.", callback=manifests.duration_text)] = "1d",
    rules: Annotated[bool, typer.Option("--rules", help="Print the rules, and end.")] = False,
    output: Format = Output.TEXT,
) -> None:
    if rules:
        _print_rules(output)
        return
    if not files:
        raise typer.BadParameter("give manifests with -f: files, folders, or - for standard input")
    linted = Linted(manifests.read(files, namespace=namespace), offline.rules(values), duration(approvals_take))
    found = [f for f in findings(linted) if f.rule not in (ignore or [])]
    if output is Output.TEXT:
        print_lines(_lines(found, len(linted.given.all), terminal_width()))
    else:
        print_value([f.dump() for f in found], output)
    raise typer.Exit(Exit.NO if found else Exit.YES)


def _print_rules(output: Output) -> None:
    if output is not Output.TEXT:
        print_value([{"rule": rule.name, "looksFor": rule.looks_for} for rule in RULES], output)
        return
    column = max(map(len, NAMES))
    print_lines(Line(f"{rule.name.ljust(column)}  {rule.looks_for}") for rule in RULES)


def _lines(found: list[Finding], objects: int, width: int | None) -> Iterator[Line]:
    """One line a finding, as compilers write them, wrapped on a terminal."""
    for finding in found:
        source = f" ({finding.source})" if finding.source else ""
        text = f"{finding.file}:{finding.line}{source}: {finding.rule}: {finding.kind}/{finding.name}: {finding.message}"
        wrapped = [text] if width is None else textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
        yield from (Line(line, "yellow" if line is wrapped[0] else "") for line in wrapped)
    what = f"{plural(len(found), 'finding')}" if found else "nothing found"
    yield Line(f"{what} in {plural(objects, 'object')}", "bold red" if found else "bold green")
