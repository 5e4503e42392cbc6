"""``runbook install-timer``: a systemd timer or a line of cron for a check, or for a playbook run by the clock."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook.cli.options import parse_duration_option

if TYPE_CHECKING:
    from runbook.inspection.timers import TimedCommand

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
VERIFY_WITHIN = 30.0  # seconds
USUAL = {"check": 60, "execute": 86400}


@click.command("install-timer", context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--every",
    metavar="DURATION",
    callback=lambda context, option, text: text and parse_duration_option(context, option, text),
    help="How often, as 5m, 6h or 1d; a check every minute and a playbook every day, where it is left out.",
)
@click.option("--name", metavar="NAME", help="What the units or the file are called.")
@click.option("--crontab", is_flag=True, help="A line of cron instead of units of systemd.")
@click.option(
    "--write",
    "root",
    type=click.Path(file_okay=False, exists=True),
    metavar="ROOT",
    help="Write it below this folder, / for this machine, instead of printing it.",
)
def install_timer(
    words: tuple[str, ...], every: float | None, name: str | None, crontab: bool, root: str | None
) -> None:
    """Print what starts WORDS by the clock, for systemd or cron. WORDS are a check or an execute.

    The options of this command come before WORDS. Two never run at once, and hosts do not begin together.
    Addresses and tokens belong into /etc/runbook/env. Exit: 0 printed or written, 2 it cannot be.
    """
    timed = _timed(words, every, name)
    from runbook.cli.output import Output

    output = Output()
    if root is None:
        output.text(_as_text(timed, crontab))
        return
    for line in _write(timed, crontab, Path(root)):
        output.lines([line])


def _timed(words: tuple[str, ...], every: float | None, name: str | None) -> TimedCommand:
    """Raises click.UsageError."""
    from runbook.cli.main import main
    from runbook.inspection.timers import TimedCommand, is_regular, name_of

    if words[0] not in USUAL:
        raise click.UsageError(f"check and execute run by the clock, not {words[0]}")
    command = main.get_command(click.Context(main), words[0])
    if command is not None:
        command.make_context(words[0], list(words[1:]))  # which raises for words that it does not understand
    if "--yes" in words and "--unattended" not in words:
        raise click.UsageError("nobody watches what runs by the clock: --yes needs --unattended there")
    seconds = every or USUAL[words[0]]
    if not is_regular(seconds):
        raise click.UsageError("--every takes minutes that divide an hour, hours that divide a day, or 1d")
    chosen = name or name_of(words)
    if not NAME.fullmatch(chosen):
        raise click.UsageError(f"{chosen} is no name of a unit: give --name, of letters, digits and . _ -")
    if not all(word.isprintable() for word in words):
        raise click.UsageError("a word that is started by the clock has no line break and no control character")
    whole = tuple(str(Path(word).absolute()) if Path(word).is_file() else word for word in words)
    return TimedCommand(chosen, _program(), whole, int(seconds))


def _program() -> tuple[str, ...]:
    """How this very runbook is started, whatever PATH is there."""
    beside = Path(sys.executable).with_name("runbook")
    return (str(beside),) if beside.is_file() else (sys.executable, "-m", "runbook")


def _as_text(timed: TimedCommand, crontab: bool) -> str:
    from runbook.inspection.timers import cron_line, service_unit, timer_unit

    if crontab:
        return f"{cron_line(timed, os.uname().nodename)}\n"
    where = f"# /etc/systemd/system/{timed.name}"
    return f"{where}.service\n{service_unit(timed)}\n{where}.timer\n{timer_unit(timed)}"


def _write(timed: TimedCommand, crontab: bool, root: Path) -> list[str]:
    """Returns what was done, and what is to be typed next. Raises NotStartedError."""
    from runbook.inspection.timers import WRITTEN_BY, cron_line, service_unit, timer_unit

    if crontab:
        path = root / "etc/cron.d" / timed.name.replace(".", "-")  # cron reads no file with a dot in its name
        _write_one(path, f"{WRITTEN_BY}\n{cron_line(timed, os.uname().nodename, 'root')}\n")
        return [f"written: {path}"]
    folder = root / "etc/systemd/system"
    units = {folder / f"{timed.name}.service": service_unit(timed), folder / f"{timed.name}.timer": timer_unit(timed)}
    for path, text in units.items():
        _write_one(path, text)
    enable = f"systemctl daemon-reload && systemctl enable --now {timed.name}.timer"
    return [*(f"written: {path}" for path in units), _verified(list(units)), f"next: {enable}"]


def _write_one(path: Path, text: str) -> None:
    """Over one of ours, and over nothing else. Raises NotStartedError."""
    from runbook.errors import NotStartedError
    from runbook.files import read_limited, replace_file
    from runbook.inspection.timers import WRITTEN_BY

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not read_limited(path, len(text) + 65536).startswith(WRITTEN_BY.encode()):
            raise NotStartedError(f"{path} is there and was written by somebody else. Move it away, or give --name")
        replace_file(path, text.encode(), mode=0o644)
    except OSError as error:
        raise NotStartedError(f"{path}: {error.strerror}") from None


def _verified(units: list[Path]) -> str:
    """What systemd itself says of them, where it is there. Raises NotStartedError where it finds a fault."""
    from runbook.doors import Purpose
    from runbook.errors import NotStartedError, StepError
    from runbook.hosts.process import Command, run_command, small_environment

    program = shutil.which("systemd-analyze")
    if program is None:
        return "not verified: systemd-analyze is not here"
    try:
        ended = run_command(
            Command((program, "verify", *map(str, units)), small_environment({}), purpose=Purpose.LOOK), VERIFY_WITHIN
        )
    except StepError as error:
        return f"not verified: {error.sentence}"
    said = " ".join(f"{ended.stdout} {ended.stderr}".split())
    if ended.code != 0:
        raise NotStartedError(f"systemd-analyze verify finds a fault: {said}")
    return f"verified by systemd-analyze{f', which says: {said}' if said else ''}"
