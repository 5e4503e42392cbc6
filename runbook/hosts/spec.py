"""How one server's machine is reached, as a frozen value: what an inventory or a playbook's params fill."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostSpec:
    """The machine of one server.

    Args:
        server: The server's name or id.
        ssh: ``USER@HOST``, or empty where it is this machine.
        port: That of its sshd, where it is another one than ssh's own configuration says.
        sudo: Whether commands are run by ``sudo -n``.
        data_folder: Where the server keeps its data.
        unit: Its systemd unit; or else
        stop: the words of a command that stops it, and
        start: of one that starts it.
    """

    server: str
    ssh: str = ""
    port: int | None = None
    sudo: bool = False
    data_folder: str = ""
    unit: str = ""
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """As a person reads it: ``s1 (admin@10.0.0.11)``."""
        return f"{self.server} ({self.ssh or 'this host'})"
