"""Vault and OpenBao on integrated storage: one look at every server, one removal, one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from runbook.cluster import http
from runbook.cluster.archive import keep_archive
from runbook.cluster.http import HttpSettings
from runbook.cluster.machines import PortProbes
from runbook.cluster.network import FactsNetwork, Network, SystemNetwork, ask_first, watch_ports
from runbook.cluster.vantages import one_each, why_nobody
from runbook.cluster.vault.client import VaultClient
from runbook.cluster.vault.echoes import EchoLog, opinions_in, published_by, unhealthy_in
from runbook.cluster.vault.interview import VaultWords, interview
from runbook.cluster.vault.leading import ActiveWords, ask_active, leader_in
from runbook.cluster.vault.permission import reason_not_permitted
from runbook.cluster.vault.products import API_PORT, VaultProduct
from runbook.cluster.vault.whereabouts import addresses_like, expected_at, peer_at, with_names
from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import ClusterView, Configuration, Peer, Reach, Vantage

READ_TIMEOUT = 3.0  # seconds; answered from memory, so a slower server is one not to rely on
CHANGE_TIMEOUT, STATE_TIMEOUT = 20.0, 120.0
RESTORE_TIMEOUT = 600.0  # it is sent, and then to every other server
STATE_LIMIT = 16 * 1024**3
SNAPSHOT, REMOVAL = "/v1/sys/storage/raft/snapshot", "/v1/sys/storage/raft/remove-peer"
STEP_DOWN = "/v1/sys/step-down"

Question = tuple[Literal["http", "active", "raft", "host"], str]  # a server's URL, or an address with a port


class VaultCluster:
    """A cluster reached by one or more API addresses; the others' are found, and asked as soon as they are known."""

    def __init__(
        self,
        product: VaultProduct,
        addresses: tuple[str, ...],
        settings: HttpSettings,
        network: Network | None = None,
        *,
        name: str = "",
        servers: Mapping[str, str] | None = None,
    ) -> None:
        """``name`` is what an inventory calls it; ``servers`` says whose own an address is, by the id."""
        self.name = f"{product.kind}:{name or addresses[0]}"
        self._product = product
        self._servers = servers or {}
        self._settings = settings
        self._network = FactsNetwork(network or SystemNetwork(settings))
        self._client = VaultClient(self._network, product)
        self._expected: dict[str, str | None] = dict.fromkeys(addresses)
        self._published: dict[str, str] = {}
        self._route = self._entries = addresses
        self._echoes = EchoLog()
        self._api_places: dict[str, tuple[str, ...]] = {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be seen in any record."""
        return self._settings.secrets

    def look(self, *, within: float = inf) -> ClusterView:
        """Every server in parallel, the active one's words on the others next, the cluster ports last."""
        began = self._network.monotonic()
        until = began + within
        said = self._ask_everybody(until)
        door = _door_of(said)
        active = self._ask_active(door, said, until) if door else None
        leading = leader_in(said, door, active) if door and active else _why_nobody(said, self._product)
        configuration, leader = leading if isinstance(leading, tuple) else (None, None)
        held = configuration or (door.vantage.configuration if door else None)
        vantages = one_each(self._named(said, configuration, held))
        error = leading if isinstance(leading, ClusterError) else None
        view = ClusterView(
            cluster=self.name,
            taken_at=began,
            configuration=configuration,
            leader_id=leader.id if leader else None,
            vantages=vantages,
            error_kind=error.kind.value if error else None,
            error_text=str(error) if error else None,
            removal_is_final=True,
            waits_at_api=True,
            cluster_id=next((words.cluster_id for words in said if words.cluster_id), None),
        )
        view = self._with_active_words(self._with_probes(view, until), active)
        self._route = _route(said, self._entries)
        self._forget(held)
        return self._network.with_facts(replace(view, seconds=self._network.monotonic() - began))

    def probe(self, addresses: Collection[str]) -> dict[str, Reach]:
        """A second's watch of these ports, and of the API's, where a server that waits for its key listens alone."""
        apis = {address: place for address in addresses for place in self._api_places.get(address, ())}
        seen = watch_ports(self._network, [*addresses, *apis.values()])
        woken = {address: Reach.ACCEPTED for address, place in apis.items() if seen.get(place) is Reach.ACCEPTED}
        return {address: reach for address, reach in seen.items() if address in addresses} | woken

    def remove_peer(self, peer: Peer, *, within: float = inf) -> None:
        """A standby passes it on to the active server, which answers 204 whatever the id is."""
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        body = {"server_id": peer.id}
        ask_first(
            self._network, self._route, until, lambda url: self._client.ask(url, "POST", REMOVAL, until, body=body)
        )

    def transfer_leadership(self, to: Peer | None, *, within: float = inf) -> None:  # noqa: ARG002 - nobody is named
        """The active server steps down, and the others elect one; a standby passes it on."""
        until = self._network.monotonic() + min(CHANGE_TIMEOUT, within)
        ask_first(self._network, self._route, until, lambda url: self._client.ask(url, "POST", STEP_DOWN, until))

    def reason_not_permitted(self, *, within: float = inf) -> str | None:
        """Why a removal would be refused for want of a right: empty where it would not, None where that is not told."""
        until = self._network.monotonic() + min(READ_TIMEOUT, within)
        return reason_not_permitted(self._client, self._route[0], REMOVAL, until)

    def save_state(self, path: Path, *, within: float = inf) -> str:
        """The snapshot, which only the active server gives."""
        until = self._network.monotonic() + min(STATE_TIMEOUT, within)

        def save(url: str) -> str:
            left = self._client.left(until)
            return keep_archive(
                path,
                lambda file: self._client.ask(url, "GET", SNAPSHOT, until, into=file, limit=STATE_LIMIT),
                left,
            )

        return ask_first(self._network, self._route, until, save)

    def restore_state(self, state: IO[bytes], *, within: float = inf) -> None:
        """Only by the active server, which refuses the snapshot of a cluster with other keys: that needs -force."""
        until = self._network.monotonic() + min(RESTORE_TIMEOUT, within)

        def send(url: str) -> None:
            state.seek(0)
            self._client.ask(url, "POST", SNAPSHOT, until, body=state)

        ask_first(self._network, self._route, until, send)

    # -- looking

    def _ask_everybody(self, until: float) -> list[VaultWords]:
        """Every known server and, as soon as one shows the configuration, the others where their APIs should be."""
        first: list[Question] = [("http", url) for url in self._expected]
        left = self._client.left(until, 2 * READ_TIMEOUT)
        return self._words_in(self._network.gather(first, self._ask, self._follow, left))

    def _ask_active(self, door: VaultWords, said: list[VaultWords], until: float) -> ActiveWords | None:
        """Through this door; whoever publishes an address that nobody has asked yet is asked, and added to ``said``."""

        def follow(answer: Any) -> Iterable[Question]:
            if not isinstance(answer, ActiveWords):
                return
            told = published_by(answer.sample.listed)
            self._published |= told
            for url in [url for url in told if url not in self._expected]:
                self._expected[url] = None
                yield "http", url

        first: list[Question] = [("active", door.vantage.url)]
        answers = self._network.gather(first, self._ask, follow, self._client.left(until, 2 * READ_TIMEOUT))
        active = answers.pop(first[0])
        said += self._words_in(answers)
        return active if isinstance(active, ActiveWords) else None

    def _follow(self, answer: Any) -> Iterable[Question]:
        if isinstance(answer, VaultWords):
            for url, peer_id in addresses_like(answer.vantage.url, answer.vantage.configuration):
                if url not in self._expected:  # also where another address of it is known: that one may be wrong
                    self._expected[url] = peer_id
                    yield "http", url

    def _ask(self, question: Question) -> Any:
        kind, place = question
        until = self._network.monotonic() + READ_TIMEOUT
        if kind == "http":
            return interview(self._client, place, until)
        return ask_active(self._client, place, until) if kind == "active" else self._network.probe(place)

    def _words_in(self, answers: Mapping[Question, Any]) -> list[VaultWords]:
        return [self._complete(place, answer) for (kind, place), answer in answers.items() if kind == "http"]

    def _complete(self, url: str, answer: VaultWords | None) -> VaultWords:
        if answer is not None:
            return answer
        error = ClusterError(ErrorKind.TIMEOUT, f"{url}: no answer in time")
        return VaultWords(Vantage(url, Reach.ACCEPTED, trouble="no answer in time"), error=error)

    def _named(
        self, said: list[VaultWords], leading: Configuration | None, held: Configuration | None
    ) -> list[Vantage]:
        """Who they are, by all that is known now of whose address is whose."""
        for url, before in self._expected.items():
            self._expected[url] = expected_at(url, self._servers, self._published, held) or before
        return with_names(said, self._expected, self._published, leading, self._servers)

    def _with_active_words(self, view: ClusterView, active: ActiveWords | None) -> ClusterView:
        """The view with what the active server holds of the others, and with its settings."""
        if view.configuration is None or view.leader_id is None or active is None:
            return view
        self._echoes.add(active.sample)
        opinions = opinions_in(view, self._echoes.samples)
        picture = active.sample.picture
        return replace(
            view,
            opinions=opinions,
            unhealthy=unhealthy_in(picture),
            autopilot=active.settings,
            autopilot_error=active.settings_trouble,
            leader_term=picture.term if picture else None,
        )

    def _with_probes(self, view: ClusterView, until: float) -> ClusterView:
        """The view with this host's own tries of the cluster ports, and of machines of the silent and the living."""
        ports = PortProbes.of(view, view.answering, {API_PORT, *(_port(url) for url in self._entries)})
        limit = self._client.left(until, 2 * http.PROBE_TIMEOUT + 1)
        probes, hosts = ports.seen(self._network.gather(ports.of_peers(), self._ask, ports.after, limit))
        return replace(view, probes=probes, hosts=hosts)

    def _forget(self, held: Configuration | None) -> None:
        """Addresses of servers that are no longer listed, and where the API of each that is listed is."""
        if held is None:
            return
        known = {
            url: server for url, server in self._expected.items() if url in self._entries or held.peer(server or "")
        }
        self._expected = known
        self._published = {url: place for url, place in self._published.items() if peer_at(place, held)}
        self._api_places = {
            peer.address: tuple(_place(url) for url, server in known.items() if server == peer.id)
            for peer in held.peers
        }


def _why_nobody(said: list[VaultWords], product: VaultProduct) -> ClusterError:
    """Nobody shows the configuration: above all where somebody only waits for its key."""
    sealed = [words.vantage for words in said if words.vantage.state == "Sealed"]
    if not sealed:
        return why_nobody(said, product.addresses)
    what = "; ".join(vantage.trouble or vantage.url for vantage in sealed[:4])
    return ClusterError(ErrorKind.UNAVAILABLE, what, sealed[0].settled_by or "")


def _door_of(said: list[VaultWords]) -> VaultWords | None:
    """Whoever shows the configuration; the active server before all."""
    doors = [words for words in said if words.vantage.configuration is not None]
    return next((words for words in doors if words.leads_at is not None), doors[0] if doors else None)


def _route(said: list[VaultWords], entries: tuple[str, ...]) -> tuple[str, ...]:
    """Where a change is asked for: the active server, then whoever else shows the configuration."""
    doors = [words for words in said if words.vantage.configuration is not None]
    return tuple(words.vantage.url for words in sorted(doors, key=lambda words: words.leads_at is None)) or entries


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _place(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return f"[{host}]:{_port(url)}" if ":" in host else f"{host}:{_port(url)}"
