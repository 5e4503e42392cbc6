"""The verbs. Each imports what it needs when it is called: start-up is felt at 3 a.m."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from runbook import __version__
from runbook.cli.options import options_of, params_of, said_of_a_run

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For a person, or for a machine.",
)


class LazyGroup(click.Group):
    """Knows ``lab`` by name and loads it when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "lab"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "lab":
            return super().get_command(ctx, cmd_name)
        from runbook.cli.lab import lab

        return lab


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="runbook")
def main() -> None:
    """Outage recovery for clusters that run on Raft."""
    for stream in (sys.stdout, sys.stderr):  # a server's words may hold what this locale lacks: that ends no command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("playbook")
@said_of_a_run(
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable."),
    click.option(
        "--params-file", type=click.Path(), metavar="FILE", help="Params as YAML or JSON; --param is stronger."
    ),
    click.option("--dry-run", is_flag=True, help="Read for real, change nothing, and say what would be removed."),
)
def execute(playbook: str, params: tuple[str, ...], params_file: str | None, dry_run: bool, **said: Any) -> None:
    """Run PLAYBOOK, a file or the name of a shipped one, against the cluster that the environment names.

    Exit: 0 recovered or nothing to do, 1 failed, 2 not started, 3 refused as unsafe, 4 cluster unreachable, forbidden
    or without a leader, 5 another run holds the cluster, 130 interrupted.
    """
    import os

    given, (options, terminal) = params_of(params), options_of(dry_run=dry_run, **said)
    from runbook.cli.execute import execute_playbook
    from runbook.session.open_run import RunRequest

    sys.exit(execute_playbook(RunRequest(playbook, given, params_file, options), terminal, os.environ))


@main.command()
@click.argument("run")
@said_of_a_run(
    click.option(
        "--answer",
        "answers",
        multiple=True,
        metavar="STEP=WORD",
        help="Of a STEP whose end was not seen: done, again or stop; repeatable.",
    ),
)
def resume(run: str, answers: tuple[str, ...], **said: Any) -> None:
    """Go on with a RUN that stopped: a name, the beginning of one, or `last`, the newest that can be gone on with.

    What was finished is not done again; what was asked for and not seen is looked at first. What no look can tell is
    asked at the terminal, and refused without one unless --answer says it. Exit codes as execute's.
    """
    import os

    options, terminal = options_of(answers=answers, **said)
    from runbook.cli.execute import resume_run

    sys.exit(resume_run(run, options, terminal, os.environ))


@main.command()
@click.argument("run")
@click.option("--comment", required=True, help="What you saw, for the record.")
def ack(run: str, comment: str) -> None:
    """Say that you have looked at a finished RUN: the next recovery of its cluster need not wait any longer."""
    import os

    from runbook.cli.execute import acknowledge_run

    sys.exit(acknowledge_run(run, comment, os.environ))


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
def runs() -> None:
    """List the runs, the newest last."""
    import os

    from runbook.cli.runs import listed
    from runbook.session.state_folder import state_folder

    click.echo("\n".join(listed(state_folder(os.environ))))


@main.command()
@click.argument("run")
@FORMAT
def show(run: str, form: str) -> None:
    """Tell one RUN from its journal: a name, the beginning of one, or `last`."""
    import os

    from runbook.cli.runs import shown
    from runbook.cli.telling import fitted
    from runbook.errors import NoRunError
    from runbook.report.screen import LABEL_WIDTH
    from runbook.session.run_folders import folder_of
    from runbook.session.state_folder import state_folder

    try:
        lines = shown(folder_of(state_folder(os.environ), run), form)
        click.echo("\n".join(lines) if form == "json" else fitted(lines, sys.stdout, LABEL_WIDTH))
    except NoRunError as error:
        click.echo(f"runbook: {error}", err=True)
        sys.exit(2)


@main.command()
@click.argument("name", required=False)
def steps(name: str | None) -> None:
    """List the steps that a playbook can use, or tell all about the one with this NAME."""
    from runbook.cli.steps import listed, told

    try:
        click.echo("\n".join(listed() if name is None else told(name)))
    except KeyError as error:
        click.echo(f"runbook: {error.args[0]}", err=True)
        sys.exit(2)


@main.command()
@click.argument("name", required=False)
def playbooks(name: str | None) -> None:
    """List the playbooks that are shipped, or print the one with this NAME. `execute` and `validate` take the name."""
    from runbook.cli.playbooks import listed, text_of
    from runbook.errors import NoPlaybookError

    try:
        click.echo("\n".join(listed()) if name is None else text_of(name), nl=name is None)
    except NoPlaybookError as error:
        click.echo(f"runbook: {error}", err=True)
        sys.exit(2)


@main.command()
def demo() -> None:
    """Break a practice cluster on this machine and recover it, in about twenty seconds."""
    from runbook.cli.demo import demonstrate

    sys.exit(demonstrate())


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
def check(timeout: float, form: str, textfile: str | None) -> None:
    """Look at the cluster once, for cron and monitoring: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""
    from pathlib import Path

    from runbook.cli.check import check_once

    line, code = check_once(timeout, form, Path(textfile) if textfile else None)
    click.echo(line)
    sys.exit(code)


@main.command()
@FORMAT
def diagnose(form: str) -> None:
    """Name what is wrong, what to do next, and how each server looks. Changes nothing.

    Exit: 0 a diagnosis was made, 2 settings, 4 nobody answered or the token was refused.
    """
    from runbook.cli.diagnose import diagnose_once

    sys.exit(diagnose_once(form))


@main.command()
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    help="How faults are told; text by default.",
)
def validate(paths: tuple[str, ...], form: str) -> None:
    """Check playbooks and tell every fault at its place: exit 0 when all are good, else 2.

    PATHS are files, names of shipped playbooks, or folders, in which every YAML file that says it is a playbook is
    checked.
    """
    import gc

    gc.disable()  # the process ends soon, and nothing here makes a cycle
    from runbook.cli.validate import FORMATS, validated

    findings = validated(paths)
    told = FORMATS[form](findings)
    if form != "text":
        click.echo(told)
    elif findings.faults:
        click.echo(told, err=True)
    else:
        click.echo(f"{findings.files} good")
    if findings.faults:
        sys.exit(2)


@main.command()
def schema() -> None:
    """Print the JSON Schema of playbooks, with which an editor completes and checks them."""
    from runbook.cli.schema import printed

    click.echo(printed())
