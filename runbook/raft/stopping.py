"""Whether a server may be stopped for a while, as for a reboot: the others must keep the leader's quorum without it."""

from __future__ import annotations

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView, Configuration, Peer, named
from runbook.raft.quorum import quorum, voters_in_contact
from runbook.raft.removal import Refusal

WOULD_LOSE_QUORUM = "WouldLoseQuorum"


@dataclass(frozen=True)
class StopProof:
    """Which server, and how many of ``voters`` keep the quorum without it; ``needed`` is the quorum."""

    peer: Peer
    leads: bool
    live: int
    voters: int
    needed: int

    @property
    def tolerance(self) -> int:
        """How many more may fail while it is away."""
        return self.live - self.needed


def server_called(configuration: Configuration, name: str) -> Peer | Refusal:
    """The one server of the configuration that a person may mean by this name, id or address."""
    found = named(configuration, name)
    if len(found) == 1:
        return found[0]
    which = f"{len(found)} servers are called" if found else "no server of the configuration is called"
    labels = ", ".join(sorted(peer.label for peer in configuration.peers))
    return Refusal("NoSuchServer", f"{which} {name}; there are {labels}", "Name one of these, or its id")


def may_stop(view: ClusterView, name: str, *, spare: int = 0) -> StopProof | Refusal:
    """Prove by one look that this server may be away.

    Counted are the voters that are alive and in contact with the leader: who is unknown may be away already.

    Args:
        name: its name, with or without its region, its id or its Raft address.
        spare: how many more must be able to fail meanwhile.
    """
    configuration = view.configuration
    if configuration is None:
        return Refusal("NoLeader", "the cluster has no leader", "Stop nothing: run runbook diagnose")
    peer = server_called(configuration, name)
    if isinstance(peer, Refusal):
        return peer
    contact, voters = voters_in_contact(view), configuration.voters
    counted = {p.id for p in voters if p.id in contact and judge_once(view, p).liveness is Liveness.ALIVE}
    live, needed = len(counted - {peer.id}), quorum(len(voters))
    if peer.voter and live < needed + spare:
        away = sorted(p.label for p in voters if p.id not in counted and p != peer)
        more = f", with {spare} to spare," if spare else ""
        sentence = (
            f"without {peer.label}, {live} of {len(voters)} voters are alive and in contact with the leader, "
            f"and {needed}{more} are needed"
        )
        wait = f"Stop nothing before {', '.join(away)} is back" if away else "Add a voter first"
        return Refusal(WOULD_LOSE_QUORUM, sentence, f"{wait}; runbook diagnose says how each server is")
    return StopProof(peer, peer.id == view.leader_id, live, len(voters), needed)
