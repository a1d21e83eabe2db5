"""Pods that name an AIModelDeployment: held until a live entry of the Clearance covers them, and then they stay what they are."""

from __future__ import annotations

from aiqms.gate.cel import (
    AUDIT,
    BY_CREATION,
    BY_OPERATOR,
    BY_SERVER,
    FIXED_DEVICES,
    FIXED_SPEC,
    IS_GUARDED,
    META_CHANGED,
    READS,
    SPEC_CHANGED,
    STAMPS,
    compare,
    covers,
    differs,
    fixed_notes,
    held,
    inline,
    live,
    node_right,
    say,
    subject_of,
    who,
)
from aiqms.gate.policy import LABELLED, Policy, rule
from aiqms.gate.rules import GATE, LABEL, SUBJECT

EXPLAIN = f"see kubectl qms explain aimd/`{who()}` -n `request.namespace`"
NOT_COVERED = say(f"AIModelDeployment `{who()}` has no clearance for this pod: {EXPLAIN}")
EXPIRED = say(f"the clearance of AIModelDeployment `{who()}` has expired: {EXPLAIN}")


def label() -> Policy:
    """Needs no Clearance: holds for every pod that has, or had, the label. Label, subject, gate and claims in the status are not anybody's to change."""
    same = " && ".join(f"object.?status.?{f} == oldObject.?status.?{f}" for f in ("resourceClaimStatuses", "extendedResourceClaimStatus"))
    released = f"{held('oldObject')} && !{held()}"
    return Policy(
        name="label",
        rules=[rule(["pods", "pods/*"], ["UPDATE"])],
        selector=LABELLED,
        refuse=[
            (
                f"object.metadata.?labels[?'{LABEL}'] != oldObject.metadata.?labels[?'{LABEL}']",
                f"label {LABEL} can be neither added, changed nor removed: delete the pod, and set it where the pod is made",
            ),
            (
                f"{subject_of()} != {subject_of('oldObject')} && !({released})",  # a release by another is refused below
                f"annotation {SUBJECT} is set by AIQMS alone: leave it as it is",
            ),
            (f"{released} && !({BY_OPERATOR})", say(f"only the AIQMS operator releases a held pod: {EXPLAIN}")),
            (f"!({same}) && !{node_right('status', 'patch')}", "resource claims in a pod's status are written by the scheduler, drivers and kubelets alone"),
        ],
    )


def hold() -> Policy:
    """Gates a pod that no entry covers; stamps a covered one only where it reads its subject through the downward API.

    All others are left alone: an apply merge costs more than all the rest.
    """
    variables = compare(BY_SERVER, who())
    passes = inline(f"variables.entries.exists(e, {covers(BY_SERVER)} && !({STAMPS}))", {k: v for k, v in variables.items() if k != "entries"})
    gate = f"Object{{spec: Object.spec{{schedulingGates: [Object.spec.schedulingGates{{name: '{GATE}'}}]}}}}"
    stamp = f"Object{{metadata: Object.metadata{{annotations: {{'{SUBJECT}': string(variables.covering[0].fingerprint)}}}}}}"
    return Policy(
        name="hold",
        rules=[rule(["pods"], ["CREATE"])],
        selector=LABELLED,
        param="Deny",
        variables=variables,
        when=f"!{held()}",
        acts=f"!{passes}",
        mutate=f"variables.covering.exists(e, {STAMPS}) ? {stamp} : {gate}",
    )


def cleared() -> Policy:
    """Sees the pod as it will be stored, after every mutation: held, or covered."""
    subject = subject_of()
    stamped = f"({subject} == e.?fingerprint || (!{subject}.hasValue() && !({STAMPS})))"
    return Policy(
        name="cleared",
        rules=[rule(["pods"], ["CREATE"])],
        selector=LABELLED,
        param="Deny",
        variables=compare(BY_CREATION, who()) | {"held": held()},
        acts=f"{held()} ? {subject}.hasValue() : !variables.entries.exists(e, {covers(BY_CREATION)} && {stamped})",
        refuse=[
            (f"variables.held && {subject}.hasValue()", f"annotation {SUBJECT} is set by AIQMS alone: remove it from the pod template"),
            ("!variables.held && variables.equal.size() == 0", NOT_COVERED),
            ("!variables.held && variables.covering.size() == 0", EXPIRED),
            (
                f"!variables.held && !variables.covering.exists(e, {stamped})",
                f"annotation {SUBJECT} must be the fingerprint of the clearance: leave it to admission",
            ),
        ],
    )


def steady() -> Policy:
    """After creation: a release needs a clearance, an un-held pod stays what it is. In Audit neither is asked for.

    Allow: pods that ran before the install keep their status updates. Those end at `when`; other changes are rare, so what is wrong with them is asked in the
    validations alone, where variables are worked out only if needed.
    """
    released, subject = "variables.released", subject_of()
    notes = " || ".join(differs(fixed_notes(kind, guarded)) for kind, guarded in (("annotations", f"{IS_GUARDED} || "), ("labels", "")))
    return Policy(
        name="steady",
        rules=[rule(["pods", "pods/ephemeralcontainers", "pods/resize", "pods/status"], ["UPDATE"])],
        selector=LABELLED,
        param="Allow",
        variables={**compare(BY_SERVER, who("oldObject")), "released": held("oldObject"), "reads": READS},
        when=f"({SPEC_CHANGED} || {META_CHANGED}) && !{held()} && !variables.entries.exists(e, {AUDIT} && {live(BY_SERVER)})",
        acts="true",
        refuse=[
            (f"{released} && variables.equal.size() == 0", NOT_COVERED),
            (f"{released} && variables.covering.size() == 0", EXPIRED),
            (f"{released} && !variables.covering.exists(e, e.?fingerprint == {subject})", f"annotation {SUBJECT} must be the fingerprint of the clearance"),
            (f"{released} && {subject_of('oldObject')}.hasValue()", f"a release sets annotation {SUBJECT} in the same patch, so that the server dates it"),
            (
                f"!{released} && ({differs(FIXED_SPEC)} || {differs(FIXED_DEVICES)})",
                say(f"a cleared pod cannot be changed: change the workload of AIModelDeployment `{who()}` and have it approved"),
            ),
            (
                f"!{released} && {META_CHANGED} && ({notes}) && !{node_right('status', 'patch')}",
                "this label or annotation is part of what was cleared (the runtime or the pod itself reads it): change the workload instead",
            ),
        ],
    )
