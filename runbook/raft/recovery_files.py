"""How each product is recovered from a lost quorum, and the files that it takes.

Where each looks for peers.json, and in which format: docs/servers/nomad.md#peersjson and consul.md. How etcd begins a
new cluster from the data of one member: docs/servers/etcd.md#when-quorum-is-lost-in-etcd.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from runbook.dataclass import dataclass
from runbook.raft.model import Peer
from runbook.raft.removal import Refusal

PEERS_JSON, FORCE_NEW_CLUSTER = "peers.json", "force-new-cluster"
_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


@dataclass(frozen=True)
class RaftFiles:
    """The files of one product.

    Args:
        kind: The product.
        raft: The Raft folder, below the data folder.
        id_file: The file that holds the server's id, below the data folder.
        unit: What its systemd unit is usually called.
        look: The product's own command that shows the configuration.
        ids_since: The first version that reads ids in the file.
        like: A file of the Raft folder that every server has which would read the file; its owner is taken too.
        copied: What is copied aside before, below the data folder; empty where that is the whole of it.
        tells_id: Whether every server has the file with its id.
        unseal: The command after which a server reads the file, where that is not its start.
        forced: Whether no file is written: one survivor begins a new cluster from its data, and the others are empty
            members of that.
        raft_data: What a server has below its data folder once it was a member; a new one has none of it.
        added: Whether a new server is added from outside, and does not join by itself.
    """

    kind: str
    raft: str
    id_file: str
    unit: str
    look: str
    ids_since: tuple[int, int, int]
    like: str = "peers.info"
    copied: str = ""
    tells_id: bool = True
    unseal: str = ""
    forced: bool = False
    raft_data: tuple[str, ...] = ()
    added: bool = False

    @property
    def method(self) -> str:
        """As its documentation calls it."""
        return FORCE_NEW_CLUSTER if self.forced else PEERS_JSON

    def reason_not_read(self, peer: Peer, version: str | None) -> Refusal | None:
        """Why this server could not read the file that its protocol asks for."""
        number = version_number(version)
        if peer.protocol == 2 or number is None or number >= self.ids_since:
            return None
        sentence = f"{peer.label} runs {self.kind} {version}, which reads no ids in peers.json whatever protocol it has"
        needed = ".".join(map(str, self.ids_since))
        return Refusal("FormatNotRead", sentence, f"Update the survivors to {needed} or later first, data in place")


FILES = {
    "nomad": RaftFiles(
        "nomad",
        "server/raft",
        "server/node-id",
        "nomad",
        "nomad operator raft list-peers -stale",
        (0, 9, 2),
        copied="server/raft",
        raft_data=("server/raft",),
    ),
    "consul": RaftFiles(
        "consul",
        "raft",
        "node-id",
        "consul",
        "consul operator raft list-peers -stale",
        (1, 0, 0),
        copied="raft",
        raft_data=("raft",),
    ),
    "openbao": RaftFiles(
        "openbao",
        "raft",
        "node-id",  # where its configuration gives it none
        "openbao",
        "bao operator raft list-peers",
        (0, 0, 0),
        like="raft.db",
        tells_id=False,
        unseal="bao operator unseal",
        raft_data=("raft", "vault.db"),
    ),
    "etcd": RaftFiles(
        "etcd",
        "member",
        "",  # a member's id stands in its log
        "etcd",
        "etcdctl member list",
        (0, 0, 0),
        like="snap/db",
        copied="member",
        tells_id=False,
        forced=True,
        raft_data=("member",),
        added=True,
    ),
}


def files_of(kind: str) -> RaftFiles | Refusal:
    """Of this product, or a refusal where no recovery is built in."""
    if kind in FILES:
        return FILES[kind]
    if kind == "vault":
        sentence = "Vault shows no configuration without an active server, so whom it lists cannot be read from outside"
        next_action = (
            "See first that no majority runs elsewhere. Then stop the survivors, write the same raft/peers.json with "
            "all of them in it on each, start them, and unseal them: it is read only then"
        )
        return Refusal("NoRecoveryForProduct", sentence, next_action)
    sentence = f"how {kind} is recovered from a lost quorum is not built in here"
    return Refusal("NoRecoveryForProduct", sentence, "Follow the product's own page on disaster recovery")


def version_number(version: str | None) -> tuple[int, int, int] | None:
    """``1.8.7+ent`` as numbers; None where it cannot be read."""
    found = _VERSION.match(version or "")
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def peers_json(members: Sequence[tuple[Peer, bool]]) -> str:
    """The file's text, the same for every survivor: each peer that goes on, and whether it has a vote.

    On protocol 2 it is a list of addresses, and none of them can be without a vote.
    """
    if all(peer.protocol == 2 for peer, _ in members):
        return json.dumps([peer.address for peer, _ in members], indent=2) + "\n"
    entries = [{"id": peer.id, "address": peer.address, "non_voter": not voter} for peer, voter in members]
    return json.dumps(entries, indent=2) + "\n"
