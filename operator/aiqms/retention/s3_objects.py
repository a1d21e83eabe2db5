"""A walk over the stream's own objects, one request a check: whether each has its lock, and which fields its lines have. No line is kept."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote
from xml.etree import ElementTree

from aiqms.api.logging import Protection
from aiqms.policy.logs import Ask, Sample
from aiqms.retention.lines import SAMPLE, sample
from aiqms.retention.link import Answer
from aiqms.retention.s3_wire import COMPLIANCE, Lock, Wire, instant, lock, shown, tree, written

PAGE = 200  # keys of a list: with the longest that there are, still shorter than an answer may be
BEGINNING = 64 * 1024  # bytes of an object that are read
UNPACKED = 1024 * 1024  # bytes that these may become
UPLOAD = timedelta(minutes=1)  # between a writer's stamp and the end of its upload
_PACKED = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"), (b"PAR1", "Parquet"), (b"Obj\x01", "Avro"))


@dataclass(frozen=True)
class Object:
    """As a list has it."""

    key: str
    at: datetime
    size: int


@dataclass(frozen=True)
class Seen:
    """An object of the stream that was looked at."""

    object: Object
    lock: Lock

    @property
    def name(self) -> str:
        """The end of its key, which may be shown."""
        return f"object {'…' if len(self.object.key) > 100 else ''}{shown(self.object.key)}"

    def unlocked(self) -> bool:
        """Whether somebody can delete it."""
        return self.lock.mode != COMPLIANCE

    def short(self, retention: timedelta) -> bool:
        """Whether its lock ends before the period is over."""
        return self.lock.span + UPLOAD < retention


@dataclass
class Walk:
    """How far it has come. Each round looks at another object of each page, so that in the end each is looked at; the newest of a page first.

    next: to be looked at, by a GET or a HEAD. wrong: an object without its lock, at which the walk stands until that is mended or its time is over.
    """

    prefix: str
    canaries: str
    after: str = ""
    round: int = 0
    next: Object | None = None
    by: str = "GET"
    wrong: Seen | None = None
    looked: int = 0
    _sample: tuple[tuple[str, ...], Sample] | None = None

    async def step(self, wire: Wire, ask: Ask, now: datetime) -> None:
        """One request: a list, or a look at an object of the last one. Raises Trouble."""
        self.wrong = self.standing(ask, now)
        chosen, by = (self.wrong.object, "HEAD") if self.wrong else (self.next, self.by if ask.fields else "HEAD")
        self.next, self.by = None, "GET"
        await (self._look(wire, by, chosen, ask, now) if chosen else self._list(wire, ask, now))

    def sample(self, ask: Ask) -> Sample | None:
        """Of the last object that was read for these fields; None where none was yet, or no fields are asked for."""
        return self._sample[1] if ask.fields and self._sample and self._sample[0] == ask.fields else None

    def standing(self, ask: Ask, now: datetime) -> Seen | None:
        """The one that is wrong, if by what is asked now it still is."""
        return self.wrong if self.wrong and _wrong(self.wrong, ask, now) else None

    async def _list(self, wire: Wire, ask: Ask, now: datetime) -> None:
        params = {"list-type": "2", "max-keys": str(PAGE), "encoding-type": "url", "prefix": self.prefix}
        what = f"the objects of its bucket below the sink's prefix {self.prefix} (s3:ListBucket)"
        answer = await wire.ask("GET", params=params | ({"start-after": self.after} if self.after else {}))
        if answer.status != 200:
            raise wire.refusal(answer, what)
        try:
            page, truncated = _page(answer)
        except ValueError:
            raise wire.link.unreadable(what) from None
        self._choose([o for o in page if not o.key.startswith(self.canaries) and now - o.at < ask.retention], ask)
        self._turn(page[-1].key if truncated and page else "")

    def _choose(self, own: list[Object], ask: Ask) -> None:
        newest = sorted(own, key=lambda o: o.at, reverse=True)
        self.next = newest[self.round % len(newest)] if newest else None
        if not newest and self.sample(ask) is None:
            self._sample = (ask.fields, Sample())

    def _turn(self, last: str) -> None:
        """On to the next page, past all canaries at once; from the beginning after the last one."""
        # The slash is followed by 0 in the order of bytes, which is a list's.
        self.after = self.canaries[:-1] + "0" if last.startswith(self.canaries) else last
        self.round += not last

    async def _look(self, wire: Wire, by: str, chosen: Object, ask: Ask, now: datetime) -> None:
        """Lines are read only where fields are asked for."""
        ranged = {"Range": f"bytes=0-{BEGINNING - 1}"} if by == "GET" and chosen.size else {}
        answer = await wire.ask(by, chosen.key, headers=ranged)
        if answer.status == 404:
            self.wrong = None  # deleted since: what deletion is possible the canary tells
            return
        if answer.status not in (200, 206):
            raise wire.refusal(answer, f"an object below the sink's prefix {self.prefix} (s3:GetObject)")
        seen = Seen(chosen, lock(answer, written(answer) or chosen.at))
        if by == "GET":
            self._sample = (ask.fields, _sampled(seen, answer.body[:BEGINNING], ask))
        if by == "GET" and not seen.lock.mode and ask.protection is Protection.IMMUTABLE:
            self.next, self.by = chosen, "HEAD"  # by which alone some stores tell a lock, such as versitygw
            return
        self.looked += 1
        self.wrong = seen if _wrong(seen, ask, now) else None


def _wrong(seen: Seen, ask: Ask, now: datetime) -> bool:
    if ask.protection is not Protection.IMMUTABLE or now - seen.object.at >= ask.retention:
        return False
    return seen.unlocked() or seen.short(ask.retention)


def _page(answer: Answer) -> tuple[list[Object], bool]:
    root = tree(answer.body, "ListBucketResult")
    encoded = root.findtext("{*}EncodingType") == "url"
    return [_object(each, encoded) for each in root.iterfind("{*}Contents")], root.findtext("{*}IsTruncated") == "true"


def _object(element: ElementTree.Element, encoded: bool) -> Object:
    key, modified, size = (element.findtext(f"{{*}}{name}") or "" for name in ("Key", "LastModified", "Size"))
    at = instant(modified)
    if not key or at is None:
        raise ValueError("no key, or no date")
    # As in a form's: a space is a plus sign (AWS, MinIO and versitygw alike).
    return Object(unquote(key.replace("+", " ")) if encoded else key, at, int(size) if size.isdigit() else 1)


def _sampled(seen: Seen, body: bytes, ask: Ask) -> Sample:
    try:
        return sample(list(_lines(body, whole=seen.object.size <= len(body))), ask.fields)
    except ValueError as error:
        return Sample(unreadable=f"{seen.name} {error}: let its writer write a JSON object a line, plain or by gzip")


def _lines(body: bytes, *, whole: bool) -> Iterator[dict[str, object]]:
    """The first SAMPLE lines. Raises ValueError, which says what they are not."""
    text, ended = _unpacked(body)
    lines = text.split(b"\n")
    complete = lines if whole and ended else lines[:-1]
    if not complete and text:
        raise ValueError("has no line that ends within what is read of it")
    for line in [each for each in complete if each.strip()][:SAMPLE]:
        yield _line(line)


def _unpacked(body: bytes) -> tuple[bytes, bool]:
    """What gzip packed, bounded, and whether that is all of it."""
    for magic, name in _PACKED:
        if body.startswith(magic):
            raise ValueError(f"is packed as {name}")
    if not body.startswith(b"\x1f\x8b"):
        return body, True
    unpacking = zlib.decompressobj(wbits=31)
    try:
        return unpacking.decompress(body, UNPACKED), unpacking.eof
    except zlib.error:
        raise ValueError("is damaged gzip") from None


def _line(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("has a line that is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("has a line that is no JSON object")
    return found
