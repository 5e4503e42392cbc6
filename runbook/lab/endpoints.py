"""Nomad's operator API as far as a rescue needs it: what each endpoint answers, as docs/servers/nomad.md has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from runbook.lab import replies
from runbook.lab.call import FORWARDED, NO_LEADER, Answer, Ask, Call, ReplyError, Waiting
from runbook.lab.duties import go_seconds
from runbook.lab.gossip import force_leave
from runbook.lab.removal import remove_peer
from runbook.lab.settings import REGION
from runbook.lab.snapshot import archive, digest
from runbook.lab.world import Server, World

BAD, FAILED = HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR
READ = ("GET",)
WRITE = ("PUT", "POST")
AUTOPILOT_NUMBERS = ("MaxTrailingLogs", "MinQuorum")
AUTOPILOT_DURATIONS = ("LastContactThreshold", "ServerStabilizationTime")
AUTOPILOT_SWITCHES = ("CleanupDeadServers", "EnableRedundancyZones", "DisableUpgradeMigration", "EnableCustomUpgrades")


def answer(world: World, server: Server, ask: Ask) -> Waiting:
    """What this server says to this request, when it is ready to say it."""
    try:
        return (yield from _route(Call(world, server, ask)))
    except ReplyError as error:
        return error.answer


def _route(call: Call) -> Waiting:
    path = call.ask.path
    for prefix, endpoint in BY_PREFIX:
        if path.startswith(prefix):
            return (yield from endpoint(call))
    if path not in EXACTLY:
        known = path.startswith("/v1/operator/")
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method" if known else "404 page not found\n")
    methods, endpoint = EXACTLY[path]
    if call.ask.method not in methods:
        raise ReplyError(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")
    return (yield from endpoint(call))


def _raft_configuration(call: Call) -> Waiting:
    if call.ask.method != "GET":
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED)
    view = yield from call.whose_view()
    call.authorize()
    return call.json(replies.configuration(call.world, view))


def _raft_peer(call: Call) -> Waiting:
    if call.ask.method != "DELETE":
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method")
    return (yield from remove_peer(call))


def _autopilot_health(call: Call) -> Waiting:
    leader, _ = yield from call.leader()
    call.authorize()
    if call.world.settings.raft_protocol < 3:
        text = "all servers must have raft_protocol set to 3 or higher to use this endpoint"
        raise ReplyError(FAILED, text)
    reply = replies.health(call.world, leader)
    return call.json(reply, HTTPStatus.OK if reply["Healthy"] else HTTPStatus.TOO_MANY_REQUESTS)


def _autopilot_configuration(call: Call) -> Waiting:
    if call.ask.method in WRITE:
        return (yield from _set_autopilot(call))
    if call.ask.method != "GET":
        raise ReplyError(HTTPStatus.NOT_FOUND, "Invalid method")
    yield from call.whose_view()
    call.authorize()
    return call.json(call.world.autopilot)


def _set_autopilot(call: Call) -> Waiting:
    """The whole document is replaced: what the body leaves out becomes zero."""
    fresh = _autopilot_from(call.ask.body)
    cas = call.ask.first("cas")
    if cas and not cas.isdecimal():
        raise ReplyError(BAD, f'Error parsing cas value: strconv.ParseUint: parsing "{cas}": invalid syntax')
    leader, _ = yield from call.leader()
    call.authorize()
    if cas and int(cas) != call.world.autopilot["ModifyIndex"]:
        return call.json(False)
    call.world.autopilot |= fresh | {"ModifyIndex": max(leader.last[1], call.world.autopilot["ModifyIndex"]) + 1}
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


def _snapshot(call: Call) -> Waiting:
    if call.ask.method != "GET":
        raise ReplyError(HTTPStatus.METHOD_NOT_ALLOWED, "Invalid method")
    view = yield from call.whose_view()
    call.authorize(unknown=BAD)
    if view.changing:
        text = (
            "Raft error when taking snapshot: cannot take snapshot now, wait until the configuration entry at "
            f"{view.configuration_index} has been applied (have applied {view.committed})"
        )
        raise ReplyError(FAILED, text)
    data = archive(view)
    return Answer(HTTPStatus.OK, data, "application/x-gzip", {"Digest": digest(data)})


def _status_leader(call: Call) -> Waiting:
    view = yield from call.whose_view()
    return call.json(view.leader or "")


def _status_peers(call: Call) -> Waiting:
    view = yield from call.whose_view()
    return call.json(replies.addresses(call.world, view))


def _agent_health(call: Call) -> Waiting:
    """Says whether this server sees a leader, and no more."""
    try:
        view = yield from call.whose_view()
        message = "ok" if view.leader else "no leader"
    except ReplyError as error:
        message = error.answer.body.decode().removeprefix(FORWARDED)
        if message != NO_LEADER:
            raise
    ok = message == "ok"
    return call.json({"server": {"ok": ok, "message": message}}, HTTPStatus.OK if ok else FAILED)


def _agent_self(call: Call) -> Waiting:
    yield from ()
    call.authorize()
    return call.json(replies.agent_self(call.world, call.server))


def _agent_members(call: Call) -> Waiting:
    """This server's own view, whatever region is asked for."""
    yield from ()
    call.authorize()
    return call.json(replies.members(call.world, call.server))


def _force_leave(call: Call) -> Waiting:
    yield from ()
    call.authorize()
    member = call.ask.first("node")
    if not member:
        raise ReplyError(BAD, "missing node to force leave")
    force_leave(call.world, call.server, member)
    return Answer(HTTPStatus.OK)


def _regions(call: Call) -> Waiting:
    yield from ()
    return call.json([REGION])


Endpoint = Callable[[Call], Waiting]

BY_PREFIX: tuple[tuple[str, Endpoint], ...] = (  # Nomad matches these by prefix
    ("/v1/operator/raft/configuration", _raft_configuration),
    ("/v1/operator/raft/peer", _raft_peer),
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
