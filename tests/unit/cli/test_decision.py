"""A record as it is sent, when it ends, and what is said of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import typer

from aiqms.api.record import Decision, RecordSpec
from aiqms.api.values import Json
from aiqms.cli.arguments import deployment_name, fingerprint, record_name
from aiqms.cli.decision import How, Wish, expiry, outcome, rationale, require_terminal
from aiqms.cli.terminal import NotDone, Output
from tests.unit.cli.given import NEW, record

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def how(**changes: Any) -> How:
    return replace(How(yes=True, dry_run=False, output=Output.TEXT, rationale="why"), **changes)


@pytest.mark.parametrize(
    "wish",
    [
        Wish("credit-scoring", Decision.APPROVE, "risk-manager", "why", subject=NEW, expires="2027-01-31T00:00:00Z"),
        Wish("credit-scoring", Decision.REJECT, "risk-manager", "why", subject=NEW),
        Wish("credit-scoring", Decision.WITHDRAW, "risk-manager", "why", subject=NEW, withdraws="apr-1"),
        Wish("credit-scoring", Decision.STOP, "incident-commander"),
        Wish("credit-scoring", Decision.EMERGENCY, "incident-commander", "why", subject=NEW),
        Wish("credit-scoring", Decision.APPROVE, "risk-manager", "why", subject=NEW, reviews="apr-1"),
    ],
    ids=lambda wish: f"{wish.decision}{' of an emergency' if wish.reviews else ''}",
)
def test_a_record_fits_the_schema(wish: Wish) -> None:
    sent = wish.record("lending")
    assert sent["metadata"] == {"generateName": "credit-scoring-", "namespace": "lending"}
    spec = RecordSpec.model_validate(sent["spec"])
    assert (spec.decision, spec.role, spec.rationale, spec.subject) == (wish.decision, wish.role, wish.rationale, wish.subject)
    assert (spec.withdraws, spec.reviews) == (wish.withdraws, wish.reviews)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30d", "2026-12-22T10:00:00Z"),
        ("45s", "2026-11-22T10:00:45Z"),
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z"),
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
        (None, None),
    ],
)
def test_an_end_is_a_date_a_time_or_a_duration(text: str | None, at: str | None) -> None:
    assert expiry(text, NOW) == at


@pytest.mark.parametrize("text", ["soon", "2026-11-22", "0d", "-1d", "2026-13-01", "99999999d", ""])
def test_what_is_no_end_ahead_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        expiry(text, NOW)


STATUS = {"counts": True, "reason": "Counted", "message": "carol approves the current subject as risk-manager"}


@pytest.mark.parametrize(
    ("status", "said", "style"),
    [
        (STATUS, "approved: apr/apr-1 counts: carol approves the current subject as risk-manager", "green"),
        (
            {"counts": False, "reason": "SamePersonTwice", "message": "carol already counts as model-owner"},
            "recorded, but it does not count: apr/apr-1: SamePersonTwice: carol already counts as model-owner",
            "red",
        ),
        (
            {"counts": False, "reason": "SubjectUnknown", "message": "it counts when sha256:9f2c41d0 appears"},
            "approved beforehand: apr/apr-1: it counts when sha256:9f2c41d0 appears",
            "yellow",
        ),
        (None, "approved: apr/apr-1; the operator has not said yet whether it counts: kubectl get apr apr-1 -n lending", "yellow"),
    ],
    ids=["counts", "does not count", "counts later", "not judged yet"],
)
def test_what_came_of_a_record_is_said(status: Json | None, said: str, style: str) -> None:
    made = record("apr-1", "Approve", "carol") | {"status": status}
    assert [(line.text, line.style) for line in outcome(made, dry_run=False, width=None)] == [(said, style)]


def test_a_review_is_called_one() -> None:
    made = record("apr-1", "Reject", "bob", reviews="glass-1", message="bob reviewed the emergency")
    assert next(outcome(made, dry_run=False, width=None)).text == "reviewed: apr/apr-1 counts: bob reviewed the emergency"


def test_a_dry_run_promises_nothing_more_than_was_tried() -> None:
    assert next(outcome(record("apr-1", "Stop", "carol"), dry_run=True, width=None)).text == (
        "would be stopped: the API server would take this record (nothing was stored)"
    )


@pytest.mark.parametrize(
    ("given", "subject", "missing"),
    [
        (how(yes=False, rationale=None), None, "--yes and --subject and --rationale"),
        (how(), None, "--subject"),
        (how(rationale=None), NEW, "--rationale"),
        (how(yes=False), NEW, "--yes"),
    ],
)
def test_a_program_says_everything_beforehand(monkeypatch: pytest.MonkeyPatch, given: How, subject: str | None, missing: str) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(typer.BadParameter) as refused:
        require_terminal(given, subject=subject)
    assert str(refused.value) == f"nobody is at a terminal to be asked (or --yes was given): give {missing} too"


def test_a_dry_run_needs_no_yes() -> None:
    require_terminal(how(yes=False, dry_run=True), subject=NEW)


@pytest.mark.parametrize(("text", "said"), [(" ", "a rationale is missing"), ("x" * 4097, "the rationale has 4097 characters, and a record holds 4096")])
def test_a_rationale_that_the_api_would_refuse_is_refused(text: str, said: str) -> None:
    with pytest.raises(NotDone, match=said):
        rationale(how(rationale=text), required=True)


def test_a_stop_may_be_made_without_a_word() -> None:
    assert rationale(how(rationale=""), required=False) == ""


@pytest.mark.parametrize("value", ["aimd/x", "x", "AIMD/x", "aimodeldeployments.aiqms.dev/x"])
def test_a_deployment_is_named_as_kubectl_prints_it(value: str) -> None:
    assert deployment_name(value) == "x"


@pytest.mark.parametrize(("value", "name"), [("apr/x", "x"), ("x", "x"), (None, None)])
def test_a_record_is_named_as_kubectl_prints_it(value: str | None, name: str | None) -> None:
    assert record_name(value) == name


@pytest.mark.parametrize("value", ["sha256:9f2c41d0", "9f2c" * 16, "sha256:" + "G" * 64, "sha256:" + "A" * 64, ""])
def test_a_part_of_a_fingerprint_is_none(value: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no fingerprint"):
        fingerprint(value)
    assert fingerprint(NEW) == NEW
