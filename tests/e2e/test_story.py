"""The main story: held, approved, released; changed, held beside what serves, approved, rolled out. Asserted on what the API server stores."""

from __future__ import annotations

import io
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import yaml

from aiqms.cli.offline import Manifests, subjects
from aiqms.gate.rules import DEFAULTS
from tests.e2e.given import NAME, NEXT_MODEL, Place, await_gone, config_map, held, placed, refused, registered, workload
from tests.testbed.__main__ import PROJECT
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.demo import APPLY, BYPASSES, EXAMPLE, NAMESPACE, Story
from tests.testbed.operator_process import Operator

SUBJECT = "aiqms.dev/subject"
TWO_ROLES = ({"role": "model-owner"}, {"role": "risk-manager", "count": 2})


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def test_invariant_1_nothing_runs_until_the_last_approval_and_then_within_a_second(place: Place) -> None:
    place.govern(roles=TWO_ROLES)
    place.register()
    place.deploy(replicas=2)
    place.await_pods(held=2)
    place.await_phase("Held", "ApprovalMissing")
    assert [pod["spec"].get("nodeName") for pod in place.pods()] == [None, None]

    place.decide("alice", "model-owner")
    place.decide("bob", "risk-manager")
    place.awaited(
        lambda: (
            [(role["role"], role["given"], role["by"]) for role in place.status["approvals"]] == [("model-owner", 1, ["alice"]), ("risk-manager", 1, ["bob"])]
        ),
        "two approvals are counted",
    )
    assert len(place.held()) == 2

    subject = place.subject
    last = place.decide("carol", "risk-manager", subject=subject)
    began = time.monotonic()
    place.awaited(lambda: len(place.pods()) == 2 and not place.held(), "both pods are released")
    assert time.monotonic() - began < 1.0
    place.await_pods(running=2)
    assert {pod["metadata"]["annotations"][SUBJECT] for pod in place.pods()} == {subject}
    place.await_phase("Running", "Approved")
    place.await_verdict(last, True, "Counted")
    assert place.status["serving"]["fingerprint"] == subject


READS: Json = {"envFrom": [{"configMapRef": {"name": "prompts"}}]}


def an_image(place: Place) -> None:
    place.deploy(image="registry.bank.example/vllm:v2", **READS)


def an_argument(place: Place) -> None:
    place.deploy(args=["--max-model-len=16384"], **READS)


def the_content_of_a_config_map(place: Place) -> None:
    place.by("mallory").apply(config_map(place.namespace, "prompts-2", system="Be kind"))
    place.deploy(envFrom=[{"configMapRef": {"name": "prompts-2"}}])


def the_model(place: Place) -> None:
    place.register(model=NEXT_MODEL)
    place.deploy(model=NEXT_MODEL, **READS)


CHANGES = ((an_image, ["workload"]), (an_argument, ["workload"]), (the_content_of_a_config_map, ["workload"]), (the_model, ["model", "workload"]))


class TestAChange:
    """Invariant 4: a new subject. The pods of the one approved serve and are rescheduled, the new ones wait."""

    @pytest.mark.parametrize(("change", "components"), CHANGES, ids=lambda value: getattr(value, "__name__", None))
    def test_invariant_4_old_pods_serve_and_reschedule_new_ones_wait(self, place: Place, change: Callable[[Place], None], components: list[str]) -> None:
        place.by("mallory").apply(config_map(place.namespace, "prompts", system="Be terse"))
        place.govern()
        place.register()
        place.deploy(**READS)
        place.await_pods(held=1)
        place.decide("alice")
        approved = place.await_phase("Running")

        change(place)
        place.await_pods(held=1, running=1)
        changed = place.await_phase("ChangePending", "ApprovalMissing")
        status = place.status
        assert (changed != approved, status["serving"]["fingerprint"], status["subject"]["changed"]) == (True, approved, components)

        successor = place.await_replacement(place.running()[0])
        assert not held(successor)
        place.await_pods(held=1, running=1)

        place.decide("alice")
        place.await_pods(running=1)
        assert place.await_phase("Running") == changed

    def test_a_change_of_the_content_that_pods_read_is_refused_with_what_to_do(self, place: Place) -> None:
        place.by("mallory").apply(config_map(place.namespace, "prompts", system="Be terse"))
        place.govern()
        place.register()
        place.deploy(**READS)
        place.decide("alice")
        place.await_pods(running=1)

        with refused("frozen: configmaps/prompts", "make one under another name, point the workload to it, and have that approved"):
            place.by("mallory").patch("configmaps", "prompts", {"data": {"system": "Be kind"}}, place.namespace)
        with refused("frozen: configmaps/prompts"):
            place.by("mallory").delete("configmaps", "prompts", place.namespace)
        assert place.admin.get("configmaps", "prompts", place.namespace)["data"] == {"system": "Be terse"}

    def test_going_back_to_what_was_approved_needs_no_approval(self, place: Place) -> None:
        approved = place.cleared()
        place.deploy(args=["--max-model-len=16384"])
        place.await_pods(held=1, running=1)

        place.deploy()
        place.await_pods(running=1)
        assert place.await_phase("Running") == approved

    def test_back_from_an_approved_change_needs_no_approval_either(self, place: Place) -> None:
        first = place.cleared()
        record = place.admin.list("apr", place.namespace)[0]["metadata"]["name"]
        place.deploy(args=["--max-model-len=16384"])
        place.await_pods(held=1, running=1)
        place.decide("alice")
        place.await_phase("Running")
        place.await_verdict(record, False, "SubjectSuperseded")

        place.deploy()
        assert place.subject == first
        place.await_phase("Running")
        place.await_pods(running=1)
        place.await_verdict(record, True, "Counted")

    def test_a_fingerprint_worked_out_offline_and_approved_beforehand_rolls_out_within_a_second(self, place: Place) -> None:
        place.cleared()
        rule = place.admin.get("qmsp", f"{place.namespace}-rule")
        after = [rule, registered(place.namespace, model=NEXT_MODEL), workload(place.namespace, model=NEXT_MODEL, image="registry.bank.example/vllm:v2")]
        foreseen = subjects(Manifests(after), DEFAULTS)[place.namespace, NAME].fingerprint
        early = place.decide("alice", subject=foreseen)
        place.await_verdict(early, False, "SubjectUnknown")

        place.register(model=NEXT_MODEL)
        place.deploy(model=NEXT_MODEL, image="registry.bank.example/vllm:v2")
        began = time.monotonic()
        new = {"registry.bank.example/vllm:v2"}
        place.awaited(lambda: new <= {pod["spec"]["containers"][0]["image"] for pod in place.pods() if not held(pod)}, "the new pod is not held any more")
        assert time.monotonic() - began < 1.0
        place.await_pods(running=1)
        assert place.subject == foreseen
        place.await_phase("Running")
        place.await_verdict(early, True, "Counted")


def test_the_demo_tells_its_story_and_what_it_suggests_to_try_is_refused(cluster: Cluster, operator: Operator, admin: Api) -> None:
    story = Story(cluster=cluster, operator=operator, out=(out := io.StringIO()))
    before = yaml.safe_load((PROJECT / EXAMPLE / "deployment.yaml").read_text())["spec"]["model"]["digest"]
    await_gone(admin, NAMESPACE)
    try:
        story.tell()
        said = out.getvalue()
        assert re.findall(r"^(\d)\. ", said, re.MULTILINE) == [*"123456789"]
        assert "s after the last record the three pods run." in said
        assert {command: _exit_code(story, command) for command in BYPASSES} == dict.fromkeys(BYPASSES, 1)

        story.run(APPLY)
        story.wait(lambda: story.stands(phase="Running", held=0, running=3) and len(story.running(before)) == 3, "the model approved before runs again")
    finally:
        admin.delete("namespaces", NAMESPACE)
        admin.delete("qmsp", "high-risk-inference")


def _exit_code(story: Story, command: str) -> int:
    return subprocess.run(["bash", "-c", command], env=story.environment(), capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode
