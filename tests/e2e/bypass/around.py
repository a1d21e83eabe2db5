"""Attacks on what the gate reads: Clearances, the inputs of what was cleared, the label of the namespace, and the records of people's decisions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.e2e.bypass.afterwards import Who, admin, gone, mallory, operator, put
from tests.e2e.bypass.attempt import DRY, Attempt, deleted, edited
from tests.e2e.bypass.stage import API, FORGED, Stage, record
from tests.testbed.api import Api, Json
from tests.testbed.install import GOVERNED

PAST = "2020-01-01T00:00:00Z"

OPEN: Json = {"waiting": [{"audit": True}]}
Act = Callable[[Stage], Json]


def alice(stage: Stage) -> Api:
    return stage.as_("alice")


def robot(stage: Stage) -> Api:
    return stage.robot


def two_lines(stage: Stage) -> Api:
    return stage.strangers["two lines"]


def bearing(name: str, *groups: str) -> Who:
    """Somebody who holds the role, and bears a name or a group of the cluster's parts."""
    return lambda stage: stage.acting(name, "risk-managers", *groups)


def all_deleted(resource: str, group: str, stage: Stage, *, who: Who = mallory, namespace: str = "") -> Json:
    """Everything of a kind in one request."""
    return who(stage).request("DELETE", f"/{group}/namespaces/{namespace or stage.place}/{resource}", query=DRY)


def clearance(namespace: str, spec: Json) -> Json:
    return {"apiVersion": API, "kind": "Clearance", "metadata": {"name": "clearance", "namespace": namespace}, "spec": spec}


def clearance_patched(patch: Json, stage: Stage, *, who: Who = mallory) -> Json:
    return who(stage).patch("clearances", "clearance", patch, stage.place, dry_run=True)


def clearance_put(stage: Stage) -> Json:
    stored = stage.admin.get("clearances", "clearance", stage.place)
    stored["spec"]["deployments"] |= OPEN
    return stage.mallory.replace(stored, dry_run=True)


def clearance_deleted(stage: Stage, *, who: Who = mallory) -> Json:
    return deleted(who(stage), "clearances", "clearance", stage.place)


CLEARANCES: dict[str, Act] = {
    "an entry more": partial(clearance_patched, {"spec": {"deployments": OPEN}}),
    "an entry more, put as a whole": clearance_put,
    "an entry more, by server-side apply": lambda stage: stage.mallory.apply(clearance(stage.place, {"deployments": OPEN}), force=True, dry_run=True),
    "an entry more, by the cluster's administrator": partial(clearance_patched, {"spec": {"deployments": OPEN}}, who=admin),
    "inputs thawed": partial(clearance_patched, {"spec": {"inputs": []}}),
    "a label on it": partial(clearance_patched, {"metadata": {"labels": {"mine": "yes"}}}),
    "a finalizer on it": partial(clearance_patched, {"metadata": {"finalizers": ["mine/stays"]}}),
    "deleted": clearance_deleted,
    "deleted with all of its kind": partial(all_deleted, "clearances", f"apis/{API}"),
    "deleted by the operator's identity while the namespace is governed": partial(clearance_deleted, who=operator),
    "deleted where the namespace was taken out": lambda stage: deleted(stage.mallory, "clearances", "clearance", stage.left),
    "made beforehand, where nothing is governed yet": lambda stage: stage.mallory.create(clearance(stage.other, {"deployments": OPEN}), dry_run=True),
    "made beforehand by the cluster's administrator": lambda stage: stage.admin.create(clearance(stage.other, {"deployments": OPEN}), dry_run=True),
    "made beforehand by server-side apply": lambda stage: stage.mallory.apply(clearance(stage.other, {"deployments": OPEN}), dry_run=True),
}


def merged(resource: str, name: str, patch: Json, stage: Stage) -> Json:
    return stage.mallory.patch(resource, name, patch, stage.place, dry_run=True)


def merged_while_going(resource: str, name: str, patch: Json, stage: Stage) -> Json:
    return stage.mallory.patch(resource, name, patch, stage.going, dry_run=True)


def removed(resource: str, name: str, stage: Stage, *, who: Who = mallory) -> Json:
    return deleted(who(stage), resource, name, stage.place)


def made(kind: str, name: str, content: Json, stage: Stage) -> Json:
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": stage.place}}
    return stage.mallory.create(manifest | content, dry_run=True)


def config_put(stage: Stage) -> Json:
    return stage.mallory.replace(stage.admin.get("configmaps", "scoring", stage.place) | {"data": {"mode": "reckless"}}, dry_run=True)


def config_applied(stage: Stage) -> Json:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "scoring", "namespace": stage.place}, "data": {"mode": "reckless"}}
    return stage.mallory.apply(manifest, force=True, dry_run=True)


def template_made(stage: Stage) -> Json:
    claim = {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example"}}]}}}
    template = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": {"name": "absent", "namespace": stage.place}}
    return stage.mallory.create(template | {"spec": claim}, dry_run=True)


FROZEN: dict[str, Act] = {
    "another value in a ConfigMap": partial(merged, "configmaps", "scoring", {"data": {"mode": "reckless"}}),
    "another file in a ConfigMap": partial(merged, "configmaps", "scoring", {"data": {"model.yaml": "temperature: 2"}}),
    "a key more in a ConfigMap": partial(merged, "configmaps", "scoring", {"data": {"more": "1"}}),
    "a key less in a ConfigMap": partial(merged, "configmaps", "scoring", {"data": {"mode": None}}),
    "binary data in a ConfigMap": partial(merged, "configmaps", "scoring", {"binaryData": {"more": "YWxs"}}),
    "a ConfigMap put as a whole": config_put,
    "a ConfigMap by server-side apply": config_applied,
    "a ConfigMap that gives variables": partial(merged, "configmaps", "scoring-env", {"data": {"LD_PRELOAD": "/scratch/evil.so"}}),
    "a ConfigMap deleted": partial(removed, "configmaps", "scoring"),
    "a ConfigMap that gives variables deleted": partial(removed, "configmaps", "scoring-env"),
    "all ConfigMaps deleted": partial(all_deleted, "configmaps", "api/v1"),
    "an optional ConfigMap made": partial(made, "ConfigMap", "scoring-extra", {"data": {"LD_PRELOAD": "/scratch/evil.so"}}),
    "an optional Secret made": partial(made, "Secret", "scoring-extra-key", {"stringData": {"LD_PRELOAD": "/scratch/evil.so"}}),
    "a key more in a Secret": partial(merged, "secrets", "scoring-key", {"stringData": {"more": "1"}}),
    "a key less in a Secret": partial(merged, "secrets", "scoring-key", {"data": {"key": None}}),
    "a Secret deleted": partial(removed, "secrets", "scoring-key"),
    "all Secrets deleted": partial(all_deleted, "secrets", "api/v1"),
    "another value in a Secret that is frozen": partial(merged, "secrets", "claims-key", {"stringData": {"key": "second"}}),
    "a Secret that is frozen deleted": partial(removed, "secrets", "claims-key"),
    "a claim's template deleted": partial(removed, "resourceclaimtemplates", "one-gpu"),
    "all claims' templates deleted": partial(all_deleted, "resourceclaimtemplates", "apis/resource.k8s.io/v1"),
    "a claim's template that there was not": template_made,
    "a claim deleted": partial(removed, "resourceclaims", "mine"),
    "another value in a ConfigMap, while its namespace goes": partial(merged_while_going, "configmaps", "scoring", {"data": {"mode": "reckless"}}),
    "a key more in a Secret, while its namespace goes": partial(merged_while_going, "secrets", "scoring-key", {"stringData": {"more": "1"}}),
}


def namespace(patch: Json | list[Json], stage: Stage, *, who: Who = mallory, subresource: str | None = None) -> Json:
    return who(stage).patch("namespaces", stage.place, patch, subresource=subresource, dry_run=True)


def namespace_put(subresource: str | None, stage: Stage) -> Json:
    found = stage.admin.get("namespaces", stage.place)
    del found["metadata"]["labels"][GOVERNED]
    return stage.mallory.replace(found, subresource=subresource, dry_run=True)


def labelled(value: str | None) -> Json:
    return {"metadata": {"labels": {GOVERNED: value}}}


def govern(name: str, stage: Stage) -> Json:
    return stage.admin.patch("namespaces", name, labelled("true"), dry_run=True)


def new_namespace(stage: Stage) -> Json:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aiqms-new", "labels": {GOVERNED: "no"}}}
    return stage.admin.create(manifest, dry_run=True)


REMOVED = gone("/metadata/labels/aiqms.dev~1governed")
GOVERNED_LABEL: dict[str, Act] = {
    "taken off": partial(namespace, labelled(None)),
    "taken off by a JSON patch": partial(namespace, REMOVED),
    "taken off with all others": partial(namespace, put("/metadata/labels", {})),
    "taken off, put as a whole": partial(namespace_put, None),
    "taken off by the status": partial(namespace, labelled(None), subresource="status"),
    "taken off by the status, put as a whole": partial(namespace_put, "status"),
    "taken off by finalize": partial(namespace_put, "finalize"),
    "false": partial(namespace, labelled("false")),
    "empty": partial(namespace, labelled("")),
    "another value in a new namespace": new_namespace,
    "the namespace deleted, with its records": lambda stage: deleted(stage.mallory, "namespaces", stage.place),
    "put on kube-system, which would stop": partial(govern, "kube-system"),
    "put on the operator's own namespace": partial(govern, "aiqms-system"),
}
PAINTED: Json = {"approver": {"username": "bob", "groups": ["risk-managers"], "authorized": True}}


def decided(who: Who, role: str, stage: Stage, *, decision: str = "Approve", where: str = "", **spec: object) -> Json:
    """A record by somebody about the deployment that waits. Admission must have the last word on who that is."""
    manifest = record(stage, "waiting", role, decision, **spec)
    manifest["metadata"]["namespace"] = where or stage.place
    return who(stage).create(manifest, dry_run=True)


def elsewhere(stage: Stage) -> Json:
    """mallory may write records there, and nobody holds a role."""
    return decided(mallory, "risk-manager", stage, where=stage.other)


def withdrawal(who: Who, stage: Stage) -> Json:
    """Of bob's approval, as authorized."""
    return decided(who, "risk-manager", stage, decision="Withdraw", withdraws=stage.records["bob/scoring"], **PAINTED)


def metadata(changes: Json, stage: Stage) -> Json:
    """A change of the metadata of bob's approval."""
    return stage.mallory.patch("approvalrecords", stage.records["bob/scoring"], {"metadata": changes}, stage.place, dry_run=True)


def status(who: Who, stage: Stage) -> Json:
    said = {"status": {"counts": False, "reason": "Withdrawn", "message": "gone"}}
    return who(stage).patch("approvalrecords", stage.records["bob/scoring"], said, stage.place, subresource="status", dry_run=True)


def with_metadata(changes: Json, stage: Stage) -> Json:
    """alice's approval, made so that something else can take it away, or keep it."""
    manifest = record(stage, "waiting", "model-owner")
    return alice(stage).create(manifest | {"metadata": manifest["metadata"] | changes}, dry_run=True)


OWNER = {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "unused", "uid": "00000000-0000-0000-0000-000000000000"}]}
KEPT = {"finalizers": ["mine/stays"]}
RECORDS: dict[str, Act] = {
    "an approval without the role": partial(decided, mallory, "risk-manager"),
    "a rejection without the role": partial(decided, mallory, "risk-manager", decision="Reject"),
    "an approval in a role that nobody named": partial(decided, mallory, "janitor"),
    "an approval where mallory may write and nobody holds a role": elsewhere,
    "an approval in the role of others": partial(decided, alice, "risk-manager"),
    "an approval in the name of others": partial(decided, mallory, "risk-manager", **PAINTED),
    "an approval by a ServiceAccount that holds the role": partial(decided, robot, "risk-manager"),
    "an approval by a part of the cluster that holds the role": partial(decided, bearing("system:robot"), "risk-manager"),
    "an approval by a node that holds the role": partial(decided, bearing("node", "system:nodes"), "risk-manager"),
    "an approval by one of all ServiceAccounts": partial(decided, bearing("robot", "system:serviceaccounts"), "risk-manager"),
    "an approval by one of a namespace's ServiceAccounts": partial(decided, bearing("robot", "system:serviceaccounts:ci"), "risk-manager"),
    "an approval by whoever bears a name of two lines": partial(decided, two_lines, "risk-manager"),
    "an approval by a wildcard": partial(decided, admin, "risk-manager"),
    "a rejection by a wildcard": partial(decided, admin, "risk-manager", decision="Reject"),
    "an approval in the role of a wildcard": partial(decided, admin, "aiqms-nobody-holds-this"),
    "an approval that had expired before it was made": partial(decided, alice, "model-owner", expires=PAST),
    "an approval that expires after there is time": partial(decided, alice, "model-owner", expires="9999-12-31T23:59:59-01:00"),
    "an approval with an owner": partial(with_metadata, OWNER),
    "an approval with a finalizer": partial(with_metadata, KEPT),
    "an owner": partial(metadata, OWNER),
    "a finalizer": partial(metadata, KEPT),
    "a label": partial(metadata, {"labels": {"mine": "yes"}}),
    "an annotation": partial(metadata, {"annotations": {"mine": "yes"}}),
    "a status": partial(status, mallory),
    "a status by the cluster's administrator": partial(status, admin),
    "deleted": lambda stage: deleted(stage.mallory, "approvalrecords", stage.records["bob/scoring"], stage.place),
    "deleted by the cluster's administrator": lambda stage: deleted(stage.admin, "approvalrecords", stage.records["bob/scoring"], stage.place),
    "deleted by its author": lambda stage: deleted(stage.mallory, "approvalrecords", stage.records["alice/scoring"], stage.place),
    "deleted with all of its kind": partial(all_deleted, "approvalrecords", f"apis/{API}"),
}
# What admission lets pass and writes over: whoever tries wants to be believed.
BELIEVED: dict[str, Act] = {
    "an approval of alice's in bob's name": partial(decided, alice, "model-owner", **PAINTED),
    "a withdrawal without the role, as authorized": partial(withdrawal, mallory),
    "a withdrawal by a wildcard, as authorized": partial(withdrawal, admin),
}


FORGED_PARTS = ("username", "uid", "groups", "nobody")


def forged(who: Who, role: str, part: str, stage: Stage, *, decision: str = "Approve", **spec: object) -> Json:
    """A record of which a webhook of somebody else says who made it."""
    return who(stage).create(edited(record(stage, "waiting", role, decision, **spec), {f"metadata.labels[{FORGED}]": part}), dry_run=True)


def withdrawal_forged(stage: Stage) -> Json:
    return forged(mallory, "risk-manager", "authorized", stage, decision="Withdraw", withdraws=stage.records["bob/scoring"])


def is_believed(answer: Json) -> bool:
    """Whether the record says of its author what its author wrote."""
    written: Json = answer["spec"]["approver"]
    return bool(written["username"] == "bob" or (written["authorized"] and answer["spec"]["decision"] == "Withdraw"))


ATTACKS = (
    *(Attempt("Clearance", name, act) for name, act in CLEARANCES.items()),
    *(Attempt("frozen", name, act) for name, act in FROZEN.items()),
    *(Attempt("governed", name, act) for name, act in GOVERNED_LABEL.items()),
    *(Attempt("record", name, act) for name, act in RECORDS.items()),
    *(Attempt("record", f"an approval of alice's whose author's {part} a webhook wrote", partial(forged, alice, "model-owner", part)) for part in FORGED_PARTS),
    Attempt("record", "a withdrawal without the role, which a webhook says was authorized", withdrawal_forged),
    *(Attempt("record", name, act, through=is_believed) for name, act in BELIEVED.items()),
)
