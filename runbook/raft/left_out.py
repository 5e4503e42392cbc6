"""Servers that a recovery left out and that may come back with their old data: whether one is back, by one look."""

from __future__ import annotations

from collections.abc import Iterator

from runbook.dataclass import dataclass
from runbook.printable import printable_line
from runbook.raft.model import ClusterView, MemberStatus, Peer, Reach, same_place
from runbook.raft.removal import Refusal

PAGE = "docs/lost-quorum.md#when-one-of-them-is-back"


@dataclass(frozen=True)
class LeftOutServer:
    """One server that the recovery ``run`` left out without a fence, as the configuration before it listed it."""

    id: str
    name: str
    address: str
    run: str

    @property
    def label(self) -> str:
        return printable_line(self.name)


@dataclass(frozen=True)
class LeftOutList:
    """Those of one cluster; ``unread`` says of each list that cannot be read where it is, and why."""

    servers: tuple[LeftOutServer, ...] = ()
    unread: tuple[str, ...] = ()


NOBODY = LeftOutList()


def replacement_of(view: ClusterView, server: LeftOutServer) -> Peer | None:
    """The new server that the leader lists at its address, so that it cannot run there itself any more."""
    listed = view.configuration.peers if view.configuration else ()
    if any(peer.id == server.id for peer in listed) or any(_answers_in(view, server)):
        return None
    return next((peer for peer in listed if same_place(peer.address, server.address)), None)


def signs_of_return(view: ClusterView, server: LeftOutServer) -> tuple[str, ...]:
    """What shows that it runs again; nothing where nothing does. A port alone counts where it is nobody else's."""
    listed = view.best_configuration.peers if view.best_configuration else ()
    signs = [f"the Raft configuration lists its id {server.id}" for peer in listed if peer.id == server.id]
    signs += _answers_in(view, server)
    signs += _gossip_in(view, server)
    opened = (address for address, reach in view.probes.items() if reach in (Reach.ACCEPTED, Reach.ANSWERED))
    if any(same_place(address, server.address) for address in opened) and not _is_anothers(view, server):
        signs.append(f"its port {server.address} accepts connections")
    return tuple(dict.fromkeys(signs))


def _answers_in(view: ClusterView, server: LeftOutServer) -> Iterator[str]:
    for vantage in view.vantages:
        if server.id in (vantage.server_id, vantage.other_id):
            yield f"{vantage.url} answers with its id {server.id}"


def _gossip_in(view: ClusterView, server: LeftOutServer) -> Iterator[str]:
    for status in (MemberStatus.ALIVE, MemberStatus.LEAVING):
        heard = ((vantage, member) for vantage in view.answering for member in vantage.members or ())
        by = {vantage.label for vantage, member in heard if (member.id, member.status) == (server.id, status)}
        if by:
            yield f"gossip has its id {server.id}: {status.value} for {', '.join(sorted(by))}"


def _is_anothers(view: ClusterView, server: LeftOutServer) -> bool:
    """Whether another server listens at its address: a peer, or a newcomer that is about to become one."""
    listed = view.best_configuration.peers if view.best_configuration else ()
    owners = [(peer.id, peer.address) for peer in listed]
    owners += [(vantage.server_id or "", vantage.raft_address or "") for vantage in view.answering]
    members = (member for vantage in view.answering for member in vantage.members or ())
    owners += [(m.id, m.raft_address) for m in members if m.id and m.status is MemberStatus.ALIVE]
    return any(owner != server.id and same_place(address, server.address) for owner, address in owners)


def returned_in(view: ClusterView, left_out: LeftOutList) -> dict[LeftOutServer, tuple[str, ...]]:
    """Who is back, with what shows it."""
    seen = {server: signs_of_return(view, server) for server in left_out.servers}
    return {server: signs for server, signs in seen.items() if signs}


def sentence_of_return(servers: list[LeftOutServer]) -> str:
    one = len(servers) == 1
    names = ", ".join(server.label for server in servers)
    return (
        f"{names}, left out by a recovery, {'is' if one else 'are'} back: with {'its' if one else 'their'} old data "
        f"{'it' if one else 'they'} can overwrite what was written since"
    )


def how_to_keep_out(servers: list[LeftOutServer]) -> str:
    """Whoever did so says it, and then it may join anew."""
    first, more = servers[0].label, ", likewise the others" if len(servers) > 1 else ""
    return (
        f"Stop {first} on its host, disable it, and move its Raft folder aside ({PAGE}){more}. Once that is done: "
        f"runbook ack --left-out {first} --comment TEXT"
    )


def refusal_if_returned(view: ClusterView, left_out: LeftOutList) -> Refusal | None:
    """Why a run changes nothing of this cluster while one of them is back."""
    back = returned_in(view, left_out)
    if not back:
        return None
    signs = "; ".join(f"{server.label}: {', '.join(seen)}" for server, seen in back.items())
    return Refusal(
        "LeftOutReturned", f"{sentence_of_return(list(back))} ({printable_line(signs)})", how_to_keep_out(list(back))
    )
