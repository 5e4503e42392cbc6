"""What the active server says, through whichever server's door, and whether it is believed to be active."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.cluster.vault import replies
from runbook.cluster.vault.client import VaultClient
from runbook.cluster.vault.echoes import EchoSample
from runbook.cluster.vault.interview import VaultWords
from runbook.cluster.vault.whereabouts import peer_at
from runbook.dataclass import dataclass
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import AutopilotSettings, Configuration, Peer, Vantage, same_place
from runbook.raft.quorum import quorum

STATE = "/v1/sys/storage/raft/autopilot/state"
SETTINGS = "/v1/sys/storage/raft/autopilot/configuration"
ECHOING = "/v1/sys/ha-status"


@dataclass(frozen=True)
class ActiveWords:
    """What it shows of the others, its settings, and what kept it from saying the one or the other."""

    sample: EchoSample
    settings: AutopilotSettings | None = None
    settings_trouble: str | None = None
    error: ClusterError | None = None


def ask_active(client: VaultClient, url: str, until: float) -> ActiveWords:
    """A standby passes these on to the active server, and says so where there is none."""
    picture = listed = settings = None
    settings_trouble: str | None = None
    asked_at = client.network.monotonic()
    error: ClusterError | None = None
    try:
        picture = replies.autopilot_picture(client.get(url, STATE, until), url)
        listed = replies.echoing_servers(client.get(url, ECHOING, until), url)
    except ClusterError as caught:
        error = caught
    sample = EchoSample(asked_at, client.network.monotonic(), picture, listed)
    try:
        settings = replies.autopilot_settings(client.get(url, SETTINGS, until), url)
    except ClusterError as caught:
        settings_trouble = caught.sentence
    return ActiveWords(sample, settings, settings_trouble, error)


def leader_in(
    said: Sequence[VaultWords], door: VaultWords, active: ActiveWords
) -> tuple[Configuration, Peer] | ClusterError:
    """The active server and its own configuration; or, of one that was not met, what the door holds, if autopilot shows
    the same servers.
    """
    clusters = {words.cluster_id: words.vantage.url for words in said if words.cluster_id}
    if len(clusters) > 1:
        sentence = f"the servers asked belong to {len(clusters)} clusters: {', '.join(sorted(clusters.values()))}"
        return ClusterError(ErrorKind.REJECTED, sentence, "Name the servers of one cluster")
    met = [words for words in said if words.leads_at is not None]
    if len({words.leads_at for words in met}) > 1:
        both = " and ".join(sorted(words.vantage.url for words in met)[:2])
        return ClusterError(ErrorKind.NO_LEADER, f"{both} both call themselves active")
    source = next((words for words in met if words.vantage.configuration), door)
    held, picture = source.vantage.configuration, active.sample.picture
    if held is None:
        return source.error or ClusterError(ErrorKind.NO_LEADER, f"{source.vantage.url} shows no configuration")
    leader = peer_at(source.leads_at, held) if met else None
    leader = leader or (held.peer(picture.leader) if picture else None)
    if leader is None:
        return active.error or ClusterError(ErrorKind.NO_LEADER, "no server is active")
    why = _reason_not_active(held, leader, said)
    if why is None and picture is not None and (leader.id, {*held.peers}) != _shown(picture, held):
        why = f"{source.vantage.url} and autopilot show different servers, as for seconds after a change"
        return ClusterError(ErrorKind.UNAVAILABLE, why, "Run runbook diagnose again in 10 s")
    return (held, leader) if why is None else ClusterError(ErrorKind.NO_LEADER, why)


def _shown(picture: replies.AutopilotPicture, held: Configuration) -> tuple[str, set[Peer | None]]:
    return picture.leader, {held.peer(peer_id) for peer_id in picture.rows}


def _reason_not_active(held: Configuration, leader: Peer, said: Sequence[VaultWords]) -> str | None:
    """Who was active and frozen calls itself so for a moment when it wakes up, while a quorum follows another."""
    others = [words.vantage for words in said if _follows_another(words.vantage, leader)]
    if len(others) < quorum(len(held.voters)):
        return None
    return f"{leader.label} is named active, and {len(others)} of {len(held.voters)} voters follow another"


def _follows_another(vantage: Vantage, leader: Peer) -> bool:
    named = vantage.leader_address
    return named is not None and not same_place(named, leader.address)
