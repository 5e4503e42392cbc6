"""``runbook prove``: a playbook with every fault at every point of its run, and what did not hold."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runbook.cli.options import completes, parse_params

if TYPE_CHECKING:
    from runbook.proving.prove import Proof, Violated

HELD, VIOLATED = 0, 1
PAIRS = 200
SHOWN = 10  # violations of which the transcript is printed
LABEL = 15


@click.command()
@click.argument("playbook", shell_complete=completes("playbook"))
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable.")
@click.option(
    "--seeds",
    type=click.IntRange(0, 1_000_000),
    default=PAIRS,
    show_default=True,
    help="How many pairs of faults are drawn and played beside every single one.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="How many play at once; as many as there are cores.")
def prove(playbook: str, params: tuple[str, ...], seeds: int, jobs: int | None) -> None:
    """Play PLAYBOOK on simulated clusters with every fault. Each comes at every point of its run, which must keep the
    invariants.

    The faults: the tool is killed and the run resumed, a request or a reply is lost or late, the leader changes,
    another server dies, a dead or removed one returns, only one API is left open. Nothing real is asked or changed.

    Exit: 0 no invariant was violated, 1 one was, 2 the playbook or a param is wrong, or it cannot be played.
    """
    import time

    from runbook.cli.output import Output
    from runbook.cli.rehearse import read_scenario
    from runbook.clock import SystemClock
    from runbook.proving.prove import prove as play
    from runbook.proving.worlds import world_for
    from runbook.session.open_run import RunRequest
    from runbook.session.practice import Practice, note_practice
    from runbook.session.proof import plan_to_prove, scenarios_for
    from runbook.session.run_folders import state_folder
    from runbook.shipped_playbooks import find_scenario

    output, began = Output(), time.monotonic()
    plan = plan_to_prove(RunRequest(playbook, parse_params(params)), os.environ, output.redactor)
    scenarios = [world_for(plan, read_scenario(find_scenario(name))) for name in scenarios_for(plan)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    proof = play(plan, scenarios, pairs=seeds, jobs=jobs or cores)
    digest = plan.playbook.digest
    output.lines([f"proof of {plan.playbook.name}, text {digest[:12]}", *format_proof(proof)], indent=LABEL)
    output.note(f"took {time.monotonic() - began:.0f} s", indent="")
    practice = Practice(SystemClock().now(), digest, proof.is_complete)
    note_practice(state_folder(os.environ), plan.playbook.name, "proven", practice)
    sys.exit(VIOLATED if proof.violations else HELD)


def format_proof(proof: Proof) -> Iterator[str]:
    """What was played, what was not, and each violation with the shortest transcript that shows it."""
    pairs = f", {proof.pairs} with a pair of faults" if proof.pairs else ""
    single = f"{proof.singles} with one fault at one of {proof.points} points"
    yield _row("schedules", f"{proof.schedules} tried: {len(proof.scenarios)} without a fault, {single}{pairs}")
    for number, (name, ending) in enumerate(proof.unfaulted.items()):
        faults = "every fault but those of single reads" if number else "every fault"
        yield _row("played on", f"{name}: {faults}; without any, the run is {ending}")
    for fault, count in sorted(proof.faults.items(), key=lambda item: (-item[1], item[0])):
        yield _row("fault", f"{count:6d}  {fault}")
    for ending, count in sorted(proof.endings.items(), key=lambda item: (-item[1], item[0])):
        yield _row("ending", f"{count:6d}  {ending}")
    yield _row("never reached", ", ".join(proof.never_reached) or "no step")
    yield _row("not played", ", ".join(proof.not_played) or "no step")
    if proof.presumed:
        yield _row("presumed", f"to end well and to change nothing: {', '.join(proof.presumed)}")
    yield _row("violations", str(len(proof.violations)) if proof.violations else "none")
    for violated in proof.violations[:SHOWN]:
        yield from _format_violated(violated)
    if proof.violations:
        return
    if proof.is_complete:
        yield _row("proven", "no invariant was violated, on these clusters and with these faults")
    else:
        yield _row("not proven", "no invariant was violated in what was played, and that is not all of the playbook")


def _format_violated(violated: Violated) -> Iterator[str]:
    many = "1 schedule" if violated.schedules == 1 else f"{violated.schedules} schedules"
    yield ""
    yield f"{violated.invariant} does not hold in {many}: {violated.sentence}"
    for fault in violated.shortest.faults or ("without any fault",):
        yield f"  befalls  {fault}"
    yield from (f"  {line}" for line in violated.shortest.transcript)


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"
