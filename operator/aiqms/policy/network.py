"""access.network: only the register's clients reach the pods, and these reach only what it names (AI Act Art. 15(5)); and whether the cluster enforces that.

One NetworkPolicy a deployment is the operator's own. Policies add up, so every other one that selects the same pods counts too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiqms.api.access import Access, Destination, Peer, Unverified
from aiqms.api.conditions import Reason
from aiqms.api.deployment import DeploymentSpec, Result
from aiqms.api.procedure import Enforcement
from aiqms.api.selectors import LabelSelector
from aiqms.api.values import API_VERSION, Json
from aiqms.policy.checks import Facts, Row, row
from aiqms.policy.clearing import is_live
from aiqms.policy.containment import SPACE, Effort, TooMuch, beyond, described, peer_within, selects
from aiqms.policy.facts import Broken, Input, Procedure
from aiqms.policy.networks import MAX_AGE, PATIENCE, Network, Outcome, Stored, policy_name

NETWORK, ENFORCED = "access/network", "access/network-enforced"
LABEL = "aiqms.dev/deployment"
MANAGED = {"app.kubernetes.io/managed-by": "aiqms-operator"}
DNS: Json = {  # kubeadm, and whoever follows it: CoreDNS too bears the label of its predecessor
    "to": [{"namespaceSelector": {"matchLabels": {SPACE: "kube-system"}}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
_NAMED = 5  # policies that a message names
Said = tuple[Result, Reason, str]


# the operator's own NetworkPolicy


@dataclass(frozen=True)
class Wanted:
    """It has to be as this object is."""

    object: Json


@dataclass(frozen=True)
class Kept:
    """Whether it is wanted cannot be told: what is there stays as it is."""


@dataclass(frozen=True)
class Unwanted:
    """There is to be none."""


def wanted(given: Input) -> Wanted | Kept | Unwanted:
    """What the operator keeps for a deployment: while a procedure in Enforce asks for it, in a governed namespace."""
    if not given.governed:
        return Unwanted()
    if isinstance(given.spec, Broken):
        return Kept()
    enforced = _enforced(_asking(given.procedures))
    if enforced:
        return Wanted(policy(given, given.spec, enforced))
    return Kept() if any(not isinstance(p, Procedure) for p in given.procedures) else Unwanted()


def policy(given: Input, spec: DeploymentSpec, asking: Sequence[Procedure]) -> Json:
    """The NetworkPolicy that these procedures ask for. Empty lists are there on purpose: so the operator manages the field, and nobody else can fill it."""
    owner = {"apiVersion": API_VERSION, "kind": "AIModelDeployment", "name": given.name, "uid": given.network.owner, "blockOwnerDeletion": False}
    metadata = {"name": policy_name(given.name), "namespace": given.namespace, "labels": MANAGED, "ownerReferences": [owner]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {
            "podSelector": {"matchLabels": {LABEL: given.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress(given, spec, asking),
            "egress": [DNS, *(_egress(d) for d in spec.access.egress if d.namespace or d.cidr)],
        },
    }


def ingress(given: Input, spec: DeploymentSpec, asking: Sequence[Procedure]) -> list[Json]:
    """clients and monitoring, at the register's ports; none where it names no port, for a rule without ports would mean any."""
    peers = distinct([*(_peer(c) for c in spec.access.clients), *monitoring(given, asking)])
    return [{"from": peers, "ports": _ports(spec.access.ports)}] if peers and spec.access.ports else []


def monitoring(given: Input, asking: Sequence[Procedure]) -> list[Json]:
    """access.monitoring: what every procedure that asks lets in, for each is judged on its own and all must hold. Of nested peers the narrower one."""
    named = [[_peer(m) for m in (p.spec.access or Access()).monitoring] for p in asking]
    every = distinct([peer for each in named for peer in each])
    return [peer for peer in every if all(any(peer_within(peer, other, given.namespace) for other in each) for each in named)]


def distinct(peers: Sequence[Json]) -> list[Json]:
    """Each once, in order."""
    return [peer for n, peer in enumerate(peers) if peer not in peers[:n]]


def _peer(peer: Peer | Destination) -> Json:
    space = {"namespaceSelector": {"matchLabels": {SPACE: peer.namespace}}}
    return space if peer.pod_selector is None else space | {"podSelector": _selector(peer.pod_selector)}


def _egress(to: Destination) -> Json:
    peer = {"ipBlock": {"cidr": to.cidr}} if to.cidr else _peer(to)
    return {"to": [peer]} | ({"ports": _ports(to.ports)} if to.ports else {})


def _ports(ports: Sequence[int]) -> list[Json]:
    return [{"protocol": "TCP", "port": port} for port in sorted(set(ports))]


def _selector(selector: LabelSelector) -> Json:
    """As the API server stores it: without what is empty."""
    labels = {"matchLabels": dict(selector.match_labels)} if selector.match_labels else {}
    expressions = [{"key": e.key, "operator": e.operator} | ({"values": list(e.values)} if e.values else {}) for e in selector.match_expressions]
    return labels | ({"matchExpressions": expressions} if expressions else {})


def as_wanted(stored: Stored | None, object_: Json) -> bool:
    """Whether the stored one is what it has to be; labels that others add are theirs."""
    if stored is None:
        return False
    metadata = object_["metadata"]
    marked = metadata["labels"].items() <= stored.labels.items() and metadata["ownerReferences"][0]["uid"] in stored.owners
    return marked and _filled(stored.spec) == _filled(object_["spec"])


def _filled(spec: Json) -> Json:
    return {key: value for key, value in spec.items() if value != []}


# what is judged


@dataclass(frozen=True)
class Judged:
    """enforced: a procedure in Enforce asks, so that the object is there; else it is what would be."""

    facts: Facts
    object: Json
    enforced: bool

    @property
    def network(self) -> Network:
        """What is known of it."""
        return self.facts.given.network

    @property
    def name(self) -> str:
        """Of the operator's own policy."""
        return policy_name(self.facts.given.name)

    @property
    def missing(self) -> bool:
        """It should be there, and is not, or not as it has to be."""
        return self.enforced and not as_wanted(self.network.named(self.name), self.object)

    @property
    def serving(self) -> bool:
        """The current subject is cleared already, so that nothing new would be cleared on the strength of a policy that is not there."""
        subject = self.facts.subject
        return any(subject and e.fingerprint == subject.fingerprint and is_live(e, self.facts.now) for e in self.facts.given.entries)


def network(facts: Facts) -> list[Row]:
    """access.network Clients: the operator's own NetworkPolicy is in place, applies to the pods, and no other opens more."""
    asking = _asking(facts.procedures)
    if not asking:
        return []
    enforced = _enforced(asking)
    judged = Judged(facts, policy(facts.given, facts.spec, enforced or asking), bool(enforced))
    said = next(s for step in _STEPS if (s := step(judged)))
    return [row(NETWORK, *said, procedure=p, serves=_obligations(p)) for p in asking]


def _ungoverned(of: Judged) -> Said | None:
    if of.facts.given.governed:
        return None
    return Result.SKIP, Reason.NAMESPACE_NOT_GOVERNED, f"NetworkPolicy {of.name} is made once namespace {of.facts.given.namespace} is governed"


def _host(of: Judged) -> Said | None:
    hosts = [str(w.ref) for w in of.facts.given.workloads if ((w.template or {}).get("pod") or {}).get("fields", {}).get("hostNetwork")]
    if not hosts:
        return None
    return Result.FAIL, Reason.HOST_NETWORK, f"the pods of {', '.join(hosts)} use their node's network, to which no NetworkPolicy applies: take hostNetwork out"


def _contested(of: Judged) -> Said | None:
    found = of.network.contest
    if found is None:
        return None
    if found.theirs:
        how = f"{found.manager} made an object of that name, which bears no mark of the operator: delete it"
    elif found.until:
        how = f"{found.manager} changed it more than 5 times in a minute, so it is left alone until nobody has for a minute: keep {found.manager} from it"
    else:
        how = f"{found.manager} applies it too, so it is left alone: take that name out of what {found.manager} applies, then delete the object"
    return Result.FAIL, Reason.NETWORK_POLICY_CONTESTED, f"NetworkPolicy {of.name} is not as it has to be; {how}; the operator then makes it anew"


def _missing(of: Judged) -> Said | None:
    failing = of.network.failing
    if not of.missing or (of.serving and not overdue(of.network, of.facts.now)):
        return None
    why = f"could not be written: {failing.why}" if failing else "is not in place yet"
    return Result.FAIL, Reason.NETWORK_POLICY_MISSING, f"NetworkPolicy {of.name} {why}; nothing is cleared until it is there"


def overdue(of: Network, now: datetime) -> bool:
    """Whether the operator's own could not be put back for so long that what runs lapses."""
    return of.failing is not None and of.failing.since + PATIENCE <= now


def _opens_more(of: Judged) -> Said | None:
    found, unsure = _compared(of)
    if unsure and not found:
        how = f"so nobody can tell whether it opens more than {of.name}: make it smaller, or delete it"
        return Result.ERROR, Reason.NETWORK_POLICY_NOT_COMPARED, f"NetworkPolicy {unsure} has more peers, ports and expressions than are compared, {how}"
    if not found:
        return None
    said = "; ".join(f"{name} ({opened[0]}{f' and {len(opened) - 1} more' if len(opened) > 1 else ''})" for name, opened in found[:_NAMED])
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    how = "policies add up: narrow or delete what opens more, or name it in spec.access"
    return Result.FAIL, Reason.NETWORK_POLICY_OPENS_MORE, f"beside {of.name}, these pods are opened by NetworkPolicy {said}{more}; {how}"


def _compared(of: Judged) -> tuple[list[tuple[str, list[str]]], str]:
    """What every policy opens that selects one of the pods, but the operator's own for them; and the first one at which there was too much to compare.

    While the operator's own is not as it has to be, the others are judged all the same.
    """
    effort = Effort()
    found: list[tuple[str, list[str]]] = []
    for policy_ in _others(of):
        try:
            chosen = selects(policy_.spec.get("podSelector") or {}, of.network.labels, effort)
            opened = beyond(policy_.spec, of.object["spec"], of.facts.given.namespace, effort) if chosen else []
        except TooMuch:
            return found, policy_.name
        found += [(policy_.name, opened)] if opened else []
    return found, ""


def _others(of: Judged) -> list[Stored]:
    return [p for p in sorted(of.network.policies, key=lambda p: p.name) if not (of.enforced and p.name == of.name)]


def _restoring(of: Judged) -> Said | None:
    if not of.missing:
        return None
    why = f"; so far that failed: {of.network.failing.why}" if of.network.failing else ""
    return Result.WARN, Reason.NETWORK_POLICY_RESTORED, f"NetworkPolicy {of.name} was changed or deleted, and is being put right{why}"


def _tried_out(of: Judged) -> Said | None:
    if of.enforced:
        return None
    return Result.SKIP, Reason.AUDIT, f"in Enforce the operator would keep NetworkPolicy {of.name}: {_summary(of.object['spec'])}"


def _in_force(of: Judged) -> Said | None:
    return Result.PASS, Reason.NETWORK_POLICY_IN_FORCE, f"NetworkPolicy {of.name}: {_summary(of.object['spec'])}"


# What concerns the pods that run comes before what a template says that may wait for ever: else whoever writes that one hides it.
_STEPS: list[Callable[[Judged], Said | None]] = [_ungoverned, _contested, _missing, _opens_more, _host, _restoring, _tried_out, _in_force]


def _summary(spec: Json) -> str:
    """Who is let in and out, in words."""
    to = ["DNS", *(f"{described(rule['to'][0])}{_at(rule.get('ports'))}" for rule in spec["egress"][1:])]
    into = "nobody in, for the register names no clients and ports in spec.access"
    if spec["ingress"]:
        (rule,) = spec["ingress"]
        into = f"{', '.join(map(described, rule['from']))} in{_at(rule['ports'])}"
    return f"it lets {into}; and the pods out to {', '.join(to)}"


def _at(ports: Sequence[Json] | None) -> str:
    return f" at {', '.join(str(p['port']) for p in ports)}" if ports else ""


def network_unverified(facts: Facts) -> list[Row]:
    """access.networkUnverified: that the cluster enforces NetworkPolicies is found out by a real probe, or said to be unknown; never assumed."""
    of = facts.given.network
    return [(_as_before(p, facts) if of.pending else None) or _verified(p, of, facts.now) for p in _asking(facts.procedures)]


def _as_before(procedure: Procedure, facts: Facts) -> Row | None:
    """What the leader before found counts for the seconds that the first probe of the next one takes."""
    found = next((c for c in facts.given.before.controls if (c.id, c.procedure) == (ENFORCED, procedure.name)), None)
    return row(ENFORCED, found.result, Reason(found.reason), found.message, procedure=procedure, serves=_obligations(procedure)) if found else None


def _verified(procedure: Procedure, of: Network, now: datetime) -> Row:
    probe = of.probe
    counts = probe is not None and probe.counts(now)
    match probe.outcome if probe and counts else Outcome.SILENT:
        case Outcome.ENFORCED:
            said = "a probe found that this cluster's network enforces NetworkPolicies on incoming connections"
            return row(ENFORCED, Result.PASS, Reason.ENFORCEMENT_VERIFIED, said, procedure=procedure, serves=_obligations(procedure))
        case Outcome.OPEN:
            said = "a probe reached a pod that a NetworkPolicy shuts off, so this cluster's network does not enforce them: install a network plugin that does"
            return row(ENFORCED, Result.FAIL, Reason.ENFORCEMENT_MISSING, said, procedure=procedure, serves=_obligations(procedure))
        case Outcome.SILENT:
            warned = procedure.spec.access is not None and procedure.spec.access.network_unverified is Unverified.WARNED
            said = f"enforcement not verified: {_silence(of, counts=counts, warned=warned)}"
            result = Result.WARN if warned else Result.ERROR
            return row(ENFORCED, result, Reason.ENFORCEMENT_NOT_VERIFIED, said, procedure=procedure, serves=_obligations(procedure))


def _silence(of: Network, *, counts: bool, warned: bool) -> str:
    if of.probe is None and of.pending:
        return "the first network probe is under way"
    if of.probe is None:
        said = "no probe is set up: the platform team sets networkProbe.enabled in the chart's values"
        return said if warned else f"{said}, or the procedure says networkUnverified: Warned"
    if not counts:
        return f"the last network probe is older than {MAX_AGE.seconds // 60} minutes: look at the operator's log"
    return f"the network probe tells nothing: {of.probe.why}"


def turns(given: Input) -> list[datetime]:
    """When time alone changes a row: a probe grows too old, a contest may be over, a failure has lasted too long."""
    of = given.network
    if not _asking(given.procedures):
        return []
    ends = (of.probe.at + MAX_AGE if of.probe else None, of.contest.until if of.contest else None, of.failing.since + PATIENCE if of.failing else None)
    return [end for end in ends if end]


def _asking(procedures: Sequence[Procedure | object]) -> list[Procedure]:
    return [p for p in procedures if isinstance(p, Procedure) and p.spec.access and p.spec.access.network == "Clients"]


def _enforced(asking: Sequence[Procedure]) -> list[Procedure]:
    return [p for p in asking if p.spec.enforcement is Enforcement.ENFORCE]


def _obligations(procedure: Procedure) -> list[str]:
    return [f"{o.framework} {o.id}" for o in procedure.spec.access.obligations] if procedure.spec.access else []
