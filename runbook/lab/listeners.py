"""The listeners of one simulated server: its HTTP API, spoken as Go's server speaks it, and its RPC port."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runbook.errors import LabError
from runbook.lab.serving import DelayedReply
from runbook.simulation.api_call import ApiReply, ApiRequest

IDLE_LIMIT = 600.0  # seconds a connection may stay open with nobody saying anything
CHUNKED_ABOVE = 2048  # bytes; Go's server buffers so much before it gives up on knowing the length
MOST_BYTES = 1 << 20
PIECES = 20  # of a body that comes slowly

Respond = Callable[[ApiRequest, str], "DelayedReply | None"]


class Listener(ThreadingHTTPServer):
    """A listener with a thread of its own. Closed, it refuses at once and every open connection ends with it."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True  # the port of a killed server has connections in TIME_WAIT, and a restart needs it
    request_queue_size = 128

    def __init__(self, host: str, port: int, handler: type[BaseRequestHandler]) -> None:
        """Raises LabError, naming the address."""
        self.closing = False
        self._open: set[socket.socket] = set()
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            advice = "choose another octet or port"
            if error.errno == errno.EADDRNOTAVAIL:  # Linux has all of 127.0.0.0/8, macOS only what it was given
                advice = f"give the loopback interface that address: sudo ifconfig lo0 alias {host}"
            raise LabError(f"cannot listen on {host}:{port}: {error.strerror}; {advice}") from None
        self._thread = threading.Thread(target=self._accept, name=f"listener {host}:{port}", daemon=True)
        self._thread.start()

    def server_bind(self) -> None:
        """HTTPServer would look its own name up, and name servers may be down in an outage."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)

    def close(self) -> None:
        """Refuse from now on; whoever is connected sees the connection end."""
        self.closing = True
        with suppress(OSError):  # a blocked accept is woken by a connection, which works on every platform
            socket.create_connection(self.socket.getsockname()[:2], timeout=1).close()
        self._thread.join(timeout=5)
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's signature
        return not self.closing

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is no news."""

    def _accept(self) -> None:
        while not self.closing:
            self.handle_request()


def listen_http(host: str, port: int, respond: Respond) -> Listener:
    """Serve the HTTP API here: every request is turned over to ``respond``. Raises LabError."""
    return Listener(host, port, type("Handler", (_HttpHandler,), {"respond": staticmethod(respond)}))


def listen_rpc(host: str, port: int) -> Listener:
    """Accept connections and say nothing, as a server's RPC port does to somebody who says nothing. Raises LabError."""
    return Listener(host, port, _RpcHandler)


class _RpcHandler(BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(IDLE_LIMIT)
        while self.request.recv(4096):
            pass


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_LIMIT
    respond: Respond
    server: Listener

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Requests are logged by the cluster that answers them."""

    def _serve(self) -> None:
        sent = self.respond(self._read_request(), self.path)
        if sent is None or self.server.closing:
            self.close_connection = True
            return
        self._send(sent)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815

    def _read_request(self) -> ApiRequest:
        url = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(min(int(length), MOST_BYTES)) if length.isdecimal() else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return ApiRequest(self.command, url.path, parse_qs(url.query, keep_blank_values=True), headers, body)

    def _send(self, sent: DelayedReply) -> None:
        reply = sent.reply
        if "Connection" in reply.headers:
            self.close_connection = True
        body = b"" if self.command == "HEAD" else reply.body
        chunked = len(body) > CHUNKED_ABOVE
        if chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        first, *rest = _pieces(body, PIECES if sent.seconds else 1)
        self.wfile.write(self._status_and_headers(reply, chunked) + first)
        for piece in rest:
            time.sleep(sent.seconds / len(rest))
            self.wfile.write(piece)

    def _status_and_headers(self, reply: ApiReply, chunked: bool) -> bytes:
        headers = {"Vary": "Accept-Encoding", "Date": self.date_time_string(), **reply.headers}
        if reply.content_type:
            headers["Content-Type"] = reply.content_type
        headers |= {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(reply.body))}
        status = HTTPStatus(reply.status)
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _pieces(body: bytes, most: int) -> list[bytes]:
    """So many of equal length, but for the last; at least one, however short the body."""
    step = -(-len(body) // most) or 1
    return [body[start : start + step] for start in range(0, len(body), step)] or [b""]
