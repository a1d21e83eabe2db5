"""What must go on working, by people, controllers and parts of the cluster: a gate that stops it would not be put up, or not for long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.e2e.bypass.accountable import NEW_MODEL, OWNED, is_noted, is_unmarked, noted, register_patched, registered, said_approved
from tests.e2e.bypass.afterwards import COMMAND, admin, bound, debug, note, opened, operator, patched, put, scheduler, stamped, subject_of, tag
from tests.e2e.bypass.around import Act, alice, decided, labelled, made, merged, namespace, removed
from tests.e2e.bypass.attempt import DRY, Attempt, deleted, edited, is_held, took_effect
from tests.e2e.bypass.released import legitimate
from tests.e2e.bypass.stage import DECISION, GPU, LABEL, MODEL, SANDBOX, STOPPED, SUBJECT, Stage, plain, record
from tests.e2e.bypass.tampering import OTHER, SERVER
from tests.e2e.bypass.told import advice, unwarned, warned
from tests.e2e.bypass.unlabelled import MAIN, Edits, debugged, env, host_path, prefix
from tests.e2e.bypass.unlabelled import PODS as PODS_REFUSED
from tests.testbed.api import Api, ApiError, Json
from tests.testbed.install import GOVERNED


def pod(edits: Json, stage: Stage) -> Json:
    """A CPU pod of the governed namespace."""
    return stage.mallory.create(edited(plain(stage.place), edits), dry_run=True)


def like(of: str, edits: Edits, stage: Stage) -> Json:
    """A pod of a cleared deployment that differs where it may."""
    return stage.mallory.create(edited(stage.like(of), edits if isinstance(edits, dict) else edits(stage)), dry_run=True)


CPU_PODS: dict[str, Json] = {
    "a CPU pod": {},
    "a CPU pod with an annotation that nothing reads": {"metadata.annotations[prometheus.io/scrape]": "true"},
    "a CPU pod with a variable": env("LEVEL", "info"),
    "a CPU pod that says it wants no GPU": env("NVIDIA_VISIBLE_DEVICES", "void"),
    "a CPU pod with huge pages": {f"{MAIN}.resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}},
    "a CPU pod with disk": {f"{MAIN}.resources": {"limits": {"ephemeral-storage": "1Gi"}}},
    "a CPU pod with resources of its own": {
        "spec.resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "4Mi"}}
    },
    "a CPU pod with data of its node": host_path("/srv/data"),
    "a CPU pod with the node's logs": host_path("/var/log"),
    "a CPU pod with the node's time zone": host_path("/etc/localtime"),
    "a CPU pod with variables from a ConfigMap": {f"{MAIN}.envFrom.+": {"configMapRef": {"name": "unused"}}},
    "a CPU pod with variables under a prefix": prefix("APP_"),
    "a CPU pod with a capability": {f"{MAIN}.securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}},
    "a CPU pod on the network of its node": {"spec.hostNetwork": True},
    "a CPU pod for a GPU node": {"spec.nodeSelector": {"nvidia.com/gpu.present": "true"}, "spec.tolerations": [{"operator": "Exists"}]},
    "a CPU pod in a sandbox": {"spec.runtimeClassName": SANDBOX},
    "a CPU pod with AppArmor": {"metadata.annotations[container.apparmor.security.beta.kubernetes.io/main]": "runtime/default"},
    "a CPU pod with a sidecar": {"spec.initContainers.+": {"name": "side", "image": "registry.example/tool:1", "restartPolicy": "Always"}},
}
FREE: dict[str, tuple[str, Edits]] = {
    "another pod of a cleared Deployment": ("scoring", {}),
    "another pod of a cleared StatefulSet, with a claim of its own": ("store", {}),
    "another pod of a cleared Job": ("batch", {}),
    "another pod that claims a device": ("claims", {}),
    "another place": ("scoring", {"spec.nodeSelector": {"zone": "b"}, "spec.tolerations": [{"operator": "Exists"}], "spec.affinity": {"nodeAffinity": {}}}),
    "another spread": ("scoring", {"spec.topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]}),
    "another priority": ("scoring", {"spec.priorityClassName": "system-node-critical", "spec.priority": None}),
    "more memory": ("scoring", {f"{SERVER}.resources.limits.memory": "1Gi", f"{SERVER}.resources.requests.memory": "1Gi"}),
    "huge pages": ("scoring", {f"{SERVER}.resources.limits[hugepages-2Mi]": "4Mi", f"{SERVER}.resources.requests[hugepages-2Mi]": "4Mi"}),
    "more memory and huge pages for the init container": (
        "scoring",
        {"spec.initContainers.0.resources": {"limits": {"memory": "1Gi", "hugepages-2Mi": "4Mi"}, "requests": {"memory": "1Gi", "hugepages-2Mi": "4Mi"}}},
    ),
    "another hostname": ("scoring", {"spec.hostname": "one", "spec.subdomain": "scoring"}),
    "another pull secret": ("scoring", {"spec.imagePullSecrets": [{"name": "registry"}]}),
    "a deadline": ("scoring", {"spec.activeDeadlineSeconds": 3600}),
    "a readiness gate": ("scoring", {"spec.readinessGates": [{"conditionType": "example.com/ready"}]}),
    "labels and annotations that nothing reads": ("scoring", {"metadata.labels.tier": "gold", "metadata.annotations[prometheus.io/scrape]": "true"}),
    "another note": ("scoring", {"metadata.annotations[example.com/note]": "nobody reads this either"}),
    "restarted by kubectl": ("scoring", {"metadata.annotations[kubectl.kubernetes.io/restartedAt]": "2027-01-01T00:00:00+01:00"}),
    "another revision's hash": ("scoring", {"metadata.labels[pod-template-hash]": "7d9f8b6c5"}),
    "without the injected token, which admission adds": ("claims", {"spec.volumes": None, f"{SERVER}.volumeMounts": None}),
    "a gate of somebody else": ("scoring", {"spec.schedulingGates.+": {"name": "kueue.x-k8s.io/admission"}}),
    "anything in Audit": ("watched", {f"{SERVER}.image": "registry.example/server:9", f"{SERVER}.args": ["--anything"], "spec.hostNetwork": True}),
}  # fmt: skip
HELD: dict[str, tuple[str, Json]] = {
    "what is not cleared": ("waiting", {}),
    "another image": ("scoring", {f"{SERVER}.image": "registry.example/server:2"}),
    "another image of a stopped deployment": (STOPPED, {f"{SERVER}.image": "registry.example/server:5"}),
    "another model": ("scoring", {"metadata.annotations[aiqms.dev/model]": OTHER}),
    "a deployment that nobody registered yet": ("scoring", {f"metadata.labels[{LABEL}]": "new"}),
}
TOLERATION = {"key": "maintenance", "operator": "Exists"}
RESTARTED: Json = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2027-01-01T00:00:00Z"}}}}}
READY: Json = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]}}


def kubelet(stage: Stage) -> Api:
    return stage.kubelet


def carol(stage: Stage) -> Api:
    return stage.as_("carol")


def resized(of: str, container: str, stage: Stage) -> Json:
    """More memory for a pod that has no node yet: KWOK's nodes do not say that they could."""
    patch = {"spec": {"initContainers" if container == "side" else "containers": [{"name": container, "resources": {"limits": {"memory": "256Mi"}}}]}}
    return stage.mallory.patch("pods", stage.name(of), patch, stage.place, subresource="resize", dry_run=True, strategic=True)


def evicted(of: str, stage: Stage) -> Json:
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": stage.name(of), "namespace": stage.place},
        "deleteOptions": {"dryRun": ["All"]},
    }
    return stage.mallory.post("pods", stage.name(of), "eviction", eviction, stage.place, dry_run=True)


def pod_deleted(of: str, stage: Stage) -> Json:
    return deleted(stage.mallory, "pods", stage.name(of), stage.place)


def pods_deleted(stage: Stage) -> Json:
    return stage.mallory.request("DELETE", f"/api/v1/namespaces/{stage.place}/pods", query=DRY)


PODS: dict[str, Act] = {
    "a label that nothing reads": partial(patched, "scoring", tag("tier", "gold")),
    "an annotation that nothing reads": partial(patched, "scoring", note("example.com/note", "new")),
    "another revision's hash": partial(patched, "scoring", tag("pod-template-hash", "7d9f8b6c5")),
    "restarted by kubectl, as it says": partial(patched, "scoring", note("kubectl.kubernetes.io/restartedAt", "2027-01-01T00:00:00Z")),
    "a toleration more": partial(patched, "scoring", put("/spec/tolerations/-", TOLERATION, "add")),
    "another image in Audit": partial(patched, "watched", put("/spec/containers/0/image", "registry.example/server:9")),
    "a label on a held pod": partial(patched, "waiting", tag("tier", "gold")),
    "another image of a CPU pod": partial(patched, "plain", put("/spec/containers/0/image", "registry.example/tool:2")),
    "a CPU pod debugged": debugged({}),
    "a pod in Audit debugged": partial(patched, "watched", debug(), subresource="ephemeralcontainers"),
    "a CPU pod resized": partial(resized, "unplaced", "main"),
    "a cleared pod resized": partial(resized, "store", "index"),
    "a cleared pod's sidecar resized": partial(resized, "store", "side"),
    "a cleared pod deleted": partial(pod_deleted, "scoring"),
    "a held pod deleted": partial(pod_deleted, "waiting"),
    "all pods deleted": pods_deleted,
    "a cleared pod evicted": partial(evicted, "scoring"),
    "a CPU pod evicted": partial(evicted, "plain"),
    "the kubelet's status of a cleared pod": partial(patched, "scoring", READY, who=kubelet, subresource="status"),
    "a network plugin's annotation on a pod that reads them all": partial(
        patched, "batch", note("k8s.v1.cni.cncf.io/network-status", "[]"), who=kubelet, subresource="status"
    ),
    "the kubelet's status of a CPU pod": partial(patched, "plain", READY, who=kubelet, subresource="status"),
    "a network plugin's annotation": partial(patched, "scoring", note("k8s.v1.cni.cncf.io/network-status", "[]"), who=kubelet, subresource="status"),
    "the scheduler's binding of a cleared pod": partial(bound, "claims", who=scheduler),
    "the scheduler's binding of a CPU pod": partial(bound, "unplaced", who=scheduler),
    "the claim that the scheduler's controller made": partial(
        patched, "claims", {"status": {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "claims-gpu-x"}]}}, who=kubelet, subresource="status"
    ),
    "a release by the operator": partial(patched, "parked", stamped(subject_of("claims")), who=operator),
    "the note of a subject on a pod of no deployment": partial(patched, "plain", note(SUBJECT, OTHER)),
    "a label on a pod that was there before its namespace was governed": lambda stage: stage.admin.patch(
        "pods", "older-plain", tag("tier", "gold"), stage.late, dry_run=True
    ),
    "a session for whoever may open one": partial(opened, "claims", "POST", "exec", query=COMMAND, who=carol),
    "a session to a port for whoever may open one": partial(opened, "unplaced", "POST", "portforward", who=carol),
    "a session by the cluster's administrator": partial(opened, "claims", "POST", "exec", query=COMMAND, who=admin),
}  # fmt: skip


def workload(resource: str, name: str, patch: Json | list[Json], stage: Stage, *, subresource: str | None = None) -> Json:
    return stage.mallory.patch(resource, name, patch, stage.place, subresource=subresource, dry_run=True)


def any_made(api_version: str, kind: str, spec: Json, stage: Stage) -> Json:
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "new", "namespace": stage.place}}
    return stage.mallory.create(manifest | spec, dry_run=True)


JOB: Json = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/tool:1"}]}}}}
CRON: Json = {"spec": {"schedule": "0 3 * * *", "jobTemplate": JOB}}
BUDGET: Json = {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "scoring"}}}}
DEVICE: Json = {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example"}}]}}}
UNNAMED: list[Json] = put("/spec/template/metadata/labels", {"app": "waiting"})
HPA: Json = {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scoring"}, "maxReplicas": 3}}
WORKLOADS: dict[str, Act] = {
    "a cleared Deployment scaled": partial(workload, "deployments.apps", "scoring", {"spec": {"replicas": 3}}, subresource="scale"),
    "a cleared Deployment scaled by its spec": partial(workload, "deployments.apps", "scoring", {"spec": {"replicas": 0}}),
    "a cleared Deployment restarted": partial(workload, "deployments.apps", "scoring", RESTARTED),
    "a cleared Deployment elsewhere": partial(workload, "deployments.apps", "scoring", {"spec": {"template": {"spec": {"tolerations": [TOLERATION]}}}}),
    "a change rolled out, to be held": partial(
        workload, "deployments.apps", "scoring", put("/spec/template/spec/containers/0/image", "registry.example/server:2")
    ),
    "a cleared Deployment deleted": lambda stage: deleted(stage.mallory, "deployments.apps", "scoring", stage.place),
    "a StatefulSet scaled": partial(workload, "statefulsets.apps", "store", {"spec": {"replicas": 2}}, subresource="scale"),
    "a Job": partial(any_made, "batch/v1", "Job", JOB),
    "a CronJob": partial(any_made, "batch/v1", "CronJob", CRON),
    "an autoscaler": partial(any_made, "autoscaling/v2", "HorizontalPodAutoscaler", HPA),
    "a disruption budget": partial(any_made, "policy/v1", "PodDisruptionBudget", BUDGET),
    "a Service": partial(any_made, "v1", "Service", {"spec": {"selector": {"app": "scoring"}, "ports": [{"port": 80}]}}),
    "a network policy": partial(any_made, "networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}}}),
    "a volume's claim": partial(
        any_made, "v1", "PersistentVolumeClaim", {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    ),
    "a ServiceAccount": partial(any_made, "v1", "ServiceAccount", {}),
    "a device's claim": partial(any_made, "resource.k8s.io/v1", "ResourceClaim", DEVICE),
    "a deployment deregistered": partial(removed, "aimd", "scoring"),
}  # fmt: skip
INPUTS: dict[str, Act] = {
    "a new ConfigMap": partial(made, "ConfigMap", "new", {"data": {"mode": "any"}}),
    "another value in a ConfigMap that nothing cleared reads": partial(merged, "configmaps", "unused", {"data": {"mode": "any"}}),
    "a ConfigMap that nothing cleared reads deleted": partial(removed, "configmaps", "unused"),
    "a label on a frozen ConfigMap": partial(merged, "configmaps", "scoring", {"metadata": {"labels": {"mine": "yes"}}}),
    "the same value in a frozen ConfigMap": partial(merged, "configmaps", "scoring", {"data": {"mode": "careful"}}),
    "the cluster's certificates renewed": partial(merged, "configmaps", "kube-root-ca.crt", {"data": {"ca.crt": "new"}}),
    "a key more in a ConfigMap that was there before its namespace was governed": lambda stage: stage.admin.patch(
        "configmaps", "older", {"data": {"more": "1"}}, stage.late, dry_run=True
    ),
    "a new Secret": partial(made, "Secret", "new", {"stringData": {"key": "any"}}),
    "the value of a Secret rotated": partial(merged, "secrets", "scoring-key", {"stringData": {"key": "second"}}),
    "a Secret that nothing cleared reads deleted": partial(removed, "secrets", "unused"),
    "a token for a ServiceAccount": lambda stage: stage.mallory.post(
        "serviceaccounts", "robot", "token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}, stage.place, dry_run=True
    ),
}


def told(field: str, spec: Json | str | None, stage: Stage) -> Json:
    """The answer to a record that cannot be one, if it names the field: the schema says so, and no policy in its place."""
    manifest = record(stage, "waiting", "model-owner")
    manifest["spec"] = manifest["spec"] | spec if isinstance(spec, dict) else spec
    try:
        return alice(stage).create({key: value for key, value in manifest.items() if value is not None}, dry_run=True)
    except ApiError as error:
        if f"{field}: " in error.message and "aiqms-" not in error.message:
            return {"told": str(error)}
        raise


MISSHAPEN: dict[str, Act] = {
    "no spec": partial(told, "spec", None),
    "a text for a spec": partial(told, "spec", "approve"),
    "a number for a decision": partial(told, "spec.decision", {"decision": 7}),
    "a number for a role": partial(told, "spec.role", {"role": 7}),
}


def taken_back(stage: Stage) -> Json:
    return alice(stage).create(record(stage, "scoring", "model-owner", "Withdraw", withdraws=stage.records["alice/scoring"]), dry_run=True)


def judged(stage: Stage) -> Json:
    said = {"status": {"counts": True, "reason": "Counted", "message": "yes"}}
    return stage.operator.patch("approvalrecords", stage.records["bob/scoring"], said, stage.place, subresource="status", dry_run=True)


def bob(stage: Stage) -> Api:
    return stage.as_("bob")


def by_operator(of: str, mark: str | None, stage: Stage) -> Json:
    """The operator marks the Stops that stand: one that was lifted loses its mark, and one that stands again gets it back."""
    return stage.operator.patch("approvalrecords", stage.records[of], tag(DECISION, mark), stage.place, dry_run=True)


def new_governed(stage: Stage) -> Json:
    return stage.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "aiqms-new", "labels": {GOVERNED: "true"}}}, dry_run=True)


def is_stamped(by: str) -> Callable[[Json], bool]:
    """Whether the record says that this person, who holds the role, made it."""
    return lambda answer: bool(answer["spec"].get("approver", {}).get("username") == by and answer["spec"]["approver"]["authorized"])


def is_unauthorized(by: str) -> Callable[[Json], bool]:
    return lambda answer: answer["spec"].get("approver", {}).get("username") == by and not answer["spec"]["approver"]["authorized"]


def stop_of_whatever(stage: Stage) -> Json:
    return bob(stage).create(edited(record(stage, "waiting", "risk-manager", "Stop"), {"spec.subject": None}), dry_run=True)


def about_stopped(decision: str, stage: Stage) -> Json:
    return bob(stage).create(record(stage, STOPPED, "risk-manager", decision), dry_run=True)


def is_stop(by: str) -> Callable[[Json], bool]:
    """Whether the record is a Stop of this person's that stands from now on."""
    return lambda answer: is_stamped(by)(answer) and not is_unmarked(answer)


RECORDS: dict[str, tuple[Act, Callable[[Json], bool]]] = {
    "an approval by whoever holds the role": (partial(decided, alice, "model-owner"), is_stamped("alice")),
    "an approval that expires": (partial(decided, bob, "risk-manager", expires="2100-01-01T00:00:00Z"), is_stamped("bob")),
    "a rejection": (partial(decided, bob, "risk-manager", decision="Reject"), is_stamped("bob")),
    "a withdrawal of one's own": (taken_back, is_stamped("alice")),
    "a withdrawal by whoever does not hold the role, which may be of one's own": (
        partial(decided, alice, "risk-manager", decision="Withdraw", withdraws="another"),
        is_unauthorized("alice"),
    ),
    "a withdrawal by a wildcard, which may be of one's own": (
        partial(decided, admin, "risk-manager", decision="Withdraw", withdraws="another"),
        is_unauthorized("admin"),
    ),
    "a verdict by the operator": (judged, bool),
    "a Stop": (partial(decided, alice, "model-owner", decision="Stop"), is_stop("alice")),
    "a Stop of whatever runs": (stop_of_whatever, is_stop("bob")),
    "a Stop of what is stopped": (partial(about_stopped, "Stop"), is_stop("bob")),
    "a Stop by a wildcard": (partial(decided, admin, "risk-manager", decision="Stop"), is_stop("admin")),
    "a Resume": (partial(about_stopped, "Resume"), is_stamped("bob")),
    "an Emergency": (partial(decided, alice, "model-owner", decision="Emergency", expires="2100-01-01T00:00:00Z"), is_stamped("alice")),
    "a review of an Emergency": (partial(decided, bob, "risk-manager", reviews="another"), is_stamped("bob")),
    "a Stop's mark taken off by the operator": (partial(by_operator, "stop", None), is_unmarked),
}
AUTHORS: dict[str, tuple[Act, str]] = {
    "a deployment registered": (registered, "mallory"),
    "a deployment registered with annotations": (partial(registered, annotations={"example.com/note": "mine"}), "mallory"),
    "a deployment registered by the cluster's administrator": (partial(registered, who=admin), "admin"),
    "a deployment's model changed": (partial(register_patched, NEW_MODEL), "mallory"),
    "a deployment's owner changed": (partial(register_patched, OWNED), "admin"),
    "a deployment's owner changed, which names who did too": (partial(register_patched, OWNED), "mallory"),
    "a deployment's owner changed by who is named already": (partial(register_patched, OWNED, who=admin), "admin"),
    "a deployment labelled": (partial(register_patched, tag("team", "lending")), "admin"),
    "a deployment annotated": (partial(register_patched, note("example.com/note", "mine")), "admin"),
}
# What people approve: a change of it begins a new note, once what was there before is approved, and as the operator has seen it.
PARTS: dict[str, Json] = {
    "datasets": {"datasets": [{"name": "loans", "version": "2", "use": "Training", "classification": "Confidential", "digest": MODEL}]},
    "purpose": {"intendedPurpose": "Score everybody"},
    "risk class": {"riskClass": "Minimal"},
    "role": {"role": "Deployer"},
    "workloads": {"workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "another"}]},
}


def is_note(*names: str) -> Callable[[Json], bool]:
    """Whether the note names these, and nobody else."""
    return lambda answer: noted(answer) == list(names)


def put_as_it_is(resource: str, name: Callable[[Stage], str], stage: Stage, *, subresource: str | None = None) -> Json:
    return stage.mallory.replace(stage.admin.get(resource, name(stage), stage.place), subresource=subresource, dry_run=True)


def changed(name: str, spec: Json, stage: Stage) -> Json:
    return stage.mallory.patch("aimd", name, {"spec": spec}, stage.place, dry_run=True)


NAMESPACES: dict[str, Act] = {
    "a new namespace": lambda stage: stage.mallory.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}, dry_run=True),
    "an ungoverned namespace changed by its administrator": lambda stage: stage.mallory.patch("namespaces", stage.other, tag("team", "any"), dry_run=True),
    "an ungoverned namespace deleted by its administrator": lambda stage: deleted(stage.mallory, "namespaces", stage.other),
    "a record deleted, while its namespace goes": lambda stage: deleted(stage.admin, "approvalrecords", stage.records["going"], stage.going),
    "a Clearance deleted, while its namespace goes": lambda stage: deleted(stage.admin, "clearances", "clearance", stage.going),
    "a frozen ConfigMap deleted, while its namespace goes": lambda stage: deleted(stage.mallory, "configmaps", "scoring", stage.going),
    "a Secret deleted, while its namespace goes": lambda stage: deleted(stage.mallory, "secrets", "scoring-key", stage.going),
    "a Clearance deleted by the operator, where the namespace was taken out": lambda stage: deleted(stage.operator, "clearances", "clearance", stage.left),
    "a new namespace governed": new_governed,
    "an ungoverned namespace governed": lambda stage: stage.admin.patch("namespaces", stage.other, labelled("true"), dry_run=True),
    "another label on a governed namespace": partial(namespace, {"metadata": {"labels": {"team": "lending"}}}),
    "the label taken off by whoever may release": partial(namespace, labelled(None), who=admin),
    "the namespace deleted by whoever may release": lambda stage: deleted(stage.admin, "namespaces", stage.place),
    "an ungoverned namespace changed": lambda stage: stage.admin.patch("namespaces", stage.other, tag("team", "any"), dry_run=True),
    "an ungoverned namespace deleted": lambda stage: deleted(stage.admin, "namespaces", stage.other),
    "a Clearance written by the operator": lambda stage: operator(stage).replace(
        stage.admin.get("clearances", "clearance", stage.place) | {"spec": {"epoch": 2**52}}, dry_run=True
    ),
}


def ungoverned(edits: Edits, stage: Stage) -> Json:
    return stage.mallory.create(edited(plain(stage.other), edits if isinstance(edits, dict) else edits(stage)), dry_run=True)


UNGOVERNED: dict[str, Act] = {
    "a CPU pod": partial(ungoverned, {}),
    "a privileged pod": partial(ungoverned, {f"{MAIN}.securityContext": {"privileged": True}}),
    "a pod of the node": partial(ungoverned, {"spec.hostNetwork": True, "spec.hostPID": True, **host_path("/dev")}),
    "a pod with NVIDIA_VISIBLE_DEVICES": partial(ungoverned, env("NVIDIA_VISIBLE_DEVICES")),
    "a pod with the label": partial(ungoverned, {f"metadata.labels[{LABEL}]": "scoring"}),
    "a pod on a node by name": partial(ungoverned, {"spec.nodeName": "gpu-0"}),
    "a ConfigMap with any key": lambda stage: stage.mallory.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any", "namespace": stage.other}, "data": {"NVIDIA_VISIBLE_DEVICES": "all"}},
        dry_run=True,
    ),
}


OPEN_ASK = partial(ungoverned, {f"{MAIN}.resources": GPU})
ELSEWHERE = "in a namespace that is not governed"
RECREATE: Json = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
TOLD: dict[str, Act] = {
    "a GPU pod where nothing is governed": partial(warned, ELSEWHERE, OPEN_ASK),
    "a GPU in an init container where nothing is governed": partial(warned, ELSEWHERE, partial(ungoverned, PODS_REFUSED["a GPU in an init container"])),
    "a claim where nothing is governed": partial(warned, ELSEWHERE, partial(ungoverned, PODS_REFUSED["a claim by name"])),
    "a rollout that would take pods away": partial(warned, "Recreate takes every old pod away", partial(workload, "deployments.apps", "waiting", RECREATE)),
    "a GPU template without the label": partial(warned, "its pods will be refused", partial(workload, "deployments.apps", "waiting", UNNAMED)),
}  # fmt: skip


AS_APPROVED: Json = {f"metadata.labels[{LABEL}]": "approved-in-audit"}


def by_hand(of: str) -> Callable[[Stage], Json]:
    return lambda stage: {f"metadata.annotations[{SUBJECT}]": stage.fingerprints[of]}


def is_stamped_and_free(pod: Json) -> bool:
    return not is_held(pod) and SUBJECT in pod["metadata"].get("annotations", {})


CONTROLS = (
    *(Attempt("CPU pods", name, partial(pod, edits)) for name, edits in CPU_PODS.items()),
    *(Attempt("cleared", name, partial(like, of, edits)) for name, (of, edits) in FREE.items()),
    Attempt("cleared", "the subject for a pod that reads it", partial(like, "scoring", {}), through=is_stamped_and_free),
    Attempt("cleared", "the subject for a pod in Audit that was approved", partial(like, "watched", AS_APPROVED), through=is_stamped_and_free),
    Attempt("cleared", "its own subject by hand, for a pod that does not read it", partial(like, "claims", by_hand("claims")), through=is_stamped_and_free),
    *legitimate(FREE),
    *(Attempt("held, not refused", name, partial(like, of, edits), through=is_held) for name, (of, edits) in HELD.items()),
    *(Attempt("pods", name, act, through=bool) for name, act in PODS.items()),
    *(Attempt("workloads", name, act, through=bool) for name, act in WORKLOADS.items()),
    *(Attempt("inputs", name, act, through=bool) for name, act in INPUTS.items()),
    *(Attempt("records", name, act, through=right) for name, (act, right) in RECORDS.items()),
    *(Attempt("records, misshapen", name, act, through=lambda answer: "told" in answer) for name, act in MISSHAPEN.items()),
    Attempt("records", "put as it is", partial(put_as_it_is, "approvalrecords", lambda stage: stage.records["bob/scoring"]), through=bool),
    Attempt("authors", "a deployment put as it is", partial(put_as_it_is, "aimd", lambda stage: "scoring"), through=is_note("admin")),
    Attempt("authors", "a status put as it is", partial(put_as_it_is, "aimd", lambda stage: "scoring", subresource="status"), through=bool),
    Attempt("authors", "a status written by the operator", partial(said_approved, operator), through=bool),
    *(Attempt("authors", name, act, through=is_noted(by)) for name, (act, by) in AUTHORS.items()),
    *(Attempt("authors", f"a deployment's {part} changed", partial(changed, "scoring", spec), through=is_note("mallory")) for part, spec in PARTS.items()),
    Attempt("authors", "the model of what nobody approved changed", partial(changed, "waiting", NEW_MODEL["spec"]), through=is_note("admin", "mallory")),
    Attempt("authors", "the model changed of what changed unseen", partial(changed, "batch", NEW_MODEL["spec"]), through=is_note("admin", "mallory")),
    *(Attempt("namespaces", name, act, through=bool) for name, act in NAMESPACES.items()),
    *(Attempt("not governed", name, act, through=took_effect) for name, act in UNGOVERNED.items()),
    *(
        Attempt("not governed", f"{name}, of which nothing is told", partial(unwarned, partial(ungoverned, edits)), through=bool)
        for name, edits in CPU_PODS.items()
    ),
    *(Attempt("told", name, act, through=bool) for name, act in TOLD.items()),
    *advice(CPU_PODS),
)
