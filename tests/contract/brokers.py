"""Real brokers on loopback, each with folders and ports of its own, and real workers; all are ended by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from redis import Redis
from typing_extensions import Self

from tests.command_line import ROOT

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH would become another user
HOST = "127.0.0.1"


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
    return found


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


class Broker:
    """A process group of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @property
    def url(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def run(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        with log:
            clean = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **environment}
            return subprocess.Popen(
                command, env=clean, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """It writes down what it holds."""
        if self._process is not None:
            end_session(self._process)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


class RedisServer(Broker):
    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def client(self) -> Redis:
        return Redis(HOST, self.port, decode_responses=True)

    def start(self) -> None:
        words = ("--port", str(self.port), "--bind", HOST, "--appendonly", "yes", "--save", "")
        self._process = self.run("redis-server", *words)
        wait_until(lambda: listens(self.port))
        with self.client as client:
            wait_until(client.ping)


class RabbitServer(Broker):
    """With an epmd of its own, which a second node of this machine would not meet."""

    def __init__(self, folder: Path, port: int, dist_port: int, epmd_port: int) -> None:
        super().__init__(folder, port)
        self._ports = {"dist": dist_port, "epmd": epmd_port}
        self._epmd: subprocess.Popen[bytes] | None = None
        (folder / "enabled_plugins").write_text("[].\n", encoding="ascii")
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = {HOST}:{port}\nlog.console = false\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{HOST}:{self.port}//"

    def start(self) -> None:
        epmd = {"ERL_EPMD_PORT": str(self._ports["epmd"]), "ERL_EPMD_ADDRESS": HOST}
        if self._epmd is None:
            self._epmd = self.run("epmd", "-port", epmd["ERL_EPMD_PORT"], "-address", HOST)
            wait_until(lambda: listens(self._ports["epmd"]))
        folder = str(self.folder)
        self._process = self.run(
            str(RABBITMQ),
            **epmd,
            RABBITMQ_NODENAME=f"rb{self.port}@localhost",
            RABBITMQ_DIST_PORT=str(self._ports["dist"]),
            RABBITMQ_MNESIA_BASE=folder,
            RABBITMQ_LOG_BASE=folder,
            RABBITMQ_PLUGINS_EXPAND_DIR=f"{folder}/plugins",
            RABBITMQ_ENABLED_PLUGINS_FILE=f"{folder}/enabled_plugins",
            RABBITMQ_CONFIG_FILE=f"{folder}/rabbitmq.conf",
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}",
        )
        wait_until(lambda: listens(self.port), 90)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()
        if self._epmd is not None:
            end_session(self._epmd)


def pids_of_session(session: int) -> list[int]:
    """Whoever belongs to it, also where its leader has ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if fields[0] not in "ZX" and int(fields[3]) == session:
                    found.append(int(entry.name))
    return found


def end_session(process: subprocess.Popen[Any], number: int = signal.SIGTERM, within: float = 20.0) -> None:
    """Every process of the session that this one leads, by its id; those that do not heed the signal are killed."""
    session, until = process.pid, time.monotonic() + within
    for pid in reversed(pids_of_session(session)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    while time.monotonic() < until:
        process.poll()
        if not pids_of_session(session):
            break
        time.sleep(0.05)
    for pid in pids_of_session(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(20)


class RunningWorker:
    """A worker as somebody types it, with a state folder of its own as on another host."""

    def __init__(self, folder: Path, environment: Mapping[str, str], region: str, *words: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {**environment, "RUNBOOK_STATE_DIR": str(folder / "state")}
        command = [sys.executable, "-m", "runbook", "worker", "--region", region, *words]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> Self:
        wait_until(lambda: " ready." in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        return self

    def kill(self) -> None:
        """As a power cut does: all of it at once."""
        end_session(self.process, signal.SIGKILL)

    def stop(self) -> None:
        """As systemd does with KillMode=mixed."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        end_session(self.process, signal.SIGKILL)


@contextlib.contextmanager
def working(*workers: RunningWorker) -> Iterator[tuple[RunningWorker, ...]]:
    try:
        yield tuple(worker.wait_until_ready() for worker in workers)
    finally:
        for worker in workers:
            worker.stop()
