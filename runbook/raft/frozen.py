"""Is a server frozen, so that it may be stopped by name: nobody hears it, and yet nothing says that its process ended?

Such a server is *unknown* and stays so: a process that sleeps may wake up. Stopped on its host, it is dead.
"""

from __future__ import annotations

from runbook.raft.listeners import waiting_server
from runbook.raft.liveness import words_of_life
from runbook.raft.model import ClusterView, Peer, Reach
from runbook.raft.removal import Refusal
from runbook.raft.stopping import StopProof, may_stop

ANSWERS, HEARD, STILL_HELD = "TargetAlive", "TargetHeard", "StillHeld"


def frozen_server(view: ClusterView, name: str) -> Peer | Refusal:
    """By one look: the voter of this name, which nobody hears and the others do not need, or why not."""
    proof = may_stop(view, name)
    if not isinstance(proof, StopProof):
        return proof
    peer = proof.peer
    if proof.leads:
        return Refusal("TargetIsLeader", f"{peer.label} is the leader", "A frozen leader is replaced within seconds")
    if not peer.voter:
        return Refusal("NotAVoter", f"{peer.label} has no vote, so nothing waits for it", "Restart it on its host")
    waiting = waiting_server(view, peer)
    heard = words_of_life(view, peer) or (waiting and f"{waiting.url} answers and waits for {waiting.waits_for}")
    if heard:
        code = ANSWERS if waiting or view.vantage_of(peer) else HEARD
        return Refusal(code, f"{peer.label} is alive: {heard}", "A living server is not stopped here")
    if view.leader_id not in view.opinions_of(peer):
        sentence = f"the leader's own opinion of {peer.label} could not be read"
        return Refusal(STILL_HELD, sentence, "Name the leader's address too, then run this again")
    held = [
        f"{opinion.source} of {view.label_of(by)}: {opinion.words}"
        for by, opinion in view.opinions_of(peer).items()
        if not opinion.says_gone
    ]
    if held:
        sentence = f"{len(held)} servers have not given up {peer.label} ({held[0]})"
        return Refusal(STILL_HELD, sentence, "Is it only this host that cannot hear it? Run runbook diagnose")
    if view.probes.get(peer.address) is Reach.REFUSED:
        sentence = f"{peer.label} refuses connections at {peer.address}, so it is no frozen process"
        return Refusal("NotFrozen", sentence, "If it has stopped: runbook execute remove-dead-peers")
    return peer
