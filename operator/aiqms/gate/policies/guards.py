"""What keeps the gate shut around the pods: who binds them, who looks into them, and who changes what the gate reads."""

from __future__ import annotations

from aiqms.gate.cel import BY_OPERATOR, CREATED, EXEMPT, GOING, IS_GUARDED, node_right, say
from aiqms.gate.policy import Policy, rule
from aiqms.gate.rules import GOVERNED


def binding() -> Policy:
    """A pod is bound by a scheduler alone, and no binding brings labels or annotations that decide what it gets."""
    ours = "k.startsWith('aiqms.dev/')"
    noted = f"object.metadata.?annotations.orValue({{}}).exists(k, {ours} || {IS_GUARDED}) || object.metadata.?labels.orValue({{}}).exists(k, {ours})"
    return Policy(
        name="binding",
        rules=[rule(["pods/binding", "bindings"], ["CREATE"])],
        refuse=[
            (noted, "a binding may not carry labels or annotations that decide what a pod gets: leave them out"),
            (f"!{node_right('binding', 'create')}", "only a scheduler (one that may create pods/binding in all namespaces) binds pods: let it place this pod"),
        ],
    )


def interactive() -> Policy:
    """A session into any pod of a governed namespace is a right of its own: a CONNECT request shows neither the pod nor its labels."""
    right = "authorizer.group('aiqms.dev').resource('interactivesessions').namespace(request.namespace).check('open').allowed()"
    return Policy(
        name="interactive",
        rules=[rule(["pods/exec", "pods/attach", "pods/portforward", "pods/proxy"], ["CONNECT"])],
        refuse=[
            (f"!{right}", "sessions into a governed namespace need verb open on interactivesessions.aiqms.dev there: have it granted by RBAC, or read the logs")
        ],
    )


def clearances() -> Policy:
    """Everywhere: one made beforehand would count once the namespace is governed."""
    released = f"!('{GOVERNED}' in namespaceObject.metadata.?labels.orValue({{}}))"
    return Policy(
        name="clearances",
        rules=[rule(["clearances", "clearances/*"], ["CREATE", "UPDATE", "DELETE"], "aiqms.dev", "*")],
        where="everywhere",
        acts=f"request.operation == 'DELETE' || !({BY_OPERATOR})",
        refuse=[
            (f"request.operation != 'DELETE' && !({BY_OPERATOR})", "only the AIQMS operator writes a Clearance: create ApprovalRecords instead"),
            (
                f"request.operation == 'DELETE' && !{GOING} && !({BY_OPERATOR} && {released})",
                "a Clearance lives as long as its namespace is governed: to take back an approval, create an ApprovalRecord with decision Withdraw",
            ),
        ],
    )


def governed() -> Policy:
    """The label itself: anybody who may edit the Namespace puts it on; taking it off, or deleting the Namespace with its records, is a right of its own."""
    had = f"'{GOVERNED}' in oldObject.metadata.?labels.orValue({{}})"
    now = f"(request.operation != 'DELETE' && '{GOVERNED}' in object.metadata.?labels.orValue({{}}))"
    may = "authorizer.group('aiqms.dev').resource('governednamespaces').name(oldObject.metadata.name).check('release').allowed()"
    return Policy(
        name="governed",
        rules=[rule(["namespaces", "namespaces/*"], ["CREATE", "UPDATE", "DELETE"])],
        where="everywhere",
        refuse=[
            (
                f"!({CREATED}) && {had} && !{now} && !{may}",
                "taking a namespace out of the gate, or deleting it with its records, needs verb release on governednamespaces.aiqms.dev:"
                f" leave label {GOVERNED} on, or ask who may",
            ),
            (
                f"{now} && object.metadata.name in {EXEMPT}",
                f"this namespace keeps the cluster or AIQMS itself running and is not governed: remove label {GOVERNED}",
            ),
            (f"{now} && object.metadata.labels['{GOVERNED}'] != 'true'", f"label {GOVERNED} has one value, true: set it, or leave the label out"),
        ],
    )


def frozen() -> Policy:
    """`inputs` keep their content; `rotating` Secrets keep their keys and type, and their values may change (certificates, passwords)."""
    name = f"(request.resource.resource + '/' + ({CREATED} ? object : oldObject).metadata.name)"
    inputs, rotating = (f"{name} in params.?spec.?{kind}.orValue([])" for kind in ("inputs", "rotating"))
    going = f"!(request.operation == 'DELETE' && {GOING})"
    return Policy(
        name="frozen",
        rules=[
            rule(["configmaps", "secrets"], ["CREATE", "UPDATE", "DELETE"]),
            rule(["resourceclaims", "resourceclaimtemplates"], ["CREATE", "UPDATE", "DELETE"], "resource.k8s.io", "*"),
        ],
        param="Allow",
        acts=f"[{name}].exists(n, n in params.?spec.?inputs.orValue([]) || n in params.?spec.?rotating.orValue([]))",
        refuse=[
            (
                f"{inputs} && {going} && !(request.operation == 'UPDATE' && {content('object')} == {content('oldObject')})",
                say(
                    f"frozen: `{name}` is an input of a cleared AIModelDeployment;"
                    " make one under another name, point the workload to it, and have that approved"
                ),
            ),
            (
                f"{rotating} && {going} && !(request.operation == 'UPDATE' && dyn(object).?type == dyn(oldObject).?type && {same_keys()})",
                "this Secret feeds a cleared AIModelDeployment: its values may rotate, its keys and type stay;"
                " for other keys make one under another name, and have that approved",
            ),
        ],
    )


def content(o: str) -> str:
    return f"dyn({o}).transformMap(k, x, !(k in ['metadata', 'status']), x)"


def same_keys() -> str:
    now, before = "dyn(object.?data.orValue({}))", "dyn(oldObject.?data.orValue({}))"
    return f"[{now}, {before}].all(o, o.all(k, k in {now} && k in {before}))"
