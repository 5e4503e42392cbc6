"""Reads ``retry:`` of a step."""

from __future__ import annotations

from runbook.playbook.durations import parse_duration
from runbook.playbook.faults import Faults, describe, quoted
from runbook.playbook.model import Field, Retry
from runbook.playbook.nodes import ListNode, MapNode, Node, Scalar, kind
from runbook.playbook.sections import Keys, Section, fitted

RETRYABLE = ("no_leader", "timeout", "unavailable")
"""The errors that may pass by themselves; every other one is final."""

RETRY_KEYS = Keys(
    Field("times", "int", "attempts at most, the first one counted", min=1),
    Field("wait", "any", "between two attempts: 5s, or 1s..30s growing from the first to the last", default="1s..30s"),
    Field("jitter", "bool", "whether waits are varied by chance", default=True),
    Field("within", "duration", "how long all attempts together may take", min=0.001),
    Field("only_on", "list", f"the errors to retry on: {', '.join(RETRYABLE)}"),
)
_ERROR = Field("only_on", "enum", "", choices=RETRYABLE)


def read_retry(node: Node | None, faults: Faults) -> Retry | None:
    """The retry at ``node``; None where there is none, or it is at fault."""
    if node is None:
        return None
    if not isinstance(node, MapNode):
        faults.add(
            node.mark, f'"retry" must be a mapping, not {kind(node)}', "Write retry: { times: 3, wait: 1s..30s }."
        )
        return None
    section = Section(node, "retry", RETRY_KEYS, faults)
    if section.get("times") is None and section.get("within") is None:
        faults.add(node.mark, "a retry needs a bound", 'Add "times", "within", or both.')  # I10
    wait = _read_wait(section)
    only_on = _read_only_on(section.get("only_on"), section, faults)
    times, within, jitter = section.value("times"), section.value("within"), section.value("jitter")
    return Retry(times, wait[0], wait[1], jitter is not False, within, only_on)


def _read_wait(section: Section) -> tuple[float, float]:
    written = section.value("wait")
    if written is None:
        return 0.0, 0.0
    try:
        first, dots, last = written.partition("..")
        shortest = parse_duration(first)
        longest = parse_duration(last) if dots else shortest
    except (ValueError, AttributeError):
        section.wrong("wait", f"must be a duration such as 5s, or two such as 1s..30s, not {describe(written)}")
        return 0.0, 0.0
    if shortest > longest:
        section.wrong("wait", "must go from the shorter to the longer", f"Did you mean {quoted(f'{last}..{first}')}?")
    return shortest, longest


def _read_only_on(node: Node | None, section: Section, faults: Faults) -> frozenset[str] | None:
    if node is None:
        return None
    if not isinstance(node, ListNode):
        hint = f"Write only_on: [{node.text}]." if isinstance(node, Scalar) else None
        section.wrong("only_on", f"must be a list of errors, not {kind(node)}", hint)
        return None
    if not node.items:
        section.wrong("only_on", "must name one error at least, or be left out")
    return frozenset(fitted(item, _ERROR, 'an error of "only_on"', faults) for item in node.items)
