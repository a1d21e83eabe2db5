"""Renders the chart with the helm that the test bed builds."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.testbed import build

CHART = pathlib.Path(__file__).parents[3] / "charts" / "aiqms"

Json = dict[str, Any]
Render = Callable[..., list[Json]]


class Refused(Exception):
    """What helm said when it refused."""


def helm(*arguments: str) -> str:
    """What a helm command prints. Raises Refused."""
    done = subprocess.run([build.program("helm"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def template(*arguments: str, values: Json | None = None, namespace: str = "aiqms-system") -> str:
    """The chart's manifests with these values (by dotted path), as text. Raises Refused."""
    sets = [part for path, value in (values or {}).items() for part in ("--set-json", f"{path}={json.dumps(value)}")]
    return helm("template", "aiqms", str(CHART), "--namespace", namespace, *sets, *arguments)


@pytest.fixture(scope="session")
def render() -> Render:
    """The chart's objects with these values. Each set of values is rendered once."""
    seen: dict[str, list[Json]] = {}

    def rendered(**values: Any) -> list[Json]:
        key = json.dumps(values, sort_keys=True)
        if key not in seen:
            paths = {path.replace("__", "."): value for path, value in values.items()}
            seen[key] = [o for o in yaml.safe_load_all(template(values=paths)) if o]
        return seen[key]

    return rendered


def one(objects: list[Json], kind: str, name: str) -> Json:
    """The one object of this kind and name."""
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found
