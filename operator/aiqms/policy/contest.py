"""When the operator goes on putting its NetworkPolicy right, and when it stops: it does not fight for ever with something that keeps writing it too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aiqms.api.values import Json
from aiqms.policy.networks import Contest, Failing, Stored

REPAIRS, WINDOW = 5, timedelta(minutes=1)  # so many within that time; after a quiet time of that length it is tried once more
_SOMEBODY = "somebody"


@dataclass(frozen=True)
class Guard:
    """What the leader remembers of one of its own NetworkPolicies. written: as it was last written; uid, version: of the object last seen.

    repairs: when it was put right, of late; changed: when it was last found changed, or written; contested: until it is seen as it has to be.
    trial: though contested, it is written once more now.
    """

    written: Json | None = None
    uid: str = ""
    version: str = ""
    repairs: tuple[datetime, ...] = ()
    changed: datetime | None = None
    contested: bool = False
    trial: bool = False
    failing: Failing | None = None


def looked(guard: Guard, own: Stored | None, now: datetime, *, right: bool) -> Guard:
    """After a look at the object, which is right or not. A contest begins with one repair too many; then it is tried again after each quiet minute."""
    version = own.version if own else ""
    repairs = tuple(at for at in guard.repairs if now < at + WINDOW)
    if right:
        return replace(guard, version=version, repairs=() if guard.contested else repairs, contested=False, trial=False, failing=None)
    begins = not guard.contested and len(repairs) >= REPAIRS
    changed = now if begins or guard.changed is None or version != guard.version else guard.changed
    contested = guard.contested or begins
    return replace(guard, version=version, repairs=repairs, changed=changed, contested=contested, trial=contested and changed + WINDOW <= now)


def wrote(guard: Guard, answer: Stored, written: Json, now: datetime, *, repair: bool) -> Guard:
    """After a write of the operator's own, which is nobody's change."""
    repairs = (*guard.repairs, now) if repair else guard.repairs
    return replace(guard, written=written, uid=answer.uid, version=answer.version, repairs=repairs, changed=now, trial=False, failing=None)


def failed(guard: Guard, why: str, now: datetime) -> Guard:
    """After a write that was not made."""
    return replace(guard, failing=Failing(guard.failing.since if guard.failing else now, why))


def contest(guard: Guard, own: Stored | None) -> Contest | None:
    """Who else writes the object, and keeps the operator from it: whoever made it, applies it, or changed it too often."""
    if own and not own.ours and own.uid != guard.uid:
        return Contest(own.changer or _SOMEBODY, theirs=True)
    if own and own.appliers:
        return Contest(own.appliers[0])
    if guard.contested and not guard.trial:
        return Contest((own.changer if own else "") or _SOMEBODY, guard.changed + WINDOW if guard.changed else None)
    return None
