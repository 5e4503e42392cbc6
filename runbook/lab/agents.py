"""A lab of real agents: N servers of one product on loopback, which a later command finds again in its folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from runbook.errors import LabError
from runbook.files import make_folder, read_limited, replace_file
from runbook.lab.agent_api import gossip_status, leader_seen_by
from runbook.lab.agent_layout import AgentKind, AgentLayout, find_layout
from runbook.lab.process import LabProcess, ServerStatus, tail

if TYPE_CHECKING:
    from typing_extensions import Self

STATE_FILE = "lab.json"
STATE_LIMIT = 1024 * 1024  # bytes; a lab of nine servers takes two thousand
ADDRESS_VARIABLES: dict[AgentKind, str] = {
    "consul": "CONSUL_HTTP_ADDR",
    "etcd": "ETCDCTL_ENDPOINTS",
    "nomad": "NOMAD_ADDR",
}
POLL = 0.1  # seconds between two questions to the agents
STOP_WAIT = 8.0  # seconds from SIGTERM to SIGKILL
Answer = TypeVar("Answer")


class AgentLab:
    """The same verbs as the simulated lab, over real servers. Needs Linux; nothing leaves the machine."""

    def __init__(
        self,
        kind: AgentKind,
        servers: int = 5,
        *,
        folder: Path,
        binary: str | None = None,
        octet: int | None = None,
        http_port: int | None = None,
        cleanup_dead_servers: bool = False,
    ) -> None:
        """Choose where everything will be; nothing is started or written yet. Raises LabError.

        Server s1 gets 127.0.<octet>.11, s2 .12 and so on; without an octet, one whose ports are free is found.
        """
        if (folder / STATE_FILE).exists():
            raise LabError(f"there is a lab in {folder} already; end it with `runbook lab down`")
        self.folder = folder.absolute()
        self.layout = find_layout(kind, servers, binary, octet, http_port, cleanup=cleanup_dead_servers)
        self.processes: dict[str, LabProcess] = {}

    @classmethod
    def load(cls, folder: Path) -> AgentLab:
        """The lab that an earlier command started in this folder. Raises LabError."""
        path = folder / STATE_FILE
        lab = cls.__new__(cls)
        lab.folder = folder.absolute()
        try:
            state = json.loads(read_limited(path, STATE_LIMIT))
            lab.layout = AgentLayout(**state["layout"])
            lab.processes = {name: LabProcess(**process) for name, process in state["processes"].items()}
        except OSError as error:
            raise LabError(f"there is no lab in {folder}: {error.strerror}; start one with `runbook lab up`") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LabError(
                f"{path} is not the state of a lab; if its agents run, stop them by hand, then remove it"
            ) from None
        return lab

    @property
    def names(self) -> list[str]:
        return self.layout.names

    @property
    def addresses(self) -> list[str]:
        """Where each server's HTTP API is, as ``http://IP:PORT``, in the order of `names`."""
        return [self.layout.address(name) for name in self.names]

    def start(self) -> None:
        """Start every server that is not running. Raises LabError, OSError, with none left running."""
        try:
            make_folder(self.folder)
        except OSError as error:
            raise LabError(f"cannot make {self.folder}: {error.strerror}") from None
        try:
            for name in self.names:
                if not self._is_running(name):
                    self._spawn(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every server: SIGTERM, eight seconds at most, then SIGKILL. The folder stays."""
        self._stop(self.names)

    def kill(self, name: str) -> None:
        """``kill -9``: the server is gone at once and tells nobody."""
        self._require_known(name)
        if process := self.processes.get(name):
            process.kill()
        self._forget(name)

    def freeze(self, name: str) -> None:
        """``kill -STOP``: it keeps its ports, accepts connections and answers nothing."""
        self._process(name).freeze()

    def thaw(self, name: str) -> None:
        """``kill -CONT``: a frozen server goes on."""
        self._process(name).thaw()

    def restart(self, name: str, *, wiped: bool = False) -> None:
        """Stop the server if it runs, then start it at the same address; ``wiped`` loses its data and so its id."""
        self._require_known(name)
        self._stop([name])
        if wiped:
            self._wipe(name)
        self._spawn(name)

    def partition(self, _groups: list[list[str]]) -> NoReturn:
        """Not for real agents: they share this machine's loopback, and cutting it would need a firewall and root."""
        raise LabError("a lab of real agents cannot be partitioned; use the simulated lab, or freeze servers instead")

    def heal(self) -> NoReturn:
        """Nothing to heal, see `partition`."""
        self.partition([])

    def down(self) -> None:
        """Stop every server and remove everything but the logs. Raises LabError, OSError."""
        self.stop()
        for name in self.names:
            self._wipe(name)
            self._config(name).unlink(missing_ok=True)
        (self.folder / STATE_FILE).unlink(missing_ok=True)

    @property
    def export(self) -> str:
        """The shell line that points ``runbook`` and the servers' own command line at the lab."""
        return f"export {ADDRESS_VARIABLES[self.layout.kind]}={self.addresses[0]}"

    def status(self) -> list[ServerStatus]:
        leader, at = self.leader(), self.layout
        return [
            ServerStatus(name, at.address(name), at.rpc_address(name), self._state(name), name == leader)
            for name in self.names
        ]

    def leader(self) -> str | None:
        """The one server that holds itself the leader and that another one, if any answers, follows."""
        views = {name: leader_seen_by(self.layout, name) for name in self._answering()}
        enough = min(2, len(views))
        led = [name for name in views if views[name] == name and list(views.values()).count(name) >= enough]
        return led[0] if len(led) == 1 else None

    def wait_for_leader(self, timeout: float = 30.0) -> str:
        """The leader's name as soon as there is one. Raises LabError after `timeout` seconds, or if none can come."""

        def find() -> str | None:
            if not any(self._is_running(name) for name in self.names):
                raise LabError(f"no leader can be elected: {self._describe()}")  # a wrong configuration ends them all
            return self.leader()

        found = _poll(find, timeout)
        if found is None:
            raise LabError(f"no leader within {timeout:g} s: {self._describe()}")
        return found

    def wait_for_gossip(self, name: str, status: str, timeout: float = 90.0) -> None:
        """Until every other server that runs calls this one `status`. Raises LabError after `timeout` seconds.

        Consul takes about six seconds to call a killed server failed, Nomad about forty.
        """
        self._require_known(name)
        seen: dict[str, str] = {}

        def agreed() -> bool:
            seen.clear()
            for other in self._answering():
                if other != name:
                    seen[other] = gossip_status(self.layout, other, name)
            return set(seen.values()) == {status}

        if not _poll(agreed, timeout):
            views = ", ".join(f"{other} says {view}" for other, view in seen.items()) or "no other server runs"
            raise LabError(f"gossip did not call {name} {status} within {timeout:g} s: {views}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, name: str) -> None:
        config = self._config(name)
        replace_file(config, json.dumps(self.layout.config(name, self._data(name)), indent=1).encode())
        try:
            process = LabProcess.spawn(self.layout.command(config), self._log(name))
        except OSError as error:
            raise LabError(f"cannot start {self.layout.binary}: {error.strerror}") from None
        self.processes[name] = process
        try:
            self._save()
        except BaseException:
            process.kill()  # nobody could find it again
            raise

    def _stop(self, names: list[str]) -> None:
        processes = [self.processes[name] for name in names if name in self.processes]
        for process in processes:
            process.ask_to_stop()
        deadline = time.monotonic() + STOP_WAIT
        for process in processes:
            if not process.gone_within(deadline - time.monotonic()):
                process.kill()
        self._forget(*names)

    def _forget(self, *names: str) -> None:
        forgotten = [self.processes.pop(name) for name in names if name in self.processes]
        if forgotten:
            self._save()

    def _save(self) -> None:
        processes = {name: asdict(process) for name, process in self.processes.items()}
        state = {"layout": asdict(self.layout), "processes": processes}
        replace_file(self.folder / STATE_FILE, json.dumps(state, indent=1).encode())

    def _require_known(self, name: str) -> None:
        if name not in self.names:
            raise LabError(f"there is no server {name}; this lab has {', '.join(self.names)}")

    def _process(self, name: str) -> LabProcess:
        self._require_known(name)
        if not self._is_running(name):
            raise LabError(f"{name} is not running; start it with `runbook lab restart {name}`")
        return self.processes[name]

    def _is_running(self, name: str) -> bool:
        return name in self.processes and self.processes[name].running

    def _state(self, name: str) -> str:
        if not self._is_running(name):
            return "stopped"
        return "frozen" if self.processes[name].frozen else "running"

    def _answering(self) -> list[str]:
        return [name for name in self.names if self._state(name) == "running"]

    def _describe(self) -> str:
        """How the servers are; a killed one is forgotten, so one that is remembered and gone ended by itself."""
        states = ", ".join(f"{name} is {self._state(name)}" for name in self.names)
        ended = next((name for name, process in self.processes.items() if not process.running), None)
        log = f"the end of {self._log(ended)}:\n{tail(self._log(ended))}" if ended else f"logs are in {self.folder}"
        return f"{states}; {log}"

    def _wipe(self, name: str) -> None:
        if self._data(name).exists():
            shutil.rmtree(self._data(name))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _data(self, name: str) -> Path:
        return self.folder / f"{name}.data"

    def _config(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _poll(look: Callable[[], Answer], timeout: float) -> Answer:
    """The first true answer, or the last one when time is up."""
    deadline = time.monotonic() + timeout
    while not (answer := look()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return answer
