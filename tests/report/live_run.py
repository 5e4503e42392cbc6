"""The events of a recovery, as they are at each of its moments, for whoever draws the screen of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from runbook.report.live_view import LiveFold, LiveView

BEGAN = datetime.fromisoformat("2026-11-24T03:00:00+00:00")
NAMES = ("s1.global", "s2.global", "s3.global", "s4.global", "s5.global")
PROVEN = {"removals": [], "plan_basis": {"leader": "1", "term": 3, "peers": [], "removals": []}}
STEPS = ("before", "dead", "quorum", "remove", "verify")


def at(second: float, kind: str, /, **told: Any) -> dict[str, Any]:
    return {"at": (BEGAN + timedelta(seconds=second)).isoformat(), "kind": kind, **told}


def started(seconds: float, *steps: str, **told: Any) -> dict[str, Any]:
    given = {"playbook": "remove-dead-peers", "cluster": "nomad:http://10.0.0.11:4646", "dry_run": False}
    return at(seconds, "run.started", **{**given, "run": "r", "steps": steps or STEPS, **told})


def looked(seconds: float, step: str, gone: tuple[str, ...] = (), dead: str = "s5.global") -> dict[str, Any]:
    """By a leader that is ``s1.global``; one server says for longer than the others that the dead one is alive."""
    names = [name for name in NAMES if name not in gone]
    said = {name: {"alive": tuple(by for by in NAMES[:4] if by != name)} for name in names}
    if dead in names:
        said[dead] = {"alive": (NAMES[1],), "failed": (NAMES[0], NAMES[2], NAMES[3])}
    seen = {"leader": NAMES[0], "voters": len(names), "live_voters": len(names) - (dead in names)}
    verdicts = {name: "dead" if name == dead else "alive" for name in names}
    contacts = {name: 0.013 * number for number, name in enumerate(names) if name != dead}
    return at(seconds, "cluster.looked", step=step, **seen, verdicts=verdicts, opinions=said, contacts=contacts)


def confirming() -> list[dict[str, Any]]:
    """Up to where the death of one server is confirmed: 15 of 30 seconds."""
    waits = {"reason": "confirming s5.global is dead", "whole": 30.0}
    return [
        started(0),
        at(0, "step.started", step="before", uses="raft.snapshot", effect="read"),
        {**looked(1, "before"), "verdicts": {name: "alive" for name in NAMES}, "contacts": dict.fromkeys(NAMES, 0.02)},
        at(2, "step.completed", step="before", message="5 voters, quorum 3, failure tolerance 2", output={}),
        at(2, "step.started", step="dead", uses="raft.find_dead", effect="read"),
        looked(3, "dead"),
        at(4, "step.waiting", step="dead", seconds=10.0, **waits, passed=0.0),
        looked(14, "dead"),
        at(14, "step.waiting", step="dead", seconds=10.0, **waits, passed=10.0),
    ]


def removing() -> list[dict[str, Any]]:
    """Up to where the removal was asked for, and nobody has said yet that it is done."""
    peer = {"id": "5", "name": "s5.global", "address": "10.0.0.15:4647"}
    dead = at(34, "step.completed", step="dead", message="s5.global is dead", output={"peers": [peer]})
    asked = {"peer": "5", "name": "s5.global", "address": "10.0.0.15:4647", "voters_after": 4}
    wait = {"reason": "confirming s5.global is dead", "passed": 20.0, "whole": 30.0}
    return [
        *confirming(),
        looked(24, "dead"),
        at(24, "step.waiting", step="dead", seconds=10.0, **wait),
        looked(34, "dead"),
        dead,
        at(34, "step.started", step="quorum", uses="raft.check_quorum", effect="read"),
        at(34, "step.completed", step="quorum", message="without s5.global: 4 voters, quorum 3", output=PROVEN),
        at(34, "step.started", step="remove", uses="raft.remove_peer", effect="change"),
        at(36, "removal.requested", step="remove", **asked),
    ]


def watched(second: float) -> dict[str, Any]:
    """A part of the wait that began with the step."""
    told = {"reason": "watching that no removed server is added back", "whole": 70.0}
    return at(second, "step.waiting", step="verify", seconds=108 - second, passed=second - 38, **told)


def watching() -> list[dict[str, Any]]:
    """Up to where it is watched that the removed server does not come back."""
    return [
        *removing(),
        looked(38, "remove", gone=("s5.global",)),
        at(38, "removal.confirmed", step="remove", peer="5", name="s5.global"),
        at(38, "step.completed", step="remove", message="s5.global is gone", output={}),
        at(38, "step.started", step="verify", uses="raft.verify", effect="read"),
        *(watched(second) for second in (38, 48, 58)),
    ]


def recovery() -> list[dict[str, Any]]:
    """All of it, as a journal holds it."""
    evidence = {name: "its own API answers" for name in NAMES[:4]}
    evidence |= {NAMES[4]: "its Raft port is refused; gossip of 4 servers: 1 alive, 3 failed"}
    told = {"digest": "d" * 64, "who": "ann@bastion", "params": {"looks": 3}, "sources": {"looks": "default"}}
    agreed = {"who": "ann", "how": "at the terminal", "question": "Remove s5.global (10.0.0.15:4647)?"}
    events = [{**event, **told} if event["kind"] == "run.started" else event for event in watching()]
    place = next(number for number, event in enumerate(events) if event["kind"] == "removal.requested")
    events[place:place] = [at(36, "change.approved", step="remove", **agreed)]
    held: dict[str, str] = {}
    for event in events:
        if event["kind"] == "cluster.looked":
            event["evidence"] = {n: evidence[n] for n, what in event["verdicts"].items() if held.get(n) != what}
            held |= event["verdicts"]
    return [
        *events,
        *(watched(second) for second in (68, 78, 88, 98)),
        looked(108, "verify", gone=("s5.global",)),
        at(108, "step.completed", step="verify", message="4 voters agree, nobody came back", output={}),
        at(108, "run.completed", message="recovered"),
    ]


def view_of(events: Iterable[Mapping[str, Any]]) -> LiveView:
    folding = LiveFold()
    for event in events:
        folding.take(event)
    view = folding.view()
    assert view is not None
    return view
