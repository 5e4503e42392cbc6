"""``runbook fleet``: one playbook over many clusters of the inventory, and what became of each on one page."""

from __future__ import annotations

import sys
from typing import Any

import click

from runbook.cli.options import FORMAT, INVENTORY, completes, parse_labels, parse_params
from runbook.cli.via import parse_via, via_options


@click.group()
def fleet() -> None:
    """Run a playbook on many clusters, and see how all stand."""


@fleet.command()
@click.argument("playbook", shell_complete=completes("playbook"))
@INVENTORY
@click.option("--all", "every", is_flag=True, help="Every cluster of the inventory, in its order.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Those that have this label; repeatable.")
@click.option(
    "--canary",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="So many of the first are done one by one; none of the others is begun unless all of these end well.",
)
@click.option(
    "--serial", type=click.IntRange(1, 100), default=1, show_default=True, help="Then so many beside each other."
)
@click.option(
    "--max-failures",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Begin none any more after so many that did not end well.",
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A param of the playbook; repeatable.")
@click.option("--dry-run", is_flag=True, help="Read for real, change nothing, and foretell every run.")
@click.option("--unattended", is_flag=True, help="Nobody watches: in each run one removal at most, none that is final.")
@click.option("--yes", is_flag=True, help="Agree to all of it beforehand; without a terminal it is needed.")
@FORMAT
@via_options
def execute(playbook: str, every: bool, labels: tuple[str, ...], params: tuple[str, ...], **more: Any) -> None:
    """Run PLAYBOOK on many clusters, canaries first, and begin no more after the first surprise.

    Each run has its own journal, lock and guards, as `execute` has; nothing to do is no surprise. Ctrl-C
    interrupts the runs that are at work. The exit code is the worst of all runs, of those that `execute` gives: 1
    before 4, 130, 3, 5 and 2.
    """
    import os

    if not every and not labels:
        raise click.UsageError("which clusters? --all, or those with --label NAME=VALUE")
    via = parse_via(more.pop("via"), more.pop("broker"), more.pop("signing_key"))
    from runbook.cli.fleet_execute import FleetOrder, run_fleet

    order = FleetOrder(playbook, parse_params(params), parse_labels(labels), via=via, **more)
    sys.exit(run_fleet(order, os.environ))


@fleet.command()
@click.argument("fleet", metavar="[FLEET]", default="last")
@click.option(
    "--from", "checked", type=click.Path(), metavar="FILE", help="Draw what `check --all --format json` printed."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Where the page is written.")
def report(fleet: str, checked: str | None, output: str | None) -> None:
    """Write one page with a tile for each cluster, worst first, from which the report of each run is one click away.

    FLEET is the name of one that `fleet execute` began, the beginning of one, or `last`, the newest. Its page is
    written beside its record where no file is named.
    """
    import os

    if checked and not output:
        raise click.UsageError("--from FILE needs -o FILE: where the page is written")
    from runbook.cli.fleet_report import write_fleet_page

    write_fleet_page(fleet, checked, output, os.environ)
