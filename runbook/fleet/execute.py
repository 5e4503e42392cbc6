"""One playbook over many clusters: the canaries one by one, then batch after batch, until the first surprise."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from runbook.dataclass import dataclass
from runbook.exit_codes import FAILED, INTERRUPTED, LOCKED, NOT_STARTED, RECOVERED, REFUSED, UNREACHABLE
from runbook.fleet.one_run import Begin
from runbook.fleet.requests import INTERRUPTION, NOT_BEGUN, ClusterRunRequest, ClusterRunResult
from runbook.session.interrupts import RunInterrupts, SignalInterrupts, ThreadInterrupts

WORST_LAST = (RECOVERED, NOT_STARTED, LOCKED, REFUSED, INTERRUPTED, UNREACHABLE, FAILED)
"""What changed nothing is better than what may have been in the middle of a change."""

Runner = Callable[[ClusterRunRequest, Begin, RunInterrupts], ClusterRunResult]
"""Does one run to its end, here or elsewhere, and never raises but for a fault of the program."""


@dataclass(frozen=True)
class FleetPolicy:
    """``canary`` clusters one by one, then ``serial`` beside each other, until ``max_failures`` did not end well."""

    canary: int = 1
    serial: int = 1
    max_failures: int = 1


class FleetWatcher(Protocol):
    """Is told of everything, as it happens. Where it raises OSError no new run is begun."""

    def begun(self, clusters: Sequence[str]) -> None:
        """Before anything is done to any of these."""

    def has_record(self, cluster: str, run: str, folder: str) -> None:
        """Of the run on it, from whichever thread it is in."""

    def ended(self, result: ClusterRunResult) -> None:
        """With the run on it."""


@dataclass(frozen=True)
class FleetEnd:
    """A result for every cluster, in the order in which they were to be begun.

    ``stopped`` says why some were not begun. The exit code is the worst of all.
    """

    results: tuple[ClusterRunResult, ...]
    stopped: str
    exit_code: int


def batches_of(clusters: Sequence[str], policy: FleetPolicy) -> tuple[tuple[str, ...], ...]:
    """Which clusters are begun together, in which order."""
    canaries, others = clusters[: policy.canary], clusters[policy.canary :]
    batches = [tuple(others[at : at + policy.serial]) for at in range(0, len(others), policy.serial)]
    return (*((canary,) for canary in canaries), *batches)


def reason_to_stop(results: Sequence[ClusterRunResult], policy: FleetPolicy) -> str:
    """Why no new run is begun after these, the canaries first; empty where one may be."""
    bad = [result for result in results if not result.ended_well]
    interrupted = next((result for result in bad if result.outcome == INTERRUPTION), None)
    if interrupted is not None:
        return f"the run on {interrupted.cluster} was interrupted"
    canary = next((result for result in results[: policy.canary] if not result.ended_well), None)
    if canary is not None:
        return f"the run on {canary.cluster}, a canary, {_fate(canary)}"
    if len(bad) < policy.max_failures:
        return ""
    if len(bad) == 1:
        return f"the run on {bad[0].cluster} {_fate(bad[0])}"
    return f"{len(bad)} runs did not end well, and --max-failures is {policy.max_failures}"


def _fate(result: ClusterRunResult) -> str:
    return "failed" if result.outcome == "failed" else f"was {result.outcome}"


def execute_fleet(
    requests: Sequence[ClusterRunRequest], policy: FleetPolicy, run: Runner, watcher: FleetWatcher
) -> FleetEnd:
    """Begin no new run after a surprise or a signal, and let those that have begun end, each by its own rules.

    A batch of one is done in this thread, which must be the main one, as signals come to it: it is interrupted at once,
    in the middle of a request too.
    """
    by_name = {request.cluster: request for request in requests}
    results: list[ClusterRunResult] = []
    signals, stopped, trouble = SignalInterrupts(), "", ""
    with signals.caught():
        for batch in batches_of(list(by_name), policy):
            stopped = reason_to_stop(results, policy) or ("it was interrupted" if signals.count else "")
            trouble = trouble or ("" if stopped else _noted(partial(watcher.begun, batch)))
            if stopped or trouble:
                break
            for result in _do([by_name[name] for name in batch], run, watcher, signals):
                results.append(result)
                trouble = trouble or _noted(partial(watcher.ended, result))
    ends = {result.cluster: result for result in results}
    why = stopped or trouble
    codes = [result.exit_code for result in results]
    if len(ends) < len(by_name):
        codes.append(FAILED if trouble else INTERRUPTED if signals.count else RECOVERED)
    rest = {name: ClusterRunResult(name, NOT_BEGUN, f"not begun: {why}", 0) for name in by_name if name not in ends}
    every = tuple({**ends, **rest}[name] for name in by_name)
    return FleetEnd(every, why if rest else "", max(codes, key=WORST_LAST.index, default=RECOVERED))


def _noted(note: Callable[[], object]) -> str:
    """Why it could not be; empty where it was."""
    try:
        note()
    except OSError as error:
        return f"the record of the fleet cannot be written: {error.filename}: {error.strerror}"
    return ""


def _do(
    batch: Sequence[ClusterRunRequest], run: Runner, watcher: FleetWatcher, signals: SignalInterrupts
) -> Iterator[ClusterRunResult]:
    """Each as it ends. Raises what a runner raised when the others have ended."""
    if len(batch) == 1:
        yield run(batch[0], partial(watcher.has_record, batch[0].cluster), signals)
        return
    ends: queue.SimpleQueue[ClusterRunResult | BaseException] = queue.SimpleQueue()

    def work(request: ClusterRunRequest) -> None:
        try:
            ends.put(run(request, partial(watcher.has_record, request.cluster), ThreadInterrupts(signals)))
        except BaseException as error:
            ends.put(error)

    for request in batch:
        threading.Thread(target=work, args=(request,), name=f"run-{request.cluster}", daemon=True).start()
    faults = []
    for _ in batch:  # a signal that comes meanwhile is counted, and each run heeds it by itself
        end = ends.get()
        if isinstance(end, BaseException):
            faults.append(end)
        else:
            yield end
    if faults:
        raise faults[0]
