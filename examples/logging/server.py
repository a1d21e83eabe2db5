"""A small model server over HTTP, in place of a real one: it scores credit applications by a rule, and logs as a real one has to.

POST /v1/score with JSON such as {"income": 42000, "debt": 9000} answers {"request_id": …, "score": …}. GET /health answers ok.
Environment: PORT (8000), LOG_ENDPOINT (where lines go; without it to standard output), PODINFO (/etc/podinfo).
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from inference_log import InferenceLog, of_this_pod, to_stream, to_victoria_logs

LONGEST = 65536  # bytes of a request


def score(application: dict[str, float]) -> float:
    """From 0 to 1: the share of a year's income that debts leave."""
    income, debt = float(application["income"]), float(application["debt"])
    return max(0.0, min(1.0, 1 - debt / income)) if income > 0 else 0.0


def handler(log: InferenceLog) -> type[BaseHTTPRequestHandler]:
    """Serves, and logs each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200 if self.path == "/health" else 404, {"status": "ok" if self.path == "/health" else "no such page"})

        def do_POST(self) -> None:
            began = time.monotonic()
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LONGEST))
            try:
                answer = {"score": score(json.loads(body))}
            except (ValueError, KeyError, TypeError) as error:
                self._answer(400, {"error": f"give income and debt as numbers ({type(error).__name__})"})
                return
            request_id = log.request(prompt=len(body), answer=len(json.dumps(answer)), seconds=time.monotonic() - began)
            self._answer(200, {"request_id": request_id, **answer})

        def _answer(self, status: int, value: dict[str, object]) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Only inferences are logged, by their own line."""

    return Handler


def main() -> None:
    """Until it is stopped."""
    endpoint = os.environ.get("LOG_ENDPOINT", "")
    log = of_this_pod(to_victoria_logs(endpoint) if endpoint else to_stream(), Path(os.environ.get("PODINFO", "/etc/podinfo")))
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8000"))), handler(log))
    print(f"serving {log.deployment} under {log.subject}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
