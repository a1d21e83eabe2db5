"""Which record is taken back, and by whom; which Emergency is reviewed."""

from __future__ import annotations

import pytest
import typer

from aiqms.api.values import Json
from aiqms.cli.case import Case
from aiqms.cli.emergency import to_review
from aiqms.cli.terminal import NotDone
from aiqms.cli.withdraw import only_own, require_withdrawable
from tests.unit.cli.given import case, record

MINE = record("apr-1", "Approve", "carol")
OTHER = record("apr-2", "Approve", "bob")
GONE = record("apr-3", "Withdraw", "carol", withdraws="apr-1")
GLASS = record("glass-1", "Emergency", "carol", "incident-commander")


def test_the_only_record_of_one_s_own_is_meant() -> None:
    assert only_own(case(records=[MINE, OTHER])) == MINE


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], r"no record of yours \(carol\) about credit-scoring counts$"),
        ([MINE, GONE], r"no record of yours \(carol\) about credit-scoring counts$"),
        ([OTHER], r"of others do: apr/apr-2 of bob \(Approve\): name the record$"),
        ([record("apr-1", "Approve", "carol", counts=False, reason="Expired")], "no record of yours"),
        ([record("apr-1", "Stop", "carol")], "no record of yours"),
    ],
    ids=["none", "taken back already", "of others", "expired", "a Stop"],
)
def test_without_one_it_is_said_which_there_are(records: list[Json], said: str) -> None:
    with pytest.raises(NotDone, match=said):
        only_own(case(records=records))


def test_of_several_one_is_chosen() -> None:
    with pytest.raises(
        typer.BadParameter, match=r"several records of yours count: apr/apr-1 \(Approve as risk-manager\), apr/apr-4 \(Reject as risk-manager\)"
    ):
        only_own(case(records=[MINE, record("apr-4", "Reject", "carol")]))


@pytest.mark.parametrize(
    ("who", "one"), [(case(records=[MINE]), MINE), (case("dave", "risk-manager", records=[MINE]), MINE), (case("carol", "clown", records=[MINE]), MINE)]
)
def test_its_author_may_and_whoever_holds_the_role(who: Case, one: Json) -> None:
    require_withdrawable(who, one)


@pytest.mark.parametrize(
    ("who", "one", "said"),
    [
        pytest.param(
            case("eve", "clown"), MINE, r"apr/apr-1 is by carol: its author, or whoever holds verb withdraw on .*and you \(eve\) are neither", id="else"
        ),
        pytest.param(case("root", wildcard=True), MINE, "you .root. are neither", id="a wildcard holder"),
        pytest.param(case(records=[MINE, GONE]), MINE, "apr/apr-1 was taken back already", id="what is taken back"),
        pytest.param(case(), record("s-1", "Stop", "carol"), "is a Stop, .*: kubectl qms resume credit-scoring -n lending", id="a Stop"),
        pytest.param(case(), GONE, "is a Withdraw, which is not taken back by a Withdraw$", id="a Withdraw"),
    ],
)
def test_it_is_refused_for(who: Case, one: Json, said: str) -> None:
    with pytest.raises(NotDone, match=said):
        require_withdrawable(who, one)


def test_the_only_emergency_of_somebody_else_is_reviewed() -> None:
    assert to_review(case("bob", records=[GLASS]), None) == GLASS


@pytest.mark.parametrize(
    ("who", "named", "said"),
    [
        (case("carol", records=[GLASS]), None, r"you broke the glass yourself \(apr/glass-1\): another person has to review it"),
        (case("bob", records=[]), None, "no emergency of credit-scoring waits for a review"),
        (case("bob", records=[GLASS]), "glass-9", "no emergency glass-9 of credit-scoring waits for a review"),
        (case("bob", records=[GLASS, record("r", "Approve", "dave", reviews="glass-1")]), None, "no emergency of credit-scoring waits"),
    ],
    ids=["one's own", "none", "of another name", "reviewed already"],
)
def test_a_review_is_refused_for(who: Case, named: str | None, said: str) -> None:
    with pytest.raises(NotDone, match=said):
        to_review(who, named)


def test_of_several_emergencies_one_is_chosen() -> None:
    several = case("bob", records=[GLASS, record("glass-2", "Emergency", "dave", at="2026-11-23T10:00:00Z")])
    with pytest.raises(typer.BadParameter, match="several wait for a review: apr/glass-2 of dave, apr/glass-1 of carol: choose with --record"):
        to_review(several, None)
    assert to_review(several, "glass-1") == GLASS
