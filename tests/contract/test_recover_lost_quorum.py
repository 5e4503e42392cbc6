"""The playbook recover-lost-quorum against real servers, at a terminal, with the lab's machines as local hosts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agents import ADDRESS_VARIABLES, AgentLab
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recovery import ROOT, labs

CONTROL = (
    "import sys; from pathlib import Path; from runbook.lab.agents import AgentLab; "
    "lab = AgentLab.load(Path(sys.argv[1])); getattr(lab, sys.argv[2])(sys.argv[3])"
)
PROMPT = re.compile(r"\[(?!y/N)([^\[\]\s]+)\] $")  # one word can be typed
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")


@dataclass(frozen=True)
class Ended:
    """How a run at a terminal ended, what was printed there, and its journal."""

    code: int
    text: str
    events: list[dict[str, Any]]

    @property
    def changes(self) -> list[str]:
        return [event["uses"] for event in self.events if event["kind"] == "change.begun"]


def hosts_of(lab: AgentLab, names: list[str]) -> dict[str, Any]:
    def control(verb: str, name: str) -> list[str]:
        return [sys.executable, "-c", CONTROL, str(lab.folder), verb, name]

    return {
        name: {
            "local": True,
            "data_folder": str(lab.folder / f"{name}.data"),
            "service": {"stop": control("kill", name), "start": control("restart", name)},
        }
        for name in names
    }


def at_a_terminal(
    lab: AgentLab,
    folder: Path,
    *words: str,
    types: Callable[[str], str] = lambda word: word,
    kill_after: int = 0,
    kill_at_event: int = 0,
) -> Ended:
    """As somebody who knows the addresses of those who run."""
    running = [row.address for row in AgentLab.load(lab.folder).status() if row.state != "stopped"]
    address = ",".join(running or lab.addresses)
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: address, "TERM": "dumb",
                   "RUNBOOK_STATE_DIR": str(folder / "state")}  # fmt: skip
    return typed(environment, folder, *words, types=types, kill_after=kill_after, kill_at_event=kill_at_event)


def typed(
    environment: dict[str, str],
    folder: Path,
    *words: str,
    types: Callable[[str], str] = lambda word: word,
    kill_after: int = 0,
    kill_at_event: int = 0,
) -> Ended:
    """``types`` gives what is typed where a word is asked for; killed ``kill_after`` so many changes have begun, or as
    that many events are in the journal.
    """
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "runbook", *words]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        text, until = "", time.monotonic() + 150
        while time.monotonic() < until:
            ready, _, _ = select.select([ours], [], [], 0.2)
            try:
                text += os.read(ours, 65536).decode("utf-8", "replace") if ready else ""
            except OSError:
                break
            if asked := PROMPT.search(text):
                os.write(ours, (types(asked[1]) + "\n").encode())
                text += "\n"
            events = journal(folder) if kill_after or kill_at_event else []
            begun = [event["kind"] for event in events].count("change.begun")
            if 0 < kill_after <= begun or 0 < kill_at_event <= len(events):
                process.send_signal(signal.SIGKILL)
                break
            if not ready and process.poll() is not None:
                break
        process.wait(60)
    os.close(ours)
    return Ended(process.returncode, text, journal(folder))


def again(ended: Ended) -> list[str]:
    """The words for ``resume``, where a run was killed before the end of its last change was seen."""
    last = next((event for event in reversed(ended.events) if event["kind"] == "change.begun"), None)
    if last is None:
        return []
    ends = [event for event in ended.events[ended.events.index(last) :] if event["kind"] == "item.completed"]
    place = last["step"] if last["item"] is None else f"{last['step']}.{last['item'] + 1}"
    return [] if ends else ["--answer", f"{place}=again"]


def journal(folder: Path) -> list[dict[str, Any]]:
    runs = sorted((folder / "state" / "runs").glob("*/journal.jsonl"))
    if not runs:
        return []
    lines = runs[-1].read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def recover(lab: AgentLab, folder: Path, hosts: dict[str, Any], **more: Any) -> Ended:
    (folder / "hosts.json").write_text(json.dumps({"hosts": hosts}), encoding="utf-8")
    params = ("--params-file", str(folder / "hosts.json"), "--param", "confirm_for=1s", "--param", "cooldown=0s")
    return at_a_terminal(lab, folder, "execute", "recover-lost-quorum", *params, "--yes", **more)


def grow_back(lab: AgentLab, folder: Path, name: str, **more: Any) -> Ended:
    """``replace-server``, of a server of which nothing is left but its machine and its configuration."""
    given = {"server": name, "host": hosts_of(lab, [name])[name], "confirm_for": "1s", "confirm_final_for": "1s"}
    given |= {"patience": "1m", "watch_for": "1s"}
    if lab.layout.kind == "etcd":
        etcd, settings = shutil.which("etcd") or "etcd", lab.folder / f"{name}.json"
        given["first_start"] = [etcd, f"--config-file={settings}"]
    (folder / "grow.json").write_text(json.dumps(given), encoding="utf-8")
    words = ("execute", "replace-server", "--params-file", str(folder / "grow.json"), "--yes")
    return at_a_terminal(lab, folder, *words, **more)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    kind, servers = request.param
    with AgentLab(kind, servers, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab
        AgentLab.load(lab.folder).stop()


@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_three_of_five_are_lost_with_their_disks(lab: AgentLab, tmp_path: Path) -> None:
    """(a): their ports are refused, and on their hosts nothing runs: nobody has to be named. Then all is well again."""
    write_key(lab, "written before the outage")
    dead = lose(lab, 3, wipe=True)
    survivors = [name for name in lab.names if name not in dead]
    ended = recover(lab, tmp_path, hosts_of(lab, lab.names))
    assert ended.code == 0, ended.text
    assert ended.text.count("Type ") == 1, "only the cluster's name"
    assert ended.changes == [
        *["host.service"] * 2, *["host.backup"] * 2, *["raft.write_peers"] * 2, *["host.service"] * 2
    ]  # fmt: skip
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) in survivors
    assert read_key(recovered) == "written before the outage"
    assert list(lab.folder.rglob("peers.json")) == []
    assert len(list(lab.folder.rglob("raft.before-*"))) == 2
    ended = grow_back(lab, tmp_path, dead[0])
    assert (ended.code, ended.changes) == (0, ["raft.add_server"]), ended.text
    assert "3 voters now" in ended.text


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_what_is_refused_and_nothing_is_stopped(lab: AgentLab, tmp_path: Path) -> None:
    """Nobody names who is only silent; nobody agrees; a host that is another's; --yes is none of these words."""
    dead = lose(lab, 3, wipe=True)
    survivors = [name for name in lab.names if name not in dead]
    hosts = hosts_of(lab, survivors)

    ended = recover(lab, tmp_path, hosts, types=lambda _word: "yes")
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert "silence is all there is of" in ended.text

    ended = recover(lab, tmp_path, hosts, types=lambda word: word if word.partition(".")[0] in dead else "no")
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert "nobody agreed to the recovery by typing" in ended.text

    ended = recover(lab, tmp_path, {}, types=lambda word: word)
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert "there is not a host for each survivor. Paste the commands of" in ended.text

    mixed = {**hosts, survivors[0]: hosts[survivors[1]]}
    ended = recover(lab, tmp_path, mixed)
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert "Correct which host belongs to which server" in ended.text
    assert [row.name for row in AgentLab.load(lab.folder).status() if row.state == "running"] == survivors


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_the_hosts_of_an_inventory_are_taken(lab: AgentLab, tmp_path: Path) -> None:
    """By the cluster's name, which is also what a person types; here in a dry run, which asks nobody."""
    dead = lose(lab, 2, wipe=True)
    hosts = {
        name: {**host, "service": {verb: shlex.join(words) for verb, words in host["service"].items()}}
        for name, host in hosts_of(lab, lab.names).items()
    }
    cluster = {"kind": lab.layout.kind, "addresses": lab.addresses, "hosts": hosts}
    inventory = json.dumps({"inventory": 1, "clusters": {"practice": cluster}})
    (tmp_path / "clusters.yaml").write_text(inventory, encoding="utf-8")
    choice = ("--cluster", "practice", "--inventory", str(tmp_path / "clusters.yaml"))
    ended = at_a_terminal(
        lab, tmp_path, "execute", "recover-lost-quorum", *choice, "--param", "confirm_for=1s", "--dry-run"
    )
    assert (ended.code, ended.changes) == (0, []), ended.text
    assert "would stop the server on s1" in ended.text
    assert "a person's word" not in ended.text, dead
    ended = at_a_terminal(lab, tmp_path, "recover", "plan", *choice, "--confirm-for", "1s")
    assert ended.code == 0, ended.text
    assert "on its host it was seen that it does not run" in " ".join(ended.text.replace("#", "").split())


def check(lab: AgentLab, folder: Path) -> tuple[int, str]:
    """As cron does, by the address of one server that runs."""
    door = next(row.address for row in AgentLab.load(lab.folder).status() if row.state == "running")
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: door, "RUNBOOK_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "runbook", "check"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


@pytest.mark.long
@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
def test_who_was_left_out_and_is_started_again_is_named_by_check(lab: AgentLab, tmp_path: Path) -> None:
    """Three are only killed, with their data, and a person names them: each is on the list until one says otherwise."""
    dead = lose(lab, 3, wipe=False)
    ended = recover(lab, tmp_path, hosts_of(lab, [name for name in lab.names if name not in dead]))
    assert ended.code == 0, ended.text
    assert ended.text.count("KEEP OUT") == 1
    code, line = check(lab, tmp_path)
    assert (code, "LeftOutReturned" in line) == (2, False), line
    assert "no further voter may fail: 2 of 2" in line, "critical by its numbers alone"

    AgentLab.load(lab.folder).restart(dead[1])
    until = time.monotonic() + 15
    while "LeftOutReturned" not in (told := check(lab, tmp_path))[1]:
        assert time.monotonic() < until, told
    assert told[0] == 2, told
    assert re.match(
        rf"RAFT CRITICAL - LeftOutReturned \(certain\): {dead[1]}\S*, left out by a recovery, is back", told[1]
    )
    ended = at_a_terminal(lab, tmp_path, "execute", "remove-dead-peers", "--yes")
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert f"runbook ack --left-out {dead[1]}" in " ".join(ended.text.split())

    AgentLab.load(lab.folder).kill(dead[1])
    ended = at_a_terminal(lab, tmp_path, "ack", "--left-out", dead[1], "--comment", "its data folder is gone")
    assert ended.code == 0, ended.text
    (kept,) = (tmp_path / "state" / "left-out").iterdir()
    names = [row["name"].partition(".")[0] for row in json.loads(kept.read_text(encoding="utf-8"))["servers"]]
    assert names == [dead[0], dead[2]]


# Of the changes (stop 1-2, copy, write, start), or, as "event:12", of all events; all of them were played by hand
KILLED_AT = os.environ.get("RECOVERY_KILLED_AT", "5").split()


@pytest.mark.usefixtures("short_hold")
@pytest.mark.parametrize("lab", labs(5), indirect=True)
@pytest.mark.parametrize("begun", KILLED_AT)
def test_killed_in_the_middle_and_resumed(lab: AgentLab, tmp_path: Path, begun: str) -> None:
    """As its first file is written, or elsewhere; the same end. Each step looks first, so *again* is right for it."""
    write_key(lab, "written before the outage")
    dead = lose(lab, 3, wipe=True)
    what, _, number = begun.rpartition(":")
    place = {"kill_at_event" if what else "kill_after": int(number)}
    ended = recover(lab, tmp_path, hosts_of(lab, lab.names), **place)
    assert ended.code == -signal.SIGKILL, ended.text
    ended = at_a_terminal(lab, tmp_path, "resume", "last", "--yes", *again(ended))
    assert ended.code == 0, ended.text
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) not in dead
    assert read_key(recovered) == "written before the outage"
