"""All that an adapter asks of the world: replies, open ports, many answers at once, and the time."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, replace
from math import inf
from typing import IO, Protocol, TypeVar

from runbook.clock import seconds as now
from runbook.cluster import http, threads
from runbook.cluster.http import HttpClient, HttpSettings, Reply
from runbook.cluster.replies import Exchange, hand_over
from runbook.cluster.server_facts import ServerFacts
from runbook.doors import check_network
from runbook.errors import ErrorKind, NoAnswerError
from runbook.raft.model import ClusterView, Reach, Vantage

WATCH_TIMEOUT = 1.0  # seconds in which a port that is watched must accept

T = TypeVar("T")
Key = TypeVar("Key")


class Network(Protocol):
    """One narrow door, so that the adapter itself can be met by a cluster that lives in virtual time."""

    def monotonic(self) -> float:
        """Seconds that only rise."""

    def sleep(self, seconds: float) -> None:
        """Let so many of them pass."""

    def ask(
        self,
        url: str,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int,
        into: IO[bytes] | None,
        body: http.Body | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Reply:
        """As :meth:`runbook.cluster.http.HttpClient.ask` of the server at ``url``."""

    def probe(self, address: str) -> Reach:
        """Can this host open it? Accepting proves neither life nor death: docs/servers/raft.md#what-a-port-tells."""

    def gather(
        self, first: Iterable[Key], ask: Callable[[Key], T], follow: Callable[[T], Iterable[Key]], seconds: float
    ) -> dict[Key, T | None]:
        """As :func:`runbook.cluster.threads.gather`."""


class SystemNetwork:
    """This machine's own: a door to each server, kept open between requests."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._clients: dict[str, HttpClient] = {}

    def monotonic(self) -> float:
        return now()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def ask(
        self,
        url: str,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int,
        into: IO[bytes] | None,
        body: http.Body | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Reply:
        client = self._clients.setdefault(url, HttpClient(url, self._settings))
        may_change = method != "GET" if changes is None else changes
        try:
            reply = client.ask(
                method, path, timeout=timeout, limit=limit, into=into, body=body, headers=headers, changes=changes
            )
        except NoAnswerError as error:
            hand_over(Exchange(method, url + path, 0, changes=may_change, error=error.sentence))
            raise
        length = into.tell() if into is not None and reply.status == 200 else len(reply.body)
        hand_over(Exchange(method, url + path, reply.status, reply.body, length, may_change))
        return reply

    def probe(self, address: str) -> Reach:
        check_network(f"try {address}")
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), http.PROBE_TIMEOUT).close()
        except ConnectionRefusedError:
            return Reach.REFUSED
        except TimeoutError:
            return Reach.SILENT
        except OSError as error:  # a router's word that the host is not there says as little as silence
            return Reach.SILENT if error.errno in (errno.EHOSTUNREACH, errno.EHOSTDOWN) else Reach.UNREACHABLE
        except (ValueError, OverflowError):
            return Reach.UNREACHABLE
        return Reach.ACCEPTED

    def gather(
        self, first: Iterable[Key], ask: Callable[[Key], T], follow: Callable[[T], Iterable[Key]], seconds: float
    ) -> dict[Key, T | None]:
        return threads.gather(first, ask, follow, seconds)


class FactsNetwork:
    """The same network; it notes what every reply shows beside its words: the server's clock and certificate."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._facts: dict[str, ServerFacts] = {}
        self.monotonic, self.sleep = network.monotonic, network.sleep
        self.probe, self.gather = network.probe, network.gather

    def ask(
        self,
        url: str,
        method: str,
        path: str,
        *,
        timeout: float,
        limit: int,
        into: IO[bytes] | None,
        body: http.Body | None = None,
        headers: Mapping[str, str] | None = None,
        changes: bool | None = None,
    ) -> Reply:
        reply = self._network.ask(
            url, method, path, timeout=timeout, limit=limit, into=into, body=body, headers=headers, changes=changes
        )
        self._facts[url] = reply.facts
        return reply

    def with_facts(self, view: ClusterView) -> ClusterView:
        """The view with what was noted of each server that answers."""
        return replace(view, vantages=tuple(map(self._with_facts_of, view.vantages)))

    def _with_facts_of(self, vantage: Vantage) -> Vantage:
        facts = self._facts.get(vantage.url)
        return vantage if facts is None or vantage.server_id is None else replace(vantage, **asdict(facts))


def watch_ports(network: Network, addresses: Collection[str]) -> dict[str, Reach]:
    """A try of all of these ports at once; who says nothing within a second is left out."""
    tried = network.gather(addresses, network.probe, lambda _reach: (), WATCH_TIMEOUT)
    return {address: reach for address, reach in tried.items() if reach is not None}


def seconds_left(network: Network, until: float, most: float = inf) -> float:
    """Seconds until then, and at most so many; a little where it is too late, as a time-out of none is no time-out."""
    return max(0.01, min(most, until - network.monotonic()))


def ask_first(network: Network, urls: tuple[str, ...], until: float, ask: Callable[[str], T]) -> T:
    """From the first server that can be asked; from a second one only where the request surely did not arrive."""
    for url in urls[:-1]:
        try:
            return ask(url)
        except NoAnswerError as error:
            if error.kind is ErrorKind.AMBIGUOUS or network.monotonic() >= until:
                raise
    return ask(urls[-1])


def own_addresses(hosts: Iterable[str]) -> frozenset[str]:
    """Which of these IP addresses are this machine's: a socket can be bound to them."""
    own = set()
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((host, 0))
            own.add(host)
        except OSError:
            continue
    return frozenset(own)
