"""The plain screen: what one can read in a hurry, line by line as it happens, and who began it, when and where."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from runbook.printable import printable_line
from runbook.report.summary import AROUND, LABEL_WIDTH
from runbook.report.times import format_moment, format_seconds, seconds_between

Record = Mapping[str, Any]
STEP_WIDTH, WIDEST = 9, 20  # columns for the step's name: the least, and the most that it may take
LABEL = 10  # columns for where a line of a dry run is from
WORTH_TELLING = 1.0  # seconds that a step must have taken at least


class Screen:
    """Turns records into lines. Keeps only when the run began and what was said last, so as not to repeat it."""

    def __init__(self, *, afterwards: bool = False) -> None:
        """``afterwards``: told of a run that is read back, with the time of day and how long each step took.

        A failure or refusal in the words ``told_below`` is read below all this, and not here too.
        """
        self.step_width = STEP_WIDTH
        self.told_below = ""
        self._afterwards = afterwards
        self._labelled = False
        self._began: datetime | None = None
        self._day = ""
        self._started: dict[str, Record] = {}
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
            self._started[str(record["step"])] = record
        texts = self._news(kind, record) if kind in _TEXTS else []
        passed = record["foreseen"] if "foreseen" in record else (at - self._began).total_seconds()
        minutes, seconds = divmod(int(passed), 60)
        step = str(record.get("step", ""))
        if texts:
            self.step_width = max(self.step_width, min(len(step), WIDEST))
        self._labelled |= bool(record.get("dry_run"))
        label = f"{record.get('label', ''):<{LABEL}}" if self._labelled else ""
        begin = f"{minutes:02}:{seconds:02}  {step:<{self.step_width}} {label}"
        lines = [f"{begin}{printable_line(text)}".rstrip() for text in texts]
        return self._dated(str(record["at"]), lines) if self._afterwards and lines else lines

    def _dated(self, at: str, lines: list[str]) -> list[str]:
        """With the time of day, and a line for each new day."""
        day, time = format_moment(at).split()
        before, self._day = self._day, day
        return [*([] if day == before else [f"{day} (UTC)"]), *(f"{time}  {line}" for line in lines)]

    def _took(self, record: Record) -> str:
        """How long the step has taken that ends here, or would take; nothing where that is no news."""
        began = self._started.get(str(record["step"]))
        if not self._afterwards or began is None:
            return ""
        seconds = seconds_between(str(began["at"]), str(record["at"]))
        if "foreseen" in record and "foreseen" in began:
            seconds = record["foreseen"] - began["foreseen"]
        return format_seconds(seconds) if seconds >= WORTH_TELLING else ""

    @property
    def indent(self) -> int:
        """Columns before the text of a line."""
        return len("00:00  ") + self.step_width + 1 + (LABEL if self._labelled else 0)

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
            return _lines(self._ok(record), "\n".join(rest)) if rest else []
        elif kind == "step.completed":
            return _lines(self._ok(record), record["message"])
        elif kind in ("step.failed", "run.failed", "run.refused"):
            told = record["message"] in self._failures or record["message"] == self.told_below
            if kind != "step.failed" and (told or not self._afterwards):  # at work the summary follows at once
                return [kind[4:].upper()]
            if record["message"] in self._failures and self._uses.get(step) in AROUND:
                return []
            self._failures.add(record["message"])
            if kind == "step.failed":
                return self._failed(record)
        return texts

    def _ok(self, record: Record) -> str:
        took = self._took(record)
        return f"ok in {took}  " if took else "ok  "

    def _failed(self, record: Record) -> list[str]:
        took = self._took(record)
        begin = f"{record['outcome']}{f' after {took}' if took else ''}"
        below = record["message"] == self.told_below
        return [f"{begin}, see below"] if below else _lines(f"{begin}: ", record["message"])


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


def _waiting(record: Record) -> str:
    return "would wait" if record.get("label") == "simulated" else "waiting"


def _so_far(record: Record) -> str:
    """How far it is, of a wait that is a part of a longer one."""
    passed, whole = record.get("passed"), record.get("whole")
    if passed is None or whole is None or abs(whole - record["seconds"]) < WORTH_TELLING:
        return ""
    return f", {passed:.0f} of {whole:.0f} s"


def _would_ask(record: Record) -> str:
    question = f": {record['question']}" if record.get("question") else ""
    return f"{'agreed to' if record.get('how') == 'by --yes' else 'would ask'}{question} ({record.get('how')})"


def _entered(record: Record) -> str:
    looked = f"looked {record['looks']} times over {record['seconds']:g} s"
    return f"{looked}: {record['why']}. What follows is simulated, as if the world stood still"


def _held(record: Record) -> list[str]:
    told = [f"held to the plan {record['digest'][:12]}… by {record['by']}: nothing has changed since it was made"]
    return [*told, *(f"{name} is gone already: somebody else removed it" for name in record.get("vanished", ()))]


def _peer(record: Record) -> str:
    return f"{record['name']} ({record['address']})"


def _lines(prefix: str, text: str) -> list[str]:
    first, *rest = text.splitlines() or [""]
    return [f"{prefix}{first}", *(f"{' ' * len(prefix)}{line}" for line in rest)]


def words_of(record: Record) -> list[str]:
    """What an event is called, as the screen would tell it beside no other; nothing where it tells of none such."""
    kind = str(record["kind"])
    return _TEXTS[kind](record) if kind in _TEXTS else _MORE_TEXTS[kind](record) if kind in _MORE_TEXTS else []


_TEXTS: Mapping[str, Callable[[Record], list[str]]] = {
    "run.started": _started,
    "cluster.looked": _looked,
    "cluster.replied": lambda r: [f"note: {r['trouble']}"] if r.get("trouble") else [],
    "step.waiting": lambda r: [f"{_waiting(r)} {r['seconds']:g} s: {r['reason']}{_so_far(r)}"],
    "step.skipped": lambda r: [r["message"]],
    "step.completed": lambda r: [r["message"]],
    "step.failed": lambda r: [r["message"]],
    "item.completed": lambda r: _lines("ok  ", r["message"]),
    "item.failed": lambda r: [f"{r['name']} failed: {r['message']}"],
    "playbook.entered": lambda r: [f"runs the playbook {r['path']}"],
    "attempt.failed": lambda r: [f"attempt {r['attempt']} failed: {r['message']}"],
    "change.approved": lambda r: [f"agreed to by {', '.join(part for part in (r['who'], r.get('how')) if part)}"],
    "change.answered": lambda r: [f"its end was not seen: a person says {r['answer']} ({r['how']})"],
    "removal.requested": lambda r: [f"asking for the removal of {_peer(r)}: {r['voters_after']} voters will be left"],
    "removal.would_be_requested": lambda r: [f"would remove {_peer(r)}: {r['voters_after']} voters would be left"],
    "removal.would_be_confirmed": lambda r: [f"{r['name']} would be gone for every server that answers"],
    "change.would_be_approved": lambda r: [_would_ask(r)],
    "shadow.entered": lambda r: [_entered(r)],
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
    "plan.held": lambda r: _held(r),
    "lock.taken_over": lambda r: [f"{r['by']} took the lock over from {r['run']}, by {r['who']}: {r['reason']}"],
    "lock.freed": lambda r: [f"the lock still named {r['run']}, which holds nothing any more ({r['how']}): freed"],
    "server.port_opened": lambda r: [f"{r['name']}: its port {r['address']} has just accepted: it comes and goes"],
    "server.confirmed_off": lambda r: [f"{r['who']} has confirmed that {r['name']} is off: {r['because']}"],
    "left_out.acknowledged": lambda r: [f"{r['who']} says that {r['name']} is kept out: {r['comment']}"],
    "guard.overridden": lambda r: [f"{r['who']} set {r['guard']} aside: {r['reason']}"],
}

_MORE_TEXTS: Mapping[str, Callable[[Record], list[str]]] = {  # which the screen leaves out, as their steps tell of them
    "change.begun": lambda r: [f"began: {r['uses']}"],
    "left_out.listed": lambda r: [f"watched for from now on: {', '.join(str(s.get('name')) for s in r['servers'])}"],
    "change.would_begin": lambda r: [f"would begin: {r['uses']}"],
    "change.unsettled": lambda r: [f"NOT KNOWN whether it was done: {r['message']}"],
    "run.completed": lambda r: [f"ended: {r['message']}"],
}


def format_header(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """From the events alone."""
    lines: list[str] = []
    for event in events:
        at = f"{str(event['at'])[:19].replace('T', ' ')} UTC"
        for label, text in _header_lines(event, at):
            lines.append(printable_line(f"{label:<{LABEL_WIDTH}}{text}"))
    return lines


def _header_lines(event: Mapping[str, Any], at: str) -> list[tuple[str, str]]:
    kind = event["kind"]
    if kind == "run.started":
        who, _, host = str(event["who"]).partition("@")
        version = f", runbook {event['version']}" if event.get("version") else ""
        dry, plan = " (a dry run)" if event["dry_run"] else "", event.get("plan") or {}
        held = [("held to", f"{plan.get('file')}, digest {str(plan.get('digest'))[:12]}…")] if plan else []
        return [
            ("run", f"{event['run']}{dry}"),
            *held,
            ("playbook", f"{event.get('path') or event['playbook']}, SHA-256 {event['digest'][:12]}…"),
            ("cluster", str(event["cluster"])),
            ("began", f"{at}, by {who} on {host or 'an unknown host'}{version}"),
        ]
    if kind == "run.resumed":
        return [("resumed", f"{at}, by {event['who']}")]
    if kind == "change.approved":
        question = f": {event['question']}" if event.get("question") else ""
        return [("agreed", f"{at}, by {event['who']} {event.get('how', '')}{question}".replace("  ", " "))]
    if kind == "guard.overridden":
        return [("set aside", f"{event['guard']}, by {event['who']}: {event['reason']}")]
    if kind == "run.acknowledged":
        return [("acknowledged", f"{at}, by {event['who']}")]
    ended = str(kind).startswith("run.")
    return [("ended", f"{at}, {str(kind)[4:]}")] if ended else []
