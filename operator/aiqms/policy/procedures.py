"""Which procedures apply to a deployment, and what each demands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiqms.api.clearance import Term
from aiqms.api.deployment import DeploymentSpec
from aiqms.api.procedure import AppliesTo
from aiqms.api.record import Decision
from aiqms.api.selectors import LabelRequirement, LabelSelector
from aiqms.policy.facts import Procedure


def applies(to: AppliesTo, *, spec: DeploymentSpec, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a procedure governs the deployment. labels: of the Namespace. Every given condition must match."""
    entry = (not to.risk_classes or spec.risk_class in to.risk_classes) and (not to.roles or spec.role in to.roles)
    return entry and reaches(to, namespace=namespace, labels=labels)


def reaches(to: AppliesTo, *, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a procedure governs any deployment of the namespace."""
    return (not to.namespaces or namespace in to.namespaces) and (to.namespace_selector is None or selects(to.namespace_selector, labels))


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """As Kubernetes: all of matchLabels and matchExpressions; an empty selector selects everything."""
    exact = all(labels.get(k) == v for k, v in selector.match_labels.items())
    return exact and all(_satisfied(r, labels) for r in selector.match_expressions)


def _satisfied(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
    return value is None


def review_roles(procedure: Procedure) -> list[str]:
    """The roles whose holders confirm who can do what; none where the procedure asks for no reviews."""
    access = procedure.spec.access
    if access is None or access.review_every is None:
        return []
    return list(access.review_roles or [r.role for r in procedure.spec.approvals.roles])


def deciding(procedure: Procedure) -> Iterator[tuple[Decision, str]]:
    """What somebody has to be able to decide, in which role, for the procedure to be carried out."""
    spec = procedure.spec
    yield from ((Decision.APPROVE, r.role) for r in spec.approvals.roles)
    yield from ((Decision.STOP, role) for role in (spec.stop.roles if spec.stop else ()))
    yield from ((Decision.EMERGENCY, role) for role in (spec.emergency.roles if spec.emergency else ()))
    yield from ((Decision.REVIEW_ACCESS, role) for role in review_roles(procedure))


def term(procedure: Procedure) -> Term:
    """What a Clearance's entry keeps of the procedure that it was made under."""
    spec = procedure.spec
    return Term(
        procedure=procedure.name,
        roles=spec.approvals.roles,
        separation_of_duties=spec.approvals.separation_of_duties,
        on_lapse=spec.on_lapse,
        on_change=spec.on_change,
    )


def obligations(procedure: Procedure) -> list[str]:
    """Framework and identifier of what the procedure's approvals serve."""
    return [f"{o.framework} {o.id}" for o in procedure.spec.approvals.obligations]
