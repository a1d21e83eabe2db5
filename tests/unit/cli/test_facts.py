"""Who may approve, for a person who may not read all bindings: what the operator found stands in the status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiqms.api.record import Decision
from aiqms.cli.facts import LISTED, _who_may
from aiqms.cli.holders import Bindings, WhoMay
from tests.unit.cli.given import case, place, status

UNREAD = Bindings((), {}, {}, known=False)
READ = replace(UNREAD, known=True)
MANY = [f"user u{n}" for n in range(LISTED)]


def listing(*may: str) -> dict[str, object]:
    return place("risk-manager", 1, 2, "bob") | {"may": list(may)}


@pytest.mark.parametrize(
    ("bindings", "places", "people", "known"),
    [
        pytest.param(UNREAD, [listing("group risk-managers", "user dan")], ("group risk-managers", "user dan"), True, id="the operator's list"),
        pytest.param(UNREAD, [listing()], (), True, id="nobody, as the operator found"),
        pytest.param(UNREAD, [listing(*MANY)], tuple(MANY), False, id="a list that is full may have more"),
        pytest.param(UNREAD, [place("risk-manager", 1, 2, "bob")], (), False, id="an older operator lists nobody"),
        pytest.param(READ, [listing("group stale")], (), True, id="what was read counts more"),
    ],
)
def test_who_may_approve(bindings: Bindings, places: list[dict[str, object]], people: tuple[str, ...], known: bool) -> None:
    found = _who_may(case("eve", "auditor", state=status(approvals=places)), bindings, "risk-manager", Decision.APPROVE)
    assert found == WhoMay(people, known)
