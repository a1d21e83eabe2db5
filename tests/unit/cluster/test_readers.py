"""What is kept of an object that the operator watches."""

from __future__ import annotations

import pytest

from aiqms.api.values import Json
from aiqms.cluster.readers import deployment
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
