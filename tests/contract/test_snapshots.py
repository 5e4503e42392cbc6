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
from tests.contract.test_foretold import ETCD
from tests.contract.test_recovery import ROOT, labs

lab = test_recovery.lab


def take(lab: AgentLab, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """As cron would: without a terminal, and without --yes."""
    (folder / "kept").mkdir(exist_ok=True)
    environment = {**os.environ, ADDRESS_VARIABLES[lab.layout.kind]: ",".join(lab.addresses)}
    words = ("execute", "take-snapshot", "--param", f"folder={folder / 'kept'}", "--param", "keep=2", *more)
    return subprocess.run(
        [sys.executable, "-m", "runbook", *words],
        env={**environment, "RUNBOOK_STATE_DIR": str(folder / "state")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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
    assert test_recovery.not_reads(test_recovery.received(lab)) == []
