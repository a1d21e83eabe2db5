"""The cluster's certificate authority, and kubeconfig files."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey
VALID = datetime.timedelta(days=365)
NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
# The second is the `kubernetes` service: the first address of the service range.
ADDRESSES = ("127.0.0.1", "10.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A private key and what belongs to it (a certificate, or for the ServiceAccount tokens a public key), as PEM."""

    key: bytes
    public: bytes

    def write(self, folder: Path, name: str) -> None:
        """As NAME.key, readable by its owner alone, and NAME.crt."""
        private = folder / f"{name}.key"
        private.touch(mode=0o600)
        private.write_bytes(self.key)
        (folder / f"{name}.crt").write_bytes(self.public)


def subject(user: str, groups: Iterable[str] = ()) -> x509.Name:
    """A user as the API server reads it from a client certificate: CN is the name, each O a group."""
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def key_pem(key: Key) -> bytes:
    """The private key as PEM (PKCS 8, not encrypted)."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def new_key() -> Key:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def token_keys() -> Pair:
    """The keys that sign and check ServiceAccount tokens."""
    key = new_key()
    return Pair(key_pem(key), key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def signing_request(key: Key, user: str, groups: Iterable[str]) -> bytes:
    """A certificate signing request (PEM) for a client certificate of this user."""
    return x509.CertificateSigningRequestBuilder().subject_name(subject(user, groups)).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Authority:
    """A certificate authority of one cluster, in memory; `pair` is what the API server and the controller manager get."""

    def __init__(self) -> None:
        self._key = new_key()
        self._name = subject("aiqms-testbed")
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())

    @property
    def pair(self) -> Pair:
        """The authority's own key and certificate."""
        return Pair(key_pem(self._key), self._certificate.public_bytes(serialization.Encoding.PEM))

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """A client certificate for a user of these groups."""
        key = new_key()
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._signed(self._builder(subject(user, groups), key).add_extension(usage, critical=False), key)

    def server(self) -> Pair:
        """The API server's own certificate."""
        key = new_key()
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in NAMES]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES]
        builder = self._builder(subject("kube-apiserver"), key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._signed(builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False), key)

    def _builder(self, name: x509.Name, key: Key) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        # An hour back: the clocks of a machine and its virtual machines differ.
        return builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + VALID)

    def _signed(self, builder: x509.CertificateBuilder, key: Key) -> Pair:
        return Pair(key_pem(key), builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


@dataclass(frozen=True)
class Login:
    """How somebody authenticates: the `user` part of a kubeconfig."""

    fields: dict[str, str]

    @classmethod
    def by_certificate(cls, pair: Pair) -> Login:
        """With a client certificate."""
        return cls({"client-certificate-data": _base64(pair.public), "client-key-data": _base64(pair.key)})

    @classmethod
    def by_token(cls, token: str) -> Login:
        """With a ServiceAccount's token."""
        return cls({"token": token})


def kubeconfig(server: str, authority: bytes, logins: Mapping[str, Login]) -> str:
    """A kubeconfig with a context for each login, named alike; the first one is current."""
    return _document({"server": server, "certificate-authority-data": _base64(authority)}, logins)


def add_logins(text: str, logins: Mapping[str, Login]) -> str:
    """The same kubeconfig with a context more for each login, in the cluster of the first context; those of the same name are replaced."""
    document = yaml.safe_load(text)
    cluster = document["clusters"][0]["name"]
    for part, made in (("users", _user), ("contexts", partial(_context, cluster))):
        document[part] = [entry for entry in document[part] if entry["name"] not in logins] + [made(name, login) for name, login in logins.items()]
    return str(yaml.safe_dump(document, sort_keys=False))


def with_login(text: str, name: str, login: Login) -> str:
    """A kubeconfig for the same cluster with this login alone."""
    cluster = yaml.safe_load(text)["clusters"][0]["cluster"]
    return _document(cluster, {name: login})


def _document(cluster: Mapping[str, Any], logins: Mapping[str, Login]) -> str:
    parts = {"clusters": [{"name": "aiqms", "cluster": dict(cluster)}], "users": [], "contexts": [], "current-context": next(iter(logins))}
    return add_logins(yaml.safe_dump({"apiVersion": "v1", "kind": "Config"} | parts, sort_keys=False), logins)


def _user(name: str, login: Login) -> dict[str, Any]:
    return {"name": name, "user": login.fields}


def _context(cluster: str, name: str, _: Login) -> dict[str, Any]:
    return {"name": name, "context": {"cluster": cluster, "user": name}}


def write_private(path: Path, text: str) -> Path:
    """Write a file that only its owner may read, in one step: a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    return new.replace(path)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
