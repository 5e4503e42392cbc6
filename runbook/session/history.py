"""The runs that there were, each in a few words, and which of them somebody asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from runbook.dataclass import dataclass
from runbook.report.times import seconds_between, utc
from runbook.run_state import RunState
from runbook.session.interrupts import is_at_work
from runbook.session.run_folders import UNREADABLE, began_at, read_run, run_folders, why_unreadable

UNFINISHED = "it is unfinished: it is at work, or can be resumed"


@dataclass(frozen=True)
class PastRun:
    """One run of a state folder, and what came of it (``result``).

    ``outcome`` is completed, refused, failed, interrupted, unreadable (``trouble`` says why), or unfinished, which is
    no fault of one that is ``at_work``. ``pending`` says what somebody has yet to do with it; ``unacknowledged`` that
    it changed something, and nobody has said that they have seen it.
    """

    folder: Path
    outcome: str
    began: str = ""
    seconds: float | None = None
    cluster: str = ""
    playbook: str = ""
    who: str = ""
    dry_run: bool = False
    removed: tuple[str, ...] = ()
    result: str = ""
    at_work: bool = False
    pending: str = ""
    unacknowledged: bool = False
    trouble: str = ""

    @property
    def name(self) -> str:
        return self.folder.name


@dataclass(frozen=True)
class RunFilter:
    """Which runs are asked for: those that fit in everything that is given."""

    cluster: str = ""
    playbook: str = ""
    outcome: str = ""
    since: datetime | None = None

    def fits(self, run: PastRun) -> bool:
        """``since`` is of the run's beginning; a cluster may be named without its product."""
        if self.since is not None and run.began and utc(run.began) < self.since:
            return False
        if self.cluster and self.cluster not in (run.cluster, run.cluster.partition(":")[2]):
            return False
        return self.playbook in ("", run.playbook) and self.outcome in ("", run.outcome)


def past_runs(state_folder: Path, wanted: RunFilter) -> Iterator[PastRun]:
    """The newest last. The name of a run tells when it began, so the record of one that is too old is not read."""
    for folder in run_folders(state_folder):
        began = began_at(folder.name)
        if wanted.since is not None and began is not None and began < wanted.since.replace(microsecond=0):
            continue
        run = past_run(folder)
        if wanted.fits(run):
            yield run


def past_run(folder: Path) -> PastRun:
    """What its record tells."""
    try:
        _, state = read_run(folder)
    except UNREADABLE as error:
        return PastRun(folder, "unreadable", trouble=why_unreadable(error))
    started, ended = state.started, state.ended
    if started is None:
        return PastRun(folder, "unfinished", at_work=is_at_work(folder), pending=UNFINISHED)
    began = str(started["at"])
    return PastRun(
        folder,
        "unfinished" if ended is None else state.state,
        began=began,
        seconds=None if ended is None else seconds_between(began, str(ended["at"])),
        cluster=str(started["cluster"]),
        playbook=str(started["playbook"]),
        who=str(started["who"]),
        dry_run=state.dry_run,
        removed=tuple(removal.name for removal in state.removals if removal.state in ("gone", "foretold")),
        result=_result(state),
        at_work=ended is None and is_at_work(folder),
        pending=_pending(state),
        unacknowledged=state.has_changed and not state.acknowledged,
    )


def _pending(state: RunState) -> str:
    if state.ended is None:
        return UNFINISHED
    if state.open_changes or any(removal.may_yet_be_done for removal in state.removals):
        return "nobody has seen the end of a change that it began"
    return "it was interrupted, and can be resumed" if state.state == "interrupted" and not state.dry_run else ""


def _result(state: RunState) -> str:
    """The code of a refusal, the kind of a failure, or the words of a good end."""
    ended = state.ended or {}
    with contextlib.suppress(KeyError):
        return str(ended[{"refused": "code", "failed": "error_kind", "completed": "message"}[state.state]])
    return ""
