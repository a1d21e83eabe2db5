"""Kinds of the Gateway API as small as these tests need them: nothing here routes anything, and the operator only reads what is written."""

from __future__ import annotations

from collections.abc import Iterator

from tests.testbed.api import Api, ApiError, Json
from tests.testbed.waiting import eventually

GROUP = "gateway.networking.k8s.io"
_KINDS = {"HTTPRoute": "v1", "GRPCRoute": "v1", "Gateway": "v1", "ReferenceGrant": "v1beta1"}


def crds() -> Iterator[Json]:
    """A definition for each kind that the operator looks at."""
    for kind, version in _KINDS.items():
        plural = f"{kind.lower()}s"
        spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            # The group is the Kubernetes project's: the API server asks that its definitions say whether they were reviewed.
            "metadata": {"name": f"{plural}.{GROUP}", "annotations": {"api-approved.kubernetes.io": "unapproved, of a test"}},
            "spec": {
                "group": GROUP,
                "scope": "Namespaced",
                "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
                "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
            },
        }


def install(admin: Api) -> None:
    """Define the kinds, and wait until the API server serves them."""
    for crd in crds():
        admin.apply(crd, manager="testbed")

    def served() -> bool:
        return all(admin.list(f"{kind.lower()}s.{GROUP}") is not None for kind in _KINDS)

    eventually(served, within=30, what="the API server serves the Gateway API", ignoring=(ApiError,))


def uninstall(admin: Api) -> None:
    """Take them away with all their objects, and wait until they are gone."""
    names = [crd["metadata"]["name"] for crd in crds()]
    for name in names:
        admin.delete("customresourcedefinitions", name)
    eventually(lambda: not any(admin.find("customresourcedefinitions", name) for name in names), within=30, what="the Gateway API is gone")
