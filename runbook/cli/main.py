"""The verbs. Each imports what it needs when it is called: start-up is felt at 3 a.m."""

from __future__ import annotations

import sys
from typing import Any

import click

from runbook.cli.command_line import CommandLine
from runbook.cli.options import (
    FORMAT,
    cluster_options,
    completes,
    parse_choice,
    parse_confirmed_off,
    parse_params,
    parse_run_options,
    print_version,
    run_options,
)


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the versions of runbook, Python and the libraries, and exit.",
)
def main() -> None:
    """Outage recovery for clusters that run on Raft."""


@main.command()
@click.argument("playbook", required=False, shell_complete=completes("playbook"))
@run_options(
    click.option("--plan", type=click.Path(), metavar="FILE", help="Do what this plan holds, and nothing else."),
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable."),
    click.option("--params-file", type=click.Path(), metavar="FILE", help="Params as YAML or JSON; --param wins."),
    click.option("--dry-run", is_flag=True, help="Read for real, change nothing, and foretell the whole run."),
    click.option("--run-reads", is_flag=True, help="In a dry run, run commands and requests that say effect: read."),
    click.option("--unattended", is_flag=True, help="Nobody watches: one removal at most, and none that is final."),
)
def execute(
    playbook: str | None, plan: str | None, params: tuple[str, ...], params_file: str | None, **common: Any
) -> None:
    """Run PLAYBOOK, a file or the name of a shipped one. The cluster is that of --cluster or the environment.

    With --plan both are the plan's, which is refused where the world, or what is given here, is not as it was then.

    Exit: 0 recovered or nothing to do, 1 failed, 2 not started, 3 refused as unsafe, 4 cluster unreachable, forbidden
    or without a leader, 5 another run holds the cluster, 130 interrupted. A dry run gives that of the run it foretells.
    """
    import os

    if playbook is None and plan is None:
        raise click.UsageError("Missing argument 'PLAYBOOK', or a plan of one with --plan FILE.")
    given, (options, terminal) = parse_params(params), parse_run_options(**common)
    from runbook.cli.execute import execute_playbook, request_of

    sys.exit(execute_playbook(request_of(playbook, plan, given, params_file, options), terminal, os.environ))


@main.command()
@click.argument("run", shell_complete=completes("run"))
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
    """Go on with a RUN that stopped. RUN is a name, its beginning, or `last`, the newest that can be gone on with.

    What was finished is not done again; what was asked for and not seen is looked at first. What no look can tell is
    asked at the terminal, and refused without one unless --answer says it. Exit codes as execute's.
    """
    import os

    options, terminal = parse_run_options(answers=answers, **common)
    from runbook.cli.execute import resume_run

    sys.exit(resume_run(run, options, terminal, os.environ))


@main.command("print")
@click.argument("playbook", required=False)
@click.option("--run", metavar="RUN", help="What is left of this run instead, from its record; `last` is the newest.")
@click.option("--live", is_flag=True, help="Look at the cluster, foresee the run, and print its exact values.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable.")
@click.option("--params-file", type=click.Path(), metavar="FILE", help="Params as YAML or JSON; --param wins.")
@click.option(
    "--confirmed-off",
    metavar="NAME",
    multiple=True,
    help="With --live: you have made sure that this server is off; needs --because; repeatable.",
)
@click.option("--because", metavar="TEXT", multiple=True, help="How you know it, for each --confirmed-off.")
@cluster_options
def print_by_hand(
    playbook: str | None,
    run: str | None,
    live: bool,
    params: tuple[str, ...],
    params_file: str | None,
    confirmed_off: tuple[str, ...],
    because: tuple[str, ...],
    **which: Any,
) -> None:
    """Print the steps of PLAYBOOK as commands to run by hand. The text is Markdown.

    Without --live nobody is asked, and what is known only live stands in angle brackets. With it nothing is changed
    either, and where the run would be refused it is said why, and no command is printed: the exit code is that of the
    run it foresees.
    """
    import os

    if (playbook is None) == (run is None) or (run is not None and (live or params or params_file)):
        raise click.UsageError("name a PLAYBOOK, with --live or without; or a run by --run RUN alone")
    choice, confirmed = parse_choice(**which), parse_confirmed_off(confirmed_off, because)
    from runbook.cli.by_hand import print_foreseen, print_playbook, print_run

    if playbook is None:
        sys.exit(print_run(str(run), os.environ))
    from runbook.session.open_run import RunRequest
    from runbook.session.run_session import RunOptions

    options = RunOptions(choice=choice, dry_run=True, confirmed_off=confirmed)
    request = RunRequest(playbook, parse_params(params), params_file, options)
    sys.exit((print_foreseen if live else print_playbook)(request, os.environ))


@main.command()
@click.argument("file", type=click.Path())
@click.option("--key", type=click.Path(), metavar="PATH", help="Your SSH key, or the public half of one in an agent.")
@click.option("--as", "name", metavar="NAME", help="Your name in the name of the signature's file; else your user's.")
@click.option("--yes", is_flag=True, help="Agree beforehand, as in a script.")
def approve(file: str, key: str | None, name: str | None, yes: bool) -> None:
    """Sign FILE, a plan, with your SSH key. Read it first; the signature is FILE.sig.NAME, beside it.

    Where the inventory or a playbook has `approve:`, a run waits for such signatures. Whose one is, its key says, and
    not its NAME. Exit: 0 signed, 2 it cannot be, 3 nobody agreed.
    """
    import os

    from runbook.cli.approve import approve_file
    from runbook.cli.terminal import Terminal
    from runbook.report.stream import is_terminal

    attended = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    sys.exit(approve_file(file, key, name, Terminal(attended, yes), os.environ))


@main.command()
def demo() -> None:
    """Break a practice cluster on this machine, and recover it. It takes about twenty seconds."""
    from runbook.cli.lab import run_demo

    sys.exit(run_demo())


@main.command()
@FORMAT
@cluster_options
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C or for an hour.")
def diagnose(form: str, watch: bool, **which: Any) -> None:
    """Name what is wrong, what to do, and how each server looks. Changes nothing.

    Exit: 0 a diagnosis was made, 2 settings, 4 nobody answered or the token was refused.
    """
    import os

    from runbook.cli.diagnose import run_diagnose, watch_diagnosis
    from runbook.clock import SystemClock

    choice = parse_choice(**which)
    sys.exit(watch_diagnosis(form, os.environ, choice, SystemClock()) if watch else run_diagnose(form, choice=choice))


@main.command()
@FORMAT
@cluster_options
def doctor(form: str, **which: Any) -> None:
    """Say what a recovery would meet tonight. It looks at this machine, the cluster from here, and its servers' hosts.

    Changes nothing. Exit: 0 nothing is in its way, 1 something is to be mended.
    """
    from runbook.cli.doctor import print_doctor

    sys.exit(print_doctor(parse_choice(**which), form))


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
    """Check playbooks, and report every error at its place. Exit: 0 when all are good, else 2.

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
