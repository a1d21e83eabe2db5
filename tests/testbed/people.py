"""People with certificates of their own, and the CI's service account: who acts in the story and in the tests."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from tests.testbed.api import Api
from tests.testbed.pki import Key, Login, Pair, key_pem, new_key, signing_request
from tests.testbed.waiting import eventually

CI_NAMESPACE = "ci"
CI_ACCOUNT = "ci"
# As long as a certificate of a CertificateSigningRequest, whose default is a year.
TOKEN_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Person:
    """A user of the API server, by its client certificate. user: the name that it gives, where that is another one."""

    name: str
    groups: tuple[str, ...]
    user: str = ""


PEOPLE = (
    Person("alice", ("model-owners",)),
    Person("bob", ("risk-managers",)),
    Person("carol", ("risk-managers",)),
    Person("mallory", ("lending-platform",)),
    Person("auditor", ("auditors",)),
)


def admit_people(api: Api) -> dict[str, Login]:
    """Certificates for all people, and a token for the CI."""
    return admitted(api, PEOPLE) | {"ci": ci_login(api)}


def admitted(api: Api, people: Iterable[Person]) -> dict[str, Login]:
    """Certificates by the CertificateSigningRequest API: requested, approved, signed."""
    keys = {person: new_key() for person in people}
    for person, key in keys.items():
        _request_certificate(api, person, key)
    return {person.name: Login.by_certificate(_certificate(api, person, key)) for person, key in keys.items()}


def _request_certificate(api: Api, person: Person, key: Key) -> None:
    wanted = {
        "request": base64.b64encode(signing_request(key, person.user or person.name, person.groups)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
    }
    request = api.create({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": person.name}, "spec": wanted})
    approval = {"type": "Approved", "status": "True", "reason": "TestBed", "message": f"{person.name} is one of the test bed's people"}
    api.replace(request | {"status": {"conditions": [approval]}}, subresource="approval")


def _certificate(api: Api, person: Person, key: Key) -> Pair:
    def signed() -> str:
        return str(api.get("certificatesigningrequests", person.name)["status"].get("certificate", ""))

    signed_pem = eventually(signed, within=60, what=f"{person.name}'s certificate is signed")
    return Pair(key_pem(key), base64.b64decode(signed_pem))


def ci_login(api: Api) -> Login:
    """The CI's service account with a token of its own."""
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CI_NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": CI_ACCOUNT, "namespace": CI_NAMESPACE}},
    ):
        api.apply(manifest, manager="testbed")
    return Login.by_token(service_account_token(api, CI_NAMESPACE, CI_ACCOUNT))


def service_account_token(api: Api, namespace: str, account: str, *, seconds: int = TOKEN_SECONDS) -> str:
    """A token of a ServiceAccount by the TokenRequest API."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
    return str(api.post("serviceaccounts", account, "token", request, namespace)["status"]["token"])
