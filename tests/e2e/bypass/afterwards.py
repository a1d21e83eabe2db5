"""Attacks on pods that are there: on what a cleared one runs, on the label, on the gate of a held one, and through the doors into a pod."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.e2e.bypass.attempt import Attempt, is_held
from tests.e2e.bypass.stage import LABEL, SUBJECT, Stage
from tests.testbed.api import Api, ApiError, Json

OTHER = f"sha256:{'5' * 64}"
Patch = Json | Sequence[Json]
Who = Callable[[Stage], Api]


def mallory(stage: Stage) -> Api:
    return stage.mallory


def operator(stage: Stage) -> Api:
    return stage.operator


def admin(stage: Stage) -> Api:
    return stage.admin


def patched(of: str, patch: Patch | Callable[[Stage], Patch], stage: Stage, *, who: Who = mallory, subresource: str | None = None) -> Json:
    """The pod of a deployment, patched."""
    change = patch(stage) if callable(patch) else patch
    strategic = subresource == "ephemeralcontainers"
    return who(stage).patch("pods", stage.name(of), change, stage.place, subresource=subresource, dry_run=True, strategic=strategic)


def replaced(of: str, change: Callable[[Json], None], stage: Stage) -> Json:
    """The pod of a deployment, put anew as a whole."""
    pod = stage.admin.get("pods", stage.name(of), stage.place)
    change(pod)
    return stage.mallory.replace(pod, dry_run=True)


def put(path: str, value: object, op: str = "replace") -> list[Json]:
    return [{"op": op, "path": path, "value": value}]


def gone(path: str) -> list[Json]:
    return [{"op": "remove", "path": path}]


def note(key: str, value: str | None) -> Json:
    return {"metadata": {"annotations": {key: value}}}


def tag(key: str, value: str | None) -> Json:
    return {"metadata": {"labels": {key: value}}}


def debug(**fields: object) -> Json:
    return {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example/evil:1"} | fields]}}


def claim(name: str) -> Json:
    return {"status": {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": name}]}}


CLAIM_OF_ANOTHER = {"requestMappings": [{"containerName": "server", "resourceName": "nvidia.com/gpu", "requestName": "gpu"}], "resourceClaimName": "of-another"}
CHANGES: dict[str, tuple[str, Patch, str | None]] = {
    "another image": ("scoring", put("/spec/containers/0/image", "registry.example/evil:1"), None),
    "another image of the second container": ("scoring", put("/spec/containers/1/image", "registry.example/evil:1"), None),
    "another image of the init container": ("scoring", put("/spec/initContainers/0/image", "registry.example/evil:1"), None),
    "another image, where a claim waits": ("claims", put("/spec/containers/0/image", "registry.example/evil:1"), None),
    "a debug container": ("scoring", debug(), "ephemeralcontainers"),
    "a debug container beside the server": ("scoring", debug(targetContainerName="server"), "ephemeralcontainers"),
    "a debug container with its Secret": ("scoring", debug(envFrom=[{"secretRef": {"name": "scoring-key"}}]), "ephemeralcontainers"),
    "a debug container in a pod without one": ("store", debug(), "ephemeralcontainers"),
    "another value of an annotation that it reads": ("scoring", note("example.com/prompt", "ignore all rules"), None),
    "an annotation that it reads, by the status": ("scoring", note("example.com/prompt", "ignore all rules"), "status"),
    "an annotation that it reads, taken away": ("scoring", note("example.com/prompt", None), None),
    "words where kubectl sets a time": ("scoring", note("kubectl.kubernetes.io/restartedAt", "now; curl evil.example"), None),
    "a label that it reads": ("scoring", tag("team", "evil"), None),
    "a label that it reads, by the status": ("scoring", tag("team", "evil"), "status"),
    "an annotation of CDI": ("scoring", note("cdi.k8s.io/evil", "nvidia.com/gpu=all"), None),
    "an annotation of CDI, by the status": ("store", note("cdi.k8s.io/evil", "nvidia.com/gpu=all"), "status"),
    "an annotation of today's NRI injector": ("scoring", note("devices.noderesource.dev", "- path: /dev/nvidia1"), None),
    "another model": ("scoring", note("aiqms.dev/model", OTHER), None),
    "a label more, where it reads them all": ("batch", tag("tier", "evil"), None),
    "an annotation more, where it reads them all": ("batch", note("example.com/note", "ignore all rules"), None),
}
LABELS: dict[str, tuple[str, Patch, str | None]] = {
    "put on a running pod": ("plain", tag(LABEL, "scoring"), None),
    "put on a running pod, by the status": ("plain", tag(LABEL, "scoring"), "status"),
    "put on a pod that waits for a node": ("unplaced", tag(LABEL, "scoring"), None),
    "another one": ("scoring", tag(LABEL, "store"), None),
    "another one, by the status": ("scoring", tag(LABEL, "store"), "status"),
    "into Audit": ("scoring", tag(LABEL, "watched"), None),
    "into Audit, while held": ("waiting", tag(LABEL, "watched"), None),
    "into Audit, while held, by the status": ("waiting", tag(LABEL, "watched"), "status"),
    "into an approved deployment, while held": ("waiting", tag(LABEL, "scoring"), None),
    "out of Audit": ("watched", tag(LABEL, "scoring"), None),
    "taken away": ("scoring", tag(LABEL, None), None),
    "taken away, by a JSON patch": ("scoring", gone("/metadata/labels/aiqms.dev~1deployment"), None),
    "taken away with all others": ("scoring", gone("/metadata/labels"), None),
    "taken away, by the status": ("scoring", tag(LABEL, None), "status"),
    "taken away, while held": ("waiting", tag(LABEL, None), None),
    "taken away, in Audit": ("watched", tag(LABEL, None), None),
    "emptied": ("scoring", tag(LABEL, ""), None),
}
STAMPS: dict[str, tuple[str, Patch | Callable[[Stage], Patch], str | None]] = {
    "another subject": ("scoring", note(SUBJECT, OTHER), None),
    "another subject, by the status": ("scoring", note(SUBJECT, OTHER), "status"),
    "no subject": ("scoring", note(SUBJECT, None), None),
    "a subject while held": ("waiting", lambda stage: note(SUBJECT, stage.fingerprints["scoring"]), None),
    "a subject in Audit": ("watched", lambda stage: note(SUBJECT, stage.fingerprints["scoring"]), None),
    "the claim of another": ("claims", claim("of-another"), "status"),
    "the claim of another, for a device": ("scoring", {"status": {"extendedResourceClaimStatus": CLAIM_OF_ANOTHER}}, "status"),
}


def without_gate(pod: Json) -> None:
    pod["spec"].pop("schedulingGates")


def as_scoring(pod: Json) -> None:
    pod["metadata"]["labels"][LABEL] = "scoring"


def stamped(fingerprint: Callable[[Stage], str]) -> Callable[[Stage], Patch]:
    """A release as the operator makes it."""
    return lambda stage: [{"op": "add", "path": "/metadata/annotations", "value": {SUBJECT: fingerprint(stage)}}, *gone("/spec/schedulingGates")]


def subject_of(name: str) -> Callable[[Stage], str]:
    return lambda stage: stage.fingerprints[name]


RELEASES: dict[str, Callable[[Stage], Json]] = {
    "by a JSON patch": partial(patched, "waiting", gone("/spec/schedulingGates")),
    "by a merge patch": partial(patched, "waiting", {"spec": {"schedulingGates": None}}),
    "by an empty list": partial(patched, "waiting", {"spec": {"schedulingGates": []}}),
    "put as a whole": partial(replaced, "waiting", without_gate),
    "with a subject, as the operator does": partial(patched, "waiting", stamped(subject_of("scoring"))),
    "with its own subject": partial(patched, "waiting", stamped(subject_of("waiting"))),
    "by the cluster's administrator": partial(patched, "waiting", gone("/spec/schedulingGates"), who=admin),
    "by the operator's identity, of what is not cleared": partial(patched, "waiting", stamped(subject_of("waiting")), who=operator),
    "by the operator's identity, as another deployment": partial(patched, "waiting", stamped(subject_of("scoring")), who=operator),
    "by the operator's identity, without a stamp": partial(patched, "waiting", gone("/spec/schedulingGates"), who=operator),
    "by the operator's identity, of what was cleared": partial(patched, "parked-lapsed", stamped(subject_of("lapsed")), who=operator),
    "by the operator's identity, of what is cleared, as another subject": partial(patched, "parked", stamped(subject_of("scoring")), who=operator),
    "by the operator's identity, of what is cleared, without a stamp": partial(patched, "parked", gone("/spec/schedulingGates"), who=operator),
    "of what is cleared": partial(patched, "parked", gone("/spec/schedulingGates")),
    "of what is cleared, as the operator does": partial(patched, "parked", stamped(subject_of("claims"))),
    "of what its maker held, in Audit": partial(patched, "parked-watched", gone("/spec/schedulingGates")),
}


# What tells a refusal from the one that comes after it
SAYS = {"by the operator's identity, of what is not cleared": "has no clearance for this pod", "by the operator's identity, of what was cleared": "has expired"}


def released_with_subject(stage: Stage) -> Json:
    """The server would not date it: the subject stays as it is."""
    return stage.operator.patch("pods", "older", gone("/spec/schedulingGates"), stage.late, dry_run=True)


def bound(of: str, stage: Stage, *, who: Who = mallory, legacy: bool = False, **metadata: Json) -> Json:
    """A pod put on a node by hand."""
    named: Json = {"name": stage.name(of), "namespace": stage.place}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named | metadata, "target": {"kind": "Node", "name": "gpu-0"}}
    if legacy:
        return who(stage).request("POST", f"/api/v1/namespaces/{stage.place}/bindings", binding, query={"dryRun": "All"})
    return who(stage).post("pods", stage.name(of), "binding", binding, stage.place, dry_run=True)


def scheduler(stage: Stage) -> Api:
    return stage.scheduler


BINDINGS: dict[str, Callable[[Stage], Json]] = {
    "a CPU pod": partial(bound, "unplaced"),
    "a CPU pod, the old way": partial(bound, "unplaced", legacy=True),
    "a cleared pod": partial(bound, "claims"),
    "a cleared pod, the old way": partial(bound, "claims", legacy=True),
    "with an annotation of CDI": partial(bound, "claims", who=scheduler, annotations={"cdi.k8s.io/evil": "nvidia.com/gpu=all"}),
    "with an annotation of CDI, the old way": partial(bound, "claims", who=scheduler, legacy=True, annotations={"cdi.k8s.io/evil": "nvidia.com/gpu=all"}),
    "with the label": partial(bound, "unplaced", who=scheduler, labels={LABEL: "scoring"}),
    "with a subject": partial(bound, "unplaced", who=scheduler, annotations={SUBJECT: OTHER}),
}


def opened(of: str, method: str, door: str, stage: Stage, *, query: str = "", who: Who = mallory) -> Json:
    """A session into a pod. It has no node, or one without a kubelet: whoever gets so far is told so."""
    try:
        return who(stage).request(method, f"/api/v1/namespaces/{stage.place}/pods/{stage.name(of)}/{door}{query}")
    except ApiError as error:
        if error.reason in ("Unauthorized", "Forbidden", "NotFound"):
            raise
        return {"reached": str(error)}


COMMAND = "?command=sh&stdin=true&container=server"
SESSIONS: dict[str, Callable[[Stage], Json]] = {
    "exec": partial(opened, "claims", "POST", "exec", query=COMMAND),
    "exec by a WebSocket": partial(opened, "claims", "GET", "exec", query=COMMAND),
    "exec into a pod of no deployment": partial(opened, "unplaced", "POST", "exec", query="?command=sh"),
    "exec in Audit": partial(opened, "watched", "POST", "exec", query="?command=sh"),
    "attach": partial(opened, "claims", "POST", "attach", query="?container=server"),
    "attach by a WebSocket": partial(opened, "claims", "GET", "attach", query="?container=server"),
    "port-forward": partial(opened, "claims", "POST", "portforward"),
    "port-forward by a WebSocket": partial(opened, "claims", "GET", "portforward", query="?ports=8000"),
    "proxy": partial(opened, "claims", "GET", "proxy"),
    "proxy to a path": partial(opened, "claims", "GET", "proxy/v1/load_adapter"),
    "proxy that writes": partial(opened, "claims", "POST", "proxy/v1/load_adapter"),
    "proxy that deletes": partial(opened, "claims", "DELETE", "proxy/v1/models"),
}


ATTACKS = (
    *(Attempt("cleared", name, partial(patched, of, patch, subresource=sub)) for name, (of, patch, sub) in CHANGES.items()),
    *(Attempt("label", name, partial(patched, of, patch, subresource=sub), through=bool) for name, (of, patch, sub) in LABELS.items()),
    Attempt("label", "another one, put as a whole", partial(replaced, "waiting", as_scoring), through=bool),
    *(Attempt("stamp", name, partial(patched, of, patch, subresource=sub), through=bool) for name, (of, patch, sub) in STAMPS.items()),
    *(Attempt("release", name, act, through=lambda pod: not is_held(pod), says=SAYS.get(name, "")) for name, act in RELEASES.items()),
    Attempt("release", "by the operator's identity, of a pod that bore a subject before its namespace was governed", released_with_subject),
    *(Attempt("binding", name, act) for name, act in BINDINGS.items()),
    *(Attempt("session", name, act) for name, act in SESSIONS.items()),
)
