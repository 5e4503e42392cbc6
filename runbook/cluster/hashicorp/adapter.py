"""Nomad and Consul over HTTP: one look at everybody, one removal, one state snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import IO, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from runbook.cluster import http
from runbook.cluster.access import socket_path
from runbook.cluster.archive import keep_archive
from runbook.cluster.hashicorp import replies
from runbook.cluster.hashicorp.autopilot import AUTOPILOT, Pulse, ask_for_proof, ask_health, ask_settings, needs_pulse
from runbook.cluster.hashicorp.client import Client
from runbook.cluster.hashicorp.dialects import Dialect
from runbook.cluster.hashicorp.interview import RAFT, Seen, interview, worth
from runbook.cluster.hashicorp.opinions import opinions_in, with_pulse
from runbook.cluster.hashicorp.permission import reason_not_permitted
from runbook.cluster.hashicorp.pulse import HealthSample
from runbook.cluster.http import HttpSettings, Reply
from runbook.cluster.machines import PortProbes
from runbook.cluster.network import FactsNetwork, Network, SystemNetwork, watch_ports
from runbook.cluster.vantages import at_its_address, expected_ids, one_each, route_by, why_nobody
from runbook.decode import decode
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage
from runbook.raft.quorum import reason_not_leading

STALE_TIMEOUT = 3.0  # seconds; answered from memory, so a slower server is one not to rely on
READ_TIMEOUT = 8.5  # above the 5.2 s (Nomad) and 7.1 s (Consul) for which a leaderless server holds a request
CHANGE_TIMEOUT, STATE_TIMEOUT = 20.0, 120.0
RESTORE_TIMEOUT = 600.0  # it is sent, and then to every other server before the answer; Nomad waits a minute more
PERMISSION_TIMEOUT = 5.0
STATE_LIMIT = 4 * 1024**3

T = TypeVar("T")
# With a server's URL, or an address with a port.
Question = tuple[Literal["http", "leader", "raft", "settings", "health", "proof", "host"], str]


class HashiCorpCluster:
    """A cluster reached by one or more HTTP addresses; the other servers' are found in gossip and verified."""

    def __init__(
        self,
        dialect: Dialect,
        addresses: tuple[str, ...],
        settings: HttpSettings,
        region: str | None,
        network: Network | None = None,
        *,
        patient: bool = True,
        name: str = "",
        servers: Mapping[str, str] | None = None,
    ) -> None:
        """``patient``: a look may wait 2.5 s for a second sample of the leader's pulse, where it needs one, and tries
        all ports. ``name`` is the inventory's for it; ``servers`` says whose own an address is, by a name or an id.
        """
        self.name = f"{dialect.kind}:{name or addresses[0]}"
        self._dialect = dialect
        self._settings = settings
        self._network = FactsNetwork(network or SystemNetwork(settings))
        self._client = Client(dialect, self._network, region)
        self.pulse = Pulse(self._client)
        self._patient, self._pulse_is_needed = patient, False
        self._servers = servers or {}
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._route, self._entries, self._has_leader = addresses, addresses, True

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return self._settings.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        """Everybody in parallel, the Raft ports last: what looks dead was so at the end of the look, not before it.

        At most one time-out for a leader that is slow or is none, while servers that hang are waited for too, and two
        for silent ports.
        """
        began = self._network.monotonic()
        seen, said = self._ask_everybody(until := began + within)
        vantages = one_each(each.observed for each in seen)
        answering = sorted((v for v in vantages if v.server_id), key=worth, reverse=True)
        configuration, leader_id, error = self._read_configuration(answering, seen, said, until)
        view = ClusterView(
            cluster=self.name,
            taken_at=began,
            configuration=configuration,
            leader_id=leader_id,
            vantages=vantages,
            error_kind=error.kind.value if error else None,
            error_text=str(error) if error else None,
        )
        view = self._with_last_answers(replace(view, opinions=opinions_in(view)), answering, until)
        view = self._with_opinions(view)
        self._route, self._has_leader = route_by(view, self._entries), view.leader_id is not None
        return self._network.with_facts(replace(view, seconds=self._network.monotonic() - began))

    def probe(self, addresses: Collection[str]) -> dict[str, Reach]:
        """A second's watch of these ports."""
        return watch_ports(self._network, addresses)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """By id on protocol 3, by address on protocol 2; one peer a request, as a second is dropped without a word.

        Asked of the leader itself where the last look met it, else of a given address that answered.
        """
        named = "address" if peer.protocol == 2 else "id"
        value = peer.address if named == "address" else peer.id
        path = f"/v1/operator/raft/peer?{named}={quote(value, safe='')}"
        reply = self._client.first(
            self._route, min(CHANGE_TIMEOUT, within), lambda url, left: self._client.checked(url, "DELETE", path, left)
        )
        if reply.body.lstrip().startswith(b"<"):
            what = f"DELETE {path} was answered with a page: {reply.text}"
            raise ClusterError(
                ErrorKind.AMBIGUOUS, what, f"Is a proxy between? Name a server in {self._dialect.variable}"
            )

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:
        """Asked of the leader itself where the last look met it; another server passes it on."""
        method, path = self._dialect.transfer
        path += f"?id={quote(to.id, safe='')}" if to else ""
        self._client.first(
            self._route, min(CHANGE_TIMEOUT, within), lambda url, left: self._client.checked(url, method, path, left)
        )

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """Why a removal would be refused for want of a right: empty where it would not, None where that is not told.

        Without a token nobody is asked: then there are no rights, or the first look has failed.
        """
        if not self._settings.headers:
            return None
        until = self._network.monotonic() + min(PERMISSION_TIMEOUT, within)
        return reason_not_permitted(self._client, self._route[0], until)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """The state snapshot, its Digest verified where the server gives one.

        Where the last look met no leader, it is what the server asked remembers.
        """
        asked = self._dialect.snapshot_path if self._has_leader else f"{self._dialect.snapshot_path}?stale"

        def save(url: str, left: float) -> str:
            return keep_archive(
                path, lambda file: self._client.checked(url, "GET", asked, left, STATE_LIMIT, file), left
            )

        return self._client.first(self._route, min(STATE_TIMEOUT, within), save)

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        """By any server, which passes it on to the leader."""

        def send(url: str, left: float) -> None:
            state.seek(0)
            self._client.checked(url, "PUT", self._dialect.snapshot_path, left, body=state)

        self._client.first(self._route, min(RESTORE_TIMEOUT, within), send)

    # -- looking

    def _ask_everybody(self, until: float) -> tuple[list[Seen], dict[str, Any]]:
        """Every known server and, as soon as an answer names them, the others; beside that, and by URL, the leader for
        its configuration, through its own door and the one through which it was met last.
        """
        met: set[str | None] = {None}

        def follow(answer: Any) -> Iterable[Question]:
            if not isinstance(answer, Seen):
                return
            met.add(None if answer.vantage.other_id else answer.vantage.server_id)
            if answer.vantage.server_id and (answer.vantage.state == "Leader" or answer.vantage.url == self._route[0]):
                yield "leader", answer.vantage.url
            for url in self._named_by(answer.vantage, met):
                yield "http", url

        first: list[Question] = [("http", url) for url in self._expected]
        if self._pulse_is_needed:  # a first sample now, so that less is to be waited for until the second
            first.append(("health", self._route[0]))
        limit = max(2 * STALE_TIMEOUT, READ_TIMEOUT)
        answers = self._network.gather(first, self._ask, follow, self._client.left(until, limit))
        health = next((answer for (kind, _), answer in answers.items() if kind == "health"), None)
        self.pulse.keep(health)
        met_here = {question: answer for question, answer in answers.items() if question[0] == "http"}
        self._expected |= expected_ids(self._servers, [answer.vantage for answer in met_here.values() if answer])
        said = {url: answer for (kind, url), answer in answers.items() if kind == "leader"}
        return [self._complete(url, answer) for (_, url), answer in met_here.items()], said

    def _ask(self, question: Question) -> Any:
        kind, place = question
        until = self._network.monotonic() + STALE_TIMEOUT
        if kind == "http":
            return interview(self._client, place, until)
        if kind == "leader":
            return self._ask_for_configuration(place, READ_TIMEOUT)
        if kind == "settings":
            return ask_settings(self._client, place, until)
        if kind == "health":
            return ask_health(self._client, place, until)
        return ask_for_proof(self._client, place, until) if kind == "proof" else self._network.probe(place)

    def _with_last_answers(self, view: ClusterView, answering: list[Vantage], until: float) -> ClusterView:
        """The view with what is asked last: what the leader says through any door, and every Raft port."""
        ports = PortProbes.of(view, answering, (self._dialect.port, self._dialect.gossip_port))
        # Where every peer has answered for itself, no port decides anything: a check leaves them out.
        questions: list[Question] = [*ports.of_peers()] if self._patient or ports.silent else []
        if view.configuration is not None:
            door = answering[0].url
            self._pulse_is_needed = self._patient and needs_pulse(view)
            if self._pulse_is_needed:
                self.pulse.wait_for_a_beat(door, min(until, self._network.monotonic() + STALE_TIMEOUT))
            questions += [("settings", door), ("health", door), ("proof", door)]
        if any(vantage.reach is Reach.SILENT for vantage in view.vantages):
            questions += ports.of_machines()  # its Raft port will be silent too, so nobody waits for that first
        said = self._network.gather(
            questions, self._ask, ports.after, self._client.left(until, 2 * http.PROBE_TIMEOUT + 1)
        )
        by_kind = {kind: answer for (kind, _), answer in said.items() if answer is not None}
        health: HealthSample | None = by_kind.get("health")
        self.pulse.keep(health)
        settings, unread = by_kind.get("settings", (None, f"GET {AUTOPILOT}/configuration: no answer in time"))
        probes, hosts = ports.seen(said)
        return replace(
            view,
            probes=probes,
            hosts=hosts,
            unhealthy=health.unhealthy if health else None,
            autopilot=settings,
            autopilot_error=None if view.configuration is None else unread,
            quorum_proof=by_kind.get("proof"),
        )

    def _with_opinions(self, view: ClusterView) -> ClusterView:
        samples = self.pulse.samples if view.configuration is not None else ()
        reigns = [sample.reign for sample in samples if sample.reign is not None]
        term = reigns[-1][1] if reigns and reigns[-1][0] == view.leader_id else None
        return replace(view, opinions=with_pulse(view, view.opinions, samples), leader_term=term)

    def _named_by(self, vantage: Vantage, met: set[str | None]) -> Iterable[str]:
        """HTTP addresses are published nowhere: gossip's IP and the port we used, believed if its id fits."""
        if socket_path(vantage.url):  # which names neither a scheme nor a port for the others
            return
        parts = urlsplit(vantage.url)
        for member in vantage.members or ():
            url = f"{parts.scheme}://{member.raft_address.rpartition(':')[0]}:{parts.port or self._dialect.port}"
            if member.id not in met:
                self._expected[url] = self._expected.get(url) or member.id
                yield url

    def _complete(self, url: str, answer: Seen | Reach | None) -> Seen:
        expected = self._expected[url]
        if isinstance(answer, Seen):
            vantage = replace(answer.vantage, expected_id=expected)
            return replace(answer, vantage=at_its_address(vantage, self._servers))
        silence = Vantage(url, Reach.ACCEPTED, expected_id=expected, trouble="no answer in time")
        return Seen(silence, ClusterError(ErrorKind.TIMEOUT, f"{url}: no answer in time"))

    def _ask_for_configuration(self, url: str, seconds: float) -> Reply | ClusterError:
        try:
            return self._client.checked(url, "GET", RAFT, seconds)
        except ClusterError as error:
            return error

    def _read_configuration(
        self, answering: list[Vantage], seen: list[Seen], said: Mapping[str, Any], until: float
    ) -> tuple[Configuration | None, str | None, ClusterError | None]:
        """The leader's own words, believed when the server it names does not itself deny it."""
        if not answering:
            return None, None, why_nobody(seen, self._dialect.variable)
        try:
            url, reply = self._leaders_reply([vantage.url for vantage in answering], said, until)
            configuration, leader = replies.configuration(decode(reply.body, url + RAFT), url + RAFT)
        except ClusterError as error:
            return None, None, error
        why = reason_not_leading(configuration, leader, answering) if leader else "no server is named leader"
        if why:
            return None, None, ClusterError(ErrorKind.NO_LEADER, why)
        return configuration, leader, None

    def _leaders_reply(self, urls: list[str], said: Mapping[str, Any], until: float) -> tuple[str, Reply]:
        """The first that somebody gave: of those that were asked already, in this order, and then of the others."""
        for url in urls:
            answer = said.get(url)
            if isinstance(answer, Reply):
                return url, answer
            if isinstance(answer, ClusterError) and not isinstance(answer, NoAnswerError):
                raise answer
        others = tuple(url for url in urls if url not in said)
        if not others:
            errors = (answer for answer in said.values() if answer is not None)
            raise next(errors, ClusterError(ErrorKind.TIMEOUT, f"GET {urls[0]}{RAFT}: no whole answer in time"))
        limit = self._client.left(until, STALE_TIMEOUT if said else READ_TIMEOUT)
        return others[0], self._client.first(
            others, limit, lambda url, left: self._client.checked(url, "GET", RAFT, left)
        )
