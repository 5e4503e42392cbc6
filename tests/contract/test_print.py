"""`runbook print --live` against real servers: what it prints is pasted as it stands, and finishes the recovery.

Each block is there twice, for the product's own command line and for curl alone: whichever of the two is on this host
does it, and the other one finds it done.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.agents import AgentLab
from tests.contract.test_recovery import KINDS, PLAYBOOK, QUICK, ROOT, VARIABLE, followers

PARAMS = (*QUICK[:-1], "--param", "confirm_final_for=4s")
COMMANDS = {"consul": "consul", "nomad": "nomad", "etcd": "etcdctl"}
ALL = [*KINDS, pytest.param("etcd", marks=pytest.mark.etcd)]


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentLab]:
    with AgentLab(request.param, 5, folder=tmp_path / "lab") as lab:
        lab.wait_for_leader(60)
        yield lab


def runbook(lab: AgentLab, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    address = next(row.address for row in lab.status() if row.state == "running")
    environment = {**os.environ, VARIABLE[lab.layout.kind]: address, "RUNBOOK_STATE_DIR": str(folder / "state")}
    command = [sys.executable, "-m", "runbook", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def blocks(page: str) -> list[str]:
    """What a person pastes, one after the other."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def paste(page: str, folder: Path) -> str:
    """All of it, into one shell that knows no more than PATH. What it says, on both streams."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        ["/bin/sh"], input="".join(blocks(page)), env=environment, cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    return done.stdout


def two_dead(lab: AgentLab) -> list[str]:
    dead = followers(lab)[:2]
    for name in dead:
        lab.kill(name)
    for name in dead:
        lab.wait_for_gossip(name, "failed")
    return dead


def listed(lab: AgentLab, folder: Path) -> str:
    """What a second run says of the cluster, which changes nothing."""
    done = runbook(lab, folder, "execute", PLAYBOOK, *PARAMS, "--dry-run", "--yes")
    return f"{done.returncode} {done.stdout}"


@pytest.mark.parametrize("lab", ALL, indirect=True)
def test_what_is_printed_is_pasted_and_finishes_the_recovery(lab: AgentLab, tmp_path: Path) -> None:
    """Two of five are dead: they are gone, one after the other, the state is saved, and a run finds nothing to do."""
    dead = two_dead(lab)
    printed = runbook(lab, tmp_path, "print", PLAYBOOK, *PARAMS, "--live")
    assert printed.returncode == 0, printed.stdout + printed.stderr
    said = paste(printed.stdout, tmp_path)
    for name in dead:
        assert re.search(rf"^{name}\S* is removed$", said, re.MULTILINE), said
    assert "there is a leader, and nobody who was removed is listed" in said, said
    assert "NOT AS IT MUST BE" not in said or shutil.which(COMMANDS[lab.layout.kind]) is None, said
    if lab.layout.kind != "etcd" or shutil.which("etcdctl"):
        assert [path for path in tmp_path.glob("*.snap") if path.stat().st_size > 500], said
    told = listed(lab, tmp_path)
    assert told.startswith("0 "), told
    assert "nothing to do" in told, told
    assert "voters             3 (3 alive) -> 3 (3 alive)" in told, told


@pytest.mark.long
@pytest.mark.parametrize("lab", ALL, indirect=True)
def test_a_third_one_dies_after_the_print_and_every_block_stops_before_it_removes(
    lab: AgentLab, tmp_path: Path
) -> None:
    """Quorum is lost: a removal sent now would bar elections, so none leaves."""
    dead = two_dead(lab)
    printed = runbook(lab, tmp_path, "print", PLAYBOOK, *PARAMS, "--live")
    lab.kill(followers(lab)[0])
    removals = [block for block in blocks(printed.stdout) if f"name={dead[0]}" in block]
    said = paste("".join(f"```sh\n{block}```\n" for block in (blocks(printed.stdout)[0], *removals)), tmp_path)
    assert "is removed" not in said, said
    assert len(re.findall(rf"^STOPPED, {dead[0]}\S* was not removed: ", said, re.MULTILINE)) == len(removals) == 2, said


@pytest.mark.long
@pytest.mark.parametrize("lab", ALL, indirect=True)
def test_who_lives_again_is_removed_by_no_block(lab: AgentLab, tmp_path: Path) -> None:
    """One of the two was started again before somebody pasted: only the other one goes."""
    back, dead = two_dead(lab)
    printed = runbook(lab, tmp_path, "print", PLAYBOOK, *PARAMS, "--live")
    lab.restart(back)
    lab.wait_for_gossip(back, "alive")
    said = paste(printed.stdout, tmp_path)
    assert re.search(rf"^STOPPED, {back}\S* was not removed: ", said, re.MULTILINE), said
    assert not re.search(rf"^{back}\S* is removed$", said, re.MULTILINE), said
    assert re.search(rf"^{dead}\S* is removed$", said, re.MULTILINE), said
