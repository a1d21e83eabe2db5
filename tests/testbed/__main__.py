"""`python -m tests.testbed`: the test bed for people."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testbed.api import ApiError
from tests.testbed.build import ALL, BuildFailed, build_all, program
from tests.testbed.cluster import Cluster, CommandFailed
from tests.testbed.install import install, uninstall
from tests.testbed.operator_process import Operator
from tests.testbed.processes import Component, ComponentFailed, started_in
from tests.testbed.providers import NotOffered
from tests.testbed.waiting import NotInTime

PROJECT = Path(__file__).parents[2]
PLACE = PROJECT / ".testbed"
ACTIONS = ("start", "stop", "kill", "restart")


def up(cluster: Cluster, args: argparse.Namespace) -> None:
    """Bring the cluster up, or use the one that runs."""
    if args.fresh:
        cluster.down()
    cluster.up()
    print('the cluster is up; to use it from this shell: eval "$(make -s env)"')


def down(cluster: Cluster, _: argparse.Namespace) -> None:
    """Stop everything that runs from the state folder."""
    cluster.down()
    print("the cluster is down, and its state is removed")


def env(cluster: Cluster, _: argparse.Namespace) -> None:
    """Print the shell lines that make the cluster usable: KUBECONFIG, and a PATH with kubectl, helm and kubectl-qms."""
    folder = PLACE / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("kubectl", "helm"):
        link(folder / name, Path(cluster.provider.program(name)))
    link(folder / "kubectl-qms", Path(sys.executable).parent / "kubectl-qms")
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    print(f"export PATH={shlex.quote(str(folder))}:$PATH")


def link(path: Path, target: Path) -> None:
    """Make `path` a symbolic link to the target, whatever it was."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def status(cluster: Cluster, _: argparse.Namespace) -> None:
    """Say what runs, where it is and where it logs."""
    print(f"{cluster.provider.name} in {cluster.provider.folder}: {'up' if cluster.provider.is_up() else 'not up'}")
    for component in started_in(cluster.provider.folder / "run"):
        print(f"  {component.name:24} {f'pid {component.pid}' if component.pid else 'not running':16} {component.log}")


def build(_: Cluster, args: argparse.Namespace) -> None:
    """Build the programs that the cache lacks."""
    if not args.program:
        build_all()
    for name in args.program or [name for module in ALL for name in module.programs]:
        print(program(name))


def component(cluster: Cluster, args: argparse.Namespace) -> None:
    """Start, stop, kill or restart one program, to see what the others do."""
    chosen = cluster.component(args.name)
    _act(chosen, args.action)
    if args.action == "start":
        chosen.wait()


def kubectl(cluster: Cluster, args: argparse.Namespace) -> None:
    """Run kubectl on the cluster; it takes the place of this process."""
    _become(cluster, "kubectl", args.rest)


def helm(cluster: Cluster, args: argparse.Namespace) -> None:
    """Run helm on the cluster; it takes the place of this process."""
    _become(cluster, "helm", args.rest)


def _become(cluster: Cluster, name: str, rest: list[str]) -> None:
    path = cluster.provider.program(name)
    os.execve(path, [path, *rest], cluster.environment())


def installed(cluster: Cluster, _: argparse.Namespace) -> None:
    """Install or upgrade the chart, and run the operator as a process."""
    install(cluster)
    Operator(cluster=cluster).restart()
    print(f"AIQMS is installed; its operator logs to {cluster.provider.folder / 'run' / 'aiqms-operator-0.log'}")


def uninstalled(cluster: Cluster, _: argparse.Namespace) -> None:
    """Stop the operator, and uninstall the chart."""
    Operator(cluster=cluster).stop()
    uninstall(cluster)
    print("AIQMS is uninstalled; its CRDs and what was recorded stay")


def operator(cluster: Cluster, args: argparse.Namespace) -> None:
    """Start, stop, kill or restart one replica of the operator."""
    chosen = Operator(cluster=cluster, number=args.number)
    _act(chosen, args.action)


def _act(chosen: Component | Operator, action: str) -> None:
    match action:
        case "start":
            chosen.start()
        case "stop":
            chosen.stop()
        case "kill":
            chosen.kill()
        case "restart":
            chosen.restart()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    top.add_argument("--folder", type=Path, default=PLACE / "cluster", help="state folder of the cluster (default: .testbed/cluster)")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _add(commands, "up", up).add_argument("--fresh", action="store_true", help="begin anew, also where one runs")
    for name, action in (("down", down), ("env", env), ("status", status), ("install", installed), ("uninstall", uninstalled)):
        _add(commands, name, action)
    _add(commands, "build", build).add_argument("program", nargs="*", help="default: all")
    for name, takes_place in (("kubectl", kubectl), ("helm", helm)):
        # No prefix: every word that follows, with its dashes, is the program's own.
        _add(commands, name, takes_place, add_help=False, prefix_chars="\0").add_argument("rest", nargs="*")
    one = _add(commands, "component", component)
    one.add_argument("action", choices=ACTIONS)
    one.add_argument("name")
    replica = _add(commands, "operator", operator)
    replica.add_argument("action", choices=ACTIONS)
    replica.add_argument("number", nargs="?", type=int, default=0)
    return top


def _add(commands: Any, name: str, action: Callable[[Cluster, argparse.Namespace], None], **options: Any) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=action.__doc__, description=action.__doc__, **options)
    made.set_defaults(run=action)
    return made


def main() -> int:
    """Run one command; 1 with the reason on standard error where it cannot be done."""
    args = parser().parse_args()
    try:
        args.run(Cluster.at(args.folder), args)
    except (BuildFailed, CommandFailed, ComponentFailed, NotInTime, NotOffered, ApiError, KeyError) as error:
        print(f"{type(error).__name__}: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
