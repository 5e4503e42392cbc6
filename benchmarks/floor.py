"""The floor under ``runbook execute``: a plain script with the same four libraries that makes the same calls.

``python -m benchmarks.floor CALLS PLAYBOOK FOLDER PORT``: CALLS holds what the stub recorded of the tool's own run.
No verdict, no guard, no lock, no record that survives a crash: what is left is what the calls themselves cost. What the
tool tried on the dead server reached nobody, was not recorded, and is not repeated: the floor is a little too low.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import requests
import structlog
import tenacity
import yaml

log = structlog.get_logger()
session = requests.Session()


@tenacity.retry(stop=tenacity.stop_after_attempt(5), wait=tenacity.wait_exponential_jitter())
def call(method: str, host: str, port: int, path: str) -> bytes:
    reply = session.request(method, f"http://{host}:{port}{path}", timeout=8)
    log.info("http", method=method, host=host, path=path, status=reply.status_code)
    return reply.content


def main() -> None:
    calls, playbook, folder, port = sys.argv[1:]
    yaml.load(Path(playbook).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for method, host, path in json.loads(Path(calls).read_text(encoding="utf-8")):
        if method == "CONNECT":
            socket.create_connection((host, int(path)), timeout=3).close()
            continue
        content = call(method, host, int(port), path)
        if path.startswith("/v1/operator/snapshot"):
            (Path(folder) / "state.snap").write_bytes(content)


if __name__ == "__main__":
    main()
