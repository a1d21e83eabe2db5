"""One try at the API server, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

from tests.e2e.bypass.stage import Stage
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.install import GATE

AT_ONCE = 4
DRY = {"dryRun": "All"}


class Outcome(Enum):
    """Through: it took effect, or would have (a dry run). Held: a pod that may not be scheduled. Refused: by a policy of the gate. Failed: any other no."""

    THROUGH = "got through"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed for another reason"


def is_held(answer: Json) -> bool:
    """Whether the answer is a pod with the gate."""
    return {"name": GATE} in answer.get("spec", {}).get("schedulingGates", [])


def took_effect(answer: Json) -> bool:
    """An answer that is no held pod."""
    return not is_held(answer)


@dataclass(frozen=True)
class Attempt:
    """act: the request, a dry run wherever that proves the same. through: whether the answer to it is what whoever tries wants.

    says: what a refusal has to say, where that tells it from others.
    """

    group: str
    name: str
    act: Callable[[Stage], Json]
    through: Callable[[Json], bool] = took_effect
    says: str = ""

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class Result:
    """What came of an attempt. said: the server's answer where it was a no, and its warnings."""

    attempt: Attempt
    outcome: Outcome
    said: str = ""

    def __str__(self) -> str:
        return f"{self.attempt} {self.outcome.value}{f' ({self.said})' if self.said else ''}"


def tried(attempt: Attempt, stage: Stage) -> Result:
    """Make one attempt."""
    try:
        answer = attempt.act(stage)
    except ApiError as error:
        return Result(attempt, Outcome.REFUSED if is_by_the_gate(error) and attempt.says in error.message else Outcome.FAILED, str(error))
    return Result(attempt, Outcome.THROUGH if attempt.through(answer) else Outcome.HELD)


def is_by_the_gate(error: ApiError) -> bool:
    """Whether one of the chart's policies refused, with Forbidden as its reason: not RBAC, not validation, not an expression that failed."""
    refused = (error.code, error.reason) == (403, "Forbidden") and "Policy 'aiqms-" in error.message and "denied request: " in error.message
    # A pod that names its node and was held is invalid by the gate alone.
    return refused or (error.code == 422 and "until all schedulingGates have been cleared" in error.message)


def all_tried(attempts: Sequence[Attempt], stage: Stage) -> list[Result]:
    """Make all attempts, a few at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda attempt: tried(attempt, stage), attempts))


def of(results: Sequence[Result], *outcomes: Outcome) -> list[str]:
    """The results with these outcomes, as text."""
    return [str(result) for result in results if result.outcome in outcomes]


def deleted(api: Api, resource: str, name: str, namespace: str | None = None) -> Json:
    """Delete one object, as a dry run: without a body, for the API server looks at the query only where there is none."""
    return api.request("DELETE", api.resource(resource).path(namespace, name, None), query=DRY)


def edited(manifest: Json, edits: Json) -> Json:
    """A copy with values put at dotted paths. In a path `+` appends to a list; the value None removes. Keys with dots stand in square brackets."""
    copy = deepcopy(manifest)
    for path, value in edits.items():
        _put(copy, _steps(path), value)
    return copy


def _steps(path: str) -> list[str]:
    plain, bracket, key = path.partition("[")
    return [*filter(None, plain.split(".")), *([key.removesuffix("]")] if bracket else [])]


def _put(at: Any, steps: Sequence[str], value: object) -> None:
    for step, after in pairwise(steps):
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, [] if after == "+" else {})
    last = steps[-1]
    if isinstance(at, list) and last == "+":
        at.append(value)
    elif value is None:
        del at[int(last) if isinstance(at, list) else last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
