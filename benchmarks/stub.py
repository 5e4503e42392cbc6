"""Servers of one Nomad cluster as far as a benchmark needs them: each on its own loopback address, one port for all.

``python -m benchmarks.stub SERVERS DEAD HUNG`` prints one line of JSON (url, hosts, port) and serves until its
standard input ends. The last DEAD servers do not listen; the HUNG ones before them accept and never answer. It is
quick and obliging where a real server is neither: it measures the caller, and proves nothing about safety.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import sys
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


def server_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def state_snapshot() -> bytes:
    """A gzipped tar as Nomad sends it: two files and their sums."""
    files = {"meta.json": b'{"Version":1,"Index":100,"Term":2}', "state.bin": bytes(range(256)) * 256}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in {**files, "SHA256SUMS": sums.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


class World:
    """What the servers share: who is there, the configuration, and a record of every call."""

    def __init__(self, servers: int, dead: int, hung: int) -> None:
        self.numbers = range(1, servers + 1)
        self.living = servers - dead - hung
        self.listening = servers - dead
        self.hosts = [f"127.77.0.{10 + number}" for number in self.numbers]
        self.http_port, self.rpc_port = free_ports(self.hosts)
        self.snapshot = state_snapshot()
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.listed = list(self.numbers)
            self.calls: list[list[str]] = []

    def record(self, *call: str) -> None:
        with self.lock:
            self.calls.append(list(call))

    def address(self, number: int) -> str:
        return f"{self.hosts[number - 1]}:{self.rpc_port}"

    def remove(self, peer: str) -> bool:
        with self.lock:
            found = [number for number in self.listed if server_id(number) == peer]
            self.listed = [number for number in self.listed if number not in found]
        return bool(found)

    def reply(self, number: int, path: str) -> Any:
        """The JSON that server ``number`` sends for a GET, or ``None`` where it knows no such path."""
        replies: dict[str, Callable[[], Any]] = {
            "/v1/operator/raft/configuration": self.configuration,
            "/v1/operator/autopilot/configuration": self.autopilot,
            "/v1/operator/autopilot/health": self.health,
            "/v1/agent/members": self.members,
            "/v1/agent/self": lambda: self.agent(number),
            "/v1/agent/health": lambda: {"server": {"ok": True, "message": "ok"}},
            "/v1/status/leader": lambda: self.address(1),
            "/v1/status/peers": lambda: [self.address(listed) for listed in self.listed],
            "/v1/regions": lambda: ["global"],
        }
        return replies[path]() if path in replies else None

    def configuration(self) -> dict[str, Any]:
        return {"Index": 0, "Servers": [self.peer(number) for number in self.listed]}

    def peer(self, number: int) -> dict[str, Any]:
        return {
            "Address": self.address(number),
            "ID": server_id(number),
            "Leader": number == 1,
            "Node": f"s{number}.global",
            "RaftProtocol": "3",
            "Voter": True,
        }

    def autopilot(self) -> dict[str, Any]:
        return {
            "CleanupDeadServers": False,
            "LastContactThreshold": "200ms",
            "MaxTrailingLogs": 250,
            "MinQuorum": 0,
            "ServerStabilizationTime": "10s",
        }

    def health(self) -> dict[str, Any]:
        servers = [self.server_health(number) for number in self.listed]
        healthy = sum(server["Healthy"] for server in servers)
        tolerance = max(0, healthy - len(servers) // 2 - 1)
        return {"Healthy": healthy == len(servers), "FailureTolerance": tolerance, "Servers": servers}

    def server_health(self, number: int) -> dict[str, Any]:
        return {
            "Address": self.address(number),
            "Healthy": number <= self.living,
            "ID": server_id(number),
            "LastContact": "10ms",
            "LastIndex": 100,
            "LastTerm": 2,
            "Leader": number == 1,
            "Name": f"s{number}.global",
            "SerfStatus": self.status(number),
            "StableSince": "2026-01-01T00:00:00Z",
            "Version": "1.11.3",
            "Voter": True,
        }

    def status(self, number: int) -> str:
        return "alive" if number <= self.living else "failed"

    def members(self) -> dict[str, Any]:
        members = [self.member(number) for number in self.numbers]
        return {"Members": members, "ServerDC": "dc1", "ServerName": "s1", "ServerRegion": "global"}

    def member(self, number: int) -> dict[str, Any]:
        host = self.hosts[number - 1]
        tags = {"id": server_id(number), "port": str(self.rpc_port), "rpc_addr": host, "region": "global", "dc": "dc1"}
        tags |= {"role": "nomad", "raft_vsn": "3", "build": "1.11.3", "vsn": "1", "expect": str(len(self.hosts))}
        return {"Addr": host, "Name": f"s{number}.global", "Port": 4648, "Status": self.status(number), "Tags": tags}

    def agent(self, number: int) -> dict[str, Any]:
        advertised = {"HTTP": f"{self.hosts[number - 1]}:{self.http_port}", "RPC": self.address(number)}
        raft = {"state": "Leader" if number == 1 else "Follower", "term": "2", "last_log_term": "2"}
        raft |= {"last_log_index": "100", "commit_index": "100", "last_contact": "10ms", "protocol_version": "3"}
        return {
            "config": {"AdvertiseAddrs": advertised, "Region": "global", "Version": {"Version": "1.11.3"}},
            "member": self.member(number),
            "stats": {"nomad": {"server": "true", "leader_addr": self.address(1)}, "raft": raft, "serf": {}},
        }


def free_ports(hosts: list[str]) -> tuple[int, int]:
    """Two ports that are free at every one of the addresses."""
    found: list[int] = []
    for _ in range(100):
        with socket.create_server((hosts[0], 0)) as probe:
            port: int = probe.getsockname()[1]
        try:
            for host in hosts:
                socket.create_server((host, port)).close()
        except OSError:
            continue
        found.append(port)
        if len(set(found)) == 2:
            return found[0], found[1]
    raise SystemExit(f"no two ports are free on all of {', '.join(hosts)}")


class Handler(BaseHTTPRequestHandler):
    """One server's HTTP side. A subclass for each server holds its number."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    world: World
    number: int

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: the record is asked for by ``GET /calls``."""

    def do_GET(self) -> None:  # noqa: N802 - the base class looks for this name
        path = urlsplit(self.path).path
        if path == "/calls":
            return self.answer(200, json.dumps(self.world.calls).encode())
        self.record()
        if path == "/v1/operator/snapshot":
            return self.answer_snapshot()
        reply = self.world.reply(self.number, path)
        if reply is None:
            return self.answer(404, b"")
        ill = path.endswith("autopilot/health") and not reply["Healthy"]
        return self.answer(429 if ill else 200, json.dumps(reply).encode())

    def do_POST(self) -> None:  # noqa: N802 - the base class looks for this name
        if self.path == "/reset":
            self.world.reset()
        self.answer(200, b"")

    def do_DELETE(self) -> None:  # noqa: N802 - the base class looks for this name
        self.record()
        url = urlsplit(self.path)
        peer = parse_qs(url.query).get("id", [""])[0]
        if url.path == "/v1/operator/raft/peer" and self.world.remove(peer):
            return self.answer(200, b"")
        return self.answer(500, f'id "{peer}" was not found in the Raft configuration'.encode())

    def record(self) -> None:
        self.world.record(self.command, self.world.hosts[self.number - 1], self.path)

    def answer_snapshot(self) -> None:
        digest = base64.b64encode(hashlib.sha256(self.world.snapshot).digest()).decode()
        self.answer(200, self.world.snapshot, ("Content-Type", "application/x-gzip"), ("Digest", f"sha-256={digest}"))

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers or (("Content-Type", "application/json"),):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def serve_http(world: World, number: int) -> None:
    handler = type("ServerHandler", (Handler,), {"world": world, "number": number})
    server = ThreadingHTTPServer((world.hosts[number - 1], world.http_port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def serve_rpc(world: World, number: int) -> None:
    """Accept whoever comes, as a living server does; nobody speaks RPC to it."""
    listener = socket.create_server((world.hosts[number - 1], world.rpc_port))

    def accept_for_ever() -> None:
        while True:
            listener.accept()[0].close()
            world.record("CONNECT", world.hosts[number - 1], str(world.rpc_port))

    threading.Thread(target=accept_for_ever, daemon=True).start()


def hang(world: World, number: int) -> list[socket.socket]:
    """The kernel opens the connections of a frozen process, and nothing ever answers."""
    ports = (world.http_port, world.rpc_port)
    return [socket.create_server((world.hosts[number - 1], port), backlog=128) for port in ports]


def main() -> None:
    servers, dead, hung = (int(argument) for argument in sys.argv[1:4])
    world = World(servers, dead, hung)
    for number in range(1, world.living + 1):
        serve_http(world, number)
        serve_rpc(world, number)
    frozen = [hang(world, number) for number in range(world.living + 1, world.listening + 1)]
    print(json.dumps({"url": f"http://{world.hosts[0]}:{world.http_port}", "port": world.http_port}), flush=True)
    sys.stdin.read()  # the one who started it is gone, or done
    del frozen


if __name__ == "__main__":
    main()
