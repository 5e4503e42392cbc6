"""Wrong words for the lab are told in one sentence, and no caller of its socket can hurt it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runbook.cli.main import main
from runbook.errors import LabError
from runbook.lab.agents import AgentLab
from runbook.lab.control import MOST_BYTES, SOCKET, answer_command, is_listening, listen, send_command
from runbook.lab.folder import find_lab, take_down
from tests.conftest import port_free_on

WRONG_ARGUMENTS = [
    ["up", "--servers", "0"],
    ["up", "--servers", "10"],
    ["up", "--kind", "zookeeper"],
    ["up", "--raft-protocol", "4"],
    ["up", "--gossip-delay", "0"],
    ["up", "--http-port", "80"],
    ["up", "--http-port", "65535"],
    ["up", "--kind", "consul", "--raft-protocol", "2"],
    ["up", "--kind", "nomad", "--gossip-delay", "2"],
    ["kill"],
    ["kill", "s1", "s2"],
    ["partition"],
    ["partition", "s1,,s2"],
    ["burn"],
]
NEEDS_A_LAB = [
    ["status"],
    ["kill", "s1"],
    ["freeze", "s1"],
    ["thaw", "s1"],
    ["restart", "s1"],
    ["partition", "s1"],
    ["heal"],
]


def runbook(*words: str) -> Result:
    return CliRunner().invoke(main, ["lab", *words], catch_exceptions=False)


@pytest.mark.parametrize("words", WRONG_ARGUMENTS, ids=" ".join)
def test_wrong_arguments_are_exit_2_and_start_nothing(words: list[str], state_dir: Path) -> None:
    """As everywhere in `runbook`."""
    result = runbook(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr
    assert not state_dir.exists()


@pytest.mark.parametrize("words", NEEDS_A_LAB, ids=" ".join)
def test_a_verb_without_a_lab_says_how_to_start_one(words: list[str], state_dir: Path) -> None:
    """One sentence, exit 1, and no folder is made."""
    result = runbook(*words)
    text = f"runbook: there is no lab in {state_dir / 'lab'}; start one with `runbook lab up`\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", text)
    assert not state_dir.exists()


def test_a_kind_without_its_binary_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What to install, or what to use instead."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = runbook("up", "--kind", "nomad")
    assert result.exit_code == 1
    assert result.stderr == "runbook: there is no nomad on PATH; install it, or use the simulated lab\n"


@pytest.mark.parametrize("words", [["up"], ["status"], ["down"]], ids=" ".join)
def test_a_state_folder_that_cannot_be_is_told(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file is in its place: the sentence names it, and there is no traceback."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNBOOK_STATE_DIR", str(tmp_path / "file"))
    result = runbook(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("runbook: ")
    assert str(tmp_path / "file" / "lab") in result.stderr
    assert "Not a directory" in result.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "simulated", "process": {"pid": 1, "x": 2}}'])
def test_a_broken_state_file_is_told_and_nothing_is_started_over_it(text: str, state_dir: Path) -> None:
    """A lab may run behind it."""
    (state_dir / "lab").mkdir(parents=True)
    (state_dir / "lab" / "lab.json").write_text(text)
    for words in (["up"], ["status"], ["down"]):
        result = runbook(*words)
        assert (result.exit_code, "is not the state of a lab" in result.stderr) == (1, True)


def test_help_loads_nothing_heavy() -> None:
    """`runbook --help` and `runbook lab --help` are typed at 3 a.m. too."""
    for words in ([], ["diagnose"], ["lab"], ["lab", "up"]):
        code = (
            "import contextlib, sys\nfrom runbook.cli.main import main\n"
            "with contextlib.suppress(SystemExit): main([*sys.argv[1:], '--help'])\n"
            "print(sorted({'requests', 'http.server', 'http.client', 'structlog', 'tenacity', 'yaml', 'hashlib',"
            " 'socket', 'runbook.errors', 'runbook.events'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", code, *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert result.stdout.splitlines()[-1] == "[]"


def serve_until(over: threading.Event, door: socket.socket, obey: Callable[[dict[str, Any]], object]) -> None:
    while not over.is_set():
        answer_command(door, obey)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[socket.socket]:
    """A control socket whose lab can do one thing, and that badly if asked."""

    def obey(request: dict[str, Any]) -> object:
        if request["verb"] == "refuse":
            raise LabError("no such server")
        return request["verb"]

    over = threading.Event()
    with listen(tmp_path) as door:
        door.settimeout(0.1)
        server = threading.Thread(target=serve_until, args=(over, door, obey))
        server.start()
        yield door
        over.set()
        server.join(timeout=5)


def test_the_socket_answers_refuses_and_outlives_a_mistake(door: socket.socket, tmp_path: Path) -> None:
    """An error in one request must not take the practice cluster away."""
    assert send_command(tmp_path, "hello") == "hello"
    with pytest.raises(LabError, match=r"^no such server$"):
        send_command(tmp_path, "refuse")
    for line in (b"[]\n", b"not json\n", b"{}\n", b"", b"\xff\n", b"x" * (MOST_BYTES + 2)):
        send_raw(tmp_path, line)
    assert send_command(tmp_path, "hello") == "hello"
    assert (tmp_path / SOCKET).stat().st_mode & 0o777 == 0o600


def send_raw(folder: Path, line: bytes) -> None:
    """Say this and go away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(folder / SOCKET))
        connection.settimeout(5)
        try:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
        except OSError:
            return


def test_a_lab_that_never_answers_is_told(tmp_path: Path) -> None:
    """It takes connections as a hung process does; the wait has a limit (I10)."""
    with listen(tmp_path):
        assert is_listening(tmp_path)
        with pytest.raises(LabError, match="gives no answer: timed out; end it with `runbook lab down`"):
            send_command(tmp_path, "status", timeout=0.1)
    assert not is_listening(tmp_path)


def test_real_agents_have_the_same_verbs(tmp_path: Path) -> None:
    """Stand-ins for agents: found again, wiped, told what cannot be, and taken down but for their logs."""
    binary = tmp_path / "sleeper"
    binary.write_text("#!/bin/sh\nexec sleep 60\n")
    binary.chmod(0o755)
    folder = tmp_path / "lab"
    port = port_free_on("127.0.0.1")
    with AgentLab("consul", 2, folder=folder, binary=str(binary), http_port=max(port, 2000)) as started:
        lab = find_lab(folder)
        assert isinstance(lab, AgentLab)
        assert lab.export == f"export CONSUL_HTTP_ADDR={started.addresses[0]}"
        assert [row.rpc for row in lab.status()] == [
            f"{host}:{started.layout.rpc_port}" for host in started.layout.hosts
        ]
        (folder / "s1.data").mkdir()
        (folder / "s1.data" / "identity").write_text("")
        lab.restart("s1")
        assert (folder / "s1.data" / "identity").exists()
        lab.restart("s1", wiped=True)
        assert not (folder / "s1.data").exists()
        with pytest.raises(LabError, match="cannot be partitioned"):
            lab.heal()
        assert take_down(folder)
        assert set(os.listdir(folder)) == {"s1.log", "s2.log"}
        assert not take_down(folder)


@pytest.mark.consul
def test_a_real_consul_goes_up_and_down(state_dir: Path) -> None:
    """The same words, real servers: up waits for a leader, a killed one is stopped, and down leaves the logs."""
    result = runbook("up", "--kind", "consul", "--servers", "3")
    try:
        assert result.exit_code == 0, result.stderr
        assert result.stdout.startswith("export CONSUL_HTTP_ADDR=http://127.0.")
        assert result.stderr.count("leader") == 1
        assert runbook("kill", "s1").exit_code == 0
        assert runbook("status").stdout.splitlines()[0].split()[3] == "stopped"
        assert "there is a lab in" in runbook("up").stderr
    finally:
        assert runbook("down").exit_code == 0
    assert {path.name for path in (state_dir / "lab").iterdir()} == {"s1.log", "s2.log", "s3.log"}
