"""Canaries: how they are looked for, and what a sample of lines says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from aiqms.policy.logs import Delivery, Sample
from aiqms.retention import lines
from aiqms.retention.lines import Line, Sent, read_back

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
AGE = timedelta(days=183)
FRESH, OLD = Line("fresh", NOW), Line("old", NOW - AGE)
Found = Mapping[str, datetime]
BOTH: Found = {"fresh": FRESH.at, "old": OLD.at}
ALONE: Found = {"fresh": FRESH.at}
QUICK = timedelta(milliseconds=100)

# What the store has, look by look (the last goes on) -> age, and whether it could be read back; None: no delivery.
LOOKS: dict[str, tuple[tuple[Found, ...], tuple[timedelta | None, bool] | None]] = {
    "both at once": ((BOTH,), (AGE, True)),
    "both in the end": (({}, {}, BOTH), (AGE, True)),
    "the old one later": (({}, ALONE, BOTH), (AGE, True)),
    "the old one earlier": (({"old": OLD.at}, BOTH), (AGE, True)),
    "no old one": ((ALONE,), (AGE, False)),
    "the old one dated anew": (({"fresh": FRESH.at, "old": NOW},), (None, False)),
    "the old one a millisecond off": (({"fresh": FRESH.at, "old": OLD.at + timedelta(milliseconds=1)},), (AGE, True)),
    "the old one alone": (({"old": OLD.at},), None),
    "nothing": (({},), None),
}


@pytest.mark.parametrize(("looks", "seen"), LOOKS.values(), ids=LOOKS.keys())
async def test_canaries_are_looked_for_again_and_again(
    looks: tuple[Found, ...], seen: tuple[timedelta | None, bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "POLLS", (0.001, 0.01))
    coming = iter(looks)

    async def find() -> Found:
        return next(coming, looks[-1])

    delivery = await read_back(Sent("directly", FRESH, (OLD, AGE)), find, within=QUICK, grace=QUICK)
    assert delivery == (None if seen is None else Delivery("directly", delivery.seconds if delivery else 0, *seen))


async def test_looks_become_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "POLLS", (0.001, 1.0))
    looks = []

    async def find() -> Found:
        looks.append(1)
        return {}

    assert await read_back(Sent("directly", FRESH), find, within=QUICK) is None
    assert len(looks) < 12  # 1, 2, 4 … ms, and one at the end


def test_a_period_of_a_day_is_too_short_for_an_old_line() -> None:
    assert lines.aged(NOW, timedelta(days=1)) is None
    made = lines.aged(NOW, timedelta(days=184))
    assert made is not None
    assert (made[0].at, made[1]) == (NOW - AGE, AGE)


def test_no_two_canaries_are_alike() -> None:
    assert len({lines.canary(NOW).id for _ in range(100)}) == 100


def test_a_sample_names_lines_by_what_finds_them_again_and_shows_no_value() -> None:
    seen: list[dict[str, object]] = [
        {"request_id": "r1", "model": "m"},
        {"request_id": "r\x1b[31m2" + "x" * 100, "prompt": "a secret"},
        {"_time": "2026-11-27T12:00:00Z"},
        {"prompt": "a secret"},
        {"aiqms_canary": "c1"},
    ]
    lacking = (("r[31m2" + "x" * 57, ("model",)), ("2026-11-27T12:00:00Z", ("request_id", "model")), ("line 4 of the sample", ("request_id", "model")))
    assert lines.sample(seen, ("request_id", "model")) == Sample(4, lacking)
