"""The mutants of an admission policy: without one of the resources or operations it looks at, without its selector, one refusal, or one operand of && or ||."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from pathlib import Path
from typing import TypeVar

from aiqms.gate.policies import FILES
from aiqms.gate.policy import Policy
from tests.mutation.cel import Operand, operands, without

T = TypeVar("T")
SURVIVORS = Path(__file__).with_name("gate-survivors.txt")
MAKERS: dict[str, Callable[[], Policy]] = {make.__name__: make for makers in FILES.values() for make in makers}
ONE = ("when", "acts", "mutate", "patch")  # fields that are one expression


@dataclass(frozen=True)
class Mutant:
    """A policy that lacks one clause. of: the function that makes the policy; what: the clause, and what stands in its place.

    everywhere: makes the policy with the same in all places that say the clause, as `acts` says what `refuse` says; None: there is one place.
    """

    of: str
    what: str
    policy: Policy
    everywhere: Callable[[], Policy] | None = None

    def __str__(self) -> str:
        return f"{self.of}.{self.what}"


def mutants(of: str) -> list[Mutant]:
    """Those of the policy that this function of aiqms.gate.policies makes."""
    return mutants_of(of, MAKERS[of]())


def mutants_of(of: str, policy: Policy) -> list[Mutant]:
    """Those of a policy. Two that read alike have numbers."""
    seen, made = Counter[str](), []
    for what, changed, everywhere in [*((*whole, None) for whole in _wholes(policy)), *_operands(policy)]:
        seen[what] += 1
        made.append(Mutant(of, what if seen[what] == 1 else f"{what} ({seen[what]})", changed, everywhere))
    return made


def _wholes(policy: Policy) -> Iterator[tuple[str, Policy]]:
    for n, rule in enumerate(policy.rules):
        for part in ("resources", "operations"):
            for k, value in enumerate(rule[part]):
                yield f"rules[{n}].{part}: {value} dropped", replace(policy, rules=_with(policy.rules, n, rule | {part: _less(rule[part], k)}))
    if policy.selector:
        yield "selector dropped", replace(policy, selector={})
    for n in range(len(policy.refuse)):
        yield f"refuse[{n}] dropped", replace(policy, refuse=_less(policy.refuse, n))


def _operands(policy: Policy) -> Iterator[tuple[str, Policy, Callable[[], Policy] | None]]:
    found = [(place, said, operand) for place, said in expressions(policy).items() for operand in operands(said)]
    count = Counter(_said(expression, operand) for _, expression, operand in found)
    for place, expression, operand in found:
        said = _said(expression, operand)
        everywhere = partial(_without_all, policy, said, operand.neutral) if count[said] > 1 else None
        yield f"{place}: {_short(said)} -> {operand.neutral}", _put(policy, place, without(expression, operand)), everywhere


def expressions(policy: Policy) -> dict[str, str]:
    """All CEL of a policy but its messages, by where it stands."""
    refused = {f"refuse[{n}]": bad for n, (bad, _) in enumerate(policy.refuse)}
    return refused | {f"variables.{name}": said for name, said in policy.variables.items()} | {name: getattr(policy, name) for name in ONE}


def _put(policy: Policy, place: str, expression: str) -> Policy:
    if place.startswith("refuse["):
        n = int(place[len("refuse[") : -1])
        return replace(policy, refuse=_with(policy.refuse, n, (expression, policy.refuse[n][1])))
    if place.startswith("variables."):
        return replace(policy, variables={**policy.variables, place.removeprefix("variables."): expression})
    changed: dict[str, str] = {place: expression}
    return replace(policy, **changed)  # type: ignore[arg-type]


def _without_all(policy: Policy, said: str, neutral: str) -> Policy:
    changed = policy
    for place, expression in expressions(policy).items():
        dropped = [replace(o, neutral=neutral) for o in operands(expression) if _said(expression, o) == said]
        changed = _put(changed, place, reduce(without, sorted(dropped, key=lambda o: o.start, reverse=True), expression))
    return changed


def _said(expression: str, operand: Operand) -> str:
    """On one line, and the same where variables are named and where they are inlined."""
    return " ".join(expression[operand.start : operand.end].replace("variables.", "").split())


def _short(line: str) -> str:
    """Less its middle where it is long."""
    return line if len(line) <= 160 else f"{line[:100]} … {line[-57:]}"


def _less(values: Sequence[T], n: int) -> list[T]:
    return [*values[:n], *values[n + 1 :]]


def _with(values: Sequence[T], n: int, value: T) -> list[T]:
    return [*values[:n], value, *values[n + 1 :]]
