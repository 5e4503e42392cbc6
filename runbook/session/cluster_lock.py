"""One run at a time changes a cluster: who has it, who died with it, and what a person sets aside by name."""

from __future__ import annotations

import contextlib
import errno
from functools import partial
from pathlib import Path
from typing import Protocol

from runbook.clock import Clock
from runbook.cluster_events import GuardOverridden, LockFreed, LockTakenOver
from runbook.dataclass import dataclass
from runbook.errors import JournalError, LockedError, RefusedError
from runbook.events import Emit
from runbook.files import RUNS
from runbook.journal.lock import UNREADABLE_NAME, Lock
from runbook.journal.store import Journal
from runbook.raft.removal import Refusal
from runbook.run_state import RunState
from runbook.session.run_folders import JOURNAL, UNREADABLE, read_run, run_folders

PEER = "peer"  # what is locked
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room"),
    **dict.fromkeys((errno.EINVAL, errno.EISDIR), "Move it away"),
}


@dataclass(frozen=True)
class Overrides:
    """What a person sets aside by name, and why. It is recorded. ``guards`` are their names."""

    take_over: bool = False
    guards: frozenset[str] = frozenset()
    reason: str = ""


class FarLock(Protocol):
    """The same lock, as far as it is shared with other hosts. Each method but ``release`` raises RefusedError."""

    def check_free(self, peers: frozenset[str]) -> None:
        """A question, which holds nothing."""

    def acquire(self, peers: frozenset[str]) -> None:
        """Hold the cluster from now on."""

    def check_held(self) -> None:
        """Before each change: whether it is held still, if it was."""

    def release(self) -> None:
        """The run has its ending."""


class ClusterLock:
    """The lock of one run on the cluster that it changes; with a ``far`` one, on all hosts that share that."""

    def __init__(
        self,
        run: str,
        state: Path,
        who: str,
        emit: Emit,
        overrides: Overrides,
        clock: Clock,
        far: FarLock | None = None,
    ) -> None:
        self._run = run
        self._state = state
        self._who = who
        self._emit = emit
        self._overrides = overrides
        self._clock = clock
        self._far = far
        self._recorded: set[str] = set()
        self._lock = Lock(state / "locks", {"run": run, "who": who, "since": clock.now()})

    def check_free(self, peers: frozenset[str]) -> None:
        """A question, which holds nothing. Raises :class:`RefusedError`, with code ``Locked``, while another run holds
        any of the peers.
        """
        holder = self._lock.find_holder(PEER, peers, may_take=partial(self._may_take, peers))
        if holder is not None:
            raise RefusedError(self._locked(holder, peers))
        if self._far is not None:
            self._far.check_free(peers)

    def acquire(self, peers: frozenset[str]) -> None:
        """Hold the cluster from now on. Raises :class:`RefusedError`, with code ``Locked``, where another run does."""
        try:
            left = self._lock.acquire(PEER, peers, may_take=partial(self._may_take, peers))
        except LockedError as error:
            raise RefusedError(self._locked(error, peers)) from None
        except OSError as error:
            sentence = f"the lock {error.filename or self._state / 'locks'} cannot be written: {error.strerror}"
            remedy = _REMEDIES.get(error.errno or 0, "Make it writable")
            raise RefusedError(
                Refusal("NoLock", sentence, f"{remedy}, or name a folder in RUNBOOK_STATE_DIR")
            ) from None
        if self._far is not None:
            try:
                self._far.acquire(peers)
            except RefusedError:
                self._lock.release()
                raise
        for run in left:
            if why := self._released(run, peers):
                self._emit(LockFreed(run, why))
            else:
                self._record_take_over(run)

    def check_held(self) -> None:
        """Before each change: what other hosts see of it may be lost. Raises RefusedError."""
        if self._far is not None:
            self._far.check_held()

    def release(self, claimed_before: frozenset[str]) -> None:
        """Everything: what an earlier process of this run claimed may be in no configuration any more."""
        if self._far is not None:
            self._far.release()
        self._lock.release()
        self._lock.remove_name(PEER, claimed_before)

    def set_aside(self, guard: str, refusal: str) -> bool:
        """Whether a person has set this guard aside by name; what it would have refused is on record once."""
        if guard not in self._overrides.guards:
            return False
        if guard not in self._recorded:
            self._recorded.add(guard)
            self._emit(GuardOverridden(guard, self._who, self._overrides.reason, refusal))
        return True

    # -- the lock

    def _locked(self, error: LockedError, peers: frozenset[str]) -> Refusal:
        holder, run = error.holder, error.holder.get("run", "a run that is just starting")
        if error.dead and run == UNREADABLE_NAME:
            return self._locked_by_nobody(peers)
        stamp = holder.get("since", "")
        since = f"{stamp[:10]} {stamp[11:16]} UTC" if stamp else "just now"
        whose = f"{run}, by {holder.get('who', 'somebody')} since {since}"
        progress = self._progress_of(run)
        at = f", at step {progress.step}" if progress and progress.step else ""
        if not error.dead:
            return Refusal(
                "Locked",
                f"another run holds this cluster: {whose}{at}",
                f"Wait for it, or end it with runbook stop {run}; runbook show {run} tells how far it is",
            )
        sentence = f"a run that holds this cluster died: {whose}{at}"
        if progress is None:
            return Refusal(
                "Locked", f"{sentence}. It has no readable record here", "Run with --take-over --reason TEXT"
            )
        return Refusal("Locked", sentence, f"runbook resume {run}; or run anew with --take-over --reason TEXT")

    def _locked_by_nobody(self, peers: frozenset[str]) -> Refusal:
        run = self._may_be_holder(peers)
        known = run is not None and self._progress_of(run) is not None
        why = f"{run} {'is not over' if known else 'cannot be read either'}: it may be its"
        next_action = f"runbook resume {run}; or run anew with" if known else "Run with"
        sentence = f"the lock of this cluster names {UNREADABLE_NAME}, and {why}"
        return Refusal("Locked", sentence, f"{next_action} --take-over --reason TEXT")

    def _may_take(self, peers: frozenset[str], run: str) -> bool:
        return self._overrides.take_over or bool(self._released(run, peers))

    def _released(self, run: str, peers: frozenset[str]) -> str:
        """Why it holds nothing; empty where it may."""
        if run == UNREADABLE_NAME:
            return "" if self._may_be_holder(peers) else "every run here that claimed this cluster is over"
        progress = self._progress_of(run)
        return progress.released if progress else ""

    def _may_be_holder(self, peers: frozenset[str]) -> str | None:
        """The newest run but this one whose name may have stood where none can be read."""
        for folder in reversed(run_folders(self._state)):
            progress = self._progress_of(folder.name)
            is_over = progress is not None and (progress.released or not progress.peers & peers)
            if folder.name != self._run and not is_over:
                return folder.name
        return None

    def _record_take_over(self, run: str) -> None:
        """In both journals, the dead run's first: a lock is never taken silently."""
        event = LockTakenOver(run, self._run, self._who, self._overrides.reason)
        with contextlib.suppress(JournalError):  # its record may be gone or broken: ours still says it
            journal, _ = Journal.reopen(self._state / RUNS / run / JOURNAL)
            with contextlib.closing(journal):
                journal.append({"at": self._clock.now(), **event.record()})
        self._emit(event)

    def _progress_of(self, run: str) -> RunState | None:
        try:
            return read_run(self._state / RUNS / run)[1]
        except UNREADABLE:
            return None


def remove_leftover_name(state: Path, run: str, peers: frozenset[str]) -> int:
    """In the lock of how many peers the name of a run that is over still stood. Raises OSError for the disk."""
    return Lock(state / "locks", {"run": run}).remove_name(PEER, peers)
