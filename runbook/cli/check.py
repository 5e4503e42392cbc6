"""``runbook check``: one look at a cluster, or at a whole fleet, for cron and monitoring."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook.cli.command_line import UNKNOWN
from runbook.cli.options import cluster_options, parse_choice, parse_duration_option, parse_labels, parse_thresholds
from runbook.cli.via import parse_via, refuse_via, via_options

if TYPE_CHECKING:
    from runbook.inspection.check import CheckRequest

FORMATS = ("nagios", "text", "json", "prometheus")


def check_options(function: Any) -> Any:
    """What a check is held against, the same for one that is asked for again and again."""
    options = (
        click.option(
            "--timeout", type=click.FloatRange(min=0.1), default=9.0, show_default=True, help="Seconds in all."
        ),
        click.option(
            "--warning",
            multiple=True,
            metavar="NAME=RANGE",
            help="Warn where this number is outside of a monitoring plugin's range; repeatable.",
        ),
        click.option("--critical", multiple=True, metavar="NAME=RANGE", help="Likewise critical; repeatable."),
        click.option(
            "--snapshot-age",
            metavar="DURATION",
            callback=lambda context, option, text: text and parse_duration_option(context, option, text),
            help="Warn where the newest *.snap of --snapshots is older, as 26h.",
        ),
        click.option(
            "--snapshots",
            type=click.Path(file_okay=False),
            default="/var/backups/raft",
            show_default=True,
            help="Where take-snapshot keeps them.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@check_options
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="nagios",
    show_default=True,
    help="The line of a monitoring plugin, some lines for a person, one object, or series.",
)
@click.option("--textfile", type=click.Path(dir_okay=False), help="Write the series for node_exporter, atomically.")
@click.option(
    "--ping",
    metavar="URL",
    envvar="RUNBOOK_PING",
    default="",
    help="A dead man's switch that is told of the beginning and the end, as healthchecks.io reads it.",
)
@click.option(
    "--notify",
    metavar="URL",
    envvar="RUNBOOK_NOTIFY",
    default="",
    help="POST one JSON object there when the state changes, and again when it is well.",
)
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
@via_options
def check(every: bool, labels: tuple[str, ...], at_once: int, form: str, textfile: str | None, **more: Any) -> None:
    """Look at the cluster once, for cron and monitoring. Exit: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

    With --all or --label the exit code is the worst of all: CRITICAL before UNKNOWN before WARNING. --timeout is then
    that of each cluster, --ping is told of the whole, and --notify of each that changed.
    """
    path = Path(textfile) if textfile else None
    if every or labels:
        given = [name for name in ("cluster", "kind", "snapshot_age") if more[name]]
        if given or form == "text":
            words = ", ".join(f"--{name.replace('_', '-')}" for name in given) or "--format text"
            raise click.UsageError(f"--all and --label are for several clusters: leave {words} out")
        sys.exit(_check_fleet(parse_labels(labels), at_once, form, path, **more))
    refuse_via(more.pop("via"), more.pop("broker"), more.pop("signing_key"))
    sys.exit(run_check(parse_request(**more), form, path))


def parse_request(
    timeout: float,
    warning: tuple[str, ...],
    critical: tuple[str, ...],
    snapshot_age: float | None,
    snapshots: str,
    ping: str = "",
    notify: str = "",
    **which: Any,
) -> CheckRequest:
    """From what was typed. Raises click.UsageError."""
    thresholds = parse_thresholds(warning, critical)
    _check_urls(ping, notify)
    choice = parse_choice(**which)
    from runbook.inspection.check import CheckRequest
    from runbook.inspection.check_look import SnapshotRule

    rule = SnapshotRule(snapshot_age, Path(snapshots)) if snapshot_age else None
    return CheckRequest(choice, timeout, thresholds, rule, ping, notify)


def _check_urls(ping: str, notify: str) -> None:
    """Raises click.UsageError, and not first when there is something to tell. A URL may be a secret: none is shown."""
    from runbook.cluster.access import split_address

    for name, url in (("--ping", ping), ("--notify", notify)):
        if url and not url.startswith(("https://", "http://")):
            raise click.UsageError(f"{name} takes a URL that begins with https:// or http://")
        whole = url.isprintable() and " " not in url
        if url and (not whole or split_address(url.partition("#")[0].partition("?")[0]) is None):
            raise click.UsageError(
                f"{name} takes a URL such as https://host:port/path, with no user, space or line break"
            )


def run_check(request: CheckRequest, form: str, textfile: Path | None = None) -> int:
    """Print the result, and give the exit code of a monitoring plugin: 3 also where nobody can read it.

    Never raises, never longer than its time-out.
    """
    from runbook.cli.output import Output
    from runbook.clock import SystemClock
    from runbook.inspection.check import check_cluster
    from runbook.report.check import check_record, format_for_person, format_nagios, format_prometheus

    output = Output()
    result = check_cluster(request, os.environ, output.redactor, SystemClock())
    if textfile is not None and (failure := write_textfile(textfile, format_prometheus([result]))):
        output.lines([failure])
        return UNKNOWN
    if form == "json":
        was_read = output.json(check_record(result))
    elif form == "prometheus":
        was_read = output.text(format_prometheus([result]))
    else:
        was_read = output.lines(format_for_person(result) if form == "text" else [format_nagios(result)])
    return result.level if was_read else UNKNOWN


def write_textfile(path: Path, series: str) -> str:
    """For node_exporter's textfile collector: whole or not at all, and readable by the collector's own user.

    Returns the line of a monitoring plugin where it cannot be written: the old numbers stay, and look like new ones.
    """
    from runbook.files import replace_file

    try:
        replace_file(path, series.encode(), mode=0o644)
    except OSError as failure:
        return f"RAFT UNKNOWN - {path}: {failure.strerror}"
    return ""


def _check_fleet(
    labels: Mapping[str, str], at_once: int, form: str, textfile: Path | None, inventory: str | None, **more: Any
) -> int:
    thresholds = parse_thresholds(more["warning"], more["critical"])
    _check_urls(more["ping"], more["notify"])
    via = parse_via(more["via"], more["broker"], more["signing_key"], more["timeout"])
    from runbook.cli.check_all import run_fleet_check
    from runbook.cli.output import Output
    from runbook.fleet.watch import FleetCheckRequest

    output = Output()
    request = FleetCheckRequest("", labels, more["timeout"], at_once, thresholds, more["ping"], more["notify"])
    lines, series, code = run_fleet_check(request, inventory, form, output, via=via)
    if textfile is not None and (failure := write_textfile(textfile, series)):
        lines, code, form = [failure], UNKNOWN, "nagios"
    was_read = output.text(series) if form == "prometheus" else output.lines(lines, is_json=form == "json")
    return code if was_read else UNKNOWN
