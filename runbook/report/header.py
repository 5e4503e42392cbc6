"""The first lines of a run that is shown: who, when, where, on what, and how it was agreed to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbook.printable import printable_line
from runbook.report.screen import LABEL_WIDTH


def format_header(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """From the events alone."""
    lines: list[str] = []
    for event in events:
        at = f"{str(event['at'])[:19].replace('T', ' ')} UTC"
        for label, text in _told(event, at):
            lines.append(printable_line(f"{label:<{LABEL_WIDTH}}{text}"))
    return lines


def _told(event: Mapping[str, Any], at: str) -> list[tuple[str, str]]:
    kind = event["kind"]
    if kind == "run.started":
        who, _, host = str(event["who"]).partition("@")
        version = f", runbook {event['version']}" if event.get("version") else ""
        dry = " (a dry run)" if event["dry_run"] else ""
        return [
            ("run", f"{event['run']}{dry}"),
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
