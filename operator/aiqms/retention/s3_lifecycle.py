"""Lifecycle rules of a bucket: by which a store deletes objects of its own accord."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree

from aiqms.policy.logs import FOREVER
from aiqms.retention.s3_wire import instant, shown, tree


@dataclass(frozen=True)
class Rule:
    """One that is enabled. days: from writing to expiry; on: the day on which all there is expires; noncurrent: from being replaced or deleted to the end."""

    id: str
    prefix: str
    days: timedelta | None = None
    on: datetime | None = None
    noncurrent: timedelta | None = None


@dataclass(frozen=True)
class Rules:
    """Those that may touch what lies under a prefix. known: False where the store does not tell them."""

    those: tuple[Rule, ...] = ()
    known: bool = True

    @property
    def shortest(self) -> Rule | None:
        """The one that ends current objects first."""
        return min((r for r in self.those if r.days is not None), key=_days_of, default=None)

    @property
    def kept(self) -> timedelta | None:
        """How long an object stays; None where that is not known."""
        if not self.known:
            return None
        return _days_of(self.shortest) if self.shortest else FOREVER

    def early(self, retention: timedelta, now: datetime) -> Rule | None:
        """One that ends current objects before the period is over."""
        return next((r for r in self.those if (r.days is not None and r.days < retention) or (r.on is not None and r.on - now < retention)), None)

    def forgets(self, retention: timedelta) -> Rule | None:
        """One that ends versions which somebody replaced or deleted, before the period is over."""
        return next((r for r in self.those if r.noncurrent is not None and r.noncurrent < retention), None)


def _days_of(rule: Rule) -> timedelta:
    return FOREVER if rule.days is None else rule.days


UNKNOWN = Rules(known=False)


def parsed(body: bytes, prefix: str, canaries: str) -> Rules:
    """Those that may touch what lies under the prefix, but for canaries, which may go when nothing holds them. Raises ValueError."""
    found = [_rule(each) for each in tree(body, "LifecycleConfiguration").iterfind("{*}Rule") if _text(each, "Status") == "Enabled"]
    return Rules(tuple(r for r in found if _touches(r, prefix) and not r.prefix.startswith(canaries)))


def _touches(rule: Rule, prefix: str) -> bool:
    """Tags and sizes only narrow a rule, by what nobody can foresee: it counts as if it had none."""
    return rule.prefix.startswith(prefix) or prefix.startswith(rule.prefix)


def _rule(element: ElementTree.Element) -> Rule:
    prefix = _text(element, "Filter/And/Prefix") or _text(element, "Filter/Prefix") or _text(element, "Prefix")
    days, noncurrent = _days(element, "Expiration/Days"), _days(element, "NoncurrentVersionExpiration/NoncurrentDays")
    return Rule(shown(_text(element, "ID"), 64) or "without ID", prefix, days, instant(_text(element, "Expiration/Date")), noncurrent)


def _days(element: ElementTree.Element, path: str) -> timedelta | None:
    text = _text(element, path)
    if text and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError("no number of days")
    return timedelta(days=int(text)) if text else None


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext("/".join(f"{{*}}{name}" for name in path.split("/"))) or "").strip()
