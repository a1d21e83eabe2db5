"""One cluster for all seeds, and which seeds: ten, or two hundred in `make test-full`; AIQMS_CHAOS_SEEDS names others, such as 7 or 100-299."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.__main__ import seeds
from tests.chaos.stage import Stage, staged

HERE = Path(__file__).parent
FEW, MANY = range(1, 11), range(11, 201)
# Seeds that failed once by the operator's fault, each with what was wrong then: they run every time. What was found otherwise has tests of its own beside.
KEPT: dict[int, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is in this folder needs a cluster."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each seed."""
    if "seed" not in metafunc.fixturenames:
        return
    if named := os.environ.get("AIQMS_CHAOS_SEEDS"):
        metafunc.parametrize("seed", seeds(named.replace(",", " ").split()))
    else:
        metafunc.parametrize("seed", [*FEW, *KEPT, *(pytest.param(n, marks=pytest.mark.full) for n in MANY if n not in KEPT)])


@pytest.fixture(scope="package")
def stage() -> Iterator[Stage]:
    """Gone before the tests of other folders begin, for it is busy even when idle."""
    if os.environ.get("AIQMS_CLUSTER", "embedded") != "embedded":
        pytest.skip("programs of the control plane are killed here: AIQMS_CLUSTER=embedded")
    with staged() as made:
        yield made
