"""Invariant 10 for what is said of logs: pairs of Inputs that differ in one field, whose stream's sink was seen to do what the first of them asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiqms.api.logging import Protection
from aiqms.api.values import Json
from aiqms.policy.facts import Input
from aiqms.policy.logs import Checked
from tests.unit.policy.given import day
from tests.unit.policy.sinks import DUTY, SERVER, STREAM, VL, ask, asking, checked, logged, proof, sample, sent_to

Case = tuple[Input, Input, float]
ALL = ask(retention=timedelta(days=365), protection=Protection.IMMUTABLE, fields=("a", "b"))
SEEN = checked(proof(sample=sample(("r-17", ("a",)))), of=ALL)
LOST = checked(proof(delivery=None, lost="it could not be read within 60 s"), came=None, of=ALL)
VOLUME = checked(proof(kept=None), of=ALL)
PENDING = Checked(since=day(1))


def _of_stream(field: str, one: Any, other: Any, seen: Checked = SEEN) -> Case:
    ones = [logged(asking(STREAM | {field: value}), seen=seen) for value in (one, other)]
    return ones[0], ones[1], 1.5


def _of_logging(one: Json, other: Json, seen: Checked = SEEN) -> Case:
    return logged(asking(**one), seen=seen), logged(asking(**other), seen=seen), 1.5


def _of_sink(one: Json, other: Json) -> Case:
    """The same answers of another sink are stored as that one's."""
    return logged(logging=sent_to(one)), logged(logging=sent_to(other)), 1.5


def _sink(kind: str, usual: Json, fields: dict[str, tuple[Any, Any]]) -> dict[str, Case]:
    """Pairs of sinks of one kind, by the field's path; a path of two steps lies in a part of the sink."""
    cases = {}
    for path, (one, other) in fields.items():
        first, _, second = path.partition(".")
        parts = [{first: {second: value}} if second else {first: value} for value in (one, other)]
        cases[f"logging.streams[].sink.{kind}.{path}"] = _of_sink({kind: usual | parts[0]}, {kind: usual | parts[1]})
    return cases


_NAMED: dict[str, tuple[Any, Any]] = {
    "endpoint": (SERVER, "https://other.bank.example:9428"),
    "credentials.secretName": ("a", "b"),
    "ca.configMapName": ("a", "b"),
}
# The key of an authority belongs to its ConfigMap.
_KEYED = {kind: ({"configMapName": "a", "key": "a"}, {"configMapName": "a", "key": "b"}) for kind in ("victoriaLogs", "s3", "loki", "other")}

_S3: Json = {"endpoint": SERVER, "bucket": "audit"}
_LOKI: Json = {"endpoint": SERVER, "selector": "{}"}
_OTHER: Json = {"endpoint": SERVER, "backend": "own"}


def _all(kind: str, usual: Json, fields: dict[str, tuple[Any, Any]]) -> dict[str, Case]:
    one, other = ({kind: usual | {"ca": ca}} for ca in _KEYED[kind])
    return _sink(kind, usual, _NAMED | fields) | {f"logging.streams[].sink.{kind}.ca.key": _of_sink(one, other)}


PROCEDURE: dict[str, Case] = {
    "logging.streams[].name": _of_stream("name", "inference", "other"),
    "logging.streams[].retention": _of_stream("retention", "184d", "365d"),
    "logging.streams[].protection": _of_stream("protection", "None", "Immutable"),
    "logging.streams[].canary": _of_stream("canary", "Required", "Optional", LOST),
    "logging.streams[].requiredFields": _of_stream("requiredFields", ["a"], ["b"]),
    "logging.streams[].maxCheckAge": _of_stream("maxCheckAge", "6h", "24h"),
    "logging.endpoints": _of_logging({}, {"endpoints": ["https://other.example"]}),
    "logging.canary.within": _of_logging({"canary": {"every": "1h", "within": "1m"}}, {"canary": {"every": "1h", "within": "2d"}}, PENDING),
    "logging.unverified": _of_logging({"unverified": "Refused"}, {"unverified": "Warned"}, VOLUME),
    "logging.obligations[].framework": _of_logging({"obligations": [DUTY]}, {"obligations": [DUTY | {"framework": "iso-42001"}]}),
    "logging.obligations[].id": _of_logging({"obligations": [DUTY]}, {"obligations": [DUTY | {"id": "26(6)"}]}),
}
DEPLOYMENT: dict[str, Case] = {
    "logging.streams[].name": (logged(logging=sent_to(name="inference")), logged(logging=sent_to(name="other")), 1.5),
    "logging.streams[].collector": (logged(logging=sent_to(collector=SERVER)), logged(logging=sent_to(collector="https://b.bank.example:9428")), 1.5),
    **_all("victoriaLogs", VL["victoriaLogs"], {"accountId": (1, 2), "projectId": (1, 2), "query": ("a", "b")}),
    **_all("s3", _S3, {"region": ("a", "b"), "bucket": ("aaa", "bbb"), "prefix": ("a", "b"), "objectLock": ("BucketDefault", "Writer")}),
    **_all("loki", _LOKI, {"tenant": ("a", "b"), "selector": ('{a="b"}', '{a="c"}')}),
    **_all("other", _OTHER, {"backend": ("a", "b"), "options": ({"a": "1"}, {"a": "2"})}),
    **_sink("persistentVolumeClaim", {}, {"claimName": ("a", "b")}),
}
# How often a sink is asked decides nothing: (the one, the other).
ASKING: dict[str, tuple[Input, Input]] = {"logging.canary.every": (logged(asking(canary={"every": "1h"})), logged(asking(canary={"every": "2h"})))}
