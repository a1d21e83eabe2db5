"""What somebody may try who edits workloads and the register, to have what a procedure forbids; each attempt by its answer, to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from aiqms.api.conditions import Reason
from aiqms.api.values import Json
from aiqms.gate.normal import template
from aiqms.gate.rules import DEFAULTS
from aiqms.policy.binding import MODEL, Tie, tie
from aiqms.policy.decide import decide
from aiqms.policy.digests import digest
from tests.unit.policy.given import HEX, approve, cleared, controls, day, given, procedure, spec, workload

URIS = ["https://*.bank.example/models/*", "https://registry.bank.example/*"]
ELSEWHERE = "take the model from there, and register where it comes from"
ODD = "has more than a host and a port before its path, so that nobody knows where it leads"
OTHER = f"is not among {'; '.join(URIS)}"
HOSTS = {
    "the allowed host as a folder": ("https://evil.example/.bank.example/models/llm", OTHER),
    "as a user": ("https://registry.bank.example@evil.example/llm", ODD),
    "as a user with a password": ("https://registry.bank.example:x@evil.example/llm", ODD),
    "behind a backslash": ("https://evil.example\\.bank.example/models/llm", ODD),
    "at another port": ("https://registry.bank.example:8443/llm", OTHER),
    "in other letters": ("https://REGISTRY.bank.example/llm", OTHER),
    "by another scheme": ("http://registry.bank.example/llm", OTHER),
}


@pytest.mark.parametrize(("uri", "why"), HOSTS.values(), ids=HOSTS)
def test_a_host_that_looks_like_an_allowed_one(uri: str, why: str) -> None:
    model = {"name": "credit-llm", "version": "4.2.0", "uri": uri, "digest": HEX["1"]}
    tried = given(approve("alice"), of=spec(model=model), procedures=[procedure(supply={"modelUris": URIS})])
    assert controls(tried, day(1))["high-risk/supply/model-uri"] == ("Fail", "ModelUriNotAllowed", f"spec.model.uri {uri} {why}: {ELSEWHERE}")
    assert cleared(decide(tried, day(1)), day(1)) == []


# A model that is not what is served

CHECK = f"registry.bank.example/check@{HEX['9']}"
TOLD = [{"name": "MODEL", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{MODEL}']"}}}]
INDEX = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}}
WRITING, READING = {"name": "models", "mountPath": "/models"}, {"name": "models", "mountPath": "/models", "readOnly": True}
PODINFO: Json = {"downwardAPI": {"items": [{"path": "model", "fieldRef": {"fieldPath": f"metadata.annotations['{MODEL}']"}}]}}
CLAIM: Json = {"persistentVolumeClaim": {"claimName": "models"}}


def container(name: str = "serve", image: str = "vllm:1", mounts: Sequence[Json] = (READING,), **fields: Any) -> Json:
    return {"name": name, "image": image, "volumeMounts": list(mounts)} | fields


def check(mounts: Sequence[Json] = (WRITING,), **fields: Any) -> Json:
    """A checker that checks, but for these fields."""
    return container("check", CHECK, mounts, env=TOLD) | fields


def made(*init: Json, serve: Json | None = None, volumes: dict[str, Json] | None = None, **fields: Any) -> Json:
    """The normal form of a pod of one container. volumes: beside models."""
    sources: dict[str, Json] = {"models": {"emptyDir": {}}} | (volumes or {})
    pod = {"containers": [serve or container()], "initContainers": list(init), "volumes": [{"name": n} | v for n, v in sources.items()]} | fields
    return template({"metadata": {"annotations": {MODEL: HEX["1"]}}, "spec": pod}, DEFAULTS)


def carrying(at: str = HEX["1"]) -> dict[str, Json]:
    return {"models": {"image": {"reference": f"registry.bank.example/models/credit-llm@{at}"}}}


BINDINGS = {
    "a checker": (made(check()), "init container check, which compares the files"),
    "behind one that loads": (made(container("load", mounts=[WRITING]), check()), "init container check, which compares the files"),
    "before one that reads": (made(check(), container("warm")), "init container check, which compares the files"),
    "of an Indexed Job": (made(check(env=[*TOLD, INDEX])), "init container check, which compares the files"),
    "told by a volume": (
        made(check([WRITING, {"name": "info", "mountPath": "/info"}], env=[]), volumes={"info": PODINFO}),
        "init container check, which compares the files",
    ),
    "or by a part of one": (
        made(check([WRITING, {"name": "info", "mountPath": "/info"}], env=[]), volumes={"info": {"projected": {"sources": [PODINFO]}}}),
        "init container check, which compares the files",
    ),
    "by that alone": (
        made(check([WRITING, {"name": "info", "mountPath": "/info"}], env=None), volumes={"info": PODINFO}),
        "init container check, which compares the files",
    ),
    "of which more is said that changes nothing": (
        made(check(workingDir="", stdin=False, terminationMessagePath="/dev/termination-log")),
        "init container check, which compares the files",
    ),
    "of a claim that none can write to": (
        made(check(), serve=container(mounts=[WRITING]), volumes={"models": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}}),
        "init container check, which compares the files",
    ),
    "of one claim, where another is written to": (
        made(
            check(),
            serve=container(mounts=[READING, {"name": "cache", "mountPath": "/w"}]),
            volumes={"models": CLAIM, "cache": {"persistentVolumeClaim": {"claimName": "cache"}}},
        ),
        "init container check, which compares the files",
    ),
    "of an image volume, to which nobody can write": (
        made(check(), serve=container(mounts=[WRITING]), volumes=carrying(HEX["2"])),
        "init container check, which compares the files",
    ),
    "of one empty folder, where another is written to": (
        made(check(), serve=container(mounts=[READING, {"name": "tmp", "mountPath": "/tmp"}]), volumes={"tmp": {"emptyDir": {}}}),
        "init container check, which compares the files",
    ),
    "of a folder of the node, where an empty one is written to": (
        made(
            check(),
            serve=container(mounts=[READING, {"name": "tmp", "mountPath": "/tmp"}]),
            volumes={"models": {"hostPath": {"path": "/srv/models"}}, "tmp": {"emptyDir": {}}},
        ),
        "init container check, which compares the files",
    ),
    "that shares its processes with what comes later": (made(check(), shareProcessNamespace=True), "init container check, which compares the files"),
    "beside a sidecar that does not see its processes": (
        made(container("w", mounts=[], restartPolicy="Always"), check()),
        "init container check, which compares the files",
    ),
    "an image volume": (made(volumes=carrying()), "image volume models"),
    "an image": (made(serve=container(image=f"llm@{HEX['1']}")), "container serve"),
}
PRETENCES = {
    "a checker by its tag": (made(check(image="registry.bank.example/check:v1")), "init container check is not pinned by digest"),
    "as a sidecar": (made(check(restartPolicy="Always")), "init container check is a sidecar, for whose end nobody waits"),
    "that runs something else": (made(check(command=["true"])), "init container check has a command in place of its image's own"),
    "that is asked for help": (made(check(args=["--help"])), "init container check has arguments in place of its image's own"),
    "that begins elsewhere": (made(check(workingDir="/models")), "init container check sets workingDir, which may change what it does"),
    "that takes variables from anywhere": (
        made(check(envFrom=[{"configMapRef": {"name": "env"}}])),
        "init container check sets envFrom, which may change what it does",
    ),
    "that loads a library first": (
        made(check(env=[*TOLD, {"name": "LD_PRELOAD", "value": "/models/evil.so"}])),
        "init container check sets env LD_PRELOAD, which may change what it does",
    ),
    "that is told another model": (
        made(check(env=[*TOLD, {"name": "MODEL", "value": HEX["2"]}])),
        "init container check sets env MODEL, which may change what it does",
    ),
    "that is told its number alone": (
        made(check(env=[INDEX])),
        f"init container check does not read annotation {MODEL}: give it by fieldRef in env, or by a downwardAPI volume",
    ),
    "that is told none": (
        made(check(env=[])),
        f"init container check does not read annotation {MODEL}: give it by fieldRef in env, or by a downwardAPI volume",
    ),
    "whose program is mounted over": (
        made(check([WRITING, {"name": "models", "mountPath": "//usr/./bin"}])),
        "init container check mounts volume models at //usr/./bin, where its program may lie: mount the whole at a folder of its own",
    ),
    "by one file": (
        made(check([WRITING, {"name": "models", "mountPath": "/check", "subPath": "evil"}])),
        "init container check mounts a part of volume models at /check, where its program may lie: mount the whole at a folder of its own",
    ),
    "by one file that a variable names": (
        made(check([WRITING, {"name": "models", "mountPath": "/check", "subPathExpr": "$(MODEL)"}])),
        "init container check mounts a part of volume models at /check, where its program may lie: mount the whole at a folder of its own",
    ),
    "that sees no file": (made(check([])), "init container check mounts no volume that a container serves from"),
    "that sees other files": (
        made(check([{"name": "tmp", "mountPath": "/models"}]), volumes={"tmp": {"emptyDir": {}}}),
        "init container check mounts no volume that a container serves from",
    ),
    "that sees only what the kubelet writes": (
        made(
            check([{"name": "info", "mountPath": "/info"}]), serve=container(mounts=[READING, {"name": "info", "mountPath": "/i"}]), volumes={"info": PODINFO}
        ),
        "init container check mounts no volume that a container serves from",
    ),
    "before the one that loads": (
        made(check(), container("load", mounts=[WRITING])),
        "init container check does not see what init container load may write to volume models afterwards: mount it there read-only",
    ),
    "beside a sidecar that writes": (
        made(container("sync", mounts=[WRITING], restartPolicy="Always"), check()),
        "init container check does not see what init container sync may write to volume models afterwards: mount it there read-only",
    ),
    "before a container that writes": (
        made(check(), serve=container(mounts=[WRITING])),
        "init container check does not see what container serve may write to volume models afterwards: mount it there read-only",
    ),
    "which writes by a second mount": (
        made(check(), serve=container(mounts=[READING, {"name": "models", "mountPath": "/w"}])),
        "init container check does not see what container serve may write to volume models afterwards: mount it there read-only",
    ),
    "or by a second volume of the same claim": (
        made(check(), serve=container(mounts=[READING, {"name": "again", "mountPath": "/w"}]), volumes={"models": CLAIM, "again": CLAIM}),
        "init container check does not see what container serve may write to volume again afterwards: mount it there read-only",
    ),
    "or by a folder above": (
        made(
            check(),
            serve=container(mounts=[READING, {"name": "all", "mountPath": "/w"}]),
            volumes={"models": {"hostPath": {"path": "/srv/models"}}, "all": {"hostPath": {"path": "/srv"}}},
        ),
        "init container check does not see what container serve may write to volume all afterwards: mount it there read-only",
    ),
    "watched by a sidecar": (
        made(container("w", mounts=[], restartPolicy="Always"), check(), shareProcessNamespace=True),
        "init container check shares its processes with a sidecar",
    ),
    "also behind one that loads": (
        made(container("load", mounts=[]), container("w", mounts=[], restartPolicy="Always"), check(), shareProcessNamespace=True),
        "init container check shares its processes with a sidecar",
    ),
    "an image volume that nobody mounts": (
        made(serve=container(mounts=[]), volumes=carrying()),
        "image volume models is mounted by no container that goes on running",
    ),
    "or one that ends": (
        made(container("unpack"), serve=container(mounts=[]), volumes=carrying()),
        "image volume models is mounted by no container that goes on running",
    ),
    "an image of the model's that ends": (made(container("model", f"llm@{HEX['1']}")), "init container model ends before anything is served"),
    "several at once": (
        made(container("model", f"llm@{HEX['1']}"), check(args=["-h"])),
        "init container model ends before anything is served; init container check has arguments in place of its image's own",
    ),
    "a checker that nobody named": (made(check(image=f"evil.example/check@{HEX['9']}")), ""),
}
BOUND = procedure(supply={"model": "Bound", "digestCheckers": ["registry.bank.example/check"]})


@pytest.mark.parametrize(("form", "by"), BINDINGS.values(), ids=BINDINGS)
def test_what_binds(form: Json, by: str) -> None:
    assert tie(form, HEX["1"], ["registry.bank.example/check"]) == Tie(Reason.MODEL_BOUND, by)


@pytest.mark.parametrize(("form", "why"), PRETENCES.values(), ids=PRETENCES)
def test_what_only_looks_like_a_binding(form: Json, why: str) -> None:
    assert tie(form, HEX["1"], ["registry.bank.example/check"]) == Tie(Reason.MODEL_DECLARED_ONLY, why)
    tried = given(approve("alice"), procedures=[BOUND], workloads=[replace(workload(), template=form, digest=digest(form))])
    assert cleared(decide(tried, day(1)), day(1)) == []


def test_a_doubt_is_said_also_where_nothing_is_declared() -> None:
    form = made(container("unpack"), serve=container(mounts=[]), volumes=carrying()) | {"annotations": {}}
    tried = given(approve("alice"), procedures=[BOUND], workloads=[replace(workload(), template=form, digest=digest(form))])
    why = "Deployment/credit-scoring: image volume models is mounted by no container that goes on running"
    said = f"nothing ties Deployment/credit-scoring to the model approved; {why}: set annotation {MODEL} in the pod template"
    assert controls(tried, day(1))["high-risk/supply/model"] == ("Fail", "ModelNotDeclared", said)
