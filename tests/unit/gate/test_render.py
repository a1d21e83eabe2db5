"""The policies that the chart carries are those of the code, and its values those of Rules."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml

from aiqms.gate.policies import FILES
from aiqms.gate.render import main, rendered
from aiqms.gate.rules import ALWAYS_EXEMPT, Rules

CHART = Path(__file__).parents[3] / "charts" / "aiqms"
POLICIES = CHART / "templates" / "policies"


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


GATE = {camel(k): list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(Rules()).items()}


@pytest.mark.parametrize("name", FILES)
def test_the_chart_has_what_the_code_renders(name: str) -> None:
    assert (POLICIES / f"{name}.yaml").read_text() == rendered(name), "run: python -m aiqms.gate.render charts/aiqms/templates/policies"


def test_the_chart_has_no_other_policies() -> None:
    assert {p.stem for p in POLICIES.iterdir()} == set(FILES)


def test_rendering_takes_away_what_no_policy_stands_behind(tmp_path: Path) -> None:
    (tmp_path / "99-gone.yaml").write_text("")
    main([str(tmp_path)])
    assert {p.stem for p in tmp_path.iterdir()} == set(FILES)


def test_the_charts_values_are_the_rules() -> None:
    assert yaml.safe_load((CHART / "values.yaml").read_text())["gate"] == GATE


def test_the_charts_schema_knows_exactly_the_rules() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["gate"]
    assert (set(schema["properties"]), set(schema["required"]), schema["additionalProperties"]) == (set(GATE), set(GATE), False)


def test_every_rule_reaches_a_policy_or_the_operator() -> None:
    templates = "".join(p.read_text() for p in [*POLICIES.iterdir(), CHART / "templates" / "_gate.tpl", CHART / "templates" / "operator.yaml"])
    assert set(re.findall(r"[.]Values[.]gate[.](\w+)", templates)) == set(GATE)


def test_the_namespaces_that_are_never_governed_are_the_same_in_chart_and_code() -> None:
    listed = re.search(r"concat \(list ([^)]*)\)", (CHART / "templates" / "_gate.tpl").read_text())
    assert listed is not None
    assert tuple(json.loads(f"[{listed[1].replace(' ', ', ')}]")) == ALWAYS_EXEMPT
