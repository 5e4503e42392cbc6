"""What a test of workers is about: an inventory, whoever sits at home, and who may give orders."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runbook.lab.simulated import SimulatedLab
from tests.approvers import Signer, allowed_signers
from tests.command_line import ROOT, SHORT
from tests.contract.brokers import RunningWorker


class Site:
    """An inventory, people who may give orders, and the environment of whoever sits at home."""

    def __init__(self, folder: Path, brokers: dict[str, str], rows: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.inventory = folder / "clusters.yaml"
        self.inventory.write_text(json.dumps({"inventory": 1, "clusters": rows}), encoding="utf-8")
        self.environment = {**os.environ, **brokers, "RUNBOOK_INVENTORY": str(self.inventory)}

    def worker(self, name: str, region: str, *words: str) -> RunningWorker:
        return RunningWorker(self.folder / name, self.environment, region, *words)

    def type(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "runbook", *words]
        environment = {**self.environment, **more}
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
        )


def rows_of(labs: list[SimulatedLab], region: str = "eu") -> dict[str, dict[str, Any]]:
    return {
        f"lab{number}": {"kind": "nomad", "labels": {"region": region}, "addresses": list(lab.addresses)}
        for number, lab in enumerate(labs)
    }


def signed(folder: Path, ann: Signer) -> tuple[str, str]:
    """For a worker."""
    return "--signers", str(allowed_signers(folder, ann))


def recover(ann: Signer, *words: str) -> tuple[str, ...]:
    """For home."""
    by = ("--via", "celery", "--signing-key", str(ann.key))
    return ("fleet", "execute", "remove-dead-peers", "--all", *SHORT, "--yes", *by, *words)


class Door:
    """Lets nobody through to a server until it is opened, and says when somebody came."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self.came, self.open = threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self.came.set()
                threading.Thread(target=self._pass, args=(near,), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        self.open.wait(120)
        with contextlib.suppress(OSError), near:
            far = socket.create_connection((str(self._there.hostname), self._there.port or 80), timeout=20)
            with far:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                back.join(20)

    def close(self) -> None:
        self.open.set()
        self._listening.close()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
