"""What stands at the end of every run: how it ended, what was changed, who was left, and what a person does next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbook.printable import printable_line
from runbook.removals import Removal
from runbook.run_state import RunState

LABEL_WIDTH = 19
FEW = 5  # steps that are named before the rest is only counted


def format_summary(progress: RunState, folder: str) -> list[str]:
    """The last lines of every run: its end, what was changed, the numbers before and after, and where the record is."""
    run = folder.rpartition("/")[2]
    headline, *more = _headline(progress).splitlines()
    lines = [headline, *(f"  {line}" for line in more), *_changed(progress, run)]
    lines += [*_unknown(progress), *(_labelled("state snapshot", str(kept)) for kept in state_snapshots(progress))]
    lines += [*_numbers(progress), *_next(progress, run), _labelled("record", folder)]
    return [printable_line(line) for line in lines]


def _labelled(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}}{text}"


def _headline(progress: RunState) -> str:
    name = progress.started["playbook"] if progress.started else "?"
    if progress.ended is None:
        what = "was never begun" if progress.started is None else f"has no ending; the last step was {progress.step}"
        return f"{name} {what}: it is running still, or it was killed"
    text = str(progress.ended["message"])
    if progress.state == "completed":
        return f"{name}: {text}"
    return f"{name} {progress.state.upper()} at step {progress.ended['step']}: {text}"


def _unknown(progress: RunState) -> list[str]:
    """Who was left: with the signs of trouble and what would settle it, unless the run's end has said that already."""
    gone = {removal.name for removal in progress.removals if removal.peer in progress.gone}
    left = {} if progress.ended_undecided else progress.undecided
    proven = [name for name in left if name not in gone and name in _found_dead(progress)]
    dead = f"{', '.join(proven)}: proven dead, and still in the configuration"
    lines = [_labelled("not removed", dead)] if proven else []
    lines += [
        _labelled("unknown", f"{name}: {sign}. Not proven dead, so not removed. {progress.settled_by.get(name, '')}")
        for name, sign in left.items()
        if name not in gone and name not in proven
    ]
    others = [name for name in progress.unproven if name not in progress.undecided]
    why = "not proven dead, so never removed; `runbook diagnose` says why"
    return [*lines, _labelled("unknown", f"{', '.join(others)}: {why}")] if others else lines


def _found_dead(progress: RunState) -> frozenset[str]:
    """The names of those that raft.find_dead has proven dead in this run, as far as its record is whole."""
    outputs = [progress.outputs.get(place, {}) for place, uses in progress.uses.items() if uses == "raft.find_dead"]
    listed = [output.get("peers") for output in outputs]
    peers = [peer for peers in listed if isinstance(peers, list) for peer in peers if isinstance(peer, Mapping)]
    return frozenset(str(peer.get("name")) for peer in peers)


def _numbers(progress: RunState) -> list[str]:
    before, after = progress.before, progress.after
    if not before or not after:
        return []
    none_left = progress.gone and after.margin == 0
    warning = ": one more failure loses quorum, so add a server" if none_left else ""
    return [
        _labelled("voters", f"{before.voters} -> {after.voters}"),
        _labelled("failure tolerance", f"{before.tolerance} -> {after.tolerance}{warning}"),
    ]


def _next(progress: RunState, run: str) -> list[str]:
    """What a person does about a run that did not come to its end."""
    if progress.started is None or progress.state not in ("running", "interrupted"):
        return []
    if progress.dry_run:
        return [_labelled("next", "it was a dry run and changed nothing: run the playbook again")]
    return [_labelled("next", f"`runbook resume {run}` goes on with it")]


def _changed(progress: RunState, run: str) -> list[str]:
    """A line for each removal; where the run did not end well also what else it did, and how that is taken back."""
    lines = [_format_removal(removal, run) for removal in progress.removals]
    if progress.state in ("new", "completed"):
        return lines
    lines += _acts(progress, run)
    if not lines and progress.ended:
        return [_labelled("changed", "nothing")]
    undo = [(step, words) for step, text in reversed(progress.undo.items()) for words in text.splitlines()]
    return [*lines, *(_labelled("undo by hand", f"{step}: {words}") for step, words in undo)]


def _acts(progress: RunState, run: str) -> list[str]:
    """Of a change that is no removal the record knows only that it was made, and how far."""
    open_ = progress.open_changes
    failed = {c.step for c in progress.changes if c not in open_ and progress.steps[c.step] == "failed"}
    ran = list(dict.fromkeys(c.step for c in progress.changes if c not in open_ and c.step not in failed))
    more = f" and {len(ran) - FEW} more" if len(ran) > FEW else ""
    lines = [_labelled("ran", f"{', '.join(ran[:FEW])}{more}: may have changed things")] if ran else []
    uses = {change.step: change.uses for change in progress.changes}
    lines += [
        _labelled("ran, and failed", f"{step} ({uses[step]}): what it did until then is not known")
        for step in uses
        if step in failed
    ]
    for change in open_:
        what = f"{change.name} ({change.uses}) was begun, and its end was not seen"
        lines.append(_labelled("OUTCOME NOT KNOWN", f"{what}. `runbook resume {run}` asks whether it was done"))
    return lines


def _format_removal(removal: Removal, run: str) -> str:
    who = f"{removal.name} ({removal.address})" if removal.address else removal.name
    if removal.state == "gone":
        return _labelled("removed", who)
    if removal.state == "vanished":
        return _labelled("already gone", f"{who}: not by this run")
    if removal.state == "foretold":
        return _labelled("would remove", who)
    if removal.state == "failed":
        return _labelled("not removed", f"{who}: {removal.message}")
    if removal.state == "still_listed":
        how = f"A later look may show it gone, by this run; `runbook resume {run}` looks first"
        return _labelled("NOT SEEN REMOVED", f"{who}: {removal.message}. {how}")
    how = f"`runbook resume {run}` looks first, and goes on where it can be told"
    return _labelled("OUTCOME NOT KNOWN", f"the removal of {who} was asked for at {removal.asked_at}. {how}")


@dataclass(frozen=True)
class StateSnapshot:
    """Where it was kept and its SHA-256 (hex), or why it was not."""

    path: str
    sha256: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.path}, SHA-256 {self.sha256}" if self.sha256 else self.trouble


def state_snapshots(state: RunState) -> Iterator[StateSnapshot]:
    """Of every raft.snapshot that succeeded, in their order. Records of older versions do not tell."""
    for place, uses in state.uses.items():
        output = state.outputs.get(place, {}) if uses == "raft.snapshot" else {}
        results = output.get("results", [output])
        for result in results if isinstance(results, list) else ():
            if isinstance(result, Mapping) and "state_kept" in result:
                yield StateSnapshot(*(_text(result, f"state_{name}") for name in ("path", "sha256", "trouble")))


def _text(result: Mapping[str, Any], name: str) -> str:
    return str(result.get(name, ""))
