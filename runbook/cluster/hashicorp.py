"""Nomad and Consul over HTTP: one look at everybody, one removal, one state snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from runbook.cluster import http, wire
from runbook.cluster.archive import keep_archive
from runbook.cluster.dialects import CONSUL as CONSUL
from runbook.cluster.dialects import NOMAD as NOMAD
from runbook.cluster.dialects import Dialect, error_of
from runbook.cluster.http import NoAnswerError, Reply, Settings
from runbook.cluster.network import Network, SystemNetwork
from runbook.cluster.port import ClusterError, Trouble
from runbook.raft.model import AutopilotSettings, ClusterView, Configuration, Member, Peer, Reach, Vantage

STALE_TIMEOUT = 3.0  # seconds; answered from memory, so a slower server is one not to rely on
READ_TIMEOUT = 10.0  # above the 5 s (Nomad) and 7 s (Consul) a leaderless server holds a request (FACTS 9 row 30)
CHANGE_TIMEOUT = 20.0
STATE_TIMEOUT = 120.0
STATE_LIMIT = 4 * 1024**3
RAFT = "/v1/operator/raft/configuration"

T = TypeVar("T")
Question = tuple[Literal["http", "raft"], str]  # a server's URL, or the address of its Raft port


@dataclass(frozen=True)
class Seen:
    """One server's words, and what kept it from saying all of them."""

    vantage: Vantage
    error: ClusterError | None = None


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
        self._network = network or SystemNetwork(settings)
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._route = self._entries = addresses

    def look(self) -> ClusterView:
        """Everybody in parallel: at most one time-out for the servers that hang, one for a cluster without a leader."""
        seen, probes = self._ask_everybody()
        vantages = _one_each([each.vantage for each in seen])
        answering = sorted((v for v in vantages if v.server_id), key=_worth, reverse=True)
        configuration, leader_id, error = self._read_configuration(answering, seen)
        peers = configuration.peers if configuration else ()
        untried = sorted({p.address for p in peers} - probes.keys())
        late = self._network.gather(untried, self._network.probe, lambda _: (), http.CONNECT_TIMEOUT + 1)
        view = ClusterView(
            cluster=self.name,
            taken_at=self._network.monotonic(),
            configuration=configuration,
            leader_id=leader_id,
            vantages=vantages,
            probes={address: reach for address, reach in {**probes, **late}.items() if reach},
            autopilot=self._read_autopilot(answering) if configuration else None,
            trouble=error.trouble.value if error else None,
            trouble_text=str(error) if error else None,
        )
        self._route = self._route_by(view)
        return view

    def remove_peer(self, peer: Peer) -> None:
        """By id on protocol 3, by address on protocol 2 (FACTS 2.1); one peer a request, a second is dropped.

        Asked of the leader itself where the last look met it, else of a given address that answered.
        """
        named = "address" if peer.protocol == 2 else "id"
        value = peer.address if named == "address" else peer.id
        path = f"/v1/operator/raft/peer?{named}={quote(value, safe='')}"
        reply = self._first(self._route, CHANGE_TIMEOUT, lambda url, left: self._checked(url, "DELETE", path, left))
        if reply.body.lstrip().startswith(b"<"):
            what = f"DELETE {path} was answered with a page: {reply.text}"
            raise ClusterError(
                Trouble.AMBIGUOUS, what, f"Is a proxy between? Name a server in {self._dialect.variable}"
            )

    def save_state(self, path: Path) -> str:
        """The state snapshot, its Digest verified where the server gives one (FACTS 3.4)."""
        asked = self._dialect.snapshot_path

        def save(url: str, left: float) -> str:
            return keep_archive(path, lambda file: self._checked(url, "GET", asked, left, STATE_LIMIT, file))

        return self._first(self._route, STATE_TIMEOUT, save)

    # -- asking

    def _get(self, url: str, path: str, until: float) -> Any:
        reply = self._checked(url, "GET", path, max(0.01, until - self._network.monotonic()))
        if reply.headers.get("x-consul-results-filtered-by-acls") == "true":
            what = f"GET {url}{path} left out what this token may not see"
            raise ClusterError(Trouble.FORBIDDEN, what, f"This needs {self._dialect.permission}")
        return wire.decode(reply.body, url + path)

    def _checked(
        self, url: str, method: str, path: str, timeout: float, limit: int = http.BODY_LIMIT, into: Any = None
    ) -> Reply:
        if self._region:
            path += f"{'&' if '?' in path else '?'}{self._dialect.region_parameter}={quote(self._region, safe='')}"
        reply = self._network.ask(url, method, path, timeout=timeout, limit=limit, into=into)
        if reply.status == 200:
            return reply
        raise error_of(f"{method} {url}{path.split('?')[0]}", method, reply, self._dialect)

    def _first(self, urls: tuple[str, ...], seconds: float, ask: Callable[[str, float], T]) -> T:
        """From the first server that can be asked; from a second one only where the request surely did not arrive."""
        until = self._network.monotonic() + seconds
        for url in urls[:-1]:
            try:
                return ask(url, max(0.01, until - self._network.monotonic()))
            except NoAnswerError as error:
                if error.trouble is Trouble.AMBIGUOUS:
                    raise
        return ask(urls[-1], max(0.01, until - self._network.monotonic()))

    # -- looking

    def _ask_everybody(self) -> tuple[list[Seen], dict[str, Reach]]:
        """Every known server and, as soon as an answer names them, the others and all their Raft ports."""
        met: set[str | None] = {None}

        def follow(answer: Seen | Reach) -> Iterable[Question]:
            if isinstance(answer, Reach):
                return
            met.add(answer.vantage.server_id)
            for peer in answer.vantage.configuration.peers if answer.vantage.configuration else ():
                yield "raft", peer.address
            for url in self._named_by(answer.vantage, met):
                yield "http", url

        first: list[Question] = [("http", url) for url in self._expected]
        answers = self._network.gather(first, self._ask, follow, 2 * max(STALE_TIMEOUT, http.CONNECT_TIMEOUT) + 1)
        seen = [self._complete(url, answers["http", url]) for kind, url in answers if kind == "http"]
        return seen, {place: answer for (_, place), answer in answers.items() if isinstance(answer, Reach)}

    def _ask(self, question: Question) -> Seen | Reach:
        kind, place = question
        return self._ask_vantage(place) if kind == "http" else self._network.probe(place)

    def _ask_vantage(self, url: str) -> Seen:
        """What it says before something goes wrong counts: who says its name lives, whatever it cannot tell."""
        until = self._network.monotonic() + STALE_TIMEOUT
        vantage = Vantage(url, Reach.ACCEPTED)
        try:
            own = self._get(url, "/v1/agent/self", until)
            vantage, region = wire.own_words(own, self._dialect.role, url)
            if vantage.server_id:
                held, _ = wire.configuration(self._get(url, f"{RAFT}?stale", until), url)
                vantage = replace(vantage, configuration=held)
            return Seen(replace(vantage, members=self._members(vantage, region, until)))
        except NoAnswerError as error:
            reach = Reach.ANSWERED if vantage.server_id else error.reach
            return Seen(replace(vantage, reach=reach, trouble=str(error)), error)
        except ClusterError as error:
            return Seen(replace(vantage, reach=Reach.ANSWERED, trouble=str(error)), error)

    def _members(self, vantage: Vantage, region: str | None, until: float) -> tuple[Member, ...]:
        """Its gossip; one that lacks the server itself was cut by an ACL, and absence from it would prove nothing."""
        told = self._get(vantage.url, "/v1/agent/members", until)
        everywhere = wire.members(told, self._dialect.role, None, vantage.url)
        if vantage.server_id and not any(member.raft_address == vantage.raft_address for member in everywhere):
            what = f"{vantage.url}/v1/agent/members does not list that server itself"
            raise ClusterError(Trouble.FORBIDDEN, what, f"This needs {self._dialect.permission}")
        return wire.members(told, self._dialect.role, self._region or region, vantage.url)

    def _named_by(self, vantage: Vantage, met: set[str | None]) -> Iterable[str]:
        """HTTP addresses are not published (FACTS 3.8): gossip's IP and the port we used, believed if its id fits."""
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
        return Seen(silence, ClusterError(Trouble.TIMEOUT, f"{url}: no answer in time"))

    def _read_configuration(
        self, answering: list[Vantage], seen: list[Seen]
    ) -> tuple[Configuration | None, str | None, ClusterError | None]:
        """The leader's own words, believed when the server it names does not itself deny it (FACTS 9 row 17)."""
        if not answering:
            return None, None, self._why_nobody(seen)
        try:
            urls = tuple(vantage.url for vantage in answering)
            reply = self._first(urls, READ_TIMEOUT, lambda url, left: self._checked(url, "GET", RAFT, left))
            configuration, leader = wire.configuration(wire.decode(reply.body, urls[0] + RAFT), urls[0] + RAFT)
        except ClusterError as error:
            return None, None, error
        named = next((v for v in answering if leader in (v.server_id, v.raft_address)), None)
        if leader is None or (named is not None and named.state not in (None, "Leader")):
            return None, None, ClusterError(Trouble.NO_LEADER, "no server both is named and calls itself leader")
        return configuration, leader, None

    def _why_nobody(self, seen: list[Seen]) -> ClusterError:
        """No server says who it is: every reason, and of these a refused token before all."""
        errors = [each.error for each in seen if each.error]
        if not errors:
            what = "; ".join(each.vantage.trouble or f"{each.vantage.url} has no server id" for each in seen)
            return ClusterError(Trouble.UNREACHABLE, what, f"Name a server in {self._dialect.variable}")
        worst = next((error for error in errors if error.trouble is Trouble.FORBIDDEN), errors[0])
        what = "; ".join(dict.fromkeys(error.what for error in [worst, *errors][:4]))
        return ClusterError(worst.trouble, what, worst.next_action)

    def _read_autopilot(self, answering: list[Vantage]) -> AutopilotSettings | None:
        until = self._network.monotonic() + STALE_TIMEOUT
        try:
            read = self._get(answering[0].url, "/v1/operator/autopilot/configuration?stale", until)
            return AutopilotSettings(bool(read["CleanupDeadServers"]), int(read.get("MinQuorum", 0)))
        except (ClusterError, *wire.ODD):
            return None

    def _route_by(self, view: ClusterView) -> tuple[str, ...]:
        """Where a change is asked for: the leader, then given addresses that answered, then found ones."""
        peer = view.configuration.peer(view.leader_id) if view.configuration and view.leader_id else None
        leader = view.vantage_of(peer) if peer else None
        answering = [vantage.url for vantage in view.answering]
        given = [url for url in self._entries if url in answering]
        return tuple(dict.fromkeys([*([leader.url] if leader else []), *given, *answering])) or self._entries


def _worth(vantage: Vantage) -> tuple[bool, int]:
    """Who is asked for the leader's configuration: the leader of the highest term, else one that may be asked."""
    return vantage.configuration is not None, (vantage.term or 0) if vantage.state == "Leader" else -1


def _one_each(vantages: list[Vantage]) -> tuple[Vantage, ...]:
    """Two addresses of one server are one vantage: its opinion counts once."""
    kept = {vantage.server_id or vantage.url: vantage for vantage in reversed(vantages)}
    return tuple(vantage for vantage in vantages if kept[vantage.server_id or vantage.url] is vantage)
