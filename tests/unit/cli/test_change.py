"""What changed since the last approval: entries of a Clearance and workloads in, lines out."""

from __future__ import annotations

import pytest
import yaml

from aiqms.api.values import Json
from aiqms.cli.change import Wanted, approved_before, gone, parts
from aiqms.gate.normal import template
from aiqms.policy.facts import ABSENT
from tests.unit.cli.given import NEW, OLD

OLDER = "sha256:00d1" + "c" * 60


def pods(image: str, *, name: str = "serve") -> Json:
    pod = f"metadata: {{}}\nspec: {{containers: [{{name: {name}, image: {image}, resources: {{limits: {{nvidia.com/gpu: 1}}}}}}]}}"
    return template(yaml.safe_load(pod))


def entry(fingerprint: str, of: Json, **inputs: str) -> Json:
    return {"fingerprint": fingerprint, "template": of, "components": {"model": "sha256:1"}, "inputs": {f"configmaps/{k}": v for k, v in inputs.items()}}


def wanted(of: Json, *, ref: str = "Deployment/serve", **inputs: str) -> Wanted:
    return Wanted(ref, of, {f"configmaps/{k}": v for k, v in inputs.items()})


def said(before: list[Json], now: list[Wanted]) -> list[tuple[str, tuple[str, ...]]]:
    return [(p.what, p.lines) for p in (*parts(before, now), *gone(before, now))]


ENTRIES = [entry(NEW, pods("a:3")), entry(OLD, pods("a:2")), entry(OLD, pods("b:2", name="other")), entry(OLDER, pods("a:1")), {"audit": True}]


@pytest.mark.parametrize(
    ("current", "since", "fingerprints"),
    [(NEW, "", [OLD, OLD]), (OLD, "", [NEW]), ("", "", [NEW]), (NEW, "sha256:00d1", [OLDER]), (NEW, "sha256:ffff", [])],
    ids=["the one before the current", "the newest other", "the newest, where none is current", "the one named", "one that is not there"],
)
def test_which_subject_is_compared_with(current: str, since: str, fingerprints: list[str]) -> None:
    assert [e["fingerprint"] for e in approved_before(ENTRIES, current, since=since)] == fingerprints


def test_a_field_that_changed_is_named() -> None:
    assert said([entry(OLD, pods("a:1"))], [wanted(pods("a:2"))]) == [("Deployment/serve", ("containers[serve].image: a:1 -> a:2",))]


def test_what_did_not_change_is_not() -> None:
    assert said([entry(OLD, pods("a:1"), app="sha256:1")], [wanted(pods("a:1"), app="sha256:1")]) == []


def test_each_workload_is_held_against_the_template_most_like_it() -> None:
    before = [entry(OLD, pods("b:1", name="other")), entry(OLD, pods("a:1"))]
    now = [wanted(pods("a:2"), ref="Deployment/a"), wanted(pods("b:2", name="other"), ref="Deployment/b")]
    assert said(before, now) == [("Deployment/a", ("containers[serve].image: a:1 -> a:2",)), ("Deployment/b", ("containers[other].image: b:1 -> b:2",))]


def test_a_workload_too_many_or_too_few_is_said() -> None:
    one, two = entry(OLD, pods("a:1")), entry(OLD, pods("b:1", name="other"))
    assert said([one], [wanted(pods("a:1")), wanted(pods("b:1", name="other"), ref="Job/b")]) == [("Job/b", ("new: nothing like it was approved",))]
    assert said([one, two], [wanted(pods("a:1"))]) == [("a workload that was approved", ("is none of this deployment any more",))]


def test_two_workloads_of_one_template_are_one_entry() -> None:
    assert said([entry(OLD, pods("a:1"))], [wanted(pods("a:1")), wanted(pods("a:1"), ref="Deployment/b")]) == []


@pytest.mark.parametrize(("now", "line"), [("sha256:2", "its content changed"), (ABSENT, "is gone")])
def test_a_configmap_whose_content_changed_is_named(now: str, line: str) -> None:
    assert said([entry(OLD, pods("a:1"), app="sha256:1")], [wanted(pods("a:1"), app=now)]) == [("configmaps/app", (line,))]
