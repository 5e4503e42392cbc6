"""``runbook exporter``: the numbers of a check over HTTP, for whoever scrapes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from runbook.cli.check import check_options, parse_request
from runbook.cli.options import cluster_options, parse_duration_option, parse_labels

LISTEN = "127.0.0.1:9732"
AT_ONCE = 16  # clusters that are asked together


def parse_place(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, int]:
    """A host and a port. Raises click.BadParameter."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{text}: write HOST:PORT, as {LISTEN} or [::1]:9732")
    return host.strip("[]"), int(port)


@click.command()
@click.option(
    "--listen", default=LISTEN, show_default=True, metavar="HOST:PORT", callback=parse_place, help="Where it answers."
)
@click.option(
    "--every",
    default="30s",
    show_default=True,
    metavar="DURATION",
    callback=parse_duration_option,
    help="For how long an answer is kept, however often it is asked for.",
)
@check_options
@cluster_options
@click.option("--all", "every_cluster", is_flag=True, help="Every cluster of the inventory.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Those that have this label; repeatable.")
def exporter(listen: tuple[str, int], every: float, every_cluster: bool, labels: tuple[str, ...], **more: Any) -> None:
    """Answer GET /metrics with the series of a check. On loopback unless --listen says otherwise, until it is ended.

    Nobody is asked who they are: where others than this host may listen, put a proxy before it that asks.
    """
    if every_cluster or labels:
        given = [name for name in ("cluster", "kind", "warning", "critical", "snapshot_age") if more[name]]
        if given:
            words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise click.UsageError(f"--all and --label are for several clusters: leave {words} out")
        look = _fleet_look(more["inventory"], parse_labels(labels), more["timeout"])
    else:
        look = _cluster_look(more)
    from runbook.cli.output import Output
    from runbook.errors import NotStartedError
    from runbook.inspection.exporter import CachedSeries, SeriesServer

    host, port = listen
    try:
        server = SeriesServer(host, port, CachedSeries(look, every), more["timeout"] + 20)
    except OSError as error:
        raise NotStartedError(f"{host} port {port} cannot be listened at: {error.strerror or error}") from None
    shown = f"[{host}]" if ":" in host else host
    Output().note(f"listening: http://{shown}:{server.server_address[1]}/metrics")
    with server:
        server.serve_forever()


def _cluster_look(more: dict[str, Any]) -> Callable[[], str]:
    request = parse_request(**more)
    from runbook.clock import SystemClock
    from runbook.inspection.check import check_cluster
    from runbook.redaction import Redactor
    from runbook.report.check import format_prometheus

    redactor = Redactor.of(os.environ)

    def look() -> str:
        series: str = redactor.hide(format_prometheus([check_cluster(request, os.environ, redactor, SystemClock())]))
        return series

    return look


def _fleet_look(inventory: str | None, labels: dict[str, str], timeout: float) -> Callable[[], str]:
    from runbook.cli.check_all import run_fleet_check
    from runbook.cli.output import Output
    from runbook.fleet.watch import FleetCheckRequest

    output, request = Output(), FleetCheckRequest("", labels, timeout, AT_ONCE)

    def look() -> str:
        hidden: str = output.redactor.hide(run_fleet_check(request, inventory, "text", output, draws=False)[1])
        return hidden

    return look
