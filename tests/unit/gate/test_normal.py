"""The normal form: what is compared of a pod, and what is free."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.gate.defaults import defaulted
from aiqms.gate.normal import inputs, matches, template
from aiqms.gate.rules import FREE, GATE, LABEL, MODEL, OWN_CLAIM, PER_POD, SUBJECT, TOKEN, TOKEN_PATH, Rules
from tests.unit.gate.pods import DOWNWARD, PLAIN, PODS, STATEFUL, main, owner, pod
from tests.unit.gate.tampering import is_compared, leaves, other, put, tampered

pods = st.sampled_from(sorted(PODS)).map(lambda name: stored(PODS[name]))
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)


def stored(manifest: Json) -> Json:
    """A pod as the API server returns it, before admission injects anything."""
    whole = defaulted({"apiVersion": "v1", "kind": "Pod", **copy.deepcopy(manifest)})
    return {"metadata": whole["metadata"], "spec": whole["spec"]}


def inject(spec: Json, token: Json) -> None:
    """As the ServiceAccount plugin does."""
    spec["volumes"] = [*spec.get("volumes", []), token]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        container["volumeMounts"] = [*container.get("volumeMounts", []), {"name": token["name"], "mountPath": TOKEN_PATH, "readOnly": True}]


def admitted(one: Json) -> Json:
    """The pod with all that admission, scheduler and kubelet add to it."""
    changed = copy.deepcopy(one)
    spec, metadata = changed["spec"], changed["metadata"]
    if spec.get("automountServiceAccountToken", True):
        inject(spec, {"name": "kube-api-access-x7k2p", "projected": copy.deepcopy(TOKEN)})
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        container["resources"] = {**container.get("resources", {}), "requests": {"cpu": "1"}}
    spec |= {"nodeName": "gpu-1", "priority": 0, "preemptionPolicy": "PreemptLowerPriority", "tolerations": [{"operator": "Exists"}]}
    spec |= {"serviceAccountName": spec.get("serviceAccountName", "default"), "enableServiceLinks": spec.get("enableServiceLinks", True)}
    spec["schedulingGates"] = [{"name": GATE}]
    metadata["labels"] = {**metadata.get("labels", {}), **dict.fromkeys(PER_POD, "5f7d"), LABEL: metadata.get("labels", {}).get(LABEL, "credit")}
    metadata["annotations"] = {**metadata.get("annotations", {}), SUBJECT: "sha256:" + "a" * 64, "cni.example/ip": "10.0.0.7"}
    metadata |= {"uid": "1", "resourceVersion": "7", "managedFields": [{"manager": "x"}]}
    return {**changed, "status": {"phase": "Running"}}


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same JSON with its keys in another order."""
    if isinstance(value, dict):
        return {k: shuffled(value[k], chance) for k in chance.sample(list(value), len(value))}
    return [shuffled(v, chance) for v in value] if isinstance(value, list) else value


def written(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


@given(pods, st.randoms(use_true_random=False))
def test_what_is_injected_and_the_order_of_keys_never_change_it(one: Json, chance: random.Random) -> None:
    if one["metadata"].get("labels", {}).get("app"):  # it reads all its labels: the one of the register is part of it
        one["metadata"]["labels"][LABEL] = "credit"
    assert written(template(shuffled(admitted(one), chance))) == written(template(one))


@given(pods, st.data())
def test_any_change_of_a_compared_field_changes_it(one: Json, data: st.DataObject) -> None:
    path, value = data.draw(st.sampled_from([(p, v) for p, v in leaves(one["spec"]) if is_compared(p)]))
    changed = put(one, path, other(path, value))
    assert template(changed) != template(one), path
    assert not matches(template(one), changed)


@given(pods, words, values)
def test_a_field_that_nobody_knows_is_compared(one: Json, key: str, value: object) -> None:
    for changed in (
        {**one["spec"], f"x{key}": value},
        {**one["spec"], "containers": [{**one["spec"]["containers"][0], f"x{key}": value}, *one["spec"]["containers"][1:]]},
    ):
        assert template({**one, "spec": changed}) != template(one)


@given(pods, st.sampled_from(FREE), values)
def test_a_free_field_is_not_compared(one: Json, key: str, value: object) -> None:
    assert matches(template(one), {**one, "spec": {**one["spec"], key: value}})


@given(pods, words, words)
def test_labels_and_annotations_that_nobody_reads_are_free(one: Json, key: str, value: str) -> None:
    labels, annotations = ({**one["metadata"].get(kind, {}), f"example.com/{key}": value} for kind in ("labels", "annotations"))
    changed = {**one, "metadata": {**one["metadata"], "labels": labels, "annotations": annotations}}
    assert matches(template(one), changed) == ("*" not in template(one)["reads"]["labels"])


@given(pods)
def test_it_leaves_the_pod_as_it_is(one: Json) -> None:
    before = copy.deepcopy(one)
    template(one)
    inputs(one)
    assert one == before


@pytest.mark.parametrize("name", PODS)
def test_every_tampered_pod_differs(name: str) -> None:
    one = stored(PODS[name])
    assert [what for what, changed in tampered(one) if template(changed) == template(one)] == []


def test_the_whole_form_of_a_plain_pod() -> None:
    container = {
        "fields": {
            "name": "main", "image": "registry.bank.example/vllm:v0.11.0", "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        },
        "mounts": [], "devices": {"nvidia.com/gpu": "1"}, "claims": [],
    }  # fmt: skip
    fields = {
        "serviceAccountName": "default", "enableServiceLinks": True, "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {},
        "schedulerName": "default-scheduler", "terminationGracePeriodSeconds": 30,
    }  # fmt: skip
    assert template(stored(PLAIN)) == {
        "pod": {"fields": fields, "containers": [container], "initContainers": [], "volumes": {}},
        "annotations": {}, "labels": {}, "reads": {"annotations": [], "labels": []}, "stamp": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "counts"),
    [
        (MODEL, True),
        ("cdi.k8s.io/gpu", True),
        ("nvidia.cdi.k8s.io/container.main", True),
        ("io.kubernetes.cri-o.Devices", True),
        ("devices.nri.io/pod", True),
        ("container.apparmor.security.beta.kubernetes.io/main", True),
        ("seccomp.security.alpha.kubernetes.io/pod", True),
        ("run.oci.keep_original_groups", True),
        ("prometheus.io/scrape", False),
        ("kubectl.kubernetes.io/restartedAt", False),
        (SUBJECT, False),
    ],
)
def test_annotations_that_a_runtime_acts_on_are_compared(key: str, counts: bool) -> None:
    assert (template(pod({"containers": [main()]}, annotations={key: "x"}))["annotations"] == {key: "x"}) is counts


def test_what_a_pod_reads_of_itself_is_compared() -> None:
    got = template(DOWNWARD)
    assert (got["annotations"], got["labels"], got["reads"], got["stamp"]) == (
        {"model": "credit"}, {"app": "x"}, {"annotations": [SUBJECT, "model"], "labels": ["*"]}, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "compared"), [("5f7d", False), ("eu-west_1.a:0", False), ("a b", True), ("$(rm)", True), ("a;b", True), ("é", True), ("a\n", True)]
)
def test_a_value_that_no_controller_sets_is_compared_where_the_pod_reads_it(value: str, compared: bool) -> None:
    env = [{"name": "HASH", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['pod-template-hash']"}}}]
    one = pod({"containers": [main(env=env)]}, labels={"pod-template-hash": value})
    assert template(one)["labels"] == ({"pod-template-hash": value} if compared else {})


def test_a_token_volume_is_injected_by_its_sources_never_by_its_name() -> None:
    posing = pod({"containers": [main()], "volumes": [{"name": "kube-api-access-abcde", "projected": {**TOKEN, "defaultMode": 511}}]})
    assert list(template(posing)["pod"]["volumes"]) == ["kube-api-access-abcde"]


def test_a_token_mounted_elsewhere_is_compared() -> None:
    mount = {"name": "kube-api-access-abcde", "mountPath": "/elsewhere", "readOnly": True}
    one = pod({"containers": [main(volumeMounts=[mount])], "volumes": [{"name": "kube-api-access-abcde", "projected": TOKEN}]})
    assert template(one)["pod"]["containers"][0]["mounts"] == [mount]


def test_a_copy_of_the_token_is_compared_where_none_is_injected() -> None:
    mount = {"name": "kube-api-access-abcde", "mountPath": TOKEN_PATH, "readOnly": True}
    spec = {"containers": [main(volumeMounts=[mount])], "volumes": [{"name": "kube-api-access-abcde", "projected": TOKEN}]}
    one = template(pod(spec | {"automountServiceAccountToken": False}))["pod"]
    assert (list(one["volumes"]), one["containers"][0]["mounts"]) == (["kube-api-access-abcde"], [mount])


def test_a_statefulsets_own_claim_has_no_name() -> None:
    assert template(STATEFUL)["pod"]["volumes"] == {"data": OWN_CLAIM}


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "web-0"},
        {"name": "web-0", "ownerReferences": owner("ReplicaSet", "web", "apps/v1")},
        {"name": "web-1", "ownerReferences": owner("StatefulSet", "web", "apps/v1")},
    ],
)
def test_another_claim_has_its_name(metadata: Json) -> None:
    volume = STATEFUL["spec"]["volumes"][0]
    assert template({**STATEFUL, "metadata": metadata})["pod"]["volumes"] == {"data": volume}


def test_inputs_are_all_objects_whose_content_runs() -> None:
    assert {name: inputs(one) for name, one in PODS.items() if inputs(one)} == {
        "vllm": ["secrets/hf"],
        "dra": ["resourceclaims/shared-mig", "resourceclaimtemplates/one-gpu"],
        "env-from": ["configmaps/app", "configmaps/c", "secrets/key"],
        "projected": ["configmaps/a", "secrets/s"],
    }


def test_inputs_of_volumes_and_of_ephemeral_containers() -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "m"}},
        {"name": "b", "secret": {"secretName": "n"}},
        {"name": "c", "configMap": {"name": "kube-root-ca.crt"}},
        {"name": "t", "projected": TOKEN},
    ]
    later = [{"name": "debug", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}}]}]
    assert inputs(pod({"containers": [main()], "volumes": volumes, "ephemeralContainers": later})) == ["configmaps/m", "secrets/d", "secrets/n"]


def test_a_site_says_which_resources_are_plain_and_which_config_maps_are_published() -> None:
    one = pod(
        {
            "containers": [
                {"name": "main", "resources": {"limits": {"example.com/tuning": "1", "hugepages-2Mi": "1"}}, "envFrom": [{"configMapRef": {"name": "ca"}}]}
            ]
        }
    )
    site = Rules(plain_resources=("cpu", "example.com/tuning"), published_config_maps=("ca",))
    assert (template(one)["pod"]["containers"][0]["devices"], inputs(one)) == ({"example.com/tuning": "1"}, ["configmaps/ca"])
    assert (template(one, site)["pod"]["containers"][0]["devices"], inputs(one, site)) == ({}, [])


def test_ports_of_the_hosts_network_are_its_ports() -> None:
    template_form, pod_form = ({"hostNetwork": True, "containers": [main(ports=[{"containerPort": 8000, **host}])]} for host in ({}, {"hostPort": 8000}))
    assert matches(template(pod(template_form)), pod(pod_form))


def reading(field: str, **more: Any) -> Json:
    """A pod whose init container reads this field."""
    env = [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": field}}}]
    return pod({"containers": [main()], "initContainers": [{"name": "init", "image": "a", "env": env, **more}]})


@pytest.mark.parametrize(("field", "stamp"), [("metadata.annotations", True), (f"metadata.annotations['{SUBJECT}']", True), ("metadata.name", False)])
def test_a_pod_that_reads_its_subject_is_stamped(field: str, stamp: bool) -> None:
    assert template(reading(field))["stamp"] is stamp


def test_what_an_init_container_reads_counts() -> None:
    assert template(reading("metadata.labels['a']"))["reads"] == {"annotations": [], "labels": ["a"]}
    assert inputs(reading("metadata.name", envFrom=[{"configMapRef": {"name": "a"}}])) == ["configmaps/a"]


def test_what_comes_with_an_injected_token_is_no_input_whatever_is_published() -> None:
    one = pod({"containers": [main()], "volumes": [{"name": "t", "projected": TOKEN}]})
    assert inputs(one, Rules(published_config_maps=())) == []


def test_ports_are_the_nodes_only_with_its_network() -> None:
    ports = [{"containerPort": 8000}]
    found = [template(pod({"containers": [main(ports=ports)], **more}))["pod"]["containers"][0]["fields"]["ports"] for more in ({}, {"hostNetwork": True})]
    assert found == [ports, [{"hostPort": 8000, "containerPort": 8000}]]


def test_a_claim_is_a_statefulsets_own_where_that_is_the_controller() -> None:
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}}
    owners = owner("StatefulSet", "web", "apps/v1"), [o | {"controller": False} for o in owner("StatefulSet", "web", "apps/v1")]
    found = [template(pod({"containers": [main()], "volumes": [claim]}, name="web-0", ownerReferences=o))["pod"]["volumes"]["data"] for o in owners]
    assert found == [OWN_CLAIM, claim]


def test_a_label_is_free_though_an_annotation_of_that_name_is_guarded() -> None:
    one = pod({"containers": [main()]}, labels={MODEL: "a"}, annotations={MODEL: "b"})
    assert (template(one)["labels"], template(one)["annotations"]) == ({}, {MODEL: "b"})
