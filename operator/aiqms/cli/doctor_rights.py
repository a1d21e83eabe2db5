"""Who may do what to the gate: the operator exactly what the chart gives it, and nobody else what switches the gate off."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from aiqms.api.values import GROUP, Json
from aiqms.cli.doctor_policies import UPGRADE
from aiqms.cli.doctor_reading import OPERATOR, RBAC, Cluster
from aiqms.cli.doctor_rows import Row, found, ok
from aiqms.gate.rules import OPERATOR as OPERATOR_USER
from aiqms.gate.rules import OPERATOR_NAMESPACE

SEEN = frozenset(("list", "watch"))
READ = SEEN | {"get"}
_AROUND = (
    "services",
    "endpointslices.discovery.k8s.io",
    "ingresses.networking.k8s.io",
    *(f"{kind}.gateway.networking.k8s.io" for kind in ("httproutes", "grpcroutes", "referencegrants", "gateways")),
)
WRITE = ("create", "update", "patch", "delete", "deletecollection")
_WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps", "jobs.batch", "cronjobs.batch")
OPERATORS: Final[dict[str, frozenset[str]]] = {  # as the chart's rbac/operator.yaml; a test compares
    **dict.fromkeys(("namespaces", *_WORKLOADS, f"qmsprocedures.{GROUP}", f"aimodeldeployments.{GROUP}"), SEEN),
    **dict.fromkeys(("configmaps", "persistentvolumeclaims", "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"), READ),
    **dict.fromkeys(_AROUND, SEEN),
    "persistentvolumes": frozenset(("get",)),
    "pods": SEEN | {"patch", "delete"},
    f"aimodeldeployments/status.{GROUP}": frozenset(("patch",)),
    f"approvalrecords.{GROUP}": SEEN | {"patch"},
    f"approvalrecords/status.{GROUP}": frozenset(("patch",)),
    f"clearances.{GROUP}": SEEN | {"create", "update", "delete"},
    "networkpolicies.networking.k8s.io": SEEN | {"create", "patch", "delete"},
    **dict.fromkeys((f"{kind}.rbac.authorization.k8s.io" for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")), SEEN),
    "events.events.k8s.io": frozenset(("create",)),
}
OPERATORS_AT_HOME: Final = {"leases.coordination.k8s.io": frozenset(("create",)), f"leases.coordination.k8s.io {OPERATOR}": frozenset(("get", "update"))}
SUBJECTS = (  # who the operator is to RBAC
    ("ServiceAccount", OPERATOR_NAMESPACE, OPERATOR),
    ("User", "", OPERATOR_USER),
    ("Group", "", f"system:serviceaccounts:{OPERATOR_NAMESPACE}"),
)
EVERYBODY = ("system:authenticated", "system:unauthenticated", "system:serviceaccounts")
ADMINISTRATORS = ("system:masters", "kubeadm:cluster-admins")  # of the cluster, from its making


@dataclass(frozen=True)
class Power:
    """A right that goes round the gate. at_home: also where it is given in the operator's namespace alone."""

    what: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    at_home: bool = False


POWERS: tuple[Power, ...] = (
    Power(
        "change the admission policies",
        "admissionregistration.k8s.io",
        ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
        WRITE,
    ),
    Power("change what the API server keeps of records and clearances", "apiextensions.k8s.io", ("customresourcedefinitions",), WRITE),
    Power("act for other people", "", ("users", "groups", "serviceaccounts"), ("impersonate",)),
    Power("make pods that are the operator", "", ("pods",), ("create",), at_home=True),
    Power("get the operator's token", "", ("serviceaccounts/token",), ("create",), at_home=True),
    Power("read the operator's secrets", "", ("secrets",), ("get", "list"), at_home=True),
    Power("give any right to anybody", "rbac.authorization.k8s.io", ("clusterroles", "roles"), ("bind", "escalate")),
)


def granted(rules: Iterable[Json]) -> dict[str, set[str]]:
    """resource.group, and the object's name where the rule has one -> verbs."""
    rights: dict[str, set[str]] = {}
    for rule in rules:
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                full = f"{resource}.{group}" if group else resource
                for name in rule.get("resourceNames") or [""]:
                    rights.setdefault(f"{full} {name}".rstrip(), set()).update(rule["verbs"])
        for url in rule.get("nonResourceURLs") or []:
            rights.setdefault(url, set()).update(rule["verbs"])
    return rights


def operators(cluster: Cluster) -> Iterator[Row]:
    """Check `operator-rights`."""
    roles = _roles(cluster)
    far, near = ("ClusterRole", "", OPERATOR), ("Role", OPERATOR_NAMESPACE, OPERATOR)
    rows = [*_role("ClusterRole", roles.get(far), OPERATORS), *_role("Role", roles.get(near), OPERATORS_AT_HOME), *_bindings(cluster)]
    yield from rows or [ok("the operator may do what the chart gives it, and no more")]


def _role(kind: str, rules: list[Json] | None, wanted: dict[str, frozenset[str]]) -> Iterator[Row]:
    about = f"{kind}/{OPERATOR}"
    if rules is None:
        yield found("is missing, so that the operator can do nothing", UPGRADE, about)
        return
    has = {right: frozenset(verbs) for right, verbs in granted(rules).items()}
    if more := _beyond(has, wanted):
        yield found(f"gives more than the chart does: {more}", UPGRADE, about)
    if (less := _beyond(wanted, has)) and "*" not in has.get("*.*", frozenset()):
        yield found(f"gives less than the operator needs: {less}", UPGRADE, about)


def _beyond(rights: dict[str, frozenset[str]], others: dict[str, frozenset[str]]) -> str:
    """What is in the first and not in the second, in words."""
    beyond = {right: verbs - others.get(right, frozenset()) for right, verbs in sorted(rights.items())}
    return "; ".join(f"{', '.join(sorted(verbs))} on {right}" for right, verbs in beyond.items() if verbs)


def _bindings(cluster: Cluster) -> Iterator[Row]:
    shipped = {("ClusterRoleBinding", "", OPERATOR), ("RoleBinding", OPERATOR_NAMESPACE, OPERATOR)}
    its = [b for b in _all_bindings(cluster) if any(_subject(s) in SUBJECTS for s in b[1].get("subjects") or [])]
    for key, binding in its:
        if key not in shipped or binding["roleRef"]["name"] != OPERATOR:
            kind, namespace, name = key
            role = f"{binding['roleRef']['kind']} {binding['roleRef']['name']}"
            where = f" -n {namespace}" if namespace else ""
            yield found(f"gives the operator {role} too", f"kubectl delete {kind.lower()} {name}{where}", f"{kind}/{name}")
    for kind, _, name in sorted(shipped - {key for key, _ in its}):
        yield found("is missing, so that the operator can do nothing", UPGRADE, f"{kind}/{name}")


def powers(cluster: Cluster) -> Iterator[Row]:
    """Check `powers`: who, beside the cluster's own parts and administrators, could switch the gate off or act as another."""
    roles, holders = _roles(cluster), dict[tuple[str, str, str], dict[str, list[str]]]()
    for (kind, namespace, name), binding in _all_bindings(cluster):
        home = namespace == OPERATOR_NAMESPACE
        if namespace and not home:
            continue
        ref = binding["roleRef"]
        rules = roles.get((ref["kind"], namespace if ref["kind"] == "Role" else "", ref["name"])) or []
        may = [p.what for p in POWERS if (p.at_home or not home) and any(_gives(rule, p) for rule in rules)]
        for subject in binding.get("subjects") or [] if may else []:
            if not _own(_subject(subject)):
                said = holders.setdefault(_subject(subject), {})
                said.setdefault(f"{kind} {name}", []).extend(may)
    rows = [_holder(who, said) for who, said in sorted(holders.items())]
    yield from rows or [ok(f"nobody but the cluster's own administrators ({', '.join(ADMINISTRATORS)}) could switch the gate off")]


def _holder(who: tuple[str, str, str], said: dict[str, list[str]]) -> Row:
    kind, namespace, name = who
    may = list(dict.fromkeys(what for powers in said.values() for what in powers))
    all_of_it = "may do everything by a wildcard" if len(may) == len(POWERS) else f"may {', '.join(may)}"
    about = f"{kind}/{f'{namespace}/' if namespace else ''}{name}"
    do = f"if that is not meant, take it off the binding; if it is: kubectl qms doctor --accept {shlex.quote(f'powers/{about}')}"
    return found(f"{all_of_it} ({', '.join(said)})", do, about)


def _gives(rule: Json, power: Power) -> bool:
    """A rule with names gives no power over all."""
    groups, resources, verbs = rule.get("apiGroups") or [], rule.get("resources") or [], rule["verbs"]
    return (
        not rule.get("resourceNames")
        and ("*" in groups or power.group in groups)
        and ("*" in resources or any(r in resources for r in power.resources))
        and ("*" in verbs or any(v in verbs for v in power.verbs))
    )


def _own(subject: tuple[str, str, str]) -> bool:
    """The cluster's own: its components, its administrators, and the operator, which check `operator-rights` looks at."""
    kind, namespace, name = subject
    if kind == "ServiceAccount":
        return namespace == "kube-system" or subject in SUBJECTS
    everybody = name in EVERYBODY or name.startswith("system:serviceaccount")
    return name in ADMINISTRATORS or (name.startswith("system:") and not everybody)


def _subject(subject: Json) -> tuple[str, str, str]:
    return subject["kind"], subject.get("namespace", "") if subject["kind"] == "ServiceAccount" else "", subject["name"]


def _roles(cluster: Cluster) -> dict[tuple[str, str, str], list[Json]]:
    far = {("ClusterRole", "", r["metadata"]["name"]): r.get("rules") or [] for r in cluster.every(f"{RBAC}/clusterroles")}
    near = cluster.every(f"{RBAC}/namespaces/{OPERATOR_NAMESPACE}/roles")
    return far | {("Role", OPERATOR_NAMESPACE, r["metadata"]["name"]): r.get("rules") or [] for r in near}


def _all_bindings(cluster: Cluster) -> Iterator[tuple[tuple[str, str, str], Json]]:
    """Kind, namespace and name of each binding, and the binding."""
    for binding in cluster.every(f"{RBAC}/clusterrolebindings"):
        yield ("ClusterRoleBinding", "", binding["metadata"]["name"]), binding
    for binding in cluster.every(f"{RBAC}/rolebindings"):
        yield ("RoleBinding", binding["metadata"]["namespace"], binding["metadata"]["name"]), binding
