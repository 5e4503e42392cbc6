"""What became of a removal that was asked for: only looks can tell."""

from __future__ import annotations

from enum import Enum
from math import inf

from runbook.events import Waiting
from runbook.raft.model import ClusterView, Reach
from runbook.steps.context import StepContext

SETTLE = 60.0  # seconds: a few elections, and then a person must look
PAUSE = 1.0  # seconds between the first looks: above the lease of a Nomad leader, 0.5 s
LONGEST_PAUSE = 5.0  # later, as nobody gains by asking an ill server a hundred times
AGREE = 2  # looks in a row that must say the same

HELD_FOR = 120.0
"""Seconds after which a request without an answer is taken for lost, counted from when it was about to leave.

Until then the servers may still carry it out, whatever became of the connection. What has a limit adds up to this: 20 s
in which we may be sending it; 7 s (Consul; Nomad 5) in which a server without a leader holds it; 40 s until a server
gives up the connection to a leader that hangs (yamux: a keep-alive every 30 s that must be written within 10); 20 s for
elections at the longest time-outs that may be set; 30 s after which Linux gives up a disk that does not answer, while
the leader goes on leading and shows the old list, as it shows a change only once its own disk has it.

Two things have no limit: the library's wait for a commit, and a process that is stopped. A stopped server reads what it
was sent when it wakes up, though the connection was reset long before, and hands it to whoever leads by then (seen on
Consul, 90 s and an election later). So no request counts as lost while a server hangs. And as a disk, too, may hang for
longer, whoever was asked for counts as removed wherever a later removal counts the voters that will be left.
"""


class Settled(Enum):
    """The three answers to: was it done?"""

    DONE = "done"
    NOT_DONE = "not done"
    CANNOT_TELL = "cannot tell"


def settle(context: StepContext, peer_id: str, held_until: float = inf) -> Settled:
    """Look until the leader and every server that answers say the same, twice in a row and a lease apart.

    NOT_DONE is believed only of looks that begin after ``held_until`` (seconds of the clock's ``monotonic``), when no
    server holds the request any more; after a plain *yes* never, as a list that still holds the peer may be an old one.
    """
    began = context.clock.monotonic()
    until = SETTLE + (began if held_until == inf else max(began, held_until))
    said: list[Settled] = []
    waits = False
    while True:
        left = held_until - context.clock.monotonic()
        says = _says(context.look(), peer_id)
        if says is Settled.NOT_DONE and 0 < left < inf and not waits:
            waits = True
            context.emit(Waiting(context.step, round(left, 1), _may_be_held(context, peer_id)))
        said.append(Settled.CANNOT_TELL if says is Settled.NOT_DONE and left > 0 else says)
        recent = set(said[-AGREE:])
        if len(said) >= AGREE and len(recent) == 1 and recent != {Settled.CANNOT_TELL}:
            return said[-1]
        if context.clock.monotonic() >= until:
            return Settled.CANNOT_TELL
        context.clock.sleep(min(max(PAUSE, (context.clock.monotonic() - began) / 10), LONGEST_PAUSE))


def _may_be_held(context: StepContext, peer_id: str) -> str:
    name = context.name_of(peer_id)
    return f"{name} is still listed, and the servers may hold the request for up to {HELD_FOR:g} s; looking again"


def _says(view: ClusterView, peer_id: str) -> Settled:
    """Of one look. Whoever holds an uncommitted change shows another list than the leader: then nobody can tell yet.

    Nor can anybody tell that it was not done while a server accepts connections and says nothing: it may be stopped,
    with the request in its hands.
    """
    if view.configuration is None or view.leader_id is None:
        return Settled.CANNOT_TELL
    held = [view.configuration, *(vantage.configuration for vantage in view.answering)]
    listed = {configuration is None or configuration.peer(peer_id) is not None for configuration in held}
    if len(listed) > 1 or None in held:
        return Settled.CANNOT_TELL
    if not listed.pop():
        return Settled.DONE
    hangs = any(vantage.reach is Reach.ACCEPTED and vantage.server_id is None for vantage in view.vantages)
    return Settled.CANNOT_TELL if hangs else Settled.NOT_DONE
