"""What `kubectl qms check-logs` says of what was seen, to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from aiqms.api.conditions import Reason
from aiqms.api.values import Json
from aiqms.cli.check_logs import judged, lines
from aiqms.cli.main import app
from aiqms.policy.logs import Checked, Trouble
from aiqms.policy.sinks import wanted
from tests.unit.policy.given import spec
from tests.unit.policy.sinks import STREAM, ask, asking, logged, proof, sent_to

KEPT = "VictoriaLogs v1.51.1 keeps inference for 200d (-retentionPeriod=200d), at least 184d are asked; a canary came back, sent directly"


def text(checked: Checked, width: int | None = None, **more: object) -> list[str]:
    of = logged(*more.get("procedures", ()))  # type: ignore[misc]
    (want,) = wanted(of)
    return [line.text for line in lines(judged(of, {want.key: checked}), width=width)]


def now(**more: object) -> Checked:
    """Answered this moment."""
    return Checked().answered(proof(**more), ask(), datetime.now(UTC))


def test_a_stream_that_is_kept() -> None:
    assert text(now()) == ["credit-scoring in namespace lending", f"  ✓ logging/inference  {KEPT}"]


def test_one_that_could_not_be_asked() -> None:
    trouble = Trouble(Reason.SINK_UNREACHABLE, "https://logs.bank.example:9428 did not answer within 10 s")
    assert text(Checked().unanswered(trouble)) == [
        "credit-scoring in namespace lending",
        "  ? logging/inference  https://logs.bank.example:9428 did not answer within 10 s",
    ]


def test_the_procedure_is_named_where_there_are_several() -> None:
    several = (asking(), asking(STREAM | {"retention": "30d"}, name="loose"))
    found = text(now(), procedures=several)
    assert [line.split("  ")[1].strip() for line in found[1:]] == ["✓ logging/inference (high-risk)", "✓ logging/inference (loose)"]


@pytest.mark.parametrize("width", [80, 160])
def test_it_stays_within_the_terminal(width: int) -> None:
    assert max(map(len, text(now(), width))) <= width


ENTRY = spec(logging=sent_to()).dump()
MANIFESTS: list[Json] = [
    {"apiVersion": "aiqms.dev/v1alpha1", "kind": "QMSProcedure", "metadata": {"name": "high-risk"}, "spec": asking(endpoints=[]).spec.dump()},
    {"apiVersion": "aiqms.dev/v1alpha1", "kind": "AIModelDeployment", "metadata": {"name": "credit-scoring", "namespace": "lending"}, "spec": ENTRY},
]


def run(folder: Path, *arguments: str, objects: list[Json] = MANIFESTS) -> tuple[int, str]:
    """On these manifests, without a cluster."""
    (folder / "all.yaml").write_text(yaml.safe_dump_all(objects))
    done = CliRunner().invoke(app, ["check-logs", "-f", str(folder), *arguments], env={"KUBECONFIG": str(folder / "none")})
    return done.exit_code, done.output + (str(done.exception) if done.exception and not isinstance(done.exception, SystemExit) else "")


def test_nothing_is_asked_that_no_procedure_allows(tmp_path: Path) -> None:
    code, said = run(tmp_path)
    assert code == 1
    assert "✗ logging/inference  https://logs.bank.example:9428 is no server that logging.endpoints of high-risk allows" in said


def test_without_procedures_and_a_cluster_it_says_what_to_give(tmp_path: Path) -> None:
    assert "give the files of the procedures too" in run(tmp_path, objects=MANIFESTS[1:])[1]


def test_without_a_register_entry_it_says_so(tmp_path: Path) -> None:
    assert "no AIModelDeployment in these manifests" in run(tmp_path, objects=MANIFESTS[:1])[1]
