"""Volumes: the suite, in which they can be in few states, and claims and volumes as the API server has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.logging import VolumeClaim
from aiqms.api.values import Json
from aiqms.policy.logs import Ask, Proof, Sample, Trouble
from aiqms.retention.backend import Means
from aiqms.retention.conformance import Case, Conformance, Fault, Given
from aiqms.retention.link import Link
from aiqms.retention.volume import Checker

CLAIM: Json = {
    "metadata": {"name": "answers", "uid": "c1", "finalizers": ["kubernetes.io/pvc-protection"]},
    "spec": {"volumeName": "pv1", "accessModes": ["ReadWriteOnce"]},
    "status": {"phase": "Bound"},
}
VOLUME: Json = {
    "metadata": {"name": "pv1", "finalizers": ["kubernetes.io/pv-protection", "external-provisioner.volume.kubernetes.io/finalizer"]},
    "spec": {"persistentVolumeReclaimPolicy": "Retain", "claimRef": {"kind": "PersistentVolumeClaim", "name": "answers", "uid": "c1"}},
    "status": {"phase": "Bound"},
}
NO_PERIOD = "a volume proves no period by itself"
NO_FILES = "the operator reads no files on a volume"


def means(claim: Json | None, volume: Json | None) -> Means:
    async def found() -> tuple[Json | None, Json | None]:
        return claim, volume

    return Means(Link(""), claim=found)


class TestVolume(Conformance):
    cannot: ClassVar[Mapping[Case | Fault, str]] = {
        **dict.fromkeys((Case.ENOUGH, Case.TOO_SHORT, Case.EXACT, Case.UNLIMITED, Case.OVERRIDDEN), NO_PERIOD),
        **dict.fromkeys((Case.LACKING, Case.COMPLETE, Case.EMPTY), NO_FILES),
        **dict.fromkeys(Fault, "a volume is reached through the API server alone"),
    }

    def sink(self, endpoint: str) -> VolumeClaim:
        return VolumeClaim(claim_name="answers")

    @contextlib.contextmanager
    def serve(self, case: Case) -> Iterator[Given]:
        volume = changed(VOLUME, "spec", persistentVolumeReclaimPolicy="Delete") if case is Case.LIMITED else VOLUME
        yield Given(self.sink(""), means(CLAIM, volume))


def changed(of: Json, part: str, **values: Any) -> Json:
    """A copy; None takes a key away."""
    made = deepcopy(of)
    made[part] = {name: value for name, value in {**made[part], **values}.items() if value is not None}
    return made


async def checked(claim: Json | None, volume: Json | None, fields: tuple[str, ...] = ()) -> Proof:
    ask = Ask(timedelta(days=184), fields=fields)
    return await Checker(VolumeClaim(claim_name="answers"), means(claim, volume)).check(ask, datetime(2026, 11, 27, tzinfo=UTC))


async def test_the_best_of_volumes_proves_no_period_and_no_protection() -> None:
    assert await checked(CLAIM, VOLUME, ("model",)) == Proof(
        backend="PersistentVolumeClaim",
        kept=None,
        setting="a volume has no period: how long files stay is up to whatever writes them",
        remedy="name a log store that keeps lines for {} as the stream's sink",
        unprotected="whoever mounts the volume, the workload itself, can delete its files: name a store with a deletion API that is off, or with a lock",
        sample=Sample(unreadable="the operator reads no files on a volume: name a log store as the stream's sink"),
    )


PATCH = """kubectl patch pv pv1 -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'"""
OWNERS = [{"apiVersion": "v1", "kind": "Pod", "name": "answers-0", "uid": "p"}]
EARLY: dict[str, tuple[Json, Json | None, str]] = {
    "reclaim policy Delete": (
        CLAIM,
        changed(VOLUME, "spec", persistentVolumeReclaimPolicy="Delete"),
        f"the volume goes with its claim (persistentVolumeReclaimPolicy: Delete): {PATCH}",
    ),
    "reclaim policy Recycle": (
        CLAIM,
        changed(VOLUME, "spec", persistentVolumeReclaimPolicy="Recycle"),
        f"the volume goes with its claim (persistentVolumeReclaimPolicy: Recycle): {PATCH}",
    ),
    "not bound": (
        changed(changed(CLAIM, "status", phase="Pending"), "spec", volumeName=None),
        None,
        "the claim is not bound to a volume (Pending): see `kubectl describe pvc answers`",
    ),
    "its volume lost": (changed(CLAIM, "status", phase="Lost"), None, "the claim is not bound to a volume (Lost): see `kubectl describe pvc answers`"),
    "its volume not there": (CLAIM, None, "the claim is not bound to a volume (Bound): see `kubectl describe pvc answers`"),
    "another claim's volume": (
        CLAIM,
        changed(VOLUME, "spec", claimRef={"kind": "PersistentVolumeClaim", "name": "answers", "uid": "c0"}),
        "the volume pv1 is another claim's: see its spec.claimRef",
    ),
    "claim unprotected": (
        changed(CLAIM, "metadata", finalizers=None),
        VOLUME,
        "the claim can be deleted while pods use it: give it back its finalizer kubernetes.io/pvc-protection",
    ),
    "volume unprotected": (
        CLAIM,
        changed(VOLUME, "metadata", finalizers=["kubernetes.io/other"]),
        "the volume can be deleted while it is bound: give pv1 back its finalizer kubernetes.io/pv-protection",
    ),
    "claim being deleted": (
        changed(CLAIM, "metadata", deletionTimestamp="2026-11-27T00:00:00Z"),
        VOLUME,
        "the claim is being deleted: let another one keep what is on it",
    ),
    "volume being deleted": (
        CLAIM,
        changed(VOLUME, "metadata", deletionTimestamp="2026-11-27T00:00:00Z"),
        "the volume pv1 is being deleted: let another one keep what is on it",
    ),
    "a pod's own volume": (
        changed(CLAIM, "metadata", ownerReferences=OWNERS),
        VOLUME,
        "the claim goes with its owner (Pod answers-0): use one of its own, or persistentVolumeClaimRetentionPolicy: Retain",
    ),
}


@pytest.mark.parametrize(("claim", "volume", "early"), EARLY.values(), ids=EARLY.keys())
async def test_what_ends_a_volume_is_named(claim: Json, volume: Json | None, early: str) -> None:
    assert (await checked(claim, volume)).early == early


async def test_several_reasons_are_all_named() -> None:
    proof = await checked(changed(CLAIM, "metadata", finalizers=[]), changed(VOLUME, "spec", persistentVolumeReclaimPolicy="Delete"))
    assert proof.early.count("; ") == 1


async def test_a_claim_that_is_not_there_is_told() -> None:
    with pytest.raises(Trouble) as caught:
        await checked(None, None)
    told = "there is no PersistentVolumeClaim answers in the namespace: create it, or correct the sink's claimName"
    assert (caught.value.reason, caught.value.message) == (Reason.SINK_UNREACHABLE, told)
