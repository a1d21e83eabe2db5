"""access.storage: where the pods' files are kept (AI Act Art. 15(5)), and the listing of what the pods read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from aiqms.api.access import Access
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Reads, Result, VolumeSeen
from aiqms.policy.checks import Facts, Row, row, unless_missing
from aiqms.policy.facts import Procedure
from aiqms.policy.identity import asking, current_pods, serves
from aiqms.policy.surroundings import FROM_TEMPLATE, Surroundings, Uses, Volume, numbered
from aiqms.policy.words import some

STORAGE = "access/storage"
CLAIM = "PersistentVolumeClaim"
_CONTENT = ("ConfigMap", "Secret", "Projected", "DownwardAPI")  # what the API server keeps: listed by name, or nothing to list
_NAMES, _VOLUMES = 256, 64  # that the status lists
_NAME, _VOLUME, _MORE = 253, 63, 1_000_000  # bounds of the CRD; the API server lets a pod name a claim or a Secret that no object can be named
Judged = tuple[str | None, str]  # a StorageClass, empty for none and None where nobody knows it; and what is of it, in words


def storage(facts: Facts) -> list[Row]:
    """storage.classes: every volume that keeps data is of one of these StorageClasses."""
    return [_storage(facts, procedure, access) for procedure, access in asking(facts, lambda a: a.storage)]


def _storage(facts: Facts, procedure: Procedure, access: Access) -> Row:
    allowed = access.storage.classes if access.storage else []
    judged = [*_declared(facts.given.around), *_claimed(facts)]
    wrong = [said for name, said in judged if name is not None and name not in allowed]
    if wrong:
        said = f"{some(wrong, '; ')}; allowed is StorageClass {some(sorted(allowed), or_=True)}"
        return row(STORAGE, Result.FAIL, Reason.STORAGE_NOT_ALLOWED, said, procedure=procedure, serves=serves(access))
    unknown = [said for name, said in judged if name is None]
    if unknown:
        return row(STORAGE, Result.ERROR, Reason.STORAGE_UNKNOWN, some(unknown, "; "), procedure=procedure, serves=serves(access))
    found = some(sorted({name for name, _ in judged if name}))
    said = f"every volume that keeps data is of StorageClass {found}" if found else "no volume keeps data"
    passed = unless_missing(facts, (Result.PASS, Reason.STORAGE_ALLOWED, said))
    return row(STORAGE, *passed, procedure=procedure, serves=serves(access))


def _declared(around: Surroundings) -> Iterator[Judged]:
    """What the pod templates say themselves."""
    for ref, used in sorted(around.workloads.items()):
        for volume in used.volumes:
            where, name = f"volume {volume.name} of {ref}", volume.storage_class
            match volume.kind:
                case "ConfigMap" | "Secret" | "Projected" | "DownwardAPI" | "EmptyDir" | "Image" | "PersistentVolumeClaim":
                    pass  # keeps nothing beyond the pod's life; or is judged by its claim
                case "VolumeClaimTemplate" if name is None and not _made(volume, around):
                    yield None, f"{where} names no StorageClass in its claim template, and no claim of it exists yet: name one there, or have a pod made"
                case "VolumeClaimTemplate" if name is None:
                    pass  # the cluster's default: the API server wrote it into the claims
                case "VolumeClaimTemplate" | "Ephemeral" if name:
                    yield name, f"{where} is of StorageClass {name}"
                case "VolumeClaimTemplate" | "Ephemeral":
                    yield "", f"{where} names no StorageClass in its claim template: name one there"
                case _:
                    yield "", f"{where} is of kind {volume.kind}, which has no StorageClass"


def stray(used: Uses, around: Surroundings, allowed: Collection[str]) -> bool:
    """Whether a pod template keeps data elsewhere. A claim that is not there is not judged here."""
    for volume in used.volumes:
        if volume.kind == CLAIM:
            wrong = around.claims.get(volume.claim) not in (None, *allowed)
        elif volume.kind == "Ephemeral":
            wrong = volume.storage_class not in allowed
        else:
            wrong = volume.kind not in (*_CONTENT, "EmptyDir", "Image")
        if wrong:
            return True
    return False


def _claimed(facts: Facts) -> Iterator[Judged]:
    """Each claim of the pods. One that is made with its pod (a StatefulSet's) is judged when it is there: without it the pod does not start."""
    around = facts.given.around
    volumes = [v for used in around.workloads.values() for v in used.volumes]
    named = {v.claim for v in volumes if v.kind == CLAIM}
    made = {c for v in volumes for c in _made(v, around)} | {v.claim for _, used in current_pods(facts) for v in used.volumes if v.kind == CLAIM}
    for claim in sorted(named | (made & set(around.claims))):
        name = around.claims.get(claim)
        if name is None:
            yield None, f"claim {claim[:_NAME]} does not exist: create it"
        else:
            yield name, f"claim {claim[:_NAME]} is of {f'StorageClass {name}' if name else 'no StorageClass'}"


def _made(volume: Volume, around: Surroundings) -> list[str]:
    """Claims of a StatefulSet's volume; one of that name made beforehand is taken as it is."""
    return [c for c in around.claims if numbered(c) == volume.claim] if volume.kind == FROM_TEMPLATE else []


def reads(facts: Facts) -> Reads:
    """What an auditor wants listed: Secrets, ConfigMaps and volumes of all pods and pod templates, by name. Their content is not looked at."""
    around = facts.given.around
    used = [*around.workloads.values(), *around.pods.values()]
    secrets, maps = sorted({s for u in used for s in u.secrets}), sorted({c for u in used for c in u.config_maps})
    every = {v for u in around.workloads.values() for v in u.volumes} | set(_of_pods(around))
    volumes = sorted(every, key=lambda v: (v.name, v.kind, v.claim, v.storage_class or ""))
    listed = [_seen(v, around) for v in volumes if v.kind not in _CONTENT]
    more = max(0, len(secrets) - _NAMES) + max(0, len(maps) - _NAMES) + max(0, len(listed) - _VOLUMES)
    return Reads(secrets=_cut(secrets), config_maps=_cut(maps), volumes=listed[:_VOLUMES], omitted=min(more, _MORE))


def _cut(names: Sequence[str]) -> list[str]:
    """To what a status can hold: one that exceeds a bound would be refused as a whole, and nothing would be said or cleared any more."""
    return [name[:_NAME] for name in names[:_NAMES]]


def _of_pods(around: Surroundings) -> Iterator[Volume]:
    """What only the pods tell: claims of their own, and volumes of an earlier template."""
    templates = {v.name for used in around.workloads.values() for v in used.volumes if v.kind in ("Ephemeral", FROM_TEMPLATE)}
    return (v for used in around.pods.values() for v in used.volumes if v.kind == CLAIM or v.name not in templates)


def _seen(volume: Volume, around: Surroundings) -> VolumeSeen:
    claim = volume.claim if volume.kind == CLAIM else ""
    class_ = volume.storage_class or around.claims.get(claim, "")
    return VolumeSeen(name=volume.name[:_VOLUME], kind=volume.kind[:_VOLUME], claim=claim[:_NAME], storage_class=class_[:_NAME])
