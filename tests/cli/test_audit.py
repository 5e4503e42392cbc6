"""`runbook audit`: what was changed, cut off or put in the place of a record is told, and what that proves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook.lab.simulated import SimulatedLab
from tests.command_line import PLAYBOOK, QUICK, Done, environment, followers, runbook
from tests.journal.mutations import chained


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of one recovery, recorded once."""
    state = tmp_path_factory.mktemp("recorded")
    with SimulatedLab(3, gossip_delay=0.3) as lab:
        lab.wait_for_leader()
        lab.kill(dead := followers(lab)[0])
        lab.wait_for_gossip(dead, "failed")
        where = environment(lab, followers(lab)[1], RUNBOOK_STATE_DIR=str(state))
        done = runbook(where, "execute", PLAYBOOK, *QUICK, "--param", "min_voters=2")
        assert done.returncode == 0, done.stdout + done.stderr
    return state


@pytest.fixture
def folder(recorded: Path, state_dir: Path) -> Path:
    """The folder of that run, as a copy that may be spoilt."""
    shutil.copytree(recorded, state_dir)
    (folder,) = (state_dir / "runs").iterdir()
    return folder


def audit(*words: str) -> Done:
    return runbook(dict(os.environ), "audit", "last", *words)


def head_of(said: str) -> str:
    return next(line.split()[1] for line in said.splitlines() if line.startswith("head "))


def test_a_record_that_nobody_touched(folder: Path) -> None:
    """Every digest is verified, and it is said what that is worth."""
    done = audit()
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        f"run                {folder.name}",
        "ended              completed",
        "file               playbook.yaml is unchanged",
        "file               snapshot.json is unchanged",
        "file               state.snap is unchanged",
    ):
        assert line in done.stdout.splitlines(), done.stdout
    assert "can also write all of it anew" in done.stdout
    assert f"`runbook audit {folder.name} --head {head_of(done.stdout)}`" in done.stdout


def test_json_has_the_same(folder: Path) -> None:
    told = json.loads(audit("--format", "json").stdout)
    assert (told["holds"], told["state"], told["later"], told["not_covered"]) == (
        True,
        "completed",
        None,
        ["by-hand.md", "report.html"],
    )
    assert [(file["name"], file["trouble"]) for file in told["files"] if "evidence/" not in file["name"]] == [
        ("playbook.yaml", ""),
        ("snapshot.json", ""),
        ("state.snap", ""),
    ]


def events_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def anew(folder: Path, events: list[dict[str, object]]) -> None:
    """With the right hashes, as whoever may write there can."""
    bare = [
        {key: value for key, value in event.items() if key not in ("hash", "previous", "index")} for event in events
    ]
    (folder / "journal.jsonl").write_bytes(chained([{"index": at, **event} for at, event in enumerate(bare)]))


def change_a_line(folder: Path) -> None:
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"run.completed", b"run.complete?", 1))


def take_a_line_out(folder: Path) -> None:
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))


def put_another_run_there(folder: Path) -> None:
    events = events_of(folder)
    events[0]["run"] = "20260101T000000000Z-another-0000"
    anew(folder, events)


def write_what_no_run_writes(folder: Path) -> None:
    events = events_of(folder)
    anew(folder, [events[0], events[-1], *events[1:]])


def put_a_pipe_there(folder: Path) -> None:
    (folder / "journal.jsonl").unlink()
    os.mkfifo(folder / "journal.jsonl")


def empty(folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b"")


def change_the_playbook(folder: Path) -> None:
    with (folder / "playbook.yaml").open("a") as file:
        file.write("# harmless\n")


def change_the_snapshot(folder: Path) -> None:
    (folder / "snapshot.json").write_text("{}")


def lose_the_state(folder: Path) -> None:
    (folder / "state.snap").unlink()


def blow_the_state_up(folder: Path) -> None:
    """To what takes for ever to read; it takes no room on the disk."""
    os.truncate(folder / "state.snap", 2**42)


SPOILT: dict[Callable[[Path], None], str] = {
    change_a_line: "this line was changed, or one before it was removed",
    take_a_line_out: "journal.jsonl:4: this line was changed, or one before it was removed",
    put_another_run_there: "is that of another run, 20260101T000000000Z-another-0000",
    write_what_no_run_writes: "after the run was completed",
    put_a_pipe_there: "not a regular file but a pipe",
    empty: "has no beginning",
    change_the_playbook: "playbook.yaml HAS CHANGED since it was kept",
    change_the_snapshot: "snapshot.json HAS CHANGED since it was kept",
    lose_the_state: "state.snap cannot be verified: No such file or directory",
    blow_the_state_up: "state.snap cannot be verified: more than 8 GiB",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__)
def test_what_was_done_to_a_record_is_told(folder: Path, spoil: Callable[[Path], None]) -> None:
    """Exit 1, and it is said not to rely on it."""
    spoil(folder)
    done = audit()
    assert (done.returncode, SPOILT[spoil] in done.stdout) == (1, True), done.stdout
    assert "DO NOT RELY ON THIS RECORD" in done.stdout
    assert json.loads(audit("--format", "json").stdout)["holds"] is False


@pytest.mark.parametrize(
    "path", ["a\0b", "\ud800", "", "/", "..", "RUN/../../../../etc/hostname", "/dev/zero", "x" * 5000]
)
def test_no_path_that_a_record_names_ends_a_command(folder: Path, path: str) -> None:
    """It is somebody's word."""
    events = events_of(folder)
    (kept,) = [event for event in events if event.get("step") == "before" and event["kind"] == "step.completed"]
    kept["output"] = {**kept["output"], "state_path": path.replace("RUN", folder.name), "path": path}  # type: ignore[dict-item]
    anew(folder, events)
    for words, code in ((["audit", "last"], 1), (["show", "last"], 0)):
        done = runbook(dict(os.environ), *words)
        assert done.returncode == code, done.stdout
        assert "cannot be verified: " in done.stdout or "HAS CHANGED" in done.stdout


def cut_off_the_end(folder: Path) -> None:
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:-1]))


def write_it_anew(folder: Path) -> None:
    events = events_of(folder)
    events[0]["who"] = "somebody else@bastion"
    anew(folder, events)


@pytest.mark.parametrize("forge", [cut_off_the_end, write_it_anew])
def test_what_the_chain_alone_cannot_show_a_head_kept_elsewhere_does(
    folder: Path, forge: Callable[[Path], None]
) -> None:
    """It is said beforehand that the chain does not show it."""
    head = head_of(audit().stdout)
    assert audit("--head", head.upper()).returncode == 0
    forge(folder)
    assert audit().returncode == 0
    done = audit("--head", head)
    assert (done.returncode, "no event has the hash that was kept" in done.stdout) == (1, True), done.stdout


def test_what_follows_a_head_that_was_kept_is_counted(folder: Path) -> None:
    """A run may be acknowledged later."""
    head = head_of(audit().stdout)
    assert runbook(dict(os.environ), "ack", "last", "--comment", "seen").returncode == 0
    done = audit("--head", head)
    assert (done.returncode, "; 1 follow" in done.stdout) == (0, True), done.stdout
    assert "nobody has changed, added or taken away anything up to its event" in done.stdout


def test_what_is_cut_off_and_what_nobody_vouches_for_is_told(folder: Path) -> None:
    cut_off_the_end(folder)
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"index":')
    (folder / "files" / "mine").mkdir(parents=True)
    (folder / "files" / "mine" / "notes.txt").write_text("mine")
    done = audit()
    assert done.returncode == 0
    assert "ended              no: it is at work, it was killed, or its end was cut off" in done.stdout
    assert "cut off            9 bytes of a last line" in done.stdout
    assert "not covered        by-hand.md, files/mine/notes.txt, report.html: no digest is on record" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "nothing"], "there is no run nothing"),
        (["audit", "last", "--head", "abc"], "a head has 64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_audited(folder: Path, words: list[str], said: str) -> None:
    """Exit 2: nothing was looked at."""
    done = runbook(dict(os.environ), *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
