"""The verbs that look back: which runs there were, and what each of them did."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook.cli.options import FORMAT, completes, parse_duration_option, parse_head

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
    """List the runs, the newest last. Of each: how it ended, when it began, how long it took, and what came of it."""
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
@click.argument("run", shell_complete=completes("run"))
@click.option("--follow", is_flag=True, help="Go on printing while the run is at work, for a day at most.")
@FORMAT
def show(run: str, follow: bool, form: str) -> None:
    """Tell one RUN from its journal, or a plan from its file. RUN is a name, the beginning of one, or `last`."""
    import os

    from runbook.cli.output import Output

    if run.endswith(".json") or "/" in run:
        if follow:
            raise click.UsageError("--follow is for a run, and not for the file of a plan")
        from runbook.cli.plan import show_plan

        show_plan(run, form)
        return
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
@click.argument("run", shell_complete=completes("run"))
@click.option(
    "--head",
    metavar="HASH",
    callback=parse_head,
    help="A head that was kept elsewhere: nothing up to it may have changed since.",
)
@click.option(
    "--signers", type=click.Path(), metavar="FILE", help="Allowed signers, as of ssh-keygen: who may sign it."
)
@click.option("--signer", metavar="NAME", help="With --signers: the one of them who must have signed it.")
@FORMAT
def audit(run: str, head: str | None, signers: str | None, signer: str | None, form: str) -> None:
    """Verify the record of a RUN, and say what that proves. Its hashes, the playbook and the evidence are read.

    Exit: 0 nothing speaks against it, 1 it was changed or cannot be verified, 2 there is no such run.
    With --signers also: 3 its journal is not signed, 4 signed by somebody else, 5 signed, but not its last events.
    """
    import os

    if signer and not signers:
        raise click.UsageError("--signer names one of the signers: give their file with --signers FILE")
    from runbook.cli.audit import print_audit
    from runbook.session.run_folders import folder_of, state_folder

    sys.exit(print_audit(folder_of(state_folder(os.environ), run), head, form, signers or "", signer))


@click.command()
@click.argument("run", shell_complete=completes("run"))
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="Where to; RUN.tar.gz here unless given."
)
def export(run: str, output: str | None) -> None:
    """Write the record of a RUN into one file, to hand it on. With it go the digests that `sha256sum -c` checks.

    State snapshots and files that steps wrote stay behind: they may hold secrets of the cluster.
    """
    import os

    from runbook.cli.records import export_record
    from runbook.session.run_folders import folder_of, state_folder

    folder = folder_of(state_folder(os.environ), run)
    export_record(folder, Path(output or f"{folder.name}.tar.gz"))


@click.command()
@click.option(
    "--older-than", default="90d", show_default=True, metavar="AGE", callback=parse_duration_option, help="Those alone."
)
@click.option("--keep", default=20, show_default=True, type=click.IntRange(min=1), help="The newest stay, so many.")
@click.option("--yes", is_flag=True, help="Agree beforehand; without a terminal it is needed.")
def prune(older_than: float, keep: int, yes: bool) -> None:
    """Remove the records of old runs and fleets. Where nobody agrees, they are only listed. Snapshots go with them.

    The newest run stays, and each that is unfinished, cannot be read, or changed its cluster in the last 30 days and
    was not acknowledged. Exit: 0 removed, or nothing to remove; 1 some could not be; 3 nobody agreed.
    """
    import os

    from runbook.cli.records import prune_runs

    sys.exit(prune_runs(older_than, keep, yes, os.environ))


@click.command()
@click.argument("run", shell_complete=completes("run"))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Where to; otherwise report.html of the run, and the terminal for the other forms.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "junit"]),
    default="html",
    show_default=True,
    help="A page; Markdown for a chat or an issue; JUnit XML for a CI.",
)
def report(run: str, output: str | None, form: str) -> None:
    """Draw the report of a RUN anew from its journal. It is one page, without network or script, for who was not there.

    Each run writes that page at its end; one that was killed has none until then.
    """
    import os

    from runbook.cli.report import print_report
    from runbook.session.run_folders import folder_of, state_folder

    print_report(folder_of(state_folder(os.environ), run), output, form)


@click.command()
@click.argument("run", required=False, shell_complete=completes("run"))
@click.option("--left-out", metavar="NAME", help="A server that a recovery left out, in place of RUN.")
@click.option("--cluster", default="", metavar="NAME", help="That of --left-out, with or without its product.")
@click.option("--comment", required=True, help="What you saw or did, for the record.")
def ack(run: str | None, left_out: str | None, cluster: str, comment: str) -> None:
    """Say that you have looked at a finished RUN. The next recovery of its cluster need not wait any longer.

    Or, with --left-out NAME, that a server which a recovery left out cannot come back with its old data: `runbook
    check` watches for it no longer.
    """
    if (run is None) == (left_out is None) or (cluster and run):
        raise click.UsageError("name a RUN, or a server with --left-out NAME, which --cluster goes with")
    from runbook.cli.execute import acknowledge_run, acknowledge_server

    if left_out is not None:
        sys.exit(acknowledge_server(left_out, cluster, comment, os.environ))
    sys.exit(acknowledge_run(str(run), comment, os.environ))


@click.command()
@click.argument("run", shell_complete=completes("run"))
def stop(run: str) -> None:
    """End a RUN that is at work in another terminal. It is as Ctrl-C there: its handlers are still run.

    Exit: 0 it has ended, 2 it is not at work, or cannot be stopped from here.
    """
    from runbook.cli.execute import stop_run

    sys.exit(stop_run(run, os.environ))
