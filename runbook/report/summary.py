"""The last lines of every run: how it ended, what it changed, the numbers before and after, and where the record is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from runbook.changes import TOLD_BY_A_LOOK, Change
from runbook.dataclass import dataclass
from runbook.printable import printable_line
from runbook.raft.quorum import VoterCounts, failure_tolerance
from runbook.removals import Removal
from runbook.report.foreseen import foreseen, would_do
from runbook.report.times import format_moment, format_seconds, seconds_between
from runbook.report.what_next import what_next
from runbook.run_state import RunState

LABEL_WIDTH = 19
AROUND = ("block", "playbook.run")  # fails with what failed inside of it
WOULD = {"refused": "WOULD BE REFUSED", "failed": "WOULD FAIL"}  # how a dry run says that it foresees such an end
AT_WORK = "it is at work. `runbook stop RUN` ends it, and `runbook show RUN --follow` goes along"
BY_HAND = "by-hand.md"  # in the folder of a run
MANY = 20  # changes that are told each on a line of its own before the rest is only counted
ITEMS = 3  # of one step, the same

Row = tuple[str, str]  # what stands in the left column, and what in the right


def format_summary(progress: RunState, folder: str, *, at_work: bool = False) -> list[str]:
    """From the run's state; ``folder`` is where its record lies. Nothing is left to do by hand while it is at work."""
    first, *more = headline(progress, at_work=at_work).splitlines()
    run, left = folder.rpartition("/")[2], [] if at_work else _left(progress, folder)
    rows = [*summary_rows(progress, run, at_work=at_work), *left, ("record", folder)]
    lines = [first, *(f"  {line}" for line in more), *(f"{label:<{LABEL_WIDTH}}{text}" for label, text in rows)]
    return [printable_line(line) for line in lines]


def _left(progress: RunState, folder: str) -> list[Row]:
    """Of a run that could change something, and did not come to its end."""
    changes = progress.started is not None and bool(progress.started.get("lock_holds_for"))
    if not changes or progress.state == "completed":
        return []
    return [("by hand", f"{folder}/{BY_HAND}: what is left, as commands")]


def summary_rows(progress: RunState, run: str, *, at_work: bool = False) -> list[Row]:
    """All of it but the headline and where the record lies."""
    rows = [*_times(progress), *_changed(progress, run), *_passed_over(progress), *_unknown(progress)]
    rows += [("state snapshot", _kept(kept, progress, run)) for kept in state_snapshots(progress)]
    return [*rows, *_numbers(progress), *foreseen(progress), *([] if at_work else what_next(progress, run))]


def headline(progress: RunState, *, at_work: bool = False) -> str:
    """How it ended, with the sentence of a refusal or a failure."""
    name = progress.started["playbook"] if progress.started else "?"
    if progress.ended is None:
        what = f"is unfinished at step {progress.step or '?'}" if progress.started else "was never begun"
        return f"{name} {what}: {AT_WORK if at_work else 'it is still running, or it was killed'}"
    text = str(progress.ended["message"])
    if progress.state == "completed":
        return f"{name}: {text}"
    state = WOULD.get(progress.state, "") if progress.dry_run else ""
    return f"{name} {state or progress.state.upper()} at step {progress.ended['step']}: {text}"


def outcome_in_words(progress: RunState) -> str:
    """How it ended, in a word or two."""
    if progress.ended is None:
        return "unfinished"
    if progress.dry_run:
        return WOULD.get(progress.state, "dry run").lower()
    return str(progress.ended["message"]) if progress.state == "completed" else progress.state


def _times(progress: RunState) -> list[Row]:
    if progress.started is None:
        return []
    began = str(progress.started["at"])
    if progress.ended is None:
        return [("began", f"{format_moment(began)} UTC")]
    took = format_seconds(seconds_between(began, str(progress.ended["at"])))
    stood = ", with the time until it was resumed" if progress.resumed else ""
    return [("took", f"{took}{stood}, from {format_moment(began)} UTC")]


# -- who was left as they were


def _unknown(progress: RunState) -> list[Row]:
    """Who was left: with the signs of trouble and what would settle it, unless the run's end has said that already."""
    gone = {removal.name for removal in progress.removals if removal.peer in progress.gone}
    left = {} if progress.ended_undecided else progress.undecided
    proven = [name for name in left if name not in gone and name in _found_dead(progress)]
    dead = f"{', '.join(proven)}: proven dead, and still in the configuration"
    lines = [("not removed", dead)] if proven else []
    lines += [
        ("unknown", f"{name}: {sign}. Not proven dead, so not removed. {progress.settled_by.get(name, '')}")
        for name, sign in left.items()
        if name not in gone and name not in proven
    ]
    unknown = [name for name, verdict in progress.last_verdicts.items() if verdict == "unknown"]
    others = [name for name in unknown if name not in progress.undecided]
    why = "not proven dead, so never removed; `runbook diagnose` says why"
    return [*lines, ("unknown", f"{', '.join(others)}: {why}")] if others else lines


def _found_dead(progress: RunState) -> frozenset[str]:
    """The names of those that raft.find_dead has proven dead in this run, as far as its record is whole."""
    outputs = [progress.outputs.get(place, {}) for place, uses in progress.uses.items() if uses == "raft.find_dead"]
    listed = [output.get("peers") for output in outputs]
    peers = [peer for peers in listed if isinstance(peers, list) for peer in peers if isinstance(peer, Mapping)]
    return frozenset(str(peer.get("name")) for peer in peers)


# -- the numbers


def _numbers(progress: RunState) -> list[Row]:
    before, after = progress.before, progress.now
    if not before or not after:
        return []
    began = f"{_count(progress.leaderless)}, no leader" if progress.leaderless is not None else _count(before)
    return [("voters", f"{began} -> {_count(after)}"), ("failure tolerance", tolerance_in_words(progress))]


def _count(counts: VoterCounts) -> str:
    return f"{counts.voters} ({counts.live_voters} alive)"


def tolerance_in_words(progress: RunState) -> str:
    """Before and after, the lowest in between; and where a removal gained nothing yet, what it is good for.

    Taking out the dead seldom raises failure tolerance by itself: 4 of 5 voters bear one more loss, and so do 4 of 4.
    What it gains is seen with the next server that is added, as nobody dead counts for quorum then.
    """
    before, after, lowest = progress.before, progress.now, progress.lowest
    if before is None or after is None or lowest is None:
        return "not known"
    if progress.leaderless is not None:
        return f"no leader before -> {after.tolerance}"
    dip = lowest.tolerance < min(before.tolerance, after.tolerance)
    numbers = f"{before.tolerance} -> {f'{lowest.tolerance} -> ' if dip else ''}{after.tolerance}"
    if not progress.gone:
        return numbers
    if after.tolerance:
        bears = f"{'one' if after.tolerance == 1 else after.tolerance} more may fail"
    else:
        bears = "one more failure loses quorum, so add a server"
    return f"{numbers}: {bears}{_gain(before, after)}"


def _gain(before: VoterCounts, after: VoterCounts) -> str:
    """What one more server would give now, beside what it would have given with the dead still counted."""
    added = failure_tolerance(after.voters + 1, after.live_voters + 1)
    otherwise = failure_tolerance(before.voters + 1, after.live_voters + 1)
    words = f". With a server added it is {added}; without the removal it would be {otherwise}"
    return words if after.tolerance <= before.tolerance and added > otherwise else ""


# -- what was changed


def _changed(progress: RunState, run: str) -> list[Row]:
    """Removals, and then step by step what else may be another thing now; after a failure also how to take it back."""
    lines = [_format_removal(removal, run) for removal in progress.removals]
    if progress.dry_run:
        return [*lines, *would_do(progress)] or [("would change", "nothing")]
    lines += _acts(progress, run)
    if progress.state in ("new", "completed"):
        return lines
    if not lines and progress.ended:
        return [("changed", "nothing")]
    undo = [(step, words) for step, text in reversed(progress.undo.items()) for words in text.splitlines()]
    return [*lines, *(("undo by hand", f"{step}: {words}") for step, words in undo)]


def _acts(progress: RunState, run: str) -> list[Row]:
    """A line a step that is no removal: of its change the record knows that it was made, how far, and its words."""
    steps: dict[str, list[Change]] = {}
    for change in progress.changes:
        if not change.open:
            steps.setdefault(change.step, []).append(change)
    lines = [line for step, changes in steps.items() for line in _format_act(progress, step, changes)]
    left = len(lines) - MANY
    more = [("", f"and {left} more: `runbook show {run}` tells each")] if left > 0 else []
    unseen = [
        f"{change.name} ({change.uses}) was begun, and its end was not seen. `runbook resume {run}` "
        f"{'looks' if change.uses in TOLD_BY_A_LOOK else 'asks'} whether it was done"
        for change in progress.open_changes
    ]
    return [*lines[:MANY], *more, *(("OUTCOME NOT KNOWN", words) for words in unseen)]


def _format_act(progress: RunState, step: str, changes: list[Change]) -> Iterator[Row]:
    end, what = progress.ends.get(step), f"{step} ({changes[0].uses})"
    if end is not None and end.outcome == "failed":
        why = "" if step == (progress.ended or {}).get("step") else f"{end.message}; "
        yield ("ran, and failed", f"{what}: {why}what it did until then is not known")
        return
    label = "would run" if all(change.state == "foretold" for change in changes) else "ran"
    said = end.message.splitlines() if end is not None and end.outcome == "succeeded" else []
    for words in said[:ITEMS] or [""]:
        yield (label, f"{what}: {words}" if words else what)
    if len(said) > ITEMS:
        yield (label, f"{what}: {len(said) - ITEMS} lines more")


def _passed_over(progress: RunState) -> list[Row]:
    """The failures that did not end the run, such as a message that did not arrive: nobody else would tell of them."""
    told = {change.step for change in progress.changes} | {str((progress.ended or {}).get("step", ""))}
    return [
        ("failed, went on", f"{place} ({progress.uses.get(place, '?')}): {end.message}")
        for place, end in progress.ends.items()
        if end.outcome == "failed" and place not in told and progress.uses.get(place) not in AROUND
    ]


def _format_removal(removal: Removal, run: str) -> Row:
    who = f"{removal.name} ({removal.address})" if removal.address else removal.name
    if removal.state == "gone":
        return ("removed", who)
    if removal.state == "vanished":
        by = f", {removal.message}" if removal.message else ""
        return ("already gone", f"{who}: not by this run{by}")
    if removal.state in ("foretold", "would_ask"):
        return ("would remove", who)
    if removal.state == "failed":
        return ("not removed", f"{who}: {removal.message}")
    if removal.state == "still_listed":
        how = f"A later look may show it gone, by this run; `runbook resume {run}` looks first"
        return ("NOT SEEN REMOVED", f"{who}: {removal.message}. {how}")
    how = f"`runbook resume {run}` looks first, and goes on where it can be told"
    return ("OUTCOME NOT KNOWN", f"the removal of {who} was asked for at {removal.asked_at}. {how}")


# -- the evidence that was kept


def _kept(snapshot: StateSnapshot, progress: RunState, run: str) -> str:
    """A dry run writes into its own folder alone: what a real run keeps elsewhere is not there."""
    elsewhere = progress.dry_run and snapshot.sha256 and PurePath(snapshot.path).parent.name != run
    return f"would be kept as {snapshot.path}" if elsewhere else str(snapshot)


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
        for result in _results(state, place) if uses == "raft.snapshot" else ():
            if "state_kept" in result:
                yield StateSnapshot(*(_text(result, f"state_{name}") for name in ("path", "sha256", "trouble")))


def kept_files(state: RunState) -> dict[PurePath, str]:
    """The digest on record of each file that is evidence: those in the run's folder, whose paths begin there, and state
    snapshots anywhere.

    A file that a step wrote elsewhere is there to be used, so it may change. Of one that was written again the last
    digest counts.
    """
    run = str(state.started["run"]) if state.started else ""
    results = [result for place in state.outputs for result in _results(state, place)]
    found = [(_in_folder(_text(result, "path"), run), _text(result, "sha256")) for result in results]
    kept = {path: digest for path, digest in found if digest and not path.is_absolute()}
    return kept | {_in_folder(each.path, run): each.sha256 for each in state_snapshots(state) if each.sha256}


def _in_folder(path: str, run: str) -> PurePath:
    """As it is from the folder of the run, which may have been moved since; of a file elsewhere the whole path."""
    parts = PurePath(path).parts
    return PurePath(*parts[parts.index(run) + 1 :]) if run in parts else PurePath("/", path)


def _results(state: RunState, place: str) -> Iterator[Mapping[str, Any]]:
    """What a step returned, for each item where it has a for_each."""
    output = state.outputs.get(place, {})
    results = output.get("results", [output])
    yield from (result for result in (results if isinstance(results, list) else ()) if isinstance(result, Mapping))


def _text(result: Mapping[str, Any], name: str) -> str:
    value = result.get(name, "")
    return value if isinstance(value, str) else ""
