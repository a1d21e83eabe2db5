"""The API server's defaulting of a pod template, offline: what it fills in, and what it does not store because it is empty.

So that a subject can be worked out from manifests, before anything is applied. One `Shape` for each struct of the API (k8s.io/api/core/v1, types.go; the
defaults are those of pkg/apis/core/v1, defaults.go, of Kubernetes 1.36). A test asks a real API server field by field. What is in no shape stays as it is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Union

from aiqms.api.values import Json
from aiqms.gate.quantity import canonical, milli
from aiqms.gate.workload import kind_of, template_of

Settle = Union["Shape", Callable[[Any], Any]]

MAPS: Final = frozenset(
    ("annotations", "labels", "limits", "matchLabels", "nodeSelector", "options", "overhead", "requests", "userAnnotations", "volumeAttributes")
)  # {} is not stored there; elsewhere {} is an object without fields, and is


@dataclass(frozen=True, slots=True)
class Shape:
    """One struct. fills: what a missing field becomes. drops: fields whose "", 0 or false is as good as missing. holds: what its fields are made of.

    then: what cannot be said of one field alone.
    """

    fills: Mapping[str, Any] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    holds: Mapping[str, Settle] = field(default_factory=dict)
    then: Callable[[Json], Json] | None = None

    def settled(self, value: Json) -> Json:
        """The struct as the API server stores it."""
        kept = {k: settle(v, self.holds.get(k, strings if k in MAPS else ANY)) for k, v in value.items() if not self._missing(k, v)}
        filled = {**copy.deepcopy(dict(self.fills)), **kept}
        return self.then(filled) if self.then else filled

    def _missing(self, key: str, value: object) -> bool:
        return value is None or value == [] or (value == {} and key in MAPS) or (key in self.drops and value in ("", 0, False))


def shape(drops: str = "", /, *, fills: Json | None = None, then: Callable[[Json], Json] | None = None, **holds: Settle) -> Shape:
    return Shape(fills or {}, frozenset(drops.split()), holds, then)


def settle(value: Any, how: Settle) -> Any:
    """A field's value: of a struct, of a list of structs, or a single one."""
    if not isinstance(how, Shape):
        return how(value)
    if isinstance(value, list):
        return [settle(item, how) for item in value]
    return how.settled(value) if isinstance(value, dict) else value


ANY: Final = Shape()  # nothing is known of it: null and empty lists are not stored anywhere


def strings(value: Any) -> Any:
    """A map of strings: null is the empty one."""
    return {k: "" if v is None else v for k, v in value.items()} if isinstance(value, dict) else settle(value, ANY)


def quantities(value: Json) -> Json:
    return {name: "0" if amount is None else milli(amount) for name, amount in value.items()}


COMPONENT: Final = r"[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
HOST: Final = rf"(?:{LABEL}(?:[.]{LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
IMAGE: Final = re.compile(
    rf"(?:{HOST}/)?{COMPONENT}(?:/{COMPONENT})*(?::(?P<tag>\w[\w.-]{{0,127}}))?(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")


def pull_policy(image: str) -> str:
    """Always for the tag latest, or none at all; IfNotPresent for every other one, for a digest, and for what is no image name."""
    name = IMAGE.fullmatch(image) if not IDENTIFIER.fullmatch(image) else None
    if name is None or (name["tag"] is None and name["digest"]):
        return "IfNotPresent"
    return "Always" if name["tag"] in (None, "latest") else "IfNotPresent"


def with_pull_policy(container: Json) -> Json:
    return {"imagePullPolicy": pull_policy(container.get("image", "")), **container}


def with_image_policy(volume: Json) -> Json:
    return {"pullPolicy": pull_policy(volume.get("reference", "")), **volume}


def with_source(volume: Json) -> Json:
    """A volume of no kind is an emptyDir."""
    return volume if volume.keys() - {"name"} else {**volume, "emptyDir": {}}


def with_account(spec: Json) -> Json:
    """serviceAccount is the deprecated alias: the API server writes both."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    return {**spec, "serviceAccountName": account, "serviceAccount": account} if account else spec


MODE: Final = {"defaultMode": 0o644}
NAMED: Final = shape("name")  # LocalObjectReference and what embeds it
DISK: Final = shape("fsType partition readOnly")
READ_ONLY: Final = shape("readOnly")
RESOURCES: Final = shape(limits=quantities, requests=quantities, claims=shape("request"))

FIELD_REF: Final = shape("apiVersion", fills={"apiVersion": "v1"})
RESOURCE_REF: Final = shape("containerName", fills={"divisor": "0"}, divisor=canonical)
DOWNWARD: Final = shape(fieldRef=FIELD_REF, resourceFieldRef=RESOURCE_REF)

CLAIM: Final = shape(
    "volumeName",
    fills={"volumeMode": "Filesystem", "resources": {}},
    resources=RESOURCES,
    dataSource=shape(fills={"apiGroup": None}),
    dataSourceRef=shape(fills={"apiGroup": None}),
)
PROJECTION: Final = shape(
    secret=NAMED, configMap=NAMED, downwardAPI=shape(items=DOWNWARD), serviceAccountToken=shape("audience", fills={"expirationSeconds": 3600})
)
VOLUME: Final = shape(
    then=with_source,
    awsElasticBlockStore=DISK,
    azureDisk=shape(fills={"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"}),
    azureFile=READ_ONLY,
    cephfs=shape("path user secretFile readOnly", secretRef=NAMED),
    cinder=shape("fsType readOnly", secretRef=NAMED),
    configMap=shape("name", fills=MODE),
    csi=shape(nodePublishSecretRef=NAMED),
    downwardAPI=shape(fills=MODE, items=DOWNWARD),
    emptyDir=shape("medium", sizeLimit=canonical),
    ephemeral=shape(volumeClaimTemplate=shape(fills={"metadata": {}}, spec=CLAIM)),
    fc=shape("fsType readOnly"),
    flexVolume=shape("fsType readOnly", secretRef=NAMED),
    flocker=shape("datasetName datasetUUID"),
    gcePersistentDisk=DISK,
    gitRepo=shape("revision directory"),
    glusterfs=READ_ONLY,
    hostPath=shape(fills={"type": ""}),
    image=shape("reference pullPolicy", then=with_image_policy),
    iscsi=shape("iscsiInterface fsType readOnly chapAuthDiscovery chapAuthSession", fills={"iscsiInterface": "default", "lun": 0}, secretRef=NAMED),
    nfs=READ_ONLY,
    persistentVolumeClaim=READ_ONLY,
    photonPersistentDisk=shape("fsType"),
    portworxVolume=shape("fsType readOnly"),
    projected=shape(fills={**MODE, "sources": None}, sources=PROJECTION),
    quobyte=shape("readOnly user group tenant"),
    rbd=shape("fsType pool user keyring readOnly", fills={"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}, secretRef=NAMED),
    scaleIO=shape(
        "sslEnabled protectionDomain storagePool storageMode volumeName fsType readOnly",
        fills={"storageMode": "ThinProvisioned", "fsType": "xfs", "secretRef": None},
        secretRef=NAMED,
    ),
    secret=shape("secretName", fills=MODE),
    storageos=shape("volumeName volumeNamespace fsType readOnly", secretRef=NAMED),
    vsphereVolume=shape("fsType storagePolicyName storagePolicyID"),
)

PAIR: Final = shape(fills={"value": ""})
HTTP: Final = shape("path host scheme", fills={"path": "/", "scheme": "HTTP"}, httpHeaders=PAIR)
SOCKET: Final = shape("host")
PROBE: Final = shape(
    "initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold",
    fills={"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    httpGet=HTTP,
    tcpSocket=SOCKET,
    grpc=shape(fills={"service": ""}),
)
HOOK: Final = shape(httpGet=HTTP, tcpSocket=SOCKET, sleep=shape(fills={"seconds": 0}))
SE_LINUX: Final = shape("user role type level")
SECURITY: Final = shape(seLinuxOptions=SE_LINUX, sysctls=PAIR)
ENV: Final = shape(
    "value",
    valueFrom=shape(fieldRef=FIELD_REF, resourceFieldRef=RESOURCE_REF, configMapKeyRef=NAMED, secretKeyRef=NAMED, fileKeyRef=shape(fills={"optional": False})),
)
CONTAINER: Final = shape(
    "image workingDir terminationMessagePath terminationMessagePolicy imagePullPolicy stdin stdinOnce tty targetContainerName",
    fills={"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": {}},
    then=with_pull_policy,
    env=ENV,
    envFrom=shape("prefix", configMapRef=NAMED, secretRef=NAMED),
    lifecycle=shape(postStart=HOOK, preStop=HOOK),
    livenessProbe=PROBE,
    ports=shape("name hostPort protocol hostIP", fills={"protocol": "TCP"}),
    readinessProbe=PROBE,
    resources=RESOURCES,
    restartPolicyRules=shape("action", exitCodes=shape("operator")),
    securityContext=SECURITY,
    startupProbe=PROBE,
    volumeMounts=shape("readOnly subPath subPathExpr"),
)
POD_SPEC: Final = shape(
    "restartPolicy dnsPolicy serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC hostname subdomain schedulerName priorityClassName",
    fills={
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    },
    then=with_account,
    containers=CONTAINER,
    dnsConfig=shape(options=shape("name")),
    ephemeralContainers=CONTAINER,
    imagePullSecrets=NAMED,
    initContainers=CONTAINER,
    resources=RESOURCES,
    securityContext=SECURITY,
    volumes=VOLUME,
)
TEMPLATE: Final = shape(metadata=shape("name generateName namespace"), spec=POD_SPEC)


def defaulted(workload: Json) -> Json:
    """The workload with its pod template as the API server would store it; all else, and the argument, stay as they are.

    Raises ValueError for an unknown kind or a missing pod template. Not foreseen: what admission of that cluster changes (LimitRanges, injectors), and fields
    that its API server does not know or has switched off.
    """
    return replaced(workload, kind_of(workload).template, TEMPLATE.settled(template_of(workload)))


def replaced(workload: Json, path: tuple[str, ...], template: Json) -> Json:
    if not path:
        return template
    return {**workload, path[0]: replaced(workload[path[0]], path[1:], template)}
