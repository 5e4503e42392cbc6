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
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Seconds in all.")
@click.option("--format", "form", type=click.Choice(["nagios", "json"]), default="nagios", show_default=True)
def check(timeout: float, form: str) -> None:
    """Look at the cluster once, for cron and monitoring: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""
    from runbook.cli.check import check_once

    line, code = check_once(timeout, form)
    click.echo(line)
    sys.exit(code)


@main.command()
def diagnose() -> None:
    """Say of every server whether it is alive, dead or unknown, and on what evidence. Changes nothing."""
    from runbook.cli.check import diagnosis

    click.echo(diagnosis())


@main.command()
@click.argument("files", nargs=-1, required=True)
def validate(files: tuple[str, ...]) -> None:
    """Check playbooks and tell every fault at its place: exit 0 when all are good, else 2."""
    from runbook.cli.validate import faults_of

    told = [fault for file in files for fault in faults_of(file)]
    for fault in told:
        click.echo(fault, err=True)
    if told:
        sys.exit(2)
    click.echo(f"{len(files)} good")
