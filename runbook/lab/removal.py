"""``DELETE /v1/operator/raft/peer``: what a real server checks, which is almost nothing.

Parameters, checks and texts are those of docs/servers/nomad.md#removal-by-id and what follows there.
"""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus

from runbook.lab.call import Answer, Call, ReplyError, Waiting
from runbook.lab.consensus import NoVoterLeftError, Proposal, outcome, propose
from runbook.lab.world import Server
from runbook.raft.model import Configuration, Peer

BAD, FAILED = HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR
LOST = "leadership lost while committing log"


def remove_peer(call: Call) -> Waiting:
    """Parameters, leader, token, existence, and then the change itself: never whether the peer lives."""
    _check_parameters(call)
    leader, prefix = yield from call.leader()
    call.authorize()
    life = leader.life
    peer = _wanted(call, leader, prefix)
    while leader.changing:  # one change at a time: this one waits for the one before
        if not leader.leads:
            raise ReplyError(FAILED, prefix + LOST)
        yield from call.wait_with(leader, life)
    try:
        proposal = propose(call.world, leader, Configuration(leader.peers).without(peer.id))
    except NoVoterLeftError as error:
        raise ReplyError(FAILED, prefix + str(error)) from None
    if not (yield from _committed(call, leader, life, proposal)):
        raise ReplyError(FAILED, prefix + LOST)
    return Answer(HTTPStatus.OK)


def _check_parameters(call: Call) -> None:
    """By release. Of a repeated parameter only the first value is used, the others are dropped."""
    by_id, by_address = "id" in call.ask.query, "address" in call.ask.query
    if call.world.settings.at_least(1, 10, 1):
        if by_address:
            raise ReplyError(BAD, "Removing a peer by address is not supported in the current raft protocol version")
        if not by_id:
            raise ReplyError(BAD, "Must specify the peer's ID to remove")
    elif by_id and by_address:
        raise ReplyError(BAD, "Must specify only one of ?id or ?address")
    elif not by_id and not by_address:
        text = "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
        raise ReplyError(BAD, text)


def _wanted(call: Call, leader: Server, prefix: str) -> Peer:
    """The peer that the request names, exactly; by address it must exist before the protocol is looked at."""
    by_address = "address" in call.ask.query
    value = call.ask.first("address" if by_address else "id")
    found = next((peer for peer in leader.peers if value == (peer.address if by_address else peer.id)), None)
    if found is None:
        what = "address" if by_address else "id"
        raise ReplyError(FAILED, f'{prefix}{what} "{value}" was not found in the Raft configuration')
    if by_address and call.world.settings.raft_protocol >= 3:
        raise ReplyError(FAILED, prefix + "operation not supported with current protocol version")
    return found


def _committed(call: Call, leader: Server, life: int, proposal: Proposal) -> Generator[None, None, bool]:
    """Wait for the end of a change. There is no time limit of the server's own: a lost quorum is one."""
    while (settled := outcome(call.world, proposal)) is None:
        yield from call.wait_with(leader, life)
    return settled
