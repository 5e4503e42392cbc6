"""Labs of real agents: the processes are ours and only ours, they can be found again, and none outlives its lab."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.errors import LabError
from runbook.lab.agent_layout import AgentKind, AgentLayout
from runbook.lab.agents import STATE_FILE, AgentLab
from runbook.lab.process import LabProcess
from tests.conftest import port_free_on

NOBODY_LISTENS = 18500  # a port of no agent, so that a fake lab never meets a real one


@pytest.fixture
def sleeper(tmp_path: Path) -> str:
    """A stand-in for an agent: it runs until it is stopped, and listens nowhere."""
    return script(tmp_path / "sleeper", "#!/bin/sh\nexec sleep 60\n")


@pytest.fixture
def fake(tmp_path: Path, sleeper: str) -> Iterator[AgentLab]:
    """A lab of three stand-ins, started."""
    with AgentLab("consul", 3, folder=tmp_path / "lab", binary=sleeper, http_port=NOBODY_LISTENS) as lab:
        yield lab


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def states(lab: AgentLab) -> dict[str, str]:
    return {server.name: server.state for server in lab.status()}


def listens(lab: AgentLab, name: str) -> bool:
    try:
        socket.create_connection((lab.layout.host(name), lab.layout.rpc_port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kind", ["consul", "etcd", "nomad"], ids="for {}".format)
def test_every_address_in_a_configuration_is_loopback(kind: AgentKind, tmp_path: Path) -> None:
    """A lab must not be reachable from, or reach for, any other machine."""
    config = AgentLayout(kind, 5, "agent", 77, 9000, False).config("s2", tmp_path)
    text = json.dumps(config)
    assert text.count("127.0.77.12") >= 3
    assert text.count("127.0.77.") == sum(text.count(f"127.0.77.{host}") for host in range(11, 16))
    assert "0.0.0.0" not in text


@pytest.mark.parametrize("cleanup", [False, True])
def test_dead_servers_stay_peers_unless_asked_otherwise(cleanup: bool, tmp_path: Path) -> None:
    """With the servers' own clean-up on there would be nothing to practise."""
    config = AgentLayout("nomad", 3, "nomad", 77, 4646, cleanup).config("s1", tmp_path)
    assert config["autopilot"] == {"cleanup_dead_servers": cleanup}
    assert config["leave_on_terminate"] is False


def test_the_usual_ports_are_the_usual_ones() -> None:
    """What an operator knows by heart should work in the lab."""
    assert AgentLayout("consul", 3, "consul", 77, 8500, False).ports == [8500, 8300, 8301]
    assert AgentLayout("nomad", 3, "nomad", 77, 4646, False).ports == [4646, 4647, 4648]
    assert AgentLayout("etcd", 3, "etcd", 77, 2379, False).ports == [2379, 2380]


def test_a_server_is_killed_frozen_thawed_and_restarted(fake: AgentLab) -> None:
    """Each verb does to the process what it says, and to no other."""
    fake.kill("s1")
    fake.freeze("s2")
    assert states(fake) == {"s1": "stopped", "s2": "frozen", "s3": "running"}
    fake.thaw("s2")
    fake.restart("s1")
    assert states(fake) == {"s1": "running", "s2": "running", "s3": "running"}


def test_a_later_command_finds_the_lab_again(fake: AgentLab) -> None:
    """`lab up`, then `lab kill s3` in another command: the folder is all that connects them."""
    fake.kill("s1")
    found = AgentLab.load(fake.folder)
    assert (found.names, found.addresses, states(found)) == (fake.names, fake.addresses, states(fake))
    found.freeze("s3")
    assert states(fake)["s3"] == "frozen"
    found.stop()
    assert set(states(fake).values()) == {"stopped"}


def test_stop_ends_even_a_frozen_server_and_may_be_said_twice(fake: AgentLab) -> None:
    """Nothing may be left behind, and stopping what is stopped is no error."""
    fake.freeze("s2")
    processes = list(fake.processes.values())
    fake.stop()
    fake.stop()
    assert not any(process.running for process in processes)


def test_a_pid_that_was_used_again_is_never_signalled(fake: AgentLab) -> None:
    """The folder may be days old: the same number may be anybody's process now."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        fake.processes["s1"].kill()
        fake.processes["s1"] = LabProcess(stranger.pid, began="another boot/1")
        fake.kill("s1")
        fake.stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(timeout=5)


def test_a_process_that_ends_between_the_look_and_the_signal_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told to stop, and did so at once: there is nobody to send the next signal to."""
    process = subprocess.Popen(["true"])
    process.wait(timeout=5)
    monkeypatch.setattr(LabProcess, "running", True)
    LabProcess(process.pid, began="").ask_to_stop()


def test_the_agents_do_not_see_the_operators_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the environment belongs to the real cluster, not to the lab (I13)."""
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "s3cret")
    binary = script(tmp_path / "teller", "#!/bin/sh\nenv\nexec sleep 60\n")
    with AgentLab("consul", 1, folder=tmp_path / "lab", binary=binary, http_port=NOBODY_LISTENS) as lab:
        deadline = time.monotonic() + 5
        while "PATH" not in (text := (lab.folder / "s1.log").read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "PATH" in text
    assert "s3cret" not in text


def test_what_a_lab_writes_is_for_its_user_only(fake: AgentLab) -> None:
    """Folder 0700, files 0600."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fake.folder.iterdir()}
    assert modes.pop(STATE_FILE) == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(fake.folder.stat().st_mode) == 0o700


def test_an_agent_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    """A wrong configuration is known in a second: nobody should wait for the time-out, or look for the log."""
    binary = script(tmp_path / "broken", "#!/bin/sh\necho no such key: bind_addr >&2\nexit 1\n")
    with AgentLab("consul", 3, folder=tmp_path / "lab", binary=binary, http_port=NOBODY_LISTENS) as lab:
        began = time.monotonic()
        with pytest.raises(LabError, match=r"(?s)s1 is stopped.*no such key: bind_addr"):
            lab.wait_for_leader(20)
    assert time.monotonic() - began < 10


def test_a_start_that_fails_leaves_nothing_running(tmp_path: Path, sleeper: str) -> None:
    """The second server's place is taken while the first already runs."""
    lab = AgentLab("consul", 3, folder=tmp_path / "lab", binary=sleeper, http_port=NOBODY_LISTENS)
    (tmp_path / "lab" / "s2.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"s2\.json"):
        lab.start()
    assert lab.processes == {}
    assert json.loads((tmp_path / "lab" / STATE_FILE).read_text())["processes"] == {}


def test_waiting_for_gossip_that_never_comes_says_who_says_what(fake: AgentLab) -> None:
    """The wait has a limit (I10), and its end is told with what was seen."""
    with pytest.raises(LabError, match=r"did not call s1 failed within 0\.1 s: s2 says absent, s3 says absent"):
        fake.wait_for_gossip("s1", "failed", timeout=0.1)


def test_waiting_for_a_leader_that_never_comes_says_where_the_logs_are(fake: AgentLab) -> None:
    """The wait has a limit (I10), and its end names the next place to look."""
    with pytest.raises(LabError, match=r"no leader within 0\.1 s: s1 is running.*logs are in"):
        fake.wait_for_leader(timeout=0.1)


WRONG_USES: list[tuple[Callable[[Path, AgentLab], object], str]] = [
    (lambda tmp, _: AgentLab("consul", 0, folder=tmp / "x"), "1 to 9 servers, not 0"),
    (lambda tmp, _: AgentLab("consul", 10, folder=tmp / "x"), "1 to 9 servers, not 10"),
    (lambda tmp, _: AgentLab("nomad", folder=tmp / "x", binary="no-such-agent"), "no no-such-agent on PATH"),
    (lambda tmp, _: AgentLab("consul", folder=tmp / "x", binary="sh", octet=300), "octet 0-255"),
    (lambda tmp, _: AgentLab("consul", folder=tmp / "x", binary="sh", http_port=100), "ports 1024-65535"),
    (lambda tmp, _: AgentLab("consul", folder=tmp / "lab", binary="sh"), "there is a lab in .* already"),
    (lambda tmp, _: AgentLab.load(tmp / "nowhere"), "no lab in .*start one with"),
    (lambda _, lab: lab.partition([["s1"]]), "cannot be partitioned; use the simulated lab"),
    (lambda _, lab: lab.heal(), "cannot be partitioned"),
    (lambda _, lab: lab.kill("s9"), "no server s9; this lab has s1, s2, s3"),
    (lambda _, lab: AgentLab.load(lab.folder).freeze("s3"), "s3 is not running; start it with"),
]


@pytest.mark.parametrize(("use", "told"), WRONG_USES, ids=[told for _, told in WRONG_USES])
def test_a_wrong_use_is_refused_in_words(
    use: Callable[[Path, AgentLab], object], told: str, tmp_path: Path, fake: AgentLab
) -> None:
    """The text names the thing and the next action, since it reaches the operator as it stands."""
    fake.kill("s3")
    with pytest.raises(LabError, match=told):
        use(tmp_path, fake)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": {}, "processes": {}}', '{"layout": 1, "processes": 2}'])
def test_a_broken_state_file_is_told_not_guessed(text: str, tmp_path: Path) -> None:
    """A wrong guess here would be a signal to a stranger."""
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(LabError, match="not the state of a lab"):
        AgentLab.load(tmp_path)


def test_a_port_in_use_is_found_before_anything_starts(tmp_path: Path, sleeper: str) -> None:
    """Otherwise the lab would be mixed up with whoever answers there."""
    port = port_free_on("127.0.33.11")
    with (
        socket.create_server(("127.0.33.11", port)),
        pytest.raises(LabError, match=rf"127\.0\.33\.11:{port} is in use"),
    ):
        AgentLab("nomad", 3, folder=tmp_path / "lab", binary=sleeper, octet=33, http_port=port)
    assert not (tmp_path / "lab").exists()


def test_without_an_octet_a_free_one_is_found(tmp_path: Path, fake: AgentLab, sleeper: str) -> None:
    """Two labs on one machine do not meet."""
    other = AgentLab("consul", 3, folder=tmp_path / "other", binary=sleeper, http_port=NOBODY_LISTENS)
    assert 40 <= other.layout.octet < 250


@pytest.mark.consul
def test_a_real_consul_loses_a_server_and_gets_it_back(tmp_path: Path) -> None:
    """Three servers elect a leader; one is killed, gossip notices, it returns; a frozen leader is replaced."""
    with AgentLab("consul", 3, folder=tmp_path / "lab") as lab:
        leader = lab.wait_for_leader()
        processes = list(lab.processes.values())
        follower = next(name for name in lab.names if name != leader)
        lab.wait_for_gossip(follower, "alive")
        lab.kill(follower)
        assert not listens(lab, follower)
        lab.wait_for_gossip(follower, "failed", timeout=20)
        AgentLab.load(lab.folder).restart(follower)
        lab = AgentLab.load(lab.folder)
        lab.wait_for_gossip(follower, "alive", timeout=20)
        lab.freeze(leader)
        assert listens(lab, leader)  # so an open port is no proof of life
        assert lab.wait_for_leader() != leader
        lab.stop()
        assert not any(process.running for process in [*processes, *lab.processes.values()])
        assert not any(listens(lab, name) for name in lab.names)


@pytest.mark.nomad
def test_a_real_nomad_loses_its_leader_and_gets_it_back(tmp_path: Path) -> None:
    """Three servers elect a leader; it is killed, another is elected, and it returns under the same address."""
    with AgentLab("nomad", 3, folder=tmp_path / "lab") as lab:
        leader = lab.wait_for_leader()
        processes = list(lab.processes.values())
        lab.kill(leader)
        assert lab.wait_for_leader() != leader
        lab.restart(leader)
        lab.wait_for_gossip(leader, "alive", timeout=20)
        assert len({server.address for server in lab.status() if server.state == "running"}) == 3
    assert not any(process.running for process in processes)
    assert not any(listens(lab, name) for name in lab.names)
