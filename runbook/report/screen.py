"""The plain screen: what one can read in a hurry, line by line as it happens, and what stands at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from runbook.progress import Removal, RunProgress

Record = Mapping[str, Any]
STEP_WIDTH = 9


class Screen:
    """Turns records into lines. Keeps only when the run began and what was said last, so as not to repeat it."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._said: tuple[str, str] = ("", "")

    def lines(self, record: Record) -> list[str]:
        """What to print for this event: often nothing, as most looks see what the one before saw."""
        at = datetime.fromisoformat(str(record["at"]))
        self._began = self._began or at
        kind = str(record["kind"])
        texts = _TEXTS[kind](record) if kind in _TEXTS else []
        if kind == "cluster.looked" and self._said == (kind, "".join(texts)):
            return []
        if kind == "cluster.looked":
            self._said = (kind, "".join(texts))
        minutes, seconds = divmod(int((at - self._began).total_seconds()), 60)
        step = str(record.get("step", ""))
        return [f"{minutes:02}:{seconds:02}  {step:<{STEP_WIDTH}} {text}".rstrip() for text in texts]


def _started(record: Record) -> list[str]:
    dry = "  (dry run: nothing will be changed)" if record["dry_run"] else ""
    return [f"{record['playbook']} on {record['cluster']}{dry}"]


def _looked(record: Record) -> list[str]:
    odd = [f"{name} {verdict}" for name, verdict in record["verdicts"].items() if verdict != "alive"]
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
    "attempt.failed": lambda r: [f"attempt {r['attempt']} failed: {r['message']}"],
    "change.approved": lambda r: [f"agreed to by {r['who']}"],
    "removal.requested": lambda r: [f"asking for the removal of {_peer(r)}: {r['voters_after']} voters will be left"],
    "removal.would_be_requested": lambda r: [f"would remove {_peer(r)}: {r['voters_after']} voters would be left"],
    "removal.confirmed": lambda r: [f"{r['name']} is gone {r.get('message') or 'for every server that answers'}"],
    "removal.already_gone": lambda r: [f"{r.get('name', r['peer'])} is gone already: somebody else removed it"],
    "removal.failed": lambda r: [f"nothing was changed: {r['message']}"],
    "removal.unsettled": lambda r: [f"NOT KNOWN whether it was done: {r['message']}"],
    "run.refused": lambda r: [f"REFUSED: {r['message']}"],
    "run.failed": lambda r: [f"FAILED: {r['message']}"],
    "run.interrupted": lambda r: [f"INTERRUPTED: {r['message']}"],
    "run.resumed": lambda r: [f"resumed by {r['who']} on {r['cluster']}"],
    "run.acknowledged": lambda r: [f"acknowledged by {r['who']}: {r['comment']}"],
    "lock.taken_over": lambda r: [f"{r['by']} took the lock over from {r['run']}, by {r['who']}: {r['reason']}"],
    "guard.overridden": lambda r: [f"{r['who']} set {r['guard']} aside: {r['reason']}"],
}


def summary(progress: RunProgress, folder: str) -> list[str]:
    """The last lines of every run: its end, what was changed, the numbers before and after, and where the record is."""
    lines = [_headline(progress), *_removed(progress)]
    if progress.unproven:
        lines.append(f"unknown            {', '.join(progress.unproven)} (never removed; see `runbook diagnose`)")
    before, after = progress.before, progress.after
    if before and after:
        lines.append(f"voters             {before.voters} -> {after.voters}")
        lines.append(f"failure tolerance  {before.tolerance} -> {after.tolerance}")
    return [*lines, f"record             {folder}"]


def _headline(progress: RunProgress) -> str:
    name = progress.started["playbook"] if progress.started else "?"
    if progress.ended is None:
        what = "was never begun" if progress.started is None else f"has no ending; the last step was {progress.step}"
        return f"{name} {what}: it is running still, or it was killed"
    text = str(progress.ended["message"])
    if progress.state == "completed":
        return f"{name}: {text}"
    return f"{name} {progress.state.upper()} at step {progress.ended['step']}: {text}"


def _removed(progress: RunProgress) -> list[str]:
    """One line for each removal; a refusal or a failure with nothing changed says so."""
    lines = [_told(removal) for removal in progress.removals]
    if not lines and progress.state in ("refused", "failed", "interrupted"):
        return ["changed            nothing"]
    return lines


def _told(removal: Removal) -> str:
    who = f"{removal.name} ({removal.address})" if removal.address else removal.name
    if removal.state == "gone":
        return f"removed            {who}"
    if removal.state == "vanished":
        return f"already gone       {who}: not by this run"
    if removal.state == "foretold":
        return f"would remove       {who}"
    if removal.state == "failed":
        return f"not removed        {who}: {removal.message}"
    return (
        f"OUTCOME NOT KNOWN  the removal of {who} was asked for at {removal.asked_at}. "
        "`runbook resume` looks first, and goes on where it can be told"
    )
