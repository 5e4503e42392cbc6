"""What comes with runbook: ``runbook steps``, ``playbooks`` and ``schema``."""

from __future__ import annotations

import click

from runbook.cli.options import completes
from runbook.cli.output import Output


@click.command()
@click.argument("name", required=False, shell_complete=completes("step"))
def steps(name: str | None) -> None:
    """List the steps that a playbook can use, or tell of a NAME."""
    from runbook.cli.catalog import format_step, format_steps

    Output().text("\n".join([*(format_steps() if name is None else format_step(name)), ""]))


@click.command()
@click.argument("name", required=False, shell_complete=completes("playbook"))
def playbooks(name: str | None) -> None:
    """List the playbooks that are shipped, or print one by NAME. `execute` and `validate` take the name.

    Beneath each that was rehearsed or proven on this host it says when, and whether in the text that it has now.
    """
    import os

    from runbook.cli.catalog import format_playbooks, playbook_text
    from runbook.clock import SystemClock
    from runbook.session.run_folders import state_folder

    if name is not None:
        Output().text(playbook_text(name))
        return
    Output().text("\n".join([*format_playbooks(state_folder(os.environ), SystemClock().now()), ""]))


@click.command()
@click.option("--inventory", "which", flag_value="inventory", help="That of an inventory instead.")
@click.option("--scenario", "which", flag_value="scenario", help="That of a scenario instead.")
def schema(which: str | None) -> None:
    """Print the JSON Schema of playbooks, for an editor. It completes and checks them by it."""
    from runbook.cli.catalog import SCHEMAS

    Output().text(f"{SCHEMAS[which or 'playbook']()}\n")
