"""What a person sees before deciding, to the letter."""

from __future__ import annotations

from aiqms.cli import screen
from aiqms.cli.case import Case
from aiqms.cli.change import Change, Part
from tests.unit.cli.given import NEW, OLD, case, control, place, status

CHANGE = Change(
    since=OLD,
    until="2027-02-20T10:00:00Z",
    components=("model", "workload"),
    parts=(
        Part("Deployment/credit-scoring", ('containers[vllm].args[1]: "--served-model-name=credit-llm-4.1.3" -> "--served-model-name=credit-llm-4.2.0"',)),
        Part("configmaps/prompts", ("its content changed",)),
    ),
)


def shown(of: Case, change: Change, fingerprint: str = NEW, *, width: int | None = None) -> str:
    return "\n".join(line.text for line in screen.subject(of, change, fingerprint, width=width))


def test_a_change_is_shown_down_to_the_fields_with_who_approved_so_far() -> None:
    assert shown(case(), CHANGE) == (
        f"""\
credit-scoring in namespace lending
  {NEW}
  model       credit-llm 4.2.0, oci://registry.bank.example/credit-llm, sha256:44444444  (changed)
  data        applications 2025-12 (Training, Confidential, sha256:55555555)
  purpose     Score applications for a human underwriter (risk class High, Provider)
  workload    Deployment/credit-scoring  (changed)
  procedures  high-risk-inference revision 7

  Changed since sha256:51d0e7b3, cleared until 2027-02-20 10:00:00 UTC: model, workload
    Deployment/credit-scoring
      containers[vllm].args[1]: "--served-model-name=credit-llm-4.1.3" -> "--served-model-name=credit-llm-4.2.0"
    configmaps/prompts
      its content changed

  Approved so far
    ✓ model-owner   1 of 1: alice
    ✗ risk-manager  1 of 2: bob"""
    )


def test_at_80_columns_what_was_and_what_is_stand_one_under_the_other() -> None:
    lines = shown(case(), CHANGE, width=80).splitlines()
    assert lines[12:16] == [
        "    Deployment/credit-scoring",
        "      containers[vllm].args[1]:",
        '        - "--served-model-name=credit-llm-4.1.3"',
        '        + "--served-model-name=credit-llm-4.2.0"',
    ]
    assert max(map(len, lines)) <= 80


def test_a_first_approval_says_so() -> None:
    assert "\n  Nothing of it was approved before.\n" in shown(case(), Change())


def test_a_subject_that_was_approved_and_lapsed_says_so() -> None:
    assert "\n  This subject itself was approved last.\n" in shown(case(), Change(cleared=True))


def test_what_could_not_be_compared_is_said_and_not_left_out() -> None:
    assert "    ? what changed within the pods cannot be shown: forbidden" in shown(
        case(), Change(unseen=("what changed within the pods cannot be shown: forbidden",))
    )


def test_warnings_and_what_blocks_are_shown_and_missing_approvals_are_not_told_twice() -> None:
    controls = [
        control("change/risk-class", "Warn", "ClassLowered", "risk class was High in the subject last approved and is Limited now"),
        control("supply/model", "Fail", "ModelMismatch", "another model"),
        control("approvals/risk-manager", "Fail", "ApprovalMissing", "1 of 2 given"),
        control("approvals/model-owner", "Fail", "Rejected", "dave rejected it"),
    ]
    said = shown(case(state=status(controls=controls)), Change()).splitlines()
    assert said[said.index("  Nothing of it was approved before.") + 2 :][:4] == [
        "  ! change/risk-class  risk class was High in the subject last approved and is Limited now",
        "  ✗ supply/model  another model",
        "  ✗ approvals/model-owner  dave rejected it",
        "",
    ]


def test_two_procedures_are_told_apart() -> None:
    places = [place("model-owner", 1, 1, "alice"), place("model-owner", 0, 1, procedure="gpu-use")]
    assert shown(case(state=status(approvals=places)), Change()).splitlines()[-2:] == [
        "    ✓ model-owner (high-risk-inference)  1 of 1: alice",
        "    ✗ model-owner (gpu-use)              0 of 1",
    ]


def test_a_subject_to_come_is_shown_by_its_fingerprint_alone() -> None:
    assert shown(case(), Change(), OLD).splitlines() == [
        "credit-scoring in namespace lending",
        f"  {OLD}",
        "  ! this is not the current subject (sha256:9f2c41d0): the record counts when it appears; be sure where you have it from",
    ]


def test_a_deployment_to_come_is_shown_by_its_fingerprint_alone() -> None:
    assert shown(case(found=None), Change(), OLD).splitlines()[2] == (
        "  ! no AIModelDeployment credit-scoring is registered here yet: the record counts when one with this subject appears; be sure where you have it from"
    )


def test_text_of_people_is_never_taken_for_markup() -> None:
    odd = control("stop", "Fail", "Stopped", "[red]stopped[/red] :boom: [link=x]")
    assert "  ✗ stop  [red]stopped[/red] :boom: [link=x]" in shown(case(state=status(controls=[odd])), Change())
