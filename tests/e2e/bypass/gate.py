"""The gate's bindings, taken away and put back: what is tried meanwhile shows what each of them is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tests.e2e.bypass.accountable import ATTACKS as ACCOUNTABLE
from tests.e2e.bypass.afterwards import ATTACKS as AFTERWARDS
from tests.e2e.bypass.allowed import CONTROLS, OPEN_ASK
from tests.e2e.bypass.around import ATTACKS as AROUND
from tests.e2e.bypass.attempt import Attempt, Outcome, tried
from tests.e2e.bypass.released import ATTACKS as RELEASED
from tests.e2e.bypass.stage import Stage
from tests.e2e.bypass.tampering import ATTACKS as TAMPERING
from tests.e2e.bypass.unlabelled import ATTACKS as UNLABELLED
from tests.testbed.api import Api, Json
from tests.testbed.waiting import eventually

ATTACKS: tuple[Attempt, ...] = (*UNLABELLED, *TAMPERING, *AFTERWARDS, *RELEASED, *AROUND, *ACCOUNTABLE)
KINDS = {"validating": "ValidatingAdmissionPolicyBinding", "mutating": "MutatingAdmissionPolicyBinding"}
# For each binding one attempt that comes out otherwise without it: it tells whether the API server judges by the binding already, or still.
WITNESSES = {
    "mutating aiqms-authentic": "records: an approval by whoever holds the role",
    "mutating aiqms-edited": "authors: a deployment registered",
    "mutating aiqms-hold": "held, not refused: what is not cleared",
    "validating aiqms-advise": "told: a rollout that would take pods away",
    "validating aiqms-authentic": "record: an approval without the role",
    "validating aiqms-binding": "binding: a CPU pod",
    "validating aiqms-clearances": "Clearance: an entry more",
    "validating aiqms-cleared": "subject: its own subject by hand, another value",
    "validating aiqms-edited": "author: registered in another's name by a webhook",
    "validating aiqms-elsewhere": "told: a GPU pod where nothing is governed",
    "validating aiqms-frozen": "frozen: a ConfigMap deleted",
    "validating aiqms-governed": "governed: taken off",
    "validating aiqms-interactive": "session: exec",
    "validating aiqms-label": "label: taken away",
    "validating aiqms-records": "record: deleted",
    "validating aiqms-registered": "unlabelled: a GPU limit",
    "validating aiqms-registered-env": "hidden in a key: a ConfigMap",
    "validating aiqms-steady": "cleared: another image",
    "validating aiqms-stopped": "stopped: another pod of what was cleared",
}
BY_NAME = {str(attempt): attempt for attempt in (*ATTACKS, *CONTROLS)}


def bindings(admin: Api) -> dict[str, Json]:
    """The chart's bindings, as they were applied."""
    found = [(word, binding) for word, kind in KINDS.items() for binding in admin.list(kind) if binding["metadata"]["name"].startswith("aiqms-")]
    return {f"{word} {binding['metadata']['name']}": applied(binding) for word, binding in found}


def applied(binding: Json) -> Json:
    """Without what the server set; with Helm's marks, so that the release goes on owning it."""
    kept = {key: binding["metadata"][key] for key in ("name", "labels", "annotations") if key in binding["metadata"]}
    return {"apiVersion": binding["apiVersion"], "kind": binding["kind"], "metadata": kept, "spec": binding["spec"]}


def put_in_place(admin: Api, binding: Json) -> None:
    """Made or changed as Helm would: in its name as field manager, so that the next upgrade finds nothing in conflict."""
    admin.apply(binding, manager="helm", force=True)


@contextmanager
def without(stage: Stage, names: Sequence[str]) -> Iterator[None]:
    """These bindings are out of force inside, and in force again afterwards."""
    saved = bindings(stage.admin)
    for name in names:
        stage.admin.delete(saved[name]["kind"], saved[name]["metadata"]["name"])
    try:
        for name in names:
            eventually(partial(lacks, stage, name), within=30, what=f"{name} is out of force: {WITNESSES[name]}")
        yield
    finally:
        for name in names:
            put_in_place(stage.admin, saved[name])
        for name in names:
            eventually(partial(judges, stage, name), within=30, what=f"{name} is in force again: {WITNESSES[name]}")


def judges(stage: Stage, name: str) -> bool:
    """Whether the binding's witness comes out as it should: an attack does not get through, something legitimate does."""
    witness = BY_NAME[WITNESSES[name]]
    return (tried(witness, stage).outcome is Outcome.THROUGH) == (witness in CONTROLS)


def lacks(stage: Stage, name: str) -> bool:
    return not judges(stage, name)


@contextmanager
def denied_elsewhere(stage: Stage) -> Iterator[Attempt]:
    """An open ask for a device is refused in namespaces that are not governed, inside: chart value gate.elsewhere. The attempt is such an ask."""
    asked, warns = Attempt("elsewhere", "a GPU limit", OPEN_ASK), bindings(stage.admin)["validating aiqms-elsewhere"]
    put_in_place(stage.admin, warns | {"spec": warns["spec"] | {"validationActions": ["Deny"]}})
    try:
        eventually(lambda: tried(asked, stage).outcome is Outcome.REFUSED, within=30, what="an open ask for a device is refused")
        yield asked
    finally:
        put_in_place(stage.admin, warns)
        eventually(lambda: tried(asked, stage).outcome is Outcome.THROUGH, within=30, what="an open ask for a device is warned about")
