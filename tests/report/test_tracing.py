"""A run's trace: a span for the run, each step and each attempt; and what a trace may not do to a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runbook.report import tracing
from runbook.report.spans import SpanBegun, SpanFolding
from tests.command_line import ROOT, Done, runbook

PLAYBOOK = """\
runbook: 1
name: traced
summary: Two attempts that fail, a block, a loop, and a step that fails.
params:
  last: { type: string, default: "true" }
steps:
  - id: twice
    uses: http.request
    effect: read
    with: { method: GET, url: "http://127.0.0.1:1/" }
    retry: { times: 2, wait: 5s }
    continue_on_failure: true
  - id: block
    steps:
      - id: inner
        uses: log.message
        with: { text: hello }
  - id: each
    for_each: "['a', 'b']"
    uses: log.message
    with: { text: "${{ item }}" }
  - id: last
    uses: command.run
    effect: read
    with: { argv: ["${{ params.last }}"] }
"""
SPANS = [
    ("", "run traced"),
    ("run traced", "step block"),
    ("run traced", "step each"),
    ("run traced", "step last"),
    ("run traced", "step twice"),
    ("step block", "step inner"),
    ("step each", "attempt 1"),
    ("step each", "attempt 1"),
    ("step inner", "attempt 1"),
    ("step last", "attempt 1"),
    ("step twice", "attempt 1"),
    ("step twice", "attempt 2"),
]


class BrokenExporter(SpanExporter):
    """The collector is down: it hangs, and then it raises."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        time.sleep(self._seconds)
        raise OSError("nobody listens")


def use(monkeypatch: pytest.MonkeyPatch, exporter: SpanExporter) -> None:
    """It is what OTEL_TRACES_EXPORTER=ours names."""
    monkeypatch.setattr(tracing, "_exporter", {"ours": exporter}.__getitem__)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    found = InMemorySpanExporter()
    use(monkeypatch, found)
    return found


def run(folder: Path, last: str = "true", **environment: str) -> Done:
    path = folder / "traced.yaml"
    path.write_text(PLAYBOOK, encoding="utf-8")
    where = {**os.environ, "NOMAD_ADDR": "http://127.0.0.1:1", **environment}
    return runbook(where, "execute", str(path), "--param", f"last={last}")


def tree(spans: Sequence[ReadableSpan]) -> list[tuple[str, str]]:
    """Each span behind the one around it."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    return sorted((names[span.parent.span_id] if span.parent else "", span.name) for span in spans)


def test_a_span_for_the_run_each_step_and_each_attempt(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    """And the lines of the log name the trace."""
    done = run(tmp_path, OTEL_TRACES_EXPORTER="ours")
    assert done.returncode == 0, done.stderr
    spans = exporter.get_finished_spans()
    assert tree(spans) == SPANS
    (trace,) = {f"{span.context.trace_id:032x}" for span in spans if span.context}
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["trace_id"] for line in lines} == {trace}
    by_name = {span.name: span for span in spans}
    assert (by_name["run traced"].attributes or {})["runbook.run"] == lines[0]["run"]
    assert (by_name["step last"].attributes or {})["runbook.uses"] == "command.run"
    first, second = sorted((s for s in spans if s.parent and "attempt" in s.name), key=lambda s: s.start_time or 0)[:2]
    pause = ((second.start_time or 0) - (first.end_time or 0)) / 1e9
    assert pause == pytest.approx(5, abs=0.5), "it belongs to neither"
    assert [span.status.is_ok for span in (first, second, by_name["step twice"], by_name["step last"])] == [
        False, False, False, True,
    ]  # fmt: skip
    assert spans[-1].resource.attributes["service.name"] == "runbook"


def test_a_run_that_fails_is_a_trace_that_says_so(exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    done = run(tmp_path, last="false", OTEL_TRACES_EXPORTER="ours", OTEL_SERVICE_NAME="bastion")
    assert done.returncode == 1
    spans = exporter.get_finished_spans()
    assert tree(spans) == SPANS
    assert (spans[-1].name, spans[-1].status.description) == ("run traced", "failed: false ended with 1")
    assert spans[-1].resource.attributes["service.name"] == "bastion"


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_a_collector_that_is_down_changes_no_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float
) -> None:
    """It is not waited for beyond the limit."""
    monkeypatch.setattr(tracing, "DELIVERED_WITHIN", 0.2)
    use(monkeypatch, BrokenExporter(seconds))
    begun = time.monotonic()
    done = run(tmp_path, OTEL_TRACES_EXPORTER="ours")
    assert time.monotonic() - begun < 5
    assert done.returncode == 0, done.stderr


def test_a_collector_that_is_down_is_not_heard_of() -> None:
    """What its library logs would stand between the lines of the run. A process of a test has handlers of pytest."""
    code = "from runbook.report import tracing; from tests.report.test_tracing import BrokenExporter\n"
    code += "tracing._exporter = lambda _: BrokenExporter(0)\n"
    code += "with tracing.open_tracing({'OTEL_TRACES_EXPORTER': 'ours'}, 'r', 'p', print) as traced:\n"
    code += "    traced(str)({'kind': 'run.started', 'at': '2026-11-27T06:00:00+00:00'})\n"
    assert run_python(code) == ("", "")


def test_an_address_alone_may_be_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the extra is not installed."""
    monkeypatch.setitem(tracing._OTLP, "http/protobuf", "nobodys")
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    done = run(tmp_path, **where)
    assert (done.returncode, "trace" in done.stderr.replace("traced", "")) == (0, False)


def test_an_exporter_that_is_not_here_is_told_of(tmp_path: Path) -> None:
    done = run(tmp_path, OTEL_TRACES_EXPORTER="nobodys")
    told, *lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert told.startswith("runbook: this run has no trace: no package here has the exporter nobodys")
    assert [line for line in lines if "trace_id" in json.loads(line)] == []


NAMES = [
    ({}, ()),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, ("otlp_proto_http",)),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/x"}, ("otlp_proto_http",)),
    ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("otlp_proto_grpc",)),
    ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, ()),
    ({"OTEL_TRACES_EXPORTER": "otlp, zipkin"}, ("otlp_proto_http", "zipkin")),
    ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, ()),
]


@pytest.mark.parametrize(("environment", "names"), NAMES)
def test_only_the_environment_switches_it_on(environment: Mapping[str, str], names: tuple[str, ...]) -> None:
    assert tracing.exporter_names(environment) == names


def test_nothing_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    """At night each start is felt."""
    code = "import sys, runbook.cli.execute, runbook.report.tracing as t\n"
    code += "with t.open_tracing({}, 'r', 'p', print) as traced: traced(print)({'kind': 'x'})\n"
    code += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    assert run_python(code) == ("{'kind': 'x'}\n[]\n", "")


def run_python(code: str) -> tuple[str, str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, done.stderr


def drawn(*records: tuple[str, float, dict[str, Any]]) -> list[tuple[str, str, float, float, str]]:
    """Of such records, each at a second: the spans by name, the one around them, beginning, end and trouble."""
    folding, begun, ended = SpanFolding("r", "p"), list[SpanBegun](), list[tuple[str, str, float, float, str]]()
    changes = [change for kind, at, more in records for change in folding.apply(_record(kind, at, more))]
    for change in (*changes, *folding.close()):
        if isinstance(change, SpanBegun):
            begun.append(change)
        else:
            one = next(each for each in reversed(begun) if each.key == change.key)
            ended.append((one.name, one.parent, one.at / 1e9, change.at / 1e9, change.trouble))
    assert len(begun) == len(ended)
    return ended


def _record(kind: str, at: float, more: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "at": f"1970-01-01T00:00:{at:06.3f}+00:00", **more}


A, EACH = {"step": "a", "uses": "raft.remove_peer", "effect": "change"}, {"step": "each", "uses": "x", "effect": "read"}


def test_an_attempt_begins_after_the_pause_that_follows_one_that_failed() -> None:
    """What a step waits for in itself belongs to its attempt."""
    assert drawn(
        ("run.resumed", 0, {}),
        ("step.started", 1, A),
        ("step.waiting", 2, {"step": "a", "seconds": 9.0}),
        ("attempt.failed", 3, {"step": "a", "attempt": 1, "message": "no leader", "item": None}),
        ("step.waiting", 3, {"step": "a", "seconds": 2.0}),
        ("step.waiting", 6, {"step": "a", "seconds": 9.0}),
        ("step.completed", 7, {"step": "a", "message": "ok"}),
        ("run.completed", 8, {"message": "ok"}),
    ) == [
        ("attempt 1", "a", 1, 3, "no leader"),
        ("attempt 2", "a", 5, 7, ""),
        ("step a", "run", 1, 7, ""),
        ("resume p", "", 0, 8, ""),
    ]


def test_what_a_signal_cuts_through_is_ended_with_the_run() -> None:
    assert drawn(
        ("run.started", 0, {}),
        ("step.started", 1, {"step": "b", "uses": "block", "effect": "read"}),
        ("step.started", 2, A),
        ("run.interrupted", 3, {"step": "a", "message": "stopped"}),
    ) == [
        ("step a", "b", 2, 3, "interrupted"),
        ("step b", "run", 1, 3, "interrupted"),
        ("run p", "", 0, 3, "interrupted: stopped"),
    ]


def test_items_beside_each_other_hold_their_own_steps() -> None:
    """The place of a step says which item it is of."""
    inner = [{"step": f"each.{number}.a", "uses": "x", "effect": "read"} for number in (1, 2)]
    assert [
        span[:2]
        for span in drawn(
            ("run.started", 0, {}),
            ("step.started", 1, {**EACH, "uses": "block"}),
            ("step.started", 2, {"step": "each.1.b", "uses": "block", "effect": "read"}),
            ("step.started", 2, inner[1]),
            ("step.started", 3, inner[0]),
            ("step.completed", 4, {"step": "each.2.a", "message": ""}),
            ("item.failed", 5, {"step": "each", "item": 1, "message": "no"}),
            ("step.completed", 6, {"step": "each.1.a", "message": ""}),
            ("step.completed", 6, {"step": "each.1.b", "message": ""}),
            ("step.completed", 7, {"step": "each", "message": ""}),
        )
    ] == [
        ("attempt 1", "each.2.a"),
        ("step each.2.a", "each"),
        ("attempt 1", "each.1.a"),
        ("step each.1.a", "each.1.b"),
        ("step each.1.b", "each"),
        ("step each", "run"),
        ("run p", ""),
    ]
