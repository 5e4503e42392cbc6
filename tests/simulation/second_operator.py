"""Somebody else who mends the same cluster at the same time, by hand."""

from __future__ import annotations

from collections.abc import Callable

from runbook.proving.truth import Truth
from runbook.simulation.cluster import SimulatedCluster
from runbook.simulation.state import SimulatedServer
from tests.simulation.incident import TOKEN
from tests.simulation.network import IncidentNetwork

HEADERS = {"x-nomad-token": TOKEN}
Some = Callable[[list[SimulatedServer]], "SimulatedServer | None"]


class SecondOperator:
    """``some`` chooses one of several servers, ``changed`` does what changes the world."""

    def __init__(
        self,
        model: SimulatedCluster,
        network: IncidentNetwork,
        truth: Truth,
        some: Some,
        changed: Callable[[Callable[[], None]], None],
    ) -> None:
        self._model, self._network, self._truth = model, network, truth
        self._some, self._changed = some, changed

    def removes(self, dead: list[SimulatedServer]) -> str | None:
        """One of these, at the leader."""
        leader, server = self._truth.leader(), self._some(dead)
        if leader is None or server is None:
            return None
        now = self._network.now
        self._truth.removal(now, now)
        self._network.from_operator(leader, "DELETE", f"/v1/operator/raft/peer?id={server.raft_id}", HEADERS)
        self._changed(lambda: None)
        return server.name

    def forces_leave(self, dead: list[SimulatedServer]) -> str | None:
        """One of these, at any server that runs."""
        at = self._some([each for each in self._model.state.servers.values() if each.running])
        server = self._some(dead)
        if at is None or server is None:
            return None
        self._network.from_operator(at, "PUT", f"/v1/agent/force-leave?node={server.name}.global", HEADERS)
        self._changed(lambda: None)
        return server.name
