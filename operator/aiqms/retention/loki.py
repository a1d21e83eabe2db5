"""Loki: the limits of the tenant say how long it keeps lines, rules for single streams included, and its deletion API whether it lets lines be deleted.

What is left out, since it proves least: the compactor's last run (it shows that lines go in the end, not that they stay), and a line that is dated back, which
Loki takes for a week by default, and does not show before it has flushed it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from aiqms.api.logging import Loki, Protection
from aiqms.policy.logs import FOREVER, Ask, Delivery, Proof, Sample, Trouble
from aiqms.retention import lines, selectors
from aiqms.retention.backend import Means
from aiqms.retention.link import Answer, Link
from aiqms.retention.periods import period
from aiqms.retention.selectors import Fit

_LIMITS = "the tenant's limits (GET /config/tenant/v1/limits)"
_LINES = "lines (GET /loki/api/v1/query_range)"
_LONGEST_LIMITS = 64 * 1024  # bytes; YAML is slow to read
_CANARY = selectors.Matcher("aiqms", "=", "canary")
_NO_SELECTOR = 'sink.loki.selector is no plain stream selector, such as {app="x"}: correct it; pipelines are not allowed in it'
_OFF = "deletion is not available for this tenant"  # pkg/compactor/deletion: the answer of the deletion API where deletion_mode is disabled
_ENABLED = re.compile(r"^compactor:\n(?: .*\n)*?  retention_enabled: (true|false)$", re.MULTILINE)
_TARGET = re.compile(r"^target: .*\b(?:all|backend|compactor)\b", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """One setting that may decide how long lines are kept. name: by its place in Loki's configuration."""

    name: str
    kept: timedelta
    priority: int = 0
    fit: Fit = Fit.ALWAYS


@dataclass(frozen=True)
class Deletion:
    """What the deletion API answered. enabled: whether the compactor ends lines at all, None where that cannot be told."""

    protection: Protection
    shown: str
    unprotected: str
    enabled: bool | None


@dataclass(frozen=True)
class Checker:
    """A Loki whose own API is reached, asked with at most four requests beside reading back: limits, deletion, push, sample.

    A fifth asks for its settings, where the deletion API is not there.
    """

    sink: Loki
    means: Means

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """Raises Trouble."""
        limits = await self._limits()
        rule = _deciding(limits, self.sink.selector)
        if rule is None:
            raise self.means.link.unreadable(_LIMITS)
        deletion = await self._deletion()
        delivery, lost = await self._canary(ask, now)
        kept, setting, remedy = _period(rule, deletion)
        return Proof(
            backend="Loki",
            kept=kept,
            setting=setting,
            remedy=remedy,
            early=_early(limits, ask),
            protection=deletion.protection,
            shown=deletion.shown,
            unprotected=deletion.unprotected,
            delivery=delivery,
            lost=lost,
            sample=await self._sample(ask, now) if ask.fields else None,
        )

    @property
    def _headers(self) -> dict[str, str]:
        return self.means.link.authorization() | ({"X-Scope-OrgID": self.sink.tenant} if self.sink.tenant else {})

    async def _get(self, path: str, params: Mapping[str, str] | None = None, link: Link | None = None) -> Answer:
        return await (link or self.means.link).request("GET", path, params=params, headers=self._headers)

    async def _limits(self) -> Mapping[str, Any]:
        link = replace(self.means.link, longest=_LONGEST_LIMITS)
        answer = await self._get("/config/tenant/v1/limits", link=link)
        if answer.status != 200:
            raise link.refusal(answer, _LIMITS)
        try:
            found = yaml.load(_without_aliases(answer.body), Loader=_LOADER)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise link.unreadable(_LIMITS) from None
        if not isinstance(found, dict):
            raise link.unreadable(_LIMITS)
        return found

    async def _deletion(self) -> Deletion:
        """The API is there only where the compactor ends lines; so its answer tells that too."""
        answer = await self._get("/loki/api/v1/delete")
        if answer.status == 403 and answer.text.strip() == _OFF:
            return Deletion(Protection.DELETABLE, "the deletion API is off for the tenant (deletion_mode=disabled)", _UNLOCKED, True)
        if answer.status == 200:
            return Deletion(
                Protection.NONE, "", "the deletion API is on, so that whoever may ask can delete lines: set deletion_mode=disabled for the tenant", True
            )
        if await self._ends_nothing():
            return Deletion(Protection.DELETABLE, "there is no deletion API (compactor.retention_enabled=false)", _UNLOCKED, False)
        return Deletion(
            Protection.NONE, "", f"the deletion API did not say that it is off (answer {answer.status}): let the operator reach the compactor's own", None
        )

    async def _ends_nothing(self) -> bool:
        """Whether the settings say so, and are those of a process that compacts."""
        answer = await self._get("/config")
        enabled = _ENABLED.search(answer.text)
        return answer.status == 200 and bool(_TARGET.search(answer.text)) and enabled is not None and enabled[1] == "false"

    async def _canary(self, ask: Ask, now: datetime) -> tuple[Delivery | None, str]:
        """A delivery, or why there is none. Raises Trouble where the sink itself cannot be asked."""
        selector = selectors.parse(self.sink.selector)
        if selector is None:
            return None, f"no test line was sent: {_NO_SELECTOR}"
        line = lines.canary(now)
        if lost := await self._send(line, selectors.equal(selector)):
            return None, lost
        asked = selector if self.means.collector else (*(m for m in selector if m.operator == "=" and m.label != _CANARY.label), _CANARY)

        async def find() -> Mapping[str, datetime]:
            return await self._found(f'{selectors.shown(asked)} |= "{line.id}"', line)

        delivery = await lines.read_back(lines.Sent(self._route, line), find, ask.within)
        why = (
            f"could not be read back within {ask.within.total_seconds():g} s: see whether it arrives, for this tenant and with the labels of sink.loki.selector"
        )
        return delivery, "" if delivery else f"a line that was sent {self._route} {why}"

    @property
    def _route(self) -> str:
        return f"through {self.means.collector.endpoint}" if self.means.collector else "directly"

    async def _send(self, line: lines.Line, labels: Mapping[str, str]) -> str:
        """Why it was not accepted; empty where it was, which proves nothing. Its labels are the workload's, as far as the selector names them, so that it is
        one of the workload's lines to Loki's rules, and one more that tells it from them."""
        if self.means.collector is None:
            stream = {k: v for k, v in labels.items() if v} | {_CANARY.label: _CANARY.value}
            body = {"streams": [{"stream": stream, "values": [[_nanoseconds(line.at), json.dumps(line.fields())]]}]}
            headers = self._headers | {"Content-Type": "application/json"}
            answer = await self.means.link.request("POST", "/loki/api/v1/push", headers=headers, data=json.dumps(body).encode())
            if answer.status >= 500:
                raise self.means.link.refusal(answer, "a test line (POST /loki/api/v1/push)")
            why = "let whom the sink's Secret names write test lines, or name a collector"
        else:
            try:
                answer = await self.means.collector.request("POST", "", headers={"Content-Type": "application/x-ndjson"}, data=lines.jsonlines(line))
            except Trouble as trouble:
                return f"the test line could not be sent: {trouble.message}"
            why = "name the collector's intake for lines of JSON"
        return "" if 200 <= answer.status < 300 else f"the test line that was sent {self._route} was refused ({answer.status}): {why}"

    async def _found(self, query: str, line: lines.Line) -> Mapping[str, datetime]:
        answer = await self._query(query, 1, line.at - timedelta(hours=1), line.at + timedelta(hours=1))
        return {line.id: found[0][1]} if (found := self._entries(answer)) else {}

    async def _sample(self, ask: Ask, now: datetime) -> Sample:
        """Asked are no more fields of a line than are looked for, by aliases, since their names may be none of a label; the line itself is left out."""
        selector = selectors.parse(self.sink.selector)
        if selector is None:
            return Sample(unreadable=_NO_SELECTOR)
        names = tuple(dict.fromkeys((*ask.fields, "request_id", "id")))
        wanted = ", ".join(f"{alias}={json.dumps(path)}" for alias, path in _aliases(names))
        query = f'{selectors.shown((*selector, replace(_CANARY, operator="!=")))} | json {wanted} | line_format ""'
        answer = await self._query(query, lines.SAMPLE, now - lines.RECENT, now + timedelta(hours=1))
        if answer.status == 400:
            return Sample(unreadable=f"{_NO_SELECTOR} (answer 400)")
        return _sampled(self._entries(answer), names, ask.fields)

    async def _query(self, query: str, limit: int, start: datetime, end: datetime) -> Answer:
        params = {"query": query, "limit": str(limit), "start": _nanoseconds(start), "end": _nanoseconds(end), "direction": "backward"}
        return await self._get("/loki/api/v1/query_range", params)

    def _entries(self, answer: Answer) -> list[tuple[Mapping[str, str], datetime]]:
        """The labels of each line, what was looked for in it among them, and its date. Raises Trouble."""
        found = self.means.link.parsed(answer, _LINES)
        try:
            return [(dict(stream["stream"]), _instant(value[0])) for stream in found["data"]["result"] for value in stream["values"]]
        except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
            raise self.means.link.unreadable(_LINES) from None


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNLOCKED = "Loki has no lock: its administrators, and those of its object store, can remove chunks; S3 with Object Lock is immutable"


def _deciding(limits: Mapping[str, Any], selector: str) -> Rule | None:
    """The rule that keeps the shortest among those that may decide; None where the limits cannot be read.

    Of the rules that apply to a stream the one with the highest priority decides, the shortest of several such; where none applies, the tenant's period
    (pkg/compactor/retention: TenantRetentionSnapshot.RetentionPeriodFor).
    """
    try:
        rules = [_rule(n, given, selector) for n, given in enumerate(limits.get("retention_stream") or [])]
        whole = Rule("retention_period", _kept(limits["retention_period"]))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
    sure = max((rule.priority for rule in rules if rule.fit is Fit.ALWAYS), default=None)
    may = [rule for rule in rules if rule.fit is not Fit.NEVER and (sure is None or rule.priority >= sure)]
    return min([*may, *([whole] if sure is None else [])], key=lambda rule: rule.kept)


def _rule(number: int, given: Mapping[str, Any], selector: str) -> Rule:
    fit = selectors.fits(selectors.parse(given["selector"]), selectors.parse(selector))
    return Rule(f"retention_stream[{number}].period", _kept(given["period"]), int(given.get("priority", 0)), fit)


def _kept(value: object) -> timedelta:
    """0 turns the end of lines off (since Loki 2.8). Raises ValueError."""
    if not isinstance(value, (str, int)):
        raise ValueError("no period")
    return period(str(value)) or FOREVER


def _without_aliases(body: bytes) -> bytes:
    """Loki writes none, and a few of them stand for more than a machine can hold. Raises YAMLError."""
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(body, Loader=_LOADER)):
        raise yaml.YAMLError("aliases")
    return body


def _period(rule: Rule, deletion: Deletion) -> tuple[timedelta, str, str]:
    """How long, what decides, and how to set it. Where it cannot be told whether the compactor ends lines, it is taken to."""
    if deletion.enabled is False:
        remedy = "set compactor.retention_enabled=true and retention_period={}"
        return FOREVER, "compactor.retention_enabled=false, so that Loki deletes nothing by itself", remedy
    value = "0" if rule.kept == FOREVER else f"{rule.kept / timedelta(hours=1):g}h"
    return rule.kept, f"{rule.name}={value} of the tenant's limits", f"set {rule.name}={{}} in limits_config, or in the tenant's overrides"


def _early(limits: Mapping[str, Any], ask: Ask) -> str:
    try:
        lookback = _kept(limits.get("max_query_lookback", "0"))
    except (OverflowError, ValueError):
        return "max_query_lookback cannot be read: set it to 0"
    return "" if lookback >= ask.retention else "max_query_lookback hides lines that are older, though they are kept: set it to 0"


def _aliases(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Label -> path in the JSON of a line: the name as it is, and, for one with dots, as a path through nested objects."""
    plain = [(f"aiqms_{n}", f'["{name}"]') for n, name in enumerate(names)]
    nested = [(f"aiqms_{n}_nested", "".join(f'["{part}"]' for part in name.split("."))) for n, name in enumerate(names) if "." in name.strip(".")]
    return plain + nested


def _sampled(entries: list[tuple[Mapping[str, str], datetime]], names: tuple[str, ...], required: tuple[str, ...]) -> Sample:
    seen = [_fields(labels, names) | {"_time": at.isoformat()} for labels, at in entries]
    found = lines.sample(seen, required)
    if found.lacking and all("__error__" in labels for labels, _ in entries):
        return Sample(found.lines, unreadable="the lines are no JSON objects: log JSON, or put the fields into labels or structured metadata")
    return found


def _fields(labels: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """Those that a line has: in its JSON, or as label or structured metadata, in whose names Loki writes an underscore for what no label may have."""
    places = {name: (f"aiqms_{n}", f"aiqms_{n}_nested", name, re.sub(r"[^A-Za-z0-9_]", "_", name)) for n, name in enumerate(names)}
    found = {name: next((str(labels[place]) for place in of if labels.get(place)), "") for name, of in places.items()}
    return {name: value for name, value in found.items() if value}


def _nanoseconds(at: datetime) -> str:
    return str((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000)


def _instant(nanoseconds: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(nanoseconds) // 1000)
