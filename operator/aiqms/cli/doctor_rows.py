"""What a check of `kubectl qms doctor` says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from aiqms.api.values import Json


class Result(StrEnum):
    """UNKNOWN is never taken for OK: a check that could not be made says nothing about the gate. ACCEPTED: found, and accepted by name."""

    OK = "Ok"
    FOUND = "Found"
    UNKNOWN = "Unknown"
    ACCEPTED = "Accepted"


@dataclass(frozen=True)
class Row:
    """One answer. about: what it is about, where a check has several; do: what to do now."""

    result: Result
    message: str
    do: str = ""
    about: str = ""
    check: str = ""

    @property
    def key(self) -> str:
        """By which it can be accepted."""
        return f"{self.check}/{self.about}" if self.about else self.check

    def dump(self) -> Json:
        """Plain values for -o json and -o yaml."""
        return {"check": self.check, "about": self.about, "result": str(self.result), "message": self.message, "do": self.do}

    def accepted(self, patterns: list[str]) -> Row:
        """The row, accepted if a pattern names it. Only what was found can be accepted."""
        named = self.result is Result.FOUND and any(fnmatchcase(self.key, pattern) for pattern in patterns)
        return replace(self, result=Result.ACCEPTED) if named else self


FORBIDDEN = re.compile(
    r'.* is forbidden: User ".*" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)"| at the cluster scope)?.*',
    re.DOTALL,
)


def plainly(message: str) -> str:
    """What RBAC says, shorter: which right is missing. Any other message stays."""
    said = FORBIDDEN.fullmatch(message)
    if said is None:
        return message
    resource = f"{said['resource']}.{said['group']}" if said["group"] else said["resource"]
    where = f"in {said['namespace']}" if said["namespace"] else "cluster-wide"
    return f"you may not {said['verb']} {resource} {where}"


def ok(message: str, about: str = "") -> Row:
    """A check that was made, and found nothing."""
    return Row(Result.OK, message, about=about)


def found(message: str, do: str, about: str = "") -> Row:
    """Something is wrong."""
    return Row(Result.FOUND, message, do, about)


def unknown(message: str, do: str, about: str = "") -> Row:
    """A check that could not be made."""
    return Row(Result.UNKNOWN, message, do, about)
