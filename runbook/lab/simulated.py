"""A simulated cluster that one can really talk to: every server with its own loopback address and two listeners."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runbook.errors import LabError
from runbook.lab.listeners import Listener, listen_http, listen_rpc
from runbook.lab.serving import LoggedRequest, RealTimeCluster, RequestFault, RequestLog, fault_kind
from runbook.raft.model import MemberStatus
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.settings import SimulationSettings
from runbook.simulation.state import ProcessState, SimulatedServer

if TYPE_CHECKING:
    from typing_extensions import Self

PORTS = range(20_000, 32_000)  # below the ports that outgoing connections take, so that a restart finds its own free
PORT_TRIES = 50


class SimulatedLab:
    """N simulated Nomad servers, s1 at 127.0.<octet>.11 and so on; born as a formed cluster with a leader.

    Durations are seconds. Ports left out are picked, the same number on every address. ``gossip_delay`` is about 40 in
    reality. ``version`` is the release to behave like: 1.11.3 if left out, or 1.0.18 on protocol 2.
    """

    def __init__(
        self,
        servers: int = 5,
        *,
        octet: int = 0,
        http_port: int | None = None,
        rpc_port: int | None = None,
        gossip_delay: float = 2.0,
        raft_protocol: int = 3,
        version: str | None = None,
        token: str | None = None,
        hold: float = 5.0,
        reconcile_every: float = 60.0,
        cleanup: bool = False,
        min_quorum: int = 0,
        seed: int = 1,
        request_log: Path | None = None,
    ) -> None:
        """Raises LabError where no such cluster can be."""
        self._picks = (http_port is None, rpc_port is None)
        self._request_log = request_log
        self._listeners: dict[str, list[Listener]] = {}
        self._cluster: RealTimeCluster | None = None
        self._ticker: threading.Thread | None = None
        self.settings = SimulationSettings(
            servers=servers,
            octet=octet,
            http_port=http_port or 0,
            rpc_port=rpc_port or 0,
            gossip_delay=gossip_delay,
            raft_protocol=raft_protocol,
            version=version,
            token=token,
            hold=hold,
            reconcile_every=reconcile_every,
            cleanup=cleanup,
            min_quorum=min_quorum,
            seed=seed,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Listen everywhere and let time pass; once started, it just goes on. Raises LabError, with nothing open."""
        if self._ticker:
            return
        for _ in range(PORT_TRIES if any(self._picks) else 1):
            try:
                self._open_everything()
                break
            except LabError as error:
                self.stop()
                failure = error
        else:
            raise failure
        self._ticker = threading.Thread(target=self._running.tick_until_stopped, name="lab", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        """Close every listener and end every thread that waits; to stop twice is no fault."""
        if self._cluster:
            self._cluster.stop()
        for name in list(self._listeners):
            self._close(name)
        if self._ticker:
            self._ticker.join(timeout=5)
            self._ticker = None

    @property
    def names(self) -> list[str]:
        return list(self.settings.names)

    @property
    def addresses(self) -> list[str]:
        """Where each server's HTTP API is, as ``http://IP:PORT``, in the order of ``names``."""
        return [f"http://{self.settings.host(name)}:{self.settings.http_port}" for name in self.names]

    @property
    def raft_addresses(self) -> dict[str, str]:
        """Each server's ``IP:PORT`` as Raft knows it, by name."""
        return {name: f"{self.settings.host(name)}:{self.settings.rpc_port}" for name in self.names}

    @property
    def ids(self) -> dict[str, str]:
        """What a removal has to name, by server; a wiped server gets another."""
        with self._running.locked() as cluster:
            return {name: server.raft_id for name, server in cluster.state.servers.items()}

    @property
    def requests(self) -> list[LoggedRequest]:
        """Every request that came, also one that nobody answers."""
        return self._running.requests()

    def leader(self) -> str | None:
        with self._running.locked() as cluster:
            return cluster.leader()

    def kill(self, name: str) -> None:
        """As ``kill -9``: connections are refused from now on, and those that are open end. Raises LabError."""
        with self._running.locked() as cluster:
            cluster.kill(name)
        self._close(name)

    def freeze(self, name: str) -> None:
        """As ``kill -STOP``: connections are accepted and nothing is ever answered. Raises LabError."""
        with self._running.locked() as cluster:
            cluster.freeze(name)

    def thaw(self, name: str) -> None:
        """As ``kill -CONT``: it goes on, and answers what it was asked meanwhile. Raises LabError."""
        with self._running.locked() as cluster:
            cluster.thaw(name)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        """Kill it if it lives, and start it; ``wiped`` loses its data directory, and so its id. Raises LabError."""
        self.kill(name)
        try:
            self._open(name)
        except LabError:
            self._close(name)  # one of the two ports may be open already
            raise
        with self._running.locked() as cluster:
            cluster.restart(name, wiped=wiped)

    def partition(self, groups: list[list[str]]) -> None:
        """Servers of different groups no longer hear each other; all still answer HTTP. Raises LabError."""
        with self._running.locked() as cluster:
            cluster.partition(groups)

    def heal(self) -> None:
        with self._running.locked() as cluster:
            cluster.heal()

    def inject(
        self,
        kind: str,
        *,
        server: str | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        seconds: float = 1.0,
    ) -> None:
        """Let a fault befall the next ``times`` requests that fit (None: all). See FaultKind. Raises LabError."""
        with self._running.locked() as cluster:
            if server is not None:
                cluster.server(server)
        self._running.inject(RequestFault(fault_kind(kind), server, method, path, times, seconds))

    def clear_faults(self) -> None:
        self._running.clear_faults()

    def wait_for_leader(self, timeout: float = 10.0) -> str:
        """The leader's name as soon as there is one. Raises LabError after ``timeout`` seconds."""
        self._wait(lambda cluster: cluster.leader() is not None, timeout, "no leader")
        return str(self.leader())

    def wait_for_gossip(self, name: str, status: str, timeout: float = 10.0) -> None:
        """Until every other running server's gossip says so of this one. Raises LabError after ``timeout`` seconds."""
        wanted = MemberStatus(status)

        def all_agree(cluster: SimulatedCluster) -> bool:
            others = [server for server in cluster.state.servers.values() if server.running and server.name != name]
            known = [server.gossip[name].status for server in others if name in server.gossip]
            return bool(known) and all(status is wanted for status in known)

        self._wait(all_agree, timeout, f"gossip does not say {status} of {name}")

    def status(self) -> dict[str, Any]:
        """The whole truth about the lab, for printing."""
        with self._running.locked() as cluster:
            return {
                "leader": cluster.leader(),
                "version": self.settings.release,
                "servers": [self._row(server) for server in cluster.state.servers.values()],
            }

    def _row(self, server: SimulatedServer) -> dict[str, Any]:
        return {
            "name": server.name,
            "http": f"http://{server.host}:{self.settings.http_port}",
            "rpc": server.address,
            "id": server.raft_id,
            "state": server.process.value,
            "role": server.role.value if server.process is not ProcessState.KILLED else None,
            "term": server.term,
            "last_index": server.last[1],
            "group": server.group,
            "configuration": [peer.id for peer in server.peers],
            "gossip": {name: seen.status.value for name, seen in server.gossip.items()},
        }

    @property
    def _running(self) -> RealTimeCluster:
        if self._cluster is None:
            raise LabError("this lab was not started")
        return self._cluster

    def _wait(self, condition: Callable[[SimulatedCluster], bool], timeout: float, otherwise: str) -> None:
        if not self._running.wait_until(condition, timeout):
            raise LabError(f"{otherwise} after {timeout:g} s: {self.status()}")

    def _open_everything(self) -> None:
        http_port, rpc_port = random.sample(PORTS, 2)
        self.settings = replace(
            self.settings,
            http_port=http_port if self._picks[0] else self.settings.http_port,
            rpc_port=rpc_port if self._picks[1] else self.settings.rpc_port,
            epoch=time.time(),
        )
        self._cluster = RealTimeCluster(SimulatedCluster(self.settings), RequestLog(self._request_log))
        for name in self.names:
            self._open(name)

    def _open(self, name: str) -> None:
        host, respond = self.settings.host(name), partial(self._running.respond, name)
        listeners = self._listeners.setdefault(name, [])
        listeners.append(listen_http(host, self.settings.http_port, respond))
        listeners.append(listen_rpc(host, self.settings.rpc_port))

    def _close(self, name: str) -> None:
        for listener in self._listeners.pop(name, []):
            listener.close()
