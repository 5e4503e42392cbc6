"""One structlog line an event, as JSON: for a terminal that is none, for a log collector, for a grep afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TextIO, cast

from runbook.printable import printable_json
from runbook.report.stream import Stream

_WARNINGS = frozenset(
    {
        "attempt.failed",
        "item.failed",
        "step.failed",
        "removal.unsettled",
        "removal.still_listed",
        "removal.failed",
        "run.refused",
        "run.interrupted",
    }
    | {"lock.taken_over", "guard.overridden", "change.unsettled", "change.answered"}
    | {"server.confirmed_off", "server.port_opened", "left_out.listed"}
)
_ERRORS = frozenset({"run.failed"})


def json_log(stream: Stream, run: str) -> Callable[[Mapping[str, Any]], None]:
    """A function that writes one event as one line. Every line names its run, so that many can share a log."""
    import json

    import structlog

    def dumped(line: Mapping[str, Any], **_options: Any) -> str:
        return printable_json(json.dumps(line, ensure_ascii=False, default=str))

    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", stream)),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(dumped),
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
        run=run,
    )

    def write(event: Mapping[str, Any]) -> None:
        data = {key: value for key, value in event.items() if key not in ("kind", "at", "run", "detail")}
        kind = str(event["kind"])
        level = "error" if kind in _ERRORS else "warning" if kind in _WARNINGS else "info"
        getattr(logger, level)(kind, timestamp=event["at"], **data)

    return write
