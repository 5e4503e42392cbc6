"""The host of a server: how it is reached, its service and data; and the map in the inventory's words that means it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from runbook.dataclass import dataclass
from runbook.errors import unexpected
from runbook.playbook.model import Field
from runbook.text import shown


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


KEYS = ("server", "local", "ssh", "port", "sudo", "data_folder", "service")
SERVICE_KEYS = ("unit", "stop", "start")
HOST = Field(
    "host",
    "map",
    "server, local or ssh (USER@HOST) with port, sudo, data_folder, and service with unit, or with stop and start",
    required=True,
)
OF_INVENTORY = Field("host", "map", f"{HOST.summary}; that of the inventory where none is given")


def host_spec(server: str, told: Any) -> HostSpec:
    """Raises StepError, which names the server and the key."""
    label = f"the host of {shown(server)[:60]}"
    told = {"local": True} if told == "local" else told
    if not isinstance(told, Mapping) or not server:
        raise unexpected(f"{label} is no map", f"Give it {', '.join(KEYS[1:])}")
    odd = [shown(key) for key in told if key not in KEYS]
    if odd:
        raise unexpected(f"{label} has the unknown key {odd[0][:60]}", f"Its keys are {', '.join(KEYS)}")
    ssh, local = told.get("ssh") or "", told.get("local") is True
    if bool(ssh) == local or not isinstance(ssh, str):
        raise unexpected(f"{label} needs either ssh: USER@HOST or local: true")
    folder = told.get("data_folder") or ""
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise unexpected(f"{label} needs data_folder, an absolute path over there")
    port = told.get("port")
    if port is not None and (type(port) is not int or not 0 < port < 65536):
        raise unexpected(f"{label} has the port {shown(port)[:20]}, which is none")
    unit, stop, start = _service(label, told.get("service"))
    return HostSpec(server, ssh, port, told.get("sudo") is True, folder.rstrip("/"), unit, stop, start)


def _service(label: str, told: Any) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A unit, or the words of two commands."""
    if not isinstance(told, Mapping) or any(key not in SERVICE_KEYS for key in told):
        raise unexpected(f"{label} needs service, with unit or with stop and start")
    unit, stop, start = (told.get(key) or "" for key in SERVICE_KEYS)
    words = _words(label, stop), _words(label, start)
    if bool(unit) == bool(stop or start) or (not unit and not all(words)) or not isinstance(unit, str):
        raise unexpected(f"{label} needs service with unit, or with both stop and start")
    return unit, *words


def _words(label: str, command: Any) -> tuple[str, ...]:
    try:
        words = shlex.split(command) if isinstance(command, str) else command
    except ValueError:
        raise unexpected(f"{label}: the quotes in its command do not match") from None
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise unexpected(f"{label}: a command is a text, or a list of words")
    return tuple(words)


def chosen_host(known: Mapping[str, HostSpec], server: str, given: Any) -> dict[str, Any]:
    """The map of this server's host: the given one, else that of the inventory, by its name with or without region.

    Raises StepError where there is none.
    """
    if given:
        return {"server": server, **given} if isinstance(given, Mapping) and server else given
    spec = known.get(server) or known.get(server.partition(".")[0])
    if spec is None:
        raise unexpected(
            f"no host of {shown(server)[:60] or 'the server'} is known", "Give host, or write the inventory's hosts"
        )
    return host_map(spec)


def host_map(spec: HostSpec) -> dict[str, Any]:
    """The same as plain data, as a step gives it to later ones."""
    service: dict[str, Any] = {"unit": spec.unit} if spec.unit else {"stop": list(spec.stop), "start": list(spec.start)}
    where: dict[str, Any] = {"ssh": spec.ssh, "port": spec.port} if spec.ssh else {"local": True}
    return {"server": spec.server, **where, "sudo": spec.sudo, "data_folder": spec.data_folder, "service": service}
