"""`runbook runs` and `show`: what a person finds again, and what is told of a run that is still at work."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runbook.journal.store import Journal
from runbook.session.interrupts import note_process
from tests.command_line import runbook, start

DAY = "2001-11-24T03:00"


def lay(
    state: Path, name: str, *events: Mapping[str, Any], playbook: str = "mine", cluster: str = "nomad:eu", at: str = DAY
) -> Path:
    """A run with these events, as a process of ours writes it."""
    folder = state / "runs" / name
    first = {
        "kind": "run.started",
        "run": name,
        "playbook": playbook,
        "digest": "",
        "cluster": cluster,
        "who": "me@here",
        "dry_run": False,
        "params": {},
        "format": 2,
    }
    journal = Journal.begin(folder / "journal.jsonl")
    for number, event in enumerate((first, *events)):
        journal.append({"at": f"{at}:{number:02}.000+00:00", **event})
    journal.close()
    return folder


COMPLETED = {"kind": "run.completed", "message": "nothing to do"}
REFUSED = {"kind": "run.refused", "step": "quorum", "code": "QuorumLost", "message": "2 of 5 voters are alive"}
LOST = (
    {"kind": "step.started", "step": "quorum", "uses": "raft.check_quorum", "effect": "read"},
    {**REFUSED, "kind": "step.failed", "outcome": "refused"},
    REFUSED,
)
NAMES = [f"200111{day}T030000{number:03}Z-mine-ab1{number}" for number, day in enumerate((24, 24, 25, 25))]


@pytest.fixture
def four(state_dir: Path) -> list[str]:
    """A run that ended well, one that was refused, one without an ending, and one that cannot be read."""
    lay(state_dir, NAMES[0], COMPLETED)
    lay(state_dir, NAMES[1], *LOST, playbook="other", cluster="consul:us")
    lay(state_dir, NAMES[2], at="2001-11-25T03:00")
    damaged = lay(state_dir, NAMES[3], COMPLETED) / "journal.jsonl"
    damaged.write_text(damaged.read_text(encoding="utf-8").replace("nothing to do", "all was well"), encoding="utf-8")
    return NAMES


def listed(*words: str) -> list[str]:
    done = runbook(dict(os.environ), "runs", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["run"] for line in done.stdout.splitlines()]


def test_the_list_has_a_header_and_says_of_each_run_how_it_ended_when_and_what_came_of_it(four: list[str]) -> None:
    """One that is damaged is named in its place, and hides no other."""
    header, *rows = runbook(dict(os.environ), "runs").stdout.splitlines()
    assert header.split("  ")[0] == "RUN"
    assert [re.split(" {2,}", row)[1:] for row in rows[:2]] == [
        ["completed", "2001-11-24 03:00:00", "1.0 s", "nomad:eu", "nothing to do"],
        ["refused", "2001-11-24 03:00:00", "3.0 s", "consul:us", "QuorumLost"],
    ]
    assert "unfinished" in rows[2]
    assert f"{four[3]}  unreadable: " in rows[3]
    assert header.index("OUTCOME") == rows[0].index("completed")
    assert header.index("RESULT") == rows[0].index("nothing to do")


FILTERS = [
    (["--cluster", "eu"], [0, 2]),
    (["--cluster", "nomad:eu"], [0, 2]),
    (["--cluster", "nomad"], []),
    (["--playbook", "other"], [1]),
    (["--outcome", "refused"], [1]),
    (["--outcome", "unfinished"], [2]),
    (["--outcome", "unreadable"], [3]),
    (["--since", "2001-11-25"], [2, 3]),
    (["--since", "2001-11-25T04:00+01:00"], [2, 3]),
    (["--since", "2001-11-25T03:00:01"], []),
    (["--since", "1999-12-31"], [0, 1, 2, 3]),
    (["--since", "1ms"], []),
    (["--cluster", "eu", "--outcome", "completed"], [0]),
]


@pytest.mark.parametrize(("words", "fit"), FILTERS)
def test_runs_are_found_by_what_is_known_of_them(four: list[str], words: list[str], fit: list[int]) -> None:
    """Those that fit in everything. A run that cannot be read has nothing to fit by but its age and that."""
    assert listed(*words) == [four[number] for number in fit]


def test_what_is_no_time_is_refused_and_nothing_found_is_said(four: list[str]) -> None:
    """A list that is empty by a slip of the fingers would be believed."""
    wrong = runbook(dict(os.environ), "runs", "--since", "yesterday")
    assert (wrong.returncode, "write 2026-11-20, 2026-11-20T03:00, or 7d" in wrong.stderr) == (2, True)
    assert "there are no such runs in" in runbook(dict(os.environ), "runs", "--playbook", "none").stdout
    assert listed("--playbook", "none") == []


def test_show_tells_each_refusal_once(four: list[str]) -> None:
    """Where it happened there is the time, and at the end the sentence."""
    told = runbook(dict(os.environ), "show", four[1]).stdout
    assert told.count("2 of 5 voters are alive") == 1
    assert "03:00:02  00:02  quorum    refused after 1.0 s, see below" in told
    assert "other REFUSED at step quorum: 2 of 5 voters are alive" in told


def test_who_follows_a_run_reads_it_to_its_end(state_dir: Path) -> None:
    """It is printed as it is written, by another process; the end ends it, and the summary stands there."""
    folder = lay(state_dir, NAMES[0])
    with note_process(folder):
        reader = start(dict(os.environ), "show", "last", "--follow", stdout=-1, stderr=-1)
        assert reader.stdout is not None
        first = list(itertools.takewhile(lambda line: "mine on nomad:eu" not in line, reader.stdout))
        journal, _ = Journal.reopen(folder / "journal.jsonl")
        for event in LOST:
            journal.append({"at": f"{DAY}:01.000+00:00", **event})
        journal.close()
        rest, errors = reader.communicate(timeout=30)
    assert (reader.returncode, errors) == (0, "")
    assert first[0].startswith("run ")
    assert "mine REFUSED at step quorum: 2 of 5 voters are alive" in rest
    assert "mine on nomad:eu" not in rest


def test_a_run_at_work_is_told_so_and_nobody_is_sent_to_do_its_work(state_dir: Path) -> None:
    """Neither by hand nor by a second process."""
    folder = lay(
        state_dir, NAMES[0], {"kind": "step.started", "step": "dead", "uses": "raft.find_dead", "effect": "read"}
    )
    with note_process(folder):
        told = runbook(dict(os.environ), "show", "last").stdout
    assert "mine is unfinished at step dead: it is at work. `runbook stop RUN` ends it" in told
    assert not {"next", "by hand"} & {line[:7].strip() for line in told.splitlines()}
    assert f"`runbook resume {NAMES[0]}`" in runbook(dict(os.environ), "show", "last").stdout


def test_who_follows_a_run_that_died_is_told_so_at_once(state_dir: Path) -> None:
    """Nobody waits for a process that is gone."""
    lay(state_dir, NAMES[0])
    done = runbook(dict(os.environ), "show", "last", "--follow")
    assert done.returncode == 0
    assert "it is still running, or it was killed" in done.stdout
    assert len(runbook(dict(os.environ), "show", "last", "--follow", "--format", "json").stdout.splitlines()) == 1
