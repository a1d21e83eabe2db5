"""Who can lift what a control says, and what they run. Pure. A step that would not work is not shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiqms.api.conditions import Reason
from aiqms.api.record import Decision
from aiqms.api.values import Json
from aiqms.cli import case as cases
from aiqms.cli.facts import Facts
from aiqms.cli.holders import WhoMay
from aiqms.cli.rights import binding
from aiqms.gate.rules import OPERATOR_NAMESPACE
from aiqms.policy.network import NETWORK
from aiqms.policy.networks import policy_name

_APPROVALS = "approvals/"
_UNKNOWN = WhoMay((), known=False)
_UNSET = "networkProbe.enabled"  # in the message of a control that no probe stands behind
_NAMED = re.compile(r"opened by NetworkPolicy (\S+) \(")
_INSTALLER = ("whoever installs the chart",)
_REVIEWED = ("EmergencyInForce", "ReviewPending", "ReviewOverdue")


@dataclass(frozen=True)
class Way:
    """role: that it takes, where there is one. who: those who may; known: whether these are all; me: whether the person who asks may.

    command: what they run; empty where nobody could. bind: what makes somebody one of them; empty where nothing would.
    """

    role: str = ""
    who: tuple[str, ...] = ()
    known: bool = True
    me: bool = False
    command: str = ""
    bind: str = ""

    @property
    def anybody(self) -> bool:
        """Whether there may be somebody who can."""
        return bool(self.who) or self.me or not self.known


def remedy(control: Json, facts: Facts) -> Way | None:
    """What lifts a control that waits for a person; None where it waits for none."""
    if control["result"] not in ("Fail", "Error", "Warn"):
        return None
    if control["reason"] == "Stopped":
        return _resume(facts)
    way = next((way for id_, reasons, way in _WAYS if control["id"].startswith(id_) and (not reasons or control["reason"] in reasons)), None)
    return way(control, facts) if way else None


def _approvals(control: Json, facts: Facts) -> Way | None:
    role = control["id"].removeprefix(_APPROVALS)
    if control["result"] == "Warn":
        return None
    return _withdraw(role, facts) if control["reason"] == "Rejected" else _approve(role, facts)


def _network(control: Json, facts: Facts) -> Way | None:
    """Whoever writes NetworkPolicies in the namespace, or installs the chart."""
    those = (f"whoever may change NetworkPolicies in namespace {facts.namespace}",)
    own = policy_name(facts.name)
    match control["reason"]:
        case Reason.NETWORK_POLICY_CONTESTED:
            return Way(who=those, command=f"kubectl delete networkpolicy {own} -n {facts.namespace}")
        case Reason.NETWORK_POLICY_OPENS_MORE | Reason.NETWORK_POLICY_NOT_COMPARED:
            first = next(iter(_NAMED.findall(control["message"])), "")
            return Way(who=those, command=f"kubectl edit networkpolicy {first} -n {facts.namespace}" if first else "")
        case Reason.ENFORCEMENT_NOT_VERIFIED if _UNSET in control["message"]:
            return Way(who=_INSTALLER, command=f"helm upgrade aiqms charts/aiqms -n {OPERATOR_NAMESPACE} --reuse-values --set networkProbe.enabled=true")
        case Reason.ENFORCEMENT_NOT_VERIFIED:
            return Way(who=_INSTALLER, command=f"kubectl get pods -n {OPERATOR_NAMESPACE} -l 'app.kubernetes.io/component in (probe-open, probe-shut)'")
    return None


def _approve(role: str, facts: Facts) -> Way:
    may = facts.who_may.get((role, Decision.APPROVE), _UNKNOWN)
    return _way([(role, may)], f"kubectl qms approve {facts.name} -n {facts.namespace} --role {role}", facts)


def _way(asked: Iterable[tuple[str, WhoMay]], command: str, facts: Facts, *, but: str = "") -> Way:
    """Of all who hold one of the roles. but: a person who may not, whatever the role."""
    each = list(asked)
    who = tuple(dict.fromkeys(p for _, may in each for p in may.people if p != f"user {but}"))
    giver = next(((role, may.giver) for role, may in each if may.giver), None)
    bind = binding(giver[0], f"group {giver[0]}s", facts.namespace, clusterrole=giver[1]) if giver else ""
    way = Way(
        role=each[0][0] if len(each) == 1 else "",
        who=who,
        known=bool(each) and all(may.known for _, may in each),
        me=any(may.me for _, may in each) and not (but and facts.me == but),
    )
    return Way(way.role, way.who, way.known, way.me, command if way.anybody else "", "" if way.anybody else bind)


def _withdraw(role: str, facts: Facts) -> Way | None:
    """By its author, or whoever holds verb withdraw on its role."""
    subject = ((facts.deployment or {}).get("status") or {}).get("subject", {}).get("fingerprint")
    against = [r for r in cases.of(facts.records, Decision.REJECT) if r["spec"].get("subject") == subject and r["spec"]["role"] == role and cases.counts(r)]
    if not against:
        return None
    record, may = against[-1], facts.who_may.get((role, Decision.WITHDRAW), _UNKNOWN)
    author = cases.who(record)
    others = WhoMay(tuple(dict.fromkeys((f"user {author}", *may.people))), may.known, me=may.me or author == facts.me)
    return _way([(role, others)], f"kubectl qms withdraw apr/{record['metadata']['name']} -n {facts.namespace}", facts)


def _resume(facts: Facts) -> Way:
    """Of one of the roles that can stop it; unknown where procedures may not be read."""
    asked = [(role, facts.who_may.get((role, Decision.RESUME), _UNKNOWN)) for role in facts.stop_roles or ()]
    return _way(asked or [("", _UNKNOWN)], f"kubectl qms resume {facts.name} -n {facts.namespace}", facts)


def _review(control: Json, facts: Facts) -> Way | None:
    """By somebody who approves, and did not break the glass."""
    waiting = [r for r in cases.unreviewed_of(facts.records) if f"apr/{r['metadata']['name']})" in control["message"]]
    if not waiting:
        return None
    record = waiting[0]
    roles = dict.fromkeys(role for role, decision in facts.who_may if decision is Decision.APPROVE)
    asked = [(role, facts.who_may[(role, Decision.REJECT)]) for role in roles if (role, Decision.REJECT) in facts.who_may]
    command = f"kubectl qms review {facts.name} -n {facts.namespace} --record {record['metadata']['name']}"
    return _way(asked, command, facts, but=cases.who(record))


def _review_access(control: Json, facts: Facts) -> Way | None:
    """By one of the roles that the control's procedure has review."""
    asked = [(role, facts.who_may.get((role, Decision.REVIEW_ACCESS), _UNKNOWN)) for role in facts.reviewers.get(control.get("procedure", ""), ())]
    return _way(asked or [("", _UNKNOWN)], f"kubectl qms review-access {facts.name} -n {facts.namespace}", facts)


def renewal(facts: Facts) -> Way | None:
    """Whose approvals end soon, while what they approved is still the current subject: they approve again."""
    status = (facts.deployment or {}).get("status") or {}
    people = tuple(dict.fromkeys(f"user {cases.who(r)}" for r in cases.ending(facts.records, status)))
    if not people:
        return None
    return Way(who=people, me=f"user {facts.me}" in people, command=f"kubectl qms approve {facts.name} -n {facts.namespace} --renew")


_WAYS: list[tuple[str, tuple[str, ...], Callable[[Json, Facts], Way | None]]] = [  # of a control's id, for these reasons, or any
    ("emergency", _REVIEWED, _review),
    (NETWORK, (), _network),
    ("access/review", ("AccessReviewDue", "AccessChanged"), _review_access),
    (_APPROVALS, (), _approvals),
]
