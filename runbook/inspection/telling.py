"""Whom a check tells of itself: a dead man's switch that misses its pings, and a webhook that hears of changes.

Each is sent once, within its own time. Whatever goes wrong with it is said, and changes no exit code. What follows the
host in such a URL is as good as a password, and is never shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from urllib.parse import urlsplit, urlunsplit

from runbook.errors import RunbookError
from runbook.inspection.notices import CheckNotice
from runbook.raft.diagnosis.check_result import LEVELS, CheckResult
from runbook.raft.diagnosis.health import OK, UNKNOWN
from runbook.redaction import Redactor

Send = Callable[[str, bytes, float], str]
"""POST these bytes to a URL within so many seconds; returns what went wrong, empty where nothing did."""

SHORTEST_SECRET = 8  # characters of a part of a path; anything shorter is a word of an API


def learn_url(redactor: Redactor, url: str) -> None:
    """Hide what gives access: each longer part of its path, and its query."""
    parts = urlsplit(url)
    redactor.learn_all(part for part in [*parts.path.split("/"), parts.query] if len(part) >= SHORTEST_SECRET)


def ping_address(url: str, result: CheckResult | None) -> str:
    """As healthchecks.io reads it: ``/start`` before there is a result, then the URL itself where all is well, the exit
    status of what was found, and ``/fail`` where the check itself came to nothing.
    """
    if result is None:
        word = "start"
    elif result.level == OK:
        word = ""
    else:
        word = "fail" if result.level == UNKNOWN else str(result.level)
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{word}" if word else parts.path
    return urlunsplit(parts._replace(path=path))


def notice_body(notice: CheckNotice, result: CheckResult) -> bytes:
    """One JSON object; ``text`` is what a chat shows of it."""
    identity, was = result.identity, notice.was
    status, before = LEVELS[notice.state.level], LEVELS[was.level] if was else None
    flapping = " and flaps" if notice.state.flapping else ""
    data = {
        "event": notice.kind,
        "cluster": identity.cluster,
        "kind": identity.kind,
        "instance": identity.instance,
        "status": status,
        "was": before,
        "finding": notice.state.name or None,
        "flapping": notice.state.flapping,
        "since": datetime.fromtimestamp(notice.since, timezone.utc).isoformat(timespec="seconds"),
        "sentence": result.sentence,
        "text": f"{identity.name} is {status}{flapping} ({notice.kind}): {result.sentence}",
    }
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def send(url: str, body: bytes, seconds: float) -> str:
    """Through the one door, and only once. See :data:`Send`."""
    from runbook.steps.exchange import Request, exchange

    headers = {"Content-Type": "application/json" if body.startswith(b"{") else "text/plain; charset=utf-8"}
    try:
        reply = exchange(Request("POST", url, headers, body), seconds)
    except RunbookError as error:
        return " ".join(str(error).split())
    return "" if 200 <= reply.status < 300 else f"it answered {reply.status}"
