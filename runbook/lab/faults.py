"""Faults of the network between a caller and a simulated server, asked for by name; the model knows nothing of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from runbook.simulation.api_call import ApiReply, ApiRequest
from runbook.simulation.settings import LabError

TOO_MANY = ApiReply(
    429,
    b"Your IP is issuing too many concurrent connections, please rate limit your calls",
    "text/plain; charset=utf-8",
    {"Connection": "close"},
)
"""The other 429: not autopilot's, but the limiter of connections."""


class FaultKind(Enum):
    DELAY = "delay"  # the request is looked at only after so many seconds
    HANG = "hang"  # it is never looked at
    TOO_MANY_CONNECTIONS = "too_many_connections"  # it is turned away
    LOSE_REPLY = "lose_reply"  # it is carried out, then the connection closes without a word
    SLOW_BODY = "slow_body"  # the body takes so many seconds to come
    TRUNCATE_BODY = "truncate_body"  # half of the body, in a well-formed reply: only the Digest tells


@dataclass(frozen=True)
class Fault:
    """What befalls the requests that fit. ``None`` fits all; ``path`` is a prefix; ``times`` None is for good."""

    kind: FaultKind
    server: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    seconds: float = 1.0

    def fits(self, server: str, ask: ApiRequest) -> bool:
        return (
            self.server in (None, server)
            and self.method in (None, ask.method)
            and ask.path.startswith(self.path or "")
            and (self.times is None or self.times > 0)
        )


def fault_kind(text: str) -> FaultKind:
    """Raises LabError, naming those there are."""
    try:
        return FaultKind(text)
    except ValueError:
        raise LabError(f"no fault {text}: there are {', '.join(kind.value for kind in FaultKind)}") from None
