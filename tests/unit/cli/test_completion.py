"""What Tab offers, where no cluster is asked; and that every command stands in the help with one short line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from aiqms.cli.completion import PROGRAM, Words, answer
from aiqms.cli.main import app, complete

ROOT = typer.main.get_command(app)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig: what a cluster would say is left out, quietly."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))


def test_the_program_of_the_package_says_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-qms", "ap"])
    with pytest.raises(SystemExit):
        complete()
    assert capsys.readouterr().out.splitlines()[0].startswith("approve\t")


def words(*typed: str) -> list[str]:
    return [line.partition("\t")[0] for line in answer(ROOT, typed)]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ap"], ["approve", ":4"]),
        (["re"], ["reject", "resume", "review", "review-access", ":4"]),
        (["who-can", "read"], ["read-secrets", "read-logs", ":4"]),
        (["__"], [":4"]),
        (["approve", "--re"], ["--renew", ":4"]),
        (["approve", "-o", ""], ["text", "json", "yaml", ":4"]),
        (["approve", "-o", "y"], ["yaml", ":4"]),
        (["diff", "-f", ""], [":0"]),
        (["approve", "--rationale", ""], [":4"]),
        (["approve", ""], [":4"]),
        (["unknown", ""], [":4"]),
    ],
    ids=" ".join,
)
def test_words_are_offered(typed: list[str], offered: list[str]) -> None:
    assert words(*typed) == offered


@pytest.mark.parametrize("typed", [("-n", "lending"), ("--namespace", "lending"), ("--namespace=lending",)], ids=" ".join)
def test_an_option_given_before_is_known(typed: tuple[str, ...]) -> None:
    assert Words(("approve", *typed), "").value("-n", "--namespace") == "lending"


def test_every_command_is_offered_with_what_it_is_for() -> None:
    offered = list(answer(ROOT, [""]))
    assert offered[-1] == ":4"
    assert all("\t" in line for line in offered[:-1])
    assert {"status", "pending", "explain", "diff", "approve", "reject", "withdraw", "stop", "resume", "emergency", "review"} <= set(words(""))


def test_the_program_asks_this_one() -> None:
    assert PROGRAM.splitlines() == ["#!/bin/sh", 'exec kubectl-qms __complete "$@"']
