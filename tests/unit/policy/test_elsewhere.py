"""Under which of the procedures that do not apply now a Stop or an Emergency was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from aiqms.api.clearance import Entry, Term
from aiqms.api.conditions import Reason
from aiqms.api.deployment import DeploymentStatus, ProcedureSeen, Result
from aiqms.api.procedure import Enforcement
from aiqms.api.record import RecordStatus
from aiqms.policy.checks import row
from aiqms.policy.elsewhere import Others, elsewhere
from aiqms.policy.facts import Elsewhere, Procedure, Record
from tests.unit.policy.given import approve, procedure
from tests.unit.policy.people import breaks, emergency, stop, stops

A, B = stops("a"), stops("b")
GLASS_A, GLASS_B = breaks("a"), breaks("b")
UNKNOWN = DeploymentStatus()


def judged(record: Record, reason: Reason = Reason.COUNTED) -> Record:
    """The record once its status says so."""
    return replace(record, before=RecordStatus(counts=reason is Reason.COUNTED, reason=reason, message=""))


def status(*applied: str, controls: str = "") -> DeploymentStatus:
    """The last one. applied: the procedures that it names; controls: those that it has a control of."""
    seen = [ProcedureSeen(name=name, revision=1, enforcement=Enforcement.ENFORCE) for name in applied]
    rows = [row("approvals/model-owner", Result.PASS, Reason.APPROVED, "", procedure=procedure(name)).control for name in controls]
    return DeploymentStatus(procedures=seen, controls=rows)


def entry(name: str) -> Entry:
    """One that was cleared under the terms of that procedure."""
    of = procedure(name).spec
    term = Term(procedure=name, roles=of.approvals.roles, separation_of_duties=of.approvals.separation_of_duties, on_lapse=of.on_lapse, on_change=of.on_change)
    return Entry(terms=[term])


@dataclass(frozen=True)
class Case:
    """These records, while these procedures exist and do not apply: the names of those found, each a letter. near: names; before: the last status."""

    records: Sequence[Record]
    procedures: Sequence[Procedure]
    found: str
    near: str = "ab"
    before: DeploymentStatus = UNKNOWN
    entries: Sequence[Entry] = (Entry(audit=True),)


STOP = {
    "that nobody judged yet, of what applied last": Case([stop()], [A, B], "a", before=status("a")),
    "that nobody judged yet, where what applied last names another role": Case([stop()], [stops("a", "cto"), B], "", before=status("a")),
    "that nobody judged yet, where only a control or a clearance tells of it": Case([stop()], [A, B], "", before=status(controls="a"), entries=[entry("b")]),
    "that counted, of what applied last": Case([judged(stop())], [A, B], "a", before=status("a")),
    "that counted, of what has a control": Case([judged(stop())], [A, B], "b", before=status(controls="b")),
    "that counted, of what something is still cleared under": Case([judged(stop())], [A, B], "b", entries=[Entry(audit=True), entry("b")]),
    "that counted, also of what is not near": Case([judged(stop())], [A, B], "a", near="b", before=status("a")),
    "that counted, where nobody remembers: of every one near": Case([judged(stop())], [A, B, stops("c")], "bc", near="bc"),
    "that counted, where nobody remembers: of those that name its role": Case([judged(stop())], [A, stops("b", "cto"), procedure("c")], "a", near="abc"),
    "that was lifted": Case([judged(stop(), Reason.RESUMED)], [A], "", before=status("a")),
    "that never counted": Case([judged(stop(), Reason.ROLE_NOT_REQUIRED)], [A], "", before=status("a")),
    "by somebody without the role": Case([stop(authorized=False)], [A], "", before=status("a")),
    "by a role that only breaks the glass": Case([stop(role="on-call")], [GLASS_A], "", before=status("a")),
}
EMERGENCY = {
    "that nobody judged yet, of what applied last": Case([emergency()], [GLASS_A, GLASS_B], "b", before=status("b")),
    "that counted": Case([judged(emergency())], [GLASS_A, GLASS_B], "a", before=status("a")),
    "that is over": Case([judged(emergency(), Reason.EXPIRED)], [GLASS_A, GLASS_B], "a", before=status("a")),
    "that was never allowed": Case([judged(emergency(), Reason.EMERGENCY_NOT_ALLOWED)], [GLASS_A], "", before=status("a")),
    "by a role that only stops": Case([emergency(role="incident-commander")], [A], "", before=status("a")),
}


def found(case: Case) -> tuple[Elsewhere, ...]:
    return elsewhere(Others(tuple(case.procedures), frozenset(case.near)), case.records, case.entries, case.before)


@pytest.mark.parametrize("case", STOP.values(), ids=STOP)
def test_a_stop(case: Case) -> None:
    assert found(case) == tuple(Elsewhere(p, stops=("stop-ida",)) for p in case.procedures if p.name in case.found)


@pytest.mark.parametrize("case", EMERGENCY.values(), ids=EMERGENCY)
def test_an_emergency(case: Case) -> None:
    assert found(case) == tuple(Elsewhere(p, emergencies=("emergency-otto",)) for p in case.procedures if p.name in case.found)


def test_a_record_of_another_decision_is_of_none() -> None:
    assert found(Case([approve("alice")], [procedure("a")], "", before=status("a"))) == ()


def test_several_under_one_and_under_several() -> None:
    both = breaks("b", stop={"roles": ["incident-commander"]})
    records = [judged(stop()), judged(stop("eve", "cto")), judged(emergency())]
    assert found(Case(records, [stops("a", "incident-commander", "cto"), both], "", before=status("a", "b"))) == (
        Elsewhere(stops("a", "incident-commander", "cto"), stops=("stop-ida", "stop-eve")),
        Elsewhere(both, stops=("stop-ida",), emergencies=("emergency-otto",)),
    )
