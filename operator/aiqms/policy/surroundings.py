"""What surrounds a deployment's pods: what they run as, what they read, and what leads to them. Values, and how they are read off a pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aiqms.api.deployment import Exposure
from aiqms.api.values import Json

DEFAULT = "default"  # the ServiceAccount that every namespace has
PUBLISHED = "kube-root-ca.crt"  # the ConfigMap that every namespace has, and that comes with an injected token
FROM_TEMPLATE = "VolumeClaimTemplate"  # a StatefulSet's volume, of which each pod has its own claim


@dataclass(frozen=True)
class Volume:
    """kind: the field of the volume that is set, in capitals. claim: the PersistentVolumeClaim; of FROM_TEMPLATE what its claims' names begin with.

    storage_class: that a claim's template in the workload names; None where it names none, or is no template.
    """

    name: str
    kind: str
    claim: str = ""
    storage_class: str | None = None


@dataclass(frozen=True)
class Uses:
    """What a pod, or the pods of a template, use. account: the ServiceAccount. automount: as the pod says, None where it does not.

    tokens: volumes with a token of the ServiceAccount. ports: of the node, that lead to the pod; host: it has the node's network.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    account: str = DEFAULT
    automount: bool | None = None
    tokens: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    host: bool = False
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Leading:
    """An object that leads to pods. namespace: its own. at: ports or host names. plain: where it does not ask for TLS; unknown: where nobody can say."""

    kind: str
    namespace: str
    name: str
    exposure: Exposure
    at: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Surroundings:
    """Of one deployment. workloads: by reference; pods: by name. accounts: each ServiceAccount that these name -> what else is seen to use it.

    claims: PersistentVolumeClaims that its pods use -> their StorageClass, empty for none; one that does not exist is not there.
    endpoints: what leads to pods of any of these; reaching: to those that run.
    """

    workloads: Mapping[str, Uses] = field(default_factory=dict)
    pods: Mapping[str, Uses] = field(default_factory=dict)
    accounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    endpoints: tuple[Leading, ...] = ()
    reaching: tuple[Leading, ...] = ()


def numbered(claim: str) -> str:
    """What the name of a StatefulSet's claim begins with, before the number of its pod; empty where it ends with none."""
    stem, _, number = claim.rpartition("-")
    return stem if number.isdecimal() else ""


def uses(pod: Json, claim_templates: Iterable[Json] = ()) -> Uses:
    """Of a pod {metadata, spec} as the API server stores it, not of its normal form, which leaves out every token that looks like an injected one.

    claim_templates: a StatefulSet's.
    """
    spec, metadata = pod["spec"], pod["metadata"]
    volumes, containers = spec.get("volumes") or [], _containers(spec)
    own = {c["metadata"]["name"]: c["spec"].get("storageClassName") for c in claim_templates}
    return Uses(
        labels=metadata.get("labels") or {},
        account=spec.get("serviceAccountName") or DEFAULT,
        automount=spec.get("automountServiceAccountToken"),
        tokens=tuple(v["name"] for v in volumes if any("serviceAccountToken" in s for s in _sources(v))),
        secrets=_sorted([*_pulled(spec), *_from_env(containers, "secret"), *(s for v in volumes for s in _secrets(v))]),
        config_maps=_sorted([*_from_env(containers, "configMap"), *(s for v in volumes for s in _config_maps(v))]),
        volumes=tuple(sorted((_volume(v, own, metadata.get("name", "")) for v in volumes), key=lambda v: v.name)),
        host=bool(spec.get("hostNetwork")),
        ports=tuple(sorted({p["hostPort"] for c in containers for p in c.get("ports") or [] if p.get("hostPort")})),
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({n for n in names if n}))


def _containers(spec: Json) -> list[Json]:
    return [c for kind in ("containers", "initContainers", "ephemeralContainers") for c in spec.get(kind) or []]


def _from_env(containers: Iterable[Json], kind: str) -> Iterator[str]:
    """Names of Secrets or ConfigMaps that environment variables come from."""
    for container in containers:
        yield from ((source.get(f"{kind}Ref") or {}).get("name", "") for source in container.get("envFrom") or [])
        yield from (((e.get("valueFrom") or {}).get(f"{kind}KeyRef") or {}).get("name", "") for e in container.get("env") or [])


def _pulled(spec: Json) -> Iterator[str]:
    yield from (s.get("name", "") for s in spec.get("imagePullSecrets") or [])


def _sources(volume: Json) -> list[Json]:
    return list((volume.get("projected") or {}).get("sources") or [])


def _secrets(volume: Json) -> Iterator[str]:
    """Of the volume itself, of its parts, and those that its driver signs in with."""
    yield from ((s.get("secret") or {}).get("name", "") for s in _sources(volume))
    for source in (v for v in volume.values() if isinstance(v, dict)):
        yield source.get("secretName", "")
        yield from ((source.get(ref) or {}).get("name", "") for ref in ("secretRef", "nodePublishSecretRef"))


def _config_maps(volume: Json) -> Iterator[str]:
    yield (volume.get("configMap") or {}).get("name", "")
    names = [(s.get("configMap") or {}).get("name", "") for s in _sources(volume)]
    yield from (name for name in names if name != PUBLISHED)


def _volume(volume: Json, own: Mapping[str, str | None], pod: str) -> Volume:
    name = volume["name"]
    kind: str = next((k for k in volume if k != "name"), "emptyDir")  # the API server's default
    source = volume.get(kind) or {}
    if name in own:
        return Volume(name, FROM_TEMPLATE, claim=source["claimName"].removesuffix("-0"), storage_class=own[name])
    if kind == "ephemeral":
        claim = source.get("volumeClaimTemplate", {}).get("spec", {})
        return Volume(name, "Ephemeral", claim=f"{pod}-{name}" if pod else "", storage_class=claim.get("storageClassName"))
    return Volume(name, kind[0].upper() + kind[1:], claim=source.get("claimName", ""))
