"""The CRDs, generated from the models: structural schemas with a bound on every string, list and map. `python -m aiqms.api.crds crds/` writes them."""

from __future__ import annotations

import pathlib
import sys
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel

from aiqms.api.clearance import ClearanceSpec
from aiqms.api.deployment import DeploymentSpec, DeploymentStatus
from aiqms.api.procedure import JUDGED, ProcedureSpec
from aiqms.api.record import RecordSpec, RecordStatus
from aiqms.api.selectors import KEYED, VALUED
from aiqms.api.values import GROUP, VERSION, Json

_DROPPED = ("title", "const", "additionalProperties", "patternProperties", "propertyNames")


@dataclass(frozen=True)
class Kind:
    """What a CRD needs beside its models. columns: (name, type, JSONPath, priority); rules: (CEL, message) at the object's root; spec_rules: at spec."""

    kind: str
    plural: str
    short: str | None
    scope: str
    spec: type[BaseModel]
    status: type[BaseModel] | None = None
    columns: tuple[tuple[str, str, str, int], ...] = ()
    rules: tuple[tuple[str, str], ...] = ()
    spec_rules: tuple[tuple[str, str], ...] = ()
    under: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # rules at a dotted path below spec


def _same(*fields: str) -> str:
    """CEL: none of these fields differs from before. By has(), for the API server's cost estimate gives optional values no bound."""
    return " && ".join(f"has(self.{f}) == has(oldSelf.{f}) && (!has(self.{f}) || self.{f} == oldSelf.{f})" for f in fields)


def _selectors(*paths: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """The rules of the label selectors at these paths."""
    return {f"{path}.{part}": (rule,) for path in paths for part, rule in (("matchLabels", KEYED), ("matchExpressions[]", VALUED))}


PROCEDURE = Kind(
    kind="QMSProcedure",
    plural="qmsprocedures",
    short="qmsp",
    scope="Cluster",
    spec=ProcedureSpec,
    columns=(
        ("Title", "string", ".spec.title", 0),
        ("Revision", "integer", ".spec.revision", 0),
        ("Enforcement", "string", ".spec.enforcement", 0),
        ("Owner", "string", ".spec.owner", 0),
        ("Review by", "string", ".spec.reviewBy", 0),
        ("Document", "string", ".spec.document.uri", 1),
        ("Digest", "string", ".spec.document.digest", 1),
    ),
    spec_rules=(
        ("self.revision >= oldSelf.revision", "revision only rises: use a higher number than the stored one"),
        (
            f"self.revision > oldSelf.revision || ({_same(*JUDGED)})",
            f"{', '.join(JUDGED[:-1])} and {JUDGED[-1]} change only with a higher revision (see approvals.since)",
        ),
        ("!has(self.approvals.since) || self.approvals.since <= self.revision", "approvals.since is above revision: name this revision or an older one"),
    ),
    under={
        "onLapse": (("!has(self.grace) || self.action == 'Hold'", "grace belongs to action Hold: with Stop the pods stop at once, leave grace out"),),
        **_selectors("appliesTo.namespaceSelector", "access.monitoring[].podSelector"),
    },
)

DEPLOYMENT = Kind(
    kind="AIModelDeployment",
    plural="aimodeldeployments",
    short="aimd",
    scope="Namespaced",
    spec=DeploymentSpec,
    status=DeploymentStatus,
    columns=(
        ("Risk", "string", ".spec.riskClass", 0),
        ("Model", "string", ".status.model", 0),
        ("Phase", "string", ".status.phase", 0),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
        ("Approved", "string", '.status.conditions[?(@.type=="Approved")].status', 0),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0),
        ("Held", "integer", ".status.pods.held", 0),
        ("Running", "integer", ".status.pods.running", 0),
        ("Warn", "integer", ".status.summary.warn", 1),
        ("Owner", "string", ".spec.owner.name", 1),
        ("Contact", "string", ".spec.owner.contact", 1),
        ("Subject", "string", ".status.subject.fingerprint", 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    ),
    rules=(("size(self.metadata.name) <= 63", "the name is the value of a pod label: at most 63 characters"),),
    under={
        "workloads[]": (
            (
                "self.apiVersion == (self.kind in ['Job', 'CronJob'] ? 'batch/v1' : (self.kind == 'Pod' ? 'v1' : 'apps/v1'))",
                "apiVersion does not fit kind: apps/v1 for Deployment, StatefulSet, DaemonSet and ReplicaSet, batch/v1 for Job and CronJob, v1 for Pod",
            ),
        ),
        "logging.streams[].sink": (
            (
                "[has(self.victoriaLogs), has(self.s3), has(self.loki), has(self.persistentVolumeClaim), has(self.other)].filter(given, given).size() == 1",
                "a sink is one of victoriaLogs, s3, loki, persistentVolumeClaim and other: give one of them",
            ),
        ),
        "access.egress[]": (
            ("has(self.namespace) != has(self.cidr)", "a destination is pods by their namespace, or addresses by cidr: give one of the two"),
            ("!has(self.podSelector) || has(self.namespace)", "podSelector chooses among the pods of a namespace: leave it out beside cidr"),
            ("!has(self.cidr) || isCIDR(self.cidr)", "cidr is no range of addresses: write one such as 10.20.0.0/16"),
        ),
        **_selectors("access.clients[].podSelector", "access.egress[].podSelector"),
    },
)

RECORD = Kind(
    kind="ApprovalRecord",
    plural="approvalrecords",
    short="apr",
    scope="Namespaced",
    spec=RecordSpec,
    status=RecordStatus,
    columns=(
        ("Deployment", "string", ".spec.deployment", 0),
        ("Decision", "string", ".spec.decision", 0),
        ("Role", "string", ".spec.role", 0),
        ("Who", "string", ".spec.approver.username", 0),
        ("Counts", "boolean", ".status.counts", 0),
        ("Reason", "string", ".status.reason", 0),
        ("Groups", "string", ".spec.approver.groups", 1),
        ("UID", "string", ".spec.approver.uid", 1),
        ("Expires", "string", ".spec.expires", 1),
        ("Subject", "string", ".spec.subject", 1),
        ("List", "string", ".spec.list", 1),
        ("Rationale", "string", ".spec.rationale", 1),
        ("Message", "string", ".status.message", 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    ),
    spec_rules=(
        ("self == oldSelf", "a record is immutable: make another one, or take this one back with decision Withdraw"),
        ("has(self.withdraws) == (self.decision == 'Withdraw')", "withdraws names the record that decision Withdraw takes back: give both or neither"),
        ("!has(self.expires) || self.decision in ['Approve', 'Emergency']", "only Approve and Emergency expire: leave expires out"),
        (
            "has(self.subject) || self.decision in ['Stop', 'Resume', 'ReviewAccess']",
            "subject is missing: name the fingerprint that you decide about (kubectl qms explain shows it)",
        ),
        ("!has(self.reviews) || self.decision in ['Approve', 'Reject']", "an Emergency is reviewed by decision Approve or Reject: leave reviews out"),
        (
            "has(self.list) == (self.decision == 'ReviewAccess')",
            "list is the digest of the list that decision ReviewAccess confirms (kubectl qms review-access): give both or neither",
        ),
        (
            "self.decision != 'Emergency' || (has(self.rationale) && size(self.rationale) > 0)",
            "an Emergency needs a rationale: say why nobody could approve in time",
        ),
    ),
)

CLEARANCE = Kind(
    kind="Clearance",
    plural="clearances",
    short=None,
    scope="Namespaced",
    spec=ClearanceSpec,
    rules=(
        ("self.metadata.name == 'clearance'", "the one Clearance of a namespace is named clearance"),
        ("!has(oldSelf.spec.epoch) || (has(self.spec.epoch) && self.spec.epoch >= oldSelf.spec.epoch)", "written by a leader that has been replaced"),
    ),
)

KINDS = (PROCEDURE, DEPLOYMENT, RECORD, CLEARANCE)


def crd(kind: Kind) -> Json:
    """The CustomResourceDefinition of one kind, as it is applied."""
    names = {"plural": kind.plural, "singular": kind.kind.lower(), "kind": kind.kind, "listKind": f"{kind.kind}List", "categories": ["qms"]}
    version: Json = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": _root(kind)}}
    if kind.status:
        version["subresources"] = {"status": {}}
    if kind.columns:
        version["additionalPrinterColumns"] = [_column(*c) for c in kind.columns]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names | ({"shortNames": [kind.short]} if kind.short else {}), "versions": [version]},
    }


def _column(name: str, type_: str, path: str, priority: int) -> Json:
    return {"name": name, "type": type_, "jsonPath": path} | ({"priority": priority} if priority else {})


def _root(kind: Kind) -> Json:
    spec = structural(kind.spec)
    _with_rules(spec, kind.spec_rules)
    for path, rules in kind.under.items():
        _with_rules(_below(spec, path), rules)
    root: Json = {"type": "object", "description": (kind.spec.__doc__ or "").split("\n")[0], "required": ["spec"], "properties": {"spec": spec}}
    if kind.status:
        root["properties"]["status"] = structural(kind.status)
    _with_rules(root, kind.rules)
    return root


def _below(schema: Json, path: str) -> Json:
    for step in path.split("."):
        schema = schema["properties"][step.removesuffix("[]")]
        schema = schema["items"] if step.endswith("[]") else schema
    return schema


def _with_rules(schema: Json, rules: tuple[tuple[str, str], ...]) -> None:
    if rules:
        schema["x-kubernetes-validations"] = [{"rule": rule, "message": message} for rule, message in rules]


def structural(model: type[BaseModel]) -> Json:
    """The model's JSON schema as Kubernetes wants it: no references, no null, no titles."""
    schema = model.model_json_schema(by_alias=True)
    result: Json = _inlined(schema, schema.get("$defs", {}))
    return result


def _inlined(schema: Any, defs: Json) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, defs) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(defs[schema["$ref"].rsplit("/", 1)[1]] | {k: v for k, v in schema.items() if k != "$ref"}, defs)
    if "anyOf" in schema:  # Optional: absent in Kubernetes, never null
        (only,) = [s for s in schema["anyOf"] if s != {"type": "null"}]
        return _inlined({k: v for k, v in schema.items() if k not in ("anyOf", "default")} | only, defs)
    return _object(schema, defs)


def _object(schema: Json, defs: Json) -> Json:
    kept = {k: v for k, v in schema.items() if k not in (*_DROPPED, "$defs", "properties", "items")}
    if "const" in schema:  # which a structural schema has not
        kept["enum"] = [schema["const"]]
    if not kept.get("default") or isinstance(kept["default"], dict):
        kept.pop("default", None)  # an absent value means the same; the models know it
    if "const" in schema:
        kept["enum"] = [schema["const"]]  # a structural schema has no const
    if "properties" in schema:
        kept["properties"] = {k: _inlined(v, defs) for k, v in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _inlined(schema["items"], defs)
    if isinstance(schema.get("additionalProperties"), dict):
        kept["additionalProperties"] = _inlined(schema["additionalProperties"], defs)
    elif "patternProperties" in schema:  # a structural schema bounds a map's values, not its keys
        (value,) = schema["patternProperties"].values()
        kept["additionalProperties"] = _inlined(value, defs)
    elif schema.get("additionalProperties") is True:
        kept["x-kubernetes-preserve-unknown-fields"] = True
    if kept.get("type") == "integer" and kept.get("maximum", 0) > 2**31:
        kept["format"] = "int64"
    if "description" in kept:
        kept["description"] = kept["description"].split("\n\n")[0].replace("\n", " ")
    return kept


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def rendered(kind: Kind) -> str:
    """The committed YAML of one CRD."""
    return "# generated by make generate from operator/aiqms/api\n" + yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=160, allow_unicode=True)


def main(folder: str) -> None:
    """Writes one file a kind."""
    for kind in KINDS:
        (pathlib.Path(folder) / f"{kind.plural}.yaml").write_text(rendered(kind))


if __name__ == "__main__":
    main(sys.argv[1])
