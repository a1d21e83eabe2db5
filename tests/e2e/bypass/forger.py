"""A mutating webhook of somebody else. The API server asks webhooks after mutating policies, so that it has the last word on what it mutates."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.bypass.stage import EDITOR, FORGED, Stage
from tests.testbed.api import Json
from tests.testbed.embedded import HOST
from tests.testbed.pki import Authority

ADMISSION = "admissionregistration.k8s.io/v1"


class Forger(BaseHTTPRequestHandler):
    """Writes the name that label FORGED gives into the note of who edited, and what it names into what a record says of its author."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response(review["request"])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the API server says what it was answered."""


def response(request: Json) -> Json:
    forged = request["object"]["metadata"]["labels"][FORGED]
    change = approver(request["object"]["spec"], forged) if request["kind"]["kind"] == "ApprovalRecord" else note(request["object"]["metadata"], forged)
    patch = json.dumps([change])
    return {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}


def note(metadata: Json, name: str) -> Json:
    return {"op": "add", "path": "/metadata/annotations", "value": metadata.get("annotations", {}) | {EDITOR: name}}


# What of its author is another one's. nobody: it says nothing of its author
OTHERS: Json = {"username": "bob", "uid": "another", "groups": ["risk-managers"], "authorized": True}


def approver(spec: Json, forged: str) -> Json:
    said = spec.get("approver", OTHERS) | {key: value for key, value in OTHERS.items() if key == forged}
    return {
        "op": "add",
        "path": "/spec",
        "value": {key: value for key, value in spec.items() if key != "approver"} | ({} if forged == "nobody" else {"approver": said}),
    }


@contextmanager
def forging(stage: Stage) -> Iterator[None]:
    """The webhook answers, and the API server asks it about what bears the label in the governed namespace."""
    authority = Authority()
    with serving(authority) as port:
        made = stage.admin.create(configuration(stage, port, authority))
        try:
            yield
        finally:
            stage.admin.delete(made["kind"], made["metadata"]["name"])


@contextmanager
def serving(authority: Authority) -> Iterator[int]:
    """The port on which the webhook listens, on this machine alone."""
    server = ThreadingHTTPServer((HOST, 0), Forger)
    server.socket = _context(authority).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        authority.server().write(Path(folder), "forger")
        context.load_cert_chain(Path(folder) / "forger.crt", Path(folder) / "forger.key")
    return context


def configuration(stage: Stage, port: int, authority: Authority) -> Json:
    asked = {"apiGroups": ["aiqms.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["aimodeldeployments", "approvalrecords"]}
    webhook = {
        "name": "forger.example.com",
        "clientConfig": {"url": f"https://{HOST}:{port}/", "caBundle": base64.b64encode(authority.pair.public).decode()},
        "rules": [asked],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.place}},
        "objectSelector": {"matchExpressions": [{"key": FORGED, "operator": "Exists"}]},
        "reinvocationPolicy": "IfNeeded",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"apiVersion": ADMISSION, "kind": "MutatingWebhookConfiguration", "metadata": {"name": f"forger-{stage.tag}"}, "webhooks": [webhook]}
