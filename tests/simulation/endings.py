"""What must be so once the faults are over: liveness, and that everybody may go on, rehearse and repeat."""

from __future__ import annotations

from runbook.engine.execute import Ending
from runbook.events import RunCompleted, RunFailed, RunRefused
from runbook.proving.claims import is_in_trouble, names_who_is_left
from runbook.raft.quorum import quorum
from runbook.raft.verdicts import UNDECIDED
from runbook.simulation.state import ProcessState
from tests.simulation.runs import Run
from tests.simulation.world import SimulatedWorld


class Endings:
    """The checks of phase two."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._approach = world.incident.approach

    def has_a_leader(self) -> bool:
        """I3: or there is none because too few live, or because deaths overtook a removal on its way."""
        led = self._world.truth.leader() is not None
        if not led and self._has_quorum():
            self._world.transcript.counts["dead end (removal overtaken by deaths)"] += 1
            overtaken = self._world.truth.overtaken()
            self._require(overtaken, "I3", "a quorum lives, nobody can be elected, and it was no race that did it")
        return led

    def goes_on_well(self, run: Run, led: bool) -> None:
        """I8: any prefix of a journal can be resumed; the end is the goal, or a refusal with a reason."""
        if led and self._knows_an_address():
            ending, records = run.ending, run.journal.records
            came_back = isinstance(ending, RunFailed) and "ZombiePeer" in ending.message
            went_on = isinstance(ending, RunFailed) and names_who_is_left(ending.message, records, self._world.truth)
            well = isinstance(ending, RunCompleted | RunRefused) or came_back or went_on or _by_a_command(ending)
            self._require(well, "I8", f"resumed with a leader and without faults it ended as {ending}")

    def ends_well(self, run: Run, led: bool) -> None:
        """I11: recovered or refused with a reason; without a leader, told so without a change."""
        ending = run.ending
        if not self._knows_an_address():
            self._require(
                isinstance(ending, RunFailed), "I11", f"every given address is dead, yet it ended as {ending}"
            )
            return
        if not led:
            told = isinstance(ending, RunFailed) and ending.error_kind in ("quorum_lost", "no_leader", "unreachable")
            self._require(told and run.checks.removals == 0, "I11", f"without a leader it ended as {ending}")
            return
        told = (  # its playbook went past a removal that an election had stopped
            isinstance(ending, RunFailed)
            and ending.error_kind == "no_leader"
            and names_who_is_left(ending.message, run.journal.records, self._world.truth)
        )
        well = isinstance(ending, RunCompleted | RunRefused) or told or _by_a_command(ending)
        self._require(well, "I11", f"with a leader and without faults it ended as {ending}")
        truth, leader = self._world.truth, self._world.truth.leader()
        if isinstance(ending, RunCompleted) and leader is not None:
            world = self._world.model.state
            unseen = frozenset() if self._approach.is_open else run.unknown_at_the_end()  # named in its last lines
            removed = run.of_kind("removal.confirmed")
            found = [(peer, world.server_at(peer.address)) for peer in leader.peers]
            left = [
                each.name
                for peer, each in found
                if each is not None
                and each.process is ProcessState.KILLED
                and not (each.name in unseen and (removed or not peer.voter))
            ]
            self._require(not left, "I11", f"it ended as recovered and left the dead {left}")
        if isinstance(ending, RunRefused) and ending.code == UNDECIDED:
            undecided = () if self._approach.is_balanced else run.journal.state.undecided
            well_ones = [name for name in undecided if not is_in_trouble(name, truth)]
            self._require(not well_ones, "I11", f"it is undecided about {well_ones}, and nothing is wrong with them")

    def _knows_an_address(self) -> bool:
        return any(self._world.network.has_somebody_at(url) for url in self._world.incident.addresses)

    def _has_quorum(self) -> bool:
        """Whether the newest committed configuration that anybody alive holds has a quorum of the living."""
        running = [server for server in self._world.model.state.servers.values() if server.running]
        best = max(running, key=lambda server: server.committed, default=None)
        held = best.committed_configuration if best else None
        if held is None:
            return False
        alive = {server.raft_id for server in running}
        return sum(voter.id in alive for voter in held.voters) >= quorum(len(held.voters))

    def was_foretold(self, foretold: Run, run: Run) -> None:
        """I14: what the rehearsal said is what happened, as the world stood still."""
        same = (
            foretold.of_kind("removal.would_be_requested") == run.of_kind("removal.requested")
            and type(foretold.ending) is type(run.ending)
            and _end_numbers(foretold) == _end_numbers(run)
        )
        self._require(same or self._approach.is_balanced, "I14", f"foretold: {foretold.ending}; happened: {run.ending}")

    def was_quiet(self, run: Run) -> None:
        """I9: a second run of a finished playbook changes nothing."""
        ending = run.ending
        undecided = isinstance(ending, RunRefused) and ending.code == UNDECIDED and not self._approach.is_open
        quiet = run.checks.removals == 0 and (isinstance(ending, RunCompleted) or undecided)
        self._require(quiet or self._approach.is_balanced, "I9", f"a second run was not quiet: {run.ending}")

    def _require(self, held: bool, invariant: str, sentence: str) -> None:
        if not held:
            self._world.transcript.violated(invariant, sentence)


def _by_a_command(ending: Ending | None) -> bool:
    """A command failed or hung, and so the run did: that is no fault of the tool."""
    return isinstance(ending, RunFailed) and ending.error_kind.startswith("step.")


def _end_numbers(run: Run) -> object:
    outputs = [r["output"] for r in run.journal.records if r["kind"] == "step.completed" and r["step"] == "verify"]
    return outputs[-1] if outputs else None
