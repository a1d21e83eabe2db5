"""What may run side by side (`make test` has two processes): folders whose tests share a cluster or servers stay together, of all others each file."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOGETHER = ("e2e", "chaos", "retention")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names the group of each test, which pytest-xdist looks at where it runs in more than one process."""
    for item in items:
        folder, *_ = item.path.relative_to(HERE).parts
        item.add_marker(pytest.mark.xdist_group(folder if folder in TOGETHER else item.path.relative_to(HERE).as_posix()))
