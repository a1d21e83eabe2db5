"""Figures with their goals, as a table for a terminal and as docs/performance.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.testbed.build import KUBERNETES

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


@dataclass(frozen=True)
class Row:
    """One figure. goal: the most that it may be, None where none is set; detail: what it was made of."""

    what: str
    figure: float
    unit: str
    goal: float | None = None
    detail: str = ""
    load: float = 0.0

    @property
    def verdict(self) -> str:
        """Whether it keeps to its goal."""
        return "" if self.goal is None else "met" if self.figure <= self.goal else "missed"

    def cells(self) -> tuple[str, ...]:
        """As text."""
        goal = "" if self.goal is None else f"≤ {_number(self.goal)} {self.unit}"
        return self.what, f"{_number(self.figure)} {self.unit}", goal, self.verdict, f"{self.load:.1f}", self.detail


HEADINGS = ("what", "figure", "goal", "", "load", "of")


def row(what: str, figure: float, unit: str, goal: float | None = None, detail: str = "") -> Row:
    """A figure with the load of the machine beside it: processes that ran or waited in the last minute."""
    return Row(what, figure, unit, goal, detail, os.getloadavg()[0])


def _number(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.2f}"


def quantile(values: Sequence[float], part: int) -> float:
    """The p-th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[part - 1]


def spread(values: Sequence[float], *, scale: float = 1000.0, unit: str = "ms") -> str:
    """p50, p90, p99 in words."""
    return " / ".join(f"{quantile(values, part) * scale:.2f}" for part in (50, 90, 99)) + f" {unit} (p50 / p90 / p99 of {len(values)})"


def table(rows: Iterable[Row]) -> str:
    """For a terminal."""
    lines = [HEADINGS, *(r.cells() for r in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def show(rows: Iterable[Row]) -> None:
    """Printed."""
    print(table(rows), flush=True)


def machine() -> str:
    """What the figures were made on, less whose it is."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("kopf", "kubernetes", "pydantic", "aiohttp"))
    return (
        f"{cores} cores ({platform.machine()}), {memory:.0f} GiB, {platform.system()}; Kubernetes {KUBERNETES}; Python {platform.python_version()}, {versions}"
    )


def markdown(rows: Iterable[Row]) -> str:
    """The table of docs/performance.md."""
    lines = [("what", "figure", "goal", "", "load", "of"), ("---",) * len(HEADINGS), *(r.cells() for r in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
