"""Instants as they are stored, for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from aiqms.policy.words import moment


def instant(stored: str) -> str:
    """`2027-02-20 10:00:00 UTC`; one of the far future is none: what ends then ends by being withdrawn."""
    return "withdrawn" if stored.startswith("9999") else moment(datetime.fromisoformat(stored))


def end_in(message: str) -> datetime | None:
    """The end that the message of a record's status names, as policy.words writes it; None where it names none, for it never ends."""
    found = re.search(r" until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", message)
    return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
