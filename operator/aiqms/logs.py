"""Structured logs: one event a line, as JSON or as text. Never a secret, never a prompt."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "settings", "k8s_skip", "k8s_ref"}


def fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller added with `extra`."""
    return {k: v for k, v in vars(record).items() if k not in _OWN}


class Json(logging.Formatter):
    """One JSON object a line; time is RFC 3339."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {"time": _time(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()} | fields(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class Text(logging.Formatter):
    """For a terminal: time, level, message, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and a trace below where there is one."""
        tail = "".join(f" {k}={v}" for k, v in fields(record).items())
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{tail}{trace}"


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def configure(level: str, *, as_json: bool) -> None:
    """All loggers to standard error, in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if as_json else Text())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(level)))
