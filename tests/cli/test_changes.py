"""Runs that change something, as an operator meets them: guards, the lock, the cool-down, and who is asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, SHORT, changes, environment, followers, runbook, start
from tests.report.terminal import at_a_terminal

HEAD = "runbook: 1\nname: commands\nguards: {{ {guards} }}\nsteps:\n"
TOUCH = '  - id: {id}\n    uses: command.run\n    with: {{ argv: [sh, -c, "echo {id} >> {folder}/mark{then}"] }}\n'
NOBODY = {"NOMAD_ADDR": "http://127.0.0.1:9"}  # nothing listens there
FOREVER = "; while [ ! -e {folder}/go ]; do sleep 0.05; done"


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        yield lab


@pytest.fixture
def broken(lab: SimulatedLab) -> str:
    """One to ask, that is neither the leader nor the one that is dead."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    return asked


def playbook(folder: Path, guards: str, *ids: str, then: str = "") -> str:
    steps = "".join(TOUCH.format(id=each, folder=folder, then=then.format(folder=folder)) for each in ids)
    path = folder / "commands.yaml"
    path.write_text(HEAD.format(guards=guards) + steps, encoding="utf-8")
    return str(path)


def done(folder: Path) -> list[str]:
    mark = folder / "mark"
    return mark.read_text().split() if mark.exists() else []


def runs() -> list[Path]:
    return sorted((Path(os.environ["RUNBOOK_STATE_DIR"]) / "runs").iterdir())


def journal(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


def killed_inside(folder: Path, environ: dict[str, str], guards: str = "max_changes: 1") -> str:
    """A run that died inside its only command; its name."""
    path = playbook(folder, guards, "once", then=FOREVER)
    with start(environ, "execute", path, "--yes", "--quiet", stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while not done(folder) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    (folder / "go").touch()
    return runs()[-1].name


# -- guards and the lock


@pytest.mark.parametrize(
    ("guards", "ran", "words"),
    [
        (
            "max_changes: 1, min_voters: 3, never_worse: true",
            ["first"],
            "that would be change 2 of this run, and its guard max_changes is 1",
        ),
        ("max_changes: 9, min_voters: 9", [], "5 of 5 voters are proven alive and the playbook's min_voters is 9"),
    ],
)
def test_commands_are_held_to_the_guards(
    lab: SimulatedLab, tmp_path: Path, guards: str, ran: list[str], words: str
) -> None:
    """Refused at the step that is one too many; both ran, and it ended with 0."""
    ended = runbook(environment(lab, "s1"), "execute", playbook(tmp_path, guards, "first", "second"), "--yes")
    assert (ended.returncode, done(tmp_path)) == (3, ran), ended.stdout
    assert words in ended.stdout


def test_a_playbook_of_commands_takes_the_lock_of_the_cluster_that_it_points_at(
    lab: SimulatedLab, broken: str, tmp_path: Path
) -> None:
    """Whatever address is given: a recovery waits for it."""
    path = playbook(tmp_path, "max_changes: 1", "first", then=FOREVER)
    words = ("execute", path, "--yes", "--quiet")
    with start(environment(lab, broken), *words, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while not done(tmp_path) and time.monotonic() < until:
            time.sleep(0.02)
        other = runbook(environment(lab, lab.leader() or ""), "execute", PLAYBOOK, *SHORT, "--yes")
        (tmp_path / "go").touch()
    assert (other.returncode, process.returncode, changes(lab)) == (5, 0, [])
    assert "another run holds this cluster" in other.stdout


def test_a_playbook_of_commands_needs_no_cluster_unless_it_states_something_of_it(tmp_path: Path) -> None:
    """Nothing listens at the address: nothing is held, and nothing is refused for it."""
    plain = playbook(tmp_path, "max_changes: 1, cooldown: 1h", "first")
    for _ in range(2):
        assert runbook({**os.environ, **NOBODY}, "execute", plain, "--yes").returncode == 0
    assert runbook({**os.environ}, "execute", plain, "--yes").returncode == 0
    ended = runbook({**os.environ, **NOBODY}, "execute", playbook(tmp_path, "min_voters: 1", "second"), "--yes")
    assert (ended.returncode, done(tmp_path)) == (3, ["first"] * 3)
    assert "the playbook states min_voters, and the cluster cannot be read" in ended.stdout


# -- who agreed


def test_without_a_terminal_nothing_is_changed_unless_somebody_said_yes_beforehand(
    lab: SimulatedLab, broken: str
) -> None:
    """A timer, a pipe: refused with what to do; with --yes it is on record who and how."""
    refused = runbook(environment(lab, broken), "execute", PLAYBOOK, *SHORT)
    assert (refused.returncode, changes(lab)) == (3, []), refused.stdout
    assert "Run it at a terminal and answer y, or with --yes" in refused.stdout
    assert journal(runs()[-1])[-1]["code"] == "NotApproved"
    resumed = runbook(environment(lab, broken), "resume", "last")
    assert (resumed.returncode, changes(lab)) == (3, []), resumed.stdout
    assert runbook(environment(lab, broken), "execute", PLAYBOOK, *SHORT, "--yes").returncode == 0
    agreed = [event for event in journal(runs()[-1]) if event["kind"] == "change.approved"]
    assert [(event["how"], "@" in str(event["who"])) for event in agreed] == [("by --yes", True)]


def test_where_nothing_is_to_be_changed_no_yes_is_needed(lab: SimulatedLab) -> None:
    """Cron may look every hour."""
    ended = runbook(environment(lab, "s1"), "execute", PLAYBOOK, *SHORT)
    assert (ended.returncode, "nothing to do" in ended.stdout) == (0, True), ended.stdout


def test_the_cool_down_comes_before_the_question(lab: SimulatedLab, broken: str) -> None:
    """A person at the terminal is not asked for what is refused all the same."""
    assert runbook(environment(lab, broken), "execute", PLAYBOOK, *SHORT, "--yes").returncode == 0
    alive = {row["name"] for row in lab.status()["servers"] if row["state"] == "running"}
    second = next(name for name in followers(lab) if name in alive - {broken})
    lab.kill(second)
    lab.wait_for_gossip(second, "failed")
    where = {**environment(lab, broken), "TERM": "dumb"}
    code, sent = at_a_terminal([sys.executable, "-m", "runbook", "execute", PLAYBOOK, *SHORT], where, b"y\n")
    assert (code, "[y/N]" in sent, len(changes(lab))) == (3, False, 1), sent
    assert "nobody acknowledged it" in " ".join(sent.split())


# -- the cool-down


WAITS = "max_changes: 1, cooldown: 1h"


@pytest.mark.parametrize("how", ["failed", "killed"])
def test_the_cool_down_begins_with_any_change_however_its_run_ended(
    lab: SimulatedLab, broken: str, tmp_path: Path, how: str
) -> None:
    """A command that failed, or a run that was killed inside of one and taken over; `ack` ends it."""
    where, over = environment(lab, broken), ["--take-over", "--reason", "its host is gone"]
    if how == "failed":
        assert runbook(where, "execute", playbook(tmp_path, WAITS, "first", then="; exit 1"), "--yes").returncode == 1
        name, over = runs()[-1].name, []
    else:
        name = killed_inside(tmp_path, where)
    before = done(tmp_path)
    refused = runbook(where, "execute", PLAYBOOK, *SHORT, "--yes", *over)
    assert (refused.returncode, changes(lab)) == (3, []), refused.stdout
    assert (
        f"{name} changed this cluster and {'ended as failed' if how == 'failed' else 'was cut off'}" in refused.stdout
    )
    acknowledged = runbook(where, "ack", name, "--comment", "looked at it")
    assert acknowledged.returncode == 0, acknowledged.stderr
    assert runbook(where, "execute", PLAYBOOK, *SHORT, "--yes", *over).returncode == 0
    assert (len(changes(lab)), done(tmp_path)) == (1, before)


def test_what_only_looked_begins_no_cool_down(lab: SimulatedLab, broken: str, tmp_path: Path) -> None:
    """Neither does a dry run, nor what was refused before it changed anything; and `ack` says so."""
    where = environment(lab, broken)
    path = playbook(tmp_path, f"{WAITS}, min_voters: 4", "first")
    assert runbook(where, "execute", path, "--dry-run", "--yes").returncode == 0
    assert runbook(where, "execute", path).returncode == 3
    refused = runbook(where, "ack", "last", "--comment", "x")
    assert (refused.returncode, "changed nothing" in refused.stderr) == (2, True)
    assert runbook(where, "execute", path, "--yes").returncode == 0


UNREADABLE = [
    ("garbage in the middle", "claimed"),
    ("an event that cannot follow", "claimed"),
    ("nested too deep", "claimed"),
    ("garbage in the middle", "before the claim"),
]


@pytest.mark.parametrize(("how", "where"), UNREADABLE)
def test_a_record_that_cannot_be_read_counts_as_not_acknowledged(
    lab: SimulatedLab, broken: str, tmp_path: Path, how: str, where: str
) -> None:
    """Told by its name, with both ways out; nothing on the disk holds a run up for ever."""
    environ = environment(lab, broken)
    path = playbook(tmp_path, WAITS, "first")
    assert runbook(environ, "execute", path, "--yes").returncode == 0
    run = runs()[-1]
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"cluster.claimed"' in line) + (where == "claimed")
    odd = {"garbage in the middle": b"?\n", "nested too deep": b"[" * 100_000 + b"\n"}.get(how)
    (run / "journal.jsonl").write_bytes(b"".join([*lines[:place], odd or lines[0], *lines[place:]]))
    refused = runbook(environ, "execute", path, "--yes")
    assert (refused.returncode, done(tmp_path)) == (3, ["first"]), refused.stdout + refused.stderr
    assert f"the record of {run.name}, which began" in refused.stdout
    assert f"Examine {run}, then move it elsewhere" in refused.stdout
    aside = runbook(environ, "execute", path, "--yes", "--override", "cooldown", "--reason", "its disk is broken")
    assert (aside.returncode, len(done(tmp_path))) == (0, 2), aside.stdout
    assert runbook(environ, "ack", "last", "--comment", "fine").returncode == 0
    run.rename(tmp_path / "elsewhere")
    assert runbook(environ, "execute", path, "--yes").returncode == 0


@pytest.mark.parametrize("why", ["of another cluster", "long ago", "in a far future", "of no run", "a dry run's"])
def test_a_record_that_cannot_be_read_holds_up_nobody_whom_it_does_not_concern(
    lab: SimulatedLab, broken: str, tmp_path: Path, why: str
) -> None:
    """Where what can be read tells another cluster, or its name another time."""
    environ = environment(lab, broken)
    path = playbook(tmp_path, WAITS, "first")
    with SimulatedLab(3, seed=7) as other:
        other.wait_for_leader()
        begun = environment(other, "s1") if why == "of another cluster" else environ
        options = ("--dry-run", "--yes") if why == "a dry run's" else ("--yes",)
        assert runbook(begun, "execute", path, *options).returncode == 0
    run, knows = runs()[-1], why in ("of another cluster", "a dry run's")
    record = run / "journal.jsonl"
    record.write_bytes((record.read_bytes() if knows else b"") + b"?\n?\n")
    name = {"long ago": "20200101T000000000Z-x-1", "in a far future": "20990101T000000000Z-x-1", "of no run": "zzz"}
    if why in name:
        run.rename(run.with_name(name[why]))
    ended = runbook(environ, "execute", path, "--yes")
    assert ended.returncode == 0, ended.stdout


# -- killed inside of a command


def test_after_a_kill_inside_of_a_command_each_resume_asks_and_none_runs_it_unasked(tmp_path: Path) -> None:
    """Without a terminal, at one, and with --yes: only the word runs it again."""
    where = {**os.environ, **NOBODY, "TERM": "dumb"}
    name = killed_inside(tmp_path, where)
    command = [sys.executable, "-m", "runbook", "resume", "last"]
    for options in ((), ("--yes",)):
        refused = runbook(where, "resume", "last", *options)
        assert (refused.returncode, done(tmp_path)) == (3, ["once"]), refused.stdout
        assert f"runbook resume {name} --answer once=WORD" in refused.stdout
    code, sent = at_a_terminal(command, where, b"y\ny\n", b"[done/again/stop] ")
    assert (code, done(tmp_path), sent.count("[done/again/stop]")) == (3, ["once"], 2), sent
    assert "Type one of the words done again stop" in sent
    for wrong in ("twice=done", "once=yes", "once"):
        assert runbook(where, "resume", "last", "--answer", wrong).returncode == 2
    assert "these do: once" in runbook(where, "resume", "last", "--answer", "twice=done").stderr
    code, sent = at_a_terminal([*command, "--yes"], where, b"again\n", b"[done/again/stop] ")
    assert (code, done(tmp_path)) == (0, ["once", "once"]), sent
    assert runbook(where, "resume", "last", "--answer", "once=done").returncode == 2
    assert "a person says again (at the terminal)" in runbook(where, "show", "last").stdout


@pytest.mark.parametrize(("word", "code", "ran"), [("done", 0, 1), ("again", 0, 2), ("stop", 3, 1)])
def test_a_word_on_the_command_line_is_an_answer(tmp_path: Path, word: str, code: int, ran: int) -> None:
    """For a person who has found out, and whom no terminal asks."""
    where = {**os.environ, **NOBODY}
    killed_inside(tmp_path, where)
    ended = runbook(where, "resume", "last", "--yes", "--answer", f"once={word}")
    assert (ended.returncode, len(done(tmp_path))) == (code, ran), ended.stdout
