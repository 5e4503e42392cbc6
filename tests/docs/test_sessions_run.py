"""Every session of the pages runs as it stands: the same words, with a simulated cluster where the page has its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import runbook
from tests.docs.documented import ROOT, Command, commands, fences, is_whole

THEIR_CLUSTER = "http://10.0.0.11:4646"
THEIR_TEXTFILES = "/var/lib/node_exporter"
NOT_ALONE = (
    "lab",
    "demo",
    "exporter",
    "worker",
    "show",
    "plan",
    "approve",
    "resume",
    "ack",
    "recover",  # there is a leader
)  # these are steps of a session, or have no end: alone they find nothing, or take its time twice

# The words of the page go to the real command line; only the waiting is cut short, and a yes is given beforehand. Of
# make, the demo is really run: its cluster and its run have one clock that leaps over their waits, and in real time the
# demo is a stage of CI's own.
RUNBOOK = """#!/bin/sh
case "$1" in execute|plan) set -- "$@" --param confirm_for=0s --param looks=2 --param watch_for=0s;; esac
case "$1" in execute) set -- "$@" --yes;; esac
exec "{python}" -m runbook "$@"
"""
MAKE = """#!/bin/sh
case "$1" in demo) exec "{python}" -m tests.docs.leaping_demo;; *) exec /usr/bin/make --dry-run "$@";; esac
"""


PARTS = 6  # of all the commands of the pages, so that no worker has all of them


@dataclass(frozen=True)
class Desk:
    """Where somebody sits who types what the page shows: a shell, and a cluster with one dead server."""

    folder: Path
    lab: SimulatedLab

    def type(self, text: str) -> subprocess.CompletedProcess[str]:
        text = text.replace(THEIR_CLUSTER, self.lab.addresses[0]).replace(THEIR_TEXTFILES, str(self.folder))
        text = text.replace(". .venv/bin/activate", ":")  # the test has an environment already
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(self.folder)}
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for name, text in (("runbook", RUNBOOK), ("make", MAKE)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text.format(python=sys.executable), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o700)
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        dead = next(name for name in reversed(lab.names) if name != lab.wait_for_leader())
        lab.kill(dead)
        lab.wait_for_gossip(dead, "failed")
        desk = Desk(tmp_path, lab)
        yield desk
        desk.type("runbook lab down")


def sessions() -> dict[str, str]:
    """By page: all that it lets somebody type, from its first line to its last, in one shell."""
    pages: dict[str, str] = {}
    for fence in fences("sh"):
        pages[fence.page] = pages.get(fence.page, "") + fence.text
    return pages


@pytest.mark.parametrize("page", sessions())
def test_a_page_runs_as_it_stands(desk: Desk, page: str) -> None:
    """On a fresh HOME, to its end, with `sh -e`, so that no command of it fails unseen or bars a later one."""
    session = sessions()[page]
    done = desk.type(session)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if "execute" in session:
        assert "would recover the cluster" in done.stdout
        assert "remove-dead-peers: recovered" in done.stdout


def test_pages_show_how_to_recover() -> None:
    """Else what the test above holds of a recovery would be held of none."""
    assert len(sessions()) > 1
    assert [page for page, session in sessions().items() if "execute" in session] != []


@cache
def alone() -> list[Command]:
    """Each once, wherever it is shown; the example extension's page is for after its installation, which has a test."""
    shown = {each.words: each for each in commands("runbook") if "example-ext" not in each.page}
    found = [each for each in shown.values() if each.words[0] not in NOT_ALONE and "--plan" not in each.words]
    found = [each for each in found if each.words[:2] != ("fleet", "report")]  # of what is begun, or printed, before
    found = [each for each in found if "--via" not in each.words]  # a broker is started in the tests of workers
    return [each for each in found if is_whole(each)]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_whole_command_of_a_page_runs(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Of one part, one after the other on one cluster; `check` warns of a dead server, `doctor` of this host."""
    monkeypatch.chdir(ROOT)
    textfile = str(tmp_path / "runbook.prom")
    inventory = tmp_path / "clusters.yaml"
    entry = f"{{ kind: nomad, labels: {{ env: prod }}, addresses: ['{desk.lab.addresses[0]}'] }}"
    inventory.write_text(f"inventory: 1\nclusters: {{ nomad-eu: {entry} }}\n", encoding="utf-8")
    where = {"NOMAD_ADDR": desk.lab.addresses[0], "RUNBOOK_INVENTORY": str(inventory)}
    for command in alone()[part::PARTS]:
        words = [word.replace(f"{THEIR_TEXTFILES}/runbook.prom", textfile) for word in command.words]
        agreed = ["--yes"] if "execute" in words[:2] else []  # nobody sits here
        done = runbook({**os.environ, **where}, *words, *agreed)
        allowed = {0, 1} if command.words[0] in ("check", "doctor") else {0}
        assert done.returncode in allowed, f"{command}\n{done.stdout}{done.stderr}"
        if agreed:  # else what comes next in this part would meet the cool-down
            runbook({**os.environ, **where}, "ack", "last", "--comment", "seen")
    assert Path(textfile).exists() == any(
        command.words[0] == "check" and "--textfile" in command.words for command in alone()[part::PARTS]
    )
