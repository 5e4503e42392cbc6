"""`runbook execute` as an operator meets it, on the simulated lab: exit codes, requests sent, words, and the record."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK
from tests.command_line import PLAYBOOK, QUICK, changes, environment, followers, runbook, start


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


def test_a_dead_follower_is_removed_by_one_request_and_a_second_run_finds_nothing(lab: SimulatedLab) -> None:
    """The main job: exactly one change, the numbers told, the record kept for this user alone; then nothing (I9)."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--log-format", "text")
    assert done.returncode == 0, done.stderr
    assert changes(lab) == [f"DELETE /v1/operator/raft/peer?id={lab.ids[dead]}"]
    assert "voters             5 (4 alive) -> 4 (4 alive)\nfailure tolerance  1 -> 1: one more may fail" in done.stdout
    folder = Path(done.stdout.rpartition("record")[2].strip())
    assert {path.name for path in folder.iterdir()} == {
        "by-hand.md",
        "evidence",
        "journal.jsonl",
        "playbook.yaml",
        "report.html",
        "snapshot.json",
        "state.snap",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE((folder / "evidence").stat().st_mode) == 0o700
    again = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert (again.returncode, len(changes(lab))) == (0, 1), again.stderr
    assert "remove-dead-peers: nothing to do" in again.stdout
    assert all(json.loads(line)["run"] for line in again.stderr.splitlines())


def test_a_dry_run_foretells_two_removals_and_sends_no_changing_request(lab: SimulatedLab) -> None:
    """I5, I14: the second removal is reckoned as if the first had been made."""
    *_, asked, first, second = followers(lab)
    for name in (first, second):
        lab.kill(name)
    for name in (first, second):
        lab.wait_for_gossip(name, "failed")
    done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--dry-run")
    assert (done.returncode, changes(lab)) == (0, []), done.stderr
    assert "voters             5 (3 alive) -> 3 (3 alive)\nfailure tolerance  0 -> 1" in done.stdout
    assert {request.method for request in lab.requests} == {"GET"}


def test_without_quorum_nothing_is_sent_and_the_words_say_what_to_do() -> None:
    """Three of five dead: exit 4, and the servers to start again are named."""
    with SimulatedLab(5, gossip_delay=0.3, hold=0.3) as lab:
        lab.wait_for_leader()
        *dead, asked = followers(lab)
        for name in dead:
            lab.kill(name)
        CLOCK.sleep(1)  # until then the leader's lease holds, and the guard refuses with exit 3
        done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
        assert (done.returncode, changes(lab)) == (4, []), done.stderr
    assert "quorum is lost: 2 of 5 voters answer and 3 are needed. Send no removal. Start any one of " in done.stdout


def test_a_killed_tool_leaves_what_it_asked_for_and_says_that_the_outcome_is_unknown(lab: SimulatedLab) -> None:
    """kill -9 between intent and reply: the journal has the intent, and `show` does not guess."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    lab.inject("hang", method="DELETE", times=None)
    process = start(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--quiet")
    until = time.monotonic() + 30
    while not changes(lab) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    shown = runbook(dict(os.environ), "show", "last")
    assert shown.returncode == 0, shown.stderr
    assert (
        f"OUTCOME NOT KNOWN  the removal of {dead}.global ({lab.raft_addresses[dead]}) was asked for at" in shown.stdout
    )
    assert "unfinished" in runbook(dict(os.environ), "runs").stdout


def test_sigterm_during_a_removal_is_recorded_and_exits_130(lab: SimulatedLab) -> None:
    """The step in hand is recorded as unsettled."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    lab.inject("hang", method="DELETE", times=None)
    process = start(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--quiet", stdout=subprocess.PIPE)
    until = time.monotonic() + 30
    while not changes(lab) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "INTERRUPTED at step remove" in output
    assert "OUTCOME NOT KNOWN" in output


def test_one_run_at_a_time(lab: SimulatedLab) -> None:
    """A second run on the same cluster ends at once with 5 and says who holds it."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    lab.inject("hang", method="DELETE", times=1)
    words = ("execute", PLAYBOOK, *QUICK, "--quiet", "--yes")
    process = start(environment(lab, asked), *words, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not changes(lab) and time.monotonic() < until:
            time.sleep(0.05)
        second = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--yes")
        assert second.returncode == 5
        assert "another run holds this cluster" in second.stdout
        assert len(changes(lab)) == 1
    finally:
        process.terminate()
        process.wait(timeout=20)


NOT_STARTED = [
    (["missing.yaml"], {}, "missing.yaml: No such file or directory"),
    ([PLAYBOOK, "--param", "looks=many"], {}, 'param "looks"'),
    ([PLAYBOOK, "--param", "loks=3"], {}, "looks"),
    ([PLAYBOOK], {"RUNBOOK_STATE_DIR": "/proc/nowhere"}, "RUNBOOK_STATE_DIR"),
    ([PLAYBOOK], {"NOMAD_ADDR": "nonsense"}, "NOMAD_ADDR"),
]


@pytest.mark.parametrize(("arguments", "more", "words"), NOT_STARTED)
def test_what_is_wrong_beforehand_is_told_and_nothing_is_started(
    arguments: list[str], more: dict[str, str], words: str
) -> None:
    """Exit 2, one sentence, no traceback."""
    done = runbook({**os.environ, **more}, "execute", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_guard_that_becomes_nonsense_by_a_param_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    """The param is good by itself, so only binding the guards finds it."""
    playbook = tmp_path / "few.yaml"
    playbook.write_text(
        "runbook: 1\nname: few\nparams: { most: { type: int, default: 1 } }\n"
        "guards: { max_changes: '${{ params.most }}' }\nsteps:\n  - uses: raft.snapshot\n"
    )
    done = runbook(dict(os.environ), "execute", str(playbook), "--param", "most=-1")
    assert (done.returncode, "must be at least 0, not -1" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_listening_is_exit_4_and_names_the_address() -> None:
    """An address where nothing listens, told with what to check."""
    done = runbook({**os.environ, "NOMAD_ADDR": "http://127.0.0.9:9"}, "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 4
    assert "http://127.0.0.9:9" in done.stdout
    assert "nothing listens there" in done.stdout


def test_a_token_that_is_missing_is_exit_4_and_names_the_permission() -> None:
    """403: which permission is needed, and no word of the token that was given."""
    with SimulatedLab(3, gossip_delay=0.3, token="s3cr3t-right") as lab:
        lab.wait_for_leader()
        done = runbook(environment(lab, "s1", NOMAD_TOKEN="s3cr3t-wrong"), "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 4
    assert "management token" in done.stdout
    assert "s3cr3t" not in done.stdout + done.stderr
