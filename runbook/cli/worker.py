"""``runbook worker``: whoever does what others order, on the clusters of its region."""

from __future__ import annotations

import sys

import click

from runbook.cli.options import INVENTORY, parse_duration_option


@click.command()
@click.option("--region", required=True, metavar="NAME", help="Whose clusters it works on, as its inventory says.")
@INVENTORY
@click.option(
    "--broker",
    metavar="URL",
    help="redis://HOST:PORT/0 or amqp://HOST//, else RUNBOOK_BROKER, which is where one with a password belongs.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 100), default=4, show_default=True, help="How many orders at once."
)
@click.option(
    "--signers",
    type=click.Path(dir_okay=False),
    envvar="RUNBOOK_SIGNERS",
    metavar="FILE",
    help="SSH allowed signers: only what one of them signed is done. Without it nothing is changed.",
)
@click.option(
    "--playbooks",
    type=click.Path(file_okay=False),
    envvar="RUNBOOK_PLAYBOOKS",
    metavar="FOLDER",
    help="Your own playbooks, by their names; else those that are shipped.",
)
@click.option(
    "--beat",
    metavar="DURATION",
    callback=lambda context, option, text: text and parse_duration_option(context, option, text),
    help="Have the region checked so often, as 60s, by one of its workers.",
)
def worker(
    region: str,
    inventory: str | None,
    broker: str | None,
    concurrency: int,
    signers: str | None,
    playbooks: str | None,
    beat: float | None,
) -> None:
    """Do the checks and runs that are ordered for a region.

    It has the inventory and the credentials of this host; orders are names. RabbitMQ needs a Redis beside it, in
    RUNBOOK_BACKEND. SIGTERM lets runs end that have begun, SIGQUIT interrupts them.
    """
    import os

    from runbook.errors import SettingsError
    from runbook.fleet.broker import broker_settings, require_celery
    from runbook.fleet.orders import is_region
    from runbook.session.run_folders import state_folder

    if not is_region(region):
        raise click.BadParameter("a region has letters, digits and . _ -, 64 at most", param_hint="--region")
    if beat is not None and beat < 10:
        raise click.BadParameter("a region is checked once in 10s at most", param_hint="--beat")
    require_celery()
    settings = broker_settings(os.environ, broker)
    from runbook.cli.output import Output
    from runbook.fleet.celery_app import worker_name
    from runbook.fleet.worker import WorkerPlace
    from runbook.fleet.worker_process import WorkerOptions, check_place, options_told, work

    place = WorkerPlace(region, worker_name(region), inventory, playbooks or "", signers or "", dict(os.environ))
    check_place(place)
    output, options = Output(), WorkerOptions(concurrency, beat or 0.0)
    settings.learn_secrets(output.redactor)
    output.note(options_told(place, settings, options))
    try:
        code = work(settings, place, options, state_folder(os.environ))
    except ValueError as error:
        raise SettingsError(f"the broker {settings.shown} cannot be used: {type(error).__name__}") from None
    sys.exit(code)
