"""Settings of a simulated cluster: its size, addresses and timing, and which Nomad release it behaves like."""

from __future__ import annotations

from dataclasses import field
from functools import lru_cache

from runbook.dataclass import dataclass
from runbook.errors import LabError

FIRST_HOST = 10  # s1 is 127.0.<octet>.11, as in the captured replies
MOST_SERVERS = 244  # what is left of the last octet
REGION = "global"
OLDEST, NEWEST = "1.0.0", "1.11.3"
NEWEST_ON_PROTOCOL_2 = "1.0.18"


@dataclass(frozen=True)
class Seat:
    """A server of a cluster that exists, whose name, machine and id in Raft a simulated one takes."""

    name: str
    host: str
    raft_id: str


@dataclass(frozen=True)
class SimulationSettings:
    """Durations are seconds. ``gossip_delay`` is how long after a death gossip says ``failed``: about 40 in reality.

    ``version`` chooses the personality: left out, it is 1.11.3, or 1.0.18 on Raft protocol 2, which Nomad 1.4 and later
    refuse; what differs is in docs/servers/nomad.md#what-changed-in-which-version. ``epoch`` is the wall clock when
    the model's own clock is 0; only replies show it. ``leader`` leads at the beginning; left out, it is drawn.
    ``seats``: the servers are these, and not s1, s2 and so on.
    """

    servers: int = 5
    octet: int = 0
    http_port: int = 4646
    rpc_port: int = 4647
    gossip_delay: float = 40.0
    raft_protocol: int = 3
    version: str | None = None
    token: str | None = field(default=None, repr=False)
    hold: float = 5.0
    reconcile_every: float = 60.0
    cleanup: bool = False
    min_quorum: int = 0
    seed: int = 1
    epoch: float = 0.0
    leader: str = ""
    seats: tuple[Seat, ...] = ()

    def __post_init__(self) -> None:
        _require(1 <= self.servers <= MOST_SERVERS, f"a lab has 1 to {MOST_SERVERS} servers, not {self.servers}")
        _require(not self.seats or len(self.seats) == self.servers, "every server needs a seat, or none has one")
        _require(0 <= self.octet <= 255, f"the octet of 127.0.OCTET.x is 0 to 255, not {self.octet}")
        _require(self.raft_protocol in (2, 3), f"the Raft protocol is 2 or 3, not {self.raft_protocol}")
        _require(self.gossip_delay > 0, "gossip takes some time to notice: gossip_delay must be above 0")
        _require(
            self.raft_protocol == 3 or not self.at_least(1, 4),
            f"raft_protocol must be 3 in Nomad v1.4 and later, got 2 with version {self.version}",
        )

    @property
    def release(self) -> str:
        return self.version or (NEWEST if self.raft_protocol == 3 else NEWEST_ON_PROTOCOL_2)

    def at_least(self, *version: int) -> bool:
        """Whether the release played is this one or newer."""
        return _numbers(self.release) >= version

    @property
    def is_known(self) -> bool:
        """Whether what this release does differently from others is drawn: docs/servers/nomad.md has none beyond."""
        return _numbers(OLDEST) <= _numbers(self.release) <= _numbers(NEWEST)

    @property
    def names(self) -> tuple[str, ...]:
        if self.seats:
            return tuple(seat.name for seat in self.seats)
        return tuple(f"s{number}" for number in range(1, self.servers + 1))

    def host(self, name: str) -> str:
        if self.seats:
            return self.seats[self.names.index(name)].host
        return f"127.0.{self.octet}.{FIRST_HOST + 1 + self.names.index(name)}"


@lru_cache(maxsize=100)
def _numbers(release: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in release.split("."))
    except ValueError:
        raise LabError(f"a version is written like {NEWEST}, not {release}") from None


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise LabError(otherwise)
