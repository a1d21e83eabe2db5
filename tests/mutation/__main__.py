"""`python -m tests.mutation`: mutants of operator/aiqms/policy and gate, a sample of them by seed, until the minutes are over. Ends with 1 where one survives.

Survivors that change nothing are in survivors.txt, each with the reason.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.survivors import known
from tests.mutation.trial import Fate, fate

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "operator"
SURVIVORS = Path(__file__).with_name("survivors.txt")
PACKAGES = ("policy", "gate")
SECONDS = 120.0  # for the tests of one mutant: more is a loop that does not end, and found
NOT_TRIED = ("gate.render",)  # a test compares every letter of what it writes


def modules() -> dict[str, Path]:
    """The modules that are changed, by their name below aiqms."""
    found = [p for package in PACKAGES for p in sorted((SOURCE / "aiqms" / package).rglob("*.py")) if p.name != "__init__.py"]
    named = {".".join(p.relative_to(SOURCE / "aiqms").with_suffix("").parts): p for p in found}
    return {name: path for name, path in named.items() if name not in NOT_TRIED}


def stages(module: str, *, near: bool) -> list[list[str]]:
    """What is run for a module's mutants: the tests that name it, then all tables, then the laws. near: those that name it alone."""
    package, _, name = module.rpartition(".")
    tests = sorted((ROOT / "tests" / "unit" / package.partition(".")[0]).glob("test_*.py"))
    own = [t for t in tests if t.stem == f"test_{name}"]
    naming = own + [t for t in tests if t not in own and not _long(t) and _imports(t, package, name)]
    rest, laws = ([t for t in tests if t not in naming and _long(t) is long] for long in (False, True))
    return [[str(t) for t in each] for each in ((naming or rest,) if near else (naming, rest, laws)) if each]


def _long(test: Path) -> bool:
    """Laws come last, for they take long."""
    return "laws" in test.stem or test.stem == "test_total"


def _imports(test: Path, package: str, name: str) -> bool:
    """Whether the test names it."""
    froms = [n for n in ast.walk(ast.parse(test.read_text())) if isinstance(n, ast.ImportFrom)]
    return any(f.module == f"aiqms.{package}.{name}" or (f.module == f"aiqms.{package}" and any(a.name == name for a in f.names)) for f in froms)


def tried(mutant: Mutant, path: Path, *, near: bool) -> Fate:
    """What becomes of it: the first stage that does not pass tells."""
    source = mutant.source()
    for stage in stages(mutant.module, near=near):
        if (found := fate(f"aiqms.{mutant.module}", source, path, stage, SECONDS)) is not Fate.SURVIVED:
            return found
    return Fate.SURVIVED


def sample(chosen: Iterable[str], seed: int) -> list[tuple[Mutant, Path]]:
    """All mutants in an order that the seed gives, module by module in turn, so that a short time looks at each of them."""
    dice, queues = random.Random(seed), []
    for name, path in modules().items():
        if not chosen or name in chosen:
            found = [(m, path) for m in mutants(name, path.read_text())]
            queues.append(dice.sample(found, len(found)))
    return [queue[n] for n in range(max(map(len, queues), default=0)) for queue in queues if n < len(queue)]


def warm() -> None:
    """What every test imports and no mutant changes: each process has it from the start."""
    for name in ("hypothesis.strategies", "aiqms.api.clearance", "aiqms.api.conditions", "aiqms.api.crds", "aiqms.api.procedure", "aiqms.api.record"):
        importlib.import_module(name)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", help="such as policy.approvals; default: all")
    parser.add_argument("--minutes", type=float, default=30, help="how long at most")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--near", action="store_true", help="run no tests but those that name the module")
    args = parser.parse_args(arguments)
    warm()
    return report(args.module, args.minutes, args.seed, near=args.near)


def report(chosen: Sequence[str], minutes: float, seed: int, *, near: bool) -> int:
    """Try as many as there is time for, and say what became of them."""
    equal, outcomes, until = known(SURVIVORS), Counter[str](), time.monotonic() + 60 * minutes
    every = sample(chosen, seed)
    for mutant, path in every:
        if time.monotonic() > until:
            break
        outcome = "known to change nothing" if str(mutant) in equal else tried(mutant, path, near=near).value
        outcomes[outcome] += 1
        if outcome in (Fate.SURVIVED.value, Fate.SLOW.value):
            print(f"{outcome}: {mutant}", flush=True)
    print(f"{sum(outcomes.values())} of {len(every)} mutants: {', '.join(f'{count} {what}' for what, count in sorted(outcomes.items()))}")
    return 1 if outcomes[Fate.SURVIVED.value] else 0


if __name__ == "__main__":
    sys.path.insert(0, str(SOURCE))
    sys.exit(main(sys.argv[1:]))
