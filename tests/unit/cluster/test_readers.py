"""What is kept of an object that the operator watches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from aiqms.api.deployment import DeploymentStatus
from aiqms.api.record import RecordSpec, RecordStatus
from aiqms.api.values import Json
from aiqms.cluster.readers import deployment, moment, pod, record, workload
from aiqms.cluster.store import Store
from aiqms.gate.rules import DEFAULTS
from aiqms.policy.facts import Broken, Record
from tests.unit.policy.given import spec

NOTES: dict[str, tuple[Json, tuple[str, ...]]] = {
    "no annotation": ({}, ()),
    "other annotations": ({"annotations": {"team": "lending"}}, ()),
    "one person": ({"annotations": {"aiqms.dev/edited-by": "alice"}}, ("alice",)),
    "somebody unknown, then a person": ({"annotations": {"aiqms.dev/edited-by": "\nalice"}}, ("", "alice")),
    "somebody unknown": ({"annotations": {"aiqms.dev/edited-by": ""}}, ("",)),
}


@pytest.mark.parametrize(("metadata", "editors"), NOTES.values(), ids=NOTES.keys())
def test_who_edited_a_register_entry_is_read_from_the_note(metadata: Json, editors: tuple[str, ...]) -> None:
    assert deployment({"metadata": {"uid": "u", "generation": 1} | metadata, "spec": spec().dump()}).editors == editors


def version(of: Json, number: int, **metadata: object) -> Json:
    """The object as it is written anew: another resourceVersion, and what more of its metadata differs."""
    return of | {"metadata": of["metadata"] | {"resourceVersion": str(number)} | metadata}


METADATA: Json = {"name": "scoring", "namespace": "lending", "uid": "u", "generation": 1, "resourceVersion": "1", "creationTimestamp": "2027-01-01T00:00:00Z"}
SAYS: Json = {"deployment": "scoring", "subject": f"sha256:{'0' * 64}", "role": "model-owner", "decision": "Approve"}
RECORD: Json = {"metadata": METADATA, "spec": SAYS, "status": {"counts": True, "reason": "Counted", "message": "alice approves"}}
REGISTERED: Json = {"metadata": METADATA, "spec": spec().dump(), "status": {"phase": "Held", "model": "llm:1"}}
POD: Json = {"metadata": METADATA, "spec": {"containers": [{"name": "main", "image": "llm"}]}, "status": {"phase": "Running"}}
DEPLOYMENT: Json = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": METADATA, "spec": {"replicas": 1, "template": POD}}
MANAGED = [{"manager": "kubelet", "operation": "Update", "time": "2027-01-02T00:00:00Z"}]
BEAT = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": "2027-01-02T00:00:00Z"}]}

Of = tuple[Callable[[Json], object], Json]
OF: dict[str, Of] = {
    "record": (record, RECORD),
    "register entry": (deployment, REGISTERED),
    "pod": (partial(pod, rules=DEFAULTS), POD),
    "workload": (partial(workload, rules=DEFAULTS), DEPLOYMENT),
}
NOTHING: dict[str, tuple[Of, Json]] = {
    **{f"managed fields of a {name}": (of, version(of[1], 2, managedFields=MANAGED)) for name, of in OF.items()},
    "a condition of a pod that nobody reads": (OF["pod"], version(POD, 2) | {"status": BEAT}),
    "replicas of a workload": (OF["workload"], version(DEPLOYMENT, 2) | {"spec": DEPLOYMENT["spec"] | {"replicas": 2}}),
}
SOMETHING: dict[str, tuple[Of, Json]] = {
    "verdict on a record": (OF["record"], version(RECORD, 2) | {"status": RECORD["status"] | {"counts": False}}),
    "mark of a record": (OF["record"], version(RECORD, 2, labels={"aiqms.dev/decision": "Stop"})),
    "spec of a register entry": (OF["register entry"], version(REGISTERED, 2) | {"spec": REGISTERED["spec"] | {"lifecycle": "Retired"}}),
    "status of a register entry": (OF["register entry"], version(REGISTERED, 2) | {"status": {"phase": "Running", "model": "llm:1"}}),
    "label of a pod": (OF["pod"], version(POD, 2, labels={"app": "scoring"})),
    "template of a workload": (OF["workload"], version(DEPLOYMENT, 2) | {"spec": {"template": POD | {"spec": {"containers": []}}}}),
}


def told(of: Of, then: Json) -> list[str]:
    """Whom a store tells that an object it has is now like this."""
    heard: list[str] = []
    store = Store(of[0], lambda _, name: heard.append(name))
    store.put(of[1])
    store.put(then)
    return heard[1:]


@pytest.mark.parametrize(("of", "then"), NOTHING.values(), ids=NOTHING.keys())
def test_what_nobody_reads_changes_nothing(of: Of, then: Json) -> None:
    assert told(of, then) == []


@pytest.mark.parametrize(("of", "then"), SOMETHING.values(), ids=SOMETHING.keys())
def test_what_is_read_changes_something(of: Of, then: Json) -> None:
    assert told(of, then) == ["scoring"]


def test_a_record_is_read_from_its_text() -> None:
    found = record(RECORD)
    made = moment("2027-01-01T00:00:00Z")
    assert found.record == Record("scoring", made, RecordSpec.model_validate(SAYS), RecordStatus.model_validate(RECORD["status"]))
    assert (found.deployment, found.stored) == ("scoring", RecordStatus.model_validate(RECORD["status"]))


@pytest.mark.parametrize("status", [{}, {"counts": True, "reason": "Counted", "message": "", "unknown": 1}], ids=["of none", "of another version"])
def test_a_status_that_cannot_be_read_is_no_status_that_could_be_written(status: Json) -> None:
    assert isinstance(record(RECORD | {"status": status}).stored, Broken)
    entry = deployment(REGISTERED | {"status": {"phase": "Unheard"}})
    assert (isinstance(entry.stored, Broken), entry.status) == (True, DeploymentStatus())


def test_what_was_read_is_kept_until_it_is_shed() -> None:
    store = Store(record, lambda *_: None)
    store.put(RECORD)
    seen = store.get("lending", "scoring")
    assert seen is not None
    assert seen.record is seen.record
    store.shed("lending")
    anew = store.get("lending", "scoring")
    assert anew is not None
    assert (anew == seen, anew.record == seen.record, anew.record is seen.record) == (True, True, False)


def test_a_record_that_cannot_be_read_says_which_field() -> None:
    found = record(RECORD | {"spec": SAYS | {"decision": "Frobnicate"}})
    assert found.deployment == "scoring"
    assert isinstance(found.record, Broken)
    assert found.record.message.startswith("spec.decision: ")
