"""What changed between two templates, said so that a person can decide about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.gate.difference import differences
from aiqms.gate.normal import template
from tests.unit.gate.pods import DRA, PLAIN, PODS, VLLM, main, pod
from tests.unit.gate.tampering import tampered
from tests.unit.gate.test_normal import stored


def one(**fields: Any) -> Json:
    return pod({"containers": [main(**fields)]})


def sources(*items: Json) -> Json:
    return pod({"containers": [main()], "volumes": [{"name": "all", "projected": {"sources": list(items)}}]})


def annotated(**annotations: str) -> Json:
    return pod({"containers": [main()]}, annotations={k.replace("_", "/"): v for k, v in annotations.items()})


CASES: dict[str, tuple[Json, Json, list[str]]] = {
    "nothing": (VLLM, VLLM, []),
    "an image": (
        one(),
        one(image="registry.bank.example/vllm:v0.12.0"),
        ["containers[main].image: registry.bank.example/vllm:v0.11.0 -> registry.bank.example/vllm:v0.12.0"],
    ),
    "an argument": (one(args=["serve", "--a"]), one(args=["serve", "--b"]), ['containers[main].args[1]: "--a" -> "--b"']),
    "an argument put in": (one(args=["--a", "--c"]), one(args=["--a", "--b", "--c"]), ['containers[main].args[1]: added "--b"']),
    "an argument taken out": (one(args=["--a", "--b", "--c"]), one(args=["--a", "--c"]), ['containers[main].args[1]: removed "--b"']),
    "a number": (
        one(ports=[{"containerPort": 1, "hostPort": 1}]),
        one(ports=[{"containerPort": 1, "hostPort": 2}]),
        ["containers[main].ports[1].hostPort: 1 -> 2"],
    ),
    "a field more": (one(), one(workingDir="/srv"), ["containers[main].workingDir: added /srv"]),
    "a field less": (one(tty=True), one(), ["containers[main].tty: removed true"]),
    "words": (one(workingDir="/a b"), one(workingDir=""), ['containers[main].workingDir: "/a b" -> ""']),
    "env": (
        one(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        one(env=[{"name": "A", "value": "3"}, {"name": "C", "value": "4"}]),
        [
            "containers[main].env[A].value: 1 -> 3",
            'containers[main].env[B]: removed {"name": "B", "value": "2"}',
            'containers[main].env[C]: added {"name": "C", "value": "4"}',
        ],
    ),
    "the order of env": (
        one(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        one(env=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
        ["containers[main].env: order A, B -> B, A"],
    ),
    "a secret in env": (
        one(env=[{"name": "HF_TOKEN", "value": "hf_1"}]),
        one(env=[{"name": "HF_TOKEN", "value": "hf_2"}, {"name": "API_KEY", "value": "sk"}]),
        [
            "containers[main].env[HF_TOKEN].value: (not shown) -> (not shown)",
            'containers[main].env[API_KEY]: added {"name": "API_KEY", "value": "(not shown)"}',
        ],
    ),
    "a secret in an argument": (
        one(args=["--api-key=sk-1", "--password", "a", "--max-tokens=1"]),
        one(args=["--api-key=sk-2", "--password", "b", "--max-tokens=2"]),
        [
            "containers[main].args[0]: (not shown) -> (not shown)",
            "containers[main].args[2]: (not shown) -> (not shown)",
            'containers[main].args[3]: "--max-tokens=1" -> "--max-tokens=2"',
        ],
    ),
    "a container": (PLAIN, pod({"containers": [main(), {"name": "more", "image": "x"}]}), ['containers[more]: added {"image": "x", "name": "more"}']),
    "devices": (one(), one(resources={"limits": {"nvidia.com/gpu": "2"}}), ["containers[main].resources.limits[nvidia.com/gpu]: 1 -> 2"]),
    "claims": (
        DRA,
        {**DRA, "spec": {**DRA["spec"], "resourceClaims": DRA["spec"]["resourceClaims"][:1]}},
        ['resourceClaims[mig]: removed {"name": "mig", "resourceClaimName": "shared-mig"}'],
    ),
    "mounts": (
        one(volumeMounts=[{"name": "v", "mountPath": "/a"}]),
        one(volumeMounts=[{"name": "v", "mountPath": "/a", "readOnly": True}, {"name": "v", "mountPath": "/b"}]),
        ["containers[main].volumeMounts[/a].readOnly: added true", 'containers[main].volumeMounts[/b]: added {"mountPath": "/b", "name": "v"}'],
    ),
    "volumes": (
        pod({"containers": [main()], "volumes": [{"name": "v", "emptyDir": {}}]}),
        pod({"containers": [main()], "volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}),
        ["volumes[v].emptyDir: removed {}", 'volumes[v].hostPath: added {"path": "/x"}'],
    ),
    "sources": (
        sources({"secret": {"name": "a"}}, {"configMap": {"name": "b"}}),
        sources({"secret": {"name": "c"}}, {"configMap": {"name": "b"}}),
        ["volumes[all].projected.sources[0].secret.name: a -> c"],
    ),
    "the model": (
        annotated(**{"aiqms.dev_model": "sha256:1"}),
        annotated(**{"aiqms.dev_model": "sha256:2"}),
        ["annotations[aiqms.dev/model]: sha256:1 -> sha256:2"],
    ),
    "the pod": (pod({"containers": [main()]}), pod({"containers": [main()], "hostPID": True}), ["hostPID: added true"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_change_is_said(case: str) -> None:
    approved, wanted, lines = CASES[case]
    assert differences(template(approved), template(wanted)) == lines


def test_the_rest_is_counted() -> None:
    wanted = one(**{f"field{i}": i for i in range(13)})
    assert differences(template(one()), template(wanted), at_most=2) == ["containers[main].field0: added 0", "containers[main].field1: added 1", "and 11 more"]


@given(st.sampled_from(sorted(PODS)), st.data())
def test_whatever_is_compared_and_differs_is_told(name: str, data: st.DataObject) -> None:
    approved = stored(PODS[name])
    _, wanted = data.draw(st.sampled_from(list(tampered(approved))))
    for before, after in ((approved, wanted), (wanted, approved), (wanted, wanted)):
        told = differences(template(before), template(after))
        assert bool(told) == (template(before) != template(after))
        assert all(len(line) < 300 for line in told)
