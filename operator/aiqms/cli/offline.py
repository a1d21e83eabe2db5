"""Offline: the subject of a deployment from manifests alone, so that a change can be approved before it is applied; added up by the cluster's own code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from aiqms.api.crds import DEPLOYMENT, PROCEDURE
from aiqms.api.deployment import DeploymentSpec, Workload
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.values import Json
from aiqms.cluster.inputs import SECRETS, content
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs, template
from aiqms.gate.rules import DEFAULTS, LABEL, Rules
from aiqms.gate.workload import pod_of
from aiqms.policy.facts import Procedure, WorkloadFacts
from aiqms.policy.procedures import applies
from aiqms.policy.subject import Subject, digest, subject

_RESOURCES = {"configmaps": "ConfigMap", "resourceclaims": "ResourceClaim", "resourceclaimtemplates": "ResourceClaimTemplate"}
M = TypeVar("M", bound=BaseModel)
SUFFIXES = (".yaml", ".yml", ".json")


class OfflineError(Exception):
    """The manifests do not tell: what is missing or wrong, in which object, and what to give."""


@dataclass(frozen=True)
class Manifests:
    """Objects as they are applied, and the namespace of those that name none."""

    objects: Sequence[Json]
    namespace: str = "default"

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """The last object of that identity, as apply would leave it."""
        found = [o for o in self.objects if o["kind"] == kind and o["metadata"]["name"] == name and self.place(o) == namespace]
        return found[-1] if found else None

    def place(self, obj: Json) -> str:
        """The object's namespace."""
        return str(obj["metadata"].get("namespace") or self.namespace)

    def of_kind(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        return [o for o in self.objects if o["kind"] == kind]


def read(paths: Iterable[Path], *, namespace: str = "default") -> Manifests:
    """Every object of the files, and of the manifests in the folders. Raises OfflineError, naming the file."""
    return Manifests([o for path in paths for file in _files(path) for o in _objects(file)], namespace)


def rules(values: Path | None) -> Rules:
    """What the gate compares: by default as the chart installs it, else as its values say. Raises OfflineError for values that are none."""
    if values is None:
        return DEFAULTS
    gate = _gate(values)
    plain, published = gate.get("plainResources", DEFAULTS.plain_resources), gate.get("publishedConfigMaps", DEFAULTS.published_config_maps)
    return replace(DEFAULTS, plain_resources=tuple(plain), published_config_maps=tuple(published))


def _gate(values: Path) -> Json:
    try:
        found = yaml.safe_load(values.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OfflineError(f"{values}: {error}") from error
    gate = (found.get("gate") or {}) if isinstance(found, dict) else found
    if not isinstance(gate, dict):
        raise OfflineError(f"{values} is no file of chart values: give the one that helm gets")
    return gate


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise OfflineError(f"{path} does not exist: give files or folders of manifests")
    return sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES) if path.is_dir() else [path]


def _objects(file: Path) -> list[Json]:
    try:
        documents = [d for d in yaml.safe_load_all(file.read_text()) if d]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OfflineError(f"{file}: {error}") from error
    items = [i for d in documents for i in (d.get("items") or [] if isinstance(d, dict) and d.get("kind") == "List" else [d])]
    bad = next((i for i in items if not (isinstance(i, dict) and i.get("kind") and isinstance(i.get("metadata"), dict) and i["metadata"].get("name"))), None)
    if bad is not None:
        raise OfflineError(f"{file}: an object lacks kind or metadata.name: {str(bad)[:100]}")
    return items


def subjects(manifests: Manifests, rules: Rules) -> dict[tuple[str, str], Subject]:
    """The subject of each AIModelDeployment, by namespace and name. Raises OfflineError where the manifests do not tell."""
    found = manifests.of_kind(DEPLOYMENT.kind)
    if not found:
        raise OfflineError(f"no {DEPLOYMENT.kind} in these manifests: give the file of the register entry too")
    return {(manifests.place(o), o["metadata"]["name"]): one(manifests, o, rules) for o in found}


def one(manifests: Manifests, deployment: Json, rules: Rules) -> Subject:
    """The subject of one AIModelDeployment. Raises OfflineError where the manifests do not tell."""
    namespace, name = manifests.place(deployment), deployment["metadata"]["name"]
    spec = _parsed(DeploymentSpec, deployment, f"{DEPLOYMENT.kind} {name}")
    procedures = [p for p in map(_procedure, manifests.of_kind(PROCEDURE.kind)) if _applies(manifests, p, spec, namespace)]
    workloads = [_workload(manifests, ref, namespace, name, rules) for ref in spec.workloads]
    made = subject(spec, workloads=workloads, procedures=procedures)
    assert made, "every workload was found"
    return made


def _parsed(model: type[M], obj: Json, what: str) -> M:
    try:
        return model.model_validate(obj.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise OfflineError(f"{what}: spec.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _procedure(obj: Json) -> Procedure:
    return Procedure(obj["metadata"]["name"], _parsed(ProcedureSpec, obj, f"{PROCEDURE.kind} {obj['metadata']['name']}"))


def _applies(manifests: Manifests, procedure: Procedure, spec: DeploymentSpec, namespace: str) -> bool:
    to = procedure.spec.applies_to
    known = next((o for o in manifests.of_kind("Namespace") if o["metadata"]["name"] == namespace), None)
    if to.namespace_selector and known is None:
        raise OfflineError(f"{PROCEDURE.kind} {procedure.name} selects namespaces by label: give the manifest of Namespace {namespace} too")
    labels = {"kubernetes.io/metadata.name": namespace} | ((known or {"metadata": {}})["metadata"].get("labels") or {})
    return applies(to, spec=spec, namespace=namespace, labels=labels)


def _workload(manifests: Manifests, ref: Workload, namespace: str, name: str, rules: Rules) -> WorkloadFacts:
    found = manifests.find(ref.kind, namespace, ref.name)
    if found is None:
        raise OfflineError(f"{DEPLOYMENT.kind} {name}: spec.workloads names {ref}, which is not in these manifests: give its file too")
    try:
        pod = pod_of(defaulted(found))
    except ValueError as error:
        raise OfflineError(str(error)) from error
    normal, reads = template(pod, rules), inputs(pod, rules)
    return WorkloadFacts(
        ref=ref,
        template=normal,
        digest=digest(normal),
        label=(pod["metadata"].get("labels") or {}).get(LABEL),
        inputs={r: _content(manifests, r, namespace, ref) for r in reads if not r.startswith(SECRETS)},
        secrets=tuple(r for r in reads if r.startswith(SECRETS)),
    )


def _content(manifests: Manifests, reference: str, namespace: str, ref: Workload) -> str:
    resource, name = reference.split("/", 1)
    found = manifests.find(_RESOURCES[resource], namespace, name)
    if found is None:
        raise OfflineError(f"{ref} reads {_RESOURCES[resource]} {name}, whose content is part of the subject and not in these manifests: give its file too")
    return content(found)
