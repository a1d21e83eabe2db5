"""Periods as log stores written in Go spell them: 1y2w3d4h5m6s7ms, where a year has 365 days."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_PART = re.compile(f"({NUMBER})(ms|[smhdwy])")


def period(value: str) -> timedelta:
    """The sum of its parts; `0` alone is none. Raises ValueError, or OverflowError for what is longer than any."""
    if value != "0" and not re.fullmatch(f"(?:{_PART.pattern})+", value):
        raise ValueError("no period")
    return sum((float(number) * _UNITS[unit] for number, unit in _PART.findall(value)), timedelta())
