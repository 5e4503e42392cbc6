"""What was heard from all addresses: whose words count, whose address is whose, and why nobody answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import ClusterView, Vantage


class Heard(Protocol):
    """One server's words, and what kept it from saying all of them."""

    @property
    def vantage(self) -> Vantage:
        """What it sees."""

    @property
    def error(self) -> ClusterError | None:
        """What went wrong with it."""


def one_each(found: Iterable[Vantage]) -> tuple[Vantage, ...]:
    """Two addresses of one server are one vantage: its opinion counts once.

    Behind an address that several servers share nobody knows whose words these were, so only the name that was given
    is kept, and its own address, if that answered too, is believed before.
    """
    vantages = list(found)
    kept: dict[str, Vantage] = {}
    for vantage in sorted(vantages, key=lambda v: v.other_id is not None):
        kept.setdefault(vantage.server_id or vantage.url, vantage)
    chosen = {vantage.url for vantage in kept.values()}
    shared = {v.url: replace(v, configuration=None, members=None) for v in vantages if v.other_id is not None}
    return tuple(shared.get(v.url, v) for v in vantages if v.url in chosen)


def why_nobody(seen: Iterable[Heard], variable: str) -> ClusterError:
    """No server says who it is: every reason, and of these a refused token before all."""
    told = list(seen)
    errors = [each.error for each in told if each.error]
    if not errors:
        what = "; ".join(each.vantage.trouble or f"{each.vantage.url} has no server id" for each in told)
        return ClusterError(ErrorKind.UNREACHABLE, what, f"Name a server in {variable}")
    worst = next((error for error in errors if error.kind is ErrorKind.FORBIDDEN), errors[0])
    what = "; ".join(dict.fromkeys(error.sentence for error in [worst, *errors][:4]))
    return ClusterError(worst.kind, what, worst.next_action)


def route_by(view: ClusterView, entries: tuple[str, ...]) -> tuple[str, ...]:
    """Where a change is asked for: the leader, then the given ``entries`` that answered, then found addresses."""
    leader = view.vantage_of(view.leader) if view.leader else None
    answering = [vantage.url for vantage in view.answering]
    given = [url for url in entries if url in answering]
    return tuple(dict.fromkeys([*([leader.url] if leader else []), *given, *answering])) or entries


def expected_ids(servers: Mapping[str, str], vantages: Iterable[Vantage]) -> dict[str, str]:
    """By address the id of the server whose own it is said to be; a name is looked up in all that the servers said."""
    ids: dict[str, str] = {}
    for vantage in vantages:
        peers = vantage.configuration.peers if vantage.configuration else ()
        ids |= {peer.name: peer.id for peer in peers if peer.name and peer.name not in ids}
        ids |= {member.name: member.id for member in vantage.members or () if member.id}
        ids |= {vantage.name: vantage.server_id} if vantage.name and vantage.server_id else {}
    return {url: ids.get(server, server) for url, server in servers.items()}


def at_its_address(vantage: Vantage, servers: Mapping[str, str]) -> Vantage:
    """What it said, and that it is another server than the one whose own this address is said to be."""
    if vantage.url not in servers or vantage.server_id in (None, vantage.expected_id):
        return vantage
    name = vantage.label if vantage.name else vantage.server_id
    other = f"{vantage.url} is given as the address of {servers[vantage.url]}, but {name} answers there"
    return replace(vantage, trouble=f"{vantage.trouble}; {other}" if vantage.trouble else other)
