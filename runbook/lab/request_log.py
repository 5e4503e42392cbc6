"""Every request that a simulated server got, so that a test can prove what was sent and what was not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from runbook.simulation.settings import LabError


@dataclass(eq=False)
class Request:
    """``path`` has the query. ``status`` is None until a reply went out, and for ever if none did."""

    server: str
    method: str
    path: str
    status: int | None = None
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="milliseconds"))

    @property
    def changes(self) -> bool:
        """Whether it asked for a change, by its method."""
        return self.method not in ("GET", "HEAD")


class RequestLog:
    """In memory from the moment a request comes; in the file, one JSON line each, once its end is known."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises LabError where the file cannot be written."""
        self.requests: list[Request] = []
        self._unwritten: list[Request] = []
        self._descriptor = -1
        if path is not None:
            try:
                self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            except OSError as error:
                raise LabError(f"cannot write {path}: {error.strerror}") from None

    def came(self, server: str, method: str, path: str) -> Request:
        request = Request(server, method, path)
        self.requests.append(request)
        self._unwritten.append(request)
        return request

    def ended(self, request: Request, status: int | None = None) -> None:
        """It was answered with this status, or it is known that for now nobody answers it."""
        request.status = status
        if request in self._unwritten:
            self._unwritten.remove(request)
            self._write(request)

    def close(self) -> None:
        """Requests that nobody answered are written too."""
        for request in list(self._unwritten):
            self.ended(request)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, request: Request) -> None:
        if self._descriptor >= 0:  # one write, so that a line is whole even for a reader that looks meanwhile
            os.write(self._descriptor, (json.dumps(asdict(request)) + "\n").encode())
