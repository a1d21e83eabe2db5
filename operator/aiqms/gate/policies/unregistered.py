"""Pods that name no AIModelDeployment: in a governed namespace they reach no device and no node; elsewhere an open ask for a device is told, or refused."""

from __future__ import annotations

from collections.abc import Iterable

from aiqms.gate.cel import CREATED, DEVICE_ENV, IS_DEVICE, IS_GUARDED, PLAIN_RUNTIMES, SPEC_CHANGED, listed, names, regex
from aiqms.gate.policy import UNLABELLED, Check, Policy, rule
from aiqms.gate.rules import GOVERNED, HARMLESS_GUARDED, HOST_PATHS, LABEL, NO_DEVICE, PLAIN_HOST_PATHS, STRONG_CAPABILITIES

REMEDY = f"set label {LABEL} to the name of its AIModelDeployment (kubectl qms explain --help)"
NAMELESS = f"GPU pod must name its AIModelDeployment: {REMEDY}"
ASKS = f"({listed('limits')}.exists(k, {IS_DEVICE}) || {listed('requests')}.exists(k, {IS_DEVICE}) || c.?resources.?claims.orValue([]).size() > 0)"

# Of the pod `POD` (an expression that takes its place), what its container `c` may not have
GIVES_DEVICE = f"e.name.matches({DEVICE_ENV}) && (has(e.valueFrom) || !(e.?value.orValue('') in {names(NO_DEVICE)}))"
# The first part of a name that hands out devices: a key that nobody suspects brings the rest
HALVES = ["_VISIBLE_DEVICES"[:length] for length in range(2, 17)]
BUILDS_NAME = (
    "'NVIDIA_VISIBLE_DEVICES'.startsWith(e.prefix) || 'CUDA_VERSION'.startsWith(e.prefix) || e.prefix.startsWith('NVIDIA_')"
    f" || {names(HALVES)}.exists(half, e.prefix.endsWith(half))"
)
STRONG = (
    "s.?privileged.orValue(false) || s.?windowsOptions.?hostProcess.orValue(false)"
    f" || s.?capabilities.?add.orValue([]).exists(a, a.upperAscii().replace('CAP_', '') in {names(STRONG_CAPABILITIES)})"
)
IN_CONTAINER: tuple[Check, ...] = (
    (ASKS, NAMELESS),
    (f"has(c.env) && c.env.exists(e, {GIVES_DEVICE})", f"env that hands out GPUs (NVIDIA_VISIBLE_DEVICES and the like) needs an AIModelDeployment: {REMEDY}"),
    (
        f"has(c.envFrom) && c.envFrom.exists(e, e.?prefix.orValue('') != '' && ({BUILDS_NAME}))",
        f"envFrom with a prefix that can build NVIDIA_VISIBLE_DEVICES or the like: use another prefix, or {REMEDY}",
    ),
    (
        f"has(c.securityContext) && [c.securityContext].exists(s, {STRONG})",
        f"privileged containers (or SYS_ADMIN, MKNOD and the like) reach every device: drop them, or {REMEDY}",
    ),
)
EACH = "(dyn(POD.spec.containers) + dyn(POD.spec.?initContainers.orValue([])) + dyn(POD.spec.?ephemeralContainers.orValue([]))).exists(c, BAD)"

# What its spec may not have
# A path without a slash before it is taken from where the container runtime was started, which is the root.
PLAIN_PATH = f"{names(PLAIN_HOST_PATHS)}.exists(s, h.startsWith(s + '/'))"
APART = f"{names(HOST_PATHS)}.all(s, !h.startsWith(s + '/') && !(s + '/').startsWith(h))"
SAFE_PATH = f"[v.hostPath.path.endsWith('/') ? v.hostPath.path : v.hostPath.path + '/'].all(h, !h.matches(r'^[^/]|//|/[.]/') && ({PLAIN_PATH} || {APART}))"
IN_SPEC: tuple[Check, ...] = (
    (f"has(POD.spec.resources) && [dyn(POD.spec)].exists(c, {ASKS})", NAMELESS),
    ("has(POD.spec.resourceClaims)", f"pod with resource claims must name its AIModelDeployment: {REMEDY}"),
    (f"has(POD.spec.runtimeClassName) && !(POD.spec.runtimeClassName in {PLAIN_RUNTIMES})", f"runtimeClassName may give GPUs: leave it out, or {REMEDY}"),
    (
        f"has(POD.spec.volumes) && POD.spec.volumes.exists(v, has(v.hostPath) && !{SAFE_PATH})",
        f"hostPath reaches devices, drivers, the container runtime or what the node executes: mount another path, or {REMEDY}",
    ),
    ("POD.spec.?hostPID.orValue(false)", f"hostPID reaches the files and processes of cleared pods on its node: leave it out, or {REMEDY}"),
    ("POD.spec.?securityContext.?windowsOptions.?hostProcess.orValue(false)", f"host processes reach every device: drop them, or {REMEDY}"),
)
NODE_BY_HAND: Check = (f"{CREATED} && object.spec.?nodeName.orValue('') != ''", "nodeName set by hand goes round the scheduler: use nodeSelector or affinity")
IN_ANNOTATIONS: tuple[Check, ...] = (
    (
        f"POD.metadata.annotations.exists(k, {IS_GUARDED} && !k.matches({regex(HARMLESS_GUARDED)}))",
        f"annotation that makes the container runtime inject devices needs an AIModelDeployment: {REMEDY}",
    ),
    (
        "'kubernetes.io/config.mirror' in POD.metadata.annotations",
        "mirror pods are made by kubelets, outside governed namespaces: remove annotation kubernetes.io/config.mirror",
    ),
)


def of(pod: str, check: str) -> str:
    """A check with the expression for the pod filled in."""
    return check.replace("POD", pod)


def each(pod: str, bad: str) -> str:
    """Whether a container of the pod has it."""
    return of(pod, EACH).replace("BAD", bad)


def any_of(checks: Iterable[Check]) -> str:
    return "\n  || ".join(f"({bad})" for bad, _ in checks)


def checks_on(pod: str) -> list[Check]:
    """Everything that a pod without the label may not have, as long as it is no matter of the request."""
    return [
        *((each(pod, bad), message) for bad, message in IN_CONTAINER),
        *((of(pod, bad), message) for bad, message in IN_SPEC),
        *((f"has({pod}.metadata.annotations) && {of(pod, bad)}", message) for bad, message in IN_ANNOTATIONS),
    ]


def in_spec(bad: str) -> str:
    return f"({CREATED} || {SPEC_CHANGED}) && ({bad})"


def in_notes(bad: str) -> str:
    changed = "object.metadata.annotations != oldObject.metadata.?annotations.orValue({})"
    return f"has(object.metadata.annotations) && ({CREATED} || {changed}) && ({bad})"


def registered() -> Policy:
    """An unlabelled pod of a governed namespace may reach no accelerator and no node, also later, by an ephemeral container or a resize.

    Status updates and the like change neither spec nor annotations: nothing to judge then.
    """
    spec = [*IN_SPEC, NODE_BY_HAND]
    walk = f"{each('object', any_of(IN_CONTAINER))} || {of('object', any_of(spec))}"  # one walk over the containers
    return Policy(
        name="registered",
        rules=[rule(["pods"], ["CREATE"]), rule(["pods", "pods/*"], ["UPDATE"])],
        selector=UNLABELLED,
        acts=f"({in_spec(walk)})\n|| ({in_notes(of('object', any_of(IN_ANNOTATIONS)))})",
        refuse=[
            *((in_spec(each("object", bad)), message) for bad, message in IN_CONTAINER),
            *((in_spec(of("object", bad)), message) for bad, message in spec),
            *((in_notes(of("object", bad)), message) for bad, message in IN_ANNOTATIONS),
        ],
    )


def registered_env() -> Policy:
    """No ConfigMap or Secret of a governed namespace has a key that envFrom would bring into a pod unseen, and that hands out devices there."""
    hidden = " || ".join(f"dyn(o.?{kind}.orValue({{}})).exists(k, k.matches({DEVICE_ENV}))" for kind in ("data", "binaryData", "stringData"))
    return Policy(
        name="registered-env",
        rules=[rule(["configmaps", "secrets"], ["CREATE", "UPDATE"])],
        refuse=[
            (
                f"[dyn(object)].exists(o, {hidden}) && !(oldObject != null && [dyn(oldObject)].exists(o, {hidden}))",
                "a key such as NVIDIA_VISIBLE_DEVICES would reach pods by envFrom unseen: set it as env of the pod, which names its AIModelDeployment",
            )
        ],
    )


def elsewhere() -> Policy:
    """Namespaces that are not governed: an open ask for a device is told, or refused, as the platform team chooses. Nothing else is looked at there."""
    asks = f"(dyn(object.spec.containers) + dyn(object.spec.?initContainers.orValue([]))).exists(c, {ASKS})"
    pod_asks = f"(has(object.spec.resources) && [dyn(object.spec)].exists(c, {ASKS})) || object.spec.?resourceClaims.orValue([]).size() > 0"
    return Policy(
        name="elsewhere",
        rules=[rule(["pods"], ["CREATE"])],
        where="elsewhere",
        actions='{{ include "aiqms.gate.elsewhere" . }}',
        refuse=[
            (
                f"{asks} || {pod_asks}",
                f"this pod asks for an accelerator in a namespace that is not governed (label {GOVERNED}): run it in a governed one, and {REMEDY}",
            )
        ],
    )
