"""``runbook plan``: what a run would do, decided beforehand and written down; and how such a file is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook.cli.options import (
    cluster_options,
    completes,
    parse_choice,
    parse_confirmed_off,
    parse_duration_option,
    parse_params,
)

if TYPE_CHECKING:
    from runbook.clock import Clock
    from runbook.session.open_run import RunRequest

SHORTEST, LONGEST = 60.0, 7 * 86400.0  # seconds until a plan expires


def _parse_expiry(context: click.Context, option: click.Parameter, text: str) -> float:
    """Raises click.BadParameter."""
    seconds = parse_duration_option(context, option, text)
    if not SHORTEST <= seconds <= LONGEST:
        raise click.BadParameter(f"{text} is not between 1m and 7d: a world that stands still so long is another one")
    return seconds


@click.command()
@click.argument("playbook", shell_complete=completes("playbook"))
@click.option(
    "--output", "-o", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Where to: plan.json."
)
@click.option(
    "--expires", default="1h", show_default=True, metavar="TIME", callback=_parse_expiry, help="From 1m to 7d."
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable.")
@click.option("--params-file", type=click.Path(), metavar="FILE", help="Params as YAML or JSON; --param wins.")
@click.option("--run-reads", is_flag=True, help="Run commands and requests that say effect: read.")
@click.option(
    "--confirmed-off",
    metavar="NAME",
    multiple=True,
    help="You have made sure that this server is off; needs --because; repeatable.",
)
@click.option("--because", metavar="TEXT", multiple=True, help="How you know it, for each --confirmed-off.")
@cluster_options
def plan(
    playbook: str,
    output: str,
    expires: float,
    params: tuple[str, ...],
    params_file: str | None,
    run_reads: bool,
    confirmed_off: tuple[str, ...],
    because: tuple[str, ...],
    **which: Any,
) -> None:
    """Decide beforehand what PLAYBOOK would do, by a dry run. It is written down for `runbook execute --plan FILE`.

    Nothing is changed. The plan holds the changes in their order, each removal with its proof, and what it was made on;
    `runbook show FILE` prints it. Exit: 0 it is written; else that of the run that is foreseen, and nothing is written.
    """
    choice, confirmed = parse_choice(**which), parse_confirmed_off(confirmed_off, because)
    from runbook.session.open_run import RunRequest
    from runbook.session.run_session import RunOptions

    options = RunOptions(choice, dry_run=True, run_reads=run_reads, confirmed_off=confirmed, planning=True)
    request = RunRequest(playbook, parse_params(params), params_file, options)
    sys.exit(make_plan(request, Path(output).absolute(), expires, os.environ))


def make_plan(
    request: RunRequest, target: Path, seconds: float, environment: Mapping[str, str], clock: Clock | None = None
) -> int:
    """Write it, print it, and give the exit code."""
    from runbook.cli.output import Output
    from runbook.cli.terminal import Person, Terminal, open_event_writer
    from runbook.clock import SystemClock
    from runbook.events import RunCompleted
    from runbook.exit_codes import RECOVERED, exit_code_of_ending
    from runbook.report.plan import format_plan
    from runbook.report.stream import is_terminal
    from runbook.report.summary import LABEL_WIDTH, format_summary
    from runbook.session.open_run import open_run, user_name
    from runbook.session.run_folders import read_run
    from runbook.session.saved_plans import PlanTerms, plan_of_run, save_plan

    output, clock = Output(), clock or SystemClock()
    form = "text" if is_terminal(sys.stderr) else "none"
    with open_run(request, environment, clock, output.redactor) as session:
        with open_event_writer(form, session, output.err) as (write, pause):
            # Whoever executes the plan is asked then, so it is as if they sat at a terminal.
            person = Person(user_name(environment), Terminal(attended=True, form=form), output, pause)
            result = session.run(person, write)
        if not isinstance(result.ending, RunCompleted):
            output.lines(format_summary(result.state, str(result.folder)), indent=LABEL_WIDTH)
            output.note("runbook: no plan was written, as this run would not come to its end")
            return exit_code_of_ending(result.ending)
        record, state = read_run(result.folder)
        rules = tuple(rule for rule in (session.approval, session.plan.playbook.approval) if rule is not None)
        inventory = str((state.started or {}).get("inventory", ""))
        terms = PlanTerms(meant_by(request.playbook), inventory, rules, seconds, clock.now())
        made = plan_of_run(state, record.events, terms)
    save_plan(target, made)
    output.lines(format_plan(made, clock.now()), indent=LABEL_WIDTH)
    sign = (
        f"runbook approve {target}, by those who must sign it; then "
        if made.approvals or "signatures" in made.asked
        else ""
    )
    output.note(f"runbook: written to {target}. Next: {sign}runbook execute --plan {target}")
    return RECOVERED


def meant_by(playbook: str) -> str:
    """The name of a shipped playbook, which may lie elsewhere on another host; the whole path of any other."""
    from runbook.shipped_playbooks import find_playbook

    return str(Path(playbook).absolute()) if find_playbook(playbook) == playbook else playbook


def show_plan(given: str, form: str) -> None:
    """Print the plan of this file. Raises NotStartedError where it is none, or not as it was made."""
    from runbook.cli.output import Output
    from runbook.clock import SystemClock
    from runbook.report.plan import format_plan
    from runbook.report.summary import LABEL_WIDTH
    from runbook.saved_plan import plan_text
    from runbook.session.saved_plans import load_plan

    output, held = Output(), load_plan(given)
    if form == "json":
        output.json_text(plan_text(held.plan).decode().rstrip())
    else:
        output.lines(format_plan(held.plan, SystemClock().now()), indent=LABEL_WIDTH)
