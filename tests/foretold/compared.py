"""What a dry run foretold beside what then happened: every step, every result, the end and the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook.engine.execute import Ending
from runbook.exit_codes import exit_code_of_ending
from runbook.lab.virtual.approach import Shape
from runbook.report.summary import AROUND, format_summary
from tests.foretold.standing import StandingWorld, chance_of

ROOT = Path(__file__).resolve().parents[2]
ENDS = ("step.completed", "step.failed", "step.skipped")
BALANCERS = (Shape.BALANCER, Shape.FAR_BALANCER)  # whom they ask is chance, so two looks at one world differ
FOREIGN = ("command.run", "ssh.run", "ssh.copy", "http.request", "notify.webhook")
MOMENTS = frozenset({"state_sha256", "at", "seconds"})  # values of a moment, which another one does not have
WORDS = frozenset({"message", "evidence"})
PERSONS = ("agrees", "agrees", "agrees", "absent", "Locked", "CoolDown")
HOST = '{"local": true, "data_folder": "/nowhere", "service": {"unit": "none"}}'
HOSTS = '{"s1.global": "h1", "s2.global": "h2", "s3.global": "h3", "s4.global": "h4", "s5.global": "h5"}'
EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "safe-to-stop": {"server": "s2"},
    "transfer-leadership": {},
    "stop-frozen-server": {"server": "s2"},
    "restore-snapshot": {"path": "/nowhere/state.snap"},
    "take-snapshot": {"folder": "KEPT", "keep": "2"},
    "replace-server": {"server": "s2", "host": HOST},
    "rolling-restart": {},
    "daily-snapshot": {"folder": "KEPT", "keep": "2"},
    "drain-and-reboot": {"host": "c1", "client": "0123456789abcdef"},
    "fail-over-web": {"primary": "http://a/", "standby": "http://b/", "balancer": "http://c/"},
    "on-many-hosts": {"hosts": '["a", "b", "c"]'},
    "post-evidence": {},
    "replace-dead-server": {"successor": "new"},
    "rolling-restart-by-ssh": {"hosts": HOSTS},
}
SHIPPED = (
    "health-check",
    "remove-dead-peers",
    "recover-lost-quorum",
    "replace-server",
    "restore-snapshot",
    "rolling-restart",
    "safe-to-stop",
    "stop-frozen-server",
    "take-snapshot",
    "transfer-leadership",
)
NAMES = (*SHIPPED, *(name for name in EXAMPLES if name not in SHIPPED))


@dataclass
class Comparison:
    """``differences`` are sentences; ``labels`` counts the ends of steps of the dry run."""

    differences: list[str] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


def compare(name: str, seed: int, folder: Path) -> Comparison:
    """Of one playbook on one world, played twice."""
    path = ROOT / "playbooks" / ("" if name in SHIPPED else "examples") / f"{name}.yaml"
    person = chance_of(seed, f"person {name}").choice(PERSONS)
    worlds = []
    for dry_run in (True, False):
        own = folder / ("dry" if dry_run else "real")
        own.mkdir()
        world = StandingWorld(seed, own / "state" / "runs" / "r")
        world.folder.parent.mkdir(parents=True)
        params = params_of(name, world, own)
        running = world.running()
        worlds.append((world, world.play(path, params, person, dry_run=dry_run)))
    compared = Comparison()
    if running != worlds[1][0].running() or moves(seed, folder, worlds[1][0].world.timeline.now):
        compared.counts["the world moved by itself"] += 1
        return compared
    compared.differences += [f"{name} {seed}: the summary leaves out {what}" for what in _untold(worlds[1][0])]
    differences = [f"{name} {seed} ({person}): {each}" for each in _differences(compared, *worlds[0], *worlds[1])]
    if differences and worlds[0][0].incident.approach.shape in BALANCERS:
        compared.counts["a balancer showed another server"] += 1
        return compared
    compared.differences += differences
    return compared


def _untold(real: StandingWorld) -> Iterator[str]:
    """What a run has done, or let pass, of which its summary says nothing; long lists are counted there."""
    told = "\n".join(format_summary(real.state, "/state/runs/r"))
    uses = {record["step"]: record["uses"] for record in real.records if record["kind"] == "step.started"}
    for record in real.records if " more: " not in told else ():
        kind, step = record["kind"], record.get("step", "")
        if kind == "change.begun" or (kind == "step.failed" and record["goes_on"] and uses[step] not in AROUND):
            words = f"{step} ("
        else:
            words = f" {record['name']}" if kind == "removal.requested" else ""
        if words not in told:
            yield f"{kind} of {words}"


def moves(seed: int, folder: Path, until: float) -> bool:
    """Whether the same world, left alone for as long as the run took, is another one in the end."""
    alone = StandingWorld(seed, folder / "alone")
    before = alone.picture()
    alone.wait(until - alone.world.timeline.now)
    return alone.picture() != before


def params_of(name: str, world: StandingWorld, own: Path) -> Mapping[str, str]:
    if name == "remove-dead-peers":
        return world.incident.params if world.incident.commands is None else {}
    params = dict(EXAMPLES.get(name, {}))
    if name in ("take-snapshot", "daily-snapshot"):
        (own / "kept").mkdir()
        for day in ("01", "02"):
            (own / "kept" / f"raft-2026-01-{day}.snap").write_text(day)
        params["folder"] = str(own / "kept")
    return params


def _differences(
    compared: Comparison, dry: StandingWorld, foretold: Ending, real: StandingWorld, happened: Ending
) -> Iterator[str]:
    ended_dry, ended_real = ends_of(dry), ends_of(real)
    compared.counts[f"{type(happened).__name__} {getattr(happened, 'code', getattr(happened, 'error_kind', ''))}"] += 1
    uses = {record["step"]: record["uses"] for record in dry.records if record["kind"] == "step.started"}
    for place in dict.fromkeys((*ended_dry, *ended_real)):
        mine, theirs = ended_dry.get(place), ended_real.get(place)
        if mine is None or theirs is None:
            yield f"{place} ends only in the {'dry' if theirs is None else 'real'} run: {mine or theirs}"
            continue
        compared.labels[mine["label"]] += 1
        if mine["label"] == "unknown" and theirs["kind"] == "step.failed" and uses[place] not in FOREIGN:
            compared.counts["the world did not do its part"] += 1  # a wait that only it could have ended
            return
        if mine["label"] == "unknown":
            continue
        yield from _different(place, mine, theirs)
    yield from different_ends(foretold, happened)
    leader = real.world.truth.leader()
    assert dry.state.foreseen is not None
    listed = {peer["id"] for peer in dry.state.foreseen["peers"]}
    held = {peer.id for peer in leader.peers} if leader else set()
    led = bool(dry.state.looks) and dry.state.looks[-1].configuration is not None  # else it is as old as who told it
    if leader is not None and led and listed and listed != held and "start" not in ended_real:
        yield f"the configuration: foretold {sorted(listed)}, and it is {sorted(held)}"


def ends_of(world: StandingWorld) -> dict[str, dict[str, Any]]:
    return {record["step"]: record for record in world.records if record["kind"] in ENDS}


def _different(place: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for key in ("kind", "outcome", "code"):
        if mine.get(key) != theirs.get(key):
            told = f"{mine.get(key)} ({mine.get('message')}), real {theirs.get(key)} ({theirs.get('message')})"
            yield f"{place}: {key}: foretold {told}"
            return
    foretold, happened = (_plain(record.get("output", {})) for record in (mine, theirs))
    if not _fits(foretold, happened):
        yield f"{place}: foretold {foretold}, real {happened}"


def _plain(value: Any) -> Any:
    """Without what is of one moment or of one folder."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if key not in MOMENTS}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.replace("/dry/", "/FOLDER/").replace("/real/", "/FOLDER/") if isinstance(value, str) else value


def _fits(foretold: Any, happened: Any) -> bool:
    """Where the dry run says that something is known only to the real run, anything fits."""
    if foretold == "(known after apply)":
        return True
    if isinstance(foretold, Mapping) and isinstance(happened, Mapping):
        return foretold.keys() == happened.keys() and all(_fits(foretold[key], happened[key]) for key in foretold)
    if isinstance(foretold, list) and isinstance(happened, list):
        return len(foretold) == len(happened) and all(map(_fits, foretold, happened))
    return bool(foretold == happened)


def different_ends(foretold: Ending, happened: Ending) -> Iterator[str]:
    codes = exit_code_of_ending(foretold), exit_code_of_ending(happened)
    names = [getattr(end, "code", getattr(end, "error_kind", "")) for end in (foretold, happened)]
    if codes[0] != codes[1] or names[0] != names[1] or getattr(foretold, "step", "") != getattr(happened, "step", ""):
        yield f"the end: foretold {foretold}, real {happened}"
