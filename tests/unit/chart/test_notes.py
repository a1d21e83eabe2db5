"""What the chart says after an install, and what the documentation says of it."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.unit.chart.conftest import CHART, helm

ROOT = CHART.parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]


@pytest.fixture(scope="module")
def notes() -> str:
    return helm("install", "aiqms", str(CHART), "--namespace", "aiqms-system", "--dry-run=client", "--set-json", 'roles=["works-council"]').split("NOTES:\n")[1]


def test_the_notes_bind_each_role_in_one_line(notes: str) -> None:
    assert "  kubectl create rolebinding works-councils --clusterrole aiqms-role-works-council --group works-councils -n NAMESPACE\n" in notes


def test_the_command_that_frees_held_pods_is_the_one_of_the_documentation(notes: str) -> None:
    (command,) = [line.strip() for line in notes.splitlines() if "xargs" in line]
    assert command in (ROOT / "docs" / "uninstall.md").read_text().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_files_and_headings_that_exist(page: pathlib.Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    assert [link for link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: pathlib.Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if target.is_file() else []
    return target.is_file() and (not heading or heading in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings])
