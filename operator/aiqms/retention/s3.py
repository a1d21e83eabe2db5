"""S3 with Object Lock: a canary that the store locks, refuses to delete and gives back; lifecycle rules; and a walk over the stream's own objects."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiqms.api.logging import S3, Protection
from aiqms.policy.logs import Ask, Delivery, Proof
from aiqms.retention.backend import Means
from aiqms.retention.link import Answer
from aiqms.retention.s3_canary import Canaries, Canary
from aiqms.retention.s3_lifecycle import UNKNOWN, Rules, parsed
from aiqms.retention.s3_objects import Seen, Walk
from aiqms.retention.s3_wire import COMPLIANCE, GOVERNANCE, Wire, code, span

SLACK = timedelta(seconds=5)  # by which dates differ that a store writes in whole seconds
_MINUTE = timedelta(minutes=1)
_NOT_OFFERED = {405, 501}
_SET_DEFAULT = "set the bucket's default retention (PutObjectLockConfiguration) to COMPLIANCE for {}"
_SET_WRITER = "let the writer lock each object (x-amz-object-lock-mode COMPLIANCE) until {} from its writing"
_SET_RULES = "let no lifecycle rule (Expiration) that touches the sink's prefix end objects before {}"
_STAMPS_NONE = (
    "a canary came back without a lock: set the bucket's default retention to COMPLIANCE, and let the operator see it (s3:GetObjectRetention); "
    "a store that does not stamp objects with the default, such as versitygw, needs a writer that stamps them, and objectLock: Writer in the sink"
)
_HAS_NONE = (
    "a canary that was sent with a COMPLIANCE lock came back without one that the operator sees: "
    "create the bucket with Object Lock, and let the operator see it (s3:GetObjectRetention)"
)
_VERSIONS = "versions alone do not stop whoever may delete them (s3:DeleteObjectVersion)"


class Checker:
    """Remembers how far the walk came, which rules there are, and whether the store held a canary."""

    def __init__(self, sink: S3, means: Means) -> None:
        self._sink, self._link = sink, means.link
        self._canaries = Canaries(sink)
        self._walk = Walk(sink.prefix, self._canaries.prefix)
        self._rules = UNKNOWN
        self._turn = 0

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """A canary first; what is left of four requests goes to lifecycle rules and to the walk. Raises Trouble."""
        wire = Wire(self._sink, self._link)
        canary = await self._canaries.send(wire, ask, now)
        await (self._turns(wire, ask, now) if canary.held else self._rules_first(wire, ask, now))
        return self._locked(ask, now, canary) if canary.held else self._unlocked(ask, now, canary)

    @property
    def _set(self) -> str:
        return _SET_WRITER if self._sink.object_lock == "Writer" else _SET_DEFAULT

    # Requests.

    def _walks(self, ask: Ask) -> bool:
        """A writer's own lock goes before the bucket's default, so that one has to be looked at too."""
        return bool(ask.fields) or ask.protection is Protection.IMMUTABLE

    async def _turns(self, wire: Wire, ask: Ask, now: datetime) -> None:
        """While locks hold no rule deletes what is locked: rules and walk take turns."""
        writer = self._sink.object_lock == "Writer"
        self._rules = UNKNOWN if writer else self._rules
        turns = [self._lifecycle] * (not writer) + [self._walk.step] * (2 * self._walks(ask))
        if wire.left and turns:
            self._turn += 1
            await turns[(self._turn - 1) % len(turns)](wire, ask, now)

    async def _rules_first(self, wire: Wire, ask: Ask, now: datetime) -> None:
        """Without locks what is kept hangs on the rules alone, each time."""
        self._rules = UNKNOWN
        if wire.left:
            await self._lifecycle(wire, ask, now)
        if wire.left and self._walks(ask):
            await self._walk.step(wire, ask, now)

    async def _lifecycle(self, wire: Wire, _: Ask, __: datetime) -> None:
        what = "the lifecycle rules of its bucket (s3:GetLifecycleConfiguration)"
        answer = await wire.ask("GET", params={"lifecycle": ""})
        if answer.status == 404 and code(answer) == "NoSuchLifecycleConfiguration":
            self._rules = Rules()
        elif answer.status in _NOT_OFFERED or (answer.status == 403 and self._canaries.held):
            self._rules = UNKNOWN
        elif answer.status != 200:
            raise wire.refusal(answer, what)
        else:
            self._rules = self._parsed(answer, what)

    def _parsed(self, answer: Answer, what: str) -> Rules:
        try:
            return parsed(answer.body, self._sink.prefix, self._canaries.prefix)
        except ValueError:
            raise self._link.unreadable(what) from None

    # What they prove.

    def _locked(self, ask: Ask, now: datetime, canary: Canary) -> Proof:
        """The store honours locks. What it keeps is what is locked, by the canary's lock or that of the worst object seen."""
        wrong = self._walk.standing(ask, now)
        writer = self._sink.object_lock == "Writer"
        loose = f"{_mode(wrong)}: {_SET_WRITER.format(span(ask.retention))}, and lock those that there are" if wrong and wrong.unlocked() else ""
        locked = _whole(canary.lock.span)
        period = min(ask.retention, locked) if writer else locked  # a writer's canary has but the lock that it was sent with
        return Proof(
            backend=_backend(canary),
            kept=min(period, _of_objects(wrong)),
            setting=_setting(wrong, writer, period, ask),
            remedy=self._set,
            early=self._early(ask, now, hides=True),
            protection=Protection.DELETABLE if loose else Protection.IMMUTABLE,
            shown=_shown(canary, self._walk.looked if writer else 0, period),
            unprotected=loose,
            delivery=_delivery(canary, ask),
            lost=_lost(canary, ask),
            sample=self._walk.sample(ask),
        )

    def _unlocked(self, ask: Ask, now: datetime, canary: Canary) -> Proof:
        """No lock was seen to hold: objects stay for as long as lifecycle rules let them, and nobody deletes them."""
        protection, shown, why = self._versions(ask, canary)
        return Proof(
            backend=_backend(canary),
            kept=self._rules.kept,
            setting=_rules_say(self._rules),
            remedy=_SET_RULES if self._rules.known else f"ask for protection Immutable, and {self._set}",
            early=self._early(ask, now, hides=False),
            protection=protection,
            shown=shown,
            unprotected="; ".join(filter(None, (_not_immutable(ask, canary), why))),
            delivery=_delivery(canary, ask),
            lost=_lost(canary, ask),
            sample=self._walk.sample(ask),
        )

    def _early(self, ask: Ask, now: datetime, *, hides: bool) -> str:
        if not (rule := self._rules.early(ask.retention, now)):
            return ""
        when = f"{span(rule.days)} after they are written" if rule.days is not None else f"on {rule.on:%Y-%m-%d}"
        does = "hides objects behind a delete marker" if hides else "ends objects"
        return f"lifecycle rule {rule.id} (Expiration) {does} {when}: let it end nothing before {span(ask.retention)}"

    def _versions(self, ask: Ask, canary: Canary) -> tuple[Protection, str, str]:
        """By versions, or by a lock that was not tried: protection, by what it was shown, and why it is none or no stronger."""
        if canary.deletion[:1] == "2" or canary.lost:
            return Protection.NONE, "", "nothing that was asked to be kept was seen to be"
        if canary.lock.span + SLACK >= ask.retention and canary.lock.mode:
            return Protection.DELETABLE, f"a canary's lock: {canary.lock.mode} for {span(canary.lock.span)}", "" if canary.deletion else "no deletion was tried"
        if not canary.version:
            return Protection.NONE, "", "the bucket keeps no versions: whoever writes can replace and delete objects; enable versioning, or Object Lock"
        if rule := self._rules.forgets(ask.retention):
            why = f"lifecycle rule {rule.id} (NoncurrentVersionExpiration) ends what somebody deleted {span(rule.noncurrent or ask.retention)} later"
            return Protection.NONE, "", f"{why}: let it keep versions for {span(ask.retention)}"
        return Protection.DELETABLE, "the bucket keeps versions", _VERSIONS


def _not_immutable(ask: Ask, canary: Canary) -> str:
    """Why no lock held, where one was asked for, and what to change."""
    if ask.protection is not Protection.IMMUTABLE:
        return ""
    if canary.unlocked:
        return f"the store takes no object with a lock (answer {canary.unlocked}): create the bucket with Object Lock"
    if not canary.version:
        return "the bucket keeps no versions, without which there are no locks: create it with Object Lock"
    if canary.lost and not canary.deletion:
        return "no canary came back whose lock could be seen"
    return _not_held(canary) if canary.deletion else _not_tried(canary)


def _not_tried(canary: Canary) -> str:
    if canary.lock.mode == GOVERNANCE:
        return "a canary came back with a GOVERNANCE lock, which whoever holds s3:BypassGovernanceRetention lifts: set the mode to COMPLIANCE"
    return _HAS_NONE if canary.stamped else _STAMPS_NONE


def _not_held(canary: Canary) -> str:
    told = f"told to delete a locked version, the store answered {canary.deletion}"
    if canary.deletion[:1] == "2":
        return f"{told}: use a store that honours Object Lock"
    if canary.refused:
        return f"{told}, and did not give that version back, locked, after: use a store that honours Object Lock"
    if canary.deletion[:1] == "4":
        why = "without saying that this is for the lock, so that it may be for a lack of rights"
        return f"{told}, {why}: let the operator delete versions of canaries (s3:DeleteObjectVersion)"
    return f"{told}, which is no refusal: nothing was shown"


def _whole(period: timedelta) -> timedelta:
    """Without the seconds that come of writing and of rounding."""
    return (period + SLACK) // _MINUTE * _MINUTE if period > timedelta(hours=1) else period


def _of_objects(wrong: Seen | None) -> timedelta:
    if wrong is None or not wrong.lock.mode:
        return timedelta.max
    return _whole(wrong.lock.span)


def _mode(wrong: Seen) -> str:
    return f"{wrong.name} has {f'a {wrong.lock.mode} lock alone' if wrong.lock.mode else 'no lock that the operator sees (s3:GetObjectRetention)'}"


def _setting(wrong: Seen | None, writer: bool, period: timedelta, ask: Ask) -> str:
    if wrong is not None and wrong.lock.mode:
        return f"lock of {wrong.name}: {wrong.lock.mode} for {span(_of_objects(wrong))}"
    if writer:
        return f"locks by the writer: {COMPLIANCE} for at least {span(ask.retention)}"
    return f"the bucket's default lock, as stamped on a canary: {COMPLIANCE} for {span(period)}"


def _rules_say(rules: Rules) -> str:
    if not rules.known:
        return "lifecycle rules: not told by the store, or not asked for yet"
    if not (shortest := rules.shortest):
        return "no lifecycle rule ends objects"
    return f"lifecycle rule {shortest.id}: Expiration after {span(shortest.days or timedelta(0))}"


def _shown(canary: Canary, looked: int, period: timedelta) -> str:
    objects = "; objects of the stream bear locks of their own" if looked else ""
    return f"deletion of a canary locked for {span(period)} was refused for its lock ({canary.deletion}), and it was read back{objects}"


def _backend(canary: Canary) -> str:
    return f"S3 ({canary.server})" if canary.server else "S3"


def _delivery(canary: Canary, ask: Ask) -> Delivery | None:
    return Delivery("directly", canary.seconds) if canary.seconds is not None and not _lost(canary, ask) else None


def _lost(canary: Canary, ask: Ask) -> str:
    late = canary.seconds is not None and canary.seconds > ask.within.total_seconds()
    return canary.lost or (f"a canary came back after {canary.seconds} s, later than {span(ask.within)}" if late else "")
