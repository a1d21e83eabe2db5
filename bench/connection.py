"""Requests as a benchmark makes them."""

from __future__ import annotations

import base64
import http.client
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml


class Connection:
    """One kept connection of the administrator, and nothing around it that takes time. It serves one request after the other."""

    def __init__(self, kubeconfig: Path) -> None:
        found = yaml.safe_load(kubeconfig.read_text())
        cluster, user = found["clusters"][0]["cluster"], next(u["user"] for u in found["users"] if u["name"] == "admin")
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as both:
            both.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            both.flush()
            context.load_cert_chain(both.name)
        at = urlsplit(cluster["server"])
        self._http = http.client.HTTPSConnection(at.hostname or "", at.port, context=context, timeout=900)

    def post(self, path: str, body: bytes) -> float:
        """Seconds until the answer is there. Raises RuntimeError where it is no 201."""
        began = time.perf_counter()
        self._http.request("POST", path, body, {"Content-Type": "application/json", "Accept": "application/json"})
        answer = self._http.getresponse()
        said = answer.read()
        took = time.perf_counter() - began
        if answer.status != 201:
            raise RuntimeError(f"{path}: {said.decode()}")
        return took

    def lines(self, path: str) -> Iterator[bytes]:
        """A watch, line by line, for as long as the server goes on."""
        self._http.request("GET", path, headers={"Accept": "application/json"})
        answer = self._http.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.read().decode()}")
        yield from answer
