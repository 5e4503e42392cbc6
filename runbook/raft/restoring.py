"""May a cluster's state be replaced by that of a snapshot now? All that was written since the snapshot is lost."""

from __future__ import annotations

from runbook.dataclass import dataclass
from runbook.raft.liveness import Liveness, judge_once
from runbook.raft.model import ClusterView
from runbook.raft.quorum import voters_in_contact
from runbook.raft.removal import Refusal

VOTERS_MISSING = "VotersMissing"
RESTORE_COMMANDS = {
    "consul": "consul snapshot restore FILE",
    "nomad": "nomad operator snapshot restore FILE",
    "openbao": "bao operator raft snapshot restore -force FILE",
    "vault": "vault operator raft snapshot restore -force FILE",
}


@dataclass(frozen=True)
class KeptSnapshot:
    """A state snapshot in a file, as it says itself: up to which entry of the log, and of which servers' cluster.

    ``size`` is in bytes, ``sha256`` (hex) of the whole file, ``kept_at`` when it was packed (ISO, UTC; empty where it
    does not say), ``servers`` the ids in the configuration that it holds.
    """

    size: int
    sha256: str
    version: int
    index: int
    term: int
    kept_at: str
    servers: tuple[str, ...]

    def __str__(self) -> str:
        when = f"{self.kept_at}, " if self.kept_at else ""
        return f"{when}index {self.index} of term {self.term} (format {self.version})"


def refusal_of_product(cluster: str) -> Refusal | None:
    """Of a cluster by its name, where its servers restore nothing while they run."""
    kind = cluster.partition(":")[0]
    if kind in RESTORE_COMMANDS:
        return None
    sentence = f"the members of {cluster} restore no snapshot while they run: all of them begin anew from the file"
    return Refusal("NotOnline", sentence, "Use etcdutl snapshot restore as docs/operating.md says")


def refusal_to_restore(view: ClusterView, kept: KeptSnapshot) -> Refusal | None:
    """The first reason against it by one look that has a leader, or None."""
    configuration = view.configuration
    if configuration is None or view.leader_id is None:
        return Refusal("NoLeader", "the cluster has no leader", "Restore nothing: run runbook diagnose")
    known = {name for peer in configuration.peers for name in (peer.id, peer.address)}
    if not known & set(kept.servers):
        command = RESTORE_COMMANDS.get(view.cluster.partition(":")[0], "")
        sentence = f"the snapshot is of another cluster: none of its {len(kept.servers)} servers is in this one"
        return Refusal("AnotherCluster", sentence, f"Is it the right file? If it surely is, by hand: {command}")
    contact, voters = voters_in_contact(view), configuration.voters
    missing = [peer for peer in voters if peer.id not in contact or judge_once(view, peer).liveness != Liveness.ALIVE]
    if missing:
        names = ", ".join(sorted(peer.label for peer in missing))
        sentence = (
            f"{len(voters) - len(missing)} of {len(voters)} voters are alive and in contact with the leader, and the "
            f"state is replaced on all of them: {names} would keep the old one for as long as it is away"
        )
        return Refusal(VOTERS_MISSING, sentence, "Start it, or remove it with remove-dead-peers; then run this again")
    return None


def last_index(view: ClusterView) -> int | None:
    """Where the newest log ends, of those that say so."""
    ends = [vantage.last_log_index for vantage in view.answering if vantage.last_log_index is not None]
    return max(ends, default=None)


def agrees(view: ClusterView, kept: KeptSnapshot, before: int | None) -> bool:
    """Whether all servers follow one leader, and none that says where its log ends is still where it was ``before``."""
    ends = [vantage.last_log_index for vantage in view.answering if vantage.last_log_index is not None]
    behind = before is not None and any(end <= before for end in ends)
    return refusal_to_restore(view, kept) is None and not behind
