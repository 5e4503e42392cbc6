"""What the steps over ssh have in common: a host that can be nothing but a host, and ssh's own failures told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook.playbook.model import Field
from runbook.steps.shown import beginning, last_line, shown
from runbook.steps.trouble import StepError, StepTrouble, unexpected

if TYPE_CHECKING:
    from runbook.steps.process import Ended

HOST = Field(
    "host", "string", "a name of ~/.ssh/config, a host name or an address; user@ may stand before", required=True
)
CONNECT = Field("connect_timeout", "duration", "how long the connection may take", default=10.0, min=1, max=600)
OWN_FAILURE = 255  # ssh's exit code for its own errors
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_HOST = rf"(?:{_NAME}@)?(?:{_NAME}|[0-9A-Fa-f:.]+(?:%{_NAME})?)"
_FINAL = ("permission denied", "host key verification failed", "remote host identification has changed", "bad owner")


def checked_host(host: str) -> str:
    """The host itself: never an option, nor anything that a ProxyCommand's shell would obey. Raises StepError."""
    import re

    if len(host) > 255 or not re.fullmatch(_HOST, host):
        raise unexpected(f"{beginning(shown(host), 300)} is no host", "Use letters, digits, dots and hyphens")
    return host


def options(connect_timeout: float) -> list[str]:
    """Nobody is asked for anything; all else is as the user's own configuration says."""
    return ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, round(connect_timeout))}"]


def refuse_own_failure(host: str, ended: Ended) -> None:
    """Raises StepError where it was ssh that failed, and not what it was to do there."""
    said = last_line(ended.stderr)
    if any(words in ended.stderr.lower() for words in _FINAL):
        raise unexpected(f"ssh to {host} was turned away: {said}", f"Try ssh {host} by hand: key and known_hosts")
    what = f"ssh to {host} failed: {said}" if said else f"ssh to {host} failed"
    # The connection may have broken while the program was at work over there.
    raise StepError(StepTrouble.UNAVAILABLE, what, f"Try ssh {host} by hand", unsettled=True)
