"""The committed CRDs are those that the models give, and leave nothing without bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from aiqms.api.crds import KINDS, Kind, rendered
from aiqms.api.selectors import KEYED, VALUED, LabelSelector

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]
FOLDERS = {"for kubectl": ROOT / "crds", "for Helm": ROOT / "charts" / "aiqms" / "crds"}
BY_NAME = {k.kind: k for k in KINDS}

# Pod templates: as long as pods, which the API server bounds by what it takes in one request.
UNBOUNDED = {"Clearance": {"spec.deployments{}[].template"}}

SERVERS = {"victoriaLogs": ["endpoint"], "s3": ["endpoint", "bucket"], "loki": ["endpoint", "selector"], "other": ["backend", "endpoint"]}
SINKS = SERVERS | {"persistentVolumeClaim": ["claimName"]}
REQUIRED = {
    "QMSProcedure": {
        "": ["spec"],
        "spec": ["title", "revision", "owner", "approvals"],
        "spec.document": ["uri", "digest"],
        "spec.appliesTo.namespaceSelector.matchExpressions[]": ["key", "operator"],
        "spec.approvals": ["roles"],
        "spec.approvals.roles[]": ["role"],
        "spec.approvals.obligations[]": ["framework", "id"],
        "spec.stop": ["roles"],
        "spec.stop.obligations[]": ["framework", "id"],
        "spec.emergency": ["roles", "maxDuration", "reviewWithin"],
        "spec.emergency.obligations[]": ["framework", "id"],
        "spec.access.rights[]": ["apiGroups", "resources", "verbs"],
        "spec.access.obligations[]": ["framework", "id"],
        "spec.responsibilities[]": ["duty", "role"],
        "spec.access.storage": ["classes"],
        "spec.supply.obligations[]": ["framework", "id"],
        "spec.access.monitoring[]": ["namespace"],
        "spec.access.monitoring[].podSelector.matchExpressions[]": ["key", "operator"],
        "spec.logging": ["streams"],
        "spec.logging.streams[]": ["name", "retention"],
        "spec.logging.obligations[]": ["framework", "id"],
    },
    "AIModelDeployment": {
        "": ["spec"],
        "spec": ["intendedPurpose", "riskClass", "role", "owner", "model", "workloads"],
        "spec.owner": ["name", "contact"],
        "spec.model": ["name", "version", "uri", "digest"],
        "spec.datasets[]": ["name", "version", "use", "classification", "digest"],
        "spec.workloads[]": ["apiVersion", "kind", "name"],
        "spec.access.endpoints[]": ["kind", "name"],
        "spec.access.clients[]": ["namespace"],
        "spec.access.clients[].podSelector.matchExpressions[]": ["key", "operator"],
        "spec.access.egress[].podSelector.matchExpressions[]": ["key", "operator"],
        "spec.logging.streams[]": ["name", "sink"],
        **{f"spec.logging.streams[].sink.{kind}": required for kind, required in SINKS.items()},
        **{f"spec.logging.streams[].sink.{kind}.ca": ["configMapName"] for kind in SERVERS},
        **{f"spec.logging.streams[].sink.{kind}.credentials": ["secretName"] for kind in SERVERS},
    },
    "ApprovalRecord": {"": ["spec"], "spec": ["deployment", "role", "decision"], "spec.approver": ["username"]},  # and subject, by a rule
    "Clearance": {"": ["spec"]},
}


def schema(kind: Kind) -> Json:
    """Of the committed CRD."""
    (version,) = yaml.safe_load((ROOT / "crds" / f"{kind.plural}.yaml").read_text())["spec"]["versions"]
    found: Json = version["schema"]["openAPIV3Schema"]
    return found


def walked(of: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Each schema below, with its path: `a.b[]` for items, `a.b{}` for a map's values."""
    yield path, of
    for name, inner in of.get("properties", {}).items():
        yield from walked(inner, f"{path}.{name}".lstrip("."))
    if "items" in of:
        yield from walked(of["items"], f"{path}[]")
    if isinstance(of.get("additionalProperties"), dict):
        yield from walked(of["additionalProperties"], f"{path}{{}}")


def bounded(of: Json) -> bool:
    """Whether a value of this schema has a greatest size, its parts aside."""
    match of["type"]:
        case "string":
            return "enum" in of or "maxLength" in of
        case "array":
            return "maxItems" in of
        case "object":
            return "maxProperties" in of if "additionalProperties" in of else "properties" in of and not of.get("x-kubernetes-preserve-unknown-fields")
        case "integer":
            return {"minimum", "maximum"} <= of.keys()
    return bool(of["type"] == "boolean")


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS.keys())
def test_committed_crds_are_generated_from_the_models(kind: Kind, folder: Path) -> None:
    assert (folder / f"{kind.plural}.yaml").read_text() == rendered(kind), "run: make generate"


@pytest.mark.parametrize("folder", FOLDERS.values(), ids=FOLDERS.keys())
def test_there_is_a_file_for_each_kind_and_no_other(folder: Path) -> None:
    assert {f.name for f in folder.iterdir()} == {f"{k.plural}.yaml" for k in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_every_string_list_map_and_number_has_a_bound(kind: Kind) -> None:
    assert {path for path, of in walked(schema(kind)) if not bounded(of)} == UNBOUNDED.get(kind.kind, set())


LOOSE: dict[str, Json] = {
    "a string": {"type": "string"},
    "a string with a pattern and no length": {"type": "string", "pattern": "^a*$"},
    "a list": {"type": "array", "items": {"type": "boolean"}},
    "a map": {"type": "object", "additionalProperties": {"type": "boolean"}},
    "an object of anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "an object of these fields and anything": {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True},
    "a number with one bound": {"type": "integer", "minimum": 0},
}


@pytest.mark.parametrize("of", LOOSE.values(), ids=LOOSE.keys())
def test_what_has_no_bound_is_found(of: Json) -> None:
    assert not bounded(of)


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_what_must_be_given_is_required(kind: Kind) -> None:
    parts = walked(schema(kind))
    assert {path: of["required"] for path, of in parts if "required" in of and not path.startswith("status") and "{}" not in path} == REQUIRED[kind.kind]


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_every_field_is_described_at_its_kind_and_every_rule_says_what_to_do(kind: Kind) -> None:
    parts = dict(walked(schema(kind)))
    assert parts[""]["description"]
    assert [r for of in parts.values() for r in of.get("x-kubernetes-validations", []) if not r.get("message")] == []


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_every_label_selector_has_the_rules_of_kubernetes(kind: Kind) -> None:
    parts = dict(walked(schema(kind)))
    found = {path: of.get("x-kubernetes-validations", []) for path, of in parts.items() if path.endswith((".matchLabels", ".matchExpressions[]"))}
    rules = {"matchLabels": KEYED, "matchExpressions[]": VALUED}
    assert found == {path: [dict(zip(("rule", "message"), rules[path.rpartition(".")[2]], strict=True))] for path in found}
    assert len(found) == {"QMSProcedure": 4, "AIModelDeployment": 4}.get(kind.kind, 0)


KEYS = {
    "app": True, "k8s-app_1.2": True, "A": True, "aiqms.dev/model": True, "a.b-c.d/E": True, "x" * 63: True, "d" * 253 + "/" + "x" * 63: True,
    "": False, "-a": False, "a-": False, "a/": False, "/a": False, "a/b/c": False, "A/b": False, "a..b/c": False, "a b": False, "a\n": False, "ü": False,
    "x" * 64: False, "d" * 254 + "/" + "x" * 63: False,
}  # fmt: skip
VALUES = {
    "": True,
    "a": True,
    "Prod-1_2.x": True,
    "x" * 63: True,
    "-a": False,
    "a.": False,
    "a/b": False,
    "a b": False,
    "a\n": False,
    "ü": False,
    "x" * 64: False,
}


def reads(selector: Json) -> bool:
    try:
        LabelSelector.model_validate(selector)
    except ValidationError:
        return False
    return True


def test_a_label_is_what_kubernetes_takes_for_one() -> None:
    assert {key: reads({"matchLabels": {key: "a"}}) for key in KEYS} == KEYS
    assert {key: reads({"matchExpressions": [{"key": key, "operator": "Exists"}]}) for key in KEYS} == KEYS
    assert {value: reads({"matchLabels": {"a": value}}) for value in VALUES} == VALUES
    assert {value: reads({"matchExpressions": [{"key": "a", "operator": "In", "values": [value]}]}) for value in VALUES} == VALUES


SHORT = {"QMSProcedure": ["qmsp"], "AIModelDeployment": ["aimd"], "ApprovalRecord": ["apr"], "Clearance": None}


@pytest.mark.parametrize("kind", KINDS, ids=BY_NAME)
def test_names_are_those_of_the_contract(kind: Kind) -> None:
    found = yaml.safe_load(rendered(kind))["spec"]
    scope = "Cluster" if kind.kind == "QMSProcedure" else "Namespaced"
    assert (found["group"], found["scope"], found["names"]["categories"]) == ("aiqms.dev", scope, ["qms"])
    assert (found["names"]["kind"], found["names"].get("shortNames")) == (kind.kind, SHORT[kind.kind])
    (version,) = found["versions"]
    assert (version["name"], version.get("subresources")) == ("v1alpha1", {"status": {}} if kind.status else None)
