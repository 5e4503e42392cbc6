"""What one server of Vault or OpenBao says of itself: sealed or not, active or standby, and which configuration it has.

It does not say which server it is, unless its response headers are set to: docs/servers/vault.md#who-answers.
"""

from __future__ import annotations

from dataclasses import replace

from runbook.cluster.vault import replies
from runbook.cluster.vault.client import VaultClient
from runbook.cluster.vault.products import VaultProduct
from runbook.dataclass import dataclass
from runbook.decode import decode
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import Reach, Vantage

SEAL, LEADER = "/v1/sys/seal-status", "/v1/sys/leader"
RAFT = "/v1/sys/storage/raft/configuration"
ID_HEADER = "x-vault-raft-node-id"


@dataclass(frozen=True)
class VaultWords:
    """One server's words, and what kept it from saying all of them.

    ``own_id`` is its id where it tells that; ``leads_at`` its Raft address where it says that it is active itself.
    """

    vantage: Vantage
    own_id: str | None = None
    leads_at: str | None = None
    cluster_id: str | None = None
    error: ClusterError | None = None


def interview(client: VaultClient, url: str, until: float) -> VaultWords:
    """What it says before something goes wrong counts: whether it is sealed needs no token, the configuration does."""
    words = VaultWords(Vantage(url, Reach.ACCEPTED))
    try:
        reply = client.ask(url, "GET", SEAL, until)
        seal = replies.seal_status(decode(reply.body, url + SEAL), url)
        vantage = replace(words.vantage, reach=Reach.ANSWERED, version=seal.version)
        words = replace(words, vantage=vantage, own_id=reply.headers.get(ID_HEADER) or None)
        words = replace(words, cluster_id=seal.cluster_id)
        reason = _reason_apart(seal, url, client.product)
        if reason is not None:
            return replace(words, vantage=_apart(vantage, seal, *reason))
        words = _of_unsealed(words, replies.active_server(client.get(url, LEADER, until), url))
        held, _ = replies.configuration(client.get(url, RAFT, until), url)
        return replace(words, vantage=replace(words.vantage, configuration=held))
    except NoAnswerError as error:
        reach = error.reach if words.vantage.reach is Reach.ACCEPTED else Reach.ANSWERED
        broken = replace(words.vantage, reach=reach, trouble=str(error), settled_by=error.settled_by)
        return replace(words, vantage=broken, error=error)
    except ClusterError as error:
        refused = error.kind is ErrorKind.FORBIDDEN
        vantage = replace(words.vantage, reach=Reach.ANSWERED, forbidden=refused, trouble=str(error))
        return replace(words, vantage=vantage, error=error)


def _reason_apart(seal: replies.SealStatus, url: str, product: VaultProduct) -> tuple[str, str] | None:
    """What a server that runs waits for before it takes part in anything, and what brings it back."""
    if seal.storage not in (None, replies.RAFT_STORAGE):
        return f"nothing: its storage is {seal.storage:.40}", "Only integrated storage is recovered here"
    if seal.removed:
        return "nothing: it was removed from the cluster", "Delete its Raft data, and let it join as a new server"
    if not seal.initialized:
        return "a cluster to join: it has no data", "Let it join the cluster, or initialise it if there is none yet"
    if not seal.sealed:
        return None
    if seal.seal == "shamir":
        shares = f"{seal.given} of {seal.needed} key shares given" if seal.needed else "no key share given"
        return f"its key: {shares}", f"Unseal it: {product.command} operator unseal -address={url}"
    words = f"its key, which its seal ({seal.seal:.40}) has not given"
    return words, "It should unseal itself: see in its log why the seal does not answer it"


def _apart(vantage: Vantage, seal: replies.SealStatus, waits_for: str, settled_by: str) -> Vantage:
    state = None if seal.storage != replies.RAFT_STORAGE or seal.removed else "Sealed" if seal.initialized else "Empty"
    trouble = f"{vantage.url} answers and waits for {waits_for}"
    return replace(vantage, state=state, waits_for=waits_for, settled_by=settled_by, trouble=trouble)


def _of_unsealed(words: VaultWords, active: replies.ActiveServer) -> VaultWords:
    vantage = replace(
        words.vantage,
        state="Leader" if active.is_self else "Follower",
        leader_address=active.place,
        last_log_index=active.committed,
        commit_index=active.committed,
    )
    return replace(words, vantage=vantage, leads_at=active.place if active.is_self else None)
