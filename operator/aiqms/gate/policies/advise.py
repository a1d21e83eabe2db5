"""Advice for whoever applies a workload: warnings, never a refusal."""

from __future__ import annotations

from aiqms.gate.cel import CREATED
from aiqms.gate.policies.unregistered import checks_on
from aiqms.gate.policy import Check, Policy, rule
from aiqms.gate.rules import LABEL
from aiqms.gate.workload import KINDS

TEMPLATE = "has(dyn(object).spec.jobTemplate) ? dyn(object).spec.jobTemplate.spec.template : dyn(object).spec.template"
LABELLED = f"('{LABEL}' in variables.template.?metadata.?labels.orValue({{}}))"
WAIT = "new pods wait for approval"


def rolls(resource: str, condition: str) -> str:
    return f"request.resource.resource == '{resource}' && [dyn(object.spec)].exists(s, {condition})"


def takes_away(field: str, default: int) -> str:
    """A share of the pods may go first; 0 is written 0, '0' or '0%'. What a percentage comes to changes with the replicas, so any share counts."""
    return f"!(string(s.?{field}.?rollingUpdate.?maxUnavailable.orValue({default})) in ['0', '0%'])"


# Rollouts that take old pods away before the new ones, which wait for approval, run
ROLLOUTS: tuple[Check, ...] = (
    (
        rolls("deployments", "s.?strategy.?type.orValue('') == 'Recreate'"),
        f"spec.strategy.type Recreate takes every old pod away while the {WAIT}: set RollingUpdate with maxUnavailable: 0 and maxSurge: 1",
    ),
    (
        rolls("deployments", f"s.?strategy.?type.orValue('') != 'Recreate' && {takes_away('strategy', 0)}"),
        f"maxUnavailable above 0 takes old pods away while the {WAIT} (its default, 25%, does from 4 replicas on):"
        " set spec.strategy.rollingUpdate.maxUnavailable: 0 and maxSurge: 1",
    ),
    (
        rolls("statefulsets", "s.?updateStrategy.?type.orValue('') != 'OnDelete'"),
        f"a StatefulSet takes each old pod away before its new one, and the {WAIT}: have a change approved before you apply it,"
        " or set spec.updateStrategy.type: OnDelete",
    ),
    (
        rolls("daemonsets", f"s.?updateStrategy.?type.orValue('') != 'OnDelete' && {takes_away('updateStrategy', 1)}"),
        f"a DaemonSet takes old pods away while the {WAIT}: set spec.updateStrategy.rollingUpdate.maxUnavailable: 0 and maxSurge: 1, or type: OnDelete",
    ),
)


def advise() -> Policy:
    """Tells early what the pods of a workload will meet: that they will be refused, or that a rollout will leave fewer pods serving while the new ones wait.

    Warn only, and Ignore: advice that cannot be worked out is not given.
    """
    groups = {k.api_version.split("/")[0] for k in KINDS if k.template}
    return Policy(
        name="advise",
        rules=[rule([k.plural for k in KINDS if k.api_version.startswith(f"{group}/")], ["CREATE", "UPDATE"], group) for group in sorted(groups)],
        variables={"template": TEMPLATE},
        when=f"({CREATED} || object.spec != oldObject.spec)",
        refuse=[
            *((f"!{LABELLED} && {bad}", f"in spec.template, so its pods will be refused: {message}") for bad, message in checks_on("variables.template")),
            *((f"{LABELLED} && {bad}", message) for bad, message in ROLLOUTS),
        ],
        actions=("Warn",),
        failure="Ignore",
    )
