"""What was heard from each address, put in order: whose words count, who is asked next, and why nobody answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from runbook.errors import ClusterError, ErrorKind
from runbook.raft.model import Vantage


@dataclass(frozen=True)
class Seen:
    """One server's words, and what kept it from saying all of them."""

    vantage: Vantage
    error: ClusterError | None = None


def expected_ids(servers: Mapping[str, str], seen: Iterable[Seen]) -> dict[str, str]:
    """The id of the server whose own each of these addresses is said to be; a name is looked up in all gossip."""
    vantages = [each.vantage for each in seen]
    ids = {vantage.name: vantage.server_id for vantage in vantages if vantage.name and vantage.server_id}
    ids |= {member.name: member.id for vantage in vantages for member in vantage.members or () if member.id}
    return {url: ids.get(server, server) for url, server in servers.items()}


def at_its_address(seen: Seen, servers: Mapping[str, str]) -> Seen:
    """What it said, and that it is another server than the one whose own this address is said to be."""
    vantage = seen.vantage
    if vantage.url not in servers or vantage.server_id in (None, vantage.expected_id):
        return seen
    name = vantage.name or vantage.server_id
    other = f"{vantage.url} is given as the address of {servers[vantage.url]}, but {name} answers there"
    return replace(seen, vantage=replace(vantage, trouble=f"{vantage.trouble}; {other}" if vantage.trouble else other))


def one_each(seen: Iterable[Seen]) -> tuple[Vantage, ...]:
    """Two addresses of one server are one vantage: its opinion counts once.

    Behind an address that several servers share nobody knows whose words these were, so only the name that was given
    is kept, and its own address, if that answered too, is believed before.
    """
    vantages = [each.vantage for each in seen]
    kept: dict[str, Vantage] = {}
    for vantage in sorted(vantages, key=lambda v: v.other_id is not None):
        kept.setdefault(vantage.server_id or vantage.url, vantage)
    chosen = {vantage.url for vantage in kept.values()}
    shared = {v.url: replace(v, configuration=None, members=None) for v in vantages if v.other_id is not None}
    return tuple(shared.get(v.url, v) for v in vantages if v.url in chosen)


def worth(vantage: Vantage) -> tuple[bool, int]:
    """Who is asked for the leader's configuration: the leader of the highest term, else one that may be asked."""
    return vantage.configuration is not None, (vantage.term or 0) if vantage.state == "Leader" else -1


def why_nobody(seen: Iterable[Seen], variable: str) -> ClusterError:
    """No server says who it is: every reason, and of these a refused token before all."""
    told = list(seen)
    errors = [each.error for each in told if each.error]
    if not errors:
        what = "; ".join(each.vantage.trouble or f"{each.vantage.url} has no server id" for each in told)
        return ClusterError(ErrorKind.UNREACHABLE, what, f"Name a server in {variable}")
    worst = next((error for error in errors if error.kind is ErrorKind.FORBIDDEN), errors[0])
    what = "; ".join(dict.fromkeys(error.sentence for error in [worst, *errors][:4]))
    return ClusterError(worst.kind, what, worst.next_action)
