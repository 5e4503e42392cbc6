"""Real OpenBao servers on loopback with one key share: started, joined, unsealed, and ended by their own processes."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runbook.files import make_folder, replace_file
from runbook.lab import agent_layout
from runbook.lab.process import LabProcess, tail
from tests.cluster.stub import CERTIFICATE, NAME_IN_CERTIFICATE

if TYPE_CHECKING:
    from typing_extensions import Self

API, CLUSTER = 8200, 8201
# Seen in 2.6.2 with log_requests_level: "completed_request: ... request_method=POST request_path=sys/..."
REQUEST = re.compile(r"completed_request: .*request_path=(\S+).*")
READY = 60.0  # seconds in which a cluster is there


@dataclass
class OpenBaoLab:
    """Server ``s1`` is at 127.0.OCTET.11, and so on. ``closed``: whose API is where nobody is told of it."""

    folder: Path
    servers: int = 5
    closed: frozenset[str] = frozenset()
    tls: bool = False
    octet: int = field(default_factory=lambda: agent_layout.OCTETS[0])
    processes: dict[str, LabProcess] = field(default_factory=dict)
    token: str = ""
    key: str = ""

    @property
    def names(self) -> list[str]:
        return [f"s{number}" for number in range(1, self.servers + 1)]

    def host(self, name: str) -> str:
        return f"127.0.{self.octet}.{10 + int(name[1:])}"

    def address(self, name: str) -> str:
        """What is published as its API."""
        return f"{'https' if self.tls else 'http'}://{self.host(name)}:{API}"

    def api(self, name: str) -> str:
        """Where its API is."""
        return f"http://127.0.{self.octet}.{110 + int(name[1:])}:{API}" if name in self.closed else self.address(name)

    @property
    def variables(self) -> dict[str, str]:
        """What a person who asks it over TLS has set."""
        return {"BAO_CACERT": str(CERTIFICATE), "BAO_TLS_SERVER_NAME": NAME_IN_CERTIFICATE} if self.tls else {}

    def config(self, name: str) -> dict[str, Any]:
        file = str(CERTIFICATE)
        trust = {"leader_ca_cert_file": file, "leader_tls_servername": NAME_IN_CERTIFICATE} if self.tls else {}
        others = [{"leader_api_addr": self.api(other), **trust} for other in self.names if other != name]
        joins = {"retry_join": others} if others else {}  # an empty list is refused
        tls: dict[str, Any] = {"tls_cert_file": file, "tls_key_file": file} if self.tls else {"tls_disable": True}
        listener = {"address": urlsplit(self.api(name)).netloc, "cluster_address": f"{self.host(name)}:{CLUSTER}"}
        return {
            "storage": {"raft": {"path": str(self.folder / f"{name}.data"), "node_id": name, **joins}},
            "listener": [{"tcp": {**listener, **tls}}],
            "api_addr": self.address(name),
            "cluster_addr": f"https://{self.host(name)}:{CLUSTER}",
            "disable_mlock": True,
            "log_requests_level": "info",  # then a log lists every request: what was sent can be proven
        }

    # -- verbs

    def __enter__(self) -> Self:
        try:
            for name in self.names:
                self.start(name)
            told = self.until(
                "an init", lambda: self.ask("s1", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            )
            self.key, self.token = told["keys"][0], told["root_token"]
            self.unseal("s1")
            settings = {"server_stabilization_time": "1s"}
            self.until(
                "settings", lambda: self.ask("s1", "sys/storage/raft/autopilot/configuration", settings) is not None
            )
            for name in self.names[1:]:
                self.unseal(name)
            self.until("all voters", lambda: self.voters() == self.names)
            self.until("all echoes", lambda: len(self.echoing()) == self.servers)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.kill()

    def start(self, name: str, *, wiped: bool = False) -> None:
        """Sealed, where it has been unsealed before."""
        data, config = self.folder / f"{name}.data", self.folder / f"{name}.json"
        if wiped:
            shutil.rmtree(data)
        make_folder(data)
        replace_file(config, json.dumps(self.config(name)).encode())
        command = [shutil.which("bao") or "bao", "server", f"-config={config}"]
        self.processes[name] = LabProcess.spawn(command, self.log(name))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        self.processes.pop(name).kill()

    def freeze(self, name: str) -> None:
        self.processes[name].freeze()

    def thaw(self, name: str) -> None:
        self.processes[name].thaw()

    def unseal(self, name: str) -> None:
        """A server that is still joining takes its key and needs it once more."""

        def unsealed() -> bool:
            told = self.ask(name, "sys/seal-status") or {}
            if told.get("sealed") is False:
                return True
            self.ask(name, "sys/unseal", {"key": self.key})
            return False

        self.until(f"{name} unsealed", unsealed)

    # -- questions

    def ask(self, name: str, path: str, body: dict[str, Any] | None = None) -> Any | None:
        """The JSON of a 200, something true of a 204, None for anything else."""
        connection = self.connection(name)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", f"/v1/{path}", sent, {"X-Vault-Token": self.token})
            reply = connection.getresponse()
            data = reply.read()
            return (json.loads(data) if data else True) if reply.status in (200, 204) else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def connection(self, name: str) -> http.client.HTTPConnection:
        place = urlsplit(self.api(name)).netloc
        if not self.tls:
            return http.client.HTTPConnection(place, timeout=20)
        trusted = ssl.create_default_context(cafile=str(CERTIFICATE))
        trusted.check_hostname = False  # it is for no address
        return http.client.HTTPSConnection(place, timeout=20, context=trusted)

    @property
    def running(self) -> list[str]:
        return [name for name in self.names if name in self.processes and not self.processes[name].frozen]

    def leader(self) -> str | None:
        named = (name for name in self.running if (self.ask(name, "sys/leader") or {}).get("is_self"))
        return next(named, None)

    def wait_for_leader(self) -> str:
        return str(self.until("an active server", self.leader))

    def followers(self) -> list[str]:
        leader = self.wait_for_leader()
        return [name for name in self.running if name != leader]

    def voters(self) -> list[str]:
        told = self.ask(self.leader() or "s1", "sys/storage/raft/configuration") or {
            "data": {"config": {"servers": []}}
        }
        return sorted(each["node_id"] for each in told["data"]["config"]["servers"] if each["voter"])

    def echoing(self) -> list[str]:
        told = self.ask(self.leader() or "s1", "sys/ha-status") or {"data": {"nodes": []}}
        return [each["cluster_address"] for each in told["data"]["nodes"]]

    def changes_received(self) -> list[str]:
        """Removals by the servers' own logs; that reads are listed shows that requests are."""
        logs = [self.log(name).read_text(encoding="utf-8", errors="replace") for name in self.names]
        paths = [path for log in logs for path in REQUEST.findall(log)]
        assert any(path.endswith("sys/storage/raft/configuration") for path in paths)
        return [path for path in paths if path.endswith("remove-peer")]

    def until(self, what: str, seen: Callable[[], Any]) -> Any:
        """The first true answer."""
        deadline = time.monotonic() + READY
        while not (answer := seen()):
            ended = next((name for name, process in self.processes.items() if not process.running), None)
            assert ended is None, f"{ended} ended: {tail(self.log(str(ended)))}"
            assert time.monotonic() < deadline, f"no {what} within {READY:g} s; logs are in {self.folder}"
            time.sleep(0.25)
        return answer
