"""How times and fingerprints are written for people. Absolute, so that a message changes only when the facts do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def short(fingerprint: str | None) -> str:
    """`sha256:9f2c41d0`: enough to tell subjects apart on a screen."""
    return fingerprint[:15] if fingerprint else "none"


def moment(at: datetime) -> str:
    """`2027-02-20 10:00:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def visible(text: str, most: int = 128) -> str:
    """What others wrote, so that nobody takes it for what it looks like: letters beyond ASCII, and those that nobody sees, by their number."""
    return ascii(text[:most])[1:-1] + ("…" if len(text) > most else "")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 pod`, `3 pods`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def some(names: Iterable[str], between: str = ", ", *, most: int = 8, or_: bool = False) -> str:
    """`a, b and c`, `a, b or c`; with another separator that alone; of more than `most` the first ones and how many more."""
    found = list(names)
    shown = found[:most] + ([f"{len(found) - most} more"] if len(found) > most else [])
    if between != ", " or len(shown) < 2:
        return between.join(shown)
    return f"{between.join(shown[:-1])} {'or' if or_ else 'and'} {shown[-1]}"
