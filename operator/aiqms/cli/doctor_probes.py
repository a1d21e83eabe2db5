"""Dry runs that the gate has to refuse, hold or stamp, tried with the rights of whoever asks. What is written in a policy is not believed: it is tried."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aiqms.cli import doctor_attempts as attempts
from aiqms.cli.connection import Refused
from aiqms.cli.doctor_attempts import FORGED, Attempt, everywhere, once
from aiqms.cli.doctor_reading import Answer, Cluster
from aiqms.cli.doctor_rows import Result, Row, found, ok, plainly, unknown
from aiqms.gate.rules import EDITORS, GATE, GOVERNED
from aiqms.policy.words import plural

REFUSED_BY = re.compile(r"olicy '(aiqms-[a-z-]+)'")
NO_CLEARANCE = "no params found"
WRONG = "the gate is open here: see checks policies and values for what to mend"
ASK_OTHERS = "run doctor with an account that may (a dry run asks for the same right as the real thing), or have it granted"


@dataclass(frozen=True)
class Probe:
    """policy: which one has to act; what: in words; attempts: what is tried, by namespace; judge: whether the answer is right.

    also: another policy that may be the first to say no, for the API server asks them in no order.
    """

    policy: str
    what: str
    attempts: Callable[[Cluster], Iterator[tuple[str, Attempt]]]
    judge: Callable[[Probe, Answer], Row]
    also: str = ""


def refused(probe: Probe, answer: Answer) -> Row:
    """It has to be refused by this very policy."""
    if answer.code < 400:
        return found(f"{probe.what} was let through", WRONG)
    by = REFUSED_BY.search(answer.message)
    if by is None:
        return unknown(f"{probe.what}: {answer.message}", ASK_OTHERS)
    if NO_CLEARANCE in answer.message:
        return found(f"{probe.what} meets no Clearance: the operator has not made it", "kubectl get deployment,lease -n aiqms-system")
    if by[1] not in (probe.policy, probe.also):
        return unknown(f"{probe.what} was refused by {by[1]} first, so that {probe.policy} was not asked", WRONG)
    return ok(f"{probe.what} is refused")


def is_held(probe: Probe, answer: Answer) -> Row:
    """It has to come back with the gate."""
    if answer.code >= 400:
        by = REFUSED_BY.search(answer.message)
        other = by is None or NO_CLEARANCE in answer.message
        return refused(probe, answer) if other else found(f"{probe.what} is refused, not held: {answer.message}", WRONG)
    gates = answer.body["spec"].get("schedulingGates") or []
    return ok(f"{probe.what} is held") if {"name": GATE} in gates else found(f"{probe.what} was let through, and would run", WRONG)


def not_bound(probe: Probe, answer: Answer) -> Row:
    """A gated pod with nodeName is refused by the API server itself, an ungated one by the policy."""
    if answer.code < 400:
        return found(f"{probe.what} was let through, and would run", WRONG)
    gated = "nodeName" in answer.message or REFUSED_BY.search(answer.message)
    return ok(f"{probe.what} is refused") if gated else unknown(f"{probe.what}: {answer.message}", ASK_OTHERS)


def warned(probe: Probe, answer: Answer) -> Row:
    """Told, or refused where the chart says so."""
    by = REFUSED_BY.search(" ".join((answer.message, *answer.warnings)))
    if by and by[1] == probe.policy:
        return ok(f"{probe.what} is {'told' if answer.code < 400 else 'refused'}")
    return found(f"{probe.what} goes unnoticed", WRONG) if answer.code < 400 else unknown(f"{probe.what}: {answer.message}", ASK_OTHERS)


def stamped(probe: Probe, answer: Answer) -> Row:
    """What the client wrote has to be overwritten."""
    if answer.code >= 400:
        return unknown(f"{probe.what}: {answer.message}", ASK_OTHERS)
    author = (answer.body["metadata"].get("annotations") or {}).get(EDITORS)
    return found(f"{probe.what} is believed", WRONG) if author in (None, FORGED) else ok(f"{probe.what} is overwritten with the real one")


PROBES: tuple[Probe, ...] = (
    Probe("aiqms-registered", "a GPU pod without the label", everywhere(attempts.unlabelled), refused),
    Probe("aiqms-registered-env", "a ConfigMap that hands out GPUs by envFrom", once(attempts.device_env), refused),
    Probe("aiqms-hold", "an uncleared pod with the label", everywhere(attempts.labelled), is_held),
    Probe("aiqms-cleared", "a pod that brings its own subject", everywhere(attempts.with_subject), refused),
    Probe("aiqms-cleared", "an uncleared pod that names its node", once(attempts.with_node), not_bound),
    Probe("aiqms-stopped", "a pod of a stopped deployment", attempts.stopped_pod, is_held),
    Probe("aiqms-label", "another label on a pod", attempts.other_label, refused),
    Probe("aiqms-label", "a release of a held pod by hand", attempts.release, refused, also="aiqms-steady"),
    Probe("aiqms-binding", "a binding that brings a subject", once(attempts.binding), refused),
    Probe("aiqms-interactive", "a session into a governed namespace without the right", attempts.session, refused),
    Probe("aiqms-frozen", "a change of a ConfigMap that a cleared pod reads", attempts.frozen_input, refused),
    Probe("aiqms-clearances", "a Clearance written by hand", once(attempts.clearance), refused),
    Probe("aiqms-governed", "another value of the Namespace's label", once(attempts.relabelled), refused),
    Probe("aiqms-governed", "taking a namespace out without the right", attempts.taken_out, refused),
    Probe("aiqms-authentic", "an approval in a role that nobody holds", once(attempts.record), refused),
    Probe("aiqms-records", "deleting a record", attempts.kept_record, refused),
    Probe("aiqms-edited", "a false author of a register entry", once(attempts.entry), stamped),
    Probe("aiqms-elsewhere", "a GPU pod in a namespace that is not governed", attempts.ungoverned_pod, warned),
)


def probes(cluster: Cluster) -> Iterator[Row]:
    """Check `probes`: one row for each probe that had something to try, or several where namespaces differ."""
    if not cluster.governed:
        yield unknown("no namespace is governed, so there is nowhere to try", f"kubectl label namespace NAMESPACE {GOVERNED}=true")
        return
    for probe in PROBES:
        yield from _probed(probe, cluster)


def _probed(probe: Probe, cluster: Cluster) -> Iterator[Row]:
    about = probe.policy.removeprefix("aiqms-")
    try:
        rows = [(namespace, probe.judge(probe, _sent(cluster, attempt))) for namespace, attempt in probe.attempts(cluster)]
    except Refused as refusal:
        yield unknown(f"{probe.what}: {plainly(str(refusal))}", ASK_OTHERS, about)
        return
    for result, group in _grouped(rows).items():
        where = group[0][0] if len(group) == 1 else f"{group[0][0]} and {plural(len(group) - 1, 'other namespace')}"
        yield Row(result, f"{group[0][1].message} (in {where})", group[0][1].do, about)


def _sent(cluster: Cluster, attempt: Attempt) -> Answer:
    return cluster.send(attempt.method, attempt.path, attempt.body, content=attempt.content, query=dict(attempt.query))


def _grouped(rows: list[tuple[str, Row]]) -> dict[Result, list[tuple[str, Row]]]:
    groups: dict[Result, list[tuple[str, Row]]] = {}
    for namespace, row in rows:
        groups.setdefault(row.result, []).append((namespace, row))
    return groups
