"""What runs side by side (`make test` has two processes): tests of a folder that share a cluster or servers stay together, and those of any other file."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TOGETHER = ("tests/e2e/", "tests/chaos/", "tests/retention/")
APART = ("tests/e2e/test_doctor.py", "tests/e2e/test_invariant_12.py", "tests/e2e/test_pages.py")  # each has a cluster of its own


class Scheduling(LoadScopeScheduling):
    """The largest group first. Not `--dist loadgroup`, whose groups pytest 9.2 does not tell apart: pytest-xdist 3.8 writes them into a private field."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file in APART else next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Asked only where there is more than one process."""
    return Scheduling(config, log)
