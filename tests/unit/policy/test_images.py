"""Where the images of a pod are, what a reference means, and which registry it is from."""

from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiqms.api.values import Json
from aiqms.gate.normal import template
from aiqms.gate.rules import DEFAULTS
from aiqms.policy.images import Image, allowed, images, repository, written_out
from tests.unit.gate.pods import GUARDED, INIT_AND_SIDECAR, PODS

HEX = "0" * 64
PINNED = f"registry.bank.example/vllm@sha256:{HEX}"


def test_every_image_of_a_pod_is_found() -> None:
    assert [(i.where, i.reference) for i in images(template(INIT_AND_SIDECAR, DEFAULTS))] == [
        ("container main", "registry.bank.example/vllm:v0.11.0"),
        ("init container fetch", "fetch:1"),
        ("init container proxy", "envoy:1"),
    ]
    assert images(template(GUARDED, DEFAULTS))[1:] == [Image("volumes", "model", "registry.bank.example/models/x:1")]


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_no_image_is_missed(pod: Json) -> None:
    spec = pod["spec"]
    written = [c["image"] for kind in ("containers", "initContainers") for c in spec.get(kind, [])]
    volumes = [v["image"]["reference"] for v in spec.get("volumes", []) if "image" in v]
    assert sorted(i.reference for i in images(template(pod, DEFAULTS))) == sorted([*written, *volumes])


PINS = {
    "a digest": (PINNED, f"sha256:{HEX}"),
    "a tag and a digest": (f"vllm:v1@sha256:{HEX}", f"sha256:{HEX}"),
    "a tag": ("vllm:v1", ""),
    "nothing": ("vllm", ""),
    "no image": ("", ""),
    "capital letters, which no digest has": (f"vllm@sha256:{'A' * 64}", ""),
    "a digest that is too short": (f"vllm@sha256:{'0' * 63}", ""),
    "a digest and something behind it": (f"vllm@sha256:{HEX}\n", ""),
    "another algorithm": (f"vllm@sha512:{HEX * 2}", ""),
    "a digest without a name, which means an image on the node": (f"sha256:{HEX}", ""),
    "an empty name": (f"@sha256:{HEX}", ""),
}


@pytest.mark.parametrize(("reference", "digest"), PINS.values(), ids=PINS)
def test_only_a_digest_pins(reference: str, digest: str) -> None:
    assert Image("containers", "main", reference).digest == digest


NAMES = {
    "nginx": "docker.io/library/nginx",
    "nginx:1.29": "docker.io/library/nginx:1.29",
    PINNED.partition("/")[2]: f"docker.io/library/vllm@sha256:{HEX}",
    "vllm/vllm-openai": "docker.io/vllm/vllm-openai",
    "docker.io/nginx": "docker.io/library/nginx",
    "index.docker.io/nginx": "docker.io/library/nginx",
    "docker.io/vllm/vllm-openai": "docker.io/vllm/vllm-openai",
    "localhost/vllm": "localhost/vllm",
    "registry/vllm": "docker.io/registry/vllm",
    "registry:5000/vllm": "registry:5000/vllm",
    "Registry/vllm": "Registry/vllm",
    "10.0.0.1/vllm": "10.0.0.1/vllm",
    "registry.bank.example/team/vllm:v1": "registry.bank.example/team/vllm:v1",
    f"sha256:{HEX}": "",
    "": "",
}


@pytest.mark.parametrize(("reference", "whole"), NAMES.items(), ids=lambda text: text or "none")
def test_a_short_name_is_written_out(reference: str, whole: str) -> None:
    assert written_out(reference) == whole


REPOSITORIES = {
    "registry:5000/vllm": "registry:5000/vllm",
    "registry:5000/vllm:v1": "registry:5000/vllm",
    f"registry:5000/vllm:v1@sha256:{HEX}": "registry:5000/vllm",
    "bank.example/a/b:v1": "bank.example/a/b",
}


@pytest.mark.parametrize(("reference", "name"), REPOSITORIES.items(), ids=lambda text: text)
def test_a_port_is_no_tag(reference: str, name: str) -> None:
    assert repository(reference) == name


ALLOWED = {
    "a digest that is none, of an image that is": ("bank.example/vllm@evil.example/vllm", "bank.example/*", False),
    "a tag that is none, of an image that is": ("bank.example/vllm:v1@sha256:0", "bank.example/*", False),
    "below a registry": (PINNED, "registry.bank.example/*", True),
    "at another port": ("registry.bank.example:5000/vllm", "registry.bank.example/*", False),
    "at that port": ("registry.bank.example:5000/vllm:v1", "registry.bank.example:5000/*", True),
    "a registry of which the other one is the beginning": ("registry.bank.example.evil.example/vllm", "registry.bank.example/*", False),
    "a path that looks like the registry": ("evil.example/registry.bank.example/vllm", "registry.bank.example/*", False),
    "a short name that looks like the registry": ("bank/vllm", "bank/*", False),
    "a name, whatever its tag": ("bank.example/vllm:v1", "bank.example/vllm", True),
    "a name, whatever its digest": (PINNED, "registry.bank.example/vllm", True),
    "a tag, whatever the digest behind it": (f"bank.example/vllm:v1@sha256:{HEX}", "bank.example/vllm:v1", True),
    "another tag": ("bank.example/vllm:v2", "bank.example/vllm:v1", False),
    "one image alone": (PINNED, PINNED, True),
    "another digest than that one": (PINNED.replace("0", "1"), PINNED, False),
    "a short name": ("nginx:1", "docker.io/library/*", True),
    "an image on the node is from no registry": (f"sha256:{HEX}", "*", False),
    "no image": ("", "*", False),
}


@pytest.mark.parametrize(("reference", "pattern", "is_so"), ALLOWED.values(), ids=ALLOWED)
def test_an_image_is_allowed(reference: str, pattern: str, is_so: bool) -> None:
    assert allowed(Image("containers", "main", reference), [pattern]) is is_so


@for_all(st.from_regex(r"([a-z0-9.:]{1,8}/)?[a-z0-9/]{1,8}(:[a-z0-9]{1,4})?", fullmatch=True))
def test_a_name_written_out_stays_as_it_is(reference: str) -> None:
    assert written_out(written_out(reference)) == written_out(reference)
