"""What an inventory says, as frozen values. A secret is never in it: only where it is fetched from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from runbook.dataclass import dataclass
from runbook.errors import Mark
from runbook.playbook.approval_rule import ApprovalRule
from runbook.playbook.model import Secret


@dataclass(frozen=True)
class InventoryAddress:
    """One address of a cluster's API. ``server`` is the id or the name of the server whose own it is, else empty."""

    url: str
    mark: Mark
    server: str = ""
    tls_server_name: str = ""


@dataclass(frozen=True)
class TLSFiles:
    """``ca`` is a file or a folder; ``cert`` and ``key`` are given together or not at all."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    skip_verify: bool = False


@dataclass(frozen=True)
class ServiceControl:
    """How a server's process is stopped and started: its systemd unit, or the words of two commands."""

    unit: str = ""
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()


@dataclass(frozen=True)
class InventoryHost:
    """The machine of one server. ``ssh`` is ``USER@HOST``, or empty where it is this machine."""

    server: str
    ssh: str = ""
    port: int | None = None
    sudo: bool = False
    data_folder: str = ""
    service: ServiceControl = field(default_factory=ServiceControl)


@dataclass(frozen=True)
class InventoryCluster:
    """One cluster. A host has the data folder and the service of the cluster where it states none of its own."""

    name: str
    kind: str
    mark: Mark
    addresses: tuple[InventoryAddress, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    tls: TLSFiles = field(default_factory=TLSFiles)
    credentials: Mapping[str, Secret] = field(default_factory=dict)
    hosts: tuple[InventoryHost, ...] = ()
    data_folder: str = ""
    service: ServiceControl = field(default_factory=ServiceControl)
    approval: ApprovalRule | None = None


@dataclass(frozen=True)
class Inventory:
    """A whole file, in its own order."""

    path: str
    clusters: tuple[InventoryCluster, ...]
