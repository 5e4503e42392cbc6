"""The simulated cluster: a plain deterministic object whose clock is told to it, with no threads and no sockets."""

from __future__ import annotations

import math

from runbook.lab import consensus, duties, gossip
from runbook.lab.errors import LabError
from runbook.lab.quiet import next_moment
from runbook.lab.settings import Settings
from runbook.lab.world import Process, Role, Server, World, form

TICK = 0.05  # seconds of model time from one moment to the next; changes asked for take effect between two


class Model:
    """A cluster that formed a while ago and has a leader. Its time starts at 0 and moves only in :meth:`advance`."""

    def __init__(self, settings: Settings) -> None:
        """Raises LabError where the settings are none that a cluster could have."""
        settings.at_least(0)  # says now if the version cannot be read
        self.world: World = form(settings)
        duties.perform(self.world)  # it formed a while ago, so its leader has looked at everybody's health
        self._ticks = 0

    def advance(self, now: float) -> None:
        """Let the model's time pass until ``now``, in seconds since its start; it never goes back.

        Moments in which nothing can happen are passed over; the last one before ``now`` never is, so that whoever
        changes something afterwards finds that everybody was heard just before.
        """
        last = math.floor(now / TICK + 1e-9)
        while self._ticks < last:
            due = math.ceil(min(next_moment(self.world), now) / TICK - 1e-9)
            self._ticks = min(last, max(self._ticks + 1, due))
            self.world.now = self._ticks * TICK
            gossip.listen(self.world)
            consensus.beat(self.world)
            duties.perform(self.world)

    def server(self, name: str) -> Server:
        """Raises LabError, naming those there are."""
        if name not in self.world.servers:
            raise LabError(f"no server {name} in this lab: it has {', '.join(self.world.servers)}")
        return self.world.servers[name]

    def leader(self) -> str | None:
        """Who leads: of those that think so (a cut-off one goes on for half a second), the one of the newest term."""
        leading = [server for server in self.world.servers.values() if server.running and server.leads]
        return max(leading, key=lambda server: server.term).name if leading else None

    def kill(self, name: str) -> None:
        """As ``kill -9``: what it wrote to disk stays, its term and log; what it knew of the others does not."""
        server = self.server(name)
        if server.process is not Process.KILLED:
            server.process, server.life = Process.KILLED, server.life + 1
            server.role, server.leader = Role.FOLLOWER, None

    def freeze(self, name: str) -> None:
        """As ``kill -STOP``: it believes what it believed, and neither hears nor says anything. Raises LabError."""
        server = self.server(name)
        if server.process is Process.KILLED:
            raise LabError(f"{name} is killed, and only a running server can be frozen: restart it first")
        server.process = Process.FROZEN

    def thaw(self, name: str) -> None:
        """As ``kill -CONT``. A frozen leader goes on to believe in itself for a moment."""
        server = self.server(name)
        if server.process is not Process.FROZEN:
            return
        server.process = Process.RUNNING
        server.campaign_at = self.world.draw_timeout()
        gossip.excuse_silence(self.world, server)

    def restart(self, name: str, *, wiped: bool = False) -> None:
        """Start it anew, killing it first if need be; ``wiped`` makes it forget its id and its log too."""
        self.kill(name)
        server = self.server(name)
        if wiped:
            self._wipe(server)
        server.process = Process.RUNNING
        server.campaign_at = self.world.draw_timeout()
        gossip.forget_everybody(self.world, server)

    def partition(self, groups: list[list[str]]) -> None:
        """Servers of different groups do not hear each other; those not named form one more group. Raises LabError."""
        named = [name for group in groups for name in group]
        if len(named) != len(set(named)):
            raise LabError("a server can be in one group of a partition only")
        for name in named:
            self.server(name)
        for server in self.world.servers.values():
            server.group = next((number for number, group in enumerate(groups) if server.name in group), len(groups))

    def lose(self, sender: str, receiver: str) -> None:
        """Packets on this way are lost: Raft's connection ends, gossip goes round by others. Raises LabError."""
        self.world.lost.add((self.server(sender).name, self.server(receiver).name))

    def heal(self) -> None:
        """Everybody hears everybody again."""
        self.world.lost.clear()
        for server in self.world.servers.values():
            server.group = 0

    def _wipe(self, server: Server) -> None:
        server.uuid = self.world.new_uuid()
        if self.world.settings.raft_protocol == 3:
            server.raft_id = server.uuid
        server.log, server.committed, server.term, server.voted = [], 0, 0, None
