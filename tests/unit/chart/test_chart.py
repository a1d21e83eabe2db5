"""The chart as helm renders it."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.unit.chart.conftest import CHART, Json, Refused, Render, helm, one, template

ROOT = CHART.parents[1]


def test_helm_finds_nothing_to_complain_about() -> None:
    assert "1 chart(s) linted, 0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_another_namespace_is_refused_with_the_command_that_works() -> None:
    with pytest.raises(
        Refused, match=r'aiqms-system alone.*this is "default".*helm upgrade --install aiqms charts/aiqms --namespace aiqms-system --create-namespace'
    ):
        template(namespace="default")


def test_a_cluster_without_mutating_admission_policies_is_refused() -> None:
    with pytest.raises(Refused, match=r"requires kubeVersion: >=1\.36\.0-0"):
        template("--kube-version", "1.35.4")


def test_the_operator_runs_with_the_least_that_it_needs(render: Render) -> None:
    pod = one(render(), "Deployment", "aiqms-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == "aiqms-operator"
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}
    assert container["command"] == ["aiqms-operator"]


def test_the_operator_is_told_its_settings_by_its_environment(render: Render) -> None:
    pod = one(render(gate__plainResources=["cpu", "memory", "example.com/fuse"]), "Deployment", "aiqms-operator")["spec"]["template"]["spec"]
    assert {e["name"]: e.get("value") or e["valueFrom"]["fieldRef"]["fieldPath"] for e in pod["containers"][0]["env"]} == {
        "AIQMS_HTTP_PORT": "8080",
        "AIQMS_LOG_LEVEL": "info",
        "AIQMS_LOG_FORMAT": "json",
        "AIQMS_PLAIN_RESOURCES": '["cpu","memory","example.com/fuse"]',
        "AIQMS_PUBLISHED_CONFIGMAPS": '["kube-root-ca.crt","istio-ca-root-cert"]',
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
    }


def test_probes_ask_whether_it_lives_and_whether_it_is_ready(render: Render) -> None:
    (container,) = one(render(), "Deployment", "aiqms-operator")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert (container["livenessProbe"]["httpGet"], container["readinessProbe"]["httpGet"]) == (
        {"path": "/healthz", "port": "http"},
        {"path": "/readyz", "port": "http"},
    )


@pytest.mark.parametrize(
    ("values", "image"),
    [
        pytest.param({}, "aiqms-operator:0.1.0", id="the chart's version by default"),
        pytest.param({"image__repository": "registry.bank.example/aiqms", "image__tag": "1.2"}, "registry.bank.example/aiqms:1.2", id="a tag"),
        pytest.param({"image__tag": "1.2", "image__digest": "sha256:" + "a" * 64}, "aiqms-operator@sha256:" + "a" * 64, id="a digest wins over a tag"),
    ],
)
def test_the_image_is_the_one_named(values: Json, image: str, render: Render) -> None:
    assert one(render(**values), "Deployment", "aiqms-operator")["spec"]["template"]["spec"]["containers"][0]["image"] == image


@pytest.mark.parametrize(("replicas", "budgets"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_disruption_budget_comes_with_the_second_replica(replicas: int, budgets: int, render: Render) -> None:
    objects = render(replicas=replicas)
    assert one(objects, "Deployment", "aiqms-operator")["spec"]["replicas"] == replicas
    assert sum(o["kind"] == "PodDisruptionBudget" for o in objects) == budgets


def test_a_pod_monitor_is_made_on_request(render: Render) -> None:
    objects = render(metrics__podMonitor__enabled=True, metrics__podMonitor__labels={"release": "prometheus"})
    monitor = one(objects, "PodMonitor", "aiqms-operator")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "30s"}]
    assert [o for o in render() if o["kind"] == "PodMonitor"] == []


def test_the_network_probe_is_made_on_request(render: Render) -> None:
    objects = render(networkProbe__enabled=True)
    assert [o for o in render() if "probe" in o["metadata"]["name"]] == []
    servers = [one(objects, "Deployment", f"aiqms-probe-{name}")["spec"]["template"] for name in ("open", "shut")]
    for server in servers:
        (container,) = server["spec"]["containers"]
        assert (container["image"], container["command"]) == ("aiqms-operator:0.1.0", ["python", "-m", "aiqms.probe"])
        assert (server["spec"]["serviceAccountName"], server["spec"]["automountServiceAccountToken"]) == ("aiqms-probe", False)
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert env(one(objects, "Deployment", "aiqms-operator")["spec"]["template"])["AIQMS_NETWORK_PROBE"] == "aiqms-probe-open.aiqms-system.svc:8090"
    assert [env(server) for server in servers] == [
        {"AIQMS_PROBE_PORT": "8090"},
        {"AIQMS_PROBE_PORT": "8090", "AIQMS_PROBE_REPORT_TO": "aiqms-probe-open.aiqms-system.svc:8090"},
    ]


def env(template_: Json) -> Json:
    return {e["name"]: e.get("value") for e in template_["spec"]["containers"][0]["env"]}


def test_one_probe_lets_the_operator_in_and_the_other_nobody(render: Render) -> None:
    objects = render(networkProbe__enabled=True)
    open_, shut = (one(objects, "NetworkPolicy", f"aiqms-probe-{name}")["spec"] for name in ("open", "shut"))
    labels = [one(objects, "Deployment", name)["spec"]["template"]["metadata"]["labels"] for name in ("aiqms-operator", "aiqms-probe-shut", "aiqms-probe-open")]
    assert [peer["podSelector"]["matchLabels"].items() <= labels[n].items() for n, peer in enumerate(open_["ingress"][0]["from"])] == [True, True]
    assert open_["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 8090}]
    assert (shut["policyTypes"], shut.get("ingress")) == (["Ingress"], [])
    assert open_["podSelector"]["matchLabels"].items() <= labels[2].items()
    assert shut["podSelector"]["matchLabels"].items() <= labels[1].items()
    assert not shut["podSelector"]["matchLabels"].items() <= labels[2].items()
    service = one(objects, "Service", "aiqms-probe-open")["spec"]
    assert (service["selector"], service["ports"]) == (open_["podSelector"]["matchLabels"], [{"protocol": "TCP", "port": 8090, "targetPort": 8090}])
    assert not any(selector(o).items() <= label.items() for o in objects if o["kind"] in ("PodDisruptionBudget", "PodMonitor") for label in labels[1:])


def selector(of: Json) -> Json:
    found: Json = of["spec"]["selector"]["matchLabels"]
    return found


def test_the_charts_crds_are_the_generated_ones() -> None:
    def texts(folder: pathlib.Path) -> dict[str, str]:
        return {f.name: f.read_text() for f in folder.glob("*.yaml")}

    assert len(texts(ROOT / "crds")) == 4
    assert texts(CHART / "crds") == texts(ROOT / "crds")


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("replica", 3, "additional properties 'replica' not allowed"),
        ("image.name", "x", "additional properties 'name' not allowed"),
        ("gate.else", "Deny", "additional properties 'else' not allowed"),
        ("metrics.podMonitor.path", "/", "additional properties 'path' not allowed"),
        ("replicas", -1, "at '/replicas': minimum"),
        ("replicas", "two", "at '/replicas': got string, want integer"),
        ("image.digest", "sha256:abc", "at '/image/digest'"),
        ("image.repository", "", "at '/image/repository'"),
        ("log.level", "loud", "at '/log/level': value must be one of"),
        ("roles", ["Risk Manager"], "at '/roles/0'"),
        ("roles", ["risk-manager", "risk-manager"], "at '/roles': items at 0 and 1 are equal"),
        ("roles", ["*"], "at '/roles/0'"),
        ("resources.limits.memory", "lots", "at '/resources/limits/memory'"),
        ("imagePullSecrets", [{"name": "x"}], "at '/imagePullSecrets/0': got object, want string"),
    ],
)
def test_the_schema_refuses_and_names_the_field(path: str, value: Any, why: str) -> None:
    with pytest.raises(Refused) as refused:
        template(values={path: value})
    assert why in str(refused.value)


def test_every_object_of_the_schema_is_closed() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert [path for path, part in nested(schema, "") if part.get("type") == "object" and "additionalProperties" not in part] == []
    assert [path for path, part in nested(schema, "") if part.get("additionalProperties") is True] == []


def nested(part: Any, path: str) -> Iterator[tuple[str, Json]]:
    if isinstance(part, dict):
        yield path, part
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, below in items:
        yield from nested(below, f"{path}/{key}")


OTHER: dict[str, Any] = {  # for each value another one, which must change what is rendered; those of `gate` are tested where the policies are
    "image.repository": "other",
    "image.tag": "9",
    "image.digest": "sha256:" + "f" * 64,
    "image.pullPolicy": "Always",
    "imagePullSecrets": ["mine"],
    "replicas": 3,
    "resources.requests.cpu": "1",
    "resources.requests.memory": "1Gi",
    "resources.limits.memory": "1Gi",
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "priorityClassName": "system-cluster-critical",
    "log.level": "debug",
    "log.format": "text",
    "metrics.annotations": False,
    "metrics.podMonitor.enabled": True,
    "metrics.podMonitor.interval": "5s",
    "metrics.podMonitor.labels": {"a": "b"},
    "networkProbe.enabled": True,
    "roles": ["another"],
}


def leaves(values: Json, path: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_is_listed_here() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert {leaf for leaf in leaves(values) if not leaf.startswith("gate.")} == set(OTHER)


@pytest.mark.parametrize("path", OTHER)
def test_every_value_changes_what_is_rendered(path: str) -> None:
    needs = {"metrics.podMonitor.enabled": True} if path.startswith("metrics.podMonitor.") and path != "metrics.podMonitor.enabled" else {}
    assert template(values=needs | {path: OTHER[path]}) != template(values=needs)
