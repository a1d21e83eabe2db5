"""What an answer means: an object, a refusal, or that something else answered."""

from __future__ import annotations

import pytest

from aiqms.cli.connection import CannotAsk, Refused, answered


def test_an_api_group_that_is_not_served_is_a_refusal() -> None:
    """The API server says so in plain text."""
    with pytest.raises(Refused, match="does not serve this") as refusal:
        answered(404, b"404 page not found\n")
    assert refusal.value.code == 404


def test_a_refusal_says_what_the_api_server_says() -> None:
    with pytest.raises(Refused, match="no rights") as refusal:
        answered(403, b'{"kind": "Status", "message": "no rights"}')
    assert refusal.value.code == 403


def test_what_is_no_api_server_is_told_from_a_refusal() -> None:
    with pytest.raises(CannotAsk, match="no Kubernetes API server") as failure:
        answered(200, b"<html>")
    assert not isinstance(failure.value, Refused)
