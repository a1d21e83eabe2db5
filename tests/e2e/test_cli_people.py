"""`kubectl qms` in the hands of the people who decide: every command, and what it refuses, with their own credentials on a real cluster."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import RBAC, binding
from tests.e2e.given import NAME, NEXT_MODEL, Place, placed, procedure, registered, workload
from tests.e2e.terminal import Terminal, at_terminal
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.waiting import eventually

CLI = Path(sys.executable).parent / "kubectl-qms"
ROLES = ({"role": "model-owner"}, {"role": "risk-manager", "count": 2})
STOP = {"roles": ["incident-commander"]}
GLASS = {"roles": ["incident-commander"], "maxDuration": "4h", "reviewWithin": "2d"}
PIPELINE = {"kind": "ServiceAccount", "name": "ci", "namespace": "ci"}
SECONDS = 60  # for a command with its questions
DONE, NO, USAGE, CANNOT_ASK = 0, 1, 2, 3


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    """Governed; carol is an incident-commander too, risk-managers may look at the workloads, and the pipeline edits."""
    with placed(cluster, namespace) as found:
        for role, subject in (("aiqms-role-incident-commander", user("carol")), ("view", group("risk-managers")), ("edit", PIPELINE)):
            found.admin.create(binding(namespace, role, "") | {"subjects": [subject]})
        yield found


@pytest.fixture
def procedures_readable(place: Place) -> Iterator[None]:
    """carol may read procedures, which are of no namespace."""
    made: Json = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{place.namespace}-procedures"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "aiqms-view"},
        "subjects": [user("carol")],
    }
    place.admin.create(made)
    eventually(lambda: place.by("carol").may("list", "qmsprocedures", group="aiqms.dev"), within=30, what="carol reads procedures")
    yield
    place.admin.delete("clusterrolebindings", made["metadata"]["name"])


def user(name: str) -> Json:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}


def group(name: str) -> Json:
    return user(name) | {"kind": "Group"}


def qms(place: Place, person: str, *arguments: str, code: int = DONE, anywhere: bool = False) -> str:
    """What the command said to this person: its output, or its error where it ends with another code than 0; it ends with `code`."""
    ended = subprocess.run(
        command(place, person, *arguments, anywhere=anywhere), env=environment(place), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr if code and ended.stderr else ended.stdout


def command(place: Place, person: str, *arguments: str, anywhere: bool = False) -> list[str]:
    return [str(CLI), *arguments, "--context", person, *(() if anywhere else ("-n", place.namespace))]


def environment(place: Place) -> dict[str, str]:
    return place.cluster.environment() | {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "xterm"}


@contextmanager
def terminal(place: Place, person: str, *arguments: str) -> Iterator[Terminal]:
    with at_terminal(command(place, person, *arguments), environment(place)) as found:
        yield found


def records(place: Place) -> list[tuple[str, str]]:
    """Who decided what, sorted."""
    return sorted((r["spec"]["approver"]["username"], r["spec"]["decision"]) for r in place.admin.list("apr", place.namespace))


def waiting(place: Place, **spec: Any) -> str:
    """Registered and deployed under a procedure with three approvals; the fingerprint."""
    place.govern(**({"roles": ROLES, "stop": STOP, "emergency": GLASS} | spec))
    place.register()
    place.deploy()
    place.await_pods(held=1)
    return place.subject


def approve(place: Place, person: str, subject: str, *more: str, code: int = DONE) -> str:
    return qms(place, person, "approve", NAME, "--subject", subject, "--rationale", "Of a test", "--yes", *more, code=code)


def cleared(place: Place, **spec: Any) -> str:
    subject = waiting(place, **spec)
    for person in ("alice", "bob", "carol"):
        approve(place, person, subject, *(("--role", "risk-manager") if person != "alice" else ()))
    place.await_pods(running=1)
    place.await_phase("Running")
    return subject


def pending(place: Place, person: str) -> list[Json]:
    found: list[Json] = json.loads(qms(place, person, "pending", "-o", "json"))
    return found


class TestApproval:
    def test_a_round_of_approvals_by_what_pending_says(self, place: Place) -> None:
        subject = waiting(place)
        for person, role in (("alice", "model-owner"), ("bob", "risk-manager"), ("carol", "risk-manager")):
            (task,) = pending(place, person)
            assert (task["what"], task["role"], task["subject"]) == ("Approve", role, subject)
            assert task["command"] == f"kubectl qms approve {NAME} --role {role} -n {place.namespace}"
            said = qms(place, person, *task["command"].split()[2:-2], "--subject", subject, "--rationale", "Report 42", "--yes")
            assert re.search(rf"^approved: apr/{NAME}-\w+ counts: {person} approves the current subject as {role}", said, re.MULTILINE)
            assert pending(place, person) == []
        place.await_pods(running=1)
        assert "nothing waits for you (alice)" in qms(place, "alice", "pending")

    def test_at_a_terminal_it_shows_asks_and_records(self, place: Place) -> None:
        subject = waiting(place)
        with terminal(place, "alice", "approve", NAME) as screen:
            screen.awaits("why:")
            assert f"  {subject}\r\n" in screen.screen
            assert "Nothing of it was approved before." in screen.screen
            assert "✗ model-owner   0 of 1" in screen.screen
            screen.types("Report 42 reviewed\n")
            screen.awaits(f"Approve {subject[:15]} as model-owner? [y/N]:")
            assert records(place) == []
            screen.types("y\n")
            assert screen.ends() == DONE
            assert "counts: alice approves the current subject as model-owner" in " ".join(screen.screen.split())
        (made,) = place.admin.list("apr", place.namespace)
        assert (made["spec"]["rationale"], made["spec"]["subject"], made["spec"]["approver"]["username"]) == ("Report 42 reviewed", subject, "alice")

    @pytest.mark.parametrize("typed", ["n\n", "\n", "\x03", "\x04"], ids=["no", "Enter", "Ctrl-C", "Ctrl-D"])
    def test_a_person_who_does_not_say_yes_records_nothing(self, place: Place, typed: str) -> None:
        waiting(place)
        with terminal(place, "alice", "approve", NAME, "--rationale", "Report 42") as screen:
            screen.awaits("[y/N]:")
            screen.types(typed)
            assert screen.ends() == NO
            assert "nothing was recorded" in screen.screen
        assert records(place) == []

    def test_what_changes_while_it_is_looked_at_is_not_approved(self, place: Place) -> None:
        before = waiting(place)
        with terminal(place, "alice", "approve", NAME, "--rationale", "Report 42") as screen:
            screen.awaits("[y/N]:")
            place.deploy(args=["--max-model-len=4096"])
            assert place.subject != before
            screen.types("y\n")
            assert screen.ends() == NO
            assert f"{NAME} changed while you looked at it" in " ".join(screen.screen.split())
        assert records(place) == []

    def test_two_people_at_once_both_count(self, place: Place) -> None:
        subject = waiting(place)
        approve(place, "alice", subject)
        both = [command(place, p, "approve", NAME, "--subject", subject, "--role", "risk-manager", "--rationale", "At once", "--yes") for p in ("bob", "carol")]
        running = [subprocess.Popen(one, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in both]
        said = [one.communicate(timeout=SECONDS) for one in running]
        assert [one.returncode for one in running] == [DONE, DONE], said
        place.await_pods(running=1)

    def test_a_change_is_approved_before_it_is_made(self, place: Place) -> None:
        cleared(place)
        rule = next(p for p in place.admin.list("qmsp") if p["spec"]["appliesTo"].get("namespaces") == [place.namespace])
        ahead = fingerprint([registered(place.namespace, model=NEXT_MODEL), workload(place.namespace, model=NEXT_MODEL), rule])
        for person, role in (("alice", "model-owner"), ("bob", "risk-manager"), ("carol", "risk-manager")):
            assert "approved beforehand: apr/" in approve(place, person, ahead, "--role", role)
        place.register(model=NEXT_MODEL)
        place.deploy(model=NEXT_MODEL)
        assert place.subject == ahead
        place.awaited(lambda: place.status["phase"] == "Running" and place.status["serving"]["fingerprint"] == ahead, "the change runs")


def fingerprint(manifests: list[Json]) -> str:
    said = subprocess.run([str(CLI), "fingerprint", "-f", "-", "-o", "json"], input=yaml.safe_dump_all(manifests), capture_output=True, text=True, check=True)
    return str(json.loads(said.stdout)[0]["fingerprint"])


class TestRefusals:
    """What the API server would refuse is refused before, with the right that is missing; and nothing is recorded."""

    def test_without_the_role(self, place: Place) -> None:
        subject = waiting(place)
        said = approve(place, "mallory", subject, code=NO)
        assert "it takes model-owner or risk-manager, and you (mallory) hold none of them by name" in said
        assert "verb approve on approvalroles.aiqms.dev" in said
        assert f"kubectl create rolebinding model-owner-mallory --clusterrole aiqms-role-model-owner --user mallory -n {place.namespace}" in said
        said = approve(place, "bob", subject, "--role", "model-owner", code=NO)
        assert said.startswith(f"error: you (bob) do not hold role model-owner in namespace {place.namespace}: it takes verb approve")
        assert records(place) == []

    def test_the_binding_that_it_names_gives_the_role(self, place: Place) -> None:
        subject = waiting(place)
        said = approve(place, "mallory", subject, "--role", "model-owner", code=NO)
        place.cluster.kubectl(*said[said.index("create rolebinding") :].split())
        eventually(lambda: place.by("mallory").may("approve", "approvalroles", place.namespace, name="model-owner", group="aiqms.dev"), within=30, what="bound")
        approve(place, "mallory", subject)
        assert records(place) == [("mallory", "Approve")]

    def test_by_a_wildcard_or_a_program(self, place: Place) -> None:
        subject = waiting(place)
        assert "you hold every role by a wildcard right" in approve(place, "admin", subject, "--role", "model-owner", code=NO)
        assert "a decision is a person's, and system:serviceaccount:ci:ci is a part of the cluster" in approve(
            place, "ci", subject, "--role", "model-owner", code=NO
        )
        assert records(place) == []

    def test_twice(self, place: Place) -> None:
        subject = waiting(place)
        approve(place, "bob", subject)
        assert "you approved it already (apr/" in approve(place, "bob", subject, "--role", "risk-manager", code=NO)
        assert "what is missing is by model-owner and risk-manager, by other people" in approve(place, "bob", subject, code=NO)
        assert records(place) == [("bob", "Approve")]

    def test_of_one_s_own_change(self, place: Place) -> None:
        subject = waiting(place, approvals={"separationOfDuties": "DistinctFromEditors"})
        place.admin.create(
            binding(place.namespace, "aiqms-role-model-owner", "lending-platform") | {"metadata": {"name": "editors-too", "namespace": place.namespace}}
        )
        eventually(lambda: place.by("mallory").may("approve", "approvalroles", place.namespace, name="model-owner", group="aiqms.dev"), within=30, what="bound")
        place.awaited(lambda: place.control("register/author") == ("Pass", "AuthorKnown"), "the author is known")
        assert f"you changed {NAME}, and the procedure wants others to approve it" in approve(place, "mallory", subject, code=NO)
        assert pending(place, "mallory") == []
        assert records(place) == []

    def test_in_a_role_that_no_procedure_names(self, place: Place) -> None:
        subject = waiting(place)
        said = approve(place, "bob", subject, "--role", "clown", code=NO)
        assert said == f"error: no procedure that applies to {NAME} names role clown; they name: model-owner, risk-manager\n"

    def test_of_what_is_complete(self, place: Place) -> None:
        subject = cleared(place)
        assert "nothing is missing" in approve(place, "bob", subject, code=NO)

    def test_of_what_is_not_registered(self, place: Place) -> None:
        waiting(place)
        with terminal(place, "bob", "approve", "nothing") as screen:
            assert screen.ends() == NO
            assert f"namespace {place.namespace} has no AIModelDeployment nothing" in " ".join(screen.screen.split())

    def test_a_script_names_what_it_decides_about(self, place: Place) -> None:
        waiting(place)
        said = qms(place, "bob", "approve", NAME, "--yes", "--rationale", "x", code=USAGE)
        assert "give --subject too" in said
        assert "is no fingerprint" in qms(place, "bob", "approve", NAME, "--yes", "--rationale", "x", "--subject", "sha256:1", code=USAGE)
        assert records(place) == []

    def test_with_a_rationale_that_no_record_holds(self, place: Place) -> None:
        subject = waiting(place)
        said = approve(place, "bob", subject, "--rationale", "y" * 4097, code=NO)
        assert said == "error: the rationale has 4097 characters, and a record holds 4096: shorten it, or name a document\n"

    def test_a_dry_run_asks_the_api_server_and_stores_nothing(self, place: Place) -> None:
        subject = waiting(place)
        said = qms(place, "bob", "approve", NAME, "--subject", subject, "--rationale", "x", "--dry-run")
        assert said.endswith("would be approved: the API server would take this record (nothing was stored)\n")
        assert records(place) == []


class TestRejection:
    def test_it_holds_until_its_author_or_the_role_takes_it_back(self, place: Place) -> None:
        subject = waiting(place)
        said = qms(place, "bob", "reject", NAME, "--subject", subject, "--rationale", "Drift", "--yes")
        name = re.findall(r"apr/(\S+) counts: bob rejects", said)[0]
        place.await_phase("Held", "Rejected")
        shown = qms(place, "carol", "explain", NAME, code=NO)
        assert f"you run: kubectl qms withdraw apr/{name} -n {place.namespace}" in shown
        assert pending(place, "carol") == []
        assert "you (mallory) are neither" in qms(place, "mallory", "withdraw", f"apr/{name}", "--rationale", "x", "--yes", code=NO)
        assert f"apr/{name} counts" not in qms(place, "carol", "withdraw", f"apr/{name}", "--rationale", "Mended", "--yes")
        place.await_verdict(name, False, "Withdrawn")
        assert f"apr/{name} was taken back already" in qms(place, "bob", "withdraw", f"apr/{name}", "--rationale", "x", "--yes", code=NO)

    def test_an_approval_is_taken_back_by_naming_the_deployment(self, place: Place) -> None:
        cleared(place)
        said = qms(place, "bob", "withdraw", NAME, "--rationale", "New findings", "--yes")
        assert "! this subject serves now" in said
        place.await_phase("Held", "ApprovalWithdrawn")
        assert "no record of yours (bob)" in qms(place, "bob", "withdraw", NAME, "--rationale", "x", "--yes", code=NO)
        assert "has no ApprovalRecord nothing" in qms(place, "bob", "withdraw", "apr/nothing", "--rationale", "x", "--yes", code=NO)


class TestStop:
    def test_it_ends_all_pods_and_resume_lets_them_go_on(self, place: Place, procedures_readable: None) -> None:
        cleared(place)
        said = qms(place, "carol", "stop", NAME, "--yes")
        assert f"{NAME} in namespace {place.namespace}: 1 pod running, 0 held" in said
        assert "counts: carol stopped scoring" in said
        place.await_pods(held=1)
        place.await_phase("Stopped", "Stopped")
        assert [t["what"] for t in pending(place, "carol")] == ["Resume"]
        assert pending(place, "bob") == []
        assert f"you run: kubectl qms resume {NAME} -n {place.namespace}" in qms(place, "carol", "explain", NAME, code=NO)
        assert "do not hold role incident-commander" in qms(place, "mallory", "resume", NAME, "--rationale", "x", "--yes", code=NO)
        place.awaited(lambda: later(place), "a second later")
        assert "counts: carol lets scoring go on" in qms(place, "carol", "resume", NAME, "--rationale", "Mended", "--yes")
        place.await_pods(running=1)
        assert f"{NAME} is not stopped by anybody" in qms(place, "carol", "resume", NAME, "--rationale", "x", "--yes", code=NO)

    def test_who_may_not_read_procedures_learns_the_role_from_the_status(self, place: Place) -> None:
        cleared(place)
        assert "counts: carol stopped scoring" in qms(place, "carol", "stop", NAME, "--yes")
        place.await_pods(held=1)

    def test_a_stop_that_does_not_count_says_so(self, place: Place) -> None:
        cleared(place)
        said = qms(place, "bob", "stop", NAME, "--yes", "--role", "risk-manager", code=NO)
        assert "RoleNotRequired: no procedure names risk-manager under stop.roles; they name: incident-commander" in said
        place.await_phase("Running")

    def test_an_administrator_may_stop_and_nothing_else(self, place: Place) -> None:
        cleared(place)
        qms(place, "admin", "stop", NAME, "--yes")
        place.await_pods(held=1)
        assert "you hold every role by a wildcard right" in qms(place, "admin", "resume", NAME, "--rationale", "x", "--yes", code=NO)

    def test_what_is_not_registered_any_more_is_stopped_too(self, place: Place, procedures_readable: None) -> None:
        cleared(place)
        place.by("mallory").delete("aimd", NAME, place.namespace)
        said = qms(place, "carol", "stop", NAME, "--yes")
        assert "nothing of this name is registered here; pods that bear its label are stopped all the same" in said
        place.awaited(lambda: not place.running(), "no pod runs")

    def test_with_the_operator_down_it_is_recorded_and_says_that_nobody_judged_it(self, place: Place, operator: Operator) -> None:
        cleared(place)
        operator.stop()
        said = qms(place, "carol", "stop", NAME, "--yes", "--role", "incident-commander")
        assert "the operator has not said yet whether it counts: kubectl get apr" in said
        operator.start()
        place.await_pods(held=1)


def later(place: Place) -> bool:
    """Whether the API server's clock is past the second of the last record: what lifts a Stop is later than it."""
    now = place.admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clock", "namespace": place.namespace}}, dry_run=True)
    made = max(r["metadata"]["creationTimestamp"] for r in place.admin.list("apr", place.namespace))
    return bool(now["metadata"]["creationTimestamp"] > made)


class TestEmergency:
    def test_it_runs_for_a_while_and_another_person_reviews_it(self, place: Place, procedures_readable: None) -> None:
        subject = waiting(place)
        said = qms(place, "carol", "emergency", NAME, "--subject", subject, "--rationale", "Nobody is there", "--for", "30m", "--yes")
        assert "! nobody's approval is asked: this subject runs until the end, and everybody is told" in said
        assert "at most 4h, and somebody else reviews it within 2d or everything stops" in said
        name = re.findall(r"glass broken: apr/(\S+) counts", said)[0]
        place.await_pods(running=1)
        assert "EMERGENCY; ends " in qms(place, "carol", "status")
        assert "RUNNING BY EMERGENCY: cleared for a while without its approvals" in qms(place, "bob", "explain", NAME)
        assert "Review" not in [t["what"] for t in pending(place, "carol")]
        assert [t["command"] for t in pending(place, "bob") if t["what"] == "Review"] == [f"kubectl qms review {NAME} --record {name} -n {place.namespace}"]
        assert "you broke the glass yourself" in qms(place, "carol", "review", NAME, "--rationale", "x", "--yes", code=NO)
        assert "reviewed: apr/" in qms(place, "bob", "review", NAME, "--rationale", "Justified", "--yes")
        assert f"no emergency of {NAME} waits for a review" in qms(place, "alice", "review", NAME, "--rationale", "x", "--yes", code=NO)

    def test_it_takes_the_role_a_rationale_and_a_subject(self, place: Place, procedures_readable: None) -> None:
        subject = waiting(place)
        assert "do not hold role incident-commander" in qms(place, "mallory", "emergency", NAME, "--subject", subject, "--rationale", "x", "--yes", code=NO)
        assert "give --rationale too" in qms(place, "carol", "emergency", NAME, "--subject", subject, "--yes", code=USAGE)
        assert "a rationale is missing" in qms(place, "carol", "emergency", NAME, "--subject", subject, "--rationale", " ", "--yes", code=NO)
        assert "is no time" in qms(place, "carol", "emergency", NAME, "--subject", subject, "--rationale", "x", "--for", "long", "--yes", code=USAGE)
        assert records(place) == []

    def test_it_lifts_no_stop(self, place: Place, procedures_readable: None) -> None:
        subject = cleared(place)
        qms(place, "carol", "stop", NAME, "--yes")
        said = qms(place, "carol", "emergency", NAME, "--subject", subject, "--rationale", "x", "--yes", code=NO)
        assert f"{NAME} is stopped by a person, which an emergency does not lift" in said


class TestLapse:
    def test_an_approval_that_ends_soon_is_renewed_by_who_gave_it(self, place: Place) -> None:
        short = ({"role": "model-owner"}, {"role": "risk-manager", "count": 2, "validFor": "10d"})
        subject = cleared(place, roles=short)
        assert pending(place, "alice") == []
        (task,) = pending(place, "bob")
        assert (task["what"], task["role"]) == ("Renew", "risk-manager")
        assert task["why"].endswith(", in at most 14 days")
        before = place.status["serving"]["validUntil"]
        assert f"you run: kubectl qms approve {NAME} -n {place.namespace} --renew" in qms(place, "bob", "explain", NAME)
        place.awaited(lambda: later(place), "a second later")
        approve(place, "bob", subject, "--renew")
        approve(place, "carol", subject, "--renew", "--role", "risk-manager")
        place.awaited(lambda: place.status["serving"]["validUntil"] > before, "the clearance lasts longer")


class TestLooking:
    def test_status_lists_what_may_be_read_and_says_which_right_is_missing(self, place: Place) -> None:
        waiting(place)
        assert re.search(rf"^{place.namespace} +{NAME} +High +credit-llm:1 +Held +False +ApprovalMissing +1 +0", qms(place, "bob", "status"), re.MULTILINE)
        everywhere = json.loads(qms(place, "auditor", "status", "-o", "json", anywhere=True))
        assert (place.namespace, NAME, False) in [(d["namespace"], d["name"], d["ready"]) for d in everywhere]
        said = qms(place, "bob", "status", code=CANNOT_ASK, anywhere=True)
        assert 'User "bob" cannot list resource "aimodeldeployments"' in said
        assert "name the namespaces where you may with -n, once for each; ClusterRole view, edit, admin or aiqms-view in the namespace lets you read it" in said
        assert "ClusterRole view" in qms(place, "bob", "explain", NAME, code=CANNOT_ASK, anywhere=True)

    def test_status_follows(self, place: Place) -> None:
        waiting(place)
        with terminal(place, "bob", "status", "--watch") as screen:
            screen.awaits("ApprovalMissing")
            qms(place, "alice", "reject", NAME, "--subject", place.subject, "--rationale", "x", "--yes")
            screen.awaits("Rejected")
            screen.types("\x03")
            assert screen.ends() == 130
            assert "Traceback" not in screen.screen

    def test_diff_shows_the_fields_that_changed(self, place: Place, tmp_path: Path) -> None:
        cleared(place)
        assert "This subject itself was approved last." in qms(place, "bob", "diff", NAME)
        change = tmp_path / "change.yaml"
        change.write_text(yaml.safe_dump(workload(place.namespace, args=["--max-model-len=4096"])))
        line = 'containers[serve].args[0]: "--max-model-len=8192" -> "--max-model-len=4096"'
        assert line in qms(place, "bob", "diff", NAME, "-f", str(change), code=NO)
        place.deploy(args=["--max-model-len=4096"])
        assert place.subject
        said = qms(place, "bob", "diff", NAME, code=NO)
        assert line in said
        assert re.search(r"Changed since sha256:\w{8}, cleared until .*: workload$", said, re.MULTILINE)
        found = json.loads(qms(place, "bob", "diff", NAME, "-o", "json", code=NO))
        assert (found["components"], found["parts"]) == (["workload"], [{"what": f"Deployment/{NAME}", "lines": [line]}])

    def test_who_may_approve_sees_the_changed_fields_and_who_may_read_the_register_alone_is_told_what_is_not_shown(self, place: Place) -> None:
        cleared(place)
        place.deploy(args=["--max-model-len=4096"])
        assert place.subject
        assert '--max-model-len=8192" -> "--max-model-len=4096"' in qms(place, "alice", "diff", NAME, code=NO)

        rules = [{"apiGroups": ["aiqms.dev"], "resources": ["aimodeldeployments", "approvalrecords"], "verbs": ["get", "list"]}]
        place.admin.delete("rolebindings", "aiqms-role-model-owner", place.namespace)
        place.admin.create({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "register", "namespace": place.namespace}, "rules": rules})
        bound = binding(place.namespace, "register", "model-owners")
        place.admin.create(bound | {"roleRef": bound["roleRef"] | {"kind": "Role"}})
        alice = place.by("alice")
        place.awaited(lambda: not alice.may("get", "clearances", place.namespace, group="aiqms.dev"), "the role is gone")
        place.awaited(lambda: alice.may("get", "aimodeldeployments", place.namespace, group="aiqms.dev"), "she reads the register")
        said = qms(place, "alice", "diff", NAME, code=NO)
        assert "what changed within the pods cannot be shown" in said
        assert "lets you read it" in said

    def test_diff_of_a_procedure_says_what_a_revision_means(self, place: Place, tmp_path: Path, procedures_readable: None) -> None:
        waiting(place)
        name = f"{place.namespace}-rule"
        newer = tmp_path / "newer.yaml"
        newer.write_text(yaml.safe_dump(procedure(name, place.namespace, roles=[*ROLES[:1]], revision=2, stop=STOP, emergency=GLASS)))
        said = qms(place, "carol", "diff", f"qmsp/{name}", "-f", str(newer), code=NO)
        assert re.search(r"^  approvals.roles\[risk-manager\].count +2 +–$", said, re.MULTILINE)
        assert "approvals given under revisions before 2 count no longer" in said
        assert "a ClusterRoleBinding to ClusterRole aiqms-view lets you read procedures" in qms(
            place, "mallory", "diff", f"qmsp/{name}", "-f", str(newer), code=CANNOT_ASK
        )
        assert f"the cluster has no QMSProcedure {NAME}" in qms(place, "carol", "diff", f"qmsp/{NAME}", "-f", str(newer), code=NO)

    def test_duties_stand_with_who_holds_them_and_one_that_nobody_holds_is_a_finding(self, place: Place) -> None:
        duties = [{"duty": "RiskManagement", "role": "risk-manager"}, {"duty": "DataGovernance", "role": "data-steward"}]
        waiting(place, responsibilities=duties)
        said = qms(place, "auditor", "explain", NAME, code=NO)
        assert re.search(r"^    RiskManagement +risk-manager +group risk-managers$", said, re.MULTILINE)
        assert re.search(r"^  ✗ DataGovernance +data-steward +nobody: a finding$", said, re.MULTILINE)
        found = yaml.safe_load(qms(place, "auditor", "explain", NAME, "-o", "yaml", code=NO))
        assert [(r["duty"], r["who"], r["known"]) for r in found["responsibilities"]] == [
            ("RiskManagement", ["group risk-managers"], True),
            ("DataGovernance", [], True),
        ]

    def test_who_holds_no_role_is_told_that_nothing_waits(self, place: Place) -> None:
        waiting(place)
        assert qms(place, "mallory", "pending") == "nothing waits for you (mallory)\n"
        assert json.loads(qms(place, "mallory", "pending", "-o", "json")) == []

    def test_programs_get_the_record(self, place: Place) -> None:
        subject = waiting(place)
        made = yaml.safe_load(approve(place, "alice", subject, "-o", "yaml"))
        assert (made["kind"], made["status"]["counts"], made["spec"]["approver"]["username"]) == ("ApprovalRecord", True, "alice")
        assert "managedFields" not in made["metadata"]


def test_tab_offers_what_is_there(place: Place) -> None:
    waiting(place)
    here = ("--context", "bob", "-n", place.namespace)
    assert offered(place, "approve", *here, "") == [f"{NAME}\tHeld", ":4"]
    assert offered(place, "approve", *here, "--role", "r") == ["risk-manager", ":4"]
    assert offered(place, "approve", "--context", "b") == ["bob", ":4"]


def offered(place: Place, *words: str) -> list[str]:
    ended = subprocess.run([str(CLI), "__complete", *words], env=environment(place), capture_output=True, text=True, timeout=SECONDS, check=True)
    return ended.stdout.splitlines()


STYLES = re.compile(r"\x1b\[[0-9;]*m")
PASTED = re.compile(r"kubectl |sha256:[0-9a-f]{64}|https?://")
YES = ("[y/N]:", "y\n")
LENDING = Path(__file__).parents[2] / "examples" / "lending"


def screen(place: Place, person: str, *arguments: str, columns: int, typed: tuple[tuple[str, str], ...] = (), anywhere: bool = False) -> tuple[int, str]:
    """The exit code and what stands on the screen in the end, without colours: lines end before the edge, but for what is to be pasted."""
    env = {k: v for k, v in environment(place).items() if k not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm-256color"}
    with at_terminal(command(place, person, *arguments, anywhere=anywhere), env, columns=columns) as found:
        for awaited, answer in typed:
            found.awaits(awaited)
            found.types(answer)
        code, shown = found.ends(), STYLES.sub("", found.screen).replace("\r\n", "\n")
    assert "Traceback" not in shown
    assert [line for line in shown.splitlines() if len(line) > columns and not PASTED.search(line)] == []
    return code, shown


@pytest.mark.parametrize("columns", [80, 160])
def test_every_command_at_a_real_terminal(place: Place, columns: int) -> None:
    def at(person: str, *arguments: str, code: int = DONE, sees: str, typed: tuple[tuple[str, str], ...] = ()) -> None:
        ended, shown = screen(place, person, *arguments, columns=columns, typed=typed, anywhere="doctor" in arguments)
        assert (ended, sees in " ".join(shown.split())) == (code, True), shown

    why = ("why:", "Of a test\n")
    subject = waiting(place)
    at("bob", "status", sees="Held False ApprovalMissing 1 0")
    at("bob", "explain", NAME, code=NO, sees="0 of 1 model-owner approvals")
    at("alice", "pending", sees=f"kubectl qms approve {NAME} --role model-owner -n {place.namespace}")
    at("alice", "approve", NAME, sees="counts: alice approves the current subject as model-owner", typed=(why, YES))
    at("bob", "reject", NAME, sees="counts: bob rejects the current subject as risk-manager", typed=(why, YES))
    at("bob", "withdraw", NAME, sees="counts: bob takes back apr/", typed=(why, YES))
    at("bob", "diff", NAME, sees="Nothing of it was approved before.")
    at("carol", "emergency", NAME, "--for", "30m", sees="carol broke the glass", typed=(why, YES))
    at("bob", "review", NAME, sees="bob reviewed the emergency (Approve)", typed=(why, YES))
    at("carol", "stop", NAME, sees=f"carol stopped {NAME}", typed=(("none):", "Of a test\n"), YES))
    place.awaited(lambda: later(place), "a second later")
    at("carol", "resume", NAME, sees=f"carol lets {NAME} go on", typed=(why, YES))
    at("mallory", "approve", NAME, "--subject", subject, code=NO, sees="do not hold role risk-manager")
    at("bob", "doctor", code=CANNOT_ASK, sees="you may not")


@pytest.mark.parametrize("columns", [80, 160])
def test_what_asks_no_cluster_at_a_real_terminal(place: Place, columns: int) -> None:
    def at(*arguments: str) -> tuple[int, str]:
        with at_terminal([str(CLI), *arguments], environment(place), columns=columns) as found:
            return found.ends(), found.screen

    files = ("-f", str(LENDING / "deployment.yaml"), "-f", str(LENDING / "workload.yaml"))
    assert at("fingerprint", *files)[0] == DONE
    code, shown = at("lint", *files)
    assert (code, "findings in" in shown) == (NO, True)
    assert at("completion") == (DONE, '#!/bin/sh\r\nexec kubectl-qms __complete "$@"\r\n')
    for name in ("status", "pending", "explain", "diff", "approve", "reject", "withdraw", "stop", "resume", "emergency", "review", "doctor"):
        code, shown = at(name, "--help")
        assert (code, "Traceback" in shown, max(map(len, shown.splitlines())) <= columns) == (DONE, False, True), shown
