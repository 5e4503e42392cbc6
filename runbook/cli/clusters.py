"""``runbook clusters``: the inventory listed, shown, checked, and begun from a living cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook.cli.options import FORMAT, INVENTORY, KIND
from runbook.cli.output import Output

if TYPE_CHECKING:
    from runbook.cluster.inventory.model import Inventory


@click.group(invoke_without_command=True)
@INVENTORY
@FORMAT
@click.pass_context
def clusters(context: click.Context, inventory: str | None, form: str) -> None:
    """List the clusters of the inventory.

    It is the file of --inventory or RUNBOOK_INVENTORY, else /etc/runbook/clusters.yaml, else
    ~/.config/runbook/clusters.yaml.
    """
    if context.invoked_subcommand is not None:
        if inventory or form != "text":
            raise click.UsageError(f"Write the options behind the word {context.invoked_subcommand}")
        return
    from runbook.cluster.inventory.summary import cluster_record, format_list

    found = _read(inventory)
    if form == "json":
        _print_json({"inventory": found.path, "clusters": [cluster_record(each) for each in found.clusters]})
    else:
        Output().lines(format_list(found))


@clusters.command()
@click.argument("name")
@INVENTORY
@FORMAT
def show(name: str, inventory: str | None, form: str) -> None:
    """Tell all that the inventory says of the cluster of this NAME. No secret is fetched."""
    from runbook.cluster.inventory.locate import find_cluster
    from runbook.cluster.inventory.summary import cluster_record, format_cluster

    cluster = find_cluster(_read(inventory), name)
    if form == "json":
        _print_json(cluster_record(cluster))
    else:
        Output().lines(format_cluster(cluster))


@clusters.command()
@INVENTORY
def check(inventory: str | None) -> None:
    """Report every fault of the inventory at its place, and what is still to be filled in; no cluster is asked.

    Exit: 0 it can be used, 2 it has faults or cannot be read.
    """
    from runbook.cluster.inventory.summary import left_to_fill

    found = _read(inventory)
    Output().lines([f"{found.path}: {len(found.clusters)} good"])
    for cluster in found.clusters:
        for sentence in left_to_fill(cluster):
            Output().lines([f"{cluster.name}: {sentence}"])


@clusters.command()
@KIND
@click.option("--name", help="What the cluster will be called; its kind unless given.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="A new file, instead of stdout.")
def init(kind: str | None, name: str | None, output: str | None) -> None:
    """Print an inventory with the cluster that the environment names, as that tells it of itself.

    What a person must find out by day stands in it as comments. Nothing is changed, and no secret is written.
    """
    from runbook.cluster.choice import ClusterChoice, chosen_cluster
    from runbook.cluster.inventory.draft import draft_inventory
    from runbook.cluster.inventory.keys import NAME
    from runbook.errors import ClusterError, ErrorKind, NotStartedError
    from runbook.files import replace_file

    if name is not None and not NAME.fullmatch(name):
        raise click.BadParameter("a name has letters, digits and . _ -, 64 at most, a letter or digit first")
    if output is not None and os.path.lexists(output):
        raise NotStartedError(f"{output} is there already", "Give the name of a new file, and merge the two by hand")
    cluster = chosen_cluster(ClusterChoice(kind=kind), os.environ, read_only=True)
    view, product = cluster.look(), cluster.name.partition(":")[0]
    if view.best_configuration is None:
        raise ClusterError(ErrorKind(view.error_kind), view.error_text or "no server answered")
    text = draft_inventory(view, product, name or product, os.environ)
    if output is None:
        Output().text(text)
        return
    replace_file(Path(output), text.encode(), mode=0o600)
    Output().note(f"{output} is written: fill in what its comments ask for, then `runbook clusters check`")


def _read(given: str | None) -> Inventory:
    from runbook.cluster.inventory.locate import find_inventory, read_inventory

    return read_inventory(find_inventory(given, os.environ))


def _print_json(data: object) -> None:
    Output().json(data, indent=2)
