"""What befalls the machines beside their servers: pauses, restarts again and again, firewalls, and clocks that jump."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from runbook.lab.virtual.approach import HTTP_PORT
from runbook.simulation.state import ProcessState, SimulatedServer
from tests.simulation.network import IncidentNetwork
from tests.simulation.timeline import ActorsTimeline

JUMPS = (-86400.0, -3600.0, -130.0, 130.0, 3600.0, 86400.0)  # seconds
LONGEST_SUSPENSION = 120.0
SUSPENSION_RATE = 0.02  # of the moments at which a process can stand still


class Hosts:
    """``jumped`` is by how much the wall clock of the tool's host is wrong; ``suspends``: its processes stand still now
    and then.
    """

    def __init__(self, network: IncidentNetwork, timeline: ActorsTimeline, chance: Random, *, suspends: bool) -> None:
        self.jumped, self.suspends = 0.0, suspends
        self._network, self._timeline, self._chance = network, timeline, chance

    def come_and_go(
        self,
        server: SimulatedServer,
        lasts: float,
        start: Callable[[SimulatedServer], None],
        kill: Callable[[SimulatedServer], None],
    ) -> None:
        """A unit that its host starts again each time it has died; it ends dead or alive."""
        until = self._timeline.now + min(lasts, 200.0)

        def up() -> None:
            if server.process is ProcessState.KILLED:
                start(server)
            if self._timeline.now < until:
                self._timeline.after(self._chance.uniform(0.5, 10.0), down)

        def down() -> None:
            kill(server)
            if self._timeline.now < until:
                self._timeline.after(self._chance.uniform(1.0, 15.0), up)

        up()

    def shut(self, servers: list[SimulatedServer], lasts: float, *, rejects: bool) -> str:
        """A firewall between the tool and one server, some, or all, before its Raft port, its API or both."""
        names = [server.name for server in servers]
        some = self._chance.sample(names, self._chance.choice((1, 2, len(names))))
        raft = int(servers[0].address.rpartition(":")[2])
        ports = self._chance.choice(((raft,), (raft,), (HTTP_PORT,), (raft, HTTP_PORT)))
        links = self._network.links
        rules = links.rejected if rejects else links.dropped
        rules.update(dict.fromkeys(some, ports))

        def open_again() -> None:
            for name in some:
                rules.pop(name, None)

        self._timeline.after(lasts, open_again)
        return f"{' '.join(map(str, ports))} of {' '.join(some)}"

    def jump(self) -> str:
        self.jumped += self._chance.choice(JUMPS)
        return f"by {self.jumped:g} s in all"

    def suspension(self) -> float:
        """Seconds for which a process of the tool stands still now; most times none."""
        if not self.suspends or self._chance.random() > SUSPENSION_RATE:
            return 0.0
        return self._chance.uniform(3.0, LONGEST_SUSPENSION)
