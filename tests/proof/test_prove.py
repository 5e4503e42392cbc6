"""`runbook prove`: every fault at every point of a run, played in processes that share the beginning."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from runbook.cli.prove import format_proof
from runbook.cli.rehearse import read_scenario
from runbook.lab.virtual.questions import ThreadQuestion
from runbook.proving.faults import ProofFault
from runbook.proving.files import keep
from runbook.proving.play import Performance
from runbook.proving.points import Points
from runbook.proving.prove import open_proof_folder, prove
from runbook.proving.worlds import world_for
from runbook.shipped_playbooks import find_scenario
from tests.command_line import runbook
from tests.proof.played import PARAMS, cast_of, plan_of, played

HERE = Path(__file__).parent
ALL = os.environ.get("PROOFS") == "all"
SEEDS = int(os.environ.get("PROOF_SEEDS", "200"))
TINY = """\
runbook: 1
name: tiny
steps:
  - id: before
    uses: raft.snapshot
    with: { state: none }
    retry: { times: 8, wait: 2s..5s, within: 45s, only_on: [no_leader, timeout, unavailable] }
  - id: told
    if: before.voters < 5
    uses: log.message
    with: { text: "${{ before.voters }} voters" }
"""
REMOTE = """\
runbook: 1
name: remote
guards: { max_changes: 1 }
steps:
  - uses: ssh.run
    with: { host: s1, argv: [uptime] }
"""
BLIND = """\
runbook: 1
name: blind
guards: { max_changes: 2 }
steps:
  - id: before
    uses: raft.snapshot
    with: { state: none }
  - uses: command.run
    for_each: "[peer for peer in before.peers if peer.verdict != 'alive']"
    with: { argv: [nomad, operator, raft, remove-peer, "-peer-id=${{ item.id }}"], timeout: 5s }
"""
MISTAKES = (
    ("no-quorum-check", "two-dead", "remove, before the command removes", ProofFault.ANOTHER_DIES, "I3"),
    ("no-quorum-check", "two-dead", "remove, before the command removes", ProofFault.ONE_RETURNS, "I1"),
    ("verify-too-early", "two-dead", "DELETE under way", ProofFault.ONE_RETURNS, "I11"),
    ("blind-retry", "two-dead", "remove, before the command removes", ProofFault.CARRIED_OUT_LATE, "I6"),
    ("guard-too-wide", "dead-follower", "dead, a look", ProofFault.ANOTHER_DIES, "I1"),
    ("stop-unchecked", "dead-follower", "a pause", ProofFault.ANOTHER_DIES, "quorum at a stop"),
    ("resume-unsafe", "two-dead", "remove, the command removes", ProofFault.CRASH, "I8"),
)
EVERY = {
    ProofFault.LOST_REPLY: 53,
    ProofFault.LATE_REPLY: 59,
    ProofFault.CRASH: 23,
    **dict.fromkeys((ProofFault.LOST_REQUEST, ProofFault.CARRIED_OUT_LATE), 1),
}
OF_ETCD = {"recover-lost-quorum": ("force", "rejoin")}
PLACES = dict.fromkeys((ProofFault.LOST_REPLY, ProofFault.LATE_REPLY, ProofFault.CRASH), "")  # at some points of all
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def proof_folder() -> Iterator[Path]:
    with open_proof_folder() as folder:
        yield folder


@pytest.mark.parametrize(("name", "scenario", "place", "fault", "invariant"), MISTAKES)
def test_a_deliberate_mistake_is_found(
    name: str, scenario: str, place: str, fault: ProofFault, invariant: str, proof_folder: Path
) -> None:
    """With the transcript that shows it; and where nothing happens, nothing is wrong with it."""
    unfaulted, *others = played(cast_of(str(HERE / f"{name}.yaml"), scenario, proof_folder), place, fault)
    assert (unfaulted.violations, unfaulted.ending) == ((), "completed")
    found = [schedule for schedule in others if schedule.violations]
    assert invariant in {schedule.violations[0][0] for schedule in found}
    assert all("VIOLATION" in schedule.transcript[-1] for schedule in found)
    assert any(fault.value in line for line in found[0].transcript)


@pytest.mark.parametrize("fault", list(ProofFault), ids=lambda fault: fault.name.lower())
def test_the_shipped_recovery_bears_each_fault(fault: ProofFault, proof_folder: Path) -> None:
    """At some of the points; `runbook prove` plays them all."""
    every = EVERY.get(fault, 5)
    unfaulted, *others = played(
        cast_of("remove-dead-peers", "two-dead", proof_folder), PLACES.get(fault, "remove, "), fault, every
    )
    assert unfaulted.ending == "completed"
    assert [schedule for schedule in (unfaulted, *others) if schedule.violations] == []
    assert others
    assert all(fault.value in schedule.faults[0] for schedule in others)


@pytest.mark.parametrize(
    ("word", "place", "fault", "every"),
    [
        ("take-snapshot", "", ProofFault.CRASH, 1),
        ("rolling-restart", "stop, ", ProofFault.CRASH, 5),
        ("rolling-restart", "start, ", ProofFault.LOST_REPLY, 23),
        ("stop-frozen-server", "stop, ", ProofFault.CRASH, 17),
        ("stop-frozen-server", "stop, ", ProofFault.ONE_RETURNS, 17),
        ("replace-server", "joined, ", ProofFault.CRASH, 17),
        ("restore-snapshot", "restore, ", ProofFault.CRASH, 1),
        ("restore-snapshot", "PUT ", ProofFault.LOST_REPLY, 1),
        ("replace-server", "start on s6", ProofFault.LOST_REPLY, 1),
    ],
)
def test_what_works_on_hosts_and_files_bears_it(
    word: str, place: str, fault: ProofFault, every: int, proof_folder: Path
) -> None:
    """The machines are simulated, and the files are real ones."""
    unfaulted, *others = played(cast_of(word, "healthy", proof_folder), place, fault, every)
    assert unfaulted.ending == "completed"
    assert [schedule for schedule in (unfaulted, *others) if schedule.violations] == []
    assert others


@pytest.mark.parametrize(
    ("place", "fault", "every", "endings"),
    [
        ("", ProofFault.CRASH, 40, {"completed", "failed timeout"}),
        ("on s1", ProofFault.LOST_REPLY, 4, {"failed step.unavailable", "failed step.timeout"}),
        ("after copy aside on s1", ProofFault.ONE_RETURNS, 1, {"refused QuorumMayReturn"}),
        ("stop, after stop on s1", ProofFault.ONE_RETURNS, 1, {"refused QuorumMayReturn"}),
        ("after start on s1", ProofFault.ONE_RETURNS, 1, {"failed step.unexpected"}),
    ],
)
def test_the_recovery_of_a_lost_quorum_bears_it(
    place: str, fault: ProofFault, every: int, endings: set[str], proof_folder: Path
) -> None:
    """Whoever is back while the data are copied is not overwritten; who is back later is said to be."""
    unfaulted, *others = played(cast_of("recover-lost-quorum", "quorum-lost", proof_folder), place, fault, every)
    assert unfaulted.ending == "completed"
    assert [schedule for schedule in (unfaulted, *others) if schedule.violations] == []
    assert others
    assert {schedule.ending for schedule in others} <= endings


def test_a_recovery_that_starts_one_survivor_before_the_next_has_its_file_is_found(proof_folder: Path) -> None:
    """It goes wrong without any fault."""
    schedule = Performance(cast_of(str(HERE / "recover-one-by-one.yaml"), "quorum-lost", proof_folder), Points()).play()
    assert [invariant for invariant, _ in schedule.violations] == ["one file for all"]


def test_each_schedule_finds_the_files_of_its_own_beginning(tmp_path: Path) -> None:
    (kept := tmp_path / "kept").write_text("before")
    (deleted := tmp_path / "deleted").write_text("before")
    restore = keep(tmp_path)
    kept.write_text("after")
    deleted.unlink()
    (tmp_path / "new").touch()
    restore()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"kept": "before", "deleted": "before"}


def test_a_question_that_is_replayed_is_answered_as_one_with_a_thread(proof_folder: Path) -> None:
    """Else a proof would play another adapter than the real one."""
    cast = cast_of("health-check", "dead-follower", proof_folder)

    def records() -> list[object]:
        performance = Performance(cast, Points())
        performance.play()
        return list(performance._records)

    replayed = records()
    with patch("runbook.proving.tool.ProofNetwork.make_question", staticmethod(ThreadQuestion)):
        assert records() == replayed


def test_a_proof_is_the_same_each_time_on_one_core_and_on_two(tmp_path: Path) -> None:
    """With pairs of faults too."""
    (path := tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    scenarios = [read_scenario(find_scenario("dead-follower"))]
    one, two = (prove(plan_of(str(path)), scenarios, pairs=4, jobs=jobs) for jobs in (1, 2))
    assert one == two
    assert one.pairs > 0
    assert one.never_reached == ("told",)
    assert not one.is_complete


def test_it_tells_what_was_played_and_what_came_of_it(tmp_path: Path) -> None:
    (path := tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    done = runbook({"HOME": str(tmp_path)}, "prove", str(path), "--seeds", "0", "--jobs", "1")
    assert done.returncode == 0
    assert "played on      healthy: every fault; without any, the run is completed" in done.stdout
    assert "never reached  told" in done.stdout
    assert "violations     none" in done.stdout
    assert "not proven" in done.stdout  # as a step was never reached
    listed = runbook({"HOME": str(tmp_path)}, "playbooks").stdout
    assert "tiny" not in listed  # it is not shipped


def test_a_violation_ends_it_with_1_and_is_told_with_its_transcript(tmp_path: Path) -> None:
    """Here of the shortest playbook there can be: one command, of which nothing was proven."""
    (path := tmp_path / "blind.yaml").write_text(BLIND, encoding="utf-8")
    done = runbook({"HOME": str(tmp_path)}, "prove", str(path), "--seeds", "0", "--jobs", "1")
    assert done.returncode == 1
    assert "I1 does not hold in" in done.stdout
    assert "befalls  without any fault" in done.stdout
    assert "VIOLATION" in done.stdout
    assert "proven  " not in done.stdout.partition("violations")[2]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("nonesuch", 'no playbook "nonesuch" is shipped'),
        ("{folder}/remote.yaml", "remote cannot be proven"),
        ("{folder}/remote.yaml", "ssh_run (ssh.run)"),
        ("safe-to-stop", 'param "server" must be given'),
        ("stop-frozen-server --param server=s9", "the simulated cluster has no s9"),
    ],
)
def test_what_cannot_be_played_is_refused_in_a_sentence(word: str, told: str, tmp_path: Path) -> None:
    (folder := tmp_path / "playbooks").mkdir()
    (folder / "remote.yaml").write_text(REMOTE, encoding="utf-8")
    done = runbook({"HOME": str(tmp_path)}, "prove", *word.format(folder=folder).split())
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(not ALL, reason="PROOFS=all, as .ci/nightly says, plays whole proofs")
@pytest.mark.parametrize(
    ("word", "scenarios"),
    [
        ("remove-dead-peers", ("two-dead", "dead-follower")),
        ("health-check", ("healthy", "dead-follower")),
        ("transfer-leadership", ("healthy", "dead-follower")),
        ("safe-to-stop", ("healthy", "dead-follower")),
        ("take-snapshot", ("healthy", "dead-follower")),
        ("rolling-restart", ("healthy",)),
        ("stop-frozen-server", ("healthy",)),
        ("restore-snapshot", ("healthy", "dead-follower")),
        ("replace-server", ("healthy", "dead-follower")),
        ("recover-lost-quorum", ("quorum-lost", "quorum-lost-machine-off")),
    ],
)
def test_every_shipped_playbook_that_can_be_played_is_proven(word: str, scenarios: tuple[str, ...]) -> None:
    """With no violation, and no step that was never reached, but for those of another product."""
    plan = plan_of(word, **PARAMS.get(word, {}))
    read = [world_for(plan, read_scenario(find_scenario(name))) for name in scenarios]
    proof = prove(plan, read, pairs=SEEDS, jobs=os.cpu_count() or 1)
    assert not proof.violations, "\n".join(format_proof(replace(proof, endings={})))
    assert proof.never_reached == OF_ETCD.get(word, ())
    assert proof.is_complete or word in OF_ETCD


@pytest.mark.skipif(not ALL, reason="PROOFS=all, as .ci/nightly says, plays whole proofs")
@pytest.mark.parametrize("name", sorted({mistake[0] for mistake in MISTAKES}))
def test_a_whole_proof_finds_the_mistake(name: str) -> None:
    """Without being told where it is."""
    read = [read_scenario(find_scenario(scenario)) for scenario in ("two-dead", "dead-follower")]
    proof = prove(plan_of(str(HERE / f"{name}.yaml")), read, pairs=0, jobs=os.cpu_count() or 1)
    expected = {invariant for mistake, _, _, _, invariant in MISTAKES if mistake == name}
    assert expected <= {violated.invariant for violated in proof.violations}
