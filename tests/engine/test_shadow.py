"""A dry run goes on truthfully: what it foretells is what the same playbook then does on the same cluster (I14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.engine.services import RunServices
from runbook.errors import RefusedError
from runbook.events import RunCompleted, RunRefused
from runbook.raft.removal import Refusal
from runbook.report.summary import format_summary
from runbook.steps.context import Agreement
from tests.engine.commands import REMOVALS
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: foretold\nguards: { max_changes: 9, min_voters: 3 }\nsteps:\n"


def played(text: str, folder: Path, *, dry_run: bool, **cluster: Any) -> Run:
    run = Run(FakeCluster(FakeClock(), **cluster), folder, text=(HEAD + text).encode())
    run.execute(dry_run=dry_run)
    return run


def ends(run: Run) -> list[tuple[str, str, str]]:
    """How each step ended, with its label."""
    kinds = ("step.completed", "step.failed", "step.skipped")
    return [(r["step"], r["kind"][5:], r.get("label", "")) for r in run.records if r["kind"] in kinds]


def outputs(run: Run) -> Mapping[str, Any]:
    return run.state.outputs


def foreseen(run: Run) -> Mapping[str, Any]:
    assert run.state.foreseen is not None
    return run.state.foreseen


def both(text: str, folder: Path, **cluster: Any) -> tuple[Run, Run]:
    return played(text, folder, dry_run=True, **cluster), played(text, folder, dry_run=False, **cluster)


AFTER = """\
  - id: verify
    uses: raft.verify
  - id: gone
    uses: wait.until
    until: result.voters == 3
    every: 1s
    within: 10m
  - id: again
    uses: raft.snapshot
  - id: none
    uses: raft.find_dead
  - if: none.count == 0 and again.voters == 3
    assert: again.tolerance == 1
  - if: gone.voters == 5
    uses: log.message
    with: { text: never }
"""


def test_what_follows_a_removal_sees_it_done_and_no_wait_takes_any_time(tmp_path: Path) -> None:
    """Removals, waits, conditions and verification: every step ends as in the real run, with the same result."""
    dry, real = both(REMOVALS + AFTER, tmp_path, dead={4, 5})
    assert [end[:2] for end in ends(dry)] == [end[:2] for end in ends(real)]
    assert outputs(dry) == outputs(real)
    assert (dry.cluster.changes, real.cluster.changes) == ([], ["id-4", "id-5"])
    assert {peer["id"] for peer in foreseen(dry)["peers"]} == {"id-1", "id-2", "id-3"}
    assert dry.cluster.clock.seconds < 5 < 100 < real.cluster.clock.seconds
    assert foreseen(dry)["seconds"] == pytest.approx(real.cluster.clock.seconds, abs=2)
    assert foreseen(dry)["unknown"] == {}


def test_every_step_says_whether_it_was_seen_or_foreseen(tmp_path: Path) -> None:
    text = "  - id: first\n    uses: raft.snapshot\n" + REMOVALS
    dry = played(text, tmp_path, dry_run=True, dead={5})
    assert [(step, label) for step, _, label in ends(dry)] == [
        ("first", "live"), ("dead", "simulated"), ("quorum", "simulated"), ("remove", "simulated"),
    ]  # fmt: skip
    assert all("label" in record and "foreseen" in record for record in dry.records[1:])
    assert "removal.requested" not in {record["kind"] for record in dry.records}
    real = played(text, tmp_path, dry_run=False, dead={5})
    assert not any("label" in record or "foreseen" in record for record in real.records)


def test_it_looks_for_real_until_the_cluster_has_looked_the_same_for_three_seconds(tmp_path: Path) -> None:
    dry = played(REMOVALS, tmp_path, dry_run=True, dead={5})
    entered = next(record for record in dry.records if record["kind"] == "shadow.entered")
    assert (entered["looks"], dry.cluster.looks) == (2, 2)
    assert 3.0 <= entered["seconds"] <= 3.1


def test_a_server_that_comes_back_while_it_looks_is_seen(tmp_path: Path) -> None:
    """The first look alone would have foretold its removal."""
    back = {2: lambda cluster: cluster.dead.discard(5)}
    dry, real = both(REMOVALS, tmp_path, dead={5}, at_look=back)
    assert outputs(dry)["dead"]["count"] == outputs(real)["dead"]["count"] == 0


def test_gossip_that_has_not_made_up_its_mind_is_waited_for(tmp_path: Path) -> None:
    """It is the world's to decide, and takes under a minute."""

    text, hung = (HEAD + REMOVALS).encode(), FakeCluster(FakeClock(), hung={5})

    def dies(cluster: FakeCluster) -> None:
        cluster.hung.clear()
        cluster.dead.add(5)

    hung.at_look = {6: dies}
    run = Run(hung, tmp_path, text=text)
    run.execute(dry_run=True)
    assert outputs(run)["dead"]["count"] == 1
    assert hung.looks > 6


UNKNOWN = """\
  - id: asked
    uses: command.run
    effect: read
    with: { argv: [hostname] }
  - id: told
    if: asked.stdout == "s1"
    uses: log.message
    with: { text: "it is ${{ asked.stdout }}" }
  - id: each
    for_each: split(asked.stdout, ",")
    uses: log.message
    with: { text: "${{ item }}" }
  - id: after
    if: outcome(told) == "success"
    uses: log.message
    with: { text: "told" }
  - id: block
    steps:
      - id: inner
        uses: command.run
        with: { argv: ["true"] }
        undo: { show: take it back }
  - id: last
    if: outcome(block) == "success"
    uses: log.message
    with: { text: "done" }
  - id: sure
    uses: raft.snapshot
"""


def test_what_depends_on_what_was_not_run_says_so_and_the_rest_goes_on(tmp_path: Path) -> None:
    dry = played(UNKNOWN, tmp_path, dry_run=True)
    assert dry.state.state == "completed"
    assert {step for step, _, label in ends(dry) if label == "unknown"} == {
        "asked", "told", "each", "after", "inner", "block", "last",
    }  # fmt: skip
    assert foreseen(dry)["counts"] == {"live": 1, "simulated": 0, "unknown": 7}
    assert foreseen(dry)["unknown"]["told"] == 'only the real run can tell: asked.stdout == "s1"'
    assert foreseen(dry)["unknown"]["inner"] == "would run [true]"


def test_with_run_reads_what_only_reads_is_run(tmp_path: Path) -> None:
    class Reads(Run):
        def _services(self, dry_run: bool) -> RunServices:
            return replace(super()._services(dry_run), run_reads=True)

    run = Reads(FakeCluster(FakeClock()), tmp_path, text=(HEAD + UNKNOWN.replace("hostname", "echo, s1")).encode())
    assert isinstance(run.execute(dry_run=True), RunCompleted)
    assert {step for step, _, label in ends(run) if label == "unknown"} == {"inner", "block", "last"}
    assert ("asked", "completed", "live") in ends(run)
    assert run.state.outputs["asked"]["stdout"] == "s1"


def test_nothing_is_to_be_undone_by_hand_that_never_ran(tmp_path: Path) -> None:
    text = UNKNOWN + "  - assert: sure.voters == 99\n"
    dry = played(text, tmp_path, dry_run=True)
    assert dry.state.state == "failed"
    lines = "\n".join(format_summary(dry.state, "folder"))
    assert "undo by hand" not in lines
    assert "may have changed things" not in lines
    assert "would run          inner" in lines
    assert lines.startswith("foretold WOULD FAIL at step assert_step: the condition is false: sure.voters == 99")


def test_a_wait_that_only_the_world_can_end_is_unknown_and_told(tmp_path: Path) -> None:
    """It does not count against: the exit code is that of a world that does its part."""
    text = """\
  - id: wait
    uses: wait.until
    until: result.voters == 99
    every: 5s
    within: 10m
  - id: then
    if: wait.voters == 99
    uses: log.message
    with: { text: "it came" }
"""
    dry = played(text, tmp_path, dry_run=True)
    assert dry.state.state == "completed"
    assert [end[2] for end in ends(dry)] == ["unknown", "unknown"]
    assert foreseen(dry)["waits"] == 600.0
    told = "\n".join(format_summary(dry.state, "folder"))
    assert "up to 10 min more for what only the world can bring" in told


def refuse(code: str) -> Any:
    def check(_peers: frozenset[str]) -> None:
        raise RefusedError(Refusal(code, "it is so", "Wait"))

    return check


ASKED = {
    "lock": {"check_free": refuse("Locked"), "acquire": refuse("Locked")},
    "cool-down": {"check_cooldown": refuse("CoolDown")},
    "agreement": {"approve": lambda *_: None, "would_approve": lambda *_: None},
}


@pytest.mark.parametrize("what", ASKED)
def test_what_a_real_run_would_be_refused_for_is_foretold(tmp_path: Path, what: str) -> None:
    class Refused(Run):
        def _services(self, dry_run: bool) -> RunServices:
            return replace(super()._services(dry_run), **ASKED[what])

    dry, real = (Refused(FakeCluster(FakeClock(), dead={5}), tmp_path, text=(HEAD + REMOVALS).encode()) for _ in "ab")
    foretold, happened = dry.execute(dry_run=True), real.execute()
    assert isinstance(foretold, RunRefused)
    assert isinstance(happened, RunRefused)
    assert (foretold.code, foretold.step) == (happened.code, happened.step)
    assert dry.cluster.changes == real.cluster.changes == []
    assert foreseen(dry)["asked"][what] in ("it is not over", "another run holds the cluster", "nobody can be asked")


def test_nobody_is_asked_and_nothing_is_held(tmp_path: Path) -> None:
    class Watched(Run):
        def _services(self, dry_run: bool) -> RunServices:
            def never(*_: Any) -> Any:
                raise AssertionError("a dry run asks nobody and holds nothing")

            presumed = Agreement("ann", "at the terminal")
            return replace(
                super()._services(dry_run),
                acquire=never, approve=never, choose=never, would_approve=lambda *_: presumed,
            )  # fmt: skip

    run = Watched(FakeCluster(FakeClock(), dead={5}), tmp_path, text=(HEAD + REMOVALS).encode())
    assert isinstance(run.execute(dry_run=True), RunCompleted)
    assert list(foreseen(run)["asked"].values()) == [
        "no other run holds the cluster", "nothing waits for it", "at the terminal",
    ]  # fmt: skip
    asked = next(record for record in run.records if record["kind"] == "change.would_be_approved")
    assert asked["question"] == "Remove s5.global (127.0.0.15:4647) from nomad:fake: 5 -> 4 voters?"


def test_a_wait_longer_than_the_steps_time_fails_as_it_would(tmp_path: Path) -> None:
    text = "  - id: long\n    uses: wait.for\n    with: { duration: 70s }\n    timeout: 20s\n"
    dry, real = both(text, tmp_path)
    assert ends(dry)[0][:2] == ends(real)[0][:2] == ("long", "failed")


def test_files_that_would_be_written_count_for_what_prunes_them(tmp_path: Path) -> None:
    """As in a playbook that keeps seven state snapshots, and takes the eighth."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("a", "b"):
        (kept / f"{name}.snap").write_text(name)
    text = f"""\
  - id: taken
    uses: raft.snapshot
    with: {{ to: "{kept}/c.snap" }}
  - id: noted
    uses: file.write
    with: {{ path: "{kept}/d.snap", content: "x" }}
  - id: pruned
    uses: file.prune
    with: {{ folder: "{kept}", glob: "*.snap", keep: 2 }}
"""
    folder = tmp_path / "state" / "runs" / "r"
    folder.mkdir(parents=True)
    dry = played(text, folder, dry_run=True)
    assert sorted(path.name for path in kept.iterdir()) == ["a.snap", "b.snap"]
    real = played(text, folder, dry_run=False)
    assert outputs(dry)["pruned"] == outputs(real)["pruned"] == {"removed": ["a.snap", "b.snap"], "kept": 2}
    assert outputs(dry)["noted"] == outputs(real)["noted"]
    assert outputs(dry)["taken"]["state_path"] == outputs(real)["taken"]["state_path"]
