"""Policies of the gate replaced on a cluster, and known to be in force."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from aiqms.gate.policy import Policy
from tests.e2e.bypass.gate import KINDS, applied, put_in_place
from tests.mutation.clauses import MAKERS
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.cluster import Cluster
from tests.testbed.install import CHART, NAMESPACE, RELEASE
from tests.testbed.waiting import eventually

HELM = re.compile(r"\{\{.*?\}\}")
ADMISSION = "admissionregistration.k8s.io/v1"
ASKED = "example.com/asked"  # label of a ConfigMap that the sentinel looks at; its value is the number that the sentinel has to answer with
EXPRESSION: dict[str, Json] = {
    "Validating": {"validations": [{"expression": "false", "message": "NUMBER"}]},
    "Mutating": {
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": '[JSONPatch{op: "add", path: "/data", value: {"answer": "NUMBER"}}]'}}],
    },
}


class Gate:
    """The gate of a cluster. Policies are replaced one at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._admin = cluster.api("admin")
        self._values = helm_values(cluster)
        kinds = [kind for binding in KINDS.values() for kind in (binding, binding.removesuffix("Binding"))]
        self._live = {(found["kind"], found["metadata"]["name"]): applied(found) for kind in kinds for found in self._admin.list(kind)}
        self.sentinels = {kind: Sentinel(kind, self._admin) for kind in EXPRESSION}

    def put(self, policy: Policy) -> None:
        """Replace the policy of this name; it is in force when this returns. Raises ApiError where the API server does not take it."""
        for document in policy.documents():
            put_in_place(self._admin, self._live[document["kind"], document["metadata"]["name"]] | {"spec": filled(document["spec"], self._values)})
        self.sentinels["Mutating" if policy.mutate or policy.patch else "Validating"].wait()


class Sentinel:
    """A policy of no other use that answers with a number, another one each time. What was written before the number is in force when it is answered.

    The API server takes all policies of a kind anew about once a second, as its two informers, for policies and bindings, know them then, in the order
    in which they were written (k8s.io/apiserver, pkg/admission/plugin/policy/generic/policy_source.go: refreshPolicies). So the number is in both.
    """

    def __init__(self, kind: str, admin: Api) -> None:
        self._kind, self._admin, self._name = kind, admin, f"sentinel-{secrets.token_hex(3)}"
        self._numbers = itertools.count(1)

    def wait(self) -> None:
        number = f"n{next(self._numbers)}"
        for document in self._documents(number):
            self._admin.apply(document, manager="testbed", force=True)
        eventually(partial(self._answers, number), within=30, what=f"policies written before {number} are in force")

    def end(self) -> None:
        for document in self._documents("n0"):
            self._admin.delete(document["kind"], self._name)

    def _documents(self, number: str) -> Iterator[Json]:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        said = filled(EXPRESSION[self._kind], {"NUMBER": number})
        selector = {"matchLabels": {ASKED: self._asked(number)}}
        yield self._document("", {"matchConstraints": {"resourceRules": [rule]}} | said)
        actions = {"validationActions": ["Deny"]} if self._kind == "Validating" else {}
        yield self._document("Binding", {"policyName": self._name, "matchResources": {"objectSelector": selector}} | actions)

    def _document(self, suffix: str, spec: Json) -> Json:
        return {"apiVersion": ADMISSION, "kind": f"{self._kind}AdmissionPolicy{suffix}", "metadata": {"name": self._name}, "spec": spec}

    def _asked(self, number: str) -> str:
        return f"{self._name}-{number}"

    def _answers(self, number: str) -> bool:
        metadata = {"name": "asked", "namespace": "default", "labels": {ASKED: self._asked(number)}}
        try:
            made = self._admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, dry_run=True)
        except ApiError as error:
            return error.message.endswith(f"denied request: {number}")
        return bool(made.get("data", {}).get("answer") == number)


@contextmanager
def replaceable(cluster: Cluster) -> Iterator[Gate]:
    """The gate; whoever replaced a policy puts back what was."""
    gate = Gate(cluster)
    for sentinel in gate.sentinels.values():
        sentinel.wait()
    try:
        yield gate
    finally:
        for sentinel in gate.sentinels.values():
            sentinel.end()


def helm_values(cluster: Cluster) -> dict[str, str]:
    """What Helm puts in place of each of its expressions in the policies, with the chart's values: a copy of the chart has a template more, which asks."""
    asked = sorted({found for make in MAKERS.values() for text in texts(make().documents()) for found in HELM.findall(text)})
    data = "".join(f"  v{n}: |-\n    {expression}\n" for n, expression in enumerate(asked))
    with TemporaryDirectory() as folder:
        copytree(CHART, chart := Path(folder) / "chart")
        (chart / "templates" / "asked.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: asked}}\ndata:\n{data}")
        told = yaml.safe_load(cluster.helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, "--show-only", "templates/asked.yaml"))
    return {expression: told["data"][f"v{n}"] for n, expression in enumerate(asked)}


def texts(value: Any) -> Iterator[str]:
    """All that a document says."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """With what stands for each expression in its place. A text that is one of Helm's and nothing else becomes what it is as YAML, as in the chart."""
    if isinstance(value, dict):
        return {key: filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if HELM.fullmatch(value):
        return yaml.safe_load(values[value])
    for expression, stands in values.items():
        value = value.replace(expression, stands)
    return value
