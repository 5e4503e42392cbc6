"""What became of a removal that was asked for: only looks can tell."""

from __future__ import annotations

from enum import Enum

from runbook.raft.model import ClusterView
from runbook.steps.base import Context

SETTLE = 60.0  # seconds: a few elections, and then a person must look
PAUSE = 1.0  # seconds between looks: above the lease of a Nomad leader, 0.5 s
AGREE = 2  # looks in a row that must say the same


class Settled(Enum):
    """The three answers to: was it done?"""

    DONE = "done"
    NOT_DONE = "not done"
    CANNOT_TELL = "cannot tell"


def settle(context: Context, peer_id: str, *, was_refused: bool = False) -> Settled:
    """Look until the leader and every server that answers say the same, twice in a row and a lease apart.

    After a plain *yes* only DONE is believed, as a list that still holds the peer may be an old one. ``was_refused``
    says that the answer was none or a no: then NOT_DONE is an answer too.
    """
    until = context.clock.monotonic() + SETTLE
    said: list[Settled] = []
    while True:
        said.append(_says(context.look(), peer_id))
        recent = set(said[-AGREE:])
        if len(said) >= AGREE and (recent == {Settled.DONE} or (was_refused and recent == {Settled.NOT_DONE})):
            return said[-1]
        if context.clock.monotonic() >= until:
            return Settled.CANNOT_TELL
        context.clock.sleep(PAUSE)


def _says(view: ClusterView, peer_id: str) -> Settled:
    """Of one look. Whoever holds an uncommitted change shows another list than the leader: then nobody can tell yet."""
    if view.configuration is None or view.leader_id is None:
        return Settled.CANNOT_TELL
    held = [view.configuration, *(vantage.configuration for vantage in view.answering)]
    listed = {configuration is None or configuration.peer(peer_id) is not None for configuration in held}
    if len(listed) > 1 or None in held:
        return Settled.CANNOT_TELL
    return Settled.NOT_DONE if listed.pop() else Settled.DONE
