"""`runbook resume`, `ack` and the lock as an operator meets them: killed tools, unknown outcomes, second people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.clock import CLOCK
from tests.command_line import PLAYBOOK, QUICK, ROOT, changes, environment, followers, runbook, start

HEALTH_CHECK = str(ROOT / "playbooks" / "health-check.yaml")


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


@pytest.fixture
def broken(lab: SimulatedLab) -> tuple[str, str]:
    """A dead server, and one to ask that is neither it nor the leader."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    return dead, asked


def killed_in_the_act(lab: SimulatedLab, asked: str, number: signal.Signals = signal.SIGKILL) -> None:
    """A run that dies while its one DELETE is on the way."""
    process = start(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--quiet", stdout=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while not changes(lab) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    process.wait(timeout=20)


def wait_until(true: Callable[[], bool]) -> None:
    """Let the lab's time pass until this is so; whatever it is, the next assert is about it."""
    until = time.monotonic() + 30
    while not true() and time.monotonic() < until:
        CLOCK.sleep(0.5)
        time.sleep(0.02)


def configuration(lab: SimulatedLab) -> list[str]:
    """As the leader holds it."""
    status = lab.status()
    return next(row["configuration"] for row in status["servers"] if row["name"] == status["leader"])


def newest() -> Path:
    return max((Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs").iterdir(), key=lambda folder: folder.name)


def kinds(state: Path) -> list[str]:
    newest = max((state / "runs").iterdir(), key=lambda folder: folder.name)
    lines = (newest / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["kind"] for line in lines]


def newest_run() -> str:
    return max(folder.name for folder in (Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs").iterdir())


def test_a_removal_that_took_effect_is_not_asked_for_again(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """The reply was never seen: a look answers *done*, finished steps are not repeated, and the end is the same."""
    dead, asked = broken
    lab.inject("delay", method="DELETE", seconds=0.3)
    killed_in_the_act(lab, asked)
    wait_until(lambda: lab.ids[dead] not in configuration(lab))
    done = runbook(environment(lab, asked), "resume", "last", "--yes")
    assert (done.returncode, len(changes(lab))) == (0, 1), done.stdout
    assert f"removed            {dead}.global" in done.stdout
    assert "recovered" in done.stdout
    told = kinds(Path(os.environ["RUNBOOK_STATE_DIR"]))
    assert told.count("step.completed") == 5
    assert told.count("removal.confirmed") == 1


def names_in_locks() -> list[str]:
    return [text for path in (Path(os.environ["RUNBOOK_STATE_DIR"]) / "locks").iterdir() if (text := path.read_text())]


def test_a_resumed_run_that_has_finished_holds_nothing(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """The removed server comes back with its old id: the next run is not kept out by one that is over."""
    dead, asked = broken
    lab.inject("delay", method="DELETE", seconds=0.3)
    killed_in_the_act(lab, asked)
    wait_until(lambda: lab.ids[dead] not in configuration(lab))
    assert runbook(environment(lab, asked), "resume", "last", "--yes").returncode == 0
    assert names_in_locks() == []
    lab.restart(dead)
    lab.wait_for_gossip(dead, "alive")
    wait_until(lambda: lab.ids[dead] in configuration(lab))
    after = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert after.returncode == 0, after.stdout


def test_a_run_that_died_between_its_ending_and_its_release_is_freed_by_resume(
    lab: SimulatedLab, broken: tuple[str, str]
) -> None:
    """As the only thing that is left to do."""
    _, asked = broken
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK).returncode == 0
    run = newest_run()
    for path in (Path(os.environ["RUNBOOK_STATE_DIR"]) / "locks").iterdir():
        path.write_text(json.dumps({"run": run, "who": "ann", "since": ""}), encoding="utf-8")
    before = kinds(Path(os.environ["RUNBOOK_STATE_DIR"]))
    done = runbook(environment(lab, asked), "resume", run)
    assert (done.returncode, names_in_locks()) == (0, []), done.stderr
    assert "removed its name from the lock of 5 servers" in done.stderr
    assert kinds(Path(os.environ["RUNBOOK_STATE_DIR"])) == before


def test_a_removal_that_was_lost_on_the_way_is_asked_for_again(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """A look answers *not done*; the guard is asked anew, and one more request goes out."""
    _, asked = broken
    lab.inject("hang", method="DELETE")
    killed_in_the_act(lab, asked)
    CLOCK.sleep(600)  # longer than servers may still carry out what they were asked
    done = runbook(environment(lab, asked), "resume", "last", "--yes")
    assert (done.returncode, len(changes(lab))) == (0, 2), done.stdout
    told = [kind for kind in kinds(Path(os.environ["RUNBOOK_STATE_DIR"])) if kind.startswith("removal.")]
    assert told == ["removal.requested", "removal.still_listed", "removal.requested", "removal.confirmed"]


def test_resuming_a_finished_run_touches_nothing(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """I9: told again from the record; not even a read is sent."""
    _, asked = broken
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK).returncode == 0
    before, seen = kinds(Path(os.environ["RUNBOOK_STATE_DIR"])), len(lab.requests)
    done = runbook(environment(lab, asked), "resume", newest_run())
    assert (done.returncode, len(lab.requests)) == (0, seen)
    assert kinds(Path(os.environ["RUNBOOK_STATE_DIR"])) == before


def test_an_interrupted_run_goes_on_and_looks_anew_before_it_removes(
    lab: SimulatedLab, broken: tuple[str, str]
) -> None:
    """What was seen before the stop proves nothing of now: the looks are spread over the whole time again."""
    dead, asked = broken
    lab.inject("hang", method="DELETE")
    killed_in_the_act(lab, asked, signal.SIGTERM)
    CLOCK.sleep(600)  # longer than servers may still carry out what they were asked
    lab.restart(dead)
    lab.wait_for_gossip(dead, "alive")
    done = runbook(environment(lab, asked), "resume", "last", "--yes")
    assert (done.returncode, len(changes(lab))) == (3, 1), done.stdout
    assert f"{dead}.global is alive" in done.stdout


def test_a_dead_holder_keeps_its_lock_until_it_is_resumed_or_taken_over(
    lab: SimulatedLab, broken: tuple[str, str]
) -> None:
    """Who, since when, at which step; and a take-over is in both journals."""
    _, asked = broken
    lab.inject("hang", method="DELETE")
    killed_in_the_act(lab, asked)
    second = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert second.returncode == 5
    assert "a run that holds this cluster died" in second.stdout
    assert "at step remove" in second.stdout
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, "--take-over").returncode == 2
    over = ("--take-over", "--override", "cooldown", "--reason", "its host is gone")  # it had asked for a removal
    third = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, *over)
    assert third.returncode == 0, third.stdout
    folders = sorted((Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs").iterdir())
    taken = [folder for folder in folders if "lock.taken_over" in (folder / "journal.jsonl").read_text()]
    assert len(taken) == 2
    assert runbook(dict(os.environ), "show", taken[0].name).returncode == 0


def test_after_a_recovery_the_next_one_waits_for_a_person(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """The cool-down refuses a change and nothing else; `ack` or a reason lifts it, and both are on record."""
    _, asked = broken
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK).returncode == 0
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK).returncode == 0  # nothing to do
    second = next(name for name in followers(lab) if name not in broken)
    lab.kill(second)
    lab.wait_for_gossip(second, "failed")
    refused = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert (refused.returncode, len(changes(lab))) == (3, 1), refused.stdout
    assert "nobody acknowledged it" in refused.stdout
    recovery = refused.stdout.partition("runbook ack ")[2].split()[0]
    wrong = runbook(dict(os.environ), "ack", "last", "--comment", "x")  # the refused run: that would change nothing
    assert (wrong.returncode, recovery in wrong.stderr) == (2, True), wrong.stderr
    acknowledged = runbook(dict(os.environ), "ack", recovery, "--comment", "disk of s2 died")
    assert acknowledged.returncode == 0, acknowledged.stderr
    assert "disk of s2 died" in runbook(dict(os.environ), "show", recovery).stdout
    again = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert (again.returncode, len(changes(lab))) == (0, 2), again.stdout


def test_a_person_may_set_the_cool_down_aside_by_name(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """With a reason, which is kept."""
    _, asked = broken
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK).returncode == 0
    second = next(name for name in followers(lab) if name not in broken)
    lab.kill(second)
    lab.wait_for_gossip(second, "failed")
    by_name = ("--override", "cooldown", "--reason", "second disk of the same batch")
    assert runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, *by_name).returncode == 0
    assert "second disk of the same batch" in runbook(dict(os.environ), "show", "last").stdout


def test_last_is_the_newest_run_that_can_be_resumed(lab: SimulatedLab, broken: tuple[str, str]) -> None:
    """Not the rehearsal and not the run that finished after it; `show last` stays the newest."""
    _, asked = broken
    lab.inject("hang", method="DELETE")
    killed_in_the_act(lab, asked)
    stopped = newest_run()
    rehearsed = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK, "--dry-run")
    assert rehearsed.returncode == 5, rehearsed.stdout  # it foretells that the lock of the dead run is in the way
    assert runbook(environment(lab, asked), "execute", HEALTH_CHECK).returncode == 0
    newest = newest_run()
    assert newest in runbook(dict(os.environ), "show", "last").stdout
    done = runbook(environment(lab, asked), "resume", "last", "--yes")
    assert (done.returncode, stopped in done.stdout) == (0, True), done.stdout + done.stderr
    none_left = runbook(environment(lab, asked), "resume", "last")
    assert none_left.returncode == 2
    assert f"no run can be resumed: the newest, {newest}, is completed" in none_left.stderr


NOT_RESUMED = [
    (["resume", "nothing"], "there is no run nothing"),
    (["ack", "nothing", "--comment", "x"], "there is no run nothing"),
]


@pytest.mark.parametrize(("arguments", "words"), NOT_RESUMED)
def test_a_run_that_is_not_there(arguments: list[str], words: str) -> None:
    """Exit 2 and a sentence."""
    done = runbook(dict(os.environ), *arguments)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
