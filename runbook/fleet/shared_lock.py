"""One run a cluster, whichever host it is on: the lock of a run in the Redis that all workers share.

It is held on every peer, as the lock of one machine is, and by name until the run has its end: also where its worker
was killed, as what it left undone is in its journal alone.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from runbook.errors import NotStartedError, RefusedError
from runbook.files import RUNS
from runbook.fleet.shared import SharedState
from runbook.raft.removal import Refusal
from runbook.session.run_folders import UNREADABLE, began_at, read_run


class SharedLock:
    """The lock of one run that an order asked for."""

    def __init__(self, shared: SharedState, order: str, worker: str, who: str) -> None:
        self._shared, self._order = shared, order
        self._holder = {"order": order, "worker": worker, "who": who, "token": secrets.token_hex(8)}
        self._keys: list[str] = []

    def begin(self, run: str, since: str) -> None:
        """Under which name it is told to others."""
        self._holder.update(run=run, since=since)

    def check_free(self, peers: frozenset[str]) -> None:
        """A question, which holds nothing. Raises RefusedError."""
        try:
            other = self._shared.lock_holder(sorted(peers), self._holder)
        except NotStartedError as error:
            raise _no_lock(error) from None
        if other is not None:
            raise RefusedError(self._locked(other))

    def acquire(self, peers: frozenset[str]) -> None:
        """Hold the cluster from now on. Raises RefusedError where another run does, or Redis does not answer."""
        keys = sorted(peers)
        held = {"order": self._order, "keys": keys, "holder": self._holder}
        try:
            self._shared.remember_held(socket.gethostname(), self._holder.get("run", ""), held)
            other = self._shared.lock(keys, self._holder)
        except NotStartedError as error:
            raise _no_lock(error) from None
        if other is not None:
            raise RefusedError(self._locked(other))
        self._keys = keys

    def check_held(self) -> None:
        """Before each change. Raises RefusedError where it is not this run's any more, or nobody can tell."""
        if not self._keys:
            return
        try:
            held = self._shared.holds(self._keys, self._holder)
        except NotStartedError as error:
            raise _no_lock(error) from None
        if not held:
            sentence = "the lock of this cluster that all workers share is not this run's any more"
            raise RefusedError(Refusal("LockLost", sentence, "Was the data of Redis lost? Look at the cluster first"))

    def release(self) -> None:
        """Whatever of it is still this run's. Where Redis does not answer, the worker does it later."""
        with contextlib.suppress(NotStartedError):
            if self._keys:
                self._shared.unlock(self._keys, self._holder)
            self._shared.forget_held(socket.gethostname(), self._holder.get("run", ""))
        self._keys = []

    def _locked(self, other: Mapping[str, str]) -> Refusal:
        run, worker = other.get("run") or "a run that is just starting", other.get("worker") or "a worker"
        stamp = other.get("since", "")
        since = f" since {stamp[:10]} {stamp[11:16]} UTC" if stamp else ""
        whose = f"{run}, by {other.get('who', 'somebody')}{since}, on worker {worker}"
        alive = True
        with contextlib.suppress(NotStartedError):
            alive = self._shared.is_alive(other.get("order", ""))
        if alive:
            return Refusal("Locked", f"another run holds this cluster: {whose}", "Wait for it, or stop it there")
        return Refusal("Locked", f"a run that holds this cluster died: {whose}", f"There: runbook resume {run}")


def _no_lock(error: NotStartedError) -> RefusedError:
    sentence = f"the lock that all workers share cannot be had: {error.sentence}"
    return RefusedError(Refusal("NoLock", sentence, "Nothing is changed without it; start Redis"))


def release_ended(shared: SharedState, state: Path) -> list[str]:
    """What runs of this host still hold that have their end by now, as by `runbook resume`; it is held no more.

    Returns their names. Raises NotStartedError where Redis does not answer.
    """
    host, released = socket.gethostname(), []
    for run, held in shared.held_on(host).items():
        if shared.is_alive(held["order"]):
            continue
        try:
            if not began_at(run) or not read_run(state / RUNS / run)[1].released:
                continue
        except UNREADABLE:
            continue
        shared.unlock(held["keys"], held["holder"])
        shared.forget_held(host, run)
        released.append(run)
    return released
