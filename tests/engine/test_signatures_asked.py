"""Signatures are asked for before the first change under a rule, by every playbook around the step, and on record."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from runbook.errors import RefusedError
from runbook.events import RunCompleted, RunRefused
from runbook.playbook.approval_rule import ApprovalRule
from runbook.raft.removal import Refusal
from runbook.steps.context import Agreement
from tests.engine.commands import REMOVALS
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: {}\nguards: {{ max_changes: 9, min_voters: 2 }}\napprove: {{ by: /etc/{} }}\nsteps:\n"
COMMAND = '  - id: {}\n    uses: command.run\n    with: {{ argv: ["true"] }}\n'


def run_of(folder: Path, text: str, *, enough: bool = True, **cluster: object) -> tuple[Run, list[list[str]]]:
    """And of each time that signatures were asked for, whose."""
    asked: list[list[str]] = []

    def check(rules: tuple[ApprovalRule, ...]) -> tuple[Agreement, ...]:
        asked.append([rule.by for rule in rules])
        if not enough:
            raise RefusedError(Refusal("TooFewApprovals", "1 of 2", "Have another person sign"))
        return (Agreement("ann", "by the SSH key SHA256:x"),)

    fake = FakeCluster(FakeClock(), dead={5}, **cluster)  # type: ignore[arg-type]
    run = Run(fake, folder, text=text.encode(), path=str(folder / "outer.yaml"))
    run.check_approved = check
    return run, asked


CHANGES = {"a removal": (REMOVALS, "remove"), "a command": (COMMAND.format("act"), "act")}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("dry_run", [False, True])
def test_without_them_nothing_is_begun(what: str, dry_run: bool, tmp_path: Path) -> None:
    """A dry run foretells it; nobody at the terminal is asked then."""
    text, place = CHANGES[what]
    run, asked = run_of(tmp_path, HEAD.format("outer", "signers") + text, enough=False)
    ending = run.execute(dry_run=dry_run)
    assert isinstance(ending, RunRefused)
    assert (ending.code, ending.step, asked) == ("TooFewApprovals", place, [["/etc/signers"]])
    assert (run.cluster.changes, run.kinds("change."), run.kinds("removal."), run.questions) == ([], [], [], [])
    if dry_run:
        assert run.state.foreseen
        assert run.state.foreseen["asked"]["signatures"] == "they are not enough"


def test_they_are_asked_for_once_and_are_on_record_beside_whoever_runs_it(tmp_path: Path) -> None:
    text = HEAD.format("outer", "signers") + COMMAND.format("one") + COMMAND.format("two")
    run, asked = run_of(tmp_path, text)
    assert isinstance(run.execute(), RunCompleted)
    assert asked == [["/etc/signers"]]
    agreed = [(record["who"], record["how"]) for record in run.records if record["kind"] == "change.approved"]
    assert agreed == [("ann", "by the SSH key SHA256:x"), ("ann", "at the terminal")]


def test_what_a_playbook_within_asks_for_comes_to_it(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(HEAD.format("inner", "others") + COMMAND.format("deep"), encoding="utf-8")
    text = HEAD.format("outer", "signers") + COMMAND.format("one")
    text += "  - id: within\n    uses: playbook.run\n    with: { playbook: inner.yaml }\n"
    run, asked = run_of(tmp_path, text)
    assert isinstance(run.execute(), RunCompleted), run.records[-1]
    assert asked == [["/etc/signers"], ["/etc/signers", "/etc/others"]]


def test_who_agreed_to_a_recovery_was_not_asked_by_the_rule_of_a_playbook_after_it(tmp_path: Path) -> None:
    """What comes after it in the playbook itself needs no other signatures."""
    (tmp_path / "inner.yaml").write_text(HEAD.format("inner", "others") + COMMAND.format("deep"), encoding="utf-8")
    text = HEAD.format("outer", "signers") + "  - id: confirmed\n    uses: log.message\n    with: { text: agreed }\n"
    text += COMMAND.format("one") + "  - id: within\n    uses: playbook.run\n    with: { playbook: inner.yaml }\n"
    run, asked = run_of(tmp_path, text)
    with patch("runbook.engine.change_guards.CONFIRMS", "log.message"):
        assert isinstance(run.execute(), RunCompleted), run.records[-1]
    assert asked == [["/etc/signers", "/etc/others"]]


def test_a_run_that_changes_nothing_needs_none(tmp_path: Path) -> None:
    run, asked = run_of(tmp_path, HEAD.format("outer", "signers") + REMOVALS, enough=False)
    run.cluster.dead.clear()
    assert isinstance(run.execute(), RunCompleted)
    assert asked == []
