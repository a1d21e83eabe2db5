"""`python -m tests.mutation`: mutants of operator/aiqms/policy and gate, a sample of them by seed, until the minutes are over. Ends with 1 where one survives.

The tests are collected once, and it is noted once which function each calls (a minute or two). Then, for each mutant, a copy of the process
swaps the code of the one function, and runs the tests that call it. Survivors that change nothing are in survivors.txt, each with the reason.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import random
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from hypothesis import Phase, settings

from tests.mutation.collected import Case, with_cases
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.reach import Calls, FailsAsItIs, function, reached
from tests.mutation.survivors import known
from tests.mutation.swap import swap
from tests.mutation.trial import Fate, fate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "operator"
SURVIVORS = Path(__file__).with_name("survivors.txt")
PACKAGES = ("policy", "gate")
SECONDS = 120.0  # of the processor, for the tests of one mutant: all of them take a quarter of it
NOT_TRIED = ("gate.render",)  # a test compares every letter of what it writes


def modules() -> dict[str, Path]:
    """The modules that are changed, by their name below aiqms."""
    found = [p for package in PACKAGES for p in sorted((SOURCE / "aiqms" / package).rglob("*.py")) if p.name != "__init__.py"]
    named = {".".join(p.relative_to(SOURCE / "aiqms").with_suffix("").parts): p for p in found}
    return {name: path for name, path in named.items() if name not in NOT_TRIED}


def unit_tests() -> list[str]:
    """Those of these packages but the laws, which take minutes, and find little that the tables do not."""
    found = [t for package in PACKAGES for t in sorted((ROOT / "tests" / "unit" / package).glob("test_*.py"))]
    return [str(t) for t in found if "laws" not in t.stem and t.stem != "test_total"]


def sample(chosen: Iterable[str], seed: int) -> list[tuple[Mutant, Path]]:
    """All mutants in an order that the seed gives, module by module in turn, so that a short time looks at each of them."""
    dice, queues = random.Random(seed), []
    for name, path in modules().items():
        if not chosen or name in chosen:
            found = [(m, path) for m in mutants(name, path.read_text())]
            queues.append(dice.sample(found, len(found)))
    return [queue[n] for n in range(max(map(len, queues), default=0)) for queue in queues if n < len(queue)]


@dataclass(frozen=True)
class Reach:
    """loading: what is called as the modules are loaded; tests: what each function has for tests."""

    loading: Collection[str]
    tests: Mapping[str, Sequence[Case]]


def tried(mutant: Mutant, path: Path, reach: Reach) -> tuple[Fate, int]:
    """What becomes of it, and how many tests reach it."""
    module = importlib.import_module(f"aiqms.{mutant.module}")
    swapped = swap(module, mutant.where, ast.unparse(ast.parse(path.read_text())), mutant.source())
    changed = function(swapped.function.__code__) if swapped else ""
    cases = sorted(reach.tests.get(changed, []), key=partial(_distance, mutant.module))
    if swapped is None or (not cases and changed in reach.loading):
        return Fate.NOT_TRIED, 0
    return fate(swapped, cases, SECONDS), len(cases)


def _distance(module: str, case: Case) -> int:
    """The tests of the module come first, then those that name it, and within these the quickest."""
    package, _, name = module.rpartition(".")
    return 0 if case.path.stem == f"test_{name}" else 1 if _imports(case.path, f"aiqms.{package}", name) else 2


@cache
def _imports(test: Path, package: str, name: str) -> bool:
    """Whether the test names it."""
    froms = [n for n in ast.walk(ast.parse(test.read_text())) if isinstance(n, ast.ImportFrom)]
    return any(f.module == f"{package}.{name}" or (f.module == package and any(a.name == name for a in f.names)) for f in froms)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", help="such as policy.approvals; default: all")
    parser.add_argument("--minutes", type=float, default=30, help="how long at most, once it is known which test reaches what")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    args = parser.parse_args(arguments)
    if unknown := sorted(set(args.module) - set(modules())):
        parser.error(f"no such module: {', '.join(unknown)}; there are {', '.join(modules())}")
    # The same examples at each run, and none made shorter once it is found.
    settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutation")
    files = modules().values()
    loading = Calls(files)

    def work(cases: Sequence[Case]) -> int:
        progress(f"noting what each of {len(cases)} tests reaches")
        try:
            tests = reached(cases, files)
        except FailsAsItIs as failed:
            say(f"fails with nothing changed: {failed}")
            return 2
        return report(Reach(loading.functions(), tests), sample(args.module, args.seed), args.minutes)

    return with_cases(unit_tests(), loading, work)


def report(reach: Reach, every: Sequence[tuple[Mutant, Path]], minutes: float) -> int:
    """Try as many as there is time for, and say what became of them."""
    equal, outcomes, until = known(SURVIVORS), Counter[Fate](), time.monotonic() + 60 * minutes
    for mutant, path in every:
        if time.monotonic() > until:
            break
        outcome, tests = (Fate.KNOWN, 0) if str(mutant) in equal else tried(mutant, path, reach)
        outcomes[outcome] += 1
        if outcome in (Fate.SURVIVED, Fate.SLOW):
            say(f"{outcome.value}: {mutant}  # {f'{tests} tests reach it' if tests else 'no test reaches it'}")
        progress(f"{outcomes.total()} of {len(every)} mutants, {outcomes[Fate.SURVIVED]} survived")
    say(f"{outcomes.total()} of {len(every)} mutants: {', '.join(f'{outcomes[what]} {what.value}' for what in Fate if outcomes[what])}")
    return 1 if outcomes[Fate.SURVIVED] else 0


def progress(line: str) -> None:
    """One line of a terminal, in the place of the one before."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def say(line: str) -> None:
    progress("")
    print(line, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    sys.exit(main(sys.argv[1:]))
