"""The floor under ``runbook check --all``: a bare pool of threads that makes the same requests with ``requests``.

``python -m benchmarks.fleet_floor CALLS CLUSTERS PORT AT_ONCE``: CALLS holds the method, host and path of each call of
one cluster, as its own server numbers them. It reads the JSON, and judges nothing.
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from benchmarks.fleet_stub import network


def check(cluster: int, calls: list[list[str]], port: int) -> int:
    with requests.Session() as session:
        for method, server, path in calls:
            host = f"{network(cluster)}{server}"
            if method == "CONNECT":
                socket.create_connection((host, int(path)), timeout=3).close()
            else:
                session.request(method, f"http://{host}:{port}{path}", timeout=8).json()
    return cluster


def main() -> None:
    calls, clusters, port, at_once = sys.argv[1:]
    asked = json.loads(Path(calls).read_text(encoding="utf-8"))
    with ThreadPoolExecutor(int(at_once)) as pool:
        done = list(pool.map(lambda cluster: check(cluster, asked, int(port)), range(int(clusters))))
    print(len(done))


if __name__ == "__main__":
    main()
