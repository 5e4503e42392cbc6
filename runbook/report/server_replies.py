"""What the servers answered, as the report shows it: each body once, with a link to the whole of a longer one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from runbook.cluster_events import Replied
from runbook.report.times import format_clock

MOST_TEXT = 1024  # characters of a body that are shown: a page of many replies stays small
NAME = re.compile("[0-9a-f]{64}")  # of a file of evidence: nothing else becomes a link


def server_replies(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """A row for each reply that told something new."""
    for event in events:
        if event["kind"] != Replied.kind:
            continue
        bodies, files = event.get("bodies", {}), event.get("files", {})
        cut = {str(name): size for name, size in event.get("cut", {}).items()}
        shown = set[str]()
        for reply in event["replies"]:
            digest = str(reply.get("sha256", ""))
            name = str(files.get(digest, ""))
            new, error = digest not in shown, str(reply.get("error", "")).partition(": ")[2]
            shown.add(digest)
            yield {
                "clock": format_clock(str(event["at"])),
                "request": f"{reply.get('method', '?')} {reply.get('url', '?')}",
                "outcome": error or f"{reply.get('status', '?')}, {reply.get('length', '?')} bytes",
                "sha256": digest,
                "body": str(bodies.get(digest, ""))[:MOST_TEXT] if new else "",
                "file": f"evidence/{name}.txt" if NAME.fullmatch(name) else "",
                "cut": f", less its last {cut[digest]} bytes" if digest in cut else "",
            }
