"""Many Nomad clusters of five in one process, each server at an address of its own: 127.A.B.11 to 127.A.B.15.

``python -m benchmarks.fleet_stub CLUSTERS HUNG`` writes ``clusters.yaml`` into this folder, prints the port, and serves
until its standard input ends. Every server of the last HUNG clusters accepts and never answers. One socket that is
bound to the loopback device serves all addresses: whom a connection is for is read from its own end.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from benchmarks.stub import World

SERVERS = 5
NETWORK = b"127.77.0.1"  # the first signs of the address of each server of the one that all are copies of


def network(cluster: int) -> str:
    """The first signs of the addresses of a cluster's servers."""
    return f"127.{80 + cluster // 250}.{cluster % 250 + 1}.1"


def inventory(clusters: int, port: int) -> str:
    """One address a cluster: the others are found."""
    lines = ["inventory: 1", "clusters:"]
    for cluster in range(clusters):
        address = f"http://{network(cluster)}1:{port}"
        lines.append(f"  nomad-{cluster:05d}: {{ kind: nomad, addresses: [{json.dumps(address)}] }}")
    return "\n".join([*lines, ""])


class FleetHandler(asyncio.Protocol):
    """One connection. ``replies`` are those of the first cluster, by server and path."""

    def __init__(self, replies: dict[tuple[int, str], tuple[int, bytes]], serving: int) -> None:
        self._replies, self._serving = replies, serving
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        _, a, b, server = (int(part) for part in transport.get_extra_info("sockname")[0].split("."))
        self._cluster, self._server = (a - 80) * 250 + b - 1, server - 10

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received and self._cluster < self._serving:
            asked, _, self._received = self._received.partition(b"\r\n\r\n")
            path = urlsplit(asked.split(b" ", 2)[1].decode()).path
            status, body = self._replies.get((self._server, path), (404, b""))
            body = body.replace(NETWORK, network(self._cluster).encode())
            head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


def prepared(world: World) -> dict[tuple[int, str], tuple[int, bytes]]:
    """What each server says to each path that a check asks for."""
    status = ("leader", "peers")
    operator = ("raft/configuration", "autopilot/configuration", "autopilot/health")
    paths = ("/v1/agent/members", "/v1/agent/self", *(f"/v1/operator/{path}" for path in operator))
    paths += (*(f"/v1/status/{path}" for path in status), "/v1/regions")
    return {(n, path): (200, json.dumps(world.reply(n, path)).encode()) for n in world.numbers for path in paths}


async def serve(clusters: int, hung: int) -> None:
    loop = asyncio.get_running_loop()
    world = World(SERVERS, 0, 0)
    replies = prepared(world)
    listeners = []
    for port in (world.http_port, world.rpc_port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        listener.bind(("", port))
        listeners.append(
            await loop.create_server(lambda: FleetHandler(replies, clusters - hung), sock=listener, backlog=4096)
        )
    Path("clusters.yaml").write_text(inventory(clusters, world.http_port), encoding="utf-8")
    print(world.http_port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
