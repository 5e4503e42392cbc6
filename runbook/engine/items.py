"""The items of a ``for_each``: some at a time, each in a thread of its own, and what becomes of all together."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Generic, TypeVar

from runbook.clock import Clock
from runbook.engine.outcome import Failure, StoppedError
from runbook.engine.scope import Item, Scope, label_of_steps, name_of
from runbook.engine.services import Interrupts, RunServices
from runbook.engine.step_rounds import StepDone
from runbook.events import Emit, Event
from runbook.label import Label
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import StepSpec
from runbook.raft.diagnosis.findings import format_count
from runbook.run_state import RunState

End = StepDone | Failure
"""How one item ended."""
MOST_TOLD = 5  # items that failed, with why: more is in the record


class ItemsFailedError(StoppedError):
    """Some items have failed, and the rest was done all the same: ``done`` is what it gave."""

    def __init__(self, failure: Failure, done: StepDone) -> None:
        super().__init__(failure)
        self.done = done


def ended_before(state: RunState, place: str) -> dict[int, End]:
    """The items of which an earlier process has seen the end, by their numbers, which count from 1."""
    ends: dict[int, End] = {
        number + 1: StepDone(str(record["message"]), dict(record["output"]), str(record.get("undo", "")))
        for number, record in state.items.get(place, {}).items()
    }
    for number, record in state.failed_items.get(place, {}).items():
        ends[number + 1] = Failure("failed", place, str(record["code"]), str(record["message"]))
    return ends


def block_done(spec: StepSpec, scope: Scope) -> StepDone:
    """The results of the steps in it that have one."""
    results = {step.id: scope[step.id] for step in spec.steps if step.id in scope}
    return StepDone("", results, label=label_of_steps(scope, spec.steps))


def all_together(spec: StepSpec, place: str, items: Sequence[Item], ends: Mapping[int, End]) -> StepDone:
    """In the order of the items. Raises :class:`ItemsFailedError` where some of them have failed."""
    results: list[Any] = []
    failed: list[dict[str, Any]] = []
    done: list[StepDone] = []
    code = ""
    for item in items:
        end = ends[item[0]]
        if isinstance(end, StepDone):
            results.append(end.output)
            done.append(end)
        else:
            results.append(None)
            failed.append({"index": item[0], "item": name_of(item), "error": end.message})
            code = code or end.code
    message = "\n".join(each.message for each in done)
    if spec.steps:
        message = f"{format_count(len(items), 'round')} of {format_count(len(spec.steps), 'step')}"
    output: dict[str, Any] = {"results": results, "count": len(results)}
    if spec.continue_on_failure:  # where the end of an item is not known, neither is who has failed
        output["failed"] = UNKNOWN if _label_of(done) is Label.UNKNOWN else failed
    undo = "\n".join(each.undo for each in done if each.undo)
    whole = StepDone(message, output, undo, _label_of(done), sum(each.waits for each in done))
    if failed:
        raise ItemsFailedError(Failure("failed", place, code, _told(failed, len(items))), whole)
    return whole


def _label_of(done: Sequence[StepDone]) -> Label | None:
    """Of all together: what is not known of one item is not known of the whole."""
    labels = {each.label for each in done}
    return Label.UNKNOWN if Label.UNKNOWN in labels else labels.pop() if len(labels) == 1 else None


def _told(failed: Sequence[Mapping[str, Any]], of: int) -> str:
    told = "; ".join(f"{each['item']}: {each['error']}" for each in failed[:MOST_TOLD])
    more = f"; and {len(failed) - MOST_TOLD} more" if len(failed) > MOST_TOLD else ""
    return f"{len(failed)} of {format_count(of, 'item')} failed: {told}{more}"


T = TypeVar("T")

SLICE = 0.2  # seconds after which whoever sleeps looks whether it is to stop
ENDS_WITHIN = 60.0  # seconds that workers have to end what they do, once a signal came


class AbandonedError(BaseException):
    """The run has ended without this worker: nothing that it still does is on record. No handler may catch it."""


class OneAtATime:
    """Emits each event whole, whichever thread it is from."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._lock = threading.RLock()
        self._left_out: set[threading.Thread] = set()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if threading.current_thread() in self._left_out:
                raise AbandonedError
            self._emit(event)

    def leave_out(self, threads: Sequence[threading.Thread]) -> None:
        """Nothing that these emit from now on is on record."""
        with self._lock:
            self._left_out.update(threads)


class WorkerInterrupts:
    """A worker's signal: that the run is to stop. It takes effect once, as a signal does; handlers run after it."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._told = False

    def pending(self) -> bool:
        """Whether it came and has had no effect yet."""
        came = self._stop.is_set() and not self._told
        self._told = self._told or came
        return came

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Before what may take long: one that came before takes its effect on entry."""
        if self.pending():
            raise KeyboardInterrupt
        yield


class WorkerClock:
    """A clock that wakes a worker when it is to stop."""

    def __init__(self, clock: Clock, interrupts: Interrupts) -> None:
        self._clock = clock
        self._interrupts = interrupts

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> str:
        return self._clock.now()

    def sleep(self, seconds: float) -> None:
        """Raises KeyboardInterrupt when it is to stop."""
        while seconds > 0:
            with self._interrupts.allowed():
                self._clock.sleep(min(SLICE, seconds))
            seconds -= SLICE


def worker_services(services: RunServices, interrupts: Interrupts) -> RunServices:
    """What a worker may use: all that the run may, and a signal of its own."""
    clock = WorkerClock(services.clock, interrupts)
    return replace(services, interrupts=interrupts, clock=clock, stopped=interrupts.pending)


class Beside(Generic[T]):
    """Does items beside each other. The first that raises lets no other one begin; those that have begun go on."""

    def __init__(self, items: Sequence[Item], work: Callable[[WorkerInterrupts, Item], T]) -> None:
        self._todo = deque(items)
        self._work = work
        self._ends: dict[int, T] = {}
        self._errors: dict[int, BaseException] = {}
        self._stop = threading.Event()
        self._reports: queue.SimpleQueue[tuple[int, T | None, BaseException | None] | None] = queue.SimpleQueue()

    def run(self, workers: int, interrupts: Interrupts, emit: OneAtATime) -> dict[int, T]:
        """What each item gave, by its number. Raises what the first of them raised, or KeyboardInterrupt."""
        threads = [
            threading.Thread(target=self._do_items, name=f"beside-{number}", daemon=True)
            for number in range(min(workers, len(self._todo)))
        ]
        for thread in threads:
            thread.start()
        try:
            with interrupts.allowed():
                self._hear(len(threads))
        except KeyboardInterrupt:
            self._stop.set()
            with suppress(KeyboardInterrupt), interrupts.allowed():  # a second signal waits for nobody
                until = time.monotonic() + ENDS_WITHIN
                for thread in threads:
                    thread.join(max(0.0, until - time.monotonic()))
            emit.leave_out([thread for thread in threads if thread.is_alive()])
            raise
        stopped = [error for error in self._errors.values() if not isinstance(error, Exception)]
        if self._errors:  # a signal, or a record that is lost, is more than what failed
            raise stopped[0] if stopped else self._errors[min(self._errors)]
        return self._ends

    def _hear(self, working: int) -> None:
        while working:
            report = self._reports.get()
            if report is None:
                working -= 1
                continue
            number, end, error = report
            if error is None:
                self._ends[number] = end  # type: ignore[assignment]
                continue
            self._errors[number] = error
            if not isinstance(error, Exception):
                self._stop.set()

    def _do_items(self) -> None:
        interrupts = WorkerInterrupts(self._stop)
        while not self._stop.is_set():
            try:
                item = self._todo.popleft()
            except IndexError:
                break
            try:
                self._reports.put((item[0], self._work(interrupts, item), None))
            except BaseException as error:
                self._todo.clear()
                self._reports.put((item[0], None, error))
        self._reports.put(None)
