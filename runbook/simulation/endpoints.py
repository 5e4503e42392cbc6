"""Nomad's operator API as far as a rescue needs it: what each endpoint answers, as docs/servers/nomad.md has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from runbook.raft.model import Configuration, Peer
from runbook.simulation import replies
from runbook.simulation.api_call import FORWARDED, NO_LEADER, ApiCall, ApiReply, ApiRequest, PendingReply, ReplyError
from runbook.simulation.consensus import NoVoterLeftError, append, outcome, propose, transfer_leadership
from runbook.simulation.gossip import force_leave
from runbook.simulation.leader_tasks import go_seconds
from runbook.simulation.replies import digest_header, snapshot_archive
from runbook.simulation.settings import REGION
from runbook.simulation.state import ClusterState, SimulatedServer

BAD, FAILED = HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR
LOST = "leadership lost while committing log"
READ = ("GET",)
WRITE = ("PUT", "POST")
AUTOPILOT_NUMBERS = ("MaxTrailingLogs", "MinQuorum")
AUTOPILOT_DURATIONS = ("LastContactThreshold", "ServerStabilizationTime")
AUTOPILOT_SWITCHES = ("CleanupDeadServers", "EnableRedundancyZones", "DisableUpgradeMigration", "EnableCustomUpgrades")


def handle_request(state: ClusterState, server: SimulatedServer, request: ApiRequest) -> PendingReply:
    """What this server says to this request, when it is ready to say it."""
    try:
        return (yield from _route(ApiCall(state, server, request)))
    except ReplyError as error:
        return error.reply


def _route(call: ApiCall) -> PendingReply:
    path = call.request.path
    for prefix, endpoint in BY_PREFIX:
        if path.startswith(prefix):
            return (yield from endpoint(call))
    if path not in EXACTLY:
        known = path.startswith("/v1/operator/")
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method" if known else "404 page not found\n")
    methods, endpoint = EXACTLY[path]
    if call.request.method not in methods:
        raise ReplyError(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")
    return (yield from endpoint(call))


def _raft_configuration(call: ApiCall) -> PendingReply:
    if call.request.method != "GET":
        return ApiReply(HTTPStatus.METHOD_NOT_ALLOWED)
    view = yield from call.answering_server()
    call.authorize()
    return call.json_text(replies.configuration(call.state, view))


def _remove_peer(call: ApiCall) -> PendingReply:
    """Parameters, leader, token, existence, and then the change itself: never whether the peer lives.

    Parameters, checks and texts are those of docs/servers/nomad.md#removal-by-id and what follows there.
    """
    if call.request.method != "DELETE":
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method")
    _check_parameters(call)
    leader, prefix = yield from call.leader()
    call.authorize()
    life = leader.life
    peer = _wanted(call, leader, prefix)
    while leader.change_pending:  # one change at a time: this one waits for the one before
        if not leader.leads:
            raise ReplyError(FAILED, prefix + LOST)
        yield from call.wait_with(leader, life)
    try:
        proposal = propose(call.state, leader, Configuration(leader.peers).without(peer.id))
    except NoVoterLeftError as error:
        raise ReplyError(FAILED, prefix + str(error)) from None
    while (committed := outcome(call.state, proposal)) is None:  # no time limit of its own: a lost quorum is for ever
        yield from call.wait_with(leader, life)
    if not committed:
        raise ReplyError(FAILED, prefix + LOST)
    return ApiReply(HTTPStatus.OK)


def _check_parameters(call: ApiCall) -> None:
    """By release. Of a repeated parameter only the first value is used, the others are dropped."""
    by_id, by_address = "id" in call.request.query, "address" in call.request.query
    if call.state.settings.at_least(1, 10, 1):
        if by_address:
            raise ReplyError(BAD, "Removing a peer by address is not supported in the current raft protocol version")
        if not by_id:
            raise ReplyError(BAD, "Must specify the peer's ID to remove")
    elif by_id and by_address:
        raise ReplyError(BAD, "Must specify only one of ?id or ?address")
    elif not by_id and not by_address:
        text = "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
        raise ReplyError(BAD, text)


def _wanted(call: ApiCall, leader: SimulatedServer, prefix: str) -> Peer:
    """The peer that the request names, exactly; by address it must exist before the protocol is looked at."""
    by_address = "address" in call.request.query
    value = call.request.first("address" if by_address else "id")
    found = next((peer for peer in leader.peers if value == (peer.address if by_address else peer.id)), None)
    if found is None:
        what = "address" if by_address else "id"
        raise ReplyError(FAILED, f'{prefix}{what} "{value}" was not found in the Raft configuration')
    if by_address and call.state.settings.raft_protocol >= 3:
        raise ReplyError(FAILED, prefix + "operation not supported with current protocol version")
    return found


def _transfer_leadership(call: ApiCall) -> PendingReply:
    """As docs/servers/nomad.md#transfer-of-leadership has it: an unknown id is 400 here, and no leader 503."""
    if not call.state.settings.at_least(1, 7):
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method")
    if call.request.method not in WRITE:
        raise ReplyError(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")
    wanted = call.request.first("id")
    if not wanted:
        raise ReplyError(BAD, "must specify id or address")
    try:
        leader, prefix = yield from call.leader()
    except ReplyError as error:
        raise ReplyError(HTTPStatus.SERVICE_UNAVAILABLE, error.reply.body.decode()) from None
    call.authorize()
    peer = next((peer for peer in leader.peers if peer.id == wanted), None)
    if peer is None:
        raise ReplyError(BAD, f'{prefix}id "{wanted}" was not found in the Raft configuration')
    target = call.state.server_at(peer.address)
    if target is not None and target is not leader:
        transfer_leadership(call.state, leader, target)
    if target is None or not target.leads:
        why = f"failed to make TimeoutNow RPC to {peer.id}: dial tcp {peer.address}: connect: connection refused"
        raise ReplyError(FAILED, f"{prefix}failed to transfer leadership in 3 attempts. last error: {why}")
    ends = {"From": {"Address": leader.address, "ID": leader.raft_id}, "To": {"Address": peer.address, "ID": peer.id}}
    return call.json({"Err": None, **ends, "Noop": target is leader})


def _autopilot_health(call: ApiCall) -> PendingReply:
    leader, _ = yield from call.leader()
    call.authorize()
    if call.state.settings.raft_protocol < 3:
        text = "all servers must have raft_protocol set to 3 or higher to use this endpoint"
        raise ReplyError(FAILED, text)
    reply = replies.health(call.state, leader)
    return call.json(reply, HTTPStatus.OK if reply["Healthy"] else HTTPStatus.TOO_MANY_REQUESTS)


def _autopilot_configuration(call: ApiCall) -> PendingReply:
    if call.request.method in WRITE:
        return (yield from _set_autopilot(call))
    if call.request.method != "GET":
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method")
    yield from call.answering_server()
    call.authorize()
    return call.json(call.state.autopilot)


def _set_autopilot(call: ApiCall) -> PendingReply:
    """The whole document is replaced: what the body leaves out becomes zero."""
    fresh = _autopilot_from(call.request.body)
    cas = call.request.first("cas")
    if cas and not cas.isdecimal():
        raise ReplyError(BAD, f'Error parsing cas value: strconv.ParseUint: parsing "{cas}": invalid syntax')
    leader, _ = yield from call.leader()
    call.authorize()
    if cas and int(cas) != call.state.autopilot["ModifyIndex"]:
        return call.json(False)
    call.state.autopilot |= fresh | {"ModifyIndex": max(leader.last[1], call.state.autopilot["ModifyIndex"]) + 1}
    return call.json(True)


def _autopilot_from(body: bytes) -> dict[str, Any]:
    try:
        sent = json.loads(body)
        fresh: dict[str, Any] = {name: bool(sent.get(name, False)) for name in AUTOPILOT_SWITCHES}
        fresh |= {name: int(sent.get(name, 0)) for name in AUTOPILOT_NUMBERS}
        fresh |= {name: str(sent.get(name, "0s")) for name in AUTOPILOT_DURATIONS}
        for name in AUTOPILOT_DURATIONS:
            go_seconds(fresh[name])
    except (ValueError, TypeError, AttributeError) as error:
        raise ReplyError(BAD, f"Error parsing autopilot config: {error}") from None
    return fresh


def _restore(call: ApiCall) -> PendingReply:
    """Whatever the file holds: the log goes on behind where it ended, and all servers take it over."""
    leader, prefix = yield from call.leader()
    call.authorize(unknown=BAD)
    life, proposal = leader.life, append(call.state, leader)
    call.state.restored += 1
    while (committed := outcome(call.state, proposal)) is None:
        yield from call.wait_with(leader, life)
    if not committed:
        raise ReplyError(FAILED, prefix + LOST)
    return ApiReply(HTTPStatus.OK)


def _snapshot(call: ApiCall) -> PendingReply:
    if call.request.method in WRITE:
        return (yield from _restore(call))
    if call.request.method != "GET":
        raise ReplyError(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")
    view = yield from call.answering_server()
    call.authorize(unknown=BAD)
    if view.change_pending:
        text = (
            "Raft error when taking snapshot: cannot take snapshot now, wait until the configuration entry at "
            f"{view.configuration_index} has been applied (have applied {view.committed})"
        )
        raise ReplyError(FAILED, text)
    data = snapshot_archive(view)
    return ApiReply(HTTPStatus.OK, data, "application/x-gzip", {"Digest": digest_header(data)})


def _status_leader(call: ApiCall) -> PendingReply:
    view = yield from call.answering_server()
    return call.json(view.leader or "")


def _status_peers(call: ApiCall) -> PendingReply:
    view = yield from call.answering_server()
    return call.json(replies.addresses(call.state, view))


def _agent_health(call: ApiCall) -> PendingReply:
    """Says whether this server sees a leader, and no more."""
    try:
        view = yield from call.answering_server()
        message = "ok" if view.leader else "no leader"
    except ReplyError as error:
        message = error.reply.body.decode().removeprefix(FORWARDED)
        if message != NO_LEADER:
            raise
    ok = message == "ok"
    return call.json({"server": {"ok": ok, "message": message}}, HTTPStatus.OK if ok else FAILED)


def _agent_self(call: ApiCall) -> PendingReply:
    yield from ()
    call.authorize()
    return call.json_text(replies.agent_self(call.state, call.server))


def _agent_members(call: ApiCall) -> PendingReply:
    """This server's own view, whatever region is asked for."""
    yield from ()
    call.authorize()
    return call.json_text(replies.members(call.state, call.server))


def _force_leave(call: ApiCall) -> PendingReply:
    yield from ()
    call.authorize()
    member = call.request.first("node")
    if not member:
        raise ReplyError(BAD, "missing node to force leave")
    force_leave(call.state, call.server, member)
    return ApiReply(HTTPStatus.OK)


def _regions(call: ApiCall) -> PendingReply:
    yield from ()
    return call.json([REGION])


Endpoint = Callable[[ApiCall], PendingReply]

BY_PREFIX: tuple[tuple[str, Endpoint], ...] = (  # Nomad matches these by prefix
    ("/v1/operator/raft/configuration", _raft_configuration),
    ("/v1/operator/raft/peer", _remove_peer),
    ("/v1/operator/raft/transfer-leadership", _transfer_leadership),
    ("/v1/operator/autopilot/configuration", _autopilot_configuration),
    ("/v1/operator/snapshot", _snapshot),
)
EXACTLY: dict[str, tuple[tuple[str, ...], Endpoint]] = {
    "/v1/operator/autopilot/health": (READ, _autopilot_health),
    "/v1/status/leader": (READ, _status_leader),
    "/v1/status/peers": (READ, _status_peers),
    "/v1/agent/health": (READ, _agent_health),
    "/v1/agent/self": (READ, _agent_self),
    "/v1/agent/members": (READ, _agent_members),
    "/v1/agent/force-leave": (WRITE, _force_leave),
    "/v1/regions": (READ, _regions),
}
