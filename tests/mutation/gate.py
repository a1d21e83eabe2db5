"""`python -m tests.mutation.gate`: each clause of the gate's policies dropped in turn, on a real cluster, which the bypass table has to notice.

That is, an attack gets through, or something legitimate fails. Survivors are in gate-survivors.txt, each with the reason;
ends with 1 where another one survives.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from aiqms.gate.policy import Policy
from tests.e2e.bypass.allowed import CONTROLS
from tests.e2e.bypass.attempt import AT_ONCE, Attempt, Outcome, Result, tried
from tests.e2e.bypass.attempt import all_tried as attempts_tried
from tests.e2e.bypass.gate import ATTACKS, without
from tests.e2e.bypass.ready import ready
from tests.e2e.bypass.stage import Stage
from tests.mutation.clauses import MAKERS, SURVIVORS, Mutant, mutants
from tests.mutation.in_force import Gate, replaceable
from tests.mutation.survivors import known
from tests.testbed.api import ApiError
from tests.testbed.build import say
from tests.testbed.cluster import temporary
from tests.testbed.install import install
from tests.testbed.operator_process import Operator

# Where one policy comes before another, and each is safe without the other: tried with the other one away, and what survives with all.
AWAY = {"hold": ["validating aiqms-cleared"], "cleared": ["mutating aiqms-hold"], "stamp": ["validating aiqms-authentic"]}


# As the tests of the bypass table want it
EXPECTED = dict.fromkeys(ATTACKS, (Outcome.HELD, Outcome.REFUSED)) | dict.fromkeys(CONTROLS, (Outcome.THROUGH,))


class Fate(Enum):
    """What became of a mutant."""

    NOTICED = "noticed"
    ALONE = "noticed with the other line of defence away"
    TWICE = "noticed where it is dropped in all places that say it"
    NOT_TAKEN = "not taken by the API server"
    SURVIVED = "survived"


@dataclass(frozen=True)
class Trial:
    """by: what noticed it, or what the API server said of it."""

    mutant: Mutant
    fate: Fate
    by: str = ""


class Table:
    """Attempts, and how each may come out. The one that noticed a mutant last is tried first."""

    def __init__(self, stage: Stage, expected: Mapping[Attempt, Sequence[Outcome]]) -> None:
        self._stage, self._expected, self._attempts = stage, expected, list(expected)

    def wrong(self) -> list[Result]:
        return [result for result in self._tried() if self._is_wrong(result)]

    def _tried(self) -> list[Result]:
        return attempts_tried(self._attempts, self._stage)

    def _is_wrong(self, result: Result) -> bool:
        return result.outcome not in self._expected[result.attempt]

    def as_it_is(self) -> Table:
        """Where it comes out otherwise now, it has to go on as now: with a policy away."""
        return Table(self._stage, {**self._expected, **{result.attempt: (result.outcome,) for result in self.wrong()}})

    def looked_at(self, policy: Policy, gate: Gate) -> Table:
        """Those that a policy looks at: it refuses them when it refuses whatever it looks at. No clause of it matters to others."""
        gate.put(refusing_all(policy))
        refused = [result.attempt for result in self._tried() if f"'aiqms-{policy.name}'" in result.said]
        gate.put(policy)
        return Table(self._stage, {attempt: self._expected[attempt] for attempt in refused})

    def notices(self) -> Result | None:
        """The first attempt that comes out wrong, twice."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for result in pool.map(partial(tried, stage=self._stage), self._attempts):
                if self._is_wrong(result) and self._is_wrong(again := tried(result.attempt, self._stage)):
                    pool.shutdown(cancel_futures=True)
                    self._attempts.remove(result.attempt)
                    self._attempts.insert(0, result.attempt)
                    return again
        return None


def refusing_all(policy: Policy) -> Policy:
    """A mutating policy has a patch that fails."""
    fails = '[JSONPatch{op: "remove", path: "/none"}]' if policy.mutate or policy.patch else ""
    return replace(policy, variables={}, when="", acts="true", refuse=[("true", "looked at")], mutate="", patch=fails, actions=["Deny"])


def all_tried(chosen: Sequence[Mutant], stage: Stage, gate: Gate) -> Iterator[Trial]:
    """One after the other; each policy is as it was before the next one's turn. Raises AssertionError where the table is not right to begin with."""
    table = Table(stage, EXPECTED)
    assert [str(result) for result in table.wrong()] == []
    for of in dict.fromkeys(mutant.of for mutant in chosen):
        mine = [mutant for mutant in chosen if mutant.of == of]
        if of in AWAY:
            survived = []
            with without(stage, AWAY[of]):
                for trial in _tried(mine, table.as_it_is(), gate):
                    if trial.fate is Fate.SURVIVED:
                        survived.append(trial.mutant)
                    else:
                        yield replace(trial, fate=Fate.ALONE) if trial.fate is Fate.NOTICED else trial
            mine = survived
        if mine:
            yield from _tried(mine, table, gate)


def _tried(mutants: Sequence[Mutant], table: Table, gate: Gate) -> Iterator[Trial]:
    """Of one policy."""
    whole = MAKERS[mutants[0].of]()
    near = table.looked_at(whole, gate)
    try:
        for mutant in mutants:
            # Without a selector it looks at more.
            yield _fate(mutant, table if mutant.policy.selector != whole.selector else near, gate)
    finally:
        gate.put(whole)


def _fate(mutant: Mutant, table: Table, gate: Gate) -> Trial:
    trial = _try(mutant, mutant.policy, table, gate)
    if trial.fate is Fate.SURVIVED and mutant.everywhere:
        twice = _try(mutant, mutant.everywhere(), table, gate)
        return replace(twice, fate=Fate.TWICE) if twice.fate is Fate.NOTICED else trial
    return trial


def _try(mutant: Mutant, policy: Policy, table: Table, gate: Gate) -> Trial:
    try:
        gate.put(policy)
    except ApiError as error:
        return Trial(mutant, Fate.NOT_TAKEN, error.message)
    found = table.notices()
    return Trial(mutant, Fate.NOTICED, str(found)) if found else Trial(mutant, Fate.SURVIVED)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.gate", description=__doc__)
    parser.add_argument("policy", nargs="*", choices=[[], *MAKERS], help="function of aiqms.gate.policies that makes it; default: all")
    parser.add_argument("--share", type=int, default=1, help="try one of so many")
    parser.add_argument("--only", default="", help="try those whose name has this in it")
    parser.add_argument("--verbose", action="store_true", help="say of each what noticed it")
    args = parser.parse_args(arguments)
    chosen = [m for of in args.policy or MAKERS for m in mutants(of) if args.only in str(m)][:: args.share]
    with temporary() as cluster:
        cluster.up()
        install(cluster)
        operator = Operator(cluster=cluster)
        operator.start()
        with ready(cluster, operator) as stage, replaceable(cluster) as gate:
            return report(len(chosen), all_tried(chosen, stage, gate), verbose=args.verbose)


def report(count: int, trials: Iterator[Trial], *, verbose: bool) -> int:
    """Says how far it is, what survives and is not listed, then how many of each policy were noticed."""
    begun, listed, done = time.monotonic(), known(SURVIVORS), []
    for n, trial in enumerate(trials, 1):
        done.append(trial)
        say(f"{n} of {count} clauses, {time.monotonic() - begun:.0f} s, {sum(t.fate is Fate.SURVIVED for t in done)} survived: {trial.mutant}", over=True)
        if verbose or unlisted([trial], listed):
            print(f"{trial.fate.value}: {trial.mutant}{f' [{trial.by}]' if trial.by else ''}", flush=True)
    print(table(done))
    return 1 if unlisted(done, listed) else 0


def unlisted(trials: Sequence[Trial], listed: dict[str, str]) -> list[str]:
    """Survivors without a reason."""
    return [str(trial.mutant) for trial in trials if trial.fate is Fate.SURVIVED and str(trial.mutant) not in listed]


def table(trials: Sequence[Trial]) -> str:
    """One line for each policy."""
    count = Counter((trial.mutant.of, trial.fate) for trial in trials)
    rows = [f"{of:16}" + "".join(f"{count[of, fate]:6}" for fate in Fate) for of in dict.fromkeys(trial.mutant.of for trial in trials)]
    total = f"{'all':16}" + "".join(f"{sum(count[of, fate] for of in MAKERS):6}" for fate in Fate)
    return "\n".join([*(f"{' ' * 16}{'     |' * n}     {fate.value}" for n, fate in enumerate(Fate)), *rows, total])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
