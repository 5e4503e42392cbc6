"""etcd over its JSON gateway: one look at every member, one removal, one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Literal

from runbook.cluster import http
from runbook.cluster.etcd import CLIENT_PORT, members, replies
from runbook.cluster.etcd.client import EtcdClient
from runbook.cluster.etcd.interview import MEMBERS, STATUS, Interview, interview
from runbook.cluster.etcd.opinions import StreamLog, opinions_in
from runbook.cluster.etcd.permission import reason_not_permitted
from runbook.cluster.etcd.snapshot import keep_snapshot
from runbook.cluster.http import HttpSettings
from runbook.cluster.machines import PortProbes
from runbook.cluster.network import FactsNetwork, Network, SystemNetwork, watch_ports
from runbook.cluster.vantages import at_its_address, expected_ids, one_each, route_by, why_nobody
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Peer, Reach, Vantage
from runbook.raft.quorum import reason_not_leading

READ_TIMEOUT = 3.0  # seconds; answered from memory, so a slower member is one not to rely on
PROOF_TIMEOUT = 6.0  # a member without quorum holds a linearizable read for 7 s
CHANGE_TIMEOUT, STATE_TIMEOUT = 20.0, 120.0
PERMISSION_TIMEOUT = 5.0
STATE_LIMIT = 16 * 1024**3  # bytes of JSON: twice etcd's own limit of 8 GiB for its database, as base64 is longer
NO_MINIMUM = AutopilotSettings(cleanup_dead_servers=False, min_quorum=0)  # etcd has neither

Question = tuple[Literal["http", "raft", "host"], str]  # a member's URL, or an address with a port


class EtcdCluster:
    """A cluster reached by one or more client addresses; the members publish the others', which are verified."""

    def __init__(
        self,
        addresses: tuple[str, ...],
        settings: HttpSettings,
        user: str | None = None,
        password: str = "",
        network: Network | None = None,
        *,
        name: str = "",
        servers: Mapping[str, str] | None = None,
    ) -> None:
        """``name`` is what an inventory calls it; ``servers`` says whose own an address is, by a name or an id."""
        self.name = f"etcd:{name or addresses[0]}"
        self._servers = servers or {}
        self._settings = settings
        self._network = FactsNetwork(network or SystemNetwork(settings))
        self._client = EtcdClient(self._network, user, password)
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._route = self._entries = addresses
        self.pulse = StreamLog()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return (*self._settings.secrets, *self._client.secrets)

    def look(self, *, within: float = inf) -> ClusterView:
        """Every member in parallel, the proof of quorum next, the peer ports last."""
        began = self._network.monotonic()
        until = began + within
        said = self._ask_everybody(until)
        vantages = one_each(each.vantage for each in said)
        answering = [each for each in vantages if each.server_id and each.configuration]
        answering.sort(key=lambda v: (v.state == "Leader", v.term or 0, v.last_log_index or 0), reverse=True)
        configuration, leader_id, proof, error = self._read_configuration(answering, said, until)
        view = ClusterView(
            cluster=self.name,
            taken_at=began,
            configuration=configuration,
            leader_id=leader_id,
            vantages=vantages,
            autopilot=NO_MINIMUM if configuration else None,
            error_kind=error.kind.value if error else None,
            error_text=str(error) if error else None,
            leader_term=max((v.term or 0 for v in answering), default=None) if leader_id else None,
            quorum_proof=proof,
            removal_is_final=True,
        )
        view = self._with_probes(view, until)
        now = self._network.monotonic()
        self.pulse.add(now, {each.vantage.server_id: each.streams for each in said})
        door = answering[0] if answering else None
        view = replace(view, opinions=opinions_in(view, self.pulse, now, door))
        self._route = route_by(view, self._entries)
        return self._network.with_facts(replace(view, seconds=self._network.monotonic() - began))

    def probe(self, addresses: Collection[str]) -> dict[str, Reach]:
        """A second's watch of these ports."""
        return watch_ports(self._network, addresses)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """Any member passes it on to the leader; etcd's own strict reconfiguration check may refuse it."""
        body = {"ID": replies.decimal_id(peer.id)}
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        path = "/v3/cluster/member/remove"
        self._client.first(self._route, until, lambda url: self._client.change(url, path, body, until))

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """Why a removal would be refused for want of a right: empty where it would not, None where that is not told."""
        until = self._network.monotonic() + min(PERMISSION_TIMEOUT, within)
        return reason_not_permitted(self._client, self._route[0], until)

    def add_learner(self, peer_urls: tuple[str, ...], *, within: float = inf) -> tuple[str, Mapping[str, str]]:
        """By any member, which passes it on to the leader."""
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        return self._client.first(
            self._route, until, lambda url: members.add_learner(self._client, url, peer_urls, until)
        )

    def promote(self, member_id: str, *, within: float = inf) -> None:
        """By any member, which passes it on to the leader."""
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        self._client.first(self._route, until, lambda url: members.promote(self._client, url, member_id, until))

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        """Asked of the leader itself, as no other member passes it on. Raises ClusterError where the last look did not
        meet it, or somebody else leads by now.
        """
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        body = {"targetID": replies.decimal_id(to.id) if to else "0"}
        self._client.change(self._route[0], "/v3/maintenance/transfer-leadership", body, until)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """The snapshot of one member, verified by the digest at its end; a member without quorum gives one too."""
        until = self._network.monotonic() + min(STATE_TIMEOUT, within)

        def save(url: str) -> str:
            asked = "/v3/maintenance/snapshot"
            return keep_snapshot(path, lambda file: self._client.save(url, asked, file, until, STATE_LIMIT))

        return self._client.first(self._route, until, save)

    # -- looking

    def _ask_everybody(self, until: float) -> list[Interview]:
        """Every known member and, as soon as an answer names them, the others."""

        def follow(answer: Any) -> Iterable[Question]:
            for member, urls in answer.client_urls.items():
                for url in urls:
                    if url not in self._expected:
                        self._expected[url] = member
                        yield "http", url

        first: list[Question] = [("http", url) for url in self._expected]
        answers = self._network.gather(first, self._ask, follow, self._client.left(until, 2 * READ_TIMEOUT))
        self._expected |= expected_ids(self._servers, [answer.vantage for answer in answers.values() if answer])
        return [self._complete(url, answers["http", url]) for _, url in answers]

    def _ask(self, question: Question) -> Any:
        kind, place = question
        if kind == "http":
            return interview(self._client, place, self._network.monotonic() + READ_TIMEOUT)
        return self._network.probe(place)

    def _complete(self, url: str, answer: Interview | Reach | None) -> Interview:
        expected = self._expected[url]
        if isinstance(answer, Interview):
            vantage = replace(answer.vantage, expected_id=expected)
            return replace(answer, vantage=at_its_address(vantage, self._servers))
        silence = Vantage(url, Reach.ACCEPTED, expected_id=expected, trouble="no answer in time")
        return Interview(silence, {}, error=ClusterError(ErrorKind.TIMEOUT, f"{url}: no answer in time"))

    def _read_configuration(
        self, answering: list[Vantage], said: list[Interview], until: float
    ) -> tuple[Configuration | None, str | None, str | None, ClusterError | None]:
        """The members of one that has just made a linearizable read, so that its list is no older than that."""
        if not answering:
            return None, None, None, why_nobody(said, "ETCDCTL_ENDPOINTS")
        try:
            url = answering[0].url
            limit = self._network.monotonic() + self._client.left(until, PROOF_TIMEOUT)
            self._client.prove_quorum(url, limit)
            status = replies.status(self._client.read(url, STATUS, {}, limit), url)
            told = replies.member_list(self._client.read(url, MEMBERS, {}, limit), url)
        except ClusterError as error:
            return None, None, None, _no_quorum(error, answering)
        why = "it names no leader" if status.leader is None else None
        why = why or reason_not_leading(told.configuration, status.leader or "", answering)
        if why:
            return None, None, None, ClusterError(ErrorKind.NO_LEADER, f"{url}: {why}")
        return told.configuration, status.leader, f"a linearizable read by {answering[0].label}", None

    def _with_probes(self, view: ClusterView, until: float) -> ClusterView:
        """The view with this host's own tries of the peer ports, and of the machines of who is silent and who lives."""
        ports = PortProbes.of(view, view.answering, (CLIENT_PORT,))
        limit = self._client.left(until, 2 * http.PROBE_TIMEOUT + 1)
        probes, hosts = ports.seen(self._network.gather(ports.of_peers(), self._ask, ports.after, limit))
        return replace(view, probes=probes, hosts=hosts)


def _no_quorum(error: ClusterError, answering: list[Vantage]) -> ClusterError:
    """A linearizable read that gets no answer in time is how etcd says that no quorum answers its leader."""
    if error.kind not in (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
        return error
    named = sorted({each.leader_address for each in answering if each.leader_address})
    led = f", although {answering[0].label} names {named[0]} as leader" if named else ""
    sentence = f"no linearizable read was answered, so no quorum is proven{led} ({error.sentence})"
    return ClusterError(ErrorKind.NO_LEADER, sentence)
