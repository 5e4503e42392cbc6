"""A machine on which one server's process is told from whatever else has its data folder open, and ended."""

from __future__ import annotations

from collections.abc import Collection

from runbook.hosts.host import Host, is_listener
from runbook.hosts.scripts import KILL, LISTENING


class StoppingHost(Host):
    """The door to such a machine. Every method raises :class:`HostError`."""

    def server_processes(self, address: str) -> tuple[str, ...]:
        """The numbers of the processes that have the data folder open and listen for this ``IP:PORT``: the server's
        own, and not a shell that stands there or a copy that is being made.
        """
        seen = self.examine(address)
        pids = [holder.partition(" ")[0] for holder in seen.service.holders]
        host, _, port = address.rpartition(":")
        told = self._script(LISTENING, f"{int(port):04X}", *pids, what=f"see who listens for {address}").stdout
        places: dict[str, list[str]] = {pid: [] for pid in pids}
        for line in told.splitlines():
            pid, _, place = line.partition(" ")
            places.setdefault(pid, []).append(place)
        return tuple(pid for pid in pids if is_listener(places[pid], host.strip("[]"), own=seen.owns_address))

    def kill(self, pids: Collection[str]) -> None:
        """SIGKILL, which a frozen process cannot ignore, for those of them that still have the data folder open."""
        self._script(KILL, self.spec.data_folder, *pids, what=f"kill {', '.join(pids)}", changes=True)
