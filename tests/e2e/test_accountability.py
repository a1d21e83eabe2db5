"""Who may decide, who can stop, and who answers for what: every decision and refusal by the credentials of the people who make it (invariants 3 and 5)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

import pytest

from aiqms.gate.rules import DECISION, EDITORS, GOVERNED
from tests.e2e.conftest import RBAC, ROLES, binding
from tests.e2e.given import NAME, UNSEEN, Place, held, placed, record, refused, registered, template, ungoverned, within, workload
from tests.testbed.api import ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.operator_process import Operator
from tests.testbed.people import CI_ACCOUNT, CI_NAMESPACE
from tests.testbed.waiting import eventually, never

STOP = {"roles": ["risk-manager"]}
GLASS = {"roles": ["risk-manager"], "maxDuration": "1h", "reviewWithin": "2d"}
QUIET = 20  # seconds in which nothing comes back


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def free(place: Place) -> list[str]:
    """Pods that are not held: they run, or would as soon as a node has room."""
    return [pod["metadata"]["name"] for pod in place.pods() if not held(pod)]


def await_free(place: Place, count: int) -> None:
    place.awaited(lambda: len(free(place)) == count, f"{count} pods are not held")


def await_stopped(place: Place) -> None:
    await_free(place, 0)
    place.await_phase("Stopped", "Stopped")


def resume(place: Place, person: str, role: str = "risk-manager") -> str:
    """A person lets it go on, in a later second than that of any Stop: records are dated to the second."""
    stops = [r["metadata"]["creationTimestamp"] for r in place.admin.list("apr", place.namespace) if r["spec"]["decision"] == "Stop"]
    last = max(datetime.datetime.fromisoformat(at) for at in stops)
    place.awaited(lambda: datetime.datetime.now(datetime.UTC) >= last + datetime.timedelta(seconds=1), "the next second begins")
    return place.decide(person, role, "Resume", subject=UNSEEN)


def mark(place: Place, name: str) -> str | None:
    """The label by which admission takes the record for a standing Stop."""
    found: str | None = place.admin.get("apr", name, place.namespace)["metadata"].get("labels", {}).get(DECISION)
    return found


def events(place: Place, reason: str) -> list[str]:
    """The notes of the operator's events with this reason, about this deployment."""
    found = place.admin.list("events.events.k8s.io", place.namespace)
    return [e["note"] for e in found if e["reason"] == reason and e.get("regarding", {}).get("name") == place.name]


def bare(entry: Json) -> Json:
    """A register entry whose annotations somebody took off."""
    return entry | {"metadata": entry["metadata"] | {"annotations": {}}}


def everybody(place: Place) -> list[Json]:
    """Pods of the namespace, those that are ending too."""
    return place.admin.list("pods", place.namespace)


def failed_creates(place: Place) -> str:
    """What controllers were told when they made pods anew."""
    return "\n".join(e.get("message", "") for e in place.admin.list("events", place.namespace) if e["reason"] == "FailedCreate")


def give(place: Place, who: str, role: str) -> None:
    """A platform engineer binds a ClusterRole of the namespace to one person."""
    person = {"apiGroup": RBAC, "kind": "User", "name": who}
    place.admin.create(binding(place.namespace, role, "") | {"metadata": {"name": f"{role}-of-{who}"}, "subjects": [person]}, namespace=place.namespace)


def give_role(place: Place, who: str, role: str) -> None:
    give(place, who, f"aiqms-role-{role}")
    may(place, who, role)


def may(place: Place, who: str, role: str) -> None:
    """Wait until the API server knows that this person may decide in the role."""
    place.awaited(lambda: place.by(who).may("stop", "approvalroles", place.namespace, name=role, group="aiqms.dev"), f"{who} may decide as {role}")


def pod(place: Place, **container: str) -> Json:
    """A pod like those of the place's workload."""
    made = template(place.name, labelled=place.name, **container)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made["metadata"] | {"generateName": "probe-", "namespace": place.namespace}, "spec": made["spec"]}


# Pods of Jobs would be done at once on KWOK's nodes. No node has this label: they are let go, and wait for room.
NOWHERE = {"nodeSelector": {"room": "none"}, "restartPolicy": "Never"}


def job_template() -> Json:
    made = template()
    return made | {"spec": made["spec"] | NOWHERE}


def job(place: Place) -> Json:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "batch", "namespace": place.namespace}, "spec": {"template": job_template()}}


def cron_job(place: Place) -> Json:
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": job_template()}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly", "namespace": place.namespace}, "spec": spec}


def run_of(nightly: Json, name: str) -> Json:
    """As `kubectl create job --from=cronjob/nightly` makes it."""
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": nightly["metadata"]["uid"], "controller": True}
    metadata = {"name": name, "namespace": nightly["metadata"]["namespace"], "ownerReferences": [owner]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": nightly["spec"]["jobTemplate"]["spec"]}


@pytest.fixture
def everything(cluster: Cluster, installed: Operator) -> Iterator[Place]:
    """Pods of a Deployment that ran before the namespace was governed, and of a Deployment, a Job and a CronJob that were cleared since."""
    with ungoverned(cluster) as place:
        for group, role in ROLES.items():
            place.admin.create(binding(place.namespace, role, group))
        place.admin.apply(workload(place.namespace, replicas=2))
        place.await_pods(running=2)
        older = {pod["metadata"]["uid"] for pod in place.pods()}
        place.admin.patch("namespaces", place.namespace, {"metadata": {"labels": {GOVERNED: "true"}}})
        place.awaited(lambda: place.admin.find("clearances", "clearance", place.namespace), "the Clearance is made")
        place.govern(stop=STOP)
        kinds = (("apps/v1", "Deployment", NAME), ("batch/v1", "Job", "batch"), ("batch/v1", "CronJob", "nightly"))
        place.admin.apply(registered(place.namespace, workloads=[{"apiVersion": v, "kind": k, "name": n} for v, k, n in kinds]))
        nightly = place.admin.apply(cron_job(place))
        place.admin.apply(job(place))
        place.admin.apply(workload(place.namespace, replicas=3))
        may(place, "bob", "risk-manager")
        place.decide("alice")
        place.admin.create(run_of(nightly, "nightly-1"))
        await_free(place, 5)
        assert len({pod["metadata"]["uid"] for pod in place.pods()} & older) == 2
        yield place


class TestStop:
    """Zero running pods, and none until a Resume."""

    def test_invariant_5_it_ends_pods_of_every_kind_also_older_ones_and_none_comes_back_with_the_operator_killed(
        self, everything: Place, operator: Operator
    ) -> None:
        stop = everything.decide("bob", "risk-manager", "Stop")
        await_free(everything, 0)
        operator.kill()
        nightly = everything.admin.get("cronjobs", "nightly", everything.namespace)
        everything.by("mallory").create(run_of(nightly, "nightly-2"))
        everything.by("mallory").patch("deployments", NAME, {"spec": {"replicas": 6}}, everything.namespace)
        never(lambda: free(everything), seconds=QUIET, what="no pod comes back")

        operator.start()
        await_stopped(everything)
        everything.await_verdict(stop, True, "Counted")
        resume(everything, "bob")
        everything.awaited(lambda: len(free(everything)) >= 8, "everything runs again")
        everything.await_phase("Running", "Approved")
        assert mark(everything, stop) is None

    def test_invariant_5_made_while_the_operator_is_down_it_admits_no_new_pod_and_takes_effect_on_start(self, place: Place, operator: Operator) -> None:
        place.cleared(replicas=2, stop=STOP)
        operator.kill()
        stop = place.decide("bob", "risk-manager", "Stop", subject=UNSEEN)
        assert mark(place, stop) == "Stop"
        said = (f"stopped by bob (apr/{stop})", f"kubectl qms explain aimd/{NAME}")
        with refused(*said):
            eventually(lambda: place.by("mallory").create(pod(place), dry_run=True) and None, within=5, what="the Stop is in force")
        assert held(place.by("mallory").create(pod(place, image="registry.bank.example/vllm:v9"), dry_run=True)), "what is not cleared is held as ever"

        gone = place.running()[0]["metadata"]["name"]
        place.by("mallory").delete("pods", gone, place.namespace)
        place.awaited(lambda: said[0] in failed_creates(place), "the ReplicaSet is told who stopped it")
        assert [name for name in free(place) if name != gone] == [p["metadata"]["name"] for p in place.running()]

        operator.start()
        await_stopped(place)
        assert f"bob stopped it on {place.admin.get('apr', stop, place.namespace)['metadata']['creationTimestamp'][:10]}" in place.condition()["message"]
        resume(place, "bob")
        place.await_pods(running=2, seconds=60)
        assert mark(place, stop) is None

    def test_invariant_5_of_a_deployment_that_is_not_registered_any_more(self, place: Place) -> None:
        place.cleared(replicas=2, stop=STOP)
        place.by("mallory").delete("aimd", NAME, place.namespace)
        place.awaited(lambda: not place.entries(), "its entries go at once")
        place.await_pods(running=2)
        stop = place.decide("bob", "risk-manager", "Stop", subject=UNSEEN)
        await_free(place, 0)
        place.await_verdict(stop, True, "Counted")
        place.await_pods(held=2)

        place.register()
        place.await_phase("Stopped", "Stopped")
        place.await_pods(held=2)
        resume(place, "bob")
        place.await_pods(running=2)

    def test_invariant_5_no_other_procedure_lifts_it(self, place: Place) -> None:
        """Whoever edits the register has another procedure apply, in which others stop: the one under which it was stopped keeps its say."""
        place.govern(stop=STOP, appliesTo={"namespaces": [place.namespace], "riskClasses": ["High"]})
        place.govern(f"{place.namespace}-lax", stop={"roles": ["model-owner"]}, appliesTo={"namespaces": [place.namespace], "riskClasses": ["Limited"]})
        place.register()
        place.deploy()
        place.decide("alice")
        place.await_pods(running=1)
        stop = place.decide("bob", "risk-manager", "Stop")
        await_stopped(place)

        place.register(riskClass="Limited")
        place.decide("alice")
        await_stopped(place)
        assert (mark(place, stop), place.verdict(stop)) == ("Stop", (True, "Counted"))
        resumed = resume(place, "alice", "model-owner")
        place.awaited(lambda: place.verdict(resumed)[1], "the operator has judged her Resume")
        await_stopped(place)
        assert (mark(place, stop), place.verdict(stop)) == ("Stop", (True, "Counted"))
        resume(place, "bob")
        place.await_pods(running=1)
        place.await_verdict(stop, False, "Resumed")

    def test_a_pod_is_given_its_own_time_to_end(self, place: Place, cluster: Cluster, operator: Operator) -> None:
        place.govern(stop=STOP)
        place.register()
        slow = workload(place.namespace)
        slow["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 77
        place.by("mallory").apply(slow)
        place.decide("alice")
        place.await_pods(running=1)
        name = place.running()[0]["metadata"]["name"]
        since = datetime.datetime.now(datetime.UTC)
        place.decide("bob", "risk-manager", "Stop")
        await_stopped(place)

        (deletion,) = (
            e for e in cluster.audit(user=operator.user, since=since) if e["verb"] == "delete" and e["objectRef"]["resource"] == "pods"
            and (e["objectRef"]["namespace"], e["objectRef"]["name"]) == (place.namespace, name)
        )  # fmt: skip
        assert "gracePeriodSeconds" not in deletion["requestObject"]
        assert "gracePeriodSeconds" not in deletion["requestURI"]
        assert deletion["responseObject"]["metadata"]["deletionGracePeriodSeconds"] == 77

    def test_invariant_5_pods_that_end_slowly_end_once_and_nothing_runs_beside_them(self, place: Place, cluster: Cluster, operator: Operator) -> None:
        place.govern(stop=STOP)
        place.register()
        slow = workload(place.namespace, replicas=3)
        slow["spec"]["template"]["metadata"]["labels"]["testbed.aiqms.dev/ends"] = "slowly"
        place.by("mallory").apply(slow)
        place.decide("alice")
        place.await_pods(running=3)
        ending = {pod["metadata"]["name"] for pod in place.running()}
        since = datetime.datetime.now(datetime.UTC)
        place.decide("bob", "risk-manager", "Stop")
        place.awaited(lambda: ending == {pod["metadata"]["name"] for pod in everybody(place) if "deletionTimestamp" in pod["metadata"]}, "all three are ending")
        place.await_pods(held=3)
        place.awaited(lambda: ending.isdisjoint(pod["metadata"]["name"] for pod in everybody(place)), "they have ended")
        await_stopped(place)
        deletions = [
            e["objectRef"]["name"] for e in cluster.audit(user=operator.user, since=since) if e["verb"] == "delete" and e["objectRef"]["resource"] == "pods"
        ]
        assert sorted(name for name in deletions if name in ending) == sorted(ending)

    def test_any_one_stop_role_stops_and_every_procedure_has_to_let_it_go_on(self, place: Place) -> None:
        """One of the procedures is in Audit: a Stop is a person's order all the same."""
        place.govern(f"{place.namespace}-watch", stop={"roles": ["model-owner"]}, enforcement="Audit")
        place.cleared(stop=STOP)
        stop = place.decide("alice", "model-owner", "Stop")
        await_stopped(place)
        assert place.control("stop") == ("Fail", "Stopped")
        first = resume(place, "alice", "model-owner")
        place.await_verdict(first, True, "Counted")
        await_stopped(place)
        assert "a Resume is missing by risk-manager" in place.condition()["message"]
        assert events(place, "Stopped")[0].startswith("alice stopped it on ")

        resume(place, "carol")
        place.await_pods(running=1)
        place.await_verdict(stop, False, "Resumed")
        place.await_phase("Running", "Approved")

    def test_after_the_resume_the_subject_that_served_serves_while_the_new_one_waits(self, place: Place) -> None:
        approved = place.cleared(stop=STOP)
        place.deploy(args=["--max-model-len=16384"])
        place.await_pods(held=1, running=1)
        place.decide("bob", "risk-manager", "Stop")
        await_stopped(place)
        resume(place, "bob")
        place.await_phase("ChangePending", "ApprovalMissing")
        assert place.status["serving"]["fingerprint"] == approved
        place.await_pods(held=1, running=1)

    def test_an_administrator_may_stop_and_not_resume(self, place: Place) -> None:
        place.cleared(stop=STOP)
        stop = place.decide("admin", "risk-manager", "Stop")
        await_stopped(place)
        place.await_verdict(stop, True, "Counted")
        with refused("you hold every role by a wildcard right"):
            resume(place, "admin")

    def test_one_that_does_not_count_loses_its_mark_and_says_why(self, place: Place) -> None:
        place.cleared(stop=STOP)
        stop = place.decide("alice", "model-owner", "Stop")
        place.await_verdict(stop, False, "RoleNotRequired")
        assert mark(place, stop) is None
        place.await_phase("Running", "Approved")
        assert len(place.running()) == 1


class TestRefused:
    """By the API server; nothing is stored."""

    def test_stop_resume_and_emergency_without_the_role(self, place: Place) -> None:
        place.cleared(stop=STOP, emergency=GLASS)
        for decision in ("Stop", "Resume", "Emergency"):
            with refused(f"verb `{decision.lower()}`".replace("`", ""), "you do not hold role risk-manager in namespace"):
                place.decide("alice", "risk-manager", decision)

    def test_by_a_service_account_and_by_who_runs_the_namespace(self, place: Place) -> None:
        place.cleared(stop=STOP)
        account = {"kind": "ServiceAccount", "name": CI_ACCOUNT, "namespace": CI_NAMESPACE}
        bound = binding(place.namespace, "aiqms-role-risk-manager", "") | {"metadata": {"name": "robots"}, "subjects": [account]}
        place.admin.create(bound, namespace=place.namespace)
        may(place, "ci", "risk-manager")
        for decision in ("Stop", "Resume", "Emergency"):
            with refused("a decision is a person's"):
                place.decide("ci", "risk-manager", decision)
        with refused('User "mallory" cannot create resource "approvalrecords"'):
            place.decide("mallory", "risk-manager", "Stop")

    def test_what_makes_no_sense(self, place: Place) -> None:
        place.cleared(stop=STOP, emergency=GLASS)
        bob = place.by("bob")
        bare = record(place.subject, "risk-manager", "Emergency")
        del bare["spec"]["rationale"]
        with refused("an Emergency needs a rationale", code=422):
            bob.create(bare, namespace=place.namespace)
        with refused("only Approve and Emergency expire", code=422):
            place.decide("bob", "risk-manager", "Stop", expires=within(60))
        with refused("an Emergency is reviewed by decision Approve or Reject", code=422):
            place.decide("bob", "risk-manager", "Stop", reviews="x")
        with refused("is not after now"):
            place.decide("bob", "risk-manager", "Emergency", expires=within(-60))

    def test_the_mark_of_a_stop_by_anybody(self, place: Place) -> None:
        place.cleared(stop=STOP)
        marked = record(place.subject)
        marked["metadata"]["labels"] = {DECISION: "Stop"}
        with refused(f"label {DECISION} is set by admission, on a Stop: leave it out"):
            place.by("alice").create(marked, namespace=place.namespace)
        approval = place.admin.list("apr", place.namespace)[0]["metadata"]["name"]
        with refused("a record is immutable"):
            place.admin.patch("apr", approval, {"metadata": {"labels": {DECISION: "Stop"}}}, place.namespace)

        other = record(place.subject, "risk-manager", "Stop")
        other["metadata"]["labels"] = {DECISION: "Lifted", "team": "risk"}
        stop = place.by("bob").create(other, namespace=place.namespace)["metadata"]
        assert stop["labels"] == {DECISION: "Stop", "team": "risk"}
        await_stopped(place)
        for labels in ({DECISION: None}, {DECISION: "Lifted"}, {"team": None}):
            with refused("a record is immutable"):
                place.admin.patch("apr", stop["name"], {"metadata": {"labels": labels}}, place.namespace)
        assert mark(place, stop["name"]) == "Stop"


class TestEmergency:
    """One person clears one subject for a while, and somebody else looks at that."""

    def test_it_clears_exactly_one_subject_shouts_and_ends_by_itself(self, place: Place, operator: Operator) -> None:
        place.govern(emergency=GLASS | {"maxDuration": "8s"})
        place.register()
        place.deploy()
        place.await_pods(held=1)
        glass = place.decide("bob", "risk-manager", "Emergency", rationale="both owners are ill")
        place.await_pods(running=1)
        place.await_phase("Running", "EmergencyInForce")
        condition = place.condition("Emergency")
        assert (condition["status"], condition["reason"]) == ("True", "EmergencyInForce")
        assert condition["message"].startswith("bob broke the glass on ")
        assert place.control("approvals/model-owner") == ("Warn", "EmergencyInForce")
        assert ": both owners are ill; until " in events(place, "EmergencyInForce")[0]
        assert f'aiqms_emergencies{{namespace="{place.namespace}"}} 1.0' in operator.metrics()
        place.await_verdict(glass, True, "Counted")
        assert len(place.entries()) == 1

        place.await_phase("Held", "ApprovalMissing")
        place.await_verdict(glass, False, "Expired")
        assert held(place.await_replacement(place.running()[0]))
        assert place.condition("Emergency")["reason"] == "ReviewPending"
        place.decide("alice", reviews=glass)
        place.awaited(lambda: not place.condition("Emergency"), "the review ends the shouting")
        place.await_pods(held=1)

    def test_of_another_subject_it_clears_nothing(self, place: Place) -> None:
        place.govern(emergency=GLASS)
        place.register()
        place.deploy()
        glass = place.decide("bob", "risk-manager", "Emergency", subject=UNSEEN)
        place.await_verdict(glass, False, "SubjectSuperseded")
        place.await_pods(held=1)

    def test_in_a_role_that_no_procedure_names_it_clears_nothing(self, place: Place) -> None:
        place.govern(emergency=GLASS)
        place.register()
        place.deploy()
        glass = place.decide("alice", "model-owner", "Emergency")
        place.await_verdict(glass, False, "EmergencyNotAllowed")
        place.await_pods(held=1)

    def test_taken_back_it_ends(self, place: Place) -> None:
        place.govern(emergency=GLASS, onLapse={"action": "Stop"})
        place.register()
        place.deploy()
        glass = place.decide("bob", "risk-manager", "Emergency")
        place.await_pods(running=1)
        place.decide("carol", "risk-manager", "Withdraw", withdraws=glass)
        place.await_verdict(glass, False, "Withdrawn")
        place.await_pods(held=1)

    def test_without_a_review_in_time_everything_stops_and_no_other_emergency_helps(self, place: Place, operator: Operator) -> None:
        """The operator is not there when the time comes: admission lets nothing through from then on all the same."""
        place.govern(emergency=GLASS | {"reviewWithin": "8s"})
        place.register()
        place.deploy()
        place.await_pods(held=1)
        glass = place.decide("bob", "risk-manager", "Emergency")
        place.await_pods(running=1)
        place.await_phase("Running", "EmergencyInForce")
        own = place.decide("bob", "risk-manager", "Approve", reviews=glass)
        place.await_verdict(own, False, "SamePersonTwice")
        due = datetime.datetime.fromisoformat(place.entries()[0]["validUntil"])
        operator.kill()
        place.awaited(lambda: datetime.datetime.now(datetime.UTC) > due, "the review is overdue")
        place.awaited(lambda: held(place.by("mallory").create(pod(place), dry_run=True)), "admission holds", seconds=2)

        operator.start()
        await_free(place, 0)
        place.await_phase("Stopped", "ReviewOverdue")
        again = place.decide("carol", "risk-manager", "Emergency")
        place.await_verdict(again, False, "EmergencyNotAllowed")
        place.decide("alice")
        place.awaited(lambda: place.control("approvals/model-owner") == ("Pass", "Approved"), "alice approves")
        assert (free(place), place.ready()[1]) == ([], "ReviewOverdue")

        review = place.decide("alice", decision="Reject", reviews=glass)
        place.await_pods(running=1)
        place.await_verdict(review, True, "Counted")
        place.await_verdict(again, False, "EmergencyNotAllowed")
        place.await_verdict(glass, False, "Expired")
        place.await_phase("Running", "Approved")


class TestEditors:
    """Who changed what is approved is what the API server saw."""

    @pytest.fixture
    def edited(self, place: Place) -> Callable[[], str]:
        return lambda: str(place.entry["metadata"]["annotations"][EDITORS])

    def test_the_note_names_who_changed_the_spec_and_nobody_forges_it(self, place: Place, edited: Callable[[], str]) -> None:
        forged = {EDITORS: "carol"}
        mallory, admin = place.by("mallory"), place.admin
        made = registered(place.namespace)
        made["metadata"]["annotations"] = forged
        mallory.create(made)
        assert edited() == "mallory"

        admin.apply(
            {"apiVersion": made["apiVersion"], "kind": made["kind"], "metadata": made["metadata"] | {"annotations": forged}}, manager="forger", force=True
        )
        assert edited() == "mallory"
        for patch in ({EDITORS: "carol"}, {EDITORS: None}):
            admin.patch("aimd", NAME, {"metadata": {"annotations": patch}}, place.namespace)
            assert edited() == "mallory"
        admin.patch("aimd", NAME, [{"op": "remove", "path": "/metadata/annotations"}], place.namespace)
        assert edited() == "mallory"

        both = "mallory\nadmin"
        admin.patch("aimd", NAME, {"metadata": {"annotations": forged}, "spec": {"lifecycle": "Retired"}}, place.namespace)
        assert edited() == both
        mallory.apply(registered(place.namespace, lifecycle="Active") | {"metadata": made["metadata"] | {"annotations": forged}}, force=True)
        assert edited() == both
        eventually(lambda: admin.replace(bare(place.entry)), within=5, ignoring=(ApiError,), what="the operator writes no status meanwhile")
        assert edited() == both
        admin.apply(registered(place.namespace), manager="another", force=True)
        assert edited() == both, "an apply that changes nothing of the spec keeps the note"

    def test_whoever_edited_approves_nothing_until_others_approved_and_somebody_else_edits(self, place: Place, edited: Callable[[], str]) -> None:
        place.govern(approvals={"separationOfDuties": "DistinctFromEditors"})
        give(place, "alice", "admin")
        place.awaited(lambda: place.by("alice").may("create", "aimodeldeployments", place.namespace, group="aiqms.dev"), "alice registers")
        place.by("alice").apply(registered(place.namespace), manager="alice")
        place.deploy()
        name = place.decide("alice")
        place.await_verdict(name, False, "SubmitterMayNotApprove")
        place.await_pods(held=1)
        assert place.control("register/author") == ("Pass", "AuthorKnown")

        mallory = place.by("mallory")
        mallory.patch("aimd", NAME, {"spec": {"intendedPurpose": "Score mortgages"}}, place.namespace)
        assert edited() == "alice\nmallory", "what alice changed is approved by nobody yet"
        place.awaited(lambda: place.control("register/author") == ("Pass", "AuthorKnown"), "both are known")
        mine = place.decide("alice")
        place.await_verdict(mine, False, "SubmitterMayNotApprove")

        place.govern(approvals={"separationOfDuties": "DistinctPeople", "since": 1}, revision=2)
        place.await_verdict(mine, True, "Counted")
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")
        mallory.patch("aimd", NAME, {"spec": {"owner": {"contact": "mallory@bank.example"}}}, place.namespace)
        assert edited() == "alice\nmallory", "nothing of what is approved changed, so who made it stays noted"
        place.await_phase("Running", "Approved")
        mallory.patch("aimd", NAME, {"spec": {"intendedPurpose": "Score loans"}}, place.namespace)
        assert edited() == "mallory", "a change of what others approved begins anew"
        place.govern(approvals={"separationOfDuties": "DistinctFromEditors", "since": 1}, revision=3)
        name = place.decide("alice")
        place.await_verdict(name, True, "Counted")

    def test_a_service_account_is_no_known_author(self, place: Place, edited: Callable[[], str]) -> None:
        place.govern(approvals={"separationOfDuties": "DistinctFromEditors", "unknownAuthors": "Refused"})
        account = {"kind": "ServiceAccount", "name": CI_ACCOUNT, "namespace": CI_NAMESPACE}
        place.admin.create(binding(place.namespace, "admin", "") | {"metadata": {"name": "sync"}, "subjects": [account]}, namespace=place.namespace)
        place.awaited(lambda: place.by("ci").may("create", "aimodeldeployments", place.namespace, group="aiqms.dev"), "the sync registers")
        place.by("ci").apply(registered(place.namespace))
        assert edited() == f"system:serviceaccount:{CI_NAMESPACE}:{CI_ACCOUNT}"
        place.deploy()
        place.decide("alice")
        place.await_phase("Held", "AuthorUnknown")
        place.await_pods(held=1)

        place.govern(approvals={"separationOfDuties": "DistinctFromEditors", "since": 1}, revision=2)
        place.await_pods(running=1)
        assert place.control("register/author") == ("Warn", "AuthorUnknown")
        assert place.condition("Approved")["status"] == "True"


class TestTold:
    """Lapses are announced beforehand; changes of a procedure are seen on what they touch."""

    def test_an_end_that_comes_near_is_told_once_for_each_notice(self, place: Place, operator: Operator) -> None:
        place.govern()
        place.register()
        place.deploy()
        end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, seconds=5)).replace(microsecond=0)
        place.decide("alice", expires=end.isoformat())
        place.await_pods(running=1)
        place.awaited(lambda: place.status["serving"]["notice"] == "7d", "an end in a week is announced")
        place.awaited(lambda: place.status["serving"]["notice"] == "1d", "an end in a day is announced")
        notes = sorted(events(place, "LapseAhead"), key=lambda note: "in at most 7d" not in note)
        assert [f"ends at {end:%Y-%m-%d %H:%M:%S} UTC, in at most {n}" in note for n, note in zip(("7d", "1d"), notes, strict=True)] == [True, True]
        assert f'aiqms_lapse_notice{{days="1",namespace="{place.namespace}"}} 1.0' in operator.metrics()

    def test_a_procedure_that_changes_is_seen_with_what_changed(self, place: Place) -> None:
        duty = [{"duty": "IncidentReporting", "role": "risk-manager"}]
        place.cleared()
        rule = f"{place.namespace}-rule"
        place.govern(revision=2, approvals={"since": 1}, onChange={"grace": "7d"}, responsibilities=duty)
        place.awaited(lambda: place.status["procedures"][0]["revision"] == 2, "the status has the revision")
        assert place.status["responsibilities"] == [*[d | {"procedure": rule} for d in duty]]
        place.awaited(lambda: events(place, "ProcedureChanged"), "it is told")
        (note,) = events(place, "ProcedureChanged")
        assert note.startswith(f"QMSProcedure {rule} went from revision 1 to 2: approvals, onChange, responsibilities changed")
        place.await_phase("Running", "Approved")
