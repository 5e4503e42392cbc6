"""The timeline of a run as a picture: its steps, what people and the run did, and the cluster meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from runbook.dataclass import dataclass
from runbook.raft.quorum import quorum
from runbook.report.story import CHANGE, FAILURE, NO_LEADER, NOBODY, PERSON, REFUSAL, Moment, Span, StepTold, Story
from runbook.report.svg import picture, shortened, tag, text_at, titled
from runbook.report.times import format_seconds, utc

WIDTH, LABELS, RIGHT = 1000.0, 168.0, 16.0
ROW, BAR = 22.0, 12.0
TOP = 64.0  # above the rows: the axis, and up to three rows of flags
FLAG, FLAG_ROWS = 17.0, 3
BREAK = 26.0  # wide, for a time in which nobody worked on the run, however long it was
MOST_STEPS, MOST_SERVERS, MOST_FLAGS = 40, 24, 24
CHARACTERS = 24  # of a label
THIN = 1.5  # narrower than this no bar is drawn beside another
LETTER = 6.2  # wide, about, in a bar
TICKS = 7
NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
URGENT = (REFUSAL, FAILURE, PERSON, CHANGE)


@dataclass(frozen=True)
class Axis:
    """Where a time lies. What was slept through, before somebody resumed the run, is a narrow break."""

    seconds: float
    gaps: tuple[Span, ...]

    @property
    def active(self) -> float:
        return max(self.seconds - sum(gap.end - gap.begin for gap in self.gaps), 0.001)

    @property
    def scale(self) -> float:
        """Units a second."""
        return (WIDTH - LABELS - RIGHT - BREAK * len(self.gaps)) / self.active

    def x(self, time: float) -> float:
        before = [gap for gap in self.gaps if gap.begin < time]
        slept = sum(min(time, gap.end) - gap.begin for gap in before)
        breaks = sum(BREAK * min(1.0, (time - gap.begin) / (gap.end - gap.begin)) for gap in before)
        return LABELS + (time - slept) * self.scale + breaks


def draw_timeline(story: Story) -> str:
    """All of it. Rows that would be too many are counted in words."""
    axis = Axis(story.seconds, tuple(gap for gap in story.gaps if gap.end - gap.begin > story.seconds / 50))
    rows = _Rows(axis, TOP)
    steps = _chosen_steps(story)
    rows.heading("steps")
    for step in steps:
        rows.add(step.place, *_step_bars(axis, step, rows.y), title=f"{step.place} ({step.uses})")
    if len(steps) < len(story.steps):
        rows.note(f"and {len(story.steps) - len(steps)} more, in the table below")
    if story.servers:
        rows.heading("cluster")
        rows.add("leader", *_leader_bars(axis, story, rows.y))
        rows.voters(story)
        _add_servers(axis, rows, story)
    height = rows.y + 8
    inside = [*_ticks(axis, story, height), *_gaps(axis, height), *_flags(axis, story, height), *rows.elements]
    return picture(WIDTH, height, "Timeline of the run", _PATTERNS, *inside)


class _Rows:
    def __init__(self, axis: Axis, y: float) -> None:
        self.y = y
        self.elements: list[str] = []
        self._axis = axis

    def heading(self, text: str) -> None:
        self.y += 6
        self.elements.append(text_at(0, self.y + 13, text, "heading"))
        self.y += ROW - 2

    def add(self, label: str, *bars: str, title: str = "") -> None:
        name = text_at(8, self.y + 14, shortened(label, CHARACTERS), "label")
        line = tag("line", x1=LABELS, y1=self.y + ROW, x2=WIDTH - RIGHT, y2=self.y + ROW, cls="grid")
        self.elements += [line, titled(name, title or label), *bars]
        self.y += ROW

    def note(self, text: str) -> None:
        self.elements.append(text_at(8, self.y + 14, text, "muted"))
        self.y += ROW

    def voters(self, story: Story) -> None:
        """How many live, of how many, against the quorum, as steps."""
        if not story.counts:
            return
        high, most = 46.0, max(voters for _, voters, _ in story.counts)
        base = self.y + high + 4

        def y(count: float) -> float:
            return base - high * count / max(most, 1)

        label = text_at(8, self.y + 30, "voters", "label")
        ends = [time for time, _, _ in story.counts[1:]] + [story.seconds]
        for (begin, voters, live), end in zip(story.counts, ends, strict=True):
            left, right = self._axis.x(begin), self._axis.x(end)
            need = quorum(voters)
            wide = max(right - left, 1.0)
            words = f"{live} of {voters} voters alive, {need} needed"
            box = tag("rect", x=left, y=y(voters), width=wide, height=base - y(voters), cls="voters")
            alive = tag("rect", x=left, y=y(live), width=wide, height=base - y(live), cls="live")
            line = tag("line", x1=left, y1=y(need), x2=left + wide, y2=y(need), cls="quorum")
            self.elements.append(titled(box, words, alive, line))
            if wide > len(words) * LETTER:
                self.elements.append(text_at(left + 6, base - 6, words, "on-live"))
        self.elements.append(label)
        self.y = base + 6


def _chosen_steps(story: Story) -> Sequence[StepTold]:
    """Those on the first level, where all of them are too many."""
    steps = list(story.steps.values())
    if len(steps) > MOST_STEPS:
        steps = [step for step in steps if not {".", "/", "~"} & set(step.place)] or steps
    return steps[:MOST_STEPS]


def _step_bars(axis: Axis, step: StepTold, y: float) -> Iterator[str]:
    """A bar for each time it ran, hatched where it waited; behind the last one what it took and how it ended."""
    top = y + (ROW - BAR) / 2
    for span in step.spans:
        words = f"{step.place}: {span.what}, {format_seconds(span.end - span.begin)}"
        yield titled(_bar(axis, span, top, f"step {span.what}"), words)
        drawn = 0.0
        for wait in step.waits:
            begin, end = max(wait.begin, span.begin), min(wait.end, span.end)
            if begin < end and axis.x(end) - drawn >= THIN:
                drawn = axis.x(end)
                yield titled(_bar(axis, Span(begin, end, ""), top, "wait"), f"waiting: {wait.what}")
    if not step.spans:
        return
    told = f"{format_seconds(step.seconds)}{'' if step.outcome == 'succeeded' else f', {step.outcome}'}"
    right = axis.x(step.spans[-1].end)
    if right + len(told) * LETTER + 12 < WIDTH:
        yield text_at(right + 6, y + 14, told, "took")
    else:
        yield text_at(axis.x(step.spans[0].begin) - 6, y + 14, told, "took", "end")


def _bar(axis: Axis, span: Span, top: float, cls: str, high: float = BAR) -> str:
    left = axis.x(span.begin)
    return tag("rect", x=left, y=top, width=max(axis.x(span.end) - left, 2.0), height=high, rx=2, cls=cls)


def _leader_bars(axis: Axis, story: Story, y: float) -> Iterator[str]:
    yield from _spans(axis, story.leaders, y, lambda what: "none" if what in (NO_LEADER, NOBODY) else "leader")


def _spans(axis: Axis, spans: Sequence[Span], y: float, kind: Callable[[str], str]) -> Iterator[str]:
    drawn = LABELS
    for span in spans:
        if axis.x(span.end) - drawn < THIN and len(spans) > 1:
            continue  # what comes and goes faster than can be drawn: the tables tell of it
        drawn = axis.x(span.end)
        cls = kind(span.what)
        words = f"{span.what} for {format_seconds(span.end - span.begin)}"
        yield titled(_bar(axis, span, y + 4, f"fact {cls}", ROW - 8), words)
        if (axis.x(span.end) - axis.x(span.begin)) > len(span.what) * LETTER + 8:
            yield text_at(axis.x(span.begin) + 6, y + 15, span.what, f"in-bar on-{cls}")


def _add_servers(axis: Axis, rows: _Rows, story: Story) -> None:
    """Those first of whom something else than *alive* was seen."""
    names = sorted(story.servers, key=lambda name: ({span.what for span in story.servers[name]} == {"alive"}, name))
    for name in names[:MOST_SERVERS]:
        rows.add(name, *_spans(axis, story.servers[name], rows.y, str))
    if len(names) > MOST_SERVERS:
        rows.note(f"and {len(names) - MOST_SERVERS} servers more, in the table below")


# -- over all rows


def _ticks(axis: Axis, story: Story, height: float) -> Iterator[str]:
    began = "" if story.state.started is None or story.state.dry_run else str(story.state.started["at"])
    step = next(
        (nice for nice in NICE if axis.active / nice <= TICKS), NICE[-1] * (int(axis.active / NICE[-1] / TICKS) + 1)
    )
    for number in range(int(story.seconds // step) + 1):
        time = float(number * step)
        if any(gap.begin < time < gap.end for gap in axis.gaps):
            continue
        x = axis.x(time)
        yield tag("line", x1=x, y1=26, x2=x, y2=height, cls="grid")
        clock = (utc(began) + timedelta(seconds=time)).strftime("%H:%M:%S") if began else ""
        yield text_at(x, 12, clock, "tick", "middle" if number else "start")
        yield text_at(
            x,
            24,
            f"+{format_seconds(time)}" if number else "UTC" if began else "begin",
            "muted",
            "middle" if number else "start",
        )
        if number > 50:
            return


def _gaps(axis: Axis, height: float) -> Iterator[str]:
    for gap in axis.gaps:
        box = tag("rect", x=axis.x(gap.begin), y=26, width=BREAK, height=height - 26, cls="gap")
        yield titled(box, f"nobody worked on the run for {format_seconds(gap.end - gap.begin)}")


def flagged(story: Story) -> dict[int, int]:
    """By the number of a moment in the list, from 0, the number on its flag: of too many those that matter most."""
    order = sorted(range(len(story.moments)), key=lambda place: (_urgency(story.moments[place]), place))
    return {place: number for number, place in enumerate(sorted(order[:MOST_FLAGS]), start=1)}


def _urgency(moment: Moment) -> int:
    return URGENT.index(moment.sort) if moment.sort in URGENT else len(URGENT)


def _flags(axis: Axis, story: Story, height: float) -> Iterator[str]:
    """Numbered; the list below the picture says what each is. Where they are close they stand above each other."""
    ends = [0.0] * FLAG_ROWS
    for place, number in flagged(story).items():
        moment = story.moments[place]
        x = axis.x(moment.time)
        row = next((row for row in range(FLAG_ROWS) if ends[row] <= x - FLAG / 2), FLAG_ROWS - 1)
        ends[row] = x + FLAG / 2
        y = TOP - 8 - row * (FLAG - 4)
        line = tag("line", x1=x, y1=y, x2=x, y2=height, cls=f"flag {moment.sort}")
        dot = tag("circle", cx=x, cy=y, r=FLAG / 2 - 1, cls=f"flag {moment.sort}")
        yield titled(line, f"{number}: {moment.words}", dot, text_at(x, y + 3.6, str(number), "flag", "middle"))


_PATTERNS = tag(
    "defs",
    *(
        tag(
            "pattern",
            tag("rect", width=6, height=6, cls=f"fill-{name}"),
            tag("path", d=path, cls=f"ink-{name}"),
            id=f"hatch-{name}",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        )
        for name, path in (
            ("dead", "M0 6L6 0"),
            ("unknown", "M3 0V6"),
            ("wait", "M0 0L6 6"),
            ("none", "M0 6L6 0M0 0L6 6"),
        )
    ),
)
