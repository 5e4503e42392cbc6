"""A voter that is neither proven alive nor dead and shows a sign of trouble: no run leaves it without a word."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from runbook.cluster.hashicorp.opinions import opinions_in
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.exit_codes import exit_code_of_ending
from runbook.raft.model import ClusterView, Member, MemberStatus, Reach
from runbook.report.summary import format_summary
from tests.engine.fake import FakeClock, FakeCluster, Run, peer


def run(folder: Path, *, frozen: tuple[int, ...] = (), dead: tuple[int, ...] = (), servers: int = 5) -> Run:
    """A frozen server accepts connections and says nothing, and gossip calls it failed."""
    cluster = FakeCluster(FakeClock(), servers=servers, dead={*frozen, *dead}, hung={*frozen})
    return Run(cluster, folder, params={"min_voters": "2", "watch_for": "10s"})


def last_lines(done: Run) -> str:
    return "\n".join(format_summary(done.progress(), "folder"))


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_frozen_voter_with_nothing_else_to_do_is_a_refusal_with_the_numbers(tmp_path: Path, dry_run: bool) -> None:
    """Never *nothing to do* and exit code 0 beside a server that may be dead."""
    left = run(tmp_path, frozen=(3,))
    ending = left.execute(dry_run=dry_run)
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, ending.step, exit_code_of_ending(ending)) == ("Undecided", "dead", 3)
    assert "1 of 5 voters is neither proven alive nor proven dead" in ending.message
    assert (
        "s3.global (http://127.0.0.13:4647 accepts connections but does not answer: it may be frozen" in ending.message
    )
    assert "gossip of s1.global: failed" in ending.message
    assert "failure tolerance is 1" in ending.message
    assert "s3.global: Look at it on its host, and stop its process only if it stays frozen" in ending.message
    assert "run the playbook again" in ending.message
    assert left.cluster.changes == []
    assert f"{'would change      ' if dry_run else 'changed           '} nothing" in last_lines(left)


def test_a_recovery_that_leaves_a_frozen_voter_says_so_in_its_last_lines(tmp_path: Path) -> None:
    """It has recovered what it could, and that is not all."""
    left = run(tmp_path, frozen=(3,), dead=(5,))
    ending = left.execute()
    assert isinstance(ending, RunCompleted), ending
    assert (ending.message, left.cluster.changes) == ("recovered", ["id-5"])
    told = last_lines(left)
    assert "unknown            s3.global: http://127.0.0.13:4647 accepts connections but does not answer" in told
    assert "Not proven dead, so not removed. Look at it on its host" in told
    assert "failure tolerance  0 -> 0: one more failure loses quorum, so add a server" in told


def test_who_was_proven_dead_in_a_run_that_was_refused_is_not_called_unknown(tmp_path: Path) -> None:
    """The newest look alone proves nobody dead; the run had."""
    refused = Run(
        FakeCluster(FakeClock(), servers=5, dead={4, 5}), tmp_path, params={"max_removals": "1", "watch_for": "10s"}
    )
    ending = refused.execute()
    assert isinstance(ending, RunRefused), ending
    assert "that would be change 2 of this run, and its param max_removals is 1" in ending.message
    told = last_lines(refused)
    assert "not removed        s4.global, s5.global: proven dead, and still in the configuration" in told
    assert "unknown" not in told


def test_what_a_dry_run_would_remove_is_not_called_undecided(tmp_path: Path) -> None:
    """Foretold is decided, though the servers still list it."""
    left = run(tmp_path, dead=(5,))
    assert isinstance(left.execute(dry_run=True), RunCompleted)
    assert "\nunknown" not in last_lines(left)


def test_with_tolerance_left_the_last_lines_do_not_warn(tmp_path: Path) -> None:
    """Four of four voters bear one more failure."""
    well = run(tmp_path, dead=(5,))
    well.execute()
    assert "loses quorum" not in last_lines(well)


def test_a_healthy_cluster_ends_with_nothing_to_do(tmp_path: Path) -> None:
    """Exit code 0, as ever."""
    ending = run(tmp_path).execute()
    assert isinstance(ending, RunCompleted)
    assert ending.message == "nothing to do"


class OneDoor(FakeCluster):
    """Only the leader's HTTP API answers here, the others' are refused; and no Raft port can be tried."""

    def look(self, *, within: float = inf) -> ClusterView:
        view = super().look(within=within)
        door = tuple(v for v in view.vantages if v.server_id in (None, view.leader_id))
        seen = replace(view, vantages=door, probes={})
        return replace(seen, opinions=opinions_in(seen))


def test_who_only_cannot_be_asked_from_here_is_no_sign_of_trouble(tmp_path: Path) -> None:
    """One door: the leader and its gossip say that they are fine."""
    ending = Run(OneDoor(FakeClock()), tmp_path).execute()
    assert isinstance(ending, RunCompleted), ending
    assert exit_code_of_ending(ending) == 0


def test_behind_one_door_gossips_failed_is_one(tmp_path: Path) -> None:
    """A server that may be dead is not left with exit code 0, and the others are not named beside it."""
    ending = Run(OneDoor(FakeClock(), dead={4}), tmp_path).execute()
    assert isinstance(ending, RunRefused), ending
    assert ending.code == "Undecided"
    assert "run again with --confirmed-off s4.global --because TEXT" in ending.message


class Wiped(FakeCluster):
    """Server 3 lost its disk: another id of this cluster is alive at its address, and its old entry is still listed."""

    status = MemberStatus.ALIVE

    def look(self, *, within: float = inf) -> ClusterView:
        view, old = super().look(within=within), peer(3)
        new = Member("s3.global", self.status, "id-new", old.address)
        kept = [
            replace(v, members=(*(m for m in v.members or () if m.id != old.id), new))
            for v in view.vantages
            if v.server_id != old.id
        ]
        port = Reach.ACCEPTED if self.status is MemberStatus.ALIVE else Reach.REFUSED
        seen = replace(view, vantages=tuple(kept), probes={**view.probes, old.address: port})
        return replace(seen, opinions=opinions_in(seen))


def test_an_old_entry_of_a_wiped_server_is_one_and_its_advice_is_to_wait(tmp_path: Path) -> None:
    """The leader takes it out when it reconciles; until then it is a voter that cannot vote."""
    ending = Run(Wiped(FakeClock()), tmp_path).execute()
    assert isinstance(ending, RunRefused), ending
    assert "its address now belongs to another server, s3.global (id-new)" in ending.message
    assert "wait for the leader to reconcile" in ending.message


def test_an_old_entry_whose_new_server_is_dead_too_is_dead(tmp_path: Path) -> None:
    """The leader's list has a member of its name, so no ACL hides it."""
    both = Wiped(FakeClock())
    both.status = MemberStatus.FAILED
    ending = Run(both, tmp_path).execute()
    assert isinstance(ending, RunCompleted), ending
    assert both.changes == ["id-3"]


def test_a_refusal_for_the_undecided_is_not_gone_on_with(tmp_path: Path) -> None:
    """All of its steps are done, and what it saw is old: only a new run looks again."""
    left = run(tmp_path, frozen=(3,))
    left.execute()
    assert (
        left.progress().not_resumable
        == "found nothing to remove and left voters undecided, so only a new run looks again"
    )


def test_it_is_told_of_a_run_that_died_before_its_ending(tmp_path: Path) -> None:
    """A resumed run that has no step left takes it from the record."""
    left = run(tmp_path, frozen=(3,))
    left.execute()
    del left.records[-1]
    ending = left.execute(left.progress())
    assert isinstance(ending, RunRefused)
    assert ending.code == "Undecided"


def test_a_playbook_that_removes_nobody_ends_as_ever(tmp_path: Path) -> None:
    """It says what it found, and nobody asked it to decide."""
    left = run(tmp_path, frozen=(3,))
    left.text = b"runbook: 1\nname: look\nsteps:\n  - id: dead\n    uses: raft.find_dead\n"
    left.params = {}
    assert isinstance(left.execute(), RunCompleted)


ONE_BY_ONE = b"""runbook: 1
name: mine
guards: { max_changes: 9, min_voters: 1, never_worse: false }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    steps:
      - id: one
        uses: raft.remove_peer
        with: { peer: "${{ item.id }}" }
        continue_on_failure: true
  - uses: log.message
    with: { text: the end }
"""


def test_a_removal_that_failed_before_it_was_asked_for_is_no_recovery(tmp_path: Path) -> None:
    """With ``continue_on_failure`` the run goes on, and its end names what failed."""
    going = run(tmp_path, dead=(4, 5))
    going.text, going.params = ONE_BY_ONE, {}
    look = going.cluster.look

    def loses_its_leader(*, within: float = inf) -> ClusterView:
        started = sum(r["kind"] == "step.started" and str(r["step"]).endswith(".one") for r in going.records)
        going.cluster.leader = None if started == 1 else 1
        return look(within=within)

    going.cluster.look = loses_its_leader  # type: ignore[method-assign]
    ending = going.execute()
    assert going.cluster.changes == ["id-5"]
    assert isinstance(ending, RunFailed), ending
    assert (ending.step, ending.error_kind, exit_code_of_ending(ending)) == ("remove.1.one", "no_leader", 4)
    assert "s4.global was to be removed, and its removal failed before it was asked for" in ending.message
