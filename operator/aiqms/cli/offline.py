"""Offline: the subject of a deployment from manifests alone, so that a change can be approved before it is applied; added up by the cluster's own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from aiqms.api.crds import DEPLOYMENT, PROCEDURE
from aiqms.api.deployment import DeploymentSpec, Workload
from aiqms.api.procedure import ProcedureSpec
from aiqms.api.values import Json
from aiqms.cli.manifests import OfflineError
from aiqms.cluster.inputs import SECRETS, content
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs, template
from aiqms.gate.rules import DEFAULTS, LABEL, Rules
from aiqms.gate.workload import pod_of
from aiqms.policy.digests import digest
from aiqms.policy.facts import ABSENT, Procedure, WorkloadFacts
from aiqms.policy.procedures import applies
from aiqms.policy.subject import Subject, subject

RESOURCES = {"configmaps": "ConfigMap", "resourceclaims": "ResourceClaim", "resourceclaimtemplates": "ResourceClaimTemplate"}
MALFORMED = (AttributeError, KeyError, TypeError)  # what reading a pod template of another form than Kubernetes' ends in
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Manifests:
    """Objects as they are applied, and the namespace of those that name none. absent: kind, namespace and name of what is known not to be there."""

    objects: Sequence[Json]
    namespace: str = "default"
    absent: frozenset[tuple[str, str, str]] = frozenset()

    def find(self, kind: str, namespace: str, name: str) -> Json | None:
        """The last object of that identity, as apply would leave it."""
        found = [o for o in self.of_kind(kind) if o["metadata"].get("name") == name and self.place(o) == namespace]
        return found[-1] if found else None

    def place(self, obj: Json) -> str:
        """The object's namespace."""
        return str(obj["metadata"].get("namespace") or self.namespace)

    def of_kind(self, kind: str) -> list[Json]:
        """All objects of a kind."""
        return [o for o in self.objects if o["kind"] == kind]


def rules(values: Path | None) -> Rules:
    """What the gate compares: by default as the chart installs it, else as its values say. Raises OfflineError for values that are none."""
    if values is None:
        return DEFAULTS
    gate = _gate(values)
    lists = {
        "plain_resources": "plainResources",
        "device_env": "deviceEnv",
        "plain_runtimes": "plainRuntimes",
        "exempt_namespaces": "exemptNamespaces",
        "published_config_maps": "publishedConfigMaps",
    }
    given = {name: tuple(gate[key]) for name, key in lists.items() if isinstance(gate.get(key), list)}
    return replace(DEFAULTS, **given)  # type: ignore[arg-type]


def _gate(values: Path) -> Json:
    try:
        found = yaml.safe_load(values.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OfflineError(f"{values}: {error}") from error
    gate = (found.get("gate") or {}) if isinstance(found, dict) else found
    if not isinstance(gate, dict):
        raise OfflineError(f"{values} is no file of chart values: give the one that helm gets")
    return gate


def subjects(manifests: Manifests, rules: Rules) -> dict[tuple[str, str], Subject]:
    """The subject of each AIModelDeployment, by namespace and name. Raises OfflineError where the manifests do not tell."""
    found = manifests.of_kind(DEPLOYMENT.kind)
    if not found:
        raise OfflineError(f"no {DEPLOYMENT.kind} in these manifests: give the file of the register entry too")
    return {(manifests.place(o), o["metadata"]["name"]): one(manifests, o, rules) for o in found}


def one(manifests: Manifests, deployment: Json, rules: Rules) -> Subject:
    """The subject of one AIModelDeployment. Raises OfflineError where the manifests do not tell."""
    namespace, name = manifests.place(deployment), deployment["metadata"]["name"]
    spec, procedures = registered(manifests, deployment)
    workloads = [_workload(manifests, ref, namespace, name, rules) for ref in spec.workloads]
    made = subject(spec, workloads=workloads, procedures=procedures)
    assert made, "every workload was found"
    return made


def registered(manifests: Manifests, deployment: Json) -> tuple[DeploymentSpec, list[Procedure]]:
    """A register entry, and the procedures that apply to it. Raises OfflineError where the manifests do not tell."""
    spec = _parsed(DeploymentSpec, deployment, f"{DEPLOYMENT.kind} {deployment['metadata']['name']}")
    found = map(_procedure, manifests.of_kind(PROCEDURE.kind))
    return spec, [p for p in found if _applies(manifests, p, spec, manifests.place(deployment))]


def _parsed(model: type[M], obj: Json, what: str) -> M:
    try:
        return model.model_validate(obj.get("spec") or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise OfflineError(f"{what}: spec.{'.'.join(map(str, first['loc']))}: {first['msg']} (kubectl qms lint says more)") from error


def _procedure(obj: Json) -> Procedure:
    return Procedure(obj["metadata"]["name"], _parsed(ProcedureSpec, obj, f"{PROCEDURE.kind} {obj['metadata']['name']}"))


def _applies(manifests: Manifests, procedure: Procedure, spec: DeploymentSpec, namespace: str) -> bool:
    to = procedure.spec.applies_to
    known = namespace_labels(manifests.objects, namespace)
    if to.namespace_selector and known is None:
        raise OfflineError(f"{PROCEDURE.kind} {procedure.name} selects namespaces by label: give the manifest of Namespace {namespace} too")
    return applies(to, spec=spec, namespace=namespace, labels={"kubernetes.io/metadata.name": namespace} | (known or {}))


def namespace_labels(objects: Sequence[Json], namespace: str) -> dict[str, str] | None:
    """Of the Namespace's manifest; None where it is not among them."""
    found = [o for o in objects if o["kind"] == "Namespace" and o["metadata"].get("name") == namespace]
    return dict(found[-1]["metadata"].get("labels") or {}) if found else None


def _workload(manifests: Manifests, ref: Workload, namespace: str, name: str, rules: Rules) -> WorkloadFacts:
    found = manifests.find(ref.kind, namespace, ref.name)
    if found is None:
        raise OfflineError(f"{DEPLOYMENT.kind} {name}: spec.workloads names {ref}, which is not in these manifests: give its file too")
    try:
        pod = pod_of(defaulted(found))
        normal, reads = template(pod, rules), inputs(pod, rules)
    except ValueError as error:
        raise OfflineError(str(error)) from error
    except MALFORMED as error:
        raise OfflineError(f"{ref}: its pod template is none that Kubernetes would take (kubectl apply --dry-run=server says where)") from error
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
    if (RESOURCES[resource], namespace, name) in manifests.absent:
        return ABSENT
    found = manifests.find(RESOURCES[resource], namespace, name)
    if found is None:
        raise OfflineError(f"{ref} reads {RESOURCES[resource]} {name}, whose content is part of the subject and not in these manifests: give its file too")
    return content(found)
