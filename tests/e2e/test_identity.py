"""access.serviceAccount and access.storage on a real API server: what is refused, in which words, and how it is mended."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from aiqms.gate.rules import TOKEN, TOKEN_PATH
from tests.e2e.given import LABEL, NAME, Place, held, placed, unique, workload
from tests.testbed.api import Json
from tests.testbed.cluster import Cluster

DEDICATED = {"serviceAccount": "Dedicated"}
OWN: Json = {"serviceAccountName": NAME, "automountServiceAccountToken": False}
ENCRYPTED = "encrypted"


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Iterator[Place]:
    with placed(cluster, namespace) as found:
        yield found


def said(place: Place, id_: str) -> tuple[str, str]:
    """Result and message of a control."""
    return next(((c["result"], c["message"]) for c in place.status["controls"] if c["id"] == id_), ("", ""))


def await_said(place: Place, id_: str, result: str, message: str) -> None:
    place.awaited(lambda: said(place, id_) == (result, message), f"{id_} is {result}: {message}")


def account(place: Place, name: str = NAME) -> None:
    """A namespace admin makes a ServiceAccount."""
    place.by("mallory").apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": place.namespace}})


def deploy(place: Place, name: str = NAME, *, labelled: bool = True, **spec: Any) -> None:
    """The pipeline applies the workload with these fields in its pod template; unlabelled: one without GPU, that nobody judges."""
    made = workload(place.namespace, name, labelled=name if labelled else None, model=None if not labelled else f"sha256:{'4' * 64}")
    template = made["spec"]["template"]["spec"]
    if not labelled:
        del template["containers"][0]["resources"]
    template |= spec
    place.by("mallory").apply(made)


def cleared(place: Place, access: Json, **spec: Any) -> None:
    """Running under a rule on access, with these fields in its pod template."""
    account(place)
    place.govern(access=access)
    place.register()
    deploy(place, **spec)
    place.await_pods(held=1)
    place.decide("alice")
    place.await_phase("Running", "Approved")
    place.await_pods(running=1)


class TestIdentity:
    """access.serviceAccount: Dedicated."""

    def test_the_default_account_is_refused_until_it_has_its_own(self, place: Place) -> None:
        place.govern(access=DEDICATED)
        place.register()
        place.deploy()
        place.await_pods(held=1)
        place.decide("alice")
        await_said(
            place, "access/identity", "Fail",
            f"Deployment/{NAME} runs as ServiceAccount default: name one of its own in serviceAccountName of its pod template; "
            f"Deployment/{NAME} may be given a token: set automountServiceAccountToken: false in its pod template",
        )  # fmt: skip
        place.await_phase("Held", "IdentityShared")
        account(place)
        deploy(place, **OWN)
        place.decide("alice")
        place.await_phase("Running", "Approved")
        place.await_pods(running=1)
        assert said(place, "access/identity")[0] == "Pass"

    def test_an_account_that_another_workload_takes_is_told_and_ends_the_permission(self, place: Place) -> None:
        cleared(place, DEDICATED, **OWN)
        deploy(place, "portal", labelled=False, serviceAccountName=NAME)
        told = f"Deployment/{NAME} runs as ServiceAccount {NAME}, and so does Deployment/portal: give each its own"
        await_said(place, "access/identity", "Fail", told)
        place.await_phase("Held", "IdentityShared")
        assert held(place.await_replacement(place.running()[0]))
        place.by("mallory").delete("deployments.apps", "portal", place.namespace)
        place.await_phase("Running", "Approved")
        place.await_pods(running=1)

    def test_a_pod_with_a_copy_of_the_token_is_held(self, place: Place) -> None:
        """Admission leaves out of its comparison what was injected; where nothing is, a copy of it is compared."""
        cleared(place, DEDICATED, **OWN)
        template = workload(place.namespace)["spec"]["template"]
        spec = copy.deepcopy(template["spec"]) | OWN | {"volumes": [{"name": "kube-api-access-mine", "projected": TOKEN}]}
        spec["containers"][0]["volumeMounts"] = [{"name": "kube-api-access-mine", "mountPath": TOKEN_PATH, "readOnly": True}]
        metadata = template["metadata"] | {"name": "mine", "namespace": place.namespace, "labels": {LABEL: NAME}}
        assert held(place.by("mallory").create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        place.await_pods(held=1, running=1)
        place.await_phase("Running", "Approved")


def claim(place: Place, name: str, class_: str) -> Json:
    """A claim, and a volume of its class that it is bound to: no node has a driver here."""
    ask: Json = {"accessModes": ["ReadWriteOnce"], "storageClassName": class_}
    volume = {"accessModes": ask["accessModes"], "storageClassName": class_, "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/tmp/none"}}
    place.admin.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": unique(name)}, "spec": volume})
    metadata = {"name": name, "namespace": place.namespace}
    asked = ask | {"resources": {"requests": {"storage": "1Gi"}}}
    return place.by("mallory").create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": asked})


def mounting(name: str) -> Json:
    return {"volumes": [{"name": "model", "persistentVolumeClaim": {"claimName": name}}]}


class TestStorage:
    """access.storage.classes."""

    def test_a_claim_is_waited_for_judged_and_replaced(self, place: Place) -> None:
        place.govern(access={"storage": {"classes": [ENCRYPTED]}})
        place.register()
        deploy(place, **mounting("first"))
        place.await_pods(held=1)
        place.decide("alice")
        await_said(place, "access/storage", "Error", "claim first does not exist: create it")
        claim(place, "first", "standard")
        await_said(place, "access/storage", "Fail", f"claim first is of StorageClass standard; allowed is StorageClass {ENCRYPTED}")
        place.await_phase("Held", "StorageNotAllowed")
        claim(place, "second", ENCRYPTED)
        deploy(place, **mounting("second"))
        place.decide("alice")
        await_said(place, "access/storage", "Pass", f"every volume that keeps data is of StorageClass {ENCRYPTED}")
        place.await_pods(running=1)
        place.await_phase("Running", "Approved")
        assert place.status["reads"]["volumes"] == [{"name": "model", "kind": "PersistentVolumeClaim", "claim": "second", "storageClass": ENCRYPTED}]

    def test_a_path_of_the_node_and_a_claim_template_of_another_class_are_told(self, place: Place) -> None:
        place.govern(access={"storage": {"classes": [ENCRYPTED]}})
        place.register()
        ephemeral = {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard", "resources": {"requests": {"storage": "1Gi"}}}
        scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": ephemeral}}}
        deploy(place, volumes=[{"name": "disk", "hostPath": {"path": "/data/models"}}, scratch])
        await_said(
            place, "access/storage", "Fail",
            f"volume disk of Deployment/{NAME} is of kind HostPath, which has no StorageClass; "
            f"volume scratch of Deployment/{NAME} is of StorageClass standard; allowed is StorageClass {ENCRYPTED}",
        )  # fmt: skip

    def test_a_statefulsets_claims_are_judged_also_one_made_beforehand(self, place: Place) -> None:
        place.govern(access={"storage": {"classes": [ENCRYPTED]}})
        place.register(workloads=[{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": NAME}])
        made = workload(place.namespace)
        ask = {"accessModes": ["ReadWriteOnce"], "storageClassName": ENCRYPTED, "resources": {"requests": {"storage": "1Gi"}}}
        spec = {key: made["spec"][key] for key in ("replicas", "selector", "template")}
        spec |= {"serviceName": NAME, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": ask}]}
        place.by("mallory").apply(made | {"kind": "StatefulSet", "spec": spec})
        await_said(place, "access/storage", "Pass", f"every volume that keeps data is of StorageClass {ENCRYPTED}")
        claim(place, f"data-{NAME}-7", "standard")
        await_said(place, "access/storage", "Fail", f"claim data-{NAME}-7 is of StorageClass standard; allowed is StorageClass {ENCRYPTED}")
        place.by("mallory").delete("persistentvolumeclaims", f"data-{NAME}-7", place.namespace)
        await_said(place, "access/storage", "Pass", f"every volume that keeps data is of StorageClass {ENCRYPTED}")

    def test_what_pods_read_is_listed_by_name_and_nobody_reads_it(self, place: Place) -> None:
        place.govern()
        place.register()
        env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "model-key", "key": "key"}}}]
        container = workload(place.namespace)["spec"]["template"]["spec"]["containers"][0] | {"env": env, "envFrom": [{"configMapRef": {"name": "mode"}}]}
        deploy(place, imagePullSecrets=[{"name": "pull"}], containers=[container], volumes=[{"name": "tmp", "emptyDir": {}}])
        wanted = {"secrets": ["model-key", "pull"], "configMaps": ["mode"], "volumes": [{"name": "tmp", "kind": "EmptyDir", "claim": "", "storageClass": ""}]}
        place.await_pods(held=1)
        place.awaited(lambda: place.status["reads"] == wanted | {"omitted": 0}, f"the status lists {wanted}")
