"""The walks of docs/platform.md and docs/gitops.md, each command copied as it is written, one page after the other, on a cluster of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.__main__ import PROJECT, link
from tests.testbed.cluster import Cluster, temporary
from tests.testbed.install import install
from tests.testbed.operator_process import Operator

BLOCK = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^[^\n]*<<'END'\n.*?^END$|^[^\n]+$", re.DOTALL | re.MULTILINE)
NO = ("kubectl qms lint", "kubectl qms explain")  # the page says that these say no, and end with 1
TEST_BED = "make build-testbed"  # the block that starts it; the fixture has
PAGES = (("docs/platform.md", "## From nothing to the first approved pod"), ("docs/gitops.md", "### Try it"))


def walk(page: str, heading: str) -> list[str]:
    """The commands under a heading."""
    text = (PROJECT / page).read_text()
    part = re.split(r"^##+ ", text[text.index(heading) + len(heading) :], maxsplit=1, flags=re.MULTILINE)[0]
    return [command for block in BLOCK.findall(part) if not block.startswith(TEST_BED) for command in COMMAND.findall(block)]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of somebody who did what the first block says, in a copy of what the pages name, since they write a file."""
    with temporary() as cluster:
        if not cluster.provider.owned:
            pytest.skip("the pages are walked on a cluster of their own: AIQMS_CLUSTER=embedded or kind")
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        operator.start()
        yield environment(cluster, tmp_path_factory.mktemp("bin"))
        operator.stop()


def environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    for name in ("kubectl", "helm"):
        link(folder / name, Path(cluster.provider.program(name)))
    return cluster.environment() | {"PATH": os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])}


def test_a_newcomer_gets_through_both_pages(newcomer: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    steps = [step for page in PAGES for step in walk(*page)]
    assert len(steps) > 25
    script = "".join(f'{step}\necho "ended with $?" >&2\n' for step in steps)
    done = subprocess.run(["bash"], input=script, env=newcomer, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    codes = [int(code) for code in re.findall(r"^ended with (\d+)$", done.stderr, re.MULTILINE)]
    wanted = [1 if step.startswith(NO) else 0 for step in steps]
    assert [step for step, code, want in zip(steps, codes, wanted, strict=True) if code != want] == [], done.stdout + done.stderr
    assert re.search(r"credit-scoring +High +credit-llm:4\.2\.0 +Running +True +Approved", done.stdout.rsplit("NAMESPACE", 1)[1])
