"""The report of a run as one page of HTML: no network, no script; drawn from its journal, and its playbook's text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from runbook.raft.diagnosis.findings import format_count
from runbook.report.html import load_template
from runbook.report.playbook_lines import PlaybookText, marked_lines
from runbook.report.post_mortem import post_mortem
from runbook.report.screen import Screen, words_of
from runbook.report.server_replies import server_replies
from runbook.report.story import Moment, StepTold, Story, tell
from runbook.report.summary import headline, outcome_in_words, summary_rows
from runbook.report.svg import shortened
from runbook.report.timeline import draw_timeline, flagged
from runbook.report.times import format_clock, format_moment, format_seconds
from runbook.report.topology import DrawnServer, draw_topology, servers_after, servers_before
from runbook.run_state import RunState
from runbook.text import beginning

Record = Mapping[str, Any]
Part = Mapping[str, Any]
MOST = 200  # rows of a table; what is left out is counted
MOST_LINES = 1000  # of the events, half of them from the beginning
MOST_TEXT = 2048  # characters of a result or a reply
CONTENTS = (
    ("summary", "What was done"),
    ("timeline", "Timeline"),
    ("servers", "Servers"),
    ("people", "Who agreed"),
    ("refusals", "Refused and failed"),
    ("steps", "Steps"),
    ("replies", "Replies"),
    ("playbook", "Playbook"),
    ("post-mortem", "Post-mortem"),
    ("events", "Everything"),
)
MOODS = {"completed": "good", "refused": "warn", "failed": "bad", "interrupted": "warn"}


def format_page(events: Sequence[Record], state: RunState, playbook: PlaybookText) -> str:
    """The whole page. The events are such as :func:`runbook.recorded.fold_recorded` has found whole."""
    story = tell(events, state)
    return load_template("report.html").render(page=_page(events, story, playbook))


def _page(events: Sequence[Record], story: Story, playbook: PlaybookText) -> Part:
    state = story.state
    started = state.started or {}
    sentence = str(state.ended["message"]) if state.ended is not None else headline(state).partition(" ")[2]
    before, after = servers_before(story), servers_after(story)
    page = {
        "playbook": started.get("playbook", "a run that never began"),
        "cluster": started.get("cluster", "?"),
        "word": outcome_in_words(state),
        "mood": MOODS.get(state.state, "warn"),
        "sentence": "" if sentence == outcome_in_words(state) else sentence,
        "began": f"{format_moment(str(started['at']))} UTC" if started else "",
        "facts": list(_facts(story)),
        "summary": summary_rows(state, str(started.get("run", ""))),
        "timeline": Markup(draw_timeline(story)),  # svg.words escapes every text in it
        "moments": _moments(story),
        "before": _side(before, "The servers before the run", "Before") if before else None,
        "after": _side(after, "The servers after the run", "As foreseen" if state.dry_run else "After"),
        "verdicts": _part(story.verdicts),
        "people": list(_people(events, story)),
        "refusals": _refusals(story),
        "steps": _part([_step(step) for step in story.steps.values()]),
        "replies": _part([reply for step in story.steps.values() for reply in _replies(step)]),
        "asked": _part(list(server_replies(events))),
        "path": started.get("path") or started.get("playbook", ""),
        "digest": started.get("digest", ""),
        "params": [(name, value, started.get("sources", {}).get(name, "?")) for name, value in _params(started)],
        "lines": marked_lines(playbook, story.steps.values()) if playbook.text else (),
        "no_lines": playbook.trouble or "Its text is not at hand.",
        "post_mortem": post_mortem(story),
        "events": _events(events),
        "footer": _footer(events, started),
    }
    missing = {"servers": not before, "replies": not page["replies"]["rows"] and not page["asked"]["rows"]}
    return {**page, "contents": [(id_, name) for id_, name in CONTENTS if not missing.get(id_)]}


def _part(rows: Sequence[Any]) -> Part:
    return {"rows": rows[:MOST], "left": max(0, len(rows) - MOST)}


def _params(started: Record) -> Iterable[tuple[str, Any]]:
    return dict(started.get("params", {})).items()


def _facts(story: Story) -> Iterable[tuple[str, str]]:
    state, counts = story.state, (story.state.before, story.state.now)
    if state.started is not None:
        yield "began", f"{format_moment(str(state.started['at']))} UTC"
        yield "would take" if state.dry_run else "took", format_seconds(story.seconds)
        yield "by", str(state.started["who"])
    if counts[0] and counts[1]:
        before = state.leaderless or counts[0]
        yield "voters", f"{before.voters} → {counts[1].voters}"
        tolerated = "no leader" if state.leaderless else counts[0].tolerance
        yield "more that may fail", f"{tolerated} → {counts[1].tolerance}"
    removed = sum(removal.state in ("gone", "foretold") for removal in state.removals)
    if removed:
        yield "would be removed" if state.dry_run else "removed", format_count(removed, "server")


def _moments(story: Story) -> Part:
    flags = flagged(story)
    rows = [
        {**vars(moment), "flag": flags.get(place, ""), "step": moment.step}
        for place, moment in enumerate(story.moments)
    ]
    return _part(rows)


def _side(servers: Sequence[DrawnServer], name: str, title: str) -> Part:
    voters = [server for server in servers if server.votes and server.verdict != "gone"]
    alive = sum(server.verdict == "alive" for server in voters)
    words = f"{format_count(len(voters), 'voter')}, {alive} alive, {len(voters) // 2 + 1} needed for a quorum"
    picture = Markup(draw_topology(name, servers))  # svg.words escapes every text in it
    return {"picture": picture, "title": title, "words": words}


WHO = (
    "change.approved",
    "change.would_be_approved",
    "change.answered",
    "guard.overridden",
    "server.confirmed_off",
    "left_out.acknowledged",
)
WHO_WENT_ON = ("run.started", "run.resumed", "run.acknowledged", "lock.taken_over")


def _people(events: Sequence[Record], story: Story) -> Iterable[Part]:
    """Whatever was done in somebody's name, with the question that they were asked."""
    started = str((story.state.started or {}).get("who", ""))
    for event in events:
        if event["kind"] in WHO or event["kind"] in WHO_WENT_ON:
            words = "began the run" if event["kind"] == "run.started" else "; ".join(words_of(event))
            if event["kind"] == "change.approved" and event.get("question"):
                words = f"{event['question']} {words}"
            yield {"clock": format_clock(str(event["at"])), "who": event.get("who", started), "words": words}


def _refusals(story: Story) -> Part:
    def row(refusal: Moment) -> Part:
        outcome = "refused" if refusal.sort == "refusal" else "failed"
        return {"outcome": outcome, "step": refusal.step, "clock": refusal.clock, "words": refusal.words}

    return _part([row(refusal) for refusal in story.refusals])


def _step(step: StepTold) -> Part:
    output = json.dumps(step.output, ensure_ascii=False, indent=1, default=str) if step.output else ""
    return {
        **{name: getattr(step, name) for name in ("place", "uses", "clock", "outcome", "message")},
        "label": f" ({step.label})" if step.label else "",
        "took": format_seconds(step.seconds) if step.spans else "",
        "attempts": step.attempts[:20],
        "output": beginning(output, MOST_TEXT),
    }


def _replies(step: StepTold) -> Iterable[Part]:
    """What a step was answered by HTTP: the status, how much it was, and the beginning of it."""
    for output in step.item_outputs or [step.output]:
        body = output.get("body")
        if step.uses != "http.request" or "status" not in output:
            continue
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else b""
        path = output.get("path")
        shown = beginning(body, MOST_TEXT) if isinstance(body, str) else ""
        yield {
            "step": step.place,
            "status": output["status"],
            "length": f"in the file {path}" if path else f"{len(data):,} bytes",
            "message": step.message.splitlines()[0] if step.message else "",
            "sha256": output.get("sha256") or hashlib.sha256(data).hexdigest(),
            "body": shown,
            "cut": ", its beginning; all of it is in journal.jsonl" if body and len(shown) < len(body) else "",
        }


def _events(events: Sequence[Record]) -> Part:
    screen = Screen(afterwards=True)
    lines = [line for event in events for line in screen.format_event(event)]
    left = len(lines) - MOST_LINES
    if left > 0:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {left:,} lines left out; `runbook show` tells them …", *lines[-half:]]
    return {"count": f"{len(lines):,}", "text": "\n".join(shortened(line, MOST_TEXT) for line in lines)}


def _footer(events: Sequence[Record], started: Record) -> str:
    version = started.get("version") or "an old version"
    written = f"Run {started.get('run', '?')}, written by runbook {version}."
    return f"{written} Drawn from the {len(events):,} events of its journal alone; where they differ, that is right."
