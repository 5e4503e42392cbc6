"""Connections that ask the flight of their request before a byte leaves. To import it is slow: it imports urllib3.

Only what urllib3 and ``ssl`` document is used: a pool's class of connection, what a connection does to connect and to
send, and a context for TLS of our own, which is given the open connection just before the handshake.
"""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, disable_warnings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InsecureRequestWarning

from runbook.cluster.flight import Flight, GivenUpError

if TYPE_CHECKING:
    from runbook.cluster.http import Settings


class _ThisThread(threading.local):
    """Each exchange has a thread of its own, so the thread knows which flight its bytes are of."""

    flight: Flight


this_thread = _ThisThread()


class TetheredTLS(ssl.SSLContext):
    """Tells the flight of an open connection before the handshake, which may hang and is then cut off."""

    def wrap_socket(self, sock: socket.socket, *words: Any, **more: Any) -> ssl.SSLSocket:
        try:
            this_thread.flight.connect(sock)
        except GivenUpError:
            sock.close()
            raise
        return super().wrap_socket(sock, *words, **more)


class TetheredConnection(HTTPConnection):
    """A request of it leaves once and in time, or not at all."""

    def connect(self) -> None:
        super().connect()
        try:
            this_thread.flight.connect(self.sock)
        except GivenUpError:
            self.close()
            raise

    def putrequest(self, *words: Any, **more: Any) -> None:
        self.on_its_way = False
        super().putrequest(*words, **more)

    def send(self, data: Any) -> None:
        """Called for the head, and again for each piece of a body, which is the same request still."""
        if self.sock is None:
            self.connect()
        if self.on_its_way:
            this_thread.flight.go_on()
        else:
            this_thread.flight.connect(self.sock)  # type: ignore[arg-type]  # it is open
            this_thread.flight.depart()
            self.on_its_way = True
        super().send(data)


class TetheredTLSConnection(TetheredConnection, HTTPSConnection):
    """The same after a handshake."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = TetheredConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = TetheredTLSConnection


def tethered(settings: Settings) -> HTTPAdapter:
    """Every connection of this adapter asks its flight before it sends; nothing is sent again."""
    adapter = HTTPAdapter(max_retries=0)
    context = TetheredTLS(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = (
        ssl.VERIFY_X509_PARTIAL_CHAIN
    )  # a CA file may hold no root, as the clusters' own clients allow
    if settings.verify is False:
        context.check_hostname = False
        disable_warnings(InsecureRequestWarning)  # it was asked for by name
    name: dict[str, Any] = {"server_hostname": settings.server_name} if settings.server_name else {}
    adapter.init_poolmanager(1, 1, ssl_context=context, **name)
    adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return adapter
