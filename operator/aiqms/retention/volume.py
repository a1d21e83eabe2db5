"""A PersistentVolumeClaim: what outlives it, and what does not. It proves no period by itself, and whoever mounts it can delete what is on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.conditions import Reason
from aiqms.api.logging import VolumeClaim
from aiqms.api.values import Json
from aiqms.policy.logs import Ask, Proof, Sample, Trouble
from aiqms.retention.backend import Means

# Kubernetes, "Storage Object in Use Protection": without these the objects go while pods use them.
_CLAIM_PROTECTION, _VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


@dataclass(frozen=True)
class Checker:
    """A claim and its volume, as the API server has them; no file is looked at."""

    sink: VolumeClaim
    means: Means

    async def check(self, ask: Ask, now: datetime) -> Proof:
        """Raises Trouble where there is no such claim."""
        claim, volume = await self.means.claim() if self.means.claim else (None, None)
        if claim is None:
            name = self.sink.claim_name
            raise Trouble(Reason.SINK_UNREACHABLE, f"there is no PersistentVolumeClaim {name} in the namespace: create it, or correct the sink's claimName")
        return Proof(
            backend="PersistentVolumeClaim",
            kept=None,
            setting="a volume has no period: how long files stay is up to whatever writes them",
            remedy="name a log store that keeps lines for {} as the stream's sink",
            early="; ".join(_early(claim, volume)),
            unprotected="whoever mounts the volume, the workload itself, can delete its files: name a store with a deletion API that is off, or with a lock",
            sample=Sample(unreadable="the operator reads no files on a volume: name a log store as the stream's sink") if ask.fields else None,
        )


def _early(claim: Json, volume: Json | None) -> Iterator[str]:
    """What ends the volume, or its tie to the claim, while its files should be kept."""
    metadata, phase = claim["metadata"], claim.get("status", {}).get("phase", "Pending")
    if "deletionTimestamp" in metadata:
        yield "the claim is being deleted: let another one keep what is on it"
    elif _CLAIM_PROTECTION not in metadata.get("finalizers", []):
        yield f"the claim can be deleted while pods use it: give it back its finalizer {_CLAIM_PROTECTION}"
    if owners := metadata.get("ownerReferences"):
        yield f"the claim goes with its owner ({owners[0]['kind']} {owners[0]['name']}): use one of its own, or persistentVolumeClaimRetentionPolicy: Retain"
    if phase != "Bound" or volume is None:
        yield f"the claim is not bound to a volume ({phase}): see `kubectl describe pvc {metadata['name']}`"
    else:
        yield from _volume(claim, volume)


def _volume(claim: Json, volume: Json) -> Iterator[str]:
    name, spec = volume["metadata"]["name"], volume["spec"]
    policy = spec.get("persistentVolumeReclaimPolicy", "Retain")  # the API server's default for one that is made by hand
    if policy != "Retain":
        patch = '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
        yield f"the volume goes with its claim (persistentVolumeReclaimPolicy: {policy}): kubectl patch pv {name} -p '{patch}'"
    if "deletionTimestamp" in volume["metadata"]:
        yield f"the volume {name} is being deleted: let another one keep what is on it"
    elif _VOLUME_PROTECTION not in volume["metadata"].get("finalizers", []):
        yield f"the volume can be deleted while it is bound: give {name} back its finalizer {_VOLUME_PROTECTION}"
    if spec.get("claimRef", {}).get("uid") != claim["metadata"]["uid"]:
        yield f"the volume {name} is another claim's: see its spec.claimRef"
