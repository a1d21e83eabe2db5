"""What was approved before, while a control fails that judges what runs under it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aiqms.api.deployment import Exposure
from aiqms.api.values import Json
from aiqms.gate import rules
from aiqms.policy import older
from aiqms.policy.decide import decide
from aiqms.policy.digests import digest
from aiqms.policy.facts import AccountRight, Input, Procedure, Reach, WorkloadFacts
from aiqms.policy.networks import Contest, Failing, Network, Outcome
from aiqms.policy.rbac import Given as Holds
from aiqms.policy.rbac import Rule, Subject
from aiqms.policy.reach import EDIT_WORKLOAD
from aiqms.policy.surroundings import Leading, Surroundings, Uses
from tests.unit.policy.given import HEX, MODEL, after, approve, change, cleared, controls, day, given, pod, procedure, spec, template, workload
from tests.unit.policy.networks import LABELS, REGISTERED, in_place, probed, stored

ENDED = "its clearance has ended, and onLapse or onChange stops it"
LEADING = Leading("Service", "lending", "back-door", Exposure.LOAD_BALANCER, plain=("Service/back-door is open",))
UNSURE = Leading("Gateway", "lending", "door", Exposure.LOAD_BALANCER, unknown=("Gateway/door names a Secret that cannot be read",))
OPEN = stored("open", {"ingress": [{}]})


def form(word: str, model: str | None = HEX["1"], *, fields: Json | None = None, **pod_: Any) -> Json:
    """The normal form of a pod of this word; fields: of the pod; more parts of it."""
    made = template(word, model)
    pod_ = {"fields": {"serviceAccountName": "scoring", "automountServiceAccountToken": False} | (fields or {})} | pod_
    return made | {"pod": made["pod"] | pod_}


def running(*images: str, **fields: Any) -> Json:
    """Containers of these images, and of these fields."""
    return {"containers": [{"fields": {"name": f"c{n}", "image": image} | fields} for n, image in enumerate(images)]}


def ephemeral(class_: str) -> Json:
    return {"volumes": {"data": {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": class_}}}}}}


def of_form(made: Json) -> WorkloadFacts:
    return replace(workload(), template=made, digest=digest(made))


def asking(lapse: str, **asks: Any) -> Procedure:
    return procedure(lapse=lapse, **asks)


@dataclass(frozen=True)
class Case:
    """v1 was approved and runs, v2 waits; then the procedure asks this, and things are so. v1: how its template is other than v2's."""

    asks: Json
    changes: Mapping[str, Any] = field(default_factory=dict)
    v1: Mapping[str, Any] = field(default_factory=dict)
    says: str | None = None


def pending(case: Case, lapse: str = "Hold") -> Input:
    """Of that case, before anything is asked."""
    old, new = form("v1", **case.v1), form("v2")
    runs = replace(pod("old"), template=old)
    begun = given(approve("alice"), of=spec(access=REGISTERED), procedures=[asking(lapse)], workloads=[of_form(old)], pods=[runs], network=Network("uid"))
    waits = change(after(begun, day(1)), workloads=[of_form(new)], pods=[runs, replace(pod("new", held=True), template=new)])
    return after(waits, day(2))


def tightened(case: Case, lapse: str = "Hold") -> Input:
    """Of that case, once it is asked."""
    return change(pending(case, lapse), **{"procedures": [asking(lapse, **case.asks)], **case.changes})


def network(*others: Any, **more: Any) -> Mapping[str, Any]:
    """The operator's own policy is in place, beside these."""
    probe = probed(Outcome.ENFORCED, 3)
    base = given(of=spec(access=REGISTERED), procedures=[asking("Hold", **CLIENTS)], network=Network("uid", labels=(LABELS,), probe=probe))
    return {"network": in_place(base, *others, **more).network}


CLIENTS: Json = {"access": {"network": "Clients"}}
NO_OTHERS = Surroundings(accounts={"scoring": ()})
LIST: Json = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
GET = LIST | {"verbs": ["get"]}
READER = AccountRight("scoring", Rule(("get",), ("",), ("secrets",)), "lending", "RoleBinding lending/x (Role x)")
EDITOR = Reach(editors=(Holds(Subject("User", "eve"), EDIT_WORKLOAD.asks[0], None),))
PINNED = f"bank.example/v1@{HEX['7']}"
ON_NODE = running("bank.example/v1", ports=[{"containerPort": 8000, "hostPort": 81}])
TOLD = [{"name": "MODEL", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{MODEL}']"}}}]
MOUNTS = {"mounts": [{"name": "files", "mountPath": "/files", "readOnly": True}]}
CHECKED: Json = {
    "containers": [{"fields": {"name": "main", "image": "bank.example/v1"}} | MOUNTS],
    "initContainers": [{"fields": {"name": "check", "image": f"bank.example/check@{HEX['8']}", "env": TOLD}} | MOUNTS],
    "volumes": {"files": {"name": "files", "emptyDir": {}}},
}
CLAIM: Json = {"volumes": {"data": {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}}}
ENCRYPTED: Json = {"access": {"storage": {"classes": ["encrypted"]}}}
HOST: Json = {"fields": {"hostNetwork": True}}
ENDS = {
    "registries are narrowed": Case({"supply": {"registries": ["bank.example/v2"]}}, says="supply/registries (high-risk)"),
    "images have to be pinned": Case({"supply": {"pinnedImages": "Required"}}, says="supply/pinned-images (high-risk)"),
    "one of its images is not pinned": Case(
        {"supply": {"pinnedImages": "Required"}}, v1=running("bank.example/v1", PINNED), says="supply/pinned-images (high-risk)"
    ),
    "one of its images is from elsewhere": Case(
        {"supply": {"registries": ["bank.example/*"]}}, v1=running("bank.example/v1", "other.example/proxy"), says="supply/registries (high-risk)"
    ),
    "the same model has to be bound, and no image is a checker": Case({"supply": {"model": "Bound"}}, v1=CHECKED, says="supply/model (high-risk)"),
    "the same model has to be bound": Case({"supply": {"model": "Bound"}}, says="supply/model (high-risk)"),
    "the same model has to be declared": Case({"supply": {"model": "Declared"}}, v1={"model": None}, says="supply/model (high-risk)"),
    "the same model is from elsewhere": Case({"supply": {"modelUris": ["s3://*/x"]}}, says="supply/model-uri (high-risk)"),
    "another NetworkPolicy opens more": Case(CLIENTS, network(OPEN)),
    "another one opens more, and the template that waits takes its node's network": Case(
        CLIENTS, {**network(OPEN), "workloads": [of_form(form("v2", fields={"hostNetwork": True}))]}
    ),
    "the operator's own is contested": Case(CLIENTS, network(contest=Contest("flux"))),
    "and could not be put back for a minute": Case(
        CLIENTS, {"network": replace(network()["network"], policies=(), failing=Failing(day(1), "refused"))}
    ),
    "the network enforces nothing": Case(CLIENTS, {"network": replace(network()["network"], probe=probed(Outcome.OPEN, 3))}),
    "its pods use their node's network": Case(CLIENTS, network(), v1=HOST, says="access/network (high-risk)"),
    "its ServiceAccount was given rights": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(accounts=(READER,)), "around": NO_OTHERS}, says="access/rights (high-risk)"
    ),
    "its ServiceAccount was given more rights than are listed": Case(
        {"access": {"rights": [LIST]}}, {"reach": Reach(accounts=(READER,)), "around": NO_OTHERS}, says="access/rights (high-risk)"
    ),
    "its ServiceAccount is somebody else's too": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(), "around": Surroundings(accounts={"scoring": ("Pod/x",)})},
        says="access/identity (high-risk)",
    ),
    "its ServiceAccount is the default one": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(), "around": NO_OTHERS}, v1={"fields": {"serviceAccountName": "default"}},
        says="access/identity (high-risk)",
    ),
    "its pods may be given a token": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(), "around": NO_OTHERS}, v1={"fields": {"automountServiceAccountToken": True}},
        says="access/identity (high-risk)",
    ),
    "its pods hold a token by a volume": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(), "around": NO_OTHERS},
        v1={"volumes": {"t": {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}}}, says="access/identity (high-risk)",
    ),
    "its claim is of another class": Case(ENCRYPTED, {"around": Surroundings(claims={"data": "plain"})}, v1=CLAIM, says="access/storage (high-risk)"),
    "its own volume is of another class": Case(ENCRYPTED, v1=ephemeral("plain"), says="access/storage (high-risk)"),
    "its files are on the node": Case(
        ENCRYPTED, v1={"volumes": {"data": {"name": "data", "hostPath": {"path": "/srv"}}}}, says="access/storage (high-risk)"
    ),
    "an object that nobody registered leads to pods that run": Case(
        {"access": {"endpoints": "Registered"}}, {"around": Surroundings(endpoints=(LEADING,), reaching=(LEADING,))}
    ),
    "and asks for no TLS": Case({"access": {"tls": "Required"}}, {"around": Surroundings(endpoints=(LEADING,), reaching=(LEADING,))}),
    "and of some nobody can say whether it asks for TLS": Case(
        {"access": {"tls": "Required"}}, {"around": Surroundings(endpoints=(UNSURE,), reaching=(UNSURE,))}
    ),
    "one of its containers takes a port of the node": Case({"access": {"endpoints": "Registered"}}, v1=ON_NODE, says="access/endpoints (high-risk)"),
    "and TLS is required": Case({"access": {"tls": "Required"}}, v1=ON_NODE, says="access/tls (high-risk)"),
    "its pods take a port of the node": Case(
        {"access": {"endpoints": "Registered", "tls": "Required"}}, v1=HOST, says="access/endpoints (high-risk)"
    ),
    "somebody may edit whom nobody named": Case({"access": {"editors": {"groups": ["platform"]}}}, {"reach": EDITOR}),
    "nobody confirmed who can do what": Case({"access": {"reviewEvery": "90d"}}, {"reach": Reach()}),
}  # fmt: skip
BROUGHT = Surroundings(workloads={"Deployment/credit-scoring": Uses(account="default", host=True)}, endpoints=(LEADING,))
GOES_ON = {
    "nothing fails": Case({"supply": {"registries": ["bank.example/*"]}, "access": {"network": "Clients"}}, network()),
    "only what waits is from elsewhere": Case({"supply": {"registries": ["bank.example/v1"]}}),
    "only what waits brings an object that leads to it, a port of its node and another's ServiceAccount": Case(
        {"access": {"endpoints": "Registered", "tls": "Required", "serviceAccount": "Dedicated"}}, {"around": BROUGHT, "reach": Reach()}
    ),
    "the operator's own policy is being put back": Case(CLIENTS, {"network": replace(network()["network"], policies=())}),
    "its own volume is of such a class": Case(ENCRYPTED, v1=ephemeral("encrypted")),
    "the class of its claim is not known yet": Case(ENCRYPTED, v1=CLAIM),
    "its claim is a StatefulSet's": Case(ENCRYPTED, v1={"volumes": {"data": rules.OWN_CLAIM}}),
    "another model is from elsewhere": Case(
        {"supply": {"modelUris": ["s3://*/x"], "model": "Bound"}},
        {"of": spec(access=REGISTERED, model={"name": "m", "version": "2", "uri": "oci://bank.example/m", "digest": HEX["1"]})},
    ),
    "every image of it is pinned": Case({"supply": {"pinnedImages": "Required"}}, v1=running(PINNED)),
    "the same model has to be declared, and is": Case({"supply": {"model": "Declared"}}),
    "the same model has to be bound, and an init container compares its files": Case(
        {"supply": {"model": "Bound", "digestCheckers": ["bank.example/check"]}}, v1=CHECKED
    ),
    "the model is from where it may be, and nothing says that it has to be declared": Case(
        {"supply": {"modelUris": ["oci://bank.example/*"]}}, v1={"model": None}
    ),
    "a workload is missing, so that nobody knows what the model is": Case({"supply": {"model": "Bound"}}, {"workloads": [workload(None)]}),
    "nothing is asked of its ServiceAccount, which is the default one and may read": Case(
        CLIENTS, {**network(), "reach": Reach(accounts=(replace(READER, account="default"),))}, v1={"fields": {"serviceAccountName": "default"}}
    ),
    "its pods may be given a token, which is allowed": Case(
        {"access": {"serviceAccount": "Dedicated", "token": "Allowed"}}, {"reach": Reach(), "around": NO_OTHERS},
        v1={"fields": {"automountServiceAccountToken": True}},
    ),
    "nobody looked at rights yet": Case({"access": {"serviceAccount": "Dedicated"}}, {"around": NO_OTHERS}),
    "another ServiceAccount was given rights": Case(
        {"access": {"serviceAccount": "Dedicated"}}, {"reach": Reach(accounts=(replace(READER, account="other"),)), "around": NO_OTHERS}
    ),
    "its ServiceAccount was given rights that are listed": Case(
        {"access": {"rights": [GET]}}, {"reach": Reach(accounts=(READER,)), "around": NO_OTHERS}
    ),
    "a procedure in Audit would end it": Case({}, {"procedures": [procedure(), procedure("tried", audit=True, supply={"pinnedImages": "Required"})]}),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS)
def test_it_is_admitted_no_more_and_ends_as_on_lapse_says(case: Case) -> None:
    for lapse, ended in (("Hold", {}), ("Hold 1d", {}), ("Stop", {"old": ENDED})):
        of = tightened(case, lapse)
        decision = decide(of, day(3))
        assert decision.status.phase in ("Held", "Stopped")
        assert ([e for e in decision.entries if e.valid_until and day(3) < e.valid_until], {r.pod: r.why for r in decision.removals}) == ([], ended)
        rest = after(of, day(3))
        assert decide(rest, day(3.5)).entries == decide(of, day(3)).entries
        assert {r.pod for r in decide(rest, day(4)).removals} == (set() if lapse == "Hold" else {"old"})


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS)
def test_why_is_said(case: Case) -> None:
    of = tightened(case)
    said = f"what was approved before is admitted no more: {of.entries[0].fingerprint[:15]} does not pass {case.says}" if of.entries[0].fingerprint else ""
    assert controls(of, day(3)).get("change/approved-before") == (("Warn", "ApprovedBeforeUnfit", said) if case.says else None)


def test_of_what_is_to_be_approved_now_its_own_controls_say_it() -> None:
    before = after(given(approve("alice"), workloads=[of_form(form("v1"))]), day(1))
    of = change(before, procedures=[procedure(supply={"pinnedImages": "Required"})])
    said = controls(of, day(2))
    assert (said["high-risk/supply/pinned-images"][0], said.get("change/approved-before")) == ("Fail", None)


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS)
def test_mended_it_is_admitted_again(case: Case) -> None:
    before = pending(case)
    mended = change(after(tightened(case), day(3)), procedures=list(before.procedures))
    assert cleared(decide(mended, day(4)), day(4)) == ["v1"]


@pytest.mark.parametrize("case", GOES_ON.values(), ids=GOES_ON)
def test_what_concerns_only_what_waits_ends_nothing(case: Case) -> None:
    decision = decide(tightened(case, "Stop"), day(3))
    assert ([word.partition("@")[0] for word in cleared(decision, day(3))], decision.removals) == (["v1"], ())
    assert decision.status.phase == "ChangePending"


def test_the_normal_form_has_a_claim_of_its_own_as_it_is_known_here() -> None:
    assert older._OWN_CLAIM == rules.OWN_CLAIM
