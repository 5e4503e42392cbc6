"""A check or a scheduled playbook as a systemd timer or a line of cron: never two at once, nor all hosts together.

Pure text: who writes it where is somebody else's work.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise

from runbook.dataclass import dataclass

WRITTEN_BY = "# Written by runbook install-timer; a drop-in beside it may change what it says."
ENVIRONMENT = "/etc/runbook/env"  # addresses and tokens: NAME=value, one a line, readable for its user alone
MINUTE, HOUR, DAY = 60, 3600, 86400
JITTER = 900  # seconds at most; a quarter of the interval where that is less
LIMITS = {"check": "5min", "execute": "12h"}  # of one start, whatever its own limits are
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,@+")


@dataclass(frozen=True)
class TimedCommand:
    """``program`` is how runbook is started here, by an absolute path; ``words`` are what is typed after it."""

    name: str
    program: tuple[str, ...]
    words: tuple[str, ...]
    every: int

    @property
    def jitter(self) -> int:
        """Seconds by which it may be late."""
        return max(1, min(self.every // 4, JITTER))

    @property
    def is_check(self) -> bool:
        return self.words[0] == "check"


def is_regular(every: float) -> bool:
    """Whether a calendar has it: so many minutes, hours, or one day, without a rest at the end of the hour or day."""
    return every in (HOUR, DAY) or any(
        every % unit == 0 and whole % every == 0 for unit, whole in ((MINUTE, HOUR), (HOUR, DAY))
    )


def service_unit(timed: TimedCommand) -> str:
    """Of the type oneshot, so systemd begins none while one is at work."""
    command = " ".join(_word_of_unit(word) for word in (*timed.program, *timed.words))
    codes = "SuccessExitStatus=1 2 3\n" if timed.is_check else ""
    described = " ".join(timed.words).replace("%", "%%")
    return (
        f"{WRITTEN_BY}\n[Unit]\nDescription=runbook {described}\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nEnvironmentFile=-{ENVIRONMENT}\nExecStart={command}\n{codes}"
        f"TimeoutStartSec={LIMITS[timed.words[0]]}\nNoNewPrivileges=yes\n"
    )


def timer_unit(timed: TimedCommand) -> str:
    """What was missed while the machine was off is made up for, where it is more than a check."""
    persistent = "" if timed.is_check else "Persistent=true\n"
    return (
        f"{WRITTEN_BY}\n[Unit]\nDescription=runbook {timed.words[0]} by the clock ({timed.name})\n\n"
        f"[Timer]\nOnCalendar={_calendar(timed.every)}\nRandomizedDelaySec={timed.jitter}\nAccuracySec=1s\n{persistent}\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def cron_line(timed: TimedCommand, host: str, user: str = "") -> str:
    """One line, with the ``user`` that a file of ``/etc/cron.d`` names. Cron ends a line at a bare ``%``.

    It waits for a part of the interval that is this host's own, so that all hosts do not begin at once.
    """
    own = int(sha256(f"{host} {timed.name}".encode()).hexdigest(), 16) % timed.jitter
    command = shlex.join([*timed.program, *timed.words])
    read = f"set -a; [ ! -r {ENVIRONMENT} ] || . {ENVIRONMENT}"
    quiet = " >/dev/null" if timed.is_check else ""
    line = f"{read}; sleep {own}; flock -n /run/lock/{timed.name}.lock {command}{quiet}"
    escaped = line.replace("%", "\\%")
    return f"{_cron_times(timed.every)} {f'{user} ' if user else ''}{escaped}"


def _calendar(every: int) -> str:
    if every < HOUR:
        return f"*:0/{every // MINUTE}"
    return f"*-*-* 0/{every // HOUR}:00:00" if every < DAY else "*-*-* 03:00:00"


def _cron_times(every: int) -> str:
    if every < HOUR:
        return "* * * * *" if every == MINUTE else f"*/{every // MINUTE} * * * *"
    return f"0 */{every // HOUR} * * *" if every < DAY else "0 3 * * *"


def _word_of_unit(word: str) -> str:
    """Systemd reads %, $ and quotes in it."""
    if word and set(word) <= PLAIN:
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def name_of(words: Sequence[str]) -> str:
    """What it is called where nobody says: ``runbook-check-nomad-eu``, ``runbook-take-snapshot``."""
    named = next((after for word, after in pairwise(words) if word == "--cluster"), "")
    what = words[0] if words[0] == "check" else next((w for w in words[1:] if not w.startswith("-")), words[0])
    stem = what.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
    return "-".join(part for part in ("runbook", stem, named) if part)
