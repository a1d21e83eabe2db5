"""The operator's settings, from the environment that the chart renders."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiqms.gate.rules import DEFAULTS, Rules


@dataclass(frozen=True)
class Settings:
    """port: of /healthz, /readyz and /metrics; identity: of this replica, in the Lease and in events; workers: namespaces decided at once.

    network_probe: host and port of the probe that has to answer; empty where none is set up.
    """

    port: int = 8080
    log_level: str = "INFO"
    log_json: bool = True
    identity: str = "aiqms-operator"
    namespace: str = "aiqms-system"
    workers: int = 4
    rules: Rules = DEFAULTS
    network_probe: str = ""


def read(env: Mapping[str, str] = os.environ) -> Settings:
    """Settings from AIQMS_* and the downward API's POD_NAME and POD_NAMESPACE. Raises ValueError, naming the variable, for a value that is none."""
    return Settings(
        port=_int(env, "AIQMS_HTTP_PORT", 8080),
        log_level=_one_of(env, "AIQMS_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        log_json=_one_of(env, "AIQMS_LOG_FORMAT", ("json", "text")) == "json",
        identity=env.get("POD_NAME") or socket.gethostname(),
        namespace=env.get("POD_NAMESPACE") or "aiqms-system",
        workers=_int(env, "AIQMS_WORKERS", 4),
        rules=_rules(env),
        network_probe=_address(env, "AIQMS_NETWORK_PROBE"),
    )


def _rules(env: Mapping[str, str]) -> Rules:
    found = {
        name: _names(env, variable)
        for name, variable in (("plain_resources", "AIQMS_PLAIN_RESOURCES"), ("published_config_maps", "AIQMS_PUBLISHED_CONFIGMAPS"))
    }
    return replace(DEFAULTS, **{name: value for name, value in found.items() if value is not None})  # type: ignore[arg-type]


def _names(env: Mapping[str, str], variable: str) -> tuple[str, ...] | None:
    if not env.get(variable):
        return None
    try:
        value = json.loads(env[variable])
    except json.JSONDecodeError as error:
        raise ValueError(f'{variable} is no JSON ({error.msg}): give a list of names such as ["cpu", "memory"]') from error
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ValueError(f'{variable} is {env[variable]}: give a list of names such as ["cpu", "memory"]')
    return tuple(value)


def _address(env: Mapping[str, str], variable: str) -> str:
    text = env.get(variable) or ""
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{variable} is {text!r}: give a host and a port, such as probe.example:8090")
    return text


def _int(env: Mapping[str, str], variable: str, default: int) -> int:
    text = env.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"{variable} is {text!r}: give a whole number from 1 to 65535")
    return int(text)


def _one_of(env: Mapping[str, str], variable: str, choices: tuple[str, ...]) -> str:
    """One of the choices, the first by default, however it is capitalised."""
    text = env.get(variable) or choices[0]
    found = next((c for c in choices if c.lower() == text.lower()), None)
    if found is None:
        raise ValueError(f"{variable} is {text!r}: give one of {', '.join(choices)}")
    return found
