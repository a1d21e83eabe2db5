"""logging.streams: the log store of each stream was asked, and keeps it as the procedure asks (AI Act Art. 12, 19(1), 26(6): six months at least).

Facts with a time are judged by their age: the last good check counts until maxCheckAge, so that a store's short outage stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiqms.api.access import Unverified
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.logging import Canary, Logging, LogSeen, RegisteredStream, Stream, VolumeClaim
from aiqms.api.values import duration, later
from aiqms.policy import logs, sinks
from aiqms.policy.checks import Facts, Row, row
from aiqms.policy.clearing import is_live
from aiqms.policy.digests import digest
from aiqms.policy.facts import Broken, Input, Procedure
from aiqms.policy.logs import Checked, Proof
from aiqms.policy.words import moment, some

FAMILY = "logging/"
PATIENCE = timedelta(minutes=1)  # beyond the canary's time: how long a first check that is under way is no lapse of what is cleared already
_NAMED = 3  # lines that a message names
_NOT_SEEN = (Reason.CHECK_PENDING, Reason.CHECK_TOO_OLD, Reason.NAMESPACE_NOT_GOVERNED, Reason.ENDPOINT_NOT_ALLOWED, Reason.STREAM_UNREGISTERED)
Said = tuple[Result, Reason, str]


@dataclass(frozen=True)
class Judged:
    """One stream of one procedure, and what is known of its sink. before: what was stored of it, where exactly this was asked."""

    facts: Facts
    procedure: Procedure
    stream: Stream
    registered: RegisteredStream | None
    checked: Checked
    before: LogSeen | None

    @property
    def id(self) -> str:
        """Of the row."""
        return f"{FAMILY}{self.stream.name}"

    @property
    def logging(self) -> Logging:
        """What the procedure asks of logs; one that asks nothing is not judged."""
        assert self.procedure.spec.logging
        return self.procedure.spec.logging

    @property
    def proof(self) -> Proof:
        """Of the sink; only asked for where there is one."""
        assert self.checked.proof
        return self.checked.proof

    @property
    def proven(self) -> datetime | None:
        """When the last answer came; the stored time where another process heard it."""
        return self.checked.at or (self.before.proven_at if self.before else None)

    @property
    def delivered(self) -> datetime | None:
        """When the last canary came back."""
        return self.checked.delivered or (self.before.delivered_at if self.before else None)

    def counts(self, at: datetime | None) -> bool:
        """Whether what was seen then counts now."""
        return at is not None and self.facts.now < later(at, self.stream.max_check_age)

    @property
    def cleared(self) -> bool:
        """The current subject is, so that nothing new is cleared on the strength of a check that is not made yet."""
        subject = self.facts.subject
        return any(subject and e.fingerprint == subject.fingerprint and is_live(e, self.facts.now) for e in self.facts.given.entries)

    @property
    def warned(self) -> bool:
        """What cannot be verified is a warning."""
        return self.logging.unverified is Unverified.WARNED


def streams(facts: Facts) -> list[Row]:
    """A row for each stream of each procedure."""
    return [_row(j) for p in facts.procedures if p.spec.logging for j in (_judged(facts, p, s) for s in p.spec.logging.streams)]


def _judged(facts: Facts, procedure: Procedure, stream: Stream) -> Judged:
    registered = next((r for r in facts.spec.logging.streams if r.name == stream.name), None)
    known = facts.given.logs.get(stream.name, Checked())
    if known.ask and not sinks.covers(known.ask, sinks.ask(procedure, stream)):
        known = Checked(since=known.since)
    return Judged(facts, procedure, stream, registered, known, _before(facts.given, registered))


def _before(given: Input, registered: RegisteredStream | None) -> LogSeen | None:
    return next((s for s in given.before.logs if registered and s.stream == registered.name and s.asked == asked(given, registered)), None)


def asked(given: Input, registered: RegisteredStream) -> str:
    """A digest of where a stream lies and of everything that is asked of it."""
    demands = {p.name: s.dump() for p, s in sinks.asked_of(registered.name, given.procedures)}
    return digest({"where": sinks.key(registered, given.namespace), "demands": demands})


def _row(of: Judged) -> Row:
    result, reason, message = next(s for step in _STEPS if (s := step(of)))
    serves = [f"{o.framework} {o.id}" for o in of.logging.obligations]
    return row(of.id, result, reason, message, procedure=of.procedure, serves=serves)


# the steps, in order: the first that has something to say is the row


def _unregistered(of: Judged) -> Said | None:
    if of.registered:
        return None
    said = f"nobody knows where stream {of.stream.name} lies: name its sink in spec.logging.streams"
    return Result.FAIL, Reason.STREAM_UNREGISTERED, said


def _not_allowed(of: Judged) -> Said | None:
    assert of.registered
    server = sinks.refused(of.registered, of.procedure)
    if not server:
        return None
    how = "name one that it allows, or have the platform team add it there"
    return Result.FAIL, Reason.ENDPOINT_NOT_ALLOWED, f"{server} is no server that logging.endpoints of {of.procedure.name} allows, so it is not asked: {how}"


def _ungoverned(of: Judged) -> Said | None:
    if of.facts.given.governed:
        return None
    return Result.SKIP, Reason.NAMESPACE_NOT_GOVERNED, f"the log store is asked once namespace {of.facts.given.namespace} is governed"


def _carried_on(of: Judged) -> Said | None:
    """What another process found counts until this one has asked, and while it cannot."""
    if of.checked.proof or not of.counts(of.proven):
        return None
    found = next((c for c in of.facts.given.before.controls if (c.id, c.procedure) == (of.id, of.procedure.name)), None)
    if found is None or found.reason in _NOT_SEEN:
        return None
    held = found.result in (Result.PASS, Result.WARN)
    return (held and _troubled(of)) or (found.result, Reason(found.reason), found.message)


def _unasked(of: Judged) -> Said | None:
    if of.checked.proof:
        return None
    if of.checked.trouble:
        reason, why = of.checked.trouble
        return Result.ERROR, reason, why
    patient = of.cleared and of.checked.since is not None and of.facts.now < _patience(of)
    return Result.WARN if patient else Result.ERROR, Reason.CHECK_PENDING, "the log store is being asked for the first time"


def _patience(of: Judged) -> datetime:
    assert of.checked.since
    return of.checked.since + duration(of.logging.canary.within) + PATIENCE


def _too_old(of: Judged) -> Said | None:
    if of.counts(of.proven) or of.proven is None:
        return None
    why = of.checked.trouble[1] if of.checked.trouble else "no later check has ended"
    said = f"the last answer is of {moment(of.proven)} and counts for {of.stream.max_check_age}; since then: {why}"
    return Result.ERROR, Reason.CHECK_TOO_OLD, said


def _too_short(of: Judged) -> Said | None:
    proof, least = of.proof, duration(of.stream.retention)
    if proof.kept is not None and proof.kept < least:
        said = f"{proof.backend} keeps {of.stream.name} for {span(proof.kept)} ({proof.setting}), and {of.stream.retention} are asked"
        return Result.FAIL, Reason.RETENTION_TOO_SHORT, f"{said}: {_remedy(of)}"
    sent = proof.delivery
    if sent and sent.age is not None and sent.age < least and not sent.aged:
        said = f"{proof.backend} dropped a line dated {span(sent.age)} ago, whatever it says ({proof.setting}), and {of.stream.retention} are asked"
        return Result.FAIL, Reason.RETENTION_TOO_SHORT, f"{said}: {_remedy(of)}"
    return None


def _remedy(of: Judged) -> str:
    return of.proof.remedy.replace("{}", of.stream.retention)


def _early(of: Judged) -> Said | None:
    if not of.proof.early:
        return None
    return Result.FAIL, Reason.RETENTION_MAY_END_EARLY, f"{of.proof.backend}: {of.proof.early}"


def _unprotected(of: Judged) -> Said | None:
    if of.proof.protection.strength >= of.stream.protection.strength:
        return None
    said = f"{of.stream.protection} protection is asked, and {of.proof.backend} shows {of.proof.protection}"
    return Result.FAIL, Reason.NOT_PROTECTED, f"{said}: {of.proof.unprotected}"


def _fields(of: Judged) -> Said | None:
    found = of.proof.sample
    if not of.stream.required_fields or found is None:
        return None
    if found.unreadable:
        return _unverified(of, f"the fields of its lines cannot be seen: {found.unreadable}")
    lacking = [(line, [f for f in missing if f in of.stream.required_fields]) for line, missing in found.lacking]
    short = [(line, missing) for line, missing in lacking if missing]
    if not short:
        return None
    what = some([f"{line} lacks {some(missing)}" for line, missing in short], "; ", most=_NAMED) if _own(of) else some(sorted({f for _, m in short for f in m}))
    return Result.FAIL, Reason.FIELDS_MISSING, f"{len(short)} of {found.lines} recent lines lack required fields: {what}; have the server log them"


def _own(of: Judged) -> bool:
    """Whether the lines are shown to be the deployment's own, by credentials: of a store that asks for none they may be anybody's."""
    assert of.registered
    chosen = of.registered.sink.chosen
    return not isinstance(chosen, VolumeClaim) and chosen.credentials is not None


def _no_period(of: Judged) -> Said | None:
    if of.proof.kept is not None:
        return None
    return _unverified(of, f"{of.proof.backend} proves no period ({of.proof.setting}): {_remedy(of)}")


def _unverified(of: Judged, why: str) -> Said:
    if of.warned:
        return Result.WARN, Reason.NOT_VERIFIABLE, f"not verified: {why}"
    return Result.ERROR, Reason.NOT_VERIFIABLE, f"not verified: {why}; or the procedure says logging.unverified: Warned"


def _lost(of: Judged) -> Said | None:
    """A canary that has to come back and did not is said before what cannot be verified, which may be a warning."""
    said = _canary(of) if of.proof.lost else None
    return said if said and said[0] is Result.ERROR else None


def _canary(of: Judged) -> Said | None:
    """One that was lost just now, or came late, is a warning while the last good one counts."""
    lost = of.proof.lost or _late(of)
    if not lost:
        return None
    required = of.stream.canary is Canary.REQUIRED
    last = f"; the last one that did counts until {moment(later(of.delivered, of.stream.max_check_age))}" if of.delivered and of.counts(of.delivered) else ""
    result = Result.ERROR if required and not last else Result.WARN
    return result, Reason.CANARY_LOST, f"a canary sent to {of.proof.backend} did not come back: {lost}{last}"


def _late(of: Judged) -> str:
    sent, within = of.proof.delivery, of.logging.canary.within
    if sent is None:
        return "none was sent"
    return f"it took longer than {within}" if sent.seconds > duration(within).total_seconds() else ""


def _troubled(of: Judged) -> Said | None:
    """It cannot be asked now; what it answered last counts for a while yet."""
    if not (of.checked.trouble and of.proven):
        return None
    reason, why = of.checked.trouble
    return Result.WARN, reason, f"{why}; what it answered last counts until {moment(later(of.proven, of.stream.max_check_age))}"


def _kept(of: Judged) -> Said:
    proof = of.proof
    assert proof.kept is not None
    assert proof.delivery
    length = "without end" if proof.kept == logs.FOREVER else f"for {span(proof.kept)}"
    said = [f"{proof.backend} keeps {of.stream.name} {length} ({proof.setting}), at least {of.stream.retention} are asked"]
    said += [f"protection {proof.protection}: {proof.shown}"] if of.stream.protection.strength and proof.shown else []
    said += [f"a canary came back, sent {proof.delivery.route}"]
    said += [_sampled(of)] if of.stream.required_fields else []
    return Result.PASS, Reason.LOGS_KEPT, "; ".join(said)


def _sampled(of: Judged) -> str:
    """Without numbers, which change with every line."""
    return "recent lines have the required fields" if of.proof.sample and of.proof.sample.lines else "no line of it was seen yet"


_STEPS: list[Callable[[Judged], Said | None]] = [_unregistered, _not_allowed, _ungoverned, _carried_on, _unasked, _too_old]
_STEPS += [_too_short, _early, _unprotected, _lost, _fields, _no_period, _canary, _troubled, _kept]


def span(length: timedelta) -> str:
    """`184d`, `36h`, `90s`: the largest unit in which it is a whole number."""
    if length == logs.FOREVER:
        return "ever"
    seconds = int(length.total_seconds())
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
    return f"{seconds // size}{unit}"


# what status keeps, and when time alone changes something


def seen(facts: Facts) -> list[LogSeen]:
    """What is stored of each stream: its times are written anew only when half of what they count for has gone, for an idle operator writes nothing."""
    return [s for r in facts.spec.logging.streams if (s := _seen(facts, r))]


def _seen(facts: Facts, registered: RegisteredStream) -> LogSeen | None:
    known, before = facts.given.logs.get(registered.name, Checked()), _before(facts.given, registered)
    asking = list(sinks.asked_of(registered.name, facts.procedures))
    if not asking or known.proof is None or any(not known.ask or not sinks.covers(known.ask, sinks.ask(p, s)) for p, s in asking):
        return before
    half = min(duration(s.max_check_age) for _, s in asking) / 2
    return LogSeen(
        stream=registered.name,
        asked=asked(facts.given, registered),
        backend=known.proof.backend[:253],
        endpoint=registered.sink.endpoint,
        kept="" if known.proof.kept is None else span(known.proof.kept),
        protection=known.proof.protection,
        route=known.delivery.route[:600] if known.delivery else "",
        proven_at=_renewed(before.proven_at if before else None, known.at, half),
        delivered_at=_renewed(before.delivered_at if before else None, known.delivered, half),
    )


def _renewed(stored: datetime | None, now: datetime | None, half: timedelta) -> datetime | None:
    if stored is None or now is None:
        return now or stored
    return now if now - stored >= half else stored


def turns(given: Input) -> Iterator[datetime]:
    """When what was seen grows too old to count, or its stored time is to be written anew; and when patience with a first check ends."""
    if isinstance(given.spec, Broken):
        return
    for registered in given.spec.logging.streams:
        known, before = given.logs.get(registered.name, Checked()), _before(given, registered)
        for procedure, stream in sinks.asked_of(registered.name, given.procedures):
            assert procedure.spec.logging
            times = [known.at, known.delivered, *((before.proven_at, before.delivered_at) if before else ())]
            yield from (later(at, stream.max_check_age) for at in times if at)
            yield from (_halfway(at, stream.max_check_age) for at in times[2:] if at)
            if known.since:
                yield known.since + duration(procedure.spec.logging.canary.within) + PATIENCE


def _halfway(at: datetime, text: str) -> datetime:
    return at + (later(at, text) - at) / 2
