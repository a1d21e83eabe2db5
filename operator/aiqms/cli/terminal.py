"""What every command has in common: how it ends, its options, and how it prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from enum import IntEnum, StrEnum
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.text import Text

from aiqms.api.values import Json
from aiqms.cli.text import Line


class Exit(IntEnum):
    """How a command ends. USAGE is typer's own."""

    YES = 0
    NO = 1  # the answer is no, or something was found: each command's help says what
    USAGE = 2
    CANNOT_ASK = 3  # the cluster does not answer, or does not let this person read


class Declined(Exception):
    """The person was asked, and said no."""


class NotDone(Exception):
    """What the person asked for was not done. The text says why and what to do."""


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace; default: the context's.")]
Context = Annotated[str | None, typer.Option("--context", help="The kubeconfig context; default: the current one.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="How to print it.")]


def terminal_width() -> int | None:
    """Columns of the terminal; None where the output is no terminal and nothing is wrapped."""
    console = Console(highlight=False)
    return shutil.get_terminal_size().columns if console.is_terminal else None


def print_lines(lines: Iterable[Line], *, err: bool = False) -> None:
    """Lines with their styles, which appear on a terminal alone. No text is taken for markup. err: to standard error."""
    console = Console(highlight=False, stderr=err)
    for line in lines:
        console.print(Text(plain(line.text), line.style), soft_wrap=True)


def plain(text: str) -> str:
    """The text without what moves a cursor, hides or turns other text round: it is other people's, and who decides has to see what it says."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def print_value(value: Json | list[Json], output: Output) -> None:
    """Plain values for programs. output: JSON or YAML."""
    FOR_PROGRAMS[output](value)


def _print_json(value: Json | list[Json]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_yaml(value: Json | list[Json]) -> None:
    plain = json.loads(json.dumps(value))  # enums and tuples as YAML knows them
    typer.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)


FOR_PROGRAMS: dict[Output, Callable[[Json | list[Json]], None]] = {Output.JSON: _print_json, Output.YAML: _print_yaml}
