"""The screen of a run as a picture for a terminal: a pure function of what is to be shown, the moment and the size."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from os import terminal_size

from rich.color import ColorSystem
from rich.console import Console, Group, JustifyMethod, OverflowMethod, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from runbook.printable import plain_ascii, printable_line
from runbook.raft.diagnosis.findings import format_count
from runbook.raft.quorum import VoterCounts, quorum
from runbook.report.live_view import LOOKS_DEAD, PENDING, REMOVED, RUNNING, LiveServer, LiveStep, LiveView, LiveWait
from runbook.report.times import format_seconds

WIDE, WIDEST = 84, 120  # columns from which on there is room for more
LOG = 4  # rows that are left to the lines above
LEAST_ROWS, LEAST_STEPS = 8, 5
BAR = 40  # columns at most
GAPS = 3  # empty rows at most
GAP = 2  # columns between two of a table
LEAST_LAST = 8  # columns for the last one, or it is left out
WAIT_LINES = 2
FINE = 1.0  # seconds; of a last contact that is shorter, milliseconds are told
MARKS: Mapping[str, tuple[str, str]] = {PENDING: ("·", "."), RUNNING: ("▶", ">"), "succeeded": ("✓", "+")}
OTHER_MARKS: Mapping[str, tuple[str, str]] = {"skipped": ("–", "-"), "interrupted": ("‖", "|")}
FAILED_MARK = ("✗", "x")
COLOURS: Mapping[str, str] = {
    "alive": "green",
    "dead": "bold red",
    LOOKS_DEAD: "red",
    "unknown": "yellow",
    REMOVED: "bold green",
    "succeeded": "green",
    RUNNING: "bold",
    "failed": "bold red",
    "refused": "bold yellow",
}


def draw(view: LiveView, now: float, size: terminal_size, *, ascii_only: bool = False) -> RenderableType:
    """As it is at ``now``, in seconds since the epoch, and no larger than ``size`` leaves room for beside the lines."""
    pen = _Pen(size.columns - 1, now, ascii_only)
    wait = list(pen.wait(view.wait)) if view.wait else []
    room = size.lines - LOG - 2 - len(wait)
    if room < LEAST_ROWS - 2:
        return Group(pen.header(view), *wait)
    servers = 2 + len(view.servers) if view.servers else 0
    steps = min(len(view.steps), max(LEAST_STEPS, room - servers))
    gap = [Text()] if room >= steps + servers + GAPS else []  # between the parts, where there is room for it
    parts = [pen.rule(), pen.header(view), *gap, *pen.steps(view.steps, steps)]
    if view.servers:
        parts += [*gap, pen.voters(view.before, view.now)]
        if room - steps >= 4:
            parts.append(pen.servers(view.servers, room - steps - 2))
    return Group(*parts, *gap, *wait)


def frame_lines(view: LiveView, now: float, size: terminal_size, *, ascii_only: bool = False) -> list[str]:
    """The same as lines of text, with their colours."""
    console = Console(file=io.StringIO(), width=size.columns - 1, legacy_windows=False, _environ={})
    lines = console.render_lines(draw(view, now, size, ascii_only=ascii_only), pad=False)
    return ["".join(_coloured(segment) for segment in line) for line in lines]


def _coloured(segment: Segment) -> str:
    return segment.style.render(segment.text, color_system=ColorSystem.STANDARD) if segment.style else segment.text


class _Pen:
    def __init__(self, columns: int, now: float, ascii_only: bool) -> None:
        self._columns, self._now, self._ascii = columns, now, ascii_only
        self._overflow: OverflowMethod = "crop" if ascii_only else "ellipsis"

    def header(self, view: LiveView) -> RenderableType:
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right")
        what = f"{'dry run of ' if view.dry_run else ''}{view.playbook or 'resumed'} on {view.cluster}"
        passed = _whole_seconds(max(0.0, self._now - view.began))
        grid.add_row(self._text(what, "bold"), self._text(f"{_clock(self._now)} UTC, {passed}", "bold"))
        return grid

    def rule(self) -> RenderableType:
        """Below it is what changes."""
        return self._text(("-" if self._ascii else "─") * self._columns, "dim")

    # -- steps

    def steps(self, steps: Sequence[LiveStep], room: int) -> Iterator[RenderableType]:
        """So many rows, of which the step at work is one; what is over and what is to come is counted."""
        over = left = 0
        if len(steps) > room:
            at = next((place for place, step in enumerate(steps) if not step.is_over), len(steps) - 1)
            rows = max(1, room - 2)
            over = max(0, min(at - (rows > 1), len(steps) - rows))
            left = len(steps) - over - rows
            steps = steps[over : over + rows]
        if over:
            yield self._text(f"{self._mark('succeeded')} {format_count(over, 'step')} before", "dim")
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        justified: tuple[JustifyMethod, ...] = ("left", "left", "right", "left")
        for justify in justified:
            grid.add_column(justify=justify, no_wrap=True, overflow=self._overflow)
        for step in steps:
            style = COLOURS.get(step.state, "dim")
            seconds = step.seconds(self._now)
            took = "" if seconds is None else _whole_seconds(seconds)
            inside = "  " if step.top != step.place else ""
            row = (self._mark(step.state), f"{inside}{step.place}", took, self._note(step))
            grid.add_row(*(self._text(text, style if column != 3 else "") for column, text in enumerate(row)))
        yield grid
        if left:
            yield self._text(f"{self._mark(PENDING)} {format_count(left, 'step')} to come", "dim")

    def _note(self, step: LiveStep) -> str:
        words = [step.state] if step.is_over and step.state != "succeeded" else []
        words += [f"attempt {step.attempt}"] if step.attempt > 1 and not step.is_over else []
        words += [f"{step.items} done"] if step.items and not step.is_over else []
        words += [step.uses] if step.state == RUNNING or self._columns >= WIDE else []
        return ", ".join(filter(None, words))

    def _mark(self, state: str) -> str:
        return (MARKS.get(state) or OTHER_MARKS.get(state) or FAILED_MARK)[self._ascii]

    # -- the cluster

    def voters(self, before: VoterCounts | None, now: VoterCounts | None) -> RenderableType:
        if now is None:
            return self._text("no leader has been seen", "bold yellow")
        arrow = "->" if self._ascii else "→"
        was = f"{before.voters} {arrow} " if before is not None and before.voters != now.voters else ""
        words = f"{was}{now.voters} voters, {now.live_voters} alive, quorum {quorum(now.voters)}"
        bears = f"{now.tolerance} more may fail" if now.margin >= 0 else "QUORUM IS LOST"
        style = "bold" if now.tolerance else "bold yellow" if now.margin >= 0 else "bold red"
        return self._text(f"{words}, {bears}", style)

    def servers(self, servers: Sequence[LiveServer], room: int) -> RenderableType:
        """As many as there is room for; whoever is alive and stays so is left out first."""
        most = room if room >= len(servers) else room - 1
        shown = sorted(servers, key=lambda server: (server.now == "alive", not server.leads))[:most]
        rows = [self._cells(server) for server in servers if server in shown]
        titles = [self._text(title, "dim") for title in self._titles()]
        widths = [max(row[column].cell_len for row in [titles, *rows]) for column in range(len(titles))]
        last = self._columns - sum(widths[:-1]) - GAP * (len(widths) - 1)  # only the opinions may be cut
        columns = len(titles) if last >= min(LEAST_LAST, widths[-1]) else len(titles) - 1
        widths[-1] = min(widths[-1], max(last, 1))
        lines = [self._row(row[:columns], widths) for row in [titles, *rows]]
        left = [server for server in servers if server not in shown]
        are = "all alive" if all(server.now == "alive" for server in left) else "not all of them alive"
        return Group(*lines, *([self._text(f"and {len(left)} more, {are}", "dim")] if left else []))

    def _row(self, cells: Sequence[Text], widths: Sequence[int]) -> Text:
        """Under each other; the last contact, a number, stands to the right."""
        line = Text(no_wrap=True)
        for column, cell in enumerate(cells):
            if column == len(widths) - 2:
                cell.pad_left(widths[column] - cell.cell_len)
            cell.truncate(widths[column], overflow=self._overflow, pad=True)
            line.append_text(cell).append(" " * GAP)
        line.right_crop(GAP)
        return line

    def _titles(self) -> list[str]:
        if self._columns >= WIDE:
            return ["server", "vote", "before", "now", "last contact", "the others say"]
        return ["server", "verdict", "contact", "the others say"]

    def _cells(self, server: LiveServer) -> list[Text]:
        name = self._text(server.name, "bold" if server.leads else "")
        name.truncate(max(12, self._columns // 4), overflow=self._overflow)
        now = f"{server.now}, leads" if server.leads and server.now == "alive" else server.now
        colour = COLOURS.get(server.now, "bold")
        if self._columns >= WIDE:
            before = self._text(server.before, COLOURS.get(server.before, ""))
            seen = [self._text("yes" if server.votes else "no", ""), before, self._text(now, colour)]
        else:
            arrow = "->" if self._ascii else "→"
            changed = f"{server.before} {arrow} {now}" if server.before != server.now else now
            seen = [self._text(changed if server.votes else f"{changed}, no vote", colour)]
        return [name, *seen, self._text(self._contact(server), ""), self._text(self._opinions(server), "")]

    def _contact(self, server: LiveServer) -> str:
        if server.leads:
            return "-"
        if server.contact is not None:
            seconds = server.contact
            return f"{1000 * seconds:.0f} ms" if seconds < FINE else f"{_whole_seconds(seconds)}"
        return "none seen" if server.heard is None else f"{_whole_seconds(max(0.0, self._now - server.heard))} ago"

    def _opinions(self, server: LiveServer) -> str:
        held = sorted(server.opinions.items(), key=lambda one: (-len(one[1]), one[0]))
        if self._columns >= WIDEST:
            return "; ".join(f"{word}: {', '.join(by)}" for word, by in held)
        return ", ".join(f"{len(by)} {word}" for word, by in held)

    # -- what is awaited

    def wait(self, wait: LiveWait) -> Iterator[RenderableType]:
        lines = textwrap.wrap(printable_line(wait.words), self._columns, break_on_hyphens=False) or [""]
        more = "" if self._ascii else "…"
        for number, line in enumerate(lines[:WAIT_LINES]):
            cut = number == WAIT_LINES - 1 and len(lines) > WAIT_LINES
            yield self._text(f"{line[: self._columns - 1]}{more}" if cut else line, "bold cyan")
        yield self._bar(wait)

    def _bar(self, wait: LiveWait) -> Text:
        """How far it is, where that is known; else how long it has taken, and its limit."""
        passed = max(0.0, self._now - wait.since)
        if wait.whole is None:
            left = "" if wait.until is None else f", at most until {_clock(wait.until)} UTC"
            return self._text(f"{_whole_seconds(passed)} so far{left}", "")
        passed = min(passed, wait.whole)
        words = f"{passed:.0f} of {wait.whole:.0f} s, until {_clock(wait.since + wait.whole)} UTC"
        columns = min(BAR, self._columns - len(words) - 2)
        done = round(columns * (passed / wait.whole if wait.whole else 1.0)) if columns > 0 else 0
        full, empty = ("#", ".") if self._ascii else ("━", "─")
        bar = Text(no_wrap=True, overflow=self._overflow)
        bar.append(full * done, "bold cyan").append(empty * max(0, columns - done), "dim")
        return bar.append(f"{'  ' if columns > 0 else ''}{words}")

    # -- small things

    def _text(self, text: str, style: str) -> Text:
        """Words of others too: no markup, and nothing that a terminal obeys."""
        words = printable_line(text)
        words = plain_ascii(words) if self._ascii else words
        return Text(words, style=style, no_wrap=True, overflow=self._overflow)


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%H:%M:%S")


def _whole_seconds(seconds: float) -> str:
    """Tenths would change with every drawing."""
    return f"{int(seconds)} s" if seconds < 10 else format_seconds(int(seconds))
