"""The operands of a CEL expression's && and ||: as much of CEL's grammar as it takes to find them. https://github.com/google/cel-spec, langdef.md, Syntax"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""
    (?P<text> [rR]('''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*") | '''(\\.|.)*?''' | \"\"\"(\\.|.)*?\"\"\" | '(\\.|[^'\\\n])*' | "(\\.|[^"\\\n])*" )
  | (?P<operator> && | \|\| )
  | (?P<optional> \.\? )
  | (?P<opening> [\[{]\? | [(\[{] )
  | (?P<closing> [)\]}] )
  | (?P<between> [?:,] )
    """,
    re.VERBOSE | re.DOTALL,
)
NEUTRAL = {"&&": "true", "||": "false"}


@dataclass(frozen=True)
class Operand:
    """Where it stands in the expression, and what it is without: true where all operands have to hold, false where one is enough."""

    start: int
    end: int
    neutral: str


@dataclass
class _Level:
    """What stands between two brackets, commas, or parts of `a ? b : c`, all of which bind less than || and &&."""

    start: int
    operators: list[re.Match[str]] = field(default_factory=list)

    def operands(self, end: int) -> Iterator[Operand]:
        """&& binds more than ||."""
        for start, stop in _parts(self.start, self.operators, "||", end):
            within = [o for o in self.operators if start <= o.start() < stop]
            if (start, stop) != (self.start, end):
                yield Operand(start, stop, NEUTRAL["||"])
            if within:
                yield from (Operand(*part, NEUTRAL["&&"]) for part in _parts(start, within, "&&", stop))


def _parts(start: int, operators: list[re.Match[str]], which: str, end: int) -> Iterator[tuple[int, int]]:
    for operator in operators:
        if operator.group() == which:
            yield start, operator.start()
            start = operator.end()
    yield start, end


def operands(expression: str) -> Iterator[Operand]:
    """All of them, from the inside out."""
    levels = [_Level(0)]
    for token in TOKEN.finditer(expression):
        match token.lastgroup:
            case "operator":
                levels[-1].operators.append(token)
            case "opening":
                levels.append(_Level(token.end()))
            case "closing":
                yield from levels.pop().operands(token.start())
            case "between":
                yield from levels.pop().operands(token.start())
                levels.append(_Level(token.end()))
    yield from levels.pop().operands(len(expression))


def without(expression: str, operand: Operand) -> str:
    """The expression with the operand's neutral element in its place."""
    return f"{expression[: operand.start]} {operand.neutral} {expression[operand.end :]}"
