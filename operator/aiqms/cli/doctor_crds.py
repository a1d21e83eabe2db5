"""Whether the CRDs are there as this version ships them: a field that is lost is pruned from what people write, a rule that is lost lets anything in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from aiqms.api.crds import KINDS, crd
from aiqms.api.values import Json
from aiqms.cli.doctor_compare import Comparison
from aiqms.cli.doctor_rows import Row, found, ok

APPLY = "with the CRDs of this version: kubectl apply --server-side --force-conflicts -f crds/"
_COMPARISON: Final = Comparison({"conversion": ({"strategy": "None"},)}, frozenset({"description"}))


def crds(live: dict[str, Json]) -> Iterator[Row]:
    """Check `crds`. live: the cluster's CRDs by name."""
    rows = [row for name, wanted in shipped().items() for row in _one(wanted, live.get(name))]
    yield from rows or [ok(f"{len(KINDS)} CRDs are as this version ships them")]


@cache
def shipped() -> dict[str, Json]:
    """The CRDs of this version, by name."""
    return {made["metadata"]["name"]: made for made in map(crd, KINDS)}


def _one(wanted: Json, is_: Json | None) -> Iterator[Row]:
    name = wanted["metadata"]["name"]
    if is_ is None:
        yield found("is missing", APPLY, name)
        return
    for difference in _COMPARISON.differences(wanted["spec"], is_["spec"]):
        yield found(str(difference).replace("spec.versions.0.schema.openAPIV3Schema.properties.", "").replace(".properties.", "."), APPLY, name)
    established = {c["type"]: c["status"] for c in (is_.get("status") or {}).get("conditions") or []}
    if established.get("Established") != "True":
        yield found("is not established, so nothing of this kind is served", f"kubectl describe crd {name}", name)
