"""S3: the suite on real stores, and what is its own."""

from __future__ import annotations

import contextlib
import gzip
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import botocore.config
import botocore.session
import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import S3, Protection
from aiqms.policy.logs import FOREVER, Ask, Proof, Sample, Trouble
from aiqms.retention.backend import Checker, Means
from aiqms.retention.conformance import COMPLETE_LINES, LACKING_LINES, PERIOD, SECRET, VALUE, Case, Conformance, Counted, Fault, Given
from aiqms.retention.link import Answer
from aiqms.retention.s3 import Checker as S3Checker
from aiqms.retention.s3_lifecycle import Rule, Rules, parsed
from aiqms.retention.s3_wire import Wire, said, speaks_of_locks
from tests.testbed.objectstore import moto, versitygw
from tests.testbed.waiting import eventually

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ACCESS = "aiqms"
CREDENTIALS = {"accessKeyId": ACCESS, "secretAccessKey": SECRET}
LINES: dict[Case, Sequence[Mapping[str, str]]] = {Case.LACKING: LACKING_LINES, Case.COMPLETE: COMPLETE_LINES}
IMMUTABLE = Ask(PERIOD, Protection.IMMUTABLE)
DELETABLE = Ask(PERIOD, Protection.DELETABLE)


def packed(lines: Sequence[Mapping[str, str]]) -> bytes:
    """As a writer of logs would."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@dataclass(frozen=True)
class Store:
    """A store, as its administrator and its writers have it."""

    endpoint: str

    @property
    def client(self) -> Any:
        """Theirs; the checker has none of it."""
        config = botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        made: Any = botocore.session.get_session().create_client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET, config=config
        )
        return made

    def bucket(self, *, locks: bool = False, default: tuple[str, int] | None = None, versions: bool = False) -> str:
        """A new one. default: mode and days."""
        name = f"logs-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locks)
        if default:
            rule = {"DefaultRetention": {"Mode": default[0], "Days": default[1]}}
            self.client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
        if versions:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def rules(self, bucket: str, *rules: Mapping[str, Any]) -> None:
        """Its lifecycle rules."""
        self.client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [{"Status": "Enabled", **r} for r in rules]})

    def write(self, bucket: str, key: str, body: bytes = b"{}\n", *, mode: str = "", period: timedelta = PERIOD) -> None:
        """As a writer that stamps its objects, or does not."""
        stamp = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": datetime.now(UTC) + period} if mode else {}
        self.client.put_object(Bucket=bucket, Key=key, Body=body, **stamp)


def unaltered(_: str, answer: Answer) -> Answer:
    """As the store answered."""
    return answer


@dataclass
class Phase:
    """A store that comes to answer otherwise."""

    now: Callable[[str, Answer], Answer] = unaltered

    def __call__(self, method: str, answer: Answer) -> Answer:
        return self.now(method, answer)


@dataclass(frozen=True)
class Altered(Counted):
    """A link whose answers are altered: method and answer -> answer."""

    alter: Callable[[str, Answer], Answer] = unaltered

    async def request(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, data: bytes | None = None
    ) -> Answer:
        return self.alter(method, await super().request(method, path, params=params, headers=headers, data=data))


@pytest.fixture(scope="module")
def gateway() -> Iterator[Store]:
    """It honours locks, stamps no default, tells locks by HEAD alone, and has no lifecycle rules."""
    with versitygw(ACCESS, SECRET) as endpoint:
        yield Store(endpoint)


@pytest.fixture(scope="module")
def mock() -> Iterator[Store]:
    """It stamps defaults, tells locks by GET, and has lifecycle rules."""
    with moto() as endpoint:
        yield Store(endpoint)


@pytest.fixture(scope="module")
def lax() -> Iterator[Store]:
    """It declares locks, and honours none."""
    with moto(lax=True) as endpoint:
        yield Store(endpoint)


@dataclass
class Checks:
    """A checker, and each check's requests; none may make more than four."""

    checker: S3Checker
    link: Counted

    async def proof(self, ask: Ask, times: int = 1) -> Proof:
        """The last one's."""
        for _ in range(times):
            self.link.asked.clear()
            proof = await self.checker.check(ask, datetime.now(UTC))
            assert len(self.link.asked) <= 4, self.link.asked
            assert SECRET not in repr(proof)
        return proof

    @property
    def methods(self) -> list[str]:
        """Of the last check."""
        return [each.split(" ", 1)[0] for each in self.link.asked]


def checks(store: Store, bucket: str, alter: Callable[[str, Answer], Answer] = unaltered, **sink: Any) -> Checks:
    """Of a new checker."""
    link = Altered(store.endpoint, CREDENTIALS, alter=alter)
    return Checks(S3Checker(S3(endpoint=store.endpoint, bucket=bucket, **sink), Means(link)), link)


def for_its_lock(method: str, answer: Answer) -> Answer:
    """A refused deletion in AWS's words."""
    error = b"<Error><Code>AccessDenied</Code><Message>Access Denied because object protected by object lock.</Message></Error>"
    return replace(answer, body=error) if (method, answer.status) == ("DELETE", 403) else answer


# The suite.


@dataclass(frozen=True)
class Walked:
    """As if that many checks had been: the suite makes one, and objects are walked over one request a check."""

    checker: Checker
    times: int
    protection: Protection

    async def check(self, ask: Ask, now: datetime) -> Proof:
        for _ in range(self.times - 1):
            await self.checker.check(replace(ask, protection=self.protection), now)
        return await self.checker.check(replace(ask, protection=self.protection), now)


_AS_ABOVE = "as with the class above: what answers is no store of a kind"


class TestVersitygw(Conformance):
    """With objects that their writer stamps."""

    credentials: ClassVar[Mapping[str, str]] = CREDENTIALS
    times: ClassVar[dict[Case, int]] = {Case.TOO_SHORT: 6, Case.EXACT: 6, Case.LACKING: 6, Case.COMPLETE: 6, Case.EMPTY: 2}
    cannot: ClassVar[Mapping[Case | Fault, str]] = {
        Case.UNLIMITED: "what it keeps is proven by locks, which have an end, since it does not tell lifecycle rules",
        Case.DISABLED: "its locks cannot be turned off in a bucket that has them; a bucket without is in the tests below",
        Case.OVERRIDDEN: "a lock is each object's own",
        Case.LIMITED: "it has no lifecycle rules",
        Case.DELETABLE: "what it keeps of objects without locks it does not tell",
    }

    @pytest.fixture(autouse=True)
    def _store(self, gateway: Store) -> None:
        self.store, self.case = gateway, Case.ENOUGH

    def sink(self, endpoint: str) -> S3:
        return S3(endpoint=endpoint, bucket="logs", prefix="answers/", object_lock="Writer")

    @contextlib.contextmanager
    def serve(self, case: Case) -> Iterator[Given]:
        self.case, bucket = case, self.store.bucket(locks=True)
        if case is not Case.EMPTY:
            period = {Case.TOO_SHORT: PERIOD - DAY, Case.EXACT: PERIOD}.get(case, 400 * DAY)
            self.store.write(bucket, "answers/2026/11/27.json", packed(LINES.get(case, COMPLETE_LINES)), mode="COMPLIANCE", period=period)
        yield Given(self.sink(self.store.endpoint).model_copy(update={"bucket": bucket}), self.means(self.store.endpoint))

    def checker(self, sink: Any, means: Means) -> Checker:
        return Walked(S3Checker(sink, means), self.times.get(self.case, 1), Protection.IMMUTABLE)


class TestLifecycleRules(Conformance):
    """Without locks."""

    credentials: ClassVar[Mapping[str, str]] = CREDENTIALS
    cannot: ClassVar[Mapping[Case | Fault, str]] = dict.fromkeys(Fault, _AS_ABOVE)
    rules: ClassVar[dict[Case, list[dict[str, Any]]]] = {
        Case.TOO_SHORT: [{"ID": "all", "Filter": {"Prefix": ""}, "Expiration": {"Days": 183}}],
        Case.EXACT: [{"ID": "all", "Filter": {"Prefix": ""}, "Expiration": {"Days": 184}}],
        Case.UNLIMITED: [{"ID": "others", "Filter": {"Prefix": "questions/"}, "Expiration": {"Days": 1}}],
        Case.DISABLED: [{"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400}}],
        Case.OVERRIDDEN: [
            {"ID": "all", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400}},
            {"ID": "answers", "Filter": {"Prefix": "answers/"}, "Expiration": {"Days": 30}},
        ],
        Case.LIMITED: [{"ID": "at once", "Filter": {"Prefix": ""}, "Expiration": {"Date": datetime(2027, 1, 1, tzinfo=UTC)}}],
    }

    @pytest.fixture(autouse=True)
    def _store(self, mock: Store) -> None:
        self.store, self.case = mock, Case.ENOUGH

    def sink(self, endpoint: str) -> S3:
        return S3(endpoint=endpoint, bucket="logs", prefix="answers/")

    @contextlib.contextmanager
    def serve(self, case: Case) -> Iterator[Given]:
        self.case, bucket = case, self.store.bucket(versions=case is not Case.DELETABLE)
        if case in LINES:
            self.store.write(bucket, "answers/2026/11/27.json", packed(LINES[case]))
        self.store.rules(bucket, *self.rules.get(case, [{"ID": "all", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400}}]))
        yield Given(self.sink(self.store.endpoint).model_copy(update={"bucket": bucket}), self.means(self.store.endpoint))

    def checker(self, sink: Any, means: Means) -> Checker:
        return Walked(S3Checker(sink, means), 2 if self.case in LINES else 1, Protection.NONE)


# Locks.


async def test_a_store_that_honours_a_writers_lock_proves_it(gateway: Store) -> None:
    asked = checks(gateway, gateway.bucket(locks=True), object_lock="Writer")
    proof = await asked.proof(IMMUTABLE)
    assert asked.methods == ["PUT", "HEAD", "DELETE", "GET"]
    assert proof.delivery is not None
    assert proof == Proof(
        backend="S3 (VERSITYGW)",
        kept=PERIOD,
        setting="locks by the writer: COMPLIANCE for at least 184d",
        remedy="let the writer lock each object (x-amz-object-lock-mode COMPLIANCE) until {} from its writing",
        protection=Protection.IMMUTABLE,
        shown="deletion of a canary locked for 184d was refused for its lock (403 AccessDenied), and it was read back",
        delivery=proof.delivery,
    )
    assert (proof.delivery.route, proof.delivery.age) == ("directly", None)


async def test_what_was_refused_can_be_read_back_and_the_lock_is_the_only_reason(gateway: Store) -> None:
    """A lock of three seconds: refused, then allowed."""
    bucket = gateway.bucket(locks=True)
    until = datetime.now(UTC) + timedelta(seconds=3)
    put = gateway.client.put_object(Bucket=bucket, Key="line", Body=b"a", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    wire = Wire(S3(endpoint=gateway.endpoint, bucket=bucket), Counted(gateway.endpoint, CREDENTIALS))
    version = {"versionId": put["VersionId"]}
    refused = await wire.ask("DELETE", "line", params=version)
    read = await wire.ask("GET", "line", params=version)
    assert (said(refused), speaks_of_locks(refused), read.body) == ("403 AccessDenied", True, b"a")

    def deleted() -> bool:
        return int(gateway.client.delete_object(Bucket=bucket, Key="line", VersionId=put["VersionId"])["ResponseMetadata"]["HTTPStatusCode"]) == 204

    eventually(deleted, within=15, every=0.2, what="the lock ends", ignoring=(gateway.client.exceptions.ClientError,))
    assert datetime.now(UTC) >= until - timedelta(seconds=1)
    assert (await wire.ask("GET", "line", params=version)).status == 404


async def test_a_lock_that_the_operator_does_not_see_is_none(gateway: Store) -> None:
    def unseen(_: str, answer: Answer) -> Answer:
        return replace(answer, headers={name: value for name, value in answer.headers.items() if "object-lock" not in name})

    asked = checks(gateway, gateway.bucket(locks=True), unseen, object_lock="Writer")
    proof = await asked.proof(IMMUTABLE)
    assert (asked.methods, proof.protection) == (["PUT", "HEAD", "GET", "GET"], Protection.DELETABLE)
    assert "let the operator see it (s3:GetObjectRetention)" in proof.unprotected


async def test_more_is_asked_than_the_last_canary_was_locked_for(gateway: Store) -> None:
    asked = checks(gateway, gateway.bucket(locks=True), object_lock="Writer")
    await asked.proof(Ask(DAY, Protection.IMMUTABLE))
    assert (await asked.proof(IMMUTABLE)).kept == PERIOD


async def test_a_default_that_is_stamped_proves_it_for_every_writer(mock: Store) -> None:
    asked = checks(mock, mock.bucket(locks=True, default=("COMPLIANCE", 400)), for_its_lock)
    first, methods = await asked.proof(IMMUTABLE), asked.methods
    second = await asked.proof(IMMUTABLE)
    assert (first.kept, first.protection, methods) == (400 * DAY, Protection.IMMUTABLE, ["PUT", "HEAD", "DELETE", "GET"])
    assert (second.kept, second.protection, asked.methods) == (400 * DAY, Protection.IMMUTABLE, ["PUT", "DELETE", "GET", "GET"])
    assert "lifecycle" in asked.link.asked[-1]
    assert first.setting == "the bucket's default lock, as stamped on a canary: COMPLIANCE for 400d"


async def test_a_default_that_is_too_short_is_told_as_what_it_is(mock: Store) -> None:
    proof = await checks(mock, mock.bucket(locks=True, default=("COMPLIANCE", 183)), for_its_lock).proof(IMMUTABLE, 2)
    assert (proof.kept, proof.protection) == (183 * DAY, Protection.IMMUTABLE)
    assert proof.remedy.format("184d") == "set the bucket's default retention (PutObjectLockConfiguration) to COMPLIANCE for 184d"


async def test_a_store_that_does_not_stamp_a_default_is_told_what_to_change(gateway: Store) -> None:
    proof = await checks(gateway, gateway.bucket(locks=True, default=("COMPLIANCE", 400))).proof(IMMUTABLE, 2)
    assert (proof.protection, proof.kept) == (Protection.DELETABLE, None)
    assert "such as versitygw, needs a writer that stamps them, and objectLock: Writer in the sink" in proof.unprotected
    assert proof.delivery is not None


async def test_governance_is_not_immutable(mock: Store) -> None:
    proof = await checks(mock, mock.bucket(locks=True, default=("GOVERNANCE", 400)), for_its_lock).proof(IMMUTABLE, 2)
    assert (proof.protection, proof.shown) == (Protection.DELETABLE, "a canary's lock: GOVERNANCE for 400d")
    assert "set the mode to COMPLIANCE" in proof.unprotected


@pytest.mark.parametrize("lock", ["BucketDefault", "Writer"])
async def test_a_store_that_declares_locks_and_honours_none_fails(lax: Store, lock: str) -> None:
    asked = checks(lax, lax.bucket(locks=True, default=("COMPLIANCE", 400)), object_lock=lock)
    for _ in range(3):
        proof = await asked.proof(IMMUTABLE)
        assert proof.protection is Protection.NONE
        assert "told to delete a locked version, the store answered 204: use a store that honours Object Lock" in proof.unprotected


@pytest.mark.parametrize("lock", ["BucketDefault", "Writer"])
async def test_a_refusal_that_does_not_speak_of_the_lock_is_no_proof(mock: Store, lock: str) -> None:
    asked = checks(mock, mock.bucket(locks=True, default=("COMPLIANCE", 400)), object_lock=lock)
    first, second = await asked.proof(IMMUTABLE), await asked.proof(IMMUTABLE)
    assert [p.protection for p in (first, second)] == [Protection.DELETABLE] * 2
    assert "it may be for a lack of rights: let the operator delete versions of canaries (s3:DeleteObjectVersion)" in second.unprotected
    assert second.kept == FOREVER


async def test_a_version_that_is_gone_after_a_refusal_was_not_protected(gateway: Store) -> None:
    def gone(method: str, answer: Answer) -> Answer:
        return Answer(404, {}, b"<Error><Code>NoSuchVersion</Code></Error>") if method == "GET" else answer

    proof = await checks(gateway, gateway.bucket(locks=True), gone, object_lock="Writer").proof(IMMUTABLE)
    assert (proof.protection, proof.lost) == (Protection.NONE, "a canary was taken, and not given back: answer 404 NoSuchVersion")
    assert "did not give that version back, locked, after" in proof.unprotected


async def test_a_version_that_was_read_before_is_read_again_after_a_refusal(mock: Store) -> None:
    """Where GET tells locks and the last canary was not held, it is read first: that one was there says nothing of after."""
    deleted = [False]

    def gone(method: str, answer: Answer) -> Answer:
        deleted[0] = method == "DELETE" or (deleted[0] and method != "PUT")
        return Answer(404, {}, b"<Error><Code>NoSuchVersion</Code></Error>") if method == "GET" and deleted[0] else for_its_lock(method, answer)

    alter = Phase()
    asked = checks(mock, mock.bucket(locks=True, default=("COMPLIANCE", 400)), alter)
    await asked.proof(IMMUTABLE)
    alter.now = gone
    proof = await asked.proof(IMMUTABLE)
    assert asked.methods == ["PUT", "GET", "DELETE", "GET"]
    assert (proof.protection, proof.lost) == (Protection.NONE, "a canary was taken, and not given back: answer 404 NoSuchVersion")


def dated(written: timedelta, until: timedelta) -> Callable[[str, Answer], Answer]:
    """A store whose dates are so far from now."""

    def alter(method: str, answer: Answer) -> Answer:
        now = datetime.now(UTC)
        dates = {"last-modified": format_datetime(now + written, usegmt=True), "x-amz-object-lock-retain-until-date": (now + until).isoformat()}
        return for_its_lock(method, replace(answer, headers={**answer.headers, **dates}))

    return alter


@pytest.mark.parametrize(
    ("written", "until", "kept"),
    [
        pytest.param(timedelta(0), PERIOD - timedelta(seconds=3), PERIOD, id="rounded"),
        pytest.param(timedelta(0), PERIOD - timedelta(seconds=10), PERIOD - timedelta(minutes=1), id="shorter"),
        pytest.param(timedelta(minutes=-5), PERIOD - timedelta(minutes=5), PERIOD, id="a clock that is slow"),
        pytest.param(timedelta(minutes=5), PERIOD + timedelta(minutes=5), PERIOD, id="a clock that is fast"),
        pytest.param(-700 * DAY, DAY, DAY, id="written long ago, as it says"),
    ],
)
async def test_a_lock_counts_from_its_writing_by_a_clock_that_can_be(mock: Store, written: timedelta, until: timedelta, kept: timedelta) -> None:
    proof = await checks(mock, mock.bucket(locks=True, default=("COMPLIANCE", 400)), dated(written, until)).proof(IMMUTABLE)
    assert (proof.kept, proof.protection) == (kept, Protection.IMMUTABLE)


async def test_rules_that_were_read_while_no_lock_held_are_forgotten_where_writers_lock(mock: Store) -> None:
    bucket = mock.bucket(locks=True)
    mock.rules(bucket, {"ID": "tidy", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}})
    alter = Phase()
    asked = checks(mock, bucket, alter, object_lock="Writer")
    assert (await asked.proof(IMMUTABLE, 2)).early
    alter.now = for_its_lock
    proof = await asked.proof(IMMUTABLE)
    assert (proof.early, proof.protection) == ("", Protection.IMMUTABLE)


async def test_another_body_is_not_what_was_sent(gateway: Store) -> None:
    proof = await checks(gateway, gateway.bucket(), lambda m, a: replace(a, body=b"{}") if m == "GET" else a).proof(Ask(PERIOD))
    assert (proof.delivery, proof.lost) == (None, "a canary was taken, and something else given back")


async def test_a_canary_that_comes_late_is_lost_and_what_its_lock_showed_is_not(gateway: Store) -> None:
    proof = await checks(gateway, gateway.bucket(locks=True), object_lock="Writer").proof(replace(IMMUTABLE, within=timedelta(0)))
    assert (proof.protection, proof.delivery) == (Protection.IMMUTABLE, None)
    assert proof.lost.endswith(" s, later than 0s")


async def test_an_answer_to_deletion_that_is_no_refusal_shows_nothing(gateway: Store) -> None:
    proof = await checks(gateway, gateway.bucket(locks=True), lambda m, a: Answer(503, {}, b"") if m == "DELETE" else a, object_lock="Writer").proof(IMMUTABLE)
    assert proof.protection is Protection.DELETABLE
    assert "the store answered 503, which is no refusal: nothing was shown" in proof.unprotected


async def test_minio_refuses_in_other_words(gateway: Store) -> None:
    worm = b"<Error><Code>InvalidRequest</Code><Message>Object is WORM protected and cannot be overwritten</Message></Error>"
    proof = await checks(gateway, gateway.bucket(locks=True), lambda m, a: Answer(400, {}, worm) if m == "DELETE" else a, object_lock="Writer").proof(IMMUTABLE)
    assert proof.protection is Protection.IMMUTABLE


@pytest.mark.parametrize(
    "message",
    ["User: arn:aws:iam::1:user/a is not authorized to perform: s3:DeleteObjectVersion on resource: arn:aws:s3:::object-lock/x", "Access Denied.", ""],
)
def test_a_lack_of_rights_is_no_lock(message: str) -> None:
    resource = "<Resource>/object-lock/worm</Resource>"
    assert not speaks_of_locks(Answer(403, {}, f"<Error><Code>AccessDenied</Code><Message>{message}</Message>{resource}</Error>".encode()))


async def test_a_bucket_without_object_lock_takes_no_lock(gateway: Store) -> None:
    asked = checks(gateway, gateway.bucket(), object_lock="Writer")
    proof = await asked.proof(IMMUTABLE)
    assert asked.methods == ["PUT", "PUT", "GET", "GET"]
    assert proof.protection is Protection.NONE
    assert proof.unprotected.startswith("the store takes no object with a lock (answer 400 InvalidRequest): create the bucket with Object Lock")
    assert proof.delivery is not None


# Less than immutable.


async def test_versions_are_deletable_and_no_more(mock: Store) -> None:
    asked = checks(mock, mock.bucket(versions=True))
    proof = await asked.proof(DELETABLE)
    assert asked.methods == ["PUT", "GET", "GET"]
    assert (proof.kept, proof.protection, proof.shown) == (FOREVER, Protection.DELETABLE, "the bucket keeps versions")
    assert proof.unprotected == "versions alone do not stop whoever may delete them (s3:DeleteObjectVersion)"


async def test_without_versions_and_locks_nothing_is_protected(mock: Store) -> None:
    proof = await checks(mock, mock.bucket()).proof(DELETABLE)
    assert (proof.kept, proof.protection) == (FOREVER, Protection.NONE)
    assert "enable versioning, or Object Lock" in proof.unprotected


async def test_versions_that_are_soon_forgotten_protect_nothing(mock: Store) -> None:
    bucket = mock.bucket(versions=True)
    mock.rules(bucket, {"ID": "old", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}})
    proof = await checks(mock, bucket).proof(DELETABLE)
    assert (proof.kept, proof.early, proof.protection) == (FOREVER, "", Protection.NONE)
    why = "lifecycle rule old (NoncurrentVersionExpiration) ends what somebody deleted 3d later: let it keep versions for 184d"
    assert proof.unprotected == why


async def test_a_rule_that_ends_objects_is_named_with_what_to_change(mock: Store) -> None:
    bucket = mock.bucket()
    mock.rules(bucket, {"ID": "tidy", "Filter": {"Prefix": "ans"}, "Expiration": {"Days": 30}})
    proof = await checks(mock, bucket, prefix="answers/").proof(Ask(PERIOD))
    assert (proof.kept, proof.setting) == (30 * DAY, "lifecycle rule tidy: Expiration after 30d")
    assert proof.early == "lifecycle rule tidy (Expiration) ends objects 30d after they are written: let it end nothing before 184d"


async def test_behind_a_lock_a_rule_only_hides(mock: Store) -> None:
    bucket = mock.bucket(locks=True, default=("COMPLIANCE", 400))
    noncurrent = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    mock.rules(bucket, {"ID": "tidy", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}, **noncurrent})
    proof = await checks(mock, bucket, for_its_lock).proof(IMMUTABLE, 2)
    assert (proof.kept, proof.protection) == (400 * DAY, Protection.IMMUTABLE)
    assert proof.early.startswith("lifecycle rule tidy (Expiration) hides objects behind a delete marker 30d after")


async def test_rules_that_are_not_told_prove_no_period(gateway: Store) -> None:
    proof = await checks(gateway, gateway.bucket(versions=True)).proof(DELETABLE)
    assert (proof.kept, proof.setting) == (None, "lifecycle rules: not told by the store, or not asked for yet")


# The walk.


def objects(store: Store, *modes: tuple[str, timedelta]) -> str:
    """A bucket with an object for each."""
    bucket = store.bucket(locks=True)
    for n, (mode, period) in enumerate(modes):
        store.write(bucket, f"answers/{n}.json", mode=mode, period=period)
    return bucket


GOOD = ("COMPLIANCE", PERIOD)


async def test_a_walk_over_good_objects_says_that_they_bear_locks(gateway: Store) -> None:
    asked = checks(gateway, objects(gateway, GOOD, GOOD, GOOD), object_lock="Writer", prefix="answers/")
    proof = await asked.proof(IMMUTABLE, 14)
    assert (proof.kept, proof.protection) == (PERIOD, Protection.IMMUTABLE)
    assert proof.shown.endswith("; objects of the stream bear locks of their own")


@pytest.mark.parametrize("mode", ["", "GOVERNANCE"])
async def test_an_object_without_its_lock_is_found_and_stays_found(gateway: Store, mode: str) -> None:
    asked = checks(gateway, objects(gateway, GOOD, GOOD, (mode, PERIOD)), object_lock="Writer", prefix="answers/")
    proofs = [await asked.proof(IMMUTABLE) for _ in range(16)]
    found = next(n for n, p in enumerate(proofs) if p.protection is not Protection.IMMUTABLE)
    assert {p.protection for p in proofs[found:]} == {Protection.DELETABLE}
    has = "a GOVERNANCE lock alone" if mode else "no lock that the operator sees (s3:GetObjectRetention)"
    writer = "let the writer lock each object (x-amz-object-lock-mode COMPLIANCE) until 184d from its writing, and lock those that there are"
    assert proofs[-1].unprotected == f"object answers/2.json has {has}: {writer}"


async def test_an_object_that_is_locked_for_too_short_a_time_is_found_and_mended(gateway: Store) -> None:
    bucket = objects(gateway, GOOD, ("COMPLIANCE", 30 * DAY), GOOD)
    asked = checks(gateway, bucket, object_lock="Writer", prefix="answers/")
    proofs = [await asked.proof(IMMUTABLE) for _ in range(16)]
    assert (proofs[-1].kept, proofs[-1].protection) == (30 * DAY, Protection.IMMUTABLE)
    assert proofs[-1].setting == "lock of object answers/1.json: COMPLIANCE for 30d"
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + PERIOD}
    gateway.client.put_object_retention(Bucket=bucket, Key="answers/1.json", Retention=longer)
    assert (await asked.proof(IMMUTABLE, 2)).kept == PERIOD


async def test_an_object_whose_time_is_over_needs_no_lock(gateway: Store) -> None:
    asked = checks(gateway, objects(gateway, ("GOVERNANCE", PERIOD)), object_lock="Writer", prefix="answers/")
    assert (await asked.proof(IMMUTABLE, 4)).protection is Protection.DELETABLE
    later = [await asked.checker.check(IMMUTABLE, datetime.now(UTC) + PERIOD) for _ in range(6)]
    assert {p.protection for p in later} == {Protection.IMMUTABLE}
    assert asked.checker._walk.looked == 1


async def test_any_key_can_be_asked_for_and_a_long_one_is_told_by_its_end(gateway: Store) -> None:
    bucket, key = gateway.bucket(locks=True), "answers/" + "x" * 60 + "/(a)!*'=+ %2F~ü$&@:,;/" + "y" * 60
    gateway.write(bucket, key, mode="GOVERNANCE")
    proof = await checks(gateway, bucket, object_lock="Writer", prefix="answers/").proof(IMMUTABLE, 4)
    assert proof.unprotected.startswith(f"object …{key[-100:]} has a GOVERNANCE lock alone")


async def test_canaries_are_no_objects_of_the_stream(gateway: Store) -> None:
    bucket = gateway.bucket(locks=True)
    for key in (".aiqms-canary/other", "a.json"):
        gateway.write(bucket, key, mode="COMPLIANCE" if key == "a.json" else "")
    proof = await checks(gateway, bucket, object_lock="Writer").proof(IMMUTABLE, 12)
    assert proof.protection is Protection.IMMUTABLE


async def test_pages_follow_each_other_and_begin_anew(gateway: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiqms.retention.s3_objects.PAGE", 2)
    asked = checks(gateway, objects(gateway, GOOD, GOOD, GOOD, ("", PERIOD), GOOD), object_lock="Writer", prefix="answers/")
    proofs = [await asked.proof(IMMUTABLE) for _ in range(30)]
    assert "answers/3.json" in proofs[-1].unprotected


# Lines.

FIELDS = ("request_id", "model")


@pytest.mark.parametrize(
    ("body", "sample"),
    [
        pytest.param(packed(COMPLETE_LINES), Sample(lines=3), id="lines"),
        pytest.param(gzip.compress(packed(COMPLETE_LINES)), Sample(lines=3), id="gzip"),
        pytest.param(b"", Sample(), id="nothing"),
        pytest.param(packed([{"request_id": "1", "model": "m" * 900}] * 200), Sample(lines=20), id="more than is read"),
        pytest.param(gzip.compress(packed([{"request_id": "1", "model": secrets.token_hex(3000)}] * 400)), Sample(lines=20), id="gzip, more than is unpacked"),
        pytest.param(b'{"a": "' + b"0" * 70_000 + b'"}\n', "has no line that ends within what is read of it", id="one long line"),
        pytest.param(gzip.compress(b"0" * 50_000_000), "has no line that ends within what is read of it", id="a bomb"),
        pytest.param(VALUE.encode() + b"\n", "has a line that is no JSON", id="text"),
        pytest.param(b"[1]\n", "has a line that is no JSON object", id="a list"),
        pytest.param(b"[" * 60_000 + b"\n", "has a line that is no JSON", id="deep"),
        pytest.param(b"\x28\xb5\x2f\xfd\x00", "is packed as zstd", id="zstd"),
        pytest.param(b"\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff", "is damaged gzip", id="damaged"),
    ],
)
async def test_lines_are_read_and_what_is_none_is_told(gateway: Store, body: bytes, sample: Sample | str) -> None:
    bucket = gateway.bucket()
    gateway.write(bucket, "answers/a", body)
    asked = checks(gateway, bucket, prefix="answers/")
    proof = await asked.proof(Ask(PERIOD, fields=FIELDS), 2)
    told = f"object answers/a {sample}: let its writer write a JSON object a line, plain or by gzip"
    assert proof.sample == (sample if isinstance(sample, Sample) else Sample(unreadable=told))
    assert asked.methods == ["PUT", "GET", "GET", "GET"]


async def test_locks_and_lines_are_seen_where_head_alone_tells_a_lock(gateway: Store) -> None:
    bucket = gateway.bucket(locks=True)
    gateway.write(bucket, "answers/a", packed(LACKING_LINES), mode="GOVERNANCE")
    asked = checks(gateway, bucket, object_lock="Writer", prefix="answers/")
    proof = await asked.proof(replace(IMMUTABLE, fields=FIELDS), 6)
    assert proof.sample == Sample(lines=4, lacking=(("request-without-model", ("model",)),))
    assert "has a GOVERNANCE lock alone" in proof.unprotected


async def test_a_sample_for_other_fields_says_nothing(gateway: Store) -> None:
    bucket = gateway.bucket()
    gateway.write(bucket, "a", packed(COMPLETE_LINES))
    asked = checks(gateway, bucket)
    await asked.proof(Ask(PERIOD, fields=FIELDS), 2)
    assert (await asked.proof(Ask(PERIOD, fields=("prompt",)))).sample is None


# What keeps anybody from seeing.


async def trouble(store: Store, bucket: str, credentials: Mapping[str, str] = CREDENTIALS, **sink: Any) -> Trouble:
    checker = S3Checker(S3(endpoint=store.endpoint, bucket=bucket, **sink), Means(Counted(store.endpoint, credentials)))
    with pytest.raises(Trouble) as caught:
        await checker.check(IMMUTABLE, datetime.now(UTC))
    assert SECRET not in caught.value.message
    return caught.value


@pytest.mark.parametrize("credentials", [{}, {"accessKeyId": ACCESS}, {"accessKeyId": ACCESS, "secretAccessKey": " "}, {"username": "a", "password": SECRET}])
async def test_a_secret_without_both_keys_is_told(gateway: Store, credentials: dict[str, str]) -> None:
    found = await trouble(gateway, "logs", credentials)
    message = "S3 is asked with the keys accessKeyId and secretAccessKey of a Secret: name one that has both in the sink's credentials"
    assert (found.reason, found.message) == (Reason.CREDENTIALS_UNREADABLE, message)


async def test_wrong_credentials_are_told_by_the_stores_code(gateway: Store) -> None:
    found = await trouble(gateway, gateway.bucket(), {"accessKeyId": ACCESS, "secretAccessKey": SECRET + "x"})
    assert found.reason is Reason.CREDENTIALS_REFUSED
    assert "answer 403 SignatureDoesNotMatch; correct the Secret that the sink names" in found.message


async def test_a_bucket_that_is_not_there_is_told(gateway: Store) -> None:
    found = await trouble(gateway, "no-such-bucket")
    message = f"{gateway.endpoint} has no bucket no-such-bucket: create it, or correct the sink's bucket"
    assert (found.reason, found.message) == (Reason.ANSWER_UNREADABLE, message)


# Lifecycle rules, as they are written.


def written(*rules: str) -> bytes:
    namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    return f'<?xml version="1.0" encoding="UTF-8"?><LifecycleConfiguration {namespace}>{"".join(rules)}</LifecycleConfiguration>'.encode()


def rule(inside: str, status: str = "Enabled") -> str:
    return f"<Rule><ID>r</ID><Status>{status}</Status>{inside}</Rule>"


THIRTY = "<Expiration><Days>30</Days></Expiration>"


@pytest.mark.parametrize(
    ("inside", "found"),
    {
        "for all": (f"<Filter/>{THIRTY}", Rule("r", "", days=30 * DAY)),
        "for all, in the old form": (f"<Prefix></Prefix>{THIRTY}", Rule("r", "", days=30 * DAY)),
        "for more": (f"<Filter><Prefix>ans</Prefix></Filter>{THIRTY}", Rule("r", "ans", days=30 * DAY)),
        "for some of it": (f"<Prefix>answers/2026/</Prefix>{THIRTY}", Rule("r", "answers/2026/", days=30 * DAY)),
        "for others": (f"<Filter><Prefix>questions/</Prefix></Filter>{THIRTY}", None),
        "for canaries": (f"<Filter><Prefix>answers/.aiqms-canary/</Prefix></Filter>{THIRTY}", None),
        "by tag": (
            f"<Filter><And><Prefix>answers/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>{THIRTY}",
            Rule("r", "answers/", days=30 * DAY),
        ),
        "on a day": ("<Filter/><Expiration><Date>2027-01-01T00:00:00.000Z</Date></Expiration>", Rule("r", "", on=datetime(2027, 1, 1, tzinfo=UTC))),
        "of old versions": (
            "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>",
            Rule("r", "", noncurrent=7 * DAY),
        ),
        "of markers": ("<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", Rule("r", "")),
    }.values(),
)
def test_a_rule_is_read_as_it_is_written(inside: str, found: Rule | None) -> None:
    assert parsed(written(rule(inside)), "answers/", "answers/.aiqms-canary/") == Rules((found,) if found else ())


def test_a_rule_that_is_off_is_none() -> None:
    assert parsed(written(rule(THIRTY, "Disabled")), "", ".aiqms-canary/") == Rules()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"<LifecycleConfiguration>",
        written(rule("<Expiration><Days>-1</Days></Expiration>")),
        b"\xff\xfe<\x00",
        b"<!DOCTYPE a><LifecycleConfiguration/>",
    ],
    ids=["nothing", "another", "half", "no days", "another encoding", "declares"],
)
def test_what_is_no_rule_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says
        parsed(body, "", ".aiqms-canary/")


@pytest.mark.parametrize(
    ("rules", "kept", "early"),
    [
        pytest.param((), FOREVER, False, id="none"),
        pytest.param((Rule("a", "", days=184 * DAY),), PERIOD, False, id="long enough"),
        pytest.param((Rule("a", "", days=400 * DAY), Rule("b", "", days=30 * DAY)), 30 * DAY, True, id="the shortest counts"),
        pytest.param((Rule("a", "", days=timedelta(0)),), timedelta(0), True, id="at once"),
        pytest.param((Rule("a", "", on=NOW + 183 * DAY),), FOREVER, True, id="on a day too near"),
        pytest.param((Rule("a", "", on=NOW - DAY),), FOREVER, True, id="on a day that is over"),
        pytest.param((Rule("a", "", on=NOW + 400 * DAY),), FOREVER, False, id="on a day far off"),
        pytest.param((Rule("a", "", noncurrent=DAY),), FOREVER, False, id="old versions"),
    ],
)
def test_what_rules_leave(rules: tuple[Rule, ...], kept: timedelta, early: bool) -> None:
    assert (Rules(rules).kept, Rules(rules).early(PERIOD, NOW) is not None) == (kept, early)
