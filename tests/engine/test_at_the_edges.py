"""Removals at the edges of a playbook and of time: continued failures, time-outs, signals, looks that grew old."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runbook.engine.services import RunServices
from runbook.errors import ClusterError, ErrorKind
from runbook.events import Event, RunFailed, RunInterrupted, RunRefused, RunResumed
from runbook.raft.model import AutopilotSettings, Peer
from runbook.steps.context import Agreement
from tests.engine.fake import PLAYBOOK, FakeClock, FakeCluster, Run

ONE_BY_ONE = b"""
runbook: 1
name: one-by-one
guards: { max_changes: 3, min_voters: 1 }
steps:
  - id: dead
    uses: raft.find_dead
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ dead.peers }}" }
  - id: each
    for_each: quorum.removals
    steps:
      - id: remove
        uses: raft.remove_peer
        with: { peer: "${{ item.id }}" }
        continue_on_failure: true
"""


def answers_nothing(cluster: FakeCluster, *, splits: bool) -> None:
    """No removal has an answer; ``splits``: one follower shows it done and the others do not, so nobody can tell."""

    def remove_peer(target: Peer) -> None:
        cluster.changes.append(target.id)
        if splits:
            cluster.held[2].discard(int(target.id.removeprefix("id-")))
        raise ClusterError(ErrorKind.AMBIGUOUS, "the connection broke")

    cluster.act = remove_peer  # type: ignore[method-assign]


def ends(run: Run) -> list[str]:
    return [kind.removeprefix("removal.") for kind in run.kinds("removal.")]


def test_no_second_removal_is_asked_for_while_the_first_is_unsettled(tmp_path: Path) -> None:
    """I6 holds though the playbook says to go on after a failure: the first is settled before the second."""
    played = Run(FakeCluster(FakeClock(), dead={4, 5}), tmp_path, text=ONE_BY_ONE)
    answers_nothing(played.cluster, splits=True)
    ending = played.execute()
    assert (played.cluster.changes, getattr(ending, "code", "")) == (["id-4"], "CannotTell")


@pytest.mark.parametrize(
    ("splits", "told"), [(True, ["requested", "unsettled"]), (False, ["requested", "still_listed"])]
)
def test_a_run_that_went_on_past_a_removal_is_not_called_recovered(
    tmp_path: Path, splits: bool, told: list[str]
) -> None:
    """Neither is it *nothing to do*: the exit code would tell a timer that all is well."""
    played = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=ONE_BY_ONE)
    answers_nothing(played.cluster, splits=splits)
    ending = played.execute()
    assert (ends(played), type(ending)) == (told, RunFailed)
    assert "s5.global" in str(getattr(ending, "message", ""))


def test_a_time_out_between_the_request_and_its_end_leaves_the_end_on_record(tmp_path: Path) -> None:
    """I7: the step's own time may be over while nobody can tell yet; that is an end, and it is told."""
    text = PLAYBOOK.read_bytes().replace(b"uses: raft.remove_peer", b"uses: raft.remove_peer\n    timeout: 40s")
    played = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=text)
    answers_nothing(played.cluster, splits=True)
    assert isinstance(played.execute(), RunFailed)
    assert ends(played) == ["requested", "unsettled"]


class SignalAt(Run):
    """A signal comes at the first event of one kind: just before it is on record, or just after."""

    kind, before = "", True

    def emit(self, event: Event) -> None:
        comes = event.record()["kind"] == self.kind
        self.kind = "" if comes else self.kind
        if comes and self.before:
            raise KeyboardInterrupt
        super().emit(event)
        if comes:
            raise KeyboardInterrupt


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("kind", "replies"),
    [
        ("removal.requested", []),
        ("removal.confirmed", []),
        ("removal.still_listed", ["dropped"]),
        ("removal.failed", ["unknown"]),
        ("removal.already_gone", ["unknown"]),
    ],
)
def test_a_signal_at_any_event_of_a_removal_leaves_a_record_that_can_be_read(
    tmp_path: Path, kind: str, replies: list[str], before: bool
) -> None:
    """I8: the record is gone on with, and the peer goes once in the end."""
    played = SignalAt(FakeCluster(FakeClock(), dead={5}, replies=list(replies)), tmp_path)
    played.kind, played.before = kind, before
    if kind == "removal.already_gone":
        act = played.cluster.act

        def autopilot_first(target: Peer) -> None:
            played.cluster.drop(5)
            act(target)

        played.cluster.act = autopilot_first  # type: ignore[method-assign]
    assert isinstance(played.execute(), RunInterrupted)
    past = played.progress()
    played.emit(RunResumed("ann", "nomad:fake", False))
    played.execute(past)
    assert played.progress().state == "completed"
    assert 5 not in played.cluster.held[1]


@pytest.mark.parametrize("trouble", [ErrorKind.REJECTED, ErrorKind.NO_LEADER])
def test_a_signal_while_a_refusal_by_the_cluster_is_told_leaves_a_record_that_can_be_read(
    tmp_path: Path, trouble: ErrorKind
) -> None:
    """What was surely not done stays so, though the signal came before the run had noted it."""
    played = SignalAt(FakeCluster(FakeClock(), dead={5}), tmp_path)
    played.kind, played.before = "removal.failed", False

    def remove_peer(target: Peer) -> None:
        played.cluster.changes.append(target.id)
        raise ClusterError(trouble, "no")

    played.cluster.act = remove_peer  # type: ignore[method-assign]
    assert isinstance(played.execute(), RunInterrupted)
    assert [removal.state for removal in played.progress().removals] == ["failed"]


APPROVED_LATE = PLAYBOOK.read_bytes().replace(
    b"  - id: remove\n",
    b"  - id: person\n    uses: approve\n    with: { prompt: really, within: 8m }\n  - id: remove\n",
)


class Slow(Run):
    """The person answers after eight minutes, in which the dead server may have come and gone again."""

    def _services(self, dry_run: bool) -> RunServices:
        def approve(_sentence: str, _seconds: float) -> Agreement:
            self.cluster.clock.sleep(480.0)
            return Agreement("ann", "at the terminal")

        return replace(super()._services(dry_run), approve=approve)


def test_looks_from_before_a_long_pause_prove_nothing_after_it(tmp_path: Path) -> None:
    """*No sign of life for 30 s* is proven anew: who lived meanwhile is dead in the old looks and in the newest."""
    played = Slow(FakeCluster(FakeClock(), dead={5}), tmp_path, text=APPROVED_LATE)
    played.execute()
    kinds = [record["kind"] for record in played.records]
    between = kinds[kinds.index("removal.requested") - 6 : kinds.index("removal.requested")]
    assert between.count("cluster.looked") == 3, kinds


def test_a_request_is_not_sent_when_its_intent_took_long_to_write(tmp_path: Path) -> None:
    """A disk that hangs (NFS) makes the look an old one: nothing is sent, and the next attempt looks again."""
    played = Run(FakeCluster(FakeClock(), dead={5}), tmp_path)
    told = played.emit

    def emit(event: Event) -> None:
        told(event)
        if event.record()["kind"] == "removal.requested":
            played.cluster.clock.sleep(90.0)
            played.cluster.dead.clear()  # it is back

    played.emit = emit  # type: ignore[method-assign]
    ending = played.execute()
    assert (played.cluster.changes, ends(played)) == ([], ["requested", "failed"])
    assert getattr(ending, "code", "") == "TargetAlive"


class Claimed(Run):
    """Keeps in which order the run asked for the cluster, for leave to change it, and for the removal."""

    def _services(self, dry_run: bool) -> RunServices:
        order = self.cluster.changes
        return replace(
            super()._services(dry_run),
            acquire=lambda _peers: order.append("claim"),
            check_cooldown=lambda _peers: order.append("cool-down"),
        )


def test_a_run_gone_on_with_asks_for_leave_when_it_knows_whose_cluster_it_is(tmp_path: Path) -> None:
    """The cool-down is a cluster's: asked before the first look of this process, it is nobody's and forbids nothing."""
    first = Claimed(FakeCluster(FakeClock(), dead={5}), tmp_path)
    first.execute()
    place = next(n for n, record in enumerate(first.records) if record.get("step") == "remove")
    again = Claimed(FakeCluster(FakeClock(), dead={5}), tmp_path, records=first.records[:place])
    past = again.progress()
    again.emit(RunResumed("ann", "nomad:fake", False))
    again.execute(past)
    assert again.cluster.changes[-3:] == ["claim", "cool-down", "id-5"]


@pytest.mark.parametrize("item", [b"id-5", b"{ address: x }", b"{ id: 5 }"])
def test_peers_given_by_hand_that_are_none_are_a_failed_step_in_words(tmp_path: Path, item: bytes) -> None:
    """It is the playbook's fault and not the program's, and nothing is asked for."""
    text = ONE_BY_ONE.replace(b"steps:\n", b"params: { who: { type: list, default: [%s] } }\nsteps:\n" % item, 1)
    text = text.replace(b"dead.peers", b"params.who")
    played = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=text)
    ending = played.execute()
    assert (getattr(ending, "error_kind", ""), played.cluster.changes) == ("step.unexpected", [])


IN_A_ROUND = b"""
runbook: 1
name: in-a-round
guards: { max_changes: 1 }
steps:
  - id: once
    for_each: "[1]"
    steps:
      - id: dead
        uses: raft.find_dead
        with: { confirm_for: 300s, looks: 5 }
  - id: quorum
    uses: raft.check_quorum
    with: { remove: "${{ once.results[0].dead.peers }}" }
  - id: remove
    for_each: quorum.removals
    uses: raft.remove_peer
    with: { peer: "${{ item.id }}" }
"""


def test_a_run_gone_on_with_asks_for_as_much_proof_as_its_playbook(tmp_path: Path) -> None:
    """Also where raft.find_dead stands in a block, whose steps have other names in the record than in the file."""
    first = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=IN_A_ROUND)
    first.execute()
    place = next(n for n, record in enumerate(first.records) if record.get("step") == "remove")
    again = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=IN_A_ROUND, records=first.records[:place])
    past = again.progress()
    again.emit(RunResumed("ann", "nomad:fake", False))
    again.execute(past)
    asked = next(n for n, record in enumerate(again.records) if record["kind"] == "removal.requested")
    looks = [record["kind"] for record in again.records[place:asked]].count("cluster.looked")
    assert looks >= 5
    assert again.cluster.clock.seconds > 300


def test_a_look_that_is_done_for_each_of_a_list_can_be_gone_on_from(tmp_path: Path) -> None:
    """Its result is a list of results, and the last one counts, as in a run that was not stopped."""
    text = IN_A_ROUND.replace(b"raft.find_dead\n", b"raft.find_dead\n        for_each: '[1, 2]'\n")
    text = text.replace(b"dead.peers", b"dead.results[1].peers")
    text = text.replace(b"raft.check_quorum\n", b"raft.check_quorum\n    for_each: '[1]'\n")
    text = text.replace(b"quorum.removals", b"quorum.results[0].removals")
    first = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=text)
    first.execute()
    place = next(n for n, record in enumerate(first.records) if record.get("step") == "remove")
    again = Run(FakeCluster(FakeClock(), dead={5}), tmp_path, text=text, records=first.records[:place])
    past = again.progress()
    again.emit(RunResumed("ann", "nomad:fake", False))
    again.execute(past)
    assert again.cluster.changes == ["id-5"]


@pytest.mark.parametrize("dead", [{3, 4}, {4}], ids=["by the proof", "by the guard"])
def test_after_a_refusal_no_handler_removes_anything(tmp_path: Path, dead: set[int]) -> None:
    """I5: neither on a proof that was refused, nor on one whose leader was another for a moment."""
    text = ONE_BY_ONE.replace(b"max_changes: 3", b"max_changes: 1")
    text += b"on_failure:\n  - id: anyway\n    uses: raft.remove_peer\n    with: { peer: id-4 }\n"
    cluster = FakeCluster(FakeClock(), dead=dead)
    if len(dead) == 1:
        cluster.at_look = {4: lambda cluster: cluster.elect(2, 3), 5: lambda cluster: cluster.elect(1, 2)}
    played = Run(cluster, tmp_path, text=text)
    assert (type(played.execute()), played.cluster.changes) == (RunRefused, [])


def test_a_min_quorum_that_was_read_once_binds_where_it_cannot_be_read_again(tmp_path: Path) -> None:
    """The cluster's own floor: unread is not absent."""
    cluster = FakeCluster(FakeClock(), dead={5}, autopilot=AutopilotSettings(cleanup_dead_servers=False, min_quorum=5))
    cluster.at_look = {3: lambda cluster: cluster.settle_on(None)}
    ending = Run(cluster, tmp_path).execute()
    assert isinstance(ending, RunRefused), ending
    assert (ending.code, cluster.changes) == ("BelowMinimumVoters", [])
