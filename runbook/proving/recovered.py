"""A quorum that is lost for good, and its recovery by peers.json: what must hold on the way, and at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbook.proving import oracle
from runbook.proving.checks import OLDEST_EVIDENCE, Checks
from runbook.proving.stage import ProofStage
from runbook.raft.model import Configuration, Peer
from runbook.simulation.formation import recover
from runbook.simulation.state import ProcessState, SimulatedServer

CONFIRMS = "raft.confirm_recovery"
LEFT_OUT, ONE_FILE, LOST_DATA = "nobody left out lives", "one file for all", "nothing a survivor held is lost"


@dataclass
class Recoveries:
    """Of one run. ``read`` are the files by the name of the server that has read it; ``held`` is the last log entry of
    each survivor when it began anew, as its term and index.
    """

    stage: ProofStage
    records: Sequence[Mapping[str, Any]]
    read: dict[str, str] = field(default_factory=dict)
    held: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_confirmed(self) -> bool:
        """Whether a person has agreed to it in this run."""
        confirms = {record["step"] for record in self.records if record.get("uses") == CONFIRMS}
        return any(record["kind"] == "step.completed" and record["step"] in confirms for record in self.records)

    def quorum_lives(self) -> bool:
        """By what any running server has in its log: whether enough of its voters run, so that one may be elected."""
        servers = self.stage.model.state.servers.values()
        running = {server.raft_id for server in servers if server.running}
        held = [server.configuration for server in servers if server.running]
        return any(
            sum(voter.id in running for voter in each.voters) >= oracle.majority(len(each.voters))
            for each in held
            if each is not None
        )

    def begins_anew(self, server: SimulatedServer, text: str, pending: dict[str, str], checks: Checks) -> None:
        """It reads this file at its start. ``pending`` are the files that wait on the machines of the others."""
        configuration = _configuration(text)
        names = {name for name, each in self._servers() if configuration.peer(each.raft_id) is not None}
        others = {name: self.read.get(name, pending.get(name)) for name in sorted(names - {server.name})}
        different = [name for name, other in others.items() if other != text]
        what = f"{server.name} begins anew with {', '.join(sorted(names))}"
        checks.require(not different, ONE_FILE, f"{what}, and {', '.join(different)} has not the same file")
        self.held[server.name] = server.last
        recover(server, configuration)
        self.read[server.name] = text

    def may_leave_out(self, text: str, checks: Checks) -> None:
        """Whoever is not in a file that is written did not run when its port was tried, and that is not long ago."""
        configuration, stage = _configuration(text), self.stage
        age, back_since = stage.now - stage.probed_at, stage.truth.back_since
        known = stage.now if age > OLDEST_EVIDENCE else stage.probed_at
        living = [
            name
            for name, server in self._servers()
            if server.process is not ProcessState.KILLED
            and configuration.peer(server.raft_id) is None
            and back_since.get(name, 0.0) <= known
        ]
        sentence = f"a file leaves out {', '.join(living)}, which runs"
        checks.require(not living, LEFT_OUT, f"{sentence}; ports were tried {age:.0f} s ago")

    def untrue_end(self) -> Iterator[tuple[str, str]]:
        """Of a run that says it is completed: the survivors follow one leader, which has all that any of them held."""
        leader = self.stage.truth.leader()
        if not self.read:
            return
        if leader is None:
            yield "I11", "it is completed, and nobody leads"
            return
        listed = {peer.id for peer in leader.peers}
        servers = dict(self._servers())
        missing = [name for name in sorted(self.read) if servers[name].raft_id not in listed]
        if missing:
            yield "I11", f"it is completed, and {leader.name}, which leads, does not list {', '.join(missing)}"
        for name, (term, index) in sorted(self.held.items()):
            kept = len(leader.log) >= index and (index == 0 or leader.log[index - 1].term >= term)
            if not kept:
                yield LOST_DATA, f"{name} held entry {index} of term {term}, and {leader.name}, which leads, has not"

    def _servers(self) -> list[tuple[str, SimulatedServer]]:
        return list(self.stage.model.state.servers.items())


def _configuration(text: str) -> Configuration:
    """Of the form with ids, which every server of a proof reads."""
    peers = (Peer(str(row["id"]), str(row["address"]), voter=not row["non_voter"]) for row in json.loads(text))
    return Configuration(tuple(peers))
