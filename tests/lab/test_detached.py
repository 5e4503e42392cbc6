"""A lab that outlives its command: the verbs as an operator types them, and nothing left when it is down."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runbook.cli.main import main
from runbook.errors import LabError
from runbook.lab.agent_api import get_json
from runbook.lab.agents import STATE_FILE
from runbook.lab.control import SOCKET
from runbook.lab.detached import serve, start_lab
from runbook.lab.folder import find_lab
from runbook.lab.process import LabProcess
from runbook.lab.simulated import SimulatedLab
from tests.conftest import port_free_on

LOGS = {"lab.log", "requests.jsonl"}
HOSTS = tuple(f"127.0.0.{number}" for number in range(11, 16))


@pytest.fixture
def folder(state_dir: Path) -> Iterator[Path]:
    """Where the lab is; whatever a test leaves there is ended."""
    yield state_dir / "lab"
    runbook("down")


def runbook(*words: str) -> Result:
    return CliRunner().invoke(main, ["lab", *words], catch_exceptions=False)


def up(*words: str) -> str:
    """A lab of three on a free port; the address of its first server."""
    port = port_free_on(*HOSTS)
    result = runbook("up", "--servers", "3", "--gossip-delay", "0.2", "--http-port", str(port), *words)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip().removeprefix("export NOMAD_ADDR=")


def rows() -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in runbook("status").stdout.splitlines()}


def process_of(folder: Path) -> LabProcess:
    return LabProcess(**json.loads((folder / STATE_FILE).read_text())["process"])


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def follower() -> str:
    return next(name for name, row in rows().items() if "leader" not in row)


def test_up_tells_what_to_type_next_and_status_shows_every_server(folder: Path) -> None:
    """The one line on stdout is for the shell; the lab answers at the address in it."""
    port = port_free_on(*HOSTS)
    result = runbook("up", "--servers", "3", "--http-port", str(port))
    assert result.stdout == f"export NOMAD_ADDR=http://127.0.0.11:{port}\n"
    assert [line.split()[:4] for line in result.stderr.splitlines()] == [
        [f"s{number}", f"http://{host}:{port}", f"{host}:{port + 1}", "running"]
        for number, host in enumerate(HOSTS[:3], start=1)
    ]
    assert result.stderr.count("leader") == 1
    assert get_json(f"http://127.0.0.11:{port}", "/v1/status/peers") is not None
    assert runbook("status").stdout == result.stderr


def test_the_verbs_do_what_they_say(folder: Path) -> None:
    """kill, restart, freeze, thaw, partition and heal, each seen in the status or in what a server answers."""
    address = up()
    name = follower()
    identity = rows()[name][-1]
    for verb, state in (("kill", "killed"), ("restart", "running"), ("freeze", "frozen"), ("thaw", "running")):
        assert runbook(verb, name).exit_code == 0
        assert rows()[name][2] == state
    assert rows()[name][-1] == identity
    assert runbook("restart", name, "--wiped").exit_code == 0
    assert rows()[name][-1] != identity
    assert runbook("partition", "s1", "s2,s3").exit_code == 0
    assert gossip(address, "s2.global", "failed") == "failed"
    assert runbook("heal").exit_code == 0
    assert gossip(address, "s2.global", "alive") == "alive"


def gossip(address: str, member: str, wanted: str) -> str:
    """What a server says of a member, as soon as it is what is wanted."""
    deadline = time.monotonic() + 5
    while True:
        members = get_json(address, "/v1/agent/members") or {"Members": []}
        [status] = [row["Status"] for row in members["Members"] if row["Name"] == member] or ["absent"]
        if status == wanted or time.monotonic() > deadline:
            return str(status)
        time.sleep(0.05)


def test_down_leaves_no_process_and_no_file_but_the_logs(folder: Path) -> None:
    """Nor a port; and what was asked of the servers can still be read."""
    address = up()
    process = process_of(folder)
    get_json(address, "/v1/regions")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys({STATE_FILE, SOCKET, *LOGS}, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert runbook("down").exit_code == 0
    assert not process.running
    assert files(folder) == LOGS
    assert (folder / "lab.log").read_text() == ""
    assert '"path": "/v1/regions"' in (folder / "requests.jsonl").read_text()
    socket.create_server(("127.0.0.11", int(address.rpartition(":")[2]))).close()


def test_a_second_up_is_told_of_the_first(folder: Path) -> None:
    """One lab at a time, and the first goes on."""
    address = up()
    second = runbook("up")
    assert (second.exit_code, second.stdout) == (1, "")
    assert second.stderr == (
        f"runbook: there is a lab in {folder} already: `runbook lab status` shows it, `runbook lab down` ends it\n"
    )
    assert get_json(address, "/v1/regions") == ["global"]


def test_down_without_a_lab_is_nothing_to_do(folder: Path) -> None:
    """What is asked for already is so; said twice it is no error either."""
    assert runbook("down").exit_code == 0
    up()
    assert [runbook("down").exit_code, runbook("down").exit_code] == [0, 0]


def test_a_lab_that_was_killed_is_told_apart_and_replaced(folder: Path) -> None:
    """The folder stays as it was; its pid may be a stranger's by now."""
    up()
    process_of(folder).kill()
    assert runbook("status").stderr == f"runbook: the lab in {folder} died; start another with `runbook lab up`\n"
    assert get_json(up(), "/v1/regions") == ["global"]


def test_a_pid_used_again_is_not_taken_for_the_lab(folder: Path) -> None:
    """By pid and birth: a stranger's process is never signalled."""
    folder.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        process = {"pid": stranger.pid, "began": "another boot/1"}
        (folder / STATE_FILE).write_text(json.dumps({"kind": "simulated", "process": process}))
        with pytest.raises(LabError, match="died"):
            find_lab(folder)
        assert runbook("down").exit_code == 0
        assert stranger.poll() is None
        assert files(folder) == set()
    finally:
        stranger.kill()
        stranger.wait(timeout=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_down_does(number: signal.Signals, folder: Path) -> None:
    """A machine that shuts down sends SIGTERM, and finds a clean folder when it is up again."""
    up()
    process = process_of(folder)
    process.signal(number)
    assert process.gone_within(5)
    assert files(folder) == LOGS


def test_a_lab_that_hangs_is_ended_by_force(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`down` is the last resort, so it may not depend on the lab's good will."""
    monkeypatch.setattr("runbook.lab.detached.STOP_WAIT", 0.2)
    up()
    process = process_of(folder)
    process.freeze()
    assert runbook("down").exit_code == 0
    assert not process.running
    assert files(folder) == LOGS


def test_it_ends_when_its_folder_is_removed(folder: Path) -> None:
    """A person who removes the folder leaves nobody who could find the process."""
    up()
    process = process_of(folder)
    (folder / STATE_FILE).unlink()
    assert process.gone_within(5)


def test_it_ends_when_its_time_is_over(tmp_path: Path) -> None:
    """Twelve hours; here a fifth of a second (I10)."""
    with SimulatedLab(1) as lab:
        began = time.monotonic()
        serve(tmp_path, lab, threading.Event(), life=0.2)
        assert 0.2 <= time.monotonic() - began < 2
    assert files(tmp_path) == set()


def test_it_is_in_a_session_of_its_own_without_the_operators_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Ctrl-C reaches it, it holds no terminal, and no token of a real cluster is in its environment (I13)."""
    monkeypatch.setenv("NOMAD_TOKEN", "s3cret")
    up()
    place = Path("/proc") / str(process_of(folder).pid)
    assert os.getsid(int(place.name)) == int(place.name)
    assert (place / "fd" / "0").readlink() == Path(os.devnull)
    assert {(place / "fd" / number).readlink().name for number in "12"} == {"lab.log"}
    assert b"s3cret" not in (place / "environ").read_bytes()


def test_a_folder_whose_path_is_too_long_for_a_socket_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's address ends at about a hundred bytes, and home folders do not."""
    state = tmp_path / ("long" * 30)
    monkeypatch.setenv("RUNBOOK_STATE_DIR", str(state))
    up()
    try:
        assert (state / "lab" / SOCKET).is_socket()
        assert runbook("kill", "s1").exit_code == 0
        assert rows()["s1"][2] == "killed"
    finally:
        runbook("down")
    assert files(state / "lab") == LOGS


def test_a_port_in_use_is_told_and_leaves_nothing(folder: Path) -> None:
    """The lab's own words reach the operator, though another process said them."""
    port = port_free_on(*HOSTS)
    with socket.create_server(("127.0.0.12", port)):
        result = runbook("up", "--http-port", str(port))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"runbook: cannot listen on 127.0.0.12:{port}: Address already in use")
    assert result.stderr.count("\n") == 1
    assert files(folder) == LOGS


def test_without_a_port_nomads_own_is_taken_or_another() -> None:
    """4646 may be in use, by a lab of somebody else or by a real agent: then any will do, since `up` says which."""
    with start_lab(http_port=None, servers=1) as first, start_lab(http_port=None, servers=1) as second:
        assert second.settings.http_port not in (4646, first.settings.http_port)
        assert get_json(second.addresses[0], "/v1/regions") == ["global"]
