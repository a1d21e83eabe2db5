"""Log stores for tests: real servers on a free port of this machine, each in a session and a folder of its own, gone at the end."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.testbed.build import program
from tests.testbed.processes import Component

HOST = "127.0.0.1"


def free_port() -> int:
    """A port at which nothing listens now."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def victorialogs_at(port: int, folder: Path, *flags: str) -> Component:
    """A VictoriaLogs with these flags, to start and stop; its data outlives it."""
    argv = (str(program("victoria-logs")), f"-httpListenAddr={HOST}:{port}", f"-storageDataPath={folder}/victoria-logs-data", "-loggerLevel=WARN", *flags)
    return Component(name="victoria-logs", argv=argv, folder=folder, ready=lambda: answers(f"http://{HOST}:{port}/health"))


@contextlib.contextmanager
def victorialogs(*flags: str, port: int = 0) -> Iterator[str]:
    """The endpoint of a VictoriaLogs with these flags and no line. port: for one that comes back. Raises ComponentFailed, with the end of its log."""
    with tempfile.TemporaryDirectory(prefix="aiqms-logs-") as folder:
        port = port or free_port()
        with _running(victorialogs_at(port, Path(folder), *flags)):
            yield f"http://{HOST}:{port}"


@contextlib.contextmanager
def vlagent(store: str) -> Iterator[str]:
    """The intake, for lines of JSON, of a vlagent that sends them on to a VictoriaLogs. Raises ComponentFailed."""
    with tempfile.TemporaryDirectory(prefix="aiqms-agent-") as folder:
        port = free_port()
        argv = (
            str(program("vlagent")),
            f"-httpListenAddr={HOST}:{port}",
            f"-remoteWrite.url={store}/insert/native",
            f"-remoteWrite.tmpDataPath={folder}/queue",
        )
        ready = f"http://{HOST}:{port}/health"
        with _running(Component(name="vlagent", argv=(*argv, "-loggerLevel=WARN"), folder=Path(folder), ready=lambda: answers(ready))):
            yield f"http://{HOST}:{port}/insert/jsonline"


@contextlib.contextmanager
def _running(component: Component) -> Iterator[None]:
    component.start()
    try:
        component.wait()
        yield
    finally:
        component.kill()  # its folder goes with it


def answers(url: str) -> bool:
    """Whether a GET is answered with any status below 500."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """What a workload or a collector sends. Raises HTTPError for a refusal."""
    with urllib.request.urlopen(urllib.request.Request(url, body, dict(headers or {})), timeout=10):
        pass
