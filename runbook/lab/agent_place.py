"""Where a lab of real agents can be on this machine: the binary, and loopback addresses whose ports are free."""

from __future__ import annotations

import random
import shutil
import socket
from pathlib import Path

from runbook.lab.agent_layout import HTTP_PORTS, Kind, Layout
from runbook.simulation.settings import LabError

MOST_SERVERS = 9
OCTETS = range(40, 250)  # where a free one is looked for
PORTS = range(1024, 65536)


def find_place(
    kind: Kind, servers: int, binary: str | None, octet: int | None, http_port: int | None, *, cleanup: bool
) -> Layout:
    """A layout that can start now; without an octet, a free one is looked for. Raises LabError."""
    if not 1 <= servers <= MOST_SERVERS:
        raise LabError(f"a lab has 1 to {MOST_SERVERS} servers, not {servers}")
    found = _find_binary(binary or kind)
    # At random, so that two labs started together do not choose the same.
    for each in [octet] if octet is not None else random.sample(OCTETS, k=len(OCTETS)):
        layout = Layout(kind, servers, found, each, http_port or HTTP_PORTS[kind], cleanup)
        busy = _in_use(layout)
        if not busy:
            return layout
    everywhere = "" if octet is not None else " on every loopback address tried, perhaps by an agent outside the lab"
    raise LabError(f"{busy} is in use{everywhere}; choose another HTTP port or octet")


def _find_binary(binary: str) -> str:
    if not Path("/proc/self/stat").exists():
        raise LabError("a lab of real agents needs Linux's /proc; use the simulated lab")
    found = shutil.which(binary)
    if found is None:
        raise LabError(f"there is no {binary} on PATH; install it, or use the simulated lab")
    return str(Path(found).absolute())


def _in_use(layout: Layout) -> str | None:
    """The first ``IP:PORT`` that cannot be listened on, if any."""
    if not all(port in PORTS for port in layout.ports) or not 0 <= layout.octet <= 255:
        raise LabError(f"no lab at 127.0.{layout.octet}.x with ports {layout.ports}: octet 0-255, ports 1024-65535")
    places = ((host, port) for host in layout.hosts for port in layout.ports)
    return next((f"{host}:{port}" for host, port in places if not _is_free(host, port)), None)


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True
