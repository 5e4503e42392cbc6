"""``runbook diagnose`` on the simulated lab: exit codes, the words, the stable keys, and that nothing is changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runbook.cli.diagnose import run_diagnose
from runbook.cli.main import main
from runbook.events import RunStarted
from runbook.journal.store import Journal
from runbook.lab.simulated import SimulatedLab
from runbook.raft.diagnosis.diagnose import diagnose
from runbook.raft.serialization import view_from_dict
from runbook.removals import RemovalConfirmed, RemovalRequested
from runbook.session.run_folders import peers_removed_by_newest_runs
from tests.command_line import runbook


@pytest.fixture
def lab() -> Iterator[SimulatedLab]:
    with SimulatedLab(5, gossip_delay=0.3, hold=0.3) as lab:
        lab.wait_for_leader()
        yield lab


def followers(lab: SimulatedLab) -> list[str]:
    return [name for name in lab.names if name != lab.leader()]


def environment(lab: SimulatedLab, asked: str, **more: str) -> dict[str, str]:
    return {**os.environ, "NOMAD_ADDR": lab.addresses[lab.names.index(asked)], **more}


def as_json(lab: SimulatedLab, asked: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = run_diagnose("json", environment(lab, asked))
    return code, json.loads(capsys.readouterr().out)


def test_the_json_has_stable_keys_and_the_view_that_was_decided_on(
    lab: SimulatedLab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads it may rely on these names; what was seen leads to the same findings again."""
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    code, told = as_json(lab, asked, capsys)
    assert code == 0
    assert list(told) == ["cluster", "phase", "findings", "servers", "view"]
    (finding,) = told["findings"]
    assert list(finding) == [
        "name", "severity", "certainty", "sentence", "evidence", "next_action", "servers", "playbook"
    ]  # fmt: skip
    assert (finding["name"], finding["severity"], finding["certainty"]) == ("DeadFollower", "warning", "likely")
    assert finding["servers"] == [{"id": lab.ids[dead], "address": lab.raft_addresses[dead], "name": f"{dead}.global"}]
    row = next(row for row in told["servers"] if row["id"] == lab.ids[dead])
    assert list(row) == [
        "id", "address", "name", "voter", "leader", "verdict", "appearance", "looks_dead", "evidence"
    ]  # fmt: skip
    assert (row["verdict"], row["appearance"], row["looks_dead"]) == ("dead", "down", True)
    assert [each.name for each in diagnose(view_from_dict(told["view"]))] == ["DeadFollower"]
    assert not [request for request in lab.requests if request.changes]


def test_without_a_leader_it_says_who_looks_dead_and_calls_nobody_dead(
    lab: SimulatedLab, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0, as a diagnosis was made; the verdict that a removal would ask for stays *unknown*."""
    *dead, asked = followers(lab)
    for name in dead:
        lab.kill(name)
    for name in dead:
        lab.wait_for_gossip(name, "failed")
    until = time.monotonic() + 10
    while lab.leader() and time.monotonic() < until:  # it leads until its lease of half a second is over
        time.sleep(0.05)
    code, told = as_json(lab, asked, capsys)
    assert (code, told["phase"]) == (0, "quorum lost")
    assert told["findings"][0]["name"] == "QuorumLostTransient"
    gone = [row for row in told["servers"] if row["name"] in {f"{name}.global" for name in dead}]
    assert {row["verdict"] for row in gone} == {"unknown"}
    assert all(row["looks_dead"] for row in gone)


def test_for_a_person_the_first_lines_say_what_is_wrong_and_what_to_do(lab: SimulatedLab) -> None:
    dead, asked, *_ = followers(lab)
    lab.kill(dead)
    lab.wait_for_gossip(dead, "failed")
    done = CliRunner().invoke(main, ["diagnose"], env=environment(lab, asked))
    assert done.exit_code == 0, done.output
    first, blank, finding, *_ = done.output.splitlines()
    assert (first.endswith("as this host sees it"), blank) == (True, "")
    assert finding == f"WARNING   DeadFollower (likely): no sign of life from {dead}.global"
    assert "          run:  runbook execute remove-dead-peers" in done.output.splitlines()


def test_settings_that_contradict_each_other_are_2() -> None:
    done = runbook({"NOMAD_CLIENT_CERT": "certificate.pem"}, "diagnose")
    assert done.returncode == 2
    assert "give both or neither" in done.stderr


def test_nobody_answers_is_4_and_says_where(free_port: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    assert run_diagnose("text", {"NOMAD_ADDR": address, "RUNBOOK_STATE_DIR": "none"}) == 4
    out = capsys.readouterr().out
    assert "CRITICAL  Unreachable (certain): no server answers this host" in out
    assert address in out


def test_a_token_refused_by_all_is_4(capsys: pytest.CaptureFixture[str]) -> None:
    """A person can mend it at once, so it is named and not called unreachable; the token is not shown."""
    with SimulatedLab(3, token="11111111-2222-3333-4444-555555555555") as lab:
        lab.wait_for_leader()
        assert run_diagnose("text", environment(lab, "s1", NOMAD_TOKEN="a-wrong-token")) == 4
    out = capsys.readouterr().out
    assert "CRITICAL  Forbidden (certain)" in out
    assert "a-wrong-token" not in out


def test_a_server_that_a_run_removed_and_that_comes_back_is_a_zombie(
    state_dir: Path, lab: SimulatedLab, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journals of this user's runs are remembered, whatever address the run was given."""
    gone, asked, *_ = followers(lab)
    folder = state_dir / "runs" / "20260101T000000Z-remove-dead-peers-0000"
    folder.mkdir(parents=True)
    journal = Journal.begin(folder / "journal.jsonl")
    for event in (
        RunStarted("r", "remove-dead-peers", "d", "nomad:http://elsewhere:4646", "me", dry_run=False, params={}),
        RemovalRequested("remove", lab.ids[gone], lab.raft_addresses[gone], f"{gone}.global", 4),
        RemovalConfirmed("remove", lab.ids[gone], f"{gone}.global"),
    ):
        journal.append({"at": "2026-01-01T00:00:00+00:00", **event.record()})
    journal.close()
    assert peers_removed_by_newest_runs(state_dir) == {lab.ids[gone]}
    (state_dir / "runs" / "unreadable").mkdir()
    (state_dir / "runs" / "unreadable" / "journal.jsonl").write_text("not json\n{}\n")
    assert peers_removed_by_newest_runs(state_dir) == {lab.ids[gone]}
    assert "ZombiePeer" not in {finding["name"] for finding in as_json(lab, asked, capsys)[1]["findings"]}
