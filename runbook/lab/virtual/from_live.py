"""A live cluster's look to a stage on which some of its servers die: simulated for Nomad, a picture for others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from runbook.dataclass import dataclass
from runbook.errors import Mark, NotStartedError
from runbook.lab.virtual.approach import HTTP_PORT
from runbook.lab.virtual.picture import PictureStage
from runbook.lab.virtual.world import RehearsedWorld
from runbook.raft.deaths import ELECTION, Deaths, noticed_after
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Peer, Reach, named
from runbook.simulation.scenario import FAULTS, Scenario, ScenarioFault
from runbook.simulation.settings import NEWEST, NEWEST_ON_PROTOCOL_2, Seat, SimulationSettings

WAITS = 60.0  # seconds after which the playbook is started: gossip has noticed by then
_HERE = Mark("--from-live", 1, 1)


@dataclass(frozen=True)
class LiveStage:
    """``starts_at`` is when the playbook is started; ``assumed`` what nobody has seen, in sentences."""

    stage: RehearsedWorld | PictureStage
    starts_at: float
    assumed: tuple[str, ...]


def stage_of(view: ClusterView, kill: Sequence[str], freeze: Sequence[str]) -> LiveStage:
    """``kill`` and ``freeze`` name servers. Raises NotStartedError where the look is nothing to begin from."""
    if view.configuration is None or view.leader is None:
        why = view.error_text or "nobody leads"
        raise NotStartedError(f"{view.cluster} cannot be played on, as it has no leader now: {why}")
    killed, frozen = _named(view, kill, "--kill"), _named(view, freeze, "--freeze")
    if both := [peer.label for peer in killed if peer in frozen]:
        raise NotStartedError(f"{', '.join(both)} cannot be killed and frozen at once")
    if view.cluster.startswith("nomad:"):
        return _simulated(view, killed, frozen)
    deaths = Deaths(frozenset(peer.id for peer in killed), frozenset(peer.id for peer in frozen))
    assumed = (
        f"{view.cluster} is played from one look: servers that die are gone, and nothing else moves by itself",
        f"the others notice a death after {noticed_after(view.cluster):g} s; "
        f"if the leader dies, the furthest log leads after {ELECTION:g} s",
    )
    return LiveStage(PictureStage(view, deaths), WAITS, assumed)


def _named(view: ClusterView, names: Sequence[str], option: str) -> tuple[Peer, ...]:
    found: list[Peer] = []
    for name in names:
        meant = named(view.configuration, name) if view.configuration else ()
        if len(meant) != 1 or meant[0] in found:
            known = ", ".join(sorted(peer.label for peer in (view.configuration.peers if view.configuration else ())))
            how = "one twice" if meant and meant[0] in found else "several" if meant else "none"
            raise NotStartedError(f"{option} {name} names {how} of the servers, which are: {known}")
        found.append(meant[0])
    return tuple(found)


# -- Nomad


def _simulated(view: ClusterView, killed: Sequence[Peer], frozen: Sequence[Peer]) -> LiveStage:
    peers = view.configuration.peers if view.configuration else ()
    down = [peer for peer in peers if judge_once(view, peer).liveness is not Liveness.ALIVE]
    if again := [peer.label for peer in (*killed, *frozen) if peer in down]:
        raise NotStartedError(f"{', '.join(again)} does not answer now, so nothing can befall it")
    settings, assumed = _settings(view, peers)
    hang = [peer for peer in down if view.probes.get(peer.address) is Reach.ACCEPTED]
    dead = [peer for peer in down if peer not in hang]
    assumed += [f"{peer.label} does not answer now, and is taken for dead" for peer in dead]
    assumed += [f"{peer.label} does not answer now, and is taken for frozen" for peer in hang]
    befall = (("kill", (*dead, *killed)), ("freeze", (*hang, *frozen)))
    scenario = Scenario(
        name=view.cluster.partition(":")[2],
        summary="",
        settings=settings,
        door=settings.names[0],
        non_voters=tuple(_name(peer) for peer in peers if not peer.voter),
        starts_at=WAITS,
        faults=tuple(
            ScenarioFault(0.0, FAULTS[word], _HERE, servers=(_name(peer),)) for word, some in befall for peer in some
        ),
    )
    return LiveStage(RehearsedWorld(scenario), WAITS, tuple(assumed))


def _settings(view: ClusterView, peers: Sequence[Peer]) -> tuple[SimulationSettings, list[str]]:
    """With what had to be assumed. Raises NotStartedError for servers that cannot be told apart in the simulation."""
    ports = {peer.address.rpartition(":")[2] for peer in peers}
    first = sorted(peers, key=lambda peer: (peer != view.leader, _name(peer)))  # in each moment the leader has its turn
    seats = tuple(Seat(_name(peer), peer.address.rpartition(":")[0], peer.id) for peer in first)
    alone = len({seat.host for seat in seats}) == len({seat.name for seat in seats}) == len(seats)
    if len(ports) != 1 or not alone:
        raise NotStartedError(
            "the simulation draws a server a machine, with a name of its own and one Raft port for all"
        )
    leads = view.vantage_of(view.leader) if view.leader else None
    apis = [urlsplit(vantage.url).port for vantage in view.answering]
    protocol = 2 if any(peer.protocol == 2 for peer in peers) else 3
    settings = SimulationSettings(
        servers=len(seats),
        http_port=next((port for port in apis if port), HTTP_PORT),
        rpc_port=int(ports.pop()),
        raft_protocol=protocol,
        version=leads.version if leads else None,
        cleanup=view.autopilot.cleanup_dead_servers if view.autopilot else False,
        min_quorum=view.autopilot.min_quorum if view.autopilot else 0,
        leader=_name(view.leader) if view.leader else "",
        seats=seats,
    )
    assumed = [f"{len(seats)} servers with the names, ids, addresses and votes of {view.cluster}, every API in reach"]
    assumed += [] if view.autopilot else ["autopilot's settings could not be read, and are taken for the usual ones"]
    if leads is None or leads.version is None or not settings.is_known:
        usual = NEWEST if protocol == 3 else NEWEST_ON_PROTOCOL_2
        told = f"its release is {leads.version}" if leads and leads.version else "its release is not known"
        return replace(settings, version=usual), [*assumed, f"{told}; Nomad {usual} is played"]
    return settings, assumed


def _name(peer: Peer) -> str:
    return peer.label.partition(".")[0]
