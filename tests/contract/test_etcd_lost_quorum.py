"""etcd's quorum is lost for good, on real servers: one survivor begins a new cluster, the other joins it empty."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from runbook.lab.agent_api import get_json
from runbook.lab.agent_layout import AgentLayout
from runbook.lab.agents import AgentLab
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recover_lost_quorum import at_a_terminal, hosts_of, recover

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")]
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
    survivors = [name for name in lab.names if name not in dead]
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


@pytest.mark.smoke
@pytest.mark.parametrize("lab", ["a file", "options"], indirect=True)
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


@pytest.mark.long
@pytest.mark.parametrize("begun", [1, 2, 3, 4, 5, 6, 7])
def test_killed_in_the_middle_and_resumed(lab: AgentLab, tmp_path: Path, begun: int) -> None:
    """As it stops, copies, forces, starts and joins; every step looks first, so *again* is right for each."""
    survivors = lose_three(lab)
    ended = recover(lab, tmp_path, hosts_of(lab, lab.names), kill_after=begun)
    assert ended.code == -signal.SIGKILL, ended.text
    last = next(event for event in reversed(ended.events) if event["kind"] == "change.begun")
    ends = [event for event in ended.events[ended.events.index(last) :] if event["kind"] == "item.completed"]
    words = [] if ends else ["--answer", f"{last['step']}.{last['item'] + 1}=again"]
    ended = at_a_terminal(lab, tmp_path, "resume", "last", "--yes", *words)
    assert ended.code == 0, ended.text
    assert_it_is_back(lab, survivors)


def test_a_frozen_member_is_left_out_by_nobodys_word(lab: AgentLab, tmp_path: Path) -> None:
    """It may wake up with all its data."""
    victims = lose(lab, 2, wipe=True, frozen=1)
    survivors = [name for name in lab.names if name not in victims]
    ended = recover(lab, tmp_path, hosts_of(lab, survivors))
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert f"there is a sign of life of {victims[0]}" in " ".join(ended.text.split()), ended.text
