"""Instants as they are stored, for people."""

from __future__ import annotations

from datetime import datetime

from aiqms.policy.words import moment


def instant(stored: str) -> str:
    """`2027-02-20 10:00:00 UTC`; one of the far future is none: what ends then ends by being withdrawn."""
    return "withdrawn" if stored.startswith("9999") else moment(datetime.fromisoformat(stored))
