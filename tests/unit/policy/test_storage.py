"""access.storage: of which StorageClass the pods' files are, and what the status lists of what they read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiqms.api.deployment import DeploymentStatus, Reads, VolumeSeen
from aiqms.gate.rules import TOKEN
from aiqms.policy.decide import decide
from aiqms.policy.facts import Input, WorkloadFacts
from aiqms.policy.surroundings import Surroundings, Uses, Volume, uses
from tests.unit.policy.given import approve, cleared, controls, day, given, pod, procedure, workload

REF = "StatefulSet/scoring"
ROW = "high-risk/access/storage"
ENCRYPTED = procedure(access={"storage": {"classes": ["encrypted", "encrypted-fast"]}})
ALLOWED = "; allowed is StorageClass encrypted or encrypted-fast"
Says = tuple[str, str, str]


def keeps(*volumes: Volume, claims: dict[str, str] | None = None, pods: dict[str, tuple[Volume, ...]] | None = None, of: Any = ENCRYPTED) -> Input:
    """An approved deployment whose pods have these volumes."""
    own = {name: Uses(volumes=each) for name, each in (pods or {}).items()}
    around = Surroundings(workloads={REF: Uses(volumes=volumes)}, pods=own, claims=claims or {})
    return given(approve("alice"), procedures=[of], pods=[pod(name) for name in own], around=around)


def volume(kind: str, claim: str = "", class_: str | None = None) -> Volume:
    return Volume("data", kind, claim, class_)


def fail(said: str) -> Says:
    return "Fail", "StorageNotAllowed", said + ALLOWED


def passes(said: str) -> Says:
    return "Pass", "StorageAllowed", said


GOOD = passes("every volume that keeps data is of StorageClass encrypted")
CLAIM, OWN, EPHEMERAL = "PersistentVolumeClaim", "VolumeClaimTemplate", "Ephemeral"

CASES: dict[str, tuple[Input, Says | None]] = {
    "nothing is asked": (keeps(volume("HostPath"), of=procedure()), None),
    "no volume": (keeps(), passes("no volume keeps data")),
    "what ends with the pod, or is the API server's": (
        keeps(*(Volume(k.lower(), k) for k in ("ConfigMap", "Secret", "Projected", "DownwardAPI", "EmptyDir", "Image"))), passes("no volume keeps data")
    ),
    "a claim of such a class": (keeps(volume(CLAIM, "model"), claims={"model": "encrypted"}), GOOD),
    "a claim of another class": (keeps(volume(CLAIM, "model"), claims={"model": "standard"}), fail("claim model is of StorageClass standard")),
    "a claim of no class": (keeps(volume(CLAIM, "model"), claims={"model": ""}), fail("claim model is of no StorageClass")),
    "a claim that does not exist": (keeps(volume(CLAIM, "model")), ("Error", "StorageUnknown", "claim model does not exist: create it")),
    "a path of the node": (keeps(volume("HostPath")), fail(f"volume data of {REF} is of kind HostPath, which has no StorageClass")),
    "a volume of a driver's own": (keeps(volume("Csi")), fail(f"volume data of {REF} is of kind Csi, which has no StorageClass")),
    "an ephemeral claim of such a class": (keeps(volume(EPHEMERAL, class_="encrypted")), GOOD),
    "an ephemeral claim of another": (keeps(volume(EPHEMERAL, class_="fast")), fail(f"volume data of {REF} is of StorageClass fast")),
    "an ephemeral claim of whatever is the default": (
        keeps(volume(EPHEMERAL)), fail(f"volume data of {REF} names no StorageClass in its claim template: name one there")
    ),
    "a StatefulSet's claims of such a class": (
        keeps(volume(OWN, "data-scoring", "encrypted"), claims={"data-scoring-0": "encrypted"}), GOOD
    ),
    "claims whose names only begin like a StatefulSet's": (
        keeps(volume(OWN, "data-scoring", "encrypted"), claims={"data-scoring-x": "standard", "data-scoring-x-0": "standard"}), GOOD
    ),
    "a StatefulSet whose pods are not made yet": (keeps(volume(OWN, "data-scoring", "encrypted")), GOOD),
    "a StatefulSet that names none, and gets the default": (keeps(volume(OWN, "data-scoring"), claims={"data-scoring-0": "encrypted"}), GOOD),
    "a StatefulSet that names none, with no pod yet": (
        keeps(volume(OWN, "data-scoring")),
        ("Error", "StorageUnknown",
         f"volume data of {REF} names no StorageClass in its claim template, and no claim of it exists yet: name one there, or have a pod made"),
    ),
    "a StatefulSet that says it wants none": (
        keeps(volume(OWN, "data-scoring", "")), fail(f"volume data of {REF} names no StorageClass in its claim template: name one there")
    ),
    "a claim made beforehand in the name of a StatefulSet's": (
        keeps(volume(OWN, "data-scoring", "encrypted"), claims={"data-scoring-0": "encrypted", "data-scoring-1": "standard"}),
        fail("claim data-scoring-1 is of StorageClass standard"),
    ),
    "a claim beside others that are named as a StatefulSet's": (keeps(volume(CLAIM, "model"), claims={"model": "encrypted", "model-0": "standard"}), GOOD),
    "a claim in the name of an ephemeral one's, which no pod takes": (
        keeps(volume(EPHEMERAL, class_="encrypted"), pods={"x": (volume(EPHEMERAL, "x-data", "encrypted"),)}, claims={"x-data": "standard"}), GOOD
    ),
    "a pod's own claim": (
        keeps(volume(OWN, "data-scoring", "encrypted"), pods={"x": (volume(CLAIM, "data-x"),)}, claims={"data-x": "standard"}),
        fail("claim data-x is of StorageClass standard"),
    ),
    "a pod's own claim that is just being made": (keeps(volume(OWN, "data-scoring", "encrypted"), pods={"x": (volume(CLAIM, "data-x"),)}), GOOD),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_control(case: tuple[Input, Says | None]) -> None:
    of, says = case
    assert controls(of, day(1)).get(ROW) == says


@pytest.mark.parametrize("there", [[], [workload()]], ids=["no workload yet", "one of two workloads"])
def test_what_does_not_exist_was_not_looked_at(there: list[WorkloadFacts]) -> None:
    of = replace(keeps(), workloads=(*there, workload(None, ref="Job/batch")))
    assert controls(of, day(1))[ROW] == ("Skip", "WorkloadMissing", "this is known once every workload exists")


def test_a_claim_that_turns_up_in_another_class_ends_the_permission() -> None:
    wanted = volume(OWN, "data-scoring", "encrypted")
    assert cleared(decide(keeps(wanted), day(1)), day(1)) == ["v1"]
    assert cleared(decide(keeps(wanted, claims={"data-scoring-0": "standard"}), day(1)), day(1)) == []


POD: Any = {
    "metadata": {"name": "scoring-0"},
    "spec": {
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "main",
                "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "key"}}}, {"name": "PORT", "value": "8000"}],
                "envFrom": [{"configMapRef": {"name": "mode"}}],
            }
        ],
        "ephemeralContainers": [{"name": "debug", "envFrom": [{"secretRef": {"name": "debug"}}]}],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "tls"}},
            {"name": "both", "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "part"}}]}},
            {"name": "injected", "projected": TOKEN},
            {"name": "files", "configMap": {"name": "files"}},
            {"name": "store", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "driver"}}},
            {"name": "share", "azureFile": {"secretName": "azure", "shareName": "s"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-scoring-0"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "encrypted"}}}},
            {"name": "tmp"},
        ],
    },
}  # fmt: skip


def test_what_a_pod_reads() -> None:
    found = uses(POD)
    assert found.secrets == ("azure", "debug", "driver", "key", "part", "pull", "tls")
    assert found.config_maps == ("files", "mode", "part")
    assert found.volumes == (
        Volume("both", "Projected"), Volume("data", CLAIM, "data-scoring-0"), Volume("files", "ConfigMap"), Volume("injected", "Projected"),
        Volume("scratch", EPHEMERAL, "scoring-0-scratch", "encrypted"),
        Volume("share", "AzureFile"), Volume("store", "Csi"), Volume("tls", "Secret"), Volume("tmp", "EmptyDir"),
    )  # fmt: skip


def test_an_ephemeral_claim_of_a_template_has_no_name_yet() -> None:
    assert uses(POD | {"metadata": {}}).volumes[4] == Volume("scratch", EPHEMERAL, "", "encrypted")


def test_a_statefulsets_volume_is_known_by_its_claim_template() -> None:
    templates = [{"metadata": {"name": "data"}, "spec": {"storageClassName": "encrypted"}}, {"metadata": {"name": "more"}, "spec": {}}]
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-scoring-0"}} for name in ("data", "more", "other")]
    found = uses({"metadata": {}, "spec": {"containers": [], "volumes": volumes}}, templates).volumes
    assert found == (Volume("data", OWN, "data-scoring", "encrypted"), Volume("more", OWN, "more-scoring"), Volume("other", CLAIM, "other-scoring-0"))


def test_the_status_lists_secrets_config_maps_and_volumes_of_templates_and_pods() -> None:
    shared = Volume("tmp", "EmptyDir"), Volume("scratch", EPHEMERAL, "", "encrypted")
    declared = Uses(secrets=("key",), config_maps=("mode",), volumes=(volume(OWN, "data-scoring"), Volume("m", "ConfigMap"), *shared))
    own = volume(CLAIM, "data-scoring-0"), Volume("scratch", EPHEMERAL, "scoring-0-scratch", "encrypted")
    running = Uses(secrets=("old",), volumes=(*own, Volume("disk", "HostPath"), Volume("tmp", "EmptyDir"), Volume("m", "HostPath")))
    around = Surroundings(workloads={REF: declared}, pods={"scoring-0": running}, claims={"data-scoring-0": "encrypted"})
    assert decide(given(around=around), day(1)).status.reads == Reads(
        secrets=["key", "old"],
        config_maps=["mode"],
        volumes=[
            VolumeSeen(name="data", kind=CLAIM, claim="data-scoring-0", storage_class="encrypted"),
            VolumeSeen(name="data", kind=OWN),
            VolumeSeen(name="disk", kind="HostPath"),
            VolumeSeen(name="m", kind="HostPath"),
            VolumeSeen(name="scratch", kind=EPHEMERAL, storage_class="encrypted"),
            VolumeSeen(name="tmp", kind="EmptyDir"),
        ],
    )


def test_volumes_that_differ_by_their_class_alone_are_listed_in_one_order() -> None:
    classes = [f"c{n:02}" for n in range(20)]
    around = Surroundings(workloads={f"Deployment/{c}": Uses(volumes=(volume(EPHEMERAL, class_=c),)) for c in (*classes, None)})
    assert [v.storage_class for v in decide(given(around=around), day(1)).status.reads.volumes] == ["", *classes]


def test_a_list_that_is_too_long_says_how_much_it_leaves_out() -> None:
    many = Uses(secrets=tuple(f"s{n:03}" for n in range(260)), volumes=tuple(Volume(f"v{n:03}", "EmptyDir") for n in range(70)))
    found = decide(given(around=Surroundings(workloads={REF: many})), day(1)).status.reads
    assert (len(found.secrets), len(found.volumes), found.omitted) == (256, 64, 10)


def test_names_that_no_object_can_have_are_cut_to_what_a_status_can_hold() -> None:
    """The API server lets a pod name a claim, a Secret or a ConfigMap of any length."""
    long = "x" * 10_000
    used = Uses(secrets=(long,), config_maps=(long,), volumes=(Volume(long, CLAIM, long), Volume("other", "C" * 100)))
    asked = procedure(access={"storage": {"classes": ["encrypted"]}})
    decision = decide(given(procedures=[asked], around=Surroundings(workloads={REF: used}, claims={long: long})), day(1))
    found = decision.status.reads
    assert (found.secrets, found.config_maps) == ([long[:253]], [long[:253]])
    assert found.volumes[1] == VolumeSeen(name=long[:63], kind=CLAIM, claim=long[:253], storage_class=long[:253])
    assert DeploymentStatus.model_validate(decision.status.dump()).reads == found
    (said,) = [c.message for c in decision.status.controls if c.id == "access/storage"]
    assert f"claim {long[:253]} is of StorageClass" in said
