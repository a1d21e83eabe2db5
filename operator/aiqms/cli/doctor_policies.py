"""Whether the admission policies and their bindings are there as this version ships them, but for what a site's chart values may say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from aiqms.api.values import Json
from aiqms.cli.doctor_compare import Comparison
from aiqms.cli.doctor_rows import Row, found, ok
from aiqms.gate.cel import DEVICE_ENV, EXEMPT, PEOPLE_GROUPS, PLAIN_RESOURCES, PLAIN_RUNTIMES
from aiqms.gate.policies import FILES
from aiqms.gate.render import ONLY_WHERE
from aiqms.gate.rules import ALWAYS_EXEMPT, DEFAULTS, Rules

# Replaced, not applied: apply leaves what others added, and ends with a conflict where they changed something.
HELM = "helm upgrade --install aiqms charts/aiqms -n aiqms-system --reset-then-reuse-values --server-side=false --force-replace"
UPGRADE = f"with the chart of this version: {HELM}"
ADDED: Final = {"matchPolicy": ("Equivalent",), "scope": ("*",), "namespaceSelector": ({},), "objectSelector": ({},)}  # by the API server
IS_GPU = re.compile(r"gpu|mig-|tpu|npu|accelerator|gaudi|neuron|/(cuda|rocm)", re.IGNORECASE)
_SAID: Final = {  # Helm expression -> the chart value
    PLAIN_RESOURCES: "gate.plainResources",
    PLAIN_RUNTIMES: "gate.plainRuntimes",
    PEOPLE_GROUPS: "gate.peopleGroups",
    EXEMPT: "gate.exemptNamespaces",
    '{{ join "|" .Values.gate.deviceEnv }}': "gate.deviceEnv",
    '{{ include "aiqms.gate.elsewhere" . }}': "gate.elsewhere",
}
assert all(expression in DEVICE_ENV for expression, value in _SAID.items() if value == "gate.deviceEnv")
Objects = dict[tuple[str, str], Json]  # by kind and name


@dataclass(frozen=True)
class Gate:
    """What was compared. rows: what is wrong with policies and bindings; site: each chart value as the policies have it, all of them."""

    rows: tuple[Row, ...]
    site: dict[str, tuple[Any, ...]]

    @property
    def rules(self) -> Rules:
        """What the policies take as harmless, and whom they leave alone; the chart's defaults where they do not say."""
        return replace(
            DEFAULTS,
            plain_resources=self._list("gate.plainResources", DEFAULTS.plain_resources),
            exempt_namespaces=self._list("gate.exemptNamespaces", ALWAYS_EXEMPT),
        )

    def _list(self, value: str, default: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.site[value][0]) if self.site.get(value) else default


def shipped() -> Iterator[tuple[str, Json]]:
    """Each object of the gate, with the file of the chart that it is in."""
    for file, policies in FILES.items():
        for policy in policies:
            yield from ((file, document) for document in policy().documents())


def compared(live: Objects) -> Gate:
    """The shipped policies and bindings held against the cluster's."""
    site: dict[str, list[Any]] = {}
    comparison, rows, names = Comparison(ADDED, site=site), [], set()
    for file, document in shipped():
        kind, name = document["kind"], document["metadata"]["name"]
        names.add((kind, name))
        is_ = live.get((kind, name))
        if is_ is None:
            if not (file in ONLY_WHERE and _switched_off(file, live)):
                rows.append(found("is missing", UPGRADE, f"{kind}/{name}"))
            continue
        rows += [found(str(difference), UPGRADE, f"{kind}/{name}") for difference in comparison.differences(document["spec"], is_["spec"])]
    strangers = sorted(key for key in live if key[1].startswith("aiqms-") and key not in names)
    rows += [_stranger(*key) for key in strangers]
    values = {_SAID[expression]: _distinct(map(_plain, values)) for expression, values in site.items()}
    return Gate(tuple(rows), values)


def _stranger(kind: str, name: str) -> Row:
    do = f"if that was an older one: kubectl delete {kind.lower()} {name}; if it is newer, use the kubectl-qms of that version"
    return found("is none of this version's: another version of the chart made it", do, f"{kind}/{name}")


def _switched_off(file: str, live: Objects) -> bool:
    """The chart leaves the whole file out where a value says so; half of it is no such choice."""
    return not any((d["kind"], d["metadata"]["name"]) in live for f, d in shipped() if f == file)


def _plain(value: Any) -> Any:
    """A list stands in an expression as JSON."""
    return json.loads(value) if isinstance(value, str) and value.startswith("[") else value


def _distinct(values: Any) -> tuple[Any, ...]:
    return tuple({json.dumps(v): v for v in values}.values())


def policies(gate: Gate) -> Iterator[Row]:
    """Check `policies`."""
    if gate.rows:
        yield from gate.rows
    else:
        kinds = [d["kind"] for _, d in shipped()]
        yield ok(f"{sum('Binding' not in k for k in kinds)} policies and their bindings are as this version ships them")


def values(gate: Gate, operator: Json | None) -> Iterator[Row]:
    """Check `values`: what a site changed is the same everywhere, and opens no way to a GPU. operator: its Deployment."""
    rows = [*_disagreeing(gate), *_no_values(gate), *_plain_gpus(gate), *_operators_own(gate, operator)]
    yield from rows or [ok(", ".join(_said(gate)) or "the policies take the chart's defaults")]


def _disagreeing(gate: Gate) -> Iterator[Row]:
    for value, seen in gate.site.items():
        if len(seen) > 1:
            yield found(f"the policies do not agree: {' and '.join(json.dumps(s) for s in seen)}", UPGRADE, value)


def _no_values(gate: Gate) -> Iterator[Row]:
    """What stands where a value may, and is none that the chart makes."""
    for actions in gate.site.get("gate.elsewhere", ()):
        if actions not in (["Deny"], ["Warn", "Audit"]):
            yield found(f"the binding of aiqms-elsewhere does {json.dumps(actions)}, which no value of the chart says", UPGRADE, "gate.elsewhere")
    for exempt in gate.site.get("gate.exemptNamespaces", ()):
        if not set(ALWAYS_EXEMPT) <= set(exempt):
            yield found(f"{' and '.join(ALWAYS_EXEMPT)} are exempt always, and here only {json.dumps(exempt)}", UPGRADE, "gate.exemptNamespaces")


def _plain_gpus(gate: Gate) -> Iterator[Row]:
    plain = [name for seen in gate.site.get("gate.plainResources", ()) for name in seen if IS_GPU.search(name)]
    if plain:
        yield found(f"{', '.join(plain)} is taken for harmless, so any pod may ask for it", "take it off gate.plainResources", "gate.plainResources")
    runtimes = [name for seen in gate.site.get("gate.plainRuntimes", ()) for name in seen if re.search("nvidia|rocm|cdi", name)]
    if runtimes:
        yield found(f"RuntimeClass {', '.join(runtimes)} is taken for harmless", "take it off gate.plainRuntimes", "gate.plainRuntimes")
    env = gate.site.get("gate.deviceEnv", ())
    if lost := [name for name in ("NVIDIA_VISIBLE_DEVICES", "CUDA_VERSION") if not all(_matches(pattern, name) for pattern in env)]:
        yield found(f"env {' and '.join(lost)} is taken for harmless, and hands out GPUs", "put it back into gate.deviceEnv", "gate.deviceEnv")


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False


def _operators_own(gate: Gate, operator: Json | None) -> Iterator[Row]:
    """The operator stores templates by the same lists, else what it stores equals no pod."""
    for value, variable in (("gate.plainResources", "AIQMS_PLAIN_RESOURCES"),):
        seen, own = gate.site.get(value, ()), operators_list(operator, variable) if operator else None
        if own is not None and seen and sorted(seen[0]) != sorted(own):
            yield found(f"the operator has {json.dumps(own)}, the policies have {json.dumps(seen[0])}: nothing it clears is admitted", UPGRADE, value)


def operators_list(operator: Json, variable: str) -> list[str] | None:
    """A list of names in the operator's environment; None where it is not set."""
    containers = operator["spec"]["template"]["spec"]["containers"]
    text = next((e.get("value") for e in containers[0].get("env") or [] if e["name"] == variable), None)
    return cast("list[str]", json.loads(text)) if text else None


def _said(gate: Gate) -> Iterator[str]:
    """What the site changed."""
    defaults: dict[str, object] = {
        "gate.plainResources": list(DEFAULTS.plain_resources),
        "gate.plainRuntimes": list(DEFAULTS.plain_runtimes),
        "gate.exemptNamespaces": list(ALWAYS_EXEMPT),
        "gate.deviceEnv": "|".join(DEFAULTS.device_env),
        "gate.peopleGroups": list(DEFAULTS.people_groups),
    }
    for value, default in defaults.items():
        if (seen := gate.site.get(value)) and seen[0] != default:
            yield f"{value}: {json.dumps(seen[0])}"
