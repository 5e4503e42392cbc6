"""Whatever lies among the runs is named and passed over: it ends, hangs and blocks no command (I17)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from types import FrameType

import pytest

from runbook.errors import RefusedError
from runbook.journal.lock import Lock
from runbook.lab.simulated import SimulatedLab
from runbook.session.cluster_lock import ClusterLock, Overrides
from runbook.session.cooldown import refusal_in_cooldown
from runbook.session.run_folders import folder_of, run_folders
from tests.command_line import PLAYBOOK, QUICK, environment, followers, runbook
from tests.engine.fake import FakeClock
from tests.journal import mutations
from tests.journal.mutations import Events

JOURNALS = int(os.environ.get("JOURNALS", "40"))  # of each of the two sorts; nightly 1000
PATIENCE = 20.0  # seconds for one command; each takes far below one
BATCH = 20  # journals that lie beside each other
NOBODY = {"NOMAD_ADDR": "http://127.0.0.1:9"}
CODES = {
    "runs": {0},
    "runs --format json": {0},
    "prune --older-than 0s --keep 1": {0, 3},
    "show": {0, 2},
    "show --format json": {0, 2},
    "audit": {0, 1},
    "audit --format json": {0, 1},
    "show --follow": {0, 2},
    "export --output": {0},
    "ack": {0, 1, 2},
    "resume": {0, 1, 2, 3, 4, 5},
    "diagnose": {4},
    "execute": {0, 3},
}


_RECORDED: list[tuple[Events, dict[str, bytes]]] = []


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    """With the same ids in every test."""
    with SimulatedLab(5, gossip_delay=0.3, seed=7) as lab:
        lab.wait_for_leader()
        yield lab


@pytest.fixture
def recorded(lab: SimulatedLab, state_dir: Path) -> tuple[Events, dict[str, bytes]]:
    """The events of a recovery that removed a server, and the other files of its folder; recorded once."""
    if not _RECORDED:
        _RECORDED.append(record(lab, state_dir))
    return _RECORDED[0]


def record(lab: SimulatedLab, state_dir: Path) -> tuple[Events, dict[str, bytes]]:
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = runbook(environment(lab, asked), "execute", PLAYBOOK, *QUICK)
    assert done.returncode == 0, done.stderr
    (folder,) = (state_dir / "runs").iterdir()
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    others = [path for path in folder.iterdir() if path.is_file() and path.name != "journal.jsonl"]
    files = {path.name: path.read_bytes() for path in others}
    shutil.rmtree(state_dir)
    lab.restart(dead)
    return [{key: value for key, value in event.items() if key not in ("hash", "previous")} for event in events], files


@contextmanager
def bounded(what: str) -> Iterator[None]:
    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"{what} hangs")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def command(figures: Counter[str], verb: str, *words: str, on: dict[str, str] = NOBODY) -> str:
    """Typed in this process: an exception that would be a traceback comes out."""
    with bounded(verb):
        done = runbook({**os.environ, **on}, *verb.split(), *words)
    assert done.returncode in CODES[verb], f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}"
    figures[f"{verb} {done.returncode}"] += 1
    return done.stdout + done.stderr


def fresh(number: int) -> str:
    """The name of a run that began just now."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}{number:03}Z-remove-dead-peers-0000"


def lay(state: Path, name: str, journal: bytes, files: dict[str, bytes]) -> str:
    """Among the runs."""
    folder = state / "runs" / name
    folder.mkdir(parents=True)
    for file, data in {**files, "journal.jsonl": journal}.items():
        (folder / file).write_bytes(data)
    return name


def renamed(events: Events, name: str) -> Events:
    """As that run would have written them."""
    again: Events = json.loads(json.dumps(events).replace(events[0]["run"], name))
    return again


def hold(state: Path, run: str, peers: list[str]) -> None:
    """Its name stands in the lock of every peer, as of one that died."""
    dead = Lock(state / "locks", {"run": run, "who": "ann", "since": "2026-01-01T00:00:00.000+00:00"})
    dead.acquire("peer", peers, may_take=lambda _run: True)
    dead._close()


@pytest.mark.parametrize("mutate", [mutations.with_right_hashes, mutations.with_wrong_hashes])
def test_a_mutated_journal_ends_and_hangs_no_command(
    mutate: Callable[[Random, Events], tuple[str, bytes]],
    recorded: tuple[Events, dict[str, bytes]],
    lab: SimulatedLab,
    state_dir: Path,
    summarize: Callable[[str], None],
) -> None:
    """Each through show, audit, export, resume, ack, the cool-down and the lock; runs, diagnose, execute over many."""
    events, files = recorded
    kinds: Counter[str] = Counter()
    figures: Counter[str] = Counter()
    peers = sorted(lab.ids.values())
    for first in range(0, JOURNALS, BATCH):
        shutil.rmtree(state_dir, ignore_errors=True)
        names = []
        for number in range(first, min(first + BATCH, JOURNALS)):
            name = fresh(number - first)
            kind, journal = mutate(Random(number), renamed(events, name))  # noqa: S311 - it must be repeatable
            kinds[kind] += 1
            names.append(lay(state_dir, name, journal, files))
        for verb in ("runs", "runs --format json", "prune --older-than 0s --keep 1"):
            command(figures, verb)
        command(figures, "diagnose")
        for name in names:
            with bounded("cool-down"):
                reason = refusal_in_cooldown(state_dir, "own", frozenset(peers), 3600, datetime.now(timezone.utc))
            figures["cool-down holds" if reason else "cool-down passes"] += 1
            hold(state_dir, name, peers)
            lock = ClusterLock("own", state_dir, "ann", lambda _event: None, Overrides(), FakeClock())
            with bounded("lock"):
                try:
                    lock.check_free(frozenset(peers))
                    figures["lock is free"] += 1
                except RefusedError:
                    figures["lock is held"] += 1
            for verb in ("show", "show --format json", "show --follow", "audit", "audit --format json"):
                command(figures, verb, name)
            command(figures, "export --output", str(state_dir / f"{name}.tar.gz"), name)
            command(figures, "ack", name, "--comment", "seen")
            command(figures, "resume", name, "--yes")
        shutil.rmtree(state_dir / "locks")
        command(figures, "execute", PLAYBOOK, *QUICK, on={"NOMAD_ADDR": lab.addresses[0]})
    told = ", ".join(f"{count} {name}" for name, count in sorted((kinds | figures).items()))
    summarize(f"journals {mutate.__name__.replace('_', ' ')}: {told}")


def without_verdicts(folder: Path, events: Events) -> None:
    looked = next(event for event in events if event["kind"] == "cluster.looked")
    del looked["verdicts"]
    (folder / "journal.jsonl").write_bytes(mutations.chained(events))


def without_time_zone(folder: Path, events: Events) -> None:
    events[-1]["at"] = events[-1]["at"][:23]
    (folder / "journal.jsonl").write_bytes(mutations.chained(events))


def nested(folder: Path, events: Events) -> None:
    """With the right hash, which Python itself cannot make of it."""
    deep = "[" * 100_000 + "]" * 100_000
    start = f'{{"at":"{events[0]["at"]}","deep":{deep},"index":0,"kind":"run.started","previous":"{"0" * 64}"'
    digest = hashlib.sha256(f"{start}}}".encode()).hexdigest()
    (folder / "journal.jsonl").write_text(f'{start},"hash":"{digest}"}}\n{{}}\n')


ODD: dict[str, Callable[[Path, Events], object]] = {
    "a look without verdicts": without_verdicts,
    "an ending without a time zone": without_time_zone,
    "nested 100,000 deep": nested,
    "another format": lambda folder, _: (folder / "journal.jsonl").write_bytes(b"\x00\x01binary\n" * 10),
    "a pipe": lambda folder, _: os.mkfifo(folder / "journal.jsonl"),
    "a device": lambda folder, _: (folder / "journal.jsonl").symlink_to("/dev/zero"),
    "a folder": lambda folder, _: (folder / "journal.jsonl").mkdir(),
    "a link to itself": lambda folder, _: (folder / "journal.jsonl").symlink_to("journal.jsonl"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_among_the_runs_is_named_and_passed_over(
    kind: str, recorded: tuple[Events, dict[str, bytes]], lab: SimulatedLab, state_dir: Path
) -> None:
    """Fresh, it counts as a change that nobody acknowledged; old, it holds up nobody. No command ends otherwise."""
    figures: Counter[str] = Counter()
    peers = frozenset(lab.ids.values())
    for stamp, holds in ((f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}000Z", True), ("20260101T000000000Z", False)):
        folder = state_dir / "runs" / f"{stamp}-odd-0000"
        folder.mkdir(parents=True)
        ODD[kind](folder, json.loads(json.dumps(recorded[0])))
        reason = refusal_in_cooldown(state_dir, "own", peers, 3600, datetime.now(timezone.utc))
        assert (reason is not None) == holds
        assert reason is None or "cannot be read" in reason.sentence
        assert f"{folder.name}  unreadable: " in command(figures, "runs")
        command(figures, "show", folder.name)
        command(figures, "audit", folder.name)
        command(figures, "diagnose")
        assert (figures["show 2"], figures["audit 1"]) == (1 + (not holds), 1 + (not holds))
        if holds:
            shutil.rmtree(state_dir)
    command(figures, "execute", PLAYBOOK, *QUICK, on={"NOMAD_ADDR": lab.addresses[0]})
    assert figures["execute 0"] == 1


def test_what_is_foreign_among_the_runs_is_no_run(state_dir: Path, recorded: tuple[Events, dict[str, bytes]]) -> None:
    """Whatever its name, it is neither the newest run nor one that somebody means."""
    runs = state_dir / "runs"
    own = runs / lay(state_dir, fresh(0), mutations.chained(recorded[0]), recorded[1])
    for name in ("zzz", "20990101T000000000Z", "99999999T999999Z-x", "20990101T000000000Z-\x1b[2J"):
        (runs / name).mkdir()
        shutil.copy(own / "journal.jsonl", runs / name)
    (runs / "20990101T000000000Z-file-0000").write_text("a file")
    (runs / "20990101T000000000Z-empty-0000").mkdir()
    assert run_folders(state_dir) == [own]
    assert folder_of(state_dir, "last") == own


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_run_of_another_user_counts_as_unreadable(state_dir: Path, recorded: tuple[Events, dict[str, bytes]]) -> None:
    folder = state_dir / "runs" / lay(state_dir, fresh(0), mutations.chained(recorded[0]), recorded[1])
    folder.chmod(0)
    assert "unreadable: " in command(Counter(), "runs")
    assert refusal_in_cooldown(state_dir, "own", frozenset("a"), 3600, datetime.now(timezone.utc)) is not None
    folder.chmod(0o700)
