"""The verbs. Each imports what it needs when it is called: start-up is felt at 3 a.m."""

from __future__ import annotations

import sys

import click

from runbook import __version__


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


@main.command()
@click.argument("playbook")
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Read for real, change nothing, and say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask at the terminal before the first change.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Default: text on a terminal, else json.")
@click.option("--quiet", is_flag=True, help="Print only how it ended.")
@click.option("-v", "--verbose", is_flag=True, help="Keep tracebacks in the journal.")
def execute(
    playbook: str, params: tuple[str, ...], dry_run: bool, yes: bool, log_format: str | None, quiet: bool, verbose: bool
) -> None:
    """Run PLAYBOOK against the cluster that the environment names.

    Exit: 0 recovered or nothing to do, 1 failed, 2 not started, 3 refused as unsafe, 4 cluster unreachable, forbidden
    or without a leader, 5 another run holds the cluster, 130 interrupted.
    """
    import os

    from runbook.cli.execute import Wish, execute_playbook

    form = log_format or ("text" if sys.stderr.isatty() else "json")
    ask = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    wish = Wish(playbook, _given(params), dry_run, ask, "none" if quiet else form, verbose)
    sys.exit(execute_playbook(wish, os.environ))


def _given(params: tuple[str, ...]) -> dict[str, str]:
    for param in params:
        if "=" not in param:
            raise click.BadParameter(f"{param} has no =; write --param NAME=VALUE")
    return dict(param.split("=", 1) for param in params)


@main.command()
def runs() -> None:
    """List the runs, the newest last."""
    import os

    from runbook.cli.runs import listed
    from runbook.cli.state import state_folder

    click.echo("\n".join(listed(state_folder(os.environ))))


@main.command()
@click.argument("run")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(run: str, form: str) -> None:
    """Tell one RUN from its journal: a name, the beginning of one, or `last`."""
    import os

    from runbook.cli.runs import NoRunError, folder_of, shown
    from runbook.cli.state import state_folder

    try:
        click.echo("\n".join(shown(folder_of(state_folder(os.environ), run), form)))
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
def demo() -> None:
    """Break a practice cluster on this machine and recover it, in about twenty seconds."""
    from runbook.cli.demo import demonstrate

    sys.exit(demonstrate())


@main.command()
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds in all.")
@click.option("--format", "form", type=click.Choice(["nagios", "json"]), default="nagios", show_default=True)
@click.option("--textfile", type=click.Path(dir_okay=False), help="Write the numbers for node_exporter, atomically.")
def check(timeout: float, form: str, textfile: str | None) -> None:
    """Look at the cluster once, for cron and monitoring: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""
    from pathlib import Path

    from runbook.cli.check import check_once

    line, code = check_once(timeout, form, Path(textfile) if textfile else None)
    click.echo(line)
    sys.exit(code)


@main.command()
def diagnose() -> None:
    """Say of every server whether it is alive, dead or unknown, and on what evidence. Changes nothing."""
    from runbook.cli.check import diagnosis

    click.echo(diagnosis())


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

    PATHS are files, or folders, in which every YAML file that says it is a playbook is checked.
    """
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
