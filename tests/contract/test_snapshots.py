"""The playbooks take-snapshot and restore-snapshot on real servers: what is kept, and what comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook.lab.agents import ADDRESS_VARIABLES, AgentLab
from tests.contract import test_recovery
from tests.contract.lost_quorum import KEY, SPACE, read_key, write_key
from tests.contract.test_foretold import ETCD
from tests.contract.test_recover_lost_quorum import Ended, at_a_terminal
from tests.contract.test_recovery import ROOT, labs, not_reads, received

lab = test_recovery.lab
WRITES = {"consul": f"/v1/kv/{KEY}?raw", "nomad": f"/v1/namespace/{SPACE}"}
SENT = {"consul": "PUT /v1/snapshot", "nomad": "PUT /v1/operator/snapshot"}


def without_a_terminal(lab: AgentLab, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: ",".join(lab.addresses)}
    return subprocess.run(
        [sys.executable, "-m", "runbook", "execute", *words],
        env={**environment, "RUNBOOK_STATE_DIR": str(folder / "state")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def take(lab: AgentLab, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """As cron would: without --yes."""
    (folder / "kept").mkdir(exist_ok=True)
    params = ("--param", f"folder={folder / 'kept'}", "--param", "keep=2")
    return without_a_terminal(lab, folder, "take-snapshot", *params, *more)


@pytest.mark.parametrize("lab", [*labs(3), ETCD], indirect=True)
def test_the_newest_few_are_kept_and_none_is_lost_where_there_is_no_leader(lab: Any, tmp_path: Path) -> None:
    for times in range(1, 4):
        done = take(lab, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        kept = sorted((tmp_path / "kept").iterdir())
        assert len(kept) == min(times, 2)
    assert all(path.stat().st_size > 500 and path.stat().st_mode & 0o777 == 0o600 for path in kept)
    done = take(lab, tmp_path, "--dry-run")
    assert (done.returncode, sorted((tmp_path / "kept").iterdir())) == (0, kept), done.stdout + done.stderr
    assert f"would delete {kept[0].name}" in done.stdout + done.stderr
    assert not_reads(received(lab)) == []


def restore(lab: AgentLab, folder: Path, path: Path, *more: str, **typing: Any) -> Ended:
    words = ("execute", "restore-snapshot", "--param", f"path={path}", "--param", "cooldown=0s", "--yes", *more)
    return at_a_terminal(lab, folder, *words, **typing)


@pytest.mark.parametrize("lab", labs(3), indirect=True)
def test_the_old_value_is_back_and_nothing_is_sent_before_all_is_proven(lab: Any, tmp_path: Path) -> None:
    """Refused where another word is typed, and with --yes alone; the dry run sends nothing."""
    write_key(lab, "old")
    assert take(lab, tmp_path).returncode == 0
    (path,) = (tmp_path / "kept").iterdir()
    write_key(lab, "new")
    ended = restore(lab, tmp_path, path, types=lambda _word: "yes")
    assert (ended.code, ended.changes) == (3, []), ended.text
    assert f"{path} holds {lab.layout.kind}:" in ended.text
    assert "is lost, on all servers" in ended.text
    ended = restore(lab, tmp_path, path, "--dry-run")
    assert (ended.code, "would ask" in ended.text) == (0, True), ended.text
    alone = without_a_terminal(lab, tmp_path, "restore-snapshot", "--param", f"path={path}", "--yes")
    assert (alone.returncode, "nobody agreed" in alone.stderr) == (3, True), alone.stdout + alone.stderr
    assert not_reads(received(lab)) == [f"PUT {WRITES[lab.layout.kind]}"] * 2

    ended = restore(lab, tmp_path, path)
    assert ended.code == 0, ended.text
    assert read_key(lab) == "old"
    (done,) = [event for event in ended.events if event["kind"] == "step.completed" and event["step"] == "restore"]
    assert 0 < done["output"]["index"] <= done["output"]["index_before"] < done["output"]["index_after"]
    assert not_reads(received(lab))[2:] == [SENT[lab.layout.kind]]
