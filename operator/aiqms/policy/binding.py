"""How a pod template is tied to a model: bound to it by digest, declaring it, or neither."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aiqms.api.conditions import Reason
from aiqms.api.values import Json
from aiqms.policy.images import Image, allowed, images
from aiqms.policy.words import some

MODEL = "aiqms.dev/model"
_TOLD = f"metadata.annotations['{MODEL}']"
_INDEX = "metadata.labels['batch.kubernetes.io/job-completion-index']"  # which the Job controller gives to every container of an Indexed Job
_TERMINATION = "/dev/termination-log"  # the API server's default, which the kubelet mounts into every container
_HARMLESS = ("name", "image", "imagePullPolicy", "env", "command", "args", "restartPolicy", "securityContext", "terminationMessagePolicy")  # or judged apart
_PROGRAMS = ("", "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")  # folders of an image that hold what it runs
_OWN = ("emptyDir", "ephemeral", "statefulSetClaim")  # volumes that no other volume of the pod can be
_READ_ONLY = ("configMap", "downwardAPI", "image", "projected", "secret")  # volumes that no container can write to


@dataclass(frozen=True)
class Tie:
    """reason: MODEL_MISMATCH, MODEL_BOUND, MODEL_DECLARED_ONLY or MODEL_DECLARED_NOWHERE.

    detail: the model declared instead; by what it is bound; why what looks like a binding is none.
    """

    reason: Literal[Reason.MODEL_MISMATCH, Reason.MODEL_BOUND, Reason.MODEL_DECLARED_ONLY, Reason.MODEL_DECLARED_NOWHERE]
    detail: str = ""


def tie(template: Json, digest: str, checkers: Sequence[str]) -> Tie:
    """Of a normal pod template to the model of this digest. checkers: patterns of the init containers' images that compare files and annotation.

    What a container does with the model it is given is not seen here: people approve the template, and this says what they may rely on.
    """
    declared = template["annotations"].get(MODEL)
    if declared and declared != digest:
        return Tie(Reason.MODEL_MISMATCH, declared)
    carried = [(i, "", _idle(template["pod"], i)) for i in images(template) if i.digest == digest]
    asked = [i for i in images(template) if i.place == "initContainers" and allowed(i, checkers)] if declared else []
    found = [*carried, *((i, ", which compares the files", doubt(template["pod"], i)) for i in asked)]
    sure = [f"{image.where}{how}" for image, how, why in found if not why]
    if sure:
        return Tie(Reason.MODEL_BOUND, sure[0])
    return Tie(Reason.MODEL_DECLARED_ONLY if declared else Reason.MODEL_DECLARED_NOWHERE, some([f"{i.where} {why}" for i, _, why in found], "; ", most=3))


# Why an image of the model's digest may not be what is served


def _idle(pod: Json, image: Image) -> str:
    """Empty where a container that serves has it: as its own image, or as an image volume that it mounts."""
    if image.place == "volumes":
        return "" if any(image.name in _mounted(c) for c in _serving(pod)) else "is mounted by no container that goes on running"
    return "" if any(c["fields"].get("name", "") == image.name for c in _serving(pod)) else "ends before anything is served"


def _serving(pod: Json) -> list[Json]:
    return [*pod["containers"], *(c for c in pod.get("initContainers", []) if _sidecar(c))]


def _sidecar(container: Json) -> bool:
    return bool(container["fields"].get("restartPolicy") == "Always")


def _mounted(container: Json) -> dict[str, list[Json]]:
    """Its mounts by volume."""
    found: dict[str, list[Json]] = {}
    for mount in container.get("mounts", []):
        found.setdefault(mount["name"], []).append(mount)
    return found


# Why an init container of a checker's image may not check what is served


@dataclass(frozen=True)
class Checking:
    """An init container that should compare the files. pod: normal; at: its place among the init containers."""

    pod: Json
    image: Image
    at: int

    @property
    def container(self) -> Json:
        """Itself."""
        found: Json = self.pod["initContainers"][self.at]
        return found

    @property
    def fields(self) -> Json:
        """All of it but its mounts and resources."""
        found: Json = self.container["fields"]
        return found

    @property
    def shared(self) -> list[str]:
        """The volumes that it mounts, and a container that serves too."""
        served = {name for c in _serving(self.pod) for name in _mounted(c)}
        return [name for name in _mounted(self.container) if name in served and not _content(self.pod, name)]

    @property
    def others(self) -> list[tuple[str, Json]]:
        """Who may still write once it has ended: the containers, the init containers behind it, and every sidecar."""
        before, behind = self.pod["initContainers"][: self.at], self.pod["initContainers"][self.at + 1 :]
        inits = [*(c for c in before if _sidecar(c)), *behind]
        return [*(("init container", c) for c in inits), *(("container", c) for c in self.pod["containers"])]


def doubt(pod: Json, image: Image) -> str:
    """The first reason of DOUBTS; empty where it checks."""
    at = next(n for n, c in enumerate(pod["initContainers"]) if c["fields"].get("name", "") == image.name)
    return next((why for each in DOUBTS if (why := each(Checking(pod, image, at)))), "")


def _unpinned(of: Checking) -> str:
    return "" if of.image.digest else "is not pinned by digest"


def _sided(of: Checking) -> str:
    return "is a sidecar, for whose end nobody waits" if _sidecar(of.container) else ""


def _commanded(of: Checking) -> str:
    return "has a command in place of its image's own" if of.fields.get("command") else ""


def _argued(of: Checking) -> str:
    return "has arguments in place of its image's own" if of.fields.get("args") else ""


def _changed(of: Checking) -> str:
    """What this version does not know may change what runs too: a working directory does, where the image names its program by a relative path."""
    odd = sorted(k for k, v in of.fields.items() if v and k not in _HARMLESS and (k, v) != ("terminationMessagePath", _TERMINATION))
    return f"sets {some(odd)}, which may change what it does" if odd else ""


def _set(of: Checking) -> str:
    """A variable such as LD_PRELOAD has another program run."""
    odd = [e.get("name", "") for e in of.fields.get("env") or [] if _path(e.get("valueFrom") or {}) not in (_TOLD, _INDEX)]
    return f"sets env {some(odd)}, which may change what it does" if odd else ""


def _untold(of: Checking) -> str:
    told = any(_path(e.get("valueFrom") or {}) == _TOLD for e in of.fields.get("env") or []) or any(_tells(of.pod, name) for name in _mounted(of.container))
    return "" if told else f"does not read annotation {MODEL}: give it by fieldRef in env, or by a downwardAPI volume"


def _path(source: Json) -> str:
    return str((source.get("fieldRef") or {}).get("fieldPath", ""))


def _tells(pod: Json, volume: str) -> bool:
    source = pod.get("volumes", {}).get(volume, {})
    every = [source, *((source.get("projected") or {}).get("sources") or [])]
    return any(_path(item) in (_TOLD, "metadata.annotations") for s in every for item in (s.get("downwardAPI") or {}).get("items") or [])


def _covering(of: Checking) -> str:
    """A volume over its program is another program; and so is a file of one."""
    mounts = [m for each in _mounted(of.container).values() for m in each]
    odd = [m for m in mounts if m.get("subPath") or m.get("subPathExpr") or _folder(m) in _PROGRAMS]
    if not odd:
        return ""
    part = "a part of volume" if odd[0].get("subPath") or odd[0].get("subPathExpr") else "volume"
    return f"mounts {part} {odd[0]['name']} at {odd[0].get('mountPath', '')}, where its program may lie: mount the whole at a folder of its own"


def _folder(mount: Json) -> str:
    return posixpath.normpath(f"/{mount.get('mountPath', '')}").lstrip("/").partition("/")[0]


def _blind(of: Checking) -> str:
    return "" if of.shared else "mounts no volume that a container serves from"


def _overwritten(of: Checking) -> str:
    return next((f"does not see what {what} {_name(c)} may write to volume {v} afterwards: mount it there read-only" for what, c, v in _writers(of)), "")


def _writers(of: Checking) -> Iterator[tuple[str, Json, str]]:
    same = {name: shared for shared in of.shared for name in _same(of.pod, shared)}
    for what, container in of.others:
        for name, mounts in _mounted(container).items():
            if name in same and not _locked(of.pod, name) and not all(m.get("readOnly") for m in mounts):
                yield what, container, name


def _name(container: Json) -> str:
    return str(container["fields"].get("name", ""))


def _kind(pod: Json, volume: str) -> str:
    return next((k for k in pod.get("volumes", {}).get(volume, {}) if k != "name"), "emptyDir")


def _content(pod: Json, volume: str) -> bool:
    """Whether it holds what the API server or the kubelet put there; an image volume is a model's place."""
    return _kind(pod, volume) in _READ_ONLY and _kind(pod, volume) != "image"


def _locked(pod: Json, volume: str) -> bool:
    kind = _kind(pod, volume)
    source = pod.get("volumes", {}).get(volume, {}).get(kind)
    return kind in _READ_ONLY or (isinstance(source, dict) and bool(source.get("readOnly")))


def _same(pod: Json, volume: str) -> list[str]:
    """Volumes of the pod by which the same files may be written: it, others of the same claim, and of whatever has no claim all of its kind."""
    kind = _kind(pod, volume)
    alike = [n for n in pod.get("volumes", {}) if _kind(pod, n) == kind] if kind not in _OWN else []
    return [volume, *(n for n in alike if kind != "persistentVolumeClaim" or _claim(pod, n) == _claim(pod, volume))]


def _claim(pod: Json, volume: str) -> str:
    return str(pod["volumes"][volume]["persistentVolumeClaim"].get("claimName", ""))


def _watched(of: Checking) -> str:
    """A sidecar that sees its processes may change what it reads, or what it does."""
    shared = of.pod.get("fields", {}).get("shareProcessNamespace") and any(_sidecar(c) for c in of.pod["initContainers"][: of.at])
    return "shares its processes with a sidecar" if shared else ""


DOUBTS: list[Callable[[Checking], str]] = [
    _unpinned, _sided, _commanded, _argued, _changed, _set, _covering, _blind, _untold, _overwritten, _watched,
]  # fmt: skip
