"""Checks on where model and images come from, and on how the model is tied to what runs: `supply` of a procedure (AI Act Art. 17(1)(l))."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.api.procedure import Enforcement
from aiqms.api.supply import ModelBinding, Supply
from aiqms.api.values import Json
from aiqms.policy.binding import MODEL, Tie, tie
from aiqms.policy.checks import Facts, Judged, Row, row, unless_missing
from aiqms.policy.facts import Origin, Procedure, WorkloadFacts
from aiqms.policy.images import Image, allowed, images, written_out
from aiqms.policy.patterns import plain, uri_matches
from aiqms.policy.words import plural, visible

UNPINNED = "not pinned, so another image may come under the same name: write NAME@sha256:… of the image that was tested"
_NAMED = 3  # things that a message names before it counts the others


def model(facts: Facts) -> list[Row]:
    """supply.model: how the digest in the register is tied to what runs. Where no enforced procedure asks, a template that says nothing is a warning."""
    asking = any(s.model and p.spec.enforcement is Enforcement.ENFORCE for p, s in _supplies(facts))
    plain = [] if asking else [row("supply/model", *_model(facts, Supply()))]
    return plain + _rows(facts, "supply/model", lambda s: _model(facts, s) if s.model else None)


def pinned_images(facts: Facts) -> list[Row]:
    """supply.pinnedImages: every image is `…@sha256:<64 hex>`, for a tag may name another image tomorrow."""
    return _rows(facts, "supply/pinned-images", lambda s: _pinned(facts) if s.pinned_images else None)


def registries(facts: Facts) -> list[Row]:
    """supply.registries: every image comes from one of them."""
    return _rows(facts, "supply/registries", lambda s: _from(facts, s.registries) if s.registries else None)


def model_uri(facts: Facts) -> list[Row]:
    """supply.modelUris: the register's model comes from one of them."""
    return _rows(facts, "supply/model-uri", lambda s: _uri(facts.spec.model.uri, s.model_uris) if s.model_uris else None)


def pull_secrets(facts: Facts) -> list[Row]:
    """supply.pullSecrets: the pods bear no others. Names alone: nobody here reads a Secret."""
    return _rows(facts, "supply/pull-secrets", lambda s: None if s.pull_secrets is None else _secrets(facts, s.pull_secrets))


def _supplies(facts: Facts) -> list[tuple[Procedure, Supply]]:
    return [(p, p.spec.supply) for p in facts.procedures if p.spec.supply]


def _rows(facts: Facts, id_: str, judge: Callable[[Supply], Judged | None]) -> list[Row]:
    """A row for each procedure that asks; None: it does not."""
    judged = [(p, s, judge(s)) for p, s in _supplies(facts)]
    return [row(id_, *said, procedure=p, serves=[f"{o.framework} {o.id}" for o in s.obligations]) for p, s, said in judged if said]


def _there(facts: Facts) -> list[tuple[WorkloadFacts, Json]]:
    return [(w, w.template) for w in facts.given.workloads if w.template is not None]


def _listed(things: Sequence[str]) -> str:
    return "; ".join(things[:_NAMED]) + (f"; and {len(things) - _NAMED} more" if len(things) > _NAMED else "")


# The model


def _model(facts: Facts, supply: Supply) -> Judged:
    wanted = facts.spec.model.digest
    ties = {str(w.ref): tie(t, wanted, supply.digest_checkers or ()) for w, t in _there(facts)}
    wrong = [f"{ref} declares {visible(t.detail)}" for ref, t in ties.items() if t.reason is Reason.MODEL_MISMATCH]
    missing = {ref: t for ref, t in ties.items() if t.reason is Reason.MODEL_DECLARED_NOWHERE}
    loose = {ref: t for ref, t in ties.items() if t.reason is Reason.MODEL_DECLARED_ONLY}
    if wrong:
        said = f"{'; '.join(wrong)}, but spec.model.digest is {wanted}: make annotation {MODEL} and the register agree"
        return Result.FAIL, Reason.MODEL_MISMATCH, said
    if missing:
        said = f"nothing ties {', '.join(missing)} to the model approved{_doubts(missing)}: set annotation {MODEL} in the pod template"
        return Result.FAIL if supply.model else Result.WARN, Reason.MODEL_DECLARED_NOWHERE, said
    if loose and supply.model is ModelBinding.BOUND:
        return Result.FAIL, Reason.MODEL_DECLARED_ONLY, unbound(loose, wanted, supply)
    if loose:
        how = "declares" if len(loose) == len(ties) else "declares, or has by digest,"
        passed = Result.PASS, Reason.MODEL_MATCHES, f"every pod template {how} {wanted}"
    else:
        passed = Result.PASS, Reason.MODEL_BOUND, f"{wanted} is what runs: {_listed([f'{ref} by {t.detail}' for ref, t in ties.items()])}"
    return unless_missing(facts, passed)


def unbound(loose: Mapping[str, Tie], wanted: str, supply: Supply) -> str:
    """Who only declares the model, why what looks like a binding is none, and what would bind them."""
    checkers = _listed(supply.digest_checkers or ()) or "the procedure names none in supply.digestCheckers"
    ways = f"mount an image volume …@{wanted}, run an image of that digest, or have an init container compare the files ({checkers})"
    return f"{', '.join(loose)} only declares its model{_doubts(loose)}: {ways}"


def _doubts(ties: Mapping[str, Tie]) -> str:
    return "".join(f"; {ref}: {t.detail}" for ref, t in ties.items() if t.detail)


def _uri(uri: str, patterns: Sequence[str]) -> Judged:
    why = uri_refused(uri, patterns)
    if why:
        return Result.FAIL, Reason.MODEL_URI_NOT_ALLOWED, f"spec.model.uri {why}"
    return Result.PASS, Reason.MODEL_URI_ALLOWED, f"{uri} is among {_listed(patterns)}"


def uri_refused(uri: str, patterns: Sequence[str]) -> str:
    """Why a model may not come from there, and what to do; empty where it may."""
    if not plain(uri):
        why = "has more than a host and a port before its path, so that nobody knows where it leads"
    elif _climbs(uri):
        why = "has dots for folders, so that nobody knows where it leads"
    elif not any(uri_matches(p, uri) for p in patterns):
        why = f"is not among {_listed(patterns)}"
    else:
        return ""
    return f"{uri[:255]} {why}: take the model from there, and register where it comes from"


def _climbs(uri: str) -> bool:
    """Whether a segment of the path is . or .., which would lead out of what a pattern allows (RFC 3986, 5.2.4), also where it is written in other ways."""
    path = uri.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("\\", "/").partition("?")[0].partition("#")[0]
    return any(segment in (".", "..") for segment in path.split("/"))


# Images


def _pinned(facts: Facts) -> Judged:
    wrong = [f"{ref}, {named(i)}" for ref, i in _used(facts) if not i.digest]
    if wrong:
        return Result.FAIL, Reason.IMAGE_NOT_PINNED, f"{_listed(wrong)}: {UNPINNED}"
    return unless_missing(facts, (Result.PASS, Reason.IMAGES_PINNED, f"{_all(facts)} pinned by digest"))


def _from(facts: Facts, patterns: Sequence[str]) -> Judged:
    wrong = [f"{ref}, {named_whole(i)}" for ref, i in _used(facts) if not allowed(i, patterns)]
    if wrong:
        return Result.FAIL, Reason.REGISTRY_NOT_ALLOWED, f"{_listed(wrong)}: {elsewhere(patterns)}"
    return unless_missing(facts, (Result.PASS, Reason.REGISTRIES_ALLOWED, f"{_all(facts)} from {_listed(patterns)}"))


def elsewhere(patterns: Sequence[str]) -> str:
    """What is wrong with an image from no allowed registry, and what to do."""
    return f"from none of {_listed(patterns)}: have the image copied there, and name it so"


def _used(facts: Facts) -> list[tuple[str, Image]]:
    return [(str(w.ref), i) for w, t in _there(facts) for i in images(t)]


def named(image: Image) -> str:
    """`container serve: nginx:1`."""
    return f"{image.where}: {image.reference[:255] or 'no image'}"


def named_whole(image: Image) -> str:
    """`container serve: nginx:1 (that is docker.io/library/nginx:1)`."""
    whole = written_out(image.reference)
    return named(image) + (f" (that is {whole[:255]})" if whole not in (image.reference, "") else "")


def _all(facts: Facts) -> str:
    count = len(_used(facts))
    return f"{plural(count, 'image')} {'is' if count == 1 else 'are'}"


# Image pull secrets


def _secrets(facts: Facts, names: Sequence[str]) -> Judged:
    given = facts.given.pull_secrets
    declared = [f"{ref}: {name}" for ref, each in sorted(given.declared.items()) for name in each if name not in names]
    waiting = [p for p in facts.given.pods if not p.going and not p.before and (not p.held or p.origin is Origin.NAMED)]
    added = [(p, f"pod {p.name}: {name}") for p in waiting for name in given.added.get(p.name, ()) if name not in names]
    held, running = [said for p, said in added if p.held], [said for p, said in added if not p.held]
    if declared:
        said = f"image pull secrets that are not allowed: {_listed(declared)} ({only(names)}): take them out of imagePullSecrets in the pod template"
        return Result.FAIL, Reason.PULL_SECRET_NOT_ALLOWED, said
    if held or running:
        said = f"image pull secrets that are not allowed come from the ServiceAccount: {_listed(held or running)} ({only(names)})"
        do = "take them out of its imagePullSecrets, and delete these pods"
        return Result.FAIL if held else Result.WARN, Reason.PULL_SECRET_NOT_ALLOWED, f"{said}: {do}"
    return unless_missing(facts, (Result.PASS, Reason.PULL_SECRETS_ALLOWED, f"no image pull secrets but those {only(names)}"))


def only(names: Sequence[str]) -> str:
    """Which are allowed."""
    return f"allowed: {', '.join(names) or 'none'}"
