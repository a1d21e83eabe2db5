"""Which log stores are to be asked, and what of them: from the register entry's sinks and the procedures' streams. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import SplitResult, urlsplit

from aiqms.api.logging import RegisteredStream, Stream
from aiqms.api.values import duration
from aiqms.policy.digests import digest
from aiqms.policy.facts import Broken, Input, Procedure
from aiqms.policy.logs import Ask, Proof
from aiqms.policy.patterns import matches

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Wanted:
    """One stream of one deployment. key: equal for streams that one check serves. namespace: whose Secrets, ConfigMaps and claims the sink names."""

    key: str
    namespace: str
    registered: RegisteredStream
    ask: Ask
    every: timedelta


def wanted(given: Input) -> Iterator[Wanted]:
    """What is to be asked for a deployment in a governed namespace: each stream whose servers a procedure that asks for it allows, as such procedures ask.

    Often enough that an answer never grows too old while the store can be asked.
    """
    if isinstance(given.spec, Broken) or not given.governed:
        return
    for registered in given.spec.logging.streams:
        asking = [(p, s) for p, s in asked_of(registered.name, given.procedures) if not refused(registered, p)]
        if asking:
            every = min(min(duration(p.spec.logging.canary.every), duration(s.max_check_age) / 2) for p, s in asking if p.spec.logging)
            yield Wanted(key(registered, given.namespace), given.namespace, registered, merged(ask(p, s) for p, s in asking), every)


def asked_of(stream: str, procedures: Iterable[Procedure | object]) -> Iterator[tuple[Procedure, Stream]]:
    """The procedures that ask something of the stream, and what."""
    for procedure in procedures:
        if isinstance(procedure, Procedure) and procedure.spec.logging:
            yield from ((procedure, s) for s in procedure.spec.logging.streams if s.name == stream)


def ask(procedure: Procedure, stream: Stream) -> Ask:
    """What one procedure asks of a stream."""
    assert procedure.spec.logging
    within = duration(procedure.spec.logging.canary.within)
    return Ask(duration(stream.retention), stream.protection, within, tuple(sorted(stream.required_fields)))


def merged(asks: Iterable[Ask]) -> Ask:
    """The most that any of them asks. Raises ValueError where there is none."""
    found = list(asks)
    return Ask(
        retention=max(a.retention for a in found),
        protection=max((a.protection for a in found), key=lambda p: p.strength),
        within=max(a.within for a in found),
        fields=tuple(sorted({f for a in found for f in a.fields})),
    )


def covers(made: Ask, asked: Ask) -> bool:
    """Whether a check for the one tells all that the other asks."""
    return made.retention >= asked.retention and made.protection.strength >= asked.protection.strength and set(made.fields) >= set(asked.fields)


def falls_short(proof: Proof, asked: Ask) -> bool:
    """Whether somebody waits for it to be mended, so that it is worth asking again soon."""
    short = proof.kept is None or proof.kept < asked.retention or (proof.delivery is not None and proof.delivery.age is not None and not proof.delivery.aged)
    lacking = proof.sample is not None and bool(proof.sample.lacking or proof.sample.unreadable)
    return short or bool(proof.early or proof.lost) or proof.protection.strength < asked.protection.strength or lacking


def key(registered: RegisteredStream, namespace: str) -> str:
    """A digest of where: two namespaces share a check unless the sink names something of its own namespace."""
    where = {"sink": registered.sink.dump(), "collector": registered.collector or "", "namespace": namespace if registered.sink.private else ""}
    return digest(where)


def refused(registered: RegisteredStream, procedure: Procedure) -> str:
    """The first server of the stream that the procedure does not allow; empty where it allows all."""
    assert procedure.spec.logging
    servers = [e for e in (registered.sink.endpoint, registered.collector) if e]
    return next((e for e in servers if not any(allows(p, e) for p in procedure.spec.logging.endpoints)), "")


def allows(pattern: str, endpoint: str) -> bool:
    """Whether a pattern such as `https://*.logs.bank.example:9428/base` allows an endpoint. Scheme and port are equal; without a path only none is allowed.

    A star in the path stands for any run of characters but a slash; in the host for any run of characters of a name, but for no address, no name of one
    label and no name of this machine.
    """
    try:
        asked, form = urlsplit(endpoint), urlsplit(pattern)
        same = asked.scheme == form.scheme and _port(asked) == _port(form) and "@" not in asked.netloc
    except ValueError:  # a port that is none
        return False
    return same and _host(form.hostname or "", (asked.hostname or "").rstrip(".")) and _path(form.path, asked.path)


def _path(pattern: str, path: str) -> bool:
    """Step by step: a star leaves none, and no step leads elsewhere."""
    wanted, steps = pattern.strip("/").split("/"), path.strip("/").split("/")
    return len(wanted) == len(steps) and all(step not in (".", "..") and matches(w, step) for w, step in zip(wanted, steps, strict=True))


def _port(of: SplitResult) -> int | None:
    return of.port or _PORTS.get(of.scheme)


def _host(pattern: str, host: str) -> bool:
    if "*" not in pattern:
        return pattern == host and bool(host)
    return matches(pattern, host) and not _bare(host)


def _bare(host: str) -> bool:
    """An address in any of its spellings, all of which end in a digit or 0x, or a name that needs no domain."""
    last = host.rpartition(".")[2]
    return "." not in host or last[:1].isdigit() or host.endswith(".localhost")
