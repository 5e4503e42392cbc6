"""`fleet execute`: who is asked, what is shown of each cluster as it ends, and what is on record, also after a kill."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.cli import fleet_execute
from runbook.cli.fleet_execute import FleetOrder, run_fleet
from runbook.cli.terminal import Person
from runbook.errors import NoRunError, PlaybookError, RefusedError
from runbook.fleet.record import find_fleet, read_fleet
from runbook.journal.lock import Lock
from runbook.lab.simulated import SimulatedLab
from tests.command_line import QUICK, changes, followers, runbook, start
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster
from tests.fleet.fakes import FakeFleet
from tests.report.terminal import at_a_terminal

ORDER = FleetOrder(str(PLAYBOOK), {}, {}, None, 1, 1, 1, dry_run=False, unattended=False, yes=True, form="text")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FakeFleet]:
    fleet = FakeFleet(tmp_path / "fleet", clock=FakeClock())
    with fleet.behind():
        yield fleet


def played(fleet: FakeFleet, **order: Any) -> int:
    return run_fleet(replace(ORDER, **order), fleet.environment, fleet.clusters["a"].clock)


def record_of(fleet: FakeFleet, name: str = "last") -> Path:
    return find_fleet(fleet.state, name)


def test_a_row_for_each_and_a_line_for_all(fleet: FakeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were not begun last; where it stopped, the words that lead to the run."""
    fleet.clusters["b"].leader = None
    assert played(fleet) == 4
    out, err = capsys.readouterr()
    told = read_fleet(record_of(fleet))
    assert err.splitlines() == [
        f"remove-dead-peers on 5 clusters of {fleet.inventory}; it may change each of them",
        "  first, one by one:  a",
        "  then, one by one:   b, c, d, e",
        "  none is begun after 1 run that did not end well",
    ]
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["completed", "failed"]
    assert lines[2].split() == ["runbook", "show", told.rows[1].run]
    assert [" ".join(line.split()) for line in lines[3:6]] == [
        f"not begun {name} not begun: the run on b failed" for name in "cde"
    ]
    assert lines[6:] == [
        "5 clusters: 1 completed, 1 failed, 3 not begun; stopped as the run on b failed",
        f"all of them on one page: runbook fleet report {told.fleet}",
    ]


def test_as_json_a_line_for_each_and_one_for_all(fleet: FakeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.clusters["b"].leader = None
    assert played(fleet, form="json", max_failures=2) == 4
    out, err = capsys.readouterr()
    *rows, whole = map(json.loads, out.splitlines())
    assert [(row["cluster"], row["outcome"], row["exit_code"]) for row in rows[:2]] == [
        ("a", "completed", 0),
        ("b", "failed", 4),
    ]
    assert (whole["clusters"], whole["completed"], whole["failed"], whole["not_begun"]) == (5, 4, 1, 0)
    assert (whole["exit_code"], whole["stopped"], err.splitlines()[1]) == (4, "", "  first, one by one:  a")


def test_the_record_names_every_run(fleet: FakeFleet) -> None:
    """For this user alone, and with no param, as one may hold a secret."""
    fleet.clusters["c"].leader = None
    played(fleet, params={"looks": "2"}, canary=2, serial=2, max_failures=2)
    path = record_of(fleet)
    told = read_fleet(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [row.outcome for row in told.rows] == ["completed", "completed", "failed", "completed", "completed"]
    assert {row.run for row in told.rows} == {folder.name for folder in (fleet.state / "runs").iterdir()}
    assert (told.ended > told.began, told.exit_code, told.stopped) == (True, 4, "")
    assert "looks" not in path.read_text(encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    for odd in (
        "",
        "[]",
        "{}",
        '{"format": 2}',
        text.replace('"began"', '"begin"'),
        text.replace('"began": "', '"began": "x'),
    ):
        path.write_text(odd, encoding="utf-8")
        with pytest.raises(NoRunError, match="is no record of a fleet"):
            read_fleet(path)


def test_nobody_agreed_so_nothing_is_begun(fleet: FakeFleet) -> None:
    """Here nobody sits at a terminal: no server is asked anything, and there is no record."""
    with pytest.raises(RefusedError, match="nobody agreed to remove-dead-peers on 5 clusters"):
        played(fleet, yes=False)
    assert [cluster.looks for cluster in fleet.clusters.values()] == [0] * 5
    assert not fleet.state.exists()


@pytest.mark.parametrize(("typed", "begun"), [("5", True), ("4", False), ("y", False), ("", False)])
def test_whoever_sits_there_types_the_number_of_clusters(
    fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch, typed: str, begun: bool
) -> None:
    monkeypatch.setattr(fleet_execute, "is_terminal", lambda _stream: True)
    monkeypatch.setattr(Person, "_answer", lambda *_words: typed)
    if begun:
        assert played(fleet, yes=False) == 0
    else:
        with pytest.raises(RefusedError):
            played(fleet, yes=False)
    assert fleet.changed == (list("abcde") if begun else [])


@pytest.mark.parametrize(("attended", "code"), [(True, 0), (False, 3)])
def test_a_dry_run_asks_nobody_and_changes_nothing(
    fleet: FakeFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, attended: bool, code: int
) -> None:
    """As that of `execute`: where nobody could be asked it foretells the refusal."""
    monkeypatch.setattr(fleet_execute, "is_terminal", lambda _stream: attended)
    assert played(fleet, yes=False, dry_run=True) == code
    assert fleet.changed == []
    assert "it changes nothing" in capsys.readouterr().err


def test_a_hostile_path_of_an_inventory_forges_no_line(
    fleet: FakeFleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does a cluster have such a name: an inventory with one is no inventory."""
    hostile = tmp_path / "x\n\x1b[2J5 clusters: 5 completed"
    hostile.write_bytes(fleet.inventory.read_bytes())
    assert played(fleet, inventory=str(hostile), form="text") == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert len(err.splitlines()) == 4
    hostile.write_text(hostile.read_text(encoding="utf-8").replace("  b:", "  '<b>':"), encoding="utf-8")
    with pytest.raises(PlaybookError, match="name"):
        played(fleet, inventory=str(hostile))


def test_a_playbook_that_is_edited_meanwhile_is_not_run_any_more(fleet: FakeFleet, tmp_path: Path) -> None:
    """What somebody agreed to, and a canary has shown, is that text."""
    playbook = tmp_path / "own.yaml"
    playbook.write_bytes(PLAYBOOK.read_bytes())

    def edit(_cluster: FakeCluster) -> None:
        playbook.write_bytes(PLAYBOOK.read_bytes() + b"# edited\n")

    fleet.clusters["b"].at_look[1] = edit
    assert played(fleet, playbook=str(playbook)) == 2
    told = read_fleet(record_of(fleet))
    assert [row.outcome for row in told.rows][:4] == ["completed", "completed", "not started", "not begun"]
    assert "is not the text with which the fleet was begun" in told.rows[2].sentence


def test_a_cluster_that_somebody_else_holds_is_a_surprise(fleet: FakeFleet) -> None:
    """It does not wait, and says who it is."""
    lock = Lock(fleet.state / "locks", {"run": "20260101T000000000Z-other-0000", "who": "eve@host", "since": "x"})
    lock.acquire("peer", ["id-10"])
    try:
        assert played(fleet) == 5
    finally:
        lock.release()
    told = read_fleet(record_of(fleet))
    assert (fleet.changed, [row.outcome for row in told.rows][1:3]) == (["a"], ["refused", "not begun"])
    assert "another run holds this cluster: 20260101T000000000Z-other-0000, by eve@host" in told.rows[1].sentence


def test_two_fleets_at_once_do_not_meet_on_a_cluster(fleet: FakeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    """While the first confirms on a that a server is dead, a second one begins, is refused there, and stops."""
    codes: list[int] = []
    fleet.clusters["a"].at_look[8] = lambda _: codes.append(played(fleet))
    assert played(fleet) == 0
    assert codes == [5]
    first, second = (read_fleet(path) for path in sorted((fleet.state / "fleets").iterdir()))
    assert {row.outcome for row in first.rows} == {"completed"}
    assert [row.outcome for row in second.rows] == ["refused", *["not begun"] * 4]
    assert "another run holds this cluster" in second.rows[0].sentence
    assert [cluster.changes for cluster in fleet.clusters.values()] == [[f"id-{5 * n}"] for n in range(1, 6)]


def test_two_fleets_have_a_record_each(fleet: FakeFleet) -> None:
    """The second finds nothing left to do, which is no surprise."""
    assert (played(fleet), played(fleet)) == (0, 0)
    first, second = sorted((fleet.state / "fleets").iterdir())
    assert {row.sentence for row in read_fleet(first).rows} == {"recovered"}
    assert {row.sentence for row in read_fleet(second).rows} == {"nothing to do"}
    with pytest.raises(NoRunError, match="2 fleets begin with 2026"):
        record_of(fleet, "2026")
    assert record_of(fleet, first.stem) == first


# -- as typed, on servers that are asked over HTTP


def inventory_of(folder: Path, labs: list[SimulatedLab]) -> dict[str, str]:
    rows = "".join(
        f"  lab{number}: {{ kind: nomad, labels: {{ env: test }}, addresses: {list(lab.addresses)} }}\n"
        for number, lab in enumerate(labs)
    )
    path = folder / "clusters.yaml"
    path.write_text(f"inventory: 1\nclusters:\n{rows}", encoding="utf-8")
    return {**os.environ, "RUNBOOK_INVENTORY": str(path)}


def test_two_practice_clusters_are_recovered_one_after_the_other(tmp_path: Path) -> None:
    with SimulatedLab(5) as one, SimulatedLab(5, seed=2) as two:
        labs = [one, two]
        for lab in labs:
            lab.wait_for_leader()
            lab.kill(followers(lab)[0])
        environment = inventory_of(tmp_path, labs)
        words = ("fleet", "execute", "remove-dead-peers", "--label", "env=test", *QUICK)
        done = runbook(environment, *words)
        assert (done.returncode, "2 clusters: 2 completed" in done.stdout) == (0, True), done.stdout + done.stderr
        assert [len(changes(lab)) for lab in labs] == [1, 1]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "which clusters? --all, or those with --label NAME=VALUE"),
        (("--label", "env=prod"), 2, "has env=prod. `runbook clusters` lists them"),
        (("--all", "--param", "nope=1"), 2, "nope"),
        (("--all", "--inventory", "/nowhere.yaml"), 2, "the inventory /nowhere.yaml cannot be read"),
        (("--all",), 3, "nobody agreed to remove-dead-peers on 1 cluster. Nothing was begun"),
    ],
)
def test_what_begins_nothing_is_told(tmp_path: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    path = tmp_path / "clusters.yaml"
    path.write_text("inventory: 1\nclusters:\n  a: { kind: nomad, addresses: ['http://127.0.0.1:9'] }\n")
    done = runbook({**os.environ, "RUNBOOK_INVENTORY": str(path)}, "fleet", "execute", "remove-dead-peers", *words)
    assert done.returncode == code, done
    assert sentence in " ".join(done.stderr.split())


def test_a_killed_one_leaves_the_record_of_what_was_begun(tmp_path: Path, state_dir: Path) -> None:
    """With SIGKILL, after the removal in the second cluster: it can be found, and resumed."""
    with SimulatedLab(5) as one, SimulatedLab(5, seed=2) as two:
        for lab in (one, two):
            lab.wait_for_leader()
        two.kill(followers(two)[0])
        environment = inventory_of(tmp_path, [one, two])
        words = ("fleet", "execute", "remove-dead-peers", "--all", *QUICK, "--param", "watch_for=60s")
        process = start(environment, *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 60
            while not changes(two):
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    told = read_fleet(find_fleet(state_dir, "last"))
    assert [row.outcome for row in told.rows] == ["completed", "begun"]
    assert (told.ended, told.exit_code) == ("", None)
    assert (state_dir / "runs" / told.rows[1].run / "journal.jsonl").exists()


def test_at_a_terminal_the_number_is_asked_for_and_a_bar_goes_with_the_last_row(tmp_path: Path) -> None:
    """As a person sees it. The bar is no part of what is left on the screen."""
    with SimulatedLab(5) as lab:
        lab.wait_for_leader()
        environment = {**inventory_of(tmp_path, [lab]), "TERM": "xterm", "LANG": "C.UTF-8"}
        environment.pop("CI", None)
        command = [sys.executable, "-m", "runbook", "fleet", "execute", "remove-dead-peers", "--all", *QUICK[:-1]]
        code, sent = at_a_terminal(command, environment, b"1\n", question=b"[1] ")
        assert (code, "1 cluster: 1 completed" in sent) == (0, True), sent
        assert "Type the number of clusters to begin: [1] 1" in sent
        assert ("0/1" in sent, "\x1b[?25l" in sent) == (True, False)
        code, sent = at_a_terminal([*command, "--dry-run"], environment, b"1\n", question=b"[1] ")
        assert (code, "Type the number" in sent) == (0, False), sent
        code, sent = at_a_terminal([sys.executable, "-m", "runbook", "check", "--all"], environment, b"")
        assert (code, "check" in sent, "/1" in sent, "RAFT OK - 1 cluster: 1 " in sent) == (0, True, True, True), sent
