"""A run as a report tells it: what lasted from when to when, who was what, and what people did; from its events alone.

All times are seconds since the run began, by the clock of the record, which never runs backwards here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook.report.screen import words_of
from runbook.report.summary import AROUND
from runbook.report.times import format_clock, format_seconds, seconds_between
from runbook.run_state import RunState

Record = Mapping[str, Any]
NO_LEADER, NOBODY = "no leader", "no server answers"
GONE = "gone"  # of a server that was in the configuration, and is not any more
PERSON, CHANGE, SIGN, REFUSAL, FAILURE, END = "person", "change", "sign", "refusal", "failure", "end"
MOMENTS: Mapping[str, str] = {
    "change.approved": PERSON,
    "change.answered": PERSON,
    "guard.overridden": PERSON,
    "server.confirmed_off": PERSON,
    "lock.taken_over": PERSON,
    "left_out.acknowledged": PERSON,
    "run.resumed": PERSON,
    "run.acknowledged": PERSON,
    "server.port_opened": SIGN,
    "removal.requested": CHANGE,
    "removal.would_be_requested": CHANGE,
    "removal.would_be_confirmed": CHANGE,
    "change.would_be_approved": PERSON,
    "shadow.entered": SIGN,
    "removal.confirmed": CHANGE,
    "removal.already_gone": CHANGE,
    "removal.failed": FAILURE,
    "removal.still_listed": FAILURE,
    "removal.unsettled": FAILURE,
    "change.begun": CHANGE,
    "change.would_begin": CHANGE,
    "change.unsettled": FAILURE,
    "run.refused": REFUSAL,
    "run.failed": FAILURE,
    "run.interrupted": END,
    "run.completed": END,
}
"""What stands out of a run, and of which sort each is."""

OUTCOMES = {"step.completed": "succeeded", "step.skipped": "skipped", "step.failed": "failed"}


@dataclass(frozen=True)
class Span:
    """Something that lasted: a verdict, a leader, an attempt at a step, a wait."""

    begin: float
    end: float
    what: str


@dataclass(frozen=True)
class Moment:
    """Something that happened at once. ``clock`` is the time of day; of what is only foreseen, how far into the run."""

    time: float
    clock: str
    sort: str
    step: str
    words: str


@dataclass
class StepTold:
    """One step, by its place. ``spans`` are the times in which it ran: more than one where it was resumed. ``label`` is
    that of a dry run: live, simulated or unknown.
    """

    place: str
    uses: str = ""
    effect: str = ""
    outcome: str = "unfinished"
    message: str = ""
    clock: str = ""
    label: str = ""
    spans: list[Span] = field(default_factory=list)
    waits: list[Span] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    output: Mapping[str, Any] = field(default_factory=dict)
    item_outputs: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """All of its time together."""
        return sum(span.end - span.begin for span in self.spans)


@dataclass(frozen=True)
class VerdictTold:
    """What the run held of a server from a moment on, and on what ground."""

    time: float
    clock: str
    step: str
    name: str
    verdict: str
    evidence: str
    settled_by: str


@dataclass(frozen=True)
class Look:
    """One look at the cluster."""

    time: float
    leader: str | None
    voters: int
    live_voters: int
    verdicts: Mapping[str, str]
    non_voters: frozenset[str]


@dataclass
class Story:
    """The whole of it. ``look_before`` is the last that was taken before anything was changed. ``gaps`` are the times
    in which nobody worked on the run, before it was resumed.
    """

    state: RunState
    seconds: float = 0.0
    steps: dict[str, StepTold] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    verdicts: list[VerdictTold] = field(default_factory=list)
    looks: int = 0
    look_before: Look | None = None
    last_look: Look | None = None
    servers: dict[str, list[Span]] = field(default_factory=dict)
    leaders: list[Span] = field(default_factory=list)
    counts: list[tuple[float, int, int]] = field(default_factory=list)
    gaps: list[Span] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    refusals: list[Moment] = field(default_factory=list)


def tell(events: Iterable[Record], state: RunState) -> Story:
    """From events that :func:`runbook.recorded.fold_recorded` has found whole, with the state that they led to."""
    telling = _Telling(Story(state))
    for event in events:
        telling.take(event)
    return telling.end()


class _Telling:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._began = ""
        self._now = 0.0
        self._clock = ""
        self._open: dict[str, float] = {}
        self._told: set[str] = set()
        self._changed = False

    def take(self, event: Record) -> None:
        kind, before = str(event["kind"]), self._now
        self._began = self._began or str(event["at"])
        foreseen = "foreseen" in event  # of a dry run: after how long the real one would be there
        passed = float(event["foreseen"]) if foreseen else seconds_between(self._began, str(event["at"]))
        self._now = max(self._now, passed)
        self._clock = f"+{format_seconds(self._now)}" if foreseen else format_clock(str(event["at"]))
        if kind == "run.resumed":
            self._close_all(before)
            self._story.gaps += [Span(before, self._now, "")] if self._now > before else []
        if kind.startswith("step."):
            self._take_step(kind, event)
        elif kind == "cluster.looked":
            self._look(event)
        elif kind in ("item.completed", "item.failed", "attempt.failed"):
            self._take_item(kind, event)
        self._learn_addresses(event)
        if kind in MOMENTS:
            self._changed = self._changed or MOMENTS[kind] == CHANGE
            self._moment(kind, event)

    def end(self) -> Story:
        story = self._story
        self._close_all(self._now)
        story.seconds = self._now
        if story.leaders:
            story.leaders[-1] = self._stretched(story.leaders[-1])
        for name, spans in story.servers.items():
            if (story.last_look and name in story.last_look.verdicts) or spans[-1].what == GONE:
                spans[-1] = self._stretched(spans[-1])
        return story

    # -- steps

    def _take_step(self, kind: str, event: Record) -> None:
        place = str(event["step"])
        step = self._story.steps.setdefault(place, StepTold(place))
        if kind == "step.started":
            step.uses, step.effect, step.outcome = str(event["uses"]), str(event["effect"]), "unfinished"
            step.clock = step.clock or self._clock
            self._open[place] = self._now
        elif kind == "step.waiting":
            step.waits.append(Span(self._now, self._now + max(0.0, float(event["seconds"])), str(event["reason"])))
        else:
            step.outcome = str(event.get("outcome") or OUTCOMES[kind])
            step.message = str(event["message"])
            step.output = event.get("output") or {}
            self._close(place, self._now)
        step.label = str(event.get("label", step.label))
        if kind == "step.failed" and (step.message not in self._told or step.uses not in AROUND):
            self._told.add(step.message)
            sort = REFUSAL if step.outcome == "refused" else FAILURE
            self._story.refusals.append(Moment(self._now, self._clock, sort, place, step.message))

    def _take_item(self, kind: str, event: Record) -> None:
        step = self._story.steps.setdefault(str(event["step"]), StepTold(str(event["step"])))
        if kind == "item.completed":
            step.item_outputs.append(event["output"])
        else:
            step.attempts.append(words_of(event)[0])

    def _close(self, place: str, end: float) -> None:
        if place in self._open:
            step = self._story.steps[place]
            step.spans.append(Span(self._open.pop(place), end, step.outcome))

    def _close_all(self, end: float) -> None:
        for place in list(self._open):
            self._close(place, end)

    # -- the cluster

    def _look(self, event: Record) -> None:
        story, verdicts = self._story, dict(event["verdicts"])
        look = Look(
            self._now,
            event["leader"],
            int(event["voters"]),
            int(event["live_voters"]),
            verdicts,
            frozenset(event.get("non_voters", ())),
        )
        story.looks += 1
        if verdicts and (story.look_before is None or not self._changed):
            story.look_before = look
        story.last_look = look if verdicts else story.last_look
        leader = look.leader or (NO_LEADER if verdicts else NOBODY)
        _extend(story.leaders, self._now, leader)
        for name, verdict in verdicts.items():
            spans = story.servers.setdefault(name, [])
            if not spans or spans[-1].what != verdict or name in event.get("evidence", {}):
                self._verdict(event, name, verdict)
            _extend(spans, self._now, verdict)
        for name, spans in story.servers.items() if verdicts else ():
            if name not in verdicts and spans[-1].what != GONE:
                _extend(spans, self._now, GONE)
        counted = (look.voters, look.live_voters)
        if look.leader is not None and (not story.counts or story.counts[-1][1:] != counted):
            story.counts.append((self._now, *counted))

    def _verdict(self, event: Record, name: str, verdict: str) -> None:
        evidence = event.get("evidence", {}).get(name) or event.get("undecided", {}).get(name, "")
        settled_by = event.get("settled_by", {}).get(name, "") if verdict != "alive" else ""
        told = VerdictTold(self._now, self._clock, str(event["step"]), name, verdict, evidence, settled_by)
        self._story.verdicts.append(told)

    def _stretched(self, span: Span) -> Span:
        return Span(span.begin, self._now, span.what)

    def _learn_addresses(self, event: Record) -> None:
        """From whatever tells one: a removal, or the peers in the result of a step."""
        if isinstance(event.get("address"), str) and isinstance(event.get("name"), str):
            self._story.addresses.setdefault(event["name"], event["address"])
        output = event.get("output")
        for value in output.values() if isinstance(output, Mapping) else ():
            for item in value if isinstance(value, list) else ():
                if isinstance(item, Mapping) and isinstance(item.get("address"), str):
                    self._story.addresses.setdefault(str(item.get("name", "")), item["address"])

    # -- what stands out

    def _moment(self, kind: str, event: Record) -> None:
        words = words_of(event)[0] if kind != "run.completed" else f"ended: {event['message']}"
        if kind in ("run.refused", "run.failed"):
            if event["message"] not in self._told:
                told = Moment(self._now, self._clock, MOMENTS[kind], str(event["step"]), event["message"])
                self._story.refusals.append(told)
            words = words.partition(":")[0]
        self._story.moments.append(Moment(self._now, self._clock, MOMENTS[kind], str(event.get("step", "")), words))


def _extend(spans: list[Span], now: float, what: str) -> None:
    """What was last, lasts until now; and from now on it is this."""
    if spans:
        spans[-1] = Span(spans[-1].begin, now, spans[-1].what)
    if not spans or spans[-1].what != what:
        spans.append(Span(now, now, what))
