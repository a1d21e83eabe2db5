"""Defaulting offline: laws of its own. That it is the API server's is asked of a real one, in tests/e2e/test_defaults_agreement.py."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.gate.defaults import defaulted, pull_policy
from aiqms.gate.quantity import canonical, milli
from aiqms.gate.workload import template_of
from tests.unit.gate.pods import PODS
from tests.unit.gate.test_workload import WORKLOADS

POLICIES = {
    "vllm": "Always",
    "vllm:latest": "Always",
    "vllm:v1": "IfNotPresent",
    "registry.bank.example:5000/vllm": "Always",
    f"vllm@sha256:{'a' * 64}": "IfNotPresent",
    f"vllm:latest@sha256:{'a' * 64}": "Always",
    "a/Upper": "IfNotPresent",
    "a" * 64: "IfNotPresent",
}
AMOUNTS = {  # a real API server is asked for most of them in tests/e2e/test_defaults_agreement.py, and ParseQuantity of apimachinery v0.36.3 was for all
    "1": "1", "0.5": "500m", "1024Mi": "1Gi", "1.5Gi": "1536Mi", "1000": "1k", "0": "0", "1E3": "1E3", "1.500": "1.500", "0.1Gi": "107374182400m",
    "0.5Gi": "512Mi", "1024": "1024", "1024Ki": "1Mi", "1536Mi": "1536Mi", "1000000": "1M", "1e3": "1e3", "12e6": "12e6", "5E": "5E", "0.1": "100m",
    "100m": "100m", "1500m": "1500m", "1u": "1u", "1n": "1n", "0.0001": "100u", "1023Ki": "1023Ki", "+1": "+1", "1.": "1.", ".5": "500m", "1e-3": "1e-3",
    "1500e-3": "1500e-3", "123456789": "123456789", "1000Gi": "1000Gi", "1048576Gi": "1Pi", "1.2e2": "120", "2000k": "2M", "0Ki": "0", "1000m": "1",
    "0.5Ki": "512", "1.0005": "1000500u", "100000000000000000": "100P", "0100m": "0100m", "+1Ki": "+1Ki", "008Ki": "8Ki", "1025Ki": "1025Ki", "0.000": "0",
    "1000e3": "1e6", "123456789012345678": "123456789012345678", "1234567890123456789": "1234567890123456789", "0.1234567891": "123456790n", "1.5k": "1500",
    "-0.5": "-500m", "1.0Ki": "1Ki", "0.500": "500m", "+12345678Mi": "+12345678Mi", "+123456789Mi": "123456789Mi",
    "+123456789012345678": "+123456789012345678", "+1234567890123456789": "1234567890123456789", "1000e18": "1e21", "10e20": "1e21",
    "10e998": "1e999", "1e999999999": "1e999999999", "+1n": "+1n", "1000E": "1", "7Ei": "7Ei", "8Ei": "9223372036854775807", "-8Ei": "-9223372036854775807",
    "99999999999999999999.5Gi": "9223372036854775807", "1234567890123456789.0123456789": "1234567890123456789012345679n", " 1024Mi ": "1Gi", "none": "none",
}  # fmt: skip


def disk(**fields: Any) -> Json:
    return {"volumes": [{"name": "v", "gcePersistentDisk": {"pdName": "d", **fields}}]}


STORED: dict[str, tuple[Json, Json]] = {  # fields of a pod's spec as they are written and stored, of the second alone
    "empty, 0 and false are as good as missing": (disk(fsType="", partition=0, readOnly=False), disk()),
    "what is not is kept": (disk(fsType="xfs", partition=1, readOnly=True), disk(fsType="xfs", partition=1, readOnly=True)),
    "elsewhere they say something": (
        {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}, {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}},
    ),
    "nothing": ({"hostname": None, "securityContext": None}, {"securityContext": {}}),
    "an empty list": ({"hostAliases": [], "dnsConfig": {"searches": []}}, {"dnsConfig": {}}),
    "a map without entries": ({"nodeSelector": {}, "dnsConfig": {}}, {"dnsConfig": {}}),
    "nothing within what has no default": ({"affinity": {"nodeAffinity": None, "podAffinity": {}}}, {"affinity": {"podAffinity": {}}}),
    "an entry of a map without a value": ({"nodeSelector": {"a": None, "b": "c"}}, {"nodeSelector": {"a": "", "b": "c"}}),
    "quantities": ({"resources": {"limits": {"cpu": "0.5", "memory": None}}}, {"resources": {"limits": {"cpu": "500m", "memory": "0"}}}),
    "a volume of no kind": ({"volumes": [{"name": "v"}]}, {"volumes": [{"name": "v", "emptyDir": {}}]}),
    "an image volume": (
        {"volumes": [{"name": "v", "image": {"reference": "a"}}]}, {"volumes": [{"name": "v", "image": {"reference": "a", "pullPolicy": "Always"}}]},
    ),
    "the account by its old name": ({"serviceAccount": "a"}, {"serviceAccount": "a", "serviceAccountName": "a"}),
    "the account by both": ({"serviceAccount": "a", "serviceAccountName": "b"}, {"serviceAccount": "b", "serviceAccountName": "b"}),
    "no struct, no map, and no list of structs": (
        {"securityContext": "a", "nodeSelector": "b", "volumes": "c", "hostname": ""}, {"securityContext": "a", "nodeSelector": "b", "volumes": "c"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "stored"), STORED.values(), ids=STORED)
def test_fields_are_stored_as_the_api_server_does(written: Json, stored: Json) -> None:
    spec = defaulted({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": [], **written}})["spec"]
    assert {k: v for k, v in spec.items() if k in {*written, *stored}} == stored


@pytest.mark.parametrize("kind", WORKLOADS)
def test_it_is_done_once_and_changes_nothing_else(kind: str) -> None:
    before = copy.deepcopy(WORKLOADS[kind])
    once = defaulted(WORKLOADS[kind])
    assert defaulted(once) == once
    assert WORKLOADS[kind] == before
    assert template_of(once)["spec"]["restartPolicy"] == "Always"


@pytest.mark.parametrize("name", PODS)
def test_what_is_defaulted_is_not_defaulted_again(name: str) -> None:
    once = defaulted({"apiVersion": "v1", "kind": "Pod", **PODS[name]})
    assert defaulted(once) == once


def test_a_field_that_nobody_knows_stays() -> None:
    spec: Json = {"containers": [{"name": "main", "image": "a", "brandNew": {"x": 0}}], "alsoNew": "y"}
    got = defaulted({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec})["spec"]
    assert (got["containers"][0]["brandNew"], got["alsoNew"]) == ({"x": 0}, "y")


def test_what_is_filled_in_is_nobody_elses() -> None:
    one, two = (defaulted({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": []}}) for _ in range(2))
    one["spec"]["securityContext"]["runAsUser"] = 1
    assert two["spec"]["securityContext"] == {}


@pytest.mark.parametrize(("image", "policy"), POLICIES.items())
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize(("written", "stored"), AMOUNTS.items())
def test_quantities_are_written_as_the_api_server_does(written: str, stored: str) -> None:
    assert canonical(written) == stored


def test_limits_are_rounded_up_to_a_thousandth() -> None:
    assert [milli(v) for v in ("1u", "1.0005", 2, True, None)] == ["1m", "1001m", "2", True, None]
