"""access.serviceAccount: whose ServiceAccount pods run as, and which tokens they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiqms.gate.rules import TOKEN as INJECTED
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, Reach
from aiqms.policy.surroundings import Surroundings, Uses, uses
from tests.unit.policy.given import approve, cleared, controls, day, given, pod, procedure, workload

REF = "Deployment/credit-scoring"
ROW = "high-risk/access/identity"
OWN = Uses(account="scoring", automount=False)
Says = tuple[str, str, str]

MISSING = ("Skip", "WorkloadMissing", "this is known once every workload exists")


def dedicated(*, audit: bool = False, **access: Any) -> Any:
    """A procedure that asks for a ServiceAccount of each deployment's own."""
    return procedure(audit=audit, access={"serviceAccount": "Dedicated"} | access)


def runs(used: Uses | None = OWN, *, accounts: dict[str, tuple[str, ...]] | None = None, pods: dict[str, Uses] | None = None, of: Any = None) -> Input:
    """An approved deployment whose pods use this."""
    around = Surroundings(workloads={REF: used} if used else {}, accounts=accounts or {}, pods=pods or {})
    return given(approve("alice"), procedures=[of or dedicated()], pods=[pod(name) for name in pods or {}], around=around, reach=Reach())


CASES: dict[str, tuple[Input, Says | None]] = {
    "nothing is asked": (runs(Uses(), of=procedure()), None),
    "something else is asked": (runs(Uses(), of=procedure(access={"rights": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]})), None),
    "its own, without a token": (
        runs(),
        ("Pass", "IdentityDedicated", "runs as ServiceAccount scoring, which no other workload or labelled pod of the namespace uses, without a token"),
    ),
    "its own, with a token that is allowed": (
        runs(Uses(account="scoring"), of=dedicated(token="Allowed")),
        ("Pass", "IdentityDedicated", "runs as ServiceAccount scoring, which no other workload or labelled pod of the namespace uses"),
    ),
    "the default one": (
        runs(replace(OWN, account="default")),
        ("Fail", "IdentityShared", f"{REF} runs as ServiceAccount default: name one of its own in serviceAccountName of its pod template"),
    ),
    "another workload's": (
        runs(accounts={"scoring": ("Deployment/portal", "Pod/debug")}),
        ("Fail", "IdentityShared", f"{REF} runs as ServiceAccount scoring, and so does Deployment/portal and Pod/debug: give each its own"),
    ),
    "a token by default": (
        runs(replace(OWN, automount=None)),
        ("Fail", "TokenMounted", f"{REF} may be given a token: set automountServiceAccountToken: false in its pod template"),
    ),
    "a token by a volume of its own": (
        runs(replace(OWN, tokens=("vault",))), ("Fail", "TokenMounted", f"{REF} mounts a token by volume vault: take it out")
    ),
    "a token in a pod that is no different for admission": (
        runs(pods={"a": OWN, "b": replace(OWN, tokens=("kube-api-access",))}),
        ("Fail", "TokenMounted", "pod b mounts a token by volume kube-api-access, which its workload does not: delete it"),
    ),
    "a token that a pod was given by default is told of its workload alone": (
        runs(replace(OWN, automount=None), pods={"b": Uses(account="scoring", tokens=("kube-api-access",))}),
        ("Fail", "TokenMounted", f"{REF} may be given a token: set automountServiceAccountToken: false in its pod template"),
    ),
    "a token of a pod, allowed": (
        runs(pods={"b": replace(OWN, tokens=("kube-api-access",))}, of=dedicated(token="Allowed")),
        ("Pass", "IdentityDedicated", "runs as ServiceAccount scoring, which no other workload or labelled pod of the namespace uses"),
    ),
    "both at once": (
        runs(Uses()),
        ("Fail", "IdentityShared",
         f"{REF} runs as ServiceAccount default: name one of its own in serviceAccountName of its pod template; "
         f"{REF} may be given a token: set automountServiceAccountToken: false in its pod template"),
    ),
    "no workload yet": (replace(runs(None), workloads=(workload(None),)), MISSING),
    "one of two workloads": (replace(runs(), workloads=(workload(), workload(None, ref="Job/batch"))), MISSING),
    "one of two workloads, and that as default": (
        replace(runs(replace(OWN, account="default")), workloads=(workload(), workload(None, ref="Job/batch"))),
        ("Fail", "IdentityShared", f"{REF} runs as ServiceAccount default: name one of its own in serviceAccountName of its pod template"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_control(case: tuple[Input, Says | None]) -> None:
    of, says = case
    assert controls(of, day(1)).get(ROW) == says


def test_a_pod_that_is_its_own_workload_is_told_once() -> None:
    mounting = replace(OWN, tokens=("t",))
    around = Surroundings(workloads={"Pod/one": mounting}, pods={"one": mounting})
    of = given(procedures=[dedicated()], workloads=[workload(ref="Pod/one")], pods=[pod("one")], around=around)
    assert controls(of, day(1))[ROW] == ("Fail", "TokenMounted", "Pod/one mounts a token by volume t: take it out")


def test_a_pod_of_an_earlier_subject_keeps_its_successor_from_nothing() -> None:
    old = {"old": replace(OWN, tokens=("kube-api-access",))}
    of = replace(runs(pods=old), pods=(pod("old", "v0"),))
    assert controls(of, day(1))[ROW][0] == "Pass"


def test_a_shared_identity_clears_nothing_new_and_under_audit_blocks_nothing() -> None:
    assert cleared(decide(runs(Uses()), day(1)), day(1)) == []
    assert cleared(decide(runs(), day(1)), day(1)) == ["v1"]
    assert cleared(decide(runs(Uses(), of=dedicated(audit=True)), day(1)), day(1)) == ["audit"]


def test_the_control_serves_the_obligations_of_access() -> None:
    of = runs(of=dedicated(obligations=[{"framework": "eu-ai-act", "id": "15(5)"}]))
    assert [c.obligations for c in decide(of, day(1)).status.controls if c.id == "access/identity"] == [["eu-ai-act 15(5)"]]


def spec(**more: Any) -> Any:
    return {"metadata": {"labels": {"app": "scoring"}}, "spec": {"containers": [{"name": "main", "image": "server"}], **more}}


TOKEN = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}

READ: dict[str, tuple[Any, Uses]] = {
    "what says nothing is the default account with a token": (spec(), Uses(labels={"app": "scoring"})),
    "a pod without labels": ({"metadata": {}, "spec": {"containers": []}}, Uses()),
    "a named one without": (
        spec(serviceAccountName="scoring", automountServiceAccountToken=False), Uses(labels={"app": "scoring"}, account="scoring", automount=False)
    ),
    "ports of the node": (
        spec(hostNetwork=True, initContainers=[{"name": "i", "image": "i", "ports": [{"containerPort": 1, "hostPort": 81}, {"containerPort": 2}]}]),
        Uses(labels={"app": "scoring"}, host=True, ports=(81,)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ.values(), ids=READ.keys())
def test_what_a_pod_uses(case: tuple[Any, Uses]) -> None:
    assert uses(case[0]) == case[1]


def test_a_token_counts_whatever_its_volume_is_called_and_however_it_looks() -> None:
    assert uses(spec(volumes=[TOKEN, {"name": "kube-api-access-x", "projected": INJECTED}, {"name": "tmp"}])).tokens == ("t", "kube-api-access-x")


def test_the_workload_is_looked_at_whatever_its_template_is() -> None:
    assert controls(replace(runs(Uses()), workloads=(workload("v2"),)), day(1))[ROW][1] == "IdentityShared"
