"""A policy of the gate and its binding, as the objects that the API server takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiqms.api.values import Json
from aiqms.gate.cel import EXEMPT, Said, inline
from aiqms.gate.rules import CLEARANCE, GOVERNED, LABEL

Check = tuple[str, str]  # what is wrong, and what to say then
Where = Literal["governed", "elsewhere", "everywhere"]
CLEARANCE_KIND: Json = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "Clearance"}
RECORD_KIND: Json = {"apiVersion": "aiqms.dev/v1alpha1", "kind": "ApprovalRecord"}
LABELLED: Json = {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}
UNLABELLED: Json = {"matchExpressions": [{"key": LABEL, "operator": "DoesNotExist"}]}


def rule(resources: Sequence[str], operations: Sequence[str], group: str = "", version: str = "v1") -> Json:
    """Requests that a policy looks at."""
    return {"apiGroups": [group], "apiVersions": [version], "operations": list(operations), "resources": list(resources)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One admission policy: what it looks at and what is wrong.

    refuse: pairs of what is wrong and what to say then (`Said`: worked out by CEL). Everything wrong (or `acts`, the same said shorter) is asked
    in ONE matchCondition, after `when`, so that a request with nothing wrong costs one evaluation; only where it is true are the validations evaluated, to find
    the message: the API server converts the object anew for each of these steps, which costs more than the CEL.
    param: what to do where the namespace has no parameter; empty means that the policy takes none. The parameter is the Clearance, or every object of
    param_kind that param_selector selects, all of which have to agree.
    mutate, patch: what a mutating policy changes, by server-side apply or by JSON patch.
    """

    name: str
    rules: Sequence[Json]
    where: Where = "governed"
    selector: Json = field(default_factory=dict)
    param: Literal["", "Deny", "Allow"] = ""
    param_kind: Json = field(default_factory=lambda: CLEARANCE_KIND)
    param_selector: Json = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    when: str = ""
    acts: str = ""
    refuse: Sequence[Check] = ()
    mutate: str = ""
    patch: str = ""
    actions: Sequence[str] | str = ("Deny",)
    failure: Literal["Fail", "Ignore"] = "Fail"

    def documents(self) -> list[Json]:
        """The policy and its binding."""
        return [self._document("", self._spec()), self._document("Binding", self._binding())]

    def _document(self, suffix: str, spec: Json) -> Json:
        kind = "MutatingAdmissionPolicy" if self.mutate or self.patch else "ValidatingAdmissionPolicy"
        return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind + suffix, "metadata": {"name": f"aiqms-{self.name}"}, "spec": spec}

    def _spec(self) -> Json:
        # A missing CRD or an unsynced watch refuses whatever a policy with a parameter selects, before its bindings are looked at (the API server's
        # generic/policy_dispatcher.go), so its selectors stand on the policy. Elsewhere they stand on the binding, which is cheaper: they are parsed first.
        match = self._match() if self.param else {}
        spec: Json = {"failurePolicy": self.failure, "matchConstraints": {"resourceRules": list(self.rules), **match}}
        if self.param:
            spec["paramKind"] = self.param_kind
        if asked := self._asked():
            spec["matchConditions"] = [{"name": "acts", "expression": asked}]
        if self.variables:
            spec["variables"] = [{"name": k, "expression": v} for k, v in self.variables.items()]
        return spec | self._effect()

    def _effect(self) -> Json:
        if self.mutate:
            return {"reinvocationPolicy": "IfNeeded", "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": self.mutate}}]}
        if self.patch:
            return {"reinvocationPolicy": "IfNeeded", "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": self.patch}}]}
        return {"validations": [validation(bad, message) for bad, message in self.refuse]}

    def _asked(self) -> str:
        wrong = self.acts or "\n|| ".join(f"({bad})" for bad, _ in self.refuse)
        return " && ".join(inline(part, self.variables) for part in (self.when, f"({wrong})") if part not in ("", "()", "(true)"))

    def _binding(self) -> Json:
        match = {} if self.param else self._match()
        binding: Json = {"policyName": f"aiqms-{self.name}"} | ({"matchResources": match} if match else {})
        if self.param:
            chosen: Json = {"selector": self.param_selector} if self.param_selector else {"name": CLEARANCE}
            binding["paramRef"] = {**chosen, "parameterNotFoundAction": self.param}
        if not (self.mutate or self.patch):
            binding["validationActions"] = self.actions if isinstance(self.actions, str) else list(self.actions)
        return binding

    def _match(self) -> Json:
        return namespaces(self.where) | ({"objectSelector": self.selector} if self.selector else {})


def validation(bad: str, message: str) -> Json:
    return {"expression": f"!({bad})", "messageExpression" if isinstance(message, Said) else "message": str(message), "reason": "Forbidden"}


def namespaces(where: Where) -> Json:
    """Selector of namespaces. The exempt ones are left out by a name that nobody can relabel; policy `governed` keeps the label off them too."""
    if where == "everywhere":
        return {}
    asked = {"key": GOVERNED, "operator": "Exists" if where == "governed" else "DoesNotExist"}
    return {"namespaceSelector": {"matchExpressions": [asked, {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": EXEMPT}]}}
