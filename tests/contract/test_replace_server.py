"""A dead server is replaced on real servers: removed, started anew with an empty disk, and a voter again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.lost_quorum import lose, read_key, write_key
from tests.contract.test_recover_lost_quorum import again, at_a_terminal, grow_back, journal, lab
from tests.contract.test_recovery import labs

__all__ = ["lab"]  # a fixture
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees who has a folder open")
WRITTEN = "written before the outage"
KINDS = [*labs(3), pytest.param(("etcd", 3), marks=pytest.mark.etcd, id="etcd")]


@pytest.mark.parametrize("lab", KINDS, indirect=True)
def test_a_dead_server_is_replaced_though_the_tool_is_killed_in_the_middle(lab: AgentLab, tmp_path: Path) -> None:
    """As the new server is started: one removal, one member more, the same end."""
    write_key(lab, WRITTEN)
    (dead,) = lose(lab, 1, wipe=True)
    ended = grow_back(lab, tmp_path, dead, kill_after=1)
    assert ended.code == -signal.SIGKILL, ended.text
    ended = at_a_terminal(lab, tmp_path, "resume", "last", "--yes", *again(ended))
    assert ended.code == 0, ended.text
    kinds = [event["kind"] for event in journal(tmp_path)]
    assert kinds.count("removal.requested") == 1
    assert "3 voters now" in ended.text
    assert read_key(AgentLab.load(lab.folder)) == WRITTEN
