"""How this host comes to the servers: to each of them, or through one door, a tunnel or a load balancer."""

from __future__ import annotations

from enum import Enum

from runbook.dataclass import dataclass
from runbook.simulation.settings import SimulationSettings

TUNNEL, BALANCER = "127.0.0.1", "127.0.0.2"  # hosts that no server has
TUNNEL_PORT = 14646
HTTP_PORT = 4646


class Shape(Enum):
    """What of a cluster can be reached."""

    OPEN = "every API"
    ONE_DOOR = "one API, and every Raft port"
    TUNNEL = "a tunnel to one API"
    BALANCER = "a load balancer, and every Raft port"
    FAR_BALANCER = "a load balancer alone"


OUT_OF_REACH = (Shape.TUNNEL, Shape.FAR_BALANCER)
BALANCED = (Shape.BALANCER, Shape.FAR_BALANCER)


@dataclass(frozen=True)
class Approach:
    """A shape, and the server behind its door or tunnel."""

    shape: Shape
    door: str

    @property
    def is_open(self) -> bool:
        return self.shape is Shape.OPEN

    @property
    def out_of_reach(self) -> bool:
        """Whether nothing but the tunnel, or the balancer, leads to the servers from here."""
        return self.shape in OUT_OF_REACH

    @property
    def is_balanced(self) -> bool:
        """Whether each request may be answered by another server, so that no two looks need show the same."""
        return self.shape in BALANCED

    def is_private(self, name: str) -> bool:
        """Whether the API of this server listens on its own loopback alone."""
        return not self.is_open and not (self.shape is Shape.ONE_DOOR and name == self.door)

    def addresses(self, settings: SimulationSettings, given: tuple[str, ...]) -> tuple[str, ...]:
        """What the operator names, who knows no other way."""
        if self.shape is Shape.ONE_DOOR:
            return (f"http://{settings.host(self.door)}:{settings.http_port}",)
        if self.shape is Shape.TUNNEL:
            return (f"http://{TUNNEL}:{TUNNEL_PORT}",)
        return (f"http://{BALANCER}:{settings.http_port}",) if self.is_balanced else given
