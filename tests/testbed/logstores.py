"""Log stores for tests: real servers on a free port of this machine, each in a session and a folder of its own, gone at the end."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
        with running(victorialogs_at(port, Path(folder), *flags)):
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
        with running(Component(name="vlagent", argv=(*argv, "-loggerLevel=WARN"), folder=Path(folder), ready=lambda: answers(ready))):
            yield f"http://{HOST}:{port}/insert/jsonline"


@contextlib.contextmanager
def loki(limits: Mapping[str, Any], *, compactor: Mapping[str, Any] | None = None, overrides: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The endpoint of a Loki that keeps its tenants apart. limits: limits_config; overrides: by tenant. Raises ComponentFailed, with the end of its log."""
    with tempfile.TemporaryDirectory(prefix="aiqms-logs-") as folder:
        port = free_port()
        Path(folder, "overrides.yaml").write_text(json.dumps({"overrides": dict(overrides or {})}))
        Path(folder, "loki.yaml").write_text(json.dumps(_loki(folder, port, limits, compactor or {})))
        argv = (str(program("loki")), f"-config.file={folder}/loki.yaml")
        ready = f"http://{HOST}:{port}/ready"
        with running(Component(name="loki", argv=argv, folder=Path(folder), ready=lambda: answers(ready))):
            yield f"http://{HOST}:{port}"


def _loki(folder: str, port: int, limits: Mapping[str, Any], compactor: Mapping[str, Any]) -> dict[str, Any]:
    files = {"chunks_directory": f"{folder}/chunks", "rules_directory": f"{folder}/rules"}
    schema = {"from": "2024-01-01", "store": "tsdb", "object_store": "filesystem", "schema": "v13", "index": {"prefix": "index_", "period": "24h"}}
    return {
        "auth_enabled": True,
        "analytics": {"reporting_enabled": False},
        "server": {"http_listen_address": HOST, "http_listen_port": port, "grpc_listen_address": HOST, "grpc_listen_port": free_port(), "log_level": "error"},
        "common": {
            "path_prefix": folder,
            "replication_factor": 1,
            "instance_addr": HOST,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {"filesystem": files},
        },
        "ingester": {"lifecycler": {"min_ready_duration": "0s"}},
        "frontend": {"scheduler_dns_lookup_period": "100ms"},
        "frontend_worker": {"dns_lookup_duration": "100ms"},
        "schema_config": {"configs": [schema]},
        "runtime_config": {"file": f"{folder}/overrides.yaml"},
        "compactor": {"retention_enabled": True, "delete_request_store": "filesystem", "working_directory": f"{folder}/compactor", **compactor},
        "limits_config": {"deletion_mode": "disabled", **limits},
    }


@contextlib.contextmanager
def running(component: Component) -> Iterator[None]:
    """Started, ready, and gone at the end: its folder goes with it. Raises ComponentFailed."""
    component.start()
    try:
        component.wait()
        yield
    finally:
        component.kill()


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
