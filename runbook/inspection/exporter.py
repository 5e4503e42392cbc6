"""The series of a check over HTTP, for whoever scrapes: asked for when they are wanted, and kept for a while.

A server of the standard library with limits: so many requests beside each other, and so long for each. It reads nothing
but the path of a request, and answers every one with what it would answer anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET6, SHUT_RDWR, socket
from typing import Any

from runbook.clock import seconds as now

MOST_REQUESTS = 16  # beside each other; whoever comes then is turned away
READ_TIMEOUT = 5.0  # seconds between two pieces of a request
WHOLE_REQUEST = 30.0  # seconds of a request in all; a look has 9 of them, unless it was given more
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class CachedSeries:
    """What ``look`` gave, for so many seconds. Several that ask at once wait for one look."""

    def __init__(self, look: Callable[[], str], seconds: float) -> None:
        self._look, self._seconds = look, seconds
        self._lock = threading.Lock()
        self._kept: tuple[float, str] | None = None

    def get(self) -> str:
        """Empty where there is none."""
        with self._lock:
            if self._kept is None or now() - self._kept[0] >= self._seconds:
                series = self._look()
                self._kept = now(), series
            return self._kept[1]


class SeriesHandler(BaseHTTPRequestHandler):
    """``/metrics`` and nothing else."""

    server_version, sys_version = "runbook", ""
    timeout = READ_TIMEOUT
    server: SeriesServer

    def do_GET(self) -> None:  # noqa: N802 -- http.server looks for it by this name
        """As the name says, which the library looks for."""
        path = self.path.partition("?")[0]
        if path != "/metrics":
            self._answer(404, "The series are at /metrics\n")
            return
        series = self.server.series.get()
        self._answer(200 if series else 503, series or "There are none: run runbook check here to see why\n")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", TEXT if status == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Nobody reads it."""


class SeriesServer(HTTPServer):
    """A thread a request, and no more than ``MOST_REQUESTS``."""

    request_queue_size = MOST_REQUESTS

    def __init__(self, host: str, port: int, series: CachedSeries, whole_request: float = WHOLE_REQUEST) -> None:
        """Raises OSError where this place cannot be listened at."""
        self.series = series
        self._whole_request = whole_request
        self._open: dict[socket, float] = {}
        self._lock = threading.Lock()
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), SeriesHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, where there is room."""
        with self._lock:
            if len(self._open) >= MOST_REQUESTS:
                self.shutdown_request(request)
                return
            self._open[request] = now()
        threading.Thread(target=self._process, args=(request, client_address), daemon=True).start()

    def _process(self, request: socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:  # whoever asked has gone, or its time is over
            pass
        finally:
            with self._lock:
                del self._open[request]
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Twice a second, by the library: whoever sends a byte now and then does not hold a thread for ever."""
        with self._lock:
            late = [request for request, began in self._open.items() if now() - began > self._whole_request]
        for request in late:
            try:
                request.shutdown(SHUT_RDWR)
            except OSError:
                continue
