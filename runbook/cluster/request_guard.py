"""One request on its way: the one place where it is decided whether its bytes may still leave."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Mapping

from runbook.clock import seconds as now

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: what the kernel still holds is thrown away, not sent later


class GivenUpError(Exception):
    """Its time was over, or it had been sent already: these bytes do not leave."""


class RequestGuard:
    """A request that leaves at most once and never after its time.

    The thread that sends and the one that gives up meet at a lock. ``sent`` says that bytes may have left; while it is
    false, the server surely has nothing.
    """

    def __init__(self, seconds: float) -> None:
        self.until = now() + seconds
        self.connected = False
        self.sent = False
        self.certificate: Mapping[str, object] | None = None  # the server's, of a handshake that was just made
        self._over = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def connect(self, opened: socket.socket) -> None:
        """A connection is open. A handle of our own is kept, as TLS takes the given one apart."""
        with self._lock:
            self.connected = True
            self._refuse_if_over()
            if self._socket is None:
                self._socket = socket.socket(fileno=os.dup(opened.fileno()))

    def begin_sending(self) -> None:
        """Just before the first byte. Raises :class:`GivenUpError` when it is too late, or for a second time."""
        with self._lock:
            self._refuse_if_over()
            if self.sent:
                raise GivenUpError("a request is sent once")
            over_network = self._socket is not None and self._socket.family != socket.AF_UNIX
            if self._socket is not None and over_network and hasattr(socket, "TCP_USER_TIMEOUT"):
                # Unacknowledged bytes die at the deadline even if this process dies before it.
                left = max(1, int((self.until - now()) * 1000))
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, left)
            self.sent = True

    def continue_sending(self) -> None:
        """Before each further piece of the same request. Raises :class:`GivenUpError` when it is too late."""
        with self._lock:
            self._refuse_if_over()

    def give_up(self) -> None:
        """From now on nothing leaves: not what waits for a handshake, and not what the kernel would send again."""
        with self._lock:
            self._over = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # the other side was first
                    # Wakes the thread that reads or writes; its closing then resets the connection.
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    self._socket.shutdown(socket.SHUT_RDWR)
            self._drop_handle()

    def close(self) -> None:
        """The exchange is over, well or badly."""
        with self._lock:
            self._drop_handle()

    def _refuse_if_over(self) -> None:
        if self._over or now() >= self.until:
            raise GivenUpError("its time is over")

    def _drop_handle(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
