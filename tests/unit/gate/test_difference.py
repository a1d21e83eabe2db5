"""What changed between two templates, said so that a person can decide about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.gate.difference import differences
from aiqms.gate.normal import template
from tests.unit.gate.pods import DRA, PLAIN, PODS, VLLM, main, owner, pod
from tests.unit.gate.tampering import tampered
from tests.unit.gate.test_normal import stored


def one(**fields: Any) -> Json:
    return pod({"containers": [main(**fields)]})


def sources(*items: Json) -> Json:
    return pod({"containers": [main()], "volumes": [{"name": "all", "projected": {"sources": list(items)}}]})


def groups(*numbers: int) -> Json:
    return pod({"containers": [main()], "securityContext": {"supplementalGroups": list(numbers)}})


def owning(source: Json) -> Json:
    return pod({"containers": [main()], "volumes": [{"name": "data"} | source]}, name="web-3", ownerReferences=owner("StatefulSet", "web", "apps/v1"))


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
    "a StatefulSet's own claim": (
        owning({"persistentVolumeClaim": {"claimName": "data-web-3"}}),
        owning({"emptyDir": {}}),
        ["volumes[data].emptyDir: added {}", "volumes[data].statefulSetClaim: removed true"],
    ),
    "a mount less, by its path": (
        one(volumeMounts=[{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]),
        one(volumeMounts=[{"name": "v", "mountPath": "/a"}]),
        ['containers[main].volumeMounts[/b]: removed {"mountPath": "/b", "name": "v"}'],
    ),
    "ports of which one has a name, by their numbers": (
        one(ports=[{"name": "http", "containerPort": 1}, {"containerPort": 2}]),
        one(ports=[{"name": "http", "containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]),
        ["containers[main].ports[2].protocol: added UDP"],
    ),
    "an argument about a name": (one(args=["--name=a"]), one(args=["--name=b"]), ['containers[main].args[0]: "--name=a" -> "--name=b"']),
    "an argument put in where there are many alike": (
        one(args=["-v"] * 300),
        one(args=["-v"] * 150 + ["-q"] + ["-v"] * 150),
        ['containers[main].args[150]: added "-q"'],
    ),
    "numbers in a row": (groups(1, 2), groups(1, 3), ["securityContext.supplementalGroups[1]: 2 -> 3"]),
    "the first argument, where the last is a flag": (one(args=["a", "--password"]), one(args=["b", "--password"]), ['containers[main].args[0]: "a" -> "b"']),
    "the flag itself": (one(args=["--api-key", "a"]), one(args=["--password", "a"]), ['containers[main].args[0]: "--api-key" -> "--password"']),
    "what follows a word that is no flag": (one(args=["password", "a"]), one(args=["password", "b"]), ['containers[main].args[1]: "a" -> "b"']),
    "what follows a flag that has its value": (one(args=["--api-key=x", "a"]), one(args=["--api-key=x", "b"]), ['containers[main].args[1]: "a" -> "b"']),
    "secrets in the arguments of a container more": (
        PLAIN,
        pod({"containers": [main(), {"name": "more", "args": ["--api-key", "sk", "--token=sk", "--a=1"]}]}),
        ['containers[more]: added {"args": ["--api-key", "(not shown)", "(not shown)", "--a=1"], "name": "more"}'],
    ),
    "letters beyond ASCII": (one(), one(workingDir="/é à"), ['containers[main].workingDir: added "/é à"']),
    "long words": (one(workingDir="x" * 80), one(workingDir="y" * 81), [f"containers[main].workingDir: {'x' * 80} -> {'y' * 79}…"]),
    "the pod": (pod({"containers": [main()]}), pod({"containers": [main()], "hostPID": True}), ["hostPID: added true"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_change_is_said(case: str) -> None:
    approved, wanted, lines = CASES[case]
    assert differences(template(approved), template(wanted)) == lines


def test_the_rest_is_counted() -> None:
    wanted = one(**{f"field{i}": i for i in range(13)})
    assert differences(template(one()), template(wanted), at_most=2) == ["containers[main].field0: added 0", "containers[main].field1: added 1", "and 11 more"]
    assert [len(differences(template(one()), template(wanted), at_most=n)) for n in (11, 12, 13, 14)] == [12, 13, 13, 13]
    assert differences(template(one()), template(wanted), at_most=12)[-1] == "and 1 more"


@given(st.sampled_from(sorted(PODS)), st.data())
def test_whatever_is_compared_and_differs_is_told(name: str, data: st.DataObject) -> None:
    approved = stored(PODS[name])
    _, wanted = data.draw(st.sampled_from(list(tampered(approved))))
    for before, after in ((approved, wanted), (wanted, approved), (wanted, wanted)):
        told = differences(template(before), template(after))
        assert bool(told) == (template(before) != template(after))
        assert all(len(line) < 300 for line in told)
