"""What the system's own ssh is told, whoever runs it, and what is made of its own failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook.errors import ErrorKind, StepError, unexpected
from runbook.text import beginning, last_line, shown

if TYPE_CHECKING:
    from runbook.hosts.process import Ended

SSH_FAILED = 255  # ssh's exit code for its own errors
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST = rf"(?:{_NAME}@)?(?:{_NAME}|[0-9A-Fa-f:.]+(?:%{_NAME})?)"
_PERMANENT = (
    "permission denied",
    "host key verification failed",
    "remote host identification has changed",
    "bad owner",
)


def checked_host(host: str) -> str:
    """The host itself: never an option, nor anything that a ProxyCommand's shell would obey. Raises StepError."""
    import re

    if len(host) > 255 or not re.fullmatch(_HOST, host):
        raise unexpected(f"{beginning(shown(host), 300)} is no host", "Use letters, digits, dots and hyphens")
    return host


def ssh_options(connect_timeout: float) -> list[str]:
    """Nobody is asked for anything; all else is as the user's own configuration says."""
    return ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, round(connect_timeout))}"]


def raise_ssh_failure(host: str, ended: Ended) -> None:
    """Raises StepError where it was ssh that failed, and not what it was to do there."""
    said = last_line(ended.stderr)
    if any(words in ended.stderr.lower() for words in _PERMANENT):
        raise unexpected(f"ssh to {host} was turned away: {said}", f"Try ssh {host} by hand: key and known_hosts")
    what = f"ssh to {host} failed: {said}" if said else f"ssh to {host} failed"
    # The connection may have broken while the program was at work over there.
    raise StepError(ErrorKind.UNAVAILABLE, what, f"Try ssh {host} by hand", unsettled=True)
