"""Two revisions of a procedure side by side."""

from __future__ import annotations

from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.cli.revisions import Revision, consequences, fields, lines

SPEC: Json = {
    "title": "High-risk inference",
    "revision": 7,
    "approvals": {"since": 6, "roles": [{"role": "model-owner", "count": 1}, {"role": "risk-manager", "count": 2, "validFor": "90d"}]},
    "stop": {"roles": ["incident-commander"]},
    "responsibilities": [{"duty": "RiskManagement", "role": "risk-manager"}],
}


def revision(label: str = "the cluster", **changes: Any) -> Revision:
    return Revision(label, "high-risk-inference", SPEC | changes)


STRICTER = revision(
    "new.yaml",
    revision=8,
    approvals={"since": 8, "roles": [{"role": "risk-manager", "count": 3, "validFor": "90d"}, {"role": "model-owner", "count": 1}]},
    stop={"roles": ["incident-commander", "cto"]},
    responsibilities=[],
    title="High-risk inference on shared GPUs, of every business line",
)


def shown(after: Revision, *touched: str, width: int | None = None) -> list[str]:
    return [line.text for line in lines(revision(), after, touched, width=width)]


def test_fields_that_differ_stand_side_by_side_and_what_follows_below() -> None:
    assert shown(STRICTER, "lending/credit-scoring") == [
        "QMSProcedure high-risk-inference: the cluster (revision 7) → new.yaml (revision 8)",
        "  FIELD                                  REVISION 7           REVISION 8",
        "  title                                  High-risk inference  High-risk inference on shared GPUs, of every business line",
        "  revision                               7                    8",
        "  approvals.since                        6                    8",
        "  approvals.roles[risk-manager].count    2                    3",
        "  stop.roles                             incident-commander   incident-commander, cto",
        "  responsibilities[RiskManagement].role  risk-manager         –",
        "",
        "  ! approvals given under revisions before 8 count no longer: what runs now is a changed subject, and has to be approved anew",
        "  … judged by it now: lending/credit-scoring",
    ]


def test_at_120_columns_long_values_wrap_in_their_column() -> None:
    said = shown(STRICTER, width=100)
    assert max(map(len, said[:-3])) <= 100
    assert said[2:4] == [
        "  title                                  High-risk inference  High-risk inference on shared GPUs, of",
        "                                                              every business line",
    ]


def test_at_80_columns_they_stand_one_under_the_other() -> None:
    assert shown(STRICTER, width=80)[1:4] == ["  title", "    - High-risk inference", "    + High-risk inference on shared GPUs, of every business line"]


def test_the_same_is_said_to_be_the_same() -> None:
    assert shown(revision("new.yaml"))[1:] == ["  nothing differs"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"stop": {"roles": ["cto"]}}, ["the API server refuses this: stop.roles changes only with a revision above 7"], id="without a higher revision"
        ),
        pytest.param({"revision": 6}, ["the API server refuses this: revision only rises, and 6 is below 7"], id="with a lower one"),
        pytest.param(
            {"revision": 8, "stop": {"roles": ["cto"]}}, ["approvals given since revision 6 go on counting (approvals.since)"], id="keeping approvals"
        ),
        pytest.param({"title": "Another"}, [], id="of what is not judged"),
        pytest.param(
            {"revision": 8, "enforcement": "Audit", "approvals": SPEC["approvals"] | {"since": 8}},
            ["approvals given since revision 8 go on counting (approvals.since)"],
            id="in Audit, where nothing is blocked",
        ),
    ],
)
def test_what_a_change_means(changes: Json, said: list[str]) -> None:
    after = revision(**changes)
    assert list(consequences(revision(), after, fields(SPEC, after.spec))) == said


def test_the_order_of_roles_is_no_difference() -> None:
    turned = SPEC["approvals"] | {"roles": list(reversed(SPEC["approvals"]["roles"]))}
    assert fields(SPEC, SPEC | {"approvals": turned}) == []
