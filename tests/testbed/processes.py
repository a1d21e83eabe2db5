"""Processes that outlive the Python that started them: own session, pid file, log, and no confusion by a recycled pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.waiting import NotInTime, eventually

LINUX = Path("/proc/self/stat").exists()


class ComponentFailed(RuntimeError):
    """A component ended, or did not become ready; the message has the end of its log."""


def birth(pid: int) -> str | None:
    """When the process with this pid was born, as an opaque string that no later process with the same pid shares; None if it is gone."""
    return _birth_by_proc(pid) if LINUX else _birth_by_ps(pid)


def _birth_by_proc(pid: int) -> str | None:
    try:
        # The command name (field 2) may hold spaces and brackets: what follows its last bracket is safe to split.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        threads = len(os.listdir(f"/proc/{pid}/task"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # A zombie whose other threads still end holds its ports and files: it is not gone yet.
    return None if state in "ZX" and threads <= 1 else f"{boot}:{rest[18]}"


def _birth_by_ps(pid: int) -> str | None:
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return None if not shown or shown[0].startswith("Z") else " ".join(shown[1:])


@dataclass(kw_only=True)
class Component:
    """One program of the test bed, started, stopped, killed and restarted by name; another Python finds it by its pid file."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """Where the program's output goes, of all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def pid(self) -> int | None:
        """The pid of the running program, None while it does not run."""
        try:
            noted = json.loads(self._pid_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        born = birth(noted["pid"])  # none was noted of one that had ended by then
        return int(noted["pid"]) if born and born == noted["birth"] else None

    def start(self) -> None:
        """Start it, unless it runs; `wait` says when it is ready."""
        if self.pid is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_plain_environment() | dict(self.env)
            )
        noted = self._pid_file.with_suffix(".new")
        noted.write_text(json.dumps({"pid": self._child.pid, "birth": birth(self._child.pid)}))
        noted.replace(self._pid_file)

    def wait(self, within: float = 60) -> None:
        """Wait until it is ready. Raises ComponentFailed when it ends first, or after `within` seconds."""
        try:
            eventually(self._ready_or_ended, within=within, what=f"{self.name} is ready")
        except NotInTime as error:
            raise ComponentFailed(f"{self.name} did not become ready within {within:g} s. The end of {self.log}:\n{self.tail()}") from error

    def _ready_or_ended(self) -> bool:
        if self.pid is None:
            raise ComponentFailed(f"{self.name} ended at once. The end of {self.log}:\n{self.tail()}")
        return self.ready()

    def stop(self, within: float = 30) -> int | None:
        """Ask it to end (SIGTERM), and make it end after `within` seconds. Its exit code, where this Python started it."""
        self._signal(signal.SIGTERM)
        try:
            eventually(lambda: self.pid is None, within=within, what=f"{self.name} ends")
        except NotInTime:
            return self.kill()
        return self._reap()

    def kill(self) -> int | None:
        """End it without a word (SIGKILL), as a crash would. Its exit code, where this Python started it."""
        self._signal(signal.SIGKILL)
        eventually(lambda: self.pid is None, within=30, what=f"{self.name} is gone")
        return self._reap()

    def pause(self) -> None:
        """Let it do nothing until `wake` (SIGSTOP), as a machine that is suspended or starved would."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let a paused one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def restart(self, within: float = 60) -> None:
        """Stop it, start it, wait until it is ready."""
        self.stop()
        self.start()
        self.wait(within)

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def _signal(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def _reap(self) -> int | None:
        self._pid_file.unlink(missing_ok=True)
        return self._child.wait() if self._child is not None else None


def started_in(folder: Path) -> list[Component]:
    """Every program whose pid file is in this folder, whoever started it: to look at and to end."""
    return [Component(name=path.stem, argv=(), folder=folder, ready=lambda: True) for path in sorted(folder.glob("*.pid"))]


def kill_all(folder: Path) -> None:
    """End every program whose pid file is in this folder."""
    for component in started_in(folder):
        component.kill()


def _plain_environment() -> dict[str, str]:
    """What any program needs; nothing else of the caller's, so that a run does not depend on who starts it."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE") if name in os.environ}
