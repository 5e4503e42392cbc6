"""Where the agents of a lab live on this machine, and the configuration that each of them reads."""

from __future__ import annotations

import random
import shutil
import socket
from pathlib import Path
from typing import Any, Literal

from runbook.dataclass import dataclass
from runbook.errors import LabError

AgentKind = Literal["consul", "etcd", "nomad"]

HTTP_PORTS: dict[AgentKind, int] = {"consul": 8500, "etcd": 2379, "nomad": 4646}
RPC_OFFSET: dict[AgentKind, int] = {
    "consul": -200,
    "etcd": 1,
    "nomad": 1,
}  # from the HTTP port, so that the usual ports are the usual ones
SERF_OFFSET: dict[AgentKind, int] = {"consul": -199, "nomad": 2}  # etcd has no gossip
FIRST_HOST = 11
MOST_SERVERS = 9
OCTETS = range(40, 250)  # where a free one is looked for
PORTS = range(1024, 65536)
OFF = -1


@dataclass(frozen=True)
class AgentLayout:
    """One lab: every server has the same ports, each at its own loopback address 127.0.<octet>.<11, 12, …>."""

    kind: AgentKind
    servers: int
    binary: str
    octet: int
    http_port: int
    cleanup_dead_servers: bool

    @property
    def names(self) -> list[str]:
        return [f"s{number}" for number in range(1, self.servers + 1)]

    @property
    def hosts(self) -> list[str]:
        return [self.host(name) for name in self.names]

    @property
    def ports(self) -> list[int]:
        serf = [self.serf_port] if self.kind in SERF_OFFSET else []
        return [self.http_port, self.rpc_port, *serf]

    @property
    def rpc_port(self) -> int:
        return self.http_port + RPC_OFFSET[self.kind]

    @property
    def serf_port(self) -> int:
        return self.http_port + SERF_OFFSET[self.kind]

    def host(self, name: str) -> str:
        return f"127.0.{self.octet}.{FIRST_HOST + self.names.index(name)}"

    def address(self, name: str) -> str:
        return f"http://{self.host(name)}:{self.http_port}"

    def rpc_address(self, name: str) -> str:
        """As Raft knows it."""
        return f"{self.host(name)}:{self.rpc_port}"

    def gossip_name(self, name: str) -> str:
        """Nomad's members are called after their region too."""
        return f"{name}.global" if self.kind == "nomad" else name

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        """What the agent reads at its start, as JSON."""
        if self.kind == "etcd":
            return _etcd(self, name, data_dir)
        settings = _consul(self, name) if self.kind == "consul" else _nomad(self, name)
        common = {
            "data_dir": str(data_dir),
            "log_level": "DEBUG",  # then a log lists every HTTP request: what was sent can be proven
            "disable_update_check": True,
            "leave_on_terminate": False,  # a stopped server must stay a peer: the lab is there to show dead peers
            "autopilot": {"cleanup_dead_servers": self.cleanup_dead_servers},
        }
        return common | settings

    def command(self, config_file: Path) -> list[str]:
        if self.kind == "etcd":
            return [self.binary, f"--config-file={config_file}"]
        flag = "-config-file" if self.kind == "consul" else "-config"
        return [self.binary, "agent", f"{flag}={config_file}"]


def _consul(layout: AgentLayout, name: str) -> dict[str, Any]:
    host = layout.host(name)
    return {
        "node_name": name,
        "server": True,
        "bootstrap_expect": layout.servers,
        "bind_addr": host,
        "advertise_addr": host,
        "client_addr": host,
        "ports": {
            "http": layout.http_port,
            "server": layout.rpc_port,
            "serf_lan": layout.serf_port,
            "serf_wan": OFF,
            "dns": OFF,
            "grpc": OFF,
        },
        "retry_join": [f"{each}:{layout.serf_port}" for each in layout.hosts],
        "retry_interval": "1s",
        "raft_protocol": 3,
        "performance": {"raft_multiplier": 1},  # Consul's default is 5: five times slower elections
    }


def _nomad(layout: AgentLayout, name: str) -> dict[str, Any]:
    host = layout.host(name)
    return {
        "name": name,
        "bind_addr": host,
        "advertise": dict.fromkeys(("http", "rpc", "serf"), host),
        "ports": {"http": layout.http_port, "rpc": layout.rpc_port, "serf": layout.serf_port},
        "leave_on_interrupt": False,
        "server": {
            "enabled": True,
            "bootstrap_expect": layout.servers,
            "raft_protocol": 3,  # not the default before 1.3.0, the only one since 1.4.0
            "raft_multiplier": 1,
            "server_join": {
                "retry_join": [f"{each}:{layout.serf_port}" for each in layout.hosts],
                "retry_interval": "1s",
            },
        },
        "client": {"enabled": False},
        "consul": {"auto_advertise": False, "server_auto_join": False, "client_auto_join": False},
    }


def _etcd(layout: AgentLayout, name: str, data_dir: Path) -> dict[str, Any]:
    """A cluster that is always named as a new one: a member with data ignores that."""
    client, peer = layout.address(name), f"http://{layout.rpc_address(name)}"
    return {
        "name": name,
        "data-dir": str(data_dir),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(f"{each}=http://{layout.rpc_address(each)}" for each in layout.names),
        "initial-cluster-state": "new",
        "initial-cluster-token": f"lab-{layout.octet}-{layout.http_port}",
        "enable-grpc-gateway": True,  # off where a release reads its settings from a file, as seen with 3.4
        "logger": "zap",
        "log-level": "debug",  # then a log lists every call: what was sent can be proven
    }


def find_layout(
    kind: AgentKind, servers: int, binary: str | None, octet: int | None, http_port: int | None, *, cleanup: bool
) -> AgentLayout:
    """A layout that can start now; without an octet, a free one is looked for. Raises LabError."""
    if not 1 <= servers <= MOST_SERVERS:
        raise LabError(f"a lab has 1 to {MOST_SERVERS} servers, not {servers}")
    found = _find_binary(binary or kind)
    # At random, so that two labs started together do not choose the same.
    for each in [octet] if octet is not None else random.sample(OCTETS, k=len(OCTETS)):
        layout = AgentLayout(kind, servers, found, each, http_port or HTTP_PORTS[kind], cleanup)
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


def _in_use(layout: AgentLayout) -> str | None:
    """The first ``IP:PORT`` that cannot be listened on, if any."""
    if not all(port in PORTS for port in layout.ports) or not 0 <= layout.octet <= 255:
        raise LabError(f"no lab at 127.0.{layout.octet}.x with ports {layout.ports}: octet 0-255, ports 1024-65535")
    for host in layout.hosts:
        for port in layout.ports:
            try:
                socket.create_server((host, port)).close()
            except OSError:
                return f"{host}:{port}"
    return None
