"""The skeleton of a post-mortem: what the record knows stands in it, and what only people know is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from runbook.dataclass import dataclass
from runbook.report.story import Story
from runbook.report.summary import headline, summary_rows
from runbook.report.times import format_moment, format_seconds


@dataclass(frozen=True)
class Section:
    """One part of it: what is known, and what is to be filled in."""

    title: str
    lines: tuple[str, ...]
    questions: tuple[str, ...]


def post_mortem(story: Story) -> Sequence[Section]:
    """What, when, who, impact, next."""
    state = story.state
    started, ended = state.started or {}, state.ended or {}
    began = f"{format_moment(str(started['at']))} UTC" if started else "?"
    over = (
        f"it ended {format_moment(str(ended['at']))} UTC, after {format_seconds(story.seconds)}"
        if ended
        else "no end is on record"
    )
    people = dict.fromkeys(str(name) for name in (started.get("who"),) if name)
    return (
        Section("What happened", (headline(state), *_changes(story)), ("What was wrong, and how did it come about?",)),
        Section("When", (f"The run began {began}; {over}.",), ("When did it begin? When was it noticed, and how?",)),
        Section("Who", (f"Run by {', '.join(people)}.",), ("Who else was there, and who was told?",)),
        Section("Impact", (), ("Who noticed, what did not work, and for how long?",)),
        Section(
            "Next", _next(story), ("What shall be changed so that it does not happen again? Who does it, by when?",)
        ),
    )


def _changes(story: Story) -> tuple[str, ...]:
    labels = (
        "removed",
        "already gone",
        "ran",
        "ran, and failed",
        "NOT SEEN REMOVED",
        "OUTCOME NOT KNOWN",
        "not removed",
    )
    run = str((story.state.started or {}).get("run", ""))
    return tuple(f"{label}: {text}" for label, text in summary_rows(story.state, run) if label in labels)


def _next(story: Story) -> tuple[str, ...]:
    """What the record itself asks for."""
    state, run = story.state, str((story.state.started or {}).get("run", ""))
    removed = [removal.name for removal in state.removals if removal.state == "gone"]
    lines = [f"Replace {', '.join(removed)}, so that failure tolerance rises again."] if removed else []
    if state.has_changed and not state.acknowledged:
        lines.append(f"Look at the cluster, then: runbook ack {run} --comment TEXT")
    lines += [f"{name}: {what}" for name, what in state.settled_by.items() if name in state.undecided]
    return tuple(lines)
