"""Attacks on what keeps people accountable: on a Stop that stands, on who may stop, resume and break the glass, and on the note of who edited a deployment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.e2e.bypass.afterwards import Patch, Who, admin, gone, mallory, note, put, tag
from tests.e2e.bypass.around import Act, alice, decided, robot
from tests.e2e.bypass.attempt import Attempt, edited
from tests.e2e.bypass.stage import API, DECISION, EDITOR, FORGED, MODEL, STOPPED, Stage, record
from tests.testbed.api import Json

OTHER = f"sha256:{'5' * 64}"
MARK = "/metadata/labels/aiqms.dev~1decision"
NOTE = "/metadata/annotations/aiqms.dev~1edited-by"
NEW_MODEL: Json = {"spec": {"model": {"digest": OTHER}}}
NEW_PURPOSE: list[Json] = put("/spec/intendedPurpose", "Score everybody")


def like_stopped(edits: Json, stage: Stage) -> Json:
    """A pod of the stopped deployment, whose clearance is live."""
    return stage.mallory.create(edited(stage.like(STOPPED), edits), dry_run=True)


def like_stopped_by(who: Who, stage: Stage) -> Json:
    return who(stage).create(stage.like(STOPPED), dry_run=True)


NEW_PODS: dict[str, Act] = {
    "another pod of what was cleared": partial(like_stopped, {}),
    "another pod, by the cluster's administrator": partial(like_stopped_by, admin),
    "another pod that says that it was cleared": lambda stage: like_stopped({"metadata.annotations[aiqms.dev/subject]": stage.fingerprints[STOPPED]}, stage),
    "another pod that nobody controls": partial(like_stopped, {"metadata.ownerReferences": None}),
    "another pod that bears a Stop's mark itself": partial(like_stopped, {f"metadata.labels[{DECISION}]": "Stop"}),
    "another pod behind the gate of somebody else": partial(like_stopped, {"spec.schedulingGates.+": {"name": "kueue.x-k8s.io/admission"}}),
}


def marked(of: str, patch: Patch, stage: Stage, *, who: Who = mallory) -> Json:
    """The labels of a record, patched."""
    return who(stage).patch("approvalrecords", stage.records[of], patch, stage.place, dry_run=True)


def mark_put(stage: Stage) -> Json:
    stop = stage.admin.get("approvalrecords", stage.records["stop"], stage.place)
    return stage.mallory.replace(edited(stop, {f"metadata.labels[{DECISION}]": None}), dry_run=True)


def mark_applied(stage: Stage) -> Json:
    meta = {"name": stage.records["stop"], "namespace": stage.place, "labels": {DECISION: "Lifted"}}
    return stage.mallory.apply({"apiVersion": API, "kind": "ApprovalRecord", "metadata": meta}, force=True, dry_run=True)


def made_marked(role: str, decision: str, mark: str, stage: Stage, *, who: Who = alice, **spec: object) -> Json:
    """A decision whose author writes the mark of a Stop."""
    manifest = record(stage, "waiting", role, decision, **spec)
    return who(stage).create(edited(manifest, {f"metadata.labels[{DECISION}]": mark}), dry_run=True)


MARKS: dict[str, Act] = {
    "the mark taken off": partial(marked, "stop", tag(DECISION, None)),
    "the mark taken off by a JSON patch": partial(marked, "stop", gone(MARK)),
    "the mark taken off with all labels": partial(marked, "stop", gone("/metadata/labels")),
    "the mark taken off, put as a whole": mark_put,
    "another mark": partial(marked, "stop", tag(DECISION, "Resume")),
    "another mark by server-side apply": mark_applied,
    "the mark taken off by the cluster's administrator": partial(marked, "stop", tag(DECISION, None), who=admin),
    "an approval marked as a Stop": partial(marked, "bob/scoring", tag(DECISION, "Stop")),
    "an approval marked as a Stop by the cluster's administrator": partial(marked, "bob/scoring", tag(DECISION, "Stop"), who=admin),
    "an approval made with the mark of a Stop": partial(made_marked, "model-owner", "Approve", "Stop"),
    "a rejection made with the mark of a Stop": partial(made_marked, "model-owner", "Reject", "Stop"),
    "a Resume made with the mark of a Stop": partial(made_marked, "model-owner", "Resume", "Stop"),
    "an approval made with another mark": partial(made_marked, "model-owner", "Approve", "Lifted"),
    "a Stop without the role": partial(decided, mallory, "risk-manager", decision="Stop"),
    "a Stop in the role of others": partial(decided, alice, "risk-manager", decision="Stop"),
    "a Stop by a ServiceAccount that holds the role": partial(decided, robot, "risk-manager", decision="Stop"),
    "a Resume without the role": partial(decided, mallory, "risk-manager", decision="Resume"),
    "a Resume in the role of others": partial(decided, alice, "risk-manager", decision="Resume"),
    "a Resume by a wildcard": partial(decided, admin, "risk-manager", decision="Resume"),
    "an Emergency without the role": partial(decided, mallory, "risk-manager", decision="Emergency"),
    "an Emergency by a ServiceAccount that holds the role": partial(decided, robot, "risk-manager", decision="Emergency"),
    "an Emergency by a wildcard": partial(decided, admin, "risk-manager", decision="Emergency"),
    "a review by a wildcard": partial(decided, admin, "risk-manager", reviews="another"),
}  # fmt: skip


def is_unmarked(answer: Json) -> bool:
    """Whether the Stop would stand for nothing."""
    return bool(answer["metadata"].get("labels", {}).get(DECISION) != "Stop")


UNMARKED: dict[str, Act] = {
    "a Stop made with another mark": partial(made_marked, "model-owner", "Stop", "Lifted"),
    "a Stop made with an empty mark": partial(made_marked, "model-owner", "Stop", ""),
}


def register_patched(patch: Patch, stage: Stage, *, who: Who = mallory) -> Json:
    return who(stage).patch("aimd", "scoring", patch, stage.place, dry_run=True)


def register_put(edits: Json, stage: Stage) -> Json:
    return stage.mallory.replace(edited(stage.admin.get("aimd", "scoring", stage.place), edits), dry_run=True)


def entry(stage: Stage, **metadata: Json) -> Json:
    """A deployment not registered yet."""
    said = {"intendedPurpose": "Search", "riskClass": "Minimal", "role": "Deployer", "owner": {"name": "Search", "contact": "search@bank.example"}}
    model = {"name": "embed", "version": "1", "uri": "oci://registry.example/embed", "digest": MODEL}
    workloads = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "search"}]
    meta = {"name": "search", "namespace": stage.place} | metadata
    return {"apiVersion": API, "kind": "AIModelDeployment", "metadata": meta, "spec": said | {"model": model, "workloads": workloads}}


def registered(stage: Stage, *, who: Who = mallory, **metadata: Json) -> Json:
    return who(stage).create(entry(stage, **metadata), dry_run=True)


def register_applied(name: str, stage: Stage) -> Json:
    """By server-side apply, with somebody else's name in the note."""
    manifest = edited(entry(stage, annotations={EDITOR: "alice"}), {"metadata.name": name})
    return stage.mallory.apply(manifest, force=True, dry_run=True)


ALICES: Json = {EDITOR: "alice"}
# By mallory, who edits: the note has to say so.
EDITED: dict[str, Act] = {
    "registered in another's name": partial(registered, annotations=ALICES),
    "registered in nobody's name": partial(registered, annotations={EDITOR: ""}),
    "registered in another's name by server-side apply": partial(register_applied, "search"),
    "changed in silence": partial(register_patched, NEW_MODEL),
    "changed in another's name": partial(register_patched, NEW_MODEL | note(EDITOR, "alice")),
    "changed in another's name by a JSON patch": partial(register_patched, [*NEW_PURPOSE, *put(NOTE, "alice")]),
    "changed in another's name, put as a whole": partial(register_put, {"spec.model.digest": OTHER, f"metadata.annotations[{EDITOR}]": "alice"}),
    "changed in another's name by server-side apply": partial(register_applied, "scoring"),
    "changed, and the note removed": partial(register_patched, NEW_MODEL | note(EDITOR, None)),
    "changed, and all annotations removed": partial(register_patched, [*NEW_PURPOSE, *gone("/metadata/annotations")]),
}
OWNED: Json = {"spec": {"owner": {"contact": "mallory@bank.example"}}}
# The note of who edited before, by mallory, who edits what nobody approves.
JOINED: dict[str, Act] = {
    "changed, with who changed it before left out": partial(register_patched, OWNED | note(EDITOR, "mallory")),
    "changed by a JSON patch, with who changed it before left out": partial(
        register_patched, [{"op": "replace", "path": "/spec/owner/contact", "value": "mallory@bank.example"}, *put(NOTE, "mallory")]
    ),
    "changed, with the note removed": partial(register_patched, OWNED | note(EDITOR, None)),
}
# The note of who edited, by somebody who edits nothing.
NOTED: dict[str, Act] = {
    "the note in another's name": partial(register_patched, note(EDITOR, "alice")),
    "the note in one's own name": partial(register_patched, note(EDITOR, "mallory")),
    "the note in another's name by the cluster's administrator": partial(register_patched, note(EDITOR, "alice"), who=admin),
    "the note removed": partial(register_patched, note(EDITOR, None)),
    "the note removed by a JSON patch": partial(register_patched, gone(NOTE)),
    "all annotations removed": partial(register_patched, gone("/metadata/annotations")),
    "the note removed, put as a whole": partial(register_put, {f"metadata.annotations[{EDITOR}]": None}),
}
# By way of a webhook of somebody else, which mutates after the gate's policies did.
BEHIND: dict[str, Act] = {
    "registered in another's name by a webhook": partial(registered, labels={FORGED: "alice"}),
    "changed in another's name by a webhook": partial(register_patched, NEW_MODEL | tag(FORGED, "alice")),
    "the note in another's name by a webhook": partial(register_patched, tag(FORGED, "alice")),
}


def said_approved(who: Who, stage: Stage) -> Json:
    """What would begin a new note with the next change."""
    return who(stage).patch("aimd", "scoring", {"status": {"conditions": [APPROVED]}}, stage.place, subresource="status", dry_run=True)


APPROVED: Json = {"type": "Approved", "status": "True", "reason": "Approved", "message": "so they say", "lastTransitionTime": "2026-01-01T00:00:00Z"}
STATUS: dict[str, Act] = {
    "a status that says approved": partial(said_approved, mallory),
    "a status that says approved by the cluster's administrator": partial(said_approved, admin),
}


def noted(answer: Json) -> list[str]:
    """Who edited, as the note says."""
    return str(answer["metadata"].get("annotations", {}).get(EDITOR, "")).split("\n")


def is_not_noted(by: str) -> Callable[[Json], bool]:
    """Whether the note leaves this person out, or names nobody or alice, who edited nothing."""
    return lambda answer: by not in noted(answer) or not {"", "alice"}.isdisjoint(noted(answer))


def is_noted(by: str) -> Callable[[Json], bool]:
    return lambda answer: by in noted(answer)


ATTACKS = (
    *(Attempt("stopped", name, act) for name, act in NEW_PODS.items()),
    *(Attempt("stop", name, act) for name, act in MARKS.items()),
    *(Attempt("stop", name, act, through=is_unmarked) for name, act in UNMARKED.items()),
    *(Attempt("author", name, act, through=is_not_noted("mallory")) for name, act in EDITED.items()),
    *(Attempt("author", name, act, through=is_not_noted("admin")) for name, act in NOTED.items()),
    *(Attempt("author", name, act, through=is_not_noted("admin")) for name, act in JOINED.items()),
    *(Attempt("author", name, act) for name, act in STATUS.items()),
    *(Attempt("author", name, act, through=is_noted("alice")) for name, act in BEHIND.items()),
)
