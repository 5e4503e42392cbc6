"""What is around every verb: how its errors are told, and with which code the process ends, whatever its streams do."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

LAZY = {  # verbs and groups of them, each by the module that has it
    **{
        name: name
        for name in (
            "check",
            "clusters",
            "completion",
            "docs",
            "exporter",
            "fleet",
            "lab",
            "plan",
            "prove",
            "recover",
            "rehearse",
            "worker",
        )
    },
    "install-timer": "install_timer",
    **dict.fromkeys(("steps", "playbooks", "schema"), "shipped"),
    **dict.fromkeys(("runs", "show", "audit", "report", "export", "prune", "ack", "stop"), "history"),
}
SUMMARIES = {  # of the lazy verbs, so that the help of all loads none of them
    "ack": "Say that you have looked at a finished RUN.",
    "audit": "Verify the record of a RUN, and say what that proves.",
    "check": "Look at the cluster once, for cron and monitoring.",
    "clusters": "List the clusters of the inventory.",
    "completion": "Print the script that completes words in a SHELL.",
    "docs": "List the pages of the documentation, or print a PAGE.",
    "export": "Write the record of a RUN into one file, to hand it on.",
    "exporter": "Answer GET /metrics with the series of a check.",
    "fleet": "Run a playbook on many clusters, and see how all stand.",
    "install-timer": "Print what starts WORDS by the clock, for systemd or cron.",
    "lab": "A cluster on this machine to break and to recover.",
    "plan": "Decide beforehand what PLAYBOOK would do, by a dry run.",
    "playbooks": "List the playbooks that are shipped, or print one by NAME.",
    "prove": "Play PLAYBOOK on simulated clusters with every fault.",
    "prune": "Remove the records of old runs and fleets.",
    "recover": "When quorum is lost for good.",
    "rehearse": "Run PLAYBOOK for practice, on a simulated cluster.",
    "report": "Draw the report of a RUN anew from its journal.",
    "runs": "List the runs, the newest last.",
    "schema": "Print the JSON Schema of playbooks, for an editor.",
    "show": "Tell one RUN from its journal, or a plan from its file.",
    "steps": "List the steps that a playbook can use, or tell of a NAME.",
    "stop": "End a RUN that is at work in another terminal.",
    "worker": "Do the checks and runs that are ordered for a region.",
}
HELP = {"-h", "--help", "--version"}
UNKNOWN = 3  # of a monitoring plugin, whose exit codes are 0 to 3


class CommandLine(click.Group):
    """The verbs. A group of them is loaded when it is asked for."""

    def main(  # type: ignore[override]  # always as a whole process
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_extra: Any
    ) -> NoReturn:
        """The one place that catches what a verb raises, and exits with a code that is promised."""
        for stream in (sys.stdout, sys.stderr):  # words of others may hold what this locale lacks: that ends no command
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        words = sys.argv[1:] if args is None else list(args)
        is_check = next((word for word in words if not word.startswith("-")), "") == "check"
        try:
            code = self._exit_code(words, prog_name or "runbook")
        except Exception:
            if not is_check:
                raise
            code = UNKNOWN
        sys.exit(UNKNOWN if is_check and code > UNKNOWN else code)

    def _exit_code(self, words: list[str], name: str) -> int:
        try:
            self._main_shell_completion({}, name)
            with self.make_context(name, list(words)) as context:  # which takes from the list
                self.invoke(context)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except click.exceptions.Exit as end:
            return end.exit_code
        except click.ClickException as error:
            return _report_usage(error, UNKNOWN if words[:1] == ["check"] else error.exit_code)
        except (Exception, KeyboardInterrupt) as error:
            from runbook.cli.exit_codes import report_error
            from runbook.errors import RunbookError

            if isinstance(error, OSError) and HELP & set(words):  # nobody reads it
                _give_up_streams()
                return 0
            if not isinstance(error, RunbookError | OSError | KeyboardInterrupt):
                raise
            return report_error(error)
        return 0

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LAZY:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"runbook.cli.{LAZY[cmd_name]}")
        verb: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return verb

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, by :data:`SUMMARIES`."""
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(name) or self._summary(ctx, name, limit)) for name in names])

    def _summary(self, ctx: click.Context, name: str, limit: int) -> str:
        verb = self.get_command(ctx, name)
        return verb.get_short_help_str(limit) if verb else ""


def _give_up_streams() -> None:
    """Else what click has left in their buffers would fail once more as Python ends."""
    from runbook.report.stream import Stream

    for stream in (sys.stdout, sys.stderr):
        Stream(stream).give_up()


def _report_usage(error: click.ClickException, code: int) -> int:
    from runbook.cli.output import Output

    text = io.StringIO()
    error.show(text)
    Output().note(text.getvalue().rstrip(), indent="")
    return code
