"""A server on loopback that sends exactly the bytes it is told to, right or wrong, and remembers what it was sent."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Answer = bytes | Callable[["Stub", socket.socket], None]
Table = Callable[[str, str], Answer]  # (method, path with its query) → what to send

SELF, MEMBERS, RAFT = "/v1/agent/self", "/v1/agent/members", "/v1/operator/raft/configuration"
CERTIFICATE = Path(__file__).with_name("server.pem")
TLS_HELLO = b"\x16"  # the first byte of a client that speaks TLS
NAME_IN_CERTIFICATE = "server.global.nomad"


@dataclass
class Stub:
    """One listener. ``tls_delay`` seconds pass between a connection and its handshake, and ``None`` is no TLS."""

    table: Table
    host: str = "127.0.0.1"
    port: int = 0
    tls_delay: float | None = None
    certificate: Path = CERTIFICATE
    heads: list[tuple[float, str]] = field(default_factory=list)  # (monotonic seconds, a request's whole head)
    connections: int = 0
    lines: list[socket.socket] = field(default_factory=list)  # the listener and every connection
    ends: list[str] = field(default_factory=list)  # how each connection ended: "closed" or "reset"
    sent: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{'http' if self.tls_delay is None else 'https'}://{self.host}:{self.port}"

    def asked(self, method: str) -> list[str]:
        """The paths that were asked for by this method."""
        lines = [head.split("\r\n", 1)[0].split(" ") for _, head in list(self.heads)]
        return [path for verb, path, _ in lines if verb == method]

    def drip(self, line: socket.socket, data: bytes, every: float = 0.05) -> None:
        """A byte now and then, until somebody has had enough."""
        for number in range(len(data)):
            if self.over.wait(every):
                return
            line.sendall(data[number : number + 1])

    def serve(self, listener: socket.socket) -> None:
        threads = []
        with listener, suppress(OSError):
            while not self.over.is_set():
                line, _ = listener.accept()
                self.connections += 1
                self.lines.append(line)
                threads.append(threading.Thread(target=self._talk, args=(line,)))
                threads[-1].start()
        for thread in threads:
            thread.join(5)

    def stop(self) -> None:
        """Nobody listens any more, and open connections end."""
        self.over.set()
        for line in self.lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def _talk(self, line: socket.socket) -> None:
        try:
            line.settimeout(10)
            with line if self.tls_delay is None else self._shake(line, self.tls_delay) as line:
                while head := self._head(line):
                    self.heads.append((time.monotonic(), head))
                    method, path, _ = head.split("\r\n", 1)[0].split(" ")
                    answer = self.table(method, path)
                    answer(self, line) if callable(answer) else line.sendall(answer)
            self.ends.append("closed")
        except OSError as error:
            self.ends.append("reset" if isinstance(error, ConnectionResetError) else type(error).__name__)
        finally:
            line.close()

    def _shake(self, line: socket.socket, delay: float) -> socket.socket:
        self.over.wait(delay)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context.wrap_socket(line, server_side=True)

    def _head(self, line: socket.socket) -> str:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = line.recv(1)
            if not piece:
                return ""
            head += piece
            if head == TLS_HELLO:
                line.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nBad Request")
                return ""
        return head.decode()


@contextmanager
def stub(
    table: Table,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls_delay: float | None = None,
    certificate: Path = CERTIFICATE,
    path: Path | None = None,
) -> Iterator[Stub]:
    """``path``: it listens at this unix socket."""
    if path is None:
        listener = socket.create_server((host, port))
        port = listener.getsockname()[1]
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
    server = Stub(table, host, port, tls_delay, certificate, lines=[listener])
    thread = threading.Thread(target=server.serve, args=(listener,))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)


def reply(body: bytes | str | Any = b"", status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """A whole reply; ``length`` is the Content-Length that is claimed."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data) if length is None else length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


def silence(server: Stub, line: socket.socket) -> None:
    server.over.wait(5)


def reset(server: Stub, line: socket.socket) -> None:
    """Half a head, and then a reset."""
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
    time.sleep(0.05)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def no_reply(server: Stub, line: socket.socket) -> None:
    line.shutdown(socket.SHUT_RDWR)


def slow_body(server: Stub, line: socket.socket) -> None:
    line.sendall(reply(b"", length=400))
    server.drip(line, b'{"Servers": [' + b" " * 387)


def slow_head(server: Stub, line: socket.socket) -> None:
    server.drip(line, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 400)


def flood(server: Stub, line: socket.socket) -> None:
    """Two hundred megabytes, counted."""
    line.sendall(reply(b"", length=200 * 1024**2))
    for _ in range(200):
        line.sendall(b" " * 1024**2)
        server.sent += 1024**2


class Server:
    """What a healthy Nomad server of a cluster says, as bytes by path; ``odd`` replaces some of its answers."""

    def __init__(
        self,
        name: str,
        cluster: dict[str, str],
        *,
        leader: str = "s1",
        failed: tuple[str, ...] = (),
        odd: dict[str, Answer] | None = None,
    ) -> None:
        """``cluster`` is each server's Raft address by name; an id is ``<name>-id``."""
        members = [_member(each, where, "failed" if each in failed else "alive") for each, where in cluster.items()]
        servers = [
            {"ID": f"{each}-id", "Address": where, "Leader": each == leader, "Node": f"{each}.global",
             "RaftProtocol": "3", "Voter": True}
            for each, where in cluster.items()
        ]  # fmt: skip
        raft = {"state": "Leader" if name == leader else "Follower", "term": "7", "last_log_index": "12"}
        self.answers: dict[str, Answer] = {
            SELF: reply({"config": {}, "member": _member(name, cluster[name], "alive"), "stats": {"raft": raft}}),
            MEMBERS: reply({"Members": members}),
            RAFT: reply({"Index": 0, "Servers": servers}),
            "/v1/operator/autopilot/configuration": reply({"CleanupDeadServers": False, "MinQuorum": 0}),
            "DELETE": reply(),
        }
        self.answers.update(odd or {})

    def __call__(self, method: str, path: str) -> Answer:
        key = path.split("?")[0] if method == "GET" else method
        return self.answers.get(key, reply("Invalid method", 404))


def _member(name: str, where: str, status: str) -> dict[str, Any]:
    host, _, port = where.rpartition(":")
    tags = {"role": "nomad", "region": "global", "id": f"{name}-id", "port": port}
    return {"Name": f"{name}.global", "Addr": host, "Port": 4648, "Status": status, "Tags": tags}
