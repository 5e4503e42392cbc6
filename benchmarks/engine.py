"""What the engine costs a step: record and fsync included, and whether memory stays flat over ten thousand of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.language import Line

if TYPE_CHECKING:
    from runbook.engine.services import RunServices
    from runbook.events import Emit

STEPS = 1_000
MANY = 10_000
RUNS = 5
FSYNCS = 1  # a step that reads is on disk when it is over
HEAD = "runbook: 1\nname: many\nsummary: Steps that do next to nothing.\nsteps:\n"
STEP = "  - id: s{0}\n    uses: set\n    with: {{ values: {{ number: {0} }} }}\n"


def run_once(path: str, folder: str) -> None:
    """For a process of its own: prints seconds a step, and by how many megabytes it grew while it ran."""
    from runbook.engine.execute import execute
    from runbook.engine.plan import bind_plan
    from runbook.events import Event, RunCompleted, RunStarted
    from runbook.journal.store import Journal
    from runbook.playbook.params import bind_params
    from runbook.playbook.parser import parse_playbook
    from runbook.playbook.reader import MAX_BYTES
    from runbook.run_state import RunState
    from runbook.steps.registry import CATALOG

    playbook = parse_playbook(Path(path).read_bytes()[:MAX_BYTES], path, CATALOG)
    plan = bind_plan(playbook, "bench", bind_params(playbook, {}))
    journal, state = Journal.begin(Path(folder) / "journal.jsonl"), RunState()

    def emit(event: Event) -> None:
        record = {"at": services.clock.now(), **event.record()}
        journal.append(record, durable=event.durable)
        state.apply(record)

    services = _services(Path(folder), emit)
    emit(RunStarted("bench", "many", plan.playbook.digest, "none", "bench", False, {}))
    before, begun = resident(), time.perf_counter()
    ending = execute(plan, services, state)
    seconds = time.perf_counter() - begun
    assert isinstance(ending, RunCompleted), ending
    print(seconds / len(plan.playbook.steps), resident() - before)


def resident() -> float:
    """Megabytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _services(folder: Path, emit: Emit) -> RunServices:
    from runbook.clock import SystemClock
    from runbook.engine.services import RunServices
    from runbook.steps.context import Agreement

    return RunServices(
        cluster=None,  # type: ignore[arg-type]  # no step looks at one
        clock=SystemClock(),
        emit=emit,
        folder=folder,
        random_fraction=lambda: 0.5,
        approve=lambda _sentence, _seconds: Agreement("a person", "by --yes"),
        dry_run=False,
        keep_tracebacks=True,
    )


def measured(python: str, steps: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(HEAD + "".join(STEP.format(number) for number in range(steps)), encoding="utf-8")
        command = [python, "-m", "benchmarks.engine", str(path), folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=600)
    seconds, grown = done.stdout.split()
    return float(seconds), float(grown)


def fsync_seconds() -> float:
    """What the disk itself takes for a line of a journal, made safe."""
    with tempfile.TemporaryDirectory() as folder:
        handle = os.open(Path(folder) / "line", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        begun = time.perf_counter()
        for _ in range(200):
            os.write(handle, b"x" * 300)
            os.fsync(handle)
        seconds = (time.perf_counter() - begun) / 200
        os.close(handle)
    return seconds


def lines(python: str) -> list[Line]:
    """A step against the bare disk, and ten thousand against a thousand."""
    few = [measured(python, STEPS) for _ in range(RUNS)]
    many = measured(python, MANY)
    step, disk = median(seconds for seconds, _ in few) * 1000, FSYNCS * fsync_seconds() * 1000
    return [
        Line("one step, fsync included / the bare disk", step, disk, "ms", 2, ratio=False),
        Line("a step of 10,000 / a step of 1,000", many[0] * 1000, step, "ms", 1.5, ratio=True),
        Line("... its memory, over what was loaded", many[1], max(grown for _, grown in few), "MB", 30, ratio=False),
    ]


if __name__ == "__main__":
    import sys

    run_once(*sys.argv[1:])
