"""``raft.transfer_leadership`` in whole runs: what is asked before it, what is sent, and what a resumed run does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ClusterError, ErrorKind
from runbook.events import Event, RunCompleted, RunFailed, RunResumed
from runbook.raft.model import Peer
from runbook.report.summary import format_summary
from tests.engine.fake import FakeClock, FakeCluster, Run

HEAD = "runbook: 1\nname: transfer\nguards: {{ {guards} }}\nsteps:\n"
STEP = "  - id: move\n    uses: raft.transfer_leadership\n    with: {{ {given} }}\n"
RETRY = "    retry: { times: 3, wait: 1s, only_on: [no_leader, timeout, unavailable] }\n"


@dataclass
class MovingCluster(FakeCluster):
    """``transfers`` is what becomes of the next requests: ``done``, ``lost`` (done, without an answer), ``dropped``
    (not done, no answer), ``ignored`` (not done, and answered well), ``late 5`` (done so many seconds later), or the
    kind of an error that says that nothing was done.
    """

    transfers: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    due: list[tuple[float, int]] = field(default_factory=list)

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        self.sent.append(to.id if to else "")
        number = int(to.id.removeprefix("id-")) if to else next(n for n in sorted(self.held) if n != self.leader)
        reply = self.transfers.pop(0) if self.transfers else "done"
        if reply.startswith("late "):
            self.due.append((self.clock.seconds + float(reply.removeprefix("late ")), number))
        elif reply in ("done", "lost"):
            self.elect(number, self.term + 1)
        elif reply not in ("dropped", "ignored"):
            raise ClusterError(ErrorKind(reply), "not now")
        if reply in ("lost", "dropped"):
            raise ClusterError(ErrorKind.AMBIGUOUS, "the connection broke")

    def catch_up(self) -> None:
        for due, number in self.due:
            if due <= self.clock.seconds and number != self.leader:
                self.elect(number, self.term + 1)
        self.due = [(due, number) for due, number in self.due if due > self.clock.seconds]
        super().catch_up()


def run_of(
    folder: Path, *, to: str = "", guards: str = "max_changes: 1", first: str = "", more: str = "", **cluster: Any
) -> Run:
    given = f"to: '{to}', within: 10s"
    text = HEAD.format(guards=guards) + first + STEP.format(given=given) + more
    return Run(MovingCluster(FakeClock(), servers=3, **cluster), folder, text=text.encode())


def moving(run: Run) -> MovingCluster:
    assert isinstance(run.cluster, MovingCluster)
    return run.cluster


def result(run: Run) -> dict[str, Any]:
    return dict(run.state.outputs["move"])


def told(run: Run) -> str:
    """The last lines of the run."""
    return " ".join("\n".join(format_summary(run.state, "run-1")).split())


def code_of(ending: object) -> str:
    return str(getattr(ending, "code", "") or getattr(ending, "error_kind", ""))


MOVED = {"leader": "s2.global", "before": "s1.global", "changed": True}


@pytest.mark.parametrize("to", ["s2", "id-2", ""])
def test_it_asks_once_and_sees_who_leads(to: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, to=to)
    assert isinstance(run.execute(), RunCompleted)
    assert (moving(run).sent, result(run)) == (["id-2"], MOVED)
    assert run.questions == ["Move the leadership of nomad:fake from s1.global to s2.global?"]
    assert run.kinds("change.") == ["change.approved", "change.begun"]
    assert run.kinds("cluster.claimed") == ["cluster.claimed"]
    assert "s2.global leads now, and s1.global did before" in told(run)


def test_where_the_wanted_server_leads_nobody_is_asked_anything(tmp_path: Path) -> None:
    """No lock, no question, no request; and so it is for a second run (I9)."""
    run = run_of(tmp_path, to="s1")
    assert isinstance(run.execute(), RunCompleted)
    assert (moving(run).sent, run.questions, run.kinds("change.")) == ([], [], [])
    assert result(run) == {"leader": "s1.global", "before": "s1.global", "changed": False}
    assert run.kinds("cluster.claimed") == []


@pytest.mark.parametrize(
    ("guards", "cluster", "to", "code"),
    [
        ("max_changes: 0", {}, "s2", "TooManyChanges"),
        ("max_changes: 1, min_voters: 3", {"dead": {3}}, "s2", "BelowMinimumVoters"),
        ("max_changes: 1", {"dead": {3}}, "s3", "TargetDead"),
        ("max_changes: 1", {"hung": {3}}, "s3", "TargetUnknown"),
        ("max_changes: 1", {"dead": {2, 3}}, "", "QuorumLost"),
        ("max_changes: 1", {}, "s9", "NoSuchServer"),
    ],
)
def test_a_no_is_told_before_anything_is_asked_for(
    guards: str, cluster: dict[str, Any], to: str, code: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, to=to, guards=guards, **cluster)
    assert code_of(run.execute()) == code
    assert (moving(run).sent, run.questions, run.kinds("change.")) == ([], [], [])
    dry = run_of(tmp_path, to=to, guards=guards, **cluster)
    assert code_of(dry.execute(dry_run=True)) == code


def test_a_tolerance_that_fell_since_the_run_began_is_a_no_where_the_playbook_says_so(tmp_path: Path) -> None:
    """As of every change (I16); where it says nothing, a server that died elsewhere forbids no transfer."""
    first = "  - id: before\n    uses: raft.snapshot\n"
    dies: dict[str, Any] = {"first": first, "to": "s2", "at_look": {2: lambda cluster: cluster.dead.add(3)}}
    run = run_of(tmp_path, guards="max_changes: 1, never_worse: true", **dies)
    assert (code_of(run.execute()), moving(run).sent) == ("NeverWorse", [])
    run = run_of(tmp_path, **dies)
    assert isinstance(run.execute(), RunCompleted)


def test_nobody_who_agrees_is_a_no(tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2")
    run.agreed = None
    assert code_of(run.execute()) == "NotApproved"
    assert (moving(run).sent, run.kinds("change.")) == ([], [])


def test_who_is_missing_in_one_look_is_looked_for_again(tmp_path: Path) -> None:
    back: Callable[[FakeCluster], None] = lambda cluster: cluster.hung.discard(2)  # noqa: E731 - as a table has it
    run = run_of(tmp_path, to="s2", hung={2}, at_look={3: back})
    assert isinstance(run.execute(), RunCompleted)
    assert moving(run).sent == ["id-2"]


@pytest.mark.parametrize("reply", ["lost", "late 4"])
def test_what_was_done_without_an_answer_or_late_is_seen(reply: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2", transfers=[reply])
    assert isinstance(run.execute(), RunCompleted)
    assert (moving(run).sent, result(run)) == (["id-2"], MOVED)


@pytest.mark.parametrize(("reply", "code"), [("dropped", "ambiguous"), ("ignored", "timeout")])
def test_what_is_not_seen_done_fails_as_not_known_and_is_asked_for_once_an_attempt(
    reply: str, code: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, to="s2", transfers=[reply] * 9)
    ending = run.execute()
    assert isinstance(ending, RunFailed)
    assert (code_of(ending), moving(run).sent) == (code, ["id-2"])
    assert "s2.global does not lead in time; s1.global does" in str(ending)
    assert run.kinds("change.")[-1] == "change.unsettled"
    assert "OUTCOME NOT KNOWN" in told(run)
    assert "`runbook resume run-1` looks whether it was done" in told(run)


def test_a_retry_begins_with_a_look_and_counts_as_one_change(tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2", more=RETRY, transfers=["dropped", "unavailable", "done"])
    assert isinstance(run.execute(), RunCompleted)
    assert (moving(run).sent, len(run.state.changes), run.state.open_changes) == (["id-2"] * 3, 1, ())
    late = run_of(tmp_path, to="s2", more=RETRY, transfers=["late 10.7"])
    assert isinstance(late.execute(), RunCompleted)
    assert (moving(late).sent, result(late)) == (["id-2"], MOVED), "it was done between the attempts"


def test_what_was_surely_not_done_is_no_open_change(tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2", transfers=["unavailable"])
    assert code_of(run.execute()) == "unavailable"
    assert run.state.open_changes == ()


def test_nothing_is_sent_that_an_old_look_allowed(tmp_path: Path) -> None:
    """A person took their time: all is looked at again. A disk that hangs under the intent: nothing leaves."""
    run = run_of(tmp_path, to="s2")
    emit = run.emit

    def slow(event: Event) -> None:
        emit(event)
        run.cluster.clock.sleep(11.0 if event.kind == "change.begun" else 0.0)

    run.emit = slow  # type: ignore[method-assign]
    assert code_of(run.execute()) == "unavailable"
    assert moving(run).sent == []


class Killed(BaseException):
    """kill -9."""


@pytest.mark.parametrize("to", ["s2", ""])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("place", ["after change.begun", "after the request"])
def test_a_run_that_died_looks_first_and_asks_nobody(to: str, done: bool, place: str, tmp_path: Path) -> None:
    """Where another leads than before it is over; else it is proven and asked for again."""
    run = run_of(tmp_path, to=to, transfers=["lost" if done else "dropped"])
    emit, transfer = run.emit, moving(run).transfer_leadership

    def dying(event: Event) -> None:
        emit(event)
        if event.kind == "change.begun" and place == "after change.begun":
            moving(run).transfers = []
            raise Killed

    def request(to: Peer | None, *, within: float = inf) -> None:
        with pytest.raises(ClusterError):
            transfer(to, within=within)
        raise Killed

    run.emit = dying  # type: ignore[method-assign]
    moving(run).transfer_leadership = request  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run.execute()
    run.emit, moving(run).transfer_leadership = emit, transfer  # type: ignore[method-assign]
    before = len(moving(run).sent)
    state = run.progress()
    run.emit(RunResumed("ann", "nomad:fake", False))
    run.questions.clear()
    assert isinstance(run.execute(state), RunCompleted)
    asked_again = not (done and place == "after the request")
    assert (len(moving(run).sent) - before, result(run)) == (int(asked_again), MOVED)
    assert not [question for question in run.questions if "its end was not seen" in question]
    assert run.state.open_changes == ()


def test_a_persons_word_given_beforehand_counts(tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2", transfers=["dropped"])
    run.execute()
    state = run.progress()
    run.emit(RunResumed("ann", "nomad:fake", False))
    run.answers = {"move": "stop"}
    assert code_of(run.execute(state)) == "Stopped"


AFTER = """\
  - id: stop
    uses: raft.check_stop
    with: { server: s1 }
  - id: back
    uses: raft.transfer_leadership
    with: { to: s1 }
  - id: there
    uses: raft.transfer_leadership
    with: { to: s1 }
"""


def test_in_a_dry_run_the_new_leader_leads_from_there_on(tmp_path: Path) -> None:
    """Every step ends as in the real run, and nothing is sent (I14)."""
    dry, real = (run_of(tmp_path, to="s2", guards="max_changes: 2", more=AFTER) for _ in range(2))
    assert isinstance(dry.execute(dry_run=True), RunCompleted)
    assert isinstance(real.execute(), RunCompleted)
    assert dry.state.outputs == real.state.outputs
    assert real.state.outputs["stop"]["leads"] is False
    assert (moving(dry).sent, moving(real).sent) == ([], ["id-2", "id-1"])
    assert dry.kinds("change.") == [
        "change.would_be_approved", "change.would_begin", "change.would_begin",
    ]  # fmt: skip


def test_whom_the_cluster_would_elect_is_not_known_to_a_dry_run(tmp_path: Path) -> None:
    dry, real = (run_of(tmp_path, name="openbao:fake") for _ in range(2))
    assert isinstance(dry.execute(dry_run=True), RunCompleted)
    end = next(record for record in dry.records if record["kind"] == "step.completed")
    assert end["label"] == "unknown"
    assert "another server would lead than s1.global" in end["message"]
    assert end["output"]["before"] == "s1.global"
    assert dry.state.foreseen is not None
    assert dry.state.foreseen["unknown"].keys() == {"move"}
    assert isinstance(real.execute(), RunCompleted)
    assert (moving(real).sent, result(real)) == ([""], MOVED)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_cluster_that_cannot_says_what_to_do_instead(dry_run: bool, tmp_path: Path) -> None:
    run = run_of(tmp_path, to="s2")
    run.cluster = FakeCluster(FakeClock(), servers=3)
    ending = run.execute(dry_run=dry_run)
    assert isinstance(ending, RunFailed)
    assert "Restart the agent of the leader, and another is elected" in str(ending)
    assert run.kinds("change.begun") == []
