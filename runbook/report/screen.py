"""The plain screen: what one can read in a hurry, line by line as it happens, and what stands at the end."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from runbook.printable import printable_line
from runbook.removals import Removal
from runbook.report.evidence import state_snapshots
from runbook.run_state import RunState

Record = Mapping[str, Any]
STEP_WIDTH, WIDEST = 9, 20  # columns for the step's name: the least, and the most that it may take
AROUND = ("block", "playbook.run")  # fails with what failed inside of it
LABEL_WIDTH = 19
FEW = 5  # steps that are named before the rest is only counted


class Screen:
    """Turns records into lines. Keeps only when the run began and what was said last, so as not to repeat it."""

    def __init__(self) -> None:
        self.step_width = STEP_WIDTH
        self._began: datetime | None = None
        self._looked = self._waits = ""
        self._items: dict[str, list[str]] = {}
        self._failures: set[str] = set()
        self._uses: dict[str, str] = {}

    def format_event(self, record: Record) -> list[str]:
        """What to print for this event: often nothing, as most looks see what the one before saw."""
        at = datetime.fromisoformat(str(record["at"]))
        self._began = self._began or at
        kind = str(record["kind"])
        if kind == "step.started":
            self._uses[str(record["step"])] = str(record["uses"])
        texts = self._news(kind, record) if kind in _TEXTS else []
        minutes, seconds = divmod(int((at - self._began).total_seconds()), 60)
        step = str(record.get("step", ""))
        if texts:
            self.step_width = max(self.step_width, min(len(step), WIDEST))
        begin = f"{minutes:02}:{seconds:02}  {step:<{self.step_width}} "
        return [f"{begin}{printable_line(text)}".rstrip() for text in texts]

    def _news(self, kind: str, record: Record) -> list[str]:
        """What was not said before: by the last look, by a round of the step, or where a step inside failed."""
        texts, step = _TEXTS[kind](record), str(record.get("step", ""))
        if kind == "step.waiting":
            self._waits, before = f"{step}: {texts}", self._waits
            return [] if self._waits == before else texts
        if kind == "cluster.looked":
            self._looked, before = "".join(texts), self._looked
            texts = [] if self._looked == before else texts
        self._waits = "" if texts else self._waits
        if kind == "item.completed":
            self._items.setdefault(step, []).extend(texts)
        elif kind == "step.completed" and step in self._items:
            said = [line[4:] for line in self._items.pop(step)]
            rest = [line for line in record["message"].splitlines() if line not in said]
            return _lines("ok  ", "\n".join(rest)) if rest else []
        elif kind in ("step.failed", "run.failed", "run.refused"):
            if record["message"] in self._failures and (kind != "step.failed" or self._uses.get(step) in AROUND):
                return [] if kind == "step.failed" else [kind[4:].upper()]
            self._failures.add(record["message"])
        return texts


def wrap_line(line: str, columns: int, indent: int) -> list[str]:
    """Broken between words, and what follows stands under what it belongs to; no word is ever broken."""
    if " " not in line[indent:]:  # a label and one word, such as a path: nothing is gained
        return [line]
    return textwrap.wrap(
        line, max(columns, 2 * indent), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _started(record: Record) -> list[str]:
    dry = "  (dry run: nothing will be changed)" if record["dry_run"] else ""
    lock = record.get("lock_holds_for")
    told = [f"the lock holds for {lock}"] if lock else []
    return [f"{record['playbook']} on {record['cluster']}{dry}", *told]


def _looked(record: Record) -> list[str]:
    odd = [f"{name} {verdict}" for name, verdict in record["verdicts"].items() if verdict != "alive"]
    if not record["voters"]:
        return ["looked: no server answers"]
    leader = f"leader {record['leader']}" if record["leader"] else "no leader"
    told = f"looked: {record['live_voters']} of {record['voters']} voters answer, {leader}"
    return [f"{told}; {', '.join(odd)}" if odd else told]


def _peer(record: Record) -> str:
    return f"{record['name']} ({record['address']})"


def _lines(prefix: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"{prefix}{first}", *(f"{' ' * len(prefix)}{line}" for line in rest)]


_TEXTS: Mapping[str, Callable[[Record], list[str]]] = {
    "run.started": _started,
    "cluster.looked": _looked,
    "step.waiting": lambda r: [f"waiting {r['seconds']:g} s: {r['reason']}"],
    "step.skipped": lambda r: [r["message"]],
    "step.completed": lambda r: _lines("ok  ", r["message"]),
    "step.failed": lambda r: _lines(f"{r['outcome']}: ", r["message"]),
    "item.completed": lambda r: _lines("ok  ", r["message"]),
    "item.failed": lambda r: [f"{r['name']} failed: {r['message']}"],
    "playbook.entered": lambda r: [f"runs the playbook {r['path']}"],
    "attempt.failed": lambda r: [f"attempt {r['attempt']} failed: {r['message']}"],
    "change.approved": lambda r: [f"agreed to by {', '.join(part for part in (r['who'], r.get('how')) if part)}"],
    "change.answered": lambda r: [f"its end was not seen: {r['answer']}, by a person's word ({r['how']})"],
    "removal.requested": lambda r: [f"asking for the removal of {_peer(r)}: {r['voters_after']} voters will be left"],
    "removal.would_be_requested": lambda r: [f"would remove {_peer(r)}: {r['voters_after']} voters would be left"],
    "removal.confirmed": lambda r: [f"{r['name']} is gone {r.get('message') or 'for every server that answers'}"],
    "removal.already_gone": lambda r: [f"{r.get('name', r['peer'])} is gone already: somebody else removed it"],
    "removal.failed": lambda r: [f"nothing was changed: {r['message']}"],
    "removal.still_listed": lambda r: [f"{r['name']} is taken for not removed: {r['message']}"],
    "removal.unsettled": lambda r: [f"NOT KNOWN whether it was done: {r['message']}"],
    "run.refused": lambda r: _lines("REFUSED: ", r["message"]),
    "run.failed": lambda r: _lines("FAILED: ", r["message"]),
    "run.interrupted": lambda r: _lines("INTERRUPTED: ", r["message"]),
    "run.resumed": lambda r: [f"resumed by {r['who']} on {r['cluster']}"],
    "run.acknowledged": lambda r: [f"acknowledged by {r['who']}: {r['comment']}"],
    "lock.taken_over": lambda r: [f"{r['by']} took the lock over from {r['run']}, by {r['who']}: {r['reason']}"],
    "lock.freed": lambda r: [f"the lock still named {r['run']}, which holds nothing any more ({r['how']}): freed"],
    "server.port_opened": lambda r: [f"{r['name']}: its port {r['address']} has just accepted: it comes and goes"],
    "server.confirmed_off": lambda r: [f"{r['who']} has confirmed that {r['name']} is off: {r['because']}"],
    "guard.overridden": lambda r: [f"{r['who']} set {r['guard']} aside: {r['reason']}"],
}


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
