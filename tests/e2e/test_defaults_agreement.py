"""What `defaulted` foresees offline is what the API server stores: every field left out, and every field empty, one at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from aiqms.api.values import Json
from aiqms.gate.defaults import VOLUME, defaulted
from aiqms.gate.normal import template
from aiqms.gate.workload import KINDS, Kind, pod_of, template_of
from tests.testbed.api import Api, ApiError
from tests.unit.gate.pods import PODS, workload

Path = tuple[Any, ...]

HEX = "a" * 64
EMPTY: dict[type, Any] = {str: "", int: 0, bool: False, list: [], dict: {}}
SECRET = {"secretRef": {"name": "s"}}
VOLUMES: dict[str, Json] = {
    "awsElasticBlockStore": {"volumeID": "v", "fsType": "ext4", "partition": 1, "readOnly": True},
    "azureDisk": {
        "diskName": "d", "diskURI": "https://d.blob.core.windows.net/d", "cachingMode": "None", "fsType": "xfs", "readOnly": True, "kind": "Dedicated",
    },
    "azureFile": {"secretName": "s", "shareName": "share", "readOnly": True},
    "cephfs": {"monitors": ["10.0.0.1"], "path": "/p", "user": "u", "secretFile": "/f", "readOnly": True, **SECRET},
    "cinder": {"volumeID": "v", "fsType": "ext4", "readOnly": True, **SECRET},
    "configMap": {"name": "c", "items": [{"key": "k", "path": "p", "mode": 256}], "defaultMode": 256, "optional": True},
    "csi": {"driver": "d.example", "readOnly": True, "fsType": "ext4", "volumeAttributes": {"a": "b"}, "nodePublishSecretRef": {"name": "s"}},
    "downwardAPI": {
        "defaultMode": 256,
        "items": [
            {"path": "a", "mode": 256, "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
            {"path": "b", "resourceFieldRef": {"containerName": "main", "resource": "limits.memory", "divisor": "1Mi"}},
        ],
    },
    "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"},
    "ephemeral": {
        "volumeClaimTemplate": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
                "resources": {"requests": {"storage": "0.5Gi"}, "limits": {"storage": "2048Mi"}},
                "storageClassName": "fast",
                "volumeMode": "Block",
                "volumeAttributesClassName": "gold",
                "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"},
                "dataSourceRef": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"},
            },
        }
    },
    "fc": {"targetWWNs": ["500a0982991b8dc5"], "lun": 2, "fsType": "ext4", "readOnly": True},
    "flexVolume": {"driver": "d/d", "fsType": "ext4", "readOnly": True, "options": {"a": "b"}, **SECRET},
    "flocker": {"datasetName": "d"},
    "gcePersistentDisk": {"pdName": "d", "fsType": "ext4", "partition": 1, "readOnly": True},
    "gitRepo": {"repository": "https://git.example/r", "revision": "main", "directory": "d"},
    "glusterfs": {"endpoints": "e", "path": "/p", "readOnly": True},
    "hostPath": {"path": "/data", "type": "Directory"},
    "image": {"reference": "registry.bank.example/models/x", "pullPolicy": "Never"},
    "iscsi": {
        "targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:a", "lun": 1, "iscsiInterface": "other", "fsType": "ext4", "readOnly": True,
        "portals": ["10.0.0.2:3260"], "chapAuthDiscovery": True, "chapAuthSession": True, "initiatorName": "iqn.2001-04.com.example:b", **SECRET,
    },
    "nfs": {"server": "10.0.0.1", "path": "/p", "readOnly": True},
    "persistentVolumeClaim": {"claimName": "c", "readOnly": True},
    "photonPersistentDisk": {"pdID": "p", "fsType": "ext4"},
    "portworxVolume": {"volumeID": "v", "fsType": "ext4", "readOnly": True},
    "projected": {
        "defaultMode": 256,
        "sources": [
            {"secret": {"name": "s", "items": [{"key": "k", "path": "a"}], "optional": True}},
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "b"}], "optional": True}},
            {"downwardAPI": {"items": [{"path": "c", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 700, "path": "d"}},
        ],
    },
    "quobyte": {"registry": "r:1", "volume": "v", "readOnly": True, "user": "u", "group": "g", "tenant": "t"},
    "rbd": {"monitors": ["10.0.0.1"], "image": "i", "fsType": "ext4", "pool": "p", "user": "u", "keyring": "/k", "readOnly": True, **SECRET},
    "scaleIO": {
        "gateway": "g", "system": "s", "sslEnabled": True, "protectionDomain": "d", "storagePool": "p", "storageMode": "ThickProvisioned", "volumeName": "v",
        "fsType": "ext4", "readOnly": True, **SECRET,
    },
    "secret": {"secretName": "s", "items": [{"key": "k", "path": "p", "mode": 256}], "defaultMode": 256, "optional": True},
    "storageos": {"volumeName": "v", "volumeNamespace": "n", "fsType": "ext4", "readOnly": True, **SECRET},
    "vsphereVolume": {"volumePath": "p", "fsType": "ext4", "storagePolicyName": "n", "storagePolicyID": "i"},
}  # fmt: skip

TIMES: Json = {
    "initialDelaySeconds": 5, "timeoutSeconds": 2, "periodSeconds": 5, "successThreshold": 1, "failureThreshold": 9, "terminationGracePeriodSeconds": 10
}  # fmt: skip
HTTP: Json = {"path": "/p", "port": 8000, "host": "h.example", "scheme": "HTTPS", "httpHeaders": [{"name": "X-A", "value": "b"}]}
SE_LINUX: Json = {"user": "u", "role": "r", "type": "t", "level": "s0"}
PROFILE: Json = {"type": "Localhost", "localhostProfile": "p.json"}
FULL: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 60,
    "activeDeadlineSeconds": None,
    "dnsPolicy": "None",
    "nodeSelector": {"a": "b"},
    "serviceAccountName": "other",
    "serviceAccount": "other",
    "automountServiceAccountToken": True,
    "hostNetwork": False,
    "hostPID": False,
    "hostIPC": False,
    "shareProcessNamespace": True,
    "imagePullSecrets": [{"name": "s"}],
    "hostname": "h",
    "subdomain": "s",
    "schedulerName": "other",
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["h"]}],
    "priorityClassName": "high",
    "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["s.example"], "options": [{"name": "ndots", "value": "2"}]},
    "readinessGates": [{"conditionType": "example.com/ready"}],
    "runtimeClassName": "runc",
    "enableServiceLinks": False,
    "preemptionPolicy": "Never",
    "setHostnameAsFQDN": True,
    "os": {"name": "linux"},
    "hostUsers": True,
    "schedulingGates": [{"name": "example.com/gate"}],
    "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "t"}],
    "securityContext": {
        "seLinuxOptions": SE_LINUX, "runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": True, "supplementalGroups": [5],
        "supplementalGroupsPolicy": "Strict", "fsGroup": 1000, "sysctls": [{"name": "net.core.somaxconn", "value": "1"}], "fsGroupChangePolicy": "Always",
        "seccompProfile": PROFILE, "appArmorProfile": PROFILE, "seLinuxChangePolicy": "Recursive",
    },
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "block", "persistentVolumeClaim": {"claimName": "b"}}, {"name": "none"}],
    "initContainers": [
        {"name": "init", "image": f"a/b@sha256:{HEX}", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": "p", "host": "h"}}},
    ],
    "containers": [
        {
            "name": "main",
            "image": "vllm:latest",
            "command": ["c"],
            "args": ["a"],
            "workingDir": "/w",
            "ports": [{"name": "http", "containerPort": 8000, "protocol": "UDP", "hostIP": "10.0.0.1", "hostPort": 8000}],
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c", "optional": True}}, {"secretRef": {"name": "s", "optional": False}}],
            "env": [
                {"name": "A", "value": "a"},
                {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                {"name": "C", "valueFrom": {"resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1000m"}}},
                {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
                {"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}},
                {"name": "F", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "k", "optional": True}}},
            ],
            "resources": {
                "limits": {"nvidia.com/gpu": 2, "cpu": "0.5", "memory": "1024Mi"},
                "requests": {"cpu": "0.1", "memory": 1000000},
                "claims": [{"name": "gpu", "request": "r"}],
            },
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
            "volumeMounts": [
                {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "Disabled", "mountPropagation": "None", "subPath": "s"},
                {"name": "v", "mountPath": "/e", "subPathExpr": "$(A)"},
            ],
            "volumeDevices": [{"name": "block", "devicePath": "/dev/x"}],
            "livenessProbe": {"httpGet": HTTP, **TIMES},
            "readinessProbe": {"grpc": {"port": 9000, "service": "s"}, "periodSeconds": 5},
            "startupProbe": {"exec": {"command": ["c"]}, **TIMES},
            "lifecycle": {"postStart": {"httpGet": HTTP}, "preStop": {"sleep": {"seconds": 5}}},
            "terminationMessagePath": "/t",
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "imagePullPolicy": "Never",
            "stdin": True,
            "stdinOnce": True,
            "tty": True,
            "securityContext": {
                "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "privileged": False, "seLinuxOptions": SE_LINUX, "runAsUser": 0, "runAsGroup": 0,
                "runAsNonRoot": False, "readOnlyRootFilesystem": False, "allowPrivilegeEscalation": False, "procMount": "Default", "seccompProfile": PROFILE,
                "appArmorProfile": PROFILE,
            },
        }
    ],
}  # fmt: skip
HOST: Json = {
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "dnsPolicy": "ClusterFirst",
    "containers": [{"name": "main", "image": "a/b:1", "ports": [{"containerPort": 8000}]}],
}
WINDOWS: Json = {
    "os": {"name": "windows"},
    "securityContext": {"windowsOptions": {"gmsaCredentialSpecName": "n", "gmsaCredentialSpec": "s", "runAsUserName": "u", "hostProcess": False}},
    "containers": [{"name": "main", "image": "a/b", "securityContext": {"windowsOptions": {"runAsUserName": "u", "hostProcess": False}}}],
}

IMAGES = (
    "vllm", "vllm:latest", "vllm:v1", "a/b/c", "a/b/c:1", f"a/b@sha256:{HEX}", f"a/b:latest@sha256:{HEX}", "localhost:5000/a", "localhost:5000/a:1", "Host/a",
    "a/Upper", HEX, "a/b:", "a/b:-1", "registry.bank.example:5000/team/vllm:v1.2.3_cuda", "[2001:db8::1]:5000/a", "a__b", "a---b", "a._b", "a/b@sha256:abc",
    "a//b", " a", f"{HEX}:v1",
)  # fmt: skip
QUANTITIES = (
    "1", 1, "0", "0.5Gi", "1.5Gi", "1024", "1024Ki", "1536Mi", "1000", "1000000", "1e3", "1E3", "12e6", "5E", "0.1", "100m", "1500m", "1u", "1n", "0.0001",
    "1023Ki", "+1", "1.", ".5",
    "1e-3", "1500e-3", "123456789", "1000Gi", "1048576Gi", "1.2e2", "2000k", "0Ki", "1000m", "0.5Ki", "1.0005", "100000000000000000",
    "1.500", "0100m", "+1Ki", "008Ki", "1025Ki", "0.000", "1000e3", "123456789012345678", "1234567890123456789", "0.1234567891", "1.5k",
)  # fmt: skip


def deployment(spec: Json, **metadata: Any) -> Json:
    return workload(KINDS[0], {"metadata": metadata, "spec": spec})


def stored(admin: Api, manifest: Json) -> Json | None:
    """The workload as the API server would store it; None where it finds it invalid."""
    try:
        return admin.create(manifest, namespace="default", dry_run=True)
    except ApiError as error:
        if error.code not in (400, 422):
            raise
        return None


def variants(value: Any, path: Path = ()) -> Iterator[tuple[str, Path, Any]]:
    """Every field left out and every field empty, one at a time."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        here = (*path, key)
        if isinstance(value, dict):
            yield "without", here, None
            yield "null", here, None
        if type(item) in EMPTY:
            yield "empty", here, copy.copy(EMPTY[type(item)])
        yield from variants(item, here)


def changed(spec: Json, how: str, path: Path, value: Any) -> Json:
    made: Any = copy.deepcopy(spec)
    at = made
    for step in path[:-1]:
        at = at[step]
    if how == "without":
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return dict(made)


def disagreements(admin: Api, spec: Json, **metadata: Any) -> tuple[int, list[str]]:
    """How many variants the API server took, and which of them it stored otherwise than foreseen."""
    taken, wrong = 0, []
    for how, path, value in [("as it is", (), None), *variants(spec)]:
        manifest = deployment(changed(spec, how, path, value) if path else spec, **metadata)
        got = stored(admin, manifest)
        taken += got is not None
        if got is not None:
            wrong += [f"{how} {'.'.join(map(str, path))}: {line}" for line in apart(template_of(defaulted(manifest)), template_of(got))]
    return taken, wrong


def apart(foreseen: Any, got: Any, path: str = "") -> list[str]:
    """What was foreseen and is not so, field by field."""
    if isinstance(foreseen, dict) and isinstance(got, dict):
        return [line for key in sorted({*foreseen, *got}) for line in apart(foreseen.get(key, "nothing"), got.get(key, "nothing"), f"{path}.{key}")]
    if isinstance(foreseen, list) and isinstance(got, list) and len(foreseen) == len(got):
        return [line for i, (one, other) in enumerate(zip(foreseen, got, strict=True)) for line in apart(one, other, f"{path}[{i}]")]
    return [] if foreseen == got and type(foreseen) is type(got) else [f"{path} foreseen {foreseen!r}, stored {got!r}"]


@pytest.mark.parametrize("volume", sorted({*VOLUMES, *VOLUME.holds}))
def test_every_field_of_every_volume(admin: Api, volume: str) -> None:
    taken, wrong = disagreements(admin, {"containers": [{"name": "main", "image": "a"}], "volumes": [{"name": "v", volume: VOLUMES[volume]}]})
    assert (taken > 1, wrong) == (True, [])


@pytest.mark.parametrize("spec", [FULL, HOST, WINDOWS], ids=["full", "host", "windows"])
def test_every_field_of_a_pod(admin: Api, spec: Json) -> None:
    taken, wrong = disagreements(admin, spec, labels={"a": "b"}, annotations={"a": "b"})
    assert (taken > 1, wrong) == (True, [])


@pytest.mark.parametrize("image", IMAGES)
def test_the_pull_policy_of_an_image(admin: Api, image: str) -> None:
    manifest = deployment({"containers": [{"name": "main", "image": image}], "volumes": [{"name": "v", "image": {"reference": image}}]})
    got = stored(admin, manifest)
    assert got is None or apart(template_of(defaulted(manifest)), template_of(got)) == []


@pytest.mark.parametrize("amount", QUANTITIES)
def test_the_form_of_a_quantity(admin: Api, amount: Any) -> None:
    container = {"name": "main", "image": "a", "resources": {"limits": {"cpu": amount}}}
    manifest = deployment({"containers": [container], "volumes": [{"name": "v", "emptyDir": {"sizeLimit": amount}}]})
    got = stored(admin, manifest)
    assert got is not None
    assert apart(template_of(defaulted(manifest)), template_of(got)) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("name", PODS)
def test_every_kind_of_workload(admin: Api, kind: Kind, name: str) -> None:
    manifest = workload(kind, PODS[name])
    got = stored(admin, manifest)
    assert got is not None
    assert template(pod_of(got)) == template(pod_of(defaulted(manifest)))
