"""One incident, drawn from its seed: the cluster, who is dead, what will happen when, and where the tool will end.

Each purpose has a random stream of its own, so that a new kind of fault does not change all the others of a seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from runbook.lab.virtual.approach import HTTP_PORT, Approach
from runbook.proving.claims import ENDINGS
from runbook.simulation.settings import SimulationSettings
from tests.simulation.faults import EVIDENCE, OF_A_HOST, SHORT, ClusterFault
from tests.simulation.minimum import Unreadable, unreadable
from tests.simulation.planned_commands import PlannedCommands, draw_commands
from tests.simulation.shapes import Word, draw_approach, draw_word
from tests.simulation.tool import CrashPoint

TOKEN = "0b5d1f6e-3f3a-4c7e-9d0e-5a1c7b9e2f00"
OLD, MIDDLE, NEW = "1.0.18", "1.3.9", "1.11.3"
DURATIONS = (2.0, 8.0, 30.0, 90.0, 2500.0)  # seconds; the last is longer than any run may take
POINTS = (
    ("anywhere", 160),
    ("anywhere", 60),
    ("sleep", 14),
    ("before emit", 30),
    ("after emit", 30),
    ("after request", 60),
    ("before removal.requested", 2),
    ("after removal.requested", 2),
    ("before removal", 2),
    ("removal in flight", 2),
    ("after removal", 2),
    ("before removal.confirmed", 2),
    ("after removal.confirmed", 2),
)


@dataclass(frozen=True)
class Planned:
    """Something that will befall the cluster, at a moment of the model's clock, and for how long where it passes."""

    at: float
    what: ClusterFault
    lasts: float


@dataclass(frozen=True)
class Victim:
    """A server that is down before the tool starts; a frozen one goes on after so many seconds."""

    name: str
    at: float
    way: ClusterFault
    lasts: float


@dataclass(frozen=True)
class Incident:
    """What is known before the first moment. Times are seconds of the model's clock.

    ``commands`` are those of its playbook; ``person``: somebody is asked before the first change, and may be slow.
    ``goes_on``: the playbook of its runs goes on after a removal that failed; ``blinded``: some of those that begin get
    no answer of the leader. ``suspends``: its processes stand still now and then. ``approach`` is how this host comes
    to the servers, and ``word`` what a person says of some.
    """

    seed: int
    settings: SimulationSettings
    non_voters: tuple[str, ...]
    dead: tuple[Victim, ...]
    addresses: tuple[str, ...]
    params: Mapping[str, str]
    run_at: float
    reading_rate: float
    removing_rate: float
    planned: tuple[Planned, ...]
    shares_lock: bool
    commands: PlannedCommands | None
    person: bool
    unreadable: Unreadable | None
    goes_on: bool
    blinded: bool
    suspends: bool
    rehearses: bool
    runs_again: bool
    approach: Approach
    word: Word | None

    def chance(self, purpose: str) -> Random:
        return stream(self.seed, purpose)

    def crash(self, run: int) -> CrashPoint:
        """Half of the runs of an incident are cut short, most of them by a crash; a few after their ending."""
        if self.chance(f"fate at the end {run}").random() < 0.05:
            return CrashPoint(f"after {self.chance(f'ending {run}').choice(sorted(ENDINGS))}", 1)
        if self.commands is not None and (chance := self.chance(f"fate of commands {run}")).random() < 0.75:
            return CrashPoint("inside command", chance.randint(1, 3), interrupt=chance.random() < 0.2)
        chance = self.chance(f"fate {run}")
        if chance.random() < 0.5:
            return CrashPoint()
        point, most = chance.choice(POINTS)
        return CrashPoint(point, chance.randint(1, most), interrupt=chance.random() < 0.2)


def stream(seed: int, purpose: str) -> Random:
    """The same numbers for the same seed and purpose, on every machine."""
    return Random(f"{seed} {purpose}")  # noqa: S311 - a simulation must be repeatable, and guards no secret


def draw(seed: int) -> Incident:
    settings = _settings(seed)
    approach = draw_approach(stream(seed, "approach"), settings)
    chance = stream(seed, "dead")
    commands = draw_commands(stream(seed, "commands"))
    params = _params(seed, settings.servers)
    run_at = round(chance.uniform(10.0, 120.0), 1)
    noise = stream(seed, "weather").choice((0.0, 0.0, 0.003, 0.01, 0.03))
    return Incident(
        seed=seed,
        settings=settings,
        non_voters=_non_voters(seed, settings),
        dead=_some_full(seed, _dead(chance, settings, run_at)),
        addresses=approach.addresses(settings, _addresses(seed, settings)),
        params=commands.params(params) if commands else params,
        run_at=run_at,
        reading_rate=noise,
        removing_rate=stream(seed, "removing").choice((0.4, 0.7, 0.9)),
        planned=(
            *_planned(seed, run_at),
            *_firewall(seed, run_at),
            *_against_evidence(seed, run_at),
            *_of_hosts(seed, run_at),
            *_short_ones(seed, run_at),
        ),
        shares_lock=stream(seed, "lock").random() < 0.5,
        commands=commands,
        person=stream(seed, "person").random() < 0.35,
        unreadable=unreadable(stream(seed, "minimum"), run_at),
        goes_on=commands is None and stream(seed, "goes on").random() < 0.25,
        blinded=stream(seed, "blinded").random() < 0.4,
        suspends=stream(seed, "suspends").random() < 0.1,
        rehearses=stream(seed, "rehearsal").random() < 0.25,
        runs_again=stream(seed, "again").random() < 0.25,
        approach=approach,
        word=draw_word(stream(seed, "word"), approach),
    )


def _settings(seed: int) -> SimulationSettings:
    chance = stream(seed, "cluster")
    protocol = chance.choice((3, 3, 3, 3, 2))
    usual, odd = chance.choice((3, 5, 5, 5, 7)), stream(seed, "size")
    return SimulationSettings(
        servers=odd.choice((4, 6, 9)) if odd.random() < 0.1 else usual,
        http_port=HTTP_PORT,
        gossip_delay=chance.choice((3.0, 12.0, 40.0, 40.0)),
        raft_protocol=protocol,
        version=chance.choice((OLD, MIDDLE)) if protocol == 2 else chance.choice((OLD, NEW, NEW)),
        token=TOKEN,
        reconcile_every=60.0,
        cleanup=chance.random() < 0.25,
        min_quorum=chance.choice((0, 0, 0, 0, 3, 4)),
        seed=seed,
    )


def _non_voters(seed: int, settings: SimulationSettings) -> tuple[str, ...]:
    chance = stream(seed, "non-voters")
    if settings.servers < 5 or chance.random() < 0.6:
        return ()
    return tuple(chance.sample(settings.names, chance.choice((1, 2))))


def _dead(chance: Random, settings: SimulationSettings, run_at: float) -> tuple[Victim, ...]:
    """Mostly as many as can be borne, at times none, at times too many."""
    most = (settings.servers - 1) // 2
    count = chance.choice((0, 1, 1, min(2, most), most, most, most + 1))
    ways = (ClusterFault.KILL, ClusterFault.KILL, ClusterFault.KILL, ClusterFault.HOST_DIES, ClusterFault.FREEZE)
    return tuple(
        Victim(name, chance.uniform(0.5, run_at - 0.5), chance.choice(ways), chance.uniform(60.0, 300.0))
        for name in chance.sample(settings.names, count)
    )


def _addresses(seed: int, settings: SimulationSettings) -> tuple[str, ...]:
    chance = stream(seed, "addresses")
    names = chance.sample(settings.names, chance.choice((1, 2, 3)))
    return tuple(f"http://{settings.host(name)}:{HTTP_PORT}" for name in names)


def _params(seed: int, servers: int) -> dict[str, str]:
    chance = stream(seed, "params")
    return {
        "confirm_for": chance.choice(("5s", "30s", "30s", "60s")),
        "looks": chance.choice(("2", "3", "3", "5")),
        "max_removals": chance.choice(("1", "2", "3", "3")),
        "min_voters": chance.choice(("1", "2", "2", "3") if servers == 3 else ("1", "2", "3", "3")),
        "watch_for": chance.choice(("10s", "70s", "70s")),
    }


def _planned(seed: int, run_at: float) -> tuple[Planned, ...]:
    chance = stream(seed, "happenings")
    count = chance.choice((0, 0, 1, 2, 3, 5, 8))
    kinds = tuple(kind for kind in ClusterFault if kind not in (*EVIDENCE, *OF_A_HOST, *SHORT))
    return tuple(
        Planned(chance.uniform(run_at - 10.0, run_at + 220.0), chance.choice(kinds), chance.choice(DURATIONS))
        for _ in range(count)
    )


def _against_evidence(seed: int, run_at: float) -> tuple[Planned, ...]:
    """What makes a living server look dead, or a dead one live for a moment; some of it from before the run."""
    chance = stream(seed, "evidence")
    count = chance.choice((0, 0, 0, 1, 2))
    return tuple(
        Planned(chance.uniform(run_at - 60.0, run_at + 120.0), chance.choice(EVIDENCE), chance.uniform(3.0, 120.0))
        for _ in range(count)
    )


def _some_full(seed: int, dead: tuple[Victim, ...]) -> tuple[Victim, ...]:
    """Half of those that are frozen have a full listen queue: clients and health checks fill it by themselves."""
    chance = stream(seed, "full queues")
    ways = {ClusterFault.FREEZE: (ClusterFault.FREEZE, ClusterFault.FULL_QUEUE)}
    return tuple(replace(each, way=chance.choice(ways.get(each.way, (each.way,)))) for each in dead)


def _firewall(seed: int, run_at: float) -> tuple[Planned, ...]:
    """At times this host cannot reach some servers from before the run until the faults are over."""
    behind = stream(seed, "firewall").random() < 0.08
    return (Planned(run_at - 1.0, ClusterFault.TOOL_CUT_OFF, DURATIONS[-1]),) if behind else ()


def _of_hosts(seed: int, run_at: float) -> tuple[Planned, ...]:
    """What befalls machines, their firewalls and clocks, in a few incidents."""
    chance = stream(seed, "hosts")
    count = chance.choice((1, 2)) if chance.random() < 0.2 else 0
    lasts = (10.0, 60.0, DURATIONS[-1])
    return tuple(
        Planned(chance.uniform(run_at - 40.0, run_at + 150.0), chance.choice(OF_A_HOST), chance.choice(lasts))
        for _ in range(count)
    )


def _short_ones(seed: int, run_at: float) -> tuple[Planned, ...]:
    """What is over before anybody can see it, but for the traces that it leaves."""
    chance = stream(seed, "short")
    count = chance.choice((1, 2)) if chance.random() < 0.2 else 0
    return tuple(
        Planned(chance.uniform(run_at - 5.0, run_at + 120.0), chance.choice(SHORT), chance.uniform(0.2, 0.45))
        for _ in range(count)
    )
