"""The programs that a playbook of a proof starts: nomad's own removal is played on the servers, and held to the same
invariants as ours; of any other it is presumed that it ends well and changes nothing, which is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runbook.hosts.process import Command, Ended
from runbook.lab.virtual.messages import SentRequest
from runbook.proving import oracle
from runbook.proving.checks import OLDEST_EVIDENCE, Checks
from runbook.proving.faults import AT_A_PAUSE, ProofFault
from runbook.proving.held import Asked
from runbook.proving.machines import ProofMachines
from runbook.proving.stage import ProofStage
from runbook.proving.tool import Reach_

REMOVES = ("nomad", "operator", "raft", "remove-peer")
AT_A_REMOVAL = (ProofFault.LOST_REPLY, ProofFault.CARRIED_OUT_LATE, *AT_A_PAUSE)
LATE = 45.0  # seconds after which a removal is carried out whose command was given up


@dataclass
class Programs:
    """Those of one run. ``begun`` are the peers whose removal was asked for, by the process that did."""

    stage: ProofStage
    machines: ProofMachines
    presumed: set[str] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    process: int = 0

    @property
    def unseen(self) -> set[str]:
        """The peers of whose removal nobody has seen the end."""
        return self.begun.keys() - self.ended

    def player(self, checks: Checks, uses: Callable[[], str], reach: Reach_) -> Callable[[Command, float], Ended]:
        """For one process of the tool. ``uses`` is the type of the step that is at work."""

        def play(command: Command, seconds: float) -> Ended:
            if uses() != "command.run":
                return self.machines.run(command, seconds, uses(), checks, reach)
            peer = _whom(command.argv)
            if peer is None:
                self.presumed.add(" ".join(map(str, command.argv[:2])))
                return Ended(0, "", "", 0)
            return self._remove(peer, seconds, checks, reach)

        return play

    def _remove(self, peer_id: str, seconds: float, checks: Checks, reach: Reach_) -> Ended:
        stage = self.stage
        fault = reach("before the command removes", AT_A_REMOVAL)
        leader = stage.truth.leader()
        self._may_be_removed(peer_id, checks)
        if leader is None:
            return Ended(1, "", "No cluster leader", 0)
        path = f"/v1/operator/raft/peer?id={peer_id}"
        late = fault is ProofFault.CARRIED_OUT_LATE
        request = SentRequest(leader, "DELETE", path, stage.request_to_remove(peer_id), None, sent=True)
        stage.truth.asked.asked.append(Asked(checks.who, peer_id, request))
        self.begun[peer_id] = self.process
        self.ended.discard(peer_id)
        stage.timeline.after(LATE if late else 0.01, lambda: stage.network.arrive(request))
        reach("the command removes", AT_A_PAUSE)
        unanswered = late or fault is ProofFault.LOST_REPLY
        until = stage.timeline.now + seconds
        stage.timeline.wait(until, lambda: request.finished and not unanswered)
        if unanswered or request.reply is None:
            return Ended(None, "", "", 0)
        self.ended.add(peer_id)
        reach("after the command", AT_A_PAUSE)
        return Ended(0 if request.reply.status == 200 else 1, "", request.reply.text, 0)

    def _may_be_removed(self, peer_id: str, checks: Checks) -> None:
        """I1, I3, I6 and I8, against the truth."""
        stage, truth = self.stage, self.stage.truth
        stage.transcript.tell(checks.who, f"nomad operator raft remove-peer -peer-id={peer_id}")
        self._is_no_repetition(peer_id, checks)
        leader = truth.leader()
        peer = next((each for each in leader.peers if each.id == peer_id), None) if leader else None
        if leader is None or peer is None:
            return
        server, name = truth.server_of(peer), checks.name_of(peer)
        alive = server is not None and server.running and stage.model.state.connected(leader, server)
        self._hold(checks, not alive, "I1", f"a command removes {name}, which lives")
        doubt = checks.reason_not_dead(peer)
        checks.require(alive or doubt is None, "I1", f"a command removes {name}, which is not proven dead: {doubt}")
        left = sum(each.voter and each.id != peer_id for each in leader.peers)
        live, needed = truth.live_in_reach(leader, peer_id), oracle.majority(left)
        sentence = f"a command removes {name}, and {live} live voters of {left} are left, {needed} needed"
        self._hold(checks, live >= needed, "I3", sentence)

    def _is_no_repetition(self, peer_id: str, checks: Checks) -> None:
        name = self.stage.name_of(peer_id)
        if peer_id in self.unseen and self.begun[peer_id] != self.process:
            checks.require(False, "I8", f"a resumed run removes {name} again: nobody saw how its command ended")
        elif peer_id in self.unseen:
            checks.require(False, "I6", f"a command removes {name} again: nobody saw how the first ended")
        elif self.stage.truth.asked.held(checks.who):
            checks.require(False, "I6", f"a command removes {name} while a removal is unsettled")

    def _hold(self, checks: Checks, held: bool, invariant: str, sentence: str) -> None:
        """What happened since a look that is young enough no tool can know."""
        age = checks.seconds_since_look()
        if age > OLDEST_EVIDENCE:
            checks.require(held, invariant, f"{sentence}; the look that it follows from began {age:.0f} s ago")
        else:
            checks.require_or_race(held, invariant, sentence)


def _whom(argv: Sequence[object]) -> str | None:
    """Whom this command removes, by id; nothing where it is another."""
    words = [str(word) for word in argv]
    if tuple(words[: len(REMOVES)]) != REMOVES:
        return None
    for word, value in zip(words, [*words[1:], ""], strict=True):
        name, given, inline = word.lstrip("-").partition("=")
        if name == "peer-id":
            return inline if given else value
    return None
