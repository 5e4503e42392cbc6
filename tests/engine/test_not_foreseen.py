"""What a dry run makes of secrets that it does not fetch, and of files that it does not write."""

from __future__ import annotations

from pathlib import Path

from runbook.events import RunCompleted
from runbook.report.summary import format_summary
from tests.engine.fake import FakeClock, FakeCluster, Run

TEXT = """\
runbook: 1
name: secretive
guards: {{ max_changes: 9 }}
secrets:
  hook: exec:/bin/echo https://hooks.example.org/c4nary
steps:
  - id: taken
    uses: raft.snapshot
    with: {{ to: "{folder}/x.snap" }}
  - id: tell
    uses: notify.webhook
    with: {{ url: "${{{{ secrets.hook }}}}", text: hello }}
"""


def test_a_secret_that_is_not_fetched_is_unknown_and_fits_everywhere(tmp_path: Path) -> None:
    """The word that hides it is no URL, and the real run would not fail for that."""
    folder = tmp_path / "state" / "runs" / "r"
    folder.mkdir(parents=True)
    run = Run(FakeCluster(FakeClock()), folder, text=TEXT.format(folder=tmp_path).encode())
    ending = run.execute(dry_run=True)
    assert isinstance(ending, RunCompleted), ending
    told = [record["message"] for record in run.records if record["kind"] == "step.completed"][-1]
    assert told == "would tell (known when it runs): hello"
    assert f"state snapshot     would be kept as {tmp_path}/x.snap" in format_summary(run.state, str(folder))
    assert not (tmp_path / "x.snap").exists()


EACH = b"""\
runbook: 1
name: each
guards: { max_changes: 9 }
steps:
  - id: each
    for_each: '["a", "b"]'
    uses: command.run
    with: { argv: ["${{ item }}"] }
    continue_on_failure: true
  - assert: len(each.failed) == 0
    else: "failed on ${{ len(each.failed) }} of ${{ each.count }}"
"""


def test_which_items_of_what_is_not_run_fail_is_unknown(tmp_path: Path) -> None:
    """It would be a lie to say that none does."""
    run = Run(FakeCluster(FakeClock()), tmp_path, text=EACH)
    assert isinstance(run.execute(dry_run=True), RunCompleted)
    ends = [record for record in run.records if record["kind"] == "step.completed"]
    assert (ends[0]["output"]["count"], ends[0]["output"]["failed"]) == (2, "(known after apply)")
    assert ends[1]["label"] == "unknown"
