"""What `explain` says to change, for each reason for which nobody's decision is waited for."""

from __future__ import annotations

import pytest

from aiqms.cli.explanation import explain
from aiqms.cli.facts import Facts
from aiqms.cli.mending import MENDS, Mend
from aiqms.cli.text import lines
from tests.unit.cli.given import SPEC, control, deployment, status

DIGEST = "sha256:" + "4" * 64
ANEW = "the pods change by that, so people approve them anew"
CASES = {
    "ModelNotDeclared": Mend(f"annotate the pod template with the model that it serves; {ANEW}", f'annotations: {{aiqms.dev/model: "{DIGEST}"}}'),
    "ModelMismatch": Mend(
        "serve the model of the register, or register the one that is served; people approve that anew", f'annotations: {{aiqms.dev/model: "{DIGEST}"}}'
    ),
    "ModelDeclaredOnly": Mend(
        f"mount the model itself, by its digest, in the container that serves; {ANEW}",
        f'volumes: [{{name: model, image: {{reference: "registry.bank.example/credit-llm@{DIGEST}"}}}}]',
    ),
    "ModelUriNotAllowed": Mend(
        "copy the model to where the procedure allows it, serve it from there, and register that in spec.model.uri; people approve that anew"
    ),
    "ImageNotPinned": Mend(
        f"write the digest of the image that was tested behind its name; {ANEW}",
        "crane digest IMAGE    # or: skopeo inspect --format {{.Digest}} docker://IMAGE",
    ),
    "RegistryNotAllowed": Mend(
        f"copy the image to a registry that is allowed, and name it there; {ANEW}", "crane copy IMAGE ALLOWED/IMAGE    # or: skopeo copy --all"
    ),
    "PullSecretNotAllowed": Mend(
        "take the Secret out of imagePullSecrets of pod template or ServiceAccount, and let pods that wait be made anew; nobody has to approve that",
        "kubectl delete pods -n lending -l aiqms.dev/deployment=credit-scoring --field-selector status.phase=Pending",
    ),
}


def facts(result: str, reason: str, uri: str = "") -> Facts:
    state = status(controls=[control("supply/x", result, reason, "why")])
    found = deployment(state) if not uri else deployment(state) | {"spec": SPEC | {"model": SPEC["model"] | {"uri": uri}}}
    return Facts(namespace="lending", name="credit-scoring", deployment=found, governed=True)


@pytest.mark.parametrize(("reason", "says"), CASES.items(), ids=CASES)
def test_a_control_that_fails_says_what_to_change(reason: str, says: Mend) -> None:
    assert [explain(facts(result, reason)).controls[0].mend for result in ("Fail", "Warn", "Pass")] == [says, says, None]


def test_every_reason_that_can_be_mended_is_tried() -> None:
    assert set(CASES) == set(MENDS)


def test_of_a_model_that_is_no_oci_artifact_nobody_knows_the_repository() -> None:
    found = explain(facts("Fail", "ModelDeclaredOnly", "s3://models/llm")).controls[0].mend
    assert found
    assert found.paste == f'volumes: [{{name: model, image: {{reference: "REPOSITORY@{DIGEST}"}}}}]'


def test_what_is_pasted_stands_on_a_line_of_its_own() -> None:
    said = [line.text for line in lines(explain(facts("Fail", "ImageNotPinned")), width=60)]
    at = said.index("      to mend: write the digest of the image that was tested")
    assert said[at : at + 4] == [
        "      to mend: write the digest of the image that was tested",
        "        behind its name; the pods change by that, so people",
        "        approve them anew",
        "      crane digest IMAGE    # or: skopeo inspect --format {{.Digest}} docker://IMAGE",
    ]


def test_a_control_that_waits_for_a_person_says_who_that_is_instead() -> None:
    assert explain(facts("Fail", "ApprovalMissing")).controls[0].mend is None
