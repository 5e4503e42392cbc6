"""A scenario: a simulated cluster, what befalls it in time, and what a playbook is expected to come to there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from runbook.dataclass import dataclass
from runbook.errors import Mark
from runbook.playbook.mapping import Keys
from runbook.playbook.model import Field
from runbook.simulation.settings import NEWEST, OLDEST, SimulationSettings

SCENARIO_VERSION = 1
MOST_SERVERS = 9  # voters of a Raft cluster are 3 to 7
LONGEST = 86_400.0  # seconds; nothing in a scenario happens later
LEADER, FOLLOWER = "leader", "follower"  # whoever is that at the moment
OUTCOMES = ("completed", "refused", "failed")


class Doors(Enum):
    """What of the cluster this host reaches, in the words of a scenario."""

    ALL = "all"  # every server's API
    ONE = "one"  # one API, and every Raft port: the others' APIs listen on their own loopback
    TUNNEL = "tunnel"  # one API through a tunnel, and nothing else
    BALANCER = "balancer"  # a load balancer before the APIs, and every Raft port
    FAR_BALANCER = "far_balancer"  # a load balancer, and nothing else


class Token(Enum):
    """Whether the cluster has ACLs, and whether it knows the token of this host."""

    NONE = "none"
    RIGHT = "right"
    WRONG = "wrong"


class Takes(Enum):
    """What stands behind the word of a fault."""

    SERVERS = "a server's name, leader or follower, or a list of them"
    GROUPS = "a list of groups, each a list of servers"
    TRUE = "true"
    COUNT = "how many"


@dataclass(frozen=True)
class FaultWord:
    """``passes``: it may end by itself, after ``for``."""

    word: str
    takes: Takes
    summary: str
    passes: bool = False


FAULTS: Mapping[str, FaultWord] = {
    kind.word: kind
    for kind in (
        FaultWord("kill", Takes.SERVERS, "the process dies, as by kill -9"),
        FaultWord("power_off", Takes.SERVERS, "the machine is gone, and as silent as one without power"),
        FaultWord("freeze", Takes.SERVERS, "the process stops, its port accepts, and nothing is answered", passes=True),
        FaultWord("hang", Takes.SERVERS, "the same with a full listen queue, so that its port is silent", passes=True),
        FaultWord("pause", Takes.SERVERS, "the whole machine stands still, as a cloud does it to a guest", passes=True),
        FaultWord("thaw", Takes.SERVERS, "a frozen, hanging or paused one goes on"),
        FaultWord("restart", Takes.SERVERS, "it starts anew, with its data"),
        FaultWord("wipe", Takes.SERVERS, "it starts anew without its data, and so with a new id"),
        FaultWord("cut", Takes.GROUPS, "servers of different groups hear nothing of each other", passes=True),
        FaultWord("cut_off", Takes.SERVERS, "no packet comes back to this host from them", passes=True),
        FaultWord("refuse", Takes.SERVERS, "a firewall refuses this host their API and Raft ports", passes=True),
        FaultWord("heal", Takes.TRUE, "every cut ends, and every firewall opens"),
        FaultWord("slow", Takes.SERVERS, "its answers as the leader take 7.5 s", passes=True),
        FaultWord("step_down", Takes.TRUE, "the leader steps down, and another election follows"),
        FaultWord("remove", Takes.SERVERS, "another operator takes them out of the configuration"),
        FaultWord("lose_requests", Takes.COUNT, "so many removals of this host get lost on their way"),
        FaultWord("lose_replies", Takes.COUNT, "so many removals are carried out, and the replies get lost"),
    )
}


@dataclass(frozen=True)
class ScenarioFault:
    """Something that befalls the cluster ``at`` so many seconds, and for so many where it passes by itself."""

    at: float
    kind: FaultWord
    mark: Mark
    servers: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    count: int = 0
    lasts: float | None = None

    @property
    def words(self) -> str:
        """Itself, as in "kill s4 s5"."""
        groups = " | ".join(" ".join(group) for group in self.groups)
        return " ".join(filter(None, (self.kind.word, *self.servers, groups, str(self.count or ""))))


@dataclass(frozen=True)
class Expectation:
    """What must hold in the end; None where nothing is said of it. Servers are named as the scenario names them.

    ``diagnosis`` is among those that ``runbook diagnose`` gives as the playbook starts.
    """

    exit: int | None = None
    outcome: str | None = None
    code: str | None = None
    removed: tuple[str, ...] | None = None
    voters: tuple[str, ...] | None = None
    leader: bool | None = None
    diagnosis: str | None = None


@dataclass(frozen=True)
class Scenario:
    """``starts_at`` is when the playbook is started, in seconds of the scenario; ``params`` are as they are typed.
    ``unborn`` are servers that have never been started.
    """

    name: str
    summary: str
    settings: SimulationSettings
    doors: Doors = Doors.ALL
    door: str = "s1"
    token: Token = Token.NONE
    non_voters: tuple[str, ...] = ()
    unborn: tuple[str, ...] = ()
    starts_at: float = 60.0
    faults: tuple[ScenarioFault, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    expect: Expectation = field(default_factory=Expectation)


SCENARIO_KEYS = Keys(
    Field("scenario", "int", f"the version of this format, {SCENARIO_VERSION}", required=True),
    Field("name", "string", "what it is called", required=True, pattern="[a-z0-9][a-z0-9-]{0,63}"),
    Field("summary", "string", "what has happened, in a sentence", default=""),
    Field("cluster", "map", "the cluster before anything befalls it", required=True),
    Field("start_at", "duration", "when the playbook is started", default=60.0, max=LONGEST),
    Field("faults", "list", "what befalls it, each with its time"),
    Field("params", "map", "params of the playbook"),
    Field("expect", "map", "what must hold in the end"),
)
CLUSTER_KEYS = Keys(
    Field("kind", "enum", "the product, which the simulation draws", required=True, choices=("nomad",)),
    Field("servers", "int", "how many, called s1, s2 and so on", required=True, min=1, max=MOST_SERVERS),
    Field("version", "string", f"the release: {OLDEST} to {NEWEST}"),
    Field("raft_protocol", "int", "2 or 3", default=3, choices=(2, 3)),
    Field("leader", "string", "who leads at the beginning", default="s1"),
    Field("non_voters", "list", "those without a vote", default=()),
    Field("doors", "enum", "what this host reaches", default="all", choices=tuple(each.value for each in Doors)),
    Field("door", "string", "whose API it is, behind one door or a tunnel", default="s1"),
    Field("token", "enum", "none, or ACLs with a token that is right or wrong", default="none",
          choices=tuple(each.value for each in Token)),
    Field("min_quorum", "int", "autopilot's MinQuorum", default=0, min=0, max=MOST_SERVERS),
    Field("cleanup", "bool", "whether autopilot removes dead servers itself", default=False),
    Field("gossip_delay", "duration", "until gossip calls a dead server failed", default=40.0, min=1.0, max=3600.0),
    other_tools={"size": "servers", "protocol": "raft_protocol", "product": "kind"},
)  # fmt: skip
FAULT_KEYS = Keys(
    Field("at", "duration", "when, from the beginning of the scenario", required=True, max=LONGEST),
    *(Field(kind.word, "any", kind.summary) for kind in FAULTS.values()),
    Field("for", "duration", "how long, where it passes by itself", max=LONGEST),
    other_tools={"stop": "freeze", "partition": "cut", "reboot": "restart", "time": "at"},
)
EXPECT_KEYS = Keys(
    Field("exit", "int", "the exit code of the run", min=0, max=5),
    Field("outcome", "enum", "how the run ends", choices=OUTCOMES),
    Field("code", "string", "the code of a refusal, or the kind of a failure"),
    Field("removed", "list", "the servers that the run has removed, all of them"),
    Field("voters", "list", "the voters in the end, all of them"),
    Field("leader", "bool", "whether there is a leader in the end"),
    Field("diagnosis", "string", "the name of one that is made as the playbook starts"),
)
