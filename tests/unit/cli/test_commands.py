"""How the command ends, and what it says, where the cluster cannot be asked: never a stack trace."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

CLI = pathlib.Path(sys.executable).parent / "kubectl-qms"


def run(*arguments: str, kubeconfig: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CLI, *arguments], env=os.environ | {"KUBECONFIG": str(kubeconfig)}, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def nowhere(tmp_path: pathlib.Path) -> tuple[pathlib.Path, int]:
    """A kubeconfig of an address where nothing listens, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "config"
    path.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: none}}}}]
contexts: [{{name: here, context: {{cluster: c, user: u, namespace: lending}}}}]
"""
    )
    return path, port


def test_an_api_server_that_does_not_answer_ends_with_3(nowhere: tuple[pathlib.Path, int]) -> None:
    path, port = nowhere
    ended = run("explain", "aimd/credit-scoring", kubeconfig=path)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"error: the API server at http://127.0.0.1:{port} does not answer (")
    assert ended.stderr.endswith("): check the context (kubectl config current-context) and the network\n")
    assert "refused" in ended.stderr


def test_no_kubeconfig_ends_with_3(tmp_path: pathlib.Path) -> None:
    ended = run("explain", "credit-scoring", kubeconfig=tmp_path / "none")
    assert (ended.returncode, ended.stderr) == (
        3,
        "error: no usable kubeconfig (Invalid kube-config file. No configuration found.): set KUBECONFIG, or choose a context with --context\n",
    )


SUBJECT = "sha256:" + "0" * 64
DECIDING = ("--yes", "--rationale", "why")


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "--watch"),
        ("pending", "-o", "json"),
        ("diff", "x"),
        ("diff", "qmsp/x", "-f", "-"),
        ("approve", "x", "--subject", SUBJECT, *DECIDING),
        ("reject", "x", "--subject", SUBJECT, *DECIDING),
        ("withdraw", "apr/x", *DECIDING),
        ("stop", "x", *DECIDING),
        ("resume", "x", *DECIDING),
        ("emergency", "x", "--subject", SUBJECT, *DECIDING),
        ("review", "x", *DECIDING),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_that_asks_a_cluster_says_when_it_cannot(arguments: tuple[str, ...], nowhere: tuple[pathlib.Path, int]) -> None:
    ended = run(*arguments, kubeconfig=nowhere[0])
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("error: the API server at http://127.0.0.1:")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("approve", "x"), "nobody is at a terminal to be asked (or --yes was given): give --yes and --subject and --rationale too"),
        (("stop", "x"), "give --yes and --rationale too"),
        (("approve", "x", "--subject", "sha256:12", *DECIDING), "'sha256:12' is no fingerprint"),
        (("approve", "x", "--subject", SUBJECT, "--expires", "soon", *DECIDING), "'soon' is no time"),
        (("emergency", "x", "--subject", SUBJECT, "--for", "0h", *DECIDING), "'0h' is not after now"),
        (("withdraw", "pod/x", *DECIDING), "withdraw takes a record or a deployment: write apr/x or aimd/x, not pod/x"),
        (("review", "x", "--record", "aimd/y", *DECIDING), "this is the name of an ApprovalRecord: write apr/y, not aimd/y"),
        (("diff", "qmsp/x"), "give the new procedure with -f, or the old and the new one with two"),
        (("diff", "pod/x"), "diff compares deployments and procedures"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_said_before_anything_is_asked(arguments: tuple[str, ...], said: str, nowhere: tuple[pathlib.Path, int]) -> None:
    ended = run(*arguments, kubeconfig=nowhere[0])
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in " ".join(ended.stderr.split())


def test_a_context_that_is_not_there_ends_with_3_and_is_named(nowhere: tuple[pathlib.Path, int]) -> None:
    ended = run("explain", "credit-scoring", "--context", "there", kubeconfig=nowhere[0])
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "there" in ended.stderr


@pytest.mark.parametrize("arguments", [("explain",), ("explain", "pod/x"), ("explain", "x", "-o", "xml"), ("unknown",)], ids=" ".join)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], nowhere: tuple[pathlib.Path, int]) -> None:
    assert run(*arguments, kubeconfig=nowhere[0]).returncode == 2


def test_another_kind_is_told_which_one_is_known(nowhere: tuple[pathlib.Path, int]) -> None:
    assert "this command knows AIModelDeployments: write aimd/x, not pod/x" in run("explain", "pod/x", kubeconfig=nowhere[0]).stderr


def test_the_help_that_refusals_name_says_how_to_register(tmp_path: pathlib.Path) -> None:
    said = " ".join(run("explain", "--help", kubeconfig=tmp_path / "none").stdout.split())
    assert "the label aiqms.dev/deployment: NAME in its workload's pod template, an AIModelDeployment NAME in its namespace" in said


EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
LENDING = EXAMPLES / "lending"


def fingerprint(*files: pathlib.Path, more: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run("fingerprint", *(part for file in files for part in ("-f", str(file))), *more, kubeconfig=pathlib.Path("none"))


def test_a_fingerprint_needs_no_cluster() -> None:
    before = fingerprint(LENDING / "procedure.yaml", LENDING / "deployment.yaml", LENDING / "workload.yaml")
    after = fingerprint(LENDING / "procedure.yaml", LENDING / "workload.yaml", LENDING / "model-4.2.0")
    assert [(e.returncode, e.stderr, e.stdout.split("  ")[0]) for e in (before, after)] == [(0, "", "lending/credit-scoring")] * 2
    assert re.match(r"lending/credit-scoring  sha256:[0-9a-f]{64}\n  model +sha256:[0-9a-f]{64}\n", before.stdout)
    assert before.stdout != after.stdout


def test_fingerprints_for_programs_say_what_they_are_made_of() -> None:
    (row,) = json.loads(fingerprint(LENDING / "procedure.yaml", LENDING / "deployment.yaml", LENDING / "workload.yaml", more=("-o", "json")).stdout)
    assert list(row) == ["namespace", "name", "fingerprint", "components"]
    assert list(row["components"]) == ["model", "data", "purpose", "workload", "procedures"]


def test_manifests_that_do_not_tell_end_with_1_and_name_what_is_missing() -> None:
    ended = fingerprint(LENDING / "procedure.yaml", LENDING / "model-4.2.0")
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        1,
        "",
        "error: Deployment/credit-scoring reads ConfigMap credit-scoring, whose content is part of the subject and not in these manifests: give its file too\n",
    )


def test_procedures_that_are_not_given_are_missed() -> None:
    ended = fingerprint(LENDING / "deployment.yaml", LENDING / "workload.yaml")
    assert (ended.returncode, ended.stderr) == (
        0,
        "warning: no QMSProcedure among these manifests; where one applies in the cluster, the fingerprint there is another\n",
    )


def test_the_charts_values_decide_what_a_device_is(tmp_path: pathlib.Path) -> None:
    files, values = (EXAMPLES / "kinds" / "procedure.yaml", EXAMPLES / "kinds" / "pod.yaml"), tmp_path / "values.yaml"
    values.write_text("gate: {plainResources: [cpu, memory, nvidia.com/gpu]}")
    assert fingerprint(*files, more=("--values", str(values))).stdout != fingerprint(*files).stdout
    values.write_text("[]")
    ended = fingerprint(*files, more=("--values", str(values)))
    assert (ended.returncode, ended.stderr) == (1, f"error: {values} is no file of chart values: give the one that helm gets\n")
