"""Structured inference logging for a model server: one line of JSON a request, which traces to the approval that allowed it. Standard library only.

The subject is what Kubernetes says of this very pod: annotation aiqms.dev/subject, mounted as a file by the downward API (workload.yaml). Nothing of
a prompt or an answer is logged, but their lengths.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from urllib.request import Request, urlopen

PODINFO = Path("/etc/podinfo")  # where workload.yaml mounts the downward API
SECONDS = 5.0  # to send one line


@dataclass(frozen=True)
class InferenceLog:
    """subject: fingerprint of the clearance that admitted this pod; model: digest of the model that it serves; write: takes one line."""

    deployment: str
    subject: str
    model: str
    write: Callable[[str], object]

    def request(self, *, prompt: int, answer: int, seconds: float, request_id: str = "") -> str:
        """Logs one request: the lengths of prompt and answer in characters, and how long it took. Returns its id, which the caller gets too."""
        id_ = request_id or str(uuid.uuid4())
        line = {
            "timestamp": datetime.now(UTC).isoformat(),
            "request_id": id_,
            "_msg": "inference",
            "deployment": self.deployment,
            "model_digest": self.model,
            "subject": self.subject,
            "prompt_chars": prompt,
            "answer_chars": answer,
            "seconds": round(seconds, 3),
        }
        self.write(json.dumps(line))
        return id_


def of_this_pod(write: Callable[[str], object], podinfo: Path = PODINFO) -> InferenceLog:
    """By what the downward API says of the pod. Raises OSError where it is not mounted, ValueError for a pod that no clearance admitted."""
    deployment, subject, model = ((podinfo / name).read_text().strip() for name in ("deployment", "subject", "model"))
    if not subject:
        raise ValueError("this pod bears no aiqms.dev/subject: no clearance admitted it")
    return InferenceLog(deployment, subject, model, write)


def to_stream(stream: TextIO = sys.stdout) -> Callable[[str], object]:
    """To standard output, where a collector on the node finds it (collector.yaml)."""
    return lambda line: print(line, file=stream, flush=True)


def to_victoria_logs(endpoint: str) -> Callable[[str], object]:
    """Straight to VictoriaLogs, or to anything that takes its lines of JSON, such as vlagent. Raises OSError where that does not take the line."""
    url = f"{endpoint.rstrip('/')}/insert/jsonline?_stream_fields=deployment"
    return lambda line: urlopen(Request(url, line.encode(), {"Content-Type": "application/stream+json"}), timeout=SECONDS).close()
