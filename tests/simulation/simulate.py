"""``make simulate SEEDS=n``: many incidents on every core, what they held, and whether anything did not hold."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from runbook.hosts import process
from runbook.lab.virtual.messages import MessageFault
from runbook.proving.truth import Violation
from tests.simulation.commands import run_command
from tests.simulation.faults import ClusterFault, CommandTrial, MomentFault
from tests.simulation.incident import draw
from tests.simulation.minimum import OddMinimum
from tests.simulation.play import Result, play_in

CHUNK = 20  # seeds that one process takes at a time
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
SHOWN = 3  # transcripts of violations; the seeds of the others are named


def play_seeds(seeds: Iterable[int]) -> Iterator[Result]:
    """The results of these seeds, in this process.

    Without fsync, as nothing of them is to outlive it; and with commands that only the simulated world knows.
    """
    with ExitStack() as stack:
        stack.enter_context(patch("os.fsync", lambda _file: None))
        stack.enter_context(patch.object(process, "run_command", run_command))
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
        for number, seed in enumerate(seeds):
            own = Path(folder) / str(number)
            own.mkdir()
            yield _play_seed(seed, own)


def _play_seed(seed: int, folder: Path) -> Result:
    """A simulation that breaks has proven nothing, so that is a violation too."""
    try:
        return play_in(draw(seed), folder)
    except Exception:
        return Result(seed, (Violation("simulation", traceback.format_exc()),), Counter(), "")


def _chunk(seeds: range) -> tuple[Counter[str], list[Result]]:
    gc.freeze()  # what is loaded by now is there to stay, and need not be looked through for garbage again
    counts: Counter[str] = Counter()
    bad = []
    for result in play_seeds(seeds):
        counts += result.counts
        if result.violations:
            bad.append(result)
    return counts, bad


def main(first: int, seeds: int) -> int:
    """Exit code 1 where any invariant did not hold."""
    began = time.monotonic()
    counts: Counter[str] = Counter()
    bad: list[Result] = []
    chunks = [range(at, min(at + CHUNK, first + seeds)) for at in range(first, first + seeds, CHUNK)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=gc.freeze) as pool:  # what is loaded is not looked at again
        for some, wrong in pool.map(_chunk, chunks):
            counts += some
            bad += wrong
    _print_counts(counts, seeds, time.monotonic() - began)
    for result in bad[:SHOWN]:
        print(f"\n{format_result(result)}")
    print(f"\nviolations: {len(bad)}{' in seeds ' + ' '.join(str(each.seed) for each in bad) if bad else ''}")
    return 1 if bad else 0


def format_result(result: Result) -> str:
    """The transcript of a seed, its violations first."""
    lines = [f"seed {result.seed}: {each.invariant}: {each.sentence}" for each in result.violations[:5]]
    return "\n".join([*lines, result.text])


def _print_counts(counts: Counter[str], seeds: int, seconds: float) -> None:
    print(f"{seeds} incidents in {seconds:.0f} s: {seeds / seconds * 60:.0f} a minute")
    faults = (MessageFault, MomentFault, ClusterFault, CommandTrial, OddMinimum)
    kinds = [each.value for kind in faults for each in kind]
    others = sorted(counts.keys() - set(kinds))
    print("\nwhat the tool did and met")
    print("\n".join(f"{counts[kind]:8d}  {kind}" for kind in others))
    print("\nfaults")
    print("\n".join(f"{counts[kind]:8d}  {kind}" for kind in kinds))


if __name__ == "__main__":
    sys.exit(main(first=int(os.environ.get("FIRST", "0")), seeds=int(os.environ.get("SEEDS", "1000"))))
