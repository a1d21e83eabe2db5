"""Subjects approved before, and the controls that judge what runs under them too: one that fails ends them as a lapse does (onLapse).

What surrounds all pods is judged once (barred), what is in a pod template for each (unfit).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiqms.api.access import Access
from aiqms.api.clearance import Entry
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.procedure import Enforcement
from aiqms.api.supply import ModelBinding, Supply
from aiqms.api.values import Json
from aiqms.policy.binding import tie
from aiqms.policy.checks import Facts, Row, row
from aiqms.policy.endpoints import ENDPOINTS, TLS, registered
from aiqms.policy.identity import IDENTITY, unlike
from aiqms.policy.images import allowed, images
from aiqms.policy.network import ENFORCED, NETWORK, overdue
from aiqms.policy.retention import FAMILY
from aiqms.policy.rights import EDITORS, REVIEW, RIGHTS, listed
from aiqms.policy.storage import STORAGE, stray
from aiqms.policy.supply import uri_refused
from aiqms.policy.surroundings import Uses, uses
from aiqms.policy.words import short, some

_OWN_CLAIM: Json = {"statefulSetClaim": True}  # as the normal form has it; a test compares
MODEL, MODEL_URI, PINNED, REGISTRIES = "supply/model", "supply/model-uri", "supply/pinned-images", "supply/registries"


def barred(facts: Facts, rows: Sequence[Row]) -> bool:
    """Whether a control fails that judges what surrounds all pods, whatever their template."""
    return any(r.blocks and _around_all(facts, r) for r in rows)


def _around_all(facts: Facts, of: Row) -> bool:
    """One of an object that leads to the pods only where it leads to some that run: it may as well lead to those of the next template alone."""
    reaching, reason = facts.given.around.reaching, of.control.reason
    match of.control.id:
        case id_ if id_ in (ENFORCED, EDITORS, REVIEW):
            return True
        case id_ if id_.startswith(FAMILY):
            return reason != Reason.CHECK_PENDING  # a first check that is under way says nothing of what runs
        case id_ if id_ == NETWORK:
            opened = reason in (Reason.NETWORK_POLICY_OPENS_MORE, Reason.NETWORK_POLICY_NOT_COMPARED, Reason.NETWORK_POLICY_CONTESTED)
            return opened or (reason == Reason.NETWORK_POLICY_MISSING and overdue(facts.given.network, facts.now))
        case id_ if id_ == ENDPOINTS:
            return any(not registered(e, facts) for e in reaching)
        case id_ if id_ == TLS:
            return any(e.plain or e.unknown for e in reaching)
    return False


def unfit(facts: Facts, entry: Entry) -> list[str]:
    """The controls, by identifier and procedure, that a template approved before does not pass."""
    if entry.template is None or entry.audit:
        return []
    enforced = [p for p in facts.procedures if p.spec.enforcement is Enforcement.ENFORCE]
    found = [(p.name, id_) for p in enforced if p.spec.supply for id_ in _supply(facts, entry, entry.template, p.spec.supply)]
    found += [(p.name, id_) for p in enforced if p.spec.access for id_ in _access(facts, _uses(entry.template), p.spec.access)]
    return [f"{id_} ({name})" for name, id_ in dict.fromkeys(found)]


def _supply(facts: Facts, entry: Entry, template: Json, supply: Supply) -> Iterator[str]:
    used = images(template)
    if supply.pinned_images and not all(i.digest for i in used):
        yield PINNED
    if supply.registries and not all(allowed(i, supply.registries) for i in used):
        yield REGISTRIES
    if _same_model(facts, entry):
        yield from _model(facts, template, supply)


def _same_model(facts: Facts, entry: Entry) -> bool:
    """An entry keeps only the digest of its model's part: of another model than the register's nothing more is known."""
    return bool(facts.subject and entry.components and entry.components.get("model") == facts.subject.components.model)


def _model(facts: Facts, template: Json, supply: Supply) -> Iterator[str]:
    found = tie(template, facts.spec.model.digest, supply.digest_checkers or ()).reason
    enough = {Reason.MODEL_BOUND} if supply.model is ModelBinding.BOUND else {Reason.MODEL_BOUND, Reason.MODEL_DECLARED_ONLY}
    if supply.model and found not in enough:
        yield MODEL
    if supply.model_uris and uri_refused(facts.spec.model.uri, supply.model_uris):
        yield MODEL_URI


def _uses(template: Json) -> Uses:
    """As of a pod: the normal form has everything of it but what is free, and a StatefulSet's own claims, which have another name for each pod."""
    pod = template["pod"]
    kinds = {kind: [c["fields"] for c in pod.get(kind, [])] for kind in ("containers", "initContainers")}
    volumes = [{"name": name} | {k: v for k, v in source.items() if k != "name"} for name, source in pod.get("volumes", {}).items() if source != _OWN_CLAIM]
    return uses({"metadata": {}, "spec": {**pod.get("fields", {}), **kinds, "volumes": volumes}})


def _access(facts: Facts, used: Uses, access: Access) -> Iterator[str]:
    given = facts.given
    if access.network and used.host:
        yield NETWORK
    if access.service_account and unlike(used, given.around.accounts.get(used.account, ()), access):
        yield IDENTITY
    if access.storage and stray(used, given.around, access.storage.classes):
        yield STORAGE
    if (access.endpoints or access.tls) and (used.host or used.ports):
        yield ENDPOINTS if access.endpoints else TLS
    rights = given.reach.accounts if given.reach and (access.service_account or access.rights) else ()
    if any(r.account == used.account and not listed(r, given.namespace, access) for r in rights):
        yield RIGHTS


def approved_before(facts: Facts) -> list[Row]:
    """Why what was approved before is admitted no more, where no control of the current subject says so."""
    current = facts.subject.fingerprint if facts.subject else ""
    found = {e.fingerprint: why for e in facts.given.entries if e.fingerprint and e.fingerprint != current and e.components and (why := unfit(facts, e))}
    said = [f"{short(fingerprint)} does not pass {some(why)}" for fingerprint, why in found.items()]
    if not said:
        return []
    return [
        row("change/approved-before", Result.WARN, Reason.APPROVED_BEFORE_UNFIT, f"what was approved before is admitted no more: {some(said, '; ', most=3)}")
    ]
