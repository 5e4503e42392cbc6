"""What the playbook language costs: validation above start-up, its growth, and one expression.

Processor time, as the kernel counts it for the whole process; the least of several runs, as whoever else uses the
machine makes each second of it worth less.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

RUNS = 9
EVALUATIONS = 20_000
STEPS = 1_000
EXPRESSION = "params.force or len(dead.peers) > 2 and dead.peers[0].id in quorum.removals"
SCOPE: dict[str, Any] = {
    "params": {"force": False},
    "dead": {"peers": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "count": 3},
    "quorum": {"removals": ["b", "a"]},
}
HEAD = """runbook: 1
name: large
params: { peer: { type: string, default: a }, go: { type: bool, default: true } }
guards: { max_changes: 1 }
steps:
  - { id: first, uses: raft.find_dead, if: "params.go or params.peer == ''" }
"""
KINDS = (
    "  - id: s{0}\n    uses: raft.find_dead\n    with: {{ confirm_for: 30s, looks: 3 }}\n",
    "  - id: s{0}\n    uses: raft.remove_peer\n    if: params.go\n    with:\n      peer: ${{{{ params.peer }}}}\n",
    "  - id: s{0}\n    for_each: s{1}.peers\n    uses: raft.remove_peer\n    with:\n      peer: ${{{{ item.id }}}}\n"
    "    retry: {{ times: 3, wait: 1s..5s }}\n",
)


class Line(NamedTuple):
    """One line of the bench: see ``say`` there."""

    what: str
    ours: float
    theirs: float
    unit: str
    aim: float
    ratio: bool


def playbook(steps: int) -> str:
    """A playbook of so many steps: a third each with literals, with an ``if``, and with ``for_each`` and ``retry``."""
    return HEAD + "".join(KINDS[number % 3].format(number, number - 2) for number in range(steps))


def processor_seconds(command: list[str]) -> float:
    """Of the whole process, which must end well."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} ended with {process.returncode}"
    return usage.ru_utime + usage.ru_stime


def lines(runbook: str) -> Iterator[Line]:
    """Every line about the language."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = (0, STEPS, 10 * STEPS)
        costs: dict[int, list[float]] = {size: [] for size in sizes}
        for size in sizes:
            Path(folder, f"{size}.yaml").write_text(playbook(size), encoding="utf-8")
        for _ in range(RUNS):
            for size in sizes:
                costs[size].append(processor_seconds([runbook, "validate", f"{folder}/{size}.yaml"]))
    start, small, large = (min(costs[size]) for size in sizes)
    yield Line(f"validate {STEPS:,} steps, above start-up", small - start, start, "s", 0.15, False)
    yield Line(f"... {10 * STEPS:,} steps / ten times that", large - start, 10 * (small - start), "s", 1.5, True)
    yield Line("one expression / Python's own eval", *one_expression(), "us", 10, False)


def one_expression() -> tuple[float, float]:
    """Microseconds of one evaluation: ours, and Python's of an expression that means the same."""
    from runbook.playbook.expressions.evaluate import evaluate
    from tests.playbook.cases import expression  # here, as the processes that are measured load this file too

    ours = expression(EXPRESSION)
    plain = "force or len(peers) > 2 and peers[0]['id'] in removals"
    code = compile(plain, "bench", "eval")
    flat = {"force": False, "peers": SCOPE["dead"]["peers"], "removals": SCOPE["quorum"]["removals"]}
    sides: tuple[Callable[[], object], ...] = (lambda: evaluate(ours, SCOPE), lambda: eval(code, {}, flat))  # noqa: S307
    best = [float("inf"), float("inf")]
    for _ in range(RUNS):
        for side, work in enumerate(sides):
            begun = time.process_time()
            for _ in range(EVALUATIONS):
                work()
            best[side] = min(best[side], (time.process_time() - begun) / EVALUATIONS * 1e6)
    return best[0], best[1]
