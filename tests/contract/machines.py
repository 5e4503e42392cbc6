"""A machine of its own for each server, in network namespaces: a switch between them, firewalls, sshd, and a bastion.

Needs Linux, root and `ip`; elsewhere a test is skipped and says why. Nothing leaves this machine: the namespaces have
links to each other only.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runbook.lab.agent_layout import AgentKind, AgentLayout
from runbook.lab.agents import AgentLab

NET, AWAY_NET = "10.77.5", "10.78.5"
WATCHER, BASTION, AWAY = "watcher", "bastion", "away"  # who drives the lab, and from where a person asks
PORT = "eth0"
TUNNEL = 18500  # as far from the usual ports as a tunnel is
CLONE_NEWNET = 0x40000000
WITH_ADMIN_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


def why_not(*tools: str) -> str:
    """What is missing here to make namespaces and to run these tools, or nothing."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    missing = [tool for tool in ("ip", *tools) if not shutil.which(tool, path=WITH_ADMIN_PATH)]
    if missing:
        return f"no {' and no '.join(missing)} on PATH"
    name = f"rb-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.decode().strip()}"
    finally:
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", name)
    return ""


def space(name: str) -> str:
    """The namespace of a machine of this process."""
    return f"rb-{os.getpid()}-{name}"


def within(name: str, *words: str) -> list[str]:
    """The command that runs these words on that machine."""
    return [shutil.which("ip") or "", "netns", "exec", space(name), *words]


class MachineLayout(AgentLayout):
    """The usual ports, each server on a machine of its own."""

    def host(self, name: str) -> str:
        return f"{NET}.{11 + self.names.index(name)}"

    def config(self, name: str, data_dir: Path) -> dict[str, Any]:
        """As installed: elections are rare, also on a busy machine."""
        settings = super().config(name, data_dir)
        settings.pop("performance", None)
        return settings

    def command(self, config_file: Path) -> list[str]:
        return within(config_file.stem, *super().command(config_file))


def machine_lab(kind: AgentKind, servers: int, folder: Path) -> AgentLab:
    """Its verbs are to be used at the watcher's place: no firewall here is against that one."""
    lab = AgentLab(kind, servers, folder=folder)
    usual = AgentLayout(kind, servers, lab.layout.binary, 0, lab.layout.http_port, cleanup_dead_servers=False)
    lab.layout = MachineLayout(**asdict(usual))
    return lab


@contextmanager
def at(name: str) -> Iterator[None]:
    """What this thread does meanwhile, and what it starts, is on that machine's network."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before, (Path("/run/netns") / space(name)).open("rb") as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


@dataclass
class Machines:
    """The namespaces of one test: of the servers, of the watcher, of a bastion on the servers' network, and of a host
    that reaches nothing but the bastion.
    """

    names: list[str]
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        self._add("switch")
        ip("-n", space("switch"), "link", "add", "name", "switch", "type", "bridge")
        ip("-n", space("switch"), "link", "set", "switch", "up")
        for number, name in enumerate((WATCHER, BASTION, *self.names)):
            self._add(name)
            peer = ("type", "veth", "peer", "name", name, "netns", space("switch"))
            ip("-n", space(name), "link", "add", "name", PORT, *peer)
            self._address(name, PORT, f"{NET}.{9 + number}")
            ip("-n", space("switch"), "link", "set", name, "master", "switch", "up")
        self._add(AWAY)
        ip(
            "-n",
            space(AWAY),
            "link",
            "add",
            "name",
            PORT,
            "type",
            "veth",
            "peer",
            "name",
            "out",
            "netns",
            space(BASTION),
        )
        self._address(AWAY, PORT, f"{AWAY_NET}.2")
        self._address(BASTION, "out", f"{AWAY_NET}.1")

    def _add(self, name: str) -> None:
        ip("netns", "add", space(name))
        self.stack.callback(ip, "netns", "del", space(name))
        ip("-n", space(name), "link", "set", "lo", "up")

    def _address(self, name: str, device: str, address: str) -> None:
        ip("-n", space(name), "addr", "add", f"{address}/24", "dev", device)
        ip("-n", space(name), "link", "set", device, "up")

    def filter(self, name: str, *rule: str) -> None:
        """A rule of this machine's firewall for what the bastion sends; the first that fits decides."""
        words = ("iptables", "-w", "-A", "INPUT", "-s", f"{NET}.10", "-p", "tcp", *rule)
        subprocess.run(within(name, *words), check=True, capture_output=True, timeout=10)

    def open_all(self) -> None:
        for name in self.names:
            subprocess.run(within(name, "iptables", "-w", "-F", "INPUT"), check=True, capture_output=True, timeout=10)

    def let_in(self, folder: Path) -> Path:
        """An sshd on each machine; returns a folder for PATH whose ssh knows them all, also from beyond the bastion."""
        for key in ("host_key", "id"):
            words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
            subprocess.run(words, check=True, timeout=30)
        shutil.copy(folder / "id.pub", folder / "authorized_keys")
        (folder / "known_hosts").write_text(f"* {(folder / 'host_key.pub').read_text()}")
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {folder}/authorized_keys\nPidFile none\nUsePAM no\n"
            "StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
        (folder / "ssh_config").write_text(
            f"Match host {NET}.* exec \"ip -o address show | grep -q ' {AWAY_NET}.2/'\"\n ProxyJump {AWAY_NET}.1\n"
            f"Host *\n User root\n IdentityFile {folder}/id\n IdentitiesOnly yes\n StrictHostKeyChecking yes\n"
            f" UserKnownHostsFile {folder}/known_hosts\n GlobalKnownHostsFile /dev/null\n"
        )
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd insists on separating privileges
        for name in (BASTION, *self.names):
            sshd, log = shutil.which("sshd", path=WITH_ADMIN_PATH) or "", str(folder / f"sshd-{name}.log")
            daemon = within(name, sshd, "-D", "-E", log, "-f", str(folder / "sshd_config"))
            self._keep(subprocess.Popen(daemon, stdin=subprocess.DEVNULL))
        (folder / "bin").mkdir()
        (folder / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
        (folder / "bin" / "ssh").chmod(0o755)
        return folder / "bin"

    def tunnel(self, ssh: Path, to: str) -> str:
        """An address at the host that reaches the bastion only, which ssh leads to this ``IP:PORT`` beyond it."""
        words = (str(ssh), "-N", "-L", f"127.0.0.1:{TUNNEL}:{to}", "-o", "ExitOnForwardFailure=yes", f"{AWAY_NET}.1")
        self._keep(subprocess.Popen(within(AWAY, *words), stdin=subprocess.DEVNULL))
        until = time.monotonic() + 20
        with at(AWAY):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", TUNNEL), 1).close()
                except OSError:
                    assert time.monotonic() < until, "no tunnel"
                    time.sleep(0.1)
                else:
                    return f"http://127.0.0.1:{TUNNEL}"

    def _keep(self, process: subprocess.Popen[bytes]) -> None:
        def end() -> None:
            process.terminate()
            process.wait(10)

        self.stack.callback(end)

    def unplug(self, name: str) -> None:
        """Its machine is off, or its cable out: it answers nobody."""
        ip("-n", space(name), "link", "set", PORT, "down")
