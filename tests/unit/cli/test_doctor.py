"""What `kubectl qms doctor` compares with: every difference of a policy, a CRD or a right is seen, and what a site may say is not taken for one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from aiqms.api.values import Json
from aiqms.cli.doctor import CHECKS, ended, lines
from aiqms.cli.doctor_compare import SITE_VALUE
from aiqms.cli.doctor_crds import crds, shipped
from aiqms.cli.doctor_policies import Objects, compared, policies, values
from aiqms.cli.doctor_rights import OPERATORS, OPERATORS_AT_HOME, granted
from aiqms.cli.doctor_rows import Result, Row, found, ok, unknown
from aiqms.cli.terminal import Exit
from tests.unit.chart.conftest import Render, one, render

__all__ = ["render"]  # the chart's fixture
KIND = "ValidatingAdmissionPolicy"
PATHS = tuple[Any, ...]


def live(render: Render, **chart: Any) -> Objects:
    """The policies and bindings that the chart makes with these values."""
    return {(o["kind"], o["metadata"]["name"]): copy.deepcopy(o) for o in render(**chart) if "AdmissionPolicy" in o["kind"]}


def results(rows: Iterator[Row]) -> list[tuple[str, str, str]]:
    return [(str(row.result), row.about, row.message) for row in rows]


SITES: dict[str, Json] = {
    "the chart's defaults": {},
    "harmless resources of a site": {"gate__plainResources": ["cpu", "memory", "ephemeral-storage", "example.com/fuse"]},
    "namespaces that are exempt": {"gate__exemptNamespaces": ["gpu-operator", "monitoring"]},
    "GPU pods elsewhere are refused": {"gate__elsewhere": "Deny"},
    "GPU pods elsewhere are nobody's business": {"gate__elsewhere": "Off"},
    "another regular expression": {"gate__deviceEnv": [".*VISIBLE_DEVICES", "CUDA_VERSION", "MY_[A-Z]+"]},
    "another RuntimeClass": {"gate__plainRuntimes": ["runc"]},
    "people of one group": {"gate__peopleGroups": ["bank-people"]},
}


@pytest.mark.parametrize("chart", SITES.values(), ids=SITES)
def test_whatever_a_site_may_say_is_as_shipped(chart: Json, render: Render) -> None:
    gate = compared(live(render, **chart))
    assert results(policies(gate)) == [("Ok", "", "19 policies and their bindings are as this version ships them")]
    assert [row.result for row in values(gate, one(render(**chart), "Deployment", "aiqms-operator"))] == [Result.OK]


def test_what_a_site_changed_is_told(render: Render) -> None:
    gate = compared(live(render, gate__exemptNamespaces=["gpu-operator"]))
    assert results(values(gate, None)) == [("Ok", "", 'gate.exemptNamespaces: ["kube-system", "aiqms-system", "gpu-operator"]')]
    assert gate.rules.exempt_namespaces == ("kube-system", "aiqms-system", "gpu-operator")


def leaves(value: Any, path: PATHS = ()) -> Iterator[PATHS]:
    """The path of every value that holds no others."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path
    for key, below in items:
        yield from leaves(below, (*path, key))


def put(value: Any, path: PATHS, new: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def differs(key: tuple[str, str], objects: Objects) -> bool:
    """Whether doctor sees that this object is another one. Alone first, which is quick; whether chart values agree is seen only beside the others."""
    if any(row.about == "/".join(key) for row in compared({key: objects[key]}).rows):
        return True
    gate = compared(objects)
    return any(row.result is not Result.OK for row in (*gate.rows, *values(gate, None)))


def test_every_leaf_of_every_policy_and_binding_counts(render: Render) -> None:
    objects = live(render)
    missed = []
    for key, obj in objects.items():
        for path in leaves(obj["spec"]):
            changed = {**objects, key: copy.deepcopy(obj)}
            put(changed[key]["spec"], path, "another")
            if not differs(key, changed):
                missed.append((*key, *path))
    assert missed == []


def test_whatever_is_left_out_or_added_is_seen(render: Render) -> None:
    objects = live(render)
    policy = objects[KIND, "aiqms-cleared"]["spec"]
    del policy["validations"][1]
    policy["matchConstraints"]["excludeResourceRules"] = [{"resources": ["pods"]}]
    del objects[KIND, "aiqms-label"]
    objects[KIND, "aiqms-former"] = objects[KIND, "aiqms-records"]
    assert [(about, message.partition(" (")[0]) for _, about, message in results(policies(compared(objects)))] == [
        (f"{KIND}/aiqms-label", "is missing"),
        (f"{KIND}/aiqms-cleared", "spec.matchConstraints.excludeResourceRules was added"),
        (f"{KIND}/aiqms-cleared", "spec.validations has 3 items, not 4"),
        (f"{KIND}/aiqms-former", "is none of this version's: another version of the chart made it"),
    ]


def test_half_of_a_policy_that_may_be_left_out_is_missed(render: Render) -> None:
    objects = live(render)
    del objects[f"{KIND}Binding", "aiqms-elsewhere"]
    assert [about for _, about, _ in results(policies(compared(objects)))] == [f"{KIND}Binding/aiqms-elsewhere"]


DANGEROUS: dict[str, tuple[Json, str, str]] = {
    "GPUs are plain": (
        {"gate__plainResources": ["cpu", "memory", "nvidia.com/gpu"]},
        "gate.plainResources",
        "nvidia.com/gpu is taken for harmless, so any pod may ask for it",
    ),
    "GPU runtimes are plain": ({"gate__plainRuntimes": ["runc", "nvidia"]}, "gate.plainRuntimes", "RuntimeClass nvidia is taken for harmless"),
    "env that hands out GPUs is plain": (
        {"gate__deviceEnv": ["CUDA_VERSION"]},
        "gate.deviceEnv",
        "env NVIDIA_VISIBLE_DEVICES is taken for harmless, and hands out GPUs",
    ),
}


@pytest.mark.parametrize(("chart", "about", "said"), DANGEROUS.values(), ids=DANGEROUS)
def test_a_value_that_opens_the_gate_is_found(chart: Json, about: str, said: str, render: Render) -> None:
    assert results(values(compared(live(render, **chart)), None)) == [("Found", about, said)]


def test_policies_that_disagree_are_found(render: Render) -> None:
    objects = live(render)
    other = live(render, gate__plainResources=["cpu", "memory"])
    objects["MutatingAdmissionPolicy", "aiqms-hold"] = other["MutatingAdmissionPolicy", "aiqms-hold"]
    said = 'the policies do not agree: ["cpu", "memory", "ephemeral-storage"] and ["cpu", "memory"]'
    assert results(values(compared(objects), None)) == [("Found", "gate.plainResources", said)]


def test_an_operator_of_other_values_is_found(render: Render) -> None:
    operator = one(render(gate__plainResources=["cpu"]), "Deployment", "aiqms-operator")
    said = 'the operator has ["cpu"], the policies have ["cpu", "memory", "ephemeral-storage"]: nothing it clears is admitted'
    assert results(values(compared(live(render)), operator)) == [("Found", "gate.plainResources", said)]


def test_every_helm_expression_of_the_policies_is_taken_for_a_value(render: Render) -> None:
    assert SITE_VALUE.search(yaml.safe_dump([o["spec"] for o in live(render).values()])) is None
    assert set(compared(live(render)).site) == {
        "gate.plainResources",
        "gate.plainRuntimes",
        "gate.peopleGroups",
        "gate.exemptNamespaces",
        "gate.deviceEnv",
        "gate.elsewhere",
    }


def established() -> dict[str, Json]:
    """The CRDs as a cluster has them."""
    conditions = [{"type": "Established", "status": "True"}]
    return {name: made | {"status": {"conditions": conditions}} for name, made in copy.deepcopy(shipped()).items()}


def test_crds_as_shipped_are_well() -> None:
    assert results(crds(established())) == [("Ok", "", "4 CRDs are as this version ships them")]


def test_every_bound_and_rule_of_every_crd_counts() -> None:
    objects, missed = established(), []
    for name, obj in objects.items():
        for path in leaves(obj["spec"]):
            if path[-1] != "description":
                changed = copy.deepcopy(obj)
                put(changed["spec"], path, "another")
                missed += [path for row in crds({**objects, name: changed}) if row.result is Result.OK]
    assert missed == []


def test_a_pruned_field_is_named() -> None:
    objects = established()
    (version,) = objects["qmsprocedures.aiqms.dev"]["spec"]["versions"]
    del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["onLapse"]["properties"]["grace"]
    ((result, about, message),) = results(crds(objects))
    assert (result, about, message.partition(" (")[0]) == ("Found", "qmsprocedures.aiqms.dev", "spec.onLapse.grace is missing")


def test_the_operators_rights_are_those_of_the_chart(render: Render) -> None:
    for kind, wanted in (("ClusterRole", OPERATORS), ("Role", OPERATORS_AT_HOME)):
        assert {right: frozenset(verbs) for right, verbs in granted(one(render(), kind, "aiqms-operator")["rules"]).items()} == wanted


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([ok("a")], Exit.YES),
        ([ok("a"), found("b", "c")], Exit.NO),
        ([ok("a"), unknown("b", "c")], Exit.CANNOT_ASK),
        ([unknown("a", "b"), found("c", "d")], Exit.NO),
        ([found("a", "b", "x").accepted(["/x"])], Exit.YES),
    ],
    ids=["all well", "something found", "something unknown", "found outweighs unknown", "found and accepted"],
)
def test_how_it_ends(rows: list[Row], code: Exit) -> None:
    assert ended(rows) is code


def test_only_what_was_found_can_be_accepted() -> None:
    assert unknown("a", "b", "x").accepted(["*"]).result is Result.UNKNOWN
    assert found("a", "b", "x").accepted(["/y"]).result is Result.FOUND


def test_lines_wrap_at_the_terminals_width_and_nowhere_else() -> None:
    rows = [Row(Result.FOUND, "is missing " * 12, "helm upgrade --install aiqms", "ValidatingAdmissionPolicy/aiqms-hold", "policies")]
    narrow = [line.text for line in lines(rows, 80)]
    assert max(map(len, narrow)) <= 80
    assert len(narrow) > 4
    wide = [line.text for line in lines(rows, None)]
    assert wide == [
        f"  ✗ policies         ValidatingAdmissionPolicy/aiqms-hold: {'is missing ' * 12}",
        "                     → helm upgrade --install aiqms",
        "1 thing found",
    ]


def test_checks_have_names_of_their_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
