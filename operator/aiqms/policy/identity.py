"""access.serviceAccount: what the pods run as is their deployment's own, and they hold no token of it that nobody allowed (AI Act Art. 15(5))."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from aiqms.api.access import Access
from aiqms.api.conditions import Reason
from aiqms.api.deployment import Result
from aiqms.policy.checks import Facts, Row, row, unless_missing
from aiqms.policy.facts import Procedure
from aiqms.policy.surroundings import DEFAULT, Uses
from aiqms.policy.words import some

IDENTITY = "access/identity"


def asking(facts: Facts, what: Callable[[Access], object]) -> Iterator[tuple[Procedure, Access]]:
    """Procedures that ask this of access."""
    return ((p, p.spec.access) for p in facts.procedures if p.spec.access and what(p.spec.access))


def serves(access: Access) -> list[str]:
    """Framework and identifier of what the procedure's rules on access serve."""
    return [f"{o.framework} {o.id}" for o in access.obligations]


def identity(facts: Facts) -> list[Row]:
    """serviceAccount Dedicated: each deployment has a ServiceAccount of its own and mounts no token (unless token: Allowed)."""
    return [_identity(facts, procedure, access) for procedure, access in asking(facts, lambda a: a.service_account)]


def _identity(facts: Facts, procedure: Procedure, access: Access) -> Row:
    shared, tokens = list(_shared(facts)), [] if access.token else list(_tokens(facts))
    if shared or tokens:
        reason = Reason.IDENTITY_SHARED if shared else Reason.TOKEN_MOUNTED
        return row(IDENTITY, Result.FAIL, reason, some([*shared, *tokens], "; "), procedure=procedure, serves=serves(access))
    accounts = some(sorted({u.account for u in facts.given.around.workloads.values()}))
    said = f"runs as ServiceAccount {accounts}, which no other workload or labelled pod of the namespace uses{'' if access.token else ', without a token'}"
    passed = unless_missing(facts, (Result.PASS, Reason.IDENTITY_DEDICATED, said))
    return row(IDENTITY, *passed, procedure=procedure, serves=serves(access))


def unlike(used: Uses, others: Sequence[str], access: Access) -> bool:
    """Whether a pod template is not as it has to be. others: who else uses its ServiceAccount."""
    return used.account == DEFAULT or bool(others) or (not access.token and (used.automount is not False or bool(used.tokens)))


def _shared(facts: Facts) -> Iterator[str]:
    for ref, used in sorted(facts.given.around.workloads.items()):
        others = facts.given.around.accounts.get(used.account, ())
        if used.account == DEFAULT:
            yield f"{ref} runs as ServiceAccount default: name one of its own in serviceAccountName of its pod template"
        elif others:
            yield f"{ref} runs as ServiceAccount {used.account}, and so does {some(others)}: give each its own"


def _tokens(facts: Facts) -> Iterator[str]:
    """In the pod templates; and in pods that equal them but for a token that admission takes for an injected one."""
    for ref, used in sorted(facts.given.around.workloads.items()):
        if used.automount is not False:
            yield f"{ref} may be given a token: set automountServiceAccountToken: false in its pod template"
        elif used.tokens:
            yield f"{ref} mounts a token by volume {some(used.tokens)}: take it out"
    for name, used in sorted(current_pods(facts)):
        if used.automount is False and used.tokens and f"Pod/{name}" not in facts.given.around.workloads:
            yield f"pod {name} mounts a token by volume {some(used.tokens)}, which its workload does not: delete it"


def current_pods(facts: Facts) -> Iterator[tuple[str, Uses]]:
    """Pods of what is to be approved now. Those of an earlier subject were judged then, and do not keep their successors waiting."""
    templates = [w.template for w in facts.given.workloads]
    return ((p.name, facts.given.around.pods[p.name]) for p in facts.given.pods if p.name in facts.given.around.pods and p.template in templates)
