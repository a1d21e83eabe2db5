"""The subject: what changes it, what does not, and which component says so (invariant 4)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api.deployment import DeploymentSpec
from aiqms.policy import digests
from aiqms.policy.decide import decide
from aiqms.policy.digests import digest
from aiqms.policy.facts import ABSENT, Broken, Input
from aiqms.policy.subject import subject
from tests.unit.policy.given import HEX, after, approve, change, day, fingerprint, given, procedure, spec, workload

Json = dict[str, Any]
DATA = {"name": "applications", "version": "2026", "use": "Training", "classification": "Confidential", "digest": HEX["3"]}
OTHER_DATA = DATA | {"use": "Test"}
MODEL = {"name": "credit-llm", "version": "4.2.0", "uri": "oci://bank.example/credit-llm", "digest": HEX["1"]}
BASE = given(of=spec(datasets=[DATA]), workloads=[workload(inputs={"configmaps/a": HEX["5"]})])

CHANGES: dict[str, tuple[Json, list[str]]] = {
    "another model name": ({"of": spec(datasets=[DATA], model=MODEL | {"name": "other"})}, ["model"]),
    "another model version": ({"of": spec(datasets=[DATA], model=MODEL | {"version": "4.2.1"})}, ["model"]),
    "another place of the model": ({"of": spec(datasets=[DATA], model=MODEL | {"uri": "oci://bank.example/other"})}, ["model"]),
    "another model digest": ({"of": spec(datasets=[DATA], model=MODEL | {"digest": HEX["2"]})}, ["model"]),
    "a dataset less": ({"of": spec()}, ["data"]),
    "a dataset more": ({"of": spec(datasets=[DATA, OTHER_DATA])}, ["data"]),
    "another dataset name": ({"of": spec(datasets=[DATA | {"name": "other"}])}, ["data"]),
    "another dataset version": ({"of": spec(datasets=[DATA | {"version": "2027"}])}, ["data"]),
    "another use of a dataset": ({"of": spec(datasets=[OTHER_DATA])}, ["data"]),
    "another classification of a dataset": ({"of": spec(datasets=[DATA | {"classification": "Public"}])}, ["data"]),
    "another dataset digest": ({"of": spec(datasets=[DATA | {"digest": HEX["4"]}])}, ["data"]),
    "another purpose": ({"of": spec(datasets=[DATA], intended_purpose="score mortgages")}, ["purpose"]),
    "another risk class": ({"of": spec(datasets=[DATA], risk_class="Limited")}, ["purpose"]),
    "another role": ({"of": spec(datasets=[DATA], role="Deployer")}, ["purpose"]),
    "another template": ({"workloads": [workload("v2", inputs={"configmaps/a": HEX["5"]})]}, ["workload"]),
    "another content of an input": ({"workloads": [workload(inputs={"configmaps/a": HEX["6"]})]}, ["workload"]),
    "an input that went away": ({"workloads": [workload(inputs={"configmaps/a": ABSENT})]}, ["workload"]),
    "an input more": ({"workloads": [workload(inputs={"configmaps/a": HEX["5"], "configmaps/b": ABSENT})]}, ["workload"]),
    "a workload more": ({"workloads": [*BASE.workloads, workload(ref="Job/batch")]}, ["workload"]),
    "a workload of another name": ({"workloads": [workload(ref="Deployment/other", inputs={"configmaps/a": HEX["5"]})]}, ["workload"]),
    "a workload of another kind": ({"workloads": [workload(ref="StatefulSet/credit-scoring", inputs={"configmaps/a": HEX["5"]})]}, ["workload"]),
    "a revision whose approvals count from itself": ({"procedures": [procedure(revision=2)]}, ["procedures"]),
    "a procedure more": ({"procedures": [procedure(), procedure("other")]}, ["procedures"]),
    "a procedure of another name": ({"procedures": [procedure("other")]}, ["procedures"]),
    "no procedure": ({"procedures": []}, ["procedures"]),
    "the procedure in Audit": ({"procedures": [procedure(audit=True)]}, ["procedures"]),
    "model and template at once": ({"of": spec(datasets=[DATA], model=MODEL | {"digest": HEX["2"]}), "workloads": [workload("v2")]}, ["model", "workload"]),
    # what does not
    "another owner": ({"of": spec(datasets=[DATA], owner={"name": "Others", "contact": "others@bank.example"})}, []),
    "the same, retired": ({"of": spec(datasets=[DATA], lifecycle="Retired")}, []),
    "a Secret that the pods read": ({"workloads": [workload(inputs={"configmaps/a": HEX["5"]}, secrets=("secrets/key",))]}, []),
    "the workload's label": ({"workloads": [workload(inputs={"configmaps/a": HEX["5"]}, label="other")]}, []),
    "a revision that keeps approvals": ({"procedures": [procedure(revision=2, since=1, lapse="Stop", valid_for="9d", roles={"auditor": 3})]}, []),
    "a procedure more, in Audit": ({"procedures": [procedure(), procedure("trial", audit=True)]}, []),
    "a higher revision of one in Audit": ({"procedures": [procedure(), procedure("trial", audit=True, revision=5)]}, []),
}


@pytest.mark.parametrize(("changes", "components"), CHANGES.values(), ids=CHANGES.keys())
def test_invariant_4_what_changes_the_subject_and_which_component_says_so(changes: Json, components: list[str]) -> None:
    approved = after(change(BASE, approve("alice")), day(1))
    found = decide(change(approved, **changes), day(2)).status.subject
    assert found
    assert (found.changed, found.fingerprint != fingerprint(BASE)) == (components, bool(components))


def test_nothing_has_changed_where_nothing_was_approved() -> None:
    found = decide(after(BASE, day(1), workloads=[workload("v2")]), day(2)).status.subject
    assert found
    assert found.changed == []


def test_there_is_no_subject_while_a_workload_is_missing() -> None:
    assert decide(change(BASE, workloads=[workload(), workload(None, ref="Job/batch")]), day(1)).status.subject is None


@pytest.mark.parametrize("changes", [{"unreadable": "a ConfigMap"}, {"procedures": [("broken", Broken("why"))]}], ids=["an input", "a procedure"])
def test_the_subject_last_known_stays_while_something_cannot_be_read(changes: Json) -> None:
    found = decide(change(after(BASE, day(1)), **changes, workloads=[workload("v2")]), day(2)).status.subject
    assert found
    assert found.fingerprint == fingerprint(BASE)
    assert decide(change(BASE, **changes), day(2)).status.subject is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def reversed_keys(value: Any) -> Any:
    """The same value with each map's keys the other way round."""
    if isinstance(value, dict):
        return {k: reversed_keys(v) for k, v in reversed(value.items())}
    return [reversed_keys(v) for v in value] if isinstance(value, list) else value


CANONICAL: dict[str, tuple[Any, str]] = {
    "words and letters": ({"b": True, "a": [None, False, "x"]}, '{"a":[null,false,"x"],"b":true}'),
    "signs that need another": ({"a": '\x7f\x01"\\\n'}, r'{"a":"' + "\x7f" + r'\u0001\"\\\n"}'),
    "keys beyond ASCII go by their UTF-16": ({"\ue000": 1, "😀": 2}, '{"😀":2,"\ue000":1}'),
    "a fraction that is none": (1.0, "1"),
    "in a map beside text": ({"a": "x", "b": 1.0}, '{"a":"x","b":1}'),
    "in a list beside text": (["x", -0.0], '["x",0]'),
    "in a pair": ((1, 0.5), "[1,0.5]"),
    "deep": ({"a": [{"b": 1e21}]}, '{"a":[{"b":1e+21}]}'),
    "the largest integer that a double tells": ({"a": 2**53 - 1, "é": 2**53 - 1}, '{"a":9007199254740991,"é":9007199254740991}'),
    "the least": ({"a": -(2**53 - 1), "é": 1 - 2**53}, '{"a":-9007199254740991,"é":-9007199254740991}'),
    "a larger one": ([2**53], '[{"~integer":"9007199254740992"}]'),
    "a lesser one": ({"a": "x", "é": -(2**53)}, '{"a":"x","é":{"~integer":"-9007199254740992"}}'),
}  # fmt: skip


@pytest.mark.parametrize(("value", "written"), CANONICAL.values(), ids=CANONICAL.keys())
def test_how_values_are_written_to_be_digested(value: Any, written: str) -> None:
    assert digests.canonical(value).decode() == written


@for_all(JSON | st.dictionaries(st.sampled_from(["a", "é", "\ue000", "😀", '"', "\n"]), JSON))
def test_a_digest_is_that_of_the_canonical_json_of_rfc_8785(value: Any) -> None:
    exact = replaced(value)
    assert digest(exact) == f"sha256:{hashlib.sha256(rfc8785.dumps(exact)).hexdigest()}"


def replaced(value: Any) -> Any:
    """Without integers that a double cannot hold, which RFC 8785 does not know."""
    if isinstance(value, dict):
        return {k: replaced(v) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v) for v in value]
    return value % 2**53 if type(value) is int else value


@for_all(JSON)
def test_the_order_of_keys_never_changes_a_digest(value: Any) -> None:
    assert digest(reversed_keys(value)) == digest(value)


@for_all(st.dictionaries(st.text(max_size=6), JSON, min_size=1, max_size=4), st.data())
def test_any_other_value_has_another_digest(value: Json, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    other = data.draw(JSON.filter(lambda v: canonical(v) != canonical(value[key])))
    assert digest(value | {key: other}) != digest(value)


def canonical(value: Any) -> Any:
    """What RFC 8785 tells apart: numbers by their value as a double, which integers beyond 2**53 do not have."""
    if isinstance(value, dict):
        return {k: canonical(v) for k, v in value.items()}
    if isinstance(value, list):
        return [canonical(v) for v in value]
    return (type(value) is bool, value) if isinstance(value, (bool, int, float)) else value


@for_all(st.integers(2**53, 2**70))
def test_integers_beyond_a_doubles_reach_are_told_apart(number: int) -> None:
    assert len({digest({"n": n}) for n in (number, number + 1, -number, str(number))}) == 4


@for_all(st.permutations([DATA, OTHER_DATA, DATA | {"classification": "Public"}, DATA | {"name": "a"}]))
def test_the_order_of_datasets_never_changes_the_subject(datasets: list[Json]) -> None:
    usual = spec(datasets=[DATA, OTHER_DATA, DATA | {"classification": "Public"}, DATA | {"name": "a"}])
    assert of(replace(BASE, spec=spec(datasets=datasets))) == of(replace(BASE, spec=usual))


@for_all(st.permutations([workload("a", ref="Job/a"), workload("b", ref="Job/b"), workload("c")]), st.permutations([procedure("p"), procedure("q")]))
def test_the_order_of_workloads_and_procedures_never_changes_the_subject(workloads: list[Any], procedures: list[Any]) -> None:
    usual = [workload("a", ref="Job/a"), workload("b", ref="Job/b"), workload("c")]
    assert of(change(BASE, workloads=workloads, procedures=procedures)) == of(change(BASE, workloads=usual, procedures=[procedure("p"), procedure("q")]))


def of(facts: Input) -> str:
    """The fingerprint of the facts as they lie, in no order of ours."""
    assert isinstance(facts.spec, DeploymentSpec)
    found = subject(facts.spec, workloads=facts.workloads, procedures=[p for p in facts.procedures if not isinstance(p, tuple)])
    assert found
    return found.fingerprint
