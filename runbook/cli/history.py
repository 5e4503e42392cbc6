"""The verbs that look back: which runs there were, and what each of them did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runbook.cli.options import FORMAT, parse_head

if TYPE_CHECKING:
    from datetime import datetime

OUTCOMES = ("completed", "refused", "failed", "interrupted", "unfinished", "unreadable")


def parse_since(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """A day, a moment, or a duration before now; in UTC where no time zone is said. Raises click.BadParameter."""
    if text is None:
        return None
    from datetime import datetime, timedelta, timezone

    from runbook.clock import SystemClock
    from runbook.playbook.types import parse_duration

    try:
        try:
            return datetime.fromisoformat(SystemClock().now()) - timedelta(seconds=parse_duration(text))
        except ValueError:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text} is no time; write 2026-11-20, 2026-11-20T03:00, or 7d") from None


@click.command()
@click.option("--cluster", default="", metavar="NAME", help="Those on this cluster, with or without its product.")
@click.option("--since", metavar="TIME", callback=parse_since, help="Those that began since then: 2026-11-20, or 7d.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Those that ended so.")
@click.option("--playbook", default="", metavar="NAME", help="Those of this playbook.")
@FORMAT
def runs(cluster: str, since: datetime | None, outcome: str | None, playbook: str, form: str) -> None:
    """List the runs, the newest last: how each ended, when it began, how long it took, and what came of it."""
    import os

    from runbook.cli.output import Output
    from runbook.cli.runs import format_runs
    from runbook.session.history import RunFilter
    from runbook.session.run_folders import state_folder

    wanted = RunFilter(cluster, playbook, outcome or "", since)
    lines = format_runs(state_folder(os.environ), wanted, form)
    if lines:
        Output().lines(lines, is_json=form == "json")


@click.command()
@click.argument("run")
@click.option("--follow", is_flag=True, help="Go on printing while the run is at work, for a day at most.")
@FORMAT
def show(run: str, follow: bool, form: str) -> None:
    """Tell one RUN from its journal: a name, the beginning of one, or `last`."""
    import os

    from runbook.cli.output import Output
    from runbook.cli.runs import follow_run, format_run_history
    from runbook.clock import SystemClock
    from runbook.report.summary import LABEL_WIDTH
    from runbook.session.run_folders import folder_of, state_folder

    folder, output = folder_of(state_folder(os.environ), run), Output()
    if follow:
        follow_run(folder, form, SystemClock(), output)
    else:
        output.lines(format_run_history(folder, form), indent=LABEL_WIDTH, is_json=form == "json")


@click.command()
@click.argument("run")
@click.option(
    "--head",
    metavar="HASH",
    callback=parse_head,
    help="A head that was kept elsewhere: nothing up to it may have changed since.",
)
@FORMAT
def audit(run: str, head: str | None, form: str) -> None:
    """Verify the record of a RUN: its chain of hashes, the playbook and the snapshots, and say what that proves.

    Exit: 0 nothing speaks against it, 1 it was changed or cannot be verified, 2 there is no such run.
    """
    import os
    import sys

    from runbook.cli.audit import print_audit
    from runbook.session.run_folders import folder_of, state_folder

    sys.exit(print_audit(folder_of(state_folder(os.environ), run), head, form))
