"""The decision at its limits: many records, many procedures, long names; and what admission is told to freeze."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from aiqms.api.clearance import Entry
from aiqms.api.deployment import DeploymentStatus
from aiqms.api.values import FOREVER
from aiqms.policy.clearing import inputs_of
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, Record
from tests.unit.policy.given import HEX, after, approve, change, day, fed, given, pod, procedure, record, spec, template, withdraw, workload
from tests.unit.policy.people import asked, stop, stops

MANY = [procedure(f"p{n}", {f"role-{r}": 16 for r in range(16)}) for n in range(40)]
LIMITS: dict[str, Input] = {
    "40 procedures with 16 roles of 16 people": given(procedures=MANY),
    "40 procedures that cleared something before they were so many": change(
        fed(given(approve("alice")), decide(given(approve("alice")), day(1))), procedures=[*MANY, procedure()]
    ),
    "40 procedures that apply once Audit ends": change(
        after(given(procedures=[procedure(audit=True)], pods=[pod("a")]), day(1)), procedures=[procedure(f"p{n}") for n in range(40)]
    ),
    "names as long as can be": given(
        approve("x" * 1024, "r" * 63, name="n" * 253),
        approve("x" * 1024, "other", name="m" * 253),
        of=spec(model={"name": "m" * 253, "version": "v" * 63, "uri": "oci:" + "u" * 2044, "digest": HEX["1"]}),
        procedures=[procedure("p" * 253, {"r" * 63: 2}, owner="o" * 253, reviewBy="2027-01-01T00:00:00Z")],
        workloads=[workload(ref=f"StatefulSet/{'w' * 253}", label="l" * 63, model=HEX["2"]), workload(None, ref=f"ReplicaSet/{'w' * 253}")],
    ),
    "a role that none of many procedures names": given(
        approve("alice", "unknown"), procedures=[procedure(f"p{p}", {f"{p}{n:02}{'r' * 60}": 1 for n in range(16)}) for p in range(5)]
    ),
    "times at the end of time": given(approve("alice", expires="9999-12-31T23:59:59-12:00"), procedures=[procedure(valid_for="99999d", lapse="Hold 99999d")]),
    "a Stop that many procedures with long names have to lift": asked(stop(), procedures=[stops(f"{n:02}{'p' * 251}") for n in range(20)]),
    "300 objects that pods read": given(approve("alice"), workloads=[workload(inputs={f"configmaps/c{n}": HEX["5"] for n in range(300)})]),
}  # fmt: skip


@pytest.mark.parametrize("of", LIMITS.values(), ids=LIMITS.keys())
def test_at_its_limits_a_decision_is_made_and_can_be_stored(of: Input) -> None:
    decision = decide(of, day(3))
    assert fed(of, decision).entries == decision.entries
    assert DeploymentStatus.model_validate(decision.status.dump()) == decision.status


def test_33_procedures_clear_nothing_and_end_nothing_that_was_cleared() -> None:
    crowd = [procedure(f"p{n}") for n in range(33)]
    assert decide(given(approve("alice"), procedures=crowd), day(3)).entries == ()
    cleared = given(approve("alice"), procedures=[procedure()])
    decision = decide(change(fed(cleared, decide(cleared, day(1))), procedures=crowd), day(3))
    assert (decision.status.phase, [e.valid_until for e in decision.entries]) == ("ChangePending", [FOREVER])


def test_32_procedures_are_kept_with_what_they_clear() -> None:
    most = [procedure(f"p{n:02}") for n in range(32)]
    (found,) = decide(given(approve("alice"), procedures=most), day(3)).entries
    assert [t.procedure for t in found.terms or []] == [p.name for p in most]


def records(number: int) -> list[Record]:
    """Approvals, withdrawals of them, and records about other subjects, a third each."""
    third = range(number // 3)
    return [
        *(approve(f"person-{n}", name=f"a{n}") for n in third),
        *(withdraw(f"person-{n}", f"a{n}", name=f"w{n}") for n in third),
        *(approve(f"person-{n}", of=HEX["d"], name=f"o{n}") for n in third),
    ]


def steps(of: Input) -> int:
    """How many function calls a decision takes: what it costs, whatever else the machine does."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    decide(of, day(3))
    sys.setprofile(counted)
    try:
        decide(of, day(3))
    finally:
        sys.setprofile(None)
    return count


def test_the_cost_grows_with_the_records_and_no_faster() -> None:
    few, many = (steps(given(*records(number), procedures=[procedure(roles={"model-owner": 16})])) for number in (300, 3000))
    assert many / few < 12


def entry(until: float, inputs: dict[str, str] | None = None, rotating: list[str] | None = None, **more: Any) -> Entry:
    return Entry(fingerprint=HEX["a"], valid_until=day(until), inputs=inputs, rotating=rotating, template=template("v1"), **more)


def test_admission_freezes_what_live_entries_read_and_nothing_else() -> None:
    entries = {
        "one": [entry(9, {"configmaps/b": HEX["5"], "secrets/frozen": ""}, ["secrets/turns"]), entry(1, {"configmaps/old": HEX["5"]}, ["secrets/old"])],
        "two": [entry(9, {"configmaps/a": "absent"}, ["secrets/frozen", "secrets/also"]), Entry(audit=True)],
        "three": [entry(9)],
    }
    assert inputs_of(entries, day(3)) == (["configmaps/a", "configmaps/b", "secrets/frozen"], ["secrets/also", "secrets/turns"])


SECRETIVE = given(approve("alice"), workloads=[workload(inputs={"configmaps/a": HEX["5"]}, secrets=("secrets/key",))])
FROZEN: dict[str, Any] = {"inputs": {"secrets": "Frozen"}}
SECRETS: dict[str, tuple[Input, tuple[list[str], list[str]]]] = {
    "ConfigMaps are frozen, Secrets may turn": (SECRETIVE, (["configmaps/a"], ["secrets/key"])),
    "a procedure freezes Secrets": (change(SECRETIVE, procedures=[procedure(**FROZEN)]), (["configmaps/a", "secrets/key"], [])),
    "one of several does": (
        change(SECRETIVE, approve("bob", name="b"), procedures=[procedure(), procedure("other", **FROZEN)]), (["configmaps/a", "secrets/key"], [])
    ),
    "one in Audit does not": (change(SECRETIVE, procedures=[procedure(), procedure("other", audit=True, **FROZEN)]), (["configmaps/a"], ["secrets/key"])),
}  # fmt: skip


@pytest.mark.parametrize(("of", "frozen"), SECRETS.values(), ids=SECRETS.keys())
def test_what_a_cleared_deployment_freezes(of: Input, frozen: tuple[list[str], list[str]]) -> None:
    assert inputs_of({"credit-scoring": decide(of, day(3)).entries}, day(3)) == frozen


def test_a_frozen_secret_is_kept_without_its_content_and_may_not_turn() -> None:
    (found,) = decide(change(SECRETIVE, procedures=[procedure(**FROZEN)]), day(3)).entries
    assert (found.inputs, found.rotating) == ({"configmaps/a": HEX["5"], "secrets/key": ""}, [])


def test_an_entry_keeps_what_it_was_cleared_under() -> None:
    (found,) = decide(replace(SECRETIVE, records=(*SECRETIVE.records, record("Reject", "eve", "auditor", 0))), day(3)).entries
    subject = decide(SECRETIVE, day(3)).status.subject
    assert subject
    assert found.dump() == {
        "fingerprint": subject.fingerprint,
        "validUntil": "9999-12-31T23:59:59Z",
        "components": subject.components.dump(),
        "riskClass": "High",
        "terms": [
            {
                "procedure": "high-risk",
                "roles": [{"role": "model-owner", "count": 1}],
                "separationOfDuties": "DistinctPeople",
                "onLapse": {"action": "Hold"},
                "onChange": {},
            }
        ],
        "inputs": {"configmaps/a": HEX["5"]},
        "rotating": ["secrets/key"],
        "template": template("v1"),
    }
