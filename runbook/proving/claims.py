"""What the end of a run claims, beside what is so: nobody is left without a word, whatever the run believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runbook.events import RunCompleted, RunFailed, RunInterrupted, RunRefused
from runbook.proving.truth import Truth
from runbook.raft.model import ClusterView, MemberStatus, Peer
from runbook.simulation.state import ProcessState, SimulatedServer

ENDINGS = frozenset(ending.kind for ending in (RunCompleted, RunRefused, RunFailed, RunInterrupted))
"""Of a run, by the kind of its last event."""

Records = Sequence[Mapping[str, Any]]
SIGN_OF_LIFE = 10.0  # seconds: no sign of life that a look rests on is older (I15), and it outweighs gossip


def failed_removals(records: Records) -> dict[str, str]:
    """Who was proven in a round whose removal failed last, as a playbook may go past it: id and name."""
    proven: dict[str, list[Mapping[str, Any]]] = {}
    failed: dict[str, bool] = {}
    for record in records:
        place, _, step = str(record.get("step", "")).rpartition(".")
        if record["kind"] == "step.completed" and step == "quorum" and "removals" in record["output"]:
            proven[place] = record["output"]["removals"]
        elif step == "one" and record["kind"] in ("step.completed", "step.failed"):
            failed[place] = record["kind"] == "step.failed"
    return {item["id"]: item["name"] for place in proven if failed.get(place) for item in proven[place]}


def is_confirmed_off(records: Records, peer: Peer, server: str) -> bool:
    """By a person's word to the newest process of this run, by any of its names."""
    process = max(at for at, record in enumerate(records) if record["kind"] in ("run.started", "run.resumed"))
    words = {record["name"] for record in records[process:] if record["kind"] == "server.confirmed_off"}
    return not words.isdisjoint((peer.name, peer.address, peer.id, f"{server}.global"))


def untrue_ends(records: Records, last: Sequence[ClusterView], truth: Truth, look_began: float) -> Iterator[str]:
    """Of a run that says that it is completed; ``last`` is the last look of its process, where it had any step left."""
    leader = truth.leader()
    held = leader.committed_configuration if leader else None
    for peer, name in failed_removals(records).items():
        if held is not None and held.peer(peer) is not None:
            yield f"it is completed, its removal of {name} failed, and the leader lists it"
    gone = any(record["kind"] in ("removal.confirmed", "removal.already_gone", REHEARSED) for record in records)
    for name in (name for view in last if not gone for name in called_failed(view, truth, look_began)):
        yield f"it found nothing to do, and gossip had called the voter {name} failed before its last look"


REHEARSED = "removal.would_be_requested"


def called_failed(view: ClusterView, truth: Truth, look_began: float) -> Iterator[str]:
    """The voters that a server which answered this look held for failed by then, and that did not answer themselves."""
    world = truth.model.state
    observers = [truth.observer(vantage) for vantage in view.answering if vantage.members is not None]
    for peer in view.configuration.voters if view.configuration else ():
        server = truth.server_of(peer)
        if server is None or (server.running and view.vantage_of(peer) is not None):
            continue  # it has just come back, and answered for itself before gossip knew
        if any(each and _failed_by(each, server, look_began, world.settings) for each in observers):
            yield server.name


def _failed_by(observer: SimulatedServer, server: SimulatedServer, moment: float, settings: Any) -> bool:
    entry = observer.gossip.get(server.name)
    if not observer.running or entry is None or entry.uuid != server.uuid:
        return False
    since = entry.heard_at + settings.gossip_delay * observer.gossip_pace
    return entry.status is MemberStatus.FAILED and since < moment - SIGN_OF_LIFE


def names_who_is_left(message: str, records: Records, truth: Truth) -> bool:
    """Whether an end that claims no recovery is due to removals that failed, and names everybody left by them."""
    failed, leader = failed_removals(records), truth.leader()
    listed = {peer.id for peer in leader.peers} if leader else set()
    named = {peer for peer, name in failed.items() if name in message}
    return bool(named) and all(peer in named for peer in failed if peer in listed)


def is_in_trouble(name: str, truth: Truth) -> bool:
    """Whether a voter that a run calls undecided is so in truth: it does not run, or lost the disk of its old entry."""
    server = truth.model.state.servers.get(name.partition(".")[0])
    leader = truth.leader()
    if server is None or leader is None:
        return True
    listed = {peer.id for peer in leader.peers if peer.address == server.address}
    return server.process is not ProcessState.RUNNING or listed != {server.raft_id}
