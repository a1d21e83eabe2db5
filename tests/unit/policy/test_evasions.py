"""What somebody may try who edits workloads and the register, to have what a procedure forbids; each attempt by its answer, to the letter."""

from __future__ import annotations

import pytest

from aiqms.policy.decide import decide
from tests.unit.policy.given import HEX, approve, cleared, controls, day, given, procedure, spec

URIS = ["https://*.bank.example/models/*", "https://registry.bank.example/*"]
ELSEWHERE = "take the model from there, and register where it comes from"
ODD = "has more than a host and a port before its path, so that nobody knows where it leads"
OTHER = f"is not among {'; '.join(URIS)}"
HOSTS = {
    "the allowed host as a folder": ("https://evil.example/.bank.example/models/llm", OTHER),
    "as a user": ("https://registry.bank.example@evil.example/llm", ODD),
    "as a user with a password": ("https://registry.bank.example:x@evil.example/llm", ODD),
    "behind a backslash": ("https://evil.example\\.bank.example/models/llm", ODD),
    "at another port": ("https://registry.bank.example:8443/llm", OTHER),
    "in other letters": ("https://REGISTRY.bank.example/llm", OTHER),
    "by another scheme": ("http://registry.bank.example/llm", OTHER),
}


@pytest.mark.parametrize(("uri", "why"), HOSTS.values(), ids=HOSTS)
def test_a_host_that_looks_like_an_allowed_one(uri: str, why: str) -> None:
    model = {"name": "credit-llm", "version": "4.2.0", "uri": uri, "digest": HEX["1"]}
    tried = given(approve("alice"), of=spec(model=model), procedures=[procedure(supply={"modelUris": URIS})])
    assert controls(tried, day(1))["high-risk/supply/model-uri"] == ("Fail", "ModelUriNotAllowed", f"spec.model.uri {uri} {why}: {ELSEWHERE}")
    assert cleared(decide(tried, day(1)), day(1)) == []
