"""A lab that loses its quorum, and a key that tells whether its data came through."""

from __future__ import annotations

import base64
import json
import shutil
import time
from typing import Any
from urllib.request import Request, urlopen

from runbook.lab.agent_api import get_json
from runbook.lab.agents import AgentLab

KEY, SPACE = "runbook/lost-quorum", "lost-quorum"


def write_key(lab: AgentLab, value: str) -> None:
    """Into Consul's or etcd's KV store, or what Nomad's releases, old and new, keep of a namespace."""
    if lab.layout.kind == "etcd":
        _call_etcd(lab, "put", {"key": _b64(KEY), "value": _b64(value)})
        return
    _call(lab, "PUT", value if lab.layout.kind == "consul" else json.dumps({"Name": SPACE, "Description": value}))


def read_key(lab: AgentLab) -> str:
    if lab.layout.kind == "etcd":
        (entry,) = _call_etcd(lab, "range", {"key": _b64(KEY)})["kvs"]
        return base64.b64decode(entry["value"]).decode()
    text = _call(lab, "GET")
    return text if lab.layout.kind == "consul" else str(json.loads(text)["Description"])


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _call_etcd(lab: AgentLab, what: str, body: dict[str, str], within: float = 20.0) -> Any:
    """By a member that runs, asked for a while."""
    until = time.monotonic() + within
    while True:
        door = next(row.address for row in lab.status() if row.state == "running")
        reply = get_json(door, f"/v3/kv/{what}", post=json.dumps(body).encode(), timeout=10)
        if reply is not None:
            return reply
        assert time.monotonic() < until, f"{door} does not {what}"
        time.sleep(0.5)


def _call(lab: AgentLab, method: str, body: str = "", within: float = 20.0) -> str:
    """A new leader needs a moment before it answers."""
    door = next(row.address for row in lab.status() if row.state == "running")
    path = f"/v1/kv/{KEY}?raw" if lab.layout.kind == "consul" else f"/v1/namespace/{SPACE}"
    until = time.monotonic() + within
    while True:
        try:
            request = Request(door + path, data=body.encode() or None, method=method)  # noqa: S310 -- loopback
            with urlopen(request, timeout=10) as reply:  # noqa: S310
                return str(reply.read().decode())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def lose(lab: AgentLab, number: int, *, wipe: bool, frozen: int = 0) -> list[str]:
    """The last servers of the lab die, after ``frozen`` ones that only hang; returns them all once gossip knows."""
    *_, victims = lab.names, lab.names[-(number + frozen) :]
    for place, name in enumerate(victims):
        if place < frozen:
            lab.freeze(name)
            continue
        lab.kill(name)
        if wipe:  # a new disk, where the old one was
            shutil.rmtree(lab.folder / f"{name}.data")
            (lab.folder / f"{name}.data").mkdir()
    for name in victims:
        lab.wait_for_gossip(name, "failed")
    return victims
