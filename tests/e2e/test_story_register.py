"""What a register entry says about a deployment that cannot be cleared yet, and what several procedures, or one in Audit, make of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.given import NEXT_MODEL, Place, held, placed, refused, registered, ungoverned, workload
from tests.testbed.api import Api
from tests.testbed.cluster import Cluster


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


class TestProcedures:
    def test_invariant_1_without_a_procedure_nothing_is_cleared(self, place: Place) -> None:
        place.register()
        place.deploy()
        place.await_phase("Held", "NoProcedure")
        what = f"risk class High, role Provider, namespace {place.namespace}"
        message = f"no QMSProcedure applies to {what}: the platform team creates one, or widens spec.appliesTo of one"
        place.awaited(lambda: place.condition()["message"] == message, "the message names what is to be covered")
        name = place.decide("alice")
        place.await_verdict(name, False, "RoleNotRequired")
        place.await_pods(held=1)

        place.govern()
        place.await_phase("Held", "ApprovalMissing")

    def test_invariant_1_without_its_procedure_a_cleared_deployment_holds_new_pods(self, place: Place) -> None:
        place.cleared()
        place.admin.delete("qmsp", f"{place.namespace}-rule")
        place.await_phase("ChangePending", "NoProcedure")
        place.await_pods(running=1)

    def test_two_procedures_must_both_hold(self, place: Place) -> None:
        place.govern(f"{place.namespace}-one")
        place.govern(f"{place.namespace}-two", roles=[{"role": "model-owner"}, {"role": "risk-manager"}])
        place.register()
        place.deploy()
        shared = place.decide("alice")
        place.await_verdict(shared, True, "Counted")
        place.awaited(lambda: [(a["procedure"], a["role"], a["given"]) for a in place.status["approvals"]] == [
            (f"{place.namespace}-one", "model-owner", 1), (f"{place.namespace}-two", "model-owner", 1), (f"{place.namespace}-two", "risk-manager", 0)
        ], "the record counts for both procedures")  # fmt: skip
        place.await_pods(held=1)
        place.decide("bob", "risk-manager")
        place.await_pods(running=1)

    def test_invariant_4_a_new_revision_needs_new_approvals_unless_it_says_since(self, place: Place) -> None:
        place.cleared()
        place.govern(revision=2, roles=[{"role": "model-owner"}, {"role": "risk-manager"}])
        place.await_phase("ChangePending", "ApprovalMissing")
        assert place.status["subject"]["changed"] == ["procedures"]

        place.govern(revision=3, approvals={"since": 1})
        place.await_phase("Running", "Approved")
        place.await_pods(running=1)

    def test_invariant_4_what_is_judged_changes_only_together_with_the_revision(self, place: Place) -> None:
        place.govern()
        with refused("change only with a higher revision", code=422):
            place.govern(roles=[{"role": "risk-manager"}])
        place.govern(revision=2)
        with refused("revision only rises", code=422):
            place.govern(revision=1)

    def test_in_audit_nothing_is_held_and_all_is_shown(self, place: Place) -> None:
        place.govern(enforcement="Audit")
        place.register()
        place.deploy()
        place.await_pods(running=1)
        place.await_phase("Running", "Audit")
        assert (place.ready(), place.control("approvals/model-owner")) == (("True", "Audit"), ("Fail", "ApprovalMissing"))
        assert "1 control would block" in place.condition()["message"]

    def test_from_audit_to_enforce_running_pods_go_on_and_new_ones_are_held(self, place: Place) -> None:
        place.govern(enforcement="Audit")
        place.register()
        place.deploy()
        place.await_pods(running=1)
        place.await_phase("Running", "Audit")

        place.govern()
        place.await_phase("Held", "ApprovalMissing")
        place.await_pods(running=1)
        assert held(place.await_replacement(place.running()[0]))
        place.decide("alice")
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")

    def test_what_was_held_goes_free_when_its_procedure_is_only_tried_out(self, place: Place) -> None:
        place.govern()
        place.register()
        place.deploy()
        place.await_pods(held=1)
        place.govern(enforcement="Audit")
        place.await_pods(running=1)

    def test_one_in_audit_never_loosens_another(self, place: Place) -> None:
        place.govern(f"{place.namespace}-one")
        place.govern(f"{place.namespace}-tried", enforcement="Audit", roles=[{"role": "risk-manager"}])
        place.register()
        place.deploy()
        place.await_phase("Held", "ApprovalMissing")
        place.await_pods(held=1)
        place.decide("alice")
        place.await_pods(running=1)
        assert place.control("approvals/risk-manager") == ("Fail", "ApprovalMissing")


class TestTheEntry:
    def test_a_lowered_risk_class_is_said_to_those_who_approve(self, place: Place) -> None:
        place.cleared()
        place.register(riskClass="Limited")
        place.await_phase("ChangePending", "ApprovalMissing")
        assert place.control("change/risk-class") == ("Warn", "ClassLowered")
        assert place.status["subject"]["changed"] == ["purpose"]
        place.decide("alice")
        place.await_phase("Running", "Approved")

    def test_another_model_in_the_template_than_in_the_register_holds(self, place: Place) -> None:
        place.govern()
        place.register()
        place.deploy(model=NEXT_MODEL)
        place.decide("alice")
        place.await_phase("Held", "ModelMismatch")
        place.awaited(lambda: place.status["approvals"][0]["given"] == 1, "the approval is given, and changes nothing")
        place.await_pods(held=1)

        place.register(model=NEXT_MODEL)
        place.decide("alice")
        place.await_pods(running=1)

    def test_a_template_without_the_model_is_a_warning(self, place: Place) -> None:
        place.govern()
        place.register()
        place.deploy(model=None)
        place.decide("alice")
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")
        assert place.control("supply/model") == ("Warn", "ModelNotDeclared")

    def test_a_missing_workload(self, place: Place) -> None:
        place.govern()
        place.register()
        place.await_phase("Held", "WorkloadMissing")
        assert place.condition()["message"] == "Deployment/scoring does not exist in this namespace: create it, or correct spec.workloads"
        assert "subject" not in place.status

    def test_a_workload_that_two_entries_claim(self, place: Place) -> None:
        place.cleared()
        other = place.of("other")
        other.register(workloads=[{"apiVersion": "apps/v1", "kind": "Deployment", "name": place.name}])
        other.await_phase("Held", "WorkloadClaimed")
        assert other.condition()["message"].startswith("the pods of Deployment/scoring name scoring, which decides")
        assert other.ready() == ("False", "WorkloadClaimed")
        assert other.condition("Stalled")["status"] == "True"
        place.await_phase("Running", "Approved")

    def test_a_workload_whose_pods_name_nobody(self, place: Place) -> None:
        place.govern()
        place.register()
        place.deploy(labelled=None, resources={})
        place.await_phase("Held", "WorkloadUnlabelled")
        assert "set aiqms.dev/deployment: scoring in its spec.template.metadata.labels" in place.condition()["message"]

    def test_a_pod_of_no_named_workload_is_held_and_shapes_nothing(self, place: Place) -> None:
        subject = place.cleared()
        stray = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "stray", "namespace": place.namespace, "labels": {"aiqms.dev/deployment": place.name}},
            "spec": {"containers": [{"name": "serve", "image": "registry.bank.example/vllm:v9"}]},
        }
        assert held(place.by("mallory").create(stray))
        place.awaited(lambda: place.control("pods") == ("Warn", "PodDiffers"), "the stray pod is told of")
        assert (place.subject, place.ready()) == (subject, ("True", "Approved"))
        place.await_pods(held=1, running=1)


def test_a_pod_that_is_changed_on_its_way_in_stays_held_and_the_difference_is_said(place: Place) -> None:
    """Here by a LimitRange that gives every container a GPU: approved was one without."""
    limits = {"type": "Container", "default": {"nvidia.com/gpu": "1"}, "defaultRequest": {"nvidia.com/gpu": "1"}}
    found = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "gpus", "namespace": place.namespace}, "spec": {"limits": [limits]}}
    place.admin.create(found)
    place.govern()
    place.register()
    place.deploy(resources={})
    place.await_pods(held=1)
    place.decide("alice")
    place.awaited(lambda: place.control("pods") == ("Fail", "PodDiffers"), "the held pod is told of")
    said = next(control["message"] for control in place.status["controls"] if control["id"] == "pods")
    assert 'changed on the way in: containers[serve].resources: added {"limits": {"nvidia.com/gpu": "1"}}' in said
    place.await_pods(held=1)

    place.admin.delete("limitranges", "gpus", place.namespace)
    assert not held(place.await_replacement(place.held()[0]))
    place.await_pods(running=1)


@pytest.mark.usefixtures("installed")
def test_an_ungoverned_namespace_is_told_how_to_be_governed(cluster: Cluster, admin: Api) -> None:
    with ungoverned(cluster) as place:
        place.govern()
        for manifest in (registered(place.namespace), workload(place.namespace)):
            admin.apply(manifest)
        place.awaited(lambda: place.ready() == ("False", "NamespaceNotGoverned"), "the register says so")
        how = f"kubectl label namespace {place.namespace} aiqms.dev/governed=true"
        assert place.condition()["message"] == f"the gate does not judge namespace {place.namespace}; to have it judged: {how}"
        place.await_pods(running=1)
        assert admin.find("clearances", "clearance", place.namespace) is None
