"""etcd's quorum is lost for good, on real servers: one survivor begins a new cluster, the other joins it empty."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agent_layout import AgentLayout
from runbook.lab.agents import AgentLab
from runbook.raft.recovery_shell import UNKNOWN_FOLDER
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recover_lost_quorum import again, at_a_terminal, grow_back, hosts_of, recover
from tests.contract.test_recover_plan import SUDO, parts, paste, plan

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")]
KILLED_AT = [int(word) for word in os.environ.get("ETCD_KILLED_AT", "7").split()]  # stop 1-2, copy, force, start, join
WRITTEN = "written before the outage"


class OptionsLayout(AgentLayout):
    """Started by options, and not by a file."""

    def command(self, config_file: Path) -> list[str]:
        settings = json.loads(config_file.read_text(encoding="utf-8"))
        words = {name: "true" if value is True else value for name, value in settings.items()}
        return [self.binary, *(f"--{name}={value}" for name, value in words.items())]


def lose_three(lab: AgentLab) -> list[str]:
    """With their disks, after a key was written; the survivors, once none of them leads any more."""
    write_key(lab, WRITTEN)
    dead = lose(lab, 3, wipe=True)
    return wait_until_nobody_leads(lab, [name for name in lab.names if name not in dead])


def wait_until_nobody_leads(lab: AgentLab, survivors: list[str]) -> list[str]:
    until = time.monotonic() + 30
    for name in survivors:
        while "leader" in (get_json(lab.layout.address(name), "/v3/maintenance/status", post=b"{}", timeout=10) or {}):
            assert time.monotonic() < until
            time.sleep(0.2)
    return survivors


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    lab = AgentLab("etcd", 5, folder=tmp_path / "lab")
    if getattr(request, "param", "") == "options":
        lab.layout = OptionsLayout(**asdict(lab.layout))
    with lab:
        lab.wait_for_leader(60)
        yield lab
        AgentLab.load(lab.folder).stop()


def assert_it_is_back(lab: AgentLab, survivors: list[str]) -> None:
    """Both survivors vote, and nobody else is listed; the key is there; and the data of both was kept."""
    recovered = AgentLab.load(lab.folder)
    assert recovered.wait_for_leader(60) in survivors
    listed = get_json(recovered.layout.address(survivors[0]), "/v3/cluster/member/list", post=b"{}", timeout=10)
    assert listed is not None
    assert sorted((each["name"], each.get("isLearner", False)) for each in listed["members"]) == [
        (name, False) for name in survivors
    ]
    assert read_key(recovered) == WRITTEN
    assert len(list(lab.folder.glob("*.data/member.before-*"))) == 2


@pytest.mark.parametrize("lab", [pytest.param("a file", marks=pytest.mark.long), "options"], indirect=True)
def test_three_of_five_are_lost_with_their_disks_and_a_key_is_still_there(lab: AgentLab, tmp_path: Path) -> None:
    survivors = lose_three(lab)
    ended = recover(lab, tmp_path, hosts_of(lab, lab.names))
    assert ended.code == 0, ended.text
    assert ended.text.count("Type ") == 1, "only the cluster's name"
    assert ended.changes == [
        *["host.service"] * 2,
        *["host.backup"] * 2,
        "raft.force_new_cluster",
        "host.service",
        "raft.join_empty",
    ]
    assert_it_is_back(lab, survivors)
    ended = grow_back(lab, tmp_path, lab.names[-1])
    assert (ended.code, ended.changes) == (0, ["raft.add_server"]), ended.text
    assert "3 voters now" in ended.text


@pytest.mark.parametrize("begun", KILLED_AT)
def test_killed_in_the_middle_and_resumed(lab: AgentLab, tmp_path: Path, begun: int) -> None:
    """As it stops, copies, forces, starts and joins; every step looks first, so *again* is right for each."""
    survivors = lose_three(lab)
    ended = recover(lab, tmp_path, hosts_of(lab, lab.names), kill_after=begun)
    assert ended.code == -signal.SIGKILL, ended.text
    ended = at_a_terminal(lab, tmp_path, "resume", "last", "--yes", *again(ended))
    assert ended.code == 0, ended.text
    assert_it_is_back(lab, survivors)


def test_a_frozen_member_is_left_out_by_nobodys_word(lab: AgentLab, tmp_path: Path) -> None:
    """It may wake up with all its data."""
    frozen, *killed = lab.names[2:]
    lab.freeze(frozen)
    for name in killed:
        lab.kill(name)
    survivors = wait_until_nobody_leads(lab, lab.names[:2])
    ended = recover(lab, tmp_path, hosts_of(lab, survivors))
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert f"there is a sign of life of {frozen}" in " ".join(ended.text.split()), ended.text


SYSTEMCTL = """#!{python}
import sys
from dataclasses import asdict
from pathlib import Path
from runbook.lab.agents import AgentLab
from tests.contract.test_etcd_lost_quorum import OptionsLayout

once = Path({once!r}) / "recovery.env"
lines = once.read_text().splitlines() if once.exists() else []

class UnitLayout(OptionsLayout):  # a process of the lab's has no variables: they become options, by etcd's own rule
    def command(self, config_file):
        words = [word for word in super().command(config_file) if not word.startswith("--initial-cluster")]
        pairs = [line.removeprefix("ETCD_").partition("=") for line in lines]
        return words + [f"--{{name.lower().replace('_', '-')}}={{value}}" for name, _, value in pairs]

lab, verb, name = AgentLab.load(Path({folder!r})), sys.argv[1], {name!r}
lab.layout = UnitLayout(**asdict(lab.layout))
row = next(row for row in lab.status() if row.name == name)
if verb == "is-active":
    sys.exit(0 if row.state != "stopped" else 3)
if verb == "show":
    print(row.pid)
if verb == "start":
    lab.restart(name)
if verb == "stop":
    lab.kill(name)
"""
ETCDCTL = """#!{python}
import json, sys, time
from runbook.lab.agent_api import get_json
door, words = sys.argv[1].removeprefix("--endpoints="), sys.argv[2:]
if words[:2] == ["member", "add"]:
    body = {{"peerURLs": [words[-1].removeprefix("--peer-urls=")], "isLearner": "--learner" in words}}
    for _ in range(20):  # a member that was just started leads in a moment
        if get_json(door, "/v3/cluster/member/add", post=json.dumps(body).encode(), timeout=10) is not None:
            sys.exit(0)
        time.sleep(1)
    sys.exit(1)
"""


@pytest.mark.long
@pytest.mark.parametrize("lab", ["options"], indirect=True)
def test_what_the_plan_prints_is_pasted_and_brings_the_cluster_back(lab: AgentLab, tmp_path: Path) -> None:
    """With a ``systemctl`` and an ``etcdctl`` of the lab's; the learner gets its vote from whoever reads its id."""
    survivors = lose_three(lab)
    unit, paths = f"etcd-{lab.layout.octet}", {}
    once = f"/run/systemd/system/{unit}.service.d"
    for name in survivors:
        (folder := tmp_path / f"bin-{name}").mkdir()
        systemctl = SYSTEMCTL.format(python=sys.executable, folder=str(lab.folder), name=name, once=once)
        for program, body in (
            ("systemctl", systemctl),
            ("etcdctl", ETCDCTL.format(python=sys.executable)),
            ("sudo", SUDO),
        ):
            (folder / program).write_text(body, encoding="utf-8")
            (folder / program).chmod(0o700)
        paths[name] = f"{folder}:{os.environ['PATH']}"
    lost = [word for name in lab.names if name not in survivors for word in ("--lost", name)]
    printed = plan(lab, "--unit", unit, *lost)
    assert printed.returncode == 0, printed.stderr
    try:
        for host, commands in parts(printed.stdout):
            if host not in survivors or "promote ITS-ID" in commands:
                continue
            text = commands.replace(UNKNOWN_FOLDER, str(lab.folder / f"{host}.data"))
            done = paste(text, paths[host])
            assert done.returncode == 0, f"{host}: {text}\n{done.stdout}{done.stderr}"
    finally:
        shutil.rmtree(once, ignore_errors=True)
    recovered = AgentLab.load(lab.folder)
    door, until = recovered.layout.address(survivors[0]), time.monotonic() + 30
    listed = get_json(door, "/v3/cluster/member/list", post=b"{}", timeout=10) or {}
    assert sorted(each["name"] for each in listed["members"]) == survivors
    learner = next(each["ID"] for each in listed["members"] if each.get("isLearner"))
    promotion = json.dumps({"ID": learner}).encode()
    while get_json(door, "/v3/cluster/member/promote", post=promotion, timeout=10) is None:
        assert time.monotonic() < until
        time.sleep(0.5)
    assert recovered.wait_for_leader(60) in survivors
    assert read_key(recovered) == WRITTEN
