"""A trace of a run for OpenTelemetry, where the environment asks for one; else nothing of it is loaded.

A trace that cannot be delivered holds no run up and fails none: it is sent beside the run, and for what is left at the
end there is a limit.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runbook import __version__
from runbook.report.spans import SpanBegun, SpanEnded, SpanFolding

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

DELIVERED_WITHIN = 2.0  # seconds, when the run is over
Write = Callable[[Mapping[str, Any]], None]
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_OTLP = {"grpc": "otlp_proto_grpc"}  # by the protocol; the extra brings http/protobuf


def exporter_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The exporters that are asked for, as packages call theirs; mostly none."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    wanted = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if any(map(environment.get, _ENDPOINTS)) else "")
    otlp = _OTLP.get(environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", ""), "otlp_proto_http")
    names = [name.strip() for name in wanted.split(",")]
    return tuple(otlp if name == "otlp" else name for name in names if name not in ("", "none"))


@contextlib.contextmanager
def open_tracing(
    environment: Mapping[str, str], run: str, playbook: str, tell: Callable[[str], None]
) -> Iterator[Callable[[Write], Write]]:
    """What the writer of this run's events is to be passed through: each event then names its trace.

    Where there is none although an exporter was asked for by its name, or one that is here cannot be used, ``tell`` is
    told why. An address alone may be for other programs.
    """
    names = exporter_names(environment)
    tracing: Tracing | None = None
    try:
        if names:
            tracing = Tracing([_exporter(name) for name in names], environment, SpanFolding(run, playbook))
    except Exception as error:  # of any library: the run is what counts
        if environment.get("OTEL_TRACES_EXPORTER") or not isinstance(error, ImportError):
            tell(f"runbook: this run has no trace: {error}")
    try:
        yield tracing.through if tracing else lambda write: write
    finally:
        if tracing:
            tracing.close()


def _exporter(name: str) -> SpanExporter:
    from importlib.metadata import entry_points

    for found in entry_points(group="opentelemetry_traces_exporter", name=name):
        exporter: SpanExporter = found.load()()
        return exporter
    raise ImportError(f"no package here has the exporter {name}; runbook-engine[otel] brings OTLP by HTTP")


def _attributes_unless_named(environment: Mapping[str, str]) -> dict[str, str | bool | int | float]:
    """Of this program. What the environment calls it counts more."""
    named = "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "") or environment.get("OTEL_SERVICE_NAME")
    return {"service.version": __version__, **({} if named else {"service.name": "runbook"})}


class Tracing:
    """Draws the spans of one process of a run. Nothing that it meets reaches the run."""

    def __init__(self, exporters: list[SpanExporter], environment: Mapping[str, str], folding: SpanFolding) -> None:
        """Raises ImportError, and whatever an exporter raises for its settings."""
        import logging

        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        log = logging.getLogger("opentelemetry")  # which would write between the lines of the run
        log.handlers, log.propagate = [logging.NullHandler()], False
        resource = Resource.create(_attributes_unless_named(environment))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("runbook", __version__)
        self._folding = folding
        self._spans: dict[str, Span] = {}
        self.trace_id = ""

    def through(self, write: Write) -> Write:
        """The same writer, given each record with the id of its trace."""

        def traced(record: Mapping[str, Any]) -> None:
            with contextlib.suppress(Exception):
                for change in self._folding.apply(record):
                    self._draw(change)
            write({**record, "trace_id": self.trace_id} if self.trace_id else record)

        return traced

    def close(self) -> None:
        """End what is open, and give what is left a moment to be delivered."""
        thread = threading.Thread(target=self._shut_down, name="trace", daemon=True)
        thread.start()
        with contextlib.suppress(KeyboardInterrupt):  # who is impatient ends the wait, and not the run, which is over
            thread.join(DELIVERED_WITHIN)

    def _shut_down(self) -> None:
        with contextlib.suppress(Exception):
            for change in self._folding.close():
                self._draw(change)
        with contextlib.suppress(Exception):
            self._provider.shutdown()

    def _draw(self, change: SpanBegun | SpanEnded) -> None:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        if isinstance(change, SpanEnded):
            span = self._spans.pop(change.key)
            if change.trouble:
                span.set_status(Status(StatusCode.ERROR, change.trouble))
            span.end(change.at)
            return
        parent = self._spans.get(change.parent)
        around = set_span_in_context(parent) if parent else None
        span = self._tracer.start_span(change.name, around, attributes=change.attributes, start_time=change.at)
        self._spans[change.key] = span
        self.trace_id = self.trace_id or f"{span.get_span_context().trace_id:032x}"
