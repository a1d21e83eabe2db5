"""docs/reference.md says what the models say."""

from pathlib import Path

from aiqms.api.conditions import MEANING, Reason
from aiqms.api.reference import page

PAGE = Path(__file__).parents[3] / "docs" / "reference.md"


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text() == page(), "make generate writes it"


def test_every_reason_says_what_it_means() -> None:
    assert set(MEANING) == set(Reason)
