"""Invariant 3: an approval is a person's. What is refused, what does not count, and that `kubectl get apr` says why; a record stays as it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.e2e.conftest import RBAC, binding
from tests.e2e.given import UNSEEN, Place, held, placed, record, refused, within
from tests.testbed.api import Api, Json
from tests.testbed.cluster import Cluster
from tests.testbed.people import CI_ACCOUNT, CI_NAMESPACE

OWNER_AND_MANAGER = ({"role": "model-owner"}, {"role": "risk-manager"})


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    """A deployment that waits for a model-owner and a risk-manager."""
    with placed(cluster, namespace) as found:
        found.govern(roles=OWNER_AND_MANAGER)
        found.register()
        found.deploy()
        found.await_pods(held=1)
        yield found


def bound(place: Place, role: str, subject: Json) -> None:
    """A platform engineer binds a ClusterRole in the namespace."""
    place.admin.create(
        binding(place.namespace, role, "") | {"metadata": {"name": f"{role}-of-{subject['name']}"}, "subjects": [subject]}, namespace=place.namespace
    )


def may(place: Place, who: str, role: str) -> None:
    """Wait until the API server knows that this person may approve in the role."""
    api = place.by(who)
    place.awaited(lambda: api.may("approve", "approvalroles", place.namespace, name=role, group="aiqms.dev"), f"{who} may approve as {role}")


def given_role(place: Place, who: str, role: str) -> None:
    """A platform engineer gives somebody a role by name."""
    bound(place, f"aiqms-role-{role}", person(who))
    may(place, who, role)


def may_everything(place: Place, who: str) -> None:
    """A platform engineer makes somebody the namespace's cluster-admin."""
    bound(place, "cluster-admin", person(who))
    place.awaited(lambda: place.by(who).may("*", "*", place.namespace, group="*"), f"{who} may do everything")


def every_right_on_records(place: Place) -> None:
    """mallory's group gets what no ClusterRole of the chart gives, so that nothing but the gate says no."""
    verbs = ["get", "list", "patch", "update", "delete", "deletecollection"]
    rights = {"apiGroups": ["aiqms.dev"], "resources": ["approvalrecords", "approvalrecords/status"], "verbs": verbs}
    place.admin.create({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "records"}, "rules": [rights]}, namespace=place.namespace)
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "records"}
    place.admin.create(binding(place.namespace, "records", "lending-platform") | {"roleRef": reference}, namespace=place.namespace)
    mallory = place.by("mallory")
    place.awaited(lambda: mallory.may("deletecollection", "approvalrecords", place.namespace, group="aiqms.dev"), "mallory has every right on records")


def person(name: str) -> Json:
    return {"apiGroup": RBAC, "kind": "User", "name": name}


def listed(place: Place) -> dict[str, tuple[str, str, str]]:
    """WHO, COUNTS and REASON of each record that was judged, as `kubectl get apr` shows them to an auditor."""
    head, *lines = [line.split() for line in place.cluster.kubectl("get", "apr", "-n", place.namespace, as_="auditor").splitlines()]
    columns = [head.index(name) for name in ("WHO", "COUNTS", "REASON")]
    judged = (line for line in lines if len(line) > max(columns))
    return {line[0]: (line[columns[0]], line[columns[1]], line[columns[2]]) for line in judged}


def await_listed(place: Place, name: str, *shown: str) -> None:
    place.awaited(lambda: listed(place).get(name) == shown, f"apr/{name} is listed as {' '.join(shown)}")


class TestRefused:
    """By the API server, with the reason; nothing is stored."""

    @pytest.fixture(autouse=True)
    def nothing_is_stored(self, place: Place) -> Iterator[None]:
        yield
        assert (place.admin.list("apr", place.namespace), len(place.held())) == ([], 1)

    def test_invariant_3_without_the_role(self, place: Place) -> None:
        with refused(
            "you do not hold role model-owner in namespace", "verb approve on approvalroles.aiqms.dev/model-owner", "ClusterRole aiqms-role-model-owner"
        ):
            place.decide("bob", "model-owner")

    def test_invariant_3_in_another_namespace_than_the_roles(self, place: Place) -> None:
        with refused("approvalrecords"):
            place.by("alice").create(record(place.subject), namespace="default")

    def test_invariant_3_by_who_runs_the_namespace(self, place: Place) -> None:
        with refused('User "mallory" cannot create resource "approvalrecords"'):
            place.decide("mallory")
        with refused("attempting to grant RBAC permissions not currently held"):
            place.by("mallory").create(
                binding(place.namespace, "aiqms-role-model-owner", "lending-platform") | {"metadata": {"name": "mine"}}, namespace=place.namespace
            )

    def test_invariant_3_by_a_service_account_that_is_bound_to_the_role(self, place: Place) -> None:
        bound(place, "aiqms-role-model-owner", {"kind": "ServiceAccount", "name": CI_ACCOUNT, "namespace": CI_NAMESPACE})
        may(place, "ci", "model-owner")
        with refused("a decision is a person's", "system:serviceaccount:ci:ci is a service account", "sign in as a person"):
            place.decide("ci")

    def test_invariant_3_by_the_administrator(self, place: Place) -> None:
        with refused("you hold every role by a wildcard right, which makes nobody an approver"):
            place.decide("admin")

    def test_invariant_3_by_an_approver_who_holds_a_wildcard_too(self, place: Place) -> None:
        may_everything(place, "alice")
        with refused("you hold every role by a wildcard right", "an account that holds this role by name and no wildcard"):
            place.decide("alice")

    def test_with_an_end_that_has_passed(self, place: Place) -> None:
        with refused("spec.expires", "is not after now"):
            place.decide("alice", expires=within(-5))
        with refused("spec.expires may lie beyond 9999-12-31T23:59:59Z, the last time there is: give an earlier one, or leave it out"):
            place.decide("alice", expires="9999-12-31T23:59:59-00:01")

    @pytest.mark.parametrize("field", ["ownerReferences", "finalizers"])
    def test_invariant_3_with_something_that_deletes_or_keeps_it(self, place: Place, field: str) -> None:
        owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "kube-root-ca.crt",
            "uid": place.admin.get("configmaps", "kube-root-ca.crt", place.namespace)["metadata"]["uid"],
        }
        made = record(place.subject)
        made["metadata"][field] = {"ownerReferences": [owner], "finalizers": ["bank.example/keep"]}[field]
        with refused("a record has no owner and no finalizer"):
            place.by("alice").create(made, namespace=place.namespace)


class TestWhatCounts:
    """Stored, and judged by the operator; `kubectl get apr` says why."""

    def test_invariant_3_under_anothers_name_it_is_the_authors_own(self, place: Place) -> None:
        forged = {"username": "carol", "uid": "1", "groups": ["risk-managers", "system:masters"], "authorized": True}
        name = place.decide("bob", "risk-manager", approver=forged)
        approver = place.admin.get("apr", name, place.namespace)["spec"]["approver"]
        assert (approver["username"], approver["groups"], approver["authorized"]) == ("bob", ["risk-managers", "system:authenticated"], True)
        await_listed(place, name, "bob", "true", "Counted")

    def test_invariant_3_for_another_fingerprint(self, place: Place) -> None:
        name = place.decide("alice", subject=UNSEEN)
        place.decide("bob", "risk-manager")
        await_listed(place, name, "alice", "false", "SubjectUnknown")
        assert len(place.held()) == 1

    def test_invariant_3_twice_by_one_person(self, place: Place) -> None:
        place.govern(roles=[{"role": "risk-manager", "count": 2}], revision=2)
        names = [place.decide("bob", "risk-manager") for _ in range(2)]
        place.awaited(
            lambda: sorted(listed(place)[name] for name in names) == [("bob", "false", "SamePersonTwice"), ("bob", "true", "Counted")], "one of two counts"
        )
        assert len(place.held()) == 1
        place.decide("carol", "risk-manager")
        place.await_pods(running=1)

    def test_invariant_3_in_two_roles_by_one_person(self, place: Place) -> None:
        given_role(place, "bob", "model-owner")
        names = [place.decide("bob", role) for role in ("model-owner", "risk-manager")]
        place.awaited(lambda: sorted(listed(place)[name][1:] for name in names) == [("false", "SamePersonTwice"), ("true", "Counted")], "one of two counts")
        assert len(place.held()) == 1
        # Whichever place bob had: alice takes model-owner, and bob the other.
        place.decide("alice", "model-owner")
        place.await_pods(running=1)

    def test_two_roles_by_one_person_where_the_procedure_allows_it(self, place: Place) -> None:
        given_role(place, "bob", "model-owner")
        place.govern(roles=OWNER_AND_MANAGER, revision=2, approvals={"separationOfDuties": "None"})
        for role in ("model-owner", "risk-manager"):
            place.decide("bob", role)
        place.await_pods(running=1)

    def test_in_a_role_that_no_procedure_asks_for(self, place: Place) -> None:
        given_role(place, "alice", "data-steward")
        name = place.decide("alice", "data-steward")
        await_listed(place, name, "alice", "false", "RoleNotRequired")

    def test_for_a_deployment_that_is_not_registered_until_it_is(self, place: Place) -> None:
        later = place.of("later")
        name = later.decide("alice", subject=UNSEEN)
        await_listed(place, name, "alice", "false", "DeploymentUnknown")
        later.register()
        later.deploy()
        await_listed(place, name, "alice", "false", "SubjectUnknown")

    def test_an_approval_that_expires_counts_until_then(self, place: Place) -> None:
        place.decide("bob", "risk-manager")
        name = place.decide("alice", expires=within(5))
        place.await_pods(running=1)
        await_listed(place, name, "alice", "true", "Counted")
        await_listed(place, name, "alice", "false", "Expired")
        place.await_phase("Held", "ApprovalExpired")
        place.await_pods(running=1)
        assert held(place.await_replacement(place.running()[0]))

    def test_an_approval_counts_no_longer_than_the_procedure_lets_it(self, place: Place) -> None:
        place.govern(roles=[{"role": "model-owner", "validFor": "5s"}], revision=2)
        name = place.decide("alice")
        place.await_pods(running=1)
        await_listed(place, name, "alice", "false", "Expired")
        assert held(place.await_replacement(place.running()[0]))

    def test_an_approver_who_lost_the_role_goes_on_counting(self, place: Place) -> None:
        name = place.decide("alice")
        place.admin.delete("rolebindings", "aiqms-role-model-owner", place.namespace)
        place.decide("bob", "risk-manager")
        place.await_pods(running=1)
        await_listed(place, name, "alice", "true", "Counted")


class TestRejectAndWithdraw:
    """A rejection blocks its subject until it is taken back; an approval taken back lapses."""

    def test_a_rejection_blocks_until_it_is_withdrawn_by_its_author(self, place: Place) -> None:
        place.decide("alice")
        rejection = place.decide("bob", "risk-manager", "Reject")
        place.await_phase("Held", "Rejected")
        place.decide("carol", "risk-manager")
        await_listed(place, rejection, "bob", "true", "Counted")
        place.awaited(lambda: place.control("approvals/risk-manager") == ("Fail", "Rejected"), "the rejection blocks")
        assert len(place.held()) == 1

        withdrawal = place.decide("bob", "risk-manager", "Withdraw", withdraws=rejection)
        place.await_pods(running=1)
        await_listed(place, rejection, "bob", "false", "Withdrawn")
        await_listed(place, withdrawal, "bob", "true", "Counted")

    def test_a_rejection_stops_what_was_cleared_from_starting_anew(self, place: Place) -> None:
        place.decide("alice")
        place.decide("bob", "risk-manager")
        place.await_pods(running=1)
        place.decide("carol", "risk-manager", "Reject")
        place.await_phase("Held", "Rejected")
        place.await_pods(running=1)
        assert held(place.await_replacement(place.running()[0]))

    def test_an_approval_is_withdrawn_by_its_author(self, place: Place) -> None:
        given = place.decide("alice")
        place.decide("bob", "risk-manager")
        place.await_pods(running=1)
        place.decide("alice", "model-owner", "Withdraw", withdraws=given)
        place.await_phase("Held", "ApprovalWithdrawn")
        await_listed(place, given, "alice", "false", "Withdrawn")
        assert held(place.await_replacement(place.running()[0]))

    def test_an_approval_is_withdrawn_by_another_holder_of_the_role(self, place: Place) -> None:
        given = place.decide("bob", "risk-manager")
        place.decide("carol", "risk-manager", "Withdraw", withdraws=given)
        await_listed(place, given, "bob", "false", "Withdrawn")

    def test_invariant_3_an_approval_is_not_withdrawn_by_a_holder_of_another_role(self, place: Place) -> None:
        given = place.decide("alice")
        attempt = place.decide("bob", "risk-manager", "Withdraw", withdraws=given)
        await_listed(place, attempt, "bob", "false", "MayNotWithdraw")
        await_listed(place, given, "alice", "true", "Counted")

    def test_invariant_3_a_wildcard_holder_withdraws_nothing_but_the_own(self, place: Place) -> None:
        own, anothers = place.decide("alice"), place.decide("bob", "risk-manager")
        place.await_pods(running=1)
        may_everything(place, "alice")

        attempt = place.decide("alice", "risk-manager", "Withdraw", withdraws=anothers)
        await_listed(place, attempt, "alice", "false", "MayNotWithdraw")
        await_listed(place, anothers, "bob", "true", "Counted")
        place.decide("alice", "model-owner", "Withdraw", withdraws=own)
        await_listed(place, own, "alice", "false", "Withdrawn")

    def test_what_is_not_there_cannot_be_withdrawn(self, place: Place) -> None:
        attempt = place.decide("alice", "model-owner", "Withdraw", withdraws="nothing")
        await_listed(place, attempt, "alice", "false", "NothingToWithdraw")


Attempt = Callable[[Api, str, str], object]


def patched(*operations: Json) -> Attempt:
    return lambda api, name, namespace: api.patch("apr", name, list(operations), namespace)


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}
VERDICT = {"status": {"counts": False, "reason": "Withdrawn", "message": ""}}
# 422: of the CRD's own rule, before any policy is asked.
ATTEMPTS: Sequence[tuple[str, Attempt, int, str]] = (
    ("another subject", patched({"op": "replace", "path": "/spec/subject", "value": UNSEEN}), 422, "a record is immutable"),
    ("another person", patched({"op": "replace", "path": "/spec/approver/username", "value": "carol"}), 422, "a record is immutable"),
    ("a later end", patched({"op": "add", "path": "/spec/expires", "value": "2099-01-01T00:00:00Z"}), 422, "a record is immutable"),
    ("a label", patched({"op": "add", "path": "/metadata/labels", "value": {"app": "another"}}), 403, "a record is immutable, its labels"),
    ("an annotation", patched({"op": "add", "path": "/metadata/annotations", "value": {"note": "another"}}), 403, "a record is immutable, its labels"),
    ("an owner that is gone", patched({"op": "add", "path": "/metadata/ownerReferences", "value": [OWNER]}), 403, "a record has no owner and no finalizer"),
    ("a finalizer", patched({"op": "add", "path": "/metadata/finalizers", "value": ["bank.example/keep"]}), 403, "a record has no owner and no finalizer"),
    ("its status", lambda api, name, namespace: api.patch("apr", name, VERDICT, namespace, subresource="status"), 403, "by the AIQMS operator alone"),
    ("deleted", lambda api, name, namespace: api.delete("apr", name, namespace), 403, "a record stays as long as its namespace"),
    ("deleted with all others", lambda api, _, namespace: api.delete_all("apr", namespace), 403, "a record stays as long as its namespace"),
)


class TestARecordStays:
    """Invariant 3: whoever holds every right on records there is, changes none."""

    @pytest.mark.parametrize(("attempt", "code", "said"), [pytest.param(*rest, id=what) for what, *rest in ATTEMPTS])
    @pytest.mark.parametrize("who", ["mallory", "admin"])
    def test_invariant_3_a_record_can_be_neither_changed_nor_deleted(self, place: Place, who: str, attempt: Attempt, code: int, said: str) -> None:
        every_right_on_records(place)
        name = place.decide("alice")
        place.await_verdict(name, True, "Counted")
        before = place.admin.get("apr", name, place.namespace)

        with refused(said, code=code):
            attempt(place.by(who), name, place.namespace)
        assert place.admin.get("apr", name, place.namespace) == before
