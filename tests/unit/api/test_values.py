"""The value types: what the API server lets through can be read here, and means one instant, one length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from aiqms.api.values import FOREVER, Timestamp, Uri, duration, later

TIME = TypeAdapter(Timestamp)
TIMES = {
    "in UTC": ("2027-01-01T10:00:00Z", datetime(2027, 1, 1, 10, tzinfo=UTC)),
    "with an offset": ("2027-01-01T10:00:00+02:00", datetime(2027, 1, 1, 8, tzinfo=UTC)),
    "finer than can be told": ("2027-01-01T10:00:00.123456789Z", datetime(2027, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)),
    "past the last instant": ("9999-12-31T23:59:59-01:00", FOREVER),
    "before the first of its year": ("1000-01-01T00:00:00+01:00", datetime(999, 12, 31, 23, tzinfo=UTC)),
}


@pytest.mark.parametrize(("text", "instant"), TIMES.values(), ids=TIMES.keys())
def test_a_time_is_held_in_utc(text: str, instant: datetime) -> None:
    found = TIME.validate_python(text)
    assert (found, found.utcoffset()) == (instant, timedelta(0))


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        TIME.validate_python("2027-01-01T10:00:00")


DURATIONS = {"90d": timedelta(days=90), "12h": timedelta(hours=12), "30m": timedelta(minutes=30), "45s": timedelta(seconds=45)}


@pytest.mark.parametrize(("text", "length"), DURATIONS.items(), ids=DURATIONS)
def test_durations(text: str, length: timedelta) -> None:
    assert duration(text) == length
    assert later(datetime(2027, 1, 1, tzinfo=UTC), text) == datetime(2027, 1, 1, tzinfo=UTC) + length


@pytest.mark.parametrize("text", ["", "90", "d", "1.5h", "-1d", "90D", "1w", "1d12h"])
def test_what_is_no_duration_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="write a whole number and d, h, m or s, such as 90d") as refused:
        duration(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("at", [datetime(9990, 1, 1, tzinfo=UTC), FOREVER], ids=["near the end", "at the end"])
def test_later_than_the_last_instant_is_the_last_instant(at: datetime) -> None:
    assert later(at, "99999d") == FOREVER


@pytest.mark.parametrize("text", ["oci://bank.example/model", "https://qms.bank.example/SOP-017?v=2#s3", "s3:bucket"])
def test_uris(text: str) -> None:
    assert TypeAdapter(Uri).validate_python(text) == text


@pytest.mark.parametrize(
    "text", ["bank.example/model", "oci://a b", "oci://a\u00a0b", "OCI://a", "oci:"], ids=["bare", "space", "no-break space", "capitals", "empty"]
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Uri).validate_python(text)
