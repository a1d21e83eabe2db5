"""S3's own words over a Link: signed requests, a few at most, locks in headers, and XML from a store that nobody vouches for."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from aiqms.api.conditions import Reason
from aiqms.api.logging import S3
from aiqms.policy.logs import Trouble
from aiqms.retention.link import Answer, Link

REQUESTS = 4  # of one check
COMPLIANCE, GOVERNANCE = "COMPLIANCE", "GOVERNANCE"
_WORDS = 2048  # bytes of an error that are looked at
_CLOCK = timedelta(minutes=15)  # more than that apart, a store refuses signed requests (RequestTimeTooSkewed)
_HINTS = {
    "RequestTimeTooSkewed": "set the clocks of the store and of the operator's machine",
    "AuthorizationHeaderMalformed": "correct the sink's region",
    "InvalidRegion": "correct the sink's region",
}


@dataclass(frozen=True)
class Lock:
    """Of one version of an object. mode: COMPLIANCE, GOVERNANCE, or empty. span: from when it was written until the lock ends."""

    mode: str = ""
    span: timedelta = timedelta(0)


NONE = Lock()


@dataclass
class Wire:
    """The requests of one check. left: how many it may still make."""

    sink: S3
    link: Link
    left: int = REQUESTS

    async def ask(
        self, method: str, key: str = "", *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> Answer:
        """One signed request for an object, or for the bucket. Raises Trouble as Link.request, and where the Secret lacks a key."""
        self.left -= 1
        path = "/" + quote(f"{self.sink.bucket}/{key}" if key else self.sink.bucket, safe="/~")
        return await self.link.request(method, path, params=params, headers=self._signed(method, path, params or {}, headers or {}, data), data=data)

    def _signed(self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str], data: bytes | None) -> dict[str, str]:
        # With locks S3 demands a digest of what is put (API reference, PutObject).
        digest = {"Content-MD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()} if data is not None else {}
        request = AWSRequest(method, self.link.endpoint.rstrip("/") + path, headers={**headers, **digest}, data=data, params=dict(params))
        S3SigV4Auth(self._credentials(), "s3", self.sink.region).add_auth(request)
        return {name: str(value) for name, value in request.headers.items()}

    def _credentials(self) -> ReadOnlyCredentials:
        found = [self.link.credentials.get(name, "").strip() for name in ("accessKeyId", "secretAccessKey")]
        if not all(found):
            raise Trouble(
                Reason.CREDENTIALS_UNREADABLE,
                "S3 is asked with the keys accessKeyId and secretAccessKey of a Secret: name one that has both in the sink's credentials",
            )
        return ReadOnlyCredentials(*found, None, None)

    def refusal(self, answer: Answer, what: str) -> Trouble:
        """What to raise for a status that is no good answer. what: was asked, with the right that it needs."""
        said = code(answer)
        if said == "NoSuchBucket":
            return Trouble(Reason.ANSWER_UNREADABLE, f"{self.link.endpoint} has no bucket {self.sink.bucket}: create it, or correct the sink's bucket")
        if said in _HINTS:
            return Trouble(Reason.CREDENTIALS_REFUSED, f"{self.link.endpoint} refuses to answer the operator ({answer.status} {said}): {_HINTS[said]}")
        if said and answer.status in (401, 403):
            why = f"does not let the operator ask for {what}: answer {answer.status} {said}; correct the Secret that the sink names, or the rights of its user"
            return Trouble(Reason.CREDENTIALS_REFUSED, f"{self.link.endpoint} {why}")
        if said:
            return Trouble(Reason.ANSWER_UNREADABLE, f"{self.link.endpoint} answered {answer.status} {said} when asked for {what}")
        return self.link.refusal(answer, what)


def code(answer: Answer) -> str:
    """The code of an S3 error, such as AccessDenied: the one word of it that may be shown. Empty for what is none."""
    found = re.search(rb"<Error\b[^>]{0,128}>.{0,512}?<Code>([A-Za-z]{1,64})</Code>", answer.body[:_WORDS], re.DOTALL)
    return found[1].decode() if found else ""


def said(answer: Answer) -> str:
    """Status and code, to be shown."""
    return f"{answer.status} {code(answer)}".strip()


def speaks_of_locks(answer: Answer) -> bool:
    """Whether an error says that it is for a lock: AWS, Ceph and versitygw say object lock, MinIO says WORM.

    Of a lack of rights they may name what was asked for, which may be called anything.
    """
    found = re.search(rb"<Message>([^<]{1,512})</Message>", answer.body[:_WORDS])
    message = found[1].lower() if found else b""
    return re.search(rb"object.?lock\b|\bworm\b", message) is not None and b"authorized" not in message and b"arn:" not in message


def lock(answer: Answer, since: datetime) -> Lock:
    """As the headers of a version have it, with its span since then."""
    mode, until = answer.headers.get("x-amz-object-lock-mode", ""), instant(answer.headers.get("x-amz-object-lock-retain-until-date", ""))
    return Lock(mode, until - since) if mode in (COMPLIANCE, GOVERNANCE) and until else NONE


def by_its_clock(answer: Answer, now: datetime) -> datetime:
    """When the store says that it wrote a version just now; our own clock where the two differ by more than is possible."""
    at = written(answer)
    return at if at and abs(at - now) <= _CLOCK else now


def written(answer: Answer) -> datetime | None:
    """When the version was written, as the store has it."""
    try:
        return parsedate_to_datetime(answer.headers.get("last-modified", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def instant(text: str) -> datetime | None:
    """A date as S3 writes it; None for anything else."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def tree(body: bytes, root: str) -> ElementTree.Element:
    """An answer's XML. Raises ValueError for what is none, for another root, and for any declared entity, by which a small answer becomes a large one."""
    text = body.decode()  # as text, so that no encoding that it names hides what is looked for; raises ValueError
    if "<!" in text:
        raise ValueError("S3 declares nothing in its answers")
    try:
        found = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError("no XML") from error
    if found.tag.rpartition("}")[2] != root:
        raise ValueError(f"no {root}")
    return found


def shown(text: str, longest: int = 100) -> str:
    """The last characters of a key or an id, printable."""
    return "".join(c for c in text if c.isprintable())[-longest:]


def span(period: timedelta) -> str:
    """As a Duration is written, where it is whole: 184d, 12h, 3s."""
    seconds = round(period.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h" if seconds > 86400 else f"{seconds}s"
