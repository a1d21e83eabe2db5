"""The rights that the chart gives, to the operator and to people (invariant 11)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.chart.conftest import Json, Render, one

READ = {"get", "list", "watch"}
SEEN = {"list", "watch"}


def rights(role: Json) -> dict[str, set[str]]:
    """resource.group (and /name) -> verbs, over all rules."""
    found: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for resource in spelt(rule):
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


def spelt(rule: Json) -> Iterator[str]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            full = f"{resource}.{group}" if group else resource
            yield from [f"{full} {name}" for name in rule.get("resourceNames", [])] or [full]


def roles(objects: list[Json]) -> list[Json]:
    return [o for o in objects if o["kind"] in ("Role", "ClusterRole")]


def test_no_role_has_a_wildcard(render: Render) -> None:
    words = {
        word for role in roles(render()) for rule in role["rules"] for key in ("apiGroups", "resources", "verbs", "resourceNames") for word in rule.get(key, [])
    }
    assert {word for word in words if "*" in word} == set()


def test_nobody_gets_a_right_to_raise_rights_or_to_read_secrets(render: Render) -> None:
    granted = [(role["metadata"]["name"], resource, verb) for role in roles(render()) for resource, verbs in rights(role).items() for verb in verbs]
    assert [g for g in granted if g[2] in ("escalate", "bind", "impersonate")] == []
    assert [g for g in granted if g[1].startswith(("secrets", "serviceaccounts/token"))] == []
    assert [g for g in granted if g[1].endswith(".rbac.authorization.k8s.io") and g[2] not in READ] == []


def test_the_operator_may_do_exactly_this(render: Render) -> None:
    assert rights(one(render(), "ClusterRole", "aiqms-operator")) == {
        "qmsprocedures.aiqms.dev": SEEN,
        "aimodeldeployments.aiqms.dev": SEEN,
        "approvalrecords.aiqms.dev": SEEN | {"patch"},
        "clearances.aiqms.dev": SEEN | {"create", "update", "delete"},
        "aimodeldeployments/status.aiqms.dev": {"patch"},
        "approvalrecords/status.aiqms.dev": {"patch"},
        "namespaces": SEEN,
        "configmaps": READ,
        "pods": SEEN | {"patch", "delete"},
        "deployments.apps": SEEN,
        "statefulsets.apps": SEEN,
        "daemonsets.apps": SEEN,
        "replicasets.apps": SEEN,
        "jobs.batch": SEEN,
        "cronjobs.batch": SEEN,
        "resourceclaims.resource.k8s.io": READ,
        "resourceclaimtemplates.resource.k8s.io": READ,
        "persistentvolumeclaims": SEEN | {"get"},
        "persistentvolumes": {"get"},
        "services": SEEN,
        "endpointslices.discovery.k8s.io": SEEN,
        "ingresses.networking.k8s.io": SEEN,
        "httproutes.gateway.networking.k8s.io": SEEN,
        "grpcroutes.gateway.networking.k8s.io": SEEN,
        "referencegrants.gateway.networking.k8s.io": SEEN,
        "gateways.gateway.networking.k8s.io": SEEN,
        "networkpolicies.networking.k8s.io": SEEN | {"create", "patch", "delete"},
        **{f"{kind}.rbac.authorization.k8s.io": SEEN for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")},
        "events.events.k8s.io": {"create"},
    }
    assert rights(one(render(), "Role", "aiqms-operator")) == {
        "leases.coordination.k8s.io": {"create"},
        "leases.coordination.k8s.io aiqms-operator": {"get", "update"},
    }


def test_the_operator_alone_is_bound_by_the_chart(render: Render) -> None:
    bindings = [o for o in render() if o["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    operator = [{"kind": "ServiceAccount", "name": "aiqms-operator", "namespace": "aiqms-system"}]
    assert [(b["kind"], b["roleRef"]["name"], b["subjects"]) for b in bindings] == [
        ("ClusterRoleBinding", "aiqms-operator", operator),
        ("RoleBinding", "aiqms-operator", operator),
    ]


def test_each_name_in_roles_is_a_clusterrole_that_decides_as_that_role_alone(render: Render) -> None:
    objects = render(roles=["model-owner", "works-council"])
    assert [o["metadata"]["name"] for o in roles(objects) if o["metadata"]["name"].startswith("aiqms-role-")] == [
        "aiqms-role-model-owner",
        "aiqms-role-works-council",
    ]
    assert rights(one(objects, "ClusterRole", "aiqms-role-works-council")) == {
        "approvalroles.aiqms.dev works-council": {"approve", "reject", "withdraw", "stop", "resume", "emergency", "reviewaccess"},
        "approvalrecords.aiqms.dev": READ | {"create"},
        "aimodeldeployments.aiqms.dev": READ,
        "clearances.aiqms.dev": {"get"},
        **{f"{kind}.apps": {"get"} for kind in ("deployments", "statefulsets", "daemonsets", "replicasets")},
        **{f"{kind}.batch": {"get"} for kind in ("jobs", "cronjobs")},
    }


def test_admins_and_editors_register_and_viewers_read_without_deciding(render: Render) -> None:
    tenant, view = one(render(), "ClusterRole", "aiqms-tenant"), one(render(), "ClusterRole", "aiqms-view")
    assert (aggregated(tenant), rights(tenant)) == (
        {"admin", "edit"},
        {"aimodeldeployments.aiqms.dev": {"create", "update", "patch", "delete", "deletecollection"}},
    )
    assert (aggregated(view), rights(view)) == (
        {"admin", "edit", "view"},
        {f"{kind}.aiqms.dev": READ for kind in ("qmsprocedures", "aimodeldeployments", "approvalrecords", "clearances")},
    )


def aggregated(role: Json) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {key.removeprefix(prefix) for key, value in role["metadata"]["labels"].items() if key.startswith(prefix) and value == "true"}


def test_an_auditor_reads_and_does_nothing_else(render: Render) -> None:
    granted = rights(one(render(), "ClusterRole", "aiqms-auditor"))
    assert granted.pop("subjectaccessreviews.authorization.k8s.io") == {"create"}  # a question: nothing is kept
    assert {verb for verbs in granted.values() for verb in verbs} == READ


def test_platform_engineers_write_procedures_and_govern_but_do_not_decide(render: Render) -> None:
    granted = rights(one(render(), "ClusterRole", "aiqms-platform"))
    assert {resource: verbs - READ for resource, verbs in granted.items() if verbs - READ} == {
        "qmsprocedures.aiqms.dev": {"create", "update", "patch", "delete"},
        "namespaces": {"patch"},
        "governednamespaces.aiqms.dev": {"release"},
        "interactivesessions.aiqms.dev": {"open"},
    }
