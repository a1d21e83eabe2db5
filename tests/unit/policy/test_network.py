"""access.network and access.networkUnverified: the operator's own NetworkPolicy to the letter, and what each row says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.policy.decide import decide
from aiqms.policy.facts import Broken, Input
from aiqms.policy.network import Kept, Unwanted, as_wanted, wanted
from aiqms.policy.networks import MAX_AGE, PATIENCE, Contest, Failing, Outcome, remembered
from tests.unit.api.network_cases import DEPLOYMENT, PROCEDURE
from tests.unit.policy.given import after, approve, change, cleared, controls, day, given, procedure, ready, template, workload
from tests.unit.policy.networks import LABELS, OWN, PORTAL, approved, clients, in_place, object_of, peers, probed, reached, stored

NETWORK, ENFORCED = "high-risk/access/network", "high-risk/access/network-enforced"
SUMMARY = f"NetworkPolicy {OWN}: it lets namespace loan-portal (app=portal) in at 8000; and the pods out to DNS, namespace features at 5432"
ADD_UP = "policies add up: narrow or delete what opens more, or name it in spec.access"
KUBE_DNS: Json = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def test_the_operators_own_policy_to_the_letter() -> None:
    assert object_of(approved(clients(monitoring=[{"namespace": "monitoring"}]))) == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "aiqms-credit-scoring",
            "namespace": "lending",
            "labels": {"app.kubernetes.io/managed-by": "aiqms-operator"},
            "ownerReferences": [
                {"apiVersion": "aiqms.dev/v1alpha1", "kind": "AIModelDeployment", "name": "credit-scoring", "uid": "uid", "blockOwnerDeletion": False}
            ],
        },
        "spec": {
            "podSelector": {"matchLabels": {"aiqms.dev/deployment": "credit-scoring"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "loan-portal"}},
                            "podSelector": {"matchLabels": {"app": "portal"}},
                        },
                        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
                    ],
                    "ports": [{"protocol": "TCP", "port": 8000}],
                }
            ],
            "egress": [
                KUBE_DNS,
                {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "features"}}}], "ports": [{"protocol": "TCP", "port": 5432}]},
            ],
        },
    }


SPECS: dict[str, tuple[Input, str, Any]] = {
    "no ports: nobody in": (approved(of=reached(ports=[])), "ingress", []),
    "nobody named: nobody in": (approved(of=reached(clients=[])), "ingress", []),
    "ports are each once and in order": (approved(of=reached(ports=[9, 8, 7])), "ingress.0.ports", [{"protocol": "TCP", "port": n} for n in (7, 8, 9)]),
    "a client twice is once": (approved(of=reached(clients=[{"namespace": "a"}, {"namespace": "a"}])), "ingress.0.from", peers("a")),
    "no egress: DNS alone": (approved(of=reached(egress=[])), "egress", [KUBE_DNS]),
    "addresses at any port": (approved(of=reached(egress=[{"cidr": "10.0.0.0/8"}])), "egress.1", {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
    "a destination of nothing, which the CRD refuses: DNS alone": (approved(of=reached(egress=[{}])), "egress", [KUBE_DNS]),
    "a selector without what is empty": (
        approved(of=reached(egress=[{"namespace": "a", "podSelector": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}])),
        "egress.1.to.0.podSelector",
        {"matchExpressions": [{"key": "k", "operator": "Exists"}]},
    ),
    "monitoring alone": (approved(clients(monitoring=[{"namespace": "m"}]), of=reached(clients=[])), "ingress.0.from", peers("m")),
    "monitoring that one of two procedures names": (
        approved(clients("p", monitoring=[{"namespace": "m"}]), clients("q"), of=reached(clients=[])), "ingress", [],
    ),
    "monitoring that both name": (
        approved(clients("p", monitoring=[{"namespace": "m"}, {"namespace": "n"}]), clients("q", monitoring=[{"namespace": "n"}]), of=reached(clients=[])),
        "ingress.0.from", peers("n"),
    ),
    "monitoring that one names more narrowly": (
        approved(clients("p", monitoring=[{"namespace": "m"}]), clients("q", monitoring=[PORTAL | {"namespace": "m"}]), of=reached(clients=[])),
        "ingress.0.from", [{**peers("m")[0], "podSelector": {"matchLabels": {"app": "portal"}}}],
    ),
    "a procedure that does not ask has no say": (
        approved(clients("p", monitoring=[{"namespace": "m"}]), procedure("q"), of=reached(clients=[])), "ingress.0.from", peers("m"),
    ),
    "one in Audit neither": (
        approved(clients("p", monitoring=[{"namespace": "m"}]), clients("q", audit=True), of=reached(clients=[])), "ingress.0.from", peers("m"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECS.values(), ids=SPECS.keys())
def test_what_the_policy_says(case: tuple[Input, str, Any]) -> None:
    of, path, expected = case
    found: Any = object_of(of)["spec"]
    for step in path.split("."):
        found = found[int(step) if step.isdigit() else step]
    assert found == expected


NONE: dict[str, tuple[Input, type]] = {
    "not governed": (replace(approved(), governed=False), Unwanted),
    "no procedure asks": (approved(procedure()), Unwanted),
    "only one in Audit asks": (approved(clients(audit=True)), Unwanted),
    "the register entry cannot be read": (given(of=Broken("spec.role: none"), procedures=[clients()]), Kept),
    "one that cannot be read beside one that does not ask": (given(procedures=[procedure(), ("broken", Broken("spec.title: too long"))]), Kept),
    "a procedure that cannot be read may ask": (given(procedures=[("broken", Broken("spec.title: too long"))]), Kept),
}


@pytest.mark.parametrize("case", NONE.values(), ids=NONE.keys())
def test_when_none_is_made(case: tuple[Input, type]) -> None:
    assert type(wanted(case[0])) is case[1]


DRIFT: dict[str, tuple[Json, bool]] = {
    "as written": ({}, True),
    "what is empty is not stored": ({"spec.egress": None}, False),
    "another label beside": ({"labels.team": "x"}, True),
    "without its label": ({"labels.app.kubernetes.io/managed-by": None}, False),
    "of another owner": ({"owners": ("other",)}, False),
    "another selector": ({"spec.podSelector": {}}, False),
    "one direction less": ({"spec.policyTypes": ["Ingress"]}, False),
    "open": ({"spec.ingress": [{}]}, False),
}


@pytest.mark.parametrize("case", DRIFT.values(), ids=DRIFT.keys())
def test_drift_is_any_difference_that_counts(case: tuple[Json, bool]) -> None:
    changed, right = case
    of = in_place(approved())
    own = of.network.policies[0]
    spec, labels = dict(own.spec), dict(own.labels)
    for path, value in changed.items():
        part, _, key = path.partition(".")
        if part in ("spec", "labels"):
            (spec if part == "spec" else labels)[key] = value
    seen = replace(own, spec={k: v for k, v in spec.items() if v is not None}, labels={k: v for k, v in labels.items() if v is not None})
    assert as_wanted(replace(seen, owners=changed.get("owners", own.owners)), object_of(of)) == right


def test_an_empty_list_that_the_api_server_leaves_out_is_no_drift() -> None:
    of = in_place(approved(of=reached(ports=[])))
    own = of.network.policies[0]
    assert as_wanted(replace(own, spec={k: v for k, v in own.spec.items() if k != "ingress"}), object_of(of))


@dataclass(frozen=True)
class Case:
    """The row says this on a day."""

    of: Input
    says: tuple[str, str, str] | None
    row: str = NETWORK
    at: datetime = day(1)  # noqa: RUF009


def fail(reason: str, message: str) -> tuple[str, str, str]:
    return "Fail", reason, message


def serving(of: Input) -> Input:
    """The same once it is cleared."""
    return after(in_place(of), day(0.5))


def without(of: Input, **more: Any) -> Input:
    """The same with the operator's own policy gone."""
    return replace(of, network=replace(of.network, policies=(), **more))


MISSING = f"NetworkPolicy {OWN} is not in place yet; nothing is cleared until it is there"
OPEN = stored("open", {"ingress": [{}]})
LARGE = stored("large", {"ingress": [{"from": [{"podSelector": {"matchLabels": {"n": f"{n}"}}, "namespaceSelector": {}} for n in range(600)]}]})
SERVED = serving(approved())
HOSTED = replace(workload(), template=template("v1") | {"pod": {"fields": {"hostNetwork": True}, "containers": []}})
CASES = {
    "no procedure asks": Case(approved(procedure()), None),
    "in place": Case(in_place(approved()), ("Pass", "NetworkPolicyInForce", SUMMARY)),
    "in place, without ports": Case(
        in_place(approved(of=reached(ports=[], egress=[]))),
        ("Pass", "NetworkPolicyInForce",
         f"NetworkPolicy {OWN}: it lets nobody in, for the register names no clients and ports in spec.access; and the pods out to DNS"),
    ),
    "not there": Case(approved(), fail("NetworkPolicyMissing", MISSING)),
    "not there, and it was never cleared": Case(without(in_place(approved())), fail("NetworkPolicyMissing", MISSING)),
    "not as it has to be": Case(
        replace(approved(), network=in_place(approved(of=reached(ports=[1]))).network), fail("NetworkPolicyMissing", MISSING)
    ),
    "not there, and no workload either": Case(
        replace(without(serving(approved())), workloads=(workload(None),)), fail("NetworkPolicyMissing", MISSING)
    ),
    "not there, and what was cleared has ended": Case(
        replace(without(SERVED), entries=tuple(e.model_copy(update={"valid_until": day(0.7)}) for e in SERVED.entries)), fail("NetworkPolicyMissing", MISSING)
    ),
    "it could not be written": Case(
        without(approved(), failing=Failing(day(1), "403 Forbidden: no")),
        fail("NetworkPolicyMissing", f"NetworkPolicy {OWN} could not be written: 403 Forbidden: no; nothing is cleared until it is there"),
    ),
    "deleted while cleared": Case(
        without(serving(approved())), ("Warn", "NetworkPolicyRestored", f"NetworkPolicy {OWN} was changed or deleted, and is being put right")
    ),
    "deleted while cleared, and not put right yet": Case(
        without(serving(approved()), failing=Failing(day(1), "500")),
        ("Warn", "NetworkPolicyRestored", f"NetworkPolicy {OWN} was changed or deleted, and is being put right; so far that failed: 500"),
    ),
    "deleted while cleared, and not put right for a minute": Case(
        without(serving(approved()), failing=Failing(day(1) - PATIENCE, "500")),
        fail("NetworkPolicyMissing", f"NetworkPolicy {OWN} could not be written: 500; nothing is cleared until it is there"),
    ),
    "changed while cleared, so that it opens more": Case(
        replace(serving(approved()), network=replace(approved().network, policies=(replace(OPEN, name=OWN),))),
        ("Warn", "NetworkPolicyRestored", f"NetworkPolicy {OWN} was changed or deleted, and is being put right"),
    ),
    "contested by one who applies it": Case(
        in_place(approved(), contest=Contest("argocd")),
        fail("NetworkPolicyContested", f"NetworkPolicy {OWN} is not as it has to be; argocd applies it too, so it is left alone: "
             "take that name out of what argocd applies, then delete the object; the operator then makes it anew"),
    ),
    "contested by one whose object it is": Case(
        in_place(approved(), contest=Contest("kubectl-create", theirs=True)),
        fail("NetworkPolicyContested", f"NetworkPolicy {OWN} is not as it has to be; kubectl-create made an object of that name, "
             "which bears no mark of the operator: delete it; the operator then makes it anew"),
    ),
    "contested by one who keeps changing it": Case(
        in_place(approved(), contest=Contest("kubectl-patch", day(2))),
        fail("NetworkPolicyContested", f"NetworkPolicy {OWN} is not as it has to be; kubectl-patch changed it more than 5 times in a minute, "
             "so it is left alone until nobody has for a minute: keep kubectl-patch from it; the operator then makes it anew"),
    ),
    "another one opens more": Case(
        in_place(approved(), OPEN),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy open (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "another one opens more, while the own one is being put right": Case(
        replace(serving(approved()), network=replace(approved().network, policies=(OPEN,))),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy open (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "several open more": Case(
        in_place(approved(), *(stored(f"n{n}", {"egress": [{"to": peers("a", "b")}]}) for n in range(7))),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy "
             + "; ".join(f"n{n} (egress to namespace a at any port and 1 more)" for n in range(5)) + f"; and 2 more; {ADD_UP}"),
    ),
    "as many as a message names open more": Case(
        in_place(approved(), *(replace(OPEN, name=f"n{n}") for n in range(5))),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy "
             + "; ".join(f"n{n} (ingress from anywhere at any port)" for n in range(5)) + f"; {ADD_UP}"),
    ),
    "another one of other pods": Case(
        in_place(approved(), replace(OPEN, spec=OPEN.spec | {"podSelector": {"matchLabels": {"app": "shop"}}})), ("Pass", "NetworkPolicyInForce", SUMMARY)
    ),
    "another one that says nothing of whom it selects: everybody": Case(
        in_place(approved(), replace(OPEN, spec={"policyTypes": ["Ingress"], "ingress": [{}]})),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy open (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "another one that selects by a label of a running pod alone": Case(
        in_place(approved(), replace(OPEN, spec=OPEN.spec | {"podSelector": {"matchLabels": {"hash": "1"}}}), labels=(LABELS, LABELS | {"hash": "1"})),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy open (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "another one that opens what the register names": Case(
        in_place(approved(), stored("same", {"ingress": object_of(approved())["spec"]["ingress"]})), ("Pass", "NetworkPolicyInForce", SUMMARY)
    ),
    "another one that is too large to be compared": Case(
        in_place(approved(), LARGE, OPEN),
        ("Error", "NetworkPolicyNotCompared", "NetworkPolicy large has more peers, ports and expressions than are compared, "
         f"so nobody can tell whether it opens more than {OWN}: make it smaller, or delete it"),
    ),
    "another one that opens more, before one that is too large": Case(
        in_place(approved(), replace(LARGE, name="too-large"), OPEN),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy open (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "another one that opens nothing": Case(in_place(approved(), stored("deny", {"ingress": [], "egress": []})), ("Pass", "NetworkPolicyInForce", SUMMARY)),
    "pods in their node's network": Case(
        in_place(replace(approved(), workloads=(HOSTED,))),
        fail("HostNetwork", "the pods of Deployment/credit-scoring use their node's network, to which no NetworkPolicy applies: take hostNetwork out"),
    ),
    "of a workload that does not exist yet": Case(in_place(replace(approved(), workloads=(workload(None),))), ("Pass", "NetworkPolicyInForce", SUMMARY)),
    "in Audit none is made": Case(
        approved(clients(audit=True)), ("Skip", "Audit", f"in Enforce the operator would keep {SUMMARY}"),
    ),
    "in Audit none is made, with what would be let in": Case(
        approved(clients(audit=True, monitoring=[{"namespace": "m"}])),
        ("Skip", "Audit", f"in Enforce the operator would keep NetworkPolicy {OWN}: it lets namespace loan-portal (app=portal), namespace m in at 8000; "
         "and the pods out to DNS, namespace features at 5432"),
    ),
    "beside one in Audit, which has no say": Case(
        in_place(approved(clients(monitoring=[{"namespace": "m"}]), clients("q", audit=True))),
        ("Pass", "NetworkPolicyInForce", f"NetworkPolicy {OWN}: it lets namespace loan-portal (app=portal), namespace m in at 8000; "
         "and the pods out to DNS, namespace features at 5432"),
    ),
    "in Audit another one that opens more is found": Case(
        replace(approved(clients(audit=True)), network=replace(approved().network, policies=(replace(OPEN, name=OWN),))),
        fail("NetworkPolicyOpensMore", f"beside {OWN}, these pods are opened by NetworkPolicy {OWN} (ingress from anywhere at any port); {ADD_UP}"),
    ),
    "not governed": Case(
        replace(approved(), governed=False), ("Skip", "NamespaceNotGoverned", f"NetworkPolicy {OWN} is made once namespace lending is governed")
    ),
    "enforcement: no procedure asks": Case(approved(procedure()), None, ENFORCED),
    "enforcement: no probe": Case(
        approved(clients(networkUnverified="Refused")),
        ("Error", "EnforcementNotVerified", "enforcement not verified: no probe is set up: the platform team sets networkProbe.enabled in the chart's values, "
         "or the procedure says networkUnverified: Warned"), ENFORCED,
    ),
    "enforcement: no probe, which is a warning": Case(
        approved(),
        ("Warn", "EnforcementNotVerified", "enforcement not verified: no probe is set up: the platform team sets networkProbe.enabled in the chart's values"),
        ENFORCED,
    ),
    "enforcement: a probe that was not answered": Case(
        in_place(approved(clients(networkUnverified="Refused")), probe=probed(Outcome.SILENT, 1, "probe:8090 does not answer")),
        ("Error", "EnforcementNotVerified", "enforcement not verified: the network probe tells nothing: probe:8090 does not answer"), ENFORCED,
    ),
    "enforcement: verified": Case(
        in_place(approved(), probe=probed(Outcome.ENFORCED, 1)),
        ("Pass", "EnforcementVerified", "a probe found that this cluster's network enforces NetworkPolicies on incoming connections"), ENFORCED,
    ),
    "enforcement: verified a moment before it is too old": Case(
        in_place(approved(), probe=probed(Outcome.ENFORCED, 1)),
        ("Pass", "EnforcementVerified", "a probe found that this cluster's network enforces NetworkPolicies on incoming connections"),
        ENFORCED, day(1) + MAX_AGE - timedelta(microseconds=1),
    ),
    "enforcement: verified too long ago": Case(
        in_place(approved(clients(networkUnverified="Refused")), probe=probed(Outcome.ENFORCED, 1)),
        ("Error", "EnforcementNotVerified", "enforcement not verified: the last network probe is older than 15 minutes: look at the operator's log"),
        ENFORCED, day(1) + MAX_AGE,
    ),
    "enforcement: before the first probe of a new leader, it was verified": Case(
        replace(after(in_place(approved(), probe=probed(Outcome.ENFORCED, 0.5)), day(0.5)), network=in_place(approved(), pending=True).network),
        ("Pass", "EnforcementVerified", "a probe found that this cluster's network enforces NetworkPolicies on incoming connections"), ENFORCED,
    ),
    "enforcement: before the first probe of a new leader, and never judged": Case(
        in_place(approved(clients(networkUnverified="Refused")), pending=True),
        ("Error", "EnforcementNotVerified", "enforcement not verified: the first network probe is under way"), ENFORCED,
    ),
    "enforcement: while a new leader is still at its first probe, which nobody answered so far": Case(
        in_place(approved(), pending=True, probe=probed(Outcome.SILENT, 1, "probe:8090 does not answer")),
        ("Warn", "EnforcementNotVerified", "enforcement not verified: the network probe tells nothing: probe:8090 does not answer"), ENFORCED,
    ),
    "enforcement: missing, which no procedure takes for a warning": Case(
        in_place(approved(), probe=probed(Outcome.OPEN, 1)),
        fail("EnforcementMissing", "a probe reached a pod that a NetworkPolicy shuts off, so this cluster's network does not enforce them: "
             "install a network plugin that does"), ENFORCED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_row_says(case: Case) -> None:
    assert controls(case.of, case.at).get(case.row) == case.says


def test_nothing_is_cleared_before_the_policy_is_there() -> None:
    before = decide(approved(), day(1))
    assert (cleared(before, day(1)), ready(before)[:2]) == ([], ("False", "NetworkPolicyMissing"))
    assert cleared(decide(in_place(approved()), day(1)), day(1)) == ["v1"]


def test_a_policy_that_somebody_deleted_lapses_nothing_while_it_is_put_back() -> None:
    assert cleared(decide(without(serving(approved())), day(1)), day(1)) == ["v1"]


def test_nothing_new_is_cleared_on_the_strength_of_a_policy_that_is_being_put_back() -> None:
    changed = change(serving(approved()), approve("alice", name="more"), workloads=[workload("v2")])
    assert "v2" in cleared(decide(changed, day(1)), day(1))
    assert "v2" not in cleared(decide(without(changed), day(1)), day(1))


def test_kstatus_is_told_whether_waiting_mends_it() -> None:
    missing, opened = (decide(of, day(1)).status.conditions for of in (approved(), in_place(approved(), OPEN)))
    assert [c.type for c in missing if c.status == "True" and c.reason == "NetworkPolicyMissing"] == ["Reconciling"]
    assert [c.type for c in opened if c.status == "True" and c.reason == "NetworkPolicyOpensMore"] == ["Stalled"]


@pytest.mark.parametrize("kind", ["opens more", "contested", "enforcement missing"])
def test_what_fails_lapses_what_runs_as_on_lapse_says(kind: str) -> None:
    of = serving(approved())
    failing = {
        "opens more": replace(of.network, policies=(*of.network.policies, OPEN)),
        "contested": replace(of.network, contest=Contest("argocd")),
        "enforcement missing": replace(of.network, probe=probed(Outcome.OPEN, 1)),
    }[kind]
    assert cleared(decide(replace(of, network=failing), day(1)), day(1)) == []


def test_audit_blocks_nothing() -> None:
    of = approved(clients(audit=True))
    opened = replace(of, network=replace(of.network, policies=(OPEN,)))
    assert ready(decide(opened, day(1)))[:2] == ("True", "Audit")


def test_each_procedure_that_asks_has_its_rows() -> None:
    of = in_place(approved(clients("p", obligations=[{"framework": "eu-ai-act", "id": "15(5)"}]), clients("q"), procedure("r")))
    found = [(c.procedure, c.id, c.obligations) for c in decide(of, day(1)).status.controls if c.id.startswith("access/")]
    assert found == [
        ("p", "access/network", ["eu-ai-act 15(5)"]), ("q", "access/network", []),
        ("p", "access/network-enforced", ["eu-ai-act 15(5)"]), ("q", "access/network-enforced", []),
    ]  # fmt: skip


@pytest.mark.parametrize("case", [*PROCEDURE.values(), *DEPLOYMENT.values()], ids=[*PROCEDURE, *DEPLOYMENT])
def test_each_field_changes_what_the_rows_say(case: tuple[Input, Input, float]) -> None:
    """Beyond invariant 10, which a changed digest of the procedure's part would satisfy alone."""
    one, two = ([c for c in decide(of, day(1)).status.controls if c.id.startswith("access/")] for of in case[:2])
    assert one != two


def test_an_event_says_who_changed_it() -> None:
    of = in_place(approved(), restored="was changed by kubectl-patch")
    note = f"NetworkPolicy {OWN} was changed by kubectl-patch, and was put right (kubectl qms explain aimd/credit-scoring -n lending)"
    assert [(t.kind, t.note) for t in decide(of, day(1)).told if t.reason == "NetworkPolicyRestored"] == [("Warning", note)]


WAKES = {
    "a probe grows too old": (in_place(approved(), probe=probed(Outcome.ENFORCED, 1)), day(1) + MAX_AGE),
    "a contest may be over": (in_place(approved(), contest=Contest("x", day(1) + timedelta(seconds=60))), day(1) + timedelta(seconds=60)),
    "a failure has lasted too long": (without(serving(approved()), failing=Failing(day(1), "500")), day(1) + PATIENCE),
    "nobody asks": (replace(approved(procedure()), network=replace(approved().network, probe=probed(Outcome.ENFORCED, 1))), None),
}


@pytest.mark.parametrize("case", WAKES.values(), ids=WAKES.keys())
def test_time_alone_wakes_it(case: tuple[Input, datetime | None]) -> None:
    assert decide(case[0], day(1)).wake == case[1]


REMEMBERED = {
    "the first answer": (None, (Outcome.SILENT, 0), (Outcome.SILENT, 0)),
    "a later answer": ((Outcome.ENFORCED, 0), (Outcome.ENFORCED, 5), (Outcome.ENFORCED, 5)),
    "it is open now": ((Outcome.ENFORCED, 0), (Outcome.OPEN, 5), (Outcome.OPEN, 5)),
    "it is enforced now": ((Outcome.OPEN, 0), (Outcome.ENFORCED, 5), (Outcome.ENFORCED, 5)),
    "silence after an answer": ((Outcome.ENFORCED, 0), (Outcome.SILENT, 14), (Outcome.ENFORCED, 0)),
    "silence after it was open": ((Outcome.OPEN, 0), (Outcome.SILENT, 14), (Outcome.OPEN, 0)),
    "silence for too long": ((Outcome.ENFORCED, 0), (Outcome.SILENT, 15), (Outcome.SILENT, 15)),
    "silence after silence": ((Outcome.SILENT, 0), (Outcome.SILENT, 3), (Outcome.SILENT, 3)),
}


@pytest.mark.parametrize("case", REMEMBERED.values(), ids=REMEMBERED.keys())
def test_what_a_probe_found_counts_until_its_maximum_age(case: tuple[tuple[Outcome, int] | None, tuple[Outcome, int], tuple[Outcome, int]]) -> None:
    before, found, kept = (probed(each[0], each[1] / 24 / 60) if each else None for each in case)
    assert found
    assert remembered(before, found) == kept


def test_no_message_tells_when_a_probe_was_so_that_another_one_changes_nothing() -> None:
    one, two = (in_place(approved(), probe=probed(Outcome.ENFORCED, at)) for at in (1, 1.001))
    at = day(1.002)
    assert decide(one, at).status == decide(two, at).status
