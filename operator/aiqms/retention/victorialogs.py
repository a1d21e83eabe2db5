"""VictoriaLogs: its flags say how long it keeps lines, and two canaries whether it does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiqms.api.logging import Protection, VictoriaLogs
from aiqms.policy.logs import Ask, Delivery, Proof, Sample, Trouble
from aiqms.retention import lines
from aiqms.retention.backend import Means
from aiqms.retention.link import Answer
from aiqms.retention.periods import NUMBER, period

_FLAGS = "its settings (GET /metrics)"
_LINES = "lines (POST /select/logsql/query)"
_FLAG = re.compile(r'^flag\{name="([^"]+)", value="([^"]*)"', re.MULTILINE)
_VERSION = re.compile(r'^vm_app_version\{version="([^"]*)", short_version="(v?[0-9A-Za-z.+-]{0,40})"', re.MULTILINE)
# lib/flagutil.RetentionDuration: a number without a unit counts months, and M is a month, of 31 days each.
_MONTH = timedelta(days=31)
_LEAST = timedelta(days=1)  # logstorage.MustOpenStorage: no period is shorter


@dataclass(frozen=True)
class Checker:
    """A single-node VictoriaLogs, asked with at most four requests: settings, insert, read back, sample."""

    sink: VictoriaLogs
    means: Means

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """Raises Trouble."""
        flags, version = await self._flags()
        kept, setting = _kept(flags)
        if kept is None and not setting:
            raise self.means.link.unreadable(_FLAGS)
        delivery, lost = await self._canary(ask, now, flags, self._grace(ask, kept))
        return Proof(
            backend=f"VictoriaLogs {version}".strip(),
            kept=kept,
            setting=setting,
            remedy="start VictoriaLogs with -retentionPeriod={}",
            early=_early(flags),
            delivery=delivery,
            lost=lost,
            sample=await self._sample(ask, now) if ask.fields else None,
            **_protection(flags),
        )

    async def _flags(self) -> tuple[Mapping[str, str], str]:
        """Those that are not set too, unlike at /flags. Raises Trouble for another product, VictoriaMetrics among them, which has a -retentionPeriod too."""
        link = self.means.link
        answer = await link.request("GET", "/metrics", headers=link.authorization())
        if answer.status != 200:
            raise link.refusal(answer, _FLAGS)
        flags = dict(_FLAG.findall(answer.text))
        version = _VERSION.search(answer.text)
        other = version is None or not (version[1] or "victoria-logs").startswith("victoria-logs")
        if other or not flags.keys() >= {"retentionPeriod", "retention.maxDiskSpaceUsageBytes"}:
            raise link.unreadable(_FLAGS)
        return flags, version[2] if version else ""

    def _grace(self, ask: Ask, kept: timedelta | None) -> timedelta:
        """How long to look for the old line. What its own flag says is gone is not waited for; a collector may send the two apart."""
        if kept is not None and kept < ask.retention:
            return timedelta(0)
        return max(ask.within, lines.GRACE) if self.means.collector else lines.GRACE

    async def _canary(self, ask: Ask, now: datetime, flags: Mapping[str, str], grace: timedelta) -> tuple[Delivery | None, str]:
        """A delivery, or why there is none. Raises Trouble where the sink itself cannot be asked."""
        fresh, old = lines.canary(now), lines.aged(now, ask.retention) if _takes_old(flags) else None
        both = [fresh, *([old[0]] if old else [])]
        if lost := await self._send(lines.jsonlines(*both)):
            return None, lost

        async def find() -> Mapping[str, datetime]:
            return await self._found(both)

        delivery = await lines.read_back(lines.Sent(self._route, fresh, old), find, ask.within, grace)
        seconds = f"{ask.within.total_seconds():g} s"
        why = f"a line that was sent {self._route} could not be read back within {seconds}: see whether it arrives, and under this account and project"
        return delivery, "" if delivery else why

    @property
    def _route(self) -> str:
        return f"through {self.means.collector.endpoint}" if self.means.collector else "directly"

    async def _send(self, body: bytes) -> str:
        """Why they were not accepted; empty where they were, which proves nothing: lines that are too old are accepted as well, and dropped."""
        if self.means.collector is None:
            fields = {"_time_field": "_time", "_msg_field": "_msg"}
            answer = await self._post("/insert/jsonline", fields, body, "application/stream+json")
            if answer.status >= 500:
                raise self.means.link.refusal(answer, "a test line (POST /insert/jsonline)")
            why = "let whom the sink's Secret names write test lines, or name a collector"
        else:
            try:
                answer = await self.means.collector.request("POST", "", headers={"Content-Type": "application/x-ndjson"}, data=body)
            except Trouble as trouble:
                return f"the test line could not be sent: {trouble.message}"
            why = "name the collector's intake for lines of JSON"
        return "" if 200 <= answer.status < 300 else f"the test line that was sent {self._route} was refused ({answer.status}): {why}"

    async def _found(self, canaries: list[lines.Line]) -> Mapping[str, datetime]:
        ids = ",".join(f'"{line.id}"' for line in canaries)
        first, last = min(line.at for line in canaries), max(line.at for line in canaries)
        parts = {"query": f"aiqms_canary:in({ids}) | fields _time, aiqms_canary", "limit": "10"}
        read = self._lines(await self._query(parts, first - timedelta(days=1), last + timedelta(days=1)))
        try:
            return {str(line["aiqms_canary"]): datetime.fromisoformat(str(line["_time"])) for line in read}
        except (KeyError, ValueError):
            raise self.means.link.unreadable(_LINES) from None

    async def _sample(self, ask: Ask, now: datetime) -> Sample:
        """As extra filter the sink's query cannot have pipes, which could add fields that no line has. Asked are no more fields than are looked for."""
        fields = ", ".join(f'"{name}"' for name in ("_time", "_stream_id", "request_id", "id", *ask.fields))
        parts = {"query": f"!aiqms_canary:* | fields {fields}", "extra_filters": self.sink.query, "limit": str(lines.SAMPLE)}
        answer = await self._query(parts, now - lines.RECENT, now + timedelta(days=1))
        if answer.status == 400:
            return Sample(unreadable="sink.victoriaLogs.query is no LogsQL filter (answer 400): correct it; pipes are not allowed in it")
        return lines.sample(self._lines(answer), ask.fields)

    async def _query(self, parts: Mapping[str, str], start: datetime, end: datetime) -> Answer:
        return await self._post("/select/logsql/query", {**parts, "start": start.isoformat(), "end": end.isoformat()}, b"", "text/plain")

    async def _post(self, path: str, params: Mapping[str, str], body: bytes, kind: str) -> Answer:
        link = self.means.link
        tenant = {"AccountID": str(self.sink.account_id), "ProjectID": str(self.sink.project_id)}
        return await link.request("POST", path, params=params, headers={**link.authorization(), **tenant, "Content-Type": kind}, data=body)

    def _lines(self, answer: Answer) -> list[dict[str, Any]]:
        if answer.status != 200:
            raise self.means.link.refusal(answer, _LINES)
        try:
            read = [json.loads(line) for line in answer.body.splitlines() if line]
        except (ValueError, RecursionError):
            raise self.means.link.unreadable(_LINES) from None
        if not all(isinstance(line, dict) for line in read):
            raise self.means.link.unreadable(_LINES)
        return read


def _kept(flags: Mapping[str, str]) -> tuple[timedelta | None, str]:
    """How long, and by which flag; no flag where it cannot be read."""
    if flags.get("storageNode"):
        return None, "-storageNode is set, so the nodes' own -retentionPeriod decides: name a single node, or prove each on its own"
    kept = duration(flags["retentionPeriod"])
    return kept, "" if kept is None else f"-retentionPeriod={flags['retentionPeriod']}"


def duration(value: str) -> timedelta | None:
    """A retentionPeriod as VictoriaLogs itself reads it; None for what it would not take."""
    try:
        return max(_duration(value), _LEAST)
    except (ValueError, OverflowError):
        return None


def _duration(value: str) -> timedelta:
    if months := re.fullmatch(f"({NUMBER})M?", value):
        return float(months[1]) * _MONTH
    if value.lower().endswith("m"):
        raise ValueError("minutes are not taken, lest they are taken for months")
    return period(value.lower())


def _early(flags: Mapping[str, str]) -> str:
    """A full disk ends the oldest days, whatever the period says."""
    limits = [f"-{name}" for name in ("retention.maxDiskSpaceUsageBytes", "retention.maxDiskUsagePercent") if flags.get(name, "0") not in ("", "0")]
    return f"{' and '.join(limits)} drops the oldest days when the disk fills: leave it out, and give the disk the room that the period needs" if limits else ""


def _protection(flags: Mapping[str, str]) -> dict[str, Any]:
    enabled = [f"-{name}" for name in ("delete.enable", "internaldelete.enable") if flags.get(name, "false") != "false"]
    if enabled:
        return {"unprotected": f"{' and '.join(enabled)} lets whoever may ask delete lines: start VictoriaLogs without"}
    return {
        "protection": Protection.DELETABLE,
        "shown": "-delete.enable=false",
        "unprotected": "VictoriaLogs has no lock: its administrators can remove days (/internal/partition) and files; S3 with Object Lock is immutable",
    }


def _takes_old(flags: Mapping[str, str]) -> bool:
    """Whether a line may be dated as long ago as the period reaches."""
    return flags.get("maxBackfillAge", "0") in ("", "0") and not flags.get("storageNode")
