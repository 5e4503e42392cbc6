"""Nomad and Consul over HTTP: one look at everybody, one removal, one state snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from runbook.cluster import http, wire
from runbook.cluster.archive import keep_archive
from runbook.cluster.dialects import Dialect, error_of
from runbook.cluster.http import Reply, Settings
from runbook.cluster.machines import by_machine, machine_ports
from runbook.cluster.network import Network, SystemNetwork
from runbook.cluster.seen import Seen, one_each, why_nobody, worth
from runbook.errors import ClusterError, ErrorKind, NoAnswerError
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, Peer, Reach, Vantage
from runbook.raft.quorum import reason_not_leading

STALE_TIMEOUT = 3.0  # seconds; answered from memory, so a slower server is one not to rely on
READ_TIMEOUT = 8.5  # above the 5.2 s (Nomad) and 7.1 s (Consul) for which a leaderless server holds a request
CHANGE_TIMEOUT, STATE_TIMEOUT = 20.0, 120.0
STATE_LIMIT = 4 * 1024**3
RAFT = "/v1/operator/raft/configuration"
SELF = "/v1/agent/self"
AUTOPILOT = "/v1/operator/autopilot"

T = TypeVar("T")
Question = tuple[Literal["http", "raft", "autopilot", "host"], str]  # a server's URL, or an address with a port


class HashiCorpCluster:
    """A cluster reached by one or more HTTP addresses; the other servers' are found in gossip and verified."""

    def __init__(
        self,
        dialect: Dialect,
        addresses: tuple[str, ...],
        settings: Settings,
        region: str | None,
        network: Network | None = None,
    ) -> None:
        self.name = f"{dialect.kind}:{addresses[0]}"
        self._dialect = dialect
        self._region = region
        self._settings = settings
        self._network = network or SystemNetwork(settings)
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._route = self._entries = addresses

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return self._settings.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        """Everybody in parallel, the Raft ports last: what looks dead was so at the end of the look, not before it.

        At most one time-out for servers that hang, one for a cluster without a leader, two for silent ports.
        """
        began = self._network.monotonic()
        seen = self._ask_everybody(until := began + within)
        vantages = one_each(seen)
        answering = sorted((v for v in vantages if v.server_id), key=worth, reverse=True)
        configuration, leader_id, error = self._read_configuration(answering, seen, until)
        view = ClusterView(
            cluster=self.name,
            taken_at=began,
            configuration=configuration,
            leader_id=leader_id,
            vantages=vantages,
            trouble=error.kind.value if error else None,
            trouble_text=str(error) if error else None,
        )
        view = self._with_last_answers(view, answering, until)
        self._route = self._route_by(view)
        return replace(view, seconds=self._network.monotonic() - began)

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """By id on protocol 3, by address on protocol 2; one peer a request, as a second is dropped without a word.

        Asked of the leader itself where the last look met it, else of a given address that answered.
        """
        named = "address" if peer.protocol == 2 else "id"
        value = peer.address if named == "address" else peer.id
        path = f"/v1/operator/raft/peer?{named}={quote(value, safe='')}"
        reply = self._first(
            self._route, min(CHANGE_TIMEOUT, within), lambda url, left: self._checked(url, "DELETE", path, left)
        )
        if reply.body.lstrip().startswith(b"<"):
            what = f"DELETE {path} was answered with a page: {reply.text}"
            raise ClusterError(
                ErrorKind.AMBIGUOUS, what, f"Is a proxy between? Name a server in {self._dialect.variable}"
            )

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """The state snapshot, its Digest verified where the server gives one."""
        asked = self._dialect.snapshot_path

        def save(url: str, left: float) -> str:
            return keep_archive(path, lambda file: self._checked(url, "GET", asked, left, STATE_LIMIT, file))

        return self._first(self._route, min(STATE_TIMEOUT, within), save)

    # -- asking

    def _left(self, until: float, most: float = inf) -> float:
        return max(0.01, min(most, until - self._network.monotonic()))

    def _get(self, url: str, path: str, until: float, fine: tuple[int, ...] = (200,)) -> Any:
        reply = self._checked(url, "GET", path, self._left(until), fine=fine)
        if reply.headers.get("x-consul-results-filtered-by-acls") == "true":
            what = f"GET {url}{path} left out what this token may not see"
            raise ClusterError(ErrorKind.FORBIDDEN, what, f"This needs {self._dialect.permission}")
        return wire.decode(reply.body, url + path)

    def _checked(
        self,
        url: str,
        method: str,
        path: str,
        timeout: float,
        limit: int = http.BODY_LIMIT,
        into: Any = None,
        fine: tuple[int, ...] = (200,),
    ) -> Reply:
        reply = self._network.ask(url, method, self._in_region(path), timeout=timeout, limit=limit, into=into)
        if reply.status in fine:
            return reply
        raise error_of(f"{method} {url}{path.split('?')[0]}", method, reply, self._dialect)

    def _in_region(self, path: str) -> str:
        if not self._region:
            return path
        return f"{path}{'&' if '?' in path else '?'}{self._dialect.region_parameter}={quote(self._region, safe='')}"

    def _first(self, urls: tuple[str, ...], seconds: float, ask: Callable[[str, float], T]) -> T:
        """From the first server that can be asked; from a second one only where the request surely did not arrive."""
        until = self._network.monotonic() + seconds
        for url in urls[:-1]:
            try:
                return ask(url, self._left(until))
            except NoAnswerError as error:
                if error.kind is ErrorKind.AMBIGUOUS:
                    raise
        return ask(urls[-1], self._left(until))

    # -- looking

    def _ask_everybody(self, until: float) -> list[Seen]:
        """Every known server and, as soon as an answer names them, the others."""
        met: set[str | None] = {None}

        def follow(answer: Any) -> Iterable[Question]:
            met.add(None if answer.vantage.other_id else answer.vantage.server_id)
            for url in self._named_by(answer.vantage, met):
                yield "http", url

        first: list[Question] = [("http", url) for url in self._expected]
        answers = self._network.gather(first, self._ask, follow, self._left(until, 2 * STALE_TIMEOUT))
        return [self._complete(url, answers["http", url]) for _, url in answers]

    def _ask(self, question: Question) -> Any:
        kind, place = question
        if kind == "autopilot":
            return self._ask_autopilot(place)
        return self._ask_vantage(place) if kind == "http" else self._network.probe(place)

    def _with_last_answers(self, view: ClusterView, answering: list[Vantage], until: float) -> ClusterView:
        """The view with what is asked last: autopilot of a leader's cluster, and every Raft port.

        Where one is silent and nobody there answers, other ports of its machine and of the machines of the living are
        tried too: a machine that is off is told apart from a process that is frozen by what its neighbours do.
        """
        held = [view.configuration, *(vantage.configuration for vantage in answering)]
        peers = {peer.address: peer for each in held if each is not None for peer in each.peers}
        silent = {address for address, peer in peers.items() if view.vantage_of(peer) is None}
        living = sorted(peers.keys() - silent)

        def machines() -> Iterable[Question]:
            for address in (*sorted(silent), *living):
                for place in machine_ports(address, self._dialect):
                    yield "host", place

        def follow(answer: Any) -> Iterable[Question]:
            return machines() if silent and answer is Reach.SILENT else ()

        questions: list[Question] = [("raft", address) for address in sorted(peers)]
        if view.configuration is not None:
            questions.append(("autopilot", answering[0].url))
        if silent and any(vantage.reach is Reach.SILENT for vantage in view.vantages):
            questions.extend(machines())  # its Raft port will be silent too, so nobody waits for that first
        said = self._network.gather(questions, self._ask, follow, self._left(until, 2 * http.PROBE_TIMEOUT + 1))
        late = None, None, f"GET {AUTOPILOT}/configuration: no answer in time"
        settings, unhealthy, unread = next((a for (kind, _), a in said.items() if kind == "autopilot" and a), late)
        return replace(
            view,
            probes={place: reach for (kind, place), reach in said.items() if kind == "raft" and reach is not None},
            hosts=by_machine(peers, {place: reach for (kind, place), reach in said.items() if kind == "host"}),
            unhealthy=unhealthy,
            autopilot=settings,
            autopilot_trouble=None if view.configuration is None else unread,
        )

    def _ask_autopilot(self, url: str) -> tuple[AutopilotSettings | None, frozenset[str] | None, str | None]:
        """The leader's settings and its opinion of the servers, as far as it tells them in time; why no settings."""
        until = self._network.monotonic() + STALE_TIMEOUT
        place = f"{AUTOPILOT}/configuration"  # not ?stale: a follower that lags holds an older minimum
        settings = opinion = unread = None
        try:
            settings = wire.autopilot_settings(self._get(url, place, until), url + place)
            opinion = wire.unhealthy(self._get(url, f"{AUTOPILOT}/health", until, (200, 429)))
        except ClusterError as error:
            unread = error.sentence if settings is None else None  # the opinion is one voice among several
        return settings, opinion, unread

    def _ask_vantage(self, url: str) -> Seen:
        """What it says before something goes wrong counts: who says its name lives, whatever it cannot tell."""
        until = self._network.monotonic() + STALE_TIMEOUT
        vantage = Vantage(url, Reach.ACCEPTED)
        try:
            vantage, region = wire.own_words(self._get(url, SELF, until), self._dialect.role, url)
            vantage = replace(vantage, other_id=self._other_at(vantage, until))
            if vantage.server_id:
                held, _ = wire.configuration(self._get(url, f"{RAFT}?stale", until), url)
                vantage = replace(vantage, configuration=held)
            return Seen(replace(vantage, members=self._members(vantage, region, until)))
        except NoAnswerError as error:
            reach = Reach.ANSWERED if vantage.server_id else error.reach
            return Seen(replace(vantage, reach=reach, trouble=str(error)), error)
        except ClusterError as error:
            refused = error.kind is ErrorKind.FORBIDDEN
            return Seen(replace(vantage, reach=Reach.ANSWERED, forbidden=refused, trouble=str(error)), error)

    def _other_at(self, vantage: Vantage, until: float) -> str | None:
        """Who else answers there, asked where the address is not the server's own: a load balancer's."""
        host = urlsplit(vantage.url).hostname
        if vantage.server_id is None or f"{vantage.raft_address}".rpartition(":")[0].strip("[]") == host:
            return None
        second_door = f"{vantage.url}/"  # the same place by another connection, which a balancer may lead elsewhere
        try:
            again, _ = wire.own_words(self._get(second_door, SELF, until), self._dialect.role, vantage.url)
        except ClusterError:
            return None
        return again.server_id if again.server_id != vantage.server_id else None

    def _members(self, vantage: Vantage, region: str | None, until: float) -> tuple[Member, ...]:
        """Its gossip; one that lacks the server itself was cut by an ACL, and absence from it would prove nothing."""
        told = self._get(vantage.url, "/v1/agent/members", until)
        everywhere = wire.members(told, self._dialect.role, None, vantage.url)
        if vantage.server_id and not any(member.raft_address == vantage.raft_address for member in everywhere):
            what = f"{vantage.url}/v1/agent/members does not list that server itself"
            raise ClusterError(ErrorKind.FORBIDDEN, what, f"This needs {self._dialect.permission}")
        return wire.members(told, self._dialect.role, self._region or region, vantage.url)

    def _named_by(self, vantage: Vantage, met: set[str | None]) -> Iterable[str]:
        """HTTP addresses are published nowhere: gossip's IP and the port we used, believed if its id fits."""
        parts = urlsplit(vantage.url)
        for member in vantage.members or ():
            url = f"{parts.scheme}://{member.raft_address.rpartition(':')[0]}:{parts.port or self._dialect.port}"
            if member.id not in met:
                self._expected[url] = self._expected.get(url) or member.id
                yield url

    def _complete(self, url: str, answer: Seen | Reach | None) -> Seen:
        expected = self._expected[url]
        if isinstance(answer, Seen):
            return replace(answer, vantage=replace(answer.vantage, expected_id=expected))
        silence = Vantage(url, Reach.ACCEPTED, expected_id=expected, trouble="no answer in time")
        return Seen(silence, ClusterError(ErrorKind.TIMEOUT, f"{url}: no answer in time"))

    def _read_configuration(
        self, answering: list[Vantage], seen: list[Seen], until: float
    ) -> tuple[Configuration | None, str | None, ClusterError | None]:
        """The leader's own words, believed when the server it names does not itself deny it."""
        if not answering:
            return None, None, why_nobody(seen, self._dialect.variable)
        try:
            urls = tuple(vantage.url for vantage in answering)
            reply = self._first(
                urls, self._left(until, READ_TIMEOUT), lambda url, left: self._checked(url, "GET", RAFT, left)
            )
            configuration, leader = wire.configuration(wire.decode(reply.body, urls[0] + RAFT), urls[0] + RAFT)
        except ClusterError as error:
            return None, None, error
        why = reason_not_leading(configuration, leader, answering) if leader else "no server is named leader"
        if why:
            return None, None, ClusterError(ErrorKind.NO_LEADER, why)
        return configuration, leader, None

    def _route_by(self, view: ClusterView) -> tuple[str, ...]:
        """Where a change is asked for: the leader, then given addresses that answered, then found ones."""
        peer = view.configuration.peer(view.leader_id) if view.configuration and view.leader_id else None
        leader = view.vantage_of(peer) if peer else None
        answering = [vantage.url for vantage in view.answering]
        given = [url for url in self._entries if url in answering]
        return tuple(dict.fromkeys([*([leader.url] if leader else []), *given, *answering])) or self._entries
