"""The verbs. Each imports what it needs when it is called: start-up is felt at 3 a.m."""

from __future__ import annotations

import sys
from typing import Any

import click

from runbook import __version__
from runbook.cli.command_line import CommandLine
from runbook.cli.options import (
    FORMAT,
    cluster_options,
    parse_choice,
    parse_labels,
    parse_params,
    parse_run_options,
    run_options,
)


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="runbook")
def main() -> None:
    """Outage recovery for clusters that run on Raft."""


@main.command()
@click.argument("playbook")
@run_options(
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable."),
    click.option("--params-file", type=click.Path(), metavar="FILE", help="Params as YAML or JSON; --param wins."),
    click.option("--dry-run", is_flag=True, help="Read for real, change nothing, and foretell the whole run."),
    click.option("--run-reads", is_flag=True, help="In a dry run, run commands and requests that say effect: read."),
)
def execute(playbook: str, params: tuple[str, ...], params_file: str | None, **common: Any) -> None:
    """Run PLAYBOOK, a file or the name of a shipped one, against the cluster that --cluster or the environment names.

    Exit: 0 recovered or nothing to do, 1 failed, 2 not started, 3 refused as unsafe, 4 cluster unreachable, forbidden
    or without a leader, 5 another run holds the cluster, 130 interrupted. A dry run gives that of the run it foretells.
    """
    import os

    given, (options, terminal) = parse_params(params), parse_run_options(**common)
    from runbook.cli.execute import execute_playbook
    from runbook.session.open_run import RunRequest

    sys.exit(execute_playbook(RunRequest(playbook, given, params_file, options), terminal, os.environ))


@main.command()
@click.argument("run")
@run_options(
    click.option(
        "--answer",
        "answers",
        multiple=True,
        metavar="STEP=WORD",
        help="Of a STEP whose end was not seen: done, again or stop; repeatable.",
    ),
)
def resume(run: str, answers: tuple[str, ...], **common: Any) -> None:
    """Go on with a RUN that stopped: a name, the beginning of one, or `last`, the newest that can be gone on with.

    What was finished is not done again; what was asked for and not seen is looked at first. What no look can tell is
    asked at the terminal, and refused without one unless --answer says it. Exit codes as execute's.
    """
    import os

    options, terminal = parse_run_options(answers=answers, **common)
    from runbook.cli.execute import resume_run

    sys.exit(resume_run(run, options, terminal, os.environ))


@main.command()
@click.argument("run", required=False)
@click.option("--left-out", metavar="NAME", help="A server that a recovery left out, in place of RUN.")
@click.option("--cluster", default="", metavar="NAME", help="That of --left-out, with or without its product.")
@click.option("--comment", required=True, help="What you saw or did, for the record.")
def ack(run: str | None, left_out: str | None, cluster: str, comment: str) -> None:
    """Say that you have looked at a finished RUN: the next recovery of its cluster need not wait any longer.

    Or, with --left-out NAME, that a server which a recovery left out cannot come back with its old data: `runbook
    check` watches for it no longer.
    """
    import os

    if (run is None) == (left_out is None) or (cluster and run):
        raise click.UsageError("name a RUN, or a server with --left-out NAME, which --cluster goes with")
    from runbook.cli.execute import acknowledge_run, acknowledge_server

    if left_out is not None:
        sys.exit(acknowledge_server(left_out, cluster, comment, os.environ))
    sys.exit(acknowledge_run(str(run), comment, os.environ))


@main.command()
@click.argument("run")
def stop(run: str) -> None:
    """End a RUN that is at work in another terminal, as Ctrl-C there would: its handlers are still run.

    Exit: 0 it has ended, 2 it is not at work, or cannot be stopped from here.
    """
    import os

    from runbook.cli.execute import stop_run

    sys.exit(stop_run(run, os.environ))


@main.command()
@click.argument("name", required=False)
def steps(name: str | None) -> None:
    """List the steps that a playbook can use, or tell all about the one with this NAME."""
    from runbook.cli.catalog import format_step, format_steps
    from runbook.cli.output import Output

    Output().text("\n".join([*(format_steps() if name is None else format_step(name)), ""]))


@main.command()
@click.argument("name", required=False)
def playbooks(name: str | None) -> None:
    """List the playbooks that are shipped, or print the one with this NAME. `execute` and `validate` take the name."""
    from runbook.cli.catalog import format_playbooks, playbook_text
    from runbook.cli.output import Output

    Output().text("\n".join([*format_playbooks(), ""]) if name is None else playbook_text(name))


@main.command()
def demo() -> None:
    """Break a practice cluster on this machine and recover it, in about twenty seconds."""
    from runbook.cli.lab import run_demo

    sys.exit(run_demo())


@main.command()
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds in all.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["nagios", "json"]),
    default="nagios",
    show_default=True,
    help="The line of a monitoring plugin, or one object.",
)
@click.option("--textfile", type=click.Path(dir_okay=False), help="Write the numbers for node_exporter, atomically.")
@cluster_options
@click.option("--all", "every", is_flag=True, help="Every cluster of the inventory, with a row for each, worst first.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Those that have this label; repeatable.")
@click.option(
    "--at-once",
    type=click.IntRange(1, 1000),
    default=16,
    show_default=True,
    help="How many clusters are asked together, with --all or --label.",
)
def check(
    timeout: float, form: str, textfile: str | None, every: bool, labels: tuple[str, ...], at_once: int, **which: Any
) -> None:
    """Look at the cluster once, for cron and monitoring: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

    With --all or --label the exit code is the worst of all: CRITICAL before UNKNOWN before WARNING. --timeout is then
    that of each cluster.
    """
    from pathlib import Path

    if every or labels:
        if textfile or which["cluster"] or which["kind"]:
            raise click.UsageError(
                "--all and --label are for several clusters: leave --cluster, --kind, --textfile out"
            )
        from runbook.cli.command_line import UNKNOWN
        from runbook.cli.fleet import run_fleet_check
        from runbook.cli.output import Output

        output = Output()
        lines, code = run_fleet_check(which["inventory"], parse_labels(labels), timeout, at_once, form, output.redactor)
        sys.exit(code if output.lines(lines, is_json=form == "json") else UNKNOWN)
    from runbook.cli.diagnose import run_check

    sys.exit(run_check(timeout, form, Path(textfile) if textfile else None, parse_choice(**which)))


@main.command()
@FORMAT
@cluster_options
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C or for an hour.")
def diagnose(form: str, watch: bool, **which: Any) -> None:
    """Name what is wrong, what to do next, and how each server looks. Changes nothing.

    Exit: 0 a diagnosis was made, 2 settings, 4 nobody answered or the token was refused.
    """
    import os

    from runbook.cli.diagnose import run_diagnose, watch_diagnosis
    from runbook.clock import SystemClock

    choice = parse_choice(**which)
    sys.exit(watch_diagnosis(form, os.environ, choice, SystemClock()) if watch else run_diagnose(form, choice=choice))


@main.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    help="How errors are printed; text by default.",
)
def validate(paths: tuple[str, ...], form: str) -> None:
    """Check playbooks and report every error at its place: exit 0 when all are good, else 2.

    PATHS are files, names of shipped playbooks, or folders, in which every YAML file that says it is a playbook is
    checked.
    """
    import gc

    gc.disable()  # the process ends soon, and nothing here makes a cycle
    from runbook.cli.output import Output
    from runbook.cli.validate import FORMATS, validate_paths

    result, output = validate_paths(paths), Output()
    text = FORMATS[form](result)
    if form != "text":
        output.json_text(text)
    elif result.diagnostics:
        output.note(text, indent="")
    if form == "text" and not result.errors:
        output.lines([f"{result.files} good"])
    if result.errors:
        sys.exit(2)


@main.command()
@click.option("--inventory", is_flag=True, help="That of an inventory instead.")
def schema(inventory: bool) -> None:
    """Print the JSON Schema of playbooks, with which an editor completes and checks them."""
    from runbook.cli.catalog import format_inventory_schema, format_schema
    from runbook.cli.output import Output

    Output().text(f"{format_inventory_schema() if inventory else format_schema()}\n")
