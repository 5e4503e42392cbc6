"""``raft.restore_snapshot``: what is proven and asked before anything is sent, and a lost answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import IO, Any

import pytest

from runbook.changes import ChangeBegun, ChangeUnsettled
from runbook.cluster_events import Looked
from runbook.errors import ClusterError, ErrorKind, RefusedError, StepError
from runbook.events import Event, RunStarted, StepCompleted, StepStarted
from runbook.raft.model import ClusterView
from runbook.run_state import RunState
from runbook.steps.base import StepResult
from runbook.steps.context import StepContext
from tests.cluster.test_snapshot_file import META, archive
from tests.raft.worlds import Kind, view_of
from tests.steps.world import NoCluster, World

DEAD = Kind(sight="refused", gossip="failed")
COPY = b"the state of the present"


@dataclass
class Cluster(NoCluster):
    """Its log ends at 50, and at 51 once something was restored."""

    name: str = "consul:x"
    kinds: list[Kind] = field(default_factory=lambda: [Kind()] * 3)
    fault: ClusterError | None = None
    does_it: bool = True
    got: list[bytes] = field(default_factory=list)

    def look(self, *, within: float = inf) -> ClusterView:
        view = view_of(self.kinds)
        end = 51 if self.got and self.does_it else 50
        return replace(view, vantages=tuple(replace(v, last_log_index=end) for v in view.vantages))

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        state.seek(0)
        self.got.append(state.read())
        if self.fault:
            raise self.fault


@dataclass
class Desk:
    """A run with a verified copy of the present, and a person who types what the test says."""

    folder: Path
    cluster: Cluster
    typed: str | None = "consul:x"
    dry_run: bool = False
    asked: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    state: RunState = field(default_factory=RunState)

    def __post_init__(self) -> None:
        self.emit(RunStarted("r", "restore", "", "consul:x", "ann", self.dry_run, {}))

    def emit(self, event: Event) -> None:
        self.state.apply({"at": "", **event.record()}, view=event.view if isinstance(event, Looked) else None)

    def keep_copy(self, **more: Any) -> Path:
        path = self.folder / "state.snap"
        path.write_bytes(COPY)
        output = {"state_kept": True, "state_path": str(path), "state_sha256": hashlib.sha256(COPY).hexdigest(), **more}
        self.emit(StepStarted("before", "raft.snapshot", "read"))
        self.emit(StepCompleted("before", "", output, ""))
        self.emit(StepStarted("it", "raft.restore_snapshot", "change"))
        return path

    def change(
        self, context: StepContext, key: tuple[str, int | None], uses: str, act: Callable[[], StepResult]
    ) -> StepResult:
        self.begun.append(uses)
        self.emit(ChangeBegun(*key, uses))
        return act()

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        self.asked.append(question)
        return self.typed if self.typed in answers else None

    def restore(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
        path = self.folder / "old.snap"
        path.write_bytes(archive())
        world = World(self.folder, cluster=self.cluster)
        context = world.context(
            emit=self.emit, state=self.state, choose=self.choose, change=self.change, dry_run=self.dry_run
        )
        return world.run("raft.restore_snapshot", context, path=str(path), **arguments)


def test_it_is_sent_once_the_name_is_typed_and_seen_to_be_there(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Cluster())
    desk.keep_copy()
    message, output = desk.restore(sha256=hashlib.sha256(archive()).hexdigest())
    assert desk.cluster.got == [archive()]
    (question,) = desk.asked
    assert "Everything written since 2026-11-26T02:30:00+00:00 is lost, on all servers. Type consul:x:" in question
    assert (output["index"], output["index_before"], output["index_after"]) == (META["Index"], 50, 51)
    assert "the log ended at index 50, and ends at 51 now" in message


def kept(desk: Desk) -> None:
    desk.keep_copy()


def none_kept(desk: Desk) -> None:
    desk.keep_copy(state_kept=False)


def of_an_earlier_process(desk: Desk) -> None:
    desk.keep_copy()
    desk.state.resumed = 1


def away(desk: Desk) -> None:
    desk.keep_copy()
    desk.cluster.kinds = [Kind()] * 4 + [DEAD]


REFUSED: dict[str, tuple[Callable[[Desk], None], str, str | None, str]] = {
    "no copy": (lambda _desk: None, "consul:x", "consul:x", "NoCopy"),
    "none was kept": (none_kept, "consul:x", "consul:x", "NoCopy"),
    "a copy of an earlier process": (of_an_earlier_process, "consul:x", "consul:x", "NoCopy"),
    "nobody is there": (kept, "consul:x", None, "NotAgreed"),
    "another word": (kept, "consul:x", "y", "NotAgreed"),
    "a voter is away": (away, "consul:x", "consul:x", "VotersMissing"),
    "etcd": (kept, "etcd:x", "etcd:x", "NotOnline"),
}


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_before_an_intent_is_on_record(tmp_path: Path, case: str, dry_run: bool) -> None:
    """As a refusal changes nothing, no cool-down follows it."""
    prepare, name, typed, code = REFUSED[case]
    desk = Desk(tmp_path, Cluster(name=name), typed, dry_run)
    prepare(desk)
    with pytest.raises(RefusedError) as caught:
        desk.restore()
    assert (caught.value.reason.code, desk.begun, desk.cluster.got) == (code, [], [])


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"x"), Path.unlink], ids=["changed", "gone"])
def test_a_copy_that_is_not_what_was_kept_is_none(tmp_path: Path, change: Callable[[Path], object]) -> None:
    desk = Desk(tmp_path, Cluster())
    change(desk.keep_copy())
    with pytest.raises(RefusedError, match="no verified state snapshot of the present"):
        desk.restore()
    assert desk.cluster.got == []


def test_a_dry_run_asks_and_sends_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Cluster(), dry_run=True)
    desk.keep_copy()
    message, output = desk.restore()
    assert "would ask: " in message
    assert (output["index"], desk.cluster.got, desk.begun) == (40, [], ["raft.restore_snapshot"])


@pytest.mark.parametrize("does_it", [True, False])
def test_a_lost_answer_is_looked_at_and_never_sent_again(tmp_path: Path, does_it: bool) -> None:
    """No look tells whether it was done, so the next attempt of this run is refused."""
    fault = ClusterError(ErrorKind.AMBIGUOUS, "no whole answer")
    desk = Desk(tmp_path, Cluster(fault=fault, does_it=does_it))
    desk.keep_copy()
    with pytest.raises(ClusterError, match="all servers agree, and the log ends at 5. after 50") as got:
        desk.restore()
    assert got.value.kind is ErrorKind.AMBIGUOUS
    desk.emit(ChangeUnsettled("it", None, "no whole answer"))
    with pytest.raises(RefusedError, match="no look tells whether it was done"):
        desk.restore()
    assert len(desk.cluster.got) == 1


def test_what_surely_was_not_done_is_told_as_it_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Cluster(fault=ClusterError(ErrorKind.FORBIDDEN, "Permission denied")))
    desk.keep_copy()
    with pytest.raises(ClusterError, match="Permission denied") as caught:
        desk.restore()
    assert caught.value.kind is ErrorKind.FORBIDDEN


def test_servers_that_do_not_take_it_over_are_no_success(tmp_path: Path) -> None:
    """The answer was yes, so it is not asked about, and it is not called lost."""
    desk = Desk(tmp_path, Cluster(does_it=False))
    desk.keep_copy()
    with pytest.raises(StepError, match="the servers do not agree after 180 s") as caught:
        desk.restore()
    assert not caught.value.unsettled


def test_without_the_capability_it_is_a_fault_that_names_the_way(tmp_path: Path) -> None:
    """A cluster of a product that is not known to be offline."""

    class Plain(NoCluster):
        name = "consul:x"

        def look(self, *, within: float = inf) -> ClusterView:
            return view_of([Kind()] * 3)

    desk = Desk(tmp_path, Plain())  # type: ignore[arg-type]
    desk.keep_copy()
    with pytest.raises(StepError, match="etcdutl snapshot restore"):
        desk.restore()
