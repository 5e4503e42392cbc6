"""A run that nobody watches: one removal a day, and never of a silent machine or of one that cannot come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbook.engine.plan import bind_plan, stricter
from runbook.events import RunCompleted, RunRefused
from runbook.playbook.parser import parse_playbook
from runbook.raft.liveness import SILENT_MACHINE, judge_once
from runbook.raft.removal import Policy, refusal_to_remove
from runbook.steps.registry import CATALOG
from tests.engine.commands import REMOVALS, commands, done
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run
from tests.raft.worlds import Kind, peer, view_of

DAY = 86400
SHIPPED = PLAYBOOK.read_bytes()
UNATTENDED = SHIPPED.replace(b"\nparams:", b"\nunattended: true\nparams:", 1)
assert UNATTENDED != SHIPPED


def played(tmp_path: Path, dead: set[int], text: bytes = UNATTENDED) -> tuple[RunCompleted | RunRefused, FakeCluster]:
    tmp_path.mkdir(exist_ok=True)
    cluster = FakeCluster(FakeClock(), dead=dead)
    ending = Run(cluster, tmp_path, text=text).execute()
    assert isinstance(ending, RunCompleted | RunRefused)
    return ending, cluster


def test_one_dead_server_is_removed_and_two_are_left_to_a_person(tmp_path: Path) -> None:
    """With the numbers, and before anything is done."""
    ending, cluster = played(tmp_path, {5})
    assert (type(ending), cluster.changes) == (RunCompleted, ["id-5"])
    ending, cluster = played(tmp_path / "two", {4, 5})
    assert isinstance(ending, RunRefused)
    assert (ending.code, cluster.changes) == ("TooManyChanges", [])
    assert "that would be change 2 of this run, and an unattended run makes 1" in ending.message
    ending, cluster = played(tmp_path / "attended", {4, 5}, SHIPPED)
    assert (type(ending), cluster.changes) == (RunCompleted, ["id-4", "id-5"])


def test_no_other_change_is_made(tmp_path: Path, mark: Path) -> None:
    """Nobody knows what a command does to a cluster."""
    run = commands(tmp_path, "max_changes: 3, min_voters: 3", "first", more=REMOVALS, dead={5})
    run.text = run.text.replace(b"\nsteps:", b"\nunattended: true\nsteps:", 1)
    ending = run.execute()
    assert isinstance(ending, RunRefused)
    assert (ending.code, done(mark), run.cluster.changes) == ("UnattendedChange", [], [])
    assert "makes 1 removal and 0 other changes" in ending.message


@pytest.mark.parametrize(
    ("lasting", "final", "code"),
    [(0.0, False, None), (SILENT_MACHINE, False, "UnattendedSilent"), (0.0, True, "UnattendedFinal")],
    ids=["its machine says that nothing listens", "its machine is silent", "etcd or Vault"],
)
def test_what_a_person_would_think_about_first_is_left_to_one(lasting: float, final: bool, code: str | None) -> None:
    view = view_of([Kind()] * 4 + [Kind(sight="refused", gossip="failed")])
    verdicts = {peer(number).id: judge_once(view, peer(number)) for number in range(1, 6)}
    verdicts["id-5"] = replace(verdicts["id-5"], lasting=lasting)
    view = replace(view, removal_is_final=final)
    assert refusal_to_remove(view, verdicts, peer(5), Policy()) is None, "a person may"
    refusal = refusal_to_remove(view, verdicts, peer(5), Policy(unattended=True, max_changes=1))
    assert (refusal.code if refusal else None) == code
    assert refusal is None or "removes 0 such servers" in refusal.sentence


def test_it_is_bounded_by_the_playbook_or_by_the_one_who_starts_it() -> None:
    """The cool-down is a day at least, and what runs within is bounded too."""
    shipped, own = (parse_playbook(text, "x.yaml", CATALOG) for text in (SHIPPED, UNATTENDED))
    params = {param.name: param.default for param in shipped.params}
    assert (shipped.unattended, own.unattended) == (False, True)
    for plan in (bind_plan(own, "r", params), bind_plan(shipped, "r", params, unattended=True)):
        assert (plan.policy.unattended, plan.policy.max_changes, plan.cooldown) == (True, 1, DAY)
    assert bind_plan(shipped, "r", params, Policy(unattended=True)).policy.max_changes == 1
    assert bind_plan(shipped, "r", params).cooldown < DAY
    for pair in ((Policy(), Policy(unattended=True)), (Policy(unattended=True), Policy())):
        assert stricter(*pair).unattended
