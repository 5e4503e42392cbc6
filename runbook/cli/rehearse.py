"""``runbook rehearse``: a playbook on a simulated cluster in which something is broken, and what came of it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from runbook.cli.options import cluster_options, completes, parse_choice, parse_params
from runbook.dataclass import dataclass

if TYPE_CHECKING:
    from runbook.cli.output import Output
    from runbook.cluster.choice import ClusterChoice
    from runbook.session.open_run import RunRequest
    from runbook.session.rehearsal import Comparison, Rehearsed, Stage
    from runbook.session.run_session import EventWriter, RunSession
    from runbook.simulation.scenario import Scenario

AS_EXPECTED, NOT_AS_EXPECTED = 0, 1
NOT_KEPT = ("state snapshot", "next")  # a rehearsal leaves no record behind
SCENARIO_BYTES = 1 << 20
LOOK_EVERY, LOOK_FOR = 5.0, 30.0  # seconds in which a live cluster is looked at until it stands still


def _list(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from runbook.cli.output import Output

        Output().lines(format_scenarios())
        context.exit()


@click.command()
@click.argument("playbook", shell_complete=completes("playbook"))
@click.option(
    "--scenario",
    metavar="NAME",
    shell_complete=completes("scenario"),
    help="What is broken: a file, or the name of a shipped one.",
)
@click.option("--from-live", is_flag=True, help="On the servers of a live cluster, which is only looked at.")
@click.option("--kill", multiple=True, metavar="NAME", help="With --from-live: this server dies; repeatable.")
@click.option("--freeze", multiple=True, metavar="NAME", help="With --from-live: this one freezes; repeatable.")
@cluster_options
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="List the scenarios that are shipped, and do nothing else.",
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="FACTOR",
    help="Play so many times as fast as in reality, 1 for training; as fast as it goes unless given.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="How what came of it is printed: for a person, a machine, or a CI.",
)
@click.option("--quiet", is_flag=True, help="Print only what came of it.")
def rehearse(
    playbook: str,
    scenario: str | None,
    from_live: bool,
    kill: tuple[str, ...],
    freeze: tuple[str, ...],
    params: tuple[str, ...],
    speed: float | None,
    form: str,
    quiet: bool,
    **which: Any,
) -> None:
    """Run PLAYBOOK for practice, on a simulated cluster. Something is broken in it; it takes a moment of virtual time.

    Nothing is changed anywhere, and no record is left but a note of when it was. What a scenario expects is held
    against what came. With --from-live it is the cluster that --cluster or the environment names: what if these
    servers died now?

    Exit: 0 all came as expected, 1 not all of it, 2 the scenario, the playbook or a param is wrong; with --from-live
    that of the run, as execute gives it.
    """
    if (scenario is None) != from_live:
        raise click.UsageError("name either --scenario or --from-live; --list tells which scenarios there are")
    if not from_live and (kill or freeze or any(which.values())):
        raise click.UsageError("--kill, --freeze, --cluster, --inventory and --kind go with --from-live")
    given, view = parse_params(params), RehearsalView(speed, form, quiet)
    if scenario is not None:
        sys.exit(rehearse_scenario(playbook, scenario, given, view))
    sys.exit(rehearse_live(playbook, parse_choice(**which), kill, freeze, given, view))


def format_scenarios() -> list[str]:
    """A line for each scenario that is shipped: its name and its summary."""
    from runbook.shipped_playbooks import SCENARIOS, shipped_names, shipped_path

    found = {name: read_scenario(shipped_path(name, SCENARIOS)) for name in shipped_names(SCENARIOS)}
    width = max(map(len, found), default=0)
    return [f"{name:<{width}}  {scenario.summary}" for name, scenario in found.items()]


def read_scenario(path: str) -> Scenario:
    """Raises PlaybookError where it is wrong, and NotStartedError where there is none."""
    from runbook.errors import NotStartedError
    from runbook.files import read_limited
    from runbook.simulation.scenario_parser import parse_scenario

    try:
        return parse_scenario(read_limited(path, SCENARIO_BYTES), path)
    except OSError as error:
        raise NotStartedError(f"{path}: {error.strerror}") from None


@dataclass(frozen=True)
class RehearsalView:
    """How it is shown: how many times as fast as in reality, in which form what came of it, and whether only that."""

    speed: float | None
    form: str
    quiet: bool

    @property
    def tells(self) -> bool:
        """Whether a person follows it."""
        return self.form == "text" and not self.quiet


def rehearse_scenario(playbook: str, word: str, params: Mapping[str, str], view: RehearsalView) -> int:
    """Returns the exit code. ``params`` that are given win over those of the scenario."""
    from runbook.cli.output import Output
    from runbook.exit_codes import INTERRUPTED, exit_code_of_ending
    from runbook.lab.virtual.world import RehearsedWorld
    from runbook.session.open_run import RunRequest
    from runbook.session.rehearsal import compare
    from runbook.shipped_playbooks import find_scenario

    scenario, output = read_scenario(find_scenario(word)), Output()
    request = RunRequest(playbook, {**scenario.params, **params})
    if view.tells:
        for line in format_scenario(scenario):
            output.note(line, indent="")
    came = _rehearse(request, RehearsedWorld(scenario), scenario.starts_at, view, output)
    code = exit_code_of_ending(came.ending)
    rows = compare(scenario.expect, came, code)
    print_rehearsed(output, scenario.name, came, rows, view.form)
    if code == INTERRUPTED:
        return INTERRUPTED
    _note(came, well=all(row.holds for row in rows))
    return AS_EXPECTED if all(row.holds for row in rows) else NOT_AS_EXPECTED


def rehearse_live(
    playbook: str,
    choice: ClusterChoice,
    kill: Sequence[str],
    freeze: Sequence[str],
    params: Mapping[str, str],
    view: RehearsalView,
) -> int:
    """Returns the exit code. The cluster is looked at until it stands still, or for half a minute."""
    from runbook.cli.output import Output
    from runbook.clock import SystemClock, wait
    from runbook.cluster.choice import chosen_cluster
    from runbook.exit_codes import INTERRUPTED, exit_code_of_ending
    from runbook.lab.virtual.from_live import stage_of
    from runbook.raft.shadow import stands_still
    from runbook.session.open_run import RunRequest

    cluster, output = chosen_cluster(choice, os.environ, read_only=True), Output()
    output.redactor.learn_all(cluster.secrets)
    looks = [cluster.look()]

    def still() -> bool | None:
        if not stands_still(looks[-1]):
            looks.append(cluster.look())
        return stands_still(looks[-1]) or None

    wait(SystemClock(), still, every=lambda _waited, _held: LOOK_EVERY, within=LOOK_FOR)
    live = stage_of(looks[-1], kill, freeze)
    if view.tells:
        befall = [*(f"{name} dies" for name in kill), *(f"{name} freezes" for name in freeze)]
        output.note(f"rehearsal on the servers of {cluster.name}: {', '.join(befall) or 'nothing befalls them'}")
        for line in live.assumed:
            output.note(f"  assumed: {line}", indent="    ")
        output.note(f"  the playbook is started {live.starts_at:g} s later")
    came = _rehearse(RunRequest(playbook, params), live.stage, live.starts_at, view, output)
    print_rehearsed(output, cluster.name, came, (), view.form)
    code = exit_code_of_ending(came.ending)
    if code != INTERRUPTED:
        _note(came, well=code == 0)
    return code


def _rehearse(request: RunRequest, stage: Stage, starts_at: float, view: RehearsalView, output: Output) -> Rehearsed:
    from runbook.cli.terminal import open_event_writer
    from runbook.session.rehearsal import rehearse

    @contextlib.contextmanager
    def writing(session: RunSession) -> Iterator[EventWriter]:
        form = "text" if view.tells else "none"
        with open_event_writer(form, session, output.err) as (write, _pause):
            yield write

    speed = view.speed
    pace = None if speed is None else lambda seconds: time.sleep(seconds / speed)
    return rehearse(request, stage, starts_at, os.environ, output.redactor, writing, pace)


def _note(came: Rehearsed, *, well: bool) -> None:
    """For `execute` and `playbooks`, which say when a playbook was last rehearsed."""
    from runbook.clock import SystemClock
    from runbook.session.practice import Practice, note_practice
    from runbook.session.run_folders import state_folder

    started = came.state.started or {}
    practice = Practice(SystemClock().now(), str(started.get("digest", "")), well)
    note_practice(state_folder(os.environ), str(started.get("playbook", "")), "rehearsed", practice)


def format_scenario(scenario: Scenario) -> Iterator[str]:
    """What it is, and what befalls the cluster when, from the start of the playbook."""
    settings = scenario.settings
    yield f"rehearsal of {scenario.name}: {scenario.summary or 'no summary'}"
    servers = f"{settings.servers} simulated servers of Nomad {settings.release}"
    yield f"  {servers}; {settings.leader} leads; doors: {scenario.doors.value}"
    for fault in scenario.faults:
        when = fault.at - scenario.starts_at
        lasts = "" if fault.lasts is None else f", for {fault.lasts:g} s"
        side = f"{-when:g} s before the start" if when < 0 else f"{when:g} s after the start"
        yield f"  {side}: {fault.words}{lasts}"


def print_rehearsed(output: Output, name: str, came: Rehearsed, rows: tuple[Comparison, ...], form: str) -> None:
    """How it ended, and what was expected against what came."""
    seconds = _seconds(came)
    if form == "junit":
        from runbook.report.junit import format_expectations_junit

        told = [(row.what, row.expected, row.came, row.holds) for row in rows]
        output.text(format_expectations_junit(name, told, seconds))
    elif form == "json":
        data = {
            "scenario": name,
            "ending": came.ending.record(),
            "diagnoses": [finding.name for finding in came.findings],
            "removed": came.removed,
            "voters": came.voters,
            "leader": came.leader,
            "seconds": seconds,
            "expectations": [
                {"what": row.what, "expected": row.expected, "came": row.came, "holds": row.holds} for row in rows
            ],
        }
        output.json(data, indent=2)
    else:
        from runbook.report.summary import LABEL_WIDTH

        output.lines(["", *_format_summary(came), "", *_format_rows(rows)], indent=LABEL_WIDTH)


def _seconds(came: Rehearsed) -> float:
    from runbook.report.times import seconds_between

    started, ended = came.state.started, came.state.ended
    return seconds_between(str(started["at"]), str(ended["at"])) if started and ended else 0.0


def _format_summary(came: Rehearsed) -> Iterator[str]:
    from runbook.report.summary import LABEL_WIDTH, headline, summary_rows

    yield from headline(came.state).splitlines()
    yield f"{'diagnosed':<{LABEL_WIDTH}}{', '.join(finding.name for finding in came.findings)}"
    for label, text in summary_rows(came.state, "rehearsal"):
        if label not in NOT_KEPT:
            yield f"{label:<{LABEL_WIDTH}}{text}"


def _format_rows(rows: tuple[Comparison, ...]) -> Iterator[str]:
    for row in rows:
        word = "as expected" if row.holds else "NOT AS EXPECTED"
        came = row.came if row.holds else f"{row.came}, expected {row.expected}"
        yield f"{word:<17}{row.what}: {came}"
