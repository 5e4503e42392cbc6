"""Connections that ask the guard of their request before a byte leaves. To import it is slow: it imports urllib3.

Only what urllib3 and ``ssl`` document is used: a pool's class of connection, what a connection does to connect and to
send, and a context for TLS of our own, which is given the open connection just before the handshake.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, disable_warnings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InsecureRequestWarning

from runbook.cluster.request_guard import GivenUpError, RequestGuard


class _ThisThread(threading.local):
    """Each exchange has a thread of its own, so the thread knows whose bytes it sends."""

    guard: RequestGuard


this_thread = _ThisThread()


class GuardedTLSContext(ssl.SSLContext):
    """Tells the guard of an open connection before the handshake, which may hang and is then cut off.

    Several connections share it, in several threads, and urllib3 sets it up anew before each handshake. OpenSSL crashes
    where that is done beside a handshake, so what was set up once is not set up again: whoever comes second waits until
    it is done, and nothing changes any more once the first handshake has begun.
    """

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self._lock, self._done = threading.Lock(), set[tuple[Any, ...]]()

    def _once(self, set_up: Callable[..., Any], *words: Any) -> None:
        with self._lock:
            if (set_up.__name__, *words) not in self._done:
                set_up(*words)
                self._done.add((set_up.__name__, *words))

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        self._once(super().load_verify_locations, cafile, capath, cadata)

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        self._once(super().load_cert_chain, certfile, keyfile, password)

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        self._once(super().set_alpn_protocols, tuple(alpn_protocols))

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        try:
            this_thread.guard.connect(sock)
        except GivenUpError:
            sock.close()
            raise
        secured = super().wrap_socket(sock, *args, **kwargs)
        this_thread.guard.certificate = secured.getpeercert()
        return secured


class GuardedConnection(HTTPConnection):
    """A request of it leaves once and in time, or not at all."""

    def connect(self) -> None:
        super().connect()
        try:
            this_thread.guard.connect(self.sock)
        except GivenUpError:
            self.close()
            raise

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        self.begun = False
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Called for the head, and again for each piece of a body, which is the same request still."""
        if self.sock is None:
            self.connect()
        if self.begun:
            this_thread.guard.continue_sending()
        else:
            this_thread.guard.connect(self.sock)  # type: ignore[arg-type]  # it is open
            this_thread.guard.begin_sending()
            self.begun = True
        super().send(data)


class GuardedTLSConnection(GuardedConnection, HTTPSConnection):
    """The same after a handshake."""


def _socket_pool(path: str) -> type[HTTPConnectionPool]:
    class SocketConnection(GuardedConnection):
        """To the server that listens at this socket of our own host, whatever the URL says."""

        def connect(self) -> None:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                line.settimeout(self.timeout)
                line.connect(path)
                this_thread.guard.connect(line)
            except BaseException:
                line.close()
                raise
            self.sock = line

    class SocketPool(HTTPConnectionPool):
        ConnectionCls = SocketConnection

    return SocketPool


class _Pool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedTLSConnection


def guarded_adapter(
    secure: bool, *, check_name: bool = True, server_name: str | None = None, socket_path: str | None = None
) -> HTTPAdapter:
    """Every connection of this adapter asks the guard of its request before it sends; nothing is sent again.

    Without ``secure`` it speaks plain HTTP alone: a context for TLS costs as much as a request. ``socket_path``: to who
    listens at this unix socket.
    """
    adapter = HTTPAdapter(max_retries=0)
    if not secure:
        adapter.init_poolmanager(1, 1)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _socket_pool(socket_path) if socket_path else _Pool}
        return adapter
    context = GuardedTLSContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = (
        ssl.VERIFY_X509_PARTIAL_CHAIN
    )  # a CA file may hold no root, as the clusters' own clients allow
    if not check_name:
        context.check_hostname = False
        disable_warnings(InsecureRequestWarning)  # it was asked for by name
    name: dict[str, Any] = {"server_hostname": server_name} if server_name else {}
    adapter.init_poolmanager(1, 1, ssl_context=context, **name)
    adapter.poolmanager.pool_classes_by_scheme = {"https": _TLSPool}
    return adapter
